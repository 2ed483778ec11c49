//! Group commit: one task owns one connection, runs the writes that wait, each behind its own savepoint, and
//! commits them together; nobody is answered before the commit is durable. SQLite has one such task. PostgreSQL has
//! a few, every tenant belongs to one of them, and a transaction holds the tenant's head row from its first
//! statement on: that orders the events of a tenant without gaps, also between nodes, and leaves no two
//! transactions that could wait for each other. It is not a queue that survives: what was not answered may be gone.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fleet::TenantId;
use futures_util::FutureExt as _;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::database::Connector;
use crate::error::{Error, Result};
use crate::event::EventHead;
use crate::job::{Closure, Job};
use crate::limits::{WRITE_GROUP_MAX, WRITE_QUEUE_MAX};
use crate::sql::sql;

pub(crate) use crate::transaction::{BoxFuture, Tx};

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
    let mut tx = Tx::new(connector);
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
    tx.close().await;
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
        tx.disconnect();
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
