//! Writes the records of sessions that are over to the store. Nobody waits for that, and what is
//! written is bounded: where the store is far behind, records are lost and counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fleet::{DeviceId, TenantId};
use store::{ManagementSession, SessionTranscript, Store};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::southbound::cwmp::limits::{
    NOTES_EVERY, RECORDS_AT_ONCE, RECORDS_BYTES_MAX, RECORDS_QUEUED_MAX,
};

/// The record of a session that is over.
pub struct Kept {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub session: ManagementSession,
    /// What was said.
    pub transcript: SessionTranscript,
    /// The room it takes.
    pub room: Option<OwnedSemaphorePermit>,
}

/// Takes records.
pub struct Keeper {
    queue: mpsc::Sender<Kept>,
    rooms: Arc<Semaphore>,
    over: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    /// A keeper and its task.
    pub fn start(store: Store) -> Self {
        let (queue, incoming) = mpsc::channel(RECORDS_QUEUED_MAX);
        let over = CancellationToken::new();
        let task = tokio::spawn(run(store, incoming, over.clone()));
        Self {
            queue,
            rooms: Arc::new(Semaphore::new(RECORDS_BYTES_MAX)),
            over,
            task: Mutex::new(Some(task)),
        }
    }

    /// The room for records, in bytes.
    pub fn rooms(&self) -> Arc<Semaphore> {
        self.rooms.clone()
    }

    /// Keeps a record, unless there are too many.
    pub fn keep(&self, kept: Kept) {
        if let Err(error) = self.queue.try_send(kept) {
            let (mpsc::error::TrySendError::Full(kept) | mpsc::error::TrySendError::Closed(kept)) =
                error;
            lost(kept.session.device, &"limit RECORDS_QUEUED_MAX");
        }
    }

    /// No session is open any more: returns when what was kept is written.
    pub async fn end(&self) {
        self.over.cancel();
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

fn lost(device: DeviceId, why: &dyn std::fmt::Display) {
    metrics::counter!("headend_cwmp_transcripts_lost_total").increment(1);
    tracing::debug!(%device, %why, "what was said in a session is not kept");
}

async fn run(store: Store, mut incoming: mpsc::Receiver<Kept>, over: CancellationToken) {
    let mut taken = Vec::new();
    let mut open = true;
    loop {
        tokio::select! {
            some = incoming.recv_many(&mut taken, RECORDS_AT_ONCE) => {
                if some == 0 {
                    break;
                }
                write(&store, &mut taken).await;
                // Others come meanwhile, and share the next write.
                if some < RECORDS_AT_ONCE {
                    let _ = tokio::time::timeout(NOTES_EVERY, over.cancelled()).await;
                }
            }
            () = over.cancelled(), if open => {
                open = false;
                incoming.close();
            }
        }
    }
}

async fn write(store: &Store, taken: &mut Vec<Kept>) {
    let mut tenants: HashMap<TenantId, Vec<Kept>> = HashMap::new();
    for kept in taken.drain(..) {
        tenants.entry(kept.tenant.clone()).or_default().push(kept);
    }
    for (tenant, kept) in tenants {
        let (mut rooms, mut sessions) = (Vec::new(), Vec::new());
        for Kept {
            session,
            transcript,
            room,
            ..
        } in kept
        {
            rooms.push((session.device, room));
            sessions.push((session, transcript));
        }
        if let Err(error) = store.management_session_put_all(&tenant, sessions).await {
            for (device, _) in &rooms {
                lost(*device, &error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{SessionId, Timestamp};

    fn kept() -> Kept {
        Kept {
            tenant: TenantId::parse("acme").unwrap(),
            session: ManagementSession {
                id: SessionId::from(uuid::Uuid::nil()),
                device: DeviceId(uuid::Uuid::nil()),
                protocol: "cwmp".to_owned(),
                started_at: Timestamp::default(),
                ended_at: Timestamp::default(),
                peer: String::new(),
                events: Vec::new(),
                ending: String::new(),
                faults: 0,
            },
            transcript: SessionTranscript::default(),
            room: None,
        }
    }

    /// `RECORDS_QUEUED_MAX`, `RECORDS_AT_ONCE`
    #[tokio::test]
    async fn a_keeper_that_is_behind_loses_records_and_never_waits() {
        let db = store::testing::sqlite().await.unwrap();
        let keeper = Keeper::start(db.store.clone());
        // Its task has no turn before the first wait.
        for _ in 0..RECORDS_QUEUED_MAX + 5 {
            keeper.keep(kept());
        }
        assert_eq!(keeper.queue.capacity(), 0);
        let soon = std::time::Duration::from_secs(60);
        let ended = tokio::time::timeout(soon, keeper.end()).await;
        assert!(ended.is_ok(), "what nobody has any more is thrown away");
        keeper.keep(kept());
    }
}
