//! The adapter to USP agents as the rest of the server sees it: jobs go to the task of a link,
//! questions about links are answered. What all links share is in [`Core`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use broker::limits::KEEP_ALIVE_MAX;
use fleet::southbound::{Failure, Job, Southbound};
use fleet::{DeviceId, Fact, NodeId, TenantId, Timestamp};
use futures_util::future::BoxFuture;
use mtp::tls::CertificateInfo;
use mtp::tls::authority::Authority;
use mtp::ws::{KeepAlive, LinkLimits};
use store::Store;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use usp::session::Transport;
use usp::{EndpointId, controller};

use super::dial::Dials;
use super::limits::{HEARD_EVERY, Limits, PING_EVERY_MAX, PONG_TIME_MAX};
use super::link::{Command, Stop};
use super::recorder::Recorder;
use super::{Entry, Registry, Reported, WEBSOCKET};
use crate::config::Tenants;
use crate::matching::Terms;
use crate::seam::{Attempt, LivePath, Way};
use crate::south::Links;
use crate::southbound::log_room::LogRoom;
use crate::southbound::refusal::RefusalLog;
use crate::southbound::slots::Slots;
use crate::{Config, StartError};

/// What all links share.
pub struct Core {
    /// What is remembered.
    pub store: Store,
    /// Who we are to the agents.
    pub own: EndpointId,
    /// Which node holds the links.
    pub node: NodeId,
    /// The open links.
    pub links: Registry,
    /// Whom complaints go to.
    pub refusals: RefusalLog,
    /// What devices say, as far as it is kept.
    pub log_room: LogRoom,
    /// When devices of two protocols are one.
    pub matching: Terms,
    /// How we talk over WebSocket.
    pub session: Arc<controller::Config>,
    /// How we talk over MQTT.
    pub mqtt_session: Arc<controller::Config>,
    /// The same over STOMP.
    pub stomp_session: Arc<controller::Config>,
    /// The certificate of session contexts, as it was at the start.
    pub certificate: Option<CertificateInfo>,
    /// For whose devices certificates count that were issued elsewhere.
    pub elsewhere: Option<Tenants>,
    /// What a link may cost, and its pings.
    pub link_limits: LinkLimits,
    /// See [`quiet_max`].
    pub quiet_max: Duration,
    /// Onboardings at the same time.
    pub onboardings: Slots,
    /// What a test may set lower.
    pub limits: Limits,
    /// Told when a tenant may have been disabled, or enabled again.
    pub tenants_changed: Notify,
    /// Told when a certificate was revoked.
    pub certificates_changed: Notify,
    /// The server stops.
    pub shutdown: CancellationToken,
    ends: Mutex<Option<Ends>>,
}

/// Where the tasks of links report; taken away when the server stops, so that who listens sees the
/// end.
#[derive(Clone)]
pub struct Ends {
    /// What happens to devices.
    pub facts: mpsc::Sender<Reported>,
    /// What is written down in batches.
    pub recorder: Recorder,
    /// Held while a task runs.
    pub alive: mpsc::Sender<()>,
}

/// How often to look for a sign of life so that silence is noticed within the configured time:
/// pings into silence, the time for the pong, how often evidence is written down.
pub fn pace(config: &Config) -> (KeepAlive, Duration) {
    let silent = Duration::from_secs(config.presence.silent_after_seconds.max(1));
    let third = silent / 3;
    let keep_alive = KeepAlive::when_quiet(third.min(PING_EVERY_MAX));
    (
        keep_alive.pong_time_max(third.min(PONG_TIME_MAX)),
        (silent / 6).min(HEARD_EVERY),
    )
}

/// How long a client of the broker inside may be quiet before it is asked for a sign of life: it says itself how long it
/// may be (MQTT 3.1.1), and must not count as silent for it.
pub fn quiet_max(config: &Config) -> Duration {
    let silent = Duration::from_secs(config.presence.silent_after_seconds.max(1));
    silent * 2 / 3
}

/// The longest keep-alive that the broker inside grants to clients of MQTT 5, in seconds: none of them is quiet for so
/// long that it is asked.
pub fn keep_alive_max(config: &Config) -> u16 {
    let half = config.presence.silent_after_seconds / 2;
    let half = u16::try_from(half).unwrap_or(u16::MAX);
    half.clamp(1, KEEP_ALIVE_MAX)
}

impl Core {
    /// What all links share.
    pub fn new(
        store: Store,
        own: EndpointId,
        node: NodeId,
        config: &Config,
        limits: Limits,
        ends: Ends,
        shutdown: CancellationToken,
    ) -> Result<Self, StartError> {
        let link_limits = LinkLimits {
            keep_alive: pace(config).0,
            ..LinkLimits::default()
        };
        let contexts = &config.usp.session_context;
        let pki = Authority::certificate_file(&config.pki_folder());
        let credential = contexts.credential(&own, pki)?;
        let certificate = credential.as_ref().map(|one| one.info().clone());
        let session = contexts.session(credential);
        let mqtt_session = controller::Config {
            transport: Transport::Mqtt,
            contexts: Arc::new(usp::context::Config {
                // A broker may drop what it holds for a device.
                lossy: true,
                ..(*session.contexts).clone()
            }),
            ..session.clone()
        };
        let stomp_session = controller::Config {
            transport: Transport::Stomp,
            ..mqtt_session.clone()
        };
        Ok(Self {
            refusals: RefusalLog::start(store.clone(), WEBSOCKET),
            log_room: LogRoom::default(),
            store,
            node,
            links: Registry::default(),
            matching: Terms::of(config),
            session: Arc::new(session),
            mqtt_session: Arc::new(mqtt_session),
            stomp_session: Arc::new(stomp_session),
            certificate,
            elsewhere: config.pki.tenants.clone(),
            own,
            link_limits,
            quiet_max: quiet_max(config),
            onboardings: Slots::new(limits.onboardings_at_once),
            limits,
            tenants_changed: Notify::new(),
            certificates_changed: Notify::new(),
            shutdown,
            ends: Mutex::new(Some(ends)),
        })
    }

    /// Where a new task reports; nowhere once the server stops.
    pub fn ends(&self) -> Option<Ends> {
        self.ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// No new tasks from now on.
    pub fn close(&self) {
        self.ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// Hands a job to the best of a device's links that takes it. Gives it back where none does, with the reason.
    fn hand(
        &self,
        links: impl Iterator<Item = Arc<Entry>>,
        mut job: Box<Job>,
    ) -> Result<(), (Box<Job>, &'static str)> {
        let mut reason = "the device is not connected";
        for link in links {
            let refused = match link.inbox.try_send(Command::Job(job)) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(command)) => {
                    reason = "limit LINK_INBOX: too much is waiting";
                    command
                }
                Err(mpsc::error::TrySendError::Closed(command)) => command,
            };
            let Command::Job(back) = refused else {
                return Ok(());
            };
            job = back;
        }
        Err((job, reason))
    }

    /// What has not left over this link goes over another one of the device that can be asked. Gives it back where there
    /// is none.
    pub fn pass_on(
        &self,
        device: DeviceId,
        from: Option<&Entry>,
        job: Box<Job>,
    ) -> Option<Box<Job>> {
        let links = self.links.of(device).into_iter();
        let links = links.filter(|link| {
            let this = from.is_some_and(|from| std::ptr::eq(from, &**link));
            link.is_open() && !this
        });
        self.hand(links, job).err().map(|(back, _)| back)
    }

    /// Whoever waits until the device is not onboarded over another of its links looks again.
    pub fn next_turn(&self, device: DeviceId) {
        for link in self.links.of(device) {
            // One whose inbox is full looks by itself, after what is in there.
            let _ = link.inbox.try_send(Command::Turn);
        }
    }

    /// Reports the end of a job that no link has, without waiting.
    fn unsent(&self, tenant: &TenantId, device: DeviceId, job: &Job, reason: &str) {
        let Some(ends) = self.ends() else { return };
        let failure = Failure::Unsent {
            reason: reason.to_owned(),
        };
        let fact = Fact::Done {
            job: job.id,
            result: Err(failure),
        };
        if let Err(mpsc::error::TrySendError::Full(fact)) =
            ends.facts.try_send((tenant.clone(), device, fact))
        {
            tokio::spawn(async move { ends.facts.send(fact).await });
        }
    }
}

/// The adapter to USP agents.
pub struct Adapter {
    core: Arc<Core>,
    dials: Arc<Dials>,
}

impl Adapter {
    /// Over these links and dials.
    pub fn new(core: Arc<Core>, dials: Arc<Dials>) -> Self {
        Self { core, dials }
    }

    /// Tries to reach the device now. Says what is done, or why nothing can be.
    fn reach_now(&self, tenant: &TenantId, device: DeviceId) -> Result<String, String> {
        if self
            .core
            .links
            .get(device)
            .is_some_and(|link| link.tenant == *tenant)
        {
            return Ok("it is connected".to_owned());
        }
        if self.dials.wake(device) {
            return Ok("it is dialled now".to_owned());
        }
        Err("the device dials us: it has to come by itself".to_owned())
    }
}

impl Southbound for Adapter {
    fn submit(&self, tenant: &TenantId, device: DeviceId, job: Job) {
        let links = self.core.links.of(device).into_iter();
        let links = links.filter(|link| link.tenant == *tenant);
        if let Err((job, reason)) = self.core.hand(links, Box::new(job)) {
            self.core.unsent(tenant, device, &job, reason);
        }
    }

    fn wake(&self, tenant: &TenantId, device: DeviceId) {
        // Whether that could be done is asked through `reach`.
        let _ = self.reach_now(tenant, device);
    }
}

impl Links for Adapter {
    fn is_linked(&self, device: DeviceId) -> bool {
        self.core.links.get(device).is_some()
    }

    fn reach<'a>(
        &'a self,
        tenant: &'a TenantId,
        device: DeviceId,
    ) -> BoxFuture<'a, Option<Result<String, String>>> {
        Box::pin(async move { Some(self.reach_now(tenant, device)) })
    }

    fn ways<'a>(&'a self, _: &'a TenantId, _: DeviceId) -> BoxFuture<'a, Vec<Way>> {
        // A device that nobody dials is not asked to come.
        Box::pin(async { Vec::new() })
    }

    fn device_removed(&self, tenant: &TenantId, device: DeviceId) {
        self.dials.changed(tenant, device);
        let links = self.core.links.of(device).into_iter();
        for link in links.filter(|link| link.tenant == *tenant) {
            stop(&link.inbox, Stop::Removed);
        }
    }

    fn tenants_changed(&self) {
        self.core.tenants_changed.notify_one();
    }

    fn certificates_changed(&self) {
        self.core.certificates_changed.notify_one();
    }

    fn dialling_changed(&self, tenant: &TenantId, device: DeviceId) {
        self.dials.changed(tenant, device);
    }

    fn attempts(&self, _: &TenantId, device: DeviceId) -> Vec<Attempt> {
        self.dials.attempts(device)
    }

    fn heard(&self, device: DeviceId) -> Option<Timestamp> {
        let links = self.core.links.of(device).into_iter();
        links.map(|link| link.heard()).max()
    }

    fn live(&self, device: DeviceId) -> Vec<LivePath> {
        let now = Instant::now();
        let links = self.core.links.of(device).into_iter();
        let live = links.map(|link| LivePath {
            transport: link.transport,
            open: link.is_open(),
            doubted: link.is_doubted(now),
            heard: link.heard(),
            session_context: link.session_context(),
        });
        live.collect()
    }

    fn connections(&self) -> u64 {
        self.core.links.len() as u64
    }
}

/// Stops a link, also when its inbox is full.
pub fn stop(inbox: &mpsc::Sender<Command>, why: Stop) {
    if let Err(mpsc::error::TrySendError::Full(command)) = inbox.try_send(Command::Stop(why)) {
        let inbox = inbox.clone();
        tokio::spawn(async move { inbox.send(command).await });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::southbound::usp::limits::QUIET_LOOKS;

    #[test]
    fn silence_is_noticed_within_the_configured_time() {
        for seconds in [1, 3, 60, 180, 3600] {
            let mut config = Config::default();
            config.presence.silent_after_seconds = seconds;
            let silent = Duration::from_secs(seconds);
            let every = (silent / 3).min(PING_EVERY_MAX);
            let pong = (silent / 3).min(PONG_TIME_MAX);
            let (keep_alive, written) = pace(&config);
            assert_eq!(keep_alive, KeepAlive::when_quiet(every).pong_time_max(pong));
            assert!(every + pong + written <= silent);
            // Over MQTT: asked, looked at again, written down.
            let quiet = quiet_max(&config);
            assert!(quiet + quiet / QUIET_LOOKS + written <= silent);
            let keep_alive = keep_alive_max(&config);
            let kept = Duration::from_secs(keep_alive.into());
            assert!(kept < quiet || keep_alive == 1, "{seconds}");
        }
    }
}
