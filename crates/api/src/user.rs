//! Users of a tenant and the roles they can have. Roles are fixed here; one's own ones come later.

use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
use crate::page::PageQuery;
use crate::{Page, Permission, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A person who can sign in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// The id.
    pub id: Uuid,
    /// The login, unique in the installation.
    pub login: String,
    /// The name to show.
    pub display_name: String,
    /// The id of the role.
    pub role: String,
    /// Whether this is a platform administrator.
    pub platform: bool,
    /// Whether signing in is barred.
    pub disabled: bool,
    /// Whether a one-time password waits to be changed.
    pub must_change_password: bool,
    /// When the user was made.
    pub created_at: Time,
    /// When the user last signed in.
    pub last_sign_in_at: Option<Time>,
}

/// A user to be made.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserCreate {
    /// The login, usually an e-mail address.
    #[schema(min_length = 1, max_length = 100)]
    pub login: String,
    /// The name to show; absent is the login.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 100)]
    pub display_name: Option<String>,
    /// The id of the role.
    #[schema(example = "operator")]
    pub role: String,
}

/// A user with a new one-time password, which is shown this once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UserWithPassword {
    /// The user.
    pub user: User,
    /// The one-time password: hand it over; it has to be changed at the first sign-in.
    pub one_time_password: String,
}

/// What may change.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UserPatch {
    /// The name to show.
    #[schema(min_length = 1, max_length = 100)]
    pub display_name: Option<String>,
    /// The id of the role.
    pub role: Option<String>,
    /// Whether signing in is barred. Ends the user's sign-ins and tokens at once.
    pub disabled: Option<bool>,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Role {
    /// The id.
    #[schema(example = "operator")]
    pub id: String,
    /// The name to show.
    pub name: String,
    /// For whom it is.
    pub description: String,
    /// What it may do.
    pub permissions: Vec<Permission>,
}

/// A permission with its words, for the page that chooses scopes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PermissionInfo {
    /// The id.
    pub id: Permission,
    /// What it allows.
    pub description: String,
}

/// All roles, and all permissions they are made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Roles {
    /// The roles.
    pub roles: Vec<Role>,
    /// The permissions.
    pub permissions: Vec<PermissionInfo>,
}

const TAG: &str = "users";
const READ: Access = Access::Needs(Permission::UserRead);
const WRITE: Access = Access::Needs(Permission::UserWrite);

/// The operations on users and roles.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(
        "user_list",
        Method::Get,
        "/api/v1/users",
        READ,
        TAG,
        "List the users of the tenant",
        Answer::Json(Body::of::<Page<User>>()),
    )
    .query::<PageQuery>(),
    Endpoint::new(
        "user_create",
        Method::Post,
        "/api/v1/users",
        WRITE,
        TAG,
        "Create a user",
        Answer::Created(Body::of::<UserWithPassword>()),
    )
    .body::<UserCreate>(r#"{"login": "ann@example.net", "display_name": "Ann", "role": "operator"}"#)
    .about("The one-time password is shown once, so this request is not replayed by an idempotency key."),
    Endpoint::new(
        "user_show",
        Method::Get,
        "/api/v1/users/{user_id}",
        READ,
        TAG,
        "Show a user",
        Answer::Json(Body::of::<User>()),
    ),
    Endpoint::new(
        "user_update",
        Method::Patch,
        "/api/v1/users/{user_id}",
        WRITE,
        TAG,
        "Change a user",
        Answer::Json(Body::of::<User>()),
    )
    .body::<UserPatch>(r#"{"role": "support"}"#),
    Endpoint::new(
        "user_delete",
        Method::Delete,
        "/api/v1/users/{user_id}",
        WRITE,
        TAG,
        "Remove a user",
        Answer::Nothing,
    )
    .about("With the user go the user's sign-ins and tokens. The last administrator stays."),
    Endpoint::new(
        "user_password_reset",
        Method::Post,
        "/api/v1/users/{user_id}/password",
        WRITE,
        TAG,
        "Give a user a new one-time password",
        Answer::Json(Body::of::<UserWithPassword>()),
    )
    .about("Ends the user's sign-ins."),
    Endpoint::new(
        "role_list",
        Method::Get,
        "/api/v1/roles",
        READ,
        TAG,
        "List roles and permissions",
        Answer::Json(Body::of::<Roles>()),
    ),
];
