//! Why a device is not seen: findings in plain words, and the connections that were refused.

use super::refusal_words::words;
use super::{some, stamp, time};
use crate::auth::Caller;
use crate::http::extract::Query;
use crate::http::page::{self, Order};
use crate::problem::Result;
use crate::state::{State, now};
use api::Page;
use api::doctor::{Diagnosis, DoctorQuery, Finding, Refusal, RefusalQuery, Severity};
use api::page::PageQuery;
use axum::Json;
use axum::extract::State as Extract;
use fleet::Timestamp;
use std::time::Duration;
use store::{DeviceFilter, DeviceSort, RefusalRecord, Search};

/// Refusals read at once: the store keeps no more for a tenant.
const REFUSALS_READ: usize = 1_000;

/// How far back the doctor looks.
const SINCE: Duration = Duration::from_secs(24 * 3600);

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

/// The last refusals of an endpoint id.
pub async fn of_endpoint(
    state: &State,
    caller: &Caller,
    endpoint: &str,
    since: Timestamp,
    max: usize,
) -> Result<Vec<Refusal>> {
    if endpoint.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = read(state, caller, since).await?;
    found.retain(|one| one.last.endpoint_id == endpoint);
    found.sort_by_key(|one| std::cmp::Reverse(one.last.at));
    let mut out = Vec::new();
    for one in found.iter().take(max) {
        out.push(view(state, caller, one).await?);
    }
    Ok(out)
}

/// Those of the tenant; for platform administrators also those that belong to nobody.
async fn read(state: &State, caller: &Caller, since: Timestamp) -> Result<Vec<RefusalRecord>> {
    let mut found = state
        .store
        .refusal_list(Some(&caller.tenant), since, REFUSALS_READ)
        .await?;
    if caller.principal.platform {
        found.extend(state.store.refusal_list(None, since, REFUSALS_READ).await?);
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

async fn view(state: &State, caller: &Caller, record: &RefusalRecord) -> Result<Refusal> {
    let last = &record.last;
    let device = match last.endpoint_id.as_str() {
        "" => None,
        endpoint => {
            let identity = fleet::Identity::endpoint(endpoint);
            state
                .store
                .device_by_identity(&caller.tenant, &identity)
                .await?
        }
    };
    Ok(Refusal {
        id: key(record),
        at: time(last.at),
        first_at: time(record.first_at),
        peer: last.peer.clone(),
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
    let mut findings = listeners(&state);
    findings.push(keys(&state, &caller, at).await?);
    findings.extend(refused(&state, &caller, at).await?);
    if let Some(wanted) = query
        .device
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
    {
        findings.extend(missed(&state, &caller, wanted, at).await?);
    }
    findings.sort_by_key(|one| std::cmp::Reverse(one.severity));
    let verdict = findings.first().map_or(Severity::Ok, |one| one.severity);
    Ok(Json(Diagnosis {
        checked_at: time(at),
        verdict,
        findings,
    }))
}

fn finding(
    severity: Severity,
    code: &str,
    title: &str,
    detail: String,
    remedy: Option<&str>,
) -> Finding {
    Finding {
        severity,
        code: code.to_owned(),
        title: title.to_owned(),
        detail,
        remedy: remedy.map(str::to_owned),
    }
}

fn listeners(state: &State) -> Vec<Finding> {
    let bound = &state.bound;
    let mut all = Vec::new();
    let open: Vec<_> = [bound.usp, bound.usp_tls].into_iter().flatten().collect();
    if open.is_empty() {
        all.push(finding(
            Severity::Problem,
            "no-device-listener",
            "No listener for devices is open",
            "Devices that dial this server find nobody.".to_owned(),
            Some("Set usp.listen or usp.tls_listen in the configuration and start again."),
        ));
    } else {
        let shown: Vec<_> = open.iter().map(ToString::to_string).collect();
        all.push(finding(
            Severity::Ok,
            "device-listener",
            "A listener for devices is open",
            format!(
                "It is bound to {}; the path is /usp/ and a key.",
                shown.join(" and ")
            ),
            None,
        ));
        if open.iter().all(|addr| addr.ip().is_loopback()) {
            all.push(finding(
                Severity::Warning,
                "device-listener-local",
                "Only devices on this machine can connect",
                format!("The listener is bound to {}.", shown.join(" and ")),
                Some("Set usp.listen to 0.0.0.0:8081 if devices come from elsewhere."),
            ));
        }
        if bound.usp_tls.is_none() && state.config.usp.public_url.is_none() {
            all.push(finding(
                Severity::Info,
                "no-device-tls",
                "Devices connect without encryption",
                "Credentials and values can be read on the way.".to_owned(),
                Some("Set usp.tls_listen, or put a TLS proxy in front and set usp.public_url."),
            ));
        }
    }
    all
}

async fn keys(state: &State, caller: &Caller, at: Timestamp) -> Result<Finding> {
    let keys = state.store.setup_key_list(&caller.tenant).await?;
    let usable = keys
        .iter()
        .filter(|key| {
            key.revoked_at.is_none()
                && key.expires_at.is_none_or(|end| end > at)
                && key.uses_max.is_none_or(|max| key.uses < max)
        })
        .count();
    Ok(match usable {
        0 => finding(
            Severity::Warning,
            "no-setup-key",
            "There is no setup key that new devices could use",
            format!("{} setup keys exist, none of them is in force.", keys.len()),
            Some("Create a setup key, or register the device beforehand."),
        ),
        count => finding(
            Severity::Ok,
            "setup-key",
            "New devices can come in",
            format!("{count} setup keys are in force."),
            None,
        ),
    })
}

async fn refused(state: &State, caller: &Caller, at: Timestamp) -> Result<Vec<Finding>> {
    let found = read(state, caller, at.minus(SINCE)).await?;
    let mut by_reason: std::collections::BTreeMap<&str, (u64, &RefusalRecord)> = Default::default();
    for one in &found {
        let entry = by_reason
            .entry(one.last.reason.as_str())
            .or_insert((0, one));
        entry.0 += one.times;
        if one.last.at > entry.1.last.at {
            entry.1 = one;
        }
    }
    if by_reason.is_empty() {
        return Ok(vec![finding(
            Severity::Ok,
            "no-refusals",
            "No connection was refused in the last day",
            "Whoever came was let in, or nobody came.".to_owned(),
            None,
        )]);
    }
    Ok(by_reason
        .into_iter()
        .map(|(reason, (times, last))| {
            let who = match last.last.endpoint_id.as_str() {
                "" => last.last.peer.clone(),
                endpoint => format!("{endpoint} from {}", last.last.peer),
            };
            Finding {
                severity: Severity::Warning,
                code: format!("refused-{}", reason.replace('_', "-")),
                title: format!(
                    "{times} connections were refused in the last day: {}",
                    reason.replace(['_', '-'], " ")
                ),
                detail: format!("The last was {who}."),
                remedy: Some(words(reason)),
            }
        })
        .collect())
}

/// A particular device somebody misses.
async fn missed(
    state: &State,
    caller: &Caller,
    wanted: &str,
    at: Timestamp,
) -> Result<Vec<Finding>> {
    let mut all = Vec::new();
    let filter = DeviceFilter {
        q: Some(wanted.to_owned()),
        ..DeviceFilter::default()
    };
    let search = Search {
        filter,
        now: at,
        presence: state.presence(),
    };
    let devices = state
        .store
        .device_list(&caller.tenant, &search, DeviceSort::default(), None, 5)
        .await?;
    for record in &devices.devices {
        let presence = super::device_view::presence(&record.device.evidence, at, &state.presence());
        let name = super::device_view::name(record);
        let online = presence.word == api::device::PresenceWord::Online;
        let seen = presence
            .evidence_at
            .map_or("never".to_owned(), |at| at.to_string());
        all.push(finding(
            if online {
                Severity::Ok
            } else {
                Severity::Warning
            },
            "device-known",
            &format!("{name} is registered"),
            format!("Its last sign of life: {seen}."),
            (!online).then_some("Open the device; its reach panel says why it cannot be reached."),
        ));
    }
    let refused = read(state, caller, at.minus(SINCE)).await?;
    let mut refused: Vec<_> = refused
        .iter()
        .filter(|one| one.last.endpoint_id.contains(wanted) || one.last.peer.contains(wanted))
        .collect();
    refused.sort_by_key(|one| std::cmp::Reverse(one.last.at));
    for one in refused.into_iter().take(5) {
        all.push(finding(
            Severity::Problem,
            "device-refused",
            &format!(
                "A connection from {} was refused {} times",
                one.last.peer, one.times
            ),
            format!("The last at {}. {}", time(one.last.at), one.last.detail),
            Some(&words(&one.last.reason)),
        ));
    }
    if all.is_empty() {
        all.push(finding(
            Severity::Problem,
            "device-unknown",
            &format!("Nothing is known of {wanted:?}"),
            "It is not registered in this tenant and no connection of it was refused: it has not reached this server.".to_owned(),
            Some("Check on the device: the URL, name resolution, the way through firewalls, and its clock when it uses TLS."),
        ));
    }
    Ok(all)
}
