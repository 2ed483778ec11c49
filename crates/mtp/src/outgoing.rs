//! Bytes on their way to a peer, whatever the protocol: one queue, which owns nothing while it is
//! empty, and waiting for a peer that is slow to read.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{io::AsyncWrite, time::timeout};

use crate::limits::{SEND_QUEUE_BYTES, SEND_STALL_MAX};

/// See the module's words.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// Not yet written, from `written` on.
    queue: Vec<u8>,
    written: usize,
    /// The stream below holds bytes to flush (TLS).
    unflushed: bool,
}

impl Outgoing {
    /// Where more is appended.
    pub(crate) fn end(&mut self) -> &mut Vec<u8> {
        if self.written > self.queue.len() / 2 {
            self.queue.drain(..self.written);
            self.written = 0;
        }
        &mut self.queue
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.queue.len() - self.written
    }

    /// Bytes on the heap: zero whenever nothing waits.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.queue.capacity()
    }

    /// Forgets what waits.
    pub(crate) fn clear(&mut self) {
        (self.queue, self.written) = (Vec::new(), 0);
    }

    /// Writes and flushes; ready when nothing is left.
    pub(crate) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.written < self.queue.len() {
            let rest = &self.queue[self.written..];
            match ready!(Pin::new(&mut *stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
            self.unflushed = true;
        }
        if self.queue.capacity() > 0 {
            self.clear();
        }
        if self.unflushed {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// The peer has not read anything for so long.
pub(crate) struct Stalled(pub(crate) Duration);

/// An end of a connection that has a queue.
pub(crate) trait Queued {
    /// How it breaks.
    type Error: From<Stalled>;

    /// Bytes waiting to be written.
    fn queued_bytes(&self) -> usize;

    /// Writes what is queued; ready when nothing is left.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>>;
}

/// Waits until no more than [`SEND_QUEUE_BYTES`] wait: not at all, unless the peer is slow to read.
/// Cancel-safe.
pub(crate) async fn room<Q: Queued>(end: &mut Q) -> Result<(), Q::Error> {
    while end.queued_bytes() > SEND_QUEUE_BYTES {
        let before = end.queued_bytes();
        let progress = poll_fn(|cx| match end.poll_write(cx) {
            Poll::Pending if end.queued_bytes() == before => Poll::Pending,
            Poll::Pending => Poll::Ready(Ok(())),
            ready => ready,
        });
        match timeout(SEND_STALL_MAX, progress).await {
            Ok(written) => written?,
            Err(_) => return Err(Stalled(SEND_STALL_MAX).into()),
        }
    }
    Ok(())
}

/// Writes as much as the socket takes at once.
pub(crate) async fn push<Q: Queued>(end: &mut Q) -> Result<(), Q::Error> {
    match poll_fn(|cx| Poll::Ready(end.poll_write(cx))).await {
        Poll::Ready(written) => written,
        Poll::Pending => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    /// Takes a byte each time its turn comes.
    struct Slow {
        left: usize,
        turn: Option<Pin<Box<tokio::time::Sleep>>>,
        every: Duration,
    }

    impl Queued for Slow {
        type Error = Stalled;

        fn queued_bytes(&self) -> usize {
            self.left
        }

        fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stalled>> {
            let every = self.every;
            let turn = self.turn.get_or_insert_with(|| Box::pin(sleep(every)));
            ready!(turn.as_mut().poll(cx));
            (self.left, self.turn) = (self.left - 1, None);
            Poll::Pending
        }
    }

    fn slow(every: Duration) -> Slow {
        Slow {
            left: SEND_QUEUE_BYTES + 3,
            turn: None,
            every,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_a_little_is_waited_for_and_one_that_reads_nothing_is_given_up() {
        let began = Instant::now();
        let nearly = SEND_STALL_MAX - Duration::from_secs(1);
        assert!(room(&mut slow(nearly)).await.is_ok());
        assert_eq!(began.elapsed(), nearly * 3);
        let began = Instant::now();
        let stalled = room(&mut slow(SEND_STALL_MAX * 2)).await;
        assert!(matches!(stalled, Err(Stalled(SEND_STALL_MAX))));
        assert_eq!(began.elapsed(), SEND_STALL_MAX);
    }
}
