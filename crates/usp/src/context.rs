//! The end-to-end session context of TR-369: records in order and once over transports that lose and repeat them,
//! messages larger than a record may be, integrity, and encryption between the endpoints themselves.
//!
//! A [`Context`] carries messages towards one peer. It opens session contexts, one after the other, takes the peer's,
//! and tells of each message it was given that it arrived, or that nobody can know. What a restart leaves open is not
//! sent again by itself: only who wrote a message knows whether it may be told twice.
//!
//! Deliberately not here: whether contexts are used at all ([`Mode`] is obeyed by the sessions), cryptography (see
//! [`Identity`]), and memory across channels: a context lives no longer than the channel it was opened on.

mod config;
mod event;
mod inbox;
pub mod integrity;
mod open;
mod outbox;
pub mod sar;
mod seal;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::endpoint::EndpointId;
use crate::limits;
use crate::record::{PayloadSecurity, Record, RecordType, SessionContextRecord};
use crate::retry::Random;
use crate::session::pop;
use crate::version::Version;
use config::Limit;
pub use config::{Config, Mode, Payload};
pub use event::{Event, Failure, MessageId, Status};
use inbox::Held;
pub use integrity::{Channel, Fingerprint, Identity, Proof};
use open::{Draft, Open};
use seal::seal;
pub(crate) use seal::{has_mac, sign};

enum State {
    Idle,
    /// The last one failed; the next is opened then.
    Waiting(Instant),
    Open(Box<Open>),
}

/// Session contexts towards one peer. Sans-IO: give it inputs and moments, take transmits and events.
pub struct Context {
    config: Arc<Config>,
    own: EndpointId,
    peer: EndpointId,
    random: Random,
    /// The last moment we were told.
    now: Instant,
    state: State,
    /// Ids of contexts that are over: late records of theirs open nothing. R-E2E.3
    ended: VecDeque<u64>,
    /// Late records since the last one in time.
    late: u32,
    failures: u32,
    /// The peer has proved who it is in an encrypted one. From then on nothing in plain text is the peer's, in whichever
    /// context: anybody on the way could have made it.
    secured: bool,
    /// When we last opened one.
    opened: Option<Instant>,
    /// The largest session id there was.
    newest: u64,
    next: u64,
    waiting: Option<(MessageId, Vec<u8>)>,
    events: VecDeque<Event>,
}

impl Context {
    /// None is open yet. `seed` is a random number, for session ids and waits.
    pub fn new(
        config: Arc<Config>,
        own: EndpointId,
        peer: EndpointId,
        seed: u64,
        now: Instant,
    ) -> Self {
        Self {
            config,
            own,
            peer,
            random: Random(seed),
            now,
            state: State::Idle,
            ended: VecDeque::new(),
            late: 0,
            failures: 0,
            secured: false,
            opened: None,
            newest: 0,
            next: 1,
            waiting: None,
            events: VecDeque::new(),
        }
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        match &self.state {
            State::Idle => Status::Down,
            State::Waiting(_) => Status::Negotiating,
            State::Open(open) if open.is_up() => Status::Up,
            State::Open(_) => Status::Negotiating,
        }
    }

    /// Whether what it carries is encrypted between the endpoints themselves.
    pub fn is_encrypted(&self) -> bool {
        match &self.state {
            State::Open(open) => open.security == PayloadSecurity::TLS12,
            _ => false,
        }
    }

    /// Whether the peer has proved who it is in an encrypted one, this or one before.
    pub fn is_secured(&self) -> bool {
        self.secured
    }

    /// The peer has proved itself before the first of these.
    pub(crate) fn stay_secured(&mut self) {
        self.secured = true;
    }

    /// Failures in a row (`CurrentRetryCount`).
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The context that is open.
    pub fn session_id(&self) -> Option<u64> {
        match &self.state {
            State::Open(open) => Some(open.id),
            _ => None,
        }
    }

    /// Whether a message can be given to [`Self::send`].
    pub fn is_ready(&self) -> bool {
        self.waiting.is_none()
            && match &self.state {
                State::Idle => true,
                State::Waiting(_) => false,
                State::Open(open) => open.is_ready(self.now),
            }
    }

    /// Opens one, if there is none.
    pub fn open(&mut self, now: Instant) {
        self.now = now;
        if matches!(self.state, State::Idle) {
            self.begin(None);
        }
    }

    /// Ends the one there is and opens another (`E2ESession.Reset()`).
    pub fn reset(&mut self, now: Instant) {
        self.now = now;
        self.failures = 0;
        self.end(Failure::Reset);
        self.begin(None);
    }

    /// Takes a message to send; it must be ready.
    pub fn send(&mut self, now: Instant, message: Vec<u8>) -> MessageId {
        debug_assert!(self.is_ready(), "one message at a time");
        self.now = now;
        let id = MessageId(self.next);
        self.next += 1;
        self.waiting = Some((id, message));
        id
    }

    /// Takes a record of the peer that holds a session context. Its signature, if it has one, was looked at; its MAC
    /// is looked at here. Says whether it is the peer's for all that is known of it.
    pub fn receive(&mut self, now: Instant, record: Record) -> bool {
        self.now = now;
        self.take(record).unwrap_or_else(|failure| {
            self.fail(failure);
            false
        })
    }

    fn take(&mut self, record: Record) -> Result<bool, Failure> {
        let proof = has_mac(&record).then(|| Proof::of(&record)).flatten();
        let security = record.payload_security;
        let RecordType::SessionContext(content) = record.record_type else {
            return Ok(false);
        };
        if proof.is_some() && self.is_proved() && self.session_id() != Some(content.session_id) {
            // Keys are made in the context that they are for: where there is one, these are late or anybody's.
            return Ok(false);
        }
        if self.secured
            && security != PayloadSecurity::TLS12
            && self.session_id() != Some(content.session_id)
        {
            return self.late(Failure::Security);
        }
        if content.session_id <= 1 {
            return Err(Failure::SessionId);
        }
        if security != PayloadSecurity::TLS12 && content.payload.len() > 1 {
            return Err(Failure::Payloads);
        }
        if !self.enter(&content, security)? {
            return Ok(false);
        }
        let (now, limit) = (self.now, self.limit());
        let State::Open(open) = &mut self.state else {
            return Ok(false);
        };
        if open.security != security {
            return Err(Failure::Security);
        }
        open.stale |= expired(&self.config, open, now);
        let proved = open.receive(now, Held::new(content, proof), &limit, &mut self.events);
        self.secured |= open.is_secured();
        let proved = proved?;
        if open.exhausted {
            self.end(Failure::Exhausted);
            self.begin(None);
            return Ok(proved);
        }
        // R-E2E.12
        if open.is_up() {
            self.failures = 0;
        }
        self.late = 0;
        Ok(proved)
    }

    /// Whether there is a context in which the peer has shown that it has its keys.
    fn is_proved(&self) -> bool {
        matches!(&self.state, State::Open(open) if open.is_proved())
    }

    /// The peer has ended it; the next message opens another. R-E2E.6b
    pub fn ended(&mut self, now: Instant, reason: String) {
        self.now = now;
        self.end(Failure::Terminated(reason));
    }

    /// A record of the peer has no integrity, and was dropped. R-E2E.23
    pub fn distrust(&mut self, now: Instant) {
        self.now = now;
        self.fail(Failure::Integrity);
    }

    /// Makes the context of a record the current one; false when the record counts for none.
    fn enter(
        &mut self,
        content: &SessionContextRecord,
        security: PayloadSecurity,
    ) -> Result<bool, Failure> {
        if self.session_id() == Some(content.session_id) {
            return Ok(true);
        }
        let ended = self.ended.contains(&content.session_id);
        if let State::Open(open) = &mut self.state {
            if open.ours && !open.heard && (ended || content.session_id < open.id) {
                open.hello_again(self.now);
                return Ok(false);
            }
            // Both have opened one at about the same time: that with the larger id stays.
            let lately = |at| self.now < at + limits::CONTEXT_TIE_WAIT;
            if content.session_id < open.id && self.opened.is_some_and(lately) {
                return Ok(false);
            }
        }
        if ended {
            return self.late(Failure::Ended);
        }
        if !self.config.payload.allows(security) {
            return Err(Failure::Security);
        }
        // A peer that goes on where another channel ended: what is missing is gone, and nobody needs to wait for it.
        if content.sequence_id != 1 && !self.config.lossy {
            return Err(Failure::Missing(1));
        }
        // R-E2E.4, .6
        self.begin(Some((content.session_id, security)));
        Ok(true)
    }

    /// A record counts for nothing. After many in a row the peer means it, and does not know how we stand.
    fn late(&mut self, otherwise: Failure) -> Result<bool, Failure> {
        self.late += 1;
        match self.late > limits::CONTEXT_LATE_MAX {
            true => Err(otherwise),
            false => Ok(false),
        }
    }

    /// Opens a context, ours or the peer's.
    fn begin(&mut self, theirs: Option<(u64, PayloadSecurity)>) {
        self.forget();
        let ours = theirs.is_none();
        let (id, security) =
            theirs.unwrap_or_else(|| (self.fresh_id(), self.config.payload.ours(self.secured)));
        self.newest = self.newest.max(id);
        if ours {
            self.opened = Some(self.now);
        }
        let mut channel = None;
        if security == PayloadSecurity::TLS12 {
            // The opener is the client.
            let made = match &self.config.identity {
                Some(identity) => identity.channel(ours, &self.peer),
                None => Err("there is no certificate for it".to_owned()),
            };
            match made {
                Ok(made) => channel = Some(made),
                Err(why) => return self.fail(Failure::Tls(why)),
            }
        }
        let room = self.limit().room;
        let lossy = self.config.lossy;
        let mut open = Box::new(Open::new(self.now, id, ours, lossy, security, channel));
        if ours {
            open.greet(room);
        }
        self.state = State::Open(open);
        self.events.push_back(Event::Opened {
            session_id: id,
            by_us: ours,
        });
    }

    /// An id for a context of ours: larger than any before, so that of two the newer is known. R-E2E.3
    fn fresh_id(&mut self) -> u64 {
        let random = self.random.next();
        let newer = self.newest.checked_add(1 + (random >> 32));
        newer
            .filter(|_| self.newest > 0)
            .unwrap_or(2 + (random >> 2))
    }

    /// Ends the context and opens another, the first time at once. R-E2E.10, .21
    fn fail(&mut self, why: Failure) {
        if matches!(self.state, State::Waiting(_)) {
            return;
        }
        self.end(why);
        let wait = match self.failures {
            0 => Duration::ZERO,
            failures => self.config.retry.wait(failures, self.random.next()),
        };
        self.failures = self.failures.saturating_add(1);
        self.state = State::Waiting(self.now + wait);
    }

    fn end(&mut self, why: Failure) {
        self.forget();
        self.events.push_back(Event::Failed(why));
    }

    /// Leaves the context there is.
    fn forget(&mut self) {
        self.late = 0;
        if let State::Open(open) = std::mem::replace(&mut self.state, State::Idle) {
            if self.ended.len() >= limits::CONTEXT_ENDED_MAX {
                self.ended.pop_front();
            }
            self.ended.push_back(open.id);
            self.events.extend(open.unknown().map(Event::Unconfirmed));
        }
    }

    fn limit(&self) -> Limit {
        let most = match self.config.record_bytes_max {
            0 => limits::RECORD_BYTES_MAX,
            most => most.min(limits::RECORD_BYTES_MAX),
        };
        Limit {
            resends: self.config.retransmits_max.unwrap_or(u32::MAX),
            room: most.saturating_sub(self.overhead()),
        }
    }

    /// Bytes of a record beside its payload, at most.
    fn overhead(&self) -> usize {
        let ids = self.own.as_str().len() + self.peer.as_str().len();
        let seal = match &self.config.identity {
            Some(identity) if self.config.sign => {
                limits::CONTEXT_SEAL_BYTES + identity.certificate().len()
            }
            Some(_) => limits::CONTEXT_SEAL_BYTES,
            None => 0,
        };
        limits::CONTEXT_ENVELOPE_BYTES + ids + seal
    }

    /// Opens what is due, asks for what is missing, gives up what does not come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        let limit = self.limit();
        match &mut self.state {
            State::Idle => {}
            State::Waiting(at) if *at <= now => self.begin(None),
            State::Waiting(_) => {}
            State::Open(open) => {
                if let Err(failure) = open.handle_timeout(now, &limit, &mut self.events) {
                    self.fail(failure);
                }
            }
        }
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Idle => None,
            State::Waiting(at) => Some(*at),
            State::Open(open) => open.poll_timeout(),
        }
    }

    /// The next record for the transport, with that version on it.
    pub fn poll_transmit(&mut self, version: Version) -> Option<Bytes> {
        if self.waiting.is_some() {
            self.load();
        }
        let now = self.now;
        let State::Open(open) = &mut self.state else {
            return None;
        };
        let (config, own, peer) = (&self.config, &self.own, &self.peer);
        let seal = |draft: Draft<'_>| {
            seal(
                config,
                Record::new(version, own, peer, draft.content),
                draft.security,
                draft.channel,
            )
        };
        open.poll_transmit(now, &mut self.events, seal)
    }

    /// Hands the message that waits to a context that can carry it.
    fn load(&mut self) {
        let renew = match &self.state {
            State::Idle => true,
            State::Waiting(_) => return,
            // R-E2E.7, .9
            State::Open(open) => open.stale || expired(&self.config, open, self.now),
        };
        if renew {
            self.begin(None);
        }
        let limit = self.limit();
        let State::Open(open) = &mut self.state else {
            return;
        };
        if !open.is_ready(self.now) {
            return;
        }
        if let Some((id, message)) = self.waiting.take()
            && let Err(failure) = open.load(id, message, limit.room)
        {
            self.events.push_back(Event::Unconfirmed(id));
            self.fail(failure);
        }
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        pop(&mut self.events)
    }
}

/// Nothing was exchanged for as long as a context may lie still. R-E2E.7
fn expired(config: &Config, open: &Open, now: Instant) -> bool {
    let over = |expires| now.saturating_duration_since(open.active) >= expires;
    config.expires.is_some_and(over)
}
