//! Who may come in by a broker's word: the topic says whose device it is and which.

use std::time::Instant;

use fleet::Identity;
use fleet::onboarding::{self, Credential, Newcomer, Refusal, Who};
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
        let Ok(tenant) = fleet::TenantId::parse(&name.0) else {
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
            // It may have been revoked since the broker asked.
            if let Some(came_with) = key
                && !admission::is_in_force(store, &tenant, came_with).await?
            {
                key = None;
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
        if decision.who == Who::New
            && decision.setup_key.is_none()
            && self
                .registrations
                .limited(decision.tenant.clone(), Instant::now())
        {
            return Err(Turned::No {
                tenant: Some(decision.tenant),
                refusal: Refusal::RegistrationsLimited,
                detail: format!("by the word of the broker {}", self.settings.name),
            });
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

/// A topic of nobody's.
fn unknown() -> Turned {
    Turned::No {
        tenant: None,
        refusal: Refusal::TenantMissing,
        detail: "the topic names no tenant".to_owned(),
    }
}
