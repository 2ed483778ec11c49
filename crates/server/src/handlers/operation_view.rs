//! A stored operation as the API shows it. Pure; secret values are masked here.

use super::{event::actor, time};
use api::operation::{
    Actor, ActorKind, AddParameter, Op, Operation, OperationState, PathResult, SetParameter, Step,
    StepError, StepState, Who,
};
use api::transcript::Direction;
use fleet::auth::Verb;
use fleet::operation::{OutcomeState, Phase, Request};
use fleet::secret::shown;
use fleet::southbound::Fault;
use std::collections::BTreeMap;
use store::OperationRecord;

/// Results of one step in an answer; a read of everything has thousands.
const RESULTS_MAX: usize = 1_000;

/// An operation for the wire; its note and transfer are added by who knows them.
pub fn view(record: &OperationRecord, device_name: &str) -> Operation {
    let operation = &record.operation;
    let state = state(operation.state);
    let step = step(record);
    Operation {
        id: operation.id.as_uuid(),
        device_id: operation.device.as_uuid(),
        device_name: device_name.to_owned(),
        state,
        summary: summary(&operation.request),
        state_words: words(record),
        ops: vec![op(&operation.request)],
        actor: actor(&operation.requester, false).unwrap_or(Actor {
            kind: ActorKind::System,
            id: None,
            name: "system".to_owned(),
        }),
        note: None,
        created_at: time(operation.created),
        updated_at: time(record.updated_at),
        started_at: operation.started.map(time),
        finished_at: operation.finished.map(time),
        expires_at: time(operation.expires),
        attempts: operation.progress.tries,
        steps: vec![step],
        cancellable: !operation.state.is_final() && !operation.progress.cancel,
        transfer: None,
    }
}

fn summary(request: &Request) -> String {
    let verb = match request {
        Request::Get { .. } => "Read",
        Request::Set { .. } => "Set",
        Request::Add { .. } => "Add to",
        Request::Delete { .. } => "Delete",
        Request::Operate { .. } => "Run",
        Request::Discover { .. } => "Discover",
    };
    format!("{verb} {}", request.summary())
}

fn words(record: &OperationRecord) -> String {
    use fleet::OperationState as S;
    let operation = &record.operation;
    let cause = operation.outcome.cause.clone();
    let base = match operation.state {
        S::Queued => "Waits for the device or for its turn",
        S::Running => "Being carried out",
        S::Verifying => "Being read back",
        S::Succeeded => "Done",
        S::Partly => "Some of it was done",
        S::Failed => "Refused or gone wrong",
        S::Expired => "Its time ran out",
        S::Cancelled => "Cancelled",
        S::Unconfirmed => "Sent, but nobody can tell what became of it",
    };
    let base = if operation.progress.cancel && !operation.state.is_final() {
        format!("{base}; to be cancelled")
    } else {
        base.to_owned()
    };
    match (cause, operation.first_fault()) {
        (Some(cause), _) => format!("{base}: {cause}"),
        (None, Some(fault)) if fault.ours => format!("{base}: {fault}"),
        (None, Some(fault)) => format!("{base}: the device says {fault}"),
        (None, None) => base,
    }
}

fn op(request: &Request) -> Op {
    match request.clone() {
        Request::Get { paths, max_depth } => Op::Get {
            paths,
            max_depth: (max_depth > 0).then_some(max_depth),
        },
        Request::Set {
            values,
            allow_partial,
        } => Op::Set {
            parameters: values
                .into_iter()
                .map(|one| SetParameter {
                    value: shown(&one.path, one.value),
                    path: one.path,
                })
                .collect(),
            allow_partial,
        },
        Request::Add { object, values } => Op::Add {
            parameters: values
                .into_iter()
                .map(|(name, value)| AddParameter {
                    value: shown(&format!("{object}{{i}}.{name}"), value),
                    name,
                })
                .collect(),
            object,
        },
        Request::Delete {
            paths,
            allow_partial,
        } => Op::Delete {
            paths,
            allow_partial,
        },
        Request::Operate { command, args } => Op::Operate {
            command,
            input: arguments(args),
        },
        Request::Discover { path } => Op::Discover { path },
    }
}

/// Arguments of a command; their names are all that is known of them.
fn arguments(all: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let shown = all.into_iter().map(|(name, value)| {
        let value = shown(&name, value);
        (name, value)
    });
    shown.collect()
}

fn step(record: &OperationRecord) -> Step {
    let operation = &record.operation;
    let outcome = &operation.outcome;
    let mut results: BTreeMap<&str, PathResult> = BTreeMap::new();
    let blank = |path: &str| PathResult {
        path: path.to_owned(),
        requested: None,
        before: None,
        after: None,
        verified: None,
        after_restart: false,
        error: None,
    };
    for one in &outcome.before {
        let entry = results.entry(&one.path).or_insert_with(|| blank(&one.path));
        entry.before = Some(shown(&one.path, one.value.clone()));
    }
    for one in &outcome.after {
        let entry = results.entry(&one.path).or_insert_with(|| blank(&one.path));
        entry.after = Some(shown(&one.path, one.value.clone()));
    }
    for one in &outcome.paths {
        let entry = results.entry(&one.path).or_insert_with(|| blank(&one.path));
        entry.after_restart = one.after_restart;
        (entry.verified, entry.error) = match &one.state {
            OutcomeState::Done => (Some(true), None),
            OutcomeState::Accepted | OutcomeState::Absent | OutcomeState::Unknown => (None, None),
            OutcomeState::Differs { read } => (
                Some(false),
                Some(StepError {
                    who: Who::Headend,
                    code: None,
                    message: format!(
                        "the device said yes, and reads back {:?}",
                        shown(&one.path, read.clone())
                    ),
                }),
            ),
            OutcomeState::Refused { fault } => (None, Some(refused(fault))),
        };
    }
    if let Request::Set { values, .. } = &operation.request {
        for one in values {
            let entry = results.entry(&one.path).or_insert_with(|| blank(&one.path));
            entry.requested = Some(shown(&one.path, one.value.clone()));
        }
    }
    let truncated = results.len() > RESULTS_MAX;
    Step {
        index: 0,
        summary: summary(&operation.request),
        state: step_state(record),
        error: error(record),
        results: results.into_values().take(RESULTS_MAX).collect(),
        output: arguments(outcome.outputs.clone()),
        truncated,
    }
}

fn step_state(record: &OperationRecord) -> StepState {
    use fleet::OperationState as S;
    let operation = &record.operation;
    match operation.state {
        S::Queued => StepState::Waiting,
        S::Running => match operation.progress.phase {
            Phase::Before => StepState::Waiting,
            Phase::Act | Phase::Await | Phase::Reconcile => StepState::Sent,
            Phase::ReadBack => StepState::Verifying,
        },
        S::Verifying => StepState::Verifying,
        S::Succeeded => StepState::Done,
        S::Partly => StepState::Partly,
        S::Failed => StepState::Failed,
        S::Expired | S::Cancelled => StepState::Skipped,
        S::Unconfirmed => StepState::Unconfirmed,
    }
}

fn error(record: &OperationRecord) -> Option<StepError> {
    let operation = &record.operation;
    if let Some(fault) = &operation.outcome.fault {
        return Some(refused(fault));
    }
    let failed = matches!(
        operation.state,
        fleet::OperationState::Failed | fleet::OperationState::Unconfirmed
    );
    let words = operation
        .outcome
        .cause
        .clone()
        .filter(|_| failed && operation.first_fault().is_none());
    words.map(|message| StepError {
        who: Who::Network,
        code: None,
        message,
    })
}

fn refused(fault: &Fault) -> StepError {
    StepError {
        who: if fault.ours {
            Who::Headend
        } else {
            Who::Device
        },
        code: fault.said_code(),
        message: fault.message.clone(),
    }
}

fn state(state: fleet::OperationState) -> OperationState {
    use fleet::OperationState as S;
    match state {
        S::Queued => OperationState::Queued,
        S::Running => OperationState::Running,
        S::Verifying => OperationState::Verifying,
        S::Succeeded => OperationState::Succeeded,
        S::Partly => OperationState::Partly,
        S::Failed => OperationState::Failed,
        S::Expired => OperationState::Expired,
        S::Cancelled => OperationState::Cancelled,
        S::Unconfirmed => OperationState::Unconfirmed,
    }
}

/// The state in the domain's terms.
pub fn domain(state: OperationState) -> fleet::OperationState {
    use fleet::OperationState as S;
    match state {
        OperationState::Queued => S::Queued,
        OperationState::Running => S::Running,
        OperationState::Verifying => S::Verifying,
        OperationState::Succeeded => S::Succeeded,
        OperationState::Partly => S::Partly,
        OperationState::Failed => S::Failed,
        OperationState::Expired => S::Expired,
        OperationState::Cancelled => S::Cancelled,
        OperationState::Unconfirmed => S::Unconfirmed,
    }
}

/// Which way a message of a transcript went.
pub fn direction(word: &str) -> Direction {
    match word {
        "out" => Direction::Sent,
        "in" => Direction::Received,
        _ => Direction::Note,
    }
}

/// The permission a verb needs.
pub fn api_permission(verb: Verb) -> api::Permission {
    match verb {
        Verb::Get => api::Permission::OperationGet,
        Verb::Set => api::Permission::OperationSet,
        Verb::Add => api::Permission::OperationAdd,
        Verb::Delete => api::Permission::OperationDelete,
        Verb::Operate => api::Permission::OperationOperate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> OperationRecord {
        let request = Request::Get {
            paths: vec!["Device.".into()],
            max_depth: 0,
        };
        let tenant = fleet::TenantId::parse("acme").unwrap();
        let (id, device) = (uuid::Uuid::nil(), fleet::DeviceId(uuid::Uuid::nil()));
        let at = fleet::Timestamp::default();
        let id = fleet::OperationId(id);
        let operation = fleet::Operation::new(id, tenant, device, request, "test", at, at);
        OperationRecord {
            operation,
            sequence: 1,
            updated_at: at,
            idempotency_key: None,
            lease: None,
            fence: 0,
        }
    }

    #[test]
    fn states_keep_their_names_on_both_sides() {
        for one in OperationState::ALL {
            assert_eq!(state(domain(one)), one);
            assert_eq!(serde_json::to_value(one).unwrap(), domain(one).as_str());
            assert_eq!(one.is_final(), domain(one).is_final());
        }
        for verb in Verb::ALL {
            assert_eq!(api_permission(verb).as_str(), verb.permission().as_str());
        }
    }

    #[test]
    fn what_the_server_makes_of_an_answer_is_not_told_as_the_devices_words() {
        for (fault, who, code, words) in [
            (
                Fault::new(9002, "no"),
                Who::Device,
                Some(9002),
                "the device says 9002 no",
            ),
            // A SOAP fault without one of CWMP.
            (Fault::new(0, "no"), Who::Device, None, "the device says no"),
            (
                Fault::ours(9003, "it needs a URL"),
                Who::Headend,
                None,
                "it needs a URL",
            ),
        ] {
            let mut record = record();
            record.operation.state = fleet::OperationState::Failed;
            record.operation.outcome.fault = Some(fault);
            let shown = view(&record, "box");
            let said = format!("Refused or gone wrong: {words}");
            assert_eq!(shown.state_words, said);
            let error = shown.steps[0].error.as_ref().unwrap();
            assert_eq!((error.who, error.code), (who, code));
        }
        let mut record = record();
        let differs = OutcomeState::Differs {
            read: "home".into(),
        };
        let path = "Device.WiFi.SSID.1.SSID";
        record.operation.outcome.paths = vec![fleet::operation::PathOutcome::new(path, differs)];
        let shown = view(&record, "box");
        let error = shown.steps[0].results[0].error.as_ref().unwrap();
        assert_eq!(error.who, Who::Headend);
        assert_eq!(
            error.message,
            "the device said yes, and reads back \"home\""
        );
    }

    #[test]
    fn a_passphrase_is_masked_in_what_was_asked() {
        let request = Request::Set {
            values: vec![fleet::PathValue::new(
                "Device.WiFi.AccessPoint.1.Security.KeyPassphrase",
                "hunter22",
            )],
            allow_partial: false,
        };
        let text = serde_json::to_string(&op(&request)).unwrap();
        assert!(!text.contains("hunter22") && text.contains(fleet::secret::MASK));
    }
}
