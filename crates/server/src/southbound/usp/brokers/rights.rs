//! What a client of a broker may do that has come in there. It follows from its user name alone, which the broker has had
//! checked, and the rules of topics are those of the broker inside. A no is remembered with who tried what.

use broker::Area;
use fleet::onboarding::Refusal;
use fleet::{DeviceId, TenantId};
use mtp::mqtt::topic;
use usp::EndpointId;

use super::door::{Client, Door, No};
use super::user::{SETUP, User};
use crate::southbound::admission;
use crate::southbound::refusal::Complaint;
use crate::southbound::usp::MQTT;
use crate::southbound::usp::limits::{BROKER_QUEUE_CHARS_MAX, BROKER_QUEUES_OF_DEVICE_MAX};
use crate::state::now;

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

impl Door {
    /// Whether a client that came in may do this with a topic.
    pub async fn may(
        &self,
        client: &Client<'_>,
        wants: Wants,
        topic: &str,
        levels: Levels,
    ) -> Result<(), No> {
        let whose = self.whose(client).await?;
        let own = |endpoint: &EndpointId| {
            self.topics.iter().any(|topics| {
                let area = topics.area(whose.tenant.as_str(), endpoint);
                allows(&area, wants, topic, levels)
            })
        };
        if whose.endpoints.iter().any(own) {
            return Ok(());
        }
        let does = match wants {
            Wants::Publish => "publish to",
            Wants::Hear => "subscribe to",
        };
        let detail = format!("{} wanted to {does} {topic}", client.username);
        Err(self.wrong(client, &whose, "wrong-topic", detail))
    }

    /// Whether a client that came in may have what is kept under this client identifier: where devices of several
    /// tenants have the endpoint id it is one's alone.
    pub async fn may_be(&self, client: &Client<'_>, id: &str) -> Result<(), No> {
        let of_id = Client {
            username: client.username,
            password: "",
            client_id: id,
            peer: client.peer.clone(),
        };
        let came = self.user(client)?;
        // Who it is it has said when it came in. Over MQTT a setup key alone says nothing of that, and RabbitMQ makes
        // the queue itself.
        let nameless = came.endpoint.is_none() && came.login.name == SETUP;
        let client = if nameless { &of_id } else { client };
        let whose = self.whose(client).await?;
        let own = |user: &User| {
            let endpoint = user.endpoint.as_ref().filter(|_| !id.is_empty());
            endpoint.is_some_and(|endpoint| whose.endpoints.contains(endpoint))
        };
        let Some(user) = User::parse(client.username, id).ok().filter(own) else {
            let detail = format!("{} wanted what is kept of {id}", client.username);
            return Err(self.wrong(client, &whose, WRONG_RESOURCE, detail));
        };
        let Whose { tenant, device, .. } = whose;
        self.alone(&of_id, &user, &tenant, Some(device)).await
    }

    /// Whether the queue of this name is the one of this user's device.
    pub async fn may_use(&self, client: &Client<'_>, queue: &str) -> Result<(), No> {
        let whose = self.whose(client).await?;
        if queue.len() <= BROKER_QUEUE_CHARS_MAX {
            let names: Vec<String> = whose.endpoints.iter().map(ToString::to_string).collect();
            let (store, max) = (&self.core.store, BROKER_QUEUES_OF_DEVICE_MAX);
            let is = store.broker_queue_belongs(&whose.tenant, &names, queue, now(), max);
            if is.await? {
                return Ok(());
            }
        }
        let detail = format!("{} wanted the queue {queue}", client.username);
        Err(self.wrong(client, &whose, WRONG_RESOURCE, detail))
    }

    /// Refuses what belongs to no device: another exchange, queue or virtual host.
    pub async fn never(&self, client: &Client<'_>, what: &str) -> Result<(), No> {
        let user = self.user(client)?;
        let named = TenantId::parse(&user.login.tenant).ok();
        let mut tenant = None;
        if let Some(named) = named
            && self.is_for(named.as_str()).await?
        {
            tenant = self.core.store.tenant(&named).await.ok();
        }
        let tenant = tenant.map(|tenant| tenant.id);
        let detail = format!("{} wanted {what}", client.username);
        Err(self.refuse(client, tenant.as_ref(), WRONG_RESOURCE, detail))
    }

    /// What a device tries that is let in.
    fn wrong(&self, client: &Client<'_>, whose: &Whose, reason: &str, detail: String) -> No {
        let endpoint = whose.endpoints.first().map(ToString::to_string);
        self.core.refusals.over(client.transport()).take(Complaint {
            tenant: Some(whose.tenant.clone()),
            device: Some(whose.device),
            peer: client.peer.clone(),
            endpoint: endpoint.unwrap_or_else(|| client.client_id.to_owned()),
            reason: reason.to_owned(),
            detail,
        });
        No::Refused
    }

    fn user(&self, client: &Client<'_>) -> Result<User, No> {
        let user = User::parse(client.username, client.client_id);
        user.map_err(|(reason, detail)| self.refuse(client, None, reason, detail))
    }

    /// Which device the user is. One that has come in and may do nothing any more is told of with the reason.
    async fn whose(&self, client: &Client<'_>) -> Result<Whose, No> {
        let user = self.user(client)?;
        let (store, login) = (&self.core.store, &user.login);
        let no = |tenant: Option<&TenantId>, refusal: Refusal| {
            let detail = format!(
                "{}, whose connection to the broker is open",
                client.username
            );
            self.refuse(client, tenant, refusal.as_str(), detail)
        };
        let unknown = || no(None, Refusal::TenantMissing);
        let tenant = TenantId::parse(&login.tenant).map_err(|_| unknown())?;
        let disabled = match store.tenant(&tenant).await {
            Ok(record) => record.disabled_at.is_some(),
            Err(store::Error::NotFound(_)) => return Err(unknown()),
            Err(error) => return Err(error.into()),
        };
        let no = |refusal| no(Some(&tenant), refusal);
        if disabled {
            return Err(no(Refusal::TenantDisabled));
        }
        if !self.is_for(tenant.as_str()).await? {
            return Err(self.not_behind(client));
        }
        if login.name == SETUP {
            let endpoint = user.endpoint.ok_or_else(|| no(Refusal::EndpointMissing))?;
            let known = self.gate.known(&tenant, &endpoint, MQTT).await;
            let known = known.map_err(|_| No::Later)?.0;
            let known = known.ok_or_else(|| no(Refusal::NotRegistered))?;
            known.opened_by_setup_key().map_err(no)?;
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
            return Err(no(Refusal::SetupKeyUnusable));
        }
        let device = self.named(&tenant, &login.name).await?;
        let device = device.ok_or_else(|| no(Refusal::NotRegistered))?;
        let paths = store.path_list(&tenant, device).await?;
        if paths.iter().any(|path| path.certificate_required) {
            return Err(no(Refusal::CertificateRequired));
        }
        // One whose credential was taken away may do nothing more.
        let own = paths.iter();
        let own = own.filter(|path| path.has_current || path.pending_at.is_some());
        let own = own.filter_map(|path| EndpointId::parse(&path.endpoint_id).ok());
        let own: Vec<EndpointId> = own.collect();
        if own.is_empty() {
            return Err(no(Refusal::UnknownCredential));
        }
        let is = |own: &EndpointId| user.endpoint.as_ref().is_none_or(|named| named == own);
        let endpoints = own.into_iter().filter(is).collect();
        Ok(Whose {
            tenant,
            device,
            endpoints,
        })
    }
}

/// The reason of a client that wants a queue, an exchange or a virtual host that is not its own.
const WRONG_RESOURCE: &str = "wrong-resource";

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
    use broker::Topics;

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
