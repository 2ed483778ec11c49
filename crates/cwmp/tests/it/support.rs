//! A device, what it would send, and what the other end reads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cwmp::Fault;
use cwmp::acs::{self, Event, PeerError, Post, Reply};
use cwmp::event::EventCode;
use cwmp::rpc::*;
use cwmp::soap::{self, Body, Booleans, Envelope, Namespace};
use cwmp::value::{Timestamp, Value};
use cwmp::version::Version;

/// A moment, seconds after some start.
#[derive(Clone, Copy)]
pub struct Clock(pub Instant);

impl Clock {
    pub fn new() -> Self {
        Self(Instant::now())
    }

    pub fn at(&self, seconds: u64) -> Instant {
        self.0 + Duration::from_secs(seconds)
    }
}

pub fn device_id() -> DeviceId {
    DeviceId {
        manufacturer: "Example".into(),
        oui: "00256D".into(),
        product_class: "Gateway".into(),
        serial_number: "1".into(),
    }
}

/// What an Inform always has.
pub fn forced() -> Vec<ParameterValue> {
    [
        ("Device.RootDataModelVersion", "2.19"),
        ("Device.DeviceInfo.SoftwareVersion", "1.0"),
        (
            "Device.ManagementServer.ConnectionRequestURL",
            "http://192.0.2.1:7547/x",
        ),
    ]
    .map(|(name, value)| ParameterValue::new(name, Value::string(value)))
    .to_vec()
}

pub fn inform() -> Inform {
    Inform {
        device_id: device_id(),
        events: vec![EventStruct::new(EventCode::Boot)],
        max_envelopes: 1,
        current_time: Timestamp::from_unix(1_767_225_600),
        retry_count: 0,
        parameters: forced(),
    }
}

pub fn namespace() -> Namespace {
    Version::V1_4.namespace()
}

/// An envelope from the CPE.
pub fn envelope(id: &str, body: impl Into<Body>) -> Vec<u8> {
    soap::encode(&Envelope::new(namespace(), id, body), Booleans::Digits).into_bytes()
}

/// The same with a header that nobody knows and that must be understood.
pub fn insisting(envelope: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(envelope).unwrap();
    let header =
        "<x:New xmlns:x=\"urn:x\" soap-env:mustUnderstand=\"1\">1</x:New></soap-env:Header>";
    text.replacen("</soap-env:Header>", header, 1).into_bytes()
}

/// The envelope in a reply.
pub fn read(body: &[u8]) -> Envelope {
    soap::decode(body, Some(soap::CONTENT_TYPE)).unwrap()
}

/// An ACS at the start of a session.
pub fn acs(clock: &Clock) -> acs::Session {
    acs_with(clock, acs::Config::default())
}

pub fn acs_with(clock: &Clock, config: acs::Config) -> acs::Session {
    acs::Session::new(Arc::new(config), clock.at(0), 0xac5)
}

/// Posts a body and takes what is answered at once.
pub fn post(acs: &mut acs::Session, now: Instant, body: &[u8]) -> Option<Reply> {
    acs.handle_input(now, Post::new(body)).unwrap();
    acs.poll_transmit()
}

/// All events, in order.
pub fn events(acs: &mut acs::Session) -> Vec<acs::Event> {
    std::iter::from_fn(|| acs.poll_event()).collect()
}

/// A session whose Inform is acknowledged.
pub fn informed(acs: &mut acs::Session, now: Instant) {
    assert_eq!(post(acs, now, &envelope("i", inform())), None);
    acknowledge(acs, now);
    assert!(acs.poll_transmit().is_some());
}

/// Acknowledges the one thing that waits.
pub fn acknowledge(acs: &mut acs::Session, now: Instant) {
    match acs.poll_event() {
        Some(acs::Event::Informed { token, .. } | acs::Event::Requested { token, .. }) => {
            acs.acknowledge(now, token).unwrap();
        }
        other => panic!("{other:?}"),
    }
}

/// The POST in which a CPE answers a reply's request.
pub fn answering(reply: &Reply, body: impl Into<Body>) -> Vec<u8> {
    envelope(&read(&reply.body).header.id, body)
}

pub fn method(reply: &Reply) -> String {
    read(&reply.body).body.name().to_owned()
}

pub fn get(names: &[&str]) -> GetParameterValues {
    GetParameterValues {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    }
}

pub fn fault_of(reply: &Reply) -> Fault {
    match read(&reply.body).body {
        Body::Fault(fault) => fault,
        other => panic!("{other:?}"),
    }
}

pub fn only(mut all: Vec<Event>) -> Event {
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// The outcomes of our requests among events.
pub fn outcomes(all: &[Event]) -> Vec<Result<Method, PeerError>> {
    all.iter()
        .filter_map(|event| match event {
            Event::Answered { result, .. } => {
                Some(result.as_ref().map(Response::method).map_err(Clone::clone))
            }
            _ => None,
        })
        .collect()
}
