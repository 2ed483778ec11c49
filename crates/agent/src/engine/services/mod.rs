//! USP Services (TR-369 "USP Broker"): other processes of this device that register parts of the data model here, and
//! what controllers ask of those parts. What is asked of them takes a while, so it goes out as [`Effect::AskService`] and
//! is answered by [`Effect::Answer`].
//!
//! Deliberately no sockets and no sessions (the driver's), and no copy of values: a service is asked each time.

mod again;
mod answer;
mod describe;
mod register;
mod route;
mod runs;
mod shape;
mod subscribe;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use usp::proto::msg::{Notify, Request, Response, SupportedObjectResult};
use usp::{EndpointId, ErrorCode, UspError};

use super::access::Actor;
use super::notify::Kind;
use super::{Effect, Engine};
use crate::limits::{SERVICE_AGAIN_MIN, SERVICE_JOBS_MAX, SERVICES_MAX};
use crate::{Fault, Now};

/// All of it, the engine's own.
pub(crate) const USP_SERVICES: &str = "Device.USPServices.";

/// The table of services.
pub(crate) const SERVICE_ROWS: &str = "Device.USPServices.USPService.";

/// Who may register what, where that is restricted.
const TRUST: &str = "Device.USPServices.Trust.";

/// How a request is answered.
#[derive(Debug)]
pub enum Handled {
    /// With this.
    Now(Result<Response, UspError>),
    /// By an [`Effect::Answer`] of this number: services are asked first.
    Later(u64),
}

/// The services of one agent.
#[derive(Debug, Default)]
pub(crate) struct Services {
    by_number: BTreeMap<u32, Service>,
    /// Numbers stay unused when a service is gone (R-ARC.8).
    last: u32,
    asks: BTreeMap<u64, Ask>,
    jobs: BTreeMap<u64, Job>,
    next: u64,
    /// Rows of the Request table whose commands run in a service.
    runs: BTreeMap<u32, Run>,
}

/// A process that is connected.
#[derive(Debug)]
struct Service {
    endpoint_id: EndpointId,
    /// What it has registered, and whether it has described it: before that nobody sees it.
    paths: BTreeMap<String, Known>,
    /// What it has described, in order of its paths.
    objects: Vec<SupportedObjectResult>,
    /// What we have subscribed to there, by our id.
    subscriptions: BTreeMap<String, Subscribed>,
    next_subscription: u32,
    /// What an earlier connection has left there is looked for, and then gone.
    leftovers: Leftovers,
    /// When it is asked again what it has not answered, and how long it is left alone the next time.
    again: Option<Instant>,
    wait: Duration,
}

/// Whether we know what is at a path that is registered.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    Asked,
    /// It has not said so, and is asked again.
    Silent,
    Described,
}

/// How far the subscriptions of an earlier connection are cleared away.
#[derive(Debug, PartialEq, Eq)]
enum Leftovers {
    Unknown,
    Asked,
    Gone,
}

/// A subscription of ours at a service.
#[derive(Debug)]
struct Subscribed {
    kind: Kind,
    reference: String,
    /// The references of controllers here that it is for.
    stands_for: BTreeSet<String>,
    row: Row,
}

/// The row of a subscription at a service.
#[derive(Debug, PartialEq, Eq)]
enum Row {
    /// To be asked for as soon as others are answered.
    Wanted,
    Asked,
    Is(String),
    /// It is not there, for no reason that lasts.
    Later,
    /// It does not take it; asking again would not help.
    Refused,
}

/// A command that runs in a service.
#[derive(Debug)]
struct Run {
    service: u32,
    /// Its row in the service's own Request table.
    row: String,
    /// When that row is looked at; `None` while the service is asked for it.
    look: Option<Instant>,
    /// How long it is left alone the next time.
    wait: Duration,
    /// It had ended when it was looked at last, and what the service says of it may be on its way.
    over: bool,
}

/// What a service is asked, and what becomes of the answer.
#[derive(Debug)]
enum Ask {
    /// What is there at this path that it has registered?
    Describe(u32, String),
    /// What is left of an earlier connection?
    Leftover(u32),
    /// Our subscription of this id.
    Subscribe(u32, String),
    /// Nothing becomes of it.
    Forget(u32),
    /// The row of a command of ours, of this number here.
    Look(u32, u32),
    /// To cancel that command.
    Cancel(u32, u32),
    /// A part of a request of a controller.
    Part(u32, u64, route::Asked),
}

impl Ask {
    fn service(&self) -> u32 {
        match self {
            Ask::Describe(service, _)
            | Ask::Leftover(service)
            | Ask::Subscribe(service, _)
            | Ask::Forget(service)
            | Ask::Look(service, _)
            | Ask::Cancel(service, _)
            | Ask::Part(service, ..) => *service,
        }
    }
}

/// A request of a controller that services are asked for.
#[derive(Debug)]
struct Job {
    actor: Arc<Actor>,
    /// Parts that are not answered yet.
    open: usize,
    /// What was asked, path by path.
    requested: Vec<String>,
    answer: shape::Answer,
    /// It fails as a whole with the only service that was asked.
    whole: bool,
    failed: Option<UspError>,
    command_key: String,
    /// Ends of commands that came before it was said that they have begun.
    early: Vec<Notify>,
}

impl Service {
    fn ready(&self) -> impl Iterator<Item = &str> {
        let ready = self.paths.iter();
        let ready = ready.filter(|(_, known)| **known == Known::Described);
        ready.map(|(path, _)| path.as_str())
    }

    fn is_shown(&self) -> bool {
        self.ready().next().is_some()
    }

    fn owns(&self, path: &str) -> bool {
        self.ready().any(|registered| within(path, registered))
    }
}

/// `path` is what was registered or below it.
fn within(path: &str, registered: &str) -> bool {
    match registered.ends_with('.') {
        true => path.starts_with(registered),
        false => path == registered,
    }
}

impl Services {
    /// Whose this path is, as far as services go.
    fn owner(&self, path: &str) -> Option<u32> {
        let mut all = self.by_number.iter();
        all.find(|(_, service)| service.owns(path))
            .map(|(number, _)| *number)
    }

    /// What services have registered below an object.
    fn below<'a>(&'a self, object: &'a str) -> impl Iterator<Item = (u32, &'a str)> {
        self.by_number.iter().flat_map(move |(number, service)| {
            let ready = service.ready();
            let below = ready.filter(move |path| path.len() > object.len());
            let below = below.filter(move |path| path.starts_with(object) && object.ends_with('.'));
            below.map(|path| (*number, path))
        })
    }

    /// Does a service have anything that can be asked for?
    pub(crate) fn is_empty(&self) -> bool {
        !self.by_number.values().any(Service::is_shown)
    }

    /// Rows of the table of services.
    pub(crate) fn rows(&self) -> Vec<u32> {
        let shown = self
            .by_number
            .iter()
            .filter(|(_, service)| service.is_shown());
        shown.map(|(number, _)| *number).collect()
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Engine {
    /// Answers a request of a controller, at once or, where services have a part in it, later.
    pub fn begin(&mut self, now: Now, from: &EndpointId, request: Request) -> Handled {
        if self.services.is_empty() {
            return Handled::Now(self.handle(now, from, request));
        }
        let actor = match self.who(now, from) {
            Ok(actor) => actor,
            Err(error) => return Handled::Now(Err(error)),
        };
        let Some(plan) = self.split(&actor, &request) else {
            return Handled::Now(self.answer(now, &actor, request));
        };
        let plan = match plan {
            Ok(plan) => plan,
            Err(error) => return Handled::Now(Err(error)),
        };
        if self.services.jobs.len() >= SERVICE_JOBS_MAX {
            let text = "limit SERVICE_JOBS_MAX: too many requests wait for services";
            let error = UspError::new(ErrorCode::RESOURCES_EXCEEDED, text);
            return Handled::Now(Err(error));
        }
        let mut answer = plan.answer;
        if let Some((asked, local)) = plan.local {
            match self.answer(now, &actor, local) {
                Ok(response) => answer.add(&asked, response),
                Err(error) => return Handled::Now(Err(error)),
            }
        }
        let number = self.services.fresh();
        let job = Job {
            actor,
            open: plan.parts.len(),
            requested: plan.requested,
            answer,
            whole: plan.whole,
            failed: None,
            command_key: plan.command_key,
            early: Vec::new(),
        };
        if job.open == 0 {
            return Handled::Now(Ok(job.answer.finish()));
        }
        self.services.jobs.insert(number, job);
        for (service, asked, request) in plan.parts {
            self.ask_service(Ask::Part(service, number, asked), request);
        }
        Handled::Later(number)
    }

    fn ask_service(&mut self, ask: Ask, request: Request) {
        let number = self.services.fresh();
        let service = ask.service();
        self.services.asks.insert(number, ask);
        self.effects.push_back(Effect::AskService {
            service,
            ask: number,
            request: Box::new(request),
        });
    }

    /// A process has connected. Gives its number; nothing is seen of it until it registers something.
    pub fn service_connected(&mut self, endpoint_id: &EndpointId) -> Result<u32, Fault> {
        if self.services.by_number.len() >= SERVICES_MAX {
            return Err(Fault::resources_exceeded(
                "limit SERVICES_MAX: too many services",
            ));
        }
        let mut others = self.services.by_number.values();
        if others.any(|other| other.endpoint_id == *endpoint_id) {
            let text = format!("{endpoint_id} is connected already");
            return Err(Fault::request_denied(text));
        }
        self.services.last += 1;
        let service = Service {
            endpoint_id: endpoint_id.clone(),
            paths: BTreeMap::new(),
            objects: Vec::new(),
            subscriptions: BTreeMap::new(),
            next_subscription: 0,
            leftovers: Leftovers::Unknown,
            again: None,
            wait: SERVICE_AGAIN_MIN,
        };
        self.services.by_number.insert(self.services.last, service);
        Ok(self.services.last)
    }

    /// It has gone, or is no longer wanted: its paths vanish, and what it was asked has failed.
    pub fn service_gone(&mut self, now: Now, service: u32) {
        let Some(gone) = self.services.by_number.remove(&service) else {
            return;
        };
        let waiting = self.services.asks.iter();
        let waiting = waiting.filter(|(_, ask)| ask.service() == service);
        let waiting: Vec<u64> = waiting.map(|(number, _)| *number).collect();
        let why = Fault::internal(format!("the service {} is gone", gone.endpoint_id));
        for ask in waiting {
            self.service_silent(now, ask, &why.message);
        }
        self.end_runs(now, service, &why.message, |_| true);
        if gone.is_shown() {
            self.service_row(now, service, false);
        }
    }

    /// A value of the table of services; `None`: a held one.
    pub(super) fn service_value(&self, path: &str) -> Option<String> {
        let (number, name) = path.strip_prefix(SERVICE_ROWS)?.split_once('.')?;
        let service = self.services.by_number.get(&number.parse().ok()?)?;
        Some(match name {
            "EndpointID" => service.endpoint_id.to_string(),
            "Protocol" => "UDS".to_owned(),
            "DataModelPaths" => service.ready().collect::<Vec<_>>().join(","),
            "HasController" => {
                let links = self.controllers();
                let mut same = links
                    .iter()
                    .filter(|link| link.endpoint_id == service.endpoint_id);
                same.any(|link| link.reach == crate::Reach::Local)
                    .to_string()
            }
            _ => return None,
        })
    }
}

fn to_error(fault: Fault) -> UspError {
    UspError::new(ErrorCode(fault.code), fault.message)
}
