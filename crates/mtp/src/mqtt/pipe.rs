//! Packets over a byte stream, either end: what has arrived is cut into packets, what is to be sent
//! waits in one queue. An idle pipe owns no buffer. It does not know what a packet means.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Instant,
};

use tokio::{io::AsyncWrite, time::timeout};

use super::{
    decoder::Decoder,
    error::{LinkError, told_as},
    packet::{Packet, Version},
    property::Properties,
};
use crate::{
    limits::CLOSE_TIME_MAX,
    outgoing::{self, Outgoing, Queued},
    stream::{self, Stream},
    whole::Whole,
};

/// See the module's words.
pub struct Pipe {
    stream: Stream,
    decoder: Decoder,
    whole: Whole,
    out: Outgoing,
    heard: Instant,
}

impl Pipe {
    /// Packets of at most this many bytes are taken.
    pub fn new(stream: Stream, version: Version, packet_bytes_max: usize) -> Self {
        Self {
            stream,
            decoder: Decoder::new(version, packet_bytes_max),
            whole: Whole::default(),
            out: Outgoing::default(),
            heard: now(),
        }
    }

    /// The same for a server: the first packet has to be a CONNECT, and anything else is known by its
    /// first byte.
    pub fn opening(stream: Stream, packet_bytes_max: usize) -> Self {
        Self {
            decoder: Decoder::opening(packet_bytes_max),
            ..Self::new(stream, Version::V5, packet_bytes_max)
        }
    }

    /// See [`Decoder::skip_publishes`].
    pub fn skip_publishes(&mut self) {
        self.decoder.skip_publishes();
    }

    /// What a CONNECT has said, and what its sender may send from now on.
    pub fn admit(&mut self, version: Version, packet_bytes_max: usize) {
        self.decoder.admit(version, packet_bytes_max);
    }

    /// The version in use.
    pub fn version(&self) -> Version {
        self.decoder.version()
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        self.stream.is_tls()
    }

    /// When anything was last read.
    pub fn heard_at(&self) -> Instant {
        self.heard
    }

    /// Puts a packet in the queue; [`Pipe::poll_write`] writes it.
    pub fn enqueue(&mut self, packet: &Packet) {
        packet.encode(self.version(), self.out.end());
    }

    /// Bytes waiting to be written.
    pub fn queued_bytes(&self) -> usize {
        self.out.bytes()
    }

    /// Bytes of the pipe's own buffers: zero whenever it is idle.
    pub fn heap_bytes(&self) -> usize {
        self.decoder.heap_bytes() + self.out.heap_bytes()
    }

    /// The next packet. Cancel-safe.
    pub async fn packet(&mut self) -> Result<Packet, LinkError> {
        poll_fn(|cx| self.poll_packet(cx)).await
    }

    /// Writes all that is queued. Cancel-safe.
    pub async fn flush(&mut self) -> Result<(), LinkError> {
        poll_fn(|cx| self.poll_write(cx)).await
    }

    /// Waits until there is room for one more packet of any size: not at all, unless the peer is slow
    /// to read. Cancel-safe.
    pub async fn room(&mut self) -> Result<(), LinkError> {
        outgoing::room(self).await
    }

    /// Writes as much as the socket takes at once.
    pub async fn push(&mut self) -> Result<(), LinkError> {
        outgoing::push(self).await
    }

    /// Writes all that is queued, tells the peer that nothing follows, and waits, no longer than
    /// [`CLOSE_TIME_MAX`] in all, until the peer has closed: with bytes of it unread the connection would
    /// be reset and what was written lost on its way.
    pub async fn close(&mut self) {
        let goodbye = async {
            self.flush().await.ok()?;
            let stream = &mut self.stream;
            poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx))
                .await
                .ok()?;
            while poll_fn(|cx| stream::poll_chunk(stream, cx, |_| ()))
                .await
                .is_ok()
            {}
            Some(())
        };
        let _ = timeout(CLOSE_TIME_MAX, goodbye).await;
    }

    /// Tells a peer of MQTT 5 whose fault an error is, as far as the socket takes it at once.
    pub fn blame(&mut self, cx: &mut Context<'_>, error: &LinkError) {
        if let (Some(code), Version::V5) = (told_as(error), self.version()) {
            self.enqueue(&Packet::Disconnect(code, Properties::default()));
            let _ = self.poll_write(cx);
        }
    }

    /// Takes in what has come, a piece of it, without waiting: whoever was away for long looks before it
    /// calls a peer silent.
    pub fn take_in(&mut self) {
        let decoder = &mut self.decoder;
        let take = |bytes: &[u8]| decoder.feed(bytes);
        let mut cx = Context::from_waker(Waker::noop());
        // An error is met again by the next read.
        if let Poll::Ready(Ok(())) = stream::poll_chunk(&mut self.stream, &mut cx, take) {
            self.heard = now();
        }
    }

    /// The next packet; writes nothing.
    pub fn poll_packet(&mut self, cx: &mut Context<'_>) -> Poll<Result<Packet, LinkError>> {
        loop {
            if let Some(packet) = self.decoder.packet()? {
                self.whole.is_whole();
                return Poll::Ready(Ok(packet));
            }
            let decoder = &mut self.decoder;
            let take = |bytes: &[u8]| decoder.feed(bytes);
            match stream::poll_chunk(&mut self.stream, cx, take) {
                Poll::Ready(read) => read.map_err(LinkError::lost)?,
                Poll::Pending if self.decoder.is_midway() => {
                    return Poll::Ready(Err(ready!(self.whole.poll(cx)).into()));
                }
                Poll::Pending => {
                    self.whole.is_whole();
                    return Poll::Pending;
                }
            }
            self.heard = now();
        }
    }

    /// Writes what is queued; ready when nothing is left.
    pub fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.out
            .poll_write(&mut self.stream, cx)
            .map_err(LinkError::lost)
    }
}

impl Queued for Pipe {
    type Error = LinkError;

    fn queued_bytes(&self) -> usize {
        self.queued_bytes()
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.poll_write(cx)
    }
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
