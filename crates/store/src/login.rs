//! Under which user name a path comes: mostly the id of its device, else the id it had before a merge or a split. And
//! all that is looked up at once of a device that comes again.

use std::fmt;
use std::sync::Arc;

use fleet::device::OnboardingState;
use fleet::onboarding::TokenStatus;
use fleet::{DeviceId, Timestamp};

use crate::error::{Error, Result};
use crate::gather::{Found, Gather};
use crate::path::{COLUMNS, PathRecord, read, status};
use crate::sql::{Row, Sql, sql};
use crate::written::{Mark, Written};
use crate::{SecretHash, Store};

/// A device that comes again: all that letting it in and talking with it begin with, read at once.
#[derive(Debug)]
pub struct Returning {
    /// The way it comes.
    pub path: PathRecord,
    /// Its tenant is disabled.
    pub tenant_disabled: bool,
    /// How far its onboarding is.
    pub onboarding: OnboardingState,
    documents: Vec<(&'static str, Option<Vec<u8>>)>,
    read: (Written, Mark),
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

    /// Whether none of its documents was written since they were read, as far as this process knows.
    pub fn is_current(&self) -> bool {
        let (written, mark) = &self.read;
        written.is_unchanged(self.path.device, *mark)
    }

    /// A document that was asked for, if it is kept of the device.
    pub fn document(&self, name: &str) -> Option<&[u8]> {
        let mut documents = self.documents.iter();
        let (_, document) = documents.find(|(known, _)| *known == name)?;
        document.as_deref()
    }
}

/// Where devices are looked up that come again; those that come at the same time share a statement.
#[derive(Clone)]
pub struct Returners(Gather<DeviceId, Arc<Returning>>);

impl Returners {
    /// The way that comes under the id of a device, as [`Store::path_of_device`] finds it.
    pub async fn of(&self, login: DeviceId) -> Result<Option<Arc<Returning>>> {
        self.0.ask(login).await
    }
}

impl fmt::Debug for Returners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Returners")
    }
}

/// How many [`COLUMNS`] are, and where among them the device is.
const COLUMNS_COUNT: usize = 21;
const DEVICE: usize = 1;

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

    /// Where devices that come again over this transport are looked up, with these documents that are kept of them.
    pub fn returners(
        &self,
        transport: &'static str,
        documents: &'static [&'static str],
    ) -> Returners {
        let (readers, written) = (self.readers.clone(), self.written.clone());
        Returners(Gather::start(move |logins| {
            let readers = readers.clone();
            let read = (written.clone(), written.mark());
            Box::pin(async move {
                let statement = returning(sql(""), transport, documents, &logins);
                found(readers.all(statement).await?, documents, &read)
            })
        }))
    }
}

fn returning(
    mut statement: Sql,
    transport: &str,
    documents: &[&'static str],
    logins: &[DeviceId],
) -> Sql {
    statement.push(COLUMNS).push(
        ", login, (SELECT disabled_at FROM tenant WHERE id = management_path.tenant), \
         (SELECT onboarding FROM device WHERE tenant = management_path.tenant AND id = management_path.device), \
         credential_hash, pending_hash, previous_hash",
    );
    for name in documents {
        let kept = ", (SELECT document FROM device_state AS kept WHERE kept.tenant = management_path.tenant \
             AND kept.device = management_path.device AND kept.name = ";
        statement.push(kept).arg(*name).push(")");
    }
    statement.push(" FROM management_path WHERE transport = ");
    statement.arg(transport).push(" AND (login IN ");
    statement
        .list(logins.iter().copied())
        .push(" OR device IN ");
    statement.list(logins.iter().copied()).push(")");
    statement
}

fn found(
    rows: Vec<Row>,
    documents: &[&'static str],
    read: &(Written, Mark),
) -> Result<Found<DeviceId, Arc<Returning>>> {
    let (mut found, mut own) = (Found::new(), Found::new());
    for row in rows {
        let names = (
            row.columns_from(DEVICE).take(),
            row.columns_from(COLUMNS_COUNT).take(),
        );
        let (Ok(device), Ok(login)): (Result<DeviceId>, Result<Option<DeviceId>>) = names else {
            tracing::error!("the device of a management path cannot be read: it is left out");
            continue;
        };
        let one = match of_row(&row, documents, read) {
            Ok(one) => Ok(Arc::new(one)),
            Err(Error::Damaged(why)) => Err(why),
            Err(error) => return Err(error),
        };
        if let Some(login) = login {
            found.insert(login, one.clone());
        }
        own.insert(device, one);
    }
    // Whoever comes under a name is before the one whose id it is.
    for (device, one) in own {
        found.entry(device).or_insert(one);
    }
    Ok(found)
}

fn of_row(row: &Row, documents: &[&'static str], read_at: &(Written, Mark)) -> Result<Returning> {
    let mut rest = row.columns_from(COLUMNS_COUNT + 1);
    let disabled_at: Option<Timestamp> = rest.take()?;
    let onboarding: Option<String> = rest.take()?;
    let (current, pending, previous) = (rest.take()?, rest.take()?, rest.take()?);
    let documents = documents.iter().map(|name| Ok((*name, rest.take()?)));
    Ok(Returning {
        path: read(&mut row.columns())?,
        tenant_disabled: disabled_at.is_some(),
        onboarding: OnboardingState::of(&onboarding.unwrap_or_default()),
        documents: documents.collect::<Result<_>>()?,
        read: read_at.clone(),
        current,
        pending,
        previous,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_a_path_are_as_many_as_are_passed_over() {
        let names: Vec<&str> = COLUMNS.split(", ").collect();
        assert_eq!((names.len(), names[DEVICE]), (COLUMNS_COUNT, "device"));
    }

    #[tokio::test]
    async fn devices_that_come_again_are_looked_up_and_not_searched_for() {
        let database = crate::testing::sqlite().await.unwrap();
        for many in [1, 64] {
            let logins: Vec<_> = (0..many)
                .map(|n| DeviceId(uuid::Uuid::from_u128(n)))
                .collect();
            let explain = sql("EXPLAIN QUERY PLAN ");
            let statement = returning(explain, "cwmp", &["one", "two"], &logins);
            let plan = crate::testing::plan(&database.store, statement).await;
            assert!(plan.contains("management_path_login"), "{plan}");
            assert!(plan.contains("management_path_device"), "{plan}");
            assert!(!plan.contains("SCAN"), "{plan}");
        }
    }
}
