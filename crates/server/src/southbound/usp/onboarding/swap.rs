//! Our own row in the device's table of controllers: that onboarding is complete, and the
//! credential of the device's own that takes the place of the setup key.

use std::time::{Duration, Instant};

use fleet::model::Model;
use fleet::{DeviceId, TenantId};
use store::{Swap, SwapClaim};
use usp::EndpointId;
use usp::msg::{self, Response};
use usp::outcome;

use super::{Job, Notes, Stopped};
use crate::secret;
use crate::southbound::admission::BROKER;
use crate::southbound::registry::Parting;
use crate::southbound::usp::ask::{AskError, Asker};
use crate::southbound::usp::limits::{SWAP_CLAIM, SWAP_LOOK_MIN, SWAP_WAIT};
use crate::southbound::usp::{MQTT, STOMP, WEBSOCKET};
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

/// What became of the credential of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swapped {
    /// It was given one of its own.
    Given,
    /// It has come with one that another node gave it.
    Has,
    /// It does not take one. It is tried again when it comes with the setup key again.
    Refused,
    /// Another node is about to give it one; when that can be seen.
    Elsewhere(Duration),
}

/// Gives the device a token of its own in the place of the setup key. The token is stored before
/// it is sent: whatever is lost on the way, one of the two credentials opens the door. `None` where the device went
/// away meanwhile: nobody knows what it took. `claimed` is true from where no other node does the same.
pub async fn credential(
    job: &Job,
    own: Option<&OwnRow>,
    came: &str,
    claimed: &mut bool,
) -> Result<Option<Swapped>, Stopped> {
    let (store, tenant, device) = (job.store(), &job.tenant, job.device());
    let refused = async |why: String| {
        // It may quote the path, and the token in that one opens the door from now on.
        let why = transcript::said(&why, &[]);
        let event = settle::credential(tenant, device, "refused")
            .data(serde_json::json!({ "state": "refused", "reason": why }));
        let node = &job.core.node;
        let over = store.path_swap_over(tenant, device, job.transport, node, now(), vec![event]);
        over.await.map_err(Stopped::store("credential"))
    };
    let entry = job.core.links.over(device, job.transport);
    if let Some(entry) = entry
        && entry.parting(Instant::now()) == Some(Parting::Credential)
    {
        // Another link of the device has just been given it, for this one too.
        return Ok(Some(Swapped::Given));
    }
    if job.elsewhere {
        let path = store.path(tenant, device, job.transport).await;
        let path = path.map_err(Stopped::store("credential"))?;
        if path.is_some_and(|path| path.has_current && path.pending_at.is_none()) {
            return Ok(Some(Swapped::Has));
        }
    }
    let target = match (own, job.transport) {
        (Some(own), MQTT | STOMP) => client(&job.asker, own, Client::of(job.transport))
            .await
            .map_err(Stopped::at("credential"))?
            .map(Target::Client),
        (Some(own), _) => target(own, came),
        (None, _) => None,
    };
    let Some(target) = target else {
        let what = match job.transport {
            MQTT => "the MQTT client it uses",
            STOMP => "the STOMP connection it uses",
            _ => "its WebSocket path to us",
        };
        refused(format!("the device does not show {what}")).await?;
        return Ok(Some(Swapped::Refused));
    };
    let token = secret::new(secret::DEVICE);
    let pending = settle::credential(tenant, device, "pending");
    let (node, at) = (job.core.node.clone(), now());
    let until = at.plus(SWAP_CLAIM);
    let claim = SwapClaim {
        node,
        at,
        until,
        alone: job.transport == WEBSOCKET,
        brokered: job.brokered,
    };
    let hash = secret::hash(&token);
    // Also when nobody knows whether that was written.
    *claimed = true;
    let swap = store.path_swap(tenant, device, job.transport, hash, claim, vec![pending]);
    let swap = swap.await.map_err(Stopped::store("credential"))?;
    *claimed = swap == Swap::Claimed;
    match swap {
        Swap::Claimed => {}
        // Another node hears of the device, too, and gives it one, unless it fails or is killed.
        Swap::Held(until) => {
            let wait = until.since(at).clamp(SWAP_LOOK_MIN, SWAP_CLAIM);
            return Ok(Some(Swapped::Elsewhere(wait)));
        }
        Swap::Over => return Ok(Some(Swapped::Has)),
    }
    let here = target.settings(tenant, device, &token);
    // One secret for both of its ways: what was given to it for the one opens the other.
    let others = match own {
        Some(own) => others(job, own).await?,
        None => Vec::new(),
    };
    if !others.is_empty() {
        let (mut transports, mut all) = (vec![job.transport], here.clone());
        for (transport, there) in others {
            transports.push(transport);
            all.extend(there.settings(tenant, device, &token));
        }
        match give(job, &transports, all).await {
            Ok(()) => return Ok(Some(Swapped::Given)),
            Err(None) => return Ok(None),
            // It may be that only another way is not to be changed.
            Err(Some(_)) => {}
        }
    }
    match give(job, &[job.transport], here).await {
        Ok(()) => Ok(Some(Swapped::Given)),
        Err(None) => Ok(None),
        Err(Some(why)) => {
            refused(why).await?;
            Ok(Some(Swapped::Refused))
        }
    }
}

/// Whatever this node was about to give the device, any node may try again, after the time that the device may take to
/// come back with it: that it took it is not known, but likely where it left with the answer.
pub async fn give_up(job: &Job) {
    let (tenant, device) = (&job.tenant, job.device());
    let (node, from) = (&job.core.node, now().plus(SWAP_WAIT));
    let over = job
        .store()
        .path_swap_over(tenant, device, job.transport, node, from, Vec::new());
    if let Err(error) = over.await {
        tracing::warn!(%error, %device, "other servers wait before they give it a credential");
    }
}

/// Writes a new credential into the device. The links over these transports are expected to end for it. `None` is the
/// reason when the device went away instead of answering.
async fn give(
    job: &Job,
    transports: &[&str],
    settings: Vec<(String, String)>,
) -> Result<(), Option<String>> {
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
        Err(error) if error.is_gone() => return Err(None),
        Err(error) => Some(error.to_string()),
    };
    if why.is_some() {
        expect(None);
    }
    why.map_or(Ok(()), |why| Err(Some(why)))
}

/// Where the setup key stands for the other ways by which our row says that the device reaches us, as far as what
/// stands there is certainly ours.
async fn others(job: &Job, own: &OwnRow) -> Result<Vec<(&'static str, Target)>, Stopped> {
    let mut found = Vec::new();
    for transport in [WEBSOCKET, MQTT, STOMP] {
        let there = match transport {
            _ if transport == job.transport => None,
            WEBSOCKET => shared_path(job, own).await?,
            _ => shared_client(job, own, transport).await?,
        };
        found.extend(there.map(|there| (transport, there)));
    }
    Ok(found)
}

/// The client of a broker that is ours.
async fn shared_client(
    job: &Job,
    own: &OwnRow,
    transport: &str,
) -> Result<Option<Target>, Stopped> {
    let stopped = || Stopped::at("credential");
    let of = Client::of(transport);
    if own.numbers(of.protocol).is_empty() {
        return Ok(None);
    }
    let path = job.store().path(&job.tenant, job.device(), transport).await;
    let path = path.map_err(Stopped::store("credential"))?;
    if path.is_some_and(|path| path.authenticated_by == BROKER && path.setup_key.is_none()) {
        // Its credential there is that broker's.
        return Ok(None);
    }
    let found = client(&job.asker, own, of).await;
    let Some(client) = found.map_err(stopped())? else {
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
    /// User name and password of this `Device.MQTT.Client.{i}.` or `Device.STOMP.Connection.{i}.`.
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

/// What reaches a broker.
#[derive(Clone, Copy)]
struct Client {
    protocol: &'static str,
    table: &'static str,
}

impl Client {
    fn of(transport: &str) -> Self {
        match transport {
            STOMP => Self {
                protocol: "STOMP",
                table: "Device.STOMP.Connection.",
            },
            _ => Self {
                protocol: "MQTT",
                table: "Device.MQTT.Client.",
            },
        }
    }
}

/// The client of a broker through which the device reaches us.
async fn client(asker: &Asker, own: &OwnRow, of: Client) -> Result<Option<String>, AskError> {
    const MTPS: &str = "Device.LocalAgent.MTP.";
    let read = match asker.ask(msg::get([MTPS])).await {
        Ok(Response::GetResp(response)) => outcome::values(&response).values,
        Err(error) if error.is_over() => return Err(error),
        _ => Vec::new(),
    };
    Ok(client_of(own, &read, of))
}

/// From our row to the agent's MTP and on to its client. Agents before Device:2.16 name the client in our row, and
/// some name nothing there: then it is the one that speaks MQTT, if there is only one. Another may be somebody else's
/// way to the device, which a new password would cut.
fn client_of(own: &OwnRow, mtps: &[(String, String)], of: Client) -> Option<String> {
    let Client { protocol, table } = of;
    let get = |path: &str| {
        let found = mtps.iter().find(|(known, _)| known == path);
        found.map(|(_, value)| value.trim_end_matches('.'))
    };
    let numbers = own.numbers(protocol);
    let named = |name: &str| {
        let value = |n: &String| own.get(&format!("MTP.{n}.{protocol}.{name}"));
        numbers
            .iter()
            .find_map(value)
            .map(|value| value.trim_end_matches('.'))
    };
    let through =
        named("AgentMTPReference").and_then(|mtp| get(&format!("{mtp}.{protocol}.Reference")));
    let only = || {
        let rows = mtps
            .iter()
            .filter(|(_, value)| value == protocol)
            .filter_map(|(path, _)| path.strip_suffix("Protocol"))
            .filter(|row| !matches!(get(&format!("{row}Enable")), Some("false" | "0")));
        let mut clients = rows.map(|row| get(&format!("{row}{protocol}.Reference")));
        let first = clients.next()?;
        first.filter(|_| clients.all(|other| other == first))
    };
    let is_client = |path: &&str| path.starts_with(table);
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
mod tests;
