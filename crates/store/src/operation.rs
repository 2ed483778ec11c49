//! Operations: stored before anything is sent, kept in their device's order. How they are worked on is in `lease`. The
//! document is `fleet::Operation`; the columns beside it are what it is found by. How an operation moves is
//! decided in `fleet`.

use fleet::{DeviceId, Event, NodeId, Operation, OperationId, OperationState, TenantId, Timestamp};

use crate::damaged::sound;
use crate::device;
use crate::error::{Error, Result};
use crate::limits::{
    OPEN_OPERATIONS_PER_DEVICE_MAX, OPERATION_BYTES_MAX, PAGE_MAX, RETENTION_BATCH_MAX,
    TEXT_CHARS_MAX,
};
use crate::sql::{Row, Sql, json, sql};
use crate::value_codec::{deflate, inflate};
use crate::writer::Tx;
use crate::{SecretHash, Store, collect, readable};

/// An operation as the store keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationRecord {
    /// The operation.
    pub operation: Operation,
    /// Its place in its device's order.
    pub sequence: u64,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The key it was asked with.
    pub idempotency_key: Option<String>,
    /// The node that works on it, and until when that is promised.
    pub lease: Option<(NodeId, Timestamp)>,
    /// The number of the last claim; every write of a claim must carry it.
    pub fence: i64,
}

/// What became of asking for an operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Created {
    /// It is stored.
    New(Box<OperationRecord>),
    /// It had been asked with the same key before.
    Existing(Box<OperationRecord>),
    /// The key was used for something else before.
    Mismatch,
}

/// Which operations; empty means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperationFilter {
    /// Of this device.
    pub device: Option<DeviceId>,
    /// In one of these states.
    pub states: Vec<OperationState>,
    /// Of one of these kinds (`get`, `set`, ...).
    pub kinds: Vec<String>,
    /// Asked by.
    pub requester: Option<String>,
    /// Made since.
    pub created_after: Option<Timestamp>,
    /// Made before.
    pub created_before: Option<Timestamp>,
}

pub(crate) const SELECT: &str = "SELECT tenant, id, device, seq, updated_at, idempotency_key, lease_node, lease_until, fence, document FROM operation";

impl Store {
    /// Stores a new operation at the end of its device's queue. With an idempotency key (and the fingerprint of the
    /// request) it is stored once.
    pub async fn operation_insert(
        &self,
        tenant: &TenantId,
        operation: Operation,
        idempotency: Option<(String, SecretHash)>,
        events: Vec<Event>,
    ) -> Result<Created> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move { insert(tx, &tenant, operation, idempotency, events).await })
        })
        .await
    }

    /// One operation.
    pub async fn operation(&self, tenant: &TenantId, id: OperationId) -> Result<OperationRecord> {
        let statement = sql(SELECT)
            .then(" WHERE tenant = $1 AND id = $2")
            .bind(tenant)
            .bind(id);
        let row = self.optional(statement).await?;
        read(&row.ok_or(Error::NotFound("operation"))?)
    }

    /// Operations, newest first, made before the one with the id `before`. Those that cannot be read are left out.
    pub async fn operation_list(
        &self,
        tenant: &TenantId,
        filter: &OperationFilter,
        before: Option<OperationId>,
        limit: usize,
    ) -> Result<Vec<OperationRecord>> {
        // One more than a full page, which tells whether another one follows.
        let limit = limit.clamp(1, PAGE_MAX + 1);
        let (mut found, mut before) = (Vec::new(), before);
        loop {
            let left = limit - found.len();
            let rows = self.all(select(tenant, filter, before, left)).await?;
            for row in &rows {
                match sound(row)? {
                    Ok(record) => {
                        before = Some(record.operation.id);
                        found.push(record);
                    }
                    Err(damaged) => before = Some(damaged.id),
                }
            }
            if found.len() == limit || rows.len() < left {
                return Ok(found);
            }
        }
    }

    /// How many operations of a device are not at their end.
    pub async fn operation_open_count(&self, tenant: &TenantId, device: DeviceId) -> Result<u64> {
        let statement =
            sql("SELECT count(*) FROM operation WHERE tenant = $1 AND device = $2 AND is_open = 1")
                .bind(tenant)
                .bind(device);
        self.one(statement).await?.columns().take()
    }

    /// The operation of a device whose turn it is: the oldest that is not at its end.
    pub async fn operation_oldest(
        &self,
        tenant: &TenantId,
        device: DeviceId,
    ) -> Result<Option<OperationRecord>> {
        let statement = sql(SELECT)
            .then(" WHERE tenant = $1 AND device = $2 AND is_open = 1 ORDER BY seq LIMIT 1")
            .bind(tenant)
            .bind(device);
        self.optional(statement)
            .await?
            .as_ref()
            .map(read)
            .transpose()
    }

    /// Removes a batch of finished operations older than `before`, with their transcripts; how many.
    pub async fn operation_purge(&self, tenant: &TenantId, before: Timestamp) -> Result<u64> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let statement = sql("SELECT id FROM operation WHERE tenant = $1 AND is_open = 0 AND finished_at < $2 \
                     ORDER BY finished_at LIMIT $3")
                .bind(&tenant)
                .bind(before)
                .bind(RETENTION_BATCH_MAX / 10);
                let ids: Vec<OperationId> = collect(&tx.all(statement).await?, |row| row.columns().take())?;
                for table in [
                    "DELETE FROM transcript WHERE tenant = $1 AND operation IN ",
                    "DELETE FROM transfer WHERE tenant = $1 AND operation IN ",
                    "DELETE FROM operation WHERE tenant = $1 AND id IN ",
                ] {
                    let mut delete = sql(table).bind(&tenant);
                    delete.list(ids.iter().copied());
                    tx.execute(delete).await?;
                }
                Ok(ids.len() as u64)
            })
        })
        .await
    }
}

fn select(
    tenant: &TenantId,
    filter: &OperationFilter,
    before: Option<OperationId>,
    limit: usize,
) -> Sql {
    let mut statement = sql(SELECT).then(" WHERE tenant = $1").bind(tenant);
    if let Some(device) = filter.device {
        statement.push(" AND device = ").arg(device);
    }
    if !filter.states.is_empty() {
        statement
            .push(" AND state IN ")
            .list(filter.states.iter().map(|state| state.as_str()));
    }
    if !filter.kinds.is_empty() {
        statement.push(" AND kind IN ").list(&filter.kinds);
    }
    if let Some(requester) = &filter.requester {
        statement.push(" AND requested_by = ").arg(requester);
    }
    if let Some(after) = filter.created_after {
        statement.push(" AND created_at >= ").arg(after);
    }
    if let Some(before) = filter.created_before {
        statement.push(" AND created_at < ").arg(before);
    }
    if let Some(before) = before {
        statement.push(" AND id < ").arg(before);
    }
    statement.push(" ORDER BY id DESC LIMIT ").arg(limit);
    statement
}

async fn insert(
    tx: &mut Tx,
    tenant: &TenantId,
    operation: Operation,
    idempotency: Option<(String, SecretHash)>,
    events: Vec<Event>,
) -> Result<Created> {
    device::exists(tx, tenant, operation.device).await?;
    let (key, fingerprint) = idempotency.unzip();
    if let Some(key) = &key {
        if key.chars().count() > TEXT_CHARS_MAX {
            return Err(Error::LimitExceeded {
                what: "characters of an idempotency key",
                max: TEXT_CHARS_MAX as u64,
            });
        }
        let statement = sql(SELECT)
            .then(" WHERE tenant = $1 AND idempotency_key = $2")
            .bind(tenant)
            .bind(key);
        if let Some(row) = tx.optional(statement).await? {
            let statement =
                sql("SELECT fingerprint FROM operation WHERE tenant = $1 AND idempotency_key = $2")
                    .bind(tenant)
                    .bind(key);
            let stored: Option<SecretHash> = match tx.optional(statement).await? {
                Some(row) => row.columns().take()?,
                None => None,
            };
            return Ok(if stored == fingerprint {
                Created::Existing(Box::new(read(&row)?))
            } else {
                Created::Mismatch
            });
        }
    }
    let open =
        sql("SELECT count(*) FROM operation WHERE tenant = $1 AND device = $2 AND is_open = 1")
            .bind(tenant)
            .bind(operation.device);
    tx.at_most(
        open,
        "open operations of a device",
        OPEN_OPERATIONS_PER_DEVICE_MAX,
    )
    .await?;
    let last = sql("SELECT coalesce(max(seq), 0) FROM operation WHERE tenant = $1 AND device = $2")
        .bind(tenant)
        .bind(operation.device);
    let last: u64 = match tx.optional(last).await? {
        Some(row) => row.columns().take()?,
        None => 0,
    };
    let insert = sql("INSERT INTO operation (tenant, id, device, seq, state, is_open, kind, requested_by, created_at, \
         updated_at, due_at, finished_at, idempotency_key, fingerprint, lease_until, fence, document) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11, $12, $13, 0, 0, $14)")
    .bind(tenant)
    .bind(operation.id)
    .bind(operation.device)
    .bind(last + 1)
    .bind(operation.state.as_str())
    .bind(!operation.state.is_final())
    .bind(operation.request.kind())
    .bind(&operation.requester)
    .bind(operation.created)
    .bind(operation.due())
    .bind(operation.finished)
    .bind(key.clone())
    .bind(fingerprint)
    .bind(document(&operation)?);
    tx.execute(insert)
        .await
        .map_err(|e| e.or_conflict("operation", operation.id.to_string()))?;
    tx.append_all(events).await?;
    Ok(Created::New(Box::new(OperationRecord {
        sequence: last + 1,
        updated_at: operation.created,
        idempotency_key: key,
        lease: None,
        fence: 0,
        operation,
    })))
}

/// Gives the operations of `from` to `into`, behind its own, in their order. Whoever works on one has lost it.
pub(crate) async fn adopt(
    tx: &mut Tx,
    tenant: &TenantId,
    from: DeviceId,
    into: DeviceId,
) -> Result<()> {
    let update = sql("UPDATE operation SET device = $3, fence = fence + 1, lease_node = NULL, lease_until = 0, \
         seq = seq + (SELECT coalesce(max(own.seq), 0) FROM operation own WHERE own.tenant = $1 AND own.device = $3) \
         WHERE tenant = $1 AND device = $2")
    .bind(tenant)
    .bind(from)
    .bind(into);
    tx.execute(update).await.map(drop)
}

/// Gives those open operations of `from` to `into`, which has none, that have one of these command keys, with what
/// they transfer.
pub(crate) async fn part(
    tx: &mut Tx,
    tenant: &TenantId,
    from: DeviceId,
    into: DeviceId,
    commands: &[String],
) -> Result<()> {
    let open = sql(SELECT)
        .then(" WHERE tenant = $1 AND device = $2 AND is_open = 1 ORDER BY seq")
        .bind(tenant)
        .bind(from);
    for record in readable(&tx.all(open).await?, "operation", read)? {
        let id = record.operation.id;
        if !commands.contains(&record.operation.command_key()) {
            continue;
        }
        for text in [
            "UPDATE operation SET device = $3, fence = fence + 1, lease_node = NULL, lease_until = 0 \
             WHERE tenant = $1 AND id = $2",
            "UPDATE transfer SET device = $3 WHERE tenant = $1 AND operation = $2",
        ] {
            tx.execute(sql(text).bind(tenant).bind(id).bind(into))
                .await?;
        }
    }
    Ok(())
}

/// Documents below this are kept as they are.
const DEFLATE_FROM: usize = 2_048;

pub(crate) fn document(operation: &Operation) -> Result<Vec<u8>> {
    let text = json(operation)?;
    if text.len() > OPERATION_BYTES_MAX {
        return Err(Error::LimitExceeded {
            what: "bytes of an operation",
            max: OPERATION_BYTES_MAX as u64,
        });
    }
    if text.len() < DEFLATE_FROM {
        return Ok(text.into_bytes());
    }
    let mut out = vec![0];
    out.extend(deflate(text.as_bytes())?);
    Ok(out)
}

pub(crate) fn read(row: &Row) -> Result<OperationRecord> {
    let mut c = row.columns();
    let _: (TenantId, OperationId) = (c.take()?, c.take()?);
    let device: DeviceId = c.take()?;
    let (sequence, updated_at, idempotency_key) = (c.take()?, c.take()?, c.take()?);
    let (node, until): (Option<String>, Timestamp) = (c.take()?, c.take()?);
    let lease = match node {
        Some(node) => Some((NodeId::parse(&node).map_err(Error::damaged)?, until)),
        None => None,
    };
    let fence = c.take()?;
    let document: Vec<u8> = c.take()?;
    let operation = match document.split_first() {
        // JSON never begins with a zero byte.
        Some((0, deflated)) => serde_json::from_slice(&inflate(deflated)?),
        _ => serde_json::from_slice(&document),
    };
    let mut operation: Operation = operation.map_err(Error::damaged)?;
    // The document says whose it was when it was written: it may have been merged since.
    operation.device = device;
    Ok(OperationRecord {
        operation,
        sequence,
        updated_at,
        idempotency_key,
        lease,
        fence,
    })
}
