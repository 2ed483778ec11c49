//! Under which user name a path comes: mostly the id of its device, else the id it had before a merge or a split.

use fleet::DeviceId;

use crate::Store;
use crate::error::Result;
use crate::path::{PathRecord, SELECT, read};
use crate::sql::sql;

impl Store {
    /// The way that comes under the id of a device, in whichever tenant it is: that of the device itself, or one that
    /// came under this id before a merge or a split.
    pub async fn path_of_device(
        &self,
        device: DeviceId,
        transport: &str,
    ) -> Result<Option<PathRecord>> {
        let statement = sql(SELECT)
            .then(
                " WHERE (login = $1 OR device = $1) AND transport = $2 \
                 ORDER BY CASE WHEN login = $1 THEN 0 ELSE 1 END LIMIT 1",
            )
            .bind(device)
            .bind(transport);
        let row = self.optional(statement).await?;
        row.map(|row| read(&row)).transpose()
    }
}
