//! Both adapters as one: a job goes to the one that has the device now.

use std::sync::Arc;

use fleet::southbound::Job;
use fleet::{DeviceId, Southbound, TenantId, Timestamp};

use crate::seam::Attempt;
use crate::south::Links;

/// The adapters of all protocols.
pub struct Both {
    usp: Arc<dyn Links>,
    cwmp: Arc<dyn Links>,
}

impl Both {
    /// USP goes first: its links stay open, those of CWMP end with each session.
    pub fn new(usp: Arc<dyn Links>, cwmp: Arc<dyn Links>) -> Self {
        Self { usp, cwmp }
    }

    fn each(&self) -> [&dyn Links; 2] {
        [&*self.usp, &*self.cwmp]
    }
}

impl Southbound for Both {
    fn submit(&self, tenant: &TenantId, device: DeviceId, job: Job) {
        let to = if self.cwmp.is_linked(device) && !self.usp.is_linked(device) {
            &self.cwmp
        } else {
            &self.usp
        };
        to.submit(tenant, device, job);
    }

    fn wake(&self, tenant: &TenantId, device: DeviceId) {
        // Whether that could be done is asked through `reach`.
        let _ = self.reach(tenant, device);
    }

    fn rest(&self, tenant: &TenantId, device: DeviceId) {
        self.usp.rest(tenant, device);
        self.cwmp.rest(tenant, device);
    }
}

impl Links for Both {
    fn is_linked(&self, device: DeviceId) -> bool {
        self.each().iter().any(|links| links.is_linked(device))
    }

    fn reach(&self, tenant: &TenantId, device: DeviceId) -> Result<String, String> {
        let usp = self.usp.reach(tenant, device);
        if usp.is_ok() {
            return usp;
        }
        self.cwmp.reach(tenant, device).or(usp)
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

    fn connections(&self) -> u64 {
        self.each().iter().map(|links| links.connections()).sum()
    }
}
