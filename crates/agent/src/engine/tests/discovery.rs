//! Controllers that a DHCP lease names: their row, what counts more than it, and what is left of earlier ones.

use mtp::discovery::dhcp::Offer;

use super::rig::*;
use crate::limits::{CONTROLLERS_MAX, FOUND_CONTROLLERS_MAX};
use crate::{ControllerConfig, Effect, Found, Reach, Source};

const CONTROLLERS: &str = "Device.LocalAgent.Controller.";

fn offer(id: &str, url: &str) -> Offer {
    Offer {
        url: Some(url.into()),
        provisioning_code: Some("P1".into()),
        retry_min_wait: Some(7),
        retry_multiplier: Some(3000),
        endpoint_id: Some(id.parse().unwrap()),
    }
}

fn find(rig: &mut Rig, offer: &Offer) -> Result<Found, String> {
    let now = rig.now;
    rig.engine.found(now, Source::Lease, offer)
}

/// Endpoint ids and URLs that are dialled.
fn dialled(rig: &Rig) -> Vec<(String, String)> {
    let links = rig.engine.controllers().into_iter();
    links
        .filter_map(|link| match link.reach {
            Reach::WebSocket(url) => Some((link.endpoint_id.to_string(), url)),
            _ => None,
        })
        .collect()
}

fn row(rig: &mut Rig, name: &str) -> String {
    rig.value(&format!("{CONTROLLERS}3.{name}"))
}

/// R-DIS.1, TP-469 8.2
#[test]
fn a_controller_of_a_lease_has_a_row_with_what_the_lease_says() {
    let mut rig = Rig::new();
    rig.effects();
    let found = find(
        &mut rig,
        &offer("self::found", "ws://10.0.0.1:8081/usp/key"),
    );
    assert_eq!(found, Ok(Found::New));
    assert_eq!(row(&mut rig, "EndpointID"), "self::found");
    assert_eq!(row(&mut rig, "Enable"), "true");
    assert_eq!(row(&mut rig, "ProvisioningCode"), "P1");
    assert_eq!(row(&mut rig, "USPNotifRetryMinimumWaitInterval"), "7");
    assert_eq!(row(&mut rig, "USPNotifRetryIntervalMultiplier"), "3000");
    let role = row(&mut rig, "AssignedRole");
    assert_eq!(rig.value(&format!("{role}.Name")), "Untrusted");
    let to = (
        "self::found".to_owned(),
        "ws://10.0.0.1:8081/usp/key".to_owned(),
    );
    assert!(dialled(&rig).contains(&to), "{:?}", dialled(&rig));
    assert!(rig.effects().contains(&Effect::ControllersChanged));
}

#[test]
fn what_a_controller_has_set_since_counts_until_the_lease_says_something_new() {
    let mut rig = Rig::new();
    let first = offer("self::found", "ws://10.0.0.1:8081/usp/key");
    find(&mut rig, &first).unwrap();
    rig.set(
        &format!("{CONTROLLERS}3.MTP.1.WebSocket.Path"),
        "/usp/token",
    )
    .unwrap();
    rig.set(&format!("{CONTROLLERS}3.ProvisioningCode"), "P2")
        .unwrap();
    let again = |rig: &mut Rig, offer: &Offer| find(rig, offer).unwrap();
    assert_eq!(again(&mut rig, &first), Found::Known);
    // The same after a restart.
    let mut leasing = config();
    leasing.discovery.dhcp_lease = Some("lease".into());
    let mut rig = Rig::made(leasing, toy(), rig.flash.clone(), rig.now);
    assert_eq!(again(&mut rig, &first), Found::Known);
    assert_eq!(row(&mut rig, "MTP.1.WebSocket.Path"), "/usp/token");
    assert_eq!(row(&mut rig, "ProvisioningCode"), "P2");
    // A credential goes to no other address that proves nothing.
    for url in [
        "ws://10.0.0.2:8081/usp/key",
        "ws://10.0.0.1:8082/usp/key",
        "wss://10.0.0.2/usp/key",
    ] {
        let reason = find(&mut rig, &offer("self::found", url)).unwrap_err();
        assert!(reason.contains("holds a credential"), "{url}: {reason}");
    }
    assert_eq!(row(&mut rig, "MTP.1.WebSocket.Host"), "10.0.0.1");
    assert_eq!(row(&mut rig, "MTP.1.WebSocket.Port"), "8081");
    assert_eq!(row(&mut rig, "MTP.1.WebSocket.Path"), "/usp/token");
    assert_eq!(row(&mut rig, "ProvisioningCode"), "P2");
}

#[test]
fn a_controller_that_was_configured_is_not_touched_by_a_lease() {
    let mut rig = Rig::new();
    let before = rig.values(&format!("{CONTROLLERS}1."));
    let found = find(&mut rig, &offer(CONTROLLER, "ws://10.9.9.9:1/evil"));
    assert_eq!(found, Ok(Found::Configured));
    assert_eq!(rig.values(&format!("{CONTROLLERS}1.")), before);
}

#[test]
fn of_the_controllers_of_leases_the_last_is_enabled_and_few_are_remembered() {
    let mut rig = Rig::new();
    let id = |n: usize| format!("self::found-{n}");
    let url = |n: usize| format!("ws://10.0.0.{n}:8081/usp");
    let many = FOUND_CONTROLLERS_MAX + 2;
    for n in 1..=many {
        assert_eq!(find(&mut rig, &offer(&id(n), &url(n))), Ok(Found::New));
        let found: Vec<_> = dialled(&rig)
            .into_iter()
            .filter(|(id, _)| id.starts_with("self::found"))
            .collect();
        assert_eq!(found, [(id(n), url(n))]);
    }
    let rows = rig.value("Device.LocalAgent.ControllerNumberOfEntries");
    assert_eq!(rows, (2 + FOUND_CONTROLLERS_MAX).to_string());
    // One that is remembered comes back with what it had.
    let back = many - 1;
    assert_eq!(
        find(&mut rig, &offer(&id(back), &url(back))),
        Ok(Found::Changed)
    );
    assert!(dialled(&rig).contains(&(id(back), url(back))));
    assert_eq!(find(&mut rig, &offer(&id(1), &url(1))), Ok(Found::New));
}

#[test]
fn a_lease_that_cannot_be_used_changes_nothing_and_says_why() {
    let mut rig = Rig::new();
    find(&mut rig, &offer("self::found", "ws://10.0.0.1:8081/usp")).unwrap();
    let before = rig.values(CONTROLLERS);
    let good = offer("self::other-one", "ws://10.0.0.2:8081/usp");
    for (offer, words) in [
        (
            Offer {
                url: None,
                ..good.clone()
            },
            "where the controller is",
        ),
        (
            Offer {
                endpoint_id: None,
                ..good.clone()
            },
            "who the controller is",
        ),
        (offer("self::x", "usp.example.net"), "is not that of"),
        (offer("self::x", "gopher://x"), "is not that of"),
        (
            offer("os::00256D-S1", "ws://10.0.0.1:1/"),
            "names this agent",
        ),
    ] {
        let reason = find(&mut rig, &offer).unwrap_err();
        assert!(reason.contains(words), "{reason}");
        assert_eq!(rig.values(CONTROLLERS), before);
    }
}

#[test]
fn a_broker_of_a_lease_is_met_once_and_with_the_configured_user() {
    let mut config = config();
    config.discovery.mqtt = Some(crate::MqttConfig {
        username: "acme/setup".into(),
        password: "hes_key".into(),
        ..crate::MqttConfig::default()
    });
    config.tls.ca_file = Some("ca.pem".into());
    let mut rig = Rig::configured(config.clone());
    let offer = offer("self::found", "mqtts://10.0.0.1:8883");
    assert_eq!(find(&mut rig, &offer), Ok(Found::New));
    let met = rig
        .engine
        .controllers()
        .into_iter()
        .any(|link| match link.reach {
            Reach::Mqtt(link) => link.host == "10.0.0.1" && link.username == "acme/setup",
            _ => false,
        });
    assert!(met);
    config.controllers[0].url = "mqtt://other:1883".into();
    let mut rig = Rig::configured(config);
    let reason = find(&mut rig, &offer).unwrap_err();
    assert!(reason.contains("only one can be"), "{reason}");
}

#[test]
fn a_full_table_takes_no_controller_of_a_lease() {
    let mut config = config();
    for n in config.controllers.len()..CONTROLLERS_MAX {
        config.controllers.push(ControllerConfig {
            endpoint_id: format!("self::filler-{n}"),
            ..ControllerConfig::default()
        });
    }
    let mut rig = Rig::configured(config);
    let reason = find(&mut rig, &offer("self::found", "ws://10.0.0.1:1/")).unwrap_err();
    assert!(reason.contains("32 controllers already"), "{reason}");
}

#[test]
fn controllers_of_the_local_network_stand_beside_each_other_and_those_of_leases() {
    let mut rig = Rig::new();
    find(&mut rig, &offer("self::lease", "ws://10.0.0.9:1/usp")).unwrap();
    let now = rig.now;
    let mut lan = |n: usize| {
        let offer = Offer {
            url: Some(format!("ws://10.0.0.{n}:1/usp")),
            endpoint_id: Some(format!("self::lan-{n}").parse().unwrap()),
            ..Offer::default()
        };
        rig.engine.found(now, Source::Lan, &offer)
    };
    for n in 1..=FOUND_CONTROLLERS_MAX {
        assert_eq!(lan(n), Ok(Found::New));
    }
    // Whoever comes last pushes nobody out.
    let reason = lan(FOUND_CONTROLLERS_MAX + 1).unwrap_err();
    assert!(reason.contains("4 of the local network"), "{reason}");
    assert_eq!(lan(1), Ok(Found::Known));
    let dialled = dialled(&rig);
    let found = |(id, _): &&(String, String)| id.contains("lan-") || id.contains("lease");
    assert_eq!(
        dialled.iter().filter(found).count(),
        FOUND_CONTROLLERS_MAX + 1
    );
    // What a lease has named is not for the local network to change.
    let other = Offer {
        url: Some("ws://10.6.6.6:1/".into()),
        endpoint_id: Some("self::lease".parse().unwrap()),
        ..Offer::default()
    };
    assert_eq!(
        rig.engine.found(now, Source::Lan, &other),
        Ok(Found::Configured)
    );
}

#[test]
fn a_trusted_controller_of_the_local_network_is_not_kept_out_by_others_that_came_first() {
    let mut config = config();
    config.tls.ca_file = Some("ca.pem".into());
    config.discovery.trusted = vec!["self::trusted".into()];
    let mut rig = Rig::configured(config);
    let now = rig.now;
    let mut lan = |id: &str, scheme: &str| {
        let offer = Offer {
            url: Some(format!("{scheme}://10.0.0.1:1/usp")),
            endpoint_id: Some(id.parse().unwrap()),
            ..Offer::default()
        };
        rig.engine.found(now, Source::Lan, &offer)
    };
    for n in 1..=FOUND_CONTROLLERS_MAX {
        assert_eq!(lan(&format!("self::lan-{n}"), "wss"), Ok(Found::New));
    }
    // Without TLS it is not trusted.
    assert!(lan("self::trusted", "ws").is_err());
    assert_eq!(lan("self::trusted", "wss"), Ok(Found::New));
    // Who was there longest has made room; the others stay.
    let there: Vec<String> = dialled(&rig).into_iter().map(|(id, _)| id).collect();
    let has = |id: &str| there.iter().any(|one| one == id);
    assert!(
        !has("self::lan-1") && has("self::lan-2") && has("self::trusted"),
        "{there:?}"
    );
}
