//! A toy gateway and a controller talking to its engine directly.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dm::Schema;
use usp::msg::required;
use usp::proto::msg::{self, CreateStatus, DeleteStatus, Request, Response, UpdateStatus};
use usp::{EndpointId, UspError};

use crate::backend::Restart;
use crate::{
    AgentConfig, Backend, Call, Change, ControllerConfig, Effect, Engine, Fault, MemoryStorage,
    Now, Outcome, Storage, View, Watch,
};

pub const CONTROLLER: &str = "self::controller";
pub const OTHER: &str = "self::other";

/// What the toy was asked to apply.
pub type Applied = Arc<Mutex<Vec<Change>>>;

pub struct Toy {
    schema: Arc<Schema>,
    pub applied: Applied,
    /// Refuse the next apply.
    pub refuse: Arc<Mutex<bool>>,
    /// How many hosts there are.
    pub hosts: u32,
    pub watch: Watch,
}

impl Backend for Toy {
    fn schema(&self) -> Arc<Schema> {
        self.schema.clone()
    }

    fn factory(&self) -> Vec<(String, String)> {
        let mut out = Vec::new();
        for n in 1..=3 {
            out.push((format!("Device.WiFi.SSID.{n}.Alias"), format!("cpe-{n}")));
            out.push((format!("Device.WiFi.SSID.{n}.Name"), format!("wl{n}")));
            out.push((format!("Device.WiFi.SSID.{n}.SSID"), format!("net{n}")));
            out.push((
                format!("Device.WiFi.AccessPoint.{n}.Alias"),
                format!("cpe-{n}"),
            ));
            out.push((
                format!("Device.WiFi.AccessPoint.{n}.SSIDReference"),
                format!("Device.WiFi.SSID.{n}"),
            ));
        }
        out.push((
            "Device.WiFi.AccessPoint.1.Security.KeyPassphrase".into(),
            "secret-passphrase".into(),
        ));
        out
    }

    fn instances(&self, table: &str) -> Option<Vec<u32>> {
        (table == "Device.Hosts.Host.").then(|| (1..=self.hosts).collect())
    }

    fn watch(&self) -> Watch {
        self.watch
    }

    fn read(&self, _: Now, path: &str) -> Option<String> {
        Some(match path {
            "Device.DeviceInfo.SerialNumber" => "S1".into(),
            "Device.DeviceInfo.ManufacturerOUI" => "00256D".into(),
            "Device.DeviceInfo.ProductClass" => "Toy".into(),
            "Device.Hosts.Host.1.PhysAddress" => "00:11:22:33:44:01".into(),
            "Device.Hosts.Host.2.PhysAddress" => "00:11:22:33:44:02".into(),
            _ => return None,
        })
    }

    fn check(&self, object: &str, view: &dyn View) -> Result<(), (Option<String>, Fault)> {
        match view.value(&format!("{object}SSID")) {
            Some(ssid) if ssid == "forbidden" => Err((
                Some("SSID".into()),
                Fault::value_conflict("no such network"),
            )),
            _ => Ok(()),
        }
    }

    fn apply(&mut self, _: Now, changes: &[Change], _: &dyn View) -> Result<(), Fault> {
        if std::mem::take(&mut *self.refuse.lock().unwrap()) {
            return Err(Fault::operation_error("the radio did not take it"));
        }
        self.applied.lock().unwrap().extend_from_slice(changes);
        Ok(())
    }

    fn operate(&mut self, _: Now, call: &Call, _: &dyn View) -> Outcome {
        match call.command.as_str() {
            "Device.Reboot()" => Outcome::Restart(Restart {
                cause: "RemoteReboot".into(),
                command_key: call.command_key.clone(),
                ..Restart::default()
            }),
            "Device.FactoryReset()" => Outcome::Restart(Restart {
                cause: "RemoteFactoryReset".into(),
                factory_reset: true,
                ..Restart::default()
            }),
            "Device.SelfTestDiagnostics()" => Outcome::Running,
            "Device.IP.Diagnostics.IPPing()" | "Device.IP.Diagnostics.IPLayerCapacity()" => {
                Outcome::Done(Ok(call.args.clone()))
            }
            _ => Outcome::Done(Err(Fault::command_failure("no"))),
        }
    }

    fn cancel(&mut self, _: u32) -> bool {
        true
    }
}

pub fn toy() -> Toy {
    static SCHEMA: std::sync::OnceLock<Arc<Schema>> = std::sync::OnceLock::new();
    let schema = SCHEMA.get_or_init(|| {
        crate::model(&[
            "Device.DeviceInfo.!only",
            "Device.WiFi.!only",
            "Device.WiFi.SSID.{i}.!only",
            "Device.WiFi.AccessPoint.{i}.!only",
            "Device.WiFi.AccessPoint.{i}.Security.!only",
            "Device.NAT.PortMapping.{i}.!only",
            "Device.Hosts.!only",
            "Device.Hosts.Host.{i}.!only",
            "Device.SelfTestDiagnostics()",
            "Device.IP.Diagnostics.IPPing()",
            "Device.IP.Diagnostics.IPLayerCapacity()",
        ])
        .unwrap()
    });
    Toy {
        schema: schema.clone(),
        applied: Applied::default(),
        refuse: Arc::default(),
        hosts: 2,
        watch: Watch::Hints,
    }
}

pub struct Rig {
    pub engine: Engine,
    pub now: Now,
    pub flash: MemoryStorage,
    pub applied: Applied,
    pub refuse: Arc<Mutex<bool>>,
}

impl Rig {
    pub fn new() -> Rig {
        Rig::configured(config())
    }

    pub fn configured(config: AgentConfig) -> Rig {
        let now = Now {
            at: Instant::now(),
            unix_ms: 1_795_000_000_000,
        };
        Rig::made(config, toy(), MemoryStorage::new(), now)
    }

    pub fn on(flash: MemoryStorage, now: Now) -> Rig {
        Rig::with(toy(), flash, now)
    }

    pub fn with(toy: Toy, flash: MemoryStorage, now: Now) -> Rig {
        Rig::made(config(), toy, flash, now)
    }

    pub fn made(config: AgentConfig, toy: Toy, flash: MemoryStorage, now: Now) -> Rig {
        let (applied, refuse) = (toy.applied.clone(), toy.refuse.clone());
        let storage: Box<dyn Storage> = Box::new(flash.clone());
        let engine = Engine::new(config, Box::new(toy), storage, now).unwrap();
        Rig {
            engine,
            now,
            flash,
            applied,
            refuse,
        }
    }

    pub fn ask_as(&mut self, who: &str, request: impl Into<Request>) -> Result<Response, UspError> {
        let who: EndpointId = who.parse().unwrap();
        self.engine.handle(self.now, &who, request.into())
    }

    pub fn ask(&mut self, request: impl Into<Request>) -> Result<Response, UspError> {
        self.ask_as(CONTROLLER, request)
    }

    pub fn pass(&mut self, seconds: u64) {
        self.now.at += Duration::from_secs(seconds);
        self.now.unix_ms += 1000 * seconds as i64;
        self.engine.tick(self.now);
    }

    pub fn effects(&mut self) -> Vec<Effect> {
        self.engine.tick(self.now);
        std::iter::from_fn(|| self.engine.poll_effect()).collect()
    }

    pub fn notifies(&mut self) -> Vec<msg::Notify> {
        let effects = self.effects();
        effects
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Notify(outgoing) => Some(outgoing.notify),
                _ => None,
            })
            .collect()
    }

    pub fn get(&mut self, path: &str) -> msg::RequestedPathResult {
        match self.ask(usp::msg::get([path])) {
            Ok(Response::GetResp(mut resp)) => resp.req_path_results.remove(0),
            other => panic!("{other:?}"),
        }
    }

    /// (path, value) of everything below.
    pub fn values(&mut self, path: &str) -> Vec<(String, String)> {
        let result = self.get(path);
        assert_eq!(result.err_code, 0, "{}", result.err_msg);
        let mut out: Vec<(String, String)> = result
            .resolved_path_results
            .iter()
            .flat_map(|o| {
                o.result_params
                    .iter()
                    .map(|(n, v)| (format!("{}{n}", o.resolved_path), v.to_owned()))
            })
            .collect();
        out.sort();
        out
    }

    pub fn value(&mut self, path: &str) -> String {
        let values = self.values(path);
        assert_eq!(values.len(), 1, "{values:?}");
        values[0].1.clone()
    }

    /// A valid subscription; returns its path.
    pub fn subscribe(&mut self, kind: &str, reference: &str, more: &[(&str, &str)]) -> String {
        let mut settings = vec![
            ("Enable", "true"),
            ("NotifType", kind),
            ("ReferenceList", reference),
        ];
        settings.extend_from_slice(more);
        self.add(SUBSCRIPTION, &settings).unwrap()
    }

    pub fn add(&mut self, table: &str, settings: &[(&str, &str)]) -> Result<String, UspError> {
        let settings = settings
            .iter()
            .map(|(n, v)| usp::msg::required(*n, *v))
            .collect::<Vec<_>>();
        match self.ask(msg::Add {
            allow_partial: false,
            create_objs: vec![create(table, settings)],
        })? {
            Response::AddResp(resp) => match &resp.created_obj_results[0].oper_status {
                msg::CreateStatus::OperSuccess(success) => Ok(success.instantiated_path.clone()),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    pub fn set(&mut self, path: &str, value: &str) -> Result<msg::SetResp, UspError> {
        match self.ask(usp::msg::set_values([(path, value)]))? {
            Response::SetResp(resp) => Ok(resp),
            other => panic!("{other:?}"),
        }
    }
}

pub const SUBSCRIPTION: &str = "Device.LocalAgent.Subscription.";

pub fn config() -> AgentConfig {
    let controller = |endpoint_id: &str, role: &str| ControllerConfig {
        endpoint_id: endpoint_id.into(),
        url: "ws://127.0.0.1:1/usp/key".into(),
        role: role.into(),
        ..ControllerConfig::default()
    };
    AgentConfig {
        endpoint_id: "os::00256D-S1".into(),
        controllers: vec![
            controller(CONTROLLER, "Full Access"),
            controller(OTHER, "Untrusted"),
        ],
        ..AgentConfig::default()
    }
}

pub fn create(table: &str, param_settings: Vec<msg::ParamSetting>) -> msg::CreateObject {
    msg::CreateObject {
        obj_path: table.into(),
        param_settings,
    }
}

pub fn update(object: &str, param_settings: Vec<msg::ParamSetting>) -> msg::UpdateObject {
    msg::UpdateObject {
        obj_path: object.into(),
        param_settings,
    }
}

pub fn good(id: &str) -> Vec<msg::ParamSetting> {
    vec![
        required("Enable", "true"),
        required("ID", id),
        required("NotifType", "ValueChange"),
        required("ReferenceList", "Device.LocalAgent.SoftwareVersion"),
    ]
}

pub fn bad(id: &str) -> Vec<msg::ParamSetting> {
    let mut settings = good(id);
    settings[0] = required("Enable", "InvalidValue");
    settings
}

pub fn add(
    rig: &mut Rig,
    allow_partial: bool,
    create_objs: Vec<msg::CreateObject>,
) -> Result<Vec<CreateStatus>, UspError> {
    match rig.ask(msg::Add {
        allow_partial,
        create_objs,
    })? {
        Response::AddResp(resp) => Ok(resp
            .created_obj_results
            .into_iter()
            .map(|r| r.oper_status)
            .collect()),
        other => panic!("{other:?}"),
    }
}

pub fn set(
    rig: &mut Rig,
    allow_partial: bool,
    update_objs: Vec<msg::UpdateObject>,
) -> Result<Vec<UpdateStatus>, UspError> {
    match rig.ask(msg::Set {
        allow_partial,
        update_objs,
    })? {
        Response::SetResp(resp) => Ok(resp
            .updated_obj_results
            .into_iter()
            .map(|r| r.oper_status)
            .collect()),
        other => panic!("{other:?}"),
    }
}

pub fn delete(
    rig: &mut Rig,
    allow_partial: bool,
    paths: &[&str],
) -> Result<Vec<DeleteStatus>, UspError> {
    match rig.ask(usp::msg::delete(allow_partial, paths.iter().copied()))? {
        Response::DeleteResp(resp) => Ok(resp
            .deleted_obj_results
            .into_iter()
            .map(|r| r.oper_status)
            .collect()),
        other => panic!("{other:?}"),
    }
}

pub fn rows(rig: &mut Rig) -> usize {
    rig.get(SUBSCRIPTION).resolved_path_results.len()
}

pub fn affected(status: &DeleteStatus) -> Vec<String> {
    match status {
        DeleteStatus::OperSuccess(success) => success.affected_paths.clone(),
        other => panic!("{other:?}"),
    }
}
