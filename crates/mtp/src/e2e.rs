//! The cryptography of end-to-end session contexts: signatures of records by the key of an endpoint's certificate, and
//! TLS inside of records (TR-369 "Secure Message Exchange").
//!
//! Deliberately without sockets, and without any state of a session context: those are `usp::context`'s. What is here
//! are its two traits over rustls and *ring*, with the machine's clock and chance.

mod channel;
mod trust;

use std::{path::PathBuf, sync::Arc};

use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls::{
    ClientConfig, ServerConfig, SignatureScheme, SupportedProtocolVersion,
    crypto::ring::sign::any_ecdsa_type,
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use usp::{
    EndpointId,
    context::{Channel, Fingerprint, Identity},
};

use crate::limits::{SENDER_CERTIFICATE_BYTES_MAX, SENDER_CERTIFICATES_MAX};
use crate::tls::{
    CertificateInfo, TlsError, certificates, describe, fingerprint, parse, private_key, provider,
    read,
};
use channel::Tls;
use trust::Trust;

/// The files of an endpoint's end-to-end identity, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialConfig {
    /// Our certificate, then its intermediates.
    pub certificate: PathBuf,
    /// Its key: ECDSA on P-256 (R-E2E.31, .40b).
    pub key: PathBuf,
    /// The authorities that issue certificates of endpoints.
    pub authorities: PathBuf,
    /// The authority for devices: where `authorities` is its file, those above it, which may follow in there, do not count.
    pub pki: Option<PathBuf>,
}

/// Who an endpoint is towards its peers, end to end.
pub struct Credential {
    pem: Vec<u8>,
    info: CertificateInfo,
    own: Arc<CertifiedKey>,
    trust: Arc<Trust>,
    versions: Vec<&'static SupportedProtocolVersion>,
}

impl Credential {
    /// Reads the files. What no peer would accept is refused here, and not with the first record: a key of another
    /// kind, a certificate for somebody else than `own`.
    pub fn load(files: &CredentialConfig, own: &EndpointId) -> Result<Self, TlsError> {
        let chain = certificates(&files.certificate)?;
        let path = files.certificate.display();
        let missing = || TlsError::Missing {
            path: path.to_string(),
            wanted: "certificate",
        };
        let info = describe(chain.first().ok_or_else(missing)?)?;
        if !info.endpoint_ids.contains(own) {
            let words = format!(
                "{path}: session contexts need a certificate for {}",
                own.to_urn()
            );
            return Err(TlsError::Certificate(words));
        }
        let unfit = |why: &str| {
            let path = files.key.display();
            TlsError::Certificate(format!("{path}: session contexts need {why}"))
        };
        let key = any_ecdsa_type(&private_key(&files.key)?)
            .ok()
            .filter(|key| key.choose_scheme(&[SCHEME]).is_some())
            .ok_or_else(|| unfit("an ECDSA key on the curve P-256"))?;
        let own = CertifiedKey::new(chain, key);
        own.keys_match()
            .map_err(|_| unfit("the key of the certificate"))?;
        Ok(Self {
            pem: read(&files.certificate)?,
            info,
            own: Arc::new(own),
            trust: Arc::new(Trust::load(&files.authorities, files.pki.as_deref())?),
            versions: vec![&TLS13, &TLS12],
        })
    }

    /// What the certificate says.
    pub fn info(&self) -> &CertificateInfo {
        &self.info
    }

    fn client(&self, peer: &EndpointId) -> Result<rustls::Connection, rustls::Error> {
        let own = SingleCertAndKey::from(self.own.clone());
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&self.versions)?
            .dangerous()
            .with_custom_certificate_verifier(self.trust.judge(peer))
            .with_client_cert_resolver(Arc::new(own));
        // Each context has keys of its own.
        config.resumption = rustls::client::Resumption::disabled();
        // An endpoint has no host name; its certificate is judged by its endpoint id.
        config.enable_sni = false;
        let name = "endpoint.invalid".try_into();
        let name = name.map_err(|_| rustls::Error::General("no name".into()))?;
        Ok(rustls::ClientConnection::new(Arc::new(config), name)?.into())
    }

    fn server(&self, peer: &EndpointId) -> Result<rustls::Connection, rustls::Error> {
        let own = SingleCertAndKey::from(self.own.clone());
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&self.versions)?
            .with_client_cert_verifier(self.trust.judge(peer))
            .with_cert_resolver(Arc::new(own));
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(rustls::ServerConnection::new(Arc::new(config))?.into())
    }
}

/// What endpoints sign with. R-E2E.31, .40b
const SCHEME: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;

impl Identity for Credential {
    fn channel(&self, client: bool, peer: &EndpointId) -> Result<Box<dyn Channel>, String> {
        let made = match client {
            true => self.client(peer),
            false => self.server(peer),
        };
        let connection = made.map_err(|error| error.to_string())?;
        Ok(Box::new(Tls::new(connection, client)))
    }

    fn certificate(&self) -> &[u8] {
        &self.pem
    }

    fn sign(&self, covered: &[u8]) -> Result<Vec<u8>, String> {
        let signer = self.own.key.choose_scheme(&[SCHEME]);
        let signer = signer.ok_or("the key cannot sign")?;
        signer.sign(covered).map_err(|error| error.to_string())
    }

    fn verify(
        &self,
        from: &EndpointId,
        certificate: &[u8],
        covered: &[u8],
        signature: &[u8],
    ) -> Result<Fingerprint, String> {
        let chain = sender_chain(certificate)?;
        let (leaf, intermediates) = chain.split_first().ok_or("it comes without certificate")?;
        let judged = self.trust.judge(from).judge(leaf, intermediates);
        judged.map_err(|error| error.to_string())?;
        let parsed = parse(leaf).map_err(|error| error.to_string())?;
        let key = &parsed.public_key().subject_public_key.data;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
            .verify(covered, signature)
            .map_err(|_| "it is not by the key of its certificate".to_owned())?;
        Ok(fingerprint(leaf))
    }
}

/// The certificates that a record shows.
fn sender_chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    if pem.len() > SENDER_CERTIFICATE_BYTES_MAX {
        return Err("its certificate is larger than SENDER_CERTIFICATE_BYTES_MAX".to_owned());
    }
    let chain = CertificateDer::pem_slice_iter(pem).take(SENDER_CERTIFICATES_MAX + 1);
    let chain: Result<Vec<_>, _> = chain.collect();
    let chain = chain.map_err(|_| "its certificate is not in PEM form")?;
    match chain.len() > SENDER_CERTIFICATES_MAX {
        true => Err("its chain is longer than SENDER_CERTIFICATES_MAX".to_owned()),
        false => Ok(chain),
    }
}

#[cfg(test)]
mod tests;
