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
use super::line::Line;
use super::quirks::Quirks;

#[derive(Clone)]
struct Param {
    value: Value,
    writable: bool,
}

#[derive(Default)]
struct State {
    params: BTreeMap<String, Param>,
    tables: BTreeMap<String, Vec<(String, Value)>>,
    /// Tables whose rows come and go by themselves, where they are empty.
    empty: BTreeSet<String>,
    next_row: u64,
    asked: Vec<Request>,
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
    hollow_objects: bool,
    nothing_writable: bool,
    strict_types: bool,
    refuses: BTreeSet<String>,
    lacks: BTreeSet<Method>,
    loses: BTreeSet<Method>,
    queued: Vec<String>,
    at_once: bool,
    breaks_over: BTreeSet<String>,
    knows_no_stranger: bool,
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
    fn with(params: &[(&str, &str, BaseType, bool)]) -> Self {
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

    fn table(self, table: &str, params: &[(&str, &str, BaseType)]) -> Self {
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

    /// Does not list this object.
    pub fn refuses(mut self, path: &str) -> Self {
        self.ways.refuses.insert(path.to_owned());
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
        while let Some(ask) = questions.recv().await {
            let method = ask.request.method();
            self.state.lock().unwrap().asked.push(ask.request.clone());
            let object = matches!(&ask.request, Request::GetParameterValues(ask)
                if ask.names.iter().any(|name| name.ends_with('.')));
            if object && self.ways.hangs_on_objects {
                self.state.lock().unwrap().parked.push(ask);
                continue;
            }
            if self.crashes(&ask.request) {
                return;
            }
            let answer = if self.ways.lacks.contains(&method) {
                Err(fault(FaultCode::METHOD_NOT_SUPPORTED))
            } else {
                self.answer(ask.request)
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
            let _ = ask.reply.send(answer.map_err(AskError::Refused));
        }
    }

    fn crashes(&self, request: &Request) -> bool {
        let names: Vec<&String> = match request {
            Request::GetParameterValues(ask) => ask.names.iter().collect(),
            Request::SetParameterValues(ask) => ask.parameters.iter().map(|p| &p.name).collect(),
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
                for (name, value) in params {
                    let name = format!("{}{number}.{name}", ask.object_name);
                    let writable = true;
                    state.params.insert(name, Param { value, writable });
                }
                Ok(AddObjectResponse {
                    instance_number: InstanceNumber(number),
                    status: 0,
                }
                .into())
            }
            Request::DeleteObject(ask) => {
                let before = state.params.len();
                state
                    .params
                    .retain(|name, _| !name.starts_with(&ask.object_name));
                match state.params.len() < before {
                    true => Ok(DeleteObjectResponse { status: 0 }.into()),
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
            Some(max) if parameters.len() > max => Err(fault(FaultCode::RESOURCES_EXCEEDED)),
            _ => Ok(GetParameterNamesResponse { parameters }),
        }
    }

    fn values(&self, state: &State, names: &[String]) -> Result<GetParameterValuesResponse, Fault> {
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
        match self.ways.values_max {
            Some(max) if parameters.len() > max => Err(fault(FaultCode::RESOURCES_EXCEEDED)),
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
            return Err(fault(FaultCode::RESOURCES_EXCEEDED));
        }
        let mut refused = fault(FaultCode::INVALID_ARGUMENTS);
        for one in &parameters {
            let why = match state.params.get(&one.name) {
                None => Some(FaultCode::INVALID_PARAMETER_NAME),
                Some(param) if !param.writable => Some(FaultCode::NOT_WRITABLE),
                Some(param) if self.ways.strict_types && param.value.base != one.value.base => {
                    Some(FaultCode::INVALID_PARAMETER_TYPE)
                }
                Some(_) if one.value.text == "bad" => Some(FaultCode::INVALID_PARAMETER_VALUE),
                Some(_) => None,
            };
            if let Some(code) = why {
                refused = refused.at(&one.name, code, format!("not {}", one.value.text));
            }
        }
        if !refused.parameters.is_empty() {
            return Err(refused);
        }
        for one in parameters {
            if let Some(param) = state.params.get_mut(&one.name) {
                param.value.text = one.value.text;
            }
        }
        Ok(SetParameterValuesResponse { status: 0 })
    }
}

impl Asked {
    /// Names of the methods that were asked, in order.
    pub fn methods(&self) -> Vec<String> {
        let state = self.0.lock().unwrap();
        state
            .asked
            .iter()
            .map(|one| one.method().name().to_owned())
            .collect()
    }

    /// What was asked.
    pub fn requests(&self) -> Vec<Request> {
        self.0.lock().unwrap().asked.clone()
    }

    /// Forgets what was asked.
    /// How many questions hang.
    pub fn hanging(&self) -> usize {
        self.0.lock().unwrap().parked.len()
    }

    /// The session of these questions is over.
    pub fn let_go(&self) {
        self.0.lock().unwrap().parked.clear();
    }

    pub fn clear(&self) {
        self.0.lock().unwrap().asked.clear();
    }

    /// Names of all parameters it has now.
    pub fn params(&self) -> Vec<String> {
        self.0.lock().unwrap().params.keys().cloned().collect()
    }

    /// A value.
    pub fn get(&self, name: &str) -> Option<String> {
        let state = self.0.lock().unwrap();
        state.params.get(name).map(|param| param.value.text.clone())
    }

    /// It has this now.
    pub fn put(&self, name: &str, value: &str) {
        let param = Param {
            value: Value::string(value),
            writable: true,
        };
        self.0.lock().unwrap().params.insert(name.to_owned(), param);
    }

    /// It has this no more.
    pub fn remove(&self, object: &str) {
        self.0
            .lock()
            .unwrap()
            .params
            .retain(|name, _| !name.starts_with(object));
    }

    /// Another session with the same device.
    pub fn again(&self) -> Fake {
        Fake {
            state: self.0.clone(),
            ways: Ways::default(),
        }
    }
}

/// A small TR-181 gateway.
pub fn gateway() -> Fake {
    use BaseType::{Boolean, String as Text, UnsignedInt};
    let pool = "Device.NAT.PortMapping.1.";
    let ping = "Device.IP.Diagnostics.IPPing.";
    let mut params = vec![
        (
            "Device.RootDataModelVersion".to_owned(),
            "2.11",
            Text,
            false,
        ),
        (
            "Device.DeviceInfo.Manufacturer".to_owned(),
            "Acme",
            Text,
            false,
        ),
        (
            "Device.DeviceInfo.ManufacturerOUI".to_owned(),
            "00256D",
            Text,
            false,
        ),
        ("Device.DeviceInfo.ModelName".to_owned(), "Box", Text, false),
        (
            "Device.DeviceInfo.ProductClass".to_owned(),
            "Gateway",
            Text,
            false,
        ),
        (
            "Device.DeviceInfo.SerialNumber".to_owned(),
            "S1",
            Text,
            false,
        ),
        (
            "Device.DeviceInfo.HardwareVersion".to_owned(),
            "1",
            Text,
            false,
        ),
        (
            "Device.DeviceInfo.SoftwareVersion".to_owned(),
            "1.0",
            Text,
            false,
        ),
        (
            "Device.DeviceInfo.UpTime".to_owned(),
            "77",
            UnsignedInt,
            false,
        ),
        (
            "Device.ManagementServer.PeriodicInformEnable".to_owned(),
            "0",
            Boolean,
            true,
        ),
        (
            "Device.ManagementServer.PeriodicInformInterval".to_owned(),
            "86400",
            UnsignedInt,
            true,
        ),
        (
            "Device.ManagementServer.Username".to_owned(),
            "",
            Text,
            true,
        ),
        (
            "Device.ManagementServer.Password".to_owned(),
            "",
            Text,
            true,
        ),
        (
            "Device.ManagementServer.ConnectionRequestUsername".to_owned(),
            "",
            Text,
            true,
        ),
        (
            "Device.ManagementServer.ConnectionRequestPassword".to_owned(),
            "",
            Text,
            true,
        ),
        (
            "Device.ManagementServer.ConnectionRequestURL".to_owned(),
            "http://192.0.2.1:7547/x",
            Text,
            false,
        ),
        ("Device.WiFi.SSID.1.SSID".to_owned(), "home", Text, true),
        ("Device.WiFi.SSID.1.Enable".to_owned(), "1", Boolean, true),
        (
            "Device.WiFi.SSID.1.BSSID".to_owned(),
            "00:25:6d:00:00:01",
            Text,
            false,
        ),
        ("Device.WiFi.SSID.2.SSID".to_owned(), "guest", Text, true),
        ("Device.WiFi.SSID.2.Enable".to_owned(), "0", Boolean, true),
        (
            "Device.WiFi.SSID.2.BSSID".to_owned(),
            "00:25:6d:00:00:02",
            Text,
            false,
        ),
        (
            "Device.WiFi.AccessPoint.1.SSIDReference".to_owned(),
            "Device.WiFi.SSID.2.",
            Text,
            true,
        ),
        (
            "Device.WiFi.AccessPoint.1.Security.KeyPassphrase".to_owned(),
            "",
            Text,
            true,
        ),
        (
            "Device.Hosts.Host.1.HostName".to_owned(),
            "phone",
            Text,
            false,
        ),
        (
            "Device.Hosts.Host.1.IPAddress".to_owned(),
            "192.168.1.2",
            Text,
            false,
        ),
        (
            "Device.X_ACME_Thing.Level".to_owned(),
            "5",
            UnsignedInt,
            true,
        ),
    ];
    for (name, value, base) in [
        ("Enable", "1", Boolean),
        ("ExternalPort", "80", UnsignedInt),
        ("Description", "web", Text),
    ] {
        params.push((format!("{pool}{name}"), value, base, true));
    }
    for (name, value, base, writable) in [
        ("DiagnosticsState", "None", Text, true),
        ("Host", "", Text, true),
        ("NumberOfRepetitions", "3", UnsignedInt, true),
        ("SuccessCount", "0", UnsignedInt, false),
    ] {
        params.push((format!("{ping}{name}"), value, base, writable));
    }
    let params: Vec<_> = params
        .iter()
        .map(|(name, value, base, writable)| (name.as_str(), *value, *base, *writable))
        .collect();
    Fake::with(&params).table(
        "Device.NAT.PortMapping.",
        &[
            ("Enable", "0", Boolean),
            ("ExternalPort", "0", UnsignedInt),
            ("Description", "", Text),
        ],
    )
}

/// A small TR-098 gateway.
pub fn old_gateway() -> Fake {
    use BaseType::{Boolean, String as Text, UnsignedInt};
    let root = "InternetGatewayDevice.";
    let wlan = "LANDevice.1.WLANConfiguration.1.";
    let wan = "WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.";
    let ping = "IPPingDiagnostics.";
    let mut params = Vec::new();
    let mut put = |object: &str, name: &str, value: &'static str, base, writable| {
        params.push((format!("{root}{object}{name}"), value, base, writable));
    };
    put(
        "",
        "DeviceSummary",
        "InternetGatewayDevice:1.4[]",
        Text,
        false,
    );
    put("DeviceInfo.", "Manufacturer", "Acme", Text, false);
    put("DeviceInfo.", "ManufacturerOUI", "00256D", Text, false);
    put("DeviceInfo.", "ModelName", "OldBox", Text, false);
    put("DeviceInfo.", "ProductClass", "IGD", Text, false);
    put("DeviceInfo.", "SerialNumber", "S2", Text, false);
    put("DeviceInfo.", "HardwareVersion", "1", Text, false);
    put("DeviceInfo.", "SoftwareVersion", "0.9", Text, false);
    put(
        "ManagementServer.",
        "PeriodicInformEnable",
        "1",
        Boolean,
        true,
    );
    put(
        "ManagementServer.",
        "PeriodicInformInterval",
        "600",
        UnsignedInt,
        true,
    );
    put(
        "ManagementServer.",
        "ConnectionRequestURL",
        "http://192.0.2.2:7547/y",
        Text,
        false,
    );
    put(wlan, "Enable", "1", Boolean, true);
    put(wlan, "SSID", "old home", Text, true);
    put(wlan, "Channel", "6", UnsignedInt, true);
    put(wlan, "BeaconType", "11i", Text, true);
    put(
        wlan,
        "IEEE11iAuthenticationMode",
        "PSKAuthentication",
        Text,
        true,
    );
    put(wlan, "KeyPassphrase", "", Text, true);
    put(wan, "Enable", "1", Boolean, true);
    put(wan, "ExternalIPAddress", "192.0.2.77", Text, false);
    put(wan, "PortMappingNumberOfEntries", "0", UnsignedInt, false);
    put(
        "LANDevice.1.Hosts.Host.1.",
        "HostName",
        "phone",
        Text,
        false,
    );
    put(
        "LANDevice.1.Hosts.Host.1.",
        "IPAddress",
        "192.168.1.2",
        Text,
        false,
    );
    put(ping, "DiagnosticsState", "None", Text, true);
    put(ping, "Host", "", Text, true);
    put(ping, "NumberOfRepetitions", "3", UnsignedInt, true);
    put(ping, "SuccessCount", "0", UnsignedInt, false);
    put("", "X_ACME_Odd", "x", Text, true);
    let params: Vec<_> = params
        .iter()
        .map(|(name, value, base, writable)| (name.as_str(), *value, *base, *writable))
        .collect();
    Fake::with(&params).table(
        &format!("{root}{wan}PortMapping."),
        &[
            ("PortMappingEnabled", "0", Boolean),
            ("ExternalPort", "0", UnsignedInt),
            ("PortMappingDescription", "", Text),
        ],
    )
}
