//! The ids that devices had before they were merged with others: what happened then stays in the log under the old id.

use fleet::{DeviceId, TenantId};

use crate::error::Result;
use crate::limits::FORMER_IDS_MAX;
use crate::sql::sql;
use crate::writer::Tx;
use crate::{Store, collect};

impl Store {
    /// The ids that a device had before, the newest first; mostly none.
    pub async fn device_former(
        &self,
        tenant: &TenantId,
        device: DeviceId,
    ) -> Result<Vec<DeviceId>> {
        let statement =
            sql("SELECT former FROM former_device WHERE tenant = $1 AND device = $2 ORDER BY former DESC")
                .bind(tenant)
                .bind(device);
        collect(&self.all(statement).await?, |row| row.columns().take())
    }
}

/// Remembers that `from` is `into` from now on, and whatever was `from` before.
pub(crate) async fn remember(
    tx: &mut Tx,
    tenant: &TenantId,
    from: DeviceId,
    into: DeviceId,
) -> Result<()> {
    for text in [
        "UPDATE former_device SET device = $3 WHERE tenant = $1 AND device = $2",
        "INSERT INTO former_device (tenant, former, device) VALUES ($1, $2, $3)",
    ] {
        tx.execute(sql(text).bind(tenant).bind(from).bind(into))
            .await?;
    }
    let trim = sql("DELETE FROM former_device WHERE tenant = $1 AND former IN (SELECT former FROM former_device \
         WHERE tenant = $1 AND device = $2 ORDER BY former DESC LIMIT 100 OFFSET $3)")
    .bind(tenant)
    .bind(into)
    .bind(FORMER_IDS_MAX);
    tx.execute(trim).await.map(drop)
}
