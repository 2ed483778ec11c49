//! Both adapters as one: a job goes to the one whose link the dispatcher means.

use std::sync::Arc;

use fleet::southbound::Job;
use fleet::{DeviceId, Protocol, Southbound, TenantId, Timestamp};
use futures_util::future::BoxFuture;

use crate::seam::{Attempt, LivePath, Waking, Way};
use crate::south::Links;

/// The adapters of all protocols.
pub struct Both {
    usp: Arc<dyn Links>,
    cwmp: Arc<dyn Links>,
}

impl Both {
    /// Each by its name.
    pub fn new(usp: Arc<dyn Links>, cwmp: Arc<dyn Links>) -> Self {
        Self { usp, cwmp }
    }

    fn of(&self, over: Protocol) -> &dyn Links {
        match over {
            Protocol::Usp => &*self.usp,
            Protocol::Cwmp => &*self.cwmp,
        }
    }

    fn each(&self) -> [&dyn Links; 2] {
        [&*self.usp, &*self.cwmp]
    }
}

impl Southbound for Both {
    fn submit(&self, tenant: &TenantId, device: DeviceId, job: Job) {
        self.of(job.over).submit(tenant, device, job);
    }

    fn known(&self, device: DeviceId, over: Protocol, at: Timestamp) {
        self.of(over).known(device, over, at);
    }

    fn wake(&self, tenant: &TenantId, device: DeviceId) {
        self.usp.wake(tenant, device);
        // Nobody knocks at the door of a device that is on the phone.
        if !self.usp.is_linked(device) {
            self.cwmp.wake(tenant, device);
        }
    }

    fn rest(&self, tenant: &TenantId, device: DeviceId, over: Protocol) {
        self.of(over).rest(tenant, device, over);
    }
}

impl Links for Both {
    fn is_linked(&self, device: DeviceId) -> bool {
        self.each().iter().any(|links| links.is_linked(device))
    }

    fn reach<'a>(
        &'a self,
        tenant: &'a TenantId,
        device: DeviceId,
    ) -> BoxFuture<'a, Option<Result<String, String>>> {
        Box::pin(async move {
            let usp = self.usp.reach(tenant, device).await;
            if let Some(Ok(_)) = usp {
                return usp;
            }
            self.cwmp.reach(tenant, device).await.or(usp)
        })
    }

    fn knock<'a>(
        &'a self,
        tenant: &'a TenantId,
        device: DeviceId,
    ) -> BoxFuture<'a, Option<Result<String, String>>> {
        self.cwmp.knock(tenant, device)
    }

    fn ways<'a>(&'a self, tenant: &'a TenantId, device: DeviceId) -> BoxFuture<'a, Vec<Way>> {
        self.cwmp.ways(tenant, device)
    }

    fn device_removed(&self, tenant: &TenantId, device: DeviceId) {
        for links in self.each() {
            links.device_removed(tenant, device);
        }
    }

    fn tenants_changed(&self) {
        for links in self.each() {
            links.tenants_changed();
        }
    }

    fn certificates_changed(&self) {
        for links in self.each() {
            links.certificates_changed();
        }
    }

    fn dialling_changed(&self, tenant: &TenantId, device: DeviceId) {
        for links in self.each() {
            links.dialling_changed(tenant, device);
        }
    }

    fn attempts(&self, tenant: &TenantId, device: DeviceId) -> Vec<Attempt> {
        let mut all: Vec<Attempt> = self
            .each()
            .iter()
            .flat_map(|links| links.attempts(tenant, device))
            .collect();
        all.sort_by_key(|attempt| std::cmp::Reverse(attempt.at));
        all
    }

    fn heard(&self, device: DeviceId) -> Option<Timestamp> {
        self.each()
            .iter()
            .filter_map(|links| links.heard(device))
            .max()
    }

    fn live(&self, device: DeviceId) -> Vec<LivePath> {
        let each = self.each().into_iter();
        each.flat_map(|links| links.live(device)).collect()
    }

    fn connections(&self) -> u64 {
        self.each().iter().map(|links| links.connections()).sum()
    }

    fn waking(&self) -> Waking {
        self.cwmp.waking()
    }
}
