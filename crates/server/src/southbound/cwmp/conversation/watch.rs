//! How changes of parameters are reported, told to the device with SetParameterAttributes.

use std::collections::BTreeMap;

use cwmp::fault::Retry;
use cwmp::rpc::{SetParameterAttributes, SetParameterAttributesStruct};

use super::super::AskError;
use super::habits::is_too_much;
use super::line::Line;

/// Does not report a change by request.
pub const OFF: u32 = 0;
/// Reports a change when it comes the next time.
pub const PASSIVE: u32 = 1;
/// Comes at once to report a change.
pub const ACTIVE: u32 = 2;

/// Tells a device what changes between what it was to report and what it is to report now.
pub async fn tell(
    line: &mut Line,
    before: &BTreeMap<&str, u32>,
    after: &BTreeMap<&str, u32>,
) -> Result<(), AskError> {
    for level in [ACTIVE, PASSIVE] {
        let fresh = after
            .iter()
            .filter(|(name, to)| **to == level && before.get(*name) != Some(&level));
        let fresh: Vec<String> = fresh.map(|(name, _)| (*name).to_owned()).collect();
        watch(line, &fresh, level).await?;
    }
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let gone: Vec<String> = gone.map(|name| (*name).to_owned()).collect();
    silence(line, &gone).await
}

/// Has nothing of this reported any more. One that is refused keeps the others from nothing: what is
/// not there reports nothing, and some the device always reports.
async fn silence(line: &mut Line, names: &[String]) -> Result<(), AskError> {
    let mut left = vec![names];
    while let Some(some) = left.pop() {
        match watch(line, some, OFF).await {
            Err(AskError::Refused(_)) => {
                let (first, second) = some.split_at(some.len() / 2);
                left.extend(
                    [second, first]
                        .into_iter()
                        .filter(|half| half.len() < some.len()),
                );
            }
            done => done?,
        }
    }
    Ok(())
}

/// Sets how changes are reported, as many at once as the device takes.
async fn watch(line: &mut Line, names: &[String], notification: u32) -> Result<(), AskError> {
    let mut left = names;
    let mut most = line.habits.write_batch;
    while !left.is_empty() {
        let (chunk, rest) = left.split_at(left.len().min(most));
        let one = |name: &String| SetParameterAttributesStruct {
            name: name.clone(),
            notification_change: true,
            notification,
            access_list_change: false,
            access_list: Vec::new(),
        };
        let parameters = chunk.iter().map(one).collect();
        match line.tell(SetParameterAttributes { parameters }).await {
            Ok(()) => left = rest,
            Err(AskError::Refused(fault))
                if fault.code.retry() == Retry::Smaller && chunk.len() > 1 =>
            {
                most = chunk.len() / 2;
                if is_too_much(fault.code, chunk.len()) {
                    line.habits.write_less(chunk.len());
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
