//! With what a device is asked to come: shown without the password, entered by a person for a device that keeps its own.

use super::{event, some, time, validate::Checks};
use crate::auth::Caller;
use crate::http::extract::{Body, Id};
use crate::problem::{Fail, Result};
use crate::southbound::cwmp::login::Login;
use crate::southbound::cwmp::{TRANSPORT, reach};
use crate::state::State;
use api::Permission;
use api::limits::{PASSWORD_CHARS_MAX, WAKE_USERNAME_CHARS_MAX};
use api::problem::ProblemKind;
use api::reach::{WakeCredential, WakeCredentialEntry, WakeCredentialSource as Source, Woken};
use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use fleet::{DeviceId, EventKind, TenantId};
use serde_json::json;
use store::PathRecord;

/// Of a device that is asked to come, or for which somebody entered it before it came.
pub async fn shown(
    state: &State,
    tenant: &TenantId,
    device: DeviceId,
    paths: &[PathRecord],
) -> Result<Option<WakeCredential>> {
    if let Some(login) = Login::load(&state.store, tenant, device).await? {
        return Ok(Some(WakeCredential {
            source: Source::Entered,
            username: Some(login.username),
            entered_at: Some(time(login.at)),
            entered_by: event::actor(&login.by, false),
        }));
    }
    if !paths.iter().any(|path| path.transport == TRANSPORT) {
        return Ok(None);
    }
    let known = reach::Reach::load(&state.store, tenant, device).await?;
    let is_told = known.generation.is_some();
    let told = known.told_as(device).to_string();
    let username = known.username.or(is_told.then_some(told));
    Ok(Some(WakeCredential {
        source: if is_told { Source::Ours } else { Source::None },
        username: username.and_then(|name| some(&name)),
        entered_at: None,
        entered_by: None,
    }))
}

/// Keeps what the device has, and tries it where the caller may wake devices.
pub async fn enter(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<WakeCredentialEntry>,
) -> Result<Json<Woken>> {
    let (tenant, id) = (&caller.tenant, DeviceId::from(id));
    state.store.device(tenant, id).await?;
    let paths = state.store.path_list(tenant, id).await?;
    if !paths.is_empty() && paths.iter().all(|path| path.transport != TRANSPORT) {
        let words = "It does not speak CWMP: nobody asks it to come.";
        return Err(Fail::new(ProblemKind::Conflict, words));
    }
    let mut checks = Checks::default();
    check(
        &mut checks,
        "username",
        &body.username,
        WAKE_USERNAME_CHARS_MAX,
    );
    check(&mut checks, "password", &body.password, PASSWORD_CHARS_MAX);
    checks.done()?;
    let data = json!({ "state": "entered", "username": body.username });
    let event = caller.event(EventKind::DeviceWakeCredential);
    let event = event.device(id).data(data);
    let entered = (body.username, body.password.as_str());
    let login = Login::new(&state.vault, tenant, id, entered, event.actor.clone())?;
    login.save(&state.store, tenant, id, vec![event]).await?;
    if !caller.allows(Permission::OperationRun) {
        let words = "it is tried when the device is asked to come the next time".to_owned();
        return Ok(Json(Woken {
            tried: false,
            words,
        }));
    }
    // Only over CWMP: what else leads to the device proves nothing of this.
    Ok(Json(match state.south.knock(tenant, id).await {
        Ok(words) => Woken { tried: true, words },
        Err(words) => Woken {
            tried: false,
            words: format!("it is not tried yet: {words}"),
        },
    }))
}

/// Back to ours.
pub async fn remove(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
) -> Result<StatusCode> {
    let (tenant, id) = (&caller.tenant, DeviceId::from(id));
    state.store.device(tenant, id).await?;
    let event = caller.event(EventKind::DeviceWakeCredential);
    let event = event.device(id).data(json!({ "state": "removed" }));
    Login::remove(&state.store, tenant, id, vec![event]).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// As it is in the device: nothing is trimmed.
fn check(checks: &mut Checks, field: &str, text: &str, max: usize) {
    let chars = text.chars().count();
    if chars == 0 {
        checks.add(field, "is empty");
    }
    if chars > max {
        checks.add(field, format!("has {chars} characters; {max} is the most"));
    }
    if text.chars().any(char::is_control) {
        checks.add(field, "contains a control character");
    }
}
