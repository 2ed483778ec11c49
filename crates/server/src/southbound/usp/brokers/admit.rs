//! Who may come in by a broker's word: the topic says whose device it is and which.

use std::time::Instant;

use fleet::onboarding::{self, Credential, Newcomer, Refusal, Who};
use fleet::{Identity, TenantId};
use usp::EndpointId;

use super::{Broker, Name};
use crate::config::Protocol;
use crate::southbound::admission;
use crate::southbound::usp::adapter::Core;
use crate::southbound::usp::admission::{Ticket, Turned};

impl Broker {
    /// Decides about the device that published under this name.
    pub(super) async fn admit(
        &self,
        core: &Core,
        name: &Name,
        endpoint: EndpointId,
        in_topic: bool,
    ) -> Result<Box<Ticket>, Turned> {
        let store = &core.store;
        let Ok(tenant) = TenantId::parse(&name.0) else {
            return Err(unknown());
        };
        let disabled = match store.tenant(&tenant).await {
            Ok(tenant) => tenant.disabled_at.is_some(),
            Err(store::Error::NotFound(_)) => return Err(unknown()),
            Err(error) => return Err(error.into()),
        };
        let identity = Identity::endpoint(endpoint.as_str());
        let (mut known, mut key) = (None, None);
        if let Some(device) = store.device_by_identity(&tenant, &identity).await? {
            let mut all = admission::known(device, None);
            for path in store.path_list(&tenant, device).await? {
                all.certificate_required |= path.certificate_required;
                // It came to a broker that asks us, and has no credential of its own yet.
                if path.transport == self.transport() {
                    key = path.setup_key.filter(|_| !path.has_current);
                    key = path.swap_key.or(key);
                }
            }
            // It may have been revoked since the broker asked, and is all that the device has shown there.
            if let Some(came_with) = key.filter(|_| self.settings.asks)
                && !admission::is_in_force(store, &tenant, came_with).await?
            {
                return Err(Turned::No {
                    tenant: Some(tenant),
                    refusal: Refusal::SetupKeyUnusable,
                    detail: format!("it came with it to the broker {}", self.settings.name),
                });
            }
            known = Some(all);
        }
        if let Some(other) = self.elsewhere(name) {
            let (detail, refusal) = (
                format!(
                    "heard through {}, linked through {}",
                    self.name(),
                    other.name()
                ),
                Refusal::BehindAnotherBroker,
            );
            return Err(Turned::No {
                tenant: Some(tenant),
                refusal,
                detail,
            });
        }

        let credential = Credential::Brokered {
            tenant: tenant.clone(),
            key: key.filter(|_| self.settings.asks),
            registers: self.settings.registers,
        };
        let rivals = known.map(|known| core.links.rivals(known.device, self.transport()));
        let rivals = rivals.unwrap_or_default();
        let newcomer = Newcomer {
            credential: &credential,
            tenant_disabled: disabled,
            endpoint: Some(endpoint.as_str()),
            certified: false,
            certificate: None,
            known,
            rivals: &rivals,
        };
        let decision = onboarding::admit(&newcomer).map_err(|refusal| Turned::No {
            tenant: Some(tenant),
            refusal,
            detail: format!("by the word of the broker {}", self.settings.name),
        })?;
        if decision.who == Who::New && decision.setup_key.is_none() {
            self.may_register(core, &decision.tenant).await?;
        }
        Ok(Box::new(Ticket {
            endpoint,
            transport: self.transport(),
            token: None,
            certificate: None,
            path: decision.swap.then(String::new),
            decision,
            info: serde_json::json!({
                "tls": self.settings.url.tls,
                "broker": self.settings.name,
                self.transport(): match self.settings.url.protocol {
                    Protocol::Stomp => "1.2",
                    Protocol::Mqtt if in_topic => "3.1.1",
                    Protocol::Mqtt => "5.0",
                },
            }),
        }))
    }
}

impl Broker {
    /// Whether its word is enough for one device more.
    async fn may_register(&self, core: &Core, tenant: &TenantId) -> Result<(), Turned> {
        let refuse = |refusal, detail| Turned::No {
            tenant: Some(tenant.clone()),
            refusal,
            detail,
        };
        let (name, max) = (self.name(), core.limits.broker_unfinished_max);
        let (store, transport) = (&core.store, self.transport());
        let unfinished = store.path_unfinished_behind(tenant, transport, name, max);
        if unfinished.await? >= max {
            let detail = format!(
                "limit BROKER_UNFINISHED_MAX: {max} that the broker {name} has had registered"
            );
            return Err(refuse(Refusal::TooManyUnfinished, detail));
        }
        if self.registrations.limited(tenant.clone(), Instant::now()) {
            let detail = format!("by the word of the broker {name}");
            return Err(refuse(Refusal::RegistrationsLimited, detail));
        }
        Ok(())
    }
}

/// A topic of nobody's.
fn unknown() -> Turned {
    Turned::No {
        tenant: None,
        refusal: Refusal::TenantMissing,
        detail: "the topic names no tenant".to_owned(),
    }
}
