//! USP over MQTT in the data model: what the configuration file fills, what a controller changes, what is shown.

use super::rig::*;
use crate::{Effect, MqttConfig, MqttLink, Reach};

const CLIENT: &str = "Device.MQTT.Client.1.";

fn rig() -> Rig {
    let mut config = config();
    config.controllers[0].url = "mqtts://broker.example:8884".into();
    config.controllers[0].mqtt = Some(MqttConfig {
        username: "acme/setup".into(),
        password: "hes_key".into(),
        ..MqttConfig::default()
    });
    Rig::configured(config)
}

fn link(rig: &Rig) -> MqttLink {
    match &rig.engine.controllers()[0].reach {
        Reach::Mqtt(link) => (**link).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_file_fills_the_rows_and_they_say_how_to_dial() {
    let mut rig = rig();
    let found = link(&rig);
    assert_eq!((found.host.as_str(), found.port), ("broker.example", 8884));
    assert!(found.encrypted);
    assert_eq!(found.topic, "usp/acme/controller/os::00256D-S1");
    assert_eq!(found.response_topic, "usp/acme/agent/os::00256D-S1");
    assert_eq!(found.password, "hes_key");
    let row = "Device.LocalAgent.Controller.1.MTP.1.";
    assert_eq!(rig.value(&format!("{row}Protocol")), "MQTT");
    let mtp = rig.value(&format!("{row}MQTT.AgentMTPReference"));
    let client = rig.value(&format!("{mtp}.MQTT.Reference"));
    assert_eq!(client, CLIENT.trim_end_matches('.'));
    assert_eq!(rig.value("Device.MQTT.ClientNumberOfEntries"), "1");
    // A password is never shown.
    assert_eq!(rig.value(&format!("{CLIENT}Password")), "");
    assert!(!format!("{found:?}").contains("hes_key"));
}

#[test]
fn a_new_credential_of_a_controller_is_dialled_with_and_survives() {
    let mut rig = rig();
    rig.effects();
    rig.ask(usp::msg::set_values([
        (format!("{CLIENT}Username"), "acme/0198"),
        (format!("{CLIENT}Password"), "hed_own"),
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
    rig.set(&format!("{CLIENT}Enable"), "false").unwrap();
    assert!(rig.engine.controllers().iter().all(|one| one.instance != 1));
    assert_eq!(rig.value(&format!("{CLIENT}Status")), "Disabled");
}

#[test]
fn a_connection_is_shown_and_an_assigned_client_identifier_is_kept_for_ever() {
    // R-MQTT.9
    let mut rig = rig();
    let before = link(&rig);
    assert_eq!(rig.value(&format!("{CLIENT}Status")), "Connecting");
    rig.engine
        .set_mqtt(&before, Some(("usp/acme/agent/x", Some("chosen"))));
    assert_eq!(rig.value(&format!("{CLIENT}Status")), "Connected");
    assert_eq!(
        rig.value(&format!("{CLIENT}ResponseInformation")),
        "usp/acme/agent/x"
    );
    let mtp = format!("Device.LocalAgent.MTP.{}.", before.mtp);
    assert_eq!(rig.value(&format!("{mtp}Status")), "Up");
    assert_eq!(
        rig.value(&format!("{mtp}MQTT.ResponseTopicDiscovered")),
        "usp/acme/agent/x"
    );
    assert_eq!(link(&rig).client_id, "chosen");
    rig.engine
        .set_mqtt(&before, Some(("usp/acme/agent/x", Some("another"))));
    assert_eq!(link(&rig).client_id, "chosen");
    rig.engine.set_mqtt(&before, None);
    assert_eq!(rig.value(&format!("{mtp}Status")), "Down");
}
