//! Dialling a broker: TCP, TLS, CONNECT, and the subscriptions of R-MQTT.15. One attempt; when to
//! try again is [`crate::retry`]'s arithmetic and the caller's clock. A Controller that is a client of
//! somebody else's broker dials the same way; it alone says what it subscribes to.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};
use usp::EndpointId;

use super::{
    ENDPOINT_ID, Outbox, Pipe, SUBPROTOCOL, SUBSCRIBE_TOPIC,
    error::{LinkError, code_words},
    link::{self, Dialled, Link},
    packet::{ConnAck, Connect, Packet, Version},
    property::{Properties, Value, id},
    topic,
};
use crate::{
    limits::{
        DIAL_TIME_MAX, MQTT_CONTROLLER_IN_FLIGHT_MAX, MQTT_EARLY_MAX, MQTT_FILTERS_MAX,
        MQTT_KEEP_ALIVE, MQTT_PACKET_OVERHEAD_BYTES, RECORD_BYTES_MAX,
    },
    stream::Stream,
    tls::ClientTls,
    ws,
};

/// The largest packet that we take, and say so.
const PACKET_BYTES_MAX: usize = RECORD_BYTES_MAX + MQTT_PACKET_OVERHEAD_BYTES;

/// Retain Handling 2 among the options of a subscription (MQTT 5, 3.8.3.1).
const NO_RETAINED: u8 = 0x20;

/// Which broker to dial and how.
#[derive(Clone)]
pub struct DialConfig {
    /// Name or address of the broker; IPv6 without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How to check the broker; `None` is plaintext.
    pub tls: Option<Arc<ClientTls>>,
    /// The path of a WebSocket in which MQTT is spoken; `None` is MQTT on the connection itself.
    pub websocket: Option<String>,
    /// The version of MQTT.
    pub version: Version,
    /// Our own endpoint id (R-MQTT.13).
    pub own_eid: EndpointId,
    /// Empty: the broker chooses (5.0), or it is the endpoint id (3.1.1; R-MQTT.8).
    pub client_id: String,
    /// User name (R-MQTT.7).
    pub username: Option<String>,
    /// Password; `Debug` does not show it.
    pub password: Option<String>,
    /// Seconds.
    pub keep_alive: u16,
    /// Start without the session of before.
    pub clean: bool,
    /// Filters beside those the broker names.
    pub subscriptions: Vec<String>,
    /// `ResponseTopicConfigured`: where we listen unless the broker says otherwise.
    pub response_topic: Option<String>,
    /// Where the Controller listens.
    pub topic: String,
    /// This is the Controller's end, for all agents of a broker: it subscribes to `subscriptions`, whatever
    /// the broker says, and is of no use without any of them. Sends by [`Link::send_to`].
    pub controller: bool,
    /// Quality of service, 0 or 1 (R-MQTT.20).
    pub qos: u8,
    /// See [`DIAL_TIME_MAX`].
    pub time_max: Duration,
}

impl std::fmt::Debug for DialConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DialConfig")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl DialConfig {
    /// Everything at its default but the things that have none.
    pub fn new(host: impl Into<String>, port: u16, own: EndpointId, to: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port,
            tls: None,
            websocket: None,
            version: Version::V5,
            own_eid: own,
            client_id: String::new(),
            username: None,
            password: None,
            keep_alive: MQTT_KEEP_ALIVE,
            clean: true,
            subscriptions: Vec::new(),
            response_topic: None,
            topic: to.into(),
            controller: false,
            qos: 1,
            time_max: DIAL_TIME_MAX,
        }
    }

    /// The same for a Controller that listens to these filters.
    pub fn controller(
        host: impl Into<String>,
        port: u16,
        own: EndpointId,
        filters: Vec<String>,
    ) -> Self {
        Self {
            controller: true,
            subscriptions: filters,
            ..Self::new(host, port, own, "")
        }
    }
}

/// Why dialling failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The broker was not reached.
    #[error(transparent)]
    Connect(#[from] ws::DialError),
    /// The broker does not let us in.
    #[error("the broker refuses: {0}")]
    Refused(String),
    /// It ends the connection instead of answering, or answers with something else: what a broker of 3.1.1 does to 5.0.
    #[error("the broker does not accept MQTT {version} ({error}){hint}", hint = other(*version))]
    NotAccepted {
        /// What we speak.
        version: Version,
        /// What came in the place of its CONNACK.
        error: LinkError,
    },
    /// There is nothing to subscribe to: no answer could ever reach us (R-MQTT.16).
    #[error(
        "there is no topic to subscribe to: neither the broker nor the configuration names one"
    )]
    NothingToSubscribe,
    /// Every filter was refused (R-MQTT.17), or one that a Controller needs.
    #[error("the broker refuses subscriptions: {0}")]
    SubscriptionsRefused(String),
    /// A topic of the configuration cannot be used.
    #[error("not a topic: {0}")]
    BadTopic(String),
    /// The connection broke, or what came is not MQTT.
    #[error("the broker: {0}")]
    Link(#[from] LinkError),
    /// Not done in time.
    #[error("no MQTT connection within {0:?}")]
    Timeout(Duration),
}

/// Dials once.
pub async fn dial(config: &DialConfig) -> Result<Link, DialError> {
    if !config.controller && !topic::is_name(&config.topic) {
        return Err(DialError::BadTopic(config.topic.clone()));
    }
    let deadline = Instant::now() + config.time_max;
    let tcp = ws::connect(&config.host, config.port, deadline, config.time_max).await?;
    let peer_addr = tcp.peer_addr().map_err(LinkError::from)?;
    let late = |_| DialError::Timeout(config.time_max);
    let stream = match &config.tls {
        Some(tls) => {
            let secured = ws::secure(tls.config(), &config.host, tcp);
            timeout_at(deadline, secured).await.map_err(late)??.0
        }
        None => Stream::Plain(tcp),
    };
    let rest = async {
        let stream = match &config.websocket {
            Some(path) => ws::tunnelled(stream, path, &authority(config), SUBPROTOCOL).await?,
            None => stream,
        };
        begin(config, stream, peer_addr).await
    };
    timeout_at(deadline, rest).await.map_err(late)?
}

/// As it goes into the Host header.
fn authority(config: &DialConfig) -> String {
    match config.host.contains(':') {
        true => format!("[{}]:{}", config.host, config.port),
        false => format!("{}:{}", config.host, config.port),
    }
}

async fn begin(
    config: &DialConfig,
    stream: Stream,
    peer_addr: SocketAddr,
) -> Result<Link, DialError> {
    let packet_bytes_max = PACKET_BYTES_MAX;
    let mut pipe = Pipe::new(stream, config.version, packet_bytes_max);
    // Who publishes is not who we are connected to.
    pipe.skip_publishes();
    pipe.enqueue(&Packet::Connect(Box::new(connect(config))));
    pipe.flush().await?;
    // A connection that is lost before it answers may have been lost for any reason.
    let not_accepted = |error| match error {
        LinkError::Gone | LinkError::PeerMisbehaved(_) | LinkError::Closed(_) => {
            DialError::NotAccepted {
                version: config.version,
                error,
            }
        }
        lost => lost.into(),
    };
    let ack = match pipe.packet().await.map_err(not_accepted)? {
        Packet::ConnAck(ack) => *ack,
        _ => return Err(not_accepted(LinkError::PeerMisbehaved("no CONNACK"))),
    };
    if ack.code != 0 {
        return Err(DialError::Refused(refused(config.version, &ack)));
    }
    let said = Said::new(config, &ack)?;
    let mut options = config.qos.min(1);
    if config.controller && config.version == Version::V5 {
        // What was kept is not live.
        options |= NO_RETAINED;
    }
    let filters = said.filters.iter().map(|f| (f.clone(), options));
    pipe.enqueue(&Packet::Subscribe(1, filters.collect()));
    pipe.flush().await?;
    let (mut early, mut early_bytes, mut retained) = (VecDeque::new(), 0, 0_usize);
    let codes = loop {
        match pipe.packet().await? {
            Packet::SubAck(1, codes) => break codes,
            Packet::Publish(kept) if config.controller && kept.retain => {
                link::acknowledge(&mut pipe, &kept)?;
                retained += 1;
            }
            // What was kept for us may come first. It is acknowledged when it is taken.
            Packet::Publish(publish) => {
                early_bytes += publish.payload.len();
                if early.len() >= MQTT_EARLY_MAX || early_bytes > packet_bytes_max {
                    let (limit, max) = ("MQTT_EARLY_MAX", MQTT_EARLY_MAX as u64);
                    return Err(LinkError::LimitExceeded { limit, max }.into());
                }
                early.push_back(publish);
            }
            Packet::Disconnect(code, _) => return Err(DialError::Refused(code_words(code))),
            _ => return Err(LinkError::PeerMisbehaved("no SUBACK").into()),
        }
    };
    let refused = |code: &u8| *code >= 0x80;
    if codes.iter().all(refused) || config.controller && codes.iter().any(refused) {
        // R-MQTT.17
        pipe.enqueue(&Packet::Disconnect(0, Properties::default()));
        pipe.flush().await?;
        return Err(DialError::SubscriptionsRefused(said.filters.join(", ")));
    }
    if retained > 0 {
        tracing::debug!(retained, "retained messages are dropped");
    }
    let number = |id| ack.properties.number(id);
    let keep_alive = number(id::SERVER_KEEP_ALIVE).and_then(|seconds| u16::try_from(seconds).ok());
    let packet_max = number(id::MAXIMUM_PACKET_SIZE).map_or(packet_bytes_max, |max| max as usize);
    let qos = number(id::MAXIMUM_QOS).unwrap_or(1).min(1) as u8;
    Ok(Link::new(Dialled {
        pipe,
        early,
        outbox: match config.controller {
            true => Outbox::within(number(id::RECEIVE_MAXIMUM), MQTT_CONTROLLER_IN_FLIGHT_MAX),
            false => Outbox::new(number(id::RECEIVE_MAXIMUM)),
        },
        controller: config.controller,
        topic: config.topic.clone(),
        reply: said.reply,
        qos: config.qos.min(qos),
        packet_max,
        keep_alive: keep_alive.unwrap_or(config.keep_alive),
        peer_addr,
        client_id: ack
            .properties
            .get_text(id::ASSIGNED_CLIENT_ID)
            .map(str::to_owned),
    }))
}

fn connect(config: &DialConfig) -> Connect {
    let client_id = match (config.client_id.as_str(), config.version) {
        ("", Version::V311) => config.own_eid.to_string(),
        (configured, _) => configured.to_owned(),
    };
    let properties = match config.version {
        Version::V5 => Properties::default()
            .with(id::REQUEST_RESPONSE_INFORMATION, Value::Byte(1))
            .with(id::MAXIMUM_PACKET_SIZE, Value::U32(PACKET_BYTES_MAX as u32))
            .user(ENDPOINT_ID, config.own_eid.as_str()),
        Version::V311 => Properties::default(),
    };
    Connect {
        version: config.version,
        clean: config.clean,
        keep_alive: config.keep_alive,
        properties,
        client_id,
        username: config.username.clone(),
        password: config
            .password
            .as_ref()
            .map(|password| Bytes::copy_from_slice(password.as_bytes())),
    }
}

fn refused(version: Version, ack: &ConnAck) -> String {
    let reason = ack.properties.get_text(id::REASON_STRING);
    let words = match (version, ack.code) {
        // As a broker of 3.1.1 says it, to every version that it does not know.
        (version, 1) => format!("{}{}", code_words(0x84), other(version)),
        (Version::V5, code) => code_words(code),
        (_, 2) => code_words(0x85),
        (_, 3) => code_words(0x88),
        (_, 4) => code_words(0x86),
        (_, 5) => code_words(0x87),
        (_, code) => format!("return code {code}"),
    };
    match reason {
        Some(reason) => format!("{words} ({reason})"),
        None => words,
    }
}

/// What to try, after the version that we speak is not accepted.
fn other(version: Version) -> &'static str {
    match version {
        Version::V5 => ": it may speak 3.1.1 alone",
        Version::V311 => "",
    }
}

/// What follows from the CONNACK.
struct Said {
    filters: Vec<String>,
    reply: String,
}

impl Said {
    /// The set of R-MQTT.15, and the reply topic of R-MQTT.21.
    fn new(config: &DialConfig, ack: &ConnAck) -> Result<Self, DialError> {
        if config.controller {
            let (filters, reply) = (config.subscriptions.clone(), String::new());
            return match filters.iter().find(|filter| !topic::is_filter(filter)) {
                Some(bad) => Err(DialError::BadTopic(bad.clone())),
                None => Ok(Self { filters, reply }),
            };
        }
        let five = config.version == Version::V5;
        let mut filters = config.subscriptions.clone();
        let topics = ack.properties.users(SUBSCRIBE_TOPIC);
        filters.extend(topics.filter(|t| topic::is_filter(t)).map(str::to_owned));
        let informed = ack
            .properties
            .get_text(id::RESPONSE_INFORMATION)
            .filter(|t| five && topic::is_name(t))
            .map(str::to_owned);
        let configured = config.response_topic.clone();
        let own = match (&informed, configured) {
            (Some(topic), _) => Some(topic.clone()),
            (None, Some(configured)) if five => Some(configured),
            // Senders of 3.1.1 append where answers go.
            (None, Some(configured)) => Some(format!("{configured}/#")),
            (None, None) => None,
        };
        if let Some(own) = own
            && !filters.iter().any(|filter| topic::covers(filter, &own))
        {
            filters.push(own);
        }
        filters.dedup();
        filters.truncate(MQTT_FILTERS_MAX);
        if let Some(bad) = filters.iter().find(|filter| !topic::is_filter(filter)) {
            return Err(DialError::BadTopic(bad.clone()));
        }
        let first = || {
            filters
                .iter()
                .find(|filter| topic::is_name(filter))
                .cloned()
        };
        let reply = informed
            .or_else(|| config.response_topic.clone())
            .or_else(first)
            .ok_or(DialError::NothingToSubscribe)?;
        if !topic::is_name(&reply) {
            return Err(DialError::BadTopic(reply));
        }
        Ok(Self { filters, reply })
    }
}

#[cfg(test)]
mod tests;
