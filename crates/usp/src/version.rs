//! Protocol versions and their negotiation (GetSupportedProtocol, OnBoardRequest).
//! Deliberately not a feature switch: a peer may stamp an older version on its records than it
//! speaks, so features are probed and never derived from [`crate::Record::version`].

use std::fmt;
use std::str::FromStr;

/// A version of USP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Incompatible changes; always 1 so far.
    pub major: u8,
    /// Compatible changes.
    pub minor: u8,
}

impl Version {
    /// The oldest one.
    pub const V1_0: Self = Self { major: 1, minor: 0 };
    /// The first with connect records over WebSocket.
    pub const V1_2: Self = Self { major: 1, minor: 2 };
    /// The first with UNIX domain sockets and registration.
    pub const V1_3: Self = Self { major: 1, minor: 3 };
    /// The one with unique keys in the supported model.
    pub const V1_4: Self = Self { major: 1, minor: 4 };
    /// The newest one.
    pub const V1_5: Self = Self { major: 1, minor: 5 };
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Text that is not "major.minor".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a protocol version is two numbers with a dot between")]
pub struct VersionError;

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let (major, minor) = text.trim().split_once('.').ok_or(VersionError)?;
        let number = |digits: &str| -> Result<u8, VersionError> {
            let decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if decimal {
                digits.parse().map_err(|_| VersionError)
            } else {
                Err(VersionError)
            }
        };
        Ok(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}

/// The versions from 1.0 up to one, which is how every endpoint supports them so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The oldest we speak.
    pub min: Version,
    /// The newest we speak.
    pub max: Version,
}

impl Default for Versions {
    fn default() -> Self {
        Self {
            min: Version::V1_0,
            max: Version::V1_5,
        }
    }
}

impl Versions {
    /// Whether we speak a version.
    pub fn contains(&self, version: Version) -> bool {
        (self.min..=self.max).contains(&version)
    }

    /// Comma-separated, as the protocol lists them.
    pub fn list(&self) -> String {
        let minors = self.min.minor..=self.max.minor;
        minors
            .map(|minor| format!("1.{minor}"))
            .collect::<Vec<_>>()
            .join(",")
    }

    /// The newest version that we share with a peer's list; `None` when there is none.
    pub fn best(&self, theirs: &str) -> Option<Version> {
        theirs
            .split(',')
            .filter_map(|item| item.parse().ok())
            .filter(|version| self.contains(*version))
            .max()
    }

    /// What to stamp on records for a peer that stamps `theirs`: as new as both know.
    pub fn stamp(&self, theirs: Version) -> Version {
        theirs.min(self.max).max(self.min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_two_numbers() {
        assert_eq!("1.4".parse(), Ok(Version::V1_4));
        assert_eq!(" 1.0 ".parse(), Ok(Version::V1_0));
        for text in ["", "1", "1.", ".1", "1.4.1", "+1.4", "1.x", "1.999"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_newest_common_version_is_chosen() {
        let ours = Versions::default();
        assert_eq!(ours.list(), "1.0,1.1,1.2,1.3,1.4,1.5");
        assert_eq!(ours.best("1.0, 1.3,1.2"), Some(Version::V1_3));
        assert_eq!(ours.best("1.5,1.6,2.0,soup"), Some(Version::V1_5));
        assert_eq!(ours.best("2.0"), None);
        assert_eq!(ours.stamp(Version::V1_3), Version::V1_3);
        assert_eq!(ours.stamp(Version { major: 1, minor: 9 }), Version::V1_5);
    }
}
