//! Getting to know a device: structure, description, identities, model, first values; that it comes
//! at intervals, and its own credentials. Each step looks at what is there already, so that it can
//! stop anywhere and be done again in a later session.

use std::collections::{BTreeMap, BTreeSet};

use cwmp::rpc::DeviceId;
use fleet::device::{Description, OnboardingState};
use fleet::model::{Model, model_key};
use fleet::{Event, EventKind, Identity, Protocol};
use serde_json::json;
use store::{DevicePatch, ValueSource, ValueUpdate};

use super::super::AskError;
use super::super::aside::at_length;
use super::super::core::Stop;
use super::desk::Desk;
use super::limits::{MAPPED_NAMES_MAX, NOTES_MAX, TREE_NAMES_MAX, VALUES_MAX};
use super::talk::{Talk, unsent};
use super::{get, management, model, read, subscribe};
use crate::southbound::usp::recorder::firmware_changed;
use crate::state::now;

/// Steps that a device did not take, for people.
#[derive(Default)]
pub struct Notes(Vec<String>);

impl Notes {
    /// One more.
    pub fn add(&mut self, note: String) {
        if self.0.len() < NOTES_MAX {
            self.0.push(note);
        }
    }

    /// All of them.
    pub fn all(&self) -> &[String] {
        &self.0
    }
}

/// An event of the device, now.
pub fn event(desk: &Desk, kind: EventKind) -> Event {
    Event::new(desk.tenant.clone(), now(), kind).device(desk.device)
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// All of it: it is new, or forgot everything.
    pub everything: bool,
    /// It runs another firmware: what it has may be something else.
    pub structure: bool,
    /// It came with a setup key.
    pub credential: bool,
}

impl Need {
    /// Whether there is anything to do.
    pub fn any(self) -> bool {
        self.everything || self.structure || self.credential
    }
}

/// Does it. What stopped it is told to the log; it is tried again in the next session.
pub async fn run(talk: &mut Talk, who: &DeviceId, need: Need) {
    let desk = talk.desk.clone();
    let wait = desk.core.limits.onboard_wait_max;
    let slot = desk.core.onboardings.take(&desk.tenant);
    // Others come first; the next session tries again.
    let Ok(slot) = tokio::time::timeout(wait, slot).await else {
        metrics::counter!("headend_onboardings_total", "result" => "postponed").increment(1);
        return;
    };
    let time_max = desk.core.limits.onboard_time_max;
    let late = |_| {
        let why = format!("limit ONBOARD_TIME_MAX: it took more than {time_max:?}");
        Err(AskError::Garbled(why))
    };
    let outcome = tokio::time::timeout(time_max, steps(talk, who, need)).await;
    let outcome = outcome.unwrap_or_else(late);
    drop(slot);
    if let Err(error) = talk.keep_walk().await {
        tracing::warn!(%error, device = %desk.device, "how far a device was listed could not be kept; it will be asked again");
    }
    match &outcome {
        Ok(()) => desk.memory().tried(),
        // The device has nothing to do with it.
        Err(AskError::Unsent(_)) => {}
        Err(AskError::Lost(why)) if Stop::is_ours(why) => {}
        // The next session goes on with it.
        Err(_) if talk.advanced() => {}
        Err(_) => desk.memory().failed(now()),
    }
    talk.keep().await;
    let result = match &outcome {
        Ok(()) => "complete",
        Err(AskError::Lost(_) | AskError::Unsent(_)) => "interrupted",
        Err(_) => "failed",
    };
    metrics::counter!("headend_onboardings_total", "result" => result).increment(1);
    let Err(error) = outcome else { return };
    let reason = talk.line.said(&error.to_string());
    tracing::info!(device = %desk.device, reason, "onboarding stopped");
    let failed = event(&desk, EventKind::DeviceOnboardingFailed)
        .data(json!({ "step": "conversation", "reason": reason }));
    if let Err(error) = desk.store().event_append(&desk.tenant, vec![failed]).await {
        tracing::warn!(%error, device = %desk.device, "a failed onboarding could not be written to the log");
    }
}

async fn steps(talk: &mut Talk, who: &DeviceId, need: Need) -> Result<(), AskError> {
    let desk = talk.desk.clone();
    let mut notes = Notes::default();
    if need.everything || need.structure {
        talk.explore().await?;
        let description = describe(talk, who).await?;
        attach(&desk, &description, &mut notes)
            .await
            .map_err(unsent)?;
        let (_, known) = talk.known().await?;
        let model = model::model(known);
        modelled(&desk, &description, &model)
            .await
            .map_err(unsent)?;
        first_values(talk).await?;
        talk.keep().await;
    }
    if need.everything {
        management::reports(talk, &mut notes).await?;
        management::woken(talk, &mut notes).await?;
    }
    if need.everything || need.structure {
        subscribe::repeat(talk, &mut notes).await?;
    }
    if need.credential {
        management::credential(talk, &mut notes).await?;
    }
    if need.everything {
        let done = event(&desk, EventKind::DeviceOnboarded).data(json!({
            "software_version": desk.memory().software, "notes": notes.0,
        }));
        let patch = DevicePatch {
            onboarding: Some(OnboardingState::Complete),
            protocol_version: Some(talk.line.version().to_string()),
            ..DevicePatch::default()
        };
        desk.store()
            .device_update(&desk.tenant, desk.device, patch, now(), vec![done])
            .await
            .map_err(unsent)?;
        desk.memory().complete = true;
    }
    talk.settled().await.map_err(unsent)?;
    desk.remember().await.map_err(unsent)
}

/// Who the device says it is. The identity of the Inform counts more than its parameters.
async fn describe(talk: &mut Talk, who: &DeviceId) -> Result<Description, AskError> {
    const OBJECT: &str = "Device.DeviceInfo.";
    let desk = talk.desk.clone();
    let (line, known) = talk.known().await?;
    // By its names: until the model is known nothing could be kept of a device that breaks over an
    // object.
    let reads_objects = std::mem::take(&mut line.habits.reads_objects);
    let read = get::get(line, known, &[OBJECT.to_owned()], 1).await;
    line.habits.reads_objects = reads_objects;
    let read = read?;
    let found = read.into_iter().filter_map(|one| one.result.ok()).flatten();
    let mut values: BTreeMap<String, String> = found
        .filter(|one| one.value.len() <= store::limits::VALUE_BYTES_MAX)
        .map(|one| (one.path, one.value))
        .collect();
    for (path, told) in [
        (Description::PARAMETERS[0], &who.manufacturer),
        (Description::PARAMETERS[1], &who.oui),
        (Description::PARAMETERS[3], &who.product_class),
        (Description::PARAMETERS[4], &who.serial_number),
    ] {
        if !told.trim().is_empty() {
            values.insert(path.to_owned(), told.trim().to_owned());
        }
    }
    let mut description = Description::default();
    for (path, value) in &values {
        description.apply(path, value.trim());
    }
    let known = values.into_iter().map(|(path, value)| {
        let value = fleet::secret::kept(&path, value);
        (path, value)
    });
    let update = ValueUpdate::of(known, ValueSource::Introduced, now());
    let (changed, _) = desk.keep(update, now()).await.map_err(unsent)?;
    if let Some(changed) = changed {
        firmware_changed(desk.store(), &desk.tenant, desk.device, &changed).await;
    }
    let mut memory = desk.memory();
    description
        .software_version
        .clone_into(&mut memory.software);
    Ok(description)
}

/// The names it is known by. One that belongs to another device stays there; whether both are one is
/// for the rules of merging.
async fn attach(desk: &Desk, description: &Description, notes: &mut Notes) -> store::Result<()> {
    let identities = Identity::of_serial(
        &description.oui,
        &description.product_class,
        &description.serial,
    );
    let store = desk.store();
    let known = store.identity_list(&desk.tenant, desk.device).await?;
    let fresh: Vec<Identity> = identities
        .into_iter()
        .filter(|identity| !known.iter().any(|record| record.identity == *identity))
        .collect();
    if fresh.is_empty() {
        return Ok(());
    }
    let events = fresh.iter().map(|identity| {
        event(desk, EventKind::DeviceIdentified)
            .data(json!({ "kind": identity.kind.as_str(), "value": identity.value }))
    });
    let events = events.collect();
    let taken = store
        .identity_attach(
            &desk.tenant,
            desk.device,
            fresh,
            "device".to_owned(),
            now(),
            events,
        )
        .await?;
    for record in taken.iter().filter(|record| record.device != desk.device) {
        notes.add(format!(
            "its {} {} belongs to another device ({})",
            record.identity.kind.as_str(),
            record.identity.value,
            record.device,
        ));
    }
    Ok(())
}

async fn modelled(desk: &Desk, description: &Description, model: &Model) -> store::Result<()> {
    let key = model_key(description, Protocol::Cwmp, desk.device);
    // Others of its kind may have rows, and with them objects, that this one has not.
    let mut all = model.clone();
    if let Some(known) = desk.store().model(&desk.tenant, &key).await? {
        all.unite(known.model);
    }
    let model = match all.names() <= TREE_NAMES_MAX {
        true => &all,
        false => model,
    };
    desk.store()
        .model_put(&desk.tenant, &key, model, now())
        .await?;
    let patch = DevicePatch {
        model: Some((Protocol::Cwmp, key)),
        ..DevicePatch::default()
    };
    let found = event(desk, EventKind::DeviceModelDiscovered)
        .data(json!({ "objects": model.objects.len(), "cached": false }));
    desk.store()
        .device_update(&desk.tenant, desk.device, patch, now(), vec![found])
        .await
        .map(drop)
}

/// Keeps a model that was discovered by hand.
pub async fn keep_model(desk: &Desk, model: &Model) {
    let kept = async {
        let record = desk.store().device(&desk.tenant, desk.device).await?;
        modelled(desk, &record.device.description, model).await
    };
    if let Err(error) = kept.await {
        tracing::warn!(%error, device = %desk.device, "a discovered model could not be kept");
    }
}

/// Each top-level object by itself, so that no answer becomes too large for a small device.
async fn first_values(talk: &mut Talk) -> Result<(), AskError> {
    let desk = talk.desk.clone();
    let asked_at = now();
    let (line, known) = talk.known().await?;
    let root = known.root.clone();
    let below = known.tree.below(&root).filter_map(|name| {
        let rest = name.strip_prefix(root.as_str())?;
        let end = rest.find('.')?;
        Some(format!("{root}{}", &rest[..=end]))
    });
    let objects: BTreeSet<String> = below.collect();
    let single = known
        .tree
        .params_below(&root)
        .filter(|name| !name[root.len()..].contains('.'));
    let single: Vec<String> = single.map(str::to_owned).collect();
    let mut found = read::params(line, single.iter().map(String::as_str))
        .await?
        .texts();
    for object in objects {
        if found.len() >= VALUES_MAX {
            break;
        }
        if let Some(read) = read::object(line, &mut known.tree, &object).await? {
            found.extend(read.texts());
        }
    }
    let values = match &known.mapping {
        Some(mapping) => {
            let mut values = at_length(found.len(), MAPPED_NAMES_MAX, || mapping.values(&found));
            values.extend(
                mapping
                    .fixed()
                    .map(|(path, value)| (path.to_owned(), value.to_owned())),
            );
            values
        }
        None => found,
    };
    let values = values.into_iter().filter(|(path, value)| {
        value.len() <= store::limits::VALUE_BYTES_MAX && path.len() <= fleet::limits::PATH_BYTES_MAX
    });
    let values: Vec<(String, String)> = values
        .take(VALUES_MAX)
        .map(|(path, value)| {
            let value = fleet::secret::kept(&path, value);
            (path, value)
        })
        .collect();
    let mut update = ValueUpdate::of(values, ValueSource::Read, asked_at);
    let tops = |path: &str| -> String { path.split_inclusive('.').take(2).collect() };
    let read: BTreeSet<String> = update
        .values
        .iter()
        .map(|value| tops(&value.path))
        .filter(|top| top.ends_with('.'))
        .collect();
    update.forget = read.into_iter().collect();
    desk.keep(update, now()).await.map(drop).map_err(unsent)
}
