//! How each controller is reached, as the data model has it.

use usp::EndpointId;

use super::{CONTROLLERS, ControllerLink, Engine, Reach};
use crate::config::WebSocketAddress;

impl Engine {
    /// All enabled controllers and how to reach them.
    pub fn controllers(&self) -> Vec<ControllerLink> {
        let rows = self.state.instances(CONTROLLERS);
        rows.filter_map(|instance| {
            let row = format!("{CONTROLLERS}{instance}.");
            if !self.held_true(&format!("{row}Enable")) || self.is_banned(instance) {
                return None;
            }
            let endpoint_id: EndpointId = self.held(&format!("{row}EndpointID")).parse().ok()?;
            let (reach, retry, keep_alive) = self.reach(&row)?;
            Some(ControllerLink {
                instance,
                register: self.registers(endpoint_id.as_str()),
                endpoint_id,
                reach,
                retry,
                keep_alive,
                session: self.session_settings(instance),
            })
        })
        .collect()
    }

    /// The way of a controller's first enabled MTP, with its retry parameters and the seconds between pings.
    fn reach(&self, row: &str) -> Option<(Reach, (u32, u32), u32)> {
        let mtps = format!("{row}MTP.");
        let mut enabled: Vec<(u64, String)> = self
            .state
            .instances(&mtps)
            .map(|n| format!("{mtps}{n}."))
            .filter(|mtp| self.held_true(&format!("{mtp}Enable")))
            .map(|mtp| (self.held_number(&format!("{mtp}Order")), mtp))
            .collect();
        enabled.sort();
        let first = enabled.into_iter().next().map(|(_, mtp)| mtp);
        let protocol = first
            .as_ref()
            .map(|row| self.held(&format!("{row}Protocol")));
        match (protocol.as_deref(), &first) {
            (Some("MQTT"), Some(row)) => {
                let (link, retry) = self.mqtt_link(row)?;
                let keep_alive = link.keep_alive.into();
                return Some((Reach::Mqtt(Box::new(link)), retry, keep_alive));
            }
            (Some("STOMP"), Some(row)) => {
                let (link, retry) = self.stomp_link(row)?;
                return Some((Reach::Stomp(Box::new(link)), retry, 0));
            }
            _ => {}
        }
        let local = first
            .as_ref()
            .filter(|_| protocol.as_deref() == Some("UDS"));
        let local = local.map(|row| self.socket_reach(row));
        let mtp = first.map(|mtp| format!("{mtp}WebSocket."));
        let number = |name: &str, otherwise: u32| {
            let value = mtp
                .as_ref()
                .map_or(0, |mtp| self.held_number(&format!("{mtp}{name}")));
            if value == 0 {
                otherwise
            } else {
                value.min(u64::from(u32::MAX)) as u32
            }
        };
        let url = mtp.as_ref().and_then(|mtp| {
            let host = self.held(&format!("{mtp}Host"));
            let address = WebSocketAddress {
                port: number("Port", 80).min(65_535) as u16,
                path: self.held(&format!("{mtp}Path")),
                encrypted: self.held_true(&format!("{mtp}EnableEncryption")),
                host,
            };
            (!address.host.is_empty()).then(|| address.url())
        });
        let reach = match local {
            Some(reach) => reach?,
            None => url.map_or(Reach::Awaited, Reach::WebSocket),
        };
        let retry = (
            number("SessionRetryMinimumWaitInterval", 5),
            number("SessionRetryIntervalMultiplier", 2000),
        );
        Some((reach, retry, number("KeepAliveInterval", 60)))
    }

    /// What the configuration file says is registered at a controller.
    fn registers(&self, endpoint_id: &str) -> Vec<String> {
        let mut all = self.config.controllers.iter();
        let one = all.find(|one| one.endpoint_id == endpoint_id);
        one.map(|one| one.register.clone()).unwrap_or_default()
    }
}
