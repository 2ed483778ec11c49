//! The one place where access is decided. It stands before every handler, driven by the entry of
//! the table of operations; a handler that is not in the table is not mounted, so none can forget.

use super::{Caller, authenticate, domain};
use crate::http::peer::Peer;
use crate::problem::{Fail, Result};
use crate::state::State;
use api::{Access, Endpoint, ProblemKind};
use axum::extract::{Request, State as Extract};
use axum::middleware::Next;
use axum::response::Response;
use fleet::TenantId;
use fleet::auth::Decision;
use http::request::Parts;
use http::{HeaderMap, Method, header};
use std::time::Instant;

/// What the guard of one operation needs.
#[derive(Clone)]
pub struct Guard {
    /// Everything.
    pub state: State,
    /// The entry of the table.
    pub endpoint: &'static Endpoint,
}

/// Lets a request through to its handler, or not.
pub async fn check(
    Extract(guard): Extract<Guard>,
    mut request: Request,
    next: Next,
) -> Result<Response> {
    let Guard { state, endpoint } = guard;
    request.extensions_mut().insert(endpoint);
    if endpoint.access == Access::Public {
        same_site(request.method(), request.headers())?;
    } else {
        let (mut parts, body) = request.into_parts();
        let caller = admit(&state, endpoint, &parts).await?;
        parts.extensions.insert(caller);
        request = Request::from_parts(parts, body);
    }
    let work = async {
        if endpoint.idempotent && request.headers().contains_key(api::IDEMPOTENCY_HEADER) {
            crate::http::idempotency::run(&state, endpoint, request, next).await
        } else {
            Ok(next.run(request).await)
        }
    };
    if endpoint.carries_bytes() {
        // A file takes as long as it takes; its handler has limits of its own.
        return work.await;
    }
    tokio::time::timeout(crate::limits::REQUEST_TIME_MAX, work)
        .await
        .unwrap_or_else(|_| {
            Err(Fail::new(
                ProblemKind::TimedOut,
                "The answer took too long. What was asked may have happened.",
            ))
        })
}

async fn admit(state: &State, endpoint: &Endpoint, request: &Parts) -> Result<Caller> {
    let headers = &request.headers;
    let peer = request.extensions.get::<Peer>().map(Peer::network);
    let peer = peer.unwrap_or_default();
    let now = Instant::now();
    let limiters = &state.limiters;
    let wait = |wait| Fail::limited("Too many wrong credentials came from this address.", wait);
    limiters.bad_token.check(&peer, now).map_err(wait)?;
    let Some(mut caller) = authenticate(state, headers).await? else {
        let shown =
            headers.contains_key(header::AUTHORIZATION) || headers.contains_key(header::COOKIE);
        if shown {
            limiters.bad_token.take(&peer, now).map_err(wait)?;
        }
        return Err(Fail::new(
            ProblemKind::Unauthenticated,
            if shown {
                "This sign-in or token is unknown, over or revoked."
            } else {
                "Sign in, or send an API token as `Authorization: Bearer het_...`."
            },
        ));
    };
    if caller.session.is_some() {
        same_site(&request.method, headers)?;
    }
    limiters
        .requests
        .take(&caller.key().to_string(), now)
        .map_err(|wait| Fail::limited("You ask faster than the limit allows.", wait))?;
    if caller.must_change_password && endpoint.access != Access::Account {
        return Err(Fail::new(
            ProblemKind::PasswordChangeRequired,
            "Your password is a one-time password. Change it first: PUT /api/v1/session/password.",
        ));
    }
    caller.tenant = tenant(state, &caller, request).await?;
    if let Access::Needs(permission) = endpoint.access {
        match caller.principal.decide(&caller.tenant, domain(permission)) {
            Decision::Allowed => {}
            Decision::Invisible => return Err(Fail::not_found("tenant")),
            Decision::Forbidden => return Err(Fail::forbidden(permission)),
        }
    }
    Ok(caller)
}

/// The tenant to act in: the caller's own, or the one named in the header (for streams, which
/// cannot send headers, in the query) when the caller sees it.
async fn tenant(state: &State, caller: &Caller, request: &Parts) -> Result<TenantId> {
    let named = match request.headers.get(api::TENANT_HEADER) {
        Some(value) => Some(value.to_str().unwrap_or_default().to_owned()),
        None => request
            .uri
            .query()
            .filter(|_| request.uri.path().ends_with("/stream"))
            .and_then(|query| {
                form_urlencoded::parse(query.as_bytes())
                    .find(|(name, _)| name == "tenant")
                    .map(|(_, value)| value.into_owned())
            }),
    };
    let Some(named) = named.filter(|name| !name.is_empty()) else {
        return Ok(caller.tenant.clone());
    };
    let unknown = || Fail::not_found("tenant");
    let tenant = TenantId::parse(&named).map_err(|_| unknown())?;
    if tenant == caller.tenant {
        return Ok(tenant);
    }
    if !caller.principal.sees(&tenant) {
        return Err(unknown());
    }
    state.store.tenant(&tenant).await?;
    Ok(tenant)
}

/// Refuses what a browser sends on behalf of another site. The cookie is SameSite=Strict already;
/// this holds where a browser or a sibling domain does not honour it.
fn same_site(method: &Method, headers: &HeaderMap) -> Result<()> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let foreign = match text("sec-fetch-site") {
        Some(site) => !matches!(site, "same-origin" | "none"),
        None => match text("origin") {
            Some(origin) => {
                let host = text("host").unwrap_or_default();
                origin.split_once("://").map(|(_, rest)| rest) != Some(host)
            }
            None => false,
        },
    };
    if foreign {
        return Err(Fail::new(
            ProblemKind::CrossSite,
            "A browser sent this on behalf of another site. Scripts use an API token instead of a cookie.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_handler_that_does_not_answer_is_given_up() {
        use tower::ServiceExt;
        let (state, _database) = crate::state::tests::alone().await;
        let guard = Guard {
            state,
            endpoint: api::endpoint("session_create").unwrap(),
        };
        let never = axum::routing::post(std::future::pending::<()>)
            .route_layer(axum::middleware::from_fn_with_state(guard, check));
        let router: axum::Router = axum::Router::new().route("/", never);
        tokio::time::pause();
        let request = Request::post("/").body(axum::body::Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 504);
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn what_comes_from_another_site_is_refused_and_reading_is_not() {
        let post = |pairs: &[(&'static str, &str)]| same_site(&Method::POST, &headers(pairs));
        assert!(post(&[("sec-fetch-site", "same-origin")]).is_ok());
        assert!(post(&[("sec-fetch-site", "cross-site")]).is_err());
        assert!(post(&[("sec-fetch-site", "same-site")]).is_err());
        assert!(post(&[("origin", "http://evil"), ("host", "here:8080")]).is_err());
        assert!(post(&[("origin", "http://here:8080"), ("host", "here:8080")]).is_ok());
        assert!(post(&[("origin", "null"), ("host", "here:8080")]).is_err());
        assert!(post(&[]).is_ok());
        assert!(same_site(&Method::GET, &headers(&[("sec-fetch-site", "cross-site")])).is_ok());
    }
}
