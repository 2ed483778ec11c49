//! People who sign in. A person belongs to one tenant; the login is unique over all tenants, because it is what
//! finds the tenant. Passwords are stored as PHC strings, made elsewhere.

use fleet::auth::Role;
use fleet::{Event, TenantId, Timestamp, UserId};

use crate::error::{Error, Result};
use crate::limits::USERS_PER_TENANT_MAX;
use crate::sql::{Columns, Row, Sql, sql};
use crate::writer::Tx;
use crate::{Store, readable, touched};

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// Id.
    pub id: UserId,
    /// Tenant.
    pub tenant: TenantId,
    /// What is typed to sign in.
    pub login: String,
    /// Name for people.
    pub display_name: String,
    /// Slug of the role.
    pub role: String,
    /// May act in every tenant.
    pub platform: bool,
    /// PHC string.
    pub password_hash: String,
    /// The password was given by somebody else.
    pub must_change_password: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it may not sign in.
    pub disabled_at: Option<Timestamp>,
    /// Last sign-in.
    pub last_sign_in_at: Option<Timestamp>,
}

/// A person to be made: a [`UserRecord`] that has not signed in.
pub type NewUser = UserRecord;

/// What may be changed about a person; `None` leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserPatch {
    /// Name for people.
    pub display_name: Option<String>,
    /// Slug of the role.
    pub role: Option<String>,
    /// Disabled since, or enabled.
    pub disabled_at: Option<Option<Timestamp>>,
}

/// The columns of a person, as [`read_columns`] takes them.
pub(crate) const COLUMNS: &str = "u.id, u.tenant, u.login, u.display_name, u.role, u.platform, u.password_hash, \
     u.must_change_password, u.created_at, u.disabled_at, u.last_sign_in_at";

const SELECT: &str = "SELECT u.id, u.tenant, u.login, u.display_name, u.role, u.platform, u.password_hash, \
     u.must_change_password, u.created_at, u.disabled_at, u.last_sign_in_at FROM app_user u";

impl Store {
    /// Makes a person.
    pub async fn user_insert(
        &self,
        tenant: &TenantId,
        user: NewUser,
        events: Vec<Event>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                tx.head(&tenant).await?;
                let count = sql("SELECT count(*) FROM app_user WHERE tenant = $1").bind(&tenant);
                tx.at_most(count, "users", USERS_PER_TENANT_MAX).await?;
                let insert = sql("INSERT INTO app_user (id, tenant, login, display_name, role, platform, \
                     password_hash, must_change_password, created_at, disabled_at, last_sign_in_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
                .bind(user.id)
                .bind(&tenant)
                .bind(&user.login)
                .bind(user.display_name)
                .bind(user.role)
                .bind(user.platform)
                .bind(user.password_hash)
                .bind(user.must_change_password)
                .bind(user.created_at)
                .bind(user.disabled_at)
                .bind(user.last_sign_in_at);
                tx.execute(insert)
                    .await
                    .map_err(|e| e.or_conflict("user", user.login))?;
                tx.append_all(events).await
            })
        })
        .await
    }

    /// How many people there are in all tenants: none means that this is the first start.
    pub async fn user_count_all(&self) -> Result<u64> {
        self.one(sql("SELECT count(*) FROM app_user"))
            .await?
            .columns()
            .take()
    }

    /// The person of a login, in whichever tenant.
    pub async fn user_by_login(&self, login: &str) -> Result<Option<UserRecord>> {
        let statement = sql(SELECT).then(" WHERE u.login = $1").bind(login);
        let row = self.optional(statement).await?;
        row.map(|row| read(&row)).transpose()
    }

    /// One person.
    pub async fn user(&self, tenant: &TenantId, id: UserId) -> Result<UserRecord> {
        let statement = sql(SELECT)
            .then(" WHERE u.id = $1 AND u.tenant = $2")
            .bind(id)
            .bind(tenant);
        let row = self.optional(statement).await?;
        read(&row.ok_or(Error::NotFound("user"))?)
    }

    /// The people of a tenant, by login.
    pub async fn user_list(&self, tenant: &TenantId) -> Result<Vec<UserRecord>> {
        let statement = sql(SELECT)
            .then(" WHERE u.tenant = $1 ORDER BY u.login LIMIT $2")
            .bind(tenant)
            .bind(USERS_PER_TENANT_MAX);
        let rows = self.all(statement).await?;
        readable(&rows, "user", read)
    }

    /// Changes a person. Disabling ends all their sessions. The last administrator of a tenant or of the platform
    /// stays one.
    pub async fn user_update(
        &self,
        tenant: &TenantId,
        id: UserId,
        patch: UserPatch,
        events: Vec<Event>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let before = locked(tx, &tenant, id).await?;
                let mut update = sql("UPDATE app_user SET id = id");
                if let Some(name) = patch.display_name {
                    update.push(", display_name = ").arg(name);
                }
                if let Some(role) = patch.role {
                    update.push(", role = ").arg(role);
                }
                if let Some(at) = patch.disabled_at {
                    update.push(", disabled_at = ").arg(at);
                }
                update.push(" WHERE id = ").arg(id);
                update.push(" AND tenant = ").arg(&tenant);
                touched(tx.execute(update).await?, "user")?;
                if let Some(Some(_)) = patch.disabled_at {
                    end_sessions(tx, &tenant, id, None).await?;
                }
                keeps_administrators(tx, &before).await?;
                tx.append_all(events).await
            })
        })
        .await
    }

    /// Sets a password and ends all sessions of the person but `keep`.
    pub async fn user_set_password(
        &self,
        tenant: &TenantId,
        id: UserId,
        password_hash: String,
        must_change: bool,
        keep: Option<crate::SecretHash>,
        events: Vec<Event>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let update = sql(
                    "UPDATE app_user SET password_hash = $1, must_change_password = $2 \
                     WHERE id = $3 AND tenant = $4",
                )
                .bind(password_hash)
                .bind(must_change)
                .bind(id)
                .bind(&tenant);
                touched(tx.execute(update).await?, "user")?;
                end_sessions(tx, &tenant, id, keep).await?;
                tx.append_all(events).await
            })
        })
        .await
    }

    /// Removes a person with their sessions and tokens.
    pub async fn user_delete(
        &self,
        tenant: &TenantId,
        id: UserId,
        events: Vec<Event>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let before = locked(tx, &tenant, id).await?;
                let delete = sql("DELETE FROM app_user WHERE id = $1 AND tenant = $2")
                    .bind(id)
                    .bind(&tenant);
                touched(tx.execute(delete).await?, "user")?;
                keeps_administrators(tx, &before).await?;
                end_sessions(tx, &tenant, id, None).await?;
                let delete = sql("DELETE FROM known_network WHERE user_id = $1 AND tenant = $2")
                    .bind(id)
                    .bind(&tenant);
                tx.execute(delete).await?;
                let delete = sql("DELETE FROM token WHERE user_id = $1 AND tenant = $2")
                    .bind(id)
                    .bind(&tenant);
                tx.execute(delete).await?;
                tx.append_all(events).await
            })
        })
        .await
    }
}

/// The person as it is before a change in this transaction.
async fn locked(tx: &mut Tx, tenant: &TenantId, id: UserId) -> Result<UserRecord> {
    // On PostgreSQL this orders the changes of one tenant's people, also between nodes.
    tx.head(tenant).await?;
    let statement = sql(SELECT)
        .then(" WHERE u.id = $1 AND u.tenant = $2")
        .bind(id)
        .bind(tenant);
    let row = tx.optional(statement).await?;
    let before = read(&row.ok_or(Error::NotFound("user"))?)?;
    if before.platform {
        tx.alone().await?;
    }
    Ok(before)
}

/// Fails when the change just made to a person who was an administrator has left none.
async fn keeps_administrators(tx: &mut Tx, before: &UserRecord) -> Result<()> {
    if before.disabled_at.is_some() {
        return Ok(());
    }
    let role = Role::Administrator.as_str();
    if before.role == role {
        let left = sql(
            "SELECT count(*) FROM app_user WHERE tenant = $1 AND role = $2 AND disabled_at IS NULL",
        )
        .bind(&before.tenant)
        .bind(role);
        some_left(tx, left, before.login.clone(), "tenant").await?;
    }
    if before.platform {
        keeps_platform(tx, before.login.clone()).await?;
    }
    Ok(())
}

/// The login of somebody of a tenant who administers the platform, if there is one, before a change that shuts all
/// people of the tenant out.
pub(crate) async fn platform_administrator(
    tx: &mut Tx,
    tenant: &TenantId,
) -> Result<Option<String>> {
    tx.head(tenant).await?;
    tx.alone().await?;
    let statement = sql(
        "SELECT login FROM app_user WHERE tenant = $1 AND platform = 1 \
         AND disabled_at IS NULL ORDER BY login LIMIT 1",
    )
    .bind(tenant);
    let row = tx.optional(statement).await?;
    row.map(|row| row.columns().take()).transpose()
}

/// Fails when nobody is left who administers the platform and can sign in.
pub(crate) async fn keeps_platform(tx: &mut Tx, login: String) -> Result<()> {
    let left = sql(
        "SELECT count(*) FROM app_user u JOIN tenant t ON t.id = u.tenant WHERE u.platform = 1 \
         AND u.disabled_at IS NULL AND t.disabled_at IS NULL",
    );
    some_left(tx, left, login, "platform").await
}

async fn some_left(tx: &mut Tx, count: Sql, login: String, of: &'static str) -> Result<()> {
    let row = tx.optional(count).await?;
    match row.map_or(Ok(0), |row| row.columns().take::<u64>())? {
        0 => Err(Error::LastAdministrator { login, of }),
        _ => Ok(()),
    }
}

async fn end_sessions(
    tx: &mut Tx,
    tenant: &TenantId,
    user: UserId,
    keep: Option<crate::SecretHash>,
) -> Result<()> {
    let mut delete = sql("DELETE FROM sign_in WHERE tenant = $1 AND user_id = $2")
        .bind(tenant)
        .bind(user);
    if let Some(keep) = keep {
        delete.push(" AND hash <> ").arg(keep);
    }
    tx.execute(delete).await.map(drop)
}

fn read(row: &Row) -> Result<UserRecord> {
    read_columns(&mut row.columns())
}

pub(crate) fn read_columns(c: &mut Columns<'_>) -> Result<UserRecord> {
    Ok(UserRecord {
        id: c.take()?,
        tenant: c.take()?,
        login: c.take()?,
        display_name: c.take()?,
        role: c.take()?,
        platform: c.take()?,
        password_hash: c.take()?,
        must_change_password: c.take()?,
        created_at: c.take()?,
        disabled_at: c.take()?,
        last_sign_in_at: c.take()?,
    })
}
