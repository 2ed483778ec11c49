//! The ways by which an agent meets the server in the scenario: over WebSocket, and at each broker, plain and over TLS
//! with the agent's certificate.

use super::brokers::{Brokers, Meeting, PASSWORD};
use super::server::Server;
use anyhow::{Context, Result};

/// One way.
#[derive(Clone, Copy)]
pub struct Way {
    /// The device is `self::interop-NAME`.
    pub name: &'static str,
    /// For people.
    pub words: &'static str,
    pub over: Over,
    /// Over TLS, and the agent shows a certificate.
    pub encrypted: bool,
}

/// What carries the records.
#[derive(Clone, Copy, PartialEq)]
pub enum Over {
    /// WebSocket; the agent dials us.
    ItDials,
    /// WebSocket; we dial the agent.
    WeDial,
    /// MQTT of this version.
    Mqtt(Broker, &'static str),
    /// STOMP at RabbitMQ.
    Stomp,
}

/// Which broker of MQTT.
#[derive(Clone, Copy, PartialEq)]
pub enum Broker {
    Inside,
    Mosquitto,
    RabbitMq,
}

const fn plain(name: &'static str, words: &'static str, over: Over) -> Way {
    Way {
        name,
        words,
        over,
        encrypted: false,
    }
}

const fn tls(name: &'static str, words: &'static str, over: Over) -> Way {
    Way {
        encrypted: true,
        ..plain(name, words, over)
    }
}

use Broker::{Inside, Mosquitto, RabbitMq};
use Over::{ItDials, Mqtt, Stomp, WeDial};

/// All of them, in the order of the table.
#[rustfmt::skip]
pub const WAYS: [Way; 15] = [
    plain("dials", "WebSocket, it dials us", ItDials),
    tls("dialstls", "WebSocket, it dials us, TLS with its certificate", ItDials),
    plain("listens", "WebSocket, we dial it", WeDial),
    plain("mqtt5", "MQTT 5.0, broker inside", Mqtt(Inside, "5.0")),
    plain("mqtt311", "MQTT 3.1.1, broker inside", Mqtt(Inside, "3.1.1")),
    tls("mqtt5tls", "MQTT 5.0, broker inside, TLS with its certificate", Mqtt(Inside, "5.0")),
    tls("mqtt311tls", "MQTT 3.1.1, broker inside, TLS with its certificate", Mqtt(Inside, "3.1.1")),
    plain("mosquitto5", "MQTT 5.0, Mosquitto", Mqtt(Mosquitto, "5.0")),
    plain("mosquitto311", "MQTT 3.1.1, Mosquitto", Mqtt(Mosquitto, "3.1.1")),
    tls("mosquitto5tls", "MQTT 5.0, Mosquitto, TLS with its certificate", Mqtt(Mosquitto, "5.0")),
    tls("mosquitto311tls", "MQTT 3.1.1, Mosquitto, TLS with its certificate", Mqtt(Mosquitto, "3.1.1")),
    plain("rabbitmq", "MQTT 3.1.1, RabbitMQ", Mqtt(RabbitMq, "3.1.1")),
    tls("rabbitmqtls", "MQTT 3.1.1, RabbitMQ, TLS with its certificate", Mqtt(RabbitMq, "3.1.1")),
    plain("stomp", "STOMP 1.2, RabbitMQ", Stomp),
    tls("stomptls", "STOMP 1.2, RabbitMQ, TLS with its certificate", Stomp),
];

impl Way {
    /// What the device calls itself.
    pub fn device(self) -> String {
        format!("self::interop-{}", self.name)
    }

    /// Whether it is the certificate that opens our door, so that the device has to be registered before it comes.
    pub fn opens_by_certificate(self) -> bool {
        self.encrypted && matches!(self.over, ItDials | Mqtt(Inside, _))
    }

    /// Where it meets us, if it does so at a broker of MQTT.
    pub fn meeting(self, server: &Server, brokers: &Brokers) -> Result<Option<Meeting>> {
        let Mqtt(broker, version) = self.over else {
            return Ok(None);
        };
        let port = match (broker, self.encrypted) {
            (Inside, false) => server.mqtt_port,
            (Inside, true) => brokers.inside_tls,
            (Mosquitto, false) => brokers.mosquitto,
            (Mosquitto, true) => brokers.mosquitto_tls,
            (RabbitMq, false) => brokers.rabbitmq,
            (RabbitMq, true) => brokers.rabbitmq_tls,
        };
        let own = format!("default/{}", self.name);
        let (username, password) = match broker {
            Inside if self.encrypted => (own, String::new()),
            Inside | RabbitMq => ("default/setup".to_owned(), setup_key(server, self.name)?),
            Mosquitto => (own, PASSWORD.to_owned()),
        };
        Ok(Some(Meeting {
            port,
            version,
            transport: if self.encrypted { "TLS" } else { "TCP/IP" },
            username,
            password,
        }))
    }
}

/// A new setup key.
pub fn setup_key(server: &Server, name: &str) -> Result<String> {
    let body = serde_json::json!({"name": format!("interop {name}")});
    let key = server.post("/api/v1/setup-keys", &body)?;
    let secret = key["secret"].as_str().context("no setup key")?;
    Ok(secret.to_owned())
}
