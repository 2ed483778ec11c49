//! A CPE against scripted ACSs: what it tells when, what it keeps, and how it goes on.

use std::time::{Duration, Instant};

use cwmp::cpe::{Config, Event, Failure, Periodic, Reply, Session, Transmit};
use cwmp::error::Error;
use cwmp::event::{Cause, EventCode};
use cwmp::fault::{Fault, FaultCode};
use cwmp::limits;
use cwmp::rpc::*;
use cwmp::soap::{self, Body, Booleans, Envelope};
use cwmp::version::Version;

use crate::support::*;

pub fn cpe() -> Session {
    Session::new(Config::new(device_id()), 7)
}

/// The envelope of the next POST; `None` when it is empty.
pub fn posted(cpe: &mut Session) -> Option<Envelope> {
    match cpe.poll_transmit() {
        Some(Transmit::Post(body)) if body.is_empty() => None,
        Some(Transmit::Post(body)) => Some(read(&body)),
        other => panic!("{other:?}"),
    }
}

pub fn answer(cpe: &mut Session, now: Instant, body: &[u8]) {
    let reply = Reply {
        status: if body.is_empty() { 204 } else { 200 },
        body,
        content_type: None,
    };
    cpe.handle_input(now, reply).unwrap();
}

pub fn response(envelope: &Envelope, body: impl Into<Body>) -> Vec<u8> {
    let answer = Envelope::new(envelope.namespace, &envelope.header.id, body);
    soap::encode(&answer, Booleans::Digits).into_bytes()
}

pub fn welcome() -> Response {
    InformResponse { max_envelopes: 1 }.into()
}

/// Begins a session and returns its Inform.
pub fn starting(cpe: &mut Session, now: Instant) -> Envelope {
    loop {
        match cpe.poll_event() {
            Some(Event::Starting) => break,
            Some(_) => {}
            None => panic!("no session begins"),
        }
    }
    cpe.inform(now, forced()).unwrap();
    let opening = posted(cpe).unwrap();
    assert_eq!(opening.body.name(), "Inform");
    opening
}

/// Begins a session up to the InformResponse.
pub fn welcomed(cpe: &mut Session, now: Instant) -> Inform {
    let opening = starting(cpe, now);
    answer(cpe, now, &response(&opening, welcome()));
    told(opening)
}

pub fn told(opening: Envelope) -> Inform {
    match opening.body {
        Body::Request(Request::Inform(inform)) => inform,
        other => panic!("{other:?}"),
    }
}

pub fn codes(inform: &Inform) -> Vec<String> {
    inform
        .events
        .iter()
        .map(|event| event.code.to_string())
        .collect()
}

/// Ends a session after its empty POST.
pub fn ended(cpe: &mut Session, now: Instant) {
    assert_eq!(posted(cpe), None);
    answer(cpe, now, b"");
    assert_eq!(cpe.poll_transmit(), Some(Transmit::Close));
    assert_eq!(
        cpe.poll_event(),
        Some(Event::Ended {
            result: Ok(()),
            retry_in: None
        })
    );
}

/// The end of a failed session, and the wait that follows.
fn failed(cpe: &mut Session) -> (Failure, Option<Duration>) {
    loop {
        match cpe.poll_event() {
            Some(Event::Ended {
                result: Err(failure),
                retry_in,
            }) => return (failure, retry_in),
            Some(_) => {}
            None => panic!("no session failed"),
        }
    }
}

pub fn transfer(key: &str) -> TransferComplete {
    TransferComplete {
        command_key: key.into(),
        ..TransferComplete::default()
    }
}

#[test]
fn a_new_cpe_tells_who_it_is_and_what_it_speaks() {
    let clock = Clock::new();
    let mut cpe = cpe();
    cpe.set_clock(clock.at(0), 1_767_225_600);
    cpe.boot(clock.at(0), true).unwrap();
    let opening = starting(&mut cpe, clock.at(60));
    assert_eq!(
        opening.header.supported_versions.as_deref(),
        Some("1.0,1.1,1.2,1.3,1.4")
    );
    let inform = told(opening);
    assert_eq!(codes(&inform), ["0 BOOTSTRAP", "1 BOOT"]);
    assert_eq!(
        (inform.device_id, inform.max_envelopes, inform.retry_count),
        (device_id(), 1, 0)
    );
    assert_eq!(inform.current_time.0, "2026-01-01T00:01:00Z");
}

#[test]
fn an_old_cpe_sends_no_header_that_its_version_does_not_have() {
    let clock = Clock::new();
    let mut config = Config::new(device_id());
    config.versions = vec![Version::V1_0, Version::V1_2];
    config.session_timeout = Some(60);
    let mut cpe = Session::new(config, 7);
    cpe.boot(clock.at(0), false).unwrap();
    let opening = starting(&mut cpe, clock.at(0));
    assert_eq!(
        (
            opening.header.supported_versions,
            opening.header.session_timeout
        ),
        (None, None)
    );
    assert_eq!(
        told(Envelope {
            header: Default::default(),
            ..opening
        })
        .current_time
        .time(),
        None
    );
}

#[test]
fn a_session_ends_when_both_have_said_all() {
    let clock = Clock::new();
    let mut cpe = cpe();
    cpe.boot(clock.at(0), false).unwrap();
    welcomed(&mut cpe, clock.at(0));
    assert_eq!(cpe.events_pending().count(), 0);
    ended(&mut cpe, clock.at(0));
    assert!(!cpe.is_active() && cpe.poll_timeout().is_none());
}

#[test]
fn an_envelope_with_an_empty_body_is_an_empty_answer() {
    let clock = Clock::new();
    let mut cpe = cpe();
    cpe.boot(clock.at(0), false).unwrap();
    welcomed(&mut cpe, clock.at(0));
    assert_eq!(posted(&mut cpe), None);
    answer(&mut cpe, clock.at(0), b"<Envelope><Body/></Envelope>");
    assert_eq!(cpe.poll_transmit(), Some(Transmit::Close));
}

#[test]
fn requests_of_the_acs_are_answered_under_their_ids() {
    let clock = Clock::new();
    let mut cpe = cpe();
    let now = clock.at(0);
    cpe.boot(now, false).unwrap();
    welcomed(&mut cpe, now);
    assert_eq!(posted(&mut cpe), None);
    answer(&mut cpe, now, &envelope("a-1", FactoryReset {}));
    let Some(Event::Requested { token, request }) = cpe.poll_event() else {
        panic!();
    };
    assert_eq!(request, FactoryReset {}.into());
    assert!(
        cpe.respond(now, token, Ok(RebootResponse {}.into()))
            .is_err()
    );
    cpe.respond(now, token, Ok(FactoryResetResponse {}.into()))
        .unwrap();
    let sent = posted(&mut cpe).unwrap();
    assert_eq!(
        (&*sent.header.id, sent.body.name()),
        ("a-1", "FactoryResetResponse")
    );
    answer(&mut cpe, now, &envelope("a-2", GetRpcMethods {}));
    let Some(Body::Response(Response::GetRpcMethods(methods))) =
        posted(&mut cpe).map(|sent| sent.body)
    else {
        panic!();
    };
    assert!(
        methods.methods.contains(&"Download".into()) && !methods.methods.contains(&"Inform".into())
    );
    answer(&mut cpe, now, b"");
    assert_eq!(cpe.poll_transmit(), Some(Transmit::Close));
    assert_eq!(
        cpe.respond(now, token, Err(Fault::plain(FaultCode(9002)))),
        Err(Error::ApiMisuse(
            "a request is answered once, in its own session"
        ))
    );
}

const TWO: &str = "<FactoryReset/><Reboot/></Body></Envelope>";

#[test]
fn what_the_cpe_does_not_serve_or_cannot_read_is_refused() {
    let clock = Clock::new();
    let mut config = Config::new(device_id());
    config.methods.retain(|method| *method != Method::Reboot);
    let mut cpe = Session::new(config, 7);
    let now = clock.at(0);
    cpe.boot(now, false).unwrap();
    welcomed(&mut cpe, now);
    assert_eq!(posted(&mut cpe), None);
    let broken =
        "<Envelope><Header><ID>b</ID></Header><Body><AddObjectResponse/><Reboot><CommandKey>";
    for (body, code) in [
        (envelope("b", Reboot::default()), 9000),
        (envelope("b", Body::Unknown { name: "X".into() }), 9000),
        (envelope("b", inform()), 9000),
        (
            broken.replace("<AddObjectResponse/>", "").into_bytes(),
            9003,
        ),
        // SOAP 1.1, 4.2.3; and of two requests none is done.
        (insisting(&envelope("b", FactoryReset {})), 9003),
        (
            insisting(&envelope("b", Body::Unknown { name: "X".into() })),
            9003,
        ),
        (
            broken
                .replace("<AddObjectResponse/><Reboot><CommandKey>", TWO)
                .into_bytes(),
            9003,
        ),
    ] {
        answer(&mut cpe, now, &body);
        let sent = posted(&mut cpe).unwrap();
        assert_eq!(sent.header.id, "b");
        let Body::Fault(fault) = sent.body else {
            panic!();
        };
        assert_eq!(fault.code.0, code);
        let insists = body.windows(5).any(|part| part == b"x:New");
        assert_eq!(fault.not_understood, insists);
        assert_eq!(cpe.poll_event(), None);
    }
}

#[test]
fn reports_go_after_the_inform_and_are_kept_until_they_are_answered() {
    let clock = Clock::new();
    let mut cpe = cpe();
    let now = clock.at(0);
    let first = cpe
        .transfer_complete(now, transfer("a"), Cause::Download)
        .unwrap();
    let second = cpe
        .transfer_complete(now, transfer("b"), Cause::Upload)
        .unwrap();
    let inform = welcomed(&mut cpe, now);
    assert_eq!(
        codes(&inform),
        ["7 TRANSFER COMPLETE", "M Download", "M Upload"]
    );
    assert_eq!(inform.events[2].command_key, "b");
    let sent = posted(&mut cpe).unwrap();
    assert_eq!(sent.body, transfer("a").into());
    answer(
        &mut cpe,
        now,
        &response(&sent, Response::from(TransferCompleteResponse {})),
    );
    assert!(matches!(cpe.poll_event(), Some(Event::Reported { id, result: Ok(_) }) if id == first));
    // One is left, and with it the event that both share.
    let left: Vec<_> = cpe
        .events_pending()
        .map(|event| event.code.to_string())
        .collect();
    assert_eq!(left, ["7 TRANSFER COMPLETE", "M Upload"]);
    assert!(posted(&mut cpe).is_some());
    cpe.connection_failed(clock.at(1));
    let (failure, wait) = failed(&mut cpe);
    assert_eq!((failure, cpe.reports_pending()), (Failure::Connection, 1));
    let again = clock.at(1) + wait.unwrap();
    assert_eq!(cpe.poll_timeout(), Some(again));
    assert_eq!(cpe.poll_transmit(), Some(Transmit::Close));
    cpe.handle_timeout(again);
    let inform = welcomed(&mut cpe, again);
    assert_eq!((inform.retry_count, codes(&inform).len()), (1, 2));
    let sent = posted(&mut cpe).unwrap();
    assert_eq!(sent.body, transfer("b").into());
    answer(
        &mut cpe,
        again,
        &response(&sent, Response::from(TransferCompleteResponse {})),
    );
    assert!(matches!(cpe.poll_event(), Some(Event::Reported { id, .. }) if id == second));
    ended(&mut cpe, again);
    assert_eq!((cpe.retry_count(), cpe.events_pending().count()), (0, 0));
}

#[test]
fn a_report_refused_for_now_comes_in_a_later_session_and_one_refused_for_good_does_not() {
    let clock = Clock::new();
    for (code, kept) in [(8002, 1), (8005, 1), (8000, 0), (8003, 0)] {
        let mut cpe = cpe();
        let now = clock.at(0);
        cpe.transfer_complete(now, transfer("a"), Cause::Download)
            .unwrap();
        welcomed(&mut cpe, now);
        let sent = posted(&mut cpe).unwrap();
        answer(
            &mut cpe,
            now,
            &response(&sent, Fault::plain(FaultCode(code))),
        );
        // Once in each session.
        assert_eq!(posted(&mut cpe), None);
        answer(&mut cpe, now, b"");
        assert_eq!(cpe.reports_pending(), kept, "{code}");
        assert!(!cpe.is_active());
        assert_eq!(cpe.poll_timeout().is_some(), kept == 1);
    }
}

#[test]
fn requests_are_held_until_the_acs_has_no_more() {
    let clock = Clock::new();
    let mut cpe = cpe();
    let now = clock.at(0);
    cpe.transfer_complete(now, transfer("a"), Cause::Download)
        .unwrap();
    let opening = starting(&mut cpe, now);
    let hold = |id: &str, body: Body| {
        let mut envelope = Envelope::new(namespace(), id, body);
        envelope.header.hold_requests = Some(true);
        soap::encode(&envelope, Booleans::Digits).into_bytes()
    };
    answer(&mut cpe, now, &hold(&opening.header.id, welcome().into()));
    assert_eq!(posted(&mut cpe), None);
    answer(&mut cpe, now, &hold("1", GetRpcMethods {}.into()));
    assert_eq!(
        posted(&mut cpe).unwrap().body.name(),
        "GetRPCMethodsResponse"
    );
    answer(&mut cpe, now, b"");
    let sent = posted(&mut cpe).unwrap();
    assert_eq!(sent.body.name(), "TransferComplete");
    answer(
        &mut cpe,
        now,
        &response(&sent, Response::from(TransferCompleteResponse {})),
    );
    cpe.poll_event();
    ended(&mut cpe, now);
}

#[test]
fn failed_sessions_wait_longer_and_are_counted() {
    let clock = Clock::new();
    let mut cpe = cpe();
    let mut now = clock.at(0);
    cpe.boot(now, true).unwrap();
    let policy = cwmp::retry::RetryPolicy::default();
    for failure in 1..=12 {
        let inform = told(starting(&mut cpe, now));
        assert_eq!((inform.retry_count, codes(&inform).len()), (failure - 1, 2));
        cpe.connection_failed(now);
        let wait = failed(&mut cpe).1.unwrap();
        let (low, high) = policy.range(failure);
        assert!((low..=high).contains(&wait), "{failure}: {wait:?}");
        cpe.handle_timeout(now + wait - Duration::from_nanos(1));
        assert!(!cpe.is_active());
        now += wait;
        cpe.handle_timeout(now);
        cpe.poll_transmit();
    }
    // A connection request does not wait.
    starting(&mut cpe, now);
    cpe.connection_failed(now);
    cpe.raise(now, EventStruct::new(EventCode::ConnectionRequest))
        .unwrap();
    while cpe.poll_transmit().is_some() {}
    assert_eq!(
        codes(&told(starting(&mut cpe, now))),
        ["0 BOOTSTRAP", "1 BOOT", "6 CONNECTION REQUEST"]
    );
}

#[test]
fn each_kind_of_bad_answer_fails_the_session() {
    let clock = Clock::new();
    let now = clock.at(0);
    let fail = |status: u16, make: &dyn Fn(&Envelope) -> Vec<u8>| {
        let mut cpe = cpe();
        cpe.boot(now, false).unwrap();
        let opening = starting(&mut cpe, now);
        let body = make(&opening);
        let reply = Reply {
            status,
            body: &body,
            content_type: None,
        };
        cpe.handle_input(now, reply).unwrap();
        failed(&mut cpe).0
    };
    for status in [302, 401, 404, 500, 503] {
        assert_eq!(fail(status, &|_| vec![]), Failure::Status(status));
    }
    assert!(matches!(
        fail(200, &|_| b"<html>".to_vec()),
        Failure::Malformed(_)
    ));
    assert!(matches!(fail(204, &|_| vec![]), Failure::Misbehaved(_)));
    assert!(matches!(
        fail(200, &|_| envelope("other", welcome())),
        Failure::Misbehaved(_)
    ));
    assert!(matches!(
        fail(200, &|opening| response(opening, GetRpcMethods {})),
        Failure::Misbehaved(_)
    ));
    // What cannot be refused with a fault, since it is an answer.
    assert_eq!(
        fail(200, &|opening| insisting(&response(opening, welcome()))),
        Failure::Misbehaved("an answer with a header that must be understood, and is not known")
    );
    let two = |opening: &Envelope| {
        let text = String::from_utf8(response(opening, welcome())).unwrap();
        let both = "</cwmp:InformResponse><cwmp:Reboot/>";
        text.replace("</cwmp:InformResponse>", both).into_bytes()
    };
    assert_eq!(
        fail(200, &two),
        Failure::Misbehaved("two messages in one answer")
    );
    let refusal = Fault::plain(FaultCode::ACS_REQUEST_DENIED);
    assert_eq!(
        fail(200, &|opening| response(opening, refusal.clone())),
        Failure::Refused(refusal.clone())
    );
    let other = |opening: &Envelope| {
        let mut answer = Envelope::new(opening.namespace, &opening.header.id, welcome());
        answer.header.use_version = Some("2.0".into());
        soap::encode(&answer, Booleans::Digits).into_bytes()
    };
    assert_eq!(fail(200, &other), Failure::Incompatible("2.0".into()));
    // No id at all is fine.
    let mut cpe = cpe();
    cpe.boot(now, false).unwrap();
    starting(&mut cpe, now);
    answer(&mut cpe, now, &envelope("", welcome()));
    assert_eq!(posted(&mut cpe), None);
}

/// `INFORM_REPEATS_MAX`
#[test]
fn an_inform_is_repeated_when_the_acs_asks_for_it() {
    let clock = Clock::new();
    let mut cpe = cpe();
    let now = clock.at(0);
    cpe.boot(now, false).unwrap();
    let opening = starting(&mut cpe, now);
    let again = Fault::plain(FaultCode::ACS_RETRY_REQUEST);
    for _ in 0..limits::INFORM_REPEATS_MAX {
        answer(&mut cpe, now, &response(&opening, again.clone()));
        assert_eq!(posted(&mut cpe), Some(opening.clone()));
    }
    answer(&mut cpe, now, &response(&opening, again.clone()));
    assert_eq!(failed(&mut cpe).0, Failure::Refused(again));
}

#[test]
fn a_silent_acs_is_given_up() {
    let clock = Clock::new();
    let mut cpe = cpe();
    cpe.boot(clock.at(0), false).unwrap();
    starting(&mut cpe, clock.at(0));
    assert_eq!(cpe.poll_timeout(), Some(clock.at(30)));
    cpe.handle_timeout(clock.at(30));
    assert_eq!(failed(&mut cpe).0, Failure::Silence);
    // What comes too late is for nobody.
    answer(&mut cpe, clock.at(31), b"");
    assert_eq!(cpe.poll_event(), Some(Event::Unexpected));
}

#[test]
fn what_happens_during_a_session_calls_for_the_next_one() {
    let clock = Clock::new();
    let mut cpe = cpe();
    let now = clock.at(0);
    cpe.boot(now, false).unwrap();
    welcomed(&mut cpe, now);
    cpe.raise(now, EventStruct::new(EventCode::ValueChange))
        .unwrap();
    assert_eq!(posted(&mut cpe), None);
    answer(&mut cpe, now, b"");
    assert_eq!(cpe.poll_transmit(), Some(Transmit::Close));
    assert_eq!(codes(&welcomed(&mut cpe, now)), ["4 VALUE CHANGE"]);
    // By passive notification it waits for another reason.
    cpe.note(EventStruct::new(EventCode::ValueChange)).unwrap();
    ended(&mut cpe, now);
    assert!(!cpe.is_active());
    cpe.raise(now, EventStruct::new(EventCode::DiagnosticsComplete))
        .unwrap();
    assert_eq!(
        codes(&told(starting(&mut cpe, now))),
        ["4 VALUE CHANGE", "8 DIAGNOSTICS COMPLETE"]
    );
}

/// TR-069 3.2.1.1: failed sessions are tried again also for what the ACS still wants.
#[test]
fn a_session_that_breaks_after_its_inform_is_tried_again_though_all_is_told() {
    let clock = Clock::new();
    let mut cpe = cpe();
    let now = clock.at(0);
    cpe.boot(now, false).unwrap();
    welcomed(&mut cpe, now);
    cpe.connection_failed(now);
    let (_, wait) = failed(&mut cpe);
    let now = now + wait.expect("another try");
    while cpe.poll_transmit().is_some() {}
    cpe.handle_timeout(now);
    let inform = welcomed(&mut cpe, now);
    assert_eq!((inform.retry_count, codes(&inform).len()), (1, 0));
    ended(&mut cpe, now);
    assert_eq!(cpe.poll_timeout(), None, "once is enough");
}

#[test]
fn a_connection_request_is_not_tried_again_and_what_it_took_along_is() {
    let clock = Clock::new();
    let mut cpe = cpe();
    let now = clock.at(0);
    cpe.raise(now, EventStruct::new(EventCode::ConnectionRequest))
        .unwrap();
    starting(&mut cpe, now);
    cpe.connection_failed(now);
    assert_eq!(failed(&mut cpe), (Failure::Connection, None));
    cpe.note(EventStruct::new(EventCode::ValueChange)).unwrap();
    cpe.raise(now, EventStruct::new(EventCode::ConnectionRequest))
        .unwrap();
    while cpe.poll_transmit().is_some() {}
    starting(&mut cpe, now);
    cpe.connection_failed(now);
    assert!(failed(&mut cpe).1.is_some());
    let left: Vec<_> = cpe
        .events_pending()
        .map(|event| event.code.to_string())
        .collect();
    assert_eq!(left, ["4 VALUE CHANGE"]);
}

#[test]
fn a_restart_forgets_what_does_not_outlive_it_and_a_reset_forgets_all() {
    let clock = Clock::new();
    let now = clock.at(0);
    let left = |bootstrap| {
        let mut cpe = cpe();
        for code in [
            EventCode::DiagnosticsComplete,
            EventCode::Periodic,
            EventCode::ConnectionRequest,
        ] {
            cpe.raise(now, EventStruct::new(code)).unwrap();
        }
        cpe.transfer_complete(now, transfer("a"), Cause::Download)
            .unwrap();
        cpe.report(now, RequestDownload::default()).unwrap();
        starting(&mut cpe, now);
        cpe.boot(now, bootstrap).unwrap();
        // The connection is gone with the restart.
        assert_eq!(cpe.poll_transmit(), Some(Transmit::Close));
        (codes(&told(starting(&mut cpe, now))), cpe.reports_pending())
    };
    let kept = ["2 PERIODIC", "7 TRANSFER COMPLETE", "M Download", "1 BOOT"];
    assert_eq!(left(false), (kept.map(String::from).to_vec(), 1));
    assert_eq!(
        left(true),
        (["0 BOOTSTRAP", "1 BOOT"].map(String::from).to_vec(), 0)
    );
}

/// Who takes the events of a session that is gone would answer in the wrong one.
#[test]
fn what_waited_in_a_session_that_is_gone_is_not_told() {
    let clock = Clock::new();
    let mut cpe = cpe();
    let now = clock.at(0);
    cpe.boot(now, false).unwrap();
    cpe.boot(now, false).unwrap();
    assert_eq!(cpe.poll_transmit(), Some(Transmit::Close));
    welcomed(&mut cpe, now);
    assert_eq!((posted(&mut cpe), cpe.poll_event()), (None, None));
    answer(&mut cpe, now, &envelope("1", FactoryReset {}));
    cpe.connection_failed(now);
    assert!(matches!(
        cpe.poll_event(),
        Some(Event::Ended {
            result: Err(Failure::Connection),
            ..
        })
    ));
    assert_eq!(cpe.poll_event(), None);
}

#[test]
fn a_heartbeat_goes_alone() {
    let clock = Clock::new();
    let mut cpe = cpe();
    let now = clock.at(0);
    cpe.note(EventStruct::new(EventCode::ValueChange)).unwrap();
    cpe.raise(now, EventStruct::new(EventCode::Heartbeat))
        .unwrap();
    cpe.transfer_complete(now, transfer("a"), Cause::Download)
        .unwrap();
    assert_eq!(codes(&welcomed(&mut cpe, now)), ["14 HEARTBEAT"]);
    ended(&mut cpe, now);
    let inform = welcomed(&mut cpe, now);
    assert_eq!(
        codes(&inform),
        ["4 VALUE CHANGE", "7 TRANSFER COMPLETE", "M Download"]
    );
}

#[test]
fn informs_come_periodically_and_when_scheduled() {
    let clock = Clock::new();
    let mut cpe = cpe();
    cpe.set_clock(clock.at(0), 50);
    cpe.set_periodic(
        clock.at(0),
        Some(Periodic {
            interval: 60,
            reference: Some(0),
        }),
    );
    cpe.schedule_inform(clock.at(0), Duration::from_secs(10), "key")
        .unwrap();
    assert_eq!(cpe.poll_timeout(), Some(clock.at(10)));
    cpe.handle_timeout(clock.at(10));
    let inform = welcomed(&mut cpe, clock.at(10));
    assert_eq!(
        codes(&inform),
        ["2 PERIODIC", "3 SCHEDULED", "M ScheduleInform"]
    );
    assert_eq!(inform.events[2].command_key, "key");
    ended(&mut cpe, clock.at(10));
    assert_eq!(cpe.poll_timeout(), Some(clock.at(70)));
    cpe.set_periodic(clock.at(11), None);
    assert_eq!(cpe.poll_timeout(), None);
}

#[test]
fn a_report_that_the_version_does_not_have_is_not_sent() {
    let clock = Clock::new();
    let mut config = Config::new(device_id());
    config.versions = vec![Version::V1_0];
    let mut cpe = Session::new(config, 7);
    let newer = cpe.report(clock.at(0), AutonomousTransferComplete::default());
    assert!(matches!(newer, Err(Error::PeerIncompatible(_))));
    assert!(matches!(
        cpe.report(clock.at(0), Reboot::default()),
        Err(Error::ApiMisuse(_))
    ));
    // GetRPCMethods is asked once, and not again when it fails.
    cpe.report(clock.at(0), GetRpcMethods {}).unwrap();
    starting(&mut cpe, clock.at(0));
    cpe.connection_failed(clock.at(0));
    assert_eq!((failed(&mut cpe).1, cpe.reports_pending()), (None, 0));
}

/// `REPORTS_MAX`, `INFORM_EVENTS_MAX`
#[test]
fn what_a_cpe_owes_is_bounded() {
    let clock = Clock::new();
    let mut cpe = cpe();
    let event =
        |key: usize| EventStruct::with_key(EventCode::Method(Cause::Reboot), key.to_string());
    // A place is kept for each of the 15 numbered codes.
    for key in 0..limits::INFORM_EVENTS_MAX - 15 {
        cpe.note(event(key)).unwrap();
        // The same again is the same.
        cpe.note(event(key)).unwrap();
    }
    assert!(cpe.note(event(1000)).is_err());
    // A report that does not fit leaves nothing behind.
    let before = cpe.events_pending().count();
    let report = cpe.transfer_complete(clock.at(0), transfer("one more"), Cause::Download);
    assert!(report.is_err());
    assert_eq!(
        (cpe.events_pending().count(), cpe.reports_pending()),
        (before, 0)
    );
    assert!(!cpe.is_active());
    for number in 0..15 {
        cpe.note(EventStruct::new(EventCode::parse(&number.to_string())))
            .unwrap();
    }
    assert_eq!(cpe.events_pending().count(), limits::INFORM_EVENTS_MAX);
    let mut cpe = self::cpe();
    for _ in 0..limits::REPORTS_MAX {
        cpe.report(clock.at(0), GetRpcMethods {}).unwrap();
    }
    assert!(cpe.report(clock.at(0), GetRpcMethods {}).is_err());
}

/// `SESSION_MESSAGES_MAX`
#[test]
fn a_session_without_end_is_ended() {
    let clock = Clock::new();
    let mut cpe = cpe();
    let now = clock.at(0);
    cpe.boot(now, false).unwrap();
    welcomed(&mut cpe, now);
    for _ in 1..limits::SESSION_MESSAGES_MAX {
        assert!(matches!(cpe.poll_transmit(), Some(Transmit::Post(_))));
        answer(
            &mut cpe,
            now,
            &envelope("1", Body::Unknown { name: "X".into() }),
        );
    }
    cpe.poll_transmit();
    answer(&mut cpe, now, &envelope("1", GetRpcMethods {}));
    assert!(matches!(failed(&mut cpe).0, Failure::Misbehaved(_)));
}

/// `EVENTS_MAX`
#[test]
fn events_that_nobody_takes_are_bounded() {
    let clock = Clock::new();
    let mut cpe = cpe();
    for _ in 0..limits::EVENTS_MAX {
        answer(&mut cpe, clock.at(0), b"");
    }
    let reply = Reply {
        status: 204,
        body: b"",
        content_type: None,
    };
    let more = cpe.handle_input(clock.at(0), reply);
    assert!(matches!(
        more,
        Err(Error::LimitExceeded {
            limit: "EVENTS_MAX",
            ..
        })
    ));
}
