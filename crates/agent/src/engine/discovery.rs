//! Controllers that were found, in the data model: a DHCP server has named them, or they tell of themselves on the local
//! network. They have a row like others, and who is in the configuration file, or was put into the table by a controller,
//! is not touched by what is found.

use mtp::discovery::dhcp::Offer;
use serde::{Deserialize, Serialize};
use usp::EndpointId;

use super::found::Note;
use super::{CONTROLLERS, Engine};
use crate::Now;
use crate::config::{ControllerConfig, FULL_ACCESS, MqttAddress, WebSocketAddress};
use crate::limits::{CONTROLLERS_MAX, FOUND_CONTROLLERS_MAX};

/// Why one whose credential the device holds is not moved.
const CREDENTIAL_STAYS: &str = "the device holds a credential of it, which goes to another address over TLS alone, to whom \
                                tls.ca_file vouches for";

/// How a controller was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A DHCP server names one controller, for which the others from leases make room.
    #[default]
    Lease,
    /// Any number tell of themselves on the local network.
    Lan,
}

/// What that has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A controller that was not known.
    New,
    /// A controller that was found before, with other values.
    Changed,
    /// All of it is known.
    Known,
    /// The controller is known otherwise, or somebody has disabled it, so that this says nothing about it.
    Configured,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Found::New => "it is new",
            Found::Changed => "it has changed",
            Found::Known => "it is known",
            Found::Configured => "it is known otherwise, and that counts",
        })
    }
}

/// Who makes room for a controller that was found.
struct Room {
    /// They are disabled.
    aside: Vec<(u32, String, Note)>,
    /// They are removed.
    gone: Vec<(u32, String)>,
}

impl Engine {
    /// What people call this device, if anything.
    pub(crate) fn friendly_name(&self, now: Now) -> Option<String> {
        let name = self.value(now, "Device.DeviceInfo.FriendlyName");
        name.filter(|name| !name.is_empty())
    }

    /// Takes up a controller that was found. The error says why it cannot be used; then everything is as before.
    pub fn found(&mut self, now: Now, source: Source, offer: &Offer) -> Result<Found, String> {
        let id = offer.endpoint_id.as_ref();
        let id = id.ok_or("it does not say who the controller is")?;
        let url = offer.url.as_deref();
        let url = url.ok_or("it does not say where the controller is")?;
        if *id == self.own {
            return Err("it names this agent".into());
        }
        let mut configured = self.config.controllers.iter();
        if configured.any(|one| one.endpoint_id == id.as_str()) {
            return Ok(Found::Configured);
        }
        let discovery = &self.config.discovery;
        let found = discovery.controller(&self.config.tls, id, url);
        let (config, proves) = found.map_err(|reason| format!("the URL {reason}"))?;
        let row = self.row_of(id.as_str());
        let known = match row {
            Some(n) => match self.note_of_row(n, id.as_str()) {
                Some(note) if note.source == source => Some((n, note)),
                _ => return Ok(Found::Configured),
            },
            None => None,
        };
        let room = self.room(source, id, known.is_none(), &config)?;
        if let Some((n, note)) = &known {
            let enabled = self.held_true(&format!("{CONTROLLERS}{n}.Enable"));
            if !enabled && !note.aside {
                return Ok(Found::Configured);
            }
            if enabled && room.aside.is_empty() && says_the_same(note, offer, &config) {
                return Ok(Found::Known);
            }
            if is_encrypted(&note.url) && !is_encrypted(url) {
                return Err(
                    "it was found over TLS, and is not moved to where there is none".into(),
                );
            }
        }
        let start = self.state.mark();
        for (n, one, note) in room.aside {
            self.put_aside(n, &one, note);
        }
        for (n, one) in room.gone {
            self.state.remove(CONTROLLERS, n);
            self.forget_found(&one);
        }
        let is_new = known.is_none();
        if let Err(reason) = self.take_over(now, source, offer, (&config, proves), known) {
            self.state.rollback(start);
            return Err(reason);
        }
        self.commit(now, None).map_err(|fault| fault.to_string())?;
        Ok(if is_new { Found::New } else { Found::Changed })
    }

    fn row_of(&self, id: &str) -> Option<u32> {
        let mut rows = self.state.instances(CONTROLLERS);
        rows.find(|n| self.held(&format!("{CONTROLLERS}{n}.EndpointID")) == id)
    }

    /// Who makes room: of those from leases all that are enabled, but one that is trusted gives way to nobody who is not;
    /// and when there are too many, those that were named longest ago, the untrusted first. Of the local network's nobody
    /// does, but for one that is trusted the untrusted.
    fn room(
        &self,
        source: Source,
        id: &EndpointId,
        is_new: bool,
        config: &ControllerConfig,
    ) -> Result<Room, String> {
        let mut others = self.found_rows();
        others.retain(|(_, one, _)| one != id.as_str());
        if MqttAddress::is_one(&config.url) && self.is_mqtt_taken(id, &others, config) {
            return Err("another controller is reached over MQTT, and only one can be".into());
        }
        others.retain(|(_, _, note)| note.source == source);
        let over = (others.len() + 1).saturating_sub(FOUND_CONTROLLERS_MAX);
        others.retain(|(n, _, note)| match source {
            Source::Lease => !self.stays(*n, note, config),
            Source::Lan => config.role == FULL_ACCESS && !note.is_trusted(),
        });
        if source == Source::Lan && is_new && over > others.len() {
            let most = FOUND_CONTROLLERS_MAX;
            return Err(format!("there are {most} of the local network already"));
        }
        others.sort_by_key(|(_, _, note)| (note.is_trusted(), note.turn));
        let mut gone = Vec::new();
        if is_new {
            let aside = others.split_off(over.min(others.len()));
            gone = others.into_iter().map(|(n, one, _)| (n, one)).collect();
            others = aside;
            if self.state.count(CONTROLLERS) - gone.len() >= CONTROLLERS_MAX {
                return Err(format!("there are {CONTROLLERS_MAX} controllers already"));
            }
        }
        others.retain(|(n, ..)| source == Source::Lease && self.is_enabled(*n));
        Ok(Room {
            aside: others,
            gone,
        })
    }

    fn is_enabled(&self, controller: u32) -> bool {
        self.held_true(&format!("{CONTROLLERS}{controller}.Enable"))
    }

    /// Whether a controller that was found keeps its place beside another one.
    fn stays(&self, controller: u32, note: &Note, other: &ControllerConfig) -> bool {
        let gives_way = note.source == Source::Lease && other.role == FULL_ACCESS;
        self.is_enabled(controller) && note.is_trusted() && !gives_way
    }

    /// Whether MQTT, of which there is one, belongs to somebody who does not give way.
    fn is_mqtt_taken(
        &self,
        id: &EndpointId,
        others: &[(u32, String, Note)],
        config: &ControllerConfig,
    ) -> bool {
        let Some(client) = self.mqtt_client() else {
            return false;
        };
        let mut found = others.iter();
        match found.find(|(_, _, note)| note.client == Some(client)) {
            Some((n, _, note)) => self.is_over_mqtt(*n) && self.stays(*n, note, config),
            None => self.note(id.as_str()).and_then(|note| note.client) != Some(client),
        }
    }

    /// The row as it was said, field by field: what is said as before, and what a controller has set as the device's
    /// credential, stays.
    fn take_over(
        &mut self,
        now: Now,
        source: Source,
        offer: &Offer,
        (config, proves): (&ControllerConfig, bool),
        known: Option<(u32, Note)>,
    ) -> Result<(), String> {
        let is_new = known.is_none();
        let n = known.as_ref().map(|(n, _)| *n);
        let mut note = known.map(|(_, note)| note).unwrap_or_default();
        let moved = is_new || note.url != config.url;
        let mqtt = config.mqtt.clone().unwrap_or_default();
        let login = (mqtt.username, mqtt.password);
        let is_mqtt = MqttAddress::is_one(&config.url);
        if moved || is_mqtt && (note.login != login || self.mqtt_client() != note.client) {
            let own = n.map(|n| self.own_credential(n, &note));
            let own = own.unwrap_or_default();
            let configured = self.configure_controller(now, config, n);
            configured.map_err(|error| error.to_string())?;
            for (path, value) in &own {
                self.state.set(path, value);
            }
            // What a controller has given goes along only to where that controller shows to be.
            if !own.is_empty() && place(&note.url) != place(&config.url) {
                if !self.vouches_for(&config.url) {
                    return Err(CREDENTIAL_STAYS.into());
                }
                note.proves = true;
            }
        }
        let id = config.endpoint_id.as_str();
        let n = self.row_of(id).ok_or("it has no row")?;
        let row = format!("{CONTROLLERS}{n}.");
        let mut values = vec![("Enable", Some("true".to_owned()))];
        if is_new || self.held(&format!("{row}AssignedRole")) == super::boot::role(&note.role) {
            values.push(("AssignedRole", Some(super::boot::role(&config.role))));
        }
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        if offer.provisioning_code != note.provisioning_code {
            values.push(("ProvisioningCode", offer.provisioning_code.clone()));
        }
        if offer.retry_min_wait != note.retry_min_wait {
            values.push((
                "USPNotifRetryMinimumWaitInterval",
                number(offer.retry_min_wait),
            ));
        }
        if offer.retry_multiplier != note.retry_multiplier {
            values.push((
                "USPNotifRetryIntervalMultiplier",
                number(offer.retry_multiplier),
            ));
        }
        for (name, value) in values {
            if let Some(value) = value {
                self.state.set(&format!("{row}{name}"), &value);
            }
        }
        let path = WebSocketAddress::parse(&config.url).map(|address| address.path);
        let turn = self.found_rows().iter().map(|(_, _, note)| note.turn).max();
        let note = Note {
            instance: n,
            source,
            url: config.url.clone(),
            provisioning_code: offer.provisioning_code.clone(),
            retry_min_wait: offer.retry_min_wait,
            retry_multiplier: offer.retry_multiplier,
            role: config.role.clone(),
            path: path.unwrap_or(note.path),
            login,
            client: match is_mqtt {
                true => self.mqtt_client(),
                false => note.client,
            },
            aside: false,
            turn: turn.unwrap_or_default().saturating_add(1),
            proves: note.proves || proves,
        };
        self.set_note(id, &note);
        Ok(())
    }

    /// Whether who is reached there has to show who it is.
    fn vouches_for(&self, url: &str) -> bool {
        let tls = &self.config.tls;
        is_encrypted(url) && tls.ca_file.is_some() && !tls.insecure
    }

    /// What a controller has set where a lease had said what the device shows as its credential.
    fn own_credential(&self, instance: u32, note: &Note) -> Vec<(String, String)> {
        let mut shown = vec![(
            format!("{CONTROLLERS}{instance}.MTP.1.WebSocket.Path"),
            &*note.path,
        )];
        if let Some(client) = note.client {
            let client = format!("{}{client}.", super::mqtt::CLIENTS);
            shown.push((format!("{client}Username"), &note.login.0));
            shown.push((format!("{client}Password"), &note.login.1));
        }
        let held = shown.into_iter().map(|(path, said)| {
            let value = self.held(&path);
            let own = value != said && !value.is_empty();
            own.then_some((path, value))
        });
        held.flatten().collect()
    }
}

fn says_the_same(note: &Note, offer: &Offer, config: &ControllerConfig) -> bool {
    let mqtt = config.mqtt.clone().unwrap_or_default();
    note.url == config.url
        && note.role == config.role
        && note.login == (mqtt.username, mqtt.password)
        && note.provisioning_code == offer.provisioning_code
        && note.retry_min_wait == offer.retry_min_wait
        && note.retry_multiplier == offer.retry_multiplier
}

/// Scheme, host and port: what is dialled, without the path.
fn place(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let path = url.get(host..).and_then(|rest| rest.find('/'));
    path.and_then(|at| url.get(..host + at)).unwrap_or(url)
}

fn is_encrypted(url: &str) -> bool {
    url.starts_with("wss://") || url.starts_with("mqtts://")
}
