//! USP over STOMP in the data model: `Device.STOMP.Connection.{i}.`, which `LocalAgent.MTP.{i}.STOMP.` and
//! `Controller.{i}.MTP.{i}.STOMP.` refer to. One connection serves one controller.

use super::{Engine, clock, instance};
use crate::Now;
use crate::config::{ControllerConfig, StompAddress};

/// The table of connections, the engine's own like everything below it.
pub(crate) const CONNECTIONS: &str = "Device.STOMP.Connection.";

/// All of STOMP.
pub(crate) const STOMP: &str = "Device.STOMP.";

const MTPS: &str = "Device.LocalAgent.MTP.";

/// How to reach a controller over STOMP.
#[derive(Clone, PartialEq, Eq)]
pub struct StompLink {
    /// Instance of `Device.STOMP.Connection.{i}.`.
    pub connection: u32,
    /// Instance of `Device.LocalAgent.MTP.{i}.`.
    pub mtp: u32,
    /// Name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Over TLS.
    pub encrypted: bool,
    /// Virtual host; may be empty.
    pub virtual_host: String,
    /// User name; may be empty.
    pub username: String,
    /// Password; may be empty.
    pub password: String,
    /// Milliseconds between our heart-beats and between the server's, if there are any (R-STOMP.8 to .11).
    pub heart_beat: Option<(u32, u32)>,
    /// `LocalAgent.MTP.{i}.STOMP.Destination`; may be empty.
    pub own_destination: String,
    /// Where the controller listens.
    pub destination: String,
    /// The longest wait between attempts, seconds.
    pub retry_max: u32,
}

impl std::fmt::Debug for StompLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StompLink")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("destination", &self.destination)
            .finish_non_exhaustive()
    }
}

/// What is shown of a connection.
#[derive(Debug)]
pub(super) struct Shown {
    mtp: u32,
    /// It is up, and this is where the server says that we listen; empty when it does not.
    up: Option<String>,
    /// When that changed, milliseconds since 1970.
    changed: i64,
}

impl Engine {
    /// What an MTP row of a controller says of STOMP, and the retry parameters of its connection.
    pub(super) fn stomp_link(&self, row: &str) -> Option<(StompLink, (u32, u32))> {
        // There is only one of STOMP: the protocol is a unique key.
        let mtp = self.stomp_mtp()?;
        let agent = format!("{MTPS}{mtp}.");
        let given = self.held(&format!("{row}STOMP.Reference"));
        let reference = match given.is_empty() {
            true => self.held(&format!("{agent}STOMP.Reference")),
            false => given,
        };
        let connection = instance(&reference, CONNECTIONS)?;
        let object = format!("{CONNECTIONS}{connection}.");
        let enabled = self.held_true(&format!("{agent}Enable"))
            && self.held_true(&format!("{object}Enable"))
            && self.state.instances(CONNECTIONS).any(|n| n == connection);
        let held = |name: &str| self.held(&format!("{object}{name}"));
        let number = |name: &str| {
            let number = self.held_number(&format!("{object}{name}"));
            u32::try_from(number).unwrap_or(u32::MAX)
        };
        let destination = self.held(&format!("{row}STOMP.Destination"));
        let host = held("Host");
        if !enabled || host.is_empty() || destination.is_empty() {
            return None;
        }
        let beats = self.held_true(&format!("{object}EnableHeartbeats"));
        let link = StompLink {
            connection,
            mtp,
            host,
            port: u16::try_from(number("Port")).unwrap_or(61613),
            encrypted: self.held_true(&format!("{object}EnableEncryption")),
            virtual_host: held("VirtualHost"),
            username: held("Username"),
            password: held("Password"),
            heart_beat: beats.then(|| (number("OutgoingHeartbeat"), number("IncomingHeartbeat"))),
            own_destination: self.held(&format!("{agent}STOMP.Destination")),
            destination,
            retry_max: number("ServerRetryMaxInterval").max(1),
        };
        let retry = (
            number("ServerRetryInitialInterval").max(1),
            number("ServerRetryIntervalMultiplier").max(1000),
        );
        Some((link, retry))
    }

    fn stomp_mtp(&self) -> Option<u32> {
        self.state
            .instances(MTPS)
            .find(|n| self.held(&format!("{MTPS}{n}.Protocol")) == "STOMP")
    }

    /// The rows for a controller of the configuration file that is reached over STOMP. Gives back those below the
    /// controller's own row.
    pub(super) fn configure_stomp(
        &mut self,
        config: &ControllerConfig,
        address: StompAddress,
    ) -> Vec<(String, String)> {
        let stomp = config.stomp.clone().unwrap_or_default();
        let (destination, own_destination) = stomp.destinations(self.own.as_str());
        let connection = self.state.instances(CONNECTIONS).next();
        let connection = self.state.insert(CONNECTIONS, connection);
        let mtp = self.stomp_mtp();
        let mtp = self.state.insert(MTPS, mtp);
        let beat = config.keep_alive.saturating_mul(1000).to_string();
        let of_connection = [
            ("Alias", format!("cpe-{connection}")),
            ("Enable", "true".to_owned()),
            ("Host", address.host),
            ("Port", address.port.to_string()),
            ("EnableEncryption", address.encrypted.to_string()),
            ("VirtualHost", stomp.virtual_host),
            ("Username", stomp.username),
            ("Password", stomp.password),
            ("EnableHeartbeats", "true".to_owned()),
            ("OutgoingHeartbeat", beat.clone()),
            ("IncomingHeartbeat", beat),
            (
                "ServerRetryInitialInterval",
                config.retry_min_wait.to_string(),
            ),
            (
                "ServerRetryIntervalMultiplier",
                config.retry_multiplier.to_string(),
            ),
        ];
        for (name, value) in of_connection {
            let path = format!("{CONNECTIONS}{connection}.{name}");
            self.state.set(&path, &value);
        }
        let reference = format!("{CONNECTIONS}{connection}");
        let of_mtp = [
            ("Alias", format!("cpe-{mtp}")),
            ("Enable", "true".to_owned()),
            ("Protocol", "STOMP".to_owned()),
            ("STOMP.Reference", reference.clone()),
            ("STOMP.Destination", own_destination),
        ];
        for (name, value) in of_mtp {
            self.state.set(&format!("{MTPS}{mtp}.{name}"), &value);
        }
        [
            ("Protocol", "STOMP".to_owned()),
            ("STOMP.Reference", reference),
            ("STOMP.Destination", destination),
        ]
        .map(|(name, value)| (format!("MTP.1.{name}"), value))
        .to_vec()
    }

    /// What is known of a connection: `None` when there is none, else where its server says that this agent listens,
    /// empty when it says nothing.
    pub fn set_stomp(&mut self, now: Now, link: &StompLink, connected: Option<&str>) {
        let up = connected.map(str::to_owned);
        let before = self.links.stomp.get(&link.connection);
        let same = before.filter(|before| before.up == up);
        let shown = Shown {
            mtp: link.mtp,
            changed: same.map_or(now.unix_ms, |same| same.changed),
            up,
        };
        self.links.stomp.insert(link.connection, shown);
    }

    /// Live values below `Device.STOMP.`; `None`: held ones.
    pub(super) fn stomp_value(&self, path: &str) -> Option<String> {
        let (connection, name) = path.strip_prefix(CONNECTIONS)?.split_once('.')?;
        let connection: u32 = connection.parse().ok()?;
        let shown = self.links.stomp.get(&connection);
        let enable = format!("{CONNECTIONS}{connection}.Enable");
        match name {
            "Status" if !self.held_true(&enable) => Some("Disabled".into()),
            "Status" if shown.is_some_and(|shown| shown.up.is_some()) => Some("Enabled".into()),
            "Status" => Some("Connecting".into()),
            "LastChangeDate" => Some(match shown {
                Some(shown) => clock::format_ms(shown.changed),
                None => clock::UNKNOWN.into(),
            }),
            _ => None,
        }
    }

    /// Where the server says that this MTP listens; `None` while it is not connected.
    pub(super) fn stomp_discovered(&self, mtp: u32) -> Option<&str> {
        let mut all = self.links.stomp.values();
        all.find(|shown| shown.mtp == mtp)?.up.as_deref()
    }
}
