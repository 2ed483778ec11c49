//! How the agent finds controllers that nobody has configured: `[discovery]`.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::Deserialize;
use usp::EndpointId;

use super::{ControllerConfig, MqttAddress, MqttConfig, TlsConfig, WebSocketAddress};

/// The role of those that are trusted.
pub(crate) const FULL_ACCESS: &str = "Full Access";

/// The role of all others.
const UNTRUSTED: &str = "Untrusted";

/// `[discovery]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiscoveryConfig {
    /// The file in which the DHCP client of this host keeps its lease, or what a script of it writes.
    pub dhcp_lease: Option<PathBuf>,
    /// Tell of `[listen]` by multicast DNS, and look for controllers.
    pub mdns: bool,
    /// The addresses of this host on the networks where that is spoken; empty is all networks.
    pub networks: Vec<Ipv4Addr>,
    /// Endpoint ids of controllers that have full access when they are found and show a certificate of an authority of
    /// `tls.ca_file` that carries this id. All others may see who the device is, and no more: anybody on the network can
    /// answer.
    pub trusted: Vec<String>,
    /// What a broker is told, when what was found is one: DHCP has no place for a user name.
    pub mqtt: Option<MqttConfig>,
}

impl DiscoveryConfig {
    /// Whether controllers are looked for at all.
    pub fn is_on(&self) -> bool {
        self.dhcp_lease.is_some() || self.mdns
    }

    /// The error is the key, and what is wrong with it.
    pub(super) fn check(&self, tls: &TlsConfig) -> Result<(), (String, String)> {
        let wrong = |key: &str, reason: String| Err((key.to_owned(), reason));
        for id in &self.trusted {
            if let Err(error) = id.parse::<EndpointId>() {
                return wrong("trusted", error.to_string());
            }
        }
        if !self.trusted.is_empty() && (tls.ca_file.is_none() || tls.insecure) {
            let reason = "needs tls.ca_file, and that certificates are looked at: whoever answers in DHCP would be trusted";
            return wrong("trusted", reason.into());
        }
        let Some(mqtt) = &self.mqtt else {
            return Ok(());
        };
        if !mqtt.url.is_empty() {
            return wrong("mqtt.url", "is what is looked for".into());
        }
        mqtt.check()
            .map_err(|(key, reason)| (format!("mqtt.{key}"), reason))
    }

    /// A controller that was found, as if it had been configured; else why it cannot be used. The second says whether its
    /// certificate has to carry its endpoint id.
    pub(crate) fn controller(
        &self,
        tls: &TlsConfig,
        endpoint_id: &EndpointId,
        url: &str,
    ) -> Result<(ControllerConfig, bool), String> {
        let is_mqtt = MqttAddress::is_one(url);
        let encrypted = if is_mqtt {
            MqttAddress::parse(url)?.encrypted
        } else if url.starts_with("ws://") || url.starts_with("wss://") {
            WebSocketAddress::parse(url)?.encrypted
        } else {
            return Err("is not that of a WebSocket or an MQTT broker".into());
        };
        let mqtt = self.mqtt.clone().filter(|_| is_mqtt);
        let secret = mqtt
            .as_ref()
            .is_some_and(|mqtt| !mqtt.username.is_empty() || !mqtt.password.is_empty());
        if secret && !(encrypted && tls.ca_file.is_some() && !tls.insecure) {
            let reason = "leads to whoever has named it, and the user name of discovery.mqtt is told over TLS alone, to whom \
                          tls.ca_file vouches for";
            return Err(reason.into());
        }
        let trusted = encrypted && self.trusted.iter().any(|id| id == endpoint_id.as_str());
        let role = if trusted { FULL_ACCESS } else { UNTRUSTED };
        let config = ControllerConfig {
            endpoint_id: endpoint_id.to_string(),
            url: url.into(),
            mqtt,
            role: role.into(),
            ..ControllerConfig::default()
        };
        Ok((config, trusted || secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(discovery: &DiscoveryConfig, id: &str, url: &str) -> Result<ControllerConfig, String> {
        let tls = TlsConfig::default();
        let found = discovery.controller(&tls, &id.parse().unwrap(), url);
        found.map(|(config, _)| config)
    }

    #[test]
    fn trust_takes_an_authority_and_a_certificate_that_carries_the_endpoint_id() {
        let trusting = DiscoveryConfig {
            trusted: vec!["self::c".into()],
            ..DiscoveryConfig::default()
        };
        let mut tls = TlsConfig::default();
        let (key, reason) = trusting.check(&tls).unwrap_err();
        assert_eq!(key, "trusted");
        assert!(reason.contains("needs tls.ca_file"), "{reason}");
        tls.ca_file = Some("ca.pem".into());
        assert!(trusting.check(&tls).is_ok());
        tls.insecure = true;
        assert!(trusting.check(&tls).is_err());
        for (url, role) in [
            ("wss://a.example/usp", "Full Access"),
            ("mqtts://a.example", "Full Access"),
            ("ws://a.example/usp", "Untrusted"),
            ("mqtt://a.example", "Untrusted"),
            ("wss://a.local/usp", "Full Access"),
        ] {
            let id = "self::c".parse().unwrap();
            let (controller, proves) = trusting.controller(&tls, &id, url).unwrap();
            assert_eq!(controller.role, role, "{url}");
            assert_eq!(proves, role == "Full Access", "{url}");
        }
        // A device has a certificate of the same authority, and is no controller.
        let controller = found(&trusting, "os::00256D-1", "wss://a.example/usp").unwrap();
        assert_eq!(controller.role, "Untrusted");
    }

    #[test]
    fn the_password_of_a_broker_is_told_over_tls_alone_and_to_the_controller_itself() {
        let discovery = DiscoveryConfig {
            mqtt: Some(MqttConfig {
                password: "hes_key".into(),
                ..MqttConfig::default()
            }),
            ..DiscoveryConfig::default()
        };
        let id = "self::c".parse().unwrap();
        let vouching = TlsConfig {
            ca_file: Some("ca.pem".into()),
            ..TlsConfig::default()
        };
        let insecure = TlsConfig {
            insecure: true,
            ..vouching.clone()
        };
        for (tls, url) in [
            (&vouching, "mqtt://a.example"),
            (&TlsConfig::default(), "mqtts://a.example"),
            (&insecure, "mqtts://a.example"),
        ] {
            let reason = discovery.controller(tls, &id, url).unwrap_err();
            assert!(reason.contains("over TLS alone"), "{url}: {reason}");
        }
        let (found, proves) = discovery
            .controller(&vouching, &id, "mqtts://a.example")
            .unwrap();
        assert_eq!(found.mqtt, discovery.mqtt);
        assert!(proves);
        let (found, proves) = discovery
            .controller(&vouching, &id, "ws://a.example")
            .unwrap();
        assert_eq!(found.mqtt, None);
        assert!(!proves);
    }

    #[test]
    fn what_cannot_be_dialled_is_named() {
        for (url, words) in [
            ("a.example", "is not that of a WebSocket or an MQTT broker"),
            ("http://a.example", "is not that of"),
            ("unix:///run/x", "is not that of"),
            ("stomp://a.example", "is not that of"),
            ("ws://", "no plain host name"),
            ("mqtt://a:b", "port"),
        ] {
            let reason = found(&DiscoveryConfig::default(), "self::c", url).unwrap_err();
            assert!(reason.contains(words), "{url}: {reason}");
        }
    }
}
