//! The installation itself, and the OpenAPI document.

use super::time;
use crate::auth::Caller;
use crate::limits;
use crate::state::{State, now};
use api::system::{ExternalBroker, Limit, Listener, System};
use axum::Json;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use std::sync::OnceLock;

/// Version, listeners, limits.
pub async fn show(Extract(state): Extract<State>, caller: Caller) -> Json<System> {
    let config = &state.config;
    let bound = &state.bound;
    let mut listeners = Vec::new();
    if let Some(addr) = bound.http {
        let scheme = if config.http.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let own = format!("{scheme}://{addr}");
        listeners.push(Listener {
            purpose: "console and API".to_owned(),
            protocol: scheme.to_owned(),
            address: addr.to_string(),
            url: config.http.public_url.clone().unwrap_or(own),
        });
    }
    for (scheme, addr) in [("ws", bound.usp), ("wss", bound.usp_tls)] {
        let Some(addr) = addr else { continue };
        let own = format!("{scheme}://{addr}/usp");
        listeners.push(Listener {
            purpose: "devices".to_owned(),
            protocol: scheme.to_owned(),
            address: addr.to_string(),
            url: config.usp.public_url.clone().unwrap_or(own),
        });
    }
    for one in bound.mqtt.listeners() {
        let own = format!("{}://{}", one.scheme, one.addr);
        listeners.push(Listener {
            purpose: "devices (MQTT)".to_owned(),
            protocol: one.scheme.to_owned(),
            address: one.addr.to_string(),
            url: config.mqtt.public_url.clone().unwrap_or(own),
        });
    }
    for (scheme, addr) in [("http", bound.cwmp), ("https", bound.cwmp_tls)] {
        let Some(addr) = addr else { continue };
        let own = format!("{scheme}://{addr}/");
        listeners.push(Listener {
            purpose: "CPEs (TR-069)".to_owned(),
            protocol: scheme.to_owned(),
            address: addr.to_string(),
            url: config.cwmp.public_url.clone().unwrap_or(own),
        });
    }
    let served = state.files.as_ref().map(|files| files.bound());
    let served = served.unwrap_or_default();
    for (scheme, addr) in [("http", served.plain), ("https", served.tls)] {
        let Some(addr) = addr else { continue };
        let own = format!("{scheme}://{addr}");
        listeners.push(Listener {
            purpose: "files of devices".to_owned(),
            protocol: scheme.to_owned(),
            address: addr.to_string(),
            url: config.files.public_url.clone().unwrap_or(own),
        });
    }
    let shown = limits::SHOWN.iter().map(|(name, value, reason)| Limit {
        name: (*name).to_owned(),
        value: *value,
        reason: (*reason).to_owned(),
    });
    Json(System {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: time(state.started_at),
        now: time(now()),
        endpoint_id: bound.endpoint_id.clone(),
        database: match state.store.database() {
            "sqlite" => "SQLite".to_owned(),
            "postgres" => "PostgreSQL".to_owned(),
            other => other.to_owned(),
        },
        listeners,
        brokers: brokers(&state, &caller),
        limits: shown.collect(),
        presence_silent_seconds: config.presence.silent_after_seconds,
        connections: caller.principal.platform.then(|| state.south.connections()),
    })
}

fn brokers(state: &State, caller: &Caller) -> Vec<ExternalBroker> {
    let all = state.bound.brokers.iter().map(|broker| broker.health());
    all.map(|health| {
        // Addresses and names of users are the platform's.
        let ours = caller.principal.platform;
        let (at, error) = health.last_error.unzip();
        ExternalBroker {
            name: health.name,
            url: if ours { health.url } else { String::new() },
            connected: health.connected,
            since: time(health.since),
            failures: health.failures,
            last_error: error.filter(|_| ours),
            last_error_at: at.map(time),
            devices: ours.then_some(health.devices as u64),
        }
    })
    .collect()
}

/// The OpenAPI document.
pub async fn openapi() -> Response {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let text = DOCUMENT.get_or_init(api::openapi_json).as_str();
    (
        [(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )],
        text,
    )
        .into_response()
}
