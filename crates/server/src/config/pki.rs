//! The certificate authority for devices.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Config, Tenants};

/// Days for which a certificate of a device is good, where nothing else is said: what the most common clients accept.
const DAYS: u32 = 397;

/// The certificate authority for devices: made by `headend pki init`, or the operator's own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pki {
    /// The folder with `ca.pem` and, where certificates are issued here, `ca.key`; absent is `pki` in `data_dir`.
    pub folder: Option<PathBuf>,
    /// Days for which a certificate is good, where nothing else is said.
    pub days: u32,
    /// The tenants for whose devices certificates count that were issued elsewhere, by the operator's own authority or one
    /// of `client_ca`: nothing in them says whose device it is. Absent is the only tenant there is, and none where there
    /// are several.
    pub tenants: Option<Tenants>,
}

impl Default for Pki {
    fn default() -> Self {
        Self {
            folder: None,
            days: DAYS,
            tenants: None,
        }
    }
}

impl Config {
    /// Where the authority for devices is.
    pub fn pki_folder(&self) -> PathBuf {
        let folder = self.pki.folder.clone();
        folder.unwrap_or_else(|| self.data_dir.join("pki"))
    }
}
