//! What we tell: announced twice at the start, told to who asks, taken back at the end.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::{A, AAAA, PTR, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use usp::EndpointId;

use super::{Kind, Service, Unnamable, name};
use crate::limits::{MDNS_ANSWER_EVERY, MDNS_TTL_HOST, MDNS_TTL_SERVICE};

/// The name that asks for the services there are.
const SERVICES: [&[u8]; 4] = [b"_services", b"_dns-sd", b"_udp", b"local"];

/// A text of a TXT record, without its key.
const PATH_BYTES_MAX: usize = 250;

pub(super) struct Responder {
    services: Vec<(Name, Service)>,
    host: Name,
    pub addresses: Vec<IpAddr>,
    /// When we speak next, unasked or asked.
    due: Option<Instant>,
    /// How often we still speak unasked.
    announcements: u32,
    last: Option<Instant>,
    /// A share of what is waited before an answer, so that not all answer at once.
    patience: Duration,
}

impl Responder {
    pub fn new(own: &EndpointId, services: Vec<Service>, now: Instant) -> Result<Self, Unnamable> {
        let id = own.as_str();
        if id.len() > 63 && !services.is_empty() {
            return Err(Unnamable::LongId(id.len()));
        }
        if let Some(long) = services.iter().find(|one| one.path.len() > PATH_BYTES_MAX) {
            return Err(Unnamable::LongPath(long.path.len()));
        }
        let digest = ring::digest::digest(&ring::digest::SHA256, id.as_bytes());
        let hex: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        let instance =
            |kind: Kind| name(&[id.as_bytes(), kind.label().as_bytes(), b"_tcp", b"local"]);
        let patience = u64::from(digest.as_ref().first().copied().unwrap_or_default());
        Ok(Responder {
            due: (!services.is_empty()).then_some(now),
            services: services
                .into_iter()
                .map(|one| (instance(one.kind), one))
                .collect(),
            host: name(&[format!("usp-{}", &hex[..16]).as_bytes(), b"local"]),
            addresses: Vec::new(),
            announcements: 2,
            last: None,
            patience: Duration::from_millis(20 + patience / 3),
        })
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Other addresses are told at once.
    pub fn set_addresses(&mut self, now: Instant, addresses: Vec<IpAddr>) {
        if addresses != self.addresses {
            self.addresses = addresses;
            if !self.services.is_empty() {
                self.announcements = 2;
                self.due = Some(now);
            }
        }
    }

    pub fn hear(&mut self, now: Instant, message: &Message) {
        let asked = |query: &Query| self.is_asked(query, message);
        if self.services.is_empty() || !message.queries.iter().any(asked) {
            return;
        }
        let earliest = self.last.map(|last| last + MDNS_ANSWER_EVERY);
        let at = (now + self.patience).max(earliest.unwrap_or(now));
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    fn is_asked(&self, query: &Query, message: &Message) -> bool {
        let kind = query.query_type;
        let asks = |kinds: &[RecordType]| kind == RecordType::ANY || kinds.contains(&kind);
        let same = |name: &Name| query.name.to_lowercase() == name.to_lowercase();
        // Whoever says what it knows is not told it again (RFC 6762, 7.1).
        let known = |instance: &Name| {
            message.answers.iter().any(|record| {
                record.ttl > MDNS_TTL_SERVICE / 2
                    && matches!(&record.data, RData::PTR(PTR(to)) if to.to_lowercase() == instance.to_lowercase())
            })
        };
        self.services.iter().any(|(instance, service)| {
            (asks(&[RecordType::PTR]) && same(&service.kind.name()) && !known(instance))
                || (asks(&[RecordType::SRV, RecordType::TXT]) && same(instance))
        }) || (asks(&[RecordType::A, RecordType::AAAA]) && same(&self.host))
            || (asks(&[RecordType::PTR]) && same(&name(&SERVICES)))
    }

    /// What is to be said now, if it is time.
    pub fn speak(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.due.is_none_or(|due| due > now) {
            return None;
        }
        self.announcements = self.announcements.saturating_sub(1);
        self.due = (self.announcements > 0).then(|| now + MDNS_ANSWER_EVERY);
        self.last = Some(now);
        // Where we are not, nobody is told of us.
        (!self.addresses.is_empty()).then(|| self.say(1)).flatten()
    }

    /// That we are gone.
    pub fn goodbye(&self) -> Option<Vec<u8>> {
        (self.last.is_some() && !self.addresses.is_empty())
            .then(|| self.say(0))
            .flatten()
    }

    /// All that we have to say; with 0, that it is no longer so.
    fn say(&self, life: u32) -> Option<Vec<u8>> {
        let mut message = Message::new(0, MessageType::Response, OpCode::Query);
        message.metadata.authoritative = true;
        let shared =
            |name: Name, data: RData| Record::from_rdata(name, MDNS_TTL_SERVICE * life, data);
        let ours = |name: Name, ttl: u32, data: RData| {
            let mut record = Record::from_rdata(name, ttl * life, data);
            record.mdns_cache_flush = true;
            record
        };
        for (instance, service) in &self.services {
            let kind = service.kind.name();
            let srv = SRV::new(0, 0, service.port, self.host.clone());
            let mut texts = vec![format!("path={}", service.path)];
            texts.extend(service.name.as_ref().map(|name| {
                let mut text = format!("name={name}");
                text.truncate(text.floor_char_boundary(255));
                text
            }));
            if service.encrypt {
                texts.push("encrypt".to_owned());
            }
            let life_of_texts = MDNS_TTL_SERVICE;
            // That there are such services is not ours alone to take back.
            if life > 0 {
                message.add_answer(shared(name(&SERVICES), RData::PTR(PTR(kind.clone()))));
            }
            message.add_answers([
                shared(kind, RData::PTR(PTR(instance.clone()))),
                ours(instance.clone(), MDNS_TTL_HOST, RData::SRV(srv)),
                ours(instance.clone(), life_of_texts, RData::TXT(TXT::new(texts))),
            ]);
        }
        for address in &self.addresses {
            let data = match address {
                IpAddr::V4(address) => RData::A(A(*address)),
                IpAddr::V6(address) => RData::AAAA(AAAA(*address)),
            };
            message.add_answer(ours(self.host.clone(), MDNS_TTL_HOST, data));
        }
        message.to_vec().ok()
    }
}
