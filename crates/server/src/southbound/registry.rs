//! The open links of one adapter on this node, one per device and transport: who holds which, who gives way to whom, and
//! which of a device's links is asked. A link of CWMP is a session.
//!
//! Only the table; the store knows what is true for the whole cluster.

mod entry;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use fleet::onboarding::{Flaps, Refusal, Rival};
use fleet::{DeviceId, Timestamp};

pub use entry::{Entry, NewEntry, Parting};

/// Which transport is asked first where nothing else decides: one without a third party in it.
const PREFERRED: [&str; 2] = [super::usp::WEBSOCKET, super::usp::MQTT];

/// The open links.
pub struct Registry<C> {
    devices: Mutex<HashMap<DeviceId, Place<C>>>,
    generations: AtomicU64,
    started: Instant,
}

/// The links of one device.
struct Place<C> {
    /// Never two over one transport.
    links: Vec<Arc<Entry<C>>>,
    /// What was last told of the device: it can be asked things.
    told: bool,
    /// The link over which the device is onboarded now, by its number.
    at_work: Option<u64>,
}

impl<C> Place<C> {
    fn has(&self, entry: &Entry<C>) -> bool {
        let mut links = self.links.iter();
        links.any(|one| one.generation == entry.generation)
    }

    /// The best link comes first: one that can be asked, that answered last, in order of its transport.
    fn ranked(&self) -> Vec<Arc<Entry<C>>> {
        let mut links = self.links.clone();
        if links.len() > 1 {
            let now = Instant::now();
            links.sort_by_cached_key(|link| link.rank(now));
        }
        links
    }

    fn best(&self) -> Option<&Arc<Entry<C>>> {
        match &self.links[..] {
            [] => None,
            [only] => Some(only),
            links => {
                let now = Instant::now();
                links.iter().min_by_key(|link| link.rank(now))
            }
        }
    }

    /// Tells whether the device can be asked, where that is not what was told last.
    fn tell(&mut self, tell: impl FnOnce(bool)) {
        let open = self.links.iter().any(|link| link.is_open());
        if open != self.told {
            self.told = open;
            tell(open);
        }
    }
}

impl<C> Entry<C> {
    fn rank(&self, now: Instant) -> (bool, bool, usize) {
        let order = PREFERRED.iter().position(|one| *one == self.transport);
        let order = order.unwrap_or(PREFERRED.len());
        (!self.is_open(), self.is_doubted(now), order)
    }

    fn rival(&self, transport: &str, at: Timestamp) -> Rival {
        Rival {
            elsewhere: self.transport != transport,
            strength: self.strength,
            takeovers: self.flaps.count(at),
        }
    }
}

impl<C> Default for Registry<C> {
    fn default() -> Self {
        Self {
            devices: Mutex::default(),
            generations: AtomicU64::default(),
            started: Instant::now(),
        }
    }
}

impl<C> Registry<C> {
    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, Place<C>>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time that nobody sets back: since this began.
    fn steady(&self) -> Timestamp {
        Timestamp::default().plus(self.started.elapsed())
    }

    /// The link over which a device is asked.
    pub fn get(&self, device: DeviceId) -> Option<Arc<Entry<C>>> {
        self.lock().get(&device)?.best().cloned()
    }

    /// The links of a device, the best one first.
    pub fn of(&self, device: DeviceId) -> Vec<Arc<Entry<C>>> {
        let devices = self.lock();
        devices.get(&device).map(Place::ranked).unwrap_or_default()
    }

    /// The link of a device over this transport.
    pub fn over(&self, device: DeviceId, transport: &str) -> Option<Arc<Entry<C>>> {
        let devices = self.lock();
        let mut links = devices.get(&device)?.links.iter();
        links.find(|link| link.transport == transport).cloned()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().values().map(|place| place.links.len()).sum()
    }

    /// All of them; those of one device one after the other.
    pub fn all(&self) -> Vec<Arc<Entry<C>>> {
        let devices = self.lock();
        let links = devices.values().flat_map(|place| &place.links);
        links.cloned().collect()
    }

    /// What stands against a newcomer over this transport with the name of this device.
    pub fn rivals(&self, device: DeviceId, transport: &str) -> Vec<Rival> {
        let at = self.steady();
        let devices = self.lock();
        let place = devices.get(&device);
        let links = place.into_iter().flat_map(|place| &place.links);
        links.map(|link| link.rival(transport, at)).collect()
    }

    /// Takes the place of a device, by the same rule by which newcomers are admitted: others may
    /// have come since. The links that have to end are given back.
    pub fn claim(&self, new: NewEntry<C>) -> Result<Claimed<C>, Refusal> {
        let at = self.steady();
        let mut devices = self.lock();
        let rival = |link: &Entry<C>| link.rival(new.transport, at);
        for link in devices
            .get(&new.device)
            .into_iter()
            .flat_map(|place| &place.links)
        {
            rival(link).gives_way(new.strength)?;
        }
        let place = devices.entry(new.device).or_insert_with(|| Place {
            links: Vec::with_capacity(1),
            told: false,
            at_work: None,
        });
        let ends = |link: &mut Arc<Entry<C>>| !rival(link).stays(new.strength);
        let displaced: Vec<_> = place.links.extract_if(.., ends).collect();
        let mut flaps = Flaps::default();
        if let Some(old) = displaced.iter().find(|old| old.transport == new.transport) {
            flaps = old.flaps;
            if old.strength == new.strength {
                flaps.add(at);
            }
        }
        let generation = self.generations.fetch_add(1, Ordering::Relaxed);
        let entry = Arc::new(Entry::new(new, flaps, generation));
        place.links.push(entry.clone());
        Ok(Claimed { entry, displaced })
    }

    /// Whether the place is still this link's.
    pub fn holds(&self, entry: &Entry<C>) -> bool {
        let devices = self.lock();
        devices
            .get(&entry.device)
            .is_some_and(|place| place.has(entry))
    }

    /// The device can be asked things over this link from now on, or no more; false where the place is another's. What
    /// that makes of the device as a whole is told before anything else can change it.
    pub fn set_open(&self, entry: &Entry<C>, open: bool, tell: impl FnOnce(bool)) -> bool {
        let mut devices = self.lock();
        let place = devices
            .get_mut(&entry.device)
            .filter(|place| place.has(entry));
        entry.set_open(open && place.is_some());
        let Some(place) = place else { return false };
        place.tell(tell);
        true
    }

    /// The device is about to be onboarded over this link; false while it is over another.
    pub fn begin_work(&self, entry: &Entry<C>) -> bool {
        let mut devices = self.lock();
        let Some(place) = devices
            .get_mut(&entry.device)
            .filter(|place| place.has(entry))
        else {
            return false;
        };
        let busy = place.at_work.filter(|other| *other != entry.generation);
        let busy =
            busy.is_some_and(|other| place.links.iter().any(|link| link.generation == other));
        if !busy {
            place.at_work = Some(entry.generation);
        }
        !busy
    }

    /// It was onboarded, or not, over this link.
    pub fn end_work(&self, entry: &Entry<C>) {
        let mut devices = self.lock();
        if let Some(place) = devices.get_mut(&entry.device)
            && place.at_work == Some(entry.generation)
        {
            place.at_work = None;
        }
    }

    /// Gives the place back; false when another link has it by now.
    pub fn leave(&self, entry: &Entry<C>) -> bool {
        let mut devices = self.lock();
        let Some(place) = devices
            .get_mut(&entry.device)
            .filter(|place| place.has(entry))
        else {
            return false;
        };
        place
            .links
            .retain(|link| link.generation != entry.generation);
        if place.links.is_empty() {
            devices.remove(&entry.device);
            if devices.capacity() > 64 && devices.len() * 4 < devices.capacity() {
                devices.shrink_to_fit();
            }
        }
        true
    }
}

/// A place that was taken.
pub struct Claimed<C> {
    /// The new link.
    pub entry: Arc<Entry<C>>,
    /// Those that have to end.
    pub displaced: Vec<Arc<Entry<C>>>,
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use fleet::TenantId;
    use fleet::limits::BOOT_WAIT_MAX;
    use fleet::onboarding::Strength;
    use tokio::sync::mpsc;

    use super::*;
    use crate::southbound::limits::DOUBT_TIME;
    use crate::southbound::usp::{MQTT, WEBSOCKET};

    fn new(strength: Strength) -> NewEntry<()> {
        over(WEBSOCKET, strength)
    }

    fn over(transport: &'static str, strength: Strength) -> NewEntry<()> {
        NewEntry {
            tenant: TenantId::parse("acme").unwrap(),
            device: DeviceId(uuid::Uuid::nil()),
            transport,
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
        assert!(first.displaced.is_empty() && links.holds(&first.entry));
        let second = links.claim(new(Strength::DeviceToken)).ok().unwrap();
        assert!(second.displaced.len() == 1 && !links.holds(&first.entry));
        assert!(!links.leave(&first.entry));
        assert_eq!(links.rivals(device, WEBSOCKET)[0].takeovers, 1);
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

    /// A device that is there over both, and can be asked over both.
    fn both(links: &Registry<()>) -> [Arc<Entry<()>>; 2] {
        [WEBSOCKET, MQTT].map(|transport| {
            let claimed = links.claim(over(transport, Strength::DeviceToken));
            let claimed = claimed.ok().unwrap();
            assert!(claimed.displaced.is_empty());
            assert!(links.set_open(&claimed.entry, true, |_| ()));
            claimed.entry
        })
    }

    fn used(links: &Registry<()>) -> &'static str {
        links.get(DeviceId(uuid::Uuid::nil())).unwrap().transport
    }

    #[test]
    fn of_two_links_the_one_that_answers_is_asked_then_the_one_without_a_third_party() {
        let links = Registry::<()>::default();
        let [websocket, mqtt] = both(&links);
        assert_eq!((links.len(), used(&links)), (2, WEBSOCKET));
        // A request went unanswered over it.
        let at = Instant::now();
        websocket.doubt(at);
        assert_eq!(used(&links), MQTT);
        mqtt.doubt(at);
        assert_eq!(used(&links), WEBSOCKET, "neither is better");
        mqtt.answers();
        assert_eq!(used(&links), MQTT);
        // It is not passed over for ever.
        let short = std::time::Duration::from_millis(2);
        assert!(websocket.is_doubted(at + DOUBT_TIME - short));
        assert!(!websocket.is_doubted(at + DOUBT_TIME + short));
        websocket.answers();
        assert_eq!(used(&links), WEBSOCKET);
        links.set_open(&websocket, false, |_| ());
        assert_eq!(used(&links), MQTT, "nothing can be asked over the other");
    }

    #[test]
    fn that_a_device_can_be_asked_is_told_with_its_first_link_and_that_it_cannot_with_its_last() {
        let links = Registry::<()>::default();
        let told = std::cell::RefCell::new(Vec::new());
        let set = |entry: &Arc<Entry<()>>, open| {
            links.set_open(entry, open, |open| told.borrow_mut().push(open))
        };
        let [websocket, mqtt] = [WEBSOCKET, MQTT].map(|transport| {
            let claimed = links.claim(over(transport, Strength::DeviceToken));
            claimed.ok().unwrap().entry
        });
        assert!(set(&websocket, true) && set(&mqtt, true) && set(&websocket, false));
        assert_eq!(told.take(), [true]);
        assert!(links.leave(&websocket));
        // The other is taken over: the new one says so, the old one has no say any more.
        let newer = links.claim(over(MQTT, Strength::DeviceToken)).ok().unwrap();
        assert!(!set(&mqtt, false) && !set(&mqtt, true) && !mqtt.is_open());
        assert!(told.take().is_empty());
        assert!(set(&newer.entry, false) && set(&newer.entry, true));
        assert_eq!(told.take(), [false, true]);
    }

    #[test]
    fn a_device_is_onboarded_over_one_of_its_links_at_a_time() {
        let links = Registry::<()>::default();
        let [websocket, mqtt] = both(&links);
        assert!(links.begin_work(&websocket) && links.begin_work(&websocket));
        assert!(!links.begin_work(&mqtt));
        links.end_work(&mqtt);
        assert!(!links.begin_work(&mqtt), "it is not its to end");
        links.end_work(&websocket);
        assert!(links.begin_work(&mqtt) && !links.begin_work(&websocket));
        // What goes away holds nobody up.
        assert!(links.leave(&mqtt) && links.begin_work(&websocket));
    }

    #[test]
    fn a_shared_secret_does_not_stand_beside_a_proof_of_the_devices_own() {
        let links = Registry::<()>::default();
        let weak = links.claim(over(MQTT, Strength::SetupKey)).ok().unwrap();
        let own = links.claim(new(Strength::DeviceToken)).ok().unwrap();
        assert_eq!(own.displaced.len(), 1);
        assert!(!links.holds(&weak.entry) && links.holds(&own.entry));
        let refused = links.claim(over(MQTT, Strength::SetupKey)).err();
        assert_eq!(refused, Some(Refusal::WeakerThanOpenLink));
    }
}
