//! One simulated CPE as a back end of the agent library: its live values, its hosts, its commands.
//! What controllers set is held by the agent's engine, as on any device.

use crate::diagnostics;
use crate::firmware::Firmware;
use crate::hosts::{Home, Host};
use crate::identity::Identity;
use crate::model::{Model, Source};
use crate::motion::{mix, seed_of, unit};
use agent::{Backend, Call, Fault, Hint, Notifier, Now, Outcome, Restart, View, Watch};
use mtp::tls::ClientTls;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often hosts are looked at and running commands are moved on.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How often subscribed live values are compared.
const WATCH_EVERY: Duration = Duration::from_secs(5);

/// What all devices of one kind share.
pub struct Blueprint {
    /// The model file.
    pub model: Arc<Model>,
    schema: Arc<dm::Schema>,
    /// What is not constant, by object and name, with a number of its own for the path.
    live: HashMap<String, Vec<(String, Source, u64)>>,
}

impl Blueprint {
    /// Builds the supported data model of a kind once.
    ///
    /// # Errors
    /// When the model names an object that TR-181 does not have.
    pub fn new(model: Arc<Model>) -> Result<Arc<Blueprint>, BlueprintError> {
        let mut objects: BTreeSet<String> = model
            .parameters
            .keys()
            .filter_map(|path| path.rsplit_once('.'))
            .map(|(object, _)| supported(&format!("{object}.")))
            .collect();
        objects.insert(supported(&format!("{}1.", model.hosts.table)));
        objects.insert(supported(&format!("{}1.IPv4Address.1.", model.hosts.table)));
        objects.insert(supported(&format!("{}1.", model.hosts.wifi)));
        objects.insert("Device.IP.Diagnostics.".to_owned());
        // What is below an object is listed on its own: no device has all of TR-181.
        let objects: Vec<String> = objects.iter().map(|path| format!("{path}!only")).collect();
        let schema = agent::model(&objects).map_err(BlueprintError::of)?;
        let mut live = HashMap::<String, Vec<_>>::new();
        for (path, source) in &model.parameters {
            if let (false, Some((object, name))) =
                (matches!(source, Source::Constant(_)), path.rsplit_once('.'))
            {
                let of_object = live.entry(format!("{object}.")).or_default();
                of_object.push((name.to_owned(), source.clone(), seed_of(0, path)));
            }
        }
        Ok(Arc::new(Blueprint {
            model,
            schema,
            live,
        }))
    }
}

/// A model file names what the standard does not know.
#[derive(Debug, thiserror::Error)]
#[error("the model cannot be built: {0}")]
pub struct BlueprintError(String);

impl BlueprintError {
    pub(crate) fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// One device.
pub struct Cpe {
    blueprint: Arc<Blueprint>,
    number: u32,
    seed: u64,
    home: Home,
    /// When it booted last: its process started, or it came back from a restart.
    started: Option<Instant>,
    there: Vec<Host>,
    running: Vec<Running>,
    firmware: Firmware,
    down_for: Duration,
}

/// An asynchronous command on its way.
struct Running {
    id: u32,
    due: Instant,
    result: agent::CommandResult,
}

impl Cpe {
    /// The device with this number among its kind; `seed` makes a fleet repeatable.
    pub fn new(blueprint: Arc<Blueprint>, number: u32, seed: u64) -> Cpe {
        let seed = mix(seed ^ u64::from(number));
        let home = Home::new(seed, &blueprint.model.hosts);
        Cpe {
            blueprint,
            number,
            seed,
            home,
            started: None,
            there: Vec::new(),
            running: Vec::new(),
            firmware: Firmware::default(),
            down_for: Duration::from_secs(2) + Duration::from_secs_f64(4.0 * unit(seed, 8)),
        }
    }

    /// The same, fetching files over TLS from those that are trusted in this way.
    #[must_use]
    pub fn trusting(self, tls: Option<ClientTls>) -> Cpe {
        Cpe {
            firmware: Firmware::new(tls),
            ..self
        }
    }

    fn identity(&self) -> Identity<'_> {
        Identity {
            model: &self.blueprint.model,
            number: self.number,
        }
    }

    /// Its serial number.
    pub fn serial(&self) -> String {
        self.identity().serial()
    }

    /// Its endpoint id, by the `os` scheme.
    pub fn endpoint_id(&self) -> String {
        format!("os::{}-{}", self.blueprint.model.oui(), self.serial())
    }

    /// How long it is up. Every start is announced with `Boot!`, that of its process too, so every
    /// start begins anew.
    fn up(&self, now: Now) -> Duration {
        self.started
            .map_or(Duration::ZERO, |at| now.at.saturating_duration_since(at))
    }

    /// The host and parameter name behind a path below one of the tables of hosts.
    fn host_at<'p>(&self, table: &str, path: &'p str) -> Option<(Host, &'p str)> {
        let (number, name) = path.strip_prefix(table)?.split_once('.')?;
        Some((self.home.by_number(number.parse().ok()?)?, name))
    }

    fn in_table(&self, host: Host, table: &str) -> bool {
        table == self.blueprint.model.hosts.table || self.home.on_wifi(host)
    }
}

impl Backend for Cpe {
    fn schema(&self) -> Arc<dm::Schema> {
        self.blueprint.schema.clone()
    }

    fn factory(&self) -> Vec<(String, String)> {
        self.blueprint
            .model
            .parameters
            .iter()
            .filter_map(|(path, source)| match source {
                Source::Constant(text) => Some((path.clone(), self.identity().fill(text))),
                _ => None,
            })
            .collect()
    }

    fn start(&mut self, now: Now, view: &dyn View, _notifier: Notifier) {
        self.started = Some(now.at);
        self.running.clear();
        self.firmware.start(view);
        self.there = self.home.present(self.up(now));
    }

    fn instances(&self, table: &str) -> Option<Vec<u32>> {
        let hosts = &self.blueprint.model.hosts;
        if let Some((_, "IPv4Address.")) = self.host_at(&hosts.table, table) {
            return Some(vec![1]);
        }
        if table != hosts.table && table != hosts.wifi {
            return None;
        }
        let there = self
            .there
            .iter()
            .filter(|host| self.in_table(**host, table));
        Some(there.map(|host| host.number).collect())
    }

    fn read(&self, now: Now, path: &str) -> Option<String> {
        let hosts = &self.blueprint.model.hosts;
        if let Some((host, name)) = self.host_at(&hosts.table, path) {
            return self.home.host_value(host, hosts, name);
        }
        if let Some((host, name)) = self.host_at(&hosts.wifi, path) {
            return self.home.station_value(host, self.up(now), name);
        }
        let (object, name) = path.split_at(path.rfind('.')? + 1);
        let of_object = self.blueprint.live.get(object)?;
        let (_, source, salt) = of_object.iter().find(|(known, ..)| known == name)?;
        match source {
            Source::Constant(_) => None,
            Source::Moving(motion) => {
                let value = motion.at(mix(self.seed ^ salt), self.up(now));
                Some(value.to_string())
            }
            Source::Uptime => Some(self.up(now).as_secs().to_string()),
            Source::Clock => Some(diagnostics::date_time(now.unix_ms)),
        }
    }

    fn is_live(&self, object: &str) -> bool {
        let hosts = &self.blueprint.model.hosts;
        object.starts_with(&hosts.table)
            || object.starts_with(&hosts.wifi)
            || self.blueprint.live.contains_key(object)
    }

    fn operate(&mut self, now: Now, call: &Call, view: &dyn View) -> Outcome {
        if let Some(of_image) = self.firmware.operate(now, call, view) {
            return of_image;
        }
        match call.command.as_str() {
            "Device.Reboot()" => Outcome::Restart(Restart {
                cause: "RemoteReboot".to_owned(),
                command_key: call.command_key.clone(),
                reason: call.arg("Reason").unwrap_or_default().to_owned(),
                ..Restart::default()
            }),
            "Device.FactoryReset()" => Outcome::Restart(Restart {
                cause: "RemoteFactoryReset".to_owned(),
                command_key: call.command_key.clone(),
                factory_reset: true,
                ..Restart::default()
            }),
            "Device.IP.Diagnostics.IPPing()" | "Device.IP.Diagnostics.TraceRoute()" => {
                let seed = self.seed ^ mix(now.unix_ms.unsigned_abs());
                let (takes, outputs) = diagnostics::run(&wanted(call), seed);
                let result = Ok(outputs);
                self.running.push(Running {
                    id: call.id,
                    due: now.at + takes,
                    result,
                });
                Outcome::Running
            }
            "Device.ScheduleTimer()" => {
                let delay = call.arg("DelaySeconds").and_then(|text| text.parse().ok());
                let Some(delay) = delay.filter(|seconds| *seconds > 0) else {
                    let words = "DelaySeconds has to be at least 1";
                    return Outcome::Done(Err(Fault::command_failure(words.to_owned())));
                };
                self.running.push(Running {
                    id: call.id,
                    due: now.at + Duration::from_secs(delay),
                    result: Ok(Default::default()),
                });
                Outcome::Running
            }
            other => Outcome::Done(Err(Fault::command_failure(format!(
                "{other} is not simulated"
            )))),
        }
    }

    fn cancel(&mut self, id: u32) -> bool {
        let before = self.running.len();
        self.running.retain(|command| command.id != id);
        self.running.len() < before || self.firmware.cancel(id)
    }

    fn tick(&mut self, now: Now, view: &dyn View, hints: &mut Vec<Hint>) -> Option<Duration> {
        let there = self.home.present(self.up(now));
        let hosts = &self.blueprint.model.hosts;
        for table in [&hosts.table, &hosts.wifi] {
            let gone = self
                .there
                .iter()
                .filter(|host| !there.contains(host) && self.in_table(**host, table));
            hints.extend(gone.map(|host| Hint::Removed(format!("{table}{}.", host.number))));
            let come = there
                .iter()
                .filter(|host| !self.there.contains(host) && self.in_table(**host, table));
            hints.extend(come.map(|host| Hint::Added(format!("{table}{}.", host.number))));
        }
        self.there = there;
        let (done, still): (Vec<_>, Vec<_>) = self
            .running
            .drain(..)
            .partition(|command| command.due <= now.at);
        self.running = still;
        hints.extend(
            done.into_iter()
                .map(|command| Hint::Completed(command.id, command.result)),
        );
        let due = self.running.iter().map(|command| command.due);
        let due = due.map(|at| at.saturating_duration_since(now.at));
        let next = due.chain(self.firmware.tick(now, view, hints)).min();
        Some(next.map_or(HEARTBEAT, |next| next.min(HEARTBEAT)))
    }

    fn watch(&self) -> Watch {
        Watch::Poll(WATCH_EVERY)
    }

    fn restart(&mut self, _restart: &Restart) -> Option<Duration> {
        Some(self.down_for)
    }
}

/// The test that a command asks for.
fn wanted(call: &Call) -> diagnostics::Wanted<'_> {
    diagnostics::Wanted {
        is_ping: call.command.ends_with("IPPing()"),
        host: call.arg("Host").unwrap_or_default(),
        repetitions: call
            .arg("NumberOfRepetitions")
            .and_then(|text| text.parse().ok()),
    }
}

/// `Device.WiFi.SSID.{i}.` for `Device.WiFi.SSID.1.`.
pub(crate) fn supported(path: &str) -> String {
    path.split('.')
        .map(|part| {
            if part.parse::<u32>().is_ok() {
                "{i}"
            } else {
                part
            }
        })
        .collect::<Vec<_>>()
        .join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    fn cpe(kind: Kind) -> Cpe {
        Cpe::new(Blueprint::new(kind.model().unwrap()).unwrap(), 7, 1)
    }

    #[test]
    fn two_devices_of_a_kind_differ_where_real_ones_do() {
        let blueprint = Blueprint::new(Kind::Gateway.model().unwrap()).unwrap();
        let one = Cpe::new(blueprint.clone(), 1, 1);
        let two = Cpe::new(blueprint, 2, 1);
        assert_ne!(one.endpoint_id(), two.endpoint_id());
        let own = "{serial} {mac:0} {mac:5} {wan} {tail}";
        assert_ne!(one.identity().fill(own), two.identity().fill(own));
        assert_ne!(
            one.identity().fill("{mac:0}"),
            one.identity().fill("{mac:1}")
        );
        assert!(!one.identity().fill(own).contains('{'));
    }

    /// Gateway and extender are of one vendor, and number 1 of each is in one home.
    #[test]
    fn no_two_devices_share_a_mac_or_a_wan_address() {
        let mut seen = BTreeSet::new();
        for kind in Kind::ALL {
            let blueprint = Blueprint::new(kind.model().unwrap()).unwrap();
            for number in [1, 2, 31, 32, 255, 256, 70_000] {
                let cpe = Cpe::new(blueprint.clone(), number, 1);
                let own = (0..8).map(|port| cpe.identity().fill(&format!("{{mac:{port}}}")));
                for address in own.chain([cpe.identity().fill("{wan}")]) {
                    assert!(seen.insert(address.clone()), "{kind:?} {number}: {address}");
                }
            }
        }
    }

    /// A device says what it is, not everything the standard has.
    #[test]
    fn a_device_supports_what_its_model_lists() {
        let gateway = cpe(Kind::Gateway).schema();
        let has = |path: &str| gateway.object(path).is_some();
        assert!(
            has("Device.WiFi.SSID.{i}.Stats.") && has("Device.Hosts.Host.{i}.IPv4Address.{i}.")
        );
        assert!(!has("Device.DOCSIS.") && !has("Device.WiFi.DataElements."));
        assert!(gateway.len() < 120, "{}", gateway.len());
    }

    #[test]
    fn nothing_in_a_model_is_left_unfilled() {
        for kind in Kind::ALL {
            for (path, value) in cpe(kind).factory() {
                assert!(!value.contains('{'), "{path} = {value}");
            }
        }
    }

    #[test]
    fn every_factory_value_is_one_that_the_standard_allows() {
        for kind in Kind::ALL {
            let cpe = cpe(kind);
            let schema = cpe.schema();
            for (path, value) in cpe.factory() {
                let element = schema.element(&path).unwrap();
                let param = element.param().unwrap();
                if let Err(error) = param.ty.check(&value) {
                    panic!("{path} = {value}: {error}");
                }
            }
        }
    }

    #[test]
    fn uptime_begins_anew_with_every_start_that_is_announced() {
        let mut cpe = cpe(Kind::Cellular);
        let at = Instant::now();
        let now = |seconds| Now {
            at: at + Duration::from_secs(seconds),
            unix_ms: 0,
        };
        let nothing = NoView;
        cpe.start(now(0), &nothing, Notifier::default());
        assert_eq!(
            cpe.read(now(10), "Device.DeviceInfo.UpTime").as_deref(),
            Some("10")
        );
        cpe.start(now(20), &nothing, Notifier::default());
        assert_eq!(
            cpe.read(now(21), "Device.DeviceInfo.UpTime").as_deref(),
            Some("1")
        );
    }

    struct NoView;
    impl View for NoView {
        fn value(&self, _: &str) -> Option<String> {
            None
        }
        fn instances(&self, _: &str) -> Vec<u32> {
            Vec::new()
        }
    }
}
