//! Where an agent keeps what must survive: a journal of small entries, replayed at start. Deliberately not a database:
//! one writer, no queries, a few hundred values.

mod file;

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

pub use file::FileStorage;

/// One change of the persistent state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A parameter has this value. Names that start with `~` are the engine's own notes.
    #[serde(rename = "s")]
    Set(String, String),
    /// A parameter is at its default again.
    #[serde(rename = "u")]
    Unset(String),
    /// A row exists in a table.
    #[serde(rename = "a")]
    Insert(String, u32),
    /// A row is gone, with everything below it.
    #[serde(rename = "d")]
    Remove(String, u32),
    /// The table's next instance number, so that numbers are not given twice.
    #[serde(rename = "n")]
    Next(String, u32),
}

/// Why the state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The operating system said no.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: String,
        /// What went wrong.
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error("{0} is in use by another agent")]
    InUse(String),
    /// Not ours, or damaged in the middle.
    #[error("{path} cannot be used as agent state: {reason}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A place for the state. `commit` returns only when the entries survive a crash; the engine answers after that.
pub trait Storage: Send {
    /// Everything committed so far, in order.
    fn load(&mut self) -> Result<Vec<Entry>, StorageError>;

    /// Appends one all-or-nothing group of entries. Returns `true` when the storage would like a [`Storage::compact`].
    fn commit(&mut self, entries: &[Entry]) -> Result<bool, StorageError>;

    /// Replaces everything by `snapshot`, atomically.
    fn compact(&mut self, snapshot: &[Entry]) -> Result<(), StorageError>;
}

/// State in memory, shared by all clones: for simulated devices, whose "flash" outlives a reboot but not the process.
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage {
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl MemoryStorage {
    /// Empty.
    pub fn new() -> MemoryStorage {
        MemoryStorage::default()
    }

    /// How many entries are held.
    pub fn len(&self) -> usize {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Nothing was ever committed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A journal in memory is rewritten when it has this many entries: it is there to be small.
const MEMORY_ENTRIES_BEFORE_COMPACTION: usize = 512;

impl Storage for MemoryStorage {
    fn load(&mut self) -> Result<Vec<Entry>, StorageError> {
        Ok(self
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone())
    }

    fn commit(&mut self, entries: &[Entry]) -> Result<bool, StorageError> {
        let mut all = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(entries);
        Ok(all.len() > MEMORY_ENTRIES_BEFORE_COMPACTION)
    }

    fn compact(&mut self, snapshot: &[Entry]) -> Result<(), StorageError> {
        let mut all = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        *all = snapshot.to_vec();
        Ok(())
    }
}

/// Keeps nothing: every start is the first.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoStorage;

impl Storage for NoStorage {
    fn load(&mut self) -> Result<Vec<Entry>, StorageError> {
        Ok(Vec::new())
    }

    fn commit(&mut self, _: &[Entry]) -> Result<bool, StorageError> {
        Ok(false)
    }

    fn compact(&mut self, _: &[Entry]) -> Result<(), StorageError> {
        Ok(())
    }
}
