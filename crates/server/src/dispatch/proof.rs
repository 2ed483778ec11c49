//! What a device says of the file it was to send is its word; what came over its link is the proof.

use fleet::{Direction, Operation, TransferState};
use store::Store;

/// Why an operation did not succeed, although its device says so: the file that it says it has sent is not here.
pub async fn missing(store: &Store, operation: &Operation) -> store::Result<Option<String>> {
    if !operation.says_sent() {
        return Ok(None);
    }
    let given = store.transfer_of(&operation.tenant, operation.id).await?;
    let Some(transfer) = given.filter(|one| one.direction == Direction::Upload) else {
        return Ok(None);
    };
    let why = match (transfer.state, transfer.error.as_str()) {
        (TransferState::Done, _) => return Ok(None),
        (_, "") => "nothing came over its link",
        (_, error) => error,
    };
    Ok(Some(format!(
        "the device says that it has sent its file, and the file is not here: {why}"
    )))
}
