//! Answers of services are looked at before controllers have them: each path that was asked is answered, under its own
//! name, and of nothing that belongs to somebody else.

use usp::msg::{get, required, set_values};
use usp::proto::msg::{
    self, AddResp, CreateStatus, DeleteResp, DeleteStatus, DeletedObjectResult, GetInstances,
    GetInstancesResp, GetResp, InstancesPathResult, OperateResp, OperationResp, OperationResult,
    ParameterError, Request, Response, SetResp, UpdateFailure, UpdateStatus, UpdateSuccess,
    UpdatedInstanceResult, UpdatedObjectResult,
};
use usp::{ErrorCode, Map, UspError};

use super::super::rig::{CONTROLLER, update};
use super::{Answer, Stage, described, object, usual, values};
use crate::Handled;

const FOREIGN: &str = "Device.LocalAgent.Controller.1.";

fn code(answer: Answer) -> u32 {
    match answer {
        Err(error) => error.code.0,
        Ok(Response::SetResp(resp)) => match &resp.updated_obj_results[..] {
            [one] => match &one.oper_status {
                UpdateStatus::OperFailure(failure) => failure.err_code,
                UpdateStatus::OperSuccess(_) => 0,
            },
            other => panic!("{other:?}"),
        },
        Ok(Response::AddResp(resp)) => match &resp.created_obj_results[..] {
            [one] => match &one.oper_status {
                CreateStatus::OperFailure(failure) => failure.err_code,
                CreateStatus::OperSuccess(_) => 0,
            },
            other => panic!("{other:?}"),
        },
        Ok(Response::DeleteResp(resp)) => match &resp.deleted_obj_results[..] {
            [one] => match &one.oper_status {
                DeleteStatus::OperFailure(failure) => failure.err_code,
                DeleteStatus::OperSuccess(_) => 0,
            },
            other => panic!("{other:?}"),
        },
        Ok(Response::OperateResp(resp)) => match &resp.operation_results[..] {
            [one] => {
                assert_eq!(one.executed_command, "Device.X_A.Go()");
                match &one.operation_resp {
                    Some(OperationResp::CmdFailure(failure)) => failure.err_code,
                    _ => 0,
                }
            }
            other => panic!("{other:?}"),
        },
        Ok(other) => panic!("{other:?}"),
    }
}

fn updated(requested: &str, affected: &str, params: &[(&str, &str)]) -> UpdatedObjectResult {
    UpdatedObjectResult {
        requested_path: requested.into(),
        oper_status: UpdateStatus::OperSuccess(UpdateSuccess {
            updated_inst_results: vec![UpdatedInstanceResult {
                affected_path: affected.into(),
                updated_params: params.iter().copied().collect(),
                ..Default::default()
            }],
        }),
    }
}

fn set_resp(updated_obj_results: Vec<UpdatedObjectResult>) -> Answer {
    Ok(Response::SetResp(SetResp {
        updated_obj_results,
    }))
}

#[test]
fn what_a_service_says_it_has_changed_is_its_own() {
    let (mut stage, _) = Stage::with_service("self::one");
    for allow_partial in [false, true] {
        let mut ask = |results: Vec<UpdatedObjectResult>| {
            let mut set = set_values([("Device.X_A.Name", "x")]);
            set.allow_partial = allow_partial;
            code(stage.ask(CONTROLLER, set, |_| set_resp(results.clone())))
        };
        let own = "Device.X_A.";
        assert_eq!(ask(vec![updated(own, own, &[("Name", "x")])]), 0);
        assert_eq!(ask(vec![updated(own, FOREIGN, &[("Enable", "x")])]), 7003);
        assert_eq!(ask(vec![updated(own, FOREIGN, &[])]), 7003);
        // Nothing at all, or something else, is no success.
        assert_eq!(ask(vec![]), 7003);
        assert_eq!(ask(vec![updated("Device.X_A.Row.1.", own, &[])]), 7003);
    }
}

#[test]
fn what_a_service_says_it_has_made_is_its_own() {
    let (mut stage, _) = Stage::with_service("self::one");
    for allow_partial in [false, true] {
        let mut ask = |requested: &str, made: &str| {
            let settings = vec![required("Key", "x")];
            let add = usp::msg::add(allow_partial, [("Device.X_A.Row.".to_owned(), settings)]);
            let answer = |request: &Request| match usual(request) {
                Ok(Response::AddResp(mut resp)) => {
                    let one = &mut resp.created_obj_results[0];
                    one.requested_path = requested.into();
                    if let CreateStatus::OperSuccess(success) = &mut one.oper_status {
                        success.instantiated_path = made.into();
                    }
                    Ok(Response::AddResp(resp))
                }
                other => other,
            };
            code(stage.ask(CONTROLLER, add, answer))
        };
        assert_eq!(ask("Device.X_A.Row.", "Device.X_A.Row.7."), 0);
        assert_eq!(ask("Device.X_A.Row.", FOREIGN), 7003);
        assert_eq!(ask("Device.X_A.Other.", "Device.X_A.Row.7."), 7003);
    }
    let settings = vec![required("Key", "x")];
    let add = usp::msg::add(true, [("Device.X_A.Row.".to_owned(), settings)]);
    let nothing = |_: &Request| Ok(Response::AddResp(AddResp::default()));
    assert_eq!(code(stage.ask(CONTROLLER, add, nothing)), 7003);
}

#[test]
fn what_a_service_says_it_has_deleted_is_its_own() {
    let (mut stage, _) = Stage::with_service("self::one");
    let row = "Device.X_A.Row.1.";
    let mut ask = |requested: &str, gone: &str| {
        let one = DeletedObjectResult {
            requested_path: requested.into(),
            oper_status: DeleteStatus::OperSuccess(msg::DeleteSuccess {
                affected_paths: vec![gone.into()],
                ..Default::default()
            }),
        };
        let resp = DeleteResp {
            deleted_obj_results: vec![one],
        };
        let answer = |_: &Request| Ok(Response::DeleteResp(resp.clone()));
        code(stage.ask(CONTROLLER, usp::msg::delete(true, [row]), answer))
    };
    assert_eq!(ask(row, row), 0);
    assert_eq!(ask(row, FOREIGN), 7003);
    assert_eq!(ask("Device.X_A.Row.2.", row), 7003);
}

#[test]
fn what_a_service_says_it_has_run_is_what_it_was_asked_to_run() {
    let (mut stage, _) = Stage::with_service("self::one");
    let mut ask = |results: &[(&str, Option<OperationResp>)]| {
        let results = results.iter().map(|(command, resp)| OperationResult {
            executed_command: (*command).to_owned(),
            operation_resp: resp.clone(),
        });
        let resp = OperateResp {
            operation_results: results.collect(),
        };
        let answer = |_: &Request| Ok(Response::OperateResp(resp.clone()));
        let go = usp::msg::operate("Device.X_A.Go()", "", Map::new());
        code(stage.ask(CONTROLLER, go, answer))
    };
    let done = Some(OperationResp::ReqOutputArgs(Default::default()));
    let begun = Some(OperationResp::ReqObjPath("Device.R.1.".into()));
    assert_eq!(ask(&[("Device.X_A.Go()", done.clone())]), 0);
    for resp in [done, begun] {
        for command in ["Device.Reboot()", "Device.X_A.Row.1.Go()"] {
            assert_eq!(ask(&[(command, resp.clone())]), 7003, "{command}");
        }
    }
    assert_eq!(ask(&[("Device.X_A.Go()", None)]), 7003);
    assert_eq!(ask(&[]), 7003);
}

#[test]
fn what_a_service_answers_stands_under_the_path_that_it_is_for() {
    let (mut stage, _) = Stage::with_service("self::one");
    let paths = [
        "Device.X_A.Row.1.Key",
        "Device.X_A.Row.2.Key",
        "Device.X_A.Name",
    ];
    // In another order, and not all.
    let answer = |_: &Request| {
        let results = [(2, "b"), (1, "a")].map(|(n, key)| {
            let row = format!("Device.X_A.Row.{n}.");
            values(&format!("{row}Key"), &[(&row, &[("Key", key)])])
        });
        Ok(Response::GetResp(GetResp {
            req_path_results: results.into(),
        }))
    };
    let Ok(Response::GetResp(resp)) = stage.ask(CONTROLLER, get(paths), answer) else {
        panic!("no answer");
    };
    let found: Vec<_> = resp
        .req_path_results
        .iter()
        .map(|one| {
            let objects = one.resolved_path_results.first();
            let key = objects.and_then(|one| one.result_params.get("Key"));
            (one.requested_path.as_str(), one.err_code, key)
        })
        .collect();
    let expected = [
        (paths[0], 0, Some("a")),
        (paths[1], 0, Some("b")),
        (paths[2], 7003, None),
    ];
    assert_eq!(found, expected);

    let rows = |requested: &str| InstancesPathResult {
        requested_path: requested.into(),
        ..Default::default()
    };
    let tables = ["Device.X_A.Row.", "Device.X_A.Other."];
    let request = GetInstances {
        obj_paths: tables.map(str::to_owned).into(),
        ..Default::default()
    };
    let answer = |_: &Request| {
        Ok(Response::GetInstancesResp(GetInstancesResp {
            req_path_results: vec![rows(tables[1])],
        }))
    };
    let Ok(Response::GetInstancesResp(resp)) = stage.ask(CONTROLLER, request, answer) else {
        panic!("no answer");
    };
    let codes = resp.req_path_results.iter();
    let codes: Vec<_> = codes
        .map(|one| (&*one.requested_path, one.err_code))
        .collect();
    assert_eq!(codes, [(tables[0], 7003), (tables[1], 0)]);
}

/// One path twice, and the agent's own among them: each has its place.
#[test]
fn what_is_asked_twice_is_answered_twice_in_its_place() {
    let (mut stage, _) = Stage::with_service("self::one");
    let serial = "Device.DeviceInfo.SerialNumber";
    let paths = [
        serial,
        "Device.X_A.Name",
        serial,
        "Device.X_A.Name",
        "Device.",
    ];
    let Ok(Response::GetResp(resp)) = stage.ask(CONTROLLER, get(paths), usual) else {
        panic!("no answer");
    };
    let results = &resp.req_path_results;
    let asked: Vec<_> = results.iter().map(|one| &*one.requested_path).collect();
    assert_eq!(asked, paths);
    assert!(results.iter().all(|one| one.err_code == 0), "{results:?}");
    assert_eq!(results[0], results[2]);
    assert_eq!(results[1], results[3]);
    let all = &results[4].resolved_path_results;
    let there = |path: &str| all.iter().any(|one| one.resolved_path == path);
    assert!(there("Device.X_A.") && there("Device.DeviceInfo."));
}

/// Each is asked for its part, and what one of them does not answer is missing alone.
#[test]
fn two_services_and_the_agent_have_parts_of_one_get() {
    let (mut stage, _) = Stage::with_service("self::one");
    let two = stage.connect("self::two");
    let paths = ["Device.X_B.", "Device.DeviceInfo.X_T"];
    assert_eq!(stage.register(two, &paths), [0, 0]);
    stage.serve(|request| match request {
        Request::GetSupportedDm(gsdm) => {
            described(vec![object(&gsdm.obj_paths[0], &["Name", "X_T"])])
        }
        other => usual(other),
    });
    let paths = ["Device.", "Device.DeviceInfo.", "Device.X_B.Name"];
    let mut ask = |one_answers: bool| {
        let answer = |request: &Request| match request {
            Request::Get(get) if get.param_paths[0] == "Device.X_A." && !one_answers => {
                Err(UspError::new(ErrorCode::INTERNAL_ERROR, "late"))
            }
            Request::Get(get) => Ok(Response::GetResp(GetResp {
                req_path_results: get
                    .param_paths
                    .iter()
                    .map(|path| match path.rfind('.') {
                        Some(at) if at + 1 == path.len() => {
                            values(path, &[(path, &[("Name", path)])])
                        }
                        Some(at) => values(path, &[(&path[..=at], &[(&path[at + 1..], path)])]),
                        None => panic!("{path}"),
                    })
                    .collect(),
            })),
            other => panic!("{other:?}"),
        };
        match stage.ask(CONTROLLER, get(paths), answer) {
            Ok(Response::GetResp(resp)) => resp.req_path_results,
            other => panic!("{other:?}"),
        }
    };
    let value = |one: &msg::RequestedPathResult, object: &str, name: &str| {
        let mut objects = one.resolved_path_results.iter();
        let found = objects.find(|found| found.resolved_path == object)?;
        found.result_params.get(name).map(str::to_owned)
    };
    for one_answers in [true, false] {
        let results = ask(one_answers);
        assert!(results.iter().all(|one| one.err_code == 0), "{results:?}");
        let [all, info, name] = &results[..] else {
            panic!("{results:?}");
        };
        assert_eq!(value(all, "Device.X_A.", "Name").is_some(), one_answers);
        assert_eq!(
            value(all, "Device.X_B.", "Name").as_deref(),
            Some("Device.X_B.")
        );
        for result in [all, info] {
            let of = |name| value(result, "Device.DeviceInfo.", name);
            assert_eq!(of("SerialNumber").as_deref(), Some("S1"));
            assert_eq!(of("X_T").as_deref(), Some("Device.DeviceInfo.X_T"));
        }
        assert_eq!(
            value(name, "Device.X_B.", "Name").as_deref(),
            Some("Device.X_B.Name")
        );
    }
}

/// A service that has one parameter of an object of the agent's.
fn with_parameter() -> Stage {
    let mut stage = Stage::new();
    let service = stage.connect("self::one");
    assert_eq!(stage.register(service, &["Device.DeviceInfo.X_T"]), [0]);
    stage.serve(|request| match request {
        Request::GetSupportedDm(_) => described(vec![object("Device.DeviceInfo.", &["X_T"])]),
        other => usual(other),
    });
    stage
}

#[test]
fn an_object_of_two_owners_has_one_result() {
    let mut stage = with_parameter();
    let object = "Device.DeviceInfo.";
    let mut ask = |own: &str, answer: Answer| {
        let settings = vec![required("ProvisioningCode", own), required("X_T", "20")];
        let set = msg::Set {
            allow_partial: true,
            update_objs: vec![update(object, settings)],
        };
        match stage.ask(CONTROLLER, set, |_| answer.clone()) {
            Ok(Response::SetResp(mut resp)) => {
                assert_eq!(resp.updated_obj_results.len(), 1, "{resp:?}");
                resp.updated_obj_results.remove(0).oper_status
            }
            other => panic!("{other:?}"),
        }
    };
    let done = || set_resp(vec![updated(object, object, &[("X_T", "20")])]);
    let UpdateStatus::OperSuccess(both) = ask("code", done()) else {
        panic!("no success");
    };
    let [one] = &both.updated_inst_results[..] else {
        panic!("{both:?}");
    };
    let param = |name| one.updated_params.get(name);
    assert_eq!(
        (param("ProvisioningCode"), param("X_T")),
        (Some("code"), Some("20"))
    );

    let failed = |status: UpdateStatus| match status {
        UpdateStatus::OperFailure(failure) => failure,
        other => panic!("{other:?}"),
    };
    // What the other one has changed cannot be taken back, and is said.
    let error = ParameterError {
        param: "X_T".into(),
        err_code: 7012,
        err_msg: "too warm".into(),
    };
    let refused = UpdateStatus::OperFailure(UpdateFailure {
        err_code: 7012,
        err_msg: "too warm".into(),
        updated_inst_failures: vec![msg::UpdatedInstanceFailure {
            affected_path: object.into(),
            param_errs: vec![error],
        }],
    });
    let one = UpdatedObjectResult {
        requested_path: object.into(),
        oper_status: refused,
    };
    let failure = failed(ask("other", set_resp(vec![one])));
    assert_eq!(failure.err_code, 7012);
    assert_eq!(failure.updated_inst_failures.len(), 1);
    assert_eq!(
        failure.err_msg,
        "too warm; changed all the same: ProvisioningCode"
    );
    let long = "x".repeat(100);
    let failure = failed(ask(&long, done()));
    assert!(
        failure.err_msg.ends_with("; changed all the same: X_T"),
        "{failure:?}"
    );
    let gone = || Err(UspError::new(ErrorCode::INTERNAL_ERROR, "gone"));
    assert_eq!(failed(ask("third", gone())).err_code, 7003);
    assert_eq!(
        stage.rig.value(&format!("{object}ProvisioningCode")),
        "third"
    );

    // An object that is named twice is two.
    let settings = |value: &str| vec![required("X_T", value)];
    let set = msg::Set {
        allow_partial: true,
        update_objs: vec![update(object, settings("1")), update(object, settings("2"))],
    };
    let answer = |_: &Request| {
        let one = |value| updated(object, object, &[("X_T", value)]);
        set_resp(vec![one("1"), one("2")])
    };
    let Ok(Response::SetResp(resp)) = stage.ask(CONTROLLER, set, answer) else {
        panic!("no answer");
    };
    assert_eq!(resp.updated_obj_results.len(), 2);
}

#[test]
fn what_a_service_was_to_change_and_said_nothing_of_may_be_done() {
    let requests: [(Request, bool); 5] = [
        (get(["Device.X_A."]).into(), false),
        (set_values([("Device.X_A.Name", "x")]).into(), true),
        (
            usp::msg::add(false, [("Device.X_A.Row.".to_owned(), Vec::new())]).into(),
            true,
        ),
        (usp::msg::delete(false, ["Device.X_A.Row.1."]).into(), true),
        (
            usp::msg::operate("Device.X_A.Go()", "k", Map::new()).into(),
            true,
        ),
    ];
    for (request, changes) in requests {
        for goes in [false, true] {
            let (mut stage, service) = Stage::with_service("self::one");
            let begun = stage.begin(CONTROLLER, request.clone());
            assert!(matches!(begun, Handled::Later(_)), "{begun:?}");
            stage.effects();
            let (_, ask, _) = stage.open.remove(0);
            let now = stage.rig.now;
            match goes {
                true => stage.rig.engine.service_gone(now, service),
                false => stage.rig.engine.service_silent(now, ask, "it says nothing"),
            }
            stage.effects();
            let (_, answer) = stage.answered.pop().unwrap();
            let text = match answer {
                Err(error) if error.code.0 == 7003 => error.message,
                Ok(Response::GetResp(mut resp)) => resp.req_path_results.remove(0).err_msg,
                other => panic!("{other:?}"),
            };
            let why = ["it says nothing", "the service self::one is gone"][usize::from(goes)];
            let may_be_done = ["", ", and may have done it"][usize::from(changes)];
            assert_eq!(text, format!("{why}{may_be_done}"));
        }
    }
}
