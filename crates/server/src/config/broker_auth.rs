//! Where brokers of others ask who may come in.

use std::net::SocketAddr;
use std::path::PathBuf;

use broker::Topics;
use serde::Deserialize;

use super::{Tenants, TlsFiles};

/// The listener that brokers of others ask over HTTP. Not for devices: keep it where only the brokers are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrokerAuth {
    /// The address to listen on; none is nobody asks.
    #[serde(deserialize_with = "super::address_or_none")]
    pub listen: Option<SocketAddr>,
    /// Serve HTTPS with these files.
    pub tls: Option<TlsFiles>,
    /// A file with the secret that stands in the URL, at least 32 letters, digits, dashes and underscores. Several, each
    /// on a line, are all good: while one is replaced.
    pub secret_file: Option<PathBuf>,
    /// What topics at brokers that ask begin with, beside those of `usp.brokers` with `asks`; where there is neither, the
    /// usual.
    #[serde(deserialize_with = "super::mqtt::prefix_given")]
    pub topic_prefix: Option<Topics>,
    /// The tenants whose devices are behind the brokers that ask. Absent is those of `usp.brokers` with `asks`, and the
    /// only tenant there is where these name none.
    pub tenants: Option<Tenants>,
    /// The virtual host of a RabbitMQ in which devices are: they come into no other.
    pub vhost: String,
}

impl Default for BrokerAuth {
    fn default() -> Self {
        Self {
            listen: None,
            tls: None,
            secret_file: None,
            topic_prefix: None,
            tenants: None,
            vhost: "/".to_owned(),
        }
    }
}
