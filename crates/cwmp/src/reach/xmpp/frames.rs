//! Cuts the bytes of an XMPP stream into its header, the elements in it, and its end (RFC 6120, 4 and
//! 11.1). Deliberately no parser: what an element says is read when it is whole.

use crate::limits::STANZA_BYTES_MAX;

/// A piece of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// The stream's start tag.
    Opened,
    /// A whole element.
    Element(String),
    /// The stream's end tag.
    Closed,
}

/// What one tag does to the depth.
enum Tag {
    Start,
    End,
    Empty,
    /// A declaration or a CDATA section.
    Neither,
}

/// The bytes that are not cut yet.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: Vec<u8>,
    /// How far the buffer has been looked at; always at the start of a tag or of text.
    at: usize,
    /// Open elements; the stream itself is one.
    depth: usize,
}

impl Frames {
    /// Adds what came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Nothing has come that is not cut.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The next piece; the error says what is wrong with the stream.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, &'static str> {
        loop {
            if self.depth < 2 {
                // Nothing is kept of the white space between stanzas.
                let blank = self.buffer[self.at..]
                    .iter()
                    .take_while(|byte| byte.is_ascii_whitespace())
                    .count();
                if self.at == 0 {
                    self.buffer.drain(..blank);
                } else {
                    self.at += blank;
                }
            }
            let rest = &self.buffer[self.at..];
            let Some(text) = rest.iter().position(|byte| *byte == b'<') else {
                if self.depth < 2 && !rest.is_empty() {
                    return Err("there is text between its stanzas");
                }
                self.at = self.buffer.len();
                return self.more();
            };
            if self.depth < 2 && text > 0 {
                return Err("there is text between its stanzas");
            }
            self.at += text;
            let Some((length, tag)) = tag(&self.buffer[self.at..])? else {
                return self.more();
            };
            self.at += length;
            match tag {
                Tag::Neither if self.depth == 1 => return Err("there is text between its stanzas"),
                Tag::Neither => {}
                Tag::Start => {
                    self.depth += 1;
                    if self.depth == 1 {
                        self.cut();
                        return Ok(Some(Frame::Opened));
                    }
                }
                Tag::Empty | Tag::End => {
                    if matches!(tag, Tag::End) {
                        self.depth = self.depth.checked_sub(1).ok_or("it ends twice")?;
                    }
                    match self.depth {
                        0 => {
                            self.cut();
                            return Ok(Some(Frame::Closed));
                        }
                        1 => {
                            let element = self.cut();
                            let element =
                                String::from_utf8(element).map_err(|_| "it is not UTF-8")?;
                            return Ok(Some(Frame::Element(element)));
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// Takes what was looked at.
    fn cut(&mut self) -> Vec<u8> {
        let rest = self.buffer.split_off(self.at);
        self.at = 0;
        std::mem::replace(&mut self.buffer, rest)
    }

    fn more(&self) -> Result<Option<Frame>, &'static str> {
        match self.buffer.len() > STANZA_BYTES_MAX {
            true => Err("a stanza has no end (STANZA_BYTES_MAX)"),
            false => Ok(None),
        }
    }
}

/// The tag at the start of the bytes: its length, and what it does. `None` when it is not whole.
fn tag(bytes: &[u8]) -> Result<Option<(usize, Tag)>, &'static str> {
    const CDATA: &[u8] = b"<![CDATA[";
    let until = |end: &[u8], tag| {
        let found = bytes.windows(end.len()).position(|window| window == end);
        Ok(found.map(|at| (at + end.len(), tag)))
    };
    match bytes {
        [_, b'?', ..] => return until(b"?>", Tag::Neither),
        [_, b'!', ..] => {
            return match bytes.starts_with(CDATA) {
                true => until(b"]]>", Tag::Neither),
                false if CDATA.starts_with(bytes) => Ok(None),
                // Comments and document types, which no stream may have.
                false => Err("it has what XMPP forbids"),
            };
        }
        _ => {}
    }
    let mut quote = None;
    for (at, byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            (None, b'>') => {
                let tag = match bytes[..at] {
                    [_, b'/', ..] => Tag::End,
                    [.., b'/'] => Tag::Empty,
                    _ => Tag::Start,
                };
                return Ok(Some((at + 1, tag)));
            }
            _ => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "<?xml version='1.0'?>\n<stream:stream id='a>b' xmlns='jabber:client'> \
        <stream:features><starttls xmlns='urn:x'/></stream:features>\n\n\
        <iq id=\"</iq>\"><a><![CDATA[</iq>]]></a>text</iq><a/></stream:stream>";

    fn frames(chunk: usize) -> Vec<Frame> {
        let mut frames = Frames::default();
        let mut out = Vec::new();
        for bytes in STREAM.as_bytes().chunks(chunk) {
            frames.push(bytes);
            while let Some(frame) = frames.next().unwrap() {
                out.push(frame);
            }
        }
        assert!(frames.is_empty());
        out
    }

    #[test]
    fn a_stream_is_cut_however_it_arrives() {
        let element = |text: &str| Frame::Element(text.to_owned());
        let whole = vec![
            Frame::Opened,
            element("<stream:features><starttls xmlns='urn:x'/></stream:features>"),
            element("<iq id=\"</iq>\"><a><![CDATA[</iq>]]></a>text</iq>"),
            element("<a/>"),
            Frame::Closed,
        ];
        for chunk in [1, 2, 7, STREAM.len()] {
            assert_eq!(frames(chunk), whole, "{chunk}");
        }
    }

    #[test]
    fn what_no_stream_may_have_is_refused() {
        for bad in [
            "HTTP/1.1 400 Bad Request",
            "<s>text<a/>",
            "<s><!-- x --><a/>",
            "<!DOCTYPE x>",
            "<s></s></s>",
            "<s><![CDATA[x]]>",
        ] {
            let mut frames = Frames::default();
            frames.push(bad.as_bytes());
            let end = loop {
                match frames.next() {
                    Ok(Some(_)) => {}
                    other => break other,
                }
            };
            assert!(end.is_err(), "{bad}");
        }
    }

    /// `STANZA_BYTES_MAX`
    #[test]
    fn a_stanza_without_an_end_is_refused() {
        let mut frames = Frames::default();
        frames.push(b"<s><a>");
        assert_eq!(frames.next(), Ok(Some(Frame::Opened)));
        frames.push(&vec![b'x'; STANZA_BYTES_MAX]);
        assert!(frames.next().is_err());
    }
}
