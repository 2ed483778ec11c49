//! `/metrics`, `/healthz`, `/readyz`: for machines that watch the server. They say nothing about
//! tenants or devices.

use super::peer::Peer;
use crate::auth;
use crate::problem::{Fail, Result};
use crate::state::State;
use api::{Permission, ProblemKind};
use axum::extract::{Request, State as Extract};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;
use std::time::Duration;

/// Seconds of the buckets of every duration: from an indexed read to the request limit.
const BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// The process's recorder. There is one a process, however many servers tests start in it.
pub fn recorder() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let builder = PrometheusBuilder::new();
            let builder = builder
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), BUCKETS)
                .unwrap_or_else(|_| PrometheusBuilder::new());
            let recorder = builder.build_recorder();
            let handle = recorder.handle();
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!("another metrics recorder is installed; /metrics stays empty");
            }
            handle
        })
        .clone()
}

/// `/metrics`: for this host, for a token with `system:read`, or for everybody when configured so.
pub async fn metrics(Extract(state): Extract<State>, request: Request) -> Result<Response> {
    let peer = request.extensions().get::<Peer>();
    let local = peer.is_some_and(|peer| peer.local);
    if !state.config.http.metrics_open && !local {
        let caller = auth::authenticate(&state, request.headers())
            .await?
            .ok_or_else(|| {
                Fail::new(
                    ProblemKind::Unauthenticated,
                    "Metrics need a token with `system:read`.",
                )
            })?;
        caller.needs(Permission::SystemRead)?;
    }
    metrics::gauge!("headend_devices_connected").set(state.south.connections() as f64);
    let transfers = state.files.as_ref().map_or(0, |files| files.transfers());
    metrics::gauge!("headend_file_transfers").set(transfers as f64);
    metrics::gauge!("headend_event_streams")
        .set((crate::limits::STREAMS_MAX - state.streams.available_permits()) as f64);
    let mut response = state.metrics.render().into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    Ok(response)
}

/// `/healthz`: the process answers.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// `/readyz`: the database answers and takes writes, and the server is not stopping.
pub async fn readyz(Extract(state): Extract<State>) -> Result<&'static str> {
    let not = |words: &str| Err(Fail::new(ProblemKind::Unavailable, words));
    if state.shutdown.is_cancelled() {
        return not("The server is stopping.");
    }
    match tokio::time::timeout(Duration::from_secs(2), state.store.ready()).await {
        Ok(Ok(())) => Ok("ready\n"),
        Ok(Err(error)) => {
            tracing::debug!(%error, "not ready");
            not("The database cannot be read or written.")
        }
        Err(_) => not("The database does not answer in time."),
    }
}
