//! What is wrong with a value, in words an operator can act on. Texts of secrets are not repeated: only a wrong
//! lexical form, range, enumeration or format quotes the value, and only its first characters.

use super::BaseType;
use crate::limits;

/// A value that its type does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Not a text of the base type.
    #[error("{value:?} is not {}; it should be {expected}", article(*base))]
    Lexical {
        /// The type it should have had.
        base: BaseType,
        /// The start of the text.
        value: String,
        /// What the type looks like.
        expected: &'static str,
    },
    /// Outside of every range.
    #[error("{value} is outside of {allowed}")]
    Range {
        /// The number.
        value: String,
        /// The ranges, in words.
        allowed: String,
    },
    /// Not one of the enumerated values.
    #[error("{value:?} is not one of {allowed}{}", suggestion.as_ref().map(|s| format!("; did you mean {s:?}?")).unwrap_or_default())]
    Enumeration {
        /// The start of the text.
        value: String,
        /// The first of the allowed values.
        allowed: String,
        /// An allowed value that differs only in case or blanks.
        suggestion: Option<String>,
    },
    /// Too short or too long.
    #[error("{length} {unit} long, but {allowed} allowed")]
    Size {
        /// Its length.
        length: usize,
        /// `characters` or `bytes`.
        unit: &'static str,
        /// The sizes, in words.
        allowed: String,
    },
    /// Does not look as the named data type should.
    #[error("{value:?} is not {expected}")]
    Format {
        /// The start of the text.
        value: String,
        /// What it should look like.
        expected: &'static str,
    },
    /// One item of a list is wrong.
    #[error("item {index} of the list: {reason}")]
    Item {
        /// Which, from 1.
        index: usize,
        /// Why.
        reason: Box<ValueError>,
    },
    /// Too few or too many items.
    #[error("a list of {count} items, but {allowed} allowed")]
    Items {
        /// How many there are.
        count: usize,
        /// How many there may be, in words.
        allowed: String,
    },
    /// Longer than [`limits::VALUE_BYTES_MAX`] or, as a list, [`limits::LIST_ITEMS_MAX`].
    #[error(
        "values of more than {} bytes or {} items are not accepted",
        limits::VALUE_BYTES_MAX,
        limits::LIST_ITEMS_MAX
    )]
    TooLong,
    /// Not the name of a base type.
    #[error("{name:?} is not a type of TR-106")]
    UnknownType {
        /// The name.
        name: String,
    },
}

/// The start of a text, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(limits::ERROR_EXCERPT_CHARS_MAX) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

fn article(base: BaseType) -> String {
    let vowel = matches!(
        base,
        BaseType::Int | BaseType::UnsignedInt | BaseType::UnsignedLong
    );
    format!("{} {base}", if vowel { "an" } else { "a" })
}
