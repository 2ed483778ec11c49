//! A CPE as the code sees that talks with it during one session: questions and answers, the Inform
//! that began it, and what the CPE asks in between.
//!
//! The task of the session stands on the other side; it knows about turns, POSTs and time. When the
//! one who talks lets go of [`Cpe`], the session is brought to its end.

use std::net::SocketAddr;
use std::sync::Arc;

use ::cwmp::rpc::Inform;
use ::cwmp::{Fault, Request, Response, Version};
use fleet::onboarding::Strength;
use fleet::{DeviceId, TenantId, Timestamp};
use tokio::sync::{mpsc, oneshot};

use super::core::Entry;
use super::seen::Seen;

/// Who came, after it was let in.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Whose device.
    pub tenant: TenantId,
    /// Which.
    pub device: DeviceId,
    /// How well it proved that.
    pub strength: Strength,
    /// It came with a setup key and shall get a credential of its own.
    pub wants_credential: bool,
    /// Where it comes from.
    pub peer: SocketAddr,
}

/// How a session began.
#[derive(Debug)]
pub struct Opening {
    /// Who came.
    pub guest: Guest,
    /// Its place among the sessions that devices can be asked in.
    pub entry: Arc<Entry>,
    /// What it said. It is answered when `stored` is told, and not before: the CPE will not say it
    /// again.
    pub inform: Inform,
    /// The version that both speak.
    pub version: Version,
    /// When it came.
    pub at: Timestamp,
    /// Told when all that the Inform says is stored, with what of it could not be kept, for people.
    pub stored: oneshot::Sender<Option<String>>,
    /// What the CPE asks during the session (`TransferComplete`, `GetRPCMethods`, ...), in order.
    pub said: mpsc::Receiver<Said>,
    /// What was known of it when it came, where it came with a credential of its own.
    pub seen: Option<Seen>,
}

/// A request of the CPE. It is answered when what it says is stored.
#[derive(Debug)]
pub struct Said {
    /// What it asks. Boxed, since a channel has room for many from the start.
    pub request: Box<Request>,
    /// Where the answer goes; without one it is told 8002.
    pub reply: oneshot::Sender<Result<Response, Fault>>,
}

/// One question on its way to the task of the session.
#[derive(Debug)]
pub struct Ask {
    /// What. Boxed as [`Said::request`] is.
    pub request: Box<Request>,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Result<Response, AskError>>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The CPE said no.
    #[error("{0}")]
    Refused(Fault),
    /// The answer makes no sense; it may or may not have happened.
    #[error("{0}")]
    Garbled(String),
    /// It was asked, and the session ended without an answer: it may or may not have happened.
    #[error("{0}")]
    Lost(String),
    /// It was never asked: nothing happened.
    #[error("{0}")]
    Unsent(String),
}

/// Asks the CPE of a session.
#[derive(Debug, Clone)]
pub struct Cpe {
    asks: mpsc::Sender<Ask>,
}

impl Cpe {
    /// One end to ask with, and the one where the session's task takes the questions. It has one in
    /// flight at a time, as the protocol does.
    pub fn new() -> (Self, mpsc::Receiver<Ask>) {
        let (asks, taken) = mpsc::channel(1);
        (Self { asks }, taken)
    }

    /// Asks, when it is our turn, and waits for the answer.
    pub async fn ask(&self, request: impl Into<Request>) -> Result<Response, AskError> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask {
            request: Box::new(request.into()),
            reply,
        };
        let unsent = |_| AskError::Unsent("the session is over".to_owned());
        self.asks.send(ask).await.map_err(unsent)?;
        let lost = |_| Err(AskError::Lost("the session ended".to_owned()));
        answer.await.unwrap_or_else(lost)
    }
}
