//! Who was turned away and who misbehaves: counted, remembered for the doctor, told to the event
//! log once an hour. Bounded on all sides, because the reasons come from outside.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use fleet::onboarding::Refusal;
use fleet::{DeviceId, Event, EventKind, Identity, TenantId, Timestamp, secret};
use futures_util::future::join_all;
use mtp::ws::{RefusalReason, Refusals, Refused};
use serde_json::json;
use sha2::{Digest, Sha256};
use store::{NewRefusal, SecretHash, Store};
use tokio::sync::mpsc;

use super::limits::{
    REASON_CHARS_MAX, REFUSAL_EVENT_EVERY, REFUSAL_EVENTS_MAX, REFUSAL_EVENTS_PER_SOURCE_MAX,
    REFUSALS_AT_ONCE, REFUSALS_QUEUED_MAX, REFUSALS_TOLD_MAX,
};
use crate::state::now;

/// Somebody who was turned away, or who breaks the protocol.
#[derive(Clone, Debug)]
pub struct Complaint {
    /// Whose, where that is known.
    pub tenant: Option<TenantId>,
    /// Which device, where it is one that was let in.
    pub device: Option<DeviceId>,
    /// Where it came from.
    pub peer: Peer,
    /// The endpoint id, or the maker's name and number, that it gave; may be empty.
    pub endpoint: String,
    /// A stable name.
    pub reason: String,
    /// In words.
    pub detail: String,
}

/// Where somebody came from. As text: what follows "from".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An address; a port of 0 is not known.
    At(SocketAddr),
    /// Behind this broker, which does not say where its client is.
    Behind(String),
}

impl From<SocketAddr> for Peer {
    fn from(addr: SocketAddr) -> Self {
        Self::At(addr)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(addr) if addr.port() == 0 => addr.ip().fmt(f),
            Self::At(addr) => addr.fmt(f),
            Self::Behind(broker) => write!(f, "the broker {broker} (address not known)"),
        }
    }
}

impl Complaint {
    /// Who is behind it: of one only so much is kept. Whoever has IPv6 has all addresses of a network of 64 bits.
    fn source(&self) -> String {
        match (self.device, &self.peer) {
            (Some(device), _) => format!("device {device}"),
            (None, Peer::Behind(_)) => self.peer.to_string(),
            (None, Peer::At(addr)) => match addr.ip().to_canonical() {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => {
                    let network = ip.to_bits() >> 64 << 64;
                    format!("{}/64", Ipv6Addr::from_bits(network))
                }
            },
        }
    }

    /// A credential was shown and does not open: whose it might have been is worth a look.
    fn is_of_credential(&self) -> bool {
        Refusal::ALL.iter().any(|one| one.as_str() == self.reason)
    }
}

impl Taken {
    /// What makes it equal to others.
    fn key(&self) -> SecretHash {
        let one = &self.complaint;
        let source = one.source();
        key(&[&one.reason, &source, &one.endpoint, self.transport])
    }
}

/// Takes the complaints of one adapter. Cheap to clone.
#[derive(Clone)]
pub struct RefusalLog {
    transport: &'static str,
    queue: mpsc::Sender<Taken>,
}

/// A complaint on its way into the store.
struct Taken {
    transport: &'static str,
    complaint: Complaint,
    at: Timestamp,
    /// It is of the device of its tenant that has its endpoint id: nobody else can use that where it comes from.
    of_its_device: bool,
}

impl RefusalLog {
    /// The log, and the task that writes it; the task ends when all clones of the log are gone.
    pub fn start(store: Store, transport: &'static str) -> Self {
        let (log, incoming) = Self::new(transport);
        tokio::spawn(write(store, incoming));
        log
    }

    /// The same log for what comes over another transport.
    pub fn over(&self, transport: &'static str) -> Self {
        let queue = self.queue.clone();
        Self { transport, queue }
    }

    fn new(transport: &'static str) -> (Self, mpsc::Receiver<Taken>) {
        let (queue, incoming) = mpsc::channel(REFUSALS_QUEUED_MAX);
        (Self { transport, queue }, incoming)
    }

    /// Remembers it, unless there is a flood.
    pub fn take(&self, complaint: Complaint) {
        self.queue(complaint, false);
    }

    /// The same of somebody whose endpoint id is believed: of the device of the complaint's tenant that has it, if there
    /// is one.
    pub fn take_of_its_device(&self, complaint: Complaint) {
        self.queue(complaint, true);
    }

    fn queue(&self, mut complaint: Complaint, of_its_device: bool) {
        complaint.detail = said(&complaint.detail, &[]);
        // What should have been a password may stand in the place of a name.
        complaint.endpoint = said(&complaint.endpoint, &[]);
        let (transport, reason) = (self.transport, label(&complaint.reason));
        metrics::counter!("headend_complaints_total", "transport" => transport, "reason" => reason)
            .increment(1);
        let taken = Taken {
            transport,
            complaint,
            at: now(),
            of_its_device,
        };
        if self.queue.try_send(taken).is_err() {
            metrics::counter!("headend_complaints_dropped_total").increment(1);
        }
    }
}

/// What a device gave as a reason, to be kept: a line for people, without credentials and without
/// what the device was told in secret.
pub fn said(reason: &str, secrets: &[&str]) -> String {
    secret::excerpt(reason, secrets, REASON_CHARS_MAX).0
}

/// Reasons are ours, so there are few; a cut protects the metrics all the same.
fn label(reason: &str) -> String {
    reason.chars().take(40).collect()
}

/// What the transport turned away by itself. Decisions of ours are remembered where they are made,
/// with their tenant.
impl Refusals for RefusalLog {
    fn refused(&self, refused: Refused) {
        if matches!(refused.refusal.reason, RefusalReason::Policy(_)) {
            return;
        }
        self.take(Complaint {
            tenant: None,
            device: None,
            peer: refused.peer_addr.into(),
            endpoint: refused
                .endpoint_id
                .map_or_else(String::new, |id| id.as_str().to_owned()),
            reason: refused.refusal.reason.name().to_owned(),
            detail: refused.refusal.detail,
        });
    }
}

/// A hash of these.
fn key(parts: &[&str]) -> SecretHash {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().into()
}

/// How often something happened within [`REFUSAL_EVENT_EVERY`], of many.
struct Counts<K>(HashMap<K, (Instant, u32)>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Counts<K> {
    /// Whether once more would be within what is allowed.
    fn has_room(&self, key: &K, max: u32, now: Instant) -> bool {
        let known = self.0.get(key);
        known.is_none_or(|(since, count)| *count < max || over(*since, now))
    }

    /// Once more: whether that is within what is allowed.
    fn within(&mut self, key: K, max: u32, now: Instant) -> bool {
        if self.0.len() >= REFUSALS_TOLD_MAX {
            self.0.retain(|_, (since, _)| !over(*since, now));
        }
        if self.0.len() >= REFUSALS_TOLD_MAX && !self.0.contains_key(&key) {
            return false;
        }
        let (since, count) = self.0.entry(key).or_insert((now, 0));
        if over(*since, now) {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= max
    }
}

fn over(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) > REFUSAL_EVENT_EVERY
}

/// What the event log has heard lately.
#[derive(Default)]
struct Told {
    when: HashMap<SecretHash, Instant>,
    by_tenant: Counts<TenantId>,
    by_source: Counts<(TenantId, String)>,
}

impl Told {
    /// Whether the log hears of it: not of the same again and again, and not of endlessly many, least of all from one
    /// source.
    fn fresh(&mut self, tenant: &TenantId, source: &str, key: SecretHash, now: Instant) -> bool {
        if self.when.get(&key).is_some_and(|last| !over(*last, now)) {
            return false;
        }
        let of = (tenant.clone(), source.to_owned());
        let (each, all) = (REFUSAL_EVENTS_PER_SOURCE_MAX, REFUSAL_EVENTS_MAX);
        // Sources are remembered as long as their tenant is told of any: those of one leave room for those of others.
        if !self.by_tenant.has_room(tenant, all, now)
            || !self.by_source.within(of, each, now)
            || !self.by_tenant.within(tenant.clone(), all, now)
        {
            return false;
        }
        if self.when.len() >= REFUSALS_TOLD_MAX {
            self.when.clear();
        }
        self.when.insert(key, now);
        true
    }
}

/// Finds out whose it is, as far as that can be known. Gives back whose log hears of it.
async fn attribute(store: &Store, taken: &mut Taken) -> store::Result<Option<TenantId>> {
    let complaint = &mut taken.complaint;
    match &complaint.tenant {
        Some(tenant) if taken.of_its_device => match store.tenant(tenant).await {
            Ok(_) => {
                let identity = Identity::endpoint(&complaint.endpoint);
                complaint.device = store.device_by_identity(tenant, &identity).await?;
            }
            // A broker may speak for all tenants, and topics name any.
            Err(store::Error::NotFound(_)) => complaint.tenant = None,
            Err(error) => return Err(error),
        },
        // It stays in the list of nobody's.
        None if complaint.is_of_credential() => {
            return store.refusal_owner(&complaint.endpoint).await;
        }
        _ => {}
    }
    Ok(complaint.tenant.clone())
}

/// Remembers it. Gives back whose log hears of it.
async fn remember(store: &Store, taken: &mut Taken) -> Option<TenantId> {
    let owner = attribute(store, taken).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "whose a refusal is cannot be read");
        None
    });
    let (complaint, source) = (&taken.complaint, taken.complaint.source());
    let refusal = NewRefusal {
        at: taken.at,
        reason: complaint.reason.clone(),
        detail: complaint.detail.clone(),
        peer: complaint.peer.to_string(),
        endpoint_id: complaint.endpoint.clone(),
        transport: taken.transport.to_owned(),
        key: taken.key(),
        source: source.clone(),
    };
    let others = key(&[&complaint.reason, &source, taken.transport]);
    let recorded = store.refusal_record(complaint.tenant.as_ref(), refusal, others);
    if let Err(error) = recorded.await {
        tracing::warn!(%error, reason = complaint.reason, "a refusal could not be remembered");
    }
    owner
}

async fn write(store: Store, mut incoming: mpsc::Receiver<Taken>) {
    let (mut told, mut some) = (Told::default(), Vec::new());
    while incoming.recv_many(&mut some, REFUSALS_AT_ONCE).await > 0 {
        // Many share a commit.
        let owners = some.iter_mut().map(|one| remember(&store, one));
        let owners = join_all(owners).await;
        for (taken, owner) in some.drain(..).zip(owners) {
            let (complaint, key) = (&taken.complaint, taken.key());
            if let Some(tenant) = &owner
                && told.fresh(tenant, &complaint.source(), key, Instant::now())
            {
                let event = event(tenant, taken.transport, complaint, taken.at);
                if let Err(error) = store.event_append(tenant, vec![event]).await {
                    tracing::warn!(%error, "a refusal could not be written to the log");
                }
            }
        }
    }
}

fn event(tenant: &TenantId, transport: &str, complaint: &Complaint, at: Timestamp) -> Event {
    let (kind, data) = match complaint.device {
        Some(_) => (
            EventKind::DeviceMisbehaved,
            json!({
                "reason": format!("{}: {}", complaint.reason, complaint.detail),
                "peer": complaint.peer.to_string(), "transport": transport,
            }),
        ),
        None => (
            EventKind::ConnectionRefused,
            json!({
                "reason": complaint.reason, "detail": complaint.detail,
                "peer": complaint.peer.to_string(), "endpoint": complaint.endpoint, "transport": transport,
            }),
        ),
    };
    let event = Event::new(tenant.clone(), at, kind).data(data);
    match complaint.device {
        Some(device) => event.device(device),
        None => event,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn complaint() -> Complaint {
        Complaint {
            tenant: None,
            device: None,
            peer: SocketAddr::from(([192, 0, 2, 1], 1)).into(),
            endpoint: String::new(),
            reason: "flapping".into(),
            detail: String::new(),
        }
    }

    fn nth(n: usize) -> SecretHash {
        let mut hash = SecretHash::default();
        hash[..8].copy_from_slice(&n.to_be_bytes());
        hash
    }

    #[test]
    fn a_flood_is_counted_and_not_queued() {
        let (log, incoming) = RefusalLog::new("websocket");
        (0..REFUSALS_QUEUED_MAX + 5).for_each(|_| log.take(complaint()));
        assert_eq!(incoming.len(), REFUSALS_QUEUED_MAX);
    }

    #[test]
    fn the_log_hears_of_equal_refusals_once_an_hour() {
        let (mut told, now) = (Told::default(), Instant::now());
        let tenant = TenantId::parse("acme").unwrap();
        assert!(told.fresh(&tenant, "a", nth(1), now));
        assert!(!told.fresh(&tenant, "a", nth(1), now));
        assert!(told.fresh(&tenant, "a", nth(2), now));
        let later = now + REFUSAL_EVENT_EVERY + Duration::from_secs(1);
        assert!(told.fresh(&tenant, "a", nth(1), later));
    }

    #[test]
    fn whoever_invents_endpoint_ids_fills_neither_the_log_nor_memory() {
        let (mut told, now) = (Told::default(), Instant::now());
        let tenant = TenantId::parse("acme").unwrap();
        let mut from = |source: &str, n| told.fresh(&tenant, source, nth(n), now);
        let one = (0..2 * REFUSALS_TOLD_MAX).filter(|n| from("a", *n)).count();
        assert_eq!(one, REFUSAL_EVENTS_PER_SOURCE_MAX as usize);
        // What others do is told all the same, as long as they are not endlessly many.
        let others = (0..2 * REFUSALS_TOLD_MAX).filter(|n| from(&format!("b{n}"), *n));
        assert_eq!(others.count(), REFUSAL_EVENTS_MAX as usize - one);
        for n in 0..2 * REFUSALS_TOLD_MAX {
            let tenant = TenantId::parse(&format!("t{n}")).unwrap();
            let at = now + REFUSAL_EVENT_EVERY * u32::try_from(n / 1_000).unwrap() * 2;
            told.fresh(&tenant, "a", nth(n), at);
            assert!(told.when.len() <= REFUSALS_TOLD_MAX);
        }
        assert!(told.by_tenant.0.len() <= REFUSALS_TOLD_MAX);
        assert!(told.by_source.0.len() <= REFUSALS_TOLD_MAX);
        let other = TenantId::parse("other").unwrap();
        assert!(told.fresh(&other, "a", nth(0), now + REFUSAL_EVENT_EVERY * 100));
    }

    #[test]
    fn endlessly_many_sources_of_one_tenant_leave_room_for_those_of_others() {
        let (mut told, now) = (Told::default(), Instant::now());
        let tenant = |id: &str| TenantId::parse(id).unwrap();
        for n in 0..2 * REFUSALS_TOLD_MAX {
            told.fresh(
                &tenant("acme"),
                &format!("2001:db8:0:{n:x}::/64"),
                nth(n),
                now,
            );
        }
        assert!(told.fresh(&tenant("other"), "192.0.2.1", nth(usize::MAX), now));
    }

    #[test]
    fn where_somebody_came_from_is_an_address_or_the_broker_that_does_not_tell_it() {
        let at = |text: &str| Peer::At(text.parse().unwrap());
        let from = |peer: Peer| Complaint {
            peer,
            ..complaint()
        };
        for (peer, words, source) in [
            (at("192.0.2.1:7"), "192.0.2.1:7", "192.0.2.1"),
            (at("192.0.2.1:0"), "192.0.2.1", "192.0.2.1"),
            (
                at("[::ffff:192.0.2.1]:7"),
                "[::ffff:192.0.2.1]:7",
                "192.0.2.1",
            ),
            (
                at("[2001:db8::1:2:3:4]:7"),
                "[2001:db8::1:2:3:4]:7",
                "2001:db8::/64",
            ),
            (
                Peer::Behind("north".into()),
                "the broker north (address not known)",
                "the broker north (address not known)",
            ),
        ] {
            assert_eq!(peer.to_string(), words);
            assert_eq!(from(peer).source(), source);
        }
        let device = Some(DeviceId(uuid::Uuid::nil()));
        let told = Complaint {
            device,
            ..complaint()
        };
        assert!(told.source().starts_with("device "));
    }

    #[test]
    fn a_key_in_the_place_of_a_name_is_not_kept() {
        let (log, mut incoming) = RefusalLog::new("cwmp");
        let endpoint = format!("hes_{}", "aB3".repeat(10));
        log.take(Complaint {
            endpoint,
            ..complaint()
        });
        assert_eq!(incoming.try_recv().unwrap().complaint.endpoint, "hes_...");
    }

    #[test]
    fn a_reason_as_long_as_a_message_is_cut() {
        let text = said(&"hed_aaaaaaaa ".repeat(400_000), &[]);
        assert_eq!(text.chars().count(), REASON_CHARS_MAX);
        assert!(!text.contains("aaaaaaaa"));
    }
}
