//! Who may come in: what a newcomer shows is looked up, `fleet::onboarding` decides, a no is
//! remembered with its reason. Changes nothing: the peer may go away before it is answered.

use std::borrow::Cow;
use std::sync::Arc;

use fleet::onboarding::{self, Admission as Decision, Credential, Known, Newcomer, Refusal};
use fleet::{Identity, TenantId};
use mtp::ws::{Admission, Admitted, Hello, RefusalReason};
use store::{CertificateRecord, PathRecord, SecretHash};
use usp::EndpointId;

use super::adapter::Core;
use super::{MQTT, STOMP, WEBSOCKET};
use crate::matching;
use crate::secret;
use crate::southbound::admission::{self, ELSEWHERE, UNNAMED, Uses};
use crate::southbound::issued;
use crate::southbound::refusal::{Complaint, Peer};
use crate::state::now;

/// What is known of a link before its first record.
#[derive(Debug)]
pub struct Ticket {
    /// The agent.
    pub endpoint: EndpointId,
    /// Whose it is, what it becomes.
    pub decision: Decision,
    /// How it comes.
    pub transport: &'static str,
    /// The hash of the token it came with, to make a pending one the current one, and for which
    /// transport it was made.
    pub token: Option<(SecretHash, &'static str)>,
    /// The certificate that proves who it is, where that was issued here.
    pub certificate: Option<Box<CertificateRecord>>,
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
    token: Option<(SecretHash, &'static str)>,
    /// The endpoint id the credential belongs to, where it belongs to one.
    endpoint: Option<String>,
    /// A setup key that is only used up still serves the devices it has let in.
    used_up: bool,
    /// It came with a certificate alone, and what it says of its tenant is the name of none.
    unnamed: bool,
}

impl Found {
    fn of(credential: Credential) -> Self {
        Self {
            credential,
            token: None,
            endpoint: None,
            used_up: false,
            unnamed: false,
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

    /// Decides about whoever showed this.
    pub(super) async fn decide(&self, hello: &Shown<'_>) -> Result<Box<Ticket>, Turned> {
        let core = &self.core;
        if core.shutdown.is_cancelled() {
            return Err(Turned::Later("the server shuts down".to_owned()));
        }
        let issued = issued::find(&core.store, hello.fingerprint.as_ref()).await?;
        let mut found = self.look_up(hello, issued.as_deref()).await?;
        if hello.says_another_tenant(&found.credential) {
            found = Found::of(Credential::Unknown);
        }
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
            (Some(tenant), Some(endpoint)) => self.known(tenant, endpoint, hello.transport).await?,
            _ => (None, None),
        };
        // R-SEC.9
        let named = endpoint
            .as_ref()
            .is_some_and(|endpoint| hello.certificate_ids.contains(endpoint));
        let certified = match &tenant {
            Some(tenant) if named => self.counts(tenant, issued.as_deref()).await?,
            _ => false,
        };
        if !(certified && known.is_some()) {
            let used_up = found.used_up;
            Uses::judge(&mut found.credential, used_up, path.as_ref());
            self.uses.count(&mut found.credential);
        }
        let rivals = known
            .filter(|_| hello.links)
            .map(|known| core.links.rivals(known.device, hello.transport));
        let rivals = rivals.unwrap_or_default();
        let newcomer = Newcomer {
            credential: &found.credential,
            tenant_disabled,
            endpoint: endpoint.as_ref().map(EndpointId::as_str),
            certified,
            certificate: issued.as_deref().map(issued::standing),
            known,
            rivals: &rivals,
        };
        let elsewhere = (issued.is_none() && !certified).then_some(match found.unnamed {
            true => UNNAMED,
            false => ELSEWHERE,
        });
        let refuse = |refusal| Turned::No {
            detail: detail(refusal, hello, tenant.as_ref(), elsewhere),
            tenant: tenant
                .clone()
                .or_else(|| issued.as_ref().map(|one| one.tenant.clone())),
            refusal,
        };
        let decision = onboarding::admit(&newcomer).map_err(refuse)?;
        let endpoint = endpoint.ok_or_else(|| refuse(Refusal::EndpointMissing))?;
        Ok(Box::new(Ticket {
            endpoint,
            transport: hello.transport,
            path: hello.path.filter(|_| decision.swap).map(str::to_owned),
            token: found.token.filter(|_| decision.promote),
            certificate: issued.filter(|_| certified),
            decision,
            info: hello.info.clone(),
        }))
    }

    async fn look_up(
        &self,
        hello: &Shown<'_>,
        issued: Option<&CertificateRecord>,
    ) -> Result<Found, Turned> {
        let (store, shown) = (&self.core.store, hello.secret);
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
                token: Some((hash, transport_of(&path.transport))),
                endpoint,
                ..Found::of(credential)
            });
        }
        // Without any key a certificate may do. One of ours is known to be of a tenant; others say nothing of it, so the
        // path says whose device it is, of those for whose devices they count: whoever registered an endpoint id first
        // must not get the device of another.
        if hello.certificate_ids.is_empty() {
            return Ok(Found::of(Credential::Unknown));
        }
        let named = admission::tenant_named(store, hello.tenant, issued).await?;
        let unnamed = named.is_none();
        let tenant = match named {
            Some(tenant) if self.counts(&tenant, issued).await? => Some(tenant),
            _ => None,
        };
        Ok(Found {
            unnamed,
            ..Found::of(Credential::Certificate { tenant })
        })
    }

    async fn counts(
        &self,
        tenant: &TenantId,
        issued: Option<&CertificateRecord>,
    ) -> store::Result<bool> {
        let (store, elsewhere) = (&self.core.store, self.core.elsewhere.as_ref());
        admission::counts(store, tenant, issued, elsewhere).await
    }

    pub(super) async fn known(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        transport: &str,
    ) -> Result<(Option<Known>, Option<PathRecord>), Turned> {
        let store = &self.core.store;
        let identity = Identity::endpoint(endpoint.as_str());
        let Some(device) = store.device_by_identity(tenant, &identity).await? else {
            return Ok((None, None));
        };
        let mut known = admission::known(device, None);
        let mut own = None;
        // Who has a credential of its own on one way in is not let in with less on another.
        let paths = store.path_list(tenant, device).await?;
        known.certificate_required = matching::requires_certificate(&paths);
        for path in paths {
            if !matches!(path.transport.as_str(), WEBSOCKET | MQTT | STOMP) {
                continue;
            }
            let one = admission::known(device, Some(&path));
            known.has_own_credential |= one.has_own_credential;
            known.expects_own_token |= one.expects_own_token;
            known.readmit |= one.readmit;
            if path.transport == transport {
                own = Some(path);
            }
        }
        Ok((Some(known), own))
    }
}

/// What the refusal's own words do not say.
fn detail(
    refusal: Refusal,
    hello: &Shown<'_>,
    tenant: Option<&TenantId>,
    elsewhere: Option<&str>,
) -> String {
    let certificate = || {
        let ids = hello.certificate_ids.iter().map(EndpointId::as_str);
        ids.collect::<Vec<_>>().join(", ")
    };
    match (refusal, tenant) {
        (Refusal::EndpointMismatch, Some(_)) if !hello.certificate_ids.is_empty() => {
            format!("its certificate is for {}", certificate())
        }
        (Refusal::NotRegistered, Some(tenant)) => {
            format!("its certificate is for {}, tenant {tenant}", certificate())
        }
        (Refusal::TenantMissing, _) if elsewhere.is_some() => {
            let why = elsewhere.unwrap_or_default();
            format!("its certificate is for {}; {why}", certificate())
        }
        (Refusal::CertificateRevoked | Refusal::CertificateOfAnotherTenant, _)
        | (Refusal::TenantMissing, _) => format!("its certificate is for {}", certificate()),
        (Refusal::CertificateRequired, _) if !hello.tls => {
            "it came without TLS, where no certificate can be shown".to_owned()
        }
        (Refusal::CertificateRequired, _) if elsewhere.is_some() && hello.names_itself() => {
            format!("it showed a certificate; {ELSEWHERE}")
        }
        (Refusal::CertificateRequired, _) if hello.certified => {
            "it showed a certificate without its endpoint id".to_owned()
        }
        (Refusal::TenantDisabled, Some(tenant)) => format!("tenant {tenant}"),
        _ => String::new(),
    }
}

/// What a newcomer has shown, whatever it came over.
pub(super) struct Shown<'a> {
    /// How it comes.
    pub transport: &'static str,
    /// The key or token, or what stands in its place.
    pub secret: &'a str,
    /// Whose it says it is, where it can say that.
    pub tenant: &'a str,
    /// The user name says whose device it is: the credential has to be of that tenant.
    pub login: Option<&'a broker::Login>,
    /// The path, for the swap of its last part; empty where it has none.
    pub path: Option<&'a str>,
    pub eid: &'a Option<EndpointId>,
    pub certificate_ids: &'a [EndpointId],
    pub certified: bool,
    pub fingerprint: Option<SecretHash>,
    pub tls: bool,
    pub peer: Peer,
    /// It becomes a link; at somebody else's broker it becomes that broker's.
    pub links: bool,
    /// What the handshake told, for people.
    pub info: serde_json::Value,
}

impl Shown<'_> {
    /// Its certificate is for the endpoint id that it says it is.
    fn names_itself(&self) -> bool {
        let eid = self.eid.as_ref();
        eid.is_some_and(|eid| self.certificate_ids.contains(eid))
    }

    /// A user name opens nothing with the credential of somebody else.
    fn says_another_tenant(&self, credential: &Credential) -> bool {
        let Some(login) = self.login else {
            return false;
        };
        // The rest of the name is for people: a device that has taken its new name and not yet its new
        // secret comes in all the same, and one that was merged keeps its name.
        let tenant = credential.tenant();
        tenant.is_some_and(|tenant| tenant.as_str() != login.tenant)
    }
}

/// The name of a path's transport as ours.
fn transport_of(path: &str) -> &'static str {
    match path {
        MQTT => MQTT,
        STOMP => STOMP,
        _ => WEBSOCKET,
    }
}

/// Not now, or not at all.
pub(super) enum Turned {
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

impl Gate {
    /// The tenant that the user name says, where there is one: who guesses its passwords is its business.
    async fn claimed(&self, shown: &Shown<'_>) -> Option<TenantId> {
        let tenant = TenantId::parse(&shown.login?.tenant).ok()?;
        self.core.store.tenant(&tenant).await.ok()?;
        Some(tenant)
    }

    /// Decides; a no is counted and remembered.
    pub(super) async fn judge(&self, shown: &Shown<'_>) -> Result<Box<Ticket>, mtp::ws::Refusal> {
        let turned = match self.decide(shown).await {
            Ok(ticket) => {
                metrics::counter!("headend_usp_admissions_total", "result" => "admitted")
                    .increment(1);
                return Ok(ticket);
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
                let tenant = match tenant {
                    None => self.claimed(shown).await,
                    known => known,
                };
                (tenant, refusal.http_status(), refusal.as_str(), detail)
            }
        };
        self.core.refusals.over(shown.transport).take(Complaint {
            tenant,
            device: None,
            peer: shown.peer.clone(),
            endpoint: shown
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

impl Admission for Gate {
    type Ticket = Box<Ticket>;

    async fn admit(&self, hello: &Hello) -> Result<Admitted<Box<Ticket>>, mtp::ws::Refusal> {
        let last = hello.path.rsplit('/').next().unwrap_or_default();
        let shown = Shown {
            transport: WEBSOCKET,
            secret: last,
            tenant: last,
            login: None,
            path: Some(&hello.path),
            eid: &hello.eid,
            certificate_ids: &hello.certificate_ids,
            certified: hello.certified,
            fingerprint: hello.fingerprint,
            tls: hello.tls,
            peer: hello.peer_addr.into(),
            links: true,
            info: serde_json::json!({
                "tls": hello.tls,
                "certificate": hello.certified,
                "user_agent": hello.user_agent,
                "listener": hello.local_addr.to_string(),
            }),
        };
        let own = self.core.own.clone();
        self.judge(&shown)
            .await
            .map(|ticket| Admitted { own, ticket })
    }
}
