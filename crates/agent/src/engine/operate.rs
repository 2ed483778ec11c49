//! Operate: synchronous and asynchronous commands, the Request table, cancelling, and OperationComplete
//! (R-OPR.1 to R-OPR.7).

use dm::{CommandDef, CommandKind, PathKind};
use usp::proto::msg::{self, Notification};

use super::access::{Actor, Field, Right};
use super::notify::Kind;
use super::paths::split;
use super::{Engine, Filter, Held, REQUESTS, Target};
use crate::limits::{COMMAND_KEY_CHARS_MAX, REQUESTS_MAX};
use crate::{Call, CommandResult, Fault, Now, Outcome};

/// A row of the Request table: an asynchronous command that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Running {
    pub originator: String,
    pub command: String,
    pub command_key: String,
    pub status: &'static str,
}

impl Engine {
    pub(crate) fn operate(
        &mut self,
        now: Now,
        actor: &Actor,
        request: msg::Operate,
    ) -> Result<msg::OperateResp, Fault> {
        if request.command_key.chars().count() > COMMAND_KEY_CHARS_MAX {
            return Err(Fault::invalid_arguments(format!(
                "a command key has at most {COMMAND_KEY_CHARS_MAX} characters"
            )));
        }
        let path = self.parse(&request.command)?;
        if path.kind() != PathKind::Command {
            return Err(Fault::invalid_path(format!("{path} is not a command")));
        }
        self.supported(&path)?;
        let name = path.name();
        let missing = || Fault::object_does_not_exist(format!("{path} is not there"));
        let parent = path.parent().ok_or_else(missing)?;
        let Target::Objects(objects) = self.target(now, actor, Filter::None, &parent)? else {
            return Err(missing());
        };
        if objects.is_empty() && !path.is_search() {
            return Err(missing());
        }
        let mut operation_results = Vec::new();
        for object in objects {
            let command = format!("{object}{name}");
            let resp = match self.run(now, actor, &command, &request) {
                Ok(resp) => resp,
                // R-OPR.1: a failed command is not a failed message.
                Err(Fault { code, message }) => {
                    msg::OperationResp::CmdFailure(msg::CommandFailure {
                        err_code: code,
                        err_msg: message,
                    })
                }
            };
            operation_results.push(msg::OperationResult {
                executed_command: command,
                operation_resp: Some(resp),
            });
        }
        // Whether it is sent is the session's business (R-OPR.4).
        Ok(msg::OperateResp { operation_results })
    }

    fn run(
        &mut self,
        now: Now,
        actor: &Actor,
        command: &str,
        request: &msg::Operate,
    ) -> Result<msg::OperationResp, Fault> {
        if !actor.allows(Field::CommandEvent, Right::Execute, command) {
            return Err(Fault::permission_denied(format!(
                "your role may not run {command}"
            )));
        }
        let (object, name) = split(command);
        let def = self.object_def(object).and_then(|def| def.command(name));
        let Some(def) = def else {
            return Err(Fault::invalid_path(format!("{command} is not supported")));
        };
        let args = check_args(def, request)?;
        let is_async = def.kind == CommandKind::Async;
        let mut call = Call {
            id: 0,
            command: command.to_owned(),
            command_key: request.command_key.clone(),
            args,
        };
        if is_async {
            call.id = self.begin_request(actor, &call)?;
        }
        let local = super::is_own(command) || command == "Device.ScheduleTimer()";
        let outcome = if local {
            self.local_operate(now, actor, &call)
        } else {
            self.backend_due = Some(now.at);
            let Engine {
                backend,
                state,
                schema,
                ..
            } = self;
            backend.operate(now, &call, &Held { schema, state })
        };
        let request_row = || msg::OperationResp::ReqObjPath(format!("{REQUESTS}{}.", call.id));
        match outcome {
            Outcome::Done(result) if is_async => {
                // The answer names the row; the result follows as OperationComplete.
                self.finished.push((call.id, result));
                Ok(request_row())
            }
            Outcome::Done(result) => output(result?),
            Outcome::Running if is_async => {
                self.set_status(now, call.id, "Active");
                Ok(request_row())
            }
            Outcome::Running => Err(Fault::internal("a synchronous command did not finish")),
            Outcome::Restart(restart) => {
                self.note_restart(restart);
                if is_async {
                    Ok(request_row())
                } else {
                    output(Vec::new())
                }
            }
        }
    }

    /// Makes the row in the Request table. (Originator, Command, CommandKey) is its unique key.
    pub(crate) fn begin_request(&mut self, actor: &Actor, call: &Call) -> Result<u32, Fault> {
        let originator = actor.controller.map_or(String::new(), |n| {
            self.held(&format!("{}{n}.EndpointID", super::CONTROLLERS))
        });
        if self.requests.len() >= REQUESTS_MAX {
            return Err(Fault::resources_exceeded(format!(
                "{REQUESTS_MAX} commands are running already"
            )));
        }
        let clash = self.requests.values().any(|running| {
            running.originator == originator
                && running.command == call.command
                && running.command_key == call.command_key
        });
        if clash {
            let text = format!(
                "{} with command key {:?} is still running",
                call.command, call.command_key
            );
            return Err(Fault::command_failure(text));
        }
        self.next_request = self.next_request.wrapping_add(1).max(1);
        let (command, command_key) = (call.command.clone(), call.command_key.clone());
        self.requests.insert(
            self.next_request,
            Running {
                originator,
                command,
                command_key,
                status: "Requested",
            },
        );
        Ok(self.next_request)
    }

    pub(crate) fn set_status(&mut self, now: Now, id: u32, status: &'static str) {
        if let Some(running) = self.requests.get_mut(&id) {
            running.status = status;
            self.value_changed(now, &format!("{REQUESTS}{id}.Status"));
        }
    }

    /// An asynchronous command ended: its row goes and OperationComplete is sent.
    pub(crate) fn complete(&mut self, now: Now, id: u32, result: CommandResult) {
        let Some(running) = self.requests.remove(&id) else {
            return;
        };
        let completion = match result {
            Ok(outputs) => msg::Completion::ReqOutputArgs(msg::OutputArgs {
                output_args: outputs.into_iter().collect(),
            }),
            Err(fault) => msg::Completion::CmdFailure(msg::CommandFailure {
                err_code: fault.code,
                err_msg: fault.message,
            }),
        };
        let (object, name) = split(&running.command);
        let complete = msg::OperationComplete {
            obj_path: object.to_owned(),
            command_name: name.to_owned(),
            command_key: running.command_key.clone(),
            completion: Some(completion),
        };
        self.notify_subscribers(
            now,
            Kind::OperationComplete,
            &running.command,
            |_, actor| {
                let right = actor.allows(Field::CommandEvent, Right::Notify, &running.command);
                right.then(|| Notification::OperComplete(complete.clone()))
            },
        );
        self.forget_timer(id);
        self.forget_run(id);
    }

    /// `Request.{i}.Cancel()`.
    pub(crate) fn cancel(&mut self, now: Now, id: u32) -> CommandResult {
        let Some(running) = self.requests.get(&id) else {
            return Err(Fault::object_does_not_exist("the request is over already"));
        };
        let local = running.command == "Device.ScheduleTimer()";
        if self.cancel_in_service(now, id) {
            return Ok(Vec::new());
        }
        self.backend_due = Some(now.at);
        if !local && !self.backend.cancel(id) {
            return Err(Fault::command_failure(
                "the command cannot be cancelled any more",
            ));
        }
        self.set_status(now, id, "Canceled");
        self.finished.push((
            id,
            Err(Fault::command_canceled("cancelled by a controller")),
        ));
        Ok(Vec::new())
    }
}

fn output(outputs: Vec<(String, String)>) -> Result<msg::OperationResp, Fault> {
    Ok(msg::OperationResp::ReqOutputArgs(msg::OutputArgs {
        output_args: outputs.into_iter().collect(),
    }))
}

/// R-OPR.5 to R-OPR.7: mandatory ones must be there, unknown ones are ignored, defaults fill the rest.
fn check_args(def: &CommandDef, request: &msg::Operate) -> Result<Vec<(String, String)>, Fault> {
    let mut args = Vec::new();
    for (name, value) in request.input_args.iter() {
        let Some(arg) = def.input(name) else { continue };
        let normal = arg.ty.check(value).and_then(|()| arg.ty.normalise(value));
        let normal =
            normal.map_err(|error| Fault::invalid_command_arguments(format!("{name}: {error}")))?;
        args.push((name.to_owned(), normal));
    }
    for arg in &def.inputs {
        let given = || {
            args.iter()
                .any(|(name, _)| dm::path::supported_text(name) == *arg.name)
        };
        if arg.mandatory && !arg.name.ends_with('.') && !arg.name.contains("{i}") && !given() {
            return Err(Fault::invalid_command_arguments(format!(
                "the argument {} is missing",
                arg.name
            )));
        }
        if let Some(default) = &arg.default
            && !arg.name.contains("{i}")
            && !given()
        {
            args.push((arg.name.to_string(), default.value.to_string()));
        }
    }
    Ok(args)
}
