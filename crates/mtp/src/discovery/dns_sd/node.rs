//! One end of multicast DNS: packets and time in, packets and findings out.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType};
use usp::EndpointId;

use super::browser::Browser;
use super::responder::Responder;
use super::{Found, Kind, Service, Unnamable};
use crate::limits::{MDNS_PACKET_BYTES_MAX, MDNS_PACKETS_MAX};

/// What was learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A service that was not there, or is another one now.
    Found(Found),
    /// It said goodbye, or was not heard any more.
    Gone(Kind, EndpointId),
}

/// See the module.
pub struct Node {
    responder: Responder,
    browser: Browser,
    out: VecDeque<Vec<u8>>,
    /// Packets heard since.
    heard: (Instant, u32),
}

impl Node {
    /// Tells of `services` of this endpoint, and looks for the others of `browse`.
    pub fn new(
        own: EndpointId,
        services: Vec<Service>,
        browse: Vec<Kind>,
        now: Instant,
    ) -> Result<Node, Unnamable> {
        Ok(Node {
            responder: Responder::new(&own, services, now)?,
            browser: Browser::new(own, browse, now),
            out: VecDeque::new(),
            heard: (now, 0),
        })
    }

    /// The addresses of this host on the network.
    pub fn set_addresses(&mut self, now: Instant, addresses: Vec<IpAddr>) {
        self.responder.set_addresses(now, addresses);
    }

    /// Takes a packet from the network. Whatever is no message of DNS is not for us.
    pub fn handle_input(&mut self, now: Instant, packet: &[u8]) {
        let (since, count) = self.heard;
        self.heard = match now.saturating_duration_since(since) < Duration::from_secs(1) {
            true => (since, count + 1),
            false => (now, 1),
        };
        if self.heard.1 > MDNS_PACKETS_MAX || packet.len() > MDNS_PACKET_BYTES_MAX {
            return;
        }
        let Ok(message) = Message::from_vec(packet) else {
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

    /// The next finding.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.browser.events.pop_front()
    }

    /// What is said at the end.
    pub fn goodbye(&self) -> Option<Vec<u8>> {
        self.responder.goodbye()
    }
}
