//! One question to a device, asked through the task of its link, and its answer. What onboarding
//! is made of; operations come as jobs.

use std::time::Duration;

use fleet::DeviceId;
use tokio::sync::{mpsc, oneshot};
use usp::UspError;
use usp::msg::{Request, Response};

use super::limits::ONBOARD_REQUEST_TIME;
use super::link::Command;

/// A question on its way to the task of a link.
#[derive(Debug)]
pub struct Ask {
    /// What.
    pub request: Request,
    /// How long the device may take.
    pub timeout: Duration,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Result<Response, AskError>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The device said no.
    #[error("{0}")]
    Refused(UspError),
    /// The device said nothing in time.
    #[error("no answer in time")]
    TimedOut,
    /// The answer makes no sense.
    #[error("{0}")]
    Garbled(String),
    /// The link is gone.
    #[error("the link is gone: {0}")]
    Gone(String),
}

impl AskError {
    /// Nothing more can be asked.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone(_))
    }
}

/// Asks one device.
#[derive(Clone, Debug)]
pub struct Asker {
    /// Which.
    pub device: DeviceId,
    /// The task of its link.
    pub inbox: mpsc::Sender<Command>,
}

impl Asker {
    /// Asks with the usual patience.
    pub async fn ask(&self, request: impl Into<Request>) -> Result<Response, AskError> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask {
            request: request.into(),
            timeout: ONBOARD_REQUEST_TIME,
            reply,
        };
        let gone = || AskError::Gone("it was closed".to_owned());
        self.inbox
            .send(Command::Ask(Box::new(ask)))
            .await
            .map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
