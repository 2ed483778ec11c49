//! Setup keys of a tenant, with which new devices introduce themselves. Rate limits are the caller's.

use fleet::{Event, SetupKeyId, TenantId, Timestamp, UserId};

use crate::error::{Error, Result};
use crate::limits::{PAGE_MAX, SETUP_KEYS_PER_TENANT_MAX, SETUP_KEYS_READABLE_MAX};
use crate::sql::{Columns, Row, sql};
use crate::{SecretHash, Store, readable, touched};

/// A setup key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSetupKey {
    /// Id.
    pub id: SetupKeyId,
    /// What it is for.
    pub name: String,
    /// Hash of the secret.
    pub hash: SecretHash,
    /// The secret, sealed with a key that the database does not have: for checks that need it (HTTP Digest).
    pub sealed: Option<Vec<u8>>,
    /// First characters of the secret.
    pub prefix: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: Option<UserId>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// How many devices it lets in.
    pub uses_max: Option<u64>,
}

/// A setup key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupKeyRecord {
    /// Id.
    pub id: SetupKeyId,
    /// Tenant.
    pub tenant: TenantId,
    /// What it is for.
    pub name: String,
    /// First characters of the secret.
    pub prefix: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: Option<UserId>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// How many devices it lets in.
    pub uses_max: Option<u64>,
    /// How many it let in.
    pub uses: u64,
    /// When it last let one in.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Whether there is a sealed copy of its secret.
    pub readable: bool,
}

const SELECT: &str = "SELECT id, tenant, name, prefix, created_at, created_by, expires_at, uses_max, uses, \
     last_used_at, revoked_at, CAST(CASE WHEN sealed IS NULL THEN 0 ELSE 1 END AS BIGINT), sealed FROM setup_key";

impl Store {
    /// Makes a setup key.
    pub async fn setup_key_insert(
        &self,
        tenant: &TenantId,
        key: NewSetupKey,
        events: Vec<Event>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                tx.head(&tenant).await?;
                let count = sql("SELECT count(*) FROM setup_key WHERE tenant = $1").bind(&tenant);
                // The one that has been over for longest gives its place to the new one.
                let over = sql("DELETE FROM setup_key WHERE tenant = $1 AND id IN (SELECT id FROM setup_key \
                     WHERE tenant = $1 AND (revoked_at IS NOT NULL OR expires_at <= $2) \
                     ORDER BY coalesce(revoked_at, expires_at), id LIMIT 1)")
                .bind(&tenant)
                .bind(key.created_at);
                tx.at_most_after(count, over, "setup keys", SETUP_KEYS_PER_TENANT_MAX).await?;
                let insert = sql("INSERT INTO setup_key (id, tenant, name, hash, prefix, created_at, created_by, \
                     expires_at, uses_max, uses, sealed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10)")
                .bind(key.id)
                .bind(&tenant)
                .bind(&key.name)
                .bind(key.hash)
                .bind(key.prefix)
                .bind(key.created_at)
                .bind(key.created_by)
                .bind(key.expires_at)
                .bind(key.uses_max)
                .bind(key.sealed);
                tx.execute(insert)
                    .await
                    .map_err(|e| e.or_conflict("setup key", key.name))?;
                tx.append_all(events).await
            })
        })
        .await
    }

    /// The setup key of a secret, in whichever tenant; also when revoked, expired or used up.
    pub async fn setup_key_by_hash(&self, hash: &SecretHash) -> Result<Option<SetupKeyRecord>> {
        let row = self
            .optional(sql(SELECT).then(" WHERE hash = $1").bind(hash))
            .await?;
        row.map(|row| read(&row)).transpose()
    }

    /// One setup key.
    pub async fn setup_key(&self, tenant: &TenantId, id: SetupKeyId) -> Result<SetupKeyRecord> {
        let statement = sql(SELECT)
            .then(" WHERE id = $1 AND tenant = $2")
            .bind(id)
            .bind(tenant);
        let row = self.optional(statement).await?;
        read(&row.ok_or(Error::NotFound("setup key"))?)
    }

    /// The setup keys of a tenant, newest first.
    pub async fn setup_key_list(&self, tenant: &TenantId) -> Result<Vec<SetupKeyRecord>> {
        let statement = sql(SELECT)
            .then(" WHERE tenant = $1 ORDER BY id DESC LIMIT $2")
            .bind(tenant)
            .bind(SETUP_KEYS_PER_TENANT_MAX);
        let rows = self.all(statement).await?;
        readable(&rows, "setup key", read)
    }

    /// The setup keys of a tenant that are neither revoked nor expired and have a sealed copy of their secret, with
    /// that copy: newest first, at most [`SETUP_KEYS_READABLE_MAX`].
    pub async fn setup_key_list_sealed(
        &self,
        tenant: &TenantId,
        now: Timestamp,
    ) -> Result<Vec<(SetupKeyRecord, Vec<u8>)>> {
        let statement = sql(SELECT)
            .then(
                " WHERE tenant = $1 AND sealed IS NOT NULL AND revoked_at IS NULL \
                 AND (expires_at IS NULL OR expires_at > $2) ORDER BY id DESC LIMIT $3",
            )
            .bind(tenant)
            .bind(now)
            .bind(SETUP_KEYS_READABLE_MAX);
        let rows = self.all(statement).await?;
        readable(&rows, "setup key", |row| {
            let mut c = row.columns();
            let record = columns(&mut c)?;
            Ok((record, c.take()?))
        })
    }

    /// Changes name, end and number of devices.
    pub async fn setup_key_update(
        &self,
        tenant: &TenantId,
        id: SetupKeyId,
        name: String,
        expires_at: Option<Timestamp>,
        uses_max: Option<u64>,
        events: Vec<Event>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let update = sql(
                    "UPDATE setup_key SET name = $1, expires_at = $2, uses_max = $3 \
                     WHERE id = $4 AND tenant = $5",
                )
                .bind(name)
                .bind(expires_at)
                .bind(uses_max)
                .bind(id)
                .bind(&tenant);
                touched(tx.execute(update).await?, "setup key")?;
                tx.append_all(events).await
            })
        })
        .await
    }

    /// Revokes a setup key; a second time changes nothing.
    pub async fn setup_key_revoke(
        &self,
        tenant: &TenantId,
        id: SetupKeyId,
        now: Timestamp,
        events: Vec<Event>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let update = sql(
                    "UPDATE setup_key SET revoked_at = coalesce(revoked_at, $1) \
                     WHERE id = $2 AND tenant = $3",
                )
                .bind(now)
                .bind(id)
                .bind(&tenant);
                touched(tx.execute(update).await?, "setup key")?;
                tx.append_all(events).await
            })
        })
        .await
    }

    /// When a setup key of whichever tenant was last revoked.
    pub async fn setup_key_revoked_last(&self) -> Result<Option<Timestamp>> {
        let statement = sql("SELECT max(revoked_at) FROM setup_key");
        let row = self.optional(statement).await?;
        Ok(row.map(|row| row.columns().take()).transpose()?.flatten())
    }

    /// Those of these, at most [`PAGE_MAX`], that are revoked.
    pub async fn setup_key_revoked_among(&self, keys: &[SetupKeyId]) -> Result<Vec<SetupKeyId>> {
        let mut statement = sql("SELECT id FROM setup_key WHERE revoked_at IS NOT NULL AND id IN ");
        statement.list(keys.iter().take(PAGE_MAX).copied());
        let rows = self.all(statement).await?;
        readable(&rows, "setup key", |row| row.columns().take())
    }
}

/// Counts one more device let in; touches nothing when the key is revoked, expired or used up.
pub(crate) fn count(tenant: &TenantId, id: SetupKeyId, now: Timestamp) -> crate::Sql {
    sql(
        "UPDATE setup_key SET uses = uses + 1, last_used_at = $1 WHERE id = $2 AND tenant = $3 \
         AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1) \
         AND (uses_max IS NULL OR uses < uses_max)",
    )
    .bind(now)
    .bind(id)
    .bind(tenant)
}

fn read(row: &Row) -> Result<SetupKeyRecord> {
    columns(&mut row.columns())
}

/// The columns of [`SELECT`] but the last, the sealed copy.
fn columns(c: &mut Columns<'_>) -> Result<SetupKeyRecord> {
    Ok(SetupKeyRecord {
        id: c.take()?,
        tenant: c.take()?,
        name: c.take()?,
        prefix: c.take()?,
        created_at: c.take()?,
        created_by: c.take()?,
        expires_at: c.take()?,
        uses_max: c.take()?,
        uses: c.take()?,
        last_used_at: c.take()?,
        revoked_at: c.take()?,
        readable: c.take()?,
    })
}
