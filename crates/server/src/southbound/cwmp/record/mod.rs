//! What is said in one session, as people may read it afterwards: message by message, without
//! secrets, and no more than there is room for. Its first and its last messages tell most, so that
//! the middle goes first.
//!
//! Not here: writing it to the store, see `keeper`.

mod faults;
pub mod keeper;
mod text;
mod watch;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use ::cwmp::acs::Reply;
use ::cwmp::rpc::Inform;
use ::cwmp::soap::{self, Body, Envelope, Header, Namespace, Oddities};
use ::cwmp::{Fault, Request, Response};
use fleet::{SessionId, Timestamp, secret};
use store::{ManagementSession, SessionEntry, SessionFault, SessionTranscript};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::TRANSPORT;
use super::cpe::Guest;
use super::limits::{
    RECORD_BYTES_MAX, RECORD_ENTRIES_MAX, RECORD_ENTRY_BYTES, RECORD_EVENTS_MAX, RECORD_FAULTS_MAX,
    RECORD_SECRETS_MAX,
};
use crate::southbound::refusal::Peer;
use crate::state::now;
use keeper::Kept;

/// From the device.
const IN: &str = "in";
/// To it.
const OUT: &str = "out";
/// A word of ours.
const NOTE: &str = "note";

/// The record of one session.
pub struct Record {
    started_at: Timestamp,
    events: Vec<String>,
    /// The first messages.
    head: Vec<SessionEntry>,
    head_bytes: usize,
    /// The last ones.
    tail: VecDeque<SessionEntry>,
    tail_bytes: usize,
    left_out: usize,
    faults: Vec<SessionFault>,
    faults_count: u64,
    /// What is asked and not answered yet.
    asked: Option<Request>,
    /// What the device was told in secret: it may repeat that.
    secrets: VecDeque<String>,
    /// An answer that has left, and is written down after what it answers.
    outgoing: Option<Reply>,
    rooms: Arc<Semaphore>,
    room: Option<OwnedSemaphorePermit>,
}

impl Record {
    /// A record that begins with an Inform. Its text takes room from `rooms`, in bytes.
    pub fn new(rooms: Arc<Semaphore>, inform: &Inform, header: Header, odd: Oddities) -> Box<Self> {
        let events = inform.events.iter().take(RECORD_EVENTS_MAX);
        let events = events.map(|event| text::short(&event.code.to_string()));
        let mut record = Box::new(Self {
            started_at: now(),
            events: events.collect(),
            head: Vec::new(),
            head_bytes: 0,
            tail: VecDeque::new(),
            tail_bytes: 0,
            left_out: 0,
            faults: Vec::new(),
            faults_count: 0,
            asked: None,
            secrets: VecDeque::new(),
            outgoing: None,
            rooms,
            room: None,
        });
        let (body, left) = text::shortened_inform(inform);
        let envelope = Envelope {
            namespace: Namespace::default(),
            header,
            body: Body::Request(body.into()),
            oddities: odd,
        };
        record.message(IN, envelope, left);
        record
    }

    /// The device asks something.
    pub fn requested(&mut self, request: &Request, odd: Oddities) {
        for fault in faults::reported(request) {
            self.fault(fault);
        }
        let (body, left) = text::shortened(&Body::Request(request.clone()));
        let mut envelope = Envelope::new(Namespace::default(), "", Body::Fault(Fault::default()));
        (envelope.body, envelope.oddities) = (body, odd);
        self.message(IN, envelope, left);
    }

    /// It is asked something; what leaves is told by [`Self::sent`].
    pub fn asks(&mut self, request: &Request) {
        for secret in request.secrets(&text::is_secret) {
            if !secret.is_empty() && !self.secrets.iter().any(|known| known == secret) {
                if self.secrets.len() >= RECORD_SECRETS_MAX {
                    self.secrets.pop_front();
                }
                self.secrets.push_back(secret.to_owned());
            }
        }
        self.asked = Some(request.clone());
    }

    /// It has answered what it was asked, well.
    pub fn answered(&mut self, id: &str, response: &Response, odd: Oddities) {
        self.asked = None;
        let (body, left) = text::shortened_response(response);
        let mut envelope = Envelope::new(Namespace::default(), id, Fault::default());
        (envelope.body, envelope.oddities) = (body, odd);
        self.message(IN, envelope, left);
    }

    /// It has said no.
    pub fn refused(&mut self, id: &str, fault: &Fault, odd: Oddities) {
        if let Some(asked) = self.asked.take() {
            for fault in faults::answered(&asked, fault) {
                self.fault(fault);
            }
        }
        let mut envelope = Envelope::new(Namespace::default(), id, fault.clone());
        envelope.oddities = odd;
        self.message(IN, envelope, 0);
    }

    fn fault(&mut self, mut fault: SessionFault) {
        self.faults_count += 1;
        if self.faults.len() < RECORD_FAULTS_MAX {
            fault.message = self.scrubbed(&fault.message).0;
            self.faults.push(fault);
        }
    }

    /// A question is not answered any more.
    pub fn unanswered(&mut self, why: &str) {
        if let Some(asked) = self.asked.take() {
            self.note(&format!("{} was not answered: {why}", asked.method()));
        }
    }

    /// A POST without a body: the device has nothing to say.
    pub fn nothing(&mut self) {
        self.write(IN, "empty", "(nothing to say)".to_owned());
    }

    /// A body that is no message, or none that belongs here, as it came.
    pub fn raw(&mut self, what: &str, body: &[u8]) {
        let shown = ::cwmp::transcript::raw(body, &text::is_secret);
        self.show(IN, what, &shown, 0);
    }

    /// An answer has left. It is written down after what it answers, of which we hear afterwards.
    pub fn sent(&mut self, reply: Reply) {
        self.settle();
        self.outgoing = Some(reply);
    }

    /// Whether an answer has left that is not written down yet.
    pub fn is_owing(&self) -> bool {
        self.outgoing.is_some()
    }

    /// What has left is written down.
    pub fn settle(&mut self) {
        let Some(reply) = self.outgoing.take() else {
            return;
        };
        if reply.body.is_empty() {
            let words = match reply.status {
                204 => "(nothing more: the session may end)".to_owned(),
                status => format!("(HTTP {status})"),
            };
            return self.write(OUT, "empty", words);
        }
        match soap::decode(&reply.body, None) {
            Ok(mut envelope) => {
                let (body, left) = text::shortened(&envelope.body);
                (envelope.body, envelope.oddities) = (body, Oddities::default());
                self.message(OUT, envelope, left);
            }
            Err(error) => self.note(&format!("what was sent cannot be shown: {error}")),
        }
    }

    /// An answer in HTTP's own words.
    pub fn turned_away(&mut self, status: u16) {
        self.settle();
        self.write(OUT, "empty", format!("(HTTP {status})"));
    }

    /// A word of ours.
    pub fn note(&mut self, words: &str) {
        let (text, _) = self.scrubbed(words);
        self.write(NOTE, NOTE, text);
    }

    fn message(&mut self, direction: &str, envelope: Envelope, left: usize) {
        let kind = text::short(envelope.body.name());
        let shown = ::cwmp::transcript::text(&envelope.masked(&text::is_secret));
        self.show(direction, &kind, &shown, left);
    }

    /// Writes down a text without secrets, cut; `left` things are not in it.
    fn show(&mut self, direction: &str, kind: &str, shown: &str, left: usize) {
        let (mut text, cut) = self.scrubbed(shown);
        if left > 0 {
            text.push_str(&format!("\n... and {left} more"));
        } else if cut {
            text.push_str("\n... and more");
        }
        self.write(direction, kind, text);
    }

    fn scrubbed(&self, text: &str) -> (String, bool) {
        let secrets: Vec<&str> = self.secrets.iter().map(String::as_str).collect();
        secret::excerpt(text, &secrets, super::limits::RECORD_CHARS_MAX)
    }

    fn write(&mut self, direction: &str, kind: &str, text: String) {
        let size = text.len() + RECORD_ENTRY_BYTES;
        let entry = SessionEntry {
            at: now(),
            direction: direction.to_owned(),
            kind: kind.to_owned(),
            masked: text.contains(secret::MASK),
            text,
        };
        let permits = u32::try_from(size).unwrap_or(u32::MAX);
        let Ok(more) = self.rooms.clone().try_acquire_many_owned(permits) else {
            self.left_out += 1;
            return;
        };
        match &mut self.room {
            Some(room) => room.merge(more),
            None => self.room = Some(more),
        }
        let first = self.left_out == 0 && self.tail.is_empty();
        if first
            && self.head.len() < RECORD_ENTRIES_MAX / 2
            && self.head_bytes + size <= RECORD_BYTES_MAX / 2
        {
            self.head_bytes += size;
            return self.head.push(entry);
        }
        self.tail_bytes += size;
        self.tail.push_back(entry);
        while self.tail.len() > RECORD_ENTRIES_MAX / 2 || self.tail_bytes > RECORD_BYTES_MAX / 2 {
            let Some(gone) = self.tail.pop_front() else {
                return;
            };
            let size = gone.text.len() + RECORD_ENTRY_BYTES;
            self.tail_bytes -= size;
            self.left_out += 1;
            // Dropped: given back.
            drop(self.room.as_mut().and_then(|room| room.split(size)));
        }
    }

    /// The session is over, for this reason.
    pub fn end(mut self, guest: &Guest, peer: SocketAddr, ending: &str) -> Kept {
        self.settle();
        let ending = self.scrubbed(ending).0;
        let session = ManagementSession {
            id: SessionId::new(self.started_at, crate::secret::id_bits()),
            device: guest.device,
            protocol: TRANSPORT.to_owned(),
            started_at: self.started_at,
            ended_at: now(),
            peer: Peer::At(peer).to_string(),
            events: self.events,
            ending,
            faults: self.faults_count,
        };
        let mut entries = self.head;
        entries.extend(self.tail);
        let transcript = SessionTranscript {
            entries,
            left_out: self.left_out,
            faults: self.faults,
        };
        Kept {
            tenant: guest.tenant.clone(),
            session,
            transcript,
            room: self.room,
        }
    }
}

#[cfg(test)]
mod tests;
