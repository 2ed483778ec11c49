//! What a simulated CWMP device answers to each request of its ACS, with the faults of the standard.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use agent::Now;
use cwmp::event::Cause;
use cwmp::fault::{Fault, FaultCode};
use cwmp::rpc::*;
use cwmp::value::{Secret, Timestamp, Url};

use super::device::Device;
use super::transfer::Transfer;

/// A response or a fault.
pub(super) type Answer = Result<Response, Fault>;

/// Carries out a request.
pub(super) fn answer(device: &mut Device, now: Now, request: Request) -> Answer {
    match request {
        Request::GetParameterNames(names) => get_names(device, now, &names),
        Request::GetParameterValues(get) => get_values(device, now, &get.names),
        Request::SetParameterValues(set) => set_values(device, now, set),
        Request::GetParameterAttributes(get) => get_attributes(device, now, &get.names),
        Request::SetParameterAttributes(set) => set_attributes(device, now, set),
        Request::AddObject(add) => {
            let number = device.tree.add(device.at(now), &add.object_name);
            let number = number.map_err(Fault::plain)?;
            changed(device, add.parameter_key);
            Ok(AddObjectResponse {
                instance_number: InstanceNumber(number.into()),
                status: 0,
            }
            .into())
        }
        Request::DeleteObject(delete) => {
            let deleted = device.tree.delete(device.at(now), &delete.object_name);
            deleted.map_err(Fault::plain)?;
            changed(device, delete.parameter_key);
            Ok(DeleteObjectResponse { status: 0 }.into())
        }
        Request::Reboot(reboot) => {
            device.reboot(reboot.command_key);
            Ok(RebootResponse {}.into())
        }
        Request::FactoryReset(_) => {
            device.factory_reset();
            Ok(FactoryResetResponse {}.into())
        }
        Request::ScheduleInform(schedule) => {
            if schedule.delay_seconds == 0 {
                return Err(Fault::plain(FaultCode::INVALID_ARGUMENTS));
            }
            let delay = Duration::from_secs(schedule.delay_seconds.into());
            let scheduled = device.schedule_inform(now, delay, schedule.command_key);
            scheduled.map_err(Fault::plain)?;
            Ok(ScheduleInformResponse {}.into())
        }
        Request::Download(_)
        | Request::Upload(_)
        | Request::ScheduleDownload(_)
        | Request::CancelTransfer(_)
        | Request::GetQueuedTransfers(_)
        | Request::GetAllQueuedTransfers(_) => transfers(device, now.at, request),
        Request::ChangeDuState(change) if !device.tree.is_old() => {
            let taken = device.change_units(change.operations, change.command_key);
            taken.map_err(Fault::plain)?;
            Ok(ChangeDuStateResponse {}.into())
        }
        _ => Err(Fault::plain(FaultCode::METHOD_NOT_SUPPORTED)),
    }
}

/// The configuration is another now.
fn changed(device: &mut Device, parameter_key: String) {
    let path = device.tree.below("ManagementServer.ParameterKey");
    device.tree.put(&path, parameter_key);
    device.dirty = true;
}

fn get_names(device: &Device, now: Now, get: &GetParameterNames) -> Answer {
    if get.path.is_empty() && device.troubles().no_empty_path {
        return Err(Fault::plain(FaultCode::INVALID_PARAMETER_NAME));
    }
    let names = device.tree.names(device.at(now), &get.path, get.next_level);
    let parameters = names.map_err(Fault::plain)?;
    Ok(GetParameterNamesResponse { parameters }.into())
}

/// All parameters that a list of full and partial paths means.
fn expand(device: &Device, now: Now, names: &[String]) -> Result<Vec<String>, Fault> {
    let refused = |count| device.troubles().refuses(count).map(Fault::plain);
    if let Some(fault) = refused(names.len()) {
        return Err(fault);
    }
    let mut all = Vec::new();
    for name in names {
        let of_name = device.tree.expand(device.at(now), name);
        all.extend(of_name.map_err(|code| Fault::new(code, format!("{code}: {name}")))?);
    }
    match refused(all.len()) {
        Some(fault) => Err(fault),
        None => Ok(all),
    }
}

fn get_values(device: &Device, now: Now, names: &[String]) -> Answer {
    let at = device.at(now);
    let all = expand(device, now, names)?;
    let values = all.iter().filter_map(|path| device.tree.read(at, path));
    Ok(GetParameterValuesResponse {
        parameters: values.collect(),
    }
    .into())
}

fn set_values(device: &mut Device, now: Now, set: SetParameterValues) -> Answer {
    let at = device.at(now);
    if let Some(code) = device.troubles().refuses(set.parameters.len()) {
        return Err(Fault::plain(code));
    }
    let names: Vec<String> = set.parameters.iter().map(|at| at.name.clone()).collect();
    let invalid = || Fault::plain(FaultCode::INVALID_ARGUMENTS);
    if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
        return Err(invalid());
    }
    let mut fault = invalid();
    for change in &set.parameters {
        if device.troubles().keeps(&change.name) {
            let text = "it is on the label".to_owned();
            fault = fault.at(&change.name, FaultCode::NOT_WRITABLE, text);
        } else if let Some((code, text)) = device.tree.judge(at, change) {
            fault = fault.at(&change.name, code, text);
        }
    }
    if !fault.parameters.is_empty() {
        return Err(fault);
    }
    for change in set.parameters {
        device.tree.put(&change.name, change.value.text);
    }
    changed(device, set.parameter_key);
    device.probes_after(now, &names);
    Ok(SetParameterValuesResponse { status: 0 }.into())
}

fn get_attributes(device: &Device, now: Now, names: &[String]) -> Answer {
    let all = expand(device, now, names)?.into_iter();
    let parameters = all.map(|name| ParameterAttributeStruct {
        notification: device.tree.notification(&name),
        access_list: vec!["Subscriber".to_owned()],
        name,
    });
    Ok(GetParameterAttributesResponse {
        parameters: parameters.collect(),
    }
    .into())
}

fn set_attributes(device: &mut Device, now: Now, set: SetParameterAttributes) -> Answer {
    let at = device.at(now);
    // All or none: names first.
    let mut changes = Vec::new();
    for change in set.parameters {
        let of_name = expand(device, now, std::slice::from_ref(&change.name))?;
        // A partial path leaves those alone that cannot be changed.
        let exact = !change.name.ends_with('.') && !change.name.is_empty();
        if change.notification_change {
            let each = |path| (path, change.notification, exact);
            changes.extend(of_name.into_iter().map(each));
        }
    }
    for (path, notification, exact) in changes {
        match device.tree.set_notification(at, &path, notification) {
            Err(FaultCode::NOTIFICATION_REJECTED) if !exact => {}
            Err(code) => return Err(Fault::plain(code)),
            Ok(()) => device.dirty = true,
        }
    }
    Ok(SetParameterAttributesResponse {}.into())
}

fn transfers(device: &mut Device, now: Instant, request: Request) -> Answer {
    let unknown = Timestamp::unknown;
    let wanted = |cause,
                  command_key: String,
                  file_type: String,
                  url: Url,
                  (username, password): (String, Secret)| {
        Transfer {
            id: 0,
            cause,
            command_key,
            file_type,
            url: url.0,
            username,
            password: password.0,
            size: 0,
            target: String::new(),
            due: now,
            until: None,
            later: Default::default(),
            begun: None,
        }
    };
    let transfers = &mut device.transfers;
    match request {
        Request::Download(it) => {
            let login = (it.username, it.password);
            let mut wanted = wanted(Cause::Download, it.command_key, it.file_type, it.url, login);
            (wanted.size, wanted.target) = (it.file_size, it.target_file_name);
            let taken = transfers.take(wanted, it.delay_seconds);
            taken.map_err(Fault::plain)?;
            Ok(DownloadResponse {
                status: 1,
                start_time: unknown(),
                complete_time: unknown(),
            }
            .into())
        }
        Request::Upload(it) => {
            let login = (it.username, it.password);
            let wanted = wanted(Cause::Upload, it.command_key, it.file_type, it.url, login);
            let taken = transfers.take(wanted, it.delay_seconds);
            taken.map_err(Fault::plain)?;
            Ok(UploadResponse {
                status: 1,
                start_time: unknown(),
                complete_time: unknown(),
            }
            .into())
        }
        Request::ScheduleDownload(it) => {
            let at = |seconds: u32| now + Duration::from_secs(seconds.into());
            let windows = it.windows.iter().map(|one| (at(one.start), at(one.end)));
            let mut later: VecDeque<_> = windows.collect();
            let in_order = later.iter().all(|(from, until)| from < until);
            let Some((due, until)) = later.pop_front().filter(|_| in_order) else {
                return Err(Fault::plain(FaultCode::INVALID_ARGUMENTS));
            };
            let login = (it.username, it.password);
            let cause = Cause::ScheduleDownload;
            let mut wanted = wanted(cause, it.command_key, it.file_type, it.url, login);
            (wanted.size, wanted.target) = (it.file_size, it.target_file_name);
            (wanted.due, wanted.until, wanted.later) = (due, Some(until), later);
            transfers.take(wanted, 0).map_err(Fault::plain)?;
            Ok(ScheduleDownloadResponse {}.into())
        }
        Request::CancelTransfer(it) => {
            transfers.cancel(&it.command_key).map_err(Fault::plain)?;
            Ok(CancelTransferResponse {}.into())
        }
        Request::GetQueuedTransfers(_) => {
            let all = transfers
                .list()
                .into_iter()
                .map(|one| QueuedTransferStruct {
                    command_key: one.command_key,
                    state: one.state,
                });
            Ok(GetQueuedTransfersResponse {
                transfers: all.collect(),
            }
            .into())
        }
        _ => Ok(GetAllQueuedTransfersResponse {
            transfers: transfers.list(),
        }
        .into()),
    }
}
