//! What answers mean. "A Response is not a success": failures hide in the results of a Get, in
//! the statuses of a Set, Add or Delete, in parameters of an object that succeeded and in the
//! results of a command; and what is empty is not a failure.
//! Deliberately no judgement on what to do about it.

mod operate;
mod read;
mod write;

pub use operate::{Completion, OperateOutcome, Ran, completion, operate};
pub use read::{Instances, Supported, Values, instances, supported, values};
pub use write::{AddOutcome, Created, DeleteOutcome, SetOutcome, add, delete, set};

use crate::error::{ErrorCode, UspError};
use crate::msg::ParameterError;

/// Something that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {code}: {message}")]
pub struct Failure {
    /// Full path of what failed: a parameter where one is named, otherwise what was requested.
    pub path: String,
    /// Why.
    pub code: ErrorCode,
    /// Why, for people.
    pub message: String,
}

impl Failure {
    fn new(path: impl Into<String>, code: u32, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            code: ErrorCode(code),
            message: message.into(),
        }
    }
}

/// Whether what was asked for happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All of it.
    Succeeded,
    /// Some of it.
    Partly,
    /// None of it.
    Failed,
}

impl Verdict {
    fn of(anything_done: bool, failures: &[Failure]) -> Self {
        match (failures.is_empty(), anything_done) {
            (true, _) => Self::Succeeded,
            (false, true) => Self::Partly,
            (false, false) => Self::Failed,
        }
    }
}

/// What an Error message says, by path: agents answer a refused Set, Add or Delete in this form or
/// within a Response (R-SET.2a, R-DEL.1), and both have to be read. `requested` names the failure
/// where the agent names nothing.
pub fn refusal(error: &UspError, requested: &str) -> Vec<Failure> {
    if error.param_errs.is_empty() {
        return vec![Failure::new(requested, error.code.0, error.message.clone())];
    }
    let failure =
        |e: &crate::msg::ParamError| Failure::new(&*e.param_path, e.err_code, &*e.err_msg);
    error.param_errs.iter().map(failure).collect()
}

/// A full path from an object and a relative name. Agents that leave out the object's dot, or
/// give a full path for the name, are understood.
pub(crate) fn join(object: &str, name: &str) -> String {
    if !object.is_empty() && name.starts_with(object) {
        return name.to_owned();
    }
    let dot = if object.is_empty() || object.ends_with('.') {
        ""
    } else {
        "."
    };
    [object, dot, name].concat()
}

fn param_failures(object: &str, errors: &[ParameterError]) -> impl Iterator<Item = Failure> {
    errors
        .iter()
        .map(move |e| Failure::new(join(object, &e.param), e.err_code, &*e.err_msg))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_parameters_or_what_was_requested() {
        let plain = UspError::new(ErrorCode::REQUEST_DENIED, "no");
        assert_eq!(
            refusal(&plain, "Device.A."),
            [Failure::new("Device.A.", 7002, "no")]
        );
        let detailed = plain.at("Device.A.B", ErrorCode::INVALID_VALUE, "bad");
        assert_eq!(
            refusal(&detailed, "Device.A."),
            [Failure::new("Device.A.B", 7012, "bad")]
        );
    }

    #[test]
    fn names_are_joined_however_the_agent_writes_them() {
        for (object, name) in [
            ("Device.A.", "B"),
            ("Device.A", "B"),
            ("Device.A.", "Device.A.B"),
            ("", "Device.A.B"),
        ] {
            assert_eq!(join(object, name), "Device.A.B");
        }
    }
}
