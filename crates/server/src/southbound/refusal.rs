//! Who was turned away and who misbehaves: counted, remembered for the doctor, told to the event
//! log once an hour. Bounded on all sides, because the reasons come from outside.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use fleet::{DeviceId, Event, EventKind, TenantId, Timestamp};
use mtp::ws::{RefusalReason, Refusals, Refused};
use serde_json::json;
use sha2::{Digest, Sha256};
use store::{NewRefusal, SecretHash, Store};
use tokio::sync::mpsc;

use super::limits::{REFUSAL_EVENT_EVERY, REFUSALS_QUEUED_MAX, REFUSALS_TOLD_MAX};
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
    /// The endpoint id it gave; may be empty.
    pub endpoint: String,
    /// A stable name.
    pub reason: String,
    /// In words.
    pub detail: String,
}

/// Takes complaints. Cheap to clone.
#[derive(Clone)]
pub struct RefusalLog {
    queue: mpsc::Sender<Complaint>,
}

impl RefusalLog {
    /// The log, and the task that writes it; the task ends when all clones of the log are gone.
    pub fn start(store: Store) -> Self {
        let (queue, incoming) = mpsc::channel(REFUSALS_QUEUED_MAX);
        tokio::spawn(write(store, incoming));
        Self { queue }
    }

    /// Remembers it, unless there is a flood.
    pub fn take(&self, complaint: Complaint) {
        metrics::counter!("headend_usp_complaints_total", "reason" => label(&complaint.reason))
            .increment(1);
        if self.queue.try_send(complaint).is_err() {
            metrics::counter!("headend_usp_complaints_dropped_total").increment(1);
        }
    }
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

fn key(complaint: &Complaint) -> SecretHash {
    let mut hash = Sha256::new();
    let peer = complaint.peer.ip().to_string();
    for part in [complaint.reason.as_str(), &peer, &complaint.endpoint] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().into()
}

async fn write(store: Store, mut incoming: mpsc::Receiver<Complaint>) {
    let mut told: HashMap<SecretHash, Instant> = HashMap::new();
    while let Some(complaint) = incoming.recv().await {
        let at = now();
        let key = key(&complaint);
        let refusal = NewRefusal {
            at,
            reason: complaint.reason.clone(),
            detail: complaint.detail.clone(),
            peer: complaint.peer.to_string(),
            endpoint_id: complaint.endpoint.clone(),
            transport: super::TRANSPORT.to_owned(),
            key,
        };
        if let Err(error) = store
            .refusal_record(complaint.tenant.as_ref(), refusal)
            .await
        {
            tracing::warn!(%error, reason = complaint.reason, "a refusal could not be remembered");
        }
        if told.len() >= REFUSALS_TOLD_MAX {
            told.clear();
        }
        let fresh = told
            .get(&key)
            .is_none_or(|last| last.elapsed() > REFUSAL_EVENT_EVERY);
        if let (Some(tenant), true) = (&complaint.tenant, fresh) {
            told.insert(key, Instant::now());
            let event = event(tenant, &complaint, at);
            if let Err(error) = store.event_append(tenant, vec![event]).await {
                tracing::warn!(%error, "a refusal could not be written to the log");
            }
        }
    }
}

fn event(tenant: &TenantId, complaint: &Complaint, at: Timestamp) -> Event {
    let (kind, data) = match complaint.device {
        Some(_) => (
            EventKind::DeviceMisbehaved,
            json!({
                "reason": format!("{}: {}", complaint.reason, complaint.detail),
                "peer": complaint.peer.to_string(),
            }),
        ),
        None => (
            EventKind::ConnectionRefused,
            json!({
                "reason": complaint.reason, "detail": complaint.detail,
                "peer": complaint.peer.to_string(), "endpoint": complaint.endpoint,
            }),
        ),
    };
    let event = Event::new(tenant.clone(), at, kind).data(data);
    match complaint.device {
        Some(device) => event.device(device),
        None => event,
    }
}
