//! The flash of a simulated CWMP device: one JSON file of what differs from the factory.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

use super::tree::Own;

/// Reads what was kept; nothing when there is no file.
pub(super) fn read(path: &Path) -> Result<Own> {
    match std::fs::read(path) {
        Ok(bytes) => {
            let bad = |error| Error::new(ErrorKind::InvalidData, error);
            serde_json::from_slice(&bytes).map_err(bad)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Own::default()),
        Err(error) => Err(error),
    }
}

/// Writes it, whole or not at all.
pub(super) fn write(path: &Path, own: &Own) -> Result<()> {
    let new = path.with_extension("new");
    std::fs::write(&new, serde_json::to_vec(own)?)?;
    std::fs::rename(&new, path)
}
