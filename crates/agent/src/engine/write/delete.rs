//! Delete (R-DEL.*): what does not exist is deleted already (R-DEL.2a).

use usp::UspError;
use usp::proto::msg;

use super::super::access::{Actor, Field, Right};
use super::super::paths::row;
use super::super::{Engine, Filter, Target};
use super::{refuse, to_error, too_many};
use crate::{Fault, Now};

impl Engine {
    pub(crate) fn delete(
        &mut self,
        now: Now,
        actor: &Actor,
        request: msg::Delete,
    ) -> Result<msg::DeleteResp, UspError> {
        too_many(request.obj_paths.len())?;
        let start = self.state.mark();
        let mut results = Vec::new();
        for requested_path in request.obj_paths {
            match self.delete_path(now, actor, &requested_path, request.allow_partial) {
                Ok(success) => results.push(msg::DeletedObjectResult {
                    requested_path,
                    oper_status: msg::DeleteStatus::OperSuccess(success),
                }),
                Err((_, fault)) if request.allow_partial => {
                    results.push(msg::DeletedObjectResult {
                        requested_path,
                        oper_status: msg::DeleteStatus::OperFailure(msg::OperationFailure {
                            err_code: fault.code,
                            err_msg: fault.message,
                        }),
                    })
                }
                Err((path, fault)) => {
                    self.state.rollback(start);
                    return Err(refuse(&fault.clone(), [(path, fault)]));
                }
            }
        }
        self.commit(now, actor.controller).map_err(to_error)?;
        Ok(msg::DeleteResp {
            deleted_obj_results: results,
        })
    }

    fn delete_path(
        &mut self,
        now: Now,
        actor: &Actor,
        requested: &str,
        allow_partial: bool,
    ) -> Result<msg::DeleteSuccess, (String, Fault)> {
        let here = |fault| (requested.to_owned(), fault);
        let path = self.object_path(requested).map_err(here)?;
        let objects = match self.target(now, actor, Filter::None, &path).map_err(here)? {
            Target::Objects(objects) => objects,
            Target::Tables(_) => {
                return Err(here(Fault::delete_failure(format!(
                    "{path} is a table: name a row of it, or all with *"
                ))));
            }
        };
        let searching = path.is_search();
        let supported = path.supported();
        let mut success = msg::DeleteSuccess::default();
        if objects.is_empty() && !supported.ends_with("{i}.") && !path.follows() {
            return Err(here(Fault::not_a_table(format!(
                "{path} is not a row of a table"
            ))));
        }
        for object in objects {
            let result = self.deletable(actor, &object);
            match result {
                Ok((table, number)) => {
                    self.state.remove(&table, number);
                    success.affected_paths.push(object);
                }
                Err(fault) if searching && allow_partial => {
                    success.unaffected_path_errs.push(msg::UnaffectedPathError {
                        unaffected_path: object,
                        err_code: fault.code,
                        err_msg: fault.message,
                    })
                }
                Err(fault) => return Err((object, fault)),
            }
        }
        Ok(success)
    }

    fn deletable(&self, actor: &Actor, object: &str) -> Result<(String, u32), Fault> {
        let Some((table, number)) = row(object) else {
            return Err(Fault::not_a_table(format!(
                "{object} is not a row of a table"
            )));
        };
        if !actor.allows(Field::InstantiatedObj, Right::Write, object) {
            return Err(Fault::permission_denied(format!(
                "your role may not delete {object}"
            )));
        }
        let access = self
            .table_def(table)
            .map(|def| def.access)
            .unwrap_or_default();
        if !access.can_delete() || !self.state.exists(table, number) {
            return Err(Fault::delete_failure(format!(
                "{object} belongs to the device itself"
            )));
        }
        Ok((table.to_owned(), number))
    }
}
