//! What takes longer than anybody waits: the end of the numbers. Everything else is tested from outside.

use super::*;

const LIMIT: Limit = Limit {
    resends: 0,
    room: 1000,
};

fn open() -> Open {
    let mut open = Open::new(
        Instant::now(),
        2,
        false,
        false,
        PayloadSecurity::PLAINTEXT,
        None,
    );
    open.heard = true;
    open
}

/// `CONTEXT_SEQUENCE_MAX`; R-E2E.8
#[test]
fn a_context_whose_incoming_numbers_end_is_exhausted() {
    for (sequence, exhausted) in [
        (limits::CONTEXT_SEQUENCE_MAX - 1, false),
        (limits::CONTEXT_SEQUENCE_MAX, true),
    ] {
        let mut open = open();
        open.next_in = sequence;
        let content = SessionContextRecord {
            session_id: 2,
            sequence_id: sequence,
            expected_id: 1,
            payload: vec![b"a message".to_vec()],
            ..SessionContextRecord::default()
        };
        let mut events = VecDeque::new();
        let received = open.receive(open.active, Held::new(content, None), &LIMIT, &mut events);
        assert_eq!(received, Ok(true));
        // What came is told in any case.
        assert_eq!(events.len(), 1);
        assert_eq!(open.exhausted, exhausted);
    }
}

/// `CONTEXT_SEQUENCE_MAX`; R-E2E.9
#[test]
fn a_context_whose_outgoing_numbers_end_takes_no_further_message() {
    for (next, stale) in [
        (limits::CONTEXT_SEQUENCE_MAX - 2, false),
        (limits::CONTEXT_SEQUENCE_MAX - 1, true),
    ] {
        let mut open = open();
        open.next_out = next;
        open.load(MessageId(1), b"a message".to_vec(), 1000)
            .unwrap();
        let mut events = VecDeque::new();
        let sent = open.poll_transmit(open.active, &mut events, |_| Bytes::from_static(b"sent"));
        assert!(sent.is_some());
        assert_eq!(open.stale, stale);
    }
}
