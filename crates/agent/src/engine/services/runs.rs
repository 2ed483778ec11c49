//! Commands that take a while in a service: each has a row in this agent's own Request table, because a controller knows
//! no other, and that row ends whatever the service says or does not say.

use std::sync::Arc;
use std::time::Instant;

use dm::Path;
use dm::path::supported_text;
use usp::proto::msg::{self, Notify, OperationResp, OperationResult, Response};
use usp::{Map, UspError};

use super::super::Engine;
use super::super::access::Actor;
use super::super::notify::Kind;
use super::super::paths::Pattern;
use super::again::lasts;
use super::answer::not_its_own;
use super::shape::{Answer, silent};
use super::{Ask, Row, Run};
use crate::limits::{REQUESTS_MAX, SERVICE_AGAIN_MAX, SERVICE_AGAIN_MIN};
use crate::{Call, CommandResult, Fault, Now};

impl Engine {
    /// A command has run, or begun: then it has a row here, too, because a controller knows no other table.
    pub(super) fn operated(
        &mut self,
        now: Now,
        actor: &Arc<Actor>,
        service: u32,
        command_key: &str,
        command: &Path,
        mut one: OperationResult,
    ) -> OperationResult {
        let ran = &one.executed_command;
        let fits = match command.is_search() {
            true => supported_text(ran) == command.supported(),
            false => ran == command.as_str(),
        };
        if !fits || !self.owns(service, ran) {
            return OperationResult {
                executed_command: command.as_str().to_owned(),
                operation_resp: Some(failed(not_its_own())),
            };
        }
        let begun = match one.operation_resp.take() {
            None => Err(silent(ran)),
            Some(OperationResp::ReqObjPath(row)) => {
                let call = Call {
                    id: 0,
                    command: ran.clone(),
                    command_key: command_key.to_owned(),
                    args: Vec::new(),
                };
                let begun = self.begin_request(actor, &call).map(|id| (id, row));
                begun.map_err(|fault| Fault {
                    message: format!("{}; it runs in its service all the same", fault.message),
                    ..fault
                })
            }
            done => {
                one.operation_resp = done;
                return one;
            }
        };
        one.operation_resp = Some(match begun {
            Ok((id, row)) => {
                let wait = match self.is_told_of(service, ran) {
                    true => SERVICE_AGAIN_MAX,
                    false => SERVICE_AGAIN_MIN,
                };
                let run = Run {
                    service,
                    row,
                    look: Some(now.at + wait),
                    wait,
                    over: false,
                };
                self.services.runs.insert(id, run);
                self.set_status(now, id, "Active");
                OperationResp::ReqObjPath(format!("{}{id}.", super::super::REQUESTS))
            }
            Err(fault) => failed(fault),
        });
        one
    }

    /// Whether a subscription stands by which the service says how this command ends.
    fn is_told_of(&self, service: u32, command: &str) -> bool {
        let known = self.services.by_number.get(&service);
        let mut all = known.iter().flat_map(|known| known.subscriptions.values());
        all.any(|there| {
            there.kind == Kind::OperationComplete
                && matches!(there.row, Row::Is(_))
                && Pattern::simple(&there.reference).covers(command)
        })
    }

    /// Looks whether commands still run: their services may not say that they have ended, or it gets lost. Says when the
    /// next one is due.
    pub(super) fn look_at_runs(&mut self, now: Now) -> Option<Instant> {
        let mut due = Vec::new();
        for (id, run) in &mut self.services.runs {
            if run.look.is_some_and(|at| at <= now.at) {
                run.look = None;
                due.push((*id, run.service, run.row.clone()));
            }
        }
        for (id, service, row) in due {
            self.ask_service(Ask::Look(service, id), usp::msg::get([row]).into());
        }
        let runs = self.services.runs.values();
        runs.filter_map(|run| run.look).min()
    }

    /// The row of a command at its service.
    pub(super) fn looked(&mut self, now: Now, id: u32, result: Result<Response, UspError>) {
        let (Some(run), Some(known)) = (self.services.runs.get(&id), self.requests.get(&id)) else {
            return;
        };
        // What the service says itself comes with what the command gives out: it has time to.
        let may_be_told = !run.over && self.is_told_of(run.service, &known.command);
        let end = end(&result);
        let over = end.is_some();
        if let Some(end) = end.filter(|_| !may_be_told) {
            self.complete(now, id, end);
        } else if let Some(run) = self.services.runs.get_mut(&id) {
            run.over = over;
            run.wait = SERVICE_AGAIN_MAX.min(2 * run.wait);
            run.look = Some(now.at + run.wait);
        }
    }

    /// Nothing more will be heard of these commands.
    pub(super) fn end_runs(
        &mut self,
        now: Now,
        service: u32,
        why: &str,
        which: impl Fn(&str) -> bool,
    ) {
        let requests = &self.requests;
        let ended = |id: &u32| requests.get(id).is_some_and(|one| which(&one.command));
        let runs = self.services.runs.iter();
        let runs = runs.filter(|(id, run)| run.service == service && ended(id));
        let runs: Vec<u32> = runs.map(|(id, _)| *id).collect();
        for id in runs {
            self.complete(now, id, Err(Fault::command_failure(why)));
        }
    }

    /// Keeps the end of a command until it is said that it has begun; gives it back where nobody waits for that.
    pub(super) fn keep_early(&mut self, service: u32, notify: Notify) -> Option<Notify> {
        let msg::Notification::OperComplete(complete) = &notify.notification else {
            return Some(notify);
        };
        let asks = self.services.asks.values().filter_map(|ask| match ask {
            Ask::Part(of, job, _) if *of == service => Some(*job),
            _ => None,
        });
        let jobs: Vec<u64> = asks.collect();
        let mut jobs = jobs.into_iter();
        let waits = |job: &u64| {
            self.services.jobs.get(job).is_some_and(|job| {
                matches!(job.answer, Answer::Operate(_))
                    && job.command_key == complete.command_key
                    && job.early.len() < REQUESTS_MAX
            })
        };
        let Some(job) = jobs.find(waits) else {
            return Some(notify);
        };
        let job = self.services.jobs.get_mut(&job)?;
        job.early.push(notify);
        None
    }

    /// Can the command have a row when it turns out that it takes a while?
    pub(super) fn may_begin(&self, command: &str, command_key: &str) -> Result<(), Fault> {
        let path = self.parse(command)?;
        if self.is_sync(&path) {
            return Ok(());
        }
        // What a service has not answered yet may have begun.
        let jobs = self.services.jobs.values();
        let jobs = jobs.filter(|job| matches!(job.answer, Answer::Operate(_)));
        let asked = jobs.filter_map(|job| {
            let path = Path::parse(job.requested.first()?).ok()?;
            (!self.is_sync(&path)).then_some((path, &job.command_key))
        });
        let asked: Vec<(Path, &String)> = asked.collect();
        let same = |other: &Path| match path.is_search() || other.is_search() {
            true => path.supported() == other.supported(),
            false => path == *other,
        };
        let runs = self.requests.values().any(|known| {
            known.command_key == command_key
                && Path::parse(&known.command).is_ok_and(|other| same(&other))
        });
        let mut all = asked.iter();
        if runs || all.any(|(other, key)| *key == command_key && same(other)) {
            let text = format!("{command} with command key {command_key:?} is still running");
            return Err(Fault::command_failure(text));
        }
        if self.requests.len() + asked.len() >= REQUESTS_MAX {
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
        self.ask_service(Ask::Cancel(run.service, id), request.into());
        self.set_status(now, id, "Canceling");
        true
    }

    /// A service that does not cancel a command lets it run on.
    pub(super) fn cancel_answered(
        &mut self,
        now: Now,
        id: u32,
        result: Result<Response, UspError>,
    ) {
        let taken = match result {
            Ok(Response::OperateResp(resp)) => resp
                .operation_results
                .iter()
                .all(|one| !matches!(one.operation_resp, Some(OperationResp::CmdFailure(_)))),
            _ => false,
        };
        let known = self.requests.get(&id);
        if !taken && known.is_some_and(|known| known.status == "Canceling") {
            self.set_status(now, id, "Active");
        }
    }

    /// A row of the Request table has gone.
    pub(crate) fn forget_run(&mut self, id: u32) {
        self.services.runs.remove(&id);
    }
}

fn failed(fault: Fault) -> OperationResp {
    OperationResp::CmdFailure(msg::CommandFailure {
        err_code: fault.code,
        err_msg: fault.message,
    })
}

/// How a command has ended, by what its service answers for its row; `None`: it runs, or that is not known now.
fn end(row: &Result<Response, UspError>) -> Option<CommandResult> {
    let Ok(Response::GetResp(resp)) = row else {
        return None;
    };
    let failed = "the command has ended, and its service has not said how";
    let failed = || Some(Err(Fault::command_failure(failed)));
    let one = resp.req_path_results.first()?;
    match (one.err_code, one.resolved_path_results.first()) {
        (0, Some(row)) => match row.result_params.get("Status") {
            // What it has given out is nowhere to be read.
            Some("Success") => Some(Ok(Vec::new())),
            Some("Canceled") => Some(Err(Fault::command_canceled("its service has cancelled it"))),
            Some("Error") => failed(),
            _ => None,
        },
        (0, None) => failed(),
        (code, _) if lasts(code) => failed(),
        _ => None,
    }
}
