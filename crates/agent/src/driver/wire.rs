//! The connection to one controller, over whatever it runs: a WebSocket, an MQTT broker, a STOMP server, or a socket of
//! this device. One set of verbs for all.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mtp::mqtt::Version;
use mtp::tls::{ClientTls, ClientTlsConfig, Roots};
use mtp::ws::{CloseCode, Incoming, KeepAlive};
use usp::proto::record::{
    MqttConnectRecord, MqttVersion, RecordType, StompConnectRecord, StompVersion, UdsConnectRecord,
    WebSocketConnectRecord,
};

use crate::limits::REPLY_TOPICS_MAX;

/// Why there is no connection, or no longer.
#[derive(Debug)]
pub(super) struct WireError {
    words: String,
    /// The server has said that it has no time now: that is about nobody's credential.
    pub busy: bool,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl<E: std::error::Error> From<E> for WireError {
    fn from(error: E) -> Self {
        let (words, busy) = (error.to_string(), false);
        Self { words, busy }
    }
}

impl WireError {
    /// Of a WebSocket that did not come about.
    pub fn dialling(error: mtp::ws::DialError) -> Self {
        let busy = matches!(
            error,
            mtp::ws::DialError::Refused {
                status: 429 | 503,
                ..
            }
        );
        Self {
            busy,
            ..error.into()
        }
    }
}

/// See the module's words.
pub(super) enum Wire {
    WebSocket(Box<mtp::ws::Link>),
    Mqtt(Box<(mtp::mqtt::Link, Replies)>),
    Stomp(Box<(mtp::stomp::Link, Replies)>),
    Socket(Box<mtp::uds::Link>),
}

/// Where answers go that do not go where the controller always listens: by the id of the request.
#[derive(Default)]
pub(super) struct Replies(VecDeque<(String, String)>);

impl From<mtp::ws::Link> for Wire {
    fn from(link: mtp::ws::Link) -> Self {
        Self::WebSocket(Box::new(link))
    }
}

impl From<mtp::mqtt::Link> for Wire {
    fn from(link: mtp::mqtt::Link) -> Self {
        Self::Mqtt(Box::new((link, Replies::default())))
    }
}

impl From<mtp::stomp::Link> for Wire {
    fn from(link: mtp::stomp::Link) -> Self {
        Self::Stomp(Box::new((link, Replies::default())))
    }
}

impl From<mtp::uds::Link> for Wire {
    fn from(link: mtp::uds::Link) -> Self {
        Self::Socket(Box::new(link))
    }
}

impl Wire {
    /// The record that announces this agent (R-MTP.6).
    pub fn connect_record(&self) -> RecordType {
        match self {
            Self::WebSocket(_) => WebSocketConnectRecord {}.into(),
            Self::Socket(_) => UdsConnectRecord {}.into(),
            Self::Mqtt(mqtt) => MqttConnectRecord {
                version: match mqtt.0.version() {
                    Version::V5 => MqttVersion::V5,
                    Version::V311 => MqttVersion::V3_1_1,
                },
                subscribed_topic: mqtt.0.reply_topic().to_owned(),
            }
            .into(),
            Self::Stomp(stomp) => StompConnectRecord {
                version: StompVersion::V1_2,
                subscribed_destination: stomp.0.own_destination().to_owned(),
            }
            .into(),
        }
    }

    /// The next record, or nothing where there may be room again for what is sent; an error is the end. Cancel-safe.
    pub async fn recv(&mut self) -> Result<Option<Bytes>, WireError> {
        match self {
            Self::WebSocket(link) => match link.recv_some().await? {
                None => Ok(None),
                Some(Incoming::Record(record)) => Ok(Some(record)),
                Some(Incoming::Closed(closed)) => Err(WireError {
                    words: format!("closed by the controller: {}", closed.reason),
                    busy: false,
                }),
            },
            Self::Socket(link) => Ok(link.recv_some().await?),
            Self::Mqtt(mqtt) => {
                let (link, replies) = &mut **mqtt;
                Ok(link.recv_some().await?.map(|incoming| {
                    replies.remember(&incoming.record, incoming.reply, link.topic());
                    incoming.record
                }))
            }
            Self::Stomp(stomp) => {
                let (link, replies) = &mut **stomp;
                Ok(link.recv_some().await?.map(|incoming| {
                    replies.remember(&incoming.record, incoming.reply, link.destination());
                    incoming.record
                }))
            }
        }
    }

    /// Whether what is sent now does not wait.
    pub fn has_room(&self) -> bool {
        match self {
            Self::WebSocket(link) => link.has_room(),
            Self::Socket(link) => link.has_room(),
            Self::Mqtt(mqtt) => mqtt.0.has_room(),
            Self::Stomp(stomp) => stomp.0.has_room(),
        }
    }

    /// Whether nothing can be sent until the other end reads. Of a broker, what it acknowledges makes room, and has to be
    /// heard.
    pub fn waits_for_reader(&self) -> bool {
        matches!(self, Self::WebSocket(_) | Self::Socket(_)) && !self.has_room()
    }

    /// Waits until the other end has read so much that there is room, and hears nothing meanwhile. Cancel-safe.
    pub async fn room(&mut self) -> Result<(), WireError> {
        match self {
            Self::WebSocket(link) => Ok(link.room().await?),
            Self::Socket(link) => Ok(link.room().await?),
            Self::Mqtt(_) | Self::Stomp(_) => Ok(()),
        }
    }

    /// Bytes that wait for a peer that is slow to read.
    pub fn waiting_bytes(&self) -> usize {
        match self {
            Self::WebSocket(link) => link.waiting_bytes(),
            Self::Socket(link) => link.waiting_bytes(),
            Self::Mqtt(mqtt) => mqtt.0.waiting_bytes(),
            Self::Stomp(stomp) => stomp.0.waiting_bytes(),
        }
    }

    /// Sends one record. Waits where there is no room.
    pub async fn send(&mut self, record: Bytes) -> Result<(), WireError> {
        match self {
            Self::WebSocket(link) => Ok(link.send(record).await?),
            Self::Socket(link) => Ok(link.send(record).await?),
            Self::Mqtt(mqtt) => {
                let to = mqtt.1.reply_to(&record);
                Ok(mqtt.0.send(record, to.as_deref()).await?)
            }
            Self::Stomp(stomp) => {
                let to = stomp.1.reply_to(&record);
                Ok(stomp.0.send(record, to.as_deref()).await?)
            }
        }
    }

    /// Closes in order and waits for it, not for long.
    pub async fn close(self, code: CloseCode, reason: &'static str) {
        match self {
            Self::WebSocket(link) => link.close(code, reason).await,
            Self::Socket(link) if code == CloseCode::Normal => link.close().await,
            // R-UDS.23
            Self::Socket(link) => link.refuse(reason).await,
            Self::Mqtt(mqtt) => mqtt.0.close().await,
            Self::Stomp(stomp) => stomp.0.close().await,
        }
    }

    /// The connection to an MQTT broker.
    pub fn mqtt(&self) -> Option<&mtp::mqtt::Link> {
        match self {
            Self::Mqtt(mqtt) => Some(&mqtt.0),
            _ => None,
        }
    }

    /// The connection to a STOMP server.
    pub fn stomp(&self) -> Option<&mtp::stomp::Link> {
        match self {
            Self::Stomp(stomp) => Some(&stomp.0),
            _ => None,
        }
    }

    /// Listens at another destination from now on, where that is possible; says whether it is.
    pub fn resubscribe(&mut self, destination: &str) -> bool {
        match self {
            Self::Stomp(stomp) => stomp.0.resubscribe(destination),
            _ => false,
        }
    }

    /// Whether it now listens at another destination than the controller has been told.
    pub fn moved(&mut self) -> bool {
        match self {
            Self::Stomp(stomp) => stomp.0.moved(),
            _ => false,
        }
    }

    /// Whether what is no record ends it (R-WS.16, R-UDS.23), or is dropped (R-MQTT.28 to .32, and STOMP likewise).
    pub fn closes_on_garbage(&self) -> bool {
        !matches!(self, Self::Mqtt(_) | Self::Stomp(_))
    }

    /// Seconds between pings (R-WS.17). A broker was told at the start.
    pub fn set_keep_alive(&mut self, seconds: u32) {
        if let Self::WebSocket(link) = self {
            link.set_keep_alive(KeepAlive::every(Duration::from_secs(seconds.into())));
        }
    }

    pub fn next_ping(&self) -> Option<Instant> {
        match self {
            Self::WebSocket(link) => link.next_ping(),
            Self::Socket(_) => None,
            Self::Mqtt(mqtt) => mqtt.0.next_ping(),
            Self::Stomp(stomp) => stomp.0.next_ping(),
        }
    }

    pub fn keep_alive(&mut self, now: Instant) -> Result<(), WireError> {
        match self {
            Self::WebSocket(link) => Ok(link.keep_alive(now)?),
            // The kernel tells when a process is gone.
            Self::Socket(_) => Ok(()),
            Self::Mqtt(mqtt) => Ok(mqtt.0.keep_alive(now)?),
            Self::Stomp(stomp) => Ok(stomp.0.keep_alive(now)?),
        }
    }
}

impl Replies {
    /// Where the answer to a request goes, if that is not where everything goes (R-MQTT.23, R-STOMP.23).
    fn remember(&mut self, record: &Bytes, reply: Option<String>, always: &str) {
        let Some(reply) = reply.filter(|reply| reply != always) else {
            return;
        };
        let Some(id) = msg_id(record) else { return };
        if self.0.len() >= REPLY_TOPICS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((id, reply));
    }

    fn reply_to(&mut self, record: &Bytes) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let id = msg_id(record)?;
        let at = self.0.iter().position(|(known, _)| *known == id)?;
        self.0.remove(at).map(|(_, reply)| reply)
    }
}

/// The id of the message in a record without session context.
fn msg_id(record: &Bytes) -> Option<String> {
    match usp::codec::decode_record(record).ok()?.record_type {
        RecordType::NoSessionContext(context) => usp::codec::peek_msg(&context.payload).msg_id,
        _ => None,
    }
}

/// How a server is verified, by the configuration file.
pub(super) fn client_tls(
    tls: crate::TlsConfig,
    peer_eid: usp::EndpointId,
    proves: bool,
) -> Result<Arc<ClientTls>, mtp::tls::TlsError> {
    let settings = ClientTlsConfig {
        roots: tls.ca_file.map_or(Roots::Public, Roots::Only),
        own: tls.certificate.zip(tls.key),
        peer_eid: Some(peer_eid),
        eid_required: proves,
        clock_unset: false,
        insecure: tls.insecure,
    };
    ClientTls::load(&settings).map(Arc::new)
}
