//! What bad input gets: bounded, answered, and named.

use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use fleet::Southbound;
use std::io::Write;

use crate::raw::{Cpe, Wire, envelope, fault, inform, request};
use crate::rig::{PATIENCE, World, each, world};

async fn shown(cpe: &mut Cpe, body: &str) -> u16 {
    let basic = cpe.basic();
    cpe.post(&[("Authorization", &basic)], body).await.status
}

#[tokio::test]
async fn what_is_no_inform_opens_no_session() {
    each(|world| async move {
        let mut cpe = world.cpe("S1").await;
        let bomb = format!(
            r#"<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>{}"#,
            cpe.inform().replace("S1", "&b;")
        );
        for (body, reason) in [
            ("<soap", "broken-message"),
            ("not xml at all", "broken-message"),
            (r#"{"json": true}"#, "broken-message"),
            ("<html><body>hello</body></html>", "broken-message"),
            (&bomb, "broken-message"),
            (&fault("7", 9002), "no-session"),
            (&envelope("7", "<cwmp:RebootResponse/>"), "no-session"),
        ] {
            assert_eq!(shown(&mut cpe, body).await, 400, "{body:.40}");
            world.refused(reason).await;
        }
        world.quiet().await;
        // Nothing to say is no crime: a probe.
        assert_eq!(shown(&mut cpe, "").await, 204);
        assert_eq!(shown(&mut cpe, " \r\n").await, 204);
        cpe.session().await;
    })
    .await;
}

#[tokio::test]
async fn nonsense_in_the_middle_of_a_session_is_answered_and_the_session_goes_on() {
    let world = world(|_, _| {}).await;
    let mut cpe = world.cpe("S1").await;
    assert_eq!(cpe.come().await.status, 200);
    let unknown = cpe.post(&[], &envelope("8", "<cwmp:X_Dance/>")).await;
    assert_eq!(unknown.status, 200);
    assert!(unknown.text().contains("8000"), "{}", unknown.text());
    let broken = cpe.post(&[], "<soap").await;
    assert_eq!(broken.status, 200);
    assert!(broken.text().contains("8003"), "{}", broken.text());
    for reason in ["unknown-method", "broken-message"] {
        world.refused(reason).await;
    }
    cpe.finish().await;
}

#[tokio::test]
async fn a_device_that_calls_itself_otherwise_has_to_prove_that() {
    let world = world(|_, _| {}).await;
    let mut cpe = world.cpe("S1").await;
    assert_eq!(cpe.come().await.status, 200);
    let other = inform("00256D", "Box", "S2", "2 PERIODIC");
    assert_eq!(cpe.post(&[], &other).await.status, 401);
    world.refused("another-device").await;
    world.quiet().await;
    let identity = fleet::Identity::of_serial("00256D", "Box", "S2").remove(0);
    let found = world.store.device_by_identity(&world.tenant, &identity);
    assert_eq!(found.await.unwrap(), None);
    cpe.serial = "S2".to_owned();
    cpe.session().await;
}

#[tokio::test]
async fn of_two_sessions_of_one_device_the_newer_goes_on() {
    each(|world| async move {
        let mut older = world.cpe("S1").await;
        assert_eq!(older.come().await.status, 200);
        let mut newer = world.cpe("S1").await;
        assert_eq!(newer.come().await.status, 200);
        // The older one's cookie leads nowhere any more.
        let late = older.post(&[], "").await.status;
        assert_eq!(late, 401);
        newer.finish().await;
        world.quiet().await;
    })
    .await;
}

#[tokio::test]
async fn a_session_that_begins_anew_over_its_own_connection_is_the_same_device() {
    let world = world(|_, _| {}).await;
    let mut cpe = world.cpe("S1").await;
    for _ in 0..3 {
        let again = cpe.inform().replace("2 PERIODIC", "1 BOOT");
        assert_eq!(cpe.come().await.status, 200);
        assert_eq!(cpe.post(&[], &again).await.status, 200);
    }
    cpe.finish().await;
    let devices = world.reasons().await;
    assert!(devices.is_empty(), "{devices:?}");
}

/// `SESSION_TIME_MAX`
#[tokio::test]
async fn a_session_without_end_is_ended_and_the_device_comes_again() {
    let world = world(|_, limits| limits.session_time_max = Duration::from_secs(2)).await;
    let mut cpe = world.cpe("S1").await;
    assert_eq!(cpe.come().await.status, 200);
    world.refused("session-too-long").await;
    world.quiet().await;
    // Resumed after hours, without and with a proof of who it is.
    assert_eq!(cpe.post(&[], "").await.status, 401);
    assert_eq!(shown(&mut cpe, "").await, 204);
    assert_eq!(shown(&mut cpe, &fault("1", 9002)).await, 400);
}

/// `BODY_BYTES_MAX`
#[tokio::test]
async fn bodies_without_end_are_refused_announced_or_not() {
    let world = world(|_, _| {}).await;
    let mut cpe = world.cpe("S1").await;
    let (basic, size) = (cpe.basic(), cwmp::limits::BODY_BYTES_MAX + 1);
    let length = size.to_string();
    let announced = [
        ("Authorization", basic.as_str()),
        ("Content-Length", &length),
    ];
    cpe.wire
        .send(request("HTTP/1.1", "/", &announced, ""))
        .await;
    assert_eq!(cpe.wire.answer().await.status, 413);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&vec![b' '; size]).unwrap();
    let bomb = gzip.finish().unwrap();
    let length = bomb.len().to_string();
    let packed = [
        ("Authorization", basic.as_str()),
        ("Content-Encoding", "gzip"),
        ("Content-Length", &length),
    ];
    let mut wire = Wire::connect(world.http).await;
    wire.send(request("HTTP/1.1", "/", &packed, "")).await;
    wire.send(&bomb).await;
    assert_eq!(wire.answer().await.status, 413);
    world.refused("body-too-large").await;
    // Of somebody who shows nothing, nothing is kept.
    let mut nobody = Wire::connect(world.http).await;
    let length = size.to_string();
    nobody
        .send(request("HTTP/1.1", "/", &[("Content-Length", &length)], ""))
        .await;
    nobody.send(vec![b' '; super::DRAINED_BYTES_MAX + 1]).await;
    assert_eq!(nobody.answer().await.status, 401);
}

#[tokio::test]
async fn packed_bodies_are_taken_and_what_is_packed_otherwise_is_named() {
    let world = world(|_, _| {}).await;
    let cpe = world.cpe("S1").await;
    let basic = cpe.basic();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(cpe.inform().as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    for (encoding, body, status, reason) in [
        ("gzip", &packed[..], 200, ""),
        ("br", b"xxxx", 415, "body-encoding"),
        ("gzip", b"xxxx", 400, "body-garbled"),
    ] {
        let length = body.len().to_string();
        let headers = [
            ("Authorization", basic.as_str()),
            ("Content-Encoding", encoding),
            ("Content-Length", &length),
        ];
        let mut wire = Wire::connect(world.http).await;
        wire.send(request("HTTP/1.1", "/", &headers, "")).await;
        wire.send(body).await;
        let answer = wire.answer().await;
        assert_eq!(answer.status, status, "{encoding}");
        if !reason.is_empty() {
            world.refused(reason).await;
        }
        if status == 415 {
            assert_eq!(answer.header("Accept-Encoding"), Some("gzip, deflate"));
        }
    }
}

/// `BODY_SILENCE_MAX`
#[tokio::test]
async fn a_body_that_stops_is_given_up() {
    let world = world(|_, limits| limits.body_silence_max = Duration::from_millis(200)).await;
    let mut cpe = world.cpe("S1").await;
    let basic = cpe.basic();
    let headers = [("Authorization", basic.as_str()), ("Content-Length", "500")];
    cpe.wire
        .send(request("HTTP/1.1", "/", &headers, "<soap"))
        .await;
    assert_eq!(cpe.wire.answer().await.status, 408);
    world.refused("body-slow").await;
    let mut chunked = world.cpe("S1").await;
    let headers = [
        ("Authorization", basic.as_str()),
        ("Transfer-Encoding", "chunked"),
    ];
    chunked
        .wire
        .send(request("HTTP/1.1", "/", &headers, "5\r\n<soap\r\n"))
        .await;
    assert_eq!(chunked.wire.answer().await.status, 408);
}

/// `BODY_TIME_MAX`
#[tokio::test]
async fn a_body_that_comes_for_ever_is_given_up() {
    let world = world(|_, limits| {
        limits.body_silence_max = PATIENCE;
        limits.body_time_max = Duration::from_millis(500);
    })
    .await;
    let mut cpe = world.cpe("S1").await;
    let basic = cpe.basic();
    let headers = [
        ("Authorization", basic.as_str()),
        ("Transfer-Encoding", "chunked"),
    ];
    cpe.wire
        .send(request("HTTP/1.1", "/", &headers, "5\r\n<soap\r\n"))
        .await;
    let began = std::time::Instant::now();
    let answer = loop {
        // Never silent.
        cpe.wire.send("1\r\n \r\n").await;
        let soon = Duration::from_millis(50);
        match tokio::time::timeout(soon, cpe.wire.answer()).await {
            Ok(answer) => break answer,
            Err(_) => assert!(began.elapsed() < PATIENCE, "it goes on"),
        }
    };
    assert_eq!(answer.status, 408);
    assert!(began.elapsed() >= Duration::from_millis(500));
    world.refused("body-slow").await;
}

#[tokio::test]
async fn what_is_no_http_is_named() {
    let world = world(|_, _| {}).await;
    let mut tls = Wire::connect(world.http).await;
    tls.send([0x16, 0x03, 0x01, 0x02, 0x00]).await;
    world.refused("tls-on-plaintext-listener").await;
    let mut odd = Wire::connect(world.http).await;
    odd.send("HELLO ACS\r\n\r\n").await;
    world.refused("malformed-request").await;
    let mut long = Wire::connect(world.http).await;
    let header = "x".repeat(20_000);
    long.send(request("HTTP/1.1", "/", &[("X-Long", &header)], ""))
        .await;
    assert_eq!(long.answer().await.status, 431);
    world.refused("request-too-large").await;
    // Opened and let go again, as some do to learn their own address: nothing to tell.
    drop(Wire::connect(world.http).await);
    let mut wire = Wire::connect(world.http).await;
    wire.send("GET / HTTP/1.1\r\nHost: acs\r\n\r\n").await;
    assert_eq!(wire.answer().await.status, 200);
    wire.send("PUT / HTTP/1.1\r\nHost: acs\r\nContent-Length: 0\r\n\r\n")
        .await;
    let refused = wire.answer().await;
    assert_eq!(
        (refused.status, refused.header("Allow")),
        (405, Some("POST"))
    );
}

/// `CONNECTION_IDLE_MAX`
#[tokio::test]
async fn a_connection_on_which_nothing_happens_is_closed_and_one_with_a_session_is_not() {
    let idle = Duration::from_millis(300);
    let world = world(|_, limits| limits.connection_idle_max = idle).await;
    let soon = Duration::from_secs(10);
    let mut silent = Wire::connect(world.http).await;
    assert!(silent.closes_within(soon).await);
    let mut dripping = Wire::connect(world.http).await;
    dripping.send("POST / HTTP/1.1\r\n").await;
    assert!(dripping.closes_within(soon).await);
    let mut cpe = world.cpe("S1").await;
    assert_eq!(cpe.come().await.status, 200);
    cpe.cookie = None;
    assert!(!cpe.wire.closes_within(idle * 4).await);
    let next = cpe.post(&[], "").await.status;
    assert!(matches!(next, 200 | 204), "{next}");
}

/// `CONNECTIONS_PER_ADDRESS_MAX`
#[tokio::test]
async fn one_address_has_only_so_many_connections() {
    let world = world(|_, limits| limits.connections_per_address_max = 2).await;
    let held = [
        Wire::connect(world.http).await,
        Wire::connect(world.http).await,
    ];
    let mut third = Wire::connect(world.http).await;
    let answer = third.answer().await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("Retry-After").is_some());
    world.refused("too-many-from-address").await;
    drop(held);
    crate::rig::until("there is room again", || async {
        let mut wire = Wire::connect(world.http).await;
        wire.send("GET / HTTP/1.1\r\nHost: acs\r\n\r\n").await;
        (wire.maybe().await?.status == 200).then_some(())
    })
    .await;
}

/// `CONNECTIONS_MAX`
#[tokio::test]
async fn the_listener_has_only_so_many_connections() {
    let world = world(|_, limits| limits.connections_max = 2).await;
    let _held = [
        Wire::connect(world.http).await,
        Wire::connect(world.http).await,
    ];
    let mut third = Wire::connect(world.http).await;
    assert_eq!(third.answer().await.status, 503);
    world.refused("too-many-connections").await;
}

/// `ANSWER_TIME_MAX`
#[tokio::test]
async fn an_answer_that_takes_too_long_is_that_the_device_comes_again() {
    let world = world(|_, limits| limits.answer_time_max = Duration::ZERO).await;
    let mut cpe = world.cpe("S1").await;
    let late = cpe.come().await;
    assert_eq!(late.status, 503);
    assert!(late.header("Retry-After").is_some());
}

/// `BODIES_BYTES_MAX`
#[tokio::test]
async fn when_there_is_no_room_for_a_message_the_device_comes_again() {
    let world = world(|_, limits| limits.bodies_bytes_max = 1_024).await;
    let mut cpe = world.cpe("S1").await;
    let full = cpe.come().await;
    assert_eq!(full.status, 503);
    assert!(full.header("Retry-After").is_some());
    world.refused("too-many-bodies").await;
}

/// `BODIES_BYTES_MAX`
#[tokio::test]
async fn a_message_takes_its_room_until_it_is_answered() {
    const KIB: usize = 1024;
    let world = world(|_, limits| {
        limits.bodies_bytes_max = 600 * KIB;
        limits.work_wait_max = crate::rig::PATIENCE;
    })
    .await;
    let mut cpe = world.cpe("S1").await;
    assert_eq!(cpe.come().await.status, 200);
    // What nobody asked is no answer, so that it is our turn; and there is nothing to ask.
    let pad = " ".repeat(250 * KIB);
    let odd = envelope("7", "<cwmp:RebootResponse/>") + &pad;
    cpe.wire.send(request("HTTP/1.1", "/", &[], &odd)).await;
    world.refused("unasked-answer").await;
    let mut other = world.cpe("S2").await;
    let large = other.inform() + &pad;
    assert_eq!(shown(&mut other, &large).await, 503);
    world.refused("too-many-bodies").await;
    // A new session of the first takes the place of the old one.
    let mut again = world.cpe("S1").await;
    assert_eq!(again.come().await.status, 200);
    let mut other = world.cpe("S3").await;
    assert_eq!(shown(&mut other, &large).await, 200);
}

#[tokio::test]
async fn a_device_that_says_that_nothing_follows_gets_its_answer() {
    let world = world(|_, _| {}).await;
    let cpe = world.cpe("S1").await;
    let (basic, inform) = (cpe.basic(), cpe.inform());
    for version in ["HTTP/1.0", "HTTP/1.1"] {
        let mut wire = Wire::connect(world.http).await;
        let headers = [("Authorization", basic.as_str())];
        wire.send(request(version, "/", &headers, &inform)).await;
        wire.nothing_follows().await;
        assert_eq!(wire.answer().await.status, 200, "{version}");
    }
}

/// `DRAIN_TIME_MAX`
#[tokio::test]
async fn who_shows_nothing_and_sends_nothing_is_answered_soon() {
    let world = world(|_, limits| limits.drain_time_max = Duration::from_millis(200)).await;
    let mut wire = Wire::connect(world.http).await;
    let headers = [("Content-Length", "500")];
    wire.send(request("HTTP/1.1", "/", &headers, "")).await;
    let answer = tokio::time::timeout(Duration::from_secs(10), wire.answer()).await;
    assert_eq!(answer.expect("long before BODY_SILENCE_MAX").status, 401);
}

/// `COMPRESS_BYTES_MIN`
#[tokio::test]
async fn an_answer_is_packed_for_a_device_that_takes_that() {
    let world = world(|_, _| {}).await;
    let mut cpe = world.cpe("S1").await;
    assert_eq!(cpe.come().await.status, 200);
    let asks = envelope("9", "<cwmp:GetRPCMethods/>");
    let packed = cpe
        .post(&[("Accept-Encoding", "deflate, gzip")], &asks)
        .await;
    assert_eq!(packed.header("Content-Encoding"), Some("gzip"));
    let mut text = String::new();
    let mut reader = flate2::read::GzDecoder::new(&packed.body[..]);
    std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
    assert!(text.contains("TransferComplete"), "{text}");
    let asks = envelope("10", "<cwmp:GetRPCMethods/>");
    let plain = cpe.post(&[], &asks).await;
    assert!(plain.header("Content-Encoding").is_none());
    assert!(plain.text().contains("TransferComplete"));
}

#[tokio::test]
async fn a_job_for_a_device_without_a_session_is_unsent() {
    let mut world: World = world(|_, _| {}).await;
    world.cpe("S1").await.session().await;
    world.quiet().await;
    let device = world.device("Box", "S1").await;
    let job = fleet::southbound::Job {
        id: fleet::southbound::JobId(77),
        op: fleet::southbound::Op::Get {
            paths: vec!["Device.".to_owned()],
            max_depth: 0,
        },
        timeout: Duration::from_secs(5),
        transcript: None,
        over: fleet::Protocol::Cwmp,
    };
    world.adapter.submit(&world.tenant, device, job);
    let unsent = async {
        while let Some((_, _, fact)) = world.facts.recv().await {
            if let fleet::Fact::Done { job, result } = fact
                && job == fleet::southbound::JobId(77)
            {
                return result;
            }
        }
        panic!("nobody listens");
    };
    let result = tokio::time::timeout(crate::rig::PATIENCE, unsent).await;
    let failure = result.unwrap().unwrap_err();
    assert!(matches!(failure, fleet::southbound::Failure::Unsent { .. }));
}
