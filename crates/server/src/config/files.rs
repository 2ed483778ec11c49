//! The section of the file service.

use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::DeviceTls;
use crate::files::limits;

/// The files that devices fetch and send, and where they do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Files {
    /// The address of the plaintext HTTP listener; an empty text is none.
    #[serde(deserialize_with = "super::address_or_none")]
    pub listen: Option<SocketAddr>,
    /// The address of the HTTPS listener.
    #[serde(deserialize_with = "super::address_or_none")]
    pub tls_listen: Option<SocketAddr>,
    /// The certificate of the HTTPS listener; absent makes a development authority in `data_dir`.
    pub tls: Option<DeviceTls>,
    /// The URL under which devices reach a listener, like `https://files.example.net`.
    pub public_url: Option<String>,
    /// Load balancers and proxies in front of the listeners: their `X-Forwarded-For` is believed, and how
    /// many connections come from one of them is not limited.
    pub proxies: Vec<IpAddr>,
    /// Where the files are kept; absent is `files` in `data_dir`. Nodes of one installation share it.
    pub folder: Option<PathBuf>,
    /// Bytes of one file.
    pub file_bytes_max: u64,
    /// Bytes of all files of one tenant, each content counted once.
    pub tenant_bytes_max: u64,
    /// Bytes that stay free on the disk.
    pub free_bytes_min: u64,
    /// Transfers at one time.
    pub transfers_max: usize,
    /// Transfers of one tenant at one time.
    pub tenant_transfers_max: usize,
    /// Bytes per second of all transfers together; 0 is as fast as it goes.
    pub bytes_per_second: u64,
    /// Bytes per second of the transfers of one tenant; 0 is as fast as it goes.
    pub tenant_bytes_per_second: u64,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from(([0, 0, 0, 0], 7549))),
            tls_listen: None,
            tls: None,
            public_url: None,
            proxies: Vec::new(),
            folder: None,
            file_bytes_max: limits::FILE_BYTES_MAX,
            tenant_bytes_max: limits::TENANT_BYTES_MAX,
            free_bytes_min: limits::FREE_BYTES_MIN,
            transfers_max: limits::TRANSFERS_MAX,
            tenant_transfers_max: limits::TENANT_TRANSFERS_MAX,
            bytes_per_second: 0,
            tenant_bytes_per_second: 0,
        }
    }
}
