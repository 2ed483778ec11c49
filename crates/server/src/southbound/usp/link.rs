//! One task per connected agent: its WebSocket or MQTT connection, the protocol's state machine over it, and the
//! inbox through which everybody else talks to it. Small on purpose: there are many of them, and
//! most are idle. What happens rarely lives in boxes.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fleet::onboarding::Who;
use fleet::southbound::Job;
use fleet::{DeviceId, Fact, TenantId};
use futures_util::FutureExt;
use mtp::ws::{CloseCode, reason};
use tokio::sync::{mpsc, oneshot};
use usp::EndpointId;
use usp::controller::{Event, RequestId, Session};
use usp::msg::{self, Request};

use super::adapter::{Core, Ends};
use super::admission::Ticket;
use super::ask::{Ask, AskError};
use super::goodbye::{End, hand_back, turn_away};
use super::jobs::{self, Waiting};
use super::limits::{LINK_INBOX, QUIET_LOOKS};
use super::settle::{self, Settled};
use super::wire::{Heard, Wire, WireError};
use super::work::{self, Work};
use super::{Entry, onboarding};
use crate::southbound::refusal::Peer;
use crate::state::now;

/// What the task of a link is told.
#[derive(Debug)]
pub enum Command {
    /// A job of the dispatcher.
    Job(Box<Job>),
    /// A question of onboarding.
    Ask(Box<Ask>),
    /// The device may have changed: look again.
    Refresh,
    /// The link of this number was written off in the store; it is this one, or its device was heard since.
    Relink(u64),
    /// Where this link has this number: its device has come to another server since.
    Elsewhere(u64),
    /// Onboarding came to its end.
    Worked(Box<onboarding::Ended>),
    /// The device is not onboarded over another of its links any more.
    Turn,
    /// Another link of the same device takes over.
    Replaced(Box<Replaced>),
    /// Close.
    Stop(Stop),
}

/// Who takes over.
#[derive(Debug)]
pub struct Replaced {
    /// Where the new link comes from.
    pub peer: Peer,
    /// Told once the requests of the old link are over.
    pub done: oneshot::Sender<()>,
}

/// Why a link is to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The server stops.
    Shutdown,
    /// The device was removed.
    Removed,
    /// Its tenant was disabled.
    TenantDisabled,
    /// The certificate it came in with was revoked.
    CertificateRevoked,
    /// The setup key it came in with was revoked, and it has nothing else.
    SetupKeyRevoked,
    /// The certificate it showed between the endpoints themselves does not count.
    CertificateRefused,
    /// It turned out to be a device that was registered before, and is to come again as that one.
    Merged,
    /// How it is dialled was changed.
    Redialled,
}

impl Stop {
    /// The name in the event of the disconnect.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::Removed => "removed",
            Self::TenantDisabled => "tenant_disabled",
            Self::CertificateRevoked => "certificate_revoked",
            Self::SetupKeyRevoked => "setup_key_revoked",
            Self::CertificateRefused => "certificate_refused",
            Self::Merged => "merged",
            Self::Redialled => "redialled",
        }
    }
}

/// Runs a link to its end.
pub async fn run(core: Arc<Core>, link: Wire, ticket: Box<Ticket>, first: Option<Bytes>) {
    let Some(ends) = core.ends() else {
        let close = link.close(CloseCode::GoingAway, reason::SHUTTING_DOWN);
        return Box::pin(close).await;
    };
    let peer = link.peer_addr();
    let (inbox, mut commands) = mpsc::channel(LINK_INBOX);
    let settled = Box::pin(settle::settle(&core, &ticket, peer, inbox)).await;
    let settled = match settled {
        Ok(settled) => settled,
        Err(error) => {
            // Whoever took the place waits for an answer of ours, and so does who gave us a job.
            if let Who::Known(device) = ticket.decision.who {
                let (tenant, reason) = (&ticket.decision.tenant, "the link did not come about");
                let (core, commands) = (&core, &mut commands);
                drop(Box::pin(hand_back(core, commands, &ends, tenant, device, reason)).await);
            }
            drop(commands);
            return Box::pin(turn_away(&core, link, &ticket, error)).await;
        }
    };
    let mut running = Running::new(core, ends, link, commands, ticket, settled);
    let end = defended(running.serve(first)).await;
    Box::pin(running.finish(end)).await;
}

/// A defect of ours ends the link like everything else does: with an end for each of its jobs.
/// Not an `async fn`, which would hold the future twice.
fn defended(serve: impl Future<Output = End>) -> impl Future<Output = End> {
    let served = AssertUnwindSafe(serve).catch_unwind();
    served.map(|served| served.unwrap_or(End::Defect))
}

/// A link at work.
pub(super) struct Running {
    pub(super) core: Arc<Core>,
    pub(super) ends: Ends,
    pub(super) entry: Arc<Entry>,
    pub(super) session: Session,
    pub(super) waiting: Vec<(RequestId, Box<Waiting>)>,
    pub(super) work: Option<Box<Work>>,
    pub(super) link: Wire,
    pub(super) commands: mpsc::Receiver<Command>,
    /// When the agent should have announced itself, and hear us; `None` once it has and does.
    silent_until: Option<Instant>,
    /// When something came last that does not prove that it is the agent's: no sign of life of it.
    unproved: Option<Instant>,
    /// Requests flow, and the domain knows it.
    pub(super) announced: bool,
    /// When to look whether a device that may be silent for long is quiet.
    quiet_at: Option<Instant>,
    /// When it was last heard before it was asked for a sign of life.
    asked_since: Option<Instant>,
}

impl Running {
    #[expect(clippy::boxed_local, reason = "else it is a part of the task")]
    fn new(
        core: Arc<Core>,
        ends: Ends,
        link: Wire,
        commands: mpsc::Receiver<Command>,
        ticket: Box<Ticket>,
        settled: Settled,
    ) -> Self {
        let ids = rand::random();
        let how = link.session(&core).clone();
        let mut session = Session::new(how, core.own.clone(), ticket.endpoint, ids);
        if link.may_be_silent() {
            settled.entry.let_be_silent();
        }
        if link.is_brokered() {
            session.channel_outlives_agent();
        }
        let work = Work::at_start(settled.unfinished, ticket.path);
        let silent_until = Some(Instant::now() + core.limits.connect_record_time);
        let quiet_at = link
            .may_be_silent()
            .then(|| link.last_heard() + core.quiet_max);
        metrics::counter!("headend_usp_links_total").increment(1);
        Self {
            core,
            ends,
            entry: settled.entry,
            session,
            waiting: Vec::new(),
            work,
            link,
            commands,
            silent_until,
            unproved: None,
            announced: false,
            quiet_at,
            asked_since: None,
        }
    }

    pub(super) fn tenant(&self) -> &TenantId {
        &self.entry.tenant
    }

    pub(super) fn device(&self) -> DeviceId {
        self.entry.device
    }

    pub(super) fn endpoint(&self) -> &EndpointId {
        self.session.peer()
    }

    /// Whether the agent has announced itself and not left.
    pub(super) fn is_open(&self) -> bool {
        self.silent_until.is_none() && self.session.is_connected()
    }

    async fn serve(&mut self, first: Option<Bytes>) -> End {
        if let Some(record) = first
            && let Err(error) = self.session.handle_input(Instant::now(), &record)
        {
            return End::Unparsable(error);
        }
        loop {
            if let Err(end) = self.pump().await {
                return end;
            }
            let wake = tokio::time::Instant::from_std(self.wake_at());
            tokio::select! {
                incoming = self.link.recv() => match incoming {
                    Ok(Heard::Record(record)) => {
                        metrics::counter!("headend_usp_records_received_total").increment(1);
                        let at = Instant::now();
                        let taken = self.session.handle_input(at, &record);
                        match self.session.heard() == Some(at) {
                            true => self.entry.hear(now()),
                            false => self.unproved = Some(self.link.last_heard()),
                        }
                        match taken {
                            Err(error) if self.link.closes_on_garbage() => return End::Unparsable(error),
                            Err(error) => self.garbled(&error),
                            Ok(()) => {}
                        }
                    }
                    Ok(Heard::Subscribed) => Box::pin(self.listening()).await,
                    Ok(Heard::Wrong(wrong)) => self.complain(wrong.reason, wrong.detail),
                    Ok(Heard::Closed(words)) => return End::Peer(words),
                    Err(error) => return End::Link(error),
                },
                Some(command) = self.commands.recv() => match command {
                    Command::Job(job) => Box::pin(self.job(job)).await,
                    Command::Ask(ask) => self.asked(*ask),
                    Command::Refresh => self.refresh(),
                    Command::Relink(link) => Box::pin(self.relink(link)).await,
                    Command::Elsewhere(link) if link == self.entry.number() => return End::Elsewhere,
                    // It was taken back meanwhile, under a new number.
                    Command::Elsewhere(_) => {}
                    Command::Turn => self.begin_work(),
                    Command::Worked(ended) => {
                        if ended.merged {
                            return End::Stop(Stop::Merged);
                        }
                        Box::pin(self.worked(*ended)).await;
                    }
                    Command::Replaced(by) => return End::Replaced(by),
                    Command::Stop(why) => return End::Stop(why),
                },
                () = tokio::time::sleep_until(wake) => {
                    if let Err(error) = self.tick() {
                        return End::Link(error);
                    }
                }
            }
        }
    }

    fn wake_at(&self) -> Instant {
        let retry = self.work.as_ref().and_then(|work| work.retry_at);
        [
            self.session.poll_timeout(),
            self.link.next_look(),
            retry,
            self.silent_until,
            self.quiet_at,
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))
    }

    fn tick(&mut self) -> Result<(), WireError> {
        let (at, heard) = (Instant::now(), self.link.last_heard());
        if self.unproved != Some(heard) {
            self.entry
                .hear(settle::ago(at.saturating_duration_since(heard)));
        }
        self.session.handle_timeout(at);
        self.link.keep_alive(at)?;
        if self.quiet_at.is_some_and(|look| look <= at) {
            self.quiet_at = Some(self.look_for_life(at));
        }
        if self.silent_until.is_some_and(|until| until <= at) {
            self.silent_until = Some(at + 10 * self.core.limits.connect_record_time);
            let (reason, detail) = match self.session.is_connected() {
                true => ("not-subscribed", "it cannot be sent anything"),
                false => ("no-connect-record", "it is connected and says nothing"),
            };
            self.complain(reason, detail.to_owned());
        }
        if self
            .work
            .as_ref()
            .and_then(|work| work.retry_at)
            .is_some_and(|retry| retry <= at)
        {
            self.begin_work();
        }
        Ok(())
    }

    /// Asks a quiet device once for a sign of life: that its client acknowledges the question is one, whatever it answers.
    /// When to look again.
    fn look_for_life(&mut self, at: Instant) -> Instant {
        let (heard, max) = (self.link.last_heard(), self.core.quiet_max);
        if heard + max > at {
            return heard + max;
        }
        if self.asked_since != Some(heard) && self.is_open() {
            self.asked_since = Some(heard);
            let request = Request::from(msg::get(["Device.LocalAgent.EndpointID"]));
            let (reply, _) = oneshot::channel();
            self.asked(Ask {
                request,
                timeout: max,
                reply,
            });
        }
        at + max / QUIET_LOOKS
    }

    /// Sends what is to be sent and takes what happened, until there is nothing of either.
    async fn pump(&mut self) -> Result<(), End> {
        loop {
            while let Some(record) = self.session.poll_transmit() {
                self.post(record).await?;
            }
            match self.session.poll_event() {
                Some(event) => Box::pin(self.event(event)).await?,
                None => break,
            }
        }
        self.note_context();
        Ok(())
    }

    async fn event(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Connected { .. } => {
                if self.link.is_heard() {
                    self.silent_until = None;
                }
                self.begin_work();
                self.announce().await;
            }
            Event::Disconnected { code, reason } => {
                self.link.left();
                let reason = format!("the agent took its leave: {code} {reason}");
                Box::pin(self.end_unsent(&reason)).await;
                self.withdraw(&reason).await;
                // R-E2E.6a: who insists on session contexts has nothing to say to it.
                let refused = code == usp::ErrorCode::SESSION_CONTEXT_NOT_ALLOWED;
                if refused && self.core.session.contexts.mode == usp::context::Mode::Require {
                    self.complain("session-context-refused", reason.clone());
                    return Err(End::Peer(reason));
                }
            }
            Event::Notified {
                token,
                msg_id,
                notify,
            } => self.notified(token, &msg_id, notify).await?,
            Event::Answered { id, result } => {
                self.entry.answers();
                if let Some(waiting) = self.take(id) {
                    self.answered(*waiting, jobs::Outcome::Answered(result))
                        .await;
                }
            }
            Event::TimedOut { id, sent } => {
                self.entry.doubt(Instant::now());
                if let Some(waiting) = self.take(id) {
                    self.answered(*waiting, jobs::Outcome::TimedOut(sent)).await;
                }
            }
            Event::Incompatible { theirs } => {
                self.complain("incompatible-version", format!("it speaks USP {theirs}"));
            }
            Event::Context(event) => Box::pin(self.context(event)).await?,
            Event::Ignored(why) => self.ignored(&why),
            // Refused by the session: this is no broker.
            Event::Registering { .. } => {}
        }
        Ok(())
    }

    /// Tells the domain; waits when it is behind. After the stop nobody listens.
    pub(super) async fn report(&self, fact: Fact) {
        let _ = self
            .ends
            .facts
            .send((self.entry.tenant.clone(), self.entry.device, fact))
            .await;
    }

    /// Over MQTT an agent is open while it is subscribed to where it is sent things: what nobody takes counts as
    /// unsent, and is not sent.
    async fn listening(&mut self) {
        match (self.link.is_heard(), self.silent_until) {
            (true, Some(_)) if self.session.is_connected() => {
                self.silent_until = None;
                self.begin_work();
                self.announce().await;
            }
            (false, None) => {
                self.silent_until = Some(Instant::now() + self.core.limits.connect_record_time);
                let reason = "the device is not subscribed to where it is sent things";
                Box::pin(self.end_unsent(reason)).await;
                self.withdraw(reason).await;
            }
            _ => {}
        }
    }

    fn asked(&mut self, ask: Ask) {
        let Ask {
            request,
            timeout,
            reply,
        } = ask;
        match self.session.request(Instant::now(), request, timeout) {
            Ok(id) => self.waiting.push((id, Box::new(Waiting::Ask(reply)))),
            Err(error) => {
                let _ = reply.send(Err(AskError::Garbled(error.to_string())));
            }
        }
    }

    pub(super) fn take(&mut self, id: RequestId) -> Option<Box<Waiting>> {
        let at = self.waiting.iter().position(|(known, _)| *known == id)?;
        let waiting = self.waiting.swap_remove(at).1;
        if self.waiting.is_empty() {
            self.waiting = Vec::new();
        }
        Some(waiting)
    }

    fn begin_work(&mut self) {
        if self.is_open() {
            work::begin(self);
        }
    }

    pub(super) fn refresh(&mut self) {
        self.work.get_or_insert_default().again = true;
        self.begin_work();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<F: Future>(_: impl Fn(Arc<Core>, Wire, Box<Ticket>, Option<Bytes>) -> F) -> usize {
        size_of::<F>()
    }

    #[tokio::test]
    async fn a_defect_ends_a_link_in_order() {
        let end = defended(async { panic!("a defect") }).await;
        assert!(matches!(end, End::Defect));
    }

    #[test]
    fn the_task_of_a_link_is_small() {
        let (task, slot) = (size(run), size_of::<Command>());
        assert!(slot <= 32, "{slot}");
        assert!(task <= 3 * 1024, "{task}");
    }
}
