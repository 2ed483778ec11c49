//! Signing in: the first start, the one-time password, cookies, other sites, throttling.

use crate::world::{PASSWORD, fresh, world};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn the_first_password_opens_nothing_but_its_own_change() {
    let world = fresh().await;
    let (status, cookie) = world.sign_in("ADMIN ", &world.first_password.clone()).await;
    assert_eq!(status, 200);
    let get = |path: &str| {
        world
            .http
            .get(format!("{}{path}", world.url))
            .header("cookie", &cookie)
            .send()
    };
    let me: Value = get("/api/v1/session").await.unwrap().json().await.unwrap();
    assert_eq!(me["must_change_password"], true);
    assert_eq!(me["tenant"]["id"], "default");
    let refused = get("/api/v1/devices").await.unwrap();
    assert_eq!(refused.status(), 403);
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(
        problem["type"],
        "urn:headend:problem:password-change-required"
    );
    let change = |current: String, new: &str| {
        world
            .http
            .put(format!("{}/api/v1/session/password", world.url))
            .header("cookie", &cookie)
            .json(&json!({"current": current, "new": new}))
            .send()
    };
    for (current, new, field) in [
        ("wrong".to_owned(), PASSWORD, "current"),
        (world.first_password.clone(), "short", "new"),
        (
            world.first_password.clone(),
            &world.first_password.clone(),
            "new",
        ),
    ] {
        let refused = change(current, new).await.unwrap();
        assert_eq!(refused.status(), 422);
        let problem: Value = refused.json().await.unwrap();
        assert_eq!(problem["errors"][0]["field"], field);
    }
    assert_eq!(
        change(world.first_password.clone(), PASSWORD)
            .await
            .unwrap()
            .status(),
        204
    );
    assert_eq!(get("/api/v1/devices").await.unwrap().status(), 200);
    assert_eq!(
        world
            .sign_in("admin", &world.first_password.clone())
            .await
            .0,
        401
    );
    assert_eq!(world.sign_in("admin", PASSWORD).await.0, 200);
}

#[tokio::test]
async fn a_sign_in_is_a_strict_cookie_that_ends_with_signing_out() {
    let world = world().await;
    let response = world
        .http
        .post(format!("{}/api/v1/session", world.url))
        .json(&json!({"login": "admin", "password": PASSWORD}))
        .send()
        .await
        .unwrap();
    let cookie = response.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(
        !cookie.contains("Secure"),
        "over plain HTTP a Secure cookie would not come back"
    );
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let me = || {
        world
            .http
            .get(format!("{}/api/v1/session", world.url))
            .header("cookie", &cookie)
            .send()
    };
    assert_eq!(me().await.unwrap().status(), 200);
    let out = world
        .http
        .delete(format!("{}/api/v1/session", world.url))
        .header("cookie", &cookie)
        .send()
        .await
        .unwrap();
    assert_eq!(out.status(), 204);
    assert!(
        out.headers()["set-cookie"]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    assert_eq!(me().await.unwrap().status(), 401);
}

#[tokio::test]
async fn another_site_cannot_act_with_the_cookie() {
    let world = world().await;
    let (_, cookie) = world.sign_in("admin", PASSWORD).await;
    let post = |name: &'static str, value: &str| {
        world
            .http
            .post(format!("{}/api/v1/setup-keys", world.url))
            .header("cookie", &cookie)
            .header(name, value)
            .json(&json!({"name": "x"}))
            .send()
    };
    let refused = post("sec-fetch-site", "cross-site").await.unwrap();
    assert_eq!(refused.status(), 403);
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["type"], "urn:headend:problem:cross-site");
    assert_eq!(
        post("origin", "https://evil.example")
            .await
            .unwrap()
            .status(),
        403
    );
    assert_eq!(post("origin", &world.url).await.unwrap().status(), 201);
    // A form of another site cannot send JSON without asking first.
    let form = world
        .http
        .post(format!("{}/api/v1/setup-keys", world.url))
        .header("cookie", &cookie)
        .header("content-type", "text/plain")
        .body("{\"name\":\"x\"}")
        .send()
        .await
        .unwrap();
    assert_eq!(form.status(), 415);
}

#[tokio::test]
async fn a_barred_user_and_a_revoked_token_are_out_at_once() {
    let world = world().await;
    let made: Value = world
        .post("/api/v1/users", json!({"login": "ann", "role": "operator"}))
        .await
        .json()
        .await
        .unwrap();
    let id = made["user"]["id"].as_str().unwrap();
    let cookie = world
        .enter("ann", made["one_time_password"].as_str().unwrap(), PASSWORD)
        .await;
    let token = world.token(&cookie, vec!["device:read".into()]).await;
    let devices = |token: &str| {
        world
            .http
            .get(format!("{}/api/v1/devices", world.url))
            .bearer_auth(token)
            .send()
    };
    assert_eq!(devices(&token).await.unwrap().status(), 200);
    let patch = |body: Value| {
        world
            .request(Method::PATCH, &format!("/api/v1/users/{id}"))
            .json(&body)
            .send()
    };
    assert_eq!(
        patch(json!({"disabled": true})).await.unwrap().status(),
        200
    );
    assert_eq!(devices(&token).await.unwrap().status(), 401);
    assert_eq!(world.sign_in("ann", PASSWORD).await.0, 401);
    assert_eq!(
        patch(json!({"disabled": false})).await.unwrap().status(),
        200
    );
    assert_eq!(devices(&token).await.unwrap().status(), 200);
    let tokens = world.read("/api/v1/tokens").await;
    let hint = &token[..8];
    let listed = tokens["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["hint"] == hint)
        .unwrap();
    let revoked = world
        .request(
            Method::DELETE,
            &format!("/api/v1/tokens/{}", listed["id"].as_str().unwrap()),
        )
        .send()
        .await
        .unwrap();
    assert_eq!(revoked.status(), 204);
    assert_eq!(devices(&token).await.unwrap().status(), 401);
}

#[tokio::test]
async fn nobody_makes_himself_more_powerful() {
    let world = world().await;
    // A token cannot make one with more scopes than its own.
    let (_, cookie) = world.sign_in("admin", PASSWORD).await;
    let weak = world
        .token(&cookie, vec!["token:write".into(), "device:read".into()])
        .await;
    let made = world
        .http
        .post(format!("{}/api/v1/tokens", world.url))
        .bearer_auth(&weak)
        .json(&json!({"name": "x", "scopes": ["device:read", "user:write"]}))
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), 422);
    let problem: Value = made.json().await.unwrap();
    assert_eq!(problem["errors"][0]["field"], "scopes[1]");
    // An administrator of the tenant cannot take over a platform administrator.
    let made: Value = world
        .post(
            "/api/v1/users",
            json!({"login": "second", "role": "administrator"}),
        )
        .await
        .json()
        .await
        .unwrap();
    let cookie = world
        .enter(
            "second",
            made["one_time_password"].as_str().unwrap(),
            PASSWORD,
        )
        .await;
    let users = world.read("/api/v1/users").await;
    let admin = users["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["login"] == "admin")
        .unwrap();
    let id = admin["id"].as_str().unwrap();
    let reset = world
        .http
        .post(format!("{}/api/v1/users/{id}/password", world.url))
        .header("cookie", &cookie)
        .send()
        .await
        .unwrap();
    assert_eq!(reset.status(), 403);
    // Nor look into another tenant by naming it.
    let peek = world
        .http
        .get(format!("{}/api/v1/devices", world.url))
        .header("cookie", &cookie)
        .header("Headend-Tenant", "other")
        .send()
        .await
        .unwrap();
    assert_eq!(peek.status(), 404);
    // The last administrator cannot be removed or demoted, and nobody removes himself.
    let users: Value = world
        .http
        .get(format!("{}/api/v1/users", world.url))
        .bearer_auth(&world.other)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let boss = users["items"][0]["id"].as_str().unwrap();
    let demoted = world
        .http
        .patch(format!("{}/api/v1/users/{boss}", world.url))
        .bearer_auth(&world.other)
        .json(&json!({"role": "viewer"}))
        .send()
        .await
        .unwrap();
    assert_eq!(demoted.status(), 409);
}

#[tokio::test]
async fn a_new_password_ends_the_other_sign_ins_and_nobody_brings_their_own_cookie() {
    let world = world().await;
    let (_, kept) = world.sign_in("admin", PASSWORD).await;
    let (_, other) = world.sign_in("admin", PASSWORD).await;
    let me = |cookie: &str| {
        let request = world.http.get(format!("{}/api/v1/session", world.url));
        request.header("cookie", cookie).send()
    };
    let change = |current: &str, new: &str| {
        let request = world
            .http
            .put(format!("{}/api/v1/session/password", world.url));
        let body = json!({"current": current, "new": new});
        request.header("cookie", &kept).json(&body).send()
    };
    let new = "another long sentence";
    assert_eq!(change(PASSWORD, new).await.unwrap().status(), 204);
    assert_eq!(me(&kept).await.unwrap().status(), 200);
    assert_eq!(me(&other).await.unwrap().status(), 401);
    // Wrong guesses of a cookie's thief are counted.
    let mut last = 0;
    for _ in 0..=server::limits::SIGN_IN_LOGIN_BURST {
        last = change("wrong", PASSWORD).await.unwrap().status().as_u16();
    }
    assert_eq!(last, 429);
    // A cookie that was there before signing in is not the one after it.
    let planted = format!("{}=hec_{}", api::SESSION_COOKIE, "0".repeat(32));
    let entered = world
        .http
        .post(format!("{}/api/v1/session", world.url))
        .header("cookie", &planted)
        .json(&json!({"login": "admin", "password": new}))
        .send()
        .await
        .unwrap();
    let cookie = entered.headers()["set-cookie"].to_str().unwrap();
    assert!(!cookie.starts_with(&planted), "{cookie}");
    assert_eq!(me(&planted).await.unwrap().status(), 401);
}

#[tokio::test]
async fn secrets_are_kept_as_hashes_only() {
    for world in crate::world::worlds().await {
        let (_, cookie) = world.sign_in("admin", PASSWORD).await;
        let cookie = cookie.split_once('=').unwrap().1;
        let key: Value = world
            .post("/api/v1/setup-keys", json!({"name": "van"}))
            .await
            .json()
            .await
            .unwrap();
        let key = key["secret"].as_str().unwrap();
        for secret in [world.owner.as_str(), cookie, key] {
            let hash = server::secret::hash(secret);
            let found = match &secret[..4] {
                server::secret::TOKEN => {
                    world.store().token_by_hash(&hash).await.unwrap().is_some()
                }
                server::secret::SESSION => world
                    .store()
                    .session_by_hash(&hash)
                    .await
                    .unwrap()
                    .is_some(),
                _ => world
                    .store()
                    .setup_key_by_hash(&hash)
                    .await
                    .unwrap()
                    .is_some(),
            };
            assert!(found);
            if let Some(file) = world.database_file() {
                for file in [file.clone(), format!("{file}-wal")] {
                    let bytes = std::fs::read(file).unwrap();
                    let there = bytes
                        .windows(secret.len())
                        .any(|some| some == secret.as_bytes());
                    assert!(!there, "a secret is in the database");
                }
            }
        }
    }
}
