//! Tenants. A tenant's row also holds the head of its event log, which makes it the lock under which that log grows.

use fleet::{Event, TenantId, Timestamp};

use crate::error::{Error, Result};
use crate::idempotency::IdempotentAnswer;
use crate::limits::{RETENTION_BATCH_MAX, TENANTS_MAX};
use crate::sql::{Row, sql};
use crate::{Store, readable, touched, user};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRecord {
    /// Its slug.
    pub id: TenantId,
    /// Its name for people.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when nobody may use it.
    pub disabled_at: Option<Timestamp>,
}

/// What may be changed about a tenant; `None` leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantPatch {
    /// Its name for people.
    pub name: Option<String>,
    /// Disabled since, or enabled.
    pub disabled_at: Option<Option<Timestamp>>,
}

const COLUMNS: &str = "SELECT id, name, created_at, disabled_at FROM tenant";

/// The tables that hold rows of tenants, each with the columns of its key, in the order of removal. The log goes
/// last but one, the tenant itself last.
pub(crate) const TENANT_TABLES: &[(&str, &[&str])] = &[
    ("sign_in", &["hash"]),
    ("known_network", &["tenant", "user_id", "network"]),
    ("token", &["id"]),
    ("app_user", &["id"]),
    ("setup_key", &["id"]),
    ("certificate", &["tenant", "id"]),
    ("device_term", &["tenant", "term", "device"]),
    ("device_tag", &["tenant", "tag", "device"]),
    ("identity", &["tenant", "kind", "value"]),
    ("management_path", &["tenant", "device", "transport"]),
    ("value_document", &["tenant", "device", "object"]),
    ("device_state", &["tenant", "device", "name"]),
    ("device_match", &["tenant", "id"]),
    ("former_device", &["tenant", "former"]),
    ("broker_queue", &["name"]),
    ("management_session", &["tenant", "device", "id"]),
    (
        "fault_seen",
        &["tenant", "model_key", "code", "parameter", "device"],
    ),
    ("transcript", &["tenant", "operation", "n"]),
    ("operation", &["tenant", "id"]),
    ("transfer", &["tenant", "id"]),
    ("file", &["tenant", "id"]),
    ("device", &["tenant", "id"]),
    ("model", &["tenant", "key"]),
    ("model_state", &["tenant", "model_key", "name"]),
    ("refusal", &["tenant", "key"]),
    ("idempotency", &["tenant", "principal", "endpoint", "key"]),
    ("event", &["tenant", "seq"]),
];

impl Store {
    /// Makes a tenant; `events` are the first of its log.
    pub async fn tenant_insert(&self, tenant: TenantRecord, events: Vec<Event>) -> Result<()> {
        self.tenant_insert_answered(tenant, events, None).await
    }

    /// Makes a tenant, and keeps the answer to who asked for it, in whichever tenant they did.
    pub async fn tenant_insert_answered(
        &self,
        tenant: TenantRecord,
        events: Vec<Event>,
        answer: Option<(TenantId, IdempotentAnswer)>,
    ) -> Result<()> {
        self.write_global(move |tx| {
            Box::pin(async move {
                tx.at_most(sql("SELECT count(*) FROM tenant"), "tenants", TENANTS_MAX).await?;
                let insert = sql("INSERT INTO tenant (id, name, created_at, disabled_at, event_head, event_floor) \
                     VALUES ($1, $2, $3, $4, 0, 0)")
                .bind(&tenant.id)
                .bind(tenant.name)
                .bind(tenant.created_at)
                .bind(tenant.disabled_at);
                tx.execute(insert)
                    .await
                    .map_err(|e| e.or_conflict("tenant", tenant.id.as_str()))?;
                if let Some((asking, answer)) = answer {
                    crate::idempotency::finish(tx, &asking, answer).await?;
                }
                tx.append_all(events).await
            })
        })
        .await
    }

    /// One tenant.
    pub async fn tenant(&self, tenant: &TenantId) -> Result<TenantRecord> {
        let statement = sql(COLUMNS).then(" WHERE id = $1").bind(tenant);
        let row = self.optional(statement).await?;
        read(&row.ok_or(Error::NotFound("tenant"))?)
    }

    /// All tenants, by slug.
    pub async fn tenant_list(&self) -> Result<Vec<TenantRecord>> {
        let rows = self.all(sql(COLUMNS).then(" ORDER BY id")).await?;
        readable(&rows, "tenant", read)
    }

    /// Changes a tenant. Disabling the last one with platform administrators fails.
    pub async fn tenant_update(
        &self,
        tenant: &TenantId,
        patch: TenantPatch,
        events: Vec<Event>,
    ) -> Result<()> {
        let id = tenant.clone();
        self.write(tenant, move |tx| {
            Box::pin(async move {
                let disabled = matches!(patch.disabled_at, Some(Some(_)));
                let last = match disabled {
                    true => user::platform_administrator(tx, &id).await?,
                    false => None,
                };
                let mut update = sql("UPDATE tenant SET id = id");
                if let Some(name) = patch.name {
                    update.push(", name = ").arg(name);
                }
                if let Some(at) = patch.disabled_at {
                    update.push(", disabled_at = ").arg(at);
                }
                update.push(" WHERE id = ").arg(&id);
                touched(tx.execute(update).await?, "tenant")?;
                if let Some(login) = last {
                    user::keeps_platform(tx, login).await?;
                }
                tx.append_all(events).await
            })
        })
        .await
    }

    /// Removes a tenant and everything of it, in small batches; the tenant's own row goes last, so that an
    /// interrupted removal can be repeated. Disable it first: what is written meanwhile keeps this going.
    pub async fn tenant_delete(&self, tenant: &TenantId) -> Result<()> {
        self.tenant(tenant).await?;
        for (table, key) in TENANT_TABLES {
            let key = key.join(", ");
            let text = format!(
                "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE tenant = $1 LIMIT $2)"
            );
            loop {
                let delete = crate::sql::built(text.clone())
                    .bind(tenant)
                    .bind(RETENTION_BATCH_MAX);
                if self.execute(tenant, delete).await? < RETENTION_BATCH_MAX {
                    break;
                }
            }
        }
        let delete = sql("DELETE FROM tenant WHERE id = $1").bind(tenant);
        self.execute(tenant, delete).await.map(drop)
    }
}

fn read(row: &Row) -> Result<TenantRecord> {
    let mut c = row.columns();
    Ok(TenantRecord {
        id: c.take()?,
        name: c.take()?,
        created_at: c.take()?,
        disabled_at: c.take()?,
    })
}
