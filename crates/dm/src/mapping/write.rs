//! Set: which gateway parameters to write for TR-181 parameters, or why that cannot be.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use super::convert::{self, Get, Problem};
use super::{GATEWAY_ROOT, How, Mapping, Rules};
use crate::path::supported_text;
use crate::schema::{ParamAccess, Schema};
use crate::value::BaseType;

/// One value to write to the gateway. As it may be a secret, Debug only shows its length.
#[derive(Clone, PartialEq, Eq)]
pub struct Write {
    /// The gateway parameter.
    pub path: String,
    /// Its value.
    pub value: String,
    /// Its type in TR-098, for `xsi:type`; text for a vendor's.
    pub base: BaseType,
    /// The paths somebody set that brought it about.
    pub because: Vec<String>,
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write")
            .field("path", &self.path)
            .field("value", &format_args!("{} bytes", self.value.len()))
            .field("base", &self.base)
            .field("because", &self.because)
            .finish()
    }
}

/// What a Set comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Writes {
    /// What to write, in this order: settings, then Wi-Fi's BeaconType, then what switches on or starts.
    pub writes: Vec<Write>,
    /// What cannot be set. Nothing of `writes` comes from these.
    pub refused: Vec<Refused>,
}

/// A path that cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct Refused {
    /// As it was given.
    pub path: String,
    /// Why.
    pub reason: Refusal,
}

/// Why something cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// TR-098 has nothing like it.
    #[error("InternetGatewayDevice has no counterpart of it")]
    NoCounterpart,
    /// TR-098 has it, this device does not.
    #[error("this device has no {gateway}")]
    NotThere {
        /// The gateway parameter that is missing, as a supported path.
        gateway: String,
    },
    /// The gateway path is not in the device's tree.
    #[error("this device has no such parameter")]
    Unknown,
    /// TR-181 does not let it be written, or it follows from other things.
    #[error("it is read only")]
    ReadOnly,
    /// The device does not let its counterpart be written.
    #[error("{gateway} is read only on this device")]
    GatewayReadOnly {
        /// The gateway parameter.
        gateway: String,
    },
    /// The other side has no such value.
    #[error("{reason}")]
    Value {
        /// What it has.
        reason: String,
    },
    /// Two paths want different values of one gateway parameter.
    #[error("{other} wants another value of {gateway}, which both are")]
    Conflict {
        /// The gateway parameter.
        gateway: String,
        /// The other path.
        other: String,
    },
    /// It depends on the present value of a gateway parameter that was not known: read it and ask again.
    #[error("the present value of {gateway} must be known first")]
    Needs {
        /// The gateway parameter.
        gateway: String,
    },
}

/// What is collected before it is put in order.
#[derive(Default)]
struct Pending {
    by_path: BTreeMap<String, usize>,
    writes: Vec<Write>,
}

impl Mapping {
    /// The writes that set these paths to these values. `current` tells present values of gateway parameters where
    /// they are known; few conversions need one, and those say so ([`Refusal::Needs`], [`Mapping::context`]).
    pub fn writes<'a>(
        &self,
        sets: impl IntoIterator<Item = (&'a str, &'a str)>,
        current: &dyn Fn(&str) -> Option<String>,
    ) -> Writes {
        let mut sets: Vec<_> = sets.into_iter().collect();
        // What depends on values that other paths of the same Set change comes behind them.
        sets.sort_by_key(|(path, _)| self.depends_on_others(path));
        let mut lists: BTreeMap<&str, BTreeMap<usize, &str>> = BTreeMap::new();
        for (path, value) in &sets {
            if let Some((gateway, n)) = self.list_item(path) {
                lists.entry(gateway).or_default().entry(n).or_insert(value);
            }
        }
        let mut pending = Pending::default();
        let mut refused = Vec::new();
        for (path, value) in sets {
            let item = self.list_item(path);
            let items = item.and_then(|(gateway, n)| Some((gateway, n, lists.get(gateway)?)));
            let written = match items {
                Some((gateway, n, items)) => write_item(path, value, gateway, n, items, current),
                None => pending.overlay(current, |get| self.write_one(path, value, get)),
            };
            let result = written.and_then(|writes| pending.add(path, writes));
            if let Err(reason) = result {
                refused.push(Refused {
                    path: path.to_owned(),
                    reason,
                });
            }
        }
        let mut writes = pending.writes;
        writes.sort_by_key(|write| rank(&write.path));
        Writes { writes, refused }
    }

    /// The gateway parameters whose present values [`Mapping::writes`] needs for these paths; usually none.
    pub fn context<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> Vec<&str> {
        let needs = |path| {
            let param = self.params.get(path)?;
            param.rule?.how.needs(&param.sources).map(String::as_str)
        };
        let mut found: Vec<&str> = paths.into_iter().filter_map(needs).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The gateway list that a path which can be written is an item of, and its number there.
    fn list_item(&self, path: &str) -> Option<(&str, usize)> {
        let param = self.params.get(path).filter(|param| param.writable)?;
        match param.rule?.how {
            How::Item(n) => Some((param.sources.first()?, n)),
            _ => None,
        }
    }

    fn depends_on_others(&self, path: &str) -> bool {
        let rule = self.params.get(path).and_then(|param| param.rule);
        rule.is_some_and(|rule| rule.how.depends_on_others())
    }

    fn write_one(
        &self,
        path: &str,
        value: &str,
        current: Get<'_>,
    ) -> Result<Vec<(String, String)>, Refusal> {
        if path.starts_with(GATEWAY_ROOT) {
            return match self.tree.contains_key(path) {
                false => Err(Refusal::Unknown),
                true if !self.is_writable(path) && Schema::tr098().param(path).is_some() => {
                    Err(Refusal::GatewayReadOnly {
                        gateway: path.to_owned(),
                    })
                }
                true => Ok(vec![(path.to_owned(), value.to_owned())]),
            };
        }
        let Some(param) = self.params.get(path) else {
            return Err(self.why_not_there(path));
        };
        if let Some(fixed) = &param.fixed {
            let def = Schema::tr181_cwmp().param(path);
            let same = |def: &crate::ParamDef| {
                let bare = |text: &str| text.trim_end_matches('.').to_owned();
                def.ty.same(&bare(fixed), &bare(value))
            };
            return if def.is_some_and(same) {
                Ok(Vec::new())
            } else {
                Err(Refusal::ReadOnly)
            };
        }
        if !param.writable {
            let def = Schema::tr181_cwmp().param(path);
            let by_gateway = def.is_some_and(|def| def.access != ParamAccess::ReadOnly);
            return Err(match param.sources.first() {
                Some(gateway) if by_gateway => Refusal::GatewayReadOnly {
                    gateway: gateway.clone(),
                },
                _ => Refusal::ReadOnly,
            });
        }
        let rule = param.rule.ok_or(Refusal::ReadOnly)?;
        let writes = match convert::write(self, rule, &param.sources, value, current) {
            writes if self.is_already(path, value, current) => {
                // Several TR-098 values can mean this one, so the one that is there is the right one.
                let paths = writes.unwrap_or_default().into_iter().map(|(path, _)| path);
                paths
                    .filter_map(|path| current(&path).map(|value| (path, value)))
                    .collect()
            }
            Ok(writes) => writes,
            Err(problem) => return Err(problem.into()),
        };
        match writes
            .iter()
            .find(|(gateway, _)| !self.is_writable(gateway))
        {
            Some((gateway, _)) => Err(Refusal::GatewayReadOnly {
                gateway: gateway.clone(),
            }),
            None => Ok(writes),
        }
    }

    /// All sources are known and mean this value.
    fn is_already(&self, path: &str, value: &str, current: Get<'_>) -> bool {
        let Some((param, rule)) = self.params.get(path).and_then(|p| Some((p, p.rule?))) else {
            return false;
        };
        let known = param.sources.iter().all(|source| current(source).is_some());
        let means = known
            .then(|| convert::read(self, rule, &param.sources, current))
            .flatten();
        let ty = rule.device.map(|param| &param.ty);
        means.is_some_and(|means| ty.is_some_and(|ty| ty.same(&means, value)))
    }

    /// A rule may know the parameter although this device does not have it.
    fn why_not_there(&self, path: &str) -> Refusal {
        match counterpart(self.rules, path) {
            Some(gateway) => Refusal::NotThere { gateway },
            None => Refusal::NoCounterpart,
        }
    }
}

/// The write of one item of a list: that of all `items` which the Set has of it, so that their order is no matter.
fn write_item(
    path: &str,
    value: &str,
    gateway: &str,
    n: usize,
    items: &BTreeMap<usize, &str>,
    current: Get<'_>,
) -> Result<Vec<(String, String)>, Refusal> {
    if items.get(&n).is_some_and(|other| *other != value) {
        return Err(Refusal::Conflict {
            gateway: gateway.to_owned(),
            other: path.to_owned(),
        });
    }
    let present = current(gateway).ok_or_else(|| Problem::Needs(gateway.to_owned()))?;
    let list = convert::with_items(&present, items)?;
    Ok(vec![(gateway.to_owned(), list)])
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        match problem {
            Problem::Value(reason) => Refusal::Value { reason },
            Problem::Needs(gateway) => Refusal::Needs { gateway },
        }
    }
}

/// The supported gateway parameter that would be a TR-181 parameter's counterpart.
fn counterpart(rules: &Rules, path: &str) -> Option<String> {
    let supported = supported_text(path);
    for (dot, _) in supported.match_indices('.') {
        let (object, name) = supported.split_at(dot + 1);
        for rule in rules.of_device(object) {
            let param = rule.params.iter().find(|param| param.name == name);
            if let Some(source) = param.and_then(|param| param.sources.first()) {
                return Some(rule.source(source));
            }
        }
    }
    None
}

impl Pending {
    /// Runs `f` with the present values as they will be after what is pending.
    fn overlay<T>(&self, current: Get<'_>, f: impl FnOnce(Get<'_>) -> T) -> T {
        f(
            &|path: &str| match self.by_path.get(path).and_then(|at| self.writes.get(*at)) {
                Some(write) => Some(write.value.clone()),
                None => current(path),
            },
        )
    }

    /// Takes all of one path's writes, or none of them.
    fn add(&mut self, because: &str, writes: Vec<(String, String)>) -> Result<(), Refusal> {
        for (path, value) in &writes {
            let there = self.by_path.get(path).and_then(|at| self.writes.get(*at));
            if let Some(there) = there
                && !same(path, &there.value, value)
            {
                return Err(Refusal::Conflict {
                    gateway: path.clone(),
                    other: there.because.first().cloned().unwrap_or_default(),
                });
            }
        }
        for (path, value) in writes {
            match self.by_path.entry(path) {
                Entry::Occupied(at) => {
                    if let Some(write) = self.writes.get_mut(*at.get()) {
                        write.value = value;
                        write.because.push(because.to_owned());
                    }
                }
                Entry::Vacant(at) => {
                    let base = Schema::tr098().param(at.key()).map(|param| param.ty.base);
                    self.writes.push(Write {
                        path: at.key().clone(),
                        value,
                        base: base.unwrap_or(BaseType::String),
                        because: vec![because.to_owned()],
                    });
                    at.insert(self.writes.len() - 1);
                }
            }
        }
        Ok(())
    }
}

fn same(gateway: &str, a: &str, b: &str) -> bool {
    match Schema::tr098().param(gateway) {
        Some(param) => param.ty.same(a, b),
        None => a == b,
    }
}

/// Devices that apply one value after the other should not switch on what is not yet set.
fn rank(path: &str) -> u8 {
    let name = path.rsplit('.').next().unwrap_or_default();
    if matches!(
        name,
        "DiagnosticsState" | "LoopDiagnosticsState" | "Reset" | "ForceSample"
    ) {
        3
    } else if name == "Enable" || name.ends_with("Enabled") || name.ends_with("Enable") {
        2
    } else if name == "BeaconType" {
        1
    } else {
        0
    }
}
