//! Comma-separated lists (TR-106 3.2.3): optional blanks after the comma; commas, blanks and percent signs that belong
//! to an item are percent-escaped.

use std::borrow::Cow;

/// The items as they stand, trimmed but still escaped. An empty text is an empty list.
pub fn raw_items(list: &str) -> impl Iterator<Item = &str> {
    let is_empty = list.trim().is_empty();
    list.split(',').map(str::trim).filter(move |_| !is_empty)
}

/// The items without escapes.
pub fn items(list: &str) -> impl Iterator<Item = Cow<'_, str>> {
    raw_items(list).map(unescape)
}

/// A list of `items` as TR-106 wants it.
pub fn join<I: AsRef<str>>(items: impl IntoIterator<Item = I>) -> String {
    let escaped: Vec<String> = items
        .into_iter()
        .map(|item| escape(item.as_ref()).into_owned())
        .collect();
    escaped.join(",")
}

/// An item as it stands in a list.
pub fn escape(item: &str) -> Cow<'_, str> {
    if !item.contains(['%', ',', ' ', '\t', '\r', '\n']) {
        return Cow::Borrowed(item);
    }
    let mut out = String::with_capacity(item.len() + 8);
    for c in item.chars() {
        match c {
            '%' => out.push_str("%25"),
            ',' => out.push_str("%2C"),
            // Blanks inside stay readable; at the ends they would be taken for the optional blank of the list.
            ' ' => out.push(' '),
            '\t' => out.push_str("%09"),
            '\r' => out.push_str("%0D"),
            '\n' => out.push_str("%0A"),
            c => out.push(c),
        }
    }
    if let Some(rest) = out.strip_prefix(' ') {
        out = format!("%20{rest}");
    }
    if let Some(rest) = out.strip_suffix(' ') {
        out = format!("{rest}%20");
    }
    Cow::Owned(out)
}

/// An item without its escapes. A `%` that does not start one of the escapes stands for itself, so that URLs which a
/// device forgot to escape stay what they are.
pub fn unescape(item: &str) -> Cow<'_, str> {
    if !item.contains('%') {
        return Cow::Borrowed(item);
    }
    let mut out = String::with_capacity(item.len());
    let mut rest = item;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 3);
        let escaped = match code.map(str::to_ascii_uppercase).as_deref() {
            Some("25") => Some('%'),
            Some("2C") => Some(','),
            Some("20") => Some(' '),
            Some("09") => Some('\t'),
            Some("0D") => Some('\r'),
            Some("0A") => Some('\n'),
            _ => None,
        };
        out.push(escaped.unwrap_or('%'));
        rest = &rest[at + if escaped.is_some() { 3 } else { 1 }..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}
