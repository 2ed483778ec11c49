//! Records: the generated types and how to make one.
//! Deliberately without rules: which records count is decided by the sessions, in session contexts by `context`.

pub use crate::proto::record::*;

use crate::endpoint::EndpointId;
use crate::error::ErrorCode;
use crate::version::Version;

impl Record {
    /// A record in plain text, unsigned, not forwarded.
    pub fn new(
        version: Version,
        from: &EndpointId,
        to: &EndpointId,
        record_type: impl Into<RecordType>,
    ) -> Self {
        Self {
            version: version.to_string(),
            to_id: to.as_str().to_owned(),
            from_id: from.as_str().to_owned(),
            payload_security: PayloadSecurity::PLAINTEXT,
            mac_signature: Vec::new(),
            sender_cert: Vec::new(),
            record_type: record_type.into(),
            originator_id: String::new(),
            destination_id: String::new(),
        }
    }
}

impl RecordType {
    /// Whether this is one of the four connect records.
    pub fn is_connect(&self) -> bool {
        matches!(
            self,
            Self::WebsocketConnect(_)
                | Self::MqttConnect(_)
                | Self::StompConnect(_)
                | Self::UdsConnect(_)
        )
    }
}

impl NoSessionContextRecord {
    /// Carries an encoded message.
    pub fn new(payload: Vec<u8>) -> Self {
        Self { payload }
    }
}

impl DisconnectRecord {
    /// A reason should be given (R-MTP.9).
    pub fn new(code: ErrorCode, reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            reason_code: code.0,
        }
    }
}

macro_rules! record_types {
    ($($variant:ident $message:ident)*) => {
        $(impl From<$message> for RecordType {
            fn from(record: $message) -> Self {
                Self::$variant(record)
            }
        })*
    };
}

record_types! {
    NoSessionContext NoSessionContextRecord
    SessionContext SessionContextRecord
    WebsocketConnect WebSocketConnectRecord
    MqttConnect MqttConnectRecord
    StompConnect StompConnectRecord
    Disconnect DisconnectRecord
    UdsConnect UdsConnectRecord
}
