//! Cuts a stream into frames. Sans-IO: bytes go in as they come, frames come out whole. What it
//! keeps is bounded, and each byte is looked at once.

use bytes::{Buf, BytesMut};

use super::frame::Frame;
use crate::limits::{PAYLOAD_RESERVE_BYTES_MAX, STOMP_HEAD_BYTES_MAX, STOMP_HEADERS_MAX};
use crate::mqtt::{LinkError, Malformed};

/// The limit of [`Decoder::new`], as errors name it.
pub const BODY_SIZE: &str = "STOMP body size";

/// See the module's words.
pub struct Decoder {
    body_bytes_max: usize,
    unread: BytesMut,
    /// Up to where `unread` was looked at, and where the line begins that is being looked at.
    seen: usize,
    line: usize,
    /// Ends of the lines of a head.
    ends: Vec<usize>,
    /// A head that was read, and what it says of its body's length.
    head: Option<Box<(Frame, Option<usize>)>>,
}

impl Decoder {
    /// Bodies of at most this many bytes are taken.
    pub fn new(body_bytes_max: usize) -> Self {
        Self {
            body_bytes_max,
            unread: BytesMut::new(),
            seen: 0,
            line: 0,
            ends: Vec::new(),
            head: None,
        }
    }

    /// What has come.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// Bytes of its buffers: zero whenever nothing is half read.
    pub fn heap_bytes(&self) -> usize {
        self.unread.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    /// The next whole frame; heart-beats are passed over. After an error nothing follows that could
    /// be believed.
    pub fn frame(&mut self) -> Result<Option<Frame>, LinkError> {
        if self.head.is_none() && !self.read_head()? {
            return Ok(None);
        }
        let Some(length) = self.body_length()? else {
            return Ok(None);
        };
        let Some(head) = self.head.take() else {
            return Ok(None);
        };
        let mut frame = head.0;
        frame.body = self.unread.split_to(length).freeze();
        self.unread.advance(1);
        self.seen = 0;
        if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
        if !frame.body.is_empty() && !frame.command.has_body() {
            return Err(Malformed("a body where none may be").into());
        }
        Ok(Some(frame))
    }

    /// Whether a head has come to its end.
    fn read_head(&mut self) -> Result<bool, LinkError> {
        if self.seen == 0 {
            let beats = self.unread.iter().take_while(|b| is_end_of_line(**b));
            let beats = beats.count();
            self.unread.advance(beats);
            if self.unread.is_empty() {
                self.unread = BytesMut::new();
                return Ok(false);
            }
        }
        while let Some(&byte) = self.unread.get(self.seen) {
            self.seen += 1;
            if self.seen > STOMP_HEAD_BYTES_MAX {
                return Err(exceeded("STOMP_HEAD_BYTES_MAX", STOMP_HEAD_BYTES_MAX));
            }
            if byte != b'\n' {
                continue;
            }
            let line = &self.unread[self.line..self.seen - 1];
            if line.strip_suffix(b"\r").unwrap_or(line).is_empty() {
                self.end_head()?;
                return Ok(true);
            }
            // The first line is the command.
            if self.ends.len() > STOMP_HEADERS_MAX {
                return Err(exceeded("STOMP_HEADERS_MAX", STOMP_HEADERS_MAX));
            }
            self.ends.push(self.seen - 1);
            self.line = self.seen;
        }
        Ok(false)
    }

    fn end_head(&mut self) -> Result<(), LinkError> {
        let bytes = self.unread.split_to(self.seen);
        let ends = std::mem::take(&mut self.ends);
        (self.seen, self.line) = (0, 0);
        let mut start = 0;
        let lines = ends.iter().map(|end| {
            let line = &bytes[start..*end];
            start = end + 1;
            line.strip_suffix(b"\r").unwrap_or(line)
        });
        let (frame, length) = Frame::parse(lines)?;
        if length.is_some_and(|length| length > self.body_bytes_max) {
            return Err(exceeded(BODY_SIZE, self.body_bytes_max));
        }
        self.head = Some(Box::new((frame, length)));
        Ok(())
    }

    /// The length of the body, once all of it is there with the zero behind it.
    fn body_length(&mut self) -> Result<Option<usize>, LinkError> {
        let told = self.head.as_ref().and_then(|head| head.1);
        let Some(length) = told else {
            let fresh = &self.unread[self.seen..];
            let found = fresh.iter().position(|b| *b == 0).map(|at| self.seen + at);
            self.seen = found.unwrap_or(self.unread.len());
            if self.seen > self.body_bytes_max {
                return Err(exceeded(BODY_SIZE, self.body_bytes_max));
            }
            return Ok(found);
        };
        match self.unread.get(length) {
            Some(0) => Ok(Some(length)),
            Some(_) => Err(Malformed("a body that does not end where it should").into()),
            None => {
                let missing = length + 1 - self.unread.len();
                // No more than this because a length was announced; then as it really comes.
                self.unread.reserve(missing.min(PAYLOAD_RESERVE_BYTES_MAX));
                Ok(None)
            }
        }
    }
}

fn is_end_of_line(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn exceeded(limit: &'static str, max: usize) -> LinkError {
    LinkError::LimitExceeded {
        limit,
        max: max as u64,
    }
}
