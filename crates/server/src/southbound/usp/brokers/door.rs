//! What a broker asks about its clients: whether one may come in; what it may do then is in `rights`. The same
//! credentials as at the broker inside. `TENANT/DEVICE` is that device; `TENANT/setup` is whoever its client identifier
//! says, and `TENANT/setup/ENDPOINT`, where there is none, that endpoint, as long as a setup key opens it.

use std::sync::{Arc, OnceLock};

use broker::Topics;
use fleet::onboarding::{Refusal, Strength, Who};
use fleet::{DeviceId, TenantId};

use super::user::{CONFLICT, SETUP, User};
use crate::config::Tenants;
use crate::southbound::refusal::{Complaint, Peer};
use crate::southbound::register;
use crate::southbound::usp::adapter::Core;
use crate::southbound::usp::admission::{Gate, Shown, Ticket};
use crate::southbound::usp::limits::BROKER_NAMESAKES_MAX;
use crate::southbound::usp::{MQTT, STOMP, WEBSOCKET, settle};

/// See the module's words.
pub struct Door {
    pub(super) core: Arc<Core>,
    pub(super) gate: Arc<Gate>,
    /// At any of the brokers that ask.
    pub(super) topics: Vec<Topics>,
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
    /// Where it is, where the broker tells that.
    pub peer: Peer,
}

impl Client<'_> {
    /// What it speaks: MQTT has client identifiers.
    pub(super) fn transport(&self) -> &'static str {
        match self.client_id {
            "" => STOMP,
            _ => MQTT,
        }
    }
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
        topics: Vec<Topics>,
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
            return Err(self.not_behind(client));
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
            peer: client.peer.clone(),
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
    pub(super) async fn is_for(&self, tenant: &str) -> Result<bool, No> {
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
    pub(super) async fn alone(
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
            peer: client.peer.clone(),
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
    pub(super) async fn named(
        &self,
        tenant: &TenantId,
        name: &str,
    ) -> Result<Option<DeviceId>, No> {
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

    /// Its tenant has no devices behind the brokers that ask.
    pub(super) fn not_behind(&self, client: &Client<'_>) -> No {
        let detail = format!(
            "a broker asked for {}, whose tenant is not named in broker_auth.tenants or usp.brokers",
            client.username
        );
        self.refuse(client, None, "tenant-not-behind-broker", detail)
    }

    /// Remembers who was refused.
    pub(super) fn refuse(
        &self,
        client: &Client<'_>,
        tenant: Option<&TenantId>,
        reason: &str,
        detail: String,
    ) -> No {
        // Of two that it says it is neither is told what somebody else has done.
        let endpoint = match reason {
            CONFLICT => "",
            _ => client.client_id,
        };
        self.core.refusals.over(client.transport()).take(Complaint {
            tenant: tenant.cloned(),
            device: None,
            peer: client.peer.clone(),
            endpoint: endpoint.to_owned(),
            reason: reason.to_owned(),
            detail,
        });
        No::Refused
    }
}
