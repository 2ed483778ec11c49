//! Frames over a byte stream, either end: what has arrived is cut into frames, what is to be sent
//! waits in one queue. An idle pipe owns no buffer. It does not know what a frame means.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Decoder, Frame, LinkError};
use crate::{limits::READ_CHUNK_BYTES, stream::Stream};

/// See the module's words.
pub struct Pipe {
    stream: Stream,
    decoder: Decoder,
    /// Frames not yet written, from `written` on.
    queue: Vec<u8>,
    written: usize,
    /// The stream below holds bytes to flush (TLS).
    unflushed: bool,
    heard: Instant,
    spoken: Instant,
}

impl Pipe {
    /// Bodies of at most this many bytes are taken.
    pub fn new(stream: Stream, body_bytes_max: usize) -> Self {
        let now = now();
        Self {
            stream,
            decoder: Decoder::new(body_bytes_max),
            queue: Vec::new(),
            written: 0,
            unflushed: false,
            heard: now,
            spoken: now,
        }
    }

    /// When anything was last read.
    pub fn heard_at(&self) -> Instant {
        self.heard
    }

    /// When anything was last written.
    pub fn spoken_at(&self) -> Instant {
        self.spoken
    }

    /// Puts a frame in the queue; [`Pipe::poll_write`] writes it.
    pub fn enqueue(&mut self, frame: &Frame) {
        if self.written > self.queue.len() / 2 {
            self.queue.drain(..self.written);
            self.written = 0;
        }
        frame.encode(&mut self.queue);
    }

    /// Puts a heart-beat in the queue, unless something waits there that is as good as one.
    pub fn beat(&mut self) {
        if self.queued_bytes() == 0 {
            self.queue.push(b'\n');
        }
    }

    /// Bytes waiting to be written.
    pub fn queued_bytes(&self) -> usize {
        self.queue.len() - self.written
    }

    /// Bytes of the pipe's own buffers: zero whenever it is idle.
    pub fn heap_bytes(&self) -> usize {
        self.decoder.heap_bytes() + self.queue.capacity()
    }

    /// The next frame. Cancel-safe.
    pub async fn frame(&mut self) -> Result<Frame, LinkError> {
        poll_fn(|cx| self.poll_frame(cx)).await
    }

    /// Writes all that is queued. Cancel-safe.
    pub async fn flush(&mut self) -> Result<(), LinkError> {
        poll_fn(|cx| self.poll_write(cx)).await
    }

    /// Tells the peer that nothing follows.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    /// The next frame; writes nothing.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, LinkError>> {
        loop {
            if let Some(frame) = self.decoder.frame()? {
                return Poll::Ready(Ok(frame));
            }
            let mut memory = [MaybeUninit::<u8>::uninit(); READ_CHUNK_BYTES];
            let mut buffer = ReadBuf::uninit(&mut memory);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)).map_err(lost)?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(LinkError::Gone));
            }
            self.heard = now();
            self.decoder.feed(buffer.filled());
        }
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
            self.spoken = now();
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
