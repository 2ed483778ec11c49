//! The first start: a tenant, an administrator, and a one-time password that is shown once and has
//! to be changed. There are no default credentials.

use super::password::Passwords;
use crate::secret;
use crate::state::now;
use fleet::{Event, EventKind, TenantId, UserId};
use store::{NewUser, Store, TenantRecord};

/// The tenant that is there from the start.
pub const TENANT: &str = "default";

/// The administrator's login.
pub const LOGIN: &str = "admin";

/// What to print.
#[derive(Clone, Debug)]
pub struct FirstAdministrator {
    /// The login.
    pub login: String,
    /// The password, for one sign-in.
    pub one_time_password: String,
}

/// Creates tenant and administrator when there is nobody yet. While the administrator is the only
/// user and has never signed in, each start gives a new password: one that scrolled away, or was
/// made by a start that failed, is no loss.
pub async fn prepare(
    store: &Store,
    passwords: &Passwords,
) -> Result<Option<FirstAdministrator>, crate::StartError> {
    let users = store.user_count_all().await?;
    let waiting = match users {
        0 => None,
        1 => store.user_by_login(LOGIN).await?.filter(|user| {
            user.platform && user.must_change_password && user.last_sign_in_at.is_none()
        }),
        _ => None,
    };
    if users > 0 && waiting.is_none() {
        return Ok(None);
    }
    let one_time_password = secret::one_time_password();
    let password_hash = passwords
        .hash(one_time_password.clone())
        .await
        .map_err(|fail| crate::StartError::Bug(fail.0.detail.clone()))?;
    let first = FirstAdministrator {
        login: LOGIN.to_owned(),
        one_time_password,
    };
    if let Some(user) = waiting {
        let event = Event::new(user.tenant.clone(), now(), EventKind::UserPasswordChanged)
            .actor("system")
            .data(serde_json::json!({"user": user.id, "reset": true}));
        store
            .user_set_password(
                &user.tenant,
                user.id,
                password_hash,
                true,
                None,
                vec![event],
            )
            .await?;
        return Ok(Some(first));
    }
    let tenant = tenant(store).await?;
    let at = now();
    let user = NewUser {
        id: UserId::new(at, secret::id_bits()),
        tenant: tenant.clone(),
        login: LOGIN.to_owned(),
        display_name: "Administrator".to_owned(),
        role: fleet::auth::Role::Administrator.as_str().to_owned(),
        platform: true,
        password_hash,
        must_change_password: true,
        created_at: at,
        disabled_at: None,
        last_sign_in_at: None,
    };
    let event = Event::new(tenant.clone(), at, EventKind::UserCreated)
        .actor("system")
        .data(serde_json::json!({"user": user.id, "login": LOGIN, "role": user.role}));
    match store.user_insert(&tenant, user, vec![event]).await {
        Ok(()) => Ok(Some(first)),
        // Another server was started on the same database at the same moment.
        Err(store::Error::Conflict { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn tenant(store: &Store) -> Result<TenantId, crate::StartError> {
    let tenant =
        TenantId::parse(TENANT).map_err(|error| crate::StartError::Bug(error.to_string()))?;
    let record = TenantRecord {
        id: tenant.clone(),
        name: "Default".to_owned(),
        created_at: now(),
        disabled_at: None,
    };
    let event =
        Event::new(tenant.clone(), record.created_at, EventKind::TenantCreated).actor("system");
    match store.tenant_insert(record, vec![event]).await {
        Ok(()) | Err(store::Error::Conflict { .. }) => Ok(tenant),
        Err(error) => Err(error.into()),
    }
}
