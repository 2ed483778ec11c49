//! The open links of this node, one per device: who holds which, who gives way to whom.
//!
//! Only the table; the store knows what is true for the whole cluster.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet::onboarding::{Flaps, Refusal, Rival, Strength};
use fleet::{DeviceId, TenantId, Timestamp};
use tokio::sync::mpsc;

use super::link::Command;

/// One open link.
#[derive(Debug)]
pub struct Entry {
    /// Whose device it is.
    pub tenant: TenantId,
    /// The device.
    pub device: DeviceId,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// How well it proved who it is.
    pub strength: Strength,
    /// To the task of the link.
    pub inbox: mpsc::Sender<Command>,
    /// When it was last heard, in milliseconds.
    heard: AtomicI64,
    parting: AtomicU8,
    generation: u64,
}

/// Why a link is expected to end: we made its device leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Parting {
    /// It was given a credential of its own and comes back with it.
    Credential = 1,
    /// It was asked to start again.
    Restart = 2,
}

impl Parting {
    /// The name in the event of the disconnect.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Restart => "restart",
        }
    }
}

impl Entry {
    /// It was heard.
    pub fn hear(&self, at: Timestamp) {
        self.heard.fetch_max(at.as_millis(), Ordering::Relaxed);
    }

    /// From now on its end is expected for this reason, or for none.
    pub fn expect(&self, parting: Option<Parting>) {
        let value = parting.map_or(0, |parting| parting as u8);
        self.parting.store(value, Ordering::Relaxed);
    }

    /// Why its end is expected, if it is.
    pub fn parting(&self) -> Option<Parting> {
        match self.parting.load(Ordering::Relaxed) {
            1 => Some(Parting::Credential),
            2 => Some(Parting::Restart),
            _ => None,
        }
    }

    /// When it was last heard.
    pub fn heard(&self) -> Timestamp {
        Timestamp::from_millis(self.heard.load(Ordering::Relaxed))
    }
}

#[derive(Default)]
struct Tables {
    links: HashMap<DeviceId, Arc<Entry>>,
    flaps: HashMap<DeviceId, Flaps>,
}

/// The open links.
#[derive(Default)]
pub struct Registry {
    tables: Mutex<Tables>,
    generations: AtomicU64,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link of a device.
    pub fn get(&self, device: DeviceId) -> Option<Arc<Entry>> {
        self.lock().links.get(&device).cloned()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().links.len()
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Entry>> {
        self.lock().links.values().cloned().collect()
    }

    /// What stands against a newcomer with the name of this device.
    pub fn rival(&self, device: DeviceId, now: Timestamp) -> Option<Rival> {
        let tables = self.lock();
        let entry = tables.links.get(&device)?;
        let takeovers = tables
            .flaps
            .get(&device)
            .map_or(0, |flaps| flaps.count(now));
        Some(Rival {
            strength: entry.strength,
            takeovers,
        })
    }

    /// Takes the place of a device. The link that had it until now has to end; it is given back.
    /// A better one stays.
    pub fn claim(&self, new: NewEntry, now: Timestamp) -> Result<Claimed, Refusal> {
        let mut tables = self.lock();
        let old = tables.links.get(&new.device).cloned();
        if let Some(old) = &old {
            if old.strength > new.strength {
                return Err(Refusal::WeakerThanOpenLink);
            }
            if old.strength == new.strength {
                if tables.flaps.len() >= FLAPS_MAX {
                    tables.flaps.retain(|_, flaps| flaps.count(now) > 0);
                }
                tables.flaps.entry(new.device).or_default().add(now);
            }
        }
        let entry = Arc::new(Entry {
            tenant: new.tenant,
            device: new.device,
            peer: new.peer,
            strength: new.strength,
            inbox: new.inbox,
            heard: AtomicI64::new(now.as_millis()),
            parting: AtomicU8::new(0),
            generation: self.generations.fetch_add(1, Ordering::Relaxed),
        });
        tables.links.insert(new.device, entry.clone());
        Ok(Claimed {
            entry,
            displaced: old,
        })
    }

    /// Gives the place back; false when another link has it by now.
    pub fn leave(&self, entry: &Entry) -> bool {
        let mut tables = self.lock();
        let ours = tables
            .links
            .get(&entry.device)
            .is_some_and(|now| now.generation == entry.generation);
        if ours {
            tables.links.remove(&entry.device);
            if tables.links.capacity() > 64 && tables.links.len() * 4 < tables.links.capacity() {
                tables.links.shrink_to_fit();
            }
        }
        ours
    }
}

/// Devices of which takeovers are remembered before those that are over are swept out.
const FLAPS_MAX: usize = 1_024;

/// A link that wants the place of a device.
pub struct NewEntry {
    /// Whose device it is.
    pub tenant: TenantId,
    /// The device.
    pub device: DeviceId,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// How well it proved who it is.
    pub strength: Strength,
    /// To the task of the link.
    pub inbox: mpsc::Sender<Command>,
}

/// A place that was taken.
pub struct Claimed {
    /// The new link.
    pub entry: Arc<Entry>,
    /// The one that has to end.
    pub displaced: Option<Arc<Entry>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(strength: Strength) -> NewEntry {
        NewEntry {
            tenant: TenantId::parse("acme").unwrap(),
            device: DeviceId(uuid::Uuid::nil()),
            peer: SocketAddr::from(([127, 0, 0, 1], 1)),
            strength,
            inbox: mpsc::channel(1).0,
        }
    }

    #[test]
    fn a_newer_link_takes_the_place_and_the_older_does_not_give_it_back() {
        let links = Registry::default();
        let now = Timestamp::from_millis(1_000_000);
        let device = DeviceId(uuid::Uuid::nil());
        let first = links.claim(new(Strength::DeviceToken), now).ok().unwrap();
        assert!(first.displaced.is_none());
        let second = links.claim(new(Strength::DeviceToken), now).ok().unwrap();
        assert!(second.displaced.is_some());
        assert!(!links.leave(&first.entry));
        assert_eq!(links.rival(device, now).map(|r| r.takeovers), Some(1));
        assert!(links.leave(&second.entry));
        assert_eq!(links.len(), 0);
    }

    #[test]
    fn a_better_authenticated_link_keeps_its_place() {
        let links = Registry::default();
        let now = Timestamp::from_millis(1);
        let _held = links.claim(new(Strength::Certificate), now).ok().unwrap();
        let refused = links.claim(new(Strength::DeviceToken), now).err();
        assert_eq!(refused, Some(Refusal::WeakerThanOpenLink));
    }
}
