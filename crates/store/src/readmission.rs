//! Readmission: an operator lets a device in with a setup key again, until it has come with a credential of its own.

use fleet::{DeviceId, Event, TenantId, Timestamp};

use crate::error::Result;
use crate::sql::sql;
use crate::{SecretHash, Store};

impl Store {
    /// Lets a device that has its own credential in with a setup key until then, on each of its paths: a factory reset
    /// takes all of its credentials.
    pub async fn path_readmit(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        until: Option<Timestamp>,
        events: Vec<Event>,
    ) -> Result<()> {
        let update = sql("UPDATE management_path SET readmit_until = $3 \
             WHERE tenant = $1 AND device = $2")
        .bind(tenant)
        .bind(device)
        .bind(until);
        self.path_change(tenant, update, events).await
    }

    /// The device came with its pending credential: that is current now, the old one superseded. The setup key no longer
    /// opens this path, nor another of the same protocol: its agent is one, and has its credential. One that was pending
    /// before the last one is as good: that one may still be on its way, and stays pending. False when neither is it.
    pub async fn path_confirm(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        transport: &str,
        hash: SecretHash,
        events: Vec<Event>,
    ) -> Result<bool> {
        let confirm = sql(
            "UPDATE management_path SET previous_hash = credential_hash, credential_hash = $4, \
             pending_at = CASE WHEN pending_hash = $4 THEN NULL ELSE pending_at END, \
             pending_hash = CASE WHEN pending_hash = $4 THEN NULL ELSE pending_hash END, \
             former_pending_hash = NULL, swap_key = NULL, swap_until = NULL \
             WHERE tenant = $1 AND device = $2 AND transport = $3 AND (pending_hash = $4 OR former_pending_hash = $4)",
        )
        .bind(tenant)
        .bind(device)
        .bind(transport)
        .bind(hash);
        let shut = sql("UPDATE management_path SET readmit_until = NULL \
             WHERE tenant = $1 AND device = $2 AND CASE WHEN transport = 'cwmp' THEN 1 ELSE 0 END = $3")
        .bind(tenant)
        .bind(device)
        .bind(transport == "cwmp");
        self.write(tenant, move |tx| {
            Box::pin(async move {
                if tx.execute(confirm).await? == 0 {
                    return Ok(false);
                }
                tx.execute(shut).await?;
                tx.append_all(events).await?;
                Ok(true)
            })
        })
        .await
    }
}
