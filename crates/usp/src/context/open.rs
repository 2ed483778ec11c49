//! One session context from its first record to its last: numbers, order, retransmission, and what a record carries.
//! Deliberately without a way back: any failure ends it, and the next one is another.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::config::Limit;
use super::inbox::{Held, Inbox};
use super::integrity::Channel;
use super::outbox::{Outbox, Outgoing, Refused};
use super::sar::{self, Reassembler};
use super::{Event, Failure, MessageId};
use crate::limits;
use crate::record::{PayloadSecurity, SessionContextRecord};
use crate::session::earlier;

/// A hole in what the peer sent.
struct Gap {
    ask_at: Instant,
    asked: u32,
}

/// What to put into an envelope.
pub(super) struct Draft<'a> {
    pub(super) content: SessionContextRecord,
    pub(super) security: PayloadSecurity,
    /// Where its MAC comes from; otherwise it is signed.
    pub(super) channel: Option<&'a dyn Channel>,
}

/// A session context that is open.
pub(super) struct Open {
    pub(super) id: u64,
    /// Opened by us.
    pub(super) ours: bool,
    /// The peer has sent something in it.
    pub(super) heard: bool,
    pub(super) security: PayloadSecurity,
    pub(super) active: Instant,
    /// Records may get lost on the way, so that what nobody acknowledges is sent again.
    lossy: bool,
    opened: Instant,
    /// When the first record was sent last.
    hello: Instant,
    /// When the first message was sent.
    said: Option<Instant>,
    /// The next message is to open another: it has expired, or its numbers end.
    pub(super) stale: bool,
    /// The peer's numbers end.
    pub(super) exhausted: bool,
    channel: Option<Box<dyn Channel>>,
    /// The earliest number with a MAC that was right: from there on the peer has keys, and whatever comes
    /// without one is somebody else's.
    proved_from: Option<u64>,
    // What comes in.
    next_in: u64,
    inbox: Inbox,
    reassembler: Reassembler,
    gap: Option<Gap>,
    /// When what came is to be acknowledged without anything else to say.
    acknowledge_at: Option<Instant>,
    // What goes out.
    next_out: u64,
    out: VecDeque<Outgoing>,
    outbox: Outbox,
    again: VecDeque<Bytes>,
    /// What to ask the peer for.
    ask: Option<u64>,
    /// When nothing was acknowledged for so long that something may be lost, and how often that was.
    probe: Option<(Instant, u32)>,
    /// Something is to be said even without a message.
    speak: bool,
}

impl Open {
    pub(super) fn new(
        now: Instant,
        id: u64,
        ours: bool,
        lossy: bool,
        security: PayloadSecurity,
        channel: Option<Box<dyn Channel>>,
    ) -> Self {
        Self {
            id,
            ours,
            heard: false,
            security,
            active: now,
            lossy,
            opened: now,
            hello: now,
            said: None,
            stale: false,
            exhausted: false,
            channel,
            proved_from: None,
            next_in: 1,
            inbox: Inbox::default(),
            reassembler: Reassembler::default(),
            gap: None,
            acknowledge_at: None,
            next_out: 1,
            out: VecDeque::new(),
            outbox: Outbox::default(),
            again: VecDeque::new(),
            ask: None,
            probe: None,
            speak: false,
        }
    }

    /// Sends something even if there is no message: what opens it.
    pub(super) fn greet(&mut self, room: usize) {
        self.speak = true;
        self.flush_handshake(room);
    }

    /// The peer does not know this context, which we opened: sends its first record again, now and then.
    pub(super) fn hello_again(&mut self, now: Instant) {
        if now >= self.hello + limits::CONTEXT_GAP_WAIT {
            self.hello = now;
            self.again.extend(self.outbox.again(1, u32::MAX).ok());
        }
    }

    fn is_handshaking(&self) -> bool {
        self.channel
            .as_ref()
            .is_some_and(|channel| channel.is_handshaking())
    }

    /// Whether messages can be loaded. Not into a context of ours that the peer has not answered, for a while: it may
    /// have opened another at once, and then nobody knows what became of them.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        let unsure = self.ours && !self.heard && now < self.opened + limits::CONTEXT_PROBE_WAIT;
        self.out.is_empty() && !self.is_handshaking() && !unsure
    }

    /// Whether the peer takes part in it.
    pub(super) fn is_up(&self) -> bool {
        self.heard && !self.is_handshaking()
    }

    /// Whether it is encrypted, and the peer has proved who it is.
    pub(super) fn is_secured(&self) -> bool {
        let over = |channel: &dyn Channel| !channel.is_handshaking();
        self.channel.as_deref().is_some_and(over)
    }

    /// Whether the peer has shown that it has the keys.
    pub(super) fn is_proved(&self) -> bool {
        self.proved_from.is_some()
    }

    /// Every message that was loaded and is not known to have arrived.
    pub(super) fn unknown(self) -> impl Iterator<Item = MessageId> {
        let mut outbox = self.outbox;
        let unsent = self.out.into_iter().filter_map(|outgoing| outgoing.ends);
        outbox.unknown().chain(unsent)
    }

    /// Cuts a message into records.
    pub(super) fn load(
        &mut self,
        id: MessageId,
        message: Vec<u8>,
        room: usize,
    ) -> Result<(), Failure> {
        let payload = match &mut self.channel {
            None => vec![message],
            Some(channel) => {
                channel.write(&message).map_err(Failure::Tls)?;
                channel.records()
            }
        };
        self.queue(payload, room, Some(id), false);
        Ok(())
    }

    fn queue(
        &mut self,
        payload: Vec<Vec<u8>>,
        room: usize,
        id: Option<MessageId>,
        handshake: bool,
    ) {
        let segments = sar::segments(payload, room);
        let last = segments.len().saturating_sub(1);
        let outgoing = segments
            .into_iter()
            .enumerate()
            .map(|(at, segment)| Outgoing {
                segment,
                ends: id.filter(|_| at == last),
                handshake,
            });
        self.out.extend(outgoing);
    }

    fn flush_handshake(&mut self, room: usize) {
        let Some(channel) = &mut self.channel else {
            return;
        };
        let payload = channel.records();
        // The last flight is made with the keys, and read by who does not have them yet.
        if !payload.is_empty() {
            self.queue(payload, room, None, true);
        }
    }

    /// Takes a record of the peer, whose integrity is known or in its proof; false where that cannot be looked at yet.
    /// R-E2E.20
    pub(super) fn receive(
        &mut self,
        now: Instant,
        mut held: Held,
        limit: &Limit,
        events: &mut VecDeque<Event>,
    ) -> Result<bool, Failure> {
        // Its turn may come after the end of the handshake.
        let proved = match self.check(&held) {
            Some(false) => return Err(Failure::Integrity),
            known => known.is_some(),
        };
        if proved {
            self.believe(&mut held);
        }
        if held.proof.is_none() {
            self.acknowledged(now, held.expected, events)?;
        }
        (self.heard, self.active) = (true, now);
        // R-E2E.8
        self.exhausted |= held.sequence >= limits::CONTEXT_SEQUENCE_MAX;
        if held.sequence < self.next_in {
            // R-E2E.25. Who repeats a message has not heard that we have it.
            if self.wants_answer(&held) {
                self.acknowledge_at = earlier(self.acknowledge_at, Some(now));
            }
            return Ok(proved);
        }
        if held.sequence > self.next_in {
            if held.sequence - self.next_in > limits::CONTEXT_AHEAD_MAX {
                return Err(Failure::Limit("CONTEXT_AHEAD_MAX"));
            }
            // Served at once: two that wait for each other would wait for ever.
            if held.proof.is_none() {
                let wanted = std::mem::take(&mut held.retransmit);
                self.resend(wanted, limit)?;
            }
            self.inbox.keep(held).map_err(Failure::Limit)?;
            self.gap.get_or_insert(Gap {
                ask_at: now + limits::CONTEXT_GAP_WAIT,
                asked: 0,
            });
            return Ok(proved);
        }
        self.process(now, held, limit, events)?;
        while let Some(held) = self.inbox.take(self.next_in) {
            self.process(now, held, limit, events)?;
        }
        self.gap = (!self.inbox.is_empty()).then_some(Gap {
            ask_at: now + limits::CONTEXT_GAP_WAIT,
            asked: 0,
        });
        Ok(proved)
    }

    /// Whether a record is the peer's; `None` when that cannot be known yet.
    fn check(&self, held: &Held) -> Option<bool> {
        match (&held.proof, &self.channel) {
            _ if held.proved => Some(true),
            (None, _) => Some(self.proved_from.is_none_or(|from| held.sequence < from)),
            (Some(_), None) => Some(false),
            (Some(proof), Some(channel)) => channel.verify(proof),
        }
    }

    /// A record is the peer's.
    fn believe(&mut self, held: &mut Held) {
        if held.proof.take().is_some() {
            held.proved = true;
            let from = self.proved_from.unwrap_or(held.sequence);
            self.proved_from = Some(from.min(held.sequence));
        }
    }

    /// Whether a record is to be acknowledged: what carries a payload, and what opens a context. Acknowledgements are
    /// not, or there would be no end.
    fn wants_answer(&self, held: &Held) -> bool {
        !held.payload.is_empty() || !self.ours && held.sequence == 1
    }

    fn process(
        &mut self,
        now: Instant,
        mut held: Held,
        limit: &Limit,
        events: &mut VecDeque<Event>,
    ) -> Result<(), Failure> {
        if self.check(&held) != Some(true) {
            return Err(Failure::Integrity);
        }
        self.believe(&mut held);
        self.next_in += 1;
        self.ask = None;
        self.acknowledged(now, held.expected, events)?;
        if self.wants_answer(&held) {
            // Who only greets waits for the answer before it says more.
            let wait = match held.payload.is_empty() {
                true => Duration::ZERO,
                false => limits::CONTEXT_ACKNOWLEDGE_WAIT,
            };
            self.acknowledge_at = earlier(self.acknowledge_at, Some(now + wait));
        }
        if !held.payload.is_empty() {
            let (message, record) = (held.message, held.record);
            let whole = self.reassembler.push(held.payload, message, record);
            if let Some(bytes) = whole.map_err(Failure::Segments)? {
                self.deliver(bytes, limit, events)?;
            }
        }
        self.resend(held.retransmit, limit)
    }

    fn deliver(
        &mut self,
        bytes: Vec<u8>,
        limit: &Limit,
        events: &mut VecDeque<Event>,
    ) -> Result<(), Failure> {
        let Some(channel) = &mut self.channel else {
            events.push_back(Event::Message(bytes));
            return Ok(());
        };
        let before = channel.is_handshaking();
        let message = channel.read(&bytes).map_err(Failure::Tls)?;
        if before && !channel.is_handshaking() {
            events.extend(channel.peer().map(Event::Proved));
        }
        self.flush_handshake(limit.room);
        if !message.is_empty() {
            events.push_back(Event::Message(message));
        }
        Ok(())
    }

    fn acknowledged(
        &mut self,
        now: Instant,
        expected: u64,
        events: &mut VecDeque<Event>,
    ) -> Result<(), Failure> {
        if expected > self.next_out {
            return Err(Failure::Expected);
        }
        let before = self.outbox.first();
        let whole = self.outbox.acknowledge(expected);
        events.extend(whole.into_iter().map(Event::Acknowledged));
        let after = self.outbox.first();
        if before != after {
            let wait = after.filter(|_| self.lossy);
            self.probe = wait.map(|_| (now + limits::CONTEXT_PROBE_WAIT, 0));
        }
        Ok(())
    }

    fn resend(&mut self, wanted: u64, limit: &Limit) -> Result<(), Failure> {
        if wanted == 0 {
            return Ok(());
        }
        match self.outbox.again(wanted, limit.resends) {
            Ok(bytes) => {
                if self.again.len() < limits::CONTEXT_AGAIN_MAX {
                    self.again.push_back(bytes);
                }
                Ok(())
            }
            Err(Refused::Unknown) => Err(Failure::Unknown(wanted)),
            Err(Refused::Exhausted) => Err(Failure::Retransmits(wanted)),
        }
    }

    /// Asks for what is missing, and sends again what nobody acknowledges.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        limit: &Limit,
        events: &mut VecDeque<Event>,
    ) -> Result<(), Failure> {
        if self.answer_due().is_some_and(|at| at <= now) {
            return Err(Failure::Silence);
        }
        if let Some(gap) = self.gap.as_mut().filter(|gap| gap.ask_at <= now) {
            if gap.asked >= limits::CONTEXT_ASKS_MAX {
                return Err(Failure::Missing(self.next_in));
            }
            gap.asked += 1;
            gap.ask_at = now + limits::CONTEXT_GAP_WAIT * 2u32.pow(gap.asked);
            self.ask = Some(self.next_in);
        }
        if let Some((_, times)) = self.probe.filter(|(at, _)| *at <= now) {
            let again = self
                .outbox
                .first()
                .filter(|_| times < limits::CONTEXT_PROBES_MAX)
                .and_then(|first| self.outbox.again(first, limit.resends).ok());
            match again {
                Some(bytes) => {
                    self.again.push_back(bytes);
                    let wait = limits::CONTEXT_PROBE_WAIT * 2u32.pow(times + 1);
                    self.probe = Some((now + wait, times + 1));
                }
                None if self.is_handshaking() => return Err(Failure::Silence),
                None => {
                    self.probe = None;
                    events.extend(self.outbox.unknown().map(Event::Unconfirmed));
                }
            }
        }
        Ok(())
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let gap = self.gap.as_ref().map(|gap| gap.ask_at);
        let probe = self.probe.map(|(at, _)| at);
        let due = earlier(self.acknowledge_at, self.answer_due());
        earlier(due, earlier(gap, probe))
    }

    /// When keys should have been exchanged, or a message answered in a context of ours.
    fn answer_due(&self) -> Option<Instant> {
        let unheard = self.said.filter(|_| self.ours && !self.heard);
        let since = match self.is_handshaking() {
            true => Some(self.opened),
            false => unheard,
        };
        since.map(|since| since + limits::CONTEXT_HANDSHAKE_TIME_MAX)
    }

    /// The next record. `seal` makes bytes of it.
    pub(super) fn poll_transmit(
        &mut self,
        now: Instant,
        events: &mut VecDeque<Event>,
        seal: impl FnOnce(Draft<'_>) -> Bytes,
    ) -> Option<Bytes> {
        if let Some(bytes) = self.again.pop_front() {
            return Some(bytes);
        }
        let outgoing = self.out.pop_front();
        let due = self.acknowledge_at.is_some_and(|at| at <= now);
        if outgoing.is_none() && !due && !self.speak && self.ask.is_none() {
            return None;
        }
        (self.speak, self.acknowledge_at) = (false, None);
        let says = outgoing.is_some() || self.ours && self.next_out == 1;
        let Outgoing {
            segment,
            ends,
            handshake,
        } = outgoing.unwrap_or_else(Outgoing::nothing);
        let content = SessionContextRecord {
            session_id: self.id,
            sequence_id: self.next_out,
            expected_id: self.next_in,
            retransmit_id: self.ask.take().unwrap_or(0),
            payload_sar_state: segment.message,
            payloadrec_sar_state: segment.record,
            payload: segment.payload,
        };
        let draft = Draft {
            content,
            security: self.security,
            channel: self.channel.as_deref().filter(|_| !handshake),
        };
        let bytes = seal(draft);
        if ends.is_some() {
            self.said.get_or_insert(now);
        }
        let lost_sight = self.outbox.push(self.next_out, bytes.clone(), says, ends);
        events.extend(lost_sight.map(Event::Unconfirmed));
        self.next_out += 1;
        self.active = now;
        // R-E2E.9
        self.stale |= self.next_out >= limits::CONTEXT_SEQUENCE_MAX;
        if says && self.lossy && self.probe.is_none() {
            self.probe = Some((now + limits::CONTEXT_PROBE_WAIT, 0));
        }
        Some(bytes)
    }
}

#[cfg(test)]
mod tests;
