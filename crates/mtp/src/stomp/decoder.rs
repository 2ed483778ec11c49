//! Cuts a stream into frames. Sans-IO: bytes go in as they come, frames come out whole. What it
//! keeps is bounded, and each byte is looked at once.

use bytes::{Buf, BytesMut};

use super::frame::{Command, Frame};
use super::skip::Skipping;
use crate::limits::{
    PAYLOAD_RESERVE_BYTES_MAX, STOMP_HEAD_BYTES_MAX, STOMP_HEADERS_MAX, STOMP_SKIPPED_BYTES_MAX,
};
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
    /// One message that cannot be taken does not end the connection.
    skips: bool,
    skipping: Option<Box<Skipping>>,
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
            skips: false,
            skipping: None,
            head: None,
        }
    }

    /// For a client of a server, whose connection is not that of who sends: a MESSAGE beyond a limit, or with a head that
    /// cannot be read, comes out as one that is [refused](Frame::refused), and what follows it is read on.
    pub fn skip_messages(&mut self) {
        self.skips = true;
    }

    /// What has come.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// Bytes of its buffers: zero whenever nothing is half read.
    pub fn heap_bytes(&self) -> usize {
        self.unread.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    /// Whether a piece of a frame has come. A message that is gone past holds nothing, and is as slow as it likes.
    pub fn is_midway(&self) -> bool {
        self.skipping.is_none() && (self.head.is_some() || !self.unread.is_empty())
    }

    /// The next whole frame; heart-beats are passed over. After an error nothing follows that could
    /// be believed.
    pub fn frame(&mut self) -> Result<Option<Frame>, LinkError> {
        if self.skipping.is_none()
            && self.head.is_none()
            && !self.read_head()?
            && self.skipping.is_none()
        {
            return Ok(None);
        }
        if self.skipping.is_none()
            && let Some(length) = self.body_length()?
        {
            return self.whole(length);
        }
        self.past()
    }

    /// Goes past what cannot be taken, where there is such a thing.
    fn past(&mut self) -> Result<Option<Frame>, LinkError> {
        let Some(skipping) = &mut self.skipping else {
            return Ok(None);
        };
        let frame = skipping.past(&mut self.unread)?;
        if frame.is_some() {
            self.skipping = None;
        }
        self.drop_empty();
        Ok(frame)
    }

    /// An idle decoder owns no buffer.
    fn drop_empty(&mut self) {
        if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
    }

    fn whole(&mut self, length: usize) -> Result<Option<Frame>, LinkError> {
        let Some(head) = self.head.take() else {
            return Ok(None);
        };
        let mut frame = head.0;
        frame.body = self.unread.split_to(length).freeze();
        self.unread.advance(1);
        self.seen = 0;
        self.drop_empty();
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
            self.drop_empty();
            if self.unread.is_empty() {
                return Ok(false);
            }
        }
        while let Some(&byte) = self.unread.get(self.seen) {
            self.seen += 1;
            if self.seen > STOMP_HEAD_BYTES_MAX {
                return self.too_much("STOMP_HEAD_BYTES_MAX", STOMP_HEAD_BYTES_MAX);
            }
            if byte != b'\n' {
                continue;
            }
            let line = &self.unread[self.line..self.seen - 1];
            if line.strip_suffix(b"\r").unwrap_or(line).is_empty() {
                return self.end_head();
            }
            // The first line is the command.
            if self.ends.len() > STOMP_HEADERS_MAX {
                return self.too_much("STOMP_HEADERS_MAX", STOMP_HEADERS_MAX);
            }
            self.ends.push(self.seen - 1);
            self.line = self.seen;
        }
        Ok(false)
    }

    /// The head is beyond a limit: an error, unless it can be gone past.
    fn too_much(&mut self, limit: &'static str, max: usize) -> Result<bool, LinkError> {
        if !self.skips || !Skipping::is_message(&self.unread) {
            return Err(exceeded(limit, max));
        }
        let ends = std::mem::take(&mut self.ends);
        let mut start = 0;
        let lines = ends.iter().map(|end| {
            let line = &self.unread[start..*end];
            start = end + 1;
            line
        });
        self.skipping = Some(Box::new(Skipping::after(limit, lines)?));
        self.unread.advance(self.line);
        (self.seen, self.line) = (0, 0);
        Ok(false)
    }

    fn end_head(&mut self) -> Result<bool, LinkError> {
        let bytes = self.unread.split_to(self.seen);
        let ends = std::mem::take(&mut self.ends);
        (self.seen, self.line) = (0, 0);
        let mut start = 0;
        let lines = ends.iter().map(|end| {
            let line = &bytes[start..*end];
            start = end + 1;
            line.strip_suffix(b"\r").unwrap_or(line)
        });
        let max = self.body_bytes_max;
        let why = match Frame::parse(lines) {
            Ok((frame, length)) if length.is_none_or(|length| length <= max) => {
                self.head = Some(Box::new((frame, length)));
                return Ok(true);
            }
            Ok((_, length)) => Wrong::TooLarge(length.unwrap_or_default()),
            Err(why) => Wrong::Malformed(why),
        };
        let skips = self.skips && Skipping::is_message(&bytes);
        let named = match why {
            Wrong::TooLarge(length) if skips && length <= STOMP_SKIPPED_BYTES_MAX => BODY_SIZE,
            Wrong::TooLarge(_) => return Err(exceeded(BODY_SIZE, max)),
            Wrong::Malformed(why) if skips => why.0,
            Wrong::Malformed(why) => return Err(why.into()),
        };
        let mut start = 0;
        let lines = ends.iter().map(|end| {
            let line = &bytes[start..*end];
            start = end + 1;
            line
        });
        self.skipping = Some(Box::new(Skipping::after(named, lines)?.in_body()));
        Ok(false)
    }

    /// The same of a body without a length.
    fn too_long(&mut self) -> Result<Option<usize>, LinkError> {
        let error = exceeded(BODY_SIZE, self.body_bytes_max);
        let head = self
            .head
            .take()
            .filter(|head| self.skips && head.0.command == Command::Message);
        let Some(head) = head else {
            return Err(error);
        };
        let destination = head.0.get("destination").unwrap_or_default();
        let line = format!("destination:{destination}");
        let skipping = Skipping::after(BODY_SIZE, [line.as_bytes()].into_iter())?;
        self.skipping = Some(Box::new(skipping.in_body()));
        self.seen = 0;
        Ok(None)
    }

    /// The length of the body, once all of it is there with the zero behind it.
    fn body_length(&mut self) -> Result<Option<usize>, LinkError> {
        let told = self.head.as_ref().and_then(|head| head.1);
        let Some(length) = told else {
            let fresh = &self.unread[self.seen..];
            let found = fresh.iter().position(|b| *b == 0).map(|at| self.seen + at);
            self.seen = found.unwrap_or(self.unread.len());
            if self.seen > self.body_bytes_max {
                return self.too_long();
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

/// What is wrong with a head.
enum Wrong {
    TooLarge(usize),
    Malformed(Malformed),
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
