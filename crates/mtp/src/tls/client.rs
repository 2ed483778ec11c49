//! The dialling side: which servers to believe, and one's own certificate.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        ResolvesClientCert, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use usp::EndpointId;

use super::{
    TlsError, believe,
    certificate::{certificate_ids, parse},
    certificates, private_key, provider,
};

/// The authorities a dialler believes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// The public ones, as Mozilla lists them.
    #[default]
    Public,
    /// Only those of this PEM file.
    Only(PathBuf),
    /// The public ones and those of this PEM file.
    PublicAnd(PathBuf),
}

/// How to judge a server, and what to show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTlsConfig {
    /// Whom to believe.
    pub roots: Roots,
    /// One's own certificate chain and key, PEM files.
    pub own: Option<(PathBuf, PathBuf)>,
    /// The endpoint id the server has to have. A certificate that carries it is good even when it
    /// is not for the host name of the URL (R-MTP.4).
    pub peer_eid: Option<EndpointId>,
    /// Only a certificate that carries `peer_eid` is good, whatever host it is for: the URL comes from somebody who
    /// may have a certificate for it.
    pub eid_required: bool,
    /// This machine does not know the time yet: certificates' dates are not looked at (R-MTP.2,
    /// R-WS.23).
    pub clock_unset: bool,
    /// Believe anybody. For development only: the connection is encrypted, but to whom is open.
    pub insecure: bool,
}

/// The TLS of a dialler; one serves any number of connections.
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    seen: Arc<Seen>,
}

/// What has happened in handshakes.
#[derive(Debug, Default)]
struct Seen {
    /// A server has asked for our certificate.
    asked: AtomicBool,
    /// A server's certificate was believed.
    believed: AtomicBool,
}

impl ClientTls {
    /// Reads the files.
    pub fn load(settings: &ClientTlsConfig) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        if matches!(settings.roots, Roots::Public | Roots::PublicAnd(_)) {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        if let Roots::Only(path) | Roots::PublicAnd(path) = &settings.roots {
            believe(path, None, &mut store)?;
        }
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider())
            .build()
            .map_err(|error| TlsError::Certificate(error.to_string()))?;
        let seen = Arc::new(Seen::default());
        let judge = Judge {
            seen: seen.clone(),
            chain,
            provider: provider(),
            peer_eid: settings.peer_eid.clone(),
            eid_required: settings.eid_required,
            clock_unset: settings.clock_unset,
            insecure: settings.insecure,
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(judge));
        let mut config = match &settings.own {
            Some((chain, key)) => {
                let (chain, key) = (certificates(chain)?, private_key(key)?);
                let key = CertifiedKey::from_der(chain, key, &provider())?;
                builder.with_client_cert_resolver(Arc::new(Own {
                    seen: seen.clone(),
                    key: Arc::new(key),
                }))
            }
            None => builder.with_no_client_auth(),
        };
        // One connection for months: nothing to resume, nothing to keep.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self {
            config: Arc::new(config),
            seen,
        })
    }

    /// Whether one's own certificate was shown in a connection: what the server did after that may be because of it.
    pub fn has_shown(&self) -> bool {
        let is = |what: &AtomicBool| what.load(Ordering::Relaxed);
        is(&self.seen.asked) && is(&self.seen.believed)
    }

    /// The public authorities, no certificate of one's own.
    pub fn public() -> Result<Self, TlsError> {
        Self::load(&ClientTlsConfig::default())
    }

    /// For connections that are not made here.
    pub fn config(&self) -> Arc<ClientConfig> {
        self.config.clone()
    }
}

/// One's own certificate, for who asks.
#[derive(Debug)]
struct Own {
    seen: Arc<Seen>,
    key: Arc<CertifiedKey>,
}

impl ResolvesClientCert for Own {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.seen.asked.store(true, Ordering::Relaxed);
        Some(self.key.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The rules of R-MTP.4: a valid chain, and then the name of the URL, or a URL of the home network,
/// or the endpoint id.
#[derive(Debug)]
struct Judge {
    seen: Arc<Seen>,
    chain: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
    peer_eid: Option<EndpointId>,
    eid_required: bool,
    clock_unset: bool,
    insecure: bool,
}

impl Judge {
    fn carries_endpoint_id(&self, leaf: &CertificateDer<'_>) -> bool {
        let ids = certificate_ids(leaf).unwrap_or_default();
        self.peer_eid
            .as_ref()
            .is_some_and(|wanted| ids.contains(wanted))
    }

    fn name_does_not_matter(&self, leaf: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
        let home = matches!(name, ServerName::DnsName(name) if {
            let name = name.as_ref().trim_end_matches('.').to_ascii_lowercase();
            name.ends_with(".local") || name.ends_with(".home.arpa")
        });
        home || self.carries_endpoint_id(leaf)
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.insecure {
            return Ok(ServerCertVerified::assertion());
        }
        let now = match self.clock_unset {
            true => begin_of_validity(leaf)?,
            false => now,
        };
        if self.eid_required && !self.carries_endpoint_id(leaf) {
            return Err(CertificateError::NotValidForName.into());
        }
        // rustls looks at the chain first and at the name last: a wrong name means a good chain.
        match self
            .chain
            .verify_server_cert(leaf, intermediates, name, ocsp_response, now)
        {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.name_does_not_matter(leaf, name) => Ok(ServerCertVerified::assertion()),
            judgement => judgement,
        }
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judgement = self.verify(leaf, intermediates, name, ocsp_response, now);
        self.seen
            .believed
            .fetch_or(judgement.is_ok(), Ordering::Relaxed);
        judgement
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A moment at which the leaf's dates are right.
fn begin_of_validity(leaf: &CertificateDer<'_>) -> Result<UnixTime, Error> {
    let broken = |_| Error::InvalidCertificate(CertificateError::BadEncoding);
    let seconds = parse(leaf)
        .map_err(broken)?
        .validity()
        .not_before
        .timestamp();
    let since_epoch = std::time::Duration::from_secs(seconds.max(0).unsigned_abs());
    Ok(UnixTime::since_unix_epoch(since_epoch))
}
