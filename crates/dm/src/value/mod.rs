//! Typed values in the lexical forms of TR-106 / XML Schema: reading, normalising and comparing them.
//! What a parameter allows on top (ranges, sizes, enumerations, lists) is [`crate::Type`].

mod binary;
mod datetime;
mod decimal;
mod error;
pub mod list;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

pub use datetime::DateTime;
pub use decimal::Decimal;
pub use error::ValueError;
pub(crate) use error::excerpt as error_excerpt;

use crate::limits;

/// The ten base types a parameter or argument can have; the same ten that GetSupportedDM reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BaseType {
    /// Binary data in base64.
    Base64,
    /// `true` or `false`; `1` and `0` are accepted.
    Boolean,
    /// ISO 8601, in UTC with `Z`.
    DateTime,
    /// Decimal number of any size.
    Decimal,
    /// Binary data in hexadecimal.
    HexBinary,
    /// 32 bits, signed.
    Int,
    /// 64 bits, signed.
    Long,
    /// Text.
    String,
    /// 32 bits, unsigned.
    UnsignedInt,
    /// 64 bits, unsigned.
    UnsignedLong,
}

impl BaseType {
    /// All of them.
    pub const ALL: [BaseType; 10] = [
        BaseType::Base64,
        BaseType::Boolean,
        BaseType::DateTime,
        BaseType::Decimal,
        BaseType::HexBinary,
        BaseType::Int,
        BaseType::Long,
        BaseType::String,
        BaseType::UnsignedInt,
        BaseType::UnsignedLong,
    ];

    /// The name in TR-106: `unsignedInt`, `dateTime`, ...
    pub fn as_str(self) -> &'static str {
        match self {
            BaseType::Base64 => "base64",
            BaseType::Boolean => "boolean",
            BaseType::DateTime => "dateTime",
            BaseType::Decimal => "decimal",
            BaseType::HexBinary => "hexBinary",
            BaseType::Int => "int",
            BaseType::Long => "long",
            BaseType::String => "string",
            BaseType::UnsignedInt => "unsignedInt",
            BaseType::UnsignedLong => "unsignedLong",
        }
    }

    /// int, long, unsignedInt, unsignedLong or decimal.
    pub fn is_number(self) -> bool {
        matches!(
            self,
            BaseType::Int
                | BaseType::Long
                | BaseType::UnsignedInt
                | BaseType::UnsignedLong
                | BaseType::Decimal
        )
    }

    /// `<` and `>` mean something: numbers and dateTimes (TR-369 2.5.4).
    pub fn is_ordered(self) -> bool {
        self.is_number() || self == BaseType::DateTime
    }

    /// The value of a parameter of this type that nobody has set and that has no default.
    pub fn empty_value(self) -> &'static str {
        match self {
            BaseType::Boolean => "false",
            BaseType::DateTime => DateTime::UNKNOWN_TEXT,
            BaseType::Base64 | BaseType::HexBinary | BaseType::String => "",
            _ => "0",
        }
    }

    fn expected(self) -> &'static str {
        match self {
            BaseType::Base64 => "base64, a multiple of four of A-Z a-z 0-9 + / with = at the end",
            BaseType::Boolean => "true, false, 1 or 0",
            BaseType::DateTime => "a time such as 2026-03-01T12:00:00Z",
            BaseType::Decimal => "digits with at most one '.'",
            BaseType::HexBinary => "an even number of hexadecimal digits",
            BaseType::Int => "a whole number from -2147483648 to 2147483647",
            BaseType::Long => "a whole number of 64 bits",
            BaseType::String => "text",
            BaseType::UnsignedInt => "a whole number from 0 to 4294967295",
            BaseType::UnsignedLong => "a whole number from 0 to 18446744073709551615",
        }
    }
}

impl fmt::Display for BaseType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for BaseType {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<BaseType, ValueError> {
        let found = BaseType::ALL.into_iter().find(|base| base.as_str() == text);
        found.ok_or_else(|| ValueError::UnknownType {
            name: error::excerpt(text),
        })
    }
}

/// One value. A list is not a value but a text of several: [`list::items`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// base64, decoded.
    Base64(Vec<u8>),
    /// boolean.
    Boolean(bool),
    /// dateTime.
    DateTime(DateTime),
    /// decimal.
    Decimal(Decimal),
    /// hexBinary, decoded.
    HexBinary(Vec<u8>),
    /// int.
    Int(i32),
    /// long.
    Long(i64),
    /// string.
    String(String),
    /// unsignedInt.
    UnsignedInt(u32),
    /// unsignedLong.
    UnsignedLong(u64),
}

impl Value {
    /// Reads the lexical form `text` of a `base`. Lenient as TR-106 and XML Schema are: blanks around everything but
    /// text, `+5`, `007`, `1` for true, any case for booleans and hexadecimal.
    pub fn parse(base: BaseType, text: &str) -> Result<Value, ValueError> {
        if text.len() > limits::VALUE_BYTES_MAX {
            return Err(ValueError::TooLong);
        }
        let trimmed = text.trim();
        let value = match base {
            BaseType::String => Some(Value::String(text.to_owned())),
            BaseType::Boolean => boolean(trimmed).map(Value::Boolean),
            BaseType::DateTime => DateTime::parse(trimmed).map(Value::DateTime),
            BaseType::Decimal => Decimal::parse(trimmed).map(Value::Decimal),
            BaseType::HexBinary => binary::from_hex(trimmed).map(Value::HexBinary),
            BaseType::Base64 => binary::from_base64(trimmed).map(Value::Base64),
            BaseType::Int => integer(trimmed).map(Value::Int),
            BaseType::Long => integer(trimmed).map(Value::Long),
            BaseType::UnsignedInt => integer(trimmed).map(Value::UnsignedInt),
            BaseType::UnsignedLong => integer(trimmed).map(Value::UnsignedLong),
        };
        value.ok_or_else(|| ValueError::Lexical {
            base,
            value: error::excerpt(text),
            expected: base.expected(),
        })
    }

    /// The type of this value.
    pub fn base(&self) -> BaseType {
        match self {
            Value::Base64(_) => BaseType::Base64,
            Value::Boolean(_) => BaseType::Boolean,
            Value::DateTime(_) => BaseType::DateTime,
            Value::Decimal(_) => BaseType::Decimal,
            Value::HexBinary(_) => BaseType::HexBinary,
            Value::Int(_) => BaseType::Int,
            Value::Long(_) => BaseType::Long,
            Value::String(_) => BaseType::String,
            Value::UnsignedInt(_) => BaseType::UnsignedInt,
            Value::UnsignedLong(_) => BaseType::UnsignedLong,
        }
    }

    /// As an exact number; `None` for what is not one.
    pub fn number(&self) -> Option<Decimal> {
        match self {
            Value::Decimal(n) => Some(n.clone()),
            Value::Int(n) => Some(i64::from(*n).into()),
            Value::Long(n) => Some((*n).into()),
            Value::UnsignedInt(n) => Some(u64::from(*n).into()),
            Value::UnsignedLong(n) => Some((*n).into()),
            _ => None,
        }
    }

    /// Which is greater: numbers of any types with each other and known times. `None` where `<` has no meaning
    /// (text, booleans, binary, the Unknown Time; TR-369 2.5.4).
    pub fn order(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::DateTime(a), Value::DateTime(b)) if !a.is_unknown() && !b.is_unknown() => {
                Some(a.cmp(b))
            }
            (Value::DateTime(_), _) | (_, Value::DateTime(_)) => None,
            _ => Some(self.number()?.cmp(&other.number()?)),
        }
    }

    /// Means the same: numbers by value whatever their types, everything else only within its type.
    pub fn same(&self, other: &Value) -> bool {
        match (self.number(), other.number()) {
            (Some(a), Some(b)) => a == b,
            (None, None) => self == other,
            _ => false,
        }
    }
}

/// The canonical form: `true`, `5`, `1.5`, `2026-03-01T12:00:00Z`, upper-case hexadecimal.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Base64(bytes) => f.write_str(&binary::to_base64(bytes)),
            Value::Boolean(b) => write!(f, "{b}"),
            Value::DateTime(t) => write!(f, "{t}"),
            Value::Decimal(n) => write!(f, "{n}"),
            Value::HexBinary(bytes) => f.write_str(&binary::to_hex(bytes)),
            Value::Int(n) => write!(f, "{n}"),
            Value::Long(n) => write!(f, "{n}"),
            Value::String(s) => f.write_str(s),
            Value::UnsignedInt(n) => write!(f, "{n}"),
            Value::UnsignedLong(n) => write!(f, "{n}"),
        }
    }
}

/// `text` in the canonical form of `base`: what two spellings of one value have in common.
pub fn normalise(base: BaseType, text: &str) -> Result<String, ValueError> {
    Value::parse(base, text).map(|value| value.to_string())
}

/// `True` appears in the examples of TR-369, so the case does not matter.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" => Some(true),
        "0" => Some(false),
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn integer<T: FromStr>(text: &str) -> Option<T> {
    // "-0" is a lexical form of an unsigned zero in XML Schema.
    let negative_zero = text
        .strip_prefix('-')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b == b'0'));
    if negative_zero {
        "0".parse().ok()
    } else {
        text.parse().ok()
    }
}

#[cfg(test)]
mod tests;
