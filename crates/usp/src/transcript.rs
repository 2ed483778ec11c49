//! Records and messages as text that people read: for an operation's transcript and for tests.
//! Deliberately lossless only for what people look for, and deliberately without masking: values
//! may be secrets, and only the caller knows which.

use std::fmt::{self, Write};

use crate::codec;
use crate::msg::*;
use crate::record::{PayloadSecurity, Record, RecordType, SarState, SessionContextRecord};

/// One line for the record and an indented line for each thing in its message.
pub fn record(record: &Record) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    _ = match &record.record_type {
        RecordType::NoSessionContext(content) => match codec::decode_msg(&content.payload) {
            Ok(decoded) => return msg(&decoded),
            Err(error) => writeln!(out, "a message that cannot be read: {error}"),
        },
        RecordType::SessionContext(session) => return self::session(record, session),
        RecordType::WebsocketConnect(_) => writeln!(out, "connect (WebSocket)"),
        RecordType::UdsConnect(_) => writeln!(out, "connect (UNIX domain socket)"),
        RecordType::MqttConnect(connect) => {
            writeln!(out, "connect (MQTT, {})", connect.subscribed_topic)
        }
        RecordType::StompConnect(connect) => {
            writeln!(out, "connect (STOMP, {})", connect.subscribed_destination)
        }
        RecordType::Disconnect(disconnect) => {
            writeln!(
                out,
                "disconnect {} {}",
                disconnect.reason_code, disconnect.reason
            )
        }
    };
    out
}

/// One line for the numbers, then what is in it as far as that can be read.
fn session(record: &Record, session: &SessionContextRecord) -> String {
    let mut out = format!(
        "session context {}: #{}, expects #{}",
        session.session_id, session.sequence_id, session.expected_id
    );
    if session.retransmit_id != 0 {
        _ = write!(out, ", wants #{} again", session.retransmit_id);
    }
    let bytes: usize = session.payload.iter().map(Vec::len).sum();
    let whole = session.payload_sar_state == SarState::NONE;
    let plain = record.payload_security == PayloadSecurity::PLAINTEXT;
    match session.payload.as_slice() {
        _ if bytes == 0 => {}
        [payload] if whole && plain => {
            let text = match codec::decode_msg(payload) {
                Ok(decoded) => msg(&decoded),
                Err(_) => format!("{bytes} bytes"),
            };
            text.lines().for_each(|line| _ = write!(out, "\n  {line}"));
        }
        many => {
            let (message, piece) = (session.payload_sar_state, session.payloadrec_sar_state);
            _ = write!(
                out,
                "\n  {bytes} bytes in {}: message {message:?}, payload record {piece:?}",
                many.len()
            );
        }
    }
    out.push('\n');
    out
}

/// One line for the message and an indented line for each thing in it.
pub fn msg(msg: &Msg) -> String {
    let mut text = Text {
        out: String::new(),
        depth: 0,
    };
    let head = format!("{:?} {}", msg.body.msg_type(), msg.header.msg_id);
    text.node(head, |t| match &msg.body {
        Body::Request(request) => t.request(request),
        Body::Response(response) => t.response(response),
        Body::Error(error) => {
            t.line(failure(error.err_code, &error.err_msg));
            for at in &error.param_errs {
                t.line(format!(
                    "{}: {}",
                    at.param_path,
                    failure(at.err_code, &at.err_msg)
                ));
            }
        }
    });
    text.out
}

struct Text {
    out: String,
    depth: usize,
}

fn failure(code: u32, message: &str) -> String {
    format!("failed {code} {message}")
}

/// What follows a requested path.
fn status(code: u32, message: &str) -> String {
    if code == 0 {
        String::new()
    } else {
        format!(": {}", failure(code, message))
    }
}

impl Text {
    fn line(&mut self, line: impl fmt::Display) {
        let indent = self.depth * 2;
        _ = writeln!(self.out, "{:indent$}{line}", "");
    }

    fn node(&mut self, line: impl fmt::Display, children: impl FnOnce(&mut Self)) {
        self.line(line);
        self.depth += 1;
        children(self);
        self.depth -= 1;
    }

    fn map(&mut self, map: &Map) {
        for (name, value) in map.iter() {
            self.line(format!("{name} = {value}"));
        }
    }

    fn lines(&mut self, lines: &[String]) {
        for line in lines {
            self.line(line);
        }
    }

    fn flag(&mut self, set: bool, name: &str) {
        if set {
            self.line(format!("({name})"));
        }
    }

    fn settings(&mut self, path: &str, settings: &[ParamSetting]) {
        self.node(path, |t| {
            for setting in settings {
                let required = if setting.required { " (required)" } else { "" };
                t.line(format!("{} = {}{required}", setting.param, setting.value));
            }
        });
    }

    fn param_errs(&mut self, errors: &[ParameterError]) {
        for error in errors {
            self.line(format!(
                "{}: {}",
                error.param,
                failure(error.err_code, &error.err_msg)
            ));
        }
    }

    fn request(&mut self, request: &Request) {
        match request {
            Request::Get(get) => {
                self.flag(get.max_depth != 0, &format!("max_depth {}", get.max_depth));
                self.lines(&get.param_paths);
            }
            Request::GetSupportedDm(get) => {
                self.flag(get.first_level_only, "first_level_only");
                self.lines(&get.obj_paths);
            }
            Request::GetInstances(get) => {
                self.flag(get.first_level_only, "first_level_only");
                self.lines(&get.obj_paths);
            }
            Request::Set(set) => {
                self.flag(set.allow_partial, "allow_partial");
                set.update_objs
                    .iter()
                    .for_each(|o| self.settings(&o.obj_path, &o.param_settings));
            }
            Request::Add(add) => {
                self.flag(add.allow_partial, "allow_partial");
                add.create_objs
                    .iter()
                    .for_each(|o| self.settings(&o.obj_path, &o.param_settings));
            }
            Request::Delete(delete) => {
                self.flag(delete.allow_partial, "allow_partial");
                self.lines(&delete.obj_paths);
            }
            Request::Operate(operate) => {
                let quiet = if operate.send_resp {
                    ""
                } else {
                    " (no answer)"
                };
                let head = format!("{} [{}]{quiet}", operate.command, operate.command_key);
                self.node(head, |t| t.map(&operate.input_args));
            }
            Request::Notify(notify) => self.notify(notify),
            Request::GetSupportedProtocol(get) => {
                self.line(&get.controller_supported_protocol_versions)
            }
            Request::Register(register) => {
                self.flag(register.allow_partial, "allow_partial");
                register
                    .reg_paths
                    .iter()
                    .for_each(|path| self.line(&path.path));
            }
            Request::Deregister(deregister) => self.lines(&deregister.paths),
        }
    }

    fn notify(&mut self, notify: &Notify) {
        let quiet = if notify.send_resp { "" } else { " (no answer)" };
        self.line(format!("subscription `{}`{quiet}", notify.subscription_id));
        match &notify.notification {
            Notification::Event(event) => self.node(event.path(), |t| t.map(&event.params)),
            Notification::ValueChange(change) => {
                self.line(format!("{} = {}", change.param_path, change.param_value));
            }
            Notification::ObjCreation(creation) => {
                self.node(format!("created {}", creation.obj_path), |t| {
                    t.map(&creation.unique_keys)
                });
            }
            Notification::ObjDeletion(deletion) => {
                self.line(format!("deleted {}", deletion.obj_path))
            }
            Notification::OperComplete(complete) => {
                let head = format!(
                    "{}{} [{}]",
                    complete.obj_path, complete.command_name, complete.command_key
                );
                self.node(head, |t| match &complete.completion {
                    None => {}
                    Some(Completion::ReqOutputArgs(output)) => t.map(&output.output_args),
                    Some(Completion::CmdFailure(f)) => t.line(failure(f.err_code, &f.err_msg)),
                });
            }
            Notification::OnBoardReq(request) => self.line(format!(
                "on board: {} {} {}, speaks {}",
                request.oui,
                request.product_class,
                request.serial_number,
                request.agent_supported_protocol_versions
            )),
        }
    }

    fn response(&mut self, response: &Response) {
        match response {
            Response::GetResp(get) => get.req_path_results.iter().for_each(|requested| {
                let head = format!(
                    "{}{}",
                    requested.requested_path,
                    status(requested.err_code, &requested.err_msg)
                );
                self.node(head, |t| {
                    for resolved in &requested.resolved_path_results {
                        t.node(&resolved.resolved_path, |t| t.map(&resolved.result_params));
                    }
                });
            }),
            Response::GetSupportedDmResp(get) => get.req_obj_results.iter().for_each(|requested| {
                let head = format!(
                    "{}{}",
                    requested.req_obj_path,
                    status(requested.err_code, &requested.err_msg)
                );
                self.node(head, |t| {
                    requested
                        .supported_objs
                        .iter()
                        .for_each(|object| t.supported(object))
                });
            }),
            Response::GetInstancesResp(get) => get.req_path_results.iter().for_each(|requested| {
                let head = format!(
                    "{}{}",
                    requested.requested_path,
                    status(requested.err_code, &requested.err_msg)
                );
                self.node(head, |t| {
                    for row in &requested.curr_insts {
                        t.node(&row.instantiated_obj_path, |t| t.map(&row.unique_keys));
                    }
                });
            }),
            Response::OperateResp(operate) => operate.operation_results.iter().for_each(|result| {
                self.node(&result.executed_command, |t| match &result.operation_resp {
                    None => {}
                    Some(OperationResp::ReqOutputArgs(output)) => t.map(&output.output_args),
                    Some(OperationResp::ReqObjPath(row)) => t.line(format!("runs as {row}")),
                    Some(OperationResp::CmdFailure(f)) => t.line(failure(f.err_code, &f.err_msg)),
                });
            }),
            Response::NotifyResp(notify) => {
                self.line(format!("subscription `{}`", notify.subscription_id))
            }
            Response::GetSupportedProtocolResp(get) => {
                self.line(&get.agent_supported_protocol_versions)
            }
            Response::SetResp(set) => set
                .updated_obj_results
                .iter()
                .for_each(|result| self.updated(result)),
            Response::AddResp(add) => add
                .created_obj_results
                .iter()
                .for_each(|result| self.created(result)),
            Response::DeleteResp(delete) => delete
                .deleted_obj_results
                .iter()
                .for_each(|result| self.deleted(result)),
            Response::RegisterResp(register) => {
                register.registered_path_results.iter().for_each(|result| {
                    let outcome = match &result.oper_status {
                        RegisterStatus::OperSuccess(success) => {
                            format!("registered {}", success.registered_path)
                        }
                        RegisterStatus::OperFailure(f) => failure(f.err_code, &f.err_msg),
                    };
                    self.line(format!("{}: {outcome}", result.requested_path));
                })
            }
            Response::DeregisterResp(deregister) => deregister
                .deregistered_path_results
                .iter()
                .for_each(|result| {
                    let outcome = match &result.oper_status {
                        DeregisterStatus::OperSuccess(success) => {
                            format!("deregistered {}", success.deregistered_path.join(", "))
                        }
                        DeregisterStatus::OperFailure(f) => failure(f.err_code, &f.err_msg),
                    };
                    self.line(format!("{}: {outcome}", result.requested_path));
                }),
        }
    }

    fn supported(&mut self, object: &SupportedObjectResult) {
        self.node(
            format!("{} {:?}", object.supported_obj_path, object.access),
            |t| {
                for param in &object.supported_params {
                    t.line(format!(
                        "{} {:?} {:?}",
                        param.param_name, param.access, param.value_type
                    ));
                }
                for command in &object.supported_commands {
                    t.line(format!(
                        "{} {:?}",
                        command.command_name, command.command_type
                    ));
                }
                object
                    .supported_events
                    .iter()
                    .for_each(|event| t.line(&event.event_name));
            },
        );
    }

    fn updated(&mut self, result: &UpdatedObjectResult) {
        self.node(&result.requested_path, |t| match &result.oper_status {
            UpdateStatus::OperSuccess(success) => {
                for instance in &success.updated_inst_results {
                    t.node(&instance.affected_path, |t| {
                        t.map(&instance.updated_params);
                        t.param_errs(&instance.param_errs);
                    });
                }
            }
            UpdateStatus::OperFailure(f) => {
                t.line(failure(f.err_code, &f.err_msg));
                for instance in &f.updated_inst_failures {
                    t.node(&instance.affected_path, |t| {
                        t.param_errs(&instance.param_errs)
                    });
                }
            }
        });
    }

    fn created(&mut self, result: &CreatedObjectResult) {
        self.node(&result.requested_path, |t| match &result.oper_status {
            CreateStatus::OperSuccess(row) => {
                t.node(format!("created {}", row.instantiated_path), |t| {
                    t.map(&row.unique_keys);
                    t.param_errs(&row.param_errs);
                })
            }
            CreateStatus::OperFailure(f) => t.line(failure(f.err_code, &f.err_msg)),
        });
    }

    fn deleted(&mut self, result: &DeletedObjectResult) {
        self.node(&result.requested_path, |t| match &result.oper_status {
            DeleteStatus::OperSuccess(success) => {
                success
                    .affected_paths
                    .iter()
                    .for_each(|path| t.line(format!("deleted {path}")));
                for error in &success.unaffected_path_errs {
                    t.line(format!(
                        "{}: {}",
                        error.unaffected_path,
                        failure(error.err_code, &error.err_msg)
                    ));
                }
            }
            DeleteStatus::OperFailure(f) => t.line(failure(f.err_code, &f.err_msg)),
        });
    }
}
