//! What an operation asks of its device.

use super::{Operation, Request};
use crate::model::split;
use crate::southbound::{ObjectSettings, Op, PathValue, Setting};

impl Operation {
    pub(super) fn op(&self) -> Op {
        match &self.request {
            Request::Get { paths, max_depth } => Op::Get {
                paths: paths.clone(),
                max_depth: *max_depth,
            },
            Request::Set {
                values,
                allow_partial,
            } => Op::Set {
                objects: by_object(values),
                allow_partial: *allow_partial,
            },
            Request::Add { object, values } => Op::Add {
                objects: vec![ObjectSettings {
                    object: object.clone(),
                    settings: values
                        .iter()
                        .map(|(n, v)| Setting::required(n, v))
                        .collect(),
                }],
                allow_partial: false,
            },
            Request::Delete {
                paths,
                allow_partial,
            } => Op::Delete {
                paths: paths.clone(),
                allow_partial: *allow_partial,
            },
            Request::Operate { command, args } => Op::Operate {
                command: command.clone(),
                key: self.command_key(),
                args: args.clone(),
            },
            Request::Discover { path } => Op::Discover {
                path: path.clone(),
                first_level_only: false,
            },
        }
    }

    /// The paths of the request.
    pub(super) fn requested(&self) -> Vec<String> {
        match &self.request {
            Request::Get { paths, .. } | Request::Delete { paths, .. } => paths.clone(),
            Request::Set { values, .. } => values.iter().map(|v| v.path.clone()).collect(),
            Request::Add { object, .. } => vec![object.clone()],
            Request::Operate { command, .. } => vec![command.clone()],
            Request::Discover { path } => vec![path.clone()],
        }
    }
}

/// Groups full paths by their object, in the order they were given.
fn by_object(values: &[PathValue]) -> Vec<ObjectSettings> {
    let mut out: Vec<ObjectSettings> = Vec::new();
    for value in values {
        let (object, name) = split(&value.path).unwrap_or(("", &value.path));
        let setting = Setting::required(name, &value.value);
        match out.iter_mut().find(|o| o.object == object) {
            Some(known) => known.settings.push(setting),
            None => {
                out.push(ObjectSettings {
                    object: object.to_owned(),
                    settings: vec![setting],
                });
            }
        }
    }
    out
}
