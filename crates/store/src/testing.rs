//! Fresh databases for the tests of every crate: a SQLite file in a temporary directory, and a schema of its own on
//! the PostgreSQL that `HEADEND_TEST_POSTGRES` names (`cargo xtask test` always names one). Not for anything but tests.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

use crate::Store;
use crate::error::Result;

/// A database that lives as long as this value.
#[derive(Debug)]
pub struct TestDatabase {
    /// The open store.
    pub store: Store,
    /// Its address, to open it once more.
    pub url: String,
    directory: Option<PathBuf>,
}

impl TestDatabase {
    /// Runs SQL past the store, to take away what it relies on and to give it back.
    pub async fn run(&self, sql: &'static str) -> Result<()> {
        if self.url.starts_with("sqlite:") {
            let mut conn = SqliteConnection::connect(&self.url).await?;
            sqlx::raw_sql(sql).execute(&mut conn).await?;
            conn.close().await?;
        } else {
            let mut conn = PgConnection::connect(&self.url).await?;
            sqlx::raw_sql(sql).execute(&mut conn).await?;
            conn.close().await?;
        }
        Ok(())
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Some(directory) = &self.directory {
            // Left-overs in the temporary directory harm nobody.
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A name that no other test uses, also in another process.
fn name() -> String {
    let n = NUMBER.fetch_add(1, Ordering::Relaxed);
    let time = std::time::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_nanos());
    format!("headend_test_{}_{n}_{time}", std::process::id())
}

/// One empty SQLite database.
pub async fn sqlite() -> Result<TestDatabase> {
    let directory = std::env::temp_dir().join(name());
    std::fs::create_dir_all(&directory).map_err(|e| crate::Error::Unavailable(e.to_string()))?;
    let url = format!("sqlite://{}", directory.join("headend.db").display());
    Ok(TestDatabase {
        store: Store::open(&url).await?,
        url,
        directory: Some(directory),
    })
}

/// One empty PostgreSQL schema, when there is a server for tests.
pub async fn postgres() -> Result<Option<TestDatabase>> {
    let Ok(server) = std::env::var("HEADEND_TEST_POSTGRES") else {
        return Ok(None);
    };
    let schema = name();
    let mut conn = PgConnection::connect(&server).await?;
    // Of an earlier run whose server is still there.
    let create = format!("CREATE SCHEMA {schema}");
    sqlx::raw_sql(AssertSqlSafe(create))
        .execute(&mut conn)
        .await?;
    conn.close().await?;
    let separator = if server.contains('?') { '&' } else { '?' };
    let url = format!("{server}{separator}options=-csearch_path%3D{schema}");
    Ok(Some(TestDatabase {
        store: Store::open(&url).await?,
        url,
        directory: None,
    }))
}

/// A fresh database of each kind there is.
pub async fn databases() -> Result<Vec<TestDatabase>> {
    let mut databases = vec![sqlite().await?];
    databases.extend(postgres().await?);
    Ok(databases)
}

/// How SQLite answers a statement that begins with `EXPLAIN QUERY PLAN`, a step a line.
#[cfg(test)]
pub(crate) async fn plan(store: &Store, explain: crate::sql::Sql) -> String {
    let steps = store.all(explain).await.unwrap();
    let words = |row: &crate::sql::Row| {
        let mut c = row.columns();
        let _: (i64, i64, i64) = (c.take()?, c.take()?, c.take()?);
        c.take::<String>()
    };
    crate::collect(&steps, words).unwrap().join("\n")
}
