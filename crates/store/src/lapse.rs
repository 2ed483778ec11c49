//! Links that the store knows and nobody holds any more, because the node that held them was killed or does not say so;
//! and those that were written off while a node still had them.

use fleet::{DeviceId, Event, EventKind, NodeId, TenantId, Timestamp};
use serde_json::json;

use crate::error::Result;
use crate::path::{behind, lost};
use crate::sql::{Sql, sql};
use crate::{Store, Tx, collect};

/// Why a link is written off.
const UNHEARD: &str = "no server has heard it for too long";

impl Store {
    /// Writes off the links of devices that no node has heard since then, whoever held them, and tells the log once of
    /// each device (`device.disconnected`). Which; no more than `limit`.
    pub async fn path_lapse(
        &self,
        tenant: &TenantId,
        since: Timestamp,
        at: Timestamp,
        limit: usize,
    ) -> Result<Vec<DeviceId>> {
        let tenant = tenant.clone();
        // The words of `Evidence::linked`. Looked up before the write: mostly there is none.
        let unheard = unheard(sql(""), &tenant, since, limit);
        let found: Vec<DeviceId> = collect(&self.all(unheard).await?, |row| row.columns().take())?;
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

    /// A node starts: every link that it held before is over, but for those of devices behind these brokers. The devices
    /// that lost their link.
    pub async fn path_reset_node(
        &self,
        tenant: &TenantId,
        node: &NodeId,
        except: &[String],
        reason: String,
        at: Timestamp,
    ) -> Result<Vec<DeviceId>> {
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
                update.push(" RETURNING device");
                let devices: Vec<DeviceId> = collect(&tx.all(update).await?, |row| row.columns().take())?;
                for device in &devices {
                    lost(tx, &tenant, *device, at, None).await?;
                }
                Ok(devices)
            })
        })
        .await
    }

    /// Notes that devices were heard; times only move forward. One commit for all of them. Those that were heard after
    /// their last link was written off: who has one says so ([`Store::path_relinked`]).
    pub async fn device_heard(
        &self,
        tenant: &TenantId,
        heard: Vec<(DeviceId, Timestamp)>,
    ) -> Result<Vec<DeviceId>> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let mut written_off = Vec::new();
                for (device, at) in heard {
                    let update = sql("UPDATE device SET heard_at = $1 WHERE tenant = $2 AND id = $3 AND heard_at < $1 \
                         RETURNING connected_at, disconnected_at")
                        .bind(at)
                        .bind(&tenant)
                        .bind(device);
                    let Some(row) = tx.optional(update).await? else {
                        continue;
                    };
                    let mut row = row.columns();
                    let (up, down): (Timestamp, Timestamp) = (row.take()?, row.take()?);
                    if up <= down && down < at {
                        written_off.push(device);
                    }
                }
                Ok(written_off)
            })
        })
        .await
    }

    /// A node has a link that was written off, by another that did not know better, and heard its device since. The new
    /// number of the link; `None`, and nothing changed, where the path has a link.
    pub async fn path_relinked(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        transport: &str,
        node: &NodeId,
        at: Timestamp,
        events: Vec<Event>,
    ) -> Result<Option<u64>> {
        let key = (tenant.clone(), transport.to_owned(), node.clone());
        self.write(tenant, move |tx| {
            Box::pin(async move {
                let (tenant, transport, node) = key;
                let path = sql("UPDATE management_path SET node = $4, link = link + 1, connected_at = $5 \
                     WHERE tenant = $1 AND device = $2 AND transport = $3 AND node IS NULL RETURNING link")
                .bind(&tenant)
                .bind(device)
                .bind(&transport)
                .bind(node.as_str())
                .bind(at);
                let Some(row) = tx.optional(path).await? else {
                    return Ok(None);
                };
                let number = row.columns().take()?;
                // Never at the moment of the loss it takes back: of two equal times that one wins.
                let update = sql("UPDATE device SET connected_at = CASE WHEN disconnected_at >= $3 THEN disconnected_at + 1 \
                     ELSE $3 END WHERE tenant = $1 AND id = $2")
                .bind(&tenant)
                .bind(device)
                .bind(at);
                tx.execute(update).await?;
                tx.append_all(events).await?;
                Ok(Some(number))
            })
        })
        .await
    }
}

/// Devices with a link that were not heard since then.
fn unheard(mut statement: Sql, tenant: &TenantId, since: Timestamp, limit: usize) -> Sql {
    statement
        .push("SELECT id FROM device WHERE tenant = ")
        .arg(tenant);
    statement.push(" AND heard_at < ").arg(since);
    statement
        .push(" AND connected_at > disconnected_at LIMIT ")
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
    // It may have been heard meanwhile.
    let unheard = sql(
        "SELECT id FROM device WHERE tenant = $1 AND id = $2 AND heard_at < $3 \
         AND connected_at > disconnected_at",
    )
    .bind(tenant)
    .bind(device)
    .bind(since);
    if tx.optional(unheard).await?.is_none() {
        return Ok(false);
    }
    let paths = sql(
        "UPDATE management_path SET node = NULL, disconnected_at = $1, disconnect_reason = $2 \
         WHERE tenant = $3 AND device = $4 AND node IS NOT NULL",
    )
    .bind(at)
    .bind(UNHEARD)
    .bind(tenant)
    .bind(device);
    tx.execute(paths).await?;
    lost(tx, tenant, device, at, None).await?;
    let event = Event::new(tenant.clone(), at, EventKind::DeviceDisconnected)
        .device(device)
        .actor("system")
        .data(json!({ "reason": UNHEARD, "expected": null }));
    tx.append(event, None).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn links_that_nobody_hears_are_looked_for_among_those_that_there_are() {
        let database = crate::testing::sqlite().await.unwrap();
        let tenant = TenantId::parse("acme").unwrap();
        let statement = unheard(sql("EXPLAIN QUERY PLAN "), &tenant, Timestamp(1), 500);
        let plan = crate::testing::plan(&database.store, statement).await;
        assert!(
            plan.contains("device_linked (tenant=? AND heard_at"),
            "{plan}"
        );
    }
}
