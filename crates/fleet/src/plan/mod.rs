//! What an operation would do, before it does it: what changes, what cannot, and why.
//!
//! Looks at the published model, the model the device told, and the last-known values. It asks
//! nobody: a preview is instant and may be out of date, and says so by naming what it does not know.

mod check;
mod reports;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use reports::needs;

use crate::model::Model;
use crate::operation::Request;

/// What is known about the device.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The published model to check types by.
    pub schema: &'a dm::Schema,
    /// What the device says it supports, when it was discovered.
    pub model: Option<&'a Model>,
    /// Last-known values by path: of the parameters that are named, and of all that a search path
    /// may lead to.
    pub values: &'a BTreeMap<String, String>,
}

impl Context<'_> {
    fn value(&self, path: &str) -> Option<String> {
        self.values.get(path).cloned()
    }

    /// What a search path leads to, as far as values are known.
    fn found(&self, path: &dm::Path) -> Vec<String> {
        let known = dm::resolve::Snapshot::new(self.schema, self.values);
        // One that cannot be resolved is for the device to refuse: it knows more than we do.
        dm::resolve(path, &known, dm::Limits::default()).unwrap_or_default()
    }
}

/// What would become of one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It is read.
    Reads,
    /// Its value changes.
    Changes,
    /// It has this value already.
    Unchanged,
    /// Its present value is not known (or it is a search path): it is set.
    Sets,
    /// A row is added.
    Adds,
    /// A row is removed.
    Removes,
    /// A command runs.
    Runs,
}

/// What would become of one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The path.
    pub path: String,
    /// What would happen.
    pub effect: Effect,
    /// Last-known value.
    pub current: Option<String>,
    /// Wanted value.
    pub wanted: Option<String>,
}

/// What is wrong with one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// Not a path; the message names the character.
    BadPath,
    /// A path of the wrong kind (an object where a parameter is needed).
    WrongKind,
    /// The device does not have it.
    UnknownPath,
    /// It cannot be written.
    NotWritable,
    /// The value does not fit its type.
    BadValue,
    /// No rows can be added here.
    NotAddable,
    /// The row cannot be removed.
    NotDeletable,
    /// A mandatory argument is missing.
    MissingArgument,
    /// The command has no such argument.
    UnknownArgument,
    /// A subscription to changes that the device does not, or need not, report.
    Unheard,
    /// Given twice.
    Doubled,
    /// Over a limit.
    TooMuch,
    /// Nothing is asked.
    Empty,
}

/// A problem with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The path (or argument) it is about.
    pub path: String,
    /// What kind.
    pub trouble: Trouble,
    /// In words, precisely.
    pub message: String,
    /// The request is not accepted; otherwise it is a warning.
    pub blocks: bool,
}

/// What an operation would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Path by path.
    pub changes: Vec<Change>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

impl Plan {
    /// Nothing stands in the way.
    pub fn is_acceptable(&self) -> bool {
        !self.problems.iter().any(|p| p.blocks)
    }

    fn blocked(&mut self, path: &str, trouble: Trouble, message: impl Into<String>) {
        self.problem(path, trouble, message, true);
    }

    fn warned(&mut self, path: &str, trouble: Trouble, message: impl Into<String>) {
        self.problem(path, trouble, message, false);
    }

    fn problem(&mut self, path: &str, trouble: Trouble, message: impl Into<String>, blocks: bool) {
        let path = path.chars().take(crate::limits::PATH_BYTES_MAX).collect();
        self.problems.push(Problem {
            path,
            trouble,
            message: message.into(),
            blocks,
        });
    }

    fn change(&mut self, path: &str, effect: Effect) {
        let (current, wanted) = (None, None);
        self.changes.push(Change {
            path: path.to_owned(),
            effect,
            current,
            wanted,
        });
    }
}

/// Says what a request would do.
pub fn plan(request: &Request, context: &Context<'_>) -> Plan {
    let mut plan = Plan::default();
    if check::size(request, &mut plan) {
        match request {
            Request::Get { paths, .. } => {
                for path in paths {
                    check::read(path, context, &mut plan);
                }
            }
            Request::Set { values, .. } => {
                for (at, value) in values.iter().enumerate() {
                    if values[..at].iter().any(|v| v.path == value.path) {
                        plan.blocked(&value.path, Trouble::Doubled, "it is given twice");
                    } else {
                        check::set(&value.path, &value.value, context, &mut plan);
                    }
                }
                reports::set(values, context, &mut plan);
            }
            Request::Add { object, values } => {
                check::add(object, values, context, &mut plan);
                reports::add(object, values, context, &mut plan);
            }
            Request::Delete { paths, .. } => {
                for path in paths {
                    check::delete(path, context, &mut plan);
                }
            }
            Request::Operate { command, args } => {
                check::operate(command, args, context, &mut plan);
            }
            Request::Discover { path } => check::discover(path, &mut plan),
        }
    }
    plan
}

/// A parameter that reads as empty for everybody: passwords and keys.
pub fn is_secured(path: &str) -> bool {
    definition(dm::Schema::tr181(), path).is_some_and(|p| p.secured || p.hidden)
}

/// Whether the published model has this parameter.
pub(crate) fn is_published(path: &str) -> bool {
    definition(dm::Schema::tr181(), path).is_some()
}

/// Whether two texts are one value of this parameter, by its published type.
pub(crate) fn same_typed(path: &str, a: &str, b: &str) -> bool {
    definition(dm::Schema::tr181(), path).is_some_and(|p| p.ty.same(a, b))
}

/// The schema; for a gateway's own path the one that has it.
fn publishing<'a>(schema: &'a dm::Schema, path: &str) -> &'a dm::Schema {
    match path.starts_with(dm::mapping::GATEWAY_ROOT) {
        true => dm::Schema::tr098(),
        false => schema,
    }
}

fn definition<'a>(schema: &'a dm::Schema, path: &str) -> Option<&'a dm::ParamDef> {
    let schema = publishing(schema, path);
    let (object, name) = crate::model::split(path)?;
    schema.object(&crate::model::supported(object))?.param(name)
}
