//! CPEs as they are in the field, that start anew in the middle, take little at once, or do not list what they have:
//! each is brought in, is read and is set, and what it takes is learned once.

use crate::rig::{Process, SOON, Server, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Parameters that are read at once.
const MANY: usize = 40;

/// A server and CPEs with troubles, of today's data model and of the old one, that come when they are asked to.
struct Field {
    server: Server,
    _sim: Process,
    devices: Vec<String>,
}

impl Field {
    async fn start(of_each: usize, troubles: &str) -> Field {
        let wake = "cwmp.wake_networks=[\"127.0.0.0/8\"]";
        let server = Server::start(&["--set", wake]).await;
        let count = of_each.to_string();
        let mut flags = vec!["--count", "0", "--cwmp-devices", &count, "--tr098", &count];
        flags.extend(["--cwmp-interval", "86400", "--cwmp-trouble", troubles]);
        let flash = server.folder.path().join("flash");
        let sim = server.sim_with("sim", &flags, Some(&flash));
        let devices = server.devices(2 * of_each).await;
        until("all to be brought in", SOON, async || {
            let told = server.api.log("&kind=device.onboarded").await;
            (told.len() == devices.len()).then_some(())
        })
        .await;
        Field {
            server,
            _sim: sim,
            devices,
        }
    }

    /// The parameters of a device of which the server knows what they are.
    async fn known(&self, device: &str) -> Vec<String> {
        let path = format!("/devices/{device}/values?limit=1000");
        let page = self.server.api.get(&path).await;
        let values = page["items"].as_array().unwrap().iter();
        let paths = values.map(|value| value["path"].as_str().unwrap().to_owned());
        paths.collect()
    }

    /// Reads some of a device at once, all of which it has; the operation.
    async fn reads(&self, device: &str, paths: &[String]) -> String {
        let get = json!({"kind": "get", "paths": paths});
        let id = self.server.api.operate(device, get).await;
        let read = self.server.api.succeeded(&id).await;
        let results = read["steps"][0]["results"].as_array().unwrap();
        let told: Vec<&str> = results
            .iter()
            .filter(|one| one["after"].is_string())
            .map(|one| one["path"].as_str().unwrap())
            .collect();
        assert_eq!(told, paths, "{read:#}");
        id
    }

    /// Sets some of a device at once, and the device has it afterwards; the operation.
    async fn sets(&self, device: &str, wanted: &BTreeMap<String, String>) -> String {
        let parameters: Vec<Value> = wanted
            .iter()
            .map(|(path, value)| json!({"path": path, "value": value}))
            .collect();
        let set = json!({"kind": "set", "parameters": parameters});
        let id = self.server.api.operate(device, set).await;
        let done = self.server.api.succeeded(&id).await;
        for one in done["steps"][0]["results"].as_array().unwrap() {
            let path = one["path"].as_str().unwrap();
            assert_eq!(one["after"], wanted[path].as_str(), "{done:#}");
            assert_eq!(one["verified"], true, "{done:#}");
        }
        id
    }

    /// What was said because of an operation: how often the device was sent this, and how often it refused.
    async fn said(&self, operation: &str, kind: &str) -> (usize, usize) {
        let path = format!("/operations/{operation}/transcript?limit=500");
        let transcript = self.server.api.get(&path).await;
        let entries = transcript["items"].as_array().unwrap();
        let count = |direction: &str, kind: &str| {
            let such = |one: &&Value| one["direction"] == direction && one["kind"] == kind;
            entries.iter().filter(such).count()
        };
        (count("sent", kind), count("received", "Fault"))
    }

    /// How sessions of all devices have ended that did not come to their end.
    async fn breaks(&self) -> Vec<String> {
        let mut breaks = Vec::new();
        for device in &self.devices {
            let path = format!("/devices/{device}/sessions?limit=50");
            let page = self.server.api.get(&path).await;
            let endings = page["items"].as_array().unwrap().iter();
            let endings = endings.map(|session| session["ending"].as_str().unwrap());
            breaks.extend(
                endings
                    .filter(|words| *words != "the session came to its end")
                    .map(str::to_owned),
            );
        }
        breaks
    }

    /// Each device is read and set.
    async fn all_work(&self) {
        for device in &self.devices {
            let known = self.known(device).await;
            assert!(known.len() >= MANY, "{known:?}");
            self.reads(device, &known[..MANY]).await;
            let ssid = "Device.WiFi.SSID.1.SSID".to_owned();
            self.sets(device, &BTreeMap::from([(ssid, "Field".to_owned())]))
                .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_that_do_not_survive_every_request_are_brought_in_and_do_what_they_are_asked() {
    let field = Field::start(3, "reboots=250").await;
    field.all_work().await;
    let breaks = field.breaks().await;
    assert!(!breaks.is_empty(), "nothing broke");
    let starts = field.server.api.log("&kind=device.booted").await;
    assert!(!starts.is_empty(), "none has started anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_whose_connections_break_are_brought_in_and_do_what_they_are_asked() {
    let field = Field::start(3, "drops=200,loses=200").await;
    field.all_work().await;
    let breaks = field.breaks().await;
    assert!(!breaks.is_empty(), "nothing broke");
    // Nobody waits in a session that is over.
    let said = field.server.process.said();
    assert!(!said.contains("CONVERSE_END_MAX"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_that_do_not_list_all_they_have_at_once_are_known_all_the_same() {
    let field = Field::start(1, "no-empty-path").await;
    field.all_work().await;
}

/// Twenty settings of a gateway.
fn settings(name: &str, yes: bool) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut set = |path: &str, value: &str| all.insert(format!("Device.{path}"), value.to_owned());
    for row in ["1", "2"] {
        set(&format!("WiFi.SSID.{row}.SSID"), name);
        let point = format!("WiFi.AccessPoint.{row}.");
        for switch in ["SSIDAdvertisementEnabled", "WMMEnable", "IsolationEnable"] {
            set(&format!("{point}{switch}"), &yes.to_string());
        }
        let seconds = if yes { "1800" } else { "2400" };
        set(&format!("{point}Security.RekeyingInterval"), seconds);
    }
    let pool = "DHCPv4.Server.Pool.1.";
    let number = if yes { "120" } else { "140" };
    let inside = format!("192.168.1.{number}");
    let outside = format!("198.51.100.{number}");
    set(&format!("{pool}MinAddress"), &inside);
    set(&format!("{pool}LeaseTime"), &format!("{number}00"));
    let mapping = "NAT.PortMapping.1.";
    for (parameter, value) in [
        ("Description", name),
        ("ExternalPort", number),
        ("InternalPort", number),
        ("LeaseDuration", number),
        ("RemoteHost", &outside),
        ("InternalClient", &inside),
    ] {
        set(&format!("{mapping}{parameter}"), value);
    }
    for radio in ["1", "2"] {
        let power = if yes { "50" } else { "75" };
        set(&format!("WiFi.Radio.{radio}.TransmitPower"), power);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn how_much_a_device_takes_at_once_is_learned_and_kept() {
    // Halved until it takes them: at least half of what it takes, and not more.
    let reads = MANY / 10..=MANY / 5;
    let mut field = Field::start(1, "batch=10,batch-fault=9002").await;
    field.all_work().await;
    let mut today = None;
    for device in &field.devices {
        let known = field.known(device).await;
        if known.iter().any(|path| path == "Device.WiFi.SSID.2.SSID") {
            today = Some((device.clone(), known));
        }
    }
    let (device, known) = today.expect("the gateway of today");
    let many = &known[..MANY];
    // That was learned when it was brought in.
    let read = field.reads(&device, many).await;
    let (asked, refused) = field.said(&read, "GetParameterValues").await;
    assert!(reads.contains(&asked) && refused == 0, "{asked}, {refused}");
    let first = settings("First", true);
    assert_eq!(first.len(), 20);
    let set = field.sets(&device, &first).await;
    assert_eq!(field.said(&set, "SetParameterValues").await, (3, 1));
    let set = field.sets(&device, &settings("Second", false)).await;
    assert_eq!(field.said(&set, "SetParameterValues").await, (2, 0));
    // The server has not forgotten it when it was away.
    field.server.process.kill();
    field.server.restart().await;
    let read = field.reads(&device, many).await;
    let (asked, refused) = field.said(&read, "GetParameterValues").await;
    assert!(reads.contains(&asked) && refused == 0, "{asked}, {refused}");
    let set = field.sets(&device, &first).await;
    assert_eq!(field.said(&set, "SetParameterValues").await, (2, 0));
}
