//! The record layer towards one peer: which records count, what is answered to broken ones, and how a message becomes
//! a record, alone or in a session context.
//! Deliberately without any state of requests or notifications: those are the ends' own.

mod inbound;
mod plain;
mod signature;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::codec;
use crate::context::{self, Context, Fingerprint, Mode, Status};
use crate::endpoint::EndpointId;
use crate::error::{Error, ErrorCode, UspError};
use crate::limits;
use crate::msg::{Msg, Response};
use crate::record::{
    DisconnectRecord, NoSessionContextRecord, PayloadSecurity, Record, RecordType,
};
use crate::retry::Random;
use crate::session::{Ignored, Signatures, complaint, excerpt, usable};
use crate::version::{Version, Versions};

pub(crate) use inbound::{Inbound, Via};

/// What waits for the transport.
enum Reply {
    /// A whole record.
    Record(Bytes),
    /// A message for the session context.
    Message(Vec<u8>),
}

/// The record layer towards one peer.
pub(crate) struct Link {
    pub(crate) own: EndpointId,
    pub(crate) peer: EndpointId,
    versions: Versions,
    signatures: Signatures,
    contexts: Arc<context::Config>,
    stamp: Version,
    /// The version on the peer's last record.
    theirs: Version,
    negotiated: bool,
    /// Whether messages may flow (R-MTP.8).
    pub(crate) open: bool,
    replies: VecDeque<Reply>,
    /// Session contexts with the peer, once there are any.
    context: Option<Box<Context>>,
    /// The peer has said that it serves nothing outside of them.
    wanted: bool,
    /// It has proved who it is in an encrypted one before those there are now, over this channel.
    secured: bool,
    /// The channel is no connection of the peer's own, and goes on when that ends.
    outlives: bool,
    /// The certificate of the peer's last signature.
    signer: Option<Box<Fingerprint>>,
    seed: Random,
    /// The last moment we were told.
    now: Option<Instant>,
    /// When the last record came that is the peer's for all that is known of it.
    heard: Option<Instant>,
}

impl Link {
    pub(crate) fn new(
        own: EndpointId,
        peer: EndpointId,
        versions: Versions,
        signatures: Signatures,
        contexts: Arc<context::Config>,
        seed: u64,
    ) -> Self {
        Self {
            own,
            peer,
            versions,
            signatures,
            contexts,
            stamp: versions.max,
            theirs: versions.max,
            negotiated: false,
            open: false,
            replies: VecDeque::new(),
            context: None,
            wanted: false,
            secured: false,
            outlives: false,
            signer: None,
            seed: Random(seed),
            now: None,
            heard: None,
        }
    }

    /// When the peer was last heard: what is not addressed right, or does not prove itself where it has to, could be
    /// anybody's.
    pub(crate) fn heard(&self) -> Option<Instant> {
        self.heard
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
    ///
    /// More may come of it: see [`Self::more`].
    pub(crate) fn receive(&mut self, now: Instant, bytes: &[u8]) -> Result<Option<Inbound>, Error> {
        self.now = Some(now);
        let record = match codec::decode_record(bytes) {
            Ok(record) => record,
            // R-ENC.4
            Err(Error::InvalidMessage(error)) if error.is_broken_oneof() => {
                return ignored(Ignored::BrokenRecord(error));
            }
            Err(error) => return Err(error),
        };
        // R-E2E.1
        if record.to_id != self.own.as_str() {
            return ignored(Ignored::NotForUs {
                to: excerpt(&record.to_id),
            });
        }
        // R-ARC.2
        if record.from_id == self.own.as_str() {
            return ignored(Ignored::FromOurselves);
        }
        // R-SEC.10a
        if record.from_id != self.peer.as_str() {
            return ignored(Ignored::WrongSender {
                from: excerpt(&record.from_id),
            });
        }
        let Some(version) = record
            .version
            .parse::<Version>()
            .ok()
            .filter(|version| version.major == 1)
        else {
            let text = "the version of the record is not 1.x";
            self.refuse_record(&record, ErrorCode::INVALID_RECORD_VALUE, text);
            return ignored(Ignored::Version(excerpt(&record.version)));
        };
        if !self.negotiated {
            self.stamp = self.versions.stamp(version);
        }
        self.theirs = version;
        match self.verify(&record) {
            Ok(signer) => self.signer = signer.map(Box::new).or(self.signer.take()),
            Err(why) => {
                // R-E2E.23
                if matches!(record.record_type, RecordType::SessionContext(_))
                    && let Some(context) = &mut self.context
                {
                    context.distrust(now);
                }
                return ignored(why);
            }
        }
        Ok(self.dispatch(now, record))
    }

    fn dispatch(&mut self, now: Instant, record: Record) -> Option<Inbound> {
        let mode = self.contexts.mode;
        if !matches!(record.record_type, RecordType::SessionContext(_)) {
            self.heard = Some(now);
        }
        Some(match record.record_type {
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
            RecordType::NoSessionContext(ref content) if self.takes_no_plain(&content.payload) => {
                let text = "messages travel in session contexts here";
                self.refuse_record(&record, ErrorCode::SECURE_SESSION_REQUIRED, text);
                if self.open && self.is_secured() {
                    // A peer that started anew may wait for us to open one.
                    self.context(now).open(now);
                }
                Inbound::Ignored(Ignored::NoSessionContext)
            }
            RecordType::NoSessionContext(content) => self.message(&content.payload, Via::Plain),
            RecordType::SessionContext(_) if mode == Mode::Forbid => {
                // R-E2E.6a
                self.disconnect(
                    ErrorCode::SESSION_CONTEXT_NOT_ALLOWED,
                    "session contexts are not allowed",
                );
                Inbound::Ignored(Ignored::SessionContext)
            }
            // R-MTP.8
            RecordType::SessionContext(_) if !self.open => Inbound::Ignored(Ignored::BeforeConnect),
            RecordType::SessionContext(_) => {
                if self.context(now).receive(now, record) {
                    self.heard = Some(now);
                }
                return self.more();
            }
            // R-E2E.6b: the context alone is over
            RecordType::Disconnect(disconnect)
                if self.open
                    && mode != Mode::Forbid
                    && disconnect.reason_code == ErrorCode::SESSION_CONTEXT_ENDED.0 =>
            {
                self.context(now).ended(now, excerpt(&disconnect.reason));
                return self.more();
            }
            RecordType::Disconnect(disconnect) => Inbound::Disconnect(disconnect),
            connect => Inbound::Connect(connect),
        })
    }

    /// The session contexts with the peer.
    fn context(&mut self, now: Instant) -> &mut Context {
        let Self {
            own,
            peer,
            contexts,
            secured,
            ..
        } = self;
        let seed = &mut self.seed;
        self.context.get_or_insert_with(|| {
            let (config, own, peer) = (contexts.clone(), own.clone(), peer.clone());
            let mut context = Context::new(config, own, peer, seed.next(), now);
            if *secured {
                context.stay_secured();
            }
            Box::new(context)
        })
    }

    /// What else came of an input.
    pub(crate) fn more(&mut self) -> Option<Inbound> {
        loop {
            return Some(match self.context.as_mut()?.poll_event()? {
                context::Event::Message(payload) => self.message(&payload, Via::Context),
                context::Event::Acknowledged(_) => continue,
                event => Inbound::Context(event),
            });
        }
    }

    fn message(&mut self, payload: &[u8], via: Via) -> Inbound {
        let version = self.theirs;
        // R-E2E.26
        if payload.is_empty() {
            return Inbound::Ignored(Ignored::EmptyPayload);
        }
        match codec::decode_msg(payload) {
            Ok(msg) if usable(&msg.header.msg_id) => Inbound::Msg(msg, version, via),
            Ok(_) => Inbound::Ignored(Ignored::MsgId),
            Err(error) => {
                let mut peek = codec::peek_msg(payload);
                peek.msg_id = peek.msg_id.filter(|id| usable(id));
                if let (Some(msg_id), true) = (&peek.msg_id, peek.is_request) {
                    self.reply_error(msg_id, complaint(&error), via);
                }
                Inbound::Broken(error, peek, via)
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
            self.reply_error(&msg_id, UspError::new(code, text), Via::Plain);
        }
    }

    /// Whether a message can be sent now.
    pub(crate) fn is_ready(&self) -> bool {
        let carries = |context: &Context| context.is_ready();
        self.open
            && match self.via() {
                Via::Plain => true,
                Via::Context => {
                    self.replies.is_empty() && self.context.as_deref().is_none_or(carries)
                }
            }
    }

    /// Sends a message, which must be ready; gives its first record, unless a session context holds it back.
    pub(crate) fn send(&mut self, payload: Vec<u8>) -> Option<Bytes> {
        match (self.via(), self.now) {
            (Via::Context, Some(now)) => {
                let version = self.stamp;
                let context = self.context(now);
                context.send(now, payload);
                context.poll_transmit(version)
            }
            _ => Some(self.wrap(payload)),
        }
    }

    fn wrap(&self, payload: Vec<u8>) -> Bytes {
        self.record(NoSessionContextRecord::new(payload))
    }

    fn record(&self, record_type: impl Into<RecordType>) -> Bytes {
        let mut record = Record::new(self.stamp, &self.own, &self.peer, record_type);
        context::sign(&self.contexts, &mut record);
        codec::encode_record(&record).into()
    }

    /// Queues an answer in the kind of record that the question came in; false when there are too many already.
    /// R-MSG.0a, R-MTP.8
    pub(crate) fn reply(&mut self, msg: &Msg, via: Via) -> bool {
        self.answer(codec::encode_msg(msg), via)
    }

    pub(crate) fn reply_error(&mut self, msg_id: &str, error: UspError, via: Via) -> bool {
        self.reply(&Msg::error(msg_id, error), via)
    }

    /// Queues a response, or an Error in its place when it is too large for a record.
    pub(crate) fn respond(&mut self, msg_id: &str, response: Response, via: Via) -> bool {
        let payload = codec::encode_msg(&Msg::response(msg_id, response));
        // The envelope is at most a few hundred bytes.
        if codec::check_size(payload.len() + 1024).is_err() {
            let text = "the response is larger than RECORD_BYTES_MAX: ask for less at once";
            let error = UspError::new(ErrorCode::RESOURCES_EXCEEDED, text);
            return self.reply_error(msg_id, error, via);
        }
        self.answer(payload, via)
    }

    fn answer(&mut self, payload: Vec<u8>, via: Via) -> bool {
        let reply = match via {
            Via::Plain => Reply::Record(self.wrap(payload)),
            Via::Context => Reply::Message(payload),
        };
        self.open && self.push(reply)
    }

    /// Queues a disconnect record, which may also be said before the connect record. R-MTP.9
    pub(crate) fn disconnect(&mut self, code: ErrorCode, reason: &str) {
        let record = self.record(DisconnectRecord::new(code, reason));
        self.push(Reply::Record(record));
    }

    /// Starts a channel: what was meant for the one before is dropped, the connect record is first.
    pub(crate) fn start(&mut self, now: Instant, connect: RecordType) {
        self.stop();
        self.announce(now, connect);
    }

    /// Says anew how this end is reached, on a channel that stays. What is under way in plain records stays, too; of
    /// session contexts nothing does, for the peer takes this for a new start: what was encrypted is so anew.
    pub(crate) fn announce(&mut self, now: Instant, connect: RecordType) {
        self.now = Some(now);
        self.leave();
        self.open = true;
        let record = self.record(connect);
        self.push(Reply::Record(record));
        if self.contexts.mode == Mode::Require || self.secured {
            self.context(now).open(now);
        }
    }

    /// Ends a channel and what waits for it.
    pub(crate) fn stop(&mut self) {
        self.leave();
        self.secured = false;
        self.replies = VecDeque::new();
    }

    /// Nothing more flows but what waits already; everything known of session contexts is forgotten, but that the peer was
    /// encrypted with: whoever says that it leaves or starts anew could be anybody. A channel that outlives the peer's
    /// connection is another matter: the peer may come back with other settings. R-MTP.7
    pub(crate) fn leave(&mut self) {
        self.open = false;
        self.secured = self.is_secured() && !self.outlives;
        (self.context, self.wanted) = (None, false);
        self.replies
            .retain(|reply| matches!(reply, Reply::Record(_)));
    }

    /// How many more may wait for the transport.
    pub(crate) fn replies_left(&self) -> usize {
        limits::REPLIES_MAX.saturating_sub(self.replies.len())
    }

    fn push(&mut self, reply: Reply) -> bool {
        let room = self.replies_left() > 0;
        if room {
            self.replies.push_back(reply);
        }
        room
    }

    /// The session contexts from now on; what there is, is for the caller to end.
    pub(crate) fn set_contexts(&mut self, contexts: Arc<context::Config>) {
        self.contexts = contexts;
    }

    /// How the session context stands, and how often in a row it failed.
    pub(crate) fn context_status(&self) -> (Status, u32) {
        let of = |context: &Context| (context.status(), context.failures());
        self.context.as_deref().map(of).unwrap_or_default()
    }

    /// Whether what the session context carries is encrypted.
    pub(crate) fn context_is_encrypted(&self) -> bool {
        let context = self.context.as_deref();
        context.is_some_and(Context::is_encrypted)
    }

    /// Begins a new session context.
    pub(crate) fn reset_context(&mut self, now: Instant) {
        self.now = Some(now);
        if self.open && self.contexts.mode != Mode::Forbid {
            self.context(now).reset(now);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.now = Some(now);
        if let Some(context) = &mut self.context {
            context.handle_timeout(now);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.context.as_deref().and_then(Context::poll_timeout)
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Bytes> {
        loop {
            if let Some(Reply::Record(_)) = self.replies.front() {
                return self.take_record(0);
            }
            let Some(context) = &mut self.context else {
                return None;
            };
            if let Some(bytes) = context.poll_transmit(self.stamp) {
                return Some(bytes);
            }
            match (context.is_ready(), self.now, self.replies.pop_front()) {
                (true, Some(now), Some(Reply::Message(payload))) => {
                    context.send(now, payload);
                }
                (_, _, waits) => {
                    if let Some(waits) = waits {
                        self.replies.push_front(waits);
                    }
                    // A message that waits does not hold up what is outside of the context.
                    let record = |reply: &Reply| matches!(reply, Reply::Record(_));
                    let at = self.replies.iter().position(record)?;
                    return self.take_record(at);
                }
            }
        }
    }

    fn take_record(&mut self, at: usize) -> Option<Bytes> {
        let reply = self.replies.remove(at);
        if self.replies.is_empty() {
            // Most sessions are idle.
            self.replies = VecDeque::new();
        }
        match reply {
            Some(Reply::Record(bytes)) => Some(bytes),
            _ => None,
        }
    }
}

fn ignored(why: Ignored) -> Result<Option<Inbound>, Error> {
    Ok(Some(Inbound::Ignored(why)))
}
