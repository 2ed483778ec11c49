//! Management paths: the ways to a device, one per transport, with the credentials it shows (as hashes), who holds
//! the link now, and what is known of it. Credentials move from pending to current to superseded.

use fleet::onboarding::TokenStatus;
use fleet::{DeviceId, Event, NodeId, SetupKeyId, TenantId, Timestamp};
use serde_json::Value;

use crate::device::ever;
use crate::error::{Error, Result};
use crate::limits::PAGE_MAX;
use crate::sql::{Columns, from_json_or_empty, json, sql};
use crate::{SecretHash, Store, readable, search, touched};

/// A way to a device.
#[derive(Debug, Clone, PartialEq)]
pub struct PathRecord {
    /// Tenant.
    pub tenant: TenantId,
    /// Device.
    pub device: DeviceId,
    /// Transport: `websocket`, `mqtt`, `stomp` or `cwmp`.
    pub transport: String,
    /// Endpoint id it answers to.
    pub endpoint_id: String,
    /// Where we dial it; `None` when it dials us.
    pub dial_url: Option<String>,
    /// It has come with its own credential.
    pub has_current: bool,
    /// A credential was sent to it and not seen from it yet, since then.
    pub pending_at: Option<Timestamp>,
    /// The setup key it last came with.
    pub setup_key: Option<SetupKeyId>,
    /// The same, of one that is to be swapped for a credential as soon as the device is heard.
    pub swap_key: Option<SetupKeyId>,
    /// Until when an operator lets it in with a setup key again.
    pub readmit_until: Option<Timestamp>,
    /// Only a client certificate opens it.
    pub certificate_required: bool,
    /// What the last connection told, for people.
    pub info: Value,
    /// Address it last came from.
    pub peer: String,
    /// How it last proved who it is.
    pub authenticated_by: String,
    /// The node that holds its link.
    pub node: Option<NodeId>,
    /// Number of its last link; a newer link has a greater one.
    pub link: u64,
    /// When it last connected.
    pub connected_at: Option<Timestamp>,
    /// When it last disconnected.
    pub disconnected_at: Option<Timestamp>,
    /// Why.
    pub disconnect_reason: String,
    /// When it was last used, or the device last heard over it; of an open connection whose device may be silent for long,
    /// when the node that holds it said last that it does.
    pub heard_at: Option<Timestamp>,
    /// Of one that is used at intervals: until when it was expected again.
    pub expected_by: Option<Timestamp>,
}

/// A path to make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathSetup {
    /// Transport: `websocket`.
    pub transport: String,
    /// Endpoint id it answers to.
    pub endpoint_id: String,
    /// Where we dial it.
    pub dial_url: Option<String>,
    /// Only a client certificate opens it.
    pub certificate_required: bool,
}

/// What may be changed about how a device is reached; `None` leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathPatch {
    /// Transport of the path that is dialled: `websocket`.
    pub transport: String,
    /// Endpoint id of a path that is made because there is none yet.
    pub endpoint_id: String,
    /// Where we dial it, or that we do not.
    pub dial_url: Option<Option<String>>,
    /// Only a client certificate opens the device, on each of its paths.
    pub certificate_required: Option<bool>,
}

/// A link that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct PathLink {
    /// Transport: `websocket`.
    pub transport: String,
    /// Endpoint id it came with.
    pub endpoint_id: String,
    /// The node that holds it.
    pub node: NodeId,
    /// Address it came from.
    pub peer: String,
    /// How it proved who it is.
    pub authenticated_by: String,
    /// The setup key it came with.
    pub setup_key: Option<SetupKeyId>,
    /// What it told.
    pub info: Value,
    /// When.
    pub at: Timestamp,
}

/// A link that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathEnd {
    /// Transport: `websocket`.
    pub transport: String,
    /// Number of the link, as [`Store::path_connected`] gave it.
    pub link: u64,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// It left as it was asked to: when it should be back.
    pub back_by: Option<Timestamp>,
}

/// The path that a credential opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialMatch {
    /// Tenant.
    pub tenant: TenantId,
    /// Device.
    pub device: DeviceId,
    /// Transport.
    pub transport: String,
    /// Endpoint id it answers to.
    pub endpoint_id: String,
    /// Where the credential stands.
    pub status: TokenStatus,
}

/// Of a path, in the order of [`read`].
pub(crate) const COLUMNS: &str = "SELECT tenant, device, transport, endpoint_id, dial_url, credential_hash, pending_at, \
     setup_key, swap_key, readmit_until, certificate_required, info, peer, authenticated_by, node, link, \
     connected_at, disconnected_at, disconnect_reason, heard_at, expected_by";

impl Store {
    /// The path that a credential opens, in whichever tenant.
    pub async fn path_by_credential(&self, hash: &SecretHash) -> Result<Option<CredentialMatch>> {
        let statement = sql("SELECT tenant, device, transport, endpoint_id, credential_hash, \
             CASE WHEN former_pending_hash = $1 THEN former_pending_hash ELSE pending_hash END \
             FROM management_path WHERE credential_hash = $1 OR pending_hash = $1 OR former_pending_hash = $1 \
             OR previous_hash = $1")
        .bind(hash);
        let mut best: Option<CredentialMatch> = None;
        for row in self.all(statement).await? {
            let mut c = row.columns();
            let (tenant, device, transport, endpoint_id) =
                (c.take()?, c.take()?, c.take()?, c.take()?);
            let (current, pending): (Option<SecretHash>, Option<SecretHash>) =
                (c.take()?, c.take()?);
            let status = status(hash, current.as_ref(), pending.as_ref());
            if best.is_none() || status != TokenStatus::Superseded {
                best = Some(CredentialMatch {
                    tenant,
                    device,
                    transport,
                    endpoint_id,
                    status,
                });
            }
        }
        Ok(best)
    }

    /// The ways to a device.
    pub async fn path_list(&self, tenant: &TenantId, device: DeviceId) -> Result<Vec<PathRecord>> {
        let statement = sql(COLUMNS)
            .then(" FROM management_path WHERE tenant = $1 AND device = $2 ORDER BY transport")
            .bind(tenant)
            .bind(device);
        readable(&self.all(statement).await?, "path", |row| {
            read(&mut row.columns())
        })
    }

    /// One way to a device.
    pub async fn path(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        transport: &str,
    ) -> Result<Option<PathRecord>> {
        let statement = sql(COLUMNS)
            .then(" FROM management_path WHERE tenant = $1 AND device = $2 AND transport = $3")
            .bind(tenant)
            .bind(device)
            .bind(transport);
        let row = self.optional(statement).await?;
        row.map(|row| read(&mut row.columns())).transpose()
    }

    /// The paths of a tenant that we dial, in order of the device after the given one.
    pub async fn path_list_dialled(
        &self,
        tenant: &TenantId,
        after: Option<DeviceId>,
        limit: usize,
    ) -> Result<Vec<PathRecord>> {
        let mut statement = sql(COLUMNS)
            .then(" FROM management_path WHERE tenant = $1 AND dial_url IS NOT NULL")
            .bind(tenant);
        if let Some(after) = after {
            statement.push(" AND device > ").arg(after);
        }
        statement
            .push(" ORDER BY device LIMIT ")
            .arg(limit.clamp(1, PAGE_MAX));
        readable(&self.all(statement).await?, "path", |row| {
            read(&mut row.columns())
        })
    }

    /// The paths of a tenant over one transport, in order of the device after the given one.
    pub async fn path_list_over(
        &self,
        tenant: &TenantId,
        transport: &str,
        after: Option<DeviceId>,
        limit: usize,
    ) -> Result<Vec<PathRecord>> {
        let mut statement = sql(COLUMNS)
            .then(" FROM management_path WHERE tenant = $1 AND transport = $2")
            .bind(tenant)
            .bind(transport);
        if let Some(after) = after {
            statement.push(" AND device > ").arg(after);
        }
        statement
            .push(" ORDER BY device LIMIT ")
            .arg(limit.clamp(1, PAGE_MAX));
        readable(&self.all(statement).await?, "path", |row| {
            read(&mut row.columns())
        })
    }

    /// How many devices a broker of this name has had registered by its word over this transport that were never
    /// onboarded; of many, `limit`.
    pub async fn path_unfinished_behind(
        &self,
        tenant: &TenantId,
        transport: &str,
        broker: &str,
        limit: usize,
    ) -> Result<usize> {
        let statement = sql("SELECT d.id FROM device d \
             JOIN management_path p ON p.tenant = d.tenant AND p.device = d.id AND p.transport = $2 \
             JOIN identity i ON i.tenant = d.tenant AND i.device = d.id AND i.source = 'broker' \
             WHERE d.tenant = $1 AND d.onboarding <> 'complete' AND replace(p.info, $3, '') <> p.info LIMIT $4")
        .bind(tenant)
        .bind(transport)
        .bind(behind(&broker.to_owned())?)
        .bind(limit);
        Ok(self.all(statement).await?.len())
    }

    /// Removes a path with its credentials.
    pub async fn path_delete(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        transport: &str,
        events: Vec<Event>,
    ) -> Result<()> {
        let delete =
            "DELETE FROM management_path WHERE tenant = $1 AND device = $2 AND transport = $3";
        self.path_change(
            tenant,
            sql(delete).bind(tenant).bind(device).bind(transport),
            events,
        )
        .await
    }

    /// Takes all credentials away; the device needs a setup key again.
    pub async fn path_revoke(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        transport: &str,
        events: Vec<Event>,
    ) -> Result<()> {
        let update = sql(
            "UPDATE management_path SET previous_hash = coalesce(credential_hash, previous_hash), \
             credential_hash = NULL, pending_hash = NULL, pending_at = NULL, former_pending_hash = NULL, \
             swap_key = NULL, swap_until = NULL WHERE tenant = $1 AND device = $2 AND transport = $3",
        )
        .bind(tenant)
        .bind(device)
        .bind(transport);
        self.path_change(tenant, update, events).await
    }

    /// A link was made: the path (made when there is none) and the device's evidence say so. The number of the link.
    pub async fn path_connected(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        link: PathLink,
        events: Vec<Event>,
    ) -> Result<u64> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let before = sql("SELECT external_ip, address FROM device WHERE tenant = $1 AND id = $2")
                    .bind(&tenant)
                    .bind(device);
                let before = tx.optional(before).await?.ok_or(Error::NotFound("device"))?;
                let mut before = before.columns();
                let (told, before): (String, String) = (before.take()?, before.take()?);
                let update = sql("UPDATE device SET connected_at = $1, address = $2, \
                     heard_at = CASE WHEN heard_at > $1 THEN heard_at ELSE $1 END, \
                     first_seen_at = CASE WHEN first_seen_at = 0 THEN $1 ELSE first_seen_at END \
                     WHERE tenant = $3 AND id = $4")
                .bind(link.at)
                .bind(&link.peer)
                .bind(&tenant)
                .bind(device);
                touched(tx.execute(update).await?, "device")?;
                if told.is_empty() {
                    search::came_from(tx, &tenant, device, &before, &link.peer).await?;
                }
                let upsert = sql("INSERT INTO management_path (tenant, device, transport, endpoint_id, setup_key, \
                     certificate_required, info, peer, authenticated_by, node, link, connected_at, \
                     heard_at, disconnect_reason) VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $8, $9, 1, $10, $10, '') \
                     ON CONFLICT (tenant, device, transport) DO UPDATE SET endpoint_id = excluded.endpoint_id, \
                     setup_key = coalesce(excluded.setup_key, management_path.setup_key), info = excluded.info, \
                     peer = excluded.peer, authenticated_by = excluded.authenticated_by, node = excluded.node, \
                     link = management_path.link + 1, connected_at = excluded.connected_at, \
                     heard_at = CASE WHEN management_path.heard_at > excluded.heard_at \
                     THEN management_path.heard_at ELSE excluded.heard_at END \
                     RETURNING link")
                .bind(&tenant)
                .bind(device)
                .bind(link.transport)
                .bind(link.endpoint_id)
                .bind(link.setup_key)
                .bind(json(&link.info)?)
                .bind(link.peer)
                .bind(link.authenticated_by)
                .bind(link.node.as_str())
                .bind(link.at);
                let row = tx.optional(upsert).await?;
                let number = row.ok_or(Error::NotFound("path"))?.columns().take()?;
                tx.append_all(events).await?;
                Ok(number)
            })
        })
        .await
    }

    /// A link ended. False, and nothing changed, when a newer link has replaced it.
    pub async fn path_disconnected(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        end: PathEnd,
        events: Vec<Event>,
    ) -> Result<bool> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let update = sql("UPDATE management_path SET node = NULL, disconnected_at = $1, disconnect_reason = $2 \
                     WHERE tenant = $3 AND device = $4 AND transport = $5 AND link = $6 AND node IS NOT NULL")
                .bind(end.at)
                .bind(end.reason)
                .bind(&tenant)
                .bind(device)
                .bind(end.transport)
                .bind(end.link);
                if tx.execute(update).await? == 0 {
                    return Ok(false);
                }
                lost(tx, &tenant, device, end.at, end.back_by).await?;
                tx.append_all(events).await?;
                Ok(true)
            })
        })
        .await
    }

    pub(crate) async fn path_change(
        &self,
        tenant: &TenantId,
        statement: crate::Sql,
        events: Vec<Event>,
    ) -> Result<()> {
        self.write(tenant, move |tx| {
            Box::pin(async move {
                touched(tx.execute(statement).await?, "path")?;
                tx.append_all(events).await
            })
        })
        .await
    }
}

/// What stands in the path of a device that is behind a broker of this name.
pub(crate) fn behind(broker: &String) -> Result<String> {
    Ok(format!("\"broker\":{}", json(broker)?))
}

/// Notes the loss on the device, unless another path of it still has a link.
pub(crate) async fn lost(
    tx: &mut crate::Tx,
    tenant: &TenantId,
    device: DeviceId,
    at: Timestamp,
    back_by: Option<Timestamp>,
) -> Result<()> {
    // Never before the connection it ends: of two equal times the later event wins.
    let update = sql("UPDATE device SET disconnected_at = CASE WHEN connected_at > $1 THEN connected_at ELSE $1 END, \
         back_by = $4 WHERE tenant = $2 AND id = $3 AND NOT EXISTS (SELECT 1 FROM management_path p \
         WHERE p.tenant = $2 AND p.device = $3 AND p.node IS NOT NULL)")
    .bind(at)
    .bind(tenant)
    .bind(device)
    .bind(back_by.unwrap_or_default());
    tx.execute(update).await.map(drop)
}

/// Where a credential stands that opens a path.
pub(crate) fn status(
    hash: &SecretHash,
    current: Option<&SecretHash>,
    pending: Option<&SecretHash>,
) -> TokenStatus {
    match hash {
        hash if current == Some(hash) => TokenStatus::Current,
        hash if pending == Some(hash) => TokenStatus::Pending,
        _ => TokenStatus::Superseded,
    }
}

/// Reads [`COLUMNS`].
pub(crate) fn read(c: &mut Columns<'_>) -> Result<PathRecord> {
    Ok(PathRecord {
        tenant: c.take()?,
        device: c.take()?,
        transport: c.take()?,
        endpoint_id: c.take()?,
        dial_url: c.take()?,
        has_current: c.take::<Option<Vec<u8>>>()?.is_some(),
        pending_at: c.take()?,
        setup_key: c.take()?,
        swap_key: c.take()?,
        readmit_until: c.take()?,
        certificate_required: c.take()?,
        info: from_json_or_empty(&c.take::<String>()?, "what a connection told"),
        peer: c.take()?,
        authenticated_by: c.take()?,
        node: c
            .take::<Option<String>>()?
            .map(|node| NodeId::parse(&node).map_err(Error::damaged))
            .transpose()?,
        link: c.take()?,
        connected_at: c.take()?,
        disconnected_at: c.take()?,
        disconnect_reason: c.take()?,
        heard_at: ever(c.take()?),
        expected_by: ever(c.take()?),
    })
}
