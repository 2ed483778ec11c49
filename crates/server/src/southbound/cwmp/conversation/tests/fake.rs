//! A CPE of tests: answers questions from a small tree, as well or as badly as it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use cwmp::fault::FaultCode;
use cwmp::rpc::*;
use cwmp::value::{Timestamp, Value};
use cwmp::{Fault, Request, Response, Version};
use dm::BaseType;
use tokio::sync::mpsc;

use super::super::{Ask, AskError, Cpe};
use super::habits::Habits;
use super::limits::METHODS_SHOWN_MAX;
use super::line::Line;
use super::quirks::Quirks;

#[path = "asked.rs"]
mod asked;
#[path = "gateways.rs"]
mod gateways;
pub use gateways::{gateway, old_gateway};

#[derive(Clone)]
struct Param {
    value: Value,
    writable: bool,
}

#[derive(Default)]
struct State {
    /// What is in force.
    params: BTreeMap<String, Param>,
    /// What is in force after its next start, where that is not the same.
    later: Option<BTreeMap<String, Param>>,
    tables: BTreeMap<String, Vec<(String, Value)>>,
    /// Tables whose rows come and go by themselves, where they are empty.
    empty: BTreeSet<String>,
    next_row: u64,
    asked: Vec<Request>,
    /// Questions and answers, a line each.
    dialog: Vec<String>,
    parked: Vec<Ask>,
}

#[derive(Clone, Default)]
struct Ways {
    names_max: Option<usize>,
    values_max: Option<usize>,
    writes_max: Option<usize>,
    loses_above: Option<usize>,
    ignores_levels: bool,
    no_partial_paths: bool,
    hangs_on_objects: bool,
    hangs_on_levels: bool,
    hollow_objects: bool,
    nothing_writable: bool,
    strict_types: bool,
    strings_only: bool,
    refuses: BTreeSet<String>,
    keeps: BTreeSet<String>,
    lacks: BTreeSet<Method>,
    loses: BTreeSet<Method>,
    leaves_after: Option<Method>,
    refuses_deletions: bool,
    silent_faults: bool,
    writes_broken: bool,
    queued: Vec<String>,
    at_once: bool,
    breaks_over: BTreeSet<String>,
    knows_no_stranger: bool,
    no_empty_path: bool,
    knows_no_paths: bool,
    answer_max: Option<usize>,
    lists_only: Option<(usize, bool)>,
    leaves_out: BTreeSet<String>,
    no_file: String,
    too_much: Option<FaultCode>,
    needs_restart: bool,
    fails_over: BTreeSet<String>,
}

impl State {
    /// What a change changes: what is in force, or with `waits` what will be.
    fn written(&mut self, waits: bool) -> &mut BTreeMap<String, Param> {
        match waits {
            true => self.later.get_or_insert_with(|| self.params.clone()),
            false => &mut self.params,
        }
    }
}

/// A CPE.
pub struct Fake {
    state: Arc<Mutex<State>>,
    ways: Ways,
}

/// What happened to a CPE.
pub struct Asked(Arc<Mutex<State>>);

fn fault(code: FaultCode) -> Fault {
    Fault::plain(code)
}

impl Fake {
    pub(super) fn with(params: &[(&str, &str, BaseType, bool)]) -> Self {
        let params = params.iter().map(|(name, value, base, writable)| {
            let value = Value::new(*base, *value);
            let writable = *writable;
            ((*name).to_owned(), Param { value, writable })
        });
        let state = State {
            params: params.collect(),
            next_row: 3,
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            ways: Ways::default(),
        }
    }

    pub(super) fn table(self, table: &str, params: &[(&str, &str, BaseType)]) -> Self {
        let params = params
            .iter()
            .map(|(name, value, base)| ((*name).to_owned(), Value::new(*base, *value)));
        let params = params.collect();
        self.state
            .lock()
            .unwrap()
            .tables
            .insert(table.to_owned(), params);
        self
    }

    /// Its tables of hosts and port mappings are empty.
    pub fn without_rows(self) -> Self {
        let mut state = self.state.lock().unwrap();
        let hosts = state.params.keys().find_map(|name| {
            let at = name.find("Hosts.Host.")?;
            Some(name[..at + "Hosts.Host.".len()].to_owned())
        });
        let is_row = |name: &String| name.contains(".Host.") || name.contains(".PortMapping.");
        state.params.retain(|name, _| !is_row(name));
        state.empty.extend(hosts);
        drop(state);
        self
    }

    pub fn names_max(mut self, max: usize) -> Self {
        self.ways.names_max = Some(max);
        self
    }

    pub fn values_max(mut self, max: usize) -> Self {
        self.ways.values_max = Some(max);
        self
    }

    pub fn writes_max(mut self, max: usize) -> Self {
        self.ways.writes_max = Some(max);
        self
    }

    /// What it says to more than it takes at once.
    pub fn too_much_is(mut self, code: FaultCode) -> Self {
        self.ways.too_much = Some(code);
        self
    }

    /// It has an internal error over this parameter where it reads it or is to report it.
    pub fn fails_over(mut self, name: &str) -> Self {
        self.ways.fails_over.insert(name.to_owned());
        self
    }

    /// What it takes is in force after it has started anew, see [`Asked::start`].
    pub fn needs_restart(mut self) -> Self {
        self.ways.needs_restart = true;
        self
    }

    /// Breaks the session off rather than to answer with more than this.
    pub fn loses_above(mut self, max: usize) -> Self {
        self.ways.loses_above = Some(max);
        self
    }

    pub fn ignores_levels(mut self) -> Self {
        self.ways.ignores_levels = true;
        self
    }

    pub fn no_partial_paths(mut self) -> Self {
        self.ways.no_partial_paths = true;
        self
    }

    /// Reading an object is never answered.
    pub fn hangs_on_objects(mut self) -> Self {
        self.ways.hangs_on_objects = true;
        self
    }

    /// Asked for one level of anything, it never answers.
    pub fn hangs_on_levels(mut self) -> Self {
        self.ways.hangs_on_levels = true;
        self
    }

    /// Answers a partial path with the root and nothing in it.
    pub fn hollow_objects(mut self) -> Self {
        self.ways.hollow_objects = true;
        self
    }

    /// Says of every name that it cannot be written.
    pub fn calls_nothing_writable(mut self) -> Self {
        self.ways.nothing_writable = true;
        self
    }

    pub fn strict_types(mut self) -> Self {
        self.ways.strict_types = true;
        self
    }

    /// Says that everything is text, and takes nothing but text and digits for truth.
    pub fn strings_only(mut self) -> Self {
        self.ways.strings_only = true;
        for param in self.state.lock().unwrap().params.values_mut() {
            let digit = cwmp::value::boolean(&param.value.text).map(u8::from);
            let is_truth = param.value.base == BaseType::Boolean;
            let digit = digit.filter(|_| is_truth).map(|digit| digit.to_string());
            let text = digit.unwrap_or_else(|| param.value.text.clone());
            param.value = Value::string(text);
        }
        self
    }

    /// Does not list this object.
    pub fn refuses(mut self, path: &str) -> Self {
        self.ways.refuses.insert(path.to_owned());
        self
    }

    /// Does not let this be changed.
    pub fn keeps(mut self, name: &str) -> Self {
        self.ways.keeps.insert(name.to_owned());
        self
    }

    pub fn lacks(mut self, method: Method) -> Self {
        self.ways.lacks.insert(method);
        self
    }

    /// Does it, and breaks off before it answers.
    pub fn loses(mut self, method: Method) -> Self {
        self.ways.loses.insert(method);
        self
    }

    /// Breaks the session off when it is asked for this parameter.
    pub fn breaks_over(mut self, name: &str) -> Self {
        self.ways.breaks_over.insert(name.to_owned());
        self
    }

    /// Crashes when it is asked for a parameter that it does not have.
    pub fn knows_no_stranger(mut self) -> Self {
        self.ways.knows_no_stranger = true;
        self
    }

    /// Does this and says so, and then breaks off.
    pub fn leaves_after(mut self, method: Method) -> Self {
        self.ways.leaves_after = Some(method);
        self
    }

    /// Names no parameter when it refuses to set some.
    pub fn silent_faults(mut self) -> Self {
        self.ways.silent_faults = true;
        self
    }

    /// Says to every bad value that it has an internal error.
    pub fn breaks_over_values(mut self) -> Self {
        self.ways.writes_broken = true;
        self
    }

    pub fn refuses_deletions(mut self) -> Self {
        self.ways.refuses_deletions = true;
        self
    }

    /// The number that it gives to the next row, whatever there is.
    pub fn next_row(self, number: u64) -> Self {
        self.state.lock().unwrap().next_row = number;
        self
    }

    /// Breaks the session off over the empty path.
    pub fn no_empty_path(mut self) -> Self {
        self.ways.no_empty_path = true;
        self
    }

    /// Says of every partial path that it does not know such a name.
    pub fn knows_no_paths(mut self) -> Self {
        self.ways.knows_no_paths = true;
        self
    }

    /// Tells no more than so many values, whatever is asked.
    pub fn cuts_answers(mut self, values: usize) -> Self {
        self.ways.answer_max = Some(values);
        self
    }

    /// Breaks the session off when it has listed so many levels, or hangs then.
    pub fn lists_only(mut self, levels: usize, hangs: bool) -> Self {
        self.ways.lists_only = Some((levels, hangs));
        self
    }

    /// Refuses kinds of files to send that begin so.
    pub fn knows_no_file(mut self, kind: &str) -> Self {
        self.ways.no_file = kind.to_owned();
        self
    }

    /// Never tells this one.
    pub fn leaves_out(mut self, name: &str) -> Self {
        self.ways.leaves_out.insert(name.to_owned());
        self
    }

    /// It has this parameter, too.
    pub fn with_param(self, name: &str, value: Value) -> Self {
        let writable = true;
        let param = Param { value, writable };
        let mut state = self.state.lock().unwrap();
        state.params.insert(name.to_owned(), param);
        drop(state);
        self
    }

    /// A transfer that it works on.
    pub fn queued(mut self, key: &str) -> Self {
        self.ways.queued.push(key.to_owned());
        self
    }

    /// Downloads before it answers.
    pub fn at_once(mut self) -> Self {
        self.ways.at_once = true;
        self
    }

    /// The way to it. It answers as long as the line is there.
    pub fn line(self) -> (Line, Asked) {
        let (cpe, asked) = self.cpe();
        let line = Line::new(cpe, Version::V1_2, Habits::default(), Quirks::default());
        (line, asked)
    }

    /// The same for one session more: what is kept stays.
    pub fn cpe(self) -> (Cpe, Asked) {
        let (cpe, questions) = Cpe::new();
        let asked = Asked(self.state.clone());
        tokio::spawn(self.serve(questions));
        (cpe, asked)
    }

    async fn serve(self, mut questions: mpsc::Receiver<Ask>) {
        let mut listed = 0;
        while let Some(ask) = questions.recv().await {
            let method = ask.request.method();
            let level = matches!(&*ask.request, Request::GetParameterNames(ask) if ask.next_level);
            listed += usize::from(level);
            self.state
                .lock()
                .unwrap()
                .asked
                .push((*ask.request).clone());
            self.note(format!("ACS: {}", question(&ask.request)));
            let object = matches!(&*ask.request, Request::GetParameterValues(ask)
                if ask.names.iter().any(|name| name.ends_with('.')));
            if object && self.ways.hangs_on_objects || level && self.ways.hangs_on_levels {
                self.state.lock().unwrap().parked.push(ask);
                continue;
            }
            match self.ways.lists_only {
                Some((levels, true)) if listed > levels => {
                    self.state.lock().unwrap().parked.push(ask);
                    continue;
                }
                Some((levels, false)) if listed > levels => return,
                _ => {}
            }
            if self.crashes(&ask.request) {
                return self.note("CPE: breaks off".to_owned());
            }
            let answer = if self.ways.lacks.contains(&method) {
                Err(fault(FaultCode::METHOD_NOT_SUPPORTED))
            } else {
                self.answer(*ask.request)
            };
            let size = match &answer {
                Ok(Response::GetParameterNames(r)) => r.parameters.len(),
                Ok(Response::GetParameterValues(r)) => r.parameters.len(),
                _ => 0,
            };
            let lost = self.ways.loses_above.is_some_and(|max| size > max)
                || self.ways.loses.contains(&method);
            if lost {
                return;
            }
            let leaves = self.ways.leaves_after == Some(method) && answer.is_ok();
            if leaves {
                questions.close();
            }
            self.note(match &answer {
                Ok(Response::GetParameterNames(r)) => format!("CPE: {} names", r.parameters.len()),
                Ok(Response::GetParameterValues(r)) => {
                    format!("CPE: {} values", r.parameters.len())
                }
                Ok(_) => "CPE: done".to_owned(),
                Err(fault) => format!("CPE: fault {}", fault.code),
            });
            let _ = ask.reply.send(answer.map_err(AskError::Refused));
            if leaves {
                return;
            }
        }
    }

    fn too_much(&self) -> Fault {
        fault(self.ways.too_much.unwrap_or(FaultCode::RESOURCES_EXCEEDED))
    }

    fn note(&self, line: String) {
        self.state.lock().unwrap().dialog.push(line);
    }

    fn crashes(&self, request: &Request) -> bool {
        let names: Vec<&String> = match request {
            Request::GetParameterValues(ask) => ask.names.iter().collect(),
            Request::SetParameterValues(ask) => ask.parameters.iter().map(|p| &p.name).collect(),
            Request::GetParameterNames(ask) => {
                return ask.path.is_empty() && self.ways.no_empty_path;
            }
            _ => return false,
        };
        let state = self.state.lock().unwrap();
        names.into_iter().any(|name| {
            let stranger = !name.ends_with('.') && !state.params.contains_key(name);
            let inside =
                |over: &String| over == name || name.ends_with('.') && over.starts_with(name);
            stranger && self.ways.knows_no_stranger || self.ways.breaks_over.iter().any(inside)
        })
    }

    fn answer(&self, request: Request) -> Result<Response, Fault> {
        let state = &mut *self.state.lock().unwrap();
        match request {
            Request::GetParameterNames(ask) => self.names(state, &ask).map(Into::into),
            Request::GetParameterValues(ask) => self.values(state, &ask.names).map(Into::into),
            Request::SetParameterValues(ask) => self.set(state, ask.parameters).map(Into::into),
            Request::SetParameterAttributes(ask) => {
                let known = |one: &SetParameterAttributesStruct| {
                    state.params.keys().any(|name| name.starts_with(&one.name))
                };
                let fails =
                    |one: &SetParameterAttributesStruct| self.ways.fails_over.contains(&one.name);
                if ask.parameters.iter().any(fails) {
                    return Err(fault(FaultCode::INTERNAL_ERROR));
                }
                match ask.parameters.iter().all(known) {
                    true => Ok(SetParameterAttributesResponse {}.into()),
                    false => Err(fault(FaultCode::INVALID_PARAMETER_NAME)),
                }
            }
            Request::AddObject(ask) => {
                let Some(params) = state.tables.get(&ask.object_name).cloned() else {
                    return Err(fault(FaultCode::INVALID_PARAMETER_NAME));
                };
                let number = state.next_row;
                state.next_row += 1;
                let written = state.written(self.ways.needs_restart);
                for (name, value) in params {
                    let name = format!("{}{number}.{name}", ask.object_name);
                    let writable = true;
                    written.insert(name, Param { value, writable });
                }
                Ok(AddObjectResponse {
                    instance_number: InstanceNumber(number),
                    status: u32::from(self.ways.needs_restart),
                }
                .into())
            }
            Request::DeleteObject(_) if self.ways.refuses_deletions => {
                Err(fault(FaultCode::REQUEST_DENIED))
            }
            Request::DeleteObject(ask) => {
                let written = state.written(self.ways.needs_restart);
                let before = written.len();
                written.retain(|name, _| !name.starts_with(&ask.object_name));
                match written.len() < before {
                    true => {
                        let status = u32::from(self.ways.needs_restart);
                        Ok(DeleteObjectResponse { status }.into())
                    }
                    false => Err(fault(FaultCode::INVALID_PARAMETER_NAME)),
                }
            }
            Request::Reboot(_) => Ok(RebootResponse {}.into()),
            Request::FactoryReset(_) => Ok(FactoryResetResponse {}.into()),
            Request::ScheduleInform(_) => Ok(ScheduleInformResponse {}.into()),
            Request::ChangeDuState(_) => Ok(ChangeDuStateResponse {}.into()),
            Request::CancelTransfer(_) => Ok(CancelTransferResponse {}.into()),
            Request::Download(_) => Ok(DownloadResponse {
                status: u32::from(!self.ways.at_once),
                start_time: Timestamp::unknown(),
                complete_time: Timestamp::unknown(),
            }
            .into()),
            Request::ScheduleDownload(_) => Ok(ScheduleDownloadResponse {}.into()),
            Request::GetRpcMethods(_) => {
                let own = (0..METHODS_SHOWN_MAX).map(|n| format!("X_ACME_{n}"));
                let methods = ["Inform", "Reboot"].map(str::to_owned).into_iter();
                let methods = methods.chain(own).collect();
                Ok(GetRpcMethodsResponse { methods }.into())
            }
            Request::GetParameterAttributes(ask) => {
                let known = |name: &String| state.params.contains_key(name);
                if !ask.names.iter().all(known) {
                    return Err(fault(FaultCode::INVALID_PARAMETER_NAME));
                }
                let each = ask.names.into_iter().map(|name| ParameterAttributeStruct {
                    notification: u32::from(name.ends_with("SSID")) * 2,
                    access_list: vec!["Subscriber".to_owned()],
                    name,
                });
                let parameters = each.collect();
                Ok(GetParameterAttributesResponse { parameters }.into())
            }
            Request::Upload(ask)
                if !self.ways.no_file.is_empty()
                    && ask.file_type.starts_with(&self.ways.no_file) =>
            {
                Err(fault(FaultCode::INVALID_ARGUMENTS))
            }
            Request::Upload(_) => Ok(UploadResponse {
                status: u32::from(!self.ways.at_once),
                start_time: Timestamp::unknown(),
                complete_time: Timestamp::unknown(),
            }
            .into()),
            Request::GetAllQueuedTransfers(_) => {
                let transfer = |key: &String| AllQueuedTransferStruct {
                    command_key: key.clone(),
                    state: 2,
                    ..AllQueuedTransferStruct::default()
                };
                Ok(GetAllQueuedTransfersResponse {
                    transfers: self.ways.queued.iter().map(transfer).collect(),
                }
                .into())
            }
            _ => Err(fault(FaultCode::METHOD_NOT_SUPPORTED)),
        }
    }

    fn names(
        &self,
        state: &State,
        ask: &GetParameterNames,
    ) -> Result<GetParameterNamesResponse, Fault> {
        if self.ways.refuses.contains(&ask.path) {
            return Err(fault(FaultCode::REQUEST_DENIED));
        }
        let mut all: BTreeMap<String, bool> = BTreeMap::new();
        for (name, param) in &state.params {
            for (dot, _) in name.match_indices('.') {
                let object = name[..=dot].to_owned();
                let addable = state.tables.contains_key(&object);
                all.entry(object).or_insert(addable);
            }
            all.insert(name.clone(), param.writable);
        }
        for table in state.tables.keys() {
            all.entry(table.clone()).or_insert(true);
        }
        for table in &state.empty {
            all.entry(table.clone()).or_insert(false);
        }
        let levels = ask.next_level && !self.ways.ignores_levels;
        let is_wanted = |name: &String| {
            let Some(rest) = name.strip_prefix(&ask.path) else {
                return false;
            };
            let inner = rest.trim_end_matches('.');
            if levels {
                !rest.is_empty() && !inner.contains('.')
            } else {
                true
            }
        };
        let known = all.keys().any(|name| name.starts_with(&ask.path));
        if !known {
            return Err(fault(FaultCode::INVALID_PARAMETER_NAME));
        }
        let parameters: Vec<_> = all
            .into_iter()
            .filter(|(name, _)| is_wanted(name))
            .map(|(name, writable)| ParameterInfoStruct {
                name,
                writable: writable && !self.ways.nothing_writable,
            })
            .collect();
        match self.ways.names_max {
            Some(max) if parameters.len() > max => Err(self.too_much()),
            _ => Ok(GetParameterNamesResponse { parameters }),
        }
    }

    fn values(&self, state: &State, names: &[String]) -> Result<GetParameterValuesResponse, Fault> {
        if names.iter().any(|name| self.ways.fails_over.contains(name)) {
            return Err(fault(FaultCode::INTERNAL_ERROR));
        }
        let mut parameters = Vec::new();
        for name in names {
            let is_object = name.ends_with('.');
            if is_object && self.ways.hollow_objects {
                let root = name.split_inclusive('.').next().unwrap_or_default();
                parameters.push(ParameterValue::new(root, Value::string("")));
                continue;
            }
            if is_object && self.ways.no_partial_paths {
                return Err(fault(FaultCode::INVALID_ARGUMENTS));
            }
            if is_object && self.ways.knows_no_paths {
                return Err(fault(FaultCode::INVALID_PARAMETER_NAME));
            }
            let found = state.params.iter().filter(|(known, _)| match is_object {
                true => known.starts_with(name),
                false => *known == name,
            });
            let before = parameters.len();
            parameters
                .extend(found.map(|(name, param)| ParameterValue::new(name, param.value.clone())));
            if parameters.len() == before {
                return Err(fault(FaultCode::INVALID_PARAMETER_NAME));
            }
        }
        parameters.retain(|one| !self.ways.leaves_out.contains(&one.name));
        parameters.truncate(self.ways.answer_max.unwrap_or(usize::MAX));
        match self.ways.values_max {
            Some(max) if parameters.len() > max => Err(self.too_much()),
            _ => Ok(GetParameterValuesResponse { parameters }),
        }
    }

    fn set(
        &self,
        state: &mut State,
        parameters: Vec<ParameterValue>,
    ) -> Result<SetParameterValuesResponse, Fault> {
        if self
            .ways
            .writes_max
            .is_some_and(|max| parameters.len() > max)
        {
            return Err(self.too_much());
        }
        let written = state.written(self.ways.needs_restart);
        let mut refused = fault(FaultCode::INVALID_ARGUMENTS);
        for one in &parameters {
            let why = match written.get(&one.name) {
                None => Some(FaultCode::INVALID_PARAMETER_NAME),
                Some(param) if !param.writable => Some(FaultCode::NOT_WRITABLE),
                Some(param) if self.ways.strict_types && param.value.base != one.value.base => {
                    Some(FaultCode::INVALID_PARAMETER_TYPE)
                }
                Some(_)
                    if self.ways.strings_only
                        && (one.value.base != BaseType::String || one.value.text == "true") =>
                {
                    Some(FaultCode::INVALID_ARGUMENTS)
                }
                Some(_) if self.ways.keeps.contains(&one.name) => Some(FaultCode::REQUEST_DENIED),
                Some(_) if one.value.text == "bad" => Some(FaultCode::INVALID_PARAMETER_VALUE),
                Some(_) => None,
            };
            if let Some(code) = why {
                refused = refused.at(&one.name, code, format!("not {}", one.value.text));
            }
        }
        if !refused.parameters.is_empty() {
            if self.ways.silent_faults {
                refused.parameters.clear();
            }
            return Err(match self.ways.writes_broken {
                true => fault(FaultCode::INTERNAL_ERROR),
                false => refused,
            });
        }
        for one in parameters {
            if let Some(param) = written.get_mut(&one.name) {
                param.value.text = one.value.text;
            }
        }
        let status = u32::from(self.ways.needs_restart);
        Ok(SetParameterValuesResponse { status })
    }
}

/// A question in a line.
fn question(request: &Request) -> String {
    match request {
        Request::GetParameterNames(ask) => {
            let levels = if ask.next_level { "its level" } else { "all" };
            format!("GetParameterNames \"{}\" {levels}", ask.path)
        }
        Request::GetParameterValues(ask) => format!("GetParameterValues {}", ask.names.join(" ")),
        Request::SetParameterValues(ask) => {
            let one = |p: &ParameterValue| match (p.value.base, is_text(&p.name)) {
                (BaseType::String, false) => format!("{}=\"{}\"", p.name, p.value.text),
                _ => format!("{}={}", p.name, p.value.text),
            };
            let all: Vec<String> = ask.parameters.iter().map(one).collect();
            format!("SetParameterValues {}", all.join(" "))
        }
        other => other.method().name().to_owned(),
    }
}

/// What the data model says of these is text.
fn is_text(name: &str) -> bool {
    !name.ends_with("Enable") && !name.ends_with("Time")
}
