//! The software modules of a simulated CWMP device: deployment units that are installed, updated and
//! removed one after the other, each with its execution unit. Deliberately no sockets.

use std::collections::VecDeque;

use agent::Now;
use cwmp::fault::FaultCode;
use cwmp::rpc::{DuOperation, DuStateChangeComplete, FaultStruct, OpResultStruct, UpdateOpStruct};
use cwmp::value::{Secret, Timestamp};

use super::device::Device;
use super::transfer::{File, Job, version_of};
use super::tree::At;
use crate::motion::seed_of;

const UNITS: &str = "SoftwareModules.DeploymentUnit.";
const EXECUTIONS: &str = "SoftwareModules.ExecutionUnit.";
const ENVIRONMENTS: &str = "SoftwareModules.ExecEnv.";

/// Changes that wait at the same time.
const CHANGES_MAX: usize = 8;
/// The numbers of what is fetched for modules begin here: those of transfers do not come so far.
const FETCHES: u64 = 1 << 62;

/// What one ChangeDUState asks for.
#[derive(Debug)]
struct Change {
    command_key: String,
    todo: VecDeque<DuOperation>,
    results: Vec<OpResultStruct>,
}

/// What is being fetched for the first of the changes.
#[derive(Debug)]
struct Fetch {
    id: u64,
    operation: DuOperation,
    url: String,
    begun: i64,
}

/// The changes that are asked for and not over.
#[derive(Debug, Default)]
pub(super) struct Modules {
    changes: VecDeque<Change>,
    fetch: Option<Fetch>,
    /// That has not begun yet.
    ready: Option<Job>,
    fetched: u64,
}

impl Modules {
    /// The power is gone: what was being fetched is fetched anew.
    pub(super) fn power_lost(&mut self) {
        self.ready = None;
        if let (Some(fetch), Some(change)) = (self.fetch.take(), self.changes.front_mut()) {
            change.todo.push_front(fetch.operation);
        }
    }
}

/// One deployment unit as its row has it.
struct Unit {
    path: String,
    uuid: String,
    version: String,
    environment: String,
    url: String,
    executions: String,
}

impl Device {
    /// Takes changes on, or says why not.
    pub(super) fn change_units(
        &mut self,
        operations: Vec<DuOperation>,
        command_key: String,
    ) -> Result<(), FaultCode> {
        if operations.is_empty() {
            return Err(FaultCode::INVALID_ARGUMENTS);
        }
        if self.modules.changes.len() >= CHANGES_MAX {
            return Err(FaultCode::RESOURCES_EXCEEDED);
        }
        self.modules.changes.push_back(Change {
            command_key,
            todo: operations.into(),
            results: Vec::new(),
        });
        Ok(())
    }

    /// What is to be fetched for the first change, while no session is open.
    pub(super) fn poll_modules(&mut self) -> Option<Job> {
        self.modules.ready.take()
    }

    /// Goes on with the first change as far as nothing has to be fetched, and tells of its end.
    pub(super) fn change_modules(&mut self, now: Now) {
        while self.modules.fetch.is_none() {
            let Some(change) = self.modules.changes.front_mut() else {
                return;
            };
            match change.todo.pop_front() {
                Some(DuOperation::Uninstall(it)) => {
                    let version = it.version.as_deref();
                    let environment = it.execution_env_ref.as_deref();
                    let results = self.uninstall(now, &it.uuid, version, environment);
                    self.note(results);
                }
                Some(DuOperation::Update(it)) => self.update(now, it),
                Some(DuOperation::Install(it)) => {
                    let url = it.url.0.clone();
                    let login = (it.username.clone(), it.password.clone());
                    self.fetch_module(now, DuOperation::Install(it), url, login);
                }
                None => self.report_modules(now),
            }
        }
    }

    fn fetch_module(
        &mut self,
        now: Now,
        operation: DuOperation,
        url: String,
        (username, password): (Option<String>, Option<Secret>),
    ) {
        self.modules.fetched += 1;
        let id = FETCHES + self.modules.fetched;
        let password = password.unwrap_or_default().0;
        let job = Job::fetch(url.clone(), username.unwrap_or_default(), password);
        self.modules.ready = Some(Job { id, ..job });
        self.modules.fetch = Some(Fetch {
            id,
            operation,
            url,
            begun: unix(now),
        });
    }

    fn note(&mut self, results: Vec<OpResultStruct>) {
        if let Some(change) = self.modules.changes.front_mut() {
            change.results.extend(results);
        }
    }

    fn report_modules(&mut self, now: Now) {
        if let Some(change) = self.modules.changes.pop_front() {
            self.dirty = true;
            let done = DuStateChangeComplete {
                results: change.results,
                command_key: change.command_key,
            };
            // What finds no room is lost, as on a device whose log is full.
            _ = self.session.report(now.at, done);
        }
    }

    /// A file was fetched for a module, or not; false when it was fetched for something else.
    pub(super) fn module_fetched(
        &mut self,
        now: Now,
        id: u64,
        file: &Result<File, FaultCode>,
    ) -> bool {
        let Some(fetch) = self.modules.fetch.take_if(|fetch| fetch.id == id) else {
            // Of the time before the power was gone.
            return id > FETCHES;
        };
        let done = match (file, &fetch.operation) {
            (Err(code), _) => Err(*code),
            (Ok(file), DuOperation::Update(it)) => self.updated(now, it, &fetch.url, file),
            (Ok(file), DuOperation::Install(it)) => {
                let environment = it.execution_env_ref.as_deref();
                self.install(now, it.uuid.clone(), environment, &fetch.url, file)
            }
            (Ok(_), DuOperation::Uninstall(_)) => Err(FaultCode::INVALID_ARGUMENTS),
        };
        let uuid = match &fetch.operation {
            DuOperation::Install(it) => it.uuid.clone(),
            DuOperation::Update(it) => it.uuid.clone(),
            DuOperation::Uninstall(it) => Some(it.uuid.clone()),
        };
        let result = result(
            done,
            uuid.unwrap_or_default(),
            "Installed",
            (fetch.begun, now),
        );
        self.note(vec![result]);
        self.change_modules(now);
        true
    }

    fn install(
        &mut self,
        now: Now,
        uuid: Option<String>,
        environment: Option<&str>,
        url: &str,
        file: &File,
    ) -> Result<Unit, FaultCode> {
        let at = self.at(now);
        let environments = self.tree.listed(at, &self.tree.below(ENVIRONMENTS));
        let wanted = environment.filter(|path| !path.is_empty());
        let mut fitting = environments.iter().map(|path| path.trim_end_matches('.'));
        let environment = match wanted {
            Some(wanted) => fitting.find(|path| *path == wanted.trim_end_matches('.')),
            None => fitting.next(),
        };
        let environment = environment.ok_or(FaultCode::UNKNOWN_EXECUTION_ENVIRONMENT)?;
        let environment = environment.to_owned();
        let uuid = match uuid.filter(|uuid| !uuid.is_empty()) {
            Some(uuid) if is_uuid(&uuid) => uuid,
            Some(_) => return Err(FaultCode::INVALID_UUID),
            None => made_uuid(url.split('?').next().unwrap_or_default()),
        };
        let version = version_of(file, "", url, "1.0");
        let twin = |unit: &Unit| unit.uuid == uuid && unit.version == version;
        if self.units(at).iter().any(twin) {
            return Err(FaultCode::DUPLICATE_DEPLOYMENT_UNIT);
        }
        let full = |_| FaultCode::SYSTEM_RESOURCES_EXCEEDED;
        let (units, executions) = (self.tree.below(UNITS), self.tree.below(EXECUTIONS));
        let unit = self.tree.grow(at, &units).map_err(full)?;
        let path = format!("{units}{unit}");
        let execution = match self.tree.grow(at, &executions) {
            Ok(number) => format!("{executions}{number}"),
            Err(_) => {
                _ = self.tree.shrink(at, &format!("{path}."));
                return Err(FaultCode::SYSTEM_RESOURCES_EXCEEDED);
            }
        };
        let name = name_of(url);
        let of_unit = [
            ("UUID", uuid.as_str()),
            ("DUID", &unit.to_string()),
            ("Name", &name),
            ("Status", "Installed"),
            ("Resolved", "true"),
            ("URL", url),
            ("Vendor", "Hearth"),
            ("Version", &version),
            ("ExecutionUnitList", &execution),
            ("ExecutionEnvRef", &environment),
        ];
        let of_execution = [
            ("EUID", execution.as_str()),
            ("Name", &name),
            ("ExecEnvLabel", &name),
            ("Status", "Active"),
            ("RequestedState", "Active"),
            ("ExecutionFaultCode", "NoFault"),
            ("AutoStart", "true"),
            ("Vendor", "Hearth"),
            ("Version", &version),
            ("ExecutionEnvRef", &environment),
        ];
        for (name, value) in of_unit {
            self.tree.change(&format!("{path}.{name}"), value);
        }
        for (name, value) in of_execution {
            self.tree.change(&format!("{execution}.{name}"), value);
        }
        Ok(Unit {
            path,
            uuid,
            version,
            environment,
            url: url.to_owned(),
            executions: execution,
        })
    }

    /// Which units are to be updated: the one with the UUID, those from the URL, or all. Several are
    /// updated one by one.
    fn update(&mut self, now: Now, wanted: UpdateOpStruct) {
        let url = wanted.url.as_ref().map(|url| url.0.as_str());
        let url = url.filter(|url| !url.is_empty());
        let is_meant = |unit: &Unit| match (wanted.uuid.as_deref(), url) {
            (Some(uuid), _) => unit.uuid == uuid,
            (None, Some(url)) => unit.url == url,
            (None, None) => true,
        };
        let meant = self.units(self.at(now)).into_iter().filter(is_meant);
        let mut meant: VecDeque<Unit> = meant.collect();
        let Some(first) = meant.pop_front() else {
            let uuid = wanted.uuid.unwrap_or_default();
            let code = FaultCode::UNKNOWN_DEPLOYMENT_UNIT;
            return self.note(vec![result(Err(code), uuid, "", (unix(now), now))]);
        };
        let from = url.unwrap_or(&first.url).to_owned();
        let one = |unit: &Unit| UpdateOpStruct {
            uuid: Some(unit.uuid.clone()),
            ..wanted.clone()
        };
        if let Some(change) = self.modules.changes.front_mut() {
            for unit in meant.iter().rev().filter(|unit| unit.uuid != first.uuid) {
                change.todo.push_front(DuOperation::Update(one(unit)));
            }
        }
        let login = (wanted.username.clone(), wanted.password.clone());
        self.fetch_module(now, DuOperation::Update(one(&first)), from, login);
    }

    fn updated(
        &mut self,
        now: Now,
        wanted: &UpdateOpStruct,
        url: &str,
        file: &File,
    ) -> Result<Unit, FaultCode> {
        let mut units = self.units(self.at(now)).into_iter();
        let unit = units.find(|unit| wanted.uuid.as_ref() == Some(&unit.uuid));
        // Removed by what came before it.
        let mut unit = unit.ok_or(FaultCode::UNKNOWN_DEPLOYMENT_UNIT)?;
        unit.version = version_of(file, "", url, &unit.version);
        let executions = unit.executions.split(',').filter(|path| !path.is_empty());
        for row in executions.chain([unit.path.as_str()]) {
            let path = format!("{row}.Version");
            self.tree.change(&path, unit.version.clone());
        }
        self.tree.change(&format!("{}.URL", unit.path), url);
        Ok(unit)
    }

    fn uninstall(
        &mut self,
        now: Now,
        uuid: &str,
        version: Option<&str>,
        environment: Option<&str>,
    ) -> Vec<OpResultStruct> {
        let at = self.at(now);
        let fits = |wanted: Option<&str>, is: &str| {
            let wanted = wanted.map(|text| text.trim_end_matches('.'));
            wanted.is_none_or(|wanted| wanted.is_empty() || wanted == is)
        };
        let meant = self.units(at).into_iter().filter(|unit| {
            unit.uuid == uuid
                && fits(version, &unit.version)
                && fits(environment, &unit.environment)
        });
        let meant: Vec<Unit> = meant.collect();
        let times = (unix(now), now);
        if meant.is_empty() {
            let code = FaultCode::UNKNOWN_DEPLOYMENT_UNIT;
            return vec![result(Err(code), uuid.to_owned(), "", times)];
        }
        let gone = meant.into_iter().map(|unit| {
            let executions = unit.executions.split(',').filter(|path| !path.is_empty());
            for row in executions.chain([unit.path.as_str()]) {
                _ = self.tree.shrink(at, &format!("{row}."));
            }
            let unit = Unit {
                path: String::new(),
                executions: String::new(),
                ..unit
            };
            result(Ok(unit), uuid.to_owned(), "Uninstalled", times)
        });
        gone.collect()
    }

    fn units(&self, at: At) -> Vec<Unit> {
        let rows = self.tree.listed(at, &self.tree.below(UNITS)).into_iter();
        let unit = |row: String| {
            let value = |name: &str| self.tree.value(at, &format!("{row}{name}"));
            let value = |name: &str| value(name).unwrap_or_default();
            Unit {
                uuid: value("UUID"),
                version: value("Version"),
                environment: value("ExecutionEnvRef"),
                url: value("URL"),
                executions: value("ExecutionUnitList"),
                path: row.trim_end_matches('.').to_owned(),
            }
        };
        rows.map(unit).collect()
    }
}

/// What is told of one unit, from when on until now.
fn result(
    done: Result<Unit, FaultCode>,
    uuid: String,
    state: &str,
    (begun, now): (i64, Now),
) -> OpResultStruct {
    let code = done.as_ref().err().copied().unwrap_or_default();
    let text = match code.is_none() {
        true => String::new(),
        false => code.name().unwrap_or_default().to_owned(),
    };
    let resolved = done.is_ok();
    let unit = done.unwrap_or_else(|_| Unit {
        path: String::new(),
        uuid,
        version: String::new(),
        environment: String::new(),
        url: String::new(),
        executions: String::new(),
    });
    OpResultStruct {
        uuid: unit.uuid,
        deployment_unit_ref: unit.path,
        version: unit.version,
        current_state: if resolved { state } else { "Failed" }.to_owned(),
        resolved,
        execution_unit_ref_list: unit.executions,
        start_time: Timestamp::from_unix(begun),
        complete_time: Timestamp::from_unix(unix(now)),
        fault: FaultStruct::new(code, text),
    }
}

fn unix(now: Now) -> i64 {
    now.unix_ms.div_euclid(1000)
}

/// `speed-test` for `http://host/x/speed-test.opk?t=1`.
fn name_of(url: &str) -> String {
    let path = url.split('?').next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let name = last.rsplit_once('.').map_or(last, |(name, _)| name);
    match name {
        "" => "module".to_owned(),
        name => name.chars().take(64).collect(),
    }
}

fn is_uuid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let parts: Vec<&str> = text.split('-').collect();
    let hex =
        |part: &&str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit());
    parts.len() == 5
        && parts
            .iter()
            .zip(lengths)
            .all(|(part, length)| hex(part, length))
}

/// The same for the same URL, in the form of version 5.
fn made_uuid(url: &str) -> String {
    let (a, b) = (seed_of(1, url), seed_of(2, url));
    format!(
        "{:08x}-{:04x}-5{:03x}-8{:03x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xFFFF,
        a & 0xFFF,
        (b >> 48) & 0xFFF,
        b & 0xFFFF_FFFF_FFFF
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_made_of_a_url_and_a_name_of_its_end() {
        let made = made_uuid("http://h/a.opk");
        assert!(
            is_uuid(&made) && made != made_uuid("http://h/b.opk"),
            "{made}"
        );
        for other in ["", "x", "0000", &made[1..], &made.replace('5', "g")] {
            assert!(!is_uuid(other) || other == made, "{other}");
        }
        assert_eq!(name_of("http://h/x/speed-test.opk?t=1"), "speed-test");
        assert_eq!(name_of("http://h/"), "module");
    }
}
