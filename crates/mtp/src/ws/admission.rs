//! Who may come in: what a peer said before it is admitted, the consumer's decision, and the sink
//! that hears of everybody who was turned away.
//!
//! Not here: any credential. The path of the request is handed over as it came; what its last
//! segment is worth only the consumer knows.

use std::{borrow::Cow, fmt, future::Future, net::SocketAddr};

use usp::EndpointId;

/// What a peer has said of itself when its upgrade request is complete and well formed.
#[derive(Clone, Debug)]
pub struct Hello {
    /// The peer's socket address.
    pub peer_addr: SocketAddr,
    /// The address of ours it reached.
    pub local_addr: SocketAddr,
    /// The path of the request, percent-encoded as it came. May hold a credential: do not log it.
    pub path: String,
    /// The endpoint id the peer claims: `eid` of the query, else of the old extension, else the
    /// only one of its certificate. These sources have been checked against each other.
    pub eid: Option<EndpointId>,
    /// The endpoint ids of the peer's verified certificate. Empty without a certificate.
    pub certificate_ids: Vec<EndpointId>,
    /// A certificate was presented and verified (it may carry no endpoint id at all).
    pub certified: bool,
    /// See [`crate::tls::fingerprint`], of that certificate.
    pub fingerprint: Option<[u8; 32]>,
    /// The connection is encrypted.
    pub tls: bool,
    /// The client offered the deprecated `bbf-usp-protocol` extension (R-WS.10a).
    pub offered_extension: bool,
    /// The `User-Agent` of the request: often the only trace of a firmware that goes no further.
    pub user_agent: Option<String>,
}

/// The consumer's yes.
#[derive(Clone, Debug)]
pub struct Admitted<T> {
    /// Our own endpoint id towards this peer, told where the old extension was offered (R-WS.11a).
    pub own: EndpointId,
    /// Whatever the consumer wants to find again beside the link: the device, its credential.
    pub ticket: T,
}

/// A no, given by the handshake or by the consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status of the answer; not sent where the connection had not got as far as HTTP.
    pub status: u16,
    /// Why, by name. The peer sees the name.
    pub reason: RefusalReason,
    /// Why, in words, for the operator. The peer does not see it.
    pub detail: String,
}

impl Refusal {
    /// A refusal with the status that goes with its reason.
    pub fn new(reason: RefusalReason, detail: impl Into<String>) -> Self {
        Self {
            status: reason.status(),
            reason,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}

/// Why a connection was turned away. The names are stable: they are stored and shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The listener has as many links as it may.
    TooManyConnections,
    /// This address has as many links as it may.
    TooManyFromAddress,
    /// As many handshakes are under way from this address as may be.
    TooManyHandshakes,
    /// The handshake was not complete in time.
    HandshakeTimeout,
    /// The peer went away before its handshake was complete.
    HandshakeAbandoned,
    /// TLS was spoken to the plaintext listener.
    TlsOnPlaintextListener,
    /// Something else than TLS was spoken to the TLS listener.
    PlaintextOnTlsListener,
    /// The TLS handshake failed.
    TlsFailed,
    /// A client certificate is demanded and was not given.
    CertificateMissing,
    /// The client certificate is not acceptable: unknown issuer, expired, broken.
    CertificateRejected,
    /// The certificate carries no endpoint id, and one is demanded.
    CertificateWithoutEndpointId,
    /// The request is no HTTP/1.1 that can be understood.
    MalformedRequest,
    /// The head of the request is larger than the limit.
    RequestTooLarge,
    /// An HTTP request, but none for a WebSocket.
    NotAWebSocketRequest,
    /// The client does not offer the subprotocol `v1.usp` (R-WS.12a).
    NoSubprotocol,
    /// What came is no CONNECT of MQTT 5.0 or 3.1.1.
    MalformedConnect,
    /// The MQTT user name does not say whose device it is.
    BareUsername,
    /// What was given as endpoint id is none.
    BadEndpointId,
    /// Query, extension and certificate name different endpoints.
    EndpointIdConflict,
    /// The consumer: there is nothing at this path.
    UnknownPath,
    /// The consumer: the key or token is not known.
    UnknownCredential,
    /// The consumer: the key or token was withdrawn or has expired.
    CredentialWithdrawn,
    /// The consumer: the credential belongs to another endpoint id.
    EndpointIdMismatch,
    /// The consumer: no endpoint id was given, and one is needed.
    EndpointIdMissing,
    /// The consumer: too many attempts.
    RateLimited,
    /// The consumer: another session of this endpoint is preferred.
    DuplicateSession,
    /// The consumer cannot decide now (its store is down, it is shutting down).
    Unavailable,
    /// The consumer's own reason; a lower-case name with dashes.
    Policy(Cow<'static, str>),
}

impl RefusalReason {
    /// The stable name.
    pub fn name(&self) -> &str {
        match self {
            Self::TooManyConnections => "too-many-connections",
            Self::TooManyFromAddress => "too-many-from-address",
            Self::TooManyHandshakes => "too-many-handshakes",
            Self::HandshakeTimeout => "handshake-timeout",
            Self::HandshakeAbandoned => "handshake-abandoned",
            Self::TlsOnPlaintextListener => "tls-on-plaintext-listener",
            Self::PlaintextOnTlsListener => "plaintext-on-tls-listener",
            Self::TlsFailed => "tls-failed",
            Self::CertificateMissing => "certificate-missing",
            Self::CertificateRejected => "certificate-rejected",
            Self::CertificateWithoutEndpointId => "certificate-without-endpoint-id",
            Self::MalformedRequest => "malformed-request",
            Self::RequestTooLarge => "request-too-large",
            Self::NotAWebSocketRequest => "not-a-websocket-request",
            Self::NoSubprotocol => "no-subprotocol",
            Self::MalformedConnect => "malformed-connect",
            Self::BareUsername => "bare-username",
            Self::BadEndpointId => "bad-endpoint-id",
            Self::EndpointIdConflict => "endpoint-id-conflict",
            Self::UnknownPath => "unknown-path",
            Self::UnknownCredential => "unknown-credential",
            Self::CredentialWithdrawn => "credential-withdrawn",
            Self::EndpointIdMismatch => "endpoint-id-mismatch",
            Self::EndpointIdMissing => "endpoint-id-missing",
            Self::RateLimited => "rate-limited",
            Self::DuplicateSession => "duplicate-session",
            Self::Unavailable => "unavailable",
            Self::Policy(name) => name,
        }
    }

    /// The HTTP status that goes with the reason.
    pub fn status(&self) -> u16 {
        match self {
            Self::TooManyFromAddress | Self::RateLimited => 429,
            Self::TooManyConnections | Self::TooManyHandshakes | Self::Unavailable => 503,
            Self::HandshakeTimeout => 408,
            Self::RequestTooLarge => 431,
            Self::NotAWebSocketRequest => 426,
            Self::UnknownPath => 404,
            Self::UnknownCredential | Self::CredentialWithdrawn | Self::BareUsername => 401,
            Self::EndpointIdConflict
            | Self::EndpointIdMismatch
            | Self::CertificateWithoutEndpointId
            | Self::Policy(_) => 403,
            Self::DuplicateSession => 409,
            _ => 400,
        }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The consumer's decision, asked once a peer's upgrade request is complete and before it is
/// answered. It runs inside the handshake's time limit and its future may be dropped at any await.
pub trait Admission: Send + Sync + 'static {
    /// What goes with the link, see [`Admitted::ticket`].
    type Ticket: Send + 'static;

    /// Yes or no.
    fn admit(
        &self,
        hello: &Hello,
    ) -> impl Future<Output = Result<Admitted<Self::Ticket>, Refusal>> + Send;
}

/// A connection that was turned away. The path is left out on purpose: it may hold a credential.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Who tried.
    pub peer_addr: SocketAddr,
    /// The address of ours it reached.
    pub local_addr: SocketAddr,
    /// Whether it reached a TLS listener.
    pub tls: bool,
    /// The endpoint id it claimed, as far as it got to say one.
    pub endpoint_id: Option<EndpointId>,
    /// Why.
    pub refusal: Refusal,
}

/// Hears of every connection that was turned away. Called from the accept path: it must not block,
/// and it must itself bound what it keeps.
pub trait Refusals: Send + Sync + 'static {
    /// One connection was turned away.
    fn refused(&self, refused: Refused);
}

/// Nobody listens.
impl Refusals for () {
    fn refused(&self, _: Refused) {}
}

impl<F: Fn(Refused) + Send + Sync + 'static> Refusals for F {
    fn refused(&self, refused: Refused) {
        self(refused);
    }
}
