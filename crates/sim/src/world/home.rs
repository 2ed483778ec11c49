//! A device of the world: a few values, a table, asynchronous commands and reboots, just enough to be changed,
//! asked, and to say by itself what became of it. It may speak two protocols: each side has its own link, its own commands
//! under way and its own numbers for the same rows, and only the side that was asked knows who asked.

use fleet::southbound::{
    AddResult, Answer, CommandOutcome, CommandResult, Created, Fault, Notice, Op, PathValue,
    Protocol, ReadResult, Row, WriteResult,
};
use std::collections::{BTreeMap, VecDeque};

/// One protocol of a device: its link and what it still has to say over it.
#[derive(Default)]
pub(super) struct Side {
    requests: BTreeMap<u32, (String, u32)>,
    pub(super) link: Option<usize>,
    pub(super) say: VecDeque<Notice>,
    /// It has started since it last spoke, with the key of who asked for that over this side.
    pub(super) boot: Option<String>,
}

/// One device.
#[derive(Default)]
pub(super) struct Home {
    pub(super) values: BTreeMap<String, String>,
    pub(super) rows: BTreeMap<u32, String>,
    next_row: u32,
    usp: Side,
    cwmp: Side,
    pub(super) starts: bool,
}

/// The path of a row over this protocol.
fn row(n: u32, over: Protocol) -> String {
    format!("Device.T.{}.", n + first(over))
}

fn first(over: Protocol) -> u32 {
    match over {
        Protocol::Usp => 0,
        Protocol::Cwmp => 1000,
    }
}

impl Home {
    pub(super) fn side(&self, over: Protocol) -> &Side {
        match over {
            Protocol::Usp => &self.usp,
            Protocol::Cwmp => &self.cwmp,
        }
    }

    pub(super) fn side_mut(&mut self, over: Protocol) -> &mut Side {
        match over {
            Protocol::Usp => &mut self.usp,
            Protocol::Cwmp => &mut self.cwmp,
        }
    }

    /// The path of the row that has this name, over this protocol.
    pub(super) fn row_of(&self, name: &str, over: Protocol) -> Option<String> {
        let found = self.rows.iter().find(|(_, known)| *known == name);
        found.map(|(n, _)| row(*n, over))
    }

    /// Does what is asked, as a device would.
    pub(super) fn execute(&mut self, op: &Op, over: Protocol) -> Answer {
        match op {
            Op::Get { paths, .. } => {
                Answer::Values(paths.iter().map(|p| self.read(p, over)).collect())
            }
            Op::Instances { paths, .. } => Answer::Instances(vec![ReadResult {
                requested: paths[0].clone(),
                result: Ok(self
                    .rows
                    .keys()
                    .map(|n| Row {
                        path: row(*n, over),
                        keys: BTreeMap::new(),
                    })
                    .collect()),
            }]),
            Op::Set { objects, .. } => {
                let mut out = Vec::new();
                for object in objects {
                    for s in &object.settings {
                        let path = format!("{}{}", object.object, s.name);
                        self.values.insert(path.clone(), s.value.clone());
                        out.push(WriteResult {
                            path,
                            result: Ok(Some(s.value.clone())),
                            after_restart: false,
                        });
                    }
                }
                Answer::Set(out)
            }
            Op::Add { objects, .. } => {
                self.next_row += 1;
                self.rows
                    .insert(self.next_row, objects[0].settings[0].value.clone());
                let path = row(self.next_row, over);
                let created = Created {
                    path,
                    keys: BTreeMap::new(),
                    faults: Vec::new(),
                    after_restart: false,
                };
                let requested = objects[0].object.clone();
                Answer::Added(vec![AddResult {
                    requested,
                    result: Ok(created),
                }])
            }
            Op::Operate { command, key, .. } => {
                let outcome = match command.as_str() {
                    "Device.Async()" => {
                        self.next_row += 1;
                        let number = self.next_row;
                        let requests = &mut self.side_mut(over).requests;
                        requests.insert(number, (key.clone(), 2));
                        let request = format!("Device.LocalAgent.Request.{number}.");
                        CommandOutcome::Accepted { request }
                    }
                    "Device.Reboot()" => {
                        self.starts = true;
                        for one in [Protocol::Usp, Protocol::Cwmp] {
                            let side = self.side_mut(one);
                            let key = if one == over { key.as_str() } else { "" };
                            side.boot = Some(key.to_owned());
                            side.requests.clear();
                        }
                        CommandOutcome::Done {
                            outputs: BTreeMap::new(),
                        }
                    }
                    cancel if cancel.ends_with(".Cancel()") => {
                        self.end_requests(over, Err(Fault::new(7023, "canceled")));
                        CommandOutcome::Done {
                            outputs: BTreeMap::new(),
                        }
                    }
                    _ => CommandOutcome::Done {
                        outputs: BTreeMap::new(),
                    },
                };
                Answer::Operated(vec![CommandResult {
                    command: command.clone(),
                    outcome,
                }])
            }
            other => panic!("not in this world: {other:?}"),
        }
    }

    fn end_requests(&mut self, over: Protocol, result: Result<BTreeMap<String, String>, Fault>) {
        let side = self.side_mut(over);
        for (_, (key, _)) in std::mem::take(&mut side.requests) {
            let (object, command) = ("Device.".to_owned(), "Async()".to_owned());
            let result = result.clone();
            side.say.push_back(Notice::CommandCompleted {
                object,
                command,
                key,
                result,
            });
        }
    }

    fn read(&mut self, path: &str, over: Protocol) -> ReadResult<PathValue> {
        let mut values = Vec::new();
        if path.starts_with("Device.LocalAgent.Request.") {
            let requests = &mut self.side_mut(over).requests;
            for (row, (key, left)) in requests.iter_mut() {
                let row = format!("Device.LocalAgent.Request.{row}.");
                if row.starts_with(path) {
                    values.push(PathValue::new(format!("{row}CommandKey"), key.as_str()));
                    *left = left.saturating_sub(1);
                }
            }
            if requests.values().any(|(_, left)| *left == 0) {
                self.end_requests(over, Ok(BTreeMap::new()));
            }
        } else if let Some(row) = path.strip_prefix("Device.T.") {
            let name = row
                .trim_end_matches('.')
                .parse::<u32>()
                .ok()
                .and_then(|n| self.rows.get(&n.checked_sub(first(over))?));
            if let Some(name) = name {
                values.push(PathValue::new(format!("{path}Name"), name.as_str()));
            }
        } else if let Some(value) = self.values.get(path) {
            values.push(PathValue::new(path, value.as_str()));
        }
        let result = if values.is_empty() && !path.ends_with('.') {
            Err(Fault::new(7026, "invalid path"))
        } else {
            Ok(values)
        };
        ReadResult {
            requested: path.to_owned(),
            result,
        }
    }
}
