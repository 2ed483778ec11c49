//! The faults of a device as they are counted: which parameter, which value was tried, and the
//! device's words. Masks are put on where they are kept.

use ::cwmp::rpc::FaultStruct;
use ::cwmp::{Fault, FaultCode, Request};
use store::SessionFault;

use super::text::short;
use crate::southbound::cwmp::limits::RECORD_NAME_CHARS_MAX;

/// The faults of an answer: one for each parameter that it names, else one for all.
pub fn answered(asked: &Request, fault: &Fault) -> Vec<SessionFault> {
    let method = asked.method().name();
    if fault.parameters.is_empty() {
        let sole = sole(asked);
        let value = sole.and_then(|name| tried(asked, name));
        return vec![one(method, fault.code, &fault.text, sole, value)];
    }
    let each = fault.parameters.iter().map(|at| {
        let value = tried(asked, &at.name);
        one(method, at.code, &at.text, Some(&at.name), value)
    });
    each.collect()
}

/// The fault that a device reports of what it was asked earlier.
pub fn reported(request: &Request) -> Option<SessionFault> {
    let fault: &FaultStruct = match request {
        Request::TransferComplete(report) => &report.fault,
        Request::AutonomousTransferComplete(report) => &report.fault,
        _ => return None,
    };
    let method = request.method().name();
    (!fault.code.is_none()).then(|| one(method, fault.code, &fault.text, None, None))
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

/// The only parameter that a request is about.
fn sole(asked: &Request) -> Option<&str> {
    match asked {
        Request::SetParameterValues(set) => match &set.parameters[..] {
            [only] => Some(&only.name),
            _ => None,
        },
        Request::GetParameterValues(get) => match &get.names[..] {
            [only] => Some(only),
            _ => None,
        },
        Request::GetParameterAttributes(get) => match &get.names[..] {
            [only] => Some(only),
            _ => None,
        },
        Request::SetParameterAttributes(set) => match &set.parameters[..] {
            [only] => Some(&only.name),
            _ => None,
        },
        Request::GetParameterNames(get) => Some(&get.path),
        Request::AddObject(add) => Some(&add.object_name),
        Request::DeleteObject(delete) => Some(&delete.object_name),
        _ => None,
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
