//! Who was turned away and who misbehaves: counted, remembered for the doctor, told to the event
//! log once an hour. Bounded on all sides, because the reasons come from outside.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use fleet::{DeviceId, Event, EventKind, TenantId, Timestamp, secret};
use mtp::ws::{RefusalReason, Refusals, Refused};
use serde_json::json;
use sha2::{Digest, Sha256};
use store::{NewRefusal, SecretHash, Store};
use tokio::sync::mpsc;

use super::limits::{
    REASON_CHARS_MAX, REFUSAL_EVENT_EVERY, REFUSAL_EVENTS_MAX, REFUSALS_QUEUED_MAX,
    REFUSALS_TOLD_MAX,
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
    pub peer: SocketAddr,
    /// The endpoint id, or the maker's name and number, that it gave; may be empty.
    pub endpoint: String,
    /// A stable name.
    pub reason: String,
    /// In words.
    pub detail: String,
}

/// Takes the complaints of one adapter. Cheap to clone.
#[derive(Clone)]
pub struct RefusalLog {
    transport: &'static str,
    queue: mpsc::Sender<(&'static str, Complaint)>,
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

    fn new(transport: &'static str) -> (Self, mpsc::Receiver<(&'static str, Complaint)>) {
        let (queue, incoming) = mpsc::channel(REFUSALS_QUEUED_MAX);
        (Self { transport, queue }, incoming)
    }

    /// Remembers it, unless there is a flood.
    pub fn take(&self, mut complaint: Complaint) {
        complaint.detail = said(&complaint.detail, &[]);
        // What should have been a password may stand in the place of a name.
        complaint.endpoint = said(&complaint.endpoint, &[]);
        let (transport, reason) = (self.transport, label(&complaint.reason));
        metrics::counter!("headend_complaints_total", "transport" => transport, "reason" => reason)
            .increment(1);
        if self.queue.try_send((transport, complaint)).is_err() {
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
            peer: refused.peer_addr,
            endpoint: refused
                .endpoint_id
                .map_or_else(String::new, |id| id.as_str().to_owned()),
            reason: refused.refusal.reason.name().to_owned(),
            detail: refused.refusal.detail,
        });
    }
}

fn key(transport: &str, complaint: &Complaint) -> SecretHash {
    let mut hash = Sha256::new();
    let peer = complaint.peer.ip().to_string();
    for part in [
        complaint.reason.as_str(),
        &peer,
        &complaint.endpoint,
        transport,
    ] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().into()
}

/// What the event log has heard lately.
#[derive(Default)]
struct Told {
    when: HashMap<SecretHash, Instant>,
    by_tenant: HashMap<TenantId, (Instant, u32)>,
}

impl Told {
    /// Whether the log hears of it: not of the same again and again, and not of endlessly many.
    fn fresh(&mut self, tenant: &TenantId, key: SecretHash, now: Instant) -> bool {
        let over = |since: Instant| now.saturating_duration_since(since) > REFUSAL_EVENT_EVERY;
        if self.when.get(&key).is_some_and(|last| !over(*last)) {
            return false;
        }
        if self.by_tenant.len() >= REFUSALS_TOLD_MAX {
            self.by_tenant.retain(|_, (since, _)| !over(*since));
        }
        let (since, count) = self.by_tenant.entry(tenant.clone()).or_insert((now, 0));
        if over(*since) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        if *count > REFUSAL_EVENTS_MAX {
            return false;
        }
        if self.when.len() >= REFUSALS_TOLD_MAX {
            self.when.clear();
        }
        self.when.insert(key, now);
        true
    }
}

async fn write(store: Store, mut incoming: mpsc::Receiver<(&'static str, Complaint)>) {
    let mut told = Told::default();
    while let Some((transport, complaint)) = incoming.recv().await {
        let at = now();
        let key = key(transport, &complaint);
        let refusal = NewRefusal {
            at,
            reason: complaint.reason.clone(),
            detail: complaint.detail.clone(),
            peer: complaint.peer.to_string(),
            endpoint_id: complaint.endpoint.clone(),
            transport: transport.to_owned(),
            key,
        };
        if let Err(error) = store
            .refusal_record(complaint.tenant.as_ref(), refusal)
            .await
        {
            tracing::warn!(%error, reason = complaint.reason, "a refusal could not be remembered");
        }
        if let Some(tenant) = &complaint.tenant
            && told.fresh(tenant, key, Instant::now())
        {
            let event = event(tenant, transport, &complaint, at);
            if let Err(error) = store.event_append(tenant, vec![event]).await {
                tracing::warn!(%error, "a refusal could not be written to the log");
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
            peer: SocketAddr::from(([192, 0, 2, 1], 1)),
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
        assert!(told.fresh(&tenant, nth(1), now));
        assert!(!told.fresh(&tenant, nth(1), now));
        assert!(told.fresh(&tenant, nth(2), now));
        let later = now + REFUSAL_EVENT_EVERY + Duration::from_secs(1);
        assert!(told.fresh(&tenant, nth(1), later));
    }

    #[test]
    fn whoever_invents_endpoint_ids_fills_neither_the_log_nor_memory() {
        let (mut told, now) = (Told::default(), Instant::now());
        let tenant = TenantId::parse("acme").unwrap();
        let told_of = (0..2 * REFUSALS_TOLD_MAX).filter(|n| told.fresh(&tenant, nth(*n), now));
        assert_eq!(told_of.count(), REFUSAL_EVENTS_MAX as usize);
        for n in 0..2 * REFUSALS_TOLD_MAX {
            let tenant = TenantId::parse(&format!("t{n}")).unwrap();
            let at = now + REFUSAL_EVENT_EVERY * u32::try_from(n / 1_000).unwrap() * 2;
            told.fresh(&tenant, nth(n), at);
            assert!(told.when.len() <= REFUSALS_TOLD_MAX);
        }
        assert!(told.by_tenant.len() <= REFUSALS_TOLD_MAX);
        let other = TenantId::parse("other").unwrap();
        assert!(told.fresh(&other, nth(0), now + REFUSAL_EVENT_EVERY * 100));
    }

    #[test]
    fn a_key_in_the_place_of_a_name_is_not_kept() {
        let (log, mut incoming) = RefusalLog::new("cwmp");
        let endpoint = format!("hes_{}", "aB3".repeat(10));
        log.take(Complaint {
            endpoint,
            ..complaint()
        });
        assert_eq!(incoming.try_recv().unwrap().1.endpoint, "hes_...");
    }

    #[test]
    fn a_reason_as_long_as_a_message_is_cut() {
        let text = said(&"hed_aaaaaaaa ".repeat(400_000), &[]);
        assert_eq!(text.chars().count(), REASON_CHARS_MAX);
        assert!(!text.contains("aaaaaaaa"));
    }
}
