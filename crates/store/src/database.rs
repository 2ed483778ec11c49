//! Opening a database: connections with the durability this product promises, and the migrations. It does not
//! know any table.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _};

use crate::error::{Error, Result};
use crate::readers::Readers;
use crate::sql::Conn;

/// Writers on PostgreSQL; a tenant always has the same one, so that its commits can be grouped.
const POSTGRES_WRITERS: usize = 4;

/// Connections on which nodes tell each other of new events: one to listen, one to tell.
const RELAY_CONNECTIONS: u32 = 2;

/// How long to wait for a connection or for another process's lock before saying that there is none.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Pages after which SQLite moves its log into the database: 16 MiB, seconds of full load.
const CHECKPOINT_PAGES: &str = "4000";

/// Statements kept prepared per connection.
const STATEMENTS_MAX: usize = 256;

/// The migrations of SQLite, in order. The numbers equal those of PostgreSQL.
pub(crate) const SQLITE_MIGRATIONS: &[(i64, &str, &str)] = &[
    (
        1,
        "first",
        include_str!("../migrations/sqlite/0001_first.sql"),
    ),
    (
        2,
        "known network",
        include_str!("../migrations/sqlite/0002_known_network.sql"),
    ),
    (
        3,
        "search",
        include_str!("../migrations/sqlite/0003_search.sql"),
    ),
    (
        4,
        "protocol version",
        include_str!("../migrations/sqlite/0004_protocol_version.sql"),
    ),
    (
        5,
        "address",
        include_str!("../migrations/sqlite/0005_address.sql"),
    ),
    (
        6,
        "adapter state",
        include_str!("../migrations/sqlite/0006_adapter_state.sql"),
    ),
    (
        7,
        "master key",
        include_str!("../migrations/sqlite/0007_master_key.sql"),
    ),
    (
        8,
        "expected by",
        include_str!("../migrations/sqlite/0008_expected_by.sql"),
    ),
    (
        9,
        "management session",
        include_str!("../migrations/sqlite/0009_management_session.sql"),
    ),
    (
        10,
        "device match",
        include_str!("../migrations/sqlite/0010_device_match.sql"),
    ),
    (
        11,
        "back by",
        include_str!("../migrations/sqlite/0011_back_by.sql"),
    ),
    (
        12,
        "file",
        include_str!("../migrations/sqlite/0012_file.sql"),
    ),
    (
        13,
        "model by protocol",
        include_str!("../migrations/sqlite/0013_model_by_protocol.sql"),
    ),
    (
        14,
        "former device",
        include_str!("../migrations/sqlite/0014_former_device.sql"),
    ),
    (
        15,
        "peer",
        include_str!("../migrations/sqlite/0015_peer.sql"),
    ),
    (
        16,
        "cwmp names",
        include_str!("../migrations/sqlite/0016_cwmp_names.sql"),
    ),
    (
        17,
        "event plan",
        include_str!("../migrations/sqlite/0017_event_plan.sql"),
    ),
    (
        18,
        "certificate",
        include_str!("../migrations/sqlite/0018_certificate.sql"),
    ),
    (
        19,
        "transcript transport",
        include_str!("../migrations/sqlite/0019_transcript_transport.sql"),
    ),
    (
        20,
        "swap",
        include_str!("../migrations/sqlite/0020_swap.sql"),
    ),
    (
        21,
        "unfinished",
        include_str!("../migrations/sqlite/0021_unfinished.sql"),
    ),
    (
        22,
        "broker queue",
        include_str!("../migrations/sqlite/0022_broker_queue.sql"),
    ),
    (
        23,
        "certificate last used",
        include_str!("../migrations/sqlite/0023_certificate_last_used.sql"),
    ),
    (
        24,
        "device linked",
        include_str!("../migrations/sqlite/0024_device_linked.sql"),
    ),
    (
        25,
        "refusal source",
        include_str!("../migrations/sqlite/0025_refusal_source.sql"),
    ),
    (
        26,
        "path heard",
        include_str!("../migrations/sqlite/0026_path_heard.sql"),
    ),
    (
        27,
        "commands left",
        include_str!("../migrations/sqlite/0027_commands_left.sql"),
    ),
];

/// The migrations of PostgreSQL, in order. The numbers equal those of SQLite.
pub(crate) const POSTGRES_MIGRATIONS: &[(i64, &str, &str)] = &[
    (
        1,
        "first",
        include_str!("../migrations/postgres/0001_first.sql"),
    ),
    (
        2,
        "known network",
        include_str!("../migrations/postgres/0002_known_network.sql"),
    ),
    (
        3,
        "search",
        include_str!("../migrations/postgres/0003_search.sql"),
    ),
    (
        4,
        "protocol version",
        include_str!("../migrations/postgres/0004_protocol_version.sql"),
    ),
    (
        5,
        "address",
        include_str!("../migrations/postgres/0005_address.sql"),
    ),
    (
        6,
        "adapter state",
        include_str!("../migrations/postgres/0006_adapter_state.sql"),
    ),
    (
        7,
        "master key",
        include_str!("../migrations/postgres/0007_master_key.sql"),
    ),
    (
        8,
        "expected by",
        include_str!("../migrations/postgres/0008_expected_by.sql"),
    ),
    (
        9,
        "management session",
        include_str!("../migrations/postgres/0009_management_session.sql"),
    ),
    (
        10,
        "device match",
        include_str!("../migrations/postgres/0010_device_match.sql"),
    ),
    (
        11,
        "back by",
        include_str!("../migrations/postgres/0011_back_by.sql"),
    ),
    (
        12,
        "file",
        include_str!("../migrations/postgres/0012_file.sql"),
    ),
    (
        13,
        "model by protocol",
        include_str!("../migrations/postgres/0013_model_by_protocol.sql"),
    ),
    (
        14,
        "former device",
        include_str!("../migrations/postgres/0014_former_device.sql"),
    ),
    (
        15,
        "peer",
        include_str!("../migrations/postgres/0015_peer.sql"),
    ),
    (
        16,
        "cwmp names",
        include_str!("../migrations/postgres/0016_cwmp_names.sql"),
    ),
    (
        17,
        "event plan",
        include_str!("../migrations/postgres/0017_event_plan.sql"),
    ),
    (
        18,
        "certificate",
        include_str!("../migrations/postgres/0018_certificate.sql"),
    ),
    (
        19,
        "transcript transport",
        include_str!("../migrations/postgres/0019_transcript_transport.sql"),
    ),
    (
        20,
        "swap",
        include_str!("../migrations/postgres/0020_swap.sql"),
    ),
    (
        21,
        "unfinished",
        include_str!("../migrations/postgres/0021_unfinished.sql"),
    ),
    (
        22,
        "broker queue",
        include_str!("../migrations/postgres/0022_broker_queue.sql"),
    ),
    (
        23,
        "certificate last used",
        include_str!("../migrations/postgres/0023_certificate_last_used.sql"),
    ),
    (
        24,
        "device linked",
        include_str!("../migrations/postgres/0024_device_linked.sql"),
    ),
    (
        25,
        "refusal source",
        include_str!("../migrations/postgres/0025_refusal_source.sql"),
    ),
    (
        26,
        "path heard",
        include_str!("../migrations/postgres/0026_path_heard.sql"),
    ),
    (
        27,
        "commands left",
        include_str!("../migrations/postgres/0027_commands_left.sql"),
    ),
];

/// How a writer gets its connection, the first time and after it was lost.
#[derive(Debug, Clone)]
pub(crate) enum Connector {
    Sqlite(Box<SqliteConnectOptions>),
    Postgres(Box<PgConnectOptions>),
}

impl Connector {
    /// A new connection.
    pub(crate) async fn connect(&self) -> Result<Conn> {
        let unavailable = |e: sqlx::Error| Error::Unavailable(e.to_string());
        Ok(match self {
            Connector::Sqlite(options) => Conn::Sqlite(Box::new(
                SqliteConnection::connect_with(options)
                    .await
                    .map_err(unavailable)?,
            )),
            Connector::Postgres(options) => Conn::Postgres(Box::new(
                PgConnection::connect_with(options)
                    .await
                    .map_err(unavailable)?,
            )),
        })
    }
}

/// An opened and migrated database.
pub(crate) struct Opened {
    pub(crate) readers: Readers,
    /// For what nodes tell each other, on PostgreSQL.
    pub(crate) relay: Option<PgPool>,
    pub(crate) writers: Vec<Connector>,
}

/// Opens `sqlite://path` or `postgres://...`, and brings the schema up to date.
pub(crate) async fn open(url: &str) -> Result<Opened> {
    if url.starts_with("sqlite:") {
        open_sqlite(url).await
    } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        open_postgres(url).await
    } else {
        Err(Error::Invalid(
            "a database address starts with sqlite:// or postgres://".to_owned(),
        ))
    }
}

async fn open_sqlite(url: &str) -> Result<Opened> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|e| Error::Invalid(e.to_string()))?
        .create_if_missing(true)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        // FULL: a commit that was answered survives a power cut.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("cache_size", "-16384")
        .pragma("temp_store", "MEMORY")
        // What is blanked is overwritten, not only unlinked, where that costs no further page.
        .pragma("secure_delete", "FAST")
        .statement_cache_capacity(STATEMENTS_MAX)
        .disable_statement_logging();
    let mut conn = SqliteConnection::connect_with(&options)
        .await
        .map_err(|e| Error::Unavailable(e.to_string()))?;
    migrate(SQLITE_MIGRATIONS, &mut conn).await?;
    conn.close().await?;
    let reader = options.clone().pragma("query_only", "ON");
    Ok(Opened {
        readers: Readers::new(Connector::Sqlite(Box::new(reader))),
        relay: None,
        writers: vec![Connector::Sqlite(Box::new(options))],
    })
}

async fn open_postgres(url: &str) -> Result<Opened> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|e| Error::Invalid(e.to_string()))?
        .application_name("headend")
        .statement_cache_capacity(STATEMENTS_MAX)
        // A commit that was answered survives a power cut, whatever the server's default is.
        .options([("synchronous_commit", "on"), ("statement_timeout", "60s")])
        .disable_statement_logging();
    let mut conn = PgConnection::connect_with(&options)
        .await
        .map_err(|e| Error::Unavailable(e.to_string()))?;
    migrate(POSTGRES_MIGRATIONS, &mut conn).await?;
    conn.close().await?;
    let relay = PgPoolOptions::new()
        .max_connections(RELAY_CONNECTIONS)
        .acquire_timeout(BUSY_TIMEOUT)
        .connect_lazy_with(options.clone());
    Ok(Opened {
        readers: Readers::new(Connector::Postgres(Box::new(options.clone()))),
        relay: Some(relay),
        writers: vec![Connector::Postgres(Box::new(options)); POSTGRES_WRITERS],
    })
}

/// Brings the schema up to date. One that is newer than this program is left alone.
async fn migrate<C>(migrations: &'static [(i64, &str, &str)], conn: &mut C) -> Result<()>
where
    C: sqlx::migrate::Migrate,
{
    let done = migrator(migrations).run_direct(None, conn, false).await;
    done.map_err(|error| match error {
        MigrateError::VersionMissing(found) => Error::Newer {
            found,
            known: migrations.last().map_or(0, |(number, ..)| *number),
        },
        MigrateError::VersionMismatch(number) => Error::damaged(format!(
            "schema {number} of the database is not the one that this program made"
        )),
        MigrateError::Dirty(number) => Error::damaged(format!(
            "the upgrade to schema {number} broke off; restore the backup made before it"
        )),
        other => Error::Unavailable(other.to_string()),
    })
}

fn migrator(migrations: &'static [(i64, &'static str, &'static str)]) -> Migrator {
    Migrator::with_migrations(
        migrations
            .iter()
            .map(|(number, name, text)| {
                Migration::new(
                    *number,
                    Cow::Borrowed(*name),
                    MigrationType::Simple,
                    text.into_sql_str(),
                    false,
                )
            })
            .collect(),
    )
}
