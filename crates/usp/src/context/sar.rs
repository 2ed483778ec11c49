//! Segmentation and reassembly: how a message is cut to fit the largest record that may be sent, and put together
//! again. Cases 1 to 7 of TR-369 differ in two states a record: of the message, and of one payload record in it,
//! which is the message itself or one TLS record.
//! Deliberately nothing of order and loss: the records come here one after the other.

use crate::limits;
use crate::record::SarState;

/// What one record carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Payload records, or a piece of one.
    pub payload: Vec<Vec<u8>>,
    /// Where in the message (`payload_sar_state`).
    pub message: SarState,
    /// Where in a payload record (`payloadrec_sar_state`).
    pub record: SarState,
}

/// Bytes that the payload of one record takes, with its field numbers and lengths.
fn cost(len: usize) -> usize {
    2 + (len.max(1).ilog2() / 7) as usize + len
}

/// Distributes the payload records of one message over records with room for so many bytes of payload. Payload
/// records share a record only when all of them do.
pub fn segments(payload: Vec<Vec<u8>>, room: usize) -> Vec<Segment> {
    let room = room.max(limits::CONTEXT_SEGMENT_BYTES_MIN);
    let segment = |payload, record| Segment {
        payload,
        message: SarState::NONE,
        record,
    };
    if payload.iter().map(|one| cost(one.len())).sum::<usize>() <= room {
        return vec![segment(payload, SarState::NONE)];
    }
    let mut out = Vec::new();
    for one in payload {
        if cost(one.len()) <= room {
            out.push(segment(vec![one], SarState::NONE));
            continue;
        }
        let piece = room - (cost(room) - room);
        let count = one.len().div_ceil(piece);
        let pieces = one.chunks(piece).enumerate();
        out.extend(pieces.map(|(at, piece)| segment(vec![piece.to_vec()], edge(at, count))));
    }
    let count = out.len();
    for (at, segment) in out.iter_mut().enumerate() {
        segment.message = edge(at, count);
    }
    out
}

/// The state of the piece at a place.
fn edge(at: usize, count: usize) -> SarState {
    match at {
        _ if count == 1 => SarState::NONE,
        0 => SarState::BEGIN,
        _ if at + 1 == count => SarState::COMPLETE,
        _ => SarState::INPROCESS,
    }
}

/// Why pieces do not make a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SarError {
    /// A state that does not follow from the one before.
    #[error("a piece of a message that does not continue what came before")]
    Order,
    /// A number that is no state (R-ENC.2).
    #[error("an unknown segmentation state")]
    Unknown,
    /// More than a message may have.
    #[error("a message in pieces larger than RECORD_BYTES_MAX")]
    Size,
}

/// Puts messages together.
#[derive(Debug, Default)]
pub struct Reassembler {
    bytes: Vec<u8>,
    in_message: bool,
    in_record: bool,
}

impl Reassembler {
    /// Takes the payload of the next record; gives the payload of a whole message.
    ///
    /// A message is over with its last record, whatever state the payload record in it has: in case 7 the last one
    /// may be unsplit.
    pub fn push(
        &mut self,
        payload: Vec<u8>,
        message: SarState,
        record: SarState,
    ) -> Result<Option<Vec<u8>>, SarError> {
        let (begins, ends) = ends_of(message)?;
        if begins == self.in_message {
            return Err(SarError::Order);
        }
        let (record_begins, record_ends) = ends_of(record)?;
        if record_begins == self.in_record || (ends && !record_ends) {
            return Err(SarError::Order);
        }
        if self.bytes.len() + payload.len() > limits::RECORD_BYTES_MAX {
            return Err(SarError::Size);
        }
        self.in_message = !ends;
        self.in_record = !record_ends;
        if self.bytes.is_empty() {
            self.bytes = payload;
        } else {
            self.bytes.extend_from_slice(&payload);
        }
        Ok(ends.then(|| std::mem::take(&mut self.bytes)))
    }
}

/// Whether a piece begins and ends something.
fn ends_of(state: SarState) -> Result<(bool, bool), SarError> {
    Ok(match state {
        SarState::NONE => (true, true),
        SarState::BEGIN => (true, false),
        SarState::INPROCESS => (false, false),
        SarState::COMPLETE => (false, true),
        _ => return Err(SarError::Unknown),
    })
}
