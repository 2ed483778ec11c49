//! The data-model engine: one agent's supported model, values, rows, subscriptions and commands, answering every
//! request of TR-369 1.4. Deliberately without sockets and clocks: time comes in, [`Effect`]s go out, and the driver
//! ([`crate::run`]) does the rest.

mod access;
mod boot;
mod clock;
mod commit;
mod context;
mod get;
mod local;
mod mqtt;
mod notify;
mod operate;
mod paths;
mod services;
mod sockets;
mod state;
mod supported;
#[cfg(test)]
mod tests;
mod timers;
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

pub(crate) use self::values::{Filter, Target};
pub use mqtt::MqttLink;
pub use notify::Outgoing;
pub use services::Handled;

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
    /// Close this controller's connection and connect again.
    Reconnect(u32),
    /// Begin a new session context with this controller.
    ResetContext(u32),
    /// Restart the device after what is queued was sent.
    Restart(Restart),
    /// Ask a service; the answer, or that there is none, goes to [`Engine::service_answered`].
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
}

/// How to reach a controller, from its row and first enabled MTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerLink {
    /// Its instance number.
    pub instance: u32,
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
    effects: VecDeque<Effect>,
}

/// Objects that are the engine's own, and no back end's.
pub(crate) fn is_own(path: &str) -> bool {
    path.starts_with("Device.LocalAgent.")
        || path.starts_with(mqtt::MQTT)
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

    /// All enabled controllers and how to reach them.
    pub fn controllers(&self) -> Vec<ControllerLink> {
        let rows = self.state.instances(CONTROLLERS);
        rows.filter_map(|instance| {
            let row = format!("{CONTROLLERS}{instance}.");
            if !self.held_true(&format!("{row}Enable")) || self.is_banned(instance) {
                return None;
            }
            let endpoint_id: EndpointId = self.held(&format!("{row}EndpointID")).parse().ok()?;
            let mtps = format!("{row}MTP.");
            let mut enabled: Vec<(u64, String)> = self
                .state
                .instances(&mtps)
                .map(|n| format!("{mtps}{n}."))
                .filter(|mtp| self.held_true(&format!("{mtp}Enable")))
                .map(|mtp| (self.held_number(&format!("{mtp}Order")), mtp))
                .collect();
            enabled.sort();
            let first = enabled.into_iter().next().map(|(_, mtp)| mtp);
            if let Some(row) = &first
                && self.held(&format!("{row}Protocol")) == "MQTT"
            {
                let (link, retry) = self.mqtt_link(row)?;
                return Some(ControllerLink {
                    instance,
                    keep_alive: link.keep_alive.into(),
                    session: self.session_settings(instance),
                    register: self.registers(endpoint_id.as_str()),
                    reach: Reach::Mqtt(Box::new(link)),
                    retry,
                    endpoint_id,
                });
            }
            let local = first
                .as_ref()
                .filter(|row| self.held(&format!("{row}Protocol")) == "UDS");
            let local = local.map(|row| self.socket_reach(row));
            let mtp = first.map(|mtp| format!("{mtp}WebSocket."));
            let number = |name: &str, otherwise: u32| {
                let value = mtp
                    .as_ref()
                    .map_or(0, |mtp| self.held_number(&format!("{mtp}{name}")));
                if value == 0 {
                    otherwise
                } else {
                    value.min(u64::from(u32::MAX)) as u32
                }
            };
            let url = mtp.as_ref().and_then(|mtp| {
                let host = self.held(&format!("{mtp}Host"));
                let address = crate::config::WebSocketAddress {
                    port: number("Port", 80).min(65_535) as u16,
                    path: self.held(&format!("{mtp}Path")),
                    encrypted: self.held_true(&format!("{mtp}EnableEncryption")),
                    host,
                };
                (!address.host.is_empty()).then(|| address.url())
            });
            Some(ControllerLink {
                instance,
                register: self.registers(endpoint_id.as_str()),
                endpoint_id,
                reach: match local {
                    Some(reach) => reach?,
                    None => url.map_or(Reach::Awaited, Reach::WebSocket),
                },
                retry: (
                    number("SessionRetryMinimumWaitInterval", 5),
                    number("SessionRetryIntervalMultiplier", 2000),
                ),
                keep_alive: number("KeepAliveInterval", 60),
                session: self.session_settings(instance),
            })
        })
        .collect()
    }

    /// What the configuration file says is registered at a controller.
    fn registers(&self, endpoint_id: &str) -> Vec<String> {
        let mut all = self.config.controllers.iter();
        let one = all.find(|one| one.endpoint_id == endpoint_id);
        one.map(|one| one.register.clone()).unwrap_or_default()
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
