//! A device that is known over another protocol, and comes over CWMP too. Whether it is the same one is decided in
//! [`crate::matching`].

use ::cwmp::rpc::DeviceId as Cpe;
use fleet::onboarding::Known;
use fleet::{DeviceId, Event, EventKind, Identity, IdentityKind, TenantId};
use serde_json::json;
use store::{IdentityRecord, PathSetup, Store};

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
    let identities = name::identities(cpe);
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
    let source = "device".to_owned();
    let taken = store
        .identity_attach(tenant, device, identities, source, now(), Vec::new())
        .await?;
    let is_its = |one: &&IdentityRecord| one.identity.kind == IdentityKind::CwmpDevice;
    if let Some(other) = taken.iter().find(is_its) {
        matching::suggest(store, tenant, other.device, device, &other.identity).await?;
    }
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

/// Gives a device that comes over CWMP already those of its names there by which nobody is known: they were another's
/// when it came first.
pub async fn know(
    store: &Store,
    tenant: &TenantId,
    device: DeviceId,
    cpe: &Cpe,
) -> store::Result<()> {
    let free = matching::free(store, tenant, name::identities(cpe)).await?;
    if free.is_empty() {
        return Ok(());
    }
    let source = "device".to_owned();
    store
        .identity_attach(tenant, device, free, source, now(), Vec::new())
        .await?;
    Ok(())
}
