//! The server: composes store, southbound adapters, dispatcher and the HTTP side into one running
//! thing. Parsing a command line and printing are the work of the binary.

pub mod auth;
pub mod config;
mod data_dir;
pub mod discovery;
pub mod dispatch;
pub mod files;
pub mod handlers;
pub mod http;
pub mod limits;
pub mod matching;
pub mod open_files;
pub mod problem;
pub mod seam;
pub mod secret;
pub mod south;
pub mod southbound;
pub mod state;
pub mod vault;

pub use auth::first_run::FirstAdministrator;
pub use config::{Config, ConfigError, Override};

use crate::http::listener::Listener;
use data_dir::DataDir;
use seam::South;
use state::{Bound, State};
use std::net::SocketAddr;
use std::sync::Arc;
use store::Store;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vault::Vault;

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The directory for its files cannot be made.
    #[error("data_dir {path}: {source}")]
    DataDir {
        /// The directory.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Another server uses the directory.
    #[error("data_dir {path} is in use by another server; give this one a folder of its own")]
    DataDirInUse {
        /// The directory.
        path: String,
    },
    /// The database cannot be opened or brought up to date.
    #[error("database: {0}")]
    Store(#[from] store::Error),
    /// An address cannot be bound.
    #[error("{what} = {addr}: {source}")]
    Bind {
        /// The key of the configuration.
        what: &'static str,
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A certificate or key cannot be used.
    #[error("{what}: {message}")]
    Tls {
        /// The key of the configuration.
        what: String,
        /// Which file, and why.
        message: String,
    },
    /// The folder of the files cannot be used.
    #[error("files.folder {path}: {source}")]
    Files {
        /// The folder.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The side of the devices cannot start.
    #[error("devices: {0}")]
    Devices(String),
    /// The master key cannot be used.
    #[error(transparent)]
    Vault(#[from] vault::VaultError),
    /// A defect of ours.
    #[error("defect: {0}")]
    Bug(String),
}

/// A server that runs.
pub struct Running {
    /// Where console and API are bound.
    pub http: SocketAddr,
    /// Whether they speak TLS.
    pub https: bool,
    /// Where devices connect without TLS.
    pub usp: Option<SocketAddr>,
    /// Where devices connect with TLS.
    pub usp_tls: Option<SocketAddr>,
    /// Where devices connect by MQTT.
    pub mqtt: Vec<southbound::usp::MqttListening>,
    /// Where devices that speak TR-069 connect by HTTP.
    pub cwmp: Option<SocketAddr>,
    /// Where devices that speak TR-069 connect by HTTPS.
    pub cwmp_tls: Option<SocketAddr>,
    /// Where devices fetch and send files.
    pub files: files::Bound,
    /// At the very first start: whom to sign in as. To be shown once.
    pub first_administrator: Option<FirstAdministrator>,
    /// What is remembered, for tests and local commands.
    pub store: Store,
    /// The master key.
    pub vault: Vault,
    /// The endpoint id under which devices know this controller.
    pub endpoint_id: String,
    tasks: Vec<JoinHandle<()>>,
    /// Given back when everything has stopped.
    _data_dir: DataDir,
}

impl Running {
    /// The URL of console and API on this machine.
    pub fn url(&self) -> String {
        let mut addr = self.http;
        if addr.ip().is_unspecified() {
            addr.set_ip(std::net::IpAddr::from([127, 0, 0, 1]));
        }
        format!("{}://{addr}", if self.https { "https" } else { "http" })
    }

    /// Returns when everything has stopped after the shutdown token was cancelled: no new
    /// connections, open requests end, what is queued is written. The error is a task that broke.
    pub async fn wait(self) -> Result<(), tokio::task::JoinError> {
        let mut broken = Ok(());
        for task in self.tasks {
            if let Err(error) = task.await {
                broken = Err(error);
            }
        }
        broken
    }
}

/// Starts a server and says where it is bound. Cancel `shutdown` to stop it.
pub async fn start(config: Config, shutdown: CancellationToken) -> Result<Running, StartError> {
    let data_dir = DataDir::take(&config.data_dir)?;
    // Before anything is counted.
    http::metrics::recorder();
    let store = Store::open(&config.database_url()).await?;
    let vault = Vault::unlock(&config, &store).await?;
    let listener = Listener::bind("http.listen", config.http.listen, config.http.tls.as_ref())
        .await?
        .behind(&config.http.trusted_proxies);
    let address = listener.addr().map_err(|source| StartError::Bind {
        what: "http.listen",
        addr: config.http.listen,
        source,
    })?;
    let https = config.http.tls.is_some();
    let mut tasks = Vec::new();
    // Devices last: what they say finds the dispatcher there, and stops before it does.
    let (facts, reported) = tokio::sync::mpsc::channel(dispatch::limits::INBOX);
    let told = facts.downgrade();
    let usp = southbound::usp::start(southbound::usp::Setup {
        store: store.clone(),
        config: config.clone(),
        limits: southbound::usp::limits::Limits::default(),
        facts: facts.clone(),
        shutdown: shutdown.clone(),
    })
    .await?;
    let cwmp = southbound::cwmp::start(southbound::cwmp::Setup {
        store: store.clone(),
        config: config.clone(),
        limits: southbound::cwmp::limits::Limits::default(),
        facts,
        node: usp.node.clone(),
        vault: vault.clone(),
        shutdown: shutdown.clone(),
    })
    .await?;
    let (files, serving) = files::start(files::Setup {
        store: store.clone(),
        config: config.clone(),
        node: usp.node.clone(),
        endpoint_id: usp.endpoint_id.clone(),
        shutdown: shutdown.clone(),
    })
    .await?;
    tasks.extend(serving);
    let adapters = Arc::new(southbound::Both::new(usp.southbound, cwmp.southbound));
    let devices = Arc::new(files::Handing::new(adapters, files.clone(), told));
    let dispatch = dispatch::start(dispatch::Setup {
        store: store.clone(),
        southbound: devices.clone(),
        facts: reported,
        shutdown: shutdown.clone(),
        node: usp.node,
        presence: fleet::presence::PresenceConfig {
            silent_after: std::time::Duration::from_secs(config.presence.silent_after_seconds),
        },
    });
    let south: Arc<dyn South> = Arc::new(south::Devices::new(devices, dispatch.handle.clone()));
    tasks.extend([usp.task, cwmp.task]);
    tasks.extend(dispatch.tasks);
    tasks.push(tokio::spawn(matching::follow(
        store.clone(),
        Arc::new(config.clone()),
        south.clone(),
        shutdown.clone(),
    )));
    let bound = Bound {
        http: Some(address),
        usp: usp.usp,
        usp_tls: usp.usp_tls,
        mqtt: usp.mqtt,
        brokers: usp.brokers,
        lan: usp.lan,
        certificate: usp.certificate,
        context_certificate: usp.context_certificate,
        endpoint_id: usp.endpoint_id,
        cwmp: cwmp.http,
        cwmp_tls: cwmp.https,
        cwmp_certificate: cwmp.certificate,
    };
    let (usp, usp_tls) = (bound.usp, bound.usp_tls);
    let mqtt = bound.mqtt.listeners().collect();
    let (cwmp, cwmp_tls) = (bound.cwmp, bound.cwmp_tls);
    let endpoint_id = bound.endpoint_id.clone();
    let state = State::new(
        store.clone(),
        vault.clone(),
        config,
        south,
        Some(files.clone()),
        bound,
        shutdown.clone(),
    );
    let router = http::router::router(state.clone()).map_err(StartError::Bug)?;
    // Last, so that a start that fails does not give out a password nobody sees.
    let first_administrator = auth::first_run::prepare(&store, &state.passwords).await?;
    tasks.push(tokio::spawn(sweep(state)));
    tasks.push(tokio::spawn(listener.serve(router, shutdown)));
    Ok(Running {
        http: address,
        https,
        usp,
        usp_tls,
        mqtt,
        cwmp,
        cwmp_tls,
        files: files.bound(),
        first_administrator,
        store,
        vault,
        endpoint_id,
        tasks,
        _data_dir: data_dir,
    })
}

/// Removes what has expired, now and then.
async fn sweep(state: State) {
    loop {
        tokio::select! {
            () = state.shutdown.cancelled() => return,
            () = tokio::time::sleep(limits::SWEEP_EVERY) => {}
        }
        if let Err(error) = sweep_once(&state).await {
            tracing::warn!(%error, "what has expired could not be removed; it will be tried again");
        }
        state.metrics.run_upkeep();
    }
}

async fn sweep_once(state: &State) -> store::Result<()> {
    let now = state::now();
    let day = std::time::Duration::from_secs(24 * 3600);
    let events = now.minus(day * state.config.retention.events_days);
    let sessions = now.minus(day * state.config.retention.sessions_days);
    let (store, keys) = (&state.store, now.minus(limits::IDEMPOTENCY_LIFE));
    in_batches(|| store.session_purge(now)).await?;
    for tenant in store.tenant_list().await? {
        if state.shutdown.is_cancelled() {
            break;
        }
        in_batches(|| store.idempotency_purge(&tenant.id, keys)).await?;
        in_batches(|| store.event_purge(&tenant.id, events)).await?;
        in_batches(|| store.management_session_purge(&tenant.id, sessions)).await?;
        let transfers = now.minus(files::limits::TRANSFER_LIFE);
        in_batches(|| store.transfer_purge(&tenant.id, transfers)).await?;
    }
    Ok(())
}

/// Removes batch after batch until nothing is left, or enough for this time; how many.
pub(crate) async fn in_batches<F>(batch: impl Fn() -> F) -> store::Result<u64>
where
    F: Future<Output = store::Result<u64>>,
{
    let mut count = 0;
    for _ in 0..limits::SWEEP_BATCHES_MAX {
        match batch().await? {
            0 => break,
            removed => count += removed,
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sweep_removes_all_batches_there_are_and_comes_to_an_end() {
        let left = std::cell::Cell::new(3u64);
        let some = || async {
            let before = left.get();
            left.set(before.saturating_sub(1));
            Ok(u64::from(before > 0) * 10)
        };
        assert_eq!(in_batches(some).await.unwrap(), 30);
        let endless = in_batches(|| async { Ok(1) }).await.unwrap();
        assert_eq!(endless, limits::SWEEP_BATCHES_MAX as u64);
    }

    #[tokio::test]
    async fn a_sweep_forgets_idempotency_keys_and_sign_ins_that_are_over() {
        let (state, _database) = state::tests::alone().await;
        let tenant = fleet::TenantId::parse("acme").unwrap();
        let at = state::now();
        let record = store::TenantRecord {
            id: tenant.clone(),
            name: "Acme".to_owned(),
            created_at: at,
            disabled_at: None,
        };
        state.store.tenant_insert(record, vec![]).await.unwrap();
        let begin = |name: &str, at| {
            let key = store::IdempotencyKey {
                principal: "ann".to_owned(),
                endpoint: "operation_create".to_owned(),
                key: name.to_owned(),
            };
            state.store.idempotency_begin(&tenant, key, [1; 32], at)
        };
        let long_ago = at.minus(limits::IDEMPOTENCY_LIFE + std::time::Duration::from_secs(1));
        begin("old", long_ago).await.unwrap();
        begin("young", at).await.unwrap();
        sweep_once(&state).await.unwrap();
        assert_eq!(begin("old", at).await.unwrap(), store::Idempotency::New);
        let still = store::Idempotency::InProgress { since: at };
        assert_eq!(begin("young", at).await.unwrap(), still);
    }
}
