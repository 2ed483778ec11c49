//! A listener's link against a peer that writes single frames.

use mtp::{
    limits::{RECORD_BYTES_MAX, SEND_QUEUE_BYTES},
    ws::{CloseCode, Closed, Incoming, Link, LinkError, reason},
};

use crate::support::{Raw, Running, listen, within};

async fn start() -> (Running, Raw<tokio::net::TcpStream>, Link) {
    let mut running = listen().await;
    let raw = Raw::upgraded(running.addr).await;
    let link = running.next().await.link;
    (running, raw, link)
}

/// TP-469 7.7, 7.12
#[tokio::test]
async fn fragments_with_a_ping_between_them_are_one_record_and_the_ping_is_answered() {
    // R-WS.13, R-WS.14b, R-WS.18
    let (_running, mut raw, mut link) = start().await;
    raw.frame(0x02, b"one ").await;
    raw.frame(0x89, b"are you there").await;
    let pong = async {
        tokio::select! {
            pong = raw.next() => pong,
            other = link.recv() => panic!("too early: {other:?}"),
        }
    };
    assert_eq!(within(pong).await, (0x8A, b"are you there".to_vec()));
    raw.frame(0x00, b"two ").await;
    raw.frame(0x8A, b"unsolicited").await;
    raw.frame(0x80, b"three").await;
    let record = within(link.recv()).await.unwrap();
    assert_eq!(record, Incoming::Record("one two three".into()));
    assert_eq!(link.heap_bytes(), 0);
}

#[tokio::test]
async fn what_is_sent_is_one_frame() {
    // R-WS.14a
    let (_running, mut raw, mut link) = start().await;
    let record = vec![3; 300_000];
    let receiving = tokio::spawn(async move { (raw.next().await, raw) });
    link.send(record.clone()).await.unwrap();
    let received = async {
        tokio::select! {
            frame = receiving => frame.unwrap(),
            other = link.recv() => panic!("{other:?}"),
        }
    };
    assert_eq!(within(received).await.0, (0x82, record));
}

#[tokio::test]
async fn text_is_closed_with_1003() {
    // R-WS.14, R-WS.16
    let (_running, mut raw, mut link) = start().await;
    raw.frame(0x81, b"{\"hello\": 1}").await;
    let listening = tokio::spawn(async move { (link.recv().await, link.recv().await) });
    assert_eq!(raw.close().await, (1003, reason::TEXT.to_owned()));
    raw.frame(0x88, &1003_u16.to_be_bytes()).await;
    assert_eq!(raw.rest().await, "");
    let (first, second) = within(listening).await.unwrap();
    assert!(matches!(
        first,
        Err(LinkError::PeerMisbehaved {
            code: CloseCode::Unsupported,
            ..
        })
    ));
    assert!(matches!(second, Err(LinkError::ApiMisuse)));
}

#[tokio::test]
async fn a_record_beyond_the_limit_is_closed_with_1009_at_its_announcement() {
    let (_running, mut raw, mut link) = start().await;
    let mut announcement = vec![0x82, 0x80 | 127];
    announcement.extend((RECORD_BYTES_MAX as u64 + 1).to_be_bytes());
    announcement.extend([0; 4]);
    raw.send(announcement).await;
    let listening = tokio::spawn(async move { link.recv().await });
    assert_eq!(raw.close().await, (1009, reason::RECORD_TOO_BIG.to_owned()));
    drop(raw);
    let error = within(listening).await.unwrap().unwrap_err();
    let LinkError::LimitExceeded { limit, max, code } = error else {
        panic!("{error}")
    };
    assert_eq!(
        (limit, max, code),
        (
            "RECORD_BYTES_MAX",
            RECORD_BYTES_MAX as u64,
            CloseCode::TooBig
        )
    );
}

#[tokio::test]
async fn a_record_at_the_limit_is_taken() {
    let (_running, mut raw, mut link) = start().await;
    let record = vec![9; RECORD_BYTES_MAX];
    let sending = tokio::spawn(async move {
        raw.frame(0x82, &record).await;
        raw
    });
    let Incoming::Record(heard) = within(link.recv()).await.unwrap() else {
        panic!()
    };
    assert_eq!(heard.len(), RECORD_BYTES_MAX);
    drop(sending);
}

/// TP-469 7.6
#[tokio::test]
async fn the_consumer_closes_an_unparsable_record_with_1003() {
    // R-WS.16
    let (_running, mut raw, mut link) = start().await;
    raw.frame(0x82, b"no record").await;
    within(link.recv()).await.unwrap();
    let closing = tokio::spawn(link.close(CloseCode::Unsupported, reason::UNPARSABLE_RECORD));
    assert_eq!(
        raw.close().await,
        (1003, reason::UNPARSABLE_RECORD.to_owned())
    );
    // What was on its way is dropped, and our answer to the Close ends it.
    raw.frame(0x82, b"late").await;
    raw.frame(0x88, &1003_u16.to_be_bytes()).await;
    within(closing).await.unwrap();
    assert_eq!(raw.rest().await, "");
}

#[tokio::test]
async fn a_long_reason_is_cut_between_characters() {
    let (_running, mut raw, link) = start().await;
    tokio::spawn(async move { link.close(CloseCode::Policy, &"é".repeat(100)).await });
    assert_eq!(raw.close().await, (1008, "é".repeat(61)));
}

#[tokio::test]
async fn the_close_of_the_peer_is_answered_with_its_code_and_reported() {
    // R-WS.8
    for (payload, code, text) in [
        (&b"\x03\xe9bye"[..], Some(CloseCode::GoingAway), "bye"),
        (&b""[..], None, ""),
    ] {
        let (_running, mut raw, mut link) = start().await;
        raw.frame(0x88, payload).await;
        let closed = within(link.recv()).await.unwrap();
        assert_eq!(
            closed,
            Incoming::Closed(Closed {
                code,
                reason: text.into()
            })
        );
        assert_eq!(raw.close().await.0, code.map_or(1000, CloseCode::as_u16));
        assert_eq!(raw.rest().await, "");
    }
}

#[tokio::test]
async fn broken_frames_are_closed_with_1002() {
    let (_running, mut raw, mut link) = start().await;
    raw.frame(0xF2, b"compressed?").await;
    let listening = tokio::spawn(async move { link.recv().await });
    assert_eq!(raw.close().await.0, 1002);
    drop(raw);
    let error = within(listening).await.unwrap().unwrap_err();
    assert!(
        matches!(
            error,
            LinkError::PeerMisbehaved {
                code: CloseCode::Protocol,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_flood_of_pings_by_a_peer_that_does_not_read_costs_one_pong() {
    // RFC 6455, 5.5.3: only the newest ping has to be answered.
    let (_running, mut raw, mut link) = start().await;
    // Until the socket takes no more: from then on pongs would pile up.
    while link.heap_bytes() <= SEND_QUEUE_BYTES {
        link.send(vec![0; SEND_QUEUE_BYTES]).await.unwrap();
    }
    let before = link.heap_bytes();
    let flooding = tokio::spawn(async move {
        for number in 0..20_000_u32 {
            raw.frame(0x89, &number.to_be_bytes()).await;
        }
        raw.frame(0x82, b"over").await;
        raw
    });
    assert_eq!(
        within(link.recv()).await.unwrap(),
        Incoming::Record("over".into())
    );
    assert!(
        link.heap_bytes() <= before,
        "{before} became {}",
        link.heap_bytes()
    );
    drop(flooding);
}
