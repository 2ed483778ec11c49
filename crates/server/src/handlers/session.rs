//! Signing in and out, who I am, my password.

use super::time;
use crate::auth::password::weakness;
use crate::auth::{Caller, principal, session_end, shut_out};
use crate::http::extract::Body;
use crate::http::peer::Peer;
use crate::problem::{Fail, Result};
use crate::state::{State, now};
use crate::{limits, secret};
use api::session::{PasswordChange, Session, SessionUser, SignIn};
use api::{FieldProblem, Permission, ProblemKind};
use axum::Json;
use axum::extract::{Extension, State as Extract};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fleet::EventKind;
use std::time::Instant;
use store::{NewSession, UserRecord};

/// Signs in.
pub async fn create(
    Extract(state): Extract<State>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Body(body): Body<SignIn>,
) -> Result<Response> {
    let login = body.login.trim().to_lowercase();
    let (address, network) = (peer.ip.to_string(), peer.network());
    let wrong = || {
        metrics::counter!("headend_sign_ins_total", "result" => "refused").increment(1);
        Fail::new(
            ProblemKind::BadCredentials,
            "Login and password do not belong together.",
        )
    };
    let possible = login.len() <= api::limits::NAME_CHARS_MAX * 4
        && body.password.chars().count() <= api::limits::PASSWORD_CHARS_MAX
        && !login.contains('\0');
    state
        .limiters
        .sign_ins
        .take(&network, Instant::now())
        .map_err(|wait| {
            Fail::limited(
                "Too many attempts to sign in came from your network. Wait, then try again.",
                wait,
            )
        })?;
    if !possible {
        // What cannot be a login is not remembered as one.
        Attempt::take_of_network(&state, &network)?;
        return Err(wrong());
    }
    let user = state.store.user_by_login(&login).await?;
    let attempt = Attempt::take(&state, user.as_ref(), &login, &network).await?;
    let stored = user.as_ref().map(|user| user.password_hash.clone());
    let fits = state.passwords.verify(body.password, stored).await?;
    let user = match user {
        Some(user) if fits && !shut_out(&state, &user).await? => user,
        _ => {
            tracing::info!(login, peer = address, "a sign-in was refused");
            return Err(wrong());
        }
    };
    attempt.give_back(&state);
    metrics::counter!("headend_sign_ins_total", "result" => "accepted").increment(1);
    let (cookie, at) = (secret::new(secret::SESSION), now());
    let hash = secret::hash(&cookie);
    let session = NewSession {
        hash,
        user: user.id,
        created_at: at,
        expires_at: session_end(at, at),
        peer: address,
        network,
        user_agent: agent(&headers),
    };
    let expires_at = session.expires_at;
    state.store.session_insert(&user.tenant, session).await?;
    let caller = Caller {
        principal: principal(&user, None)?,
        tenant: user.tenant.clone(),
        session: Some(hash),
        must_change_password: user.must_change_password,
        expires_at: Some(expires_at),
        display_name: user.display_name.clone(),
    };
    let event = caller
        .event(EventKind::UserSignedIn)
        .data(serde_json::json!({"user": user.id}));
    state.store.event_append(&user.tenant, vec![event]).await?;
    let mut response = Json(describe(&state, &caller).await?).into_response();
    let max_age = limits::SESSION_LIFE.as_secs();
    set_cookie(&mut response, &cookie, max_age, peer.secure)?;
    Ok(response)
}

/// Who am I.
pub async fn show(Extract(state): Extract<State>, caller: Caller) -> Result<Json<Session>> {
    describe(&state, &caller).await.map(Json)
}

/// Signs out. A token is not signed in, so nothing ends for it.
pub async fn delete(
    Extract(state): Extract<State>,
    Extension(peer): Extension<Peer>,
    caller: Caller,
) -> Result<Response> {
    if let Some(hash) = caller.session {
        state
            .store
            .session_delete(&caller.principal.tenant, &hash)
            .await?;
        state.credentials.send_replace(());
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&mut response, "", 0, peer.secure)?;
    Ok(response)
}

/// Changes my password.
pub async fn password(
    Extract(state): Extract<State>,
    caller: Caller,
    Body(body): Body<PasswordChange>,
) -> Result<StatusCode> {
    let Some(session) = caller.session else {
        return Err(Fail::new(
            ProblemKind::Forbidden,
            "A token cannot change its owner's password. Sign in to do so.",
        ));
    };
    let who = &caller.principal;
    let (limiter, key) = (&state.limiters.password_change, who.user.to_string());
    limiter
        .take(&key, Instant::now())
        .map_err(|wait| Fail::limited("Too many wrong passwords. Wait, then try again.", wait))?;
    let user = state.store.user(&who.tenant, who.user).await?;
    let too_long = body.current.chars().count() > api::limits::PASSWORD_CHARS_MAX;
    let fits = !too_long
        && state
            .passwords
            .verify(body.current.clone(), Some(user.password_hash))
            .await?;
    if !fits {
        return Err(Fail::invalid(vec![FieldProblem::body(
            "current",
            "is not your password",
        )]));
    }
    limiter.give_back(&key);
    let problem = if body.current == body.new {
        Some("is the same as before".to_owned())
    } else {
        weakness(&body.new, &who.login)
    };
    if let Some(problem) = problem {
        return Err(Fail::invalid(vec![FieldProblem::body("new", problem)]));
    }
    let hash = state.passwords.hash(body.new).await?;
    let event = fleet::Event::new(who.tenant.clone(), now(), EventKind::UserPasswordChanged)
        .actor(who.actor())
        .data(serde_json::json!({"user": who.user}));
    state
        .store
        .user_set_password(
            &who.tenant,
            who.user,
            hash,
            false,
            Some(session),
            vec![event],
        )
        .await?;
    state.credentials.send_replace(());
    Ok(StatusCode::NO_CONTENT)
}

/// One attempt to sign in, counted before the password is looked at, so that guesses sent at once all count.
///
/// From a network that the login has been used from, only attempts from there at this login count. From anywhere else
/// two buckets do: one of the network and one of the login. A success gives back what it took and no more.
enum Attempt {
    Known(String),
    New { network: String, login: String },
}

impl Attempt {
    async fn take(
        state: &State,
        user: Option<&UserRecord>,
        login: &str,
        network: &str,
    ) -> Result<Self> {
        let since = now().minus(limits::KNOWN_NETWORK_LIFE);
        let known = match user {
            Some(user) => {
                state
                    .store
                    .session_network_known(&user.tenant, user.id, network, since)
                    .await?
            }
            None => false,
        };
        let (limiters, at) = (&state.limiters, Instant::now());
        if known {
            let key = format!("{login} {network}");
            return match limiters.sign_in_known.take(&key, at) {
                Ok(()) => Ok(Self::Known(key)),
                Err(wait) => Err(Fail::limited(
                    "Too many wrong passwords for this login came from your network. Wait, then try again.",
                    wait,
                )),
            };
        }
        Self::take_of_network(state, network)?;
        limiters.sign_in_login.take(login, at).map_err(|wait| {
            limiters.sign_in_address.give_back(network);
            Fail::limited(
                "Too many wrong passwords for this login came from networks it has not been used from. Wait, or sign \
                 in from where you have signed in before.",
                wait,
            )
        })?;
        Ok(Self::New {
            network: network.to_owned(),
            login: login.to_owned(),
        })
    }

    fn take_of_network(state: &State, network: &str) -> Result<()> {
        let limiter = &state.limiters.sign_in_address;
        limiter.take(network, Instant::now()).map_err(|wait| {
            Fail::limited(
                "Too many wrong passwords came from your network. Wait, then try again.",
                wait,
            )
        })
    }

    fn give_back(&self, state: &State) {
        match self {
            Self::Known(key) => state.limiters.sign_in_known.give_back(key),
            Self::New { network, login } => {
                state.limiters.sign_in_address.give_back(network);
                state.limiters.sign_in_login.give_back(login);
            }
        }
    }
}

async fn describe(state: &State, caller: &Caller) -> Result<Session> {
    let who = &caller.principal;
    let tenants = if who.platform {
        state.store.tenant_list().await?
    } else {
        vec![state.store.tenant(&who.tenant).await?]
    };
    let tenant = match tenants.iter().find(|one| one.id == caller.tenant) {
        Some(tenant) => super::tenant::view(tenant),
        None => super::tenant::view(&state.store.tenant(&caller.tenant).await?),
    };
    Ok(Session {
        user: SessionUser {
            id: who.user.as_uuid(),
            login: who.login.clone(),
            display_name: caller.display_name.clone(),
            role: who.role.as_str().to_owned(),
            platform: who.platform,
        },
        token_id: who.token.map(|token| token.as_uuid()),
        tenant,
        tenants: tenants.iter().map(super::tenant::view).collect(),
        permissions: Permission::ALL
            .iter()
            .copied()
            .filter(|one| caller.allows(*one))
            .collect(),
        must_change_password: caller.must_change_password,
        expires_at: caller.expires_at.map(time),
    })
}

fn agent(headers: &HeaderMap) -> String {
    let text = headers
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok());
    text.unwrap_or_default().chars().take(200).collect()
}

fn set_cookie(response: &mut Response, value: &str, max_age: u64, secure: bool) -> Result<()> {
    let name = api::SESSION_COOKIE;
    let secure = if secure { "; Secure" } else { "" };
    let text =
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age}{secure}");
    let value = HeaderValue::from_str(&text).map_err(crate::problem::internal)?;
    response.headers_mut().insert(header::SET_COOKIE, value);
    Ok(())
}
