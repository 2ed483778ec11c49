//! What a broker asks about its clients: whether one may come in, and what it may do. The same credentials and the same
//! rules of topics as at the broker inside. What a client may do follows from its user name alone, which the
//! broker has had checked: `TENANT/DEVICE` is that device; `TENANT/setup` is whoever its client identifier says, and
//! `TENANT/setup/ENDPOINT`, where there is none, that endpoint, as long as a setup key opens it.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use broker::{Area, Topics};
use fleet::onboarding::{Refusal, Strength, Who};
use fleet::{DeviceId, TenantId};
use mtp::mqtt::topic;
use usp::EndpointId;

use super::user::{SETUP, User};
use crate::config::Tenants;
use crate::southbound::admission;
use crate::southbound::refusal::Complaint;
use crate::southbound::register;
use crate::southbound::usp::adapter::Core;
use crate::southbound::usp::admission::{Gate, Shown, Ticket};
use crate::southbound::usp::limits::{
    BROKER_NAMESAKES_MAX, BROKER_QUEUE_CHARS_MAX, BROKER_QUEUES_OF_DEVICE_MAX,
};
use crate::southbound::usp::{MQTT, STOMP, WEBSOCKET, settle};
use crate::state::now;

/// See the module's words.
pub struct Door {
    core: Arc<Core>,
    gate: Arc<Gate>,
    topics: Topics,
    /// Whose devices are behind the brokers that ask. Where nobody has said it, the only tenant there is, and it alone
    /// also when others come: brokers do not turn away who was behind them before. Empty until there is one.
    tenants: OnceLock<Tenants>,
}

/// A client that shows its credential.
pub struct Client<'a> {
    pub username: &'a str,
    pub password: &'a str,
    /// MQTT's client identifier, where the broker tells it.
    pub client_id: &'a str,
    pub peer: SocketAddr,
}

impl Client<'_> {
    /// What it speaks: MQTT has client identifiers.
    fn transport(&self) -> &'static str {
        match self.client_id {
            "" => STOMP,
            _ => MQTT,
        }
    }
}

/// The device that a user is.
struct Whose {
    tenant: TenantId,
    device: DeviceId,
    /// The names under which it may do anything.
    endpoints: Vec<EndpointId>,
}

/// What a client wants to do with a topic or a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Publish to a topic.
    Publish,
    /// Subscribe to a filter, or be delivered what was published to a topic.
    Hear,
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
    pub(super) fn new(
        core: Arc<Core>,
        gate: Arc<Gate>,
        topics: Topics,
        named: Option<Tenants>,
    ) -> Self {
        Self {
            core,
            gate,
            topics,
            tenants: named.map_or_else(OnceLock::new, OnceLock::from),
        }
    }

    /// Whether it is clear whose devices it is asked about: nobody has named them and there are several otherwise.
    pub(super) async fn knows_tenants(&self) -> Result<bool, store::Error> {
        Ok(self.tenants().await?.is_some() || self.core.store.tenant_list().await?.is_empty())
    }

    async fn tenants(&self) -> Result<Option<&Tenants>, store::Error> {
        if let Some(tenants) = self.tenants.get() {
            return Ok(Some(tenants));
        }
        Ok(match &*self.core.store.tenant_list().await? {
            [only] => {
                let these = || Tenants::These(vec![only.id.clone()]);
                Some(self.tenants.get_or_init(these))
            }
            _ => None,
        })
    }

    /// Whether a client may come in.
    pub async fn enter(&self, client: &Client<'_>) -> Result<(), No> {
        let user = match User::parse(client.username, client.client_id) {
            Ok(user) => user,
            Err((reason, detail)) => return Err(self.refuse(client, None, reason, detail)),
        };
        if !self.is_for(&user.login.tenant).await? {
            let detail = format!(
                "a broker asked for {}, whose tenant is not named in broker_auth.tenants or usp.brokers",
                client.username
            );
            return Err(self.refuse(client, None, "tenant-not-behind-broker", detail));
        }
        let shown = Shown {
            transport: client.transport(),
            secret: client.password,
            tenant: &user.login.tenant,
            login: Some(&user.login),
            path: Some(""),
            eid: &user.endpoint,
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
            Strength::SetupKey => self.with_setup_key(client, &user, &ticket).await,
            _ => self.with_own(client, &user, &ticket).await,
        }
    }

    /// Whether the brokers that ask speak for this tenant.
    async fn is_for(&self, tenant: &str) -> Result<bool, No> {
        let tenants = self.tenants().await?;
        Ok(tenants.is_some_and(|tenants| tenants.has(tenant)))
    }

    async fn with_setup_key(
        &self,
        client: &Client<'_>,
        user: &User,
        ticket: &Ticket,
    ) -> Result<(), No> {
        let (store, tenant) = (&self.core.store, &ticket.decision.tenant);
        let (Some(endpoint), SETUP) = (&user.endpoint, user.login.name.as_str()) else {
            let detail = "a setup key goes with the user name TENANT/setup".to_owned();
            let reason = Refusal::EndpointMismatch.as_str();
            return Err(self.refuse(client, Some(tenant), reason, detail));
        };
        let known = match ticket.decision.who {
            Who::Known(device) => Some(device),
            Who::New => None,
        };
        self.alone(client, user, tenant, known).await?;
        let key = ticket.decision.setup_key;
        let device = match known {
            Some(device) => device,
            None => {
                // Now, and not with its first record: that may reach another node.
                let transport = client.transport();
                match register::register_agent(store, tenant, key, transport, endpoint, false).await
                {
                    Ok(device) => device,
                    Err(register::Unregistered::Refused(refusal)) => {
                        let reason = refusal.as_str();
                        return Err(self.refuse(client, Some(tenant), reason, String::new()));
                    }
                    Err(register::Unregistered::Store(error)) => return Err(error.into()),
                }
            }
        };
        if let Some(key) = key {
            let transport = client.transport();
            let path = store.path(tenant, device, transport).await?;
            if path.is_none_or(|path| path.swap_key != Some(key)) {
                let came = store.path_came(tenant, device, transport, endpoint.as_str(), key);
                came.await?;
            }
        }
        Ok(())
    }

    /// Two clients of one identifier end each other's connections, whoever they are. Where devices of several tenants
    /// have one endpoint id it is the one's that was registered first; the others take TENANT/ENDPOINT.
    async fn alone(
        &self,
        client: &Client<'_>,
        user: &User,
        tenant: &TenantId,
        device: Option<DeviceId>,
    ) -> Result<(), No> {
        let Some(endpoint) = user.endpoint.as_ref().filter(|_| user.bare) else {
            return Ok(());
        };
        let store = &self.core.store;
        let before = store.endpoint_known_before(endpoint.as_str(), device, BROKER_NAMESAKES_MAX);
        let before = before.await?;
        let mut behind = false;
        for other in before.iter().filter(|other| *other != tenant) {
            behind |= self.is_for(other.as_str()).await?;
        }
        if !behind && before.len() < BROKER_NAMESAKES_MAX {
            return Ok(());
        }
        // Without the endpoint id, by which it would be shown to whoever has it: no tenant is told which devices others
        // have.
        self.core.refusals.over(client.transport()).take(Complaint {
            tenant: None,
            device: None,
            peer: client.peer,
            endpoint: String::new(),
            reason: "client-identifier-taken".to_owned(),
            detail: format!(
                "{}, of tenant {tenant}, as {}",
                client.username, client.client_id
            ),
        });
        Err(No::Refused)
    }

    async fn with_own(&self, client: &Client<'_>, user: &User, ticket: &Ticket) -> Result<(), No> {
        let decision = &ticket.decision;
        let Who::Known(device) = decision.who else {
            return Err(No::Refused);
        };
        // What it may do follows from its user name: that has to be its own.
        if self.named(&decision.tenant, &user.login.name).await? != Some(device) {
            let detail = format!("its user name has to be {}/{device}", decision.tenant);
            let reason = Refusal::EndpointMismatch.as_str();
            return Err(self.refuse(client, Some(&decision.tenant), reason, detail));
        }
        let (store, tenant) = (&self.core.store, &decision.tenant);
        self.alone(client, user, tenant, Some(device)).await?;
        if let (true, Some((hash, transport))) = (decision.promote, ticket.token) {
            let event = settle::credential(tenant, device, "current");
            store
                .path_confirm(tenant, device, transport, hash, vec![event])
                .await?;
        }
        let path = store.path(tenant, device, client.transport()).await?;
        if path.is_some_and(|path| path.swap_key.is_some()) {
            let itself = store.path_came_itself(tenant, device, client.transport());
            itself.await?;
        }
        Ok(())
    }

    /// The device that comes under this name: the one of this id, or the one that it was merged into, which keeps it.
    async fn named(&self, tenant: &TenantId, name: &str) -> Result<Option<DeviceId>, No> {
        let Ok(id) = name.parse() else {
            return Ok(None);
        };
        for transport in [MQTT, STOMP, WEBSOCKET] {
            let path = self.core.store.path_of_device(id, transport).await?;
            if let Some(path) = path.filter(|path| path.tenant == *tenant) {
                return Ok(Some(path.device));
            }
        }
        Ok(None)
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
        let user = User::parse(username, client_id).map_err(|_| No::Refused)?;
        let endpoints = self.whose(&user).await?.endpoints;
        let allowed = endpoints.iter().any(|endpoint| {
            let area = self.topics.area(&user.login.tenant, endpoint);
            allows(&area, wants, topic, levels)
        });
        allowed.then_some(()).ok_or(No::Refused)
    }

    /// Whether a client that came in may have this client identifier, or what is kept under it: where devices of several
    /// tenants have the endpoint id it is one's alone.
    pub async fn may_be(&self, client: &Client<'_>) -> Result<(), No> {
        let user = User::parse(client.username, client.client_id).map_err(|_| No::Refused)?;
        let whose = self.whose(&user).await?;
        if user.endpoint.is_none() || whose.endpoints.is_empty() {
            return Err(No::Refused);
        }
        let Whose { tenant, device, .. } = whose;
        self.alone(client, &user, &tenant, Some(device)).await
    }

    /// Whether the queue of this name is the one of this user's device.
    pub async fn may_use(&self, username: &str, queue: &str) -> Result<(), No> {
        let user = User::parse(username, "").map_err(|_| No::Refused)?;
        if queue.len() > BROKER_QUEUE_CHARS_MAX {
            return Err(No::Refused);
        }
        let Whose {
            tenant, endpoints, ..
        } = self.whose(&user).await?;
        let names: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
        let max = BROKER_QUEUES_OF_DEVICE_MAX;
        let store = &self.core.store;
        let is = store.broker_queue_belongs(&tenant, &names, queue, now(), max);
        is.await?.then_some(()).ok_or(No::Refused)
    }

    /// Which device the user is.
    async fn whose(&self, user: &User) -> Result<Whose, No> {
        let (store, login) = (&self.core.store, &user.login);
        let tenant = TenantId::parse(&login.tenant).map_err(|_| No::Refused)?;
        match store.tenant(&tenant).await {
            Ok(record) if record.disabled_at.is_none() && self.is_for(tenant.as_str()).await? => {}
            Ok(_) | Err(store::Error::NotFound(_)) => return Err(No::Refused),
            Err(error) => return Err(error.into()),
        }
        if login.name == SETUP {
            let endpoint = user.endpoint.clone().ok_or(No::Refused)?;
            let known = self.gate.known(&tenant, &endpoint, MQTT).await;
            let known = known.map_err(|_| No::Later)?.0.ok_or(No::Refused)?;
            known.opened_by_setup_key().map_err(|_| No::Refused)?;
            let paths = store.path_list(&tenant, known.device).await?;
            // The key it came with may have been revoked since, or its time may be over.
            for key in paths.iter().filter_map(|path| path.swap_key) {
                if admission::is_in_force(store, &tenant, key).await? {
                    return Ok(Whose {
                        tenant,
                        device: known.device,
                        endpoints: vec![endpoint],
                    });
                }
            }
            return Err(No::Refused);
        }
        let device = self.named(&tenant, &login.name).await?;
        let device = device.ok_or(No::Refused)?;
        let paths = store.path_list(&tenant, device).await?;
        if paths.iter().any(|path| path.certificate_required) {
            return Err(No::Refused);
        }
        // One whose credential was taken away may do nothing more.
        let own = paths.iter();
        let own = own.filter(|path| path.has_current || path.pending_at.is_some());
        let own = own.filter_map(|path| EndpointId::parse(&path.endpoint_id).ok());
        let is = |own: &EndpointId| user.endpoint.as_ref().is_none_or(|named| named == own);
        let endpoints = own.filter(is).collect();
        Ok(Whose {
            tenant,
            device,
            endpoints,
        })
    }

    fn refuse(
        &self,
        client: &Client<'_>,
        tenant: Option<&TenantId>,
        reason: &str,
        detail: String,
    ) -> No {
        self.core.refusals.over(client.transport()).take(Complaint {
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
        (Levels::Slashes, Wants::Hear) => area.may_subscribe(topic),
        (Levels::Dots, wants) => {
            let root = match wants {
                Wants::Publish => &area.controller,
                Wants::Hear => &area.agent,
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
            assert!(!slashes(Wants::Hear, &topic), "{topic}");
            let topic = topic.replace('/', ".");
            assert!(dots(Wants::Publish, &topic) && !dots(Wants::Hear, &topic));
        }
        assert!(slashes(Wants::Hear, "usp/acme/agent/os::012345-A/#"));
        assert!(dots(Wants::Hear, "usp.acme.agent.os::012345-A.#"));
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
            for wants in [Wants::Publish, Wants::Hear] {
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
