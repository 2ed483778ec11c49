//! Whether a request is under way on a connection, and since when none is: who connects and asks
//! nothing does not keep a place for ever. Not here: slow requests (whoever reads them looks after
//! that), and answers that nobody takes (`stall`).

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

/// What is under way on one connection.
#[derive(Debug)]
pub struct Activity(Mutex<State>);

#[derive(Debug)]
struct State {
    requests: usize,
    since: Instant,
}

/// One request that is under way, until this is dropped.
#[derive(Debug)]
pub struct Busy(Arc<Activity>);

impl Activity {
    /// Of a connection that was just made.
    pub fn new() -> Arc<Self> {
        let (requests, since) = (0, Instant::now());
        Arc::new(Self(Mutex::new(State { requests, since })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request begins.
    pub fn begin(self: &Arc<Self>) -> Busy {
        self.lock().requests += 1;
        Busy(self.clone())
    }

    /// Returns when nothing has been under way for so long, counted from now at the earliest.
    pub async fn idle(&self, max: Duration) {
        let mut until = Instant::now() + max;
        loop {
            tokio::time::sleep_until(until).await;
            let now = Instant::now();
            let state = self.lock();
            until = match state.requests {
                0 if state.since + max <= now => return,
                0 => state.since + max,
                _ => now + max,
            };
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.requests -= 1;
        state.since = Instant::now();
    }
}

/// The body of an answer: its request is under way until it has gone.
#[derive(Debug)]
pub struct Answering {
    body: Body,
    _busy: Busy,
}

impl Answering {
    /// This body, of this request.
    pub fn new(body: Body, busy: Busy) -> Self {
        Self { body, _busy: busy }
    }
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_when_nothing_was_under_way_for_long_enough() {
        const MAX: Duration = Duration::from_secs(60);
        let began = Instant::now();
        let activity = Activity::new();
        activity.idle(MAX).await;
        assert_eq!(began.elapsed(), MAX);
        let busy = activity.begin();
        let long = tokio::time::timeout(MAX * 10, activity.idle(MAX)).await;
        assert!(long.is_err(), "a request is under way");
        let began = Instant::now();
        drop(busy);
        activity.idle(MAX).await;
        assert_eq!(began.elapsed(), MAX);
    }
}
