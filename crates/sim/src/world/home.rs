//! A device of the world: a few values, a table, asynchronous commands and reboots, just enough to be changed,
//! asked, and to say by itself what became of it.

use fleet::southbound::{
    AddResult, Answer, CommandOutcome, CommandResult, Created, Fault, Notice, Op, PathValue,
    ReadResult, Row, WriteResult,
};
use std::collections::{BTreeMap, VecDeque};

/// One device with its link and what it still has to say.
#[derive(Default)]
pub(super) struct Home {
    pub(super) values: BTreeMap<String, String>,
    pub(super) rows: BTreeMap<u32, String>,
    next_row: u32,
    requests: BTreeMap<u32, (String, u32)>,
    pub(super) boot: Option<String>,
    pub(super) link: Option<usize>,
    pub(super) say: VecDeque<Notice>,
}

impl Home {
    /// Does what is asked, as a device would.
    pub(super) fn execute(&mut self, op: &Op) -> Answer {
        match op {
            Op::Get { paths, .. } => Answer::Values(paths.iter().map(|p| self.read(p)).collect()),
            Op::Instances { paths, .. } => Answer::Instances(vec![ReadResult {
                requested: paths[0].clone(),
                result: Ok(self
                    .rows
                    .keys()
                    .map(|n| Row {
                        path: format!("Device.T.{n}."),
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
                        });
                    }
                }
                Answer::Set(out)
            }
            Op::Add { objects, .. } => {
                self.next_row += 1;
                self.rows
                    .insert(self.next_row, objects[0].settings[0].value.clone());
                let path = format!("Device.T.{}.", self.next_row);
                let created = Created {
                    path,
                    keys: BTreeMap::new(),
                    faults: Vec::new(),
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
                        self.requests.insert(self.next_row, (key.clone(), 2));
                        let request = format!("Device.LocalAgent.Request.{}.", self.next_row);
                        CommandOutcome::Accepted { request }
                    }
                    "Device.Reboot()" => {
                        self.boot = Some(key.clone());
                        self.requests.clear();
                        CommandOutcome::Done {
                            outputs: BTreeMap::new(),
                        }
                    }
                    cancel if cancel.ends_with(".Cancel()") => {
                        self.end_requests(Err(Fault::new(7023, "canceled")));
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

    fn end_requests(&mut self, result: Result<BTreeMap<String, String>, Fault>) {
        for (_, (key, _)) in std::mem::take(&mut self.requests) {
            let (object, command) = ("Device.".to_owned(), "Async()".to_owned());
            let result = result.clone();
            self.say.push_back(Notice::CommandCompleted {
                object,
                command,
                key,
                result,
            });
        }
    }

    fn read(&mut self, path: &str) -> ReadResult<PathValue> {
        let mut values = Vec::new();
        if path.starts_with("Device.LocalAgent.Request.") {
            for (row, (key, left)) in &mut self.requests {
                let row = format!("Device.LocalAgent.Request.{row}.");
                if row.starts_with(path) {
                    values.push(PathValue::new(format!("{row}CommandKey"), key.as_str()));
                    *left = left.saturating_sub(1);
                }
            }
            if self.requests.values().any(|(_, left)| *left == 0) {
                self.end_requests(Ok(BTreeMap::new()));
            }
        } else if let Some(row) = path.strip_prefix("Device.T.") {
            let name = row
                .trim_end_matches('.')
                .parse()
                .ok()
                .and_then(|n| self.rows.get(&n));
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
