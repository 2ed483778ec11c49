//! Guessing passwords is slowed down, and does not keep the owner of a login out.

use crate::world::{PASSWORD, World, behind_a_proxy};
use server::limits::{SIGN_IN_ADDRESS_BURST, SIGN_IN_LOGIN_BURST, SIGN_INS_BURST};

async fn from(world: &World, address: &str, login: &str, password: &str) -> reqwest::Response {
    let body = serde_json::json!({"login": login, "password": password});
    let request = world.http.post(format!("{}/api/v1/session", world.url));
    request
        .header("x-forwarded-for", address)
        .json(&body)
        .send()
        .await
        .unwrap()
}

async fn status(world: &World, address: &str, login: &str, password: &str) -> u16 {
    from(world, address, login, password)
        .await
        .status()
        .as_u16()
}

#[tokio::test]
async fn one_network_has_so_many_wrong_passwords_whatever_the_logins() {
    let world = behind_a_proxy().await;
    for number in 0..SIGN_IN_ADDRESS_BURST {
        // All addresses of one IPv6 network.
        let address = format!("2001:db8::{number:x}");
        assert_eq!(
            status(&world, &address, &format!("nobody{number}"), "wrong").await,
            401
        );
    }
    let refused = from(&world, "2001:db8::ffff", "nobody", "wrong").await;
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&wait));
    let problem: serde_json::Value = refused.json().await.unwrap();
    assert_eq!(problem["retry_after_seconds"], wait);
    assert_eq!(
        status(&world, "2001:db8:0:1::1", "nobody", "wrong").await,
        401
    );
}

#[tokio::test]
async fn an_account_of_ones_own_buys_no_more_guesses() {
    let world = behind_a_proxy().await;
    let (_, first) = world.user("mallory", "viewer").await;
    world.enter("mallory", &first, PASSWORD).await;
    let mut guesses = 0;
    for number in 0..SIGN_IN_ADDRESS_BURST * 2 {
        guesses += u32::from(
            status(&world, "203.0.113.5", &format!("victim{number}"), "wrong").await == 401,
        );
        let own = status(&world, "203.0.113.5", "mallory", PASSWORD).await;
        assert!(own == 200 || own == 429);
    }
    assert!(guesses <= SIGN_IN_ADDRESS_BURST, "{guesses}");
}

#[tokio::test]
async fn strangers_who_guess_do_not_keep_the_owner_of_a_login_out() {
    let world = behind_a_proxy().await;
    // The network from where the owner works.
    assert_eq!(status(&world, "198.51.100.7", "admin", PASSWORD).await, 200);
    let mut refused = 0;
    for number in 0..SIGN_IN_LOGIN_BURST * 2 {
        let address = format!("203.0.113.{number}");
        refused += u32::from(status(&world, &address, "admin", "wrong").await == 429);
    }
    assert!(refused >= SIGN_IN_LOGIN_BURST - 1, "{refused}");
    // Also where a colleague's wrong passwords have used up the network.
    for number in 0..=SIGN_IN_ADDRESS_BURST {
        status(
            &world,
            "198.51.100.7",
            &format!("colleague{number}"),
            "wrong",
        )
        .await;
    }
    assert_eq!(
        status(&world, "198.51.100.7", "colleague", "wrong").await,
        429
    );
    for _ in 0..SIGN_IN_LOGIN_BURST * 2 {
        assert_eq!(status(&world, "198.51.100.7", "admin", PASSWORD).await, 200);
    }
    // A network where the login was never used waits with the strangers, whatever the password.
    let refused = from(&world, "192.0.2.9", "admin", PASSWORD).await;
    assert_eq!(refused.status(), 429);
    let words = refused.text().await.unwrap();
    assert!(words.contains("where you have signed in before"), "{words}");
    // Guesses from the owner's own network are counted as well.
    let mut statuses = Vec::new();
    for _ in 0..=SIGN_IN_LOGIN_BURST {
        statuses.push(status(&world, "198.51.100.7", "admin", "wrong").await);
    }
    assert_eq!((statuses[0], statuses.last()), (401, Some(&429)));
}

#[tokio::test]
async fn guesses_sent_at_once_all_count_and_logins_that_do_not_exist_behave_alike() {
    let world = behind_a_proxy().await;
    for login in ["admin", "nobody"] {
        let guesses = (0..SIGN_IN_LOGIN_BURST * 2).map(|number| {
            let address = format!("2001:db8:{}:{number:x}::1", login.len());
            let world = &world;
            async move { status(world, &address, login, "wrong").await }
        });
        let statuses = futures_util::future::join_all(guesses).await;
        let answered = statuses.iter().filter(|one| **one == 401).count();
        assert!(
            (SIGN_IN_LOGIN_BURST as usize..=SIGN_IN_LOGIN_BURST as usize + 1).contains(&answered),
            "{login}: {statuses:?}"
        );
    }
}

#[tokio::test]
async fn what_is_too_long_for_a_login_is_not_remembered_as_one() {
    let world = behind_a_proxy().await;
    let login = "x".repeat(500_000);
    for number in 0..SIGN_IN_LOGIN_BURST * 2 {
        // Each from another network: a bucket of the login would be empty in between.
        let address = format!("2001:db8:0:{number:x}::1");
        assert_eq!(status(&world, &address, &login, "wrong").await, 401);
    }
    for _ in 1..SIGN_IN_ADDRESS_BURST {
        assert_eq!(status(&world, "2001:db8::1", &login, "wrong").await, 401);
    }
    assert_eq!(status(&world, "2001:db8::1", &login, "wrong").await, 429);
}

#[tokio::test]
async fn a_network_that_never_stops_trying_is_stopped_before_anything_is_looked_up() {
    let world = behind_a_proxy().await;
    let attempts = (0..SIGN_INS_BURST * 2).map(|_| async {
        let refused = from(&world, "203.0.113.9", "nobody", "wrong").await;
        refused.text().await.unwrap()
    });
    let answers = futures_util::future::join_all(attempts).await;
    let stopped = answers
        .iter()
        .filter(|one| one.contains("Too many attempts to sign in"));
    assert!(stopped.count() > 0);
    // Nobody else is.
    assert_eq!(
        status(&world, "203.0.114.9", "somebody", "wrong").await,
        401
    );
}
