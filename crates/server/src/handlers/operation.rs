//! Operations on devices: preview, create, list, show, cancel, transcript.

use super::operation_plan::{behind, check, plan, preview, refused, request, too_short};
use super::operation_view::{self, api_permission};
use super::{some, stamp, time};
use crate::auth::Caller;
use crate::http::extract::{Body, Id, Query};
use crate::http::idempotency::Keyed;
use crate::http::page;
use crate::problem::{Fail, Result};
use crate::secret;
use crate::state::{State, now};
use api::operation::{Mode, Operation, OperationCreate, OperationQuery, OperationSubmitted};
use api::page::PageQuery;
use api::transcript::TranscriptEntry;
use api::{FieldProblem, Page, ProblemKind};
use axum::Json;
use axum::extract::{Extension, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use fleet::{DeviceId, Event, EventKind, OperationId, OperationState, TenantId};
use store::{Created, DeviceRecord, OperationFilter, OperationRecord};

/// Previews one, or stores it.
pub async fn create(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    keyed: Option<Extension<Keyed>>,
    Body(body): Body<OperationCreate>,
) -> Result<Response> {
    let record = state.store.device(&caller.tenant, id.into()).await?;
    submit(&state, &caller, &record, keyed, body).await
}

/// Previews one on a device, or stores it.
pub async fn submit(
    state: &State,
    caller: &Caller,
    record: &DeviceRecord,
    keyed: Option<Extension<Keyed>>,
    body: OperationCreate,
) -> Result<Response> {
    let submitted = store(state, caller, record, keyed, body).await?;
    Ok(match submitted.operation {
        None => Json(submitted).into_response(),
        Some(_) => (StatusCode::ACCEPTED, Json(submitted)).into_response(),
    })
}

/// The same for whoever goes on with it.
pub async fn store(
    state: &State,
    caller: &Caller,
    record: &DeviceRecord,
    keyed: Option<Extension<Keyed>>,
    body: OperationCreate,
) -> Result<OperationSubmitted> {
    let (id, tenant) = (record.device.id, &caller.tenant);
    let expiry = check(&body)?;
    let Some(op) = body.ops.first() else {
        return Err(Fail::invalid(vec![FieldProblem::body("ops", "is empty")]));
    };
    let request = request(op);
    if !caller.principal.allows_verb(request.verb()) {
        return Err(Fail::forbidden(api_permission(request.verb())));
    }
    let warnings = super::transfer::check(state, tenant, record, &request).await?;
    let (plan, known) = plan(state, tenant, record, &request).await?;
    if body.mode == Mode::Apply && !plan.is_acceptable() {
        return Err(Fail::invalid(refused(op, &plan)));
    }
    let mut preview = preview(state, record, &request, &plan, &known);
    preview.warnings.extend(warnings);
    preview.warnings.extend(too_short(record, &request, expiry));
    if body.mode == Mode::Preview {
        let ahead = state.store.operation_open_count(tenant, id).await?;
        preview.warnings.extend(behind(ahead));
        return Ok(OperationSubmitted {
            preview,
            operation: None,
        });
    }
    let at = now();
    let kind = request.kind();
    let summary = request.summary();
    let operation = fleet::Operation::new(
        OperationId::new(at, secret::id_bits()),
        tenant.clone(),
        id,
        request,
        caller.principal.actor(),
        at,
        at.plus(expiry),
    );
    let event = caller
        .event(EventKind::OperationQueued)
        .device(id)
        .operation(operation.id)
        .data(serde_json::json!({"kind": kind, "summary": summary, "note": body.note}));
    let key = keyed.map(|Extension(keyed)| (keyed.key, keyed.fingerprint));
    let created = state
        .store
        .operation_insert(tenant, operation, key, vec![event])
        .await?;
    let stored = match created {
        Created::New(stored) => {
            metrics::counter!("headend_operations_created_total", "kind" => kind).increment(1);
            stored
        }
        Created::Existing(stored) => stored,
        Created::Mismatch => {
            return Err(Fail::new(
                ProblemKind::IdempotencyMismatch,
                "This key was used for another request. Use a new key for a new request.",
            ));
        }
    };
    state.south.operation_queued(tenant, id);
    let mut operation = operation_view::view(&stored, &super::device_view::name(record));
    operation.note = body.note.filter(|note| !note.is_empty());
    Ok(OperationSubmitted {
        preview,
        operation: Some(operation),
    })
}

/// The list, newest first.
pub async fn list(
    Extract(state): Extract<State>,
    caller: Caller,
    Query(query): Query<OperationQuery>,
) -> Result<Json<Page<Operation>>> {
    let limit = page::limit(query.limit, api::limits::PAGE_MAX)?;
    let before = match page::given(query.cursor.as_deref()) {
        None => None,
        Some(text) => Some(text.parse::<OperationId>().map_err(|_| {
            Fail::malformed(vec![FieldProblem::query(
                "cursor",
                format!("{text:?} is not a cursor"),
            )])
        })?),
    };
    let requester = match query.user_id {
        None => None,
        Some(user) => {
            // The log names people by their login.
            let user = state
                .store
                .user(&caller.tenant, fleet::UserId::from(user))
                .await;
            match user {
                Ok(user) => Some(format!("user:{}", user.login)),
                Err(store::Error::NotFound(_)) => {
                    return Ok(Json(Page::whole(Vec::new())));
                }
                Err(error) => return Err(error.into()),
            }
        }
    };
    let filter = OperationFilter {
        device: query.device_id.map(DeviceId::from),
        states: query
            .state
            .iter()
            .map(|one| operation_view::domain(*one))
            .collect(),
        kinds: Vec::new(),
        requester,
        created_after: query.created_after.map(stamp),
        created_before: query.created_before.map(stamp),
    };
    let mut found = state
        .store
        .operation_list(&caller.tenant, &filter, before, limit + 1)
        .await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = more
        .then(|| found.last().map(|last| last.operation.id.to_string()))
        .flatten();
    let mut items = Vec::with_capacity(found.len());
    for record in &found {
        let name = state
            .device_name(&caller.tenant, record.operation.device)
            .await;
        items.push(operation_view::view(record, &name.unwrap_or_default()));
    }
    Ok(Json(Page {
        items,
        next,
        total: None,
    }))
}

/// One of them.
pub async fn show(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Operation>> {
    let record = state
        .store
        .operation(&caller.tenant, OperationId::from(id))
        .await?;
    shown(&state, &caller.tenant, &record).await.map(Json)
}

/// Stops one.
pub async fn cancel(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Operation>> {
    let id = OperationId::from(id);
    let tenant = &caller.tenant;
    let record = state.store.operation(tenant, id).await?;
    let verb = record.operation.request.verb();
    if !caller.principal.allows_verb(verb) {
        return Err(Fail::forbidden(api_permission(verb)));
    }
    if record.operation.state == OperationState::Cancelled {
        return shown(&state, tenant, &record).await.map(Json);
    }
    if record.operation.state.is_final() {
        return Err(Fail::new(
            ProblemKind::Conflict,
            format!(
                "The operation has ended already: {}.",
                record.operation.state
            ),
        ));
    }
    let device = record.operation.device;
    let asked = caller
        .event(EventKind::OperationCancelRequested)
        .device(device)
        .operation(id);
    if stop(&state, tenant, id, vec![asked.clone()]).await? {
        // Others may have waited behind it.
        state.south.operation_cancel(tenant, device, id);
    } else {
        // Written first: whoever holds it may be killed before it hears of this.
        state.store.event_append(tenant, vec![asked]).await?;
        state.south.operation_cancel(tenant, device, id);
        // Last: whoever held it may have given it back before it heard of this.
        stop(&state, tenant, id, Vec::new()).await?;
    }
    let record = state.store.operation(tenant, id).await?;
    shown(&state, tenant, &record).await.map(Json)
}

/// Stops one that nobody holds; false when somebody does, or it is at its end.
async fn stop(
    state: &State,
    tenant: &TenantId,
    id: OperationId,
    mut events: Vec<Event>,
) -> Result<bool> {
    let at = now();
    let edited = state
        .store
        .operation_edit(tenant, id, at, move |operation| {
            let was = operation.state;
            operation.cancel(at);
            events.extend(crate::dispatch::events::of(was, operation, at));
            events
        });
    Ok(edited.await?)
}

/// What went over the wire.
pub async fn transcript(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<TranscriptEntry>>> {
    let id = OperationId::from(id);
    state.store.operation(&caller.tenant, id).await?;
    let entries = state.store.transcript_list(&caller.tenant, id).await?;
    let entries = (0u32..).zip(entries).map(|(index, entry)| TranscriptEntry {
        index,
        at: time(entry.at),
        direction: operation_view::direction(&entry.direction),
        transport: some(&entry.transport),
        kind: entry.what,
        text: entry.text,
    });
    let key = |entry: &TranscriptEntry| format!("{:08}", entry.index);
    page::cut(entries.collect(), &query, page::Order::Rising, key).map(Json)
}

async fn shown(state: &State, tenant: &TenantId, record: &OperationRecord) -> Result<Operation> {
    let name = state
        .device_name(tenant, record.operation.device)
        .await
        .unwrap_or_default();
    let mut view = operation_view::view(record, &name);
    let filter = store::EventFilter {
        device: None,
        former: Vec::new(),
        operation: Some(record.operation.id),
        kinds: vec![EventKind::OperationQueued],
        since: None,
    };
    let queued = state.store.events_before(tenant, None, &filter, 1).await?;
    view.note = queued
        .events
        .first()
        .and_then(|first| first.event.data["note"].as_str())
        .filter(|note| !note.is_empty())
        .map(str::to_owned);
    let transfer = state.store.transfer_of(tenant, record.operation.id).await?;
    view.transfer = transfer.map(|one| super::transfer::view(&one, now(), state.alone_since()));
    Ok(view)
}
