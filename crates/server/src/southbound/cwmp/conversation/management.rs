//! What a device is told about how it is managed: that it comes at intervals, how it is asked to
//! come, and the credential of its own with which it does. Secrets of ours are derived, told, and
//! nowhere shown.

use std::collections::BTreeMap;
use std::time::Duration;

use cwmp::value::boolean;
use fleet::EventKind;
use fleet::southbound::{Fault, PathValue};
use serde_json::json;
use store::{Visit, VisitPath};

use super::super::limits::EXPECTED_FIRST;
use super::super::login::Login;
use super::super::reach::{self, Reach};
use super::super::{AskError, TRANSPORT, credential as issued};
use super::desk::Desk;
use super::get;
use super::known::Known;
use super::limits::{LATE_MIN, LATE_PART};
use super::onboard::{Notes, event};
use super::talk::{Talk, unsent};
use super::write::{Wish, write};
use crate::state::now;

const OBJECT: &str = "Device.ManagementServer.";

fn wish(name: &str, value: impl Into<String>) -> Wish {
    Wish {
        path: format!("{OBJECT}{name}"),
        value: value.into(),
        required: false,
    }
}

/// Whether the device has it, whatever its tree is.
fn has(known: &Known, path: &str) -> bool {
    match known.mapped(path) {
        Some(mapping) => !mapping.to_gateway(path).is_empty(),
        None => known.tree.has(path),
    }
}

/// Tells it, as much as it has and takes. What it refused.
async fn tell(
    talk: &mut Talk,
    mut wishes: Vec<Wish>,
    all_or_nothing: bool,
) -> Result<BTreeMap<String, Fault>, AskError> {
    let secrets = wishes
        .iter()
        .filter(|wish| fleet::secret::is_secret(&wish.path));
    let secrets: Vec<String> = secrets.map(|wish| wish.value.clone()).collect();
    let (line, known) = talk.known().await?;
    if !all_or_nothing {
        wishes.retain(|wish| has(known, &wish.path));
    }
    line.keep_secret(secrets);
    let done = write(line, known, &wishes, !all_or_nothing).await;
    line.keep_secret(Vec::new());
    let refused = done?.into_iter();
    Ok(refused
        .filter_map(|(path, result)| Some((path, result.err()?)))
        .collect())
}

fn note(notes: &mut Notes, refused: &BTreeMap<String, Fault>) {
    for (path, why) in refused {
        notes.add(format!("{path} cannot be set: {why}"));
    }
}

/// That it comes by itself, at intervals that say when it is missed. Where the configuration leaves
/// them to the device, those that it has.
pub async fn reports(talk: &mut Talk, notes: &mut Notes) -> Result<(), AskError> {
    let desk = talk.desk.clone();
    let seconds = desk.core.config.cwmp.periodic_inform_seconds;
    if seconds == 0 {
        let (line, known) = talk.known().await?;
        let read = get::get(line, known, &PERIODIC.map(str::to_owned), 0).await?;
        let told: Vec<PathValue> = read
            .into_iter()
            .filter_map(|one| one.result.ok())
            .flatten()
            .collect();
        let told = told.iter().map(|one| (&*one.path, &*one.value));
        return expect(&desk, told).await.map_err(unsent);
    }
    let interval = seconds.to_string();
    let wishes = vec![
        wish("PeriodicInformEnable", "true"),
        wish("PeriodicInformInterval", interval.as_str()),
    ];
    let refused = tell(talk, wishes, true).await?;
    note(notes, &refused);
    if refused.is_empty() {
        let told = [(PERIODIC[1], interval.as_str())].into_iter();
        expect(&desk, told).await.map_err(unsent)?;
    }
    Ok(())
}

/// Whether it comes by itself, and how often.
const PERIODIC: [&str; 2] = [
    "Device.ManagementServer.PeriodicInformEnable",
    "Device.ManagementServer.PeriodicInformInterval",
];

/// How long a device that comes at this interval is not missed. None comes to the second: an Inform
/// takes its time, and is tried again where the line is bad.
pub fn patience(interval: Duration) -> Duration {
    interval + (interval / LATE_PART).max(LATE_MIN)
}

/// What a device was told, or has told, of the interval at which it comes says until when it need not
/// come again. Nothing changes where nothing is said of it.
pub async fn expect<'a>(
    desk: &Desk,
    told: impl Iterator<Item = (&'a str, &'a str)>,
) -> store::Result<()> {
    let (mut enabled, mut interval) = (None, None);
    for (path, value) in told {
        match path.split_once('.').map_or("", |(_, name)| name) {
            "ManagementServer.PeriodicInformEnable" => enabled = boolean(value),
            "ManagementServer.PeriodicInformInterval" => interval = value.trim().parse().ok(),
            _ => {}
        }
    }
    let interval = match (enabled, interval) {
        (Some(false), _) => EXPECTED_FIRST,
        (_, Some(seconds)) => patience(Duration::from_secs(u64::from(u32::max(seconds, 1)))),
        (_, None) => return Ok(()),
    };
    let path = desk
        .store()
        .path(&desk.tenant, desk.device, TRANSPORT)
        .await?;
    let Some(path) = path else {
        return Ok(());
    };
    let at = now();
    let visit = Visit {
        device: desk.device,
        at,
        expected_by: at.plus(interval),
        path: VisitPath {
            transport: TRANSPORT.to_owned(),
            endpoint_id: path.endpoint_id,
            peer: path.peer,
            authenticated_by: path.authenticated_by,
            setup_key: path.setup_key,
            info: path.info,
        },
    };
    desk.store().device_visited(&desk.tenant, vec![visit]).await
}

/// How it is asked to come: with a password of its own, and over UDP by our STUN server where there
/// is one.
pub async fn woken(talk: &mut Talk, notes: &mut Notes) -> Result<(), AskError> {
    let desk = talk.desk.clone();
    let vault = desk.core.door.vault();
    let mut known = Reach::load(desk.store(), &desk.tenant, desk.device)
        .await
        .map_err(unsent)?;
    // The same again: whether it was taken is not known when the session broke off.
    let generation = known.generation.unwrap_or(1);
    let own = reach::credentials(vault, &desk.tenant, desk.device, generation);
    let wishes: Vec<Wish> = own
        .into_iter()
        .map(|(name, value)| wish(name, value))
        .collect();
    // What a person entered is the device's own, and stays.
    let own = Login::load(desk.store(), &desk.tenant, desk.device)
        .await
        .map_err(unsent)?;
    let may_be_told = own.is_none() && {
        let (_, structure) = talk.known().await?;
        wishes.iter().all(|wish| has(structure, &wish.path))
    };
    if may_be_told {
        let refused = tell(talk, wishes, true).await?;
        note(notes, &refused);
        if refused.is_empty() {
            // Some take the password, and keep the name that they had.
            known.username = kept_name(talk, &desk).await?;
            known.generation = Some(generation);
            known.told_as = Some(desk.device);
            known
                .save(desk.store(), &desk.tenant, desk.device)
                .await
                .map_err(unsent)?;
        }
    }
    let server = desk.core.config.cwmp.stun_address.as_deref();
    let server = server.and_then(|address| address.rsplit_once(':'));
    if let Some((host, port)) = server
        && let Ok(port) = port.parse()
    {
        let host = host.trim_matches(['[', ']']);
        let all = reach::stun(vault, &desk.tenant, desk.device, host, port);
        let wishes = all.into_iter().map(|(name, value)| wish(name, value));
        let refused = tell(talk, wishes.collect(), false).await?;
        note(notes, &refused);
        if known.told_as.is_none() {
            known.told_as = Some(desk.device);
            known
                .save(desk.store(), &desk.tenant, desk.device)
                .await
                .map_err(unsent)?;
        }
    }
    Ok(())
}

/// The name under which it is asked to come, where that is not the one that it was told.
async fn kept_name(talk: &mut Talk, desk: &Desk) -> Result<Option<String>, AskError> {
    let path = format!("{OBJECT}ConnectionRequestUsername");
    let (line, known) = talk.known().await?;
    let read = get::get(line, known, &[path], 0).await?;
    let told = read.into_iter().filter_map(|one| one.result.ok()).flatten();
    let name = told.map(|one| one.value).next();
    Ok(name.filter(|name| !name.is_empty() && *name != desk.device.to_string()))
}

/// The credential of its own, in the place of the setup key. It is pending until the device comes
/// with it, and both open the door until then; so does the new name with the setup key, since the two
/// are told one after the other where a device takes no more at once. The name is first: it says whose
/// device comes with a password that is still a setup key.
pub async fn credential(talk: &mut Talk, notes: &mut Notes) -> Result<(), AskError> {
    let desk = talk.desk.clone();
    let pending = event(&desk, EventKind::DeviceCredential).data(json!({ "state": "pending" }));
    let own = issued::issue(&desk.core, &desk.tenant, desk.device, vec![pending])
        .await
        .map_err(unsent)?;
    // In this order.
    let both = [
        wish("Username", own.username),
        wish("Password", own.password),
    ];
    let required = |wish: Wish| Wish {
        required: true,
        ..wish
    };
    let wishes = both.into_iter().map(required).collect();
    let refused = tell(talk, wishes, true).await?;
    let refusal = refused.into_iter().next();
    desk.memory().refused_credential = refusal.as_ref().map(|_| now().as_millis());
    let Some((path, why)) = refusal else {
        return Ok(());
    };
    let why = format!("{path}: {why}");
    notes.add(format!("it does not take a credential of its own: {why}"));
    let refused = event(&desk, EventKind::DeviceCredential)
        .data(json!({ "state": "refused", "reason": why }));
    desk.store()
        .event_append(&desk.tenant, vec![refused])
        .await
        .map(drop)
        .map_err(unsent)
}
