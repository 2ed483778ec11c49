//! Publishes on their way out, either end: numbers for those of QoS 1, a window of them in flight,
//! and the ones that wait for room in it.

use std::collections::{BTreeMap, VecDeque};

use super::{
    error::LinkError,
    packet::{Packet, Publish},
    pipe::Pipe,
};
use crate::limits::{MQTT_IN_FLIGHT_MAX, SEND_QUEUE_BYTES};

/// See the module's words.
#[derive(Debug)]
pub struct Outbox {
    window: u16,
    next: u16,
    /// Where they go.
    in_flight: BTreeMap<u16, Box<str>>,
    held: VecDeque<Publish>,
    held_bytes: usize,
}

impl Outbox {
    /// As many in flight as the peer takes, and never more than [`MQTT_IN_FLIGHT_MAX`].
    pub fn new(receive_maximum: Option<u32>) -> Self {
        Self::within(receive_maximum, MQTT_IN_FLIGHT_MAX)
    }

    /// The same with another limit.
    pub(super) fn within(receive_maximum: Option<u32>, max: u16) -> Self {
        let wanted = receive_maximum.unwrap_or(u32::from(u16::MAX));
        let window = u16::try_from(wanted).unwrap_or(u16::MAX);
        Self {
            window: window.clamp(1, max),
            next: 1,
            in_flight: BTreeMap::new(),
            held: VecDeque::new(),
            held_bytes: 0,
        }
    }

    /// Sends a payload, or keeps it until there is room. A peer that takes none of what it is sent
    /// hits [`SEND_QUEUE_BYTES`].
    pub fn publish(&mut self, pipe: &mut Pipe, mut publish: Publish) -> Result<(), LinkError> {
        publish.qos = publish.qos.min(1);
        if publish.qos == 0 {
            pipe.enqueue(&Packet::Publish(publish));
            return Ok(());
        }
        if self.in_flight.len() < usize::from(self.window) {
            self.put(pipe, publish);
            return Ok(());
        }
        if self.held_bytes > SEND_QUEUE_BYTES {
            return Err(LinkError::LimitExceeded {
                limit: "SEND_QUEUE_BYTES",
                max: SEND_QUEUE_BYTES as u64,
            });
        }
        self.held_bytes += publish.payload.len();
        self.held.push_back(publish);
        Ok(())
    }

    /// Whether what is published next would wait for room.
    pub fn is_full(&self) -> bool {
        self.in_flight.len() >= usize::from(self.window)
    }

    /// The peer has taken a publish, or said why not; the next one that waits goes out. Where the publish went, if
    /// there was one of this number.
    pub fn acknowledged(&mut self, pipe: &mut Pipe, id: u16) -> Option<Box<str>> {
        let topic = self.in_flight.remove(&id)?;
        if let Some(publish) = self.held.pop_front() {
            self.held_bytes -= publish.payload.len();
            self.put(pipe, publish);
        } else if self.in_flight.is_empty() {
            // An idle link owns no buffer.
            (self.in_flight, self.held) = (BTreeMap::new(), VecDeque::new());
        }
        Some(topic)
    }

    fn put(&mut self, pipe: &mut Pipe, mut publish: Publish) {
        // The window is smaller than there are numbers.
        while self.in_flight.contains_key(&self.next) {
            self.next = self.next.checked_add(1).unwrap_or(1);
        }
        publish.id = self.next;
        self.next = self.next.checked_add(1).unwrap_or(1);
        self.in_flight
            .insert(publish.id, publish.topic.as_str().into());
        pipe.enqueue(&Packet::Publish(publish));
    }
}
