//! Brokers of others, of MQTT and STOMP, and the devices behind them. The server is one client of each; a device is
//! the topic it publishes to, which the broker lets nobody else publish to, and becomes a link like any other. What a
//! broker does not tell is found out: a device that is silent is asked for a sign of life, and so are those
//! known from before when we connect.
//!
//! Who may use a broker is its own business, or asked of us over HTTP (`hooks`).

mod admit;
mod client;
mod door;
mod hooks;
mod hub;
mod link;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fleet::{SetupKeyId, TenantId, Timestamp};
use mtp::mqtt::Version;
use mtp::tls::{ClientTls, ClientTlsConfig, Roots};
use tokio::sync::{Semaphore, mpsc};

use super::adapter::Core;
use super::admission::Gate;
use super::limits::{
    BROKER_ADMISSIONS_AT_ONCE, BROKER_AGENT_BYTES_MAX, BROKER_AGENT_INBOX, BROKER_AGENTS_MAX,
    BROKER_CAME_MAX, BROKER_INBOX_BYTES_MAX, BROKER_REFUSED_FOR, BROKER_REFUSED_MAX,
};
use super::{MQTT, STOMP};
use crate::config::{Broker as Settings, Protocol, Tenants};
use crate::state::now;
use crate::{Config, StartError};

use link::Between;
pub use link::Link;

/// Tenant and endpoint id, as the topic says them.
type Name = (Box<str>, Box<str>);

/// One broker and the devices behind it.
pub struct Broker {
    settings: Settings,
    tls: Option<Arc<ClientTls>>,
    /// Below the topic of an agent towards us: where this server alone listens.
    node: String,
    /// A device that was silent for this long is asked for a sign of life, and has as long to answer.
    probe_every: Duration,
    agents_max: usize,
    came: Arc<Came>,
    health: Mutex<Health>,
    agents: Mutex<HashMap<Name, Inbox>>,
    /// Names that were refused lately.
    refused: Mutex<HashMap<Name, Instant>>,
    admissions: Arc<Semaphore>,
    /// Bytes that wait for links.
    queued: AtomicUsize,
    generations: AtomicUsize,
}

/// How it stands with a broker.
#[derive(Clone, Debug)]
pub struct Health {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Whether we are connected.
    pub connected: bool,
    /// Since when it is so.
    pub since: Timestamp,
    /// Attempts that failed since we were connected last.
    pub failures: u32,
    /// What went wrong last, and when.
    pub last_error: Option<(Timestamp, String)>,
    /// Devices that are reached through it now.
    pub devices: usize,
}

/// A record on its way from the broker to a link.
struct Delivered {
    record: Bytes,
    /// The agent speaks MQTT 3.1.1.
    in_topic: bool,
    /// Where it wants answers.
    reply: Option<String>,
}

/// A record on its way to the broker.
struct Outgoing {
    record: Bytes,
    to: String,
    reply: String,
    version: Version,
}

/// Where records for a link wait.
struct Inbox {
    records: mpsc::Sender<Delivered>,
    bytes: Arc<AtomicUsize>,
    generation: usize,
}

/// A connection to the broker, as links see it.
#[derive(Clone)]
struct Connection {
    outgoing: mpsc::Sender<Outgoing>,
    peer: SocketAddr,
    /// For whom the broker speaks.
    tenants: Arc<Tenants>,
}

/// Why a record does not wait for its link.
enum Untaken {
    /// There is no link yet.
    Unknown(Delivered),
    /// There is no room: the device sends more than is worked off.
    Full,
}

/// The setup keys with which devices came in at brokers that ask us; what is forgotten is only that a device is
/// to get a credential of its own.
#[derive(Default)]
struct Came(Mutex<HashMap<Name, SetupKeyId>>);

impl Came {
    fn note(&self, tenant: &TenantId, endpoint: &str, key: SetupKeyId) {
        let mut all = lock(&self.0);
        if all.len() >= BROKER_CAME_MAX {
            all.clear();
        }
        all.insert((tenant.as_str().into(), endpoint.into()), key);
    }

    fn forget(&self, tenant: &TenantId, endpoint: &str) {
        let name = (tenant.as_str().into(), endpoint.into());
        lock(&self.0).remove(&name);
    }

    fn with(&self, name: &Name) -> Option<SetupKeyId> {
        lock(&self.0).get(name).copied()
    }
}

/// What there is of brokers of others.
pub struct Started {
    /// Each of them.
    pub all: Vec<Arc<Broker>>,
    /// Where they ask us who may come in.
    pub auth: Option<SocketAddr>,
}

/// Connects to all brokers of the configuration, and listens to what they ask.
pub async fn start(
    core: &Arc<Core>,
    gate: Arc<Gate>,
    config: &Config,
) -> Result<Started, StartError> {
    let came = Arc::<Came>::default();
    let topics = config.broker_auth.topic_prefix.clone();
    let door = door::Door::new(core.clone(), gate, came.clone(), topics);
    let auth = hooks::start(core, door, &config.broker_auth).await?;
    let mut all = Vec::new();
    for settings in &config.usp.brokers {
        let silent = Duration::from_secs(config.presence.silent_after_seconds.max(1));
        let mut broker = Broker::new(settings.clone(), core.node.as_str(), silent / 3)?;
        broker.agents_max = core.limits.broker_agents_max;
        broker.came = came.clone();
        let broker = Arc::new(broker);
        tokio::spawn(hub::run(core.clone(), broker.clone()));
        all.push(broker);
    }
    Ok(Started { all, auth })
}

impl Broker {
    fn new(settings: Settings, node: &str, probe_every: Duration) -> Result<Self, StartError> {
        let broker = Self {
            tls: tls(&settings)?,
            node: format!("node/{node}"),
            probe_every,
            agents_max: BROKER_AGENTS_MAX,
            came: Arc::default(),
            health: Mutex::new(Health {
                name: settings.name.clone(),
                url: settings.url.to_string(),
                connected: false,
                since: now(),
                failures: 0,
                last_error: None,
                devices: 0,
            }),
            agents: Mutex::default(),
            refused: Mutex::default(),
            admissions: Arc::new(Semaphore::new(BROKER_ADMISSIONS_AT_ONCE)),
            queued: AtomicUsize::default(),
            generations: AtomicUsize::default(),
            settings,
        };
        broker.password().map_err(StartError::Devices)?;
        Ok(broker)
    }

    /// What devices behind it speak, as in the store.
    pub fn transport(&self) -> &'static str {
        match self.settings.url.protocol {
            Protocol::Mqtt => MQTT,
            Protocol::Stomp => STOMP,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// How it stands.
    pub fn health(&self) -> Health {
        Health {
            devices: lock(&self.agents).len(),
            ..lock(&self.health).clone()
        }
    }

    /// Our password there, as the file has it now.
    fn password(&self) -> Result<Option<String>, String> {
        let Some(path) = &self.settings.password_file else {
            return Ok(None);
        };
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(error) => Err(format!(
                "usp.brokers {:?}: password_file {}: {error}",
                self.settings.name,
                path.display()
            )),
        }
    }

    /// What stands below the topic of an agent towards us where this server listens alone; nothing where no other
    /// listens beside it.
    fn below(&self) -> Option<&str> {
        self.settings.shared_group.as_ref().map(|_| &*self.node)
    }

    fn connected(&self) {
        let mut health = lock(&self.health);
        (health.connected, health.since, health.failures) = (true, now(), 0);
    }

    /// The connection is over, or did not come about. Links end.
    fn lost(&self, why: &str) {
        lock(&self.agents).clear();
        let mut health = lock(&self.health);
        let at = now();
        if std::mem::take(&mut health.connected) {
            health.since = at;
        }
        health.failures = health.failures.saturating_add(1);
        health.last_error = Some((at, why.to_owned()));
    }

    /// Hands a record to the link it is for.
    fn hand(&self, name: &Name, delivered: Delivered) -> Result<(), Untaken> {
        let agents = lock(&self.agents);
        let Some(inbox) = agents.get(name) else {
            return Err(Untaken::Unknown(delivered));
        };
        let size = delivered.record.len();
        let own = inbox.bytes.load(Ordering::Relaxed);
        let all = self.queued.load(Ordering::Relaxed);
        // One that waits for nothing is always taken: the largest record has to come through.
        if own > 0 && own + size > BROKER_AGENT_BYTES_MAX || all > BROKER_INBOX_BYTES_MAX {
            return Err(Untaken::Full);
        }
        // Counted before its link can take it, which takes it off.
        inbox.bytes.fetch_add(size, Ordering::Relaxed);
        self.queued.fetch_add(size, Ordering::Relaxed);
        let sent = inbox.records.try_send(delivered);
        if sent.is_err() {
            inbox.bytes.fetch_sub(size, Ordering::Relaxed);
            self.queued.fetch_sub(size, Ordering::Relaxed);
        }
        sent.map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Untaken::Full,
            // It is about to end; what comes now is for the next one.
            mpsc::error::TrySendError::Closed(one) => Untaken::Unknown(one),
        })
    }

    /// Makes a link of a name, with what came first. `None` when there are too many.
    fn open(
        self: &Arc<Self>,
        name: &Name,
        first: Delivered,
        connection: &Connection,
        between: Between,
    ) -> Option<Link> {
        let (records, incoming) = mpsc::channel(BROKER_AGENT_INBOX);
        let bytes = Arc::<AtomicUsize>::default();
        let generation = self.generations.fetch_add(1, Ordering::Relaxed);
        let inbox = Inbox {
            records,
            bytes: bytes.clone(),
            generation,
        };
        let mut agents = lock(&self.agents);
        if agents.len() >= self.agents_max && !agents.contains_key(name) {
            return None;
        }
        agents.insert(name.clone(), inbox);
        drop(agents);
        // There is room for one that waits for nothing.
        let _ = self.hand(name, first);
        let parts = (name.clone(), generation, connection.clone());
        Some(Link::new(self.clone(), parts, incoming, bytes, between))
    }

    /// A link is over.
    fn close(&self, name: &Name, generation: usize) {
        let mut agents = lock(&self.agents);
        if agents
            .get(name)
            .is_some_and(|inbox| inbox.generation == generation)
        {
            agents.remove(name);
            if agents.capacity() > 64 && agents.len() * 4 < agents.capacity() {
                agents.shrink_to_fit();
            }
        }
    }

    fn is_open(&self, name: &Name) -> bool {
        lock(&self.agents).contains_key(name)
    }

    /// For a while nothing is looked up again for this name.
    fn refuse(&self, name: Name) {
        let (mut refused, now) = (lock(&self.refused), Instant::now());
        if refused.len() >= BROKER_REFUSED_MAX {
            refused.retain(|_, until| *until > now);
            if refused.len() >= BROKER_REFUSED_MAX {
                refused.clear();
            }
        }
        refused.insert(name, now + BROKER_REFUSED_FOR);
    }

    fn is_refused(&self, name: &Name) -> bool {
        let mut refused = lock(&self.refused);
        match refused.get(name) {
            Some(until) if *until > Instant::now() => true,
            Some(_) => {
                refused.remove(name);
                false
            }
            None => false,
        }
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("name", &self.name())
            .finish()
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tls(settings: &Settings) -> Result<Option<Arc<ClientTls>>, StartError> {
    if !settings.url.tls {
        return Ok(None);
    }
    let wanted = ClientTlsConfig {
        roots: settings.ca.clone().map_or(Roots::Public, Roots::Only),
        own: settings.certificate.clone().zip(settings.key.clone()),
        ..ClientTlsConfig::default()
    };
    let tls = ClientTls::load(&wanted).map_err(|error| StartError::Tls {
        what: format!("usp.brokers {:?}", settings.name),
        message: error.to_string(),
    })?;
    Ok(Some(Arc::new(tls)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtp::limits::RECORD_BYTES_MAX;
    use usp::EndpointId;

    fn broker() -> Arc<Broker> {
        let text = "[[usp.brokers]]\nname = \"north\"\nurl = \"mqtt://h\"\n";
        let settings = Config::parse(text).unwrap().usp.brokers.remove(0);
        Arc::new(Broker::new(settings, "n1", Duration::from_secs(60)).unwrap())
    }

    fn name(n: usize) -> Name {
        ("acme".into(), format!("os::0-{n}").into())
    }

    fn of(bytes: usize) -> Delivered {
        Delivered {
            record: vec![0; bytes].into(),
            in_topic: false,
            reply: None,
        }
    }

    fn open(broker: &Arc<Broker>, n: usize, first: usize) -> Option<Link> {
        let connection = Connection {
            outgoing: mpsc::channel(1).0,
            peer: SocketAddr::from(([127, 0, 0, 1], 1)),
            tenants: Arc::new(Tenants::All),
        };
        let between = Between {
            own: EndpointId::parse("self::us").unwrap(),
            endpoint: EndpointId::parse("os::0-A").unwrap(),
        };
        broker.open(&name(n), of(first), &connection, between)
    }

    fn is_full(handed: Result<(), Untaken>) -> bool {
        matches!(handed, Err(Untaken::Full))
    }

    #[tokio::test]
    async fn what_a_device_sends_faster_than_it_is_worked_off_is_not_kept() {
        let broker = broker();
        let mut link = open(&broker, 1, 1).unwrap();
        for _ in 1..BROKER_AGENT_INBOX {
            assert!(broker.hand(&name(1), of(1)).is_ok());
        }
        assert!(is_full(broker.hand(&name(1), of(1))));
        link.recv().await;
        assert!(broker.hand(&name(1), of(1)).is_ok());
        drop(link);
        assert_eq!(broker.queued.load(Ordering::Relaxed), 0);
        let unknown = broker.hand(&name(1), of(1));
        assert!(matches!(unknown, Err(Untaken::Unknown(_))));
    }

    #[test]
    fn large_records_of_one_device_and_of_all_are_bounded_in_bytes() {
        let broker = broker();
        let _first = open(&broker, 0, RECORD_BYTES_MAX).unwrap();
        assert!(broker.hand(&name(0), of(RECORD_BYTES_MAX)).is_ok());
        assert!(is_full(broker.hand(&name(0), of(1))));
        let others = 1..=BROKER_INBOX_BYTES_MAX / RECORD_BYTES_MAX;
        let links: Vec<_> = others.map(|n| open(&broker, n, RECORD_BYTES_MAX)).collect();
        assert!(is_full(broker.hand(&name(1), of(1))));
        drop(links);
        assert!(broker.queued.load(Ordering::Relaxed) < BROKER_INBOX_BYTES_MAX);
    }

    #[test]
    fn there_are_only_so_many_devices_behind_a_broker() {
        let mut broker = broker();
        Arc::get_mut(&mut broker).unwrap().agents_max = 2;
        let links = [open(&broker, 1, 1), open(&broker, 2, 1)];
        assert!(links.iter().all(Option::is_some) && open(&broker, 3, 1).is_none());
        assert_eq!(broker.health().devices, 2);
        drop(links);
        assert!(open(&broker, 3, 1).is_some());
    }

    #[test]
    fn refused_names_are_remembered_for_a_while_and_never_too_many() {
        let broker = broker();
        broker.refuse(name(0));
        assert!(broker.is_refused(&name(0)) && !broker.is_refused(&name(1)));
        (0..2 * BROKER_REFUSED_MAX).for_each(|n| broker.refuse(name(n)));
        assert!(lock(&broker.refused).len() <= BROKER_REFUSED_MAX);
    }

    #[tokio::test]
    async fn a_link_whose_broker_is_lost_ends_with_the_reason() {
        let broker = broker();
        let mut link = open(&broker, 1, 1).unwrap();
        link.recv().await;
        broker.lost("it was unplugged");
        let super::super::wire::Heard::Closed(words) = link.recv().await else {
            panic!("it stays");
        };
        assert!(words.contains("it was unplugged"), "{words}");
    }
}
