//! Devices that somebody registers before they come, or to be dialled, and changes later. Those that come by themselves
//! with a setup key are made in `device`.

use fleet::{DeviceId, Event, TenantId, Timestamp};

use crate::device::{self, DevicePatch, NewDevice};
use crate::error::{Error, Result};
use crate::path::{PathPatch, PathSetup};
use crate::sql::{Sql, sql};
use crate::writer::Tx;
use crate::{SecretHash, Store, touched};

impl Store {
    /// Makes a device that is expected to come, or to be dialled, with its path and the credential it comes with: all of
    /// it or nothing.
    pub async fn device_expect(
        &self,
        tenant: &TenantId,
        new: NewDevice,
        setup: PathSetup,
        credential: Option<SecretHash>,
        events: Vec<Event>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let (id, at) = (new.id, new.created_at);
                device::insert(tx, &tenant, new).await?;
                let transport = setup.transport.clone();
                put(tx, &tenant, id, setup).await?;
                if let Some(hash) = credential {
                    tx.execute(pending(&tenant, id, &transport, hash, at))
                        .await?;
                }
                tx.append_all(events).await
            })
        })
        .await
    }

    /// Makes a path of a device that is there, over which it is expected to come; one that is there stays as it is.
    pub async fn path_expect(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        setup: PathSetup,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let there = sql("UPDATE device SET id = id WHERE tenant = $1 AND id = $2")
                    .bind(&tenant)
                    .bind(device);
                touched(tx.execute(there).await?, "device")?;
                put(tx, &tenant, device, setup).await
            })
        })
        .await
    }

    /// Changes what is noted about a device and how it is reached: all of it or nothing. Credentials stay. The path that
    /// is to be dialled is made when there is none, and so is one for a device that has no path at all. A device that we
    /// dial and that only a client certificate opens is invalid.
    pub async fn device_revise(
        &self,
        tenant: &TenantId,
        id: DeviceId,
        patch: DevicePatch,
        reach: PathPatch,
        now: Timestamp,
        events: Vec<Event>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                device::update(tx, &tenant, id, patch, now).await?;
                if reach.dial_url.is_some() || reach.certificate_required.is_some() {
                    redirect(tx, &tenant, id, reach).await?;
                }
                tx.append_all(events).await
            })
        })
        .await
    }
}

async fn redirect(tx: &mut Tx, tenant: &TenantId, device: DeviceId, to: PathPatch) -> Result<()> {
    let any = sql("SELECT link FROM management_path WHERE tenant = $1 AND device = $2 LIMIT 1")
        .bind(tenant)
        .bind(device);
    if matches!(to.dial_url, Some(Some(_))) || tx.optional(any).await?.is_none() {
        let setup = PathSetup {
            transport: to.transport.clone(),
            endpoint_id: to.endpoint_id,
            ..PathSetup::default()
        };
        put(tx, tenant, device, setup).await?;
    }
    if let Some(url) = to.dial_url {
        let update = sql("UPDATE management_path SET dial_url = $4 \
             WHERE tenant = $1 AND device = $2 AND transport = $3")
        .bind(tenant)
        .bind(device)
        .bind(to.transport)
        .bind(url);
        tx.execute(update).await?;
    }
    if let Some(required) = to.certificate_required {
        // Of each way to it: one that is left open would open the device.
        let update = sql("UPDATE management_path SET certificate_required = $3 \
             WHERE tenant = $1 AND device = $2")
        .bind(tenant)
        .bind(device)
        .bind(required);
        tx.execute(update).await?;
    }
    let both = sql(
        "SELECT link FROM management_path WHERE tenant = $1 AND device = $2 \
         AND dial_url IS NOT NULL AND certificate_required = 1",
    )
    .bind(tenant)
    .bind(device);
    match tx.optional(both).await? {
        None => Ok(()),
        Some(_) => Err(Error::Invalid(
            "a device that is dialled cannot be asked for a certificate".to_owned(),
        )),
    }
}

/// Makes a path within a transaction, where there is none yet.
async fn put(tx: &mut Tx, tenant: &TenantId, device: DeviceId, setup: PathSetup) -> Result<()> {
    let upsert = sql(
        "INSERT INTO management_path (tenant, device, transport, endpoint_id, dial_url, \
         certificate_required, info, peer, authenticated_by, link, disconnect_reason) \
         VALUES ($1, $2, $3, $4, $5, $6, 'null', '', '', 0, '') \
         ON CONFLICT (tenant, device, transport) DO NOTHING",
    )
    .bind(tenant)
    .bind(device)
    .bind(setup.transport)
    .bind(setup.endpoint_id)
    .bind(setup.dial_url)
    .bind(setup.certificate_required);
    tx.execute(upsert).await.map(drop)
}

/// The statement that remembers a credential on its way to the device.
pub(crate) fn pending(
    tenant: &TenantId,
    device: DeviceId,
    transport: &str,
    hash: SecretHash,
    now: Timestamp,
) -> Sql {
    sql(
        "UPDATE management_path SET former_pending_hash = CASE WHEN pending_hash = $4 THEN former_pending_hash \
         ELSE coalesce(pending_hash, former_pending_hash) END, pending_hash = $4, pending_at = $5 \
         WHERE tenant = $1 AND device = $2 AND transport = $3",
    )
    .bind(tenant)
    .bind(device)
    .bind(transport)
    .bind(hash)
    .bind(now)
}
