//! An Agent's connection to its broker, towards one Controller; or a Controller's, towards all agents
//! of the broker. Like a WebSocket link it has no task
//! and, idle, no buffer: its owner awaits [`Link::recv`], which also writes what is queued.

use std::{
    collections::VecDeque,
    future::poll_fn,
    net::SocketAddr,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    Outbox, Pipe, addressed, code,
    error::{LinkError, code_words},
    is_record,
    packet::{Packet, Publish, Version},
    property::{self, Properties},
    topic,
};
use crate::limits::{PONG_TIME_MAX, SEND_QUEUE_BYTES};

/// A Record that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Still encoded.
    pub record: Bytes,
    /// Where it was published, without where answers go.
    pub topic: String,
    /// Its sender speaks MQTT 3.1.1: where answers go stood in the topic.
    pub in_topic: bool,
    /// Where an answer to it goes; a sender that does not say it speaks another binding
    /// (R-MQTT.26a).
    pub reply: Option<String>,
}

/// A message that came and cannot be taken. The broker has been told that it was, and sends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where it was published, the beginning of it.
    pub topic: String,
    /// Why.
    pub why: &'static str,
}

/// A Record that the broker has not brought to anybody, and says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// Where it went, with where answers go in 3.1.1.
    pub topic: String,
    /// What the broker says of it, a reason code of 5.0.
    pub code: u8,
}

impl Undelivered {
    /// Nobody is subscribed there; else the broker does not let us.
    pub fn nobody_listens(&self) -> bool {
        self.code == NO_MATCHING_SUBSCRIBERS
    }

    /// What the broker says, in words.
    pub fn words(&self) -> String {
        code_words(self.code)
    }
}

/// See the module's words.
pub struct Link {
    pipe: Pipe,
    /// Messages that came before the subscription was confirmed.
    early: VecDeque<Publish>,
    refused: Option<Refused>,
    undelivered: Option<Undelivered>,
    /// Of a Controller: what was kept for whoever subscribes is no message to it.
    controller: bool,
    outbox: Outbox,
    /// Where the Controller listens.
    topic: String,
    /// Where we do.
    reply: String,
    qos: u8,
    packet_max: usize,
    keep_alive: Duration,
    pinged: Instant,
    waiting: bool,
    peer_addr: SocketAddr,
    client_id: Option<String>,
    closed: bool,
}

/// What a finished handshake knows.
pub(super) struct Dialled {
    pub pipe: Pipe,
    pub early: VecDeque<Publish>,
    pub outbox: Outbox,
    pub controller: bool,
    pub topic: String,
    pub reply: String,
    pub qos: u8,
    pub packet_max: usize,
    pub keep_alive: u16,
    pub peer_addr: SocketAddr,
    pub client_id: Option<String>,
}

impl Link {
    pub(super) fn new(dialled: Dialled) -> Self {
        Self {
            pipe: dialled.pipe,
            early: dialled.early,
            refused: None,
            undelivered: None,
            controller: dialled.controller,
            outbox: dialled.outbox,
            topic: dialled.topic,
            reply: dialled.reply,
            qos: dialled.qos,
            packet_max: dialled.packet_max,
            keep_alive: Duration::from_secs(dialled.keep_alive.into()),
            pinged: super::pipe::now(),
            waiting: false,
            peer_addr: dialled.peer_addr,
            client_id: dialled.client_id,
            closed: false,
        }
    }

    /// The next Record. Cancel-safe. After an error the link is only good for dropping.
    pub async fn recv(&mut self) -> Result<Incoming, LinkError> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, LinkError>> {
        loop {
            if let Some(incoming) = ready!(self.poll_some(cx))? {
                return Poll::Ready(Ok(incoming));
            }
        }
    }

    /// The same, or nothing after anything that may have made room for what is sent, and after a message that
    /// cannot be taken ([`Link::refused`]) or was not delivered ([`Link::undelivered`]).
    pub async fn recv_some(&mut self) -> Result<Option<Incoming>, LinkError> {
        poll_fn(|cx| self.poll_some(cx)).await
    }

    /// The message that came last and could not be taken, once.
    pub fn refused(&mut self) -> Option<Refused> {
        self.refused.take()
    }

    /// The record that was last not delivered, once.
    pub fn undelivered(&mut self) -> Option<Undelivered> {
        self.undelivered.take()
    }

    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Incoming>, LinkError>> {
        if self.closed {
            return Poll::Ready(Err(LinkError::ApiMisuse));
        }
        let had_room = self.has_room();
        if let Poll::Ready(Err(error)) = self.pipe.poll_write(cx) {
            return Poll::Ready(Err(self.fail(cx, error)));
        }
        if !had_room && self.has_room() {
            return Poll::Ready(Ok(None));
        }
        // A broker that sends and does not read must not make us keep what it is answered.
        if self.pipe.queued_bytes() > SEND_QUEUE_BYTES {
            return Poll::Pending;
        }
        let packet = match self.early.pop_front() {
            Some(publish) => Ok(Packet::Publish(publish)),
            None => ready!(self.pipe.poll_packet(cx)),
        };
        let packet = match packet {
            Ok(packet) => packet,
            Err(error) => return Poll::Ready(Err(self.fail(cx, error))),
        };
        self.waiting = false;
        match self.packet(packet) {
            Ok(incoming) => Poll::Ready(Ok(incoming)),
            Err(error) => Poll::Ready(Err(self.fail(cx, error))),
        }
    }

    fn packet(&mut self, packet: Packet) -> Result<Option<Incoming>, LinkError> {
        match packet {
            Packet::Publish(publish) => {
                acknowledge(&mut self.pipe, &publish)?;
                let kept = (self.controller && publish.retain).then_some(RETAINED);
                if let Some(why) = publish.refused.or(kept) {
                    let topic = publish.topic;
                    tracing::debug!(%topic, why, "a message cannot be taken; it is dropped");
                    self.refused = Some(Refused { topic, why });
                    return Ok(None);
                }
                Ok(self.incoming(publish))
            }
            Packet::PubAck(id, code) => {
                let topic = self.outbox.acknowledged(&mut self.pipe, id);
                self.undelivered = topic.filter(|_| code != code::SUCCESS).map(|topic| {
                    let topic = topic.into();
                    Undelivered { topic, code }
                });
                Ok(None)
            }
            Packet::PingResp | Packet::SubAck(..) | Packet::UnsubAck(..) => Ok(None),
            Packet::Disconnect(code, _) => Err(LinkError::Closed(code_words(code))),
            _ => Err(LinkError::PeerMisbehaved(
                "a packet that servers do not send",
            )),
        }
    }

    fn incoming(&self, publish: Publish) -> Option<Incoming> {
        if !is_record(&publish.properties) {
            return None;
        }
        let five = self.pipe.version() == Version::V5;
        let said = publish.properties.get_text(property::id::RESPONSE_TOPIC);
        // Behind one broker are agents of both versions, whatever we speak with it.
        let (topic, inside) = topic::split_reply(&publish.topic);
        let (topic, in_topic) = (topic.to_owned(), inside.is_some());
        let reply = said.filter(|_| five).map(str::to_owned).or(inside);
        let record = publish.payload;
        Some(Incoming {
            record,
            topic,
            in_topic,
            reply,
        })
    }

    /// Sends one Record to the Controller's topic, or to `to` where it answers one that came with
    /// that reply topic. Returns when it is queued. One that is larger than the broker takes is dropped,
    /// as MQTT 5 wants it (3.1.2.11.4).
    pub async fn send(&mut self, record: Bytes, to: Option<&str>) -> Result<(), LinkError> {
        let topic = to.unwrap_or(&self.topic);
        let (topic, properties) = addressed(self.pipe.version(), topic, &self.reply);
        self.put(record, topic, properties).await.map(drop)
    }

    /// The same to any topic, with where answers to it go: for a Controller. The receiver is spoken to in its own
    /// version of MQTT. False when it is too large for the broker, and dropped.
    pub async fn send_to(
        &mut self,
        record: Bytes,
        to: &str,
        reply: &str,
        version: Version,
    ) -> Result<bool, LinkError> {
        let version = match self.pipe.version() {
            Version::V5 => version,
            Version::V311 => Version::V311,
        };
        let (topic, properties) = addressed(version, to, reply);
        self.put(record, topic, properties).await
    }

    async fn put(
        &mut self,
        record: Bytes,
        topic: String,
        properties: Properties,
    ) -> Result<bool, LinkError> {
        self.pipe.room().await?;
        let publish = Publish {
            qos: self.qos,
            topic,
            properties,
            payload: record,
            ..Publish::default()
        };
        let bytes = publish.packet_bytes(self.pipe.version());
        if bytes > self.packet_max {
            let (topic, max) = (&publish.topic, self.packet_max);
            tracing::warn!(%topic, bytes, max, "a record is larger than the broker takes; it is dropped");
            return Ok(false);
        }
        self.outbox.publish(&mut self.pipe, publish)?;
        self.pipe.push().await.map(|()| true)
    }

    /// Bytes that wait to be written.
    pub fn waiting_bytes(&self) -> usize {
        self.pipe.queued_bytes()
    }

    /// Whether more can be sent at once: the broker reads, and takes what it is sent.
    pub fn has_room(&self) -> bool {
        !self.outbox.is_full() && self.pipe.queued_bytes() < SEND_QUEUE_BYTES
    }

    /// Says goodbye (R-MQTT.35) and waits, not for long, until it is written.
    pub async fn close(mut self) {
        self.pipe
            .enqueue(&Packet::Disconnect(code::SUCCESS, Properties::default()));
        self.pipe.close().await;
    }

    fn fail(&mut self, cx: &mut Context<'_>, error: LinkError) -> LinkError {
        self.pipe.blame(cx, &error);
        self.closed = true;
        error
    }

    /// When [`Link::keep_alive`] wants to be called next.
    pub fn next_ping(&self) -> Option<Instant> {
        if self.waiting {
            return Some(self.pinged + PONG_TIME_MAX);
        }
        (!self.keep_alive.is_zero()).then(|| self.pinged + self.keep_alive)
    }

    /// Queues a ping if one is due (R-MQTT.14), or reports that nothing came after the last one.
    pub fn keep_alive(&mut self, now: Instant) -> Result<(), LinkError> {
        if self.next_ping().is_none_or(|at| at > now) {
            return Ok(());
        }
        if self.waiting {
            self.pipe.take_in();
            if self.pipe.heard_at() > self.pinged {
                self.waiting = false;
                return Ok(());
            }
            let silent = now.saturating_duration_since(self.pinged);
            return Err(LinkError::PeerSilent(silent));
        }
        (self.pinged, self.waiting) = (now, true);
        self.pipe.enqueue(&Packet::PingReq);
        Ok(())
    }

    /// The version in use.
    pub fn version(&self) -> Version {
        self.pipe.version()
    }

    /// Where the Controller is told to answer: the topic of the connect record.
    pub fn reply_topic(&self) -> &str {
        &self.reply
    }

    /// Where the Controller listens.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The client identifier the broker has assigned, to be kept for ever (R-MQTT.9).
    pub fn assigned_client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// The broker's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer_addr
    }
}

/// It was taken, and nobody is subscribed to where it went (MQTT 5, 3.4.2.1).
const NO_MATCHING_SUBSCRIBERS: u8 = 0x10;

/// Why a retained message is not taken.
const RETAINED: &str = "a retained message: it says nothing of now";

/// Tells the broker that a message was taken.
pub(super) fn acknowledge(pipe: &mut Pipe, publish: &Publish) -> Result<(), LinkError> {
    match publish.qos {
        0 => {}
        1 => pipe.enqueue(&Packet::PubAck(publish.id, code::SUCCESS)),
        _ => return Err(LinkError::PeerMisbehaved("a PUBLISH of QoS 2")),
    }
    Ok(())
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("peer_addr", &self.peer_addr)
            .field("reply", &self.reply)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        net::{TcpListener, TcpStream},
        time::timeout,
    };

    use super::*;
    use crate::{limits::RECORD_BYTES_MAX, stream::Stream};

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A link that takes packets of this size for sendable, and the broker's end.
    async fn pair(packet_max: usize) -> (Link, Pipe) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(addr), listener.accept());
        let pipe = |tcp| Pipe::new(Stream::Plain(tcp), Version::V5, usize::MAX);
        let link = Link::new(Dialled {
            pipe: pipe(near.unwrap()),
            early: VecDeque::new(),
            outbox: Outbox::new(None),
            controller: false,
            topic: "c".into(),
            reply: "a".into(),
            qos: 0,
            packet_max,
            keep_alive: 60,
            peer_addr: addr,
            client_id: None,
        });
        (link, pipe(far.unwrap().0))
    }

    fn record(n: u8, qos: u8) -> Packet {
        Packet::Publish(Publish {
            qos,
            id: u16::from(qos),
            topic: "a".into(),
            payload: Bytes::copy_from_slice(&[n]),
            ..Publish::default()
        })
    }

    #[tokio::test]
    async fn a_broker_that_does_not_read_is_not_answered_without_end() {
        let (mut link, mut broker) = pair(usize::MAX).await;
        for n in [1, 2] {
            broker.enqueue(&record(n, 1));
        }
        broker.flush().await.unwrap();
        assert_eq!(link.recv().await.unwrap().record, Bytes::from_static(&[1]));
        // More than the sockets take.
        link.send(vec![0; 8 * RECORD_BYTES_MAX].into(), None)
            .await
            .unwrap();
        assert!(link.pipe.queued_bytes() > SEND_QUEUE_BYTES);
        let reading = async { while broker.packet().await.is_ok() {} };
        let second = tokio::select! {
            second = timeout(PATIENCE, link.recv()) => second,
            () = reading => unreachable!("it is open"),
        };
        assert_eq!(second.unwrap().unwrap().record, Bytes::from_static(&[2]));
        assert!(link.pipe.queued_bytes() <= SEND_QUEUE_BYTES);
    }

    #[tokio::test]
    async fn a_record_larger_than_the_broker_takes_is_dropped_and_the_link_stays() {
        const MAX: usize = 100;
        let (mut link, mut broker) = pair(MAX).await;
        let empty = {
            link.send(Bytes::new(), None).await.unwrap();
            let Packet::Publish(empty) = broker.packet().await.unwrap() else {
                panic!("no publish")
            };
            empty.packet_bytes(Version::V5)
        };
        for bytes in [MAX - empty + 1, MAX - empty] {
            link.send(vec![7; bytes].into(), None).await.unwrap();
        }
        let Packet::Publish(came) = timeout(PATIENCE, broker.packet()).await.unwrap().unwrap()
        else {
            panic!("no publish")
        };
        let mut encoded = Vec::new();
        Packet::Publish(came.clone()).encode(Version::V5, &mut encoded);
        assert_eq!((encoded.len(), came.packet_bytes(Version::V5)), (MAX, MAX));
    }
}
