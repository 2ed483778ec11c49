//! The server is killed, or stops, in the middle of what it does to a device that is there over a WebSocket and MQTT at the
//! same time: nothing that was acknowledged is lost, nothing is done twice, and what nobody can know is called that.

use crate::rig::{SOON, Server, free, until};
use crate::wire::{By, Fate, Wire};
use agent::{AgentConfig, Backend, Call, Change, ControllerConfig, MqttConfig, Outcome, View};
use agent::{Hint, MemoryStorage, Notifier, Now, RunOptions};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const SSID: &str = "Device.WiFi.SSID.1.SSID";
const COMMAND: &str = "Device.SelfTestDiagnostics()";
/// What nobody tells anything of is waited for a while.
const UNDECIDED_WITHIN: Duration = Duration::from_secs(90);

/// How the server ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Killed,
    Stopped,
}

/// What the device was made to do.
#[derive(Default)]
struct Done {
    names: Vec<String>,
    /// The commands that it runs, or ran.
    runs: Vec<u32>,
    notifier: Notifier,
}

/// A CPE whose command runs until the test ends it.
struct Cpe {
    schema: Arc<dm::Schema>,
    done: Arc<Mutex<Done>>,
}

impl Backend for Cpe {
    fn schema(&self) -> Arc<dm::Schema> {
        self.schema.clone()
    }

    fn factory(&self) -> Vec<(String, String)> {
        vec![(SSID.to_owned(), "home".to_owned())]
    }

    fn start(&mut self, _: Now, _: &dyn View, notifier: Notifier) {
        self.done.lock().unwrap().notifier = notifier;
    }

    fn read(&self, _: Now, path: &str) -> Option<String> {
        let name = path.strip_prefix("Device.DeviceInfo.")?;
        let value = match name {
            "ManufacturerOUI" => "00256D",
            "SerialNumber" => "TWO1",
            "Manufacturer" | "ModelName" | "ProductClass" | "SoftwareVersion" => "1",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn apply(&mut self, _: Now, changes: &[Change], _: &dyn View) -> Result<(), agent::Fault> {
        let names = changes.iter().filter_map(|change| match change {
            Change::Value { path, value } if path == SSID => Some(value.clone()),
            _ => None,
        });
        self.done.lock().unwrap().names.extend(names);
        Ok(())
    }

    fn operate(&mut self, _: Now, call: &Call, _: &dyn View) -> Outcome {
        self.done.lock().unwrap().runs.push(call.id);
        Outcome::Running
    }
}

/// A server, a device with two ways to it, and both ways.
struct Scene {
    server: Server,
    websocket: Wire,
    _mqtt: Wire,
    done: Arc<Mutex<Done>>,
    device: String,
    stop: CancellationToken,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Scene {
    async fn start() -> Scene {
        let [mqtt] = free();
        let server = Server::start(&["--mqtt", &mqtt]).await;
        let websocket = Wire::start(&server.usp).await;
        let mqtt = Wire::start(server.mqtt.as_ref().unwrap()).await;
        let key = &server.setup_key;
        let controller = ControllerConfig {
            endpoint_id: server.endpoint.clone(),
            url: format!("ws://{}/usp/{key}", websocket.address),
            retry_min_wait: 1,
            retry_multiplier: 1000,
            mqtt: Some(MqttConfig {
                url: format!("mqtt://{}", mqtt.address),
                username: "default/setup".into(),
                password: key.clone(),
                ..MqttConfig::default()
            }),
            ..ControllerConfig::default()
        };
        let config = AgentConfig {
            endpoint_id: "os::00256D-TWO1".into(),
            controllers: vec![controller],
            ..AgentConfig::default()
        };
        let model = ["Device.DeviceInfo.", COMMAND, "Device.WiFi.SSID.{i}."];
        let done = Arc::new(Mutex::new(Done::default()));
        let cpe = Cpe {
            schema: agent::model(&model).unwrap(),
            done: done.clone(),
        };
        let options = RunOptions {
            storage: Box::new(MemoryStorage::new()),
            ..RunOptions::default()
        };
        let stop = CancellationToken::new();
        tokio::spawn(agent::run(config, Box::new(cpe), options, stop.clone()));
        let device = server.devices(1).await.remove(0);
        let scene = Scene {
            server,
            websocket,
            _mqtt: mqtt,
            done,
            device,
            stop,
        };
        scene.is_there_over_both().await;
        scene
    }

    /// With credentials of its own, and asked over the WebSocket.
    async fn is_there_over_both(&self) {
        let path = format!("/devices/{}/reach", self.device);
        until("the device to be there over both", SOON, async || {
            let reach = self.server.api.get(&path).await;
            let paths = reach["paths"].as_array()?.iter();
            let open = paths.filter(|path| {
                let own = path["credential"] == "its own credential";
                own && path["connected"] == true && path["choice"].is_string()
            });
            let mut used: Vec<(&str, bool)> = open
                .filter_map(|path| Some((path["transport"].as_str()?, path["used"].as_bool()?)))
                .collect();
            used.sort_unstable();
            (used == [("mqtt", false), ("websocket", true)]).then_some(())
        })
        .await;
    }

    async fn ask(&self, op: Value) -> String {
        self.server.api.operate(&self.device, op).await
    }

    /// It ends and is started again, over the same data, at the same addresses.
    async fn ends(&mut self, end: End) {
        self.down(end).await;
        self.server.restart().await;
    }

    async fn down(&mut self, end: End) {
        match end {
            End::Killed => self.server.process.kill(),
            End::Stopped => {
                self.server.process.signal("-TERM");
                until("the server to end", SOON, async || {
                    self.server.process.child.try_wait().unwrap()
                })
                .await;
            }
        }
    }

    fn names(&self) -> Vec<String> {
        std::mem::take(&mut self.done.lock().unwrap().names)
    }

    fn runs(&self) -> usize {
        self.done.lock().unwrap().runs.len()
    }

    /// The command that runs has come to its end on the device.
    fn completes(&self) {
        let done = self.done.lock().unwrap();
        let outputs = vec![("Status".to_owned(), "Complete".to_owned())];
        let last = *done.runs.last().unwrap();
        done.notifier.send(Hint::Completed(last, Ok(outputs)));
    }
}

fn set(name: &str) -> Value {
    json!({"kind": "set", "parameters": [{"path": SSID, "value": name}]})
}

/// What waits behind it was acknowledged, too, and comes after it.
async fn a_set_and_what_waits_behind_it_are_done_in_order(end: End) {
    let mut scene = Scene::start().await;
    for fate in [Fate::Lost, Fate::Unanswered] {
        let (name, later) = (format!("now-{fate:?}"), format!("later-{fate:?}"));
        let met = scene.websocket.meet(By::Server, &name, fate);
        let first = scene.ask(set(&name)).await;
        met.await;
        let second = scene.ask(set(&later)).await;
        let read = scene.ask(json!({"kind": "get", "paths": [SSID]})).await;
        scene.ends(end).await;
        for (id, name) in [(&first, &name), (&second, &later)] {
            let done = scene.server.api.succeeded(id).await;
            let result = &done["steps"][0]["results"][0];
            assert_eq!(result["after"], **name, "{done:#}");
            assert_eq!(result["verified"], true, "{done:#}");
        }
        let read = scene.server.api.succeeded(&read).await;
        assert_eq!(read["steps"][0]["results"][0]["after"], later, "{read:#}");
        assert_eq!(scene.server.api.sent(&second, "SET").await, 1);
        let mut names = scene.names();
        names.dedup();
        assert_eq!(names, [name, later]);
        scene.is_there_over_both().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_under_way_to_a_device_with_two_links_is_done_when_the_server_is_killed() {
    a_set_and_what_waits_behind_it_are_done_in_order(End::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_under_way_to_a_device_with_two_links_is_done_when_the_server_stops() {
    a_set_and_what_waits_behind_it_are_done_in_order(End::Stopped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_under_way_to_a_device_with_two_links_is_asked_again_by_the_next_server() {
    let mut scene = Scene::start().await;
    for (end, fate) in [(End::Killed, Fate::Unanswered), (End::Stopped, Fate::Lost)] {
        let met = scene.websocket.meet(By::Server, SSID, fate);
        let id = scene.ask(json!({"kind": "get", "paths": [SSID]})).await;
        met.await;
        scene.ends(end).await;
        let read = scene.server.api.succeeded(&id).await;
        assert_eq!(read["steps"][0]["results"][0]["after"], "home", "{read:#}");
        scene.is_there_over_both().await;
    }
}

/// A command that has arrived, and whose answer has not, runs once; its end is told whichever link comes back first, also
/// when it came while there was no server.
async fn a_command_runs_once_and_its_end_counts(end: End) {
    let mut scene = Scene::start().await;
    for before in [true, false] {
        let ran = scene.runs();
        let met = scene.websocket.meet(By::Server, COMMAND, Fate::Unanswered);
        let id = scene
            .ask(json!({"kind": "operate", "command": COMMAND}))
            .await;
        met.await;
        until("the command to run", SOON, async || {
            (scene.runs() > ran).then_some(())
        })
        .await;
        scene.down(end).await;
        if before {
            scene.completes();
        }
        scene.server.restart().await;
        if !before {
            scene.is_there_over_both().await;
            let waits = scene.server.api.operation(&id).await;
            assert_eq!(waits["finished_at"], Value::Null, "{waits:#}");
            scene.completes();
        }
        let done = scene.server.api.succeeded(&id).await;
        assert_eq!(done["attempts"], 1, "{done:#}");
        assert_eq!(scene.server.api.sent(&id, "OPERATE").await, 1);
        assert_eq!(scene.runs(), ran + 1);
        scene.is_there_over_both().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_of_a_device_with_two_links_runs_once_when_the_server_is_killed() {
    a_command_runs_once_and_its_end_counts(End::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_of_a_device_with_two_links_runs_once_when_the_server_stops() {
    a_command_runs_once_and_its_end_counts(End::Stopped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_never_arrived_with_the_server_is_unconfirmed_and_goes_over_no_other_link() {
    let mut scene = Scene::start().await;
    for end in [End::Killed, End::Stopped] {
        let met = scene.websocket.meet(By::Server, COMMAND, Fate::Lost);
        let id = scene
            .ask(json!({"kind": "operate", "command": COMMAND}))
            .await;
        met.await;
        scene.ends(end).await;
        let operation = until("the operation to end", UNDECIDED_WITHIN, async || {
            let operation = scene.server.api.operation(&id).await;
            operation["finished_at"].is_string().then_some(operation)
        })
        .await;
        assert_eq!(operation["state"], "unconfirmed", "{operation:#}");
        assert_eq!(operation["attempts"], 1, "{operation:#}");
        assert_eq!(scene.server.api.sent(&id, "OPERATE").await, 1);
        assert_eq!(scene.runs(), 0);
        scene.is_there_over_both().await;
    }
}
