//! Reading citations out of a comment: `R-NOT.1, .2 and R-MSG.4`, `R-OPR.5 to R-OPR.7`, `TP-469 1.43 to 1.51, 1.82`.

use std::fmt;

/// What is cited, in the order in which the page lists it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Id {
    /// Group, number and letter (or point and number) of a requirement.
    Requirement(String, u32, String),
    /// Section and number of a case.
    Case(u32, u32),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Requirement(group, number, more) => write!(f, "R-{group}.{number}{more}"),
            Id::Case(section, number) => write!(f, "{section}.{number}"),
        }
    }
}

/// Everything that a comment cites.
pub fn citations(comment: &str) -> Vec<Id> {
    let mut out = Vec::new();
    // The kind of what came last, which a bare `.2` or `1.5` goes on with.
    let mut group: Option<String> = None;
    let mut plan = false;
    let mut range = false;
    for word in comment.split([' ', '\t', '(', ')']) {
        let bare = word.trim_end_matches([',', ';', ':', '.', '`']);
        let bare = bare.trim_start_matches(['/', '`']);
        let next =
            if let Some((name, rest)) = bare.strip_prefix("R-").and_then(|r| r.split_once('.')) {
                (group, plan) = (Some(name.to_owned()), false);
                requirement(name, rest)
            } else if bare == "TP-469" {
                (group, plan, range) = (None, true, false);
                continue;
            } else if let (Some(name), Some(rest)) = (&group, bare.strip_prefix('.')) {
                requirement(name, rest)
            } else if plan {
                case(bare)
            } else {
                None
            };
        match next {
            Some(id) => {
                if let (true, Some(first)) = (range, out.last().cloned()) {
                    out.extend(between(&first, &id));
                }
                range = false;
                out.push(id);
                // A sentence ends the list.
                if word.ends_with([':', ';']) {
                    (group, plan) = (None, false);
                }
            }
            None if matches!(bare, "to" | "and" | "or" | "") => range = bare == "to",
            None => (group, plan, range) = (None, false, false),
        }
    }
    out
}

fn requirement(group: &str, rest: &str) -> Option<Id> {
    let known = !group.is_empty()
        && group
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (number, more) = rest.split_at(end);
    let letter = more.is_empty()
        || more.len() == 1 && more.bytes().all(|b| b.is_ascii_lowercase())
        || more
            .strip_prefix('.')
            .is_some_and(|sub| sub.parse::<u32>().is_ok());
    (known && letter)
        .then(|| number.parse().ok())
        .flatten()
        .map(|number| Id::Requirement(group.to_owned(), number, more.to_owned()))
}

fn case(text: &str) -> Option<Id> {
    let (section, number) = text.split_once('.')?;
    Some(Id::Case(section.parse().ok()?, number.parse().ok()?))
}

/// What lies between the ends of a range.
fn between(first: &Id, last: &Id) -> Vec<Id> {
    match (first, last) {
        (Id::Requirement(group, from, _), Id::Requirement(other, to, _)) if group == other => {
            (from + 1..*to)
                .map(|number| Id::Requirement(group.clone(), number, String::new()))
                .collect()
        }
        (Id::Case(section, from), Id::Case(other, to)) if section == other => (from + 1..*to)
            .map(|number| Id::Case(*section, number))
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cited(comment: &str) -> String {
        let all: Vec<String> = citations(comment).iter().map(ToString::to_string).collect();
        all.join(" ")
    }

    #[test]
    fn lists_and_ranges_are_read_and_prose_is_not() {
        for (comment, expected) in [
            ("// R-MSG.4", "R-MSG.4"),
            (
                "/// R-NOT.1, .2, .9; TP-469 1.54",
                "R-NOT.1 R-NOT.2 R-NOT.9 1.54",
            ),
            (
                "// (R-OPR.5 to R-OPR.7): mandatory 1.5",
                "R-OPR.5 R-OPR.6 R-OPR.7",
            ),
            ("// R-NOT.1 to .3.", "R-NOT.1 R-NOT.2 R-NOT.3"),
            ("// see R-E2E.32.1 and R-WS.11a", "R-E2E.32.1 R-WS.11a"),
            (
                "/// TP-469 1.43 to 1.45, 1.82: searching in 2.0",
                "1.43 1.44 1.45 1.82",
            ),
            ("//! TLS 1.2 and R-KEY: an expression", ""),
        ] {
            assert_eq!(cited(comment), expected, "{comment}");
        }
    }
}
