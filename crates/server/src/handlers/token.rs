//! API tokens.

use super::time;
use super::validate::Checks;
use crate::auth::{Caller, domain};
use crate::http::extract::{Body, Id, Query};
use crate::http::page::{self, Order};
use crate::problem::{Fail, Result};
use crate::secret;
use crate::state::{State, now};
use api::page::PageQuery;
use api::token::{Token, TokenCreate, TokenCreated};
use api::{Page, Permission, ProblemKind};
use axum::Json;
use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use fleet::{EventKind, TokenId, UserId};
use std::collections::HashMap;
use store::{NewToken, TokenRecord};

/// One's own, or those of the tenant.
pub async fn list(
    Extract(state): Extract<State>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Token>>> {
    let user = (!caller.allows(Permission::UserRead)).then_some(caller.principal.user);
    let tokens = state.store.token_list(&caller.tenant, user).await?;
    let page = page::cut(tokens, &query, Order::Falling, |token| token.id.to_string())?;
    let logins = logins(&state, &caller).await?;
    Ok(Json(page.map(|token| view(&token, &logins))))
}

/// One of them.
pub async fn show(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Token>> {
    let token = find(&state, &caller, id, Permission::UserRead).await?;
    Ok(Json(view(&token, &logins(&state, &caller).await?)))
}

/// Creates one.
pub async fn create(
    Extract(state): Extract<State>,
    caller: Caller,
    Body(body): Body<TokenCreate>,
) -> Result<Response> {
    if caller.tenant != caller.principal.tenant {
        return Err(Fail::new(
            ProblemKind::Conflict,
            "A token belongs to its owner's own tenant. Leave out Headend-Tenant.",
        ));
    }
    let mut checks = Checks::default();
    let name = checks.name("name", &body.name);
    let expires_at = checks.future("expires_at", body.expires_at);
    if body.scopes.is_empty() {
        checks.add("scopes", "is empty; name at least one permission");
    }
    for (index, scope) in body.scopes.iter().enumerate() {
        if !caller.principal.holds(domain(*scope)) {
            checks.add(
                format!("scopes[{index}]"),
                format!("{scope} is not among your own permissions"),
            );
        }
    }
    checks.done()?;
    let mut scopes: Vec<Permission> = body.scopes;
    scopes.sort_unstable();
    scopes.dedup();
    let (text, at) = (secret::new(secret::TOKEN), now());
    let new = NewToken {
        id: TokenId::new(at, secret::id_bits()),
        user: caller.principal.user,
        name: name.clone(),
        hash: secret::hash(&text),
        prefix: secret::hint(&text),
        scopes: scopes
            .iter()
            .map(|scope| scope.as_str().to_owned())
            .collect(),
        created_at: at,
        expires_at,
    };
    let event = caller
        .event(EventKind::TokenCreated)
        .data(serde_json::json!({
            "token": new.id, "name": name, "scopes": new.scopes,
        }));
    let created = Token {
        id: new.id.as_uuid(),
        name,
        hint: new.prefix.clone(),
        scopes,
        user_id: caller.principal.user.as_uuid(),
        login: caller.principal.login.clone(),
        created_at: time(at),
        expires_at: expires_at.map(time),
        last_used_at: None,
        revoked_at: None,
    };
    state
        .store
        .token_insert(&caller.tenant, new, vec![event])
        .await?;
    let location = format!("/api/v1/tokens/{}", created.id);
    let body = TokenCreated {
        token: created,
        secret: text,
    };
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(body),
    )
        .into_response())
}

/// Revokes one.
pub async fn revoke(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
) -> Result<StatusCode> {
    let token = find(&state, &caller, id, Permission::UserWrite).await?;
    if token.user != caller.principal.user {
        let owner = state.store.user(&caller.tenant, token.user).await?;
        super::user::may_touch(&caller, &owner)?;
    }
    if token.revoked_at.is_none() {
        let event = caller
            .event(EventKind::TokenRevoked)
            .data(serde_json::json!({"token": token.id, "name": token.name}));
        state
            .store
            .token_revoke(&caller.tenant, token.id, now(), vec![event])
            .await?;
        state.credentials.send_replace(());
    }
    Ok(StatusCode::NO_CONTENT)
}

/// One's own token, or anybody's with the permission. Others' do not exist.
async fn find(
    state: &State,
    caller: &Caller,
    id: uuid::Uuid,
    others: Permission,
) -> Result<TokenRecord> {
    let token = state.store.token(&caller.tenant, TokenId::from(id)).await?;
    if token.user == caller.principal.user || caller.allows(others) {
        Ok(token)
    } else {
        Err(Fail::not_found("token"))
    }
}

async fn logins(state: &State, caller: &Caller) -> Result<HashMap<UserId, String>> {
    let users = state.store.user_list(&caller.tenant).await?;
    Ok(users
        .into_iter()
        .map(|user| (user.id, user.login))
        .collect())
}

fn view(token: &TokenRecord, logins: &HashMap<UserId, String>) -> Token {
    Token {
        id: token.id.as_uuid(),
        name: token.name.clone(),
        hint: token.prefix.clone(),
        scopes: token
            .scopes
            .iter()
            .filter_map(|scope| scope.parse().ok())
            .collect(),
        user_id: token.user.as_uuid(),
        login: logins.get(&token.user).cloned().unwrap_or_default(),
        created_at: time(token.created_at),
        expires_at: token.expires_at.map(time),
        last_used_at: token.last_used_at.map(time),
        revoked_at: token.revoked_at.map(time),
    }
}
