//! What the tests of waking devices need: a device in a store, a waker that may reach this machine,
//! and waiting for what becomes true.

use std::sync::Arc;
use std::time::Duration;

use fleet::{DeviceId, TenantId, Timestamp};
use store::Store;
use store::testing::TestDatabase;
use tokio_util::sync::CancellationToken;

use super::{Limits, Settings, Setup, Waker};
use crate::state::now;
use crate::vault::Vault;

/// A tenant with a device in it.
pub async fn device(store: &Store) -> (TenantId, DeviceId) {
    let tenant = TenantId::parse("acme").unwrap();
    let record = store::TenantRecord {
        id: tenant.clone(),
        name: "Acme".into(),
        created_at: now(),
        disabled_at: None,
    };
    store.tenant_insert(record, vec![]).await.unwrap();
    let id = another(store, &tenant).await;
    (tenant, id)
}

/// One more device in it.
pub async fn another(store: &Store, tenant: &TenantId) -> DeviceId {
    let id = DeviceId::new(now(), crate::secret::id_bits());
    let new = store::NewDevice {
        name: "cellar".into(),
        protocol: "cwmp".into(),
        source: "cwmp".into(),
        ..store::NewDevice::expected(id, vec![], Timestamp(1))
    };
    store.device_insert(tenant, new, vec![]).await.unwrap();
    id
}

/// A waker over a fresh database with one device.
pub struct Rig {
    pub waker: Waker,
    pub store: Store,
    pub vault: Vault,
    pub tenant: TenantId,
    pub device: DeviceId,
    shutdown: CancellationToken,
    _database: TestDatabase,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Short times, so that what does not come is given up soon.
pub fn limits() -> Limits {
    Limits {
        http_time: Duration::from_millis(800),
        xmpp_answer_time: Duration::from_secs(5),
        come_time: Duration::from_millis(100),
        udp_come_time: Duration::from_millis(100),
        interval: Duration::ZERO,
        retry_min: Duration::from_millis(20),
        sweep_first: Duration::from_secs(3600),
        sweep_every: Duration::from_secs(3600),
        devices_max: 100,
    }
}

/// Only to this machine.
pub fn settings() -> Settings {
    Settings {
        networks: Some(vec!["127.0.0.0/8".parse().unwrap()]),
        ..Settings::default()
    }
}

pub async fn rig(settings: Settings, limits: Limits) -> Rig {
    let database = store::testing::sqlite().await.unwrap();
    let store = database.store.clone();
    let (tenant, device) = device(&store).await;
    let vault = Vault::of(&[7; 32]).unwrap();
    let shutdown = CancellationToken::new();
    let setup = Setup {
        store: store.clone(),
        vault: vault.clone(),
        links: Arc::default(),
        settings,
        limits,
        shutdown: shutdown.clone(),
    };
    Rig {
        waker: Waker::start(setup).await.unwrap(),
        store,
        vault,
        tenant,
        device,
        shutdown,
        _database: database,
    }
}

/// Waits until something is there.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    match tokio::time::timeout(Duration::from_secs(30), looking).await {
        Ok(found) => found,
        Err(_) => panic!("in vain: {what}"),
    }
}
