//! Our own row in the device's table of controllers: that onboarding is complete, and the
//! credential of the device's own that takes the place of the setup key.

use std::time::Instant;

use fleet::model::Model;
use fleet::{DeviceId, TenantId};
use usp::EndpointId;
use usp::msg::{self, Response};
use usp::outcome;

use super::{Job, Notes, Stopped};
use crate::secret;
use crate::southbound::registry::Parting;
use crate::southbound::usp::ask::{AskError, Asker};
use crate::southbound::usp::{MQTT, WEBSOCKET};
use crate::southbound::usp::{settle, transcript};
use crate::state::now;

const CONTROLLERS: &str = "Device.LocalAgent.Controller.";

/// Our row.
pub struct OwnRow {
    /// The object, ends in `.`.
    pub path: String,
    /// Its parameters, relative.
    values: Vec<(String, String)>,
}

impl OwnRow {
    fn get(&self, name: &str) -> Option<&str> {
        self.values
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Numbers of the rows of transports that use this protocol, the enabled ones first.
    fn numbers(&self, wanted: &str) -> Vec<String> {
        let protocol = |(name, value): &(String, String)| {
            let number = name.strip_prefix("MTP.")?.strip_suffix(".Protocol")?;
            (value == wanted).then(|| number.to_owned())
        };
        let mut numbers: Vec<String> = self.values.iter().filter_map(protocol).collect();
        numbers.sort_by_key(|number| {
            !matches!(
                self.get(&format!("MTP.{number}.Enable")),
                Some("true" | "1")
            )
        });
        numbers
    }
}

/// Finds our row; `None` when the device does not show it.
pub async fn own_row(asker: &Asker, own: &EndpointId) -> Result<Option<OwnRow>, AskError> {
    let read = match asker.ask(msg::get([CONTROLLERS])).await {
        Ok(Response::GetResp(response)) => outcome::values(&response),
        Err(error) if error.is_over() => return Err(error),
        _ => return Ok(None),
    };
    let ours = read.values.iter().find_map(|(path, value)| {
        let number = path
            .strip_prefix(CONTROLLERS)?
            .strip_suffix(".EndpointID")?;
        (value == own.as_str()).then(|| format!("{CONTROLLERS}{number}."))
    });
    Ok(ours.map(|path| {
        let values = read.values.iter().filter_map(|(full, value)| {
            full.strip_prefix(path.as_str())
                .map(|name| (name.to_owned(), value.clone()))
        });
        OwnRow {
            values: values.collect(),
            path: path.clone(),
        }
    }))
}

/// Tells the device that it need not introduce itself again, where it has a place for that.
pub async fn onboarded(
    asker: &Asker,
    own: Option<&OwnRow>,
    model: &Model,
    notes: &mut Notes,
) -> Result<(), AskError> {
    const NAME: &str = "OnBoardingComplete";
    let Some(own) = own else { return Ok(()) };
    let path = format!("{}{NAME}", own.path);
    let there = own.get(NAME).is_some() || model.param(&path).is_some();
    if !there || matches!(own.get(NAME), Some("true" | "1")) {
        return Ok(());
    }
    match asker.ask(msg::set_values([(path, "true")])).await {
        Err(error) if error.is_over() => Err(error),
        Err(error) => {
            notes.add(format!("{NAME} cannot be set: {error}"));
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

/// Gives the device a token of its own in the place of the setup key. The token is stored before
/// it is sent: whatever is lost on the way, one of the two credentials opens the door. False when
/// the device does not take it; it is tried again when it comes with the setup key again.
pub async fn credential(job: &Job, own: Option<&OwnRow>, came: &str) -> Result<bool, Stopped> {
    let (store, tenant, device) = (job.store(), &job.tenant, job.device());
    let refused = async |why: String| {
        // It may quote the path, and the token in that one opens the door from now on.
        let why = transcript::said(&why, &[]);
        let event = settle::credential(tenant, device, "refused")
            .data(serde_json::json!({ "state": "refused", "reason": why }));
        store
            .event_append(tenant, vec![event])
            .await
            .map_err(Stopped::store("credential"))
    };
    let entry = job.core.links.over(device, job.transport);
    if let Some(entry) = entry
        && entry.parting(Instant::now()) == Some(Parting::Credential)
    {
        // Another link of the device has just been given it, for this one too.
        return Ok(true);
    }
    let target = match (own, job.transport) {
        (Some(own), MQTT) => client(&job.asker, own)
            .await
            .map_err(Stopped::at("credential"))?
            .map(Target::Client),
        (Some(own), _) => target(own, came),
        (None, _) => None,
    };
    let Some(target) = target else {
        let what = match job.transport {
            MQTT => "the MQTT client it uses",
            _ => "its WebSocket path to us",
        };
        refused(format!("the device does not show {what}")).await?;
        return Ok(false);
    };
    let token = secret::new(secret::DEVICE);
    let pending = settle::credential(tenant, device, "pending");
    store
        .path_set_pending(
            tenant,
            device,
            job.transport,
            secret::hash(&token),
            now(),
            vec![pending],
        )
        .await
        .map_err(Stopped::store("credential"))?;
    let here = target.settings(tenant, device, &token);
    // One secret for both of its ways: what was given to it for the one opens the other.
    let there = match own {
        Some(own) => other(job, own).await?,
        None => None,
    };
    if let Some(there) = there {
        let mut both = there.settings(tenant, device, &token);
        both.extend(here.clone());
        let transports = [WEBSOCKET, MQTT];
        if give(job, &transports, both).await.is_ok() {
            return Ok(true);
        }
        // It may be that only the other way is not to be changed.
    }
    let given = give(job, &[job.transport], here).await;
    let taken = given.is_ok();
    if let Err(why) = given {
        refused(why).await?;
    }
    Ok(taken)
}

/// Writes a new credential into the device. The links over these transports are expected to end for it.
async fn give(
    job: &Job,
    transports: &[&str],
    settings: Vec<(String, String)>,
) -> Result<(), String> {
    let expect = |parting| {
        for transport in transports {
            if let Some(link) = job.core.links.over(job.device(), transport) {
                link.expect(parting);
            }
        }
    };
    expect(Some(Parting::Credential));
    let why = match job.asker.ask(msg::set_values(settings)).await {
        Ok(Response::SetResp(response)) => {
            let failed = outcome::set(&response).failures;
            failed.first().map(ToString::to_string)
        }
        Ok(_) => Some("the answer is of another kind".to_owned()),
        // It may have dropped the link to come back with its new credential.
        Err(error) if error.is_gone() => None,
        Err(error) => Some(error.to_string()),
    };
    if why.is_some() {
        expect(None);
    }
    why.map_or(Ok(()), Err)
}

/// Where the setup key stands for the other way by which our row says that the device reaches us; `None` where what
/// stands there is not certainly ours.
async fn other(job: &Job, own: &OwnRow) -> Result<Option<Target>, Stopped> {
    let stopped = || Stopped::at("credential");
    if job.transport == MQTT {
        return shared_path(job, own).await;
    }
    if own.numbers("MQTT").is_empty() {
        return Ok(None);
    }
    let Some(client) = client(&job.asker, own).await.map_err(stopped())? else {
        return Ok(None);
    };
    let name = format!("{client}Username");
    let read = match job.asker.ask(msg::get([name.as_str()])).await {
        Ok(Response::GetResp(response)) => outcome::values(&response).values,
        Err(error) if error.is_over() => return Err(stopped()(error)),
        _ => Vec::new(),
    };
    // Whatever broker it goes through, it is known there as a device of this tenant.
    let prefix = format!("{}/", job.tenant);
    let ours = read
        .iter()
        .any(|(path, user)| *path == name && user.starts_with(&prefix));
    Ok(ours.then_some(Target::Client(client)))
}

/// The path of a WebSocket to us that ends in a setup key of this tenant.
async fn shared_path(job: &Job, own: &OwnRow) -> Result<Option<Target>, Stopped> {
    for number in own.numbers("WebSocket") {
        let name = format!("MTP.{number}.WebSocket.Path");
        let Some((prefix, key)) = own.get(&name).and_then(|path| path.rsplit_once('/')) else {
            continue;
        };
        if !secret::looks_like(key, secret::SETUP_KEY) {
            continue;
        }
        let found = job.store().setup_key_by_hash(&secret::hash(key)).await;
        let found = found.map_err(Stopped::store("credential"))?;
        if found.is_some_and(|key| key.tenant == job.tenant) {
            return Ok(Some(Target::Path {
                parameter: format!("{}{name}", own.path),
                prefix: format!("{prefix}/"),
            }));
        }
    }
    Ok(None)
}

/// Where the credential stands on the device.
enum Target {
    /// The last part of a WebSocket's path.
    Path {
        parameter: String,
        /// The path without its last part.
        prefix: String,
    },
    /// User name and password of this `Device.MQTT.Client.{i}.`.
    Client(String),
}

impl Target {
    fn settings(&self, tenant: &TenantId, device: DeviceId, token: &str) -> Vec<(String, String)> {
        match self {
            Self::Path { parameter, prefix } => {
                vec![(parameter.clone(), format!("{prefix}{token}"))]
            }
            Self::Client(client) => vec![
                (format!("{client}Username"), format!("{tenant}/{device}")),
                (format!("{client}Password"), token.to_owned()),
            ],
        }
    }
}

/// The MQTT client through which the device reaches us.
async fn client(asker: &Asker, own: &OwnRow) -> Result<Option<String>, AskError> {
    const MTPS: &str = "Device.LocalAgent.MTP.";
    let read = match asker.ask(msg::get([MTPS])).await {
        Ok(Response::GetResp(response)) => outcome::values(&response).values,
        Err(error) if error.is_over() => return Err(error),
        _ => Vec::new(),
    };
    Ok(client_of(own, &read))
}

/// From our row to the agent's MTP and on to its client. Agents before Device:2.16 name the client in our row, and
/// some name nothing there: then it is the one that speaks MQTT, if there is only one. Another may be somebody else's
/// way to the device, which a new password would cut.
fn client_of(own: &OwnRow, mtps: &[(String, String)]) -> Option<String> {
    let get = |path: &str| {
        let found = mtps.iter().find(|(known, _)| known == path);
        found.map(|(_, value)| value.trim_end_matches('.'))
    };
    let numbers = own.numbers("MQTT");
    let named = |name: &str| {
        let value = |n: &String| own.get(&format!("MTP.{n}.MQTT.{name}"));
        numbers
            .iter()
            .find_map(value)
            .map(|value| value.trim_end_matches('.'))
    };
    let through = named("AgentMTPReference").and_then(|mtp| get(&format!("{mtp}.MQTT.Reference")));
    let only = || {
        let rows = mtps
            .iter()
            .filter(|(_, value)| value == "MQTT")
            .filter_map(|(path, _)| path.strip_suffix("Protocol"))
            .filter(|row| !matches!(get(&format!("{row}Enable")), Some("false" | "0")));
        let mut clients = rows.map(|row| get(&format!("{row}MQTT.Reference")));
        let first = clients.next()?;
        first.filter(|_| clients.all(|other| other == first))
    };
    let is_client = |path: &&str| path.starts_with("Device.MQTT.Client.");
    through
        .filter(is_client)
        .or_else(|| named("Reference").filter(is_client))
        .or_else(|| only().filter(is_client))
        .map(|path| format!("{path}."))
}

/// Which path to change, and what stays of it. A reverse proxy may show the device another path
/// than the one it came in by.
fn target(own: &OwnRow, came: &str) -> Option<Target> {
    let key = came.rsplit('/').next().unwrap_or_default();
    let path_of = |number: &String| own.get(&format!("MTP.{number}.WebSocket.Path"));
    let numbers = own.numbers("WebSocket");
    let number = numbers
        .iter()
        .find(|number| path_of(number).is_some_and(|path| path.ends_with(key)))
        .or_else(|| numbers.first())?;
    let there = path_of(number)
        .filter(|path| path.ends_with(key))
        .unwrap_or(came);
    let prefix = there.strip_suffix(key).unwrap_or("/usp/");
    Some(Target::Path {
        parameter: format!("{}MTP.{number}.WebSocket.Path", own.path),
        prefix: prefix.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[(&str, &str)]) -> OwnRow {
        let values = values
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        OwnRow {
            path: "Device.LocalAgent.Controller.2.".into(),
            values,
        }
    }

    fn swapped(own: &OwnRow, came: &str) -> Option<(String, String)> {
        let (tenant, device) = (
            TenantId::parse("acme").unwrap(),
            DeviceId(uuid::Uuid::nil()),
        );
        let mut settings = target(own, came)?.settings(&tenant, device, "T");
        assert_eq!(settings.len(), 1);
        settings.pop()
    }

    #[test]
    fn the_mqtt_client_is_found_by_every_way_in_which_agents_name_it() {
        let mtps = |values: &[(&str, &str)]| -> Vec<(String, String)> {
            let full =
                |(n, v): &(&str, &str)| (format!("Device.LocalAgent.MTP.{n}"), (*v).to_owned());
            values.iter().map(full).collect()
        };
        let all = mtps(&[
            ("1.Protocol", "WebSocket"),
            ("2.Protocol", "MQTT"),
            ("2.MQTT.Reference", "Device.MQTT.Client.5"),
            ("3.Protocol", "MQTT"),
            ("3.MQTT.Reference", "Device.MQTT.Client.6."),
        ]);
        let of = |values: &[(&str, &str)], all: &[_]| client_of(&row(values), all);
        let ours = ("MTP.1.Protocol", "MQTT");
        let through = ("MTP.1.MQTT.AgentMTPReference", "Device.LocalAgent.MTP.3");
        let client = |n: u32| Some(format!("Device.MQTT.Client.{n}."));
        assert_eq!(of(&[ours, through], &all), client(6));
        let direct = ("MTP.1.MQTT.Reference", "Device.MQTT.Client.7");
        assert_eq!(of(&[ours, direct], &all), client(7));
        assert_eq!(of(&[ours], &[]), None);
        assert_eq!(of(&[ours], &all[..3]), client(5));
        let same = ("3.MQTT.Reference", "Device.MQTT.Client.5.");
        let same = [&all[..4], &mtps(&[same])].concat();
        assert_eq!(of(&[ours], &same), client(5));
        let elsewhere = mtps(&[
            ("2.Protocol", "MQTT"),
            ("2.MQTT.Reference", "Device.Users.User.1"),
        ]);
        assert_eq!(of(&[ours], &elsewhere), None);
        // Another that speaks MQTT may be somebody else's way to the device, unless it is off.
        assert_eq!(of(&[ours], &all), None);
        assert_eq!(of(&[ours], &all[..4]), None);
        let off = [&all[..], &mtps(&[("3.Enable", "false")])].concat();
        assert_eq!(of(&[ours], &off), client(5));
    }

    #[test]
    fn the_last_part_of_the_devices_own_path_is_replaced() {
        let own = row(&[
            ("MTP.1.Protocol", "MQTT"),
            ("MTP.2.Protocol", "WebSocket"),
            ("MTP.2.Enable", "false"),
            ("MTP.2.WebSocket.Path", "/old"),
            ("MTP.3.Protocol", "WebSocket"),
            ("MTP.3.Enable", "true"),
            ("MTP.3.WebSocket.Path", "/behind/a/proxy/hes_1"),
        ]);
        let (parameter, path) = swapped(&own, "/usp/hes_1").unwrap();
        assert_eq!(
            parameter,
            "Device.LocalAgent.Controller.2.MTP.3.WebSocket.Path"
        );
        assert_eq!(path, "/behind/a/proxy/T");
    }

    #[test]
    fn a_path_that_is_not_shown_is_taken_from_the_request() {
        let own = row(&[
            ("MTP.1.Protocol", "WebSocket"),
            ("MTP.1.WebSocket.Path", ""),
        ]);
        assert_eq!(swapped(&own, "/usp/hes_1").unwrap().1, "/usp/T");
        assert!(target(&row(&[("MTP.1.Protocol", "MQTT")]), "/usp/hes_1").is_none());
    }
}
