//! The LocalAgent objects: live values, what a new row starts with, checks beyond types, and the agent's own commands.

use dm::{Path, PathKind};

use super::access::Actor;
use super::notify::Kind;
use super::paths::{list_items, split};
use super::{CONTROLLERS, Effect, Engine, Reach, SUBSCRIPTIONS, clock};
use crate::limits::{SUBSCRIPTIONS_MAX, TRIGGER_SETTINGS_MAX};
use crate::{Call, Fault, Now, Outcome};

impl Engine {
    /// Live values below `Device.LocalAgent.`; `None`: held ones.
    pub(crate) fn local_value(&self, now: Now, rest: &str) -> Option<String> {
        let mut parts = rest.split('.');
        Some(
            match (
                parts.next()?,
                parts.next(),
                parts.next(),
                parts.next(),
                parts.next(),
                parts.next(),
            ) {
                ("EndpointID", None, ..) => self.own.to_string(),
                ("SoftwareVersion", None, ..) => env!("CARGO_PKG_VERSION").to_owned(),
                ("UpTime", None, ..) => now
                    .at
                    .saturating_duration_since(self.started.at)
                    .as_secs()
                    .to_string(),
                ("SupportedNumberOfSubscriptions", None, ..) => SUBSCRIPTIONS_MAX.to_string(),
                ("Request", Some(n), Some(name), None, ..) => {
                    let running = self.requests.get(&n.parse().ok()?)?;
                    match name {
                        "Originator" => running.originator.clone(),
                        "Command" => running.command.clone(),
                        "CommandKey" => running.command_key.clone(),
                        "Status" => running.status.to_owned(),
                        _ => format!("cpe-{n}"),
                    }
                }
                ("MTP", Some(n), Some("Status"), None, ..) => {
                    let row = format!("Device.LocalAgent.MTP.{n}.");
                    let live = match self.held(&format!("{row}Protocol")).as_str() {
                        "MQTT" => self.mqtt_discovered(n.parse().ok()?).is_some(),
                        // Its file is there as long as the agent runs.
                        "UDS" => true,
                        "STOMP" => self.stomp_discovered(n.parse().ok()?).is_some(),
                        _ => self.links.listening,
                    };
                    let up = self.held_true(&format!("{row}Enable")) && live;
                    if up { "Up".into() } else { "Down".into() }
                }
                ("Controller", Some(n), Some("E2ESession"), Some(name), None, _) => {
                    return self.session_value(n.parse().ok()?, name);
                }
                ("MTP", Some(n), Some("MQTT"), Some("ResponseTopicDiscovered"), None, ..) => {
                    let topic = self.mqtt_discovered(n.parse().ok()?);
                    topic.unwrap_or_default().to_owned()
                }
                ("MTP", Some(n), Some("STOMP"), Some("DestinationFromServer"), None, ..) => {
                    let destination = self.stomp_discovered(n.parse().ok()?);
                    destination.unwrap_or_default().to_owned()
                }
                (
                    "Controller",
                    Some(n),
                    Some("MTP"),
                    Some(_),
                    Some("WebSocket"),
                    Some("CurrentRetryCount"),
                ) => self
                    .links
                    .retries
                    .get(&n.parse().ok()?)
                    .copied()
                    .unwrap_or(0)
                    .to_string(),
                _ => return None,
            },
        )
    }

    /// What a new row has before its settings are applied; read-only things, mostly.
    pub(crate) fn local_created(&mut self, now: Now, actor: &Actor, table: &str, object: &str) {
        let mut put = |name: &str, value: &str| self.state.set(&format!("{object}{name}"), value);
        if table == SUBSCRIPTIONS {
            let recipient = actor.controller.unwrap_or(0);
            put(
                "Recipient",
                &format!("Device.LocalAgent.Controller.{recipient}"),
            );
            put("CreationDate", &clock::format_ms(now.unix_ms));
        } else if table == CONTROLLERS {
            put("PeriodicNotifInterval", "86400");
            put("PeriodicNotifTime", clock::UNKNOWN);
            put("E2ESession.SessionMode", "Allow");
            put("E2ESession.PayloadSecurity", "Plaintext");
            put("E2ESession.SessionRetryMinimumWaitInterval", "5");
            put("E2ESession.SessionRetryIntervalMultiplier", "2000");
            // R-SEC.6: who is new is not trusted.
            let role = self.held("Device.LocalAgent.ControllerTrust.UntrustedRole");
            self.state.set(&format!("{object}AssignedRole"), &role);
        } else if table.starts_with(CONTROLLERS) && table.ends_with(".MTP.") {
            put("Protocol", "WebSocket");
            put("Order", "1");
            put("WebSocket.KeepAliveInterval", "60");
            put("WebSocket.Port", "80");
        } else if table == "Device.LocalAgent.MTP." {
            put("Protocol", "WebSocket");
        }
    }

    /// Checks of a single value that its type does not make.
    pub(crate) fn local_value_check(&self, full: &str, value: &str) -> Result<(), Fault> {
        let Some(rest) = full.strip_prefix("Device.LocalAgent.") else {
            return Ok(());
        };
        let (_, name) = split(full);
        match name {
            "EndpointID" => {
                value
                    .parse::<usp::EndpointId>()
                    .map_err(|error| Fault::invalid_value(format!("{value}: {error}")))?;
            }
            "Protocol" if !matches!(value, "WebSocket" | "MQTT" | "STOMP" | "UDS") => {
                return Err(Fault::invalid_value(format!(
                    "{value} is not supported: this agent speaks WebSocket, MQTT, STOMP and UDS"
                )));
            }
            "PayloadSecurity" if value == "TLS" && !self.links.end_to_end => {
                return Err(Fault::invalid_value(
                    "TLS in session contexts takes a certificate of this agent, and it has none that fits",
                ));
            }
            "Param" | "Obj" | "InstantiatedObj" | "CommandEvent"
                if rest.contains(".Permission.") =>
            {
                let fits = value.len() == 4
                    && value
                        .chars()
                        .zip("rwxn".chars())
                        .all(|(got, letter)| got == letter || got == '-');
                if !fits {
                    return Err(Fault::invalid_value(format!(
                        "{value:?} is not a permission: four of r w x n in order, or -"
                    )));
                }
            }
            "ReferenceList" => {
                let before = self.held(full);
                if !before.is_empty() && before != value {
                    return Err(Fault::not_writable(
                        "ReferenceList cannot change once it is set; delete and add the subscription",
                    ));
                }
            }
            "TriggerConfigSettings" => {
                let settings: Vec<&str> = list_items(value).collect();
                if settings.len() > TRIGGER_SETTINGS_MAX {
                    return Err(Fault::resources_exceeded(format!(
                        "at most {TRIGGER_SETTINGS_MAX} settings"
                    )));
                }
                if let Some(bad) = settings.iter().find(|s| {
                    s.split_once('=')
                        .is_none_or(|(path, _)| Path::parse(path.trim()).is_err())
                }) {
                    return Err(Fault::invalid_value(format!("{bad:?} is not Path=Value")));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks of a whole LocalAgent object.
    pub(crate) fn local_check(&self, object: &str) -> Result<(), (Option<String>, Fault)> {
        if !object.starts_with(SUBSCRIPTIONS) {
            return Ok(());
        }
        let Some(kind) = Kind::parse(&self.held(&format!("{object}NotifType"))) else {
            return Ok(());
        };
        for reference in list_items(&self.held(&format!("{object}ReferenceList"))) {
            let bad = |reason: String| {
                (
                    Some("ReferenceList".to_owned()),
                    Fault::invalid_value(format!("{reference}: {reason}")),
                )
            };
            let path = Path::parse(reference).map_err(|error| bad(error.to_string()))?;
            self.supported(&path).map_err(|fault| bad(fault.message))?;
            let recipient = self.recipient(object).unwrap_or(0);
            self.check_reference(recipient, kind, reference)
                .map_err(|fault| bad(fault.message))?;
            let fits = match path.kind() {
                PathKind::Object => true,
                PathKind::Parameter => kind == Kind::ValueChange,
                PathKind::Command => kind == Kind::OperationComplete,
                PathKind::Event => kind == Kind::Event,
            };
            if !fits {
                return Err(bad("cannot be the subject of this NotifType".into()));
            }
        }
        Ok(())
    }

    /// Commands of the agent itself.
    pub(crate) fn local_operate(&mut self, now: Now, actor: &Actor, call: &Call) -> Outcome {
        let parts: Vec<&str> = call.command.split('.').collect();
        match parts.as_slice() {
            ["Device", "ScheduleTimer()"] => {
                let seconds: i64 = call
                    .arg("DelaySeconds")
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(0);
                let due = now.unix_ms.saturating_add(seconds.saturating_mul(1000));
                self.note_timer(call, actor, due);
                Outcome::Running
            }
            ["Device", "LocalAgent", "AddCertificate()"] => {
                Outcome::Done(self.add_certificate(now, call, actor.controller))
            }
            ["Device", "LocalAgent", "Request", n, "Cancel()"] => {
                Outcome::Done(n.parse().map_or_else(
                    |_| Err(Fault::internal("no such row")),
                    |n| self.cancel(now, n),
                ))
            }
            [
                "Device",
                "LocalAgent",
                "Controller",
                n,
                "SendOnBoardRequest()",
            ] => {
                let Ok(n) = n.parse() else {
                    return Outcome::Done(Err(Fault::internal("no such row")));
                };
                // TP-469 1.101
                self.state
                    .set(&format!("{CONTROLLERS}{n}.OnBoardingComplete"), "false");
                let result = self.commit(now, actor.controller).map(|()| Vec::new());
                if result.is_ok() {
                    self.on_board(n);
                }
                Outcome::Done(result)
            }
            [
                "Device",
                "LocalAgent",
                "Controller",
                n,
                "MTP",
                mtp,
                "WebSocket",
                "Reset()",
            ] => {
                if let (Ok(n), Ok(mtp)) = (n.parse(), mtp.parse()) {
                    self.effects.push_back(Effect::Reconnect(n, mtp));
                }
                Outcome::Done(Ok(Vec::new()))
            }
            [
                "Device",
                "LocalAgent",
                "Controller",
                n,
                "E2ESession",
                "Reset()",
            ] => {
                if let Ok(n) = n.parse() {
                    self.effects.push_back(Effect::ResetContext(n));
                }
                Outcome::Done(Ok(Vec::new()))
            }
            ["Device", "MQTT", "Client", client, "ForceReconnect()"] => {
                let client: Option<u32> = client.parse().ok();
                for link in self.controllers() {
                    if matches!(&link.reach, Reach::Mqtt(mqtt) if Some(mqtt.client) == client) {
                        let reconnect = Effect::Reconnect(link.instance, link.mtp);
                        self.effects.push_back(reconnect);
                    }
                }
                Outcome::Done(Ok(Vec::new()))
            }
            _ => Outcome::Done(Err(Fault::command_failure(format!(
                "{} is not available",
                call.command
            )))),
        }
    }
}
