//! The controller's session against a scripted agent.

use std::sync::Arc;
use std::time::Instant;

use usp::controller::{Config, Event, Ignored, PeerError, Sent, Session, Signatures};
use usp::msg::{self, Body, Msg, MsgType, Notify, Request, Response};
use usp::record::{
    DisconnectRecord, MqttConnectRecord, NoSessionContextRecord, PayloadSecurity, RecordType,
    SessionContextRecord,
};
use usp::{DecodeErrorKind, EndpointId, Error, ErrorCode, Record, UspError, Version, limits};

use crate::support::*;

struct Fixture {
    session: Session,
    clock: Clock,
}

impl Fixture {
    fn new(config: Config) -> Self {
        Self {
            session: Session::new(Arc::new(config), acs(), cpe(), 0xabc),
            clock: Clock::new(),
        }
    }

    fn connected() -> Self {
        let mut fixture = Self::new(Config::default());
        fixture.hear(&from_cpe(connect()));
        assert!(matches!(fixture.event(), Some(Event::Connected { .. })));
        fixture
    }

    fn hear(&mut self, record: &Record) {
        self.session
            .handle_input(self.clock.at(0), &bytes(record))
            .unwrap();
    }

    fn hear_msg(&mut self, msg: &Msg) {
        self.hear(&from_cpe(carry(msg)));
    }

    fn event(&mut self) -> Option<Event> {
        self.session.poll_event()
    }

    fn ignored(&mut self) -> Ignored {
        match self.event() {
            Some(Event::Ignored(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    fn ask(&mut self) -> usp::controller::RequestId {
        self.session
            .request(self.clock.at(0), msg::get(["Device."]), seconds(30))
            .unwrap()
    }

    fn sent(&mut self) -> Option<Msg> {
        self.session.poll_transmit().map(|bytes| msg_of(&bytes))
    }

    fn silent(&mut self) {
        assert_eq!(self.session.poll_transmit(), None);
    }
}

fn notify(send_resp: bool) -> Notify {
    let event = msg::Event {
        obj_path: "Device.".into(),
        event_name: "Boot!".into(),
        ..Default::default()
    };
    Notify {
        send_resp,
        ..msg::notify("boot", event)
    }
}

/// R-MTP.8
#[test]
fn nothing_is_sent_before_the_connect_record() {
    let mut f = Fixture::new(Config::default());
    let id = f.ask();
    f.silent();
    f.hear_msg(&Msg::request("1", notify(true)));
    assert_eq!(f.ignored(), Ignored::BeforeConnect);
    f.hear(&from_cpe(connect()));
    let Some(Event::Connected {
        record: Some(RecordType::WebsocketConnect(_)),
        version,
    }) = f.event()
    else {
        panic!()
    };
    assert_eq!(version, Version::V1_4);
    assert_eq!(f.sent().unwrap().header.msg_id, f.session.msg_id(id));
}

/// R-MTP.8: the right one.
#[test]
fn a_connect_record_of_another_transport_does_not_count() {
    let mut f = Fixture::new(Config::default());
    f.hear(&from_cpe(MqttConnectRecord::default()));
    assert_eq!(f.ignored(), Ignored::WrongConnect);
    assert!(!f.session.is_connected());
}

#[test]
fn agents_before_1_2_need_no_connect_record() {
    let mut f = Fixture::new(Config::default());
    let old = Version { major: 1, minor: 1 };
    f.hear(&Record::new(
        old,
        &cpe(),
        &acs(),
        carry(&Msg::request("1", notify(false))),
    ));
    assert_eq!(
        f.event(),
        Some(Event::Connected {
            record: None,
            version: old
        })
    );
    assert!(matches!(f.event(), Some(Event::Notified { .. })));
    assert_eq!(f.session.version(), old);
}

#[test]
fn a_response_finds_its_request_in_any_order() {
    let mut f = Fixture::connected();
    let (first, second) = (f.ask(), f.ask());
    let (a, b) = (f.sent().unwrap(), f.sent().unwrap());
    f.hear_msg(&Msg::response(&*b.header.msg_id, msg::GetResp::default()));
    f.hear_msg(&Msg::error(
        &*a.header.msg_id,
        UspError::new(ErrorCode::INTERNAL_ERROR, "no"),
    ));
    assert_eq!(
        f.event(),
        Some(Event::Answered {
            id: second,
            result: Ok(msg::GetResp::default().into())
        })
    );
    let Some(Event::Answered {
        id,
        result: Err(PeerError::Refused(error)),
    }) = f.event()
    else {
        panic!()
    };
    assert_eq!((id, error.code), (first, ErrorCode::INTERNAL_ERROR));
    assert_eq!(f.session.unanswered(), []);
}

/// R-MSG.9
#[test]
fn an_answer_that_nobody_waits_for_is_dropped() {
    let mut f = Fixture::connected();
    for msg_id in ["abc-7", "abd-1", "soup", "abc-", "-"] {
        f.hear_msg(&Msg::response(msg_id, msg::GetResp::default()));
        assert_eq!(
            f.ignored(),
            Ignored::Unmatched {
                msg_id: msg_id.into()
            }
        );
    }
    // Not yet sent, so it cannot be an answer.
    let id = f.ask();
    let msg_id = f.session.msg_id(id);
    f.hear_msg(&Msg::response(&*msg_id, msg::GetResp::default()));
    assert_eq!(f.ignored(), Ignored::Unmatched { msg_id });
    f.sent().unwrap();
    f.silent();
}

#[test]
fn a_response_of_another_kind_is_told() {
    let mut f = Fixture::connected();
    let id = f.ask();
    let msg_id = f.sent().unwrap().header.msg_id;
    f.hear_msg(&Msg::response(msg_id, msg::SetResp::default()));
    let result = Err(PeerError::WrongResponse(MsgType::SET_RESP));
    assert_eq!(f.event(), Some(Event::Answered { id, result }));
}

/// R-MSG.10
#[test]
fn the_body_decides_what_a_message_is() {
    let mut f = Fixture::connected();
    let id = f.ask();
    let msg_id = f.sent().unwrap().header.msg_id;
    let mut msg = Msg::response(msg_id, msg::GetResp::default());
    msg.header.msg_type = MsgType::ERROR;
    f.hear_msg(&msg);
    assert_eq!(
        f.event(),
        Some(Event::Answered {
            id,
            result: Ok(msg::GetResp::default().into())
        })
    );
}

#[test]
fn a_response_that_cannot_be_read_ends_its_request_and_is_not_answered() {
    let mut f = Fixture::connected();
    let id = f.ask();
    let msg_id = f.sent().unwrap().header.msg_id;
    // A response without its oneof.
    let header = [&[0x0a, msg_id.len() as u8], msg_id.as_bytes()].concat();
    let payload = [
        &[0x0a, header.len() as u8],
        header.as_slice(),
        &[0x12, 0x02, 0x12, 0x00],
    ]
    .concat();
    f.hear(&from_cpe(NoSessionContextRecord::new(payload)));
    let Some(Event::Answered {
        id: answered,
        result: Err(PeerError::Malformed(error)),
    }) = f.event()
    else {
        panic!()
    };
    assert_eq!(answered, id);
    let Error::InvalidMessage(error) = error else {
        panic!("{error}")
    };
    assert_eq!(error.kind, DecodeErrorKind::Missing { field: "resp_type" });
    f.silent();
}

#[test]
fn a_request_times_out_wherever_it_is() {
    let config = Config {
        window: 1,
        ..Config::default()
    };
    let mut f = Fixture::new(config);
    f.hear(&from_cpe(connect()));
    f.event();
    let (first, second) = (f.ask(), f.ask());
    f.sent().unwrap();
    f.silent();
    assert_eq!(
        f.session.unanswered(),
        [(first, Sent::Yes), (second, Sent::No)]
    );
    assert_eq!(f.session.poll_timeout(), Some(f.clock.at(30)));
    f.session.handle_timeout(f.clock.at(29));
    assert_eq!(f.event(), None);
    f.session.handle_timeout(f.clock.at(30));
    assert_eq!(
        f.event(),
        Some(Event::TimedOut {
            id: first,
            sent: Sent::Yes
        })
    );
    assert_eq!(
        f.event(),
        Some(Event::TimedOut {
            id: second,
            sent: Sent::No
        })
    );
    assert_eq!(f.session.poll_timeout(), None);
    // Too late.
    let msg_id = f.session.msg_id(first);
    f.hear_msg(&Msg::response(&*msg_id, msg::GetResp::default()));
    assert_eq!(f.ignored(), Ignored::Unmatched { msg_id });
}

/// R-OPR.4
#[test]
fn a_command_without_answer_takes_no_place_in_the_window_and_may_be_answered_after_all() {
    let config = Config {
        window: 1,
        ..Config::default()
    };
    let mut f = Fixture::new(config);
    f.hear(&from_cpe(connect()));
    f.event();
    let quiet = msg::Operate {
        send_resp: false,
        ..msg::operate("Device.Reboot()", "k", msg::Map::new())
    };
    let id = f.session.request(f.clock.at(0), quiet, seconds(9)).unwrap();
    f.ask();
    let first = f.sent().unwrap();
    f.sent().unwrap();
    f.hear_msg(&Msg::response(
        first.header.msg_id,
        msg::OperateResp::default(),
    ));
    assert_eq!(
        f.event(),
        Some(Event::Answered {
            id,
            result: Ok(msg::OperateResp::default().into())
        })
    );
}

#[test]
fn a_cancelled_request_says_whether_it_was_sent() {
    let mut f = Fixture::connected();
    let (first, second) = (f.ask(), f.ask());
    f.sent().unwrap();
    assert_eq!(f.session.cancel(first), Some(Sent::Yes));
    assert_eq!(f.session.cancel(second), Some(Sent::No));
    assert_eq!(f.session.cancel(second), None);
    f.silent();
}

/// R-MTP.7, .8
#[test]
fn a_disconnect_ends_what_is_under_way_and_holds_the_rest_until_the_next_connect() {
    let config = Config {
        window: 1,
        ..Config::default()
    };
    let mut f = Fixture::new(config);
    f.hear(&from_cpe(connect()));
    f.event();
    let (first, second) = (f.ask(), f.ask());
    f.sent().unwrap();
    f.hear(&from_cpe(DisconnectRecord::new(
        ErrorCode::SESSION_CONTEXT_ENDED,
        "bye",
    )));
    assert_eq!(
        f.event(),
        Some(Event::Answered {
            id: first,
            result: Err(PeerError::Disconnected)
        })
    );
    let goodbye = Event::Disconnected {
        code: ErrorCode::SESSION_CONTEXT_ENDED,
        reason: "bye".into(),
    };
    assert_eq!(f.event(), Some(goodbye));
    f.silent();
    f.hear_msg(&Msg::request("1", notify(true)));
    assert_eq!(f.ignored(), Ignored::BeforeConnect);
    f.hear(&from_cpe(connect()));
    assert_eq!(f.sent().unwrap().header.msg_id, f.session.msg_id(second));
}

/// R-MTP.9
#[test]
fn our_disconnect_gives_a_reason_and_nothing_follows() {
    let mut f = Fixture::connected();
    f.ask();
    f.session.disconnect(ErrorCode::REQUEST_DENIED, "not today");
    let record = usp::codec::decode_record(&f.session.poll_transmit().unwrap()).unwrap();
    let RecordType::Disconnect(disconnect) = record.record_type else {
        panic!()
    };
    assert_eq!(
        (disconnect.reason_code, disconnect.reason.as_str()),
        (7002, "not today")
    );
    f.silent();
}

/// R-NOT.8, .10
#[test]
fn a_notification_is_answered_when_it_is_acknowledged_and_not_before() {
    let mut f = Fixture::connected();
    f.hear_msg(&Msg::request("n1", notify(true)));
    let Some(Event::Notified {
        token,
        msg_id,
        notify: got,
    }) = f.event()
    else {
        panic!()
    };
    assert_eq!((msg_id.as_str(), got), ("n1", notify(true)));
    f.silent();
    f.session.acknowledge(token).unwrap();
    let answer = f.sent().unwrap();
    assert_eq!(answer.header.msg_id, "n1");
    let response = msg::NotifyResp {
        subscription_id: "boot".into(),
    };
    assert_eq!(answer.body, Body::Response(Response::NotifyResp(response)));
    assert!(matches!(
        f.session.acknowledge(token),
        Err(Error::ApiMisuse(_))
    ));
    // Without send_resp there is no answer.
    f.hear_msg(&Msg::request("n2", notify(false)));
    let Some(Event::Notified { token, .. }) = f.event() else {
        panic!()
    };
    f.session.acknowledge(token).unwrap();
    f.silent();
}

#[test]
fn a_notification_that_could_not_be_stored_is_refused() {
    let mut f = Fixture::connected();
    f.hear_msg(&Msg::request("n1", notify(true)));
    let Some(Event::Notified { token, .. }) = f.event() else {
        panic!()
    };
    f.session
        .refuse(token, UspError::new(ErrorCode::RESOURCES_EXCEEDED, "full"))
        .unwrap();
    let (msg_id, error) = error_of(&f.session.poll_transmit().unwrap());
    assert_eq!(
        (msg_id.as_str(), error.code),
        ("n1", ErrorCode::RESOURCES_EXCEEDED)
    );
}

/// R-MSG.4
#[test]
fn a_notification_in_progress_is_not_delivered_twice() {
    let mut f = Fixture::connected();
    f.hear_msg(&Msg::request("n1", notify(true)));
    f.hear_msg(&Msg::request("n1", notify(true)));
    let Some(Event::Notified { token, .. }) = f.event() else {
        panic!()
    };
    assert_eq!(
        f.ignored(),
        Ignored::Duplicate {
            msg_id: "n1".into()
        }
    );
    f.session.acknowledge(token).unwrap();
    f.sent().unwrap();
    f.silent();
    // Acknowledged, so it is news again: the answer may have been lost.
    f.hear_msg(&Msg::request("n1", notify(true)));
    assert!(matches!(f.event(), Some(Event::Notified { .. })));
}

/// R-E2E.1, R-ARC.2, R-SEC.10a
#[test]
fn records_of_others_are_ignored_and_never_answered() {
    let mut f = Fixture::connected();
    let other = EndpointId::parse("self::other").unwrap();
    let ask = carry(&Msg::request("1", msg::get(["Device."])));
    f.hear(&Record::new(Version::V1_4, &cpe(), &other, ask.clone()));
    assert_eq!(
        f.ignored(),
        Ignored::NotForUs {
            to: "self::other".into()
        }
    );
    f.hear(&Record::new(Version::V1_4, &acs(), &acs(), ask.clone()));
    assert_eq!(f.ignored(), Ignored::FromOurselves);
    f.hear(&Record::new(Version::V1_4, &other, &acs(), ask));
    assert_eq!(
        f.ignored(),
        Ignored::WrongSender {
            from: "self::other".into()
        }
    );
    f.silent();
}

/// R-MSG.0, .1
#[test]
fn requests_that_are_for_agents_or_brokers_are_answered_7001() {
    let mut f = Fixture::connected();
    for request in [
        Request::from(msg::get(["Device."])),
        msg::Register::default().into(),
    ] {
        f.hear_msg(&Msg::request("r", request));
        assert_eq!(
            error_of(&f.session.poll_transmit().unwrap()).1.code,
            ErrorCode::MESSAGE_NOT_SUPPORTED
        );
        assert_eq!(f.ignored(), Ignored::Unsupported { msg_id: "r".into() });
    }
}

/// R-DEREG.4
#[test]
fn a_deregister_is_never_answered_with_an_error() {
    let mut f = Fixture::connected();
    f.hear_msg(&Msg::request(
        "r",
        msg::Deregister {
            paths: vec!["Device.X.".into()],
        },
    ));
    let Body::Response(Response::DeregisterResp(response)) = f.sent().unwrap().body else {
        panic!()
    };
    let msg::DeregisterStatus::OperFailure(failure) =
        &response.deregistered_path_results[0].oper_status
    else {
        panic!()
    };
    assert_eq!(failure.err_code, 7030);
}

/// R-E2E.6a
#[test]
fn a_session_context_is_refused_with_7106() {
    let mut f = Fixture::connected();
    f.hear(&from_cpe(SessionContextRecord {
        session_id: 5,
        sequence_id: 1,
        expected_id: 1,
        ..Default::default()
    }));
    assert_eq!(f.ignored(), Ignored::SessionContext);
    let record = usp::codec::decode_record(&f.session.poll_transmit().unwrap()).unwrap();
    let RecordType::Disconnect(disconnect) = record.record_type else {
        panic!()
    };
    assert_eq!(disconnect.reason_code, 7106);
}

/// R-ENC.4, R-WS.16
#[test]
fn a_broken_record_is_dropped_and_garbage_is_an_error() {
    let mut f = Fixture::connected();
    let mut doubled = bytes(&from_cpe(connect()));
    doubled.extend_from_slice(&[0x4a, 0x00]);
    f.session.handle_input(f.clock.at(0), &doubled).unwrap();
    assert!(matches!(f.ignored(), Ignored::BrokenRecord(_)));
    let error = f.session.handle_input(f.clock.at(0), b"soup").unwrap_err();
    assert!(matches!(error, Error::InvalidMessage(_)));
    f.silent();
}

/// R-ENC.5, R-MTP.5, R-MSG.1
#[test]
fn broken_requests_are_answered_and_broken_answers_are_not() {
    let mut f = Fixture::connected();
    let mut check = |payload: &[u8], expected: Option<ErrorCode>| {
        f.hear(&from_cpe(NoSessionContextRecord::new(payload.to_vec())));
        assert!(matches!(f.ignored(), Ignored::BrokenMessage(_)));
        let answer = f.session.poll_transmit().map(|bytes| error_of(&bytes));
        assert_eq!(
            answer.map(|(msg_id, error)| (msg_id, error.code)),
            expected.map(|code| ("x".into(), code))
        );
    };
    // A doubled oneof; no oneof; a request of the future; garbage within a request.
    check(
        b"\x0a\x03\x0a\x01x\x12\x06\x0a\x04\x0a\x00\x0a\x00",
        Some(ErrorCode::INVALID_ARGUMENTS),
    );
    check(
        b"\x0a\x03\x0a\x01x\x12\x02\x0a\x00",
        Some(ErrorCode::INVALID_ARGUMENTS),
    );
    check(
        b"\x0a\x03\x0a\x01x\x12\x05\x0a\x03\xf2\x01\x00",
        Some(ErrorCode::MESSAGE_NOT_SUPPORTED),
    );
    check(
        b"\x0a\x03\x0a\x01x\x12\x04\x0a\x02\x0a\x7f",
        Some(ErrorCode::INVALID_ARGUMENTS),
    );
    // Without an id, or not a request.
    check(b"\x12\x02\x0a\x00", None);
    check(b"\x0a\x03\x0a\x01x\x12\x02\x12\x00", None);
    check(b"\x0a\x03\x0a\x01x\x12\x04\x1a\x02\x08\x01", None);
    check(b"soup", None);
}

/// R-ENC.2, R-E2E.41
#[test]
fn an_unknown_or_encrypted_payload_is_named_to_its_requester() {
    let mut f = Fixture::connected();
    for (security, code) in [
        (
            PayloadSecurity::TLS12,
            ErrorCode::SECURE_SESSION_UNSUPPORTED,
        ),
        (PayloadSecurity(9), ErrorCode::INVALID_RECORD_VALUE),
    ] {
        let mut record = from_cpe(carry(&Msg::request("1", notify(true))));
        record.payload_security = security;
        f.hear(&record);
        assert_eq!(f.ignored(), Ignored::PayloadSecurity(security));
        assert_eq!(error_of(&f.session.poll_transmit().unwrap()).1.code, code);
    }
}

/// R-MTP.4b, R-MTP.5
#[test]
fn a_record_without_a_version_of_ours_is_named_to_its_requester() {
    let mut f = Fixture::connected();
    for version in ["", "2.0", "soup"] {
        let mut record = from_cpe(carry(&Msg::request("1", notify(true))));
        record.version = version.into();
        f.hear(&record);
        assert_eq!(f.ignored(), Ignored::Version(version.into()));
        assert_eq!(
            error_of(&f.session.poll_transmit().unwrap()).1.code,
            ErrorCode::INVALID_RECORD_VALUE
        );
    }
}

/// R-E2E.26
#[test]
fn a_record_without_payload_is_ignored() {
    let mut f = Fixture::connected();
    f.hear(&from_cpe(NoSessionContextRecord::default()));
    assert_eq!(f.ignored(), Ignored::EmptyPayload);
    f.silent();
}

/// R-E2E.30
#[test]
fn a_signed_record_is_refused_unless_the_operator_says_otherwise() {
    for (signatures, accepted) in [(Signatures::Refuse, false), (Signatures::Disregard, true)] {
        let mut f = Fixture::new(Config {
            signatures,
            ..Config::default()
        });
        let mut record = from_cpe(connect());
        record.mac_signature = vec![1];
        f.hear(&record);
        assert_eq!(f.session.is_connected(), accepted);
    }
}

#[test]
fn the_version_is_negotiated_by_list_and_by_stamp() {
    let mut f = Fixture::new(Config::default());
    assert_eq!(f.session.version(), Version::V1_5);
    // An agent that stamps 1.3 gets 1.3.
    f.hear(&Record::new(Version::V1_3, &cpe(), &acs(), connect()));
    assert_eq!(f.session.version(), Version::V1_3);
    f.event();
    let ask = msg::get_supported_protocol(&usp::Versions::default());
    f.session.request(f.clock.at(0), ask, seconds(9)).unwrap();
    let msg_id = f.sent().unwrap().header.msg_id;
    let list = msg::GetSupportedProtocolResp {
        agent_supported_protocol_versions: "1.0,1.4,1.9".into(),
    };
    f.hear(&Record::new(
        Version::V1_3,
        &cpe(),
        &acs(),
        carry(&Msg::response(msg_id, list)),
    ));
    assert_eq!(f.session.version(), Version::V1_4);
    // The list counts more than the stamp.
    f.hear(&Record::new(Version::V1_3, &cpe(), &acs(), connect()));
    assert_eq!(f.session.version(), Version::V1_4);
}

#[test]
fn an_agent_without_a_common_version_is_told() {
    let mut f = Fixture::connected();
    let request = msg::OnBoardRequest {
        agent_supported_protocol_versions: "2.0".into(),
        ..Default::default()
    };
    f.hear_msg(&Msg::request("1", msg::notify("", request)));
    assert_eq!(
        f.event(),
        Some(Event::Incompatible {
            theirs: "2.0".into()
        })
    );
    assert!(matches!(f.event(), Some(Event::Notified { .. })));
}

/// `WINDOW_MAX`, `QUEUE_MAX`
#[test]
fn windows_and_queues_are_bounded_whatever_is_configured() {
    let mut f = Fixture::new(Config {
        window: usize::MAX,
        queue: usize::MAX,
        ..Config::default()
    });
    f.hear(&from_cpe(connect()));
    for _ in 0..limits::QUEUE_MAX {
        f.ask();
    }
    let error = f
        .session
        .request(f.clock.at(0), msg::get(["Device."]), seconds(1))
        .unwrap_err();
    assert_eq!(
        error,
        Error::LimitExceeded {
            limit: "QUEUE_MAX",
            max: limits::QUEUE_MAX
        }
    );
    let sent = std::iter::from_fn(|| f.session.poll_transmit()).count();
    assert_eq!(sent, limits::WINDOW_MAX);
}

/// `NOTIFIES_UNACKNOWLEDGED_MAX`
#[test]
fn notifications_beyond_the_limit_are_left_for_the_agent_to_repeat() {
    let mut f = Fixture::connected();
    for at in 0..=limits::NOTIFIES_UNACKNOWLEDGED_MAX {
        f.hear_msg(&Msg::request(format!("n{at}"), notify(true)));
    }
    let events: Vec<_> = std::iter::from_fn(|| f.event()).collect();
    assert_eq!(events.len(), limits::NOTIFIES_UNACKNOWLEDGED_MAX + 1);
    assert_eq!(
        events.last(),
        Some(&Event::Ignored(Ignored::Limit(
            "NOTIFIES_UNACKNOWLEDGED_MAX"
        )))
    );
}

/// `REPLIES_MAX`
#[test]
fn a_peer_that_provokes_answers_and_does_not_read_them_loses_some() {
    let mut f = Fixture::connected();
    for at in 0..limits::REPLIES_MAX * 2 {
        f.hear_msg(&Msg::request(format!("{at}"), msg::get(["Device."])));
    }
    assert_eq!(
        std::iter::from_fn(|| f.session.poll_transmit()).count(),
        limits::REPLIES_MAX
    );
}

/// `EVENTS_MAX`
#[test]
fn events_that_nobody_takes_stop_the_input() {
    let mut f = Fixture::connected();
    let record = bytes(&from_cpe(NoSessionContextRecord::default()));
    for _ in 0..limits::EVENTS_MAX {
        f.session.handle_input(f.clock.at(0), &record).unwrap();
    }
    let error = f.session.handle_input(f.clock.at(0), &record).unwrap_err();
    assert_eq!(
        error,
        Error::LimitExceeded {
            limit: "EVENTS_MAX",
            max: limits::EVENTS_MAX
        }
    );
}

/// `MSG_ID_CHARS_MAX`
#[test]
fn a_message_id_that_is_empty_or_too_long_is_ignored() {
    let mut f = Fixture::connected();
    for msg_id in [String::new(), "x".repeat(limits::MSG_ID_CHARS_MAX + 1)] {
        f.hear_msg(&Msg::request(msg_id, notify(true)));
        assert_eq!(f.ignored(), Ignored::MsgId);
    }
    f.hear_msg(&Msg::request(
        "x".repeat(limits::MSG_ID_CHARS_MAX),
        notify(true),
    ));
    assert!(matches!(f.event(), Some(Event::Notified { .. })));
}

#[test]
fn our_own_mistakes_are_ours() {
    let mut f = Fixture::connected();
    let now: Instant = f.clock.at(0);
    let misuse = |result: Result<_, Error>| assert!(matches!(result, Err(Error::ApiMisuse(_))));
    misuse(f.session.request(now, notify(true), seconds(1)));
    misuse(
        f.session
            .request(now, msg::get(["Device."]), std::time::Duration::MAX),
    );
    let huge = msg::get(["x".repeat(limits::RECORD_BYTES_MAX)]);
    assert!(matches!(
        f.session.request(now, huge, seconds(1)),
        Err(Error::LimitExceeded { .. })
    ));
}

/// Ten thousand idle agents share 120 MB with everything else.
#[test]
fn an_idle_session_is_small() {
    assert!(
        std::mem::size_of::<Session>() <= 320,
        "{} bytes",
        std::mem::size_of::<Session>()
    );
}
