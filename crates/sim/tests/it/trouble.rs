//! Faults on demand.

use crate::acs::{Acs, Visit, knock, until};
use cwmp::event::EventCode;
use cwmp::fault::FaultCode;
use cwmp::reach::http::Outcome;
use cwmp::rpc::*;
use cwmp::value::Value;
use sim::cwmp::{Fleet, Kind};
use std::sync::atomic::Ordering;

async fn with(troubles: &str) -> (std::sync::Arc<Acs>, Fleet, Visit) {
    let acs = Acs::start(None).await;
    let mut config = acs.fleet(Kind::Tr181, 1);
    config.troubles = troubles.parse().unwrap();
    let fleet = Fleet::start(config).await.unwrap();
    let first = acs.visit("the device", |visit| visit.complete).await;
    (acs, fleet, first)
}

fn set(value: &str) -> SetParameterValues {
    let path = "Device.WiFi.SSID.1.SSID";
    SetParameterValues {
        parameters: vec![ParameterValue::new(path, Value::string(value))],
        parameter_key: "k".into(),
    }
}

#[tokio::test]
async fn large_batches_are_refused_and_small_ones_are_not() {
    let (acs, _fleet, first) = with("batch=3,batch-fault=9002").await;
    let names = |count| GetParameterValues {
        names: (0..count)
            .map(|_| "Device.DeviceInfo.UpTime".to_owned())
            .collect(),
    };
    let refused = acs.ask_now(&first, names(4)).await.unwrap_err();
    assert_eq!(refused.code, FaultCode::INTERNAL_ERROR);
    acs.ask_now(&first, names(3)).await.unwrap();
    // So are partial paths that mean too much.
    let whole = GetParameterValues {
        names: vec!["Device.DeviceInfo.".into()],
    };
    let refused = acs.ask_now(&first, whole).await.unwrap_err();
    assert_eq!(refused.code, FaultCode::INTERNAL_ERROR);
}

#[tokio::test]
async fn the_empty_path_is_refused_by_those_that_do_not_know_it() {
    let (acs, _fleet, first) = with("no-empty-path").await;
    let names = |path: &str| GetParameterNames {
        path: path.into(),
        next_level: true,
    };
    let refused = acs.ask_now(&first, names("")).await.unwrap_err();
    assert_eq!(refused.code, FaultCode::INVALID_PARAMETER_NAME);
    acs.ask_now(&first, names("Device.")).await.unwrap();
}

/// The first session has no request that could be struck.
#[tokio::test]
async fn a_session_that_breaks_is_tried_again_and_its_request_was_carried_out_or_not() {
    for (troubles, carried_out) in [("drops=1000", false), ("loses=1000", true)] {
        let (acs, fleet, first) = with(troubles).await;
        acs.forget_visits();
        let add = || AddObject {
            object_name: "Device.NAT.PortMapping.".into(),
            parameter_key: "k".into(),
        };
        // It breaks at one of the first three.
        (0..6).for_each(|_| acs.ask(add()));
        assert_eq!(knock(&first).await, Outcome::Accepted);
        let failed = || fleet.counts().failed.load(Ordering::Relaxed);
        until("the break", || (failed() > 0).then_some(())).await;
        assert_eq!(knock(&first).await, Outcome::Accepted);
        let retry = |visit: &Visit| visit.inform.retry_count > 0;
        acs.visit("the next session", retry).await;
        until("its break", || (failed() > 1).then_some(())).await;
        let visits = acs.visits();
        let broken: Vec<_> = visits.iter().filter(|visit| !visit.complete).collect();
        let answered = broken[0].answers.len() as u64;
        assert!(answered < 3);
        // Numbers go up by one for each that was carried out.
        let next = visits
            .iter()
            .skip(1)
            .find_map(|visit| match visit.answers.first() {
                Some(Ok(Response::AddObject(added))) => Some(added.instance_number.0),
                _ => None,
            });
        if let Some(next) = next {
            let lost = u64::from(carried_out);
            assert_eq!(next, 2 + answered + lost);
        }
    }
}

#[tokio::test]
async fn a_device_that_does_not_survive_a_request_comes_back_with_a_boot_and_no_key() {
    let (acs, _fleet, first) = with("reboots=1000").await;
    acs.forget_visits();
    (0..3).for_each(|_| acs.ask(set("done")));
    assert_eq!(knock(&first).await, Outcome::Accepted);
    let visit = acs
        .visit("the restart", |visit| visit.has(&EventCode::Boot))
        .await;
    let causes = |event: &EventStruct| matches!(event.code, EventCode::Method(_));
    assert!(!visit.inform.events.iter().any(causes));
}
