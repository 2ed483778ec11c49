//! The conversation of a session as its task sees it: the future itself, and the channels to and
//! from it.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use ::cwmp::acs::{PeerError, RequestId, Token};
use ::cwmp::rpc::Request;
use ::cwmp::{Fault, Response};
use fleet::{Fact, Protocol};
use futures_util::FutureExt;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::core::{Command, Core, Entry, Stop};
use super::cpe::{Ask, AskError, Cpe, Guest, Opening, Said};
use super::limits::{SAID_QUEUE, SESSION_INBOX};
use super::seen::Seen;
use crate::state::now;

/// Why a job that comes too late is not done.
const OVER: &str = "the session is over";

/// The conversation of one session.
pub(super) struct Talk {
    pub(super) guest: Guest,
    pub(super) entry: Arc<Entry>,
    core: Arc<Core>,
    commands: mpsc::Receiver<Command>,
    /// To the conversation; gone when the session is over.
    jobs: Option<mpsc::Sender<Command>>,
    asks: Option<mpsc::Receiver<Ask>>,
    said: Option<mpsc::Sender<Said>>,
    /// The Inform that waits for being stored.
    stored: Option<(Token, oneshot::Receiver<Option<String>>)>,
    /// The request of the device that waits for its answer.
    reply: Option<(Token, oneshot::Receiver<Result<Response, Fault>>)>,
    /// The question that is under way.
    asked: Option<(RequestId, oneshot::Sender<Result<Response, AskError>>)>,
    converse: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Nothing more is asked for, which is said when it is our turn: the device may still have
    /// something to say.
    rest: bool,
    /// It is our turn.
    pub(super) turn: bool,
}

/// What happens in it.
pub(super) enum Heard {
    /// The Inform is stored, but for what is said here; or cannot be.
    Stored(Token, Option<Option<String>>),
    /// A request of the device is answered, or cannot be.
    Replied(Token, Result<Response, Fault>),
    /// A question.
    Asked(Ask),
    /// A command for the session itself.
    Stop(Stop),
    /// Nothing more will be asked.
    Silent,
    /// It is over.
    Over,
}

/// What a conversation begins with.
pub(super) struct Begin {
    pub(super) guest: Guest,
    pub(super) entry: Arc<Entry>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) inform: ::cwmp::rpc::Inform,
    pub(super) version: ::cwmp::Version,
    pub(super) token: Token,
    /// What was known of the device when it came.
    pub(super) seen: Option<Seen>,
}

impl Talk {
    /// Begins one.
    pub(super) fn begin(core: &Arc<Core>, begin: Begin) -> Box<Self> {
        let (cpe, asks) = Cpe::new();
        let (jobs, taken) = mpsc::channel(SESSION_INBOX);
        let (said, heard) = mpsc::channel(SAID_QUEUE);
        let (stored, told) = oneshot::channel();
        let opening = Opening {
            guest: begin.guest.clone(),
            entry: begin.entry.clone(),
            inform: begin.inform,
            version: begin.version,
            at: now(),
            stored,
            said: heard,
            seen: begin.seen,
        };
        let (entry, guest) = (begin.entry, begin.guest);
        let converse = guarded(core.clone(), opening, cpe, taken);
        Box::new(Self {
            guest,
            entry,
            core: core.clone(),
            commands: begin.commands,
            jobs: Some(jobs),
            asks: Some(asks),
            said: Some(said),
            stored: Some((begin.token, told)),
            reply: None,
            asked: None,
            converse: Some(Box::pin(converse)),
            rest: false,
            turn: false,
        })
    }

    /// Whether it is over.
    pub(super) fn is_over(&self) -> bool {
        self.converse.is_none()
    }

    /// Whether nothing will be asked any more.
    pub(super) fn is_silent(&self) -> bool {
        self.is_over() || self.asks.is_none()
    }

    /// What happens next. Cancel-safe.
    pub(super) async fn next(&mut self) -> Heard {
        loop {
            if self.turn && std::mem::take(&mut self.rest) {
                self.forward(Command::Rest);
            }
            let asks = self.asks.as_mut().filter(|_| self.asked.is_none());
            tokio::select! {
                biased;
                stored = answer(&mut self.stored) => return Heard::Stored(stored.0, stored.1),
                replied = answer(&mut self.reply) => {
                    let internal = || Err(Fault::plain(::cwmp::FaultCode::ACS_INTERNAL_ERROR));
                    return Heard::Replied(replied.0, replied.1.unwrap_or_else(internal));
                }
                ask = receive(asks) => match ask {
                    Some(ask) => return Heard::Asked(ask),
                    None => {
                        self.asks = None;
                        return Heard::Silent;
                    }
                },
                () = over(&mut self.converse) => {
                    self.end();
                    return Heard::Over;
                }
                Some(command) = self.commands.recv() => match command {
                    Command::Rest => self.rest = true,
                    Command::Stop(why) => {
                        self.forward(Command::Stop(why));
                        return Heard::Stop(why);
                    }
                    job => self.forward(job),
                },
            }
        }
    }

    fn forward(&mut self, command: Command) {
        let Some(jobs) = &self.jobs else {
            return self.turn_back(command, OVER);
        };
        match jobs.try_send(command) {
            Ok(()) => {}
            Err(TrySendError::Full(command)) => {
                self.turn_back(command, "too much is waiting for its session");
            }
            Err(TrySendError::Closed(command)) => self.turn_back(command, OVER),
        }
    }

    /// A job that is not taken.
    fn turn_back(&self, command: Command, why: &str) {
        if let Command::Job(job) = command {
            let (tenant, device) = (&self.guest.tenant, self.guest.device);
            self.core.unsent(tenant, device, &job, why);
        }
    }

    /// The conversation is over: nobody finds the device here any more.
    fn end(&mut self) {
        (self.converse, self.asks, self.said) = (None, None, None);
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            self.turn_back(command, OVER);
        }
        self.leave();
    }

    /// Nothing is asked of the device any more: who wants something has to ask it to come. It may
    /// still say something, and its connection may stay open.
    pub(super) fn leave(&self) {
        if self.core.links.leave(&self.entry) && self.entry.was_wanted() {
            let (tenant, device) = (&self.guest.tenant, self.guest.device);
            self.core.waker.wake_if_wanted(tenant, device);
        }
    }

    /// The session is over: what is asked from now on is not sent. Returns when the conversation
    /// has come to its end; it waits for nothing more to do.
    pub(super) async fn finish(&mut self) {
        (self.asks, self.said, self.stored, self.reply) = (None, None, None, None);
        self.jobs = None;
        let limits = self.core.limits;
        let converse = async {
            while !self.is_over() {
                // Nothing else is left to happen but commands.
                if let Heard::Over = self.next().await {
                    return;
                }
            }
        };
        let time = limits.converse_end_max;
        let ended = tokio::time::timeout(time, converse).await;
        if ended.is_err() {
            tracing::warn!(device = %self.guest.device, "limit CONVERSE_END_MAX: a conversation did not come to its end");
            metrics::counter!("headend_cwmp_conversations_cut_total").increment(1);
            let (tenant, device) = (self.guest.tenant.clone(), self.guest.device);
            let reason = "what was said was not written down in time";
            let reason = reason.to_owned();
            let core = self.core.clone();
            // What it worked on is over for the domain too, which may be what is behind.
            let mut told = Box::pin(async move {
                let (over, at) = (Protocol::Cwmp, now());
                let fact = Fact::Disconnected { over, at, reason };
                core.report(&tenant, device, fact).await;
            });
            // In the queue before that the next session begins, which waits for this one's end.
            if futures_util::poll!(&mut told).is_pending() {
                tokio::spawn(told);
            }
            self.end();
        }
    }

    /// Hands a request of the device to the conversation; false where nobody listens.
    pub(super) fn say(&mut self, token: Token, request: Request) -> bool {
        let (reply, answer) = oneshot::channel();
        let request = Box::new(request);
        let said = Said { request, reply };
        let sent = self
            .said
            .as_ref()
            .is_some_and(|to| to.try_send(said).is_ok());
        if sent {
            self.reply = Some((token, answer));
        }
        sent
    }

    /// A question is on its way.
    pub(super) fn asking(
        &mut self,
        id: RequestId,
        reply: oneshot::Sender<Result<Response, AskError>>,
    ) {
        self.asked = Some((id, reply));
    }

    /// The answer to a question has come, or will not.
    pub(super) fn answered(
        &mut self,
        id: RequestId,
        result: Result<Response, PeerError>,
        why: &str,
    ) {
        let Some((_, reply)) = self.asked.take_if(|(known, _)| *known == id) else {
            return;
        };
        let result = result.map_err(|error| match error {
            PeerError::Fault(fault) => AskError::Refused(fault),
            PeerError::Lost => AskError::Lost(why.to_owned()),
            PeerError::NotSent => AskError::Unsent(why.to_owned()),
            other => AskError::Garbled(other.to_string()),
        });
        let _ = reply.send(result);
    }
}

/// The conversation, which a defect of the server ends without harm to others.
fn guarded(
    core: Arc<Core>,
    opening: Opening,
    cpe: Cpe,
    commands: mpsc::Receiver<Command>,
) -> impl Future<Output = ()> + Send {
    let (tenant, device) = (opening.guest.tenant.clone(), opening.guest.device);
    let shared = core.clone();
    let converse = super::converse::converse(core, opening, cpe, commands);
    // No async block around it: that would have room for the whole conversation twice.
    let converse = AssertUnwindSafe(converse).catch_unwind();
    converse.then(move |ended| async move {
        if ended.is_err() {
            tracing::error!(%device, "a defect of the server ended a conversation");
            let reason = "a defect of the server ended the session".to_owned();
            let (over, at) = (Protocol::Cwmp, now());
            let fact = Fact::Disconnected { over, at, reason };
            shared.report(&tenant, device, fact).await;
        }
    })
}

/// The value of a oneshot that is waited for, with what it is about; `None` where its sender is
/// gone. Nothing where none is waited for.
async fn answer<T>(slot: &mut Option<(Token, oneshot::Receiver<T>)>) -> (Token, Option<T>) {
    let Some((token, receiver)) = slot else {
        return std::future::pending().await;
    };
    let (token, value) = (*token, receiver.await.ok());
    *slot = None;
    (token, value)
}

async fn receive(asks: Option<&mut mpsc::Receiver<Ask>>) -> Option<Ask> {
    match asks {
        Some(asks) => asks.recv().await,
        None => std::future::pending().await,
    }
}

async fn over(converse: &mut Option<Pin<Box<dyn Future<Output = ()> + Send>>>) {
    match converse {
        Some(converse) => converse.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::southbound::cwmp::limits::CONVERSATION_BYTES_MAX;

    /// `CONVERSATION_BYTES_MAX`
    #[test]
    fn a_conversation_that_waits_takes_little_memory() {
        fn size<A, B, C, D, F>(_: impl Fn(A, B, C, D) -> F) -> usize {
            size_of::<F>()
        }
        let whole = size(guarded);
        assert!(whole <= CONVERSATION_BYTES_MAX, "{whole} bytes");
        // What each of the channels holds room for, 32 times.
        for one in [size_of::<Ask>(), size_of::<Said>(), size_of::<Command>()] {
            assert!(one <= 32, "{one} bytes");
        }
    }
}
