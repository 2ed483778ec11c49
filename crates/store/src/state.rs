//! What an adapter remembers of a device, or of a model with one firmware, in documents of its own: the store keeps
//! them and does not look inside. No secrets belong here but sealed ones: nothing is masked, and nothing is sealed here.

use std::collections::BTreeMap;

use fleet::device::OnboardingState;
use fleet::{DeviceId, Event, TenantId, Timestamp};

use crate::error::{Error, Result};
use crate::limits::{MODEL_STATES_PER_TENANT_MAX, STATE_BYTES_MAX, STATES_MAX};
use crate::sql::{Row, sql};
use crate::text::check_text;
use crate::{Store, touched};

impl Store {
    /// What was kept of a device under a name.
    pub async fn state_get(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        name: &str,
    ) -> Result<Option<Vec<u8>>> {
        let statement = sql(
            "SELECT document FROM device_state WHERE tenant = $1 AND device = $2 AND name = $3",
        )
        .bind(tenant)
        .bind(device)
        .bind(name);
        document(self.optional(statement).await?)
    }

    /// What was kept of a device under these names, by name.
    pub async fn state_get_all(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        names: &[&str],
    ) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut statement =
            sql("SELECT name, document FROM device_state WHERE tenant = $1 AND device = $2")
                .bind(tenant)
                .bind(device);
        statement.push(" AND name IN ").list(names.iter().copied());
        let rows = self.all(statement).await?;
        let of = |row: &Row| {
            let mut c = row.columns();
            Ok((c.take()?, c.take()?))
        };
        rows.iter().map(of).collect()
    }

    /// What was kept of a device under a name, with how far the onboarding of the device is.
    pub async fn state_and_onboarding(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        name: &str,
    ) -> Result<(Option<Vec<u8>>, OnboardingState)> {
        let statement = sql(
            "SELECT d.onboarding, s.document FROM device d LEFT JOIN device_state s ON s.tenant = d.tenant \
             AND s.device = d.id AND s.name = $3 WHERE d.tenant = $1 AND d.id = $2",
        )
        .bind(tenant)
        .bind(device)
        .bind(name);
        let row = self.optional(statement).await?;
        let row = row.ok_or(Error::NotFound("device"))?;
        let mut c = row.columns();
        let onboarding = OnboardingState::of(&c.take::<String>()?);
        Ok((c.take()?, onboarding))
    }

    /// Keeps a document of a device under a name, in place of the one before. It goes with the device.
    pub async fn state_put(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        name: &str,
        document: Vec<u8>,
        now: Timestamp,
    ) -> Result<()> {
        let put = self.state_change(tenant, device, name, Some(document), now, Vec::new());
        put.await.map(drop)
    }

    /// Keeps a document of a device, or drops it (`None`), and tells the log, where that changes anything: what a
    /// person decides and an adapter goes by. Whether it did.
    pub async fn state_change(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        name: &str,
        document: Option<Vec<u8>>,
        now: Timestamp,
        events: Vec<Event>,
    ) -> Result<bool> {
        check(name, document.as_deref().unwrap_or_default())?;
        let (tenant, name) = (tenant.clone(), name.to_owned());
        self.write_of(&tenant.clone(), vec![device], move |tx| {
            Box::pin(async move {
                let Some(document) = document else {
                    let drop = sql("DELETE FROM device_state WHERE tenant = $1 AND device = $2 AND name = $3")
                        .bind(&tenant)
                        .bind(device)
                        .bind(&name);
                    let was_there = tx.execute(drop).await? > 0;
                    if was_there {
                        tx.append_all(events).await?;
                    }
                    return Ok(was_there);
                };
                let others = sql("SELECT count(*) FROM device_state WHERE tenant = $1 AND device = $2 AND name <> $3")
                    .bind(&tenant)
                    .bind(device)
                    .bind(&name);
                tx.at_most(others, "documents of a device", STATES_MAX).await?;
                // Only where there is a device: one that is removed meanwhile leaves nothing behind.
                let upsert = sql("INSERT INTO device_state (tenant, device, name, document, updated_at) \
                     SELECT tenant, id, $3, $4, $5 FROM device WHERE tenant = $1 AND id = $2 \
                     ON CONFLICT (tenant, device, name) DO UPDATE SET document = excluded.document, \
                     updated_at = excluded.updated_at")
                .bind(&tenant)
                .bind(device)
                .bind(name)
                .bind(document)
                .bind(now);
                touched(tx.execute(upsert).await?, "device")?;
                tx.append_all(events).await.map(|()| true)
            })
        })
        .await
    }

    /// What was kept of a model under a name.
    pub async fn model_state_get(
        &self,
        tenant: &TenantId,
        model_key: &str,
        name: &str,
    ) -> Result<Option<Vec<u8>>> {
        let statement = sql(
            "SELECT document FROM model_state WHERE tenant = $1 AND model_key = $2 AND name = $3",
        )
        .bind(tenant)
        .bind(model_key)
        .bind(name);
        document(self.optional(statement).await?)
    }

    /// Keeps a document of a model under a name, in place of the one before; what was not written for longest goes.
    pub async fn model_state_put(
        &self,
        tenant: &TenantId,
        model_key: &str,
        name: &str,
        document: Vec<u8>,
        now: Timestamp,
    ) -> Result<()> {
        check(name, &document)?;
        let (tenant, key, name) = (tenant.clone(), model_key.to_owned(), name.to_owned());
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                tx.head(&tenant).await?;
                let others = sql(
                    "SELECT count(*) FROM model_state WHERE tenant = $1 AND model_key = $2 AND name <> $3",
                )
                .bind(&tenant)
                .bind(&key)
                .bind(&name);
                tx.at_most(others, "documents of a model", STATES_MAX).await?;
                let upsert = sql("INSERT INTO model_state (tenant, model_key, name, document, updated_at) \
                     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, model_key, name) \
                     DO UPDATE SET document = excluded.document, updated_at = excluded.updated_at")
                .bind(&tenant)
                .bind(key)
                .bind(name)
                .bind(document)
                .bind(now);
                tx.execute(upsert).await?;
                let trim = sql("DELETE FROM model_state WHERE tenant = $1 AND (model_key, name) IN \
                     (SELECT model_key, name FROM model_state WHERE tenant = $1 \
                     ORDER BY updated_at DESC, model_key, name LIMIT 100 OFFSET $2)")
                .bind(&tenant)
                .bind(MODEL_STATES_PER_TENANT_MAX);
                tx.execute(trim).await.map(drop)
            })
        })
        .await
    }
}

fn document(row: Option<Row>) -> Result<Option<Vec<u8>>> {
    row.map(|row| row.columns().take()).transpose()
}

fn check(name: &str, document: &[u8]) -> Result<()> {
    check_text(name)?;
    if document.len() > STATE_BYTES_MAX {
        return Err(Error::LimitExceeded {
            what: "bytes of an adapter's document",
            max: STATE_BYTES_MAX as u64,
        });
    }
    Ok(())
}
