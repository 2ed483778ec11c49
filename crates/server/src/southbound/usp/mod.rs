//! The side of the devices: the adapter to USP agents over WebSocket and MQTT. Listeners and dials make
//! links, each link is one small task, what they say becomes facts for the dispatcher and rows in
//! the store.
//!
//! Not here: what an operation needs (crate `fleet`), and how it is dispatched ([`crate::dispatch`]).

mod adapter;
mod admission;
mod ask;
pub mod brokers;
mod conduct;
mod dial;
mod goodbye;
mod jobs;
pub mod lan;
pub mod limits;
mod link;
mod listen;
mod mqtt;
pub mod notice;
mod notified;
pub(in crate::southbound) mod notify;
mod onboarding;
pub(crate) mod own;
pub(in crate::southbound) mod recorder;
mod replay;
mod settle;
mod tenants;
mod transcript;
mod translate;
mod wire;
mod withdrawn;
mod work;

use std::net::SocketAddr;
use std::sync::Arc;

use fleet::{Event, EventKind, NodeId};
use mtp::tls::{CertificateInfo, ClientTls, ClientTlsConfig, Roots};
use store::Store;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use adapter::Adapter;
pub use mqtt::{Bound as MqttBound, Listening as MqttListening};

use super::certificate::Certificate;
use super::issued;
use super::limits::REVOKED_EVERY;
use super::registry;
use crate::dispatch::Reported;
use crate::state::now;
use crate::{Config, StartError};
use adapter::{Core, Ends};
use dial::Dials;
use limits::Limits;
use recorder::Recorder;

/// The name of the WebSocket transport, in the store.
pub(crate) const WEBSOCKET: &str = "websocket";

/// The name of the MQTT transport, in the store.
pub(crate) const MQTT: &str = "mqtt";

/// The name of the STOMP transport, in the store.
pub(crate) const STOMP: &str = "stomp";

/// The open links.
type Registry = registry::Registry<link::Command>;

/// One of them.
type Entry = registry::Entry<link::Command>;

/// Where the facts about devices go.
pub type Facts = mpsc::Sender<Reported>;

/// What the side of the devices needs.
pub struct Setup {
    /// What is remembered.
    pub store: Store,
    /// As the server was started.
    pub config: Config,
    /// What a test may set lower.
    pub limits: Limits,
    /// Where facts go; waits when it is full.
    pub facts: Facts,
    /// Cancelled when the server stops.
    pub shutdown: CancellationToken,
}

/// The side of the devices, running.
pub struct Started {
    /// The way to the devices.
    pub southbound: Arc<Adapter>,
    /// Where devices connect without TLS.
    pub usp: Option<SocketAddr>,
    /// Where devices connect with TLS.
    pub usp_tls: Option<SocketAddr>,
    /// Where devices connect by MQTT.
    pub mqtt: mqtt::Bound,
    /// Brokers of others that devices are behind.
    pub brokers: Vec<Arc<brokers::Broker>>,
    /// The agents of the local network, where they are looked for.
    pub lan: Option<Arc<lan::Lan>>,
    /// Where they ask who may come in.
    pub broker_auth: Option<SocketAddr>,
    /// The certificate of the listener with TLS.
    pub certificate: Option<Certificate>,
    /// The certificate of session contexts, as it was at the start.
    pub context_certificate: Option<CertificateInfo>,
    /// The endpoint id under which devices know us.
    pub endpoint_id: String,
    /// The name of this node, the same after a restart.
    pub node: NodeId,
    /// Ends when every device has been told goodbye after the stop.
    pub task: JoinHandle<()>,
}

/// Starts it: listeners are bound, devices are dialled.
pub async fn start(setup: Setup) -> Result<Started, StartError> {
    let Setup {
        store,
        config,
        limits,
        facts,
        shutdown,
    } = setup;
    let own = own::endpoint_id(&config)?;
    let node = own::node_id(&config)?;
    forget_links(&store, &node, &config).await?;
    let (recorder, incoming) = Recorder::new();
    let (alive, ended) = mpsc::channel(1);
    let ends = Ends {
        facts,
        recorder,
        alive,
    };
    let core = Core::new(
        store.clone(),
        own.clone(),
        node.clone(),
        &config,
        limits,
        ends,
        shutdown.clone(),
    )?;
    let core = Arc::new(core);
    let heard_every = adapter::pace(&config).1;
    let written = tokio::spawn(recorder::run(
        Arc::downgrade(&core),
        store.clone(),
        incoming,
        heard_every,
    ));
    let gate = Arc::new(admission::Gate::new(core.clone()));
    let listeners = listen::start(&core, &gate, &config).await?;
    let lan = lan::start(&config, &own, &listeners, shutdown.clone())?;
    let mqtt = mqtt::start(&core, gate.clone(), &config).await?;
    let brokers = brokers::start(&core, gate, &config).await?;
    let dials = Arc::new(Dials::new(core.clone(), dial_tls(&config)?));
    let disabled = tenants::begin(&core, &dials).await?;
    tokio::spawn(tenants::watch(core.clone(), dials.clone(), disabled));
    tokio::spawn(revocations(core.clone()));
    tokio::spawn(withdrawn::watch(core.clone()));
    Ok(Started {
        southbound: Arc::new(Adapter::new(core.clone(), dials)),
        usp: listeners.plain,
        usp_tls: listeners.tls,
        mqtt,
        brokers: brokers.all,
        lan,
        broker_auth: brokers.auth,
        certificate: listeners.certificate,
        context_certificate: core.certificate.clone(),
        endpoint_id: own.as_str().to_owned(),
        node,
        task: tokio::spawn(end(core, shutdown, ended, written)),
    })
}

/// Ends the links whose certificates were revoked.
async fn revocations(core: Arc<Core>) {
    let stop = |entry: &Entry| adapter::stop(&entry.inbox, link::Stop::CertificateRevoked);
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

/// The links that this node held when it was last alive are over. Those that it had beside others are not for that:
/// where nobody hears their devices they are written off later.
async fn forget_links(store: &Store, node: &NodeId, config: &Config) -> Result<(), StartError> {
    const REASON: &str = "the server was restarted";
    let all = config.usp.brokers.iter();
    let shared = all.filter(|one| one.shared_group.is_some());
    let shared: Vec<String> = shared.map(|one| one.name.clone()).collect();
    for tenant in store.tenant_list().await? {
        let at = now();
        let lost = store
            .path_reset_node(&tenant.id, node, &shared, REASON.to_owned(), at)
            .await?;
        let events: Vec<Event> = lost
            .into_iter()
            .map(|lost| {
                Event::new(tenant.id.clone(), at, EventKind::DeviceDisconnected)
                    .device(lost.device)
                    .data(lost.data(REASON, Some("shutdown")))
            })
            .collect();
        for chunk in events.chunks(store::limits::PAGE_MAX) {
            store.event_append(&tenant.id, chunk.to_vec()).await?;
        }
    }
    Ok(())
}

/// Whom we believe when dialling `wss:` devices.
fn dial_tls(config: &Config) -> Result<Option<Arc<ClientTls>>, StartError> {
    let Some(ca) = &config.usp.dial_ca else {
        return Ok(None);
    };
    let settings = ClientTlsConfig {
        roots: Roots::Only(ca.clone()),
        ..ClientTlsConfig::default()
    };
    let tls = ClientTls::load(&settings).map_err(|error| StartError::Tls {
        what: "usp.dial_ca".to_owned(),
        message: error.to_string(),
    })?;
    Ok(Some(Arc::new(tls)))
}

/// The end: goodbye to all devices, then whoever listens to us sees that nothing follows.
async fn end(
    core: Arc<Core>,
    shutdown: CancellationToken,
    mut ended: mpsc::Receiver<()>,
    written: JoinHandle<()>,
) {
    shutdown.cancelled().await;
    core.close();
    for entry in core.links.all() {
        adapter::stop(&entry.inbox, link::Stop::Shutdown);
    }
    // Links that were just being made close by themselves: see `Core::ends`. The others are told
    // again, in case they took their place meanwhile.
    let goodbye = async {
        loop {
            tokio::select! {
                gone = ended.recv() => if gone.is_none() { break },
                () = tokio::time::sleep(std::time::Duration::from_millis(200)) => {
                    for entry in core.links.all() {
                        adapter::stop(&entry.inbox, link::Stop::Shutdown);
                    }
                }
            }
        }
        let _ = written.await;
    };
    if tokio::time::timeout(limits::GOODBYE_TIME_MAX, goodbye)
        .await
        .is_err()
    {
        tracing::warn!(
            left = core.links.len(),
            "not every device was told goodbye in time"
        );
    }
}
