//! Working on operations: a node claims the oldest open one of a device for a while. Each claim has a number, the
//! fence, that outdates the claims before; every write of a claim carries it. What is worked on is in `operation`.

use std::collections::HashSet;

use fleet::{DeviceId, Event, NodeId, Operation, OperationId, TenantId, Timestamp};

use crate::damaged::{DamagedOperation, sound};
use crate::error::{Error, Result};
use crate::gather::Gather;
use crate::limits::PAGE_MAX;
use crate::operation::{OperationRecord, SELECT, document, read};
use crate::readers::Readers;
use crate::sql::{Sql, sql};
use crate::value::{self, ValueUpdate};
use crate::writer::Tx;
use crate::{Store, collect, touched};

/// Where an operation stands among those that are open: after it goes the next page.
pub type OpenPlace = (TenantId, DeviceId, u64);

/// What became of a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// There is no open operation.
    Nothing,
    /// Somebody else holds it until then.
    Held(Timestamp),
    /// It is claimed.
    Taken(Box<OperationRecord>),
    /// It cannot be read: it has to be put away before the device's others can run.
    Damaged(DamagedOperation),
}

/// Open operations that are to be looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Due {
    /// Those that can be read.
    pub sound: Vec<OperationRecord>,
    /// Those that cannot.
    pub damaged: Vec<DamagedOperation>,
}

/// An operation to store under a claim, with all that must be stored with it.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationSave {
    /// The operation as it is now.
    pub operation: Operation,
    /// The number of the claim.
    pub fence: i64,
    /// Until when the claim is held; `None` gives it back.
    pub lease_until: Option<Timestamp>,
    /// What was learned of the device's values.
    pub values: Option<ValueUpdate>,
    /// What happened.
    pub events: Vec<Event>,
    /// When.
    pub now: Timestamp,
}

/// Looks up which devices have open operations.
pub(crate) fn open_operations(readers: Readers) -> Gather<(TenantId, DeviceId), ()> {
    Gather::start(move |keys| {
        let readers = readers.clone();
        Box::pin(async move {
            let rows = readers.all(open(sql(""), &keys)).await?;
            let open = collect(&rows, |row| {
                let mut c = row.columns();
                Ok((c.take()?, c.take()?))
            })?;
            Ok(open.into_iter().map(|key| (key, Ok(()))).collect())
        })
    })
}

/// In the order of the index of open operations: without it SQLite goes through all that the devices ever had.
fn open(mut statement: Sql, keys: &[(TenantId, DeviceId)]) -> Sql {
    let tenants: HashSet<&TenantId> = keys.iter().map(|(tenant, _)| tenant).collect();
    statement
        .push("SELECT tenant, device, seq FROM operation WHERE is_open = 1 AND tenant IN ")
        .list(tenants)
        .push(" AND device IN ")
        .list(keys.iter().map(|(_, device)| *device))
        .push(" ORDER BY tenant, device, seq");
    statement
}

impl Store {
    /// Claims the oldest open operation of a device. A node may claim again what it holds itself (after a restart);
    /// each claim outdates the ones before.
    pub async fn operation_claim(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        node: &NodeId,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Claim> {
        // Mostly there is none, and looking is cheaper than a write. Whoever adds one wakes the device.
        let open = self.open_operations.ask((tenant.clone(), device));
        if open.await?.is_none() {
            return Ok(Claim::Nothing);
        }
        let (tenant, node) = (tenant.clone(), node.clone());
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let oldest = sql(SELECT)
                    .then(" WHERE tenant = $1 AND device = $2 AND is_open = 1 ORDER BY seq LIMIT 1")
                    .bind(&tenant)
                    .bind(device);
                let is_others = |holder: &NodeId| *holder != node;
                let lease = (node.clone(), lease_until);
                claim(tx, &tenant, oldest, now, lease, is_others).await
            })
        })
        .await
    }

    /// Claims this operation, whose turn it need not be, where nobody works on it: not this node either.
    pub async fn operation_claim_one(
        &self,
        tenant: &TenantId,
        id: OperationId,
        node: &NodeId,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Claim> {
        let (tenant, node) = (tenant.clone(), node.clone());
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let this = sql(SELECT)
                    .then(" WHERE tenant = $1 AND id = $2 AND is_open = 1")
                    .bind(&tenant)
                    .bind(id);
                claim(tx, &tenant, this, now, (node, lease_until), |_| true).await
            })
        })
        .await
    }

    /// Stores an operation under a claim, with what was learned and what happened, in one transaction. `None` gives
    /// the claim back; so does the end of the operation. [`Error::Fenced`] when a newer claim exists.
    pub async fn operation_save(&self, tenant: &TenantId, save: OperationSave) -> Result<()> {
        let tenant = tenant.clone();
        let OperationSave {
            operation,
            fence,
            lease_until,
            values,
            events,
            now,
        } = save;
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let lease = lease_until.filter(|_| !operation.state.is_final());
                let mut update = assignments(&operation, now)?;
                update
                    .push(", lease_until = ")
                    .arg(lease.unwrap_or_default());
                if lease.is_none() {
                    update.push(", lease_node = NULL");
                }
                update.push(" WHERE tenant = ").arg(&tenant);
                update.push(" AND id = ").arg(operation.id);
                update.push(" AND is_open = 1 AND fence = ").arg(fence);
                if tx.execute(update).await? == 0 {
                    return Err(Error::Fenced("operation"));
                }
                if let Some(values) = values {
                    value::apply(tx, &tenant, operation.device, values, now).await?;
                }
                tx.append_all(events).await
            })
        })
        .await
    }

    /// Holds a claim longer.
    pub async fn operation_renew(
        &self,
        tenant: &TenantId,
        id: OperationId,
        fence: i64,
        lease_until: Timestamp,
    ) -> Result<()> {
        let update = sql("UPDATE operation SET lease_until = $1 \
             WHERE tenant = $2 AND id = $3 AND is_open = 1 AND fence = $4")
        .bind(lease_until)
        .bind(tenant)
        .bind(id)
        .bind(fence);
        touched(self.execute(tenant, update).await?, "operation")
            .map_err(|_| Error::Fenced("operation"))
    }

    /// Changes an open operation that nobody works on (a cancellation, an expiry). `change` gets it as it is and
    /// returns what happened. False when it is at its end already or somebody holds it; then nothing is changed.
    pub async fn operation_edit<F>(
        &self,
        tenant: &TenantId,
        id: OperationId,
        now: Timestamp,
        change: F,
    ) -> Result<bool>
    where
        F: FnOnce(&mut Operation) -> Vec<Event> + Send + 'static,
    {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let statement = sql(SELECT)
                    .then(" WHERE tenant = $1 AND id = $2")
                    .bind(&tenant)
                    .bind(id);
                let row = tx
                    .optional(statement)
                    .await?
                    .ok_or(Error::NotFound("operation"))?;
                let mut record = read(&row)?;
                let held = record.lease.is_some_and(|(_, until)| until > now);
                if held || record.operation.state.is_final() {
                    return Ok(false);
                }
                let events = change(&mut record.operation);
                let mut update = assignments(&record.operation, now)?;
                // A claim that ran out must not overwrite this.
                update
                    .push(", fence = fence + 1 WHERE tenant = ")
                    .arg(&tenant);
                update.push(" AND id = ").arg(id);
                tx.execute(update).await?;
                tx.append_all(events).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Open operations whose time has come and that nobody works on, of all tenants.
    pub async fn operation_due(&self, now: Timestamp, limit: usize) -> Result<Due> {
        let statement = sql(SELECT)
            .then(" WHERE is_open = 1 AND due_at <= $1 AND lease_until <= $1 ORDER BY due_at LIMIT $2")
            .bind(now)
            .bind(limit.clamp(1, PAGE_MAX));
        self.due(statement).await
    }

    async fn due(&self, statement: Sql) -> Result<Due> {
        let mut due = Due::default();
        for row in self.all(statement).await? {
            match sound(&row)? {
                Ok(record) => due.sound.push(record),
                Err(damaged) => due.damaged.push(damaged),
            }
        }
        Ok(due)
    }

    /// Commands that may have left and that nobody works on, of all tenants, in order after the given one.
    pub async fn operation_commands_left(
        &self,
        now: Timestamp,
        after: Option<OpenPlace>,
        limit: usize,
    ) -> Result<Due> {
        self.due(left(sql(SELECT), now, after, limit)).await
    }

    /// Devices with open operations that nobody works on, of all tenants, in order after the given one.
    pub async fn operation_devices_waiting(
        &self,
        now: Timestamp,
        after: Option<(TenantId, DeviceId)>,
        limit: usize,
    ) -> Result<Vec<(TenantId, DeviceId)>> {
        let mut statement = sql("SELECT DISTINCT tenant, device FROM operation WHERE is_open = 1");
        statement.push(" AND lease_until <= ").arg(now);
        if let Some((tenant, device)) = &after {
            statement.push(" AND (tenant, device) > (").arg(tenant);
            statement.push(", ").arg(*device).push(")");
        }
        statement
            .push(" ORDER BY tenant, device LIMIT ")
            .arg(limit.clamp(1, PAGE_MAX));
        collect(&self.all(statement).await?, |row| {
            let mut c = row.columns();
            Ok((c.take()?, c.take()?))
        })
    }

    /// Devices with a path of this transport that have open operations and none that is worked on, of all tenants
    /// that are not disabled, in order after the given one.
    pub async fn operation_devices_to_wake(
        &self,
        transport: &str,
        now: Timestamp,
        after: Option<(TenantId, DeviceId)>,
        limit: usize,
    ) -> Result<Vec<(TenantId, DeviceId)>> {
        let mut statement = sql("SELECT o.tenant, o.device FROM operation o \
             JOIN management_path p ON p.tenant = o.tenant AND p.device = o.device \
             JOIN tenant t ON t.id = o.tenant \
             WHERE o.is_open = 1 AND t.disabled_at IS NULL");
        statement.push(" AND p.transport = ").arg(transport);
        if let Some((tenant, device)) = &after {
            statement.push(" AND (o.tenant, o.device) > (").arg(tenant);
            statement.push(", ").arg(*device).push(")");
        }
        statement
            .push(" GROUP BY o.tenant, o.device HAVING max(o.lease_until) <= ")
            .arg(now)
            .push(" ORDER BY o.tenant, o.device LIMIT ")
            .arg(limit.clamp(1, PAGE_MAX));
        collect(&self.all(statement).await?, |row| {
            let mut c = row.columns();
            Ok((c.take()?, c.take()?))
        })
    }
}

/// Claims what the statement finds, for this node until then, unless somebody holds it to whom that counts.
async fn claim(
    tx: &mut Tx,
    tenant: &TenantId,
    statement: Sql,
    now: Timestamp,
    lease: (NodeId, Timestamp),
    counts: impl Fn(&NodeId) -> bool,
) -> Result<Claim> {
    let Some(row) = tx.optional(statement).await? else {
        return Ok(Claim::Nothing);
    };
    let mut record = match sound(&row)? {
        Ok(record) => record,
        Err(damaged) => return Ok(Claim::Damaged(damaged)),
    };
    if let Some((holder, until)) = &record.lease
        && counts(holder)
        && *until > now
    {
        return Ok(Claim::Held(*until));
    }
    record.fence += 1;
    let update = sql(
        "UPDATE operation SET lease_node = $1, lease_until = $2, fence = $3 \
         WHERE tenant = $4 AND id = $5",
    )
    .bind(lease.0.as_str())
    .bind(lease.1)
    .bind(record.fence)
    .bind(tenant)
    .bind(record.operation.id);
    tx.execute(update).await?;
    record.lease = Some(lease);
    Ok(Claim::Taken(Box::new(record)))
}

/// `UPDATE operation SET` with everything that follows from the operation.
fn assignments(operation: &Operation, now: Timestamp) -> Result<Sql> {
    Ok(sql("UPDATE operation SET state = $1, is_open = $2, updated_at = $3, due_at = $4, finished_at = $5, \
         document = $6")
    .bind(operation.state.as_str())
    .bind(!operation.state.is_final())
    .bind(now)
    .bind(operation.due())
    .bind(operation.finished)
    .bind(document(operation)?))
}

fn left(select: Sql, now: Timestamp, after: Option<OpenPlace>, limit: usize) -> Sql {
    let mut statement = select
        .then(" WHERE is_open = 1 AND kind = 'operate' AND state IN ('running', 'verifying')");
    statement.push(" AND lease_until <= ").arg(now);
    if let Some((tenant, device, sequence)) = &after {
        statement.push(" AND (tenant, device, seq) > (").arg(tenant);
        statement.push(", ").arg(*device);
        statement.push(", ").arg(*sequence).push(")");
    }
    statement
        .push(" ORDER BY tenant, device, seq LIMIT ")
        .arg(limit.clamp(1, PAGE_MAX));
    statement
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn open_operations_are_looked_up_among_the_open_ones() {
        let database = crate::testing::sqlite().await.unwrap();
        let tenant = TenantId::parse("acme").unwrap();
        for many in [1, 64] {
            let key = |n| (tenant.clone(), DeviceId(uuid::Uuid::from_u128(n)));
            let keys: Vec<_> = (0..many).map(key).collect();
            let statement = open(sql("EXPLAIN QUERY PLAN "), &keys);
            let plan = crate::testing::plan(&database.store, statement).await;
            assert!(plan.contains("operation_open"), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    }

    #[tokio::test]
    async fn commands_that_may_have_left_are_looked_up_among_their_like() {
        let database = crate::testing::sqlite().await.unwrap();
        let device = DeviceId(uuid::Uuid::from_u128(1));
        let place = (TenantId::parse("acme").unwrap(), device, 7);
        for after in [None, Some(place)] {
            let select = sql("EXPLAIN QUERY PLAN ").then(SELECT);
            let statement = left(select, Timestamp(1), after, 100);
            let plan = crate::testing::plan(&database.store, statement).await;
            assert!(plan.contains("operation_left"), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}
