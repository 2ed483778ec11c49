//! Frames as bytes: `_USP`, a length, then type-length-values (R-UDS.6 to .15).
//!
//! Pure. Not here: what may come when, and sockets.

use bytes::{Buf, Bytes, BytesMut};

use crate::{
    limits::{PAYLOAD_RESERVE_BYTES_MAX, UDS_ERROR_CHARS_MAX},
    words,
};

/// What every frame begins with.
pub const MAGIC: [u8; 4] = *b"_USP";

/// Magic and length.
const HEAD_BYTES: usize = 8;

/// Type and length.
const TLV_HEAD_BYTES: usize = 5;

const HANDSHAKE: u8 = 1;
const ERROR: u8 = 2;
const RECORD: u8 = 3;

/// Bytes that are no frame; says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// One value of a frame. A frame may hold several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tlv {
    /// Type 1: the sender's endpoint id, as it came.
    Handshake(String),
    /// Type 2: why the sender gives up. Shown to people, so cut and cleaned when it is read.
    Error(String),
    /// Type 3: an encoded Record.
    Record(Bytes),
}

/// Puts a frame with this one value into `out`.
pub fn write(out: &mut Vec<u8>, tlv: &Tlv) {
    let (kind, value): (u8, &[u8]) = match tlv {
        Tlv::Handshake(id) => (HANDSHAKE, id.as_bytes()),
        Tlv::Error(text) => (ERROR, text.as_bytes()),
        Tlv::Record(record) => (RECORD, record),
    };
    // Neither ids, nor our own words, nor records come near 4 GiB.
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    out.reserve(HEAD_BYTES + TLV_HEAD_BYTES + value.len());
    out.extend(MAGIC);
    out.extend(length(TLV_HEAD_BYTES + value.len()));
    out.push(kind);
    out.extend(length(value.len()));
    out.extend(value);
}

/// What has arrived of a stream, cut into values. Holds one frame at most and, idle, nothing.
#[derive(Debug)]
pub struct Frames {
    unread: BytesMut,
    /// What is left of a frame that is complete.
    frame: Bytes,
    frame_bytes_max: usize,
}

impl Frames {
    /// Frames of at most this many bytes are taken, less their head.
    pub fn new(frame_bytes_max: usize) -> Self {
        Self {
            unread: BytesMut::new(),
            frame: Bytes::new(),
            frame_bytes_max,
        }
    }

    /// From now on they may be as long as this.
    pub fn set_frame_bytes_max(&mut self, frame_bytes_max: usize) {
        self.frame_bytes_max = frame_bytes_max;
    }

    /// Bytes have arrived. Call [`Frames::next`] until it has no more before the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// The next value; `None`: not complete yet. Unknown types are passed over (R-UDS.15). After an
    /// error nothing that follows means anything.
    #[expect(clippy::should_implement_trait, reason = "it can go on after None")]
    pub fn next(&mut self) -> Result<Option<Tlv>, Malformed> {
        loop {
            while !self.frame.is_empty() {
                if let Some(tlv) = self.cut_tlv()? {
                    return Ok(Some(tlv));
                }
            }
            if !self.cut_frame()? {
                return Ok(None);
            }
        }
    }

    /// Whether a piece of a frame has come.
    pub fn is_midway(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Bytes that are kept.
    pub fn heap_bytes(&self) -> usize {
        self.unread.capacity() + self.frame.len()
    }

    fn cut_frame(&mut self) -> Result<bool, Malformed> {
        let there = self.unread.len().min(MAGIC.len());
        if self.unread[..there] != MAGIC[..there] {
            return Err(Malformed("a frame that does not begin with _USP"));
        }
        let Some(&[_, _, _, _, a, b, c, d]) = self.unread.first_chunk::<HEAD_BYTES>() else {
            return Ok(false);
        };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > self.frame_bytes_max {
            return Err(Malformed("a frame that is longer than is taken here"));
        }
        let missing = (HEAD_BYTES + length).saturating_sub(self.unread.len());
        if missing > 0 {
            // No more than this because a length was announced; then as it really comes.
            self.unread.reserve(missing.min(PAYLOAD_RESERVE_BYTES_MAX));
            return Ok(false);
        }
        self.unread.advance(HEAD_BYTES);
        self.frame = self.unread.split_to(length).freeze();
        if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
        Ok(true)
    }

    /// Takes one value; `None` when it is of no type that is known.
    fn cut_tlv(&mut self) -> Result<Option<Tlv>, Malformed> {
        let Some(&[kind, a, b, c, d]) = self.frame.first_chunk::<TLV_HEAD_BYTES>() else {
            return Err(Malformed("a frame that ends within the head of a value"));
        };
        self.frame.advance(TLV_HEAD_BYTES);
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > self.frame.len() {
            return Err(Malformed("a value that is longer than its frame"));
        }
        let value = self.frame.split_to(length);
        if self.frame.is_empty() {
            self.frame = Bytes::new();
        }
        Ok(Some(match kind {
            HANDSHAKE => match std::str::from_utf8(&value) {
                Ok(id) => Tlv::Handshake(id.to_owned()),
                Err(_) => return Err(Malformed("an endpoint id that is not UTF-8")),
            },
            ERROR => Tlv::Error(words::plain(&value, UDS_ERROR_CHARS_MAX)),
            RECORD => Tlv::Record(value),
            _ => return Ok(None),
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 4096;

    fn tlv() -> impl Strategy<Value = Tlv> {
        prop_oneof![
            "[a-z:0-9-]{0,40}".prop_map(Tlv::Handshake),
            "[ -~]{0,80}".prop_map(Tlv::Error),
            prop::collection::vec(any::<u8>(), 0..2000).prop_map(|b| Tlv::Record(b.into())),
        ]
    }

    /// All values of `bytes`, fed in pieces of the given sizes, over and over.
    fn read(bytes: &[u8], sizes: &[usize]) -> (Vec<Tlv>, Option<Malformed>) {
        let (mut frames, mut out, mut rest) = (Frames::new(MAX), Vec::new(), bytes);
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            rest = after;
            frames.push(piece);
            loop {
                match frames.next() {
                    Ok(Some(tlv)) => out.push(tlv),
                    Ok(None) => break,
                    Err(error) => return (out, Some(error)),
                }
            }
        }
        (out, None)
    }

    proptest! {
        #[test]
        fn values_arrive_as_they_were_written_in_whichever_pieces(
            sent in prop::collection::vec(tlv(), 0..6),
            sizes in prop::collection::vec(1_usize..700, 1..6),
        ) {
            let mut bytes = Vec::new();
            sent.iter().for_each(|tlv| write(&mut bytes, tlv));
            prop_assert_eq!(read(&bytes, &sizes), (sent, None));
        }

        #[test]
        fn any_bytes_are_read_alike_at_once_and_one_by_one(
            tail in prop::collection::vec(any::<u8>(), 0..60),
            framed in any::<bool>(),
        ) {
            let mut bytes = Vec::new();
            if framed {
                bytes.extend(MAGIC);
                bytes.extend((tail.len() as u32).to_be_bytes());
            }
            bytes.extend(tail);
            prop_assert_eq!(read(&bytes, &[MAX]), read(&bytes, &[1]));
        }
    }

    fn frame(tlvs: &[u8]) -> Vec<u8> {
        let length = (tlvs.len() as u32).to_be_bytes();
        [&MAGIC[..], &length, tlvs].concat()
    }

    /// R-UDS.6 to .15
    #[test]
    fn several_values_of_a_frame_are_read_and_unknown_types_passed_over() {
        let bytes =
            frame(b"\x04\0\0\0\x06secret\x01\0\0\0\x04a::b\x63\0\0\0\0\x03\0\0\0\x02\x0a\x00");
        let expected = vec![
            Tlv::Handshake("a::b".into()),
            Tlv::Record(Bytes::from_static(b"\x0a\x00")),
        ];
        assert_eq!(read(&bytes, &[3]), (expected, None));
    }

    /// What stood before it has come, and nothing after it is believed.
    #[test]
    fn garbage_behind_the_records_of_a_frame_takes_none_of_them_along() {
        let records = b"\x03\0\0\0\x02\x0a\x00\x09\0\0\0\x01?\x03\0\0\0\x01\x0b";
        let expected = [&b"\x0a\x00"[..], b"\x0b"];
        let expected = expected.map(|record| Tlv::Record(Bytes::copy_from_slice(record)));
        for garbage in [&b"\xff"[..], b"\x03\0\0\0", b"\x03\0\0\xff\xffabc"] {
            let mut bytes = frame(&[&records[..], garbage].concat());
            write(&mut bytes, &Tlv::Record(Bytes::from_static(b"after")));
            for size in [1, 7, MAX] {
                let (read, error) = read(&bytes, &[size]);
                assert_eq!(read, expected, "{garbage:?}");
                assert!(error.is_some(), "{garbage:?}");
            }
        }
        // Between two frames likewise.
        let mut bytes = frame(records);
        bytes.extend(b"_USQ\0\0\0\x01");
        let (read, error) = read(&bytes, &[MAX]);
        assert_eq!((&read[..], error.is_some()), (&expected[..], true));
    }

    #[test]
    fn what_is_no_frame_is_known_by_its_first_wrong_byte() {
        for bytes in [&b"G"[..], b"_USQ", b"\x16\x03\x01", b"_usp"] {
            assert!(read(bytes, &[1]).1.is_some(), "{bytes:?}");
        }
        for tlvs in [
            &b"\x03\0\0\0\x02\x0a"[..],
            b"\x03\0\0\0",
            b"\x01\0\0\0\x01\xff",
        ] {
            assert!(read(&frame(tlvs), &[100]).1.is_some(), "{tlvs:?}");
        }
    }

    #[test]
    fn a_frame_at_the_limit_is_taken_and_one_beyond_it_is_not_waited_for() {
        let record = |bytes: usize| Tlv::Record(vec![7; bytes].into());
        let mut fits = Vec::new();
        write(&mut fits, &record(MAX - TLV_HEAD_BYTES));
        assert_eq!(read(&fits, &[MAX]).0.len(), 1);
        let head = [&MAGIC[..], &(MAX as u32 + 1).to_be_bytes()].concat();
        assert!(read(&head, &[8]).1.is_some());
    }

    #[test]
    fn a_length_that_is_only_announced_costs_next_to_nothing() {
        let mut frames = Frames::new(usize::MAX);
        frames.push(&[&MAGIC[..], &u32::MAX.to_be_bytes()].concat());
        assert_eq!(frames.next(), Ok(None));
        assert!(frames.heap_bytes() < 2 * PAYLOAD_RESERVE_BYTES_MAX);
        let mut idle = Frames::new(MAX);
        idle.push(&frame(b"\x03\0\0\0\x01a"));
        assert!(matches!(idle.next(), Ok(Some(_))));
        assert_eq!((idle.next(), idle.heap_bytes()), (Ok(None), 0));
    }

    #[test]
    fn an_error_text_is_cut_and_cleaned() {
        let mut bytes = b"\x02\0\0\x10\0".to_vec();
        bytes.extend([b"a\0".repeat(1024), b"\xff".repeat(2048)].concat());
        let mut frames = Frames::new(usize::MAX);
        frames.push(&frame(&bytes));
        let Ok(Some(Tlv::Error(text))) = frames.next() else {
            panic!("no error");
        };
        assert_eq!(text, "a".repeat(UDS_ERROR_CHARS_MAX));
    }
}
