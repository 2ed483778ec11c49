//! The codec against the letter of STOMP 1.2, its limits, itself and random bytes; a link against a
//! server of a few lines.

use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use tokio::net::TcpListener;
use tokio::time::timeout;
use usp::EndpointId;

use super::*;
use crate::limits::{
    PAYLOAD_RESERVE_BYTES_MAX, SEND_QUEUE_BYTES, STOMP_HEAD_BYTES_MAX, STOMP_HEADERS_MAX,
};
use crate::stream::Stream;

const PATIENCE: Duration = Duration::from_secs(60);

fn read(bytes: &[u8], body_max: usize) -> Result<Option<Frame>, LinkError> {
    let mut decoder = Decoder::new(body_max);
    decoder.feed(bytes);
    decoder.frame()
}

fn one(bytes: &[u8]) -> Frame {
    read(bytes, 100).unwrap().unwrap()
}

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}

#[test]
fn a_record_with_zeros_travels_by_its_length() {
    // R-STOMP.19
    let send = Frame::new(Command::Send)
        .with("destination", "/queue/os::1")
        .body(Bytes::from_static(b"\0a\0"));
    let bytes = encoded(&send);
    let text = b"SEND\ndestination:/queue/os\\c\\c1\ncontent-length:3\n\n\0a\0\0";
    assert_eq!(bytes, text);
    assert_eq!(one(&bytes), send);
}

#[test]
fn lines_may_end_as_in_a_letter_and_the_first_of_two_headers_counts() {
    let frame = one(b"\n\r\nMESSAGE\r\na:1\r\na:2\r\n\r\nbody\0");
    assert_eq!(frame.get("a"), Some("1"));
    assert_eq!(frame.headers.len(), 2);
    assert_eq!(&frame.body[..], b"body");
    assert_eq!(frame.get("b"), None);
}

#[test]
fn the_answer_to_the_first_frame_has_no_escapes_but_some_servers_write_them() {
    let dest = |text: &str| {
        let frame = one(format!("CONNECTED\nsubscribe-dest:{text}\n\n\0").as_bytes());
        frame.get(SUBSCRIBE_DEST).unwrap().to_owned()
    };
    assert_eq!(dest("/queue/os::1"), "/queue/os::1");
    assert_eq!(dest("/queue/os\\c\\c1"), "/queue/os::1");
    assert_eq!(dest("C:\\temp"), "C:\\temp");
    // And no value of ours ends a header early.
    let bytes = encoded(&Frame::new(Command::Connected).with("a", "b\nc:d"));
    assert_eq!(one(&bytes).headers.len(), 1);
}

#[test]
fn frames_that_cannot_be_are_refused() {
    for bad in [
        &b"HELLO\n\n\0"[..],
        b"RECEIPT\nid\n\n\0",
        b"RECEIPT\n:x\n\n\0",
        b"RECEIPT\na:b\\t\n\n\0",
        b"RECEIPT\na:b\\\n\n\0",
        b"RECEIPT\na:\xff\n\n\0",
        b"RECEIPT\n\nbody\0",
        b"MESSAGE\ncontent-length:x\n\n\0",
        b"MESSAGE\ncontent-length:+1\n\nx\0",
        b"MESSAGE\ncontent-length:1\n\nxx\0",
    ] {
        let words = String::from_utf8_lossy(bad);
        let refused = read(bad, 100);
        assert!(
            matches!(refused, Err(LinkError::PeerMisbehaved(_))),
            "{words}"
        );
    }
}

#[test]
fn what_is_kept_of_a_peer_is_bounded() {
    let limit = |bytes: &[u8]| match read(bytes, 10) {
        Err(LinkError::LimitExceeded { limit, .. }) => limit,
        other => panic!("{other:?}"),
    };
    let line = vec![b'a'; STOMP_HEAD_BYTES_MAX + 1];
    assert_eq!(limit(&line), "STOMP_HEAD_BYTES_MAX");
    let headers = "a:b\n".repeat(STOMP_HEADERS_MAX);
    assert!(read(format!("RECEIPT\n{headers}\n\0").as_bytes(), 10).is_ok());
    let more = format!("RECEIPT\n{headers}a:b\n\n\0");
    assert_eq!(limit(more.as_bytes()), "STOMP_HEADERS_MAX");
    assert_eq!(limit(b"MESSAGE\ncontent-length:11\n\n"), BODY_SIZE);
    let far = b"MESSAGE\ncontent-length:99999999999999999999999999\n\n";
    assert_eq!(limit(far), BODY_SIZE);
    assert_eq!(limit(b"MESSAGE\n\nelevenbytes"), BODY_SIZE);
    assert_eq!(one(b"MESSAGE\n\nten bytes.\0").body.len(), 10);
    // To announce much costs us little.
    let mut decoder = Decoder::new(usize::MAX);
    decoder.feed(b"MESSAGE\ncontent-length:999999999\n\n");
    assert!(decoder.frame().unwrap().is_none());
    assert!(decoder.heap_bytes() <= 2 * PAYLOAD_RESERVE_BYTES_MAX);
}

#[test]
fn a_message_that_cannot_be_taken_is_gone_past_and_named() {
    let long = "x".repeat(STOMP_HEAD_BYTES_MAX);
    let many = "a:b\n".repeat(STOMP_HEADERS_MAX);
    let large = "x".repeat(100);
    let to = "destination:/topic/a\\cb\n";
    let good = "MESSAGE\ndestination:/d\ncontent-length:2\n\nok\0";
    for (bad, why) in [
        (
            format!("MESSAGE\n{to}content-length:100\n\n{large}\0"),
            BODY_SIZE,
        ),
        (format!("MESSAGE\r\n{to}\n{large}\0"), BODY_SIZE),
        (
            format!("MESSAGE\n{to}{many}content-length:3\n\na\0b\0"),
            "STOMP_HEADERS_MAX",
        ),
        (
            format!("MESSAGE\n{to}long:{long}{long}\ncontent-length:0\n\n\0"),
            "STOMP_HEAD_BYTES_MAX",
        ),
        (
            format!("MESSAGE\n{to}a:{long}\r\nb:{long}\r\n\r\n{large}\0"),
            "STOMP_HEAD_BYTES_MAX",
        ),
        (
            format!("MESSAGE\n{to}bare\ncontent-length:1\n\n\0\0"),
            "a header without :",
        ),
    ] {
        for piece in [1, 7, 1000, usize::MAX] {
            let mut decoder = Decoder::new(10);
            decoder.skip_messages();
            let mut frames = Vec::new();
            let all = format!("{bad}\n{good}");
            for piece in all.as_bytes().chunks(piece.min(all.len())) {
                decoder.feed(piece);
                while let Some(frame) = decoder.frame().unwrap() {
                    frames.push(frame);
                }
                assert!(decoder.heap_bytes() <= 8 * STOMP_HEAD_BYTES_MAX.max(piece.len()));
            }
            let [refused, good] = &frames[..] else {
                panic!("{piece} {why}: {frames:?}");
            };
            assert_eq!(refused.refused, Some(why), "{piece}");
            assert_eq!(
                refused.get("destination"),
                Some("/topic/a:b"),
                "{piece} {why}"
            );
            assert_eq!((good.refused, &good.body[..]), (None, &b"ok"[..]));
            assert_eq!(decoder.heap_bytes(), 0);
        }
    }
    // Whose frames cannot be told apart any more, and what is no message.
    for bad in [
        "MESSAGE\ncontent-length:11\n\n............\0",
        "MESSAGE\nbare\ncontent-length:x\n\n\0",
        "ERROR\ncontent-length:11\n\n...........\0",
        "MESSAGE\ncontent-length:99999999999\n\n",
    ] {
        let mut decoder = Decoder::new(10);
        decoder.skip_messages();
        decoder.feed(bad.as_bytes());
        assert!(decoder.frame().is_err(), "{bad}");
    }
}

#[test]
fn heart_beats_are_no_frames_and_leave_nothing_behind() {
    // R-STOMP.10
    let mut decoder = Decoder::new(10);
    for _ in 0..10 {
        decoder.feed(b"\n\r\n\n");
        assert!(decoder.frame().unwrap().is_none());
        assert_eq!(decoder.heap_bytes(), 0);
    }
    decoder.feed(b"\nRECEIPT\n\n\0\n");
    assert!(decoder.frame().unwrap().is_some());
    assert!(decoder.frame().unwrap().is_none());
    assert_eq!(decoder.heap_bytes(), 0);
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let command = prop::sample::select(vec![
        Command::Send,
        Command::Message,
        Command::Error,
        Command::Subscribe,
        Command::Receipt,
        Command::Stomp,
    ]);
    let name = "[a-z:\\\\\\r\\n\u{e4}]{1,5}";
    let headers = prop::collection::vec((name, any::<String>()), 0..5);
    let body = prop::collection::vec(any::<u8>(), 0..64);
    (command, headers, body).prop_map(|(command, headers, body)| Frame {
        command,
        headers,
        body: match command.has_body() {
            true => body.into(),
            false => Bytes::new(),
        },
        refused: None,
    })
}

proptest! {
    #[test]
    fn every_frame_survives_its_encoding_in_pieces_of_any_size(
        frames in prop::collection::vec(any_frame(), 1..4),
        piece in 1_usize..40,
    ) {
        let mut bytes = Vec::new();
        for frame in &frames {
            frame.encode(&mut bytes);
            bytes.push(b'\n');
        }
        let mut decoder = Decoder::new(64);
        let mut got = Vec::new();
        for piece in bytes.chunks(piece) {
            decoder.feed(piece);
            while let Some(frame) = decoder.frame().unwrap() {
                got.push(frame);
            }
        }
        prop_assert_eq!(got, frames);
        prop_assert_eq!(decoder.heap_bytes(), 0);
    }

    #[test]
    fn random_bytes_are_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut decoder = Decoder::new(64);
        decoder.feed(b"MESSAGE\n");
        decoder.feed(&bytes);
        while let Ok(Some(_)) = decoder.frame() {}
    }
}

fn own() -> EndpointId {
    EndpointId::parse("os::012345-A").unwrap()
}

/// A server that lets the first client in with these headers of its CONNECTED.
async fn server(listener: &TcpListener, headers: &[(&str, &str)]) -> (Pipe, Frame) {
    let tcp = listener.accept().await.unwrap().0;
    let mut pipe = Pipe::new(Stream::Plain(tcp), 8 * 1024 * 1024);
    let hello = pipe.frame().await.unwrap();
    let connected = Frame::new(Command::Connected).with("version", "1.2");
    let connected = headers.iter().fold(connected, |f, (n, v)| f.with(n, *v));
    pipe.enqueue(&connected);
    pipe.flush().await.unwrap();
    (pipe, hello)
}

async fn confirm(pipe: &mut Pipe) -> Frame {
    let asked = pipe.frame().await.unwrap();
    let receipt = asked.get("receipt").unwrap();
    pipe.enqueue(&Frame::new(Command::Receipt).with("receipt-id", receipt));
    pipe.flush().await.unwrap();
    asked
}

async fn config() -> (TcpListener, DialConfig) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut config = DialConfig::new("127.0.0.1", port, own(), "/queue/c");
    config.own_destination = Some("/queue/a".into());
    (listener, config)
}

fn message(n: u8) -> Frame {
    Frame::new(Command::Message)
        .with("destination", "/queue/a")
        .with("content-type", CONTENT_TYPE)
        .with(REPLY_TO, "/queue/c2")
        .body(vec![n, 0].into())
}

/// A link and its server, which speaks of heart-beats.
async fn pair(beat: Option<(Duration, Duration)>, told: &str) -> (Link, Pipe) {
    let (listener, mut config) = config().await;
    config.heart_beat = beat;
    let serve = async {
        let mut pipe = server(&listener, &[("heart-beat", told)]).await.0;
        confirm(&mut pipe).await;
        pipe
    };
    let (link, pipe) = tokio::join!(dial(&config), serve);
    (link.unwrap(), pipe)
}

/// TP-469 6.4, 6.5
#[tokio::test]
async fn an_end_listens_where_the_server_says_and_says_so_in_what_it_sends() {
    // R-STOMP.6, R-STOMP.13, R-STOMP.14, R-STOMP.17, R-STOMP.20, R-STOMP.21, R-STOMP.23
    let (listener, config) = config().await;
    let serve = async {
        let told = [(SUBSCRIBE_DEST, "/queue/os::012345-A")];
        let (mut pipe, hello) = server(&listener, &told).await;
        assert_eq!(hello.command, Command::Stomp);
        assert_eq!(hello.get(ENDPOINT_ID), Some("os::012345-A"));
        assert_eq!(hello.get("heart-beat"), None);
        // What waited there comes before the receipt.
        (0..2).for_each(|n| pipe.enqueue(&message(n)));
        let subscribe = confirm(&mut pipe).await;
        assert_eq!(subscribe.get("destination"), Some("/queue/os::012345-A"));
        assert_eq!(subscribe.get("ack"), Some("auto"));
        pipe
    };
    let (link, mut pipe) = tokio::join!(dial(&config), serve);
    let mut link = link.unwrap();
    assert!(link.is_told());
    for n in 0..2 {
        let came = link.recv().await.unwrap();
        assert_eq!(&came.record[..], [n, 0]);
        assert_eq!(came.reply.as_deref(), Some("/queue/c2"));
    }
    for (to, wanted) in [(None, "/queue/c"), (Some("/queue/c2"), "/queue/c2")] {
        link.send(Bytes::from_static(b"\0x"), to).await.unwrap();
        let sent = timeout(PATIENCE, pipe.frame()).await.unwrap().unwrap();
        assert_eq!(sent.get("destination"), Some(wanted));
        assert_eq!(sent.get("content-type"), Some(CONTENT_TYPE));
        assert_eq!(sent.get(REPLY_TO), Some("/queue/os::012345-A"));
        assert_eq!(&sent.body[..], b"\0x");
    }
    // Another destination of ours does not matter to it.
    assert!(link.resubscribe("/queue/b"));
    assert_eq!(link.own_destination(), "/queue/os::012345-A");
}

#[tokio::test]
async fn what_is_no_record_is_dropped_and_an_error_is_the_end() {
    // R-STOMP.25
    let (mut link, mut pipe) = pair(None, "0,0").await;
    let mut complaint = message(1);
    complaint.headers.retain(|(name, _)| name != "content-type");
    let bare = complaint.clone().body(Bytes::from_static(b"bare"));
    let complaint = complaint
        .with("content-type", "application/vnd.bbf.usp.error")
        .with(ERROR_ID, "x");
    pipe.enqueue(&complaint);
    pipe.enqueue(&bare);
    pipe.enqueue(&Frame::new(Command::Error).with("message", "access refused"));
    pipe.flush().await.unwrap();
    assert_eq!(&link.recv().await.unwrap().record[..], b"bare");
    let ended = timeout(PATIENCE, link.recv()).await.unwrap();
    assert!(matches!(ended, Err(LinkError::Closed(words)) if words == "access refused"));
    assert!(matches!(link.recv().await, Err(LinkError::ApiMisuse)));
}

/// TP-469 6.10
#[tokio::test]
async fn another_destination_of_ours_is_subscribed_to_in_place_of_the_first() {
    // R-STOMP.29
    let (mut link, mut pipe) = pair(None, "0,0").await;
    assert!(!link.resubscribe(""));
    assert!(link.resubscribe("/queue/b"));
    link.send(Bytes::new(), None).await.unwrap();
    let mut next = async || timeout(PATIENCE, pipe.frame()).await.unwrap().unwrap();
    let leave = next().await;
    assert_eq!(
        (leave.command, leave.get("id")),
        (Command::Unsubscribe, Some("0"))
    );
    let enter = next().await;
    assert_eq!(
        (enter.command, enter.get("id")),
        (Command::Subscribe, Some("1"))
    );
    assert_eq!(enter.get("destination"), Some("/queue/b"));
    assert_eq!(next().await.get(REPLY_TO), Some("/queue/b"));

    // It is told when the server confirms the newest one, and once.
    let first = enter.get("receipt").unwrap().to_owned();
    assert!(link.resubscribe("/queue/c"));
    pipe.enqueue(&Frame::new(Command::Receipt).with("receipt-id", first));
    pipe.enqueue(&message(7));
    pipe.flush().await.unwrap();
    let came = timeout(PATIENCE, link.recv_some()).await.unwrap().unwrap();
    assert_eq!(came.unwrap().record[0], 7);
    assert!(!link.moved());
    let serve = async {
        pipe.frame().await.unwrap();
        confirm(&mut pipe).await;
    };
    let (came, ()) = tokio::join!(link.recv_some(), serve);
    assert_eq!(came.unwrap(), None);
    assert!(link.moved());
    assert!(!link.moved());
}

#[tokio::test]
async fn goodbye_is_waited_for() {
    let (link, mut pipe) = pair(None, "0,0").await;
    let serve = async {
        let asked = confirm(&mut pipe).await;
        assert_eq!(asked.command, Command::Disconnect);
        assert!(matches!(pipe.frame().await, Err(LinkError::Gone)));
    };
    timeout(PATIENCE, async { tokio::join!(link.close(), serve) })
        .await
        .unwrap();
}

/// TP-469 6.8
#[tokio::test]
async fn heart_beats_go_out_in_time_and_those_that_do_not_come_are_missed() {
    // R-STOMP.8 to .11
    let s = Duration::from_secs;
    let (mut link, mut pipe) = pair(Some((s(30), s(60))), "60000,20000").await;
    let now = Instant::now();
    let due = link.next_ping().unwrap();
    assert!(due > now + s(14) && due <= now + s(15), "{:?}", due - now);
    link.keep_alive(now + s(1)).unwrap();
    assert_eq!(link.next_ping(), Some(due));
    let heard = pipe.heard_at();
    link.keep_alive(due).unwrap();
    assert!(link.next_ping().unwrap() >= due + s(14));
    let beat = async {
        while pipe.heard_at() == heard {
            let _ = timeout(Duration::from_millis(1), pipe.frame()).await;
        }
    };
    tokio::select! {
        _ = link.recv() => panic!("nothing was sent"),
        done = timeout(PATIENCE, beat) => done.unwrap(),
    }
    let silent = link.keep_alive(now + s(121));
    assert!(matches!(silent, Err(LinkError::PeerSilent(_))));
    let (link, _pipe) = pair(None, "1,1").await;
    assert_eq!(link.next_ping(), None);
}

#[tokio::test]
async fn a_server_that_does_not_read_is_waited_for() {
    let (mut link, mut pipe) = pair(None, "0,0").await;
    // More than the sockets take.
    link.send(vec![0; 8 * 1024 * 1024].into(), None)
        .await
        .unwrap();
    assert!(
        timeout(Duration::ZERO, link.send(Bytes::new(), None))
            .await
            .is_err()
    );
    let reading = async {
        let mut sizes = Vec::new();
        while sizes.len() < 2 {
            sizes.push(pipe.frame().await.unwrap().body.len());
        }
        sizes
    };
    let sending = async {
        link.send(Bytes::from_static(b"x"), None).await.unwrap();
        link.recv().await
    };
    let sizes = tokio::select! {
        sizes = timeout(PATIENCE, reading) => sizes.unwrap(),
        _ = sending => panic!("nothing was sent"),
    };
    assert_eq!(sizes, [8 * 1024 * 1024, 1]);
    const { assert!(SEND_QUEUE_BYTES < 8 * 1024 * 1024) };
}

/// `DIAL_TIME_MAX`
#[tokio::test]
async fn a_server_that_says_nothing_or_half_of_it_is_given_up() {
    use tokio::io::AsyncWriteExt;
    for half in [&b""[..], b"CONNECTED\nversion:1."] {
        let (listener, mut config) = config().await;
        config.time_max = Duration::from_millis(100);
        let serve = async {
            let mut tcp = listener.accept().await.unwrap().0;
            tcp.write_all(half).await.unwrap();
            tcp
        };
        let (dialled, _tcp) = tokio::join!(dial(&config), serve);
        assert!(matches!(dialled, Err(DialError::Timeout(_))));
    }
}

/// TP-469 6.7
#[tokio::test]
async fn what_refuses_us_says_why() {
    // R-STOMP.16
    let (listener, mut config) = config().await;
    let refuse = async |frame: Frame| {
        let tcp = listener.accept().await.unwrap().0;
        let mut pipe = Pipe::new(Stream::Plain(tcp), 100);
        pipe.frame().await.unwrap();
        pipe.enqueue(&frame);
        pipe.flush().await.unwrap();
        pipe
    };
    let error = Frame::new(Command::Error)
        .with("message", "Bad CONNECT")
        .body(Bytes::from_static(b"Access refused for\n\x1buser 'x'\n"));
    let refused = tokio::join!(dial(&config), refuse(error)).0.unwrap_err();
    let words = "the server refuses: Bad CONNECT: Access refused for user 'x'";
    assert_eq!(refused.to_string(), words);
    let old = Frame::new(Command::Connected).with("version", "1.1");
    let refused = tokio::join!(dial(&config), refuse(old)).0.unwrap_err();
    assert!(refused.to_string().contains("other than 1.2"), "{refused}");

    let serve = async {
        let mut pipe = server(&listener, &[]).await.0;
        let asked = pipe.frame().await.unwrap();
        assert_eq!(asked.command, Command::Subscribe);
        pipe.enqueue(&Frame::new(Command::Error).with("message", "no way"));
        pipe.flush().await.unwrap();
        pipe
    };
    let refused = tokio::join!(dial(&config), serve).0.unwrap_err();
    let words = "the server refuses the subscription to /queue/a: no way";
    assert_eq!(refused.to_string(), words);

    config.own_destination = None;
    let (refused, _) = tokio::join!(dial(&config), server(&listener, &[]));
    assert!(matches!(refused, Err(DialError::NothingToSubscribe)));
}

#[tokio::test]
async fn what_waited_for_us_comes_before_the_receipt_and_none_of_it_is_lost_or_kept() {
    const MANY: usize = 200;
    let (listener, config) = config().await;
    let serve = async {
        let mut pipe = server(&listener, &[]).await.0;
        (0..MANY).for_each(|n| pipe.enqueue(&message(n as u8)));
        let asked = pipe.frame().await.unwrap();
        pipe.flush().await.unwrap();
        (pipe, asked)
    };
    // It need not wait for the receipt: there is a message.
    let (link, (mut pipe, asked)) = timeout(PATIENCE, async { tokio::join!(dial(&config), serve) })
        .await
        .unwrap();
    let receipt = asked.get("receipt").unwrap();
    pipe.enqueue(&Frame::new(Command::Receipt).with("receipt-id", receipt));
    pipe.enqueue(&message(255));
    pipe.flush().await.unwrap();
    let mut link = link.unwrap();
    for n in (0..MANY).chain([255]) {
        let came = timeout(PATIENCE, link.recv()).await.unwrap().unwrap();
        assert_eq!(usize::from(came.record[0]), n);
    }
}
