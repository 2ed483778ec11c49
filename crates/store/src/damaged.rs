//! Operations whose row cannot be read: something else wrote to the database, or its disk is broken. They are passed by
//! and put away, so that nothing else waits for them; the row itself stays as it is until old operations are removed.

use fleet::{DeviceId, Event, NodeId, OperationId, TenantId, Timestamp};

use crate::Store;
use crate::error::{Error, Result};
use crate::operation::{OperationRecord, read};
use crate::sql::{Row, sql};

/// What is known of an operation that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedOperation {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which.
    pub id: OperationId,
    /// Of which device.
    pub device: DeviceId,
    /// What is wrong with the row.
    pub why: String,
}

/// A row of [`crate::operation::SELECT`], or what is known of it when it cannot be read.
pub(crate) fn sound(row: &Row) -> Result<std::result::Result<OperationRecord, DamagedOperation>> {
    let why = match read(row) {
        Ok(record) => return Ok(Ok(record)),
        Err(Error::Damaged(why)) => why,
        Err(error) => return Err(error),
    };
    let mut c = row.columns();
    Ok(Err(DamagedOperation {
        tenant: c.take()?,
        id: c.take()?,
        device: c.take()?,
        why,
    }))
}

impl Store {
    /// Puts an operation away that cannot be read: nobody can tell what became of it. False when it is at its end or
    /// gone already.
    pub async fn operation_put_away(
        &self,
        tenant: &TenantId,
        id: OperationId,
        now: Timestamp,
        events: Vec<Event>,
    ) -> Result<bool> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let update = sql(
                    "UPDATE operation SET state = 'unconfirmed', is_open = 0, finished_at = $1, updated_at = $1, \
                     fence = fence + 1, lease_node = NULL, lease_until = 0 \
                     WHERE tenant = $2 AND id = $3 AND is_open = 1",
                )
                .bind(now)
                .bind(&tenant)
                .bind(id);
                let found = tx.execute(update).await? > 0;
                if found {
                    tx.append_all(events).await?;
                }
                Ok(found)
            })
        })
        .await
    }

    /// Gives back what an earlier life of a node held; its writes that may still be under way are outdated.
    pub async fn operation_release_node(&self, tenant: &TenantId, node: &NodeId) -> Result<u64> {
        let update = sql(
            "UPDATE operation SET fence = fence + 1, lease_node = NULL, lease_until = 0 \
             WHERE tenant = $1 AND lease_node = $2 AND is_open = 1",
        )
        .bind(tenant)
        .bind(node.as_str());
        self.execute(tenant, update).await
    }
}
