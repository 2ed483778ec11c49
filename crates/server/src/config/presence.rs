//! When a device is there.

use serde::Deserialize;

/// When a device counts as silent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Presence {
    /// Seconds without a sign of life on an open link.
    pub silent_after_seconds: u64,
}

impl Default for Presence {
    fn default() -> Self {
        Self {
            silent_after_seconds: fleet::limits::SILENT_AFTER.as_secs(),
        }
    }
}
