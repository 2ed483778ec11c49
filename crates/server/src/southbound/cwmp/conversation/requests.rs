//! The commands that a device works on, as the table of requests in which operations look for
//! theirs. CWMP has no such table: it is kept here, and brought up to date by what the device can
//! tell.

use std::collections::BTreeMap;

use cwmp::fault::FaultCode;
use cwmp::rpc::{CancelTransfer, GetAllQueuedTransfers, GetQueuedTransfers, Method};
use cwmp::{Request, Response};
use fleet::Timestamp;
use fleet::southbound::{CommandOutcome, Fault, PathValue, ReadResult};

use super::super::AskError;
use super::get::fault;
use super::known::Known;
use super::line::Line;
use super::memory::{Memory, Pending, Work, own_key, wire_key};
use super::model::STATE;
use super::operate::{Examined, examined};
use super::write::{self, Wish};

/// The table.
pub const REQUESTS: &str = "Device.LocalAgent.Request.";

/// 7023 of USP, by which operations know that a command was stopped.
const CANCELED: u32 = 7023;

/// A command that came to its end.
pub type Ended = (Pending, Result<BTreeMap<String, String>, Fault>);

/// The row of a pending command.
pub fn path(row: u32) -> String {
    format!("{REQUESTS}{row}.")
}

/// The row that a `Cancel()` is of.
pub fn cancelled(command: &str) -> Option<u32> {
    command
        .strip_prefix(REQUESTS)?
        .strip_suffix(".Cancel()")?
        .parse()
        .ok()
}

/// Whether a Get asks for nothing but this table.
pub fn asks_for(paths: &[String]) -> bool {
    !paths.is_empty() && paths.iter().all(|path| path.starts_with(REQUESTS))
}

/// The answer to a Get of the table or of rows.
pub fn answer(memory: &Memory, paths: &[String]) -> Vec<ReadResult<PathValue>> {
    let rows: Vec<PathValue> = memory
        .pending
        .iter()
        .flat_map(|pending| {
            let row = path(pending.row);
            let status = if pending.sure { "Active" } else { "Requested" };
            [
                PathValue::new(format!("{row}Command"), &pending.command),
                PathValue::new(format!("{row}CommandKey"), &pending.key),
                PathValue::new(format!("{row}Status"), status),
            ]
        })
        .collect();
    let of = |path: &String| {
        let below = rows
            .iter()
            .filter(|value| value.path.starts_with(path.as_str()));
        ReadResult {
            requested: path.clone(),
            result: Ok(below.cloned().collect()),
        }
    };
    paths.iter().map(of).collect()
}

/// Asks the device what became of its commands, as far as it can tell. What has ended, and what
/// certainly does not run, is no longer in the table; the ends are given back. `told`: it has said
/// itself that a diagnostic is over.
pub async fn look(
    line: &mut Line,
    known: &mut Known,
    memory: &mut Memory,
    firmware: &str,
    told: bool,
    now: Timestamp,
) -> Result<Vec<Ended>, AskError> {
    let mut ended = Vec::new();
    memory.prune(now);
    let transfers =
        |pending: &Pending| matches!(pending.work, Work::Download { .. } | Work::Upload);
    if memory.pending.iter().any(transfers) {
        // It has said all that it had to say by the time it answers.
        let queued = queued(line).await?;
        let mut kept = Vec::new();
        for mut pending in std::mem::take(&mut memory.pending) {
            let runs = queued.as_ref().map(|keys| keys.contains(&pending.key));
            match (&pending.work, runs) {
                (
                    Work::Download {
                        firmware: Some(before),
                    },
                    _,
                ) if is_another(before, firmware) => {
                    ended.push(by_version(pending, firmware));
                }
                (Work::Download { .. } | Work::Upload, Some(true)) => {
                    pending.sure = true;
                    kept.push(pending);
                }
                // It was never taken on, or has ended without a word.
                (Work::Download { .. } | Work::Upload, Some(false)) if !pending.sure => {}
                _ => kept.push(pending),
            }
        }
        memory.pending = kept;
    }
    ended.extend(diagnosed(line, known, memory, told).await?);
    Ok(ended)
}

fn is_another(before: &str, firmware: &str) -> bool {
    !before.is_empty() && !firmware.is_empty() && before != firmware
}

/// The firmware that it runs is the proof.
fn by_version(pending: Pending, firmware: &str) -> Ended {
    let outputs = BTreeMap::from([
        ("SoftwareVersion".to_owned(), firmware.to_owned()),
        (
            "Proof".to_owned(),
            "it runs another firmware than before".to_owned(),
        ),
    ]);
    (pending, Ok(outputs))
}

/// Downloads of firmware that the version proves to be over, for devices that never say so.
pub fn proved(memory: &mut Memory, firmware: &str) -> Vec<Ended> {
    let mut ended = Vec::new();
    memory.pending.retain(|pending| match &pending.work {
        Work::Download {
            firmware: Some(before),
        } if is_another(before, firmware) => {
            ended.push(by_version(pending.clone(), firmware));
            false
        }
        _ => true,
    });
    ended
}

/// Diagnostics that are over. One whose answer was lost may never have begun: results that the
/// device has may be those of another one, unless it says itself that one has come to its end. Then
/// nobody knows, and it is no longer in the table.
async fn diagnosed(
    line: &mut Line,
    known: &mut Known,
    memory: &mut Memory,
    told: bool,
) -> Result<Vec<Ended>, AskError> {
    let mut ended = Vec::new();
    let running: Vec<(String, String)> = memory
        .pending
        .iter()
        .filter_map(|pending| match &pending.work {
            Work::Diagnostics { object } => Some((pending.key.clone(), object.clone())),
            _ => None,
        })
        .collect();
    let is_proof = told && running.len() == 1;
    for (key, object) in running {
        match examined(line, known, &object).await? {
            Examined::Untold => {}
            Examined::Running => memory.accepted(&key),
            Examined::Over(result) => {
                let pending = memory.end(&key);
                let sure = pending.filter(|pending| pending.sure || is_proof);
                ended.extend(sure.map(|pending| (pending, result)));
            }
        }
    }
    Ok(ended)
}

/// The keys of the transfers that the device works on; `None` when it cannot tell.
async fn queued(line: &mut Line) -> Result<Option<Vec<String>>, AskError> {
    for (method, request) in [
        (
            Method::GetAllQueuedTransfers,
            Request::from(GetAllQueuedTransfers {}),
        ),
        (
            Method::GetQueuedTransfers,
            Request::from(GetQueuedTransfers {}),
        ),
    ] {
        if line.lacks(method) {
            continue;
        }
        match line.ask(request).await {
            Ok(Response::GetAllQueuedTransfers(answer)) => {
                let keys = answer.transfers.iter().map(|one| own_key(&one.command_key));
                return Ok(Some(keys.collect()));
            }
            Ok(Response::GetQueuedTransfers(answer)) => {
                let keys = answer.transfers.iter().map(|one| own_key(&one.command_key));
                return Ok(Some(keys.collect()));
            }
            Ok(_) | Err(AskError::Refused(_) | AskError::Garbled(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Stops a command that runs. Its end, if it was stopped, and the answer to the question.
pub async fn cancel(
    line: &mut Line,
    known: &mut Known,
    memory: &mut Memory,
    row: u32,
) -> Result<(CommandOutcome, Option<Ended>), AskError> {
    let no = |code: FaultCode, words: &str| CommandOutcome::Failed {
        fault: fault(code, words),
    };
    let Some(pending) = memory
        .pending
        .iter()
        .find(|known| known.row == row)
        .cloned()
    else {
        let words = "nothing runs under this number";
        return Ok((no(FaultCode::INVALID_ARGUMENTS, words), None));
    };
    let stopped = match &pending.work {
        Work::Download { .. } | Work::Upload if line.lacks(Method::CancelTransfer) => {
            let words = "the device knows no CancelTransfer";
            return Ok((no(FaultCode::CANCEL_NOT_PERMITTED, words), None));
        }
        Work::Download { .. } | Work::Upload => {
            let command_key = wire_key(&pending.key);
            match line.tell(CancelTransfer { command_key }).await {
                Ok(()) => Ok(()),
                Err(AskError::Refused(refused)) => Err(line.fault(&refused)),
                Err(error) => return Err(error),
            }
        }
        Work::Diagnostics { object } => {
            let wish = Wish {
                path: format!("{object}{STATE}"),
                value: "Canceled".to_owned(),
                required: true,
            };
            let done = write::write(line, known, &[wish], false).await?;
            done.into_values().find_map(Result::err).map_or(Ok(()), Err)
        }
        Work::Reboot | Work::FactoryReset | Work::Modules | Work::Timer => {
            let words = "CWMP cannot stop this";
            return Ok((no(FaultCode::CANCEL_NOT_PERMITTED, words), None));
        }
    };
    Ok(match stopped {
        Ok(()) => {
            let ended = memory.end(&pending.key).map(|pending| {
                let why = Fault::ours(CANCELED, "it was stopped");
                (pending, Err(why))
            });
            let outputs = BTreeMap::new();
            (CommandOutcome::Done { outputs }, ended)
        }
        Err(fault) => (CommandOutcome::Failed { fault }, None),
    })
}
