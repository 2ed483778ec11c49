//! Devices and what the list shows of them. What they are known by is in `identity`, how they are reached in `path`,
//! how the list is filtered and paged in `device_list`.

use std::net::{IpAddr, SocketAddr};

use fleet::device::{Description, OnboardingState};
use fleet::presence::Evidence;
use fleet::{
    Device, DeviceId, Event, Identity, IdentityKind, Protocol, SetupKeyId, TenantId, Timestamp,
};

use crate::error::{Error, Result};
use crate::identity::attach;
use crate::model::ModelKeys;
use crate::search::reindex;
use crate::sql::{Row, from_json_or_empty, json, sql};
use crate::tag::write_tags;
use crate::text::{check_tags, check_text, cut};
use crate::writer::Tx;
use crate::{Revocation, Store, setup_key, touched};

/// A device to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDevice {
    /// Id.
    pub id: DeviceId,
    /// Name for people; may be empty.
    pub name: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Management protocols, in the order in which they came: `usp`, `cwmp`, `cwmp usp`.
    pub protocol: String,
    /// What is known of it already.
    pub description: Description,
    /// What it is known by.
    pub identities: Vec<Identity>,
    /// Who says so (`setup`, `operator`).
    pub source: String,
    /// How far its onboarding is.
    pub onboarding: OnboardingState,
    /// When it was made.
    pub created_at: Timestamp,
}

impl NewDevice {
    /// One that an operator registers by its names in USP, and that has not come yet.
    pub fn expected(id: DeviceId, identities: Vec<Identity>, created_at: Timestamp) -> Self {
        Self {
            id,
            name: String::new(),
            tags: Vec::new(),
            protocol: "usp".to_owned(),
            description: Description::default(),
            identities,
            source: "operator".to_owned(),
            onboarding: OnboardingState::Expected,
            created_at,
        }
    }

    /// Its USP endpoint id; empty when it has none.
    fn endpoint(&self) -> &str {
        self.known_as(IdentityKind::UspEndpoint)
    }

    /// The name that its first path has: its USP endpoint id, else that under which it comes over CWMP.
    fn first_name(&self) -> String {
        let kind = match self.endpoint() {
            "" => IdentityKind::CwmpDevice,
            _ => IdentityKind::UspEndpoint,
        };
        let name = self.identities.iter().find(|name| name.kind == kind);
        name.map(Identity::shown).unwrap_or_default()
    }

    fn known_as(&self, kind: IdentityKind) -> &str {
        let mut all = self.identities.iter();
        all.find(|identity| identity.kind == kind)
            .map_or("", |identity| &identity.value)
    }
}

/// A device as the store keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceRecord {
    /// The device.
    pub device: Device,
    /// Management protocols, separated by a blank: `usp`, `cwmp`, or both.
    pub protocol: String,
    /// The newest version of it that both speak; empty when not known.
    pub protocol_version: String,
    /// Its USP endpoint id; empty when it has none.
    pub endpoint_id: String,
    /// Address of its WAN side; empty when not known.
    pub external_ip: String,
    /// Address it last came from.
    pub address: String,
    /// Keys of its supported models in the cache.
    pub models: ModelKeys,
    /// Why it last started.
    pub boot_cause: String,
    /// When it first came.
    pub first_seen_at: Option<Timestamp>,
    /// When its row last changed, evidence apart.
    pub updated_at: Timestamp,
}

impl DeviceRecord {
    /// The address to show and to find it by: of its WAN side, else the one it last came from; empty when it never came.
    pub fn ip(&self) -> String {
        match self.external_ip.as_str() {
            "" => ip_of(&self.address),
            told => told.to_owned(),
        }
    }
}

/// An address without its port; empty for what is none, as the words for one that is not known.
pub(crate) fn ip_of(address: &str) -> String {
    let socket = address.parse::<SocketAddr>().map(|socket| socket.ip());
    let ip = socket.or_else(|_| address.parse::<IpAddr>());
    ip.map_or_else(|_| String::new(), |ip| ip.to_string())
}

/// What may be changed about a device; `None` leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DevicePatch {
    /// Name for people.
    pub name: Option<String>,
    /// Tags, all of them.
    pub tags: Option<Vec<String>>,
    /// How far its onboarding is.
    pub onboarding: Option<OnboardingState>,
    /// Address of its WAN side.
    pub external_ip: Option<String>,
    /// Key of its supported model, and over which protocol it told that.
    pub model: Option<(Protocol, String)>,
    /// When and why it started; the reason is empty where only its up time tells.
    pub boot: Option<(Timestamp, String)>,
    /// The newest version of its protocol that both speak.
    pub protocol_version: Option<String>,
    /// What it says about itself.
    pub description: Option<Description>,
}

/// The columns that [`read`] takes.
pub(crate) const SELECT: &str = "SELECT d.id, d.tenant, d.name, d.tags, d.protocol, d.onboarding, d.manufacturer, d.oui, d.product_class, \
     d.serial, d.model_name, d.hardware_version, d.software_version, d.endpoint_id, d.external_ip, d.address, \
     d.model_key, d.created_at, d.updated_at, d.first_seen_at, d.connected_at, d.disconnected_at, d.heard_at, \
     d.booted_at, d.boot_cause, d.protocol_version, d.expected_by, d.back_by, d.cwmp_model_key FROM device d";

impl Store {
    /// Makes a device with its identities. An identity that leads elsewhere already is a conflict.
    pub async fn device_insert(
        &self,
        tenant: &TenantId,
        new: NewDevice,
        events: Vec<Event>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                insert(tx, &tenant, new).await?;
                tx.append_all(events).await
            })
        })
        .await
    }

    /// Makes a device that a setup key lets in over this transport, remembers from where and by which key, and counts
    /// the key: all of it or nothing. False when the key is revoked, expired or used up by then.
    pub async fn device_register(
        &self,
        tenant: &TenantId,
        new: NewDevice,
        (transport, peer): (&str, &str),
        key: SetupKeyId,
        events: Vec<Event>,
    ) -> Result<bool> {
        let (tenant, transport, peer) = (tenant.clone(), transport.to_owned(), peer.to_owned());
        let endpoint = new.first_name();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let used = setup_key::count(&tenant, key, new.created_at);
                if tx.execute(used).await? == 0 {
                    return Ok(false);
                }
                let id = new.id;
                insert(tx, &tenant, new).await?;
                let path = sql("INSERT INTO management_path (tenant, device, transport, endpoint_id, setup_key, \
                     certificate_required, info, peer, authenticated_by, link, disconnect_reason) \
                     VALUES ($1, $2, $3, $4, $5, 0, 'null', $6, '', 0, '')")
                .bind(&tenant)
                .bind(id)
                .bind(transport)
                .bind(endpoint)
                .bind(key)
                .bind(peer);
                tx.execute(path).await?;
                tx.append_all(events).await?;
                Ok(true)
            })
        })
        .await
    }

    /// One device.
    pub async fn device(&self, tenant: &TenantId, id: DeviceId) -> Result<DeviceRecord> {
        let statement = sql(SELECT)
            .then(" WHERE d.tenant = $1 AND d.id = $2")
            .bind(tenant)
            .bind(id);
        let row = self.optional(statement).await?;
        read(&row.ok_or(Error::NotFound("device"))?)
    }

    /// Changes a device.
    pub async fn device_update(
        &self,
        tenant: &TenantId,
        id: DeviceId,
        patch: DevicePatch,
        now: Timestamp,
        events: Vec<Event>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                update(tx, &tenant, id, patch, now).await?;
                tx.append_all(events).await
            })
        })
        .await
    }

    /// Removes a device and everything that belongs to it but the log. Its certificates are revoked: one that was
    /// forgotten would open the door again.
    pub async fn device_delete(
        &self,
        tenant: &TenantId,
        id: DeviceId,
        revocation: Revocation,
        events: Vec<Event>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let delete = sql("DELETE FROM device WHERE tenant = $1 AND id = $2")
                    .bind(&tenant)
                    .bind(id);
                touched(tx.execute(delete).await?, "device")?;
                crate::broker_queue::of_removed(tx, &tenant, id, revocation.at).await?;
                crate::certificate::revoke_of(tx, &tenant, id, revocation).await?;
                crate::removal::of_device(tx, &tenant, id).await?;
                tx.append_all(events).await
            })
        })
        .await
    }
}

pub(crate) async fn insert(tx: &mut Tx, tenant: &TenantId, new: NewDevice) -> Result<()> {
    tx.head(tenant).await?;
    check_text(&new.name)?;
    check_tags(&new.tags)?;
    let d = &new.description;
    let endpoint = new.endpoint();
    let insert = sql("INSERT INTO device (tenant, id, name, sort_name, tags, protocol, onboarding, \
         manufacturer, oui, product_class, serial, model_name, hardware_version, software_version, \
         endpoint_id, external_ip, address, model_key, created_at, updated_at, first_seen_at, \
         connected_at, disconnected_at, heard_at, booted_at, boot_cause) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, '', '', '', $16, $16, \
         0, 0, 0, 0, 0, '')")
    .bind(tenant)
    .bind(new.id)
    .bind(&new.name)
    .bind(sort_name(&new.name, d, endpoint))
    .bind(json(&new.tags)?)
    .bind(&new.protocol)
    .bind(new.onboarding.as_str())
    .bind(cut(&d.manufacturer))
    .bind(cut(&d.oui))
    .bind(cut(&d.product_class))
    .bind(cut(&d.serial))
    .bind(cut(&d.model))
    .bind(cut(&d.hardware_version))
    .bind(cut(&d.software_version))
    .bind(endpoint)
    .bind(new.created_at);
    tx.execute(insert)
        .await
        .map_err(|e| e.or_conflict("device", new.id.to_string()))?;
    let taken = attach(
        tx,
        tenant,
        new.id,
        &new.identities,
        &new.source,
        new.created_at,
    )
    .await?;
    if let Some(taken) = taken.first() {
        return Err(Error::conflict(
            "device identity",
            format!("{} {}", taken.identity.kind.as_str(), taken.identity.value),
        ));
    }
    write_tags(tx, tenant, new.id, &new.tags).await?;
    reindex(tx, tenant, new.id).await
}

/// Fails when the tenant has no such device.
pub(crate) async fn exists(tx: &mut Tx, tenant: &TenantId, device: DeviceId) -> Result<()> {
    let statement = sql("SELECT id FROM device WHERE tenant = $1 AND id = $2")
        .bind(tenant)
        .bind(device);
    tx.optional(statement)
        .await?
        .map(drop)
        .ok_or(Error::NotFound("device"))
}

/// Changes a device within a transaction.
pub(crate) async fn update(
    tx: &mut Tx,
    tenant: &TenantId,
    id: DeviceId,
    patch: DevicePatch,
    now: Timestamp,
) -> Result<()> {
    let mut update = sql("UPDATE device SET updated_at = ");
    update.arg(now);
    if let Some(name) = &patch.name {
        check_text(name)?;
        update.push(", name = ").arg(name);
    }
    if let Some(tags) = &patch.tags {
        check_tags(tags)?;
        update.push(", tags = ").arg(json(tags)?);
    }
    if let Some(state) = patch.onboarding {
        update.push(", onboarding = ").arg(state.as_str());
    }
    if let Some(ip) = &patch.external_ip {
        update.push(", external_ip = ").arg(cut(ip));
    }
    if let Some((over, key)) = &patch.model {
        update.push(match over {
            Protocol::Usp => ", model_key = ",
            Protocol::Cwmp => ", cwmp_model_key = ",
        });
        update.arg(key);
    }
    if let Some(version) = &patch.protocol_version {
        update.push(", protocol_version = ").arg(version);
    }
    if let Some((at, cause)) = &patch.boot {
        update.push(", booted_at = ").arg(*at);
        update.push(", boot_cause = ").arg(cause);
    }
    if let Some(d) = &patch.description {
        update.push(", manufacturer = ").arg(cut(&d.manufacturer));
        update.push(", oui = ").arg(cut(&d.oui));
        update.push(", product_class = ").arg(cut(&d.product_class));
        update.push(", serial = ").arg(cut(&d.serial));
        update.push(", model_name = ").arg(cut(&d.model));
        update
            .push(", hardware_version = ")
            .arg(cut(&d.hardware_version));
        update
            .push(", software_version = ")
            .arg(cut(&d.software_version));
    }
    update.push(" WHERE tenant = ").arg(tenant);
    update.push(" AND id = ").arg(id);
    touched(tx.execute(update).await?, "device")?;
    if let Some(tags) = &patch.tags {
        let delete = sql("DELETE FROM device_tag WHERE tenant = $1 AND device = $2")
            .bind(tenant)
            .bind(id);
        tx.execute(delete).await?;
        write_tags(tx, tenant, id, tags).await?;
    }
    let searched = patch.name.is_some()
        || patch.tags.is_some()
        || patch.external_ip.is_some()
        || patch.description.is_some();
    if searched {
        refresh(tx, tenant, id).await?;
    }
    Ok(())
}

/// Recomputes the columns that follow from others: the name to sort by, the endpoint id, the search terms.
pub(crate) async fn refresh(tx: &mut Tx, tenant: &TenantId, id: DeviceId) -> Result<()> {
    let statement = sql(SELECT)
        .then(" WHERE d.tenant = $1 AND d.id = $2")
        .bind(tenant)
        .bind(id);
    let Some(row) = tx.optional(statement).await? else {
        return Ok(());
    };
    let record = read(&row)?;
    let statement = sql(
        "SELECT value FROM identity WHERE tenant = $1 AND device = $2 AND kind = $3 \
         ORDER BY at DESC, value LIMIT 1",
    )
    .bind(tenant)
    .bind(id)
    .bind(IdentityKind::UspEndpoint.as_str());
    let endpoint: String = match tx.optional(statement).await? {
        Some(row) => row.columns().take()?,
        None => String::new(),
    };
    let sort = sort_name(&record.device.name, &record.device.description, &endpoint);
    let update =
        sql("UPDATE device SET sort_name = $1, endpoint_id = $2 WHERE tenant = $3 AND id = $4")
            .bind(sort)
            .bind(endpoint)
            .bind(tenant)
            .bind(id);
    tx.execute(update).await?;
    reindex(tx, tenant, id).await
}

/// What the list calls a device, in the form it sorts by.
pub(crate) fn sort_name(name: &str, description: &Description, endpoint: &str) -> String {
    let shown = [name, &description.serial, endpoint]
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_default();
    cut(shown).to_lowercase()
}

/// 0 means never.
pub(crate) fn ever(at: Timestamp) -> Option<Timestamp> {
    (at.0 != 0).then_some(at)
}

/// Reads a row of [`SELECT`].
pub(crate) fn read(row: &Row) -> Result<DeviceRecord> {
    let mut c = row.columns();
    let (id, tenant, name) = (c.take()?, c.take()?, c.take()?);
    let tags = from_json_or_empty(&c.take::<String>()?, "tags of a device");
    let protocol = c.take()?;
    let onboarding = OnboardingState::of(&c.take::<String>()?);
    let description = Description {
        manufacturer: c.take()?,
        oui: c.take()?,
        product_class: c.take()?,
        serial: c.take()?,
        model: c.take()?,
        hardware_version: c.take()?,
        software_version: c.take()?,
    };
    let (endpoint_id, external_ip, address, usp) = (c.take()?, c.take()?, c.take()?, c.take()?);
    let (created_at, updated_at) = (c.take()?, c.take()?);
    let first_seen_at = ever(c.take()?);
    let (connected_at, disconnected_at, heard_at) =
        (ever(c.take()?), ever(c.take()?), ever(c.take()?));
    let booted_at = ever(c.take()?);
    let (boot_cause, protocol_version) = (c.take()?, c.take()?);
    let evidence = Evidence {
        connected_at,
        disconnected_at,
        heard_at,
        expected_by: ever(c.take()?),
        back_by: ever(c.take()?),
    };
    let cwmp = c.take()?;
    Ok(DeviceRecord {
        device: Device {
            id,
            tenant,
            name,
            tags,
            description,
            evidence,
            onboarding,
            created_at,
            booted_at,
        },
        protocol,
        endpoint_id,
        external_ip,
        address,
        models: ModelKeys { usp, cwmp },
        boot_cause,
        protocol_version,
        first_seen_at,
        updated_at,
    })
}
