//! One admitted client. Like all links it has no task, and no buffer while it is idle: its owner
//! awaits [`Link::recv`], which also answers the client's packets and writes what is queued.

use std::{
    future::poll_fn,
    net::SocketAddr,
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use mtp::{
    limits::SEND_QUEUE_BYTES,
    mqtt::{
        LinkError, Outbox, Packet, Pipe, Properties, Publish, Version, address, addressed, code,
        code_words, is_record, property::id, topic,
    },
    ws::Seat,
};

use crate::{
    limits::{RECEIVE_MAXIMUM, WRONG_TOPICS_MAX},
    subscriptions::Subscriptions,
    topics::Area,
};

/// What [`Link::recv`] yields.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// One Record, still encoded.
    Record(Bytes),
    /// Whether records reach the client is no longer as it was: see [`Link::is_heard`].
    Subscribed,
    /// The client did what it may not; it was refused, the link stays.
    Wrong(Wrong),
    /// The client has taken its leave; with its words. Nothing follows.
    Closed(String),
}

/// Something a client may not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// A stable name, lower case with dashes.
    pub reason: &'static str,
    /// The topic, for people.
    pub detail: String,
}

impl Wrong {
    fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { reason, detail }
    }
}

/// A Record that is larger than the client takes, as it would be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// Its bytes, with all that goes with it.
    pub bytes: usize,
    /// The client's Maximum Packet Size, or ours.
    pub max: usize,
}

/// See the module's words.
pub struct Link {
    pipe: Pipe,
    outbox: Outbox,
    area: Area,
    subscriptions: Subscriptions,
    /// Where the client wants answers; its own topic until it says otherwise.
    reply: Option<Box<str>>,
    /// Publishes of QoS 2 that are not released yet.
    received: Vec<u16>,
    wrongs: u32,
    /// What is to be told at the next [`Link::recv`].
    unsent: Option<Wrong>,
    packet_max: usize,
    keep_alive: u16,
    peer_addr: SocketAddr,
    closed: bool,
    /// What it is subscribed to takes what goes to `reply`.
    heard: bool,
    /// What was last told of that.
    told: bool,
    /// Gives the listener's place back when the link goes.
    _seat: Seat,
}

impl Link {
    pub(crate) fn new<T>(
        connected: crate::connect::Connected<T>,
        seat: Seat,
    ) -> (Self, crate::Hello, T) {
        let link = Self {
            pipe: connected.pipe,
            outbox: Outbox::new(connected.receive_maximum),
            area: connected.area,
            subscriptions: Subscriptions::default(),
            reply: None,
            received: Vec::new(),
            wrongs: 0,
            unsent: None,
            packet_max: connected.packet_max,
            keep_alive: connected.keep_alive,
            peer_addr: connected.hello.peer_addr,
            closed: false,
            heard: false,
            told: false,
            _seat: seat,
        };
        (link, connected.hello, connected.admitted.ticket)
    }

    /// The next Record, or how the link ended. Cancel-safe. After an end it is only good for
    /// dropping.
    pub async fn recv(&mut self) -> Result<Incoming, LinkError> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, LinkError>> {
        if self.closed {
            return Poll::Ready(Err(LinkError::ApiMisuse));
        }
        if let Some(wrong) = self.unsent.take() {
            return Poll::Ready(Ok(Incoming::Wrong(wrong)));
        }
        loop {
            if let Poll::Ready(Err(error)) = self.pipe.poll_write(cx) {
                return Poll::Ready(Err(self.fail(cx, error)));
            }
            // A client that sends and does not read must not make us keep its answers.
            if self.pipe.queued_bytes() > SEND_QUEUE_BYTES {
                return Poll::Pending;
            }
            if self.heard != self.told {
                self.told = self.heard;
                return Poll::Ready(Ok(Incoming::Subscribed));
            }
            let packet = ready!(self.pipe.poll_packet(cx));
            match packet.and_then(|packet| self.packet(packet)) {
                Ok(None) => {}
                Ok(Some(Incoming::Wrong(_))) if self.wrongs >= WRONG_TOPICS_MAX => {
                    let limit = LinkError::LimitExceeded {
                        limit: "WRONG_TOPICS_MAX",
                        max: WRONG_TOPICS_MAX.into(),
                    };
                    return Poll::Ready(Err(self.fail(cx, limit)));
                }
                Ok(Some(incoming)) => {
                    self.closed = matches!(incoming, Incoming::Closed(_));
                    self.wrongs += u32::from(matches!(incoming, Incoming::Wrong(_)));
                    return Poll::Ready(Ok(incoming));
                }
                Err(error) => return Poll::Ready(Err(self.fail(cx, error))),
            }
        }
    }

    fn packet(&mut self, packet: Packet) -> Result<Option<Incoming>, LinkError> {
        match packet {
            Packet::Publish(publish) => return self.publish(publish),
            Packet::PubAck(id, _) => drop(self.outbox.acknowledged(&mut self.pipe, id)),
            Packet::PubRel(id, _) => {
                self.received.retain(|known| *known != id);
                self.pipe.enqueue(&Packet::PubComp(id, code::SUCCESS));
            }
            Packet::Subscribe(id, filters) => {
                let wrong = self.subscribe(id, filters);
                self.look();
                return Ok(wrong);
            }
            Packet::Unsubscribe(id, filters) => {
                let removed = filters.iter().map(|f| self.subscriptions.remove(f));
                // 0x11: there was no such subscription.
                let codes = removed.map(|was| if was { 0 } else { 0x11 }).collect();
                self.pipe.enqueue(&Packet::UnsubAck(id, codes));
                self.look();
            }
            Packet::PingReq => self.pipe.enqueue(&Packet::PingResp),
            Packet::Disconnect(code, properties) => {
                let said = properties.get_text(id::REASON_STRING).unwrap_or_default();
                let words = match (code, said) {
                    (0, "") => String::new(),
                    (code, "") => code_words(code),
                    (code, said) => format!("{}: {said}", code_words(code)),
                };
                return Ok(Some(Incoming::Closed(words)));
            }
            _ => {
                return Err(LinkError::PeerMisbehaved(
                    "a packet that clients do not send",
                ));
            }
        }
        Ok(None)
    }

    fn publish(&mut self, publish: Publish) -> Result<Option<Incoming>, LinkError> {
        if publish.properties.number(id::TOPIC_ALIAS).is_some() {
            return Err(LinkError::PeerMisbehaved(
                "a topic alias, which is not offered",
            ));
        }
        let again = publish.qos == 2 && self.received.contains(&publish.id);
        let judged = if again { Ok(()) } else { self.judge(&publish) };
        let told = match &judged {
            Ok(()) => code::SUCCESS,
            Err(_) => code::NOT_AUTHORIZED,
        };
        match publish.qos {
            0 => {}
            1 => self.pipe.enqueue(&Packet::PubAck(publish.id, told)),
            _ => {
                if !again && judged.is_ok() {
                    if self.received.len() >= usize::from(RECEIVE_MAXIMUM) {
                        return Err(LinkError::LimitExceeded {
                            limit: "RECEIVE_MAXIMUM",
                            max: RECEIVE_MAXIMUM.into(),
                        });
                    }
                    self.received.push(publish.id);
                }
                self.pipe.enqueue(&Packet::PubRec(publish.id, told));
            }
        }
        Ok(match judged {
            Ok(()) if again => None,
            Ok(()) => Some(Incoming::Record(publish.payload)),
            Err(wrong) => Some(Incoming::Wrong(wrong)),
        })
    }

    /// Whether it may publish this; where answers go is kept.
    fn judge(&mut self, publish: &Publish) -> Result<(), Wrong> {
        let (topic, reply) = address(self.pipe.version(), publish);
        if !self.area.may_publish(topic) {
            return Err(Wrong::new("wrong-topic", format!("published to {topic}")));
        }
        if !is_record(&publish.properties) {
            let kind = publish.properties.get_text(id::CONTENT_TYPE);
            let detail = format!("content type {}", kind.unwrap_or_default());
            return Err(Wrong::new("not-a-record", detail));
        }
        if let Some(reply) = reply {
            if !self.area.may_be_answered_at(&reply) {
                let detail = format!("wants answers at {reply}");
                return Err(Wrong::new("wrong-reply-topic", detail));
            }
            let reply = (reply != self.area.agent).then(|| reply.into());
            if reply != self.reply {
                self.reply = reply;
                self.look();
            }
        }
        Ok(())
    }

    fn subscribe(&mut self, id: u16, filters: Vec<(String, u8)>) -> Option<Incoming> {
        let five = self.pipe.version() == Version::V5;
        let mut wrong = None;
        let mut codes = Vec::with_capacity(filters.len());
        for (filter, qos) in filters {
            let qos = qos.min(1);
            let code = if !self.area.may_subscribe(&filter) {
                wrong.get_or_insert_with(|| {
                    Wrong::new("wrong-topic", format!("wanted to subscribe to {filter}"))
                });
                code::NOT_AUTHORIZED
            } else if self.subscriptions.add(filter, qos) {
                qos
            } else {
                code::QUOTA_EXCEEDED
            };
            codes.push(if five || code < 0x80 { code } else { 0x80 });
        }
        self.pipe.enqueue(&Packet::SubAck(id, codes));
        wrong.map(Incoming::Wrong)
    }

    /// Whether the client is subscribed to where it wants answers: nothing reaches it anywhere else.
    pub fn is_heard(&self) -> bool {
        self.heard
    }

    fn look(&mut self) {
        self.heard = self.subscriptions.wanted(&self.address().0).is_some();
    }

    /// Where a Record for the client goes.
    fn address(&self) -> (String, Properties) {
        let to = self.reply.as_deref().unwrap_or(&self.area.agent);
        addressed(self.pipe.version(), to, &self.area.controller)
    }

    /// Sends one Record to where the client wants answers. Returns when it is queued, which is at
    /// once unless the client does not read. One that it has not subscribed to, or that is larger than
    /// it takes (MQTT 5, 3.1.2.11.4), is dropped, which [`Link::recv`] tells; the latter at once, too.
    pub async fn send(&mut self, record: Bytes) -> Result<Option<TooLarge>, LinkError> {
        if self.closed {
            return Err(LinkError::ApiMisuse);
        }
        let sent = self.put(record).await;
        self.closed = sent.is_err();
        sent
    }

    async fn put(&mut self, record: Bytes) -> Result<Option<TooLarge>, LinkError> {
        self.pipe.room().await?;
        let (name, properties) = self.address();
        let Some(qos) = self.subscriptions.wanted(&name) else {
            self.unsent = Some(Wrong::new("not-subscribed", format!("to {name}")));
            return Ok(None);
        };
        debug_assert!(topic::is_name(&name));
        let publish = Publish {
            qos,
            topic: name,
            properties,
            payload: record,
            ..Publish::default()
        };
        let bytes = publish.packet_bytes(self.pipe.version());
        if bytes > self.packet_max {
            let max = self.packet_max;
            let detail = format!("{bytes} bytes, of which it takes {max}");
            self.unsent = Some(Wrong::new("record-too-large-for-device", detail));
            return Ok(Some(TooLarge { bytes, max }));
        }
        self.outbox.publish(&mut self.pipe, publish)?;
        self.pipe.push().await.map(|()| None)
    }

    /// Closes for a reason, a code of MQTT 5 and words; MQTT 3.1.1 has no packet for that. Waits,
    /// up to [`mtp::limits::CLOSE_TIME_MAX`], for what is queued to go out.
    pub async fn close(mut self, code: u8, reason: &str) {
        if self.closed {
            return;
        }
        if self.pipe.version() == Version::V5 {
            let properties = match reason {
                "" => Properties::default(),
                reason => Properties::default().text(id::REASON_STRING, reason),
            };
            self.pipe.enqueue(&Packet::Disconnect(code, properties));
        }
        self.pipe.close().await;
    }

    fn fail(&mut self, cx: &mut Context<'_>, error: LinkError) -> LinkError {
        self.pipe.blame(cx, &error);
        self.closed = true;
        error
    }

    /// When [`Link::keep_alive`] wants to be called next: one and a half keep-alive times after the
    /// client was last heard.
    pub fn next_look(&self) -> Option<Instant> {
        let open = self.keep_alive > 0 && !self.closed;
        open.then(|| self.pipe.heard_at() + Duration::from_secs(self.keep_alive.into()) * 3 / 2)
    }

    /// Reports a client that was silent for too long.
    pub fn keep_alive(&mut self, now: Instant) -> Result<(), LinkError> {
        if self.next_look().is_none_or(|at| at > now) {
            return Ok(());
        }
        // Its owner may have been away for so long that it is we who did not listen.
        self.pipe.take_in();
        if self.next_look().is_none_or(|at| at > now) {
            return Ok(());
        }
        let silent = now.saturating_duration_since(self.pipe.heard_at());
        // Nobody waits for what the socket does not take at once: it is over.
        let mut cx = Context::from_waker(Waker::noop());
        Err(self.fail(&mut cx, LinkError::PeerSilent(silent)))
    }

    /// When the client was last heard.
    pub fn last_heard(&self) -> Instant {
        self.pipe.heard_at()
    }

    /// What it speaks.
    pub fn version(&self) -> Version {
        self.pipe.version()
    }

    /// The client's socket address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer_addr
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        self.pipe.is_tls()
    }

    /// Bytes of the link's buffers: zero whenever it is idle.
    pub fn heap_bytes(&self) -> usize {
        self.pipe.heap_bytes()
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("peer_addr", &self.peer_addr)
            .field("agent", &self.area.agent)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_small() {
        let link = size_of::<Link>();
        assert!(link <= 640, "{link}");
    }
}
