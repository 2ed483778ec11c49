//! The device list: typed filters, free text, sorting, pages by keyset cursor (never OFFSET), bounded counts and
//! facets. Presence is a filter over evidence columns with the caller's clock, because it is stored nowhere.

use std::net::IpAddr;

use fleet::presence::PresenceConfig;
use fleet::{DeviceId, Presence, TenantId, Timestamp};

use crate::device::{self, DeviceRecord};
use crate::error::{Error, Result};
use crate::limits::{DEVICE_COUNT_MAX, DEVICE_PAGE_MAX, FACET_ROWS_MAX, FACET_VALUES_MAX};
use crate::search::Word;
use crate::sql::{Arg, Sql, sql};
use crate::{Store, collect, readable, search};

/// Which devices; empty means all. Values of one field are alternatives, fields must all match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceFilter {
    /// Words that must all be found.
    pub q: Option<String>,
    /// Presence, derived at [`Search::now`].
    pub presence: Vec<Presence>,
    /// Manufacturer.
    pub manufacturer: Vec<String>,
    /// Model name.
    pub model: Vec<String>,
    /// Product class.
    pub product_class: Vec<String>,
    /// Software version.
    pub software_version: Vec<String>,
    /// Serial number.
    pub serial: Vec<String>,
    /// Address: of the WAN side, else the one it last came from.
    pub ip: Vec<String>,
    /// Management protocol.
    pub protocol: Vec<String>,
    /// Tags, one of which the device has.
    pub tags: Vec<String>,
    /// Heard since.
    pub heard_after: Option<Timestamp>,
    /// Not heard since.
    pub heard_before: Option<Timestamp>,
    /// Started since.
    pub booted_after: Option<Timestamp>,
}

/// A column to sort by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeviceSortBy {
    /// Name, else serial number, else endpoint id.
    #[default]
    Name,
    /// Manufacturer.
    Manufacturer,
    /// Model name.
    Model,
    /// Software version.
    SoftwareVersion,
    /// Serial number.
    Serial,
    /// When it was last heard.
    Heard,
    /// When it was made.
    Created,
}

/// How to sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeviceSort {
    /// By which column.
    pub by: DeviceSortBy,
    /// From the end.
    pub descending: bool,
}

/// What a search for devices is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Which devices.
    pub filter: DeviceFilter,
    /// The clock that presence is derived with.
    pub now: Timestamp,
    /// How presence is derived.
    pub presence: PresenceConfig,
}

impl Search {
    /// All devices, seen from `now`.
    pub fn new(filter: DeviceFilter, now: Timestamp) -> Search {
        Search {
            filter,
            now,
            presence: PresenceConfig::default(),
        }
    }
}

/// One page of devices.
#[derive(Debug, Clone, PartialEq)]
pub struct DevicePage {
    /// The devices.
    pub devices: Vec<DeviceRecord>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<String>,
}

/// A field that can be counted by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FacetField {
    /// Manufacturer.
    Manufacturer,
    /// Model name.
    Model,
    /// Product class.
    ProductClass,
    /// Software version.
    SoftwareVersion,
    /// Management protocol.
    Protocol,
    /// Presence, derived.
    Presence,
    /// Tags.
    Tag,
}

/// A value of a field and how many devices have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facet {
    /// The value.
    pub value: String,
    /// How many.
    pub count: u64,
}

impl DeviceSortBy {
    fn column(self) -> Option<&'static str> {
        Some(match self {
            Self::Name => "d.sort_name",
            Self::Manufacturer => "d.manufacturer",
            Self::Model => "d.model_name",
            Self::SoftwareVersion => "d.software_version",
            Self::Serial => "d.serial",
            Self::Heard => "d.heard_at",
            // Ids sort by the time they were made.
            Self::Created => return None,
        })
    }
}

impl Store {
    /// A page of the devices that match, from `cursor` on.
    pub async fn device_list(
        &self,
        tenant: &TenantId,
        search: &Search,
        sort: DeviceSort,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<DevicePage> {
        let limit = limit.clamp(1, DEVICE_PAGE_MAX);
        let words = self.words(tenant, search).await?;
        let mut statement = sql(device::SELECT);
        conditions(&mut statement, tenant, search, &words);
        let column = sort.by.column();
        let (than, order) = if sort.descending {
            (" < ", " DESC")
        } else {
            (" > ", "")
        };
        if let Some(cursor) = cursor {
            let (key, id) = parse_cursor(sort.by, cursor)?;
            if let Some(column) = column {
                statement
                    .push(" AND (")
                    .push(column)
                    .push(", d.id)")
                    .push(than)
                    .push("(");
                statement.arg(key).push(", ").arg(id).push(")");
            } else {
                statement.push(" AND d.id").push(than).arg(id);
            }
        }
        statement.push(" ORDER BY ");
        if let Some(column) = column {
            statement.push(column).push(order).push(", ");
        }
        statement
            .push("d.id")
            .push(order)
            .push(" LIMIT ")
            .arg(limit + 1);
        let mut passed = 0;
        loop {
            let mut page = statement.clone();
            page.push(" OFFSET ").arg(passed);
            let mut rows = self.all(page).await?;
            let more = rows.len() > limit;
            rows.truncate(limit);
            let devices = readable(&rows, "device", device::read)?;
            // Where all rows of a page are damaged, none says where the next begins.
            if devices.is_empty() && more {
                passed += limit;
                continue;
            }
            let next = devices.last().filter(|_| more);
            let next = next.map(|last| cursor_of(sort.by, last));
            return Ok(DevicePage { devices, next });
        }
    }

    /// How many devices match, and whether there are more than that.
    pub async fn device_count(&self, tenant: &TenantId, search: &Search) -> Result<(u64, bool)> {
        let words = self.words(tenant, search).await?;
        let mut statement = sql("SELECT count(*) FROM (SELECT 1 AS one FROM device d");
        conditions(&mut statement, tenant, search, &words);
        statement
            .push(" LIMIT ")
            .arg(DEVICE_COUNT_MAX + 1)
            .push(") AS counted");
        let count: u64 = self.one(statement).await?.columns().take()?;
        Ok((count.min(DEVICE_COUNT_MAX), count > DEVICE_COUNT_MAX))
    }

    /// The most frequent values of a field among the devices that match, that begin with `prefix`.
    pub async fn device_facets(
        &self,
        tenant: &TenantId,
        search: &Search,
        field: FacetField,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<Facet>> {
        let column = match field {
            FacetField::Manufacturer => "d.manufacturer",
            FacetField::Model => "d.model_name",
            FacetField::ProductClass => "d.product_class",
            FacetField::SoftwareVersion => "d.software_version",
            FacetField::Protocol => "d.protocol",
            FacetField::Tag => "t.tag",
            FacetField::Presence => return self.presence_facets(tenant, search, prefix).await,
        };
        let words = self.words(tenant, search).await?;
        let mut statement = sql("SELECT value, count(*) AS times FROM (SELECT ");
        statement.push(column).push(" AS value FROM device d");
        if field == FacetField::Tag {
            statement.push(" JOIN device_tag t ON t.tenant = d.tenant AND t.device = d.id");
        }
        conditions(&mut statement, tenant, search, &words);
        // A device with two protocols begins with the first of them.
        if prefix.is_empty() || field == FacetField::Protocol {
            statement.push(" AND ").push(column).push(" <> ''");
        } else {
            statement
                .push(" AND ")
                .push(column)
                .push(" >= ")
                .arg(prefix);
            statement
                .push(" AND ")
                .push(column)
                .push(" < ")
                .arg(format!("{prefix}\u{10ffff}"));
        }
        statement.push(" LIMIT ").arg(FACET_ROWS_MAX);
        statement
            .push(") AS counted GROUP BY value ORDER BY times DESC, value LIMIT ")
            .arg(limit.clamp(1, FACET_VALUES_MAX));
        let facets = collect(&self.all(statement).await?, |row| {
            let mut c = row.columns();
            Ok(Facet {
                value: c.take()?,
                count: c.take()?,
            })
        })?;
        Ok(match field {
            FacetField::Protocol => crate::protocol::each(facets, prefix),
            _ => facets,
        })
    }

    async fn words(&self, tenant: &TenantId, search: &Search) -> Result<Vec<Word>> {
        search::words(self, tenant, search.filter.q.as_deref()).await
    }

    async fn presence_facets(
        &self,
        tenant: &TenantId,
        search: &Search,
        prefix: &str,
    ) -> Result<Vec<Facet>> {
        let words = self.words(tenant, search).await?;
        let mut facets = Vec::new();
        for presence in Presence::ALL {
            if !presence.as_str().starts_with(prefix) {
                continue;
            }
            let mut one = search.clone();
            if !one.filter.presence.is_empty() && !one.filter.presence.contains(&presence) {
                continue;
            }
            one.filter.presence = vec![presence];
            let mut statement = sql("SELECT count(*) FROM (SELECT 1 AS one FROM device d");
            conditions(&mut statement, tenant, &one, &words);
            statement
                .push(" LIMIT ")
                .arg(FACET_ROWS_MAX)
                .push(") AS counted");
            let count: u64 = self.one(statement).await?.columns().take()?;
            if count > 0 {
                facets.push(Facet {
                    value: presence.as_str().to_owned(),
                    count,
                });
            }
        }
        facets.sort_by_key(|facet| std::cmp::Reverse(facet.count));
        Ok(facets)
    }
}

fn conditions(statement: &mut Sql, tenant: &TenantId, search: &Search, words: &[Word]) {
    let filter = &search.filter;
    statement.push(" WHERE d.tenant = ").arg(tenant);
    for (column, values) in [
        ("d.manufacturer", &filter.manufacturer),
        ("d.model_name", &filter.model),
        ("d.product_class", &filter.product_class),
        ("d.software_version", &filter.software_version),
        ("d.serial", &filter.serial),
        ("d.protocol", &crate::protocol::having(&filter.protocol)),
    ] {
        if !values.is_empty() {
            statement
                .push(" AND ")
                .push(column)
                .push(" IN ")
                .list(values);
        }
    }
    if !filter.ip.is_empty() {
        address(statement, &filter.ip);
    }
    if !filter.tags.is_empty() {
        statement
            .push(" AND d.id IN (SELECT device FROM device_tag WHERE tenant = ")
            .arg(tenant);
        statement.push(" AND tag IN ").list(&filter.tags).push(")");
    }
    for (text, at) in [
        (" AND d.heard_at >= ", filter.heard_after),
        (" AND d.heard_at < ", filter.heard_before),
        (" AND d.booted_at >= ", filter.booted_after),
    ] {
        if let Some(at) = at {
            statement.push(text).arg(at);
        }
    }
    if !filter.presence.is_empty() {
        presence(statement, search);
    }
    search::condition(statement, tenant, words);
}

/// The words of [`device::DeviceRecord::ip`] over its columns: what is kept of a connection has its port behind it.
fn address(statement: &mut Sql, ips: &[String]) {
    statement.push(" AND (d.external_ip IN ").list(ips);
    for ip in ips.iter().filter(|ip| !ip.is_empty()) {
        let host = match ip.parse() {
            Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
            Ok(IpAddr::V4(_)) | Err(_) => ip.clone(),
        };
        statement
            .push(" OR (d.external_ip = '' AND d.address = ")
            .arg(ip);
        statement.push(") OR (d.external_ip = '' AND d.address > ");
        // The character after the colon ends the range of the ports.
        statement.arg(format!("{host}:")).push(" AND d.address < ");
        statement.arg(format!("{host};")).push(")");
    }
    statement.push(")");
}

/// The words of `fleet::presence::presence` over the evidence columns; a test compares the two.
fn presence(statement: &mut Sql, search: &Search) {
    let (now, cutoff) = (search.now, search.now.minus(search.presence.silent_after));
    statement.push(" AND (");
    for (n, presence) in search.filter.presence.iter().enumerate() {
        if n > 0 {
            statement.push(" OR ");
        }
        // Of a device that comes at intervals: late by less than the time it was given, or by more. Without such
        // a time (0) it is as if it were late by more.
        match presence {
            Presence::Online => statement
                .push("(d.connected_at > d.disconnected_at AND d.heard_at >= ")
                .arg(cutoff)
                .push(" OR d.expected_by >= ")
                .arg(now)
                .push(")"),
            Presence::Silent => statement
                .push("(d.expected_by < ")
                .arg(now)
                .push(" AND (d.connected_at > d.disconnected_at AND d.heard_at < ")
                .arg(cutoff)
                .push(" OR d.connected_at <= d.disconnected_at AND d.expected_by > 0 AND d.expected_by - d.heard_at >= ")
                .arg(now)
                .push(" - d.expected_by))"),
            Presence::Offline => statement
                .push("(d.connected_at <= d.disconnected_at AND (d.disconnected_at > 0 OR d.heard_at > 0) AND d.expected_by < ")
                .arg(now)
                .push(" AND d.expected_by - d.heard_at < ")
                .arg(now)
                .push(" - d.expected_by)"),
            Presence::Never => statement.push("(d.connected_at = 0 AND d.disconnected_at = 0 AND d.heard_at = 0)"),
        };
    }
    statement.push(")");
}

/// The place of a device in the order: its id and, as hexadecimal, what it is sorted by.
fn cursor_of(by: DeviceSortBy, last: &DeviceRecord) -> String {
    let d = &last.device.description;
    let key = match by {
        DeviceSortBy::Name => device::sort_name(&last.device.name, d, &last.endpoint_id),
        DeviceSortBy::Manufacturer => d.manufacturer.clone(),
        DeviceSortBy::Model => d.model.clone(),
        DeviceSortBy::SoftwareVersion => d.software_version.clone(),
        DeviceSortBy::Serial => d.serial.clone(),
        DeviceSortBy::Heard => last
            .device
            .evidence
            .heard_at
            .unwrap_or_default()
            .0
            .to_string(),
        DeviceSortBy::Created => String::new(),
    };
    let mut out = last.device.id.to_string();
    for byte in key.bytes() {
        use std::fmt::Write as _;
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn parse_cursor(by: DeviceSortBy, cursor: &str) -> Result<(Arg, DeviceId)> {
    let malformed = || Error::Invalid("not a cursor of this list".to_owned());
    let (id, key) = cursor.split_at_checked(36).ok_or_else(malformed)?;
    let id: DeviceId = id.parse().map_err(|_| malformed())?;
    if !key.is_ascii() || !key.len().is_multiple_of(2) {
        return Err(malformed());
    }
    let bytes: Vec<u8> = (0..key.len())
        .step_by(2)
        .map(|n| u8::from_str_radix(&key[n..n + 2], 16).map_err(|_| malformed()))
        .collect::<Result<_>>()?;
    let key = String::from_utf8(bytes).map_err(|_| malformed())?;
    Ok(match by {
        DeviceSortBy::Heard => (key.parse::<i64>().map_err(|_| malformed())?.into(), id),
        _ => (key.into(), id),
    })
}
