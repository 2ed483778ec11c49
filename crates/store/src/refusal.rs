//! Connections that were refused, for the doctor: a bounded list, in which equal refusals are counted instead of
//! repeated, so that one mad device does not push the others out. Not an audit log.

use fleet::{IdentityKind, TenantId, Timestamp};

use crate::error::Result;
use crate::limits::{PAGE_MAX, REFUSALS_MAX, TEXT_CHARS_MAX};
use crate::sql::{Row, sql};
use crate::writer::Tx;
use crate::{SecretHash, Store, readable};

/// What a tenant is told in place of an address that is none of its business, in words that follow "from".
pub const PEER_HIDDEN: &str = "an address not shown";

/// A refused connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRefusal {
    /// When.
    pub at: Timestamp,
    /// Name of the reason.
    pub reason: String,
    /// More about it.
    pub detail: String,
    /// Address it came from, or [`PEER_HIDDEN`].
    pub peer: String,
    /// Who it said it is: an endpoint id, what a CPE calls itself, or the user name it came with; may be empty.
    pub endpoint_id: String,
    /// Transport: `websocket`, `cwmp`.
    pub transport: String,
    /// What makes it equal to others, made by the caller (a hash of reason, peer without port, endpoint id,
    /// transport).
    pub key: SecretHash,
}

/// Equal refusals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalRecord {
    /// The last of them.
    pub last: NewRefusal,
    /// When the first was.
    pub first_at: Timestamp,
    /// How many.
    pub times: u64,
}

impl Store {
    /// Remembers a refusal; `None` when no tenant is known.
    pub async fn refusal_record(
        &self,
        tenant: Option<&TenantId>,
        refusal: NewRefusal,
    ) -> Result<()> {
        let owner = tenant.map_or(String::new(), |tenant| tenant.to_string());
        match tenant {
            Some(tenant) => {
                self.write(tenant, move |tx| Box::pin(record(tx, owner, refusal)))
                    .await
            }
            None => {
                self.write_global(move |tx| Box::pin(record(tx, owner, refusal)))
                    .await
            }
        }
    }

    /// The refusals since a time, last first. Those of a tenant are the ones that were turned away in its name, and
    /// those of nobody that claimed the endpoint id of one of its devices; `None` has all those of nobody. An endpoint id
    /// can be guessed and registered: of those of nobody that claimed one which has never connected to this tenant,
    /// the address is not told.
    pub async fn refusal_list(
        &self,
        tenant: Option<&TenantId>,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<RefusalRecord>> {
        self.refusals(tenant, since, None, limit).await
    }

    /// The same of one device: of those who gave one of its names. No names, no refusals.
    pub async fn refusal_list_of(
        &self,
        tenant: &TenantId,
        names: &[String],
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<RefusalRecord>> {
        self.refusals(Some(tenant), since, Some(names), limit).await
    }

    async fn refusals(
        &self,
        tenant: Option<&TenantId>,
        since: Timestamp,
        names: Option<&[String]>,
        limit: usize,
    ) -> Result<Vec<RefusalRecord>> {
        let mut statement = sql("SELECT last_at, reason, detail, ");
        match tenant {
            None => statement.push("peer"),
            Some(tenant) => statement
                .push("CASE WHEN r.tenant <> '' OR EXISTS (SELECT 1 FROM identity i JOIN device d \
                     ON d.tenant = i.tenant AND d.id = i.device WHERE d.first_seen_at > 0 AND i.tenant = ")
                .arg(tenant)
                .push(" AND i.kind = ")
                .arg(IdentityKind::UspEndpoint.as_str())
                .push(" AND i.value = r.endpoint_id) THEN peer ELSE ")
                .arg(PEER_HIDDEN)
                .push(" END"),
        };
        statement.push(
            ", endpoint_id, transport, key, first_at, times FROM refusal r WHERE r.last_at >= ",
        );
        statement.arg(since).push(" AND (r.tenant = ");
        statement.arg(tenant.map_or("", |tenant| tenant.as_str()));
        if let Some(tenant) = tenant {
            statement
                .push(" OR (r.tenant = '' AND EXISTS (SELECT 1 FROM identity i WHERE i.tenant = ")
                .arg(tenant)
                .push(" AND i.kind = ")
                .arg(IdentityKind::UspEndpoint.as_str())
                .push(" AND i.value = r.endpoint_id))");
        }
        statement.push(")");
        if let Some(names) = names {
            statement.push(" AND r.endpoint_id IN ").list(names);
        }
        statement
            .push(" ORDER BY r.last_at DESC, r.key LIMIT ")
            .arg(limit.clamp(1, PAGE_MAX));
        readable(&self.all(statement).await?, "refusal", read)
    }
}

async fn record(tx: &mut Tx, owner: String, refusal: NewRefusal) -> Result<()> {
    let cut = |text: String| text.chars().take(TEXT_CHARS_MAX).collect::<String>();
    let upsert = sql("INSERT INTO refusal (tenant, key, reason, detail, peer, endpoint_id, transport, first_at, \
         last_at, times) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, 1) ON CONFLICT (tenant, key) DO UPDATE SET \
         detail = excluded.detail, peer = excluded.peer, last_at = excluded.last_at, times = refusal.times + 1")
    .bind(&owner)
    .bind(refusal.key)
    .bind(cut(refusal.reason))
    .bind(cut(refusal.detail))
    .bind(cut(refusal.peer))
    .bind(cut(refusal.endpoint_id))
    .bind(cut(refusal.transport))
    .bind(refusal.at);
    tx.execute(upsert).await?;
    let trim = sql("DELETE FROM refusal WHERE tenant = $1 AND key IN (SELECT key FROM refusal WHERE tenant = $1 \
         ORDER BY last_at DESC, key LIMIT 100 OFFSET $2)")
    .bind(owner)
    .bind(REFUSALS_MAX);
    tx.execute(trim).await.map(drop)
}

fn read(row: &Row) -> Result<RefusalRecord> {
    let mut c = row.columns();
    Ok(RefusalRecord {
        last: NewRefusal {
            at: c.take()?,
            reason: c.take()?,
            detail: c.take()?,
            peer: c.take()?,
            endpoint_id: c.take()?,
            transport: c.take()?,
            key: c.take()?,
        },
        first_at: c.take()?,
        times: c.take()?,
    })
}
