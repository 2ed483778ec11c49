//! The versions of CWMP, their namespaces and how two ends agree on one.
//! Deliberately no features by version: which methods exist since when is in [`crate::rpc`].

use std::fmt;

use crate::limits;

/// A version of CWMP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// TR-069 Issue 1 and Amendment 1.
    #[default]
    V1_0,
    /// Amendment 2.
    V1_1,
    /// Amendment 3.
    V1_2,
    /// Amendment 4.
    V1_3,
    /// Amendments 5 and 6.
    V1_4,
}

impl Version {
    /// All of them, oldest first.
    pub const ALL: [Self; 5] = [Self::V1_0, Self::V1_1, Self::V1_2, Self::V1_3, Self::V1_4];

    /// `1.0` to `1.4`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
            Self::V1_4 => "1.4",
        }
    }

    /// Reads `1.0` to `1.4`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|version| version.as_str() == text.trim())
    }

    /// The namespace of the standard for it, which stops at 1-2.
    pub const fn namespace(self) -> Namespace {
        match self {
            Self::V1_0 => Namespace(0),
            Self::V1_1 => Namespace(1),
            _ => Namespace(2),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `urn:dslforum-org:cwmp-1-N`. The standard has 0 to 2, the field also 3 and 4: what comes in goes
/// out, whatever the digit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(u8);

impl Namespace {
    const PREFIX: &str = "urn:dslforum-org:cwmp-1-";

    /// Reads a namespace URI; `None` when it is another one.
    pub fn parse(uri: &str) -> Option<Self> {
        let uri = uri.trim();
        let head = uri.get(..Self::PREFIX.len())?;
        match uri.as_bytes()[Self::PREFIX.len()..] {
            [digit @ b'0'..=b'9'] if head.eq_ignore_ascii_case(Self::PREFIX) => {
                Some(Self(digit - b'0'))
            }
            _ => None,
        }
    }

    /// The version that it stands for by itself: the field's 1-3 and 1-4 mean what they say, and
    /// 1-2 may be anything from 1.2 on.
    pub const fn version(self) -> Version {
        match self.0 {
            0 => Version::V1_0,
            1 => Version::V1_1,
            2 => Version::V1_2,
            3 => Version::V1_3,
            _ => Version::V1_4,
        }
    }

    /// Whether the standard has it.
    pub const fn is_standard(self) -> bool {
        self.0 <= 2
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, self.0)
    }
}

/// Reads a `SupportedCWMPVersions` header: known versions, in any order and spacing. `None` when
/// there is nothing like a version in it, so that it says as much as no header.
pub fn supported(list: &str) -> Option<Vec<Version>> {
    let numbers = |text: &&str| {
        let is = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        text.split_once('.').is_some_and(|(a, b)| is(a) && is(b))
    };
    let listed: Vec<_> = list
        .split([',', ';', ' ', '\t', '\r', '\n'])
        .take(limits::VERSIONS_MAX)
        .filter(numbers)
        .collect();
    if listed.is_empty() {
        return None;
    }
    let mut versions: Vec<_> = listed.into_iter().filter_map(Version::parse).collect();
    versions.sort_unstable();
    versions.dedup();
    Some(versions)
}

/// The header's text for these versions.
pub fn list(versions: &[Version]) -> String {
    let texts: Vec<_> = versions.iter().map(|version| version.as_str()).collect();
    texts.join(",")
}

/// The newest version that both have.
pub fn newest(ours: &[Version], theirs: &[Version]) -> Option<Version> {
    ours.iter()
        .copied()
        .filter(|version| theirs.contains(version))
        .max()
}

/// The version of a CPE that does not say which it supports: by its namespace, and 1.3 when it also
/// sends a `SessionTimeout` header, which 1.2 does not have.
pub fn inferred(namespace: Namespace, has_session_timeout: bool) -> Version {
    match namespace.version() {
        Version::V1_2 if has_session_timeout => Version::V1_3,
        version => version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_namespaces_read_and_write() {
        for version in Version::ALL {
            assert_eq!(Version::parse(&version.to_string()), Some(version));
            assert!(version.namespace().is_standard());
        }
        assert_eq!(
            Version::V1_4.namespace().to_string(),
            "urn:dslforum-org:cwmp-1-2"
        );
        assert_eq!(
            Namespace::parse("urn:dslforum-org:cwmp-1-4"),
            Some(Namespace(4))
        );
        for other in [
            "urn:dslforum-org:cwmp-1-",
            "urn:dslforum-org:cwmp-1-10",
            "urn:x",
            "",
            "urn:dslforum-org:cwmp-2-0",
        ] {
            assert_eq!(Namespace::parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_newest_common_version_is_chosen() {
        let theirs = supported("1.0, 1.1,1.2 , 1.3").unwrap();
        assert_eq!(theirs, Version::ALL[..4]);
        assert_eq!(
            supported("1.0;1.1\t1.0"),
            Some(vec![Version::V1_0, Version::V1_1])
        );
        assert_eq!(newest(&Version::ALL, &theirs), Some(Version::V1_3));
        assert_eq!(newest(&Version::ALL, &supported("2.0,1.9").unwrap()), None);
        assert_eq!(list(&theirs), "1.0,1.1,1.2,1.3");
    }

    /// `VERSIONS_MAX`
    #[test]
    fn an_endless_list_of_versions_is_cut() {
        let list = format!("{}1.4", "9.9,".repeat(limits::VERSIONS_MAX));
        assert_eq!(supported(&list), Some(vec![]));
    }

    #[test]
    fn a_list_without_a_version_is_no_list() {
        for list in ["", " ", ",", "V1.2", "all", "1", "1.", "1.x"] {
            assert_eq!(supported(list), None, "{list:?}");
        }
    }

    #[test]
    fn a_silent_cpe_is_judged_by_its_namespace() {
        let namespace = |digit| Namespace(digit);
        assert_eq!(inferred(namespace(0), true), Version::V1_0);
        assert_eq!(inferred(namespace(2), false), Version::V1_2);
        assert_eq!(inferred(namespace(2), true), Version::V1_3);
        assert_eq!(inferred(namespace(4), false), Version::V1_4);
    }
}
