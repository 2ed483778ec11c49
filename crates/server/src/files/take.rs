//! Bytes coming in, from people and from devices: written as they come, counted, hashed, and given
//! up at the first limit they meet.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use fleet::TenantId;
use futures_util::StreamExt as _;

use super::Files;
use super::folder::Incoming;
use super::limits::{FREE_LOOK_BYTES, REQUEST_TIME_MAX, STALL_TIME_MAX};
use super::room::{Coming, Place};

/// Why bytes were not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// More than a file may have.
    #[error("there may be {} bytes ({})", .0.bytes, .0.by)]
    TooLarge(Most),
    /// Nothing at all: no backup is empty, and clients of HTTP try with nothing what the answer is.
    #[error("no bytes came")]
    Nothing,
    /// More than the tenant has left.
    #[error("there is room for {left} bytes more of this tenant's {max} (files.tenant_bytes_max)")]
    Quota {
        /// What is left.
        left: u64,
        /// The limit.
        max: u64,
    },
    /// More than the disk has left.
    #[error("the disk is full: less than {min} bytes would be free (files.free_bytes_min)")]
    DiskFull {
        /// What stays free.
        min: u64,
    },
    /// Nothing came for a while, or not all of it in time.
    #[error("the bytes stopped coming: {got} were there after {} s", after.as_secs())]
    Slow {
        /// What had come.
        got: u64,
        /// After how long.
        after: Duration,
    },
    /// The connection broke before everything was there.
    #[error("the bytes broke off after {got}")]
    BrokeOff {
        /// What had come.
        got: u64,
    },
    /// The folder cannot be written.
    #[error("files: {0}")]
    Folder(#[from] io::Error),
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// How many bytes there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// So many.
    pub bytes: u64,
    /// What limits them.
    pub by: &'static str,
    /// So many of them are here already if they are the same, and need no room of the tenant.
    pub here: u64,
}

/// Bytes that are there, on the disk, without a name yet.
#[derive(Debug)]
pub struct Taken {
    /// The bytes.
    pub incoming: Incoming,
    /// Their room, held until they have a row.
    pub room: Coming,
}

impl Files {
    /// What a file may have.
    pub fn file_bytes_max(&self) -> Most {
        Most {
            bytes: self.config.files.file_bytes_max,
            by: "files.file_bytes_max",
            here: 0,
        }
    }

    /// Takes a body. `declared` is its length where it is known before. `seen` hears how many bytes
    /// are there; `place` sets the pace, where there is one.
    pub async fn take(
        self: &Arc<Self>,
        tenant: &TenantId,
        most: Most,
        declared: Option<u64>,
        body: Body,
        place: Option<&Place>,
        mut seen: impl FnMut(u64),
    ) -> Result<Taken, TakeError> {
        let config = &self.config.files;
        if declared.is_some_and(|length| length > most.bytes) {
            return Err(TakeError::TooLarge(most));
        }
        let used = self.store.file_usage(tenant).await?;
        let left = config.tenant_bytes_max.saturating_sub(used);
        let quota = || TakeError::Quota {
            left,
            max: config.tenant_bytes_max,
        };
        let mut room = self.room.expect(tenant, left, most.here);
        if !room.grow_to(declared.unwrap_or(0)) {
            return Err(quota());
        }
        self.look_for_space(declared.unwrap_or(0))?;
        let mut incoming = self.folder.receive().await?;
        let mut bytes = body.into_data_stream();
        let mut look_at = FREE_LOOK_BYTES;
        let ends = tokio::time::Instant::now() + REQUEST_TIME_MAX;
        loop {
            let patience = ends.min(tokio::time::Instant::now() + STALL_TIME_MAX);
            let slow = |got| TakeError::Slow {
                got,
                after: STALL_TIME_MAX,
            };
            let next = tokio::time::timeout_at(patience, bytes.next()).await;
            let next = next.map_err(|_| slow(incoming.size()))?;
            let Some(chunk) = next else { break };
            let chunk = chunk.map_err(|_| TakeError::BrokeOff {
                got: incoming.size(),
            })?;
            let size = incoming.size() + chunk.len() as u64;
            if size > most.bytes {
                return Err(TakeError::TooLarge(most));
            }
            if !room.grow_to(size) {
                return Err(quota());
            }
            if size >= look_at {
                look_at = size + FREE_LOOK_BYTES;
                self.look_for_space(0)?;
            }
            incoming.write(&chunk).await?;
            seen(size);
            if let Some(place) = place {
                place.go(chunk.len()).await;
            }
        }
        // hyper gives an error when less came than was declared.
        if incoming.size() == 0 {
            return Err(TakeError::Nothing);
        }
        Ok(Taken { incoming, room })
    }

    fn look_for_space(&self, coming: u64) -> Result<(), TakeError> {
        let min = self.config.files.free_bytes_min;
        if self.folder.free()? < min.saturating_add(coming) {
            return Err(TakeError::DiskFull { min });
        }
        Ok(())
    }

    /// Gives what is there its name and its row.
    pub async fn keep<T, F>(
        &self,
        tenant: &TenantId,
        taken: Taken,
        row: impl FnOnce(super::folder::Content) -> F,
    ) -> store::Result<T>
    where
        F: Future<Output = store::Result<T>>,
    {
        let Taken { incoming, room } = taken;
        let kept = self.folder.keep(&self.store, tenant, incoming, row).await;
        drop(room);
        kept
    }

    /// Bytes that a tenant may have in files.
    pub fn quota(&self) -> u64 {
        self.config.files.tenant_bytes_max
    }
}
