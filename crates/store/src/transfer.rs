//! Files on their way to and from devices: who has which link, and how far it came. A link is kept as a hash only.

use fleet::transfer::Covered;
use fleet::{
    DeviceId, Direction, Event, FileId, FileKind, OperationId, TenantId, Timestamp, TransferId,
    TransferState,
};

use crate::error::{Error, Result};
use crate::file::{self, FileRecord, NewFile};
use crate::limits::{PAGE_MAX, RETENTION_BATCH_MAX, TRANSFERS_PER_DEVICE_MAX};
use crate::sql::{Columns, Row, Sql, sql};
use crate::writer::Tx;
use crate::{SecretHash, Store, device, readable};

/// A link to be given to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTransfer {
    /// Id.
    pub id: TransferId,
    /// Whom it is given to.
    pub device: DeviceId,
    /// Because of which operation; there is one transfer for each.
    pub operation: OperationId,
    /// Which way.
    pub direction: Direction,
    /// The file to fetch.
    pub file: Option<FileId>,
    /// The name at the end of the link; what is sent gets it.
    pub name: String,
    /// What it is; what is sent becomes it.
    pub kind: FileKind,
    /// Bytes, where they are known before.
    pub size: Option<u64>,
    /// Hash of the secret in the link.
    pub token_hash: SecretHash,
    /// When it is given.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A file on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferRecord {
    /// Tenant.
    pub tenant: TenantId,
    /// Id.
    pub id: TransferId,
    /// Device.
    pub device: DeviceId,
    /// Operation.
    pub operation: OperationId,
    /// Which way.
    pub direction: Direction,
    /// Where it stands.
    pub state: TransferState,
    /// The file to fetch, or the one that was sent.
    pub file: Option<FileId>,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// Bytes, where they are known.
    pub size: Option<u64>,
    /// Which of them went over the wire.
    pub covered: Covered,
    /// How many bytes.
    pub bytes: u64,
    /// How often the device has asked.
    pub requests: u64,
    /// From where it last came.
    pub peer: String,
    /// What went wrong last.
    pub error: String,
    /// When the link was given.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When the device came first.
    pub started_at: Option<Timestamp>,
    /// When something was last known of it.
    pub updated_at: Timestamp,
    /// When it was over.
    pub finished_at: Option<Timestamp>,
}

/// What is known of a link that a device comes with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRecord {
    /// Its transfer, also when it has ended.
    pub transfer: TransferRecord,
    /// The file behind it, if it is still there.
    pub file: Option<FileRecord>,
    /// A person has stopped the operation.
    pub cancelled: bool,
    /// The tenant is disabled: its devices are not served.
    pub disabled: bool,
}

/// What is known of a transfer from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferStep {
    /// Where it stands; what is done stays done.
    pub state: TransferState,
    /// Bytes that went over the wire, from and up to, not including; what was received counts from 0.
    pub went: (u64, u64),
    /// One request more, from this address.
    pub peer: Option<String>,
    /// What went wrong; `None` leaves what was known.
    pub error: Option<String>,
    /// When.
    pub at: Timestamp,
}

const COLUMNS: &str = "t.tenant, t.id, t.device, t.operation, t.direction, t.state, t.file, t.name, t.kind, t.size, \
     t.covered, t.bytes, t.requests, t.peer, t.error, t.created_at, t.expires_at, t.started_at, t.updated_at, t.finished_at";

impl Store {
    /// Gives a device a link. An operation has one: what was given for it before ends, and what went over the wire
    /// stays known.
    pub async fn transfer_offer(
        &self,
        tenant: &TenantId,
        new: NewTransfer,
    ) -> Result<TransferRecord> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                device::exists(tx, &tenant, new.device).await?;
                let again = sql("UPDATE transfer SET token_hash = $1, expires_at = $2 WHERE tenant = $3 AND operation = $4")
                    .bind(new.token_hash)
                    .bind(new.expires_at)
                    .bind(&tenant)
                    .bind(new.operation);
                if tx.execute(again).await? == 0 {
                    insert(tx, &tenant, &new).await?;
                }
                let statement = select(" WHERE t.tenant = $1 AND t.operation = $2")
                    .bind(&tenant)
                    .bind(new.operation);
                let row = tx.optional(statement).await?;
                read(&row.ok_or(Error::NotFound("transfer"))?)
            })
        })
        .await
    }

    /// What a link is for, in whichever tenant.
    pub async fn transfer_by_token(&self, hash: &SecretHash) -> Result<Option<LinkRecord>> {
        let statement = sql("SELECT ")
            .then(COLUMNS)
            .then(", (SELECT count(*) FROM operation o WHERE o.tenant = t.tenant AND o.id = t.operation \
                 AND o.state = 'cancelled'), n.disabled_at, f.id, ")
            .then(file::COLUMNS)
            .then(" FROM transfer t JOIN tenant n ON n.id = t.tenant LEFT JOIN file f ON f.tenant = t.tenant AND f.id = t.file \
                 WHERE t.token_hash = $1")
            .bind(hash);
        let Some(row) = self.optional(statement).await? else {
            return Ok(None);
        };
        let mut c = row.columns();
        let transfer = read_from(&mut c)?;
        let cancelled: u64 = c.take()?;
        let disabled_at: Option<Timestamp> = c.take()?;
        let there: Option<FileId> = c.take()?;
        Ok(Some(LinkRecord {
            transfer,
            file: there.map(|_| file::read_from(&mut c)).transpose()?,
            cancelled: cancelled > 0,
            disabled: disabled_at.is_some(),
        }))
    }

    /// Writes down how far a transfer came. `events` is told how it stood before and how it stands now.
    pub async fn transfer_step(
        &self,
        tenant: &TenantId,
        id: TransferId,
        step: TransferStep,
        events: impl FnOnce(&TransferRecord, &TransferRecord) -> Vec<Event> + Send + 'static,
    ) -> Result<TransferRecord> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move { take_step(tx, &tenant, id, step, events).await })
        })
        .await
    }

    /// Keeps what a device has sent, and ends its transfer, together. What has come over a link is what it was for:
    /// the same once more (the device did not hear the answer) is the file that is there, anything else a conflict.
    pub async fn transfer_received(
        &self,
        tenant: &TenantId,
        id: TransferId,
        mut file: NewFile,
        quota: u64,
        step: TransferStep,
        events: impl FnOnce(&TransferRecord, &TransferRecord) -> Vec<Event> + Send + 'static,
    ) -> Result<FileRecord> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                tx.head(&tenant).await?;
                let known = one(tx, &tenant, id).await?;
                if known.state == TransferState::Done {
                    let sent = known.file.ok_or(Error::NotFound("file"))?;
                    let there = file::one(tx, &tenant, sent).await;
                    return match there {
                        Ok(there) if there.file.sha256 == file.sha256 => {
                            take_step(tx, &tenant, id, step, events).await?;
                            Ok(there)
                        }
                        Ok(_) | Err(Error::NotFound(_)) => {
                            let words = format!("{:?} was sent over this link", known.name);
                            Err(Error::conflict("a transfer", words))
                        }
                        Err(error) => Err(error),
                    };
                }
                // It may have become part of another device while the file came.
                file.device = Some(known.device);
                let kept = file::insert(tx, &tenant, file, quota, Vec::new()).await?;
                let update =
                    sql("UPDATE transfer SET file = $1, size = $2 WHERE tenant = $3 AND id = $4")
                        .bind(kept.file.id)
                        .bind(kept.file.size)
                        .bind(&tenant)
                        .bind(id);
                tx.execute(update).await?;
                take_step(tx, &tenant, id, step, events).await?;
                Ok(kept)
            })
        })
        .await
    }

    /// The transfers of a device, newest first, that were made before the one with the id `before`.
    pub async fn transfer_list(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        before: Option<TransferId>,
        limit: usize,
    ) -> Result<Vec<TransferRecord>> {
        let mut statement = select(" WHERE t.tenant = $1 AND t.device = $2")
            .bind(tenant)
            .bind(device);
        if let Some(before) = before {
            statement.push(" AND t.id < ").arg(before);
        }
        statement
            .push(" ORDER BY t.id DESC LIMIT ")
            .arg(limit.clamp(1, PAGE_MAX + 1));
        readable(&self.all(statement).await?, "transfer", read)
    }

    /// The transfer of an operation.
    pub async fn transfer_of(
        &self,
        tenant: &TenantId,
        operation: OperationId,
    ) -> Result<Option<TransferRecord>> {
        let statement = select(" WHERE t.tenant = $1 AND t.operation = $2")
            .bind(tenant)
            .bind(operation);
        let row = self.optional(statement).await?;
        row.map(|row| read(&row)).transpose()
    }

    /// Removes a batch of transfers whose links ended before `before`; how many.
    pub async fn transfer_purge(&self, tenant: &TenantId, before: Timestamp) -> Result<u64> {
        let delete = sql(
            "DELETE FROM transfer WHERE tenant = $1 AND id IN (SELECT id FROM transfer \
             WHERE tenant = $1 AND expires_at < $2 LIMIT $3)",
        )
        .bind(tenant)
        .bind(before)
        .bind(RETENTION_BATCH_MAX);
        self.execute(tenant, delete).await
    }
}

fn select(rest: &'static str) -> Sql {
    sql("SELECT ")
        .then(COLUMNS)
        .then(" FROM transfer t")
        .then(rest)
}

async fn one(tx: &mut Tx, tenant: &TenantId, id: TransferId) -> Result<TransferRecord> {
    let statement = select(" WHERE t.tenant = $1 AND t.id = $2")
        .bind(tenant)
        .bind(id);
    let row = tx.optional(statement).await?;
    read(&row.ok_or(Error::NotFound("transfer"))?)
}

async fn insert(tx: &mut Tx, tenant: &TenantId, new: &NewTransfer) -> Result<()> {
    let insert = sql("INSERT INTO transfer (tenant, id, device, operation, direction, state, file, name, kind, size, covered, \
         bytes, requests, token_hash, peer, error, created_at, expires_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, 'waiting', $6, $7, $8, $9, '', 0, 0, $10, '', '', $11, $12, $11)")
    .bind(tenant)
    .bind(new.id)
    .bind(new.device)
    .bind(new.operation)
    .bind(new.direction.as_str())
    .bind(new.file)
    .bind(&new.name)
    .bind(new.kind.as_str())
    .bind(new.size)
    .bind(new.token_hash)
    .bind(new.created_at)
    .bind(new.expires_at);
    tx.execute(insert).await?;
    let trim = sql("DELETE FROM transfer WHERE tenant = $1 AND id IN (SELECT id FROM transfer \
         WHERE tenant = $1 AND device = $2 ORDER BY id DESC LIMIT 100 OFFSET $3) AND expires_at < $4")
    .bind(tenant)
    .bind(new.device)
    .bind(TRANSFERS_PER_DEVICE_MAX)
    .bind(new.created_at);
    tx.execute(trim).await.map(drop)
}

async fn take_step(
    tx: &mut Tx,
    tenant: &TenantId,
    id: TransferId,
    step: TransferStep,
    events: impl FnOnce(&TransferRecord, &TransferRecord) -> Vec<Event> + Send + 'static,
) -> Result<TransferRecord> {
    tx.head(tenant).await?;
    let known = one(tx, tenant, id).await?;
    let mut covered = known.covered.clone();
    covered.add(step.went.0, step.went.1);
    let whole = known.direction == Direction::Download
        && known.size.is_some_and(|size| covered.is_whole(size));
    let state = match known.state {
        TransferState::Done => TransferState::Done,
        // Progress that was written down late.
        TransferState::Failed if step.state == TransferState::Running && step.peer.is_none() => {
            TransferState::Failed
        }
        _ if whole && step.state != TransferState::Failed => TransferState::Done,
        _ => step.state,
    };
    let over = matches!(state, TransferState::Done | TransferState::Failed);
    let error = match (state, step.error) {
        (TransferState::Done, _) => String::new(),
        (_, Some(error)) => error,
        (_, None) => known.error.clone(),
    };
    let update = sql("UPDATE transfer SET state = $1, covered = $2, bytes = $3, requests = requests + $4, \
         peer = coalesce($5, peer), error = $6, started_at = coalesce(started_at, $7), updated_at = $7, \
         finished_at = CASE WHEN $8 = 1 THEN coalesce(finished_at, $7) ELSE NULL END WHERE tenant = $9 AND id = $10")
    .bind(state.as_str())
    .bind(covered.to_string())
    .bind(covered.bytes())
    .bind(u64::from(step.peer.is_some()))
    .bind(step.peer)
    .bind(error)
    .bind(step.at)
    .bind(over)
    .bind(tenant)
    .bind(id);
    tx.execute(update).await?;
    let now = one(tx, tenant, id).await?;
    tx.append_all(events(&known, &now)).await?;
    Ok(now)
}

fn read(row: &Row) -> Result<TransferRecord> {
    read_from(&mut row.columns())
}

fn read_from(c: &mut Columns<'_>) -> Result<TransferRecord> {
    let (tenant, id) = (c.take()?, c.take()?);
    let (device, operation) = (c.take()?, c.take()?);
    let (direction, state): (String, String) = (c.take()?, c.take()?);
    let (file, name) = (c.take()?, c.take()?);
    let kind: String = c.take()?;
    let size = c.take()?;
    let covered: String = c.take()?;
    Ok(TransferRecord {
        tenant,
        id,
        device,
        operation,
        direction: direction.parse().map_err(Error::damaged)?,
        state: state.parse().map_err(Error::damaged)?,
        file,
        name,
        kind: kind.parse().map_err(Error::damaged)?,
        size,
        covered: covered.parse().map_err(Error::damaged)?,
        bytes: c.take()?,
        requests: c.take()?,
        peer: c.take()?,
        error: c.take()?,
        created_at: c.take()?,
        expires_at: c.take()?,
        started_at: c.take()?,
        updated_at: c.take()?,
        finished_at: c.take()?,
    })
}
