//! Writes the records of sessions that are over to the store. Nobody waits for that, and what is
//! written is bounded: where the store is far behind, records are lost and counted.

use std::collections::HashMap;
use std::sync::Arc;

use fleet::{DeviceId, TenantId};
use store::{ManagementSession, SessionTranscript, Store};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::southbound::cwmp::limits::{
    NOTES_EVERY, RECORDS_AT_ONCE, RECORDS_BYTES_MAX, RECORDS_QUEUED_MAX, RECORDS_WRITTEN_BYTES_MAX,
};
use crate::southbound::cwmp::queue::Queue;

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
    queue: Queue<Kept>,
    rooms: Arc<Semaphore>,
}

impl Keeper {
    /// A keeper and its task.
    pub fn start(store: Store) -> Self {
        Self {
            queue: Queue::start(RECORDS_QUEUED_MAX, |incoming| run(store, incoming)),
            rooms: Arc::new(Semaphore::new(RECORDS_BYTES_MAX)),
        }
    }

    /// The room for records, in bytes.
    pub fn rooms(&self) -> Arc<Semaphore> {
        self.rooms.clone()
    }

    /// Keeps a record, unless there are too many.
    pub fn keep(&self, kept: Kept) {
        if let Err(kept) = self.queue.try_send(kept) {
            lost(kept.session.device, &"limit RECORDS_QUEUED_MAX");
        }
    }

    /// No session is open any more: returns when what was kept is written.
    pub async fn end(&self) {
        self.queue.end().await;
    }
}

fn lost(device: DeviceId, why: &dyn std::fmt::Display) {
    metrics::counter!("headend_cwmp_transcripts_lost_total").increment(1);
    tracing::debug!(%device, %why, "what was said in a session is not kept");
}

async fn run(store: Store, mut incoming: mpsc::Receiver<Kept>) {
    let mut taken = Vec::new();
    loop {
        let some = incoming.recv_many(&mut taken, RECORDS_AT_ONCE).await;
        if some == 0 {
            break;
        }
        write(&store, &mut taken).await;
        // Others come meanwhile, and share the next write.
        if some < RECORDS_AT_ONCE && !incoming.is_closed() {
            tokio::time::sleep(NOTES_EVERY).await;
        }
    }
}

async fn write(store: &Store, taken: &mut Vec<Kept>) {
    let mut tenants: HashMap<TenantId, Vec<Kept>> = HashMap::new();
    for kept in taken.drain(..) {
        tenants.entry(kept.tenant.clone()).or_default().push(kept);
    }
    for (tenant, mut kept) in tenants {
        while !kept.is_empty() {
            let rest = kept.split_off(at_once(&kept));
            put(store, &tenant, kept).await;
            kept = rest;
        }
    }
}

/// How many of them go into one write.
fn at_once(kept: &[Kept]) -> usize {
    let mut bytes = 0;
    let fits = |one: &&Kept| {
        let entries = one.transcript.entries.iter();
        bytes += entries.map(|entry| entry.text.len()).sum::<usize>();
        bytes <= RECORDS_WRITTEN_BYTES_MAX
    };
    kept.iter().take_while(fits).count().max(1)
}

async fn put(store: &Store, tenant: &TenantId, kept: Vec<Kept>) {
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
    if let Err(error) = store.management_session_put_all(tenant, sessions).await {
        for (device, _) in &rooms {
            lost(*device, &error);
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
        assert!(keeper.queue.try_send(kept()).is_err());
        let soon = std::time::Duration::from_secs(60);
        let ended = tokio::time::timeout(soon, keeper.end()).await;
        assert!(ended.is_ok(), "what nobody has any more is thrown away");
        keeper.keep(kept());
    }

    /// `RECORDS_WRITTEN_BYTES_MAX`
    #[test]
    fn long_sessions_do_not_share_a_write_with_many_others() {
        let said = |bytes: usize| Kept {
            transcript: SessionTranscript {
                entries: vec![store::SessionEntry {
                    at: Timestamp::default(),
                    direction: "in".to_owned(),
                    kind: "Inform".to_owned(),
                    text: "x".repeat(bytes),
                    masked: false,
                }],
                ..SessionTranscript::default()
            },
            ..kept()
        };
        let half = RECORDS_WRITTEN_BYTES_MAX / 2;
        assert_eq!(at_once(&[said(half), said(half), said(1), said(1)]), 2);
        assert_eq!(at_once(&[said(half * 3), said(1)]), 1);
        assert_eq!(at_once(&[said(1), said(1)]), 2);
    }
}
