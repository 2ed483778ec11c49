//! Get: paths of any kind to parameters of the device, and back.
//!
//! Rows are looked at when they are asked for by searching, since they come and go by themselves;
//! what is named directly is asked for as it is named.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use cwmp::fault::FaultCode;
use dm::{BaseType, Path, PathKind, Schema, ValueKind};
use fleet::southbound::{Fault, PathValue, ReadResult};

use super::super::AskError;
use super::super::aside::at_length;
use super::known::Known;
use super::limits::{MAPPED_NAMES_MAX, SEARCH_ROUNDS_MAX, TABLES_LISTED_MAX};
use super::line::Line;
use super::read::{self, Read};
use super::tree::Tree;

/// A refusal of ours, which counts as a fault with the standard's code.
pub fn fault(code: FaultCode, words: impl Into<String>) -> Fault {
    Fault::ours(code.0, words)
}

/// There is no such thing.
pub fn unknown(words: impl Into<String>) -> Fault {
    fault(FaultCode::INVALID_PARAMETER_NAME, words)
}

/// What a path of a request is.
pub enum Wanted {
    /// Nothing that can be asked.
    Bad(Fault),
    /// A parameter of the device by its name.
    Param(String),
    /// An object of the device by its name.
    Object(String),
    /// A search among the device's own names.
    Search(Box<Path>),
    /// A path of TR-181 on a TR-098 device.
    Mapped(Box<Path>),
}

/// What a path of a request is on this device.
pub fn wanted(known: &Known, text: &str) -> Wanted {
    let path = match Path::parse(text) {
        Ok(path) => path,
        Err(error) => return Wanted::Bad(fault(FaultCode::INVALID_ARGUMENTS, error.to_string())),
    };
    if path.is_template() || matches!(path.kind(), PathKind::Command | PathKind::Event) {
        let words = "only objects and parameters of a device can be read";
        return Wanted::Bad(fault(FaultCode::INVALID_ARGUMENTS, words));
    }
    if known.mapped(path.as_str()).is_some() {
        return Wanted::Mapped(Box::new(path));
    }
    match (path.is_plain(), path.kind()) {
        (false, _) => Wanted::Search(Box::new(path)),
        (true, PathKind::Object) => Wanted::Object(path.as_str().to_owned()),
        (true, _) => Wanted::Param(path.as_str().to_owned()),
    }
}

/// What a Get found.
pub struct Got {
    /// Path by path, as asked.
    pub results: Vec<ReadResult<PathValue>>,
    /// What a gateway told under its own names, of which paths of TR-181 were answered.
    pub told: BTreeMap<String, String>,
}

/// Get.
pub async fn get(
    line: &mut Line,
    known: &mut Known,
    paths: &[String],
    max_depth: u32,
) -> Result<Vec<ReadResult<PathValue>>, AskError> {
    let got = got(line, known, paths, max_depth).await?;
    Ok(got.results)
}

/// Get, with what it was answered of.
pub async fn got(
    line: &mut Line,
    known: &mut Known,
    paths: &[String],
    max_depth: u32,
) -> Result<Got, AskError> {
    let all: Vec<Wanted> = paths.iter().map(|path| wanted(known, path)).collect();
    refresh(line, known, &all).await?;
    // Whatever is named is read together.
    let mut names: BTreeSet<String> = BTreeSet::new();
    for one in &all {
        match one {
            Wanted::Param(name) => _ = names.insert(name.clone()),
            Wanted::Mapped(path) => {
                if let Some(mapping) = known.mapped(path.as_str()) {
                    names.extend(mapping.reads(&[path]).into_iter().map(str::to_owned));
                }
            }
            _ => {}
        }
    }
    let missing = known
        .unknown(line, names.iter().map(String::as_str))
        .await?;
    let there = names.iter().filter(|name| !missing.contains(*name));
    let mut read = read::params(line, there.map(String::as_str)).await?;
    let gone: Vec<&str> = read
        .refused
        .iter()
        .filter(|(name, why)| {
            why.code == FaultCode::INVALID_PARAMETER_NAME.0 && known.tree.has(name)
        })
        .map(|(name, _)| name.as_str())
        .collect();
    known.doubt(line, &gone).await?;
    let why = unknown("the device does not list such a parameter");
    let missing = missing.into_iter().map(|name| (name, why.clone()));
    read.refused.extend(missing);
    let mut results = Vec::with_capacity(paths.len());
    for (requested, one) in paths.iter().zip(all) {
        let result = match one {
            Wanted::Bad(fault) => Err(fault),
            Wanted::Param(name) => one_of(&read, &name).map(|value| vec![value]),
            Wanted::Object(name) => {
                let had = known.tree.len();
                let found = read::object(line, &mut known.tree, &name).await?;
                // Rows that came are seen by what is in them.
                known.changed |= known.tree.len() != had;
                match found {
                    Some(found) => Ok(below(found, &name, max_depth)),
                    None => Err(unknown("the device has no such object")),
                }
            }
            Wanted::Search(path) => {
                let found = search(line, known, &path, &mut read).await?;
                match found {
                    Ok(found) => values(line, known, found, max_depth).await?,
                    Err(fault) => Err(fault),
                }
            }
            Wanted::Mapped(path) => mapped(known, &path, &read, max_depth),
        };
        results.push(ReadResult {
            requested: requested.clone(),
            result,
        });
    }
    let told = match known.mapping {
        Some(_) => read.texts(),
        None => BTreeMap::new(),
    };
    Ok(Got { results, told })
}

fn one_of(read: &Read, name: &str) -> Result<PathValue, Fault> {
    match (read.values.get(name), read.refused.get(name)) {
        (Some(value), _) => Ok(PathValue::new(name, &value.text)),
        (None, Some(why)) => Err(why.clone()),
        (None, None) => Err(unknown("the device did not tell it")),
    }
}

/// Whether a parameter is no deeper below an object than asked.
fn is_within(name: &str, object: &str, max_depth: u32) -> bool {
    let rest = name.strip_prefix(object).unwrap_or(name);
    max_depth == 0 || rest.matches('.').count() < max_depth as usize
}

fn below(read: Read, object: &str, max_depth: u32) -> Vec<PathValue> {
    read.values
        .into_iter()
        .filter(|(name, _)| is_within(name, object, max_depth))
        .map(|(name, value)| PathValue::new(name, value.text))
        .collect()
}

/// The values of what a search has found: parameters, or all below objects.
async fn values(
    line: &mut Line,
    known: &mut Known,
    found: Vec<String>,
    max_depth: u32,
) -> Result<Result<Vec<PathValue>, Fault>, AskError> {
    let (objects, params): (Vec<String>, Vec<String>) =
        found.into_iter().partition(|path| path.ends_with('.'));
    let mut names: Vec<String> = params;
    for object in &objects {
        let below = known.tree.params_below(object);
        names.extend(
            below
                .filter(|name| is_within(name, object, max_depth))
                .map(str::to_owned),
        );
    }
    let read = read::params(line, names.iter().map(String::as_str)).await?;
    let values = read.values.into_iter();
    let values: Vec<_> = values
        .map(|(name, value)| PathValue::new(name, value.text))
        .collect();
    Ok(
        match (values.is_empty(), read.refused.into_values().next()) {
            (true, Some(why)) => Err(why),
            _ => Ok(values),
        },
    )
}

/// Looks at the tables of a TR-098 device that searches and objects lead through: rows may have
/// come and gone. What lies together is asked at once.
pub async fn refresh(line: &mut Line, known: &mut Known, all: &[Wanted]) -> Result<(), AskError> {
    if known.fresh {
        return Ok(());
    }
    let mut prefixes: BTreeSet<String> = BTreeSet::new();
    for one in all {
        let Wanted::Mapped(path) = one else { continue };
        let Some(mapping) = known.mapped(path.as_str()) else {
            continue;
        };
        if path.is_plain() && path.kind() == PathKind::Parameter {
            continue;
        }
        let sources = mapping.reads(&[path]);
        let has_rows = |name: &&str| dm::path::supported_text(name).contains("{i}");
        if sources.iter().any(has_rows) {
            prefixes.insert(common(&sources));
        }
        prefixes.extend(mapping.tables(path.as_str()));
    }
    // What is inside of another one is seen with it.
    let outer: Vec<String> = prefixes
        .iter()
        .filter(|one| {
            !prefixes
                .iter()
                .any(|other| *one != other && one.starts_with(other.as_str()))
        })
        .take(TABLES_LISTED_MAX)
        .cloned()
        .collect();
    for object in outer {
        known.learn(line, &object).await?;
    }
    Ok(())
}

/// Rows of these do not come and go by themselves, and each has much below it.
const STEADY: [&str; 5] = [
    "LANDevice",
    "WANDevice",
    "WANConnectionDevice",
    "WANIPConnection",
    "WANPPPConnection",
];

/// The object that all of these are in, and other rows of its table, too.
fn common(names: &[&str]) -> String {
    let first = names.first().copied().unwrap_or_default();
    let shared = names.iter().fold(first.len(), |shared, name| {
        let same = first.bytes().zip(name.bytes()).take_while(|(a, b)| a == b);
        shared.min(same.count())
    });
    let end = first.as_bytes()[..shared]
        .iter()
        .rposition(|byte| *byte == b'.');
    let object = first
        .get(..end.map_or(0, |dot| dot + 1))
        .unwrap_or_default();
    let mut at = 0;
    let mut before = "";
    for part in object.split_inclusive('.') {
        let name = part.trim_end_matches('.');
        let is_row = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        if is_row && !STEADY.contains(&before) {
            break;
        }
        at += part.len();
        before = name;
    }
    object[..at].to_owned()
}

fn mapped(
    known: &Known,
    path: &Path,
    read: &Read,
    max_depth: u32,
) -> Result<Vec<PathValue>, Fault> {
    let Some(mapping) = known.mapped(path.as_str()) else {
        return Err(unknown("the device has no such path"));
    };
    let texts = read.texts();
    let found = at_length(texts.len(), MAPPED_NAMES_MAX, || {
        mapping.answer(&[path], &texts)
    });
    let found = found.map_err(|error| fault(FaultCode::INVALID_ARGUMENTS, error.to_string()))?;
    if found.is_empty() && path.is_plain() {
        if path.kind() == PathKind::Object {
            let there = mapping
                .objects()
                .any(|object| object.starts_with(path.as_str()))
                || mapping
                    .params()
                    .any(|(name, _)| name.starts_with(path.as_str()));
            let is_table = !mapping.tables(path.as_str()).is_empty();
            return match there || is_table {
                true => Ok(Vec::new()),
                false => Err(unknown("this device has nothing that it could be")),
            };
        }
        let refused = mapping.to_gateway(path.as_str()).into_iter();
        let refused = refused.filter_map(|name| read.refused.get(name)).next();
        return Err(refused.cloned().unwrap_or_else(|| {
            let why = mapping.writes([(path.as_str(), "")], &|_| None).refused;
            let why = why.first().map(|refused| refused.reason.to_string());
            unknown(why.unwrap_or_else(|| "the device did not tell it".to_owned()))
        }));
    }
    let object = match path.kind() {
        PathKind::Object if path.is_plain() => path.as_str(),
        _ => "",
    };
    let depth = if object.is_empty() { 0 } else { max_depth };
    Ok(found
        .into_iter()
        .filter(|(name, _)| is_within(name, object, depth))
        .map(|(name, value)| PathValue::new(name, value))
        .collect())
}

/// What is known while a search goes on, and what it would have liked to know.
struct Lookup<'a> {
    tree: &'a Tree,
    schema: &'static Schema,
    read: &'a Read,
    listed: &'a BTreeSet<String>,
    tables: RefCell<BTreeSet<String>>,
    params: RefCell<BTreeSet<String>>,
}

impl dm::Tree for Lookup<'_> {
    fn instances(&self, table: &str) -> Vec<u32> {
        if !self.listed.contains(table) {
            self.tables.borrow_mut().insert(table.to_owned());
        }
        self.tree.rows(table)
    }

    fn value(&self, param: &str) -> Option<String> {
        let known = self.read.values.get(param);
        if known.is_none() && !self.read.refused.contains_key(param) && self.tree.has(param) {
            self.params.borrow_mut().insert(param.to_owned());
        }
        known.map(|value| value.text.clone())
    }

    fn param_type(&self, param: &str) -> Option<ValueKind> {
        let known = self.schema.param(param);
        Some(known.map_or(BaseType::String.into(), |param| ValueKind::from(&*param.ty)))
    }

    fn object_exists(&self, object: &str) -> bool {
        self.tree.has(object)
    }

    fn param_exists(&self, param: &str) -> bool {
        self.tree.has(param)
    }
}

/// What a search among the device's own names leads to now.
pub async fn search(
    line: &mut Line,
    known: &mut Known,
    path: &Path,
    read: &mut Read,
) -> Result<Result<Vec<String>, Fault>, AskError> {
    let schema = match known.mapping {
        Some(_) => Schema::tr098(),
        None => Schema::tr181_cwmp(),
    };
    let mut listed: BTreeSet<String> = BTreeSet::new();
    let mut found = Ok(Vec::new());
    for _ in 0..SEARCH_ROUNDS_MAX {
        let lookup = Lookup {
            tree: &known.tree,
            schema,
            read,
            listed: &listed,
            tables: RefCell::default(),
            params: RefCell::default(),
        };
        found = dm::resolve(path, &lookup, dm::Limits::default())
            .map_err(|error| fault(FaultCode::INVALID_ARGUMENTS, error.to_string()));
        let mut tables = lookup.tables.into_inner();
        let params = lookup.params.into_inner();
        if known.fresh {
            tables.clear();
        }
        if tables.is_empty() && params.is_empty() {
            break;
        }
        for table in tables {
            if listed.len() < TABLES_LISTED_MAX {
                known.list(line, &table).await?;
            }
            listed.insert(table);
        }
        let more = read::params(line, params.iter().map(String::as_str)).await?;
        read.values.extend(more.values);
        read.refused.extend(more.refused);
    }
    Ok(found)
}

#[cfg(test)]
#[path = "tests/get.rs"]
mod tests;
