//! All routes. Those of the API come from the table of operations alone, each behind the guard.

use super::{console, docs, headers, metrics};
use crate::auth::guard::{self, Guard};
use crate::handlers;
use crate::state::State;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};

/// Everything the listener serves. The error names an operation without a handler.
pub fn router(state: State) -> Result<Router, String> {
    // Files are what they are: with their length, their parts and their hash.
    let texts =
        DefaultPredicate::new().and(NotForContentType::const_new("application/octet-stream"));
    let mut router = Router::new()
        .route("/healthz", get(metrics::healthz))
        .route("/readyz", get(metrics::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/docs", get(docs::page))
        .route("/api/v1/docs.js", get(docs::script));
    for endpoint in api::OPERATIONS {
        let handler = handlers::bind(endpoint)
            .ok_or_else(|| format!("operation {} has no handler", endpoint.id))?;
        let guard = Guard {
            state: state.clone(),
            endpoint,
        };
        router = router.route(
            endpoint.path,
            handler.route_layer(from_fn_with_state(guard, guard::check)),
        );
    }
    Ok(router
        .fallback(console::serve)
        .with_state(state.clone())
        .layer(CompressionLayer::new().compress_when(texts))
        .layer(from_fn_with_state(state, headers::finish)))
}
