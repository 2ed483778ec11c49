//! What a MAC or signature of a record covers, and who makes and checks them.
//! Deliberately no cryptography: keys, certificates, chance and the time of day are with whoever implements
//! [`Identity`] and [`Channel`] (crate `mtp` does, over rustls).

use crate::endpoint::EndpointId;
use crate::record::{Record, RecordType};

/// The bytes that a MAC or a signature covers: every field but payload and MAC, in the order of their numbers, without
/// tags and lengths. R-E2E.32, .32.1
pub fn covered(record: &Record) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + record.sender_cert.len());
    for text in [&record.version, &record.to_id, &record.from_id] {
        out.extend_from_slice(text.as_bytes());
    }
    out.extend_from_slice(&record.payload_security.0.to_be_bytes());
    out.extend_from_slice(&record.sender_cert);
    // The fields of 1.5 follow by their number; an older peer sends none.
    for text in [&record.originator_id, &record.destination_id] {
        out.extend_from_slice(text.as_bytes());
    }
    if let RecordType::SessionContext(content) = &record.record_type {
        for number in [
            content.session_id,
            content.sequence_id,
            content.expected_id,
            content.retransmit_id,
        ] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        for state in [content.payload_sar_state, content.payloadrec_sar_state] {
            out.extend_from_slice(&state.0.to_be_bytes());
        }
    }
    out
}

/// A MAC with what it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// See [`covered`].
    pub covered: Vec<u8>,
    /// `mac_signature`.
    pub mac: Vec<u8>,
}

impl Proof {
    /// What a record shows; `None` when it shows nothing.
    pub fn of(record: &Record) -> Option<Self> {
        (!record.mac_signature.is_empty()).then(|| Self {
            covered: covered(record),
            mac: record.mac_signature.clone(),
        })
    }
}

/// What tells a certificate from every other one: the SHA-256 of it in DER form.
pub type Fingerprint = [u8; 32];

/// Who an endpoint is towards its peers: its key and certificate, and whom it believes.
pub trait Identity: Send + Sync {
    /// The start of a TLS connection inside a session context: as its client, when we opened the context (R-E2E.43).
    fn channel(&self, client: bool, peer: &EndpointId) -> Result<Box<dyn Channel>, String>;

    /// Our certificate chain, PEM, for `sender_cert`.
    fn certificate(&self) -> &[u8];

    /// Signs with the key of our certificate: SHA-256 and ECDSA P-256, ASN.1 DER. R-E2E.31
    fn sign(&self, covered: &[u8]) -> Result<Vec<u8>, String>;

    /// Whether a signature is by the key of a certificate that we believe and that names its sender: which one that is;
    /// the error says why not. R-E2E.31
    fn verify(
        &self,
        from: &EndpointId,
        certificate: &[u8],
        covered: &[u8],
        signature: &[u8],
    ) -> Result<Fingerprint, String>;
}

/// TLS on bytes, inside one session context.
pub trait Channel: Send + Sync {
    /// Takes TLS records of the peer; gives what they held. An error ends the context.
    fn read(&mut self, bytes: &[u8]) -> Result<Vec<u8>, String>;

    /// Encrypts a message; see [`Channel::records`].
    fn write(&mut self, message: &[u8]) -> Result<(), String>;

    /// The TLS records to send, each whole.
    fn records(&mut self) -> Vec<Vec<u8>>;

    /// Whether nothing can be encrypted yet.
    fn is_handshaking(&self) -> bool;

    /// By which certificate the peer has proved who it is; `None` before the handshake is over.
    fn peer(&self) -> Option<Fingerprint>;

    /// The MAC of what we send; `None` before the handshake is over. R-E2E.33 to .39
    fn mac(&self, covered: &[u8]) -> Option<Vec<u8>>;

    /// Whether a MAC is the peer's; `None` before the handshake is over.
    fn verify(&self, proof: &Proof) -> Option<bool>;
}
