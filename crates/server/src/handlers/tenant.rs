//! Tenants.

use super::time;
use super::validate::Checks;
use crate::auth::Caller;
use crate::http::extract::{Body, Query, Slug};
use crate::http::idempotency::Keyed;
use crate::http::page::{self, Order};
use crate::problem::{Fail, Result};
use crate::state::{State, now};
use api::Page;
use api::page::PageQuery;
use api::tenant::{Tenant, TenantCreate, TenantPatch as Change};
use api::{Permission, ProblemKind};
use axum::Json;
use axum::extract::{Extension, State as Extract};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use fleet::{Event, EventKind, TenantId};
use store::{TenantPatch, TenantRecord};

/// Those the caller may act in.
pub async fn list(
    Extract(state): Extract<State>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Tenant>>> {
    let tenants = if caller.principal.platform {
        state.store.tenant_list().await?
    } else {
        vec![state.store.tenant(&caller.tenant).await?]
    };
    let page = page::cut(tenants, &query, Order::Rising, |tenant| {
        tenant.id.to_string()
    })?;
    Ok(Json(page.map(|tenant| view(&tenant))))
}

/// One of them.
pub async fn show(
    Extract(state): Extract<State>,
    caller: Caller,
    Slug(id): Slug,
) -> Result<Json<Tenant>> {
    Ok(Json(view(&find(&state, &caller, &id).await?)))
}

/// Creates one.
pub async fn create(
    Extract(state): Extract<State>,
    caller: Caller,
    keyed: Option<Extension<Keyed>>,
    Body(body): Body<TenantCreate>,
) -> Result<Response> {
    let mut checks = Checks::default();
    let name = checks.name("name", &body.name);
    let id = TenantId::parse(&body.id);
    if let Err(error) = &id {
        checks.add("id", error.to_string());
    }
    checks.done()?;
    let id = id.map_err(crate::problem::internal)?;
    let record = TenantRecord {
        id: id.clone(),
        name: name.clone(),
        created_at: now(),
        disabled_at: None,
    };
    let event = Event::new(id.clone(), record.created_at, EventKind::TenantCreated)
        .actor(caller.principal.actor())
        .data(serde_json::json!({"name": name}));
    let tenant = view(&record);
    let answer = keyed.map(|Extension(keyed)| keyed.answer(StatusCode::CREATED, &tenant));
    let answer = answer.map(|answer| (caller.tenant.clone(), answer));
    state
        .store
        .tenant_insert_answered(record, vec![event], answer)
        .await?;
    let location = format!("/api/v1/tenants/{id}");
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(tenant),
    )
        .into_response())
}

/// Renames one, disables or enables it.
pub async fn update(
    Extract(state): Extract<State>,
    caller: Caller,
    Slug(id): Slug,
    Body(body): Body<Change>,
) -> Result<Json<Tenant>> {
    let record = find(&state, &caller, &id).await?;
    let mut checks = Checks::default();
    let name = body.name.map(|name| checks.name("name", &name));
    checks.done()?;
    let mut data = serde_json::Map::new();
    let mut patch = TenantPatch::default();
    if let Some(name) = name.filter(|name| *name != record.name) {
        data.insert("name".to_owned(), name.clone().into());
        patch.name = Some(name);
    }
    let disabled = body.disabled;
    if let Some(disabled) = disabled.filter(|new| *new != record.disabled_at.is_some()) {
        if !caller.principal.platform {
            return Err(Fail::forbidden(Permission::PlatformWrite));
        }
        if disabled && id == caller.principal.tenant {
            return Err(Fail::new(
                ProblemKind::Conflict,
                "You cannot disable the tenant you belong to.",
            ));
        }
        data.insert("disabled".to_owned(), disabled.into());
        patch.disabled_at = Some(disabled.then(now));
    }
    if data.is_empty() {
        return Ok(Json(view(&record)));
    }
    let event = Event::new(id.clone(), now(), EventKind::TenantUpdated)
        .actor(caller.principal.actor())
        .data(data.into());
    state.store.tenant_update(&id, patch, vec![event]).await?;
    state.south.tenants_changed();
    state.credentials.send_replace(());
    // What others changed meanwhile stands.
    Ok(Json(view(&find(&state, &caller, &id).await?)))
}

async fn find(state: &State, caller: &Caller, id: &TenantId) -> Result<TenantRecord> {
    if !caller.principal.sees(id) {
        return Err(Fail::not_found("tenant"));
    }
    Ok(state.store.tenant(id).await?)
}

/// A tenant for the wire.
pub fn view(tenant: &TenantRecord) -> Tenant {
    Tenant {
        id: tenant.id.to_string(),
        name: tenant.name.clone(),
        created_at: time(tenant.created_at),
        disabled_at: tenant.disabled_at.map(time),
    }
}
