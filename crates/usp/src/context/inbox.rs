//! Records of a session context that came before their turn. R-E2E.20
//! Deliberately bounded: a peer chooses the numbers.

use std::collections::BTreeMap;

use super::integrity::Proof;
use crate::limits;
use crate::record::{SarState, SessionContextRecord};

/// What a record means once it is its turn. Its payload is one piece, so that many empty ones cost nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) sequence: u64,
    pub(super) expected: u64,
    pub(super) retransmit: u64,
    pub(super) message: SarState,
    pub(super) record: SarState,
    pub(super) payload: Vec<u8>,
    /// What its MAC covers, and the MAC, while nobody could look whether it is right.
    pub(super) proof: Option<Proof>,
    /// Its MAC was right.
    pub(super) proved: bool,
}

impl Held {
    pub(super) fn new(content: SessionContextRecord, proof: Option<Proof>) -> Self {
        let mut payload = content.payload;
        let one = (payload.len() == 1).then(|| payload.pop()).flatten();
        Self {
            sequence: content.sequence_id,
            expected: content.expected_id,
            retransmit: content.retransmit_id,
            message: content.payload_sar_state,
            record: content.payloadrec_sar_state,
            payload: one.unwrap_or_else(|| payload.concat()),
            proof,
            proved: false,
        }
    }

    fn size(&self) -> usize {
        let proof = self.proof.as_ref();
        self.payload.len() + proof.map_or(0, |proof| proof.covered.len() + proof.mac.len())
    }
}

/// Records by their number.
#[derive(Default)]
pub(super) struct Inbox {
    early: BTreeMap<u64, Held>,
    bytes: usize,
}

impl Inbox {
    /// Keeps a record until it is its turn; a repetition changes nothing. The error is the limit that is reached.
    pub(super) fn keep(&mut self, held: Held) -> Result<(), &'static str> {
        if self.early.contains_key(&held.sequence) {
            return Ok(());
        }
        if self.early.len() >= limits::CONTEXT_EARLY_MAX {
            return Err("CONTEXT_EARLY_MAX");
        }
        if self.bytes + held.size() > limits::CONTEXT_EARLY_BYTES_MAX {
            return Err("CONTEXT_EARLY_BYTES_MAX");
        }
        self.bytes += held.size();
        self.early.insert(held.sequence, held);
        Ok(())
    }

    pub(super) fn take(&mut self, sequence: u64) -> Option<Held> {
        let held = self.early.remove(&sequence)?;
        self.bytes -= held.size();
        Some(held)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.early.is_empty()
    }
}
