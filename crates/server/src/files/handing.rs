//! In front of the adapters: a job whose arguments name a file or a place to send to goes down with
//! the link in place of the name. Below here nobody needs to know that there is a file service;
//! above here nobody sees a link.

use std::sync::Arc;

use fleet::southbound::{Failure, Job, Op};
use fleet::transfer::named;
use fleet::{DeviceId, Fact, Protocol, Southbound, TenantId, Timestamp};
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use super::Files;
use super::link::LinkError;
use crate::dispatch::Reported;
use crate::seam::{Attempt, LivePath, Waking, Way};
use crate::south::Links;

/// The adapters, with the file service in front.
pub struct Handing {
    inner: Arc<dyn Links>,
    files: Arc<Files>,
    /// Weak: the dispatcher ends when the adapters have told their last.
    facts: mpsc::WeakSender<Reported>,
}

impl Handing {
    /// In front of these.
    pub fn new(
        inner: Arc<dyn Links>,
        files: Arc<Files>,
        facts: mpsc::WeakSender<Reported>,
    ) -> Self {
        Self {
            inner,
            files,
            facts,
        }
    }
}

fn names_a_file(op: &Op) -> bool {
    matches!(op, Op::Operate { args, .. } if args.values().any(|value| named(value).is_some()))
}

impl Southbound for Handing {
    fn submit(&self, tenant: &TenantId, device: DeviceId, mut job: Job) {
        if !names_a_file(&job.op) {
            return self.inner.submit(tenant, device, job);
        }
        let (inner, files) = (self.inner.clone(), self.files.clone());
        let (facts, tenant) = (self.facts.clone(), tenant.clone());
        tokio::spawn(async move {
            let reason = match files.fill(&tenant, device, job.over, &mut job.op).await {
                Ok(()) => return inner.submit(&tenant, device, job),
                Err(LinkError::Impossible(reason)) => Failure::Impossible { reason },
                Err(LinkError::Store(error)) => {
                    tracing::warn!(%error, %device, "a link could not be made; it will be tried again");
                    let reason = "the link for the file could not be made".to_owned();
                    Failure::Unsent { reason }
                }
            };
            let fact = Fact::Done {
                job: job.id,
                result: Err(reason),
            };
            if let Some(facts) = facts.upgrade() {
                // Nobody listens any more: the server stops.
                let _ = facts.send((tenant, device, fact)).await;
            }
        });
    }

    fn known(&self, device: DeviceId, over: Protocol, at: Timestamp) {
        self.inner.known(device, over, at);
    }

    fn wake(&self, tenant: &TenantId, device: DeviceId) {
        self.inner.wake(tenant, device);
    }

    fn rest(&self, tenant: &TenantId, device: DeviceId, over: Protocol) {
        self.inner.rest(tenant, device, over);
    }
}

impl Links for Handing {
    fn is_linked(&self, device: DeviceId) -> bool {
        self.inner.is_linked(device)
    }

    fn reach<'a>(
        &'a self,
        tenant: &'a TenantId,
        device: DeviceId,
    ) -> BoxFuture<'a, Option<Result<String, String>>> {
        self.inner.reach(tenant, device)
    }

    fn knock<'a>(
        &'a self,
        tenant: &'a TenantId,
        device: DeviceId,
    ) -> BoxFuture<'a, Option<Result<String, String>>> {
        self.inner.knock(tenant, device)
    }

    fn ways<'a>(&'a self, tenant: &'a TenantId, device: DeviceId) -> BoxFuture<'a, Vec<Way>> {
        self.inner.ways(tenant, device)
    }

    fn device_removed(&self, tenant: &TenantId, device: DeviceId) {
        self.inner.device_removed(tenant, device);
    }

    fn tenants_changed(&self) {
        self.inner.tenants_changed();
    }

    fn certificates_changed(&self) {
        self.inner.certificates_changed();
    }

    fn dialling_changed(&self, tenant: &TenantId, device: DeviceId) {
        self.inner.dialling_changed(tenant, device);
    }

    fn attempts(&self, tenant: &TenantId, device: DeviceId) -> Vec<Attempt> {
        self.inner.attempts(tenant, device)
    }

    fn heard(&self, device: DeviceId) -> Option<Timestamp> {
        self.inner.heard(device)
    }

    fn live(&self, device: DeviceId) -> Vec<LivePath> {
        self.inner.live(device)
    }

    fn connections(&self) -> u64 {
        self.inner.connections()
    }

    fn waking(&self) -> Waking {
        self.inner.waking()
    }
}
