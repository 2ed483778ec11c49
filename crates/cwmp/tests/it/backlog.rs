//! A CPE whose events do not get through at once: a full backlog, an event without its report, and
//! one that happens again while it is told.

use std::time::Duration;

use cwmp::cpe::{Event, Transmit};
use cwmp::event::{Cause, EventCode};
use cwmp::limits;
use cwmp::rpc::*;

use crate::cpe::*;
use crate::support::*;

/// The ACS was away for so long that no further transfer can be announced.
#[test]
fn a_cpe_with_a_full_backlog_still_boots() {
    let clock = Clock::new();
    let mut cpe = cpe();
    for key in 0..limits::INFORM_EVENTS_MAX {
        _ = cpe.transfer_complete(clock.at(0), transfer(&key.to_string()), Cause::Download);
    }
    cpe.boot(clock.at(1), false).unwrap();
    // The session that the first transfer opened is gone.
    assert_eq!(cpe.poll_transmit(), Some(Transmit::Close));
    let inform = told(starting(&mut cpe, clock.at(1)));
    assert!(codes(&inform).contains(&"1 BOOT".to_owned()));
}

/// An event that is delivered by a report which nobody makes.
#[test]
fn an_event_that_a_good_session_does_not_deliver_waits_for_the_next_one() {
    let clock = Clock::new();
    let mut cpe = cpe();
    cpe.raise(clock.at(0), EventStruct::new(EventCode::TransferComplete))
        .unwrap();
    welcomed(&mut cpe, clock.at(0));
    assert!(posted(&mut cpe).is_none());
    answer(&mut cpe, clock.at(0), b"");
    let Some(Event::Ended {
        result: Ok(()),
        retry_in: Some(wait),
    }) = cpe.poll_event()
    else {
        panic!();
    };
    assert!(wait >= Duration::from_secs(5) && !cpe.is_active());
    cpe.handle_timeout(clock.at(0) + wait);
    assert!(cpe.is_active());
}

/// What changes after the Inform is written is not in it, whatever the ACS answers.
#[test]
fn a_change_between_the_inform_and_its_answer_calls_for_another_session() {
    let clock = Clock::new();
    let now = clock.at(0);
    for code in [
        EventCode::ValueChange,
        EventCode::DiagnosticsComplete,
        EventCode::ConnectionRequest,
    ] {
        let event = EventStruct::new(code);
        let mut cpe = cpe();
        cpe.raise(now, event.clone()).unwrap();
        // Between the start and the Inform it is the same event.
        cpe.raise(now, event.clone()).unwrap();
        let opening = starting(&mut cpe, now);
        cpe.raise(now, event.clone()).unwrap();
        answer(&mut cpe, now, &response(&opening, welcome()));
        assert_eq!(cpe.events_pending().count(), 1);
        assert!(posted(&mut cpe).is_none());
        answer(&mut cpe, now, b"");
        assert_eq!(cpe.poll_transmit(), Some(Transmit::Close));
        assert!(matches!(cpe.poll_event(), Some(Event::Ended { .. })));
        let inform = welcomed(&mut cpe, now);
        assert_eq!(inform.events, [event]);
        assert_eq!(cpe.events_pending().count(), 0);
    }
    // A passive one waits for a session that comes anyway.
    let mut cpe = cpe();
    let event = EventStruct::new(EventCode::ValueChange);
    cpe.raise(now, event.clone()).unwrap();
    let opening = starting(&mut cpe, now);
    cpe.note(event).unwrap();
    answer(&mut cpe, now, &response(&opening, welcome()));
    ended(&mut cpe, now);
    assert_eq!((cpe.is_active(), cpe.events_pending().count()), (false, 1));
}
