//! The tokio driver: one task per agent, which dials and accepts, moves records between links and sessions, lets the
//! engine answer, and carries out its effects. Deliberately nothing of the data model.

mod dial;
mod domain;
mod effects;
mod identity;
mod inbound;
mod lan;
mod lease;
mod peer;
mod services;
mod stall;
mod turn;
mod ways;
mod wire;

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Instant;

use mtp::discovery::dhcp::Offer;
use mtp::ws::{CloseCode, Listener, reason};
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use crate::limits::CLOSING_TIME_MAX;
use crate::{
    AgentConfig, Backend, Effect, Engine, EngineError, NoStorage, Now, Reach, Restart, Storage,
};
use domain::Domain;
use identity::EndToEnd;
use inbound::Door;
use lease::Lease;
use peer::{Channel, Happened, Peer};
use services::{Local, Services};
use turn::poll_in_turn;

/// Where the driver takes the time from.
pub trait Clock: Send + Sync {
    /// Both clocks, now.
    fn now(&self) -> Now;
}

/// The machine's clocks; follows tokio's paused time in tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            at: tokio::time::Instant::now().into_std(),
            unix_ms: since.as_millis() as i64,
        }
    }
}

/// What differs between a program, a simulation and a test.
pub struct RunOptions {
    /// Where the state is kept.
    pub storage: Box<dyn Storage>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For message ids and waits. Two agents with one seed behave alike.
    pub seed: u64,
    /// Told once: the address the agent listens on, when it does.
    pub listening: Option<tokio::sync::oneshot::Sender<SocketAddr>>,
}

impl Default for RunOptions {
    fn default() -> RunOptions {
        RunOptions {
            storage: Box::new(NoStorage),
            clock: Arc::new(SystemClock),
            seed: rand::random(),
            listening: None,
        }
    }
}

/// Why an agent stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// It could not listen.
    #[error("listen.address {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What went wrong.
        source: std::io::Error,
    },
    /// It could not make a socket for the processes of the device.
    #[error("services: {0}")]
    Socket(#[from] mtp::uds::BindError),
    /// Multicast DNS cannot be spoken.
    #[error("discovery.mdns: {0}")]
    Lan(#[from] mtp::discovery::dns_sd::StartError),
    /// Certificates could not be used.
    #[error("tls: {0}")]
    Tls(String),
}

/// Runs one agent until `shutdown`, in the calling task. A restart of the device (`Reboot()`) happens inside.
pub async fn run(
    config: AgentConfig,
    backend: Box<dyn Backend>,
    options: RunOptions,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let RunOptions {
        storage,
        clock,
        seed,
        listening,
    } = options;
    let (listen, services) = (config.listen.clone(), config.services.clone());
    let (tls, users) = (config.tls.clone(), config.local_users());
    let discovery = config.discovery.clone();
    let lease = discovery.dhcp_lease.clone();
    let lease = lease.map(|file| Lease::new(file, clock.now().at));
    let engine = Engine::new(config, backend, storage, clock.now())?;
    let identity = EndToEnd::load(&tls, engine.endpoint_id())?;
    let path = listen
        .as_ref()
        .map(|listen| listen.path.clone())
        .unwrap_or_default();
    let door = Arc::new(Door::new(engine.endpoint_id().clone(), path));
    let listener = match &listen {
        Some(listen) => Some(inbound::listen(listen, &door).await?),
        None => None,
    };
    let services = Services::open(services.as_ref(), users, engine.endpoint_id()).await?;
    let now = clock.now();
    let lan = lan::start(&discovery, &engine, now, listener.as_ref(), &listen)?;
    let mut driver = Driver {
        engine,
        clock,
        tls,
        identity,
        random: seed,
        peers: Vec::new(),
        first: 0,
        door,
        listener,
        services,
        lease,
        domain: None,
        lan,
        closing: JoinSet::new(),
    };
    driver.engine.set_end_to_end(driver.identity.is_there());
    driver.engine.set_listening(driver.listener.is_some());
    if let (Some(sender), Some(listener)) = (listening, &driver.listener) {
        let _ = sender.send(listener.local_addr());
    }
    tracing::info!(agent = %driver.engine.endpoint_id(), "agent started");
    let result = driver.run(&shutdown).await;
    driver.leave("the agent stops").await;
    if let Some(lan) = driver.lan.take() {
        lan.close().await;
    }
    tracing::info!(agent = %driver.engine.endpoint_id(), "agent stopped");
    result
}

struct Driver {
    engine: Engine,
    clock: Arc<dyn Clock>,
    tls: crate::TlsConfig,
    identity: EndToEnd,
    random: u64,
    peers: Vec<Peer>,
    /// Who is listened to first.
    first: usize,
    door: Arc<Door>,
    listener: Option<Listener<Door>>,
    services: Services,
    lease: Option<Lease>,
    domain: Option<Domain>,
    lan: Option<lan::Lan>,
    closing: JoinSet<()>,
}

/// What woke the driver.
enum Woken {
    Shutdown,
    Time,
    Hint,
    Peer(usize, Happened),
    Accepted(Box<mtp::ws::Accepted<usp::EndpointId>>),
    Local(Local),
    Lan(Offer),
    LookedUp(Result<Offer, String>),
}

impl Driver {
    async fn run(&mut self, shutdown: &CancellationToken) -> Result<(), RunError> {
        // Made once: to wait anew with each record costs as much as to answer a small one.
        let mut stop = pin!(shutdown.cancelled());
        let mut alarm = pin!(tokio::time::sleep_until(self.clock.now().at.into()));
        loop {
            let (tick, restart) = self.settle().await;
            if let Some(restart) = restart {
                self.leave("the device restarts").await;
                let Some(down) = self.engine.go_down(self.clock.now(), &restart)? else {
                    tracing::info!(agent = %self.engine.endpoint_id(), "the device restarts; this process waits for its end");
                    return Ok(());
                };
                tokio::select! {
                    () = stop.as_mut() => return Ok(()),
                    () = tokio::time::sleep(down) => {}
                }
                // Undelivered notifications and retry counters do not survive a restart (R-NOT.4, R-WS.21).
                self.peers.clear();
                self.engine.come_up(self.clock.now())?;
                self.forget_lease();
                continue;
            }
            match self.wait(tick, stop.as_mut(), alarm.as_mut()).await {
                Woken::Shutdown => return Ok(()),
                Woken::Time | Woken::Hint => {}
                Woken::Peer(at, happened) => self.happened(at, happened),
                Woken::Accepted(accepted) => self.accepted(*accepted),
                Woken::Local(happened) => self.local(happened),
                Woken::Lan(offer) => self.on_the_lan(&offer),
                Woken::LookedUp(found) => self.looked_up(found),
            }
            self.time_passes();
        }
    }

    async fn wait(
        &mut self,
        tick: Option<Instant>,
        stop: Pin<&mut impl Future<Output = ()>>,
        mut alarm: Pin<&mut Sleep>,
    ) -> Woken {
        let deadline = self
            .peers
            .iter()
            .filter_map(Peer::deadline)
            .chain(tick)
            .chain(self.services.deadline())
            .chain(self.lease.as_ref().map(Lease::deadline))
            .min();
        if let Some(at) = deadline.map(tokio::time::Instant::from)
            && alarm.deadline() != at
        {
            alarm.as_mut().reset(at);
        }
        let notifier = self.engine.notifier();
        let Driver {
            peers,
            first,
            listener,
            services,
            closing,
            domain,
            lan,
            ..
        } = self;
        tokio::select! {
            () = stop => Woken::Shutdown,
            (at, happened) = poll_fn(|cx| poll_in_turn(peers, first, |peer| peer.poll(cx)))
                => Woken::Peer(at, happened),
            accepted = async {
                match listener {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            } => Woken::Accepted(Box::new(accepted)),
            happened = services.next() => Woken::Local(happened),
            offer = lan::next(lan) => Woken::Lan(offer),
            found = domain::next(domain) => Woken::LookedUp(found),
            () = notifier.woken() => Woken::Hint,
            () = alarm, if deadline.is_some() => Woken::Time,
            Some(_) = closing.join_next() => Woken::Time,
        }
    }

    fn happened(&mut self, at: usize, happened: Happened) {
        let now = self.clock.now().at;
        let random = self.next_random();
        let peer = &mut self.peers[at];
        let (instance, mtp) = (peer.config.instance, peer.config.mtp);
        if matches!(happened, Happened::Record(_)) && peer.judges_certificate(&self.engine) {
            self.engine.certificate_accepted();
        }
        match happened {
            Happened::Dialed(Ok(link)) => {
                peer.opened(now, link);
                self.show(at);
                // A client identifier that was assigned is no reason to connect again.
                let mut links = self.engine.controllers().into_iter();
                let peer = &mut self.peers[at];
                if let Some(now) = links.find(|one| (one.instance, one.mtp) == (instance, mtp)) {
                    peer.config.reach = now.reach;
                }
                tracing::info!(agent = %self.engine.endpoint_id(), controller = %peer.session.peer(), "connected");
            }
            Happened::Dialed(Err(error)) => {
                peer.lost(now, random);
                let judged = peer.judges_certificate(&self.engine) && !error.busy;
                tracing::info!(agent = %self.engine.endpoint_id(), controller = %peer.session.peer(), %error, "cannot connect");
                if judged {
                    self.certificate_refused();
                }
            }
            Happened::Record(record) => match peer.session.handle_input(now, &record) {
                Ok(()) => {}
                // R-WS.16: what is no record closes the connection.
                Err(error @ (usp::Error::InvalidMessage(_) | usp::Error::LimitExceeded { .. }))
                    if peer.closes_on_garbage() =>
                {
                    tracing::info!(agent = %self.engine.endpoint_id(), controller = %peer.session.peer(), %error, "not a record");
                    let channel = std::mem::replace(&mut peer.channel, Channel::Idle);
                    peer.lost(now, random);
                    if let Channel::Open(link) = channel {
                        self.closing.spawn(async move {
                            link.close(CloseCode::Unsupported, reason::UNPARSABLE_RECORD)
                                .await;
                        });
                    }
                }
                Err(error) => {
                    tracing::debug!(agent = %self.engine.endpoint_id(), controller = %peer.session.peer(), %error, "record refused");
                }
            },
            Happened::Room => peer.settled(now),
            Happened::Closed(why) => {
                peer.lost(now, random);
                let judged = peer.judges_certificate(&self.engine);
                tracing::info!(agent = %self.engine.endpoint_id(), controller = %peer.session.peer(), why, "connection lost");
                self.show(at);
                if judged {
                    self.certificate_refused();
                }
            }
        }
        let peer = &self.peers[at];
        if let Reach::WebSocket(_) = peer.config.reach {
            let failures = peer.backoff.failures();
            self.engine.set_retry_count(instance, failures);
        }
    }

    /// Pings, retries, dials that are due.
    fn time_passes(&mut self) {
        let now = self.clock.now().at;
        self.services.handle_timeout(now);
        self.look_at_lease();
        for at in 0..self.peers.len() {
            let random = self.next_random();
            let peer = &mut self.peers[at];
            peer.session.handle_timeout(now);
            peer.register_again(now);
            if peer.has_taken_certificate(now, &self.engine) {
                self.engine.certificate_accepted();
            }
            match &mut peer.channel {
                Channel::Waiting(due) if *due <= now => self.begin_dial(at),
                Channel::Open(link) => {
                    if let Err(error) = link.keep_alive(now) {
                        tracing::info!(agent = %self.engine.endpoint_id(), controller = %peer.session.peer(), %error, "connection lost");
                        peer.lost(now, random);
                        self.show(at);
                    }
                }
                _ => {}
            }
        }
    }

    /// Carries everything out that can be done now: requests are answered, answers sent, then effects, until nothing
    /// is left. Returns when the engine wants to be called again after all that, and a restart, if one is wanted.
    async fn settle(&mut self) -> (Option<Instant>, Option<Restart>) {
        let mut restart = None;
        self.fail_over();
        loop {
            // Also reports commands that finished at once, after their answers.
            let tick = self.engine.tick(self.clock.now());
            let mut busy = false;
            for at in 0..self.peers.len() {
                let instance = self.peers[at].config.instance;
                if self.best(instance) == Some(at) {
                    let status = self.peers[at].session.context_status();
                    self.engine.set_context_status(instance, status);
                }
                while let Some(event) = self.peers[at].session.poll_event() {
                    busy = true;
                    self.event(at, event);
                }
                // Answers leave before their effects: a Set of our own address is answered on the old connection.
                self.flush(at).await;
            }
            busy |= self.settle_services().await;
            while let Some(effect) = self.engine.poll_effect() {
                busy = true;
                if let Effect::Restart(wanted) = effect {
                    restart = Some(wanted);
                } else {
                    self.effect(effect).await;
                }
            }
            if !busy {
                return (tick, restart);
            }
        }
    }

    async fn flush(&mut self, at: usize) {
        let now = self.clock.now().at;
        if let Err(error) = self.peers[at].flush(now).await {
            let random = self.next_random();
            let peer = &mut self.peers[at];
            tracing::info!(agent = %self.engine.endpoint_id(), controller = %peer.session.peer(), %error, "connection lost");
            peer.lost(now, random);
            self.show(at);
        }
    }

    /// Says goodbye to everybody and waits for the connections to close, not for long.
    async fn leave(&mut self, why: &'static str) {
        let now = self.clock.now().at;
        self.drop_services();
        for at in 0..self.peers.len() {
            self.flush(at).await;
            if let Some(close) = self.peers[at].leave(now, why) {
                self.closing.spawn(close);
            }
        }
        let all = async { while self.closing.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(CLOSING_TIME_MAX, all).await;
        self.closing.abort_all();
    }

    /// SplitMix64: good for waits and message ids, not for secrets.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
