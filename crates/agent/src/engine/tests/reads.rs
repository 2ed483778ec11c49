//! Get, GetInstances and GetSupportedDM.

use usp::proto::msg::{self, Request, Response};

use super::rig::{CONTROLLER, Rig, SUBSCRIPTION};

fn with_three() -> Rig {
    let mut rig = Rig::new();
    for (id, retry) in [("a", "true"), ("b", "false"), ("c", "true")] {
        rig.subscribe(
            "ValueChange",
            "Device.LocalAgent.EndpointID",
            &[("ID", id), ("NotifRetry", retry)],
        );
    }
    rig
}

/// R-GET.2, R-GET.3; TP-469 1.36, 1.37, 1.38
#[test]
fn a_parameter_path_resolves_to_its_object_with_one_value() {
    let mut rig = Rig::new();
    let result = rig.get("Device.LocalAgent.EndpointID");
    assert_eq!(result.resolved_path_results.len(), 1);
    let object = &result.resolved_path_results[0];
    assert_eq!(object.resolved_path, "Device.LocalAgent.");
    assert_eq!(object.result_params.len(), 1);
    assert_eq!(
        object.result_params.get("EndpointID"),
        Some("os::00256D-S1")
    );
}

/// TP-469 1.39, 1.40: relative names, an entry for each sub-object.
#[test]
fn an_object_path_returns_the_object_and_what_is_below() {
    let mut rig = with_three();
    let result = rig.get("Device.LocalAgent.");
    let paths: Vec<&str> = result
        .resolved_path_results
        .iter()
        .map(|o| o.resolved_path.as_str())
        .collect();
    assert!(
        paths.contains(&"Device.LocalAgent.Subscription.2."),
        "{paths:?}"
    );
    assert!(paths.contains(&"Device.LocalAgent.Controller.1.MTP.1.WebSocket."));
    assert!(
        result
            .resolved_path_results
            .iter()
            .all(|o| o.result_params.iter().all(|(name, _)| !name.contains('.')))
    );
}

/// TP-469 1.41, 1.42: an unknown path is an error of its own, never of the message.
#[test]
fn unknown_paths_fail_one_by_one() {
    let mut rig = Rig::new();
    let Ok(Response::GetResp(resp)) = rig.ask(usp::msg::get([
        "Device.LocalAgent.EndpointID",
        "Device.LocalAgent.InvalidParameter",
        "Device.Bad..Path",
    ])) else {
        panic!()
    };
    let codes: Vec<u32> = resp.req_path_results.iter().map(|r| r.err_code).collect();
    assert_eq!(codes, [0, 7026, 7008]);
    // R-GET.0: an instance number that does not exist.
    assert_eq!(
        rig.get("Device.LocalAgent.Subscription.99.ID").err_code,
        7026
    );
}

/// R-GET.1b, R-MSG.4a; TP-469 1.43 to 1.51, 1.82, 1.86, 1.87: searching.
#[test]
fn searches_return_exactly_what_matches() {
    let mut rig = with_three();
    let mut found = |path: &str| -> Vec<u32> {
        let result = rig.get(path);
        assert_eq!(result.err_code, 0, "{path}: {}", result.err_msg);
        result
            .resolved_path_results
            .iter()
            .map(|o| {
                o.resolved_path
                    .trim_end_matches('.')
                    .rsplit('.')
                    .next()
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect()
    };
    let table = "Device.LocalAgent.Subscription.";
    assert_eq!(
        found(&format!(
            "{table}[Recipient==\"Device.LocalAgent.Controller.1\"&&ID==\"b\"].Enable"
        )),
        [2]
    );
    assert_eq!(found(&format!("{table}*.Enable")), [1, 2, 3]);
    assert_eq!(found(&format!("{table}*.")), [1, 2, 3]);
    assert_eq!(found(&format!("{table}[NotifRetry==true].")), [1, 3]);
    assert_eq!(found(&format!("{table}[NotifRetry!=true].")), [2]);
    assert_eq!(found(&format!("{table}[ID==\"none\"].")), [0u32; 0]);
    let controllers = "Device.LocalAgent.Controller.";
    assert_eq!(
        found(&format!("{controllers}[PeriodicNotifInterval>86399].Alias")),
        [1, 2]
    );
    assert_eq!(
        found(&format!(
            "{controllers}[PeriodicNotifInterval>=86401].Alias"
        )),
        [0u32; 0]
    );
    assert_eq!(
        found(&format!(
            "{controllers}[PeriodicNotifInterval<=86400].Alias"
        )),
        [1, 2]
    );
    assert_eq!(found("Device.LocalAgent.Request."), [0u32; 0]);
}

/// TP-469 1.89
#[test]
fn max_depth_limits_how_deep_a_get_goes() {
    let mut rig = Rig::new();
    let mut depth = |n: u32| match rig
        .ask(usp::msg::get_depth(["Device.LocalAgent."], n))
        .unwrap()
    {
        Response::GetResp(resp) => resp.req_path_results[0].resolved_path_results.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(depth(1), 1);
    assert!(depth(1) < depth(2) && depth(2) < depth(3) && depth(3) < depth(0));
}

fn instances(rig: &mut Rig, path: &str, first_level_only: bool) -> msg::InstancesPathResult {
    match rig
        .ask(usp::msg::get_instances([path], first_level_only))
        .unwrap()
    {
        Response::GetInstancesResp(mut resp) => resp.req_path_results.remove(0),
        other => panic!("{other:?}"),
    }
}

/// TP-469 1.66 to 1.68, 1.70, 1.71, 1.83
#[test]
fn get_instances_lists_rows_with_their_keys() {
    let mut rig = with_three();
    let first = instances(&mut rig, "Device.LocalAgent.Controller.", true);
    let paths: Vec<&str> = first
        .curr_insts
        .iter()
        .map(|i| i.instantiated_obj_path.as_str())
        .collect();
    assert_eq!(
        paths,
        [
            "Device.LocalAgent.Controller.1.",
            "Device.LocalAgent.Controller.2."
        ]
    );
    assert_eq!(
        first.curr_insts[0].unique_keys.get("EndpointID"),
        Some(CONTROLLER)
    );
    assert_eq!(first.curr_insts[0].unique_keys.get("Alias"), Some("cpe-1"));
    let all = instances(&mut rig, "Device.LocalAgent.Controller.", false);
    assert!(
        all.curr_insts
            .iter()
            .any(|i| i.instantiated_obj_path == "Device.LocalAgent.Controller.2.MTP.1.")
    );
    let wild = instances(&mut rig, "Device.LocalAgent.Controller.*.MTP.", false);
    assert_eq!(wild.curr_insts.len(), 2);
    let search = instances(
        &mut rig,
        "Device.LocalAgent.Controller.[Alias==\"cpe-2\"].MTP.",
        true,
    );
    assert_eq!(search.curr_insts.len(), 1);
    let none = instances(
        &mut rig,
        "Device.LocalAgent.Controller.[Alias==\"x\"].MTP.",
        true,
    );
    assert_eq!((none.err_code, none.curr_insts.len()), (0, 0));
    assert_eq!(
        instances(&mut rig, "Device.LocalAgent.", true).err_code,
        7018
    );
    assert_eq!(instances(&mut rig, "Device.Nothing.", true).err_code, 7026);
}

fn supported(
    rig: &mut Rig,
    path: &str,
    first: bool,
    flags: [bool; 4],
) -> msg::RequestedObjectResult {
    let request = msg::GetSupportedDM {
        obj_paths: vec![path.into()],
        first_level_only: first,
        return_commands: flags[0],
        return_events: flags[1],
        return_params: flags[2],
        return_unique_key_sets: flags[3],
    };
    match rig.ask(Request::GetSupportedDm(request)).unwrap() {
        Response::GetSupportedDmResp(mut resp) => resp.req_obj_results.remove(0),
        other => panic!("{other:?}"),
    }
}

/// TP-469 1.72 to 1.77, 1.97, 1.98
#[test]
fn get_supported_dm_describes_the_model() {
    let mut rig = Rig::new();
    let all = supported(&mut rig, "Device.", false, [true; 4]);
    assert_eq!(all.err_code, 0);
    assert!(!all.data_model_inst_uri.is_empty());
    for object in &all.supported_objs {
        assert!(
            object
                .supported_params
                .iter()
                .all(|p| p.value_type.0 != 0 && p.value_change.0 != 0)
        );
        assert!(
            object
                .supported_commands
                .iter()
                .all(|c| c.command_type.0 != 0)
        );
        assert!(object.is_multi_instance || object.unique_key_sets.is_empty());
    }
    let reboot = all.supported_objs[0]
        .supported_commands
        .iter()
        .find(|c| c.command_name == "ScheduleTimer()")
        .unwrap();
    assert_eq!(reboot.input_arg_names, ["DelaySeconds"]);
    let boot = all.supported_objs[0]
        .supported_events
        .iter()
        .find(|e| e.event_name == "Boot!")
        .unwrap();
    assert!(boot.arg_names.contains(&"ParameterMap".to_owned()));

    let first = supported(&mut rig, "Device.LocalAgent.", true, [true; 4]);
    assert!(!first.supported_objs[0].supported_params.is_empty());
    assert!(
        first.supported_objs[1..]
            .iter()
            .all(|o| o.supported_params.is_empty() && o.supported_commands.is_empty())
    );
    let bare = supported(&mut rig, "Device.LocalAgent.", true, [false; 4]);
    assert!(
        bare.supported_objs
            .iter()
            .all(|o| o.supported_params.is_empty() && o.supported_events.is_empty())
    );
    assert_eq!(
        supported(&mut rig, "Device.LocalAgent.Nonsense.", true, [true; 4]).err_code,
        7026
    );
    // Instantiated paths are fine as well.
    assert_eq!(
        supported(&mut rig, "Device.LocalAgent.Controller.1.", true, [true; 4]).err_code,
        0
    );
}

/// TP-469 1.99
#[test]
fn unique_key_sets_of_subscriptions_are_alias_and_recipient_with_id() {
    let mut rig = Rig::new();
    let result = supported(
        &mut rig,
        "Device.LocalAgent.Subscription.{i}.",
        true,
        [false, false, false, true],
    );
    let mut sets: Vec<Vec<String>> = result.supported_objs[0]
        .unique_key_sets
        .iter()
        .map(|k| k.key_names.clone())
        .collect();
    sets.sort();
    assert_eq!(
        sets,
        [
            vec!["Alias".to_owned()],
            vec!["Recipient".to_owned(), "ID".to_owned()]
        ]
    );
}

/// TP-469 1.105, 1.106, 1.107
#[test]
fn a_single_element_is_described_alone_whatever_the_flags() {
    let mut rig = Rig::new();
    let count = |o: &msg::SupportedObjectResult| {
        (
            o.supported_params.len(),
            o.supported_commands.len(),
            o.supported_events.len(),
        )
    };
    for (path, expected) in [
        ("Device.Reboot()", (0, 1, 0)),
        ("Device.Boot!", (0, 0, 1)),
        ("Device.LocalAgent.EndpointID", (1, 0, 0)),
    ] {
        let result = supported(&mut rig, path, false, [true; 4]);
        assert_eq!(result.supported_objs.len(), 1, "{path}");
        assert_eq!(count(&result.supported_objs[0]), expected, "{path}");
        assert!(result.supported_objs[0].unique_key_sets.is_empty());
    }
}

/// TP-469 1.80
#[test]
fn supported_protocols_are_listed() {
    let mut rig = Rig::new();
    let Ok(Response::GetSupportedProtocolResp(resp)) =
        rig.ask(usp::msg::get_supported_protocol(&usp::Versions::default()))
    else {
        panic!()
    };
    assert!(
        resp.agent_supported_protocol_versions
            .split(',')
            .any(|version| version == "1.4")
    );
}

/// An agent is no broker: the answer is a refusal, not silence.
#[test]
fn register_and_deregister_are_refused() {
    let mut rig = Rig::new();
    let error = rig
        .ask(Request::Register(msg::Register::default()))
        .unwrap_err();
    assert_eq!(error.code.0, 7001);
    assert_eq!(
        rig.ask(Request::Deregister(msg::Deregister::default()))
            .unwrap_err()
            .code
            .0,
        7001
    );
}

/// `MESSAGE_PATHS_MAX`
#[test]
fn a_get_with_too_many_paths_is_refused() {
    let mut rig = Rig::new();
    let paths = vec![SUBSCRIPTION; crate::limits::MESSAGE_PATHS_MAX + 1];
    assert_eq!(rig.ask(usp::msg::get(paths)).unwrap_err().code.0, 7005);
}

/// `ANSWER_VALUES_MAX`
#[test]
fn an_endless_answer_ends_in_a_refusal_of_the_paths_that_are_too_much() {
    let mut rig = Rig::new();
    let Ok(Response::GetResp(resp)) = rig.ask(usp::msg::get(vec!["Device."; 2000])) else {
        panic!()
    };
    assert_eq!(resp.req_path_results[0].err_code, 0);
    assert_eq!(resp.req_path_results.last().unwrap().err_code, 7005);

    // The supported model, too, is asked for once and not a thousand times.
    let mut supported = |obj_paths| {
        let request = msg::GetSupportedDM {
            obj_paths,
            return_params: true,
            ..Default::default()
        };
        match rig.ask(Request::GetSupportedDm(request)) {
            Ok(Response::GetSupportedDmResp(resp)) => resp.req_obj_results,
            other => panic!("{other:?}"),
        }
    };
    let results = supported(vec!["Device.".into(); 2000]);
    let told = results.iter().take_while(|r| r.err_code == 0).count();
    assert!(told > 0 && told < 2000, "{told}");
    // What comes after the first that is too much is not even looked at, however little it is.
    let mut paths: Vec<String> = vec!["Device.".into(); told + 1];
    paths.push("Device.Reboot()".into());
    for result in &supported(paths)[told..] {
        assert_eq!((result.err_code, result.supported_objs.len()), (7005, 0));
    }
}

/// What is unreadable costs as much as what is read: objects without values are counted, too.
#[test]
fn objects_of_which_nothing_may_be_read_are_limited_as_well() {
    let mut rig = Rig::new();
    let everything = "Device.LocalAgent.ControllerTrust.Role.1.Permission.1.";
    rig.set(&format!("{everything}Param"), "-w-n").unwrap();
    let Ok(Response::GetResp(resp)) = rig.ask(usp::msg::get(vec![
        "Device.";
        crate::limits::MESSAGE_PATHS_MAX
    ])) else {
        panic!()
    };
    let objects = |r: &msg::RequestedPathResult| r.resolved_path_results.len();
    assert!(objects(&resp.req_path_results[0]) > 10);
    let all: usize = resp.req_path_results.iter().map(objects).sum();
    assert!(all <= crate::limits::ANSWER_VALUES_MAX, "{all}");
}
