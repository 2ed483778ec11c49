//! The folder in which a server keeps its files: readable by its owner alone, and used by one server at a time.
//! Two servers on one folder would take each other's devices for lost and might both drive one operation.

use crate::StartError;
use std::fs::{DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// The name of the lock in the folder.
const LOCK: &str = "lock";
/// Databases, keys and certificates are nobody else's business.
const OWNER_ONLY: u32 = 0o700;

/// The folder, ours until this is dropped (or the process ends, however it ends).
#[derive(Debug)]
pub struct DataDir {
    _lock: File,
}

impl DataDir {
    /// Makes the folder if need be and takes it.
    pub fn take(path: &Path) -> Result<DataDir, StartError> {
        let failed = |source| StartError::DataDir {
            path: path.display().to_string(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(OWNER_ONLY)
            .create(path)
            .map_err(failed)?;
        std::fs::set_permissions(path, Permissions::from_mode(OWNER_ONLY)).map_err(failed)?;
        let lock = File::create(path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(DataDir { _lock: lock }),
            Err(std::fs::TryLockError::WouldBlock) => Err(StartError::DataDirInUse {
                path: path.display().to_string(),
            }),
            Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_is_refused_and_free_again_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let first = DataDir::take(&path).unwrap();
        let error = DataDir::take(&path).unwrap_err().to_string();
        assert!(error.contains("another server"), "{error}");
        drop(first);
        DataDir::take(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, OWNER_ONLY);
    }
}
