//! A CPE towards its ACS. One session object lives as long as the CPE, across the HTTP sessions
//! that it opens, because events and reports do.
//!
//! Each [`Transmit::Post`] is answered by one [`Session::handle_input`], or by
//! [`Session::connection_failed`].
//! Deliberately no data model and no transfers: requests come up as events, and the caller answers
//! them. Only GetRPCMethods and what cannot be read is answered here.

mod event;
mod input;
pub mod policy;
mod queue;
mod schedule;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::error::Error;
use crate::event::{Cause, EventCode};
use crate::fault::Fault;
use crate::retry::Random;
use crate::rpc::{
    EventStruct, Inform, Method, ParameterValue, Request, Response, TransferComplete,
};
use crate::soap::{self, Body, Envelope, Namespace};
use crate::value::Timestamp;
use crate::version::{self, Version};
pub use event::{Config, Event, Failure, Reply, ReportId, Token, Transmit};
use queue::Queue;
pub use schedule::Periodic;
use schedule::Schedule;

/// Where an HTTP session is.
enum Phase {
    /// The caller has not given the Inform's parameters yet.
    Starting,
    /// The Inform is sent; kept for fault 8005.
    Informed {
        id: String,
        body: Bytes,
        repeats: u32,
    },
    /// A report is sent.
    Reporting {
        id: u64,
        wire_id: String,
        method: Method,
    },
    /// The caller works on a request of the ACS.
    Working {
        token: Token,
        id: String,
        method: Method,
    },
    /// Our last word was empty or a response; the next one is the ACS's.
    Listening,
}

struct Active {
    phase: Phase,
    /// Which session this is.
    number: u64,
    /// What the Inform told.
    told: Vec<EventStruct>,
    hold: bool,
    /// The last POST, while it is not answered.
    sent: Option<Instant>,
    /// A report was refused for now.
    postponed: bool,
    messages: usize,
}

/// A CPE. Sans-IO: give it inputs and moments, take transmits and events.
pub struct Session {
    config: Config,
    random: Random,
    prefix: u64,
    next: u64,
    sessions: u64,
    queue: Queue,
    schedule: Schedule,
    clock: Option<(Instant, i64)>,
    version: Version,
    namespace: Namespace,
    retry_count: u32,
    retry_at: Option<Instant>,
    /// A session broke after its Inform was taken: another is tried, though all may be told, for what the ACS still wants.
    owed: bool,
    active: Option<Active>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Session {
    /// A CPE that has nothing to tell yet: it has neither booted nor a schedule. `seed` is a
    /// random number, for ids and waits.
    pub fn new(config: Config, seed: u64) -> Self {
        let mut random = Random(seed);
        let prefix = random.next() >> 32;
        let version = config.versions.iter().copied().max().unwrap_or_default();
        Self {
            config,
            random,
            prefix,
            next: 1,
            sessions: 0,
            queue: Queue::default(),
            schedule: Schedule::default(),
            clock: None,
            version,
            namespace: version.namespace(),
            retry_count: 0,
            retry_at: None,
            owed: false,
            active: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// The CPE has started: after a power cycle, or for the first time (`bootstrap`: new, reset, or
    /// told another ACS). What does not outlive a restart is forgotten.
    pub fn boot(&mut self, now: Instant, bootstrap: bool) -> Result<(), Error> {
        self.drop_session();
        (self.retry_count, self.retry_at, self.owed) = (0, None, false);
        self.queue.rebooted(bootstrap);
        if bootstrap {
            self.queue
                .raise(EventStruct::new(EventCode::Bootstrap), true)?;
        }
        self.raise(now, EventStruct::new(EventCode::Boot))
    }

    /// Something happened that calls for a session. A connection request does not wait for a retry.
    pub fn raise(&mut self, now: Instant, event: EventStruct) -> Result<(), Error> {
        if event.code == EventCode::ConnectionRequest {
            self.retry_at = None;
        }
        self.queue.raise(event, true)?;
        self.start(now);
        Ok(())
    }

    /// Something happened that can wait for the next session, such as a value change with passive
    /// notification.
    pub fn note(&mut self, event: EventStruct) -> Result<(), Error> {
        self.queue.raise(event, false)
    }

    /// A transfer that the ACS began with `cause` is over.
    pub fn transfer_complete(
        &mut self,
        now: Instant,
        report: TransferComplete,
        cause: Cause,
    ) -> Result<ReportId, Error> {
        self.queue_report(now, report.into(), Some(cause))
    }

    /// Something else to report: an autonomous transfer, deployment units, RequestDownload, Kicked,
    /// or GetRPCMethods. All but the last are repeated in each session until the ACS has them.
    pub fn report(&mut self, now: Instant, request: impl Into<Request>) -> Result<ReportId, Error> {
        self.queue_report(now, request.into(), None)
    }

    fn queue_report(
        &mut self,
        now: Instant,
        request: Request,
        cause: Option<Cause>,
    ) -> Result<ReportId, Error> {
        if request.method().since() > self.version {
            let (method, version) = (request.method(), self.version);
            return Err(Error::PeerIncompatible(format!(
                "{method} is not in CWMP {version}"
            )));
        }
        let Some(events) = queue::events_of(&request, cause) else {
            return Err(Error::ApiMisuse(
                "only ACSs send this method, or Inform goes by itself",
            ));
        };
        let id = self.fresh();
        self.queue.report(id, request, events)?;
        self.start(now);
        Ok(ReportId(id))
    }

    /// Sets the periodic inform; `None` turns it off.
    pub fn set_periodic(&mut self, now: Instant, periodic: Option<Periodic>) {
        let (clock, random) = (self.unix(now), self.random.next());
        self.schedule.set_periodic(now, periodic, clock, random);
    }

    /// Opens a session after `delay`, for a ScheduleInform.
    pub fn schedule_inform(
        &mut self,
        now: Instant,
        delay: Duration,
        command_key: impl Into<String>,
    ) -> Result<(), Error> {
        let due = now
            .checked_add(delay)
            .ok_or(Error::ApiMisuse("a delay without end"))?;
        self.schedule.schedule(due, command_key.into())
    }

    /// The CPE knows the time now: seconds since the Unix epoch.
    pub fn set_clock(&mut self, now: Instant, unix: i64) {
        self.clock = Some((now, unix));
        self.schedule.clock_set(now, unix);
    }

    fn unix(&self, now: Instant) -> Option<i64> {
        let (since, unix) = self.clock?;
        let passed = now.saturating_duration_since(since).as_secs();
        unix.checked_add_unsigned(passed)
    }

    /// The events that the ACS does not have yet.
    pub fn events_pending(&self) -> impl Iterator<Item = &EventStruct> {
        self.queue.events()
    }

    /// How many reports the ACS does not have yet.
    pub fn reports_pending(&self) -> usize {
        self.queue.reports()
    }

    /// Sessions that failed since the last one that did not.
    pub fn retry_count(&self) -> u32 {
        self.retry_count
    }

    /// Whether a session is open.
    pub fn is_active(&self) -> bool {
        self.active.is_some()
    }

    /// What the last session spoke.
    pub fn version(&self) -> Version {
        self.version
    }

    fn fresh(&mut self) -> u64 {
        let id = self.next;
        self.next += 1;
        id
    }

    fn start(&mut self, now: Instant) {
        let may = self.retry_at.is_none_or(|due| due <= now);
        if self.active.is_none() && may && (self.queue.is_wanted() || self.owed) {
            (self.retry_at, self.owed) = (None, false);
            self.sessions += 1;
            self.version = self
                .config
                .versions
                .iter()
                .copied()
                .max()
                .unwrap_or_default();
            self.namespace = self.version.namespace();
            self.active = Some(Active {
                phase: Phase::Starting,
                number: self.sessions,
                told: Vec::new(),
                hold: false,
                sent: None,
                postponed: false,
                messages: 0,
            });
            self.events.push_back(Event::Starting);
        }
    }

    /// Opens the session with an Inform of these parameters.
    pub fn inform(&mut self, now: Instant, parameters: Vec<ParameterValue>) -> Result<(), Error> {
        let wire_id = self.wire_id();
        let told = self.queue.for_inform();
        let Some(active) = &mut self.active else {
            return Err(Error::ApiMisuse("no session begins"));
        };
        if !matches!(active.phase, Phase::Starting) {
            return Err(Error::ApiMisuse("the Inform is sent"));
        }
        active.told.clone_from(&told);
        let current_time = match self.unix(now) {
            Some(unix) => Timestamp::from_unix(unix),
            None => Timestamp::unknown(),
        };
        let inform = Inform {
            device_id: self.config.device_id.clone(),
            events: told,
            max_envelopes: 1,
            current_time,
            retry_count: self.retry_count,
            parameters,
        };
        let mut envelope = Envelope::new(self.namespace, &wire_id, inform);
        if self.version >= Version::V1_3 {
            envelope.header.session_timeout = self.config.session_timeout;
        }
        if self.version >= Version::V1_4 {
            envelope.header.supported_versions = Some(version::list(&self.config.versions));
        }
        let body = Bytes::from(soap::encode(&envelope, self.config.booleans));
        if let Some(active) = &mut self.active {
            active.phase = Phase::Informed {
                id: wire_id,
                body: body.clone(),
                repeats: 0,
            };
        }
        self.post(now, body);
        Ok(())
    }

    fn wire_id(&mut self) -> String {
        let id = self.fresh();
        format!("{:x}-{id}", self.prefix)
    }

    fn post(&mut self, now: Instant, body: Bytes) {
        if let Some(active) = &mut self.active {
            active.sent = Some(now);
            self.transmits.push_back(Transmit::Post(body));
        }
    }

    fn post_envelope(&mut self, now: Instant, id: &str, body: impl Into<Body>) {
        let envelope = Envelope::new(self.namespace, id, body);
        self.post(
            now,
            Bytes::from(soap::encode(&envelope, self.config.booleans)),
        );
    }

    /// Answers a request of the ACS.
    pub fn respond(
        &mut self,
        now: Instant,
        token: Token,
        result: Result<Response, Fault>,
    ) -> Result<(), Error> {
        let misuse = Err(Error::ApiMisuse(
            "a request is answered once, in its own session",
        ));
        let Some(active) = &mut self.active else {
            return misuse;
        };
        let Phase::Working {
            token: known,
            id,
            method,
        } = &active.phase
        else {
            return misuse;
        };
        if *known != token {
            return misuse;
        }
        if result
            .as_ref()
            .is_ok_and(|response| response.method() != *method)
        {
            return Err(Error::ApiMisuse("the response is to another method"));
        }
        let id = id.clone();
        active.phase = Phase::Listening;
        match result {
            Ok(response) => self.post_envelope(now, &id, response),
            Err(fault) => self.post_envelope(now, &id, fault),
        }
        Ok(())
    }

    /// The ACS could not be reached, or the connection broke before it answered.
    pub fn connection_failed(&mut self, now: Instant) {
        if self.active.is_some() {
            self.fail(now, Failure::Connection);
        }
    }

    /// Forgets an open session, without a word.
    fn drop_session(&mut self) {
        if self.active.take().is_some() {
            self.hang_up();
        }
    }

    /// Closes the connection in the middle: what waited to be sent or to be answered is void.
    fn hang_up(&mut self) {
        let void = |event: &Event| matches!(event, Event::Starting | Event::Requested { .. });
        self.events.retain(|event| !void(event));
        self.transmits.clear();
        self.transmits.push_back(Transmit::Close);
    }

    fn fail(&mut self, now: Instant, failure: Failure) {
        let Some(active) = self.active.take() else {
            return;
        };
        self.hang_up();
        self.owed = !matches!(active.phase, Phase::Starting | Phase::Informed { .. });
        self.queue.session_failed(&active.told);
        self.retry_count = self.retry_count.saturating_add(1);
        self.ended(now, Err(failure), true);
    }

    fn end(&mut self, now: Instant) {
        let Some(active) = self.active.take() else {
            return;
        };
        self.transmits.push_back(Transmit::Close);
        self.queue.session_ended();
        // What a good session could not deliver, the next one at once cannot either.
        let wait = active.postponed || self.queue.is_stuck(&active.told);
        self.retry_count = if wait {
            self.retry_count.saturating_add(1)
        } else {
            0
        };
        self.ended(now, Ok(()), wait);
        self.start(now);
    }

    fn ended(&mut self, now: Instant, result: Result<(), Failure>, wait: bool) {
        let random = self.random.next();
        let wait = wait && (self.queue.is_wanted() || self.owed);
        let retry_in = wait.then(|| self.config.retry.wait(self.retry_count, random));
        self.retry_at = retry_in.and_then(|wait| now.checked_add(wait));
        self.events.push_back(Event::Ended { result, retry_in });
    }

    /// Raises what is due, starts what is due again, and gives up on a silent ACS.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.silent_at().is_some_and(|due| due <= now) {
            self.fail(now, Failure::Silence);
        }
        // The queue keeps room for one of each; a key more than it has room for is lost.
        if self.schedule.take_periodic(now) {
            _ = self
                .queue
                .raise(EventStruct::new(EventCode::Periodic), true);
        }
        while let Some(key) = self.schedule.take_scheduled(now) {
            let method = EventCode::Method(Cause::ScheduleInform);
            _ = self
                .queue
                .raise(EventStruct::new(EventCode::Scheduled), true);
            _ = self.queue.raise(EventStruct::with_key(method, key), true);
        }
        self.start(now);
    }

    fn silent_at(&self) -> Option<Instant> {
        self.active.as_ref()?.sent?.checked_add(self.config.silence)
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let times = [
            self.silent_at(),
            self.retry_at,
            self.schedule.poll_timeout(),
        ];
        times.into_iter().flatten().min()
    }

    /// The next thing for the ACS.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
