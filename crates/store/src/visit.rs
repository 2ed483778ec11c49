//! Devices that come at intervals instead of keeping a link open: that they came, until when their silence is normal,
//! and that they stay away. How presence follows from that is decided in `fleet::presence`.

use std::collections::{HashMap, HashSet};

use fleet::presence::{Evidence, Presence, PresenceConfig};
use fleet::{DeviceId, Event, EventKind, SetupKeyId, TenantId, Timestamp};
use serde_json::{Value, json};

use crate::device::{ever, ip_of};
use crate::error::Result;
use crate::limits::VISIT_EXPECTED_MAX;
use crate::sql::{Arg, Bulk, json as text, sql};
use crate::writer::Tx;
use crate::{Store, collect, search};

/// A device came.
#[derive(Debug, Clone, PartialEq)]
pub struct Visit {
    /// Which.
    pub device: DeviceId,
    /// When.
    pub at: Timestamp,
    /// Until when it need not come again; no more than [`VISIT_EXPECTED_MAX`] from now counts.
    pub expected_by: Timestamp,
    /// The way it came.
    pub path: VisitPath,
}

/// The way a device came.
#[derive(Debug, Clone, PartialEq)]
pub struct VisitPath {
    /// Transport: `cwmp`.
    pub transport: String,
    /// The name it has there.
    pub endpoint_id: String,
    /// Address it came from.
    pub peer: String,
    /// How it proved who it is.
    pub authenticated_by: String,
    /// The setup key it came with.
    pub setup_key: Option<SetupKeyId>,
    /// What it told, for people.
    pub info: Value,
}

impl Store {
    /// Notes that devices came; a path is made where there is none. One that was gone, or never there, is told to the
    /// log (`device.connected`). One commit for all of them; those that were removed meanwhile are left out.
    pub async fn device_visited(&self, tenant: &TenantId, visits: Vec<Visit>) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let mut left = visits;
                while let Some(first) = left.first() {
                    // Those that come twice find what the first visit has made of it.
                    let (transport, mut devices) = (first.path.transport.clone(), HashSet::new());
                    let (once, again) = left.into_iter().partition(|visit| {
                        visit.path.transport == transport && devices.insert(visit.device)
                    });
                    came(tx, &tenant, &transport, once).await?;
                    left = again;
                }
                Ok(())
            })
        })
        .await
    }

    /// Notes of devices that stay away that they are gone, and tells the log once of each
    /// (`device.disconnected`). Which; no more than `limit`.
    pub async fn device_lapse(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DeviceId>> {
        let tenant = tenant.clone();
        // The words of `Evidence::lapses_at`. Looked up before the write: mostly there is none.
        let overdue = sql(
            "SELECT id FROM device WHERE tenant = $1 AND expected_by > 0 AND expected_by < $2 \
             AND expected_by - heard_at < $2 - expected_by ORDER BY id LIMIT $3",
        )
        .bind(&tenant)
        .bind(now)
        .bind(limit);
        let found: Vec<DeviceId> = collect(&self.all(overdue).await?, |row| row.columns().take())?;
        if found.is_empty() {
            return Ok(found);
        }
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let mut gone = Vec::new();
                for device in found {
                    if lapse(tx, &tenant, device, now).await? {
                        gone.push(device);
                    }
                }
                Ok(gone)
            })
        })
        .await
    }
}

/// Notes the visits of different devices, with few statements for all of them.
async fn came(
    tx: &mut Tx,
    tenant: &TenantId,
    transport: &str,
    mut visits: Vec<Visit>,
) -> Result<()> {
    let devices = visits.iter().map(|visit| visit.device);
    let known = evidence(tx, tenant, transport, devices).await?;
    // One that is told late, behind a newer one, is no news.
    visits.retain(|visit| {
        let known = known.get(&visit.device);
        known.is_some_and(|known| known.came_at <= Some(visit.at))
    });
    if visits.is_empty() {
        return Ok(());
    }
    let mut rows = Vec::with_capacity(visits.len());
    for visit in &visits {
        rows.push((visit, text(&visit.path.info)?));
    }
    let upsert = Bulk {
        into: "INSERT INTO management_path (tenant, device, transport, endpoint_id, setup_key, info, peer, \
               authenticated_by, connected_at, heard_at, expected_by, certificate_required, link, disconnect_reason) \
               VALUES ",
        then: " ON CONFLICT (tenant, device, transport) DO UPDATE SET endpoint_id = excluded.endpoint_id, \
               setup_key = coalesce(excluded.setup_key, management_path.setup_key), info = excluded.info, \
               peer = excluded.peer, authenticated_by = excluded.authenticated_by, \
               connected_at = CASE WHEN management_path.expected_by = 0 \
               OR management_path.disconnected_at >= management_path.connected_at \
               THEN excluded.connected_at ELSE management_path.connected_at END, \
               heard_at = excluded.heard_at, expected_by = excluded.expected_by",
        columns: 14,
    };
    let row = |(visit, info): (&Visit, String), args: &mut Vec<Arg>| {
        let (at, path) = (visit.at, &visit.path);
        let latest = Timestamp(at.0.saturating_add(VISIT_EXPECTED_MAX));
        args.extend([
            tenant.into(),
            visit.device.into(),
            transport.into(),
            (&path.endpoint_id).into(),
            path.setup_key.into(),
            info.into(),
            (&path.peer).into(),
            (&path.authenticated_by).into(),
            at.into(),
            at.into(),
            visit.expected_by.min(latest).into(),
            false.into(),
            0u64.into(),
            "".into(),
        ]);
    };
    tx.bulk(upsert, rows, row).await?;
    let mut update = sql("UPDATE device SET address = path.peer, expected_by = path.expected_by, \
         heard_at = CASE WHEN device.heard_at > path.heard_at THEN device.heard_at ELSE path.heard_at END, \
         first_seen_at = CASE WHEN first_seen_at = 0 THEN path.heard_at ELSE first_seen_at END \
         FROM management_path AS path WHERE path.tenant = $1 AND path.device = device.id AND path.transport = $2 \
         AND device.tenant = $1 AND device.id IN ")
    .bind(tenant)
    .bind(transport);
    update.list(visits.iter().map(|visit| visit.device));
    tx.execute(update).await?;
    for Visit {
        device, at, path, ..
    } in visits
    {
        let Some(known) = known.get(&device) else {
            continue;
        };
        let was = fleet::presence::presence(&known.evidence, at, &PresenceConfig::default());
        let gone = matches!(was, Presence::Offline | Presence::Never);
        let moved = ip_of(&known.address) != ip_of(&path.peer);
        if known.external_ip.is_empty() && (gone || moved) {
            search::came_from(tx, tenant, device, &known.address, &path.peer).await?;
        }
        if gone {
            let event = Event::new(tenant.clone(), at, EventKind::DeviceConnected)
                .device(device)
                .data(json!({
                    "transport": path.transport,
                    "peer": path.peer,
                    "credential": path.authenticated_by,
                }));
            tx.append(event, None).await?;
        }
    }
    Ok(())
}

/// Whether it is gone in fact: it may have come since it was looked up.
async fn lapse(tx: &mut Tx, tenant: &TenantId, device: DeviceId, now: Timestamp) -> Result<bool> {
    let known = evidence(tx, tenant, "", [device]).await?.remove(&device);
    let Some(Known { evidence, .. }) = known else {
        return Ok(false);
    };
    let Some(lapsed) = evidence.lapses_at().filter(|at| *at < now) else {
        return Ok(false);
    };
    let linked = evidence.linked();
    let update = sql("UPDATE device SET expected_by = 0, disconnected_at = CASE WHEN $1 = 1 OR disconnected_at > $2 \
         THEN disconnected_at ELSE $2 END WHERE tenant = $3 AND id = $4")
    .bind(linked)
    .bind(lapsed)
    .bind(tenant)
    .bind(device);
    tx.execute(update).await?;
    let reason = "it did not come when it was expected";
    let path = sql(
        "UPDATE management_path SET disconnected_at = $1, disconnect_reason = $2 \
         WHERE tenant = $3 AND device = $4 AND expected_by > 0",
    )
    .bind(lapsed)
    .bind(reason)
    .bind(tenant)
    .bind(device);
    tx.execute(path).await?;
    if !linked {
        let event = Event::new(tenant.clone(), now, EventKind::DeviceDisconnected)
            .device(device)
            .actor("system")
            .data(json!({
                "reason": reason,
                "expected_by": evidence.expected_by.unwrap_or_default().to_string(),
            }));
        tx.append(event, None).await?;
    }
    Ok(!linked)
}

/// What is known of a device.
struct Known {
    evidence: Evidence,
    external_ip: String,
    /// Where it last came from.
    address: String,
    /// When it last came, over the transport that was asked for.
    came_at: Option<Timestamp>,
}

/// What is known of those devices that exist.
async fn evidence(
    tx: &mut Tx,
    tenant: &TenantId,
    transport: &str,
    devices: impl IntoIterator<Item = DeviceId>,
) -> Result<HashMap<DeviceId, Known>> {
    let mut statement = sql(
        "SELECT d.id, d.connected_at, d.disconnected_at, d.heard_at, d.expected_by, d.back_by, d.external_ip, \
         d.address, path.heard_at FROM device AS d LEFT JOIN management_path AS path ON path.tenant = d.tenant \
         AND path.device = d.id AND path.transport = $2 WHERE d.tenant = $1 AND d.id IN ",
    )
    .bind(tenant)
    .bind(transport);
    statement.list(devices);
    let mut known = HashMap::new();
    for row in tx.all(statement).await? {
        let mut c = row.columns();
        let device = c.take()?;
        let evidence = Evidence {
            connected_at: ever(c.take()?),
            disconnected_at: ever(c.take()?),
            heard_at: ever(c.take()?),
            expected_by: ever(c.take()?),
            back_by: ever(c.take()?),
        };
        let one = Known {
            evidence,
            external_ip: c.take()?,
            address: c.take()?,
            came_at: c.take()?,
        };
        known.insert(device, one);
    }
    Ok(known)
}
