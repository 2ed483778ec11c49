//! What a session of the ACS makes of each POST. Deliberately nothing of what the caller asks for.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use super::{
    End, Event, Ignored, Outstanding, PeerError, Phase, Post, Reply, RequestId, Session, Token,
    Waits, limit,
};
use crate::error::{DecodeError, DecodeErrorKind, Error, excerpt};
use crate::fault::{Fault, FaultCode};
use crate::limits;
use crate::rpc::{GetRpcMethodsResponse, Method, Request, Response};
use crate::soap::{self, Body, Envelope, Oddities};
use crate::version::{self, Version};

impl Session {
    /// Takes a POST. An error means that it is refused with [`Reply::refused`] and changed nothing.
    pub fn handle_input(&mut self, now: Instant, post: Post<'_>) -> Result<(), Error> {
        if self.events.len() >= limits::EVENTS_MAX {
            return Err(limit("EVENTS_MAX", limits::EVENTS_MAX));
        }
        if self.messages >= limits::SESSION_MESSAGES_MAX && self.phase != Phase::Ended {
            let (limit, max) = ("SESSION_MESSAGES_MAX", limits::SESSION_MESSAGES_MAX);
            self.end(End::Limit { limit, max });
            return Err(Error::LimitExceeded { limit, max });
        }
        self.messages += 1;
        if post.body.iter().all(u8::is_ascii_whitespace) {
            return self.empty(now);
        }
        let hash = hash(post.body);
        let large = post.body.len() > limits::REQUEST_BYTES_MAX;
        let envelope = match self.phase {
            Phase::Fresh | Phase::Ended if large => return Err(too_large()),
            Phase::Fresh | Phase::Ended => soap::decode_opening(post.body, post.content_type),
            Phase::Open | Phase::Ending => soap::decode(post.body, post.content_type),
        };
        match envelope {
            Ok(envelope) if large && matches!(envelope.body, Body::Request(_)) => Err(too_large()),
            Err(error) if error.kind == DecodeErrorKind::EmptyBody => self.empty(now),
            Err(error) => self.malformed(now, error),
            Ok(envelope) if self.repeats(now, &envelope, hash) => Ok(()),
            Ok(mut envelope) => {
                bounded(&mut envelope);
                self.message(now, envelope, hash)
            }
        }
    }

    fn message(&mut self, now: Instant, envelope: Envelope, hash: u64) -> Result<(), Error> {
        if let Body::Request(Request::Inform(_)) = &envelope.body {
            self.informed(now, envelope, hash);
            return Ok(());
        }
        if matches!(self.exchange, Some((Waits::Turn, _)))
            && !matches!(envelope.body, Body::Request(_))
            && self.is_last_answered(&envelope.header.id)
        {
            // The same again, on another connection, while the caller thinks.
            let id = envelope.header.id;
            self.ignore(Ignored::Duplicate { id });
            return Ok(());
        }
        if self.exchange.is_some() {
            return Err(Error::PeerMisbehaved(
                "a message before the answer to the last one",
            ));
        }
        let (id, oddities) = (envelope.header.id, envelope.oddities);
        match envelope.body {
            Body::Request(request) => self.requested(now, request, id, oddities, hash),
            Body::Unknown { name } if !name.ends_with("Response") => {
                self.unserved(now, name, &id, oddities);
            }
            body => self.answer(now, body, id, oddities),
        }
        Ok(())
    }

    /// Whether a request of the CPE is the one that came last: the same bytes again. It gets the
    /// same answer, or waits for it.
    fn repeats(&mut self, now: Instant, envelope: &Envelope, hash: u64) -> bool {
        if self.asked != Some(hash) {
            return false;
        }
        if self.exchange.is_none() {
            self.resend(now);
        }
        let id = envelope.header.id.clone();
        self.ignore(Ignored::Duplicate { id });
        true
    }

    fn resend(&mut self, now: Instant) {
        if let Some(reply) = self.last.clone() {
            self.reply = Some(reply);
            self.replied = now;
            self.broken = false;
        }
    }

    fn informed(&mut self, now: Instant, envelope: Envelope, hash: u64) {
        let Envelope {
            namespace,
            header,
            body: Body::Request(Request::Inform(inform)),
            mut oddities,
        } = envelope
        else {
            return;
        };
        if self.phase != Phase::Ended && (self.phase != Phase::Fresh || self.exchange.is_some()) {
            self.end(End::Superseded);
        }
        self.phase = Phase::Fresh;
        self.namespace = namespace;
        self.asked = Some(hash);
        (self.cpe_requests, self.messages) = (0, 1);
        let asked = Duration::from_secs(header.session_timeout.unwrap_or_default().into());
        self.silence = self.bounded_silence().max(asked.min(limits::SILENCE_MAX));
        let list = header.supported_versions.as_deref();
        let theirs = list.and_then(version::supported);
        if list.is_some() && theirs.is_none() {
            oddities.add(Oddities::VERSIONS);
        }
        let chosen = match &theirs {
            Some(theirs) => version::newest(&self.config.versions, theirs),
            None => Some(version::inferred(
                namespace,
                header.session_timeout.is_some(),
            )),
        };
        let Some(version) = chosen else {
            let theirs = excerpt(header.supported_versions.as_deref().unwrap_or_default());
            self.reply_fault(
                now,
                &header.id,
                Fault::plain(FaultCode::ACS_VERSION_INCOMPATIBLE),
            );
            self.events.push_back(Event::Incompatible { theirs });
            return self.end(End::Incompatible);
        };
        self.version = version;
        // A CPE that did not list its versions must not see the header.
        let use_version = theirs.map(|_| version);
        let token = self.wait(now, header.id.clone(), Method::Inform, use_version);
        let inform = Box::new(inform);
        self.events.push_back(Event::Informed {
            token,
            inform,
            header,
            version,
            oddities,
        });
    }

    fn bounded_silence(&self) -> Duration {
        self.config
            .silence
            .clamp(limits::SILENCE_MIN, limits::SILENCE_MAX)
    }

    /// Leaves the exchange open until the caller answers.
    fn wait(
        &mut self,
        now: Instant,
        id: String,
        method: Method,
        use_version: Option<Version>,
    ) -> Token {
        let token = Token(self.next);
        self.next += 1;
        self.exchange = Some((
            Waits::Answer {
                token,
                id,
                method,
                use_version,
            },
            now,
        ));
        token
    }

    fn requested(
        &mut self,
        now: Instant,
        request: Request,
        id: String,
        oddities: Oddities,
        hash: u64,
    ) {
        self.phase = Phase::Open;
        self.asked = Some(hash);
        let method = request.method();
        self.cpe_requests += 1;
        if self.cpe_requests > limits::CPE_REQUESTS_MAX {
            self.reply_fault(now, &id, Fault::plain(FaultCode::ACS_RESOURCES_EXCEEDED));
            let (limit, max) = ("CPE_REQUESTS_MAX", limits::CPE_REQUESTS_MAX);
            return self.end(End::Limit { limit, max });
        }
        if !self.config.methods.contains(&method) {
            return self.unserved(now, method.name().to_owned(), &id, oddities);
        }
        if method == Method::GetRpcMethods {
            let known = self
                .config
                .methods
                .iter()
                .filter(|method| method.since() <= self.version);
            let methods = known.map(|method| method.name().to_owned()).collect();
            let response = Response::from(GetRpcMethodsResponse { methods });
            self.reply_with(now, &id, response, None);
            return self.events.push_back(Event::Served { request, oddities });
        }
        let token = self.wait(now, id, method, None);
        self.events.push_back(Event::Requested {
            token,
            request,
            oddities,
        });
    }

    fn unserved(&mut self, now: Instant, name: String, id: &str, oddities: Oddities) {
        self.phase = Phase::Open;
        self.reply_fault(now, id, Fault::plain(FaultCode::ACS_METHOD_NOT_SUPPORTED));
        self.ignore(Ignored::Unserved { name, oddities });
    }

    /// Whether this is the id of the request that was answered last.
    fn is_last_answered(&self, id: &str) -> bool {
        let last = self.last_answered;
        !id.is_empty() && last.is_some_and(|last| self.wire_id(last) == id)
    }

    /// A response or a fault: to what is outstanding, to what was (again), or to nothing.
    fn answer(&mut self, now: Instant, body: Body, id: String, oddities: Oddities) {
        let name = body.name().to_owned();
        if self.is_last_answered(&id) {
            self.resend(now);
            return self.ignore(Ignored::Duplicate { id });
        }
        let Some(outstanding) = self.outstanding.take() else {
            self.ignore(Ignored::Unmatched { name, id, oddities });
            return self.turn(now);
        };
        let result = match body {
            _ if !id.is_empty() && id != self.wire_id(outstanding.id) => {
                Err(PeerError::WrongId(excerpt(&id)))
            }
            Body::Fault(fault) => Err(PeerError::Fault(fault)),
            Body::Response(response) if response.method() == outstanding.method => Ok(response),
            _ => Err(PeerError::WrongResponse(name)),
        };
        self.answered(now, outstanding.id, result, oddities);
    }

    fn answered(
        &mut self,
        now: Instant,
        id: RequestId,
        result: Result<Response, PeerError>,
        oddities: Oddities,
    ) {
        self.last_answered = Some(id);
        self.events.push_back(Event::Answered {
            id,
            result,
            oddities,
        });
        self.turn(now);
    }

    /// The CPE has nothing to ask.
    fn empty(&mut self, now: Instant) -> Result<(), Error> {
        match (&self.exchange, self.phase) {
            // The same again, on another connection.
            (Some((Waits::Turn, _)), _) => self.ignore(Ignored::Duplicate { id: String::new() }),
            (Some(_), _) => {
                return Err(Error::PeerMisbehaved(
                    "a message before the answer to the last one",
                ));
            }
            (None, Phase::Fresh | Phase::Ended) => {
                self.reply(now, Reply::empty());
                self.ignore(Ignored::Probe);
            }
            (None, Phase::Ending) => {
                self.reply(now, Reply::empty());
                self.end(End::Complete);
            }
            (None, Phase::Open) => match self.outstanding.take() {
                // It may repeat its empty POST because our request did not arrive. It may also have
                // done what we asked, so that only what does no harm twice goes out again, once.
                Some(outstanding)
                    if self.broken && outstanding.method.is_repeatable() && !outstanding.resent =>
                {
                    self.outstanding = Some(Outstanding {
                        resent: true,
                        ..outstanding
                    });
                    self.resend(now);
                    self.ignore(Ignored::Duplicate { id: String::new() });
                }
                Some(outstanding) => {
                    self.answered(
                        now,
                        outstanding.id,
                        Err(PeerError::Empty),
                        Oddities::default(),
                    );
                }
                None => self.turn(now),
            },
        }
        Ok(())
    }

    fn malformed(&mut self, now: Instant, error: DecodeError) -> Result<(), Error> {
        let is_fresh = matches!(self.phase, Phase::Fresh | Phase::Ended);
        if self.exchange.is_none() && is_fresh && error.is_unserved_request() {
            // An Inform: no session comes of it, and the CPE is told why.
            self.namespace = error.namespace.unwrap_or_default();
            self.reply_fault(now, &error.id, error.acs_fault());
            self.ignore(Ignored::Malformed(error));
            return Ok(());
        }
        if is_fresh || self.exchange.is_some() {
            return Err(error.into());
        }
        let is_request =
            error.is_unserved_request() || Method::parse(&error.method).is_some_and(Method::is_acs);
        match self.outstanding.take_if(|_| !is_request) {
            Some(outstanding) => {
                let result = Err(PeerError::Malformed(error));
                self.answered(now, outstanding.id, result, Oddities::default());
            }
            None => {
                self.reply_fault(now, &error.id, error.acs_fault());
                self.ignore(Ignored::Malformed(error));
            }
        }
        Ok(())
    }

    /// It is our turn: the next request, or the caller's decision.
    pub(super) fn turn(&mut self, now: Instant) {
        self.phase = Phase::Open;
        self.asked = None;
        match self.queue.pop_front() {
            Some((id, request)) => self.send(now, id, request),
            None => {
                self.exchange = Some((Waits::Turn, now));
                self.events.push_back(Event::Turn);
            }
        }
    }
}

fn too_large() -> Error {
    limit("REQUEST_BYTES_MAX", limits::REQUEST_BYTES_MAX)
}

/// How many an Inform has.
/// Leaves out the parameters of an Inform that are too many.
fn bounded(envelope: &mut Envelope) {
    if let Body::Request(Request::Inform(inform)) = &mut envelope.body
        && inform.parameters.len() > limits::INFORM_PARAMETERS_MAX
    {
        inform.parameters.truncate(limits::INFORM_PARAMETERS_MAX);
        inform.parameters.shrink_to_fit();
        envelope.oddities.add(Oddities::INFORM_PARAMETERS);
    }
}

fn hash(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}
