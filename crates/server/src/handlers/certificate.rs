//! Certificates of devices: issued, listed, revoked; and the authority for devices.

use super::identified;
use super::operation;
use super::setup_key::device_urls;
use super::validate::Checks;
use super::{some, time};
use crate::auth::Caller;
use crate::files::folder::hex;
use crate::http::extract::{Body, Id, Query};
use crate::http::page;
use crate::problem::{Fail, Result, internal};
use crate::secret;
use crate::southbound::certificate::Certificate as ServerCertificate;
use crate::southbound::issued;
use crate::state::{State, now};
use api::certificate::{
    Certificate, CertificateAuthority, CertificateDetail, CertificateIssue, CertificateIssued,
    CertificateQuery, CertificateRevoke, CertificateRotate, CertificateRotated, CertificateState,
};
use api::operation::{Mode, Op, OperationCreate};
use api::{FieldProblem, Page, ProblemKind};
use axum::Json;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fleet::{CertificateId, DeviceId, EventKind, Identity, TenantId, Timestamp};
use mtp::tls::TlsError;
use mtp::tls::authority::{Authority, KeyOf, Leaf};
use std::time::Duration;
use store::path::PathSetup;
use store::{CertificateFilter, CertificateRecord, NewCertificate, NewDevice};
use usp::EndpointId;

/// Days for which a certificate may be good: longer than any device is used without being visited.
const DAYS_MAX: u32 = 3650;

/// Characters of the reason of a revocation.
const REASON_MAX: usize = 200;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// All of them, newest first.
pub async fn list(
    Extract(state): Extract<State>,
    caller: Caller,
    Query(query): Query<CertificateQuery>,
) -> Result<Json<Page<Certificate>>> {
    let limit = page::limit(query.limit, api::limits::PAGE_MAX)?;
    let before = match page::given(query.cursor.as_deref()) {
        None => None,
        Some(text) => Some(text.parse::<CertificateId>().map_err(|_| {
            let problem = format!("{text:?} is not a cursor");
            Fail::malformed(vec![FieldProblem::query("cursor", problem)])
        })?),
    };
    let at = now();
    let filter = CertificateFilter {
        endpoint_id: query.endpoint_id.filter(|id| !id.is_empty()),
        device: query.device_id.map(DeviceId::from),
        revoked: query.revoked,
        ends_before: query
            .ends_within_days
            .map(|days| at.plus(DAY * days.min(DAYS_MAX))),
    };
    let store = &state.store;
    let mut found = store
        .certificate_list(&caller.tenant, &filter, before, limit + 1)
        .await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = more
        .then(|| found.last().map(|last| last.certificate.id.to_string()))
        .flatten();
    Ok(Json(Page {
        items: found.iter().map(|one| view(one, at)).collect(),
        next,
        total: None,
    }))
}

/// One of them.
pub async fn show(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<CertificateDetail>> {
    let id = CertificateId::from(id);
    let record = state.store.certificate(&caller.tenant, id).await?;
    Ok(Json(CertificateDetail {
        certificate: view(&record, now()),
        pem: record.certificate.pem,
    }))
}

/// Issues one.
pub async fn issue(
    Extract(state): Extract<State>,
    caller: Caller,
    headers: HeaderMap,
    Body(body): Body<CertificateIssue>,
) -> Result<Response> {
    let mut checks = Checks::default();
    let endpoint = EndpointId::parse(body.endpoint_id.trim());
    if let Err(error) = &endpoint {
        checks.add("endpoint_id", error.to_string());
    }
    let days = days(&state, &mut checks, body.days);
    checks.done()?;
    let endpoint = endpoint.map_err(internal)?;
    let (authority, issued) = made(&state, endpoint.clone(), days, Key::of(body.request)).await?;
    let tenant = &caller.tenant;
    let device = device(&state, &caller, &endpoint).await?;
    let record = remember(&state, &caller, device, &issued, None).await?;
    let location = format!("/api/v1/certificates/{}", record.certificate.id);
    let urls = device_urls(&state, &headers, tenant.as_str());
    let body = CertificateIssued {
        certificate: view(&record, now()),
        pem: issued.pem,
        key: issued.key,
        authority,
        // The certificate says which device it is, the path whose.
        urls: urls
            .into_iter()
            .filter(|url| url.starts_with("wss:"))
            .collect(),
    };
    let location = [(header::LOCATION, location)];
    Ok((StatusCode::CREATED, location, Json(body)).into_response())
}

/// Revokes one.
pub async fn revoke(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<CertificateRevoke>,
) -> Result<Json<Certificate>> {
    let (store, tenant) = (&state.store, &caller.tenant);
    let id = CertificateId::from(id);
    let mut checks = Checks::default();
    let reason = checks.text("reason", &body.reason);
    if reason.chars().count() > REASON_MAX {
        checks.add("reason", format!("is longer than {REASON_MAX} characters"));
    }
    checks.done()?;
    let record = store.certificate(tenant, id).await?;
    let by = caller.principal.actor();
    issued::revoke(store, &record, record.device, &by, now(), reason).await?;
    state.south.certificates_changed();
    Ok(Json(view(&store.certificate(tenant, id).await?, now())))
}

/// Gives a device another one in the place of the one it has.
pub async fn rotate(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<CertificateRotate>,
) -> Result<Response> {
    let (store, tenant) = (&state.store, &caller.tenant);
    let record = store.device(tenant, DeviceId::from(id)).await?;
    let device = record.device.id;
    let mut checks = Checks::default();
    let days = days(&state, &mut checks, body.days);
    checks.done()?;
    let filter = CertificateFilter {
        device: Some(device),
        revoked: Some(false),
        ..CertificateFilter::default()
    };
    let all = store
        .certificate_list(tenant, &filter, None, store::limits::PAGE_MAX)
        .await?;
    let old = to_replace(all).map_err(broken)?.ok_or_else(|| {
        Fail::new(
            ProblemKind::Conflict,
            "The device has no certificate that was issued here and is in force: issue one first.",
        )
    })?;
    let endpoint = EndpointId::parse(&old.certificate.endpoint_id).map_err(internal)?;
    let key = Key::Certificate(old.certificate.pem.clone());
    let (_, issued) = made(&state, endpoint, days, key).await?;
    let new = remember(&state, &caller, device, &issued, Some(old.certificate.id)).await?;
    let create = OperationCreate {
        mode: Mode::Apply,
        ops: vec![Op::Operate {
            command: "Device.LocalAgent.AddCertificate()".to_owned(),
            input: [("Certificate".to_owned(), issued.pem)].into(),
        }],
        expires_in_seconds: body.expires_in_seconds,
        note: body.note,
    };
    let submitted = operation::store(&state, &caller, &record, None, create).await;
    let submitted = match submitted {
        Ok(submitted) => submitted
            .operation
            .ok_or_else(|| internal("no operation"))?,
        Err(fail) => {
            let by = caller.principal.actor();
            let reason = "it could not be sent to the device".to_owned();
            issued::revoke(store, &new, Some(device), &by, now(), reason).await?;
            return Err(fail);
        }
    };
    let body = CertificateRotated {
        certificate: view(&new, now()),
        operation: submitted,
    };
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

/// Of the certificates of a device that are not revoked, newest first, the one that another one takes the place of: the
/// newest for the key that the device has shown last. What was issued beside it may be for a key that the device does not
/// have; what took its place and was never shown ends with it.
fn to_replace(all: Vec<CertificateRecord>) -> Result<Option<CertificateRecord>, TlsError> {
    let Some(shown) = all.iter().find(|one| one.used_last) else {
        return Ok(all.into_iter().next());
    };
    let key = Leaf::of_pem(&shown.certificate.pem)?;
    for one in all {
        if Leaf::of_pem(&one.certificate.pem)?.has_key_of(&key)? {
            return Ok(Some(one));
        }
    }
    Ok(None)
}

fn days(state: &State, checks: &mut Checks, wanted: Option<u32>) -> u32 {
    let days = wanted.unwrap_or(state.config.pki.days);
    if !(1..=DAYS_MAX).contains(&days) {
        checks.add("days", format!("is {days}; 1 to {DAYS_MAX} is possible"));
    }
    days
}

/// The authority.
pub async fn authority(
    Extract(state): Extract<State>,
    _: Caller,
) -> Result<Json<CertificateAuthority>> {
    let authority = open(&state).await?;
    Ok(Json(CertificateAuthority {
        subject: authority.info.subject.clone(),
        not_before: seconds(authority.info.not_before),
        not_after: seconds(authority.info.not_after),
        issues: authority.can_issue(),
        pem: authority.pem,
    }))
}

/// Whose key a certificate is for.
pub enum Key {
    /// A new one.
    Fresh,
    /// That of a signing request.
    Request(String),
    /// That of an earlier certificate.
    Certificate(String),
}

impl Key {
    fn of(request: Option<String>) -> Self {
        request.map_or(Self::Fresh, Self::Request)
    }
}

/// The authority in the folder of the configuration. It is read again each time: it may have been put there just now.
async fn open(state: &State) -> Result<Authority> {
    let folder = state.config.pki_folder();
    let opened = tokio::task::spawn_blocking(move || Authority::open(&folder)).await;
    let opened = opened.map_err(internal)?.map_err(broken)?;
    opened.ok_or_else(|| {
        Fail::new(
            ProblemKind::Conflict,
            "There is no authority for devices: make one with `headend pki init`, or take over your own with `headend \
             pki import`.",
        )
    })
}

/// The authority's certificate, and the one that it has issued.
pub async fn made(
    state: &State,
    endpoint: EndpointId,
    days: u32,
    key: Key,
) -> Result<(String, Leaf)> {
    let authority = open(state).await?;
    if !authority.can_issue() {
        return Err(Fail::new(
            ProblemKind::Conflict,
            "The key of the authority for devices is not on this server: it is believed, and issues nothing here.",
        ));
    }
    let renews = matches!(key, Key::Certificate(_));
    let issue = move || {
        let key = match &key {
            Key::Fresh => KeyOf::Fresh,
            Key::Request(pem) => KeyOf::Request(pem),
            Key::Certificate(pem) => KeyOf::Certificate(pem),
        };
        let leaf = authority.issue(&endpoint, days, key);
        leaf.map(|leaf| (authority.pem, leaf))
    };
    let made = tokio::task::spawn_blocking(issue).await.map_err(internal)?;
    made.map_err(|error| match error {
        TlsError::Certificate(words) if renews => Fail::new(
            ProblemKind::Conflict,
            format!("The certificate of the device cannot be renewed, issue another one: {words}."),
        ),
        TlsError::Certificate(words) => Fail::invalid(vec![FieldProblem::body("request", words)]),
        TlsError::Expired(_) => Fail::new(ProblemKind::Conflict, format!("{error}.")),
        other => broken(other),
    })
}

fn broken(error: TlsError) -> Fail {
    tracing::error!(%error, "the authority for devices cannot be used");
    Fail::new(
        ProblemKind::Conflict,
        "The authority for devices cannot be used; the log of the server says why.",
    )
}

/// The device of an endpoint. One that is not registered yet is, to come with a certificate only.
async fn device(state: &State, caller: &Caller, endpoint: &EndpointId) -> Result<DeviceId> {
    let (store, tenant) = (&state.store, &caller.tenant);
    let (at, endpoint) = (now(), endpoint.as_str());
    let own = Identity::endpoint(endpoint);
    if let Some(device) = store.device_by_identity(tenant, &own).await? {
        return Ok(device);
    }
    let setup = PathSetup {
        transport: super::device::WEBSOCKET.to_owned(),
        endpoint_id: endpoint.to_owned(),
        dial_url: None,
        certificate_required: true,
    };
    let mut identities = vec![own.clone()];
    identities.extend(Identity::of_endpoint(endpoint));
    // One that has come over TR-069 only, and is known by its serial number.
    for identity in &identities {
        let Some(device) = store.device_by_identity(tenant, identity).await? else {
            continue;
        };
        // First, or whoever has a setup key would be it meanwhile.
        store.path_expect(tenant, device, setup).await?;
        identified::attach(state, caller, device, vec![own]).await?;
        return Ok(device);
    }
    let id = DeviceId::new(at, secret::id_bits());
    let new = NewDevice::expected(id, identities, at);
    let event = caller
        .event(EventKind::DeviceCreated)
        .device(id)
        .data(serde_json::json!({"name": "", "endpoint": endpoint, "how": "certificate"}));
    store
        .device_expect(tenant, new, setup, None, vec![event])
        .await?;
    Ok(id)
}

/// A required certificate has to be one that can be shown, over each protocol that the device speaks: USP, TR-069. Where
/// it has not come yet it may be either.
pub fn check_required(
    checks: &mut Checks,
    state: &State,
    required: bool,
    dialled: bool,
    speaks: Option<(bool, bool)>,
) {
    const FIELD: &str = "certificate_required";
    let asks = |one: &Option<ServerCertificate>| one.as_ref().is_some_and(ServerCertificate::asks);
    let bound = &state.bound;
    let over_usp = asks(&bound.certificate) || asks(&bound.mqtt.certificate);
    let over_cwmp = asks(&bound.cwmp_certificate);
    let (usp, cwmp) = speaks.unwrap_or((!over_cwmp, false));
    if required && dialled {
        checks.add(
            FIELD,
            "is for devices that dial us, and this one is dialled",
        );
    } else if required && usp && !over_usp {
        checks.add(
            FIELD,
            "needs a server that asks devices for certificates: usp.tls_listen with usp.tls.client_ca or an authority of `headend pki`, or the same of mqtt (of cwmp for TR-069)",
        );
    } else if required && cwmp && !over_cwmp {
        checks.add(
            FIELD,
            "needs a server that asks devices for certificates: cwmp.tls_listen with cwmp.tls.client_ca or an authority of `headend pki`",
        );
    }
}

/// Remembers a certificate that was issued.
pub async fn remember(
    state: &State,
    caller: &Caller,
    device: DeviceId,
    leaf: &Leaf,
    replaces: Option<CertificateId>,
) -> Result<CertificateRecord> {
    let at = now();
    let endpoint = leaf.info.endpoint_ids.first();
    let stamp = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1000));
    let new = NewCertificate {
        id: CertificateId::new(at, secret::id_bits()),
        endpoint_id: endpoint.map_or_else(String::new, |id| id.as_str().to_owned()),
        fingerprint: leaf.fingerprint,
        serial: leaf.info.serial.clone(),
        issuer: leaf.info.issuer.clone(),
        pem: leaf.pem.clone(),
        not_before: stamp(leaf.info.not_before),
        not_after: stamp(leaf.info.not_after),
        replaces,
        created_at: at,
        created_by: caller.principal.actor(),
    };
    let mut data = new.told();
    data["until"] = time(new.not_after).to_string().into();
    if let Some(replaces) = replaces {
        data["replaces"] = replaces.to_string().into();
    }
    let event = caller
        .event(EventKind::CertificateIssued)
        .device(device)
        .data(data);
    let (id, tenant): (_, &TenantId) = (new.id, &caller.tenant);
    state
        .store
        .certificate_insert(tenant, new, vec![event])
        .await?;
    Ok(state.store.certificate(tenant, id).await?)
}

fn seconds(at: i64) -> api::Time {
    time(Timestamp::from_millis(at.saturating_mul(1000)))
}

/// As the API shows it.
pub fn view(record: &CertificateRecord, at: Timestamp) -> Certificate {
    let one = &record.certificate;
    Certificate {
        id: one.id.as_uuid(),
        endpoint_id: one.endpoint_id.clone(),
        device_id: record.device.map(|device| device.as_uuid()),
        state: match record.revoked_at {
            Some(_) => CertificateState::Revoked,
            None if one.not_after <= at => CertificateState::Expired,
            None => CertificateState::Valid,
        },
        serial: one.serial.clone(),
        fingerprint: hex(&one.fingerprint),
        issuer: one.issuer.clone(),
        not_before: time(one.not_before),
        not_after: time(one.not_after),
        replaces: one.replaces.map(|id| id.as_uuid()),
        created_at: time(one.created_at),
        created_by: one.created_by.clone(),
        first_used_at: record.first_used_at.map(time),
        revoked_at: record.revoked_at.map(time),
        revoked_by: some(&record.revoked_by),
        reason: some(&record.reason),
    }
}
