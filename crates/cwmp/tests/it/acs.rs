//! An ACS against scripted CPEs: each rule of a session, each way out of order, each limit.

use std::time::Duration;

use cwmp::acs::{Config, End, Event, Ignored, PeerError, Post, Reply};
use cwmp::error::Error;
use cwmp::event::EventCode;
use cwmp::fault::{Fault, FaultCode};
use cwmp::limits;
use cwmp::rpc::*;
use cwmp::soap::{self, Body, Booleans, Envelope, Oddities};
use cwmp::version::Version;

use crate::support::*;

#[test]
fn an_inform_is_acknowledged_only_when_the_caller_says_so() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    assert_eq!(post(&mut acs, clock.at(0), &envelope("42", inform())), None);
    let Event::Informed {
        token,
        inform: told,
        version,
        ..
    } = only(events(&mut acs))
    else {
        panic!();
    };
    assert_eq!((*told, version), (inform(), Version::V1_2));
    acs.acknowledge(clock.at(3), token).unwrap();
    let reply = acs.poll_transmit().unwrap();
    assert_eq!((reply.status, acs.poll_transmit()), (200, None));
    let envelope = read(&reply.body);
    assert_eq!(
        envelope.body,
        Response::from(InformResponse { max_envelopes: 1 }).into()
    );
    assert_eq!(envelope.header.id, "42");
    // Who did not list its versions must not be told one.
    assert_eq!(envelope.header.use_version, None);
    assert_eq!(
        acs.acknowledge(clock.at(3), token),
        Err(Error::ApiMisuse(
            "a request is answered once, by its own session"
        ))
    );
}

/// `INFORM_PARAMETERS_MAX`
#[test]
fn an_inform_with_too_many_parameters_is_taken_without_the_last_ones() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    let parameters = vec![forced().remove(0); limits::INFORM_PARAMETERS_MAX + 1];
    let many = Inform {
        parameters,
        ..inform()
    };
    let body = envelope("1", many);
    assert!(body.len() <= limits::REQUEST_BYTES_MAX, "{}", body.len());
    assert_eq!(post(&mut acs, clock.at(0), &body), None);
    let told = events(&mut acs).into_iter().find_map(|event| match event {
        Event::Informed { inform, .. } => Some(inform),
        _ => None,
    });
    let told = told.unwrap().parameters.len();
    assert_eq!(told, limits::INFORM_PARAMETERS_MAX);
}

/// `REQUEST_BYTES_MAX`
#[test]
fn what_a_cpe_asks_is_never_as_large_as_what_it_answers() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    let take = |acs: &mut cwmp::acs::Session, body: &[u8]| {
        acs.handle_input(clock.at(1), Post::new(body)).map(drop)
    };
    let refused = |limit, max| Err(Error::LimitExceeded { limit, max });
    let bytes = refused("REQUEST_BYTES_MAX", limits::REQUEST_BYTES_MAX);
    let padded = |mut body: Vec<u8>| {
        body.resize(limits::REQUEST_BYTES_MAX + 1, b' ');
        body
    };
    let long = padded(envelope("1", inform()));
    assert_eq!(take(&mut acs, &long), bytes);
    informed(&mut acs, clock.at(0));
    assert_eq!(take(&mut acs, &long), bytes);
    assert_eq!(post(&mut acs, clock.at(1), b""), None);
    acs.request(clock.at(1), get(&["Device."])).unwrap();
    let reply = acs.poll_transmit().unwrap();
    let parameters = forced();
    let answer = Response::from(GetParameterValuesResponse { parameters });
    assert_eq!(take(&mut acs, &padded(answering(&reply, answer))), Ok(()));
}

#[test]
fn requests_go_out_one_by_one_in_answer_to_empty_posts_and_responses() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    informed(&mut acs, clock.at(0));
    assert_eq!(post(&mut acs, clock.at(1), b""), None);
    assert_eq!(only(events(&mut acs)), Event::Turn);
    let first = acs.request(clock.at(1), get(&["Device."])).unwrap();
    let second = acs
        .request(
            clock.at(1),
            Reboot {
                command_key: "k".into(),
            },
        )
        .unwrap();
    let reply = acs.poll_transmit().unwrap();
    assert_eq!(read(&reply.body).header.id, acs.wire_id(first));
    assert_eq!(acs.poll_transmit(), None);
    let answer = answering(
        &reply,
        Response::from(GetParameterValuesResponse {
            parameters: forced(),
        }),
    );
    let reply = post(&mut acs, clock.at(2), &answer).unwrap();
    assert_eq!(method(&reply), "Reboot");
    assert!(
        matches!(only(events(&mut acs)), Event::Answered { id, result: Ok(_), .. } if id == first)
    );
    assert_eq!(
        post(
            &mut acs,
            clock.at(3),
            &answering(&reply, Response::from(RebootResponse {}))
        ),
        None
    );
    let all = events(&mut acs);
    assert!(matches!(&all[..], [Event::Answered { id, .. }, Event::Turn] if *id == second));
    acs.finish(clock.at(3)).unwrap();
    assert_eq!(acs.poll_transmit(), Some(Reply::empty()));
    acs.connection_closed();
    assert_eq!(only(events(&mut acs)), Event::Ended(End::Complete));
    assert_eq!(acs.poll_timeout(), None);
}

#[test]
fn requests_queued_early_wait_for_the_cpe_to_finish_its_own() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    let now = clock.at(0);
    assert!(acs.request(now, FactoryReset {}).is_err());
    assert_eq!(post(&mut acs, now, &envelope("1", inform())), None);
    let id = acs.request(now, FactoryReset {}).unwrap();
    let taken_back = acs.request(now, FactoryReset {}).unwrap();
    acknowledge(&mut acs, now);
    assert_eq!(method(&acs.poll_transmit().unwrap()), "InformResponse");
    assert_eq!(
        post(&mut acs, now, &envelope("2", TransferComplete::default())),
        None
    );
    acknowledge(&mut acs, now);
    assert_eq!(
        method(&acs.poll_transmit().unwrap()),
        "TransferCompleteResponse"
    );
    assert!(acs.cancel(taken_back) && !acs.cancel(taken_back));
    let reply = post(&mut acs, now, b" \r\n").unwrap();
    assert_eq!(method(&reply), "FactoryReset");
    assert!(!acs.cancel(id));
    // Nothing was our caller's turn.
    assert!(events(&mut acs).is_empty());
}

/// 3.7: a 204 ends our turn, not the session.
#[test]
fn requests_that_a_cpe_held_are_answered_after_our_empty_answer() {
    let clock = Clock::new();
    let config = Config {
        hold_requests: true,
        ..Config::default()
    };
    let mut acs = acs_with(&clock, config);
    let now = clock.at(0);
    assert_eq!(post(&mut acs, now, &envelope("1", inform())), None);
    acknowledge(&mut acs, now);
    let reply = acs.poll_transmit().unwrap();
    assert_eq!(read(&reply.body).header.hold_requests, Some(true));
    assert_eq!(post(&mut acs, now, b""), None);
    acs.finish(now).unwrap();
    assert_eq!(acs.poll_transmit(), Some(Reply::empty()));
    assert_eq!(only(events(&mut acs)), Event::Turn);
    let reply = post(&mut acs, clock.at(1), &envelope("2", GetRpcMethods {})).unwrap();
    assert_eq!(method(&reply), "GetRPCMethodsResponse");
    assert!(matches!(only(events(&mut acs)), Event::Served { .. }));
    // And again it is our turn, until both have nothing.
    assert_eq!(post(&mut acs, clock.at(1), b""), None);
    assert_eq!(only(events(&mut acs)), Event::Turn);
    acs.finish(clock.at(1)).unwrap();
    assert_eq!(acs.poll_transmit(), Some(Reply::empty()));
    assert_eq!(post(&mut acs, clock.at(2), b""), Some(Reply::empty()));
    assert_eq!(only(events(&mut acs)), Event::Ended(End::Complete));
}

#[test]
fn methods_are_told_as_far_as_the_version_has_them() {
    let clock = Clock::new();
    for (supported, known) in [
        ("1.0", "AutonomousTransferComplete"),
        ("1.1", "DUStateChangeComplete"),
    ] {
        let mut acs = acs(&clock);
        let mut opening = Envelope::new(namespace(), "1", inform());
        opening.header.supported_versions = Some(supported.into());
        let opening = soap::encode(&opening, Booleans::Digits);
        assert_eq!(post(&mut acs, clock.at(0), opening.as_bytes()), None);
        acknowledge(&mut acs, clock.at(0));
        let reply = acs.poll_transmit().unwrap();
        assert_eq!(
            read(&reply.body).header.use_version.as_deref(),
            Some(supported)
        );
        let reply = post(&mut acs, clock.at(0), &envelope("2", GetRpcMethods {})).unwrap();
        let Body::Response(Response::GetRpcMethods(told)) = read(&reply.body).body else {
            panic!();
        };
        assert!(
            told.methods.contains(&"Inform".to_owned())
                && !told.methods.contains(&known.to_owned())
        );
        // Nor is anything newer sent.
        let newer = acs.request(clock.at(0), CancelTransfer::default());
        assert!(
            matches!(newer, Err(Error::PeerIncompatible(_))),
            "{newer:?}"
        );
    }
}

#[test]
fn the_newest_common_version_is_used_and_none_is_told() {
    let clock = Clock::new();
    let speak = |versions: Vec<Version>, supported: &str| {
        let config = Config {
            versions,
            ..Config::default()
        };
        let mut acs = acs_with(&clock, config);
        let mut opening = Envelope::new(namespace(), "1", inform());
        opening.header.supported_versions = Some(supported.into());
        let opening = soap::encode(&opening, Booleans::Digits);
        let reply = post(&mut acs, clock.at(0), opening.as_bytes());
        (acs, reply)
    };
    let (acs, _) = speak(Version::ALL.to_vec(), "1.0, 1.1,1.2, 1.3 , 1.4");
    assert_eq!(acs.version(), Version::V1_4);
    let (mut acs, reply) = speak(vec![Version::V1_0], "1.3,1.4");
    assert_eq!(
        fault_of(&reply.unwrap()).code,
        FaultCode::ACS_VERSION_INCOMPATIBLE
    );
    let expected = [
        Event::Incompatible {
            theirs: "1.3,1.4".into(),
        },
        Event::Ended(End::Incompatible),
    ];
    assert_eq!(events(&mut acs), expected);
}

/// An empty header, or one of nobody's form, says as much as none: the namespace does.
#[test]
fn a_list_of_versions_that_cannot_be_read_shuts_nobody_out() {
    let clock = Clock::new();
    for (list, version, told, odd) in [
        ("", Version::V1_2, None, true),
        ("V1.4", Version::V1_2, None, true),
        ("1.0;1.1", Version::V1_1, Some("1.1"), false),
    ] {
        let mut acs = acs(&clock);
        let mut opening = Envelope::new(namespace(), "1", inform());
        opening.header.supported_versions = Some(list.into());
        let opening = soap::encode(&opening, Booleans::Digits);
        assert_eq!(post(&mut acs, clock.at(0), opening.as_bytes()), None);
        let Event::Informed {
            token, oddities, ..
        } = only(events(&mut acs))
        else {
            panic!("{list:?}");
        };
        assert_eq!(oddities.has(Oddities::VERSIONS), odd);
        acs.acknowledge(clock.at(0), token).unwrap();
        let reply = acs.poll_transmit().unwrap();
        assert_eq!(read(&reply.body).header.use_version.as_deref(), told);
        assert_eq!(acs.version(), version);
    }
}

#[test]
fn the_namespace_of_the_cpe_comes_back() {
    let clock = Clock::new();
    for digit in 0..5 {
        let uri = format!("urn:dslforum-org:cwmp-1-{digit}");
        let opening = String::from_utf8(envelope("1", inform())).unwrap();
        let mut acs = acs(&clock);
        let opening = opening.replace("urn:dslforum-org:cwmp-1-2", &uri);
        assert_eq!(post(&mut acs, clock.at(0), opening.as_bytes()), None);
        acknowledge(&mut acs, clock.at(0));
        let reply = acs.poll_transmit().unwrap();
        assert_eq!(read(&reply.body).namespace.to_string(), uri);
    }
}

/// 18.2: libcurl's first POST under Digest, and probes.
#[test]
fn an_empty_post_outside_of_a_session_is_answered_with_an_empty_one() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    assert_eq!(post(&mut acs, clock.at(0), b""), Some(Reply::empty()));
    assert_eq!(only(events(&mut acs)), Event::Ignored(Ignored::Probe));
    informed(&mut acs, clock.at(1));
}

#[test]
fn a_session_starts_with_an_inform() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    for body in [
        envelope("1", TransferComplete::default()),
        envelope("1", Response::from(RebootResponse {})),
        envelope("1", Fault::plain(FaultCode(9002))),
        b"<html/>".to_vec(),
        b"<".to_vec(),
    ] {
        assert!(acs.handle_input(clock.at(0), Post::new(&body)).is_err());
        assert_eq!((acs.poll_transmit(), acs.poll_event()), (None, None));
    }
    informed(&mut acs, clock.at(1));
}

/// 18.9: fault 9000, an empty POST, silence.
#[test]
fn a_method_that_a_cpe_does_not_have_fails_in_three_ways() {
    let clock = Clock::new();
    let ask = || {
        let mut acs = acs(&clock);
        informed(&mut acs, clock.at(0));
        assert_eq!(post(&mut acs, clock.at(0), b""), None);
        acs.request(clock.at(0), GetOptions::default()).unwrap();
        let reply = acs.poll_transmit().unwrap();
        (acs, reply)
    };
    let (mut acs, reply) = ask();
    let fault = Fault::plain(FaultCode::METHOD_NOT_SUPPORTED);
    post(&mut acs, clock.at(1), &answering(&reply, fault.clone()));
    assert_eq!(outcomes(&events(&mut acs)), [Err(PeerError::Fault(fault))]);
    let (mut acs, _) = ask();
    post(&mut acs, clock.at(1), b"");
    let all = events(&mut acs);
    assert_eq!(outcomes(&all), [Err(PeerError::Empty)]);
    // The session goes on.
    assert_eq!(all.last(), Some(&Event::Turn));
    let (mut acs, _) = ask();
    acs.request(clock.at(1), FactoryReset {}).unwrap();
    assert_eq!(acs.poll_timeout(), Some(clock.at(30)));
    acs.handle_timeout(clock.at(29));
    assert!(!acs.is_ended());
    acs.handle_timeout(clock.at(30));
    let all = events(&mut acs);
    assert_eq!(
        outcomes(&all),
        [Err(PeerError::Lost), Err(PeerError::NotSent)]
    );
    assert!(PeerError::Lost.may_have_happened() && !PeerError::NotSent.may_have_happened());
    assert_eq!(all.last(), Some(&Event::Ended(End::Silence)));
}

#[test]
fn answers_to_something_else_fail_the_request_and_the_session_goes_on() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    informed(&mut acs, clock.at(0));
    post(&mut acs, clock.at(0), b"");
    let mut answer = |make: &dyn Fn(&Reply) -> Vec<u8>| {
        acs.request(clock.at(1), get(&["Device."])).unwrap();
        let reply = acs.poll_transmit().unwrap();
        post(&mut acs, clock.at(1), &make(&reply));
        let mut all = outcomes(&events(&mut acs));
        assert_eq!(all.len(), 1);
        all.remove(0)
    };
    let response = || Response::from(GetParameterValuesResponse::default());
    assert_eq!(
        answer(&|_| envelope("", response())),
        Ok(Method::GetParameterValues)
    );
    assert_eq!(
        answer(&|_| envelope("other", response())),
        Err(PeerError::WrongId("other".into()))
    );
    assert_eq!(
        answer(&|reply| answering(reply, Response::from(RebootResponse {}))),
        Err(PeerError::WrongResponse("RebootResponse".into()))
    );
    let unknown = Body::Unknown {
        name: "XResponse".into(),
    };
    assert_eq!(
        answer(&|reply| answering(reply, unknown.clone())),
        Err(PeerError::WrongResponse("XResponse".into()))
    );
    let cut = |reply: &Reply| {
        let whole = answering(reply, response());
        whole[..whole.len() - 9].to_vec()
    };
    assert!(matches!(answer(&cut), Err(PeerError::Malformed(_))));
    assert_eq!(
        answer(&|reply| answering(reply, response())),
        Ok(Method::GetParameterValues)
    );
}

#[test]
fn what_the_acs_does_not_serve_is_refused_and_the_session_goes_on() {
    let clock = Clock::new();
    let config = Config {
        methods: vec![Method::Inform, Method::GetRpcMethods],
        ..Config::default()
    };
    let mut acs = acs_with(&clock, config);
    informed(&mut acs, clock.at(0));
    for (body, name) in [
        (Body::from(Kicked::default()), "Kicked"),
        (Body::from(Reboot::default()), "Reboot"),
        (Body::Unknown { name: "X".into() }, "X"),
    ] {
        let reply = post(&mut acs, clock.at(0), &envelope("5", body)).unwrap();
        assert_eq!(
            (fault_of(&reply).code, reply.status),
            (FaultCode::ACS_METHOD_NOT_SUPPORTED, 200)
        );
        assert_eq!(read(&reply.body).header.id, "5");
        assert_eq!(
            only(events(&mut acs)),
            Event::Ignored(Ignored::Unserved {
                name: name.into(),
                oddities: Oddities::default()
            })
        );
    }
    post(&mut acs, clock.at(0), b"");
    assert_eq!(only(events(&mut acs)), Event::Turn);
}

#[test]
fn a_request_that_cannot_be_read_is_refused_and_the_session_goes_on() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    informed(&mut acs, clock.at(0));
    let whole = envelope("7", TransferComplete::default());
    let reply = post(&mut acs, clock.at(0), &whole[..whole.len() - 60]).unwrap();
    assert_eq!(fault_of(&reply).code, FaultCode::ACS_INVALID_ARGUMENTS);
    assert_eq!(read(&reply.body).header.id, "7");
    assert!(matches!(
        only(events(&mut acs)),
        Event::Ignored(Ignored::Malformed(_))
    ));
    // Even in place of an answer, which is still waited for.
    post(&mut acs, clock.at(0), b"");
    acs.request(clock.at(0), get(&["A."])).unwrap();
    acs.poll_transmit();
    post(&mut acs, clock.at(0), &whole[..whole.len() - 60]).unwrap();
    assert_eq!(outcomes(&events(&mut acs)), []);
}

/// 18.9 again: some clients go on with their own requests instead of an answer.
#[test]
fn a_request_of_the_cpe_in_place_of_an_answer_is_answered() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    let now = clock.at(0);
    informed(&mut acs, now);
    post(&mut acs, now, b"");
    acs.request(now, get(&["A."])).unwrap();
    let asked = acs.poll_transmit().unwrap();
    events(&mut acs);
    assert_eq!(
        post(&mut acs, now, &envelope("3", TransferComplete::default())),
        None
    );
    acknowledge(&mut acs, now);
    assert_eq!(
        method(&acs.poll_transmit().unwrap()),
        "TransferCompleteResponse"
    );
    post(
        &mut acs,
        now,
        &answering(
            &asked,
            Response::from(GetParameterValuesResponse::default()),
        ),
    );
    assert_eq!(
        outcomes(&events(&mut acs)),
        [Ok(Method::GetParameterValues)]
    );
}

#[test]
fn a_caller_that_does_not_answer_is_answered_for() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    assert_eq!(post(&mut acs, clock.at(0), &envelope("1", inform())), None);
    assert_eq!(acs.poll_timeout(), Some(clock.at(20)));
    acs.handle_timeout(clock.at(20));
    assert_eq!(acs.poll_transmit().unwrap().status, 503);
    assert_eq!(
        events(&mut acs).last(),
        Some(&Event::Ended(End::Unanswered))
    );
    informed(&mut acs, clock.at(30));
    assert_eq!(
        post(
            &mut acs,
            clock.at(30),
            &envelope("2", TransferComplete::default())
        ),
        None
    );
    acs.handle_timeout(clock.at(50));
    // Not acknowledged, so it comes again.
    assert_eq!(
        fault_of(&acs.poll_transmit().unwrap()).code,
        FaultCode::ACS_INTERNAL_ERROR
    );
    assert_eq!(post(&mut acs, clock.at(51), b""), None);
    acs.handle_timeout(clock.at(71));
    assert_eq!(acs.poll_transmit(), Some(Reply::empty()));
    events(&mut acs);
    acs.handle_timeout(clock.at(76));
    assert_eq!(only(events(&mut acs)), Event::Ended(End::Complete));
}

/// `SILENCE_MIN`, `SILENCE_MAX`
#[test]
fn a_cpe_may_ask_for_patience_within_limits() {
    let clock = Clock::new();
    let silence = |configured: u64, asked: Option<u32>| {
        let config = Config {
            silence: Duration::from_secs(configured),
            ..Config::default()
        };
        let mut acs = acs_with(&clock, config);
        let mut opening = Envelope::new(namespace(), "1", inform());
        opening.header.session_timeout = asked;
        let opening = soap::encode(&opening, Booleans::Digits);
        post(&mut acs, clock.at(0), opening.as_bytes());
        acknowledge(&mut acs, clock.at(0));
        assert_eq!(
            acs.version(),
            if asked.is_some() {
                Version::V1_3
            } else {
                Version::V1_2
            }
        );
        (acs.poll_timeout().unwrap() - clock.at(0)).as_secs()
    };
    assert_eq!(silence(1, None), limits::SILENCE_MIN.as_secs());
    assert_eq!(silence(60, Some(30)), 60);
    assert_eq!(silence(60, Some(300)), 300);
    assert_eq!(silence(60, Some(u32::MAX)), limits::SILENCE_MAX.as_secs());
    assert_eq!(silence(1_000_000, None), limits::SILENCE_MAX.as_secs());
}

#[test]
fn a_session_can_be_given_up() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    informed(&mut acs, clock.at(0));
    post(&mut acs, clock.at(0), b"");
    acs.abandon(clock.at(0));
    assert_eq!(acs.poll_transmit().unwrap().status, 503);
    assert_eq!(events(&mut acs), [Event::Ended(End::Abandoned)]);
    acs.abandon(clock.at(0));
    assert_eq!((acs.poll_transmit(), acs.poll_event()), (None, None));
}

#[test]
fn our_own_mistakes_are_told() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    informed(&mut acs, clock.at(0));
    assert_eq!(
        acs.finish(clock.at(0)),
        Err(Error::ApiMisuse("it is not our turn"))
    );
    assert!(matches!(
        acs.request(clock.at(0), inform()),
        Err(Error::ApiMisuse(_))
    ));
    post(&mut acs, clock.at(0), &envelope("2", Kicked::default()));
    let Event::Requested { token, .. } = only(events(&mut acs)) else {
        panic!();
    };
    assert!(acs.acknowledge(clock.at(0), token).is_err());
    let wrong = acs.respond(clock.at(0), token, Ok(RebootResponse {}.into()));
    assert_eq!(
        wrong,
        Err(Error::ApiMisuse("the response is to another method"))
    );
    // A second POST before the answer is refused and changes nothing.
    let second = acs.handle_input(clock.at(0), Post::new(&envelope("3", GetRpcMethods {})));
    assert!(matches!(second, Err(Error::PeerMisbehaved(_))));
    assert!(acs.handle_input(clock.at(0), Post::new(b"")).is_err());
    acs.respond(clock.at(0), token, Ok(KickedResponse::default().into()))
        .unwrap();
}

/// `QUEUE_MAX`
#[test]
fn the_queue_is_bounded() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    informed(&mut acs, clock.at(0));
    for _ in 0..limits::QUEUE_MAX {
        assert!(acs.request(clock.at(0), FactoryReset {}).is_ok());
    }
    let more = acs.request(clock.at(0), FactoryReset {});
    assert!(matches!(
        more,
        Err(Error::LimitExceeded {
            limit: "QUEUE_MAX",
            ..
        })
    ));
}

/// `CPE_REQUESTS_MAX`
#[test]
fn endless_requests_of_a_cpe_end_the_session() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    informed(&mut acs, clock.at(0));
    for id in 0..limits::CPE_REQUESTS_MAX {
        assert!(
            post(
                &mut acs,
                clock.at(0),
                &envelope(&id.to_string(), GetRpcMethods {})
            )
            .is_some()
        );
        assert!(matches!(only(events(&mut acs)), Event::Served { .. }));
    }
    let reply = post(&mut acs, clock.at(0), &envelope("more", GetRpcMethods {})).unwrap();
    assert_eq!(fault_of(&reply).code, FaultCode::ACS_RESOURCES_EXCEEDED);
    assert_eq!(
        only(events(&mut acs)),
        Event::Ended(End::Limit {
            limit: "CPE_REQUESTS_MAX",
            max: limits::CPE_REQUESTS_MAX
        })
    );
}

/// `SESSION_MESSAGES_MAX`
#[test]
fn an_endless_session_ends() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    informed(&mut acs, clock.at(0));
    for _ in 1..limits::SESSION_MESSAGES_MAX {
        post(&mut acs, clock.at(0), b"");
        acs.poll_event();
    }
    assert!(acs.handle_input(clock.at(0), Post::new(b"")).is_err());
    assert_eq!(
        acs.poll_event(),
        Some(Event::Ended(End::Limit {
            limit: "SESSION_MESSAGES_MAX",
            max: limits::SESSION_MESSAGES_MAX
        }))
    );
}

/// `EVENTS_MAX`
#[test]
fn events_that_nobody_takes_are_bounded() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    for _ in 0..limits::EVENTS_MAX {
        acs.handle_input(clock.at(0), Post::new(b"")).unwrap();
    }
    let more = acs.handle_input(clock.at(0), Post::new(b""));
    assert!(matches!(
        more,
        Err(Error::LimitExceeded {
            limit: "EVENTS_MAX",
            ..
        })
    ));
}

#[test]
fn what_had_to_be_forgiven_comes_with_the_event() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    let xml = "<Envelope><Body><Inform><Event><EventStruct><EventCode>6</EventCode></EventStruct></Event></Inform></Body></Envelope>";
    post(&mut acs, clock.at(0), xml.as_bytes());
    let Event::Informed {
        inform,
        oddities,
        version,
        ..
    } = only(events(&mut acs))
    else {
        panic!();
    };
    assert!(inform.has(&EventCode::ConnectionRequest) && !inform.has(&EventCode::Boot));
    assert!(oddities.has(Oddities::NO_ID) && oddities.has(Oddities::NAMESPACE));
    assert_eq!(version, Version::V1_0);
}

#[test]
fn a_device_that_reads_one_spelling_of_truth_gets_it() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    informed(&mut acs, clock.at(0));
    post(&mut acs, clock.at(0), b"");
    acs.set_booleans(Booleans::Words);
    acs.set_hold_requests(true);
    acs.request(
        clock.at(0),
        GetParameterNames {
            path: String::new(),
            next_level: true,
        },
    )
    .unwrap();
    let reply = acs.poll_transmit().unwrap();
    let text = std::str::from_utf8(&reply.body).unwrap();
    assert!(
        text.contains("<NextLevel>true</NextLevel>") && text.contains(">true</cwmp:HoldRequests>"),
        "{text}"
    );
}

#[test]
fn an_envelope_with_an_empty_body_is_an_empty_post() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    let nothing = b"<e:Envelope><e:Header><c:ID>9</c:ID></e:Header><e:Body> </e:Body></e:Envelope>";
    assert_eq!(post(&mut acs, clock.at(0), nothing), Some(Reply::empty()));
    assert_eq!(only(events(&mut acs)), Event::Ignored(Ignored::Probe));
    informed(&mut acs, clock.at(0));
    assert_eq!(post(&mut acs, clock.at(0), nothing), None);
    assert_eq!(only(events(&mut acs)), Event::Turn);
}
