//! What became of an operation, path by path.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::OperationState;
use crate::limits;
use crate::southbound::{Fault, PathValue};

/// What became of one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum OutcomeState {
    /// Done, and seen to be done.
    Done,
    /// The device says it is done; it cannot be read back (a secret, a parameter that is not
    /// readable for us).
    Accepted,
    /// There was nothing to remove.
    Absent,
    /// The device says it is done, and reads back something else.
    Differs {
        /// What it reads.
        read: String,
    },
    /// Refused.
    Refused {
        /// Why.
        fault: Fault,
    },
    /// Nobody can tell.
    Unknown,
}

impl OutcomeState {
    /// Counts as done.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done | Self::Accepted | Self::Absent)
    }
}

/// One path and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathOutcome {
    /// The path: a parameter, a row, a command, or the requested path of a read.
    pub path: String,
    /// What became of it.
    #[serde(flatten)]
    pub state: OutcomeState,
    /// The device puts it in force when it starts again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub after_restart: bool,
}

impl PathOutcome {
    /// A path and its outcome.
    pub fn new(path: impl Into<String>, state: OutcomeState) -> Self {
        Self {
            path: path.into(),
            state,
            after_restart: false,
        }
    }
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Path by path.
    #[serde(default)]
    pub paths: Vec<PathOutcome>,
    /// Values before the change.
    #[serde(default)]
    pub before: Vec<PathValue>,
    /// Values read: after the change, or what a Get found.
    #[serde(default)]
    pub after: Vec<PathValue>,
    /// Output arguments of a command.
    #[serde(default)]
    pub outputs: BTreeMap<String, String>,
    /// The device's reason, when it refused the whole request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// In plain words, why it ended as it did or what it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// What is kept is for people: devices that show their secrets do not make us keep them.
fn masked(known: PathValue) -> PathValue {
    let value = crate::secret::shown(&known.path, known.value);
    PathValue::new(known.path, value)
}

impl Outcome {
    /// The state the paths amount to.
    pub fn verdict(&self) -> OperationState {
        let done = self.paths.iter().filter(|p| p.state.is_done()).count();
        let unknown = self.paths.iter().any(|p| p.state == OutcomeState::Unknown);
        if self.paths.is_empty() || (done == self.paths.len()) {
            OperationState::Succeeded
        } else if unknown {
            OperationState::Unconfirmed
        } else if done > 0 {
            OperationState::Partly
        } else {
            OperationState::Failed
        }
    }

    /// What is said of rows that were to be removed and were not there.
    pub(super) fn absent_words(&self) -> Option<String> {
        let absent = |p: &&PathOutcome| p.state == OutcomeState::Absent;
        let mut paths = self.paths.iter().filter(absent).map(|p| p.path.as_str());
        let first = paths.next()?;
        Some(match paths.count() {
            _ if self.paths.len() == 1 => "nothing was there".to_owned(),
            0 => format!("nothing was there at {first}"),
            more => format!("nothing was there at {first} and {more} more"),
        })
    }

    /// What is said of values that the device has taken, and puts in force later.
    pub(super) fn restart_words(&self) -> Option<String> {
        let later = self.paths.iter().filter(|p| p.after_restart);
        match later.count() {
            0 => None,
            all if all == self.paths.len() => Some("in force after a restart".to_owned()),
            _ => Some("some of it is in force after a restart".to_owned()),
        }
    }

    /// The device has taken it, and puts it in force later.
    pub(super) fn accept_for_later(&mut self, path: &str) {
        self.set(path, OutcomeState::Accepted);
        if let Some(known) = self.paths.iter_mut().find(|p| p.path == path) {
            known.after_restart = true;
        }
    }

    pub(super) fn keep_before(&mut self, values: impl IntoIterator<Item = PathValue>) {
        self.before = values
            .into_iter()
            .map(masked)
            .take(limits::OPERATION_VALUES_MAX)
            .collect();
    }

    pub(super) fn keep_after(&mut self, values: impl IntoIterator<Item = PathValue>) {
        self.after = values
            .into_iter()
            .map(masked)
            .take(limits::OPERATION_VALUES_MAX)
            .collect();
    }

    pub(super) fn keep_outputs(&mut self, outputs: BTreeMap<String, String>) {
        let outputs = outputs.into_iter().map(|(name, value)| {
            let value = crate::secret::shown(&name, value);
            (name, value)
        });
        self.outputs.extend(outputs);
    }

    pub(super) fn set(&mut self, path: &str, state: OutcomeState) {
        let full = self.paths.len() >= limits::OPERATION_OUTCOMES_MAX;
        match self.paths.iter_mut().find(|p| p.path == path) {
            Some(known) => known.state = state,
            // What was not done is never the part that is left out.
            None if full => {
                if !state.is_done()
                    && let Some(last) = self.paths.last_mut()
                {
                    *last = PathOutcome::new(path, state);
                }
            }
            None => self.paths.push(PathOutcome::new(path, state)),
        }
    }
}
