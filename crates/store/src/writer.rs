//! Group commit: one task owns one connection, runs the writes that wait, each behind its own savepoint, and
//! commits them together; nobody is answered before the commit is durable. SQLite has one such task. PostgreSQL has
//! a few, every tenant belongs to one of them, and a transaction holds the tenant's head row from its first
//! statement on: that orders the events of a tenant without gaps, also between nodes, and leaves no two
//! transactions that could wait for each other. It is not a queue that survives: what was not answered may be gone.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fleet::{Event, TenantId};
use futures_util::FutureExt as _;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::database::Connector;
use crate::error::{Error, Result};
use crate::event::{self, EventHead, Pending};
use crate::job::{Closure, Job};
use crate::limits::{WRITE_GROUP_MAX, WRITE_QUEUE_MAX};
use crate::notification::{Recent, Staged};
use crate::sql::{Arg, Conn, Row, Sql, bulk_values, sql};

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
struct Mark {
    heads: HashMap<TenantId, u64>,
    events: usize,
    staged: usize,
}

impl Tx {
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
        into: &'static str,
        columns: usize,
        rows: Vec<T>,
        row: impl Fn(T, &mut Vec<Arg>),
    ) -> Result<()> {
        bulk_values(self.conn()?, into, columns, rows, row).await
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

    async fn begin(&mut self, tenant: Option<&TenantId>) -> Result<()> {
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

    fn mark(&self) -> Mark {
        Mark {
            heads: self.heads.clone(),
            events: self.events.len(),
            staged: self.staged.len(),
        }
    }

    /// Forgets what was appended since the mark. The rows locked meanwhile stay locked.
    fn forget(&mut self, mark: Mark) {
        self.heads = mark.heads;
        self.events.truncate(mark.events);
        self.staged.truncate(mark.staged);
    }

    async fn commit(&mut self) -> Result<Vec<EventHead>> {
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

    /// Leaves the connection without an open transaction, or without a connection.
    async fn abandon(&mut self) {
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

/// The way to the writers.
#[derive(Debug, Clone)]
pub(crate) struct Writers {
    queues: Vec<mpsc::Sender<Box<dyn Job>>>,
    /// Of each writer, whether its last commit did not succeed.
    failing: Vec<Arc<AtomicBool>>,
}

impl Writers {
    /// Starts one writer per connector.
    pub(crate) fn start(
        connectors: Vec<Connector>,
        heads: [broadcast::Sender<EventHead>; 2],
    ) -> Writers {
        let (queues, failing) = connectors
            .into_iter()
            .map(|connector| {
                let failing = Arc::new(AtomicBool::new(false));
                let (queue, waiting) = mpsc::channel(WRITE_QUEUE_MAX);
                let told = Told {
                    heads: heads.clone(),
                    failing: failing.clone(),
                };
                tokio::spawn(write(connector, waiting, told));
                (queue, failing)
            })
            .unzip();
        Writers { queues, failing }
    }

    /// Whether the last commit of a writer did not succeed.
    pub(crate) fn failing(&self) -> bool {
        self.failing.iter().any(|one| one.load(Ordering::Relaxed))
    }

    /// Runs `work` in a transaction and answers once it is durable.
    pub(crate) async fn write<T, F>(&self, tenant: Option<&TenantId>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Closure {
            tenant: tenant.cloned(),
            work: Some(work),
            value: None,
            reply,
        };
        self.submit(Box::new(job)).await?;
        answer.await.map_err(|_| closed())?
    }

    /// Queues a job; waits when the queue is full.
    pub(crate) async fn submit(&self, job: Box<dyn Job>) -> Result<()> {
        let queue = self.queue(job.tenant())?;
        queue.send(job).await.map_err(|_| closed())
    }

    fn queue(&self, tenant: Option<&TenantId>) -> Result<&mpsc::Sender<Box<dyn Job>>> {
        let n = tenant.map_or(0, |tenant| {
            tenant
                .as_str()
                .bytes()
                .fold(0usize, |n, b| n.wrapping_mul(31).wrapping_add(b.into()))
        });
        self.queues
            .get(n % self.queues.len().max(1))
            .ok_or_else(closed)
    }
}

fn closed() -> Error {
    Error::Unavailable("the store is closed".to_owned())
}

/// Who hears how commits end.
struct Told {
    heads: [broadcast::Sender<EventHead>; 2],
    failing: Arc<AtomicBool>,
}

async fn write(connector: Connector, mut queue: mpsc::Receiver<Box<dyn Job>>, told: Told) {
    // On PostgreSQL a group is one tenant's, so that its transaction holds one head row.
    let one_tenant_a_group = matches!(connector, Connector::Postgres(_));
    let mut tx = Tx {
        conn: None,
        connector,
        heads: HashMap::new(),
        events: Vec::new(),
        staged: Vec::new(),
        recent: Recent::default(),
    };
    let mut waiting: VecDeque<Box<dyn Job>> = VecDeque::new();
    loop {
        if waiting.is_empty() {
            match queue.recv().await {
                Some(job) => waiting.push_back(job),
                None => break,
            }
        }
        // Those whom the last commit has answered have their next write ready in a moment: one turn for them, so that
        // they share this commit.
        tokio::task::yield_now().await;
        while waiting.len() < WRITE_GROUP_MAX
            && let Ok(job) = queue.try_recv()
        {
            waiting.push_back(job);
        }
        let group: Vec<Box<dyn Job>> = if one_tenant_a_group {
            let tenant = waiting.front().and_then(|job| job.tenant().cloned());
            let (now, later) = std::mem::take(&mut waiting)
                .into_iter()
                .partition(|job| job.tenant() == tenant.as_ref());
            waiting = VecDeque::from(Vec::from_iter::<VecDeque<_>>(later));
            Vec::from_iter::<VecDeque<_>>(now)
        } else {
            std::mem::take(&mut waiting).into()
        };
        commit_group(&mut tx, group, &told).await;
    }
    if let Some(Conn::Sqlite(conn)) = tx.conn.take() {
        // Closing checkpoints the write-ahead log; a failure leaves it for the next start.
        let _ = sqlx::Connection::close(*conn).await;
    }
}

/// Runs and commits one group, and answers its callers.
async fn commit_group(tx: &mut Tx, group: Vec<Box<dyn Job>>, told: &Told) {
    let mut done: Vec<(Box<dyn Job>, Result<()>)> = Vec::with_capacity(group.len());
    let tenant = group.first().and_then(|job| job.tenant().cloned());
    let alone = group.len() == 1;
    let mut broken = tx.begin(tenant.as_ref()).await.err();
    for mut job in group {
        if broken.is_some() {
            done.push((job, Ok(())));
            continue;
        }
        match one(tx, job.as_mut(), alone).await {
            Ok(outcome) => done.push((job, outcome)),
            Err(error) => {
                broken = Some(error);
                done.push((job, Ok(())));
            }
        }
    }
    let refused = alone && done.iter().any(|(_, outcome)| outcome.is_err());
    let committed = match broken {
        None if refused => {
            tx.abandon().await;
            Ok(Vec::new())
        }
        None => tx.commit().await,
        Some(error) => Err(error),
    };
    match committed {
        Ok(grown) => {
            if told.failing.swap(false, Ordering::Relaxed) {
                tracing::info!("the database takes writes again");
            }
            for (job, outcome) in done {
                job.done(outcome);
            }
            for head in grown {
                // No receiver is no error: the log is the truth, this is only a nudge.
                for watchers in &told.heads {
                    let _ = watchers.send(head.clone());
                }
            }
        }
        Err(error) => {
            // The first of a row is told to the operator; callers say the others themselves.
            if told.failing.swap(true, Ordering::Relaxed) {
                tracing::debug!(%error, "a group of writes was not committed");
            } else {
                tracing::warn!(%error, "the database does not take writes");
            }
            tx.abandon().await;
            let why = error.to_string();
            for (job, outcome) in done {
                job.done(outcome.and(Err(Error::Unavailable(why.clone()))));
            }
        }
    }
}

/// One write behind its savepoint; one that is alone needs none, it is undone with the transaction. The outer error
/// means the transaction is lost.
async fn one(tx: &mut Tx, job: &mut dyn Job, alone: bool) -> Result<Result<()>> {
    let mark = tx.mark();
    if !job.touches_rows() {
        let outcome = guarded(job, tx).await;
        return match outcome {
            Ok(()) => Ok(Ok(())),
            Err(error @ (Error::Unavailable(_) | Error::Database(_))) => Err(error),
            Err(error) => {
                tx.forget(mark);
                Ok(Err(error))
            }
        };
    }
    if alone {
        let outcome = guarded(job, tx).await;
        return match outcome {
            Err(Error::Unavailable(why)) => Err(Error::Unavailable(why)),
            outcome => Ok(outcome),
        };
    }
    tx.execute(sql("SAVEPOINT one")).await?;
    let outcome = guarded(job, tx).await;
    match &outcome {
        Ok(()) => {}
        Err(Error::Unavailable(why)) => return Err(Error::Unavailable(why.clone())),
        Err(_) => {
            tx.execute(sql("ROLLBACK TO SAVEPOINT one")).await?;
            tx.forget(mark);
        }
    }
    tx.execute(sql("RELEASE SAVEPOINT one")).await?;
    Ok(outcome)
}

/// Runs a job. One that panics loses its group's transaction, and nothing else.
async fn guarded(job: &mut dyn Job, tx: &mut Tx) -> Result<()> {
    let outcome = AssertUnwindSafe(job.run(tx)).catch_unwind().await;
    outcome.unwrap_or_else(|_| {
        // Whatever it was in the middle of ends with the connection.
        tx.conn = None;
        Err(Error::Unavailable("a write panicked".to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqliteConnectOptions;

    use super::*;

    #[tokio::test]
    async fn a_writer_that_fails_is_known_to_fail_while_another_one_commits() {
        let good = crate::testing::sqlite().await.unwrap();
        let nowhere = std::env::temp_dir().join("a folder that is not there/one.db");
        let connector = |options| Connector::Sqlite(Box::new(options));
        let connectors = vec![
            connector(SqliteConnectOptions::new().filename(nowhere)),
            connector(good.url.parse().unwrap()),
        ];
        let heads = || broadcast::channel(1).0;
        let writers = Writers::start(connectors, [heads(), heads()]);
        let write = async |tenant: &str| {
            let tenant = TenantId::parse(tenant).unwrap();
            let look = writers.write(Some(&tenant), |tx| {
                Box::pin(async move { tx.optional(sql("SELECT 1")).await.map(drop) })
            });
            look.await
        };
        let broken = |tenant: &str| {
            tenant
                .bytes()
                .map(usize::from)
                .sum::<usize>()
                .is_multiple_of(2)
        };
        assert!(
            broken("bb") && !broken("bc"),
            "31 is odd, so the sum tells whose turn it is"
        );
        assert!(!writers.failing());
        write("bc").await.unwrap();
        assert!(!writers.failing());
        write("bb").await.unwrap_err();
        assert!(writers.failing());
        write("bc").await.unwrap();
        assert!(writers.failing(), "the first still takes no writes");
    }
}
