//! What goes into and comes out of a CPE. Deliberately no behaviour.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::error::DecodeError;
use crate::fault::Fault;
use crate::retry::RetryPolicy;
use crate::rpc::{DeviceId, Method, Request, Response};
use crate::soap::Booleans;
use crate::version::Version;

/// How a CPE talks.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who it is.
    pub device_id: DeviceId,
    /// The versions it speaks, at least one. From 1.4 on they are told to the ACS.
    pub versions: Vec<Version>,
    /// What it serves: told in answer to GetRPCMethods, and anything else is refused with 9000.
    pub methods: Vec<Method>,
    /// Seconds of its own silence that it asks the ACS to bear; needs 1.3.
    pub session_timeout: Option<u32>,
    /// How long it waits for the ACS.
    pub silence: Duration,
    /// When it tries again after a failed session.
    pub retry: RetryPolicy,
    /// How truth values among the arguments are spelled.
    pub booleans: Booleans,
}

impl Config {
    /// A CPE that serves everything, of the newest version.
    pub fn new(device_id: DeviceId) -> Self {
        let methods = Method::ALL.iter().copied().filter(|method| method.is_cpe());
        Self {
            device_id,
            versions: Version::ALL.to_vec(),
            methods: methods.collect(),
            session_timeout: None,
            silence: crate::limits::SILENCE_MIN,
            retry: RetryPolicy::default(),
            booleans: Booleans::default(),
        }
    }
}

/// What goes to the ACS. Its `Debug` does not show the body, which may hold passwords.
#[derive(Clone, PartialEq, Eq)]
pub enum Transmit {
    /// A POST; an empty body says that the CPE has nothing to ask. A body has the `Content-Type`
    /// [`crate::soap::CONTENT_TYPE`].
    Post(Bytes),
    /// The session is over: close the connection and forget its cookies.
    Close,
}

impl fmt::Debug for Transmit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Post(body) => write!(f, "Post of {} bytes", body.len()),
            Self::Close => f.write_str("Close"),
        }
    }
}

/// The ACS's answer to a POST, after authentication, redirects and decompression. Its `Debug` does
/// not show the body.
#[derive(Clone, Copy)]
pub struct Reply<'a> {
    /// The HTTP status; 200 and 204 are good.
    pub status: u16,
    /// The body; often empty.
    pub body: &'a [u8],
    /// The `Content-Type` header, for its charset.
    pub content_type: Option<&'a str>,
}

impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply {} of {} bytes", self.status, self.body.len())
    }
}

/// A request of the ACS that waits for our answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub(super) u64);

/// A report of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReportId(pub(super) u64);

/// Why a session failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The ACS could not be reached, or the connection broke.
    #[error("the connection to the ACS failed")]
    Connection,
    /// The ACS answered with a status that ends the session.
    #[error("the ACS answered with status {0}")]
    Status(u16),
    /// The ACS did not answer in time.
    #[error("the ACS is silent")]
    Silence,
    /// The ACS refused the Inform.
    #[error("the ACS refused the Inform: {0}")]
    Refused(Fault),
    /// The ACS wants a version that we do not speak.
    #[error("the ACS wants version {0}")]
    Incompatible(String),
    /// The answer cannot be read.
    #[error("the answer of the ACS cannot be read: {0}")]
    Malformed(DecodeError),
    /// The answer breaks the rules.
    #[error("the ACS misbehaves: {0}")]
    Misbehaved(&'static str),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A session begins: open a connection and call [`super::Session::inform`] with the parameters
    /// that an Inform always has and those that changed.
    Starting,
    /// The ACS asks for something: call [`super::Session::respond`], always.
    Requested {
        /// To answer it with.
        token: Token,
        /// What it asks for.
        request: Request,
    },
    /// The ACS has answered a report. With a fault that allows it the report is kept.
    Reported {
        /// The report.
        id: ReportId,
        /// The answer.
        result: Result<Response, Fault>,
    },
    /// The session is over.
    Ended {
        /// How.
        result: Result<(), Failure>,
        /// How long until it is tried again, if it is.
        retry_in: Option<Duration>,
    },
    /// An answer came that nobody waits for.
    Unexpected,
}
