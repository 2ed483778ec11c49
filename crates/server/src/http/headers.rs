//! The outermost layer: request id, peer, security headers, problem details, metrics, one line in
//! the log.

use super::peer::Peer;
use crate::problem;
use crate::state::State;
use axum::extract::{MatchedPath, Request, State as Extract};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue, header};
use std::net::SocketAddr;
use std::time::Instant;

/// What the listener knows about a connection.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// The other end.
    pub addr: SocketAddr,
    /// Whether it is encrypted.
    pub tls: bool,
}

/// Nothing from elsewhere, no frames, no inline scripts. Mantine sets style attributes, hence
/// `unsafe-inline` for styles alone.
const CONTENT_SECURITY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Runs a request and finishes its answer.
pub async fn finish(Extract(state): Extract<State>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = uuid::Uuid::now_v7().to_string();
    let connection = request.extensions().get::<Connection>().copied();
    let proxies = &state.config.http.trusted_proxies;
    let peer = connection.map(|one| Peer::of(one.addr, one.tls, request.headers(), proxies));
    if let Some(peer) = peer {
        request.extensions_mut().insert(peer);
    }
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let matched = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let response = next.run(request).await;
    let mut response = problem::write(response, &id);
    let status = response.status();
    let took = started.elapsed();
    // Only templates become labels: a path would carry ids and grow without end.
    let label = matched.unwrap_or_else(|| "unmatched".to_owned());
    metrics::counter!("headend_http_requests_total", "method" => method.as_str().to_owned(),
        "path" => label.clone(), "status" => status.as_str().to_owned())
    .increment(1);
    metrics::histogram!("headend_http_request_seconds", "path" => label).record(took.as_secs_f64());
    tracing::debug!(%method, path, status = status.as_u16(), ms = took.as_millis() as u64, request = id, "http");
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if peer.is_some_and(|peer| peer.secure) {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
