//! The connections that only read: a few, the last used one first, because its caches are warm. A read that finds its
//! connection broken is repeated once on a new one, which costs nothing while nothing is broken; sqlx's own pool looks
//! after every use whether a connection still works, and that costs as much as a small query.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::database::Connector;
use crate::error::{Error, Result};
use crate::sql::{Conn, Row, Sql};

/// Connections that read, per store. SQLite gains nothing from more than the cores.
const READERS_MAX: usize = 8;

/// The readers of a store.
#[derive(Clone)]
pub(crate) struct Readers {
    connector: Connector,
    idle: Arc<Mutex<Vec<Conn>>>,
    permits: Arc<Semaphore>,
    /// The last read did not succeed.
    failing: Arc<AtomicBool>,
}

impl Readers {
    /// Readers that connect when they are needed first.
    pub(crate) fn new(connector: Connector) -> Readers {
        Readers {
            connector,
            idle: Arc::default(),
            permits: Arc::new(Semaphore::new(READERS_MAX)),
            failing: Arc::default(),
        }
    }

    /// Whether they read from SQLite.
    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self.connector, Connector::Sqlite(_))
    }

    /// All rows.
    pub(crate) async fn all(&self, sql: Sql) -> Result<Vec<Row>> {
        let closed = |_| Error::Unavailable("the store is closed".to_owned());
        let _permit = self.permits.acquire().await.map_err(closed)?;
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        if let Some(conn) = idle {
            match self.read(conn, sql.clone()).await {
                // It may have been broken for a while: once more, on a new one.
                Err(Error::Unavailable(_)) => {}
                done => return done,
            }
        }
        let done = match self.connector.connect().await {
            Ok(conn) => self.read(conn, sql).await,
            Err(error) => Err(error),
        };
        let failed = matches!(done, Err(Error::Unavailable(_)));
        // The first of a row is told to the operator; callers say the others themselves.
        if self.failing.swap(failed, Ordering::Relaxed) != failed {
            match &done {
                Err(error) if failed => tracing::warn!(%error, "the database cannot be read"),
                _ => tracing::info!("the database can be read again"),
            }
        }
        done
    }

    /// The first row, if there is one.
    pub(crate) async fn optional(&self, sql: Sql) -> Result<Option<Row>> {
        Ok(self.all(sql).await?.into_iter().next())
    }

    /// Reads on one connection, and keeps that for the next. When it breaks, or when nobody waits for the answer any
    /// more, it is dropped.
    async fn read(&self, mut conn: Conn, sql: Sql) -> Result<Vec<Row>> {
        let done = conn.all(sql).await;
        if !matches!(done, Err(Error::Unavailable(_))) {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(conn);
        }
        done
    }
}
