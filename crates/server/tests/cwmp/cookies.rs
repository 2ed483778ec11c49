//! A session's cookie in the hands of somebody who proves to be somebody else.

use cwmp::auth::challenge::Challenge;
use fleet::{DeviceId, TenantId};

use crate::raw::Cpe;
use crate::rig::{World, add_key, add_tenant, credential, each, until, world};

/// A CPE with a credential of its own.
async fn owner(world: &World, serial: &str) -> (Cpe, DeviceId) {
    world.cpe(serial).await.session().await;
    let device = world.device("Box", serial).await;
    let password = credential(world, device, 1).await;
    let cpe = world.cpe(serial).await;
    (cpe.with(&device.to_string(), &password), device)
}

/// What the doctor knows of a cookie of somebody else's in the name of a tenant: who showed it, and in words.
async fn named(world: &World, tenant: &TenantId) -> (String, String) {
    until("it is named", || async {
        let since = fleet::Timestamp::default();
        let found = world.store.refusal_list(Some(tenant), since, 100).await;
        let mut found = found.unwrap().into_iter().map(|record| record.last);
        let one = found.find(|one| one.reason == "foreign-cookie")?;
        Some((one.endpoint_id, one.detail))
    })
    .await
}

#[tokio::test]
async fn who_proves_to_be_another_device_gets_nothing_of_the_session_whose_cookie_it_shows() {
    each(|world| async move {
        let (mut own, _) = owner(&world, "S1").await;
        let (mut other, device) = owner(&world, "S2").await;
        assert_eq!(own.come().await.status, 200);
        let asked = other.post(&[], "").await;
        let digest = |one: &Challenge| one.scheme == "digest";
        let challenge = asked.challenges().into_iter().find(digest).unwrap();
        other.cookie = own.cookie.clone();
        let inform = other.inform();
        for body in ["", &inform, &crate::raw::fault("7", 9002)] {
            for by_digest in [true, false] {
                let proof = match by_digest {
                    true => other.digest(&challenge),
                    false => other.basic(),
                };
                let refused = other.post(&[("Authorization", &proof)], body).await;
                assert_eq!(refused.status, 403, "{body:.20}");
                assert!(refused.cookie().is_none());
            }
        }
        let (name, words) = named(&world, &world.tenant).await;
        assert_eq!(name, device.to_string());
        assert!(words.contains("00256D-Box-S1"), "{words}");
        // The session of the one goes on, and the other one has its own.
        own.reconnect().await;
        own.finish().await;
        other.cookie = None;
        other.session().await;
        let reasons = world.reasons().await;
        assert_eq!(reasons, ["foreign-cookie"]);
    })
    .await;
}

#[tokio::test]
async fn who_showed_what_was_right_once_is_looked_at_again() {
    let world = world(|_, _| {}).await;
    let (mut own, _) = owner(&world, "S1").await;
    let (mut other, _) = owner(&world, "S2").await;
    let asked = other.post(&[], "").await;
    let digest = |one: &Challenge| one.scheme == "digest";
    let challenge = asked.challenges().into_iter().find(digest).unwrap();
    let used = other.digest(&challenge);
    let unknown = crate::raw::envelope("8", "<cwmp:X_Dance/>");
    let shows = async |other: &mut Cpe, proof: &str| {
        let headers = [("Authorization", proof)];
        other.post(&headers, &unknown).await.status
    };
    let headers = [("Authorization", used.as_str())];
    assert_eq!(other.post(&headers, "").await.status, 204);
    assert_eq!(own.come().await.status, 200);
    other.cookie = own.cookie.clone();
    other.reconnect().await;
    // Used before, it proves nothing; asked anew its device would show the next one.
    assert_eq!(shows(&mut other, &used).await, 200);
    let next = other.digest(&challenge);
    assert_eq!(shows(&mut other, &next).await, 403);
    own.reconnect().await;
    own.finish().await;
}

/// `FAILURES_BURST`
#[tokio::test]
async fn wrong_credentials_count_where_a_cookie_has_let_them_in_too() {
    let world = world(|_, limits| limits.failures_burst = 2).await;
    let mut own = world.cpe("S1").await;
    assert_eq!(own.come().await.status, 200);
    let unknown = crate::raw::envelope("8", "<cwmp:X_Dance/>");
    for password in ["one", "two"] {
        let basic = cwmp::auth::basic::authorization("S2", password);
        let answer = own.post(&[("Authorization", &basic)], &unknown).await;
        assert_eq!(answer.status, 200);
    }
    let mut late = world.cpe("S3").await;
    assert_eq!(late.come().await.status, 503);
    world.refused("too-many-failures").await;
    own.finish().await;
}

#[tokio::test]
async fn a_device_of_another_tenant_gets_nothing_of_it_and_does_not_hear_whose_it_is() {
    let world = world(|_, _| {}).await;
    let beta = TenantId::parse("beta").unwrap();
    add_tenant(&world.store, &beta).await;
    let (_, key) = add_key(&world.store, &world.vault, &beta, None).await;
    let mut own = world.cpe("S1").await;
    assert_eq!(own.come().await.status, 200);
    // A setup key is proof of its tenant, whatever name it comes with.
    let user = own.username.clone();
    let mut other = world.cpe("S1").await.with(&user, &key);
    let mut by_path = world.cpe("S1").await.with("", "");
    by_path.path = format!("/cwmp/{key}");
    for cpe in [&mut other, &mut by_path] {
        cpe.cookie = own.cookie.clone();
        let basic = cpe.basic();
        let proof = (!cpe.password.is_empty()).then_some(("Authorization", &*basic));
        let proof: Vec<_> = proof.into_iter().collect();
        assert_eq!(cpe.post(&proof, "").await.status, 403);
    }
    let (_, words) = named(&world, &beta).await;
    assert_eq!(words, "it shows the cookie of a session of another device");
    own.finish().await;
    let since = fleet::Timestamp::default();
    let ours = world.store.refusal_list(Some(&world.tenant), since, 100);
    assert!(ours.await.unwrap().is_empty());
}

#[tokio::test]
async fn a_device_may_show_its_new_credential_or_a_wrong_one_beside_the_cookie() {
    let world = world(|_, _| {}).await;
    let mut cpe = world.cpe("S1").await;
    assert_eq!(cpe.come().await.status, 200);
    let device = world.device("Box", "S1").await;
    let password = credential(&world, device, 1).await;
    let user = device.to_string();
    let key = world.key.clone();
    let proofs = [
        (&*user, &*password),
        ("admin", "admin"),
        (&*user, &*key),
        ("acme", &*key),
    ];
    for (user, password) in proofs {
        let basic = cwmp::auth::basic::authorization(user, password);
        let unknown = crate::raw::envelope("8", "<cwmp:X_Dance/>");
        let answer = cpe.post(&[("Authorization", &basic)], &unknown).await;
        assert_eq!(answer.status, 200, "{user}");
        cpe.reconnect().await;
    }
    cpe.finish().await;
    world.refused("unknown-method").await;
    assert_eq!(world.reasons().await, ["unknown-method"]);
}
