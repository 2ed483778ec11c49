//! What waits for the links of devices behind a broker: bounded for each device, each tenant and all of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::link::{Between, Link, Parts};
use super::{Broker, Connection, Name, Outgoing, lock};
use crate::southbound::usp::limits::{
    BROKER_AGENT_BYTES_MAX, BROKER_AGENT_INBOX, BROKER_COPY_BYTES_MAX, BROKER_INBOX_BYTES_MAX,
    BROKER_INBOX_KEPT_BYTES, BROKER_REFUSED_MAX, BROKER_UNHEARD_MAX,
};

/// A record on its way from the broker to a link.
pub(super) struct Delivered {
    pub record: Bytes,
    /// The agent speaks MQTT 3.1.1.
    pub in_topic: bool,
    /// Where it wants answers.
    pub reply: Option<String>,
}

impl Delivered {
    /// A small record does not keep the whole of what was read with it.
    pub fn new(record: Bytes, in_topic: bool, reply: Option<String>) -> Self {
        let record = match record.len() <= BROKER_COPY_BYTES_MAX {
            true => Bytes::copy_from_slice(&record),
            false => record,
        };
        Self {
            record,
            in_topic,
            reply,
        }
    }
}

/// Where records for a link wait.
pub(super) struct Inbox {
    records: mpsc::Sender<Delivered>,
    bytes: Arc<AtomicUsize>,
    generation: usize,
    /// The device was let in.
    admitted: bool,
    /// Why it ended, where that is not the end of the connection.
    why: Arc<OnceLock<String>>,
    /// Records that have not left when the connection ended.
    unsent: Arc<Mutex<Vec<Bytes>>>,
}

/// Why a record does not wait for its link.
pub(super) enum Untaken {
    /// There is no link yet.
    Unknown(Delivered),
    /// The device sends more than is worked off.
    Flooding,
    /// Too much waits of its tenant, or of all.
    NoRoom,
}

/// Why a device has no link.
#[derive(Debug)]
pub(super) enum Unopened {
    /// There are too many.
    TooMany,
    /// What it said has no room.
    NoRoom,
}

/// Bytes that wait for links.
#[derive(Default)]
pub(super) struct Queued {
    all: usize,
    of: HashMap<Box<str>, usize>,
}

impl Queued {
    /// A tenant has no more than what is left for the others; one of whom nothing waits has a part that is kept for it.
    fn add(&mut self, tenant: &str, size: usize) -> bool {
        let own = self.of.get(tenant).copied().unwrap_or_default();
        let most = match own {
            0 => BROKER_INBOX_BYTES_MAX,
            _ => BROKER_INBOX_BYTES_MAX - BROKER_INBOX_KEPT_BYTES,
        };
        if own + size > most.saturating_sub(self.all) {
            return false;
        }
        self.all += size;
        match self.of.get_mut(tenant) {
            Some(own) => *own += size,
            None => drop(self.of.insert(tenant.into(), size)),
        }
        true
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.all == 0 && self.of.is_empty()
    }

    fn remove(&mut self, tenant: &str, size: usize) {
        self.all = self.all.saturating_sub(size);
        if let Some(own) = self.of.get_mut(tenant) {
            *own = own.saturating_sub(size);
            if *own == 0 {
                self.of.remove(tenant);
            }
        }
    }
}

impl Broker {
    /// Hands a record to the link it is for.
    pub(super) fn hand(&self, name: &Name, delivered: Delivered) -> Result<(), Untaken> {
        let agents = lock(&self.agents);
        let Some(inbox) = agents.get(name) else {
            return Err(Untaken::Unknown(delivered));
        };
        let size = delivered.record.len();
        let own = inbox.bytes.load(Ordering::Relaxed);
        // The largest record has to come through, when nothing else of the device waits.
        if own > 0 && own + size > BROKER_AGENT_BYTES_MAX {
            return Err(Untaken::Flooding);
        }
        // Counted before its link can take it, which takes it off.
        if !lock(&self.queued).add(&name.0, size) {
            return Err(Untaken::NoRoom);
        }
        inbox.bytes.fetch_add(size, Ordering::Relaxed);
        let sent = inbox.records.try_send(delivered);
        if sent.is_err() {
            inbox.bytes.fetch_sub(size, Ordering::Relaxed);
            self.taken(name, size);
        }
        sent.map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Untaken::Flooding,
            // It is about to end; what comes now is for the next one.
            mpsc::error::TrySendError::Closed(one) => Untaken::Unknown(one),
        })
    }

    /// Waits no more.
    pub(super) fn taken(&self, name: &Name, size: usize) {
        lock(&self.queued).remove(&name.0, size);
    }

    /// Makes a link of a name, with what came first.
    pub(super) fn open(
        self: &Arc<Self>,
        name: &Name,
        first: Delivered,
        connection: &Connection,
        between: Between,
    ) -> Result<Link, Unopened> {
        let (records, incoming) = mpsc::channel(BROKER_AGENT_INBOX);
        let (bytes, why) = (Arc::<AtomicUsize>::default(), Arc::<OnceLock<_>>::default());
        let unsent = Arc::<Mutex<_>>::default();
        let generation = self.generations.fetch_add(1, Ordering::Relaxed);
        let inbox = Inbox {
            records,
            bytes: bytes.clone(),
            generation,
            admitted: false,
            why: why.clone(),
            unsent: unsent.clone(),
        };
        let mut agents = lock(&self.agents);
        if agents.len() >= self.agents_max && !agents.contains_key(name) {
            return Err(Unopened::TooMany);
        }
        agents.insert(name.clone(), inbox);
        drop(agents);
        // It gives its place back when it is dropped.
        let link = Link::new(Parts {
            broker: self.clone(),
            name: name.clone(),
            generation,
            connection: connection.clone(),
            incoming,
            bytes,
            why,
            unsent,
            between,
        });
        match self.hand(name, first) {
            Ok(()) => Ok(link),
            Err(_) => Err(Unopened::NoRoom),
        }
    }

    /// The broker says that nobody hears what is sent to this device: its link ends. Whether it is refused for a while
    /// from now on, because that happens again and again.
    pub(super) fn unheard(&self, name: &Name) -> bool {
        let Some(inbox) = lock(&self.agents).remove(name) else {
            return false;
        };
        let why = format!(
            "nobody is subscribed to its topic at the broker {}",
            self.name()
        );
        let _ = inbox.why.set(why);
        let (mut unheard, now) = (lock(&self.unheard), Instant::now());
        if unheard.len() >= BROKER_REFUSED_MAX {
            unheard.retain(|_, (since, _)| since.elapsed() < self.refused_for);
            if unheard.len() >= BROKER_REFUSED_MAX {
                unheard.clear();
            }
        }
        let (since, times) = unheard.entry(name.clone()).or_insert((now, 0));
        if since.elapsed() >= self.refused_for {
            (*since, *times) = (now, 0);
        }
        *times += 1;
        let again_and_again = *times > BROKER_UNHEARD_MAX;
        if again_and_again {
            unheard.remove(name);
            self.refuse(name.clone());
        }
        again_and_again
    }

    /// The connection is over, and this record has not left: its link is told before it ends.
    pub(super) fn unsent(&self, one: Outgoing) {
        let receiver = self.settings.topic_prefix.receiver(&one.to);
        let Some((tenant, endpoint)) = receiver else {
            return;
        };
        let name: Name = (tenant.into(), endpoint.into());
        if let Some(inbox) = lock(&self.agents).get(&name) {
            lock(&inbox.unsent).push(one.record);
        }
    }

    /// A link is over.
    pub(super) fn close(&self, name: &Name, generation: usize) {
        let mut agents = lock(&self.agents);
        if agents
            .get(name)
            .is_some_and(|inbox| inbox.generation == generation)
        {
            agents.remove(name);
            if agents.capacity() > 64 && agents.len() * 4 < agents.capacity() {
                agents.shrink_to_fit();
            }
        }
    }

    pub(super) fn is_open(&self, name: &Name) -> bool {
        lock(&self.agents).contains_key(name)
    }

    /// The device of this name was let in.
    pub(super) fn admitted(&self, name: &Name) {
        if let Some(inbox) = lock(&self.agents).get_mut(name) {
            inbox.admitted = true;
        }
    }

    pub(super) fn has_admitted(&self, name: &Name) -> bool {
        let agents = lock(&self.agents);
        agents.get(name).is_some_and(|inbox| inbox.admitted)
    }
}
