//! The side of the devices as the API sees it: the adapter's links and the dispatcher's work in
//! one. Nothing is decided here.

use std::sync::Arc;

use fleet::{DeviceId, OperationId, TenantId, Timestamp};
use futures_util::future::BoxFuture;

use crate::dispatch::Handle;
use crate::seam::{Attempt, LivePath, South, Waking, Way};

/// What an adapter knows of its links beyond `fleet::Southbound`.
pub trait Links: fleet::Southbound {
    /// A device is linked to this node.
    fn is_linked(&self, device: DeviceId) -> bool;

    /// Tries to reach the device now. Says what is done, or why nothing can be; `None` when it is no
    /// device of this protocol.
    fn reach<'a>(
        &'a self,
        tenant: &'a TenantId,
        device: DeviceId,
    ) -> BoxFuture<'a, Option<Result<String, String>>>;

    /// Asks the device to come, also when it is there over another protocol. Says what is done, or why nothing can be;
    /// `None` when it is no device that is asked to come.
    fn knock<'a>(
        &'a self,
        _: &'a TenantId,
        _: DeviceId,
    ) -> BoxFuture<'a, Option<Result<String, String>>> {
        Box::pin(async { None })
    }

    /// The ways in which the device can be asked to come, the most promising first.
    fn ways<'a>(&'a self, tenant: &'a TenantId, device: DeviceId) -> BoxFuture<'a, Vec<Way>>;

    /// The device was removed: close its link, stop dialling it.
    fn device_removed(&self, tenant: &TenantId, device: DeviceId);

    /// A tenant was disabled, or enabled again.
    fn tenants_changed(&self);

    /// A certificate of a device was revoked.
    fn certificates_changed(&self);

    /// Where, or whether, the device is dialled was changed.
    fn dialling_changed(&self, tenant: &TenantId, device: DeviceId);

    /// The last attempts to dial the device, newest first.
    fn attempts(&self, tenant: &TenantId, device: DeviceId) -> Vec<Attempt>;

    /// When a device that is linked to this node was last heard.
    fn heard(&self, device: DeviceId) -> Option<Timestamp>;

    /// The links of a device that stay open, the one that is asked first.
    fn live(&self, _: DeviceId) -> Vec<LivePath> {
        Vec::new()
    }

    /// Devices linked to this node.
    fn connections(&self) -> u64;

    /// What devices are asked to come with, beside HTTP.
    fn waking(&self) -> Waking {
        Waking::default()
    }
}

/// An adapter and the dispatcher.
pub struct Devices {
    links: Arc<dyn Links>,
    dispatch: Handle,
}

impl Devices {
    /// Both together.
    pub fn new(links: Arc<dyn Links>, dispatch: Handle) -> Self {
        Self { links, dispatch }
    }
}

impl South for Devices {
    fn operation_queued(&self, tenant: &TenantId, device: DeviceId) {
        if self.links.is_linked(device) {
            self.dispatch.wake(device);
        }
        // Also one that is linked: its link may end before the dispatcher has heard of this.
        self.links.wake(tenant, device);
    }

    fn operation_cancel(&self, _: &TenantId, device: DeviceId, operation: OperationId) {
        self.dispatch.cancel(device, operation);
    }

    fn wake<'a>(
        &'a self,
        tenant: &'a TenantId,
        device: DeviceId,
    ) -> BoxFuture<'a, Result<String, String>> {
        Box::pin(async move {
            let reached = self.links.reach(tenant, device).await;
            reached.unwrap_or_else(|| Err("no way to the device is known".to_owned()))
        })
    }

    fn knock<'a>(
        &'a self,
        tenant: &'a TenantId,
        device: DeviceId,
    ) -> BoxFuture<'a, Result<String, String>> {
        Box::pin(async move {
            let knocked = self.links.knock(tenant, device).await;
            knocked.unwrap_or_else(|| Err("it has not come over CWMP yet".to_owned()))
        })
    }

    fn ways<'a>(&'a self, tenant: &'a TenantId, device: DeviceId) -> BoxFuture<'a, Vec<Way>> {
        self.links.ways(tenant, device)
    }

    fn device_removed(&self, tenant: &TenantId, device: DeviceId) {
        self.links.device_removed(tenant, device);
    }

    fn tenants_changed(&self) {
        self.links.tenants_changed();
    }

    fn certificates_changed(&self) {
        self.links.certificates_changed();
    }

    fn dialling_changed(&self, tenant: &TenantId, device: DeviceId) {
        self.links.dialling_changed(tenant, device);
    }

    fn attempts(&self, tenant: &TenantId, device: DeviceId) -> Vec<Attempt> {
        self.links.attempts(tenant, device)
    }

    fn heard(&self, device: DeviceId) -> Option<Timestamp> {
        self.links.heard(device)
    }

    fn live(&self, device: DeviceId) -> Vec<LivePath> {
        self.links.live(device)
    }

    fn connections(&self) -> u64 {
        self.links.connections()
    }

    fn waking(&self) -> Waking {
        self.links.waking()
    }
}
