//! Links that the store knows and nobody holds any more, because the node that held them was killed or does not say so;
//! and those that were written off while a node still had them.

use std::collections::{BTreeMap, BTreeSet};

use fleet::{DeviceId, Event, EventKind, NodeId, TenantId, Timestamp};
use serde_json::json;

use crate::error::Result;
use crate::path::{behind, lost};
use crate::sql::{Sql, sql};
use crate::{Store, Tx, collect};

/// Why a link is written off.
const UNHEARD: &str = "no server has heard it for too long";

/// Links of a device that are over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostLinks {
    /// Whose.
    pub device: DeviceId,
    /// The transports that it has no link over any more.
    pub over: Vec<String>,
    /// Those that it still has one over.
    pub still: Vec<String>,
}

impl LostLinks {
    /// What the log is told of it (`device.disconnected`).
    pub fn data(&self, reason: &str, expected: Option<&str>) -> serde_json::Value {
        json!({ "reason": reason, "expected": expected, "transport": self.over.join(" and "), "still": self.still })
    }
}

/// A sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Whose.
    pub device: DeviceId,
    /// Over what: `websocket`.
    pub transport: &'static str,
    /// When.
    pub at: Timestamp,
}

/// One link of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkNumber {
    /// Whose.
    pub device: DeviceId,
    /// Over what: `mqtt`.
    pub transport: &'static str,
    /// Its number, as [`Store::path_connected`] gave it, or [`Store::path_relinked`].
    pub link: u64,
}

/// What has become of links that a node holds, without its doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Astray {
    /// Those that were written off.
    pub written_off: Vec<LinkNumber>,
    /// Those whose devices have come anew since, to another node.
    pub replaced: Vec<LinkNumber>,
}

impl Store {
    /// Writes off the links over which no node has heard their devices since then, whoever held them, also where a
    /// device is heard in another way, and tells the log once of each device (`device.disconnected`). Which; of no more
    /// than `limit` devices.
    pub async fn path_lapse(
        &self,
        tenant: &TenantId,
        since: Timestamp,
        at: Timestamp,
        limit: usize,
    ) -> Result<Vec<DeviceId>> {
        let tenant = tenant.clone();
        // Looked up before the write: mostly there is none.
        let mut found = BTreeSet::new();
        for statement in [
            unheard(sql(""), &tenant, since, limit),
            unlinked(sql(""), &tenant, since, limit),
        ] {
            let some: Vec<DeviceId> =
                collect(&self.all(statement).await?, |row| row.columns().take())?;
            found.extend(some);
        }
        let found: Vec<DeviceId> = found.into_iter().take(limit).collect();
        if found.is_empty() {
            return Ok(found);
        }
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let mut gone = Vec::new();
                for device in found {
                    if lapse(tx, &tenant, device, since, at).await? {
                        gone.push(device);
                    }
                }
                Ok(gone)
            })
        })
        .await
    }

    /// A node starts: every link that it held before is over, but for those of devices behind these brokers. Which.
    pub async fn path_reset_node(
        &self,
        tenant: &TenantId,
        node: &NodeId,
        except: &[String],
        reason: String,
        at: Timestamp,
    ) -> Result<Vec<LostLinks>> {
        let (tenant, node) = (tenant.clone(), node.clone());
        let except = except.iter().map(behind).collect::<Result<Vec<_>>>()?;
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let mut update = sql("UPDATE management_path SET node = NULL, disconnected_at = $1, disconnect_reason = $2 \
                     WHERE tenant = $3 AND node = $4")
                .bind(at)
                .bind(reason)
                .bind(&tenant)
                .bind(node.as_str());
                for behind in except {
                    update.push(" AND replace(info, ").arg(behind).push(", '') = info");
                }
                update.push(" RETURNING device, transport");
                let mut over: BTreeMap<DeviceId, Vec<String>> = BTreeMap::new();
                for row in tx.all(update).await? {
                    let mut row = row.columns();
                    over.entry(row.take()?).or_default().push(row.take()?);
                }
                let mut all = Vec::with_capacity(over.len());
                for (device, over) in over {
                    all.push(lose(tx, &tenant, device, over, at).await?);
                }
                Ok(all)
            })
        })
        .await
    }

    /// Notes that devices were heard, and over what; times only move forward. One commit for all of them. Those that were
    /// heard after their last link was written off, which is named: who has one says so ([`Store::path_relinked`]).
    pub async fn path_heard(
        &self,
        tenant: &TenantId,
        heard: Vec<Heard>,
    ) -> Result<Vec<LinkNumber>> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let mut written_off = Vec::new();
                for Heard { device, transport, at } in heard {
                    let update = sql("UPDATE device SET heard_at = $1 WHERE tenant = $2 AND id = $3 AND heard_at < $1")
                        .bind(at)
                        .bind(&tenant)
                        .bind(device);
                    tx.execute(update).await?;
                    let update = sql("UPDATE management_path SET heard_at = $1 WHERE tenant = $2 AND device = $3 \
                         AND transport = $4 AND heard_at < $1 RETURNING node, disconnected_at, link")
                        .bind(at)
                        .bind(&tenant)
                        .bind(device)
                        .bind(transport);
                    let Some(row) = tx.optional(update).await? else {
                        continue;
                    };
                    let mut row = row.columns();
                    let (node, down): (Option<String>, Option<Timestamp>) = (row.take()?, row.take()?);
                    if node.is_none() && down.is_some_and(|down| down < at) {
                        let link = row.take()?;
                        written_off.push(LinkNumber { device, transport, link });
                    }
                }
                Ok(written_off)
            })
        })
        .await
    }

    /// A node has these links at that time, though nothing was heard over them: the connections are open, and their devices
    /// may say nothing for as long as they like. None is written off then ([`Store::path_lapse`]); when its device was
    /// heard stays as it is. One commit for all of them. Nothing is said of newer links of the devices: those that have
    /// one are over here, and those that were written off are taken back by who has them ([`Store::path_relinked`]).
    pub async fn path_held(
        &self,
        tenant: &TenantId,
        node: &NodeId,
        held: Vec<LinkNumber>,
        at: Timestamp,
    ) -> Result<Astray> {
        let (tenant, node) = (tenant.clone(), node.clone());
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let mut astray = Astray::default();
                for one in held {
                    let update = sql(
                        "UPDATE management_path SET heard_at = CASE WHEN node = $5 AND link = $6 \
                         AND heard_at < $1 THEN $1 ELSE heard_at END \
                         WHERE tenant = $2 AND device = $3 AND transport = $4 RETURNING node, link",
                    )
                    .bind(at)
                    .bind(&tenant)
                    .bind(one.device)
                    .bind(one.transport)
                    .bind(node.as_str())
                    .bind(one.link);
                    let Some(row) = tx.optional(update).await? else {
                        continue;
                    };
                    let mut row = row.columns();
                    let (by, link): (Option<String>, u64) = (row.take()?, row.take()?);
                    match by {
                        _ if link != one.link => astray.replaced.push(one),
                        Some(by) if by != node.as_str() => astray.replaced.push(one),
                        None => astray.written_off.push(one),
                        Some(_) => {}
                    }
                }
                Ok(astray)
            })
        })
        .await
    }

    /// A node has a link though the last one was written off, that one, by another that did not know better: it heard its
    /// device since, or it is that link. The new number of the link; `None`, and nothing changed, where the path has a
    /// link, or had a newer one.
    pub async fn path_relinked(
        &self,
        tenant: &TenantId,
        last: LinkNumber,
        node: &NodeId,
        at: Timestamp,
        events: Vec<Event>,
    ) -> Result<Option<u64>> {
        let (tenant, node) = (tenant.clone(), node.clone());
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let path = sql("UPDATE management_path SET node = $4, link = link + 1, connected_at = $5, \
                     heard_at = CASE WHEN heard_at > $5 THEN heard_at ELSE $5 END \
                     WHERE tenant = $1 AND device = $2 AND transport = $3 AND node IS NULL AND link = $6 RETURNING link")
                .bind(&tenant)
                .bind(last.device)
                .bind(last.transport)
                .bind(node.as_str())
                .bind(at)
                .bind(last.link);
                let Some(row) = tx.optional(path).await? else {
                    return Ok(None);
                };
                let number = row.columns().take()?;
                // Never at the moment of the loss it takes back: of two equal times that one wins.
                let update = sql("UPDATE device SET connected_at = CASE WHEN disconnected_at >= $3 THEN disconnected_at + 1 \
                     ELSE $3 END WHERE tenant = $1 AND id = $2")
                .bind(&tenant)
                .bind(last.device)
                .bind(at);
                tx.execute(update).await?;
                tx.append_all(events).await?;
                Ok(Some(number))
            })
        })
        .await
    }
}

/// That a link `p` was not heard since then. Whoever writes nothing of single links (a server of before), of that link or
/// of the time since it was made, is believed in what it writes of the device.
fn silence(statement: &mut Sql, since: Timestamp) {
    statement
        .push(" AND p.node IS NOT NULL AND p.heard_at < ")
        .arg(since);
    statement.push(
        " AND (p.heard_at >= p.connected_at OR EXISTS (SELECT 1 FROM device d WHERE d.tenant = p.tenant \
         AND d.id = p.device AND d.heard_at < ",
    );
    statement.arg(since).push("))");
}

/// Devices with a link over which they were not heard since then.
fn unheard(mut statement: Sql, tenant: &TenantId, since: Timestamp, limit: usize) -> Sql {
    statement
        .push("SELECT p.device FROM management_path p WHERE p.tenant = ")
        .arg(tenant);
    silence(&mut statement, since);
    statement.push(" LIMIT ").arg(limit);
    statement
}

/// Devices that count as linked (`Evidence::linked`), without a path that says so: it was removed.
fn unlinked(mut statement: Sql, tenant: &TenantId, since: Timestamp, limit: usize) -> Sql {
    statement
        .push("SELECT id FROM device WHERE tenant = ")
        .arg(tenant);
    statement.push(" AND heard_at < ").arg(since);
    statement
        .push(
            " AND connected_at > disconnected_at AND NOT EXISTS (SELECT 1 FROM management_path p \
             WHERE p.tenant = device.tenant AND p.device = device.id AND p.node IS NOT NULL) LIMIT ",
        )
        .arg(limit);
    statement
}

async fn lapse(
    tx: &mut Tx,
    tenant: &TenantId,
    device: DeviceId,
    since: Timestamp,
    at: Timestamp,
) -> Result<bool> {
    let mut paths = sql(
        "UPDATE management_path AS p SET node = NULL, disconnected_at = $1, disconnect_reason = $2 \
         WHERE p.tenant = $3 AND p.device = $4",
    )
    .bind(at)
    .bind(UNHEARD)
    .bind(tenant)
    .bind(device);
    silence(&mut paths, since);
    paths.push(" RETURNING transport");
    let over: Vec<String> = collect(&tx.all(paths).await?, |row| row.columns().take())?;
    if over.is_empty() {
        // It may have been heard meanwhile.
        let unlinked = sql(
            "SELECT id FROM device WHERE tenant = $1 AND id = $2 AND heard_at < $3 \
             AND connected_at > disconnected_at AND NOT EXISTS (SELECT 1 FROM management_path p \
             WHERE p.tenant = $1 AND p.device = $2 AND p.node IS NOT NULL)",
        )
        .bind(tenant)
        .bind(device)
        .bind(since);
        if tx.optional(unlinked).await?.is_none() {
            return Ok(false);
        }
    }
    let lost = lose(tx, tenant, device, over, at).await?;
    let event = Event::new(tenant.clone(), at, EventKind::DeviceDisconnected)
        .device(device)
        .actor("system")
        .data(lost.data(UNHEARD, None));
    tx.append(event, None).await?;
    Ok(true)
}

/// Notes that a device has no link over these any more, and what it has still.
async fn lose(
    tx: &mut Tx,
    tenant: &TenantId,
    device: DeviceId,
    over: Vec<String>,
    at: Timestamp,
) -> Result<LostLinks> {
    lost(tx, tenant, device, at, None).await?;
    let still = sql("SELECT transport FROM management_path WHERE tenant = $1 AND device = $2 AND node IS NOT NULL \
         ORDER BY transport")
    .bind(tenant)
    .bind(device);
    let still = collect(&tx.all(still).await?, |row| row.columns().take())?;
    Ok(LostLinks {
        device,
        over,
        still,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn links_that_nobody_hears_are_looked_for_among_those_that_there_are() {
        let database = crate::testing::sqlite().await.unwrap();
        let tenant = TenantId::parse("acme").unwrap();
        let explain = || sql("EXPLAIN QUERY PLAN ");
        for (statement, index) in [
            (
                unheard(explain(), &tenant, Timestamp(1), 500),
                "management_path_heard (tenant=? AND heard_at",
            ),
            (
                unlinked(explain(), &tenant, Timestamp(1), 500),
                "device_linked (tenant=? AND heard_at",
            ),
        ] {
            let plan = crate::testing::plan(&database.store, statement).await;
            assert!(plan.contains(index), "{plan}");
        }
    }
}
