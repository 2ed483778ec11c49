//! From bytes to Records: frames are checked, unmasked and put together (R-WS.13 to .16).
//!
//! Sans-IO, and free of buffers while idle: between two frames it owns no heap memory. That is why
//! it exists: a library's per-connection read buffer is either too big for 10,000 idle links or,
//! once grown by one large Record, keeps its size.

use bytes::{Bytes, BytesMut};

use super::{
    close::{CloseCode, reason},
    error::LinkError,
    frame::{HEADER_BYTES_MAX, Header, OpCode, apply_mask},
};
use crate::limits::{FRAGMENTS_MAX, PAYLOAD_RESERVE_BYTES_MAX};

/// A complete thing the peer said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    Record(Bytes),
    Ping(Bytes),
    Pong,
    Close(Option<(CloseCode, String)>),
}

/// The peer has to be closed with `code` and `text`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) code: CloseCode,
    pub(super) text: &'static str,
    limit: Option<(&'static str, u64)>,
}

impl Violation {
    fn protocol(text: &'static str) -> Self {
        Self {
            code: CloseCode::Protocol,
            text,
            limit: None,
        }
    }
}

impl From<Violation> for LinkError {
    fn from(violation: Violation) -> Self {
        let Violation { code, text, limit } = violation;
        match limit {
            Some((limit, max)) => Self::LimitExceeded { limit, max, code },
            None => Self::PeerMisbehaved { what: text, code },
        }
    }
}

/// Puts frames together.
#[derive(Debug)]
pub(super) struct Assembler {
    /// A client's frames are masked, a server's are not (RFC 6455, 5.1).
    masked: bool,
    /// After our own Close nothing but the peer's Close is of interest.
    closing: bool,
    /// A fragmented message is under way.
    unfinished: bool,
    fragments: u32,
    record_bytes_max: usize,
    header: [u8; HEADER_BYTES_MAX],
    header_has: u8,
    frame: Option<Frame>,
    message: BytesMut,
    control: Vec<u8>,
}

/// The frame whose payload is being read.
#[derive(Debug)]
struct Frame {
    header: Header,
    read: u64,
}

impl Assembler {
    pub(super) fn new(masked: bool, record_bytes_max: usize) -> Self {
        Self {
            masked,
            closing: false,
            unfinished: false,
            fragments: 0,
            record_bytes_max,
            header: [0; HEADER_BYTES_MAX],
            header_has: 0,
            frame: None,
            message: BytesMut::new(),
            control: Vec::new(),
        }
    }

    /// From now on drop everything but the peer's Close, and complain about nothing.
    pub(super) fn close(&mut self) {
        self.closing = true;
        self.message = BytesMut::new();
    }

    /// Whether a piece of a Record or of a frame has come; while closing nothing is waited for but the peer's Close.
    pub(super) fn is_midway(&self) -> bool {
        !self.closing && (self.unfinished || self.frame.is_some() || self.header_has > 0)
    }

    /// Bytes held on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.message.capacity() + self.control.capacity()
    }

    /// Takes bytes from the front of `input` until something is complete. After a violation the
    /// rest can still be fed, see [`Assembler::close`].
    pub(super) fn feed(&mut self, input: &mut &[u8]) -> Result<Option<Event>, Violation> {
        loop {
            if self.frame.is_none() {
                let Some(header) = self.read_header(input) else {
                    return Ok(None);
                };
                self.frame = Some(Frame { header, read: 0 });
                if !self.closing {
                    self.check(&header)?;
                }
            }
            self.read_payload(input);
            match self
                .frame
                .take_if(|frame| frame.read == frame.header.length)
            {
                None => return Ok(None),
                Some(frame) => {
                    if let Some(event) = self.complete(&frame.header)? {
                        return Ok(Some(event));
                    }
                }
            }
        }
    }

    fn read_header(&mut self, input: &mut &[u8]) -> Option<Header> {
        loop {
            let has = usize::from(self.header_has);
            let size = Header::size(&self.header[..has]);
            if has == size {
                self.header_has = 0;
                return Header::read(&self.header[..size]);
            }
            let piece = input
                .split_off(..(size - has).min(input.len()))
                .unwrap_or_default();
            if piece.is_empty() {
                return None;
            }
            self.header[has..has + piece.len()].copy_from_slice(piece);
            self.header_has += piece.len() as u8;
        }
    }

    /// Everything that can be wrong with a header, before a byte of payload is kept.
    fn check(&mut self, header: &Header) -> Result<(), Violation> {
        if header.reserved_bits {
            return Err(Violation::protocol(
                "reserved bits set without an extension",
            ));
        }
        if header.mask.is_some() != self.masked {
            return Err(Violation::protocol(match self.masked {
                true => "frame of a client without mask",
                false => "frame of a server with mask",
            }));
        }
        match header.opcode {
            OpCode::Reserved => Err(Violation::protocol("unknown opcode")),
            // R-WS.14: text is not USP.
            OpCode::Text => Err(Violation {
                code: CloseCode::Unsupported,
                text: reason::TEXT,
                limit: None,
            }),
            OpCode::Binary if self.unfinished => {
                Err(Violation::protocol("new message inside a fragmented one"))
            }
            OpCode::Continuation if !self.unfinished => {
                Err(Violation::protocol("continuation without a beginning"))
            }
            OpCode::Binary | OpCode::Continuation => self.check_size(header),
            OpCode::Close | OpCode::Ping | OpCode::Pong if !header.fin => {
                Err(Violation::protocol("fragmented control frame"))
            }
            OpCode::Close | OpCode::Ping | OpCode::Pong if header.length > 125 => {
                Err(Violation::protocol("control frame longer than 125 bytes"))
            }
            OpCode::Close | OpCode::Ping | OpCode::Pong => Ok(()),
        }
    }

    fn check_size(&mut self, header: &Header) -> Result<(), Violation> {
        let room = (self.record_bytes_max - self.message.len()) as u64;
        if header.length > room {
            return Err(Violation {
                code: CloseCode::TooBig,
                text: reason::RECORD_TOO_BIG,
                limit: Some(("RECORD_BYTES_MAX", self.record_bytes_max as u64)),
            });
        }
        self.fragments += 1;
        if self.fragments > FRAGMENTS_MAX {
            return Err(Violation {
                code: CloseCode::TooBig,
                text: reason::TOO_MANY_FRAGMENTS,
                limit: Some(("FRAGMENTS_MAX", u64::from(FRAGMENTS_MAX))),
            });
        }
        self.unfinished = true;
        // What is announced is reserved only in part: memory follows what arrives.
        self.message
            .reserve((header.length as usize).min(PAYLOAD_RESERVE_BYTES_MAX));
        Ok(())
    }

    fn read_payload(&mut self, input: &mut &[u8]) {
        let Some(frame) = &mut self.frame else { return };
        let left = usize::try_from(frame.header.length - frame.read).unwrap_or(usize::MAX);
        let piece = input.split_off(..left.min(input.len())).unwrap_or_default();
        let offset = (frame.read % 4) as usize;
        frame.read += piece.len() as u64;
        let mask = frame.header.mask.unwrap_or_default();
        if frame.header.opcode.is_control() {
            // While closing a "control frame" may have any length; 125 bytes of it are enough.
            let room = 125_usize.saturating_sub(self.control.len());
            let start = self.control.len();
            self.control
                .extend_from_slice(&piece[..piece.len().min(room)]);
            apply_mask(&mut self.control[start..], mask, offset);
        } else if !self.closing {
            let start = self.message.len();
            self.message.extend_from_slice(piece);
            apply_mask(&mut self.message[start..], mask, offset);
        }
    }

    fn complete(&mut self, header: &Header) -> Result<Option<Event>, Violation> {
        let control = match header.opcode.is_control() {
            true => std::mem::take(&mut self.control),
            false => Vec::new(),
        };
        match header.opcode {
            OpCode::Close if self.closing => Ok(Some(Event::Close(None))),
            _ if self.closing => Ok(None),
            OpCode::Close => read_close(&control).map(|close| Some(Event::Close(close))),
            OpCode::Ping => Ok(Some(Event::Ping(control.into()))),
            // R-WS.13: an unsolicited pong is as good as an answer, and harmless.
            OpCode::Pong => Ok(Some(Event::Pong)),
            _ if header.fin => {
                self.unfinished = false;
                self.fragments = 0;
                Ok(Some(Event::Record(
                    std::mem::take(&mut self.message).freeze(),
                )))
            }
            _ => Ok(None),
        }
    }
}

fn read_close(payload: &[u8]) -> Result<Option<(CloseCode, String)>, Violation> {
    let Some((code, text)) = payload.split_first_chunk::<2>() else {
        return match payload {
            [] => Ok(None),
            _ => Err(Violation::protocol("close frame of one byte")),
        };
    };
    let code = CloseCode::from(u16::from_be_bytes(*code));
    if !code.allowed_on_the_wire() {
        return Err(Violation::protocol("close code that must not be sent"));
    }
    // The text is for people only; one that is not UTF-8 is not worth a quarrel while parting.
    Ok(Some((code, String::from_utf8_lossy(text).into_owned())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::frame, *};

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        frame::write(&mut out, OpCode::Binary, payload, Some([9, 8, 7, 6]));
        out[0] = first;
        out
    }

    fn run(wire: &[u8], step: usize) -> Result<Vec<Event>, Violation> {
        let mut assembler = Assembler::new(true, 1000);
        let mut events = Vec::new();
        for mut piece in wire.chunks(step) {
            while let Some(event) = assembler.feed(&mut piece)? {
                events.push(event);
            }
        }
        Ok(events)
    }

    #[test]
    fn fragments_with_control_frames_between_them_become_one_record_however_cut() {
        // R-WS.14b
        let wire = [
            frame(0x02, b"one "),
            frame(0x89, b"ping"),
            frame(0x00, b"two "),
            frame(0x8A, b""),
            frame(0x80, b"three"),
            frame(0x82, b"next"),
            frame(0x88, &[3, 232, b'o', b'k']),
        ]
        .concat();
        let expected = vec![
            Event::Ping(Bytes::from_static(b"ping")),
            Event::Pong,
            Event::Record(Bytes::from_static(b"one two three")),
            Event::Record(Bytes::from_static(b"next")),
            Event::Close(Some((CloseCode::Normal, "ok".into()))),
        ];
        for step in 1..wire.len() {
            assert_eq!(
                run(&wire, step).as_ref(),
                Ok(&expected),
                "in steps of {step}"
            );
        }
    }

    #[test]
    fn each_violation_is_named_and_has_its_code() {
        let mut unmasked = Vec::new();
        frame::write(&mut unmasked, OpCode::Binary, b"x", None);
        let endless: Vec<u8> = std::iter::once(frame(0x02, b""))
            .chain(std::iter::repeat_n(
                frame(0x00, b""),
                FRAGMENTS_MAX as usize,
            ))
            .flatten()
            .collect();
        let cases: [(Vec<u8>, u16, &str); 13] = [
            (frame(0x81, b"text"), 1003, reason::TEXT),
            (
                frame(0xC2, b"x"),
                1002,
                "reserved bits set without an extension",
            ),
            (frame(0x83, b"x"), 1002, "unknown opcode"),
            (frame(0x80, b"x"), 1002, "continuation without a beginning"),
            (
                [frame(0x02, b"x"), frame(0x82, b"y")].concat(),
                1002,
                "new message inside a fragmented one",
            ),
            (frame(0x09, b"x"), 1002, "fragmented control frame"),
            (
                frame(0x89, &[0; 126]),
                1002,
                "control frame longer than 125 bytes",
            ),
            (frame(0x88, &[1]), 1002, "close frame of one byte"),
            (
                frame(0x88, &[3, 237]),
                1002,
                "close code that must not be sent",
            ),
            (unmasked, 1002, "frame of a client without mask"),
            (frame(0x82, &[0; 1001]), 1009, reason::RECORD_TOO_BIG),
            (
                [frame(0x02, &[0; 600]), frame(0x80, &[0; 401])].concat(),
                1009,
                reason::RECORD_TOO_BIG,
            ),
            (endless, 1009, reason::TOO_MANY_FRAGMENTS),
        ];
        for (wire, code, text) in cases {
            let violation = run(&wire, wire.len()).unwrap_err();
            assert_eq!((violation.code.as_u16(), violation.text), (code, text));
        }
    }

    #[test]
    fn an_announced_size_alone_costs_no_memory_and_an_idle_assembler_has_none() {
        let mut assembler = Assembler::new(true, 8 << 20);
        let mut wire = frame(0x82, &vec![1; 4 << 20]);
        let rest = wire.split_off(100);
        assert_eq!(assembler.feed(&mut &wire[..]), Ok(None));
        assert!(assembler.heap_bytes() <= 2 * PAYLOAD_RESERVE_BYTES_MAX);
        assert!(
            matches!(assembler.feed(&mut &rest[..]), Ok(Some(Event::Record(r))) if r.len() == 4 << 20)
        );
        assert_eq!(assembler.heap_bytes(), 0);
    }

    #[test]
    fn after_our_close_only_the_peers_close_is_heard() {
        let mut assembler = Assembler::new(true, 10);
        let wire = [
            frame(0x81, b"text"),
            frame(0x82, &[0; 5000]),
            frame(0x88, &[1]),
        ]
        .concat();
        let mut input = &wire[..];
        assert!(assembler.feed(&mut input).is_err());
        assembler.close();
        assert_eq!(assembler.feed(&mut input), Ok(Some(Event::Close(None))));
        assert!(input.is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_give_the_same_however_cut_and_never_panic(
            // Mostly headers that could be meant, so that more than the first byte is looked at.
            frames in prop::collection::vec(
                (prop::sample::select(vec![0x82_u8, 0x02, 0x00, 0x80, 0x89, 0x8A, 0x88, 0x81, 0x77]),
                 prop::collection::vec(any::<u8>(), 0..200)),
                0..12,
            ),
            noise in prop::collection::vec(any::<u8>(), 0..40),
            step in 1_usize..50,
        ) {
            let framed = frames.iter().map(|(first, payload)| frame(*first, payload));
            let wire: Vec<u8> = framed.flatten().chain(noise).collect();
            prop_assert_eq!(run(&wire, step), run(&wire, wire.len().max(1)));
            // And while closing nothing is wrong and nothing is kept.
            let mut assembler = Assembler::new(true, 1000);
            assembler.close();
            let mut rest = &wire[..];
            while assembler.feed(&mut rest).unwrap().is_some() {}
            prop_assert!(assembler.heap_bytes() <= 256);
        }
    }
}
