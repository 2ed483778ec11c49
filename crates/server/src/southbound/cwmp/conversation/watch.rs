//! How changes of parameters are reported, told to the device with SetParameterAttributes.

use std::collections::BTreeMap;

use cwmp::Fault;
use cwmp::fault::{FaultCode, Retry};
use cwmp::rpc::{SetParameterAttributes, SetParameterAttributesStruct};

use super::super::AskError;
use super::habits::is_too_much;
use super::limits::{SILENCE_REFUSED_MAX, WATCH_REFUSED_MAX};
use super::line::Line;

/// Does not report a change by request.
pub const OFF: u32 = 0;
/// Reports a change when it comes the next time.
pub const PASSIVE: u32 = 1;
/// Comes at once to report a change.
pub const ACTIVE: u32 = 2;

/// Tells a device what changes between what it was to report and what it is to report now. It stops
/// where the device refuses to report something. What goes on being reported, see [`silence`].
pub async fn tell(
    line: &mut Line,
    before: &BTreeMap<&str, u32>,
    after: &BTreeMap<&str, u32>,
) -> Result<Vec<String>, AskError> {
    for level in [ACTIVE, PASSIVE] {
        watch(line, &fresh(before, after, level), level).await?;
    }
    silence(line, &gone(before, after)).await
}

/// What a device was not told, or did not take.
#[derive(Debug, Default)]
pub struct Left {
    /// What it refuses.
    pub refused: Vec<(String, Fault)>,
    /// What it was not asked for any more, in order.
    pub untold: Vec<String>,
    /// What it was not told to be silent of any more.
    pub reporting: Vec<String>,
}

/// The same as far as the device takes it, and what is left. An error where it has no such method.
pub async fn settle(
    line: &mut Line,
    before: &BTreeMap<&str, u32>,
    after: &BTreeMap<&str, u32>,
) -> Result<Left, AskError> {
    let mut left = Left::default();
    for level in [ACTIVE, PASSIVE] {
        each(line, &fresh(before, after, level), level, &mut left).await?;
    }
    left.untold.sort_unstable();
    left.reporting = silence(line, &gone(before, after)).await?;
    Ok(left)
}

fn fresh(before: &BTreeMap<&str, u32>, after: &BTreeMap<&str, u32>, level: u32) -> Vec<String> {
    let fresh = after
        .iter()
        .filter(|(name, to)| **to == level && before.get(*name) != Some(&level));
    fresh.map(|(name, _)| (*name).to_owned()).collect()
}

fn gone(before: &BTreeMap<&str, u32>, after: &BTreeMap<&str, u32>) -> Vec<String> {
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    gone.map(|name| (*name).to_owned()).collect()
}

/// Has nothing of this reported any more. What is not there reports nothing, and some the device
/// always reports; but where it refuses too many, it is not told of the rest, which is returned.
async fn silence(line: &mut Line, names: &[String]) -> Result<Vec<String>, AskError> {
    let mut left = Left::default();
    match each(line, names, OFF, &mut left).await {
        Err(AskError::Refused(_)) => Ok(Vec::new()),
        done => done.map(|()| left.untold),
    }
}

/// What is said of parameters that go on being reported.
pub fn goes_on(count: usize) -> String {
    format!(
        "limit SILENCE_REFUSED_MAX: it goes on reporting {count} parameters, since it refused too many others"
    )
}

/// One that is refused keeps the others from nothing: each by itself, if need be.
async fn each(
    line: &mut Line,
    names: &[String],
    level: u32,
    out: &mut Left,
) -> Result<(), AskError> {
    let most = match level {
        OFF => SILENCE_REFUSED_MAX,
        _ => WATCH_REFUSED_MAX,
    };
    let mut left = vec![names];
    while let Some(some) = left.pop() {
        if out.refused.len() >= most {
            out.untold.extend_from_slice(some);
            continue;
        }
        let (some, rest) = some.split_at(some.len().min(line.habits.write_batch));
        if some.is_empty() {
            continue;
        }
        left.push(rest);
        match ask(line, some, level).await {
            Err(AskError::Refused(why)) if why.code == FaultCode::METHOD_NOT_SUPPORTED => {
                return Err(AskError::Refused(why));
            }
            Err(AskError::Refused(why)) => match some {
                [name] => out.refused.push((name.clone(), why)),
                _ => {
                    if why.code == FaultCode::RESOURCES_EXCEEDED {
                        line.habits.write_less(some.len());
                    }
                    let (first, second) = some.split_at(some.len() / 2);
                    left.extend([second, first]);
                }
            },
            done => done?,
        }
    }
    Ok(())
}

async fn ask(line: &mut Line, names: &[String], notification: u32) -> Result<(), AskError> {
    let one = |name: &String| SetParameterAttributesStruct {
        name: name.clone(),
        notification_change: true,
        notification,
        access_list_change: false,
        access_list: Vec::new(),
    };
    let parameters = names.iter().map(one).collect();
    line.tell(SetParameterAttributes { parameters }).await
}

/// Sets how changes are reported, as many at once as the device takes.
async fn watch(line: &mut Line, names: &[String], notification: u32) -> Result<(), AskError> {
    let mut left = names;
    let mut most = line.habits.write_batch;
    while !left.is_empty() {
        let (chunk, rest) = left.split_at(left.len().min(most));
        match ask(line, chunk, notification).await {
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

#[cfg(test)]
mod tests {
    use cwmp::Request;

    use super::super::fake::gateway;
    use super::*;

    /// `SILENCE_REFUSED_MAX`
    #[tokio::test]
    async fn what_is_not_there_any_more_does_not_keep_the_rest_reporting() {
        const LAST: &str = "Device.WiFi.SSID.1.SSID";
        for (gone, is_told) in [
            (WATCH_REFUSED_MAX + 10, true),
            (SILENCE_REFUSED_MAX + 10, false),
        ] {
            let (mut line, asked) = gateway().line();
            let gone: Vec<String> = (0..gone).map(|n| format!("Device.A.{n:04}.B")).collect();
            let names = gone.iter().map(String::as_str).chain([LAST]);
            let before: BTreeMap<&str, u32> = names.map(|name| (name, ACTIVE)).collect();
            let left = tell(&mut line, &before, &BTreeMap::new()).await.unwrap();
            assert_eq!(left.iter().any(|name| name == LAST), !is_told);
            let requests = asked.requests();
            let sets = requests.iter().filter_map(|request| match request {
                Request::SetParameterAttributes(set) => Some(&set.parameters),
                _ => None,
            });
            let told = |one: &&SetParameterAttributesStruct| one.name == LAST;
            let told = sets.clone().filter_map(|set| set.last()).find(told);
            assert_eq!(told.map(|one| one.notification), is_told.then_some(OFF));
            let alone = sets.filter(|set| set.len() == 1 && set[0].name != LAST);
            assert_eq!(alone.count(), gone.len().min(SILENCE_REFUSED_MAX));
        }
    }
}
