//! How a controller is reached over MQTT: the address of the broker, and what the broker is told.

use mtp::mqtt::{Version, topic};
use serde::Deserialize;

use super::host_and_port;
use crate::limits::MQTT_WEBSOCKET_PATH;

/// What the broker of a controller is told, beside the `mqtt://` or `mqtts://` URL.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MqttConfig {
    /// The broker, `mqtt://` or `mqtts://`, where the controller is reached through it beside the WebSocket of its own
    /// `url`. Empty where that is the broker itself.
    pub url: String,
    /// `5.0` or `3.1.1`.
    pub version: String,
    /// User name, such as `TENANT/setup`.
    pub username: String,
    /// Password.
    pub password: String,
    /// Client identifier; empty lets the broker choose (5.0), or is the endpoint id (3.1.1).
    pub client_id: String,
    /// Where the controller listens; empty is `usp/TENANT/controller/ENDPOINT`.
    pub topic: String,
    /// Where this agent listens unless the broker says otherwise; empty is
    /// `usp/TENANT/agent/ENDPOINT`.
    pub response_topic: String,
    /// Quality of service, 0 or 1.
    pub qos: u8,
}

impl Default for MqttConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            version: "5.0".into(),
            username: String::new(),
            password: String::new(),
            client_id: String::new(),
            topic: String::new(),
            response_topic: String::new(),
            qos: 1,
        }
    }
}

impl std::fmt::Debug for MqttConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MqttConfig")
            .field("version", &self.version)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl MqttConfig {
    /// The topics of the controller and of this agent, those of the user name's tenant where none
    /// are given.
    pub fn topics(&self, endpoint_id: &str) -> (String, String) {
        let tenant = self.username.split('/').next().unwrap_or_default();
        let of = |given: &str, whose: &str| match given {
            "" => format!("usp/{tenant}/{whose}/{endpoint_id}"),
            given => given.to_owned(),
        };
        (
            of(&self.topic, "controller"),
            of(&self.response_topic, "agent"),
        )
    }

    /// What is wrong, and with which key.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if version(&self.version).is_none() {
            return Err(("version", "must be \"5.0\" or \"3.1.1\"".into()));
        }
        if self.qos > 1 {
            return Err(("qos", "must be 0 or 1".into()));
        }
        for (name, given) in [
            ("topic", &self.topic),
            ("response_topic", &self.response_topic),
        ] {
            let derived = given.is_empty() && self.username.contains('/');
            if !derived && !topic::is_name(given) {
                let reason = "must be a topic without wildcards; only with a username of the form TENANT/NAME it may be left out";
                return Err((name, reason.into()));
            }
        }
        Ok(())
    }
}

/// The version of `Device.MQTT.Client.{i}.ProtocolVersion`.
pub(crate) fn version(text: &str) -> Option<Version> {
    match text {
        "5.0" => Some(Version::V5),
        "3.1.1" => Some(Version::V311),
        _ => None,
    }
}

/// An MQTT address taken apart into the parameters of `Device.MQTT.Client.{i}.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MqttAddress {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// `mqtts` and `mqtt+wss`.
    pub encrypted: bool,
    /// `mqtt+ws` and `mqtt+wss`: inside of a WebSocket.
    pub websocket: bool,
}

/// The schemes, whether they are encrypted, inside of a WebSocket, and their ports.
const SCHEMES: [(&str, bool, bool, u16); 4] = [
    ("mqtt://", false, false, 1883),
    ("mqtts://", true, false, 8883),
    ("mqtt+ws://", false, true, 80),
    ("mqtt+wss://", true, true, 443),
];

impl MqttAddress {
    /// Whether a URL is one of MQTT.
    pub fn is_one(url: &str) -> bool {
        SCHEMES.iter().any(|(scheme, ..)| url.starts_with(scheme))
    }

    /// Takes `mqtt://host:port` apart.
    pub fn parse(url: &str) -> Result<MqttAddress, String> {
        let mut known = SCHEMES.iter();
        let known = known.find_map(|known| url.strip_prefix(known.0).map(|rest| (known, rest)));
        let Some((&(_, encrypted, websocket, usual), rest)) = known else {
            return Err("must start with mqtt://, mqtts://, mqtt+ws:// or mqtt+wss://".into());
        };
        let rest = match websocket {
            true => rest.strip_suffix(MQTT_WEBSOCKET_PATH).unwrap_or(rest),
            false => rest,
        };
        let (host, port) = host_and_port(rest, usual)?;
        Ok(MqttAddress {
            host,
            port,
            encrypted,
            websocket,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mqtt_address_comes_apart() {
        for (url, host, port, encrypted, websocket) in [
            ("mqtt://h", "h", 1883, false, false),
            ("mqtts://h/", "h", 8883, true, false),
            ("mqtt://[::1]:1", "::1", 1, false, false),
            ("mqtts://[fe80::1]", "fe80::1", 8883, true, false),
            ("mqtt+ws://h:8083/mqtt", "h", 8083, false, true),
            ("mqtt+wss://h", "h", 443, true, true),
        ] {
            let host = host.to_owned();
            let wanted = MqttAddress {
                host,
                port,
                encrypted,
                websocket,
            };
            assert_eq!(MqttAddress::parse(url).unwrap(), wanted, "{url}");
        }
        for url in [
            "mqtt://",
            "mqtt://u@h",
            "ws://h",
            "mqtt://h:x",
            "mqtt://h/path",
            "mqtt://h/mqtt",
            "mqtt+ws://h/path",
        ] {
            assert!(MqttAddress::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn topics_follow_from_the_tenant_in_the_user_name() {
        let config = MqttConfig {
            username: "acme/setup".into(),
            response_topic: "mine".into(),
            ..MqttConfig::default()
        };
        assert!(config.check().is_ok());
        let (controller, own) = config.topics("os::012345-A");
        assert_eq!(controller, "usp/acme/controller/os::012345-A");
        assert_eq!(own, "mine");
        assert_eq!(MqttConfig::default().check().unwrap_err().0, "topic");
    }
}
