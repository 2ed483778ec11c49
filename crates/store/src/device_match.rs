//! Two devices that may be one: what waits for a person, and what a person has decided.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use fleet::{DeviceId, Event, MatchId, TenantId, Timestamp};

use crate::device::{self, exists};
use crate::error::Result;
use crate::limits::{MATCHES_PER_TENANT_MAX, PAGE_MAX};
use crate::sql::{Row, Sql, sql};
use crate::text::cut;
use crate::writer::Tx;
use crate::{DeviceRecord, Store, readable, touched};

/// Two devices that may be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchRecord {
    /// Id.
    pub id: MatchId,
    /// The one that was known first.
    pub device: DeviceId,
    /// The one that came.
    pub other: DeviceId,
    /// The name that both have, with its kind.
    pub identity: String,
    /// Why that does not decide it, in words.
    pub reason: String,
    /// When it was noticed.
    pub created_at: Timestamp,
    /// When a person said that they are two.
    pub rejected_at: Option<Timestamp>,
    /// Who did.
    pub rejected_by: String,
}

const SELECT: &str = "SELECT id, device, other, identity, reason, created_at, rejected_at, rejected_by FROM device_match";

impl Store {
    /// Remembers that two devices may be one. False, and nothing is told to the log, when that is known of the two, or
    /// was decided. The oldest beyond the limit go.
    pub async fn match_suggest(
        &self,
        tenant: &TenantId,
        found: MatchRecord,
        events: Vec<Event>,
    ) -> Result<bool> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                exists(tx, &tenant, found.device).await?;
                exists(tx, &tenant, found.other).await?;
                if known(tx, &tenant, found.device, found.other)
                    .await?
                    .is_some()
                {
                    return Ok(false);
                }
                insert(tx, &tenant, found).await?;
                tx.append_all(events).await?;
                Ok(true)
            })
        })
        .await
    }

    /// The ones that wait for a person, or those that were rejected too: newest first.
    pub async fn match_list(
        &self,
        tenant: &TenantId,
        rejected_too: bool,
        before: Option<MatchId>,
        limit: usize,
    ) -> Result<Vec<MatchRecord>> {
        let mut statement = sql(SELECT);
        statement.push(" WHERE tenant = ").arg(tenant);
        if !rejected_too {
            statement.push(" AND rejected_at IS NULL");
        }
        if let Some(before) = before {
            statement.push(" AND id < ").arg(before);
        }
        statement
            .push(" ORDER BY id DESC LIMIT ")
            .arg(limit.clamp(1, PAGE_MAX + 1));
        readable(&self.all(statement).await?, "match", read)
    }

    /// The devices of these pairs, read at once; those that were removed meanwhile are missing.
    pub async fn match_devices(
        &self,
        tenant: &TenantId,
        pairs: &[MatchRecord],
    ) -> Result<HashMap<DeviceId, DeviceRecord>> {
        if pairs.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: BTreeSet<DeviceId> = pairs
            .iter()
            .flat_map(|one| [one.device, one.other])
            .collect();
        let mut statement = sql(device::SELECT);
        statement.push(" WHERE d.tenant = ").arg(tenant);
        statement.push(" AND d.id IN ").list(ids);
        let found = readable(&self.all(statement).await?, "device", device::read)?;
        Ok(found
            .into_iter()
            .map(|record| (record.device.id, record))
            .collect())
    }

    /// Whether a device other than these has come from an address since then, over whichever transport.
    pub async fn address_shared(
        &self,
        tenant: &TenantId,
        address: IpAddr,
        except: &[DeviceId],
        since: Timestamp,
    ) -> Result<bool> {
        let statement = shared(sql(""), tenant, address, except, since);
        Ok(self.optional(statement).await?.is_some())
    }

    /// One of them.
    pub async fn match_show(&self, tenant: &TenantId, id: MatchId) -> Result<MatchRecord> {
        let statement = sql(SELECT)
            .then(" WHERE tenant = $1 AND id = $2")
            .bind(tenant)
            .bind(id);
        let row = self.optional(statement).await?;
        read(&row.ok_or(crate::Error::NotFound("match"))?)
    }

    /// Whether a person has said that these are two.
    pub async fn match_rejected(
        &self,
        tenant: &TenantId,
        a: DeviceId,
        b: DeviceId,
    ) -> Result<bool> {
        let row = self.optional(pair(tenant, a, b)).await?;
        let record = row.map(|row| read(&row)).transpose()?;
        Ok(record.is_some_and(|record| record.rejected_at.is_some()))
    }

    /// A person says that these are two; a second time changes nothing.
    pub async fn match_reject(
        &self,
        tenant: &TenantId,
        id: MatchId,
        by: String,
        now: Timestamp,
        events: Vec<Event>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let update = sql("UPDATE device_match SET rejected_by = CASE WHEN rejected_at IS NULL THEN $1 \
                     ELSE rejected_by END, rejected_at = coalesce(rejected_at, $2) WHERE tenant = $3 AND id = $4")
                .bind(by)
                .bind(now)
                .bind(&tenant)
                .bind(id);
                touched(tx.execute(update).await?, "match")?;
                tx.append_all(events).await
            })
        })
        .await
    }
}

/// A statement, after this beginning, that looks for a path of another device from an address. The tenant and a range
/// stand in each of its ways to be written: only so SQLite looks all of them up.
fn shared(
    mut statement: Sql,
    tenant: &TenantId,
    address: IpAddr,
    except: &[DeviceId],
    since: Timestamp,
) -> Sql {
    statement.push("SELECT device FROM management_path WHERE (");
    for (n, spelled) in spellings(address).into_iter().enumerate() {
        // With a port: what comes after the colon is before the next character, which is a semicolon.
        let bare = match address {
            IpAddr::V4(_) if !spelled.contains(':') => spelled.clone(),
            _ => format!("[{spelled}]"),
        };
        statement.push(if n > 0 { " OR tenant = " } else { "tenant = " });
        statement.arg(tenant);
        statement.push(" AND peer >= ").arg(spelled.clone());
        statement.push(" AND peer <= ").arg(spelled);
        statement.push(" OR tenant = ").arg(tenant);
        statement.push(" AND peer > ").arg(format!("{bare}:"));
        statement.push(" AND peer < ").arg(format!("{bare};"));
    }
    statement
        .push(") AND (node IS NOT NULL OR connected_at >= ")
        .arg(since);
    statement.push(" OR heard_at >= ").arg(since).push(")");
    if !except.is_empty() {
        statement
            .push(" AND device NOT IN ")
            .list(except.iter().copied());
    }
    statement.push(" LIMIT 1");
    statement
}

/// How an address may stand in a path.
fn spellings(address: IpAddr) -> Vec<String> {
    match address {
        IpAddr::V4(v4) => vec![v4.to_string(), v4.to_ipv6_mapped().to_string()],
        IpAddr::V6(v6) => vec![v6.to_string()],
    }
}

fn pair(tenant: &TenantId, a: DeviceId, b: DeviceId) -> Sql {
    sql(SELECT)
        .then(" WHERE tenant = $1 AND (device = $2 AND other = $3 OR device = $3 AND other = $2) LIMIT 1")
        .bind(tenant)
        .bind(a)
        .bind(b)
}

async fn known(
    tx: &mut Tx,
    tenant: &TenantId,
    a: DeviceId,
    b: DeviceId,
) -> Result<Option<MatchRecord>> {
    let row = tx.optional(pair(tenant, a, b)).await?;
    row.map(|row| read(&row)).transpose()
}

/// That two are two, within a transaction: whatever was known of the pair is replaced.
pub(crate) async fn reject(tx: &mut Tx, tenant: &TenantId, record: MatchRecord) -> Result<()> {
    let delete = sql(
        "DELETE FROM device_match WHERE tenant = $1 AND (device = $2 AND other = $3 \
         OR device = $3 AND other = $2)",
    )
    .bind(tenant)
    .bind(record.device)
    .bind(record.other);
    tx.execute(delete).await?;
    insert(tx, tenant, record).await
}

async fn insert(tx: &mut Tx, tenant: &TenantId, found: MatchRecord) -> Result<()> {
    let insert = sql(
        "INSERT INTO device_match (tenant, id, device, other, identity, reason, created_at, \
         rejected_at, rejected_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(tenant)
    .bind(found.id)
    .bind(found.device)
    .bind(found.other)
    .bind(cut(&found.identity))
    .bind(cut(&found.reason))
    .bind(found.created_at)
    .bind(found.rejected_at)
    .bind(found.rejected_by);
    tx.execute(insert).await?;
    // What a person decided stays longest.
    let trim = sql("DELETE FROM device_match WHERE tenant = $1 AND id IN (SELECT id FROM device_match \
         WHERE tenant = $1 ORDER BY CASE WHEN rejected_at IS NULL THEN 1 ELSE 0 END, id DESC LIMIT 100 OFFSET $2)")
    .bind(tenant)
    .bind(MATCHES_PER_TENANT_MAX);
    tx.execute(trim).await.map(drop)
}

fn read(row: &Row) -> Result<MatchRecord> {
    let mut c = row.columns();
    Ok(MatchRecord {
        id: c.take()?,
        device: c.take()?,
        other: c.take()?,
        identity: c.take()?,
        reason: c.take()?,
        created_at: c.take()?,
        rejected_at: c.take()?,
        rejected_by: c.take()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_looked_up_and_not_searched_for() {
        let database = crate::testing::sqlite().await.unwrap();
        let tenant = TenantId::parse("acme").unwrap();
        for address in ["192.0.2.7", "2001:db8::7"] {
            let explain = sql("EXPLAIN QUERY PLAN ");
            let address = address.parse().unwrap();
            let statement = shared(explain, &tenant, address, &[], Timestamp(1));
            let plan = crate::testing::plan(&database.store, statement).await;
            let paths = plan.lines().filter(|line| line.contains("management_path"));
            let ways: Vec<&str> = paths.collect();
            assert!(ways.len() >= 2, "{plan}");
            let by_peer = |way: &&str| way.contains("management_path_peer (tenant=? AND peer");
            assert!(ways.iter().all(by_peer), "{plan}");
        }
    }
}
