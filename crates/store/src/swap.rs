//! Credentials on their way to devices that came with a setup key. Several nodes may hear of such a device at the same
//! time; one of them swaps. What was sent stays good until the device shows what it took.

use fleet::{DeviceId, Event, NodeId, SetupKeyId, TenantId, Timestamp};

use crate::device::exists;
use crate::error::{Error, Result};
use crate::sql::sql;
use crate::{SecretHash, Store, expect};

/// Which node is about to swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwapClaim {
    /// The node. It may do it again at any time.
    pub node: NodeId,
    /// Now.
    pub at: Timestamp,
    /// Until when no other does.
    pub until: Timestamp,
    /// The device is linked to this node and to no other: whatever another was about to do came to nothing.
    pub alone: bool,
    /// It is heard through a broker: that it came with a setup key stands in its path and nowhere else, and it may have
    /// come with a credential of its own since.
    pub brokered: bool,
}

/// Whether a node may swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swap {
    /// It may, and the credential is remembered.
    Claimed,
    /// Nothing changed: another node is about to, until then.
    Held(Timestamp),
    /// Nothing changed: the device has shown a credential of its own since it was heard to have come with a setup key.
    Over,
}

impl Store {
    /// Remembers a credential that is on its way to the device. One that was pending before opens it, too, until one of
    /// them is confirmed; one before that is gone.
    pub async fn path_set_pending(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        transport: &str,
        hash: SecretHash,
        now: Timestamp,
        events: Vec<Event>,
    ) -> Result<()> {
        let update = expect::pending(tenant, device, transport, hash, now);
        self.path_change(tenant, update, events).await
    }

    /// The same for a device whose setup key is swapped, by one node at a time.
    pub async fn path_swap(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        transport: &str,
        hash: SecretHash,
        claim: SwapClaim,
        events: Vec<Event>,
    ) -> Result<Swap> {
        let key = (tenant.clone(), transport.to_owned());
        self.write(tenant, move |tx| {
            Box::pin(async move {
                let (tenant, transport) = key;
                let claimed = sql(
                    "UPDATE management_path SET swap_node = $4, swap_until = $5 \
                     WHERE tenant = $1 AND device = $2 AND transport = $3 \
                     AND (swap_until IS NULL OR swap_until <= $6 OR swap_node = $4 OR $7 = 1) \
                     AND ($8 = 0 OR swap_key IS NOT NULL OR credential_hash IS NULL)",
                )
                .bind(&tenant)
                .bind(device)
                .bind(&transport)
                .bind(claim.node.as_str())
                .bind(claim.until)
                .bind(claim.at)
                .bind(claim.alone)
                .bind(claim.brokered);
                if tx.execute(claimed).await? == 0 {
                    let known = sql(
                        "SELECT swap_until, swap_key, credential_hash FROM management_path \
                         WHERE tenant = $1 AND device = $2 AND transport = $3",
                    )
                    .bind(&tenant)
                    .bind(device)
                    .bind(&transport);
                    let known = tx.optional(known).await?.ok_or(Error::NotFound("path"))?;
                    let mut known = known.columns();
                    let until: Option<Timestamp> = known.take()?;
                    let key: Option<SetupKeyId> = known.take()?;
                    let own: Option<SecretHash> = known.take()?;
                    if claim.brokered && key.is_none() && own.is_some() {
                        return Ok(Swap::Over);
                    }
                    return Ok(Swap::Held(until.unwrap_or(claim.at)));
                }
                let pending = expect::pending(&tenant, device, &transport, hash, claim.at);
                tx.execute(pending).await?;
                tx.append_all(events).await?;
                Ok(Swap::Claimed)
            })
        })
        .await
    }

    /// The device did not take what this node has sent it, or nobody knows whether it did: any node may try again from
    /// this moment on.
    pub async fn path_swap_over(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        transport: &str,
        node: &NodeId,
        from: Timestamp,
        events: Vec<Event>,
    ) -> Result<()> {
        let over = sql("UPDATE management_path SET swap_until = CASE WHEN swap_node = $4 THEN $5 ELSE swap_until END \
             WHERE tenant = $1 AND device = $2 AND transport = $3")
        .bind(tenant)
        .bind(device)
        .bind(transport)
        .bind(node.as_str())
        .bind(from);
        self.path_change(tenant, over, events).await
    }

    /// A device came with a setup key where it is heard later, perhaps by another node: it is to be given a credential
    /// then. Its path is made where there is none.
    pub async fn path_came(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        transport: &str,
        endpoint_id: &str,
        key: SetupKeyId,
    ) -> Result<()> {
        let known = (tenant.clone(), transport.to_owned(), endpoint_id.to_owned());
        self.write(tenant, move |tx| {
            Box::pin(async move {
                let (tenant, transport, endpoint_id) = known;
                exists(tx, &tenant, device).await?;
                let upsert = sql("INSERT INTO management_path (tenant, device, transport, endpoint_id, setup_key, \
                     swap_key, certificate_required, info, peer, authenticated_by, link, disconnect_reason) \
                     VALUES ($1, $2, $3, $4, $5, $5, 0, 'null', '', '', 0, '') \
                     ON CONFLICT (tenant, device, transport) DO UPDATE SET setup_key = excluded.setup_key, \
                     swap_key = excluded.swap_key")
                .bind(&tenant)
                .bind(device)
                .bind(&transport)
                .bind(&endpoint_id)
                .bind(key);
                tx.execute(upsert).await.map(drop)
            })
        })
        .await
    }

    /// It came with a credential of its own after all.
    pub async fn path_came_itself(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        transport: &str,
    ) -> Result<()> {
        let update = sql("UPDATE management_path SET swap_key = NULL \
             WHERE tenant = $1 AND device = $2 AND transport = $3")
        .bind(tenant)
        .bind(device)
        .bind(transport);
        self.path_change(tenant, update, Vec::new()).await
    }

    /// The tenants in which a device has had this endpoint id since before this one had it; of many, some.
    pub async fn endpoint_known_before(
        &self,
        endpoint_id: &str,
        device: Option<DeviceId>,
        limit: usize,
    ) -> Result<Vec<TenantId>> {
        let mut statement =
            sql("SELECT i.tenant, i.device FROM identity i WHERE i.kind = 'usp_endpoint' AND i.value = $1")
                .bind(endpoint_id);
        if let Some(device) = device {
            // By when it got the name, which a device that it is merged into need not have had before.
            statement
                .push(
                    " AND EXISTS (SELECT 1 FROM identity own WHERE own.kind = 'usp_endpoint' AND own.value = $1 \
                     AND (i.at < own.at OR i.at = own.at AND i.device < own.device) AND own.device = ",
                )
                .arg(device);
            statement.push(")");
        }
        statement.push(" ORDER BY i.at, i.device LIMIT ").arg(limit);
        let rows = self.all(statement).await?;
        crate::collect(&rows, |row| row.columns().take())
    }
}
