//! The local network: this controller is told of by multicast DNS, and agents are found there (R-DIS.3 to R-DIS.11a).
//! What is found is shown and never dialled by itself: it is what somebody on the network says.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use fleet::Timestamp;
use mtp::discovery::dns_sd::{self, Found, Heard, Kind, Passed, Running, Service};
use tokio_util::sync::CancellationToken;
use usp::EndpointId;

use super::listen::Listeners;
use crate::limits::LAN_AGENTS_MAX;
use crate::state::now;
use crate::{Config, StartError};

/// Who says on a network that it is an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The interface of this host through which it was heard.
    pub network: String,
    /// What it says.
    pub found: Found,
    /// Since when it says so.
    pub since: Timestamp,
}

/// A network on which agents are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The interface.
    pub name: String,
    /// The addresses of this host there.
    pub addresses: Vec<IpAddr>,
    /// Why nothing is heard or said there.
    pub trouble: Option<String>,
}

/// How it stands on the local network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Where it is spoken.
    pub networks: Vec<Network>,
    /// Addresses of `discovery.networks` that this host does not have.
    pub missing: Vec<IpAddr>,
    /// Who is there now, by network and endpoint id, at most [`LAN_AGENTS_MAX`].
    pub agents: Vec<Agent>,
    /// How many more there are.
    pub more: usize,
    /// What was passed over since the start, on all networks.
    pub passed: Passed,
    /// Whether devices are told of this server.
    pub tells: bool,
}

/// The agents that are on the network now, and since when.
#[derive(Debug)]
pub struct Lan {
    heard: tokio::sync::watch::Receiver<Heard>,
    since: Mutex<BTreeMap<Key, (Found, Timestamp)>>,
    tells: bool,
}

type Key = (String, EndpointId, Kind);

impl Lan {
    /// How it stands now.
    pub fn standing(&self) -> Standing {
        let heard = self.heard.borrow().clone();
        let since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let agents = since.iter().map(|((network, ..), (found, since))| Agent {
            network: network.clone(),
            found: found.clone(),
            since: *since,
        });
        let mut passed = Passed::default();
        for one in heard.networks.values().map(|one| one.passed) {
            passed.too_many += one.too_many;
            passed.broken += one.broken;
            passed.nameless += one.nameless;
            passed.no_room += one.no_room;
        }
        Standing {
            agents: agents.collect(),
            more: heard.found().count().saturating_sub(since.len()),
            passed,
            missing: heard.missing.into_iter().map(IpAddr::V4).collect(),
            networks: heard
                .networks
                .into_iter()
                .map(|(name, one)| Network {
                    name,
                    addresses: one.addresses,
                    trouble: one.trouble,
                })
                .collect(),
            tells: self.tells,
        }
    }
}

/// What is there now, each thing since when it is as it is. Those that were there first, stay.
fn settle(since: &mut BTreeMap<Key, (Found, Timestamp)>, heard: &Heard, at: Timestamp) {
    let key = |(network, found): (&str, &Found)| {
        (network.to_owned(), found.endpoint_id.clone(), found.kind)
    };
    let mut there: BTreeMap<Key, &Found> = heard.found().map(|one| (key(one), one.1)).collect();
    since.retain(|key, (before, at_before)| {
        let found = there.remove(key);
        if let Some(found) = found.filter(|found| *found != before) {
            before.clone_from(found);
            *at_before = at;
        }
        found.is_some()
    });
    for (key, found) in there {
        if since.len() < LAN_AGENTS_MAX {
            since.insert(key, (found.clone(), at));
        }
    }
}

/// Begins to tell and to look, where the configuration says so.
pub fn start(
    config: &Config,
    own: &EndpointId,
    listeners: &Listeners,
    shutdown: CancellationToken,
) -> Result<Option<Arc<Lan>>, StartError> {
    if !config.discovery.mdns {
        return Ok(None);
    }
    let (bound, service) = service(config, listeners.plain, listeners.tls).unzip();
    if service.is_none() {
        tracing::warn!(
            "discovery.mdns: no WebSocket listener is open beyond this machine, so agents are looked for and told nothing"
        );
    }
    let tells = service.is_some();
    let settings = dns_sd::Config {
        bound: bound.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        networks: config.discovery.networks.clone(),
        ..dns_sd::Config::new(
            own.clone(),
            service.into_iter().collect(),
            Kind::AGENTS.to_vec(),
        )
    };
    let running = dns_sd::start(settings)
        .map_err(|error| StartError::Devices(format!("discovery.mdns: {error}")))?;
    let lan = Arc::new(Lan {
        heard: running.heard(),
        since: Mutex::default(),
        tells,
    });
    tokio::spawn(hear(lan.clone(), running, shutdown));
    Ok(Some(lan))
}

/// The listener that is told of, and the address it is bound to: with TLS, if there is one, and never one that only this
/// machine reaches (R-DIS.4).
fn service(
    config: &Config,
    plain: Option<SocketAddr>,
    tls: Option<SocketAddr>,
) -> Option<(IpAddr, Service)> {
    let open = [(tls, true), (plain, false)].into_iter();
    let (addr, encrypt) = open
        .filter_map(|(addr, encrypt)| Some((addr?, encrypt)))
        .find(|(addr, _)| !addr.ip().is_loopback())?;
    let service = Service {
        kind: Kind::ControllerWebSocket,
        port: addr.port(),
        path: config.discovery.path.clone(),
        name: None,
        encrypt,
    };
    Some((addr.ip(), service))
}

async fn hear(lan: Arc<Lan>, running: Running, shutdown: CancellationToken) {
    let mut heard = running.heard();
    loop {
        let now = now();
        {
            let mut since = lan.since.lock().unwrap_or_else(PoisonError::into_inner);
            settle(&mut since, &heard.borrow_and_update(), now);
        }
        tokio::select! {
            () = shutdown.cancelled() => break,
            changed = heard.changed() => if changed.is_err() {
                return;
            }
        }
    }
    running.close().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-DIS.4
    #[test]
    fn the_listener_with_tls_is_told_of_and_one_of_this_machine_never() {
        let config = Config::default();
        let at = |text: &str| Some(text.parse().unwrap());
        let told = |plain, tls| {
            let (_, one) = service(&config, plain, tls)?;
            Some((one.port, one.encrypt))
        };
        assert_eq!(told(at("0.0.0.0:1"), at("0.0.0.0:2")), Some((2, true)));
        assert_eq!(told(at("192.0.2.1:1"), at("127.0.0.1:2")), Some((1, false)));
        assert_eq!(told(at("[::1]:1"), None), None);
    }

    #[test]
    fn what_is_there_says_since_when_and_the_table_has_an_end() {
        let found = |n: usize, port: u16| Found {
            kind: Kind::AgentWebSocket,
            endpoint_id: format!("os::00256D-{n:04}").parse().unwrap(),
            addresses: vec!["192.0.2.1".parse().unwrap()],
            port,
            path: "/usp".into(),
            name: None,
            encrypt: false,
        };
        let heard = |found: Vec<Found>| {
            let network = dns_sd::Network {
                found,
                ..dns_sd::Network::default()
            };
            Heard {
                networks: BTreeMap::from([("lan".to_owned(), network)]),
                ..Heard::default()
            }
        };
        let at = Timestamp::from_millis;
        let mut since = BTreeMap::new();
        settle(&mut since, &heard(vec![found(1, 1), found(2, 1)]), at(10));
        settle(&mut since, &heard(vec![found(2, 2), found(1, 1)]), at(20));
        let times: Vec<Timestamp> = since.values().map(|(_, at)| *at).collect();
        assert_eq!(times, [at(10), at(20)]);
        // More than there is room for: those that were there stay.
        let many = (0..LAN_AGENTS_MAX + 10).map(|n| found(n, 1)).collect();
        settle(&mut since, &heard(many), at(30));
        assert_eq!(since.len(), LAN_AGENTS_MAX);
        assert!(since.values().any(|(_, since)| *since == at(10)));
        settle(&mut since, &heard(Vec::new()), at(40));
        assert!(since.is_empty());
    }
}
