//! An ACS and what comes again: POSTs after broken connections, answers, Informs.

use cwmp::acs::{End, Event, Ignored, PeerError, Post};
use cwmp::fault::{Fault, FaultCode};
use cwmp::rpc::*;
use cwmp::soap::Oddities;

use crate::support::*;

#[test]
fn an_answer_that_nobody_waits_for_is_told_and_gives_us_the_turn() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    informed(&mut acs, clock.at(0));
    post(
        &mut acs,
        clock.at(0),
        &envelope("9", Response::from(RebootResponse {})),
    );
    let ignored = Ignored::Unmatched {
        name: "RebootResponse".into(),
        id: "9".into(),
        oddities: Oddities::default(),
    };
    assert_eq!(events(&mut acs), [Event::Ignored(ignored), Event::Turn]);
}

#[test]
fn a_post_repeated_on_a_new_connection_gets_the_same_answer() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    let now = clock.at(0);
    let opening = envelope("1", inform());
    assert_eq!(post(&mut acs, now, &opening), None);
    // Even before it is answered: both wait for the one answer.
    acs.connection_closed();
    assert_eq!(post(&mut acs, now, &opening), None);
    acknowledge(&mut acs, now);
    let reply = acs.poll_transmit().unwrap();
    assert_eq!(post(&mut acs, now, &opening), Some(reply));
    let complete = envelope("2", TransferComplete::default());
    assert_eq!(post(&mut acs, now, &complete), None);
    assert_eq!(events(&mut acs).len(), 3);
    acs.connection_closed();
    assert_eq!(post(&mut acs, now, &complete), None);
    assert_eq!(
        only(events(&mut acs)),
        Event::Ignored(Ignored::Duplicate { id: "2".into() })
    );
}

#[test]
fn an_answer_repeated_gets_the_request_that_followed_it() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    let now = clock.at(0);
    informed(&mut acs, now);
    post(&mut acs, now, b"");
    acs.request(now, get(&["A."])).unwrap();
    acs.request(now, get(&["B."])).unwrap();
    let reply = acs.poll_transmit().unwrap();
    let answer = answering(
        &reply,
        Response::from(GetParameterValuesResponse::default()),
    );
    let next = post(&mut acs, now, &answer);
    events(&mut acs);
    acs.connection_closed();
    assert_eq!(post(&mut acs, now, &answer), next);
    assert!(matches!(
        only(events(&mut acs)),
        Event::Ignored(Ignored::Duplicate { .. })
    ));
}

/// The caller thinks about its next request for longer than the connection lasts.
#[test]
fn an_answer_repeated_in_our_turn_waits_for_the_same_decision() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    let now = clock.at(0);
    informed(&mut acs, now);
    post(&mut acs, now, b"");
    acs.request(now, get(&["A."])).unwrap();
    let reply = acs.poll_transmit().unwrap();
    let answer = answering(
        &reply,
        Response::from(GetParameterValuesResponse::default()),
    );
    assert_eq!(post(&mut acs, now, &answer), None);
    assert_eq!(outcomes(&events(&mut acs)).len(), 1);
    acs.connection_closed();
    assert_eq!(post(&mut acs, now, &answer), None);
    let id = read(&answer).header.id;
    assert_eq!(
        only(events(&mut acs)),
        Event::Ignored(Ignored::Duplicate { id })
    );
    acs.request(now, get(&["B."])).unwrap();
    assert!(acs.poll_transmit().is_some());
}

/// An empty POST is the answer "I do not have that", unless the connection broke under our request:
/// then one that does no harm twice goes out once more. A client that closes after each answer says
/// "I do not have that" in the same way, so it does not get it a third time.
#[test]
fn an_empty_post_after_a_broken_connection_gets_a_harmless_request_once_more() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    let now = clock.at(0);
    informed(&mut acs, now);
    assert_eq!(post(&mut acs, now, b""), None);
    assert_eq!(post(&mut acs, now, b""), None);
    let again = Event::Ignored(Ignored::Duplicate { id: String::new() });
    assert_eq!(events(&mut acs), [Event::Turn, again.clone()]);
    acs.request(now, get(&["A."])).unwrap();
    let reply = acs.poll_transmit();
    acs.connection_closed();
    assert_eq!(post(&mut acs, now, b""), reply);
    assert_eq!(only(events(&mut acs)), again);
    acs.connection_closed();
    assert_eq!(post(&mut acs, now, b""), None);
    assert_eq!(outcomes(&events(&mut acs)), [Err(PeerError::Empty)]);
}

/// The CPE may have made the instance before its connection broke.
#[test]
fn a_request_that_may_have_happened_is_not_sent_again_by_itself() {
    let clock = Clock::new();
    let now = clock.at(0);
    let requests: [Request; 3] = [
        AddObject::default().into(),
        Download::default().into(),
        Reboot::default().into(),
    ];
    for request in requests {
        let mut acs = acs(&clock);
        informed(&mut acs, now);
        assert_eq!(post(&mut acs, now, b""), None);
        acs.request(now, request).unwrap();
        assert!(acs.poll_transmit().is_some());
        acs.connection_closed();
        assert_eq!(post(&mut acs, now, b""), None);
        let told = outcomes(&events(&mut acs));
        assert_eq!(told, [Err(PeerError::Empty)]);
        assert!(PeerError::Empty.may_have_happened());
    }
}

#[test]
fn another_inform_begins_anew() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    informed(&mut acs, clock.at(0));
    post(&mut acs, clock.at(0), b"");
    acs.request(clock.at(0), get(&["A."])).unwrap();
    acs.poll_transmit();
    events(&mut acs);
    let mut anew = inform();
    anew.retry_count = 1;
    assert_eq!(post(&mut acs, clock.at(5), &envelope("1", anew)), None);
    let all = events(&mut acs);
    assert!(
        matches!(
            &all[..],
            [
                Event::Answered {
                    result: Err(PeerError::Lost),
                    ..
                },
                Event::Ended(End::Superseded),
                Event::Informed { .. }
            ]
        ),
        "{all:?}"
    );
}

/// A device without a clock says the same each time; in a later session it is not a repetition.
#[test]
fn the_same_inform_after_a_session_is_another_session() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    for _ in 0..2 {
        informed(&mut acs, clock.at(0));
        post(&mut acs, clock.at(0), b"");
        acs.finish(clock.at(0)).unwrap();
        acs.poll_transmit();
        acs.connection_closed();
        assert_eq!(events(&mut acs), [Event::Ended(End::Complete)]);
    }
}

#[test]
fn an_inform_refused_with_8005_may_come_again_and_with_others_not() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    let opening = envelope("1", inform());
    for _ in 0..2 {
        assert_eq!(post(&mut acs, clock.at(0), &opening), None);
        let Event::Informed { token, .. } = only(events(&mut acs)) else {
            panic!();
        };
        let again = Fault::plain(FaultCode::ACS_RETRY_REQUEST);
        acs.respond(clock.at(0), token, Err(again.clone())).unwrap();
        assert_eq!(fault_of(&acs.poll_transmit().unwrap()), again);
    }
    assert_eq!(post(&mut acs, clock.at(0), &opening), None);
    let Event::Informed { token, .. } = only(events(&mut acs)) else {
        panic!();
    };
    acs.respond(
        clock.at(0),
        token,
        Err(Fault::plain(FaultCode::ACS_REQUEST_DENIED)),
    )
    .unwrap();
    assert!(acs.poll_transmit().is_some());
    assert_eq!(only(events(&mut acs)), Event::Ended(End::Refused));
}

/// A late copy of something that is answered: nobody waits for the answer to it.
#[test]
fn a_request_that_comes_again_after_the_cpe_went_on_is_refused() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    let now = clock.at(0);
    informed(&mut acs, now);
    let asked = envelope("2", GetRpcMethods {});
    assert!(post(&mut acs, now, &asked).is_some());
    assert_eq!(post(&mut acs, now, b""), None);
    assert!(acs.handle_input(now, Post::new(&asked)).is_err());
    assert!(matches!(
        events(&mut acs)[..],
        [Event::Served { .. }, Event::Turn]
    ));
    acs.finish(now).unwrap();
    assert!(acs.poll_transmit().is_some());
}

/// Who takes the events of a session that is gone would answer in the wrong one.
#[test]
fn what_waited_in_a_session_that_is_gone_is_not_told() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    let now = clock.at(0);
    informed(&mut acs, now);
    assert_eq!(post(&mut acs, now, b""), None);
    assert_eq!(post(&mut acs, now, &envelope("2", inform())), None);
    assert_eq!(acs.poll_event(), Some(Event::Ended(End::Superseded)));
    acknowledge(&mut acs, now);
    assert_eq!(
        (
            acs.poll_event(),
            acs.poll_transmit().map(|reply| reply.status)
        ),
        (None, Some(200))
    );
}
