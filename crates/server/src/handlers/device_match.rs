//! Two devices that are one, and one that is two.

use super::device::detail;
use super::device_view::{name, protocols};
use super::{some, time};
use crate::auth::Caller;
use crate::http::extract::{Body, Id, Query};
use crate::http::page;
use crate::problem::{Fail, Result};
use crate::secret;
use crate::southbound::cwmp::{self, conversation::memory::works_on};
use crate::state::{State, now};
use api::device::DeviceDetail;
use api::device_match::{DeviceMatch, DeviceMerge, DeviceSplit, MatchQuery, MatchSide};
use api::{FieldProblem, Page, ProblemKind};
use axum::Json;
use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use fleet::{DeviceId, EventKind, MatchId, TenantId};
use serde_json::json;
use store::{CertificateFilter, DeviceRecord, MatchRecord, Split};

/// Certificates of a device that are looked at, newest first.
const ISSUED_READ: usize = 100;

/// Those that wait for a person.
pub async fn list(
    Extract(state): Extract<State>,
    caller: Caller,
    Query(query): Query<MatchQuery>,
) -> Result<Json<Page<DeviceMatch>>> {
    let limit = page::limit(query.limit, api::limits::PAGE_MAX)?;
    let before = page::given(query.cursor.as_deref()).map(|cursor| {
        let words = "is not a cursor of this list";
        let malformed = |_| Fail::malformed(vec![FieldProblem::query("cursor", words)]);
        cursor.parse::<MatchId>().map_err(malformed)
    });
    let (tenant, rejected) = (&caller.tenant, query.rejected.unwrap_or(false));
    let mut found = state
        .store
        .match_list(tenant, rejected, before.transpose()?, limit + 1)
        .await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more);
    let next = next.map(|last| last.id.to_string());
    let devices = state.store.match_devices(tenant, &found).await?;
    // Of those that were removed meanwhile the pair is gone too.
    let items = found.into_iter().filter_map(|one| {
        let (device, other) = (devices.get(&one.device)?, devices.get(&one.other)?);
        Some(view(one, device, other))
    });
    let items = items.collect();
    Ok(Json(Page {
        items,
        next,
        total: None,
    }))
}

/// They are one.
pub async fn accept(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<DeviceDetail>> {
    let found = state
        .store
        .match_show(&caller.tenant, MatchId::from(id))
        .await?;
    unite(&state, &caller, found.device, found.other, &found.identity).await
}

/// They are two.
pub async fn reject(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
) -> Result<StatusCode> {
    let (tenant, id) = (&caller.tenant, MatchId::from(id));
    let found = state.store.match_show(tenant, id).await?;
    if found.rejected_at.is_none() {
        let event = caller
            .event(EventKind::DeviceMatchRejected)
            .device(found.other)
            .data(json!({ "other": found.device.to_string() }));
        let by = event.actor.clone();
        state
            .store
            .match_reject(tenant, id, by, now(), vec![event])
            .await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Makes one of two.
pub async fn merge(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<DeviceMerge>,
) -> Result<Json<DeviceDetail>> {
    let (into, from) = (DeviceId::from(id), DeviceId::from(body.device_id));
    unite(&state, &caller, into, from, "").await
}

async fn unite(
    state: &State,
    caller: &Caller,
    into: DeviceId,
    from: DeviceId,
    identity: &str,
) -> Result<Json<DeviceDetail>> {
    let (tenant, store) = (&caller.tenant, &state.store);
    store.device(tenant, into).await?;
    if into == from {
        let words = "is this device itself";
        return Err(Fail::invalid(vec![FieldProblem::body("device_id", words)]));
    }
    let gone = store.device(tenant, from).await?;
    // What one of them was registered for, and never came over, is no way of its own.
    let came = async |device| {
        let mut paths = store.path_list(tenant, device).await?;
        paths.retain(|path| path.connected_at.is_some());
        Ok::<_, Fail>(paths)
    };
    let (ours, theirs) = (came(into).await?, came(from).await?);
    let both = |one: &&store::PathRecord| theirs.iter().any(|path| path.transport == one.transport);
    if let Some(both) = ours.iter().find(both) {
        let words = format!(
            "Both have come over {}, so they are two. If one of them is gone for good, remove it; it comes back under the \
             other only when it has its credential.",
            both.transport
        );
        return Err(Fail::new(ProblemKind::Conflict, words));
    }
    let event = caller
        .event(EventKind::DeviceMerged)
        .device(into)
        .data(json!({
            "from": from.to_string(),
            "name": name(&gone),
            "identity": identity,
        }));
    store.device_merge(tenant, from, into, vec![event]).await?;
    // Its link, if it has one, is under its old id: it comes again under the new one.
    state.south.device_removed(tenant, from);
    detail(state, caller, into).await.map(Json)
}

/// Makes a path a device of its own.
pub async fn split(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<DeviceSplit>,
) -> Result<Response> {
    let (tenant, device, at) = (&caller.tenant, DeviceId::from(id), now());
    state.store.device(tenant, device).await?;
    let paths = state.store.path_list(tenant, device).await?;
    let there = |path: &store::PathRecord| path.transport == body.transport;
    let problem = match paths.iter().any(there) {
        false => {
            let names: Vec<&str> = paths.iter().map(|path| path.transport.as_str()).collect();
            Some(format!("is not one of its paths: {}", names.join(", ")))
        }
        true if paths.len() == 1 => Some("is the only path it has".to_owned()),
        true if proved_by_its_own(&state, tenant, device, &paths).await? => Some(
            "cannot be split off: the device comes over TR-069 with a certificate that was issued for its endpoint id, \
             and would bring both together again; revoke that one first"
                .to_owned(),
        ),
        true => None,
    };
    if let Some(words) = problem {
        return Err(Fail::invalid(vec![FieldProblem::body("transport", words)]));
    }
    let commands = match body.transport.as_str() {
        cwmp::TRANSPORT => works_on(&state.store, tenant, device).await?,
        _ => Vec::new(),
    };
    let new = DeviceId::new(at, secret::id_bits());
    let data = json!({
        "transport": body.transport,
        "from": device.to_string(),
        "into": new.to_string(),
    });
    let event = caller.event(EventKind::DeviceSplit).data(data);
    let by = event.actor.clone();
    let events = vec![event.clone().device(device), event.device(new)];
    let split = Split {
        device,
        transport: body.transport,
        commands,
        decision: MatchRecord {
            id: MatchId::new(at, secret::id_bits()),
            device,
            other: new,
            identity: String::new(),
            reason: "a person split them".to_owned(),
            created_at: at,
            rejected_at: Some(at),
            rejected_by: by,
        },
    };
    state.store.device_split(tenant, split, at, events).await?;
    // What is open now was opened for the one device: each comes again as the one it is.
    state.south.device_removed(tenant, device);
    state.south.dialling_changed(tenant, device);
    let made = detail(&state, &caller, new).await?;
    let location = format!("/api/v1/devices/{new}");
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(made),
    )
        .into_response())
}

/// Whether the CPE of a device comes with a certificate that was issued here for this device.
async fn proved_by_its_own(
    state: &State,
    tenant: &TenantId,
    device: DeviceId,
    paths: &[store::PathRecord],
) -> Result<bool> {
    let comes = |path: &store::PathRecord| {
        path.transport == cwmp::TRANSPORT && path.authenticated_by == "certificate"
    };
    if !paths.iter().any(comes) {
        return Ok(false);
    }
    let filter = CertificateFilter {
        device: Some(device),
        revoked: Some(false),
        ..CertificateFilter::default()
    };
    let store = &state.store;
    let issued = store
        .certificate_list(tenant, &filter, None, ISSUED_READ)
        .await?;
    let at = now();
    Ok(issued.iter().any(|one| one.certificate.not_after > at))
}

fn view(found: MatchRecord, device: &DeviceRecord, other: &DeviceRecord) -> DeviceMatch {
    DeviceMatch {
        id: found.id.as_uuid(),
        device: side(device),
        other: side(other),
        identity: found.identity,
        reason: found.reason,
        created_at: time(found.created_at),
        rejected_at: found.rejected_at.map(time),
        rejected_by: some(&found.rejected_by),
    }
}

fn side(record: &DeviceRecord) -> MatchSide {
    let told = &record.device.description;
    MatchSide {
        id: record.device.id.as_uuid(),
        name: name(record),
        protocols: protocols(record),
        manufacturer: some(&told.manufacturer),
        model: some(&told.model),
        serial: some(&told.serial),
        ip: some(&record.ip()),
        created_at: time(record.device.created_at),
    }
}
