//! Answers to requests that carried an idempotency key, so that a repeated request gets the same answer. Operations
//! keep their key in their own row, in the transaction that makes them.

use fleet::{TenantId, Timestamp};

use crate::error::{Error, Result};
use crate::limits::{IDEMPOTENCY_BYTES_MAX, RETENTION_BATCH_MAX};
use crate::sql::sql;
use crate::writer::Tx;
use crate::{SecretHash, Store, touched};

/// Whose key, for which endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Who asks.
    pub principal: String,
    /// Operation id of the API.
    pub endpoint: String,
    /// The key.
    pub key: String,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Idempotency {
    /// Nothing until now; the caller goes on, and finishes or forgets.
    New,
    /// The first request is not answered yet, or its node died.
    InProgress {
        /// Since when.
        since: Timestamp,
    },
    /// It was answered with this.
    Done {
        /// HTTP status.
        status: u32,
        /// Body.
        body: String,
    },
    /// It was used for another request.
    Mismatch,
}

/// An answer to keep for its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotentAnswer {
    /// The key.
    pub key: IdempotencyKey,
    /// HTTP status.
    pub status: u32,
    /// Body.
    pub body: String,
}

/// Keeps an answer in the transaction that does what it tells of: whatever happens to the caller or the server, both
/// are there or neither is.
pub(crate) async fn finish(tx: &mut Tx, tenant: &TenantId, answer: IdempotentAnswer) -> Result<()> {
    if answer.body.len() > IDEMPOTENCY_BYTES_MAX {
        return Err(Error::LimitExceeded {
            what: "bytes of an answer to keep",
            max: IDEMPOTENCY_BYTES_MAX as u64,
        });
    }
    let update = sql("UPDATE idempotency SET status = $1, body = $2 \
         WHERE tenant = $3 AND principal = $4 AND endpoint = $5 AND key = $6")
    .bind(answer.status)
    .bind(answer.body)
    .bind(tenant)
    .bind(answer.key.principal)
    .bind(answer.key.endpoint)
    .bind(answer.key.key);
    touched(tx.execute(update).await?, "idempotency key")
}

impl Store {
    /// Takes a key for a request with this fingerprint.
    pub async fn idempotency_begin(
        &self,
        tenant: &TenantId,
        key: IdempotencyKey,
        fingerprint: SecretHash,
        now: Timestamp,
    ) -> Result<Idempotency> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let insert = sql("INSERT INTO idempotency (tenant, principal, endpoint, key, fingerprint, body, created_at) \
                     VALUES ($1, $2, $3, $4, $5, '', $6) ON CONFLICT DO NOTHING")
                .bind(&tenant)
                .bind(&key.principal)
                .bind(&key.endpoint)
                .bind(&key.key)
                .bind(fingerprint)
                .bind(now);
                if tx.execute(insert).await? > 0 {
                    return Ok(Idempotency::New);
                }
                let statement = sql("SELECT fingerprint, status, body, created_at FROM idempotency \
                     WHERE tenant = $1 AND principal = $2 AND endpoint = $3 AND key = $4")
                .bind(&tenant)
                .bind(&key.principal)
                .bind(&key.endpoint)
                .bind(&key.key);
                let row = tx.optional(statement).await?;
                let row = row.ok_or(Error::NotFound("idempotency key"))?;
                let mut c = row.columns();
                let (stored, status, body): (SecretHash, Option<u32>, String) = (c.take()?, c.take()?, c.take()?);
                Ok(match status {
                    _ if stored != fingerprint => Idempotency::Mismatch,
                    Some(status) => Idempotency::Done { status, body },
                    None => Idempotency::InProgress { since: c.take()? },
                })
            })
        })
        .await
    }

    /// Keeps the answer.
    pub async fn idempotency_finish(
        &self,
        tenant: &TenantId,
        answer: IdempotentAnswer,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move { finish(tx, &tenant, answer).await })
        })
        .await
    }

    /// Gives a key free whose request failed without effect; an answer that is kept stays.
    pub async fn idempotency_forget(&self, tenant: &TenantId, key: IdempotencyKey) -> Result<()> {
        let delete = sql("DELETE FROM idempotency WHERE tenant = $1 AND principal = $2 AND endpoint = $3 AND key = $4 \
             AND status IS NULL")
            .bind(tenant)
            .bind(key.principal)
            .bind(key.endpoint)
            .bind(key.key);
        self.execute(tenant, delete).await.map(drop)
    }

    /// Removes a batch of keys older than `before`; how many.
    pub async fn idempotency_purge(&self, tenant: &TenantId, before: Timestamp) -> Result<u64> {
        let delete = sql("DELETE FROM idempotency WHERE tenant = $1 AND (principal, endpoint, key) IN \
             (SELECT principal, endpoint, key FROM idempotency WHERE tenant = $1 AND created_at < $2 LIMIT $3)")
        .bind(tenant)
        .bind(before)
        .bind(RETENTION_BATCH_MAX);
        self.execute(tenant, delete).await
    }
}
