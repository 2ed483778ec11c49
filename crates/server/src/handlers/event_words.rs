//! What happened, in one sentence for a person. The data of an event stays beside it.

use super::refusal_words;
use fleet::{Event, EventKind};
use serde_json::Value;

/// The sentence of an event.
pub fn summary(event: &Event) -> String {
    let text = |key: &str| event.data[key].as_str().unwrap_or_default();
    let with = |words: &str, key: &str| match text(key) {
        "" => words.to_owned(),
        detail => format!("{words}: {detail}"),
    };
    let still = event.data["still"].as_array();
    let still: Vec<&str> = (still.into_iter().flatten())
        .filter_map(Value::as_str)
        .collect();
    use EventKind as K;
    match event.kind {
        K::DeviceCreated => "Registered".to_owned(),
        K::DeviceUpdated => "Label, tags or dial URL changed".to_owned(),
        K::DeviceDeleted => with("Removed", "name"),
        K::DeviceMerged => with(
            "Merged with another registration of the same device",
            "identity",
        ),
        K::DeviceSplit => format!("Its {} path is a device of its own now", text("transport")),
        K::DeviceMatchFound => with("May be the same as another device", "identity"),
        K::DeviceMatchRejected => "Is another device than the one it resembles".to_owned(),
        K::DeviceIdentified => format!("Also known as {} {}", text("kind"), text("value")),
        K::DeviceConnected => match text("peer") {
            "" => "Connected".to_owned(),
            peer => format!("Connected from {peer}"),
        },
        K::DeviceDisconnected => match text("expected") {
            "credential" => "Left to come back with its own credential, as expected".to_owned(),
            "restart" => "Left to start again, as it was asked to".to_owned(),
            _ if still.is_empty() => with("Disconnected", "reason"),
            _ => {
                let (over, still) = (text("transport"), still.join(" and "));
                format!(
                    "Lost its connection over {over} and stays over {still}: {}",
                    text("reason")
                )
            }
        },
        K::DeviceSilent => "Has not given a sign of life for longer than expected".to_owned(),
        K::DeviceTakenOver => format!("Its connection was replaced by one from {}", text("peer")),
        K::DeviceOnboardRequest => "Introduced itself".to_owned(),
        K::DeviceOnboarded => format!("Ready: {} {}", text("model"), text("software_version"))
            .trim()
            .to_owned(),
        K::DeviceOnboardingFailed => {
            with("Bringing it in stopped and will be tried again", "reason")
        }
        K::DeviceCredential => match text("state") {
            "pending" => "Was given a credential of its own".to_owned(),
            "current" => "Came with its own credential".to_owned(),
            "refused" => with("Did not take a credential of its own", "reason"),
            _ => with("Its own credential", "state"),
        },
        K::DeviceWakeCredential => match text("state") {
            "removed" => "The credential for asking it to come was taken away".to_owned(),
            _ => with(
                "The credential for asking it to come was entered",
                "username",
            ),
        },
        K::DeviceReadmitted => "May come with a setup key once more".to_owned(),
        K::DeviceBooted => with("Started", "cause"),
        K::DevicePeriodic => "Periodic sign of life".to_owned(),
        K::DeviceValueChanged => {
            let value = fleet::secret::shown(text("path"), text("value").to_owned());
            format!("{} is now {value}", text("path"))
        }
        K::DeviceFirmwareChanged => {
            format!("Firmware changed from {} to {}", text("from"), text("to"))
        }
        K::DeviceObjectCreated => format!("{} was added", text("path")),
        K::DeviceObjectDeleted => format!("{} was deleted", text("path")),
        K::DeviceCommandCompleted => match event.data.get("fault").filter(|fault| !fault.is_null())
        {
            Some(_) => format!("{} failed", text("command")),
            None => format!("{} has ended", text("command")),
        },
        K::DeviceEvent => with("Event", "event"),
        K::DeviceModelDiscovered => "Its data model is known".to_owned(),
        K::DeviceWakeFailed => with("Could not be woken", "reason"),
        K::DeviceMisbehaved => with("Broke the protocol", "reason"),
        K::ConnectionRefused => match text("reason") {
            "" => "A connection was refused".to_owned(),
            reason => format!("A connection was refused: {}", refusal_words::what(reason)),
        },
        K::OperationQueued => format!("{} {} was asked for", title(text("kind")), text("summary")),
        K::OperationStarted => "An operation was started".to_owned(),
        K::OperationVerifying => "An operation is being read back".to_owned(),
        K::OperationWaiting => with("An operation waits", "reason"),
        K::OperationFinished => {
            let what = match text("summary") {
                "" => "An operation".to_owned(),
                summary => format!("{} {summary}", title(text("kind"))),
            };
            let ended = match text("state") {
                "succeeded" => "succeeded",
                "partly" => "succeeded partly",
                "failed" => "failed",
                "expired" => "expired",
                "cancelled" => "was cancelled",
                "unconfirmed" => "ended unconfirmed",
                _ => "ended",
            };
            with(&format!("{what} {ended}"), "cause")
        }
        K::OperationCancelRequested => "An operation is to be cancelled".to_owned(),
        K::FileCreated => with("File added", "name"),
        K::FileUpdated => with("File described otherwise", "name"),
        K::FileDeleted => with("File removed", "name"),
        K::TransferStarted => match text("direction") {
            "upload" => with("The device began to send a file", "name"),
            _ => with("The device began to fetch a file", "name"),
        },
        K::TransferFinished => {
            let what = match text("direction") {
                "upload" => "File sent by the device",
                _ => "File fetched by the device",
            };
            match (text("state"), text("error")) {
                ("failed", error) => format!("{what}: not done ({error})"),
                _ => with(what, "name"),
            }
        }
        K::TenantCreated => with("Tenant created", "name"),
        K::TenantUpdated => match event.data.get("disabled").and_then(Value::as_bool) {
            Some(true) => "Tenant disabled".to_owned(),
            Some(false) => "Tenant enabled again".to_owned(),
            None => with("Tenant changed", "name"),
        },
        K::TenantDeleted => with("Tenant removed", "name"),
        K::UserCreated => with("User created", "login"),
        K::UserUpdated => "User changed".to_owned(),
        K::UserDeleted => with("User removed", "login"),
        K::UserSignedIn => "Signed in".to_owned(),
        K::UserPasswordChanged => "Password changed".to_owned(),
        K::TokenCreated => with("Token created", "name"),
        K::TokenRevoked => with("Token revoked", "name"),
        K::SetupKeyCreated => with("Setup key created", "name"),
        K::SetupKeyUpdated => with("Setup key changed", "name"),
        K::SetupKeyRevoked => with("Setup key revoked", "name"),
        K::CertificateIssued => with("Certificate issued", "endpoint"),
        K::CertificateUsed => with("Certificate in use", "endpoint"),
        K::CertificateRevoked => with("Certificate revoked", "endpoint"),
    }
}

fn title(word: &str) -> String {
    let mut chars = word.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{TenantId, Timestamp};

    #[test]
    fn every_kind_has_a_sentence_even_without_data() {
        let tenant = TenantId::parse("acme").unwrap();
        for kind in EventKind::ALL {
            let event = Event::new(tenant.clone(), Timestamp::from_millis(0), *kind);
            assert!(!summary(&event).is_empty(), "{kind}");
        }
    }

    #[test]
    fn an_end_that_we_asked_for_says_so() {
        let tenant = TenantId::parse("acme").unwrap();
        let words = |data| {
            let at = Timestamp::from_millis(0);
            summary(&Event::new(tenant.clone(), at, EventKind::DeviceDisconnected).data(data))
        };
        let closed = "the device closed the connection";
        let expected = |why| words(serde_json::json!({ "reason": closed, "expected": why }));
        assert!(expected("credential").contains("as expected"));
        assert!(expected("restart").contains("asked to"));
        let plain = words(serde_json::json!({ "reason": closed, "expected": null }));
        assert_eq!(plain, format!("Disconnected: {closed}"));
        let one_of_two = serde_json::json!({
            "reason": closed, "transport": "websocket", "still": ["mqtt"],
        });
        let kept = format!("Lost its connection over websocket and stays over mqtt: {closed}");
        assert_eq!(words(one_of_two), kept);
    }

    #[test]
    fn the_end_of_an_operation_names_it() {
        let tenant = TenantId::parse("acme").unwrap();
        let event = Event::new(
            tenant,
            Timestamp::from_millis(0),
            EventKind::OperationFinished,
        )
        .data(serde_json::json!({
            "kind": "set", "summary": "Device.WiFi.SSID.1.SSID", "state": "failed", "cause": "7012",
        }));
        assert_eq!(summary(&event), "Set Device.WiFi.SSID.1.SSID failed: 7012");
    }

    #[test]
    fn passwords_do_not_reach_a_sentence() {
        let tenant = TenantId::parse("acme").unwrap();
        let event = Event::new(
            tenant,
            Timestamp::from_millis(0),
            EventKind::DeviceValueChanged,
        )
        .data(serde_json::json!({
            "path": "Device.WiFi.AccessPoint.1.Security.KeyPassphrase", "value": "hunter2",
        }));
        assert!(!summary(&event).contains("hunter2"));
    }
}
