//! Two devices that are one, and one that is two: merging and splitting, each in one transaction.
//!
//! A path keeps its credential. Passwords that are derived from the id of a device stay valid because the path
//! remembers under which id they were made (`login`).

use std::collections::BTreeSet;

use fleet::{DeviceId, Event, EventKind, IdentityKind, TenantId, Timestamp};

use crate::device::refresh;
use crate::device_match::{MatchRecord, reject};
use crate::error::{Error, Result};
use crate::limits::TAGS_MAX;
use crate::model::ModelKeys;
use crate::sql::{from_json_or_empty, json, sql};
use crate::tag::write_tags;
use crate::writer::Tx;
use crate::{Store, collect, protocol, touched};

/// Of a device that becomes two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The device.
    pub device: DeviceId,
    /// The path that goes: its transport.
    pub transport: String,
    /// The command keys of what the device works on over that path: these operations go with it.
    pub commands: Vec<String>,
    /// The new device, which gets it; and that a person said that the two are two.
    pub decision: MatchRecord,
}

impl Store {
    /// Makes one device of two that turned out to be the same: identities, ways, operations, sessions and what adapters
    /// remember go from `from` to `into`, where that has none of its own; `from` disappears. Its log stays under its
    /// old id, which is remembered. Two that have both come over one transport are two: that is a conflict, one that was registered for it
    /// and never came is none. What is
    /// left behind is told with [`EventKind::DeviceMerged`].
    pub async fn device_merge(
        &self,
        tenant: &TenantId,
        from: DeviceId,
        into: DeviceId,
        mut events: Vec<Event>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write_of(&tenant.clone(), vec![from, into], move |tx| {
            Box::pin(async move {
                adopt(tx, &tenant, from, into).await?;
                let left = serde_json::json!({
                    "paths": one_way_each(tx, &tenant, from, into).await?,
                    "values": both(tx, &tenant, from, into, BOTH_OBJECTS).await?,
                    "documents": both(tx, &tenant, from, into, BOTH_STATES).await?,
                });
                for event in &mut events {
                    if let (EventKind::DeviceMerged, Some(data)) = (event.kind, event.data.as_object_mut()) {
                        data.insert("left_behind".to_owned(), left.clone());
                    }
                }
                let delete = sql("DELETE FROM device WHERE tenant = $1 AND id = $2")
                    .bind(&tenant)
                    .bind(from);
                touched(tx.execute(delete).await?, "device")?;
                let at = events.first().map_or(Timestamp::default(), |event| event.at);
                tx.execute(sql(UNLINKED).bind(&tenant).bind(from).bind(at)).await?;
                for text in [
                    "UPDATE identity SET device = $3 WHERE tenant = $1 AND device = $2",
                    "UPDATE transfer SET device = $3 WHERE tenant = $1 AND device = $2",
                    "UPDATE file SET device = $3 WHERE tenant = $1 AND device = $2",
                    "UPDATE management_path SET device = $3, login = coalesce(login, device), node = NULL \
                     WHERE tenant = $1 AND device = $2 AND transport NOT IN \
                     (SELECT transport FROM management_path WHERE tenant = $1 AND device = $3)",
                    "UPDATE value_document SET device = $3 WHERE tenant = $1 AND device = $2 AND object NOT IN \
                     (SELECT object FROM value_document WHERE tenant = $1 AND device = $3)",
                    "UPDATE device_state SET device = $3 WHERE tenant = $1 AND device = $2 AND name NOT IN \
                     (SELECT name FROM device_state WHERE tenant = $1 AND device = $3)",
                    "UPDATE management_session SET device = $3 WHERE tenant = $1 AND device = $2",
                ] {
                    tx.execute(sql(text).bind(&tenant).bind(from).bind(into)).await?;
                }
                crate::operation::adopt(tx, &tenant, from, into).await?;
                crate::former::remember(tx, &tenant, from, into).await?;
                crate::removal::of_device(tx, &tenant, from).await?;
                tx.execute(sql(GUARD).bind(&tenant).bind(into)).await?;
                refresh(tx, &tenant, into).await?;
                tx.append_all(events).await
            })
        })
        .await
    }

    /// Notes that a device comes over a further protocol.
    pub async fn device_speaks(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        name: &str,
        events: Vec<Event>,
    ) -> Result<()> {
        let (tenant, name) = (tenant.clone(), name.to_owned());
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let there = look(tx, &tenant, device).await?;
                let update = sql("UPDATE device SET protocol = $1 WHERE tenant = $2 AND id = $3")
                    .bind(protocol::union(&there.protocol, &name))
                    .bind(&tenant)
                    .bind(device);
                tx.execute(update).await?;
                tx.append_all(events).await
            })
        })
        .await
    }

    /// Makes two devices of one: a path goes to a new device, with the name it comes under and what is remembered of
    /// it, and what it works on; the rest stays, other operations and values too. The new device is brought in anew when
    /// it comes. A device with one path is not split.
    pub async fn device_split(
        &self,
        tenant: &TenantId,
        split: Split,
        now: Timestamp,
        events: Vec<Event>,
    ) -> Result<()> {
        let (tenant, both) = (tenant.clone(), vec![split.device, split.decision.other]);
        self.write_of(&tenant.clone(), both, move |tx| {
            Box::pin(async move {
                part(tx, &tenant, &split, now).await?;
                let (old, new) = (split.device, split.decision.other);
                reject(tx, &tenant, split.decision).await?;
                refresh(tx, &tenant, old).await?;
                refresh(tx, &tenant, new).await?;
                tx.append_all(events).await
            })
        })
        .await
    }
}

async fn part(tx: &mut Tx, tenant: &TenantId, split: &Split, now: Timestamp) -> Result<()> {
    let (old, new, transport) = (split.device, split.decision.other, &split.transport);
    let there = look(tx, tenant, old).await?;
    let paths = sql("SELECT transport FROM management_path WHERE tenant = $1 AND device = $2")
        .bind(tenant)
        .bind(old);
    let paths: Vec<String> = collect(&tx.all(paths).await?, |row| row.columns().take())?;
    if !paths.contains(transport) {
        return Err(Error::NotFound("path"));
    }
    if paths.len() == 1 {
        return Err(Error::Invalid(
            "a device with one management path cannot be split".to_owned(),
        ));
    }
    let name = protocol::of(transport);
    let by_interval = name == "cwmp";
    let insert = sql("INSERT INTO device (tenant, id, name, sort_name, tags, protocol, onboarding, manufacturer, oui, \
         product_class, serial, model_name, hardware_version, software_version, endpoint_id, external_ip, address, \
         model_key, cwmp_model_key, created_at, updated_at, first_seen_at, connected_at, disconnected_at, heard_at, \
         booted_at, boot_cause, expected_by) SELECT tenant, $3, '', sort_name, '[]', $4, 'started', manufacturer, oui, \
         product_class, serial, model_name, hardware_version, software_version, '', '', '', CASE WHEN $6 = 1 THEN '' ELSE model_key END, \
         CASE WHEN $6 = 1 THEN cwmp_model_key ELSE '' END, $5, $5, $5, 0, $5, \
         heard_at, 0, '', CASE WHEN $6 = 1 THEN expected_by ELSE 0 END FROM device WHERE tenant = $1 AND id = $2")
    .bind(tenant)
    .bind(old)
    .bind(new)
    .bind(name)
    .bind(now)
    .bind(by_interval);
    tx.execute(insert)
        .await
        .map_err(|e| e.or_conflict("device", new.to_string()))?;
    let rest = paths.iter().filter(|other| *other != transport);
    let rest = rest.fold(String::new(), |all, other| {
        protocol::union(&all, protocol::of(other))
    });
    // The link of a path that goes ends; a path that comes at intervals takes its time along.
    let update = sql("UPDATE device SET protocol = $1, \
         model_key = CASE WHEN $2 = 1 THEN model_key ELSE '' END, \
         cwmp_model_key = CASE WHEN $2 = 1 THEN '' ELSE cwmp_model_key END, \
         expected_by = CASE WHEN $2 = 1 THEN 0 ELSE expected_by END, \
         disconnected_at = CASE WHEN $2 = 0 AND connected_at > disconnected_at \
         THEN CASE WHEN connected_at > $3 THEN connected_at ELSE $3 END \
         WHEN $2 = 1 AND disconnected_at = 0 AND connected_at = 0 THEN $3 ELSE disconnected_at END, \
         updated_at = $3 WHERE tenant = $4 AND id = $5")
    .bind(match rest.as_str() {
        "" => there.protocol.as_str(),
        rest => rest,
    })
    .bind(by_interval)
    .bind(now)
    .bind(tenant)
    .bind(old);
    tx.execute(update).await?;
    let path = sql(
        "UPDATE management_path SET device = $3, login = coalesce(login, device), node = NULL \
         WHERE tenant = $1 AND device = $2 AND transport = $4",
    )
    .bind(tenant)
    .bind(old)
    .bind(new)
    .bind(transport);
    tx.execute(path).await?;
    let kind = match by_interval {
        true => IdentityKind::CwmpDevice,
        false => IdentityKind::UspEndpoint,
    };
    let identities =
        sql("UPDATE identity SET device = $3 WHERE tenant = $1 AND device = $2 AND kind = $4")
            .bind(tenant)
            .bind(old)
            .bind(new)
            .bind(kind.as_str());
    tx.execute(identities).await?;
    if by_interval {
        for text in [
            "UPDATE device_state SET device = $3 WHERE tenant = $1 AND device = $2",
            "UPDATE management_session SET device = $3 WHERE tenant = $1 AND device = $2",
        ] {
            tx.execute(sql(text).bind(tenant).bind(old).bind(new))
                .await?;
        }
    }
    crate::operation::part(tx, tenant, old, new, &split.commands).await
}

/// Of the ways that both have, the one stays over which a device came, else the one that has a credential. What was set
/// for the other one holds for it too. Which went, by their transports. Where both came they are two.
async fn one_way_each(
    tx: &mut Tx,
    tenant: &TenantId,
    from: DeviceId,
    into: DeviceId,
) -> Result<Vec<String>> {
    let statement = sql(
        "SELECT transport, count(CASE WHEN device = $2 THEN connected_at END), \
         count(CASE WHEN device = $3 THEN connected_at END), \
         count(CASE WHEN device = $2 THEN coalesce(credential_hash, pending_hash) END), \
         count(CASE WHEN device = $3 THEN coalesce(credential_hash, pending_hash) END) \
         FROM management_path WHERE tenant = $1 AND device IN ($2, $3) GROUP BY transport HAVING count(*) > 1",
    )
    .bind(tenant)
    .bind(from)
    .bind(into);
    let shared: Vec<(String, [i64; 2], [i64; 2])> = collect(&tx.all(statement).await?, |row| {
        let mut c = row.columns();
        let (transport, came) = (c.take()?, [c.take()?, c.take()?]);
        Ok((transport, came, [c.take()?, c.take()?]))
    })?;
    let mut gone = Vec::new();
    for (transport, [they_came, we_came], [their_key, our_key]) in shared {
        if they_came + we_came == 2 {
            return Err(Error::conflict(
                "management path",
                format!("both devices come over {transport}, so they are two"),
            ));
        }
        let (stays, goes) = if (they_came, their_key) > (we_came, our_key) {
            (from, into)
        } else {
            (into, from)
        };
        for text in [
            "UPDATE management_path SET dial_url = coalesce(dial_url, (SELECT other.dial_url FROM management_path other \
             WHERE other.tenant = $1 AND other.transport = $2 AND other.device = $4)), certificate_required = \
             CASE WHEN certificate_required = 1 THEN 1 ELSE (SELECT other.certificate_required FROM management_path other \
             WHERE other.tenant = $1 AND other.transport = $2 AND other.device = $4) END \
             WHERE tenant = $1 AND transport = $2 AND device = $3",
            "DELETE FROM management_path WHERE tenant = $1 AND transport = $2 AND device <> $3 AND device = $4",
        ] {
            let statement = sql(text).bind(tenant).bind(&transport);
            tx.execute(statement.bind(stays).bind(goes)).await?;
        }
        gone.push(transport);
    }
    Ok(gone)
}

/// A link under the id that is gone ends, and nobody tells of that under the other one.
const UNLINKED: &str = "UPDATE management_path SET disconnect_reason = 'its device has become part of another', \
     disconnected_at = CASE WHEN connected_at > $3 THEN connected_at ELSE $3 END \
     WHERE tenant = $1 AND device = $2 AND node IS NOT NULL";

/// Where a certificate is required on one way to a device, it is on all by which it comes to us.
const GUARD: &str = "UPDATE management_path SET certificate_required = 1 WHERE tenant = $1 AND device = $2 \
     AND dial_url IS NULL AND certificate_required = 0 AND EXISTS (SELECT 1 FROM management_path other \
     WHERE other.tenant = $1 AND other.device = $2 AND other.certificate_required = 1)";

const BOTH_OBJECTS: &str = "SELECT object FROM value_document WHERE tenant = $1 AND device = $2 AND object IN \
     (SELECT object FROM value_document WHERE tenant = $1 AND device = $3) ORDER BY object";
const BOTH_STATES: &str = "SELECT name FROM device_state WHERE tenant = $1 AND device = $2 AND name IN \
     (SELECT name FROM device_state WHERE tenant = $1 AND device = $3) ORDER BY name";

/// What both have of a kind: that of `from` stays behind.
async fn both(
    tx: &mut Tx,
    tenant: &TenantId,
    from: DeviceId,
    into: DeviceId,
    text: &'static str,
) -> Result<Vec<String>> {
    let statement = sql(text).bind(tenant).bind(from).bind(into);
    collect(&tx.all(statement).await?, |row| row.columns().take())
}

/// What a merge brings together from the rows of both.
struct Row {
    name: String,
    tags: Vec<String>,
    protocol: String,
    heard_at: i64,
    expected_by: i64,
    first_seen_at: i64,
    models: ModelKeys,
}

async fn look(tx: &mut Tx, tenant: &TenantId, device: DeviceId) -> Result<Row> {
    let statement = sql(
        "SELECT name, tags, protocol, heard_at, expected_by, first_seen_at, model_key, cwmp_model_key \
         FROM device WHERE tenant = $1 AND id = $2",
    )
    .bind(tenant)
    .bind(device);
    let row = tx.optional(statement).await?;
    let row = row.ok_or(Error::NotFound("device"))?;
    let mut c = row.columns();
    Ok(Row {
        name: c.take()?,
        tags: from_json_or_empty(&c.take::<String>()?, "tags of a device"),
        protocol: c.take()?,
        heard_at: c.take()?,
        expected_by: c.take()?,
        first_seen_at: c.take()?,
        models: ModelKeys {
            usp: c.take()?,
            cwmp: c.take()?,
        },
    })
}

fn own_or(own: String, other: String) -> String {
    if own.is_empty() { other } else { own }
}

/// The device is managed by the protocols of both from now on; it was heard, and is expected, as the one of them was
/// that says more. The name people gave it stays, or is that of the other; the tags are those of both.
async fn adopt(tx: &mut Tx, tenant: &TenantId, from: DeviceId, into: DeviceId) -> Result<()> {
    let (b, a) = (look(tx, tenant, into).await?, look(tx, tenant, from).await?);
    let first = [a.first_seen_at, b.first_seen_at];
    let first = first.into_iter().filter(|at| *at > 0).min();
    let own = b.tags.len();
    let mut tags = b.tags;
    let there: BTreeSet<String> = tags.iter().cloned().collect();
    tags.extend(a.tags.into_iter().filter(|tag| !there.contains(tag)));
    tags.truncate(TAGS_MAX.max(own));
    let update = sql(
        "UPDATE device SET name = $1, tags = $2, protocol = $3, heard_at = $4, expected_by = $5, \
         first_seen_at = $6, model_key = $7, cwmp_model_key = $8 WHERE tenant = $9 AND id = $10",
    )
    .bind(own_or(b.name, a.name))
    .bind(json(&tags)?)
    .bind(protocol::union(&a.protocol, &b.protocol))
    .bind(a.heard_at.max(b.heard_at))
    .bind(a.expected_by.max(b.expected_by))
    .bind(first.unwrap_or(0))
    .bind(own_or(b.models.usp, a.models.usp))
    .bind(own_or(b.models.cwmp, a.models.cwmp))
    .bind(tenant)
    .bind(into);
    tx.execute(update).await?;
    let fresh: Vec<String> = tags.split_off(own);
    write_tags(tx, tenant, into, &fresh).await
}
