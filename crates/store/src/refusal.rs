//! Connections that were refused, for the doctor: a bounded list, in which equal refusals are counted instead of
//! repeated, and so are those of one source under ever other names, so that one mad device does not push the others out.
//! Not an audit log.

use fleet::{IdentityKind, TenantId, Timestamp};

use crate::error::Result;
use crate::limits::{PAGE_MAX, REFUSALS_MAX, REFUSALS_PER_SOURCE_MAX, TEXT_CHARS_MAX};
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
    /// Where it came from, in words that follow "from": an address, or the broker that does not tell it; or
    /// [`PEER_HIDDEN`].
    pub peer: String,
    /// Who is behind it: an address or its network, a broker, a device that was let in. Of one source, for one reason,
    /// the last [`REFUSALS_PER_SOURCE_MAX`] names are kept apart.
    pub source: String,
    /// Who it said it is: an endpoint id, what a CPE calls itself, or the user name it came with; may be empty.
    pub endpoint_id: String,
    /// Transport: `websocket`, `cwmp`.
    pub transport: String,
    /// What makes it equal to others, made by the caller (a hash of reason, source, endpoint id, transport).
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
    /// Remembers a refusal; `None` when no tenant is known. `others` is the key of all names of its source that are not
    /// kept apart (a hash of reason, source, transport).
    pub async fn refusal_record(
        &self,
        tenant: Option<&TenantId>,
        refusal: NewRefusal,
        others: SecretHash,
    ) -> Result<()> {
        let owner = tenant.map_or(String::new(), |tenant| tenant.to_string());
        match tenant {
            Some(tenant) => {
                self.write(tenant, move |tx| {
                    Box::pin(record(tx, owner, refusal, others))
                })
                .await
            }
            None => {
                self.write_global(move |tx| {
                    Box::pin(async move {
                        // Several of them share a transaction, and no tenant's log orders those of two nodes.
                        tx.alone().await?;
                        record(tx, owner, refusal, others).await
                    })
                })
                .await
            }
        }
    }

    /// Whose a refusal is that names no tenant: the only one's there is, or the one's whose device has connected by this
    /// endpoint id.
    pub async fn refusal_owner(&self, endpoint_id: &str) -> Result<Option<TenantId>> {
        let only = sql("SELECT id FROM tenant LIMIT 2");
        let named = sql("SELECT DISTINCT i.tenant FROM identity i JOIN device d ON d.tenant = i.tenant AND d.id = i.device \
             WHERE d.first_seen_at > 0 AND i.kind = $1 AND i.value = $2 LIMIT 2")
        .bind(IdentityKind::UspEndpoint.as_str())
        .bind(endpoint_id);
        for statement in [only, named] {
            let rows = self.all(statement).await?;
            let all: Vec<TenantId> = crate::collect(&rows, |row| row.columns().take())?;
            if let [only] = &all[..] {
                return Ok(Some(only.clone()));
            }
        }
        Ok(None)
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
        let mut statement = sql("SELECT last_at, reason, detail");
        // Who is behind it may be an address as well.
        for column in ["peer", "source"] {
            statement.push(", ");
            let Some(tenant) = tenant else {
                statement.push(column);
                continue;
            };
            statement
                .push("CASE WHEN r.tenant <> '' OR EXISTS (SELECT 1 FROM identity i JOIN device d \
                     ON d.tenant = i.tenant AND d.id = i.device WHERE d.first_seen_at > 0 AND i.tenant = ")
                .arg(tenant)
                .push(" AND i.kind = ")
                .arg(IdentityKind::UspEndpoint.as_str())
                .push(" AND i.value = r.endpoint_id) THEN ")
                .push(column)
                .push(" ELSE ")
                .arg(PEER_HIDDEN)
                .push(" END");
        }
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

async fn record(tx: &mut Tx, owner: String, refusal: NewRefusal, others: SecretHash) -> Result<()> {
    let cut = |text: String| text.chars().take(TEXT_CHARS_MAX).collect::<String>();
    let new = RefusalRecord {
        last: NewRefusal {
            reason: cut(refusal.reason),
            detail: cut(refusal.detail),
            peer: cut(refusal.peer),
            source: cut(refusal.source),
            endpoint_id: cut(refusal.endpoint_id),
            transport: cut(refusal.transport),
            ..refusal
        },
        first_at: refusal.at,
        times: 1,
    };
    if count(tx, &owner, &new).await? {
        return Ok(());
    }
    if !new.last.endpoint_id.is_empty() {
        fold(tx, &owner, &new.last, others).await?;
    }
    // Of each source what counts for many and then its last one, then of each the one before: whoever comes with ever
    // other names pushes out its own.
    let trim = sql("DELETE FROM refusal WHERE tenant = $1 AND key IN (SELECT key FROM (SELECT key, last_at, \
         row_number() OVER (PARTITION BY source ORDER BY CASE endpoint_id WHEN '' THEN 0 ELSE 1 END, last_at DESC, key) \
         AS place FROM refusal WHERE tenant = $1) AS ranked ORDER BY place, last_at DESC, key LIMIT 100 OFFSET $2)")
    .bind(owner)
    .bind(REFUSALS_MAX);
    tx.execute(trim).await.map(drop)
}

/// Counts them; false where there was none like them.
async fn count(tx: &mut Tx, owner: &str, new: &RefusalRecord) -> Result<bool> {
    let last = &new.last;
    let again = sql(
        "UPDATE refusal SET detail = $3, peer = $4, source = $7, last_at = CASE WHEN last_at > $5 \
         THEN last_at ELSE $5 END, times = times + $6 WHERE tenant = $1 AND key = $2",
    )
    .bind(owner)
    .bind(last.key)
    .bind(&last.detail)
    .bind(&last.peer)
    .bind(last.at)
    .bind(new.times)
    .bind(&last.source);
    if tx.execute(again).await? > 0 {
        return Ok(true);
    }
    // Another node may write the first of them at the same moment.
    let insert = sql("INSERT INTO refusal AS r (tenant, key, reason, detail, peer, source, endpoint_id, transport, \
         first_at, last_at, times) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
         ON CONFLICT (tenant, key) DO UPDATE SET detail = excluded.detail, peer = excluded.peer, \
         last_at = CASE WHEN r.last_at > excluded.last_at THEN r.last_at ELSE excluded.last_at END, \
         times = r.times + excluded.times")
    .bind(owner)
    .bind(last.key)
    .bind(&last.reason)
    .bind(&last.detail)
    .bind(&last.peer)
    .bind(&last.source)
    .bind(&last.endpoint_id)
    .bind(&last.transport)
    .bind(new.first_at)
    .bind(last.at)
    .bind(new.times);
    tx.execute(insert).await?;
    Ok(false)
}

/// The name of this source that came longest ago is counted with its others, when there are too many. Of those that
/// came at the same moment the new one stays.
async fn fold(tx: &mut Tx, owner: &str, new: &NewRefusal, others: SecretHash) -> Result<()> {
    let oldest = sql("SELECT key, peer, first_at, last_at, times FROM refusal WHERE tenant = $1 AND source = $2 \
         AND reason = $3 AND transport = $4 AND endpoint_id <> '' ORDER BY last_at DESC, CASE WHEN key = $6 THEN 0 ELSE 1 END, key \
         LIMIT 1 OFFSET $5")
    .bind(owner)
    .bind(&new.source)
    .bind(&new.reason)
    .bind(&new.transport)
    .bind(REFUSALS_PER_SOURCE_MAX)
    .bind(new.key);
    let Some(row) = tx.optional(oldest).await? else {
        return Ok(());
    };
    let mut c = row.columns();
    let key: SecretHash = c.take()?;
    let (peer, first_at, at, times) = (c.take()?, c.take()?, c.take()?, c.take()?);
    let delete = sql("DELETE FROM refusal WHERE tenant = $1 AND key = $2");
    if tx.execute(delete.bind(owner).bind(key)).await? == 0 {
        return Ok(());
    }
    let others = RefusalRecord {
        last: NewRefusal {
            at,
            peer,
            detail: format!(
                "under other names, of which the last {REFUSALS_PER_SOURCE_MAX} are kept"
            ),
            endpoint_id: String::new(),
            key: others,
            ..new.clone()
        },
        first_at,
        times,
    };
    count(tx, owner, &others).await.map(drop)
}

fn read(row: &Row) -> Result<RefusalRecord> {
    let mut c = row.columns();
    Ok(RefusalRecord {
        last: NewRefusal {
            at: c.take()?,
            reason: c.take()?,
            detail: c.take()?,
            peer: c.take()?,
            source: c.take()?,
            endpoint_id: c.take()?,
            transport: c.take()?,
            key: c.take()?,
        },
        first_at: c.take()?,
        times: c.take()?,
    })
}
