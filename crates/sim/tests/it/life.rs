//! Boots, restarts, schedules, and what the management server object says.

use crate::acs::{Acs, SOON, until};
use cwmp::event::{Cause, EventCode};
use cwmp::rpc::*;
use cwmp::value::Value;
use sim::cwmp::{Fleet, Kind};
use std::sync::atomic::Ordering;
use std::time::Duration;

fn management(kind: Kind, settings: &[(&str, Value)]) -> SetParameterValues {
    let parameters = settings.iter().map(|(name, value)| {
        let path = format!("{}ManagementServer.{name}", kind.root());
        ParameterValue::new(path, value.clone())
    });
    SetParameterValues {
        parameters: parameters.collect(),
        parameter_key: String::new(),
    }
}

#[tokio::test]
async fn a_reboot_ends_the_session_goes_down_and_comes_back_with_its_key() {
    let acs = Acs::start(None).await;
    let (_fleet, first) = acs.one(Kind::Tr098).await;
    let reboot = Reboot {
        command_key: "r1".into(),
    };
    acs.ask_now(&first, reboot).await.unwrap();
    acs.forget_visits();
    let back = acs
        .visit("the device to be back", |visit| visit.complete)
        .await;
    assert!(back.has(&EventCode::Boot) && !back.has(&EventCode::Bootstrap));
    assert_eq!(back.key(&EventCode::Method(Cause::Reboot)), Some("r1"));
    // Once.
    acs.ask_now(&first, GetRpcMethods {}).await.unwrap();
    assert!(!acs.visits()[0].has(&EventCode::Method(Cause::Reboot)));
}

#[tokio::test]
async fn a_factory_reset_forgets_what_was_set() {
    let acs = Acs::start(None).await;
    let (_fleet, first) = acs.one(Kind::Tr181).await;
    let path = "Device.WiFi.SSID.1.SSID";
    let set = SetParameterValues {
        parameters: vec![ParameterValue::new(path, Value::string("mine"))],
        parameter_key: "k".into(),
    };
    acs.ask_now(&first, set).await.unwrap();
    acs.ask_now(&first, FactoryReset {}).await.unwrap();
    acs.forget_visits();
    let back = acs
        .visit("the device to be back", |visit| visit.complete)
        .await;
    assert!(back.has(&EventCode::Bootstrap));
    let get = GetParameterValues {
        names: vec![path.into()],
    };
    let Response::GetParameterValues(read) = acs.ask_now(&first, get).await.unwrap() else {
        panic!();
    };
    assert_eq!(read.parameters[0].value.text, "Hearth-0001");
}

#[tokio::test]
async fn informs_come_by_the_interval_and_when_they_are_scheduled() {
    let acs = Acs::start(None).await;
    let (_fleet, first) = acs.one(Kind::Tr181).await;
    let soon = [("PeriodicInformInterval", Value::unsigned(1))];
    acs.ask_now(&first, management(Kind::Tr181, &soon))
        .await
        .unwrap();
    acs.forget_visits();
    let count = || {
        let periodic = acs
            .visits()
            .into_iter()
            .filter(|visit| visit.has(&EventCode::Periodic));
        periodic.count()
    };
    until("three periodic informs", || (count() >= 3).then_some(())).await;
    let off = [("PeriodicInformEnable", Value::boolean(false))];
    acs.ask_now(&first, management(Kind::Tr181, &off))
        .await
        .unwrap();
    let schedule = ScheduleInform {
        delay_seconds: 1,
        command_key: "s1".into(),
    };
    acs.ask_now(&first, schedule).await.unwrap();
    let came = acs
        .visit("the inform", |visit| visit.has(&EventCode::Scheduled))
        .await;
    assert_eq!(
        came.key(&EventCode::Method(Cause::ScheduleInform)),
        Some("s1")
    );
    assert!(!came.has(&EventCode::Periodic));
}

#[tokio::test]
async fn another_acs_and_other_credentials_are_taken_over() {
    let first_acs = Acs::start(Some("factory")).await;
    let second_acs = Acs::start(Some("mine")).await;
    let (_fleet, first) = first_acs.one(Kind::Tr098).await;
    let there = [
        ("URL", Value::string(second_acs.url())),
        ("Password", Value::string("mine")),
        ("ConnectionRequestUsername", Value::string("acs")),
        ("ConnectionRequestPassword", Value::string("knock knock")),
    ];
    first_acs
        .ask_now(&first, management(Kind::Tr098, &there))
        .await
        .unwrap();
    let moved = second_acs.visit("the device", |visit| visit.complete).await;
    assert!(moved.has(&EventCode::Bootstrap) && !moved.has(&EventCode::Boot));
    let url = moved.inform.ending("ConnectionRequestURL").unwrap();
    use cwmp::reach::http::Outcome;
    assert_eq!(crate::acs::knock(&moved).await, Outcome::Unauthorized);
    second_acs.forget_visits();
    let knocked = crate::acs::knock_as(url, "acs", "knock knock").await;
    assert_eq!(knocked, Outcome::Accepted);
    let came = second_acs.visit("the device", |visit| visit.complete).await;
    assert!(came.has(&EventCode::ConnectionRequest) && !came.has(&EventCode::Bootstrap));
    assert_eq!(second_acs.posts_without_cookie(), 0);
}

#[tokio::test]
async fn a_device_with_a_flash_is_known_when_it_comes_back() {
    let acs = Acs::start(None).await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = acs.fleet(Kind::Tr181, 1);
    config.data = Some(folder.path().to_owned());
    let fleet = Fleet::start(config.clone()).await.unwrap();
    let first = acs.visit("the device", |visit| visit.complete).await;
    let path = "Device.WiFi.SSID.1.SSID";
    let set = SetParameterValues {
        parameters: vec![ParameterValue::new(path, Value::string("kept"))],
        parameter_key: "k".into(),
    };
    acs.ask_now(&first, set).await.unwrap();
    fleet.stop().await;
    acs.forget_visits();
    let _fleet = Fleet::start(config).await.unwrap();
    let second = acs.visit("the device", |visit| visit.complete).await;
    assert!(second.has(&EventCode::Boot) && !second.has(&EventCode::Bootstrap));
    let get = GetParameterValues {
        names: vec![path.into()],
    };
    let Response::GetParameterValues(read) = acs.ask_now(&second, get).await.unwrap() else {
        panic!();
    };
    assert_eq!(read.parameters[0].value.text, "kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_devices_come_at_once_and_all_come_back_after_a_power_cut() {
    const MANY: u32 = 300;
    let acs = Acs::start(Some("factory")).await;
    let mut config = acs.fleet(Kind::Tr181, MANY / 2);
    config.counts.push((Kind::Tr098, MANY / 2));
    let fleet = Fleet::start(config).await.unwrap();
    let settled = || fleet.counts().settled.load(Ordering::Relaxed) == u64::from(MANY);
    until("all devices", || settled().then_some(())).await;
    acs.forget_visits();
    (0..fleet.len()).for_each(|device| fleet.power_cut(device, Duration::from_millis(10)));
    let back = || {
        acs.visits()
            .iter()
            .filter(|visit| visit.has(&EventCode::Boot))
            .count()
    };
    until("all to be back", || {
        (back() >= MANY as usize && settled()).then_some(())
    })
    .await;
    assert_eq!(fleet.counts().failed.load(Ordering::Relaxed), 0);
    tokio::time::timeout(SOON, fleet.stop()).await.unwrap();
}
