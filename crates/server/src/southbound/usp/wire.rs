//! What a link runs over: a WebSocket, a client of the broker inside, or a broker of somebody else. One set of verbs for
//! all.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use broker::{TooLarge, Wrong};
use bytes::Bytes;
use mtp::mqtt::{Version, code};
use mtp::ws::{CloseCode, reason};
use usp::controller;

use super::adapter::Core;
use super::goodbye::closed_words;
use super::{MQTT, STOMP, WEBSOCKET, brokers};
use crate::southbound::refusal::Peer;

/// See the module's words.
#[allow(
    clippy::large_enum_variant,
    reason = "most links are WebSockets, which a box would only make larger"
)]
pub enum Wire {
    /// A WebSocket.
    WebSocket(mtp::ws::Link),
    /// A client of the broker.
    Mqtt(Box<broker::Link>),
    /// A device behind somebody else's broker.
    Brokered(Box<brokers::Link>),
}

impl From<mtp::ws::Link> for Wire {
    fn from(link: mtp::ws::Link) -> Self {
        Self::WebSocket(link)
    }
}

impl From<broker::Link> for Wire {
    fn from(link: broker::Link) -> Self {
        Self::Mqtt(Box::new(link))
    }
}

impl From<brokers::Link> for Wire {
    fn from(link: brokers::Link) -> Self {
        Self::Brokered(Box::new(link))
    }
}

/// What came.
pub enum Heard {
    /// A record, still encoded.
    Record(Bytes),
    /// Whether records reach the device may be another than before.
    Subscribed,
    /// The device did what it may not; the link stays.
    Wrong(Wrong),
    /// The device closed it; how, in words.
    Closed(String),
}

/// How it broke.
#[derive(Debug)]
pub enum WireError {
    /// A WebSocket.
    WebSocket(mtp::ws::LinkError),
    /// A client of the broker.
    Mqtt(mtp::mqtt::LinkError),
}

impl WireError {
    /// What the device is complained about for, if it is its doing.
    pub fn complaint(&self) -> Option<&'static str> {
        match self {
            Self::WebSocket(mtp::ws::LinkError::PeerMisbehaved { .. }) => {
                Some("websocket-violation")
            }
            Self::Mqtt(mtp::mqtt::LinkError::PeerMisbehaved(_)) => Some("mqtt-violation"),
            Self::WebSocket(mtp::ws::LinkError::LimitExceeded { .. })
            | Self::Mqtt(mtp::mqtt::LinkError::LimitExceeded {
                limit: mtp::mqtt::PACKET_SIZE,
                ..
            }) => Some("record-limit-exceeded"),
            Self::Mqtt(mtp::mqtt::LinkError::LimitExceeded { .. }) => Some("mqtt-limit-exceeded"),
            Self::WebSocket(mtp::ws::LinkError::PeerTrickles(_))
            | Self::Mqtt(mtp::mqtt::LinkError::PeerTrickles(_)) => Some("record-too-slow"),
            _ => None,
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WebSocket(error) => error.fmt(f),
            Self::Mqtt(error) => error.fmt(f),
        }
    }
}

impl Wire {
    /// The name in the store.
    pub fn transport(&self) -> &'static str {
        match self {
            Self::WebSocket(_) => WEBSOCKET,
            Self::Mqtt(_) => MQTT,
            Self::Brokered(link) => link.transport(),
        }
    }

    /// How we talk over it.
    pub fn session<'a>(&self, core: &'a Core) -> &'a Arc<controller::Config> {
        match self {
            Self::WebSocket(_) => &core.session,
            Self::Brokered(link) if link.transport() == STOMP => &core.stomp_session,
            Self::Mqtt(_) | Self::Brokered(_) => &core.mqtt_session,
        }
    }

    /// Whether something that is no record ends it (R-WS.16), or is dropped (R-MQTT.28 to .32).
    pub fn closes_on_garbage(&self) -> bool {
        matches!(self, Self::WebSocket(_))
    }

    /// The device took its leave.
    pub fn left(&mut self) {
        if let Self::Brokered(link) = self {
            link.left();
        }
    }

    /// The device is behind somebody else's broker.
    pub fn is_brokered(&self) -> bool {
        matches!(self, Self::Brokered(_))
    }

    /// The device may be silent for longer than it is believed to be there: a client of MQTT 3.1.1 says itself how long,
    /// or that nobody is to look. One of MQTT 5 is told how long it may be.
    pub fn may_be_silent(&self) -> bool {
        matches!(self, Self::Mqtt(link) if link.version() == Version::V311)
    }

    /// Other servers hear the device, too.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Brokered(link) if link.is_shared())
    }

    /// Records that certainly have not left over a link that is over, where that can be told.
    pub fn unsent(&mut self) -> Vec<Bytes> {
        match self {
            Self::Brokered(link) => link.unsent(),
            Self::WebSocket(_) | Self::Mqtt(_) => Vec::new(),
        }
    }

    /// The connection to the broker is gone, which says nothing of the device.
    pub fn is_cut_off(&self) -> bool {
        matches!(self, Self::Brokered(link) if link.is_cut_off())
    }

    /// What comes next. Cancel-safe.
    pub async fn recv(&mut self) -> Result<Heard, WireError> {
        match self {
            Self::WebSocket(link) => match link.recv().await {
                Ok(mtp::ws::Incoming::Record(record)) => Ok(Heard::Record(record)),
                Ok(mtp::ws::Incoming::Closed(closed)) => Ok(Heard::Closed(closed_words(&closed))),
                Err(error) => Err(WireError::WebSocket(error)),
            },
            Self::Mqtt(link) => match link.recv().await {
                Ok(broker::Incoming::Record(record)) => Ok(Heard::Record(record)),
                Ok(broker::Incoming::Subscribed) => Ok(Heard::Subscribed),
                Ok(broker::Incoming::Wrong(wrong)) => Ok(Heard::Wrong(wrong)),
                Ok(broker::Incoming::Closed(words)) => Ok(Heard::Closed(match words.as_str() {
                    "" => "the device disconnected".to_owned(),
                    words => format!("the device disconnected ({words})"),
                })),
                Err(error) => Err(WireError::Mqtt(error)),
            },
            Self::Brokered(link) => Ok(link.recv().await),
        }
    }

    /// Whether what is sent reaches the device: over MQTT not before it has subscribed.
    pub fn is_heard(&self) -> bool {
        match self {
            // Whether one behind a broker is subscribed, only its answers tell.
            Self::WebSocket(_) | Self::Brokered(_) => true,
            Self::Mqtt(link) => link.is_heard(),
        }
    }

    /// Sends one record; returns when it is queued, or else why it cannot be sent this way, now or later.
    pub async fn send(&mut self, record: Bytes) -> Result<Option<String>, WireError> {
        match self {
            Self::WebSocket(link) => {
                let sent = link.send(record).await;
                sent.map(|()| None).map_err(WireError::WebSocket)
            }
            Self::Mqtt(link) => {
                let refused = link.send(record).await.map_err(WireError::Mqtt)?;
                Ok(refused.map(|TooLarge { bytes, max }| {
                    format!("it is a packet of {bytes} bytes, and the device takes {max} (its Maximum Packet Size)")
                }))
            }
            Self::Brokered(link) => {
                let sent = link.send(record).await;
                sent.map(|()| None).map_err(WireError::Mqtt)
            }
        }
    }

    /// Closes with a code and a reason, and waits for it, not for long.
    pub async fn close(self, code: CloseCode, text: &str) {
        match self {
            Self::WebSocket(link) => link.close(code, text).await,
            Self::Mqtt(link) => {
                let code = match code {
                    CloseCode::GoingAway => code::SHUTTING_DOWN,
                    CloseCode::Policy => code::ADMINISTRATIVE,
                    CloseCode::TryAgainLater => code::SERVER_BUSY,
                    CloseCode::Unsupported => code::PAYLOAD_FORMAT,
                    _ if text == reason::REPLACED => code::TAKEN_OVER,
                    _ => code::SUCCESS,
                };
                link.close(code, text).await;
            }
            // Its connection is the broker's.
            Self::Brokered(_) => {}
        }
    }

    /// When [`Wire::keep_alive`] wants to be called next.
    pub fn next_look(&self) -> Option<Instant> {
        match self {
            Self::WebSocket(link) => link.next_ping(),
            Self::Mqtt(link) => link.next_look(),
            Self::Brokered(link) => Some(link.next_look()),
        }
    }

    /// Looks after the device, or reports that it is gone.
    pub fn keep_alive(&mut self, now: Instant) -> Result<(), WireError> {
        match self {
            Self::WebSocket(link) => link.keep_alive(now).map_err(WireError::WebSocket),
            Self::Mqtt(link) => link.keep_alive(now).map_err(WireError::Mqtt),
            Self::Brokered(link) => link.keep_alive(now).map_err(WireError::Mqtt),
        }
    }

    /// When the device was last heard.
    pub fn last_heard(&self) -> Instant {
        match self {
            Self::WebSocket(link) => link.last_heard(),
            Self::Mqtt(link) => link.last_heard(),
            Self::Brokered(link) => link.last_heard(),
        }
    }

    /// Where the device is, as far as it is known.
    pub fn whence(&self) -> Peer {
        match self {
            Self::Brokered(link) => Peer::Behind(link.broker().to_owned()),
            _ => self.peer_addr().into(),
        }
    }

    /// The other end of the connection.
    pub fn peer_addr(&self) -> SocketAddr {
        match self {
            Self::WebSocket(link) => link.peer_addr(),
            Self::Mqtt(link) => link.peer_addr(),
            Self::Brokered(link) => link.peer_addr(),
        }
    }
}
