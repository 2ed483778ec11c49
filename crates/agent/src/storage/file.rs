//! The journal on disk: one line per committed group, `crc32 json`, synchronised before it counts. A torn last line
//! (power cut, kill -9 in the middle of a write) is dropped when reading; it was never acknowledged.
//! Now and then the journal is replaced by a snapshot of itself: temporary file, fsync, rename, fsync of the directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Entry, Storage, StorageError};
use crate::limits::JOURNAL_BYTES_BEFORE_COMPACTION;

/// First line of the journal; the number changes when older programs could not read it any more.
const HEADER: &str = "headend-agent-state 1\n";

/// State in `DIRECTORY/state.journal`.
#[derive(Debug)]
pub struct FileStorage {
    directory: PathBuf,
    /// The directory itself, to be synchronised after a rename in it.
    names: File,
    /// The file that is called `state.journal` now, for appending.
    journal: File,
    /// Bytes of the journal that were acknowledged.
    length: u64,
    /// More than `length` may be in the journal: a write failed, and cutting its rest off failed as well.
    torn: bool,
    /// The journal got its name, but the directory is not synchronised: a power cut may bring the old one back.
    unnamed: bool,
    /// Length right after the last snapshot.
    compacted: u64,
    /// Held for its lock as long as the storage is open.
    _lock: File,
}

impl FileStorage {
    /// Opens or creates the state in `directory`, which is created as well.
    pub fn open(directory: &Path) -> Result<FileStorage, StorageError> {
        // The state holds credentials: nobody else reads it.
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(directory).map_err(io_error(directory))?;
        let lock_path = directory.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(io_error(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(StorageError::InUse(directory.display().to_string()));
            }
            Err(fs::TryLockError::Error(source)) => return Err(io_error(&lock_path)(source)),
        }
        let names = File::open(directory).map_err(io_error(directory))?;
        let path = directory.join("state.journal");
        let journal = match OpenOptions::new().read(true).append(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let journal = replace(directory, HEADER.as_bytes()).map_err(io_error(&path))?;
                names.sync_all().map_err(io_error(directory))?;
                journal
            }
            other => other.map_err(io_error(&path))?,
        };
        Ok(FileStorage {
            directory: directory.to_owned(),
            names,
            journal,
            length: 0,
            torn: false,
            unnamed: false,
            compacted: 0,
            _lock: lock,
        })
    }

    /// Makes good what an earlier failure left; nothing is acknowledged before it is.
    fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            self.journal.set_len(self.length)?;
            self.journal.sync_all()?;
            self.torn = false;
        }
        if self.unnamed {
            self.names.sync_all()?;
            self.unnamed = false;
        }
        Ok(())
    }

    /// The journal's file name.
    pub fn path(&self) -> PathBuf {
        self.directory.join("state.journal")
    }

    fn damaged(&self, reason: impl Into<String>) -> StorageError {
        StorageError::Damaged {
            path: self.path().display().to_string(),
            reason: reason.into(),
        }
    }
}

impl Storage for FileStorage {
    fn load(&mut self) -> Result<Vec<Entry>, StorageError> {
        let path = self.path();
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(io_error(&path))?;
        let Some(body) = bytes.strip_prefix(HEADER.as_bytes()) else {
            return Err(self.damaged("it does not start with the line of an agent's state"));
        };
        let mut entries = Vec::new();
        let mut good = HEADER.len();
        let mut rest = body;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let Some(group) = decode(&rest[..end]) else {
                break;
            };
            entries.extend(group);
            good += end + 1;
            rest = &rest[end + 1..];
        }
        // What follows the first bad line was never acknowledged, unless a good line follows it: then it is damage.
        let later_good_line = rest
            .split(|byte| *byte == b'\n')
            .skip(1)
            .any(|line| !line.is_empty() && decode(line).is_some());
        if later_good_line {
            return Err(self.damaged(format!(
                "the entry at byte {good} is damaged, later ones are not"
            )));
        }
        if good < bytes.len() {
            tracing::info!(path = %path.display(), dropped = bytes.len() - good, "dropped an unfinished journal entry");
            self.journal
                .set_len(good as u64)
                .and_then(|()| self.journal.sync_all())
                .map_err(io_error(&path))?;
        }
        self.length = good as u64;
        Ok(entries)
    }

    fn commit(&mut self, entries: &[Entry]) -> Result<bool, StorageError> {
        if entries.is_empty() {
            return Ok(false);
        }
        let path = self.path();
        let line = encode(entries).map_err(io_error(&path))?;
        self.mend().map_err(io_error(&path))?;
        let written = self
            .journal
            .write_all(&line)
            .and_then(|()| self.journal.sync_data());
        if let Err(source) = written {
            // Whatever part reached the file must not be replayed: the controller hears that it failed.
            self.torn = true;
            if let Err(error) = self.mend() {
                tracing::error!(%error, "the journal could not be cut back after a failed write");
            }
            return Err(io_error(&path)(source));
        }
        self.length += line.len() as u64;
        Ok(self.length > JOURNAL_BYTES_BEFORE_COMPACTION && self.length > self.compacted * 4)
    }

    fn compact(&mut self, snapshot: &[Entry]) -> Result<(), StorageError> {
        let path = self.path();
        let mut bytes = HEADER.as_bytes().to_vec();
        if !snapshot.is_empty() {
            bytes.extend(encode(snapshot).map_err(io_error(&path))?);
        }
        // From the rename on this is the journal, whatever fails after it: the old one has no name any more.
        self.journal = replace(&self.directory, &bytes).map_err(io_error(&path))?;
        self.length = bytes.len() as u64;
        self.compacted = self.length;
        (self.torn, self.unnamed) = (false, true);
        self.mend().map_err(io_error(&self.directory))
    }
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> StorageError {
    let path = path.display().to_string();
    move |source| StorageError::Io {
        path: path.clone(),
        source,
    }
}

/// Writes aside, synchronises and renames: at any instant there is one whole journal. Returns the new one, for
/// appending; its name is safe only when the directory is synchronised.
fn replace(directory: &Path, bytes: &[u8]) -> io::Result<File> {
    let aside = directory.join("state.tmp");
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.create_new(true).read(true).append(true).mode(0o600);
    let mut file = options.open(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, directory.join("state.journal"))?;
    Ok(file)
}

fn encode(entries: &[Entry]) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(entries)?;
    let mut line = format!("{:08x} ", crc32(&json)).into_bytes();
    line.extend(json);
    line.push(b'\n');
    Ok(line)
}

fn decode(line: &[u8]) -> Option<Vec<Entry>> {
    if line.get(8) != Some(&b' ') {
        return None;
    }
    let expected = u32::from_str_radix(std::str::from_utf8(&line[..8]).ok()?, 16).ok()?;
    let json = &line[9..];
    if crc32(json) != expected {
        return None;
    }
    serde_json::from_slice(json).ok()
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(n: usize) -> Vec<Entry> {
        vec![Entry::Set(format!("Device.X.{n}"), n.to_string())]
    }

    #[test]
    fn what_was_committed_is_there_after_opening_again() {
        let directory = tempfile::tempdir().unwrap();
        {
            let mut storage = FileStorage::open(directory.path()).unwrap();
            assert!(storage.load().unwrap().is_empty());
            storage.commit(&set(1)).unwrap();
            storage.commit(&set(2)).unwrap();
        }
        let mut storage = FileStorage::open(directory.path()).unwrap();
        assert_eq!(storage.load().unwrap(), [set(1), set(2)].concat());
    }

    #[test]
    fn a_torn_last_entry_is_dropped_at_every_length_and_the_next_one_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.journal");
        {
            let mut storage = FileStorage::open(directory.path()).unwrap();
            storage.load().unwrap();
            storage.commit(&set(1)).unwrap();
        }
        let whole = fs::read(&path).unwrap();
        let torn = encode(&set(2)).unwrap();
        for cut in 0..torn.len() {
            fs::write(&path, [&whole[..], &torn[..cut]].concat()).unwrap();
            let mut storage = FileStorage::open(directory.path()).unwrap();
            assert_eq!(storage.load().unwrap(), set(1), "cut at {cut}");
            storage.commit(&set(3)).unwrap();
            drop(storage);
            let mut storage = FileStorage::open(directory.path()).unwrap();
            assert_eq!(storage.load().unwrap(), [set(1), set(3)].concat());
        }
    }

    #[test]
    fn damage_in_the_middle_is_not_taken_for_a_torn_end() {
        let directory = tempfile::tempdir().unwrap();
        let mut storage = FileStorage::open(directory.path()).unwrap();
        storage.load().unwrap();
        storage.commit(&set(1)).unwrap();
        storage.commit(&set(2)).unwrap();
        let mut bytes = fs::read(storage.path()).unwrap();
        bytes[HEADER.len() + 12] ^= 1;
        fs::write(storage.path(), bytes).unwrap();
        assert!(matches!(storage.load(), Err(StorageError::Damaged { .. })));
    }

    #[test]
    fn the_state_is_readable_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let mut storage = FileStorage::open(&directory.path().join("new")).unwrap();
        storage.compact(&set(1)).unwrap();
        for path in [storage.path(), directory.path().join("new")] {
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
    }

    #[test]
    fn two_agents_cannot_share_one_directory() {
        let directory = tempfile::tempdir().unwrap();
        let _first = FileStorage::open(directory.path()).unwrap();
        assert!(matches!(
            FileStorage::open(directory.path()),
            Err(StorageError::InUse(_))
        ));
    }

    #[test]
    fn a_long_journal_asks_for_compaction_and_keeps_working_after_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut storage = FileStorage::open(directory.path()).unwrap();
        storage.load().unwrap();
        let big = vec![Entry::Set(
            "Device.X".into(),
            "x".repeat(JOURNAL_BYTES_BEFORE_COMPACTION as usize),
        )];
        assert!(storage.commit(&big).unwrap());
        storage.compact(&set(7)).unwrap();
        assert!(!storage.commit(&set(8)).unwrap());
        assert_eq!(storage.load().unwrap(), [set(7), set(8)].concat());
    }

    /// Something that can be neither written nor synchronised nor cut.
    fn full_disk() -> File {
        OpenOptions::new().append(true).open("/dev/full").unwrap()
    }

    #[test]
    fn a_compaction_that_fails_after_the_rename_loses_nothing_that_is_acknowledged_later() {
        let directory = tempfile::tempdir().unwrap();
        let mut storage = FileStorage::open(directory.path()).unwrap();
        storage.load().unwrap();
        storage.commit(&set(1)).unwrap();
        let names = std::mem::replace(&mut storage.names, full_disk());
        assert!(storage.compact(&set(7)).is_err());
        // As long as a power cut might bring the old journal back, nothing is acknowledged.
        assert!(storage.commit(&set(8)).is_err());
        storage.names = names;
        storage.commit(&set(9)).unwrap();
        drop(storage);
        let mut storage = FileStorage::open(directory.path()).unwrap();
        assert_eq!(storage.load().unwrap(), [set(7), set(9)].concat());
    }

    #[test]
    fn after_a_write_whose_rest_cannot_be_cut_off_nothing_is_acknowledged_until_it_can() {
        let directory = tempfile::tempdir().unwrap();
        let mut storage = FileStorage::open(directory.path()).unwrap();
        storage.load().unwrap();
        storage.commit(&set(1)).unwrap();
        // Half a line reaches the file before the disk gives up.
        let torn = encode(&set(2)).unwrap();
        storage.journal.write_all(&torn[..torn.len() / 2]).unwrap();
        let journal = std::mem::replace(&mut storage.journal, full_disk());
        assert!(storage.commit(&set(2)).is_err());
        assert!(storage.commit(&set(3)).is_err());
        storage.journal = journal;
        storage.commit(&set(4)).unwrap();
        drop(storage);
        let mut storage = FileStorage::open(directory.path()).unwrap();
        assert_eq!(storage.load().unwrap(), [set(1), set(4)].concat());
    }
}
