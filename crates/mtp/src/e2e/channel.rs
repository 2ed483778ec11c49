//! One TLS connection inside one session context, and the MACs of its records.
//! Deliberately without sockets: TLS records come in and go out as bytes.

use std::io::{Read, Write};

use ring::hmac::{self, HMAC_SHA256};
use usp::context::{Channel, Fingerprint, Proof};

use crate::tls::fingerprint;

/// What the keys of MACs are exported under. R-E2E.36
const LABEL: &[u8] = b"EXPORTER-BBF-USP-Record";

/// The keys of MACs, known once the handshake is over.
struct Keys {
    ours: hmac::Key,
    theirs: hmac::Key,
}

/// TLS over bytes.
pub(super) struct Tls {
    connection: rustls::Connection,
    client: bool,
    keys: Option<Keys>,
}

impl Tls {
    pub(super) fn new(mut connection: rustls::Connection, client: bool) -> Self {
        // A message is bounded by whoever sends it, and goes out at once.
        connection.set_buffer_limit(None);
        Self {
            connection,
            client,
            keys: None,
        }
    }

    /// R-E2E.33 to .39: 64 bytes, the first half is the client's key. The exporter's context is there, and empty.
    fn export(&self) -> Result<Keys, rustls::Error> {
        let exported = [0; 64];
        let exported = self
            .connection
            .export_keying_material(exported, LABEL, Some(&[]))?;
        let (client, server) = exported.split_at(32);
        let (ours, theirs) = match self.client {
            true => (client, server),
            false => (server, client),
        };
        Ok(Keys {
            ours: hmac::Key::new(HMAC_SHA256, ours),
            theirs: hmac::Key::new(HMAC_SHA256, theirs),
        })
    }
}

impl Channel for Tls {
    fn read(&mut self, mut bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut message = Vec::new();
        while !bytes.is_empty() {
            let words = |error: std::io::Error| error.to_string();
            self.connection.read_tls(&mut bytes).map_err(words)?;
            let state = self.connection.process_new_packets();
            let state = state.map_err(|error| error.to_string())?;
            let start = message.len();
            message.resize(start + state.plaintext_bytes_to_read(), 0);
            let mut reader = self.connection.reader();
            reader.read_exact(&mut message[start..]).map_err(words)?;
            if state.peer_has_closed() {
                return Err("the peer closed it".to_owned());
            }
        }
        if self.keys.is_none() && !self.connection.is_handshaking() {
            self.keys = Some(self.export().map_err(|error| error.to_string())?);
        }
        Ok(message)
    }

    fn write(&mut self, message: &[u8]) -> Result<(), String> {
        let mut writer = self.connection.writer();
        writer.write_all(message).map_err(|error| error.to_string())
    }

    fn records(&mut self) -> Vec<Vec<u8>> {
        let mut bytes = Vec::new();
        // Writing to memory does not fail.
        while self.connection.wants_write() && self.connection.write_tls(&mut bytes).is_ok() {}
        let mut records = Vec::new();
        let mut rest = bytes.as_slice();
        while let [_, _, _, high, low, ..] = *rest {
            let len = 5 + usize::from(u16::from_be_bytes([high, low]));
            let (record, behind) = rest.split_at(len.min(rest.len()));
            records.push(record.to_vec());
            rest = behind;
        }
        records
    }

    fn is_handshaking(&self) -> bool {
        self.keys.is_none()
    }

    fn peer(&self) -> Option<Fingerprint> {
        self.keys.as_ref()?;
        let shown = self.connection.peer_certificates()?;
        shown.first().map(fingerprint)
    }

    fn mac(&self, covered: &[u8]) -> Option<Vec<u8>> {
        let keys = self.keys.as_ref()?;
        Some(hmac::sign(&keys.ours, covered).as_ref().to_vec())
    }

    fn verify(&self, proof: &Proof) -> Option<bool> {
        let keys = self.keys.as_ref()?;
        Some(hmac::verify(&keys.theirs, &proof.covered, &proof.mac).is_ok())
    }
}
