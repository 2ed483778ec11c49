//! Who was found on the local network.

use super::time;
use crate::auth::Caller;
use crate::problem::Result;
use crate::southbound::usp::lan::{Agent, Standing};
use crate::state::State;
use api::discovery::{LanAgent, LanAgents, LanNetwork};
use axum::Json;
use axum::extract::State as Extract;
use fleet::{DeviceId, Identity, IdentityKind};

/// The agents that say they are there.
pub async fn agents(Extract(state): Extract<State>, caller: Caller) -> Result<Json<LanAgents>> {
    let lan = state.bound.lan.as_ref();
    let standing = lan.map(|lan| lan.standing()).unwrap_or_default();
    let devices = devices(&state, &caller, &standing).await?;
    let agents = standing.agents.into_iter().zip(devices);
    let items = agents.map(|(agent, device)| {
        let Agent {
            network,
            found,
            since,
        } = agent;
        LanAgent {
            endpoint_id: found.endpoint_id.to_string(),
            transport: found.kind.transport().to_owned(),
            addresses: found.addresses.iter().map(ToString::to_string).collect(),
            url: found.url(),
            name: found.name,
            port: found.port,
            path: found.path,
            encrypted: found.encrypt,
            network,
            device_id: device.map(|id| id.as_uuid()),
            since: time(since),
        }
    });
    let networks = standing.networks.into_iter().map(|one| LanNetwork {
        name: one.name,
        addresses: one.addresses.iter().map(ToString::to_string).collect(),
        trouble: one.trouble,
    });
    Ok(Json(LanAgents {
        looking: lan.is_some(),
        items: items.collect(),
        more: u32::try_from(standing.more).unwrap_or(u32::MAX),
        networks: networks.collect(),
    }))
}

/// Which devices of the tenant those agents say they are.
pub(super) async fn devices(
    state: &State,
    caller: &Caller,
    standing: &Standing,
) -> Result<Vec<Option<DeviceId>>> {
    let mut devices = Vec::with_capacity(standing.agents.len());
    for agent in &standing.agents {
        let identity = Identity {
            kind: IdentityKind::UspEndpoint,
            value: agent.found.endpoint_id.to_string(),
        };
        let device = state.store.device_by_identity(&caller.tenant, &identity);
        devices.push(device.await?);
    }
    Ok(devices)
}
