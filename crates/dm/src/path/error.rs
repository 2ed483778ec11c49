//! What is wrong with a path text, and where.

use crate::limits;

/// A path text that cannot be read. Displayed as `character 15: ...`, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("character {}: {reason}", at + 1)]
pub struct PathError {
    /// Offset of the offending character, counted in characters from 0; the length of the text when it ended too soon.
    pub at: usize,
    /// What is wrong there.
    pub reason: PathErrorReason,
}

/// What is wrong at the character a [`PathError`] names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathErrorReason {
    /// The text is empty.
    #[error("the path is empty")]
    Empty,
    /// The text ended where something had to follow.
    #[error("the path ends here, but {expected} should follow")]
    End {
        /// What should have followed.
        expected: &'static str,
    },
    /// A character that cannot stand here.
    #[error("found {found:?} where {expected} should be")]
    Unexpected {
        /// The character.
        found: char,
        /// What should have been there.
        expected: &'static str,
    },
    /// An instance number or reference index of 0, or with leading zeros.
    #[error("numbers start at 1 and have no leading zeros")]
    Number,
    /// A number that does not fit 32 bits.
    #[error("the number is larger than {}", u32::MAX)]
    NumberTooLarge,
    /// An instance, `*`, `{{i}}` or expression that does not follow the name of a table.
    #[error("an instance, '*', '{{i}}' or expression can only follow the name of a table")]
    Place,
    /// `{{i}}` together with instances, searches or references.
    #[error(
        "a path with '{{i}}' names the supported model and cannot also have instances, searches or references"
    )]
    Mixed,
    /// `[]`.
    #[error("an expression is missing between the brackets")]
    EmptyBrackets,
    /// A quote that is not closed.
    #[error("the quoted text that starts here is not closed with '\"'")]
    OpenQuote,
    /// More characters than [`limits::PATH_CHARS_MAX`].
    #[error(
        "paths longer than {} characters are not accepted",
        limits::PATH_CHARS_MAX
    )]
    TooLong,
    /// More segments than [`limits::PATH_SEGMENTS_MAX`].
    #[error(
        "paths of more than {} segments are not accepted",
        limits::PATH_SEGMENTS_MAX
    )]
    TooDeep,
    /// More comparisons than [`limits::PATH_EXPRESSIONS_MAX`].
    #[error(
        "more than {} comparisons in a path are not accepted",
        limits::PATH_EXPRESSIONS_MAX
    )]
    TooManyExpressions,
    /// More steps in an expression's relative path than [`limits::EXPRESSION_STEPS_MAX`].
    #[error(
        "more than {} steps in an expression are not accepted",
        limits::EXPRESSION_STEPS_MAX
    )]
    ExpressionTooDeep,
}
