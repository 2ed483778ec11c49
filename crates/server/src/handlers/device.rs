//! Devices: list, suggestions, registering, editing, removing, re-admitting.

use super::certificate;
use super::device_view::{admission, domain, name, view};
use super::doctor;
use super::identified;
use super::refusal_words::is_conduct;
use super::setup_key::device_urls;
use super::validate::Checks;
use super::{some, stamp, time};
use crate::auth::Caller;
use crate::http::extract::{Body, Id, Query};
use crate::http::page;
use crate::matching;
use crate::problem::Result;
use crate::secret;
use crate::southbound::issued;
use crate::state::{State, now};
use api::device::{
    Device, DeviceCreate, DeviceCreated, DeviceDetail, DevicePatch, DeviceQuery, Facet, FacetField,
    FacetQuery, FacetValue, Facets, Identity, Order,
};
use api::{Count, FieldProblem, Page};
use axum::Json;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fleet::{DeviceId, EventKind};
use std::time::Duration;
use store::path::{PathPatch, PathSetup};
use store::{
    DeviceFilter, DevicePatch as StorePatch, DeviceSort, DeviceSortBy, NewDevice, PathRecord,
    Search,
};

/// The transport of devices that speak USP, unless they come over MQTT.
pub const WEBSOCKET: &str = crate::southbound::usp::WEBSOCKET;

/// The transport of those that speak TR-069.
const CWMP: &str = crate::southbound::cwmp::TRANSPORT;

/// Complaints looked through for one that is a refusal.
const COMPLAINTS_READ: usize = 20;

/// How long a re-admitted device may take to come: a technician's day.
const READMIT_FOR: Duration = Duration::from_secs(24 * 3600);

/// The list.
pub async fn list(
    Extract(state): Extract<State>,
    caller: Caller,
    Query(query): Query<DeviceQuery>,
) -> Result<Json<Page<Device>>> {
    let limit = page::limit(query.limit, api::limits::PAGE_MAX)?;
    let at = now();
    let presence = state.presence();
    let search = Search {
        filter: filter(&query),
        now: at,
        presence,
    };
    let sort = DeviceSort {
        by: match query.sort.unwrap_or_default() {
            api::device::DeviceSort::Name => DeviceSortBy::Name,
            api::device::DeviceSort::LastSeen => DeviceSortBy::Heard,
            api::device::DeviceSort::Created => DeviceSortBy::Created,
            api::device::DeviceSort::Manufacturer => DeviceSortBy::Manufacturer,
            api::device::DeviceSort::Model => DeviceSortBy::Model,
            api::device::DeviceSort::SoftwareVersion => DeviceSortBy::SoftwareVersion,
            api::device::DeviceSort::Serial => DeviceSortBy::Serial,
        },
        descending: query.order == Some(Order::Desc),
    };
    let cursor = page::given(query.cursor.as_deref());
    let found = state
        .store
        .device_list(&caller.tenant, &search, sort, cursor, limit)
        .await
        .map_err(bad_cursor)?;
    // Counting once a list is enough; the pages that follow keep the first one's number.
    let total = match cursor {
        None if found.next.is_none() => Some(Count {
            value: found.devices.len() as u64,
            exact: true,
        }),
        None => {
            let (value, more) = state.store.device_count(&caller.tenant, &search).await?;
            Some(Count {
                value,
                exact: !more,
            })
        }
        Some(_) => None,
    };
    let items = found
        .devices
        .into_iter()
        .map(|one| view(&state.fresh(one), at, &presence))
        .collect();
    Ok(Json(Page {
        items,
        next: found.next,
        total,
    }))
}

fn bad_cursor(error: store::Error) -> crate::problem::Fail {
    match error {
        store::Error::Invalid(words) => crate::problem::Fail::malformed(vec![FieldProblem::query(
            "cursor",
            format!("is {words}"),
        )]),
        other => other.into(),
    }
}

fn filter(query: &DeviceQuery) -> DeviceFilter {
    DeviceFilter {
        q: query.q.clone().filter(|text| !text.trim().is_empty()),
        presence: query.presence.iter().map(|word| domain(*word)).collect(),
        manufacturer: query.manufacturer.clone(),
        model: query.model.clone(),
        product_class: query.product_class.clone(),
        software_version: query.software_version.clone(),
        serial: query.serial.clone(),
        ip: query.ip.clone(),
        protocol: query.protocol.clone(),
        tags: query.tag.clone(),
        heard_after: query.seen_after.map(stamp),
        heard_before: query.seen_before.map(stamp),
        booted_after: query.booted_after.map(stamp),
    }
}

/// Suggestions for filters.
pub async fn facets(
    Extract(state): Extract<State>,
    caller: Caller,
    Query(query): Query<FacetQuery>,
) -> Result<Json<Facets>> {
    let limit = page::limit(query.limit, api::limits::PAGE_MAX)?;
    let all = [
        FacetField::Presence,
        FacetField::Manufacturer,
        FacetField::Model,
        FacetField::ProductClass,
        FacetField::SoftwareVersion,
        FacetField::Protocol,
        FacetField::Tag,
    ];
    let fields = if query.field.is_empty() {
        all.to_vec()
    } else {
        query.field
    };
    let search = Search {
        filter: DeviceFilter::default(),
        now: now(),
        presence: state.presence(),
    };
    let prefix = query.prefix.unwrap_or_default();
    let mut facets = Vec::new();
    for field in fields {
        let of = match field {
            FacetField::Presence => store::FacetField::Presence,
            FacetField::Manufacturer => store::FacetField::Manufacturer,
            FacetField::Model => store::FacetField::Model,
            FacetField::ProductClass => store::FacetField::ProductClass,
            FacetField::SoftwareVersion => store::FacetField::SoftwareVersion,
            FacetField::Protocol => store::FacetField::Protocol,
            FacetField::Tag => store::FacetField::Tag,
        };
        let found = state
            .store
            .device_facets(&caller.tenant, &search, of, &prefix, limit)
            .await?;
        let values = found.into_iter().map(|one| FacetValue {
            value: one.value,
            count: one.count,
        });
        facets.push(Facet {
            field,
            values: values.collect(),
        });
    }
    Ok(Json(Facets { facets }))
}

/// One device.
pub async fn show(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<DeviceDetail>> {
    detail(&state, &caller, DeviceId::from(id)).await.map(Json)
}

/// Registers one before it comes, or to be dialled.
pub async fn create(
    Extract(state): Extract<State>,
    caller: Caller,
    headers: HeaderMap,
    Body(body): Body<DeviceCreate>,
) -> Result<Response> {
    let mut checks = Checks::default();
    let endpoint = body.endpoint_id.trim().to_owned();
    if let Err(error) = usp::EndpointId::parse(&endpoint) {
        checks.add("endpoint_id", error.to_string());
    }
    let name = checks.text("label", body.label.as_deref().unwrap_or_default());
    let tags = checks.tags("tags", &body.tags);
    let dial_url = body.dial_url.filter(|url| !url.trim().is_empty());
    let dial_url = dial_url.map(|url| checks.dial_url("dial_url", &url));
    let certificate_required = body.certificate_required;
    certificate::check_required(
        &mut checks,
        &state,
        certificate_required,
        dial_url.is_some(),
        None,
    );
    checks.done()?;
    let at = now();
    let id = DeviceId::new(at, secret::id_bits());
    let tenant = &caller.tenant;
    let mut identities = vec![fleet::Identity::endpoint(&endpoint)];
    if certificate_required {
        identities.extend(matching::serials(&state.store, tenant, &endpoint).await?);
    }
    let new = NewDevice {
        name: name.clone(),
        tags,
        ..NewDevice::expected(id, identities, at)
    };
    let how = if dial_url.is_some() {
        "dial"
    } else {
        "registered"
    };
    let event = caller
        .event(EventKind::DeviceCreated)
        .device(id)
        .data(serde_json::json!({"name": name, "endpoint": endpoint, "how": how}));
    let setup = PathSetup {
        transport: WEBSOCKET.to_owned(),
        endpoint_id: endpoint,
        dial_url: dial_url.clone(),
        certificate_required,
    };
    let given = dial_url.is_none() && !certificate_required;
    let credential = given.then(|| secret::new(secret::DEVICE));
    let hash = credential.as_deref().map(secret::hash);
    let store = &state.store;
    store
        .device_expect(tenant, new, setup, hash, vec![event])
        .await?;
    if dial_url.is_some() {
        state.south.dialling_changed(tenant, id);
    }
    let created = DeviceCreated {
        device: detail(&state, &caller, id).await?,
        path: credential.as_ref().map(|text| format!("/usp/{text}")),
        urls: match &credential {
            Some(text) => device_urls(&state, &headers, text),
            // The certificate says which device it is, the path whose.
            None if certificate_required => device_urls(&state, &headers, tenant.as_str())
                .into_iter()
                .filter(|url| url.starts_with("wss:"))
                .collect(),
            None => Vec::new(),
        },
        secret: credential,
    };
    let location = format!("/api/v1/devices/{id}");
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(created),
    )
        .into_response())
}

/// Changes what we note about one.
pub async fn update(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<DevicePatch>,
) -> Result<Json<DeviceDetail>> {
    let id = DeviceId::from(id);
    let tenant = &caller.tenant;
    let record = state.store.device(tenant, id).await?;
    let mut checks = Checks::default();
    let name = body.label.map(|name| checks.text("label", &name));
    let tags = body.tags.map(|tags| checks.tags("tags", &tags));
    let dial_url = body
        .dial_url
        .map(|url| (!url.trim().is_empty()).then(|| checks.dial_url("dial_url", &url)));
    let paths = state.store.path_list(tenant, id).await?;
    let path = paths.iter().find(|path| path.transport == WEBSOCKET);
    let url_was = path.and_then(|path| path.dial_url.clone());
    let endpoint_id = path.map_or(record.endpoint_id, |path| path.endpoint_id.clone());
    let was = matching::requires_certificate(&paths);
    let required = body.certificate_required.unwrap_or(was);
    let on_all = paths
        .iter()
        .all(|path| path.certificate_required == required);
    let rerequired = body.certificate_required.is_some() && (required != was || !on_all);
    // One that is dialled may have another way, which requires one.
    let guarded = match rerequired {
        true => required,
        false => path.is_some_and(|path| path.certificate_required),
    };
    let dialled = dial_url.as_ref().unwrap_or(&url_was).is_some();
    // What is as it was needs no look: the configuration may be another by now.
    if (required && rerequired) || matches!(dial_url, Some(Some(_))) {
        let mut came = paths.iter().filter(|path| path.connected_at.is_some());
        let usp = came.clone().any(|path| path.transport != CWMP);
        let cwmp = came.any(|path| path.transport == CWMP);
        let speaks = (usp || cwmp).then_some((usp, cwmp));
        certificate::check_required(&mut checks, &state, guarded, dialled, speaks);
    }
    if matches!(dial_url, Some(Some(_))) && endpoint_id.is_empty() {
        checks.add(
            "dial_url",
            "is for devices that speak USP, and no endpoint id of this one is known",
        );
    }
    checks.done()?;
    let mut data = serde_json::Map::new();
    if let Some(name) = &name {
        data.insert("name".to_owned(), name.clone().into());
    }
    if let Some(tags) = &tags {
        data.insert("tags".to_owned(), tags.clone().into());
    }
    if let Some(url) = &dial_url {
        data.insert("dial_url".to_owned(), url.clone().into());
    }
    if rerequired {
        data.insert("certificate_required".to_owned(), required.into());
    }
    let redialled = dial_url.as_ref().is_some_and(|url| *url != url_was);
    let reach = PathPatch {
        transport: WEBSOCKET.to_owned(),
        endpoint_id: endpoint_id.clone(),
        dial_url,
        certificate_required: rerequired.then_some(required),
    };
    let patch = StorePatch {
        name,
        tags,
        ..StorePatch::default()
    };
    if !data.is_empty() {
        let event = caller
            .event(EventKind::DeviceUpdated)
            .device(id)
            .data(data.into());
        state
            .store
            .device_revise(tenant, id, patch, reach, now(), vec![event])
            .await?;
    }
    // Each time that it is asked for: what was done before may have been half of it.
    if body.certificate_required == Some(true) {
        let serials = matching::serials(&state.store, tenant, &endpoint_id).await?;
        identified::attach(&state, &caller, id, serials).await?;
    }
    if redialled {
        state.south.dialling_changed(tenant, id);
    }
    detail(&state, &caller, id).await.map(Json)
}

/// Removes one, and revokes its certificates: what came in with them is closed.
pub async fn delete(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
) -> Result<StatusCode> {
    let id = DeviceId::from(id);
    let record = state.store.device(&caller.tenant, id).await?;
    let event = caller
        .event(EventKind::DeviceDeleted)
        .device(id)
        .data(serde_json::json!({"name": name(&record)}));
    let (store, tenant) = (&state.store, &caller.tenant);
    let by = caller.principal.actor();
    let revocation = issued::removed(&by, now());
    store
        .device_delete(tenant, id, revocation, vec![event])
        .await?;
    state.south.device_removed(tenant, id);
    state.south.certificates_changed();
    Ok(StatusCode::NO_CONTENT)
}

/// Lets one come with a setup key once more.
pub async fn readmit(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<DeviceDetail>> {
    let id = DeviceId::from(id);
    let tenant = &caller.tenant;
    state.store.device(tenant, id).await?;
    let event = caller.event(EventKind::DeviceReadmitted).device(id);
    let until = Some(now().plus(READMIT_FOR));
    state
        .store
        .path_readmit(tenant, id, until, vec![event])
        .await?;
    detail(&state, &caller, id).await.map(Json)
}

/// The way that a device is let in by: over USP, if it has that.
fn main_path(paths: &[PathRecord]) -> Option<PathRecord> {
    let order = |path: &&PathRecord| match path.transport.as_str() {
        WEBSOCKET => 0,
        CWMP => 2,
        _ => 1,
    };
    // One over which it has not come, nor is to be dialled, is there only because it was registered.
    let idle = |path: &PathRecord| !matching::is_used(path) && path.dial_url.is_none();
    let path = paths.iter().min_by_key(|path| (idle(path), order(path)))?;
    let required = match path.transport.as_str() {
        CWMP => path.certificate_required,
        // Over USP it is asked for where any way requires one.
        _ => matching::requires_certificate(paths),
    };
    Some(PathRecord {
        certificate_required: required,
        ..path.clone()
    })
}

/// Everything about one device but its values.
pub async fn detail(state: &State, caller: &Caller, id: DeviceId) -> Result<DeviceDetail> {
    let tenant = &caller.tenant;
    let record = state.fresh(state.store.device(tenant, id).await?);
    let identities = state.store.identity_list(tenant, id).await?;
    let path = main_path(&state.store.path_list(tenant, id).await?);
    let objects = state.store.value_objects(tenant, id).await?;
    let model = match record.model_key() {
        "" => None,
        key => state.store.model(tenant, key).await?,
    };
    let open = state.store.operation_open_count(tenant, id).await?;
    // Refused since it was last heard: that is how it stands with it now. Who is refused while it is
    // connected is somebody else.
    let evidence = &record.device.evidence;
    let refused = match evidence.linked() {
        true => None,
        false => {
            let names = doctor::names(state, tenant, id).await?;
            let since = evidence.newest().unwrap_or_default();
            let found = state
                .store
                .refusal_list_of(tenant, &names, since, COMPLAINTS_READ)
                .await?;
            found.into_iter().find(|one| !is_conduct(&one.last.reason))
        }
    };
    let at = now();
    Ok(DeviceDetail {
        device: view(&record, at, &state.presence()),
        open_operations: u32::try_from(open).unwrap_or(u32::MAX),
        onboarding: record.device.onboarding.as_str().to_owned(),
        identities: identities
            .into_iter()
            .map(|one| Identity {
                kind: one.identity.kind.as_str().to_owned(),
                shown: one.identity.shown(),
                value: one.identity.value,
                source: one.source,
                at: time(one.at),
            })
            .collect(),
        admission: admission(path.as_ref(), refused.as_ref(), at),
        dial_url: path.and_then(|path| path.dial_url),
        model_discovered_at: model.map(|model| time(model.discovered_at)),
        values_known: objects.iter().map(|(_, count, _)| count).sum(),
        values_at: objects.iter().map(|(_, _, at)| *at).max().map(time),
        protocol_version: some(&record.protocol_version),
    })
}
