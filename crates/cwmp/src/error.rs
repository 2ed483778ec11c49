//! Errors by who is wrong. What the wire says about them is [`crate::fault`].

use crate::fault::{Fault, FaultCode};
use crate::limits;
use crate::soap::Namespace;

/// Why this crate could not do something, by who is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Bytes are not what they should be.
    #[error("invalid message: {0}")]
    InvalidMessage(DecodeError),
    /// A well-formed message breaks the rules of the conversation.
    #[error("the peer misbehaves: {0}")]
    PeerMisbehaved(&'static str),
    /// The peer needs something that we do not speak.
    #[error("the peer is incompatible: {0}")]
    PeerIncompatible(String),
    /// A named limit of [`crate::limits`] is hit.
    #[error("{}", limits::beyond(limit, *max))]
    LimitExceeded {
        /// Its name.
        limit: &'static str,
        /// Its value.
        max: usize,
    },
    /// Our own caller did something out of order.
    #[error("wrong use: {0}")]
    ApiMisuse(&'static str),
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        match error.kind {
            DecodeErrorKind::Limit { limit, max } => Self::LimitExceeded { limit, max },
            DecodeErrorKind::NoInform => Self::PeerMisbehaved("a session starts with an Inform"),
            _ => Self::InvalidMessage(error),
        }
    }
}

/// Why a message cannot be read, and what could be read of it all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// The id in the header, to answer with; empty when there was none.
    pub id: String,
    /// The method, as far as it was read; empty when it was not.
    pub method: String,
    /// The namespace, to answer in.
    pub namespace: Option<Namespace>,
}

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeErrorKind {
    /// A limit is hit.
    #[error("{}", limits::beyond(limit, *max))]
    Limit {
        /// Its name.
        limit: &'static str,
        /// Its value.
        max: usize,
    },
    /// An encoding that nobody knows, or bytes that it does not have.
    #[error("the text encoding {0} cannot be read")]
    Encoding(String),
    /// Not XML; at this byte of the UTF-8 form.
    #[error("not XML at byte {at}: {reason}")]
    Xml {
        /// The place.
        at: u64,
        /// The reason, for people.
        reason: String,
    },
    /// A document type, which SOAP forbids and bombs need.
    #[error("a document type is not accepted")]
    Dtd,
    /// No SOAP envelope with a body.
    #[error("no SOAP envelope: {0}")]
    NotSoap(&'static str),
    /// An envelope with nothing in its body, which some send in place of an empty POST.
    #[error("the body of the envelope is empty")]
    EmptyBody,
    /// A request with a header that must be understood, and is not known (SOAP 1.1, 4.2.3).
    #[error("the header {header} must be understood, and is not known here: nothing was done")]
    NotUnderstood {
        /// Its name as it is written, shortened.
        header: String,
    },
    /// A request with a second message beside it in the same body.
    #[error("{first} and {second} are in one body, which has room for one: nothing was done")]
    SecondMethod {
        /// What came first.
        first: String,
        /// What came with it.
        second: String,
    },
    /// No Inform, where nothing else may come; its arguments were not read.
    #[error("a session starts with an Inform")]
    NoInform,
    /// A value without which the message has no meaning.
    #[error("{element} cannot be `{text}`")]
    Value {
        /// The element.
        element: &'static str,
        /// What it holds, shortened.
        text: String,
    },
}

impl DecodeError {
    pub(crate) fn new(kind: DecodeErrorKind) -> Self {
        let (id, method) = (String::new(), String::new());
        Self {
            kind,
            id,
            method,
            namespace: None,
        }
    }

    /// Whether it is a request that could be read, and must not be served as it is.
    pub fn is_unserved_request(&self) -> bool {
        use DecodeErrorKind::{NotUnderstood, SecondMethod};
        matches!(self.kind, NotUnderstood { .. } | SecondMethod { .. })
    }

    /// What the ACS answers to a request that is broken like this.
    pub fn acs_fault(&self) -> Fault {
        self.fault(
            FaultCode::ACS_RESOURCES_EXCEEDED,
            FaultCode::ACS_INVALID_ARGUMENTS,
        )
    }

    fn fault(&self, large: FaultCode, other: FaultCode) -> Fault {
        let code = match self.kind {
            DecodeErrorKind::Limit { .. } => large,
            _ => other,
        };
        Fault {
            not_understood: matches!(self.kind, DecodeErrorKind::NotUnderstood { .. }),
            ..Fault::new(code, self.kind.to_string())
        }
    }

    /// What a CPE answers to a request that is broken like this.
    pub fn cpe_fault(&self) -> Fault {
        self.fault(FaultCode::RESOURCES_EXCEEDED, FaultCode::INVALID_ARGUMENTS)
    }
}

/// The start of a peer's text, for events and errors.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(crate::limits::EXCERPT_CHARS_MAX) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}
