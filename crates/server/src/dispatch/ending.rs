//! Ends an operation on which nobody works, as whoever works on it would: by what the log has of it, and by its time; a
//! file is held against what went over its link in either case. Its device need not be there.

use fleet::dispatch::{Place, Saved};
use fleet::operation::Input;
use fleet::{NodeId, Operation, Timestamp, limits};
use store::{Claim, OperationRecord, OperationSave, Store};

use super::evidence::{evidence, was_cancelled};

/// Ends it, where the log has its end or its time has come. False where it goes on, or somebody holds it: that is looked
/// at again.
pub async fn end(
    store: &Store,
    node: &NodeId,
    found: &Operation,
    at: Timestamp,
) -> store::Result<bool> {
    if ended(store, found, at).await?.is_none() {
        return Ok(false);
    }
    let tenant = &found.tenant;
    let until = at.plus(limits::LEASE);
    let claim = store.operation_claim_one(tenant, found.id, node, at, until);
    let Claim::Taken(record) = claim.await? else {
        return Ok(false);
    };
    let previous = record.operation.state;
    match ended(store, &record.operation, at).await? {
        Some(operation) => {
            let saved = super::save(store, operation, previous, record.fence, None);
            Ok(saved.await == Saved::Durable)
        }
        // It went on meanwhile.
        None => give_back(store, *record, at).await.map(|()| false),
    }
}

/// What becomes of it by what is stored alone; `None` where it does not end.
async fn ended(
    store: &Store,
    operation: &Operation,
    at: Timestamp,
) -> store::Result<Option<Operation>> {
    let is_due = operation.due() <= at;
    let said = evidence(store, operation, Place::default()).await?;
    if !is_due && said.notices.is_empty() {
        return Ok(None);
    }
    let mut operation = operation.clone();
    if was_cancelled(store, &operation).await? {
        operation.hear(Input::Cancel, at);
    }
    operation.hear(Input::Claimed(&said.notices), at);
    if is_due {
        operation.expire(at);
    }
    Ok(operation.state.is_final().then_some(operation))
}

async fn give_back(store: &Store, record: OperationRecord, now: Timestamp) -> store::Result<()> {
    let tenant = record.operation.tenant.clone();
    let save = OperationSave {
        operation: record.operation,
        fence: record.fence,
        lease_until: None,
        values: None,
        events: Vec::new(),
        now,
    };
    store.operation_save(&tenant, save).await
}
