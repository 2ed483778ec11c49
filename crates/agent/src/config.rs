//! The agent's one TOML file. Errors name the key. Deliberately small: everything a controller can set is in the data
//! model; the file only says who the agent is and how it finds its first controllers.

mod address;
mod discovery;
mod mqtt;
mod services;
mod stomp;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use mtp::e2e::CredentialConfig;
use serde::Deserialize;
use usp::EndpointId;

use crate::limits::{CONFIG_BYTES_MAX, CONTROLLERS_MAX};

pub use address::WebSocketAddress;
use address::host_and_port;
pub use discovery::DiscoveryConfig;
pub(crate) use discovery::FULL_ACCESS;
pub(crate) use mqtt::version as mqtt_version;
pub use mqtt::{MqttAddress, MqttConfig};
pub use services::{ServicesConfig, TrustConfig};
pub use stomp::{StompAddress, StompConfig};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// What went wrong.
        source: std::io::Error,
    },
    /// Not TOML, an unknown key or a wrong type; the text shows line and key.
    #[error("{path}: {message}")]
    Syntax {
        /// The file.
        path: String,
        /// With line, column and key.
        message: String,
    },
    /// A value that cannot be.
    #[error("{path}: key `{key}`: {reason}")]
    Invalid {
        /// The file; what stands for it when there is none.
        path: String,
        /// The key, with the table it is in.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// One agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentConfig {
    /// The agent's endpoint id, such as `os::012345-ABC`. The binary derives one from the host when it is empty.
    pub endpoint_id: String,
    /// Where the state is kept (the binary's concern; a library user passes a `Storage`).
    pub state_dir: Option<PathBuf>,
    /// The controllers the agent has from the factory.
    #[serde(rename = "controller")]
    pub controllers: Vec<ControllerConfig>,
    /// Accept connections from controllers.
    pub listen: Option<ListenConfig>,
    /// How controllers are found that nobody has configured.
    pub discovery: DiscoveryConfig,
    /// Sockets for the processes of this device.
    pub services: Option<ServicesConfig>,
    /// How TLS servers are verified.
    pub tls: TlsConfig,
    /// What `Reboot()` does on a Linux host.
    pub reboot: RebootConfig,
    /// Overrides of what the host says about itself.
    pub device: DeviceConfig,
    /// Log filter (`info`, `agent=debug`).
    pub log: Option<String>,
}

/// A controller the agent has from the factory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ControllerConfig {
    /// Its endpoint id.
    pub endpoint_id: String,
    /// `ws://` or `wss://`, where it listens; `mqtt://`, `mqtts://`, `stomp://` or `stomps://`, the broker through which
    /// it is reached; `unix:///FILE`, the socket of a broker on this device; `unix:`: it connects to our socket. Empty:
    /// it dials us.
    pub url: String,
    /// The role it has: `Full Access` or `Untrusted`.
    pub role: String,
    /// Seconds between Periodic! events.
    pub periodic_interval: u32,
    /// Shortest wait before dialling again, seconds (R-WS.19).
    pub retry_min_wait: u32,
    /// By how much the wait grows each time, in thousandths.
    pub retry_multiplier: u32,
    /// Seconds between pings.
    pub keep_alive: u32,
    /// Whether messages travel in session contexts: `Require`, `Allow` (when the controller opens one) or `Forbid`.
    pub session_mode: String,
    /// Largest record sent in session contexts, bytes; 0 is no limit.
    pub record_bytes_max: u32,
    /// Whether what session contexts carry is encrypted: `Plaintext` or `TLS`.
    pub payload_security: String,
    /// What the broker is told, when the URL is one of MQTT.
    pub mqtt: Option<MqttConfig>,
    /// This agent is a USP Service, and the controller its broker: the paths of the data model that it registers there.
    pub register: Vec<String>,
    /// What the server is told, when the URL is one of STOMP.
    pub stomp: Option<StompConfig>,
    /// With the URL `unix:`: the user its process belongs to, as the kernel says; no other connects as this controller.
    pub uid: Option<u32>,
}

impl Default for ControllerConfig {
    fn default() -> ControllerConfig {
        ControllerConfig {
            endpoint_id: String::new(),
            url: String::new(),
            role: "Full Access".into(),
            periodic_interval: 86_400,
            retry_min_wait: 5,
            retry_multiplier: 2000,
            keep_alive: 30,
            session_mode: "Allow".into(),
            record_bytes_max: 0,
            payload_security: "Plaintext".into(),
            mqtt: None,
            register: Vec::new(),
            stomp: None,
            uid: None,
        }
    }
}

/// Where the agent listens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenConfig {
    /// Address and port; port 0 picks one.
    pub address: SocketAddr,
    /// Path of the WebSocket.
    #[serde(default = "listen_path")]
    pub path: String,
    /// Certificate chain and key (PEM files) for TLS.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// The private key for it.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// Ask controllers for a certificate of these authorities (PEM file); it has to name the controller.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

fn listen_path() -> String {
    "/usp".into()
}

/// Whoever speaks end to end shows who it is and knows whom to believe.
const NEEDS_CREDENTIAL: &str = "needs tls.certificate, tls.key and tls.ca_file";

/// How a TLS server is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// PEM file with the authorities to trust; the web's when absent.
    pub ca_file: Option<PathBuf>,
    /// Accept any certificate. For experiments only.
    pub insecure: bool,
    /// PEM file with our certificate chain.
    pub certificate: Option<PathBuf>,
    /// PEM file with our private key.
    pub key: Option<PathBuf>,
    /// Sign records between the endpoints themselves, and take none that are not signed.
    pub signed_records: bool,
}

impl TlsConfig {
    /// What signatures and encryption between the endpoints themselves take, if it is all there.
    pub fn end_to_end(&self) -> Option<CredentialConfig> {
        Some(CredentialConfig {
            certificate: self.certificate.clone()?,
            key: self.key.clone()?,
            authorities: self.ca_file.clone()?,
            pki: None,
        })
    }
}

/// What `Reboot()` does on a Linux host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RebootConfig {
    /// Whether `Reboot()` is allowed at all. Off: it fails with an explanation.
    pub enabled: bool,
    /// The command that reboots, with its arguments.
    pub command: Vec<String>,
}

/// Overrides of what the host says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceConfig {
    /// `DeviceInfo.Manufacturer`.
    pub manufacturer: Option<String>,
    /// `DeviceInfo.ManufacturerOUI`, six hex digits.
    pub oui: Option<String>,
    /// `DeviceInfo.ModelName`.
    pub model: Option<String>,
    /// `DeviceInfo.ProductClass`.
    pub product_class: Option<String>,
    /// `DeviceInfo.SerialNumber`.
    pub serial: Option<String>,
}

impl AgentConfig {
    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<AgentConfig, ConfigError> {
        let name = path.display().to_string();
        let unreadable = |source| ConfigError::Unreadable {
            path: name.clone(),
            source,
        };
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > CONFIG_BYTES_MAX {
            let message =
                format!("is {length} bytes long; a configuration has at most {CONFIG_BYTES_MAX}");
            return Err(ConfigError::Syntax {
                path: name,
                message,
            });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let config: AgentConfig = toml::from_str(&text).map_err(|error| ConfigError::Syntax {
            path: name.clone(),
            message: error.to_string(),
        })?;
        config.check(&name)?;
        Ok(config)
    }

    /// Checks what the types do not. `path` says in errors where it comes from.
    pub fn check(&self, path: &str) -> Result<(), ConfigError> {
        let invalid = |key: &str, reason: String| {
            Err(ConfigError::Invalid {
                path: path.into(),
                key: key.into(),
                reason,
            })
        };
        if !self.endpoint_id.is_empty()
            && let Err(error) = self.endpoint_id.parse::<EndpointId>()
        {
            return invalid("endpoint_id", error.to_string());
        }
        if self.controllers.len() > CONTROLLERS_MAX {
            return invalid(
                "controller",
                format!("at most {CONTROLLERS_MAX} controllers"),
            );
        }
        for (n, controller) in self.controllers.iter().enumerate() {
            let key = |name: &str| format!("controller[{n}].{name}");
            if let Err(error) = controller.endpoint_id.parse::<EndpointId>() {
                return invalid(&key("endpoint_id"), error.to_string());
            }
            if self.controllers[..n]
                .iter()
                .any(|other| other.endpoint_id == controller.endpoint_id)
            {
                return invalid(&key("endpoint_id"), "is there twice".into());
            }
            controller.check_url(&key, &invalid)?;
            if !matches!(controller.role.as_str(), "Full Access" | "Untrusted") {
                return invalid(
                    &key("role"),
                    "must be \"Full Access\" or \"Untrusted\"".into(),
                );
            }
            if !matches!(
                controller.session_mode.as_str(),
                "Require" | "Allow" | "Forbid"
            ) {
                let words = "must be \"Require\", \"Allow\" or \"Forbid\"";
                return invalid(&key("session_mode"), words.into());
            }
            match controller.payload_security.as_str() {
                "Plaintext" => {}
                "TLS" if self.tls.end_to_end().is_some() => {}
                "TLS" => return invalid(&key("payload_security"), NEEDS_CREDENTIAL.into()),
                _ => {
                    let words = "must be \"Plaintext\" or \"TLS\"";
                    return invalid(&key("payload_security"), words.into());
                }
            }
            if (1..512).contains(&controller.record_bytes_max) {
                return invalid(&key("record_bytes_max"), "must be 0 or at least 512".into());
            }
            for (name, value, least) in [
                ("periodic_interval", controller.periodic_interval, 1),
                ("retry_min_wait", controller.retry_min_wait, 1),
                ("retry_multiplier", controller.retry_multiplier, 1000),
                ("keep_alive", controller.keep_alive, 1),
            ] {
                let most = if name.starts_with("retry") {
                    65_535
                } else {
                    u32::MAX
                };
                if !(least..=most).contains(&value) {
                    return invalid(&key(name), format!("must be {least} to {most}"));
                }
            }
        }
        let count = |is_one: fn(&str) -> bool| {
            let ones = self.controllers.iter().filter(|one| is_one(&one.url));
            ones.count()
        };
        let mqtt = ("MQTT", count(MqttAddress::is_one));
        for (over, count) in [mqtt, ("STOMP", count(StompAddress::is_one))] {
            if count > 1 {
                let reason = format!(
                    "one controller at most is reached over {over}: the protocol of an MTP is a unique key"
                );
                return invalid("controller", reason);
            }
        }
        if let Err((key, reason)) = self.discovery.check(&self.tls) {
            return invalid(&format!("discovery.{key}"), reason);
        }
        if let Some(services) = &self.services
            && let Err((key, reason)) = services.check()
        {
            return invalid(&format!("services.{key}"), reason);
        }
        if let Some(listen) = &self.listen {
            if !listen.path.starts_with('/') {
                return invalid("listen.path", "must start with /".into());
            }
            if listen.certificate.is_some() != listen.key.is_some() {
                return invalid(
                    "listen.certificate",
                    "certificate and key go together".into(),
                );
            }
            if listen.client_ca.is_some() && listen.certificate.is_none() {
                return invalid("listen.client_ca", "needs listen.certificate".into());
            }
        }
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            return invalid("tls.certificate", "certificate and key go together".into());
        }
        if self.tls.signed_records && self.tls.end_to_end().is_none() {
            return invalid("tls.signed_records", NEEDS_CREDENTIAL.into());
        }
        if self.reboot.enabled && self.reboot.command.is_empty() {
            return invalid(
                "reboot.command",
                "is needed when reboot.enabled is true".into(),
            );
        }
        if let Some(oui) = &self.device.oui
            && (oui.len() != 6 || !oui.bytes().all(|b| b.is_ascii_hexdigit()))
        {
            return invalid("device.oui", "must be six hex digits".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<AgentConfig, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.toml");
        std::fs::write(&path, text).unwrap();
        AgentConfig::load(&path)
    }

    #[test]
    fn a_page_of_toml_is_an_agent() {
        let config = parse(
            "endpoint_id = \"os::012345-A\"\n[[controller]]\nendpoint_id = \"self::headend\"\nurl = \
             \"ws://127.0.0.1:8081/usp/key\"\n[listen]\naddress = \"127.0.0.1:0\"\n",
        )
        .unwrap();
        assert_eq!(config.controllers[0].role, "Full Access");
        assert_eq!(config.listen.unwrap().path, "/usp");
    }

    #[test]
    fn errors_name_the_file_and_the_key() {
        for (text, key) in [
            ("endpoint = \"x\"", "endpoint"),
            ("endpoint_id = 1", "endpoint_id"),
            ("endpoint_id = \"nonsense\"", "endpoint_id"),
            (
                "[[controller]]\nendpoint_id = \"self::c\"\nurl = \"http://x\"",
                "controller[0].url",
            ),
            (
                "[[controller]]\nendpoint_id = \"self::c\"\nrole = \"root\"",
                "controller[0].role",
            ),
            (
                "[[controller]]\nendpoint_id = \"self::c\"\nsession_mode = \"maybe\"",
                "controller[0].session_mode",
            ),
            (
                "[[controller]]\nendpoint_id = \"self::c\"\nrecord_bytes_max = 100",
                "controller[0].record_bytes_max",
            ),
            (
                "[[controller]]\nendpoint_id = \"self::c\"\npayload_security = \"some\"",
                "controller[0].payload_security",
            ),
            (
                "[[controller]]\nendpoint_id = \"self::c\"\npayload_security = \"TLS\"",
                "needs tls.certificate",
            ),
            ("[tls]\nsigned_records = true", "tls.signed_records"),
            ("[reboot]\nenabled = true", "reboot.command"),
            ("[device]\noui = \"xyz\"", "device.oui"),
            (
                "[listen]\naddress = \"127.0.0.1:0\"\npath = \"usp\"",
                "listen.path",
            ),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(key), "{text}: {message}");
            assert!(message.contains("agent.toml"), "{text}: {message}");
        }
    }

    #[test]
    fn a_websocket_address_comes_apart_and_together() {
        for (url, host, port, path) in [
            ("ws://h:1/a/b", "h", 1, "/a/b"),
            ("wss://h/", "h", 443, "/"),
            ("ws://[::1]:8081/x", "[::1]", 8081, "/x"),
            ("ws://[::1]", "[::1]", 80, "/"),
        ] {
            let address = WebSocketAddress::parse(url).unwrap();
            assert_eq!(
                (address.host.as_str(), address.port, address.path.as_str()),
                (host, port, path)
            );
            assert_eq!(WebSocketAddress::parse(&address.url()).unwrap(), address);
        }
        assert!(WebSocketAddress::parse("ws://user@h/").is_err());
        assert!(WebSocketAddress::parse("ws://h:99999/").is_err());
    }

    #[test]
    fn a_configuration_that_is_no_configuration_is_refused_by_its_size() {
        let text = "#".repeat(CONFIG_BYTES_MAX as usize + 1);
        assert!(parse(&text).unwrap_err().to_string().contains("bytes long"));
    }
}
