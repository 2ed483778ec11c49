//! The cookie that binds a session: what the caller wants to find again, with a time and a
//! signature. Deliberately opaque to the device; devices echo it with quotes, commas, attributes,
//! and beside older ones.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::{mac, same};
use crate::limits;

/// Makes the value of a session cookie: `content` names the session, and the node that holds it.
/// `now` is in seconds of a clock that all nodes share.
pub fn sign(secret: &[u8], content: &str, now: u64) -> String {
    let signature = signature(secret, content.as_bytes(), now);
    let content = BASE64_URL_SAFE_NO_PAD.encode(content);
    // No character that needs quotes, in any reading of the rules.
    format!(
        "{content}.{now:x}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(signature)
    )
}

fn signature(secret: &[u8], content: &[u8], now: u64) -> [u8; 32] {
    mac(secret, &[b"session cookie", content, &now.to_be_bytes()])
}

/// The content of a value that we made at most `life` seconds ago.
pub fn verify(secret: &[u8], value: &str, now: u64, life: u64) -> Option<String> {
    let mut parts = value.split('.');
    let (content, made, signed) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let content = BASE64_URL_SAFE_NO_PAD.decode(content).ok()?;
    let made = u64::from_str_radix(made, 16).ok()?;
    let signed = BASE64_URL_SAFE_NO_PAD.decode(signed).ok()?;
    let good = same(&signature(secret, &content, made), &signed) && now.abs_diff(made) <= life;
    good.then(|| String::from_utf8(content).ok()).flatten()
}

/// The values of the cookies of one name in a `Cookie` header, last first: a jar puts the newest
/// last, or there is only one.
pub fn find<'a>(header: &'a str, name: &str) -> Vec<&'a str> {
    let header = match header.char_indices().nth(limits::COOKIE_BYTES_MAX) {
        Some((at, _)) => &header[..at],
        None => header,
    };
    let pairs = header
        .split([';', ','])
        .filter_map(|pair| pair.split_once('='));
    let named = pairs.filter(|(known, _)| known.trim().eq_ignore_ascii_case(name));
    let mut values: Vec<_> = named
        .map(|(_, value)| value.trim().trim_matches('"'))
        .collect();
    values.reverse();
    values
}

/// The value of a `Set-Cookie` header. With a path of the root, since devices post elsewhere after
/// a redirection; `None` for those that echo attributes and cannot bear it.
pub fn set(name: &str, value: &str, path: Option<&str>) -> String {
    match path {
        Some(path) => format!("{name}={value}; Path={path}"),
        None => format!("{name}={value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_good_on_any_node_for_its_life() {
        let value = sign(b"secret", "node-1/42", 1000);
        assert_eq!(
            verify(b"secret", &value, 1010, 60).as_deref(),
            Some("node-1/42")
        );
        assert_eq!(verify(b"secret", &value, 1061, 60), None);
        assert_eq!(verify(b"other", &value, 1000, 60), None);
        let forged = value.replacen('.', ".f", 1);
        for bad in ["", "a.b.c", &forged, &format!("{value}.x"), &value[1..]] {
            assert_eq!(verify(b"secret", bad, 1000, 60), None, "{bad}");
        }
        assert!(
            value
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        );
    }

    #[test]
    fn cookies_are_found_however_they_are_echoed() {
        assert_eq!(find("session=a", "session"), ["a"]);
        assert_eq!(find("session=a; path=/", "session"), ["a"]);
        assert_eq!(find("$Version=1, Session = \"a\" , x=y", "session"), ["a"]);
        assert_eq!(find("session=old; session=new", "session"), ["new", "old"]);
        assert!(find("sessions=a; =;;,", "session").is_empty());
        assert_eq!(set("session", "a", Some("/")), "session=a; Path=/");
    }

    /// `COOKIE_BYTES_MAX`
    #[test]
    fn an_endless_cookie_header_is_cut() {
        let header = format!("{}session=a", "x=y; ".repeat(limits::COOKIE_BYTES_MAX));
        assert!(find(&header, "session").is_empty());
    }
}
