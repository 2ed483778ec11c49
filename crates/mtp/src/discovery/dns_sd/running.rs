//! Multicast DNS on every network of this host: networks come and go, and what was heard on them is state, which whoever
//! looks late has missed nothing of.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use usp::EndpointId;

use super::networks::{Interface, interfaces};
use super::socket::{Wire, open, speak};
use super::{Found, Kind, Node, Passed, Service, Unnamable};
use crate::limits::MDNS_INTERFACES_EVERY;

const PORT: u16 = 5353;

/// What is told and looked for, and where.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who we are.
    pub own: EndpointId,
    /// What we have.
    pub services: Vec<Service>,
    /// The address that their listener is bound to: others of this host are not told.
    pub bound: IpAddr,
    /// What we look for.
    pub browse: Vec<Kind>,
    /// Of whom we know beforehand: however many others there are, they are found.
    pub awaited: BTreeSet<EndpointId>,
    /// The addresses of the networks to speak on; empty is all of the host that take multicast.
    pub networks: Vec<Ipv4Addr>,
    /// The port, which is 5353 but in tests.
    pub port: u16,
}

impl Config {
    /// On all networks, with listeners that are bound to all addresses.
    pub fn new(own: EndpointId, services: Vec<Service>, browse: Vec<Kind>) -> Config {
        Config {
            own,
            services,
            bound: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            browse,
            awaited: BTreeSet::new(),
            networks: Vec::new(),
            port: PORT,
        }
    }

    fn node(&self) -> Result<Node, Unnamable> {
        Node::new(
            self.own.clone(),
            self.services.clone(),
            self.browse.clone(),
            self.awaited.clone(),
            Instant::now(),
        )
    }
}

/// Why it cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port cannot be had.
    #[error("multicast DNS on port {port}: {source}")]
    Socket {
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// There is no name for us.
    #[error(transparent)]
    Unnamable(#[from] Unnamable),
}

/// What is heard now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The networks on which multicast DNS is spoken, by the name of the interface; at most
    /// [`MDNS_INTERFACES_MAX`](crate::limits::MDNS_INTERFACES_MAX).
    pub networks: BTreeMap<String, Network>,
    /// Addresses that were named, and that this host does not have.
    pub missing: Vec<Ipv4Addr>,
}

/// One network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// The addresses of this host there.
    pub addresses: Vec<IpAddr>,
    /// Why it is not heard or said there.
    pub trouble: Option<String>,
    /// Who is there, at most [`MDNS_FOUND_MAX`](crate::limits::MDNS_FOUND_MAX), and those that were awaited.
    pub found: Vec<Found>,
    /// What was passed over.
    pub passed: Passed,
}

impl Heard {
    /// All of all networks, with the network.
    pub fn found(&self) -> impl Iterator<Item = (&str, &Found)> {
        let networks = self.networks.iter();
        networks.flat_map(|(name, one)| one.found.iter().map(move |found| (name.as_str(), found)))
    }
}

/// Multicast DNS in tasks of its own, which end with this.
pub struct Running {
    heard: watch::Receiver<Heard>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    /// What is heard now and will be.
    pub fn heard(&self) -> watch::Receiver<Heard> {
        self.heard.clone()
    }

    /// Says goodbye and ends.
    pub async fn close(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.stop.is_some() {
            self.task.abort();
        }
    }
}

/// Starts to speak.
pub fn start(config: Config) -> Result<Running, StartError> {
    let port = config.port;
    // Whether it can be spoken at all is said at once.
    open(port).map_err(|source| StartError::Socket { port, source })?;
    config.node()?;
    let (heard, shown) = watch::channel(Heard::default());
    let (stop, stopped) = oneshot::channel();
    let networks = Networks {
        config,
        heard,
        spoken: BTreeMap::new(),
    };
    Ok(Running {
        heard: shown,
        stop: Some(stop),
        task: tokio::spawn(networks.run(stopped)),
    })
}

/// The networks on which it is spoken now, each in a task that ends when nobody tells it of its interface any more.
struct Networks {
    config: Config,
    heard: watch::Sender<Heard>,
    spoken: BTreeMap<String, (watch::Sender<Interface>, JoinHandle<()>)>,
}

impl Networks {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let mut look = tokio::time::interval(MDNS_INTERFACES_EVERY);
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                _ = look.tick() => self.look(),
            }
        }
        for (interface, task) in self.spoken.into_values() {
            drop(interface);
            let _ = task.await;
        }
    }

    /// Begins on networks that are new, and ends on those that are gone.
    fn look(&mut self) {
        let all = interfaces(&self.config.networks);
        self.spoken.retain(|name, (told, task)| {
            let index = told.borrow().index;
            let mut all = all.iter();
            !task.is_finished() && all.any(|one| one.name == *name && one.index == index)
        });
        let mut missing = self.config.networks.clone();
        missing.retain(|named| {
            let mut addresses = all.iter().flat_map(|one| &one.addresses);
            !addresses.any(|address| *address == IpAddr::V4(*named))
        });
        self.heard.send_if_modified(|heard| {
            let before = heard.clone();
            if heard.missing != missing {
                tracing::info!(addresses = ?missing, "multicast DNS: addresses that this host does not have");
            }
            heard.missing = missing;
            let has = |name: &str| all.iter().any(|one| one.name == name);
            heard.networks.retain(|name, _| has(name));
            for one in &all {
                let network = heard.networks.entry(one.name.clone()).or_default();
                network.addresses.clone_from(&one.addresses);
                if !self.spoken.contains_key(&one.name) {
                    network.found.clear();
                }
            }
            before != *heard
        });
        for one in all {
            if let Some((told, _)) = self.spoken.get(&one.name) {
                told.send_if_modified(|before| {
                    let changed = *before != one;
                    *before = one;
                    changed
                });
                continue;
            }
            let name = one.name.clone();
            match self.speak(one) {
                Ok(spoken) => {
                    self.spoken.insert(name, spoken);
                }
                Err(reason) => {
                    self.heard.send_if_modified(|heard| {
                        let Some(network) = heard.networks.get_mut(&name) else {
                            return false;
                        };
                        let news = network.trouble.as_ref() != Some(&reason);
                        if news {
                            tracing::info!(network = name, %reason, "multicast DNS is not spoken here");
                            network.trouble = Some(reason);
                        }
                        news
                    });
                }
            }
        }
    }

    fn speak(
        &self,
        interface: Interface,
    ) -> Result<(watch::Sender<Interface>, JoinHandle<()>), String> {
        let wire = Wire::join(&interface, self.config.port).map_err(|error| error.to_string())?;
        let node = self.config.node().map_err(|error| error.to_string())?;
        let (tell, told) = watch::channel(interface);
        let task = speak(node, wire, self.config.bound, told, self.heard.clone());
        Ok((tell, tokio::spawn(task)))
    }
}
