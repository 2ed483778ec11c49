//! What a device says of a file it was to fetch or to send is its word; what went over the file's link, and the firmware
//! that it runs, is the proof.

use fleet::operation::Went;
use fleet::{Direction, FileKind, Operation, TransferState};
use store::{Store, TransferRecord};
use tokio::time::{Instant, sleep};

use super::limits::{TRANSFER_SETTLE_MAX, TRANSFER_SETTLE_STEP};

/// Holds what a device says of a file of ours against what is known of it here.
pub async fn weigh(store: &Store, operation: &mut Operation) -> store::Result<()> {
    if !operation.ends_with_file() {
        return Ok(());
    }
    let until = Instant::now() + TRANSFER_SETTLE_MAX;
    let transfer = loop {
        let given = store.transfer_of(&operation.tenant, operation.id).await?;
        let Some(transfer) = given else {
            return Ok(());
        };
        // It is being taken, or written down: the device did not wait for the answer, or says so over another link.
        if transfer.state != TransferState::Running || Instant::now() >= until {
            break transfer;
        }
        sleep(TRANSFER_SETTLE_STEP).await;
    };
    let (version, runs) = versions(store, operation, &transfer).await?;
    operation.weigh(&Went {
        direction: transfer.direction,
        state: transfer.state,
        bytes: transfer.bytes,
        size: transfer.size,
        error: transfer.error,
        version,
        runs,
    });
    Ok(())
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
