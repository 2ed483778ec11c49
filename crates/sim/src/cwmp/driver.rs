//! One task for each simulated CWMP device: it carries out what [`super::device`] wants, on real
//! sockets and a real clock.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use agent::Now;
use cwmp::cpe::Reply;
use mtp::tls::ClientTls;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;

use super::device::{Device, Step};
use super::http::{Link, carry_out};
use super::knock::{Order, Shared};
use super::management::Stun;
use super::nat;

/// How long the ACS may take for one answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// What happened to all devices of a fleet so far.
#[derive(Debug, Default)]
pub struct Counts {
    /// Sessions that were begun.
    pub sessions: AtomicU64,
    /// Sessions that are over, whichever way.
    pub ended: AtomicU64,
    /// Sessions in which something failed.
    pub failed: AtomicU64,
    /// Messages that were answered.
    pub messages: AtomicU64,
    /// Sessions that the ACS sent away with 503.
    pub sent_away: AtomicU64,
    /// The longest wait for one answer, in milliseconds.
    pub longest_answer_ms: AtomicU64,
    /// The longest session, in milliseconds.
    pub longest_session_ms: AtomicU64,
    /// The longest time from being switched on to the end of the first good session, in milliseconds.
    pub longest_start_ms: AtomicU64,
    /// Devices that are switched on and have had a good session since.
    pub settled: AtomicU64,
}

/// What is asked of all devices of a fleet, for measurements.
#[derive(Debug)]
pub(super) struct Levers {
    /// Each session is followed by the next.
    pub(super) restless: AtomicBool,
    /// Sessions stop after the InformResponse.
    pub(super) hold: watch::Sender<bool>,
    /// Sessions that have stopped there.
    pub(super) held: AtomicU64,
}

impl Default for Levers {
    fn default() -> Self {
        Self {
            restless: AtomicBool::default(),
            hold: watch::Sender::new(false),
            held: AtomicU64::default(),
        }
    }
}

pub(super) fn now() -> Now {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Now {
        at: Instant::now(),
        unix_ms: i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX),
    }
}

/// A device with its sockets.
pub(super) struct Driver {
    pub(super) device: Device,
    pub(super) shared: Arc<Shared>,
    pub(super) counts: Arc<Counts>,
    pub(super) levers: Arc<Levers>,
    pub(super) tls: Option<ClientTls>,
    /// Where it keeps its flash; absent keeps it in memory.
    pub(super) flash: Option<PathBuf>,
    binding: Option<(Stun, AbortHandle)>,
    jobs: Vec<JoinHandle<()>>,
    settled: bool,
    /// When it was switched on.
    on_since: Instant,
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.power_down();
    }
}

impl Driver {
    pub(super) fn new(
        device: Device,
        shared: Arc<Shared>,
        (counts, levers): (Arc<Counts>, Arc<Levers>),
        tls: Option<ClientTls>,
        flash: Option<PathBuf>,
    ) -> Self {
        Self {
            device,
            shared,
            counts,
            levers,
            tls,
            flash,
            binding: None,
            jobs: Vec::new(),
            settled: false,
            on_since: Instant::now(),
        }
    }

    /// Runs until `shutdown`, beginning after `delay`.
    pub(super) async fn run(mut self, delay: Duration, shutdown: CancellationToken) {
        let life = async {
            tokio::time::sleep(delay).await;
            self.switch_on();
            loop {
                self.turn().await;
            }
        };
        tokio::select! {
            () = life => {}
            () = shutdown.cancelled() => {}
        }
        self.save();
    }

    fn switch_on(&mut self) {
        self.on_since = Instant::now();
        self.device.start(now());
    }

    /// Does what is due, and waits for more.
    async fn turn(&mut self) {
        self.device.handle_timeout(now());
        if let Some(step) = self.device.poll_step(now()) {
            // The memory of a session is only there while there is one.
            Box::pin(self.session(step)).await;
            self.settle();
            if self.levers.restless.load(Ordering::Relaxed) {
                self.device.inform_now(now());
            }
            return;
        }
        self.save();
        if let Some(down) = self.device.restarting() {
            self.power_down();
            tokio::time::sleep(down).await;
            self.switch_on();
            return;
        }
        self.shared.open(self.device.knock_login(now()));
        self.keep_binding();
        self.jobs.retain(|job| !job.is_finished());
        while let Some(job) = self.device.poll_job(now()) {
            let (shared, tls) = (self.shared.clone(), self.tls.clone());
            self.jobs.push(tokio::spawn(async move {
                let id = job.id;
                let result = carry_out(job, tls).await;
                shared.order(Order::Transferred(id, result));
            }));
        }
        let due = self.device.poll_timeout();
        let due = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = self.shared.notify.notified() => {}
        }
        for order in self.shared.take() {
            match order {
                Order::ConnectionRequest => self.device.knocked(now()),
                Order::Mapped(address) => self.device.mapped(now(), address),
                Order::Transferred(id, result) => self.device.transferred(now(), id, result),
                Order::Poke(path, value) => self.device.poke(now(), &path, value),
                Order::Inform => self.device.inform_now(now()),
                Order::PowerCut(down) => self.device.cut(down),
            }
        }
    }

    /// One session, from its Inform to its end.
    async fn session(&mut self, first: Step) {
        let begun = Instant::now();
        let counts = self.counts.clone();
        counts.sessions.fetch_add(1, Ordering::Relaxed);
        let login = self.device.login(now());
        let mut link = Link::new(&login, self.tls.clone()).ok();
        let mut step = Some(first);
        while let Some(next) = step {
            match (next, &mut link) {
                (Step::Close, _) => break,
                (Step::Post(body), Some(link)) => {
                    let asked = Instant::now();
                    let answer = tokio::time::timeout(ANSWER_WITHIN, link.post(body)).await;
                    longest(&counts.longest_answer_ms, asked);
                    match answer {
                        Ok(Ok(answer)) => {
                            counts.messages.fetch_add(1, Ordering::Relaxed);
                            if answer.status == 503 {
                                counts.sent_away.fetch_add(1, Ordering::Relaxed);
                            }
                            if answer.status >= 300 {
                                counts.failed.fetch_add(1, Ordering::Relaxed);
                            }
                            let reply = Reply {
                                status: answer.status,
                                body: &answer.body,
                                content_type: answer.content_type.as_deref(),
                            };
                            self.device.replied(now(), reply);
                        }
                        Ok(Err(error)) => {
                            tracing::debug!(%error, url = login.url, "a session failed");
                            counts.failed.fetch_add(1, Ordering::Relaxed);
                            self.device.failed(now());
                        }
                        Err(_) => {
                            counts.failed.fetch_add(1, Ordering::Relaxed);
                            self.device.failed(now());
                        }
                    }
                }
                (Step::Break | Step::Post(_), _) => {
                    link = None;
                    counts.failed.fetch_add(1, Ordering::Relaxed);
                    self.device.failed(now());
                }
            }
            step = self.device.poll_step(now());
            self.hold().await;
        }
        longest(&counts.longest_session_ms, begun);
        counts.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits in the middle of a session while that is asked for.
    async fn hold(&self) {
        let mut hold = self.levers.hold.subscribe();
        if *hold.borrow_and_update() {
            self.levers.held.fetch_add(1, Ordering::Relaxed);
            // The sender is ours, so it cannot be gone.
            _ = hold.wait_for(|held| !held).await;
            self.levers.held.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Counts itself among those that have had a good session.
    fn settle(&mut self) {
        if self.device.is_settled() && !self.settled {
            self.settled = true;
            longest(&self.counts.longest_start_ms, self.on_since);
            self.counts.settled.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn power_down(&mut self) {
        self.shared.close();
        self.jobs.drain(..).for_each(|job| job.abort());
        if let Some((_, task)) = self.binding.take() {
            task.abort();
        }
        if std::mem::take(&mut self.settled) {
            self.counts.settled.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn keep_binding(&mut self) {
        let wanted = self.device.stun(now());
        if wanted.as_ref() == self.binding.as_ref().map(|(known, _)| known) {
            return;
        }
        if let Some((_, task)) = self.binding.take() {
            task.abort();
        }
        self.binding = wanted.map(|stun| {
            let task = tokio::spawn(nat::bind(stun.clone(), self.shared.clone()));
            (stun, task.abort_handle())
        });
    }

    /// Writes the flash, when something in it has changed.
    fn save(&mut self) {
        let Some(path) = self.flash.as_ref().filter(|_| self.device.dirty) else {
            return;
        };
        self.device.dirty = false;
        let written = super::flash::write(path, self.device.tree.own());
        if let Err(error) = written {
            tracing::warn!(%error, path = %path.display(), "the flash of a device cannot be written");
        }
    }
}

fn longest(known: &AtomicU64, since: Instant) {
    let ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    known.fetch_max(ms, Ordering::Relaxed);
}
