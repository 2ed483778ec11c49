//! What is to be sent in a session context, and what was and is not acknowledged: for the peer that asks for a
//! record again, and to
//! know which messages have arrived. R-E2E.16
//! Deliberately bounded: what a peer does not acknowledge for long is forgotten, and cannot be asked for again.

use std::collections::VecDeque;

use bytes::Bytes;

use super::MessageId;
use super::sar::Segment;
use crate::limits;
use crate::record::SarState;

/// A record to be sent for the first time.
pub(super) struct Outgoing {
    pub(super) segment: Segment,
    /// The message that is whole with it.
    pub(super) ends: Option<MessageId>,
    /// Part of the handshake, so that its MAC cannot be by the handshake's keys.
    pub(super) handshake: bool,
}

impl Outgoing {
    /// A record that only acknowledges, asks or greets. One payload of no bytes: there are peers that want exactly one.
    pub(super) fn nothing() -> Self {
        let segment = Segment {
            payload: vec![Vec::new()],
            message: SarState::NONE,
            record: SarState::NONE,
        };
        Self {
            segment,
            ends: None,
            handshake: false,
        }
    }
}

/// One sent record.
struct Sent {
    sequence: u64,
    bytes: Bytes,
    /// Whether it carries a payload, so that an acknowledgement is expected.
    says: bool,
    resent: u32,
}

/// Why a record is not sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It was never sent, is acknowledged, or forgotten.
    Unknown,
    /// It was sent again as often as may be.
    Exhausted,
}

/// Sent records in their order.
#[derive(Default)]
pub(super) struct Outbox {
    records: VecDeque<Sent>,
    bytes: usize,
    /// Messages with the number of their last record.
    messages: VecDeque<(MessageId, u64)>,
}

impl Outbox {
    /// Keeps a record; gives the messages that can no longer be followed.
    pub(super) fn push(
        &mut self,
        sequence: u64,
        bytes: Bytes,
        says: bool,
        ends: Option<MessageId>,
    ) -> Option<MessageId> {
        self.bytes += bytes.len();
        self.records.push_back(Sent {
            sequence,
            bytes,
            says,
            resent: 0,
        });
        while self.records.len() > limits::CONTEXT_UNACKNOWLEDGED_MAX
            || self.bytes > limits::CONTEXT_UNACKNOWLEDGED_BYTES_MAX && self.records.len() > 1
        {
            self.pop();
        }
        self.messages.extend(ends.map(|id| (id, sequence)));
        let full = self.messages.len() > limits::CONTEXT_UNACKNOWLEDGED_MESSAGES_MAX;
        full.then(|| self.messages.pop_front())
            .flatten()
            .map(|(id, _)| id)
    }

    fn pop(&mut self) {
        if let Some(gone) = self.records.pop_front() {
            self.bytes -= gone.bytes.len();
        }
    }

    /// The peer has everything before `expected`: the messages that are whole with it.
    pub(super) fn acknowledge(&mut self, expected: u64) -> Vec<MessageId> {
        while self
            .records
            .front()
            .is_some_and(|sent| sent.sequence < expected)
        {
            self.pop();
        }
        let whole = self
            .messages
            .iter()
            .take_while(|(_, last)| *last < expected);
        let count = whole.count();
        self.messages.drain(..count).map(|(id, _)| id).collect()
    }

    /// A record as it was sent, and notes that it is sent again.
    pub(super) fn again(&mut self, sequence: u64, most: u32) -> Result<Bytes, Refused> {
        let first = self.records.front().ok_or(Refused::Unknown)?.sequence;
        let at = sequence.checked_sub(first).ok_or(Refused::Unknown)?;
        let at = usize::try_from(at).map_err(|_| Refused::Unknown)?;
        let sent = self.records.get_mut(at).ok_or(Refused::Unknown)?;
        if sent.resent >= most {
            return Err(Refused::Exhausted);
        }
        sent.resent += 1;
        Ok(sent.bytes.clone())
    }

    /// The number of the first record whose acknowledgement is waited for.
    pub(super) fn first(&self) -> Option<u64> {
        self.records
            .iter()
            .find(|sent| sent.says)
            .map(|sent| sent.sequence)
    }

    /// Every message that is not known to have arrived, which is then forgotten.
    pub(super) fn unknown(&mut self) -> impl Iterator<Item = MessageId> + use<> {
        std::mem::take(&mut self.messages)
            .into_iter()
            .map(|(id, _)| id)
    }
}
