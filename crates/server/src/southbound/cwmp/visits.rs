//! Notes the visits of devices that are known to be there: many in one write. Nobody waits for it; what is not
//! written when the server dies is only that a device came once more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use fleet::TenantId;
use store::{Store, Visit};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::limits::{VISITS_AT_ONCE, VISITS_EVERY, VISITS_QUEUED_MAX};

/// Takes visits.
pub struct Visits {
    queue: Mutex<Option<mpsc::Sender<(TenantId, Visit)>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Visits {
    /// Starts the task that writes them.
    pub fn start(store: Store) -> Self {
        let (queue, incoming) = mpsc::channel(VISITS_QUEUED_MAX);
        Self {
            queue: Mutex::new(Some(queue)),
            task: Mutex::new(Some(tokio::spawn(run(store, incoming)))),
        }
    }

    /// Notes a visit; waits when the store is far behind.
    pub async fn note(&self, tenant: &TenantId, visit: Visit) {
        if let Some(queue) = self.queue() {
            // After the stop nobody listens.
            let _ = queue.send((tenant.clone(), visit)).await;
        }
    }

    fn queue(&self) -> Option<mpsc::Sender<(TenantId, Visit)>> {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// No device comes any more: returns when all that came are written.
    pub async fn end(&self) {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

async fn run(store: Store, mut incoming: mpsc::Receiver<(TenantId, Visit)>) {
    let mut taken = Vec::new();
    while incoming.recv_many(&mut taken, VISITS_AT_ONCE).await > 0 {
        let mut visits: HashMap<TenantId, Vec<Visit>> = HashMap::new();
        for (tenant, visit) in taken.drain(..) {
            visits.entry(tenant).or_default().push(visit);
        }
        for (tenant, visits) in visits {
            let many = visits.len();
            if let Err(error) = store.device_visited(&tenant, visits).await {
                metrics::counter!("headend_cwmp_visits_lost_total").increment(many as u64);
                tracing::warn!(%error, %tenant, many, "visits of devices are not written down");
            }
        }
        // Others come meanwhile, and share the next write.
        if !incoming.is_closed() {
            tokio::time::sleep(VISITS_EVERY).await;
        }
    }
}
