//! Whole sessions: a scripted CPE on one side, the dispatcher and the database on the other. What
//! was promised survives a kill between and within them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cwmp::event::EventCode;
use cwmp::rpc::{EventStruct, FaultStruct, Inform, Method, ParameterValue, TransferComplete};
use cwmp::value::Value;
use cwmp::{FaultCode, Request as Rpc, Response, Version};
use fleet::device::OnboardingState;
use fleet::onboarding::Strength;
use fleet::operation::{OperationState as State, Request};
use fleet::southbound::{Job, PathValue, Southbound};
use fleet::{DeviceId, EventKind, NodeId, Operation, OperationId, TenantId};
use store::testing::TestDatabase;
use store::{EventFilter, NewDevice, Store, TenantRecord, Visit, VisitPath};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::fake::{Asked, Fake, gateway, old_gateway};
use super::memory::wire_key;
use crate::Config;
use crate::dispatch::{self, Dispatch};
use crate::southbound::cwmp::core::{Command, Core, Stop};
use crate::southbound::cwmp::door::Door;
use crate::southbound::cwmp::limits::Limits;
use crate::southbound::cwmp::wake::{self, Waker};
use crate::southbound::cwmp::{Guest, Opening, Said, converse};
use crate::state::now;
use crate::vault::Vault;

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// The way to the one session there is.
#[derive(Default)]
struct Way(Mutex<Option<mpsc::Sender<Command>>>);

impl Way {
    fn send(&self, command: Command) {
        if let Some(to) = &*self.0.lock().unwrap() {
            let _ = to.try_send(command);
        }
    }
}

impl Southbound for Way {
    fn submit(&self, _: &TenantId, _: DeviceId, job: Job) {
        self.send(Command::Job(Box::new(job)));
    }
    fn wake(&self, _: &TenantId, _: DeviceId) {}
    fn rest(&self, _: &TenantId, _: DeviceId) {
        self.send(Command::Rest);
    }
}

/// One life of a server.
struct Node {
    core: Arc<Core>,
    way: Arc<Way>,
    dispatch: Dispatch,
}

impl Node {
    async fn start(store: &Store) -> Self {
        let (facts, incoming) = mpsc::channel(1_000);
        let config = Config::default();
        let limits = Limits {
            onboard_wait_max: Duration::from_millis(50),
            ..Limits::default()
        };
        let node = NodeId::parse("one").unwrap();
        let shutdown = CancellationToken::new();
        let vault = Vault::of(&[7; 32]).unwrap();
        let waker = Waker::start(wake::Setup {
            store: store.clone(),
            vault: vault.clone(),
            links: Arc::default(),
            settings: wake::Settings::default(),
            limits: wake::Limits::default(),
            shutdown: shutdown.clone(),
        });
        let waker = waker.await.unwrap();
        let door = Door::new(vault, &config.cwmp, &limits);
        let (store, config) = (store.clone(), Arc::new(config));
        let core = Core::new(
            store.clone(),
            node.clone(),
            config,
            limits,
            door,
            waker,
            facts,
            shutdown.clone(),
        );
        let way = Arc::new(Way::default());
        let dispatch = dispatch::start(dispatch::Setup {
            store,
            southbound: way.clone(),
            facts: incoming,
            shutdown,
            node,
            presence: Default::default(),
        });
        let core = Arc::new(core);
        Self {
            core,
            way,
            dispatch,
        }
    }

    /// As kill -9: nothing is finished, nothing is said.
    fn kill(self) {
        self.dispatch.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// A device and its server.
struct World {
    node: Option<Node>,
    store: Store,
    tenant: TenantId,
    device: DeviceId,
    root: &'static str,
    software: &'static str,
    _database: TestDatabase,
}

/// A session under way.
struct Session {
    stored: oneshot::Receiver<()>,
    said: mpsc::Sender<Said>,
    task: JoinHandle<()>,
}

impl Session {
    /// The device says something, and what it is answered.
    async fn say(&self, request: impl Into<Rpc>) -> Result<Response, cwmp::Fault> {
        let (reply, answer) = oneshot::channel();
        let request = request.into();
        self.said.send(Said { request, reply }).await.unwrap();
        answer.await.unwrap()
    }

    /// The device has nothing more to say.
    async fn end(self) {
        drop(self.said);
        let ended = tokio::time::timeout(PATIENCE, self.task).await;
        ended.expect("the session ends").unwrap();
    }
}

impl World {
    async fn start(root: &'static str) -> Self {
        let database = store::testing::sqlite().await.unwrap();
        let store = database.store.clone();
        let tenant = TenantId::parse("acme").unwrap();
        let record = TenantRecord {
            id: tenant.clone(),
            name: "Acme".into(),
            created_at: now(),
            disabled_at: None,
        };
        store.tenant_insert(record, Vec::new()).await.unwrap();
        let device = DeviceId(uuid::Uuid::now_v7());
        let new = NewDevice {
            id: device,
            name: String::new(),
            tags: Vec::new(),
            protocol: "cwmp".into(),
            description: Default::default(),
            identities: Vec::new(),
            source: "setup".into(),
            onboarding: OnboardingState::Started,
            created_at: now(),
        };
        store.device_insert(&tenant, new, Vec::new()).await.unwrap();
        let visit = Visit {
            device,
            at: now(),
            expected_by: now().plus(PATIENCE),
            path: VisitPath {
                transport: "cwmp".into(),
                endpoint_id: "00256D-Box-S1".into(),
                peer: String::new(),
                authenticated_by: "setup_key".into(),
                setup_key: None,
                info: serde_json::Value::Null,
            },
        };
        store.device_visited(&tenant, vec![visit]).await.unwrap();
        Self {
            node: Some(Node::start(&store).await),
            store,
            tenant,
            device,
            root,
            software: if root == "Device." { "1.0" } else { "0.9" },
            _database: database,
        }
    }

    fn node(&self) -> &Node {
        self.node.as_ref().unwrap()
    }

    /// The server is killed, and another life of it begins.
    async fn restart(&mut self) {
        self.node.take().unwrap().kill();
        self.node = Some(Node::start(&self.store).await);
    }

    fn inform(&self, events: &[(&str, &str)], parameters: &[(&str, &str)]) -> Inform {
        let event =
            |(code, key): &(&str, &str)| EventStruct::with_key(EventCode::parse(code), *key);
        let software = format!("{}DeviceInfo.SoftwareVersion", self.root);
        let mut all = vec![ParameterValue::new(software, Value::string(self.software))];
        all.extend(
            parameters
                .iter()
                .map(|(name, value)| ParameterValue::new(*name, Value::string(*value))),
        );
        Inform {
            device_id: cwmp::rpc::DeviceId {
                manufacturer: "Acme".into(),
                oui: "00256D".into(),
                product_class: "Box".into(),
                serial_number: if self.root == "Device." { "S1" } else { "S2" }.into(),
            },
            events: events.iter().map(event).collect(),
            max_envelopes: 1,
            current_time: cwmp::value::Timestamp::from_unix(now().as_millis() / 1000),
            retry_count: 0,
            parameters: all,
        }
    }

    /// The device comes.
    fn come(&self, fake: Fake, inform: Inform, wants_credential: bool) -> (Session, Asked) {
        let (cpe, asked) = fake.cpe();
        let (told, stored) = oneshot::channel();
        let (said, heard) = mpsc::channel(4);
        let (commands, taken) = mpsc::channel(64);
        let node = self.node();
        *node.way.0.lock().unwrap() = Some(commands);
        let opening = Opening {
            guest: Guest {
                tenant: self.tenant.clone(),
                device: self.device,
                strength: Strength::SetupKey,
                wants_credential,
                peer: SocketAddr::from(([192, 0, 2, 1], 7547)),
            },
            inform,
            version: Version::V1_2,
            at: now(),
            stored: told,
            said: heard,
        };
        let task = tokio::spawn(converse::converse(node.core.clone(), opening, cpe, taken));
        (Session { stored, said, task }, asked)
    }

    /// A whole session in which the device has nothing to say but its Inform.
    async fn session(&self, fake: Fake, events: &[(&str, &str)]) -> Asked {
        let (session, asked) = self.come(fake, self.inform(events, &[]), false);
        session.end().await;
        asked
    }

    /// A device that is known.
    async fn known(fake: Fake, root: &'static str) -> (Self, Asked) {
        let world = Self::start(root).await;
        let asked = world
            .session(fake, &[("0 BOOTSTRAP", ""), ("1 BOOT", "")])
            .await;
        asked.clear();
        (world, asked)
    }

    async fn ask(&self, request: Request) -> OperationId {
        let id = OperationId(uuid::Uuid::now_v7());
        let expires = now().plus(fleet::limits::EXPIRY_DEFAULT);
        let (tenant, device) = (self.tenant.clone(), self.device);
        let operation = Operation::new(id, tenant, device, request, "test", now(), expires);
        let written = self
            .store
            .operation_insert(&self.tenant, operation, None, Vec::new());
        written.await.unwrap();
        id
    }

    async fn operation(&self, id: OperationId) -> Operation {
        self.store
            .operation(&self.tenant, id)
            .await
            .unwrap()
            .operation
    }

    async fn ends(&self, id: OperationId, wanted: State) -> Operation {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut events = self.store.watch_events();
        loop {
            let operation = self.operation(id).await;
            if operation.state.is_final() || tokio::time::Instant::now() > deadline {
                assert_eq!(operation.state, wanted, "{:?}", operation.outcome);
                return operation;
            }
            let _ = tokio::time::timeout(Duration::from_millis(200), events.recv()).await;
        }
    }

    async fn value(&self, path: &str) -> Option<String> {
        let paths = [path.to_owned()];
        let known = self
            .store
            .value_of(&self.tenant, self.device, &paths)
            .await
            .unwrap();
        known.into_iter().next().map(|known| known.value)
    }

    async fn told(&self, kind: EventKind) -> Vec<serde_json::Value> {
        let filter = EventFilter {
            kinds: vec![kind],
            ..EventFilter::default()
        };
        let page = self
            .store
            .events_after(&self.tenant, 0, &filter, 100)
            .await
            .unwrap();
        page.events
            .into_iter()
            .map(|record| record.event.data)
            .collect()
    }
}

fn operate(command: &str, args: &[(&str, &str)]) -> Request {
    Request::Operate {
        command: command.to_owned(),
        args: args
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect(),
    }
}

fn upgrade() -> Request {
    let command = "Device.DeviceInfo.FirmwareImage.1.Download()";
    operate(command, &[("URL", "http://files/fw.bin")])
}

fn complete(id: OperationId, code: u32) -> TransferComplete {
    TransferComplete {
        command_key: wire_key(&id.to_string()),
        fault: FaultStruct {
            code: FaultCode(code),
            text: String::new(),
        },
        ..TransferComplete::default()
    }
}

const PERIODIC: &[(&str, &str)] = &[("2 PERIODIC", "")];

#[tokio::test]
async fn a_new_device_is_known_after_its_first_session() {
    for (fake, root, ssid) in [
        (gateway(), "Device.", ("home", "S1")),
        (old_gateway(), "InternetGatewayDevice.", ("old home", "S2")),
    ] {
        let (ssid, serial) = ssid;
        let world = World::start(root).await;
        let inform = world.inform(&[("0 BOOTSTRAP", "")], &[]);
        let (session, asked) = world.come(fake, inform, true);
        session.end().await;
        let record = world
            .store
            .device(&world.tenant, world.device)
            .await
            .unwrap();
        assert_eq!(
            record.device.onboarding,
            OnboardingState::Complete,
            "{root}"
        );
        assert_eq!(record.device.description.serial, serial);
        let model = world
            .store
            .model(&world.tenant, &record.model_key)
            .await
            .unwrap()
            .unwrap()
            .model;
        assert!(model.param("Device.WiFi.SSID.1.SSID").is_some());
        assert_eq!(
            world.value("Device.WiFi.SSID.1.SSID").await.as_deref(),
            Some(ssid)
        );
        let enabled = format!("{root}ManagementServer.PeriodicInformEnable");
        assert_eq!(asked.get(&enabled).as_deref(), Some("true"));
        let names = world
            .store
            .identity_list(&world.tenant, world.device)
            .await
            .unwrap();
        assert_eq!(names.len(), 2);
        assert_eq!(world.told(EventKind::DeviceOnboarded).await.len(), 1);
        // The next time it is asked for nothing.
        asked.clear();
        world.session(asked.again(), PERIODIC).await;
        assert!(asked.methods().is_empty(), "{:?}", asked.methods());
    }
}

#[tokio::test]
async fn a_device_with_a_setup_key_gets_a_credential_of_its_own_and_nobody_reads_it() {
    let world = World::start("Device.").await;
    let (session, asked) = world.come(gateway(), world.inform(PERIODIC, &[]), true);
    session.end().await;
    let at = |name: &str| {
        asked
            .get(&format!("Device.ManagementServer.{name}"))
            .unwrap()
    };
    assert_eq!(at("Username"), world.device.to_string());
    let password = at("Password");
    assert_eq!(at("ConnectionRequestUsername"), world.device.to_string());
    assert_ne!(at("ConnectionRequestPassword"), password);
    assert!(password.len() >= 24);
    assert_eq!(
        world
            .value("Device.ManagementServer.Password")
            .await
            .as_deref(),
        Some("")
    );
    assert_eq!(
        world.told(EventKind::DeviceCredential).await[0]["state"],
        "pending"
    );
}

#[tokio::test]
async fn a_set_is_done_in_the_session_that_follows_and_read_back() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let path = "Device.WiFi.SSID.1.SSID";
    let id = world
        .ask(Request::Set {
            values: vec![PathValue::new(path, "den")],
            allow_partial: false,
        })
        .await;
    world.session(asked.again(), PERIODIC).await;
    let operation = world.ends(id, State::Succeeded).await;
    assert_eq!(operation.outcome.before[0].value, "home");
    assert_eq!(operation.outcome.after[0].value, "den");
    assert_eq!(asked.get(path).as_deref(), Some("den"));
    let transcript = world
        .store
        .transcript_list(&world.tenant, id)
        .await
        .unwrap();
    let said: Vec<&str> = transcript.iter().map(|entry| entry.what.as_str()).collect();
    assert!(
        said.contains(&"SetParameterValues") && said.contains(&"SetParameterValuesResponse"),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_row_is_added_and_deleted_on_an_old_gateway() {
    let (world, asked) = World::known(old_gateway(), "InternetGatewayDevice.").await;
    let id = world
        .ask(Request::Add {
            object: "Device.NAT.PortMapping.".into(),
            values: BTreeMap::from([("ExternalPort".to_owned(), "8080".to_owned())]),
        })
        .await;
    world.session(asked.again(), PERIODIC).await;
    let added = world.ends(id, State::Succeeded).await;
    let row = added.progress.rows[0].clone();
    let paths = vec![row];
    let id = world
        .ask(Request::Delete {
            paths,
            allow_partial: false,
        })
        .await;
    world.session(asked.again(), PERIODIC).await;
    world.ends(id, State::Succeeded).await;
}

#[tokio::test]
async fn a_reboot_is_proved_by_the_next_session_also_after_a_kill_between() {
    for killed in [false, true] {
        let (mut world, asked) = World::known(gateway(), "Device.").await;
        let id = world.ask(operate("Device.Reboot()", &[])).await;
        world.session(asked.again(), PERIODIC).await;
        assert_eq!(asked.methods(), ["Reboot"]);
        if killed {
            world.restart().await;
        }
        let key = wire_key(&id.to_string());
        world
            .session(asked.again(), &[("1 BOOT", ""), ("M Reboot", &key)])
            .await;
        let operation = world.ends(id, State::Succeeded).await;
        assert!(operation.outcome.cause.unwrap().contains("our command key"));
        assert_eq!(asked.methods().iter().filter(|m| *m == "Reboot").count(), 1);
    }
}

#[tokio::test]
async fn a_reset_to_factory_settings_is_proved_by_a_bootstrap() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let id = world.ask(operate("Device.FactoryReset()", &[])).await;
    world.session(asked.again(), PERIODIC).await;
    world
        .session(asked.again(), &[("0 BOOTSTRAP", ""), ("1 BOOT", "")])
        .await;
    world.ends(id, State::Succeeded).await;
    assert_eq!(world.told(EventKind::DeviceOnboarded).await.len(), 2);
}

#[tokio::test]
async fn a_download_ends_with_its_transfer_complete_also_after_a_kill_between() {
    for killed in [false, true] {
        for (code, state) in [(0, State::Succeeded), (9010, State::Failed)] {
            let (mut world, asked) = World::known(gateway(), "Device.").await;
            let id = world.ask(upgrade()).await;
            world.session(asked.again(), PERIODIC).await;
            assert_eq!(world.operation(id).await.state, State::Running);
            if killed {
                world.restart().await;
            }
            let inform = world.inform(&[("7 TRANSFER COMPLETE", "")], &[]);
            let (session, _) = world.come(asked.again(), inform, false);
            assert!(session.say(complete(id, code)).await.is_ok());
            // Once more, as a device does that has not heard the answer.
            assert!(session.say(complete(id, code)).await.is_ok());
            session.end().await;
            world.ends(id, state).await;
            assert_eq!(world.told(EventKind::DeviceCommandCompleted).await.len(), 1);
            assert_eq!(
                asked.methods().iter().filter(|m| *m == "Download").count(),
                1
            );
        }
    }
}

#[tokio::test]
async fn a_download_whose_answer_was_lost_goes_on_when_the_device_has_it_and_else_is_unconfirmed() {
    for queued in [true, false] {
        let (mut world, asked) = World::known(gateway(), "Device.").await;
        let id = world.ask(upgrade()).await;
        world
            .session(asked.again().loses(Method::Download), PERIODIC)
            .await;
        world.restart().await;
        let mut next = asked.again();
        if queued {
            next = next.queued(&wire_key(&id.to_string()));
        }
        world.session(next, PERIODIC).await;
        if queued {
            let (session, _) = world.come(asked.again(), world.inform(PERIODIC, &[]), false);
            session.say(complete(id, 0)).await.unwrap();
            session.end().await;
            world.ends(id, State::Succeeded).await;
        } else {
            world.ends(id, State::Unconfirmed).await;
        }
        assert_eq!(
            asked.methods().iter().filter(|m| *m == "Download").count(),
            1
        );
    }
}

#[tokio::test]
async fn a_download_that_nobody_reports_is_proved_by_the_firmware_that_runs_afterwards() {
    let (mut world, asked) = World::known(gateway(), "Device.").await;
    let id = world.ask(upgrade()).await;
    world.session(asked.again(), PERIODIC).await;
    world.software = "2.0";
    asked.put("Device.DeviceInfo.SoftwareVersion", "2.0");
    world.session(asked.again(), &[("1 BOOT", "")]).await;
    let operation = world.ends(id, State::Succeeded).await;
    assert_eq!(operation.outcome.outputs["SoftwareVersion"], "2.0");
    assert_eq!(
        world
            .value("Device.DeviceInfo.SoftwareVersion")
            .await
            .as_deref(),
        Some("2.0")
    );
}

#[tokio::test]
async fn a_diagnostic_runs_between_two_sessions() {
    let (world, asked) = World::known(old_gateway(), "InternetGatewayDevice.").await;
    let id = world
        .ask(operate(
            "Device.IP.Diagnostics.IPPing()",
            &[("Host", "192.0.2.9")],
        ))
        .await;
    world.session(asked.again(), PERIODIC).await;
    let object = "InternetGatewayDevice.IPPingDiagnostics.";
    assert_eq!(
        asked.get(&format!("{object}DiagnosticsState")).as_deref(),
        Some("Requested")
    );
    asked.put(&format!("{object}DiagnosticsState"), "Complete");
    asked.put(&format!("{object}SuccessCount"), "3");
    world
        .session(asked.again(), &[("8 DIAGNOSTICS COMPLETE", "")])
        .await;
    let operation = world.ends(id, State::Succeeded).await;
    assert_eq!(operation.outcome.outputs["SuccessCount"], "3");
}

#[tokio::test]
async fn a_session_that_breaks_off_within_a_set_is_followed_by_another_try() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let values = vec![PathValue::new("Device.WiFi.SSID.1.SSID", "den")];
    let id = world
        .ask(Request::Set {
            values,
            allow_partial: false,
        })
        .await;
    world
        .session(asked.again().loses(Method::SetParameterValues), PERIODIC)
        .await;
    assert!(!world.operation(id).await.state.is_final());
    world.session(asked.again(), PERIODIC).await;
    // Its next try waits for a second; the session that comes then does it.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !world.operation(id).await.state.is_final() {
        assert!(tokio::time::Instant::now() < deadline);
        world.session(asked.again(), PERIODIC).await;
    }
    world.ends(id, State::Succeeded).await;
}

#[tokio::test]
async fn changes_that_a_device_reports_are_told_once_and_remembered() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let ssid = [("Device.WiFi.SSID.2.SSID", "visitors")];
    let inform = world.inform(&[("4 VALUE CHANGE", "")], &ssid);
    for _ in 0..2 {
        let (session, _) = world.come(asked.again(), inform.clone(), false);
        session.end().await;
    }
    assert_eq!(world.value(ssid[0].0).await.as_deref(), Some("visitors"));
    let told = world.told(EventKind::DeviceValueChanged).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["value"], "visitors");
}

#[tokio::test]
async fn an_inform_is_answered_when_it_is_stored_and_a_removed_device_is_not_answered() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let (session, _) = world.come(asked.again(), world.inform(&[("1 BOOT", "")], &[]), false);
    let Session { stored, said, task } = session;
    assert!(stored.await.is_ok());
    assert!(!world.told(EventKind::DeviceBooted).await.is_empty());
    drop(said);
    task.await.unwrap();
    world
        .store
        .device_delete(&world.tenant, world.device, Vec::new())
        .await
        .unwrap();
    let inform = world.inform(PERIODIC, &[("Device.DeviceInfo.UpTime", "1")]);
    let (session, _) = world.come(asked.again(), inform, false);
    let Session { stored, said, task } = session;
    assert!(stored.await.is_err());
    drop(said);
    task.await.unwrap();
}

#[tokio::test]
async fn what_is_learned_of_a_model_serves_the_next_session() {
    let (world, asked) = World::known(gateway().values_max(6), "Device.").await;
    let paths = asked.params();
    let id = world
        .ask(Request::Get {
            paths: paths.clone(),
            max_depth: 0,
        })
        .await;
    world.session(asked.again().values_max(6), PERIODIC).await;
    world.ends(id, State::Succeeded).await;
    let first = asked.methods().len();
    asked.clear();
    let id = world
        .ask(Request::Get {
            paths,
            max_depth: 0,
        })
        .await;
    world.session(asked.again().values_max(6), PERIODIC).await;
    world.ends(id, State::Succeeded).await;
    assert!(asked.methods().len() <= first);
    assert!(asked.methods().len() < 15, "{}", asked.methods().len());
}

#[tokio::test]
async fn a_device_that_finds_no_room_to_be_known_is_known_by_its_next_session() {
    let world = World::start("Device.").await;
    let core = world.node().core.clone();
    let mut held = Vec::new();
    while let Some(slot) = core.onboardings.try_take(&world.tenant) {
        held.push(slot);
    }
    let asked = world.session(gateway(), PERIODIC).await;
    assert!(asked.methods().is_empty(), "{:?}", asked.methods());
    drop(held);
    world.session(asked.again(), PERIODIC).await;
    assert_eq!(world.told(EventKind::DeviceOnboarded).await.len(), 1);
}

/// Waits until something is so.
async fn until(mut is: impl FnMut() -> bool) {
    let wait = async {
        while !is() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("in time");
}

#[tokio::test]
async fn a_device_that_breaks_over_a_question_and_comes_anew_is_not_asked_that_again() {
    const BOOTSTRAP: &[(&str, &str)] = &[("0 BOOTSTRAP", "")];
    let world = World::start("Device.").await;
    let fake = gateway().hangs_on_objects();
    let (session, asked) = world.come(fake, world.inform(BOOTSTRAP, &[]), false);
    until(|| asked.hanging() == 1).await;
    let commands = world.node().way.0.lock().unwrap().clone().unwrap();
    let peer = SocketAddr::from(([192, 0, 2, 1], 7548));
    commands
        .send(Command::Stop(Stop::Replaced(peer)))
        .await
        .unwrap();
    until(|| commands.capacity() == commands.max_capacity()).await;
    asked.let_go();
    session.end().await;
    world
        .session(asked.again().hangs_on_objects(), BOOTSTRAP)
        .await;
    assert_eq!(asked.hanging(), 0);
    assert_eq!(world.told(EventKind::DeviceOnboarded).await.len(), 1);
}
