//! An agent towards one controller: requests and their answers, notifications until delivered.
//! One session lives as long as the agent knows the controller, across its channels, because
//! notifications do.
//! Deliberately no data model: requests come up as events, and the caller answers them. Only
//! GetSupportedProtocol, which concerns the session alone, is answered here.

mod notifies;
mod registrations;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::context;
use crate::endpoint::EndpointId;
use crate::error::{Error, ErrorCode, UspError};
use crate::limits;
use crate::link::{Inbound, Link, Via};
use crate::msg::{Body, GetSupportedProtocolResp, Msg, Notify, OnBoardRequest, Request, Response};
use crate::record::RecordType;
use crate::retry::RetryPolicy;
pub use crate::session::{Ignored, Signatures};
use crate::session::{earlier, excerpt, pop};
use crate::version::{Version, Versions};

use notifies::Notifies;
pub use notifies::{GaveUp, NotifyId, Undelivered};
pub use registrations::RegistrationId;

/// How an agent talks; shared by all its sessions.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The versions we speak.
    pub versions: Versions,
    /// What to do with signed records.
    pub signatures: Signatures,
    /// How messages travel in session contexts.
    pub contexts: Arc<context::Config>,
}

/// A request to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestToken(u64);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The controller asks for something. Answer it with [`Session::respond`], always.
    Requested {
        /// To answer it with.
        token: RequestToken,
        /// Its message id.
        msg_id: String,
        /// What it asks for.
        request: Request,
    },
    /// A notification is answered, or was handed to the transport when it asks for no answer.
    Delivered {
        /// The notification.
        id: NotifyId,
    },
    /// A notification will not be sent again.
    GaveUp {
        /// The notification.
        id: NotifyId,
        /// Why.
        why: GaveUp,
    },
    /// The broker answers a Register or Deregister, or does not. A response is not yet a success: it says so path by path.
    Registered {
        /// What was asked.
        id: RegistrationId,
        /// The answer.
        result: Result<Response, UspError>,
    },
    /// The controller takes its leave: close the channel, or call [`Session::channel_opened`] to
    /// connect again on it (R-MTP.8).
    Disconnected {
        /// Why.
        code: ErrorCode,
        /// Why, for people.
        reason: String,
    },
    /// We share no protocol version with the controller.
    Incompatible {
        /// The controller's versions.
        theirs: String,
    },
    /// Something about session contexts: one was opened, one failed.
    Context(context::Event),
    /// An input changed nothing.
    Ignored(Ignored),
}

struct InProgress {
    token: u64,
    msg_id: String,
    via: Via,
    /// An Operate that wants no answer (R-OPR.4).
    quiet: bool,
    /// Its channel is gone, and with it the way back.
    orphaned: bool,
}

/// An agent towards one controller. Sans-IO: give it inputs and moments, take transmits and events.
pub struct Session {
    versions: Versions,
    link: Link,
    next: u64,
    in_progress: Vec<InProgress>,
    notifies: Notifies,
    registrations: registrations::Registrations,
    events: VecDeque<Event>,
}

impl Session {
    /// A session without a channel. `seed` is a random number, for message ids and retry waits.
    pub fn new(config: &Config, own: EndpointId, controller: EndpointId, seed: u64) -> Self {
        let versions = config.versions;
        let contexts = config.contexts.clone();
        let link = Link::new(
            own,
            controller,
            versions,
            config.signatures,
            contexts,
            !seed,
        );
        let notifies = Notifies::new(seed);
        Self {
            versions,
            link,
            next: 1,
            in_progress: Vec::new(),
            notifies,
            registrations: registrations::Registrations::new(seed),
            events: VecDeque::new(),
        }
    }

    /// The controller.
    pub fn peer(&self) -> &EndpointId {
        &self.link.peer
    }

    /// Whether a channel is open and the controller has not taken its leave.
    pub fn is_open(&self) -> bool {
        self.link.open
    }

    /// Whether there is a place for the answer to one more request. A controller that asks and does not read finds none,
    /// and what it asks then is not carried out: it is best not read.
    pub fn takes_requests(&self) -> bool {
        self.in_progress.len() < self.link.replies_left()
    }

    /// The version on our records: the newest that both speak, as far as we know.
    pub fn version(&self) -> Version {
        self.link.version()
    }

    /// A channel to the controller is open: the connect record goes first (R-MTP.6), then every
    /// notification that is not delivered yet.
    pub fn channel_opened(&mut self, now: Instant, connect: impl Into<RecordType>) {
        self.orphan();
        self.registrations.clear();
        self.link.start(now, connect.into());
        self.notifies.channel_opened(now);
    }

    /// The agent is reached in another way from now on, by the same channel: it says so, and what is under way stays, but
    /// for what came in a session context.
    pub fn announce(&mut self, now: Instant, connect: impl Into<RecordType>) {
        if !self.link.open {
            return;
        }
        for request in &mut self.in_progress {
            request.orphaned |= request.via == Via::Context;
        }
        self.link.announce(now, connect.into());
    }

    /// The channel is gone. What asks for an answer waits for the next one.
    pub fn channel_closed(&mut self, now: Instant) {
        self.link.stop();
        self.orphan();
        self.registrations.clear();
        self.notifies.channel_closed(now, &mut self.events);
    }

    fn orphan(&mut self) {
        for request in &mut self.in_progress {
            request.orphaned = true;
        }
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
        let mut inbound = self.link.receive(now, bytes)?;
        while let Some(one) = inbound {
            self.inbound(now, one);
            inbound = self.link.more();
        }
        Ok(())
    }

    fn inbound(&mut self, now: Instant, inbound: Inbound) {
        match inbound {
            Inbound::Ignored(why) => self.ignore(why),
            // Only agents connect. R-MTP.6
            Inbound::Connect(_) => self.ignore(Ignored::WrongConnect),
            Inbound::Disconnect(record) => {
                self.link.leave();
                self.orphan();
                let (code, reason) = (ErrorCode(record.reason_code), excerpt(&record.reason));
                self.events.push_back(Event::Disconnected { code, reason });
            }
            Inbound::Msg(..) if !self.link.open => self.ignore(Ignored::BeforeConnect),
            Inbound::Msg(msg, _, via) => self.message(now, msg, via),
            Inbound::Context(event) => self.events.push_back(Event::Context(event)),
            Inbound::Broken(error, ..) => self.ignore(Ignored::BrokenMessage(error)),
        }
    }

    fn ignore(&mut self, why: Ignored) {
        self.events.push_back(Event::Ignored(why));
    }

    fn message(&mut self, now: Instant, msg: Msg, via: Via) {
        let msg_id = msg.header.msg_id;
        // R-MSG.10: the body decides
        let known = match msg.body {
            Body::Request(request) => return self.requested(msg_id, request, via),
            _ if self.notifies.is_beside(&msg_id, via) => {
                return self.ignore(Ignored::NoSessionContext);
            }
            Body::Response(Response::NotifyResp(_)) => {
                self.notifies
                    .answered(now, &msg_id, Ok(()), &mut self.events)
            }
            Body::Response(response) => self.registered(&msg_id, Ok(response)),
            Body::Error(error) => {
                let error = UspError::from(error);
                self.notifies
                    .answered(now, &msg_id, Err(error.clone()), &mut self.events)
                    || self.registered(&msg_id, Err(error))
            }
        };
        // R-MSG.9
        if !known {
            self.ignore(Ignored::Unmatched {
                msg_id: excerpt(&msg_id),
            });
        }
    }

    fn requested(&mut self, msg_id: String, request: Request, via: Via) {
        // R-MSG.4
        if self
            .in_progress
            .iter()
            .any(|known| known.msg_id == msg_id && !known.orphaned)
        {
            return self.ignore(Ignored::Duplicate { msg_id });
        }
        // Nothing is done of which nobody could be told.
        if !self.takes_requests() {
            return self.ignore(Ignored::Limit("REPLIES_MAX"));
        }
        match &request {
            Request::GetSupportedProtocol(versions) => {
                let theirs = &versions.controller_supported_protocol_versions;
                if !theirs.is_empty() && !self.link.negotiate(theirs) {
                    self.events.push_back(Event::Incompatible {
                        theirs: excerpt(theirs),
                    });
                }
                let agent_supported_protocol_versions = self.versions.list();
                self.link.respond(
                    &msg_id,
                    GetSupportedProtocolResp {
                        agent_supported_protocol_versions,
                    }
                    .into(),
                    via,
                );
                return;
            }
            Request::Notify(_) | Request::Register(_) | Request::Deregister(_) => {
                // R-MSG.1
                let text = format!("an agent does not serve {:?}", request.msg_type());
                self.link.reply_error(
                    &msg_id,
                    UspError::new(ErrorCode::MESSAGE_NOT_SUPPORTED, text),
                    via,
                );
                return self.ignore(Ignored::Unsupported { msg_id });
            }
            _ => {}
        }
        if self.in_progress.len() >= limits::REQUESTS_IN_PROGRESS_MAX {
            let error = UspError::new(ErrorCode::RESOURCES_EXCEEDED, "too many requests at once");
            self.link.reply_error(&msg_id, error, via);
            return self.ignore(Ignored::Limit("REQUESTS_IN_PROGRESS_MAX"));
        }
        let token = self.next;
        self.next += 1;
        let quiet = matches!(&request, Request::Operate(operate) if !operate.send_resp);
        self.in_progress.push(InProgress {
            token,
            msg_id: msg_id.clone(),
            via,
            quiet,
            orphaned: false,
        });
        self.events.push_back(Event::Requested {
            token: RequestToken(token),
            msg_id,
            request,
        });
    }

    /// Answers a request, on the channel that it came by: when that is gone, so is the answer.
    /// Nothing is sent for an Operate that wants no answer (R-OPR.4).
    pub fn respond(
        &mut self,
        token: RequestToken,
        result: Result<Response, UspError>,
    ) -> Result<(), Error> {
        let at = self
            .in_progress
            .iter()
            .position(|known| known.token == token.0);
        let at = at.ok_or(Error::ApiMisuse(
            "a request is answered once, by its own session",
        ))?;
        let request = self.in_progress.swap_remove(at);
        if self.in_progress.is_empty() {
            self.in_progress = Vec::new();
        }
        if request.quiet || request.orphaned {
            return Ok(());
        }
        let queued = match result {
            Ok(response) => self.link.respond(&request.msg_id, response, request.via),
            Err(error) => self.link.reply_error(&request.msg_id, error, request.via),
        };
        if !queued {
            self.ignore(Ignored::Limit("REPLIES_MAX"));
        }
        Ok(())
    }

    /// Reports something. With a policy it is sent again until it is answered (R-NOT.1 to .4).
    /// Without, it is sent once, when there is a channel; `send_resp` is left as it is.
    pub fn notify(
        &mut self,
        now: Instant,
        notify: Notify,
        retry: Option<RetryPolicy>,
    ) -> Result<NotifyId, Error> {
        self.notifies.push(now, notify, retry)
    }

    /// Introduces the agent; retried for ever (R-NOT.5, .6, .6a).
    pub fn on_board(
        &mut self,
        now: Instant,
        mut request: OnBoardRequest,
    ) -> Result<NotifyId, Error> {
        if request.agent_supported_protocol_versions.is_empty() {
            request.agent_supported_protocol_versions = self.versions.list();
        }
        self.notify(
            now,
            crate::msg::notify("", request),
            Some(RetryPolicy::default()),
        )
    }

    /// Forgets a notification, for instance because its subscription is gone; false when it is over.
    pub fn cancel_notify(&mut self, id: NotifyId) -> bool {
        self.notifies.cancel(id)
    }

    /// Takes a notification that is not delivered away, for [`Self::take_over`] of another session with the same
    /// controller; `None` when it is over.
    pub fn hand_over(&mut self, id: NotifyId) -> Option<Undelivered> {
        self.notifies.take(id)
    }

    /// Sends what another session did not deliver; gives it back where no more fits.
    pub fn take_over(&mut self, now: Instant, what: Undelivered) -> Result<NotifyId, Undelivered> {
        self.notifies.adopt(now, what)
    }

    /// How many notifications are not delivered yet.
    pub fn notifies_pending(&self) -> usize {
        self.notifies.len()
    }

    /// Says goodbye (R-MTP.7, .9); nothing flows until the channel is opened again.
    pub fn disconnect(&mut self, code: ErrorCode, reason: &str) {
        if self.link.open {
            self.link.disconnect(code, reason);
            self.link.leave();
            self.orphan();
        }
    }

    /// Sends again what is due and gives up what is over time.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.link.handle_timeout(now);
        while let Some(inbound) = self.link.more() {
            self.inbound(now, inbound);
        }
        self.notifies.handle_timeout(now, &mut self.events);
        self.expire_registrations(now);
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let due = earlier(self.link.poll_timeout(), self.notifies.poll_timeout());
        earlier(due, self.registrations_due())
    }

    /// The next record for the transport.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        if let Some(reply) = self.link.poll_transmit() {
            return Some(reply);
        }
        if !self.link.is_ready() {
            return None;
        }
        if let Some(registration) = self.next_registration() {
            return Some(registration);
        }
        let via = self.link.via();
        let payload = self.notifies.poll_transmit(via, &mut self.events)?;
        self.link.send(payload)
    }

    /// How messages travel from the next channel on.
    pub fn set_contexts(&mut self, contexts: Arc<context::Config>) {
        self.link.set_contexts(contexts);
    }

    /// How the session context stands, and how often in a row it failed (`E2ESession.Status`, `CurrentRetryCount`).
    pub fn context_status(&self) -> (context::Status, u32) {
        self.link.context_status()
    }

    /// Begins a new session context (`E2ESession.Reset()`).
    pub fn reset_context(&mut self, now: Instant) {
        self.link.reset_context(now);
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        pop(&mut self.events)
    }
}
