//! The data-model engine: one agent's supported model, values, rows, subscriptions and commands, answering every
//! request of TR-369 1.4. Deliberately without sockets and clocks: time comes in, [`Effect`]s go out, and the driver
//! ([`crate::run`]) does the rest.

mod access;
mod boot;
mod certificate;
mod clock;
mod commit;
mod context;
mod discovery;
mod found;
mod get;
mod local;
mod mqtt;
mod notify;
mod operate;
mod paths;
mod reach;
mod services;
mod sockets;
mod state;
mod stomp;
mod supported;
#[cfg(test)]
mod tests;
mod timers;
mod trial;
mod values;
mod write;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use dm::Schema;
use usp::context::Status;
use usp::proto::msg::{Request, Response};
use usp::{EndpointId, ErrorCode, UspError, Versions};

use crate::backend::{CommandResult, Notifier, Restart};
use crate::storage::{Storage, StorageError};
use crate::{AgentConfig, Backend, Fault, Now};
pub use context::SessionSettings;
pub use discovery::{Found, Source};

pub(crate) use self::values::{Filter, Target};
pub use mqtt::MqttLink;
pub use notify::Outgoing;
pub use services::Handled;
pub use stomp::StompLink;
pub use trial::Refused;

/// The table of controllers.
pub(crate) const CONTROLLERS: &str = "Device.LocalAgent.Controller.";
/// The table of subscriptions.
pub(crate) const SUBSCRIPTIONS: &str = "Device.LocalAgent.Subscription.";
/// The table of running commands.
pub(crate) const REQUESTS: &str = "Device.LocalAgent.Request.";

/// Why an engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The endpoint id is none.
    #[error("endpoint_id: {0}")]
    EndpointId(String),
    /// The state cannot be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The back end's model or factory values contradict themselves.
    #[error("the device model cannot be used: {0}")]
    Model(String),
}

/// What the driver has to do. Taken with [`Engine::poll_effect`], in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send a notification.
    Notify(Outgoing),
    /// Send an OnBoardRequest to this controller.
    OnBoard(u32),
    /// Onboarding is complete: stop repeating the OnBoardRequest.
    OnBoardingDone(u32),
    /// This subscription is gone: forget its undelivered notifications.
    SubscriptionGone(u32),
    /// Controllers or their connections are configured differently: see [`Engine::controllers`].
    ControllersChanged,
    /// The agent's own listeners are configured differently.
    ListenersChanged,
    /// Close the connection to this controller by this MTP of its row, and connect again.
    Reconnect(u32, u32),
    /// Begin a new session context with this controller.
    ResetContext(u32),
    /// There is another certificate of the agent's own: connections to come show it, and those that are encrypted are made
    /// anew.
    CertificateRenewed,
    /// Restart the device after what is queued was sent.
    Restart(Restart),
    /// Ask a service; the answer, or that there is none, goes to [`Engine::service_answered`] or
    /// [`Engine::service_silent`].
    AskService {
        /// Its number.
        service: u32,
        /// Names what is asked.
        ask: u64,
        /// What is asked.
        request: Box<Request>,
    },
    /// Answer a request that was [`Handled::Later`].
    Answer {
        /// Its number.
        job: u64,
        /// The answer.
        result: Box<Result<Response, UspError>>,
    },
}

/// The way to a controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// It dials us.
    Awaited,
    /// We dial this URL.
    WebSocket(String),
    /// We meet at a broker.
    Mqtt(Box<MqttLink>),
    /// It connects to our socket.
    Local,
    /// We connect to its socket.
    Socket(std::path::PathBuf),
    /// We meet at a STOMP server.
    Stomp(Box<StompLink>),
}

impl Reach {
    /// Whether we dial it with TLS.
    pub fn is_encrypted(&self) -> bool {
        match self {
            Self::Awaited | Self::Local | Self::Socket(_) => false,
            Self::WebSocket(url) => url.starts_with("wss:"),
            Self::Mqtt(link) => link.encrypted,
            Self::Stomp(link) => link.encrypted,
        }
    }
}

/// One way to a controller, from its row and an enabled MTP of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerLink {
    /// Its instance number.
    pub instance: u32,
    /// Instance number of `MTP.{i}.` in its row; 0 where there is none, and it dials us.
    pub mtp: u32,
    /// Its endpoint id.
    pub endpoint_id: EndpointId,
    /// How it is reached.
    pub reach: Reach,
    /// Retry of dialling (R-WS.19, R-MQTT.10): shortest wait in seconds and multiplier.
    pub retry: (u32, u32),
    /// Seconds between pings.
    pub keep_alive: u32,
    /// How messages travel in session contexts.
    pub session: SessionSettings,
    /// What this agent, a USP Service, registers there.
    pub register: Vec<String>,
    /// Over TLS its certificate has to carry its endpoint id: it was found, and whoever named the host may have a
    /// certificate for it.
    pub proves: bool,
    /// It was found: where it dials us, its certificate has to carry its endpoint id, which anybody on the network knows.
    pub found: bool,
}

/// What the driver knows and the data model shows.
#[derive(Debug, Default)]
struct Links {
    listening: bool,
    /// There is a certificate for signatures and TLS between the endpoints themselves.
    end_to_end: bool,
    retries: BTreeMap<u32, u32>,
    /// Session contexts: how they stand and how often they failed.
    contexts: BTreeMap<u32, (Status, u32)>,
    /// Connected MQTT clients, with the instance of their MTP and the topic of answers.
    mqtt: BTreeMap<u32, (u32, String)>,
    /// STOMP connections that there were.
    stomp: BTreeMap<u32, stomp::Shown>,
}

/// The engine of one agent.
pub struct Engine {
    schema: Arc<Schema>,
    own: EndpointId,
    config: AgentConfig,
    versions: Versions,
    state: state::State,
    storage: Box<dyn Storage>,
    backend: Box<dyn Backend>,
    notifier: Notifier,
    started: Now,
    /// The moment of the last input, for evaluations that have no other.
    last: Now,
    subscriptions: Vec<notify::Subscription>,
    /// Compiled permissions by controller; emptied whenever roles or controllers change.
    actors: BTreeMap<u32, Arc<access::Actor>>,
    /// When the back end wants to hear that time passes.
    backend_due: Option<Instant>,
    watched: BTreeMap<String, String>,
    compare_at: Instant,
    triggering: bool,
    requests: BTreeMap<u32, operate::Running>,
    next_request: u32,
    finished: Vec<(u32, CommandResult)>,
    timers: BTreeMap<u32, i64>,
    due: BTreeMap<u32, timers::Due>,
    links: Links,
    services: services::Services,
    /// A renewed certificate that no server has taken yet.
    trial: Option<trial::Trial>,
    effects: VecDeque<Effect>,
}

/// Objects that are the engine's own, and no back end's.
pub(crate) fn is_own(path: &str) -> bool {
    path.starts_with("Device.LocalAgent.")
        || path.starts_with(mqtt::MQTT)
        || path.starts_with(stomp::STOMP)
        || path.starts_with(services::USP_SERVICES)
        || path.starts_with(sockets::SOCKETS)
}

/// The engine-held values as a [`crate::View`].
pub(crate) struct Held<'a> {
    schema: &'a Schema,
    state: &'a state::State,
}

impl Engine {
    /// Loads the state (or makes the factory's), starts the back end and announces Boot!.
    pub fn new(
        config: AgentConfig,
        backend: Box<dyn Backend>,
        storage: Box<dyn Storage>,
        now: Now,
    ) -> Result<Engine, EngineError> {
        let own = config
            .endpoint_id
            .parse()
            .map_err(|error| EngineError::EndpointId(format!("{error}")))?;
        let schema = backend.schema();
        let mut engine = Engine {
            schema,
            own,
            config,
            versions: Versions::default(),
            state: state::State::default(),
            storage,
            backend,
            notifier: Notifier::default(),
            started: now,
            last: now,
            subscriptions: Vec::new(),
            actors: BTreeMap::new(),
            backend_due: Some(now.at),
            watched: BTreeMap::new(),
            compare_at: now.at,
            triggering: false,
            requests: BTreeMap::new(),
            next_request: 0,
            finished: Vec::new(),
            timers: BTreeMap::new(),
            due: BTreeMap::new(),
            links: Links::default(),
            services: services::Services::default(),
            trial: None,
            effects: VecDeque::new(),
        };
        engine.load(now)?;
        Ok(engine)
    }

    /// This agent's endpoint id.
    pub fn endpoint_id(&self) -> &EndpointId {
        &self.own
    }

    /// For waiting on hints from other threads.
    pub(crate) fn notifier(&self) -> Notifier {
        self.notifier.clone()
    }

    /// Answers a request of a controller out of what this agent has itself; [`Engine::begin`] asks services, too. Effects
    /// may follow; the answer is to be sent before they are carried out.
    pub fn handle(
        &mut self,
        now: Now,
        from: &EndpointId,
        request: Request,
    ) -> Result<Response, UspError> {
        let actor = self.who(now, from)?;
        self.answer(now, &actor, request)
    }

    /// The rights of a controller, if it is one.
    fn who(&mut self, now: Now, from: &EndpointId) -> Result<Arc<access::Actor>, UspError> {
        self.last = now;
        let Some(controller) = self.controller(from) else {
            return Err(UspError::new(
                ErrorCode::PERMISSION_DENIED,
                format!("{from} is not a controller of this agent"),
            ));
        };
        if self.is_banned(controller) {
            return Err(UspError::new(
                ErrorCode::REQUEST_DENIED,
                "this controller is banned",
            ));
        }
        Ok(self.actor(controller))
    }

    /// Answers what concerns this agent alone.
    fn answer(
        &mut self,
        now: Now,
        actor: &access::Actor,
        request: Request,
    ) -> Result<Response, UspError> {
        let plain = |fault: Fault| UspError::new(ErrorCode(fault.code), fault.message);
        match request {
            Request::Get(get) => self
                .get(now, actor, get)
                .map(Response::GetResp)
                .map_err(plain),
            Request::GetInstances(get) => self
                .get_instances(now, actor, get)
                .map(Response::GetInstancesResp)
                .map_err(plain),
            Request::GetSupportedDm(get) => self
                .supported_dm(now, actor, get)
                .map(Response::GetSupportedDmResp)
                .map_err(plain),
            Request::GetSupportedProtocol(_) => Ok(Response::GetSupportedProtocolResp(
                self.supported_protocol(),
            )),
            Request::Set(set) => self.set(now, actor, set).map(Response::SetResp),
            Request::Add(add) => self.add(now, actor, add).map(Response::AddResp),
            Request::Delete(delete) => self.delete(now, actor, delete).map(Response::DeleteResp),
            Request::Operate(operate) => self
                .operate(now, actor, operate)
                .map(Response::OperateResp)
                .map_err(plain),
            // Services ask these, and of the broker they are connected to: see `services`.
            Request::Register(_) | Request::Deregister(_) | Request::Notify(_) => Err(plain(
                Fault::message_not_supported("an agent does not serve this message"),
            )),
        }
    }

    /// The next thing for the driver to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// The instance of an enabled controller.
    pub fn controller(&self, endpoint_id: &EndpointId) -> Option<u32> {
        self.state.instances(CONTROLLERS).find(|n| {
            let row = self.state.object(&format!("{CONTROLLERS}{n}."));
            state::named(row, "EndpointID") == Some(endpoint_id.as_str())
                && state::named(row, "Enable") == Some("true")
        })
    }

    /// The driver listens (or not): shown as `MTP.{i}.Status`.
    pub fn set_listening(&mut self, listening: bool) {
        self.links.listening = listening;
    }

    /// Session contexts can be encrypted.
    pub fn set_end_to_end(&mut self, possible: bool) {
        self.links.end_to_end = possible;
    }

    /// How the session context with this controller stands: shown below `E2ESession.`.
    pub fn set_context_status(&mut self, controller: u32, status: (Status, u32)) {
        match status {
            (Status::Down, 0) => _ = self.links.contexts.remove(&controller),
            status => _ = self.links.contexts.insert(controller, status),
        }
    }

    /// How often dialling this controller failed in a row: shown as `CurrentRetryCount`.
    pub fn set_retry_count(&mut self, controller: u32, count: u32) {
        match count {
            0 => _ = self.links.retries.remove(&controller),
            count => _ = self.links.retries.insert(controller, count),
        }
    }
}

/// The instance of a row of `table` that a reference names.
fn instance(reference: &str, table: &str) -> Option<u32> {
    let rest = reference.strip_prefix(table)?;
    rest.trim_end_matches('.').parse().ok()
}
