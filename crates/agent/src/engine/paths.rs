//! Path texts, quickly: splitting, list items, and patterns that cover paths. Parsing and searching proper is `dm`'s.

/// `Device.WiFi.SSID.1.` and `Enable` of `Device.WiFi.SSID.1.Enable`.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rfind('.')
        .map_or(("", path), |at| path.split_at(at + 1))
}

/// `Device.WiFi.SSID.` and 1 of `Device.WiFi.SSID.1.`.
pub(crate) fn row(path: &str) -> Option<(&str, u32)> {
    let (table, number) = split(path.strip_suffix('.')?);
    Some((table, number.parse().ok()?))
}

/// Items of a TR-106 list.
pub(crate) fn list_items(list: &str) -> impl Iterator<Item = &str> {
    // A comma inside of brackets or quotes belongs to a search expression.
    let mut depth = 0usize;
    let mut quoted = false;
    list.split(move |c| {
        match c {
            '"' => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0 && !quoted
    })
    .map(str::trim)
    .filter(|item| !item.is_empty())
}

/// What a target or reference covers depends on values: an expression or a reference to follow.
pub(crate) fn is_search(text: &str) -> bool {
    text.contains(['[', '+'])
}

/// A path with `*`, covering itself and everything below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Box<str>);

impl Pattern {
    /// Of a path without search expressions; the final dot does not matter.
    pub fn simple(path: &str) -> Pattern {
        Pattern(path.trim_end_matches('.').into())
    }

    /// `path` is this or below it.
    pub fn covers(&self, path: &str) -> bool {
        self.coverage(path) == Coverage::All
    }

    /// The same for a path that may be of the supported model: there a `{i}` stands for all instances, of which this may
    /// name one.
    pub fn coverage(&self, path: &str) -> Coverage {
        // Text for text is what nearly all patterns and paths are, and what is asked for each parameter.
        if let Some(rest) = path.strip_prefix(&*self.0)
            && (rest.is_empty() || rest.starts_with('.'))
        {
            return Coverage::All;
        }
        let is_instance =
            |s: &str| s == "{i}" || !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        let mut coverage = Coverage::All;
        let mut segments = path.split('.').filter(|segment| !segment.is_empty());
        for wanted in self.0.split('.') {
            match segments.next() {
                Some(got) if wanted == got => {}
                Some(got) if matches!(wanted, "*" | "{i}") && is_instance(got) => {}
                Some("{i}") if is_instance(wanted) => coverage = Coverage::Some,
                _ => return Coverage::None,
            }
        }
        coverage
    }
}

/// How much of what a path stands for a pattern covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Coverage {
    /// Nothing.
    None,
    /// Some instances of a path of the supported model.
    Some,
    /// Everything.
    All,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_itself_and_what_is_below() {
        let covers = |pattern: &str, path: &str| Pattern::simple(pattern).covers(path);
        assert!(covers("Device.", "Device.A.1.B"));
        assert!(covers("Device.A.*.", "Device.A.7.B"));
        assert!(covers("Device.A.*.B", "Device.A.7.B"));
        assert!(!covers("Device.A.*.B", "Device.A.7.C"));
        assert!(!covers("Device.A.1.B", "Device.A."));
        assert!(!covers("Device.A", "Device.AB"));
        let of_all = Pattern::simple("Device.A.3.").coverage("Device.A.{i}.B");
        assert_eq!(of_all, Coverage::Some);
    }

    #[test]
    fn list_items_respect_search_expressions() {
        let items: Vec<&str> = list_items(r#"A.B, A.[X=="1,2"].C,,D"#).collect();
        assert_eq!(items, ["A.B", r#"A.[X=="1,2"].C"#, "D"]);
    }

    #[test]
    fn paths_come_apart() {
        assert_eq!(split("A.B.C"), ("A.B.", "C"));
        assert_eq!(row("A.B.12."), Some(("A.B.", 12)));
        assert_eq!(row("A.B."), None);
    }
}
