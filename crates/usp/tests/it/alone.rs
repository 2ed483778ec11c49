//! One end of session contexts against a peer that does whatever a test writes down.

use std::time::Duration;

use usp::codec::decode_record;
use usp::context::{Config, Failure, Payload};
use usp::record::{RecordType, SarState, SessionContextRecord};
use usp::{Record, Version, limits};

use crate::contexts::{World, config};
use crate::support::*;

/// A record as a peer may send it.
fn record(session_id: u64, sequence_id: u64) -> SessionContextRecord {
    SessionContextRecord {
        session_id,
        sequence_id,
        expected_id: 1,
        ..SessionContextRecord::default()
    }
}

fn saying(session_id: u64, sequence_id: u64, payload: &[u8]) -> SessionContextRecord {
    let payload = vec![payload.to_vec()];
    SessionContextRecord {
        payload,
        ..record(session_id, sequence_id)
    }
}

/// The controller's end alone.
struct Alone(World);

impl Alone {
    fn new(config: Config) -> Self {
        Self(World::new(1, config))
    }

    fn hear(&mut self, content: SessionContextRecord) {
        self.hear_record(from_cpe(content));
    }

    fn hear_record(&mut self, record: Record) {
        let now = self.0.now;
        let end = &mut self.0.ends[1];
        end.context.receive(now, record);
        end.take_events();
    }

    fn say(&mut self) -> Option<SessionContextRecord> {
        let bytes = self.0.ends[1].context.poll_transmit(Version::V1_4)?;
        match decode_record(&bytes).unwrap().record_type {
            RecordType::SessionContext(content) => Some(content),
            other => panic!("{other:?}"),
        }
    }

    fn wait(&mut self, time: Duration) {
        self.0.now += time;
        let now = self.0.now;
        let end = &mut self.0.ends[1];
        end.context.handle_timeout(now);
        end.take_events();
    }

    fn last_failure(&self) -> Option<Failure> {
        self.0.failures(1).last().map(|failure| (*failure).clone())
    }

    fn received(&self) -> &[Vec<u8>] {
        &self.0.ends[1].received
    }
}

/// R-E2E.4, .6, .14, .17, .22; TP-469 3.8, 3.9
#[test]
fn another_session_id_restarts_both_counters() {
    let mut alone = Alone::new(config(0));
    alone.hear(saying(5, 1, b"a"));
    alone.hear(saying(5, 2, b"b"));
    alone.hear(saying(9, 1, b"c"));
    alone.wait(seconds(1));
    let said = alone.say().unwrap();
    assert_eq!(
        (said.session_id, said.sequence_id, said.expected_id),
        (9, 1, 2)
    );
    assert_eq!(alone.received(), [b"a", b"b", b"c"]);
    // Late records of the one before open nothing.
    alone.hear(saying(5, 1, b"a"));
    assert_eq!(alone.0.ends[1].context.session_id(), Some(9));
    assert_eq!(alone.received().len(), 3);
}

/// R-E2E.20; TP-469 3.11, 3.15
#[test]
fn what_comes_early_waits_for_its_turn_and_what_comes_twice_counts_once() {
    let mut alone = Alone::new(config(0));
    for sequence in [1, 3, 4, 3, 1, 2, 4] {
        alone.hear(saying(5, sequence, &[sequence as u8]));
    }
    assert_eq!(alone.received(), [[1], [2], [3], [4]]);
}

/// A missing record is asked for, with waits, and then the context is over. `CONTEXT_GAP_WAIT`, `CONTEXT_ASKS_MAX`;
/// R-E2E.21
#[test]
fn what_is_missing_is_asked_for_and_then_given_up() {
    let mut alone = Alone::new(config(0));
    alone.hear(record(5, 1));
    assert_eq!(alone.say().map(|said| said.expected_id), Some(2));
    alone.hear(saying(5, 3, b"c"));
    assert_eq!(alone.say(), None);
    for asked in 0..limits::CONTEXT_ASKS_MAX {
        alone.wait(limits::CONTEXT_GAP_WAIT * 2u32.pow(asked));
        assert_eq!(alone.say().map(|said| said.retransmit_id), Some(2));
        assert_eq!(alone.say(), None);
    }
    alone.wait(limits::CONTEXT_GAP_WAIT * 2u32.pow(limits::CONTEXT_ASKS_MAX));
    assert_eq!(alone.last_failure(), Some(Failure::Missing(2)));
    alone.wait(Duration::ZERO);
    let said = alone.say().unwrap();
    assert_eq!(said.sequence_id, 1);
    assert_ne!(said.session_id, 5);
}

/// R-E2E.16; TP-469 3.12, 3.14
#[test]
fn a_record_is_sent_again_unchanged_as_often_as_allowed() {
    let mut alone = Alone::new(Config {
        retransmits_max: Some(2),
        ..config(0)
    });
    alone.hear(record(5, 1));
    let now = alone.0.now;
    alone.0.ends[1].context.send(now, b"x".to_vec());
    let first = alone.say().unwrap();
    for again in 0..2 {
        alone.hear(SessionContextRecord {
            retransmit_id: 1,
            ..record(5, 2 + again)
        });
        assert_eq!(alone.say().as_ref(), Some(&first));
    }
    alone.hear(SessionContextRecord {
        retransmit_id: 1,
        ..record(5, 4)
    });
    assert_eq!(alone.last_failure(), Some(Failure::Retransmits(1)));
}

/// R-E2E.16, .21
#[test]
fn asking_for_what_was_never_sent_ends_the_context() {
    for (content, failure) in [
        (
            SessionContextRecord {
                retransmit_id: 7,
                ..record(5, 1)
            },
            Failure::Unknown(7),
        ),
        (
            SessionContextRecord {
                expected_id: 2,
                ..record(5, 1)
            },
            Failure::Expected,
        ),
    ] {
        let mut alone = Alone::new(config(0));
        alone.hear(content);
        assert_eq!(alone.last_failure(), Some(failure));
    }
}

/// R-E2E.3, .18, .19, .24; TP-469 3.13
#[test]
fn impossible_records_end_the_context() {
    let mut several = saying(5, 1, b"a");
    several.payload.push(b"b".to_vec());
    for (content, failure) in [
        (record(1, 1), Failure::SessionId),
        (record(0, 1), Failure::SessionId),
        (several, Failure::Payloads),
    ] {
        let mut alone = Alone::new(config(0));
        alone.hear(content);
        assert_eq!(alone.last_failure(), Some(failure));
    }
    let mut alone = Alone::new(Config {
        payload: Payload::Either,
        ..config(0)
    });
    alone.hear(record(5, 1));
    let mut encrypted = from_cpe(record(5, 2));
    encrypted.payload_security = usp::record::PayloadSecurity::TLS12;
    alone.hear_record(encrypted);
    assert_eq!(alone.last_failure(), Some(Failure::Security));
}

/// `CONTEXT_AHEAD_MAX`, `CONTEXT_EARLY_MAX`, `CONTEXT_EARLY_BYTES_MAX`
#[test]
fn a_peer_that_counts_ahead_fills_no_memory() {
    let mut alone = Alone::new(config(0));
    alone.hear(record(5, 1));
    alone.hear(record(5, 2 + limits::CONTEXT_AHEAD_MAX));
    assert_eq!(alone.last_failure(), None);
    alone.hear(record(5, 3 + limits::CONTEXT_AHEAD_MAX));
    assert_eq!(
        alone.last_failure(),
        Some(Failure::Limit("CONTEXT_AHEAD_MAX"))
    );

    let mut alone = Alone::new(config(0));
    for sequence in 0..limits::CONTEXT_EARLY_MAX as u64 {
        alone.hear(saying(5, 2 + sequence, b"x"));
    }
    assert_eq!(alone.last_failure(), None);
    alone.hear(saying(5, 2 + limits::CONTEXT_EARLY_MAX as u64, b"x"));
    assert_eq!(
        alone.last_failure(),
        Some(Failure::Limit("CONTEXT_EARLY_MAX"))
    );

    let mut alone = Alone::new(config(0));
    let half = vec![0; limits::CONTEXT_EARLY_BYTES_MAX / 2];
    for sequence in 2..4 {
        alone.hear(saying(5, sequence, &half));
    }
    assert_eq!(alone.last_failure(), None);
    alone.hear(saying(5, 4, b"x"));
    assert_eq!(
        alone.last_failure(),
        Some(Failure::Limit("CONTEXT_EARLY_BYTES_MAX"))
    );
}

/// `CONTEXT_UNACKNOWLEDGED_BYTES_MAX`, `CONTEXT_UNACKNOWLEDGED_MAX`, `CONTEXT_UNACKNOWLEDGED_MESSAGES_MAX`
#[test]
fn a_peer_that_acknowledges_nothing_fills_no_memory() {
    let large = vec![0; limits::RECORD_BYTES_MAX / 2];
    for (size, count, record_bytes) in [
        (large.len(), 5, 0),
        (large.len(), 3, 512),
        (1, limits::CONTEXT_UNACKNOWLEDGED_MESSAGES_MAX + 1, 0),
    ] {
        let mut alone = Alone::new(config(record_bytes));
        alone.hear(record(5, 1));
        let now = alone.0.now;
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(alone.0.ends[1].context.send(now, large[..size].to_vec()));
            while alone.say().is_some() {}
        }
        alone.0.ends[1].take_events();
        if size == 1 {
            assert_eq!(alone.0.ends[1].told(ids[0]), (0, 1));
            assert_eq!(alone.0.ends[1].told(ids[1]), (0, 0));
        } else {
            // The first one is forgotten, the last is there.
            alone.hear(SessionContextRecord {
                retransmit_id: 1,
                ..record(5, 2)
            });
            assert_eq!(alone.last_failure(), Some(Failure::Unknown(1)));
        }
    }
}

/// `CONTEXT_PROBE_WAIT`, `CONTEXT_PROBES_MAX`, `CONTEXT_ACKNOWLEDGE_WAIT`
#[test]
fn what_nobody_acknowledges_is_sent_again_and_then_told_as_unknown() {
    let mut alone = Alone::new(Config {
        retransmits_max: None,
        ..config(0)
    });
    alone.hear(record(5, 1));
    let now = alone.0.now;
    let id = alone.0.ends[1].context.send(now, b"x".to_vec());
    let first = alone.say();
    for times in 0..limits::CONTEXT_PROBES_MAX {
        alone.wait(limits::CONTEXT_PROBE_WAIT * 2u32.pow(times));
        assert_eq!(alone.say(), first);
    }
    assert_eq!(alone.0.ends[1].told(id), (0, 0));
    alone.wait(limits::CONTEXT_PROBE_WAIT * 2u32.pow(limits::CONTEXT_PROBES_MAX));
    assert_eq!(alone.0.ends[1].told(id), (0, 1));
    assert_eq!(alone.say(), None);
    // What comes is acknowledged soon, what comes again at once, and an acknowledgement never.
    alone.hear(saying(5, 2, b"y"));
    assert_eq!(alone.say(), None);
    alone.wait(limits::CONTEXT_ACKNOWLEDGE_WAIT);
    assert_eq!(alone.say().map(|said| said.expected_id), Some(3));
    alone.hear(saying(5, 2, b"y"));
    assert_eq!(alone.say().map(|said| said.expected_id), Some(3));
    alone.hear(record(5, 3));
    alone.hear(record(5, 3));
    alone.wait(seconds(10));
    assert_eq!(alone.say(), None);
}

/// `CONTEXT_AGAIN_MAX`
#[test]
fn a_peer_that_asks_for_everything_at_once_gets_a_part() {
    let mut alone = Alone::new(Config {
        retransmits_max: None,
        ..config(0)
    });
    alone.hear(record(5, 1));
    let now = alone.0.now;
    alone.0.ends[1].context.send(now, b"x".to_vec());
    while alone.say().is_some() {}
    for sequence in 0..limits::CONTEXT_AGAIN_MAX as u64 + 10 {
        alone.hear(SessionContextRecord {
            retransmit_id: 1,
            ..record(5, 2 + sequence)
        });
    }
    let mut again = 0;
    while alone.say().is_some() {
        again += 1;
    }
    assert_eq!(again, limits::CONTEXT_AGAIN_MAX);
    assert_eq!(alone.last_failure(), None);
}

/// `CONTEXT_ENDED_MAX`, `CONTEXT_LATE_MAX`
#[test]
fn a_peer_that_stays_in_an_ended_context_is_shown_a_new_one() {
    let mut alone = Alone::new(config(0));
    alone.hear(record(5, 1));
    alone.hear(record(6, 1));
    for sequence in 0..u64::from(limits::CONTEXT_LATE_MAX) {
        alone.hear(saying(5, 2 + sequence, b"x"));
    }
    assert_eq!((alone.last_failure(), alone.received().len()), (None, 0));
    alone.hear(saying(5, 100, b"x"));
    assert_eq!(alone.last_failure(), Some(Failure::Ended));
    // So many ends later its number is as good as new.
    let mut alone = Alone::new(config(0));
    for id in 0..limits::CONTEXT_ENDED_MAX as u64 + 2 {
        alone.hear(record(5 + id, 1));
    }
    alone.hear(record(5, 1));
    assert_eq!(alone.0.ends[1].context.session_id(), Some(5));
}

#[test]
fn pieces_that_do_not_follow_each_other_end_the_context() {
    use SarState as S;
    for states in [
        vec![(S::INPROCESS, S::INPROCESS)],
        vec![(S::COMPLETE, S::COMPLETE)],
        vec![(S::BEGIN, S::BEGIN), (S::BEGIN, S::BEGIN)],
        vec![(S::BEGIN, S::BEGIN), (S::NONE, S::NONE)],
        vec![(S::BEGIN, S::BEGIN), (S::COMPLETE, S::INPROCESS)],
        vec![(S::NONE, S::BEGIN)],
        vec![(S(9), S::NONE)],
        vec![(S::NONE, S(-1))],
    ] {
        let mut alone = Alone::new(config(0));
        for (at, (message, piece)) in states.iter().enumerate() {
            let mut content = saying(5, 1 + at as u64, b"x");
            (content.payload_sar_state, content.payloadrec_sar_state) = (*message, *piece);
            alone.hear(content);
        }
        let failure = alone.last_failure();
        assert!(
            matches!(failure, Some(Failure::Segments(_))),
            "{states:?}: {failure:?}"
        );
    }
    // `RECORD_BYTES_MAX`
    let mut alone = Alone::new(config(0));
    let part = vec![0; limits::RECORD_BYTES_MAX / 4];
    for at in 0..5 {
        let mut content = saying(5, 1 + at, &part);
        let state = if at == 0 { S::BEGIN } else { S::INPROCESS };
        (content.payload_sar_state, content.payloadrec_sar_state) = (state, state);
        alone.hear(content);
    }
    assert!(matches!(alone.last_failure(), Some(Failure::Segments(_))));
}

/// `CONTEXT_TIE_WAIT`: a context that the peer opened before it knew of ours is old, a later one is not.
#[test]
fn of_two_contexts_opened_at_once_the_lower_is_old() {
    let mut alone = Alone::new(config(0));
    let now = alone.0.now;
    alone.0.ends[1].context.open(now);
    let ours = alone.say().unwrap().session_id;
    alone.hear(record(ours, 1));
    alone.hear(saying(5, 1, b"old"));
    assert_eq!(alone.0.ends[1].context.session_id(), Some(ours));
    assert!(alone.received().is_empty());
    alone.wait(limits::CONTEXT_TIE_WAIT);
    alone.hear(saying(5, 1, b"new"));
    assert_eq!(alone.0.ends[1].context.session_id(), Some(5));
    assert_eq!(alone.received(), [b"new"]);
}

/// `CONTEXT_HANDSHAKE_TIME_MAX`; TP-469 3.5
#[test]
fn a_handshake_that_stands_still_ends_the_context() {
    let mut alone = Alone::new(Config {
        payload: Payload::Tls,
        retransmits_max: None,
        ..config(0)
    });
    let now = alone.0.now;
    alone.0.ends[1].context.open(now);
    let id = alone.say().unwrap().session_id;
    // Acknowledged, and not answered.
    let mut silent = from_cpe(SessionContextRecord {
        expected_id: 2,
        ..record(id, 1)
    });
    silent.payload_security = usp::record::PayloadSecurity::TLS12;
    alone.hear_record(silent);
    let before = limits::CONTEXT_HANDSHAKE_TIME_MAX - Duration::from_millis(1);
    alone.wait(before);
    assert_eq!(alone.last_failure(), None);
    alone.wait(Duration::from_millis(1));
    assert_eq!(alone.last_failure(), Some(Failure::Silence));
}

/// What is gone with another channel is not waited for where nothing can be under way any more.
#[test]
fn a_peer_that_goes_on_from_another_channel_is_shown_a_new_context_at_once() {
    let mut alone = Alone::new(Config {
        lossy: false,
        ..config(0)
    });
    alone.hear(saying(5, 37, b"late"));
    assert_eq!(alone.last_failure(), Some(Failure::Missing(1)));
    alone.wait(Duration::ZERO);
    let said = alone.say().unwrap();
    assert_eq!((said.sequence_id, said.expected_id), (1, 1));
    assert_ne!(said.session_id, 5);
    assert!(alone.received().is_empty());
}

/// `CONTEXT_HANDSHAKE_TIME_MAX`: who knows no session contexts takes no part in them, and is named for it.
#[test]
fn a_context_that_nobody_answers_is_over_some_time_after_the_first_message() {
    let mut alone = Alone::new(Config {
        lossy: false,
        ..config(0)
    });
    let now = alone.0.now;
    alone.0.ends[1].context.open(now);
    assert!(alone.say().is_some());
    alone.wait(2 * limits::CONTEXT_HANDSHAKE_TIME_MAX);
    assert_eq!(alone.last_failure(), None);
    alone.0.say(1, "is anybody there?");
    alone.0.settle();
    alone.wait(limits::CONTEXT_HANDSHAKE_TIME_MAX - seconds(1));
    assert_eq!(alone.last_failure(), None);
    alone.wait(seconds(1));
    assert_eq!(alone.last_failure(), Some(Failure::Silence));
}

/// A repetition that nobody asked for may be taken for another message by a peer that keeps no count.
#[test]
fn where_nothing_is_lost_nothing_is_sent_unasked() {
    for lossy in [false, true] {
        let mut alone = Alone::new(Config { lossy, ..config(0) });
        alone.hear(record(5, 1));
        alone.0.say(1, "once");
        alone.0.settle();
        alone.0.now += limits::CONTEXT_ACKNOWLEDGE_WAIT;
        alone.wait(limits::CONTEXT_PROBE_WAIT);
        let again = std::iter::from_fn(|| alone.say());
        let again = again.filter(|said| said.payload == [b"once"]).count();
        assert_eq!(again, usize::from(lossy));
    }
}

/// One payload in plain text, also when it has no bytes: peers are met that break off otherwise.
#[test]
fn a_record_that_only_acknowledges_has_one_empty_payload() {
    let mut alone = Alone::new(config(0));
    alone.hear(saying(5, 1, b"a"));
    alone.wait(limits::CONTEXT_ACKNOWLEDGE_WAIT);
    let said = alone.say().unwrap();
    assert_eq!(said.expected_id, 2);
    assert_eq!(said.payload, [b""]);
}
