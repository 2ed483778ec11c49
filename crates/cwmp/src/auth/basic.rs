//! Basic authentication (RFC 7617). Deliberately no decision when it may be used: it shows the
//! password, so only over TLS, or to a device that knows nothing else.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::challenge::{credentials, quoted};

/// Some clients leave the padding out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a client shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Basic {
    /// The user, up to the first colon.
    pub username: String,
    /// The password.
    pub password: crate::value::Secret,
}

impl Basic {
    /// Reads the value of an `Authorization` header; `None` when it is none of this scheme.
    pub fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = credentials(header).filter(|(scheme, _)| scheme == "basic")?;
        debug_assert_eq!(scheme, "basic");
        let bytes = LENIENT.decode(rest.trim()).ok()?;
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            // What is not UTF-8 is Latin 1.
            Err(error) => error.as_bytes().iter().copied().map(char::from).collect(),
        };
        let (username, password) = text.split_once(':')?;
        Some(Self {
            username: username.to_owned(),
            password: password.into(),
        })
    }
}

/// The value of an `Authorization` header.
pub fn authorization(username: &str, password: &str) -> String {
    format!("Basic {}", LENIENT.encode(format!("{username}:{password}")))
}

/// The value of a `WWW-Authenticate` header.
pub fn challenge(realm: &str) -> String {
    format!("Basic realm={}", quoted(realm))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_survive_and_are_read_without_padding() {
        let header = authorization("00256D-1%2F2", "p:ä");
        let read = Basic::parse(&header).unwrap();
        assert_eq!(
            (&*read.username, &*read.password.0),
            ("00256D-1%2F2", "p:ä")
        );
        assert!(Basic::parse(header.trim_end_matches('=')) == Some(read));
        // Preemptive with nothing, as simulators do.
        assert_eq!(&*Basic::parse("basic Og==").unwrap().password.0, "");
        // Latin 1.
        assert_eq!(&*Basic::parse("Basic YTrk").unwrap().password.0, "ä");
        for bad in ["Basic", "Basic !", "Basic YQ==", "Digest YTph", ""] {
            assert!(Basic::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(challenge("a\"b"), "Basic realm=\"a\\\"b\"");
    }
}
