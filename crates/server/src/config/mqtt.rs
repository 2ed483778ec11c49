//! The broker inside, for devices that speak USP over MQTT.

use std::net::SocketAddr;

use broker::Topics;
use serde::Deserialize;

use super::DeviceTls;

/// Where the broker listens. Absent addresses are none: a host may have a broker already.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mqtt {
    /// The address of the plaintext listener, like `0.0.0.0:1883`.
    #[serde(deserialize_with = "super::address_or_none")]
    pub listen: Option<SocketAddr>,
    /// The address of the TLS listener, like `0.0.0.0:8883`.
    #[serde(deserialize_with = "super::address_or_none")]
    pub tls_listen: Option<SocketAddr>,
    /// The address for MQTT inside of WebSockets, plaintext, like `0.0.0.0:8083`.
    #[serde(deserialize_with = "super::address_or_none")]
    pub ws_listen: Option<SocketAddr>,
    /// The same with TLS, like `0.0.0.0:8084`.
    #[serde(deserialize_with = "super::address_or_none")]
    pub wss_listen: Option<SocketAddr>,
    /// The certificate of the listeners with TLS; absent takes that of `usp.tls`, else makes a development
    /// authority in `data_dir`.
    pub tls: Option<DeviceTls>,
    /// What all topics begin with.
    #[serde(deserialize_with = "prefix")]
    pub topic_prefix: Topics,
    /// The URL under which devices reach it, like `mqtts://mqtt.example.net`.
    pub public_url: Option<String>,
}

pub(super) fn prefix<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Topics, D::Error> {
    Topics::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

pub(super) fn prefix_given<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Topics>, D::Error> {
    prefix(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use crate::Config;

    #[test]
    fn no_broker_listens_unless_it_is_told_to_and_its_topics_are_checked() {
        let config = Config::parse("").unwrap();
        assert!(config.mqtt.listen.is_none() && config.mqtt.tls_listen.is_none());
        let config = Config::parse("[mqtt]\nlisten = \"0.0.0.0:1883\"\n").unwrap();
        assert_eq!(config.mqtt.listen.unwrap().port(), 1883);
        let error = Config::parse("[mqtt]\ntopic_prefix = \"usp/#\"\n").unwrap_err();
        assert!(error.to_string().contains("prefix of topics"), "{error}");
    }
}
