//! What a record keeps, and what it does not.

use std::sync::Arc;

use ::cwmp::acs::Reply;
use ::cwmp::rpc::{
    AutonOpResultStruct, AutonomousDuStateChangeComplete, DeviceId, Download,
    DuStateChangeComplete, FaultStruct, GetParameterNamesResponse, GetParameterValues,
    GetParameterValuesResponse, Inform, OpResultStruct, ParameterInfoStruct, ParameterValue,
    SetParameterValues, TransferComplete,
};
use ::cwmp::soap::{Booleans, Envelope, Header, Namespace, Oddities, encode};
use ::cwmp::value::Value;
use ::cwmp::{Fault, FaultCode, Request, Response};
use fleet::{TenantId, secret};
use tokio::sync::Semaphore;

use super::keeper::Kept;
use super::*;
use crate::southbound::cwmp::limits::{
    RECORD_CHARS_MAX, RECORD_ITEMS_MAX, RECORD_NAME_CHARS_MAX, RECORD_VALUE_BYTES_MAX,
    RECORDS_BYTES_MAX,
};

const SECRET: &str = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase";

fn rooms() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(RECORDS_BYTES_MAX))
}

fn record_in(rooms: &Arc<Semaphore>) -> Box<Record> {
    let mut inform = Inform {
        device_id: DeviceId {
            oui: "00256D".to_owned(),
            serial_number: "S1".to_owned(),
            ..DeviceId::default()
        },
        ..Inform::default()
    };
    let code = ::cwmp::event::EventCode::parse("2 PERIODIC");
    inform.events = vec![::cwmp::rpc::EventStruct::new(code); RECORD_EVENTS_MAX + 4];
    inform.parameters = vec![ParameterValue::new(
        "Device.ManagementServer.ConnectionRequestPassword",
        Value::string("inform-secret"),
    )];
    Record::new(
        rooms.clone(),
        &inform,
        Header::default(),
        Oddities::default(),
    )
}

fn record() -> Box<Record> {
    record_in(&rooms())
}

fn end(record: Box<Record>) -> Kept {
    let guest = Guest {
        tenant: TenantId::parse("acme").unwrap(),
        device: fleet::DeviceId(uuid::Uuid::nil()),
        strength: fleet::onboarding::Strength::SetupKey,
        wants_credential: false,
        peer: SocketAddr::from(([192, 0, 2, 1], 7)),
    };
    record.end(&guest, guest.peer, "over")
}

fn set(pairs: &[(&str, &str)]) -> Request {
    let parameters = pairs
        .iter()
        .map(|(name, value)| ParameterValue::new(*name, Value::string(*value)))
        .collect();
    let parameter_key = String::new();
    SetParameterValues {
        parameters,
        parameter_key,
    }
    .into()
}

fn leaves(record: &mut Record, request: &Request) {
    record.asks(request);
    let envelope = Envelope::new(Namespace::default(), "1", request.clone());
    record.sent(Reply {
        status: 200,
        body: encode(&envelope, Booleans::Digits).into(),
    });
    record.settle();
}

#[test]
fn a_session_reads_in_order_and_shows_no_secret_whoever_says_it() {
    let mut record = record();
    record.nothing();
    let request = set(&[(SECRET, "hunter22-told"), ("Device.X.Name", "shown")]);
    leaves(&mut record, &request);
    let words = "hunter22-told is too short";
    let fault = Fault::plain(FaultCode(9003)).at(SECRET, FaultCode(9007), words);
    record.refused("1", &fault, Oddities::default());
    // What the device was told it may repeat anywhere, much later too.
    record.note("hunter22-told");
    record.raw("broken", b"<x>hunter22-told<Password>raw-secret</Password>");
    let download = Download {
        url: "http://files/hef_0123456789abcdef0123456789abcdef/x".into(),
        password: "download-secret".into(),
        ..Download::default()
    };
    leaves(&mut record, &download.into());
    record.sent(Reply::empty());
    record.note("the last word");
    let kept = end(record);
    let kinds: Vec<_> = kept
        .transcript
        .entries
        .iter()
        .map(|entry| (&*entry.direction, &*entry.kind))
        .collect();
    let expected = [
        ("in", "Inform"),
        ("in", "empty"),
        ("out", "SetParameterValues"),
        ("in", "Fault"),
        ("note", "note"),
        ("in", "broken"),
        ("out", "Download"),
        ("note", "note"),
        ("out", "empty"),
    ];
    assert_eq!(
        kinds, expected,
        "what left is written after what it answers"
    );
    let text = format!("{:?}", kept.transcript.entries);
    for secret in [
        "hunter22",
        "inform-secret",
        "raw-secret",
        "download-secret",
        "0123456789abcdef0123456789abcdef",
    ] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert!(text.contains("shown"));
    assert!(kept.transcript.entries[2].masked && !kept.transcript.entries[1].masked);
    let [fault] = &kept.transcript.faults[..] else {
        panic!("{:?}", kept.transcript.faults);
    };
    assert_eq!((fault.code, &*fault.asked), (9007, "SetParameterValues"));
    assert_eq!(fault.parameter.as_deref(), Some(SECRET));
    assert_eq!(fault.message, format!("{} is too short", secret::MASK));
    // `RECORD_EVENTS_MAX`
    assert_eq!(kept.session.events.len(), RECORD_EVENTS_MAX);
}

/// `RECORD_NAME_CHARS_MAX`, `RECORD_FAULTS_MAX`
#[test]
fn a_fault_says_what_was_tried_and_endless_faults_are_counted() {
    let mut record = record();
    leaves(&mut record, &set(&[("Device.A", "7")]));
    record.refused("1", &Fault::plain(FaultCode(9007)), Oddities::default());
    let report = TransferComplete {
        fault: Some(FaultStruct::new(FaultCode(9010), "no file")),
        ..TransferComplete::default()
    };
    record.requested(&report.into(), Oddities::default());
    leaves(&mut record, &set(&[("Device.A", "7"), ("Device.B", "8")]));
    let mut fault = Fault::plain(FaultCode(9003));
    for _ in 0..RECORD_FAULTS_MAX {
        fault = fault.at("n".repeat(2 * RECORD_NAME_CHARS_MAX), FaultCode(9005), "");
    }
    record.refused("2", &fault, Oddities::default());
    let kept = end(record);
    let faults = &kept.transcript.faults;
    assert_eq!(faults[0].parameter.as_deref(), Some("Device.A"));
    assert_eq!(faults[0].value.as_deref(), Some("7"));
    assert_eq!(faults[0].message, "Invalid parameter value");
    assert_eq!(
        (faults[1].code, &*faults[1].asked),
        (9010, "TransferComplete")
    );
    let name = faults[2].parameter.as_deref().unwrap();
    assert_eq!(name.len(), RECORD_NAME_CHARS_MAX);
    assert_eq!(faults.len(), RECORD_FAULTS_MAX);
    assert_eq!(kept.session.faults, RECORD_FAULTS_MAX as u64 + 2);
}

#[test]
fn a_refusal_that_names_parameters_in_its_words_only_is_a_fault_of_each_with_what_was_tried() {
    let mut record = record();
    let wanted = [
        ("Device.A.1", "7"),
        ("Device.A.10", "8"),
        (SECRET, "hunter22"),
    ];
    leaves(&mut record, &set(&wanted));
    let words = format!("cannot write {SECRET}, Device.A.10.");
    let refused = Fault::new(FaultCode::NOT_WRITABLE, words);
    record.refused("1", &refused, Oddities::default());
    let names = ["Device.A.1", "Device.A.2"].map(str::to_owned).to_vec();
    leaves(&mut record, &GetParameterValues { names }.into());
    let refused = Fault::new(FaultCode::INVALID_PARAMETER_NAME, "no Device.A.2");
    record.refused("2", &refused, Oddities::default());
    // One that names nothing is one of all.
    leaves(&mut record, &set(&wanted));
    record.refused("3", &Fault::plain(FaultCode(9002)), Oddities::default());
    let kept = end(record);
    let faults = kept.transcript.faults.iter();
    let faults = faults.map(|one| (one.code, one.parameter.as_deref(), one.value.as_deref()));
    assert_eq!(
        faults.collect::<Vec<_>>(),
        [
            (9008, Some("Device.A.10"), Some("8")),
            // Its mask is put on where it is kept.
            (9008, Some(SECRET), Some("hunter22")),
            (9005, Some("Device.A.2"), None),
            (9002, None, None),
        ]
    );
}

#[test]
fn a_change_of_software_that_came_to_nothing_is_a_fault_of_each_deployment_unit() {
    const UNIT: &str = "Device.SoftwareModules.DeploymentUnit.2";
    let fault = FaultStruct::new;
    let one = |path: &str, uuid: &str, fault| OpResultStruct {
        deployment_unit_ref: path.to_owned(),
        uuid: uuid.to_owned(),
        fault,
        ..OpResultStruct::default()
    };
    let results = vec![
        one(
            "Device.SoftwareModules.DeploymentUnit.1",
            "u1",
            FaultStruct::default(),
        ),
        one(UNIT, "u2", fault(FaultCode(9030), "older")),
        one("", "u3", fault(FaultCode(9027), "")),
    ];
    let report = DuStateChangeComplete {
        results,
        ..DuStateChangeComplete::default()
    };
    let mut record = record();
    record.requested(&report.into(), Oddities::default());
    let result = AutonOpResultStruct {
        fault: fault(FaultCode(9015), "no server"),
        ..AutonOpResultStruct::default()
    };
    let results = vec![result];
    let report = AutonomousDuStateChangeComplete { results };
    record.requested(&report.into(), Oddities::default());
    let kept = end(record);
    let faults = kept.transcript.faults.iter();
    let faults = faults.map(|one| {
        (
            one.code,
            &*one.message,
            &*one.asked,
            one.parameter.as_deref(),
        )
    });
    assert_eq!(
        faults.collect::<Vec<_>>(),
        [
            (9030, "older", "DUStateChangeComplete", Some(UNIT)),
            (
                9027,
                "System resources exceeded",
                "DUStateChangeComplete",
                Some("u3")
            ),
            (9015, "no server", "AutonomousDUStateChangeComplete", None),
        ]
    );
}

/// `RECORD_ITEMS_MAX`, `RECORD_VALUE_BYTES_MAX`, `RECORD_CHARS_MAX`
#[test]
fn of_large_messages_the_beginning_is_kept() {
    let mut record = record();
    let names = (0..100_000).map(|n| ParameterInfoStruct {
        name: format!("Device.{n}"),
        writable: true,
    });
    let parameters = names.collect();
    let answer: Response = GetParameterNamesResponse { parameters }.into();
    record.answered("1", &answer, Oddities::default());
    let long = "v".repeat(RECORD_VALUE_BYTES_MAX + 1);
    let value = |n: u32| ParameterValue::new(format!("Device.{n}"), Value::string(&*long));
    let parameters = (0..3).map(value).collect();
    let answer: Response = GetParameterValuesResponse { parameters }.into();
    record.answered("2", &answer, Oddities::default());
    record.note(&"w".repeat(2 * RECORD_CHARS_MAX));
    let kept = end(record);
    let [_, names, values, note] = &kept.transcript.entries[..] else {
        panic!("{:?}", kept.transcript.entries.len());
    };
    let left = 100_000 - RECORD_ITEMS_MAX;
    assert!(names.text.ends_with(&format!("... and {left} more")));
    assert!(values.text.contains("(4097 bytes)") && !values.text.contains("vvv"));
    assert_eq!(note.text.len(), RECORD_CHARS_MAX);
}

/// `RECORD_ENTRIES_MAX`, `RECORD_BYTES_MAX`
#[test]
fn an_endless_session_keeps_its_beginning_and_its_end_and_gives_the_room_of_the_rest_back() {
    for size in [1, 9_000] {
        let rooms = rooms();
        let mut record = record_in(&rooms);
        for n in 0..10_000 {
            record.note(&format!("{n} {}", "x".repeat(size)));
        }
        let used = RECORDS_BYTES_MAX - rooms.available_permits();
        assert!(used <= RECORD_BYTES_MAX, "{used}");
        let kept = end(record);
        let entries = &kept.transcript.entries;
        assert!(entries.len() <= RECORD_ENTRIES_MAX);
        assert_eq!(entries.len() + kept.transcript.left_out, 10_001);
        assert!(entries[1].text.starts_with("0 "));
        assert!(entries.last().unwrap().text.starts_with("9999 "));
        drop(kept);
        assert_eq!(rooms.available_permits(), RECORDS_BYTES_MAX);
    }
}

/// `RECORDS_BYTES_MAX`
#[test]
fn where_there_is_no_room_messages_are_left_out_and_counted() {
    let rooms = Arc::new(Semaphore::new(RECORD_ENTRY_BYTES * 5));
    let mut record = record_in(&rooms);
    for _ in 0..10 {
        record.note("a word");
    }
    let kept = end(record);
    let kept = (kept.transcript.entries.len(), kept.transcript.left_out);
    assert!(kept.0 > 0 && kept.1 > 0, "{kept:?}");
    assert_eq!(kept.0 + kept.1, 11);
}

/// `RECORD_SECRETS_MAX`
#[test]
fn so_many_secrets_are_remembered() {
    let mut record = record();
    for n in 0..2 * RECORD_SECRETS_MAX {
        record.asks(&set(&[(SECRET, &format!("hunter-{n}"))]));
    }
    assert_eq!(record.secrets.len(), RECORD_SECRETS_MAX);
    let last = format!("hunter-{}", 2 * RECORD_SECRETS_MAX - 1);
    assert_eq!(record.scrubbed(&last).0, secret::MASK);
}
