//! Frames of RFC 6455, section 5: the header, the mask, and writing a whole frame.
//!
//! Not here: what a sequence of frames means; that is [`super::assemble`].

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpCode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
    Reserved,
}

impl OpCode {
    fn from_nibble(nibble: u8) -> Self {
        match nibble {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => Self::Reserved,
        }
    }

    fn nibble(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
            Self::Reserved => 0xF,
        }
    }

    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The largest header: two bytes, eight of length, four of mask.
pub(super) const HEADER_BYTES_MAX: usize = 14;

/// One frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) fin: bool,
    /// One of the three reserved bits is set; no extension of ours gives them a meaning.
    pub(super) reserved_bits: bool,
    pub(super) opcode: OpCode,
    pub(super) mask: Option<[u8; 4]>,
    pub(super) length: u64,
}

impl Header {
    /// How many bytes the header has whose beginning this is, as far as that can be told.
    pub(super) fn size(start: &[u8]) -> usize {
        let Some(second) = start.get(1) else { return 2 };
        let length = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        2 + length + mask
    }

    /// Reads a complete header; `None` when `bytes` is shorter than [`Header::size`] says.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (length, mask_at) = match second & 0x7F {
            126 => (
                u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
                4,
            ),
            127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
            short => (u64::from(short), 2),
        };
        let mask = match second & 0x80 {
            0 => None,
            _ => Some(bytes.get(mask_at..mask_at + 4)?.try_into().ok()?),
        };
        Some(Self {
            fin: first & 0x80 != 0,
            reserved_bits: first & 0x70 != 0,
            opcode: OpCode::from_nibble(first & 0x0F),
            mask,
            length,
        })
    }
}

/// Applies the mask to a piece of payload that starts `offset` bytes into the frame.
pub(super) fn apply_mask(piece: &mut [u8], mask: [u8; 4], offset: usize) {
    let mut turned = mask;
    turned.rotate_left(offset % 4);
    let word = u32::from_ne_bytes(turned);
    let (words, tail) = piece.as_chunks_mut::<4>();
    for four in words {
        *four = (u32::from_ne_bytes(*four) ^ word).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(turned) {
        *byte ^= key;
    }
}

/// Appends one unfragmented frame (R-WS.14a) to `out`, masked when a client sends.
pub(super) fn write(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8], mask: Option<[u8; 4]>) {
    out.reserve(HEADER_BYTES_MAX + payload.len());
    out.push(0x80 | opcode.nibble());
    let masked = if mask.is_some() { 0x80 } else { 0 };
    match payload.len() {
        short @ 0..=125 => out.push(masked | short as u8),
        middle @ 126..=0xFFFF => {
            out.push(masked | 126);
            out.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            out.push(masked | 127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    if let Some(mask) = mask {
        out.extend_from_slice(&mask);
    }
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(mask) = mask {
        apply_mask(&mut out[start..], mask, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_class_is_written_and_read_back() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            for mask in [None, Some([1, 2, 3, 4])] {
                let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
                let mut wire = Vec::new();
                write(&mut wire, OpCode::Binary, &payload, mask);
                let size = Header::size(&wire);
                let header = Header::read(&wire[..size]).unwrap();
                assert_eq!(Header::read(&wire[..size - 1]), None);
                assert_eq!(header.length, length as u64);
                assert_eq!((header.fin, header.mask), (true, mask));
                let mut body = wire[size..].to_vec();
                if let Some(mask) = mask {
                    apply_mask(&mut body, mask, 0);
                }
                assert_eq!(body, payload);
            }
        }
    }

    #[test]
    fn a_mask_may_be_applied_in_pieces_of_any_size() {
        let mask = [7, 77, 177, 250];
        let plain: Vec<u8> = (0..100).collect();
        let mut whole = plain.clone();
        apply_mask(&mut whole, mask, 0);
        for cut in 0..plain.len() {
            let mut pieces = plain.clone();
            let (left, right) = pieces.split_at_mut(cut);
            apply_mask(left, mask, 0);
            apply_mask(right, mask, cut);
            assert_eq!(pieces, whole);
        }
    }
}
