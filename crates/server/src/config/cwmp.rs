//! The section of the ACS.

use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};

use super::DeviceTls;

/// The side of the devices that speak TR-069 (CWMP): the ACS.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cwmp {
    /// The address of the HTTP listener; an empty text is none.
    #[serde(deserialize_with = "super::address_or_none")]
    pub listen: Option<SocketAddr>,
    /// The address of the HTTPS listener.
    #[serde(deserialize_with = "super::address_or_none")]
    pub tls_listen: Option<SocketAddr>,
    /// The certificate of the HTTPS listener; absent makes a development authority in `data_dir`.
    pub tls: Option<DeviceTls>,
    /// The URL under which devices reach a listener, like `https://acs.example.net/cwmp`.
    pub public_url: Option<String>,
    /// The realm of the HTTP authentication. Devices mix it into what they prove their password
    /// with, so that it has to be the same on all nodes.
    pub realm: String,
    /// The hashes that Digest offers, the first one first: old devices know only the first.
    pub digest: Vec<DigestHash>,
    /// Whether Digest offers `qop`. Some old devices answer only challenges without.
    pub digest_qop: bool,
    /// When Basic is offered, which shows the password to whoever listens.
    pub basic: OfferBasic,
    /// Load balancers and proxies in front of the listeners: how many connections come from one of
    /// these addresses is not limited, their `X-Forwarded-For` and `X-Forwarded-Proto` are believed,
    /// and devices behind them are told apart by cookie alone.
    pub proxies: Vec<IpAddr>,
}

impl Default for Cwmp {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from(([0, 0, 0, 0], 7547))),
            tls_listen: None,
            tls: None,
            public_url: None,
            realm: "headend".to_owned(),
            digest: vec![DigestHash::Md5, DigestHash::Sha256],
            digest_qop: true,
            basic: OfferBasic::Tls,
            proxies: Vec::new(),
        }
    }
}

/// A hash of Digest authentication.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum DigestHash {
    /// What every device knows.
    #[serde(rename = "MD5")]
    Md5,
    /// RFC 7616.
    #[serde(rename = "SHA-256")]
    Sha256,
}

/// When Basic authentication is offered. A device that shows it unasked is let in either way: the
/// harm is done.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum OfferBasic {
    /// Over TLS.
    Tls,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}
