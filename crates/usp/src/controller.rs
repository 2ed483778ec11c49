//! A controller towards one agent over one channel: requests and their answers, notifications and
//! their acknowledgement.
//! Deliberately no retry of requests and no memory across channels: what was sent and not answered
//! is told (see [`Session::unanswered`]), and the caller knows what may be sent twice.

mod event;
mod plain;
mod registrations;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::codec;
use crate::context;
use crate::endpoint::EndpointId;
use crate::error::{Error, ErrorCode, UspError};
use crate::limits;
use crate::link::{Inbound, Link, Via};
use crate::msg::{Body, Msg, MsgType, Notification, Notify, NotifyResp, Request, Response};
use crate::record::{DisconnectRecord, RecordType};
pub use crate::session::{Ignored, Signatures, Transport};
use crate::session::{earlier, excerpt, pop};
use crate::version::Version;
pub use event::{Config, Event, NotifyToken, PeerError, RequestId, Sent};
pub use registrations::{Registration, RegistrationToken};

struct Pending {
    id: RequestId,
    deadline: Instant,
    answer: MsgType,
    /// Whether an answer is due, so that it takes a place in the window.
    due: bool,
    /// How it was sent.
    via: Via,
    /// What was sent outside of a session context, for an agent that refuses it there.
    plain: Option<Vec<u8>>,
}

struct Unacknowledged {
    token: u64,
    msg_id: String,
    via: Via,
    subscription_id: String,
}

/// A controller towards one agent. Sans-IO: give it inputs and moments, take transmits and events.
pub struct Session {
    config: Arc<Config>,
    link: Link,
    prefix: u64,
    next: u64,
    queue: VecDeque<(Pending, Vec<u8>)>,
    in_flight: Vec<Pending>,
    notifies: Vec<Unacknowledged>,
    registrations: Vec<registrations::Unanswered>,
    events: VecDeque<Event>,
}

impl Session {
    /// A session over a channel that has just opened. `ids` is a random number that keeps the
    /// message ids of this session apart from those of any other (R-MSG: unique per sender).
    pub fn new(config: Arc<Config>, own: EndpointId, peer: EndpointId, ids: u64) -> Self {
        let contexts = config.contexts.clone();
        let link = Link::new(
            own,
            peer,
            config.versions,
            config.signatures,
            contexts,
            !ids,
        );
        let (queue, in_flight, notifies, events) =
            (VecDeque::new(), Vec::new(), Vec::new(), VecDeque::new());
        Self {
            config,
            link,
            prefix: ids,
            next: 1,
            queue,
            in_flight,
            notifies,
            registrations: Vec::new(),
            events,
        }
    }

    /// The agent.
    pub fn peer(&self) -> &EndpointId {
        &self.link.peer
    }

    /// Whether the agent has connected and not disconnected.
    pub fn is_connected(&self) -> bool {
        self.link.open
    }

    /// The moment of the last input that is the agent's for all that is known of it: a record that is addressed right,
    /// and proves itself where it has to (R-E2E.23, .30).
    pub fn heard(&self) -> Option<Instant> {
        self.link.heard()
    }

    /// The version on our records: the newest that both speak, as far as we know.
    pub fn version(&self) -> Version {
        self.link.version()
    }

    /// The message id of a request, as transcripts show it.
    pub fn msg_id(&self, id: RequestId) -> String {
        format!("{:x}-{}", self.prefix, id.0)
    }

    fn request_id(&self, msg_id: &str) -> Option<RequestId> {
        let (prefix, id) = msg_id.split_once('-')?;
        let ours = u64::from_str_radix(prefix, 16).ok()? == self.prefix;
        id.parse().ok().filter(|_| ours).map(RequestId)
    }

    /// Takes what the transport received. An error means that the bytes are no record at all: a
    /// WebSocket closes with 1003 (R-WS.16).
    pub fn handle_input(&mut self, now: Instant, bytes: &[u8]) -> Result<(), Error> {
        if self.events.len() >= limits::EVENTS_MAX {
            return Err(Error::LimitExceeded {
                limit: "EVENTS_MAX",
                max: limits::EVENTS_MAX,
            });
        }
        let before = self.link.signer();
        let mut inbound = self.link.receive(now, bytes)?;
        // Before whatever it has signed.
        let signer = self.link.signer().filter(|signer| before != Some(*signer));
        let proved = signer.map(context::Event::Proved);
        self.events.extend(proved.map(Event::Context));
        while let Some(one) = inbound {
            self.inbound(one);
            inbound = self.link.more();
        }
        Ok(())
    }

    fn inbound(&mut self, inbound: Inbound) {
        match inbound {
            Inbound::Ignored(why) => self.ignore(why),
            Inbound::Connect(record) => self.connect(record),
            Inbound::Disconnect(record) => self.disconnected(record),
            Inbound::Msg(msg, version, via) => self.message(msg, version, via),
            Inbound::Context(event) => {
                // What it was asked in a context that it ended is not answered any more.
                if let context::Event::Failed(context::Failure::Terminated(_)) = &event {
                    self.lose_in_flight();
                }
                self.events.push_back(Event::Context(event));
            }
            Inbound::Broken(error, peek, via) => {
                let id = peek
                    .msg_id
                    .filter(|_| !peek.is_request)
                    .and_then(|id| self.request_id(&id));
                match id {
                    Some(id) if self.is_beside(id, via) => self.ignore(Ignored::NoSessionContext),
                    Some(id) if self.take(id).is_some() => {
                        self.answered(id, Err(PeerError::Malformed(error)))
                    }
                    _ => self.ignore(Ignored::BrokenMessage(error)),
                }
            }
        }
    }

    fn ignore(&mut self, why: Ignored) {
        self.events.push_back(Event::Ignored(why));
    }

    fn answered(&mut self, id: RequestId, result: Result<Response, PeerError>) {
        self.events.push_back(Event::Answered { id, result });
    }

    fn connect(&mut self, record: RecordType) {
        // R-MTP.8: the right one
        if !self.config.transport.is_connect(&record) {
            return self.ignore(Ignored::WrongConnect);
        }
        // An agent that starts anew knows of no session context.
        self.link.leave();
        self.link.open = true;
        let version = self.link.version();
        self.events.push_back(Event::Connected {
            record: Some(record),
            version,
        });
    }

    /// R-MTP.7
    fn disconnected(&mut self, record: DisconnectRecord) {
        self.link.leave();
        self.lose_in_flight();
        let (code, reason) = (ErrorCode(record.reason_code), excerpt(&record.reason));
        self.events.push_back(Event::Disconnected { code, reason });
    }

    fn lose_in_flight(&mut self) {
        for pending in std::mem::take(&mut self.in_flight) {
            self.answered(pending.id, Err(PeerError::Disconnected));
        }
    }

    fn message(&mut self, msg: Msg, version: Version, via: Via) {
        if !self.link.open {
            // R-MTP.8; connect records over WebSocket exist since 1.2
            if version >= Version::V1_2 {
                return self.ignore(Ignored::BeforeConnect);
            }
            self.link.open = true;
            self.events.push_back(Event::Connected {
                record: None,
                version,
            });
        }
        let msg_id = msg.header.msg_id;
        // R-MSG.10: the body decides
        match msg.body {
            Body::Request(Request::Notify(notify)) => self.notified(msg_id, notify, via),
            Body::Request(request) => self.other_request(msg_id, request, via),
            Body::Response(response) => self.response(&msg_id, Ok(response), via),
            Body::Error(error) => self.response(&msg_id, Err(error.into()), via),
        }
    }

    /// R-MSG.9: what nobody waits for is dropped.
    fn response(&mut self, msg_id: &str, result: Result<Response, UspError>, via: Via) {
        let id = self.request_id(msg_id);
        if id.is_some_and(|id| self.is_beside(id, via)) {
            return self.ignore(Ignored::NoSessionContext);
        }
        let Some(mut pending) = id.and_then(|id| self.take(id)) else {
            return self.ignore(Ignored::Unmatched {
                msg_id: excerpt(msg_id),
            });
        };
        // It was refused for its record, so nothing has happened: once more, in a session context.
        if let Err(error) = &result
            && error.code == ErrorCode::SECURE_SESSION_REQUIRED
            && let Some(payload) = pending.plain.take()
        {
            self.link.want_context();
            return self.queue.push_front((pending, payload));
        }
        let result = match result {
            Ok(response) if response.msg_type() == pending.answer => Ok(response),
            Ok(response) => Err(PeerError::WrongResponse(response.msg_type())),
            Err(error) => Err(PeerError::Refused(error)),
        };
        if let Ok(Response::GetSupportedProtocolResp(versions)) = &result {
            self.negotiate(&versions.agent_supported_protocol_versions.clone());
        }
        self.answered(pending.id, result);
    }

    fn negotiate(&mut self, theirs: &str) {
        if !theirs.is_empty() && !self.link.negotiate(theirs) {
            self.events.push_back(Event::Incompatible {
                theirs: excerpt(theirs),
            });
        }
    }

    fn notified(&mut self, msg_id: String, notify: Notify, via: Via) {
        // R-MSG.4
        if self.notifies.iter().any(|known| known.msg_id == msg_id) {
            return self.ignore(Ignored::Duplicate { msg_id });
        }
        if let Notification::OnBoardReq(request) = &notify.notification {
            self.negotiate(&request.agent_supported_protocol_versions.clone());
        }
        // R-NOT.8: nothing is answered without send_resp
        let token = if notify.send_resp {
            if self.notifies.len() >= limits::NOTIFIES_UNACKNOWLEDGED_MAX {
                // Not answered, so the agent will send it again.
                return self.ignore(Ignored::Limit("NOTIFIES_UNACKNOWLEDGED_MAX"));
            }
            let token = self.fresh();
            let subscription_id = notify.subscription_id.clone();
            self.notifies.push(Unacknowledged {
                token,
                msg_id: msg_id.clone(),
                via,
                subscription_id,
            });
            NotifyToken(Some(token))
        } else {
            NotifyToken(None)
        };
        self.events.push_back(Event::Notified {
            token,
            msg_id,
            notify,
        });
    }

    fn fresh(&mut self) -> u64 {
        let id = self.next;
        self.next += 1;
        id
    }

    fn take(&mut self, id: RequestId) -> Option<Pending> {
        let at = self.in_flight.iter().position(|pending| pending.id == id)?;
        let pending = self.in_flight.swap_remove(at);
        if self.in_flight.is_empty() {
            self.in_flight = Vec::new();
        }
        Some(pending)
    }

    /// Queues a request. It waits for the agent's connect record and for the window; `timeout`
    /// counts from now, waiting included, and ends in [`Event::TimedOut`].
    pub fn request(
        &mut self,
        now: Instant,
        request: impl Into<Request>,
        timeout: Duration,
    ) -> Result<RequestId, Error> {
        let request = request.into();
        if matches!(
            request,
            Request::Notify(_) | Request::Register(_) | Request::Deregister(_)
        ) {
            return Err(Error::ApiMisuse(
                "only agents send Notify, Register and Deregister",
            ));
        }
        let max = self.config.queue.min(limits::QUEUE_MAX);
        if self.queue.len() >= max {
            return Err(Error::LimitExceeded {
                limit: "QUEUE_MAX",
                max,
            });
        }
        let deadline = now
            .checked_add(timeout)
            .ok_or(Error::ApiMisuse("a timeout without end"))?;
        let due = !matches!(&request, Request::Operate(operate) if !operate.send_resp);
        let answer = request.response_type();
        let id = RequestId(self.next);
        let payload = codec::encode_msg(&Msg::request(self.msg_id(id), request));
        // The envelope is at most a few hundred bytes.
        codec::check_size(payload.len() + 1024)?;
        self.next += 1;
        self.queue.push_back((
            Pending {
                id,
                deadline,
                answer,
                due,
                via: Via::Plain,
                plain: None,
            },
            payload,
        ));
        Ok(id)
    }

    /// Forgets a request; its answer will be ignored. `None` when it is already over.
    pub fn cancel(&mut self, id: RequestId) -> Option<Sent> {
        if self.take(id).is_some() {
            return Some(Sent::Yes);
        }
        let at = self
            .queue
            .iter()
            .position(|(pending, _)| pending.id == id)?;
        self.queue.remove(at).map(|_| Sent::No)
    }

    /// The request that a record of ours carries, outside of session contexts: what to cancel when its transport cannot
    /// take it.
    pub fn request_of(&self, record: &[u8]) -> Option<RequestId> {
        let RecordType::NoSessionContext(content) = codec::decode_record(record).ok()?.record_type
        else {
            return None;
        };
        let id = self.request_id(&codec::peek_msg(&content.payload).msg_id?)?;
        let mut sent = self.in_flight.iter();
        sent.any(|pending| pending.id == id).then_some(id)
    }

    /// Every request without an answer: what to reconcile or to queue again when the channel ends.
    pub fn unanswered(&self) -> Vec<(RequestId, Sent)> {
        let sent = self.in_flight.iter().map(|pending| (pending.id, Sent::Yes));
        let waiting = self.queue.iter().map(|(pending, _)| (pending.id, Sent::No));
        let mut all: Vec<_> = sent.chain(waiting).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    /// Answers a notification, if it asks for that. Call it only after the notification is durably
    /// stored: the agent forgets it. R-NOT.8, .10
    pub fn acknowledge(&mut self, token: NotifyToken) -> Result<(), Error> {
        if let Some(known) = self.take_notify(token)? {
            let response = NotifyResp {
                subscription_id: known.subscription_id,
            };
            self.link.respond(&known.msg_id, response.into(), known.via);
        }
        Ok(())
    }

    /// Answers a notification that could not be stored with an Error; the agent sends it again.
    pub fn refuse(&mut self, token: NotifyToken, error: UspError) -> Result<(), Error> {
        if let Some(known) = self.take_notify(token)? {
            self.link.reply_error(&known.msg_id, error, known.via);
        }
        Ok(())
    }

    fn take_notify(&mut self, token: NotifyToken) -> Result<Option<Unacknowledged>, Error> {
        let Some(token) = token.0 else {
            return Ok(None);
        };
        let at = self.notifies.iter().position(|known| known.token == token);
        let at = at.ok_or(Error::ApiMisuse(
            "a notification is answered once, by its own session",
        ))?;
        let known = self.notifies.swap_remove(at);
        if self.notifies.is_empty() {
            self.notifies = Vec::new();
        }
        Ok(Some(known))
    }

    /// Says goodbye; nothing flows until the agent connects again. R-MTP.9
    pub fn disconnect(&mut self, code: ErrorCode, reason: &str) {
        self.link.disconnect(code, reason);
        self.link.leave();
    }

    /// Ends what is over time.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.link.handle_timeout(now);
        while let Some(inbound) = self.link.more() {
            self.inbound(inbound);
        }
        let events = &mut self.events;
        let mut expire = |pending: &Pending, sent: Sent| {
            let over = pending.deadline <= now;
            if over {
                events.push_back(Event::TimedOut {
                    id: pending.id,
                    sent,
                });
            }
            !over
        };
        self.in_flight.retain(|pending| expire(pending, Sent::Yes));
        self.queue.retain(|(pending, _)| expire(pending, Sent::No));
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let sent = self.in_flight.iter().map(|pending| pending.deadline).min();
        let queued = self.queue.iter().map(|(pending, _)| pending.deadline).min();
        earlier(self.link.poll_timeout(), earlier(sent, queued))
    }

    /// The next record for the transport.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        if let Some(reply) = self.link.poll_transmit() {
            return Some(reply);
        }
        let window = self.config.window.clamp(1, limits::WINDOW_MAX);
        let busy = self.in_flight.iter().filter(|pending| pending.due).count();
        if !self.link.is_ready() || busy >= window || self.in_flight.len() >= limits::QUEUE_MAX {
            return None;
        }
        let (mut pending, payload) = pop(&mut self.queue)?;
        pending.via = self.link.via();
        pending.plain = self.link.is_plain_by_choice().then(|| payload.clone());
        self.in_flight.push(pending);
        self.link.send(payload)
    }

    /// How the session context with the agent stands.
    pub fn context_status(&self) -> context::Status {
        self.link.context_status().0
    }

    /// Whether what it carries is encrypted between the endpoints themselves.
    pub fn context_is_encrypted(&self) -> bool {
        self.link.context_is_encrypted()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        pop(&mut self.events)
    }
}
