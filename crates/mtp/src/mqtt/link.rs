//! An Agent's connection to its broker, towards one Controller. Like a WebSocket link it has no task
//! and, idle, no buffer: its owner awaits [`Link::recv`], which also writes what is queued.

use std::{
    future::poll_fn,
    net::SocketAddr,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::time::timeout;

use super::{
    Outbox, Pipe, address, addressed, code,
    error::{LinkError, code_words},
    is_record,
    packet::{Packet, Publish, Version},
    property::Properties,
};
use crate::limits::{CLOSE_TIME_MAX, PONG_TIME_MAX, SEND_QUEUE_BYTES, SEND_STALL_MAX};

/// A Record that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Still encoded.
    pub record: Bytes,
    /// Where an answer to it goes; a sender that does not say it speaks another binding
    /// (R-MQTT.26a).
    pub reply: Option<String>,
}

/// See the module's words.
pub struct Link {
    pipe: Pipe,
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
    pub outbox: Outbox,
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
        if self.closed {
            return Poll::Ready(Err(LinkError::ApiMisuse));
        }
        loop {
            if let Poll::Ready(Err(error)) = self.pipe.poll_write(cx) {
                return Poll::Ready(Err(self.fail(cx, error)));
            }
            let packet = match ready!(self.pipe.poll_packet(cx)) {
                Ok(packet) => packet,
                Err(error) => return Poll::Ready(Err(self.fail(cx, error))),
            };
            self.waiting = false;
            match self.packet(packet) {
                Ok(Some(incoming)) => return Poll::Ready(Ok(incoming)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(self.fail(cx, error))),
            }
        }
    }

    fn packet(&mut self, packet: Packet) -> Result<Option<Incoming>, LinkError> {
        match packet {
            Packet::Publish(publish) => {
                match publish.qos {
                    0 => {}
                    1 => self
                        .pipe
                        .enqueue(&Packet::PubAck(publish.id, code::SUCCESS)),
                    _ => return Err(LinkError::PeerMisbehaved("a PUBLISH of QoS 2")),
                }
                Ok(self.incoming(publish))
            }
            Packet::PubAck(id, _) => {
                self.outbox.acknowledged(&mut self.pipe, id);
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
        let reply = address(self.pipe.version(), &publish).1;
        let record = publish.payload;
        Some(Incoming { record, reply })
    }

    /// Sends one Record to the Controller's topic, or to `to` where it answers one that came with
    /// that reply topic. Returns when it is queued.
    pub async fn send(&mut self, record: Bytes, to: Option<&str>) -> Result<(), LinkError> {
        while self.pipe.queued_bytes() > SEND_QUEUE_BYTES {
            let before = self.pipe.queued_bytes();
            let progress = poll_fn(|cx| match self.pipe.poll_write(cx) {
                Poll::Pending if self.pipe.queued_bytes() == before => Poll::Pending,
                Poll::Pending => Poll::Ready(Ok(())),
                ready => ready,
            });
            match timeout(SEND_STALL_MAX, progress).await {
                Ok(written) => written?,
                Err(_) => return Err(LinkError::PeerStalled(SEND_STALL_MAX)),
            }
        }
        if record.len() > self.packet_max {
            return Err(LinkError::LimitExceeded {
                limit: "Maximum Packet Size of the broker",
                max: self.packet_max as u64,
            });
        }
        let topic = to.unwrap_or(&self.topic);
        let (topic, properties) = addressed(self.pipe.version(), topic, &self.reply);
        let pipe = &mut self.pipe;
        self.outbox
            .publish(pipe, topic, self.qos, properties, record)?;
        match poll_fn(|cx| Poll::Ready(self.pipe.poll_write(cx))).await {
            Poll::Ready(Err(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Says goodbye (R-MQTT.35) and waits, not for long, until it is written.
    pub async fn close(mut self) {
        self.pipe
            .enqueue(&Packet::Disconnect(code::SUCCESS, Properties::default()));
        let goodbye = async {
            if self.pipe.flush().await.is_ok() {
                let _ = poll_fn(|cx| self.pipe.poll_shutdown(cx)).await;
            }
        };
        let _ = timeout(CLOSE_TIME_MAX, goodbye).await;
    }

    fn fail(&mut self, cx: &mut Context<'_>, error: LinkError) -> LinkError {
        let told = match error {
            LinkError::PeerMisbehaved(_) => Some(code::PROTOCOL_ERROR),
            LinkError::LimitExceeded { .. } => Some(code::PACKET_TOO_LARGE),
            _ => None,
        };
        if let (Some(code), Version::V5) = (told, self.pipe.version()) {
            let packet = Packet::Disconnect(code, Properties::default());
            self.pipe.enqueue(&packet);
            // As far as the socket takes it at once.
            let _ = self.pipe.poll_write(cx);
        }
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

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("peer_addr", &self.peer_addr)
            .field("reply", &self.reply)
            .finish()
    }
}
