//! The one error type of the handlers and the one place that makes problem details of it.

use api::{FieldProblem, Permission, Problem, ProblemKind};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

/// A refusal on its way to the caller.
#[derive(Clone, Debug)]
pub struct Fail(pub Box<Problem>);

/// What a handler gives back.
pub type Result<T, E = Fail> = std::result::Result<T, E>;

impl Fail {
    /// A refusal of one kind with its own sentence.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(kind, detail)))
    }

    /// There is no such thing in this tenant.
    pub fn not_found(what: &str) -> Self {
        Self::new(ProblemKind::NotFound, format!("There is no such {what}."))
    }

    /// A permission is missing.
    pub fn forbidden(permission: Permission) -> Self {
        let mut fail = Self::new(
            ProblemKind::Forbidden,
            format!(
                "This needs the permission {permission}: {}",
                permission.words().trim()
            ),
        );
        fail.0.permission = Some(permission);
        fail
    }

    /// Fields are not valid.
    pub fn invalid(errors: Vec<FieldProblem>) -> Self {
        Self::fields(ProblemKind::Invalid, errors)
    }

    /// Fields are malformed.
    pub fn malformed(errors: Vec<FieldProblem>) -> Self {
        Self::fields(ProblemKind::Malformed, errors)
    }

    /// Wait before trying again.
    pub fn limited(detail: impl Into<String>, wait: std::time::Duration) -> Self {
        let mut fail = Self::new(ProblemKind::RateLimited, detail);
        fail.0.retry_after_seconds = Some(wait.as_secs_f64().ceil().max(1.0) as u64);
        fail
    }

    fn fields(kind: ProblemKind, errors: Vec<FieldProblem>) -> Self {
        let detail = errors
            .iter()
            .map(|error| format!("{} {}", error.field, error.problem))
            .collect::<Vec<_>>()
            .join("; ");
        let mut fail = Self::new(kind, detail);
        fail.0.errors = errors;
        fail
    }
}

/// The server is wrong: the caller learns that much, the log the rest.
pub fn internal(error: impl std::fmt::Display) -> Fail {
    tracing::error!(%error, "a request failed inside");
    Fail::new(
        ProblemKind::Internal,
        "The server made a mistake. Its log has the cause under this request id.",
    )
}

impl From<store::Error> for Fail {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NotFound(what) => Fail::not_found(what),
            store::Error::Conflict { .. }
            | store::Error::Fenced(_)
            | store::Error::LastAdministrator { .. } => {
                Fail::new(ProblemKind::Conflict, sentence(&error.to_string()))
            }
            store::Error::LimitExceeded { .. } => {
                Fail::new(ProblemKind::LimitReached, sentence(&error.to_string()))
            }
            store::Error::Invalid(words) => Fail::new(ProblemKind::Malformed, sentence(&words)),
            store::Error::Unavailable(cause) => {
                // The store has told the operator once.
                tracing::debug!(%cause, "the database cannot be reached or written");
                let mut fail = Fail::new(
                    ProblemKind::Unavailable,
                    "The database cannot be reached or written at the moment.",
                );
                fail.0.retry_after_seconds = Some(2);
                fail
            }
            other => internal(other),
        }
    }
}

impl From<crate::vault::VaultError> for Fail {
    fn from(error: crate::vault::VaultError) -> Self {
        internal(error)
    }
}

/// A first letter in upper case and a full stop.
fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    let mut text: String = chars
        .next()
        .map(|c| c.to_uppercase().collect())
        .unwrap_or_default();
    text.push_str(chars.as_str());
    if !text.ends_with('.') {
        text.push('.');
    }
    text
}

impl IntoResponse for Fail {
    /// Only marks the answer; [`write()`] makes the body when the request id is known.
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Turns a marked answer, or a bare error status of the framework, into problem details.
pub fn write(response: Response, request_id: &str) -> Response {
    let status = response.status();
    let mut problem = match response.extensions().get::<Fail>() {
        Some(fail) => (*fail.0).clone(),
        None if status.is_client_error() || status.is_server_error() => bare(status),
        None => return response,
    };
    problem.instance = Some(request_id.to_owned());
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    parts
        .headers
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = problem.retry_after_seconds {
        parts
            .headers
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if problem.status == 401 {
        parts.headers.insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"headend\""),
        );
    }
    Response::from_parts(parts, axum::body::Body::from(body))
}

fn bare(status: StatusCode) -> Problem {
    let kind = match status.as_u16() {
        404 => ProblemKind::NotFound,
        405 => ProblemKind::MethodNotAllowed,
        413 => ProblemKind::TooLarge,
        415 => ProblemKind::UnsupportedMediaType,
        500.. => ProblemKind::Internal,
        _ => ProblemKind::Malformed,
    };
    Problem::new(kind, kind.title())
}
