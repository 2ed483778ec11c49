//! Tags of a device as rows to find it by. The device's own column shows them.

use fleet::{DeviceId, TenantId};

use crate::error::Result;
use crate::sql::sql;
use crate::writer::Tx;

/// Adds tags to a device.
pub(crate) async fn write_tags(
    tx: &mut Tx,
    tenant: &TenantId,
    device: DeviceId,
    tags: &[String],
) -> Result<()> {
    for tag in tags {
        let insert =
            sql("INSERT INTO device_tag (tenant, tag, device) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
                .bind(tenant)
                .bind(tag)
                .bind(device);
        tx.execute(insert).await?;
    }
    Ok(())
}
