//! Resolving a path against a tree of instances: wildcards, unique keys, search expressions and references, over typed
//! values (TR-369 2.5). Used by the agent's engine and by the server over last-known values.
//!
//! Decides nothing about errors of a Get or a Set: what does not exist is just not in the result, and
//! [`addressing`] tells whether the path could have named more than one thing. Permissions are the tree's: what a
//! caller may not see, its tree does not have.

mod expr;
mod snapshot;

use std::collections::HashSet;

pub use snapshot::Snapshot;

use crate::limits;
use crate::path::{Follow, KeyExpr, Op, Path, PathKind, Segment};
use crate::schema::Schema;
use crate::types::Type;
use crate::value::{BaseType, ValueError, list};

/// The instances and values a path is resolved against. Paths are instantiated; those of objects and tables end in `.`.
/// Must answer from memory: resolving may not touch a network (TR-369 2.5).
pub trait Tree {
    /// The instance numbers of a table (`Device.WiFi.SSID.`), in the order results shall have. Empty if there is no
    /// such table.
    fn instances(&self, table: &str) -> Vec<u32>;

    /// The value of a parameter; `None` if there is no such parameter.
    fn value(&self, param: &str) -> Option<String>;

    /// What kind of value a parameter has; `None` if the model has no such parameter.
    fn param_type(&self, param: &str) -> Option<ValueKind>;

    /// There is this object, instance or table.
    fn object_exists(&self, object: &str) -> bool;

    /// There is this parameter.
    fn param_exists(&self, param: &str) -> bool {
        self.value(param).is_some()
    }

    /// The existing object that a command (`..()`) or event (`..!`) is named on has it.
    fn operation_exists(&self, _path: &str) -> bool {
        true
    }
}

/// What an expression needs to know of a parameter's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ValueKind {
    /// The type of the value or of the list's items.
    pub base: BaseType,
    /// It is a list.
    pub list: bool,
    /// It is the path of something; a final dot does not matter then.
    pub reference: bool,
}

impl From<BaseType> for ValueKind {
    fn from(base: BaseType) -> ValueKind {
        ValueKind {
            base,
            list: false,
            reference: false,
        }
    }
}

impl From<&Type> for ValueKind {
    fn from(ty: &Type) -> ValueKind {
        ValueKind {
            base: ty.base,
            list: ty.is_list(),
            reference: ty.reference.is_some(),
        }
    }
}

/// How much one evaluation may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most paths in the result, or at any step on the way.
    pub results_max: usize,
    /// Most look-ups in the tree.
    pub steps_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            results_max: limits::RESOLVE_RESULTS_MAX,
            steps_max: limits::RESOLVE_STEPS_MAX,
        }
    }
}

/// A path that cannot be resolved, whatever the instances are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// A path of the supported model (error 7008).
    #[error("the path has '{{i}}' and names the supported model, not anything of a device")]
    Template,
    /// A comparison or reference names a parameter that the model does not have (error 7026).
    #[error("{path} is not in the supported data model")]
    NotSupported {
        /// The parameter.
        path: String,
    },
    /// An operator that the parameter's type does not have (error 7008).
    #[error("{op} cannot be used with {path}, which is {kind}")]
    Operator {
        /// The parameter, relative to the instance.
        path: String,
        /// The operator.
        op: Op,
        /// Its type in words.
        kind: String,
    },
    /// A constant that is not of the parameter's type (error 7008).
    #[error("{path}: {reason}")]
    Constant {
        /// The parameter, relative to the instance.
        path: String,
        /// What is wrong.
        reason: ValueError,
    },
    /// A boolean in quotes (error 7008).
    #[error("{path}: true and false are not written in quotes")]
    QuotedBoolean {
        /// The parameter, relative to the instance.
        path: String,
    },
    /// More than [`Limits::results_max`] paths (error 7005).
    #[error("the path resolves to more than {max} things")]
    TooManyResults {
        /// The limit.
        max: usize,
    },
    /// More than [`Limits::steps_max`] look-ups (error 7005).
    #[error("resolving the path takes more than {max} steps")]
    TooManySteps {
        /// The limit.
        max: usize,
    },
}

/// How a path names things, which decides what it means when there are none (R-GET.0, R-GET.1a).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Addressing {
    /// By instance numbers (or single references): one thing, and an error if it is not there.
    Plain,
    /// By a whole unique key: at most one thing.
    Key,
    /// By searching: any number of things, also none.
    Search,
}

/// How `path` names things. Expressions address when they give exactly the members of one unique key with `==`, and
/// search otherwise. Behind a followed reference the model is not known, so expressions there search.
pub fn addressing(path: &Path, schema: &Schema) -> Addressing {
    let mut result = Addressing::Plain;
    let mut supported = Some(String::new());
    for segment in path.segments() {
        let this = match segment {
            Segment::Any | Segment::Follow(Follow::All) => return Addressing::Search,
            Segment::Keys(keys) => {
                let row = supported.as_ref().map(|at| format!("{at}{{i}}."));
                match row {
                    Some(row) if is_whole_key(schema, &row, keys) => Addressing::Key,
                    _ => return Addressing::Search,
                }
            }
            Segment::Name(_) | Segment::Instance(_) | Segment::Template | Segment::Follow(_) => {
                Addressing::Plain
            }
        };
        result = result.max(this);
        match (segment, &mut supported) {
            (Segment::Follow(_), at) => *at = None,
            (Segment::Name(name), Some(at)) => {
                at.push_str(name);
                at.push('.');
            }
            (_, Some(at)) => at.push_str("{i}."),
            (_, None) => {}
        }
    }
    result
}

fn is_whole_key(schema: &Schema, row: &str, keys: &[KeyExpr]) -> bool {
    let Some(object) = schema.object(row) else {
        return false;
    };
    if keys
        .iter()
        .any(|key| key.op != Op::Eq || key.path.follows())
    {
        return false;
    }
    let named: HashSet<&str> = keys.iter().map(|key| key.path.as_str()).collect();
    let is_it = |key: &crate::UniqueKey| {
        key.params.len() == named.len()
            && key
                .params
                .iter()
                .all(|param| named.contains(param.as_ref()))
    };
    named.len() == keys.len() && object.unique_keys.iter().any(is_it)
}

/// Everything of `tree` that `path` names, each once: objects, tables and instances ending in `.`, parameters,
/// commands with `()`, events with `!`. What is not there is not in the result.
pub fn resolve(path: &Path, tree: &dyn Tree, limits: Limits) -> Result<Vec<String>, ResolveError> {
    if path.is_template() {
        return Err(ResolveError::Template);
    }
    Evaluation {
        tree,
        limits,
        steps: 0,
    }
    .path(path)
}

/// One evaluation in progress.
pub(crate) struct Evaluation<'a> {
    pub(crate) tree: &'a dyn Tree,
    limits: Limits,
    steps: usize,
}

impl Evaluation<'_> {
    fn path(&mut self, path: &Path) -> Result<Vec<String>, ResolveError> {
        let mut found = vec![String::new()];
        let mut segments = path.segments().peekable();
        while let Some(segment) = segments.next() {
            match segment {
                Segment::Name(name) => {
                    let is_last = segments.peek().is_none();
                    let is_holder = matches!(segments.peek(), Some(Segment::Follow(_)));
                    let end = match path.kind() {
                        _ if is_holder => "",
                        PathKind::Parameter if is_last => "",
                        PathKind::Command if is_last => "()",
                        PathKind::Event if is_last => "!",
                        _ => ".",
                    };
                    for at in &mut found {
                        at.push_str(name);
                        at.push_str(end);
                    }
                }
                Segment::Follow(which) => {
                    let holders = std::mem::take(&mut found);
                    for holder in holders {
                        found.extend(self.follow(&holder, which)?);
                        self.fits(&found)?;
                    }
                    distinct(&mut found);
                }
                Segment::Instance(number) => {
                    for at in &mut found {
                        at.push_str(&format!("{number}."));
                    }
                }
                Segment::Any | Segment::Keys(_) => found = self.select(found, segment)?,
                Segment::Template => return Err(ResolveError::Template),
            }
        }
        let mut there = Vec::with_capacity(found.len());
        for at in found {
            if self.exists(&at, path.kind())? {
                there.push(at);
            }
        }
        Ok(there)
    }

    fn select(
        &mut self,
        tables: Vec<String>,
        segment: Segment<'_>,
    ) -> Result<Vec<String>, ResolveError> {
        let mut rows = Vec::new();
        for table in tables {
            self.step()?;
            for number in self.tree.instances(&table) {
                let row = format!("{table}{number}.");
                let chosen = match segment {
                    Segment::Keys(keys) => self.all_hold(&row, keys)?,
                    _ => true,
                };
                if chosen {
                    rows.push(row);
                    self.fits(&rows)?;
                }
            }
        }
        Ok(rows)
    }

    /// The objects that the reference parameter `holder` names and that exist.
    pub(crate) fn follow(
        &mut self,
        holder: &str,
        which: Follow,
    ) -> Result<Vec<String>, ResolveError> {
        self.step()?;
        let Some(kind) = self.tree.param_type(holder) else {
            return Err(ResolveError::NotSupported {
                path: holder.to_owned(),
            });
        };
        let Some(value) = self.tree.value(holder) else {
            return Ok(Vec::new());
        };
        let items: Vec<String> = if kind.list {
            list::items(&value)
                .map(std::borrow::Cow::into_owned)
                .collect()
        } else {
            vec![value.trim().to_owned()]
        };
        let chosen = match which {
            Follow::First => items.get(..items.len().min(1)),
            Follow::Nth(n) => items.get(n as usize - 1..n as usize),
            Follow::All => Some(items.as_slice()),
        };
        let mut targets = Vec::new();
        for item in chosen.unwrap_or_default() {
            // Reference values may lack the final dot; what is not a plain object path is no target.
            let dot = if item.ends_with('.') { "" } else { "." };
            let target = Path::parse(&format!("{item}{dot}"));
            let Ok(target) = target.map(|path| (path.is_plain(), path.to_string())) else {
                continue;
            };
            self.step()?;
            if target.0 && self.tree.object_exists(&target.1) {
                targets.push(target.1);
            }
        }
        Ok(targets)
    }

    fn exists(&mut self, path: &str, kind: PathKind) -> Result<bool, ResolveError> {
        self.step()?;
        Ok(match kind {
            PathKind::Object => self.tree.object_exists(path),
            PathKind::Parameter => self.tree.param_exists(path),
            PathKind::Command | PathKind::Event => {
                let object = path.rfind('.').map_or("", |dot| &path[..=dot]);
                self.tree.object_exists(object) && self.tree.operation_exists(path)
            }
        })
    }

    fn fits(&self, found: &[String]) -> Result<(), ResolveError> {
        let max = self.limits.results_max;
        if found.len() > max {
            Err(ResolveError::TooManyResults { max })
        } else {
            Ok(())
        }
    }

    pub(crate) fn step(&mut self) -> Result<(), ResolveError> {
        self.steps += 1;
        let max = self.limits.steps_max;
        if self.steps > max {
            Err(ResolveError::TooManySteps { max })
        } else {
            Ok(())
        }
    }
}

/// Drops repetitions; two references may name the same object.
fn distinct(paths: &mut Vec<String>) {
    if paths.len() > 1 {
        let mut seen = HashSet::with_capacity(paths.len());
        paths.retain(|path| seen.insert(path.clone()));
    }
}

#[cfg(test)]
mod tests;
