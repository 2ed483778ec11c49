//! What a CPE makes of each answer of the ACS. Deliberately nothing of what the caller reports.

use std::time::Instant;

use bytes::Bytes;

use super::{Event, Failure, Phase, Reply, ReportId, Session, Token};
use crate::error::{DecodeErrorKind, Error};
use crate::fault::{Fault, FaultCode, Retry};
use crate::limits;
use crate::rpc::{GetRpcMethodsResponse, Method, Request, Response};
use crate::soap::{self, Body, Envelope, Oddities};
use crate::version::Version;

impl Session {
    /// Takes the answer to a POST. A bad one ends the session, which is told as an event; an error
    /// is only that the caller does not take its events.
    pub fn handle_input(&mut self, now: Instant, reply: Reply<'_>) -> Result<(), Error> {
        if self.events.len() >= limits::EVENTS_MAX {
            return Err(Error::LimitExceeded {
                limit: "EVENTS_MAX",
                max: limits::EVENTS_MAX,
            });
        }
        let Some(active) = self.active.as_mut().filter(|active| active.sent.is_some()) else {
            self.events.push_back(Event::Unexpected);
            return Ok(());
        };
        active.sent = None;
        active.messages += 1;
        if active.messages > limits::SESSION_MESSAGES_MAX {
            self.fail(now, Failure::Misbehaved("the session has no end"));
            return Ok(());
        }
        if !matches!(reply.status, 200..=299) {
            self.fail(now, Failure::Status(reply.status));
            return Ok(());
        }
        if reply.body.iter().all(u8::is_ascii_whitespace) {
            self.silence_of_acs(now);
            return Ok(());
        }
        match soap::decode(reply.body, reply.content_type) {
            Ok(envelope) => self.message(now, envelope),
            Err(error) if error.kind == DecodeErrorKind::EmptyBody => self.silence_of_acs(now),
            Err(error)
                if self.is_listening()
                    && (error.is_unserved_request() || Method::parse(&error.method).is_some()) =>
            {
                // A request that cannot be served like this; the session can go on.
                self.post_envelope(now, &error.id, error.cpe_fault());
            }
            Err(error) => self.fail(now, Failure::Malformed(error)),
        }
        Ok(())
    }

    fn is_listening(&self) -> bool {
        matches!(&self.active, Some(active) if matches!(active.phase, Phase::Listening))
    }

    /// The ACS has nothing more: our held reports may go, and then all is said.
    fn silence_of_acs(&mut self, now: Instant) {
        let Some(active) = &mut self.active else {
            return;
        };
        match active.phase {
            Phase::Listening => {
                active.hold = false;
                if !self.report_next(now) {
                    self.end(now);
                }
            }
            _ => self.fail(now, Failure::Misbehaved("an empty answer to a request")),
        }
    }

    fn message(&mut self, now: Instant, envelope: Envelope) {
        // A request is refused with a fault, an answer cannot be.
        if envelope.oddities.has(Oddities::UNKNOWN_HEADER) {
            let why = "an answer with a header that must be understood, and is not known";
            return self.fail(now, Failure::Misbehaved(why));
        }
        if envelope.oddities.has(Oddities::SECOND_MESSAGE) {
            return self.fail(now, Failure::Misbehaved("two messages in one answer"));
        }
        let Some(active) = &mut self.active else {
            return;
        };
        active.hold = envelope.header.hold_requests.unwrap_or(false);
        let phase = std::mem::replace(&mut active.phase, Phase::Listening);
        match phase {
            Phase::Informed { id, body, repeats } => {
                self.informed(now, envelope, id, body, repeats)
            }
            Phase::Reporting {
                id,
                wire_id,
                method,
            } => {
                self.reported(now, envelope, id, &wire_id, method);
            }
            Phase::Listening => self.requested(now, envelope),
            Phase::Starting | Phase::Working { .. } => {
                self.fail(now, Failure::Misbehaved("an answer to nothing"));
            }
        }
    }

    fn informed(
        &mut self,
        now: Instant,
        envelope: Envelope,
        id: String,
        body: Bytes,
        repeats: u32,
    ) {
        if !answers(&envelope, &id) {
            return self.fail(now, Failure::Misbehaved("an answer with another id"));
        }
        match envelope.body {
            Body::Response(Response::Inform(_)) => {}
            Body::Fault(fault)
                if fault.code.retry() == Retry::Again && repeats < limits::INFORM_REPEATS_MAX =>
            {
                if let Some(active) = &mut self.active {
                    let body = body.clone();
                    active.phase = Phase::Informed {
                        id,
                        body,
                        repeats: repeats + 1,
                    };
                }
                return self.post(now, body);
            }
            Body::Fault(fault) => return self.fail(now, Failure::Refused(fault)),
            _ => return self.fail(now, Failure::Misbehaved("no InformResponse to an Inform")),
        }
        if let Some(wanted) = envelope.header.use_version {
            match Version::parse(&wanted).filter(|wanted| self.config.versions.contains(wanted)) {
                Some(version) => self.version = version,
                None => return self.fail(now, Failure::Incompatible(wanted)),
            }
        }
        if let Some(active) = &self.active {
            self.queue.informed(&active.told);
        }
        self.go_on(now);
    }

    /// Our turn: a report, or an empty POST.
    fn go_on(&mut self, now: Instant) {
        if !self.report_next(now)
            && let Some(active) = &mut self.active
        {
            active.phase = Phase::Listening;
            self.post(now, Bytes::new());
        }
    }

    /// Sends the next report, unless there is none or they are held.
    fn report_next(&mut self, now: Instant) -> bool {
        let wire_id = self.wire_id();
        let Some(active) = &mut self.active else {
            return false;
        };
        // A session for a heartbeat is for nothing else.
        let heartbeat = active
            .told
            .iter()
            .any(|event| event.code == crate::event::EventCode::Heartbeat);
        if active.hold || heartbeat {
            return false;
        }
        let Some(report) = self.queue.next_report(active.number) else {
            return false;
        };
        let request = report.request.clone();
        active.phase = Phase::Reporting {
            id: report.id,
            wire_id: wire_id.clone(),
            method: request.method(),
        };
        self.post_envelope(now, &wire_id, request);
        true
    }

    fn reported(
        &mut self,
        now: Instant,
        envelope: Envelope,
        id: u64,
        wire_id: &str,
        method: Method,
    ) {
        if !answers(&envelope, wire_id) {
            return self.fail(now, Failure::Misbehaved("an answer with another id"));
        }
        let result = match envelope.body {
            Body::Response(response) if response.method() == method => Ok(response),
            Body::Fault(fault) => Err(fault),
            _ => {
                return self.fail(
                    now,
                    Failure::Misbehaved("another answer than to our request"),
                );
            }
        };
        match &result {
            Err(fault) if matches!(fault.code.retry(), Retry::Again | Retry::Later) => {
                if let Some(active) = &mut self.active {
                    active.postponed = true;
                }
            }
            _ => self.queue.remove_report(id),
        }
        let id = ReportId(id);
        self.events.push_back(Event::Reported { id, result });
        self.go_on(now);
    }

    fn requested(&mut self, now: Instant, envelope: Envelope) {
        let id = envelope.header.id;
        let request = match envelope.body {
            Body::Request(request) => request,
            Body::Unknown { name } if !name.ends_with("Response") => {
                let fault = Fault::plain(FaultCode::METHOD_NOT_SUPPORTED);
                return self.post_envelope(now, &id, fault);
            }
            _ => return self.fail(now, Failure::Misbehaved("an answer to nothing")),
        };
        let method = request.method();
        if !self.config.methods.contains(&method) {
            let fault = Fault::plain(FaultCode::METHOD_NOT_SUPPORTED);
            return self.post_envelope(now, &id, fault);
        }
        if let Request::GetRpcMethods(_) = request {
            let methods = self
                .config
                .methods
                .iter()
                .map(|method| method.name().to_owned());
            let response = GetRpcMethodsResponse {
                methods: methods.collect(),
            };
            return self.post_envelope(now, &id, Response::from(response));
        }
        let token = Token(self.fresh());
        if let Some(active) = &mut self.active {
            active.phase = Phase::Working { token, id, method };
        }
        self.events.push_back(Event::Requested { token, request });
    }
}

/// Whether an answer is to this id; one without an id is.
fn answers(envelope: &Envelope, id: &str) -> bool {
    envelope.header.id.is_empty() || envelope.header.id == id
}
