//! What devices are known by. An identity leads to one device of its tenant; a device has several. How two devices
//! that turn out to be one are merged is in `merge`.

use fleet::{DeviceId, Event, Identity, TenantId, Timestamp};

use crate::device::{exists, refresh};
use crate::error::{Error, Result};
use crate::limits::IDENTITIES_MAX;
use crate::sql::{Row, sql};
use crate::text::check_text;
use crate::writer::Tx;
use crate::{Store, readable, touched};

/// An identity with its evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRecord {
    /// The identity.
    pub identity: Identity,
    /// The device it leads to.
    pub device: DeviceId,
    /// Who says so.
    pub source: String,
    /// Since when it is known.
    pub at: Timestamp,
}

impl Store {
    /// The device that an identity leads to.
    pub async fn device_by_identity(
        &self,
        tenant: &TenantId,
        identity: &Identity,
    ) -> Result<Option<DeviceId>> {
        let statement =
            sql("SELECT device FROM identity WHERE tenant = $1 AND kind = $2 AND value = $3")
                .bind(tenant)
                .bind(identity.kind.as_str())
                .bind(&identity.value);
        let row = self.optional(statement).await?;
        row.map(|row| row.columns().take()).transpose()
    }

    /// The identities of a device.
    pub async fn identity_list(
        &self,
        tenant: &TenantId,
        device: DeviceId,
    ) -> Result<Vec<IdentityRecord>> {
        let statement = sql("SELECT kind, value, device, source, at FROM identity \
             WHERE tenant = $1 AND device = $2 ORDER BY kind, value")
        .bind(tenant)
        .bind(device);
        readable(&self.all(statement).await?, "identity", read_identity)
    }

    /// The devices that have these endpoint ids, in whichever tenant.
    pub async fn identity_endpoints(
        &self,
        endpoint_ids: &[String],
    ) -> Result<Vec<(String, TenantId, DeviceId)>> {
        let mut statement = sql(
            "SELECT value, tenant, device FROM identity WHERE kind = 'usp_endpoint' AND value IN ",
        );
        statement.list(endpoint_ids);
        let rows = self.all(statement).await?;
        crate::collect(&rows, |row| {
            let mut c = row.columns();
            Ok((c.take()?, c.take()?, c.take()?))
        })
    }

    /// Adds identities to a device. Those that lead to another device stay there and are returned.
    pub async fn identity_attach(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        identities: Vec<Identity>,
        source: String,
        now: Timestamp,
        events: Vec<Event>,
    ) -> Result<Vec<IdentityRecord>> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                exists(tx, &tenant, device).await?;
                let taken = attach(tx, &tenant, device, &identities, &source, now).await?;
                refresh(tx, &tenant, device).await?;
                tx.append_all(events).await?;
                Ok(taken)
            })
        })
        .await
    }

    /// Takes an identity from a device.
    pub async fn identity_detach(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        identity: Identity,
        events: Vec<Event>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let delete =
                    sql("DELETE FROM identity WHERE tenant = $1 AND device = $2 AND kind = $3 AND value = $4")
                        .bind(&tenant)
                        .bind(device)
                        .bind(identity.kind.as_str())
                        .bind(identity.value);
                touched(tx.execute(delete).await?, "identity")?;
                refresh(tx, &tenant, device).await?;
                tx.append_all(events).await
            })
        })
        .await
    }
}

/// Adds identities; those that lead to another device are returned.
pub(crate) async fn attach(
    tx: &mut Tx,
    tenant: &TenantId,
    device: DeviceId,
    identities: &[Identity],
    source: &str,
    now: Timestamp,
) -> Result<Vec<IdentityRecord>> {
    let mut taken = Vec::new();
    for identity in identities {
        check_text(&identity.value)?;
        let there = sql("SELECT kind, value, device, source, at FROM identity \
             WHERE tenant = $1 AND kind = $2 AND value = $3")
        .bind(tenant)
        .bind(identity.kind.as_str())
        .bind(&identity.value);
        if let Some(row) = tx.optional(there).await? {
            let record = read_identity(&row)?;
            if record.device != device {
                taken.push(record);
            }
            continue;
        }
        let count = sql("SELECT count(*) FROM identity WHERE tenant = $1 AND device = $2")
            .bind(tenant)
            .bind(device);
        tx.at_most(count, "identities of a device", IDENTITIES_MAX as u64)
            .await?;
        let insert = sql("INSERT INTO identity (tenant, kind, value, device, source, at) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(tenant)
            .bind(identity.kind.as_str())
            .bind(&identity.value)
            .bind(device)
            .bind(source)
            .bind(now);
        tx.execute(insert).await?;
    }
    Ok(taken)
}

fn read_identity(row: &Row) -> Result<IdentityRecord> {
    let mut c = row.columns();
    let kind: String = c.take()?;
    Ok(IdentityRecord {
        identity: Identity {
            kind: kind
                .parse()
                .map_err(|()| Error::damaged(format!("an identity of unknown kind {kind:?}")))?,
            value: c.take()?,
        },
        device: c.take()?,
        source: c.take()?,
        at: c.take()?,
    })
}
