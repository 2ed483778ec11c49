//! An established connection to a STOMP server, of an Agent or a Controller. It has no task:
//! whoever owns it polls [`Link::recv`], which also writes, and calls [`Link::keep_alive`] when
//! [`Link::next_ping`] is due.

use std::{
    future::poll_fn,
    net::SocketAddr,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::time::timeout;

use super::{
    CONTENT_TYPE, ERROR_ID, LinkError, Pipe, REPLY_TO, Refused,
    dial::{error_words, subscribe},
    frame::{Command, Frame},
};
use crate::{
    limits::{CLOSE_TIME_MAX, SEND_QUEUE_BYTES, STOMP_HEART_BEATS_MISSED_MAX},
    outgoing::Queued,
};

/// The header that asks for a RECEIPT.
pub(super) const RECEIPT: &str = "receipt";

/// The receipt of the subscription, and that of the end.
pub(super) const SUBSCRIPTION: &str = "subscribed";
const GOODBYE: &str = "goodbye";

/// A Record that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Still encoded.
    pub record: Bytes,
    /// The destination it was sent to, as the server writes it.
    pub destination: String,
    /// Where its sender says that an answer goes (R-STOMP.23).
    pub reply: Option<String>,
}

/// See the module's words.
pub struct Link {
    pipe: Pipe,
    /// The message that showed that the subscription stands.
    early: Option<Frame>,
    refused: Option<Refused>,
    /// Where the peer listens; may be empty.
    destination: String,
    /// Where we do, and whether the server has said so.
    own: String,
    told: bool,
    /// Number of the subscription.
    subscription: u64,
    /// It is not confirmed yet, since we listen elsewhere; and it is, which nobody has been told.
    moving: bool,
    moved: bool,
    /// How often we are to be heard and how often we hear; zero is never.
    beats: (Duration, Duration),
    /// When a heart-beat was last put in the queue, which a server may be slow to take.
    beaten: Instant,
    peer_addr: SocketAddr,
    closed: bool,
}

/// What a finished handshake knows.
pub(super) struct Dialled {
    pub pipe: Pipe,
    pub early: Option<Frame>,
    pub destination: String,
    pub own: String,
    pub told: bool,
    pub beats: (Duration, Duration),
    pub peer_addr: SocketAddr,
}

impl Link {
    pub(super) fn new(dialled: Dialled) -> Self {
        Self {
            pipe: dialled.pipe,
            early: dialled.early,
            refused: None,
            destination: dialled.destination,
            own: dialled.own,
            told: dialled.told,
            subscription: 0,
            moving: false,
            moved: false,
            beats: dialled.beats,
            beaten: super::pipe::now(),
            peer_addr: dialled.peer_addr,
            closed: false,
        }
    }

    /// The next Record. Cancel-safe. After an error the link is only good for dropping.
    pub async fn recv(&mut self) -> Result<Incoming, LinkError> {
        loop {
            if let Some(incoming) = self.recv_some().await? {
                return Ok(incoming);
            }
        }
    }

    /// The message that came last and could not be taken, once.
    pub fn refused(&mut self) -> Option<Refused> {
        self.refused.take()
    }

    /// The same as [`Link::recv`], or nothing once there is room for what is sent, the server has confirmed that we listen
    /// elsewhere, or a message came that cannot be taken ([`Link::refused`]).
    pub async fn recv_some(&mut self) -> Result<Option<Incoming>, LinkError> {
        poll_fn(|cx| self.poll_some(cx)).await
    }

    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Incoming>, LinkError>> {
        if self.closed {
            return Poll::Ready(Err(LinkError::ApiMisuse));
        }
        loop {
            let had_room = self.has_room();
            if let Poll::Ready(Err(error)) = self.pipe.poll_write(cx) {
                return Poll::Ready(Err(self.fail(error)));
            }
            if !had_room && self.has_room() {
                return Poll::Ready(Ok(None));
            }
            let frame = match self.early.take() {
                Some(frame) => frame,
                None => match ready!(self.pipe.poll_frame(cx)) {
                    Ok(frame) => frame,
                    Err(error) => return Poll::Ready(Err(self.fail(error))),
                },
            };
            match frame.command {
                Command::Message if frame.refused.is_some() => {
                    let topic = frame.get("destination").unwrap_or_default().to_owned();
                    let why = frame.refused.unwrap_or_default();
                    tracing::debug!(%topic, why, "a message cannot be taken; it is dropped");
                    self.refused = Some(Refused { topic, why });
                    return Poll::Ready(Ok(None));
                }
                Command::Message => {
                    if let Some(incoming) = incoming(frame) {
                        return Poll::Ready(Ok(Some(incoming)));
                    }
                }
                Command::Receipt if self.moving && self.confirms(&frame) => {
                    (self.moving, self.moved) = (false, true);
                    return Poll::Ready(Ok(None));
                }
                Command::Receipt => {}
                // R-STOMP.25
                Command::Error => {
                    let words = error_words(&frame);
                    return Poll::Ready(Err(self.fail(LinkError::Closed(words))));
                }
                _ => {
                    let error = LinkError::PeerMisbehaved("a frame that servers do not send");
                    return Poll::Ready(Err(self.fail(error)));
                }
            }
        }
    }

    fn fail(&mut self, error: LinkError) -> LinkError {
        self.closed = true;
        error
    }

    /// Sends one Record to the peer's destination, or to `to` (R-STOMP.19 to .23). Returns when it is
    /// queued; waits while [`crate::limits::SEND_QUEUE_BYTES`] wait for a server that does not read.
    pub async fn send(&mut self, record: Bytes, to: Option<&str>) -> Result<(), LinkError> {
        let frame = carrying(record, to.unwrap_or(&self.destination), &self.own);
        self.push(frame).await
    }

    /// The same for who listens at the destinations of many with a pattern, which nobody can answer to: `reply` is the
    /// one of them for this peer.
    pub async fn send_as(&mut self, record: Bytes, to: &str, reply: &str) -> Result<(), LinkError> {
        self.push(carrying(record, to, reply)).await
    }

    /// Whether what is sent now does not wait.
    pub fn has_room(&self) -> bool {
        self.waiting_bytes() <= SEND_QUEUE_BYTES
    }

    /// Bytes that wait to be written.
    pub fn waiting_bytes(&self) -> usize {
        self.pipe.queued_bytes()
    }

    async fn push(&mut self, frame: Frame) -> Result<(), LinkError> {
        self.pipe.room().await?;
        self.pipe.enqueue(&frame);
        self.pipe.push().await
    }

    /// Listens somewhere else from now on (R-STOMP.29), unless the server has said where. False when there is nowhere
    /// to listen: then this link is of no use any more.
    pub fn resubscribe(&mut self, destination: &str) -> bool {
        if self.told || destination == self.own {
            return true;
        }
        if destination.is_empty() {
            return false;
        }
        let id = self.subscription.to_string();
        let leave = Frame::new(Command::Unsubscribe).with("id", id);
        self.pipe.enqueue(&leave);
        self.subscription += 1;
        self.own = destination.to_owned();
        self.moving = true;
        let enter = subscribe(self.subscription, &self.own);
        self.pipe.enqueue(&enter.with(RECEIPT, self.receipt()));
        true
    }

    /// Whether the server has confirmed that we listen somewhere else than the peer has been told; true once.
    pub fn moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    fn receipt(&self) -> String {
        format!("{SUBSCRIPTION}-{}", self.subscription)
    }

    /// Of the newest subscription, after others that were given up.
    fn confirms(&self, frame: &Frame) -> bool {
        frame.get("receipt-id") == Some(&*self.receipt())
    }

    /// Says goodbye and waits, not for long, until the server has read all of it.
    pub async fn close(mut self) {
        let goodbye = Frame::new(Command::Disconnect).with(RECEIPT, GOODBYE);
        self.pipe.enqueue(&goodbye);
        let goodbye = async {
            if self.pipe.flush().await.is_err() {
                return;
            }
            while let Ok(frame) = self.pipe.frame().await {
                let done =
                    frame.command == Command::Receipt && frame.get("receipt-id") == Some(GOODBYE);
                if done || frame.command == Command::Error {
                    break;
                }
            }
            let _ = poll_fn(|cx| self.pipe.poll_shutdown(cx)).await;
        };
        let _ = timeout(CLOSE_TIME_MAX, goodbye).await;
    }

    /// When [`Link::keep_alive`] wants to be called next.
    pub fn next_ping(&self) -> Option<Instant> {
        [self.beat_at(), self.silent_at()]
            .into_iter()
            .flatten()
            .min()
    }

    /// In half of the time, so that a late timer breaks no promise.
    fn beat_at(&self) -> Option<Instant> {
        let every = self.beats.0;
        (!every.is_zero()).then(|| self.beaten.max(self.pipe.spoken_at()) + every / 2)
    }

    fn silent_at(&self) -> Option<Instant> {
        let every = self.beats.1;
        (!every.is_zero()).then(|| self.pipe.heard_at() + every * STOMP_HEART_BEATS_MISSED_MAX)
    }

    /// Queues a heart-beat if one is due (R-STOMP.10), or reports that the server's are missing.
    pub fn keep_alive(&mut self, now: Instant) -> Result<(), LinkError> {
        if self.silent_at().is_some_and(|at| at <= now) {
            let silent = now.saturating_duration_since(self.pipe.heard_at());
            return Err(LinkError::PeerSilent(silent));
        }
        if self.beat_at().is_some_and(|at| at <= now) {
            self.beaten = now;
            self.pipe.beat();
        }
        Ok(())
    }

    /// Where we listen: the destination of the connect record.
    pub fn own_destination(&self) -> &str {
        &self.own
    }

    /// Whether the server has said where we listen (R-STOMP.14).
    pub fn is_told(&self) -> bool {
        self.told
    }

    /// Where the peer listens.
    pub fn destination(&self) -> &str {
        &self.destination
    }

    /// The server's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer_addr
    }
}

fn carrying(record: Bytes, to: &str, reply: &str) -> Frame {
    Frame::new(Command::Send)
        .with("destination", to)
        .with("content-type", CONTENT_TYPE)
        .with(REPLY_TO, reply)
        .body(record)
}

/// A MESSAGE that holds a Record; others are dropped, what an older endpoint complains about among
/// them.
fn incoming(frame: Frame) -> Option<Incoming> {
    if frame
        .get("content-type")
        .is_some_and(|kind| kind != CONTENT_TYPE)
    {
        let (kind, error) = (frame.get("content-type"), frame.get(ERROR_ID));
        tracing::debug!(kind, error, "a message that is no record");
        return None;
    }
    Some(Incoming {
        destination: frame.get("destination").unwrap_or_default().to_owned(),
        reply: frame.get(REPLY_TO).map(str::to_owned),
        record: frame.body,
    })
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("peer_addr", &self.peer_addr)
            .field("own", &self.own)
            .finish()
    }
}
