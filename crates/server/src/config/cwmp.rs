//! The section of the ACS.

use serde::Deserialize;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::DeviceTls;
use crate::southbound::cwmp::limits::PERIODIC_INFORM_SECONDS;
use crate::southbound::cwmp::wake::Network;

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
    /// Seconds of a device's silence, from 30 to 900, after which its session is given up. A message
    /// that is on its way is no silence, and a device may ask for more time (`SessionTimeout`).
    pub silence_seconds: u64,
    /// Seconds between two visits of a device, as each is told when it is brought in: 30 to 604800,
    /// or 0 to leave it as the device has it. Much less than a minute is load and no news; presence
    /// follows what the device was told.
    #[serde(deserialize_with = "periodic")]
    pub periodic_inform_seconds: u64,
    /// Load balancers and proxies in front of the listeners: how many connections come from one of
    /// these addresses is not limited, their `X-Forwarded-For` and `X-Forwarded-Proto` are believed,
    /// and devices behind them are told apart by cookie alone.
    pub proxies: Vec<IpAddr>,
    /// The only networks to which connection requests go; absent is anywhere but to this machine and
    /// to link-local addresses.
    pub wake_networks: Option<Vec<Network>>,
    /// Whether connection requests may show the password to devices that know nothing but Basic.
    pub wake_basic: bool,
    /// A PEM file of authorities that issue the certificates of devices with an `https:`
    /// ConnectionRequestURL; absent believes any.
    pub wake_ca: Option<PathBuf>,
    /// The address of our STUN server, from which UDP connection requests leave; empty is none.
    #[serde(deserialize_with = "super::address_or_none")]
    pub stun_listen: Option<SocketAddr>,
    /// Where devices reach it, `host:port`: they are told when they are brought in; absent tells
    /// them nothing.
    pub stun_address: Option<String>,
    /// Our account at an XMPP server; absent is none.
    pub xmpp: Option<Xmpp>,
}

fn periodic<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let seconds = u64::deserialize(from)?;
    if seconds == 0 || PERIODIC_INFORM_SECONDS.contains(&seconds) {
        return Ok(seconds);
    }
    let (min, max) = PERIODIC_INFORM_SECONDS.into_inner();
    let words = format!("{seconds} is neither 0 nor from {min} to {max}");
    Err(serde::de::Error::custom(words))
}

/// Our account at an XMPP server. Its `Debug` does not show the password.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Xmpp {
    /// `acs@example.net/headend`.
    pub jid: String,
    /// Its password.
    pub password: String,
    /// `host` or `host:port` where that is not the domain of the JID at port 5222.
    #[serde(default)]
    pub host: Option<String>,
    /// Other domains in which devices have their accounts.
    #[serde(default)]
    pub domains: Vec<String>,
    /// TLS begins with the connection, and not with STARTTLS.
    #[serde(default)]
    pub direct_tls: bool,
    /// A PEM file of authorities; absent is the public ones.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

impl fmt::Debug for Xmpp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Xmpp {{ jid: {:?}, host: {:?}, .. }}",
            self.jid, self.host
        )
    }
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
            silence_seconds: 30,
            periodic_inform_seconds: 300,
            proxies: Vec::new(),
            wake_networks: None,
            wake_basic: false,
            wake_ca: None,
            stun_listen: None,
            stun_address: None,
            xmpp: None,
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

#[cfg(test)]
mod tests {
    use crate::Config;
    use crate::config::Override;

    #[test]
    fn waking_is_configured_by_file_and_by_override() {
        let config = Config::parse(
            "[cwmp]\nwake_networks = [\"10.0.0.0/8\", \"2001:db8::/32\"]\nstun_listen = \"0.0.0.0:3478\"\n\
             [cwmp.xmpp]\njid = \"acs@example.net\"\npassword = \"hidden\"\n",
        )
        .unwrap();
        assert_eq!(config.cwmp.wake_networks.as_ref().unwrap().len(), 2);
        assert_eq!(config.cwmp.stun_listen.unwrap().port(), 3478);
        assert!(!format!("{config:?}").contains("hidden"));
        let set = |key: &str, value: &str| Override {
            key: key.to_owned(),
            value: value.to_owned(),
            origin: "--set".to_owned(),
        };
        let good = set("cwmp.wake_networks", "[\"127.0.0.0/8\"]");
        assert!(Config::load(None, &[good]).is_ok());
        let bad = set("cwmp.wake_networks", "[\"10.0.0.0/99\"]");
        let error = Config::load(None, &[bad]).unwrap_err().to_string();
        assert!(error.contains("is not a network"), "{error}");
    }

    /// `PERIODIC_INFORM_SECONDS`
    #[test]
    fn the_interval_of_devices_is_configured_and_one_that_is_none_is_named() {
        assert_eq!(Config::default().cwmp.periodic_inform_seconds, 300);
        let of = |seconds: u64| {
            let text = format!("[cwmp]\nperiodic_inform_seconds = {seconds}\n");
            Config::parse(&text).map(|config| config.cwmp.periodic_inform_seconds)
        };
        for good in [0, 30, 3600, 604_800] {
            assert_eq!(of(good).unwrap(), good);
        }
        for bad in [1, 29, 604_801] {
            let error = of(bad).unwrap_err().to_string();
            assert!(error.contains("from 30 to 604800"), "{error}");
        }
        let short = Override {
            key: "cwmp.periodic_inform_seconds".to_owned(),
            value: "5".to_owned(),
            origin: "--set".to_owned(),
        };
        let error = Config::load(None, &[short]).unwrap_err().to_string();
        assert!(error.contains("from 30 to 604800"), "{error}");
    }
}
