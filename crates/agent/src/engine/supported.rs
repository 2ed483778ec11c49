//! GetSupportedDM (R-GSP.0, 1.4 with key sets and single elements) and GetSupportedProtocol.

use dm::{
    BaseType, CommandDef, CommandKind, EventDef, NotifyRule, ObjectAccess, ObjectDef, ParamAccess,
    ParamDef, PathKind,
};
use usp::proto::msg;

use super::Engine;
use super::access::{Actor, Field, Right};
use super::get::spend;
use crate::limits::{ANSWER_VALUES_MAX, MESSAGE_PATHS_MAX};
use crate::{Fault, Now};

/// Where the model is described.
const MODEL_URI: &str = "urn:broadband-forum-org:tr-181-2-19-1-usp";

/// What holds a name, about.
const HOLD: usize = 32;

/// Which details are wanted.
#[derive(Clone, Copy)]
struct Wanted {
    commands: bool,
    events: bool,
    params: bool,
    keys: bool,
}

impl Wanted {
    /// Leaves out of a whole description what is not wanted.
    fn reduce(self, object: &mut msg::SupportedObjectResult) {
        if !self.params {
            object.supported_params.clear();
        }
        if !self.commands {
            object.supported_commands.clear();
        }
        if !self.events {
            object.supported_events.clear();
        }
        if !self.keys {
            object.unique_key_sets.clear();
        }
    }
}

impl Engine {
    pub(crate) fn supported_dm(
        &self,
        now: Now,
        actor: &Actor,
        request: msg::GetSupportedDM,
    ) -> Result<msg::GetSupportedDMResp, Fault> {
        if request.obj_paths.len() > MESSAGE_PATHS_MAX {
            return Err(Fault::resources_exceeded(format!(
                "at most {MESSAGE_PATHS_MAX} paths in one message"
            )));
        }
        let wanted = Wanted {
            commands: request.return_commands,
            events: request.return_events,
            params: request.return_params,
            keys: request.return_unique_key_sets,
        };
        let mut budget = ANSWER_VALUES_MAX;
        let results = request.obj_paths.into_iter().map(|req_obj_path| {
            let data_model_inst_uri = MODEL_URI.to_owned();
            // Bounded one by one by the model, and together by this: one path too many uses it up, so that the paths
            // after it cost nothing.
            let described = spend(&mut budget, 1).and_then(|()| {
                let first_level = request.first_level_only;
                let objects = self.describe(now, actor, &req_obj_path, first_level, wanted)?;
                let told = objects.iter().map(elements).sum();
                spend(&mut budget, told).inspect_err(|_| budget = 0)?;
                Ok(objects)
            });
            match described {
                Ok(supported_objs) => msg::RequestedObjectResult {
                    req_obj_path,
                    data_model_inst_uri,
                    supported_objs,
                    ..Default::default()
                },
                Err(fault) => msg::RequestedObjectResult {
                    req_obj_path,
                    err_code: fault.code,
                    err_msg: fault.message,
                    ..Default::default()
                },
            }
        });
        Ok(msg::GetSupportedDMResp {
            req_obj_results: results.collect(),
        })
    }

    fn describe(
        &self,
        now: Now,
        actor: &Actor,
        requested: &str,
        first_level_only: bool,
        wanted: Wanted,
    ) -> Result<Vec<msg::SupportedObjectResult>, Fault> {
        let path = self.parse(requested)?;
        if path.is_search() || path.follows() {
            return Err(Fault::invalid_path(format!(
                "{path} is a search path; the supported model has none"
            )));
        }
        self.supported(&path)?;
        let of_services = self.services_describe(actor, &path, first_level_only);
        let mut out = match &of_services {
            Some(found) if self.service_supports(&path).is_some() => {
                if found.is_empty() {
                    let text = format!("{path} is not in the supported data model");
                    return Err(Fault::invalid_path(text)); // R-GSP.0
                }
                Vec::new()
            }
            _ => self.describe_own(now, actor, &path, first_level_only, wanted)?,
        };
        for mut more in of_services.unwrap_or_default() {
            if path.kind() == PathKind::Object {
                wanted.reduce(&mut more);
            }
            let same = |one: &&mut msg::SupportedObjectResult| {
                one.supported_obj_path == more.supported_obj_path
            };
            match out.iter_mut().find(same) {
                Some(known) => {
                    known.supported_params.append(&mut more.supported_params);
                    known
                        .supported_commands
                        .append(&mut more.supported_commands);
                    known.supported_events.append(&mut more.supported_events);
                }
                None => out.push(more),
            }
        }
        Ok(out)
    }

    fn describe_own(
        &self,
        now: Now,
        actor: &Actor,
        path: &dm::Path,
        first_level_only: bool,
        wanted: Wanted,
    ) -> Result<Vec<msg::SupportedObjectResult>, Fault> {
        if path.is_plain()
            && path.kind() == PathKind::Object
            && self.table_def(&path.supported()).is_none()
            && !self.exists(now, path.as_str())
        {
            return Err(Fault::object_does_not_exist(format!(
                "{path} does not exist"
            )));
        }
        let text = path.supported();
        let missing = || Fault::invalid_path(format!("{path} is not in the supported data model"));
        if path.kind() != PathKind::Object {
            let (object, name) = super::paths::split(&text);
            let def = self.schema.object(object).ok_or_else(missing)?;
            let mut result = bare(def);
            // Flags do not count for a single element.
            match path.kind() {
                PathKind::Command => result
                    .supported_commands
                    .extend(def.command(name).map(command)),
                PathKind::Event => result.supported_events.extend(def.event(name).map(event)),
                _ => result.supported_params.extend(def.param(name).map(param)),
            }
            return if self.visible_element(actor, &text, path.kind()) {
                Ok(vec![result])
            } else {
                Err(missing())
            };
        }
        let def = self.schema.object(&text).ok_or_else(missing)?;
        if !actor.allows(Field::Obj, Right::Read, &def.path) {
            return Err(missing()); // R-GSP.0
        }
        let mut out = vec![self.detail(actor, def, wanted)];
        if first_level_only {
            let children = self.schema.children(&def.path);
            out.extend(
                children
                    .filter(|child| actor.allows(Field::Obj, Right::Read, &child.path))
                    .map(bare),
            );
        } else {
            let below = self.schema.subtree(&def.path).skip(1);
            let visible =
                below.filter(|object| actor.allows(Field::Obj, Right::Read, &object.path));
            out.extend(visible.map(|object| self.detail(actor, object, wanted)));
        }
        Ok(out)
    }

    fn visible_element(&self, actor: &Actor, text: &str, kind: PathKind) -> bool {
        let field = if kind == PathKind::Parameter {
            Field::Param
        } else {
            Field::CommandEvent
        };
        actor.allows(field, Right::Read, text)
    }

    fn detail(&self, actor: &Actor, def: &ObjectDef, wanted: Wanted) -> msg::SupportedObjectResult {
        let mut out = bare(def);
        let visible =
            |field, name: &str| actor.allows(field, Right::Read, &format!("{}{name}", def.path));
        if wanted.params {
            let params = def.params.iter().filter(|p| visible(Field::Param, &p.name));
            out.supported_params = params.map(param).collect();
        }
        if wanted.commands {
            let commands = def
                .commands
                .iter()
                .filter(|c| visible(Field::CommandEvent, &c.name));
            out.supported_commands = commands.map(command).collect();
        }
        if wanted.events {
            out.supported_events = def
                .events
                .iter()
                .filter(|e| visible(Field::CommandEvent, &e.name))
                .map(event)
                .collect();
        }
        if wanted.keys && def.multi {
            let sets = def.unique_keys.iter();
            out.unique_key_sets = sets
                .map(|key| msg::SupportedUniqueKeySet {
                    key_names: key.params.iter().map(ToString::to_string).collect(),
                })
                .collect();
        }
        out
    }

    pub(crate) fn supported_protocol(&self) -> msg::GetSupportedProtocolResp {
        msg::GetSupportedProtocolResp {
            agent_supported_protocol_versions: self.versions.list(),
        }
    }
}

/// How many things an answer says of an object.
pub(crate) fn elements(object: &msg::SupportedObjectResult) -> usize {
    let operations = object.supported_commands.len() + object.supported_events.len();
    1 + object.supported_params.len() + operations + object.unique_key_sets.len()
}

/// Bytes of the texts of it, and of what holds them.
pub(crate) fn bytes(object: &msg::SupportedObjectResult) -> usize {
    let names = |names: &[String]| names.iter().map(|name| HOLD + name.len()).sum::<usize>();
    let params = object.supported_params.iter();
    let commands = object.supported_commands.iter();
    let events = object.supported_events.iter();
    let keys = object.unique_key_sets.iter();
    HOLD + object.supported_obj_path.len()
        + names(&object.divergent_paths)
        + params.map(|one| HOLD + one.param_name.len()).sum::<usize>()
        + commands
            .map(|one| {
                let args = names(&one.input_arg_names) + names(&one.output_arg_names);
                HOLD + one.command_name.len() + args
            })
            .sum::<usize>()
        + events
            .map(|one| HOLD + one.event_name.len() + names(&one.arg_names))
            .sum::<usize>()
        + keys.map(|one| HOLD + names(&one.key_names)).sum::<usize>()
}

fn bare(def: &ObjectDef) -> msg::SupportedObjectResult {
    msg::SupportedObjectResult {
        supported_obj_path: def.path.to_string(),
        access: match def.access {
            ObjectAccess::ReadOnly => msg::ObjAccess::READ_ONLY,
            ObjectAccess::AddDelete => msg::ObjAccess::ADD_DELETE,
            ObjectAccess::AddOnly => msg::ObjAccess::ADD_ONLY,
            ObjectAccess::DeleteOnly => msg::ObjAccess::DELETE_ONLY,
        },
        is_multi_instance: def.multi,
        ..Default::default()
    }
}

fn param(def: &ParamDef) -> msg::SupportedParamResult {
    use msg::ParamValueType as T;
    // A list is a string on the wire, whatever its items are (TR-106 list rule).
    let value_type = if def.ty.is_list() {
        T::STRING
    } else {
        match def.ty.base {
            BaseType::Base64 => T::BASE_64,
            BaseType::Boolean => T::BOOLEAN,
            BaseType::DateTime => T::DATE_TIME,
            BaseType::Decimal => T::DECIMAL,
            BaseType::HexBinary => T::HEX_BINARY,
            BaseType::Int => T::INT,
            BaseType::Long => T::LONG,
            BaseType::String => T::STRING,
            BaseType::UnsignedInt => T::UNSIGNED_INT,
            BaseType::UnsignedLong => T::UNSIGNED_LONG,
        }
    };
    msg::SupportedParamResult {
        param_name: def.name.to_string(),
        access: match def.access {
            ParamAccess::ReadOnly => msg::ParamAccess::READ_ONLY,
            ParamAccess::ReadWrite | ParamAccess::WriteOnce => msg::ParamAccess::READ_WRITE,
        },
        value_type,
        value_change: match def.notify {
            NotifyRule::CanDeny => msg::ValueChangeType::WILL_IGNORE,
            _ => msg::ValueChangeType::ALLOWED,
        },
    }
}

fn command(def: &CommandDef) -> msg::SupportedCommandResult {
    let names = |args: &[dm::ArgDef]| {
        args.iter()
            .filter(|arg| !arg.name.ends_with('.'))
            .map(|arg| arg.name.to_string())
            .collect()
    };
    msg::SupportedCommandResult {
        command_name: def.name.to_string(),
        input_arg_names: names(&def.inputs),
        output_arg_names: names(&def.outputs),
        command_type: match def.kind {
            CommandKind::Sync => msg::CmdType::SYNC,
            CommandKind::Async => msg::CmdType::ASYNC,
        },
    }
}

fn event(def: &EventDef) -> msg::SupportedEventResult {
    msg::SupportedEventResult {
        event_name: def.name.to_string(),
        arg_names: def
            .args
            .iter()
            .filter(|arg| !arg.name.ends_with('.'))
            .map(|arg| arg.name.to_string())
            .collect(),
    }
}
