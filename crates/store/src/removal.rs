//! What goes with a device: every row that hangs on it but its log.

use fleet::{DeviceId, TenantId};

use crate::error::Result;
use crate::sql::sql;
use crate::writer::Tx;

/// In this order.
const STATEMENTS: &[&str] = &[
    "DELETE FROM transcript WHERE tenant = $1 AND operation IN \
     (SELECT id FROM operation WHERE tenant = $1 AND device = $2)",
    "DELETE FROM transfer WHERE tenant = $1 AND device = $2",
    "UPDATE file SET device = NULL WHERE tenant = $1 AND device = $2",
    "DELETE FROM operation WHERE tenant = $1 AND device = $2",
    "DELETE FROM value_document WHERE tenant = $1 AND device = $2",
    "DELETE FROM device_state WHERE tenant = $1 AND device = $2",
    "DELETE FROM management_session WHERE tenant = $1 AND device = $2",
    "DELETE FROM fault_seen WHERE tenant = $1 AND device = $2",
    "DELETE FROM device_match WHERE tenant = $1 AND (device = $2 OR other = $2)",
    "DELETE FROM former_device WHERE tenant = $1 AND device = $2",
    "DELETE FROM management_path WHERE tenant = $1 AND device = $2",
    "DELETE FROM identity WHERE tenant = $1 AND device = $2",
    "DELETE FROM device_tag WHERE tenant = $1 AND device = $2",
    "DELETE FROM device_term WHERE tenant = $1 AND device = $2",
];

/// Removes the rows that hang on a device; its own row is the caller's.
pub(crate) async fn of_device(tx: &mut Tx, tenant: &TenantId, device: DeviceId) -> Result<()> {
    for text in STATEMENTS {
        tx.execute(sql(text).bind(tenant).bind(device)).await?;
    }
    Ok(())
}
