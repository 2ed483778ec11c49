//! Dialling the devices that listen: one task for each, that dials, runs the link, waits, and dials
//! again; told when an operator changes the address or wants the device now.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fleet::onboarding::{self, Credential, Newcomer};
use fleet::{DeviceId, Identity, TenantId};
use mtp::retry::Backoff;
use mtp::tls::ClientTls;
use mtp::ws::{CloseCode, DialConfig, Incoming, Link, dial};
use store::PathRecord;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use usp::EndpointId;

use super::WEBSOCKET;
use super::adapter::{Core, stop};
use super::admission::Ticket;
use super::limits::{
    ATTEMPTS_KEPT, CONNECT_RECORD_TIME, DIAL_STABLE, DIAL_WAIT_MAX, DIAL_WAIT_MIN, DIALS_AT_ONCE,
};
use super::link::{self, Stop};
use crate::seam::Attempt;
use crate::southbound::admission;
use crate::southbound::refusal::Complaint;
use crate::state::now;

/// Devices that are dialled.
pub struct Dials {
    core: Arc<Core>,
    tls: Option<Arc<ClientTls>>,
    at_once: Semaphore,
    dialled: Mutex<HashMap<DeviceId, Arc<Dialled>>>,
}

/// One of them.
struct Dialled {
    tenant: TenantId,
    attempts: Mutex<VecDeque<Attempt>>,
    now: Notify,
    over: CancellationToken,
}

impl Dials {
    /// None yet. `tls` is how `wss:` devices are checked; the public authorities where absent.
    pub fn new(core: Arc<Core>, tls: Option<Arc<ClientTls>>) -> Self {
        let at_once = Semaphore::new(DIALS_AT_ONCE);
        Self {
            core,
            tls,
            at_once,
            dialled: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, Arc<Dialled>>> {
        self.dialled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Dials every device of a tenant that has an address.
    pub async fn begin(self: &Arc<Self>, tenant: &TenantId) -> Result<(), store::Error> {
        let mut after = None;
        loop {
            let page = self
                .core
                .store
                .path_list_dialled(tenant, after, store::limits::PAGE_MAX)
                .await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.device);
            for path in &page {
                self.start(tenant, path.device);
            }
        }
    }

    /// Dials a device now; false when it is none that is dialled.
    pub fn wake(&self, device: DeviceId) -> bool {
        let dialled = self.lock().get(&device).cloned();
        dialled.is_some_and(|dialled| {
            dialled.now.notify_one();
            true
        })
    }

    /// The last attempts, newest first.
    pub fn attempts(&self, device: DeviceId) -> Vec<Attempt> {
        let dialled = self.lock().get(&device).cloned();
        dialled.map_or_else(Vec::new, |dialled| {
            let attempts = dialled
                .attempts
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            attempts.iter().cloned().collect()
        })
    }

    /// Whether, or where, a device is dialled was changed: begins anew.
    pub fn changed(self: &Arc<Self>, tenant: &TenantId, device: DeviceId) {
        if let Some(old) = self.lock().remove(&device) {
            old.over.cancel();
        }
        self.start(tenant, device);
    }

    /// Dials no device of a tenant any more.
    pub fn end(&self, tenant: &TenantId) {
        let mut all = self.lock();
        for dialled in all.values().filter(|one| one.tenant == *tenant) {
            dialled.over.cancel();
        }
        all.retain(|_, one| one.tenant != *tenant);
    }

    fn start(self: &Arc<Self>, tenant: &TenantId, device: DeviceId) {
        if self.core.ends().is_none() {
            return;
        }
        let dialled = Arc::new(Dialled {
            tenant: tenant.clone(),
            attempts: Mutex::default(),
            now: Notify::new(),
            over: self.core.shutdown.child_token(),
        });
        if let Some(old) = self.lock().insert(device, dialled.clone()) {
            old.over.cancel();
        }
        let (dials, tenant) = (self.clone(), tenant.clone());
        tokio::spawn(async move { dials.keep(tenant, device, dialled).await });
    }

    /// Keeps one device linked, until it is no longer dialled.
    async fn keep(self: Arc<Self>, tenant: TenantId, device: DeviceId, dialled: Arc<Dialled>) {
        let mut backoff = Backoff::new(DIAL_WAIT_MIN, 2_000);
        while !dialled.over.is_cancelled() {
            let path = match self.core.store.path(&tenant, device, WEBSOCKET).await {
                Ok(Some(path)) if path.dial_url.is_some() => path,
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, %device, "where to dial a device cannot be read");
                    if self.rest(&dialled, DIAL_WAIT_MIN).await {
                        continue;
                    }
                    return;
                }
            };
            let begun = Instant::now();
            if self.core.links.over(device, WEBSOCKET).is_none() {
                self.once(&tenant, path, &dialled).await;
            }
            if begun.elapsed() >= DIAL_STABLE {
                backoff.reset();
            }
            if !self
                .rest(&dialled, backoff.next(rand::random()).min(DIAL_WAIT_MAX))
                .await
            {
                return;
            }
        }
        let mut all = self.lock();
        if all
            .get(&device)
            .is_some_and(|now| Arc::ptr_eq(now, &dialled))
        {
            all.remove(&device);
        }
    }

    /// False when it is over.
    async fn rest(&self, dialled: &Dialled, wait: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            () = dialled.now.notified() => true,
            () = dialled.over.cancelled() => false,
        }
    }

    /// Dials once and runs the link to its end.
    async fn once(&self, tenant: &TenantId, path: PathRecord, dialled: &Dialled) {
        let device = path.device;
        let url = path.dial_url.clone().unwrap_or_default();
        let begun = Instant::now();
        let note = |ok: bool, words: String| dialled.note(&url, begun, ok, words);
        let mut config = DialConfig::new(url.clone(), self.core.own.clone());
        config.link = self.core.link_limits;
        config.tls.clone_from(&self.tls);
        let dialling = async {
            let _permit = self.at_once.acquire().await;
            dial(&config).await
        };
        let outcome = tokio::select! {
            outcome = dialling => outcome,
            () = dialled.over.cancelled() => return,
        };
        let result = if outcome.is_ok() { "linked" } else { "failed" };
        metrics::counter!("headend_usp_dials_total", "result" => result).increment(1);
        let link = match outcome {
            Ok(link) => link,
            Err(error) => return note(false, error.to_string()),
        };
        let (link, endpoint, first) = match introduce(link, &path.endpoint_id).await {
            Ok(known) => known,
            Err(why) => return note(false, why),
        };
        let peer = link.peer_addr();
        match self.admit(tenant, device, endpoint, &link).await {
            Ok(ticket) => {
                note(true, format!("connected to {peer}"));
                let running = link::run(self.core.clone(), link.into(), ticket, first);
                tokio::pin!(running);
                tokio::select! {
                    () = &mut running => return,
                    () = dialled.over.cancelled() => {}
                }
                let ours = self.core.links.over(device, WEBSOCKET);
                if let Some(entry) = ours.filter(|entry| entry.peer == peer) {
                    stop(&entry.inbox, self.why());
                }
                running.await;
            }
            Err(why) => {
                note(false, why);
                link.close(CloseCode::Policy, "refused").await;
            }
        }
    }

    fn why(&self) -> Stop {
        if self.core.shutdown.is_cancelled() {
            Stop::Shutdown
        } else {
            Stop::Redialled
        }
    }

    /// The same decision as for devices that come by themselves.
    async fn admit(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        endpoint: EndpointId,
        link: &Link,
    ) -> Result<Box<Ticket>, String> {
        let store = &self.core.store;
        let identity = Identity::endpoint(endpoint.as_str());
        let found = store.device_by_identity(tenant, &identity).await;
        let known = found
            .map_err(|error| error.to_string())?
            .map(|device| admission::known(device, None));
        let owner = store.tenant(tenant).await;
        let tenant_disabled = owner
            .map_err(|error| error.to_string())?
            .disabled_at
            .is_some();
        let credential = Credential::Dialled {
            tenant: tenant.clone(),
            device,
        };
        let newcomer = Newcomer {
            credential: &credential,
            tenant_disabled,
            endpoint: Some(endpoint.as_str()),
            certified: false,
            certificate: None,
            known,
            rivals: &self.core.links.rivals(device, WEBSOCKET),
        };
        let decision = onboarding::admit(&newcomer).map_err(|refusal| {
            self.core.refusals.take(Complaint {
                tenant: Some(tenant.clone()),
                device: None,
                peer: link.peer_addr().into(),
                endpoint: endpoint.as_str().to_owned(),
                reason: refusal.as_str().to_owned(),
                detail: "the server dialled it".to_owned(),
            });
            refusal.explanation().to_owned()
        })?;
        if known.is_none() {
            let attached = store
                .identity_attach(
                    tenant,
                    device,
                    vec![identity],
                    "dialled".into(),
                    now(),
                    vec![],
                )
                .await;
            attached.map_err(|error| error.to_string())?;
        }
        Ok(Box::new(Ticket {
            endpoint,
            decision,
            transport: WEBSOCKET,
            token: None,
            certificate: None,
            path: None,
            info: serde_json::json!({ "tls": link.is_tls(), "dialled": true }),
        }))
    }
}

impl Dialled {
    /// How a dial that began then went.
    fn note(&self, url: &str, begun: Instant, ok: bool, words: String) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.truncate(ATTEMPTS_KEPT - 1);
        let words = fleet::secret::without_credentials(&words);
        attempts.push_front(Attempt {
            at: now(),
            ok,
            method: WEBSOCKET.to_owned(),
            address: fleet::secret::without_credentials(url),
            took: begun.elapsed(),
            words,
        });
    }
}

/// Finds out who was reached: the one that is expected there, or whoever the first record is from.
async fn introduce(
    mut link: Link,
    expected: &str,
) -> Result<(Link, EndpointId, Option<Bytes>), String> {
    if !expected.is_empty() {
        let endpoint = EndpointId::parse(expected).map_err(|error| error.to_string())?;
        return Ok((link, endpoint, None));
    }
    let first = tokio::time::timeout(CONNECT_RECORD_TIME, link.recv()).await;
    let record = match first {
        Ok(Ok(Incoming::Record(record))) => record,
        Ok(Ok(Incoming::Closed(_))) => return Err("it closed the connection at once".to_owned()),
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => {
            link.close(CloseCode::Policy, "no connect record").await;
            return Err("it is connected and does not say who it is".to_owned());
        }
    };
    match usp::codec::decode_record(&record).map(|record| EndpointId::parse(&record.from_id)) {
        Ok(Ok(endpoint)) => Ok((link, endpoint, Some(record))),
        Ok(Err(error)) => Err(format!("its endpoint id is none: {error}")),
        Err(error) => {
            // R-WS.16
            link.close(CloseCode::Unsupported, mtp::ws::reason::UNPARSABLE_RECORD)
                .await;
            Err(format!("its first record cannot be read: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_attempts_are_kept_newest_first() {
        let dialled = Dialled {
            tenant: TenantId::parse("acme").unwrap(),
            attempts: Mutex::default(),
            now: Notify::new(),
            over: CancellationToken::new(),
        };
        (0..ATTEMPTS_KEPT + 3)
            .for_each(|n| dialled.note("ws://h/", Instant::now(), false, n.to_string()));
        let attempts = dialled.attempts.lock().unwrap();
        assert_eq!(attempts.len(), ATTEMPTS_KEPT);
        assert_eq!(attempts[0].words, (ATTEMPTS_KEPT + 2).to_string());
    }
}
