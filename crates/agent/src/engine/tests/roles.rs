//! TP-469 chapter 2: what a role allows.

use usp::msg::{optional, required};
use usp::proto::msg::{self, CreateStatus, OperationResp, Response};

use super::rig::{OTHER, Rig, create};

/// Gives the second controller a role with these permissions: (targets, Param, Obj, InstantiatedObj, CommandEvent).
fn rig_with(permissions: &[(&str, [&str; 4])]) -> Rig {
    let mut rig = Rig::new();
    let role = rig
        .add(
            "Device.LocalAgent.ControllerTrust.Role.",
            &[("Name", "test"), ("Enable", "true")],
        )
        .unwrap();
    for (n, (targets, rights)) in permissions.iter().enumerate() {
        let order = (n + 1).to_string();
        rig.add(
            &format!("{role}Permission."),
            &[
                ("Enable", "true"),
                ("Order", &order),
                ("Targets", targets),
                ("Param", rights[0]),
                ("Obj", rights[1]),
                ("InstantiatedObj", rights[2]),
                ("CommandEvent", rights[3]),
            ],
        )
        .unwrap();
    }
    rig.set("Device.LocalAgent.Controller.2.AssignedRole", &role)
        .unwrap();
    rig
}

const SSIDS: &str = "Device.WiFi.SSID.";

fn add(
    rig: &mut Rig,
    allow_partial: bool,
    table: &str,
    settings: Vec<msg::ParamSetting>,
) -> Result<Vec<CreateStatus>, u32> {
    match rig.ask_as(
        OTHER,
        msg::Add {
            allow_partial,
            create_objs: vec![create(table, settings)],
        },
    ) {
        Ok(Response::AddResp(resp)) => Ok(resp
            .created_obj_results
            .into_iter()
            .map(|r| r.oper_status)
            .collect()),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.code.0),
    }
}

/// R-SEC.6; TP-469 2.9, 2.10
#[test]
fn a_new_controller_is_untrusted() {
    let mut rig = Rig::new();
    let path = rig
        .add(
            "Device.LocalAgent.Controller.",
            &[("EndpointID", "self::new"), ("Enable", "true")],
        )
        .unwrap();
    assert_eq!(
        rig.value(&format!("{path}AssignedRole")),
        rig.value("Device.LocalAgent.ControllerTrust.UntrustedRole")
    );
    assert!(
        rig.ask_as("self::nobody", usp::msg::get(["Device."]))
            .is_err()
    );
}

/// TP-469 2.11 to 2.14
#[test]
fn adding_and_deleting_need_the_write_right_of_objects() {
    let mut rig = rig_with(&[(SSIDS, ["rw--", "rw--", "rw--", "----"])]);
    assert!(matches!(
        add(&mut rig, false, SSIDS, vec![]).unwrap()[0],
        CreateStatus::OperSuccess(_)
    ));
    assert!(
        rig.ask_as(OTHER, usp::msg::delete(false, ["Device.WiFi.SSID.4."]))
            .is_ok()
    );
    let mut rig = rig_with(&[(SSIDS, ["rw--", "r---", "r---", "----"])]);
    assert_eq!(add(&mut rig, false, SSIDS, vec![]).unwrap_err(), 7006);
    assert_eq!(
        rig.ask_as(OTHER, usp::msg::delete(false, ["Device.WiFi.SSID.1."]))
            .unwrap_err()
            .code
            .0,
        7006
    );
}

/// TP-469 2.15, 2.16
#[test]
fn setting_needs_the_write_right_of_the_parameter() {
    let mut rig = rig_with(&[(SSIDS, ["rw--", "r---", "r---", "----"])]);
    assert!(
        rig.ask_as(
            OTHER,
            usp::msg::set_values([("Device.WiFi.SSID.1.SSID", "x")])
        )
        .is_ok()
    );
    let mut rig = rig_with(&[(SSIDS, ["r---", "r---", "r---", "----"])]);
    let error = rig
        .ask_as(
            OTHER,
            usp::msg::set_values([("Device.WiFi.SSID.1.SSID", "x")]),
        )
        .unwrap_err();
    assert_eq!(error.code.0, 7006);
}

/// R-OPR.1; TP-469 2.17, 2.18
#[test]
fn commands_need_the_execute_right_and_fail_inside_of_the_response() {
    for (rights, allowed) in [("r-x-", true), ("r---", false)] {
        let mut rig = rig_with(&[("Device.", ["r---", "r---", "r---", rights])]);
        let Ok(Response::OperateResp(resp)) = rig.ask_as(
            OTHER,
            usp::msg::operate("Device.Reboot()", "", usp::Map::default()),
        ) else {
            panic!()
        };
        let denied = matches!(&resp.operation_results[0].operation_resp, Some(OperationResp::CmdFailure(f)) if f.err_code == 7006);
        assert_eq!(denied, !allowed);
    }
}

/// TP-469 2.19, 2.20
#[test]
fn value_changes_need_the_notify_right_or_never_arrive() {
    for (rights, expected) in [("rw-n", 1), ("rw--", 0)] {
        let mut rig = rig_with(&[
            (
                "Device.LocalAgent.Subscription.",
                ["rw--", "rw--", "rw--", "----"],
            ),
            (SSIDS, [rights, "r---", "r---", "----"]),
        ]);
        let settings = vec![
            required("Enable", "true"),
            required("NotifType", "ValueChange"),
            required("ReferenceList", "Device.WiFi.SSID.1.SSID"),
        ];
        add(&mut rig, false, "Device.LocalAgent.Subscription.", settings).unwrap();
        rig.effects();
        rig.ask_as(
            OTHER,
            usp::msg::set_values([("Device.WiFi.SSID.1.SSID", "x")]),
        )
        .unwrap();
        assert_eq!(rig.notifies().len(), expected, "{rights}");
    }
}

/// TP-469 2.21
#[test]
fn of_overlapping_permissions_the_largest_order_decides() {
    let all = ["rwxn"; 4];
    let nothing = ["----"; 4];
    let read = |permissions: &[(&str, [&str; 4])]| {
        let mut rig = rig_with(permissions);
        match rig
            .ask_as(OTHER, usp::msg::get(["Device.WiFi.SSID.1.SSID"]))
            .unwrap()
        {
            Response::GetResp(resp) => resp.req_path_results[0]
                .resolved_path_results
                .iter()
                .any(|o| !o.result_params.is_empty()),
            other => panic!("{other:?}"),
        }
    };
    assert!(read(&[("Device.", nothing), (SSIDS, all)]));
    assert!(!read(&[("Device.", all), (SSIDS, nothing)]));
}

/// TP-469 2.22
#[test]
fn unreadable_parameters_are_left_out_of_a_get() {
    let mut rig = rig_with(&[
        (SSIDS, ["r---"; 4]),
        ("Device.WiFi.SSID.*.SSID", ["----"; 4]),
    ]);
    let Ok(Response::GetResp(resp)) = rig.ask_as(OTHER, usp::msg::get(["Device.WiFi.SSID.1."]))
    else {
        panic!()
    };
    let params = &resp.req_path_results[0].resolved_path_results[0].result_params;
    assert_eq!(params.get("Name"), Some("wl1"));
    assert_eq!(params.get("SSID"), None);
}

/// TP-469 2.23, 2.24
#[test]
fn an_add_through_a_search_meets_each_parents_permission() {
    let rights = ["rw--"; 4];
    let permissions = [
        ("Device.LocalAgent.Controller.", rights),
        ("Device.LocalAgent.Controller.1.BootParameter.", ["r---"; 4]),
    ];
    let table = "Device.LocalAgent.Controller.*.BootParameter.";
    let settings = || vec![required("ParameterName", "Device.DeviceInfo.UpTime")];
    let mut rig = rig_with(&permissions);
    assert_eq!(add(&mut rig, false, table, settings()).unwrap_err(), 7006);
    assert!(
        rig.get("Device.LocalAgent.Controller.*.BootParameter.")
            .resolved_path_results
            .is_empty()
    );
    let results = add(&mut rig, true, table, settings()).unwrap();
    assert!(matches!(&results[0], CreateStatus::OperFailure(failure) if failure.err_code == 7006));
    assert!(matches!(&results[1], CreateStatus::OperSuccess(_)));
}

/// TP-469 2.25, 2.26
#[test]
fn a_forbidden_parameter_matters_only_when_it_is_included() {
    let permissions = [
        (SSIDS, ["rw--"; 4]),
        ("Device.WiFi.SSID.*.Enable", ["r---"; 4]),
    ];
    let mut rig = rig_with(&permissions);
    let omitted = add(&mut rig, false, SSIDS, vec![required("SSID", "x")]).unwrap();
    assert!(matches!(&omitted[0], CreateStatus::OperSuccess(_)));
    let settings = vec![optional("SSID", "y"), required("Enable", "true")];
    let included = add(&mut rig, true, SSIDS, settings).unwrap();
    assert!(matches!(&included[0], CreateStatus::OperFailure(failure) if failure.err_code == 7006));
}

/// TP-469 2.27
#[test]
fn secured_parameters_need_a_secured_role() {
    let mut rig = Rig::new();
    let secret = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase";
    assert_eq!(rig.value(secret), "");
    rig.set(
        "Device.LocalAgent.ControllerTrust.SecuredRoles",
        "Device.LocalAgent.ControllerTrust.Role.1",
    )
    .unwrap();
    assert_eq!(rig.value(secret), "secret-passphrase");
}

/// A banned controller is not served.
#[test]
fn the_banned_role_shuts_the_door() {
    let mut rig = Rig::new();
    let role = rig
        .add(
            "Device.LocalAgent.ControllerTrust.Role.",
            &[("Name", "banned"), ("Enable", "true")],
        )
        .unwrap();
    rig.set("Device.LocalAgent.ControllerTrust.BannedRole", &role)
        .unwrap();
    rig.set("Device.LocalAgent.Controller.2.AssignedRole", &role)
        .unwrap();
    assert!(rig.ask_as(OTHER, usp::msg::get(["Device."])).is_err());
    assert_eq!(rig.engine.controllers().len(), 1);
}

#[test]
fn permissions_are_four_letters_in_order() {
    let mut rig = Rig::new();
    let param = "Device.LocalAgent.ControllerTrust.Role.1.Permission.1.Param";
    for bad in ["rw", "wr--", "rwxz", "rwxn-"] {
        assert_eq!(rig.set(param, bad).unwrap_err().code.0, 7012, "{bad}");
    }
    rig.set(param, "rw-n").unwrap();
}

/// R-GET.1, R-GET.4, R-GIN.0, R-GIN.1, R-GSP.0, R-ADD.6
#[test]
fn what_may_not_be_read_is_as_if_it_were_not_there() {
    let mut rig = rig_with(&[
        (SSIDS, ["rw--"; 4]),
        ("Device.WiFi.SSID.2.", ["----"; 4]),
        ("Device.WiFi.SSID.*.Alias", ["-w--"; 4]),
    ]);
    let mut get = |path: &str| match rig.ask_as(OTHER, usp::msg::get([path])).unwrap() {
        Response::GetResp(mut resp) => resp.req_path_results.remove(0),
        other => panic!("{other:?}"),
    };
    for hidden in [
        "Device.WiFi.SSID.2.",
        "Device.WiFi.SSID.2.SSID",
        "Device.WiFi.AccessPoint.1.",
        "Device.WiFi.AccessPoint.1.Enable",
    ] {
        assert_eq!(get(hidden).err_code, 7026, "{hidden}");
    }
    let seen = |result: msg::RequestedPathResult| {
        let objects = result.resolved_path_results.into_iter();
        objects.map(|o| o.resolved_path).collect::<Vec<_>>()
    };
    let expected = ["Device.WiFi.SSID.1.", "Device.WiFi.SSID.3."];
    assert_eq!(seen(get("Device.WiFi.SSID.*.SSID")), expected);
    assert_eq!(seen(get("Device.WiFi.SSID.")), expected);
    // An expression over what may not be read finds nothing.
    assert!(seen(get("Device.WiFi.SSID.[Alias==\"cpe-1\"].")).is_empty());

    let request = usp::msg::get_instances([SSIDS], true);
    let Ok(Response::GetInstancesResp(resp)) = rig.ask_as(OTHER, request) else {
        panic!()
    };
    let rows = &resp.req_path_results[0].curr_insts;
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_ne!(row.instantiated_obj_path, "Device.WiFi.SSID.2.");
        assert_eq!(row.unique_keys.get("Alias"), None);
        assert!(row.unique_keys.get("Name").is_some());
    }
    let supported = |path: &str| msg::GetSupportedDM {
        obj_paths: vec![path.into()],
        return_params: true,
        ..Default::default()
    };
    for (path, code) in [(SSIDS, 0), ("Device.WiFi.AccessPoint.", 7026)] {
        let request = msg::Request::GetSupportedDm(supported(path));
        let Ok(Response::GetSupportedDmResp(resp)) = rig.ask_as(OTHER, request) else {
            panic!()
        };
        assert_eq!(resp.req_obj_results[0].err_code, code, "{path}");
    }
    let added = add(&mut rig, false, SSIDS, vec![]).unwrap();
    let CreateStatus::OperSuccess(added) = &added[0] else {
        panic!("{added:?}")
    };
    assert_eq!(added.unique_keys.get("Alias"), None);
}

#[test]
fn a_role_that_changes_counts_from_the_next_message() {
    let mut rig = rig_with(&[("Device.WiFi.SSID.1.", ["r---"; 4])]);
    let sees = |rig: &mut Rig, n: u32| {
        let path = format!("Device.WiFi.SSID.{n}.SSID");
        match rig.ask_as(OTHER, usp::msg::get([path])).unwrap() {
            Response::GetResp(resp) => resp.req_path_results[0].err_code == 0,
            other => panic!("{other:?}"),
        }
    };
    let permission = "Device.LocalAgent.ControllerTrust.Role.3.Permission.1.";
    assert!(sees(&mut rig, 1) && !sees(&mut rig, 2));
    rig.set(&format!("{permission}Targets"), "Device.WiFi.SSID.2.")
        .unwrap();
    assert!(!sees(&mut rig, 1) && sees(&mut rig, 2));
    rig.set(&format!("{permission}Enable"), "false").unwrap();
    assert!(!sees(&mut rig, 2));
    // A target that is a search follows the values.
    rig.set(&format!("{permission}Enable"), "true").unwrap();
    let search = "Device.WiFi.SSID.[SSID==\"net3\"].";
    rig.set(&format!("{permission}Targets"), search).unwrap();
    assert!(sees(&mut rig, 3));
    rig.set("Device.WiFi.SSID.3.SSID", "another").unwrap();
    assert!(!sees(&mut rig, 3));
    rig.set("Device.WiFi.SSID.1.SSID", "net3").unwrap();
    assert!(sees(&mut rig, 1));
}
