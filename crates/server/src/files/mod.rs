//! The file service: what devices fetch from us and send to us, over HTTP links that are made for
//! one transfer of one device each, end by themselves, and are remembered as hashes only.
//!
//! * [`folder`]: what is in the files, by content, whole or not at all.
//! * [`take`]: bytes coming in, from people and from devices, within the limits.
//! * [`link`]: the link that stands in for `headend-file:` and `headend-upload:` in a command, at
//!   the moment it is sent, whatever protocol the device speaks.
//! * `serve`: the listener of the devices.
//!
//! Not here: what a command means to a device, and when it is over (crate `fleet`).

pub mod folder;
mod going;
mod handing;
pub mod limits;
pub mod link;
mod listen;
mod range;
pub mod room;
mod serve;
pub mod take;
mod wrong;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fleet::{FileId, NodeId, TenantId, Timestamp};
use store::{FileRecord, Store};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use handing::Handing;
pub use range::serve_content;

use crate::auth::limiter::{Limiter, Rate};
use crate::{Config, StartError, limits as server_limits};
use folder::Folder;
use room::Room;
use wrong::Wrong;

/// What the file service needs.
pub struct Setup {
    /// What is remembered.
    pub store: Store,
    /// As the server was started.
    pub config: Config,
    /// Under which name this node writes.
    pub node: NodeId,
    /// Whose certificate the development authority makes, where there is no other.
    pub endpoint_id: String,
    /// Cancelled when the server stops.
    pub shutdown: CancellationToken,
}

/// The file service of this node.
pub struct Files {
    store: Store,
    config: Config,
    folder: Folder,
    room: Arc<Room>,
    bad_links: Limiter,
    wrong: Wrong,
    /// Where the listeners are in fact bound.
    bound: Bound,
    /// What is being written down of transfers.
    notes: TaskTracker,
    shutdown: CancellationToken,
}

/// Where devices fetch and send.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bound {
    /// Without TLS.
    pub plain: Option<SocketAddr>,
    /// With TLS.
    pub tls: Option<SocketAddr>,
}

/// Starts it: the folder is opened, the listeners are bound. The tasks end after the shutdown.
pub async fn start(setup: Setup) -> Result<(Arc<Files>, Vec<JoinHandle<()>>), StartError> {
    let Setup {
        store,
        config,
        node,
        endpoint_id,
        shutdown,
    } = setup;
    let root = config.files_folder();
    let folder = Folder::open(&root, node.as_str()).await;
    let folder = folder.map_err(|source| StartError::Files {
        path: root.display().to_string(),
        source,
    })?;
    let listeners = listen::bind(&config, &endpoint_id).await?;
    let files = Arc::new(Files {
        store,
        room: Arc::new(Room::new(&config.files)),
        config,
        folder,
        bad_links: Limiter::new(Rate {
            burst: limits::BAD_LINK_BURST,
            per_second: limits::BAD_LINKS_PER_SECOND,
        }),
        wrong: Wrong::new(limits::BAD_LINKS_KEPT),
        bound: listeners.bound()?,
        notes: TaskTracker::new(),
        shutdown: shutdown.clone(),
    });
    let mut tasks = listeners.serve(serve::router(files.clone()), &shutdown);
    tasks.push(tokio::spawn(files.clone().upkeep()));
    Ok((files, tasks))
}

impl Files {
    /// Where devices fetch and send.
    pub fn bound(&self) -> Bound {
        self.bound
    }

    /// Whether devices can fetch and send here, or under the configured URL.
    pub fn serves(&self) -> bool {
        let bound = self.bound;
        bound.plain.is_some() || bound.tls.is_some() || self.config.files.public_url.is_some()
    }

    /// Where what is in a file lies.
    pub fn path(&self, record: &FileRecord) -> PathBuf {
        self.folder.path(&record.tenant, &record.file.sha256)
    }

    /// Transfers under way.
    pub fn transfers(&self) -> usize {
        self.room.transfers()
    }

    /// Removes a file that no device has a link to, and what was in it when no other has it.
    pub async fn remove(
        &self,
        tenant: &TenantId,
        id: FileId,
        now: Timestamp,
        events: Vec<fleet::Event>,
    ) -> store::Result<FileRecord> {
        let removed = self.store.file_delete(tenant, id, now, events).await?;
        let content = removed.file.sha256;
        self.folder
            .drop_unwanted(&self.store, tenant, &content)
            .await;
        Ok(removed)
    }

    /// Cleans the folder now and then; at the stop, waits for what is being written down.
    async fn upkeep(self: Arc<Self>) {
        // The first cleaning soon after the start, and not in the middle of it.
        let mut wait = Duration::from_secs(60);
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
            wait = limits::CLEAN_EVERY;
            match self.folder.clean(&self.store, SystemTime::now()).await {
                Ok(0) => {}
                Ok(removed) => {
                    tracing::info!(removed, "contents of files that are gone were removed")
                }
                Err(error) => {
                    tracing::warn!(%error, "the folder of the files could not be looked through")
                }
            }
        }
        self.notes.close();
        if tokio::time::timeout(server_limits::DRAIN_TIME_MAX * 2, self.notes.wait())
            .await
            .is_err()
        {
            tracing::warn!("how far some transfers came could not be written down");
        }
    }
}
