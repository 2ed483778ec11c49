//! One connection of a device: TLS or not, whose certificate, which session it carries, and whether
//! anything happens on it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::core::Core;
use super::door::ClientCertificate;
use super::session::Input;
use super::sessions::Handle;

/// A connection.
pub struct Line {
    /// What everything shares.
    pub core: Arc<Core>,
    /// Its number on this node, from 1.
    pub number: u64,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// Where it came to.
    pub local: SocketAddr,
    /// It speaks TLS.
    pub tls: bool,
    /// A proxy of ours is at the other end, which may carry many devices over it.
    pub proxied: bool,
    /// The client certificate, where there is one that is good.
    pub certificate: Option<Arc<ClientCertificate>>,
    busy: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    since: Instant,
    session: Option<Bound>,
}

/// The session that a connection carries.
struct Bound {
    handle: Handle,
    /// Whether the device has shown its cookie, and so can go on over another connection; not known
    /// from its first request.
    cookie: Option<bool>,
}

/// What a connection is, before anything came over it.
pub struct About {
    /// See [`Line::peer`].
    pub peer: SocketAddr,
    /// See [`Line::local`].
    pub local: SocketAddr,
    /// See [`Line::tls`].
    pub tls: bool,
    /// See [`Line::proxied`].
    pub proxied: bool,
    /// See [`Line::certificate`].
    pub certificate: Option<Arc<ClientCertificate>>,
}

impl Line {
    /// A connection that was just made.
    pub fn new(core: Arc<Core>, about: About) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        Self {
            core,
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            peer: about.peer,
            local: about.local,
            tls: about.tls,
            proxied: about.proxied,
            certificate: about.certificate,
            busy: AtomicUsize::new(0),
            state: Mutex::new(State {
                since: Instant::now(),
                session: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session that this connection carries, if it still lives.
    pub fn session(&self) -> Option<Handle> {
        let state = self.lock();
        let handle = state.session.as_ref().map(|bound| bound.handle.clone());
        handle.filter(|handle| !handle.inbox.is_closed())
    }

    /// From now on it carries this session. `cookie`: whether the device has shown its cookie, which
    /// its first request cannot.
    pub fn carries(&self, handle: &Handle, cookie: Option<bool>) {
        let mut state = self.lock();
        let known = state.session.as_ref();
        let known = known.filter(|bound| bound.handle.number == handle.number);
        let cookie = match known.map(|bound| bound.cookie) {
            Some(Some(true)) => Some(true),
            _ => cookie,
        };
        state.session = Some(Bound {
            handle: handle.clone(),
            cookie,
        });
    }

    /// A request is under way until this is dropped.
    pub fn busy(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// Returns when nothing has happened for so long and no session is waited for.
    pub async fn idle(&self, max: Duration) {
        loop {
            let until = self.lock().since + max;
            let waits = self.busy.load(Ordering::Relaxed) > 0 || self.session_lives();
            let now = Instant::now();
            if !waits && until <= now {
                return;
            }
            // A session is looked after again when this time has passed once more.
            let wait = if waits { max } else { until - now };
            tokio::time::sleep(wait).await;
        }
    }

    fn session_lives(&self) -> bool {
        let state = self.lock();
        let bound = state.session.as_ref();
        bound.is_some_and(|bound| !bound.handle.inbox.is_closed())
    }

    /// The connection is gone.
    pub async fn closed(&self) {
        let Some(bound) = self.lock().session.take() else {
            return;
        };
        let line = self.number;
        let lost = bound.cookie == Some(false);
        let _ = bound.handle.inbox.send(Input::Closed { line, lost }).await;
    }
}

/// See [`Line::busy`].
pub struct Busy(Arc<Line>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
        self.0.lock().since = Instant::now();
    }
}
