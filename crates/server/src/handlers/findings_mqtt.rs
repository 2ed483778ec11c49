//! What the doctor finds of the broker inside, and of brokers of others. Nothing where there is none: it is not wanted.

use api::doctor::{Finding, Severity};
use fleet::Timestamp;

use super::findings::finding;
use crate::southbound::usp::MqttListening as Listening;
use crate::state::State;

/// Whether any listener of it is open, or devices come through another.
pub fn is_open(state: &State) -> bool {
    state.bound.mqtt.listeners().next().is_some() || !state.bound.brokers.is_empty()
}

/// How it stands with brokers of others.
pub fn brokers(state: &State, at: Timestamp) -> Vec<Finding> {
    let all = state.bound.brokers.iter().map(|broker| broker.health());
    all.map(|health| {
        let name = &health.name;
        let since = at.since(health.since).as_secs();
        if health.connected {
            return finding(
                Severity::Ok,
                "broker-connected",
                format!("The broker {name} is connected"),
                format!("{}, for {since} s.", health.url),
                "",
            );
        }
        let why = health.last_error.map(|(_, why)| why);
        finding(
            Severity::Problem,
            "broker-lost",
            format!("There is no connection to the broker {name}"),
            format!(
                "{}, for {since} s: {}. No device behind it is reached.",
                health.url,
                why.unwrap_or_else(|| "it is being dialled".to_owned()),
            ),
            "Check that the broker runs and is reached from this host, and our user name, password and access rights there (usp.brokers).",
        )
    })
    .collect()
}

/// The listeners.
pub fn listeners(state: &State) -> Vec<Finding> {
    let bound = &state.bound.mqtt;
    let open: Vec<_> = bound.listeners().collect();
    let Some(&Listening { key, addr, .. }) = open.first() else {
        return Vec::new();
    };
    let shown = open.iter().map(|one| format!("{} {}", one.addr, one.how));
    let shown: Vec<_> = shown.collect();
    let mut all = vec![finding(
        Severity::Ok,
        "mqtt-listener",
        "The MQTT broker listens for devices",
        format!("It is bound to {}.", shown.join(" and ")),
        "",
    )];
    let proxied = state.config.mqtt.public_url.is_some();
    if !proxied && open.iter().all(|one| one.addr.ip().is_loopback()) {
        let port = addr.port();
        all.push(finding(
            Severity::Warning,
            "mqtt-listener-local",
            "Only devices on this machine can reach the MQTT broker",
            format!("The broker is bound to {addr}."),
            format!("Set {key} to 0.0.0.0:{port} if devices come from elsewhere."),
        ));
    }
    let proxy_speaks_tls = state
        .config
        .mqtt
        .public_url
        .as_ref()
        .is_some_and(|url| url.starts_with("mqtts:") || url.starts_with("mqtt+wss:"));
    if bound.tls.or(bound.wss).is_none() && !proxy_speaks_tls {
        all.push(finding(
            Severity::Info,
            "no-mqtt-tls",
            "Devices reach the MQTT broker without encryption",
            "Credentials and values can be read on the way.",
            "Set mqtt.tls_listen, or put a TLS proxy in front and set mqtt.public_url to its mqtts:// URL.",
        ));
    }
    all
}
