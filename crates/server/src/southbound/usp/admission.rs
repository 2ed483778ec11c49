//! Who may come in: what a newcomer shows is looked up, `fleet::onboarding` decides, a no is
//! remembered with its reason. Changes nothing: the peer may go away before it is answered.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use fleet::onboarding::{self, Admission as Decision, Credential, Known, Newcomer, Refusal};
use fleet::{DeviceId, Identity, SetupKeyId, TenantId, Timestamp};
use mtp::ws::{Admission, Admitted, Hello, RefusalReason};
use store::{PathRecord, SecretHash, SetupKeyRecord};
use usp::EndpointId;

use super::TRANSPORT;
use super::adapter::Core;
use super::limits::{Limits, SETUP_KEYS_COUNTED_MAX};
use super::refusal::Complaint;
use crate::secret;
use crate::state::now;

/// What is known of a link before its first record.
#[derive(Debug)]
pub struct Ticket {
    /// The agent.
    pub endpoint: EndpointId,
    /// Whose it is, what it becomes.
    pub decision: Decision,
    /// The hash of the token it came with, to make a pending one the current one.
    pub token: Option<SecretHash>,
    /// The path it came with, when its last part is to be replaced by a token.
    pub path: Option<String>,
    /// What the handshake told, for people.
    pub info: serde_json::Value,
}

/// The door of the listeners.
pub struct Gate {
    core: Arc<Core>,
    uses: Uses,
}

/// How often setup keys were used lately.
struct Uses {
    burst: f64,
    per_second: f64,
    buckets: Mutex<HashMap<SetupKeyId, Bucket>>,
}

/// Uses of one setup key: a bucket that leaks.
struct Bucket {
    level: f64,
    at: Instant,
}

impl Uses {
    fn new(limits: &Limits) -> Self {
        Self {
            burst: limits.setup_key_burst,
            per_second: limits.setup_key_per_second,
            buckets: Mutex::default(),
        }
    }

    /// One more use; true when there were too many.
    fn limited(&self, key: SetupKeyId, now: Instant) -> bool {
        let level = |bucket: &Bucket| {
            let since = now.saturating_duration_since(bucket.at);
            (bucket.level - since.as_secs_f64() * self.per_second).max(0.0)
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= SETUP_KEYS_COUNTED_MAX && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| level(bucket) > 0.0);
            if buckets.len() >= SETUP_KEYS_COUNTED_MAX {
                return true;
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket {
            level: 0.0,
            at: now,
        });
        bucket.level = level(bucket);
        bucket.at = now;
        let limited = bucket.level + 1.0 > self.burst;
        if !limited {
            bucket.level += 1.0;
        }
        limited
    }
}

/// What was found for the credential of a newcomer.
struct Found {
    credential: Credential,
    token: Option<SecretHash>,
    /// The endpoint id the credential belongs to, where it belongs to one.
    endpoint: Option<String>,
    /// A setup key that is only used up still serves the devices it has let in.
    used_up: bool,
}

impl Found {
    fn of(credential: Credential) -> Self {
        Self {
            credential,
            token: None,
            endpoint: None,
            used_up: false,
        }
    }
}

impl Gate {
    /// A door.
    pub fn new(core: Arc<Core>) -> Self {
        let uses = Uses::new(&core.limits);
        Self { core, uses }
    }

    async fn decide(&self, hello: &Hello) -> Result<Box<Ticket>, Turned> {
        let core = &self.core;
        if core.shutdown.is_cancelled() {
            return Err(Turned::Later("the server shuts down".to_owned()));
        }
        let shown = hello.path.rsplit('/').next().unwrap_or_default();
        let mut found = self.look_up(shown, hello).await?;
        let tenant = found.credential.tenant().cloned();
        let tenant_disabled = match &tenant {
            Some(tenant) => core.store.tenant(tenant).await?.disabled_at.is_some(),
            None => false,
        };
        let mut endpoint = hello.eid.clone();
        if endpoint.is_none() {
            // An agent from before `?eid=` whose own token names it.
            endpoint = found
                .endpoint
                .as_deref()
                .and_then(|text| EndpointId::parse(text).ok());
        }
        let (known, path) = match (&tenant, &endpoint) {
            (Some(tenant), Some(endpoint)) => self.known(tenant, endpoint).await?,
            _ => (None, None),
        };
        // R-SEC.9
        let certified = endpoint
            .as_ref()
            .is_some_and(|endpoint| hello.certificate_ids.contains(endpoint));
        if !(certified && known.is_some()) {
            self.judge_use(&mut found, path.as_ref());
        }
        let newcomer = Newcomer {
            credential: &found.credential,
            tenant_disabled,
            endpoint: endpoint.as_ref().map(EndpointId::as_str),
            certified,
            known,
            rival: known.and_then(|known| core.links.rival(known.device)),
        };
        let refuse = |refusal| Turned::No {
            detail: detail(refusal, hello, tenant.as_ref()),
            tenant: tenant.clone(),
            refusal,
        };
        let decision = onboarding::admit(&newcomer).map_err(refuse)?;
        let endpoint = endpoint.ok_or_else(|| refuse(Refusal::EndpointMissing))?;
        Ok(Box::new(Ticket {
            endpoint,
            path: decision.swap.then(|| hello.path.clone()),
            token: found.token.filter(|_| decision.promote),
            decision,
            info: serde_json::json!({
                "tls": hello.tls,
                "certificate": hello.certified,
                "user_agent": hello.user_agent,
                "listener": hello.local_addr.to_string(),
            }),
        }))
    }

    async fn look_up(&self, shown: &str, hello: &Hello) -> Result<Found, Turned> {
        let store = &self.core.store;
        if secret::looks_like(shown, secret::SETUP_KEY) {
            let key = store.setup_key_by_hash(&secret::hash(shown)).await?;
            return Ok(key.map_or(Found::of(Credential::Unknown), |key| setup_key(&key, now())));
        }
        if secret::looks_like(shown, secret::DEVICE) {
            let hash = secret::hash(shown);
            let Some(path) = store.path_by_credential(&hash).await? else {
                return Ok(Found::of(Credential::Unknown));
            };
            let credential = Credential::DeviceToken {
                tenant: path.tenant,
                device: path.device,
                status: path.status,
            };
            let endpoint = Some(path.endpoint_id).filter(|id| !id.is_empty());
            return Ok(Found {
                token: Some(hash),
                endpoint,
                ..Found::of(credential)
            });
        }
        // Without any key a certificate may do. It is the same authority for all tenants and says
        // nothing of them, so the path says whose device it is: whoever registered an endpoint id
        // first must not get the device of another.
        if hello.certificate_ids.is_empty() {
            return Ok(Found::of(Credential::Unknown));
        }
        let tenant = self.named(shown).await?;
        Ok(Found::of(Credential::Certificate { tenant }))
    }

    /// The tenant of this name; where there is only one, that one.
    async fn named(&self, name: &str) -> Result<Option<TenantId>, Turned> {
        let store = &self.core.store;
        if let Ok(tenant) = TenantId::parse(name) {
            match store.tenant(&tenant).await {
                Ok(_) => return Ok(Some(tenant)),
                Err(store::Error::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut all = store.tenant_list().await?;
        Ok(match all.len() {
            1 => all.pop().map(|tenant| tenant.id),
            _ => None,
        })
    }

    async fn known(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
    ) -> Result<(Option<Known>, Option<PathRecord>), Turned> {
        let store = &self.core.store;
        let identity = Identity::endpoint(endpoint.as_str());
        let Some(device) = store.device_by_identity(tenant, &identity).await? else {
            return Ok((None, None));
        };
        let path = store.path(tenant, device, TRANSPORT).await?;
        Ok((Some(known(device, path.as_ref())), path))
    }

    fn judge_use(&self, found: &mut Found, path: Option<&PathRecord>) {
        let used_up = found.used_up;
        let Credential::SetupKey {
            key,
            usable,
            limited,
            ..
        } = &mut found.credential
        else {
            return;
        };
        *usable |= used_up && path.is_some_and(|path| path.setup_key == Some(*key));
        if *usable {
            *limited = self.uses.limited(*key, Instant::now());
        }
    }
}

/// What the way to a device says about who may take it.
pub fn known(device: DeviceId, path: Option<&PathRecord>) -> Known {
    let is = |what: fn(&PathRecord) -> bool| path.is_some_and(what);
    Known {
        device,
        has_current_token: is(|path| path.has_current),
        // A token that onboarding wrote is pending, too, but then the device came with a setup key.
        expects_own_token: is(|path| path.pending_at.is_some() && path.setup_key.is_none()),
        certificate_required: is(|path| path.certificate_required),
        readmit: is(|path| path.readmit_until.is_some_and(|until| until > now())),
    }
}

/// What the refusal's own words do not say.
fn detail(refusal: Refusal, hello: &Hello, tenant: Option<&TenantId>) -> String {
    let certificate = || {
        let ids = hello.certificate_ids.iter().map(EndpointId::as_str);
        ids.collect::<Vec<_>>().join(", ")
    };
    match (refusal, tenant) {
        (Refusal::NotRegistered, Some(tenant)) => {
            format!("its certificate is for {}, tenant {tenant}", certificate())
        }
        (Refusal::TenantMissing, _) => format!("its certificate is for {}", certificate()),
        (Refusal::CertificateRequired, _) if !hello.tls => {
            "it came without TLS, where no certificate can be shown".to_owned()
        }
        (Refusal::CertificateRequired, _) if hello.certified => {
            "it showed a certificate without its endpoint id".to_owned()
        }
        (Refusal::TenantDisabled, Some(tenant)) => format!("tenant {tenant}"),
        _ => String::new(),
    }
}

fn setup_key(key: &SetupKeyRecord, now: Timestamp) -> Found {
    let open = key.revoked_at.is_none() && key.expires_at.is_none_or(|at| at > now);
    let used_up = key.uses_max.is_some_and(|max| key.uses >= max);
    let credential = Credential::SetupKey {
        tenant: key.tenant.clone(),
        key: key.id,
        usable: open && !used_up,
        limited: false,
    };
    Found {
        used_up: open && used_up,
        ..Found::of(credential)
    }
}

/// Not now, or not at all.
enum Turned {
    Later(String),
    No {
        tenant: Option<TenantId>,
        refusal: Refusal,
        detail: String,
    },
}

impl From<store::Error> for Turned {
    fn from(error: store::Error) -> Self {
        Self::Later(error.to_string())
    }
}

impl Admission for Gate {
    type Ticket = Box<Ticket>;

    async fn admit(&self, hello: &Hello) -> Result<Admitted<Box<Ticket>>, mtp::ws::Refusal> {
        let turned = match self.decide(hello).await {
            Ok(ticket) => {
                metrics::counter!("headend_usp_admissions_total", "result" => "admitted")
                    .increment(1);
                return Ok(Admitted {
                    own: self.core.own.clone(),
                    ticket,
                });
            }
            Err(turned) => turned,
        };
        metrics::counter!("headend_usp_admissions_total", "result" => "refused").increment(1);
        let (tenant, status, reason, detail) = match turned {
            Turned::Later(why) => (None, 503, "unavailable", why),
            Turned::No {
                tenant,
                refusal,
                detail,
            } => (tenant, refusal.http_status(), refusal.as_str(), detail),
        };
        self.core.refusals.take(Complaint {
            tenant,
            device: None,
            peer: hello.peer_addr,
            endpoint: hello
                .eid
                .as_ref()
                .map_or_else(String::new, |id| id.as_str().to_owned()),
            reason: reason.to_owned(),
            detail: detail.clone(),
        });
        let reason = RefusalReason::Policy(Cow::Borrowed(reason));
        Err(mtp::ws::Refusal {
            status,
            reason,
            detail,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_setup_key_is_limited_after_a_burst_and_serves_again_later() {
        let limits = Limits::default();
        let (uses, now) = (Uses::new(&limits), Instant::now());
        let key = SetupKeyId(uuid::Uuid::nil());
        let burst = limits.setup_key_burst as usize;
        assert!((0..burst).all(|_| !uses.limited(key, now)));
        assert!(uses.limited(key, now));
        assert!(!uses.limited(SetupKeyId(uuid::Uuid::max()), now));
        let soon = now + Duration::from_secs_f64(1.0 / limits.setup_key_per_second);
        assert!(!uses.limited(key, soon));
        assert!(uses.limited(key, soon));
    }

    #[test]
    fn only_so_many_setup_keys_are_counted_and_the_idle_ones_are_forgotten() {
        let (uses, now) = (Uses::new(&Limits::default()), Instant::now());
        let key = |n: usize| SetupKeyId(uuid::Uuid::from_u128(n as u128));
        assert!((0..SETUP_KEYS_COUNTED_MAX).all(|n| !uses.limited(key(n), now)));
        assert!(uses.limited(key(SETUP_KEYS_COUNTED_MAX), now));
        let later = now + Duration::from_secs(1);
        assert!(!uses.limited(key(SETUP_KEYS_COUNTED_MAX), later));
        assert_eq!(uses.buckets.lock().unwrap().len(), 1);
    }
}
