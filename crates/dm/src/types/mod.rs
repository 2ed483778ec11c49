//! What a parameter or argument allows: base type, ranges, sizes, enumeration, list and the format of its named data
//! type. Checking is for values somebody wants to write; values devices report are never refused for it.

mod format;

use std::fmt;

pub use format::Format;

use crate::limits;
use crate::schema::Text;
use crate::value::error_excerpt;
use crate::value::{self, BaseType, Decimal, Value, ValueError, list};

/// A numeric range, both ends included; a missing end is open.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Range {
    /// Smallest allowed.
    pub min: Option<Decimal>,
    /// Largest allowed.
    pub max: Option<Decimal>,
}

/// A size or count, both ends included; a missing end is open. Characters for text, bytes for binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Size {
    /// Smallest allowed.
    pub min: Option<u32>,
    /// Largest allowed.
    pub max: Option<u32>,
}

/// Whether a reference is kept consistent by the agent (R-ARC.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reference {
    /// The target must exist; the reference goes when the target goes.
    Strong,
    /// Nothing is checked.
    Weak,
}

/// The value is a list of items of the base type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ListFacet {
    /// Length of the whole text in characters; empty when not limited.
    pub sizes: Vec<Size>,
    /// Number of items.
    pub items: Option<Size>,
}

/// The full type of a parameter or argument.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Type {
    /// The base type, of each item for a list.
    pub base: BaseType,
    /// The named data type of TR-106 or the model (`MACAddress`, `StatsCounter64`, ...).
    pub datatype: Option<Text>,
    /// Set for lists.
    pub list: Option<ListFacet>,
    /// The allowed values (items); empty when not enumerated.
    pub enumeration: Vec<Text>,
    /// The value is in one of them; empty when not limited.
    pub ranges: Vec<Range>,
    /// The length is in one of them; empty when not limited.
    pub sizes: Vec<Size>,
    /// The unit, as the standard writes it.
    pub units: Option<Text>,
    /// The value (item) is the path of something else.
    pub reference: Option<Reference>,
}

impl Type {
    /// A type without any restriction.
    pub const fn new(base: BaseType) -> Type {
        Type {
            base,
            datatype: None,
            list: None,
            enumeration: Vec::new(),
            ranges: Vec::new(),
            sizes: Vec::new(),
            units: None,
            reference: None,
        }
    }

    /// The same type with these allowed values.
    #[must_use]
    pub fn enumerated<T: Into<Text>>(mut self, values: impl IntoIterator<Item = T>) -> Type {
        self.enumeration = values.into_iter().map(Into::into).collect();
        self
    }

    /// The same type with one more range, `None` for an open end.
    #[must_use]
    pub fn range(mut self, min: impl Into<Option<i64>>, max: impl Into<Option<i64>>) -> Type {
        self.ranges.push(Range {
            min: min.into().map(Decimal::from),
            max: max.into().map(Decimal::from),
        });
        self
    }

    /// The same type with one more size, `None` for an open end.
    #[must_use]
    pub fn size(mut self, min: impl Into<Option<u32>>, max: impl Into<Option<u32>>) -> Type {
        self.sizes.push(Size {
            min: min.into(),
            max: max.into(),
        });
        self
    }

    /// A list of items of this type.
    #[must_use]
    pub fn list(mut self) -> Type {
        self.list = Some(ListFacet::default());
        self
    }

    /// The same type as a named data type, whose format is then checked if it is a known one.
    #[must_use]
    pub fn datatype(mut self, name: impl Into<Text>) -> Type {
        self.datatype = Some(name.into());
        self
    }

    /// The same type with a unit.
    #[must_use]
    pub fn units(mut self, units: impl Into<Text>) -> Type {
        self.units = Some(units.into());
        self
    }

    /// The same type holding a path.
    #[must_use]
    pub fn reference(mut self, reference: Reference) -> Type {
        self.reference = Some(reference);
        self
    }

    /// Is a list.
    pub fn is_list(&self) -> bool {
        self.list.is_some()
    }

    /// The format that comes with the named data type.
    pub fn format(&self) -> Option<Format> {
        Format::of_datatype(self.datatype.as_deref()?)
    }

    /// Is `text` a value of this type? The error says what is wrong and what would be right.
    pub fn check(&self, text: &str) -> Result<(), ValueError> {
        if text.len() > limits::VALUE_BYTES_MAX {
            return Err(ValueError::TooLong);
        }
        let Some(facet) = &self.list else {
            return self.check_one(text);
        };
        check_size(&facet.sizes, text.chars().count(), "characters")?;
        let mut count: usize = 0;
        for item in list::items(text) {
            count += 1;
            if count > limits::LIST_ITEMS_MAX {
                return Err(ValueError::TooLong);
            }
            self.check_one(&item).map_err(|reason| ValueError::Item {
                index: count,
                reason: Box::new(reason),
            })?;
        }
        match facet.items {
            Some(size) if !size.holds(count) => Err(ValueError::Items {
                count,
                allowed: words(&[size]),
            }),
            _ => Ok(()),
        }
    }

    fn check_one(&self, text: &str) -> Result<(), ValueError> {
        let value = Value::parse(self.base, text)?;
        if let Some(number) = value.number()
            && !self.ranges.is_empty()
            && !self.ranges.iter().any(|range| range.holds(&number))
        {
            return Err(ValueError::Range {
                value: number.to_string(),
                allowed: words(&self.ranges),
            });
        }
        match &value {
            Value::String(text) => {
                check_size(&self.sizes, text.chars().count(), "characters")?;
                self.check_enumeration(text)?;
                self.check_format(text)
            }
            Value::HexBinary(bytes) | Value::Base64(bytes) => {
                check_size(&self.sizes, bytes.len(), "bytes")
            }
            _ => Ok(()),
        }
    }

    fn check_enumeration(&self, text: &str) -> Result<(), ValueError> {
        if self.enumeration.is_empty() || self.enumeration.iter().any(|value| value == text) {
            return Ok(());
        }
        let close = |value: &&Text| value.eq_ignore_ascii_case(text.trim());
        let shown: Vec<&str> = self
            .enumeration
            .iter()
            .take(limits::ERROR_ENUM_VALUES_MAX)
            .map(AsRef::as_ref)
            .collect();
        let more = if shown.len() < self.enumeration.len() {
            ", ..."
        } else {
            ""
        };
        Err(ValueError::Enumeration {
            value: error_excerpt(text),
            allowed: format!("{}{more}", shown.join(", ")),
            suggestion: self.enumeration.iter().find(close).map(ToString::to_string),
        })
    }

    fn check_format(&self, text: &str) -> Result<(), ValueError> {
        match self.format() {
            Some(format) if !format.holds(text) => Err(ValueError::Format {
                value: error_excerpt(text),
                expected: format.expected(),
            }),
            _ => Ok(()),
        }
    }

    /// The canonical form of `text`: what two spellings of one value have in common. Fails only where the text is not
    /// of the base type; ranges and the like are not looked at.
    pub fn normalise(&self, text: &str) -> Result<String, ValueError> {
        if text.len() > limits::VALUE_BYTES_MAX {
            return Err(ValueError::TooLong);
        }
        if self.list.is_none() {
            return value::normalise(self.base, text);
        }
        let mut items = Vec::new();
        for item in list::items(text) {
            if items.len() >= limits::LIST_ITEMS_MAX {
                return Err(ValueError::TooLong);
            }
            let index = items.len() + 1;
            let normalised = value::normalise(self.base, &item);
            items.push(normalised.map_err(|reason| ValueError::Item {
                index,
                reason: Box::new(reason),
            })?);
        }
        Ok(list::join(items))
    }

    /// Do both texts mean the same value? Texts that are not of the type are compared as they stand.
    pub fn same(&self, a: &str, b: &str) -> bool {
        match (self.normalise(a), self.normalise(b)) {
            (Ok(a), Ok(b)) => a == b,
            _ => a == b,
        }
    }
}

impl From<BaseType> for Type {
    fn from(base: BaseType) -> Type {
        Type::new(base)
    }
}

impl Range {
    /// `number` lies in it.
    pub fn holds(&self, number: &Decimal) -> bool {
        self.min.as_ref().is_none_or(|min| number >= min)
            && self.max.as_ref().is_none_or(|max| number <= max)
    }
}

impl Size {
    /// `length` lies in it.
    pub fn holds(&self, length: usize) -> bool {
        let above = self
            .min
            .is_none_or(|min| u32::try_from(length).is_ok_and(|length| length >= min));
        above
            && self
                .max
                .is_none_or(|max| u32::try_from(length).is_ok_and(|length| length <= max))
    }
}

/// `at least 1`, `at most 64`, `5 to 7`, `exactly 6`.
fn interval(f: &mut fmt::Formatter<'_>, min: Option<String>, max: Option<String>) -> fmt::Result {
    match (min, max) {
        (None, None) => f.write_str("any"),
        (Some(min), None) => write!(f, "at least {min}"),
        (None, Some(max)) => write!(f, "at most {max}"),
        (Some(min), Some(max)) if min == max => write!(f, "exactly {min}"),
        (Some(min), Some(max)) => write!(f, "{min} to {max}"),
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        interval(
            f,
            self.min.as_ref().map(ToString::to_string),
            self.max.as_ref().map(ToString::to_string),
        )
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        interval(
            f,
            self.min.map(|n| n.to_string()),
            self.max.map(|n| n.to_string()),
        )
    }
}

/// The type in a few words for people: `list of unsignedInt, 1 to 15, in dBm`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_list() {
            f.write_str("list of ")?;
        }
        write!(f, "{}", self.base)?;
        if let Some(name) = &self.datatype {
            write!(f, " ({name})")?;
        }
        if !self.ranges.is_empty() {
            write!(f, ", {}", words(&self.ranges))?;
        }
        if !self.sizes.is_empty() {
            let unit = if self.base == BaseType::String {
                "characters"
            } else {
                "bytes"
            };
            write!(f, ", {} {unit}", words(&self.sizes))?;
        }
        match &self.units {
            Some(units) => write!(f, ", in {units}"),
            None => Ok(()),
        }
    }
}

fn check_size(sizes: &[Size], length: usize, unit: &'static str) -> Result<(), ValueError> {
    if sizes.is_empty() || sizes.iter().any(|size| size.holds(length)) {
        return Ok(());
    }
    Err(ValueError::Size {
        length,
        unit,
        allowed: words(sizes),
    })
}

fn words<T: fmt::Display>(parts: &[T]) -> String {
    let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
    parts.join(" or ")
}

#[cfg(test)]
mod tests;
