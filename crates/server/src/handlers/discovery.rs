//! Who was found on the local network.

use super::time;
use crate::state::State;
use api::discovery::{LanAgent, LanAgents};
use axum::Json;
use axum::extract::State as Extract;

/// The agents that say they are there.
pub async fn agents(Extract(state): Extract<State>) -> Json<LanAgents> {
    let lan = state.bound.lan.as_ref();
    let found = lan.map(|lan| lan.agents()).unwrap_or_default();
    let items = found
        .into_iter()
        .map(|(found, since)| LanAgent {
            endpoint_id: found.endpoint_id.to_string(),
            transport: found.kind.transport().to_owned(),
            addresses: found.addresses.iter().map(ToString::to_string).collect(),
            url: found.url(),
            name: found.name,
            port: found.port,
            path: found.path,
            encrypted: found.encrypt,
            since: time(since),
        })
        .collect();
    Json(LanAgents {
        looking: lan.is_some(),
        items,
    })
}
