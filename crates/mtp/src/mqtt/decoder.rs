//! Packets out of a stream of bytes that comes in pieces. Without IO; between two packets it owns no
//! buffer.

use bytes::{Buf, BytesMut};

use super::{
    error::{LinkError, Malformed},
    packet::{Packet, Version},
};
use crate::limits::PAYLOAD_RESERVE_BYTES_MAX;

/// The limit of [`Decoder::new`], as errors name it.
pub const PACKET_SIZE: &str = "MQTT packet size";

/// See the module's words.
#[derive(Debug)]
pub struct Decoder {
    version: Version,
    packet_bytes_max: usize,
    /// Nothing but a CONNECT may come.
    opening: bool,
    unread: BytesMut,
}

impl Decoder {
    /// Packets of at most this many bytes are taken.
    pub fn new(version: Version, packet_bytes_max: usize) -> Self {
        Self {
            version,
            packet_bytes_max,
            opening: false,
            unread: BytesMut::new(),
        }
    }

    /// The same for a server: the first packet has to be a CONNECT, and anything else is known by its
    /// first byte.
    pub fn opening(packet_bytes_max: usize) -> Self {
        Self {
            opening: true,
            ..Self::new(Version::V5, packet_bytes_max)
        }
    }

    /// What a CONNECT has said, and what its sender may send from now on.
    pub fn admit(&mut self, version: Version, packet_bytes_max: usize) {
        (self.version, self.packet_bytes_max) = (version, packet_bytes_max);
        self.opening = false;
    }

    /// The version in use.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Bytes on the heap: zero between two packets.
    pub fn heap_bytes(&self) -> usize {
        self.unread.capacity()
    }

    /// Takes what has come.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// The next packet, where all of it has come. After an error the stream cannot be read any further.
    pub fn packet(&mut self) -> Result<Option<Packet>, LinkError> {
        let Some(&first) = self.unread.first() else {
            return Ok(None);
        };
        match first {
            0x10 => {}
            0x16 if self.opening => return Err(Malformed::TLS.into()),
            _ if self.opening => return Err(Malformed("the first packet is no CONNECT").into()),
            _ => {}
        }
        let (mut length, mut head) = (0_usize, 1);
        loop {
            let Some(&byte) = self.unread.get(head) else {
                return Ok(None);
            };
            length |= usize::from(byte & 0x7f) << (7 * (head - 1));
            head += 1;
            if byte & 0x80 == 0 {
                break;
            }
            if head > 4 {
                return Err(LinkError::PeerMisbehaved(
                    "a length of more than four bytes",
                ));
            }
        }
        if length > self.packet_bytes_max {
            return Err(LinkError::LimitExceeded {
                limit: PACKET_SIZE,
                max: self.packet_bytes_max as u64,
            });
        }
        let missing = (head + length).saturating_sub(self.unread.len());
        if missing > 0 {
            // No more than this because a length was announced; then as it really comes.
            self.unread.reserve(missing.min(PAYLOAD_RESERVE_BYTES_MAX));
            return Ok(None);
        }
        self.unread.advance(head);
        let body = self.unread.split_to(length).freeze();
        if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
        Ok(Some(Packet::decode(first, body, self.version)?))
    }
}
