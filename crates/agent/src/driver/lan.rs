//! The local network: this agent is told of by multicast DNS, and controllers are found there (R-DIS.3 to R-DIS.11a).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use mtp::discovery::dhcp::Offer;
use mtp::discovery::dns_sd::{self, Config, Kind, Running, Service, StartError, start as speak};
use mtp::ws::Listener;
use tokio::sync::watch;
use usp::EndpointId;

use super::Driver;
use super::inbound::Door;
use super::lease::without_key;
use super::peer::Channel;
use crate::engine::Source;
use crate::limits::{LAN_CHANGE_EVERY, LAN_CONTROLLERS_MAX};
use crate::{DiscoveryConfig, Engine, Found, ListenConfig, Now};

/// Begins to tell and to look, where the configuration says so.
pub(super) fn start(
    discovery: &DiscoveryConfig,
    engine: &Engine,
    now: Now,
    listener: Option<&Listener<Door>>,
    listen: &Option<ListenConfig>,
) -> Result<Option<Lan>, StartError> {
    if !discovery.mdns {
        return Ok(None);
    }
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
    if let Some(listener) = listener {
        config.bound = listener.local_addr().ip();
    }
    let trusted = discovery.trusted.iter().flat_map(|id| id.parse());
    config.awaited = trusted.collect();
    let awaited = config.awaited.clone();
    let running = speak(config)?;
    Ok(Some(Lan {
        news: running.heard(),
        running,
        heard: Heard::new(awaited),
    }))
}

/// Multicast DNS, and what was heard.
pub(super) struct Lan {
    running: Running,
    news: watch::Receiver<dns_sd::Heard>,
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
struct Heard {
    /// For those that are trusted there is always room.
    awaited: BTreeSet<EndpointId>,
    all: BTreeMap<EndpointId, Neighbour>,
}

struct Neighbour {
    /// `None`: it has gone, and is borne in mind so that it does not come back sooner than it may.
    offer: Option<Offer>,
    due: Instant,
}

impl Heard {
    fn new(awaited: BTreeSet<EndpointId>) -> Heard {
        let all = BTreeMap::new();
        Heard { awaited, all }
    }

    /// What is there now: who is on two networks is taken up by the first.
    fn settle<'a>(&mut self, now: Instant, found: impl Iterator<Item = &'a dns_sd::Found>) {
        let mut there = BTreeMap::new();
        for one in found {
            there.entry(&one.endpoint_id).or_insert(one);
        }
        let offer = |one: &dns_sd::Found| Offer {
            url: one.url(),
            endpoint_id: Some(one.endpoint_id.clone()),
            ..Offer::default()
        };
        for (id, known) in &mut self.all {
            known.offer = there.remove(id).map(offer);
        }
        self.all
            .retain(|_, one| one.offer.is_some() || one.due > now);
        for (id, one) in there {
            if self.all.len() < LAN_CONTROLLERS_MAX || self.awaited.contains(id) {
                let (offer, due) = (Some(offer(one)), now);
                self.all.insert(id.clone(), Neighbour { offer, due });
            }
        }
    }

    /// The next one that is due.
    fn next(&mut self, now: Instant) -> Option<Offer> {
        let mut due = self.all.values_mut();
        let one = due.find(|one| one.due <= now && one.offer.is_some())?;
        one.due = now + LAN_CHANGE_EVERY;
        one.offer.clone()
    }

    fn deadline(&self) -> Option<Instant> {
        self.all.values().map(|one| one.due).min()
    }
}

/// The next controller to take up, where any is looked for.
pub(super) async fn next(lan: &mut Option<Lan>) -> Offer {
    let Some(Lan { news, heard, .. }) = lan else {
        return std::future::pending().await;
    };
    loop {
        let now = tokio::time::Instant::now().into_std();
        let is_due = heard.deadline().is_some_and(|due| due <= now);
        if is_due || news.has_changed().unwrap_or_default() {
            heard.settle(
                now,
                news.borrow_and_update().found().map(|(_, found)| found),
            );
        }
        if let Some(offer) = heard.next(now) {
            return offer;
        }
        let due = heard.deadline();
        let sleep = tokio::time::sleep_until(due.unwrap_or(now).into());
        tokio::select! {
            Ok(()) = news.changed() => news.mark_changed(),
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
        let agent = self.engine.endpoint_id().clone();
        let url = without_key(offer.url.as_deref().unwrap_or_default());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn heard() -> Heard {
        Heard::new(BTreeSet::from(["self::trusted".parse().unwrap()]))
    }

    fn found(id: &str, port: u16) -> dns_sd::Found {
        dns_sd::Found {
            kind: Kind::ControllerWebSocket,
            endpoint_id: id.parse().unwrap(),
            addresses: vec!["192.0.2.1".parse().unwrap()],
            port,
            path: "/usp".into(),
            name: None,
            encrypt: true,
        }
    }

    #[test]
    fn a_controller_is_taken_up_once_in_a_time_however_often_it_changes_or_goes() {
        let start = Instant::now();
        let mut heard = heard();
        let mut taken = Vec::new();
        for n in 0..1000_u16 {
            heard.settle(start, [found("self::c", n)].iter());
            taken.extend(heard.next(start));
            heard.settle(start, [].iter());
        }
        assert_eq!(taken.len(), 1);
        // It is on two networks.
        heard.settle(start, [found("self::c", 7), found("self::c", 8)].iter());
        assert_eq!(heard.deadline(), Some(start + LAN_CHANGE_EVERY));
        // What was said last counts, and is looked at again from then on.
        for n in 1..3 {
            let offer = heard.next(start + LAN_CHANGE_EVERY * n).unwrap();
            assert_eq!(offer.url.as_deref(), Some("wss://192.0.2.1:7/usp"));
        }
    }

    #[test]
    fn ever_new_controllers_make_no_more_work_than_a_full_table_and_keep_no_trusted_one_out() {
        let start = Instant::now();
        let mut heard = heard();
        let mut taken = 0;
        for n in 0..1000 {
            let id = format!("self::c-{n}");
            heard.settle(start, [found(&id, 1)].iter());
            taken += heard.next(start).iter().count();
        }
        assert_eq!(taken, LAN_CONTROLLERS_MAX);
        heard.settle(start, [found("self::trusted", 1)].iter());
        assert!(heard.next(start).is_some());
        heard.settle(start + LAN_CHANGE_EVERY, [].iter());
        assert_eq!(heard.next(start + LAN_CHANGE_EVERY), None);
        assert_eq!(heard.deadline(), None);
    }
}
