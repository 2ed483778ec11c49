//! The adapter to CPEs that speak CWMP (TR-069) over HTTP. The listener finds the session of each
//! POST, each session is one small task around [`cwmp::acs::Session`], and what is said in it is
//! straight-line code over a [`Cpe`].
//!
//! | file | what it does |
//! |---|---|
//! | `listen`, `line` | connections: HTTP and HTTPS, how many, how long |
//! | `post`, `body`, `answers` | one request: body, authentication, which session, the answer |
//! | `door`, `offers`, `used`, `credential` | what a request proves |
//! | `session`, `turn`, `talk` | the task of a session |
//! | `admission`, `find`, `name` | who may come in, which device it is, and takes its place |
//! | `record` | what was said, as people may read it |
//! | `converse` | what is said |
//! | `reach`, `login`, `wake` | how a device is asked to come, with what, and asking it |
//!
//! Not here: what an operation needs (crate `fleet`), and the protocol itself (crate `cwmp`).

mod adapter;
mod admission;
mod answers;
mod aside;
mod body;
pub mod conversation;
mod converse;
pub mod core;
mod cpe;
pub mod credential;
mod door;
mod find;
mod join;
pub mod limits;
mod line;
mod listen;
pub mod login;
mod name;
mod offers;
mod post;
mod queue;
pub mod reach;
mod record;
mod seen;
mod session;
mod sessions;
mod strays;
mod takeover;
mod talk;
mod turn;
mod used;
mod visits;
pub mod wake;
mod whose;

use std::net::SocketAddr;
use std::sync::Arc;

use fleet::NodeId;
use store::Store;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use adapter::Adapter;
pub use cpe::{Ask, AskError, Cpe, Guest, Opening, Said};

use self::conversation::packs::Packs;
use self::core::{Core, Stop};
use crate::dispatch::Reported;
use crate::southbound::certificate::Certificate;
use crate::southbound::issued;
use crate::southbound::limits::REVOKED_EVERY;
use crate::vault::Vault;
use crate::{Config, StartError};
use door::Door;
use limits::Limits;
use session::Input;
use wake::Waker;

/// The name of the way to CPEs, in the store.
pub(crate) const TRANSPORT: &str = "cwmp";

/// What is kept of its path under this name: the version that it spoke the last time, `1.0` to `1.4`.
pub(crate) const VERSION: &str = "cwmp_version";

/// What the ACS needs.
pub struct Setup {
    /// What is remembered.
    pub store: Store,
    /// As the server was started.
    pub config: Config,
    /// What a test may set lower.
    pub limits: Limits,
    /// Where facts go; waits when it is full.
    pub facts: mpsc::Sender<Reported>,
    /// The name of this node.
    pub node: NodeId,
    /// The master key.
    pub vault: Vault,
    /// Cancelled when the server stops.
    pub shutdown: CancellationToken,
}

/// The ACS, running.
pub struct Started {
    /// The way to the devices.
    pub southbound: Arc<Adapter>,
    /// Where devices connect by HTTP.
    pub http: Option<SocketAddr>,
    /// Where devices connect by HTTPS.
    pub https: Option<SocketAddr>,
    /// The certificate of that one.
    pub certificate: Option<Certificate>,
    /// Ends when every session has ended after the stop.
    pub task: JoinHandle<()>,
}

/// Starts it: listeners are bound.
pub async fn start(setup: Setup) -> Result<Started, StartError> {
    let Setup {
        store,
        config,
        limits,
        facts,
        node,
        vault,
        shutdown,
    } = setup;
    // For a certificate of our own making.
    let own = crate::southbound::usp::own::endpoint_id(&config)?;
    let waker = Waker::start(wake::Setup {
        store: store.clone(),
        vault: vault.clone(),
        links: Arc::default(),
        settings: wake::Settings::of(&config),
        limits: wake::Limits::default(),
        shutdown: shutdown.clone(),
    })
    .await?;
    let door = Door::new(vault, &config.cwmp, &limits);
    let quirks = Packs::load(&config.data_dir);
    let quirks = quirks.map_err(|error| StartError::Devices(format!("quirk packs: {error}")))?;
    let config = Arc::new(config);
    let core = Core::new(store, node, config, limits, door, waker, facts, shutdown);
    let core = Arc::new(core.with_quirks(quirks));
    let listeners = listen::start(&core, &own).await?;
    tokio::spawn(tenants(core.clone()));
    tokio::spawn(revocations(core.clone()));
    Ok(Started {
        southbound: Arc::new(Adapter::new(core.clone())),
        http: listeners.plain,
        https: listeners.tls,
        certificate: listeners.certificate,
        task: tokio::spawn(end(core)),
    })
}

/// Ends the sessions of tenants that were disabled. Sessions are short, so that it is enough to look
/// when that happens here; those of other nodes end by themselves, and nobody comes in any more.
async fn tenants(core: Arc<Core>) {
    loop {
        tokio::select! {
            () = core.shutdown.cancelled() => return,
            () = core.tenants_changed.notified() => {}
        }
        let tenants = match core.store.tenant_list().await {
            Ok(tenants) => tenants,
            Err(error) => {
                tracing::warn!(%error, "which tenants are disabled cannot be read; looked at again soon");
                tokio::time::sleep(limits::TENANTS_PAUSE).await;
                core.tenants_changed.notify_one();
                continue;
            }
        };
        for tenant in tenants.iter().filter(|one| one.disabled_at.is_some()) {
            core.waker.forget_tenant(&tenant.id);
        }
        for entry in core.links.all() {
            let disabled =
                |one: &store::TenantRecord| one.id == entry.tenant && one.disabled_at.is_some();
            if tenants.iter().any(disabled) {
                adapter::tell(&entry.inbox, core::Command::Stop(Stop::TenantDisabled));
            }
        }
    }
}

/// Ends the sessions whose certificates were revoked.
async fn revocations(core: Arc<Core>) {
    let stop = |entry: &core::Entry| {
        adapter::tell(&entry.inbox, core::Command::Stop(Stop::CertificateRevoked));
    };
    let (changed, shutdown) = (&core.certificates_changed, &core.shutdown);
    issued::watch(
        &core.store,
        &core.links,
        changed,
        REVOKED_EVERY,
        shutdown,
        stop,
    )
    .await;
}

/// The end: every session ends, then whoever listens to us sees that nothing follows.
async fn end(core: Arc<Core>) {
    core.shutdown.cancelled().await;
    for handle in core.sessions.all() {
        tokio::spawn(async move { handle.inbox.send(Input::Stop(Stop::Shutdown)).await });
    }
    let all = core.sessions.emptied();
    if tokio::time::timeout(core.limits.goodbye_time_max, all)
        .await
        .is_err()
    {
        let left = core.sessions.len();
        tracing::warn!(left, "not every session came to its end in time");
    }
    core.keeper.end().await;
    core.visits.end().await;
    core.release();
}
