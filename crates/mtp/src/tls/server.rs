//! The listening side: its certificate, and what it wants of its clients'.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};

use super::{CertificateInfo, TlsError, certificates, describe, private_key, provider, roots};
use crate::ws::{Refusal, RefusalReason};

/// What a listener does about client certificates (R-WS.22, R-SEC.9).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// None is asked for.
    #[default]
    Ignored,
    /// One is asked for. A client without is let through, and its admission knows; one with a
    /// certificate from elsewhere is refused.
    Welcome {
        /// PEM file of the authorities that issue them.
        ca: PathBuf,
    },
    /// One is demanded, and it has to carry the endpoint id.
    Demanded {
        /// PEM file of the authorities that issue them.
        ca: PathBuf,
    },
}

/// The files of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTlsConfig {
    /// PEM file: the certificate, then its intermediates.
    pub certificate: PathBuf,
    /// PEM file: its private key.
    pub key: PathBuf,
    /// What to do about client certificates.
    pub clients: ClientCertificates,
}

/// The TLS of a listener, as its files were when last read.
#[derive(Debug)]
pub struct ServerTls {
    files: ServerTlsConfig,
    current: RwLock<Loaded>,
}

#[derive(Clone, Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    info: CertificateInfo,
}

impl ServerTls {
    /// Reads the files.
    pub fn load(files: ServerTlsConfig) -> Result<Self, TlsError> {
        let current = RwLock::new(read(&files)?);
        Ok(Self { files, current })
    }

    /// Reads the files again, for handshakes to come. When they cannot be used, what there was
    /// stays in use.
    pub fn reload(&self) -> Result<CertificateInfo, TlsError> {
        let loaded = read(&self.files)?;
        let info = loaded.info.clone();
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(info)
    }

    /// The certificate in use.
    pub fn info(&self) -> CertificateInfo {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .info
            .clone()
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .config
            .clone()
    }

    pub(crate) fn demands_endpoint_id(&self) -> bool {
        matches!(self.files.clients, ClientCertificates::Demanded { .. })
    }
}

fn read(files: &ServerTlsConfig) -> Result<Loaded, TlsError> {
    let chain = certificates(&files.certificate)?;
    let key = private_key(&files.key)?;
    let info = describe(&chain[0])?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let builder = match &files.clients {
        ClientCertificates::Ignored => builder.with_no_client_auth(),
        ClientCertificates::Welcome { ca } | ClientCertificates::Demanded { ca } => {
            let mut store = RootCertStore::empty();
            roots(ca, &mut store)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider());
            let verifier = match files.clients {
                ClientCertificates::Demanded { .. } => verifier,
                _ => verifier.allow_unauthenticated(),
            };
            let verifier = verifier.build().map_err(|error| TlsError::File {
                path: ca.display().to_string(),
                reason: error.to_string(),
            })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key)?;
    // A session cache per listener is memory for what agents, connected for months, never use;
    // stateless resumption would need a ticketer and saves as little.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Loaded {
        config: Arc::new(config),
        info,
    })
}

/// A failed handshake, named for the operator.
pub(crate) fn refusal(error: io::Error) -> Refusal {
    use rustls::{Error, InvalidMessage};
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    let reason = match inner {
        Some(Error::NoCertificatesPresented) => RefusalReason::CertificateMissing,
        Some(Error::InvalidCertificate(_)) => RefusalReason::CertificateRejected,
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            RefusalReason::PlaintextOnTlsListener
        }
        Some(_) => RefusalReason::TlsFailed,
        None => RefusalReason::HandshakeAbandoned,
    };
    let detail = match inner {
        Some(Error::AlertReceived(alert)) => {
            format!(
                "the device ended the TLS handshake with the alert {alert:?}; {}",
                hint(*alert)
            )
        }
        _ => error.to_string(),
    };
    Refusal::new(reason, detail)
}

fn hint(alert: rustls::AlertDescription) -> &'static str {
    use rustls::AlertDescription as Alert;
    match alert {
        Alert::UnknownCA => "it does not know the authority that issued our certificate",
        Alert::CertificateExpired => "to it our certificate has expired: compare the clocks",
        Alert::BadCertificate | Alert::CertificateUnknown => {
            "it does not accept our certificate: compare its names with the URL the device dials"
        }
        Alert::ProtocolVersion | Alert::HandshakeFailure => {
            "it speaks no version or cipher of ours"
        }
        _ => "it gave no other reason",
    }
}
