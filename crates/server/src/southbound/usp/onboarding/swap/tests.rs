//! Where the credential stands on a device, by what it shows.

use super::*;

fn row(values: &[(&str, &str)]) -> OwnRow {
    let values = values
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect();
    OwnRow {
        path: "Device.LocalAgent.Controller.2.".into(),
        values,
    }
}

fn swapped(own: &OwnRow, came: &str) -> Option<(String, String)> {
    let (tenant, device) = (
        TenantId::parse("acme").unwrap(),
        DeviceId(uuid::Uuid::nil()),
    );
    let mut settings = target(own, came)?.settings(&tenant, device, "T");
    assert_eq!(settings.len(), 1);
    settings.pop()
}

#[test]
fn the_mqtt_client_is_found_by_every_way_in_which_agents_name_it() {
    let mtps = |values: &[(&str, &str)]| -> Vec<(String, String)> {
        let full = |(n, v): &(&str, &str)| (format!("Device.LocalAgent.MTP.{n}"), (*v).to_owned());
        values.iter().map(full).collect()
    };
    let all = mtps(&[
        ("1.Protocol", "WebSocket"),
        ("2.Protocol", "MQTT"),
        ("2.MQTT.Reference", "Device.MQTT.Client.5"),
        ("3.Protocol", "MQTT"),
        ("3.MQTT.Reference", "Device.MQTT.Client.6."),
    ]);
    let of = |values: &[(&str, &str)], all: &[_]| client_of(&row(values), all, Client::of(MQTT));
    let ours = ("MTP.1.Protocol", "MQTT");
    let through = ("MTP.1.MQTT.AgentMTPReference", "Device.LocalAgent.MTP.3");
    let client = |n: u32| Some(format!("Device.MQTT.Client.{n}."));
    assert_eq!(of(&[ours, through], &all), client(6));
    let direct = ("MTP.1.MQTT.Reference", "Device.MQTT.Client.7");
    assert_eq!(of(&[ours, direct], &all), client(7));
    assert_eq!(of(&[ours], &[]), None);
    assert_eq!(of(&[ours], &all[..3]), client(5));
    let same = ("3.MQTT.Reference", "Device.MQTT.Client.5.");
    let same = [&all[..4], &mtps(&[same])].concat();
    assert_eq!(of(&[ours], &same), client(5));
    let elsewhere = mtps(&[
        ("2.Protocol", "MQTT"),
        ("2.MQTT.Reference", "Device.Users.User.1"),
    ]);
    assert_eq!(of(&[ours], &elsewhere), None);
    // Another that speaks MQTT may be somebody else's way to the device, unless it is off.
    assert_eq!(of(&[ours], &all), None);
    assert_eq!(of(&[ours], &all[..4]), None);
    let off = [&all[..], &mtps(&[("3.Enable", "false")])].concat();
    assert_eq!(of(&[ours], &off), client(5));
}

#[test]
fn the_last_part_of_the_devices_own_path_is_replaced() {
    let own = row(&[
        ("MTP.1.Protocol", "MQTT"),
        ("MTP.2.Protocol", "WebSocket"),
        ("MTP.2.Enable", "false"),
        ("MTP.2.WebSocket.Path", "/old"),
        ("MTP.3.Protocol", "WebSocket"),
        ("MTP.3.Enable", "true"),
        ("MTP.3.WebSocket.Path", "/behind/a/proxy/hes_1"),
    ]);
    let (parameter, path) = swapped(&own, "/usp/hes_1").unwrap();
    assert_eq!(
        parameter,
        "Device.LocalAgent.Controller.2.MTP.3.WebSocket.Path"
    );
    assert_eq!(path, "/behind/a/proxy/T");
}

#[test]
fn a_path_that_is_not_shown_is_taken_from_the_request() {
    let own = row(&[
        ("MTP.1.Protocol", "WebSocket"),
        ("MTP.1.WebSocket.Path", ""),
    ]);
    assert_eq!(swapped(&own, "/usp/hes_1").unwrap().1, "/usp/T");
    assert!(target(&row(&[("MTP.1.Protocol", "MQTT")]), "/usp/hes_1").is_none());
}
