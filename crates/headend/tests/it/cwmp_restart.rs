//! The server is killed, or the device loses power, while they talk over CWMP: nothing that was acknowledged is
//! lost, what may not be repeated is not, and what nobody can know is called that.

use crate::rig::{Process, SOON, Server, id_of, until};
use crate::wire::{By, Fate, Wire};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

const SSID: &str = "Device.WiFi.SSID.1.SSID";
const MAPPINGS: &str = "Device.NAT.PortMapping.";
/// What the devices' files say of themselves.
const IMAGE: &str = "an image\nversion=9.1\n";
/// For what ends when its time does.
const EXPIRES: u32 = 25;
/// Long before a claim of the killed server runs out, and before somebody would look by himself who waits: what
/// waited is taken up when the server is back.
const ENDS_WITHIN: Duration = Duration::from_secs(50);

/// A server, a device that comes when it is asked to, and the way between them.
struct Scene {
    server: Server,
    wire: Wire,
    sim: Process,
    flash: PathBuf,
    flags: Vec<&'static str>,
    starts: usize,
    device: String,
}

impl Scene {
    async fn start(troubles: &'static str) -> Scene {
        let wake = "cwmp.wake_networks=[\"127.0.0.0/8\"]";
        let server = Server::start(&["--set", wake]).await;
        let wire = Wire::start(&server.cwmp).await;
        let flash = server.folder.path().join("flash");
        let flags = vec![
            "--count",
            "0",
            "--cwmp-devices",
            "1",
            "--cwmp-interval",
            "86400",
            "--cwmp-trouble",
            troubles,
        ];
        let sim = server.sim_over("sim-0", &flags, Some(&flash), &wire.address);
        let device = server.devices(1).await.remove(0);
        let scene = Scene {
            server,
            wire,
            sim,
            flash,
            flags,
            starts: 1,
            device,
        };
        until("the device to be known", SOON, async || {
            let told = scene.server.api.log("&kind=device.onboarded").await;
            (!told.is_empty()).then_some(())
        })
        .await;
        // Its first session is over when this is done in another one.
        let first = scene.ask(set("first")).await;
        scene.server.api.succeeded(&first).await;
        scene
    }

    async fn ask(&self, op: Value) -> String {
        self.server.api.operate(&self.device, op).await
    }

    /// Asks for a file of ours to be fetched; the operation's id.
    async fn ask_download(&self, kind: &str, expires: Option<u32>) -> String {
        let api = &self.server.api;
        let url = api.url(&format!("/files?name=image.bin&kind={kind}"));
        let put = api.with_token(api.http.post(url)).body(IMAGE);
        let file: Value = put.send().await.unwrap().json().await.unwrap();
        let body = json!({"file_id": file["id"], "expires_in_seconds": expires});
        let path = format!("/devices/{}/downloads", self.device);
        id_of(&api.post(&path, body).await)
    }

    async fn fetched(&self, operation: &str) {
        until("the file to be fetched", SOON, async || {
            let operation = self.server.api.operation(operation).await;
            (operation["transfer"]["state"] == "done").then_some(())
        })
        .await;
    }

    /// kill -9, and started again over the same data.
    async fn crash(&mut self) {
        self.server.process.kill();
        self.server.restart().await;
    }

    /// The device loses power.
    fn power_cut(&mut self) {
        self.sim.kill();
    }

    fn power_on(&mut self) {
        let (name, flash) = (format!("sim-{}", self.starts), Some(self.flash.as_path()));
        self.starts += 1;
        let (server, wire) = (&self.server, &self.wire.address);
        self.sim = server.sim_over(&name, &self.flags, flash, wire);
    }

    async fn ended(&self, id: &str) -> Value {
        let what = format!("operation {id} to end");
        until(&what, ENDS_WITHIN, async || {
            let operation = self.server.api.operation(id).await;
            operation["finished_at"].is_string().then_some(operation)
        })
        .await
    }

    async fn ends(&self, id: &str, state: &str) -> Value {
        let operation = self.ended(id).await;
        assert_eq!(operation["state"], state, "{operation:#}");
        operation
    }

    /// What the device says now.
    async fn read(&self, path: &str) -> Value {
        let id = self.ask(json!({"kind": "get", "paths": [path]})).await;
        let read = self.ends(&id, "succeeded").await;
        read["steps"][0]["results"].clone()
    }

    async fn value(&self, path: &str) -> String {
        let read = self.read(path).await;
        read[0]["after"].as_str().unwrap().to_owned()
    }

    /// The rows of the table that the device has.
    async fn rows(&self) -> usize {
        let ports = self.read(&format!("{MAPPINGS}*.ExternalPort")).await;
        let ports = ports.as_array().unwrap().iter();
        let rows = ports.filter(|port| !port["path"].as_str().unwrap().contains('*'));
        rows.count()
    }

    /// Why the device has started, each time.
    async fn boots(&self) -> Vec<String> {
        let log = self.server.api.log("&kind=device.booted").await;
        let causes = log.iter().map(|event| event["data"]["cause"].as_str());
        causes.map(|cause| cause.unwrap().to_owned()).collect()
    }
}

fn set(name: &str) -> Value {
    json!({"kind": "set", "parameters": [{"path": SSID, "value": name}]})
}

fn add() -> Value {
    json!({"kind": "add", "object": MAPPINGS, "parameters": [
        {"name": "ExternalPort", "value": "2222"},
        {"name": "InternalPort", "value": "22"},
        {"name": "Protocol", "value": "TCP"},
        {"name": "InternalClient", "value": "192.168.1.9"},
    ]})
}

fn reboot() -> Value {
    json!({"kind": "operate", "command": "Device.Reboot()"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_on_the_wire_of_a_server_that_is_killed_is_done_whether_it_had_arrived_or_not() {
    let mut scene = Scene::start("").await;
    for (name, fate) in [("lost", Fate::Lost), ("unanswered", Fate::Unanswered)] {
        let met = scene.wire.meet(By::Server, &format!(">{name}<"), fate);
        let id = scene.ask(set(name)).await;
        met.await;
        scene.crash().await;
        let done = scene.ends(&id, "succeeded").await;
        let result = &done["steps"][0]["results"][0];
        assert_eq!(result["after"], name, "{done:#}");
        assert_eq!(result["verified"], true, "{done:#}");
        assert_eq!(scene.value(SSID).await, name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_add_on_the_wire_of_a_server_that_is_killed_is_not_sent_again_and_looked_for() {
    let mut scene = Scene::start("").await;
    let cases = [
        // The row is there without its settings: somebody else may have made it.
        (Fate::Unanswered, 1),
        // There is none: the CPE may have taken it, and make the row when it starts again.
        (Fate::Lost, 0),
    ];
    for (fate, made) in cases {
        let before = scene.rows().await;
        let met = scene.wire.meet(By::Server, "AddObject>", fate);
        let id = scene.ask(add()).await;
        met.await;
        scene.crash().await;
        scene.ends(&id, "unconfirmed").await;
        assert_eq!(scene.rows().await, before + made);
        assert_eq!(scene.server.api.sent(&id, "AddObject").await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_is_reconciled_by_the_transfer_complete_that_comes_after_the_restart() {
    let mut scene = Scene::start("").await;
    // From then on nothing of the device gets through.
    let met = scene.wire.meet(By::Device, "DownloadResponse>", Fate::Last);
    let id = scene.ask_download("firmware", None).await;
    met.await;
    scene.fetched(&id).await;
    scene.crash().await;
    let waits = scene.server.api.operation(&id).await;
    assert_eq!(waits["finished_at"], Value::Null, "{waits:#}");
    // It is killed again when it has the proof, and the device does not know that it has.
    let met = scene
        .wire
        .meet(By::Device, "TransferComplete>", Fate::Unanswered);
    scene.wire.open();
    met.await;
    scene.crash().await;
    scene.ends(&id, "succeeded").await;
    assert_eq!(
        scene.value("Device.DeviceInfo.SoftwareVersion").await,
        "9.1"
    );
    assert_eq!(scene.server.api.sent(&id, "Download").await, 1);
    let ends = scene.server.api.log("&kind=operation.finished").await;
    let ends = ends.iter().filter(|event| event.to_string().contains(&id));
    assert!(ends.count() <= 1, "its end was told twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_without_transfer_complete_is_reconciled_by_the_version_after_the_restart() {
    let mut scene = Scene::start("silent-transfers").await;
    let met = scene.wire.meet(By::Device, "DownloadResponse>", Fate::Last);
    let id = scene.ask_download("firmware", None).await;
    met.await;
    scene.fetched(&id).await;
    scene.crash().await;
    scene.wire.open();
    let done = scene.ends(&id, "succeeded").await;
    let output = &done["steps"][0]["output"];
    assert_eq!(output["SoftwareVersion"], "9.1", "{done:#}");
    assert_eq!(scene.server.api.sent(&id, "Download").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_of_which_nobody_tells_the_end_is_unconfirmed() {
    let mut scene = Scene::start("silent-transfers").await;
    let met = scene.wire.meet(By::Device, "DownloadResponse>", Fate::Last);
    // A configuration leaves no version behind.
    let id = scene.ask_download("configuration", Some(EXPIRES)).await;
    met.await;
    scene.fetched(&id).await;
    scene.crash().await;
    scene.wire.open();
    let ended = scene.ends(&id, "unconfirmed").await;
    assert_eq!(ended["transfer"]["state"], "done", "{ended:#}");
    assert_eq!(scene.server.api.sent(&id, "Download").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_did_not_arrive_before_the_server_was_killed_is_not_sent_again() {
    let mut scene = Scene::start("").await;
    let met = scene.wire.meet(By::Server, "Download>", Fate::Lost);
    let id = scene.ask_download("firmware", None).await;
    met.await;
    scene.crash().await;
    let ended = scene.ends(&id, "unconfirmed").await;
    assert_eq!(ended["transfer"]["requests"], 0, "{ended:#}");
    assert_eq!(scene.server.api.sent(&id, "Download").await, 1);
    // What comes next has its turn.
    scene.value(SSID).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_device_that_sleeps_outlives_the_server_and_keeps_its_order() {
    let mut scene = Scene::start("").await;
    let before = scene.rows().await;
    scene.power_cut();
    let mut ids = Vec::new();
    for op in [set("one"), add(), set("two"), reboot()] {
        ids.push(scene.ask(op).await);
    }
    scene.crash().await;
    for id in &ids {
        let kept = scene.server.api.operation(id).await;
        assert_eq!(
            (&kept["finished_at"], &kept["state"]),
            (&Value::Null, &json!("queued"))
        );
    }
    scene.power_on();
    let mut ended = Vec::new();
    for id in &ids {
        ended.push(scene.ends(id, "succeeded").await["finished_at"].to_string());
    }
    assert!(ended.is_sorted(), "{ended:?}");
    assert_eq!(scene.value(SSID).await, "two");
    assert_eq!(scene.rows().await, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_and_never_sent_is_done_once_after_the_restart() {
    let mut scene = Scene::start("").await;
    let boots = scene.boots().await.len();
    scene.wire.close();
    let id = scene.ask(reboot()).await;
    scene.server.process.kill();
    scene.wire.open();
    scene.server.restart().await;
    let kept = scene.server.api.operation(&id).await;
    assert_eq!(
        (&kept["state"], &kept["attempts"]),
        (&json!("queued"), &json!(0)),
        "{kept:#}"
    );
    let done = scene.ends(&id, "succeeded").await;
    assert_eq!(done["attempts"], 1, "{done:#}");
    assert_eq!(scene.server.api.sent(&id, "Reboot").await, 1);
    assert_eq!(scene.boots().await.split_off(boots), ["RemoteReboot"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_loses_power_in_the_middle_is_set_again_and_not_rebooted_again() {
    let mut scene = Scene::start("").await;
    let met = scene.wire.meet(By::Server, ">dark<", Fate::Unanswered);
    let id = scene.ask(set("dark")).await;
    met.await;
    scene.power_cut();
    scene.power_on();
    scene.ends(&id, "succeeded").await;
    assert_eq!(scene.value(SSID).await, "dark");

    // Whether it starts because of us or of the power cannot be told apart.
    let met = scene.wire.meet(By::Server, "Reboot>", Fate::Unanswered);
    let id = scene.ask(reboot()).await;
    met.await;
    scene.power_cut();
    scene.power_on();
    scene.ends(&id, "unconfirmed").await;
    assert_eq!(scene.server.api.sent(&id, "Reboot").await, 1);

    // It has forgotten what it was to fetch.
    let met = scene.wire.meet(By::Device, "DownloadResponse>", Fate::Last);
    let id = scene.ask_download("firmware", Some(EXPIRES)).await;
    met.await;
    scene.power_cut();
    scene.wire.open();
    scene.power_on();
    let ended = scene.ended(&id).await;
    // Whether the image was already written is the device's luck; what is said has to be true.
    let runs = scene.value("Device.DeviceInfo.SoftwareVersion").await;
    let expected = if runs == "9.1" {
        "succeeded"
    } else {
        "unconfirmed"
    };
    assert_eq!(ended["state"], expected, "it runs {runs}: {ended:#}");
    assert_eq!(scene.server.api.sent(&id, "Download").await, 1);
}
