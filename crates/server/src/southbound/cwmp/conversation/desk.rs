//! Where the conversation writes things down: facts are stored, and only then told and answered; all but periodic signs
//! of life, which are written many at a time.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet::device::OnboardingState;
use fleet::southbound::Notice;
use fleet::{DeviceId, Event, Fact, TenantId, Timestamp};
use sha2::{Digest, Sha256};
use store::{Committed, DevicePatch, Notification, Redescribed, SecretHash, Store, ValueUpdate};
use tokio::time::Instant;

use super::memory::{MEMORY, Memory};
use super::requests::Ended;
use crate::southbound::cwmp::core::{Core, Culprit};
use crate::southbound::cwmp::seen::Seen;
use crate::southbound::log_room::{FILLED, NO_ROOM, Taken};
use crate::southbound::usp::limits::{COMMIT_RETRY, COMMIT_TIME_MAX};
use crate::southbound::usp::{notice, notify};
use crate::state::now;

/// One device, as it is written down.
pub struct Desk {
    /// What everything shares.
    pub core: Arc<Core>,
    /// Whose device.
    pub tenant: TenantId,
    /// Which.
    pub device: DeviceId,
    /// What it calls itself; the doctor finds it by that.
    pub name: String,
    memory: Mutex<Memory>,
    /// The memory as it is stored.
    stored: tokio::sync::Mutex<Vec<u8>>,
}

/// What makes a notification equal to its repetition.
pub fn key(parts: &[&[u8]]) -> SecretHash {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

impl Desk {
    /// With what is remembered of the device: as it was seen when it came, where nothing was written down since.
    pub async fn open(
        core: Arc<Core>,
        tenant: TenantId,
        device: DeviceId,
        seen: Option<Seen>,
    ) -> store::Result<Self> {
        let seen = seen.filter(|seen| seen.known().is_current());
        let (kept, onboarding) = match seen.as_ref().map(Seen::known) {
            Some(known) => (known.document(MEMORY).map(<[u8]>::to_vec), known.onboarding),
            None => {
                let kept = core.store.state_and_onboarding(&tenant, device, MEMORY);
                kept.await?
            }
        };
        let mut memory = Memory::of(kept.as_deref());
        // One that was split off another has what was remembered of that one, and is to be known anew.
        memory.complete &= onboarding == OnboardingState::Complete;
        Ok(Self {
            core,
            tenant,
            device,
            name: String::new(),
            memory: Mutex::new(memory),
            stored: tokio::sync::Mutex::new(kept.unwrap_or_default()),
        })
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.core.store
    }

    /// What is remembered. Never held while something is waited for.
    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores what is remembered, where it is not what is stored.
    pub async fn remember(&self) -> store::Result<()> {
        let mut stored = self.stored.lock().await;
        let kept = self.memory().kept();
        if kept != *stored {
            self.store()
                .state_put(&self.tenant, self.device, MEMORY, kept.clone(), now())
                .await?;
            *stored = kept;
        }
        Ok(())
    }

    /// Keeps values as those that were last heard. A device that has more than are kept goes on with those that are known
    /// already: how many others were left out.
    pub async fn keep(
        &self,
        mut update: ValueUpdate,
        at: Timestamp,
    ) -> store::Result<(Option<Redescribed>, usize)> {
        let (store, tenant, device) = (self.store(), &self.tenant, self.device);
        match store.value_update(tenant, device, update.clone(), at).await {
            Err(store::Error::LimitExceeded { .. }) => {}
            kept => return kept.map(|changed| (changed, 0)),
        }
        let all: Vec<String> = update.values.iter().map(|one| one.path.clone()).collect();
        let known = store.value_of(tenant, device, &all).await?;
        let known: BTreeSet<String> = known.into_iter().map(|one| one.path).collect();
        update.values.retain(|one| known.contains(&one.path));
        let left = all.len() - update.values.len();
        let changed = store.value_update(tenant, device, update, at).await?;
        Ok((changed, left))
    }

    /// Commits what a device says of itself, as one, and then tells it. An error means that it must
    /// not be answered. A mere sign of life is told at once and written soon.
    pub async fn tell(
        &self,
        at: Timestamp,
        mut notices: Vec<Notice>,
        key: SecretHash,
    ) -> store::Result<()> {
        // A sign of life that is lost with the server was none, and the next one follows.
        if notices.iter().all(|notice| *notice == Notice::Periodic) {
            for notice in notices {
                let event = notice::event(&self.tenant, self.device, at, &notice);
                if self.room(std::slice::from_ref(&event)).is_some() {
                    self.core.visits.sign(event).await;
                }
                self.report(Fact::Notified { at, notice }).await;
            }
            return Ok(());
        }
        for notice in &mut notices {
            notify::keep_secrets(self.store(), &self.tenant, self.device, notice).await;
        }
        let events: Vec<_> = notices
            .iter()
            .map(|notice| notice::event(&self.tenant, self.device, at, notice))
            .collect();
        // An Inform that is not answered comes again and gets no further: what is too much is heard, and not kept.
        if let Some(taken) = self.room(&events) {
            let committed = self.commit(key, events).await;
            if !matches!(committed, Ok(Committed::Stored(_))) {
                self.core.log_room.give_back(taken);
            }
            committed?;
        }
        for notice in &notices {
            if let Notice::Boot(boot) = notice {
                let patch = DevicePatch {
                    boot: Some((at, boot.cause.clone())),
                    ..DevicePatch::default()
                };
                let written = self
                    .store()
                    .device_update(&self.tenant, self.device, patch, at, Vec::new())
                    .await;
                if let Err(error) = written {
                    tracing::warn!(%error, device = %self.device, "the start of a device could not be written");
                }
            }
        }
        for notice in notices {
            self.report(Fact::Notified { at, notice }).await;
        }
        Ok(())
    }

    /// Room in the log for that; complains where there is none.
    fn room(&self, events: &[Event]) -> Option<Taken> {
        let taken = self.core.log_room.take(self.device, events);
        if let (None, Some(entry)) = (&taken, self.core.links.get(self.device)) {
            let culprit = Culprit {
                tenant: Some(self.tenant.clone()),
                device: Some(self.device),
                peer: entry.peer,
                name: self.name.clone(),
            };
            let core = &self.core;
            core.complain(&culprit, FILLED, NO_ROOM);
        }
        taken
    }

    async fn commit(&self, key: SecretHash, mut events: Vec<Event>) -> store::Result<Committed> {
        let give_up = Instant::now() + COMMIT_TIME_MAX;
        let mut cut = false;
        loop {
            let notification = Notification {
                device: self.device,
                key,
                events: events.clone(),
            };
            match self
                .store()
                .commit_notification(&self.tenant, notification)
                .await
            {
                Ok(committed) => return Ok(committed),
                // Larger than the log takes: that it came is what can be kept.
                Err(store::Error::LimitExceeded { .. }) if !cut => {
                    cut = true;
                    for event in &mut events {
                        event.data =
                            serde_json::json!({ "left_out": "larger than the event log takes" });
                    }
                }
                Err(error) if error.is_transient() && Instant::now() < give_up => {
                    tokio::time::sleep(COMMIT_RETRY).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Commits and tells the ends of commands.
    pub async fn ended(&self, at: Timestamp, ended: Vec<Ended>) -> store::Result<()> {
        for (pending, result) in ended {
            let notice = completed(&pending.command, &pending.key, result);
            let key = key(&[b"ended", pending.key.as_bytes(), pending.command.as_bytes()]);
            self.tell(at, vec![notice], key).await?;
        }
        self.remember().await
    }

    /// Tells the domain.
    pub async fn report(&self, fact: Fact) {
        self.core.report(&self.tenant, self.device, fact).await;
    }

    /// Takes over what a look at running commands has changed, as far as nothing else has changed
    /// it meanwhile. Which ends are news.
    pub fn merge(&self, before: &Memory, after: &Memory, ended: Vec<Ended>) -> Vec<Ended> {
        let keys = |memory: &Memory| -> HashSet<String> {
            memory
                .pending
                .iter()
                .map(|pending| pending.key.clone())
                .collect()
        };
        let (had, has) = (keys(before), keys(after));
        let mut memory = self.memory();
        let now = keys(&memory);
        for key in had.difference(&has) {
            memory.end(key);
        }
        for pending in after.pending.iter().filter(|pending| pending.sure) {
            memory.accepted(&pending.key);
        }
        ended
            .into_iter()
            .filter(|(pending, _)| now.contains(&pending.key))
            .collect()
    }
}

/// The end of a command, in the domain's words.
pub fn completed(
    command: &str,
    key: &str,
    result: Result<std::collections::BTreeMap<String, String>, fleet::southbound::Fault>,
) -> Notice {
    let (object, name) = fleet::model::split(command).unwrap_or(("", command));
    Notice::CommandCompleted {
        object: object.to_owned(),
        command: name.to_owned(),
        key: key.to_owned(),
        result,
    }
}

/// The end of a command of which the device did not say how it went.
pub fn over(
    command: &str,
    key: &str,
    outputs: std::collections::BTreeMap<String, String>,
) -> Notice {
    let (object, name) = fleet::model::split(command).unwrap_or(("", command));
    Notice::CommandOver {
        object: object.to_owned(),
        command: name.to_owned(),
        key: key.to_owned(),
        outputs,
    }
}
