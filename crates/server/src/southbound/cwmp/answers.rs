//! Answers that need no session: their status, and what the client does next.

use axum::body::Body;
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use super::limits::{RETRY_AFTER_MAX, RETRY_AFTER_MIN};

/// What a POST is answered with.
pub type Reaction = Response<Body>;

/// Nothing but a status.
pub fn status(code: StatusCode) -> Reaction {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = code;
    answer
}

/// A status, and words for whoever looks.
pub fn plain(code: StatusCode, words: &'static str) -> Reaction {
    let mut answer = Response::new(Body::from(words));
    *answer.status_mut() = code;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// The connection is of no use after this.
pub fn closing(mut answer: Reaction) -> Reaction {
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(CONNECTION, close);
    answer
}

/// The seconds that somebody who is shed is told to wait: some sooner, some later.
pub fn retry_after() -> u64 {
    let (min, max) = (RETRY_AFTER_MIN.as_secs(), RETRY_AFTER_MAX.as_secs());
    min + rand::random::<u64>() % (max - min + 1)
}

/// Come again.
pub fn later() -> Reaction {
    let mut answer = status(StatusCode::SERVICE_UNAVAILABLE);
    let wait = HeaderValue::from(retry_after());
    answer.headers_mut().insert(RETRY_AFTER, wait);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `RETRY_AFTER_MIN`, `RETRY_AFTER_MAX`
    #[test]
    fn those_who_are_shed_at_once_come_again_apart() {
        let waits: std::collections::HashSet<u64> = (0..1_000).map(|_| retry_after()).collect();
        let (min, max) = (RETRY_AFTER_MIN.as_secs(), RETRY_AFTER_MAX.as_secs());
        assert!(waits.iter().all(|wait| (min..=max).contains(wait)));
        assert!(waits.len() > 10, "{waits:?}");
    }
}
