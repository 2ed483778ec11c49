//! What services answer, made fit for the controller that asked: what its role hides is left out, and so is what a
//! service says of paths that are not its own.

use std::sync::Arc;

use usp::proto::msg::{
    self, CurrInstance, OperationResp, OperationResult, ResolvedPathResult, Response,
    SupportedObjectResult,
};
use usp::{Map, UspError};

use super::super::access::{Actor, Field, Right};
use super::super::paths::split;
use super::super::{Effect, Engine};
use super::shape::{Answer, merge_get};
use super::{Ask, Job, Run, to_error};
use crate::limits::{ANSWER_VALUES_MAX, REQUESTS_MAX};
use crate::{Call, CommandResult, Fault, Now};

impl Engine {
    /// What a service was asked is answered, or will not be.
    pub fn service_answered(&mut self, now: Now, ask: u64, result: Result<Response, UspError>) {
        match self.services.asks.remove(&ask) {
            None | Some(Ask::Forget(_)) => {}
            Some(Ask::Describe(service, path)) => self.described(now, service, &path, result),
            Some(Ask::Leftover(service)) => self.clear_leftovers(service, result),
            Some(Ask::Subscribe(service, id)) => self.subscribed(now, service, &id, result),
            Some(Ask::Part(service, job, places)) => {
                if let Some(mut known) = self.services.jobs.remove(&job) {
                    known.open -= 1;
                    self.gather(now, &mut known, service, &places, result);
                    if known.open > 0 {
                        self.services.jobs.insert(job, known);
                    } else {
                        let result = match known.failed {
                            Some(error) => Err(error),
                            None => Ok(known.answer.finish()),
                        };
                        let result = Box::new(result);
                        self.effects.push_back(Effect::Answer { job, result });
                    }
                }
            }
        }
    }

    /// Takes a part into the answer.
    fn gather(
        &mut self,
        now: Now,
        job: &mut Job,
        service: u32,
        places: &[usize],
        result: Result<Response, UspError>,
    ) {
        let response = match result {
            Ok(response) => response,
            Err(error) if job.whole => {
                job.failed = Some(error);
                return;
            }
            Err(error) => {
                let fault = Fault {
                    code: error.code.0,
                    message: error.message,
                };
                for place in places {
                    job.answer.fail(*place, &job.requested[*place], &fault);
                }
                return;
            }
        };
        let actor = job.actor.clone();
        let requested = &job.requested;
        // Its place by what it says it was asked for; a service that answers something else has not answered.
        let place = |path: &str| places.iter().copied().find(|n| requested[*n] == path);
        match (&mut job.answer, response) {
            (Answer::Get(all), Response::GetResp(resp)) => {
                let mut results = resp.req_path_results.into_iter();
                for place in places {
                    let one = match results.next() {
                        Some(one) => self.seen(&actor, service, &requested[*place], one),
                        None => silent(&requested[*place]),
                    };
                    merge_get(&mut all[*place], one);
                }
            }
            (Answer::Instances(all), Response::GetInstancesResp(resp)) => {
                let mut results = resp.req_path_results.into_iter();
                for place in places {
                    let requested_path = requested[*place].clone();
                    let mut one = results.next().unwrap_or_default();
                    one.curr_insts = self.seen_rows(&actor, service, one.curr_insts);
                    all[*place] = Some(msg::InstancesPathResult {
                        requested_path,
                        ..one
                    });
                }
            }
            (Answer::Set(all), Response::SetResp(resp)) => {
                let results = resp.updated_obj_results.into_iter();
                all.extend(results.filter_map(|one| Some((place(&one.requested_path)?, one))));
            }
            (Answer::Add(all), Response::AddResp(resp)) => {
                for mut one in resp.created_obj_results {
                    let Some(place) = place(&one.requested_path) else {
                        continue;
                    };
                    if let msg::CreateStatus::OperSuccess(made) = &mut one.oper_status {
                        made.unique_keys =
                            readable(&actor, &made.instantiated_path, &made.unique_keys);
                    }
                    all.push((place, one));
                }
            }
            (Answer::Delete(all), Response::DeleteResp(resp)) => {
                let results = resp.deleted_obj_results.into_iter();
                all.extend(results.filter_map(|one| Some((place(&one.requested_path)?, one))));
            }
            (Answer::Operate(all), Response::OperateResp(resp)) => {
                for one in resp.operation_results {
                    let one = self.operated(now, &actor, service, &job.command_key, one);
                    all.push(one);
                }
            }
            _ => {
                let error = Fault::internal("the service answers something else");
                job.failed = Some(to_error(error));
            }
        }
    }

    fn owns(&self, service: u32, path: &str) -> bool {
        let known = self.services.by_number.get(&service);
        known.is_some_and(|known| known.owns(path))
    }

    /// R-GET.1, R-GET.4
    fn seen(
        &self,
        actor: &Actor,
        service: u32,
        requested: &str,
        mut one: msg::RequestedPathResult,
    ) -> msg::RequestedPathResult {
        let found = !one.resolved_path_results.is_empty();
        let mut left = ANSWER_VALUES_MAX;
        let objects = std::mem::take(&mut one.resolved_path_results).into_iter();
        let objects =
            objects.filter(|one| actor.allows(Field::Obj, Right::Read, &one.resolved_path));
        one.resolved_path_results = objects
            .filter_map(|object| {
                let path = object.resolved_path;
                let mut result_params = Map::new();
                for (name, value) in object.result_params.iter() {
                    let full = format!("{path}{name}");
                    if self.owns(service, &full)
                        && actor.allows(Field::Param, Right::Read, &full)
                        && left > 0
                    {
                        left -= 1;
                        result_params.push(name, value);
                    }
                }
                let shown = !result_params.is_empty() || self.owns(service, &path);
                shown.then_some(ResolvedPathResult {
                    resolved_path: path,
                    result_params,
                })
            })
            .collect();
        one.requested_path = requested.to_owned();
        let searching = dm::Path::parse(requested).is_ok_and(|path| path.is_search());
        if found && one.resolved_path_results.is_empty() && !searching {
            one.err_code = Fault::invalid_path("").code;
            one.err_msg = format!("{requested} does not exist");
        }
        one
    }

    /// R-GIN.0, R-GIN.1
    fn seen_rows(&self, actor: &Actor, service: u32, rows: Vec<CurrInstance>) -> Vec<CurrInstance> {
        let rows = rows.into_iter().filter(|row| {
            let path = &row.instantiated_obj_path;
            self.owns(service, path) && actor.allows(Field::InstantiatedObj, Right::Read, path)
        });
        rows.map(|row| CurrInstance {
            unique_keys: readable(actor, &row.instantiated_obj_path, &row.unique_keys),
            ..row
        })
        .collect()
    }

    /// A command has run, or begun: then it has a row here, too, because a controller knows no other table.
    fn operated(
        &mut self,
        now: Now,
        actor: &Arc<Actor>,
        service: u32,
        command_key: &str,
        mut one: OperationResult,
    ) -> OperationResult {
        let Some(OperationResp::ReqObjPath(row)) = &one.operation_resp else {
            return one;
        };
        let call = Call {
            id: 0,
            command: one.executed_command.clone(),
            command_key: command_key.to_owned(),
            args: Vec::new(),
        };
        let row = row.clone();
        let begun = match self.owns(service, &call.command) {
            true => self.begin_request(actor, &call),
            false => Err(Fault::internal("the service ran something else")),
        };
        one.operation_resp = Some(match begun {
            Ok(id) => {
                self.services.runs.insert(id, Run { service, row });
                self.set_status(now, id, "Active");
                OperationResp::ReqObjPath(format!("{}{id}.", super::super::REQUESTS))
            }
            Err(fault) => OperationResp::CmdFailure(msg::CommandFailure {
                err_code: fault.code,
                err_msg: fault.message,
            }),
        });
        one
    }

    /// Can the command have a row when it turns out that it takes a while?
    pub(super) fn may_begin(&self, command: &str, command_key: &str) -> Result<(), Fault> {
        let mut all = self.requests.values();
        if all.any(|known| known.command == command && known.command_key == command_key) {
            let text = format!("{command} with command key {command_key:?} is still running");
            return Err(Fault::command_failure(text));
        }
        if self.requests.len() >= REQUESTS_MAX {
            let text = format!("{REQUESTS_MAX} commands are running already");
            return Err(Fault::resources_exceeded(text));
        }
        Ok(())
    }

    /// A service says that a command has ended; `false` when it is none that a controller runs there.
    pub(super) fn service_completed(
        &mut self,
        now: Now,
        service: u32,
        complete: &msg::OperationComplete,
    ) -> bool {
        let command = format!("{}{}", complete.obj_path, complete.command_name);
        let requests = &self.requests;
        let mut runs = self.services.runs.iter();
        let run = runs.find(|(id, run)| {
            run.service == service
                && requests.get(id).is_some_and(|known| {
                    known.command == command && known.command_key == complete.command_key
                })
        });
        let Some(id) = run.map(|(id, _)| *id) else {
            return false;
        };
        let result: CommandResult = match &complete.completion {
            Some(msg::Completion::CmdFailure(failure)) => Err(Fault {
                code: failure.err_code,
                message: failure.err_msg.clone(),
            }),
            Some(msg::Completion::ReqOutputArgs(outputs)) => {
                let args = outputs.output_args.iter();
                Ok(args.map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
            }
            None => Ok(Vec::new()),
        };
        self.complete(now, id, result);
        true
    }

    /// `Request.{i}.Cancel()` of a command in a service: it is asked to, and its completion says what came of it.
    pub(crate) fn cancel_in_service(&mut self, now: Now, id: u32) -> bool {
        let Some(run) = self.services.runs.get(&id) else {
            return false;
        };
        let command = format!("{}Cancel()", run.row);
        let request = usp::msg::operate(command, "", Map::new());
        self.ask_service(Ask::Forget(run.service), request.into());
        self.set_status(now, id, "Canceling");
        true
    }

    /// A row of the Request table has gone.
    pub(crate) fn forget_run(&mut self, id: u32) {
        self.services.runs.remove(&id);
    }

    /// What services have at or below a path of the supported model, as a role may see it; `None`: not theirs.
    pub(crate) fn services_describe(
        &self,
        actor: &Actor,
        path: &dm::Path,
        first_level_only: bool,
    ) -> Option<Vec<SupportedObjectResult>> {
        let text = path.supported();
        let mine = self.services.owner(path.as_str()).is_some();
        if path.kind() != dm::PathKind::Object {
            return mine.then(|| {
                let (object, name) = split(&text);
                let found = self.service_objects(actor, object, true);
                found
                    .into_iter()
                    .filter_map(|mut one| {
                        one.supported_params.retain(|p| p.param_name == name);
                        one.supported_commands.retain(|c| c.command_name == name);
                        one.supported_events.retain(|e| e.event_name == name);
                        (super::super::supported::elements(&one) > 1).then_some(one)
                    })
                    .collect()
            });
        }
        let mut found = self.service_objects(actor, &text, false);
        if mine && found.is_empty() {
            // A table as such is described by its rows.
            found = self.service_objects(actor, &format!("{text}{{i}}."), false);
        }
        let base = match found.first() {
            Some(first) if mine => first.supported_obj_path.clone(),
            _ => text,
        };
        if first_level_only {
            found.retain_mut(|one| {
                let below = one.supported_obj_path.strip_prefix(&base).unwrap_or("");
                let below = below.strip_suffix("{i}.").unwrap_or(below);
                if !below.is_empty() {
                    one.supported_params.clear();
                    one.supported_commands.clear();
                    one.supported_events.clear();
                    one.unique_key_sets.clear();
                }
                below.matches('.').count() <= 1
            });
        }
        (mine || !found.is_empty()).then_some(found)
    }

    fn service_objects(
        &self,
        actor: &Actor,
        prefix: &str,
        alone: bool,
    ) -> Vec<SupportedObjectResult> {
        let shown = self.services.by_number.values();
        let all = shown.flat_map(|service| &service.objects);
        let wanted = all.filter(|one| match alone {
            true => one.supported_obj_path == prefix,
            false => one.supported_obj_path.starts_with(prefix),
        });
        wanted
            .filter(|one| actor.allows(Field::Obj, Right::Read, &one.supported_obj_path))
            .map(|one| {
                let mut one = one.clone();
                let base = one.supported_obj_path.clone();
                let may =
                    |field, name: &str| actor.allows(field, Right::Read, &format!("{base}{name}"));
                one.supported_params
                    .retain(|param| may(Field::Param, &param.param_name));
                one.supported_commands
                    .retain(|command| may(Field::CommandEvent, &command.command_name));
                one.supported_events
                    .retain(|event| may(Field::CommandEvent, &event.event_name));
                one
            })
            .collect()
    }

    /// Does a service describe this? `None`: it is no service's.
    pub(crate) fn service_supports(&self, path: &dm::Path) -> Option<bool> {
        let service = self.services.owner(path.as_str())?;
        let objects = &self.services.by_number.get(&service)?.objects;
        let text = path.supported();
        let (object, name) = match path.kind() {
            dm::PathKind::Object => (text.as_str(), ""),
            _ => split(&text),
        };
        let same = |one: &&SupportedObjectResult| {
            let of_row = one.supported_obj_path.strip_suffix("{i}.");
            one.supported_obj_path == object || name.is_empty() && of_row == Some(object)
        };
        // An object has as many descriptions as elements of it were registered by themselves.
        let mut found = objects.iter().filter(same);
        Some(found.any(|one| match path.kind() {
            dm::PathKind::Object => true,
            dm::PathKind::Parameter => one.supported_params.iter().any(|p| p.param_name == name),
            dm::PathKind::Command => {
                let mut all = one.supported_commands.iter();
                all.any(|c| c.command_name == name)
            }
            dm::PathKind::Event => one.supported_events.iter().any(|e| e.event_name == name),
        }))
    }
}

fn silent(requested: &str) -> msg::RequestedPathResult {
    let fault = Fault::internal("the service did not answer for this path");
    msg::RequestedPathResult {
        requested_path: requested.to_owned(),
        err_code: fault.code,
        err_msg: fault.message,
        ..Default::default()
    }
}

/// The unique keys of a row that a role may read (R-ADD.6).
pub(super) fn readable(actor: &Actor, object: &str, keys: &Map) -> Map {
    let mut out = Map::new();
    for (name, value) in keys.iter() {
        if actor.allows(Field::Param, Right::Read, &format!("{object}{name}")) {
            out.push(name, value);
        }
    }
    out
}
