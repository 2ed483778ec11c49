//! Problem details (RFC 9457): what every refusal looks like. The server makes them in one place;
//! the console and the command line print `detail` and, field by field, `errors`.

use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Which kind of problem: a stable URI, `urn:headend:problem:` and the slug.
    #[serde(rename = "type")]
    pub kind: ProblemKind,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time, in a sentence for a person.
    pub detail: String,
    /// The id of the request, as in the `x-request-id` header and the server's log.
    pub instance: Option<String>,
    /// Each field that was wrong, when fields were.
    #[serde(default)]
    pub errors: Vec<FieldProblem>,
    /// The permission that was missing, when one was.
    #[serde(default)]
    pub permission: Option<crate::Permission>,
    /// Seconds to wait before trying again, when waiting helps.
    #[serde(default)]
    pub retry_after_seconds: Option<u64>,
}

impl Problem {
    /// A problem of one kind with its own sentence.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            title: kind.title().to_owned(),
            status: kind.status(),
            detail: detail.into(),
            instance: None,
            errors: Vec::new(),
            permission: None,
            retry_after_seconds: None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)?;
        for error in &self.errors {
            write!(f, "\n  {}: {}", error.field, error.problem)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// One wrong field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// Which field, like `ops[0].parameters[1].value`.
    pub field: String,
    /// Where the field is.
    pub location: Location,
    /// What is wrong with it, and what would be right.
    pub problem: String,
    /// The character (from 0) at which a path or value goes wrong, when that is known.
    #[serde(default)]
    pub at: Option<u32>,
}

impl FieldProblem {
    /// A wrong field of the body.
    pub fn body(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            location: Location::Body,
            problem: problem.into(),
            at: None,
        }
    }

    /// A wrong query parameter.
    pub fn query(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            location: Location::Query,
            ..Self::body(field, problem)
        }
    }
}

/// Where in the request a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    /// In the JSON body.
    Body,
    /// In the query string.
    Query,
    /// In the path of the URL.
    Path,
    /// In a header.
    Header,
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $slug:tt, $status:literal, $title:literal;)+) => {
        /// The kinds of problems. A kind is never renamed and never changes its status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        pub enum ProblemKind {
            $($(#[doc = $doc])+ #[serde(rename = $slug)] $name,)+
        }

        impl ProblemKind {
            /// Every kind.
            pub const ALL: &'static [ProblemKind] = &[$(ProblemKind::$name,)+];

            /// The URI in `type`.
            pub const fn uri(self) -> &'static str {
                match self { $(Self::$name => $slug,)+ }
            }

            /// The HTTP status it always comes with.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// The kind in words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

kinds! {
    /// The request is not well-formed: not JSON, an unknown parameter, a value of the wrong type.
    Malformed = "urn:headend:problem:malformed", 400, "The request is malformed";
    /// Nobody is signed in, or the session or token is over.
    Unauthenticated = "urn:headend:problem:unauthenticated", 401, "Sign in first";
    /// Login and password do not belong together.
    BadCredentials = "urn:headend:problem:bad-credentials", 401, "Login or password is wrong";
    /// The caller lacks a permission.
    Forbidden = "urn:headend:problem:forbidden", 403, "You may not do this";
    /// The one-time password has to be changed before anything else.
    PasswordChangeRequired = "urn:headend:problem:password-change-required", 403, "Change your password first";
    /// The request came from another web site.
    CrossSite = "urn:headend:problem:cross-site", 403, "Refused: the request came from another site";
    /// There is no such thing, or it belongs to another tenant.
    NotFound = "urn:headend:problem:not-found", 404, "Not found";
    /// The path exists, the method does not.
    MethodNotAllowed = "urn:headend:problem:method-not-allowed", 405, "This method is not allowed here";
    /// The body of the request did not arrive whole in time. Nothing was done.
    RequestTimedOut = "urn:headend:problem:request-timed-out", 408, "The request took too long to arrive";
    /// The request contradicts the present state.
    Conflict = "urn:headend:problem:conflict", 409, "This conflicts with the present state";
    /// The same idempotency key was used for another request.
    IdempotencyMismatch = "urn:headend:problem:idempotency-mismatch", 409, "The idempotency key belongs to another request";
    /// The first request with this idempotency key is still under way.
    IdempotencyInProgress = "urn:headend:problem:idempotency-in-progress", 409, "The same request is still under way";
    /// The cursor is older than what is kept.
    CursorExpired = "urn:headend:problem:cursor-expired", 410, "What followed this cursor is no longer kept";
    /// The body is larger than the limit.
    TooLarge = "urn:headend:problem:too-large", 413, "The request is too large";
    /// The body is not JSON by its content type.
    UnsupportedMediaType = "urn:headend:problem:unsupported-media-type", 415, "Send application/json";
    /// Well-formed, but a field says something that cannot be.
    Invalid = "urn:headend:problem:invalid", 422, "Some fields are not valid";
    /// Too many requests.
    RateLimited = "urn:headend:problem:rate-limited", 429, "Too many requests";
    /// A named limit of the product is reached.
    LimitReached = "urn:headend:problem:limit-reached", 409, "A limit is reached";
    /// The server took too long.
    TimedOut = "urn:headend:problem:timed-out", 504, "This took too long";
    /// The server is starting, stopping, or its database cannot be reached.
    Unavailable = "urn:headend:problem:unavailable", 503, "Not available at the moment";
    /// The server is wrong. The request id finds the cause in its log.
    Internal = "urn:headend:problem:internal", 500, "The server made a mistake";
}
