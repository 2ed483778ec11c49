//! The adapter to CPEs as the rest of the server sees it: jobs go to the session of a device,
//! questions about sessions are answered.

use std::sync::Arc;

use fleet::southbound::{Job, Southbound};
use fleet::{DeviceId, TenantId, Timestamp};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use super::core::{Command, Core, Entry, Stop};
use crate::seam::Attempt;
use crate::south::Links;

/// The adapter to CPEs.
pub struct Adapter {
    core: Arc<Core>,
}

impl Adapter {
    /// Over the sessions of this core.
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Sessions that are open on this node, in whatever state.
    pub fn sessions(&self) -> usize {
        self.core.sessions.len()
    }

    fn session(&self, tenant: &TenantId, device: DeviceId) -> Option<Arc<Entry>> {
        let entry = self.core.links.get(device);
        entry.filter(|entry| entry.tenant == *tenant)
    }
}

impl Southbound for Adapter {
    fn submit(&self, tenant: &TenantId, device: DeviceId, job: Job) {
        let Some(session) = self.session(tenant, device) else {
            let reason = "the device has no session";
            return self.core.unsent(tenant, device, &job, reason);
        };
        let (command, reason) = match session.inbox.try_send(Command::Job(Box::new(job))) {
            Ok(()) => return,
            Err(TrySendError::Full(command)) => {
                (command, "limit SESSION_INBOX: too much is waiting")
            }
            Err(TrySendError::Closed(command)) => (command, "the session is over"),
        };
        if let Command::Job(job) = command {
            self.core.unsent(tenant, device, &job, reason);
        }
    }

    fn wake(&self, tenant: &TenantId, device: DeviceId) {
        // Whether that could be done is asked through `reach`.
        let _ = self.reach(tenant, device);
    }

    fn rest(&self, tenant: &TenantId, device: DeviceId) {
        if let Some(session) = self.session(tenant, device) {
            tell(&session.inbox, Command::Rest);
        }
    }
}

impl Links for Adapter {
    fn is_linked(&self, device: DeviceId) -> bool {
        self.core.links.get(device).is_some()
    }

    fn reach(&self, tenant: &TenantId, device: DeviceId) -> Result<String, String> {
        match self.session(tenant, device) {
            Some(_) => Ok("it has a session now".to_owned()),
            None => Err("the device comes by itself, at its next interval".to_owned()),
        }
    }

    fn device_removed(&self, tenant: &TenantId, device: DeviceId) {
        if let Some(session) = self.session(tenant, device) {
            tell(&session.inbox, Command::Stop(Stop::Removed));
        }
    }

    fn tenants_changed(&self) {
        self.core.tenants_changed.notify_one();
    }

    fn dialling_changed(&self, _: &TenantId, _: DeviceId) {}

    fn attempts(&self, _: &TenantId, _: DeviceId) -> Vec<Attempt> {
        Vec::new()
    }

    fn heard(&self, device: DeviceId) -> Option<Timestamp> {
        self.core.links.get(device).map(|session| session.heard())
    }

    fn connections(&self) -> u64 {
        self.core.links.len() as u64
    }
}

/// Tells a session something, also when its inbox is full.
pub(super) fn tell(inbox: &Sender<Command>, command: Command) {
    if let Err(TrySendError::Full(command)) = inbox.try_send(command) {
        let inbox = inbox.clone();
        tokio::spawn(async move { inbox.send(command).await });
    }
}
