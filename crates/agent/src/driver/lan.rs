//! The local network: this agent is told of by multicast DNS, and controllers are found there (R-DIS.3 to R-DIS.11a).

use std::collections::BTreeMap;
use std::time::Instant;

use mtp::discovery::dhcp::Offer;
use mtp::discovery::dns_sd::{Config, Event, Kind, Running, Service, StartError, start as speak};
use mtp::ws::Listener;
use usp::EndpointId;

use super::Driver;
use super::inbound::Door;
use super::peer::Channel;
use crate::engine::Source;
use crate::limits::{LAN_CHANGE_EVERY, LAN_CONTROLLERS_MAX};
use crate::{DiscoveryConfig, Engine, Found, ListenConfig, Now};

/// Begins to tell and to look.
pub(super) fn start(
    discovery: &DiscoveryConfig,
    engine: &Engine,
    now: Now,
    listener: Option<&Listener<Door>>,
    listen: &Option<ListenConfig>,
) -> Result<Lan, StartError> {
    // What is told of really listens, and for others than this host (R-DIS.4).
    let service = listener
        .zip(listen.as_ref())
        .and_then(|(listener, listen)| {
            let addr = listener.local_addr();
            (!addr.ip().is_loopback()).then(|| Service {
                kind: Kind::AgentWebSocket,
                port: addr.port(),
                path: listen.path.clone(),
                name: engine.friendly_name(now),
                encrypt: listen.certificate.is_some(),
            })
        });
    let mut config = Config::new(
        engine.endpoint_id().clone(),
        service.into_iter().collect(),
        vec![Kind::ControllerWebSocket],
    );
    config.networks.clone_from(&discovery.networks);
    Ok(Lan {
        running: speak(config)?,
        heard: Heard::default(),
    })
}

/// Multicast DNS, and what was heard.
pub(super) struct Lan {
    running: Running,
    heard: Heard,
}

impl Lan {
    /// Says goodbye and ends.
    pub async fn close(self) {
        self.running.close().await;
    }
}

/// The controllers there are, each of which is taken up from time to time: what it says may have changed, what was in its
/// way may be gone, and nobody makes us write more often than that.
#[derive(Default)]
struct Heard(BTreeMap<EndpointId, Neighbour>);

struct Neighbour {
    /// `None`: it has gone, and is borne in mind so that it does not come back sooner than it may.
    offer: Option<Offer>,
    due: Instant,
}

impl Heard {
    fn hear(&mut self, now: Instant, event: Event) {
        match event {
            Event::Found(found) => {
                let url = found.url();
                let id = found.endpoint_id;
                let offer = Offer {
                    url,
                    endpoint_id: Some(id.clone()),
                    ..Offer::default()
                };
                if let Some(known) = self.0.get_mut(&id) {
                    known.offer = Some(offer);
                } else if self.0.len() < LAN_CONTROLLERS_MAX {
                    let (offer, due) = (Some(offer), now);
                    self.0.insert(id, Neighbour { offer, due });
                }
            }
            Event::Gone(_, id) => {
                if let Some(known) = self.0.get_mut(&id) {
                    known.offer = None;
                }
            }
        }
    }

    /// The next one that is due.
    fn next(&mut self, now: Instant) -> Option<Offer> {
        self.0.retain(|_, one| one.offer.is_some() || one.due > now);
        let mut due = self.0.values_mut().filter(|one| one.due <= now);
        let one = due.next()?;
        one.due = now + LAN_CHANGE_EVERY;
        one.offer.clone()
    }

    fn deadline(&self) -> Option<Instant> {
        self.0.values().map(|one| one.due).min()
    }
}

/// The next controller to take up, where any is looked for.
pub(super) async fn next(lan: &mut Option<Lan>) -> Offer {
    let Some(Lan { running, heard }) = lan else {
        return std::future::pending().await;
    };
    loop {
        let now = tokio::time::Instant::now().into_std();
        if let Some(offer) = heard.next(now) {
            return offer;
        }
        let due = heard.deadline();
        let sleep = tokio::time::sleep_until(due.unwrap_or(now).into());
        tokio::select! {
            Some(event) = running.next() => heard.hear(now, event),
            () = sleep, if due.is_some() => {}
            else => return std::future::pending().await,
        }
    }
}

impl Driver {
    /// Takes up a controller that was found. One that says goodbye keeps its row: it may come back. One that is connected is
    /// where it is: what somebody says on the network breaks no link.
    pub(super) fn on_the_lan(&mut self, offer: &Offer) {
        let mut peers = self.peers.iter();
        if peers.any(|peer| {
            matches!(peer.channel, Channel::Open(_))
                && offer.endpoint_id.as_ref() == Some(peer.session.peer())
        }) {
            return;
        }
        let (agent, url) = (self.engine.endpoint_id().clone(), found_at(offer));
        let controller = offer.endpoint_id.as_ref().map(|id| id.as_str());
        match self.engine.found(self.clock.now(), Source::Lan, offer) {
            Ok(found @ (Found::New | Found::Changed)) => {
                tracing::info!(%agent, controller, url, %found, "a controller is on the local network");
            }
            Ok(_) => {}
            Err(reason) => {
                tracing::warn!(%agent, controller, url, %reason, "a controller of the local network cannot be used");
            }
        }
    }
}

fn found_at(offer: &Offer) -> &str {
    offer.url.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(id: &str, port: u16) -> Event {
        Event::Found(mtp::discovery::dns_sd::Found {
            kind: Kind::ControllerWebSocket,
            endpoint_id: id.parse().unwrap(),
            addresses: vec!["192.0.2.1".parse().unwrap()],
            port,
            path: "/usp".into(),
            name: None,
            encrypt: true,
        })
    }

    #[test]
    fn a_controller_is_taken_up_once_in_a_time_however_often_it_changes_or_goes() {
        let start = Instant::now();
        let mut heard = Heard::default();
        let mut taken = Vec::new();
        for n in 0..1000_u16 {
            heard.hear(start, found("self::c", n));
            taken.extend(heard.next(start));
            heard.hear(
                start,
                Event::Gone(Kind::ControllerWebSocket, "self::c".parse().unwrap()),
            );
        }
        assert_eq!(taken.len(), 1);
        heard.hear(start, found("self::c", 7));
        assert_eq!(heard.deadline(), Some(start + LAN_CHANGE_EVERY));
        // What was said last counts, and is looked at again from then on.
        for n in 1..3 {
            let offer = heard.next(start + LAN_CHANGE_EVERY * n).unwrap();
            assert_eq!(offer.url.as_deref(), Some("wss://192.0.2.1:7/usp"));
        }
    }

    #[test]
    fn ever_new_controllers_make_no_more_work_than_a_full_table() {
        let start = Instant::now();
        let mut heard = Heard::default();
        let mut taken = 0;
        for n in 0..1000 {
            let id = format!("self::c-{n}");
            heard.hear(start, found(&id, 1));
            taken += heard.next(start).iter().count();
            heard.hear(
                start,
                Event::Gone(Kind::ControllerWebSocket, id.parse().unwrap()),
            );
        }
        assert_eq!(taken, LAN_CONTROLLERS_MAX);
        assert_eq!(heard.next(start + LAN_CHANGE_EVERY), None);
        assert_eq!(heard.deadline(), None);
    }
}
