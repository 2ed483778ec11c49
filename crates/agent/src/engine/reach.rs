//! How each controller is reached, as the data model has it.

use usp::EndpointId;

use super::{CONTROLLERS, ControllerLink, Engine, Reach};
use crate::config::WebSocketAddress;

impl Engine {
    /// All enabled controllers and how to reach them; the ways to one controller one after the other, in their `Order`.
    pub fn controllers(&self) -> Vec<ControllerLink> {
        let rows = self.state.instances(CONTROLLERS);
        let enabled = rows.filter(|instance| {
            self.held_true(&format!("{CONTROLLERS}{instance}.Enable")) && !self.is_banned(*instance)
        });
        enabled.flat_map(|instance| self.ways(instance)).collect()
    }

    fn ways(&self, instance: u32) -> Vec<ControllerLink> {
        let mtps = format!("{CONTROLLERS}{instance}.MTP.");
        let rows = self.state.instances(&mtps);
        let mut enabled: Vec<(u64, u32)> = rows
            .filter(|n| self.held_true(&format!("{mtps}{n}.Enable")))
            .map(|n| (self.held_number(&format!("{mtps}{n}.Order")), n))
            .collect();
        enabled.sort_unstable();
        if enabled.is_empty() {
            enabled.push((0, 0));
        }
        // No more than there are protocols: that is a unique key of the table.
        let ways = enabled
            .into_iter()
            .filter_map(|(_, n)| self.way(instance, n));
        ways.collect()
    }

    fn way(&self, instance: u32, mtp: u32) -> Option<ControllerLink> {
        let row = format!("{CONTROLLERS}{instance}.");
        let endpoint_id: EndpointId = self.held(&format!("{row}EndpointID")).parse().ok()?;
        let (reach, retry, keep_alive) = self.reach(&format!("{row}MTP.{mtp}."))?;
        Some(ControllerLink {
            instance,
            mtp,
            register: self.registers(endpoint_id.as_str()),
            proves: self.proves(instance, endpoint_id.as_str()),
            found: self.note_of_row(instance, endpoint_id.as_str()).is_some(),
            endpoint_id,
            reach,
            retry,
            keep_alive,
            session: self.session_settings(instance),
        })
    }

    /// The way of an MTP of a controller, with its retry parameters and the seconds between pings.
    fn reach(&self, row: &str) -> Option<(Reach, (u32, u32), u32)> {
        let mut local = None;
        match self.held(&format!("{row}Protocol")).as_str() {
            "MQTT" => {
                let (link, retry) = self.mqtt_link(row)?;
                let keep_alive = link.keep_alive.into();
                return Some((Reach::Mqtt(Box::new(link)), retry, keep_alive));
            }
            "STOMP" => {
                let (link, retry) = self.stomp_link(row)?;
                return Some((Reach::Stomp(Box::new(link)), retry, 0));
            }
            "UDS" => local = Some(self.socket_reach(row)?),
            "" | "WebSocket" => {}
            _ => return None,
        }
        let row = format!("{row}WebSocket.");
        let number = |name: &str, otherwise: u32| match self.held_number(&format!("{row}{name}")) {
            0 => otherwise,
            value => value.min(u64::from(u32::MAX)) as u32,
        };
        let address = WebSocketAddress {
            host: self.held(&format!("{row}Host")),
            port: number("Port", 80).min(65_535) as u16,
            path: self.held(&format!("{row}Path")),
            encrypted: self.held_true(&format!("{row}EnableEncryption")),
        };
        let reach = match (local, address.host.as_str()) {
            (Some(local), _) => local,
            (None, "") => Reach::Awaited,
            (None, _) => Reach::WebSocket(address.url()),
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
