//! The local network: this controller is told of by multicast DNS, and agents are found there (R-DIS.3 to R-DIS.11a).
//! What is found is shown and never dialled by itself: it is what somebody on the network says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use fleet::Timestamp;
use mtp::discovery::dns_sd::{self, Event, Found, Kind, Running, Service};
use tokio_util::sync::CancellationToken;
use usp::EndpointId;

use super::listen::Listeners;
use crate::state::now;
use crate::{Config, StartError};

/// The agents that are on the network now, and since when.
#[derive(Debug, Default)]
pub struct Lan {
    agents: Mutex<BTreeMap<(EndpointId, Kind), (Found, Timestamp)>>,
}

impl Lan {
    /// All of them, by endpoint id.
    pub fn agents(&self) -> Vec<(Found, Timestamp)> {
        let agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        agents.values().cloned().collect()
    }

    /// The table is as large as that of whoever tells: `mtp::limits::MDNS_FOUND_MAX`.
    fn hear(&self, event: Event, at: Timestamp) {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Found(found) => {
                agents.insert((found.endpoint_id.clone(), found.kind), (found, at));
            }
            Event::Gone(kind, id) => {
                agents.remove(&(id, kind));
            }
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
    let service = service(config, listeners.plain, listeners.tls);
    if service.is_none() {
        tracing::warn!(
            "discovery.mdns: no WebSocket listener is open beyond this machine, so agents are looked for and told nothing"
        );
    }
    let settings = dns_sd::Config {
        networks: config.discovery.networks.clone(),
        ..dns_sd::Config::new(
            own.clone(),
            service.into_iter().collect(),
            Kind::AGENTS.to_vec(),
        )
    };
    let running = dns_sd::start(settings)
        .map_err(|error| StartError::Devices(format!("discovery.mdns: {error}")))?;
    let lan = Arc::new(Lan::default());
    tokio::spawn(hear(lan.clone(), running, shutdown));
    Ok(Some(lan))
}

/// The listener that is told of: with TLS, if there is one, and never one that only this machine reaches (R-DIS.4).
fn service(config: &Config, plain: Option<SocketAddr>, tls: Option<SocketAddr>) -> Option<Service> {
    let open = [(tls, true), (plain, false)].into_iter();
    let (addr, encrypt) = open
        .filter_map(|(addr, encrypt)| Some((addr?, encrypt)))
        .find(|(addr, _)| !addr.ip().is_loopback())?;
    Some(Service {
        kind: Kind::ControllerWebSocket,
        port: addr.port(),
        path: config.discovery.path.clone(),
        name: None,
        encrypt,
    })
}

async fn hear(lan: Arc<Lan>, mut running: Running, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            event = running.next() => match event {
                Some(event) => lan.hear(event, now()),
                None => return,
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
        let told = |plain, tls| service(&config, plain, tls).map(|one| (one.port, one.encrypt));
        assert_eq!(told(at("0.0.0.0:1"), at("0.0.0.0:2")), Some((2, true)));
        assert_eq!(told(at("192.0.2.1:1"), at("127.0.0.1:2")), Some((1, false)));
        assert_eq!(told(at("[::1]:1"), None), None);
    }
}
