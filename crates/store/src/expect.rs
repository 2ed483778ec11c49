//! Devices that somebody registers before they come, or to be dialled. Those that come by themselves with a setup key
//! are made in `device`.

use fleet::{DeviceId, Event, TenantId, Timestamp};

use crate::device::{self, NewDevice};
use crate::error::Result;
use crate::path::PathSetup;
use crate::sql::{Sql, sql};
use crate::writer::Tx;
use crate::{SecretHash, Store};

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
}

/// Makes a path, or changes how it is reached, within a transaction.
pub(crate) async fn put(
    tx: &mut Tx,
    tenant: &TenantId,
    device: DeviceId,
    setup: PathSetup,
) -> Result<()> {
    let upsert = sql(
        "INSERT INTO management_path (tenant, device, transport, endpoint_id, dial_url, \
         certificate_required, info, peer, authenticated_by, link, disconnect_reason) \
         VALUES ($1, $2, $3, $4, $5, $6, 'null', '', '', 0, '') \
         ON CONFLICT (tenant, device, transport) DO UPDATE SET endpoint_id = excluded.endpoint_id, \
         dial_url = excluded.dial_url, certificate_required = excluded.certificate_required",
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
        "UPDATE management_path SET pending_hash = $4, pending_at = $5 \
         WHERE tenant = $1 AND device = $2 AND transport = $3",
    )
    .bind(tenant)
    .bind(device)
    .bind(transport)
    .bind(hash)
    .bind(now)
}
