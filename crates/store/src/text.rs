//! How long the texts of a device may be: what people enter is refused when it is longer, what a device says of itself
//! is cut.

use crate::error::{Error, Result};
use crate::limits::{TAGS_MAX, TEXT_CHARS_MAX};

/// As much of what a device says of itself as the columns keep that are searched and sorted by: an index has room for
/// so much, and a cursor.
pub(crate) fn cut(text: &str) -> &str {
    text.char_indices()
        .nth(TEXT_CHARS_MAX)
        .map_or(text, |(end, _)| &text[..end])
}

/// Fails when a name or an identity is too long.
pub(crate) fn check_text(text: &str) -> Result<()> {
    if text.chars().count() > TEXT_CHARS_MAX {
        return Err(Error::LimitExceeded {
            what: "characters of a name",
            max: TEXT_CHARS_MAX as u64,
        });
    }
    Ok(())
}

/// Fails when there are too many tags, or one is too long.
pub(crate) fn check_tags(tags: &[String]) -> Result<()> {
    if tags.len() > TAGS_MAX {
        return Err(Error::LimitExceeded {
            what: "tags of a device",
            max: TAGS_MAX as u64,
        });
    }
    tags.iter().try_for_each(|tag| check_text(tag))
}
