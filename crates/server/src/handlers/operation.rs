//! Operations on devices: preview, create, list, show, cancel, transcript.

use super::operation_view::{self, api_permission};
use super::{stamp, time};
use crate::auth::Caller;
use crate::http::extract::{Body, Id, Query};
use crate::http::idempotency::Keyed;
use crate::http::page;
use crate::problem::{Fail, Result};
use crate::secret;
use crate::state::{State, now};
use api::operation::{
    Direction, Mode, NotificationKind, Op, Operation, OperationCreate, OperationQuery,
    OperationSubmitted, Preview, PreviewItem, PreviewSeverity, TranscriptEntry,
};
use api::page::PageQuery;
use api::{FieldProblem, Page, ProblemKind};
use axum::Json;
use axum::extract::{Extension, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use fleet::operation::{Input, Request};
use fleet::plan::{Context, Effect, Plan, Trouble};
use fleet::{DeviceId, EventKind, OperationId, OperationState, PathValue, TenantId};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use store::{Created, DeviceRecord, KnownValue, OperationFilter, OperationRecord};

/// Last-known values read for a preview of rows.
const PREVIEW_VALUES_MAX: usize = 5_000;

/// Previews one, or stores it.
pub async fn create(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    keyed: Option<Extension<Keyed>>,
    Body(body): Body<OperationCreate>,
) -> Result<Response> {
    let id = DeviceId::from(id);
    let tenant = &caller.tenant;
    let record = state.store.device(tenant, id).await?;
    let expiry = check(&body)?;
    let Some(op) = body.ops.first() else {
        return Err(Fail::invalid(vec![FieldProblem::body("ops", "is empty")]));
    };
    let request = request(op);
    if !caller.principal.allows_verb(request.verb()) {
        return Err(Fail::forbidden(api_permission(request.verb())));
    }
    let (plan, known) = plan(&state, tenant, &record, &request).await?;
    if body.mode == Mode::Apply && !plan.is_acceptable() {
        return Err(Fail::invalid(refused(op, &plan)));
    }
    let preview = preview(&state, &record, &request, &plan, &known);
    if body.mode == Mode::Preview {
        return Ok(Json(OperationSubmitted {
            preview,
            operation: None,
        })
        .into_response());
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
        Created::New(stored) | Created::Existing(stored) => stored,
        Created::Mismatch => {
            return Err(Fail::new(
                ProblemKind::IdempotencyMismatch,
                "This key was used for another request. Use a new key for a new request.",
            ));
        }
    };
    state.south.operation_queued(tenant, id);
    metrics::counter!("headend_operations_created_total", "kind" => kind).increment(1);
    let mut operation = operation_view::view(&stored, &super::device::name(&record));
    operation.note = body.note.filter(|note| !note.is_empty());
    let body = OperationSubmitted {
        preview,
        operation: Some(operation),
    };
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

/// The list, newest first.
pub async fn list(
    Extract(state): Extract<State>,
    caller: Caller,
    Query(query): Query<OperationQuery>,
) -> Result<Json<Page<Operation>>> {
    let limit = page::limit(query.limit, api::limits::PAGE_MAX)?;
    let before = match query.cursor.as_deref() {
        None | Some("") => None,
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
    let at = now();
    let template = asked.clone();
    let edited = state
        .store
        .operation_edit(tenant, id, at, move |operation| {
            let was = operation.state;
            // What it would do next is the dispatcher's business, should it still be open.
            let _ = operation.step(Input::Cancel, at);
            let mut events = vec![template.clone()];
            if operation.state.is_final() && was != operation.state {
                let mut ended = template;
                ended.kind = EventKind::OperationFinished;
                events.push(ended.data(serde_json::json!({
                    "state": operation.state.as_str(), "cause": operation.outcome.cause,
                })));
            }
            events
        })
        .await?;
    if !edited {
        state.store.event_append(tenant, vec![asked]).await?;
    }
    state.south.operation_cancel(tenant, device, id);
    let record = state.store.operation(tenant, id).await?;
    shown(&state, tenant, &record).await.map(Json)
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
        direction: match entry.direction.as_str() {
            "out" => Direction::Sent,
            "in" => Direction::Received,
            _ => Direction::Note,
        },
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
    Ok(view)
}

/// What can be checked without the device: counts, lengths, expiry.
fn check(body: &OperationCreate) -> Result<Duration> {
    use api::limits as max;
    let mut errors = Vec::new();
    if body.ops.len() != max::OPS_MAX {
        errors.push(FieldProblem::body(
            "ops",
            format!(
                "has {} entries; an operation is one op, which may name many paths",
                body.ops.len()
            ),
        ));
    }
    let expiry = body
        .expires_in_seconds
        .unwrap_or(max::OPERATION_EXPIRY_DEFAULT_SECONDS);
    if expiry == 0 || expiry > max::OPERATION_EXPIRY_MAX_SECONDS {
        errors.push(FieldProblem::body(
            "expires_in_seconds",
            format!(
                "is {expiry}; 1 to {} is possible",
                max::OPERATION_EXPIRY_MAX_SECONDS
            ),
        ));
    }
    let note = body.note.as_deref().unwrap_or_default().chars().count();
    if note > max::NOTE_CHARS_MAX {
        errors.push(FieldProblem::body(
            "note",
            format!("has {note} characters; {} is the most", max::NOTE_CHARS_MAX),
        ));
    }
    if errors.is_empty() {
        Ok(Duration::from_secs(u64::from(expiry)))
    } else {
        Err(Fail::invalid(errors))
    }
}

/// The op in the domain's terms.
fn request(op: &Op) -> Request {
    match op.clone() {
        Op::Get { paths, max_depth } => Request::Get {
            paths,
            max_depth: max_depth.unwrap_or(0),
        },
        Op::Set {
            parameters,
            allow_partial,
        } => Request::Set {
            values: parameters
                .into_iter()
                .map(|one| PathValue {
                    path: one.path,
                    value: one.value,
                })
                .collect(),
            allow_partial,
        },
        Op::Add { object, parameters } => Request::Add {
            object,
            values: parameters
                .into_iter()
                .map(|one| (one.name, one.value))
                .collect(),
        },
        Op::Delete {
            paths,
            allow_partial,
        } => Request::Delete {
            paths,
            allow_partial,
        },
        Op::Operate { command, input } => Request::Operate {
            command,
            args: input,
        },
        Op::Discover { path } => Request::Discover { path },
        // On the device, a subscription is a row like any other.
        Op::Subscribe {
            notification,
            paths,
            persistent,
            confirmed,
        } => {
            let values = [
                ("Enable", "true".to_owned()),
                ("ID", secret::new("headend-")),
                ("NotifType", notif_type(notification).to_owned()),
                ("ReferenceList", paths.join(",")),
                ("Persistent", persistent.to_string()),
                ("NotifRetry", confirmed.to_string()),
            ];
            Request::Add {
                object: "Device.LocalAgent.Subscription.".to_owned(),
                values: values
                    .map(|(name, value)| (name.to_owned(), value))
                    .into_iter()
                    .collect(),
            }
        }
    }
}

fn notif_type(kind: NotificationKind) -> &'static str {
    match kind {
        NotificationKind::ValueChange => "ValueChange",
        NotificationKind::ObjectCreation => "ObjectCreation",
        NotificationKind::ObjectDeletion => "ObjectDeletion",
        NotificationKind::OperationComplete => "OperationComplete",
        NotificationKind::Event => "Event",
    }
}

type KnownValues = HashMap<String, KnownValue>;

async fn plan(
    state: &State,
    tenant: &TenantId,
    record: &DeviceRecord,
    request: &Request,
) -> Result<(Plan, KnownValues)> {
    let id = record.device.id;
    let model = super::model::discovered(state, tenant, record).await?;
    let known = match request {
        Request::Set { values, .. } => {
            let paths: Vec<String> = values.iter().map(|one| one.path.clone()).collect();
            state.store.value_of(tenant, id, &paths).await?
        }
        Request::Add { object, .. } => {
            state
                .store
                .value_list(tenant, id, object, None, PREVIEW_VALUES_MAX)
                .await?
        }
        _ => Vec::new(),
    };
    let known: KnownValues = known
        .into_iter()
        .map(|one| (one.path.clone(), one))
        .collect();
    let value = |path: &str| known.get(path).map(|one| one.value.clone());
    let context = Context {
        schema: dm::Schema::tr181(),
        model: model.as_ref(),
        value: &value,
    };
    let plan = fleet::plan::plan(request, &context);
    Ok((plan, known))
}

fn preview(
    state: &State,
    record: &DeviceRecord,
    request: &Request,
    plan: &Plan,
    known: &KnownValues,
) -> Preview {
    let mut warnings = Vec::new();
    match fleet::presence::presence(&record.device.evidence, now(), &state.presence()) {
        fleet::Presence::Online => {}
        fleet::Presence::Silent => {
            warnings.push(
                "The device has not answered for a while: this may have to wait for it.".to_owned(),
            );
        }
        fleet::Presence::Offline => {
            warnings.push("The device is offline: this waits until it comes back.".to_owned());
        }
        fleet::Presence::Never => {
            warnings.push("The device has never come: this waits until it does.".to_owned());
        }
    }
    if record.model_key.is_empty() {
        warnings.push(
            "The device has not been asked what it supports: checked against the standard only."
                .to_owned(),
        );
    }
    if matches!(request, Request::Operate { command, .. } if command == "Device.FactoryReset()") {
        warnings.push(
            "A factory reset loses the device's credential: it has to be re-admitted afterwards."
                .to_owned(),
        );
    }
    let mut problems: BTreeMap<&str, Vec<&fleet::plan::Problem>> = BTreeMap::new();
    for problem in &plan.problems {
        problems
            .entry(problem.path.as_str())
            .or_default()
            .push(problem);
    }
    let mut items: Vec<PreviewItem> = Vec::new();
    for change in &plan.changes {
        let found = problems.remove(change.path.as_str());
        let secured = fleet::plan::is_secured(&change.path);
        let mask = |value: Option<String>| value.map(|text| operation_view::masked(secured, text));
        items.push(PreviewItem {
            op: 0,
            action: action(change.effect).to_owned(),
            from: mask(change.current.clone()),
            from_at: known.get(&change.path).map(|one| time(one.at)),
            to: mask(change.wanted.clone()),
            changes: !matches!(change.effect, Effect::Unchanged | Effect::Reads),
            problem: found.as_ref().map(|all| joined(all)),
            severity: found.as_ref().map(|all| severity(all)),
            path: change.path.clone(),
        });
    }
    for (path, all) in problems {
        items.push(PreviewItem {
            op: 0,
            path: path.to_owned(),
            action: request.kind().to_owned(),
            from: None,
            from_at: None,
            to: None,
            changes: false,
            problem: Some(joined(&all)),
            severity: Some(severity(&all)),
        });
    }
    let changes = items.iter().filter(|item| item.changes).count();
    let blocked = !plan.is_acceptable();
    let summary = match (blocked, changes) {
        (true, _) => "This would be refused.".to_owned(),
        (false, 0) if request.is_read() => format!("Reads {}.", request.summary()),
        (false, 0) => "Nothing would change.".to_owned(),
        (false, 1) => format!("One change: {} {}.", request.kind(), request.summary()),
        (false, many) => format!("{many} changes: {} {}.", request.kind(), request.summary()),
    };
    Preview {
        summary,
        items,
        blocked,
        warnings,
    }
}

fn action(effect: Effect) -> &'static str {
    match effect {
        Effect::Reads => "get",
        Effect::Changes | Effect::Unchanged | Effect::Sets => "set",
        Effect::Adds => "add",
        Effect::Removes => "delete",
        Effect::Runs => "operate",
    }
}

fn joined(problems: &[&fleet::plan::Problem]) -> String {
    problems
        .iter()
        .map(|one| one.message.as_str())
        .collect::<Vec<_>>()
        .join("; ")
}

fn severity(problems: &[&fleet::plan::Problem]) -> PreviewSeverity {
    if problems.iter().any(|one| one.blocks) {
        PreviewSeverity::Blocks
    } else {
        PreviewSeverity::Doubtful
    }
}

/// What stands in the way, field by field.
fn refused(op: &Op, plan: &Plan) -> Vec<FieldProblem> {
    plan.problems
        .iter()
        .filter(|problem| problem.blocks)
        .map(|problem| {
            let field = format!("ops[0].{}", field(op, problem));
            let mut error = FieldProblem::body(field, problem.message.clone());
            if problem.trouble == Trouble::BadPath {
                let at = dm::Path::parse(&problem.path).err().map(|error| error.at);
                error.at = at.and_then(|at| u32::try_from(at).ok());
            }
            error
        })
        .collect()
}

fn field(op: &Op, problem: &fleet::plan::Problem) -> String {
    let path = problem.path.as_str();
    let in_list = |paths: &[String]| match paths.iter().position(|one| one == path) {
        Some(index) => format!("paths[{index}]"),
        None => "paths".to_owned(),
    };
    let part = if problem.trouble == Trouble::BadValue {
        "value"
    } else {
        "path"
    };
    match op {
        Op::Get { paths, .. } | Op::Delete { paths, .. } | Op::Subscribe { paths, .. } => {
            in_list(paths)
        }
        Op::Discover { .. } => "path".to_owned(),
        Op::Set { parameters, .. } => match parameters.iter().position(|one| one.path == path) {
            Some(index) => format!("parameters[{index}].{part}"),
            None => "parameters".to_owned(),
        },
        Op::Add { object, parameters } => {
            let name = path.strip_prefix(object.as_str()).unwrap_or(path);
            let name = name.strip_prefix("{i}.").unwrap_or(name);
            match parameters.iter().position(|one| one.name == name) {
                Some(index) if part == "value" => format!("parameters[{index}].value"),
                Some(index) => format!("parameters[{index}].name"),
                None => "object".to_owned(),
            }
        }
        Op::Operate { command, input } => {
            let name = path.strip_prefix(command.as_str()).unwrap_or(path);
            let name = name.trim_start_matches('.');
            if input.contains_key(name) {
                format!("input.{name}")
            } else if matches!(
                problem.trouble,
                Trouble::MissingArgument | Trouble::UnknownArgument
            ) {
                "input".to_owned()
            } else {
                "command".to_owned()
            }
        }
    }
}
