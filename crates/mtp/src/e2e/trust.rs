//! Whose certificates count: issued by one of the authorities, for the endpoint id of the peer (R-E2E.43, R-SEC.0a).
//! Deliberately without regard of the extended key usage: the same certificate of an endpoint serves both sides of
//! TLS, whoever opened the context.

use std::{path::Path, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use usp::EndpointId;

use crate::tls::{TlsError, believe, certificate_ids, provider};

/// The authorities, for both sides of TLS.
#[derive(Debug)]
pub(super) struct Trust {
    clients: Arc<dyn ClientCertVerifier>,
    servers: Arc<WebPkiServerVerifier>,
}

impl Trust {
    pub(super) fn load(authorities: &Path, pki: Option<&Path>) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        believe(authorities, pki, &mut store)?;
        let store = Arc::new(store);
        let wrong =
            |error: rustls::client::VerifierBuilderError| TlsError::Certificate(error.to_string());
        Ok(Self {
            clients: WebPkiClientVerifier::builder_with_provider(store.clone(), provider())
                .build()
                .map_err(wrong)?,
            servers: WebPkiServerVerifier::builder_with_provider(store, provider())
                .build()
                .map_err(wrong)?,
        })
    }

    /// Who decides on the certificates of one peer.
    pub(super) fn judge(self: &Arc<Self>, peer: &EndpointId) -> Arc<Judge> {
        Arc::new(Judge {
            trust: self.clone(),
            peer: peer.clone(),
        })
    }
}

/// Decides on the certificates of one peer.
#[derive(Debug)]
pub(super) struct Judge {
    trust: Arc<Trust>,
    peer: EndpointId,
}

impl Judge {
    pub(super) fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), Error> {
        self.verify(leaf, intermediates, UnixTime::now())
    }

    pub(super) fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let clients = &self.trust.clients;
        match clients.verify_client_cert(leaf, intermediates, now) {
            Err(Error::InvalidCertificate(
                CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. },
            )) => self.verify_as_server(leaf, intermediates, now)?,
            judgement => _ = judgement?,
        }
        let ids = certificate_ids(leaf).unwrap_or_default();
        match ids.contains(&self.peer) {
            true => Ok(()),
            false => Err(Error::General(format!(
                "its certificate is not for {}",
                self.peer
            ))),
        }
    }
}

impl Judge {
    /// For a certificate that is no client's.
    fn verify_as_server(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let name = ServerName::try_from("endpoint.invalid");
        let name = name.map_err(|_| Error::General("no name".into()))?;
        let servers = &self.trust.servers;
        // rustls looks at the chain first and at the name last: a wrong name means a good chain.
        match servers.verify_server_cert(leaf, intermediates, &name, &[], now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(()),
            judgement => judgement.map(|_| ()),
        }
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(leaf, intermediates, now)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let clients = &self.trust.clients;
        clients.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let clients = &self.trust.clients;
        clients.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.clients.supported_verify_schemes()
    }
}

impl ClientCertVerifier for Judge {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.trust.clients.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(leaf, intermediates, now)
            .map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.clients.supported_verify_schemes()
    }
}
