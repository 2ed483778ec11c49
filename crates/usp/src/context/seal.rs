//! What a record of ours shows, and what one of the peer's does. Deliberately no cryptography: see [`integrity`].

use bytes::Bytes;

use super::Config;
use super::integrity::{self, Channel};
use crate::codec;
use crate::record::{PayloadSecurity, Record, RecordType};

/// Whether what a record shows is a MAC: a signature brings its certificate along.
pub(crate) fn has_mac(record: &Record) -> bool {
    matches!(record.record_type, RecordType::SessionContext(_))
        && record.payload_security == PayloadSecurity::TLS12
        && !record.mac_signature.is_empty()
        && record.sender_cert.is_empty()
}

/// Makes the bytes of a record: with a MAC once there are keys, signed before. R-E2E.29
pub(super) fn seal(
    config: &Config,
    mut record: Record,
    security: PayloadSecurity,
    channel: Option<&dyn Channel>,
) -> Bytes {
    record.payload_security = security;
    match channel.and_then(|channel| channel.mac(&integrity::covered(&record))) {
        Some(mac) => record.mac_signature = mac,
        None => sign(config, &mut record),
    }
    codec::encode_record(&record).into()
}

/// Signs a record, if records are to be signed. R-E2E.29
pub(crate) fn sign(config: &Config, record: &mut Record) {
    let Some(identity) = config.identity.as_ref().filter(|_| config.sign) else {
        return;
    };
    record.sender_cert = identity.certificate().to_vec();
    // Without a signature the peer refuses the record and says so; that is better than a panic here.
    record.mac_signature = identity
        .sign(&integrity::covered(record))
        .unwrap_or_default();
}
