//! Who may come in: what a newcomer shows is looked up, `fleet::onboarding` decides, a no is
//! remembered with its reason. Changes nothing: the peer may go away before it is answered.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fleet::onboarding::{self, Admission as Decision, Credential, Known, Refusal};
use fleet::{Identity, SetupKeyId, TenantId, Timestamp};
use mtp::ws::{Admission, Admitted, Hello, RefusalReason};
use store::{PathRecord, SecretHash, SetupKeyRecord};
use usp::EndpointId;

use super::TRANSPORT;
use super::adapter::Core;
use super::limits::{SETUP_KEY_BURST, SETUP_KEY_PER_SECOND, SETUP_KEYS_COUNTED_MAX};
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
#[derive(Default)]
struct Uses(Mutex<HashMap<SetupKeyId, Bucket>>);

impl Uses {
    /// One more use; true when there were too many.
    fn limited(&self, key: SetupKeyId, now: Timestamp) -> bool {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= SETUP_KEYS_COUNTED_MAX {
            buckets.retain(|_, bucket| bucket.at(now) > 0.0);
        }
        let bucket = buckets.entry(key).or_insert(Bucket {
            level: 0.0,
            at: now,
        });
        bucket.level = bucket.at(now);
        bucket.at = now;
        let limited = bucket.level + 1.0 > SETUP_KEY_BURST;
        if !limited {
            bucket.level += 1.0;
        }
        limited
    }
}

/// Uses of one setup key: a bucket that leaks.
struct Bucket {
    level: f64,
    at: Timestamp,
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

impl Gate {
    /// A door.
    pub fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            uses: Uses::default(),
        }
    }

    async fn decide(&self, hello: &Hello) -> Result<Box<Ticket>, Turned> {
        let core = &self.core;
        if core.shutdown.is_cancelled() {
            return Err(Turned::Later("the server shuts down".to_owned()));
        }
        let shown = hello.path.rsplit('/').next().unwrap_or_default();
        let mut found = self.look_up(shown, hello).await?;
        let tenant = tenant_of(&found.credential);
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
        if let Some(path) = &path
            && path.certificate_required
            && hello.certificate_ids.is_empty()
        {
            let detail = "this device needs a client certificate with its endpoint id";
            return Err(Turned::No {
                tenant,
                refusal: Refusal::EndpointMismatch,
                detail: Some(detail.to_owned()),
            });
        }
        self.judge_use(&mut found, path.as_ref());
        // R-SEC.9: a verified certificate that names the endpoint id is the best proof there is.
        if let (Some(known), Some(tenant), false) =
            (&known, &tenant, hello.certificate_ids.is_empty())
            && !matches!(found.credential, Credential::Unknown)
        {
            found.credential = Credential::Certificate {
                tenant: tenant.clone(),
                device: known.device,
            };
        }
        let rival = known
            .as_ref()
            .and_then(|known| core.links.rival(known.device, now()));
        let endpoint_text = endpoint.as_ref().map(EndpointId::as_str);
        let decision = onboarding::admit(&found.credential, endpoint_text, known, rival).map_err(
            |refusal| Turned::No {
                tenant: tenant.clone(),
                refusal,
                detail: None,
            },
        )?;
        let Some(endpoint) = endpoint else {
            let refusal = Refusal::EndpointMissing;
            return Err(Turned::No {
                tenant,
                refusal,
                detail: None,
            });
        };
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
        let of = |credential| Found {
            credential,
            token: None,
            endpoint: None,
            used_up: false,
        };
        if secret::looks_like(shown, secret::SETUP_KEY) {
            let key = store.setup_key_by_hash(&secret::hash(shown)).await?;
            return Ok(key.map_or(of(Credential::Unknown), |key| setup_key(&key, now())));
        }
        if secret::looks_like(shown, secret::DEVICE) {
            let hash = secret::hash(shown);
            let Some(path) = store.path_by_credential(&hash).await? else {
                return Ok(of(Credential::Unknown));
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
                ..of(credential)
            });
        }
        // Without any key in the path a certificate alone may do, where it leads to one device.
        if let Some(id) = hello.certificate_ids.first() {
            let found = store.device_by_endpoint_anywhere(id.as_str()).await?;
            if let [(tenant, device)] = found.as_slice() {
                let credential = Credential::Certificate {
                    tenant: tenant.clone(),
                    device: *device,
                };
                return Ok(Found {
                    endpoint: Some(id.as_str().to_owned()),
                    ..of(credential)
                });
            }
        }
        Ok(of(Credential::Unknown))
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
        let known = Known {
            device,
            has_current_token: path.as_ref().is_some_and(|path| path.has_current),
            readmit: path
                .as_ref()
                .and_then(|path| path.readmit_until)
                .is_some_and(|until| until > now()),
        };
        Ok((Some(known), path))
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
            *limited = self.uses.limited(*key, now());
        }
    }
}

impl Bucket {
    fn at(&self, now: Timestamp) -> f64 {
        (self.level - now.since(self.at).as_secs_f64() * SETUP_KEY_PER_SECOND).max(0.0)
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
        credential,
        token: None,
        endpoint: None,
        used_up: open && used_up,
    }
}

fn tenant_of(credential: &Credential) -> Option<TenantId> {
    match credential {
        Credential::Unknown => None,
        Credential::SetupKey { tenant, .. }
        | Credential::DeviceToken { tenant, .. }
        | Credential::Certificate { tenant, .. }
        | Credential::Dialled { tenant, .. } => Some(tenant.clone()),
    }
}

/// Not now, or not at all.
enum Turned {
    Later(String),
    No {
        tenant: Option<TenantId>,
        refusal: Refusal,
        detail: Option<String>,
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
            } => {
                let detail = detail.unwrap_or_else(|| refusal.explanation().to_owned());
                (tenant, refusal.http_status(), refusal.as_str(), detail)
            }
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
        let (uses, now) = (Uses::default(), Timestamp::from_millis(1_000_000));
        let key = SetupKeyId(uuid::Uuid::nil());
        let burst = SETUP_KEY_BURST as usize;
        assert!((0..burst).all(|_| !uses.limited(key, now)));
        assert!(uses.limited(key, now));
        assert!(!uses.limited(SetupKeyId(uuid::Uuid::max()), now));
        assert!(!uses.limited(key, now.plus(Duration::from_secs(1))));
    }
}
