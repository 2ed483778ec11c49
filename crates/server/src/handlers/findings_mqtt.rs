//! What the doctor finds of the broker inside. Nothing where there is none: it is not wanted.

use std::net::SocketAddr;

use api::doctor::{Finding, Severity};

use super::findings::finding;
use crate::state::State;

/// Whether any listener of it is open.
pub fn is_open(state: &State) -> bool {
    !open(state).is_empty()
}

fn open(state: &State) -> Vec<(&'static str, SocketAddr, &'static str)> {
    let bound = &state.bound.mqtt;
    let all = [
        ("mqtt.tls_listen", bound.tls, "with TLS"),
        ("mqtt.listen", bound.plain, "without TLS"),
    ];
    let open = all.into_iter();
    open.filter_map(|(key, addr, how)| addr.map(|addr| (key, addr, how)))
        .collect()
}

/// The listeners.
pub fn listeners(state: &State) -> Vec<Finding> {
    let open = open(state);
    let Some(&(key, addr, _)) = open.first() else {
        return Vec::new();
    };
    let shown: Vec<_> = open
        .iter()
        .map(|(_, addr, how)| format!("{addr} {how}"))
        .collect();
    let mut all = vec![finding(
        Severity::Ok,
        "mqtt-listener",
        "The MQTT broker listens for devices",
        format!("It is bound to {}.", shown.join(" and ")),
        "",
    )];
    let proxied = state.config.mqtt.public_url.is_some();
    if !proxied && open.iter().all(|(_, addr, _)| addr.ip().is_loopback()) {
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
        .is_some_and(|url| url.starts_with("mqtts:"));
    if state.bound.mqtt.tls.is_none() && !proxy_speaks_tls {
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
