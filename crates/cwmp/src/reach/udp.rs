//! The UDP connection request of Annex G: one datagram that looks like HTTP, signed with the
//! connection request password. Sent three times, identical; the answer is the Inform.

use std::net::SocketAddr;

use super::hmac_sha1;
use crate::auth::digest::hex;
use crate::auth::same;
use crate::limits;

/// A UDP connection request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UdpRequest {
    /// Seconds since the Unix epoch; grows from one request to the next.
    pub timestamp: u64,
    /// Another number for each request.
    pub id: u64,
    /// ManagementServer.ConnectionRequestUsername.
    pub username: String,
    /// A random text.
    pub cnonce: String,
}

impl UdpRequest {
    fn signature(&self, password: &str) -> String {
        let text = format!(
            "{}{}{}{}",
            self.timestamp, self.id, self.username, self.cnonce
        );
        hex(&hmac_sha1(password.as_bytes(), text.as_bytes()))
    }

    /// The datagram, to the address that the CPE has outside of its NAT.
    pub fn datagram(&self, to: SocketAddr, password: &str) -> Vec<u8> {
        let Self { timestamp, id, .. } = self;
        let (user, cnonce) = (escape(&self.username), escape(&self.cnonce));
        let signature = self.signature(password);
        format!(
            "GET http://{to}?ts={timestamp}&id={id}&un={user}&cn={cnonce}&sig={signature} HTTP/1.1\r\nHost: {to}\r\n\r\n"
        )
        .into_bytes()
    }

    /// Reads a datagram and checks its signature. `None` for anything that is not a request signed
    /// with this password by this user.
    pub fn parse(datagram: &[u8], username: &str, password: &str) -> Option<Self> {
        if datagram.len() > limits::UDP_REQUEST_BYTES_MAX {
            return None;
        }
        let text = std::str::from_utf8(datagram).ok()?;
        let target = text.strip_prefix("GET ")?.split_ascii_whitespace().next()?;
        let (_, query) = target.split_once('?')?;
        let get = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(known, _)| *known == name)
                .map(|(_, value)| unescape(value))
        };
        let request = Self {
            timestamp: get("ts")?.parse().ok()?,
            id: get("id")?.parse().ok()?,
            username: get("un")?,
            cnonce: get("cn")?,
        };
        let shown = get("sig")?.to_ascii_lowercase();
        let good = same(request.signature(password).as_bytes(), shown.as_bytes());
        (good && request.username == username).then_some(request)
    }

    /// Whether a CPE that saw `last` shall act on this one: the copies that follow the first, and
    /// old ones played again, are nothing new.
    pub fn is_new(&self, last: Option<&Self>) -> bool {
        last.is_none_or(|last| {
            self.timestamp > last.timestamp
                || (self.timestamp == last.timestamp && self.id != last.id)
        })
    }
}

fn escape(text: &str) -> String {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

fn unescape(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let byte = match (first, tail.get(..2)) {
            (b'%', Some(digits)) => {
                let digits = std::str::from_utf8(digits).ok();
                digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())
            }
            _ => None,
        };
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> UdpRequest {
        UdpRequest {
            timestamp: 1_120_673_700,
            id: 1234,
            username: "CPE57689".into(),
            cnonce: "XTGRWIPC6D3IPXS3".into(),
        }
    }

    #[test]
    fn a_request_is_written_as_the_standard_has_it() {
        let datagram = request().datagram("10.1.1.1:8080".parse().unwrap(), "password");
        let text = String::from_utf8(datagram).unwrap();
        let start =
            "GET http://10.1.1.1:8080?ts=1120673700&id=1234&un=CPE57689&cn=XTGRWIPC6D3IPXS3&sig=";
        assert!(text.starts_with(start), "{text}");
        assert!(text.ends_with(" HTTP/1.1\r\nHost: 10.1.1.1:8080\r\n\r\n"));
        assert_eq!(text[start.len()..].find(' '), Some(40));
    }

    #[test]
    fn only_the_right_password_and_user_are_taken() {
        let mut odd = request();
        odd.username = "a/b %ä&=".into();
        let to = "[2001:db8::1]:7547".parse().unwrap();
        for request in [request(), odd] {
            let datagram = request.datagram(to, "password");
            let user = request.username.clone();
            assert_eq!(
                UdpRequest::parse(&datagram, &user, "password"),
                Some(request.clone())
            );
            assert_eq!(UdpRequest::parse(&datagram, &user, "other"), None);
            assert_eq!(UdpRequest::parse(&datagram, "other", "password"), None);
            let upper = String::from_utf8(datagram)
                .unwrap()
                .replace("sig=", "sig=0")
                .into_bytes();
            assert_eq!(UdpRequest::parse(&upper, &user, "password"), None);
        }
        for bad in [
            "",
            "GET ",
            "GET /x HTTP/1.1",
            "GET /?ts=1&id=2&un=a&cn=b",
            "GET /?ts=x&id=2&un=a&cn=b&sig=1",
        ] {
            assert_eq!(UdpRequest::parse(bad.as_bytes(), "a", "p"), None);
        }
    }

    #[test]
    fn copies_and_old_ones_are_nothing_new() {
        let first = request();
        assert!(first.is_new(None) && !first.is_new(Some(&first)));
        let second = UdpRequest { id: 5, ..request() };
        assert!(second.is_new(Some(&first)));
        let later = UdpRequest {
            timestamp: 1_120_673_701,
            ..request()
        };
        assert!(later.is_new(Some(&first)) && !first.is_new(Some(&later)));
    }

    /// `UDP_REQUEST_BYTES_MAX`
    #[test]
    fn an_endless_datagram_is_refused() {
        let mut long = request();
        long.cnonce = "x".repeat(limits::UDP_REQUEST_BYTES_MAX);
        let datagram = long.datagram("10.1.1.1:1".parse().unwrap(), "p");
        assert_eq!(UdpRequest::parse(&datagram, "CPE57689", "p"), None);
    }
}
