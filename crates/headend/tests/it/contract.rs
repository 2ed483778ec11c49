//! What a device can be asked for, whichever protocol it speaks and whichever data model it has: one
//! suite through the API, run unchanged on a device that speaks USP, on one that speaks CWMP with the
//! data model of today, and on an old gateway that knows only `InternetGatewayDevice.`.

use crate::rig::{Process, SOON, Server, until};
use serde_json::{Value, json};
use std::path::PathBuf;

const SSID: &str = "Device.WiFi.SSID.1.SSID";
const MAPPINGS: &str = "Device.NAT.PortMapping.";
/// What changes by itself, and of which the standard does not say that a device may keep it to itself.
const MOVES: &str = "Device.PPP.Interface.1.PPPoE.SessionID";

/// The device under test, with what it runs in.
struct Subject {
    server: Server,
    sim: Process,
    flash: PathBuf,
    flags: &'static [&'static str],
    id: String,
}

impl Subject {
    async fn start(flags: &'static [&'static str]) -> Subject {
        // The devices are on this machine.
        let wake = "cwmp.wake_networks=[\"127.0.0.0/8\"]";
        let server = Server::start(&["--set", wake]).await;
        let flash = server.folder.path().join("flash");
        let sim = server.sim_with("sim", flags, Some(&flash));
        let id = server.devices(1).await.remove(0);
        Subject {
            server,
            sim,
            flash,
            flags,
            id,
        }
    }

    async fn ask(&self, op: Value) -> String {
        self.server.api.operate(&self.id, op).await
    }

    /// Carries out one operation and waits for its end, which is good.
    async fn succeeded(&self, op: Value) -> Value {
        let id = self.ask(op).await;
        self.server.api.succeeded(&id).await
    }

    /// What the server would say to an operation, without its being carried out.
    async fn refused(&self, op: Value) -> Value {
        let path = format!("/devices/{}/operations", self.id);
        let body = json!({"ops": [op]});
        let (status, answer) = self.server.api.try_post(&path, &body, None).await.unwrap();
        assert_eq!(status, 422, "{answer:#}");
        answer
    }

    /// The last-known value of a parameter.
    async fn known(&self, path: &str) -> Option<String> {
        let object = &path[..=path.rfind('.').unwrap()];
        let query = format!("/devices/{}/values?path={object}", self.id);
        let values = self.server.api.get(&query).await;
        let mut items = values["items"].as_array().unwrap().iter();
        let value = items.find(|value| value["path"] == path)?;
        value["value"].as_str().map(str::to_owned)
    }

    /// As a power cut at the customer's.
    fn away(&mut self) {
        self.sim.kill();
    }

    fn back(&mut self) {
        let server = &self.server;
        self.sim = server.sim_with("sim-again", self.flags, Some(&self.flash));
    }

    /// The whole suite.
    async fn keeps_the_contract(mut self) {
        self.reads().await;
        self.sets_and_reads_back().await;
        self.refuses_by_name().await;
        self.adds_and_deletes_rows().await;
        self.searches().await;
        self.comes_when_it_was_told().await;
        self.tells_changes().await;
        self.does_not_know_everything().await;
        self.restarts_with_proof().await;
        self.waits_and_can_be_cancelled().await;
    }

    async fn reads(&self) {
        let get = json!({"kind": "get", "paths": ["Device.DeviceInfo.", SSID]});
        let read = self.succeeded(get).await;
        let results = results(&read);
        let value = |path: &str| {
            let found = results.iter().find(|result| result["path"] == path);
            let found = found.unwrap_or_else(|| panic!("{path} is not in {read:#}"));
            found["after"].as_str().unwrap().to_owned()
        };
        let device = self.server.api.get(&format!("/devices/{}", self.id)).await;
        assert_eq!(device["serial"], value("Device.DeviceInfo.SerialNumber"));
        let version = value("Device.DeviceInfo.SoftwareVersion");
        assert_eq!(device["software_version"], version);
        assert!(value("Device.DeviceInfo.UpTime").parse::<u32>().is_ok());
        assert!(value(SSID).ends_with("0001"), "{read:#}");
    }

    async fn sets_and_reads_back(&self) {
        let done = self.succeeded(set(&[(SSID, "Attic")])).await;
        let result = &results(&done)[0];
        assert_eq!(
            (&result["path"], &result["after"]),
            (&json!(SSID), &json!("Attic"))
        );
        assert_eq!(result["verified"], true, "{done:#}");
        assert!(
            result["before"].as_str().unwrap().ends_with("0001"),
            "{done:#}"
        );
        assert_eq!(self.known(SSID).await.as_deref(), Some("Attic"));
    }

    async fn refuses_by_name(&self) {
        // What everybody can know beforehand is refused before it is stored.
        let version = "Device.DeviceInfo.SoftwareVersion";
        let answer = self.refused(set(&[(SSID, "Cellar"), (version, "9")])).await;
        let named = &answer["errors"][0]["field"];
        assert_eq!(named, "ops[0].parameters[1].path", "{answer:#}");
        assert_eq!(self.known(SSID).await.as_deref(), Some("Attic"));
    }

    async fn adds_and_deletes_rows(&self) {
        let before = self.rows().await;
        let add = json!({"kind": "add", "object": MAPPINGS, "parameters": [
            {"name": "ExternalPort", "value": "2222"},
            {"name": "InternalPort", "value": "22"},
            {"name": "Protocol", "value": "TCP"},
            {"name": "InternalClient", "value": "192.168.1.9"},
            {"name": "Description", "value": "shell"},
        ]});
        let added = self.succeeded(add).await;
        let row = results(&added)[0]["path"].as_str().unwrap().to_owned();
        assert!(row.starts_with(MAPPINGS) && row.ends_with('.'), "{added:#}");
        assert!(!before.contains(&row));
        assert_eq!(self.rows().await.len(), before.len() + 1);
        let port = format!("{row}ExternalPort");
        let read = self
            .succeeded(json!({"kind": "get", "paths": [port]}))
            .await;
        assert_eq!(results(&read)[0]["after"], "2222", "{read:#}");
        // What only the device can judge is refused by it, by name, and leaves nothing behind.
        let taken = self.read(&format!("{}Alias", before[0])).await;
        let twin = json!({"kind": "add", "object": MAPPINGS, "parameters": [
            {"name": "Alias", "value": taken},
            {"name": "ExternalPort", "value": "3333"},
        ]});
        let id = self.ask(twin).await;
        let refused = self.server.api.ended(&id).await;
        assert_eq!(refused["state"], "failed", "{refused:#}");
        assert!(
            refused["steps"].to_string().contains("Alias"),
            "{refused:#}"
        );
        assert_eq!(self.rows().await.len(), before.len() + 1);
        self.succeeded(json!({"kind": "delete", "paths": [row]}))
            .await;
        assert_eq!(self.rows().await, before);
    }

    /// The rows of the table that the device has.
    async fn rows(&self) -> Vec<String> {
        let get = json!({"kind": "get", "paths": [format!("{MAPPINGS}*.ExternalPort")]});
        let read = self.succeeded(get).await;
        let rows = results(&read).into_iter().map(|result| {
            let path = result["path"].as_str().unwrap();
            path.strip_suffix("ExternalPort").unwrap().to_owned()
        });
        rows.collect()
    }

    async fn searches(&self) {
        let path = format!("{MAPPINGS}[ExternalPort==8443].InternalPort");
        let found = self
            .succeeded(json!({"kind": "get", "paths": [path]}))
            .await;
        let found = results(&found);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0]["after"], "443");
    }

    /// How often the device has told that what moves by itself has moved.
    async fn changes(&self) -> usize {
        let told = self.server.api.log("&kind=device.value_changed").await;
        let of_it = told.iter().filter(|event| event["data"]["path"] == MOVES);
        of_it.count()
    }

    /// On CWMP it is the server that keeps subscriptions.
    async fn tells_changes(&self) {
        assert_eq!(self.changes().await, 0);
        let subscribe =
            json!({"kind": "subscribe", "notification": "value_change", "paths": [MOVES]});
        let made = self.succeeded(subscribe).await;
        let row = results(&made)[0]["path"].as_str().unwrap().to_owned();
        let row: String = row.split_inclusive('.').take(4).collect();
        until("a change to be told", SOON, async || {
            (self.changes().await > 0).then_some(())
        })
        .await;
        self.succeeded(json!({"kind": "delete", "paths": [row]}))
            .await;
    }

    /// On CWMP alone: a change that is no reason to come, and is told when there is one.
    async fn tells_changes_when_it_comes(&self) {
        let before = self.changes().await;
        let add = json!({"kind": "add", "object": "Device.LocalAgent.Subscription.", "parameters": [
            {"name": "Enable", "value": "true"},
            {"name": "NotifType", "value": "ValueChange"},
            {"name": "ReferenceList", "value": MOVES},
            {"name": "X_HEADEND_Passive", "value": "true"},
        ]});
        self.succeeded(add).await;
        // It looks at what it watches every few seconds.
        until("a change to be told", SOON, async || {
            let wake = format!("/devices/{}/wake", self.id);
            self.server.api.post(&wake, json!({})).await;
            (self.changes().await > before).then_some(())
        })
        .await;
        let told = until("the session to be kept", SOON, async || {
            let path = format!("/devices/{}/sessions?limit=50", self.id);
            let page = self.server.api.get(&path).await;
            let sessions = page["items"].as_array().unwrap().iter();
            let events: Vec<Value> = sessions.map(|one| one["events"].clone()).collect();
            let tells = |events: &Value| events.to_string().contains("4 VALUE CHANGE");
            events.iter().any(tells).then_some(events)
        })
        .await;
        let only = json!(["4 VALUE CHANGE"]);
        assert!(!told.contains(&only), "it came for it: {told:?}");
    }

    async fn comes_when_it_was_told(&self) {
        let timer = json!({"kind": "operate", "command": "Device.ScheduleTimer()",
            "input": {"DelaySeconds": "1"}});
        self.succeeded(timer).await;
    }

    async fn does_not_know_everything(&self) {
        let paths = [SSID, "Device.DeviceInfo.Nothing"];
        let answer = self.refused(json!({"kind": "get", "paths": paths})).await;
        assert_eq!(
            answer["errors"][0]["field"], "ops[0].paths[1]",
            "{answer:#}"
        );
        // The next one is not worse for it.
        self.succeeded(json!({"kind": "get", "paths": [SSID]}))
            .await;
    }

    async fn restarts_with_proof(&self) {
        let uptime = "Device.DeviceInfo.UpTime";
        let before: u64 = self.read(uptime).await.parse().unwrap();
        let reboot = json!({"kind": "operate", "command": "Device.Reboot()"});
        let done = self.succeeded(reboot).await;
        assert_eq!(done["attempts"], 1, "{done:#}");
        let after: u64 = self.read(uptime).await.parse().unwrap();
        assert!(
            after < before + 3,
            "up for {before} s before, for {after} s after"
        );
        // What was set is still there.
        assert_eq!(self.read(SSID).await, "Attic");
    }

    /// Asks the device for one value.
    async fn read(&self, path: &str) -> String {
        let read = self
            .succeeded(json!({"kind": "get", "paths": [path]}))
            .await;
        results(&read)[0]["after"].as_str().unwrap().to_owned()
    }

    async fn waits_and_can_be_cancelled(&mut self) {
        self.away();
        let api = self.server.api.clone();
        let kept = self.ask(set(&[(SSID, "Porch")])).await;
        let dropped = self.ask(set(&[(SSID, "Shed")])).await;
        let cancel = format!("/operations/{dropped}/cancel");
        api.post(&cancel, json!({})).await;
        let cancelled = api.ended(&dropped).await;
        assert_eq!(cancelled["state"], "cancelled", "{cancelled:#}");
        assert_eq!(api.operation(&kept).await["finished_at"], Value::Null);
        self.back();
        let done = api.succeeded(&kept).await;
        assert_eq!(results(&done)[0]["after"], "Porch", "{done:#}");
        until("the value to be known", SOON, async || {
            (self.known(SSID).await.as_deref() == Some("Porch")).then_some(())
        })
        .await;
    }
}

fn set(values: &[(&str, &str)]) -> Value {
    let parameters = values
        .iter()
        .map(|(path, value)| json!({"path": path, "value": value}));
    json!({"kind": "set", "parameters": parameters.collect::<Vec<_>>()})
}

fn results(operation: &Value) -> Vec<Value> {
    let steps = operation["steps"].as_array().unwrap().iter();
    let results = steps.flat_map(|step| step["results"].as_array().unwrap().clone());
    // What was asked for by a pattern is told, too.
    let exact = results.filter(|result| !result["path"].as_str().unwrap().contains(['*', '[']));
    exact.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_usp_device_keeps_the_contract() {
    let device = Subject::start(&["--count", "1", "--model", "gateway"]).await;
    device.keeps_the_contract().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cwmp_device_of_today_keeps_the_contract() {
    let device = Subject::start(&["--cwmp-devices", "1"]).await;
    device.keeps_the_contract().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_gateway_keeps_the_contract() {
    let device = Subject::start(&["--tr098", "1"]).await;
    device.keeps_the_contract().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_watched_passively_is_told_when_the_device_comes_for_another_reason() {
    for kind in [&["--cwmp-devices", "1"], &["--tr098", "1"]] {
        let device = Subject::start(kind).await;
        device.tells_changes_when_it_comes().await;
    }
}
