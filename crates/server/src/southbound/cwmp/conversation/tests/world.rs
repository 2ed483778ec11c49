//! A scripted CPE on one side, the dispatcher and the database on the other: what whole sessions are
//! tested in.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cwmp::event::EventCode;
use cwmp::rpc::{EventStruct, FaultStruct, Inform, ParameterValue, TransferComplete};
use cwmp::value::Value;
use cwmp::{FaultCode, Request as Rpc, Response, Version};
use fleet::device::OnboardingState;
use fleet::onboarding::Strength;
use fleet::operation::{OperationState as State, Request};
use fleet::southbound::{Job, Southbound};
use fleet::{DeviceId, EventKind, NodeId, Operation, OperationId, Protocol, TenantId};
use store::testing::TestDatabase;
use store::{EventFilter, NewDevice, Store, TenantRecord, Visit, VisitPath};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::fake::{Asked, Fake};
use super::memory::wire_key;
use crate::Config;
use crate::dispatch::{self, Dispatch};
use crate::southbound::cwmp::core::{Command, Core, Registry, Stop};
use crate::southbound::cwmp::door::Door;
use crate::southbound::cwmp::limits::Limits;
use crate::southbound::cwmp::wake::{self, Waker};
use crate::southbound::cwmp::{Guest, Opening, Said, converse};
use crate::southbound::registry::NewEntry;
use crate::state::now;
use crate::vault::Vault;

/// How long a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The way to the one session there is.
#[derive(Default)]
pub struct Way {
    pub to: Mutex<Option<mpsc::Sender<Command>>>,
    /// The session is told to end just before it is told of a job.
    pub overtaken: AtomicBool,
}

impl Way {
    pub fn send(&self, command: Command) {
        if let Some(to) = &*self.to.lock().unwrap() {
            let _ = to.try_send(command);
        }
    }
}

impl Southbound for Way {
    fn submit(&self, _: &TenantId, _: DeviceId, job: Job) {
        if self.overtaken.load(Ordering::SeqCst) {
            self.send(Command::Stop(Stop::Removed));
        }
        self.send(Command::Job(Box::new(job)));
    }
    fn wake(&self, _: &TenantId, _: DeviceId) {}
    fn rest(&self, _: &TenantId, _: DeviceId, _: Protocol) {
        self.send(Command::Rest);
    }
}

/// One life of a server.
pub struct Node {
    pub core: Arc<Core>,
    pub way: Arc<Way>,
    pub dispatch: Dispatch,
}

impl Node {
    pub async fn start(store: &Store) -> Self {
        Self::with(store, Config::default()).await
    }

    pub async fn with(store: &Store, config: Config) -> Self {
        let limits = Limits {
            onboard_wait_max: Duration::from_millis(50),
            ..Limits::default()
        };
        Self::within(store, config, limits).await
    }

    pub async fn within(store: &Store, config: Config, limits: Limits) -> Self {
        let (facts, incoming) = mpsc::channel(1_000);
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
    pub fn kill(self) {
        self.dispatch.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// A device and its server.
pub struct World {
    pub node: Option<Node>,
    pub store: Store,
    pub tenant: TenantId,
    pub device: DeviceId,
    pub root: &'static str,
    pub software: &'static str,
    _database: Option<TestDatabase>,
}

/// A session under way.
pub struct Session {
    pub stored: oneshot::Receiver<Option<String>>,
    pub said: mpsc::Sender<Said>,
    pub task: JoinHandle<()>,
}

impl Session {
    /// The device says something, and what it is answered.
    pub async fn say(&self, request: impl Into<Rpc>) -> Result<Response, cwmp::Fault> {
        let (reply, answer) = oneshot::channel();
        let request = Box::new(request.into());
        self.said.send(Said { request, reply }).await.unwrap();
        answer.await.unwrap()
    }

    /// The device has nothing more to say.
    pub async fn end(self) {
        drop(self.said);
        let ended = tokio::time::timeout(PATIENCE, self.task).await;
        ended.expect("the session ends").unwrap();
    }
}

impl World {
    pub async fn start(root: &'static str) -> Self {
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
        let mut world = Self::another(&store, root).await;
        world._database = Some(database);
        world
    }

    /// Another device of the same tenant.
    pub async fn another(store: &Store, root: &'static str) -> Self {
        let tenant = TenantId::parse("acme").unwrap();
        let device = DeviceId(uuid::Uuid::now_v7());
        let new = NewDevice {
            protocol: "cwmp".into(),
            source: "setup".into(),
            onboarding: OnboardingState::Started,
            ..NewDevice::expected(device, Vec::new(), now())
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
            node: Some(Node::start(store).await),
            store: store.clone(),
            tenant,
            device,
            root,
            software: if root == "Device." { "1.0" } else { "0.9" },
            _database: None,
        }
    }

    pub fn node(&self) -> &Node {
        self.node.as_ref().unwrap()
    }

    /// The server is killed, and another life of it begins.
    pub async fn restart(&mut self) {
        self.configure(Config::default()).await;
    }

    /// The same, with another configuration.
    pub async fn configure(&mut self, config: Config) {
        self.node.take().unwrap().kill();
        self.node = Some(Node::with(&self.store, config).await);
    }

    /// The same, with other limits.
    pub async fn limit(&mut self, limits: Limits) {
        self.node.take().unwrap().kill();
        self.node = Some(Node::within(&self.store, Config::default(), limits).await);
    }

    pub fn inform(&self, events: &[(&str, &str)], parameters: &[(&str, &str)]) -> Inform {
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
    pub fn come(&self, fake: Fake, inform: Inform, wants_credential: bool) -> (Session, Asked) {
        let (cpe, asked) = fake.cpe();
        let (told, stored) = oneshot::channel();
        let (said, heard) = mpsc::channel(4);
        let (commands, taken) = mpsc::channel(64);
        let node = self.node();
        *node.way.to.lock().unwrap() = Some(commands);
        let guest = Guest {
            tenant: self.tenant.clone(),
            device: self.device,
            strength: Strength::SetupKey,
            wants_credential,
            peer: SocketAddr::from(([192, 0, 2, 1], 7547)),
        };
        let place = Registry::default().claim(NewEntry {
            tenant: self.tenant.clone(),
            device: self.device,
            transport: "cwmp",
            peer: guest.peer,
            strength: guest.strength,
            certificate: None,
            inbox: mpsc::channel(1).0,
        });
        let opening = Opening {
            guest,
            entry: place.ok().unwrap().entry,
            inform,
            version: Version::V1_2,
            at: now(),
            stored: told,
            said: heard,
            seen: None,
        };
        let task = tokio::spawn(converse::converse(node.core.clone(), opening, cpe, taken));
        (Session { stored, said, task }, asked)
    }

    /// A whole session in which the device has nothing to say but its Inform.
    pub async fn session(&self, fake: Fake, events: &[(&str, &str)]) -> Asked {
        let (session, asked) = self.come(fake, self.inform(events, &[]), false);
        session.end().await;
        asked
    }

    /// A device that is known.
    pub async fn known(fake: Fake, root: &'static str) -> (Self, Asked) {
        let world = Self::start(root).await;
        let asked = world
            .session(fake, &[("0 BOOTSTRAP", ""), ("1 BOOT", "")])
            .await;
        asked.clear();
        (world, asked)
    }

    pub async fn ask(&self, request: Request) -> OperationId {
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

    pub async fn operation(&self, id: OperationId) -> Operation {
        self.store
            .operation(&self.tenant, id)
            .await
            .unwrap()
            .operation
    }

    pub async fn ends(&self, id: OperationId, wanted: State) -> Operation {
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

    /// An operation when it was worked on and nobody does any more.
    pub async fn given_back(&self, id: OperationId) -> Operation {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let record = self.store.operation(&self.tenant, id).await.unwrap();
            if record.fence > 0 && record.lease.is_none() {
                return record.operation;
            }
            assert!(tokio::time::Instant::now() < deadline, "{record:?}");
            tokio::task::yield_now().await;
        }
    }

    pub async fn value(&self, path: &str) -> Option<String> {
        let paths = [path.to_owned()];
        let known = self
            .store
            .value_of(&self.tenant, self.device, &paths)
            .await
            .unwrap();
        known.into_iter().next().map(|known| known.value)
    }

    pub async fn told(&self, kind: EventKind) -> Vec<serde_json::Value> {
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

pub fn operate(command: &str, args: &[(&str, &str)]) -> Request {
    Request::Operate {
        command: command.to_owned(),
        args: args
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect(),
    }
}

pub fn upgrade() -> Request {
    let command = "Device.DeviceInfo.FirmwareImage.1.Download()";
    operate(command, &[("URL", "http://files/fw.bin")])
}

pub fn complete(id: OperationId, code: u32) -> TransferComplete {
    TransferComplete {
        command_key: wire_key(&id.to_string()),
        fault: Some(FaultStruct::new(FaultCode(code), "")),
        ..TransferComplete::default()
    }
}

pub const PERIODIC: &[(&str, &str)] = &[("2 PERIODIC", "")];
