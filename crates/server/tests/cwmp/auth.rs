//! How a CPE proves who it is: Digest in all its variants, Basic, the path, a credential of its own;
//! and how what is wrong is told.

use std::time::Duration;

use cwmp::auth::challenge::Challenge;
use server::config::{DigestHash, OfferBasic};
use server::secret;
use server::southbound::cwmp::limits::FAILURES_PER_SECOND;
use server::state::now;

use crate::raw::{Answer, Cpe};
use crate::rig::{PATIENCE, add_key, add_tenant, credential, each, until, world};

fn digests(answer: &Answer) -> Vec<Challenge> {
    let all = answer.challenges().into_iter();
    all.filter(|one| one.scheme == "digest").collect()
}

/// An Inform that is asked for its password, and answers the nth challenge.
async fn by_digest(cpe: &mut Cpe, nth: usize) -> Answer {
    let inform = cpe.inform();
    let asked = cpe.post(&[], &inform).await;
    assert_eq!(asked.status, 401);
    let digest = cpe.digest(&digests(&asked)[nth]);
    cpe.post(&[("Authorization", &digest)], &inform).await
}

#[tokio::test]
async fn every_variant_of_digest_lets_a_device_in_over_the_connection_that_was_asked() {
    for qop in [true, false] {
        let world = world(|config, _| config.cwmp.digest_qop = qop).await;
        for nth in [0, 1] {
            let mut cpe = world.cpe(&format!("S{nth}")).await;
            let informed = by_digest(&mut cpe, nth).await;
            assert_eq!(informed.status, 200, "qop {qop}, challenge {nth}");
            cpe.finish().await;
        }
        assert!(world.reasons().await.is_empty());
    }
    let old = world(|config, _| config.cwmp.digest = vec![DigestHash::Sha256]).await;
    let mut cpe = old.cpe("S1").await;
    let asked = cpe.post(&[], "").await;
    assert_eq!(asked.status, 401);
    let offered = digests(&asked);
    assert_eq!(offered.len(), 1);
    assert_eq!(offered[0].params.get("algorithm"), Some("SHA-256"));
}

#[tokio::test]
async fn basic_is_offered_where_it_may_be_and_taken_wherever_it_is_shown() {
    for (basic, offered) in [(OfferBasic::Tls, false), (OfferBasic::Always, true)] {
        let world = world(|config, _| config.cwmp.basic = basic).await;
        let mut cpe = world.cpe("S1").await;
        let asked = cpe.post(&[], "").await;
        let all = asked.challenges();
        assert_eq!(all.iter().any(|one| one.scheme == "basic"), offered);
        cpe.session().await;
        // With a name of its own choice the key still says whose it is.
        let key = world.key.clone();
        let mut named = world.cpe("S2").await.with("00256D-S2", &key);
        named.session().await;
    }
}

#[tokio::test]
async fn the_path_may_hold_the_setup_key_or_name_the_tenant() {
    let world = world(|_, _| {}).await;
    let other = fleet::TenantId::parse("other").unwrap();
    add_tenant(&world.store, &other).await;
    let mut by_key = world.cpe("S1").await.with("", "");
    by_key.path = format!("/cwmp/{}", world.key);
    let inform = by_key.inform();
    assert_eq!(by_key.post(&[], &inform).await.status, 200);
    by_key.finish().await;
    // A device whose user name cannot be changed.
    let key = world.key.clone();
    let mut named = world.cpe("S2").await.with("00256D-S2", &key);
    named.path = "/cwmp/acme".to_owned();
    assert_eq!(by_digest(&mut named, 0).await.status, 200);
    named.path = "/cwmp".to_owned();
    named.reconnect().await;
    named.cookie = None;
    assert_eq!(by_digest(&mut named, 0).await.status, 401);
    world.refused("unknown_credential").await;
    let mut unknown = world.cpe("S3").await.with("", "");
    unknown.path = format!("/cwmp/{}", secret::new(secret::SETUP_KEY));
    let inform = unknown.inform();
    assert_eq!(unknown.post(&[], &inform).await.status, 401);
    let mut setup = world.cpe("S4").await.with("acme/setup", &key);
    assert_eq!(by_digest(&mut setup, 0).await.status, 200);
}

/// `FAILURES_BURST`
#[tokio::test]
async fn who_guesses_has_to_wait_and_sessions_that_are_open_do_not() {
    let world = world(|_, limits| limits.failures_burst = 2).await;
    let mut inside = world.cpe("S1").await;
    assert_eq!(inside.come().await.status, 200);
    for password in ["wrong", "hes_0123456789abcdefghijklmnopqrstuv"] {
        let mut guess = world.cpe("S2").await.with("acme", password);
        assert_eq!(guess.come().await.status, 401);
    }
    let mut right = world.cpe("S3").await;
    let late = right.come().await;
    assert_eq!(late.status, 503);
    assert!(late.header("Retry-After").is_some());
    world.refused("too-many-failures").await;
    // Asking what to show is free.
    let mut asks = world.cpe("S4").await;
    assert_eq!(asks.post(&[], "").await.status, 401);
    inside.finish().await;
}

/// `FAILURES_PER_SECOND`
#[tokio::test]
async fn who_guessed_is_looked_up_again_soon_and_may_guess_so_much_more() {
    let world = world(|_, limits| limits.failures_burst = 1).await;
    let come = async |password: &str| {
        let mut cpe = world.cpe("S1").await.with("acme", password);
        cpe.come().await.status
    };
    assert_eq!(come("wrong").await, 401);
    let began = std::time::Instant::now();
    // Each that is looked up costs one of those that come back with time.
    let mut guesses = 0;
    while guesses < 10 {
        match come("wrong").await {
            401 => guesses += 1,
            503 => assert!(began.elapsed() < PATIENCE, "{guesses} guesses"),
            other => panic!("{other}"),
        }
    }
    let least = f64::from(guesses) / FAILURES_PER_SECOND;
    assert!(
        began.elapsed().as_secs_f64() >= least,
        "{:?}",
        began.elapsed()
    );
    until("what is right comes in", async || {
        (come(&world.key).await == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_nonce_of_somebody_else_is_told_before_anything_is_looked_up() {
    let world = world(|_, _| {}).await;
    let mut cpe = world.cpe("S1").await.with("nobody-knows-me", "x");
    let asked = cpe.post(&[], "").await;
    let digest = cpe.digest(&digests(&asked)[0]);
    let nonce = digests(&asked)[0].params.get("nonce").unwrap().to_owned();
    let foreign = digest.replace(&nonce, &"A".repeat(nonce.len()));
    let again = cpe.post(&[("Authorization", &foreign)], "").await;
    assert_eq!(digests(&again)[0].params.get("stale"), Some("true"));
    let wrong = cpe.post(&[("Authorization", &digest)], "").await;
    assert_eq!(digests(&wrong)[0].params.get("stale"), None);
}

#[tokio::test]
async fn digest_sees_the_newest_setup_keys_and_the_refusal_says_so() {
    let world = world(|_, _| {}).await;
    for _ in 0..store::limits::SETUP_KEYS_READABLE_MAX {
        add_key(&world.store, &world.vault, &world.tenant, None).await;
    }
    let mut old = world.cpe("S1").await;
    assert_eq!(by_digest(&mut old, 0).await.status, 401);
    let detail = until("it is refused", || async {
        let since = fleet::Timestamp::default();
        let tenant = Some(&world.tenant);
        let all = world.store.refusal_list(tenant, since, 10).await.unwrap();
        all.into_iter().next().map(|record| record.last.detail)
    })
    .await;
    assert!(detail.contains("newest 32 setup keys"), "{detail}");
    old.session().await;
}

#[tokio::test]
async fn a_wrong_password_is_asked_again_and_remembered() {
    each(|world| async move {
        for wrong in ["wrong", &secret::new(secret::SETUP_KEY)] {
            let mut cpe = world.cpe("S1").await.with("acme", wrong);
            let refused = cpe.come().await;
            assert_eq!(refused.status, 401);
            assert!(!digests(&refused).is_empty());
            assert_eq!(by_digest(&mut cpe, 0).await.status, 401);
        }
        world.refused("unknown_credential").await;
        let since = fleet::Timestamp::default();
        let seen = until("the tenant hears of it", || async {
            let seen = world.store.refusal_list(Some(&world.tenant), since, 10);
            Some(seen.await.unwrap()).filter(|seen| !seen.is_empty())
        })
        .await;
        assert!(seen.iter().all(|one| one.last.endpoint_id == "acme"));
        assert!(seen.iter().all(|one| one.last.transport == "cwmp"));
    })
    .await;
}

#[tokio::test]
async fn a_device_comes_with_its_own_credential_and_with_nothing_else_from_then_on() {
    each(|world| async move {
        let mut cpe = world.cpe("S1").await;
        cpe.session().await;
        let device = world.device("Box", "S1").await;
        let password = credential(&world, device, 1).await;
        let (id, key) = (device.to_string(), world.key.clone());
        // Not taken yet: it may still come with the key.
        cpe.session().await;
        let password = match world.path(device).await.pending_at {
            Some(_) => password,
            None => credential(&world, device, 1).await,
        };
        cpe = world.cpe("S1").await.with(&id, &password);
        assert_eq!(by_digest(&mut cpe, 0).await.status, 200);
        cpe.finish().await;
        let path = world.path(device).await;
        assert!(path.has_current && path.pending_at.is_none());
        assert_eq!(path.authenticated_by, "device_token");
        // By Basic, too.
        let mut basic = world.cpe("S1").await.with(&id, &password);
        basic.session().await;
        let mut reset = world.cpe("S1").await.with("acme", &key);
        assert_eq!(reset.come().await.status, 403);
        world.refused("readmit_needed").await;
        // Nobody else comes in with it, and not under another user name.
        let mut thief = world.cpe("S2").await.with(&id, &password);
        assert_eq!(thief.come().await.status, 403);
        world.refused("endpoint_mismatch").await;
        let mut named = world.cpe("S1").await.with("acme", &password);
        assert_eq!(named.come().await.status, 401);
        // A newer one: the one before serves until the newer one is seen.
        let newer = credential(&world, device, 2).await;
        let mut before = world.cpe("S1").await.with(&id, &password);
        assert_eq!(by_digest(&mut before, 0).await.status, 200);
        before.finish().await;
        let mut after = world.cpe("S1").await.with(&id, &newer);
        assert_eq!(by_digest(&mut after, 0).await.status, 200);
        after.finish().await;
        let mut late = world.cpe("S1").await.with(&id, &password);
        assert_eq!(late.come().await.status, 401);
        world.refused("token_superseded").await;
    })
    .await;
}

#[tokio::test]
async fn a_device_that_has_taken_its_new_name_and_not_yet_its_password_still_comes_with_the_setup_key()
 {
    each(|world| async move {
        let mut cpe = world.cpe("S1").await;
        cpe.session().await;
        let device = world.device("Box", "S1").await;
        let password = credential(&world, device, 1).await;
        let (id, key) = (device.to_string(), world.key.clone());
        for nth in [0, 1] {
            let mut torn = world.cpe("S1").await.with(&id, &key);
            assert_eq!(by_digest(&mut torn, nth).await.status, 200);
            torn.finish().await;
            assert!(world.path(device).await.pending_at.is_some());
        }
        let mut torn = world.cpe("S1").await.with(&id, &key);
        torn.session().await;
        // Neither is any other password good, nor the setup key once it has come with its own.
        let wrong = secret::new(secret::SETUP_KEY);
        let mut guess = world.cpe("S1").await.with(&id, &wrong);
        assert_eq!(by_digest(&mut guess, 0).await.status, 401);
        let mut whole = world.cpe("S1").await.with(&id, &password);
        assert_eq!(by_digest(&mut whole, 0).await.status, 200);
        whole.finish().await;
        let mut late = world.cpe("S1").await.with(&id, &key);
        assert_eq!(by_digest(&mut late, 0).await.status, 401);
    })
    .await;
}

#[tokio::test]
async fn a_device_of_the_path_key_that_has_its_own_credential_is_asked_for_it() {
    let world = world(|_, _| {}).await;
    let mut cpe = world.cpe("S1").await;
    cpe.session().await;
    let device = world.device("Box", "S1").await;
    let password = credential(&world, device, 1).await;
    let id = device.to_string();
    let mut cpe = world.cpe("S1").await.with(&id, &password);
    cpe.path = format!("/cwmp/{}", world.key);
    cpe.session().await;
    cpe.cookie = None;
    cpe.reconnect().await;
    assert_eq!(by_digest(&mut cpe, 0).await.status, 200);
}

#[tokio::test]
async fn who_listened_does_not_come_in_with_what_was_shown_before() {
    let world = world(|_, _| {}).await;
    for qop in [true, false] {
        let mut cpe = world.cpe(&format!("S{qop}")).await;
        let asked = cpe.post(&[], "").await;
        let mut challenge = digests(&asked).remove(0);
        if !qop {
            let text = asked.header("WWW-Authenticate").unwrap();
            let text = text.replace("qop=\"auth\", ", "");
            challenge = cwmp::auth::challenge::challenges([text.as_str()]).remove(0);
        }
        let (digest, inform) = (cpe.digest(&challenge), cpe.inform());
        let first = cpe.post(&[("Authorization", &digest)], &inform).await;
        assert_eq!(first.status, 200);
        cpe.finish().await;
        let mut thief = world.cpe(&format!("S{qop}")).await;
        let again = thief.post(&[("Authorization", &digest)], &inform).await;
        assert_eq!(again.status, 401);
        assert_eq!(digests(&again)[0].params.get("stale"), Some("true"));
    }
    // Whoever counts goes on with the nonce.
    let mut cpe = world.cpe("S3").await;
    let asked = cpe.post(&[], "").await;
    let challenge = digests(&asked).remove(0);
    for _ in 0..3 {
        let (digest, inform) = (cpe.digest(&challenge), cpe.inform());
        let informed = cpe.post(&[("Authorization", &digest)], &inform).await;
        assert_eq!(informed.status, 200);
        cpe.finish().await;
        cpe.cookie = None;
        cpe.reconnect().await;
    }
}

/// `NONCE_LIFE`
#[tokio::test]
async fn a_nonce_grows_old_and_the_device_is_told_so() {
    let world = world(|_, limits| limits.nonce_life = Duration::ZERO).await;
    let mut cpe = world.cpe("S1").await;
    let asked = cpe.post(&[], "").await;
    let challenge = digests(&asked).remove(0);
    until("the nonce is old", || async {
        let mut cpe = world.cpe("S1").await;
        let (digest, inform) = (cpe.digest(&challenge), cpe.inform());
        let answer = cpe.post(&[("Authorization", &digest)], &inform).await;
        let stale = answer.status == 401 && digests(&answer)[0].params.get("stale") == Some("true");
        stale.then_some(())
    })
    .await;
    assert!(
        !world
            .reasons()
            .await
            .contains(&"unknown_credential".to_owned())
    );
}

#[tokio::test]
async fn a_second_node_knows_the_nonce_and_makes_a_device_whose_session_is_elsewhere_begin_anew() {
    each(|world| async move {
        let elsewhere = world.another_node().await;
        let mut cpe = world.cpe("S1").await;
        let asked = cpe.post(&[], "").await;
        let challenge = digests(&asked).remove(0);
        let (digest, inform) = (cpe.digest(&challenge), cpe.inform());
        cpe.to = elsewhere;
        cpe.reconnect().await;
        let informed = cpe.post(&[("Authorization", &digest)], &inform).await;
        assert_eq!(informed.status, 200);
        // The rest of it goes to the first node, with good credentials.
        cpe.to = world.http;
        cpe.reconnect().await;
        // An empty POST is not its end: 204 would keep the device away until its next interval.
        let (basic, lost) = (cpe.basic(), crate::raw::fault("x", 9002));
        for body in ["", &lost] {
            assert_eq!(cpe.post(&[], body).await.status, 401);
            let refused = cpe.post(&[("Authorization", &basic)], body).await;
            assert_eq!(refused.status, 400);
        }
        world.refused("session-elsewhere").await;
        // An Inform begins anew, whatever cookie is still in its jar; that is no complaint.
        let cookie = cpe.cookie.clone();
        cpe.session().await;
        assert_ne!(cpe.cookie, cookie);
        world.quiet().await;
        until("both are remembered, and nothing else", || async {
            let since = fleet::Timestamp::default();
            let found = world.store.refusal_list(Some(&world.tenant), since, 9);
            let found = found.await.unwrap();
            (found.len() == 1 && found[0].times == 2).then_some(())
        })
        .await;
        assert_eq!(world.reasons().await, ["session-elsewhere"]);
    })
    .await;
}

#[tokio::test]
async fn keys_that_are_used_up_or_revoked_and_disabled_tenants_let_nobody_new_in() {
    each(|world| async move {
        let (store, tenant) = (&world.store, &world.tenant);
        let (_, key) = add_key(store, &world.vault, tenant, Some(1)).await;
        let mut first = world.cpe("S1").await.with("acme", &key);
        first.session().await;
        // It still serves the one it has let in.
        first.session().await;
        let mut second = world.cpe("S2").await.with("acme", &key);
        assert_eq!(second.come().await.status, 401);
        world.refused("setup_key_unusable").await;
        let revoked = store.setup_key_revoke(tenant, world.key_id, now(), vec![]);
        revoked.await.unwrap();
        let mut third = world.cpe("S3").await;
        assert_eq!(third.come().await.status, 401);
        let patch = store::TenantPatch {
            disabled_at: Some(Some(now())),
            ..Default::default()
        };
        let disabled = store.tenant_update(tenant, patch, vec![]);
        disabled.await.unwrap();
        assert_eq!(first.come().await.status, 403);
        world.refused("tenant_disabled").await;
    })
    .await;
}

/// `SETUP_KEY_BURST`
#[tokio::test]
async fn a_setup_key_that_is_used_too_often_waits() {
    let world = world(|_, limits| {
        (limits.setup_key_burst, limits.setup_key_per_second) = (2.0, 0.001);
    })
    .await;
    for serial in ["S1", "S2"] {
        world.cpe(serial).await.session().await;
    }
    let mut third = world.cpe("S3").await;
    assert_eq!(third.come().await.status, 503);
    world.refused("setup_key_limited").await;
}

#[tokio::test]
async fn devices_of_two_makers_or_classes_with_one_serial_number_stay_apart() {
    each(|world| async move {
        let mut seen = Vec::new();
        for (oui, class) in [("00256D", "Box"), ("A0B1C2", "Box"), ("00256D", "Mesh")] {
            let mut cpe = world.cpe("S1").await;
            (cpe.oui, cpe.class) = (oui.to_owned(), class.to_owned());
            cpe.session().await;
            let identity = fleet::Identity::of_serial(oui, class, "S1").remove(0);
            let found = world.store.device_by_identity(&world.tenant, &identity);
            seen.push(found.await.unwrap().unwrap());
        }
        assert!(seen[0] != seen[1] && seen[1] != seen[2] && seen[0] != seen[2]);
        // The same device, whose firmware writes its OUI otherwise or leaves the class out.
        let mut cpe = world.cpe("S1").await;
        cpe.oui = "00256d".to_owned();
        cpe.session().await;
        let mut none = world.cpe("").await;
        assert_eq!(none.come().await.status, 400);
        world.refused("endpoint_missing").await;
        // No OUI at all, as happens.
        let mut maker = world.cpe("S9").await;
        maker.oui = String::new();
        maker.session().await;
    })
    .await;
}
