//! What everything in the ACS shares, and what the task of a session is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::cwmp::acs;
use fleet::southbound::{Failure, Job};
use fleet::{DeviceId, Fact, NodeId, TenantId};
use mtp::ws::Seats;
use store::{Returners, Store};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::conversation::memory::MEMORY;
use super::conversation::packs::Packs;
use super::door::Door;
use super::limits::Limits;
use super::record::keeper::Keeper;
use super::sessions::Sessions;
use super::strays::Strays;
use super::visits::Visits;
use super::wake::Waker;
use super::{TRANSPORT, credential, reach};
use crate::Config;
use crate::dispatch::Reported;
use crate::southbound::log_room::LogRoom;
use crate::southbound::refusal::{Complaint, Peer, RefusalLog};
use crate::southbound::registry;
use crate::southbound::slots::Slots;

/// The sessions that devices can be asked in: a device has one at a time.
pub type Registry = registry::Registry<Command>;

/// One of them.
pub type Entry = registry::Entry<Command>;

/// Whose share a session takes; what no tenant is known of yet has one together.
pub type Owner = Option<TenantId>;

/// What a session is told. A job and [`Command::Rest`] go on to the conversation.
#[derive(Debug)]
pub enum Command {
    /// A job of the dispatcher.
    Job(Box<Job>),
    /// Nothing more is asked for now: the session may end when the device has said all.
    Rest,
    /// The session ends now. The conversation hears why; its questions are not answered any more.
    Stop(Stop),
}

/// Why a session is to end.
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
    /// A newer session of the device has come, from there.
    Replaced(SocketAddr),
    /// It takes longer than any session may.
    TooLong,
}

impl Stop {
    /// Why, for people.
    pub fn words(self) -> String {
        match self {
            Self::Shutdown => "the server was stopped".to_owned(),
            Self::Removed => "the device was removed".to_owned(),
            Self::TenantDisabled => "its tenant was disabled".to_owned(),
            Self::CertificateRevoked => "its certificate was revoked".to_owned(),
            Self::Replaced(peer) => {
                format!(
                    "another session of this device took its place, from {}",
                    Peer::At(peer)
                )
            }
            Self::TooLong => "it took longer than any session may".to_owned(),
        }
    }

    /// Whether these words say that the session was ended from here: then the question that was out
    /// has nothing to do with it.
    pub fn is_ours(words: &str) -> bool {
        let all = [
            Self::Shutdown,
            Self::Removed,
            Self::TenantDisabled,
            Self::CertificateRevoked,
            Self::TooLong,
        ];
        all.into_iter().any(|stop| stop.words() == words)
    }
}

/// What everything shares.
pub struct Core {
    /// What is remembered.
    pub store: Store,
    /// Which node this is.
    pub node: NodeId,
    /// As the server was started.
    pub config: Arc<Config>,
    /// What a test may set lower.
    pub limits: Limits,
    /// How kinds of devices want to be talked with.
    pub quirks: Packs,
    /// The sessions by device.
    pub links: Arc<Registry>,
    /// The sessions by their own number, as their cookies name them.
    pub sessions: Sessions,
    /// Who may come in.
    pub door: Door,
    /// Asks devices to come.
    pub waker: Waker,
    /// Room for sessions.
    pub budget: Slots<Owner>,
    /// Where messages came from that are nobody's.
    pub strays: Strays,
    /// Sessions by address.
    pub addresses: Arc<Seats>,
    /// Room for getting to know devices.
    pub onboardings: Slots,
    /// Room for bodies, in KiB.
    pub bodies: Slots<Owner>,
    /// Whom complaints go to.
    pub refusals: RefusalLog,
    /// What devices say, as far as it is kept.
    pub log_room: LogRoom,
    /// Who writes down what was said in sessions.
    pub keeper: Keeper,
    /// Who writes down that devices came.
    pub visits: Visits,
    /// How we talk.
    pub protocol: Arc<acs::Config>,
    /// Where devices that come again are looked up.
    pub returners: Returners,
    /// Told when a tenant may have been disabled.
    pub tenants_changed: Notify,
    /// Told when a certificate was revoked.
    pub certificates_changed: Notify,
    /// The server stops.
    pub shutdown: CancellationToken,
    facts: Mutex<Option<mpsc::Sender<Reported>>>,
}

impl Core {
    /// All parts together.
    #[allow(clippy::too_many_arguments)] // Each is one of the parts, and there is one caller.
    pub fn new(
        store: Store,
        node: NodeId,
        config: Arc<Config>,
        limits: Limits,
        door: Door,
        waker: Waker,
        facts: mpsc::Sender<Reported>,
        shutdown: CancellationToken,
    ) -> Self {
        let protocol = acs::Config {
            silence: Duration::from_secs(config.cwmp.silence_seconds),
            ..acs::Config::default()
        };
        Self {
            refusals: RefusalLog::start(store.clone(), TRANSPORT),
            log_room: LogRoom::default(),
            keeper: Keeper::start(store.clone()),
            visits: Visits::start(store.clone()),
            returners: store.returners(TRANSPORT, &[credential::STATE, reach::STATE, MEMORY]),
            store,
            node,
            config,
            quirks: Packs::default(),
            links: waker.links(),
            sessions: Sessions::default(),
            door,
            waker,
            budget: Slots::new(limits.sessions_max),
            strays: Strays::default(),
            addresses: Seats::new(
                usize::MAX,
                limits.sessions_per_address_max,
                usize::MAX,
                limits.uncounted(),
            ),
            onboardings: Slots::new(limits.onboardings_at_once),
            bodies: Slots::new(limits.bodies_bytes_max / 1024),
            limits,
            protocol: Arc::new(protocol),
            tenants_changed: Notify::new(),
            certificates_changed: Notify::new(),
            shutdown,
            facts: Mutex::new(Some(facts)),
        }
    }

    /// With what is known of kinds of devices.
    pub fn with_quirks(mut self, quirks: Packs) -> Self {
        self.quirks = quirks;
        self
    }

    fn facts(&self) -> Option<mpsc::Sender<Reported>> {
        self.facts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Nothing is reported from now on: whoever listens sees that nothing follows.
    pub(super) fn release(&self) {
        self.facts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// Tells the domain what happened to a device; waits when it is behind.
    pub async fn report(&self, tenant: &TenantId, device: DeviceId, fact: Fact) {
        if let Some(facts) = self.facts() {
            // After the stop nobody listens.
            let _ = facts.send((tenant.clone(), device, fact)).await;
        }
    }

    /// Reports the end of a job that no session has, without waiting.
    pub fn unsent(&self, tenant: &TenantId, device: DeviceId, job: &Job, reason: &str) {
        let Some(facts) = self.facts() else { return };
        let reason = reason.to_owned();
        let fact = Fact::Done {
            job: job.id,
            result: Err(Failure::Unsent { reason }),
        };
        if let Err(mpsc::error::TrySendError::Full(fact)) =
            facts.try_send((tenant.clone(), device, fact))
        {
            tokio::spawn(async move { facts.send(fact).await });
        }
    }

    /// Remembers for the doctor what somebody did wrong.
    pub fn complain(&self, who: &Culprit, reason: &str, detail: impl Into<String>) {
        self.refusals.take(Complaint {
            tenant: who.tenant.clone(),
            device: who.device,
            peer: who.peer.into(),
            endpoint: who.name.clone(),
            reason: reason.to_owned(),
            detail: detail.into(),
        });
    }
}

/// Who did something wrong, as far as that is known.
#[derive(Clone, Debug)]
pub struct Culprit {
    /// Whose.
    pub tenant: Option<TenantId>,
    /// Which device, where it is one that was let in.
    pub device: Option<DeviceId>,
    /// Where it came from.
    pub peer: SocketAddr,
    /// What it calls itself; may be empty.
    pub name: String,
}

impl Culprit {
    /// Somebody at an address.
    pub fn at(peer: SocketAddr) -> Self {
        Self {
            tenant: None,
            device: None,
            peer,
            name: String::new(),
        }
    }
}
