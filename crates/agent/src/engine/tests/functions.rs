//! Subscriptions, Periodic!, onboarding, and what survives.

use usp::proto::msg::{self, Notification};

use super::rig::{Rig, SUBSCRIPTION, toy};
use crate::{Effect, MemoryStorage};

fn changes(rig: &mut Rig) -> Vec<(String, String, String)> {
    rig.notifies()
        .into_iter()
        .filter_map(|notify| match notify.notification {
            Notification::ValueChange(change) => Some((
                notify.subscription_id,
                change.param_path,
                change.param_value,
            )),
            _ => None,
        })
        .collect()
}

const CODE: &str = "Device.LocalAgent.Controller.1.ProvisioningCode";

/// TP-469 1.52, 1.53
#[test]
fn a_value_change_is_notified_until_the_subscription_is_deleted() {
    let mut rig = Rig::new();
    let path = rig.subscribe("ValueChange", CODE, &[("ID", "s1")]);
    rig.set(CODE, "one").unwrap();
    assert_eq!(
        changes(&mut rig),
        [("s1".into(), CODE.into(), "one".into())]
    );
    // The same value is no change.
    rig.set(CODE, "one").unwrap();
    assert!(changes(&mut rig).is_empty());
    rig.ask(usp::msg::delete(false, [path])).unwrap();
    assert!(rig.effects().contains(&Effect::SubscriptionGone(1)));
    rig.set(CODE, "two").unwrap();
    assert!(changes(&mut rig).is_empty());
}

/// TP-469 1.54, 1.56: the policy goes with the notification.
#[test]
fn retry_and_expiration_go_with_the_notification() {
    let mut rig = Rig::new();
    rig.subscribe(
        "ValueChange",
        CODE,
        &[("NotifRetry", "true"), ("NotifExpiration", "20")],
    );
    rig.set(CODE, "x").unwrap();
    let outgoing = rig.effects().into_iter().find_map(|effect| match effect {
        Effect::Notify(outgoing) => Some(outgoing),
        _ => None,
    });
    let outgoing = outgoing.unwrap();
    assert!(outgoing.notify.send_resp);
    let retry = outgoing.retry.unwrap();
    assert_eq!(
        (
            retry.min_wait.as_secs(),
            retry.multiplier,
            retry.expires.unwrap().as_secs()
        ),
        (5, 2000, 20)
    );
}

/// TP-469 1.55
#[test]
fn a_subscription_with_a_time_to_live_goes_by_itself() {
    let mut rig = Rig::new();
    rig.subscribe("ValueChange", CODE, &[("TimeToLive", "20")]);
    rig.set(CODE, "a").unwrap();
    assert_eq!(changes(&mut rig).len(), 1);
    rig.pass(20);
    assert!(rig.get(SUBSCRIPTION).resolved_path_results.is_empty());
    rig.set(CODE, "b").unwrap();
    assert!(changes(&mut rig).is_empty());
}

/// TP-469 1.57, 1.58
#[test]
fn creation_and_deletion_of_rows_are_notified() {
    let mut rig = Rig::new();
    rig.subscribe("ObjectCreation", SUBSCRIPTION, &[]);
    rig.subscribe("ObjectDeletion", "Device.LocalAgent.Subscription.*.", &[]);
    let path = rig.subscribe("ValueChange", CODE, &[("ID", "third")]);
    rig.ask(usp::msg::delete(false, [path.clone()])).unwrap();
    let notifies = rig.notifies();
    let creation = notifies
        .iter()
        .find_map(|notify| match &notify.notification {
            Notification::ObjCreation(creation) if creation.obj_path == path => Some(creation),
            _ => None,
        });
    assert_eq!(creation.unwrap().unique_keys.get("ID"), Some("third"));
    let deletion = Notification::ObjDeletion(msg::ObjectDeletion { obj_path: path });
    assert!(
        notifies
            .iter()
            .any(|notify| notify.notification == deletion)
    );
}

/// TP-469 1.59
#[test]
fn periodic_events_come_an_interval_apart() {
    let mut rig = Rig::new();
    rig.set("Device.LocalAgent.Controller.1.PeriodicNotifInterval", "60")
        .unwrap();
    rig.subscribe("Event", "Device.LocalAgent.Periodic!", &[]);
    rig.effects();
    let mut at = Vec::new();
    for second in 1..=200 {
        rig.pass(1);
        at.extend(rig.notifies().iter().map(|_| second));
    }
    assert_eq!(at, [60, 120, 180]);
}

/// TP-469 1.60, 1.101, 1.102, 1.103
#[test]
fn on_board_requests_are_repeated_until_onboarding_is_complete() {
    let mut rig = Rig::new();
    assert!(
        rig.effects().contains(&Effect::OnBoard(1)),
        "an agent that is not onboarded introduces itself"
    );
    let row = "Device.LocalAgent.Controller.1.";
    rig.set(&format!("{row}OnBoardingRestartTime"), "60")
        .unwrap();
    rig.engine.on_board_answered(rig.now, 1);
    rig.pass(59);
    assert!(!rig.effects().contains(&Effect::OnBoard(1)));
    rig.pass(1);
    assert!(rig.effects().contains(&Effect::OnBoard(1)));
    rig.set(&format!("{row}OnBoardingComplete"), "true")
        .unwrap();
    assert!(rig.effects().contains(&Effect::OnBoardingDone(1)));
    rig.engine.on_board_answered(rig.now, 1);
    rig.pass(120);
    assert!(!rig.effects().contains(&Effect::OnBoard(1)));

    rig.ask(usp::msg::operate(
        format!("{row}SendOnBoardRequest()"),
        "",
        usp::Map::default(),
    ))
    .unwrap();
    let requests = rig
        .effects()
        .into_iter()
        .filter(|effect| *effect == Effect::OnBoard(1))
        .count();
    assert_eq!(requests, 1);
    assert_eq!(rig.value(&format!("{row}OnBoardingComplete")), "false");
    rig.set(&format!("{row}OnBoardingRestartTime"), "0")
        .unwrap();
    rig.engine.on_board_answered(rig.now, 1);
    rig.pass(600);
    assert!(!rig.effects().contains(&Effect::OnBoard(1)));
    let request = rig.engine.on_board_request(rig.now);
    assert_eq!(
        (request.oui.as_str(), request.serial_number.as_str()),
        ("00256D", "S1")
    );
}

/// TP-469 1.78
#[test]
fn deleting_a_controller_deletes_its_subscriptions_after_a_last_word() {
    let mut rig = Rig::new();
    rig.subscribe("ObjectDeletion", "Device.LocalAgent.Controller.*.", &[]);
    rig.ask(usp::msg::delete(false, ["Device.LocalAgent.Controller.1."]))
        .unwrap();
    assert!(rig.notifies().iter().any(|notify| matches!(&notify.notification,
        Notification::ObjDeletion(deletion) if deletion.obj_path == "Device.LocalAgent.Controller.1.")));
    assert!(
        rig.ask(usp::msg::get(["Device."])).is_err(),
        "it is nobody's controller any more"
    );
    assert!(
        rig.engine
            .state
            .instances(super::super::SUBSCRIPTIONS)
            .next()
            .is_none()
    );
}

/// TP-469 1.84
#[test]
fn a_subscription_through_a_wildcard_or_search_fires_for_the_instance_that_changed() {
    let mut rig = Rig::new();
    rig.subscribe("ValueChange", "Device.WiFi.SSID.*.SSID", &[("ID", "wild")]);
    rig.subscribe(
        "ValueChange",
        "Device.WiFi.SSID.[Name==\"wl3\"].SSID",
        &[("ID", "search")],
    );
    rig.subscribe("ValueChange", "Device.WiFi.", &[("ID", "below")]);
    rig.set("Device.WiFi.SSID.2.SSID", "x").unwrap();
    let ids: Vec<String> = changes(&mut rig).into_iter().map(|(id, ..)| id).collect();
    assert_eq!(ids, ["wild", "below"]);
    rig.set("Device.WiFi.SSID.3.SSID", "y").unwrap();
    assert_eq!(changes(&mut rig).len(), 3);
}

#[test]
fn hints_of_the_device_reach_subscribers() {
    let mut rig = Rig::new();
    rig.subscribe("ObjectCreation", "Device.Hosts.Host.", &[]);
    rig.subscribe("ValueChange", "Device.Hosts.Host.1.PhysAddress", &[]);
    rig.effects();
    rig.engine
        .notifier()
        .send(crate::Hint::Added("Device.Hosts.Host.2.".into()));
    rig.engine.notifier().send(crate::Hint::Changed(
        "Device.Hosts.Host.1.PhysAddress".into(),
    ));
    let notifies = rig.notifies();
    assert!(
        matches!(&notifies[0].notification, Notification::ObjCreation(c) if c.obj_path == "Device.Hosts.Host.2.")
    );
    assert!(
        matches!(&notifies[1].notification, Notification::ValueChange(c) if c.param_value == "00:11:22:33:44:01")
    );
}

/// TP-469 1.93, 1.94
#[test]
fn a_trigger_action_configures_and_notifies_when_wanted() {
    for (action, notified) in [("Config", 0), ("NotifyAndConfig", 1)] {
        let mut rig = Rig::new();
        let path = rig.subscribe("ValueChange", CODE, &[("TriggerAction", action)]);
        rig.set(
            &format!("{path}TriggerConfigSettings"),
            &format!("{path}Enable=false"),
        )
        .unwrap();
        rig.set(CODE, "go").unwrap();
        assert_eq!(rig.value(&format!("{path}Enable")), "false", "{action}");
        assert_eq!(changes(&mut rig).len(), notified, "{action}");
    }
}

#[test]
fn a_subscription_to_nothing_real_is_refused() {
    let mut rig = Rig::new();
    for (kind, reference) in [
        ("ValueChange", "Device.Nothing.Here"),
        ("ValueChange", "not..a path"),
        ("Event", "Device.LocalAgent.EndpointID"),
        ("OperationComplete", "Device.Boot!"),
    ] {
        let settings = [
            ("Enable", "true"),
            ("NotifType", kind),
            ("ReferenceList", reference),
        ];
        assert_eq!(
            rig.add(SUBSCRIPTION, &settings).unwrap_err().code.0,
            7012,
            "{kind} {reference}"
        );
    }
}

/// What a controller set survives; a subscription only when it is persistent.
#[test]
fn the_state_survives_a_power_cut() {
    let mut rig = Rig::new();
    rig.set("Device.WiFi.SSID.1.SSID", "mine").unwrap();
    rig.subscribe(
        "ValueChange",
        CODE,
        &[("ID", "keep"), ("Persistent", "true")],
    );
    rig.subscribe("ValueChange", CODE, &[("ID", "lose")]);
    let path = "Device.LocalAgent.Controller.1.MTP.1.WebSocket.Path";
    rig.set(path, "/usp/hed_token").unwrap();
    let mut again = Rig::on(rig.flash.clone(), rig.now);
    assert_eq!(again.value("Device.WiFi.SSID.1.SSID"), "mine");
    assert_eq!(again.values(&format!("{SUBSCRIPTION}*.ID")).len(), 1);
    // The configuration file's address does not win over what a controller set since.
    assert_eq!(again.value(path), "/usp/hed_token");
    assert_eq!(
        match &again.engine.controllers()[0].reach {
            crate::Reach::WebSocket(url) => Some(url.as_str()),
            _ => None,
        },
        Some("ws://127.0.0.1:1/usp/hed_token")
    );
}

#[test]
fn a_journal_that_grew_is_compacted_and_still_right() {
    let mut rig = Rig::new();
    for n in 0..1000 {
        rig.set(CODE, &n.to_string()).unwrap();
    }
    assert!(rig.flash.len() < 700, "{}", rig.flash.len());
    let mut again = Rig::on(rig.flash.clone(), rig.now);
    assert_eq!(again.value(CODE), "999");
}

/// `TRIGGER_SETTINGS_MAX`
#[test]
fn trigger_settings_are_limited_and_checked() {
    let mut rig = Rig::new();
    let path = rig.subscribe("ValueChange", CODE, &[]);
    let settings = format!("{path}TriggerConfigSettings");
    let many = vec!["Device.A.B=1"; crate::limits::TRIGGER_SETTINGS_MAX + 1].join(",");
    assert_eq!(rig.set(&settings, &many).unwrap_err().code.0, 7005);
    assert_eq!(
        rig.set(&settings, "no equals sign").unwrap_err().code.0,
        7012
    );
}

#[test]
fn the_number_of_rows_is_a_value_that_changes() {
    let mut rig = Rig::new();
    let count = "Device.LocalAgent.SubscriptionNumberOfEntries";
    rig.subscribe("ValueChange", count, &[("ID", "count")]);
    rig.subscribe("ValueChange", CODE, &[]);
    let seen = changes(&mut rig);
    assert_eq!(seen, [("count".into(), count.into(), "2".into())]);
}

/// `WATCHED_VALUES_MAX`
#[test]
fn only_so_many_values_are_watched_by_comparing() {
    let mut toy = toy();
    toy.hosts = 1000;
    toy.watch = crate::Watch::Poll(std::time::Duration::from_secs(5));
    let now = Rig::new().now;
    let mut rig = Rig::with(toy, MemoryStorage::new(), now);
    let one = "Device.Hosts.Host.7.PhysAddress";
    rig.subscribe("ValueChange", one, &[("ID", "one")]);
    assert_eq!(rig.engine.watched.len(), 1);
    rig.subscribe("ValueChange", "Device.Hosts.", &[("ID", "all")]);
    assert_eq!(rig.engine.watched.len(), crate::limits::WATCHED_VALUES_MAX);
    assert!(
        rig.engine.watched.contains_key(one),
        "the older comes first"
    );
}
