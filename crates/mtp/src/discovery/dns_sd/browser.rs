//! What we look for on one network: asked for from time to time, and remembered as long as it says itself, within limits.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::rdata::{A, AAAA, PTR, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use usp::EndpointId;

use super::{Found, Kind, Texts};
use crate::limits::{
    MDNS_ADDRESSES_MAX, MDNS_ANSWER_EVERY, MDNS_ASK_EVERY_MAX, MDNS_FOUND_MAX, MDNS_GRACE,
    MDNS_HALF_KNOWN_MAX, MDNS_QUESTIONS_MAX, MDNS_RECORDS_MAX, MDNS_TTL_SERVICE,
};

/// When something was said, and until when it holds.
#[derive(Clone, Copy)]
struct Life {
    heard: Instant,
    until: Instant,
}

impl Life {
    fn new(now: Instant, record: &Record) -> Life {
        let seconds = record.ttl.min(MDNS_TTL_SERVICE);
        Life {
            heard: now,
            until: now + Duration::from_secs(seconds.into()),
        }
    }

    /// When it is asked for anew, so that it does not end unasked (RFC 6762, 5.2).
    fn stale(self) -> Instant {
        self.heard + (self.until - self.heard) * 4 / 5
    }

    /// It was taken back, or replaced.
    fn end(&mut self, now: Instant) {
        self.until = self.until.min(now + MDNS_GRACE);
    }
}

/// One service as far as it was heard of.
struct Entry {
    srv: Option<(Name, u16, Life)>,
    txt: Option<(Texts, Life)>,
    /// Until when it is borne in mind: as long as it says where it is, or a while without that.
    until: Instant,
    /// When it is asked about next, and how long after that again.
    due: Instant,
    wait: Duration,
    found: Option<Found>,
}

type Key = (Kind, EndpointId);
type Hosts = BTreeMap<Name, BTreeMap<IpAddr, Life>>;

pub(super) struct Browser {
    kinds: Vec<(Kind, Name)>,
    own: EndpointId,
    /// For whom there is always room.
    awaited: BTreeSet<EndpointId>,
    entries: BTreeMap<Key, Entry>,
    hosts: Hosts,
    due: Option<Instant>,
    wait: Duration,
    last: Option<Instant>,
    changed: bool,
    /// Whether the network is that of this host with itself.
    pub is_loopback: bool,
    /// Services whose name is no endpoint id.
    pub nameless: u64,
    /// Services for which there was no room.
    pub no_room: u64,
}

impl Browser {
    pub fn new(
        own: EndpointId,
        kinds: Vec<Kind>,
        awaited: BTreeSet<EndpointId>,
        now: Instant,
    ) -> Browser {
        Browser {
            due: (!kinds.is_empty()).then_some(now),
            kinds: kinds.into_iter().map(|kind| (kind, kind.name())).collect(),
            own,
            awaited,
            entries: BTreeMap::new(),
            hosts: BTreeMap::new(),
            wait: MDNS_ANSWER_EVERY,
            last: None,
            changed: false,
            is_loopback: false,
            nameless: 0,
            no_room: 0,
        }
    }

    /// All that is there, if it is not as it was when this was asked last.
    pub fn poll_found(&mut self) -> Option<Vec<Found>> {
        let entries = self.entries.values();
        std::mem::take(&mut self.changed)
            .then(|| entries.flat_map(|one| one.found.clone()).collect())
    }

    pub fn deadline(&self) -> Option<Instant> {
        let earliest = self.last.map(|last| last + MDNS_ANSWER_EVERY);
        let questions = self.entries.values().map(|entry| entry.due).chain(self.due);
        let question = questions
            .min()
            .map(|due| earliest.map_or(due, |at| at.max(due)));
        let ends = self.entries.values().flat_map(|entry| {
            let texts = entry.txt.as_ref().map(|(_, life)| life.until);
            [Some(entry.until), texts].into_iter().flatten()
        });
        let addresses = self.hosts.values().flat_map(|all| all.values());
        ends.chain(addresses.map(|life| life.until))
            .chain(question)
            .min()
    }

    /// The questions that are due.
    pub fn ask(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.last.is_some_and(|last| last + MDNS_ANSWER_EVERY > now) {
            return None;
        }
        let mut message = Message::query();
        message.metadata.id = 0;
        message.metadata.recursion_desired = false;
        if self.due.is_some_and(|due| due <= now) {
            self.due = Some(now + self.wait);
            self.wait = (self.wait * 2).min(MDNS_ASK_EVERY_MAX);
            for (_, name) in &self.kinds {
                message.add_query(Query::query(name.clone(), RecordType::PTR));
            }
        }
        let mut open: Vec<_> = self.entries.iter_mut().collect();
        open.retain(|(_, entry)| entry.due <= now);
        open.sort_by_key(|(_, entry)| entry.due);
        for ((kind, id), entry) in open.into_iter().take(MDNS_QUESTIONS_MAX) {
            entry.due = now + entry.wait;
            entry.wait = (entry.wait * 2).min(MDNS_ASK_EVERY_MAX);
            match (&entry.srv, &entry.txt) {
                (Some((host, _, srv)), Some((_, txt)))
                    if srv.stale() > now && txt.stale() > now =>
                {
                    message.add_query(Query::query(host.clone(), RecordType::A));
                    message.add_query(Query::query(host.clone(), RecordType::AAAA));
                }
                _ => {
                    if let Ok(instance) = kind.name().prepend_label(id.as_str().as_bytes()) {
                        message.add_query(Query::query(instance, RecordType::ANY));
                    }
                }
            }
        }
        if message.queries.is_empty() {
            return None;
        }
        self.last = Some(now);
        message.to_vec().ok()
    }

    pub fn hear(&mut self, now: Instant, message: &Message) {
        let records = || message.all_sections().take(MDNS_RECORDS_MAX);
        let mut of_interest = false;
        for record in records() {
            of_interest |= self.service(now, record).is_some();
        }
        let mut replaced = BTreeSet::new();
        for record in records() {
            of_interest |= self.address(now, record, &mut replaced).is_some();
        }
        if !of_interest {
            return;
        }
        // What is ours to say alone replaces what was said before (RFC 6762, 10.2).
        for (host, v4) in replaced {
            let all = self.hosts.get_mut(&host);
            for (address, life) in all.into_iter().flatten() {
                if address.is_ipv4() == v4 && life.heard + MDNS_GRACE < now {
                    life.end(now);
                }
            }
        }
        self.settle(now);
    }

    /// What there is now follows from what was said.
    fn settle(&mut self, now: Instant) {
        let targets: BTreeSet<&Name> = self
            .entries
            .values()
            .filter_map(|entry| entry.srv.as_ref().map(|(host, ..)| host))
            .collect();
        self.hosts
            .retain(|host, all| targets.contains(host) && !all.is_empty());
        for ((kind, id), entry) in &mut self.entries {
            let found = found(*kind, id, entry, &self.hosts);
            if entry.found != found {
                entry.found = found;
                self.changed = true;
            }
            // What is whole is asked about when it grows old, what is not at once, and then ever more seldom.
            if let Some(stale) = stale(entry, &self.hosts).filter(|at| *at > now) {
                entry.due = stale;
                entry.wait = MDNS_ANSWER_EVERY;
            }
        }
    }

    /// The kind and the endpoint of an instance's name, if it is one of those looked for.
    fn key(&mut self, name: &Name) -> Option<Key> {
        let (kind, _) = self
            .kinds
            .iter()
            .find(|(_, one)| one.zone_of(name) && name.num_labels() == one.num_labels() + 1)?;
        let id = name
            .iter()
            .next()
            .and_then(|id| std::str::from_utf8(id).ok());
        let Some(id) = id.and_then(|id| EndpointId::parse(id).ok()) else {
            self.nameless = self.nameless.saturating_add(1);
            return None;
        };
        (id != self.own).then_some((*kind, id))
    }

    /// The entry of a service, if it is known or there is room for it: one that has not said where it is gives way.
    fn entry(&mut self, now: Instant, key: Key) -> Option<&mut Entry> {
        if self.entries.len() >= MDNS_FOUND_MAX
            && !self.entries.contains_key(&key)
            && !self.awaited.contains(&key.1)
        {
            let mut others = self.entries.iter();
            // None of this very message.
            let half =
                others.find(|(_, one)| one.srv.is_none() && one.until < now + MDNS_HALF_KNOWN_MAX);
            let Some(half) = half.map(|(key, _)| key.clone()) else {
                self.no_room = self.no_room.saturating_add(1);
                return None;
            };
            self.entries.remove(&half);
        }
        Some(self.entries.entry(key).or_insert_with(|| Entry {
            srv: None,
            txt: None,
            until: now + MDNS_HALF_KNOWN_MAX,
            due: now,
            wait: MDNS_ANSWER_EVERY,
            found: None,
        }))
    }

    /// Takes what is about a service; `None`: it is not.
    fn service(&mut self, now: Instant, record: &Record) -> Option<()> {
        let life = Life::new(now, record);
        match &record.data {
            RData::PTR(PTR(to)) if self.kinds.iter().any(|(_, name)| *name == record.name) => {
                let key = self.key(to)?;
                match record.ttl {
                    0 => self.leaves(now, &key),
                    _ => self.entry(now, key).map(drop),
                }
            }
            RData::SRV(SRV { target, port, .. }) => {
                let key = self.key(&record.name)?;
                if record.ttl == 0 {
                    return self.leaves(now, &key);
                }
                let entry = self.entry(now, key)?;
                let host = target.to_lowercase();
                let before = entry.srv.replace((host.clone(), *port, life));
                if before.is_none_or(|(before, ..)| before != host) {
                    entry.due = now;
                    entry.wait = MDNS_ANSWER_EVERY;
                }
                entry.until = life.until;
                Some(())
            }
            RData::TXT(texts) if record.ttl > 0 => {
                let key = self.key(&record.name)?;
                self.entry(now, key)?.txt = Some((Texts::read(texts), life));
                Some(())
            }
            _ => None,
        }
    }

    /// It says goodbye.
    fn leaves(&mut self, now: Instant, key: &Key) -> Option<()> {
        let entry = self.entries.get_mut(key)?;
        entry.until = entry.until.min(now + MDNS_GRACE);
        Some(())
    }

    /// Takes an address of a host that has a service; `None`: it is none.
    fn address(
        &mut self,
        now: Instant,
        record: &Record,
        replaced: &mut BTreeSet<(Name, bool)>,
    ) -> Option<()> {
        let address = match &record.data {
            RData::A(A(address)) => IpAddr::V4(*address),
            RData::AAAA(AAAA(address)) => IpAddr::V6(*address),
            _ => return None,
        };
        if !may_be_dialled(address, self.is_loopback) {
            return None;
        }
        let host = record.name.to_lowercase();
        let is_target = |entry: &Entry| entry.srv.as_ref().is_some_and(|(to, ..)| *to == host);
        if !self.entries.values().any(is_target) {
            return None;
        }
        let addresses = self.hosts.entry(host.clone()).or_default();
        if record.ttl == 0 {
            addresses.get_mut(&address)?.end(now);
            return Some(());
        }
        if record.mdns_cache_flush {
            replaced.insert((host, address.is_ipv4()));
        }
        if addresses.len() >= MDNS_ADDRESSES_MAX && !addresses.contains_key(&address) {
            // The oldest makes room, but none that was said just now.
            let oldest = addresses.iter().min_by_key(|(_, life)| life.heard);
            let (oldest, _) = oldest.filter(|(_, life)| life.heard < now)?;
            let oldest = *oldest;
            addresses.remove(&oldest);
        }
        addresses.insert(address, Life::new(now, record));
        Some(())
    }

    pub fn time_passes(&mut self, now: Instant) {
        let count = self.entries.len();
        let mut gone = false;
        self.entries.retain(|_, entry| {
            gone |= entry.until <= now && entry.found.is_some();
            entry.until > now
        });
        self.changed |= gone;
        let mut ended = count != self.entries.len();
        for entry in self.entries.values_mut() {
            let over = |(_, life): &mut (Texts, Life)| life.until <= now;
            ended |= entry.txt.take_if(over).is_some();
        }
        for addresses in self.hosts.values_mut() {
            let count = addresses.len();
            addresses.retain(|_, life| life.until > now);
            ended |= count != addresses.len();
        }
        if ended {
            self.settle(now);
        }
    }
}

/// The service, once all of it is known.
fn found(kind: Kind, id: &EndpointId, entry: &Entry, hosts: &Hosts) -> Option<Found> {
    let (host, port, _) = entry.srv.as_ref()?;
    let (texts, _) = entry.txt.as_ref()?;
    let addresses: Vec<IpAddr> = hosts.get(host)?.keys().copied().collect();
    (!addresses.is_empty()).then(|| Found {
        kind,
        endpoint_id: id.clone(),
        addresses,
        port: *port,
        path: texts.path.clone(),
        name: texts.name.clone(),
        encrypt: texts.encrypt,
    })
}

/// When the first of what is known of it grows old; `None`: something is missing.
fn stale(entry: &Entry, hosts: &Hosts) -> Option<Instant> {
    let (host, _, srv) = entry.srv.as_ref()?;
    let (_, txt) = entry.txt.as_ref()?;
    let addresses = hosts.get(host)?.values().map(|life| life.stale()).min()?;
    Some(srv.stale().min(txt.stale()).min(addresses))
}

/// Whether somebody else can be at this address: nobody leads us to ourselves, or to everybody. One of a link says nothing
/// without the link.
fn may_be_dialled(address: IpAddr, is_loopback: bool) -> bool {
    let is_nobodys = match address {
        IpAddr::V4(address) => address.is_broadcast(),
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || address.to_ipv4_mapped().is_some()
        }
    };
    let is_someone = !is_nobodys && !address.is_unspecified() && !address.is_multicast();
    is_someone && (is_loopback || !address.is_loopback())
}
