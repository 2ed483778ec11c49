//! Set (R-SET.*): one path is all or nothing, several are as `allow_partial` says.

use usp::UspError;
use usp::proto::msg;

use super::super::access::{Actor, Field, Right};
use super::super::{Engine, Filter, Target};
use super::{Failure, Forced, Touched, parameter_error, refuse, to_error, too_many};
use crate::{Fault, Now};

impl Engine {
    pub(crate) fn set(
        &mut self,
        now: Now,
        actor: &Actor,
        request: msg::Set,
    ) -> Result<msg::SetResp, UspError> {
        too_many(request.update_objs.len())?;
        let start = self.state.mark();
        let mut forced = Forced::new();
        let results = loop {
            let mut touched = Vec::new();
            let mut results = Vec::new();
            for (item, update) in request.update_objs.iter().enumerate() {
                let status = self.update(
                    now,
                    actor,
                    item,
                    update,
                    request.allow_partial,
                    &forced,
                    &mut touched,
                );
                match status {
                    Ok(oper_status) => results.push(msg::UpdatedObjectResult {
                        requested_path: update.obj_path.clone(),
                        oper_status,
                    }),
                    Err(error) => {
                        self.state.rollback(start);
                        return Err(error);
                    }
                }
            }
            if !self.recheck(
                now,
                start,
                &touched,
                |n| &request.update_objs[n].param_settings,
                &mut forced,
            ) {
                break results;
            }
        };
        self.commit(now, actor.controller).map_err(to_error)?;
        let mut response = msg::SetResp {
            updated_obj_results: results,
        };
        self.fill_updated_values(now, actor, &mut response);
        Ok(response)
    }

    #[expect(clippy::too_many_arguments, reason = "one step of the loop above")]
    fn update(
        &mut self,
        now: Now,
        actor: &Actor,
        item: usize,
        update: &msg::UpdateObject,
        allow_partial: bool,
        forced: &Forced,
        touched: &mut Vec<Touched>,
    ) -> Result<msg::UpdateStatus, UspError> {
        let failed = |fault: Fault| {
            if allow_partial {
                let (err_code, err_msg) = (fault.code, fault.message);
                Ok(msg::UpdateStatus::OperFailure(msg::UpdateFailure {
                    err_code,
                    err_msg,
                    ..Default::default()
                }))
            } else {
                Err(refuse(&fault, [(update.obj_path.clone(), fault.clone())]))
            }
        };
        let objects = match self.writable_objects(now, actor, &update.obj_path) {
            Ok(objects) => objects,
            Err(fault) => return failed(fault),
        };
        let mark = self.state.mark();
        let mut done = Vec::new();
        let mut failures: Vec<(String, Failure)> = Vec::new();
        for object in objects {
            match self.assign_all(
                now,
                actor,
                item,
                &object,
                &update.param_settings,
                false,
                forced,
            ) {
                Ok(applied) => {
                    touched.push(Touched {
                        item,
                        object: object.clone(),
                        created: false,
                    });
                    done.push((object, applied));
                }
                Err(failure) => failures.push((object, failure)),
            }
        }
        if failures.is_empty() {
            let updated_inst_results = done
                .into_iter()
                .map(|(affected_path, applied)| msg::UpdatedInstanceResult {
                    affected_path,
                    param_errs: applied.errors,
                    updated_params: applied.names.into_iter().map(|name| (name, "")).collect(),
                })
                .collect();
            return Ok(msg::UpdateStatus::OperSuccess(msg::UpdateSuccess {
                updated_inst_results,
            }));
        }
        // R-SET.2a: one path is all or nothing, however many objects it matches.
        self.state.rollback(mark);
        touched.retain(|touched| touched.item != item);
        let fault = failures[0].1.fault.clone();
        if !allow_partial {
            let errors = failures.into_iter().flat_map(|(object, failure)| {
                let whole = failure
                    .params
                    .is_empty()
                    .then(|| (object.clone(), failure.fault));
                whole.into_iter().chain(
                    failure
                        .params
                        .into_iter()
                        .map(move |(name, f)| (format!("{object}{name}"), f)),
                )
            });
            return Err(refuse(&fault, errors));
        }
        let updated_inst_failures = failures
            .into_iter()
            .map(|(affected_path, failure)| msg::UpdatedInstanceFailure {
                affected_path,
                param_errs: failure
                    .params
                    .into_iter()
                    .map(|(name, fault)| parameter_error(name, fault))
                    .collect(),
            })
            .collect();
        Ok(msg::UpdateStatus::OperFailure(msg::UpdateFailure {
            err_code: fault.code,
            err_msg: fault.message,
            updated_inst_failures,
        }))
    }

    /// R-SET.3: the values after the update, unreadable ones withheld.
    fn fill_updated_values(&self, now: Now, actor: &Actor, response: &mut msg::SetResp) {
        for result in &mut response.updated_obj_results {
            let msg::UpdateStatus::OperSuccess(success) = &mut result.oper_status else {
                continue;
            };
            for instance in &mut success.updated_inst_results {
                let names: Vec<String> = instance
                    .updated_params
                    .iter()
                    .map(|(name, _)| name.to_owned())
                    .collect();
                instance.updated_params = names
                    .into_iter()
                    .map(|name| {
                        let full = format!("{}{name}", instance.affected_path);
                        let readable = actor.allows(Field::Param, Right::Read, &full);
                        let value = if readable {
                            self.value_for(now, actor, &full)
                        } else {
                            None
                        };
                        (name, value.unwrap_or_default())
                    })
                    .collect();
            }
        }
    }

    /// The existing objects a Set means.
    fn writable_objects(
        &self,
        now: Now,
        actor: &Actor,
        requested: &str,
    ) -> Result<Vec<String>, Fault> {
        let path = self.object_path(requested)?;
        match self.target(now, actor, Filter::None, &path)? {
            Target::Tables(_) => Err(Fault::object_does_not_exist(format!(
                "{path} is a table: name a row of it, or all with *"
            ))),
            Target::Objects(objects) if objects.is_empty() && !path.is_search() => Err(
                Fault::object_does_not_exist(format!("{path} does not exist")),
            ),
            Target::Objects(objects) => Ok(objects),
        }
    }
}
