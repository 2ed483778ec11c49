//! Certificates of devices: whose each is, and whether it still counts. Their private keys are nowhere; who issues
//! them, and who decides about a device that shows one, is not known here.

use fleet::{CertificateId, DeviceId, Event, EventKind, IdentityKind, TenantId, Timestamp};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::limits::{CERTIFICATES_PER_ENDPOINT_MAX, PAGE_MAX};
use crate::sql::{Columns, Row, sql};
use crate::writer::Tx;
use crate::{SecretHash, Store, readable, touched};

/// A certificate to be remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCertificate {
    /// Id.
    pub id: CertificateId,
    /// The endpoint that it is for.
    pub endpoint_id: String,
    /// SHA-256 of it as it goes over the wire.
    pub fingerprint: SecretHash,
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
    /// Who issued it, as text.
    pub issuer: String,
    /// The certificate in PEM form.
    pub pem: String,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// The one it takes the place of, once it was shown.
    pub replaces: Option<CertificateId>,
    /// When it was issued.
    pub created_at: Timestamp,
    /// Who issued it: an actor as events have it.
    pub created_by: String,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRecord {
    /// Whose.
    pub tenant: TenantId,
    /// What was said of it when it was issued.
    pub certificate: NewCertificate,
    /// The device that has its endpoint.
    pub device: Option<DeviceId>,
    /// When a device first came with it.
    pub first_used_at: Option<Timestamp>,
    /// Of those of its endpoint that are not revoked it is the one that a device came with last.
    pub used_last: bool,
    /// Since when it does not count any more.
    pub revoked_at: Option<Timestamp>,
    /// Who revoked it; empty when nobody did.
    pub revoked_by: String,
    /// Why; empty when nobody did.
    pub reason: String,
}

/// Which certificates of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateFilter {
    /// Of this endpoint.
    pub endpoint_id: Option<String>,
    /// Of the endpoints that this device has.
    pub device: Option<DeviceId>,
    /// Revoked ones, or the others.
    pub revoked: Option<bool>,
    /// Those that end before.
    pub ends_before: Option<Timestamp>,
}

/// Why, and by whom, a certificate does not count any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocation {
    /// Since when.
    pub at: Timestamp,
    /// Who says so: an actor as events have it.
    pub by: String,
    /// Why.
    pub reason: String,
}

const SELECT: &str = "SELECT tenant, id, endpoint_id, fingerprint, serial, issuer, pem, not_before, not_after, replaces, \
     created_at, created_by, (SELECT device FROM identity i WHERE i.tenant = certificate.tenant \
     AND i.kind = 'usp_endpoint' AND i.value = certificate.endpoint_id), first_used_at, last_used_at, \
     (SELECT max(o.last_used_at) FROM certificate o WHERE o.tenant = certificate.tenant \
     AND o.endpoint_id = certificate.endpoint_id AND o.revoked_at IS NULL), revoked_at, revoked_by, reason \
     FROM certificate";

impl Store {
    /// Remembers a certificate.
    pub async fn certificate_insert(
        &self,
        tenant: &TenantId,
        new: NewCertificate,
        events: Vec<Event>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                tx.head(&tenant).await?;
                let count =
                    sql("SELECT count(*) FROM certificate WHERE tenant = $1 AND endpoint_id = $2")
                        .bind(&tenant)
                        .bind(&new.endpoint_id);
                // Only what has expired is forgotten: a revoked one would count again.
                let over = sql("DELETE FROM certificate WHERE tenant = $1 AND endpoint_id = $2 \
                     AND not_after <= $3")
                .bind(&tenant)
                .bind(&new.endpoint_id)
                .bind(new.created_at);
                let what = "certificates of one endpoint that have not expired";
                tx.at_most_after(count, over, what, CERTIFICATES_PER_ENDPOINT_MAX)
                    .await?;
                let insert = sql("INSERT INTO certificate (tenant, id, endpoint_id, fingerprint, serial, \
                     issuer, pem, not_before, not_after, replaces, created_at, created_by, revoked_by, reason) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, '', '')")
                .bind(&tenant)
                .bind(new.id)
                .bind(&new.endpoint_id)
                .bind(new.fingerprint)
                .bind(&new.serial)
                .bind(new.issuer)
                .bind(new.pem)
                .bind(new.not_before)
                .bind(new.not_after)
                .bind(new.replaces)
                .bind(new.created_at)
                .bind(new.created_by);
                tx.execute(insert)
                    .await
                    .map_err(|error| error.or_conflict("certificate", new.serial))?;
                tx.append_all(events).await
            })
        })
        .await
    }

    /// One certificate.
    pub async fn certificate(
        &self,
        tenant: &TenantId,
        id: CertificateId,
    ) -> Result<CertificateRecord> {
        let statement = sql(SELECT)
            .then(" WHERE tenant = $1 AND id = $2")
            .bind(tenant)
            .bind(id);
        let row = self.optional(statement).await?;
        read(&row.ok_or(Error::NotFound("certificate"))?)
    }

    /// The certificate with this fingerprint, in whichever tenant; also when revoked or expired.
    pub async fn certificate_by_fingerprint(
        &self,
        fingerprint: &SecretHash,
    ) -> Result<Option<CertificateRecord>> {
        let statement = sql(SELECT)
            .then(" WHERE fingerprint = $1")
            .bind(fingerprint);
        let row = self.optional(statement).await?;
        row.map(|row| read(&row)).transpose()
    }

    /// The certificates of a tenant, newest first, after `before`.
    pub async fn certificate_list(
        &self,
        tenant: &TenantId,
        filter: &CertificateFilter,
        before: Option<CertificateId>,
        limit: usize,
    ) -> Result<Vec<CertificateRecord>> {
        let mut statement = sql(SELECT).then(" WHERE tenant = $1").bind(tenant);
        if let Some(endpoint) = &filter.endpoint_id {
            statement.push(" AND endpoint_id = ").arg(endpoint.clone());
        }
        if let Some(device) = filter.device {
            statement
                .push(" AND endpoint_id IN (SELECT value FROM identity WHERE tenant = $1 AND device = ")
                .arg(device)
                .push(" AND kind = ")
                .arg(IdentityKind::UspEndpoint.as_str())
                .push(")");
        }
        match filter.revoked {
            Some(true) => _ = statement.push(" AND revoked_at IS NOT NULL"),
            Some(false) => _ = statement.push(" AND revoked_at IS NULL"),
            None => {}
        }
        if let Some(end) = filter.ends_before {
            statement.push(" AND not_after < ").arg(end);
        }
        if let Some(before) = before {
            statement.push(" AND id < ").arg(before);
        }
        // One more than a full page, which tells whether another one follows.
        statement
            .push(" ORDER BY id DESC LIMIT ")
            .arg(limit.clamp(1, PAGE_MAX + 1));
        readable(&self.all(statement).await?, "certificate", read)
    }

    /// Revokes a certificate; false when it was revoked before, which changes nothing.
    pub async fn certificate_revoke(
        &self,
        tenant: &TenantId,
        id: CertificateId,
        revocation: Revocation,
        events: Vec<Event>,
    ) -> Result<bool> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let update = sql(
                    "UPDATE certificate SET revoked_at = $1, revoked_by = $2, reason = $3 \
                     WHERE tenant = $4 AND id = $5 AND revoked_at IS NULL",
                )
                .bind(revocation.at)
                .bind(revocation.by)
                .bind(revocation.reason)
                .bind(&tenant)
                .bind(id);
                if tx.execute(update).await? == 0 {
                    let there = sql("UPDATE certificate SET id = id WHERE tenant = $1 AND id = $2")
                        .bind(&tenant)
                        .bind(id);
                    touched(tx.execute(there).await?, "certificate")?;
                    return Ok(false);
                }
                tx.append_all(events).await?;
                Ok(true)
            })
        })
        .await
    }

    /// A device has come with it; false when it had before, and then nothing is told of it.
    pub async fn certificate_used(
        &self,
        tenant: &TenantId,
        id: CertificateId,
        at: Timestamp,
        events: Vec<Event>,
    ) -> Result<bool> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let last = sql(
                    "UPDATE certificate SET last_used_at = $1 WHERE tenant = $2 AND id = $3 \
                     AND (last_used_at IS NULL OR last_used_at < $1)",
                )
                .bind(at)
                .bind(&tenant)
                .bind(id);
                tx.execute(last).await?;
                let first = sql("UPDATE certificate SET first_used_at = $1 \
                     WHERE tenant = $2 AND id = $3 AND first_used_at IS NULL")
                .bind(at)
                .bind(&tenant)
                .bind(id);
                if tx.execute(first).await? == 0 {
                    return Ok(false);
                }
                tx.append_all(events).await?;
                Ok(true)
            })
        })
        .await
    }

    /// When a certificate of whichever tenant was last revoked.
    pub async fn certificate_revoked_last(&self) -> Result<Option<Timestamp>> {
        let statement = sql(
            "SELECT revoked_at FROM certificate WHERE revoked_at IS NOT NULL \
             ORDER BY revoked_at DESC LIMIT 1",
        );
        let row = self.optional(statement).await?;
        row.map(|row| row.columns().take()).transpose()
    }

    /// Those of these fingerprints, at most [`PAGE_MAX`], whose certificates are revoked.
    pub async fn certificate_revoked_among(
        &self,
        fingerprints: &[SecretHash],
    ) -> Result<Vec<SecretHash>> {
        let mut statement = sql(
            "SELECT fingerprint FROM certificate WHERE revoked_at IS NOT NULL AND fingerprint IN ",
        );
        statement.list(fingerprints.iter().take(PAGE_MAX));
        let rows = self.all(statement).await?;
        readable(&rows, "certificate", |row| row.columns().take())
    }
}

impl NewCertificate {
    /// What events say of it.
    pub fn told(&self) -> Value {
        told(self.id, &self.endpoint_id, &self.serial)
    }
}

fn told(id: CertificateId, endpoint: &str, serial: &str) -> Value {
    json!({ "certificate": id, "endpoint": endpoint, "serial": serial })
}

/// That one is revoked, for the log: `told` is what events say of the certificate.
pub fn revoked_event(
    tenant: &TenantId,
    mut told: Value,
    device: Option<DeviceId>,
    revocation: &Revocation,
) -> Event {
    told["reason"] = revocation.reason.clone().into();
    let kind = EventKind::CertificateRevoked;
    let mut event = Event::new(tenant.clone(), revocation.at, kind)
        .actor(&revocation.by)
        .data(told);
    event.device = device;
    event
}

/// Revokes those of the endpoints of a device that is about to be removed, as far as they are good still, and tells the
/// log of each.
pub(crate) async fn revoke_of(
    tx: &mut Tx,
    tenant: &TenantId,
    device: DeviceId,
    revocation: Revocation,
) -> Result<()> {
    let update = sql(
        "UPDATE certificate SET revoked_at = $1, revoked_by = $2, reason = $3 \
         WHERE tenant = $4 AND revoked_at IS NULL AND not_after > $1 AND endpoint_id IN \
         (SELECT value FROM identity WHERE tenant = $4 AND device = $5 AND kind = $6) \
         RETURNING id, endpoint_id, serial",
    )
    .bind(revocation.at)
    .bind(&revocation.by)
    .bind(&revocation.reason)
    .bind(tenant)
    .bind(device)
    .bind(IdentityKind::UspEndpoint.as_str());
    for row in tx.all(update).await? {
        let mut c = row.columns();
        let (id, endpoint, serial): (CertificateId, String, String) =
            (c.take()?, c.take()?, c.take()?);
        let told = told(id, &endpoint, &serial);
        let event = revoked_event(tenant, told, Some(device), &revocation);
        tx.append(event, None).await?;
    }
    Ok(())
}

fn read(row: &Row) -> Result<CertificateRecord> {
    columns(&mut row.columns())
}

/// The columns of [`SELECT`].
fn columns(c: &mut Columns<'_>) -> Result<CertificateRecord> {
    Ok(CertificateRecord {
        tenant: c.take()?,
        certificate: NewCertificate {
            id: c.take()?,
            endpoint_id: c.take()?,
            fingerprint: c.take()?,
            serial: c.take()?,
            issuer: c.take()?,
            pem: c.take()?,
            not_before: c.take()?,
            not_after: c.take()?,
            replaces: c.take()?,
            created_at: c.take()?,
            created_by: c.take()?,
        },
        device: c.take()?,
        first_used_at: c.take()?,
        used_last: {
            let (own, last) = (c.take::<Option<Timestamp>>()?, c.take()?);
            own.is_some() && own == last
        },
        revoked_at: c.take()?,
        revoked_by: c.take()?,
        reason: c.take()?,
    })
}
