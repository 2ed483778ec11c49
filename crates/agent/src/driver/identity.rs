//! Who the agent is between the endpoints themselves: in signatures of records, and in TLS inside of session contexts.
//! Deliberately without the TLS of connections, which may have a certificate of any kind.

use std::sync::Arc;

use mtp::e2e::Credential;
use usp::EndpointId;
use usp::context::{Config, Identity};
use usp::session::Signatures;

use super::RunError;
use crate::{ControllerLink, Reach, TlsConfig};

/// The agent's credential, if it has one that fits.
pub(super) struct EndToEnd {
    credential: Option<Arc<dyn Identity>>,
    signed: bool,
}

impl EndToEnd {
    /// Reads the files. Where nothing depends on it, a certificate that serves connections alone is good enough.
    pub fn load(tls: &TlsConfig, own: &EndpointId) -> Result<EndToEnd, RunError> {
        let signed = tls.signed_records;
        let credential = match tls.end_to_end().map(|files| Credential::load(&files, own)) {
            None => None,
            Some(Ok(credential)) => Some(Arc::new(credential) as Arc<dyn Identity>),
            Some(Err(error)) if signed => return Err(RunError::Tls(error.to_string())),
            Some(Err(error)) => {
                tracing::warn!(agent = %own, %error, "session contexts cannot be encrypted");
                None
            }
        };
        Ok(EndToEnd { credential, signed })
    }

    pub fn is_there(&self) -> bool {
        self.credential.is_some()
    }

    pub fn signatures(&self) -> Signatures {
        match (&self.credential, self.signed) {
            (None, _) => Signatures::Refuse,
            (Some(_), false) => Signatures::Verify,
            (Some(_), true) => Signatures::Demand,
        }
    }

    /// How this controller is spoken with in session contexts.
    pub fn contexts(&self, link: &ControllerLink) -> Arc<Config> {
        let config = link.session.config(self.credential.clone(), self.signed);
        Arc::new(Config {
            // A broker may drop what it holds for us.
            lossy: matches!(link.reach, Reach::Mqtt(_) | Reach::Stomp(_)),
            ..config
        })
    }
}
