//! On the way past a MESSAGE that cannot be taken: who sent it is not who we are connected to. Nothing but its destination
//! is kept of it.

use bytes::{Buf, BytesMut};

use super::frame::{CONTENT_LENGTH, Command, Frame, number};
use crate::broken::{LinkError, Malformed};
use crate::limits::{STOMP_HEAD_BYTES_MAX, STOMP_REFUSED_DESTINATION_BYTES};

/// See the module's words.
pub(super) struct Skipping {
    why: &'static str,
    destination: String,
    length: Option<usize>,
    in_body: bool,
    /// The beginning of the line that is read was dropped: it is too long to be one that is asked for.
    cut: bool,
}

impl Skipping {
    /// Whether what begins like this is a MESSAGE.
    pub fn is_message(head: &[u8]) -> bool {
        let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        line.strip_suffix(b"\r").unwrap_or(line) == Command::Message.as_str().as_bytes()
    }

    /// With these lines of its head.
    pub fn after<'a>(
        why: &'static str,
        lines: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Self, Malformed> {
        let mut skipping = Self {
            why,
            destination: String::new(),
            length: None,
            in_body: false,
            cut: false,
        };
        for line in lines {
            skipping.line(line)?;
        }
        Ok(skipping)
    }

    /// Its head is over.
    pub fn in_body(self) -> Self {
        Self {
            in_body: true,
            ..self
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Malformed> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(value) = line.strip_prefix(b"destination:")
            && self.destination.is_empty()
        {
            let shown = &value[..value.len().min(STOMP_REFUSED_DESTINATION_BYTES)];
            self.destination = String::from_utf8_lossy(shown).replace("\\c", ":");
        }
        if let Some(value) = line.strip_prefix(CONTENT_LENGTH.as_bytes())
            && let Some(value) = value.strip_prefix(b":")
            && self.length.is_none()
        {
            let text = str::from_utf8(value);
            self.length = Some(number(text.unwrap_or_default())?);
        }
        Ok(())
    }

    /// Takes what is its; the frame that names it once all of it has come.
    pub fn past(&mut self, unread: &mut BytesMut) -> Result<Option<Frame>, LinkError> {
        while !self.in_body {
            let Some(end) = unread.iter().position(|byte| *byte == b'\n') else {
                if unread.len() > STOMP_HEAD_BYTES_MAX {
                    unread.clear();
                    self.cut = true;
                }
                return Ok(None);
            };
            let line = unread.split_to(end + 1);
            let line = &line[..end];
            let whole = !std::mem::take(&mut self.cut);
            match line.strip_suffix(b"\r").unwrap_or(line) {
                b"" if whole => self.in_body = true,
                line if whole => self.line(line)?,
                _ => {}
            }
        }
        let end = match self.length {
            Some(length) if length >= unread.len() => {
                self.length = Some(length - unread.len());
                unread.clear();
                return Ok(None);
            }
            Some(length) if unread[length] != 0 => {
                return Err(Malformed("a body that does not end where it should").into());
            }
            Some(length) => length,
            None => match unread.iter().position(|byte| *byte == 0) {
                Some(end) => end,
                None => {
                    unread.clear();
                    return Ok(None);
                }
            },
        };
        unread.advance(end + 1);
        let destination = std::mem::take(&mut self.destination);
        let mut frame = Frame::new(Command::Message).with("destination", destination);
        frame.refused = Some(self.why);
        Ok(Some(frame))
    }
}
