//! Print and parse round trips over random paths, and a parser that never panics.

use dm::{KeyExpr, Path, PathKind, Segment};
use proptest::prelude::*;

fn name() -> impl Strategy<Value = String> {
    "[A-Za-z_][A-Za-z0-9_]{0,8}(-[A-Z0-9]{1,3})?"
}

fn follow() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("+".to_owned()),
        (1u32..99).prop_map(|n| format!("#{n}+")),
        Just("#*+".to_owned())
    ]
}

fn constant() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z \\]\\[&|.{}*=<>!äß]{0,8}".prop_map(|text| format!("\"{text}\"")),
        Just("\"50%25 of %22x%22\"".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<bool>().prop_map(|b| b.to_string()),
        Just("2026-03-01T12:00:00Z".to_owned()),
        Just("-1.5".to_owned()),
    ]
}

fn comparison() -> impl Strategy<Value = String> {
    let step = (name(), prop::option::weighted(0.3, follow()))
        .prop_map(|(n, f)| format!("{n}{}.", f.unwrap_or_default()));
    let op = prop::sample::select(vec!["==", "!=", "~=", "<", ">", "<=", ">="]);
    (prop::collection::vec(step, 0..3), name(), op, constant())
        .prop_map(|(steps, last, op, constant)| format!("{}{last}{op}{constant}", steps.concat()))
}

fn selector() -> impl Strategy<Value = String> {
    prop_oneof![
        (1u32..).prop_map(|n| format!("{n}.")),
        Just("*.".to_owned()),
        prop::collection::vec(comparison(), 1..3).prop_map(|all| format!("[{}].", all.join("&&"))),
    ]
}

/// A canonical instantiated or search path.
fn path() -> impl Strategy<Value = String> {
    let middle = prop_oneof![
        3 => name().prop_map(|n| format!("{n}.")),
        3 => (name(), selector()).prop_map(|(n, s)| format!("{n}.{s}")),
        1 => (name(), follow()).prop_map(|(n, f)| format!("{n}{f}.")),
    ];
    let end = prop_oneof![
        Just(String::new()),
        name(),
        name().prop_map(|n| format!("{n}()")),
        name().prop_map(|n| format!("{n}!")),
    ];
    (name(), prop::collection::vec(middle, 0..6), end)
        .prop_map(|(root, middle, end)| format!("{root}.{}{end}", middle.concat()))
}

proptest! {
    #[test]
    fn a_canonical_path_prints_as_it_was(text in path()) {
        let parsed = Path::parse(&text).unwrap();
        prop_assert_eq!(parsed.to_string(), text);
    }

    // R-ARC.9a.
    #[test]
    fn blanks_around_operators_make_no_difference(parts in prop::collection::vec((name(), constant(), "[ \t]{0,2}"), 1..4)) {
        let all = |blank: bool| {
            let each = parts.iter().map(|(name, constant, blanks)| {
                let blanks = if blank { blanks.as_str() } else { "" };
                format!("{blanks}{name}{blanks}=={blanks}{constant}{blanks}")
            });
            format!("Device.T.[{}].", each.collect::<Vec<_>>().join("&&"))
        };
        prop_assert_eq!(Path::parse(&all(true)).unwrap().to_string(), all(false));
    }

    #[test]
    fn whatever_is_read_prints_to_something_that_reads_the_same(text in "(Device|[A-Z])\\.[ -~ä]{0,40}") {
        if let Ok(parsed) = Path::parse(&text) {
            let printed = parsed.to_string();
            prop_assert_eq!(Path::parse(&printed).unwrap(), parsed);
        }
    }

    #[test]
    fn errors_point_into_the_text(text in "[ -~ä.\\[\\]]{0,40}") {
        if let Err(error) = Path::parse(&text) {
            prop_assert!(error.at <= text.chars().count());
        }
    }

    #[test]
    fn segments_put_together_are_the_path(text in path()) {
        let parsed = Path::parse(&text).unwrap();
        let mut again = String::new();
        for segment in parsed.segments() {
            if matches!(segment, Segment::Follow(_)) {
                again.pop();
            }
            again.push_str(&format!("{segment}."));
        }
        match parsed.kind() {
            PathKind::Object => {}
            PathKind::Parameter => { again.pop(); }
            PathKind::Command => { again.pop(); again.push_str("()"); }
            PathKind::Event => { again.pop(); again.push('!'); }
        }
        prop_assert_eq!(again, text);
    }

    #[test]
    fn parents_lead_to_the_root(text in path()) {
        let mut at = Path::parse(&text).unwrap();
        while let Some(parent) = at.parent() {
            prop_assert!(at.starts_with(&parent) && parent.as_str().len() < at.as_str().len());
            prop_assert_eq!(parent.kind(), PathKind::Object);
            at = parent;
        }
        prop_assert_eq!(at.segments().count(), 1);
    }

    #[test]
    fn expressions_on_their_own_print_as_they_were(text in comparison()) {
        let keys = KeyExpr::parse_all(&text).unwrap();
        prop_assert_eq!(keys[0].to_string(), text);
    }
}
