//! What an operation's step leaves in the event log.

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
    if matches!(operation.request, Request::Delete { .. }) {
        let gone = |p: &&fleet::operation::PathOutcome| {
            matches!(p.state, OutcomeState::Done | OutcomeState::Absent) && p.path.ends_with('.')
        };
        update.forget = operation
            .outcome
            .paths
            .iter()
            .filter(gone)
            .map(|p| p.path.clone())
            .collect();
    }
    (!update.values.is_empty() || !update.forget.is_empty()).then_some(update)
}
