//! From what a caller asks to what the domain plans: checks, the request, the preview, and each
//! refusal by its field. Stores nothing.

use super::time;
use crate::problem::{Fail, Result};
use crate::secret;
use crate::southbound::cwmp::conversation::{begins_within, objection};
use crate::southbound::cwmp::{TRANSPORT, VERSION};
use crate::state::{State, now};
use api::FieldProblem;
use api::operation::{
    NotificationKind, Op, OperationCreate, Preview, PreviewItem, PreviewSeverity,
};
use fleet::operation::Request;
use fleet::plan::{Context, Effect, Plan, Problem, Trouble};
use fleet::secret::shown;
use fleet::{PathValue, TenantId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use store::{DeviceRecord, KnownValue};

/// Last-known values read for a preview of rows.
const PREVIEW_VALUES_MAX: usize = 5_000;

/// What can be checked without the device: counts, lengths, expiry.
pub fn check(body: &OperationCreate) -> Result<Duration> {
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
    let expiry = body.expires_in_seconds;
    if let Some(seconds) = expiry
        && !(1..=max::OPERATION_EXPIRY_MAX_SECONDS).contains(&seconds)
    {
        errors.push(FieldProblem::body(
            "expires_in_seconds",
            format!(
                "is {seconds}; 1 to {} is possible",
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
        Ok(expiry.map_or(fleet::limits::EXPIRY_DEFAULT, |seconds| {
            Duration::from_secs(u64::from(seconds))
        }))
    } else {
        Err(Fail::invalid(errors))
    }
}

/// The op in the domain's terms.
pub fn request(op: &Op) -> Request {
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

/// Last-known values by path.
pub type KnownValues = HashMap<String, KnownValue>;

/// What would happen, and the last-known values it was seen by.
pub async fn plan(
    state: &State,
    tenant: &TenantId,
    record: &DeviceRecord,
    request: &Request,
) -> Result<(Plan, KnownValues)> {
    let id = record.device.id;
    let model = super::model::discovered(state, tenant, record).await?;
    let paths: Vec<&str> = match request {
        Request::Set { values, .. } => values.iter().map(|one| one.path.as_str()).collect(),
        Request::Delete { paths, .. } => paths.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let mut known = KnownValues::new();
    let exact = paths
        .iter()
        .filter(|path| !path.ends_with('.') && fixed(path) == **path);
    let exact = exact.map(|path| (*path).to_owned());
    let beside = paths.iter().flat_map(|path| fleet::plan::needs(path));
    let exact: Vec<String> = exact.chain(beside).collect();
    let mut found = state.store.value_of(tenant, id, &exact).await?;
    // Below the rows that are meant: what a search path leads to is seen by all values there.
    let below: BTreeSet<&str> = paths
        .iter()
        .map(|path| fixed(path))
        .filter(|path| path.ends_with('.'))
        .collect();
    for prefix in below {
        let listed = state
            .store
            .value_list(tenant, id, prefix, None, PREVIEW_VALUES_MAX)
            .await?;
        found.extend(listed);
        if found.len() >= PREVIEW_VALUES_MAX {
            break;
        }
    }
    known.extend(found.into_iter().map(|one| (one.path.clone(), one)));
    let values = known
        .values()
        .map(|one| (one.path.clone(), one.value.clone()))
        .collect();
    let context = Context {
        schema: dm::Schema::tr181(),
        model: model.as_ref(),
        values: &values,
    };
    let mut plan = fleet::plan::plan(request, &context);
    if let Request::Operate { command, args } = request
        && goes_over_cwmp(record, command)
        && plan.is_acceptable()
        && let Some(message) = objection(command, args, version(state, tenant, id).await?)
    {
        plan.problems.push(Problem {
            path: command.clone(),
            trouble: Trouble::MissingArgument,
            message,
            blocks: true,
        });
    }
    Ok((plan, known))
}

/// The version of CWMP that a device spoke the last time.
async fn version(
    state: &State,
    tenant: &TenantId,
    id: fleet::DeviceId,
) -> Result<Option<cwmp::Version>> {
    let path = state.store.path(tenant, id, TRANSPORT).await?;
    Ok(path.and_then(|path| cwmp::Version::parse(path.info[VERSION].as_str()?)))
}

/// Whether a command of this device can go over nothing else.
fn goes_over_cwmp(record: &DeviceRecord, command: &str) -> bool {
    let models = &record.models;
    command.starts_with("Device.X_HEADEND_") || models.usp.is_empty() && !models.cwmp.is_empty()
}

/// The beginning of a path that names one thing; all of a path that is no search path. What a
/// reference leads to may be anywhere.
fn fixed(path: &str) -> &str {
    if path.contains('+') || path.contains('#') {
        return "Device.";
    }
    match path.find(['*', '[']) {
        Some(at) => &path[..at],
        None => path,
    }
}

/// That others come first: a device has one operation at a time, and a command may take long.
pub fn behind(ahead: u64) -> Option<String> {
    match ahead {
        0 => None,
        1 => Some(
            "Another operation of this device is not done yet: this waits for its turn.".to_owned(),
        ),
        many => Some(format!(
            "{many} operations of this device are not done yet: this waits for its turn."
        )),
    }
}

/// What is wrong with how long an operation is waited for: the command begins later.
pub fn too_short(record: &DeviceRecord, request: &Request, expiry: Duration) -> Option<String> {
    let Request::Operate { command, args } = request else {
        return None;
    };
    let begins = begins_within(args).filter(|_| goes_over_cwmp(record, command))?;
    let expiry = expiry.as_secs();
    (u64::from(begins) >= expiry).then(|| {
        format!(
            "It may begin {begins} s from now, and how it ended is waited for no longer than {expiry} s: give it more \
             time to expire."
        )
    })
}

/// The plan for a person.
pub fn preview(
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
    if record.model_key().is_empty() {
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
        let mask = |value: Option<String>| value.map(|text| shown(&change.path, text));
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
        (false, 0) if request.is_read() => sentence(format!("Reads {}", request.summary())),
        (false, 0) => "Nothing would change.".to_owned(),
        (false, 1) => sentence(format!(
            "One change: {} {}",
            request.kind(),
            request.summary()
        )),
        (false, many) => sentence(format!(
            "{many} changes: {} {}",
            request.kind(),
            request.summary()
        )),
    };
    Preview {
        summary,
        items,
        blocked,
        warnings,
    }
}

/// With a full stop, unless it ends in the dot of a path.
fn sentence(text: String) -> String {
    if text.ends_with('.') {
        text
    } else {
        text + "."
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
pub fn refused(op: &Op, plan: &Plan) -> Vec<FieldProblem> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_that_ends_in_a_path_has_one_dot() {
        let delete = "One change: delete Device.NAT.PortMapping.1.";
        assert_eq!(sentence(delete.to_owned()), delete);
        assert_eq!(sentence("Reads Device.A.B".to_owned()), "Reads Device.A.B.");
    }

    #[test]
    fn what_a_search_path_may_lead_to_is_looked_for_where_it_begins_to_search() {
        assert_eq!(fixed("Device.WiFi.SSID.1.SSID"), "Device.WiFi.SSID.1.SSID");
        assert_eq!(fixed("Device.WiFi.SSID.*.SSID"), "Device.WiFi.SSID.");
        assert_eq!(fixed("Device.T.[Name==\"x\"].A"), "Device.T.");
        assert_eq!(fixed("Device.T.1.Ref+.Name"), "Device.");
    }
}
