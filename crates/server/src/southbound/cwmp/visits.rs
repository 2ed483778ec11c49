//! Notes the visits of devices that are known to be there, that they stay, and their periodic signs of life: many in
//! one write. Nobody waits for it; what is not written when the server dies is only that a device came once more.

use std::collections::HashMap;

use fleet::{DeviceId, Event, TenantId, Timestamp};
use store::{Store, Visit, VisitPath};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::TRANSPORT;
use super::limits::{EXPECTED_FIRST, NOTES_EVERY, VISITS_AT_ONCE, VISITS_QUEUED_MAX};
use super::queue::Queue;
use crate::southbound::usp::limits::{COMMIT_RETRY, COMMIT_TIME_MAX};

/// What is noted of a device.
enum Noted {
    /// It came.
    Came(Visit),
    /// Its visit goes on: it was heard then.
    Stays(DeviceId, Timestamp),
    /// It gave a sign of life, as the log has it.
    Sign(Event),
}

/// Takes visits.
pub struct Visits(Queue<(TenantId, Noted)>);

impl Visits {
    /// Starts the task that writes them.
    pub fn start(store: Store) -> Self {
        Self(Queue::start(VISITS_QUEUED_MAX, |incoming| {
            run(store, incoming)
        }))
    }

    /// Notes a visit; waits when the store is far behind.
    pub async fn note(&self, tenant: &TenantId, visit: Visit) {
        self.0.send((tenant.clone(), Noted::Came(visit))).await;
    }

    /// Notes a sign of life; waits when the store is far behind.
    pub async fn sign(&self, event: Event) {
        let tenant = event.tenant.clone();
        self.0.send((tenant, Noted::Sign(event))).await;
    }

    /// Notes that a device whose visit lasts is still there. It will be said again: what is too much is left out.
    pub fn stays(&self, tenant: &TenantId, device: DeviceId, heard: Timestamp) {
        let _ = self
            .0
            .try_send((tenant.clone(), Noted::Stays(device, heard)));
    }

    /// No device comes any more: returns when all that came are written.
    pub async fn end(&self) {
        self.0.end().await;
    }
}

async fn run(store: Store, mut incoming: mpsc::Receiver<(TenantId, Noted)>) {
    let mut taken = Vec::new();
    loop {
        let many = incoming.recv_many(&mut taken, VISITS_AT_ONCE).await;
        if many == 0 {
            return;
        }
        let mut all: HashMap<TenantId, (Vec<Visit>, Vec<Event>)> = HashMap::new();
        for (tenant, noted) in taken.drain(..) {
            let visit = match noted {
                Noted::Came(visit) => Ok(Some(visit)),
                Noted::Stays(device, heard) => once_more(&store, &tenant, device, heard).await,
                Noted::Sign(event) => {
                    all.entry(tenant).or_default().1.push(event);
                    continue;
                }
            };
            match visit {
                Ok(visit) => all.entry(tenant).or_default().0.extend(visit),
                Err(error) => {
                    tracing::warn!(%error, %tenant, "that a device is still there is not written down");
                }
            }
        }
        for (tenant, (visits, signs)) in all {
            tokio::join!(
                write(&store, &tenant, Batch::Visits(visits)),
                write(&store, &tenant, Batch::Signs(signs)),
            );
        }
        // Others come meanwhile, and share the next write.
        if many < VISITS_AT_ONCE && !incoming.is_closed() {
            tokio::time::sleep(NOTES_EVERY).await;
        }
    }
}

/// What is written at once.
enum Batch {
    Visits(Vec<Visit>),
    Signs(Vec<Event>),
}

/// Writes, and tries again for a while where that may help: those who come meanwhile wait in the queue.
async fn write(store: &Store, tenant: &TenantId, batch: Batch) {
    let many = match &batch {
        Batch::Visits(visits) => visits.len(),
        Batch::Signs(signs) => signs.len(),
    };
    if many == 0 {
        return;
    }
    let give_up = Instant::now() + COMMIT_TIME_MAX;
    loop {
        let written = match &batch {
            Batch::Visits(visits) => store.device_visited(tenant, visits.clone()).await,
            Batch::Signs(signs) => store.event_append(tenant, signs.clone()).await.map(drop),
        };
        match written {
            Ok(()) => return,
            Err(error) if error.is_transient() && Instant::now() < give_up => {
                tokio::time::sleep(COMMIT_RETRY).await;
            }
            Err(error) => {
                metrics::counter!("headend_cwmp_visits_lost_total").increment(many as u64);
                tracing::warn!(%error, %tenant, many, "visits of devices are not written down");
                return;
            }
        }
    }
}

/// The last visit of a device, as if it came then as it came before.
async fn once_more(
    store: &Store,
    tenant: &TenantId,
    device: DeviceId,
    at: Timestamp,
) -> store::Result<Option<Visit>> {
    let Some(path) = store.path(tenant, device, TRANSPORT).await? else {
        return Ok(None);
    };
    let given = path.expected_by.zip(path.heard_at);
    let given = given.map(|(until, heard)| until.since(heard));
    let given = given.filter(|given| !given.is_zero());
    Ok(Some(Visit {
        device,
        at,
        expected_by: at.plus(given.unwrap_or(EXPECTED_FIRST)),
        path: VisitPath {
            transport: TRANSPORT.to_owned(),
            endpoint_id: path.endpoint_id,
            peer: path.peer,
            authenticated_by: path.authenticated_by,
            setup_key: path.setup_key,
            info: path.info,
        },
    }))
}
