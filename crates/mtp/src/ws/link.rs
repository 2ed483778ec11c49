//! One established WebSocket to one peer.
//!
//! A link has no task, no timer while it is open, and no buffer while it is idle. Its owner awaits
//! [`Link::recv`] beside whatever else it waits for; that call also writes what is queued and
//! answers pings. It does not know what a Record is.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Instant,
};

use bytes::Bytes;
use tokio::{io::AsyncWrite, time::Sleep};
use usp::EndpointId;

use super::{
    assemble::{Assembler, Event},
    close::{CloseCode, reason},
    error::LinkError,
    frame::{self, OpCode},
    keepalive::{KeepAlive, Pulse},
    seats::Seat,
};
use crate::{
    limits::{CLOSE_REASON_BYTES_MAX, CLOSE_TIME_MAX, RECORD_BYTES_MAX, SEND_QUEUE_BYTES},
    outgoing::{self, Outgoing, Queued},
    stream::{self, Stream},
    whole::{TooSlow, Whole},
};

/// Which end of the WebSocket this is: a client masks what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It dialled.
    Client,
    /// It was dialled.
    Server,
}

/// What one link may cost, and how it looks after its peer.
#[derive(Clone, Copy, Debug)]
pub struct LinkLimits {
    /// The largest Record accepted, [`RECORD_BYTES_MAX`] unless set.
    pub record_bytes_max: usize,
    /// Pings of our own.
    pub keep_alive: KeepAlive,
}

impl Default for LinkLimits {
    fn default() -> Self {
        Self {
            record_bytes_max: RECORD_BYTES_MAX,
            keep_alive: KeepAlive::default(),
        }
    }
}

/// What [`Link::recv`] yields.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// One Record, still encoded, its fragments put together.
    Record(Bytes),
    /// The peer closed in good order. Nothing follows.
    Closed(Closed),
}

/// A Close frame of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Its code; a Close frame may be empty.
    pub code: Option<CloseCode>,
    /// Its reason, often empty.
    pub reason: String,
}

/// See the module's words.
pub struct Link {
    stream: Stream,
    role: Role,
    state: State,
    assembler: Assembler,
    /// Bytes read beyond the last complete event; nearly always empty.
    unread: Bytes,
    whole: Whole,
    out: Outgoing,
    /// The answer to the newest ping while older frames still wait (RFC 6455, 5.5.3).
    pong: Option<Bytes>,
    pulse: Pulse,
    peer_addr: SocketAddr,
    peer_ids: Box<[EndpointId]>,
    /// Gives the listener's place back when the link goes.
    _seat: Option<Seat>,
}

enum State {
    Open,
    Closing(Box<Closing>),
    Done,
}

/// A closing handshake under way.
struct Closing {
    deadline: Pin<Box<Sleep>>,
    /// Our Close went first: the peer's is still to come.
    peer_has_to_answer: bool,
    outcome: Outcome,
}

/// What the owner hears once the closing handshake is over.
enum Outcome {
    Ours,
    Peer(Closed),
    Failed(LinkError),
}

impl Link {
    pub(super) fn new(
        stream: Stream,
        role: Role,
        unread: Bytes,
        limits: LinkLimits,
        peer_addr: SocketAddr,
        peer_ids: Vec<EndpointId>,
        seat: Option<Seat>,
    ) -> Self {
        Self {
            stream,
            role,
            state: State::Open,
            assembler: Assembler::new(role == Role::Server, limits.record_bytes_max),
            unread,
            whole: Whole::default(),
            out: Outgoing::default(),
            pong: None,
            pulse: Pulse::new(limits.keep_alive, now()),
            peer_addr,
            peer_ids: peer_ids.into(),
            _seat: seat,
        }
    }

    /// The next Record, or how the link ended. Cancel-safe: a future that is dropped loses nothing.
    /// After the peer's Close or an error the link is done and only good for dropping.
    pub async fn recv(&mut self) -> Result<Incoming, LinkError> {
        loop {
            if let Some(incoming) = self.recv_some().await? {
                return Ok(incoming);
            }
        }
    }

    /// The same, or nothing once there is room for what is sent.
    pub async fn recv_some(&mut self) -> Result<Option<Incoming>, LinkError> {
        poll_fn(|cx| self.poll_some(cx)).await
    }

    /// Whether what is sent now does not wait.
    pub fn has_room(&self) -> bool {
        self.out.bytes() <= SEND_QUEUE_BYTES
    }

    /// Waits until what is sent does not wait any more, without reading. Cancel-safe.
    pub async fn room(&mut self) -> Result<(), LinkError> {
        self.check_open()?;
        let room = outgoing::room(self).await;
        room.map_err(|error| self.fail(error))
    }

    /// Bytes that wait to be written.
    pub fn waiting_bytes(&self) -> usize {
        self.out.bytes()
    }

    /// Sends one Record in one frame. Returns when it is queued, which is at once unless more than
    /// [`crate::limits::SEND_QUEUE_BYTES`] wait already; what the socket does not take now goes out with the next
    /// call of [`Link::recv`] or [`Link::send`]. Cancel-safe before it is queued.
    pub async fn send(&mut self, record: impl Into<Bytes>) -> Result<(), LinkError> {
        self.room().await?;
        self.enqueue(OpCode::Binary, &record.into());
        let written = outgoing::push(self).await;
        written.map_err(|error| self.fail(error))
    }

    /// Closes with a code and a reason (see [`super::reason`]) and waits, up to
    /// [`CLOSE_TIME_MAX`], for what is queued to go out and for the peer's answer.
    pub async fn close(mut self, code: CloseCode, reason: &str) {
        self.start_closing(code, reason, true, Outcome::Ours);
        let _ = self.recv().await;
    }

    /// When [`Link::keep_alive`] wants to be called next; changes with what is received.
    pub fn next_ping(&self) -> Option<Instant> {
        match self.state {
            State::Open => self.pulse.next(),
            _ => None,
        }
    }

    /// Queues a ping if one is due (the next [`Link::recv`] writes it), or reports that the peer
    /// has not shown a sign of life since the last one.
    pub fn keep_alive(&mut self, now: Instant) -> Result<(), LinkError> {
        self.check_open()?;
        let due = self.pulse.due(now).or_else(|_| {
            // Its owner may have been away for so long that it is we who did not listen.
            self.take_in();
            self.pulse.due(now)
        });
        match due {
            Ok(true) => self.enqueue(OpCode::Ping, &[]),
            Ok(false) => {}
            Err(error) => return Err(self.fail(error)),
        }
        Ok(())
    }

    /// Changes the pings, for example when `KeepAliveInterval` is set.
    pub fn set_keep_alive(&mut self, rule: KeepAlive) {
        self.pulse.set_rule(rule);
    }

    /// When the peer was last heard: a Record, a piece of one, or a control frame.
    pub fn last_heard(&self) -> Instant {
        self.pulse.heard_at()
    }

    /// The peer's socket address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer_addr
    }

    /// The endpoint ids the peer has shown during the handshake: those of its verified certificate
    /// and of the old extension's answer. Often empty; `from_id` of its Records is what counts.
    pub fn peer_ids(&self) -> &[EndpointId] {
        &self.peer_ids
    }

    /// Which end this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        self.stream.is_tls()
    }

    /// Bytes of this link's own buffers on the heap (those of TLS below are not counted): zero
    /// whenever it is idle.
    pub fn heap_bytes(&self) -> usize {
        self.assembler.heap_bytes() + self.out.heap_bytes() + self.unread.len()
    }

    /// Takes in what has come, a piece of it, without waiting.
    fn take_in(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let unread = &self.unread;
        let take = |bytes: &[u8]| [unread, bytes].concat();
        // An error is met again by the next read.
        if let Poll::Ready(Ok(bytes)) = stream::poll_chunk(&mut self.stream, &mut cx, take) {
            self.unread = bytes.into();
            self.pulse.heard(now());
        }
    }

    fn check_open(&self) -> Result<(), LinkError> {
        match self.state {
            State::Open => Ok(()),
            _ => Err(LinkError::ApiMisuse),
        }
    }

    fn fail(&mut self, error: LinkError) -> LinkError {
        self.state = State::Done;
        self.out.clear();
        error
    }

    fn enqueue(&mut self, opcode: OpCode, payload: &[u8]) {
        let mask = (self.role == Role::Client).then(rand::random);
        frame::write(self.out.end(), opcode, payload, mask);
    }

    fn start_closing(&mut self, code: CloseCode, reason: &str, first: bool, outcome: Outcome) {
        if !matches!(self.state, State::Open) {
            return;
        }
        let reason = &reason[..reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX)];
        let payload = [&code.as_u16().to_be_bytes(), reason.as_bytes()].concat();
        self.enqueue(OpCode::Close, &payload);
        self.assembler.close();
        self.state = State::Closing(Box::new(Closing {
            deadline: Box::pin(tokio::time::sleep(CLOSE_TIME_MAX)),
            peer_has_to_answer: first,
            outcome,
        }));
    }

    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Incoming>, LinkError>> {
        loop {
            let had_room = self.has_room();
            let written = match &self.state {
                State::Done => return Poll::Ready(Err(LinkError::ApiMisuse)),
                _ => self.poll_write(cx),
            };
            let has_now = !had_room && self.has_room();
            match (&mut self.state, written) {
                (State::Open, Poll::Ready(Err(error))) => {
                    return Poll::Ready(Err(self.fail(error)));
                }
                (State::Closing(closing), written) => {
                    let over = match written {
                        Poll::Ready(Ok(())) => !closing.peer_has_to_answer,
                        Poll::Ready(Err(_)) => true,
                        Poll::Pending => false,
                    };
                    if over || closing.deadline.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(self.finish(cx).map(Some));
                    }
                }
                _ if has_now => return Poll::Ready(Ok(None)),
                _ => {}
            }
            let event = match ready!(self.poll_event(cx)) {
                Ok(event) => event,
                // The connection is gone: while closing that is an answer, too.
                Err(_) if matches!(self.state, State::Closing(_)) => {
                    return Poll::Ready(self.finish(cx).map(Some));
                }
                Err(error) => return Poll::Ready(Err(self.fail(error))),
            };
            match event {
                None | Some(Event::Pong) => {}
                Some(Event::Record(record)) => {
                    self.whole.is_whole();
                    return Poll::Ready(Ok(Some(Incoming::Record(record))));
                }
                Some(Event::Ping(payload)) => self.pong = Some(payload),
                Some(Event::Close(close)) => self.peer_closed(close),
            }
        }
    }

    fn peer_closed(&mut self, close: Option<(CloseCode, String)>) {
        if let State::Closing(closing) = &mut self.state {
            closing.peer_has_to_answer = false;
            return;
        }
        let code = close.as_ref().map(|(code, _)| *code);
        let reason = close.map(|(_, reason)| reason).unwrap_or_default();
        let outcome = Outcome::Peer(Closed { code, reason });
        self.start_closing(code.unwrap_or(CloseCode::Normal), "", false, outcome);
    }

    /// The closing handshake is over, one way or another.
    fn finish(&mut self, cx: &mut Context<'_>) -> Result<Incoming, LinkError> {
        let _ = Pin::new(&mut self.stream).poll_shutdown(cx);
        match std::mem::replace(&mut self.state, State::Done) {
            State::Closing(closing) => match closing.outcome {
                Outcome::Peer(closed) => Ok(Incoming::Closed(closed)),
                Outcome::Failed(error) => Err(error),
                Outcome::Ours => Err(LinkError::ApiMisuse),
            },
            State::Open | State::Done => Err(LinkError::ApiMisuse),
        }
    }

    /// The next event out of what is already read, else out of the socket. `None`: not complete.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>, LinkError>> {
        if !self.unread.is_empty() {
            let bytes = std::mem::take(&mut self.unread);
            let mut input = &bytes[..];
            let event = self.assembler.feed(&mut input);
            self.unread = bytes.slice(bytes.len() - input.len()..);
            return Poll::Ready(Ok(self.judged(event)));
        }
        let Self {
            stream,
            assembler,
            unread,
            ..
        } = self;
        let event = match stream::poll_chunk(stream, cx, |mut input| {
            let event = assembler.feed(&mut input);
            *unread = Bytes::copy_from_slice(input);
            event
        }) {
            Poll::Ready(event) => event.map_err(lost)?,
            Poll::Pending if self.assembler.is_midway() => {
                let TooSlow(time) = ready!(self.whole.poll(cx));
                self.whole.is_whole();
                let outcome = Outcome::Failed(LinkError::PeerTrickles(time));
                self.start_closing(CloseCode::Policy, reason::TOO_SLOW, true, outcome);
                return Poll::Ready(Ok(None));
            }
            Poll::Pending => {
                self.whole.is_whole();
                return Poll::Pending;
            }
        };
        self.pulse.heard(now());
        Poll::Ready(Ok(self.judged(event)))
    }

    /// A violation is answered by a Close frame; the owner hears of it when that is done.
    fn judged(
        &mut self,
        event: Result<Option<Event>, super::assemble::Violation>,
    ) -> Option<Event> {
        event.unwrap_or_else(|violation| {
            let (code, text) = (violation.code, violation.text);
            self.start_closing(code, text, true, Outcome::Failed(violation.into()));
            None
        })
    }
}

impl Queued for Link {
    type Error = LinkError;

    fn queued_bytes(&self) -> usize {
        self.out.bytes()
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        loop {
            ready!(self.out.poll_write(&mut self.stream, cx)).map_err(lost)?;
            match self.pong.take() {
                Some(payload) if matches!(self.state, State::Open) => {
                    self.enqueue(OpCode::Pong, &payload);
                }
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("role", &self.role)
            .field("peer_addr", &self.peer_addr)
            .finish()
    }
}

fn lost(error: io::Error) -> LinkError {
    match stream::is_end(&error) {
        true => LinkError::Gone,
        false => LinkError::Io(error),
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests;
