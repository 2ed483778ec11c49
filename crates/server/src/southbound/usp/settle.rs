//! Between a handshake and the first record: the device is registered where it is new, takes its
//! place among the links, and the store hears that it is here. Everything may be done again: a
//! crash at any point leaves what the next connection continues.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fleet::device::OnboardingState;
use fleet::onboarding::{Refusal, Strength, Who};
use fleet::{DeviceId, Event, EventKind, Fact, Protocol, TenantId, Timestamp};
use serde_json::json;
use store::{DevicePatch, LinkNumber, PathLink};
use tokio::sync::{mpsc, oneshot};

use super::Entry;
use super::adapter::{Core, Ends};
use super::admission::Ticket;
use super::limits::REPLACE_TIME_MAX;
use super::link::{Command, Replaced, Running};
use crate::southbound::issued;
use crate::southbound::register::{self, Unregistered};
use crate::southbound::registry::NewEntry;
use crate::state::now;

/// A link that is known to everybody.
pub struct Settled {
    /// Its place.
    pub entry: Arc<Entry>,
    /// The device was not onboarded completely yet.
    pub unfinished: bool,
}

/// Why a link does not settle.
pub enum Unsettled {
    /// It was decided otherwise meanwhile.
    Refused(Refusal),
    /// Another link of the device has come since.
    Replaced,
    /// The store does not answer.
    Store(store::Error),
}

impl From<store::Error> for Unsettled {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

/// Settles a link.
pub async fn settle(
    core: &Core,
    ticket: &Ticket,
    peer: SocketAddr,
    inbox: mpsc::Sender<Command>,
) -> Result<Settled, Unsettled> {
    let decision = &ticket.decision;
    let tenant = &decision.tenant;
    let device = match decision.who {
        Who::Known(device) => device,
        Who::New => register(core, ticket).await?,
    };
    if let (true, Some((hash, transport))) = (decision.promote, ticket.token) {
        // False when it is current already: a second connection was faster.
        let event = credential(tenant, device, "current");
        core.store
            .path_confirm(tenant, device, transport, hash, vec![event])
            .await?;
    }
    let new = NewEntry {
        tenant: tenant.clone(),
        device,
        transport: ticket.transport,
        peer,
        strength: decision.strength,
        certificate: ticket
            .certificate
            .as_ref()
            .map(|one| one.certificate.fingerprint),
        inbox,
    };
    let claimed = core.links.claim(new).map_err(Unsettled::Refused)?;
    if let Some(broker) = ticket.info["broker"].as_str() {
        claimed.entry.is_behind(broker);
    }
    let whence = claimed.entry.whence();
    if let Some(key) = decision.setup_key {
        claimed.entry.opened_by(key);
    }
    let mut events = Vec::with_capacity(2);
    let taken = !claimed.displaced.is_empty();
    for old in claimed.displaced {
        metrics::counter!("headend_usp_takeovers_total").increment(1);
        // A device that comes with its new credential leaves the links that it came with before.
        let left = old.transport != ticket.transport && old.parting(Instant::now()).is_some();
        if !left {
            events.push(
                event(tenant, device, EventKind::DeviceTakenOver).data(json!({
                    "peer": whence.to_string(), "previous_peer": old.whence().to_string(),
                })),
            );
        }
        // Its requests have to be over before ours begin.
        let (done, over) = oneshot::channel();
        let replaced = Replaced {
            peer: whence.clone(),
            done,
        };
        let replaced = Command::Replaced(Box::new(replaced));
        let ended = async {
            if old.inbox.send(replaced).await.is_ok() {
                let _ = over.await;
            }
        };
        let _ = tokio::time::timeout(REPLACE_TIME_MAX, ended).await;
    }
    if taken {
        // A third one may have come while we waited. It goes on from here: what we would say and
        // write would come after what it says and writes.
        if !core.links.holds(&claimed.entry) {
            return Err(Unsettled::Replaced);
        }
        // From the new link, so that it comes before what this one says: the old one says nothing
        // of its end, and this one may never come as far as to be asked things.
        if let Some(ends) = core.ends() {
            let reason = format!("another link of this device took over, from {whence}");
            set_open(core, &ends, &claimed.entry, false, &reason).await;
        }
    }
    let connected = connect(core, ticket, &claimed.entry, events).await;
    if connected.is_err() {
        core.links.leave(&claimed.entry);
    }
    let (number, unfinished) = connected?;
    claimed.entry.set_number(number);
    if let Some(certificate) = &ticket.certificate
        && let Err(error) = issued::used(&core.store, certificate, device).await
    {
        tracing::warn!(%error, %device, "that a certificate is in use could not be written; it will be tried again");
    }
    Ok(Settled {
        entry: claimed.entry,
        unfinished,
    })
}

/// The device can be asked things over this link from now on, or no more; false where it has lost its place. The domain
/// hears of the first link of a device, and of the end of the last one.
pub async fn set_open(core: &Core, ends: &Ends, entry: &Entry, open: bool, reason: &str) -> bool {
    let (over, at) = (Protocol::Usp, now());
    // Room is made first, so that what is told comes in the order in which it happened. After the stop nobody listens.
    let room = ends.facts.reserve().await.ok();
    core.links.set_open(entry, open, |open| {
        let fact = match open {
            true => Fact::Connected { over, at },
            false => Fact::Disconnected {
                over,
                at,
                reason: reason.to_owned(),
            },
        };
        if let Some(room) = room {
            room.send((entry.tenant.clone(), entry.device, fact));
        }
    })
}

impl Running {
    /// The device can be asked things, unless onboarding wants it for itself first.
    pub(super) async fn announce(&mut self) {
        let held = self.work.as_ref().is_some_and(|work| work.holds);
        if !self.announced && !held && self.is_open() {
            // A link that has lost its place is about to end: the next one speaks for the device.
            self.announced = self.set_open(true, "").await;
        }
    }

    pub(super) async fn withdraw(&mut self, reason: &str) {
        if std::mem::take(&mut self.announced) {
            self.set_open(false, reason).await;
        }
    }

    async fn set_open(&self, open: bool, reason: &str) -> bool {
        Box::pin(set_open(&self.core, &self.ends, &self.entry, open, reason)).await
    }
}

impl Running {
    /// The link of this number was written off, by another server that did not hear the device, or heard nothing of this
    /// one.
    pub(super) async fn relink(&mut self, link: u64) {
        if !self.is_open() || !self.core.links.holds(&self.entry) {
            return;
        }
        let (core, entry) = (&self.core, &self.entry);
        let (tenant, device) = (&entry.tenant, entry.device);
        let last = LinkNumber {
            device,
            transport: entry.transport,
            link,
        };
        let event = event(tenant, device, EventKind::DeviceConnected).data(json!({
            "transport": entry.transport, "peer": entry.whence().to_string(), "credential": named(entry.strength),
        }));
        let relinked = core
            .store
            .path_relinked(tenant, last, &core.node, now(), vec![event]);
        match relinked.await {
            Ok(Some(number)) => entry.set_number(number),
            Ok(None) => {}
            // It is told again when the device is heard the next time.
            Err(error) => {
                tracing::warn!(%error, %device, "that a device is connected could not be written");
            }
        }
    }
}

/// How well it proved who it is, as in the store.
fn named(strength: Strength) -> String {
    serde_json::to_value(strength)
        .ok()
        .and_then(|name| name.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// Tells the store.
async fn connect(
    core: &Core,
    ticket: &Ticket,
    entry: &Entry,
    mut events: Vec<Event>,
) -> Result<(u64, bool), store::Error> {
    let decision = &ticket.decision;
    let (tenant, device) = (&entry.tenant, entry.device);
    let authenticated_by = named(decision.strength);
    events.push(
        event(tenant, device, EventKind::DeviceConnected).data(json!({
            "transport": ticket.transport, "peer": entry.whence().to_string(), "credential": authenticated_by,
        })),
    );
    let link = PathLink {
        transport: ticket.transport.to_owned(),
        endpoint_id: ticket.endpoint.as_str().to_owned(),
        node: core.node.clone(),
        peer: entry.whence().to_string(),
        authenticated_by,
        setup_key: decision.setup_key,
        info: ticket.info.clone(),
        at: now(),
    };
    let number = core
        .store
        .path_connected(tenant, device, link, events)
        .await?;
    let record = core.store.device(tenant, device).await?;
    if record.device.onboarding == OnboardingState::Expected {
        let patch = DevicePatch {
            onboarding: Some(OnboardingState::Started),
            ..DevicePatch::default()
        };
        core.store
            .device_update(tenant, device, patch, now(), Vec::new())
            .await?;
    }
    let unfinished =
        record.device.onboarding != OnboardingState::Complete || record.models.usp.is_empty();
    Ok((number, unfinished))
}

/// Registers a device that nobody has seen before.
async fn register(core: &Core, ticket: &Ticket) -> Result<DeviceId, Unsettled> {
    let decision = &ticket.decision;
    let registered = register::register_agent(
        &core.store,
        &decision.tenant,
        decision.setup_key,
        ticket.transport,
        &ticket.endpoint,
        decision.strength == Strength::Broker,
    );
    registered.await.map_err(|error| match error {
        Unregistered::Refused(refusal) => Unsettled::Refused(refusal),
        Unregistered::Store(error) => Unsettled::Store(error),
    })
}

/// An event of a device, now.
pub fn event(tenant: &TenantId, device: DeviceId, kind: EventKind) -> Event {
    Event::new(tenant.clone(), now(), kind).device(device)
}

/// The event of a step in the life of a credential.
pub fn credential(tenant: &TenantId, device: DeviceId, state: &str) -> Event {
    event(tenant, device, EventKind::DeviceCredential).data(json!({ "state": state }))
}

/// The moment that lies this long back.
pub fn ago(by: Duration) -> Timestamp {
    now().minus(by)
}
