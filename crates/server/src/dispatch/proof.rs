//! What a device says of a file it was to fetch or to send is its word; what went over the file's link, and the firmware
//! that it runs, is the proof.

use fleet::operation::Went;
use fleet::{Direction, EventKind, FileKind, Operation, TransferState};
use store::{EventFilter, Store, TransferRecord};
use tokio::time::{Instant, sleep};

use super::limits::{TRANSFER_SETTLE_MAX, TRANSFER_SETTLE_STEP};
use crate::files::limits::PROGRESS_LOST_AFTER;
use crate::state::now;

/// Holds what a device says of a file of ours against what is known of it here.
pub async fn weigh(store: &Store, operation: &mut Operation) -> store::Result<()> {
    if !operation.ends_with_file() {
        return Ok(());
    }
    let until = match operation.is_said_over() {
        true => Instant::now() + TRANSFER_SETTLE_MAX,
        false => Instant::now(),
    };
    let transfer = loop {
        let given = store.transfer_of(&operation.tenant, operation.id).await?;
        let Some(transfer) = given else {
            return Ok(());
        };
        // It is being taken, or written down: the device did not wait for the answer, or says so over another link. Not
        // one of which nothing was written down for longer: whoever served it is gone.
        let stands = now().since(transfer.updated_at) >= PROGRESS_LOST_AFTER;
        if transfer.state != TransferState::Running || stands || Instant::now() >= until {
            break transfer;
        }
        sleep(TRANSFER_SETTLE_STEP).await;
    };
    let (version, runs) = versions(store, operation, &transfer).await?;
    let came_to_run = came_to_run(store, operation, &version).await?;
    operation.weigh(&Went {
        direction: transfer.direction,
        state: transfer.state,
        bytes: transfer.bytes,
        size: transfer.size,
        error: transfer.error,
        version,
        runs,
        came_to_run,
    });
    Ok(())
}

/// Whether the log tells of a device that it came to run this since the command was sent.
async fn came_to_run(store: &Store, operation: &Operation, version: &str) -> store::Result<bool> {
    if version.is_empty() {
        return Ok(false);
    }
    let filter = EventFilter {
        device: Some(operation.device),
        kinds: vec![EventKind::DeviceFirmwareChanged],
        since: operation.progress.sent_at,
        ..EventFilter::default()
    };
    let page = store
        .events_before(&operation.tenant, None, &filter, 1)
        .await?;
    let last = page.events.first();
    Ok(last.is_some_and(|last| last.event.data["to"] == version))
}

/// The version of the firmware in the file, and of the one that the device runs; empty where there is none.
async fn versions(
    store: &Store,
    operation: &Operation,
    transfer: &TransferRecord,
) -> store::Result<(String, String)> {
    let none = Ok(Default::default());
    let (Direction::Download, FileKind::Firmware, Some(file)) =
        (transfer.direction, transfer.kind, transfer.file)
    else {
        return none;
    };
    let tenant = &operation.tenant;
    let file = match store.file(tenant, file).await {
        Ok(file) => file,
        Err(store::Error::NotFound(_)) => return none,
        Err(error) => return Err(error),
    };
    match store.device(tenant, operation.device).await {
        Ok(known) => Ok((file.file.version, known.device.description.software_version)),
        Err(store::Error::NotFound(_)) => none,
        Err(error) => Err(error),
    }
}
