//! Console sessions: a cookie's hash and whose it is. Whether a session is too old is decided by the caller's clock.

use fleet::{TenantId, Timestamp, UserId};

use crate::error::Result;
use crate::limits::{KNOWN_NETWORKS_PER_USER_MAX, RETENTION_BATCH_MAX, SIGN_INS_PER_USER_MAX};
use crate::sql::{Columns, Row, sql};
use crate::user::{self, UserRecord};
use crate::{SecretHash, Store, readable, touched};

/// A session to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Hash of the cookie.
    pub hash: SecretHash,
    /// Whose.
    pub user: UserId,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Address it came from.
    pub peer: String,
    /// The network that address counts as.
    pub network: String,
    /// What the browser calls itself.
    pub user_agent: String,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Hash of the cookie.
    pub hash: SecretHash,
    /// Tenant.
    pub tenant: TenantId,
    /// Whose.
    pub user: UserId,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used.
    pub seen_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Address it came from.
    pub peer: String,
    /// What the browser calls itself.
    pub user_agent: String,
}

const COLUMNS: &str = "SELECT s.hash, s.tenant, s.user_id, s.created_at, s.seen_at, s.expires_at, s.peer, s.user_agent";

impl Store {
    /// Makes a session, and notes on the person that it signed in and from where. The oldest beyond the limits go.
    pub async fn session_insert(&self, tenant: &TenantId, session: NewSession) -> Result<()> {
        let tenant = tenant.clone();
        self.write(&tenant.clone(), move |tx| {
            Box::pin(async move {
                let update = sql("UPDATE app_user SET last_sign_in_at = $1 WHERE id = $2 AND tenant = $3")
                    .bind(session.created_at)
                    .bind(session.user)
                    .bind(&tenant);
                touched(tx.execute(update).await?, "user")?;
                let insert = sql("INSERT INTO sign_in (hash, tenant, user_id, created_at, seen_at, expires_at, peer, \
                     user_agent) VALUES ($1, $2, $3, $4, $4, $5, $6, $7)")
                .bind(session.hash)
                .bind(&tenant)
                .bind(session.user)
                .bind(session.created_at)
                .bind(session.expires_at)
                .bind(session.peer)
                .bind(session.user_agent);
                tx.execute(insert).await?;
                let trim = sql("DELETE FROM sign_in WHERE tenant = $1 AND user_id = $2 AND hash IN \
                     (SELECT hash FROM sign_in WHERE tenant = $1 AND user_id = $2 \
                      ORDER BY created_at DESC, hash LIMIT $4 OFFSET $3)")
                .bind(&tenant)
                .bind(session.user)
                .bind(SIGN_INS_PER_USER_MAX)
                .bind(RETENTION_BATCH_MAX);
                tx.execute(trim).await?;
                let known = sql("INSERT INTO known_network (tenant, user_id, network, seen_at) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (tenant, user_id, network) DO UPDATE SET seen_at = excluded.seen_at")
                .bind(&tenant)
                .bind(session.user)
                .bind(session.network)
                .bind(session.created_at);
                tx.execute(known).await?;
                let trim = sql("DELETE FROM known_network WHERE tenant = $1 AND user_id = $2 AND network IN \
                     (SELECT network FROM known_network WHERE tenant = $1 AND user_id = $2 \
                      ORDER BY seen_at DESC, network LIMIT $4 OFFSET $3)")
                .bind(&tenant)
                .bind(session.user)
                .bind(KNOWN_NETWORKS_PER_USER_MAX)
                .bind(RETENTION_BATCH_MAX);
                tx.execute(trim).await.map(drop)
            })
        })
        .await
    }

    /// The session of a cookie and its person, in whichever tenant.
    pub async fn session_by_hash(
        &self,
        hash: &SecretHash,
    ) -> Result<Option<(SessionRecord, UserRecord)>> {
        let statement = sql(COLUMNS)
            .then(", ")
            .then(user::COLUMNS)
            .then(
                " FROM sign_in s JOIN app_user u ON u.id = s.user_id AND u.tenant = s.tenant WHERE s.hash = $1",
            )
            .bind(hash);
        let Some(row) = self.optional(statement).await? else {
            return Ok(None);
        };
        let mut c = row.columns();
        Ok(Some((read_columns(&mut c)?, user::read_columns(&mut c)?)))
    }

    /// Whether a person has signed in from a network since then.
    pub async fn session_network_known(
        &self,
        tenant: &TenantId,
        user: UserId,
        network: &str,
        since: Timestamp,
    ) -> Result<bool> {
        let statement = sql("SELECT 1 FROM known_network \
             WHERE tenant = $1 AND user_id = $2 AND network = $3 AND seen_at >= $4")
        .bind(tenant)
        .bind(user)
        .bind(network)
        .bind(since);
        Ok(self.optional(statement).await?.is_some())
    }

    /// The sessions of a person, newest first.
    pub async fn session_list(
        &self,
        tenant: &TenantId,
        user: UserId,
    ) -> Result<Vec<SessionRecord>> {
        let statement = sql(COLUMNS)
            .then(
                " FROM sign_in s WHERE s.tenant = $1 AND s.user_id = $2 ORDER BY s.created_at DESC",
            )
            .bind(tenant)
            .bind(user);
        let rows = self.all(statement).await?;
        readable(&rows, "session", read)
    }

    /// Notes that a session was used, and moves its end.
    pub async fn session_touch(
        &self,
        tenant: &TenantId,
        hash: &SecretHash,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<()> {
        let update =
            sql("UPDATE sign_in SET seen_at = $1, expires_at = $2 WHERE hash = $3 AND tenant = $4")
                .bind(now)
                .bind(expires_at)
                .bind(hash)
                .bind(tenant);
        touched(self.execute(tenant, update).await?, "session")
    }

    /// Ends a session; whether there was one.
    pub async fn session_delete(&self, tenant: &TenantId, hash: &SecretHash) -> Result<bool> {
        let delete = sql("DELETE FROM sign_in WHERE hash = $1 AND tenant = $2")
            .bind(hash)
            .bind(tenant);
        Ok(self.execute(tenant, delete).await? > 0)
    }

    /// Ends the sessions of a person, but `except`.
    pub async fn session_delete_for_user(
        &self,
        tenant: &TenantId,
        user: UserId,
        except: Option<SecretHash>,
    ) -> Result<u64> {
        let mut delete = sql("DELETE FROM sign_in WHERE tenant = $1 AND user_id = $2")
            .bind(tenant)
            .bind(user);
        if let Some(hash) = except {
            delete.push(" AND hash <> ").arg(hash);
        }
        self.execute(tenant, delete).await
    }

    /// Removes a batch of sessions that have ended, of all tenants; how many.
    pub async fn session_purge(&self, now: Timestamp) -> Result<u64> {
        let delete = sql("DELETE FROM sign_in WHERE hash IN \
             (SELECT hash FROM sign_in WHERE expires_at <= $1 LIMIT $2)")
        .bind(now)
        .bind(RETENTION_BATCH_MAX);
        self.write_global(move |tx| Box::pin(tx.execute(delete)))
            .await
    }
}

fn read(row: &Row) -> Result<SessionRecord> {
    read_columns(&mut row.columns())
}

fn read_columns(c: &mut Columns<'_>) -> Result<SessionRecord> {
    Ok(SessionRecord {
        hash: c.take()?,
        tenant: c.take()?,
        user: c.take()?,
        created_at: c.take()?,
        seen_at: c.take()?,
        expires_at: c.take()?,
        peer: c.take()?,
        user_agent: c.take()?,
    })
}
