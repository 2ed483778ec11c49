//! Tenants: the walls of the house. Whoever is not a platform administrator sees only their own.

use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
use crate::page::PageQuery;
use crate::{Page, Permission, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    /// Its slug, which is its id.
    #[schema(example = "north-isp")]
    pub id: String,
    /// The name to show.
    pub name: String,
    /// When it was made.
    pub created_at: Time,
    /// Since when it is disabled: its devices are not served and its people cannot sign in.
    pub disabled_at: Option<Time>,
}

/// A tenant to be made.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantCreate {
    /// Its slug: lower-case letters, digits and hyphens, at most 32. It never changes.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,31}$")]
    pub id: String,
    /// The name to show.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
}

/// What may change.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TenantPatch {
    /// The name to show.
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// Whether it is disabled; only platform administrators may change that.
    pub disabled: Option<bool>,
}

const TAG: &str = "tenants";

/// The operations on tenants.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(
        "tenant_list",
        Method::Get,
        "/api/v1/tenants",
        Access::Needs(Permission::TenantRead),
        TAG,
        "List the tenants I may act in",
        Answer::Json(Body::of::<Page<Tenant>>()),
    )
    .query::<PageQuery>(),
    Endpoint::new(
        "tenant_create",
        Method::Post,
        "/api/v1/tenants",
        Access::Needs(Permission::PlatformWrite),
        TAG,
        "Create a tenant",
        Answer::Created(Body::of::<Tenant>()),
    )
    .body::<TenantCreate>(r#"{"id": "north-coast", "name": "North Coast Fibre"}"#)
    .idempotent(),
    Endpoint::new(
        "tenant_show",
        Method::Get,
        "/api/v1/tenants/{tenant_id}",
        Access::Needs(Permission::TenantRead),
        TAG,
        "Show a tenant",
        Answer::Json(Body::of::<Tenant>()),
    ),
    Endpoint::new(
        "tenant_update",
        Method::Patch,
        "/api/v1/tenants/{tenant_id}",
        Access::Needs(Permission::TenantWrite),
        TAG,
        "Rename, disable or enable a tenant",
        Answer::Json(Body::of::<Tenant>()),
    )
    .body::<TenantPatch>(r#"{"name": "North Coast"}"#)
    .about("The links of a disabled tenant's devices are closed and nobody of it is let in, neither device nor person; nothing is removed. Disabling needs a platform administrator, who stays able to act in it."),
];
