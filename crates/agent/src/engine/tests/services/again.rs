//! What a service does not answer at once: it keeps what it has registered, and is asked again, more and more seldom.

use std::collections::{BTreeMap, BTreeSet};

use usp::msg::get;
use usp::proto::msg::{Request, Response};
use usp::{ErrorCode, UspError};

use super::super::rig::CONTROLLER;
use super::{Answer, Stage, usual};
use crate::Handled;
use crate::limits::{
    SERVICE_AGAIN_MAX, SERVICE_AGAIN_MIN, SERVICE_ANSWER_TIME_MAX, SERVICE_SUBSCRIBING_MAX,
};

fn refused(code: u32) -> Answer {
    Err(UspError::new(ErrorCode(code), "not now"))
}

#[test]
fn a_path_stays_with_its_service_until_that_says_what_is_there() {
    let mut stage = Stage::new();
    let (one, two) = (stage.connect("self::one"), stage.connect("self::two"));
    assert_eq!(stage.register(one, &["Device.X_A."]), [0]);
    // It is just starting, and its first answers do not come in time, or are errors, or say nothing.
    let mut asked = 0;
    let mut silent = |stage: &mut Stage| {
        stage.serve(|request| match request {
            Request::GetSupportedDm(_) => {
                asked += 1;
                match asked % 3 {
                    0 => super::described(Vec::new()),
                    1 => refused(7003),
                    _ => refused(7005),
                }
            }
            other => usual(other),
        });
        asked
    };
    assert_eq!(silent(&mut stage), 1);
    assert_eq!(stage.get(CONTROLLER, "Device.X_A.").err_code, 7026);
    assert_eq!(stage.register(two, &["Device.X_A."]), [7029]);
    assert_eq!(silent(&mut stage), 1, "not before its time");
    stage.rig.pass(SERVICE_AGAIN_MIN.as_secs());
    assert_eq!(silent(&mut stage), 2);
    // More and more seldom, but for ever.
    let minutes = 10;
    for _ in 0..minutes * 60 {
        stage.rig.pass(1);
        silent(&mut stage);
    }
    let most = 8 + minutes * 60 / SERVICE_AGAIN_MAX.as_secs();
    let times = silent(&mut stage);
    assert!((9..=most).contains(&times), "{times}");
    assert_eq!(stage.register(two, &["Device.X_A."]), [7029]);
    stage.rig.pass(SERVICE_AGAIN_MAX.as_secs());
    stage.serve(usual);
    assert_eq!(stage.get(CONTROLLER, "Device.X_A.").err_code, 0);
    assert!(matches!(
        stage.begin(CONTROLLER, get(["Device.X_A.Name"])),
        Handled::Later(_)
    ));
}

/// Some at a time, whatever there is; and what a service cannot take now it is asked to take later.
#[test]
fn each_of_many_subscriptions_is_made_although_a_service_fails_at_some() {
    const MANY: usize = 300;
    let (mut stage, _) = Stage::with_service("self::one");
    let references: Vec<String> = (1..=MANY)
        .map(|n| format!("Device.X_A.Row.{n}.Key"))
        .collect();
    stage
        .rig
        .subscribe("ValueChange", &references.join(","), &[("ID", "many")]);
    let mut times = BTreeMap::new();
    let mut made = BTreeSet::new();
    for _ in 0..4 {
        loop {
            stage.effects();
            assert!(stage.open.len() <= SERVICE_SUBSCRIBING_MAX);
            if stage.open.is_empty() {
                break;
            }
            let (_, ask, request) = stage.open.remove(0);
            let Request::Add(add) = &request else {
                panic!("{request:?}")
            };
            let mut settings = add.create_objs[0].param_settings.iter();
            let reference = settings.find(|one| one.param == "ReferenceList");
            let reference = reference.unwrap().value.clone();
            let time = times.entry(reference.clone()).or_insert(0);
            *time += 1;
            let n = references.iter().position(|one| *one == reference);
            let answer = match (n.unwrap() % 10, *time) {
                (0, _) => refused(7012),
                (1, 1) => refused(7005),
                (2, 1 | 2) => refused(7003),
                (3, 1) => Ok(Response::AddResp(Default::default())),
                _ => usual(&request),
            };
            if answer == usual(&request) {
                assert!(made.insert(reference), "once is enough");
            }
            let now = stage.rig.now;
            stage.rig.engine.service_answered(now, ask, answer);
        }
        stage.rig.pass(SERVICE_ANSWER_TIME_MAX.as_secs());
    }
    // All but those that the service itself does not want, which are not asked for again.
    assert_eq!(made.len(), MANY - MANY / 10);
    for (n, reference) in references.iter().enumerate() {
        let expected = [1, 2, 3, 2].get(n % 10).copied().unwrap_or(1);
        assert_eq!(times[reference], expected, "{reference}");
    }
}
