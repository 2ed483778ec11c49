//! Who the agent is between the endpoints themselves: in signatures of records, and in TLS inside of session contexts;
//! and what becomes of connections when its certificate is another one.

use std::sync::Arc;

use mtp::e2e::Credential;
use usp::EndpointId;
use usp::context::{Config, Identity};
use usp::session::Signatures;

use super::{Driver, RunError};
use crate::limits::CERTIFICATE_REFUSALS_MAX;
use crate::{ControllerLink, Reach, Refused, TlsConfig};

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

impl Driver {
    /// Shows the new certificate: files are read for each connection, so those that are encrypted are made anew.
    pub(super) async fn certificate_renewed(&mut self) {
        tracing::info!(agent = %self.engine.endpoint_id(), "the agent has another certificate");
        self.take_up();
        for at in 0..self.peers.len() {
            if self.peers[at].config.reach.is_encrypted() {
                self.reconnect(at).await;
            }
        }
    }

    /// A server has refused us that was shown our certificate. Where another one is shown from now on, connections that
    /// are to come show it when their time comes.
    pub(super) fn certificate_refused(&mut self) {
        let own = self.engine.endpoint_id().clone();
        match self.engine.certificate_refused(self.clock.now()) {
            Ok(Refused::Settled) => {}
            Ok(Refused::Counted) => {
                tracing::info!(agent = %own, "the certificate was shown, and is not taken yet");
            }
            Ok(Refused::Changed) => {
                let times = CERTIFICATE_REFUSALS_MAX;
                tracing::warn!(agent = %own, times, "the certificate was refused; the other one of the former and the renewed one is shown from now on");
                self.take_up();
            }
            Err(error) => {
                tracing::warn!(agent = %own, error, "the certificate was refused, and the other one cannot be taken up");
            }
        }
    }

    /// Session contexts rest on the certificate of the file.
    fn take_up(&mut self) {
        match EndToEnd::load(&self.tls, self.engine.endpoint_id()) {
            Ok(identity) => self.identity = identity,
            Err(error) => {
                tracing::warn!(agent = %self.engine.endpoint_id(), %error, "session contexts stay with the certificate of before");
            }
        }
        for peer in &mut self.peers {
            let contexts = self.identity.contexts(&peer.config);
            peer.session.set_contexts(contexts);
            // What a server makes of it is about the one before.
            peer.judges_certificate(&self.engine);
        }
    }
}
