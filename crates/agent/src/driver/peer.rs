//! One way to a controller as the driver sees it: its session, which outlives connections, and the connection of the
//! moment.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mtp::retry::Backoff;
use mtp::tls::ClientTls;
use mtp::ws::{CloseCode, reason};
use usp::agent::{NotifyId, Session};
use usp::msg::{Register, RegisterStatus, RegistrationPath, Response};
use usp::{EndpointId, ErrorCode, UspError};

use super::stall::{Seen, Stall};
use super::wire::{Wire, WireError};
use crate::limits::{
    CERTIFICATE_TAKEN_AFTER, CLOSING_TIME_MAX, REGISTER_AGAIN, REGISTER_TIME_MAX, SEND_TIME_MAX,
};
use crate::{ControllerLink, Engine, Reach};

/// A connection attempt under way.
pub(super) type Dialing = Pin<Box<dyn Future<Output = Result<Wire, WireError>> + Send>>;

/// The connection of the moment.
pub(super) enum Channel {
    /// The controller dials us.
    Idle,
    /// The next attempt is due then.
    Waiting(Instant),
    Dialing(Dialing),
    Open(Wire),
}

/// What a peer's connection did.
pub(super) enum Happened {
    Dialed(Result<Wire, WireError>),
    Record(Bytes),
    /// There may be room again for what is sent, or we listen where we wanted to.
    Room,
    Closed(String),
}

pub(super) struct Peer {
    pub config: ControllerLink,
    pub session: Session,
    pub channel: Channel,
    pub backoff: Backoff,
    /// Undelivered notifications with their subscription; 0 for an OnBoardRequest.
    pub sent: Vec<(NotifyId, u32)>,
    stall: Stall,
    /// Requests on this connection that were not carried out, because their answers would have found no place.
    unheard: u64,
    /// What the broker has refused, and when it is asked for again.
    refused: Option<(Instant, Vec<String>)>,
    /// The TLS of the connection of the moment, until it is known what the server makes of our certificate.
    pub tls: Option<Arc<ClientTls>>,
    /// When it is known because the connection has lasted.
    taken_at: Option<Instant>,
}

impl Peer {
    pub fn new(config: ControllerLink, session: Session) -> Peer {
        let channel = Channel::Idle;
        Peer {
            backoff: backoff(&config),
            config,
            session,
            channel,
            sent: Vec::new(),
            stall: Stall::default(),
            unheard: 0,
            refused: None,
            tls: None,
            taken_at: None,
        }
    }

    /// Whether the server has taken the certificate by letting us in for a while.
    pub fn has_taken_certificate(&mut self, now: Instant, engine: &Engine) -> bool {
        self.taken_at.is_some_and(|at| at <= now) && self.judges_certificate(engine)
    }

    /// Whether something new is known of what the server makes of the certificate that it was shown, and that decides.
    pub fn judges_certificate(&mut self, engine: &Engine) -> bool {
        self.taken_at = None;
        let shown = self.tls.take().is_some_and(|tls| tls.has_shown());
        shown && engine.judges_certificate(&self.config)
    }

    /// Whether this is that way to that controller.
    pub fn is(&self, instance: u32, mtp: u32) -> bool {
        (self.config.instance, self.config.mtp) == (instance, mtp)
    }

    pub fn is_open(&self) -> bool {
        matches!(self.channel, Channel::Open(_)) && self.session.is_open()
    }

    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Happened> {
        let asks_too_much = !self.session.takes_requests();
        match &mut self.channel {
            Channel::Dialing(dialing) => dialing.as_mut().poll(cx).map(Happened::Dialed),
            // What it asks waits until it reads what it is answered.
            Channel::Open(link) if asks_too_much && link.waits_for_reader() => {
                pin!(link.room()).poll(cx).map(|result| match result {
                    Ok(()) => Happened::Room,
                    Err(error) => Happened::Closed(error.to_string()),
                })
            }
            // Cancel-safe: the link keeps what is half read.
            Channel::Open(link) => pin!(link.recv()).poll(cx).map(|result| match result {
                Ok(Some(record)) => Happened::Record(record),
                Ok(None) => Happened::Room,
                Err(error) => Happened::Closed(error.to_string()),
            }),
            Channel::Idle | Channel::Waiting(_) => Poll::Pending,
        }
    }

    /// The connection is up: the connect record and what is undelivered go first.
    pub fn opened(&mut self, now: Instant, mut link: Wire) {
        link.set_keep_alive(self.config.keep_alive); // R-WS.17
        self.session.channel_opened(now, link.connect_record());
        self.stall = Stall::default();
        self.unheard = 0;
        self.refused = None;
        self.register(now, self.config.register.clone());
        self.taken_at = self.tls.is_some().then(|| now + CERTIFICATE_TAKEN_AFTER);
        self.channel = Channel::Open(link);
        self.backoff.reset(); // R-WS.21
    }

    /// A USP Service asks its broker for its paths.
    fn register(&mut self, now: Instant, paths: Vec<String>) {
        if paths.is_empty() {
            return;
        }
        let path = |path| RegistrationPath { path };
        let request = Register {
            allow_partial: true,
            reg_paths: paths.into_iter().map(path).collect(),
        };
        if let Err(error) = self.session.register(now, request, REGISTER_TIME_MAX) {
            tracing::warn!(broker = %self.config.endpoint_id, %error, "nothing is registered");
        }
    }

    /// The broker has answered: what it refuses is asked for again after a while.
    pub fn registered(
        &mut self,
        now: Instant,
        own: &EndpointId,
        result: Result<Response, UspError>,
    ) {
        let mut refused = Vec::new();
        match result {
            Ok(Response::RegisterResp(response)) => {
                for one in response.registered_path_results {
                    match one.oper_status {
                        RegisterStatus::OperSuccess(_) => {
                            tracing::info!(agent = %own, broker = %self.config.endpoint_id, path = one.requested_path, "registered");
                        }
                        RegisterStatus::OperFailure(failure) => {
                            tracing::warn!(agent = %own, broker = %self.config.endpoint_id, path = one.requested_path, code = failure.err_code, why = failure.err_msg, "not registered");
                            refused.push(one.requested_path);
                        }
                    }
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(agent = %own, broker = %self.config.endpoint_id, %error, "nothing is registered");
                refused = self.config.register.clone();
            }
        }
        self.refused = (!refused.is_empty()).then(|| (now + REGISTER_AGAIN, refused));
    }

    /// Asks for it again when it is time.
    pub fn register_again(&mut self, now: Instant) {
        if self.refused.as_ref().is_some_and(|(due, _)| *due <= now)
            && let Some((_, paths)) = self.refused.take()
        {
            self.register(now, paths);
        }
    }

    /// A request was not carried out, because its answer would have found no place. Said once for a connection, and counted.
    pub fn unheard(&mut self, own: &EndpointId) {
        self.unheard += 1;
        if self.unheard == 1 {
            tracing::warn!(agent = %own, controller = %self.session.peer(), limit = "REPLIES_MAX", "a controller asks and does not read what it is answered; what it asks is dropped");
        }
    }

    /// The connection is gone: waits before dialling again.
    pub fn lost(&mut self, now: Instant, random: u64) {
        let requests = std::mem::take(&mut self.unheard);
        if requests > 1 {
            tracing::warn!(controller = %self.session.peer(), requests, "were dropped, because the controller did not read what it was answered");
        }
        self.session.channel_closed(now);
        self.stall = Stall::default();
        (self.refused, self.taken_at) = (None, None);
        self.channel = match &self.config.reach {
            Reach::Awaited | Reach::Local => Channel::Idle,
            // R-UDS.5
            Reach::Socket(_) => Channel::Waiting(now + mtp::uds::retry_wait(random)),
            Reach::WebSocket(_) => Channel::Waiting(now + self.backoff.next(random)),
            Reach::Mqtt(link) => self.again_within(now, link.retry_max, random),
            Reach::Stomp(link) => self.again_within(now, link.retry_max, random),
        };
    }

    /// The next attempt, after a wait of at most so many seconds.
    fn again_within(&mut self, now: Instant, longest: u32, random: u64) -> Channel {
        let longest = Duration::from_secs(longest.into());
        Channel::Waiting(now + self.backoff.next(random).min(longest))
    }

    /// Dial at once; for new addresses and wanted reconnects.
    pub fn dial_now(&mut self, now: Instant) {
        self.backoff = backoff(&self.config);
        self.channel = match self.config.reach {
            Reach::Awaited | Reach::Local => Channel::Idle,
            _ => Channel::Waiting(now),
        };
    }

    /// Whether nothing has changed but where a STOMP server delivers to us: then we listen there, and the connection
    /// stays (R-STOMP.29).
    pub fn moves(&mut self, before: &Reach) -> bool {
        let (Reach::Stomp(before), Reach::Stomp(after)) = (before, &self.config.reach) else {
            return false;
        };
        let own_destination = after.own_destination.clone();
        let mut before = (**before).clone();
        before.own_destination = own_destination;
        match &mut self.channel {
            Channel::Open(link) if before == **after => link.resubscribe(&after.own_destination),
            _ => false,
        }
    }

    /// The controller is told where it finds us now, as soon as we are found there.
    pub fn settled(&mut self, now: Instant) {
        if let Channel::Open(link) = &mut self.channel
            && link.moved()
        {
            self.session.announce(now, link.connect_record());
        }
    }

    /// Whether what is no record ends the connection.
    pub fn closes_on_garbage(&self) -> bool {
        matches!(&self.channel, Channel::Open(link) if link.closes_on_garbage())
    }

    /// Writes what the session wants to send, as far as there is room: nobody waits for a peer that does not read. An
    /// error means that the connection is useless.
    pub async fn flush(&mut self, now: Instant) -> Result<(), WireError> {
        let Channel::Open(link) = &mut self.channel else {
            return Ok(());
        };
        let mut sent = false;
        while link.has_room()
            && let Some(record) = self.session.poll_transmit()
        {
            link.send(record).await?;
            sent = true;
        }
        let seen = Seen {
            room: link.has_room(),
            sent,
            waiting: link.waiting_bytes(),
        };
        match self.stall.look(now, seen, SEND_TIME_MAX) {
            true => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
            false => Ok(()),
        }
    }

    /// Takes leave (R-MTP.7) and gives the connection away: what is left to be said is written, and it is closed, in
    /// [`CLOSING_TIME_MAX`] at most. Nobody else waits for that.
    pub fn leave(
        &mut self,
        now: Instant,
        why: &'static str,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let channel = std::mem::replace(&mut self.channel, Channel::Idle);
        self.stall = Stall::default();
        self.taken_at = None;
        let Channel::Open(mut link) = channel else {
            self.session.channel_closed(now);
            return None;
        };
        // The sentence matters; no code of the table means an ordinary end.
        self.session.disconnect(ErrorCode(0), why);
        let last: Vec<Bytes> = std::iter::from_fn(|| self.session.poll_transmit()).collect();
        self.session.channel_closed(now);
        let all = async move {
            for record in last {
                if link.send(record).await.is_err() {
                    return;
                }
            }
            link.close(CloseCode::Normal, reason::DONE).await;
        };
        Some(async move {
            let _ = tokio::time::timeout(CLOSING_TIME_MAX, all).await;
        })
    }

    /// When something is due for this peer.
    pub fn deadline(&self) -> Option<Instant> {
        let channel = match &self.channel {
            Channel::Waiting(at) => Some(*at),
            Channel::Open(link) => link.next_ping(),
            Channel::Idle | Channel::Dialing(_) => None,
        };
        let refused = self.refused.as_ref().map(|(due, _)| *due);
        let stall = self.stall.due(SEND_TIME_MAX);
        [
            channel,
            self.session.poll_timeout(),
            refused,
            stall,
            self.taken_at,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

fn backoff(config: &ControllerLink) -> Backoff {
    let (wait, multiplier) = (Duration::from_secs(config.retry.0.into()), config.retry.1);
    match config.reach {
        Reach::Stomp(_) => Backoff::from_zero(wait, multiplier),
        _ => Backoff::new(wait, multiplier),
    }
}

#[cfg(test)]
mod tests {
    use usp::agent::Event;
    use usp::context::{Mode, Payload};
    use usp::proto::record::UdsConnectRecord;

    use super::*;
    use crate::engine::SessionSettings;

    fn peer(own: &EndpointId) -> Peer {
        let broker: EndpointId = "self::broker".parse().unwrap();
        let config = ControllerLink {
            instance: 1,
            mtp: 1,
            endpoint_id: broker.clone(),
            reach: Reach::Awaited,
            retry: (5, 2000),
            keep_alive: 60,
            session: SessionSettings {
                mode: Mode::Forbid,
                expires: 0,
                retry: (5, 2000),
                record_bytes_max: 0,
                retransmits_max: 0,
                payload: Payload::Plaintext,
            },
            register: vec!["Device.X_A.".into()],
            proves: false,
            found: false,
        };
        let session = Session::new(&Default::default(), own.clone(), broker, 1);
        Peer::new(config, session)
    }

    #[test]
    fn a_broker_that_says_nothing_is_asked_again() {
        let own: EndpointId = "self::service".parse().unwrap();
        let mut peer = peer(&own);
        let start = Instant::now();
        peer.session.channel_opened(start, UdsConnectRecord {});
        peer.register(start, peer.config.register.clone());
        let sent = |peer: &mut Peer| std::iter::from_fn(|| peer.session.poll_transmit()).count();
        assert_eq!(sent(&mut peer), 2);

        let late = start + REGISTER_TIME_MAX;
        assert_eq!(peer.deadline(), Some(late));
        peer.session.handle_timeout(late);
        let Some(Event::Registered { result, .. }) = peer.session.poll_event() else {
            panic!("nothing is said of it");
        };
        peer.registered(late, &own, result);
        let again = late + REGISTER_AGAIN;
        assert_eq!(peer.deadline(), Some(again));
        peer.register_again(late);
        assert_eq!(sent(&mut peer), 0);
        peer.register_again(again);
        assert_eq!(sent(&mut peer), 1);
    }

    #[test]
    fn nothing_is_due_for_a_peer_that_was_left_while_it_did_not_read() {
        let own: EndpointId = "self::service".parse().unwrap();
        let mut peer = peer(&own);
        let start = Instant::now();
        let seen = Seen {
            room: false,
            sent: true,
            waiting: 1,
        };
        peer.stall.look(start, seen, SEND_TIME_MAX);
        assert_eq!(peer.deadline(), Some(start + SEND_TIME_MAX));
        assert!(peer.leave(start, "its row has changed").is_none());
        assert_eq!(peer.deadline(), None);
    }
}
