//! API tokens: a person's own keys for scripts, never more powerful than the person.

use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
use crate::page::PageQuery;
use crate::{Page, Permission, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A token without its secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// The id.
    pub id: Uuid,
    /// What it is for.
    pub name: String,
    /// How the secret begins, to recognise it: `het_Ab3d`.
    pub hint: String,
    /// What it may do, as far as its owner may.
    pub scopes: Vec<Permission>,
    /// Whose it is.
    pub user_id: Uuid,
    /// The owner's login.
    pub login: String,
    /// When it was made.
    pub created_at: Time,
    /// When it stops working; null is never.
    pub expires_at: Option<Time>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Time>,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
}

/// A token to be made.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenCreate {
    /// What it is for, 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// What it may do. Only permissions the caller holds.
    #[schema(min_items = 1)]
    pub scopes: Vec<Permission>,
    /// When it stops working; absent is never.
    #[serde(default)]
    pub expires_at: Option<Time>,
}

/// A new token with its secret, which is shown this once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenCreated {
    /// The token.
    pub token: Token,
    /// The secret: send it as `Authorization: Bearer het_...`. It is not stored and cannot be
    /// shown again.
    pub secret: String,
}

const TAG: &str = "tokens";
const NEEDS: Access = Access::Needs(Permission::TokenWrite);

/// The operations on tokens.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(
        "token_list",
        Method::Get,
        "/api/v1/tokens",
        NEEDS,
        TAG,
        "List tokens",
        Answer::Json(Body::of::<Page<Token>>()),
    )
    .query::<PageQuery>()
    .about("One's own; with `user:read` those of the whole tenant."),
    Endpoint::new(
        "token_create",
        Method::Post,
        "/api/v1/tokens",
        NEEDS,
        TAG,
        "Create a token",
        Answer::Created(Body::of::<TokenCreated>()),
    )
    .body::<TokenCreate>(r#"{"name": "nightly report", "scopes": ["device:read", "event:read"], "expires_at": "2099-01-01T00:00:00Z"}"#)
    .about("The secret is shown once, so this request is not replayed by an idempotency key."),
    Endpoint::new(
        "token_show",
        Method::Get,
        "/api/v1/tokens/{token_id}",
        NEEDS,
        TAG,
        "Show a token",
        Answer::Json(Body::of::<Token>()),
    ),
    Endpoint::new(
        "token_revoke",
        Method::Delete,
        "/api/v1/tokens/{token_id}",
        NEEDS,
        TAG,
        "Revoke a token",
        Answer::Nothing,
    )
    .about("One's own; with `user:write` those of the whole tenant. Works at once."),
];
