//! What services answer, made fit for the controller that asked: what its role hides is left out, and so is what a
//! service says of paths that are not its own.

use dm::Path;
use usp::proto::msg::{self, CurrInstance, ResolvedPathResult, Response};
use usp::{Map, UspError};

use super::super::access::{Actor, Field, Right};
use super::super::{Effect, Engine};
use super::route::Asked;
use super::shape::{Answer, Answered, merge_get, silent};
use super::{Ask, Job, to_error};
use crate::limits::ANSWER_VALUES_MAX;
use crate::{Fault, Now};

impl Engine {
    /// What a service was asked is answered, or will not be.
    pub fn service_answered(&mut self, now: Now, ask: u64, result: Result<Response, UspError>) {
        match self.services.asks.remove(&ask) {
            None | Some(Ask::Forget(_)) => {}
            Some(Ask::Describe(service, path)) => self.described(now, service, &path, result),
            Some(Ask::Leftover(service)) => self.clear_leftovers(service, result),
            Some(Ask::Subscribe(service, id)) => self.subscribed(now, service, &id, result),
            Some(Ask::Look(_, id)) => self.looked(now, id, result),
            Some(Ask::Cancel(_, id)) => self.cancel_answered(now, id, result),
            Some(Ask::Part(service, job, asked)) => {
                if let Some(mut known) = self.services.jobs.remove(&job) {
                    known.open -= 1;
                    self.gather(now, &mut known, service, &asked, result);
                    if known.open > 0 {
                        self.services.jobs.insert(job, known);
                    } else {
                        let result = match known.failed {
                            Some(error) => Err(error),
                            None => Ok(known.answer.finish()),
                        };
                        let result = Box::new(result);
                        self.effects.push_back(Effect::Answer { job, result });
                        for notify in known.early {
                            self.service_notified(now, service, notify);
                        }
                    }
                }
            }
        }
    }

    /// A service that was asked this says nothing of it, for this reason. What it was to change may be changed all the
    /// same.
    pub fn service_silent(&mut self, now: Now, ask: u64, why: &str) {
        let job = match self.services.asks.get(&ask) {
            Some(Ask::Part(_, job, _)) => self.services.jobs.get(job),
            _ => None,
        };
        let text = match job.is_some_and(|job| job.answer.changes()) {
            true => format!("{why}, and may have done it"),
            false => why.to_owned(),
        };
        self.service_answered(now, ask, Err(to_error(Fault::internal(text))));
    }

    /// Takes a part into the answer.
    fn gather(
        &mut self,
        now: Now,
        job: &mut Job,
        service: u32,
        asked: &Asked,
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
                // Who has asked for what is around it reads the rest, and nothing of this.
                tracing::info!(agent = %self.own, service, first = asked[0].1, %fault, "a service fails what controllers ask it");
                for (place, _) in asked {
                    job.answer.fail(*place, &job.requested[*place], &fault);
                }
                return;
            }
        };
        let actor = job.actor.clone();
        let requested = &job.requested;
        let mut failed = Vec::new();
        match (&mut job.answer, response) {
            (Answer::Get(all), Response::GetResp(resp)) => {
                let mut results = Answered::new(resp.req_path_results, |one| &one.requested_path);
                for (place, path) in asked {
                    match results.take(path) {
                        Ok(one) => {
                            let one = self.seen(&actor, service, &requested[*place], one);
                            merge_get(&mut all[*place], one);
                        }
                        Err(fault) => failed.push((*place, fault)),
                    }
                }
            }
            (Answer::Instances(all), Response::GetInstancesResp(resp)) => {
                let mut results = Answered::new(resp.req_path_results, |one| &one.requested_path);
                for (place, path) in asked {
                    match results.take(path) {
                        Ok(mut one) => {
                            one.curr_insts = self.seen_rows(&actor, service, one.curr_insts);
                            all[*place] = Some(one);
                        }
                        Err(fault) => failed.push((*place, fault)),
                    }
                }
            }
            (Answer::Set(all), Response::SetResp(resp)) => {
                let mut results =
                    Answered::new(resp.updated_obj_results, |one| &one.requested_path);
                for (place, path) in asked {
                    let one = results.take(path);
                    match one.and_then(|one| self.updated(service, one)) {
                        Ok(one) => all.push((*place, one)),
                        Err(fault) => failed.push((*place, fault)),
                    }
                }
            }
            (Answer::Add(all), Response::AddResp(resp)) => {
                let mut results =
                    Answered::new(resp.created_obj_results, |one| &one.requested_path);
                let mut take = |place: usize, one: Result<_, Fault>| match one
                    .and_then(|one| self.created(&actor, service, one))
                {
                    Ok(one) => all.push((place, one)),
                    Err(fault) => failed.push((place, fault)),
                };
                for (place, path) in asked {
                    take(*place, results.take(path));
                }
                // A search makes one in each table that it finds.
                for (place, path) in asked {
                    while let Ok(one) = results.take(path) {
                        take(*place, Ok(one));
                    }
                }
            }
            (Answer::Delete(all), Response::DeleteResp(resp)) => {
                let mut results =
                    Answered::new(resp.deleted_obj_results, |one| &one.requested_path);
                for (place, path) in asked {
                    let one = results.take(path);
                    match one.and_then(|one| self.deleted(service, one)) {
                        Ok(one) => all.push((*place, one)),
                        Err(fault) => failed.push((*place, fault)),
                    }
                }
            }
            (Answer::Operate(all), Response::OperateResp(resp)) => {
                // It was parsed before it was asked.
                let command = asked.first().and_then(|(_, one)| Path::parse(one).ok());
                let Some(command) = command else { return };
                if resp.operation_results.is_empty() && !command.is_search() {
                    failed.push((0, silent(command.as_str())));
                }
                for one in resp.operation_results {
                    let key = &job.command_key;
                    all.push(self.operated(now, &actor, service, key, &command, one));
                }
            }
            _ => {
                let error = Fault::internal("the service answers something else");
                job.failed = Some(to_error(error));
            }
        }
        // R-OPR.1: a failed command is not a failed message.
        let whole = job.whole && !matches!(job.answer, Answer::Operate(_));
        for (place, fault) in failed {
            match whole {
                true => job.failed = Some(to_error(fault)),
                false => job.answer.fail(place, &job.requested[place], &fault),
            }
        }
    }

    /// What a service says it has changed, if all of that is its own.
    fn updated(
        &self,
        service: u32,
        one: msg::UpdatedObjectResult,
    ) -> Result<msg::UpdatedObjectResult, Fault> {
        let msg::UpdateStatus::OperSuccess(success) = &one.oper_status else {
            return Ok(one);
        };
        let own = |object: &msg::UpdatedInstanceResult| {
            let path = &object.affected_path;
            let done = object.updated_params.iter().map(|(name, _)| name);
            let failed = object.param_errs.iter().map(|error| &*error.param);
            let mut names = done.chain(failed).peekable();
            // Of an object of another one it may have single parameters.
            self.owns(service, path)
                || names.peek().is_some()
                    && names.all(|name| self.owns(service, &format!("{path}{name}")))
        };
        match success.updated_inst_results.iter().all(own) {
            true => Ok(one),
            false => Err(not_its_own()),
        }
    }

    /// What it says it has made; the keys as a role may read them.
    fn created(
        &self,
        actor: &Actor,
        service: u32,
        mut one: msg::CreatedObjectResult,
    ) -> Result<msg::CreatedObjectResult, Fault> {
        if let msg::CreateStatus::OperSuccess(made) = &mut one.oper_status {
            let path = &made.instantiated_path;
            if !self.owns(service, path) {
                return Err(not_its_own());
            }
            made.unique_keys = readable(actor, path, &made.unique_keys);
        }
        Ok(one)
    }

    /// What it says it has deleted.
    fn deleted(
        &self,
        service: u32,
        one: msg::DeletedObjectResult,
    ) -> Result<msg::DeletedObjectResult, Fault> {
        if let msg::DeleteStatus::OperSuccess(gone) = &one.oper_status {
            let still = gone.unaffected_path_errs.iter();
            let mut all = still
                .map(|one| &one.unaffected_path)
                .chain(&gone.affected_paths);
            if !all.all(|path| self.owns(service, path)) {
                return Err(not_its_own());
            }
        }
        Ok(one)
    }

    pub(super) fn owns(&self, service: u32, path: &str) -> bool {
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
        let searching = Path::parse(requested).is_ok_and(|path| path.is_search());
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
}

pub(super) fn not_its_own() -> Fault {
    Fault::internal("the service speaks of what is not its own")
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
