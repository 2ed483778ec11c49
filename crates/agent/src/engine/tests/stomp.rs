//! USP over STOMP in the data model: what the configuration file fills, what a controller changes, what is shown.

use super::rig::*;
use crate::{Effect, Reach, StompConfig, StompLink};

const CONNECTION: &str = "Device.STOMP.Connection.1.";

fn rig() -> Rig {
    let mut config = config();
    config.controllers[0].url = "stomps://broker.example:61700".into();
    config.controllers[0].stomp = Some(StompConfig {
        username: "acme/setup".into(),
        password: "hes_key".into(),
        virtual_host: "/".into(),
        ..StompConfig::default()
    });
    Rig::configured(config)
}

fn link(rig: &Rig) -> StompLink {
    match &rig.engine.controllers()[0].reach {
        Reach::Stomp(link) => (**link).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_file_fills_the_rows_and_they_say_how_to_dial() {
    // R-STOMP.5, R-STOMP.8, R-STOMP.15
    let mut rig = rig();
    let found = link(&rig);
    assert_eq!((found.host.as_str(), found.port), ("broker.example", 61700));
    assert!(found.encrypted);
    let topic = |whose| format!("/topic/usp.acme.{whose}.os::00256D-S1");
    assert_eq!(found.destination, topic("controller"));
    assert_eq!(found.own_destination, topic("agent"));
    assert_eq!(
        (found.password.as_str(), found.virtual_host.as_str()),
        ("hes_key", "/")
    );
    assert_eq!(found.heart_beat, Some((30_000, 30_000)));
    let row = "Device.LocalAgent.Controller.1.MTP.1.";
    assert_eq!(rig.value(&format!("{row}Protocol")), "STOMP");
    let reference = CONNECTION.trim_end_matches('.');
    assert_eq!(rig.value(&format!("{row}STOMP.Reference")), reference);
    assert_eq!(rig.value("Device.STOMP.ConnectionNumberOfEntries"), "1");
    // A password is never shown.
    assert_eq!(rig.value(&format!("{CONNECTION}Password")), "");
    assert!(!format!("{found:?}").contains("hes_key"));
    rig.set(&format!("{CONNECTION}EnableHeartbeats"), "false")
        .unwrap();
    assert_eq!(link(&rig).heart_beat, None);
}

/// TP-469 6.1
#[test]
fn the_parameters_that_an_agent_over_stomp_needs_are_supported() {
    let model = crate::model(&["Device.DeviceInfo.!only"]).unwrap();
    let connection = "Device.STOMP.Connection.{i}.";
    let names = [
        "Alias",
        "Enable",
        "Status",
        "Host",
        "Port",
        "VirtualHost",
        "ServerRetryInitialInterval",
        "ServerRetryIntervalMultiplier",
        "ServerRetryMaxInterval",
        "EnableHeartbeats",
        "OutgoingHeartbeat",
        "IncomingHeartbeat",
    ];
    let own = "Device.LocalAgent.MTP.{i}.STOMP.";
    let theirs = "Device.LocalAgent.Controller.{i}.MTP.{i}.STOMP.";
    let all = names.map(|name| format!("{connection}{name}"));
    let refs = [own, theirs]
        .into_iter()
        .flat_map(|object| ["Reference", "Destination"].map(|name| format!("{object}{name}")));
    for path in all.into_iter().chain(refs) {
        assert!(model.param(&path).is_some(), "{path}");
    }
}

#[test]
fn a_new_credential_of_a_controller_is_dialled_with_and_survives() {
    let mut rig = rig();
    rig.effects();
    rig.ask(usp::msg::set_values([
        (format!("{CONNECTION}Username"), "acme/0198"),
        (format!("{CONNECTION}Password"), "hed_own"),
    ]))
    .unwrap();
    assert!(rig.effects().contains(&Effect::ControllersChanged));
    // The device itself is not asked to apply it.
    assert!(rig.applied.lock().unwrap().is_empty());
    let found = link(&rig);
    assert_eq!(
        (found.username.as_str(), found.password.as_str()),
        ("acme/0198", "hed_own")
    );
    rig.set(&format!("{CONNECTION}Enable"), "false").unwrap();
    assert!(rig.engine.controllers().iter().all(|one| one.instance != 1));
    assert_eq!(rig.value(&format!("{CONNECTION}Status")), "Disabled");
}

#[test]
fn a_connection_is_shown_with_where_its_server_says_that_the_agent_listens() {
    // R-STOMP.14
    let mut rig = rig();
    let found = link(&rig);
    let mtp = format!("Device.LocalAgent.MTP.{}.", found.mtp);
    let told = format!("{mtp}STOMP.DestinationFromServer");
    let status = format!("{CONNECTION}Status");
    assert_eq!(rig.value(&status), "Connecting");
    assert_eq!(rig.value(&format!("{mtp}Status")), "Down");
    let never = rig.value(&format!("{CONNECTION}LastChangeDate"));
    for destination in ["/queue/told", ""] {
        let now = rig.now;
        rig.engine.set_stomp(now, &found, Some(destination));
        assert_eq!(rig.value(&status), "Enabled");
        assert_eq!(rig.value(&format!("{mtp}Status")), "Up");
        assert_eq!(rig.value(&told), destination);
        assert_ne!(rig.value(&format!("{CONNECTION}LastChangeDate")), never);
    }
    let now = rig.now;
    rig.engine.set_stomp(now, &found, None);
    assert_eq!(rig.value(&format!("{mtp}Status")), "Down");
}
