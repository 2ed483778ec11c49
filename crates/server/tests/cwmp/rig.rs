//! An ACS over a fresh database.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fleet::{DeviceId, Fact, Identity, NodeId, SetupKeyId, Southbound, TenantId};
use server::southbound::cwmp::limits::Limits;
use server::southbound::cwmp::{self as acs, Adapter, Setup};
use server::vault::Vault;
use server::{Config, secret, state::now};
use store::testing::{TestDatabase, databases};
use store::{NewSetupKey, Store, TenantRecord};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::raw::Cpe;

/// How long a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Facts that nobody has taken.
const FACTS: usize = 10_000;

/// A running ACS.
pub struct World {
    pub store: Store,
    pub vault: Vault,
    pub adapter: Arc<Adapter>,
    pub http: SocketAddr,
    pub https: Option<SocketAddr>,
    pub tenant: TenantId,
    pub key: String,
    pub key_id: SetupKeyId,
    pub facts: mpsc::Receiver<server::dispatch::Reported>,
    pub shutdown: CancellationToken,
    pub task: JoinHandle<()>,
    pub config: Config,
    pub limits: Limits,
    pub db: TestDatabase,
    _dir: tempfile::TempDir,
}

/// Runs a test on every database there is.
pub async fn each<F: Future<Output = ()>>(test: impl Fn(World) -> F) {
    for db in databases().await.unwrap() {
        test(World::with(db, FACTS, |_, _| {}).await).await;
    }
}

/// An ACS over SQLite with a changed configuration.
pub async fn world(change: impl FnOnce(&mut Config, &mut Limits)) -> World {
    world_of(FACTS, change).await
}

/// The same with room for so many facts that nobody has taken.
pub async fn world_of(facts: usize, change: impl FnOnce(&mut Config, &mut Limits)) -> World {
    World::with(store::testing::sqlite().await.unwrap(), facts, change).await
}

impl World {
    pub async fn with(
        db: TestDatabase,
        facts: usize,
        change: impl FnOnce(&mut Config, &mut Limits),
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config {
            data_dir: dir.path().to_owned(),
            ..Config::default()
        };
        config.cwmp.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        // Nothing is asked of a device, unless a test wants that: no dispatcher is here.
        let mut limits = Limits {
            onboard_time_max: Duration::ZERO,
            work_wait_max: Duration::ZERO,
            ..Limits::default()
        };
        change(&mut config, &mut limits);
        let store = db.store.clone();
        let tenant = TenantId::parse("acme").unwrap();
        add_tenant(&store, &tenant).await;
        let vault = Vault::of(&[7; 32]).unwrap();
        let (key_id, key) = add_key(&store, &vault, &tenant, None).await;
        let (facts, incoming) = mpsc::channel(facts);
        let shutdown = CancellationToken::new();
        let node = "node-1";
        let started = begin(&store, &vault, &config, limits, facts, node, &shutdown).await;
        Self {
            store,
            vault,
            adapter: started.southbound,
            http: started.http.unwrap(),
            https: started.https,
            tenant,
            key,
            key_id,
            facts: incoming,
            shutdown,
            task: started.task,
            config,
            limits,
            db,
            _dir: dir,
        }
    }

    /// A second node over the same database.
    pub async fn another_node(&self) -> SocketAddr {
        let (facts, incoming) = mpsc::channel(10_000);
        // Nobody listens to it.
        std::mem::forget(incoming);
        let (limits, stop) = (self.limits, &self.shutdown);
        let (store, vault) = (&self.store, &self.vault);
        let started = begin(store, vault, &self.config, limits, facts, "node-2", stop).await;
        started.http.unwrap()
    }

    /// A CPE with the setup key.
    pub async fn cpe(&self, serial: &str) -> Cpe {
        Cpe::new(self.http, serial).await.with("acme", &self.key)
    }

    /// The device of a serial number, once it is registered.
    pub async fn device(&self, class: &str, serial: &str) -> DeviceId {
        let identity = Identity::of_serial("00256D", class, serial).remove(0);
        until("the device is registered", || async {
            let found = self.store.device_by_identity(&self.tenant, &identity);
            found.await.unwrap()
        })
        .await
    }

    /// Until it is said that a device can be asked, of which the dispatcher would have heard then; what was said before it
    /// of this device.
    pub async fn can_be_asked(&mut self, device: DeviceId) -> Vec<Fact> {
        let mut before = Vec::new();
        let found = async {
            loop {
                let (_, of, fact) = self.facts.recv().await.expect("somebody reports");
                match fact {
                    _ if of != device => {}
                    Fact::Connected { over, at } => return self.adapter.known(device, over, at),
                    fact => before.push(fact),
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.expect("it can be asked");
        before
    }

    /// The way of a device to the ACS.
    pub async fn path(&self, device: DeviceId) -> store::PathRecord {
        let path = self.store.path(&self.tenant, device, "cwmp").await;
        path.unwrap().unwrap()
    }

    /// The reasons of all refusals, of the tenant and of nobody.
    pub async fn reasons(&self) -> Vec<String> {
        let mut all = Vec::new();
        for tenant in [Some(&self.tenant), None] {
            let since = fleet::Timestamp::default();
            let found = self.store.refusal_list(tenant, since, 100).await.unwrap();
            all.extend(found.into_iter().map(|record| record.last.reason));
        }
        all
    }

    pub async fn refused(&self, reason: &str) {
        until(reason, || async {
            let all = self.reasons().await;
            all.iter().any(|known| known == reason).then_some(())
        })
        .await;
    }

    /// Until a refusal of somebody of this name is remembered, in the name of the tenant.
    pub async fn refused_of(&self, reason: &str, name: &str) {
        until(reason, || async {
            let since = fleet::Timestamp::default();
            let tenant = Some(&self.tenant);
            let found = self.store.refusal_list(tenant, since, 100).await.unwrap();
            let mut last = found.into_iter().map(|record| record.last);
            last.any(|one| one.reason == reason && one.endpoint_id == name)
                .then_some(())
        })
        .await;
    }

    /// Until no session is open.
    pub async fn quiet(&self) {
        until("no session is open", || async {
            (self.adapter.sessions() == 0).then_some(())
        })
        .await;
    }
}

async fn begin(
    store: &Store,
    vault: &Vault,
    config: &Config,
    limits: Limits,
    facts: mpsc::Sender<server::dispatch::Reported>,
    node: &str,
    shutdown: &CancellationToken,
) -> acs::Started {
    let setup = Setup {
        store: store.clone(),
        config: config.clone(),
        limits,
        facts,
        node: NodeId::parse(node).unwrap(),
        vault: vault.clone(),
        shutdown: shutdown.clone(),
    };
    acs::start(setup).await.unwrap()
}

pub async fn add_tenant(store: &Store, tenant: &TenantId) {
    let record = TenantRecord {
        id: tenant.clone(),
        name: tenant.to_string(),
        created_at: now(),
        disabled_at: None,
    };
    store.tenant_insert(record, vec![]).await.unwrap();
}

pub async fn add_key(
    store: &Store,
    vault: &Vault,
    tenant: &TenantId,
    uses_max: Option<u64>,
) -> (SetupKeyId, String) {
    let id = SetupKeyId::new(now(), secret::id_bits());
    let key = secret::new(secret::SETUP_KEY);
    let new = NewSetupKey {
        id,
        name: format!("key {}", id.as_uuid()),
        hash: secret::hash(&key),
        sealed: Some(vault.seal_setup_key(tenant, id, &key).unwrap()),
        prefix: secret::hint(&key),
        created_at: now(),
        created_by: None,
        expires_at: None,
        uses_max,
    };
    store.setup_key_insert(tenant, new, vec![]).await.unwrap();
    (id, key)
}

/// Gives a device a credential of its own, pending, as onboarding does.
pub async fn credential(world: &World, device: DeviceId, generation: u32) -> String {
    let (store, tenant) = (&world.store, &world.tenant);
    let password = world
        .vault
        .device_password("acs", tenant, device, generation);
    let document = generation.to_string().into_bytes();
    let put = store.state_put(tenant, device, "acs_credential", document, now());
    put.await.unwrap();
    let hash = secret::hash(&password);
    let pending = store.path_set_pending(tenant, device, "cwmp", hash, now(), vec![]);
    pending.await.unwrap();
    password
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
