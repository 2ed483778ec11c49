//! A device that is known over another protocol, and comes over CWMP too. Whether it is the same one is decided in
//! [`crate::matching`].

use ::cwmp::rpc::DeviceId as Cpe;
use fleet::onboarding::Known;
use fleet::{DeviceId, Event, EventKind, Identity, IdentityKind, TenantId};
use serde_json::json;
use store::{PathSetup, Store};

use super::{TRANSPORT, name};
use crate::matching;
use crate::state::now;

/// Notes that it does: it has its name there from now on, and comes over both. Where a certificate is required of it,
/// it is here too.
pub async fn join(
    store: &Store,
    tenant: &TenantId,
    known: Known,
    by: &Identity,
    cpe: &Cpe,
) -> store::Result<()> {
    let device = known.device;
    let event = Event::new(tenant.clone(), now(), EventKind::DeviceMerged)
        .device(device)
        .data(json!({
            "from": "",
            "identity": format!("{} {}", by.kind.as_str(), by.shown()),
            "transport": TRANSPORT,
        }));
    store
        .device_speaks(tenant, device, "cwmp", vec![event])
        .await?;
    know(store, tenant, device, cpe).await?;
    // Last: where there is a path, all of this has been done.
    if known.certificate_required {
        let setup = PathSetup {
            transport: TRANSPORT.to_owned(),
            endpoint_id: name::of(cpe),
            dial_url: None,
            certificate_required: true,
        };
        store.path_expect(tenant, device, setup).await?;
    }
    Ok(())
}

/// Remembers the names that it tells, where it is not known by them. One by which another device is known stays with
/// that; a person is told of the two, and may remove the one that it is not.
pub async fn know(
    store: &Store,
    tenant: &TenantId,
    device: DeviceId,
    cpe: &Cpe,
) -> store::Result<()> {
    let known = store.identity_list(tenant, device).await?;
    let is_new = |name: &Identity| known.iter().all(|one| one.identity != *name);
    let names: Vec<Identity> = name::identities(cpe).into_iter().filter(is_new).collect();
    if names.is_empty() {
        return Ok(());
    }
    let source = "device".to_owned();
    let taken = store
        .identity_attach(tenant, device, names, source, now(), Vec::new())
        .await?;
    let other = taken
        .iter()
        .find(|one| one.identity.kind == IdentityKind::CwmpDevice);
    if let Some(other) = other {
        matching::suggest(store, tenant, other.device, device, &other.identity).await?;
    }
    Ok(())
}
