//! Endpoint ids: who a USP endpoint is (TR-369 "Endpoint Identifier"; R-ARC.2a to .6).
//! Deliberately opaque once valid: case-sensitive text that nobody splits or folds again. An agent
//! and a controller may have the same id, so a registry keeps the two roles apart (R-ARC.1).

mod scheme;

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::limits;
pub use scheme::Scheme;
use scheme::{check_characters, is_hex};

/// What a certificate's URI puts before an endpoint id (R-SEC.0a).
pub const URN_PREFIX: &str = "urn:bbf:usp:id:";

/// A valid endpoint id. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(Arc<str>);

/// Why text is not an endpoint id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointIdError {
    /// There are fewer than two colons.
    #[error("an endpoint id is scheme:authority:instance, with both colons")]
    Shape,
    /// The scheme is none of the standard's.
    #[error("`{0}` is not an authority scheme of USP")]
    Scheme(String),
    /// The authority does not fit the scheme.
    #[error("the authority `{authority}` does not fit the scheme `{scheme}`: {want}")]
    Authority {
        /// The scheme.
        scheme: &'static str,
        /// What stands there.
        authority: String,
        /// What has to stand there.
        want: &'static str,
    },
    /// The instance part is empty or too long.
    #[error("the instance part has {0} characters, 1 to {max} are allowed", max = limits::INSTANCE_ID_CHARS_MAX)]
    Length(usize),
    /// The instance part holds something that has to be percent-encoded.
    #[error("`{found}` at character {at} has to be percent-encoded")]
    Character {
        /// Offset in characters from the start of the id.
        at: usize,
        /// What stands there.
        found: char,
    },
    /// The instance part does not fit the scheme.
    #[error("the instance part does not fit the scheme `{scheme}`: {want}")]
    Instance {
        /// The scheme.
        scheme: &'static str,
        /// What has to stand there.
        want: &'static str,
    },
    /// A certificate's URI is not a USP id.
    #[error("the URI does not start with {URN_PREFIX}")]
    Urn,
}

impl EndpointId {
    /// Checks an endpoint id against the rules of its scheme.
    pub fn parse(text: &str) -> Result<Self, EndpointIdError> {
        let mut parts = text.splitn(3, ':');
        let (Some(scheme), Some(authority), Some(instance)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(EndpointIdError::Shape);
        };
        let Some(&(scheme, _)) = Scheme::ALL.iter().find(|(_, name)| *name == scheme) else {
            return Err(EndpointIdError::Scheme(excerpt(scheme)));
        };
        if authority.len() > limits::PEN_DIGITS_MAX {
            let want = "fewer characters";
            return Err(EndpointIdError::Authority {
                scheme: scheme.as_str(),
                authority: excerpt(authority),
                want,
            });
        }
        scheme.check_authority(authority)?;
        let length = instance.chars().count();
        if !(1..=limits::INSTANCE_ID_CHARS_MAX).contains(&length) {
            return Err(EndpointIdError::Length(length));
        }
        let before = text.chars().count() - length;
        check_characters(instance).map_err(|(at, found)| EndpointIdError::Character {
            at: before + at,
            found,
        })?;
        scheme.check_instance(instance)?;
        Ok(Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Who assigned it.
    pub fn scheme(&self) -> Scheme {
        let name = self.0.split(':').next().unwrap_or_default();
        Scheme::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map_or(Scheme::Doc, |(scheme, _)| *scheme)
    }

    /// The part between the colons, often empty.
    pub fn authority(&self) -> &str {
        self.0.split(':').nth(1).unwrap_or_default()
    }

    /// The part after the second colon, still percent-encoded.
    pub fn instance(&self) -> &str {
        self.0.splitn(3, ':').nth(2).unwrap_or_default()
    }

    /// As the value of a URL query: `%` becomes `%25`, everything else is already safe. R-WS.10c
    pub fn to_query(&self) -> String {
        self.0.replace('%', "%25")
    }

    /// Undoes [`Self::to_query`]; other escapes that a client may have added are undone too. R-WS.10c
    pub fn from_query(text: &str) -> Result<Self, EndpointIdError> {
        Self::parse(&percent_decode(text))
    }

    /// As a certificate's subjectAltName holds it. R-SEC.0a
    pub fn to_urn(&self) -> String {
        format!("{URN_PREFIX}{}", self.0)
    }

    /// From a certificate's subjectAltName; the prefix is a URN, so its case does not count. R-SEC.0a
    pub fn from_urn(uri: &str) -> Result<Self, EndpointIdError> {
        match uri.get(..URN_PREFIX.len()) {
            Some(prefix) if prefix.eq_ignore_ascii_case(URN_PREFIX) => {
                Self::parse(&uri[URN_PREFIX.len()..])
            }
            _ => Err(EndpointIdError::Urn),
        }
    }

    /// From a certificate's dNSName, which is how an `fqdn` id may be certified. R-ARC.4a
    pub fn from_dns_name(name: &str) -> Result<Self, EndpointIdError> {
        Self::parse(&format!("fqdn::{name}"))
    }
}

/// The first characters of something that may be long.
fn excerpt(text: &str) -> String {
    text.chars().take(16).collect()
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .filter(|hex| is_hex(hex))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EndpointId {
    type Err = EndpointIdError;

    fn from_str(text: &str) -> Result<Self, EndpointIdError> {
        Self::parse(text)
    }
}

impl TryFrom<&str> for EndpointId {
    type Error = EndpointIdError;

    fn try_from(text: &str) -> Result<Self, EndpointIdError> {
        Self::parse(text)
    }
}

impl AsRef<str> for EndpointId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for EndpointId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> EndpointIdError {
        EndpointId::parse(text).unwrap_err()
    }

    #[test]
    fn every_scheme_of_the_standard_is_accepted() {
        for text in [
            "oui:00256D:my-unique-bbf-id-42",
            "oui:00256D7:x",
            "oui:00256D789:x",
            "cid:3AA3F8:my-unique-usp-id-42",
            "pen:3561:my-unique-bbf-id-42",
            "self::my-Agent",
            "self:a.b-_1:x",
            "user:x:y",
            "os::00256D-0123456789",
            "ops::00256D-STB-0123456789",
            "ops::00256D-a-b%2Dc-1",
            "uuid::f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "imei::990000862471854",
            "proto::controller",
            "doc::x%20y",
            "fqdn::controller.example.com",
        ] {
            let id = EndpointId::parse(text).unwrap();
            assert_eq!(id.as_str(), text);
            assert_eq!(
                format!(
                    "{}:{}:{}",
                    id.scheme().as_str(),
                    id.authority(),
                    id.instance()
                ),
                text
            );
            assert_eq!(EndpointId::from_urn(&id.to_urn()).unwrap(), id);
            assert_eq!(EndpointId::from_query(&id.to_query()).unwrap(), id);
        }
    }

    #[test]
    fn what_breaks_the_rules_of_its_scheme_is_refused() {
        assert_eq!(refused("proto"), EndpointIdError::Shape);
        assert_eq!(refused("proto:x"), EndpointIdError::Shape);
        assert_eq!(refused("Proto::x"), EndpointIdError::Scheme("Proto".into()));
        assert_eq!(refused("mac::x"), EndpointIdError::Scheme("mac".into()));
        for text in [
            "oui:00256:x",
            "oui:00256G:x",
            "oui:00256D78:x",
            "cid::x",
            "pen:x:x",
            "pen::x",
            "os:00256D:0-1",
        ] {
            assert!(
                matches!(refused(text), EndpointIdError::Authority { .. }),
                "{text}"
            );
        }
        for text in [
            "proto:a.b:x",
            "user:1234567:x",
            "self:a%:x",
            "fqdn:a:b.c",
            "doc:ü:x",
        ] {
            assert!(
                matches!(refused(text), EndpointIdError::Authority { .. }),
                "{text}"
            );
        }
        for text in [
            "os::x",
            "ops::a-b",
            "uuid::1",
            "imei::12345",
            "fqdn::x",
            "fqdn::a..b",
            "fqdn::-a.b",
        ] {
            assert!(
                matches!(refused(text), EndpointIdError::Instance { .. }),
                "{text}"
            );
        }
        assert_eq!(
            refused("fqdn::*.b"),
            EndpointIdError::Character { at: 6, found: '*' }
        );
    }

    #[test]
    fn a_character_that_needs_escaping_is_named() {
        assert_eq!(
            refused("proto::a b"),
            EndpointIdError::Character { at: 8, found: ' ' }
        );
        assert_eq!(
            refused("proto::a:b"),
            EndpointIdError::Character { at: 8, found: ':' }
        );
        assert_eq!(
            refused("proto::äb"),
            EndpointIdError::Character { at: 7, found: 'ä' }
        );
        assert_eq!(
            refused("proto::a%2"),
            EndpointIdError::Character { at: 8, found: '%' }
        );
        assert_eq!(
            refused("proto::a%zz"),
            EndpointIdError::Character { at: 8, found: '%' }
        );
    }

    /// `INSTANCE_ID_CHARS_MAX`, `PEN_DIGITS_MAX`
    /// R-ARC.5
    #[test]
    fn an_instance_part_has_one_to_fifty_characters() {
        assert!(EndpointId::parse(&format!("proto::{}", "x".repeat(50))).is_ok());
        assert_eq!(
            refused(&format!("proto::{}", "x".repeat(51))),
            EndpointIdError::Length(51)
        );
        assert_eq!(refused("proto::"), EndpointIdError::Length(0));
        assert!(EndpointId::parse("pen:4294967295:x").is_ok());
        assert!(matches!(
            refused("pen:42949672950:x"),
            EndpointIdError::Authority { .. }
        ));
    }

    /// R-WS.10c
    #[test]
    fn percent_is_escaped_again_in_a_url() {
        let id = EndpointId::parse("ops::00256D-My%20Box-1").unwrap();
        assert_eq!(id.to_query(), "ops::00256D-My%2520Box-1");
        assert_eq!(
            EndpointId::from_query("ops%3A%3A00256D-My%2520Box-1").unwrap(),
            id
        );
        assert!(EndpointId::from_query("ops::00256D-My%20Box-1").is_err());
        assert!(EndpointId::from_query("%e4%").is_err());
    }

    /// R-SEC.0a, R-ARC.4a
    #[test]
    fn certificates_hold_a_urn_or_for_fqdn_a_dns_name() {
        assert_eq!(
            EndpointId::from_urn("URN:bbf:usp:id:proto::a")
                .unwrap()
                .as_str(),
            "proto::a"
        );
        assert_eq!(
            EndpointId::from_urn("urn:uuid:1").unwrap_err(),
            EndpointIdError::Urn
        );
        assert_eq!(EndpointId::from_urn("ü").unwrap_err(), EndpointIdError::Urn);
        assert_eq!(
            EndpointId::from_dns_name("acs.example.com")
                .unwrap()
                .as_str(),
            "fqdn::acs.example.com"
        );
        assert!(EndpointId::from_dns_name("*.example.com").is_err());
    }

    #[test]
    fn ids_are_case_sensitive() {
        assert_ne!(
            EndpointId::parse("proto::a").unwrap(),
            EndpointId::parse("proto::A").unwrap()
        );
    }
}
