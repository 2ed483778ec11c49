//! Operate, the Request table and OperationComplete.

use usp::proto::msg::{self, Completion, Notification, OperationResp, Response};

use super::rig::{Rig, SUBSCRIPTION};
use crate::{Effect, Engine, MemoryStorage};

fn operate(
    rig: &mut Rig,
    command: &str,
    key: &str,
    args: &[(&str, &str)],
) -> Vec<msg::OperationResult> {
    let args: usp::Map = args.iter().copied().collect();
    match rig.ask(usp::msg::operate(command, key, args)).unwrap() {
        Response::OperateResp(resp) => resp.operation_results,
        other => panic!("{other:?}"),
    }
}

fn failure(results: &[msg::OperationResult]) -> u32 {
    match &results[0].operation_resp {
        Some(OperationResp::CmdFailure(failure)) => failure.err_code,
        other => panic!("{other:?}"),
    }
}

fn request(results: &[msg::OperationResult]) -> String {
    match &results[0].operation_resp {
        Some(OperationResp::ReqObjPath(path)) => path.clone(),
        other => panic!("{other:?}"),
    }
}

fn completions(rig: &mut Rig) -> Vec<msg::OperationComplete> {
    rig.notifies()
        .into_iter()
        .filter_map(|notify| match notify.notification {
            Notification::OperComplete(complete) => Some(complete),
            _ => None,
        })
        .collect()
}

/// TP-469 1.61, 1.62: a synchronous Reboot() answers with empty output and then restarts.
#[test]
fn reboot_is_answered_and_then_asked_of_the_driver_and_comes_back_with_boot() {
    let mut rig = Rig::new();
    rig.subscribe("Event", "Device.Boot!", &[("Persistent", "true")]);
    rig.add(
        "Device.LocalAgent.Controller.1.BootParameter.",
        &[
            ("Enable", "true"),
            ("ParameterName", "Device.DeviceInfo.SerialNumber"),
        ],
    )
    .unwrap();
    rig.effects();
    let results = operate(&mut rig, "Device.Reboot()", "why-not", &[]);
    assert!(
        matches!(&results[0].operation_resp, Some(OperationResp::ReqOutputArgs(args)) if args.output_args.is_empty())
    );
    let restart = rig.effects().into_iter().find_map(|effect| match effect {
        Effect::Restart(restart) => Some(restart),
        _ => None,
    });
    assert!(
        rig.engine
            .go_down(rig.now, &restart.unwrap())
            .unwrap()
            .is_some()
    );
    rig.engine.come_up(rig.now).unwrap();
    let notifies = rig.notifies();
    let Notification::Event(event) = &notifies[0].notification else {
        panic!("{notifies:?}")
    };
    // TP-469 9.10
    assert_eq!(
        (event.obj_path.as_str(), event.event_name.as_str()),
        ("Device.", "Boot!")
    );
    assert_eq!(event.params.get("Cause"), Some("RemoteReboot"));
    assert_eq!(event.params.get("CommandKey"), Some("why-not"));
    assert_eq!(
        event.params.get("ParameterMap"),
        Some(r#"{"Device.DeviceInfo.SerialNumber":"S1"}"#)
    );
    // The cause is told once.
    rig.engine.come_up(rig.now).unwrap();
    let notifies = rig.notifies();
    let Notification::Event(event) = &notifies[0].notification else {
        panic!()
    };
    assert_eq!(event.params.get("Cause"), Some("LocalReboot"));
}

#[test]
fn a_factory_reset_forgets_what_was_set_and_keeps_the_cause() {
    let mut rig = Rig::new();
    rig.set("Device.WiFi.SSID.1.SSID", "mine").unwrap();
    operate(&mut rig, "Device.FactoryReset()", "", &[]);
    let restart = crate::Restart {
        factory_reset: true,
        ..Default::default()
    };
    rig.engine.go_down(rig.now, &restart).unwrap();
    rig.engine.come_up(rig.now).unwrap();
    assert_eq!(rig.value("Device.WiFi.SSID.1.SSID"), "net1");
    // And after the next power cut it is still forgotten.
    let mut again = Rig::on(rig.flash.clone(), rig.now);
    assert_eq!(again.value("Device.WiFi.SSID.1.SSID"), "net1");
}

/// R-OPR.3; TP-469 1.64
#[test]
fn an_asynchronous_command_has_a_request_and_ends_with_operation_complete() {
    let mut rig = Rig::new();
    rig.subscribe("OperationComplete", "Device.SelfTestDiagnostics()", &[]);
    let results = operate(&mut rig, "Device.SelfTestDiagnostics()", "key1", &[]);
    let row = request(&results);
    assert_eq!(row, "Device.LocalAgent.Request.1.");
    assert_eq!(rig.value(&format!("{row}Status")), "Active");
    assert_eq!(rig.value(&format!("{row}Originator")), "self::controller");
    assert_eq!(rig.value("Device.LocalAgent.RequestNumberOfEntries"), "1");
    // The same key again for the same command collides.
    assert_eq!(
        failure(&operate(
            &mut rig,
            "Device.SelfTestDiagnostics()",
            "key1",
            &[]
        )),
        7022
    );
    rig.engine.notifier().send(crate::Hint::Completed(
        1,
        Ok(vec![("Status".into(), "Complete".into())]),
    ));
    let complete = completions(&mut rig).remove(0);
    assert_eq!(
        (complete.obj_path.as_str(), complete.command_name.as_str()),
        ("Device.", "SelfTestDiagnostics()")
    );
    assert_eq!(complete.command_key, "key1");
    assert!(
        matches!(complete.completion, Some(Completion::ReqOutputArgs(args)) if args.output_args.get("Status") == Some("Complete"))
    );
    assert_eq!(rig.get("Device.LocalAgent.Request.1.").err_code, 7026);
}

/// R-OPR.5, R-OPR.6; TP-469 1.79, 1.91, 1.100, 9.11
#[test]
fn schedule_timer_runs_on_time_survives_a_restart_and_checks_its_arguments() {
    let mut rig = Rig::new();
    rig.subscribe(
        "OperationComplete",
        "Device.ScheduleTimer()",
        &[("Persistent", "true")],
    );
    assert_eq!(
        failure(&operate(&mut rig, "Device.ScheduleTimer()", "t", &[])),
        7027
    );
    assert_eq!(
        failure(&operate(
            &mut rig,
            "Device.ScheduleTimer()",
            "t",
            &[("DelaySeconds", "soon")]
        )),
        7027
    );
    assert!(completions(&mut rig).is_empty());
    request(&operate(
        &mut rig,
        "Device.ScheduleTimer()",
        "t",
        &[("DelaySeconds", "30"), ("Unknown", "x")],
    ));
    rig.pass(29);
    assert!(completions(&mut rig).is_empty());
    let mut rig = Rig::on(rig.flash.clone(), rig.now);
    rig.pass(1);
    let complete = completions(&mut rig).remove(0);
    assert_eq!(
        (complete.obj_path.as_str(), complete.command_key.as_str()),
        ("Device.", "t")
    );
    let mut again = Rig::on(rig.flash.clone(), rig.now);
    assert!(completions(&mut again).is_empty());
}

#[test]
fn cancelling_a_request_completes_it_with_7023() {
    let mut rig = Rig::new();
    rig.subscribe("OperationComplete", "Device.", &[]);
    let row = request(&operate(
        &mut rig,
        "Device.ScheduleTimer()",
        "t",
        &[("DelaySeconds", "3600")],
    ));
    let results = operate(&mut rig, &format!("{row}Cancel()"), "", &[]);
    assert!(matches!(
        &results[0].operation_resp,
        Some(OperationResp::ReqOutputArgs(_))
    ));
    let complete = completions(&mut rig).remove(0);
    assert!(
        matches!(complete.completion, Some(Completion::CmdFailure(failure)) if failure.err_code == 7023)
    );
    rig.pass(3600);
    assert!(completions(&mut rig).is_empty());
}

/// R-OPR.2
#[test]
fn a_command_by_a_search_path_has_a_result_for_each_object_and_none_when_nothing_is_found() {
    let mut rig = Rig::new();
    let mut rows = Vec::new();
    for key in ["a", "b"] {
        let delay = [("DelaySeconds", "3600")];
        rows.push(request(&operate(
            &mut rig,
            "Device.ScheduleTimer()",
            key,
            &delay,
        )));
    }
    let none = "Device.LocalAgent.Request.[CommandKey==\"c\"].Cancel()";
    assert!(operate(&mut rig, none, "", &[]).is_empty());
    let results = operate(&mut rig, "Device.LocalAgent.Request.*.Cancel()", "", &[]);
    let executed: Vec<&str> = results
        .iter()
        .map(|r| r.executed_command.as_str())
        .collect();
    assert_eq!(
        executed,
        rows.iter()
            .map(|row| format!("{row}Cancel()"))
            .collect::<Vec<_>>()
    );
    let good = |r: &msg::OperationResult| {
        matches!(r.operation_resp, Some(OperationResp::ReqOutputArgs(_)))
    };
    assert!(results.iter().all(good));
}

#[test]
fn a_command_that_finishes_at_once_still_completes_after_its_answer() {
    let mut rig = Rig::new();
    rig.subscribe("OperationComplete", "Device.IP.Diagnostics.IPPing()", &[]);
    request(&operate(
        &mut rig,
        "Device.IP.Diagnostics.IPPing()",
        "k",
        &[
            ("Host", "127.0.0.1"),
            ("ProtocolVersion", "Any"),
            ("NumberOfRepetitions", "1"),
            ("Timeout", "100"),
            ("DataBlockSize", "64"),
        ],
    ));
    let Some(Completion::ReqOutputArgs(args)) = completions(&mut rig).remove(0).completion else {
        panic!()
    };
    assert_eq!(args.output_args.get("Host"), Some("127.0.0.1"));
}

/// R-OPR.7; TP-469 1.92: what is not given has the standard's default.
#[test]
fn arguments_that_are_left_out_have_their_defaults() {
    let mut rig = Rig::new();
    let command = "Device.IP.Diagnostics.IPLayerCapacity()";
    rig.subscribe("OperationComplete", command, &[]);
    let given = [("Role", "Receiver"), ("ServerList", "192.0.2.1")];
    request(&operate(&mut rig, command, "k", &given));
    let Some(Completion::ReqOutputArgs(args)) = completions(&mut rig).remove(0).completion else {
        panic!()
    };
    for (name, value) in [
        ("Role", "Receiver"),
        ("MTU", "1500"),
        ("LocalInterfaceRateIncluded", "true"),
        ("AuthenticationEnabled", "false"),
    ] {
        assert_eq!(args.output_args.get(name), Some(value), "{name}");
    }
}

/// `REQUESTS_MAX`, `COMMAND_KEY_CHARS_MAX`
#[test]
fn running_commands_and_their_keys_have_limits() {
    let mut rig = Rig::new();
    for n in 0..crate::limits::REQUESTS_MAX {
        request(&operate(
            &mut rig,
            "Device.SelfTestDiagnostics()",
            &n.to_string(),
            &[],
        ));
    }
    assert_eq!(
        failure(&operate(
            &mut rig,
            "Device.SelfTestDiagnostics()",
            "more",
            &[]
        )),
        7005
    );
    let key = "k".repeat(crate::limits::COMMAND_KEY_CHARS_MAX + 1);
    assert!(
        rig.ask(usp::msg::operate(
            "Device.Reboot()",
            key,
            usp::Map::default()
        ))
        .is_err()
    );
}

#[test]
fn unknown_commands_are_an_error_of_the_message_and_a_failing_one_is_not() {
    let mut rig = Rig::new();
    let error = rig
        .ask(usp::msg::operate("Device.Dance()", "", usp::Map::default()))
        .unwrap_err();
    assert_eq!(error.code.0, 7026);
    let error = rig
        .ask(usp::msg::operate(
            format!("{SUBSCRIPTION}1."),
            "",
            usp::Map::default(),
        ))
        .unwrap_err();
    assert_eq!(error.code.0, 7026);
    let _ = (Engine::date_time(rig.now), MemoryStorage::new());
}
