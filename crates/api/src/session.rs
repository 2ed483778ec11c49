//! Signing in and out of the console, and one's own password. API tokens are in `token`.

use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
use crate::{Permission, Time, tenant::Tenant};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Login and password.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The login, usually an e-mail address. Upper and lower case are the same.
    pub login: String,
    /// The password.
    pub password: String,
}

/// Who I am, what I may do, and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Who is signed in.
    pub user: SessionUser,
    /// The token, when the caller came with one instead of the cookie.
    pub token_id: Option<Uuid>,
    /// The tenant in which this caller acts.
    pub tenant: Tenant,
    /// The tenants this caller may choose with the `Headend-Tenant` header.
    pub tenants: Vec<Tenant>,
    /// What the caller may do in `tenant`.
    pub permissions: Vec<Permission>,
    /// True while the one-time password waits to be changed: nothing else is allowed until then.
    pub must_change_password: bool,
    /// When the sign-in ends if nothing is asked any more; null for a token without an end.
    pub expires_at: Option<Time>,
}

/// The person behind a session or a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionUser {
    /// The id.
    pub id: Uuid,
    /// The login.
    pub login: String,
    /// The name to show.
    pub display_name: String,
    /// The role in the user's own tenant.
    pub role: String,
    /// Whether this is a platform administrator, who may act in every tenant.
    pub platform: bool,
}

/// A change of one's own password.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The password until now.
    pub current: String,
    /// The new one, 12 to 256 characters.
    #[schema(min_length = 12, max_length = 256)]
    pub new: String,
}

const TAG: &str = "session";

/// The operations on sign-ins.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(
        "session_create",
        Method::Post,
        "/api/v1/session",
        Access::Public,
        TAG,
        "Sign in",
        Answer::Json(Body::of::<Session>()),
    )
    .body::<SignIn>(r#"{"login": "ann@example.net", "password": "a quiet long sentence"}"#)
    .about("Sets the cookie `headend_session` (HttpOnly, SameSite=Strict). Wrong attempts are throttled by address and by login."),
    Endpoint::new(
        "session_show",
        Method::Get,
        "/api/v1/session",
        Access::Account,
        TAG,
        "Who am I, and what may I do",
        Answer::Json(Body::of::<Session>()),
    ),
    Endpoint::new(
        "session_delete",
        Method::Delete,
        "/api/v1/session",
        Access::Account,
        TAG,
        "Sign out",
        Answer::Nothing,
    ),
    Endpoint::new(
        "session_password",
        Method::Put,
        "/api/v1/session/password",
        Access::Account,
        TAG,
        "Change my password",
        Answer::Nothing,
    )
    .body::<PasswordChange>(r#"{"current": "abcde-fghjk-mnpqr-stuvw", "new": "a quiet long sentence"}"#)
    .about("Ends every other sign-in of the same user. Not possible with an API token."),
];
