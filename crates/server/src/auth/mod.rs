//! Who asks: sessions, tokens and what follows from them. What they may do is decided by
//! `fleet::auth`; that it is asked for every operation is the work of [`guard`].

pub mod first_run;
pub mod guard;
pub mod limiter;
pub mod password;

use crate::problem::{Fail, Result};
use crate::state::{State, now};
use crate::{limits, secret};
use api::{Permission, ProblemKind};
use axum::extract::FromRequestParts;
use fleet::auth::{Principal, Role, Scopes};
use fleet::{TenantId, Timestamp};
use http::{HeaderMap, header, request::Parts};
use limiter::{Limiter, Rate};
use store::{SecretHash, UserRecord};

/// Somebody who is signed in, and the tenant in which they act.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub principal: Principal,
    /// Where.
    pub tenant: TenantId,
    /// The cookie's hash, when the caller came with one.
    pub session: Option<SecretHash>,
    /// A one-time password waits to be changed.
    pub must_change_password: bool,
    /// When the sign-in or token ends.
    pub expires_at: Option<Timestamp>,
    /// The name to show.
    pub display_name: String,
}

impl Caller {
    /// Whether the caller may.
    pub fn allows(&self, permission: Permission) -> bool {
        self.principal.allows(domain(permission))
    }

    /// A refusal when the caller may not.
    pub fn needs(&self, permission: Permission) -> Result<()> {
        if self.allows(permission) {
            Ok(())
        } else {
            Err(Fail::forbidden(permission))
        }
    }

    /// The id by which rates and streams are counted: the token's, else the user's.
    pub fn key(&self) -> uuid::Uuid {
        self.principal
            .token
            .map_or(self.principal.user.as_uuid(), |token| token.as_uuid())
    }

    /// An event that this caller caused, in the tenant in which it acts.
    pub fn event(&self, kind: fleet::EventKind) -> fleet::Event {
        fleet::Event::new(self.tenant.clone(), now(), kind).actor(self.principal.actor())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        // The guard put it there. Without it the handler is not reached.
        parts.extensions.get::<Caller>().cloned().ok_or_else(|| {
            Fail::new(
                ProblemKind::Unauthenticated,
                "Sign in, or send an API token.",
            )
        })
    }
}

/// The domain's permission of the same name.
pub fn domain(permission: Permission) -> fleet::auth::Permission {
    use Permission as A;
    use fleet::auth::Permission as F;
    match permission {
        A::DeviceRead => F::DeviceRead,
        A::DeviceWrite => F::DeviceWrite,
        A::OperationRead => F::OperationRead,
        A::OperationRun => F::OperationRun,
        A::OperationGet => F::OperationGet,
        A::OperationSet => F::OperationSet,
        A::OperationAdd => F::OperationAdd,
        A::OperationDelete => F::OperationDelete,
        A::OperationOperate => F::OperationOperate,
        A::FileRead => F::FileRead,
        A::FileDownload => F::FileDownload,
        A::FileWrite => F::FileWrite,
        A::EventRead => F::EventRead,
        A::SetupKeyRead => F::SetupKeyRead,
        A::SetupKeyWrite => F::SetupKeyWrite,
        A::CertificateRead => F::CertificateRead,
        A::CertificateWrite => F::CertificateWrite,
        A::TokenWrite => F::TokenWrite,
        A::UserRead => F::UserRead,
        A::UserWrite => F::UserWrite,
        A::TenantRead => F::TenantRead,
        A::TenantWrite => F::TenantWrite,
        A::PlatformWrite => F::PlatformWrite,
        A::DoctorRead => F::DoctorRead,
        A::SystemRead => F::SystemRead,
    }
}

/// The rate limits of the listener.
#[derive(Debug)]
pub struct Limiters {
    /// Attempts to sign in by network, right or wrong.
    pub sign_ins: Limiter,
    /// Wrong passwords by network, from where the login has not been used.
    pub sign_in_address: Limiter,
    /// Wrong passwords by login, from everywhere it has not been used.
    pub sign_in_login: Limiter,
    /// Wrong passwords by login and a network from where it has been used.
    pub sign_in_known: Limiter,
    /// Wrong passwords of those who are signed in and change theirs, by user.
    pub password_change: Limiter,
    /// Wrong tokens by address.
    pub bad_token: Limiter,
    /// Requests by caller.
    pub requests: Limiter,
}

impl Limiters {
    /// All of them full.
    pub fn new() -> Self {
        let every = |burst, seconds: f64| {
            Limiter::new(Rate {
                burst,
                per_second: 1.0 / seconds,
            })
        };
        Self {
            sign_ins: Limiter::new(Rate {
                burst: limits::SIGN_INS_BURST,
                per_second: limits::SIGN_INS_PER_SECOND,
            }),
            sign_in_address: every(
                limits::SIGN_IN_ADDRESS_BURST,
                limits::SIGN_IN_ADDRESS_SECONDS,
            ),
            sign_in_login: every(limits::SIGN_IN_LOGIN_BURST, limits::SIGN_IN_LOGIN_SECONDS),
            sign_in_known: every(limits::SIGN_IN_LOGIN_BURST, limits::SIGN_IN_LOGIN_SECONDS),
            password_change: every(limits::SIGN_IN_LOGIN_BURST, limits::SIGN_IN_LOGIN_SECONDS),
            bad_token: every(limits::BAD_TOKEN_BURST, limits::BAD_TOKEN_SECONDS),
            requests: Limiter::new(Rate {
                burst: limits::REQUESTS_BURST,
                per_second: limits::REQUESTS_PER_SECOND,
            }),
        }
    }
}

impl Default for Limiters {
    fn default() -> Self {
        Self::new()
    }
}

/// The principal of a user, with a token's scopes when it came with one.
pub fn principal(user: &UserRecord, token: Option<&store::TokenRecord>) -> Result<Principal> {
    let role: Role = user
        .role
        .parse()
        .map_err(|()| crate::problem::internal(format!("user {} has an unknown role", user.id)))?;
    let scopes = match token {
        // A token without scopes may do nothing: an empty list never widens.
        Some(token) => Some(Scopes::parse(&token.scopes).map_err(crate::problem::internal)?),
        None => None,
    };
    Ok(Principal {
        tenant: user.tenant.clone(),
        user: user.id,
        login: user.login.clone(),
        token: token.map(|token| token.id),
        role,
        platform: user.platform,
        scopes,
    })
}

/// Finds out who sent these headers. `None` when there is no credential, or one that is over.
pub async fn authenticate(state: &State, headers: &HeaderMap) -> Result<Option<Caller>> {
    if let Some(token) = bearer(headers) {
        return by_token(state, token).await;
    }
    match cookie(headers) {
        Some(value) => by_session(state, value).await,
        None => Ok(None),
    }
}

/// Whether a person may not come in: disabled, or of a disabled tenant.
pub async fn shut_out(state: &State, user: &UserRecord) -> Result<bool> {
    Ok(user.disabled_at.is_some()
        || state
            .store
            .tenant(&user.tenant)
            .await?
            .disabled_at
            .is_some())
}

async fn by_token(state: &State, text: &str) -> Result<Option<Caller>> {
    if !secret::looks_like(text, secret::TOKEN) {
        return Ok(None);
    }
    let now = now();
    let Some((token, user)) = state.store.token_by_hash(&secret::hash(text)).await? else {
        return Ok(None);
    };
    let over = token.revoked_at.is_some() || token.expires_at.is_some_and(|end| end <= now);
    if over || shut_out(state, &user).await? {
        return Ok(None);
    }
    if token
        .last_used_at
        .is_none_or(|at| now.since(at) >= limits::TOUCH_EVERY)
    {
        let (store, tenant, id) = (state.store.clone(), token.tenant.clone(), token.id);
        tokio::spawn(async move {
            if let Err(error) = store.token_touch(&tenant, id, now).await {
                tracing::debug!(%error, "the use of a token was not noted");
            }
        });
    }
    Ok(Some(Caller {
        principal: principal(&user, Some(&token))?,
        tenant: token.tenant.clone(),
        session: None,
        must_change_password: false,
        expires_at: token.expires_at,
        display_name: user.display_name,
    }))
}

async fn by_session(state: &State, value: &str) -> Result<Option<Caller>> {
    if !secret::looks_like(value, secret::SESSION) {
        return Ok(None);
    }
    let now = now();
    let Some((session, user)) = state.store.session_by_hash(&secret::hash(value)).await? else {
        return Ok(None);
    };
    if session.expires_at <= now || shut_out(state, &user).await? {
        return Ok(None);
    }
    let mut expires_at = session.expires_at;
    if now.since(session.seen_at) >= limits::TOUCH_EVERY {
        expires_at = session_end(session.created_at, now);
        let (store, tenant, hash) = (state.store.clone(), session.tenant.clone(), session.hash);
        tokio::spawn(async move {
            if let Err(error) = store.session_touch(&tenant, &hash, now, expires_at).await {
                tracing::debug!(%error, "the use of a sign-in was not noted");
            }
        });
    }
    Ok(Some(Caller {
        principal: principal(&user, None)?,
        tenant: session.tenant.clone(),
        session: Some(session.hash),
        must_change_password: user.must_change_password,
        expires_at: Some(expires_at),
        display_name: user.display_name,
    }))
}

/// When a sign-in that is used now ends.
pub fn session_end(created: Timestamp, now: Timestamp) -> Timestamp {
    now.plus(limits::SESSION_IDLE)
        .min(created.plus(limits::SESSION_LIFE))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == api::SESSION_COOKIE)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_of_the_api_is_the_domains_of_the_same_name() {
        for permission in Permission::ALL {
            assert_eq!(domain(*permission).as_str(), permission.as_str());
        }
        assert_eq!(Permission::ALL.len(), fleet::auth::Permission::ALL.len());
    }

    #[test]
    fn a_sign_in_ends_when_unused_and_at_its_age_whatever_happens() {
        let start = Timestamp::from_millis(0);
        assert_eq!(session_end(start, start), start.plus(limits::SESSION_IDLE));
        let late = start.plus(limits::SESSION_LIFE);
        assert_eq!(session_end(start, late), late);
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::COOKIE,
            "a=b; headend_session=hec_x; c=d".parse().unwrap(),
        );
        assert_eq!(cookie(&headers), Some("hec_x"));
        headers.insert(header::AUTHORIZATION, "bearer het_1".parse().unwrap());
        assert_eq!(bearer(&headers), Some("het_1"));
    }
}
