//! The sockets for this device's own processes: USP Services, towards which this agent is the controller (a USP Broker),
//! and controllers that run here. Deliberately no rules of who has which path: those are the engine's.

use std::collections::{BTreeMap, HashMap};
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use mtp::uds::{Accepted, Admission, Hello, Link, LinkError, Listener, ListenerConfig};
use usp::agent::RequestToken;
use usp::controller::{Config, Event, PeerError, Registration, RequestId, Session};
use usp::msg::{Request, Response};
use usp::session::{Ignored, Transport};
use usp::{EndpointId, ErrorCode, UspError};

use super::peer::Channel;
use super::stall::{Seen, Stall};
use super::turn::poll_in_turn;
use super::{Driver, RunError};
use crate::limits::{SERVICE_ANSWER_TIME_MAX, SERVICE_SEND_TIME_MAX};
use crate::{Reach, ServicesConfig};

/// Who may come in at one of the sockets, kept current by the driver.
pub(super) struct LocalDoor {
    own: EndpointId,
    /// Those that are expected; `None`: everybody.
    expected: Option<Mutex<Vec<EndpointId>>>,
    /// Whose processes belong to one user alone.
    users: Vec<(EndpointId, u32)>,
}

impl Admission for LocalDoor {
    fn admit(&self, hello: &Hello) -> Result<EndpointId, String> {
        let id = &hello.endpoint_id;
        if let Some(expected) = &self.expected {
            let expected = expected.lock().unwrap_or_else(PoisonError::into_inner);
            if !expected.contains(id) {
                return Err(format!("{id} is not a controller of this device"));
            }
        }
        let uid = hello.credentials.uid;
        let mut users = self.users.iter();
        if users.any(|(known, user)| known == id && *user != uid) {
            return Err(format!("{id} is not user {uid} of this device"));
        }
        Ok(self.own.clone())
    }
}

/// A service that is connected.
struct Service {
    number: u32,
    session: Session,
    link: Link,
    stall: Stall,
    asks: HashMap<RequestId, u64>,
    /// Records of it that were dropped.
    dropped: u64,
}

impl Service {
    /// What it has said leads to nothing. Told the first time, and ever more rarely: it may go on and on.
    fn ignored(&mut self, own: &EndpointId, why: &Ignored) {
        let service = self.session.peer();
        // A late answer and a repetition are everyday life.
        if matches!(why, Ignored::Unmatched { .. } | Ignored::Duplicate { .. }) {
            return tracing::debug!(agent = %own, %service, %why, "ignored");
        }
        self.dropped += 1;
        if self.dropped.is_power_of_two() {
            let times = self.dropped;
            tracing::warn!(agent = %own, %service, %why, times, "a service says what does not count, which is dropped");
        }
    }
}

/// See the module's words.
#[derive(Default)]
pub(super) struct Services {
    services: Option<Listener<LocalDoor>>,
    controllers: Option<Listener<LocalDoor>>,
    controller_door: Option<Arc<LocalDoor>>,
    peers: Vec<Service>,
    /// Who is listened to first.
    first: usize,
    /// How they are spoken with; a device without services has none.
    config: Option<Arc<Config>>,
    /// Requests of controllers that wait for services: whose they are, and by which way they came.
    jobs: BTreeMap<u64, ((u32, u32), RequestToken)>,
}

/// What happened at a socket.
pub(super) enum Local {
    Service(Box<Accepted>),
    Controller(Box<Accepted>),
    /// A record, or that there is room again for what is sent.
    Heard(usize, Result<Option<Bytes>, LinkError>),
}

impl Services {
    /// Makes the socket files. `users`: the controllers whose processes belong to one user alone.
    pub async fn open(
        config: Option<&ServicesConfig>,
        users: Vec<(EndpointId, u32)>,
        own: &EndpointId,
    ) -> Result<Services, RunError> {
        let Some(config) = config else {
            return Ok(Services::default());
        };
        let door = |expected, users| {
            Arc::new(LocalDoor {
                own: own.clone(),
                expected,
                users,
            })
        };
        let services = door(None, config.users());
        let controllers = door(Some(Mutex::default()), users);
        let talk = Config {
            transport: Transport::Uds,
            registrations: true,
            window: usp::limits::WINDOW_MAX,
            queue: usp::limits::QUEUE_MAX,
            ..Config::default()
        };
        Ok(Services {
            services: bind(config.service_socket(), &services).await?,
            controllers: bind(config.controller_socket(), &controllers).await?,
            controller_door: Some(controllers),
            config: Some(Arc::new(talk)),
            ..Services::default()
        })
    }

    /// The next thing that happens. Cancel-safe.
    pub async fn next(&mut self) -> Local {
        let Services {
            services,
            controllers,
            peers,
            first,
            ..
        } = self;
        tokio::select! {
            accepted = accept(services) => Local::Service(Box::new(accepted)),
            accepted = accept(controllers) => Local::Controller(Box::new(accepted)),
            (at, heard) = poll_fn(|cx| {
                poll_in_turn(peers, first, |peer| pin!(peer.link.recv_some()).poll(cx))
            }) => Local::Heard(at, heard),
        }
    }

    /// When something is due.
    pub fn deadline(&self) -> Option<Instant> {
        let due = |peer: &Service| {
            [
                peer.session.poll_timeout(),
                peer.stall.due(SERVICE_SEND_TIME_MAX),
            ]
        };
        self.peers.iter().flat_map(due).flatten().min()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        for peer in &mut self.peers {
            peer.session.handle_timeout(now);
        }
    }

    /// Which controllers may come in at our socket.
    pub fn expect(&self, controllers: Vec<EndpointId>) {
        let door = self.controller_door.as_ref();
        if let Some(expected) = door.and_then(|door| door.expected.as_ref()) {
            *expected.lock().unwrap_or_else(PoisonError::into_inner) = controllers;
        }
    }
}

async fn accept(listener: &mut Option<Listener<LocalDoor>>) -> Accepted {
    match listener {
        Some(listener) => listener.accept().await,
        None => pending().await,
    }
}

async fn bind(
    file: Option<ListenerConfig>,
    door: &Arc<LocalDoor>,
) -> Result<Option<Listener<LocalDoor>>, RunError> {
    match file {
        None => Ok(None),
        Some(file) => Ok(Some(Listener::bind(file, door.clone()).await?)),
    }
}

impl Driver {
    pub(super) fn local(&mut self, happened: Local) {
        match happened {
            Local::Service(accepted) => self.service_accepted(*accepted),
            Local::Controller(accepted) => self.local_controller(*accepted),
            Local::Heard(_, Ok(None)) => {}
            Local::Heard(at, Ok(Some(record))) => {
                let now = self.clock.now().at;
                let peer = &mut self.services.peers[at];
                if let Err(error) = peer.session.handle_input(now, &record) {
                    self.drop_service(at, &error.to_string(), true); // R-UDS.23
                }
            }
            Local::Heard(at, Err(error)) => {
                // Where it is to be told why, the link has done so.
                self.drop_service(at, &error.to_string(), false);
            }
        }
    }

    fn service_accepted(&mut self, accepted: Accepted) {
        let id = accepted.hello.endpoint_id;
        let number = match self.engine.service_connected(&id) {
            Ok(number) => number,
            Err(fault) => {
                tracing::info!(agent = %self.engine.endpoint_id(), service = %id, %fault, "a service is refused");
                let link = accepted.link;
                self.closing
                    .spawn(async move { link.refuse(&fault.message).await });
                return;
            }
        };
        tracing::info!(agent = %self.engine.endpoint_id(), service = %id, process = ?accepted.hello.credentials, "a service has connected");
        let own = self.engine.endpoint_id().clone();
        let ids = self.next_random();
        let config = self.services.config.clone().unwrap_or_default();
        self.services.peers.push(Service {
            number,
            session: Session::new(config, own, id, ids),
            link: accepted.link,
            stall: Stall::default(),
            asks: HashMap::new(),
            dropped: 0,
        });
    }

    /// A controller of this device has connected to our socket.
    fn local_controller(&mut self, accepted: Accepted) {
        let now = self.clock.now().at;
        let wanted = |peer: &&mut super::Peer| {
            peer.config.reach == Reach::Local
                && *peer.session.peer() == accepted.hello.endpoint_id
                && !matches!(peer.channel, Channel::Open(_))
        };
        if let Some(peer) = self.peers.iter_mut().find(wanted) {
            tracing::info!(agent = %self.engine.endpoint_id(), controller = %peer.session.peer(), "a controller of this device has connected");
            peer.opened(now, accepted.link.into());
        } else {
            let link = accepted.link;
            self.closing
                .spawn(async move { link.refuse("is connected already").await });
        }
    }

    /// Ends the connection to a service, which takes its paths with it; `told` why by an Error frame.
    fn drop_service(&mut self, at: usize, why: &str, told: bool) {
        let peer = self.services.peers.swap_remove(at);
        tracing::info!(agent = %self.engine.endpoint_id(), service = %peer.session.peer(), why, "a service is gone");
        let (why, link) = (why.to_owned(), peer.link);
        self.closing.spawn(async move {
            match told {
                true => link.refuse(&why).await,
                false => link.close().await,
            }
        });
        self.engine.service_gone(self.clock.now(), peer.number);
    }

    /// All of them, because the device restarts or the agent stops.
    pub(super) fn drop_services(&mut self) {
        while !self.services.peers.is_empty() {
            self.drop_service(0, "the agent stops, or its device restarts", false);
        }
        // Who waits for them is let go, too.
        self.services.jobs.clear();
    }

    /// Carries out what services say and sends what they are asked. Says whether anything happened.
    pub(super) async fn settle_services(&mut self) -> bool {
        let mut busy = false;
        let mut at = 0;
        while at < self.services.peers.len() {
            let mut gone = Ok(());
            while let Some(event) = self.services.peers[at].session.poll_event() {
                busy = true;
                if let Event::Disconnected { reason, .. } = &event {
                    gone = Err(format!("it took its leave: {reason}"));
                    break;
                }
                self.service_event(at, event);
            }
            if gone.is_ok() {
                gone = self.flush_service(at).await;
            }
            match gone {
                Ok(()) => at += 1,
                Err(why) => {
                    self.drop_service(at, &why, false);
                    busy = true;
                }
            }
        }
        busy
    }

    /// Writes as far as there is room.
    async fn flush_service(&mut self, at: usize) -> Result<(), String> {
        let now = self.clock.now().at;
        let peer = &mut self.services.peers[at];
        let mut sent = false;
        while peer.link.has_room()
            && let Some(record) = peer.session.poll_transmit()
        {
            let sending = peer.link.send(record).await;
            sending.map_err(|error| error.to_string())?;
            sent = true;
        }
        let seen = Seen {
            room: peer.link.has_room(),
            sent,
            waiting: peer.link.waiting_bytes(),
        };
        if peer.stall.look(now, seen, SERVICE_SEND_TIME_MAX) {
            return Err("it does not read".to_owned());
        }
        Ok(())
    }

    fn service_event(&mut self, at: usize, event: Event) {
        let now = self.clock.now();
        let peer = &mut self.services.peers[at];
        let number = peer.number;
        match event {
            Event::Registering {
                token,
                registration,
            } => {
                let result = match registration {
                    Registration::Register(asked) => {
                        let result = self.engine.register(number, &asked);
                        result.map(Response::RegisterResp)
                    }
                    Registration::Deregister(asked) => {
                        let response = self.engine.deregister(now, number, &asked);
                        Ok(Response::DeregisterResp(response))
                    }
                };
                if let Err(error) = &result {
                    tracing::warn!(agent = %self.engine.endpoint_id(), service = %peer.session.peer(), %error, "a registration is refused");
                }
                let _ = peer.session.answer_registration(token, result);
            }
            Event::Notified { token, notify, .. } => {
                // What controllers get of it is this agent's to repeat.
                let _ = peer.session.acknowledge(token);
                self.engine.service_notified(now, number, notify);
            }
            Event::Answered { id, result } => {
                let Some(ask) = peer.asks.remove(&id) else {
                    return;
                };
                let result = match result {
                    Ok(response) => Ok(response),
                    Err(PeerError::Refused(error)) => Err(error),
                    Err(other) => {
                        let why = format!("the service {}: {other}", peer.session.peer());
                        return self.engine.service_silent(now, ask, &why);
                    }
                };
                self.engine.service_answered(now, ask, result);
            }
            Event::TimedOut { id, .. } => {
                if let Some(ask) = peer.asks.remove(&id) {
                    let why = format!("the service {} does not answer", peer.session.peer());
                    self.engine.service_silent(now, ask, &why);
                }
            }
            Event::Connected { .. } | Event::Disconnected { .. } => {}
            Event::Incompatible { theirs } => {
                tracing::warn!(service = %peer.session.peer(), theirs, "no common USP version");
            }
            Event::Ignored(why) => peer.ignored(self.engine.endpoint_id(), &why),
            Event::Context(_) => {
                tracing::debug!(service = %peer.session.peer(), ?event, "nothing follows");
            }
        }
    }

    /// Asks a service on the engine's behalf.
    pub(super) fn ask_service(&mut self, service: u32, ask: u64, request: Request) {
        let now = self.clock.now();
        let mut peers = self.services.peers.iter_mut();
        let asked = match peers.find(|peer| peer.number == service) {
            None => Err("the service is gone".to_owned()),
            Some(peer) => {
                let asked = peer
                    .session
                    .request(now.at, request, SERVICE_ANSWER_TIME_MAX);
                asked
                    .map(|id| _ = peer.asks.insert(id, ask))
                    .map_err(|error| error.to_string())
            }
        };
        if let Err(why) = asked {
            let error = UspError::new(ErrorCode::RESOURCES_EXCEEDED, why);
            self.engine.service_answered(now, ask, Err(error));
        }
    }

    /// A request waits for services.
    pub(super) fn wait_for_services(&mut self, job: u64, at: usize, token: RequestToken) {
        let from = &self.peers[at].config;
        let from = (from.instance, from.mtp);
        self.services.jobs.insert(job, (from, token));
    }

    /// Services have answered; `None` when nobody waits for it any more.
    pub(super) fn answer_job(
        &mut self,
        job: u64,
        result: Result<Response, UspError>,
    ) -> Option<usize> {
        let ((controller, mtp), token) = self.services.jobs.remove(&job)?;
        let at = self
            .peers
            .iter()
            .position(|peer| peer.is(controller, mtp))?;
        // Another controller of the same number does not know the token.
        let _ = self.peers[at].session.respond(token, result);
        Some(at)
    }
}
