//! What we look for: asked for from time to time, and remembered as long as it says itself, within limits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::rdata::{A, AAAA, PTR, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use usp::EndpointId;

use super::{Event, Found, Kind};
use crate::limits::{
    MDNS_ADDRESSES_MAX, MDNS_ANSWER_EVERY, MDNS_ASK_EVERY_MAX, MDNS_FOUND_MAX, MDNS_RECORDS_MAX,
    MDNS_TTL_SERVICE,
};

/// Questions about single services in one message.
const QUESTIONS_MAX: usize = 8;

/// One service as far as it was heard of.
#[derive(Default)]
struct Entry {
    srv: Option<(Name, u16)>,
    txt: Option<Texts>,
    expires: Option<Instant>,
    told: Option<Found>,
}

/// What a TXT record says that is of interest.
#[derive(Default)]
struct Texts {
    path: String,
    name: Option<String>,
    encrypt: bool,
}

type Key = (Kind, EndpointId);

pub(super) struct Browser {
    kinds: Vec<(Kind, Name)>,
    own: EndpointId,
    entries: BTreeMap<Key, Entry>,
    hosts: BTreeMap<Name, BTreeSet<IpAddr>>,
    due: Option<Instant>,
    wait: Duration,
    last: Option<Instant>,
    pub events: VecDeque<Event>,
}

impl Browser {
    pub fn new(own: EndpointId, kinds: Vec<Kind>, now: Instant) -> Browser {
        Browser {
            due: (!kinds.is_empty()).then_some(now),
            kinds: kinds.into_iter().map(|kind| (kind, kind.name())).collect(),
            own,
            entries: BTreeMap::new(),
            hosts: BTreeMap::new(),
            wait: MDNS_ANSWER_EVERY,
            last: None,
            events: VecDeque::new(),
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        let expires = self.entries.values().filter_map(|entry| entry.expires);
        self.due.into_iter().chain(expires).min()
    }

    /// The questions that are due.
    pub fn ask(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.due.is_none_or(|due| due > now) {
            return None;
        }
        self.due = Some(now + self.wait);
        self.wait = (self.wait * 2).min(MDNS_ASK_EVERY_MAX);
        self.last = Some(now);
        let mut message = Message::query();
        message.metadata.id = 0;
        message.metadata.recursion_desired = false;
        for (_, name) in &self.kinds {
            message.add_query(Query::query(name.clone(), RecordType::PTR));
        }
        let open = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.told.is_none());
        for ((kind, id), entry) in open.take(QUESTIONS_MAX) {
            match (&entry.srv, &entry.txt) {
                (Some((host, _)), Some(_)) => {
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
        message.to_vec().ok()
    }

    pub fn hear(&mut self, now: Instant, message: &Message) {
        let records = || message.all_sections().take(MDNS_RECORDS_MAX);
        for record in records() {
            self.service(now, record);
        }
        for record in records() {
            self.address(record);
        }
        let targets: BTreeSet<Name> = self
            .entries
            .values()
            .filter_map(|entry| entry.srv.as_ref().map(|(host, _)| host.clone()))
            .collect();
        self.hosts.retain(|host, _| targets.contains(host));
        let mut open = false;
        for ((kind, id), entry) in &mut self.entries {
            match found(*kind, id, entry, &self.hosts) {
                Some(found) if entry.told.as_ref() != Some(&found) => {
                    entry.told = Some(found.clone());
                    self.events.push_back(Event::Found(found));
                }
                Some(_) => {}
                None => open |= entry.told.is_none(),
            }
        }
        if open && let Some(due) = self.due {
            let soon = self
                .last
                .map_or(now, |last| last + MDNS_ANSWER_EVERY)
                .max(now);
            self.due = Some(due.min(soon));
        }
    }

    /// The kind and the endpoint of an instance's name, if it is one of those looked for.
    fn key(&self, name: &Name) -> Option<Key> {
        let (kind, _) = self
            .kinds
            .iter()
            .find(|(_, one)| one.zone_of(name) && name.num_labels() == one.num_labels() + 1)?;
        let id = std::str::from_utf8(name.iter().next()?).ok()?;
        let id = EndpointId::parse(id).ok()?;
        (id != self.own).then_some((*kind, id))
    }

    /// The entry of a service, if it is known or there is room for it.
    fn entry(&mut self, key: Key) -> Option<&mut Entry> {
        if self.entries.len() >= MDNS_FOUND_MAX && !self.entries.contains_key(&key) {
            return None;
        }
        Some(self.entries.entry(key).or_default())
    }

    fn service(&mut self, now: Instant, record: &Record) {
        let until = now + Duration::from_secs(record.ttl.min(MDNS_TTL_SERVICE).into());
        match &record.data {
            RData::PTR(PTR(to)) if self.kinds.iter().any(|(_, name)| name.zone_of(to)) => {
                let Some(key) = self.key(to) else { return };
                if record.ttl == 0 {
                    self.gone(&key);
                } else if let Some(entry) = self.entry(key) {
                    entry.expires.get_or_insert(until);
                }
            }
            RData::SRV(SRV { target, port, .. }) => {
                let Some(key) = self.key(&record.name) else {
                    return;
                };
                if record.ttl == 0 {
                    self.gone(&key);
                } else if let Some(entry) = self.entry(key) {
                    entry.srv = Some((target.to_lowercase(), *port));
                    entry.expires = Some(until);
                }
            }
            RData::TXT(texts) => {
                let Some(key) = self.key(&record.name) else {
                    return;
                };
                if record.ttl > 0
                    && let Some(entry) = self.entry(key)
                {
                    entry.txt = Some(read(texts));
                    entry.expires.get_or_insert(until);
                }
            }
            _ => {}
        }
    }

    fn address(&mut self, record: &Record) {
        let address = match &record.data {
            RData::A(A(address)) => IpAddr::V4(*address),
            RData::AAAA(AAAA(address)) => IpAddr::V6(*address),
            _ => return,
        };
        let host = record.name.to_lowercase();
        let is_target = |entry: &Entry| entry.srv.as_ref().is_some_and(|(to, _)| *to == host);
        if !self.entries.values().any(is_target) {
            return;
        }
        let addresses = self.hosts.entry(host).or_default();
        if record.ttl == 0 {
            addresses.remove(&address);
        } else if addresses.len() < MDNS_ADDRESSES_MAX {
            addresses.insert(address);
        }
    }

    fn gone(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key)
            && entry.told.is_some()
        {
            self.events.push_back(Event::Gone(key.0, key.1.clone()));
        }
    }

    pub fn time_passes(&mut self, now: Instant) {
        let over = |entry: &Entry| entry.expires.is_some_and(|at| at <= now);
        let old: Vec<Key> = self
            .entries
            .iter()
            .filter(|(_, entry)| over(entry))
            .map(|(key, _)| key.clone())
            .collect();
        old.iter().for_each(|key| self.gone(key));
    }
}

/// The service, once all of it is known.
fn found(
    kind: Kind,
    id: &EndpointId,
    entry: &Entry,
    hosts: &BTreeMap<Name, BTreeSet<IpAddr>>,
) -> Option<Found> {
    let (host, port) = entry.srv.as_ref()?;
    let txt = entry.txt.as_ref()?;
    let addresses: Vec<IpAddr> = hosts.get(host)?.iter().copied().collect();
    (!addresses.is_empty()).then(|| Found {
        kind,
        endpoint_id: id.clone(),
        addresses,
        port: *port,
        path: txt.path.clone(),
        name: txt.name.clone(),
        encrypt: txt.encrypt,
    })
}

/// `path`, `name` and `encrypt` (R-DIS.9 to R-DIS.11a); what is no text, or would break a URL, is not there.
fn read(texts: &TXT) -> Texts {
    let mut out = Texts::default();
    for text in texts.txt_data.iter().take(MDNS_RECORDS_MAX) {
        let Ok(text) = std::str::from_utf8(text) else {
            continue;
        };
        if text.chars().any(char::is_control) {
            continue;
        }
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        match key.to_ascii_lowercase().as_str() {
            "path" if !value.contains([' ', '?', '#']) => out.path = value.to_owned(),
            "name" => out.name = Some(value.to_owned()),
            "encrypt" => out.encrypt = true,
            _ => {}
        }
    }
    out
}
