//! One question to a device, asked through the task of its link, and its answer. What onboarding
//! is made of; operations come as jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fleet::DeviceId;
use tokio::sync::{mpsc, oneshot};
use usp::UspError;
use usp::msg::{Request, Response};

use super::Entry;
use super::limits::{Limits, ONBOARD_TIMEOUTS_MAX};
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
    /// The device leaves everything unanswered.
    #[error(
        "limit ONBOARD_TIMEOUTS_MAX: it left {ONBOARD_TIMEOUTS_MAX} requests in a row unanswered"
    )]
    Silent,
}

impl AskError {
    /// The link is gone.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone(_))
    }

    /// It makes no sense to ask more.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Gone(_) | Self::Silent)
    }
}

/// Asks one device.
#[derive(Clone, Debug)]
pub struct Asker {
    /// Which.
    pub device: DeviceId,
    /// The task of its link.
    pub inbox: mpsc::Sender<Command>,
    /// How long it may take for each answer.
    pub patience: Duration,
    /// Requests that it left unanswered since its last answer.
    pub unanswered: Arc<AtomicU32>,
}

impl Asker {
    /// Asks the device of a link.
    pub fn new(entry: &Entry, limits: &Limits) -> Self {
        Self {
            device: entry.device,
            inbox: entry.inbox.clone(),
            patience: limits.onboard_request_time,
            unanswered: Arc::default(),
        }
    }

    /// Asks, and gives up on a device that answers nothing.
    pub async fn ask(&self, request: impl Into<Request>) -> Result<Response, AskError> {
        if self.unanswered.load(Ordering::Relaxed) >= ONBOARD_TIMEOUTS_MAX {
            return Err(AskError::Silent);
        }
        let (reply, answer) = oneshot::channel();
        let ask = Ask {
            request: request.into(),
            timeout: self.patience,
            reply,
        };
        let gone = || AskError::Gone("it was closed".to_owned());
        self.inbox
            .send(Command::Ask(Box::new(ask)))
            .await
            .map_err(|_| gone())?;
        let answer = answer.await.map_err(|_| gone())?;
        match answer {
            Err(AskError::TimedOut) => {
                let count = self.unanswered.fetch_add(1, Ordering::Relaxed) + 1;
                if count >= ONBOARD_TIMEOUTS_MAX {
                    return Err(AskError::Silent);
                }
            }
            _ => self.unanswered.store(0, Ordering::Relaxed),
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use usp::msg::{GetResp, get};

    #[tokio::test]
    async fn a_device_that_leaves_requests_in_a_row_unanswered_is_asked_no_more() {
        let (inbox, mut asked) = mpsc::channel(1);
        let asker = Asker {
            device: DeviceId(uuid::Uuid::nil()),
            inbox,
            patience: Duration::from_secs(60),
            unanswered: Arc::default(),
        };
        // It answers the third; that wipes out the two before.
        let device = tokio::spawn(async move {
            let mut count = 0;
            while let Some(Command::Ask(ask)) = asked.recv().await {
                count += 1;
                let answer = match count {
                    3 => Ok(GetResp::default().into()),
                    _ => Err(AskError::TimedOut),
                };
                let _ = ask.reply.send(answer);
            }
            count
        });
        let mut ends = Vec::new();
        for _ in 0..8 {
            let answer = asker.ask(get(["Device."])).await;
            ends.push(answer.map_err(|error| error.is_over()));
        }
        let over: Vec<bool> = ends.iter().map(|end| *end == Err(true)).collect();
        assert_eq!(over, [false, false, false, false, false, true, true, true]);
        drop(asker);
        assert_eq!(device.await.unwrap(), 6);
    }
}
