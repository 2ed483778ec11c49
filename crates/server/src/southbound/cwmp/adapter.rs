//! The adapter to CPEs as the rest of the server sees it: jobs go to the session of a device,
//! questions about sessions are answered.

use std::sync::Arc;

use fleet::southbound::{Job, Southbound};
use fleet::{DeviceId, Protocol, TenantId, Timestamp};
use futures_util::future::BoxFuture;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use super::TRANSPORT;
use super::core::{Command, Core, Entry, Stop};
use crate::seam::{Attempt, Waking, Way};
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
        session.want();
        if !session.is_known() {
            // What the one before it was asked for counts as lost or unsent when its end is heard.
            let reason = "a new session of the device begins";
            return self.core.unsent(tenant, device, &job, reason);
        }
        let (command, reason) = match session.inbox.try_send(Command::Job(Box::new(job))) {
            Ok(()) => return,
            Err(TrySendError::Full(command)) => (command, "too much is waiting for its session"),
            Err(TrySendError::Closed(command)) => (command, "the session is over"),
        };
        if let Command::Job(job) = command {
            self.core.unsent(tenant, device, &job, reason);
        }
    }

    fn known(&self, device: DeviceId, _: Protocol, at: Timestamp) {
        if let Some(session) = self.core.links.get(device) {
            session.is_heard(at);
        }
    }

    fn wake(&self, tenant: &TenantId, device: DeviceId) {
        if let Some(session) = self.session(tenant, device) {
            session.want();
            // One that ends later than this sees it.
            if self.core.links.holds(&session) {
                return;
            }
        }
        // Where there is no room now, the sweep finds it.
        self.core.waker.wake(tenant, device);
    }

    fn rest(&self, tenant: &TenantId, device: DeviceId, _: Protocol) {
        // One that is not known yet is there for what the one before it was asked and did not answer.
        if let Some(session) = self.session(tenant, device)
            && session.is_known()
        {
            tell(&session.inbox, Command::Rest);
        }
    }
}

impl Links for Adapter {
    fn is_linked(&self, device: DeviceId) -> bool {
        self.core.links.get(device).is_some()
    }

    fn reach<'a>(
        &'a self,
        tenant: &'a TenantId,
        device: DeviceId,
    ) -> BoxFuture<'a, Option<Result<String, String>>> {
        Box::pin(async move {
            match self.session(tenant, device) {
                Some(_) => Some(Ok("it has a session now".to_owned())),
                None => self.knock(tenant, device).await,
            }
        })
    }

    fn knock<'a>(
        &'a self,
        tenant: &'a TenantId,
        device: DeviceId,
    ) -> BoxFuture<'a, Option<Result<String, String>>> {
        Box::pin(async move {
            if self.session(tenant, device).is_some() {
                return Some(Err(
                    "it has a session now, and is not asked to come".to_owned()
                ));
            }
            let path = self.core.store.path(tenant, device, TRANSPORT).await;
            if path.is_ok_and(|path| path.is_none()) {
                return None;
            }
            let ways = self.core.waker.ways(tenant, device).await;
            let Some(first) = ways.iter().find(|way| way.problem.is_none()) else {
                let why = ways.iter().find_map(|way| way.problem.clone());
                let why =
                    why.unwrap_or_else(|| "it has not told how it can be asked to come".to_owned());
                return Some(Err(format!(
                    "{why}: it comes by itself, at its next interval"
                )));
            };
            if !self.core.waker.wake(tenant, device) {
                return Some(Err(
                    "too many devices are being woken; this one has its turn when an operation waits for it"
                        .to_owned(),
                ));
            }
            Some(Ok(format!(
                "it is asked to come, first over {} at {}",
                first.method, first.address
            )))
        })
    }

    fn ways<'a>(&'a self, tenant: &'a TenantId, device: DeviceId) -> BoxFuture<'a, Vec<Way>> {
        Box::pin(self.core.waker.ways(tenant, device))
    }

    fn device_removed(&self, tenant: &TenantId, device: DeviceId) {
        if let Some(session) = self.session(tenant, device) {
            tell(&session.inbox, Command::Stop(Stop::Removed));
        }
        self.core.waker.forget(device);
    }

    fn tenants_changed(&self) {
        self.core.tenants_changed.notify_one();
    }

    fn certificates_changed(&self) {
        self.core.certificates_changed.notify_one();
    }

    fn dialling_changed(&self, _: &TenantId, _: DeviceId) {}

    fn attempts(&self, tenant: &TenantId, device: DeviceId) -> Vec<Attempt> {
        self.core.waker.attempts(tenant, device)
    }

    fn heard(&self, device: DeviceId) -> Option<Timestamp> {
        self.core.links.get(device).map(|session| session.heard())
    }

    fn connections(&self) -> u64 {
        self.core.links.len() as u64
    }

    fn waking(&self) -> Waking {
        self.core.waker.shown()
    }
}

/// Tells a session something, also when its inbox is full.
pub(super) fn tell(inbox: &Sender<Command>, command: Command) {
    if let Err(TrySendError::Full(command)) = inbox.try_send(command) {
        let inbox = inbox.clone();
        tokio::spawn(async move { inbox.send(command).await });
    }
}
