//! One simulated CWMP device without sockets: its sessions, restarts, transfers, tests and value
//! changes. Inputs and moments go in, steps and jobs come out; [`super::driver`] carries them out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::Now;
use bytes::Bytes;
use cwmp::cpe::{Config, Event, Periodic, Reply, Session, Transmit};
use cwmp::event::{Cause, EventCode};
use cwmp::fault::FaultCode;
use cwmp::retry::RetryPolicy;
use cwmp::rpc::{DeviceId, EventStruct, Method, ParameterValue, Request, TransferComplete};
use cwmp::soap::Booleans;
use cwmp::version::Version;

use super::blueprint::Blueprint;
use super::modules::Modules;
use super::probe::Probe;
use super::transfer::Transfers;
use super::tree::{At, Own, Tree};
use super::trouble::{Strike, Troubles};
use super::watch::ACTIVE;
use crate::motion::{mix, unit};

/// How often parameters with notification are compared.
const WATCH_EVERY: Duration = Duration::from_secs(5);

/// What is in every Inform when the device has it, below the root.
const FORCED: &[&str] = &[
    "DeviceSummary",
    "RootDataModelVersion",
    "DeviceInfo.SpecVersion",
    "DeviceInfo.HardwareVersion",
    "DeviceInfo.SoftwareVersion",
    "DeviceInfo.ProvisioningCode",
    "ManagementServer.ParameterKey",
    "ManagementServer.ConnectionRequestURL",
    "ManagementServer.AliasBasedAddressing",
    "WANDevice.1.WANConnectionDevice.1.WANPPPConnection.1.ExternalIPAddress",
];
/// What is watched from the first day on.
const WATCHED: &[&str] = &[
    "DeviceInfo.SoftwareVersion",
    "DeviceInfo.ProvisioningCode",
    "ManagementServer.ConnectionRequestURL",
    "ManagementServer.UDPConnectionRequestAddress",
    "WANDevice.1.WANConnectionDevice.1.WANPPPConnection.1.ExternalIPAddress",
];

/// What a session wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// POST this to the ACS, and tell what comes back.
    Post(Bytes),
    /// Break the connection without a word, and tell that it failed.
    Break,
    /// The session is over.
    Close,
}

/// A restart that is to come.
#[derive(Clone, Debug, Default)]
pub(super) struct Restart {
    /// That of the Reboot.
    command_key: Option<String>,
    factory: bool,
    /// How long it takes; otherwise as long as this device takes.
    down: Option<Duration>,
}

/// One device.
pub struct Device {
    pub(super) tree: Tree,
    pub(super) session: Session,
    seed: u64,
    troubles: Troubles,
    pub(super) behind_nat: bool,
    started: Instant,
    pub(super) restart: Option<Restart>,
    pub(super) transfers: Transfers,
    pub(super) modules: Modules,
    /// Told after the restart.
    pub(super) after_restart: Vec<(TransferComplete, Cause)>,
    pub(super) probes: Vec<Probe>,
    watch_at: Option<Instant>,
    pub(super) periodic: Option<Periodic>,
    pub(super) known_url: String,
    /// What the Inform under way tells.
    telling: Vec<(String, String)>,
    pub(super) sessions: u64,
    requests: u32,
    strike: Option<(Strike, u32)>,
    broken: bool,
    /// The flash is to be written.
    pub(super) dirty: bool,
    /// The last session of this start that went well.
    good: bool,
}

impl Device {
    /// A device that is not switched on.
    pub(super) fn new(
        blueprint: Arc<Blueprint>,
        (number, seed): (u32, u64),
        own: Own,
        troubles: Troubles,
        behind_nat: bool,
        now: Instant,
    ) -> Self {
        let tree = Tree::new(blueprint, number, seed, own);
        let seed = mix(seed ^ crate::motion::seed_of(0, &tree.identity().serial()));
        let mut config = Config::new(device_id(&tree));
        if tree.is_old() {
            config.versions = vec![Version::V1_0];
            config.booleans = Booleans::Digits;
        }
        let newest = config.versions.iter().max().copied().unwrap_or_default();
        let not_served = [Method::SetVouchers, Method::GetOptions];
        config
            .methods
            .retain(|method| method.since() <= newest && !not_served.contains(method));
        let at = At::default();
        let number_of = |name: &str| {
            let path = tree.below(&format!("ManagementServer.{name}"));
            tree.value(at, &path)?.parse().ok()
        };
        let waits = number_of("CWMPRetryMinimumWaitInterval").unwrap_or(5);
        config.retry = RetryPolicy {
            min_wait: Duration::from_secs(waits),
            ..RetryPolicy::default()
        };
        Self {
            session: Session::new(config, seed),
            tree,
            seed,
            troubles,
            behind_nat,
            started: now,
            restart: None,
            transfers: Transfers::default(),
            modules: Modules::default(),
            after_restart: Vec::new(),
            probes: Vec::new(),
            watch_at: None,
            periodic: None,
            known_url: String::new(),
            telling: Vec::new(),
            sessions: 0,
            requests: 0,
            strike: None,
            broken: false,
            dirty: false,
            good: false,
        }
    }

    /// Its serial number.
    pub fn serial(&self) -> String {
        self.tree.identity().serial()
    }

    /// The path at which it takes connection requests.
    pub(super) fn knock_path(&self) -> String {
        self.tree.identity().fill(super::provision::KNOCK_PATH)
    }

    pub(super) fn at(&self, now: Now) -> At {
        At {
            up: now.at.saturating_duration_since(self.started),
            unix_ms: now.unix_ms,
        }
    }

    /// The power comes on, for the first time or after a restart.
    pub(super) fn start(&mut self, now: Now) {
        let restart = self.restart.take().unwrap_or_default();
        if restart.factory {
            self.tree.reset();
            self.dirty = true;
        }
        self.started = now.at;
        self.transfers.clear();
        self.modules.power_lost();
        self.stop_probes();
        (self.broken, self.strike, self.good) = (false, None, false);
        self.telling.clear();
        let watched: Vec<_> = WATCHED.iter().map(|name| self.tree.below(name)).collect();
        self.tree.tell_first(self.at(now), &watched);
        self.known_url = self.management(now, "URL");
        let bootstrap = self.tree.own().introduced_to != self.known_url;
        let unix = now.unix_ms.div_euclid(1000);
        self.session.set_clock(now.at, unix);
        // What does not fit is lost, as on a device whose log is full.
        _ = self.session.boot(now.at, bootstrap);
        if let Some(key) = restart.command_key {
            let event = EventStruct::with_key(EventCode::Method(Cause::Reboot), key);
            _ = self.session.raise(now.at, event);
        }
        for (report, cause) in std::mem::take(&mut self.after_restart) {
            _ = self.session.transfer_complete(now.at, report, cause);
        }
        self.periodic = None;
        self.apply_management(now);
        self.look(now);
    }

    /// A connection request came.
    pub(super) fn knocked(&mut self, now: Now) {
        let event = EventStruct::new(EventCode::ConnectionRequest);
        _ = self.session.raise(now.at, event);
    }

    /// It informs, as if the interval were over.
    pub(super) fn inform_now(&mut self, now: Now) {
        let event = EventStruct::new(EventCode::Periodic);
        _ = self.session.raise(now.at, event);
    }

    /// Somebody at home changes a value.
    pub(super) fn poke(&mut self, now: Now, path: &str, value: String) {
        self.tree.change(path, value);
        self.dirty = true;
        self.look(now);
    }

    /// The power is gone, and comes back after `down`.
    pub(super) fn cut(&mut self, down: Duration) {
        self.restart = Some(Restart {
            down: Some(down),
            ..Restart::default()
        });
        self.broken = self.session.is_active();
    }

    pub(super) fn reboot(&mut self, command_key: String) {
        self.restart = Some(Restart {
            command_key: Some(command_key),
            ..Restart::default()
        });
    }

    pub(super) fn factory_reset(&mut self) {
        self.restart = Some(Restart {
            factory: true,
            ..Restart::default()
        });
    }

    /// How long it is down, when it is about to restart and no session is open.
    pub(super) fn restarting(&self) -> Option<Duration> {
        let restart = self
            .restart
            .as_ref()
            .filter(|_| !self.session.is_active())?;
        let usual = Duration::from_secs_f64(2.0 + 4.0 * unit(self.seed, 8));
        Some(restart.down.unwrap_or(usual))
    }

    /// Whether a session since the last start has gone well.
    pub(super) fn is_settled(&self) -> bool {
        self.good
    }

    /// What the session wants next; nothing when none is open.
    pub(super) fn poll_step(&mut self, now: Now) -> Option<Step> {
        self.pump(now);
        if self.broken {
            return Some(Step::Break);
        }
        self.session.poll_transmit().map(|transmit| match transmit {
            Transmit::Post(body) => Step::Post(body),
            Transmit::Close => Step::Close,
        })
    }

    /// The ACS has answered.
    pub(super) fn replied(&mut self, now: Now, reply: Reply<'_>) {
        _ = self.session.handle_input(now.at, reply);
        self.pump(now);
    }

    /// The connection failed, or was broken.
    pub(super) fn failed(&mut self, now: Now) {
        self.broken = false;
        self.session.connection_failed(now.at);
        self.pump(now);
    }

    fn pump(&mut self, now: Now) {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Starting => self.inform(now),
                Event::Requested { token, request } => {
                    self.tell();
                    self.requests += 1;
                    let strike = self.strike.filter(|(_, at)| *at == self.requests);
                    if let Some((Strike::Drop, _)) = strike {
                        self.broken = true;
                        return;
                    }
                    let result = self.answer(now, request);
                    match strike {
                        Some((Strike::Lose, _)) => self.broken = true,
                        Some(_) => {
                            self.broken = true;
                            self.restart = self.restart.take().or(Some(Restart::default()));
                        }
                        None => _ = self.session.respond(now.at, token, result),
                    }
                }
                Event::Ended { result, .. } => self.ended(now, result.is_ok()),
                Event::Reported { .. } | Event::Unexpected => {}
            }
        }
    }

    fn inform(&mut self, now: Now) {
        let at = self.at(now);
        self.sessions += 1;
        self.requests = 0;
        self.strike = self.troubles.strike(self.seed, self.sessions);
        let changed = self.tree.changed(at);
        let mut names: Vec<String> = FORCED.iter().map(|name| self.tree.below(name)).collect();
        let udp = self
            .tree
            .below("ManagementServer.UDPConnectionRequestAddress");
        if self.behind_nat
            && self
                .tree
                .value(at, &udp)
                .is_some_and(|known| !known.is_empty())
        {
            names.push(udp);
        }
        names.extend(changed.iter().cloned());
        names.sort();
        names.dedup();
        let values = names.iter().filter_map(|name| self.tree.read(at, name));
        let values: Vec<ParameterValue> = values.collect();
        let known = changed.into_iter().filter_map(|path| {
            let value = self.tree.value(at, &path)?;
            Some((path, value))
        });
        self.telling = known.collect();
        _ = self.session.inform(now.at, values);
    }

    /// The ACS has the Inform.
    fn tell(&mut self) {
        let telling = std::mem::take(&mut self.telling);
        if !telling.is_empty() {
            self.dirty = true;
            self.tree.told(telling);
        }
    }

    fn ended(&mut self, now: Now, good: bool) {
        self.broken = false;
        if good {
            self.tell();
            self.good = true;
            let url = self.known_url.clone();
            if self.tree.own().introduced_to != url {
                self.tree.own_mut().introduced_to = url;
                self.dirty = true;
            }
        }
        self.telling.clear();
        if self.restart.is_none() {
            self.apply_management(now);
            self.begin_probes(now);
            self.change_modules(now);
        }
    }

    /// Compares what is watched, and says so when it has changed.
    pub(super) fn look(&mut self, now: Now) {
        let at = self.at(now);
        let changed = self.tree.changed(at);
        let event = || EventStruct::new(EventCode::ValueChange);
        let known: BTreeMap<_, _> = self.telling.iter().cloned().collect();
        let new = changed.iter().filter(|path| !known.contains_key(*path));
        let notifications: Vec<u32> = new.map(|path| self.tree.notification(path)).collect();
        if notifications.contains(&ACTIVE) {
            _ = self.session.raise(now.at, event());
        } else if !notifications.is_empty() {
            _ = self.session.note(event());
        }
        self.watch_at = self.tree.is_watched().then(|| now.at + WATCH_EVERY);
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Now) {
        self.session.handle_timeout(now.at);
        self.end_probes(now);
        if self.watch_at.is_some_and(|due| due <= now.at) {
            self.look(now);
        }
    }

    /// When to call [`Self::handle_timeout`].
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let probes = self.probes.iter().filter_map(|probe| probe.due());
        let due = [
            self.session.poll_timeout(),
            self.transfers.poll_timeout(),
            self.watch_at,
            probes.min(),
        ];
        due.into_iter().flatten().min()
    }

    /// Watches from now on.
    pub(super) fn watch(&mut self, now: Now) {
        if self.watch_at.is_none() && self.tree.is_watched() {
            self.watch_at = Some(now.at + WATCH_EVERY);
        }
    }

    pub(super) fn troubles(&self) -> &Troubles {
        &self.troubles
    }

    pub(super) fn schedule_inform(
        &mut self,
        now: Now,
        delay: Duration,
        key: String,
    ) -> Result<(), FaultCode> {
        let scheduled = self.session.schedule_inform(now.at, delay, key);
        scheduled.map_err(|_| FaultCode::RESOURCES_EXCEEDED)
    }

    /// A diagnostic is over.
    pub(super) fn probed(&mut self, now: Now) {
        let event = EventStruct::new(EventCode::DiagnosticsComplete);
        _ = self.session.raise(now.at, event);
    }

    /// Carries a request of the ACS out.
    fn answer(&mut self, now: Now, request: Request) -> super::answer::Answer {
        let answer = super::answer::answer(self, now, request);
        self.watch(now);
        answer
    }
}

fn device_id(tree: &Tree) -> DeviceId {
    let text = |name: &str| {
        let path = tree.below(&format!("DeviceInfo.{name}"));
        tree.value(At::default(), &path).unwrap_or_default()
    };
    DeviceId {
        manufacturer: text("Manufacturer"),
        oui: text("ManufacturerOUI"),
        product_class: text("ProductClass"),
        serial_number: text("SerialNumber"),
    }
}
