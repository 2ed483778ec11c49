//! Whether what is read back is what was asked for.

use super::OutcomeState;
use crate::model::{segments, supported};
use crate::southbound::PathValue;

/// Whether two values mean the same: text equal, or the same boolean, number or list.
///
/// Without the type at hand only forms that cannot be confused are folded: a device may answer
/// `true` to a `1`, drop leading zeros, or put blanks after the commas of a list.
pub fn same_value(wanted: &str, read: &str) -> bool {
    if wanted == read {
        return true;
    }
    if let (Some(a), Some(b)) = (boolean(wanted), boolean(read)) {
        return a == b;
    }
    if let (Ok(a), Ok(b)) = (wanted.trim().parse::<i128>(), read.trim().parse::<i128>()) {
        return a == b;
    }
    if let (Some(a), Some(b)) = (date(wanted), date(read)) {
        return a == b;
    }
    wanted.contains(',')
        && wanted
            .split(',')
            .map(str::trim)
            .eq(read.split(',').map(str::trim))
}

/// As [`same_value`], and by the parameter's published type.
pub(super) fn same_at(path: &str, wanted: &str, read: &str) -> bool {
    same_value(wanted, read) || crate::plan::same_typed(path, wanted, read)
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn date(text: &str) -> Option<time::OffsetDateTime> {
    time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()
}

/// A path with a wildcard, search expression or reference in it.
pub(crate) fn is_search(path: &str) -> bool {
    segments(path)
        .iter()
        .any(|s| *s == "*" || s.starts_with('[') || s.ends_with('+') || s.contains('#'))
}

/// The values asked for a parameter: by its own path, else by search paths that may have led to it.
pub(super) fn wanted_for<'a>(values: &'a [PathValue], path: &str) -> Vec<&'a str> {
    if let Some(exact) = values.iter().find(|v| v.path == path) {
        return vec![&exact.value];
    }
    let shape = supported(path);
    values
        .iter()
        .filter(|v| {
            is_search(&v.path) && (supported(&v.path) == shape || v.path.contains(['+', '#']))
        })
        .map(|v| v.value.as_str())
        .collect()
}

/// A secret that the device does not show: it reads as empty, or as a row of stars.
pub(super) fn is_hidden(path: &str, read: &str) -> bool {
    read.chars().all(|c| matches!(c, '*' | '•')) && crate::secret::is_secret(path)
}

/// It reads back something else than it was told.
pub(super) fn differs(read: &PathValue) -> OutcomeState {
    OutcomeState::Differs {
        read: crate::secret::shown(&read.path, read.value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_one_value_are_the_same_value() {
        for (a, b) in [
            ("x", "x"),
            ("1", "true"),
            ("false", "0"),
            ("007", "7"),
            ("a,b", "a, b"),
            ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00.000Z"),
        ] {
            assert!(same_value(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("x", "X"),
            ("1", "2"),
            ("true", "yes"),
            ("a,b", "b,a"),
            ("", "0"),
        ] {
            assert!(!same_value(a, b), "{a} {b}");
        }
    }

    #[test]
    fn search_paths_are_recognised() {
        assert!(is_search("Device.A.*.B"));
        assert!(is_search("Device.A.[Name==\"x.y\"].B"));
        assert!(is_search("Device.A.1.Ref+.B"));
        assert!(!is_search("Device.A.1.B"));
    }
}
