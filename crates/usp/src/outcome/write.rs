//! What the answers to Set, Add and Delete mean.
//! Deliberately without the Error message, which [`super::refusal`] reads: agents may use either.

use super::{Failure, Verdict, join, param_failures};
use crate::msg::{AddResp, CreateStatus, DeleteResp, DeleteStatus, Map, SetResp, UpdateStatus};

/// What a Set did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetOutcome {
    /// Objects that were written to.
    pub affected: Vec<String>,
    /// Values after the update by full path; write-only ones are withheld (R-SET.3).
    pub written: Vec<(String, String)>,
    /// What failed: whole paths, and parameters of objects that otherwise succeeded.
    pub failures: Vec<Failure>,
    /// Search paths that matched nothing, which is not a failure (R-MSG.4a).
    pub unmatched: Vec<String>,
}

impl SetOutcome {
    /// Whether all of it happened.
    pub fn verdict(&self) -> Verdict {
        Verdict::of(!self.affected.is_empty(), &self.failures)
    }
}

/// Reads a SetResp.
pub fn set(response: &SetResp) -> SetOutcome {
    let mut out = SetOutcome::default();
    for result in &response.updated_obj_results {
        match &result.oper_status {
            UpdateStatus::OperSuccess(success) => {
                if success.updated_inst_results.is_empty() {
                    out.unmatched.push(result.requested_path.clone());
                }
                for instance in &success.updated_inst_results {
                    let object = instance.affected_path.as_str();
                    // An object of which every parameter failed was matched and not changed.
                    if !instance.updated_params.is_empty() || instance.param_errs.is_empty() {
                        out.affected.push(object.to_owned());
                    }
                    let full = |(name, value): (&str, &str)| (join(object, name), value.to_owned());
                    out.written.extend(instance.updated_params.iter().map(full));
                    out.failures
                        .extend(param_failures(object, &instance.param_errs));
                }
            }
            UpdateStatus::OperFailure(failure) => {
                let before = out.failures.len();
                for instance in &failure.updated_inst_failures {
                    out.failures.extend(param_failures(
                        &instance.affected_path,
                        &instance.param_errs,
                    ));
                }
                if out.failures.len() == before {
                    out.failures.push(Failure::new(
                        &*result.requested_path,
                        failure.err_code,
                        &*failure.err_msg,
                    ));
                }
            }
        }
    }
    out
}

/// A row that an Add created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The table, as requested.
    pub requested: String,
    /// The row.
    pub path: String,
    /// Its unique keys, as far as they may be read (R-ADD.6).
    pub keys: Map,
}

/// What an Add did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddOutcome {
    /// New rows. A search path gives several.
    pub created: Vec<Created>,
    /// What failed: rows, and parameters of rows that were created.
    pub failures: Vec<Failure>,
}

impl AddOutcome {
    /// Whether all of it happened.
    pub fn verdict(&self) -> Verdict {
        Verdict::of(!self.created.is_empty(), &self.failures)
    }
}

/// Reads an AddResp.
pub fn add(response: &AddResp) -> AddOutcome {
    let mut out = AddOutcome::default();
    for result in &response.created_obj_results {
        let requested = result.requested_path.clone();
        match &result.oper_status {
            CreateStatus::OperSuccess(row) => {
                out.failures
                    .extend(param_failures(&row.instantiated_path, &row.param_errs));
                let (path, keys) = (row.instantiated_path.clone(), row.unique_keys.clone());
                out.created.push(Created {
                    requested,
                    path,
                    keys,
                });
            }
            CreateStatus::OperFailure(failure) => {
                out.failures
                    .push(Failure::new(requested, failure.err_code, &*failure.err_msg));
            }
        }
    }
    out
}

/// What a Delete did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOutcome {
    /// Objects that are gone.
    pub deleted: Vec<String>,
    /// What failed: requested paths and single matches.
    pub failures: Vec<Failure>,
    /// Requested paths that matched nothing, which is not a failure (R-DEL.2a).
    pub unmatched: Vec<String>,
}

impl DeleteOutcome {
    /// Whether all of it happened.
    pub fn verdict(&self) -> Verdict {
        Verdict::of(!self.deleted.is_empty(), &self.failures)
    }
}

/// Reads a DeleteResp.
pub fn delete(response: &DeleteResp) -> DeleteOutcome {
    let mut out = DeleteOutcome::default();
    for result in &response.deleted_obj_results {
        match &result.oper_status {
            DeleteStatus::OperSuccess(success) => {
                if success.affected_paths.is_empty() && success.unaffected_path_errs.is_empty() {
                    out.unmatched.push(result.requested_path.clone());
                }
                out.deleted.extend(success.affected_paths.iter().cloned());
                let errors = success.unaffected_path_errs.iter();
                out.failures.extend(
                    errors.map(|e| Failure::new(&*e.unaffected_path, e.err_code, &*e.err_msg)),
                );
            }
            DeleteStatus::OperFailure(failure) => {
                out.failures.push(Failure::new(
                    &*result.requested_path,
                    failure.err_code,
                    &*failure.err_msg,
                ));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msg::{
        CreateSuccess, CreatedObjectResult, DeleteSuccess, DeletedObjectResult, OperationFailure,
        ParameterError, UnaffectedPathError, UpdateFailure, UpdateSuccess, UpdatedInstanceFailure,
        UpdatedInstanceResult, UpdatedObjectResult,
    };

    fn param_err(param: &str) -> ParameterError {
        ParameterError {
            param: param.into(),
            err_code: 7012,
            err_msg: "bad".into(),
        }
    }

    fn failure() -> OperationFailure {
        OperationFailure {
            err_code: 7016,
            err_msg: "gone".into(),
        }
    }

    fn updated(path: &str, status: UpdateStatus) -> UpdatedObjectResult {
        UpdatedObjectResult {
            requested_path: path.into(),
            oper_status: status,
        }
    }

    fn success(results: Vec<UpdatedInstanceResult>) -> UpdateStatus {
        UpdateStatus::OperSuccess(UpdateSuccess {
            updated_inst_results: results,
        })
    }

    #[test]
    fn a_set_that_succeeds_with_parameter_errors_is_partly() {
        let instance = UpdatedInstanceResult {
            affected_path: "Device.A.1.".into(),
            param_errs: vec![param_err("X")],
            updated_params: Map::from([("Y", "2")]),
        };
        let outcome = set(&SetResp {
            updated_obj_results: vec![updated("Device.A.*.", success(vec![instance]))],
        });
        assert_eq!(
            outcome.written,
            [("Device.A.1.Y".to_owned(), "2".to_owned())]
        );
        assert_eq!(
            outcome.failures,
            [Failure::new("Device.A.1.X", 7012, "bad")]
        );
        assert_eq!(outcome.verdict(), Verdict::Partly);
    }

    #[test]
    fn a_set_whose_only_parameter_failed_within_a_success_failed() {
        let instance = UpdatedInstanceResult {
            affected_path: "Device.A.1.".into(),
            param_errs: vec![param_err("X")],
            updated_params: Map::new(),
        };
        let outcome = set(&SetResp {
            updated_obj_results: vec![updated("Device.A.1.", success(vec![instance]))],
        });
        assert_eq!(outcome.verdict(), Verdict::Failed);
    }

    #[test]
    fn a_failed_set_names_its_parameters_where_it_can() {
        let named = UpdateFailure {
            err_code: 7021,
            err_msg: "required".into(),
            updated_inst_failures: vec![UpdatedInstanceFailure {
                affected_path: "Device.A.1.".into(),
                param_errs: vec![param_err("X")],
            }],
        };
        let plain = UpdateFailure {
            err_code: 7016,
            err_msg: "gone".into(),
            updated_inst_failures: Vec::new(),
        };
        let outcome = set(&SetResp {
            updated_obj_results: vec![
                updated("Device.A.1.", UpdateStatus::OperFailure(named)),
                updated("Device.B.1.", UpdateStatus::OperFailure(plain)),
            ],
        });
        let paths: Vec<_> = outcome
            .failures
            .iter()
            .map(|failure| failure.path.as_str())
            .collect();
        assert_eq!(paths, ["Device.A.1.X", "Device.B.1."]);
        assert_eq!(outcome.verdict(), Verdict::Failed);
    }

    #[test]
    fn a_search_without_a_match_succeeds() {
        let outcome = set(&SetResp {
            updated_obj_results: vec![updated("Device.A.*.", success(Vec::new()))],
        });
        assert_eq!(
            (outcome.verdict(), outcome.unmatched.len()),
            (Verdict::Succeeded, 1)
        );
        let nothing = DeleteStatus::OperSuccess(DeleteSuccess::default());
        let result = DeletedObjectResult {
            requested_path: "Device.A.9.".into(),
            oper_status: nothing,
        };
        let outcome = delete(&DeleteResp {
            deleted_obj_results: vec![result],
        });
        assert_eq!(
            (outcome.verdict(), outcome.unmatched),
            (Verdict::Succeeded, vec!["Device.A.9.".to_owned()])
        );
    }

    #[test]
    fn an_add_tells_rows_from_failures() {
        let row = CreateSuccess {
            instantiated_path: "Device.A.3.".into(),
            param_errs: vec![param_err("X")],
            unique_keys: Map::from([("Alias", "cpe-3")]),
        };
        let result = |status| CreatedObjectResult {
            requested_path: "Device.A.".into(),
            oper_status: status,
        };
        let outcome = add(&AddResp {
            created_obj_results: vec![
                result(CreateStatus::OperSuccess(row)),
                result(CreateStatus::OperFailure(failure())),
            ],
        });
        assert_eq!(outcome.created[0].path, "Device.A.3.");
        assert_eq!(outcome.created[0].keys.get("Alias"), Some("cpe-3"));
        let paths: Vec<_> = outcome
            .failures
            .iter()
            .map(|failure| failure.path.as_str())
            .collect();
        assert_eq!(paths, ["Device.A.3.X", "Device.A."]);
        assert_eq!(outcome.verdict(), Verdict::Partly);
    }

    #[test]
    fn a_delete_finds_what_was_left_over() {
        let some = DeleteSuccess {
            affected_paths: vec!["Device.A.1.".into()],
            unaffected_path_errs: vec![UnaffectedPathError {
                unaffected_path: "Device.A.2.".into(),
                err_code: 7024,
                err_msg: "in use".into(),
            }],
        };
        let result = |status| DeletedObjectResult {
            requested_path: "Device.A.*.".into(),
            oper_status: status,
        };
        let outcome = delete(&DeleteResp {
            deleted_obj_results: vec![result(DeleteStatus::OperSuccess(some))],
        });
        assert_eq!(
            outcome.failures,
            [Failure::new("Device.A.2.", 7024, "in use")]
        );
        assert_eq!(outcome.verdict(), Verdict::Partly);
        let outcome = delete(&DeleteResp {
            deleted_obj_results: vec![result(DeleteStatus::OperFailure(failure()))],
        });
        assert_eq!(outcome.verdict(), Verdict::Failed);
    }
}
