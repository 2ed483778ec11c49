//! Packets over a byte stream, either end: what has arrived is cut into packets, what is to be sent
//! waits in one queue. An idle pipe owns no buffer. It does not know what a packet means.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    error::{LinkError, Malformed},
    packet::{Packet, Version},
};
use crate::{
    limits::{PAYLOAD_RESERVE_BYTES_MAX, READ_CHUNK_BYTES},
    stream::Stream,
};

/// The limit of [`Pipe::new`], as errors name it.
pub const PACKET_SIZE: &str = "MQTT packet size";

/// See the module's words.
pub struct Pipe {
    stream: Stream,
    version: Version,
    packet_bytes_max: usize,
    /// Nothing but a CONNECT may come.
    opening: bool,
    unread: BytesMut,
    /// Packets not yet written, from `written` on.
    queue: Vec<u8>,
    written: usize,
    /// The stream below holds bytes to flush (TLS).
    unflushed: bool,
    heard: Instant,
}

impl Pipe {
    /// Packets of at most this many bytes are taken.
    pub fn new(stream: Stream, version: Version, packet_bytes_max: usize) -> Self {
        Self {
            stream,
            version,
            packet_bytes_max,
            opening: false,
            unread: BytesMut::new(),
            queue: Vec::new(),
            written: 0,
            unflushed: false,
            heard: now(),
        }
    }

    /// The same for a server: the first packet has to be a CONNECT, and anything else is known by its
    /// first byte.
    pub fn opening(stream: Stream, packet_bytes_max: usize) -> Self {
        Self {
            opening: true,
            ..Self::new(stream, Version::V5, packet_bytes_max)
        }
    }

    /// What a CONNECT has said, and what its sender may send from now on.
    pub fn admit(&mut self, version: Version, packet_bytes_max: usize) {
        (self.version, self.packet_bytes_max) = (version, packet_bytes_max);
        self.opening = false;
    }

    /// The version in use.
    pub fn version(&self) -> Version {
        self.version
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
        if self.written > self.queue.len() / 2 {
            self.queue.drain(..self.written);
            self.written = 0;
        }
        packet.encode(self.version, &mut self.queue);
    }

    /// Bytes waiting to be written.
    pub fn queued_bytes(&self) -> usize {
        self.queue.len() - self.written
    }

    /// Bytes of the pipe's own buffers: zero whenever it is idle.
    pub fn heap_bytes(&self) -> usize {
        self.unread.capacity() + self.queue.capacity()
    }

    /// The next packet. Cancel-safe.
    pub async fn packet(&mut self) -> Result<Packet, LinkError> {
        poll_fn(|cx| self.poll_packet(cx)).await
    }

    /// Writes all that is queued. Cancel-safe.
    pub async fn flush(&mut self) -> Result<(), LinkError> {
        poll_fn(|cx| self.poll_write(cx)).await
    }

    /// Tells the peer that nothing follows.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    /// The next packet; writes nothing.
    pub fn poll_packet(&mut self, cx: &mut Context<'_>) -> Poll<Result<Packet, LinkError>> {
        loop {
            if let Some(packet) = self.cut()? {
                return Poll::Ready(Ok(packet));
            }
            let mut memory = [MaybeUninit::<u8>::uninit(); READ_CHUNK_BYTES];
            let mut buffer = ReadBuf::uninit(&mut memory);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)).map_err(lost)?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(LinkError::Gone));
            }
            self.heard = now();
            self.unread.extend_from_slice(buffer.filled());
        }
    }

    /// A whole packet out of what has been read.
    fn cut(&mut self) -> Result<Option<Packet>, LinkError> {
        let Some(&first) = self.unread.first() else {
            return Ok(None);
        };
        match first {
            0x10 => {}
            0x16 if self.opening => return Err(Malformed::TLS.into()),
            _ if self.opening => return Err(Malformed("the first packet is no CONNECT").into()),
            _ => {}
        }
        let (mut length, mut head) = (0_usize, 1);
        loop {
            let Some(&byte) = self.unread.get(head) else {
                return Ok(None);
            };
            length |= usize::from(byte & 0x7f) << (7 * (head - 1));
            head += 1;
            if byte & 0x80 == 0 {
                break;
            }
            if head > 4 {
                return Err(LinkError::PeerMisbehaved(
                    "a length of more than four bytes",
                ));
            }
        }
        if length > self.packet_bytes_max {
            return Err(LinkError::LimitExceeded {
                limit: PACKET_SIZE,
                max: self.packet_bytes_max as u64,
            });
        }
        let missing = (head + length).saturating_sub(self.unread.len());
        if missing > 0 {
            // No more than this because a length was announced; then as it really comes.
            self.unread.reserve(missing.min(PAYLOAD_RESERVE_BYTES_MAX));
            return Ok(None);
        }
        self.unread.advance(head);
        let body = self.unread.split_to(length).freeze();
        if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
        Ok(Some(Packet::decode(first, body, self.version)?))
    }

    /// Writes what is queued; ready when nothing is left.
    pub fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        while self.written < self.queue.len() {
            let rest = &self.queue[self.written..];
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest)) {
                Ok(0) => return Poll::Ready(Err(LinkError::Gone)),
                Ok(count) => self.written += count,
                Err(error) => return Poll::Ready(Err(lost(error))),
            }
            self.unflushed = true;
        }
        if self.queue.capacity() > 0 {
            // An idle pipe owns no buffer.
            (self.queue, self.written) = (Vec::new(), 0);
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx)).map_err(lost)?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

fn lost(error: io::Error) -> LinkError {
    match error.kind() {
        // TLS without close_notify.
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => LinkError::Gone,
        _ => LinkError::Io(error),
    }
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
