//! The transaction that writes run in: their statements, the head rows of tenants, and the events that are written
//! together when the group commits. Which writes share it, and who is told how it ended, is `writer`.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;

use fleet::{Event, TenantId};

use crate::database::Connector;
use crate::error::{Error, Result};
use crate::event::{self, EventHead, Pending};
use crate::notification::{Recent, Staged};
use crate::sql::{Arg, Bulk, Conn, Row, Sql, bulk_values, sql};

/// The number of the advisory lock of [`Tx::alone`]: any, but always the same.
const ALONE_LOCK: i64 = 0x6865_6164_656e_6401;

/// A boxed future, as the write closures return it.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The transaction that a write runs in.
pub(crate) struct Tx {
    conn: Option<Conn>,
    connector: Connector,
    /// The last sequence number given out, per tenant whose head row this transaction holds.
    heads: HashMap<TenantId, u64>,
    /// Events of this group, written in bulk before the commit.
    events: Vec<Pending>,
    /// What the recent-notification memory learns once this group is committed.
    pub(crate) staged: Vec<Staged>,
    /// The keys of recent notifications, per device.
    pub(crate) recent: Recent,
}

/// Where a write can be rolled back to.
pub(crate) struct Mark {
    heads: HashMap<TenantId, u64>,
    events: usize,
    staged: usize,
}

impl Tx {
    /// A writer's, before its first group.
    pub(crate) fn new(connector: Connector) -> Tx {
        Tx {
            conn: None,
            connector,
            heads: HashMap::new(),
            events: Vec::new(),
            staged: Vec::new(),
            recent: Recent::default(),
        }
    }

    /// Runs a statement; the number of rows it touched.
    pub(crate) async fn execute(&mut self, sql: Sql) -> Result<u64> {
        self.conn()?.execute(sql).await
    }

    /// All rows.
    pub(crate) async fn all(&mut self, sql: Sql) -> Result<Vec<Row>> {
        self.conn()?.all(sql).await
    }

    /// The first row, if there is one.
    pub(crate) async fn optional(&mut self, sql: Sql) -> Result<Option<Row>> {
        self.conn()?.optional(sql).await
    }

    pub(crate) fn conn(&mut self) -> Result<&mut Conn> {
        self.conn
            .as_mut()
            .ok_or_else(|| Error::Unavailable("not connected".to_owned()))
    }

    /// Takes the tenant's head row for this transaction; the last sequence number given out so far.
    pub(crate) async fn head(&mut self, tenant: &TenantId) -> Result<u64> {
        if let Some(head) = self.heads.get(tenant) {
            return Ok(*head);
        }
        let text = match self.conn()? {
            Conn::Sqlite(_) => "SELECT event_head FROM tenant WHERE id = $1",
            Conn::Postgres(_) => "SELECT event_head FROM tenant WHERE id = $1 FOR UPDATE",
        };
        let row = self.optional(sql(text).bind(tenant)).await?;
        let head: u64 = row.ok_or(Error::NotFound("tenant"))?.columns().take()?;
        self.heads.insert(tenant.clone(), head);
        Ok(head)
    }

    /// From here to its end this transaction alone changes what no tenant has for itself: who administers the platform,
    /// names that are taken across tenants. SQLite has one writer anyway.
    pub(crate) async fn alone(&mut self) -> Result<()> {
        match self.conn()? {
            Conn::Sqlite(_) => Ok(()),
            // Not the rows themselves: two transactions that each hold one of them already would wait for each other.
            // And one number for all of it, for the same reason.
            Conn::Postgres(_) => {
                let lock = sql("SELECT 1 FROM pg_advisory_xact_lock($1)").bind(ALONE_LOCK);
                self.optional(lock).await.map(drop)
            }
        }
    }

    /// Appends an event to its tenant's log; its number, which holds once the transaction commits.
    pub(crate) async fn append(&mut self, event: Event, dedupe: Option<i64>) -> Result<u64> {
        let body = event::body_of(&event)?;
        let seq = self.head(&event.tenant).await? + 1;
        self.heads.insert(event.tenant.clone(), seq);
        self.events.push(Pending {
            seq,
            event,
            body,
            dedupe,
        });
        Ok(seq)
    }

    /// Appends several events.
    pub(crate) async fn append_all(
        &mut self,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<()> {
        for event in events {
            self.append(event, None).await?;
        }
        Ok(())
    }

    /// The last number given out by transactions before this one.
    pub(crate) async fn committed_head(&mut self, tenant: &TenantId) -> Result<u64> {
        let head = self.head(tenant).await?;
        let ours = self
            .events
            .iter()
            .find(|pending| pending.event.tenant == *tenant);
        Ok(ours.map_or(head, |first| first.seq - 1))
    }

    /// Inserts many rows with few statements.
    pub(crate) async fn bulk<T>(
        &mut self,
        bulk: Bulk,
        rows: Vec<T>,
        row: impl Fn(T, &mut Vec<Arg>),
    ) -> Result<()> {
        bulk_values(self.conn()?, bulk, rows, row).await
    }

    /// Fails when `count` finds that there is no room for one more.
    pub(crate) async fn at_most(&mut self, count: Sql, what: &'static str, max: u64) -> Result<()> {
        let row = self.optional(count).await?;
        let there: u64 = row.map_or(Ok(0), |row| row.columns().take())?;
        if there < max {
            Ok(())
        } else {
            Err(Error::LimitExceeded { what, max })
        }
    }

    /// The same, after `make_room` has removed what is over when there is none.
    pub(crate) async fn at_most_after(
        &mut self,
        count: Sql,
        make_room: Sql,
        what: &'static str,
        max: u64,
    ) -> Result<()> {
        match self.at_most(count.clone(), what, max).await {
            Err(Error::LimitExceeded { .. }) if self.execute(make_room).await? > 0 => {
                self.at_most(count, what, max).await
            }
            done => done,
        }
    }

    /// Opens the transaction of a group, and on PostgreSQL takes the head row of its tenant.
    pub(crate) async fn begin(&mut self, tenant: Option<&TenantId>) -> Result<()> {
        if self.conn.is_none() {
            self.conn = Some(self.connector.connect().await?);
        }
        self.heads.clear();
        self.events.clear();
        self.staged.clear();
        let (begin, lock) = match self.conn()? {
            Conn::Sqlite(_) => ("BEGIN IMMEDIATE", false),
            Conn::Postgres(_) => ("BEGIN", true),
        };
        self.execute(sql(begin)).await?;
        if lock && let Some(tenant) = tenant {
            // The head row first, always: no two transactions can then wait for each other.
            match self.head(tenant).await {
                Ok(_) | Err(Error::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Where a write that starts now can be rolled back to.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            heads: self.heads.clone(),
            events: self.events.len(),
            staged: self.staged.len(),
        }
    }

    /// Forgets what was appended since the mark. The rows locked meanwhile stay locked.
    pub(crate) fn forget(&mut self, mark: Mark) {
        self.heads = mark.heads;
        self.events.truncate(mark.events);
        self.staged.truncate(mark.staged);
    }

    /// Writes the events of the group and commits it; the new head of each tenant that has some.
    pub(crate) async fn commit(&mut self) -> Result<Vec<EventHead>> {
        let events = std::mem::take(&mut self.events);
        let mut grown: Vec<EventHead> = Vec::new();
        for Pending { seq, event, .. } in &events {
            match grown.iter_mut().find(|head| head.tenant == event.tenant) {
                Some(head) => head.seq = *seq,
                None => grown.push(EventHead {
                    tenant: event.tenant.clone(),
                    seq: *seq,
                }),
            }
        }
        event::insert_all(self.conn()?, events).await?;
        for head in &grown {
            let update = sql("UPDATE tenant SET event_head = $1 WHERE id = $2");
            self.execute(update.bind(head.seq).bind(&head.tenant))
                .await?;
        }
        self.execute(sql("COMMIT")).await?;
        let staged = std::mem::take(&mut self.staged);
        self.recent.learn(staged, &self.heads);
        Ok(grown)
    }

    /// Drops the connection in the middle of whatever it was doing; the next group opens another one.
    pub(crate) fn disconnect(&mut self) {
        self.conn = None;
    }

    /// Closes the connection for good.
    pub(crate) async fn close(mut self) {
        if let Some(Conn::Sqlite(conn)) = self.conn.take() {
            // Closing checkpoints the write-ahead log; a failure leaves it for the next start.
            let _ = sqlx::Connection::close(*conn).await;
        }
    }

    /// Leaves the connection without an open transaction, or without a connection.
    pub(crate) async fn abandon(&mut self) {
        self.heads.clear();
        self.events.clear();
        self.staged.clear();
        if let Ok(conn) = self.conn()
            && conn.execute(sql("ROLLBACK")).await.is_err()
        {
            self.conn = None;
        }
    }
}
