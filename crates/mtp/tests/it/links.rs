//! Two of our own ends: sending, waiting, closing, dying.

use std::time::Duration;

use mtp::{
    limits::{CLOSE_TIME_MAX, PONG_TIME_MAX, RECORD_TIME_MAX, SEND_QUEUE_BYTES, SEND_STALL_MAX},
    ws::{CloseCode, Closed, Incoming, KeepAlive, Link, LinkError, reason},
};

use crate::support::{Raw, listen, pair, within};

async fn record(link: &mut Link) -> bytes::Bytes {
    match within(link.recv()).await {
        Ok(Incoming::Record(record)) => record,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn both_ends_may_send_large_records_at_the_same_time() {
    let (mut agent, mut controller) = pair().await;
    let large = bytes::Bytes::from(vec![5; 4 << 20]);
    let talk = |mut link: Link, large: bytes::Bytes| async move {
        for _ in 0..2 {
            link.send(large.clone()).await.unwrap();
            assert_eq!(record(&mut link).await, large);
        }
        link
    };
    agent.send("first").await.unwrap();
    assert_eq!(record(&mut controller).await, "first");
    let other = tokio::spawn(talk(agent, large.clone()));
    controller = within(talk(controller, large)).await;
    // The last one may still be on its way out of `controller`.
    let agent = async {
        tokio::select! {
            agent = other => agent.unwrap(),
            end = controller.recv() => panic!("{end:?}"),
        }
    };
    let mut agent = within(agent).await;
    agent.send("last").await.unwrap();
    assert_eq!(record(&mut controller).await, "last");
    assert_eq!((agent.heap_bytes(), controller.heap_bytes()), (0, 0));
}

#[tokio::test]
async fn a_receive_that_is_dropped_half_way_loses_nothing() {
    let (mut agent, mut controller) = pair().await;
    let sent: Vec<bytes::Bytes> = (0..50_u8).map(|n| vec![n; 40_000].into()).collect();
    let sending = sent.clone();
    tokio::spawn(async move {
        for one in sending {
            agent.send(one).await.unwrap();
        }
        let _ = agent.recv().await;
    });
    let mut heard = Vec::new();
    within(async {
        while heard.len() < sent.len() {
            tokio::select! {
                biased;
                one = controller.recv() => heard.push(one.unwrap()),
                () = tokio::task::yield_now() => {}
            }
        }
    })
    .await;
    let sent: Vec<Incoming> = sent.into_iter().map(Incoming::Record).collect();
    assert_eq!(heard, sent);
}

/// TP-469 7.4
#[tokio::test]
async fn a_close_ends_in_order_at_both_ends_whoever_closes() {
    // R-WS.8
    for agent_closes in [true, false] {
        let (agent, controller) = pair().await;
        let (closer, mut other) = if agent_closes {
            (agent, controller)
        } else {
            (controller, agent)
        };
        let closing = tokio::spawn(closer.close(CloseCode::Normal, reason::REPLACED));
        let closed = within(other.recv()).await.unwrap();
        let expected = Closed {
            code: Some(CloseCode::Normal),
            reason: reason::REPLACED.into(),
        };
        assert_eq!(closed, Incoming::Closed(expected));
        within(closing).await.unwrap();
        assert!(matches!(other.send("x").await, Err(LinkError::ApiMisuse)));
        assert!(matches!(other.recv().await, Err(LinkError::ApiMisuse)));
        assert_eq!(other.next_ping(), None);
    }
}

#[tokio::test]
async fn records_sent_before_a_close_arrive() {
    let (mut agent, mut controller) = pair().await;
    let large = vec![1; 2 << 20];
    agent.send(large.clone()).await.unwrap();
    agent.send("last words").await.unwrap();
    let closing = tokio::spawn(agent.close(CloseCode::Normal, reason::DONE));
    assert_eq!(record(&mut controller).await, large);
    assert_eq!(record(&mut controller).await, "last words");
    assert!(matches!(
        within(controller.recv()).await,
        Ok(Incoming::Closed(_))
    ));
    within(closing).await.unwrap();
}

#[tokio::test]
async fn a_close_that_nobody_answers_is_over_after_its_time() {
    let mut running = listen().await;
    let _deaf = Raw::upgraded(running.addr).await;
    let link = running.next().await.link;
    tokio::time::pause();
    let before = tokio::time::Instant::now();
    link.close(CloseCode::GoingAway, reason::SHUTTING_DOWN)
        .await;
    assert!((CLOSE_TIME_MAX..CLOSE_TIME_MAX * 2).contains(&before.elapsed()));
}

#[tokio::test]
async fn a_peer_that_vanishes_is_gone() {
    let (agent, mut controller) = pair().await;
    drop(agent);
    assert!(matches!(
        within(controller.recv()).await,
        Err(LinkError::Gone)
    ));
}

#[tokio::test]
async fn a_peer_that_does_not_read_stalls_the_sender_but_not_for_ever() {
    let mut running = listen().await;
    let _deaf = Raw::upgraded(running.addr).await;
    let mut link = running.next().await.link;
    let piece = bytes::Bytes::from(vec![0; SEND_QUEUE_BYTES]);
    // Fill the kernel's buffers and the queue; the queue is bounded by one record over its size.
    while link.heap_bytes() <= SEND_QUEUE_BYTES {
        link.send(piece.clone()).await.unwrap();
    }
    tokio::time::pause();
    let before = tokio::time::Instant::now();
    let error = loop {
        if let Err(error) = link.send(piece.clone()).await {
            break error;
        }
        assert!(link.heap_bytes() <= 4 * SEND_QUEUE_BYTES);
    };
    assert!(
        matches!(error, LinkError::PeerStalled(SEND_STALL_MAX)),
        "{error}"
    );
    assert!(before.elapsed() >= SEND_STALL_MAX);
}

/// TP-469 7.7
#[tokio::test]
async fn pings_are_answered_and_silence_after_one_ends_the_link() {
    // R-WS.17, R-WS.18
    let (mut agent, mut controller) = pair().await;
    agent.set_keep_alive(KeepAlive::every(Duration::from_secs(60)));
    let due = agent.next_ping().unwrap();
    agent.keep_alive(due).unwrap();
    assert_eq!(agent.next_ping(), Some(due + PONG_TIME_MAX));
    // The controller's answer is heard although no Record comes.
    let heard = async {
        while agent.next_ping() == Some(due + PONG_TIME_MAX) {
            tokio::select! {
                biased;
                other = agent.recv() => panic!("{other:?}"),
                other = controller.recv() => panic!("{other:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    };
    within(heard).await;
    let due = agent.next_ping().unwrap();
    agent.keep_alive(due).unwrap();
    let error = agent.keep_alive(due + PONG_TIME_MAX).unwrap_err();
    assert!(
        matches!(error, LinkError::PeerSilent(PONG_TIME_MAX)),
        "{error}"
    );
    assert!(matches!(agent.recv().await, Err(LinkError::ApiMisuse)));
}

/// One byte now and then is a sign of life by every other measure, and keeps what has come of the Record.
#[tokio::test]
async fn a_record_that_does_not_become_whole_ends_the_link() {
    for frame in [0x82, 0x02] {
        let mut running = listen().await;
        let mut raw = Raw::upgraded(running.addr).await;
        let mut link = running.next().await.link;
        // What is whole in time does no harm, nor does it to the next one.
        for _ in 0..2 {
            raw.frame(0x02, b"rec").await;
            let begun = async {
                while link.heap_bytes() == 0 {
                    tokio::select! {
                        biased;
                        other = link.recv() => panic!("{other:?}"),
                        () = tokio::task::yield_now() => {}
                    }
                }
            };
            within(begun).await;
            raw.frame(0x80, b"ord").await;
            assert_eq!(record(&mut link).await, "record");
            tokio::time::pause();
            tokio::time::advance(RECORD_TIME_MAX * 2).await;
            tokio::time::resume();
        }
        tokio::time::pause();
        let before = tokio::time::Instant::now();
        let trickle = tokio::spawn(async move {
            // A whole frame of a Record and pongs, or a frame byte by byte.
            raw.frame(0x02, b"r").await;
            loop {
                tokio::time::sleep(RECORD_TIME_MAX / 20).await;
                match frame {
                    0x02 => raw.frame(0x8a, b"").await,
                    _ => raw.frame(0x00, b"r").await,
                }
            }
        });
        let error = link.recv().await.unwrap_err();
        assert!(
            matches!(error, LinkError::PeerTrickles(RECORD_TIME_MAX)),
            "{error}"
        );
        let took = before.elapsed();
        assert!(
            (RECORD_TIME_MAX..RECORD_TIME_MAX * 2).contains(&took),
            "{took:?}"
        );
        trickle.abort();
        tokio::time::resume();
    }
}

#[test]
fn an_idle_plaintext_link_is_small() {
    // The budget of a whole idle agent in the server is 12 KiB.
    assert!(size_of::<Link>() <= 512, "{} bytes", size_of::<Link>());
}
