//! Certificates of clients: verified by rustls, and named when they are not good enough, so that an
//! operator reads whose certificate it was and not only that one was bad.

use std::{cell::RefCell, fmt, io, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, InvalidMessage,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use usp::EndpointId;

use super::{CertificateInfo, describe};
use crate::ws::{Refusal, RefusalReason};

tokio::task_local! {
    /// What the peer of the handshake under way has shown, when it was not accepted.
    static REJECTED: RefCell<Option<CertificateInfo>>;
}

/// A verifier that remembers what it rejects.
#[derive(Debug)]
pub(super) struct Naming(pub(super) Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Naming {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.0.verify_client_cert(certificate, intermediates, now);
        if verified.is_err() {
            let shown = describe(certificate).ok();
            let _ = REJECTED.try_with(|rejected| rejected.replace(shown));
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// The server's side of a handshake. `claimed` is set to the endpoint id of a certificate that was
/// rejected, for whoever reports the refusal.
pub async fn accept(
    acceptor: TlsAcceptor,
    tcp: TcpStream,
    claimed: &mut Option<EndpointId>,
) -> Result<TlsStream<TcpStream>, Refusal> {
    let handshake = async {
        let outcome = acceptor.accept(tcp).await;
        (outcome, REJECTED.with(RefCell::take))
    };
    let (outcome, rejected) = REJECTED.scope(RefCell::new(None), handshake).await;
    outcome.map_err(|error| {
        if let Some(rejected) = &rejected {
            claimed.clone_from(&rejected.endpoint_ids.first().cloned());
        }
        refusal(&error, rejected.as_ref())
    })
}

/// A failed handshake, named for the operator.
fn refusal(error: &io::Error, rejected: Option<&CertificateInfo>) -> Refusal {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    let (reason, detail) = match inner {
        Some(Error::NoCertificatesPresented) => {
            (RefusalReason::CertificateMissing, error.to_string())
        }
        Some(Error::InvalidCertificate(why)) => {
            (RefusalReason::CertificateRejected, bad(why, rejected))
        }
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            (RefusalReason::PlaintextOnTlsListener, error.to_string())
        }
        Some(Error::AlertReceived(alert)) => {
            let hint = hint(*alert);
            let text =
                format!("the device ended the TLS handshake with the alert {alert:?}; {hint}");
            (RefusalReason::TlsFailed, text)
        }
        Some(Error::PeerIncompatible(why)) => {
            let text = format!("it speaks no TLS that we do, which is 1.2 and 1.3 ({why:?})");
            (RefusalReason::TlsFailed, text)
        }
        Some(_) => (RefusalReason::TlsFailed, error.to_string()),
        None => (RefusalReason::HandshakeAbandoned, error.to_string()),
    };
    Refusal::new(reason, detail)
}

fn bad(why: &CertificateError, rejected: Option<&CertificateInfo>) -> String {
    use CertificateError as Why;
    let what = match why {
        Why::UnknownIssuer => {
            "its issuer is none of the authorities trusted for devices".to_owned()
        }
        Why::Expired | Why::ExpiredContext { .. } => "it has expired".to_owned(),
        Why::NotValidYet | Why::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        Why::InvalidPurpose | Why::InvalidPurposeContext { .. } => {
            "it is not for TLS clients (extended key usage)".to_owned()
        }
        Why::Other(error) => match error.to_string().as_str() {
            "UnsupportedCertVersion" => "it is not of X.509 version 3".to_owned(),
            other => other.to_owned(),
        },
        other => format!("{other:?}"),
    };
    match rejected {
        Some(certificate) => format!("the certificate {certificate}: {what}"),
        None => format!("a certificate that cannot be read: {what}"),
    }
}

impl fmt::Display for CertificateInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            subject, issuer, ..
        } = self;
        let [from, until] = [self.not_before, self.not_after].map(super::day);
        match self.endpoint_ids.first() {
            Some(id) => write!(f, "for {id}")?,
            None => write!(f, "of {subject:?}")?,
        }
        write!(
            f,
            " (issued by {issuer:?}, valid from {from} until {until})"
        )
    }
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
