//! Our own connection to a broker, which speaks MQTT or STOMP: one set of verbs for both. Everything else here has the
//! topics of MQTT; a destination of STOMP is the same with dots, as RabbitMQ writes it.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use mtp::mqtt::{Incoming, LinkError, Refused, Undelivered, Version};
use mtp::{mqtt, stomp};

use super::Broker;
use crate::config::Protocol;
use crate::southbound::usp::adapter::Core;
use crate::southbound::usp::limits::BROKER_HEART_BEAT;

/// See the module's words.
pub(super) enum Client {
    Mqtt(Box<mqtt::Link>),
    Stomp(Box<stomp::Link>, Destinations),
}

impl Client {
    /// Connects once.
    pub async fn dial(broker: &Broker, core: &Core) -> Result<Self, String> {
        match broker.settings.url.protocol {
            Protocol::Mqtt => {
                let config = broker.dialling(core)?;
                let link = mqtt::dial(&config).await;
                let link = link.map_err(|error| error.to_string())?;
                Ok(Self::Mqtt(Box::new(link)))
            }
            Protocol::Stomp => {
                let prefix = broker.settings.topic_prefix.prefix();
                let destinations = Destinations(prefix.to_owned());
                let config = broker.dialling_stomp(core, destinations.all())?;
                let link = stomp::dial(&config).await;
                let link = link.map_err(|error| error.to_string())?;
                Ok(Self::Stomp(Box::new(link), destinations))
            }
        }
    }

    /// What comes next, or nothing after anything that may have made room. Cancel-safe.
    pub async fn recv_some(&mut self) -> Result<Option<Incoming>, LinkError> {
        match self {
            Self::Mqtt(link) => link.recv_some().await,
            Self::Stomp(link, destinations) => {
                let incoming = link.recv_some().await?;
                Ok(incoming.map(|incoming| Incoming {
                    record: incoming.record,
                    topic: destinations.delivered(&incoming.destination),
                    in_topic: false,
                    reply: incoming.reply.map(|reply| destinations.topic(&reply)),
                }))
            }
        }
    }

    /// The message that came last and could not be taken, once.
    pub fn refused(&mut self) -> Option<Refused> {
        match self {
            Self::Mqtt(link) => link.refused(),
            Self::Stomp(link, destinations) => {
                let Refused { topic, why } = link.refused()?;
                let topic = destinations.delivered(&topic);
                Some(Refused { topic, why })
            }
        }
    }

    /// The record that was last not delivered, once.
    pub fn undelivered(&mut self) -> Option<Undelivered> {
        match self {
            Self::Mqtt(link) => link.undelivered(),
            Self::Stomp(..) => None,
        }
    }

    /// Takes its leave.
    pub async fn close(self) {
        match self {
            Self::Mqtt(link) => link.close().await,
            Self::Stomp(link, _) => link.close().await,
        }
    }

    /// Whether what is sent now does not wait.
    pub fn has_room(&self) -> bool {
        match self {
            Self::Mqtt(link) => link.has_room(),
            Self::Stomp(link, _) => link.has_room(),
        }
    }

    /// Sends a record to a topic; false when it is larger than the broker takes.
    pub async fn send_to(
        &mut self,
        record: Bytes,
        to: &str,
        reply: &str,
        version: Version,
    ) -> Result<bool, LinkError> {
        match self {
            Self::Mqtt(link) => link.send_to(record, to, reply, version).await,
            Self::Stomp(link, destinations) => {
                let (to, reply) = (destinations.of(to), destinations.of(reply));
                link.send_as(record, &to, &reply).await?;
                Ok(true)
            }
        }
    }

    /// When [`Client::keep_alive`] wants to be called next.
    pub fn next_ping(&self) -> Option<Instant> {
        match self {
            Self::Mqtt(link) => link.next_ping(),
            Self::Stomp(link, _) => link.next_ping(),
        }
    }

    /// Looks after the broker, or reports that it is gone.
    pub fn keep_alive(&mut self, now: Instant) -> Result<(), LinkError> {
        match self {
            Self::Mqtt(link) => link.keep_alive(now),
            Self::Stomp(link, _) => link.keep_alive(now),
        }
    }

    /// The broker.
    pub fn peer_addr(&self) -> SocketAddr {
        match self {
            Self::Mqtt(link) => link.peer_addr(),
            Self::Stomp(link, _) => link.peer_addr(),
        }
    }
}

/// Topics as destinations, below this prefix. An endpoint id keeps its own dots: it is the last.
pub(super) struct Destinations(String);

const TOPIC: &str = "/topic/";

impl Destinations {
    /// What all agents send to.
    fn all(&self) -> String {
        format!("{TOPIC}{}.*.controller.#", self.0.replace('/', "."))
    }

    /// The destination of a topic.
    fn of(&self, topic: &str) -> String {
        format!("{TOPIC}{}", topic.replace('/', "."))
    }

    /// The topic of a destination as a device writes it; what is none of ours stays as it is.
    fn topic(&self, destination: &str) -> String {
        let topic = || {
            let rest = destination.strip_prefix(TOPIC)?;
            let rest = rest.strip_prefix(&self.0.replace('/', "."))?;
            let (tenant, rest) = rest.strip_prefix('.')?.split_once('.')?;
            let (whose, endpoint) = rest.split_once('.')?;
            Some(format!("{}/{tenant}/{whose}/{endpoint}", self.0))
        };
        topic().unwrap_or_else(|| destination.to_owned())
    }

    /// The same of one that RabbitMQ writes: it escapes `%`.
    fn delivered(&self, destination: &str) -> String {
        self.topic(&destination.replace("%25", "%"))
    }
}

impl Broker {
    fn dialling(&self, core: &Core) -> Result<mqtt::DialConfig, String> {
        let settings = &self.settings;
        let prefix = settings.topic_prefix.prefix();
        let filters = match &settings.shared_group {
            None => vec![format!("{prefix}/+/controller/+/#")],
            // Answers to us come to us; what agents say by themselves, in either version of MQTT, to any of us.
            Some(group) => vec![
                format!("{prefix}/+/controller/+/{}/#", self.node),
                format!("$share/{group}/{prefix}/+/controller/+"),
                format!("$share/{group}/{prefix}/+/controller/+/+"),
            ],
        };
        let (host, port) = (settings.url.host.clone(), settings.url.port);
        let mut config = mqtt::DialConfig::controller(host, port, core.own.clone(), filters);
        let named = || format!("headend-{}", core.node.as_str());
        config.client_id = settings.client_id.clone().unwrap_or_else(named);
        config.tls.clone_from(&self.tls);
        config.version = settings.version;
        config.username.clone_from(&settings.username);
        config.password = self.password()?;
        Ok(config)
    }

    fn dialling_stomp(&self, core: &Core, all: String) -> Result<stomp::DialConfig, String> {
        let settings = &self.settings;
        let (host, port) = (settings.url.host.clone(), settings.url.port);
        let mut config = stomp::DialConfig::new(host, port, core.own.clone(), "");
        config.tls.clone_from(&self.tls);
        config.virtual_host.clone_from(&settings.virtual_host);
        config.login.clone_from(&settings.username);
        config.passcode = self.password()?;
        config.heart_beat = Some((BROKER_HEART_BEAT, BROKER_HEART_BEAT));
        config.own_destination = Some(all);
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_the_topic_with_dots_and_an_endpoint_keeps_its_own() {
        let ours = Destinations("isp/usp".into());
        assert_eq!(ours.all(), "/topic/isp.usp.*.controller.#");
        for (topic, destination) in [
            (
                "isp/usp/acme/agent/os::0-1",
                "/topic/isp.usp.acme.agent.os::0-1",
            ),
            (
                "isp/usp/acme/controller/proto::a.b%2DC",
                "/topic/isp.usp.acme.controller.proto::a.b%2DC",
            ),
        ] {
            assert_eq!(ours.of(topic), destination);
            assert_eq!(ours.topic(destination), topic);
            assert_eq!(ours.delivered(&destination.replace('%', "%25")), topic);
        }
        for other in [
            "/queue/x",
            "/topic/isp.uspx.acme.agent.a",
            "/topic/isp.usp.acme",
            "/topic/isp.usp.acme.agent",
            "",
        ] {
            assert_eq!(ours.topic(other), other);
        }
    }
}
