//! The data model of one simulated CWMP device. Deliberately only what differs from its blueprint:
//! a device that nobody has changed costs next to nothing, however many there are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cwmp::fault::FaultCode;
use cwmp::rpc::{ParameterInfoStruct, ParameterValue};
use cwmp::value::Value;
use dm::{BaseType, ObjectDef, ParamAccess, ParamDef};
use serde::{Deserialize, Serialize};

use super::blueprint::{Blueprint, Kind};
use crate::cpe::supported;
use crate::diagnostics::date_time;
use crate::hosts::{Home, Host};
use crate::identity::Identity;
use crate::model::Source;
use crate::motion::{mix, seed_of};

mod rows;

/// The moment of a look at the tree.
#[derive(Clone, Copy, Debug, Default)]
pub struct At {
    /// How long the device is up.
    pub up: Duration,
    /// Milliseconds since the Unix epoch.
    pub unix_ms: i64,
}

/// What a device keeps in its flash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Own {
    /// What was set, or has come by itself, by path.
    values: BTreeMap<String, String>,
    /// The rows of the tables that are no longer as in the factory.
    rows: BTreeMap<String, Rows>,
    /// Notification, by path.
    pub(super) notify: BTreeMap<String, u32>,
    /// What the ACS knows of the parameters with notification.
    pub(super) told: BTreeMap<String, String>,
    /// The ACS that has heard of this device.
    pub(super) introduced_to: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Rows {
    there: Vec<u32>,
    /// The next number; none is given twice.
    next: u32,
}

/// One device's data model.
pub struct Tree {
    pub(super) blueprint: Arc<Blueprint>,
    number: u32,
    seed: u64,
    home: Home,
    pub(super) own: Own,
}

/// What a path names.
enum Node<'a> {
    Param(&'a ObjectDef, &'a ParamDef),
    /// An object or a row.
    Object(&'a ObjectDef),
    /// A table, without a number.
    Table(&'a ObjectDef),
}

impl Tree {
    pub(super) fn new(blueprint: Arc<Blueprint>, number: u32, seed: u64, own: Own) -> Self {
        let seed = mix(seed ^ u64::from(number));
        let home = Home::new(seed, &blueprint.model.hosts);
        Self {
            blueprint,
            number,
            seed,
            home,
            own,
        }
    }

    pub(super) fn identity(&self) -> Identity<'_> {
        Identity {
            model: &self.blueprint.model,
            number: self.number,
        }
    }

    pub(super) fn own(&self) -> &Own {
        &self.own
    }

    pub(super) fn own_mut(&mut self) -> &mut Own {
        &mut self.own
    }

    pub(super) fn root(&self) -> &'static str {
        self.blueprint.kind.root()
    }

    /// An old device, of the time before TR-181.
    pub(super) fn is_old(&self) -> bool {
        self.blueprint.kind == Kind::Tr098
    }

    /// A path below the root.
    pub(super) fn below(&self, name: &str) -> String {
        format!("{}{name}", self.root())
    }

    /// Forgets what it was told, as a factory reset does.
    pub(super) fn reset(&mut self) {
        self.own = Own::default();
    }

    /// The numbers of the rows of a table.
    fn rows(&self, at: At, table: &str) -> Vec<u32> {
        if let Some(rows) = self.own.rows.get(table) {
            return rows.there.clone();
        }
        let hosts = &self.blueprint.model.hosts;
        if table == hosts.table || table == hosts.wifi {
            let all = self.home.present(at.up).into_iter();
            let listed = all.filter(|host| table == hosts.table || self.home.on_wifi(*host));
            return listed.map(|host| host.number).collect();
        }
        if table.starts_with(&hosts.table) && table.ends_with(".IPv4Address.") {
            return vec![1];
        }
        self.blueprint.rows(table).to_vec()
    }

    /// What a path names, if the rows in it are there.
    fn node(&self, at: At, path: &str) -> Option<Node<'_>> {
        let blueprint = &*self.blueprint;
        let node = match blueprint.param(path) {
            Some((object, param)) => Node::Param(object, param),
            None => {
                let supported = supported(path);
                let object = blueprint.schema.object(&supported)?;
                match object.path == supported {
                    true => Node::Object(object),
                    false => Node::Table(object),
                }
            }
        };
        for (dot, _) in path.match_indices('.') {
            if let Some((table, number)) = path[..dot].rsplit_once('.')
                && let Ok(number) = number.parse::<u32>()
                && !self.rows(at, &format!("{table}.")).contains(&number)
            {
                return None;
            }
        }
        // Supported paths name nothing on a device.
        (!path.contains('{')).then_some(node)
    }

    /// Names and whether they can be written, as GetParameterNames tells them.
    pub(super) fn names(
        &self,
        at: At,
        path: &str,
        next_level: bool,
    ) -> Result<Vec<ParameterInfoStruct>, FaultCode> {
        let mut out = Vec::new();
        let info = |name: String, writable| ParameterInfoStruct { name, writable };
        if path.is_empty() {
            if next_level {
                return Ok(vec![info(self.root().to_owned(), false)]);
            }
            return self.names(at, self.root(), false);
        }
        let node = self
            .node(at, path)
            .ok_or(FaultCode::INVALID_PARAMETER_NAME)?;
        match node {
            Node::Param(..) if next_level => return Err(FaultCode::INVALID_ARGUMENTS),
            Node::Param(_, param) => out.push(info(path.to_owned(), writable(param))),
            Node::Object(object) => {
                if !next_level {
                    let deletable = object.multi && object.access.can_delete();
                    out.push(info(path.to_owned(), deletable));
                }
                self.below_object(at, path, object, !next_level, &mut out);
            }
            Node::Table(object) => {
                if !next_level {
                    out.push(info(path.to_owned(), object.access.can_add()));
                }
                self.below_table(at, path, object, !next_level, &mut out);
            }
        }
        Ok(out)
    }

    fn below_object(
        &self,
        at: At,
        path: &str,
        object: &ObjectDef,
        deep: bool,
        out: &mut Vec<ParameterInfoStruct>,
    ) {
        out.extend(object.params.iter().map(|param| ParameterInfoStruct {
            name: format!("{path}{}", param.name),
            writable: writable(param),
        }));
        for child in self.blueprint.schema.children(&object.path) {
            let name = format!("{path}{}.", child.name());
            out.push(ParameterInfoStruct {
                name: name.clone(),
                writable: child.multi && child.access.can_add(),
            });
            match (deep, child.multi) {
                (false, _) => {}
                (true, true) => self.below_table(at, &name, child, true, out),
                (true, false) => self.below_object(at, &name, child, true, out),
            }
        }
    }

    fn below_table(
        &self,
        at: At,
        table: &str,
        object: &ObjectDef,
        deep: bool,
        out: &mut Vec<ParameterInfoStruct>,
    ) {
        for number in self.rows(at, table) {
            let name = format!("{table}{number}.");
            out.push(ParameterInfoStruct {
                name: name.clone(),
                writable: object.access.can_delete(),
            });
            if deep {
                self.below_object(at, &name, object, true, out);
            }
        }
    }

    /// The parameters that a full or partial path means.
    pub(super) fn expand(&self, at: At, path: &str) -> Result<Vec<String>, FaultCode> {
        let all = self.names(at, path, false)?.into_iter();
        let parameters = all.filter(|info| !info.name.ends_with('.'));
        Ok(parameters.map(|info| info.name).collect())
    }

    /// A parameter as the ACS reads it: what is hidden is empty.
    pub(super) fn read(&self, at: At, path: &str) -> Option<ParameterValue> {
        let Node::Param(_, param) = self.node(at, path)? else {
            return None;
        };
        let text = match param.hidden {
            true => String::new(),
            false => self.value(at, path)?,
        };
        let text = match cwmp::value::boolean(&text) {
            // As old devices do.
            Some(value) if self.is_old() && param.ty.base == BaseType::Boolean => {
                u8::from(value).to_string()
            }
            _ => text,
        };
        let base = match param.ty.is_list() {
            true => BaseType::String,
            false => param.ty.base,
        };
        Some(ParameterValue::new(path, Value::new(base, text)))
    }

    /// A parameter's value as the device itself knows it.
    pub(super) fn value(&self, at: At, path: &str) -> Option<String> {
        let Node::Param(object, param) = self.node(at, path)? else {
            return None;
        };
        if let Some(text) = self.own.values.get(path) {
            return Some(text.clone());
        }
        if let Some(count) = self.count(at, path, object, param) {
            return Some(count.to_string());
        }
        if let Some(text) = self.of_host(at, path) {
            return Some(text);
        }
        Some(match self.blueprint.model.parameters.get(path) {
            Some(Source::Constant(text)) => self.identity().fill(text),
            Some(Source::Moving(motion)) => {
                let value = motion.at(mix(self.seed ^ seed_of(0, path)), at.up);
                match param.ty.base {
                    // Old counters begin anew at the end of their 32 bits.
                    BaseType::UnsignedInt => (value.unsigned_abs() as u32).to_string(),
                    _ => value.to_string(),
                }
            }
            Some(Source::Uptime) => at.up.as_secs().to_string(),
            Some(Source::Clock) => date_time(at.unix_ms),
            None if param.name == "Alias" => {
                let row = path.rsplit('.').nth(1).unwrap_or_default();
                format!("cpe-{row}")
            }
            None => param.initial_value().to_owned(),
        })
    }

    fn count(&self, at: At, path: &str, object: &ObjectDef, param: &ParamDef) -> Option<usize> {
        let mut children = self.blueprint.schema.children(&object.path);
        let counted = children.find(|child| child.entries_param.as_ref() == Some(&param.name))?;
        let parent = path.strip_suffix(&*param.name)?;
        let table = format!("{parent}{}.", counted.name());
        Some(self.rows(at, &table).len())
    }

    /// The row of a host or station in a path, and the name in it.
    fn row_of<'p>(&self, table: &str, path: &'p str) -> Option<(Host, &'p str)> {
        let (number, name) = path.strip_prefix(table)?.split_once('.')?;
        Some((self.home.by_number(number.parse().ok()?)?, name))
    }

    fn of_host(&self, at: At, path: &str) -> Option<String> {
        let hosts = &self.blueprint.model.hosts;
        if let Some((host, name)) = self.row_of(&hosts.table, path) {
            return self.home.host_value(host, hosts, name);
        }
        let (host, name) = self.row_of(&hosts.wifi, path)?;
        match name.strip_prefix("AssociatedDevice") {
            Some("IPAddress") => self.home.host_value(host, hosts, "IPAddress"),
            Some(name) => self.home.station_value(host, at.up, name),
            None => self.home.station_value(host, at.up, name),
        }
    }

    /// Whether a device of this kind has the parameter.
    pub(super) fn has(&self, path: &str) -> bool {
        self.blueprint.param(path).is_some()
    }

    /// Why a value cannot be set, if it cannot.
    pub(super) fn judge(&self, at: At, change: &ParameterValue) -> Option<(FaultCode, String)> {
        let Some(Node::Param(_, param)) = self.node(at, &change.name) else {
            return Some(plain(FaultCode::INVALID_PARAMETER_NAME));
        };
        if !writable(param) {
            return Some(plain(FaultCode::NOT_WRITABLE));
        }
        let base = match (param.ty.is_list(), param.ty.base) {
            (true, _) | (_, BaseType::Decimal) => BaseType::String,
            (false, base) => base,
        };
        if change.value.base != base {
            return Some(plain(FaultCode::INVALID_PARAMETER_TYPE));
        }
        let text = &change.value.text;
        if let Err(error) = param.ty.check(text) {
            let code = FaultCode::INVALID_PARAMETER_VALUE;
            return Some((code, error.to_string()));
        }
        if let Some(other) = self.taken(at, &change.name, text) {
            let code = FaultCode::INVALID_PARAMETER_VALUE;
            return Some((
                code,
                format!("{other} is the same, and it has to be unique"),
            ));
        }
        // A test is asked for or given up; how it went is the device's to say.
        if change.name.ends_with(".DiagnosticsState")
            && !matches!(text.as_str(), "Requested" | "Canceled" | "None")
        {
            return Some(plain(FaultCode::INVALID_PARAMETER_VALUE));
        }
        // What no table of the standard says: a radio has only some channels.
        if let Some(radio) = change.name.strip_suffix(".Channel")
            && let Some(possible) = self.value(at, &format!("{radio}.PossibleChannels"))
            && !is_among(text, &possible)
        {
            let code = FaultCode::INVALID_PARAMETER_VALUE;
            return Some((code, format!("channel {text} is not among {possible}")));
        }
        None
    }

    /// Another row with the same value, where rows are told apart by it.
    fn taken(&self, at: At, path: &str, text: &str) -> Option<String> {
        let (object, param) = self.blueprint.param(path)?;
        let row = path.strip_suffix(&*param.name)?;
        let (table, own) = row.trim_end_matches('.').rsplit_once('.')?;
        let is_key = |key: &dm::UniqueKey| key.params.len() == 1 && key.params[0] == param.name;
        if text.is_empty() || !object.multi || !object.unique_keys.iter().any(is_key) {
            return None;
        }
        let table = format!("{table}.");
        let numbers = self.rows(at, &table).into_iter();
        let mut others = numbers.filter(|number| own != number.to_string());
        others.find_map(|number| {
            let other = format!("{table}{number}.{}", param.name);
            (self.value(at, &other).as_deref() == Some(text)).then_some(other)
        })
    }

    /// Sets a value that was judged, or one of the device's own; the ACS need not be told of it.
    pub(super) fn put(&mut self, path: &str, text: impl Into<String>) {
        let text = text.into();
        if let Some(told) = self.own.told.get_mut(path) {
            told.clone_from(&text);
        }
        self.own.values.insert(path.to_owned(), text);
    }

    /// Sets a value that the ACS has no part in, which is then to be told when it has asked for it.
    pub(super) fn change(&mut self, path: &str, text: impl Into<String>) {
        self.own.values.insert(path.to_owned(), text.into());
    }
}

fn plain(code: FaultCode) -> (FaultCode, String) {
    (code, code.name().unwrap_or_default().to_owned())
}

fn writable(param: &ParamDef) -> bool {
    param.access != ParamAccess::ReadOnly
}

/// Whether a number is in a list such as `36,40` or `1-13`.
fn is_among(number: &str, list: &str) -> bool {
    let number: Option<u32> = number.parse().ok();
    list.split(',').any(|part| match part.split_once('-') {
        Some((low, high)) => match (low.trim().parse(), high.trim().parse()) {
            (Ok(low), Ok(high)) => number.is_some_and(|number| (low..=high).contains(&number)),
            _ => false,
        },
        None => part.trim().parse().ok() == number && number.is_some(),
    })
}
