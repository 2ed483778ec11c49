//! Messages: the generated types, and builders for what a controller asks and an agent reports.
//! Deliberately no interpretation of answers: that is [`crate::outcome`].

pub use crate::proto::msg::*;
pub use crate::wire::Map;

/// Reads whole objects, parameters and search paths.
pub fn get<P: Into<String>>(paths: impl IntoIterator<Item = P>) -> Get {
    Get {
        param_paths: paths.into_iter().map(Into::into).collect(),
        max_depth: 0,
    }
}

/// Reads down to `depth` levels: 1 is the object alone (1.2; older agents ignore it).
pub fn get_depth<P: Into<String>>(paths: impl IntoIterator<Item = P>, depth: u32) -> Get {
    Get {
        max_depth: depth,
        ..get(paths)
    }
}

/// Reads which rows exist, with their unique keys and nothing else.
pub fn get_instances<P: Into<String>>(
    paths: impl IntoIterator<Item = P>,
    first_level_only: bool,
) -> GetInstances {
    GetInstances {
        obj_paths: paths.into_iter().map(Into::into).collect(),
        first_level_only,
    }
}

/// Reads the supported model with everything in it.
pub fn get_supported_dm<P: Into<String>>(
    paths: impl IntoIterator<Item = P>,
    first_level_only: bool,
) -> GetSupportedDM {
    GetSupportedDM {
        obj_paths: paths.into_iter().map(Into::into).collect(),
        first_level_only,
        return_commands: true,
        return_events: true,
        return_params: true,
        return_unique_key_sets: true,
    }
}

/// Reads the protocol versions of an agent.
pub fn get_supported_protocol(ours: &crate::Versions) -> GetSupportedProtocol {
    GetSupportedProtocol {
        controller_supported_protocol_versions: ours.list(),
    }
}

/// A value to write whose failure does not fail the object.
pub fn optional(param: impl Into<String>, value: impl Into<String>) -> ParamSetting {
    ParamSetting {
        param: param.into(),
        value: value.into(),
        required: false,
    }
}

/// A value to write whose failure fails the object. Only this makes a Set all-or-nothing: an
/// optional value may fail within a success.
pub fn required(param: impl Into<String>, value: impl Into<String>) -> ParamSetting {
    ParamSetting {
        required: true,
        ..optional(param, value)
    }
}

/// Objects and values, for [`set`] and [`add`].
pub type Settings = (String, Vec<ParamSetting>);

/// Writes values.
pub fn set(allow_partial: bool, objects: impl IntoIterator<Item = Settings>) -> Set {
    let update = |(obj_path, param_settings)| UpdateObject {
        obj_path,
        param_settings,
    };
    Set {
        allow_partial,
        update_objs: objects.into_iter().map(update).collect(),
    }
}

/// Creates rows.
pub fn add(allow_partial: bool, objects: impl IntoIterator<Item = Settings>) -> Add {
    let create = |(obj_path, param_settings)| CreateObject {
        obj_path,
        param_settings,
    };
    Add {
        allow_partial,
        create_objs: objects.into_iter().map(create).collect(),
    }
}

/// Writes parameters given by full path, grouped by object in their order; all of them required,
/// so that the message succeeds or fails as a whole.
pub fn set_values<P: AsRef<str>, V: Into<String>>(values: impl IntoIterator<Item = (P, V)>) -> Set {
    let mut objects: Vec<Settings> = Vec::new();
    for (path, value) in values {
        let path = path.as_ref();
        let (object, name) = path.split_at(path.rfind('.').map_or(0, |dot| dot + 1));
        let setting = required(name, value);
        match objects.iter_mut().find(|(known, _)| known == object) {
            Some((_, settings)) => settings.push(setting),
            None => objects.push((object.to_owned(), vec![setting])),
        }
    }
    set(false, objects)
}

/// Removes rows.
pub fn delete<P: Into<String>>(allow_partial: bool, paths: impl IntoIterator<Item = P>) -> Delete {
    Delete {
        allow_partial,
        obj_paths: paths.into_iter().map(Into::into).collect(),
    }
}

/// Runs a command and asks for its answer. The key finds the result of an asynchronous command
/// and must be fresh: agents use it as a unique key of their Request table.
pub fn operate(
    command: impl Into<String>,
    command_key: impl Into<String>,
    args: impl Into<Map>,
) -> Operate {
    Operate {
        command: command.into(),
        command_key: command_key.into(),
        send_resp: true,
        input_args: args.into(),
    }
}

/// Something an agent reports for a subscription; the session decides on `send_resp`.
pub fn notify(subscription_id: impl Into<String>, notification: impl Into<Notification>) -> Notify {
    Notify {
        subscription_id: subscription_id.into(),
        send_resp: false,
        notification: notification.into(),
    }
}

impl Msg {
    /// A request.
    pub fn request(msg_id: impl Into<String>, request: impl Into<Request>) -> Self {
        Self::new(msg_id, Body::Request(request.into()))
    }

    /// A response.
    pub fn response(msg_id: impl Into<String>, response: impl Into<Response>) -> Self {
        Self::new(msg_id, Body::Response(response.into()))
    }

    /// An error.
    pub fn error(msg_id: impl Into<String>, error: impl Into<Error>) -> Self {
        Self::new(msg_id, Body::Error(error.into()))
    }

    /// A message whose header tells what its body is.
    pub fn new(msg_id: impl Into<String>, body: Body) -> Self {
        Self {
            header: Header {
                msg_id: msg_id.into(),
                msg_type: body.msg_type(),
            },
            body,
        }
    }
}

impl Body {
    /// What the header should say. R-MSG.7
    pub fn msg_type(&self) -> MsgType {
        match self {
            Self::Request(request) => request.msg_type(),
            Self::Response(response) => response.msg_type(),
            Self::Error(_) => MsgType::ERROR,
        }
    }
}

macro_rules! kinds {
    ($(#[$doc:meta])* $union:ident { $($variant:ident $message:ident $msg_type:ident)* }) => {
        impl $union {
            $(#[$doc])*
            pub fn msg_type(&self) -> MsgType {
                match self {
                    $(Self::$variant(_) => MsgType::$msg_type,)*
                }
            }
        }
        $(impl From<$message> for $union {
            fn from(message: $message) -> Self {
                Self::$variant(message)
            }
        })*
    };
}

kinds! {
    /// What the header of this request says.
    Request {
        Get Get GET
        GetSupportedDm GetSupportedDM GET_SUPPORTED_DM
        GetInstances GetInstances GET_INSTANCES
        Set Set SET
        Add Add ADD
        Delete Delete DELETE
        Operate Operate OPERATE
        Notify Notify NOTIFY
        GetSupportedProtocol GetSupportedProtocol GET_SUPPORTED_PROTO
        Register Register REGISTER
        Deregister Deregister DEREGISTER
    }
}

kinds! {
    /// What the header of this response says.
    Response {
        GetResp GetResp GET_RESP
        GetSupportedDmResp GetSupportedDMResp GET_SUPPORTED_DM_RESP
        GetInstancesResp GetInstancesResp GET_INSTANCES_RESP
        SetResp SetResp SET_RESP
        AddResp AddResp ADD_RESP
        DeleteResp DeleteResp DELETE_RESP
        OperateResp OperateResp OPERATE_RESP
        NotifyResp NotifyResp NOTIFY_RESP
        GetSupportedProtocolResp GetSupportedProtocolResp GET_SUPPORTED_PROTO_RESP
        RegisterResp RegisterResp REGISTER_RESP
        DeregisterResp DeregisterResp DEREGISTER_RESP
    }
}

impl Request {
    /// What the header of its response says.
    pub fn response_type(&self) -> MsgType {
        match self {
            Self::Get(_) => MsgType::GET_RESP,
            Self::GetSupportedDm(_) => MsgType::GET_SUPPORTED_DM_RESP,
            Self::GetInstances(_) => MsgType::GET_INSTANCES_RESP,
            Self::Set(_) => MsgType::SET_RESP,
            Self::Add(_) => MsgType::ADD_RESP,
            Self::Delete(_) => MsgType::DELETE_RESP,
            Self::Operate(_) => MsgType::OPERATE_RESP,
            Self::Notify(_) => MsgType::NOTIFY_RESP,
            Self::GetSupportedProtocol(_) => MsgType::GET_SUPPORTED_PROTO_RESP,
            Self::Register(_) => MsgType::REGISTER_RESP,
            Self::Deregister(_) => MsgType::DEREGISTER_RESP,
        }
    }
}

macro_rules! notifications {
    ($($variant:ident $message:ident)*) => {
        $(impl From<$message> for Notification {
            fn from(message: $message) -> Self {
                Self::$variant(message)
            }
        })*
    };
}

notifications! {
    Event Event
    ValueChange ValueChange
    ObjCreation ObjectCreation
    ObjDeletion ObjectDeletion
    OperComplete OperationComplete
    OnBoardReq OnBoardRequest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_grouped_by_object_and_required() {
        let set = set_values([
            ("Device.A.1.X", "1"),
            ("Device.B.Y", "2"),
            ("Device.A.1.Z", "3"),
        ]);
        assert!(!set.allow_partial);
        let shape: Vec<_> = set
            .update_objs
            .iter()
            .map(|o| (o.obj_path.as_str(), o.param_settings.len()))
            .collect();
        assert_eq!(shape, [("Device.A.1.", 2), ("Device.B.", 1)]);
        assert_eq!(set.update_objs[0].param_settings[1], required("Z", "3"));
    }

    /// R-MSG.7
    #[test]
    fn the_header_says_what_the_body_is() {
        assert_eq!(
            Msg::request("1", get(["Device."])).header.msg_type,
            MsgType::GET
        );
        assert_eq!(
            Msg::response("1", NotifyResp::default()).header.msg_type,
            MsgType::NOTIFY_RESP
        );
        assert_eq!(
            Msg::error("1", Error::default()).header.msg_type,
            MsgType::ERROR
        );
        assert_eq!(MsgType::DEREGISTER_RESP.0, 22);
    }

    #[test]
    fn commands_ask_for_an_answer() {
        let operate = operate("Device.Reboot()", "key", [("A", "b")]);
        assert!(operate.send_resp);
        assert_eq!(operate.input_args.get("A"), Some("b"));
    }
}
