//! The faults of a device as they are counted: which parameter, which value was tried, and the
//! device's words. Masks are put on where they are kept.

use ::cwmp::fault::names;
use ::cwmp::rpc::FaultStruct;
use ::cwmp::{Fault, FaultCode, Request};
use store::SessionFault;

use super::text::short;
use crate::southbound::cwmp::limits::RECORD_NAME_CHARS_MAX;

/// The faults of an answer: one for each parameter that it names, in its list or else in its words;
/// else one for all.
pub fn answered(asked: &Request, fault: &Fault) -> Vec<SessionFault> {
    let method = asked.method().name();
    if !fault.parameters.is_empty() {
        let each = fault.parameters.iter().map(|at| {
            let name = at.name.trim();
            let value = tried(asked, name);
            one(method, at.code, &at.text, Some(name), value)
        });
        return each.collect();
    }
    let of = |name: &str| {
        let value = tried(asked, name);
        one(method, fault.code, &fault.text, Some(name), value)
    };
    let about = about(asked);
    if let [sole] = about[..] {
        return vec![of(sole)];
    }
    let named = about.into_iter().filter(|name| names(&fault.text, name));
    let named: Vec<SessionFault> = named.map(of).collect();
    match named.is_empty() {
        true => vec![one(method, fault.code, &fault.text, None, None)],
        false => named,
    }
}

/// The faults that a device reports of what it was asked earlier, or did by itself: one for each
/// deployment unit that a change came to nothing of.
pub fn reported(request: &Request) -> Vec<SessionFault> {
    let faults: Vec<(&FaultStruct, &str)> = match request {
        Request::TransferComplete(report) => report.fault.iter().map(|fault| (fault, "")).collect(),
        Request::AutonomousTransferComplete(report) => {
            report.fault.iter().map(|fault| (fault, "")).collect()
        }
        Request::DuStateChangeComplete(report) => {
            let results = report.results.iter();
            let each = results.map(|one| (&one.fault, unit(&one.deployment_unit_ref, &one.uuid)));
            each.collect()
        }
        Request::AutonomousDuStateChangeComplete(report) => {
            let results = report.results.iter();
            let each = results.map(|one| (&one.fault, unit(&one.deployment_unit_ref, &one.uuid)));
            each.collect()
        }
        _ => return Vec::new(),
    };
    let method = request.method().name();
    let named = faults.into_iter().filter_map(|(fault, about)| {
        let about = Some(about).filter(|about| !about.is_empty());
        Some(one(method, fault.failure()?, &fault.text, about, None))
    });
    named.collect()
}

/// Which deployment unit: by its path, else by its UUID.
fn unit<'a>(path: &'a str, uuid: &'a str) -> &'a str {
    match path {
        "" => uuid,
        path => path,
    }
}

fn one(
    asked: &str,
    code: FaultCode,
    words: &str,
    parameter: Option<&str>,
    value: Option<&str>,
) -> SessionFault {
    let message = match (words.trim(), code.name()) {
        ("", Some(name)) => name,
        (words, _) => words,
    };
    SessionFault {
        code: code.0,
        message: message.to_owned(),
        asked: asked.to_owned(),
        parameter: parameter.map(|name| name.chars().take(RECORD_NAME_CHARS_MAX).collect()),
        value: value.map(short),
    }
}

/// The parameters or objects that a request is about.
fn about(asked: &Request) -> Vec<&str> {
    match asked {
        Request::SetParameterValues(set) => {
            let names = set.parameters.iter().map(|one| one.name.as_str());
            names.collect()
        }
        Request::SetParameterAttributes(set) => {
            let names = set.parameters.iter().map(|one| one.name.as_str());
            names.collect()
        }
        Request::GetParameterValues(get) => get.names.iter().map(String::as_str).collect(),
        Request::GetParameterAttributes(get) => get.names.iter().map(String::as_str).collect(),
        Request::GetParameterNames(get) => vec![&get.path],
        Request::AddObject(add) => vec![&add.object_name],
        Request::DeleteObject(delete) => vec![&delete.object_name],
        _ => Vec::new(),
    }
}

/// The value that a request tries for a parameter.
fn tried<'a>(asked: &'a Request, name: &str) -> Option<&'a str> {
    let Request::SetParameterValues(set) = asked else {
        return None;
    };
    let mut named = set.parameters.iter().filter(|at| at.name == name);
    named.next().map(|at| at.value.text.as_str())
}
