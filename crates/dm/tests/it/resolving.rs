//! The evaluator against a naive model: list everything that exists and keep what matches, one path at a time, with
//! comparisons written a second time on plain integers and texts.

use std::collections::{BTreeMap, BTreeSet};

use dm::resolve::Snapshot;
use dm::{BaseType, Limits, ObjectDef, ParamDef, Path, Schema, Type, resolve};
use proptest::prelude::*;

/// Rows `A` with a number, text, switch, list and reference; each with rows `B` that have a number.
fn schema() -> Schema {
    let row = ObjectDef::new("D.A.{i}.")
        .with_param(ParamDef::new("N", BaseType::Int))
        .with_param(ParamDef::new("T", BaseType::String))
        .with_param(ParamDef::new("S", BaseType::Boolean))
        .with_param(ParamDef::new("L", Type::new(BaseType::Int).list()))
        .with_param(ParamDef::new(
            "R",
            Type::new(BaseType::String)
                .list()
                .reference(dm::Reference::Weak),
        ));
    let inner = ObjectDef::new("D.A.{i}.B.{i}.").with_param(ParamDef::new("N", BaseType::Int));
    let built = Schema::builder()
        .object(ObjectDef::new("D."))
        .object(row)
        .object(inner)
        .build();
    built.unwrap()
}

type Values = BTreeMap<String, String>;

/// Numbers as devices write them: padded, signed or broken.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (-3i32..4).prop_map(|n| n.to_string()),
        1 => (0i32..4).prop_map(|n| format!("0{n}")),
        1 => Just(String::new()),
    ]
}

fn row() -> impl Strategy<Value = (Vec<Option<String>>, BTreeMap<u32, String>)> {
    let switch = prop::sample::select(vec!["true", "false", "1", "0"]).prop_map(str::to_owned);
    let text = prop::sample::select(vec!["", "a", "b", "A", "a b"]).prop_map(str::to_owned);
    let list = prop::collection::vec(-3i32..4, 0..3).prop_map(|all| {
        all.iter()
            .map(|n| format!(" {n}"))
            .collect::<Vec<_>>()
            .join(",")
    });
    let dot = prop::sample::select(vec!["", "."]);
    let targets = prop::collection::vec(
        (1u32..6, dot).prop_map(|(n, dot)| format!("D.A.{n}{dot}")),
        0..3,
    );
    let all = (
        prop::option::weighted(0.9, number()),
        prop::option::weighted(0.9, text),
        prop::option::weighted(0.9, switch),
        prop::option::weighted(0.9, list),
        prop::option::weighted(0.9, targets.prop_map(|all| all.join(","))),
    );
    let inner = prop::collection::btree_map(1u32..4, number(), 0..3);
    (all.prop_map(|(n, t, s, l, r)| vec![n, t, s, l, r]), inner)
}

fn values() -> impl Strategy<Value = Values> {
    prop::collection::btree_map(prop_oneof![1u32..6, Just(11)], row(), 0..5).prop_map(|rows| {
        let mut values = Values::new();
        for (number, (params, inner)) in rows {
            for (name, value) in ["N", "T", "S", "L", "R"].iter().zip(params) {
                values.extend(value.map(|value| (format!("D.A.{number}.{name}"), value)));
            }
            for (inner, value) in inner {
                values.insert(format!("D.A.{number}.B.{inner}.N"), value);
            }
        }
        values
    })
}

/// A comparison as the naive model keeps it: reference step, parameter, operator, constant.
#[derive(Debug, Clone)]
struct Cond {
    follow: &'static str,
    param: &'static str,
    op: &'static str,
    constant: String,
}

#[derive(Debug, Clone)]
enum Sel {
    One(u32),
    Any,
    Conds(Vec<Cond>),
}

#[derive(Debug, Clone)]
struct Query {
    rows: Sel,
    follow: &'static str,
    inner: Option<Sel>,
    param: &'static str,
}

fn cond(inner: bool) -> impl Strategy<Value = Cond> {
    let ops = vec!["==", "!=", "<", ">", "<=", ">="];
    let numbers =
        (prop::sample::select(ops), -3i32..4).prop_map(|(op, n)| ("N", op, n.to_string()));
    let texts = (
        prop::sample::select(vec!["==", "!="]),
        prop::sample::select(vec!["a", "A", ""]),
    )
        .prop_map(|(op, t)| ("T", op, format!("\"{t}\"")));
    let switches = (
        prop::sample::select(vec!["==", "!="]),
        prop::sample::select(vec!["true", "0"]),
    )
        .prop_map(|(op, s)| ("S", op, s.to_owned()));
    let lists = (-3i32..4).prop_map(|n| ("L", "~=", n.to_string()));
    let follow = prop::sample::select(vec!["", "", "R+.", "R#2+.", "R#*+."]);
    let all = prop_oneof![numbers, texts, switches, lists];
    (follow, all).prop_map(move |(follow, (param, op, constant))| {
        if inner {
            // Inner rows have only N and no references.
            return Cond {
                follow: "",
                param: "N",
                op: if op == "~=" { "==" } else { op },
                constant: "1".into(),
            };
        }
        Cond {
            follow,
            param,
            op,
            constant,
        }
    })
}

fn selector(inner: bool) -> impl Strategy<Value = Sel> {
    prop_oneof![
        (1u32..6).prop_map(Sel::One),
        Just(Sel::Any),
        prop::collection::vec(cond(inner), 1..3).prop_map(Sel::Conds),
    ]
}

fn query() -> impl Strategy<Value = Query> {
    let follow = prop::sample::select(vec!["", "", "R+.", "R#2+.", "R#*+."]);
    let param = prop::sample::select(vec!["", "N", "T"]);
    (
        selector(false),
        follow,
        prop::option::of(selector(true)),
        param,
    )
        .prop_map(|(rows, follow, inner, param)| Query {
            rows,
            follow,
            inner,
            param,
        })
}

fn text(sel: &Sel) -> String {
    match sel {
        Sel::One(n) => format!("{n}."),
        Sel::Any => "*.".into(),
        Sel::Conds(conds) => {
            let all: Vec<String> = conds
                .iter()
                .map(|c| format!("{}{}{}{}", c.follow, c.param, c.op, c.constant))
                .collect();
            format!("[{}].", all.join("&&"))
        }
    }
}

/// Everything that exists, found by cutting every parameter path at every dot.
fn objects(values: &Values) -> BTreeSet<String> {
    let dots = values.keys().flat_map(|path| {
        path.match_indices('.')
            .map(move |(at, _)| path[..=at].to_owned())
    });
    dots.collect()
}

fn targets(values: &Values, row: &str, follow: &str) -> Vec<String> {
    if follow.is_empty() {
        return vec![row.to_owned()];
    }
    let list = values.get(&format!("{row}R")).cloned().unwrap_or_default();
    let items: Vec<String> = list
        .split(',')
        .filter(|item| !item.is_empty())
        .map(|item| format!("{}.", item.trim_end_matches('.')))
        .collect();
    let chosen = match follow {
        "R+." => items.into_iter().take(1).collect(),
        "R#2+." => items.into_iter().skip(1).take(1).collect(),
        _ => items,
    };
    let there = objects(values);
    chosen
        .into_iter()
        .filter(|target: &String| there.contains(target))
        .collect()
}

fn compare(value: &str, cond: &Cond) -> bool {
    let constant = cond.constant.trim_matches('"');
    match cond.param {
        "T" => (value == constant) == (cond.op == "=="),
        "S" => (matches!(value, "true" | "1") == (constant == "true")) == (cond.op == "=="),
        "L" => value.split(',').any(|item| item.trim() == constant),
        _ => {
            let wanted: i64 = constant.parse().unwrap();
            let Ok(number) = value.parse::<i64>() else {
                return cond.op == "!=";
            };
            match cond.op {
                "==" => number == wanted,
                "!=" => number != wanted,
                "<" => number < wanted,
                ">" => number > wanted,
                "<=" => number <= wanted,
                _ => number >= wanted,
            }
        }
    }
}

fn chosen(values: &Values, table: &str, row: &str, sel: &Sel) -> bool {
    let Some(number) = row
        .strip_prefix(table)
        .and_then(|rest| rest.strip_suffix('.'))
        .filter(|n| !n.contains('.'))
    else {
        return false;
    };
    match sel {
        Sel::One(n) => n.to_string() == number,
        Sel::Any => true,
        Sel::Conds(conds) => conds.iter().all(|cond| {
            let all = targets(values, row, cond.follow);
            all.iter().any(|at| {
                values
                    .get(&format!("{at}{}", cond.param))
                    .is_some_and(|value| compare(value, cond))
            })
        }),
    }
}

fn naive(values: &Values, query: &Query) -> BTreeSet<String> {
    let there = objects(values);
    let mut found = BTreeSet::new();
    for row in there
        .iter()
        .filter(|row| chosen(values, "D.A.", row, &query.rows))
    {
        for target in targets(values, row, query.follow) {
            let table = format!("{target}B.");
            let ends: Vec<&String> = match &query.inner {
                None => vec![&target],
                Some(inner) => there
                    .iter()
                    .filter(|row| chosen(values, &table, row, inner))
                    .collect(),
            };
            for end in ends {
                let path = format!("{end}{}", query.param);
                if query.param.is_empty() || values.contains_key(&path) {
                    found.insert(path);
                }
            }
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn the_evaluator_finds_what_the_naive_model_finds(values in values(), query in query()) {
        let inner = query.inner.as_ref().map(|sel| format!("B.{}", text(sel))).unwrap_or_default();
        let path = format!("D.A.{}{}{inner}{}", text(&query.rows), query.follow, query.param);
        let schema = schema();
        let tree = Snapshot::new(&schema, &values);
        let found = resolve(&Path::parse(&path).unwrap(), &tree, Limits::default()).unwrap();
        let distinct: BTreeSet<String> = found.iter().cloned().collect();
        prop_assert_eq!(distinct.len(), found.len(), "{} repeats", path);
        prop_assert_eq!(distinct, naive(&values, &query), "{}", path);
    }
}
