//! Ids as types, so that a device id is never passed where an operation id belongs.
//!
//! Nothing here makes up an id: the caller brings the time and the random bits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a tenant's short name.
    #[error(
        "a tenant id is 1 to 32 of a-z, 0-9 and '-', starting with a letter or digit, not {0:?}"
    )]
    Tenant(String),
    /// Not a UUID.
    #[error("not an id (a UUID is expected): {0:?}")]
    Uuid(String),
    /// Not a node name.
    #[error(
        "a node name is 1 to 64 of letters, digits, '-', '_' and '.', not of dots alone, not {0:?}"
    )]
    Node(String),
}

/// A tenant's short name; the slug is the id: `[a-z0-9][a-z0-9-]{0,31}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(Box<str>);

impl TenantId {
    /// Checks and takes a slug.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let ok = (1..=32).contains(&text.len())
            && !text.starts_with('-')
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if ok {
            Ok(Self(text.into()))
        } else {
            Err(IdError::Tenant(text.chars().take(64).collect()))
        }
    }

    /// The slug.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TenantId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<TenantId> for String {
    fn from(id: TenantId) -> String {
        id.0.into()
    }
}

impl FromStr for TenantId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::parse(text)
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of one running server; operations are leased to it. Stable over restarts, so that a
/// server that comes back can take its own leases again at once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeId(Box<str>);

impl NodeId {
    /// Checks and takes a node name.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let ok = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
            // Folders have the name of a node, and names of dots mean other folders.
            && !text.bytes().all(|b| b == b'.');
        if ok {
            Ok(Self(text.into()))
        } else {
            Err(IdError::Node(text.chars().take(64).collect()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NodeId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<NodeId> for String {
    fn from(id: NodeId) -> String {
        id.0.into()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes a UUIDv7 of a time and 80 random bits.
pub fn uuid_v7(now: Timestamp, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id of a time and 80 random bits (UUIDv7, so that ids sort by their making).
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                Self(uuid_v7(now, random))
            }

            /// The UUID inside.
            pub fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Uuid {
                id.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::parse_str(text)
                    .map(Self)
                    .map_err(|_| IdError::Uuid(text.chars().take(64).collect()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id!(
    /// One device of one tenant; it never changes, whatever identities come and go.
    DeviceId
);
uuid_id!(
    /// One operation on one device. It is also the command key of an Operate.
    OperationId
);
uuid_id!(
    /// One management session of a device that comes at intervals.
    SessionId
);
uuid_id!(
    /// Two devices of a tenant that may be one.
    MatchId
);
uuid_id!(
    /// A person who can sign in.
    UserId
);
uuid_id!(
    /// An API token.
    TokenId
);
uuid_id!(
    /// A setup key of a tenant, with which new devices introduce themselves.
    SetupKeyId
);
uuid_id!(
    /// A certificate of a device.
    CertificateId
);
uuid_id!(
    /// A file that devices fetch, or that one of them has sent.
    FileId
);
uuid_id!(
    /// One file on its way to or from one device.
    TransferId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenant_ids_are_slugs() {
        for good in ["a", "acme", "isp-2", "0x", &"a".repeat(32)] {
            assert!(TenantId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a_b", "ä", &"a".repeat(33), "a b"] {
            assert!(TenantId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let a = DeviceId::new(Timestamp::from_millis(1_000), [0xff; 10]);
        let b = DeviceId::new(Timestamp::from_millis(1_001), [0; 10]);
        assert!(a < b);
        assert_eq!(a.0.get_version_num(), 7);
        assert_eq!(a.to_string().parse::<DeviceId>().unwrap(), a);
        assert!("x".parse::<DeviceId>().is_err());
    }

    #[test]
    fn ids_are_plain_text_in_json() {
        let tenant = TenantId::parse("acme").unwrap();
        assert_eq!(serde_json::to_string(&tenant).unwrap(), "\"acme\"");
        assert!(serde_json::from_str::<TenantId>("\"A\"").is_err());
        assert!(NodeId::parse("node-1.example").is_ok());
        for wrong in ["", "a b", ".", "..", "..."] {
            assert!(NodeId::parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(NodeId::parse(".a").is_ok());
    }
}
