//! Last-known values: what a device was last heard to say, each value with its time and source. One compressed
//! document per device and top-level object. The parameters an operator searches by are copied into columns of the
//! device as they pass by. History is not kept here.

use std::collections::{BTreeMap, BTreeSet};

use fleet::device::Description;
use fleet::{DeviceId, TenantId, Timestamp};

use crate::device::{self, DevicePatch};
use crate::error::{Error, Result};
use crate::limits::{VALUE_BYTES_MAX, VALUE_OBJECTS_ASKED_MAX, VALUES_PER_DEVICE_MAX};
use crate::sql::{Bulk, Row, sql};
use crate::value_codec::{Known, Values, decode, encode};
use crate::writer::Tx;
use crate::{Store, collect, readable};

/// How a value became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueSource {
    /// Read from the device.
    Read,
    /// The device reported a change.
    Notified,
    /// Read back after a change of ours.
    ReadBack,
    /// The device told it when it connected or started.
    Introduced,
    /// Somebody who knows told it.
    Entered,
}

impl ValueSource {
    const ALL: [ValueSource; 5] = [
        Self::Read,
        Self::Notified,
        Self::ReadBack,
        Self::Introduced,
        Self::Entered,
    ];

    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Notified => "notified",
            Self::ReadBack => "read_back",
            Self::Introduced => "introduced",
            Self::Entered => "entered",
        }
    }

    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn of_code(code: u8) -> ValueSource {
        Self::ALL
            .get(usize::from(code))
            .copied()
            .unwrap_or(Self::Read)
    }
}

/// A last-known value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownValue {
    /// Full path of the parameter.
    pub path: String,
    /// Its value in TR-106 form.
    pub value: String,
    /// How it became known.
    pub source: ValueSource,
    /// When the device said so.
    pub at: Timestamp,
}

/// New knowledge about the values of a device. Removing comes first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValueUpdate {
    /// Objects (ending in `.`) or parameters of which nothing older is true any more: they were read completely,
    /// or are gone.
    pub forget: Vec<String>,
    /// Values that are known now. One that is older than what is known is dropped.
    pub values: Vec<KnownValue>,
}

impl ValueUpdate {
    /// Values, all of one source and time.
    pub fn of(
        values: impl IntoIterator<Item = (String, String)>,
        source: ValueSource,
        at: Timestamp,
    ) -> ValueUpdate {
        let known = |(path, value)| KnownValue {
            path,
            value,
            source,
            at,
        };
        ValueUpdate {
            forget: Vec::new(),
            values: values.into_iter().map(known).collect(),
        }
    }
}

/// What the values changed about the device's own description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redescribed {
    /// Before.
    pub before: Description,
    /// After.
    pub after: Description,
}

impl Store {
    /// Takes over new knowledge. Columns of the device that follow from it are changed with it, and told.
    pub async fn value_update(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        update: ValueUpdate,
        now: Timestamp,
    ) -> Result<Option<Redescribed>> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move { apply(tx, &tenant, device, update, now).await })
        })
        .await
    }

    /// The values whose path begins with `prefix`, by path, from `after` on; `Device.` or nothing means all.
    pub async fn value_list(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<KnownValue>> {
        let mut statement =
            sql("SELECT object, body FROM value_document WHERE tenant = $1 AND device = $2")
                .bind(tenant)
                .bind(device);
        if let Some(object) = whole_object(prefix) {
            statement.push(" AND object = ").arg(object);
        }
        statement.push(" ORDER BY object");
        let mut found: BTreeMap<String, Known> = BTreeMap::new();
        for (object, values) in readable(&self.all(statement).await?, "values", read)? {
            if object.starts_with(prefix) || prefix.starts_with(&object) {
                found.extend(
                    values
                        .into_iter()
                        .filter(|(path, _)| path.starts_with(prefix)),
                );
            }
        }
        Ok(found
            .into_iter()
            .filter(|(path, _)| after.is_none_or(|after| path.as_str() > after))
            .take(limit)
            .map(|(path, known)| KnownValue {
                path,
                value: known.value,
                source: known.source,
                at: known.at,
            })
            .collect())
    }

    /// The values of exactly these parameters, as far as they are known.
    pub async fn value_of(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        paths: &[String],
    ) -> Result<Vec<KnownValue>> {
        let objects: BTreeSet<&str> = paths.iter().map(|path| object_of(path)).collect();
        let mut statement =
            sql("SELECT object, body FROM value_document WHERE tenant = $1 AND device = $2")
                .bind(tenant)
                .bind(device);
        statement.push(" AND object IN ").list(objects);
        let mut all = Values::new();
        for (_, values) in readable(&self.all(statement).await?, "values", read)? {
            all.extend(values);
        }
        Ok(paths
            .iter()
            .filter_map(|path| {
                all.remove(path).map(|known| KnownValue {
                    path: path.clone(),
                    value: known.value,
                    source: known.source,
                    at: known.at,
                })
            })
            .collect())
    }

    /// The top-level objects of which values are known, with how many and since when.
    pub async fn value_objects(
        &self,
        tenant: &TenantId,
        device: DeviceId,
    ) -> Result<Vec<(String, u64, Timestamp)>> {
        let statement = sql(
            "SELECT object, value_count, updated_at FROM value_document \
             WHERE tenant = $1 AND device = $2 ORDER BY object",
        )
        .bind(tenant)
        .bind(device);
        collect(&self.all(statement).await?, |row| {
            let mut c = row.columns();
            Ok((c.take()?, c.take()?, c.take()?))
        })
    }
}

const UPSERT: Bulk = Bulk {
    into: "INSERT INTO value_document (tenant, device, object, body, value_count, updated_at) VALUES ",
    then: " ON CONFLICT (tenant, device, object) DO UPDATE SET body = excluded.body, \
           value_count = excluded.value_count, updated_at = excluded.updated_at",
    columns: 6,
};

/// Takes over new knowledge within a transaction.
pub(crate) async fn apply(
    tx: &mut Tx,
    tenant: &TenantId,
    device: DeviceId,
    update: ValueUpdate,
    now: Timestamp,
) -> Result<Option<Redescribed>> {
    device::exists(tx, tenant, device).await?;
    let everything = update
        .forget
        .iter()
        .any(|path| whole_object(path).is_none());
    let mut objects: BTreeSet<String> = update
        .values
        .iter()
        .map(|known| known.path.as_str())
        .chain(update.forget.iter().map(String::as_str))
        .filter(|path| whole_object(path).is_some())
        .map(|path| object_of(path).to_owned())
        .collect();
    let all = everything || objects.len() > VALUE_OBJECTS_ASKED_MAX;
    let (mut kept, mut total) = kept(tx, tenant, device, &objects, all).await?;
    if everything {
        objects.extend(kept.keys().cloned());
    }
    let untouched = kept.iter().filter(|(name, _)| !objects.contains(*name));
    total += untouched
        .map(|(_, values)| values.len() as u64)
        .sum::<u64>();
    let redescribed = describe(tx, tenant, device, &update.values, now).await?;
    let mut new: BTreeMap<String, Vec<KnownValue>> = BTreeMap::new();
    for known in update.values {
        if known.value.len() > VALUE_BYTES_MAX || known.path.len() > VALUE_BYTES_MAX {
            return Err(Error::LimitExceeded {
                what: "bytes of a value",
                max: VALUE_BYTES_MAX as u64,
            });
        }
        new.entry(object_of(&known.path).to_owned())
            .or_default()
            .push(known);
    }
    let (mut documents, mut gone) = (Vec::new(), Vec::new());
    for object in objects {
        let before = kept.remove(&object);
        let was_there = before.is_some();
        let fresh = new.remove(&object).unwrap_or_default();
        let values = merged(before.unwrap_or_default(), &update.forget, fresh);
        total += values.len() as u64;
        if total > VALUES_PER_DEVICE_MAX as u64 {
            return Err(Error::LimitExceeded {
                what: "last-known values of a device",
                max: VALUES_PER_DEVICE_MAX as u64,
            });
        }
        if !values.is_empty() {
            documents.push((object, encode(&values)?, values.len()));
        } else if was_there {
            gone.push(object);
        }
    }
    for gone in gone.chunks(VALUE_OBJECTS_ASKED_MAX) {
        let mut delete = sql("DELETE FROM value_document WHERE tenant = $1 AND device = $2")
            .bind(tenant)
            .bind(device);
        delete
            .push(" AND object IN ")
            .list(gone.iter().map(String::as_str));
        tx.execute(delete).await?;
    }
    tx.bulk(UPSERT, documents, |(object, body, count), args| {
        args.extend([tenant.into(), device.into(), object.into()]);
        args.extend([body.into(), count.into(), now.into()]);
    })
    .await?;
    Ok(redescribed)
}

/// The documents of these objects, and how many values there are in the others; or all documents. What is damaged counts as
/// empty: it is replaced by what is known from now on.
async fn kept(
    tx: &mut Tx,
    tenant: &TenantId,
    device: DeviceId,
    objects: &BTreeSet<String>,
    all: bool,
) -> Result<(BTreeMap<String, Values>, u64)> {
    let mut documents =
        sql("SELECT object, body FROM value_document WHERE tenant = $1 AND device = $2")
            .bind(tenant)
            .bind(device);
    let mut others = 0;
    if !all {
        let mut count = sql("SELECT CAST(coalesce(sum(value_count), 0) AS BIGINT) \
             FROM value_document WHERE tenant = $1 AND device = $2")
        .bind(tenant)
        .bind(device);
        if !objects.is_empty() {
            count
                .push(" AND object NOT IN ")
                .list(objects.iter().map(String::as_str));
        }
        if let Some(row) = tx.optional(count).await? {
            others = row.columns().take()?;
        }
        documents
            .push(" AND object IN ")
            .list(objects.iter().map(String::as_str));
    }
    let mut found = BTreeMap::new();
    for row in tx.all(documents).await? {
        let mut c = row.columns();
        let object = c.take::<String>()?;
        let values = match decode(&c.take::<Vec<u8>>()?) {
            Err(Error::Damaged(why)) => {
                tracing::error!(object, why, "damaged values of a device are replaced");
                Values::new()
            }
            values => values?,
        };
        found.insert(object, values);
    }
    Ok((found, others))
}

/// What is known of one object then: removing comes first, and what is older than what is known is dropped.
fn merged(mut values: Values, forget: &[String], fresh: Vec<KnownValue>) -> Values {
    for gone in forget {
        if gone.is_empty() || gone.ends_with('.') {
            values.retain(|path, _| !path.starts_with(gone.as_str()));
        } else {
            values.remove(gone);
        }
    }
    for known in fresh {
        let newer = values.get(&known.path).is_none_or(|old| old.at <= known.at);
        if newer {
            values.insert(
                known.path,
                Known {
                    value: known.value,
                    source: known.source,
                    at: known.at,
                },
            );
        }
    }
    values
}

/// Copies the parameters that devices are searched by into their columns.
async fn describe(
    tx: &mut Tx,
    tenant: &TenantId,
    device: DeviceId,
    values: &[KnownValue],
    now: Timestamp,
) -> Result<Option<Redescribed>> {
    if !values
        .iter()
        .any(|known| Description::PARAMETERS.contains(&known.path.as_str()))
    {
        return Ok(None);
    }
    let statement = sql(device::SELECT)
        .then(" WHERE d.tenant = $1 AND d.id = $2")
        .bind(tenant)
        .bind(device);
    let Some(row) = tx.optional(statement).await? else {
        return Ok(None);
    };
    let before = device::read(&row)?.device.description;
    let mut after = before.clone();
    for known in values {
        after.apply(&known.path, &known.value);
    }
    if before == after {
        return Ok(None);
    }
    let patch = DevicePatch {
        description: Some(after.clone()),
        ..DevicePatch::default()
    };
    device::update(tx, tenant, device, patch, now).await?;
    Ok(Some(Redescribed { before, after }))
}

/// The document a path belongs to: its first two names (`Device.WiFi.`), or its first when it has no more.
fn object_of(path: &str) -> &str {
    whole_object(path).unwrap_or_else(|| path.split_inclusive('.').next().unwrap_or(path))
}

/// The document of a path that lies in one.
fn whole_object(path: &str) -> Option<&str> {
    let mut dots = path.match_indices('.').map(|(at, _)| at + 1);
    let (first, second) = (dots.next()?, dots.next());
    match second {
        Some(end) => path.get(..end),
        // A parameter directly below the root lives in the root's own document.
        None => (first < path.len()).then(|| path.get(..first)).flatten(),
    }
}

fn read(row: &Row) -> Result<(String, Values)> {
    let mut c = row.columns();
    Ok((c.take()?, decode(&c.take::<Vec<u8>>()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_the_document_of_its_top_level_object() {
        assert_eq!(object_of("Device.WiFi.SSID.1.SSID"), "Device.WiFi.");
        assert_eq!(object_of("Device.WiFi."), "Device.WiFi.");
        assert_eq!(object_of("Device.RootDataModelVersion"), "Device.");
        assert_eq!(whole_object("Device."), None);
        assert_eq!(whole_object(""), None);
    }

    #[test]
    fn sources_keep_their_numbers() {
        for (n, source) in ValueSource::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(source.code()), n);
            assert_eq!(ValueSource::of_code(source.code()), source);
        }
    }
}
