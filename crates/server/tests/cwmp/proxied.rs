//! Behind a proxy of ours: devices are who they say over connections that they share, and come from
//! where the proxy says; whoever else says so is not believed.

use std::time::Duration;

use crate::quirks::with_packs;
use crate::raw::{Cpe, inform};
use crate::rig::{World, add_key, until, world};

async fn behind(max: usize) -> World {
    world(|config, limits| {
        with_packs(config);
        config.cwmp.proxies = vec!["127.0.0.1".parse().unwrap()];
        limits.sessions_per_address_max = max;
    })
    .await
}

/// An Inform of a device at an address, over the connection of another.
async fn come(cpe: &mut Cpe, serial: &str, from: &str) -> (u16, Option<String>) {
    let (basic, inform) = (cpe.basic(), inform("00256D", "Box", serial, "2 PERIODIC"));
    let headers = [
        ("Authorization", basic.as_str()),
        ("X-Forwarded-For", from),
        ("X-Forwarded-Proto", "https"),
    ];
    cpe.cookie = None;
    let answer = cpe.post(&headers, &inform).await;
    (answer.status, answer.cookie())
}

#[tokio::test]
async fn two_devices_over_one_connection_are_told_apart_by_cookie_and_shown_where_they_are() {
    let world = behind(100).await;
    let mut wire = world.cpe("X").await;
    let (status, first) = come(&mut wire, "S1", "198.51.100.7, 203.0.113.1").await;
    assert_eq!(status, 200);
    let (status, second) = come(&mut wire, "S2", "203.0.113.2").await;
    assert_eq!(status, 200);
    assert_ne!(first, second);
    for cookie in [first, second] {
        wire.cookie = cookie;
        wire.finish().await;
    }
    // Without a cookie nobody knows whose it is, whatever the connection carried.
    wire.cookie = None;
    assert_eq!(wire.post(&[], "").await.status, 401);
    for (serial, from) in [("S1", "203.0.113.1"), ("S2", "203.0.113.2")] {
        let device = world.device("Box", serial).await;
        let path = world.path(device).await;
        assert!(path.peer.starts_with(from), "{}", path.peer);
        assert_eq!(path.info["tls"], true);
    }
    let bad = [
        ("X-Forwarded-For", "203.0.113.9"),
        ("Authorization", "Basic bm9ib2R5OngK"),
    ];
    assert_eq!(wire.post(&bad, "").await.status, 401);
    until("the doctor shows its address", || async {
        let found = world
            .store
            .refusal_list(None, fleet::Timestamp::default(), 100);
        let found = found.await.unwrap();
        let mut peers = found.into_iter().map(|record| record.last.peer);
        peers
            .any(|peer| peer.starts_with("203.0.113.9"))
            .then_some(())
    })
    .await;
}

/// `SESSIONS_PER_ADDRESS_MAX`
#[tokio::test]
async fn one_address_behind_the_proxy_has_only_so_many_sessions() {
    let world = behind(2).await;
    let mut wire = world.cpe("X").await;
    let (_, first) = come(&mut wire, "S1", "203.0.113.1").await;
    assert_eq!(come(&mut wire, "S2", "203.0.113.1").await.0, 200);
    assert_eq!(come(&mut wire, "S3", "203.0.113.1").await.0, 503);
    assert_eq!(come(&mut wire, "S4", "203.0.113.4").await.0, 200);
    world.refused("too-many-from-address").await;
    wire.cookie = first;
    wire.finish().await;
    until("there is room again", || async {
        let mut wire = world.cpe("X").await;
        // Its first session has ended only after a moment in which it may still speak.
        (come(&mut wire, "S3", "203.0.113.1").await.0 == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_device_without_cookies_goes_on_behind_a_proxy_that_tells_its_port() {
    let world = behind(100).await;
    // One that no pack knows drops the cookie; the other one is given none.
    for (class, from) in [
        ("Box", "203.0.113.1:5001"),
        ("IGD-2069", "[203.0.113.1]:5002"),
        ("IGD-2069", "[2001:db8::7]:5001"),
    ] {
        let mut wire = world.cpe("S1").await;
        let (basic, inform) = (wire.basic(), inform("00256D", class, "S1", "2 PERIODIC"));
        let post = async |wire: &mut Cpe, from: &str, basic: &str| {
            wire.cookie = None;
            let proof = (!basic.is_empty()).then_some(("Authorization", basic));
            let headers = [("X-Forwarded-For", from)].into_iter().chain(proof);
            wire.post(&headers.collect::<Vec<_>>(), "").await
        };
        let first = [("Authorization", basic.as_str()), ("X-Forwarded-For", from)];
        let informed = wire.post(&first, &inform).await;
        assert_eq!(informed.status, 200, "{}", informed.text());
        assert_eq!(informed.cookie().is_some(), class == "Box");
        let another = from.replace("500", "600");
        for stranger in [&another, "203.0.113.1", "203.0.113.9:5001"] {
            assert_eq!(
                post(&mut wire, stranger, "").await.status,
                401,
                "{stranger}"
            );
        }
        // The proxy closes its connection and takes another one.
        wire.reconnect().await;
        // Who has the device's address and port now has proved nothing: he is asked.
        assert_eq!(post(&mut wire, from, "").await.status, 401);
        assert_eq!(post(&mut wire, from, &basic).await.status, 204);
    }
    world.quiet().await;
    assert!(
        !world
            .reasons()
            .await
            .contains(&"session-silence".to_owned())
    );
}

#[tokio::test]
async fn another_one_at_the_address_and_port_of_a_session_behind_a_proxy_gets_nothing_of_it() {
    let mut world = behind(100).await;
    let from = "203.0.113.1:5001";
    let mut wire = world.cpe("S1").await;
    assert_eq!(come(&mut wire, "S1", from).await.0, 200);
    let device = world.device("Box", "S1").await;
    world.can_be_asked(device).await;
    let (_, key) = add_key(&world.store, &world.vault, &world.tenant, None).await;
    let mut other = world.cpe("S2").await.with("acme", &key);
    let basic = other.basic();
    let proved = [("Authorization", &*basic), ("X-Forwarded-For", from)];
    assert_eq!(other.post(&proved[1..], "").await.status, 401);
    // A session of its own, and not that of the device.
    let inform = inform("00256D", "Box", "S2", "2 PERIODIC");
    assert_eq!(other.post(&proved, &inform).await.status, 200);
    let reasons = world.reasons().await;
    assert!(
        !reasons.contains(&"another-device".to_owned()),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn a_device_that_cannot_bear_cookies_is_refused_behind_a_proxy_that_does_not_tell_its_port() {
    let world = behind(100).await;
    let mut wire = world.cpe("S1").await;
    let (basic, inform) = (
        wire.basic(),
        inform("00256D", "IGD-2069", "S1", "2 PERIODIC"),
    );
    let headers = [
        ("Authorization", basic.as_str()),
        ("X-Forwarded-For", "203.0.113.1"),
    ];
    assert_eq!(wire.post(&headers, &inform).await.status, 403);
    world.refused("no-cookie-behind-proxy").await;
    world.quiet().await;
    // By itself it goes on over its connection.
    let world = crate::rig::world(|config, _| with_packs(config)).await;
    let mut alone = world.cpe("S1").await;
    alone.class = "IGD-2069".to_owned();
    alone.session().await;
}

/// Takes as long as the shortest silence is.
#[tokio::test]
async fn why_a_device_without_cookies_is_asked_nothing_behind_a_proxy_without_ports_is_named() {
    let world = behind(100).await;
    let from = "203.0.113.1";
    let mut wire = world.cpe("S1").await;
    let basic = wire.basic();
    let proved = |from| [("Authorization", &*basic), ("X-Forwarded-For", from)];
    for _ in 0..2 {
        assert_eq!(come(&mut wire, "S1", from).await.0, 200);
        // It goes on without its cookie: what it says is nobody's. Then it begins anew.
        wire.cookie = None;
        assert_eq!(wire.post(&proved(from), "").await.status, 204);
    }
    world
        .refused_of("no-cookie-behind-proxy", "00256D-Box-S1")
        .await;
    // This one says nothing more.
    assert_eq!(come(&mut wire, "S2", "203.0.113.2").await.0, 200);
    let silent = async {
        while world.adapter.sessions() > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(90), silent).await;
    assert!(told.is_ok(), "its silence ends it");
    world.refused_of("session-silence", "00256D-Box-S2").await;
    let reasons = world.reasons().await;
    assert!(!reasons.contains(&"session-replaced".to_owned()));
    // The address alone, and no port that nobody told.
    let device = world.device("Box", "S1").await;
    assert_eq!(world.path(device).await.peer, from);
}

#[tokio::test]
async fn who_is_no_proxy_of_ours_is_where_it_comes_from() {
    let world = world(|_, _| {}).await;
    let mut wire = world.cpe("X").await;
    assert_eq!(come(&mut wire, "S1", "203.0.113.1").await.0, 200);
    let device = world.device("Box", "S1").await;
    let path = world.path(device).await;
    assert!(path.peer.starts_with("127.0.0.1:"), "{}", path.peer);
    assert_eq!(path.info["tls"], false);
}
