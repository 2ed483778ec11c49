//! Packets out of a stream of bytes that comes in pieces. Without IO; between two packets it owns no
//! buffer.

use bytes::{Buf, BytesMut};

use super::{
    error::{LinkError, Malformed},
    packet::{Packet, Publish, Version},
};
use crate::limits::PAYLOAD_RESERVE_BYTES_MAX;

/// Why a PUBLISH is skipped that is larger than is taken, as its [`Publish::refused`] says it.
const TOO_LARGE: &str = "a message larger than RECORD_BYTES_MAX and what may stand beside a record";

/// The limit of [`Decoder::new`], as errors name it.
pub const PACKET_SIZE: &str = "MQTT packet size";

/// See the module's words.
#[derive(Debug)]
pub struct Decoder {
    version: Version,
    packet_bytes_max: usize,
    /// Nothing but a CONNECT may come.
    opening: bool,
    /// One message that cannot be taken does not end the connection.
    skips: bool,
    /// What of it is still to come, and what it is.
    skipping: Option<(usize, Publish)>,
    unread: BytesMut,
}

impl Decoder {
    /// Packets of at most this many bytes are taken.
    pub fn new(version: Version, packet_bytes_max: usize) -> Self {
        Self {
            version,
            packet_bytes_max,
            opening: false,
            skips: false,
            skipping: None,
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

    /// For a client of a broker, whose connection is not that of who publishes: a PUBLISH that is too large, or
    /// has in it what cannot be taken, comes out as one that is [refused](Publish::refused), and what follows it
    /// is read on. Of one that is too large nothing but its topic is ever kept.
    pub fn skip_publishes(&mut self) {
        self.skips = true;
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

    /// Whether a piece of a packet has come. One that is gone past holds nothing, and is as slow as it likes.
    pub fn is_midway(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Takes what has come.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        if let Some((missing, _)) = &mut self.skipping {
            let skipped = bytes.len().min(*missing);
            *missing -= skipped;
            bytes = &bytes[skipped..];
        }
        self.unread.extend_from_slice(bytes);
    }

    /// The next packet, where all of it has come. After an error the stream cannot be read any further.
    pub fn packet(&mut self) -> Result<Option<Packet>, LinkError> {
        if let Some((_, skipped)) = self.skipping.take_if(|(missing, _)| *missing == 0) {
            return Ok(Some(Packet::Publish(skipped)));
        }
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
        let publish = self.skips && first >> 4 == 3;
        if length > self.packet_bytes_max && publish {
            return self.skip(first, head, length);
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
        self.drop_empty();
        if !publish {
            return Ok(Some(Packet::decode(first, body, self.version)?));
        }
        let packet = Packet::decode(first, body.clone(), self.version).or_else(|why| {
            let refused = Publish::head(first, &body)?.ok_or(why)?;
            Ok::<_, Malformed>(Packet::Publish(refused.because(why.0)))
        });
        Ok(Some(packet?))
    }

    /// Between two packets there is no buffer.
    fn drop_empty(&mut self) {
        if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
    }

    /// Goes past a PUBLISH that is too large, once its topic has come.
    fn skip(&mut self, first: u8, head: usize, length: usize) -> Result<Option<Packet>, LinkError> {
        let body = &self.unread[head..];
        let Some(publish) = Publish::head(first, &body[..body.len().min(length)])? else {
            return match body.len() < length {
                true => Ok(None),
                false => Err(Malformed("a packet that ends too early").into()),
            };
        };
        let publish = publish.because(TOO_LARGE);
        let whole = head + length;
        if self.unread.len() >= whole {
            self.unread.advance(whole);
            self.drop_empty();
            return Ok(Some(Packet::Publish(publish)));
        }
        self.skipping = Some((whole - self.unread.len(), publish));
        self.unread = BytesMut::new();
        Ok(None)
    }
}
