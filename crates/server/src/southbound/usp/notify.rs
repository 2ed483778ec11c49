//! Notifications: recognised when they come twice, committed to the event log, only then
//! acknowledged (R-NOT.8), and what they say of values remembered.

use fleet::model::counted_by;
use fleet::southbound::Notice;
use fleet::{DeviceId, OperationId, TenantId, Timestamp};
use sha2::{Digest, Sha256};
use store::{Committed, DevicePatch, Notification, SecretHash, Store, ValueSource, ValueUpdate};
use tokio::time::Instant;
use usp::msg::{Msg, Notify};

use super::limits::{COMMIT_RETRY, COMMIT_TIME_MAX};
use super::recorder::Recorder;
use super::{notice, transcript, translate};
use crate::southbound::log_room::LogRoom;

/// What a notification said, once it is stored.
pub struct Stored {
    /// In the domain's words.
    pub notice: Notice,
    /// It had been stored before: the agent has not heard our answer.
    pub again: bool,
}

/// What makes a notification equal to its repetition: agents repeat message id and content
/// (R-NOT.3).
fn key(msg_id: &str, notify: &Notify) -> SecretHash {
    let mut hash = Sha256::new();
    hash.update(msg_id.as_bytes());
    hash.update([0]);
    hash.update(usp::codec::encode_msg(&Msg::request("", notify.clone())));
    hash.finalize().into()
}

/// Why a notification is not stored: it must not be acknowledged.
#[derive(Debug)]
pub enum Unstored {
    /// The device has filled the log faster than one may.
    NoRoom(Notice),
    /// What the store says.
    Failed(store::Error),
}

/// Commits a notification. Returns when it is durable.
pub async fn commit(
    store: &Store,
    room: &LogRoom,
    tenant: &TenantId,
    device: DeviceId,
    at: Timestamp,
    msg_id: &str,
    notify: Notify,
) -> Result<Stored, Unstored> {
    let key = key(msg_id, &notify);
    let mut notice = translate::notice(notify.notification);
    keep_secrets(store, tenant, device, &mut notice).await;
    let mut event = notice::event(tenant, device, at, &notice);
    let Some(taken) = room.take(device, std::slice::from_ref(&event)) else {
        return Err(Unstored::NoRoom(notice));
    };
    let give_up = Instant::now() + COMMIT_TIME_MAX;
    loop {
        let notification = Notification {
            device,
            key,
            events: vec![event.clone()],
        };
        match store.commit_notification(tenant, notification).await {
            Ok(committed) => {
                let again = committed == Committed::Duplicate;
                if again {
                    room.give_back(taken);
                }
                return Ok(Stored { notice, again });
            }
            // Larger than the log takes: that it came is what can be kept.
            Err(store::Error::LimitExceeded { .. }) if event.data["left_out"].is_null() => {
                event.data = serde_json::json!({ "left_out": "larger than the event log takes" });
            }
            Err(error) if error.is_transient() && Instant::now() < give_up => {
                tokio::time::sleep(COMMIT_RETRY).await;
            }
            Err(error) => {
                room.give_back(taken);
                return Err(Unstored::Failed(error));
            }
        }
    }
}

/// The reason of a command that failed may repeat a secret that the command was told: its operation
/// knows. Without that nothing is kept of the reason but the code.
pub async fn keep_secrets(store: &Store, tenant: &TenantId, device: DeviceId, notice: &mut Notice) {
    let Notice::CommandCompleted {
        key,
        result: Err(fault),
        ..
    } = notice
    else {
        return;
    };
    if let Ok(id) = key.parse::<OperationId>() {
        match store.operation(tenant, id).await {
            Ok(record) if record.operation.device == device => {
                *fault = record.operation.scrubbed(fault);
            }
            Ok(_) | Err(store::Error::NotFound(_)) => {}
            Err(_) => fault.message.clear(),
        }
    }
    fault.message = transcript::said(&fault.message, &[]);
}

/// Remembers what a stored notification says of the device.
pub async fn remember(
    store: &Store,
    recorder: &Recorder,
    tenant: &TenantId,
    device: DeviceId,
    at: Timestamp,
    notice: &Notice,
) {
    if let Notice::Boot(boot) = notice {
        let patch = DevicePatch {
            boot: Some((at, boot.cause.clone())),
            ..DevicePatch::default()
        };
        if let Err(error) = store
            .device_update(tenant, device, patch, at, Vec::new())
            .await
        {
            tracing::warn!(%error, %device, "the start of a device could not be written");
        }
    }
    recorder.values(tenant, device, knowledge(notice, at)).await;
}

/// The values in a notification.
pub fn knowledge(notice: &Notice, at: Timestamp) -> ValueUpdate {
    let known = |values: Vec<(String, String)>, source| {
        let shown = values.into_iter().map(|(path, value)| {
            let value = fleet::secret::kept(&path, value);
            (path, value)
        });
        ValueUpdate::of(shown, source, at)
    };
    match notice {
        Notice::ValueChange { path, value } => {
            known(vec![(path.clone(), value.clone())], ValueSource::Notified)
        }
        Notice::ObjectCreated { path, keys } => {
            let keys = keys
                .iter()
                .map(|(name, value)| (format!("{path}{name}"), value.clone()));
            ValueUpdate {
                forget: counted_by(path).into_iter().collect(),
                ..known(keys.collect(), ValueSource::Notified)
            }
        }
        Notice::ObjectDeleted { path } => ValueUpdate {
            forget: [path.clone()].into_iter().chain(counted_by(path)).collect(),
            values: Vec::new(),
        },
        Notice::Boot(boot) => {
            let values = boot
                .parameters
                .iter()
                .map(|p| (p.path.clone(), p.value.clone()));
            known(values.collect(), ValueSource::Introduced)
        }
        _ => ValueUpdate::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use usp::msg::{ValueChange, notify};

    fn change(value: &str) -> Notify {
        notify(
            "s",
            ValueChange {
                param_path: "Device.A.B".into(),
                param_value: value.into(),
            },
        )
    }

    #[test]
    fn a_repetition_has_the_same_id_and_content() {
        assert_eq!(key("1", &change("a")), key("1", &change("a")));
        assert_ne!(key("1", &change("a")), key("2", &change("a")));
        assert_ne!(key("1", &change("a")), key("1", &change("b")));
    }

    #[test]
    fn a_removed_row_takes_its_values_and_the_count_of_its_table_along() {
        let gone = Notice::ObjectDeleted {
            path: "Device.A.1.".into(),
        };
        assert_eq!(
            knowledge(&gone, Timestamp::default()).forget,
            ["Device.A.1.", "Device.ANumberOfEntries"]
        );
    }

    #[test]
    fn a_new_row_makes_the_known_count_of_its_table_untrue() {
        let new = Notice::ObjectCreated {
            path: "Device.A.2.".into(),
            keys: [("Alias".to_owned(), "two".to_owned())].into(),
        };
        let told = knowledge(&new, Timestamp::default());
        assert_eq!(told.forget, ["Device.ANumberOfEntries"]);
        assert_eq!(told.values[0].path, "Device.A.2.Alias");
    }

    #[test]
    fn a_secret_that_is_notified_is_not_kept() {
        let path = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase".to_owned();
        let told = Notice::ValueChange {
            path,
            value: "hunter22".into(),
        };
        assert_eq!(knowledge(&told, Timestamp::default()).values[0].value, "");
    }
    #[tokio::test]
    async fn why_a_command_failed_is_kept_without_the_secrets_it_was_told() {
        let db = store::testing::sqlite().await.unwrap();
        let tenant = TenantId::parse("acme").unwrap();
        let at = Timestamp::from_millis(5);
        let device = DeviceId::new(at, crate::secret::id_bits());
        let new = store::NewDevice {
            source: "test".into(),
            onboarding: fleet::device::OnboardingState::Complete,
            ..store::NewDevice::expected(device, Vec::new(), at)
        };
        let acme = store::TenantRecord {
            id: tenant.clone(),
            name: "Acme".into(),
            created_at: at,
            disabled_at: None,
        };
        db.store.tenant_insert(acme, Vec::new()).await.unwrap();
        db.store
            .device_insert(&tenant, new, Vec::new())
            .await
            .unwrap();
        let request = fleet::operation::Request::Operate {
            command: "Device.X_T.Download()".into(),
            args: [("Password".to_owned(), "hunter22".to_owned())].into(),
        };
        let id = OperationId::new(at, crate::secret::id_bits());
        let expires = at.plus(fleet::limits::EXPIRY_DEFAULT);
        let operation =
            fleet::Operation::new(id, tenant.clone(), device, request, "t", at, expires);
        db.store
            .operation_insert(&tenant, operation, None, Vec::new())
            .await
            .unwrap();
        let failed = |key: &str, msg: &str| {
            let end = usp::msg::OperationComplete {
                obj_path: "Device.X_T.".into(),
                command_name: "Download()".into(),
                command_key: key.into(),
                completion: Some(usp::msg::Completion::CmdFailure(usp::msg::CommandFailure {
                    err_code: 7022,
                    err_msg: msg.into(),
                })),
            };
            notify("s", end)
        };
        let reason = "no access as ann:hunter22 to /usp/hed_0123456789abcdef";
        for (key, kept) in [
            (id.to_string(), "no access as ann:******** to /usp/hed_..."),
            // Of a command that another controller started.
            (
                "key".to_owned(),
                "no access as ann:hunter22 to /usp/hed_...",
            ),
        ] {
            let notify = failed(&key, reason);
            let stored = commit(
                &db.store,
                &LogRoom::default(),
                &tenant,
                device,
                at,
                &key,
                notify,
            )
            .await
            .unwrap();
            assert!(
                matches!(&stored.notice, Notice::CommandCompleted { result: Err(fault), .. } if fault.message == kept),
                "{:?}",
                stored.notice
            );
        }
        let order = store::EventOrder::Before(None);
        let filter = store::EventFilter::default();
        let page = db.store.events(&tenant, order, &filter, 10).await.unwrap();
        let told: Vec<&str> = (page.events.iter())
            .filter_map(|one| one.event.data["fault"]["message"].as_str())
            .collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.iter().any(|one| one.contains("ann:********")));
    }
}
