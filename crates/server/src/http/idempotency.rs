//! `Idempotency-Key`: a POST that is sent again gets the first answer instead of being done again.

use crate::auth::Caller;
use crate::http::extract;
use crate::limits;
use crate::problem::{Fail, Result};
use crate::state::{State, now};
use api::{Endpoint, FieldProblem, Location, ProblemKind};
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use fleet::Timestamp;
use http::{HeaderName, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};
use store::{Idempotency, IdempotencyKey, IdempotentAnswer};

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The key of a request and what it was used for; handlers find it in the request's extensions. Each of them stores
/// it, or the answer, in the transaction that does the work: whatever happens to the answer on its way, the work is
/// not done twice.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// The key, unique in the tenant: it contains the caller.
    pub key: String,
    /// The hash of key, path and body.
    pub fingerprint: [u8; 32],
    row: IdempotencyKey,
}

impl Keyed {
    /// An answer to be kept with the work.
    pub fn answer(&self, status: StatusCode, body: &impl serde::Serialize) -> IdempotentAnswer {
        IdempotentAnswer {
            key: self.row.clone(),
            status: u32::from(status.as_u16()),
            body: serde_json::to_string(body).unwrap_or_default(),
        }
    }
}

/// Runs the handler once for a key.
pub async fn run(
    state: &State,
    endpoint: &'static Endpoint,
    request: Request,
    next: Next,
) -> Result<Response> {
    let given = key(&request)?;
    let caller = request
        .extensions()
        .get::<Caller>()
        .cloned()
        .ok_or_else(|| crate::problem::internal("an idempotent operation without a caller"))?;
    let (mut parts, body) = request.into_parts();
    let body = extract::read(Request::from_parts(parts.clone(), body)).await?;
    let mut request = |body: bytes::Bytes, keyed: Option<Keyed>| {
        if let Some(keyed) = keyed {
            parts.extensions.insert(keyed);
        }
        Request::from_parts(parts.clone(), Body::from(body))
    };
    if is_preview(&body) {
        // Stores nothing, so there is nothing to repeat.
        return Ok(next.run(request(body, None)).await);
    }
    let uri = request(bytes::Bytes::new(), None).uri().path().to_owned();
    let fingerprint: [u8; 32] = Sha256::new()
        // The key is the salt: a body may hold a guessable secret, and equal ones must not look equal.
        .chain_update(given.as_bytes())
        .chain_update([0])
        .chain_update(uri.as_bytes())
        .chain_update([0])
        .chain_update(&body)
        .finalize()
        .into();
    let key = IdempotencyKey {
        principal: caller.key().to_string(),
        endpoint: endpoint.id.to_owned(),
        key: given.clone(),
    };
    let store = &state.store;
    match begin(state, &caller, endpoint, &key, fingerprint).await? {
        Idempotency::New => {}
        Idempotency::Done { status, body } => return replay(status, body),
        Idempotency::InProgress { .. } => {
            return Err(Fail::new(
                ProblemKind::IdempotencyInProgress,
                "The first request with this key is not answered yet. Ask again in a moment.",
            ));
        }
        Idempotency::Mismatch => {
            return Err(Fail::new(
                ProblemKind::IdempotencyMismatch,
                "This key was used for another request. Use a new key for a new request.",
            ));
        }
    }
    let keyed = Keyed {
        key: format!("{}:{given}", key.principal),
        fingerprint,
        row: key.clone(),
    };
    let response = next.run(request(body, Some(keyed))).await;
    if !response.status().is_success() {
        // Nothing was done, or the work has kept its own answer, which stays: the same key may be used when the
        // request is mended.
        store.idempotency_forget(&caller.tenant, key).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX)
        .await
        .map_err(crate::problem::internal)?;
    let text = String::from_utf8(bytes.to_vec()).map_err(crate::problem::internal)?;
    let answer = IdempotentAnswer {
        key,
        status: u32::from(parts.status.as_u16()),
        body: text,
    };
    store.idempotency_finish(&caller.tenant, answer).await?;
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

async fn begin(
    state: &State,
    caller: &Caller,
    endpoint: &Endpoint,
    key: &IdempotencyKey,
    fingerprint: [u8; 32],
) -> Result<Idempotency> {
    let at = now();
    let begin = || {
        state
            .store
            .idempotency_begin(&caller.tenant, key.clone(), fingerprint, at)
    };
    match begin().await? {
        // Its server died before it could answer.
        Idempotency::InProgress { since } if is_dead(state, endpoint, since, at) => {
            state
                .store
                .idempotency_forget(&caller.tenant, key.clone())
                .await?;
            Ok(begin().await?)
        }
        other => Ok(other),
    }
}

/// No request lives longer than its time, nor longer than its server. On a database that other
/// servers may use, the latter only counts for operations, which keep their key in their own row:
/// they cannot be made twice.
fn is_dead(state: &State, endpoint: &Endpoint, since: Timestamp, at: Timestamp) -> bool {
    let alone = state.store.database() == "sqlite" || endpoint.id == "operation_create";
    at.since(since) > limits::REQUEST_TIME_MAX * 2 || (alone && since < state.started_at)
}

fn key(request: &Request) -> Result<String> {
    let value = request
        .headers()
        .get(api::IDEMPOTENCY_HEADER)
        .and_then(|value| value.to_str().ok());
    let max = api::limits::IDEMPOTENCY_KEY_CHARS_MAX;
    match value {
        Some(key) if (1..=max).contains(&key.len()) => Ok(key.to_owned()),
        _ => Err(Fail::malformed(vec![FieldProblem {
            location: Location::Header,
            ..FieldProblem::body(
                api::IDEMPOTENCY_HEADER,
                format!("is 1 to {max} printable ASCII characters"),
            )
        }])),
    }
}

fn is_preview(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Peek {
        mode: Option<String>,
    }
    serde_json::from_slice::<Peek>(body).is_ok_and(|peek| peek.mode.as_deref() == Some("preview"))
}

fn replay(status: u32, body: String) -> Result<Response> {
    let status = u16::try_from(status)
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok());
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status.unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}
