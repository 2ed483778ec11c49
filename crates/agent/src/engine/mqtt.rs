//! USP over MQTT in the data model: `Device.MQTT.Client.{i}.`, which `LocalAgent.MTP.{i}.MQTT.` and, through it,
//! `Controller.{i}.MTP.{i}.MQTT.` refer to. One client serves one controller.

use mtp::mqtt::{Version, topic};

use super::{CONTROLLERS, Engine, instance};
use crate::config::{ControllerConfig, MqttAddress, mqtt_version};

/// The table of MQTT clients, the engine's own like everything below it.
pub(crate) const CLIENTS: &str = "Device.MQTT.Client.";

/// All of MQTT.
pub(crate) const MQTT: &str = "Device.MQTT.";

const MTPS: &str = "Device.LocalAgent.MTP.";

/// How to reach a controller over MQTT.
#[derive(Clone, PartialEq, Eq)]
pub struct MqttLink {
    /// Instance of `Device.MQTT.Client.{i}.`.
    pub client: u32,
    /// Instance of `Device.LocalAgent.MTP.{i}.`.
    pub mtp: u32,
    /// Name or address of the broker.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Over TLS.
    pub encrypted: bool,
    /// Inside of a WebSocket.
    pub websocket: bool,
    /// The version of MQTT.
    pub version: Version,
    /// Client identifier; may be empty.
    pub client_id: String,
    /// User name; may be empty.
    pub username: String,
    /// Password; may be empty.
    pub password: String,
    /// Seconds.
    pub keep_alive: u16,
    /// Start without the session of before.
    pub clean: bool,
    /// Enabled filters of `Subscription.{i}.`.
    pub subscriptions: Vec<String>,
    /// `ResponseTopicConfigured`; may be empty.
    pub response_topic: String,
    /// Where the controller listens.
    pub topic: String,
    /// Quality of service.
    pub qos: u8,
    /// The longest wait between attempts, seconds.
    pub retry_max: u32,
}

impl std::fmt::Debug for MqttLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MqttLink")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// What an MTP row of a controller says of MQTT, and the retry parameters of its client.
    pub(super) fn mqtt_link(&self, row: &str) -> Option<(MqttLink, (u32, u32))> {
        let reference = self.held(&format!("{row}MQTT.AgentMTPReference"));
        let mtp = match instance(&reference, MTPS) {
            Some(mtp) => mtp,
            // There is only one of MQTT: the protocol is a unique key.
            None => self
                .state
                .instances(MTPS)
                .find(|n| self.held(&format!("{MTPS}{n}.Protocol")) == "MQTT")?,
        };
        let agent = format!("{MTPS}{mtp}.");
        let client = instance(&self.held(&format!("{agent}MQTT.Reference")), CLIENTS)?;
        let object = format!("{CLIENTS}{client}.");
        let enabled = self.held_true(&format!("{agent}Enable"))
            && self.held_true(&format!("{object}Enable"))
            && self.state.instances(CLIENTS).any(|n| n == client);
        let held = |name: &str| self.held(&format!("{object}{name}"));
        let number = |name: &str| self.held_number(&format!("{object}{name}"));
        let topic = self.held(&format!("{row}MQTT.Topic"));
        let host = held("BrokerAddress");
        if !enabled || host.is_empty() || !topic::is_name(&topic) {
            return None;
        }
        let table = format!("{object}Subscription.");
        let filters = self.state.instances(&table).filter_map(|n| {
            let row = format!("{table}{n}.");
            let wanted = self.held_true(&format!("{row}Enable"));
            wanted.then(|| self.held(&format!("{row}Topic")))
        });
        let transport = held("TransportProtocol");
        let version = mqtt_version(&held("ProtocolVersion")).unwrap_or_default();
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let link = MqttLink {
            client,
            mtp,
            host,
            port: u16::try_from(number("BrokerPort")).unwrap_or(1883),
            encrypted: matches!(&*transport, "TLS" | "WebSocketTLS"),
            websocket: matches!(&*transport, "WebSocket" | "WebSocketTLS"),
            version,
            client_id: held("ClientID"),
            username: held("Username"),
            password: held("Password"),
            keep_alive: u16::try_from(number("KeepAliveTime")).unwrap_or(u16::MAX),
            clean: match version {
                Version::V5 => self.held_true(&format!("{object}CleanStart")),
                Version::V311 => self.held_true(&format!("{object}CleanSession")),
            },
            subscriptions: filters.filter(|filter| !filter.is_empty()).collect(),
            response_topic: self.held(&format!("{agent}MQTT.ResponseTopicConfigured")),
            topic,
            qos: self.held_number(&format!("{agent}MQTT.PublishQoS")).min(1) as u8,
            retry_max: small(number("ConnectRetryMaxInterval")).max(1),
        };
        let retry = (
            small(number("ConnectRetryTime")).max(1),
            small(number("ConnectRetryIntervalMultiplier")).max(1000),
        );
        Some((link, retry))
    }

    /// The rows for a controller of the configuration file that is reached over MQTT. Gives back those below the
    /// controller's own row.
    pub(super) fn configure_mqtt(
        &mut self,
        config: &ControllerConfig,
        address: MqttAddress,
        row: u32,
    ) -> Vec<(String, String)> {
        let mqtt = config.mqtt.clone().unwrap_or_default();
        let (topic, response_topic) = mqtt.topics(self.own.as_str());
        let client = self
            .state
            .insert(CLIENTS, self.client_for(&config.endpoint_id));
        let mtp = self
            .state
            .instances(MTPS)
            .find(|n| self.held(&format!("{MTPS}{n}.Protocol")) == "MQTT");
        let mtp = self.state.insert(MTPS, mtp);
        let transport = match (address.websocket, address.encrypted) {
            (false, false) => "TCP/IP",
            (false, true) => "TLS",
            (true, false) => "WebSocket",
            (true, true) => "WebSocketTLS",
        };
        let of_client = [
            ("Alias", format!("cpe-{client}")),
            ("Name", format!("cpe-{client}")),
            ("Enable", "true".to_owned()),
            ("ProtocolVersion", mqtt.version),
            ("BrokerAddress", address.host),
            ("BrokerPort", address.port.to_string()),
            ("TransportProtocol", transport.to_owned()),
            ("ClientID", mqtt.client_id),
            ("Username", mqtt.username),
            ("Password", mqtt.password),
            ("KeepAliveTime", config.keep_alive.min(65_535).to_string()),
            ("RequestResponseInfo", "true".to_owned()),
            ("ConnectRetryTime", config.retry_min_wait.to_string()),
            (
                "ConnectRetryIntervalMultiplier",
                config.retry_multiplier.to_string(),
            ),
        ];
        for (name, value) in of_client {
            self.state.set(&format!("{CLIENTS}{client}.{name}"), &value);
        }
        let of_mtp = [
            ("Alias", format!("cpe-{mtp}")),
            ("Enable", "true".to_owned()),
            ("Protocol", "MQTT".to_owned()),
            ("MQTT.Reference", format!("{CLIENTS}{client}")),
            ("MQTT.ResponseTopicConfigured", response_topic),
            ("MQTT.PublishQoS", mqtt.qos.to_string()),
        ];
        for (name, value) in of_mtp {
            self.state.set(&format!("{MTPS}{mtp}.{name}"), &value);
        }
        [
            ("Protocol", "MQTT".to_owned()),
            ("MQTT.Topic", topic),
            ("MQTT.AgentMTPReference", format!("{MTPS}{mtp}")),
        ]
        .map(|(name, value)| (format!("MTP.{row}.{name}"), value))
        .to_vec()
    }

    /// The row of its client: one that was found has its own, so that no credential of it goes to others.
    fn client_for(&self, endpoint_id: &str) -> Option<u32> {
        let mut configured = self.config.controllers.iter();
        if !configured.any(|one| one.endpoint_id == endpoint_id) {
            return self.note(endpoint_id).and_then(|note| note.client);
        }
        let found = self.found_rows();
        let is_found = |n: &u32| found.iter().any(|(_, _, note)| note.client == Some(*n));
        let mut clients = self.state.instances(CLIENTS);
        clients.find(|n| !is_found(n))
    }

    /// The client that the MTP of MQTT has.
    pub(super) fn mqtt_client(&self) -> Option<u32> {
        let mut mtps = self.state.instances(MTPS);
        let mtp = mtps.find(|n| self.held(&format!("{MTPS}{n}.Protocol")) == "MQTT")?;
        instance(&self.held(&format!("{MTPS}{mtp}.MQTT.Reference")), CLIENTS)
    }

    /// Whether a controller is reached over MQTT.
    pub(super) fn is_over_mqtt(&self, controller: u32) -> bool {
        let below = format!("{CONTROLLERS}{controller}.MTP.");
        let mut mtps = self.state.values_below(&below);
        mtps.any(|(_, name, value)| name == "Protocol" && value == "MQTT")
    }

    /// What is known of the connection of a client: `None` when it has none.
    pub fn set_mqtt(&mut self, link: &MqttLink, connected: Option<(&str, Option<&str>)>) {
        let Some((reply, assigned)) = connected else {
            self.links.mqtt.remove(&link.client);
            return;
        };
        let shown = (link.mtp, reply.to_owned());
        self.links.mqtt.insert(link.client, shown);
        // R-MQTT.9: to be used for ever.
        let path = format!("{CLIENTS}{}.ClientID", link.client);
        if let Some(assigned) = assigned
            && self.held(&path).is_empty()
        {
            self.state.set(&path, assigned);
            self.persist_quietly();
        }
    }

    /// Live values below `Device.MQTT.`; `None`: held ones.
    pub(super) fn mqtt_value(&self, path: &str) -> Option<String> {
        let (client, name) = path.strip_prefix(CLIENTS)?.split_once('.')?;
        let client: u32 = client.parse().ok()?;
        let up = self.links.mqtt.get(&client);
        let object = format!("{CLIENTS}{client}.");
        match name {
            "Status" if !self.held_true(&format!("{object}Enable")) => Some("Disabled".into()),
            "Status" if up.is_some() => Some("Connected".into()),
            "Status" => Some("Connecting".into()),
            "ResponseInformation" => Some(up.map(|(_, reply)| reply.clone()).unwrap_or_default()),
            _ => None,
        }
    }

    /// The topic at which answers reach this MTP.
    pub(super) fn mqtt_discovered(&self, mtp: u32) -> Option<&str> {
        let mut all = self.links.mqtt.values();
        all.find(|(of, _)| *of == mtp)
            .map(|(_, reply)| reply.as_str())
    }
}
