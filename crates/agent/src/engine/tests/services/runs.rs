//! Commands that take a while in a service end, whatever becomes of the service's word on it.

use usp::proto::msg::{
    self, Completion, Deregister, GetResp, Notification, OperationComplete, OperationResp, Request,
    Response,
};
use usp::{ErrorCode, Map, UspError};

use super::super::rig::CONTROLLER;
use super::{Answer, Stage, usual, values};
use crate::limits::{REQUESTS_MAX, SERVICE_AGAIN_MAX, SERVICE_AGAIN_MIN};
use crate::{Effect, Handled};

const GO: &str = "Device.X_A.Go()";
const REQUESTS: &str = "Device.LocalAgent.Request.";

fn go(key: &str) -> msg::Operate {
    usp::msg::operate(GO, key, Map::new())
}

/// A service whose command somebody waits for, and how it answers a subscription.
fn stage(answer: impl FnMut(&Request) -> Answer) -> (Stage, u32) {
    let mut stage = Stage::new();
    let service = stage.connect("self::one");
    assert_eq!(stage.register(service, &["Device.X_A."]), [0]);
    stage.serve(answer);
    stage
        .rig
        .subscribe("OperationComplete", GO, &[("ID", "done")]);
    (stage, service)
}

fn begin(stage: &mut Stage, key: &str) {
    match stage.ask(CONTROLLER, go(key), usual) {
        Ok(Response::OperateResp(resp)) => {
            let resp = &resp.operation_results[0].operation_resp;
            assert!(
                matches!(resp, Some(OperationResp::ReqObjPath(_))),
                "{resp:?}"
            );
        }
        other => panic!("{other:?}"),
    }
}

fn complete(key: &str) -> OperationComplete {
    OperationComplete {
        obj_path: "Device.X_A.".into(),
        command_name: "Go()".into(),
        command_key: key.into(),
        completion: Some(Completion::ReqOutputArgs(Default::default())),
    }
}

/// What is told of the ends of commands: the key, and the code of a failure.
fn ends(stage: &mut Stage) -> Vec<(String, u32)> {
    stage.effects();
    let told = std::mem::take(&mut stage.notified).into_iter();
    told.filter_map(|notify| match notify.notification {
        Notification::OperComplete(one) => Some(match one.completion {
            Some(Completion::CmdFailure(failure)) => (one.command_key, failure.err_code),
            _ => (one.command_key, 0),
        }),
        _ => None,
    })
    .collect()
}

#[test]
fn a_command_ends_when_its_service_gives_it_back() {
    let (mut stage, service) = stage(usual);
    begin(&mut stage, "k");
    let now = stage.rig.now;
    let other = Deregister {
        paths: vec!["Device.X_B.".into()],
    };
    stage.rig.engine.deregister(now, service, &other);
    assert_eq!(ends(&mut stage), []);
    let all = Deregister { paths: Vec::new() };
    stage.rig.engine.deregister(now, service, &all);
    assert_eq!(ends(&mut stage), [("k".to_owned(), 7022)]);
    assert_eq!(stage.rig.values(REQUESTS), []);
    // Nobody is told twice.
    let notify = usp::msg::notify("headend-broker-1", complete("k"));
    stage.rig.engine.service_notified(now, service, notify);
    assert_eq!(ends(&mut stage), []);
}

#[test]
fn a_command_of_which_no_subscription_tells_ends_with_its_row_at_the_service() {
    for last in ["gone", "empty", "over"] {
        let (mut stage, _) = stage(|request| match request {
            Request::Add(_) => Err(UspError::new(ErrorCode(7004), "no subscriptions")),
            other => usual(other),
        });
        begin(&mut stage, "k");
        let mut looked = 0;
        let mut look = |stage: &mut Stage, say: &str| {
            stage.serve(|request| {
                let Request::Get(get) = request else {
                    panic!("{request:?}")
                };
                looked += 1;
                let row = &get.param_paths[0];
                assert_eq!(row, "Device.LocalAgent.Request.9.");
                let mut one = match say {
                    "busy" => return Err(UspError::new(ErrorCode::RESOURCES_EXCEEDED, "busy")),
                    "runs" => values(row, &[(row, &[("Status", "Active")])]),
                    "over" => values(row, &[(row, &[("Status", "Success")])]),
                    _ => values(row, &[]),
                };
                if say == "gone" {
                    one.err_code = 7026;
                }
                Ok(Response::GetResp(GetResp {
                    req_path_results: vec![one],
                }))
            });
            looked
        };
        assert_eq!(look(&mut stage, "runs"), 0, "not at once");
        stage.rig.pass(SERVICE_AGAIN_MIN.as_secs());
        assert_eq!(look(&mut stage, "runs"), 1);
        stage.rig.pass(SERVICE_AGAIN_MIN.as_secs());
        assert_eq!(look(&mut stage, "runs"), 1, "later and later");
        stage.rig.pass(SERVICE_AGAIN_MAX.as_secs());
        assert_eq!(look(&mut stage, "busy"), 2);
        assert_eq!(ends(&mut stage), []);
        stage.rig.pass(SERVICE_AGAIN_MAX.as_secs());
        assert_eq!(look(&mut stage, last), 3);
        assert_eq!(ends(&mut stage), [("k".to_owned(), 7022)], "{last}");
        assert_eq!(stage.rig.values(REQUESTS), []);
        // Its key can be used again.
        begin(&mut stage, "k");
    }
}

#[test]
fn a_command_that_ends_before_its_begin_is_answered_is_told_after_that() {
    let (mut stage, service) = stage(usual);
    let Handled::Later(job) = stage.begin(CONTROLLER, go("k")) else {
        panic!("answered at once");
    };
    stage.effects();
    let (_, ask, request) = stage.open.remove(0);
    let now = stage.rig.now;
    for key in ["k", "another"] {
        let notify = usp::msg::notify("headend-broker-1", complete(key));
        stage.rig.engine.service_notified(now, service, notify);
    }
    // What nobody waits for is told at once.
    assert_eq!(ends(&mut stage), [("another".to_owned(), 0)]);
    let engine = &mut stage.rig.engine;
    engine.service_answered(now, ask, usual(&request));
    let told: Vec<_> = stage
        .rig
        .effects()
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Answer { job: of, .. } => Some(format!("answer {}", of == job)),
            Effect::Notify(outgoing) => Some(outgoing.notify.subscription_id),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["answer true", "done"]);
    assert_eq!(stage.rig.values(REQUESTS), []);

    // No more are kept than commands can run at once.
    let begun = stage.begin(CONTROLLER, go("k"));
    assert!(matches!(begun, Handled::Later(_)));
    stage.effects();
    for _ in 0..REQUESTS_MAX + 3 {
        let notify = usp::msg::notify("headend-broker-1", complete("k"));
        stage.rig.engine.service_notified(now, service, notify);
    }
    assert_eq!(ends(&mut stage).len(), 3);
}
