//! Values as they travel: typed text, points in time, and the two kinds of text that must not be
//! shown. Deliberately text: a device's spelling is kept, because writing back another one is a
//! change to some devices; [`dm`] reads and compares.

use std::fmt;

use dm::{BaseType, DateTime};

/// The value of a parameter: a type of XML Schema and its text. Its `Debug` does not show the text,
/// since only the parameter's name says whether it is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    /// The type; `String` when the sender gave none or one that is not CWMP's.
    pub base: BaseType,
    /// The value, as sent.
    pub text: String,
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} bytes", self.base, self.text.len())
    }
}

impl Default for Value {
    fn default() -> Self {
        Self::new(BaseType::String, "")
    }
}

impl Value {
    /// A value of any type.
    pub fn new(base: BaseType, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { base, text }
    }

    /// An `xsd:string`.
    pub fn string(text: impl Into<String>) -> Self {
        Self::new(BaseType::String, text)
    }

    /// An `xsd:boolean`, as a word; some devices read nothing else.
    pub fn boolean(value: bool) -> Self {
        Self::new(BaseType::Boolean, if value { "true" } else { "false" })
    }

    /// An `xsd:unsignedInt`.
    pub fn unsigned(value: u32) -> Self {
        Self::new(BaseType::UnsignedInt, value.to_string())
    }

    /// An `xsd:int`.
    pub fn int(value: i32) -> Self {
        Self::new(BaseType::Int, value.to_string())
    }

    /// An `xsd:dateTime`.
    pub fn time(time: Timestamp) -> Self {
        Self::new(BaseType::DateTime, time.0)
    }

    /// As a truth value, in any spelling of the field; `None` when it is none.
    pub fn as_bool(&self) -> Option<bool> {
        boolean(&self.text)
    }

    /// As a whole number that is not negative; `None` when it is none.
    pub fn as_u64(&self) -> Option<u64> {
        self.text.trim().parse().ok()
    }
}

/// Reads a truth value in any spelling of the field.
pub fn boolean(text: &str) -> Option<bool> {
    let is = |word: &str| text.trim().eq_ignore_ascii_case(word);
    match () {
        () if is("1") || is("true") => Some(true),
        () if is("0") || is("false") => Some(false),
        () => None,
    }
}

/// The name of a type in `xsi:type`.
pub(crate) fn type_name(base: BaseType) -> &'static str {
    match base {
        BaseType::Base64 => "xsd:base64",
        BaseType::Boolean => "xsd:boolean",
        BaseType::DateTime => "xsd:dateTime",
        // CWMP has no decimal type; the text says it.
        BaseType::Decimal | BaseType::String => "xsd:string",
        BaseType::HexBinary => "xsd:hexBinary",
        BaseType::Int => "xsd:int",
        BaseType::Long => "xsd:long",
        BaseType::UnsignedInt => "xsd:unsignedInt",
        BaseType::UnsignedLong => "xsd:unsignedLong",
    }
}

/// The type that `xsi:type` names, whatever its prefix.
pub(crate) fn type_of(name: &str) -> Option<BaseType> {
    let local = name.rsplit(':').next().unwrap_or(name);
    // Some add the size, as in `xsd:string(64)`.
    let local = local.split('(').next().unwrap_or(local).trim();
    Some(match local {
        "string" => BaseType::String,
        "boolean" => BaseType::Boolean,
        "int" | "integer" | "short" | "byte" => BaseType::Int,
        "unsignedInt" | "unsignedShort" | "unsignedByte" => BaseType::UnsignedInt,
        "long" => BaseType::Long,
        "unsignedLong" => BaseType::UnsignedLong,
        "dateTime" => BaseType::DateTime,
        "base64" | "base64Binary" => BaseType::Base64,
        "hexBinary" => BaseType::HexBinary,
        _ => return None,
    })
}

/// A point in time as text: devices write it with and without zone, fraction and sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp(pub String);

impl Timestamp {
    /// The Unknown Time.
    pub fn unknown() -> Self {
        Self(DateTime::UNKNOWN_TEXT.to_owned())
    }

    /// Seconds since the Unix epoch, in UTC.
    pub fn from_unix(seconds: i64) -> Self {
        Self(DateTime::from_unix(seconds).to_string())
    }

    /// What it says; `None` when it cannot be read or is the Unknown Time.
    pub fn time(&self) -> Option<DateTime> {
        DateTime::parse(self.0.trim()).filter(|time| !time.is_unknown())
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::unknown()
    }
}

/// What stands in the place of a secret.
pub const MASK: &str = "********";

/// A password. Its `Debug` does not show it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { MASK })
    }
}

impl<T: Into<String>> From<T> for Secret {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

/// A key, as bytes. Its `Debug` does not show it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretBytes(pub Vec<u8>);

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl<T: Into<Vec<u8>>> From<T> for SecretBytes {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

/// The address of a file. Its `Debug` shows neither user information nor query, which may be a
/// one-time token.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Url(pub String);

impl Url {
    /// Without user information and query.
    pub fn masked(&self) -> String {
        let (rest, query) = match self.0.split_once('?') {
            Some((rest, _)) => (rest, format!("?{MASK}")),
            None => (self.0.as_str(), String::new()),
        };
        let (scheme, rest) = match rest.split_once("://") {
            Some((scheme, rest)) => (format!("{scheme}://"), rest),
            None => (String::new(), rest),
        };
        let end = rest.find('/').unwrap_or(rest.len());
        let host = match rest[..end].rsplit_once('@') {
            Some((_, host)) => format!("{MASK}@{host}"),
            None => rest[..end].to_owned(),
        };
        format!("{scheme}{host}{}{query}", &rest[end..])
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.masked())
    }
}

impl<T: Into<String>> From<T> for Url {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth_is_read_in_every_spelling() {
        for text in ["1", "true", "TRUE", " True\n"] {
            assert_eq!(boolean(text), Some(true), "{text}");
        }
        assert_eq!(
            (boolean("0"), boolean("yes"), boolean("")),
            (Some(false), None, None)
        );
    }

    #[test]
    fn types_are_read_under_any_prefix() {
        for (text, base) in [
            ("xsd:int", BaseType::Int),
            ("xs:base64Binary", BaseType::Base64),
            ("unsignedInt", BaseType::UnsignedInt),
            ("SOAP-ENC:string", BaseType::String),
            ("xsd:string(1024)", BaseType::String),
        ] {
            assert_eq!(type_of(text), Some(base), "{text}");
        }
        assert_eq!(type_of("soap_enc:Array"), None);
        for base in BaseType::ALL {
            let expected = if base == BaseType::Decimal {
                BaseType::String
            } else {
                base
            };
            assert_eq!(type_of(type_name(base)), Some(expected));
        }
    }

    #[test]
    fn times_of_devices_without_a_clock_are_no_times() {
        assert_eq!(Timestamp::unknown().time(), None);
        assert_eq!(Timestamp("0001-01-01T00:00:00".into()).time(), None);
        assert_eq!(Timestamp("soon".into()).time(), None);
        assert_eq!(
            Timestamp::from_unix(1_767_225_600).0,
            "2026-01-01T00:00:00Z"
        );
        assert_eq!(
            Timestamp("2026-01-01T02:00:00.5+02:00".into())
                .time()
                .map(DateTime::unix),
            Some(1_767_225_600)
        );
    }

    #[test]
    fn secrets_do_not_show() {
        assert_eq!(
            format!("{:?} {:?}", Secret::from("hunter2"), Secret::default()),
            "******** \"\""
        );
        let shown = |url: &str| Url::from(url).masked();
        assert_eq!(
            shown("http://u:p@h:80/f.bin?token=1"),
            "http://********@h:80/f.bin?********"
        );
        assert_eq!(shown("https://h/a@b"), "https://h/a@b");
        assert_eq!(shown("h"), "h");
        assert_eq!(
            format!("{:?}", Url::from("http://a@h")),
            "\"http://********@h\""
        );
    }
}
