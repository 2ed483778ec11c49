//! Users of a tenant, and the roles there are.

use super::time;
use super::validate::Checks;
use crate::auth::Caller;
use crate::http::extract::{Body, Id, Query};
use crate::http::page::{self, Order};
use crate::problem::{Fail, Result};
use crate::secret;
use crate::state::{State, now};
use api::page::PageQuery;
use api::user::{PermissionInfo, Role, Roles, User, UserCreate, UserPatch, UserWithPassword};
use api::{Page, Permission, ProblemKind};
use axum::Json;
use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use fleet::auth::Role as DomainRole;
use fleet::{EventKind, UserId};
use store::{NewUser, UserPatch as StorePatch, UserRecord};

/// The users of the tenant.
pub async fn list(
    Extract(state): Extract<State>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<User>>> {
    let users = state.store.user_list(&caller.tenant).await?;
    let page = page::cut(users, &query, Order::Rising, |user| user.login.clone())?;
    Ok(Json(page.map(|user| view(&user))))
}

/// One of them.
pub async fn show(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<User>> {
    Ok(Json(view(
        &state.store.user(&caller.tenant, UserId::from(id)).await?,
    )))
}

/// Creates one, with a one-time password.
pub async fn create(
    Extract(state): Extract<State>,
    caller: Caller,
    Body(body): Body<UserCreate>,
) -> Result<Response> {
    let mut checks = Checks::default();
    let login = checks.name("login", &body.login).to_lowercase();
    if login.chars().any(char::is_whitespace) {
        checks.add("login", "contains a blank");
    }
    let display_name = match &body.display_name {
        Some(name) => checks.name("display_name", name),
        None => login.clone(),
    };
    let role = role(&mut checks, &body.role);
    checks.done()?;
    may_grant(&caller, &role)?;
    let password = secret::one_time_password();
    let at = now();
    let user = NewUser {
        id: UserId::new(at, secret::id_bits()),
        tenant: caller.tenant.clone(),
        login: login.clone(),
        display_name,
        role: role.clone(),
        platform: false,
        password_hash: state.passwords.hash(password.clone()).await?,
        must_change_password: true,
        created_at: at,
        disabled_at: None,
        last_sign_in_at: None,
    };
    let shown = view(&user);
    let event = caller
        .event(EventKind::UserCreated)
        .data(serde_json::json!({"user": user.id, "login": login, "role": role}));
    state
        .store
        .user_insert(&caller.tenant, user, vec![event])
        .await?;
    let location = format!("/api/v1/users/{}", shown.id);
    let body = UserWithPassword {
        user: shown,
        one_time_password: password,
    };
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(body),
    )
        .into_response())
}

/// Changes one.
pub async fn update(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<UserPatch>,
) -> Result<Json<User>> {
    let mut user = state.store.user(&caller.tenant, UserId::from(id)).await?;
    may_touch(&caller, &user)?;
    let mut checks = Checks::default();
    let display_name = body
        .display_name
        .map(|name| checks.name("display_name", &name));
    let role = body.role.map(|name| role(&mut checks, &name));
    checks.done()?;
    if let Some(role) = &role {
        may_grant(&caller, role)?;
    }
    if body.disabled == Some(true) && user.id == caller.principal.user {
        return Err(Fail::new(ProblemKind::Conflict, "You cannot bar yourself."));
    }
    let mut data = serde_json::Map::new();
    data.insert("user".to_owned(), serde_json::json!(user.id));
    let mut patch = StorePatch::default();
    if let Some(name) = display_name.filter(|name| *name != user.display_name) {
        data.insert("display_name".to_owned(), name.clone().into());
        user.display_name = name.clone();
        patch.display_name = Some(name);
    }
    if let Some(role) = role.filter(|role| *role != user.role) {
        data.insert("role".to_owned(), role.clone().into());
        user.role = role.clone();
        patch.role = Some(role);
    }
    if let Some(disabled) = body
        .disabled
        .filter(|now| *now != user.disabled_at.is_some())
    {
        data.insert("disabled".to_owned(), disabled.into());
        user.disabled_at = disabled.then(now);
        patch.disabled_at = Some(user.disabled_at);
    }
    if data.len() > 1 {
        let event = caller.event(EventKind::UserUpdated).data(data.into());
        state
            .store
            .user_update(&caller.tenant, user.id, patch, vec![event])
            .await?;
        state.credentials.send_replace(());
    }
    Ok(Json(view(&user)))
}

/// Removes one.
pub async fn delete(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
) -> Result<StatusCode> {
    let user = state.store.user(&caller.tenant, UserId::from(id)).await?;
    may_touch(&caller, &user)?;
    if user.id == caller.principal.user {
        return Err(Fail::new(
            ProblemKind::Conflict,
            "You cannot remove yourself.",
        ));
    }
    let event = caller
        .event(EventKind::UserDeleted)
        .data(serde_json::json!({"user": user.id, "login": user.login}));
    state
        .store
        .user_delete(&caller.tenant, user.id, vec![event])
        .await?;
    state.credentials.send_replace(());
    Ok(StatusCode::NO_CONTENT)
}

/// Gives one a new one-time password.
pub async fn reset(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<UserWithPassword>> {
    let mut user = state.store.user(&caller.tenant, UserId::from(id)).await?;
    may_touch(&caller, &user)?;
    if user.id == caller.principal.user {
        return Err(Fail::new(
            ProblemKind::Conflict,
            "You cannot reset your own password. Change it: PUT /api/v1/session/password.",
        ));
    }
    let password = secret::one_time_password();
    let hash = state.passwords.hash(password.clone()).await?;
    let event = caller
        .event(EventKind::UserPasswordChanged)
        .data(serde_json::json!({"user": user.id, "reset": true}));
    state
        .store
        .user_set_password(&caller.tenant, user.id, hash, true, None, vec![event])
        .await?;
    state.credentials.send_replace(());
    user.must_change_password = true;
    Ok(Json(UserWithPassword {
        user: view(&user),
        one_time_password: password,
    }))
}

/// The roles and what they may do.
pub async fn roles() -> Json<Roles> {
    let roles = DomainRole::ALL.iter().map(|role| {
        let (name, description) = words(*role);
        Role {
            id: role.as_str().to_owned(),
            name: name.to_owned(),
            description: description.to_owned(),
            permissions: Permission::ALL
                .iter()
                .copied()
                .filter(|one| role.grants(crate::auth::domain(*one)))
                .collect(),
        }
    });
    let permissions = Permission::ALL.iter().map(|one| PermissionInfo {
        id: *one,
        description: one.words().trim().to_owned(),
    });
    Json(Roles {
        roles: roles.collect(),
        permissions: permissions.collect(),
    })
}

fn words(role: DomainRole) -> (&'static str, &'static str) {
    match role {
        DomainRole::Administrator => ("Administrator", "Everything in the tenant."),
        DomainRole::Operator => (
            "Operator",
            "Runs the fleet: devices and operations, but no users and no setup keys.",
        ),
        DomainRole::Support => ("Support", "Helps customers: reads, and runs operations."),
        DomainRole::Viewer => ("Viewer", "Reads."),
    }
}

fn role(checks: &mut Checks, name: &str) -> String {
    if name.parse::<DomainRole>().is_err() {
        let names: Vec<_> = DomainRole::ALL.iter().map(|role| role.as_str()).collect();
        checks.add(
            "role",
            format!("is not a role; there are: {}", names.join(", ")),
        );
    }
    name.to_owned()
}

/// Nobody changes somebody who may more than they: who holds less than the other's role, or is no platform
/// administrator, must not take over, bar or remove one who is.
pub fn may_touch(caller: &Caller, user: &UserRecord) -> Result<()> {
    if user.platform {
        caller.needs(Permission::PlatformWrite)?;
    }
    may_grant(caller, &user.role)
}

/// Nobody hands out more than they hold: a token for user management alone makes no administrator.
fn may_grant(caller: &Caller, role: &str) -> Result<()> {
    let Ok(role) = role.parse::<DomainRole>() else {
        return Ok(());
    };
    caller.principal.may_grant(role).map_err(|missing| {
        Fail::new(
            ProblemKind::Forbidden,
            format!("The role {role} may {missing}, which you may not."),
        )
    })
}

fn view(user: &UserRecord) -> User {
    User {
        id: user.id.as_uuid(),
        login: user.login.clone(),
        display_name: user.display_name.clone(),
        role: user.role.clone(),
        platform: user.platform,
        disabled: user.disabled_at.is_some(),
        must_change_password: user.must_change_password,
        created_at: time(user.created_at),
        last_sign_in_at: user.last_sign_in_at.map(time),
    }
}
