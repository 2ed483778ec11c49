//! Brokers of others, through which devices are reached: the server is a client of each of them.

use std::path::PathBuf;

use broker::Topics;
use fleet::TenantId;
use mtp::mqtt::Version;
use serde::Deserialize;

/// One broker: `[[usp.brokers]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    /// Its name, for people and in the store; one level of a topic.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// `mqtt://host:port` or `mqtts://host:port`; `stomp://host:port` or `stomps://host:port`.
    pub url: BrokerUrl,
    /// The version of MQTT that we speak with it; devices may speak another.
    #[serde(default, deserialize_with = "version")]
    pub version: Version,
    /// The virtual host, of STOMP alone; absent leaves it to the broker.
    #[serde(default)]
    pub virtual_host: Option<String>,
    /// The tenants whose devices are behind it: it is believed about no other. Absent is the only one there is.
    #[serde(default)]
    pub tenants: Option<Tenants>,
    /// Our own user name there.
    #[serde(default)]
    pub username: Option<String>,
    /// A file with our password, so that it stands in no configuration.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Our client identifier; absent makes one of the name of this node.
    #[serde(default)]
    pub client_id: Option<String>,
    /// A PEM file of the authorities that are trusted; absent is the public ones.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Our certificate, PEM, where it asks for one.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// The key to it.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// What all topics begin with.
    #[serde(default, deserialize_with = "super::mqtt::prefix")]
    pub topic_prefix: Topics,
    /// The group in which several servers share what devices say (MQTT 5); absent is one server alone.
    #[serde(default, deserialize_with = "group")]
    pub shared_group: Option<String>,
    /// It asks this server who may come in (`broker_auth`): setup keys are swapped for credentials of devices.
    #[serde(default)]
    pub asks: bool,
    /// Register devices that nobody has registered, because the broker lets them in.
    #[serde(default)]
    pub registers: bool,
}

/// What is spoken with a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT.
    Mqtt,
    /// STOMP 1.2.
    Stomp,
}

/// For which tenants a broker speaks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "TenantsAsWritten")]
pub enum Tenants {
    /// All, those to come as well: `"all"`.
    All,
    /// These: a list of their names.
    These(Vec<TenantId>),
}

impl Tenants {
    /// Whether the tenant of this name is one of them.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(these) => these.iter().any(|one| one.as_str() == name),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TenantsAsWritten {
    Word(String),
    List(Vec<String>),
}

impl TryFrom<TenantsAsWritten> for Tenants {
    type Error = String;

    fn try_from(written: TenantsAsWritten) -> Result<Self, String> {
        let names = match written {
            TenantsAsWritten::Word(word) if word == "all" => return Ok(Self::All),
            TenantsAsWritten::List(names) if !names.is_empty() => names,
            _ => return Err("tenants is a list of names, or \"all\"".to_owned()),
        };
        let these = names.iter().map(|name| TenantId::parse(name));
        let these: Result<_, _> = these.collect();
        these
            .map(Self::These)
            .map_err(|error| format!("tenants: {error}"))
    }
}

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerUrl {
    /// What it speaks there.
    pub protocol: Protocol,
    /// Name or address; IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// With TLS.
    pub tls: bool,
}

impl BrokerUrl {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (protocol, tls, usual) = match scheme {
            "mqtt" => (Protocol::Mqtt, false, 1883),
            "mqtts" => (Protocol::Mqtt, true, 8883),
            "stomp" => (Protocol::Stomp, false, 61613),
            "stomps" => (Protocol::Stomp, true, 61614),
            _ => return None,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
        };
        let port = match port {
            "" => usual,
            port => port.strip_prefix(':')?.parse().ok()?,
        };
        let good = !host.is_empty() && !host.contains(['@', '/', '?', '#', ' ']);
        good.then(|| Self {
            protocol,
            host: host.to_owned(),
            port,
            tls,
        })
    }
}

impl std::fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = match (self.protocol, self.tls) {
            (Protocol::Mqtt, false) => "mqtt",
            (Protocol::Mqtt, true) => "mqtts",
            (Protocol::Stomp, false) => "stomp",
            (Protocol::Stomp, true) => "stomps",
        };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

impl<'de> Deserialize<'de> for BrokerUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "{text:?} is not the URL of a broker, like mqtts://mqtt.example.net:8883"
            ))
        })
    }
}

fn one_level<E: serde::de::Error>(text: String, what: &str) -> Result<String, E> {
    let good = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    match good {
        true => Ok(text),
        false => Err(E::custom(format!(
            "{what} is 1 to 64 letters, digits, dashes, dots and underscores"
        ))),
    }
}

fn name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    one_level(String::deserialize(deserializer)?, "the name of a broker")
}

fn group<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    one_level(String::deserialize(deserializer)?, "a shared group").map(Some)
}

fn version<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "5.0" => Ok(Version::V5),
        "3.1.1" => Ok(Version::V311),
        other => Err(serde::de::Error::custom(format!(
            "{other:?} is neither 5.0 nor 3.1.1"
        ))),
    }
}

/// What cannot be seen from one broker alone; says what is wrong.
pub(super) fn check(all: &[Broker]) -> Result<(), String> {
    for (at, one) in all.iter().enumerate() {
        let name = &one.name;
        if all[..at].iter().any(|other| other.name == *name) {
            return Err(format!("two brokers have the name {name:?}"));
        }
        if one.certificate.is_some() != one.key.is_some() {
            return Err(format!(
                "broker {name:?}: certificate and key belong together"
            ));
        }
        if !one.url.tls && (one.ca.is_some() || one.certificate.is_some()) {
            return Err(format!(
                "broker {name:?}: ca and certificate need a URL of mqtts:// or stomps://"
            ));
        }
        let stomp = one.url.protocol == Protocol::Stomp;
        if one.virtual_host.is_some() && !stomp {
            return Err(format!(
                "broker {name:?}: a virtual host needs a URL of stomp:// or stomps://"
            ));
        }
        if one.shared_group.is_some() && (one.version != Version::V5 || stomp) {
            return Err(format!("broker {name:?}: a shared group needs MQTT 5.0"));
        }
    }
    Ok(())
}

pub(super) fn checked<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Broker>, D::Error> {
    let all = Vec::deserialize(deserializer)?;
    check(&all).map_err(serde::de::Error::custom)?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn a_broker_is_given_by_its_url_and_what_it_wants_of_us() {
        let text = r#"
            [[usp.brokers]]
            name = "north"
            url = "mqtts://mqtt.example.net"
            username = "headend"
            password_file = "/etc/headend/mqtt"
            shared_group = "headend"
            [[usp.brokers]]
            name = "south"
            url = "mqtt://[::1]:1884"
            version = "3.1.1"
            tenants = ["acme", "other"]
            [[usp.brokers]]
            name = "west"
            url = "stomps://rabbit.example.net"
            virtual_host = "/"
            tenants = "all"
        "#;
        let brokers = Config::parse(text).unwrap().usp.brokers;
        let urls: Vec<String> = brokers.iter().map(|one| one.url.to_string()).collect();
        let wanted = [
            "mqtts://mqtt.example.net:8883",
            "mqtt://[::1]:1884",
            "stomps://rabbit.example.net:61614",
        ];
        assert_eq!(urls, wanted);
        let tenants = |n: usize| brokers[n].tenants.clone();
        let south = tenants(1).unwrap();
        assert_eq!((tenants(0), tenants(2)), (None, Some(Tenants::All)));
        assert!(south.has("acme") && south.has("other") && !south.has("acm") && !south.has("all"));
        assert!(!brokers[0].registers && brokers[1].version == Version::V311);
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        for (text, said) in [
            ("url = \"mqtt://h\"\nname = \"a/b\"", "letters"),
            ("url = \"ws://h\"\nname = \"a\"", "not the URL"),
            (
                "url = \"mqtt://h\"\nname = \"a\"\ntenants = []",
                "or \"all\"",
            ),
            (
                "url = \"mqtt://h\"\nname = \"a\"\ntenants = \"acme\"",
                "or \"all\"",
            ),
            (
                "url = \"mqtt://h\"\nname = \"a\"\ntenants = [\"A/b\"]",
                "tenants: ",
            ),
            ("url = \"mqtt://u@h\"\nname = \"a\"", "not the URL"),
            (
                "url = \"mqtt://h\"\nname = \"a\"\nca = \"/x\"",
                "need a URL of mqtts",
            ),
            (
                "url = \"stomp://h\"\nname = \"a\"\nshared_group = \"g\"",
                "needs MQTT 5.0",
            ),
            (
                "url = \"mqtt://h\"\nname = \"a\"\nvirtual_host = \"/\"",
                "needs a URL of stomp",
            ),
            (
                "url = \"mqtts://h\"\nname = \"a\"\nkey = \"/x\"",
                "belong together",
            ),
            (
                "url = \"mqtt://h\"\nname = \"a\"\nversion = \"3.1.1\"\nshared_group = \"g\"",
                "needs MQTT 5.0",
            ),
            (
                "url = \"mqtt://h\"\nname = \"a\"\n[[usp.brokers]]\nurl = \"mqtt://g\"\nname = \"a\"",
                "two brokers",
            ),
        ] {
            let error = Config::parse(&format!("[[usp.brokers]]\n{text}\n")).unwrap_err();
            assert!(error.to_string().contains(said), "{text}: {error}");
        }
    }
}
