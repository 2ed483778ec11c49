//! Going out: which answers are an upgrade to USP and which are not.

use std::time::Duration;

use mtp::ws::{CloseCode, DialError, dial, reason};

use crate::support::{answering, dial_config, eid, within};

fn good(accept: &str, more: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
}

async fn dialled(answer: fn(&str) -> String) -> DialError {
    // Nobody waits for the server's task: its socket closes after the answer.
    let (addr, _) = answering(answer).await;
    within(dial(&dial_config(addr))).await.unwrap_err()
}

#[tokio::test]
async fn the_request_offers_the_subprotocol_and_says_who_dials() {
    // R-WS.10, R-WS.10a, R-WS.10b
    for offer in [false, true] {
        let (addr, task) =
            answering(|accept| good(accept, "Sec-WebSocket-Protocol: v1.usp\r\n")).await;
        let mut config = dial_config(addr);
        config.offer_extension = offer;
        let link = within(dial(&config)).await.unwrap();
        assert_eq!(link.peer_ids(), []);
        let (request, _raw) = within(task).await.unwrap();
        assert!(
            request.starts_with("GET /usp?eid=self::agent HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(
            request.contains(&format!("\r\nHost: {addr}\r\n")),
            "{request}"
        );
        assert!(
            request.contains("\r\nSec-WebSocket-Protocol: v1.usp\r\n"),
            "{request}"
        );
        let extension = "\r\nSec-WebSocket-Extensions: bbf-usp-protocol; eid=\"self::agent\"\r\n";
        assert_eq!(request.contains(extension), offer, "{request}");
    }
}

/// TP-469 7.11
#[tokio::test]
async fn the_old_extension_in_an_answer_is_tolerated_though_not_offered() {
    // R-WS.11b
    let (addr, _task) = answering(|accept| {
        let extension = "Sec-WebSocket-Extensions: bbf-usp-protocol; eid=\"self::acs\"\r\n";
        good(
            accept,
            &format!("Sec-WebSocket-Protocol: v1.usp\r\n{extension}"),
        )
    })
    .await;
    let link = within(dial(&dial_config(addr))).await.unwrap();
    assert_eq!(link.peer_ids(), [eid("self::acs")]);
}

#[tokio::test]
async fn answers_that_are_no_upgrade_to_usp_are_named() {
    // R-WS.12
    let error = dialled(|accept| good(accept, "")).await;
    assert!(error.to_string().contains("v1.usp"), "{error}");
    let error = dialled(|accept| good(accept, "Sec-WebSocket-Protocol: mqtt\r\n")).await;
    assert!(error.to_string().contains("v1.usp"), "{error}");
    let error = dialled(|_| good("wrong", "Sec-WebSocket-Protocol: v1.usp\r\n")).await;
    assert!(error.to_string().contains("Accept"), "{error}");
    let error = dialled(|accept| {
        let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        good(
            accept,
            &format!("Sec-WebSocket-Protocol: v1.usp\r\n{extension}"),
        )
    })
    .await;
    assert!(error.to_string().contains("extension"), "{error}");
    let error = dialled(|_| "HTTP/1.1 101 Sure\r\n\r\n".into()).await;
    assert!(error.to_string().contains("without an upgrade"), "{error}");
    let error = dialled(|_| "SSH-2.0-OpenSSH\r\n\r\n".into()).await;
    assert!(error.to_string().contains("not HTTP"), "{error}");
    let error = dialled(|_| "\u{16}\u{3}\u{1}".into()).await;
    assert!(error.to_string().contains("wss"), "{error}");
    let error = dialled(|_| String::new()).await;
    assert!(
        error.to_string().contains("without an HTTP answer"),
        "{error}"
    );
    let error = dialled(|_| format!("HTTP/1.1 101 X\r\nA: {}", "b".repeat(9000))).await;
    assert!(
        matches!(
            error,
            DialError::LimitExceeded {
                limit: "HTTP_HEAD_BYTES_MAX"
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_refusing_server_is_quoted_but_not_at_length() {
    let error = dialled(|_| {
        format!(
            "HTTP/1.1 404 Not Found\r\nContent-Length: 90000\r\n\r\nno{}",
            " here".repeat(18_000)
        )
    })
    .await;
    let DialError::Refused { status: 404, body } = error else {
        panic!("{error}")
    };
    assert!(
        body.starts_with("no here here") && body.len() <= 512,
        "{body}"
    );
}

#[tokio::test]
async fn nobody_there_and_nobody_answering_are_told_apart() {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = dial_config(tcp.local_addr().unwrap());
    config.time_max = Duration::from_secs(2);
    let error = within(dial(&config)).await.unwrap_err();
    assert!(
        matches!(
            error,
            DialError::Timeout {
                stage: "the WebSocket upgrade",
                ..
            }
        ),
        "{error}"
    );
    drop(tcp);
    let error = within(dial(&config)).await.unwrap_err();
    assert!(matches!(error, DialError::Connect { .. }), "{error}");
}

#[tokio::test]
async fn the_dialler_masks_what_it_sends() {
    let (addr, task) = answering(|accept| good(accept, "Sec-WebSocket-Protocol: v1.usp\r\n")).await;
    let link = within(dial(&dial_config(addr))).await.unwrap();
    let (_, mut raw) = within(task).await.unwrap();
    let closing = tokio::spawn(link.close(CloseCode::Normal, reason::DONE));
    let mut frame = [0; 12];
    use tokio::io::AsyncReadExt;
    within(raw.0.read_exact(&mut frame)).await.unwrap();
    assert_eq!(frame[..2], [0x88, 0x80 | 6]);
    drop(raw);
    within(closing).await.unwrap();
}
