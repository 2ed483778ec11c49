//! What goes over the wire, as people may read it: secrets masked, cut to a readable length.

use fleet::secret;
use usp::Map;
use usp::msg::{
    Body, CreateStatus, Msg, Notification, OperationResp, Request, Response, UpdateStatus,
};

use super::limits::TRANSCRIPT_CHARS_MAX;
pub use crate::southbound::refusal::said;

/// A message of an exchange in which these secrets were told, as text.
pub fn text(mut msg: Msg, secrets: &[&str]) -> String {
    mask(&mut msg);
    match secret::excerpt(&usp::transcript::msg(&msg), secrets, TRANSCRIPT_CHARS_MAX) {
        (text, true) => format!("{text}\n(the rest is left out)\n"),
        (text, false) => text,
    }
}

fn mask(msg: &mut Msg) {
    match &mut msg.body {
        Body::Request(request) => mask_request(request),
        Body::Response(response) => mask_response(response),
        Body::Error(_) => {}
    }
}

fn hide(path: &str, value: &mut String) {
    if secret::hides(path, value) {
        secret::MASK.clone_into(value);
    }
}

fn hide_map(object: &str, map: &mut Map) {
    let masked = map.iter().map(|(name, value)| {
        let mut value = value.to_owned();
        hide(&format!("{object}{name}"), &mut value);
        (name.to_owned(), value)
    });
    *map = masked.collect::<Vec<_>>().into_iter().collect();
}

fn mask_request(request: &mut Request) {
    match request {
        Request::Set(set) => {
            for object in &mut set.update_objs {
                for setting in &mut object.param_settings {
                    hide(
                        &format!("{}{}", object.obj_path, setting.param),
                        &mut setting.value,
                    );
                }
            }
        }
        Request::Add(add) => {
            for object in &mut add.create_objs {
                let row = format!("{}1.", object.obj_path);
                for setting in &mut object.param_settings {
                    hide(&format!("{row}{}", setting.param), &mut setting.value);
                }
            }
        }
        Request::Operate(operate) => hide_map("", &mut operate.input_args),
        Request::Notify(notify) => match &mut notify.notification {
            Notification::ValueChange(change) => {
                hide(&change.param_path, &mut change.param_value);
            }
            Notification::Event(event) => hide_map("", &mut event.params),
            _ => {}
        },
        _ => {}
    }
}

fn mask_response(response: &mut Response) {
    match response {
        Response::GetResp(get) => {
            for result in get
                .req_path_results
                .iter_mut()
                .flat_map(|r| &mut r.resolved_path_results)
            {
                hide_map(&result.resolved_path, &mut result.result_params);
            }
        }
        Response::SetResp(set) => {
            for result in &mut set.updated_obj_results {
                if let UpdateStatus::OperSuccess(success) = &mut result.oper_status {
                    for instance in &mut success.updated_inst_results {
                        hide_map(&instance.affected_path, &mut instance.updated_params);
                    }
                }
            }
        }
        Response::AddResp(add) => {
            for result in &mut add.created_obj_results {
                if let CreateStatus::OperSuccess(row) = &mut result.oper_status {
                    hide_map(&row.instantiated_path, &mut row.unique_keys);
                }
            }
        }
        Response::OperateResp(operate) => {
            for result in &mut operate.operation_results {
                if let Some(OperationResp::ReqOutputArgs(output)) = &mut result.operation_resp {
                    hide_map("", &mut output.output_args);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use usp::msg;

    #[test]
    fn passwords_and_credentials_are_masked_in_requests() {
        let token = crate::secret::new(crate::secret::DEVICE);
        let set = msg::set_values([
            (
                "Device.WiFi.AccessPoint.1.Security.KeyPassphrase",
                "hunter22",
            ),
            (
                "Device.WiFi.AccessPoint.1.Security.PreSharedKey",
                "00ff00ff",
            ),
            (
                "Device.LocalAgent.Controller.1.MTP.1.WebSocket.Path",
                &format!("/usp/{token}"),
            ),
            (
                "Device.X_Test.Url",
                &format!("wss://host/usp/{token}?eid=1"),
            ),
            ("Device.WiFi.SSID.1.SSID", "harmless"),
        ]);
        let text = text(Msg::request("1", set), &[]);
        for secret in ["hunter22", "00ff00ff", token.as_str()] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(text.contains("harmless"), "{text}");
    }

    #[test]
    fn passwords_are_masked_in_answers_and_arguments() {
        let path = msg::ResolvedPathResult {
            resolved_path: "Device.Users.User.1.".into(),
            result_params: Map::from([("Password", "hunter22"), ("Username", "ann")]),
        };
        let result = msg::RequestedPathResult {
            resolved_path_results: vec![path],
            ..Default::default()
        };
        let get = msg::GetResp {
            req_path_results: vec![result],
        };
        let text_of = text(Msg::response("1", get), &[]);
        assert!(
            !text_of.contains("hunter22") && text_of.contains("ann"),
            "{text_of}"
        );
        let operate = msg::operate("Device.X.Download()", "k", [("Password", "hunter22")]);
        assert!(!text(Msg::request("1", operate), &[]).contains("hunter22"));
    }

    #[test]
    fn a_refusal_does_not_repeat_what_it_refuses() {
        let error = usp::UspError::new(usp::ErrorCode::INVALID_VALUE, "hunter22 is too short");
        let text = text(Msg::error("1", error), &["hunter22"]);
        assert!(!text.contains("hunter22"), "{text}");
    }

    #[test]
    fn long_messages_are_cut() {
        let get = msg::get((0..10_000).map(|n| format!("Device.X.{n}.")));
        assert!(text(Msg::request("1", get), &[]).chars().count() < TRANSCRIPT_CHARS_MAX + 40);
    }
}
