//! `[usp.session_context]`: end-to-end session contexts. Deliberately the same for all agents.

use std::path::PathBuf;
use std::sync::Arc;

use mtp::e2e::{Credential, CredentialConfig};
use serde::Deserialize;
use usp::EndpointId;
use usp::context::{Identity, Mode, Payload};
use usp::session::Signatures;

use crate::StartError;

/// End-to-end session contexts with agents.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionContext {
    /// Whether messages travel in them.
    pub mode: SessionMode,
    /// Largest record to send in them, bytes; 0 is no limit, otherwise 512 at least.
    #[serde(deserialize_with = "record_bytes")]
    pub record_bytes_max: usize,
    /// How often one record is sent again when an agent asks for it.
    pub retransmits_max: u32,
    /// Whether what they carry is encrypted between the endpoints themselves.
    pub payload_security: PayloadSecurity,
    /// Records are signed, and those of agents that are not are dropped.
    pub signed_records: bool,
    /// Certificate and key for both; absent, and signed records are dropped, because nobody can verify them.
    pub identity: Option<ContextIdentity>,
}

/// The files of an identity between the endpoints themselves, PEM.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ContextIdentity {
    /// The certificate, for the endpoint id of this controller, then its intermediates.
    pub certificate: PathBuf,
    /// Its key: ECDSA on P-256.
    pub key: PathBuf,
    /// The authorities that issue certificates of agents.
    pub authorities: PathBuf,
}

impl Default for SessionContext {
    fn default() -> Self {
        Self {
            mode: SessionMode::default(),
            record_bytes_max: 0,
            retransmits_max: 3,
            payload_security: PayloadSecurity::default(),
            signed_records: false,
            identity: None,
        }
    }
}

impl SessionContext {
    /// For the protocol's sessions.
    pub fn session(&self, identity: Option<Credential>) -> usp::controller::Config {
        let signatures = match (&identity, self.signed_records) {
            (None, _) => Signatures::Refuse,
            (Some(_), false) => Signatures::Verify,
            (Some(_), true) => Signatures::Demand,
        };
        let contexts = usp::context::Config {
            mode: match self.mode {
                SessionMode::Forbid => Mode::Forbid,
                SessionMode::Allow => Mode::Allow,
                SessionMode::Require => Mode::Require,
            },
            record_bytes_max: self.record_bytes_max,
            retransmits_max: Some(self.retransmits_max),
            payload: match self.payload_security {
                PayloadSecurity::Plaintext => Payload::Plaintext,
                PayloadSecurity::Tls => Payload::Tls,
                PayloadSecurity::Either => Payload::Either,
            },
            sign: self.signed_records,
            identity: identity.map(|one| Arc::new(one) as Arc<dyn Identity>),
            ..usp::context::Config::default()
        };
        usp::controller::Config {
            signatures,
            contexts: Arc::new(contexts),
            ..usp::controller::Config::default()
        }
    }

    /// Reads the files of the identity; `pki` is that of the authority for devices.
    pub fn credential(
        &self,
        own: &EndpointId,
        pki: PathBuf,
    ) -> Result<Option<Credential>, StartError> {
        let failed = |message: String| StartError::Tls {
            what: "usp.session_context.identity".to_owned(),
            message,
        };
        let Some(files) = &self.identity else {
            let wants = self.signed_records || self.payload_security != PayloadSecurity::Plaintext;
            return match wants {
                true => Err(failed(
                    "payload_security and signed_records need it".to_owned(),
                )),
                false => Ok(None),
            };
        };
        let files = CredentialConfig {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            authorities: files.authorities.clone(),
            pki: Some(pki),
        };
        let loaded = Credential::load(&files, own);
        loaded.map(Some).map_err(|error| failed(error.to_string()))
    }
}

fn record_bytes<'de, D: serde::Deserializer<'de>>(value: D) -> Result<usize, D::Error> {
    let bytes = usize::deserialize(value)?;
    match bytes {
        1..512 => Err(serde::de::Error::custom("must be 0 or at least 512")),
        bytes => Ok(bytes),
    }
}

/// Whether messages travel in session contexts.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum SessionMode {
    /// Never: an agent that tries is told 7106.
    Forbid,
    /// When the agent opens one.
    #[default]
    Allow,
    /// Always: agents that refuse are not managed.
    Require,
}

/// Whether what session contexts carry is encrypted.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum PayloadSecurity {
    /// Never.
    #[default]
    Plaintext,
    /// Always, with TLS.
    Tls,
    /// As the agent has it that opens one; ours are in plain text.
    Either,
}
