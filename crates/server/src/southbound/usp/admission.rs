//! Who may come in: what a newcomer shows is looked up, `fleet::onboarding` decides, a no is
//! remembered with its reason. Changes nothing: the peer may go away before it is answered.

use std::borrow::Cow;
use std::sync::Arc;

use fleet::onboarding::{self, Admission as Decision, Credential, Known, Newcomer, Refusal};
use fleet::{Identity, TenantId};
use mtp::ws::{Admission, Admitted, Hello, RefusalReason};
use store::{PathRecord, SecretHash};
use usp::EndpointId;

use super::TRANSPORT;
use super::adapter::Core;
use crate::secret;
use crate::southbound::admission::{self, Uses};
use crate::southbound::refusal::Complaint;
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
        let uses = Uses::new(
            core.limits.setup_key_burst,
            core.limits.setup_key_per_second,
        );
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
            let used_up = found.used_up;
            Uses::judge(&mut found.credential, used_up, path.as_ref());
            self.uses.count(&mut found.credential);
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
            let Some(key) = key else {
                return Ok(Found::of(Credential::Unknown));
            };
            let (credential, used_up) = admission::setup_key(&key, now());
            return Ok(Found {
                used_up,
                ..Found::of(credential)
            });
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
        let tenant = admission::tenant_named(store, shown).await?;
        Ok(Found::of(Credential::Certificate { tenant }))
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
        Ok((Some(admission::known(device, path.as_ref())), path))
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
