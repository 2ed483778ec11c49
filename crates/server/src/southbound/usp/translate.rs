//! Between the domain's vocabulary and USP messages. Deciding nothing: what an answer means for an
//! operation is decided in `fleet`.

use std::collections::BTreeMap;

use fleet::model::{
    Model, ModelCommand, ModelEvent, ModelObject, ModelParam, ObjectAccess, ParamAccess,
};
use fleet::southbound::{
    AddResult, Answer, Boot, CommandOutcome, CommandResult, Created, DeleteResult, Failure, Fault,
    Notice, ObjectSettings, Op, PathValue, ReadResult, Row, Subscription, SubscriptionKind,
    WriteResult,
};
use fleet::{Protocol, secret};
use usp::msg::{self, Notification, ParamSetting, Request, Response};
use usp::outcome::{self, Ran};

use super::transcript;

/// The table of subscriptions.
pub const SUBSCRIPTIONS: &str = "Device.LocalAgent.Subscription.";

/// An op as the message that asks for it.
pub fn request(op: &Op) -> Request {
    match op {
        Op::Get { paths, max_depth } => msg::get_depth(paths.iter().cloned(), *max_depth).into(),
        Op::Instances {
            paths,
            first_level_only,
        } => msg::get_instances(paths.iter().cloned(), *first_level_only).into(),
        Op::Set {
            objects,
            allow_partial,
        } => msg::set(*allow_partial, objects.iter().map(settings)).into(),
        Op::Add {
            objects,
            allow_partial,
        } => msg::add(*allow_partial, objects.iter().map(settings)).into(),
        Op::Delete {
            paths,
            allow_partial,
        } => msg::delete(*allow_partial, paths.iter().cloned()).into(),
        Op::Operate { command, key, args } => {
            let args: usp::Map = args.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
            msg::operate(command.clone(), key.clone(), args).into()
        }
        Op::Discover {
            path,
            first_level_only,
        } => msg::get_supported_dm([path.clone()], *first_level_only).into(),
        Op::Subscribe { subscription } => msg::add(false, [subscribe(subscription)]).into(),
    }
}

fn settings(object: &ObjectSettings) -> msg::Settings {
    let setting = |s: &fleet::southbound::Setting| ParamSetting {
        param: s.name.clone(),
        value: s.value.clone(),
        required: s.required,
    };
    (
        object.object.clone(),
        object.settings.iter().map(setting).collect(),
    )
}

/// The row that makes a subscription. `Enable` is false and `Persistent` and `NotifRetry` are off
/// unless said; what survives a restart and arrives for sure is what we need.
pub fn subscribe(subscription: &Subscription) -> msg::Settings {
    let kind = match subscription.kind {
        SubscriptionKind::ValueChange => "ValueChange",
        SubscriptionKind::ObjectCreation => "ObjectCreation",
        SubscriptionKind::ObjectDeletion => "ObjectDeletion",
        SubscriptionKind::OperationComplete => "OperationComplete",
        SubscriptionKind::Event => "Event",
    };
    let values = vec![
        msg::required("Enable", "true"),
        msg::required("ID", subscription.id.as_str()),
        msg::required("NotifType", kind),
        msg::required("ReferenceList", subscription.paths.join(",")),
        msg::optional("Persistent", subscription.persistent.to_string()),
        msg::optional("NotifRetry", subscription.retry.to_string()),
    ];
    (SUBSCRIPTIONS.to_owned(), values)
}

/// What the device says of one thing that it did not do, without the secrets it was told.
struct Told<'a>(Vec<&'a str>);

impl Told<'_> {
    fn fault(&self, code: u32, message: &str) -> Fault {
        Fault::new(code, transcript::said(message, &self.0))
    }

    fn failure(&self, failure: &outcome::Failure) -> Fault {
        self.fault(failure.code.0, &failure.message)
    }
}

fn map(map: &usp::Map) -> BTreeMap<String, String> {
    map.iter()
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .collect()
}

/// An answer in the domain's words.
pub fn answer(op: &Op, response: Response) -> Result<Answer, Failure> {
    let told = Told(secret::told(op));
    Ok(match (op, response) {
        (Op::Get { .. }, Response::GetResp(r)) => Answer::Values(read(&told, &r)),
        (Op::Instances { .. }, Response::GetInstancesResp(r)) => Answer::Instances(rows(&told, r)),
        (Op::Set { .. }, Response::SetResp(r)) => {
            let set = outcome::set(&r);
            let written = set.written.into_iter().map(|(path, value)| WriteResult {
                path,
                result: Ok(Some(value)),
                after_restart: false,
            });
            let failed = set.failures.iter().map(|f| WriteResult {
                path: f.path.clone(),
                result: Err(told.failure(f)),
                after_restart: false,
            });
            Answer::Set(
                written
                    .collect::<Vec<_>>()
                    .into_iter()
                    .chain(failed)
                    .collect(),
            )
        }
        (Op::Add { .. }, Response::AddResp(r)) => Answer::Added(added(&told, &r)),
        (Op::Delete { .. }, Response::DeleteResp(r)) => Answer::Deleted(deleted(&told, &r)),
        (Op::Operate { .. }, Response::OperateResp(r)) => {
            let result = |(command, ran): (String, Ran)| CommandResult {
                command,
                outcome: match ran {
                    Ran::Done(outputs) => CommandOutcome::Done {
                        outputs: map(&outputs),
                    },
                    Ran::Started(request) => CommandOutcome::Accepted { request },
                    Ran::Failed(failure) => CommandOutcome::Failed {
                        fault: told.failure(&failure),
                    },
                },
            };
            Answer::Operated(
                outcome::operate(&r)
                    .commands
                    .into_iter()
                    .map(result)
                    .collect(),
            )
        }
        (Op::Discover { .. }, Response::GetSupportedDmResp(r)) => {
            Answer::Model(Box::new(model(outcome::supported(r))))
        }
        (Op::Subscribe { .. }, Response::AddResp(r)) => {
            let add = outcome::add(&r);
            match (add.created.into_iter().next(), add.failures.first()) {
                (Some(created), _) => Answer::Subscribed(created.path),
                (None, failure) => {
                    let fault = failure.map_or_else(
                        || Fault::ours(7003, "nothing was added"),
                        |failure| told.failure(failure),
                    );
                    return Err(Failure::Refused {
                        fault,
                        paths: Vec::new(),
                    });
                }
            }
        }
        (op, _) => {
            let reason = format!("the answer to a {} is of another kind", op.name());
            return Err(Failure::Garbled { reason });
        }
    })
}

/// An Error message in the domain's words, without the secrets that it answers.
pub fn refused(secrets: Vec<&str>, error: &usp::UspError) -> Failure {
    let told = Told(secrets);
    Failure::Refused {
        fault: told.fault(error.code.0, &error.message),
        paths: error
            .param_errs
            .iter()
            .map(|e| (e.param_path.clone(), told.fault(e.err_code, &e.err_msg)))
            .collect(),
    }
}

fn read(told: &Told<'_>, response: &msg::GetResp) -> Vec<ReadResult<PathValue>> {
    let one = |requested: &msg::RequestedPathResult| {
        let result = if requested.err_code != 0 {
            Err(told.fault(requested.err_code, &requested.err_msg))
        } else {
            // Both historic shapes: relative names may hold `Sub.Param` (before 1.2).
            Ok(requested
                .resolved_path_results
                .iter()
                .flat_map(|r| {
                    r.result_params
                        .iter()
                        .map(|(n, v)| PathValue::new(format!("{}{n}", r.resolved_path), v))
                })
                .collect())
        };
        ReadResult {
            requested: requested.requested_path.clone(),
            result,
        }
    };
    response.req_path_results.iter().map(one).collect()
}

fn rows(told: &Told<'_>, response: msg::GetInstancesResp) -> Vec<ReadResult<Row>> {
    let one = |requested: msg::InstancesPathResult| {
        let result = if requested.err_code != 0 {
            Err(told.fault(requested.err_code, &requested.err_msg))
        } else {
            Ok(requested
                .curr_insts
                .into_iter()
                .map(|i| Row {
                    path: i.instantiated_obj_path,
                    keys: map(&i.unique_keys),
                })
                .collect())
        };
        ReadResult {
            requested: requested.requested_path,
            result,
        }
    };
    response.req_path_results.into_iter().map(one).collect()
}

fn added(told: &Told<'_>, response: &msg::AddResp) -> Vec<AddResult> {
    let add = outcome::add(response);
    let mut failures = add.failures;
    let mut out: Vec<AddResult> = add
        .created
        .into_iter()
        .map(|created| {
            let mut faults = Vec::new();
            failures.retain(|f| match f.path.strip_prefix(&created.path) {
                Some(name) if !name.is_empty() => {
                    faults.push((name.to_owned(), told.failure(f)));
                    false
                }
                _ => true,
            });
            let keys = map(&created.keys);
            AddResult {
                requested: created.requested,
                result: Ok(Created {
                    path: created.path,
                    keys,
                    faults,
                    after_restart: false,
                }),
            }
        })
        .collect();
    out.extend(failures.iter().map(|f| AddResult {
        requested: f.path.clone(),
        result: Err(told.failure(f)),
    }));
    out
}

fn deleted(told: &Told<'_>, response: &msg::DeleteResp) -> Vec<DeleteResult> {
    use usp::msg::DeleteStatus;
    let one = |result: &msg::DeletedObjectResult| {
        let (done, faults) = match &result.oper_status {
            DeleteStatus::OperSuccess(ok) => (
                Ok(ok.affected_paths.clone()),
                ok.unaffected_path_errs
                    .iter()
                    .map(|e| {
                        (
                            e.unaffected_path.clone(),
                            told.fault(e.err_code, &e.err_msg),
                        )
                    })
                    .collect(),
            ),
            DeleteStatus::OperFailure(no) => {
                (Err(told.fault(no.err_code, &no.err_msg)), Vec::new())
            }
        };
        DeleteResult {
            requested: result.requested_path.clone(),
            result: done,
            faults,
            after_restart: Vec::new(),
        }
    };
    response.deleted_obj_results.iter().map(one).collect()
}

/// A GetSupportedDM answer as a model.
pub fn model(supported: outcome::Supported) -> Model {
    let mut out = Model::default();
    for failure in supported.failures {
        let fault = Told(Vec::new()).failure(&failure);
        out.gaps.push((failure.path, fault.to_string()));
    }
    for object in supported
        .objects
        .into_iter()
        .take(super::limits::MODEL_OBJECTS_MAX)
    {
        let access = match object.access {
            msg::ObjAccess::ADD_DELETE => ObjectAccess::AddDelete,
            msg::ObjAccess::ADD_ONLY => ObjectAccess::AddOnly,
            msg::ObjAccess::DELETE_ONLY => ObjectAccess::DeleteOnly,
            _ => ObjectAccess::ReadOnly,
        };
        let params = object.supported_params.iter().map(|p| ModelParam {
            name: p.param_name.clone(),
            access: match p.access {
                msg::ParamAccess::READ_WRITE => ParamAccess::ReadWrite,
                msg::ParamAccess::WRITE_ONLY => ParamAccess::WriteOnly,
                _ => ParamAccess::ReadOnly,
            },
            ty: p.known_type().and_then(type_name).map(str::to_owned),
            value_change: p.notifies(),
        });
        let commands = object.supported_commands.iter().map(|c| ModelCommand {
            name: c.command_name.clone(),
            inputs: c.input_arg_names.clone(),
            outputs: c.output_arg_names.clone(),
            asynchronous: c.is_async(),
        });
        let events = object.supported_events.iter().map(|e| ModelEvent {
            name: e.event_name.clone(),
            args: e.arg_names.clone(),
        });
        let described = ModelObject {
            access,
            multi: object.is_multi_instance,
            params: params.collect(),
            commands: commands.collect(),
            events: events.collect(),
            keys: object
                .unique_key_sets
                .iter()
                .map(|k| k.key_names.clone())
                .collect(),
            named_only: false,
        };
        let mut path = object.supported_obj_path;
        if object.is_multi_instance && !path.ends_with("{i}.") {
            path.push_str("{i}.");
        }
        out.objects.insert(path, described);
    }
    out
}

fn type_name(ty: msg::ParamValueType) -> Option<&'static str> {
    use msg::ParamValueType as T;
    Some(match ty {
        T::BASE_64 => "base64",
        T::BOOLEAN => "boolean",
        T::DATE_TIME => "dateTime",
        T::DECIMAL => "decimal",
        T::HEX_BINARY => "hexBinary",
        T::INT => "int",
        T::LONG => "long",
        T::STRING => "string",
        T::UNSIGNED_INT => "unsignedInt",
        T::UNSIGNED_LONG => "unsignedLong",
        _ => return None,
    })
}

/// A notification in the domain's words.
pub fn notice(notification: Notification) -> Notice {
    match notification {
        Notification::Event(event) => {
            let name = event.event_name.as_str();
            if name == "Boot!" && event.obj_path == "Device." {
                let get = |name: &str| event.params.get(name).unwrap_or_default().to_owned();
                Notice::Boot(Boot {
                    command_key: get("CommandKey"),
                    cause: get("Cause"),
                    reason: get("Reason"),
                    firmware_updated: matches!(get("FirmwareUpdated").as_str(), "true" | "1"),
                    parameters: parameters(&get("ParameterMap")),
                    over: Some(Protocol::Usp),
                })
            } else if name == "Periodic!" && event.obj_path == "Device.LocalAgent." {
                Notice::Periodic
            } else {
                Notice::Event {
                    object: event.obj_path.clone(),
                    name: event.event_name.clone(),
                    params: map(&event.params),
                }
            }
        }
        Notification::ValueChange(v) => Notice::ValueChange {
            path: v.param_path,
            value: v.param_value,
        },
        Notification::ObjCreation(o) => Notice::ObjectCreated {
            path: o.obj_path,
            keys: map(&o.unique_keys),
        },
        Notification::ObjDeletion(o) => Notice::ObjectDeleted { path: o.obj_path },
        Notification::OperComplete(o) => {
            let done = outcome::completion(&o);
            Notice::CommandCompleted {
                object: o.obj_path.clone(),
                command: o.command_name.clone(),
                key: o.command_key.clone(),
                result: match done.result {
                    Ok(outputs) => Ok(map(&outputs)),
                    // Which secrets it may repeat is known to the operation.
                    Err(failure) => Err(Fault::new(failure.code.0, failure.message)),
                },
            }
        }
        Notification::OnBoardReq(o) => Notice::OnBoard {
            oui: o.oui,
            product_class: o.product_class,
            serial: o.serial_number,
            versions: o.agent_supported_protocol_versions,
        },
    }
}

/// The JSON object of a Boot!'s ParameterMap; anything else is no parameters.
fn parameters(text: &str) -> Vec<PathValue> {
    let Ok(serde_json::Value::Object(all)) = serde_json::from_str(text) else {
        return Vec::new();
    };
    all.into_iter()
        .filter_map(|(path, value)| match value {
            serde_json::Value::String(value) => Some(PathValue { path, value }),
            serde_json::Value::Null
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => None,
            other => Some(PathValue {
                path,
                value: other.to_string(),
            }),
        })
        .take(fleet::limits::OPERATION_VALUES_MAX)
        .collect()
}
