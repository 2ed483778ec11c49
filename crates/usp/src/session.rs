//! What both ends of a conversation share: which records count, what is answered to broken ones,
//! and how a message becomes a record.
//! Deliberately without any state of requests or notifications: those are the ends' own.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::codec::{self, Peek};
use crate::endpoint::EndpointId;
use crate::error::{Error, ErrorCode, UspError};
use crate::limits;
use crate::msg::{Msg, Response};
use crate::record::{
    DisconnectRecord, NoSessionContextRecord, PayloadSecurity, Record, RecordType,
};
use crate::version::{Version, Versions};
use crate::wire::{DecodeError, DecodeErrorKind};

/// Which transport a session runs over: it decides which connect record is the right one (R-MTP.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// WebSocket.
    #[default]
    WebSocket,
    /// MQTT.
    Mqtt,
    /// STOMP.
    Stomp,
    /// UNIX domain socket.
    Uds,
}

impl Transport {
    /// Whether a record announces an agent on this transport.
    pub fn is_connect(self, record: &RecordType) -> bool {
        matches!(
            (self, record),
            (Self::WebSocket, RecordType::WebsocketConnect(_))
                | (Self::Mqtt, RecordType::MqttConnect(_))
                | (Self::Stomp, RecordType::StompConnect(_))
                | (Self::Uds, RecordType::UdsConnect(_))
        )
    }
}

/// What to do with a record whose signature we cannot verify (R-E2E.30).
///
/// This release does not verify signatures: whoever needs them relies on TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signatures {
    /// Drop the record.
    #[default]
    Refuse,
    /// Treat it as unsigned.
    Disregard,
}

/// Why an input changed nothing. To be counted, and shown with the peer's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// Addressed to somebody else (R-E2E.1).
    #[error("a record for {to}")]
    NotForUs {
        /// Whom it is for.
        to: String,
    },
    /// Says that we sent it (R-ARC.2).
    #[error("a record that claims to be from ourselves")]
    FromOurselves,
    /// Sent by somebody else than this channel's peer (R-SEC.10a).
    #[error("a record from {from}")]
    WrongSender {
        /// Who sent it.
        from: String,
    },
    /// Its record type is missing, doubled or unknown (R-ENC.4).
    #[error("a broken record: {0}")]
    BrokenRecord(DecodeError),
    /// Its version is not of our kind.
    #[error("a record of version `{0}`")]
    Version(String),
    /// It is signed, and we do not verify signatures (R-E2E.30).
    #[error("a signed record")]
    Signed,
    /// It is part of a session context, and was answered with 7106 (R-E2E.6a).
    #[error("a record of a session context")]
    SessionContext,
    /// Its payload is encrypted, or in an unknown way (R-E2E.41).
    #[error("a payload with the protection {0:?}")]
    PayloadSecurity(PayloadSecurity),
    /// It has no payload (R-E2E.26).
    #[error("an empty payload")]
    EmptyPayload,
    /// Its message cannot be read.
    #[error("a broken message: {0}")]
    BrokenMessage(Error),
    /// A message before the connect record, or after a disconnect (R-MTP.8).
    #[error("a message before the connect record")]
    BeforeConnect,
    /// A connect record of another transport, or sent by a controller.
    #[error("a connect record that does not belong here")]
    WrongConnect,
    /// An answer to nothing we wait for (R-MSG.9).
    #[error("an answer to `{msg_id}`, which nobody waits for")]
    Unmatched {
        /// Its id.
        msg_id: String,
    },
    /// A request that is being worked on (R-MSG.4).
    #[error("a repetition of `{msg_id}`")]
    Duplicate {
        /// Its id.
        msg_id: String,
    },
    /// A request that is not for our role; it was answered (R-MSG.1).
    #[error("a request that is not for us")]
    Unsupported {
        /// Its id.
        msg_id: String,
    },
    /// A request without an id, or with one too long to keep.
    #[error("a message without a usable id")]
    MsgId,
    /// More of something than we keep.
    #[error("the limit {0} is reached")]
    Limit(&'static str),
}

/// What a record was.
pub(crate) enum Inbound {
    /// Nothing for the session; what was due has been answered.
    Ignored(Ignored),
    /// A connect record.
    Connect(RecordType),
    /// The peer leaves.
    Disconnect(DisconnectRecord),
    /// A message, and what its record says of the peer's version.
    Msg(Msg, Version),
    /// A message that does not decode.
    Broken(Error, Peek),
}

/// The record layer towards one peer.
pub(crate) struct Link {
    pub(crate) own: EndpointId,
    pub(crate) peer: EndpointId,
    versions: Versions,
    signatures: Signatures,
    stamp: Version,
    negotiated: bool,
    /// Whether messages may flow (R-MTP.8).
    pub(crate) open: bool,
    replies: VecDeque<Bytes>,
}

impl Link {
    pub(crate) fn new(
        own: EndpointId,
        peer: EndpointId,
        versions: Versions,
        signatures: Signatures,
    ) -> Self {
        let stamp = versions.max;
        let (negotiated, open, replies) = (false, false, VecDeque::new());
        Self {
            own,
            peer,
            versions,
            signatures,
            stamp,
            negotiated,
            open,
            replies,
        }
    }

    /// The version on our records.
    pub(crate) fn version(&self) -> Version {
        self.stamp
    }

    /// Takes the newest version of a peer's list; false when we share none.
    pub(crate) fn negotiate(&mut self, theirs: &str) -> bool {
        let Some(version) = self.versions.best(theirs) else {
            return false;
        };
        (self.stamp, self.negotiated) = (version, true);
        true
    }

    /// Decides what a record is, in the standard's order (TR-369 "Record processing").
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<Inbound, Error> {
        let record = match codec::decode_record(bytes) {
            Ok(record) => record,
            // R-ENC.4
            Err(Error::InvalidMessage(error)) if error.is_broken_oneof() => {
                return Ok(Inbound::Ignored(Ignored::BrokenRecord(error)));
            }
            Err(error) => return Err(error),
        };
        // R-E2E.1
        if record.to_id != self.own.as_str() {
            return Ok(Inbound::Ignored(Ignored::NotForUs {
                to: excerpt(&record.to_id),
            }));
        }
        // R-ARC.2
        if record.from_id == self.own.as_str() {
            return Ok(Inbound::Ignored(Ignored::FromOurselves));
        }
        // R-SEC.10a
        if record.from_id != self.peer.as_str() {
            return Ok(Inbound::Ignored(Ignored::WrongSender {
                from: excerpt(&record.from_id),
            }));
        }
        // R-E2E.30
        if !record.mac_signature.is_empty() && self.signatures == Signatures::Refuse {
            return Ok(Inbound::Ignored(Ignored::Signed));
        }
        let Some(version) = record
            .version
            .parse::<Version>()
            .ok()
            .filter(|version| version.major == 1)
        else {
            let text = "the version of the record is not 1.x";
            self.refuse_record(&record, ErrorCode::INVALID_RECORD_VALUE, text);
            return Ok(Inbound::Ignored(Ignored::Version(excerpt(&record.version))));
        };
        if !self.negotiated {
            self.stamp = self.versions.stamp(version);
        }
        Ok(self.dispatch(record, version))
    }

    fn dispatch(&mut self, record: Record, version: Version) -> Inbound {
        match record.record_type {
            RecordType::NoSessionContext(_)
                if record.payload_security != PayloadSecurity::PLAINTEXT =>
            {
                // R-E2E.41; an unknown enum number is R-ENC.2
                let (code, text) = match record.payload_security {
                    PayloadSecurity::TLS12 => (
                        ErrorCode::SECURE_SESSION_UNSUPPORTED,
                        "no TLS outside a session",
                    ),
                    _ => (ErrorCode::INVALID_RECORD_VALUE, "unknown payload_security"),
                };
                self.refuse_record(&record, code, text);
                Inbound::Ignored(Ignored::PayloadSecurity(record.payload_security))
            }
            RecordType::NoSessionContext(content) => self.message(&content.payload, version),
            RecordType::SessionContext(_) => {
                // R-E2E.6a
                self.disconnect(
                    ErrorCode::SESSION_CONTEXT_NOT_ALLOWED,
                    "session contexts are not supported",
                );
                Inbound::Ignored(Ignored::SessionContext)
            }
            RecordType::Disconnect(disconnect) => Inbound::Disconnect(disconnect),
            connect => Inbound::Connect(connect),
        }
    }

    fn message(&mut self, payload: &[u8], version: Version) -> Inbound {
        // R-E2E.26
        if payload.is_empty() {
            return Inbound::Ignored(Ignored::EmptyPayload);
        }
        match codec::decode_msg(payload) {
            Ok(msg) if usable(&msg.header.msg_id) => Inbound::Msg(msg, version),
            Ok(_) => Inbound::Ignored(Ignored::MsgId),
            Err(error) => {
                let mut peek = codec::peek_msg(payload);
                peek.msg_id = peek.msg_id.filter(|id| usable(id));
                if let (Some(msg_id), true) = (&peek.msg_id, peek.is_request) {
                    self.reply_error(msg_id, complaint(&error));
                }
                Inbound::Broken(error, peek)
            }
        }
    }

    /// Answers a refused record with an Error, when it asks for something. R-MTP.5
    fn refuse_record(&mut self, record: &Record, code: ErrorCode, text: &str) {
        let RecordType::NoSessionContext(content) = &record.record_type else {
            return;
        };
        let peek = codec::peek_msg(&content.payload);
        if let (Some(msg_id), true) = (peek.msg_id.filter(|id| usable(id)), peek.is_request) {
            self.reply_error(&msg_id, UspError::new(code, text));
        }
    }

    /// Wraps an encoded message.
    pub(crate) fn wrap(&self, payload: Vec<u8>) -> Bytes {
        self.record(NoSessionContextRecord::new(payload))
    }

    fn record(&self, record_type: impl Into<RecordType>) -> Bytes {
        codec::encode_record(&Record::new(self.stamp, &self.own, &self.peer, record_type)).into()
    }

    /// Queues an answer; false when there are too many already. R-MTP.8
    pub(crate) fn reply(&mut self, msg: &Msg) -> bool {
        self.open && self.push(self.wrap(codec::encode_msg(msg)))
    }

    pub(crate) fn reply_error(&mut self, msg_id: &str, error: UspError) -> bool {
        self.reply(&Msg::error(msg_id, error))
    }

    /// Queues a response, or an Error in its place when it is too large for a record.
    pub(crate) fn respond(&mut self, msg_id: &str, response: Response) -> bool {
        let bytes = self.wrap(codec::encode_msg(&Msg::response(msg_id, response)));
        if codec::check_size(bytes.len()).is_err() {
            let text = "the response is larger than RECORD_BYTES_MAX: ask for less at once";
            return self.reply_error(msg_id, UspError::new(ErrorCode::RESOURCES_EXCEEDED, text));
        }
        self.open && self.push(bytes)
    }

    /// Queues a disconnect record, which may also be said before the connect record. R-MTP.9
    pub(crate) fn disconnect(&mut self, code: ErrorCode, reason: &str) {
        let record = self.record(DisconnectRecord::new(code, reason));
        self.push(record);
    }

    /// Starts a channel: what was meant for the one before is dropped, the connect record is first.
    pub(crate) fn start(&mut self, connect: RecordType) {
        self.replies.clear();
        self.open = true;
        let record = self.record(connect);
        self.push(record);
    }

    /// Ends a channel and what waits for it.
    pub(crate) fn stop(&mut self) {
        self.open = false;
        self.replies = VecDeque::new();
    }

    fn push(&mut self, bytes: Bytes) -> bool {
        let room = self.replies.len() < limits::REPLIES_MAX;
        if room {
            self.replies.push_back(bytes);
        }
        room
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Bytes> {
        pop(&mut self.replies)
    }
}

/// What to tell a requester whose message does not decode.
fn complaint(error: &Error) -> UspError {
    let code = match error {
        // R-MSG.1: a request of the future
        Error::InvalidMessage(DecodeError {
            kind: DecodeErrorKind::Unknown {
                field: "req_type", ..
            },
            ..
        }) => ErrorCode::MESSAGE_NOT_SUPPORTED,
        Error::LimitExceeded { .. } => ErrorCode::RESOURCES_EXCEEDED,
        // R-ENC.5
        _ => ErrorCode::INVALID_ARGUMENTS,
    };
    UspError::new(code, error.to_string())
}

fn usable(msg_id: &str) -> bool {
    !msg_id.is_empty() && msg_id.len() <= limits::MSG_ID_CHARS_MAX
}

/// The start of what a peer sent, for people.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Takes the first of a queue, and gives the heap of an empty one back: most sessions are idle.
pub(crate) fn pop<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let first = queue.pop_front();
    if queue.is_empty() && queue.capacity() > 0 {
        *queue = VecDeque::new();
    }
    first
}

/// The earlier of two moments, where each may be absent.
pub(crate) fn earlier<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
