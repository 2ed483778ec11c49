//! What is remembered of controllers that were found, and what it counts for: a row counts as found only while the note
//! names it, the configuration file comes first, and at each start the configuration says anew who is trusted.

use serde::{Deserialize, Serialize};

use super::discovery::Source;
use super::{CONTROLLERS, Engine, boot, mqtt};
use crate::config::FULL_ACCESS;

/// What is kept beside the row of a controller that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Note {
    /// Its row: another one with the same endpoint id was made by somebody else.
    pub instance: u32,
    /// How it was found.
    pub source: Source,
    /// What was said of it when it was last taken over.
    pub url: String,
    pub provisioning_code: Option<String>,
    pub retry_min_wait: Option<u32>,
    pub retry_multiplier: Option<u32>,
    /// The role it was given for that.
    pub role: String,
    /// What it was shown there as a credential: the path of the WebSocket, or user name and password of the broker. What
    /// is held in place of it was set by a controller.
    pub path: String,
    pub login: (String, String),
    /// Its row of `Device.MQTT.Client.{i}.`.
    pub client: Option<u32>,
    /// It is disabled because another one has its place, or nobody looks for controllers: nobody else did that.
    pub aside: bool,
    /// Larger for those that were named later.
    pub turn: u64,
    /// See [`ControllerLink::proves`](crate::ControllerLink::proves).
    pub proves: bool,
}

impl Note {
    pub fn is_trusted(&self) -> bool {
        self.role == FULL_ACCESS
    }
}

fn key(endpoint_id: &str) -> String {
    format!("~found.{endpoint_id}")
}

impl Engine {
    /// What is remembered of a controller, whatever has become of its row.
    pub(super) fn note(&self, endpoint_id: &str) -> Option<Note> {
        serde_json::from_str(self.state.value(&key(endpoint_id))?).ok()
    }

    pub(super) fn set_note(&mut self, endpoint_id: &str, note: &Note) {
        // It is text and numbers, which JSON has.
        let text = serde_json::to_string(note).unwrap_or_default();
        self.state.set(&key(endpoint_id), &text);
    }

    /// What is remembered of the controller that has this row, if it was found.
    pub(super) fn note_of_row(&self, instance: u32, endpoint_id: &str) -> Option<Note> {
        let note = self.note(endpoint_id);
        note.filter(|note| note.instance == instance)
    }

    /// All that were found, with their rows.
    pub(super) fn found_rows(&self) -> Vec<(u32, String, Note)> {
        let rows = self.state.instances(CONTROLLERS);
        rows.filter_map(|n| {
            let id = self.held(&format!("{CONTROLLERS}{n}.EndpointID"));
            let note = self.note_of_row(n, &id)?;
            Some((n, id, note))
        })
        .collect()
    }

    /// Whether a controller's certificate has to carry its endpoint id.
    pub(super) fn proves(&self, instance: u32, endpoint_id: &str) -> bool {
        let note = self.note_of_row(instance, endpoint_id);
        note.is_some_and(|note| note.proves)
    }

    /// It is no one's any more.
    pub(super) fn forget_found(&mut self, endpoint_id: &str) {
        if let Some(client) = self.note(endpoint_id).and_then(|note| note.client) {
            self.state.remove(mqtt::CLIENTS, client);
        }
        self.state.unset(&key(endpoint_id));
    }

    /// Disables one until it is named again.
    pub(super) fn put_aside(&mut self, instance: u32, endpoint_id: &str, mut note: Note) {
        let enable = format!("{CONTROLLERS}{instance}.Enable");
        if self.held_true(&enable) {
            self.state.set(&enable, "false");
            note.aside = true;
            self.set_note(endpoint_id, &note);
        }
    }

    /// What the configuration says now counts for those that were found before.
    pub(super) fn settle_found(&mut self) {
        for (n, id, mut note) in self.found_rows() {
            let found = id.parse().ok().and_then(|id| {
                let discovery = &self.config.discovery;
                let found = discovery.controller(&self.config.tls, &id, &note.url);
                let is_on = match note.source {
                    Source::Lease => discovery.dhcp_lease.is_some(),
                    Source::Lan => discovery.mdns,
                };
                found.ok().filter(|_| is_on)
            });
            let over_mqtt = note.client.is_some() && self.is_over_mqtt(n);
            let Some((config, proves)) =
                found.filter(|_| !over_mqtt || self.mqtt_client() == note.client)
            else {
                self.put_aside(n, &id, note);
                continue;
            };
            let role = format!("{CONTROLLERS}{n}.AssignedRole");
            if config.role != note.role && self.held(&role) == boot::role(&note.role) {
                self.state.set(&role, &boot::role(&config.role));
            }
            note.role = config.role;
            note.proves |= proves;
            self.set_note(&id, &note);
        }
    }
}
