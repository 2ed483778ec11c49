//! Commands that take a while in a service end, whatever becomes of the service's word on it.

use usp::proto::msg::{
    self, Completion, Deregister, GetResp, Notification, OperationComplete, OperationResp, Request,
    Response,
};
use usp::{ErrorCode, Map, UspError};

use super::super::rig::{CONTROLLER, OTHER};
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

/// Answers a look at the row of a command: the error code of its path, or its status where there is one.
fn row(request: &Request, code: u32, status: Option<&str>) -> Answer {
    let Request::Get(get) = request else {
        panic!("{request:?}")
    };
    let row = &get.param_paths[0];
    assert_eq!(row, "Device.LocalAgent.Request.9.");
    let mut one = match status {
        Some(status) => values(row, &[(row, &[("Status", status)])]),
        None => values(row, &[]),
    };
    one.err_code = code;
    Ok(Response::GetResp(GetResp {
        req_path_results: vec![one],
    }))
}

/// Lets the service answer all that it is asked so. Says how often it was.
fn look(stage: &mut Stage, answer: impl Fn(&Request) -> Answer) -> usize {
    let mut looked = 0;
    stage.serve(|request| {
        looked += 1;
        answer(request)
    });
    looked
}

fn runs(request: &Request) -> Answer {
    row(request, 0, Some("Active"))
}

fn busy(_: &Request) -> Answer {
    Err(UspError::new(ErrorCode::RESOURCES_EXCEEDED, "busy"))
}

/// What a row says of its end: the error code of its path, its status, and the code that is told; 0 is a success.
const ENDED: [(u32, Option<&str>, u32); 5] = [
    (7026, None, 7022),
    (0, None, 7022),
    (0, Some("Error"), 7022),
    (0, Some("Canceled"), 7023),
    (0, Some("Success"), 0),
];

#[test]
fn a_command_of_which_no_subscription_tells_ends_with_its_row_at_the_service() {
    for (code, status, told) in ENDED {
        let (mut stage, _) = stage(|request| match request {
            Request::Add(_) => Err(UspError::new(ErrorCode(7004), "no subscriptions")),
            other => usual(other),
        });
        begin(&mut stage, "k");
        assert_eq!(look(&mut stage, runs), 0, "not at once");
        stage.rig.pass(SERVICE_AGAIN_MIN.as_secs());
        assert_eq!(look(&mut stage, runs), 1);
        stage.rig.pass(SERVICE_AGAIN_MIN.as_secs());
        assert_eq!(look(&mut stage, runs), 0, "later and later");
        stage.rig.pass(SERVICE_AGAIN_MAX.as_secs());
        assert_eq!(look(&mut stage, busy), 1);
        assert_eq!(ends(&mut stage), []);
        stage.rig.pass(SERVICE_AGAIN_MAX.as_secs());
        assert_eq!(look(&mut stage, |request| row(request, code, status)), 1);
        assert_eq!(
            ends(&mut stage),
            [("k".to_owned(), told)],
            "{code} {status:?}"
        );
        assert_eq!(stage.rig.values(REQUESTS), []);
        // Its key can be used again.
        begin(&mut stage, "k");
    }
}

#[test]
fn a_command_ends_with_its_row_where_a_subscription_stands_and_the_service_says_nothing() {
    for (code, status, told) in ENDED {
        let (mut stage, _) = stage(usual);
        begin(&mut stage, "k");
        let over = |request: &Request| row(request, code, status);
        // Now and then is enough, and it has time to say it itself.
        stage.rig.pass(SERVICE_AGAIN_MIN.as_secs());
        assert_eq!(look(&mut stage, runs), 0);
        stage.rig.pass(SERVICE_AGAIN_MAX.as_secs());
        assert_eq!(look(&mut stage, over), 1);
        assert_eq!(ends(&mut stage), []);
        // Gone once and there again is not over.
        stage.rig.pass(SERVICE_AGAIN_MAX.as_secs());
        assert_eq!(look(&mut stage, runs), 1);
        stage.rig.pass(SERVICE_AGAIN_MAX.as_secs());
        assert_eq!(look(&mut stage, over), 1);
        assert_eq!(ends(&mut stage), []);
        stage.rig.pass(SERVICE_AGAIN_MAX.as_secs());
        assert_eq!(look(&mut stage, over), 1);
        assert_eq!(
            ends(&mut stage),
            [("k".to_owned(), told)],
            "{code} {status:?}"
        );
        assert_eq!(stage.rig.values(REQUESTS), []);
    }
}

#[test]
fn what_a_service_says_of_an_end_counts_before_what_its_row_says() {
    let (mut stage, service) = stage(usual);
    begin(&mut stage, "k");
    stage.rig.pass(SERVICE_AGAIN_MAX.as_secs());
    let gone = |request: &Request| row(request, 7026, None);
    assert_eq!(look(&mut stage, gone), 1);
    let notify = usp::msg::notify("headend-broker-1", complete("k"));
    let now = stage.rig.now;
    stage.rig.engine.service_notified(now, service, notify);
    assert_eq!(ends(&mut stage), [("k".to_owned(), 0)]);
    stage.rig.pass(SERVICE_AGAIN_MAX.as_secs());
    assert_eq!(look(&mut stage, gone), 0);
}

#[test]
fn a_command_that_its_service_does_not_cancel_runs_on() {
    let (mut stage, service) = stage(usual);
    begin(&mut stage, "k");
    let row = stage.rig.values(REQUESTS)[0].0.clone();
    let (row, _) = row.rsplit_once('.').unwrap();
    let cancel = format!("{row}.Cancel()");
    let status = format!("{row}.Status");
    let failure = msg::CommandFailure {
        err_code: 7022,
        err_msg: "too late".into(),
    };
    let answers = [
        (Some(OperationResp::CmdFailure(failure)), "Active"),
        (None, "Active"),
        (
            Some(OperationResp::ReqOutputArgs(Default::default())),
            "Canceling",
        ),
    ];
    for (said, after) in answers {
        let operate = usp::msg::operate(cancel.clone(), "", Map::new());
        stage.ask(CONTROLLER, operate, usual).unwrap();
        assert_eq!(stage.rig.value(&status), "Canceling");
        let asked = look(&mut stage, |request| match request {
            Request::Operate(operate) if said.is_some() => {
                Ok(Response::OperateResp(msg::OperateResp {
                    operation_results: vec![msg::OperationResult {
                        executed_command: operate.command.clone(),
                        operation_resp: said.clone(),
                    }],
                }))
            }
            other => busy(other),
        });
        assert_eq!(asked, 1);
        assert_eq!(stage.rig.value(&status), after);
    }
    let now = stage.rig.now;
    let mut canceled = complete("k");
    canceled.completion = Some(Completion::CmdFailure(msg::CommandFailure {
        err_code: 7023,
        err_msg: "cancelled".into(),
    }));
    let notify = usp::msg::notify("headend-broker-1", canceled);
    stage.rig.engine.service_notified(now, service, notify);
    assert_eq!(ends(&mut stage), [("k".to_owned(), 7023)]);
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

/// The code with which a command fails at once; `None`: its service is asked.
fn refused(stage: &mut Stage, who: &str, command: &str, key: &str) -> Option<u32> {
    match stage.begin(who, usp::msg::operate(command, key, Map::new())) {
        Handled::Later(_) => None,
        Handled::Now(Ok(Response::OperateResp(resp))) => {
            match &resp.operation_results[0].operation_resp {
                Some(OperationResp::CmdFailure(failure)) => Some(failure.err_code),
                other => panic!("{other:?}"),
            }
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_command_is_not_sent_to_its_service_twice_with_one_key() {
    let (mut stage, _) = stage(usual);
    let rows = "Device.X_A.Row.*.Go()";
    let searched = "Device.X_A.Row.[Key==\"k\"].Go()";
    let row = "Device.X_A.Row.1.Go()";
    stage.allow_other(&[("Device.X_A.", ["rw--", "rw--", "rw--", "r-xn"])]);
    // Whether the service has answered the first one or not.
    for answered in [false, true] {
        for (first, second) in [(GO, GO), (rows, rows), (rows, row), (row, searched)] {
            let key = format!("{answered} {first} {second}");
            assert_eq!(refused(&mut stage, CONTROLLER, first, &key), None);
            if answered {
                stage.serve(|request| match request {
                    Request::Operate(operate) => {
                        let mut operate = operate.clone();
                        operate.command = operate.command.replace('*', "1");
                        usual(&operate.into())
                    }
                    other => panic!("{other:?}"),
                });
            }
            for who in [CONTROLLER, OTHER] {
                let code = refused(&mut stage, who, second, &key);
                assert_eq!(code, Some(7022), "{key}");
            }
        }
        // Other rows, other keys, other commands.
        for (command, key) in [("Device.X_A.Row.2.Go()", "x"), (GO, "x"), (row, "x")] {
            let key = format!("{answered} {key}");
            assert_eq!(refused(&mut stage, CONTROLLER, command, &key), None);
        }
    }
}

#[test]
fn a_command_that_ends_with_its_answer_takes_no_place_of_those_that_run() {
    let (mut stage, _) = stage(|request| match usual(request) {
        Ok(Response::GetSupportedDmResp(mut resp)) => {
            for object in &mut resp.req_obj_results[0].supported_objs {
                object.supported_commands[0].command_type = msg::CmdType::SYNC;
            }
            Ok(Response::GetSupportedDmResp(resp))
        }
        other => other,
    });
    for _ in 0..3 {
        assert_eq!(refused(&mut stage, CONTROLLER, GO, ""), None);
    }
}

#[test]
fn no_more_commands_are_sent_to_services_than_can_run() {
    let (mut stage, _) = stage(usual);
    for n in 0..REQUESTS_MAX - 1 {
        begin(&mut stage, &n.to_string());
    }
    assert_eq!(refused(&mut stage, CONTROLLER, GO, "last"), None);
    let code = refused(&mut stage, CONTROLLER, GO, "one more");
    assert_eq!(code, Some(7005));
}
