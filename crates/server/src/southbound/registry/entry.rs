//! One open link, as everybody beside its own task knows it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use fleet::limits::BOOT_WAIT_MAX;
use fleet::onboarding::{Flaps, Strength};
use fleet::{DeviceId, SetupKeyId, TenantId, Timestamp};
use store::SecretHash;
use tokio::sync::mpsc;

use crate::seam::SessionContext;
use crate::southbound::limits::DOUBT_TIME;
use crate::southbound::refusal::Peer;
use crate::state::now;

/// A link that wants the place of a device.
#[derive(Debug)]
pub struct NewEntry<C> {
    /// Whose device it is.
    pub tenant: TenantId,
    /// The device.
    pub device: DeviceId,
    /// What it runs over.
    pub transport: &'static str,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// How well it proved who it is.
    pub strength: Strength,
    /// See [`Entry::certificate`].
    pub certificate: Option<SecretHash>,
    /// To the task of the link.
    pub inbox: mpsc::Sender<C>,
}

/// One open link.
#[derive(Debug)]
pub struct Entry<C> {
    /// Whose device it is.
    pub tenant: TenantId,
    /// The device.
    pub device: DeviceId,
    /// What it runs over.
    pub transport: &'static str,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// How well it proved who it is.
    pub strength: Strength,
    /// The SHA-256 of the certificate that it came in with, where that was issued here.
    pub certificate: Option<SecretHash>,
    /// To the task of the link.
    pub inbox: mpsc::Sender<C>,
    /// When it was last heard, in milliseconds.
    heard: AtomicI64,
    /// The device can be asked things over it. Of links that are open to questions for as long as they are there, false.
    open: AtomicBool,
    /// Since when a request over it is without an answer, in milliseconds since [`Self::since`]; 0 when it answers.
    doubted: AtomicU64,
    /// When it took its place.
    since: Instant,
    parting: Mutex<Option<(Parting, Instant)>>,
    /// Something was asked of the device while this was open.
    wanted: AtomicBool,
    /// When it was said that the device can be asked, in milliseconds; 0 before that.
    told: AtomicI64,
    /// See [`Self::may_be_silent`].
    silent: AtomicBool,
    /// See [`Self::whence`].
    broker: OnceLock<Box<str>>,
    /// See [`Self::number`].
    number: AtomicU64,
    /// Whoever asks has heard that.
    known: AtomicBool,
    /// See [`Self::session_context`], as bits.
    context: AtomicU8,
    /// See [`Self::proves`].
    proved: Mutex<Option<Box<SecretHash>>>,
    /// See [`Self::opened_by`].
    setup_key: OnceLock<SetupKeyId>,
    /// Takeovers of this place lately, handed on from link to link.
    pub(super) flaps: Flaps,
    pub(super) generation: u64,
}

/// Why a link is expected to end: we made its device leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// It was given a credential of its own and comes back with it.
    Credential,
    /// It was asked to start again.
    Restart,
}

impl Parting {
    /// The name in the event of the disconnect.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Restart => "restart",
        }
    }
}

impl<C> Entry<C> {
    /// One that was just made.
    pub(super) fn new(new: NewEntry<C>, flaps: Flaps, generation: u64) -> Self {
        Self {
            tenant: new.tenant,
            device: new.device,
            transport: new.transport,
            peer: new.peer,
            strength: new.strength,
            certificate: new.certificate,
            inbox: new.inbox,
            heard: AtomicI64::new(now().as_millis()),
            open: AtomicBool::default(),
            doubted: AtomicU64::default(),
            since: Instant::now(),
            parting: Mutex::default(),
            wanted: AtomicBool::default(),
            told: AtomicI64::default(),
            silent: AtomicBool::default(),
            broker: OnceLock::new(),
            number: AtomicU64::default(),
            known: AtomicBool::default(),
            context: AtomicU8::default(),
            proved: Mutex::default(),
            setup_key: OnceLock::new(),
            flaps,
            generation,
        }
    }

    /// The device can be asked things over it.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    pub(super) fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::SeqCst);
    }

    /// A request over it was answered.
    pub fn answers(&self) {
        self.doubted.store(0, Ordering::Relaxed);
    }

    /// A request over it was not answered in time: for a while another link is better.
    pub fn doubt(&self, now: Instant) {
        let since = now.saturating_duration_since(self.since).as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX).max(1);
        self.doubted.store(since, Ordering::Relaxed);
    }

    /// Whether it left a request without an answer, and that is not long ago.
    pub fn is_doubted(&self, now: Instant) -> bool {
        let doubted = Duration::from_millis(self.doubted.load(Ordering::Relaxed));
        let over = now.saturating_duration_since(self.since);
        !doubted.is_zero() && over.saturating_sub(doubted) < DOUBT_TIME
    }

    /// It was heard.
    pub fn hear(&self, at: Timestamp) {
        self.heard.fetch_max(at.as_millis(), Ordering::Relaxed);
    }

    /// From now on its end is expected for this reason, or for none.
    pub fn expect(&self, parting: Option<Parting>) {
        *self.parting_lock() = parting.map(|parting| (parting, Instant::now()));
    }

    /// Why its end is expected, if it is: a device that leaves long after it was told to does so for
    /// another reason.
    pub fn parting(&self, now: Instant) -> Option<Parting> {
        let (parting, since) = (*self.parting_lock())?;
        let fresh = now.saturating_duration_since(since) <= BOOT_WAIT_MAX;
        fresh.then_some(parting)
    }

    fn parting_lock(&self) -> MutexGuard<'_, Option<(Parting, Instant)>> {
        self.parting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is in this session context now.
    pub fn note_context(&self, context: Option<SessionContext>) {
        let bits = context.map_or(0, |of| {
            1 | u8::from(of.up) << 1 | u8::from(of.encrypted) << 2
        });
        self.context.store(bits, Ordering::Relaxed);
    }

    /// The session context that it is in.
    pub fn session_context(&self) -> Option<SessionContext> {
        let bits = self.context.load(Ordering::Relaxed);
        (bits != 0).then_some(SessionContext {
            up: bits & 2 != 0,
            encrypted: bits & 4 != 0,
        })
    }

    /// The device has proved who it is between the endpoints themselves, by the certificate with this SHA-256 that was
    /// issued here.
    pub fn proves(&self, certificate: SecretHash) {
        *self.proved.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(certificate));
    }

    /// The certificates issued here that it rests on: the one that it came in with, the one of its session contexts and
    /// signatures.
    pub fn certificates(&self) -> impl Iterator<Item = SecretHash> {
        let proved = self.proved.lock().unwrap_or_else(PoisonError::into_inner);
        let proved = proved.as_deref().copied();
        self.certificate.into_iter().chain(proved)
    }

    /// It came in with this setup key, or to a broker that asks.
    pub fn opened_by(&self, key: SetupKeyId) {
        let _ = self.setup_key.set(key);
    }

    /// The setup key that it came in with.
    pub fn setup_key(&self) -> Option<SetupKeyId> {
        self.setup_key.get().copied()
    }

    /// Its device says as much or as little as it likes, and nobody probes it: that the connection is open says that the
    /// link is.
    pub fn may_be_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    /// See [`Self::may_be_silent`].
    pub fn let_be_silent(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }

    /// It is behind this broker of somebody else, and its peer is that.
    pub fn is_behind(&self, broker: &str) {
        let _ = self.broker.set(broker.into());
    }

    /// Where the device is, as far as it is known.
    pub fn whence(&self) -> Peer {
        match self.broker.get() {
            Some(broker) => Peer::Behind(broker.to_string()),
            None => self.peer.into(),
        }
    }

    /// Its number in the store, which tells it from earlier and later links of the device over its transport; 0 before the
    /// store knows it.
    pub fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    /// See [`Self::number`].
    pub fn set_number(&self, number: u64) {
        self.number.store(number, Ordering::Relaxed);
    }

    /// Something is asked of the device.
    pub fn want(&self) {
        self.wanted.store(true, Ordering::SeqCst);
    }

    /// Whether something was asked of it while this was open.
    pub fn was_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }

    /// It is about to be said that the device can be asked.
    pub fn tells(&self, at: Timestamp) {
        self.told.store(at.as_millis(), Ordering::SeqCst);
    }

    /// What was said at this time is heard; where another link said it, that says nothing of this one.
    pub fn is_heard(&self, at: Timestamp) {
        if self.told.load(Ordering::SeqCst) == at.as_millis() {
            self.known.store(true, Ordering::SeqCst);
        }
    }

    /// Whether what is asked now is meant for this link. Before, it is meant for one that had the place.
    pub fn is_known(&self) -> bool {
        self.known.load(Ordering::SeqCst)
    }

    /// When it was last heard.
    pub fn heard(&self) -> Timestamp {
        Timestamp::from_millis(self.heard.load(Ordering::Relaxed))
    }
}
