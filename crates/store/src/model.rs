//! Supported data models, kept once per model and firmware of a tenant and the protocol they were told over, compressed.

use fleet::model::Model;
use fleet::{Protocol, TenantId, Timestamp};

use crate::error::{Error, Result};
use crate::limits::MODELS_PER_TENANT_MAX;
use crate::sql::{json, sql};
use crate::value_codec::{deflate, inflate};
use crate::{DeviceRecord, Store};

/// A supported data model from the cache.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRecord {
    /// What it is of, as `fleet::model::model_key` makes it.
    pub key: String,
    /// The model.
    pub model: Model,
    /// When a device told it.
    pub discovered_at: Timestamp,
}

/// The keys of what a device supports, by the protocol over which it told it; empty where it has not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelKeys {
    /// Over USP.
    pub usp: String,
    /// Over CWMP.
    pub cwmp: String,
}

impl ModelKeys {
    /// What it supports over this protocol; empty where it has not told.
    pub fn over(&self, over: Protocol) -> &str {
        match over {
            Protocol::Usp => &self.usp,
            Protocol::Cwmp => &self.cwmp,
        }
    }
}

impl DeviceRecord {
    /// The key of the model it is asked by: of the two that a device with two protocols has, that of its open link;
    /// without one, of the sessions in which it comes. Empty when none is known.
    pub fn model_key(&self) -> &str {
        let evidence = &self.device.evidence;
        let sessions = !evidence.linked() && evidence.expected_by.is_some();
        match (self.models.usp.as_str(), self.models.cwmp.as_str()) {
            ("", only) | (only, "") => only,
            (_, cwmp) if sessions => cwmp,
            (usp, _) => usp,
        }
    }
}

impl Store {
    /// Keeps a model; the least recently used beyond the limit goes.
    pub async fn model_put(
        &self,
        tenant: &TenantId,
        key: &str,
        model: &Model,
        now: Timestamp,
    ) -> Result<()> {
        let body = deflate(json(model)?.as_bytes())?;
        let (tenant, key) = (tenant.clone(), key.to_owned());
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                tx.head(&tenant).await?;
                let upsert = sql("INSERT INTO model (tenant, key, body, discovered_at, used_at) VALUES ($1, $2, $3, $4, $4) \
                     ON CONFLICT (tenant, key) DO UPDATE SET body = excluded.body, \
                     discovered_at = excluded.discovered_at, used_at = excluded.used_at")
                .bind(&tenant)
                .bind(key)
                .bind(body)
                .bind(now);
                tx.execute(upsert).await?;
                let trim = sql("DELETE FROM model WHERE tenant = $1 AND key IN (SELECT key FROM model \
                     WHERE tenant = $1 ORDER BY used_at DESC, key LIMIT 100 OFFSET $2)")
                .bind(&tenant)
                .bind(MODELS_PER_TENANT_MAX);
                tx.execute(trim).await.map(drop)
            })
        })
        .await
    }

    /// The model of a key.
    pub async fn model(&self, tenant: &TenantId, key: &str) -> Result<Option<ModelRecord>> {
        let statement =
            sql("SELECT key, body, discovered_at FROM model WHERE tenant = $1 AND key = $2")
                .bind(tenant)
                .bind(key);
        let Some(row) = self.optional(statement).await? else {
            return Ok(None);
        };
        let mut c = row.columns();
        let (key, body): (String, Vec<u8>) = (c.take()?, c.take()?);
        Ok(Some(ModelRecord {
            key,
            model: serde_json::from_slice(&inflate(&body)?).map_err(Error::damaged)?,
            discovered_at: c.take()?,
        }))
    }

    /// Notes that a model is in use, which keeps it in the cache.
    pub async fn model_touch(&self, tenant: &TenantId, key: &str, now: Timestamp) -> Result<()> {
        let update = sql("UPDATE model SET used_at = $1 WHERE tenant = $2 AND key = $3")
            .bind(now)
            .bind(tenant)
            .bind(key);
        self.execute(tenant, update).await.map(drop)
    }
}
