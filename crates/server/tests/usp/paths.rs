//! One device over a WebSocket and MQTT at the same time: one device, two links, and whatever breaks in between.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use agent::{AgentConfig, Backend, Call, Change, ControllerConfig, MemoryStorage, MqttConfig};
use agent::{Outcome, RunOptions, View};
use fleet::southbound::{Answer, Op};
use fleet::{DeviceId, EventKind, Fact};
use serde_json::{Value, json};
use server::south::Links;
use store::testing::{TestDatabase, databases};
use store::{EventFilter, EventOrder, PathRecord};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::admission::give_token;
use crate::api_world;
use crate::mosquitto::free;
use crate::puppet::{Puppet, eid};
use crate::rig::{Box1, PATIENCE, World, until};

/// What a stretch of cable does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Works,
    /// What the device sends waits until that is over.
    Held,
    /// What the device sends is lost.
    Mute,
    /// Connections break, and none comes about.
    Cut,
}

/// What is shorter is no answer: a ping, or that a message has arrived.
const ANSWER_BYTES_MIN: usize = 32;

/// A stretch of cable between a device and a server.
struct Cable {
    addr: SocketAddr,
    flow: watch::Sender<Flow>,
    /// Answers of the device that were lost.
    lost: Arc<AtomicUsize>,
}

impl Cable {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (flow, seen) = watch::channel(Flow::Works);
        let lost = Arc::new(AtomicUsize::new(0));
        let count = lost.clone();
        tokio::spawn(async move {
            while let Ok((device, _)) = listener.accept().await {
                if *seen.borrow() == Flow::Cut {
                    continue;
                }
                let (mut cut, mut seen, count) = (seen.clone(), seen.clone(), count.clone());
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(server).await else {
                        return;
                    };
                    let (mut from_device, mut to_device) = device.into_split();
                    let (mut from_server, mut to_server) = server.into_split();
                    let up = async {
                        let mut some = [0; 4096];
                        while let Ok(n) = from_device.read(&mut some).await {
                            let on = seen.wait_for(|flow| *flow != Flow::Held).await;
                            let mute = on.is_ok_and(|flow| *flow == Flow::Mute);
                            if n > 0 && mute {
                                count.fetch_add(
                                    usize::from(n >= ANSWER_BYTES_MIN),
                                    Ordering::SeqCst,
                                );
                            } else if n == 0 || to_server.write_all(&some[..n]).await.is_err() {
                                return;
                            }
                        }
                    };
                    let down = tokio::io::copy(&mut from_server, &mut to_device);
                    tokio::select! {
                        () = up => {}
                        _ = down => {}
                        _ = cut.wait_for(|flow| *flow == Flow::Cut) => {}
                    }
                });
            }
        });
        Self { addr, flow, lost }
    }

    fn set(&self, flow: Flow) {
        self.flow.send_replace(flow);
    }

    /// Something that the device sent was lost.
    async fn loses(&self) {
        until("the device answers into the void", async || {
            (self.lost.load(Ordering::SeqCst) > 0).then_some(())
        })
        .await;
    }
}

/// What becomes of a cable with the next thing that is done to the device.
type Fatal = Arc<Mutex<Option<(watch::Sender<Flow>, Flow)>>>;

/// A CPE that counts its commands, and loses its voice with the next thing that is done to it.
struct Counting {
    inner: Box<Box1>,
    schema: Arc<dm::Schema>,
    ran: Arc<AtomicUsize>,
    fatal: Fatal,
}

impl Counting {
    fn done(&self) {
        if let Some((cable, flow)) = self.fatal.lock().unwrap().take() {
            cable.send_replace(flow);
        }
    }
}

impl Backend for Counting {
    fn schema(&self) -> Arc<dm::Schema> {
        self.schema.clone()
    }

    fn factory(&self) -> Vec<(String, String)> {
        self.inner.factory()
    }

    fn read(&self, now: agent::Now, path: &str) -> Option<String> {
        self.inner.read(now, path)
    }

    fn apply(&mut self, _: agent::Now, _: &[Change], _: &dyn View) -> Result<(), agent::Fault> {
        self.done();
        Ok(())
    }

    fn operate(&mut self, now: agent::Now, call: &Call, view: &dyn View) -> Outcome {
        self.done();
        if call.command == "Device.SelfTestDiagnostics()" {
            self.ran.fetch_add(1, Ordering::SeqCst);
            return Outcome::Done(Ok(vec![("Status".into(), "Complete".into())]));
        }
        self.inner.operate(now, call, view)
    }
}

/// A device with both, each over its own cable.
struct Device {
    endpoint: String,
    websocket: Cable,
    mqtt: Cable,
    /// How often its command ran.
    ran: Arc<AtomicUsize>,
    fatal: Fatal,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Device {
    async fn start(own: &str, tenant: &str, key: &str, at: (SocketAddr, SocketAddr)) -> Self {
        let (websocket, mqtt) = (Cable::to(at.0).await, Cable::to(at.1).await);
        let controller = ControllerConfig {
            endpoint_id: own.into(),
            url: format!("ws://{}/usp/{key}", websocket.addr),
            // What comes back has to be there while an answer is waited for.
            retry_min_wait: 1,
            retry_multiplier: 1000,
            mqtt: Some(MqttConfig {
                url: format!("mqtt://{}", mqtt.addr),
                username: format!("{tenant}/setup"),
                password: key.into(),
                ..MqttConfig::default()
            }),
            ..ControllerConfig::default()
        };
        let inner = Box1::new("P1");
        let schema = agent::model(&[
            "Device.DeviceInfo.",
            "Device.SelfTestDiagnostics()",
            "Device.WiFi.SSID.{i}.",
            "Device.WiFi.AccessPoint.{i}.",
            "Device.WiFi.AccessPoint.{i}.Security.",
        ]);
        let ran = Arc::new(AtomicUsize::new(0));
        let fatal = Fatal::default();
        let endpoint = inner.endpoint();
        let backend = Box::new(Counting {
            inner,
            schema: schema.unwrap(),
            ran: ran.clone(),
            fatal: fatal.clone(),
        });
        let config = AgentConfig {
            endpoint_id: endpoint.clone(),
            controllers: vec![controller],
            ..AgentConfig::default()
        };
        config.check("the test").unwrap();
        let options = RunOptions {
            storage: Box::new(MemoryStorage::new()),
            ..RunOptions::default()
        };
        let stop = CancellationToken::new();
        let running = agent::run(config, backend, options, stop.clone());
        let task = tokio::spawn(async move { running.await.unwrap() });
        Self {
            endpoint,
            websocket,
            mqtt,
            ran,
            fatal,
            stop,
            task,
        }
    }

    fn cable(&self, over: &str) -> &Cable {
        match over {
            "mqtt" => &self.mqtt,
            _ => &self.websocket,
        }
    }

    /// From the next thing on that is done to it, this is what becomes of what it sends this way.
    fn is_heard_until_then(&self, over: &str, flow: Flow) {
        *self.fatal.lock().unwrap() = Some((self.cable(over).flow.clone(), flow));
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn with_broker(config: &mut server::Config) {
    config.mqtt.listen = Some(free());
}

/// A server, and a device that is there over both with credentials of its own.
async fn both(db: TestDatabase) -> (World, Device, DeviceId) {
    let world = World::with(db, |config, _| with_broker(config)).await;
    let at = (world.usp, world.mqtt.plain.unwrap());
    let device = Device::start(&world.own, "acme", &world.key, at).await;
    let id = world.onboarded(&device.endpoint).await.device.id;
    until("it is there over both, as itself", async || {
        let paths = world.store.path_list(&world.tenant, id).await.unwrap();
        (paths.len() == 2 && paths.iter().all(is_own)).then_some(())
    })
    .await;
    asked_over(&world, id, &["websocket", "mqtt"]).await;
    (world, device, id)
}

fn is_own(path: &PathRecord) -> bool {
    path.node.is_some() && path.authenticated_by == "device_token"
}

/// It can be asked over these, in this order.
async fn asked_over(world: &World, device: DeviceId, wanted: &[&str]) {
    until(&format!("it is asked over {wanted:?}"), async || {
        let live = world.adapter.live(device).into_iter();
        let live: Vec<&str> = live
            .filter(|one| one.open)
            .map(|one| one.transport)
            .collect();
        (live == wanted).then_some(())
    })
    .await;
}

fn read() -> Op {
    Op::Get {
        paths: vec!["Device.DeviceInfo.SerialNumber".into()],
        max_depth: 0,
    }
}

async fn told(world: &World, kind: EventKind) -> usize {
    let filter = EventFilter {
        kinds: vec![kind],
        ..EventFilter::default()
    };
    let order = EventOrder::Before(None);
    let page = world.store.events(&world.tenant, order, &filter, 100).await;
    page.unwrap().events.len()
}

/// What the domain has heard of the device being there, until now.
fn heard(world: &mut World) -> Vec<bool> {
    let mut heard = Vec::new();
    while let Ok((_, _, fact)) = world.facts.try_recv() {
        match fact {
            Fact::Connected { .. } => heard.push(true),
            Fact::Disconnected { .. } => heard.push(false),
            _ => {}
        }
    }
    heard
}

#[tokio::test]
async fn a_device_with_two_transports_is_one_device_whose_setup_key_is_swapped_on_both() {
    for db in databases().await.unwrap() {
        let (mut world, device, id) = both(db).await;
        assert_eq!(told(&world, EventKind::DeviceOnboarded).await, 1);
        assert_eq!(told(&world, EventKind::DeviceCreated).await, 1);
        assert_eq!(told(&world, EventKind::DeviceTakenOver).await, 0);
        assert_eq!(world.reasons().await, Vec::<String>::new());
        let answer = world.ask(id, read()).await;
        assert!(matches!(answer, Ok(Answer::Values(_))), "{answer:?}");
        // What is heard of it alternates.
        let heard = heard(&mut world);
        assert!(heard.windows(2).all(|two| two[0] != two[1]), "{heard:?}");
        // The shared key opens neither way any more.
        let refused = Puppet::refused(&world.url(&world.key), &device.endpoint).await;
        assert_eq!(refused, 403);
        world.refused("readmit_needed").await;
        device.stop().await;
        world
            .fact("it is gone", |fact| {
                matches!(fact, Fact::Disconnected { .. }).then_some(())
            })
            .await;
    }
}

#[tokio::test]
async fn the_end_of_one_of_two_links_is_no_end_of_the_device() {
    for db in databases().await.unwrap() {
        let (mut world, device, id) = both(db).await;
        heard(&mut world);
        device.websocket.set(Flow::Cut);
        asked_over(&world, id, &["mqtt"]).await;
        assert!(world.ask(id, read()).await.is_ok());
        device.websocket.set(Flow::Works);
        asked_over(&world, id, &["websocket", "mqtt"]).await;
        device.mqtt.set(Flow::Cut);
        asked_over(&world, id, &["websocket"]).await;
        assert!(world.ask(id, read()).await.is_ok());
        let record = world.store.device(&world.tenant, id).await.unwrap();
        assert!(record.device.evidence.linked());
        assert!(heard(&mut world).is_empty(), "nothing was to be told");
        // And the end of the last one is.
        device.websocket.set(Flow::Cut);
        world
            .fact("it is gone", |fact| {
                matches!(fact, Fact::Disconnected { .. }).then_some(())
            })
            .await;
        until("the store knows", async || {
            let record = world.store.device(&world.tenant, id).await.unwrap();
            (!record.device.evidence.linked()).then_some(())
        })
        .await;
        device.stop().await;
    }
}

#[tokio::test]
async fn both_links_come_back_after_a_restart_of_the_server() {
    for db in databases().await.unwrap() {
        let (mut world, device, id) = both(db).await;
        world.restart().await;
        world.connected().await;
        asked_over(&world, id, &["websocket", "mqtt"]).await;
        assert!(world.ask(id, read()).await.is_ok());
        assert_eq!(told(&world, EventKind::DeviceTakenOver).await, 0);
        device.stop().await;
    }
}

#[tokio::test]
async fn what_goes_unanswered_over_one_link_goes_over_the_other_from_then_on() {
    let (mut world, device, id) = both(store::testing::sqlite().await.unwrap()).await;
    device.websocket.set(Flow::Mute);
    let lost = world
        .ask_within(id, read(), std::time::Duration::from_secs(2))
        .await;
    let lost = matches!(lost, Err(fleet::southbound::Failure::Lost { .. }));
    assert!(lost, "it may have happened");
    asked_over(&world, id, &["mqtt", "websocket"]).await;
    assert!(world.ask(id, read()).await.is_ok());
    device.stop().await;
}

/// The whole server, and a device that is there over both.
async fn managed() -> (api_world::World, Device, String) {
    let database = store::testing::sqlite().await.unwrap();
    let mut world = api_world::World::with(database, with_broker).await;
    world.populate().await;
    let made = world.post("/api/v1/setup-keys", json!({"name": "van"}));
    let made: Value = made.await.json().await.unwrap();
    let key = made["secret"].as_str().unwrap();
    let at = (world.usp.unwrap(), world.mqtt.unwrap());
    let device = Device::start(&world.endpoint, "default", key, at).await;
    let id = until("it is there over both", async || {
        let page = world.read("/api/v1/devices?q=P1").await;
        let id = page["items"][0]["id"].as_str()?.to_owned();
        (used(&world, &id).await == ["mqtt false", "websocket true"]).then_some(id)
    })
    .await;
    // Of itself it is asked nothing more.
    let shown = until("it is onboarded", async || {
        let shown = world.read(&format!("/api/v1/devices/{id}")).await;
        (shown["onboarding"] == "complete").then_some(shown)
    })
    .await;
    // Whichever of the two it was given its credential over.
    assert_eq!(shown["admission"]["state"], "own", "{shown:#}");
    (world, device, id)
}

/// The paths that are open with a credential of the device's own, and whether requests go over them.
async fn used(world: &api_world::World, id: &str) -> Vec<String> {
    let reach = world.read(&format!("/api/v1/devices/{id}/reach")).await;
    let paths = reach["paths"].as_array().unwrap().iter();
    let own = paths.filter(|path| path["credential"] == "its own credential");
    let used = own.filter_map(|path| {
        let over = path["transport"].as_str()?;
        let open = path["choice"].is_string() && path["connected"] == true;
        open.then_some(format!("{over} {}", path["used"].as_bool()?))
    });
    used.collect()
}

/// It is asked over this link from now on.
async fn goes_over(world: &api_world::World, device: &Device, id: &str, over: &str) {
    let wanted: &[&str] = match over {
        "mqtt" => &["mqtt true"],
        _ => &["mqtt false", "websocket true"],
    };
    if over == "mqtt" {
        device.websocket.set(Flow::Cut);
    }
    until(&format!("it is asked over {over}"), async || {
        (used(world, id).await == wanted).then_some(())
    })
    .await;
}

async fn ask(world: &api_world::World, id: &str, op: &Value) -> String {
    let path = format!("/api/v1/devices/{id}/operations");
    let asked = world.post(&path, json!({"ops": [op]})).await;
    let asked: Value = asked.json().await.unwrap();
    let operation = asked["operation"]["id"].as_str();
    operation.unwrap_or_else(|| panic!("{asked}")).to_owned()
}

/// How it ended, and the messages of it with what they went over.
async fn ended(world: &api_world::World, operation: &str) -> (Value, Vec<String>) {
    let path = format!("/api/v1/operations/{operation}");
    let ended = until("it ends", async || {
        let now = world.read(&path).await;
        (now["finished_at"] != Value::Null).then_some(now)
    })
    .await;
    let transcript = world.read(&format!("{path}/transcript")).await;
    let entries = transcript["items"].as_array().unwrap().iter();
    let brief = |one: &Value| format!("{} {}", one["transport"], one["kind"]).replace('"', "");
    (ended, entries.map(brief).collect())
}

const OVER: [&str; 2] = ["websocket", "mqtt"];

fn other(over: &str) -> &'static str {
    if over == "mqtt" { "websocket" } else { "mqtt" }
}

/// Something is asked of the device over this link, its answer is lost, and then so is the connection, while the other
/// one is there. How it ended, and the messages of it with what they went over.
async fn lost_in_between(over: &str, op: Value) -> (Device, Value, Vec<String>) {
    let (world, device, id) = managed().await;
    goes_over(&world, &device, &id, over).await;
    match op["kind"] == "get" {
        true => device.cable(over).set(Flow::Mute),
        false => device.is_heard_until_then(over, Flow::Mute),
    }
    let operation = ask(&world, &id, &op).await;
    device.cable(over).loses().await;
    if over == "mqtt" {
        device.websocket.set(Flow::Works);
        let back = async || {
            let used = used(&world, &id).await;
            used.iter()
                .any(|one| one.starts_with("websocket"))
                .then_some(())
        };
        until("the WebSocket is back", back).await;
    }
    device.cable(over).set(Flow::Cut);
    let (ended, transcript) = ended(&world, &operation).await;
    (device, ended, transcript)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_whose_answer_is_lost_with_one_link_is_sent_again_over_the_other() {
    for over in OVER {
        let get = json!({"kind": "get", "paths": ["Device.WiFi.SSID.1.SSID"]});
        let (device, ended, transcript) = lost_in_between(over, get).await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
        let wanted = [(over, "GET"), (over, "nothing"), (other(over), "GET")];
        let mut wanted = wanted.map(|(over, kind)| format!("{over} {kind}")).to_vec();
        wanted.push(format!("{} GET_RESP", other(over)));
        assert_eq!(transcript, wanted);
        device.stop().await;
    }
}

/// What was asked over this one, in order.
fn asked<'a>(transcript: &'a [String], over: &str) -> Vec<&'a str> {
    let entries = transcript.iter().filter_map(|one| one.strip_prefix(over));
    let kinds = entries
        .map(str::trim)
        .filter(|kind| !kind.ends_with("_RESP"));
    kinds.collect()
}

fn set(name: &str) -> Value {
    let change = json!([{"path": "Device.WiFi.SSID.1.SSID", "value": name}]);
    json!({"kind": "set", "parameters": change})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_whose_answer_is_lost_with_one_link_is_sent_again_over_the_other() {
    for over in OVER {
        let (device, ended, transcript) = lost_in_between(over, set("over")).await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
        assert_eq!(asked(&transcript, over), ["GET", "SET", "nothing"]);
        assert_eq!(asked(&transcript, other(over)), ["SET", "GET"]);
        device.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_whose_answer_is_lost_with_one_link_is_looked_for_over_the_other_and_not_added_again()
{
    for over in OVER {
        let add = json!({"kind": "add", "object": "Device.WiFi.SSID.", "parameters": [{"name": "SSID", "value": "mine"}]});
        let (device, ended, transcript) = lost_in_between(over, add).await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
        let wanted = ["GET_INSTANCES", "ADD", "nothing"];
        assert_eq!(asked(&transcript, over), wanted);
        let then = asked(&transcript, other(over));
        assert_eq!(then.first(), Some(&"GET_INSTANCES"), "{transcript:?}");
        assert!(!then.contains(&"ADD"), "{transcript:?}");
        device.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_whose_answer_is_lost_with_one_link_runs_once_and_its_end_is_told_over_the_other()
{
    for over in OVER {
        let operate = json!({"kind": "operate", "command": "Device.SelfTestDiagnostics()"});
        let (device, ended, transcript) = lost_in_between(over, operate).await;
        assert_eq!(ended["state"], "succeeded", "{ended} {transcript:?}");
        assert_eq!(asked(&transcript, over), ["OPERATE", "nothing"]);
        let then = asked(&transcript, other(over));
        assert!(!then.contains(&"OPERATE"), "{transcript:?}");
        assert_eq!(device.ran.load(Ordering::SeqCst), 1);
        device.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_other_link_does_not_touch_what_is_under_way_over_this_one() {
    for over in OVER {
        let (world, device, id) = managed().await;
        goes_over(&world, &device, &id, over).await;
        device.is_heard_until_then(over, Flow::Held);
        let operation = ask(&world, &id, &set("held")).await;
        let held = device.cable(over).flow.subscribe();
        until("the device has done it", async || {
            (*held.borrow() == Flow::Held).then_some(())
        })
        .await;
        // Over MQTT it went because there was nothing else: there is again, and is not any more.
        if over == "mqtt" {
            device.websocket.set(Flow::Works);
        }
        let ways = async |wanted: usize| {
            until(&format!("{wanted} links"), async || {
                (used(&world, &id).await.len() == wanted).then_some(())
            })
            .await;
        };
        ways(2).await;
        device.cable(other(over)).set(Flow::Cut);
        ways(1).await;
        device.cable(over).set(Flow::Works);
        let (ended, transcript) = ended(&world, &operation).await;
        assert_eq!(ended["state"], "succeeded", "{ended} {transcript:?}");
        assert_eq!(asked(&transcript, over), ["GET", "SET", "GET"]);
        assert_eq!(asked(&transcript, other(over)), [""; 0]);
        device.stop().await;
    }
}

/// Of the same notification over both.
#[tokio::test]
async fn what_comes_over_both_links_is_stored_once_and_acknowledged_on_each() {
    const EID: &str = "os::00256D-P9";
    for db in databases().await.unwrap() {
        let mut world = World::with(db, |config, _| with_broker(config)).await;
        let token = give_token(&world, EID).await;
        let id = world.device(EID).await;
        let mut websocket = Puppet::dial(&world.url(&token), EID, &world.own)
            .await
            .unwrap();
        let broker = world.mqtt.plain.unwrap();
        let topic = format!("usp/acme/controller/{EID}");
        let mut mqtt = mtp::mqtt::DialConfig::new("127.0.0.1", broker.port(), eid(EID), topic);
        mqtt.username = Some(format!("acme/{id}"));
        mqtt.password = Some(token);
        mqtt.response_topic = Some(format!("usp/acme/agent/{EID}"));
        let mut mqtt = mtp::mqtt::dial(&mqtt).await.unwrap();
        let hello = usp::record::MqttConnectRecord {
            subscribed_topic: mqtt.reply_topic().to_owned(),
            ..Default::default()
        };
        let record = |content: usp::record::RecordType| {
            let record = usp::Record::new(usp::Version::V1_4, &eid(EID), &eid(&world.own), content);
            bytes::Bytes::from(usp::codec::encode_record(&record))
        };
        mqtt.send(record(hello.into()), None).await.unwrap();
        let change = usp::msg::ValueChange {
            param_path: "Device.DeviceInfo.SoftwareVersion".into(),
            param_value: "2.0".into(),
        };
        let mut notify = usp::msg::notify("headend-test", change);
        notify.send_resp = true;
        let notify = usp::msg::Msg::request("same-1", notify);
        let notify = || usp::record::NoSessionContextRecord::new(usp::codec::encode_msg(&notify));
        let answers = |record: &[u8]| {
            let record = usp::codec::decode_record(record).unwrap();
            let usp::record::RecordType::NoSessionContext(message) = record.record_type else {
                return false;
            };
            let id = usp::codec::peek_msg(&message.payload).msg_id;
            id.as_deref() == Some("same-1")
        };
        websocket.send_raw(record(notify().into())).await;
        mqtt.send(record(notify().into()), None).await.unwrap();
        let over_mqtt = async { while !answers(&mqtt.recv().await.unwrap().record) {} };
        let over_websocket = async {
            loop {
                match websocket.link.recv().await {
                    Ok(mtp::ws::Incoming::Record(one)) if answers(&one) => return,
                    Ok(mtp::ws::Incoming::Record(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        let both = async { tokio::join!(over_mqtt, over_websocket) };
        tokio::time::timeout(PATIENCE, both)
            .await
            .expect("no acknowledgement");
        assert_eq!(told(&world, EventKind::DeviceValueChanged).await, 1);
        let mut notified = 0;
        while let Ok((_, _, fact)) = world.facts.try_recv() {
            notified += usize::from(matches!(fact, Fact::Notified { .. }));
        }
        assert_eq!(notified, 1);
    }
}
