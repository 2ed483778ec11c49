//! Two endpoint ids, what they would send, and a look at what a session sends.

use std::time::{Duration, Instant};

use usp::codec::{decode_msg, decode_record, encode_msg, encode_record};
use usp::msg::{Body, Msg};
use usp::record::{NoSessionContextRecord, RecordType, WebSocketConnectRecord};
use usp::{EndpointId, Record, UspError, Version};

pub fn acs() -> EndpointId {
    EndpointId::parse("self::acs").unwrap()
}

pub fn cpe() -> EndpointId {
    EndpointId::parse("os::00256D-1").unwrap()
}

/// A moment, seconds after some start.
pub struct Clock(Instant);

impl Clock {
    pub fn new() -> Self {
        Self(Instant::now())
    }

    pub fn at(&self, seconds: u64) -> Instant {
        self.0 + Duration::from_secs(seconds)
    }
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A record from the agent to the controller.
pub fn from_cpe(record_type: impl Into<RecordType>) -> Record {
    Record::new(Version::V1_4, &cpe(), &acs(), record_type)
}

/// A record from the controller to the agent.
pub fn from_acs(record_type: impl Into<RecordType>) -> Record {
    Record::new(Version::V1_4, &acs(), &cpe(), record_type)
}

pub fn carry(msg: &Msg) -> NoSessionContextRecord {
    NoSessionContextRecord::new(encode_msg(msg))
}

pub fn connect() -> WebSocketConnectRecord {
    WebSocketConnectRecord {}
}

pub fn bytes(record: &Record) -> Vec<u8> {
    encode_record(record)
}

/// The message of an encoded record.
pub fn msg_of(bytes: &[u8]) -> Msg {
    match decode_record(bytes).unwrap().record_type {
        RecordType::NoSessionContext(content) => decode_msg(&content.payload).unwrap(),
        other => panic!("not a message: {other:?}"),
    }
}

/// The error of an encoded record, with the message id it answers.
pub fn error_of(bytes: &[u8]) -> (String, UspError) {
    let msg = msg_of(bytes);
    match msg.body {
        Body::Error(error) => (msg.header.msg_id, error.into()),
        other => panic!("not an error: {other:?}"),
    }
}
