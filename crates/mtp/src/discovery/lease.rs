//! What a DHCP client on this device keeps of its lease, as text. Two forms are read:
//!
//! - **Variables**, a line each: `opt125=00000de9...` (what `udhcpc` hands to its script), `OPTION_17=...` (what
//!   `odhcp6c` hands to its own), `new_unknown_125='0:0:d:e9:...'`. Any script that writes one such line into a file
//!   will do.
//! - **Leases** of ISC `dhclient`: blocks of `lease { ... }` and `lease6 { ... }`, of which the last whole one counts.
//!
//! Deliberately neither the addresses nor the times of a lease: where a controller is does not end with an address.

use super::dhcp::{Offer, OfferError, Version};

/// Why a file says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Neither of the two forms.
    #[error("neither leases of dhclient nor lines like opt125=HEX")]
    Form,
    /// The value is not what options are written as.
    #[error("option {0}: its value is neither bytes in hexadecimal nor a text in quotes")]
    Value(u16),
    /// The content of the option is wrong.
    #[error("option {option}: {error}")]
    Offer {
        /// Which one.
        option: u16,
        /// What is wrong with it.
        error: OfferError,
    },
}

/// The contents of the options in which a server answers, by version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Contents {
    v4: Option<Vec<u8>>,
    v6: Option<Vec<u8>>,
}

impl Contents {
    fn put(&mut self, version: Version, content: Vec<u8>) {
        match version {
            Version::V4 => self.v4 = Some(content),
            Version::V6 => self.v6 = Some(content),
        }
    }

    /// The offer of version 4, else that of version 6: there is one controller alone.
    fn offer(self) -> Result<Option<Offer>, LeaseError> {
        for (version, content) in [(Version::V4, self.v4), (Version::V6, self.v6)] {
            let Some(content) = content else { continue };
            let offer = Offer::decode(version, &content).map_err(|error| LeaseError::Offer {
                option: version.offer_option(),
                error,
            })?;
            if offer.is_some() {
                return Ok(offer);
            }
        }
        Ok(None)
    }
}

/// Reads what a DHCP client keeps. `None`: a lease without an offer, or no lease yet.
pub fn read(text: &str) -> Result<Option<Offer>, LeaseError> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let contents = match leases(text)? {
        Some(contents) => contents,
        None => variables(text)?,
    };
    contents.offer()
}

/// The names that DHCP clients have for the options, in variables.
fn variable(name: &str) -> Option<Version> {
    let number = ["opt", "OPTION_", "new_unknown_", "new_dhcp6_unknown_"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))?;
    match number {
        "125" => Some(Version::V4),
        "17" => Some(Version::V6),
        _ => None,
    }
}

fn variables(text: &str) -> Result<Contents, LeaseError> {
    let mut contents = Contents::default();
    let mut any = false;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        any = true;
        let Some(version) = variable(name) else {
            continue;
        };
        let value = ['\'', '"']
            .iter()
            .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
            .unwrap_or(value);
        let content = hexadecimal(value).ok_or(LeaseError::Value(version.offer_option()))?;
        contents.put(version, content);
    }
    match any {
        true => Ok(contents),
        false => Err(LeaseError::Form),
    }
}

/// `00000de9`, or `0:0:d:e9`.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let byte = |digits: &str| {
        let good = (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        good.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
    };
    if text.contains(':') {
        return text.split(':').map(byte).collect();
    }
    if text.is_empty() || !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let pairs = (0..text.len()).step_by(2);
    pairs.map(|at| byte(&text[at..at + 2])).collect()
}

/// A piece of `dhclient`'s file.
#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Text(Vec<u8>),
    Open,
    Close,
    End,
}

/// The next piece and what follows; `None` at the end, or in a text that does not end.
fn token(text: &str) -> Option<(Token<'_>, &str)> {
    let mut text = text.trim_start();
    while let Some(comment) = text.strip_prefix('#') {
        text = comment
            .split_once('\n')
            .map_or("", |(_, rest)| rest)
            .trim_start();
    }
    let first = text.chars().next()?;
    let rest = &text[first.len_utf8()..];
    match first {
        '{' => Some((Token::Open, rest)),
        '}' => Some((Token::Close, rest)),
        ';' => Some((Token::End, rest)),
        '"' => quoted(rest).map(|(bytes, rest)| (Token::Text(bytes), rest)),
        _ => {
            let end = text
                .find(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | '"'))
                .unwrap_or(text.len());
            let (word, rest) = text.split_at(end);
            Some((Token::Word(word), rest))
        }
    }
}

/// The bytes of a text up to its closing quote: `\ooo` is a byte in octal, a backslash takes the rest literally.
fn quoted(text: &str) -> Option<(Vec<u8>, &str)> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            b'"' => return Some((out, text.get(at + 1..)?)),
            b'\\' => {
                let digits = bytes.get(at + 1..at + 4);
                let octal =
                    digits.filter(|digits| digits.iter().all(|b| (b'0'..=b'7').contains(b)));
                if let Some(digits) = octal {
                    let number = digits.iter().fold(0u32, |n, b| n * 8 + u32::from(b - b'0'));
                    out.push(number as u8);
                    at += 4;
                } else {
                    out.push(*bytes.get(at + 1)?);
                    at += 2;
                }
            }
            byte => {
                out.push(byte);
                at += 1;
            }
        }
    }
}

/// The names that `dhclient` has for the options.
fn option(name: &str) -> Option<Version> {
    match name {
        "vivso" | "unknown-125" => Some(Version::V4),
        "dhcp6.vendor-opts" | "dhcp6.unknown-17" => Some(Version::V6),
        _ => None,
    }
}

/// The last whole lease; `None`: these are no leases of `dhclient`.
fn leases(text: &str) -> Result<Option<Contents>, LeaseError> {
    let mut rest = text;
    let mut last = None;
    // What is being read: the statement, how deep it is, and the lease it is in.
    let mut statement = Vec::new();
    let mut depth = 0usize;
    let mut lease: Option<Result<Contents, LeaseError>> = None;
    let mut any = false;
    while let Some((token, after)) = token(rest) {
        rest = after;
        match token {
            Token::Word(_) | Token::Text(_) => statement.push(token),
            Token::Open => {
                if depth == 0 && matches!(statement[..], [Token::Word("lease" | "lease6")]) {
                    lease = Some(Ok(Contents::default()));
                    any = true;
                }
                depth += 1;
                statement.clear();
            }
            Token::Close => {
                depth = depth.saturating_sub(1);
                statement.clear();
                if depth == 0
                    && let Some(whole) = lease.take()
                {
                    last = Some(whole);
                }
            }
            Token::End => {
                if let Some(Ok(contents)) = &mut lease
                    && let [Token::Word("option"), Token::Word(name), value] = &statement[..]
                    && let Some(version) = option(name)
                {
                    let content = match value {
                        Token::Text(bytes) => Some(bytes.clone()),
                        Token::Word(word) => hexadecimal(word),
                        _ => None,
                    };
                    match content {
                        Some(content) => contents.put(version, content),
                        None => lease = Some(Err(LeaseError::Value(version.offer_option()))),
                    }
                }
                statement.clear();
            }
        }
    }
    match last {
        Some(whole) => whole.map(Some),
        // The first one is still being written.
        None if any => Ok(Some(Contents::default())),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `ws://a/u` and `self::c`.
    const V4: &str = "00000de913190877733a2f2f612f751d0773656c663a3a63";
    const V6: &str = "00000de90019000877733a2f2f612f75001d000773656c663a3a63";

    fn is_it(offer: Result<Option<Offer>, LeaseError>) {
        let offer = offer.unwrap().unwrap();
        assert_eq!(offer.url.as_deref(), Some("ws://a/u"));
        assert_eq!(offer.endpoint_id.unwrap().as_str(), "self::c");
    }

    /// As `dhclient` writes bytes: no leading zeros.
    fn colons(hex: &str) -> String {
        let bytes = hexadecimal(hex).unwrap();
        let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:x}")).collect();
        bytes.join(":")
    }

    #[test]
    fn variables_of_scripts_are_read() {
        is_it(read(&format!("interface=eth0\nip=10.0.0.7\nopt125={V4}\n")));
        is_it(read(&format!(
            "# written by the script\nexport OPTION_17='{V6}'\n"
        )));
        is_it(read(&format!("OPTION_125=\"{}\"\n", V4.to_uppercase())));
        is_it(read(&format!("new_unknown_125='{}'", colons(V4))));
        assert_eq!(read("ip=10.0.0.7\nrouter=10.0.0.1\n"), Ok(None));
        assert_eq!(read(""), Ok(None));
    }

    #[test]
    fn leases_of_dhclient_are_read_and_the_last_whole_one_counts() {
        let lease = |value: &str| {
            format!(
                "lease {{\n  interface \"eth0\";\n  fixed-address 10.0.0.7;\n  option subnet-mask 255.255.255.0;\n  \
                 option domain-name \"a;b}}\\\"c\";\n  option vivso {value};\n  renew 0 2026/11/22 01:00:00;\n}}\n"
            )
        };
        let good = colons(V4);
        is_it(read(&lease(&good)));
        let older = lease("0:0:0:9:1:0");
        is_it(read(&format!("{older}{}", lease(&good))));
        assert_eq!(read(&format!("{}{older}", lease(&good))), Ok(None));
        let half = format!("{}lease {{\n  option vivso 0:0", lease(&good));
        is_it(read(&half));
        assert_eq!(read("lease {\n  option vivso 0:0"), Ok(None));
    }

    #[test]
    fn leases_of_version_6_are_read() {
        is_it(read(&format!(
            "default-duid \"\\000\\001\";\nlease6 {{\n  interface \"eth0\";\n  ia-na 12:34 {{\n    starts 1;\n    \
             iaaddr fd00::7 {{\n      starts 1;\n    }}\n  }}\n  option dhcp6.client-id 0:1;\n  \
             option dhcp6.vendor-opts {};\n}}\n",
            colons(V6)
        )));
    }

    #[test]
    fn a_text_in_quotes_is_bytes() {
        let bytes = hexadecimal(V4).unwrap();
        let text: String = bytes
            .iter()
            .map(|byte| match byte {
                b' '..=b'~' => char::from(*byte).to_string(),
                byte => format!("\\{byte:03o}"),
            })
            .collect();
        is_it(read(&format!("lease {{ option unknown-125 \"{text}\"; }}")));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let said = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(read("what is this"), Err(LeaseError::Form));
        assert_eq!(read("opt125=xyz"), Err(LeaseError::Value(125)));
        assert_eq!(read("opt125=0"), Err(LeaseError::Value(125)));
        assert_eq!(read("opt17="), Err(LeaseError::Value(17)));
        assert_eq!(
            read("lease6 { option dhcp6.vendor-opts zz; }"),
            Err(LeaseError::Value(17))
        );
        assert_eq!(
            said("opt125=00000de9051b0178"),
            "option 125: it ends within the data of an enterprise"
        );
        assert!(said("opt125=00000de9031b0178").contains("sub-option 27 is \"x\""));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "(lease|lease6|option|vivso|opt125|[{}; \"\\\\=:#\n0-9a-fé]){0,40}") {
            let _ = read(&text);
        }
    }
}
