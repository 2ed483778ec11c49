//! The link of one device behind a broker: the verbs of a connection over what the broker delivers. It has no
//! connection of its own, so that a device is there is what it was last heard to be; when it is silent it is asked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use broker::{Area, Wrong};
use bytes::Bytes;
use mtp::limits::SEND_STALL_MAX;
use mtp::mqtt::{LinkError, Version};
use tokio::sync::mpsc;
use usp::record::{MqttConnectRecord, Record, RecordType, StompConnectRecord};
use usp::{EndpointId, codec, msg};

use super::inbox::Delivered;
use super::{Broker, Connection, Name, Outgoing, lock};
use crate::config::Protocol;
use crate::southbound::usp::limits::BROKER_PROBE_AGAIN;
use crate::southbound::usp::wire::Heard;

/// See the module's words.
pub struct Link {
    of: Parts,
    area: Area,
    /// The agent's version of MQTT.
    version: Version,
    /// Where the agent wants answers, below its own topic.
    reply: Option<Box<str>>,
    /// What is to be told before anything else.
    first: VecDeque<Heard>,
    begun: bool,
    heard: Instant,
    /// It was asked since then.
    probed: bool,
    /// When to look again whether it is there.
    look_at: Instant,
}

/// What a link is made of.
pub(super) struct Parts {
    pub broker: Arc<Broker>,
    pub name: Name,
    pub generation: usize,
    pub connection: Connection,
    pub incoming: mpsc::Receiver<Delivered>,
    /// Bytes of what waits there.
    pub bytes: Arc<AtomicUsize>,
    /// Why it is over, where not with the connection.
    pub why: Arc<OnceLock<String>>,
    /// Records that have not left for the broker when the connection ended.
    pub unsent: Arc<Mutex<Vec<Bytes>>>,
    pub between: Between,
}

/// Us and the agent.
#[derive(Clone)]
pub(super) struct Between {
    pub own: EndpointId,
    pub endpoint: EndpointId,
}

impl Link {
    pub(super) fn new(of: Parts) -> Self {
        let now = Instant::now();
        let topics = &of.broker.settings.topic_prefix;
        Self {
            area: topics.area(&of.name.0, &of.between.endpoint),
            look_at: now + of.broker.probe_every,
            of,
            version: Version::V5,
            reply: None,
            first: VecDeque::new(),
            begun: false,
            heard: now,
            probed: false,
        }
    }

    /// What comes next. Cancel-safe.
    pub async fn recv(&mut self) -> Heard {
        loop {
            if let Some(first) = self.first.pop_front() {
                return first;
            }
            match self.of.incoming.recv().await {
                Some(delivered) => self.take(delivered),
                None => return self.over(),
            }
        }
    }

    fn over(&self) -> Heard {
        if let Some(why) = self.of.why.get() {
            return Heard::Closed(why.clone());
        }
        let health = self.of.broker.health();
        let why = health.last_error.map(|(_, why)| why).unwrap_or_default();
        Heard::Closed(format!(
            "the connection to the broker {} was lost: {why}",
            health.name
        ))
    }

    fn take(&mut self, delivered: Delivered) {
        let size = delivered.record.len();
        self.of.bytes.fetch_sub(size, Ordering::Relaxed);
        self.of.broker.taken(&self.of.name, size);
        (self.heard, self.probed) = (Instant::now(), false);
        self.look_at = self.heard + self.of.broker.probe_every;
        self.version = match delivered.in_topic {
            true => Version::V311,
            false => Version::V5,
        };
        if let Some(reply) = delivered.reply {
            match self.area.may_be_answered_at(&reply) {
                true => self.reply = (reply != self.area.agent).then(|| reply.into()),
                false => self.first.push_back(Heard::Wrong(Wrong {
                    reason: "wrong-reply-topic",
                    detail: format!("wants answers at {reply}"),
                })),
            }
        }
        if !std::mem::replace(&mut self.begun, true)
            && let Some(connect) = self.connect(&delivered.record)
        {
            self.first.push_back(Heard::Record(connect));
        }
        self.first.push_back(Heard::Record(delivered.record));
    }

    /// Several servers share what the device says.
    pub fn is_shared(&self) -> bool {
        self.of.broker.settings.shared_group.is_some()
    }

    /// It ends with our connection to the broker, which others may still have.
    pub fn is_cut_off(&self) -> bool {
        self.of.incoming.is_closed() && self.of.why.get().is_none()
    }

    /// The device took its leave. It may be back unheard, where the broker gives its connect record to another server:
    /// what it says next is preceded by one again.
    pub fn left(&mut self) {
        self.begun = false;
    }

    /// The connect record of an agent that has sent its own before we listened: its connection to the broker
    /// outlives ours.
    fn connect(&self, record: &[u8]) -> Option<Bytes> {
        let record = codec::decode_record(record).ok()?;
        if record.record_type.is_connect() {
            return None;
        }
        let connect: RecordType = match self.of.broker.settings.url.protocol {
            Protocol::Mqtt => MqttConnectRecord {
                subscribed_topic: self.area.agent.clone(),
                ..MqttConnectRecord::default()
            }
            .into(),
            Protocol::Stomp => StompConnectRecord::default().into(),
        };
        let version = record.version.parse().ok()?;
        let connect = Record::new(
            version,
            &self.of.between.endpoint,
            &self.of.between.own,
            connect,
        );
        Some(codec::encode_record(&connect).into())
    }

    /// Sends one record; returns when it is queued. One that is not has not left.
    pub async fn send(&mut self, record: Bytes) -> Result<(), LinkError> {
        let sent = self
            .of
            .connection
            .outgoing
            .send(self.outgoing(record.clone()));
        let error = match tokio::time::timeout(SEND_STALL_MAX, sent).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(_)) => LinkError::Gone,
            Err(_) => LinkError::PeerStalled(SEND_STALL_MAX),
        };
        lock(&self.of.unsent).push(record);
        Err(error)
    }

    /// Records that certainly have not left, once, where the link is over. What was published and not acknowledged may
    /// have reached the device.
    pub fn unsent(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut *lock(&self.of.unsent))
    }

    /// To its own topic, or below, and nowhere else.
    fn outgoing(&self, record: Bytes) -> Outgoing {
        Outgoing {
            record,
            to: self.reply.as_deref().unwrap_or(&self.area.agent).to_owned(),
            reply: self.of.broker.reply(&self.area.controller),
            version: self.version,
        }
    }

    /// When [`Link::keep_alive`] wants to be called next.
    pub fn next_look(&self) -> Instant {
        self.look_at
    }

    /// Asks a silent device for a sign of life, or reports that it gave none.
    pub fn keep_alive(&mut self, now: Instant) -> Result<(), LinkError> {
        if self.look_at > now {
            return Ok(());
        }
        if !self.of.incoming.is_empty() {
            // It is there; nobody has read it yet.
            self.look_at = now + BROKER_PROBE_AGAIN;
            return Ok(());
        }
        if self.probed {
            if now.saturating_duration_since(self.look_at) >= BROKER_PROBE_AGAIN {
                // Nobody looked for as long: this server was held up, and what the device has answered may not be read yet.
                self.look_at = now + BROKER_PROBE_AGAIN;
                return Ok(());
            }
            let silent = now.saturating_duration_since(self.heard);
            return Err(LinkError::PeerSilent(silent));
        }
        let probe = self.outgoing(probe(&self.of.between));
        // One that had no room was not asked.
        self.probed = self.of.connection.outgoing.try_send(probe).is_ok();
        self.look_at = now
            + match self.probed {
                true => self.of.broker.probe_every,
                false => BROKER_PROBE_AGAIN,
            };
        Ok(())
    }

    /// When the device was last heard.
    pub fn last_heard(&self) -> Instant {
        self.heard
    }

    /// What the device speaks, as in the store.
    pub fn transport(&self) -> &'static str {
        self.of.broker.transport()
    }

    /// The name of the broker.
    pub fn broker(&self) -> &str {
        self.of.broker.name()
    }

    /// The broker.
    pub fn peer_addr(&self) -> SocketAddr {
        self.of.connection.peer
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.of.broker.close(&self.of.name, self.of.generation);
        // What was never read waits no more.
        let left = self.of.bytes.load(Ordering::Relaxed);
        self.of.broker.taken(&self.of.name, left);
    }
}

impl Broker {
    /// Where an agent is told to answer.
    pub(super) fn reply(&self, controller: &str) -> String {
        match self.below() {
            Some(below) => format!("{controller}/{below}"),
            None => controller.to_owned(),
        }
    }
}

/// A question that every agent answers and that changes nothing.
pub(super) fn probe(between: &Between) -> Bytes {
    let ask = msg::Msg::request(
        format!("alive-{:x}", rand::random::<u64>()),
        msg::get(["Device.LocalAgent.EndpointID"]),
    );
    let payload = usp::record::NoSessionContextRecord::new(codec::encode_msg(&ask));
    let record = Record::new(usp::Version::V1_0, &between.own, &between.endpoint, payload);
    codec::encode_record(&record).into()
}
