//! What Headend remembers: one set of functions over SQLite and PostgreSQL.
//!
//! Every function that touches a tenant's rows takes the tenant first, and every key and query contains it; the few
//! that look a credential up by its hash, and so find the tenant, say so in their name. Time comes in as an
//! argument. What has been answered survives a power cut. It knows no wire protocol, no HTTP and no clock.
//!
//! One file per resource; the machinery below them is `database` (opening, migrating), `sql` (one statement text for
//! both databases) and `writer` (group commit).

mod broker_queue;
pub mod certificate;
mod damaged;
mod database;
pub mod device;
mod device_list;
pub mod device_match;
mod error;
pub mod event;
mod expect;
pub mod file;
mod former;
mod gather;
pub mod idempotency;
pub mod identity;
mod job;
mod lapse;
pub mod lease;
pub mod limits;
mod login;
pub mod management_session;
pub mod merge;
pub mod model;
pub mod notification;
pub mod operation;
pub mod path;
mod protocol;
mod readers;
mod readmission;
pub mod refusal;
mod removal;
mod search;
pub mod session;
mod setting;
pub mod setup_key;
mod sql;
pub mod state;
pub mod swap;
mod tag;
pub mod tenant;
pub mod testing;
mod text;
pub mod token;
mod transaction;
pub mod transcript;
pub mod transfer;
pub mod user;
pub mod value;
mod value_codec;
mod visit;
mod writer;
mod written;

use std::fmt;

use fleet::{DeviceId, TenantId};
use tokio::sync::broadcast;

pub use certificate::{
    CertificateFilter, CertificateRecord, NewCertificate, Revocation, revoked_event,
};
pub use damaged::DamagedOperation;
pub use device::{DevicePatch, DeviceRecord, NewDevice};
pub use device_list::{
    DeviceFilter, DevicePage, DeviceSort, DeviceSortBy, Facet, FacetField, Search,
};
pub use device_match::MatchRecord;
pub use error::{Error, Result};
pub use event::{EventFilter, EventHead, EventOrder, EventPage, EventRecord};
pub use file::{FileFilter, FilePatch, FileRecord, NewFile};
pub use idempotency::{Idempotency, IdempotencyKey, IdempotentAnswer};
pub use identity::IdentityRecord;
pub use lapse::{Astray, Heard, LinkNumber, LostLinks};
pub use lease::{Claim, Due, OpenPlace, OperationSave};
pub use login::{Returners, Returning};
pub use management_session::{ManagementSession, SessionEntry, SessionFault, SessionTranscript};
pub use merge::Split;
pub use model::{ModelKeys, ModelRecord};
pub use notification::{Committed, Notification};
pub use operation::{Created, OperationFilter, OperationRecord};
pub use path::{CredentialMatch, PathEnd, PathLink, PathPatch, PathRecord, PathSetup};
pub use refusal::{NewRefusal, RefusalRecord};
pub use session::{NewSession, SessionRecord};
pub use setup_key::{NewSetupKey, SetupKeyRecord};
pub use swap::{Swap, SwapClaim};
pub use tenant::{TenantPatch, TenantRecord};
pub use token::{NewToken, TokenRecord};
pub use transcript::TranscriptEntry;
pub use transfer::{LinkRecord, NewTransfer, TransferRecord, TransferStep};
pub use user::{NewUser, UserPatch, UserRecord};
pub use value::{KnownValue, Redescribed, ValueSource, ValueUpdate};
pub use visit::{Visit, VisitPath};

use crate::gather::Gather;
use crate::readers::Readers;
use crate::sql::{Row, Sql};
use crate::writer::{BoxFuture, Tx, Writers};
use crate::written::Written;

/// A SHA-256 hash of a secret; the secret itself is never stored.
pub type SecretHash = [u8; 32];

/// An open database. Cloning it is cheap, all clones share connections and writers.
#[derive(Clone)]
pub struct Store {
    readers: Readers,
    writers: Writers,
    heads: broadcast::Sender<EventHead>,
    /// Which devices have open operations.
    open_operations: Gather<(TenantId, DeviceId), ()>,
    /// The writes of documents of devices.
    written: Written,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.database())
    }
}

impl Store {
    /// Opens `sqlite://path` or `postgres://user@host/database`, and brings its schema up to date.
    pub async fn open(url: &str) -> Result<Store> {
        let opened = database::open(url).await?;
        let (heads, _) = broadcast::channel(limits::WATCH_LAG_MAX);
        let (own, announced) = broadcast::channel(limits::WATCH_LAG_MAX);
        if let Some(pool) = opened.relay {
            tokio::spawn(event::relay(pool, heads.clone(), announced));
        }
        Ok(Store {
            open_operations: lease::open_operations(opened.readers.clone()),
            readers: opened.readers,
            writers: Writers::start(opened.writers, [heads.clone(), own]),
            heads,
            written: Written::default(),
        })
    }

    /// Whether the database answers and takes writes, for `/readyz`. Only after a write has failed does it try one.
    pub async fn ready(&self) -> Result<()> {
        self.one(sql::sql("SELECT 1")).await?;
        if !self.writers.failing() {
            return Ok(());
        }
        self.write_global(|tx| {
            // Of no tenant: whoever has a tenant's turn may wait for what this group holds already.
            const SAME: &str =
                "UPDATE setting SET value = value WHERE name = (SELECT min(name) FROM setting)";
            Box::pin(async move { tx.execute(sql::sql(SAME)).await.map(drop) })
        })
        .await
    }

    /// The name of the database in use: `sqlite` or `postgres`.
    pub fn database(&self) -> &'static str {
        if self.readers.is_sqlite() {
            "sqlite"
        } else {
            "postgres"
        }
    }

    pub(crate) async fn all(&self, sql: Sql) -> Result<Vec<Row>> {
        self.readers.all(sql).await
    }

    pub(crate) async fn optional(&self, sql: Sql) -> Result<Option<Row>> {
        self.readers.optional(sql).await
    }

    pub(crate) async fn one(&self, sql: Sql) -> Result<Row> {
        self.optional(sql).await?.ok_or(Error::NotFound("row"))
    }

    /// A transaction in the tenant's turn; answered when it is durable.
    pub(crate) async fn write<T, F>(&self, tenant: &TenantId, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        self.writers.write(Some(tenant), work).await
    }

    /// The same, where documents of these devices are written.
    pub(crate) async fn write_of<T, F>(
        &self,
        tenant: &TenantId,
        devices: Vec<DeviceId>,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        let writing = self.written.begin(devices);
        let write = self.write(tenant, move |tx| {
            let done = work(tx);
            // Given back with the answer: it is under way until the commit is over, whoever waits for it.
            Box::pin(async move { Ok((done.await?, writing)) })
        });
        write.await.map(|(done, _)| done)
    }

    /// A transaction on rows that belong to no tenant, or whose tenant is not known yet.
    pub(crate) async fn write_global<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        self.writers.write(None, work).await
    }

    /// One statement as a transaction; the number of rows it touched.
    pub(crate) async fn execute(&self, tenant: &TenantId, sql: Sql) -> Result<u64> {
        self.write(tenant, move |tx| Box::pin(tx.execute(sql)))
            .await
    }
}

/// Rows into records, for lists: one that is damaged is left out and told to the log, so that it does not take the
/// others with it.
pub(crate) fn readable<T>(
    rows: &[Row],
    what: &'static str,
    read: impl Fn(&Row) -> Result<T>,
) -> Result<Vec<T>> {
    let mut out = Vec::with_capacity(rows.len());
    for row in rows {
        match read(row) {
            Ok(record) => out.push(record),
            Err(Error::Damaged(why)) => {
                tracing::error!(what, why, "a damaged row was left out of a list");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(out)
}

/// Rows into records.
pub(crate) fn collect<T>(rows: &[Row], read: impl Fn(&Row) -> Result<T>) -> Result<Vec<T>> {
    rows.iter().map(read).collect()
}

/// Fails when nothing was touched.
pub(crate) fn touched(rows: u64, what: &'static str) -> Result<()> {
    if rows == 0 {
        Err(Error::NotFound(what))
    } else {
        Ok(())
    }
}
