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
                self.begin_request(actor, &call).map(|id| (id, row))
            }
            done => {
                one.operation_resp = done;
                return one;
            }
        };
        one.operation_resp = Some(match begun {
            Ok((id, row)) => {
                let wait = SERVICE_AGAIN_MIN;
                let look = (!self.is_told_of(service, ran)).then(|| now.at + wait);
                let run = Run {
                    service,
                    row,
                    look,
                    wait,
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

    /// Looks whether commands still run of which nobody would say that they have ended. Says when the next one is due.
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
        let Some(run) = self.services.runs.get_mut(&id) else {
            return;
        };
        let over = match &result {
            Ok(Response::GetResp(resp)) => resp.req_path_results.first().is_some_and(|one| {
                let object = one.resolved_path_results.first();
                match (one.err_code, object) {
                    (0, Some(row)) => row.result_params.get("Status").is_some_and(has_ended),
                    (0, None) => true,
                    (code, _) => lasts(code),
                }
            }),
            _ => false,
        };
        if over {
            let text = "the command has ended, and its service takes no subscription by which it would say how";
            self.complete(now, id, Err(Fault::command_failure(text)));
        } else {
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
}

fn failed(fault: Fault) -> OperationResp {
    OperationResp::CmdFailure(msg::CommandFailure {
        err_code: fault.code,
        err_msg: fault.message,
    })
}

/// `Status` of a row of the Request table.
fn has_ended(status: &str) -> bool {
    matches!(status, "Success" | "Error" | "Canceled")
}
