//! Names by which a device is known because somebody here says so.

use crate::auth::Caller;
use crate::problem::Result;
use crate::state::{State, now};
use fleet::{DeviceId, EventKind, Identity};
use serde_json::json;

/// Adds names to a device, each with an event; one by which another device is known stays with that.
pub async fn attach(
    state: &State,
    caller: &Caller,
    device: DeviceId,
    identities: Vec<Identity>,
) -> Result<()> {
    if identities.is_empty() {
        return Ok(());
    }
    let identified = |one: &Identity| {
        caller
            .event(EventKind::DeviceIdentified)
            .device(device)
            .data(json!({"kind": one.kind.as_str(), "value": one.value}))
    };
    let events = identities.iter().map(identified).collect();
    let (store, tenant) = (&state.store, &caller.tenant);
    let actor = caller.principal.actor();
    store
        .identity_attach(tenant, device, identities, actor, now(), events)
        .await?;
    Ok(())
}
