//! What goes into and comes out of a session of the ACS. Deliberately no behaviour.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::error::DecodeError;
use crate::fault::Fault;
use crate::rpc::{Inform, Method, Request, Response};
use crate::soap::{Booleans, Header, Oddities};
use crate::version::Version;

/// How an ACS talks; shared by all its sessions.
#[derive(Clone, Debug)]
pub struct Config {
    /// The versions we speak.
    pub versions: Vec<Version>,
    /// What we serve: told in answer to GetRPCMethods, and anything else is refused.
    pub methods: Vec<Method>,
    /// Tell the CPE to hold its own requests while we have some (HoldRequests). Off by default:
    /// what a CPE has to say usually matters for what we ask.
    pub hold_requests: bool,
    /// The silence of the CPE after which a session is given up, from `SILENCE_MIN` to
    /// `SILENCE_MAX`. A `SessionTimeout` header makes it longer, never shorter.
    pub silence: Duration,
    /// How long our own caller may think about an answer. CPEs give up on us after 30 s.
    pub think: Duration,
    /// How long a session stays open after our empty answer, for requests that were held.
    pub grace: Duration,
    /// How truth values among the arguments are spelled.
    pub booleans: Booleans,
}

impl Default for Config {
    fn default() -> Self {
        let methods = Method::ALL.iter().copied().filter(|method| method.is_acs());
        Self {
            versions: Version::ALL.to_vec(),
            methods: methods.collect(),
            hold_requests: false,
            silence: crate::limits::SILENCE_MIN,
            think: Duration::from_secs(20),
            grace: Duration::from_secs(5),
            booleans: Booleans::default(),
        }
    }
}

/// A POST of the CPE, after authentication and decompression. Its `Debug` does not show the body.
#[derive(Clone, Copy, Default)]
pub struct Post<'a> {
    /// The body; often empty, which says that the CPE has nothing to ask.
    pub body: &'a [u8],
    /// The `Content-Type` header, for its charset.
    pub content_type: Option<&'a str>,
}

impl fmt::Debug for Post<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Post of {} bytes", self.body.len())
    }
}

impl<'a> Post<'a> {
    /// A body without a `Content-Type`.
    pub fn new(body: &'a [u8]) -> Self {
        Self {
            body,
            content_type: None,
        }
    }
}

/// The answer to a POST. With a body its `Content-Type` is [`crate::soap::CONTENT_TYPE`]. Its `Debug`
/// does not show the body, which may hold passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// 200 with a body, 204 without one, 503 to shed load.
    pub status: u16,
    /// An envelope or nothing.
    pub body: Bytes,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, body } = self;
        write!(f, "Reply {status} of {} bytes", body.len())
    }
}

impl Reply {
    /// Nothing more from us.
    pub const fn empty() -> Self {
        Self {
            status: 204,
            body: Bytes::new(),
        }
    }

    /// Come back later; the CPE counts it as a failed session. When is the caller's to say.
    pub const fn unavailable() -> Self {
        Self {
            status: 503,
            body: Bytes::new(),
        }
    }

    /// For a POST that [`super::Session::handle_input`] refuses.
    pub const fn refused() -> Self {
        Self {
            status: 400,
            body: Bytes::new(),
        }
    }

    pub(super) fn envelope(body: String) -> Self {
        Self {
            status: 200,
            body: Bytes::from(body),
        }
    }
}

/// A request of this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

/// Something of the CPE's that waits for our answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub(super) u64);

/// Why a request has no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// The CPE answered with a fault.
    #[error("{0}")]
    Fault(Fault),
    /// The CPE answered with something that cannot be read.
    #[error("the answer cannot be read: {0}")]
    Malformed(DecodeError),
    /// The CPE answered another request, by its id.
    #[error("the answer has the id `{0}`")]
    WrongId(String),
    /// The CPE answered another method.
    #[error("the answer is a {0}")]
    WrongResponse(String),
    /// The CPE answered with an empty POST, as some do to a method that they do not have.
    #[error("the answer is empty")]
    Empty,
    /// The session ended before the CPE answered. Some do that to a method they do not have.
    #[error("no answer came")]
    Lost,
    /// The session ended before the request was sent.
    #[error("the session ended before the request was sent")]
    NotSent,
}

impl PeerError {
    /// Whether the CPE may have done what it was asked for.
    pub fn may_have_happened(&self) -> bool {
        !matches!(self, Self::Fault(_) | Self::NotSent)
    }
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides have said all.
    Complete,
    /// The CPE fell silent.
    Silence,
    /// The CPE began anew with another Inform.
    Superseded,
    /// We refused its Inform.
    Refused,
    /// We have no version in common.
    Incompatible,
    /// Our caller did not answer its Inform in time.
    Unanswered,
    /// Our caller gave it up.
    Abandoned,
    /// A limit was reached.
    Limit {
        /// Its name.
        limit: &'static str,
        /// Its value.
        max: usize,
    },
}

/// Inputs that changed nothing, or less than they should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// An empty POST outside of a session: a reachability probe, or a client that waits for a
    /// challenge. It is answered with an empty one.
    Probe,
    /// The same message again, as after a broken connection. The same answer goes out again.
    Duplicate {
        /// Its id.
        id: String,
    },
    /// A response or fault that nobody waits for.
    Unmatched {
        /// What it is.
        name: String,
        /// Its id.
        id: String,
        /// What had to be forgiven.
        oddities: Oddities,
    },
    /// A request that cannot be read, or cannot be served as it is; a fault was sent.
    Malformed(DecodeError),
    /// A request that we do not serve; a fault was sent.
    Unserved {
        /// Its method.
        name: String,
        /// What had to be forgiven.
        oddities: Oddities,
    },
    /// Our caller did not answer in time, so we did.
    Unanswered,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The CPE opens its session. Check who it is and store what it says, then call
    /// [`super::Session::acknowledge`]: it will not say it again.
    Informed {
        /// To answer it with.
        token: Token,
        /// What it says.
        inform: Box<Inform>,
        /// Its headers.
        header: Header,
        /// What the session speaks.
        version: Version,
        /// What had to be forgiven.
        oddities: Oddities,
    },
    /// The CPE asks for something. Store what it says, then call [`super::Session::respond`].
    Requested {
        /// To answer it with.
        token: Token,
        /// What it asks.
        request: Request,
        /// What had to be forgiven.
        oddities: Oddities,
    },
    /// The CPE asked for something that needs nobody: GetRPCMethods. It is answered.
    Served {
        /// What it asked.
        request: Request,
        /// What had to be forgiven.
        oddities: Oddities,
    },
    /// The CPE has nothing to ask now, and waits: call [`super::Session::request`] or
    /// [`super::Session::finish`]. Not told while requests are queued.
    Turn,
    /// A request is answered, or will not be.
    Answered {
        /// The request.
        id: RequestId,
        /// The answer.
        result: Result<Response, PeerError>,
        /// What had to be forgiven.
        oddities: Oddities,
    },
    /// We share no version with the CPE.
    Incompatible {
        /// Its versions.
        theirs: String,
    },
    /// The session is over; nothing follows unless another Inform comes.
    Ended(End),
    /// An input changed nothing, or less than it should.
    Ignored(Ignored),
}
