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
mod inbox;
mod link;
mod rights;
mod user;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use broker::Topics;
use bytes::Bytes;
use fleet::{TenantId, Timestamp};
use mtp::mqtt::Version;
use mtp::tls::{ClientTls, ClientTlsConfig, Roots};
use tokio::sync::{Semaphore, mpsc};

use super::adapter::Core;
use super::admission::Gate;
use super::limits::{BROKER_ADMISSIONS_AT_ONCE, BROKER_REFUSED_MAX, Limits};
use super::{MQTT, STOMP};
use crate::config::{Broker as Settings, Protocol, Tenants};
use crate::southbound::admission::Uses;
use crate::state::now;
use crate::{Config, StartError};

use inbox::{Inbox, Queued};
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
    refused_for: Duration,
    health: Mutex<Health>,
    agents: Mutex<HashMap<Name, Inbox>>,
    /// Names that were refused lately.
    refused: Mutex<HashMap<Name, Instant>>,
    /// Names whose topic nobody was subscribed to lately: since when, and how often.
    unheard: Mutex<HashMap<Name, (Instant, u32)>>,
    admissions: Arc<Semaphore>,
    /// Bytes that wait for links.
    queued: Mutex<Queued>,
    generations: AtomicUsize,
    /// Devices of each tenant that it has registered lately.
    registrations: Uses<TenantId>,
    /// The others.
    beside: OnceLock<Vec<Weak<Broker>>>,
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

/// A record on its way to the broker.
struct Outgoing {
    record: Bytes,
    to: String,
    reply: String,
    version: Version,
}

/// A connection to the broker, as links see it.
#[derive(Clone)]
struct Connection {
    outgoing: mpsc::Sender<Outgoing>,
    peer: SocketAddr,
    /// For whom the broker speaks.
    tenants: Arc<Tenants>,
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
    let topics = asked_topics(config).map_err(StartError::Devices)?;
    let door = door::Door::new(core.clone(), gate, topics, asked_for(config));
    if config.broker_auth.listen.is_some() && !door.knows_tenants().await? {
        let why = "broker_auth.tenants is missing: name those whose devices are behind the brokers that ask, \
                   like [\"acme\"], or say \"all\"";
        return Err(StartError::Devices(why.to_owned()));
    }
    let auth = hooks::start(core, door, &config.broker_auth).await?;
    let mut all = Vec::new();
    for settings in &config.usp.brokers {
        let silent = Duration::from_secs(config.presence.silent_after_seconds.max(1));
        let node = core.node.as_str();
        let broker = Broker::new(settings.clone(), node, silent / 3, &core.limits)?;
        all.push(Arc::new(broker));
    }
    for broker in &all {
        let others = all.iter().filter(|one| !Arc::ptr_eq(one, broker));
        let _ = broker.beside.set(others.map(Arc::downgrade).collect());
        tokio::spawn(hub::run(core.clone(), broker.clone()));
    }
    Ok(Started { all, auth })
}

fn asking(config: &Config) -> impl Iterator<Item = &Settings> {
    config.usp.brokers.iter().filter(|one| one.asks)
}

/// The topics at the brokers that ask us: each of them may have others, and a device has its own below each of the
/// prefixes. Says which prefix stands below another one: what is one device's there could be another's as well.
fn asked_topics(config: &Config) -> Result<Vec<Topics>, String> {
    let mut all: Vec<Topics> = Vec::new();
    let given = config.broker_auth.topic_prefix.iter();
    for topics in given.chain(asking(config).map(|one| &one.topic_prefix)) {
        if all.contains(topics) {
            continue;
        }
        if let Some(other) = all.iter().find(|other| other.meet(topics)) {
            return Err(format!(
                "topic_prefix: {:?} and {:?} are both of brokers that ask (usp.brokers, broker_auth), and one stands below the other",
                other.prefix(),
                topics.prefix()
            ));
        }
        all.push(topics.clone());
    }
    if all.is_empty() {
        all.push(Topics::default());
    }
    Ok(all)
}

/// Whose devices are behind the brokers that ask us, where that is said.
fn asked_for(config: &Config) -> Option<Tenants> {
    if let Some(named) = &config.broker_auth.tenants {
        return Some(named.clone());
    }
    asking(config).next()?;
    asking(config).try_fold(Tenants::These(Vec::new()), |all, one| {
        Some(match (all, one.tenants.clone()?) {
            (Tenants::These(mut all), Tenants::These(more)) => {
                all.extend(more);
                Tenants::These(all)
            }
            _ => Tenants::All,
        })
    })
}

impl Broker {
    fn new(
        settings: Settings,
        node: &str,
        probe_every: Duration,
        limits: &Limits,
    ) -> Result<Self, StartError> {
        let broker = Self {
            tls: tls(&settings)?,
            node: format!("node/{node}"),
            probe_every,
            agents_max: limits.broker_agents_max,
            refused_for: limits.broker_refused_for,
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
            unheard: Mutex::default(),
            admissions: Arc::new(Semaphore::new(BROKER_ADMISSIONS_AT_ONCE)),
            queued: Mutex::default(),
            generations: AtomicUsize::default(),
            registrations: Uses::new(
                limits.broker_registration_burst,
                limits.broker_registrations_per_second,
            ),
            beside: OnceLock::new(),
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

    /// Another broker behind which this device is now, over the same transport.
    fn elsewhere(&self, name: &Name) -> Option<Arc<Broker>> {
        let others = self.beside.get().into_iter().flatten();
        let mut others = others.filter_map(Weak::upgrade);
        others.find(|other| other.transport() == self.transport() && other.has_admitted(name))
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

    /// No device is linked through it.
    fn is_idle(&self) -> bool {
        lock(&self.agents).is_empty()
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

    /// For a while nothing is looked up again for this name.
    fn refuse(&self, name: Name) {
        let (mut refused, now) = (lock(&self.refused), Instant::now());
        if refused.len() >= BROKER_REFUSED_MAX {
            refused.retain(|_, until| *until > now);
            if refused.len() >= BROKER_REFUSED_MAX {
                refused.clear();
            }
        }
        refused.insert(name, now + self.refused_for);
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
mod tests;
