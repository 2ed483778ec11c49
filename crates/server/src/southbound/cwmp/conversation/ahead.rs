//! What can be said of a command before anything is sent.

use std::collections::BTreeMap;

use cwmp::fault::FaultCode;
use cwmp::rpc::Method;
use cwmp::{Request, Version};
use fleet::southbound::Fault;

use super::get::fault;
use super::operate::{Args, method, upload};
use super::question;
use super::windows::windows;

/// That this version has not what is to be asked.
pub fn too_new(request: &Request, version: Version) -> Option<Fault> {
    let method = request.method();
    let words = match method {
        _ if method.since() <= version => return None,
        Method::ScheduleDownload => format!("CWMP {version} has no time windows"),
        method => format!("CWMP {version} has no {method}"),
    };
    Some(fault(FaultCode::METHOD_NOT_SUPPORTED, words))
}

/// Why a command would be refused before anything is sent, as far as its arguments tell, and the version that the
/// device spoke the last time.
pub fn objection(
    command: &str,
    args: &BTreeMap<String, String>,
    version: Option<Version>,
) -> Option<String> {
    let (object, name) = fleet::model::split(command)?;
    let (all, args) = (args, Args(args));
    let judged = match (dm::path::supported_text(object).as_str(), name) {
        (dm::mapping::DEVICE_ROOT, question::ATTRIBUTES) => question::listed(all).map(drop),
        ("Device.DeviceInfo.VendorConfigFile.{i}.", "Backup()")
        | ("Device.DeviceInfo.VendorLogFile.{i}.", "Upload()") => {
            upload(String::new(), "", &args).map(drop)
        }
        (object, name) => method(object, name, "", &args, "").and_then(|planned| {
            let unknown = planned
                .zip(version)
                .and_then(|((request, _), version)| too_new(&request, version));
            unknown.map_or(Ok(()), Err)
        }),
    };
    judged.err().map(|fault| fault.message)
}

/// When at the latest a command begins that is told when: seconds from when it is sent.
pub fn begins_within(args: &BTreeMap<String, String>) -> Option<u32> {
    let windows = windows(args).ok()?;
    let delay = || args.get("DelaySeconds")?.trim().parse().ok();
    windows.last().map(|last| last.end).or_else(delay)
}
