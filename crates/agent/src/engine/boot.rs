//! Start and restart: the state from storage or from the factory, what does not survive a restart, and Boot!.

use serde_json::{Map, Value};
use usp::proto::msg;

use super::access::Actor;
use super::{CONTROLLERS, Effect, Engine, EngineError, Held, SUBSCRIPTIONS, clock};
use crate::backend::Restart;
use crate::config::{ControllerConfig, MqttAddress, StompAddress, WebSocketAddress};
use crate::{Fault, Now};

const TRUST: &str = "Device.LocalAgent.ControllerTrust.";

impl Engine {
    pub(crate) fn load(&mut self, now: Now) -> Result<(), EngineError> {
        let entries = self.storage.load()?;
        let first = entries.is_empty();
        self.state.replay(entries);
        if first {
            self.factory(now)?;
        }
        self.configure_sockets();
        self.configured_controllers(now)?;
        self.persist()?;
        self.wake_up(now)
    }

    /// The connections are closed: restarts the device. Returns how long it stays down; `None`: for good.
    pub fn go_down(
        &mut self,
        now: Now,
        restart: &Restart,
    ) -> Result<Option<std::time::Duration>, EngineError> {
        if restart.factory_reset {
            // First of all, because the process may not survive what comes next.
            let boot = self.state.value("~boot").map(str::to_owned);
            self.state.clear();
            self.factory(now)?;
            self.configure_sockets();
            self.configured_controllers(now)?;
            if let Some(boot) = boot {
                self.state.set("~boot", &boot);
            }
            self.state.forget_undo();
            self.storage.compact(&self.state.snapshot())?;
        }
        Ok(self.backend.restart(restart))
    }

    /// The device is up again after [`Engine::go_down`].
    pub fn come_up(&mut self, now: Now) -> Result<(), EngineError> {
        self.effects.clear();
        self.wake_up(now)
    }

    /// What is common to every start.
    fn wake_up(&mut self, now: Now) -> Result<(), EngineError> {
        self.started = now;
        self.last = now;
        // Neither survives: running commands, and subscriptions that are not persistent.
        self.requests.clear();
        self.finished.clear();
        self.timers.clear();
        self.due.clear();
        self.links.retries.clear();
        self.actors.clear();
        self.backend_due = Some(now.at);
        let rows: Vec<u32> = self.state.instances(SUBSCRIPTIONS).collect();
        for n in rows {
            if !self.held_true(&format!("{SUBSCRIPTIONS}{n}.Persistent")) {
                self.state.remove(SUBSCRIPTIONS, n);
            }
        }
        self.load_certificate();
        self.persist()?;
        self.restore_timers();
        let (notifier, view) = (
            self.notifier.clone(),
            Held {
                schema: &self.schema,
                state: &self.state,
            },
        );
        self.backend.start(now, &view, notifier);
        self.rebuild_subscriptions(now);
        self.effects.clear();
        self.effects.push_back(Effect::ControllersChanged);
        self.reschedule_controllers(now, &[]);
        self.boot_event(now);
        Ok(())
    }

    /// Everything as it left the factory.
    fn factory(&mut self, now: Now) -> Result<(), EngineError> {
        for (n, name) in [(1, "Full Access"), (2, "Untrusted")] {
            let role = format!("{TRUST}Role.{n}.");
            self.state.insert(&format!("{TRUST}Role."), Some(n));
            self.state.insert(&format!("{role}Permission."), Some(1));
            let all = ["rw-n", "rw-n", "rw-n", "r-xn"];
            let few = ["r---", "r---", "r---", "----"];
            let (target, rights) = if n == 1 {
                ("Device.", all)
            } else {
                ("Device.DeviceInfo.", few)
            };
            let permission = format!("{role}Permission.1.");
            for (path, value) in [
                (format!("{role}Alias"), format!("cpe-{n}")),
                (format!("{role}Name"), name.to_owned()),
                (format!("{role}Enable"), "true".to_owned()),
                (format!("{permission}Alias"), "cpe-1".to_owned()),
                (format!("{permission}Enable"), "true".to_owned()),
                (format!("{permission}Order"), "1".to_owned()),
                (format!("{permission}Targets"), target.to_owned()),
                (format!("{permission}Param"), rights[0].to_owned()),
                (format!("{permission}Obj"), rights[1].to_owned()),
                (format!("{permission}InstantiatedObj"), rights[2].to_owned()),
                (format!("{permission}CommandEvent"), rights[3].to_owned()),
            ] {
                self.state.set(&path, &value);
            }
        }
        self.state
            .set(&format!("{TRUST}UntrustedRole"), &format!("{TRUST}Role.2"));
        if let Some(listen) = self.config.listen.clone() {
            self.state.insert("Device.LocalAgent.MTP.", Some(1));
            let row = "Device.LocalAgent.MTP.1.";
            for (name, value) in [
                ("Alias", "cpe-1".to_owned()),
                ("Enable", "true".to_owned()),
                ("Protocol", "WebSocket".to_owned()),
                ("WebSocket.Port", listen.address.port().to_string()),
                ("WebSocket.Path", listen.path.clone()),
                (
                    "WebSocket.EnableEncryption",
                    listen.certificate.is_some().to_string(),
                ),
            ] {
                self.state.set(&format!("{row}{name}"), &value);
            }
        }
        for (path, value) in self.backend.factory() {
            self.factory_value(&path, &value)
                .map_err(|fault| EngineError::Model(format!("{path}: {fault}")))?;
        }
        let _ = now;
        Ok(())
    }

    fn factory_value(&mut self, path: &str, value: &str) -> Result<(), Fault> {
        let def = self
            .param_def(path)
            .ok_or_else(|| Fault::unsupported_parameter("not in the supported model"))?;
        let normal = super::write::check_value(def, value)?;
        let mut at = 0;
        for segment in path.split_inclusive('.') {
            if let Some(number) = segment.strip_suffix('.').and_then(|n| n.parse().ok()) {
                self.state.insert(&path[..at], Some(number));
            }
            at += segment.len();
        }
        self.state.set(path, &normal);
        Ok(())
    }

    /// The controllers of the configuration file. One that is there already keeps what was set since, unless the file
    /// itself says something new.
    fn configured_controllers(&mut self, now: Now) -> Result<(), EngineError> {
        for controller in self.config.controllers.clone() {
            let note = format!("~url.{}", controller.endpoint_id);
            let known = self.state.instances(CONTROLLERS).find(|n| {
                self.held(&format!("{CONTROLLERS}{n}.EndpointID")) == controller.endpoint_id
            });
            match known {
                None => self.configure_controller(now, &controller, None)?,
                // It was found before: from now on it is what the file says.
                Some(n) if self.note_of_row(n, &controller.endpoint_id).is_some() => {
                    self.configure_controller(now, &controller, Some(n))?;
                    let row = format!("{CONTROLLERS}{n}.");
                    self.state.set(&format!("{row}Enable"), "true");
                    let role = role(&controller.role);
                    self.state.set(&format!("{row}AssignedRole"), &role);
                    self.forget_found(&controller.endpoint_id);
                }
                Some(n)
                    if self.state.value(&note) != Some(&controller.urls())
                        || self.is_cut_off(n) =>
                {
                    self.configure_controller(now, &controller, Some(n))?;
                }
                Some(_) => {}
            }
            self.state.set(&note, &controller.urls());
        }
        self.settle_found();
        Ok(())
    }

    /// Whether a controller is reached over a socket that is not there any more: the file had none for a while.
    fn is_cut_off(&self, instance: u32) -> bool {
        let row = format!("{CONTROLLERS}{instance}.MTP.1.");
        self.held(&format!("{row}Protocol")) == "UDS" && self.socket_reach(&row).is_none()
    }

    /// A row as the configuration says: all of it for a new one, else how it is reached.
    pub(super) fn configure_controller(
        &mut self,
        now: Now,
        config: &ControllerConfig,
        known: Option<u32>,
    ) -> Result<(), EngineError> {
        let instance = self.state.insert(CONTROLLERS, known);
        let row = format!("{CONTROLLERS}{instance}.");
        let mut values = Vec::new();
        if known.is_none() {
            self.local_created(now, &Actor::agent(), CONTROLLERS, &row);
            values.extend([
                ("Alias".to_owned(), format!("cpe-{instance}")),
                ("EndpointID".to_owned(), config.endpoint_id.clone()),
                ("Enable".to_owned(), "true".to_owned()),
                ("AssignedRole".to_owned(), role(&config.role)),
                (
                    "PeriodicNotifInterval".to_owned(),
                    config.periodic_interval.to_string(),
                ),
                (
                    "E2ESession.SessionMode".to_owned(),
                    config.session_mode.clone(),
                ),
                (
                    "E2ESession.MaxUSPRecordSize".to_owned(),
                    config.record_bytes_max.to_string(),
                ),
                (
                    "E2ESession.PayloadSecurity".to_owned(),
                    config.payload_security.clone(),
                ),
            ]);
        }
        let mtp = |name: &str| format!("MTP.1.{name}");
        for (n, url) in (1..).zip([config.url.as_str(), config.second_url()]) {
            if !url.is_empty() {
                self.state.insert(&format!("{row}MTP."), Some(n));
                values.extend([
                    (format!("MTP.{n}.Alias"), format!("cpe-{n}")),
                    (format!("MTP.{n}.Enable"), "true".to_owned()),
                    (format!("MTP.{n}.Order"), n.to_string()),
                ]);
            }
        }
        let bad = |reason: String| {
            EngineError::Model(format!("controller {}: url {reason}", config.endpoint_id))
        };
        if !config.second_url().is_empty() {
            let address = MqttAddress::parse(config.second_url()).map_err(bad)?;
            values.extend(self.configure_mqtt(config, address, 2));
        }
        if MqttAddress::is_one(&config.url) {
            let address = MqttAddress::parse(&config.url).map_err(bad)?;
            values.extend(self.configure_mqtt(config, address, 1));
        } else if config.is_local() {
            let services = self.config.services.clone().unwrap_or_default();
            let (mode, path) = match (config.socket(), services.broker_agent) {
                (Some(path), _) => ("Connect", path),
                (None, Some(path)) => ("Listen", path.display().to_string()),
                (None, None) => return Err(bad("needs services.broker_agent".into())),
            };
            let socket = self.socket(mode, &path);
            values.extend([
                (mtp("Protocol"), "UDS".to_owned()),
                (mtp("UDS.UnixDomainSocketRef"), socket),
            ]);
        } else if StompAddress::is_one(&config.url) {
            let address = StompAddress::parse(&config.url).map_err(bad)?;
            values.extend(self.configure_stomp(config, address));
        } else if !config.url.is_empty() {
            let address = WebSocketAddress::parse(&config.url).map_err(bad)?;
            values.extend([
                (mtp("Protocol"), "WebSocket".to_owned()),
                (mtp("WebSocket.Host"), address.host),
                (mtp("WebSocket.Port"), address.port.to_string()),
                (mtp("WebSocket.Path"), address.path),
                (
                    mtp("WebSocket.EnableEncryption"),
                    address.encrypted.to_string(),
                ),
                (
                    mtp("WebSocket.KeepAliveInterval"),
                    config.keep_alive.to_string(),
                ),
                (
                    mtp("WebSocket.SessionRetryMinimumWaitInterval"),
                    config.retry_min_wait.to_string(),
                ),
                (
                    mtp("WebSocket.SessionRetryIntervalMultiplier"),
                    config.retry_multiplier.to_string(),
                ),
            ]);
        }
        for (name, value) in values {
            self.state.set(&format!("{row}{name}"), &value);
        }
        Ok(())
    }

    /// A restart is wanted: noted for the next Boot!, then the driver is asked.
    pub(crate) fn note_restart(&mut self, restart: Restart) {
        let note = format!(
            "{}\t{}\t{}\t{}",
            restart.cause,
            restart.firmware_updated,
            restart.command_key.replace('\t', " "),
            restart.reason.replace('\t', " ")
        );
        self.state.set("~boot", &note);
        self.persist_quietly();
        self.effects.push_back(Effect::Restart(restart));
    }

    /// Boot! to everybody who subscribed, with each controller's own boot parameters.
    fn boot_event(&mut self, now: Now) {
        let note = self.state.value("~boot").unwrap_or_default().to_owned();
        self.state.unset("~boot");
        self.persist_quietly();
        let mut fields = note.splitn(4, '\t');
        let cause = fields
            .next()
            .filter(|cause| !cause.is_empty())
            .unwrap_or("LocalReboot");
        let firmware = fields.next().unwrap_or("false");
        let key = fields.next().unwrap_or_default();
        let reason = fields.next().unwrap_or_default();
        let controllers: Vec<u32> = self.state.instances(CONTROLLERS).collect();
        for controller in controllers {
            let args = [
                ("CommandKey", key.to_owned()),
                ("Cause", cause.to_owned()),
                ("Reason", reason.to_owned()),
                ("FirmwareUpdated", firmware.to_owned()),
                ("ParameterMap", self.parameter_map(now, controller)),
            ];
            let args = args
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
            self.event(now, "Device.Boot!", args, Some(controller));
        }
    }

    /// The boot parameters a controller asked for, as a JSON object of paths and values.
    fn parameter_map(&self, now: Now, controller: u32) -> String {
        let table = format!("{CONTROLLERS}{controller}.BootParameter.");
        let names: Vec<String> = self
            .state
            .instances(&table)
            .map(|n| format!("{table}{n}."))
            .filter(|row| self.held_true(&format!("{row}Enable")))
            .map(|row| self.held(&format!("{row}ParameterName")))
            .collect();
        let mut map = Map::new();
        let request = msg::Get {
            param_paths: names,
            max_depth: 0,
        };
        if let Ok(response) = self.get(now, &self.compile_actor(controller), request) {
            for object in response
                .req_path_results
                .into_iter()
                .flat_map(|result| result.resolved_path_results)
            {
                for (name, value) in object.result_params.iter() {
                    map.insert(
                        format!("{}{name}", object.resolved_path),
                        Value::String(value.to_owned()),
                    );
                }
            }
        }
        Value::Object(map).to_string()
    }

    /// What an OnBoardRequest says (R-NOT.5).
    pub fn on_board_request(&self, now: Now) -> msg::OnBoardRequest {
        let value = |name: &str| {
            self.value(now, &format!("Device.DeviceInfo.{name}"))
                .unwrap_or_default()
        };
        msg::OnBoardRequest {
            oui: value("ManufacturerOUI"),
            product_class: value("ProductClass"),
            serial_number: value("SerialNumber"),
            agent_supported_protocol_versions: self.versions.list(),
        }
    }

    /// Wall clock text, for back ends and tests.
    pub fn date_time(now: Now) -> String {
        clock::format_ms(now.unix_ms)
    }
}

/// The row of a role that configurations know by this name.
pub(super) fn role(name: &str) -> String {
    let n = if name == "Untrusted" { 2 } else { 1 };
    format!("{TRUST}Role.{n}")
}
