//! API tokens, found by the hash of their secret.

use fleet::{Event, TenantId, Timestamp, TokenId, UserId};

use crate::error::{Error, Result};
use crate::limits::TOKENS_PER_TENANT_MAX;
use crate::sql::{Columns, Row, sql};
use crate::user::{self, UserRecord};
use crate::{SecretHash, Store, readable, touched};

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// Id.
    pub id: TokenId,
    /// Whose rights it carries.
    pub user: UserId,
    /// What it is for.
    pub name: String,
    /// Hash of the secret.
    pub hash: SecretHash,
    /// First characters of the secret, to recognise it.
    pub prefix: String,
    /// Permissions it is narrowed to; empty is none.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Id.
    pub id: TokenId,
    /// Tenant.
    pub tenant: TenantId,
    /// Whose rights it carries.
    pub user: UserId,
    /// What it is for.
    pub name: String,
    /// First characters of the secret.
    pub prefix: String,
    /// Permissions it is narrowed to; empty is none.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

const COLUMNS: &str = "SELECT t.id, t.tenant, t.user_id, t.name, t.prefix, t.scopes, t.created_at, t.expires_at, \
     t.last_used_at, t.revoked_at";

impl Store {
    /// Makes a token for a person of the tenant.
    pub async fn token_insert(
        &self,
        tenant: &TenantId,
        token: NewToken,
        events: Vec<Event>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let count = sql("SELECT count(*) FROM token WHERE tenant = $1").bind(&tenant);
                // The one that has been over for longest gives its place to the new one.
                let over = sql("DELETE FROM token WHERE tenant = $1 AND id IN (SELECT id FROM token \
                     WHERE tenant = $1 AND (revoked_at IS NOT NULL OR expires_at <= $2) \
                     ORDER BY coalesce(revoked_at, expires_at), id LIMIT 1)")
                .bind(&tenant)
                .bind(token.created_at);
                tx.at_most_after(count, over, "tokens", TOKENS_PER_TENANT_MAX).await?;
                let insert = sql("INSERT INTO token (id, tenant, user_id, name, hash, prefix, scopes, created_at, \
                     expires_at) SELECT $1, u.tenant, u.id, $4, $5, $6, $7, $8, $9 FROM app_user u \
                     WHERE u.id = $3 AND u.tenant = $2")
                .bind(token.id)
                .bind(&tenant)
                .bind(token.user)
                .bind(&token.name)
                .bind(token.hash)
                .bind(token.prefix)
                .bind(crate::sql::json(&token.scopes)?)
                .bind(token.created_at)
                .bind(token.expires_at);
                let rows = tx
                    .execute(insert)
                    .await
                    .map_err(|e| e.or_conflict("token", token.name))?;
                touched(rows, "user")?;
                tx.append_all(events).await
            })
        })
        .await
    }

    /// The token of a secret and its person, in whichever tenant; also when revoked or expired.
    pub async fn token_by_hash(
        &self,
        hash: &SecretHash,
    ) -> Result<Option<(TokenRecord, UserRecord)>> {
        let statement = sql(COLUMNS)
            .then(", ")
            .then(user::COLUMNS)
            .then(" FROM token t JOIN app_user u ON u.id = t.user_id AND u.tenant = t.tenant WHERE t.hash = $1")
            .bind(hash);
        let Some(row) = self.optional(statement).await? else {
            return Ok(None);
        };
        let mut c = row.columns();
        Ok(Some((read_columns(&mut c)?, user::read_columns(&mut c)?)))
    }

    /// One token.
    pub async fn token(&self, tenant: &TenantId, id: TokenId) -> Result<TokenRecord> {
        let statement = sql(COLUMNS)
            .then(" FROM token t WHERE t.id = $1 AND t.tenant = $2")
            .bind(id)
            .bind(tenant);
        let row = self.optional(statement).await?;
        read(&row.ok_or(Error::NotFound("token"))?)
    }

    /// The tokens of a tenant, or of one person, newest first.
    pub async fn token_list(
        &self,
        tenant: &TenantId,
        user: Option<UserId>,
    ) -> Result<Vec<TokenRecord>> {
        let mut statement = sql(COLUMNS)
            .then(" FROM token t WHERE t.tenant = $1")
            .bind(tenant);
        if let Some(user) = user {
            statement.push(" AND t.user_id = ").arg(user);
        }
        statement
            .push(" ORDER BY t.id DESC LIMIT ")
            .arg(TOKENS_PER_TENANT_MAX);
        let rows = self.all(statement).await?;
        readable(&rows, "token", read)
    }

    /// Revokes a token; a second time changes nothing.
    pub async fn token_revoke(
        &self,
        tenant: &TenantId,
        id: TokenId,
        now: Timestamp,
        events: Vec<Event>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let update = sql("UPDATE token SET revoked_at = coalesce(revoked_at, $1) WHERE id = $2 AND tenant = $3")
                    .bind(now)
                    .bind(id)
                    .bind(&tenant);
                touched(tx.execute(update).await?, "token")?;
                tx.append_all(events).await
            })
        })
        .await
    }

    /// Removes a token.
    pub async fn token_delete(
        &self,
        tenant: &TenantId,
        id: TokenId,
        events: Vec<Event>,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let delete = sql("DELETE FROM token WHERE id = $1 AND tenant = $2")
                    .bind(id)
                    .bind(&tenant);
                touched(tx.execute(delete).await?, "token")?;
                tx.append_all(events).await
            })
        })
        .await
    }

    /// Notes that a token was used.
    pub async fn token_touch(&self, tenant: &TenantId, id: TokenId, now: Timestamp) -> Result<()> {
        let update = sql("UPDATE token SET last_used_at = $1 WHERE id = $2 AND tenant = $3")
            .bind(now)
            .bind(id)
            .bind(tenant);
        touched(self.execute(tenant, update).await?, "token")
    }
}

fn read(row: &Row) -> Result<TokenRecord> {
    read_columns(&mut row.columns())
}

fn read_columns(c: &mut Columns<'_>) -> Result<TokenRecord> {
    Ok(TokenRecord {
        id: c.take()?,
        tenant: c.take()?,
        user: c.take()?,
        name: c.take()?,
        prefix: c.take()?,
        scopes: crate::sql::from_json_or_empty(&c.take::<String>()?, "scopes of a token"),
        created_at: c.take()?,
        expires_at: c.take()?,
        last_used_at: c.take()?,
        revoked_at: c.take()?,
    })
}
