//! What every handler can reach. Small on purpose: the truth is in the store.

use crate::auth::{Limiters, password::Passwords};
use crate::config::Config;
use crate::files::Files;
use crate::limits;
use crate::seam::South;
use crate::vault::Vault;
use fleet::presence::PresenceConfig;
use fleet::{DeviceId, TenantId, Timestamp};
use metrics_exporter_prometheus::PrometheusHandle;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use store::{DeviceRecord, Store};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// Shared by all requests; cloning is cheap.
#[derive(Clone)]
pub struct State(Arc<Inner>);

/// What is behind [`State`].
pub struct Inner {
    /// What is remembered.
    pub store: Store,
    /// The master key.
    pub vault: Vault,
    /// As the server was started.
    pub config: Config,
    /// The side of the devices.
    pub south: Arc<dyn South>,
    /// The file service; absent in tests of the API alone.
    pub files: Option<Arc<Files>>,
    /// Where the listeners are in fact bound.
    pub bound: Bound,
    /// When the server was started.
    pub started_at: Timestamp,
    /// Password hashing, bounded.
    pub passwords: Passwords,
    /// Rate limits.
    pub limiters: Limiters,
    /// Cancelled when the server stops: streams end.
    pub shutdown: CancellationToken,
    /// Live streams, all of them.
    pub streams: Arc<Semaphore>,
    /// Told when a sign-in or token may have ended: live streams look at once whether theirs has.
    pub credentials: watch::Sender<()>,
    /// Live streams by caller.
    pub streams_by_caller: Arc<Mutex<HashMap<uuid::Uuid, usize>>>,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
    names: Mutex<HashMap<DeviceId, (String, Instant)>>,
}

/// Where the listeners are in fact bound.
#[derive(Clone, Debug, Default)]
pub struct Bound {
    /// The console and the API.
    pub http: Option<SocketAddr>,
    /// Devices, plaintext.
    pub usp: Option<SocketAddr>,
    /// Devices, TLS.
    pub usp_tls: Option<SocketAddr>,
    /// The certificate of that one.
    pub certificate: Option<crate::southbound::certificate::Certificate>,
    /// Devices that speak USP over MQTT.
    pub mqtt: crate::southbound::usp::MqttBound,
    /// Brokers of others that devices are behind.
    pub brokers: Vec<Arc<crate::southbound::usp::brokers::Broker>>,
    /// The agents of the local network, where they are looked for.
    pub lan: Option<Arc<crate::southbound::usp::lan::Lan>>,
    /// The certificate of session contexts.
    pub context_certificate: Option<mtp::tls::CertificateInfo>,
    /// Devices that speak TR-069, by HTTP.
    pub cwmp: Option<SocketAddr>,
    /// Devices that speak TR-069, by HTTPS.
    pub cwmp_tls: Option<SocketAddr>,
    /// The certificate of that one.
    pub cwmp_certificate: Option<crate::southbound::certificate::Certificate>,
    /// The endpoint id of the controller.
    pub endpoint_id: String,
}

impl State {
    /// All parts together.
    pub fn new(
        store: Store,
        vault: Vault,
        config: Config,
        south: Arc<dyn South>,
        files: Option<Arc<Files>>,
        bound: Bound,
        shutdown: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            vault,
            config,
            south,
            files,
            bound,
            started_at: now(),
            passwords: Passwords::new(),
            limiters: Limiters::new(),
            shutdown,
            streams: Arc::new(Semaphore::new(limits::STREAMS_MAX)),
            credentials: watch::Sender::new(()),
            streams_by_caller: Arc::default(),
            metrics: crate::http::metrics::recorder(),
            names: Mutex::default(),
        }))
    }

    /// A device with what this node has heard of it since the store was told.
    pub fn fresh(&self, mut record: DeviceRecord) -> DeviceRecord {
        let evidence = &mut record.device.evidence;
        evidence.heard_at = evidence.heard_at.max(self.south.heard(record.device.id));
        record
    }

    /// Since when nobody but this server has written, where the database is its own: what was under way before ended with
    /// the life before. `None` where other nodes may be at it.
    pub fn alone_since(&self) -> Option<Timestamp> {
        (self.store.database() == "sqlite").then_some(self.started_at)
    }

    /// The file service.
    pub fn files(&self) -> crate::problem::Result<&Arc<Files>> {
        self.files.as_ref().ok_or_else(|| {
            let words = "This server has no files.";
            crate::problem::Fail::new(api::ProblemKind::Unavailable, words)
        })
    }

    /// How presence is derived here.
    pub fn presence(&self) -> PresenceConfig {
        PresenceConfig {
            silent_after: Duration::from_secs(self.config.presence.silent_after_seconds),
        }
    }

    /// The name to show for a device, at most [`limits::DEVICE_NAME_LIFE`] old.
    pub async fn device_name(&self, tenant: &TenantId, device: DeviceId) -> Option<String> {
        let known = self
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&device)
            .filter(|(_, at)| at.elapsed() < limits::DEVICE_NAME_LIFE)
            .map(|(name, _)| name.clone());
        if known.is_some() {
            return known;
        }
        let record = self.store.device(tenant, device).await.ok()?;
        let name = crate::handlers::device_view::name(&record);
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= limits::DEVICE_NAMES_MAX {
            names.clear();
        }
        names.insert(device, (name.clone(), Instant::now()));
        Some(name)
    }
}

impl std::ops::Deref for State {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// The wall clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A state over a fresh database, with nothing around it.
    pub async fn alone() -> (State, store::testing::TestDatabase) {
        let database = store::testing::sqlite().await.unwrap();
        let state = State::new(
            database.store.clone(),
            Vault::of(&[7; 32]).unwrap(),
            Config::default(),
            Arc::new(crate::seam::Detached),
            None,
            Bound::default(),
            CancellationToken::new(),
        );
        (state, database)
    }

    #[tokio::test]
    async fn names_of_devices_are_remembered_up_to_a_limit() {
        let (state, _database) = alone().await;
        let tenant = TenantId::parse("acme").unwrap();
        let record = store::TenantRecord {
            id: tenant.clone(),
            name: "Acme".into(),
            created_at: now(),
            disabled_at: None,
        };
        state.store.tenant_insert(record, vec![]).await.unwrap();
        let id = DeviceId::new(now(), crate::secret::id_bits());
        let new = store::NewDevice {
            name: "cellar".into(),
            ..store::NewDevice::expected(id, vec![], now())
        };
        state
            .store
            .device_insert(&tenant, new, vec![])
            .await
            .unwrap();
        let fill = |count: usize| {
            let mut names = state.names.lock().unwrap();
            for n in 0..count {
                let id = DeviceId(uuid::Uuid::from_u128(n as u128));
                names.insert(id, (String::new(), Instant::now()));
            }
        };
        fill(limits::DEVICE_NAMES_MAX);
        let name = state.device_name(&tenant, id).await;
        assert_eq!(name.as_deref(), Some("cellar"));
        assert_eq!(state.names.lock().unwrap().len(), 1);
    }
}
