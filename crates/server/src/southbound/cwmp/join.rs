//! A device that is known over another protocol, and comes over CWMP too. Whether it is the same one is decided in
//! [`crate::matching`].

use ::cwmp::rpc::DeviceId as Cpe;
use fleet::{DeviceId, Event, EventKind, Identity, TenantId};
use serde_json::json;
use store::Store;

use super::TRANSPORT;
use crate::state::now;

/// Notes that it does: it has its name there from now on, and comes over both.
pub async fn join(
    store: &Store,
    tenant: &TenantId,
    device: DeviceId,
    by: &Identity,
    cpe: &Cpe,
) -> store::Result<()> {
    let identities = Identity::of_cpe(
        &cpe.manufacturer,
        &cpe.oui,
        &cpe.product_class,
        &cpe.serial_number,
    );
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
    store
        .identity_attach(tenant, device, identities, source, now(), Vec::new())
        .await
        .map(drop)
}
