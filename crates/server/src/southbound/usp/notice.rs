//! What a notice becomes in the event log, and back: the log is the evidence an operation is
//! decided by after a crash.

use std::collections::BTreeMap;

use fleet::secret;
use fleet::southbound::{Boot, Fault, Notice};
use fleet::{DeviceId, Event, EventKind, TenantId, Timestamp};
use serde_json::{Value, json};

/// The event of a notice. Secrets are masked: the log is for people.
pub fn event(tenant: &TenantId, device: DeviceId, at: Timestamp, notice: &Notice) -> Event {
    let (kind, data) = match notice {
        Notice::Boot(boot) => (
            EventKind::DeviceBooted,
            json!({
                "cause": boot.cause,
                "command_key": boot.command_key,
                "reason": boot.reason,
                "firmware_updated": boot.firmware_updated,
                "over": boot.over,
            }),
        ),
        Notice::ValueChange { path, value } => {
            let value = secret::shown(path, value.clone());
            (
                EventKind::DeviceValueChanged,
                json!({ "path": path, "value": value }),
            )
        }
        Notice::ObjectCreated { path, keys } => (
            EventKind::DeviceObjectCreated,
            json!({ "path": path, "keys": shown(keys) }),
        ),
        Notice::ObjectDeleted { path } => (EventKind::DeviceObjectDeleted, json!({ "path": path })),
        Notice::CommandCompleted {
            object,
            command,
            key,
            result,
        } => {
            let mut data = json!({ "object": object, "command": command, "key": key });
            match result {
                Ok(outputs) => data["outputs"] = shown(outputs),
                Err(fault) => {
                    data["fault"] = json!({ "code": fault.code, "message": fault.message });
                    if fault.ours {
                        data["fault"]["ours"] = true.into();
                    }
                }
            }
            (EventKind::DeviceCommandCompleted, data)
        }
        Notice::CommandOver {
            object,
            command,
            key,
            outputs,
        } => (
            EventKind::DeviceCommandCompleted,
            json!({
                "object": object, "command": command, "key": key, "outputs": shown(outputs), "unsaid": true,
            }),
        ),
        Notice::OnBoard {
            oui,
            product_class,
            serial,
            versions,
        } => (
            EventKind::DeviceOnboardRequest,
            json!({
                "oui": oui, "product_class": product_class, "serial": serial, "versions": versions,
            }),
        ),
        Notice::Periodic => (EventKind::DevicePeriodic, json!({})),
        Notice::Event {
            object,
            name,
            params,
        } => (
            EventKind::DeviceEvent,
            json!({ "event": format!("{object}{name}"), "params": shown(params) }),
        ),
    };
    Event::new(tenant.clone(), at, kind)
        .device(device)
        .data(data)
}

/// Names and values; those of secrets are masked.
fn shown<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> Value {
    let shown = pairs.into_iter().map(|(name, value)| {
        let value = secret::shown(name, value.clone());
        (name.clone(), value.into())
    });
    Value::Object(shown.collect())
}

/// The notice of an event, of those kinds that tell of values. Secrets are masked in it.
pub fn of_values(event: &Event) -> Option<Notice> {
    let text = |name: &str| event.data[name].as_str().map(str::to_owned);
    Some(match event.kind {
        EventKind::DeviceValueChanged => Notice::ValueChange {
            path: text("path")?,
            value: text("value")?,
        },
        EventKind::DeviceObjectCreated => Notice::ObjectCreated {
            path: text("path")?,
            keys: serde_json::from_value(event.data["keys"].clone()).unwrap_or_default(),
        },
        EventKind::DeviceObjectDeleted => Notice::ObjectDeleted {
            path: text("path")?,
        },
        _ => return None,
    })
}

/// The notice of an event, of those kinds that can decide an operation.
pub fn evidence(event: &Event) -> Option<(Timestamp, Notice)> {
    let text = |name: &str| event.data[name].as_str().unwrap_or_default().to_owned();
    let notice = match event.kind {
        EventKind::DeviceBooted => Notice::Boot(Boot {
            command_key: text("command_key"),
            cause: text("cause"),
            reason: text("reason"),
            firmware_updated: event.data["firmware_updated"].as_bool().unwrap_or_default(),
            parameters: Vec::new(),
            over: serde_json::from_value(event.data["over"].clone()).unwrap_or_default(),
        }),
        EventKind::DeviceCommandCompleted if event.data["unsaid"] == true => Notice::CommandOver {
            object: text("object"),
            command: text("command"),
            key: text("key"),
            outputs: serde_json::from_value(event.data["outputs"].clone()).unwrap_or_default(),
        },
        EventKind::DeviceCommandCompleted => Notice::CommandCompleted {
            object: text("object"),
            command: text("command"),
            key: text("key"),
            result: match &event.data["fault"] {
                Value::Object(fault) => Err(Fault {
                    code: fault["code"]
                        .as_u64()
                        .and_then(|c| u32::try_from(c).ok())
                        .unwrap_or(7022),
                    message: fault["message"].as_str().unwrap_or_default().to_owned(),
                    ours: fault.get("ours").is_some_and(|ours| *ours == true),
                }),
                _ => Ok(serde_json::from_value::<BTreeMap<String, String>>(
                    event.data["outputs"].clone(),
                )
                .unwrap_or_default()),
            },
        },
        _ => return None,
    };
    Some((event.at, notice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_operations_reads_back_from_the_log() {
        let tenant = TenantId::parse("acme").unwrap();
        let device = DeviceId(uuid::Uuid::nil());
        let at = Timestamp::from_millis(5);
        let boot = Boot {
            command_key: "k".into(),
            cause: "RemoteReboot".into(),
            ..Boot::default()
        };
        let outputs = BTreeMap::from([("Result".to_owned(), "ok".to_owned())]);
        let ended = |result| Notice::CommandCompleted {
            object: "Device.".into(),
            command: "Ping()".into(),
            key: "k".into(),
            result,
        };
        for notice in [
            Notice::Boot(boot),
            ended(Ok(outputs.clone())),
            Notice::CommandOver {
                object: "Device.".into(),
                command: "Ping()".into(),
                key: "k".into(),
                outputs,
            },
            ended(Err(Fault::new(7022, "no"))),
            ended(Err(Fault::ours(7022, "no"))),
        ] {
            let event = event(&tenant, device, at, &notice);
            assert_eq!(evidence(&event), Some((at, notice)));
        }
    }

    #[test]
    fn what_tells_of_values_reads_back_from_the_log() {
        let tenant = TenantId::parse("acme").unwrap();
        let device = DeviceId(uuid::Uuid::nil());
        let path = "Device.T.1.".to_owned();
        for notice in [
            Notice::ValueChange {
                path: "Device.T.1.Name".into(),
                value: "x".into(),
            },
            Notice::ObjectCreated {
                path: path.clone(),
                keys: BTreeMap::from([("Name".to_owned(), "x".to_owned())]),
            },
            Notice::ObjectDeleted { path },
        ] {
            let event = event(&tenant, device, Timestamp::default(), &notice);
            assert_eq!(of_values(&event), Some(notice));
        }
        let periodic = event(&tenant, device, Timestamp::default(), &Notice::Periodic);
        assert_eq!(of_values(&periodic), None);
    }

    #[test]
    fn a_changed_secret_is_not_written_to_the_log() {
        let path = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase".to_owned();
        let notice = Notice::ValueChange {
            path,
            value: "hunter22".into(),
        };
        let tenant = TenantId::parse("acme").unwrap();
        let event = event(
            &tenant,
            DeviceId(uuid::Uuid::nil()),
            Timestamp::default(),
            &notice,
        );
        assert!(!event.data.to_string().contains("hunter22"));
    }

    #[test]
    fn secrets_of_vendors_and_in_events_and_outputs_are_not_written_to_the_log() {
        let pairs = BTreeMap::from([
            ("AdminPassword".to_owned(), "hunter22".to_owned()),
            ("Result".to_owned(), "fine".to_owned()),
        ]);
        let change = |path: &str| Notice::ValueChange {
            path: path.into(),
            value: "hunter22".into(),
        };
        let notices = [
            change("Device.X_ACME_Portal.AdminPassword"),
            change("Device.LocalAgent.Controller.1.MTP.1.WebSocket.Path"),
            Notice::Event {
                object: "Device.X_ACME_Portal.".into(),
                name: "Changed!".into(),
                params: pairs.clone(),
            },
            Notice::CommandCompleted {
                object: "Device.X_ACME_Portal.".into(),
                command: "New()".into(),
                key: "k".into(),
                result: Ok(pairs),
            },
        ];
        let tenant = TenantId::parse("acme").unwrap();
        let device = DeviceId(uuid::Uuid::nil());
        for notice in notices {
            let event = event(&tenant, device, Timestamp::default(), &notice);
            assert!(!event.data.to_string().contains("hunter22"), "{notice:?}");
        }
    }
}
