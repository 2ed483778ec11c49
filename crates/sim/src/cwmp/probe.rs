//! The diagnostics of a simulated CWMP device: asked for by setting `DiagnosticsState`, begun after
//! the session, told with `8 DIAGNOSTICS COMPLETE`.

use std::collections::BTreeSet;
use std::time::Instant;

use agent::Now;

use super::device::Device;
use crate::diagnostics::{self, Wanted};
use crate::motion::{mix, seed_of};

/// A test that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    /// The object, such as `Device.IP.Diagnostics.IPPing.`.
    object: String,
    /// When it is over, with what; it has not begun without.
    running: Option<(Instant, diagnostics::Outputs)>,
}

impl Probe {
    pub(super) fn due(&self) -> Option<Instant> {
        self.running.as_ref().map(|(due, _)| *due)
    }
}

const STATE: &str = "DiagnosticsState";

impl Device {
    /// Parameters were set: a test is asked for, or one that runs is void since it is another now.
    pub(super) fn probes_after(&mut self, now: Now, set: &[String]) {
        let objects = set.iter().filter_map(|path| Some(path.rsplit_once('.')?.0));
        let objects: BTreeSet<String> = objects.map(|object| format!("{object}.")).collect();
        for object in objects {
            let state = format!("{object}{STATE}");
            if !self.tree.has(&state) {
                continue;
            }
            self.probes.retain(|probe| probe.object != object);
            let asked = set.contains(&state)
                && self.tree.value(self.at(now), &state).as_deref() == Some("Requested");
            match asked {
                true => self.probes.push(Probe {
                    object,
                    running: None,
                }),
                false => self.tree.put(&state, "None"),
            }
        }
    }

    /// The session is over: what was asked for begins.
    pub(super) fn begin_probes(&mut self, now: Now) {
        let at = self.at(now);
        for probe in self
            .probes
            .iter_mut()
            .filter(|probe| probe.running.is_none())
        {
            let object = &probe.object;
            let input = |name: &str| self.tree.value(at, &format!("{object}{name}"));
            let host = input("Host").unwrap_or_default();
            let wanted = Wanted {
                is_ping: object.contains("IPPing"),
                host: &host,
                repetitions: input("NumberOfRepetitions").and_then(|text| text.parse().ok()),
            };
            let seed = seed_of(mix(now.unix_ms.unsigned_abs()), object);
            let (takes, outputs) = diagnostics::run(&wanted, seed);
            probe.running = Some((now.at + takes, outputs));
        }
    }

    /// Writes the results of what is over down.
    pub(super) fn end_probes(&mut self, now: Now) {
        let over = |probe: &Probe| probe.due().is_some_and(|due| due <= now.at);
        let (over, still): (Vec<_>, Vec<_>) = self.probes.drain(..).partition(over);
        self.probes = still;
        for probe in over {
            let outputs = probe
                .running
                .map(|(_, outputs)| outputs)
                .unwrap_or_default();
            self.write_results(&probe.object, outputs);
            self.probed(now);
        }
    }

    fn write_results(&mut self, object: &str, outputs: diagnostics::Outputs) {
        let hops = outputs.iter().filter_map(|(name, _)| {
            let number = name.strip_prefix("RouteHops.")?.split('.').next()?;
            number.parse().ok()
        });
        let hops: BTreeSet<u32> = hops.collect();
        if self.tree.has(&format!("{object}RouteHopsNumberOfEntries")) {
            let table = format!("{object}RouteHops.");
            self.tree.fill_table(&table, hops.into_iter().collect());
        }
        for (name, value) in outputs {
            let name = match (name.as_str(), name.rsplit_once('.')) {
                ("Status", _) => STATE.to_owned(),
                // TR-098 calls them HopHost and so on.
                (_, Some((row, field))) if self.tree.is_old() => format!("{row}.Hop{field}"),
                _ => name,
            };
            let path = format!("{object}{name}");
            if self.tree.has(&path) {
                self.tree.put(&path, value);
            }
        }
    }

    /// The power is gone: nothing runs, and nothing is asked for.
    pub(super) fn stop_probes(&mut self) {
        for probe in std::mem::take(&mut self.probes) {
            self.tree.put(&format!("{}{STATE}", probe.object), "None");
        }
    }
}
