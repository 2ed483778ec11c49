//! What a broker asks about its clients: whether one may come in, and what it may do. The same credentials and the same
//! rules of topics as at the broker inside. What a client may do follows from its user name alone, which the
//! broker has had checked: `TENANT/DEVICE` is that device; `TENANT/setup` is whoever its client identifier says, as
//! long as a setup key opens it.

use std::net::SocketAddr;
use std::sync::Arc;

use broker::{Area, Login, Topics};
use fleet::onboarding::{Refusal, Strength, Who};
use fleet::{DeviceId, Identity, TenantId};
use mtp::mqtt::topic;
use usp::EndpointId;

use super::Came;
use crate::southbound::refusal::Complaint;
use crate::southbound::register::{self, Newcomer};
use crate::southbound::usp::adapter::Core;
use crate::southbound::usp::admission::{Gate, Shown, Ticket};
use crate::southbound::usp::{MQTT, settle};

/// The name of a user who has nothing but a setup key.
const SETUP: &str = "setup";

/// See the module's words.
pub struct Door {
    core: Arc<Core>,
    gate: Arc<Gate>,
    came: Arc<Came>,
    topics: Topics,
}

/// A client that shows its credential.
pub struct Client<'a> {
    pub username: &'a str,
    pub password: &'a str,
    /// MQTT's client identifier, where the broker tells it.
    pub client_id: &'a str,
    pub peer: SocketAddr,
}

/// What a client wants to do with a topic or a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Publish to a topic.
    Publish,
    /// Subscribe to a filter, or be delivered what was published to a topic.
    Read,
}

/// How levels of topics are separated where the broker asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Levels {
    /// As in MQTT.
    Slashes,
    /// As in AMQP: RabbitMQ asks about routing keys.
    Dots,
}

/// A no, or that nobody can say now.
#[derive(Debug, PartialEq, Eq)]
pub enum No {
    /// It may not.
    Refused,
    /// Ask again later.
    Later,
}

impl From<store::Error> for No {
    fn from(error: store::Error) -> Self {
        tracing::warn!(%error, "what a broker asks cannot be answered");
        Self::Later
    }
}

impl Door {
    pub(super) fn new(core: Arc<Core>, gate: Arc<Gate>, came: Arc<Came>, topics: Topics) -> Self {
        Self {
            core,
            gate,
            came,
            topics,
        }
    }

    /// Whether a client may come in.
    pub async fn enter(&self, client: &Client<'_>) -> Result<(), No> {
        let Some(login) = Login::parse(client.username) else {
            let detail = "a broker asked for it".to_owned();
            return Err(self.refuse(client, None, "bare-username", detail));
        };
        let eid = match client.client_id {
            // A protocol without it: a device's own credential says which device it is.
            "" => None,
            // Two clients of one identifier end each other's connections, whoever they are.
            id => match EndpointId::parse(id) {
                Ok(eid) => Some(eid),
                Err(error) => {
                    let detail = format!("its client identifier has to be one: {error}");
                    return Err(self.refuse(client, None, "bad-endpoint-id", detail));
                }
            },
        };
        let shown = Shown {
            transport: MQTT,
            secret: client.password,
            tenant: &login.tenant,
            login: Some(&login),
            path: Some(""),
            eid: &eid,
            certificate_ids: &[],
            certified: false,
            fingerprint: None,
            tls: false,
            peer_addr: client.peer,
            links: false,
            info: serde_json::Value::Null,
        };
        let ticket = self.gate.judge(&shown).await;
        let ticket = ticket.map_err(|refusal| match refusal.status {
            503 => No::Later,
            _ => No::Refused,
        })?;
        match ticket.decision.strength {
            Strength::SetupKey => self.with_setup_key(client, &login, &ticket, eid).await,
            _ => self.with_own(client, &login, &ticket).await,
        }
    }

    async fn with_setup_key(
        &self,
        client: &Client<'_>,
        login: &Login,
        ticket: &Ticket,
        eid: Option<EndpointId>,
    ) -> Result<(), No> {
        let tenant = &ticket.decision.tenant;
        let mismatch = |detail: String| {
            let reason = Refusal::EndpointMismatch.as_str();
            Err(self.refuse(client, Some(tenant), reason, detail))
        };
        let (Some(eid), SETUP) = (eid, login.name.as_str()) else {
            return mismatch("a setup key goes with the user name TENANT/setup".to_owned());
        };
        let identity = Identity::endpoint(eid.as_str());
        if ticket.decision.who == Who::New {
            // On a broker of several tenants it would end the connection of the one that has the name.
            for other in self.core.store.tenant_list().await? {
                let known = self.core.store.device_by_identity(&other.id, &identity);
                if known.await?.is_some() {
                    let detail = "a device of another tenant has this endpoint id".to_owned();
                    return mismatch(detail);
                }
            }
            // Now, and not with its first record: that may reach another node.
            let newcomer = Newcomer {
                protocol: "usp",
                transport: MQTT,
                description: fleet::device::Description::default(),
                identities: vec![identity],
                vouched: false,
            };
            let key = ticket.decision.setup_key;
            match register::register(&self.core.store, tenant, key, newcomer).await {
                Ok(_) => {}
                Err(register::Unregistered::Refused(refusal)) => {
                    let reason = refusal.as_str();
                    return Err(self.refuse(client, Some(tenant), reason, String::new()));
                }
                Err(register::Unregistered::Store(error)) => return Err(error.into()),
            }
        }
        if let Some(key) = ticket.decision.setup_key {
            self.came.note(tenant, eid.as_str(), key);
        }
        Ok(())
    }

    async fn with_own(
        &self,
        client: &Client<'_>,
        login: &Login,
        ticket: &Ticket,
    ) -> Result<(), No> {
        let decision = &ticket.decision;
        let Who::Known(device) = decision.who else {
            return Err(No::Refused);
        };
        // What it may do follows from its user name: that has to be its own.
        if login.name.parse() != Ok(device) {
            let detail = format!("its user name has to be {}/{device}", decision.tenant);
            let reason = Refusal::EndpointMismatch.as_str();
            return Err(self.refuse(client, Some(&decision.tenant), reason, detail));
        }
        if let (true, Some((hash, transport))) = (decision.promote, ticket.token) {
            let event = settle::credential(&decision.tenant, device, "current");
            let (store, tenant) = (&self.core.store, &decision.tenant);
            store
                .path_confirm(tenant, device, transport, hash, vec![event])
                .await?;
        }
        self.came.forget(&decision.tenant, ticket.endpoint.as_str());
        Ok(())
    }

    /// Whether a client that came in may do this; `client_id` is empty where the broker does not say it.
    pub async fn may(
        &self,
        username: &str,
        client_id: &str,
        wants: Wants,
        topic: &str,
        levels: Levels,
    ) -> Result<(), No> {
        let login = Login::parse(username).ok_or(No::Refused)?;
        let endpoints = self.endpoints(&login, client_id).await?;
        let allowed = endpoints.iter().any(|endpoint| {
            let area = self.topics.area(&login.tenant, endpoint);
            allows(&area, wants, topic, levels)
        });
        allowed.then_some(()).ok_or(No::Refused)
    }

    /// Whether a client that came in has this client identifier.
    pub async fn is(&self, username: &str, client_id: &str) -> Result<(), No> {
        let login = Login::parse(username).ok_or(No::Refused)?;
        let endpoints = self.endpoints(&login, client_id).await?;
        let is = endpoints.iter().any(|one| one.as_str() == client_id);
        is.then_some(()).ok_or(No::Refused)
    }

    /// Which devices the user is.
    async fn endpoints(&self, login: &Login, client_id: &str) -> Result<Vec<EndpointId>, No> {
        let store = &self.core.store;
        let tenant = TenantId::parse(&login.tenant).map_err(|_| No::Refused)?;
        match store.tenant(&tenant).await {
            Ok(tenant) if tenant.disabled_at.is_none() => {}
            Ok(_) | Err(store::Error::NotFound(_)) => return Err(No::Refused),
            Err(error) => return Err(error.into()),
        }
        if login.name == SETUP {
            let eid = EndpointId::parse(client_id).map_err(|_| No::Refused)?;
            let known = self.gate.known(&tenant, &eid, MQTT).await;
            let known = known.map_err(|_| No::Later)?.0.ok_or(No::Refused)?;
            known.opened_by_setup_key().map_err(|_| No::Refused)?;
            return Ok(vec![eid]);
        }
        let device: DeviceId = login.name.parse().map_err(|_| No::Refused)?;
        let paths = store.path_list(&tenant, device).await?;
        let own = paths.iter().filter(|path| {
            // One whose credential was revoked may do nothing more.
            !path.certificate_required && (path.has_current || path.pending_at.is_some())
        });
        let own = own.filter_map(|path| EndpointId::parse(&path.endpoint_id).ok());
        Ok(own
            .filter(|own| client_id.is_empty() || own.as_str() == client_id)
            .collect())
    }

    fn refuse(
        &self,
        client: &Client<'_>,
        tenant: Option<&TenantId>,
        reason: &str,
        detail: String,
    ) -> No {
        self.core.refusals.over(MQTT).take(Complaint {
            tenant: tenant.cloned(),
            device: None,
            peer: client.peer,
            endpoint: client.client_id.to_owned(),
            reason: reason.to_owned(),
            detail,
        });
        No::Refused
    }
}

/// The rules of topics, in slashes or dots.
fn allows(area: &Area, wants: Wants, topic: &str, levels: Levels) -> bool {
    let below = |topic: &str, root: &str, separator: char| {
        topic
            .strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
    };
    match (levels, wants) {
        // An agent of 3.1.1 appends where answers go.
        (Levels::Slashes, Wants::Publish) => {
            topic::is_name(topic) && below(topic, &area.controller, '/')
        }
        (Levels::Slashes, Wants::Read) => area.may_subscribe(topic),
        (Levels::Dots, wants) => {
            let root = match wants {
                Wants::Publish => &area.controller,
                Wants::Read => &area.agent,
            };
            // There a dot in a name is a level more: it could be what is below another's.
            let plain = !root.contains(['.', '*', '#']);
            plain && below(topic, &root.replace('/', "."), '.')
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_topics_hold_in_slashes_and_in_dots() {
        let topics = Topics::default();
        let area = |eid: &str| topics.area("acme", &EndpointId::parse(eid).unwrap());
        let own = area("os::012345-A");
        let slashes = |wants, topic: &str| allows(&own, wants, topic, Levels::Slashes);
        let dots = |wants, topic: &str| allows(&own, wants, topic, Levels::Dots);
        for below in ["", "/reply-to=usp%2Fx", "/node/n1"] {
            let topic = format!("usp/acme/controller/os::012345-A{below}");
            assert!(slashes(Wants::Publish, &topic), "{topic}");
            assert!(!slashes(Wants::Read, &topic), "{topic}");
            let topic = topic.replace('/', ".");
            assert!(dots(Wants::Publish, &topic) && !dots(Wants::Read, &topic));
        }
        assert!(slashes(Wants::Read, "usp/acme/agent/os::012345-A/#"));
        assert!(dots(Wants::Read, "usp.acme.agent.os::012345-A.#"));
        for other in [
            "#",
            "usp/#",
            "usp/acme/agent/+",
            "usp/+/agent/os::012345-A",
            "usp/other/controller/os::012345-A",
            "usp/acme/controller/os::012345-AB",
            "usp/acme/agent/os::012345-AB",
            "",
        ] {
            for wants in [Wants::Publish, Wants::Read] {
                assert!(!slashes(wants, other), "{other}");
                let other = other.replace('/', ".").replace('+', "*");
                assert!(!dots(wants, &other), "{other}");
            }
        }
        // What is one name in MQTT is two levels there.
        let dotted = area("os::012345-A.B");
        let topic = "usp.acme.controller.os::012345-A.B";
        assert!(!allows(&dotted, Wants::Publish, topic, Levels::Dots));
    }
}
