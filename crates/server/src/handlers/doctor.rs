//! Why a device is not seen: findings in plain words, and the connections that were refused.

use super::findings;
use super::refusal_words::words;
use super::{some, stamp, time};
use crate::auth::Caller;
use crate::http::extract::Query;
use crate::http::page::{self, Order};
use crate::problem::Result;
use crate::state::{State, now};
use api::Page;
use api::doctor::{Diagnosis, DoctorQuery, Refusal, RefusalQuery, Severity};
use api::page::PageQuery;
use axum::Json;
use axum::extract::State as Extract;
use fleet::{DeviceId, Identity, IdentityKind, TenantId, Timestamp};
use std::collections::HashSet;
use store::RefusalRecord;
use store::limits::PAGE_MAX;

/// Refused connections, newest first.
pub async fn refusals(
    Extract(state): Extract<State>,
    caller: Caller,
    Query(query): Query<RefusalQuery>,
) -> Result<Json<Page<Refusal>>> {
    let since = query.since.map(stamp).unwrap_or_default();
    let mut found = read(&state, &caller, since).await?;
    if let Some(endpoint) = &query.endpoint_id {
        found.retain(|one| one.last.endpoint_id == *endpoint);
    }
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    };
    let page = page::cut(found, &page, Order::Falling, key)?;
    let mut items = Vec::with_capacity(page.items.len());
    for one in &page.items {
        items.push(view(&state, &caller, one).await?);
    }
    Ok(Json(Page {
        items,
        next: page.next,
        total: page.total,
    }))
}

/// The last refusals of whoever gave one of a device's names.
pub async fn of_device(
    state: &State,
    caller: &Caller,
    names: &[String],
    since: Timestamp,
    max: usize,
) -> Result<Vec<Refusal>> {
    let found = state
        .store
        .refusal_list_of(&caller.tenant, names, since, max)
        .await?;
    let mut out = Vec::with_capacity(found.len());
    for one in &found {
        out.push(view(state, caller, one).await?);
    }
    Ok(out)
}

/// Those of the tenant, and those of nobody that claim to be one of its devices; for platform
/// administrators all that belong to nobody.
pub(super) async fn read(
    state: &State,
    caller: &Caller,
    since: Timestamp,
) -> Result<Vec<RefusalRecord>> {
    let tenant = Some(&caller.tenant);
    let mut found = state.store.refusal_list(tenant, since, PAGE_MAX).await?;
    if caller.principal.platform {
        let known: HashSet<_> = found.iter().map(|one| one.last.key).collect();
        let nobodys = state.store.refusal_list(None, since, PAGE_MAX).await?;
        found.extend(
            nobodys
                .into_iter()
                .filter(|one| !known.contains(&one.last.key)),
        );
        found.sort_by_key(|one| std::cmp::Reverse(one.last.at));
    }
    Ok(found)
}

/// Ordered by time, then by what makes it different from others.
fn key(record: &RefusalRecord) -> String {
    let mut text = format!("{:015}-", record.last.at.as_millis());
    for byte in &record.last.key[..8] {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Every name under which a device may be turned away: its endpoint ids, what it calls itself over CWMP, and the user
/// name that it was given.
pub async fn names(state: &State, tenant: &TenantId, device: DeviceId) -> Result<Vec<String>> {
    let identities = state.store.identity_list(tenant, device).await?;
    let paths = state.store.path_list(tenant, device).await?;
    let told = identities
        .into_iter()
        .filter(|one| one.identity.kind.merges())
        .flat_map(|one| [one.identity.shown(), one.identity.value]);
    let used = paths.into_iter().map(|path| path.endpoint_id);
    let all = told.chain(used).filter(|name| !name.is_empty());
    let mut all: Vec<String> = all.chain([device.to_string()]).collect();
    all.sort();
    all.dedup();
    Ok(all)
}

/// The device of the tenant that goes by this name: an endpoint id, what a CPE calls itself, or the
/// user name that it was given.
async fn named(state: &State, caller: &Caller, name: &str) -> Result<Option<DeviceId>> {
    if name.is_empty() {
        return Ok(None);
    }
    let (store, tenant) = (&state.store, &caller.tenant);
    if let Ok(id) = name.parse::<DeviceId>() {
        return match store.device(tenant, id).await {
            Ok(_) => Ok(Some(id)),
            Err(store::Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        };
    }
    for kind in [
        IdentityKind::UspEndpoint,
        IdentityKind::CwmpDevice,
        IdentityKind::OuiClassSerial,
        IdentityKind::OuiSerial,
    ] {
        let value = name.to_owned();
        let identity = Identity { kind, value };
        if let Some(device) = store.device_by_identity(tenant, &identity).await? {
            return Ok(Some(device));
        }
    }
    Ok(None)
}

async fn view(state: &State, caller: &Caller, record: &RefusalRecord) -> Result<Refusal> {
    let last = &record.last;
    let device = named(state, caller, &last.endpoint_id).await?;
    Ok(Refusal {
        id: key(record),
        at: time(last.at),
        first_at: time(record.first_at),
        peer: last.peer.clone(),
        transport: last.transport.clone(),
        reason: last.reason.clone(),
        words: words(&last.reason),
        detail: some(&last.detail),
        endpoint_id: some(&last.endpoint_id),
        device_id: device.map(|id| id.as_uuid()),
        count: u32::try_from(record.times).unwrap_or(u32::MAX),
    })
}

/// What the doctor finds, worst first.
pub async fn show(
    Extract(state): Extract<State>,
    caller: Caller,
    Query(query): Query<DoctorQuery>,
) -> Result<Json<Diagnosis>> {
    let at = now();
    let wanted = query.device.as_deref().map(str::trim);
    let mut findings = findings::all(&state, &caller, wanted.unwrap_or_default(), at).await?;
    findings.sort_by_key(|one| std::cmp::Reverse(one.severity));
    let verdict = findings.first().map_or(Severity::Ok, |one| one.severity);
    Ok(Json(Diagnosis {
        checked_at: time(at),
        verdict,
        findings,
    }))
}
