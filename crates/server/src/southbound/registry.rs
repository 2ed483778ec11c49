//! The open links of one adapter on this node, one per device: who holds which, who gives way to
//! whom. A link of CWMP is a session.
//!
//! Only the table; the store knows what is true for the whole cluster.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use fleet::limits::BOOT_WAIT_MAX;
use fleet::onboarding::{Flaps, Refusal, Rival, Strength};
use fleet::{DeviceId, TenantId, Timestamp};
use store::SecretHash;
use tokio::sync::mpsc;

use crate::seam::SessionContext;
use crate::state::now;

/// One open link.
#[derive(Debug)]
pub struct Entry<C> {
    /// Whose device it is.
    pub tenant: TenantId,
    /// The device.
    pub device: DeviceId,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// How well it proved who it is.
    pub strength: Strength,
    /// The SHA-256 of the certificate that it came in with, where that was issued here.
    pub certificate: Option<SecretHash>,
    /// To the task of the link.
    pub inbox: mpsc::Sender<C>,
    /// When it was last heard, in milliseconds.
    heard: AtomicI64,
    parting: Mutex<Option<(Parting, Instant)>>,
    /// Something was asked of the device while this was open.
    wanted: AtomicBool,
    /// When it was said that the device can be asked, in milliseconds; 0 before that.
    told: AtomicI64,
    /// Whoever asks has heard that.
    known: AtomicBool,
    /// See [`Self::session_context`], as bits.
    context: AtomicU8,
    /// Takeovers of this place lately, handed on from link to link.
    flaps: Flaps,
    generation: u64,
}

/// Why a link is expected to end: we made its device leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// It was given a credential of its own and comes back with it.
    Credential,
    /// It was asked to start again.
    Restart,
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

impl<C> Entry<C> {
    /// It was heard.
    pub fn hear(&self, at: Timestamp) {
        self.heard.fetch_max(at.as_millis(), Ordering::Relaxed);
    }

    /// From now on its end is expected for this reason, or for none.
    pub fn expect(&self, parting: Option<Parting>) {
        *self.parting_lock() = parting.map(|parting| (parting, Instant::now()));
    }

    /// Why its end is expected, if it is: a device that leaves long after it was told to does so for
    /// another reason.
    pub fn parting(&self, now: Instant) -> Option<Parting> {
        let (parting, since) = (*self.parting_lock())?;
        let fresh = now.saturating_duration_since(since) <= BOOT_WAIT_MAX;
        fresh.then_some(parting)
    }

    fn parting_lock(&self) -> MutexGuard<'_, Option<(Parting, Instant)>> {
        self.parting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is in this session context now.
    pub fn note_context(&self, context: Option<SessionContext>) {
        let bits = context.map_or(0, |of| {
            1 | u8::from(of.up) << 1 | u8::from(of.encrypted) << 2
        });
        self.context.store(bits, Ordering::Relaxed);
    }

    /// The session context that it is in.
    pub fn session_context(&self) -> Option<SessionContext> {
        let bits = self.context.load(Ordering::Relaxed);
        (bits != 0).then_some(SessionContext {
            up: bits & 2 != 0,
            encrypted: bits & 4 != 0,
        })
    }

    /// Something is asked of the device.
    pub fn want(&self) {
        self.wanted.store(true, Ordering::SeqCst);
    }

    /// Whether something was asked of it while this was open.
    pub fn was_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }

    /// It is about to be said that the device can be asked.
    pub fn tells(&self, at: Timestamp) {
        self.told.store(at.as_millis(), Ordering::SeqCst);
    }

    /// What was said at this time is heard; where another link said it, that says nothing of this one.
    pub fn is_heard(&self, at: Timestamp) {
        if self.told.load(Ordering::SeqCst) == at.as_millis() {
            self.known.store(true, Ordering::SeqCst);
        }
    }

    /// Whether what is asked now is meant for this link. Before, it is meant for one that had the place.
    pub fn is_known(&self) -> bool {
        self.known.load(Ordering::SeqCst)
    }

    fn rival(&self, at: Timestamp) -> Rival {
        Rival {
            strength: self.strength,
            takeovers: self.flaps.count(at),
        }
    }

    /// When it was last heard.
    pub fn heard(&self) -> Timestamp {
        Timestamp::from_millis(self.heard.load(Ordering::Relaxed))
    }
}

/// The open links.
pub struct Registry<C> {
    links: Mutex<HashMap<DeviceId, Arc<Entry<C>>>>,
    generations: AtomicU64,
    started: Instant,
}

impl<C> Default for Registry<C> {
    fn default() -> Self {
        Self {
            links: Mutex::default(),
            generations: AtomicU64::default(),
            started: Instant::now(),
        }
    }
}

impl<C> Registry<C> {
    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, Arc<Entry<C>>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time that nobody sets back: since this began.
    fn steady(&self) -> Timestamp {
        Timestamp::default().plus(self.started.elapsed())
    }

    /// The link of a device.
    pub fn get(&self, device: DeviceId) -> Option<Arc<Entry<C>>> {
        self.lock().get(&device).cloned()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Entry<C>>> {
        self.lock().values().cloned().collect()
    }

    /// What stands against a newcomer with the name of this device.
    pub fn rival(&self, device: DeviceId) -> Option<Rival> {
        let at = self.steady();
        self.lock().get(&device).map(|entry| entry.rival(at))
    }

    /// Takes the place of a device, by the same rule by which newcomers are admitted: others may
    /// have come since. The link that had it until now has to end; it is given back.
    pub fn claim(&self, new: NewEntry<C>) -> Result<Claimed<C>, Refusal> {
        let at = self.steady();
        let mut links = self.lock();
        let old = links.get(&new.device).cloned();
        let mut flaps = Flaps::default();
        if let Some(old) = &old {
            old.rival(at).gives_way(new.strength)?;
            flaps = old.flaps;
            if old.strength == new.strength {
                flaps.add(at);
            }
        }
        let entry = Arc::new(Entry {
            tenant: new.tenant,
            device: new.device,
            peer: new.peer,
            strength: new.strength,
            certificate: new.certificate,
            inbox: new.inbox,
            heard: AtomicI64::new(now().as_millis()),
            parting: Mutex::default(),
            wanted: AtomicBool::default(),
            told: AtomicI64::default(),
            known: AtomicBool::default(),
            context: AtomicU8::default(),
            flaps,
            generation: self.generations.fetch_add(1, Ordering::Relaxed),
        });
        links.insert(new.device, entry.clone());
        Ok(Claimed {
            entry,
            displaced: old,
        })
    }

    /// Whether the place is still this link's.
    pub fn holds(&self, entry: &Entry<C>) -> bool {
        self.lock()
            .get(&entry.device)
            .is_some_and(|now| now.generation == entry.generation)
    }

    /// Gives the place back; false when another link has it by now.
    pub fn leave(&self, entry: &Entry<C>) -> bool {
        let mut links = self.lock();
        let ours = links
            .get(&entry.device)
            .is_some_and(|now| now.generation == entry.generation);
        if ours {
            links.remove(&entry.device);
            if links.capacity() > 64 && links.len() * 4 < links.capacity() {
                links.shrink_to_fit();
            }
        }
        ours
    }
}

/// A link that wants the place of a device.
pub struct NewEntry<C> {
    /// Whose device it is.
    pub tenant: TenantId,
    /// The device.
    pub device: DeviceId,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// How well it proved who it is.
    pub strength: Strength,
    /// See [`Entry::certificate`].
    pub certificate: Option<SecretHash>,
    /// To the task of the link.
    pub inbox: mpsc::Sender<C>,
}

/// A place that was taken.
pub struct Claimed<C> {
    /// The new link.
    pub entry: Arc<Entry<C>>,
    /// The one that has to end.
    pub displaced: Option<Arc<Entry<C>>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(strength: Strength) -> NewEntry<()> {
        NewEntry {
            tenant: TenantId::parse("acme").unwrap(),
            device: DeviceId(uuid::Uuid::nil()),
            peer: SocketAddr::from(([127, 0, 0, 1], 1)),
            strength,
            certificate: None,
            inbox: mpsc::channel(1).0,
        }
    }

    #[test]
    fn a_newer_link_takes_the_place_and_the_older_does_not_give_it_back() {
        let links = Registry::<()>::default();
        let device = DeviceId(uuid::Uuid::nil());
        let first = links.claim(new(Strength::DeviceToken)).ok().unwrap();
        assert!(first.displaced.is_none() && links.holds(&first.entry));
        let second = links.claim(new(Strength::DeviceToken)).ok().unwrap();
        assert!(second.displaced.is_some() && !links.holds(&first.entry));
        assert!(!links.leave(&first.entry));
        assert_eq!(links.rival(device).map(|r| r.takeovers), Some(1));
        assert!(links.leave(&second.entry));
        assert_eq!(links.len(), 0);
    }

    #[test]
    fn a_loss_long_after_a_restart_was_asked_for_is_not_its_doing() {
        let links = Registry::<()>::default();
        let entry = links.claim(new(Strength::DeviceToken)).ok().unwrap().entry;
        let before = Instant::now();
        assert_eq!(entry.parting(before), None);
        entry.expect(Some(Parting::Restart));
        let within = before + BOOT_WAIT_MAX;
        assert_eq!(entry.parting(within), Some(Parting::Restart));
        let late = Instant::now() + BOOT_WAIT_MAX + std::time::Duration::from_secs(1);
        assert_eq!(entry.parting(late), None);
        entry.expect(None);
        assert_eq!(entry.parting(before), None);
    }

    #[test]
    fn a_better_authenticated_link_keeps_its_place() {
        let links = Registry::<()>::default();
        let _held = links.claim(new(Strength::Certificate)).ok().unwrap();
        let refused = links.claim(new(Strength::DeviceToken)).err();
        assert_eq!(refused, Some(Refusal::WeakerThanOpenLink));
    }

    #[test]
    fn links_that_were_admitted_at_once_take_the_place_only_so_often() {
        let links = Registry::<()>::default();
        for _ in 0..=fleet::limits::FLAP_TAKEOVERS_MAX {
            assert!(links.claim(new(Strength::DeviceToken)).is_ok());
        }
        let refused = links.claim(new(Strength::DeviceToken)).err();
        assert_eq!(refused, Some(Refusal::Flapping));
        // A better one comes in all the same, and does not wipe out what was counted.
        let better = links.claim(new(Strength::Certificate)).ok().unwrap();
        assert!(better.entry.flaps.count(links.steady()) > 0);
    }
}
