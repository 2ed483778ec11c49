//! Setup keys, and the URLs at which devices find this server.

use super::time;
use super::validate::Checks;
use crate::auth::Caller;
use crate::http::extract::{Body, Id, Query};
use crate::http::page::{self, Order};
use crate::problem::Result;
use crate::secret;
use crate::state::{State, now};
use api::Page;
use api::page::PageQuery;
use api::setup_key::{
    AcsAccess, MqttAccess, SetupKey, SetupKeyCreate, SetupKeyCreated, SetupKeyPatch,
};
use axum::Json;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fleet::{EventKind, SetupKeyId, TenantId, UserId};
use std::collections::HashMap;
use std::net::SocketAddr;
use store::{NewSetupKey, SetupKeyRecord};

/// All of them, newest first.
pub async fn list(
    Extract(state): Extract<State>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<SetupKey>>> {
    let keys = state.store.setup_key_list(&caller.tenant).await?;
    let page = page::cut(keys, &query, Order::Falling, |key| key.id.to_string())?;
    let logins = logins(&state, &caller).await?;
    Ok(Json(page.map(|key| view(&key, &logins))))
}

/// One of them.
pub async fn show(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<SetupKey>> {
    let key = state
        .store
        .setup_key(&caller.tenant, SetupKeyId::from(id))
        .await?;
    Ok(Json(view(&key, &logins(&state, &caller).await?)))
}

/// Creates one.
pub async fn create(
    Extract(state): Extract<State>,
    caller: Caller,
    headers: HeaderMap,
    Body(body): Body<SetupKeyCreate>,
) -> Result<Response> {
    let mut checks = Checks::default();
    let name = checks.name("name", &body.name);
    let expires_at = checks.future("expires_at", body.expires_at);
    if body.uses_max == Some(0) {
        checks.add("uses_max", "is 0; leave it out for any number");
    }
    checks.done()?;
    let (text, at) = (secret::new(secret::SETUP_KEY), now());
    let id = SetupKeyId::new(at, secret::id_bits());
    let new = NewSetupKey {
        id,
        name: name.clone(),
        hash: secret::hash(&text),
        sealed: Some(state.vault.seal_setup_key(&caller.tenant, id, &text)?),
        prefix: secret::hint(&text),
        created_at: at,
        created_by: (caller.tenant == caller.principal.tenant).then_some(caller.principal.user),
        expires_at,
        uses_max: body.uses_max.map(u64::from),
    };
    let shown = SetupKey {
        id: new.id.as_uuid(),
        name: name.clone(),
        hint: new.prefix.clone(),
        created_at: time(at),
        created_by: Some(caller.principal.login.clone()),
        expires_at: expires_at.map(time),
        uses_max: body.uses_max,
        uses: 0,
        last_used_at: None,
        revoked_at: None,
        digest: true,
    };
    let event = caller
        .event(EventKind::SetupKeyCreated)
        .data(serde_json::json!({"setup_key": new.id, "name": name}));
    state
        .store
        .setup_key_insert(&caller.tenant, new, vec![event])
        .await?;
    let location = format!("/api/v1/setup-keys/{}", shown.id);
    let body = SetupKeyCreated {
        setup_key: shown,
        path: format!("/usp/{text}"),
        urls: device_urls(&state, &headers, &text),
        mqtt: mqtt_access(&state, &headers, &caller.tenant),
        acs: acs_access(&state, &headers, &caller.tenant),
        secret: text,
    };
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(body),
    )
        .into_response())
}

/// Renames one.
pub async fn update(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<SetupKeyPatch>,
) -> Result<Json<SetupKey>> {
    let id = SetupKeyId::from(id);
    let mut key = state.store.setup_key(&caller.tenant, id).await?;
    let mut checks = Checks::default();
    let name = body.name.map(|name| checks.name("name", &name));
    checks.done()?;
    if let Some(name) = name.filter(|name| *name != key.name) {
        let event = caller
            .event(EventKind::SetupKeyUpdated)
            .data(serde_json::json!({"setup_key": id, "name": name}));
        let (expires_at, uses_max) = (key.expires_at, key.uses_max);
        state
            .store
            .setup_key_update(
                &caller.tenant,
                id,
                name.clone(),
                expires_at,
                uses_max,
                vec![event],
            )
            .await?;
        key.name = name;
    }
    Ok(Json(view(&key, &logins(&state, &caller).await?)))
}

/// Revokes one.
pub async fn revoke(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
) -> Result<StatusCode> {
    let key = state
        .store
        .setup_key(&caller.tenant, SetupKeyId::from(id))
        .await?;
    if key.revoked_at.is_none() {
        let event = caller
            .event(EventKind::SetupKeyRevoked)
            .data(serde_json::json!({"setup_key": key.id, "name": key.name}));
        state
            .store
            .setup_key_revoke(&caller.tenant, key.id, now(), vec![event])
            .await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The URLs at which devices find this server, with a credential in them. The configured one when
/// there is one; else those of the listeners, with the host under which the caller found us.
pub fn device_urls(state: &State, headers: &HeaderMap, credential: &str) -> Vec<String> {
    if let Some(base) = &state.config.usp.public_url {
        return vec![format!("{}/{credential}", base.trim_end_matches('/'))];
    }
    let listeners = [("wss", state.bound.usp_tls), ("ws", state.bound.usp)];
    places(headers, listeners)
        .map(|place| format!("{place}/usp/{credential}"))
        .collect()
}

/// How devices that speak USP over MQTT are pointed at this server; nothing where there is no broker.
fn mqtt_access(state: &State, headers: &HeaderMap, tenant: &TenantId) -> Option<MqttAccess> {
    let (bound, config) = (&state.bound.mqtt, &state.config.mqtt);
    let listeners: Vec<_> = bound.listeners().collect();
    if listeners.is_empty() {
        return None;
    }
    let listeners = listeners
        .into_iter()
        .map(|one| (one.scheme, Some(one.addr)));
    let urls = match &config.public_url {
        Some(url) => vec![url.clone()],
        None => places(headers, listeners).collect(),
    };
    let (agent_topic, controller_topic) = config.topic_prefix.named(tenant.as_str(), "ENDPOINT");
    Some(MqttAccess {
        urls,
        username: format!("{tenant}/setup"),
        agent_topic,
        controller_topic,
    })
}

/// How devices that speak TR-069 are pointed at this server; nothing where there is no ACS.
fn acs_access(state: &State, headers: &HeaderMap, tenant: &TenantId) -> Option<AcsAccess> {
    let (bound, config) = (&state.bound, &state.config.cwmp);
    let listeners = [("https", bound.cwmp_tls), ("http", bound.cwmp)];
    if listeners.iter().all(|(_, addr)| addr.is_none()) {
        return None;
    }
    let urls = match &config.public_url {
        Some(url) => vec![url.clone()],
        None => places(headers, listeners)
            .map(|place| format!("{place}/"))
            .collect(),
    };
    Some(AcsAccess {
        urls,
        username: tenant.to_string(),
        stun: config
            .stun_address
            .clone()
            .filter(|_| config.stun_listen.is_some()),
        xmpp: config.xmpp.as_ref().map(|account| account.jid.clone()),
    })
}

/// Where open listeners are, as `scheme://host:port`. One that is bound to all addresses has the host under which the
/// caller found us.
fn places(
    headers: &HeaderMap,
    listeners: impl IntoIterator<Item = (&'static str, Option<SocketAddr>)>,
) -> impl Iterator<Item = String> {
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    let host = host.and_then(|host| host.parse::<http::uri::Authority>().ok());
    let host = host.map_or("127.0.0.1".to_owned(), |host| host.host().to_owned());
    listeners.into_iter().filter_map(move |(scheme, addr)| {
        let addr = addr?;
        Some(match addr.ip().is_unspecified() {
            true => format!("{scheme}://{host}:{}", addr.port()),
            false => format!("{scheme}://{addr}"),
        })
    })
}

async fn logins(state: &State, caller: &Caller) -> Result<HashMap<UserId, String>> {
    let users = state.store.user_list(&caller.tenant).await?;
    Ok(users
        .into_iter()
        .map(|user| (user.id, user.login))
        .collect())
}

fn view(key: &SetupKeyRecord, logins: &HashMap<UserId, String>) -> SetupKey {
    let number = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    SetupKey {
        id: key.id.as_uuid(),
        name: key.name.clone(),
        hint: key.prefix.clone(),
        created_at: time(key.created_at),
        created_by: key.created_by.and_then(|user| logins.get(&user).cloned()),
        expires_at: key.expires_at.map(time),
        uses_max: key.uses_max.map(number),
        uses: number(key.uses),
        last_used_at: key.last_used_at.map(time),
        revoked_at: key.revoked_at.map(time),
        digest: key.readable,
    }
}
