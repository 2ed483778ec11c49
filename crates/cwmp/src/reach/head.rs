//! The head of an HTTP message as the small servers in CPEs write it: line feeds alone, folded
//! lines, no reason. Strict HTTP libraries refuse these, and with them half of the devices.

use std::fmt;

use crate::limits;
use crate::value::MASK;

/// Headers in their order, with names in lower case. Their `Debug` does not show credentials.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|(name, value)| match &**name {
            "authorization" | "cookie" => (name, MASK),
            _ => (name, value.as_str()),
        });
        f.debug_map().entries(shown).finish()
    }
}

impl Headers {
    /// The values of a name, which is given in lower case.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(known, _)| *known == name);
        named.map(|(_, value)| value.as_str())
    }

    /// The first of them.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
}

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// `GET`, as sent.
    pub method: String,
    /// The target, as sent: a path, or a whole URL.
    pub target: String,
    /// The headers.
    pub headers: Headers,
}

/// Why bytes are no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// They do not begin like one.
    #[error("this is not HTTP")]
    NotHttp,
    /// They have no end within `HEAD_BYTES_MAX`.
    #[error("the head has no end")]
    TooLong,
}

/// Reads the head of an answer. `None` when more bytes are needed.
pub fn answer(bytes: &[u8]) -> Result<Option<Answer>, HeadError> {
    let Some((first, headers)) = split(bytes, b"HTTP/")? else {
        return Ok(None);
    };
    let mut words = first.split_ascii_whitespace();
    let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/"));
    let status = words.next().and_then(|word| word.parse().ok());
    match status.filter(|status| is_http && (100..1000).contains(status)) {
        Some(status) => Ok(Some(Answer { status, headers })),
        None => Err(HeadError::NotHttp),
    }
}

/// Reads the head of a request. `None` when more bytes are needed.
pub fn question(bytes: &[u8]) -> Result<Option<Question>, HeadError> {
    let Some((first, headers)) = split(bytes, b"")? else {
        return Ok(None);
    };
    let mut words = first.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(method), Some(target), Some(version)) if version.starts_with("HTTP/") => {
            Ok(Some(Question {
                method: method.to_owned(),
                target: target.to_owned(),
                headers,
            }))
        }
        _ => Err(HeadError::NotHttp),
    }
}

/// The first line and the headers, up to the first empty line.
fn split(bytes: &[u8], start: &[u8]) -> Result<Option<(String, Headers)>, HeadError> {
    let whole = bytes.len();
    // With the empty lines before it, which could have no end either.
    let bytes = &bytes[..whole.min(limits::HEAD_BYTES_MAX)];
    let blank = bytes
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count();
    let bytes = &bytes[blank..];
    let known = bytes.len().min(start.len());
    if bytes[..known] != start[..known] {
        return Err(HeadError::NotHttp);
    }
    let Some(end) = end_of(bytes) else {
        return match whole < limits::HEAD_BYTES_MAX {
            true => Ok(None),
            false => Err(HeadError::TooLong),
        };
    };
    // What is not ASCII is Latin 1.
    let text: String = bytes[..end].iter().copied().map(char::from).collect();
    let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
    let first = lines.next().unwrap_or_default().to_owned();
    let mut headers = Headers::default();
    for line in lines {
        if line.starts_with([' ', '\t'])
            && let Some((_, value)) = headers.0.last_mut()
        {
            value.push(' ');
            value.push_str(line.trim());
        } else if let Some((name, value)) = line.split_once(':') {
            let name = name.trim().to_ascii_lowercase();
            headers.0.push((name, value.trim().to_owned()));
        }
    }
    Ok(Some((first, headers)))
}

/// What follows the first head.
pub(super) fn rest(bytes: &[u8]) -> &[u8] {
    let blank = bytes
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count();
    let head = &bytes[blank..];
    match end_of(head).map(|end| &head[end + 1..]) {
        Some([b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..]) => rest,
        _ => &[],
    }
}

/// Where the first empty line begins.
fn end_of(bytes: &[u8]) -> Option<usize> {
    let feeds = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let mut ends = feeds.map(|(at, _)| at);
    ends.find(|at| matches!(bytes[at + 1..], [b'\n', ..] | [b'\r', b'\n', ..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_the_field_are_read() {
        for text in [
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"a\",\r\n\tnonce=\"b\"\r\nContent-Length: 0\r\n\r\nbody",
            "\r\nHTTP/1.0 401\nwww-authenticate:Digest realm=\"a\",\n   nonce=\"b\"\nno header\ncontent-length : 0\n\n",
        ] {
            let head = answer(text.as_bytes()).unwrap().unwrap();
            assert_eq!(head.status, 401);
            assert_eq!(
                head.headers.get("www-authenticate"),
                Some("Digest realm=\"a\", nonce=\"b\"")
            );
            assert_eq!(head.headers.all("content-length").count(), 1);
        }
        let head = question(b"GET http://h/x HTTP/1.1\nHost: h\n\n")
            .unwrap()
            .unwrap();
        assert_eq!(
            (&*head.method, &*head.target, head.headers.get("host")),
            ("GET", "http://h/x", Some("h"))
        );
    }

    #[test]
    fn what_is_no_head_is_told_early() {
        assert_eq!(answer(b"SSH-2.0"), Err(HeadError::NotHttp));
        assert_eq!(answer(b"HTTP/1.1 abc\n\n"), Err(HeadError::NotHttp));
        assert_eq!(question(b"GET /\n\n"), Err(HeadError::NotHttp));
        for part in [
            "",
            "\n",
            "HT",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n",
        ] {
            assert_eq!(answer(part.as_bytes()), Ok(None), "{part:?}");
        }
    }

    /// `HEAD_BYTES_MAX`
    #[test]
    fn a_head_without_an_end_is_refused() {
        let text = format!(
            "HTTP/1.1 200 OK\r\nA: {}",
            "x".repeat(limits::HEAD_BYTES_MAX)
        );
        assert_eq!(answer(text.as_bytes()), Err(HeadError::TooLong));
        let blank = "\r\n".repeat(limits::HEAD_BYTES_MAX / 2);
        assert_eq!(question(blank.as_bytes()), Err(HeadError::TooLong));
        assert_eq!(question(&blank.as_bytes()[1..]), Ok(None));
    }
}
