//! kill -9 of a server with a thousand operations under way and devices notifying: twice, on each
//! database. What was acknowledged is there, what may be repeated is done, a reboot happens once.

use crate::rig::{Api, SOON, Server, id_of, until};
use crate::stream::Stream;
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const DEVICES: usize = 50;
const PER_DEVICE: usize = 20;
/// Which of a device's operations is its reboot.
const REBOOT_AT: usize = 7;
/// Requests to the API at the same time.
const AT_ONCE: usize = 24;
/// Acknowledged before the first kill, and finished before the second.
const ACKNOWLEDGED: usize = 600;
const FINISHED: usize = 300;
/// For everything after the last restart: a reboot takes its device down for seconds, and one
/// whose answer was lost waits for evidence.
const ALL_WITHIN: Duration = Duration::from_secs(180);
/// Seconds between two notifications of a device.
const PERIOD: &str = "Device.LocalAgent.Controller.1.PeriodicNotifInterval";
const NAME: &str = "Device.WiFi.SSID.1.SSID";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed_on_sqlite() {
    nothing_is_lost(&mut Server::start(&[]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed_on_postgresql() {
    // `cargo xtask test` always names one.
    let Some(database) = store::testing::postgres().await.unwrap() else {
        return;
    };
    let mut server = Server::start(&["--database", &database.url]).await;
    nothing_is_lost(&mut server).await;
}

async fn nothing_is_lost(server: &mut Server) {
    let _sim = server.sim(DEVICES, None);
    let devices = server.devices(DEVICES).await;
    for device in &devices {
        let set = json!({"kind": "set", "parameters": [{"path": PERIOD, "value": "1"}]});
        server.api.operate(device, set).await;
    }
    until("all devices to notify", SOON, async || {
        let seen = server.api.log("&kind=device.periodic").await;
        let who: BTreeSet<String> = seen.iter().map(|event| text(event, "device_id")).collect();
        (who.len() == DEVICES).then_some(())
    })
    .await;
    let head = text(&server.api.get("/events?limit=1").await, "head");
    let stream = Stream::open(&server.api, Some(&head)).await;

    // First kill: while a thousand are being asked for.
    let acknowledged = AtomicUsize::new(0);
    let first = async {
        let told = ask_all(&server.api, &devices, &acknowledged).await;
        (told, ())
    };
    let killer = async {
        until("many acknowledgements", SOON, async || {
            (acknowledged.load(Ordering::Relaxed) >= ACKNOWLEDGED).then_some(())
        })
        .await;
        server.process.signal("-KILL");
    };
    let ((told, ()), ()) = tokio::join!(first, killer);
    server.process.kill();
    let before = stream.events();
    let told: BTreeMap<String, String> = told.into_iter().flatten().collect();
    assert!(
        told.len() >= ACKNOWLEDGED && told.len() < DEVICES * PER_DEVICE,
        "{}",
        told.len()
    );

    server.restart().await;
    let stored = operations(&server.api).await;
    for (key, id) in &told {
        let found = server.api.operation(id).await;
        assert_eq!(
            text(&found, "id"),
            *id,
            "{key} was acknowledged and is gone"
        );
        assert!(
            stored.contains_key(id),
            "{key} {id} is not in the list of {}: {found:#}",
            stored.len()
        );
    }
    assert_events_are_kept(&server.api, &before).await;

    // Who got no answer asks again under the same keys: nothing is doubled, the old ids come back.
    let stream = Stream::open(&server.api, None).await;
    let again = ask_all(&server.api, &devices, &AtomicUsize::new(0)).await;
    let again: BTreeMap<String, String> = again.into_iter().flatten().collect();
    assert_eq!(again.len(), DEVICES * PER_DEVICE);
    for (key, id) in &told {
        assert_eq!(again.get(key), Some(id), "{key} was asked for twice");
    }

    // Second kill: in the middle of the work.
    until("some to be finished", SOON, async || {
        (finished(&operations(&server.api).await) >= FINISHED).then_some(())
    })
    .await;
    server.process.kill();
    let before = stream.events();
    server.restart().await;
    assert_events_are_kept(&server.api, &before).await;

    let all = until("all operations to end", ALL_WITHIN, async || {
        let all = operations(&server.api).await;
        (finished(&all) == all.len()).then_some(all)
    })
    .await;
    assert_eq!(
        all.len(),
        DEVICES * PER_DEVICE + DEVICES,
        "with one Set of the period each"
    );
    let mut unconfirmed = 0;
    for (id, operation) in &all {
        let state = text(operation, "state");
        let kind = text(&operation["ops"][0], "kind");
        if kind == "operate" {
            assert!(
                state == "succeeded" || state == "unconfirmed",
                "{id} {operation:#}"
            );
            unconfirmed += usize::from(state == "unconfirmed");
        } else {
            assert_eq!(state, "succeeded", "{id} {operation:#}");
        }
    }
    assert_reboots_happened_once(&server.api, &all).await;
    // The order of each device was kept: what was set last is what it has.
    for device in &devices {
        let get = json!({"kind": "get", "paths": [NAME]});
        let id = server.api.operate(device, get).await;
        let done = server.api.succeeded(&id).await;
        let wanted = format!("name {}", PER_DEVICE - 2);
        assert_eq!(done["steps"][0]["results"][0]["after"], wanted, "{done:#}");
    }
    assert_events_are_kept(&server.api, &[]).await;
    eprintln!(
        "{} operations, {} acknowledged before the first kill, {unconfirmed} reboots unconfirmed",
        all.len(),
        told.len()
    );
}

/// Asks for every device's operations, in order for each device; the idempotency key and id of
/// those that were acknowledged.
async fn ask_all(
    api: &Api,
    devices: &[String],
    acknowledged: &AtomicUsize,
) -> Vec<Vec<(String, String)>> {
    let one = |device: String| async move {
        let mut told = Vec::new();
        for number in 0..PER_DEVICE {
            let key = format!("{device}-{number}");
            let path = format!("/devices/{device}/operations");
            let body = json!({"ops": [op(number)]});
            let Some((status, answer)) = api.try_post(&path, &body, Some(&key)).await else {
                // Nobody knows; the next ones of this device wait for the next round.
                break;
            };
            if !status.is_success() {
                panic!("{path}: {status} {answer}");
            }
            told.push((key, id_of(&answer)));
            acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        told
    };
    let all = futures_util::stream::iter(devices.iter().cloned().map(one));
    all.buffer_unordered(AT_ONCE).collect().await
}

/// Sets of one parameter, reads, and one reboot between.
fn op(number: usize) -> Value {
    if number == REBOOT_AT {
        return json!({"kind": "operate", "command": "Device.Reboot()"});
    }
    if number.is_multiple_of(2) {
        let value = format!("name {number}");
        return json!({"kind": "set", "parameters": [{"path": NAME, "value": value}]});
    }
    json!({"kind": "get", "paths": ["Device.DeviceInfo."], "max_depth": 1})
}

/// Every operation by its id.
async fn operations(api: &Api) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("/operations?limit=500{cursor}")).await;
        for operation in page["items"].as_array().unwrap() {
            all.insert(text(operation, "id"), operation.clone());
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

fn finished(operations: &BTreeMap<String, Value>) -> usize {
    let mut all = operations.values();
    all.by_ref()
        .filter(|operation| operation["finished_at"].is_string())
        .count()
}

/// What readers have seen is still there and the same, and the log has no gap.
async fn assert_events_are_kept(api: &Api, seen: &[Value]) {
    let log = api.log("").await;
    let mut by_cursor = BTreeMap::new();
    let mut last = 0;
    for event in &log {
        let cursor: u64 = text(event, "cursor").parse().unwrap();
        assert_eq!(cursor, last + 1, "a gap in the log");
        last = cursor;
        by_cursor.insert(text(event, "cursor"), event);
    }
    for event in seen {
        let kept = by_cursor.get(&text(event, "cursor"));
        let kept =
            kept.unwrap_or_else(|| panic!("a reader has seen this, and it is gone: {event:#}"));
        assert_eq!((&kept["kind"], &kept["at"]), (&event["kind"], &event["at"]));
    }
}

/// Each device was told to reboot once, and started because of that at most once, exactly once
/// where the operation says that it did.
async fn assert_reboots_happened_once(api: &Api, all: &BTreeMap<String, Value>) {
    let mut boots: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for event in api.log("&kind=device.booted").await {
        if event["data"]["cause"] == "RemoteReboot" {
            boots
                .entry(text(&event, "device_id"))
                .or_default()
                .push(event["data"].clone());
        }
    }
    let (mut reboots, mut written) = (0, 0);
    for (id, operation) in all {
        if operation["ops"][0]["kind"] != "operate" {
            continue;
        }
        reboots += 1;
        let device = text(operation, "device_id");
        let booted = boots.get(&device).map_or(0, Vec::len);
        assert!(
            booted <= 1,
            "{id}: {booted} boots: {:?}",
            boots.get(&device)
        );
        if operation["state"] == "succeeded" {
            assert_eq!(booted, 1, "{id} {operation:#}");
        }
        let path = format!("/operations/{id}/transcript?limit=500");
        let transcript = api.get(&path).await;
        let entries = transcript["items"].as_array().unwrap();
        let count = |wanted: &dyn Fn(&Value) -> bool| entries.iter().filter(|e| wanted(e)).count();
        let sent = count(&|entry| entry["direction"] == "sent" && entry["kind"] == "OPERATE");
        let kept = count(&|entry| entry.to_string().contains("it was never sent"));
        assert!(
            sent <= 1 + kept,
            "{id} was sent {sent} times: {transcript:#}"
        );
        written += sent;
    }
    assert_eq!(reboots, DEVICES);
    assert!(written > 0, "no transcript tells of a reboot");
}

fn text(value: &Value, name: &str) -> String {
    let found = value[name].as_str();
    found
        .unwrap_or_else(|| panic!("no {name} in {value:#}"))
        .to_owned()
}
