//! A server's side of the devices over a fresh database, and real agents to meet it.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use agent::{
    AgentConfig, Backend, Call, ControllerConfig, MemoryStorage, Outcome, RunOptions, View,
};
use fleet::device::OnboardingState;
use fleet::southbound::{Answer, Fact, Failure, Job, JobId, Op};
use fleet::{DeviceId, OperationId, SetupKeyId, Southbound, TenantId};
use server::southbound::usp::limits::Limits;
use server::southbound::usp::{self as southbound, Adapter, Setup, Started};
use server::{Config, secret, state::now};
use store::testing::{TestDatabase, databases};
use store::{DeviceRecord, NewDevice, NewSetupKey, PathPatch, PathSetup, Store, TenantRecord};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::mosquitto::free;

/// How long a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The same, as tests of other crates call it.
pub const SOON: Duration = PATIENCE;

/// A running side of the devices.
pub struct World {
    pub store: Store,
    pub adapter: Arc<Adapter>,
    pub usp: SocketAddr,
    pub own: String,
    pub tenant: TenantId,
    pub key: String,
    pub key_id: SetupKeyId,
    pub facts: mpsc::Receiver<server::dispatch::Reported>,
    pub shutdown: CancellationToken,
    pub task: JoinHandle<()>,
    pub config: Config,
    pub limits: Limits,
    pub usp_tls: Option<SocketAddr>,
    pub mqtt: server::southbound::usp::MqttBound,
    pub brokers: Vec<Arc<server::southbound::usp::brokers::Broker>>,
    jobs: u64,
    _dir: tempfile::TempDir,
    _db: TestDatabase,
}

/// Asks for its serial number.
pub fn get() -> Op {
    Op::Get {
        paths: vec!["Device.DeviceInfo.SerialNumber".into()],
        max_depth: 0,
    }
}

/// A file with a secret for a configuration.
pub fn secret_file(text: &str) -> std::path::PathBuf {
    let file = tempfile::tempdir().unwrap().keep().join("secret");
    std::fs::write(&file, text).unwrap();
    file
}

/// Runs a test on every database there is.
pub async fn each<F: Future<Output = ()>>(test: impl Fn(World) -> F) {
    for db in databases().await.unwrap() {
        test(World::start(db).await).await;
    }
}

impl World {
    pub async fn start(db: TestDatabase) -> Self {
        Self::with(db, |_, _| {}).await
    }

    pub async fn with(db: TestDatabase, change: impl FnOnce(&mut Config, &mut Limits)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config {
            data_dir: dir.path().to_owned(),
            ..Config::default()
        };
        // It may be started again, there.
        config.usp.listen = Some(free());
        let mut limits = Limits::default();
        change(&mut config, &mut limits);
        let store = db.store.clone();
        let tenant = TenantId::parse("acme").unwrap();
        let record = TenantRecord {
            id: tenant.clone(),
            name: "Acme".into(),
            created_at: now(),
            disabled_at: None,
        };
        store.tenant_insert(record, vec![]).await.unwrap();
        let key_id = SetupKeyId::new(now(), secret::id_bits());
        let key = add_key(&store, &tenant, key_id, None).await;
        let (started, facts, shutdown) = begin(&store, &config, &limits).await;
        Self {
            store,
            adapter: started.southbound,
            usp: started.usp.unwrap(),
            own: started.endpoint_id,
            tenant,
            key,
            key_id,
            facts,
            shutdown,
            task: started.task,
            config,
            limits,
            usp_tls: started.usp_tls,
            mqtt: started.mqtt,
            brokers: started.brokers,
            jobs: 0,
            _dir: dir,
            _db: db,
        }
    }

    pub fn url(&self, key: &str) -> String {
        format!("ws://{}/usp/{key}", self.usp)
    }

    /// The device of an endpoint id, once it is registered.
    pub async fn device(&self, endpoint: &str) -> DeviceId {
        let identity = fleet::Identity::endpoint(endpoint);
        until("the device is registered", || async {
            self.store
                .device_by_identity(&self.tenant, &identity)
                .await
                .unwrap()
        })
        .await
    }

    /// The device of an endpoint id, once it is onboarded.
    pub async fn onboarded(&self, endpoint: &str) -> DeviceRecord {
        let device = self.device(endpoint).await;
        until("the device is onboarded", || async {
            let record = self.store.device(&self.tenant, device).await.unwrap();
            (record.device.onboarding == OnboardingState::Complete).then_some(record)
        })
        .await
    }

    /// The next fact about a device that is wanted; others are passed by.
    pub async fn fact<T>(&mut self, what: &str, mut wanted: impl FnMut(&Fact) -> Option<T>) -> T {
        let found = async {
            loop {
                let (_, _, fact) = self.facts.recv().await.unwrap();
                if let Some(found) = wanted(&fact) {
                    return found;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(found) => found,
            Err(_) => panic!("no fact came: {what}"),
        }
    }

    pub async fn connected(&mut self) {
        self.fact("connected", |fact| {
            matches!(fact, Fact::Connected { .. }).then_some(())
        })
        .await;
    }

    /// Hands a job down without waiting for its end.
    pub fn submit(&mut self, device: DeviceId, op: Op) -> JobId {
        self.submit_for(None, device, op)
    }

    /// The same for an operation, whose transcript it goes into.
    pub fn submit_for(
        &mut self,
        transcript: Option<OperationId>,
        device: DeviceId,
        op: Op,
    ) -> JobId {
        self.submit_within(Duration::from_secs(10), transcript, device, op)
    }

    fn submit_within(
        &mut self,
        timeout: Duration,
        transcript: Option<OperationId>,
        device: DeviceId,
        op: Op,
    ) -> JobId {
        self.jobs += 1;
        let id = JobId(self.jobs);
        let job = Job {
            id,
            op,
            timeout,
            transcript,
            over: fleet::Protocol::Usp,
        };
        self.adapter.submit(&self.tenant, device, job);
        id
    }

    pub async fn done(&mut self, wanted: JobId) -> Result<Answer, Failure> {
        self.fact("the job is done", |fact| match fact {
            Fact::Done { job, result } if *job == wanted => Some(result.clone()),
            _ => None,
        })
        .await
    }

    pub async fn ask(&mut self, device: DeviceId, op: Op) -> Result<Answer, Failure> {
        let id = self.submit(device, op);
        self.done(id).await
    }

    /// The same, for a device that may take only so long.
    pub async fn ask_within(
        &mut self,
        device: DeviceId,
        op: Op,
        timeout: Duration,
    ) -> Result<Answer, Failure> {
        let id = self.submit_within(timeout, None, device, op);
        self.done(id).await
    }

    /// It answers with its serial number.
    pub async fn reads(&mut self, device: DeviceId, serial: &str) {
        let Ok(Answer::Values(read)) = self.ask(device, get()).await else {
            panic!("no values");
        };
        assert!(format!("{read:?}").contains(serial), "{read:?}");
    }

    /// The same, once it does: it may just be connecting.
    pub async fn reads_soon(&mut self, device: DeviceId, serial: &str) {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            match self.ask(device, get()).await {
                Ok(read) => return assert!(format!("{read:?}").contains(serial), "{read:?}"),
                Err(why) => assert!(tokio::time::Instant::now() < end, "{why:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Why a device is gone.
    pub async fn gone(&mut self) -> String {
        self.fact("it is gone", |fact| match fact {
            Fact::Disconnected { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .await
    }

    /// The same of one that was killed, behind a broker: it is asked until the broker has noticed, too.
    pub async fn gone_when_asked(&mut self, device: DeviceId) -> String {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            self.submit(device, get());
            let soon = Duration::from_millis(300);
            if let Ok(reason) = tokio::time::timeout(soon, self.gone()).await {
                return reason;
            }
            assert!(tokio::time::Instant::now() < end, "it stays");
        }
    }

    /// Another tenant, `other`.
    pub async fn other_tenant(&self) -> TenantId {
        let other = TenantId::parse("other").unwrap();
        let record = TenantRecord {
            id: other.clone(),
            name: "Other".into(),
            created_at: now(),
            disabled_at: None,
        };
        self.store.tenant_insert(record, vec![]).await.unwrap();
        other
    }

    /// Why the server cannot start once more with this configuration.
    pub async fn refuses_to_start(&mut self) -> String {
        self.shutdown.cancel();
        (&mut self.task).await.unwrap();
        let setup = Setup {
            store: self.store.clone(),
            config: self.config.clone(),
            limits: self.limits,
            facts: mpsc::channel(1).0,
            shutdown: CancellationToken::new(),
        };
        let started = southbound::start(setup).await;
        started.err().expect("it starts").to_string()
    }

    /// The reasons of all refusals, of the tenants and of nobody.
    pub async fn reasons(&self) -> Vec<String> {
        let mut all = Vec::new();
        let tenants = self.store.tenant_list().await.unwrap();
        for tenant in tenants.iter().map(|one| Some(&one.id)).chain([None]) {
            let since = fleet::Timestamp::default();
            let found = self.store.refusal_list(tenant, since, 100).await.unwrap();
            all.extend(found.into_iter().map(|record| record.last.reason));
        }
        all
    }

    pub async fn refused(&self, reason: &str) {
        until(reason, || async {
            self.reasons()
                .await
                .iter()
                .any(|known| known == reason)
                .then_some(())
        })
        .await;
    }

    /// Stops and starts again, over the same store.
    pub async fn restart(&mut self) {
        self.shutdown.cancel();
        (&mut self.task).await.unwrap();
        self.config.usp.listen = Some(self.usp);
        self.config.mqtt.listen = self.mqtt.plain;
        self.config.mqtt.ws_listen = self.mqtt.ws;
        let (started, facts, shutdown) = begin(&self.store, &self.config, &self.limits).await;
        self.adapter = started.southbound;
        self.task = started.task;
        self.brokers = started.brokers;
        (self.facts, self.shutdown) = (facts, shutdown);
    }
}

/// Another server over the same store.
pub struct Second {
    pub usp: SocketAddr,
    pub brokers: Vec<Arc<server::southbound::usp::brokers::Broker>>,
    pub shutdown: CancellationToken,
    pub adapter: Arc<Adapter>,
    pub facts: mpsc::Receiver<server::dispatch::Reported>,
    dir: Arc<tempfile::TempDir>,
}

impl World {
    /// Starts another server over the same store.
    pub async fn beside(&self) -> Second {
        self.beside_in(Arc::new(tempfile::tempdir().unwrap())).await
    }

    /// Starts that one again, as the same node.
    pub async fn again(&self, second: &Second) -> Second {
        self.beside_in(second.dir.clone()).await
    }

    async fn beside_in(&self, dir: Arc<tempfile::TempDir>) -> Second {
        let mut config = self.config.clone();
        config.data_dir = dir.path().to_owned();
        config.usp.endpoint_id = Some(self.own.clone());
        // The first has that port.
        config.broker_auth.listen = None;
        config.usp.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let (started, facts, shutdown) = begin(&self.store, &config, &self.limits).await;
        Second {
            usp: started.usp.unwrap(),
            brokers: started.brokers,
            shutdown,
            adapter: started.southbound,
            facts,
            dir,
        }
    }

    /// Asks through the other one from now on.
    pub fn swap(&mut self, second: &mut Second) {
        std::mem::swap(&mut self.adapter, &mut second.adapter);
        std::mem::swap(&mut self.facts, &mut second.facts);
    }
}

async fn begin(
    store: &Store,
    config: &Config,
    limits: &Limits,
) -> (
    Started,
    mpsc::Receiver<server::dispatch::Reported>,
    CancellationToken,
) {
    let (facts, incoming) = mpsc::channel(10_000);
    let shutdown = CancellationToken::new();
    let setup = Setup {
        store: store.clone(),
        config: config.clone(),
        limits: *limits,
        facts,
        shutdown: shutdown.clone(),
    };
    (southbound::start(setup).await.unwrap(), incoming, shutdown)
}

pub async fn add_key(
    store: &Store,
    tenant: &TenantId,
    id: SetupKeyId,
    uses_max: Option<u64>,
) -> String {
    let key = secret::new(secret::SETUP_KEY);
    let new = NewSetupKey {
        id,
        name: format!("key {}", id.as_uuid()),
        hash: secret::hash(&key),
        sealed: None,
        prefix: secret::hint(&key),
        created_at: now(),
        created_by: None,
        expires_at: None,
        uses_max,
    };
    store.setup_key_insert(tenant, new, vec![]).await.unwrap();
    key
}

/// A device that an operator registered by its endpoint id; nothing opens it yet.
pub async fn registered(world: &World, endpoint: &str) -> DeviceId {
    let setup = PathSetup {
        endpoint_id: endpoint.into(),
        ..PathSetup::default()
    };
    register(world, vec![fleet::Identity::endpoint(endpoint)], setup).await
}

/// A device that an operator registered by where it is dialled.
pub async fn dialled(world: &World, url: &str) -> DeviceId {
    let setup = PathSetup {
        dial_url: Some(url.into()),
        ..PathSetup::default()
    };
    register(world, vec![], setup).await
}

/// A device that an operator registered.
pub async fn register(
    world: &World,
    identities: Vec<fleet::Identity>,
    setup: PathSetup,
) -> DeviceId {
    let id = DeviceId::new(now(), secret::id_bits());
    let new = NewDevice::expected(id, identities, now());
    let (store, tenant) = (&world.store, &world.tenant);
    store.device_insert(tenant, new, vec![]).await.unwrap();
    let reach = PathPatch {
        transport: "websocket".into(),
        endpoint_id: setup.endpoint_id,
        dial_url: Some(setup.dial_url),
        certificate_required: Some(setup.certificate_required),
    };
    let patch = Default::default();
    let revised = store.device_revise(tenant, id, patch, reach, now(), vec![]);
    revised.await.unwrap();
    id
}

/// Looks until there is something to see.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            tokio::time::Instant::now() < end,
            "it never came to this: {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What comes of this, once it does.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    let within = tokio::time::timeout(PATIENCE, what).await;
    within.expect("nothing happened")
}

/// A small CPE.
pub struct Box1 {
    serial: String,
    schema: Arc<dm::Schema>,
    live: HashMap<String, String>,
}

impl Box1 {
    pub fn new(serial: &str) -> Box<Self> {
        let schema = agent::model(&[
            "Device.DeviceInfo.",
            "Device.WiFi.SSID.{i}.",
            "Device.WiFi.AccessPoint.{i}.",
            "Device.WiFi.AccessPoint.{i}.Security.",
        ]);
        let live = [
            ("Manufacturer", "Maker"),
            ("ManufacturerOUI", "00256D"),
            ("ModelName", "Box"),
            ("ProductClass", "Gateway"),
            ("SerialNumber", serial),
            ("SoftwareVersion", "1.0"),
            ("HardwareVersion", "A"),
        ];
        let live = live
            .map(|(n, v)| (format!("Device.DeviceInfo.{n}"), v.to_owned()))
            .into();
        Box::new(Self {
            serial: serial.into(),
            schema: schema.unwrap(),
            live,
        })
    }

    pub fn endpoint(&self) -> String {
        format!("os::00256D-{}", self.serial)
    }
}

impl Backend for Box1 {
    fn schema(&self) -> Arc<dm::Schema> {
        self.schema.clone()
    }

    fn factory(&self) -> Vec<(String, String)> {
        vec![
            ("Device.WiFi.SSID.1.SSID".into(), "home".into()),
            (
                "Device.WiFi.AccessPoint.1.Security.KeyPassphrase".into(),
                "hunter22hunter".into(),
            ),
        ]
    }

    fn read(&self, _: agent::Now, path: &str) -> Option<String> {
        self.live.get(path).cloned()
    }

    fn operate(&mut self, _: agent::Now, call: &Call, _: &dyn View) -> Outcome {
        if call.command == "Device.Reboot()" {
            return Outcome::Restart(agent::Restart {
                cause: "RemoteReboot".into(),
                command_key: call.command_key.clone(),
                ..agent::Restart::default()
            });
        }
        Outcome::Done(Ok(vec![]))
    }
}

/// A real agent that runs.
pub struct Real {
    pub endpoint: String,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Real {
    /// Dials a controller.
    pub fn dial(serial: &str, own: &str, url: &str) -> Self {
        let controller = ControllerConfig {
            endpoint_id: own.into(),
            url: url.into(),
            retry_min_wait: 1,
            ..ControllerConfig::default()
        };
        Self::run(serial, MemoryStorage::new(), |config| {
            config.controllers = vec![controller]
        })
        .0
    }

    pub fn run(
        serial: &str,
        storage: MemoryStorage,
        configure: impl FnOnce(&mut AgentConfig),
    ) -> (Self, tokio::sync::oneshot::Receiver<SocketAddr>) {
        let backend = Box1::new(serial);
        let endpoint = backend.endpoint();
        let mut config = AgentConfig {
            endpoint_id: endpoint.clone(),
            ..AgentConfig::default()
        };
        configure(&mut config);
        let (listening, bound) = tokio::sync::oneshot::channel();
        let options = RunOptions {
            storage: Box::new(storage),
            listening: Some(listening),
            ..RunOptions::default()
        };
        let stop = CancellationToken::new();
        let running = agent::run(config, backend, options, stop.clone());
        let task = tokio::spawn(async move {
            running.await.unwrap();
        });
        (
            Self {
                endpoint,
                stop,
                task,
            },
            bound,
        )
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// Ends it at once, without a goodbye.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}
