//! What the waker remembers of each device: who is waking it, what was tried, and when. Bounded;
//! those that nobody wakes and nobody asked about for longest go first.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dm::retry::RetryPolicy;
use fleet::{DeviceId, TenantId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::limits::{ATTEMPTS_KEPT, EVENT_EVERY, EVENTS_MAX, RETRY_MAX, ROUNDS_BURST};
use crate::seam::Attempt;

/// One device being woken.
#[derive(Default)]
pub struct Task {
    /// Somebody wants it now.
    pub now: Notify,
    /// It came, or is not wanted any more.
    pub over: CancellationToken,
    /// It came, and said that it was asked to.
    asked: AtomicBool,
    /// Somebody wanted it since this was last looked at.
    wanted: AtomicBool,
}

impl Task {
    /// It came, and said that it was asked to.
    pub fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// What was wanted until now is in the store.
    pub fn look(&self) {
        self.wanted.store(false, Ordering::SeqCst);
    }
}

/// What came of beginning to wake a device.
pub enum Begun {
    /// Somebody has to run this.
    New(Arc<Task>),
    /// It is being woken already; whoever does has heard of this.
    Already,
    /// There is no room.
    Full,
}

/// The devices that something is remembered of.
pub struct Devices {
    max: usize,
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    of: HashMap<DeviceId, Known>,
    /// Those that nobody wakes, by when something happened last.
    idle: BTreeSet<(Instant, DeviceId)>,
    /// Events told to each tenant since then.
    told: HashMap<TenantId, (Instant, u32)>,
    numbers: u64,
}

struct Known {
    tenant: TenantId,
    task: Option<Arc<Task>>,
    attempts: VecDeque<(u64, Attempt)>,
    /// When all rounds so far would be over if they had kept their interval.
    tried: Option<Instant>,
    told: Option<Instant>,
    /// How often the sweep began to wake it since somebody wanted it, and when it may again.
    swept: (u32, Option<Instant>),
    touched: Instant,
}

impl Devices {
    /// None yet, and never more than `max`.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            all: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wake a device.
    pub fn begin(&self, tenant: &TenantId, device: DeviceId) -> Begun {
        let mut all = self.lock();
        if let Some(task) = all.of.get(&device).and_then(|known| known.task.clone()) {
            task.wanted.store(true, Ordering::SeqCst);
            task.now.notify_one();
            return Begun::Already;
        }
        let known = all.of.remove(&device);
        if let Some(known) = &known {
            all.idle.remove(&(known.touched, device));
        } else if all.of.len() >= self.max {
            match all.idle.pop_first() {
                Some((_, oldest)) => all.of.remove(&oldest),
                None => return Begun::Full,
            };
        }
        let task = Arc::new(Task::default());
        let mut known = known.unwrap_or_else(|| Known {
            tenant: tenant.clone(),
            task: None,
            attempts: VecDeque::new(),
            tried: None,
            told: None,
            swept: (0, None),
            touched: Instant::now(),
        });
        known.task = Some(task.clone());
        all.of.insert(device, known);
        Begun::New(task)
    }

    /// The sweep began to wake it, and does so again after a pause that grows (`policy`); or somebody
    /// wanted it, and the pauses begin anew.
    pub fn wanted_by(&self, device: DeviceId, sweep: Option<&RetryPolicy>) {
        if let Some(known) = self.lock().of.get_mut(&device) {
            known.swept = match sweep {
                None => (0, None),
                Some(policy) => {
                    let times = known.swept.0.saturating_add(1);
                    let wait = policy.wait(times, rand::random()).min(RETRY_MAX);
                    (times, Some(Instant::now() + wait))
                }
            };
        }
    }

    /// Whether the sweep may begin to wake it: nobody does, and the pause is over.
    pub fn may_sweep(&self, device: DeviceId) -> bool {
        let all = self.lock();
        all.of.get(&device).is_none_or(|known| {
            known.task.is_none() && known.swept.1.is_none_or(|at| at <= Instant::now())
        })
    }

    /// Nobody wakes it any more; unless another one began meanwhile. False when somebody wanted it
    /// since the task looked: then it goes on.
    pub fn end(&self, device: DeviceId, task: &Arc<Task>) -> bool {
        let mut all = self.lock();
        let now = Instant::now();
        let Some(known) = all.of.get_mut(&device) else {
            return true;
        };
        if task.wanted.swap(false, Ordering::SeqCst) && !task.over.is_cancelled() {
            return false;
        }
        if known
            .task
            .take_if(|running| Arc::ptr_eq(running, task))
            .is_some()
        {
            known.touched = now;
            all.idle.insert((now, device));
        }
        true
    }

    /// The device came: whoever wakes it stops. `asked` is whether it says that it was asked to.
    pub fn came(&self, device: DeviceId, asked: bool) {
        let task = self.lock().of.get(&device).and_then(|k| k.task.clone());
        if let Some(task) = task {
            task.asked.store(asked, Ordering::Release);
            task.over.cancel();
            self.end(device, &task);
        }
    }

    /// The device is gone.
    pub fn forget(&self, device: DeviceId) {
        let mut all = self.lock();
        if let Some(known) = all.of.remove(&device) {
            all.idle.remove(&(known.touched, device));
            if let Some(task) = known.task {
                task.over.cancel();
            }
        }
    }

    /// Nobody wakes a device of this tenant any more.
    pub fn forget_tenant(&self, tenant: &TenantId) {
        let all = self.lock();
        let theirs = all.of.values().filter(|known| known.tenant == *tenant);
        for task in theirs.filter_map(|known| known.task.as_ref()) {
            task.over.cancel();
        }
    }

    /// How long to wait until something may be tried again, and that it will be then: the first
    /// [`ROUNDS_BURST`] at once, the others `interval` after each other.
    pub fn try_in(&self, device: DeviceId, interval: Duration) -> Duration {
        let mut all = self.lock();
        let now = Instant::now();
        let Some(known) = all.of.get_mut(&device) else {
            return Duration::ZERO;
        };
        let over = known.tried.map_or(now, |over| over.max(now));
        known.tried = Some(over + interval);
        (over - now).saturating_sub(interval * (ROUNDS_BURST - 1))
    }

    /// Remembers an attempt; by its number it can be told how it went on.
    pub fn note(&self, device: DeviceId, attempt: Attempt) -> u64 {
        let mut all = self.lock();
        all.numbers += 1;
        let number = all.numbers;
        if let Some(known) = all.of.get_mut(&device) {
            known.attempts.truncate(ATTEMPTS_KEPT - 1);
            known.attempts.push_front((number, attempt));
        }
        number
    }

    /// How an attempt went on.
    pub fn amend(&self, device: DeviceId, number: u64, change: impl FnOnce(&mut Attempt)) {
        let mut all = self.lock();
        let known = all.of.get_mut(&device);
        if let Some((_, attempt)) =
            known.and_then(|known| known.attempts.iter_mut().find(|(n, _)| *n == number))
        {
            change(attempt);
        }
    }

    /// The last attempts, newest first.
    pub fn attempts(&self, tenant: &TenantId, device: DeviceId) -> Vec<Attempt> {
        let all = self.lock();
        let known = all.of.get(&device).filter(|known| known.tenant == *tenant);
        known.map_or_else(Vec::new, |known| {
            known.attempts.iter().map(|(_, one)| one.clone()).collect()
        })
    }

    /// How many are being woken.
    pub fn woken(&self) -> usize {
        let all = self.lock();
        all.of.len() - all.idle.len()
    }

    /// Whether the log shall hear now that this device cannot be woken.
    pub fn may_tell(&self, tenant: &TenantId, device: DeviceId) -> bool {
        let mut all = self.lock();
        let now = Instant::now();
        let recent = |at: Instant| now.saturating_duration_since(at) < EVENT_EVERY;
        let Some(known) = all.of.get_mut(&device) else {
            return false;
        };
        if known.told.is_some_and(recent) {
            return false;
        }
        known.told = Some(now);
        let (since, count) = all.told.entry(tenant.clone()).or_insert((now, 0));
        if !recent(*since) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= EVENTS_MAX
    }
}

#[cfg(test)]
mod tests {
    use fleet::Timestamp;

    use super::*;
    use crate::state::now;

    fn device(n: u16) -> DeviceId {
        let [a, b] = n.to_be_bytes();
        DeviceId::new(Timestamp(1), [a, b, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    fn acme() -> TenantId {
        TenantId::parse("acme").unwrap()
    }

    fn attempt(words: &str) -> Attempt {
        Attempt {
            at: now(),
            ok: false,
            method: "http".to_owned(),
            address: "http://192.0.2.1/".to_owned(),
            took: Duration::ZERO,
            words: words.to_owned(),
        }
    }

    fn begin(devices: &Devices, device: DeviceId) -> Arc<Task> {
        match devices.begin(&acme(), device) {
            Begun::New(task) => task,
            _ => panic!("it is being woken, or there is no room"),
        }
    }

    #[test]
    fn a_device_is_woken_once_and_whoever_wakes_it_hears_that_it_came() {
        let devices = Devices::new(10);
        let one = device(1);
        let task = begin(&devices, one);
        assert!(matches!(devices.begin(&acme(), one), Begun::Already));
        devices.came(one, true);
        assert!(task.over.is_cancelled() && task.was_asked() && devices.may_sweep(one));
        let next = begin(&devices, one);
        // The one before ends late.
        devices.end(one, &task);
        assert!(!devices.may_sweep(one) && !next.over.is_cancelled());
        devices.forget(one);
        assert!(next.over.is_cancelled());
    }

    #[test]
    fn who_is_wanted_while_its_task_leaves_is_woken_on() {
        let devices = Devices::new(10);
        let one = device(1);
        let task = begin(&devices, one);
        // Before it looked: the store says whether that is still so.
        assert!(matches!(devices.begin(&acme(), one), Begun::Already));
        task.look();
        assert!(devices.end(one, &task));
        let task = begin(&devices, one);
        task.look();
        assert!(matches!(devices.begin(&acme(), one), Begun::Already));
        assert!(!devices.end(one, &task), "it is wanted");
        assert!(devices.end(one, &task), "and was told so once");
        assert!(matches!(devices.begin(&acme(), one), Begun::New(_)));
    }

    #[test]
    fn the_devices_of_a_tenant_that_is_disabled_are_left_alone() {
        let devices = Devices::new(10);
        let task = begin(&devices, device(1));
        devices.forget_tenant(&TenantId::parse("other").unwrap());
        assert!(!task.over.is_cancelled());
        devices.forget_tenant(&acme());
        assert!(task.over.is_cancelled());
    }

    #[test]
    fn the_sweep_leaves_a_device_alone_for_longer_each_time() {
        let devices = Devices::new(10);
        let one = device(1);
        let policy = RetryPolicy::default();
        assert!(devices.may_sweep(one));
        let task = begin(&devices, one);
        devices.wanted_by(one, Some(&policy));
        devices.end(one, &task);
        assert!(!devices.may_sweep(one));
        devices.wanted_by(one, None);
        assert!(devices.may_sweep(one));
        let none = RetryPolicy {
            min_wait: Duration::ZERO,
            ..policy
        };
        devices.wanted_by(one, Some(&none));
        assert!(devices.may_sweep(one));
    }

    #[test]
    fn a_few_rounds_follow_at_once_and_the_others_keep_their_distance() {
        let devices = Devices::new(10);
        let one = device(1);
        begin(&devices, one);
        let interval = Duration::from_secs(5);
        for _ in 0..ROUNDS_BURST {
            assert_eq!(devices.try_in(one, interval), Duration::ZERO);
        }
        let wait = devices.try_in(one, interval);
        assert!(
            wait > Duration::from_secs(4) && wait <= interval,
            "{wait:?}"
        );
        assert!(devices.try_in(one, interval) > interval);
    }

    /// `ATTEMPTS_KEPT`
    #[test]
    fn only_the_last_attempts_are_kept_newest_first() {
        let devices = Devices::new(10);
        let one = device(1);
        begin(&devices, one);
        let mut last = 0;
        for n in 0..ATTEMPTS_KEPT + 3 {
            last = devices.note(one, attempt(&n.to_string()));
        }
        devices.amend(one, last, |attempt| attempt.ok = true);
        let attempts = devices.attempts(&acme(), one);
        assert_eq!(attempts.len(), ATTEMPTS_KEPT);
        assert_eq!(attempts[0].words, (ATTEMPTS_KEPT + 2).to_string());
        assert!(attempts[0].ok && !attempts[1].ok);
    }

    /// `DEVICES_MAX`
    #[test]
    fn memory_is_bounded_and_those_being_woken_stay() {
        let devices = Devices::new(2);
        let tasks = [begin(&devices, device(1)), begin(&devices, device(2))];
        assert!(matches!(devices.begin(&acme(), device(3)), Begun::Full));
        devices.note(device(1), attempt("x"));
        devices.end(device(1), &tasks[0]);
        begin(&devices, device(3));
        assert!(devices.attempts(&acme(), device(1)).is_empty() && !devices.may_sweep(device(2)));
        assert_eq!(devices.woken(), 2);
    }

    /// `EVENTS_MAX`
    #[test]
    fn the_log_hears_of_a_device_once_and_not_of_all() {
        let devices = Devices::new(EVENTS_MAX as usize + 10);
        let tenant = acme();
        let tell = |n: u32| {
            let device = device(n as u16);
            begin(&devices, device);
            devices.may_tell(&tenant, device)
        };
        assert!(tell(0) && !devices.may_tell(&tenant, device(0)));
        let told = (1..EVENTS_MAX + 5).filter(|n| tell(*n)).count();
        assert_eq!(told, EVENTS_MAX as usize - 1);
        assert!(!devices.may_tell(&tenant, DeviceId::new(now(), [9; 10])));
    }
}
