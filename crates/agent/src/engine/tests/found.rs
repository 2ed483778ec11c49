//! What a lease may not do: take a device's credential, a row of others, or the place of who is trusted.

use mtp::discovery::dhcp::Offer;

use super::rig::*;
use crate::limits::FOUND_CONTROLLERS_MAX;
use crate::{AgentConfig, ControllerConfig, ControllerLink, Found, MqttConfig, Reach, Source};

const CONTROLLERS: &str = "Device.LocalAgent.Controller.";
const ROLES: &str = "Device.LocalAgent.ControllerTrust.Role.";
const CLIENTS: &str = "Device.MQTT.Client.";

/// `self::good` and `self::better` are trusted.
fn leasing() -> AgentConfig {
    let mut config = config();
    config.discovery.dhcp_lease = Some("lease".into());
    config.discovery.trusted = vec!["self::good".into(), "self::better".into()];
    config.tls.ca_file = Some("ca.pem".into());
    config
}

fn find(rig: &mut Rig, id: &str, url: &str) -> Result<Found, String> {
    let offer = Offer {
        url: Some(url.into()),
        endpoint_id: Some(id.parse().unwrap()),
        ..Offer::default()
    };
    let now = rig.now;
    rig.engine.found(now, Source::Lease, &offer)
}

fn again(rig: &Rig, config: AgentConfig) -> Rig {
    Rig::made(config, toy(), rig.flash.clone(), rig.now)
}

fn link(rig: &Rig, id: &str) -> Option<ControllerLink> {
    let links = rig.engine.controllers();
    links
        .into_iter()
        .find(|link| link.endpoint_id.as_str() == id)
}

/// Where it is dialled, if it is.
fn dialled(rig: &Rig, id: &str) -> Option<String> {
    link(rig, id).map(|link| match link.reach {
        Reach::WebSocket(url) => url,
        Reach::Mqtt(link) => format!("{}@{}", link.username, link.host),
        other => panic!("{other:?}"),
    })
}

fn row(rig: &mut Rig, name: &str) -> String {
    rig.value(&format!("{CONTROLLERS}3.{name}"))
}

fn write(rig: &mut Rig, name: &str, value: &str) {
    rig.set(&format!("{CONTROLLERS}3.{name}"), value).unwrap();
}

#[test]
fn what_a_controller_has_given_as_a_credential_stays_whatever_the_lease_says() {
    let mut rig = Rig::configured(leasing());
    find(&mut rig, "self::x", "wss://a.example/usp/key").unwrap();
    // Nobody has given it one yet.
    find(&mut rig, "self::x", "wss://a.example/usp/key2").unwrap();
    assert_eq!(row(&mut rig, "MTP.1.WebSocket.Path"), "/usp/key2");
    write(&mut rig, "MTP.1.WebSocket.Path", "/usp/token");
    let other_key = find(&mut rig, "self::x", "wss://a.example/usp/key3");
    assert_eq!(other_key, Ok(Found::Changed));
    let at = |rig: &Rig| dialled(rig, "self::x").unwrap();
    assert_eq!(at(&rig), "wss://a.example:443/usp/token");
    assert!(!link(&rig, "self::x").unwrap().proves);
    // It goes along to another host, if that shows to be the same controller.
    find(&mut rig, "self::x", "wss://b.example/usp/key3").unwrap();
    assert_eq!(at(&rig), "wss://b.example:443/usp/token");
    assert!(link(&rig, "self::x").unwrap().proves);
    // Not to where nothing is encrypted.
    let reason = find(&mut rig, "self::x", "ws://b.example/usp/key3").unwrap_err();
    assert!(reason.contains("found over TLS"), "{reason}");
    assert_eq!(at(&rig), "wss://b.example:443/usp/token");
}

#[test]
fn another_code_alone_sets_nothing_but_the_code() {
    let mut rig = Rig::configured(leasing());
    let mut offer = Offer {
        url: Some("ws://a.example/usp/key".into()),
        endpoint_id: Some("self::x".parse().unwrap()),
        retry_min_wait: Some(7),
        ..Offer::default()
    };
    let now = rig.now;
    rig.engine.found(now, Source::Lease, &offer).unwrap();
    write(&mut rig, "MTP.1.WebSocket.Path", "/usp/token");
    write(&mut rig, "MTP.1.WebSocket.KeepAliveInterval", "17");
    write(&mut rig, "USPNotifRetryMinimumWaitInterval", "9");
    offer.provisioning_code = Some("P2".into());
    rig.engine.found(now, Source::Lease, &offer).unwrap();
    assert_eq!(row(&mut rig, "ProvisioningCode"), "P2");
    assert_eq!(row(&mut rig, "MTP.1.WebSocket.Path"), "/usp/token");
    assert_eq!(row(&mut rig, "MTP.1.WebSocket.KeepAliveInterval"), "17");
    assert_eq!(row(&mut rig, "USPNotifRetryMinimumWaitInterval"), "9");
}

#[test]
fn who_is_configured_after_a_lease_has_named_it_is_as_configured_from_then_on() {
    let mut rig = Rig::configured(leasing());
    find(&mut rig, "self::x", "ws://10.0.0.1:1/usp/key").unwrap();
    let mut config = leasing();
    config.controllers.push(ControllerConfig {
        endpoint_id: "self::x".into(),
        url: "wss://a.example/usp".into(),
        role: "Full Access".into(),
        ..ControllerConfig::default()
    });
    let mut rig = again(&rig, config);
    assert_eq!(row(&mut rig, "AssignedRole"), format!("{ROLES}1"));
    let evil = find(&mut rig, "self::x", "ws://10.6.6.6:1/");
    assert_eq!(evil, Ok(Found::Configured));
    assert_eq!(
        find(&mut rig, "self::y", "ws://10.0.0.2:1/"),
        Ok(Found::New)
    );
    let to = dialled(&rig, "self::x");
    assert_eq!(to.as_deref(), Some("wss://a.example:443/usp"));
}

#[test]
fn a_row_that_a_controller_has_made_anew_is_not_that_of_a_lease() {
    let mut rig = Rig::configured(leasing());
    find(&mut rig, "self::x", "ws://10.0.0.1:1/usp/key").unwrap();
    delete(&mut rig, false, &[&format!("{CONTROLLERS}3.")]).unwrap();
    rig.add(CONTROLLERS, &[("EndpointID", "self::x")]).unwrap();
    let found = find(&mut rig, "self::x", "ws://10.6.6.6:1/");
    assert_eq!(found, Ok(Found::Configured));
}

#[test]
fn who_is_not_trusted_takes_no_place_of_one_who_is() {
    let mut rig = Rig::configured(leasing());
    find(&mut rig, "self::good", "wss://a.example/usp").unwrap();
    assert!(link(&rig, "self::good").unwrap().proves);
    for n in 0..2 * FOUND_CONTROLLERS_MAX {
        let id = format!("self::evil-{n}");
        let found = find(&mut rig, &id, "wss://evil.example/");
        assert_eq!(found, Ok(Found::New));
        assert!(dialled(&rig, &id).is_some());
        assert!(dialled(&rig, "self::good").is_some());
    }
    let rows = rig.value("Device.LocalAgent.ControllerNumberOfEntries");
    assert_eq!(rows, (2 + FOUND_CONTROLLERS_MAX).to_string());
    // Named again, it is alone again.
    let back = find(&mut rig, "self::good", "wss://a.example/usp");
    assert_eq!(back, Ok(Found::Changed));
    assert_eq!(rig.engine.controllers().len(), 3);
    // To one that is trusted, too, it gives way.
    find(&mut rig, "self::better", "wss://b.example/usp").unwrap();
    assert_eq!(dialled(&rig, "self::good"), None);
    assert_eq!(rig.engine.controllers().len(), 3);
}

#[test]
fn who_is_trusted_is_not_moved_to_where_nothing_is_proven() {
    let mut rig = Rig::configured(leasing());
    find(&mut rig, "self::good", "wss://a.example/usp").unwrap();
    let reason = find(&mut rig, "self::good", "ws://evil.example/").unwrap_err();
    assert!(reason.contains("found over TLS"), "{reason}");
    assert_eq!(row(&mut rig, "AssignedRole"), format!("{ROLES}1"));
    let to = dialled(&rig, "self::good");
    assert_eq!(to.as_deref(), Some("wss://a.example:443/usp"));
}

#[test]
fn a_controller_over_mqtt_makes_room_for_the_next_and_each_keeps_its_own_credential() {
    let mut config = leasing();
    config.discovery.mqtt = Some(MqttConfig {
        username: "acme/setup".into(),
        password: "hes_key".into(),
        ..MqttConfig::default()
    });
    let mut rig = Rig::configured(config);
    // Somebody else's client is not taken.
    let set = [("BrokerAddress", "other.example"), ("Username", "them")];
    let other = rig.add(CLIENTS, &set).unwrap();
    find(&mut rig, "self::x", "mqtts://a.example").unwrap();
    assert_eq!(rig.value(&format!("{other}BrokerAddress")), "other.example");
    let at = |rig: &Rig, id: &str| dialled(rig, id);
    assert_eq!(at(&rig, "self::x").as_deref(), Some("acme/setup@a.example"));
    rig.set(&format!("{CLIENTS}2.Username"), "acme/d1").unwrap();
    find(&mut rig, "self::x", "mqtts://b.example").unwrap();
    assert_eq!(at(&rig, "self::x").as_deref(), Some("acme/d1@b.example"));
    assert_eq!(
        find(&mut rig, "self::y", "mqtts://c.example"),
        Ok(Found::New)
    );
    assert_eq!(at(&rig, "self::y").as_deref(), Some("acme/setup@c.example"));
    assert_eq!(at(&rig, "self::x"), None);
    let back = find(&mut rig, "self::x", "mqtts://b.example");
    assert_eq!(back, Ok(Found::Changed));
    assert_eq!(at(&rig, "self::x").as_deref(), Some("acme/d1@b.example"));
}

#[test]
fn what_somebody_has_disabled_or_given_another_role_stays_so() {
    let mut rig = Rig::configured(leasing());
    find(&mut rig, "self::x", "wss://a.example/usp").unwrap();
    let role = rig.add(ROLES, &[("Name", "Some")]).unwrap();
    write(&mut rig, "AssignedRole", role.trim_end_matches('.'));
    find(&mut rig, "self::x", "wss://b.example/usp").unwrap();
    assert_eq!(row(&mut rig, "AssignedRole"), role.trim_end_matches('.'));
    write(&mut rig, "Enable", "false");
    let found = find(&mut rig, "self::x", "wss://b.example/usp");
    assert_eq!(found, Ok(Found::Configured));
    let mut rig = again(&rig, leasing());
    let found = find(&mut rig, "self::x", "wss://c.example/usp");
    assert_eq!(found, Ok(Found::Configured));
    assert_eq!(row(&mut rig, "Enable"), "false");
}

#[test]
fn trust_that_is_taken_back_and_discovery_that_is_off_count_from_the_next_start() {
    let mut rig = Rig::configured(leasing());
    find(&mut rig, "self::good", "wss://a.example/usp").unwrap();
    let mut config = leasing();
    config.discovery.trusted.clear();
    let mut rig = again(&rig, config);
    assert_eq!(row(&mut rig, "AssignedRole"), format!("{ROLES}2"));
    let mut rig = again(&rig, leasing());
    assert_eq!(row(&mut rig, "AssignedRole"), format!("{ROLES}1"));
    let mut config = leasing();
    config.discovery.dhcp_lease = None;
    let mut rig = again(&rig, config);
    assert_eq!(dialled(&rig, "self::good"), None);
    assert_eq!(row(&mut rig, "Enable"), "false");
    // On again, it comes back with the next lease.
    let mut rig = again(&rig, leasing());
    find(&mut rig, "self::good", "wss://a.example/usp").unwrap();
    assert!(dialled(&rig, "self::good").is_some());
}
