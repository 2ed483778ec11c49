//! What an operation's step leaves in the event log.

use std::collections::BTreeSet;

use fleet::model::counted_by;
use fleet::operation::{OutcomeState, Request};
use fleet::secret::kept;
use fleet::{Event, EventKind, Operation, OperationState, Timestamp};
use serde_json::json;

/// The events of a write that takes an operation from `previous` to where it is now.
pub fn of(previous: OperationState, operation: &Operation, now: Timestamp) -> Vec<Event> {
    let event = |kind, data| {
        Event::new(operation.tenant.clone(), now, kind)
            .device(operation.device)
            .operation(operation.id)
            .actor("system")
            .data(data)
    };
    let mut out = Vec::new();
    let state = operation.state;
    let under_way = matches!(state, OperationState::Running | OperationState::Verifying);
    if previous == OperationState::Queued && under_way {
        out.push(event(
            EventKind::OperationStarted,
            json!({ "kind": operation.request.kind() }),
        ));
    }
    match state {
        _ if state == previous => {}
        OperationState::Verifying => {
            out.push(event(EventKind::OperationVerifying, json!({})));
        }
        OperationState::Queued => {
            let reason = operation.outcome.cause.as_deref().unwrap_or_default();
            out.push(event(
                EventKind::OperationWaiting,
                json!({ "reason": reason }),
            ));
        }
        _ if state.is_final() => out.push(event(
            EventKind::OperationFinished,
            json!({
                "kind": operation.request.kind(),
                "state": state.as_str(),
                "summary": operation.request.summary(),
                "cause": operation.outcome.cause,
            }),
        )),
        _ => {}
    }
    out
}

/// What the end of an operation teaches about the device's values.
pub fn learned(operation: &Operation, now: Timestamp) -> Option<store::ValueUpdate> {
    if !operation.state.is_final() {
        return None;
    }
    let source = match operation.request {
        Request::Get { .. } => store::ValueSource::Read,
        _ => store::ValueSource::ReadBack,
    };
    let values = operation
        .outcome
        .after
        .iter()
        .filter(|v| v.value.len() <= store::limits::VALUE_BYTES_MAX)
        .map(|v| (v.path.clone(), kept(&v.path, v.value.clone())));
    let mut update = store::ValueUpdate::of(values, source, now);
    update.forget = outdated(operation);
    (!update.values.is_empty() || !update.forget.is_empty()).then_some(update)
}

/// What was known and is not true any more when rows came or went: the values of rows that are gone,
/// and how many rows a table has.
fn outdated(operation: &Operation) -> Vec<String> {
    let delete = match operation.request {
        Request::Delete { .. } => true,
        Request::Add { .. } => false,
        _ => return Vec::new(),
    };
    let mut out = BTreeSet::new();
    for one in operation
        .outcome
        .paths
        .iter()
        .filter(|p| p.path.ends_with('.'))
    {
        match one.state {
            OutcomeState::Refused { .. } | OutcomeState::Differs { .. } => continue,
            OutcomeState::Done | OutcomeState::Absent if delete => {
                out.insert(one.path.clone());
            }
            _ => {}
        }
        out.extend(counted_by(&one.path));
    }
    // An Add of which nobody can tell: there may be a row more.
    if let Request::Add { object, .. } = &operation.request
        && operation.state == OperationState::Unconfirmed
    {
        out.extend(counted_by(&format!("{object}1.")));
    }
    out.into_iter().collect()
}
