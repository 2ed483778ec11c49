//! The configuration of a server: a TOML file, then `HEADEND__SECTION__KEY` of the environment,
//! then the command line. A wrong key or value is named with its line, variable or flag. Nothing
//! here opens anything.

mod address;
mod broker;
mod broker_auth;
mod cwmp;
mod discovery;
mod files;

pub use broker::{Broker, BrokerUrl, Protocol, Tenants};
pub use broker_auth::BrokerAuth;
pub use cwmp::{Cwmp, DigestHash, OfferBasic, Xmpp};
pub use discovery::Discovery;
pub use files::Files;

mod matching;
mod mqtt;
mod pki;
mod presence;

pub use matching::Matching;
pub use mqtt::Mqtt;
pub use pki::Pki;
pub use presence::Presence;

mod session_context;

pub use session_context::{ContextIdentity, PayloadSecurity, SessionContext, SessionMode};

use address::{address, address_or_none};
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// Everything a server can be told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where files are kept: the embedded database, development certificates.
    pub data_dir: PathBuf,
    /// `sqlite://path` or `postgres://user@host/database`; absent is SQLite in `data_dir`.
    pub database: Option<String>,
    /// The console and the API.
    pub http: Http,
    /// The side of the devices that speak USP.
    pub usp: Usp,
    /// The broker inside, for devices that speak USP over MQTT.
    pub mqtt: Mqtt,
    /// Where brokers of others ask who may come in.
    pub broker_auth: BrokerAuth,
    /// The side of the devices that speak TR-069 (CWMP).
    pub cwmp: Cwmp,
    /// The files that devices fetch and send.
    pub files: Files,
    /// The certificate authority for devices.
    pub pki: Pki,
    /// Multicast DNS on the local network.
    pub discovery: Discovery,
    /// When a device counts as silent.
    pub presence: Presence,
    /// How long things are kept.
    pub retention: Retention,
    /// Where the key is that secrets are sealed with.
    pub secrets: Secrets,
    /// When devices of two protocols are one.
    pub matching: Matching,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("headend-data"),
            database: None,
            http: Http::default(),
            usp: Usp::default(),
            mqtt: Mqtt::default(),
            broker_auth: BrokerAuth::default(),
            cwmp: Cwmp::default(),
            files: Files::default(),
            pki: Pki::default(),
            discovery: Discovery::default(),
            presence: Presence::default(),
            retention: Retention::default(),
            secrets: Secrets::default(),
            matching: Matching::default(),
        }
    }
}

/// The console and the API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// The address to listen on.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    /// The URL under which people reach it, when that is not the address.
    pub public_url: Option<String>,
    /// Serve HTTPS with these files.
    pub tls: Option<TlsFiles>,
    /// Reverse proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Serve `/metrics` to everybody who reaches the listener. Otherwise it needs to come from
    /// this host, or a token with `system:read`.
    pub metrics_open: bool,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            tls: None,
            trusted_proxies: Vec::new(),
            metrics_open: false,
        }
    }
}

/// A certificate and its key, PEM.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate, then its intermediates.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The side of the devices that speak USP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Usp {
    /// The address of the plaintext WebSocket listener; an empty text is none.
    #[serde(deserialize_with = "address_or_none")]
    pub listen: Option<SocketAddr>,
    /// The address of the TLS WebSocket listener.
    #[serde(deserialize_with = "address_or_none")]
    pub tls_listen: Option<SocketAddr>,
    /// The certificate of the TLS listener; absent makes a development authority in `data_dir`.
    pub tls: Option<DeviceTls>,
    /// The endpoint id of this controller; absent makes one at the first start and keeps it.
    pub endpoint_id: Option<String>,
    /// The URL under which devices reach a listener, like `wss://usp.example.net/usp`.
    pub public_url: Option<String>,
    /// A PEM file of authorities trusted when dialling; absent is the public ones.
    pub dial_ca: Option<PathBuf>,
    /// Load balancers and proxies in front of the listeners: how many connections come from one of
    /// these addresses is not limited.
    pub proxies: Vec<IpAddr>,
    /// End-to-end session contexts with agents.
    pub session_context: SessionContext,
    /// Brokers of others, through which devices are reached.
    #[serde(deserialize_with = "broker::checked")]
    pub brokers: Vec<Broker>,
}

impl Default for Usp {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from(([0, 0, 0, 0], 8081))),
            tls_listen: None,
            tls: None,
            endpoint_id: None,
            public_url: None,
            dial_ca: None,
            proxies: Vec::new(),
            session_context: SessionContext::default(),
            brokers: Vec::new(),
        }
    }
}

/// The certificate of a TLS listener of devices.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct DeviceTls {
    /// The certificate, then its intermediates.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// The authorities that issue certificates of devices; absent asks for none.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

/// How long things are kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Days of the event log.
    pub events_days: u32,
    /// Days of the sessions of devices that come at intervals, of which only the last ones are kept anyway.
    pub sessions_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            events_days: 90,
            sessions_days: 30,
        }
    }
}

/// Where the key is that secrets are sealed with and passwords of devices derived from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Secrets {
    /// A file with the master key, the same for all nodes of one database; absent is `master.key` in `data_dir`.
    pub key_file: Option<PathBuf>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file has an unknown key or a wrong value; the message names key, line and column.
    #[error("{path}: {message}")]
    File {
        /// The file.
        path: String,
        /// What and where.
        message: String,
    },
    /// A variable or flag has an unknown key or a wrong value.
    #[error("{origin}: {message}")]
    Override {
        /// The variable or flag.
        origin: String,
        /// What.
        message: String,
    },
}

/// A value that beats the file: the key like `http.listen`, the value, and where it comes from.
#[derive(Clone, Debug)]
pub struct Override {
    /// The key, dotted.
    pub key: String,
    /// The value: TOML where it is TOML, else text.
    pub value: String,
    /// The variable or flag.
    pub origin: String,
}

impl Override {
    /// The overrides among environment variables: `HEADEND__HTTP__LISTEN` is `http.listen`.
    pub fn from_env(variables: impl Iterator<Item = (String, String)>) -> Vec<Self> {
        let mut found: Vec<Self> = variables
            .filter_map(|(name, value)| {
                let key = name
                    .strip_prefix("HEADEND__")?
                    .to_lowercase()
                    .replace("__", ".");
                Some(Self {
                    key,
                    value,
                    origin: name,
                })
            })
            .collect();
        found.sort_by(|a, b| a.origin.cmp(&b.origin));
        found
    }
}

impl Config {
    /// Reads the file, if there is one, and puts the overrides over it, in their order.
    pub fn load(file: Option<&Path>, overrides: &[Override]) -> Result<Self, ConfigError> {
        let mut table = toml::Table::new();
        if let Some(path) = file {
            let shown = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
                path: shown.clone(),
                source,
            })?;
            table = Self::check(&text).map_err(|message| ConfigError::File {
                path: shown,
                message,
            })?;
        }
        for one in overrides {
            table = put(&table, one)?;
        }
        Self::deserialize(table).map_err(|error| ConfigError::Override {
            origin: "configuration".to_owned(),
            message: error.to_string().trim_end().replace('\n', " "),
        })
    }

    /// Reads a text alone: for tests and embedded defaults.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::File {
            path: "configuration".to_owned(),
            message: error.to_string(),
        })
    }

    /// The database to open.
    pub fn database_url(&self) -> String {
        self.database
            .clone()
            .unwrap_or_else(|| format!("sqlite://{}", self.data_dir.join("headend.db").display()))
    }

    /// Where the files of devices are kept.
    pub fn files_folder(&self) -> PathBuf {
        let folder = self.files.folder.clone();
        folder.unwrap_or_else(|| self.data_dir.join("files"))
    }

    fn check(text: &str) -> Result<toml::Table, String> {
        toml::from_str::<Self>(text).map_err(|error| error.to_string())?;
        toml::from_str(text).map_err(|error| error.to_string())
    }
}

/// The table with one value put in; tried as TOML first, then as text. What another override may
/// still add, like the key to a certificate, is missed only when all of them are in.
fn put(table: &toml::Table, one: &Override) -> Result<toml::Table, ConfigError> {
    let as_toml = toml::from_str::<toml::Table>(&format!("value = {}", one.value))
        .ok()
        .and_then(|mut table| table.remove("value"));
    let as_text = toml::Value::String(one.value.clone());
    let mut last = String::new();
    // A list is not meant as a text.
    let is_list = as_toml.as_ref().is_some_and(toml::Value::is_array);
    let as_text = (!is_list).then_some(as_text);
    for value in as_toml.into_iter().chain(as_text) {
        let mut next = table.clone();
        if !insert(&mut next, &one.key, value) {
            last = "is not a section".to_owned();
            continue;
        }
        match Config::deserialize(next.clone()) {
            Ok(_) => return Ok(next),
            Err(error) if error.message().starts_with("missing field") => return Ok(next),
            // That it is no text says less than what is wrong with the number.
            Err(error) if last.is_empty() || last.starts_with("invalid type") => {
                last = error.message().to_owned();
            }
            Err(_) => {}
        }
    }
    Err(ConfigError::Override {
        origin: one.origin.clone(),
        message: format!("`{}`: {}", one.key, last.trim_end()),
    })
}

fn insert(table: &mut toml::Table, key: &str, value: toml::Value) -> bool {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
            true
        }
        Some((section, rest)) => table
            .entry(section)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
            .as_table_mut()
            .is_some_and(|inner| insert(inner, rest, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(key: &str, value: &str) -> Override {
        Override {
            key: key.to_owned(),
            value: value.to_owned(),
            origin: format!("--{key}"),
        }
    }

    #[test]
    fn nothing_at_all_is_a_usable_configuration() {
        let config = Config::load(None, &[]).unwrap();
        assert_eq!(config.http.listen.port(), 8080);
        assert_eq!(config.usp.listen.unwrap().port(), 8081);
        assert_eq!(config.database_url(), "sqlite://headend-data/headend.db");
    }

    #[test]
    fn a_wrong_key_of_the_file_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("headend.toml");
        std::fs::write(
            &path,
            "[http]\nlisten = \"127.0.0.1:1\"\nlisten_adress = 1\n",
        )
        .unwrap();
        let message = Config::load(Some(&path), &[]).unwrap_err().to_string();
        assert!(
            message.contains("line 3") && message.contains("listen_adress"),
            "{message}"
        );
        std::fs::write(&path, "[http]\nlisten = 17\n").unwrap();
        let message = Config::load(Some(&path), &[]).unwrap_err().to_string();
        assert!(message.contains("line 2"), "{message}");
    }

    #[test]
    fn the_environment_beats_the_file_and_a_flag_beats_both() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("headend.toml");
        std::fs::write(
            &path,
            "[http]\nlisten = \"127.0.0.1:1\"\nmetrics_open = true\n",
        )
        .unwrap();
        let mut all = Override::from_env(
            [("HEADEND__HTTP__LISTEN", "127.0.0.1:2"), ("PATH", "/bin")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into_iter(),
        );
        let config = Config::load(Some(&path), &all).unwrap();
        assert_eq!(config.http.listen.port(), 2);
        assert!(config.http.metrics_open);
        all.push(given("http.listen", "127.0.0.1:3"));
        assert_eq!(
            Config::load(Some(&path), &all).unwrap().http.listen.port(),
            3
        );
    }

    #[test]
    fn numbers_truth_values_and_texts_are_understood_in_overrides() {
        let config = Config::load(
            None,
            &[
                given("presence.silent_after_seconds", "7"),
                given("http.metrics_open", "true"),
                given("usp.listen", ""),
                given("data_dir", "/srv/headend"),
            ],
        )
        .unwrap();
        assert_eq!(config.presence.silent_after_seconds, 7);
        assert!(config.http.metrics_open && config.usp.listen.is_none());
        assert_eq!(config.data_dir, Path::new("/srv/headend"));
    }

    #[test]
    fn a_section_whose_keys_belong_together_can_be_given_key_by_key() {
        let certificate = given("http.tls.certificate", "/etc/cert.pem");
        let key = given("http.tls.key", "/etc/key.pem");
        let config = Config::load(None, &[certificate.clone(), key]).unwrap();
        assert_eq!(config.http.tls.unwrap().key, Path::new("/etc/key.pem"));
        let error = Config::load(None, &[certificate]).unwrap_err().to_string();
        assert!(
            error.contains("missing field `key`") && error.contains("http.tls"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_address_is_told_with_how_to_write_it() {
        let error = Config::load(None, &[given("http.listen", "8080")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--http.listen: `http.listen`: \"8080\" is not an address with a port, like 0.0.0.0:8081"
        );
    }

    #[test]
    fn a_wrong_override_names_its_variable() {
        let error = Config::load(None, &[given("http.lisen", "x")])
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("--http.lisen:") && error.contains("lisen"),
            "{error}"
        );
        let error = Config::load(None, &[given("usp.listen", "8081")])
            .unwrap_err()
            .to_string();
        assert!(error.contains("--usp.listen"), "{error}");
    }
}
