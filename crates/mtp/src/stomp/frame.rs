//! A frame of STOMP 1.2 as a value and as bytes. What follows from one is not known here, and a
//! stream is cut into frames by [`super::Decoder`].

use bytes::Bytes;

use crate::broken::Malformed;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A client begins (1.2).
    Stomp,
    /// The same, in the way of 1.0.
    Connect,
    /// The server's answer.
    Connected,
    /// A client sends.
    Send,
    /// A client wants what is sent to a destination.
    Subscribe,
    /// And no longer.
    Unsubscribe,
    /// It was consumed.
    Ack,
    /// It was not.
    Nack,
    /// A transaction begins.
    Begin,
    /// It is done.
    Commit,
    /// It is undone.
    Abort,
    /// A client takes its leave.
    Disconnect,
    /// What was sent to a destination.
    Message,
    /// The server has done what it was asked to.
    Receipt,
    /// It does not, and closes the connection.
    Error,
}

const NAMES: [(Command, &str); 15] = [
    (Command::Stomp, "STOMP"),
    (Command::Connect, "CONNECT"),
    (Command::Connected, "CONNECTED"),
    (Command::Send, "SEND"),
    (Command::Subscribe, "SUBSCRIBE"),
    (Command::Unsubscribe, "UNSUBSCRIBE"),
    (Command::Ack, "ACK"),
    (Command::Nack, "NACK"),
    (Command::Begin, "BEGIN"),
    (Command::Commit, "COMMIT"),
    (Command::Abort, "ABORT"),
    (Command::Disconnect, "DISCONNECT"),
    (Command::Message, "MESSAGE"),
    (Command::Receipt, "RECEIPT"),
    (Command::Error, "ERROR"),
];

impl Command {
    /// By its name.
    pub fn parse(name: &str) -> Option<Self> {
        let found = NAMES.iter().find(|(_, known)| *known == name);
        found.map(|(command, _)| *command)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        let found = NAMES.iter().find(|(known, _)| *known == self);
        found.map_or("", |(_, name)| name)
    }

    /// Whether it may have a body.
    pub fn has_body(self) -> bool {
        matches!(self, Self::Send | Self::Message | Self::Error)
    }

    /// CONNECT and CONNECTED stay as they were in 1.0: without escapes.
    fn escapes(self) -> bool {
        !matches!(self, Self::Connect | Self::Connected)
    }
}

/// One frame. `content-length` is not among its headers: it is the length of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub command: Command,
    /// Names and values, without escapes, in order. Of several of one name the first counts.
    pub headers: Vec<(String, String)>,
    /// Empty unless the command has one.
    pub body: Bytes,
    /// Why it cannot be taken, where a decoder went on behind it: then it has nothing but a destination.
    pub refused: Option<&'static str>,
}

pub(super) const CONTENT_LENGTH: &str = "content-length";

impl Frame {
    /// Without headers and body.
    pub fn new(command: Command) -> Self {
        Self {
            command,
            headers: Vec::new(),
            body: Bytes::new(),
            refused: None,
        }
    }

    /// With one more header.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With a header if there is something to say.
    pub fn with_some(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// With this body.
    pub fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// The value of a header.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Appends the frame's bytes. A body always has its length beside it (R-STOMP.19): Records have
    /// zeros in them.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.command.as_str().as_bytes());
        out.push(b'\n');
        let colons = self.command.escapes();
        for (name, value) in &self.headers {
            escape(name, colons, out);
            out.push(b':');
            escape(value, colons, out);
            out.push(b'\n');
        }
        if self.command.has_body() {
            out.extend(format!("{CONTENT_LENGTH}:{}\n", self.body.len()).bytes());
        }
        out.push(b'\n');
        if self.command.has_body() {
            out.extend(&self.body);
        }
        out.push(0);
    }

    /// Reads the lines of a head. Gives back what its `content-length` says, too.
    pub(super) fn parse<'a>(
        mut lines: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(Self, Option<usize>), Malformed> {
        let text = |line: &'a [u8]| {
            str::from_utf8(line).map_err(|_| Malformed("a header that is not UTF-8"))
        };
        let command = lines.next().map(text).transpose()?.unwrap_or_default();
        let command = Command::parse(command).ok_or(Malformed("a frame of no known command"))?;
        let mut frame = Self::new(command);
        let mut length = None;
        for line in lines {
            let line = text(line)?;
            let (name, value) = line
                .split_once(':')
                .ok_or(Malformed("a header without :"))?;
            if name.is_empty() {
                return Err(Malformed("a header without a name"));
            }
            if name == CONTENT_LENGTH {
                length = match length {
                    Some(first) => Some(first),
                    None => Some(number(value)?),
                };
                continue;
            }
            let (name, value) = match command.escapes() {
                true => (unescape(name)?, unescape(value)?),
                // Some servers escape here, too; what is no escape is meant as it stands.
                false => (name.to_owned(), unescape(value).unwrap_or(value.to_owned())),
            };
            frame.headers.push((name, value));
        }
        Ok((frame, length))
    }
}

pub(super) fn number(text: &str) -> Result<usize, Malformed> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    // What does not fit is larger than any limit.
    match digits {
        true => Ok(text.parse().unwrap_or(usize::MAX)),
        false => Err(Malformed("a content-length that is no number")),
    }
}

fn escape(text: &str, colons: bool, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'\r' => out.extend(b"\\r"),
            b'\n' => out.extend(b"\\n"),
            b':' if colons => out.extend(b"\\c"),
            b'\\' if colons => out.extend(b"\\\\"),
            _ => out.push(byte),
        }
    }
}

fn unescape(text: &str) -> Result<String, Malformed> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some('r') => '\r',
                Some('n') => '\n',
                Some('c') => ':',
                Some('\\') => '\\',
                _ => return Err(Malformed("a header with an escape that is none")),
            },
            c => c,
        });
    }
    Ok(out)
}
