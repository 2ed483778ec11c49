//! Bytes on their way out over a link: at the pace there is, counted, and written down now and
//! then. What is counted was handed to the network; whether the device has it, the device says.

use std::sync::Arc;

use axum::body::{Body, BodyDataStream, Bytes};
use fleet::{Event, EventKind, TransferState};
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use store::{TransferRecord, TransferStep};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Files;
use super::limits::{PROGRESS_EVERY, REQUEST_TIME_MAX};
use super::room::Place;
use crate::state::now;

/// How far a request came, and whether it came to its end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Bytes of its part.
    pub bytes: u64,
    /// All of its part.
    pub whole: bool,
    /// Somebody else writes down how it ended.
    pub told: bool,
}

/// Writes down the progress of one request until its other end is dropped.
pub fn note(files: &Arc<Files>, transfer: TransferRecord, from: u64) -> watch::Sender<Progress> {
    let (tell, mut told) = watch::channel(Progress::default());
    let files = files.clone();
    let tracker = files.notes.clone();
    tracker.spawn(async move {
        let mut noted = 0;
        loop {
            let ended = tokio::time::timeout(PROGRESS_EVERY, closed(&mut told))
                .await
                .is_ok();
            let progress = *told.borrow();
            if ended && progress.told {
                return;
            }
            if !ended && progress.bytes == noted {
                continue;
            }
            noted = progress.bytes;
            let (state, error) = match (ended, progress.whole) {
                // The whole of a part is not the whole file; the store knows which parts there are.
                (false, _) => (TransferState::Running, None),
                (true, true) => (TransferState::Interrupted, Some(String::new())),
                (true, false) => {
                    let words = format!("the connection ended after {noted} bytes");
                    (TransferState::Interrupted, Some(words))
                }
            };
            let step = TransferStep {
                state,
                went: (from, from + noted),
                peer: None,
                error,
                at: now(),
            };
            files.step(&transfer, step).await;
            if ended {
                return;
            }
        }
    });
    tell
}

/// Returns when nobody tells any more.
async fn closed(told: &mut watch::Receiver<Progress>) {
    while told.changed().await.is_ok() {}
}

/// A body that goes at its pace and tells how far it is.
pub fn body(body: Body, place: Place, tell: watch::Sender<Progress>) -> Body {
    let going = Going {
        rest: body.into_data_stream(),
        place,
        tell,
        ends: Instant::now() + REQUEST_TIME_MAX,
    };
    Body::from_stream(stream::unfold(going, Going::next))
}

struct Going {
    rest: BodyDataStream,
    place: Place,
    tell: watch::Sender<Progress>,
    ends: Instant,
}

impl Going {
    async fn next(mut self) -> Option<(Result<Bytes, axum::Error>, Self)> {
        if Instant::now() > self.ends {
            let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
            return Some((Err(axum::Error::new(late)), self));
        }
        match self.rest.next().await {
            None => {
                self.tell.send_modify(|progress| progress.whole = true);
                None
            }
            Some(Ok(bytes)) => {
                self.place.go(bytes.len()).await;
                let more = bytes.len() as u64;
                self.tell.send_modify(|progress| progress.bytes += more);
                Some((Ok(bytes), self))
            }
            Some(Err(error)) => Some((Err(error), self)),
        }
    }
}

impl Files {
    /// Writes down how far a transfer came, and what the log says of that.
    pub(super) async fn step(&self, transfer: &TransferRecord, step: TransferStep) {
        let stepped = self
            .store
            .transfer_step(&transfer.tenant, transfer.id, step, events)
            .await;
        match stepped {
            // The device or the operation was removed meanwhile.
            Ok(_) | Err(store::Error::NotFound(_)) => {}
            Err(error) => {
                tracing::warn!(%error, transfer = %transfer.id, "how far a transfer came could not be written down");
            }
        }
    }
}

/// What the log says of a step: that it began, and that it is over.
pub(super) fn events(before: &TransferRecord, after: &TransferRecord) -> Vec<Event> {
    let mut kinds = Vec::new();
    if before.started_at.is_none() && after.started_at.is_some() {
        kinds.push(EventKind::TransferStarted);
    }
    if before.finished_at.is_none() && after.finished_at.is_some() {
        kinds.push(EventKind::TransferFinished);
    }
    let event = |kind| {
        Event::new(after.tenant.clone(), after.updated_at, kind)
            .device(after.device)
            .operation(after.operation)
            .data(json!({
                "transfer": after.id,
                "direction": after.direction.as_str(),
                "name": after.name,
                "bytes": after.bytes,
                "state": after.state.as_str(),
                "error": after.error,
                "peer": after.peer,
            }))
    };
    kinds.into_iter().map(event).collect()
}
