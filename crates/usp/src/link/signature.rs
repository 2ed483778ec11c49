//! Signatures of the peer's records. Deliberately not here: MACs, which are the session context's, and whether a
//! certificate still counts, which whoever has issued it knows.

use super::Link;
use crate::context::{self, Fingerprint, Mode};
use crate::record::Record;
use crate::session::{Ignored, Signatures, excerpt};

impl Link {
    /// The certificate of the peer's last signature.
    pub(crate) fn signer(&self) -> Option<Fingerprint> {
        self.signer.as_deref().copied()
    }

    /// Looks at the signature of a record: by which certificate it is. A MAC is the session context's to look at.
    /// R-E2E.30
    pub(super) fn verify(&self, record: &Record) -> Result<Option<Fingerprint>, Ignored> {
        if record.mac_signature.is_empty() {
            return match self.signatures {
                Signatures::Demand => Err(Ignored::Unsigned),
                _ => Ok(None),
            };
        }
        if context::has_mac(record) && self.contexts.mode != Mode::Forbid {
            return Ok(None);
        }
        match (self.signatures, &self.contexts.identity) {
            (Signatures::Disregard, _) => Ok(None),
            (Signatures::Refuse, _) | (_, None) => Err(Ignored::Signed),
            (Signatures::Verify | Signatures::Demand, Some(identity)) => {
                let covered = context::integrity::covered(record);
                let (certificate, signature) = (&record.sender_cert, &record.mac_signature);
                identity
                    .verify(&self.peer, certificate, &covered, signature)
                    .map(Some)
                    .map_err(|why| Ignored::BadSignature(excerpt(&why)))
            }
        }
    }
}
