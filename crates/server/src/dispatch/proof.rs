//! What a device says of the file it was to send is its word; what came over its link is the proof.

use fleet::{Direction, Operation, TransferState};
use store::Store;
use tokio::time::{Instant, sleep};

use super::limits::{UPLOAD_SETTLE_MAX, UPLOAD_SETTLE_STEP};

/// Why an operation did not succeed, although its device says so: the file that it says it has sent is not here.
pub async fn missing(store: &Store, operation: &Operation) -> store::Result<Option<String>> {
    if !operation.says_sent() {
        return Ok(None);
    }
    let until = Instant::now() + UPLOAD_SETTLE_MAX;
    let transfer = loop {
        let given = store.transfer_of(&operation.tenant, operation.id).await?;
        let Some(transfer) = given.filter(|one| one.direction == Direction::Upload) else {
            return Ok(None);
        };
        // It is being taken: the device did not wait for the answer, or says so over another link.
        if transfer.state != TransferState::Running || Instant::now() >= until {
            break transfer;
        }
        sleep(UPLOAD_SETTLE_STEP).await;
    };
    let why = match (transfer.state, transfer.error.as_str()) {
        (TransferState::Done, _) => return Ok(None),
        (TransferState::Running, _) => "it has not come to its end",
        (_, "") => "nothing came over its link",
        (_, error) => error,
    };
    Ok(Some(format!(
        "the device says that it has sent its file, and the file is not here: {why}"
    )))
}
