//! A session from its Inform to the empty answer, however HTTP carries it.

use crate::raw::{Wire, inform, request};
use crate::rig::{each, world};

#[tokio::test]
async fn a_device_with_the_setup_key_is_registered_and_its_session_ends() {
    each(|world| async move {
        let mut cpe = world.cpe("S1").await;
        cpe.session().await;
        let device = world.device("Box", "S1").await;
        let record = world.store.device(&world.tenant, device).await.unwrap();
        assert_eq!(record.protocol, "cwmp");
        assert_eq!(record.device.description.serial, "S1");
        let path = world.store.path(&world.tenant, device, "cwmp").await;
        let path = path.unwrap().unwrap();
        assert_eq!(path.endpoint_id, "00256D-Box-S1");
        assert_eq!(path.authenticated_by, "setup_key");
        assert_eq!(path.setup_key, Some(world.key_id));
        // Once more over the same connection: the same device.
        cpe.session().await;
        drop(cpe);
        world.quiet().await;
        let keys = world.store.setup_key_list(&world.tenant).await.unwrap();
        assert_eq!(keys[0].uses, 1);
        assert!(world.reasons().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_session_goes_on_over_another_connection_by_its_cookie_and_over_its_own_without() {
    let world = world(|_, _| {}).await;
    let mut cpe = world.cpe("S1").await;
    assert_eq!(cpe.come().await.status, 200);
    cpe.reconnect().await;
    cpe.finish().await;
    let mut bare = world.cpe("S2").await;
    assert_eq!(bare.come().await.status, 200);
    bare.cookie = None;
    let next = bare.post(&[], "").await;
    assert!(matches!(next.status, 200 | 204), "{}", next.status);
    // Neither cookie nor connection: it has to say who it is.
    let mut lost = world.cpe("S3").await;
    assert_eq!(lost.come().await.status, 200);
    lost.cookie = None;
    lost.reconnect().await;
    assert_eq!(lost.post(&[], "").await.status, 401);
}

#[tokio::test]
async fn clients_of_http_1_0_and_those_that_close_after_each_request_are_served() {
    let world = world(|_, _| {}).await;
    let cpe = world.cpe("S1").await;
    let basic = cpe.basic();
    let mut old = Wire::connect(world.http).await;
    let headers = [("Authorization", basic.as_str())];
    old.send(request("HTTP/1.0", "/acs", &headers, &cpe.inform()))
        .await;
    let informed = old.answer().await;
    assert_eq!(informed.status, 200);
    assert!(old.maybe().await.is_none(), "it is closed as HTTP/1.0 is");
    let cookie = informed.cookie().unwrap();
    let mut next = Wire::connect(world.http).await;
    let headers = [("Cookie", cookie.as_str()), ("Connection", "close")];
    let end = next.post("/anywhere/else?x=1", &headers, "").await;
    assert!(matches!(end.status, 200 | 204), "{}", end.status);
    assert!(next.maybe().await.is_none());
    // HTTP/1.0 with keep-alive.
    let mut kept = Wire::connect(world.http).await;
    let headers = [
        ("Authorization", basic.as_str()),
        ("Connection", "Keep-Alive"),
    ];
    kept.send(request("HTTP/1.0", "/", &headers, &cpe.inform()))
        .await;
    assert_eq!(kept.answer().await.status, 200);
    kept.send(request(
        "HTTP/1.0",
        "/",
        &[("Connection", "keep-alive")],
        "",
    ))
    .await;
    assert!(matches!(kept.answer().await.status, 200 | 204));
}

#[tokio::test]
async fn a_body_in_chunks_one_that_is_announced_and_one_without_a_type_are_taken() {
    let world = world(|_, _| {}).await;
    let basic = world.cpe("S1").await.basic();
    let body = inform("00256D", "Box", "S1", "0 BOOTSTRAP");
    let mut wire = Wire::connect(world.http).await;
    let chunked = [
        ("Authorization", basic.as_str()),
        ("Transfer-Encoding", "chunked"),
    ];
    wire.send(request("HTTP/1.1", "/", &chunked, "")).await;
    for piece in body.as_bytes().chunks(700) {
        wire.send(format!("{:x};ext=1\r\n", piece.len())).await;
        wire.send(piece).await;
        wire.send("\r\n").await;
    }
    wire.send("0\r\n\r\n").await;
    assert_eq!(wire.answer().await.status, 200);
    let next = wire.post("/", &[], "").await;
    assert!(matches!(next.status, 200 | 204), "{}", next.status);
    // It waits for the word before it sends its body.
    let mut polite = Wire::connect(world.http).await;
    let length = body.len().to_string();
    let expecting = [
        ("Authorization", basic.as_str()),
        ("Expect", "100-continue"),
        ("Content-Length", length.as_str()),
    ];
    polite.send(request("HTTP/1.1", "/", &expecting, "")).await;
    assert_eq!(polite.interim().await, 100);
    polite.send(&body).await;
    assert_eq!(polite.answer().await.status, 200);
}
