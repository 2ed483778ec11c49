//! One end of multicast DNS: packets and time in, packets and findings out.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType};
use usp::EndpointId;

use super::browser::Browser;
use super::responder::Responder;
use super::{Found, Kind, Service, Unnamable};
use crate::limits::{MDNS_PACKET_BYTES_MAX, MDNS_PACKETS_MAX};

/// What was passed over, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Packets above [`MDNS_PACKETS_MAX`] in a second.
    pub too_many: u64,
    /// Packets that are no messages of DNS.
    pub broken: u64,
    /// Services of USP whose name is no endpoint id.
    pub nameless: u64,
    /// Services beyond [`MDNS_FOUND_MAX`](crate::limits::MDNS_FOUND_MAX), each time they were heard.
    pub no_room: u64,
}

/// See the module.
pub struct Node {
    responder: Responder,
    browser: Browser,
    out: VecDeque<Vec<u8>>,
    /// Packets heard since.
    heard: (Instant, u32),
    passed: Passed,
}

impl Node {
    /// Tells of `services` of this endpoint, and looks for the others of `browse`, among them `awaited`, for whom there is
    /// always room.
    pub fn new(
        own: EndpointId,
        services: Vec<Service>,
        browse: Vec<Kind>,
        awaited: BTreeSet<EndpointId>,
        now: Instant,
    ) -> Result<Node, Unnamable> {
        Ok(Node {
            responder: Responder::new(&own, services, now)?,
            browser: Browser::new(own, browse, awaited, now),
            out: VecDeque::new(),
            heard: (now, 0),
            passed: Passed::default(),
        })
    }

    /// The addresses of this host on the network.
    pub fn set_addresses(&mut self, now: Instant, addresses: Vec<IpAddr>) {
        self.browser.is_loopback = addresses.iter().any(IpAddr::is_loopback);
        self.responder.set_addresses(now, addresses);
    }

    /// Takes a packet from the network. Whatever is no message of DNS is not for us.
    pub fn handle_input(&mut self, now: Instant, packet: &[u8]) {
        let (since, count) = self.heard;
        self.heard = match now.saturating_duration_since(since) < Duration::from_secs(1) {
            true => (since, count.saturating_add(1)),
            false => (now, 1),
        };
        if self.heard.1 > MDNS_PACKETS_MAX {
            self.passed.too_many = self.passed.too_many.saturating_add(1);
            return;
        }
        let message = Some(packet).filter(|packet| packet.len() <= MDNS_PACKET_BYTES_MAX);
        let Some(message) = message.and_then(|packet| Message::from_vec(packet).ok()) else {
            self.passed.broken = self.passed.broken.saturating_add(1);
            return;
        };
        match message.metadata.message_type {
            MessageType::Query => self.responder.hear(now, &message),
            MessageType::Response => self.browser.hear(now, &message),
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.browser.time_passes(now);
        self.out.extend(self.browser.ask(now));
        self.out.extend(self.responder.speak(now));
    }

    /// When [`Node::handle_timeout`] is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let both = [self.browser.deadline(), self.responder.deadline()];
        both.into_iter().flatten().min()
    }

    /// The next packet for everybody.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.out.pop_front()
    }

    /// All that is there, if it is not as it was when this was asked last.
    pub fn poll_found(&mut self) -> Option<Vec<Found>> {
        self.browser.poll_found()
    }

    /// What was passed over.
    pub fn passed(&self) -> Passed {
        Passed {
            nameless: self.browser.nameless,
            no_room: self.browser.no_room,
            ..self.passed
        }
    }

    /// What is said at the end.
    pub fn goodbye(&self) -> Option<Vec<u8>> {
        self.responder.goodbye()
    }
}
