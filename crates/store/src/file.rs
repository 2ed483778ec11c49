//! Files for devices and of devices: what they are. What is in them lies elsewhere, under its hash; here is counted
//! what of it is still wanted.

use fleet::{DeviceId, Event, FileId, FileKind, TenantId, Timestamp};

use crate::error::{Error, Result};
use crate::limits::{FILES_PER_TENANT_MAX, PAGE_MAX, TEXT_CHARS_MAX};
use crate::sql::{Row, sql};
use crate::writer::Tx;
use crate::{SecretHash, Store, readable, touched};

/// The SHA-256 of what is in a file.
pub type ContentHash = SecretHash;

/// A file to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Id.
    pub id: FileId,
    /// Name, as devices see it at the end of the link.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// Maker of the devices it is for; may be empty, like the following.
    pub vendor: String,
    /// Model of the devices it is for.
    pub model: String,
    /// Version of what is in it.
    pub version: String,
    /// For people.
    pub note: String,
    /// Bytes.
    pub size: u64,
    /// Hash of what is in it.
    pub sha256: ContentHash,
    /// When it came.
    pub created_at: Timestamp,
    /// Who brought it: an event's actor, empty for a device.
    pub created_by: String,
    /// The device that sent it.
    pub device: Option<DeviceId>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRecord {
    /// Tenant.
    pub tenant: TenantId,
    /// What was said when it came, as it is now.
    pub file: NewFile,
}

/// What may change of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilePatch {
    /// Name.
    pub name: Option<String>,
    /// What it is.
    pub kind: Option<FileKind>,
    /// Maker.
    pub vendor: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// For people.
    pub note: Option<String>,
}

/// Which files to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileFilter {
    /// Only of these kinds; none is all.
    pub kinds: Vec<FileKind>,
    /// Only what has this in its name, vendor, model or version, in any case of the letters.
    pub text: Option<String>,
    /// Only what this device has sent.
    pub device: Option<DeviceId>,
}

pub(crate) const COLUMNS: &str = "f.tenant, f.id, f.name, f.kind, f.vendor, f.model, f.version, f.note, f.size, f.sha256, \
     f.created_at, f.created_by, f.device";

impl Store {
    /// Keeps a file, if the tenant then has no more than `quota` bytes, each content counted once. The same content
    /// under the same description is the same file: then the one that is there is the answer, and nothing is told.
    pub async fn file_insert(
        &self,
        tenant: &TenantId,
        file: NewFile,
        quota: u64,
        events: Vec<Event>,
    ) -> Result<FileRecord> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move { insert(tx, &tenant, file, quota, events).await })
        })
        .await
    }

    /// One file.
    pub async fn file(&self, tenant: &TenantId, id: FileId) -> Result<FileRecord> {
        let statement = select(" WHERE f.tenant = $1 AND f.id = $2")
            .bind(tenant)
            .bind(id);
        let row = self.optional(statement).await?;
        read(&row.ok_or(Error::NotFound("file"))?)
    }

    /// Files, newest first, that came before the one with the id `before`.
    pub async fn file_list(
        &self,
        tenant: &TenantId,
        filter: &FileFilter,
        before: Option<FileId>,
        limit: usize,
    ) -> Result<Vec<FileRecord>> {
        let mut statement = select(" WHERE f.tenant = $1").bind(tenant);
        if !filter.kinds.is_empty() {
            statement
                .push(" AND f.kind IN ")
                .list(filter.kinds.iter().map(|kind| kind.as_str()));
        }
        if let Some(text) = &filter.text {
            let escaped = text.to_lowercase().replace('\\', "\\\\");
            let escaped = escaped.replace('%', "\\%").replace('_', "\\_");
            statement.push(
                " AND lower(f.name || ' ' || f.vendor || ' ' || f.model || ' ' || f.version) LIKE ",
            );
            statement.arg(format!("%{escaped}%")).push(" ESCAPE '\\'");
        }
        if let Some(device) = filter.device {
            statement.push(" AND f.device = ").arg(device);
        }
        if let Some(before) = before {
            statement.push(" AND f.id < ").arg(before);
        }
        // One more than a full page, which tells whether another one follows.
        statement
            .push(" ORDER BY f.id DESC LIMIT ")
            .arg(limit.clamp(1, PAGE_MAX + 1));
        readable(&self.all(statement).await?, "file", read)
    }

    /// Describes a file otherwise.
    pub async fn file_update(
        &self,
        tenant: &TenantId,
        id: FileId,
        patch: FilePatch,
        events: Vec<Event>,
    ) -> Result<FileRecord> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let mut update = sql("UPDATE file SET id = id");
                let texts = [
                    (", name = ", patch.name),
                    (", kind = ", patch.kind.map(|kind| kind.to_string())),
                    (", vendor = ", patch.vendor),
                    (", model = ", patch.model),
                    (", version = ", patch.version),
                    (", note = ", patch.note),
                ];
                for (column, text) in texts {
                    if let Some(text) = text {
                        update.push(column).arg(text);
                    }
                }
                update.push(" WHERE tenant = ").arg(&tenant);
                update.push(" AND id = ").arg(id);
                touched(tx.execute(update).await?, "file")?;
                tx.append_all(events).await?;
                one(tx, &tenant, id).await
            })
        })
        .await
    }

    /// Removes a file, unless a device has a link to it that it can still use at `now`.
    pub async fn file_delete(
        &self,
        tenant: &TenantId,
        id: FileId,
        now: Timestamp,
        events: Vec<Event>,
    ) -> Result<FileRecord> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let file = one(tx, &tenant, id).await?;
                let wanted = sql("SELECT count(*) FROM transfer WHERE tenant = $1 AND file = $2 \
                     AND direction = 'download' AND state NOT IN ('done', 'failed') AND expires_at > $3")
                .bind(&tenant)
                .bind(id)
                .bind(now);
                let row = tx.optional(wanted).await?;
                let wanted: u64 = row.map_or(Ok(0), |row| row.columns().take())?;
                if wanted > 0 {
                    let words = format!("{wanted} with a link to {:?}", file.file.name);
                    return Err(Error::conflict("a transfer", words));
                }
                let delete = sql("DELETE FROM file WHERE tenant = $1 AND id = $2");
                tx.execute(delete.bind(&tenant).bind(id)).await?;
                tx.append_all(events).await?;
                Ok(file)
            })
        })
        .await
    }

    /// The bytes of a tenant's files, each content counted once.
    pub async fn file_usage(&self, tenant: &TenantId) -> Result<u64> {
        self.one(usage(tenant)).await?.columns().take()
    }

    /// Whether a file of the tenant has this content.
    pub async fn file_wants(&self, tenant: &TenantId, content: &ContentHash) -> Result<bool> {
        let statement = sql("SELECT count(*) FROM file WHERE tenant = $1 AND sha256 = $2")
            .bind(tenant)
            .bind(content);
        let count: u64 = self.one(statement).await?.columns().take()?;
        Ok(count > 0)
    }
}

fn select(rest: &'static str) -> crate::Sql {
    sql("SELECT ").then(COLUMNS).then(" FROM file f").then(rest)
}

fn usage(tenant: &TenantId) -> crate::Sql {
    sql(
        "SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM (SELECT DISTINCT sha256, size FROM file \
         WHERE tenant = $1) AS content",
    )
    .bind(tenant)
}

pub(crate) async fn one(tx: &mut Tx, tenant: &TenantId, id: FileId) -> Result<FileRecord> {
    let statement = select(" WHERE f.tenant = $1 AND f.id = $2")
        .bind(tenant)
        .bind(id);
    read(
        &tx.optional(statement)
            .await?
            .ok_or(Error::NotFound("file"))?,
    )
}

pub(crate) async fn insert(
    tx: &mut Tx,
    tenant: &TenantId,
    file: NewFile,
    quota: u64,
    events: Vec<Event>,
) -> Result<FileRecord> {
    tx.head(tenant).await?;
    let texts = [&file.name, &file.vendor, &file.model, &file.version];
    if texts
        .iter()
        .any(|text| text.chars().count() > TEXT_CHARS_MAX)
    {
        return Err(Error::LimitExceeded {
            what: "characters of a name",
            max: TEXT_CHARS_MAX as u64,
        });
    }
    let same = select(" WHERE f.tenant = $1 AND f.sha256 = $2 AND f.name = $3 AND f.kind = $4")
        .then(" AND f.vendor = $5 AND f.model = $6 AND f.version = $7")
        .bind(tenant)
        .bind(file.sha256)
        .bind(&file.name)
        .bind(file.kind.as_str())
        .bind(&file.vendor)
        .bind(&file.model)
        .bind(&file.version);
    for row in tx.all(same).await? {
        let there = read(&row)?;
        if there.file.device == file.device {
            return Ok(there);
        }
    }
    let count = sql("SELECT count(*) FROM file WHERE tenant = $1").bind(tenant);
    tx.at_most(count, "files", FILES_PER_TENANT_MAX).await?;
    let insert = sql("INSERT INTO file (tenant, id, name, kind, vendor, model, version, note, size, sha256, created_at, \
         created_by, device) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)")
    .bind(tenant)
    .bind(file.id)
    .bind(&file.name)
    .bind(file.kind.as_str())
    .bind(&file.vendor)
    .bind(&file.model)
    .bind(&file.version)
    .bind(&file.note)
    .bind(file.size)
    .bind(file.sha256)
    .bind(file.created_at)
    .bind(&file.created_by)
    .bind(file.device);
    tx.execute(insert).await?;
    let row = tx.optional(usage(tenant)).await?;
    let used: u64 = row.map_or(Ok(0), |row| row.columns().take())?;
    if used > quota {
        return Err(Error::LimitExceeded {
            what: "bytes of files (files.tenant_bytes_max)",
            max: quota,
        });
    }
    tx.append_all(events).await?;
    one(tx, tenant, file.id).await
}

fn read(row: &Row) -> Result<FileRecord> {
    read_from(&mut row.columns())
}

pub(crate) fn read_from(c: &mut crate::sql::Columns<'_>) -> Result<FileRecord> {
    let tenant = c.take()?;
    let (id, name) = (c.take()?, c.take()?);
    let kind: String = c.take()?;
    Ok(FileRecord {
        tenant,
        file: NewFile {
            id,
            name,
            kind: kind.parse().map_err(Error::damaged)?,
            vendor: c.take()?,
            model: c.take()?,
            version: c.take()?,
            note: c.take()?,
            size: c.take()?,
            sha256: c.take()?,
            created_at: c.take()?,
            created_by: c.take()?,
            device: c.take()?,
        },
    })
}
