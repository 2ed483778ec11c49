//! Where brokers of others ask who may come in.

use std::net::SocketAddr;
use std::path::PathBuf;

use broker::Topics;
use serde::Deserialize;

use super::TlsFiles;

/// The listener that brokers of others ask over HTTP. Not for devices: keep it where only the brokers are.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrokerAuth {
    /// The address to listen on; none is nobody asks.
    #[serde(deserialize_with = "super::address_or_none")]
    pub listen: Option<SocketAddr>,
    /// Serve HTTPS with these files.
    pub tls: Option<TlsFiles>,
    /// A file with the secret that stands in the URL, at least 32 letters, digits, dashes and underscores.
    pub secret_file: Option<PathBuf>,
    /// What all topics begin with.
    #[serde(deserialize_with = "super::mqtt::prefix")]
    pub topic_prefix: Topics,
}
