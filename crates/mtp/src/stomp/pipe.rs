//! Frames over a byte stream, either end: what has arrived is cut into frames, what is to be sent
//! waits in one queue. An idle pipe owns no buffer. It does not know what a frame means.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use tokio::io::AsyncWrite;

use super::{Decoder, Frame, LinkError};
use crate::{
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
    spoken: Instant,
}

impl Pipe {
    /// Bodies of at most this many bytes are taken.
    pub fn new(stream: Stream, body_bytes_max: usize) -> Self {
        let now = now();
        Self {
            stream,
            decoder: Decoder::new(body_bytes_max),
            whole: Whole::default(),
            out: Outgoing::default(),
            heard: now,
            spoken: now,
        }
    }

    /// See [`Decoder::skip_messages`].
    pub fn skip_messages(&mut self) {
        self.decoder.skip_messages();
    }

    /// When anything was last read.
    pub fn heard_at(&self) -> Instant {
        self.heard
    }

    /// When anything was last written.
    pub fn spoken_at(&self) -> Instant {
        self.spoken
    }

    /// Puts a frame in the queue; [`Pipe::flush`] writes it.
    pub fn enqueue(&mut self, frame: &Frame) {
        frame.encode(self.out.end());
    }

    /// Puts a heart-beat in the queue, unless something waits there that is as good as one.
    pub fn beat(&mut self) {
        if self.queued_bytes() == 0 {
            self.out.end().push(b'\n');
        }
    }

    /// Bytes of the pipe's own buffers: zero whenever it is idle.
    pub fn heap_bytes(&self) -> usize {
        self.decoder.heap_bytes() + self.out.heap_bytes()
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
                self.whole.is_whole();
                return Poll::Ready(Ok(frame));
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

    /// Waits until there is room for one more frame of any size: not at all, unless the server is
    /// slow to read. Cancel-safe.
    pub async fn room(&mut self) -> Result<(), LinkError> {
        outgoing::room(self).await
    }

    /// Writes as much as the socket takes at once.
    pub async fn push(&mut self) -> Result<(), LinkError> {
        outgoing::push(self).await
    }
}

impl Queued for Pipe {
    type Error = LinkError;

    fn queued_bytes(&self) -> usize {
        self.out.bytes()
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let before = self.out.bytes();
        let written = self.out.poll_write(&mut self.stream, cx);
        if self.out.bytes() < before {
            self.spoken = now();
        }
        written.map_err(LinkError::lost)
    }
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
