//! The agent's session against a scripted controller.

use usp::agent::{Config, Event, GaveUp, Ignored, NotifyId, Session};
use usp::msg::{self, Body, Msg, Notify, Response};
use usp::record::{DisconnectRecord, NoSessionContextRecord, RecordType, SessionContextRecord};
use usp::{Error, ErrorCode, Record, RetryPolicy, UspError, Version, limits};

use crate::support::*;

struct Fixture {
    session: Session,
    clock: Clock,
}

impl Fixture {
    fn new() -> Self {
        Self {
            session: Session::new(&Config::default(), cpe(), acs(), 7),
            clock: Clock::new(),
        }
    }

    fn open() -> Self {
        let mut f = Self::new();
        f.session.channel_opened(f.clock.at(0), connect());
        f.transmit().unwrap();
        f
    }

    fn hear(&mut self, at: u64, record: &Record) {
        self.session
            .handle_input(self.clock.at(at), &bytes(record))
            .unwrap();
    }

    fn hear_msg(&mut self, at: u64, msg: &Msg) {
        self.hear(at, &from_acs(carry(msg)));
    }

    fn transmit(&mut self) -> Option<Vec<u8>> {
        self.session.poll_transmit().map(|bytes| bytes.to_vec())
    }

    fn sent(&mut self) -> Option<Msg> {
        self.transmit().map(|bytes| msg_of(&bytes))
    }

    fn event(&mut self) -> Option<Event> {
        self.session.poll_event()
    }

    fn notify(&mut self, retry: Option<RetryPolicy>) -> NotifyId {
        self.session
            .notify(self.clock.at(0), change(false), retry)
            .unwrap()
    }
}

fn change(send_resp: bool) -> Notify {
    let change = msg::ValueChange {
        param_path: "Device.X".into(),
        param_value: "1".into(),
    };
    Notify {
        send_resp,
        ..msg::notify("sub", change)
    }
}

fn answer(msg: &Msg) -> Msg {
    Msg::response(
        &*msg.header.msg_id,
        msg::NotifyResp {
            subscription_id: "sub".into(),
        },
    )
}

/// R-MTP.6, R-STOMP.29
#[test]
fn a_new_place_is_announced_and_what_is_under_way_stays() {
    let mut f = Fixture::open();
    f.session
        .notify(f.clock.at(0), change(true), Some(RetryPolicy::default()))
        .unwrap();
    let notify = f.sent().unwrap();
    let ask = |id: &str| Msg::request(id, msg::get(["Device.X"]));
    f.hear_msg(0, &ask("1"));
    f.hear_msg(0, &ask("2"));
    let mut tokens = Vec::new();
    while let Some(Event::Requested { token, .. }) = f.event() {
        tokens.push(token);
    }
    let respond = |f: &mut Fixture, n: usize| {
        let result = Ok(Response::GetResp(Default::default()));
        f.session.respond(tokens[n], result).unwrap();
    };
    // One answer waits, the other is still to come.
    respond(&mut f, 0);
    f.session.announce(f.clock.at(1), connect());
    respond(&mut f, 1);
    assert_eq!(f.sent().unwrap().header.msg_id, "1");
    let said = usp::codec::decode_record(&f.transmit().unwrap()).unwrap();
    assert!(said.record_type.is_connect());
    assert_eq!(f.sent().unwrap().header.msg_id, "2");
    assert_eq!(f.transmit(), None);
    assert_eq!(f.session.notifies_pending(), 1);
    f.hear_msg(2, &answer(&notify));
    assert_eq!(f.session.notifies_pending(), 0);

    // Nobody is told anything by a channel that is gone.
    f.session.channel_closed(f.clock.at(3));
    f.session.announce(f.clock.at(3), connect());
    assert_eq!(f.transmit(), None);
}

/// R-MTP.6
#[test]
fn the_connect_record_goes_first() {
    let mut f = Fixture::new();
    f.notify(None);
    assert_eq!(f.transmit(), None);
    f.session.channel_opened(f.clock.at(0), connect());
    let first = usp::codec::decode_record(&f.transmit().unwrap()).unwrap();
    assert!(matches!(first.record_type, RecordType::WebsocketConnect(_)));
    assert!(matches!(f.sent().unwrap().body, Body::Request(_)));
}

#[test]
fn a_request_comes_up_and_its_answer_goes_down() {
    let mut f = Fixture::open();
    f.hear_msg(0, &Msg::request("q", msg::get(["Device."])));
    let Some(Event::Requested {
        token,
        msg_id,
        request,
    }) = f.event()
    else {
        panic!()
    };
    assert_eq!(
        (msg_id.as_str(), request),
        ("q", msg::get(["Device."]).into())
    );
    f.session
        .respond(token, Ok(msg::GetResp::default().into()))
        .unwrap();
    let sent = f.sent().unwrap();
    assert_eq!(sent, Msg::response("q", msg::GetResp::default()));
    assert!(matches!(
        f.session.respond(token, Ok(msg::GetResp::default().into())),
        Err(Error::ApiMisuse(_))
    ));
}

/// R-MSG.4
#[test]
fn a_request_in_progress_is_not_served_twice() {
    let mut f = Fixture::open();
    let ask = Msg::request("q", msg::get(["Device."]));
    f.hear_msg(0, &ask);
    f.hear_msg(0, &ask);
    let Some(Event::Requested { token, .. }) = f.event() else {
        panic!()
    };
    assert_eq!(
        f.event(),
        Some(Event::Ignored(Ignored::Duplicate { msg_id: "q".into() }))
    );
    f.session
        .respond(token, Err(UspError::new(ErrorCode::REQUEST_DENIED, "no")))
        .unwrap();
    assert_eq!(error_of(&f.transmit().unwrap()).0, "q");
    assert_eq!(f.transmit(), None);
}

/// R-OPR.4
#[test]
fn a_command_that_wants_no_answer_gets_none() {
    let mut f = Fixture::open();
    let quiet = msg::Operate {
        send_resp: false,
        ..msg::operate("Device.Reboot()", "", msg::Map::new())
    };
    f.hear_msg(0, &Msg::request("q", quiet));
    let Some(Event::Requested { token, .. }) = f.event() else {
        panic!()
    };
    f.session
        .respond(token, Ok(msg::OperateResp::default().into()))
        .unwrap();
    assert_eq!(f.transmit(), None);
}

#[test]
fn an_answer_does_not_cross_channels() {
    let mut f = Fixture::open();
    f.hear_msg(0, &Msg::request("q", msg::get(["Device."])));
    let Some(Event::Requested { token, .. }) = f.event() else {
        panic!()
    };
    f.session.channel_closed(f.clock.at(1));
    f.session.channel_opened(f.clock.at(2), connect());
    f.transmit().unwrap();
    f.session
        .respond(token, Ok(msg::GetResp::default().into()))
        .unwrap();
    assert_eq!(f.transmit(), None);
}

#[test]
fn protocol_versions_are_answered_and_negotiated_by_the_session() {
    let mut f = Fixture::open();
    let ask = msg::GetSupportedProtocol {
        controller_supported_protocol_versions: "1.3,1.2".into(),
    };
    f.hear_msg(0, &Msg::request("q", ask));
    let Body::Response(Response::GetSupportedProtocolResp(list)) = f.sent().unwrap().body else {
        panic!()
    };
    assert_eq!(
        list.agent_supported_protocol_versions,
        "1.0,1.1,1.2,1.3,1.4,1.5"
    );
    assert_eq!((f.event(), f.session.version()), (None, Version::V1_3));
}

/// R-MSG.1
#[test]
fn what_is_for_controllers_is_answered_7001() {
    let mut f = Fixture::open();
    f.hear_msg(0, &Msg::request("q", change(true)));
    assert_eq!(
        error_of(&f.transmit().unwrap()).1.code,
        ErrorCode::MESSAGE_NOT_SUPPORTED
    );
}

/// R-MSG.9: and nothing is ever answered to a response or an error.
#[test]
fn stray_answers_are_dropped() {
    let mut f = Fixture::open();
    for stray in [
        Msg::response("q", msg::GetResp::default()),
        Msg::response("q", msg::NotifyResp::default()),
        Msg::error("q", UspError::new(ErrorCode::INTERNAL_ERROR, "no")),
    ] {
        f.hear_msg(0, &stray);
        assert_eq!(
            f.event(),
            Some(Event::Ignored(Ignored::Unmatched { msg_id: "q".into() }))
        );
    }
    assert_eq!(f.transmit(), None);
}

/// R-ARC.2, R-E2E.1, R-SEC.10a; TP-469 2.1, 2.2
#[test]
fn records_of_others_are_ignored_and_never_answered() {
    let mut f = Fixture::open();
    let other = usp::EndpointId::parse("self::other").unwrap();
    let ask = carry(&Msg::request("1", msg::get(["Device."])));
    for (from, to, why) in [
        (&cpe(), &cpe(), Ignored::FromOurselves),
        (
            &acs(),
            &other,
            Ignored::NotForUs {
                to: "self::other".into(),
            },
        ),
        (
            &other,
            &cpe(),
            Ignored::WrongSender {
                from: "self::other".into(),
            },
        ),
    ] {
        f.hear(0, &Record::new(Version::V1_4, from, to, ask.clone()));
        assert_eq!(f.event(), Some(Event::Ignored(why)));
        assert_eq!((f.event(), f.transmit()), (None, None));
    }
}

/// R-ENC.4, R-MTP.5; TP-469 3.1
#[test]
fn a_bad_request_is_ignored_or_refused_and_the_next_one_is_served() {
    let mut f = Fixture::open();
    let ask = || carry(&Msg::request("1", msg::get(["Device."])));
    // Without any content: nothing to answer.
    let empty = NoSessionContextRecord::new(Vec::new());
    f.hear(0, &from_acs(empty));
    assert_eq!(f.event(), Some(Event::Ignored(Ignored::EmptyPayload)));
    assert_eq!(f.transmit(), None);
    // A version that is none: the request in it can be named.
    let mut record = from_acs(ask());
    record.version = "none".into();
    f.hear(0, &record);
    let (id, error) = error_of(&f.transmit().unwrap());
    assert_eq!(
        (id.as_str(), error.code),
        ("1", ErrorCode::INVALID_RECORD_VALUE)
    );
    assert!(matches!(
        f.event(),
        Some(Event::Ignored(Ignored::Version(_)))
    ));
    f.hear(0, &from_acs(ask()));
    assert!(matches!(f.event(), Some(Event::Requested { .. })));
}

/// R-E2E.6a
#[test]
fn a_session_context_is_refused_with_7106() {
    let mut f = Fixture::open();
    f.hear(
        0,
        &from_acs(SessionContextRecord {
            session_id: 2,
            sequence_id: 1,
            ..Default::default()
        }),
    );
    let record = usp::codec::decode_record(&f.transmit().unwrap()).unwrap();
    let RecordType::Disconnect(disconnect) = record.record_type else {
        panic!()
    };
    assert_eq!(disconnect.reason_code, 7106);
}

/// R-MTP.7, .8
#[test]
fn after_a_disconnect_nothing_flows_until_the_next_connect() {
    let mut f = Fixture::open();
    f.hear(
        0,
        &from_acs(DisconnectRecord::new(ErrorCode::REQUEST_DENIED, "go away")),
    );
    assert!(matches!(f.event(), Some(Event::Disconnected { .. })));
    f.notify(None);
    assert_eq!(f.transmit(), None);
    f.hear_msg(0, &Msg::request("q", msg::get(["Device."])));
    assert_eq!(f.event(), Some(Event::Ignored(Ignored::BeforeConnect)));
    f.session.channel_opened(f.clock.at(1), connect());
    assert_eq!(std::iter::from_fn(|| f.transmit()).count(), 2);
}

/// R-NOT.1, .2, .9; TP-469 1.54
#[test]
fn a_notification_is_sent_again_until_it_is_answered() {
    let mut f = Fixture::open();
    let id = f.notify(Some(RetryPolicy::default()));
    let first = f.sent().unwrap();
    let Body::Request(msg::Request::Notify(sent)) = &first.body else {
        panic!()
    };
    assert!(sent.send_resp);
    let mut last = f.clock.at(0);
    for (low, high) in [(5, 10), (10, 20), (20, 40), (40, 80)] {
        let due = f.session.poll_timeout().unwrap();
        assert!((last + seconds(low)..=last + seconds(high)).contains(&due));
        f.session.handle_timeout(due);
        assert_eq!(f.sent().unwrap(), first, "the same message again");
        last = due;
    }
    // The subscription id of the answer does not count.
    f.hear_msg(
        200,
        &Msg::response(&*first.header.msg_id, msg::NotifyResp::default()),
    );
    assert_eq!(f.event(), Some(Event::Delivered { id }));
    assert_eq!(
        (f.session.poll_timeout(), f.session.notifies_pending()),
        (None, 0)
    );
}

/// R-NOT.3
#[test]
fn retries_end_when_the_notification_expires() {
    let mut f = Fixture::open();
    let id = f.notify(Some(RetryPolicy {
        expires: Some(seconds(12)),
        ..RetryPolicy::default()
    }));
    f.sent().unwrap();
    let due = f.session.poll_timeout().unwrap();
    f.session.handle_timeout(due);
    f.sent().unwrap();
    assert_eq!(f.session.poll_timeout(), Some(f.clock.at(12)));
    f.session.handle_timeout(f.clock.at(12));
    assert_eq!(
        f.event(),
        Some(Event::GaveUp {
            id,
            why: GaveUp::Expired
        })
    );
    assert_eq!(f.transmit(), None);
}

#[test]
fn a_notification_survives_its_channel() {
    let mut f = Fixture::open();
    let id = f.notify(Some(RetryPolicy::default()));
    let first = f.sent().unwrap();
    f.session.channel_closed(f.clock.at(1));
    f.session.channel_opened(f.clock.at(2), connect());
    f.transmit().unwrap();
    assert_eq!(f.sent().unwrap(), first);
    f.hear_msg(3, &answer(&first));
    assert_eq!(f.event(), Some(Event::Delivered { id }));
}

#[test]
fn an_error_in_answer_does_not_end_the_retries() {
    let mut f = Fixture::open();
    f.notify(Some(RetryPolicy::default()));
    let first = f.sent().unwrap();
    f.hear_msg(
        1,
        &Msg::error(
            &*first.header.msg_id,
            UspError::new(ErrorCode::RESOURCES_EXCEEDED, "full"),
        ),
    );
    assert_eq!(f.event(), None);
    let due = f.session.poll_timeout().unwrap();
    f.session.handle_timeout(due);
    assert_eq!(f.sent().unwrap(), first);
}

/// `NOTIFY_ANSWER_WAIT`
#[test]
fn without_retry_a_notification_is_sent_once() {
    let mut f = Fixture::open();
    let quiet = f.notify(None);
    f.sent().unwrap();
    assert_eq!(f.event(), Some(Event::Delivered { id: quiet }));

    let lost = |f: &mut Fixture| {
        let id = f.session.notify(f.clock.at(0), change(true), None).unwrap();
        (id, f.sent().unwrap())
    };
    let (id, _) = lost(&mut f);
    let due = f.session.poll_timeout().unwrap();
    assert_eq!(due, f.clock.at(0) + limits::NOTIFY_ANSWER_WAIT);
    f.session.handle_timeout(due);
    assert_eq!(
        f.event(),
        Some(Event::GaveUp {
            id,
            why: GaveUp::Unanswered
        })
    );

    let (id, sent) = lost(&mut f);
    let error = UspError::new(ErrorCode::REQUEST_DENIED, "no");
    f.hear_msg(1, &Msg::error(&*sent.header.msg_id, error.clone()));
    assert_eq!(
        f.event(),
        Some(Event::GaveUp {
            id,
            why: GaveUp::Refused(error)
        })
    );

    let (id, _) = lost(&mut f);
    f.session.channel_closed(f.clock.at(2));
    assert_eq!(
        f.event(),
        Some(Event::GaveUp {
            id,
            why: GaveUp::ChannelClosed
        })
    );
    assert_eq!(f.transmit(), None);
}

/// R-NOT.5, .6, .6a
#[test]
fn an_agent_introduces_itself_for_ever() {
    let mut f = Fixture::open();
    f.session
        .on_board(
            f.clock.at(0),
            msg::OnBoardRequest {
                oui: "00256D".into(),
                ..Default::default()
            },
        )
        .unwrap();
    for _ in 0..50 {
        let Body::Request(msg::Request::Notify(notify)) = f.sent().unwrap().body else {
            panic!()
        };
        assert!(notify.send_resp && notify.subscription_id.is_empty());
        let msg::Notification::OnBoardReq(request) = notify.notification else {
            panic!()
        };
        assert_eq!(
            request.agent_supported_protocol_versions,
            "1.0,1.1,1.2,1.3,1.4,1.5"
        );
        let due = f.session.poll_timeout().unwrap();
        f.session.handle_timeout(due);
    }
}

#[test]
fn a_cancelled_notification_is_forgotten() {
    let mut f = Fixture::open();
    let id = f.notify(Some(RetryPolicy::default()));
    assert!(f.session.cancel_notify(id));
    assert!(!f.session.cancel_notify(id));
    assert_eq!((f.transmit(), f.session.poll_timeout()), (None, None));
}

/// `REQUESTS_IN_PROGRESS_MAX`
#[test]
fn too_many_requests_at_once_are_refused_with_7005() {
    let mut f = Fixture::open();
    for at in 0..=limits::REQUESTS_IN_PROGRESS_MAX {
        f.hear_msg(0, &Msg::request(format!("{at}"), msg::get(["Device."])));
    }
    assert_eq!(
        error_of(&f.transmit().unwrap()).1.code,
        ErrorCode::RESOURCES_EXCEEDED
    );
    assert_eq!(f.transmit(), None);
}

/// `REPLIES_MAX`
#[test]
fn what_could_not_be_answered_is_not_carried_out() {
    let mut f = Fixture::open();
    let mut carried_out = 0;
    for at in 0..limits::REPLIES_MAX * 2 {
        f.hear_msg(0, &Msg::request(format!("{at}"), msg::get(["Device."])));
        match f.event() {
            Some(Event::Requested { token, .. }) => {
                assert!(at < limits::REPLIES_MAX);
                carried_out += 1;
                let answer = msg::GetResp::default().into();
                f.session.respond(token, Ok(answer)).unwrap();
            }
            Some(Event::Ignored(Ignored::Limit("REPLIES_MAX"))) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(f.event(), None);
    assert!(!f.session.takes_requests());
    let answers = std::iter::from_fn(|| f.transmit()).count();
    assert_eq!(
        (carried_out, answers),
        (limits::REPLIES_MAX, limits::REPLIES_MAX)
    );
    // And from then on it is asked again.
    assert!(f.session.takes_requests());
    f.hear_msg(0, &Msg::request("again", msg::get(["Device."])));
    assert!(matches!(f.event(), Some(Event::Requested { .. })));
}

/// `NOTIFIES_PENDING_MAX`
#[test]
fn an_agent_without_a_controller_does_not_hoard_notifications() {
    let mut f = Fixture::new();
    for _ in 0..limits::NOTIFIES_PENDING_MAX {
        f.notify(None);
    }
    let error = f
        .session
        .notify(f.clock.at(0), change(false), None)
        .unwrap_err();
    assert!(matches!(
        error,
        Error::LimitExceeded {
            limit: "NOTIFIES_PENDING_MAX",
            ..
        }
    ));
}

/// `NOTIFIES_PENDING_BYTES_MAX`
#[test]
fn large_notifications_are_hoarded_even_less() {
    let mut f = Fixture::new();
    let large = || {
        let change = msg::ValueChange {
            param_path: "Device.A".into(),
            param_value: "x".repeat(1024 * 1024),
        };
        msg::notify("s", change)
    };
    for _ in 0..3 {
        f.session.notify(f.clock.at(0), large(), None).unwrap();
    }
    let error = f.session.notify(f.clock.at(0), large(), None).unwrap_err();
    assert!(matches!(
        error,
        Error::LimitExceeded {
            limit: "NOTIFIES_PENDING_BYTES_MAX",
            ..
        }
    ));
    f.notify(None);
}

/// `RECORD_BYTES_MAX`
#[test]
fn a_response_that_is_too_large_becomes_an_error() {
    let mut f = Fixture::open();
    f.hear_msg(0, &Msg::request("q", msg::get(["Device."])));
    let Some(Event::Requested { token, .. }) = f.event() else {
        panic!()
    };
    let huge = msg::RequestedPathResult {
        err_msg: "x".repeat(limits::RECORD_BYTES_MAX),
        ..Default::default()
    };
    f.session
        .respond(
            token,
            Ok(msg::GetResp {
                req_path_results: vec![huge],
            }
            .into()),
        )
        .unwrap();
    assert_eq!(
        error_of(&f.transmit().unwrap()).1.code,
        ErrorCode::RESOURCES_EXCEEDED
    );
    let huge = msg::ValueChange {
        param_path: String::new(),
        param_value: "x".repeat(limits::RECORD_BYTES_MAX),
    };
    let error = f
        .session
        .notify(f.clock.at(0), msg::notify("s", huge), None)
        .unwrap_err();
    assert!(matches!(
        error,
        Error::LimitExceeded {
            limit: "RECORD_BYTES_MAX",
            ..
        }
    ));
}

/// `EVENTS_MAX`
#[test]
fn events_that_nobody_takes_stop_the_input() {
    let mut f = Fixture::open();
    let stray = bytes(&from_acs(carry(&Msg::response(
        "q",
        msg::GetResp::default(),
    ))));
    for _ in 0..limits::EVENTS_MAX {
        f.session.handle_input(f.clock.at(0), &stray).unwrap();
    }
    let error = f.session.handle_input(f.clock.at(0), &stray).unwrap_err();
    assert!(matches!(
        error,
        Error::LimitExceeded {
            limit: "EVENTS_MAX",
            ..
        }
    ));
}

/// R-MTP.9
#[test]
fn a_goodbye_gives_a_reason() {
    let mut f = Fixture::open();
    f.session.disconnect(ErrorCode::MESSAGE_FAILED, "rebooting");
    let record = usp::codec::decode_record(&f.transmit().unwrap()).unwrap();
    let RecordType::Disconnect(disconnect) = record.record_type else {
        panic!()
    };
    assert_eq!(disconnect.reason, "rebooting");
    assert!(!f.session.is_open());
}
