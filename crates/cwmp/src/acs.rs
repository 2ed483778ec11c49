//! An ACS towards one CPE for one session: from its Inform to the empty answer that ends it.
//!
//! HTTP runs the other way round: each POST of the CPE ([`Session::handle_input`]) opens an
//! exchange that exactly one [`Reply`] closes ([`Session::poll_transmit`]), at once or when the
//! caller has answered the event. A new connection may continue a session; the adapter finds the
//! session by its cookie (see `auth::cookie`) or by the connection.
//! Deliberately no memory across sessions, no retry of requests, and no authentication.

mod event;
mod input;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::fault::{Fault, FaultCode};
use crate::limits;
use crate::rpc::{Method, Request, Response};
use crate::soap::{self, Body, Booleans, Envelope, Namespace, Oddities};
use crate::version::Version;
pub use event::{Config, End, Event, Ignored, PeerError, Post, Reply, RequestId, Token};

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Only an Inform may come.
    Fresh,
    /// The Inform is acknowledged.
    Open,
    /// We have sent an empty answer; the CPE may still have requests that it held.
    Ending,
    Ended,
}

/// What the open exchange waits for.
enum Waits {
    /// The caller's answer to a message of the CPE.
    Answer {
        token: Token,
        id: String,
        method: Method,
        use_version: Option<Version>,
    },
    /// The caller's next request, or its word that there is none.
    Turn,
}

struct Outstanding {
    id: RequestId,
    method: Method,
    /// It went out a second time after a broken connection; there is no third.
    resent: bool,
}

/// One session of an ACS. Sans-IO: give it inputs and moments, take replies and events.
pub struct Session {
    config: Arc<Config>,
    booleans: Booleans,
    hold_requests: bool,
    prefix: u64,
    next: u64,
    phase: Phase,
    namespace: Namespace,
    version: Version,
    silence: Duration,
    /// The POST that is not answered yet, and since when.
    exchange: Option<(Waits, Instant)>,
    /// When the last reply left.
    replied: Instant,
    reply: Option<Reply>,
    last: Option<Reply>,
    /// The hash of the CPE's last message, if that was a request.
    asked: Option<u64>,
    last_answered: Option<RequestId>,
    /// A connection has closed since the last reply, so that the CPE may not have it.
    broken: bool,
    queue: VecDeque<(RequestId, Request)>,
    outstanding: Option<Outstanding>,
    cpe_requests: usize,
    messages: usize,
    events: VecDeque<Event>,
}

impl Session {
    /// A session before its Inform. `ids` is a random number that keeps the ids of this session
    /// apart from those of any other.
    pub fn new(config: Arc<Config>, now: Instant, ids: u64) -> Self {
        let silence = config
            .silence
            .clamp(limits::SILENCE_MIN, limits::SILENCE_MAX);
        Self {
            booleans: config.booleans,
            hold_requests: config.hold_requests,
            config,
            prefix: ids,
            next: 1,
            phase: Phase::Fresh,
            namespace: Namespace::default(),
            version: Version::default(),
            silence,
            exchange: None,
            replied: now,
            reply: None,
            last: None,
            asked: None,
            last_answered: None,
            broken: false,
            queue: VecDeque::new(),
            outstanding: None,
            cpe_requests: 0,
            messages: 0,
            events: VecDeque::new(),
        }
    }

    /// What the session speaks; meaningful from the Inform on.
    pub fn version(&self) -> Version {
        self.version
    }

    /// How truth values among the arguments are spelled from now on, for a device that reads only
    /// one spelling.
    pub fn set_booleans(&mut self, booleans: Booleans) {
        self.booleans = booleans;
    }

    /// Whether the CPE is told to hold its own requests from now on.
    pub fn set_hold_requests(&mut self, hold: bool) {
        self.hold_requests = hold;
    }

    /// Whether nothing follows any more.
    pub fn is_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// The id of a request on the wire, as transcripts show it.
    pub fn wire_id(&self, id: RequestId) -> String {
        format!("{:x}-{}", self.prefix, id.0)
    }

    fn send(&mut self, now: Instant, id: RequestId, request: Request) {
        self.outstanding = Some(Outstanding {
            id,
            method: request.method(),
            resent: false,
        });
        let mut envelope = Envelope::new(self.namespace, self.wire_id(id), request);
        envelope.header.hold_requests = self.hold_requests.then_some(true);
        self.reply(now, Reply::envelope(soap::encode(&envelope, self.booleans)));
        self.asked = None;
    }

    fn reply(&mut self, now: Instant, reply: Reply) {
        self.exchange = None;
        self.broken = false;
        self.replied = now;
        self.last = Some(reply.clone());
        self.reply = Some(reply);
    }

    fn reply_with(
        &mut self,
        now: Instant,
        id: &str,
        body: impl Into<Body>,
        use_version: Option<Version>,
    ) {
        let mut envelope = Envelope::new(self.namespace, id, body);
        envelope.header.use_version = use_version.map(|version| version.to_string());
        envelope.header.hold_requests = self.hold_requests.then_some(true);
        self.reply(now, Reply::envelope(soap::encode(&envelope, self.booleans)));
    }

    fn reply_fault(&mut self, now: Instant, id: &str, fault: Fault) {
        self.reply_with(now, id, fault, None);
    }

    fn ignore(&mut self, why: Ignored) {
        self.events.push_back(Event::Ignored(why));
    }

    fn end(&mut self, why: End) {
        if self.phase == Phase::Ended {
            return;
        }
        self.phase = Phase::Ended;
        (self.exchange, self.asked) = (None, None);
        // What nobody has taken yet can no longer be answered; the CPE says it again.
        let void = |event: &Event| {
            matches!(
                event,
                Event::Turn | Event::Informed { .. } | Event::Requested { .. }
            )
        };
        self.events.retain(|event| !void(event));
        let lost = self
            .outstanding
            .take()
            .map(|sent| (sent.id, PeerError::Lost));
        let queue = std::mem::take(&mut self.queue);
        let unsent = queue.into_iter().map(|(id, _)| (id, PeerError::NotSent));
        for (id, error) in lost.into_iter().chain(unsent) {
            let (result, oddities) = (Err(error), Oddities::default());
            self.events.push_back(Event::Answered {
                id,
                result,
                oddities,
            });
        }
        self.events.push_back(Event::Ended(why));
    }

    /// Queues a request; it goes out when it is our turn. What is not answered or not even sent
    /// when the session ends is told then.
    pub fn request(
        &mut self,
        now: Instant,
        request: impl Into<Request>,
    ) -> Result<RequestId, Error> {
        let request = request.into();
        let method = request.method();
        if !method.is_cpe() {
            return Err(Error::ApiMisuse("only CPEs send this method"));
        }
        if self.phase == Phase::Ended {
            return Err(Error::ApiMisuse("the session is over"));
        }
        if self.phase == Phase::Fresh && self.exchange.is_none() {
            return Err(Error::ApiMisuse("the session has not begun"));
        }
        if method.since() > self.version {
            let version = self.version;
            return Err(Error::PeerIncompatible(format!(
                "{method} is not in CWMP {version}"
            )));
        }
        if self.queue.len() >= limits::QUEUE_MAX {
            return Err(limit("QUEUE_MAX", limits::QUEUE_MAX));
        }
        let id = RequestId(self.next);
        self.next += 1;
        match self.exchange {
            Some((Waits::Turn, _)) => self.send(now, id, request),
            _ => self.queue.push_back((id, request)),
        }
        Ok(id)
    }

    /// Takes back a request that was not sent yet; false when it is too late.
    pub fn cancel(&mut self, id: RequestId) -> bool {
        let before = self.queue.len();
        self.queue.retain(|(queued, _)| *queued != id);
        self.queue.len() < before
    }

    /// In our turn, says that we have nothing more. The CPE may still have.
    pub fn finish(&mut self, now: Instant) -> Result<(), Error> {
        if !matches!(self.exchange, Some((Waits::Turn, _))) {
            return Err(Error::ApiMisuse("it is not our turn"));
        }
        self.reply(now, Reply::empty());
        self.phase = Phase::Ending;
        self.asked = None;
        Ok(())
    }

    /// Answers an Inform, or another request whose response has no content, once it is stored. An
    /// error says that it is too late, and the CPE will say it again.
    pub fn acknowledge(&mut self, now: Instant, token: Token) -> Result<(), Error> {
        let method = match &self.exchange {
            Some((Waits::Answer { method, .. }, _)) => *method,
            _ => {
                return Err(Error::ApiMisuse(
                    "a request is answered once, by its own session",
                ));
            }
        };
        match Response::acknowledgement(method) {
            Some(response) => self.respond(now, token, Ok(response)),
            None => Err(Error::ApiMisuse("the response to this method has content")),
        }
    }

    /// Answers a request of the CPE. An error says that it is too late: the session is over, or
    /// was answered for after `think`. Fault 8005 to an Inform asks for the same one again; any
    /// other ends the session.
    pub fn respond(
        &mut self,
        now: Instant,
        token: Token,
        result: Result<Response, Fault>,
    ) -> Result<(), Error> {
        let matches =
            |waits: &Waits| matches!(waits, Waits::Answer { token: known, .. } if *known == token);
        let Some((waits, since)) = self.exchange.take_if(|(waits, _)| matches(waits)) else {
            return Err(Error::ApiMisuse(
                "a request is answered once, by its own session",
            ));
        };
        let Waits::Answer {
            id,
            method,
            use_version,
            ..
        } = &waits
        else {
            return Ok(());
        };
        match result {
            Ok(response) if response.method() != *method => {
                self.exchange = Some((waits, since));
                return Err(Error::ApiMisuse("the response is to another method"));
            }
            Ok(response) => {
                self.reply_with(now, id, response, *use_version);
                self.phase = Phase::Open;
            }
            Err(fault) => {
                let again = fault.code == FaultCode::ACS_RETRY_REQUEST;
                self.reply_fault(now, id, fault);
                if again {
                    // What comes next is the same, and is to be looked at.
                    self.asked = None;
                } else if *method == Method::Inform {
                    self.end(End::Refused);
                }
            }
        }
        Ok(())
    }

    /// A connection of the session is gone. The session goes on when the CPE comes back with its
    /// cookie; where it cannot, call [`Self::abandon`].
    pub fn connection_closed(&mut self) {
        self.broken = true;
        if self.phase == Phase::Ending {
            self.end(End::Complete);
        }
    }

    /// Gives the session up, for instance because a new one of the same CPE took its place.
    pub fn abandon(&mut self, now: Instant) {
        if self.exchange.is_some() {
            self.reply(now, Reply::unavailable());
        }
        self.end(End::Abandoned);
    }

    /// Ends what is over time: the caller's thinking, the CPE's silence, the grace after the end.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return;
        }
        match (&self.exchange, self.phase) {
            (Some((Waits::Turn, _)), _) => {
                self.ignore(Ignored::Unanswered);
                _ = self.finish(now);
            }
            (
                Some((
                    Waits::Answer {
                        method: Method::Inform,
                        ..
                    },
                    _,
                )),
                _,
            ) => {
                self.reply(now, Reply::unavailable());
                self.end(End::Unanswered);
            }
            (Some((Waits::Answer { id, .. }, _)), _) => {
                let id = id.clone();
                self.reply_fault(now, &id, Fault::plain(FaultCode::ACS_INTERNAL_ERROR));
                self.ignore(Ignored::Unanswered);
            }
            (None, Phase::Ending) => self.end(End::Complete),
            (None, _) => self.end(End::Silence),
        }
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        match (&self.exchange, self.phase) {
            (_, Phase::Ended) => None,
            (Some((_, since)), _) => since.checked_add(self.config.think),
            (None, Phase::Ending) => self.replied.checked_add(self.config.grace),
            (None, _) => self.replied.checked_add(self.silence),
        }
    }

    /// The answer to the last POST, once there is one.
    pub fn poll_transmit(&mut self) -> Option<Reply> {
        self.reply.take()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

fn limit(limit: &'static str, max: usize) -> Error {
    Error::LimitExceeded { limit, max }
}
