//! Under which user name a path comes: mostly the id of its device, else the id it had before a merge or a split.

use fleet::DeviceId;
use fleet::onboarding::TokenStatus;

use crate::error::Result;
use crate::path::{COLUMNS, PathRecord, read, status};
use crate::sql::sql;
use crate::{SecretHash, Store};

/// A device that comes again: all that letting it in needs, read at once.
#[derive(Debug, Clone)]
pub struct Returning {
    /// The way it comes.
    pub path: PathRecord,
    /// Its tenant is disabled.
    pub tenant_disabled: bool,
    /// The document that was asked for, if it is kept.
    pub document: Option<Vec<u8>>,
    current: Option<SecretHash>,
    pending: Option<SecretHash>,
    previous: Option<SecretHash>,
}

impl Returning {
    /// Where a credential of the path stands; `None` when it is none of its.
    pub fn status(&self, hash: &SecretHash) -> Option<TokenStatus> {
        [self.current, self.pending, self.previous]
            .contains(&Some(*hash))
            .then(|| status(hash, self.current.as_ref(), self.pending.as_ref()))
    }
}

/// The path that comes under a name, the present one first.
const BY_LOGIN: &str = " WHERE (login = $1 OR device = $1) AND transport = $2 \
     ORDER BY CASE WHEN login = $1 THEN 0 ELSE 1 END LIMIT 1";

impl Store {
    /// The way that comes under the id of a device, in whichever tenant it is: that of the device itself, or one that
    /// came under this id before a merge or a split.
    pub async fn path_of_device(
        &self,
        device: DeviceId,
        transport: &str,
    ) -> Result<Option<PathRecord>> {
        let statement = sql(COLUMNS)
            .then(" FROM management_path")
            .then(BY_LOGIN)
            .bind(device)
            .bind(transport);
        let row = self.optional(statement).await?;
        row.map(|row| read(&mut row.columns())).transpose()
    }

    /// The same way, with what else letting a device in needs: the credentials that open it, the document that is
    /// kept of the device under `document`, and whether its tenant is disabled.
    pub async fn returning(
        &self,
        device: DeviceId,
        transport: &str,
        document: &str,
    ) -> Result<Option<Returning>> {
        let statement = sql(COLUMNS)
            .then(
                ", (SELECT disabled_at FROM tenant WHERE id = management_path.tenant), \
                 (SELECT document FROM device_state AS kept WHERE kept.tenant = management_path.tenant \
                 AND kept.device = management_path.device AND kept.name = $3), \
                 credential_hash, pending_hash, previous_hash FROM management_path",
            )
            .then(BY_LOGIN)
            .bind(device)
            .bind(transport)
            .bind(document);
        let Some(row) = self.optional(statement).await? else {
            return Ok(None);
        };
        let mut c = row.columns();
        let path = read(&mut c)?;
        let disabled_at: Option<fleet::Timestamp> = c.take()?;
        Ok(Some(Returning {
            path,
            tenant_disabled: disabled_at.is_some(),
            document: c.take()?,
            current: c.take()?,
            pending: c.take()?,
            previous: c.take()?,
        }))
    }
}
