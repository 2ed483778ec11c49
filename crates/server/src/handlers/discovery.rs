//! Who was found on the local network.

use super::time;
use crate::auth::Caller;
use crate::problem::Result;
use crate::southbound::usp::lan::{Agent, Standing};
use crate::state::State;
use api::discovery::{LanAgent, LanAgents, LanNetwork};
use axum::Json;
use axum::extract::State as Extract;
use fleet::{DeviceId, TenantId};

/// The agents that say they are there.
pub async fn agents(Extract(state): Extract<State>, caller: Caller) -> Result<Json<LanAgents>> {
    let lan = state.bound.lan.as_ref();
    let standing = lan.map(|lan| lan.standing()).unwrap_or_default();
    let (standing, whose) = shown(&state, &caller, standing).await?;
    let agents = standing.agents.into_iter().zip(whose);
    let items = agents.map(|(agent, whose)| {
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
            device_id: match whose {
                Whose::Ours(device) => Some(device.as_uuid()),
                Whose::Theirs | Whose::Nobodys => None,
            },
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

/// Whose device an agent says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// A device of the caller's tenant.
    Ours(DeviceId),
    /// One of another tenant.
    Theirs,
    /// It is no device here.
    Nobodys,
}

/// What a caller is shown of it, and whose each agent is. The networks are those of this host and of no tenant: whoever is
/// not there for the whole system is shown the devices of their own tenant and nothing else, unless there is no other.
pub(super) async fn shown(
    state: &State,
    caller: &Caller,
    standing: Standing,
) -> Result<(Standing, Vec<Whose>)> {
    let store = &state.store;
    let ids = standing.agents.iter();
    let ids: Vec<String> = ids.map(|one| one.found.endpoint_id.to_string()).collect();
    let known = store.identity_endpoints(&ids).await?;
    let everything = caller.principal.platform || store.tenant_list().await?.len() == 1;
    Ok(visible(standing, &known, &caller.tenant, everything))
}

fn visible(
    mut standing: Standing,
    known: &[(String, TenantId, DeviceId)],
    tenant: &TenantId,
    everything: bool,
) -> (Standing, Vec<Whose>) {
    let whose = |agent: &Agent| {
        let id = agent.found.endpoint_id.as_str();
        let known = known.iter().filter(|(known, ..)| known == id);
        let mut whose = Whose::Nobodys;
        for (_, owner, device) in known {
            whose = match owner == tenant {
                true => return Whose::Ours(*device),
                false => Whose::Theirs,
            };
        }
        whose
    };
    let is_ours = |agent: &Agent| matches!(whose(agent), Whose::Ours(_));
    if !everything {
        standing.agents.retain(is_ours);
        (standing.more, standing.passed) = Default::default();
    }
    let all = standing.agents.iter().map(whose).collect();
    (standing, all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::Timestamp;
    use mtp::discovery::dns_sd::{Found, Kind};

    #[test]
    fn a_tenant_is_shown_its_own_devices_and_strangers_are_nobodys() {
        let tenant = |id: &str| TenantId::parse(id).unwrap();
        let device = |n| DeviceId(uuid::Uuid::from_u128(n));
        let agent = |id: &str| Agent {
            network: "lan".into(),
            found: Found {
                kind: Kind::AgentWebSocket,
                endpoint_id: id.parse().unwrap(),
                addresses: Vec::new(),
                port: 1,
                path: "/usp".into(),
                name: None,
                encrypt: false,
            },
            since: Timestamp::default(),
        };
        let names = ["os::0-OURS", "os::0-BOTH", "os::0-THEIRS", "os::0-NOBODY"];
        let known = [
            ("os::0-OURS".to_owned(), tenant("acme"), device(1)),
            ("os::0-BOTH".to_owned(), tenant("acme"), device(2)),
            ("os::0-BOTH".to_owned(), tenant("other"), device(3)),
            ("os::0-THEIRS".to_owned(), tenant("other"), device(4)),
        ];
        let shown = |everything| {
            let standing = Standing {
                agents: names.iter().map(|id| agent(id)).collect(),
                more: 7,
                ..Standing::default()
            };
            visible(standing, &known, &tenant("acme"), everything)
        };
        let ours = [Whose::Ours(device(1)), Whose::Ours(device(2))];
        let (standing, whose) = shown(true);
        assert_eq!((standing.agents.len(), standing.more), (4, 7));
        assert_eq!(whose[..2], ours);
        assert_eq!(whose[2..], [Whose::Theirs, Whose::Nobodys]);
        let (standing, whose) = shown(false);
        assert_eq!((standing.agents.len(), standing.more), (2, 0));
        assert_eq!(whose, ours);
    }
}
