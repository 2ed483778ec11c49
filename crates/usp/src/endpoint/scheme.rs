//! The authority schemes of endpoint ids, and what each allows for its parts.
//! Deliberately only what can be checked without asking anybody.

use super::EndpointIdError;
use crate::limits;

/// Who assigned an endpoint id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// A MAC block owner.
    Oui,
    /// A company id.
    Cid,
    /// A private enterprise number.
    Pen,
    /// The endpoint itself.
    SelfAssigned,
    /// A person or management system.
    User,
    /// OUI and serial number.
    Os,
    /// OUI, product class and serial number.
    Ops,
    /// An RFC 4122 UUID.
    Uuid,
    /// A mobile equipment identity.
    Imei,
    /// Prototypes; never in production (R-ARC.4).
    Proto,
    /// Documentation.
    Doc,
    /// A domain name (1.3).
    Fqdn,
}

impl Scheme {
    pub(super) const ALL: [(Self, &'static str); 12] = [
        (Self::Oui, "oui"),
        (Self::Cid, "cid"),
        (Self::Pen, "pen"),
        (Self::SelfAssigned, "self"),
        (Self::User, "user"),
        (Self::Os, "os"),
        (Self::Ops, "ops"),
        (Self::Uuid, "uuid"),
        (Self::Imei, "imei"),
        (Self::Proto, "proto"),
        (Self::Doc, "doc"),
        (Self::Fqdn, "fqdn"),
    ];

    /// As it is written in an endpoint id.
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(scheme, _)| *scheme == self)
            .map_or("", |(_, name)| name)
    }

    pub(super) fn check_authority(self, authority: &str) -> Result<(), EndpointIdError> {
        let (fits, want) = match self {
            // 24, 28 and 36-bit MAC blocks; the latter two since 1.4
            Self::Oui => (
                matches!(authority.len(), 6 | 7 | 9) && is_hex(authority),
                "6, 7 or 9 hexadecimal digits",
            ),
            Self::Cid => (
                authority.len() == 6 && is_hex(authority),
                "6 hexadecimal digits",
            ),
            Self::Pen => (
                (1..=limits::PEN_DIGITS_MAX).contains(&authority.len())
                    && authority.bytes().all(|byte| byte.is_ascii_digit()),
                "a decimal enterprise number",
            ),
            Self::SelfAssigned | Self::User | Self::Doc => (
                authority.len() <= 6 && authority.bytes().all(is_unreserved),
                "up to 6 unreserved characters",
            ),
            Self::Proto => (
                authority.len() <= 6
                    && authority
                        .bytes()
                        .all(|byte| is_unreserved(byte) && byte != b'.'),
                "up to 6 unreserved characters but the dot",
            ),
            Self::Os | Self::Ops | Self::Uuid | Self::Imei | Self::Fqdn => {
                (authority.is_empty(), "nothing")
            }
        };
        if fits {
            return Ok(());
        }
        Err(EndpointIdError::Authority {
            scheme: self.as_str(),
            authority: authority.to_owned(),
            want,
        })
    }

    pub(super) fn check_instance(self, instance: &str) -> Result<(), EndpointIdError> {
        let (fits, want) = match self {
            // The product class may hold dashes itself, so nothing more can be said.
            Self::Os => (dashes(instance) >= 1, "OUI-SerialNumber"),
            Self::Ops => (dashes(instance) >= 2, "OUI-ProductClass-SerialNumber"),
            Self::Uuid => (is_uuid(instance), "an RFC 4122 UUID"),
            Self::Imei => (
                matches!(instance.len(), 14..=16)
                    && instance.bytes().all(|byte| byte.is_ascii_digit()),
                "14 to 16 digits",
            ),
            Self::Fqdn => (is_fqdn(instance), "a domain name without wildcard"),
            _ => (true, ""),
        };
        if fits {
            Ok(())
        } else {
            Err(EndpointIdError::Instance {
                scheme: self.as_str(),
                want,
            })
        }
    }
}

pub(super) fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

fn dashes(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'-').count()
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_fqdn(text: &str) -> bool {
    text.contains('.')
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

/// ALPHA, DIGIT, `-._` and percent escapes; gives where and what else stands there.
pub(super) fn check_characters(instance: &str) -> Result<(), (usize, char)> {
    let bytes = instance.as_bytes();
    for (at, (offset, found)) in instance.char_indices().enumerate() {
        let escape = bytes
            .get(offset + 1..offset + 3)
            .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        let fits = u8::try_from(found).is_ok_and(is_unreserved) || (found == '%' && escape);
        if !fits {
            return Err((at, found));
        }
    }
    Ok(())
}
