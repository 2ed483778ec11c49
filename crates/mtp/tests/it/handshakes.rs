//! Coming in: what is understood, what is refused and under which name, and that nobody who is
//! slow holds up anybody else.

use std::time::Duration;

use mtp::ws::{DialError, Refusal, RefusalReason, SUBPROTOCOL, dial};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

use crate::support::{
    PROTOCOL, Raw, config, dial_config, eid, listen, listen_with, request, within,
};

#[tokio::test]
async fn an_agent_that_dials_is_introduced_by_path_and_endpoint_id() {
    // R-WS.10, .10b, .10c, .11
    let mut running = listen().await;
    let mut config = dial_config(running.addr);
    config.url = format!("ws://{}/usp/hes_secret?x=1", running.addr);
    config.own_eid = eid("ops::00256D-Box%2D1-0001");
    let link = within(dial(&config)).await.unwrap();
    let accepted = running.next().await;
    assert_eq!(accepted.hello.path, "/usp/hes_secret");
    assert_eq!(accepted.hello.eid, Some(config.own_eid));
    assert_eq!(accepted.hello.peer_addr.ip(), link.peer_addr().ip());
    assert_eq!(accepted.own, eid("self::controller"));
    assert!(!accepted.hello.tls && !accepted.hello.certified);
    assert!(accepted.hello.user_agent.unwrap().starts_with("Headend/"));
}

#[tokio::test]
async fn an_independent_client_library_gets_in_and_its_records_are_heard() {
    use futures_util::{SinkExt, StreamExt};
    let mut running = listen().await;
    let url = format!("ws://{}/usp?eid=self::other", running.addr);
    let mut request = url.into_client_request().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", SUBPROTOCOL.parse().unwrap());
    let (mut socket, _) = within(tokio_tungstenite::connect_async(request))
        .await
        .unwrap();
    let mut link = running.next().await.link;
    for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let record = vec![7; size];
        socket.send(Message::binary(record.clone())).await.unwrap();
        let mtp::ws::Incoming::Record(heard) = within(link.recv()).await.unwrap() else {
            panic!()
        };
        assert_eq!(heard, record);
        link.send(heard).await.unwrap();
        let echo = async {
            tokio::select! {
                echo = socket.next() => echo,
                other = link.recv() => panic!("{other:?}"),
            }
        };
        assert_eq!(
            within(echo).await.unwrap().unwrap(),
            Message::binary(record)
        );
    }
}

#[tokio::test]
async fn each_bad_handshake_is_refused_by_name_and_status() {
    let mut running = listen_with(config(), |hello| match hello.path.as_str() {
        "/unknown" => Err(Refusal::new(
            RefusalReason::UnknownCredential,
            "no such key",
        )),
        "/often" => Err(Refusal::new(RefusalReason::RateLimited, "too often")),
        "/mine" => Err(Refusal::new(
            RefusalReason::Policy("not-on-mondays".into()),
            "no",
        )),
        _ => Ok(()),
    })
    .await;
    let no_upgrade = "GET /usp HTTP/1.1\r\nHost: x\r\nUser-Agent: browser\r\n\r\n".to_owned();
    let extension = "Sec-WebSocket-Extensions: bbf-usp-protocol; eid=\"self::b\"\r\n";
    let old_version = request("/usp", PROTOCOL).replace("Version: 13", "Version: 8");
    let cases = [
        // R-WS.12a
        (request("/usp", ""), 400, "no-subprotocol", None),
        (
            request(
                "/usp?eid=self::a",
                "Sec-WebSocket-Protocol: v1.usp2, mqtt\r\n",
            ),
            400,
            "no-subprotocol",
            Some("self::a"),
        ),
        (
            request("/usp?eid=nonsense", PROTOCOL),
            400,
            "bad-endpoint-id",
            None,
        ),
        (
            request("/usp?eid=self::a", &format!("{PROTOCOL}{extension}")),
            403,
            "endpoint-id-conflict",
            Some("self::a"),
        ),
        (no_upgrade.clone(), 426, "not-a-websocket-request", None),
        (
            no_upgrade.replace("GET", "POST"),
            426,
            "not-a-websocket-request",
            None,
        ),
        (old_version, 426, "not-a-websocket-request", None),
        (
            "\0\u{1}\u{2}\r\n\r\n".to_owned(),
            400,
            "malformed-request",
            None,
        ),
        (
            request("/usp", &format!("X: {}\r\n", "y".repeat(9000))),
            431,
            "request-too-large",
            None,
        ),
        (
            request("/unknown?eid=self::a", PROTOCOL),
            401,
            "unknown-credential",
            Some("self::a"),
        ),
        (request("/often", PROTOCOL), 429, "rate-limited", None),
        (request("/mine", PROTOCOL), 403, "not-on-mondays", None),
    ];
    for (request, status, name, claimed) in cases {
        let mut raw = Raw::connect(running.addr).await;
        raw.send(&request).await;
        let answer = raw.rest().await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{name}: {answer:?}"
        );
        assert!(
            answer.ends_with(&format!("\r\n\r\n{name}\n")),
            "{name}: {answer:?}"
        );
        let addr = raw.0.local_addr().unwrap();
        drop(raw);
        let refused = running.next_refused().await;
        assert_eq!(
            refused.refusal.reason.name(),
            name,
            "{}",
            refused.refusal.detail
        );
        assert_eq!(refused.endpoint_id, claimed.map(eid), "{name}");
        assert_eq!(refused.peer_addr, addr);
    }
    assert!(running.accepted.try_recv().is_err());
}

#[tokio::test]
async fn the_refused_dialler_learns_status_and_name() {
    let refuse = |_: &_| {
        Err(Refusal::new(
            RefusalReason::CredentialWithdrawn,
            "on Monday, by Ann",
        ))
    };
    let running = listen_with(config(), refuse).await;
    let error = within(dial(&dial_config(running.addr))).await.unwrap_err();
    let DialError::Refused { status, body } = error else {
        panic!("{error}")
    };
    // The detail is the operator's, not the peer's.
    assert_eq!((status, body.as_str()), (401, "credential-withdrawn"));
}

#[tokio::test]
async fn tls_on_a_plaintext_listener_and_a_peer_that_leaves_are_told_apart() {
    let mut running = listen().await;
    let mut raw = Raw::connect(running.addr).await;
    raw.send([0x16, 3, 1, 0, 200, 1]).await;
    let refused = running.next_refused().await;
    assert_eq!(
        refused.refusal.reason,
        RefusalReason::TlsOnPlaintextListener
    );
    let mut raw = Raw::connect(running.addr).await;
    raw.send("GET /usp").await;
    drop(raw);
    let refused = running.next_refused().await;
    assert_eq!(refused.refusal.reason, RefusalReason::HandshakeAbandoned);
    assert!(
        refused.refusal.detail.contains("8 bytes"),
        "{}",
        refused.refusal.detail
    );
}

#[tokio::test]
async fn the_old_extension_is_answered_where_it_was_offered_and_only_there() {
    // R-WS.11a, R-WS.11c
    let mut running = listen().await;
    let offer =
        "Sec-WebSocket-Extensions: permessage-deflate, bbf-usp-protocol; eid=\"self::old\"\r\n";
    let mut raw = Raw::connect(running.addr).await;
    raw.send(request("/usp", &format!("{PROTOCOL}{offer}")))
        .await;
    let head = raw.head().await;
    let answer = "Sec-WebSocket-Extensions: bbf-usp-protocol; eid=\"self::controller\"\r\n";
    assert!(head.contains(answer), "{head}");
    assert!(
        head.contains("Sec-WebSocket-Protocol: v1.usp\r\n"),
        "{head}"
    );
    let hello = running.next().await.hello;
    assert_eq!(
        (hello.eid, hello.offered_extension),
        (Some(eid("self::old")), true)
    );

    let mut raw = Raw::connect(running.addr).await;
    raw.send(request("/usp", PROTOCOL)).await;
    assert!(!raw.head().await.contains("Extensions"));
    // An agent may also say who it is in its first Record only.
    assert_eq!(running.next().await.hello.eid, None);
}

#[tokio::test]
async fn slow_and_silent_peers_time_out_and_block_nobody() {
    let mut config = config();
    config.socket.handshake_time_max = Duration::from_millis(400);
    let mut running = listen_with(config, |_| Ok(())).await;
    let mut slow = Vec::new();
    for number in 0..30 {
        let mut raw = Raw::connect(running.addr).await;
        match number % 3 {
            0 => {}
            1 => raw.send("GET /usp HTTP/1.1\r\nHost: ").await,
            // The consumer that cannot decide counts as well.
            _ => raw.send(request("/hang?eid=self::slow", PROTOCOL)).await,
        }
        slow.push(raw);
    }
    within(dial(&dial_config(running.addr))).await.unwrap();
    running.next().await;
    let mut claimed = 0;
    for _ in &slow {
        let refused = running.next_refused().await;
        assert_eq!(refused.refusal.reason, RefusalReason::HandshakeTimeout);
        claimed += usize::from(refused.endpoint_id == Some(eid("self::slow")));
    }
    assert_eq!(claimed, 10);
}

#[tokio::test]
async fn connections_are_limited_in_all_and_places_come_back() {
    let mut config = config();
    config.socket.connections_max = 1;
    let mut running = listen_with(config, |_| Ok(())).await;
    let first = within(dial(&dial_config(running.addr))).await.unwrap();
    let accepted = running.next().await;
    let error = within(dial(&dial_config(running.addr))).await.unwrap_err();
    assert!(
        matches!(
            error,
            DialError::Refused { status: 503, .. } | DialError::Io(_)
        ),
        "{error}"
    );
    let refused = running.next_refused().await;
    assert_eq!(refused.refusal.reason, RefusalReason::TooManyConnections);
    drop((first, accepted));
    within(dial(&dial_config(running.addr))).await.unwrap();
}

#[tokio::test]
async fn connections_and_handshakes_are_limited_by_address() {
    let mut config = config();
    config.socket.uncounted_addresses.clear();
    config.socket.connections_per_address_max = 3;
    config.socket.handshakes_per_address_max = 1;
    let mut running = listen_with(config, |_| Ok(())).await;
    let silent = Raw::connect(running.addr).await;
    Raw::connect(running.addr).await.rest().await;
    let refused = running.next_refused().await;
    assert_eq!(refused.refusal.reason, RefusalReason::TooManyHandshakes);
    drop(silent);
    assert_eq!(
        running.next_refused().await.refusal.reason,
        RefusalReason::HandshakeAbandoned
    );
    let mut links = Vec::new();
    for _ in 0..3 {
        links.push(within(dial(&dial_config(running.addr))).await.unwrap());
        links.push(running.next().await.link);
    }
    Raw::connect(running.addr).await.rest().await;
    let refused = running.next_refused().await;
    assert_eq!(refused.refusal.reason, RefusalReason::TooManyFromAddress);
}

#[tokio::test]
async fn more_handshakes_than_the_limit_wait_their_turn() {
    let mut config = config();
    config.socket.handshakes_max = 1;
    config.socket.handshake_time_max = Duration::from_millis(300);
    let mut running = listen_with(config, |_| Ok(())).await;
    let _silent = Raw::connect(running.addr).await;
    within(dial(&dial_config(running.addr))).await.unwrap();
    let refused = running.next_refused().await;
    assert_eq!(refused.refusal.reason, RefusalReason::HandshakeTimeout);
    running.next().await;
}
