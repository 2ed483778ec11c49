//! The supported data model of a device, as it told it: which objects, parameters, commands and
//! events there are and what may be done with them.
//!
//! This is what one model with one firmware supports, so it is kept once per (model, firmware)
//! and protocol.
//! Types the device did not tell are `None` here; the published model (`dm::Schema`) fills in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::device::Description;
use crate::id::DeviceId;
use crate::southbound::Protocol;

/// What may be done with a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParamAccess {
    /// Reading only.
    ReadOnly,
    /// Reading and writing.
    ReadWrite,
    /// Writing only.
    WriteOnly,
}

/// What may be done with the rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectAccess {
    /// Rows come and go by themselves.
    ReadOnly,
    /// Rows can be added and removed.
    AddDelete,
    /// Rows can be added.
    AddOnly,
    /// Rows can be removed.
    DeleteOnly,
}

/// A parameter of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelParam {
    /// Name.
    pub name: String,
    /// Access.
    pub access: ParamAccess,
    /// TR-106 base type by its name (`string`, `unsignedInt`, ...); `None` when the device is too
    /// old to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ty: Option<String>,
    /// Whether it reports changes; `None` when the device is too old to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_change: Option<bool>,
}

/// A command of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelCommand {
    /// Name, ends in `()`.
    pub name: String,
    /// Names of input arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// Names of output arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// Asynchronous; `None` when the device is too old to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asynchronous: Option<bool>,
}

/// An event of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelEvent {
    /// Name, ends in `!`.
    pub name: String,
    /// Names of arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
}

/// An object of the supported model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelObject {
    /// Access to its rows.
    pub access: ObjectAccess,
    /// It is a table.
    pub multi: bool,
    /// Parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<ModelParam>,
    /// Commands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<ModelCommand>,
    /// Events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<ModelEvent>,
    /// Sets of parameters that together are unique; empty when not told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Vec<String>>,
    /// Only its name is known so far (a listing of the first level).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub named_only: bool,
}

impl ModelObject {
    fn unite(&mut self, other: ModelObject) {
        use ObjectAccess::{AddDelete, AddOnly, DeleteOnly, ReadOnly};
        self.access = match (self.access, other.access) {
            (one, ReadOnly) => one,
            (ReadOnly, other) => other,
            (AddOnly, AddOnly) => AddOnly,
            (DeleteOnly, DeleteOnly) => DeleteOnly,
            _ => AddDelete,
        };
        self.named_only &= other.named_only;
        for param in other.params {
            match self.params.iter_mut().find(|one| one.name == param.name) {
                Some(known) if known.access == ParamAccess::ReadOnly => known.access = param.access,
                Some(_) => {}
                None => self.params.push(param),
            }
        }
        for command in other.commands {
            if self.commands.iter().all(|one| one.name != command.name) {
                self.commands.push(command);
            }
        }
    }
}

/// The supported model of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Model {
    /// Objects by supported path (`Device.WiFi.SSID.{i}.`).
    pub objects: BTreeMap<String, ModelObject>,
    /// Paths that could not be discovered, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<(String, String)>,
}

impl Model {
    /// The object of an instantiated or supported path (`Device.WiFi.SSID.1.`).
    pub fn object(&self, path: &str) -> Option<&ModelObject> {
        self.objects.get(supported(path).as_str())
    }

    /// The parameter of a full path.
    pub fn param(&self, path: &str) -> Option<&ModelParam> {
        let (object, name) = split(path)?;
        self.object(object)?.params.iter().find(|p| p.name == name)
    }

    /// The command of a full path.
    pub fn command(&self, path: &str) -> Option<&ModelCommand> {
        let (object, name) = split(path)?;
        self.object(object)?
            .commands
            .iter()
            .find(|c| c.name == name)
    }

    /// Takes over what another device of the same kind has: what one of them has or can, the kind
    /// has or can.
    pub fn unite(&mut self, other: Model) {
        for (path, object) in other.objects {
            match self.objects.get_mut(&path) {
                Some(known) => known.unite(object),
                None => _ = self.objects.insert(path, object),
            }
        }
    }

    /// How many objects and parameters there are.
    pub fn names(&self) -> usize {
        let objects = self.objects.values();
        objects.map(|object| 1 + object.params.len()).sum()
    }

    /// Takes over what `other` knows, where it knows more.
    pub fn merge(&mut self, other: Model) {
        for (path, object) in other.objects {
            match self.objects.get(&path) {
                Some(known) if !known.named_only && object.named_only => {}
                _ => {
                    self.objects.insert(path, object);
                }
            }
        }
        self.gaps.extend(other.gaps);
    }
}

/// Splits a full path into object (with its last `.`) and name.
pub fn split(path: &str) -> Option<(&str, &str)> {
    let dot = split_at(path)?;
    let (object, name) = path.split_at(dot + 1);
    (!name.is_empty()).then_some((object, name))
}

/// The last dot outside of brackets.
fn split_at(path: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut quoted = false;
    let mut last = None;
    for (at, c) in path.char_indices() {
        match c {
            '"' if depth > 0 => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            '.' if depth == 0 => last = Some(at),
            _ => {}
        }
    }
    last
}

/// The segments of a path, brackets kept whole; the trailing dot makes no segment.
pub fn segments(path: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut depth, mut quoted, mut start) = (0usize, false, 0usize);
    for (at, c) in path.char_indices() {
        match c {
            '"' if depth > 0 => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            '.' if depth == 0 => {
                out.push(&path[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if start < path.len() {
        out.push(&path[start..]);
    }
    out
}

/// The parameter that counts the rows of the table that a row is in: a table's count is beside it
/// and named after it. `Device.NAT.PortMapping.3.` is counted by
/// `Device.NAT.PortMappingNumberOfEntries`; what is no row by none.
pub fn counted_by(row: &str) -> Option<String> {
    let (table, number) = row.strip_suffix('.')?.rsplit_once('.')?;
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| format!("{table}NumberOfEntries"))
}

/// The supported form of a path: instance numbers, wildcards and search expressions become `{i}`.
pub fn supported(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 4);
    for segment in segments(path) {
        let instance = segment == "*"
            || segment == "{i}"
            || segment.starts_with('[')
            || (!segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit()));
        out.push_str(if instance { "{i}" } else { segment });
        out.push('.');
    }
    if !path.ends_with('.') {
        out.pop();
    }
    out
}

/// Under which the supported model of a device is kept, as it is told over this protocol: the agent and
/// the CPE in one box do not have the same objects, commands and events. A device that does not say what
/// it is has one of its own.
pub fn model_key(description: &Description, over: Protocol, device: DeviceId) -> String {
    let of = match description.model_key() {
        Some(kind) => kind.to_string(),
        None => format!("device {device}"),
    };
    match over {
        Protocol::Usp => of,
        Protocol::Cwmp => format!("cwmp {of}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_devices_of_a_kind_have_together_what_each_of_them_has() {
        let object = |access, params: &[(&str, ParamAccess)]| {
            let params = params.iter().map(|(name, access)| ModelParam {
                name: (*name).to_owned(),
                access: *access,
                ty: None,
                value_change: None,
            });
            ModelObject {
                access,
                multi: true,
                params: params.collect(),
                commands: Vec::new(),
                events: Vec::new(),
                keys: Vec::new(),
                named_only: false,
            }
        };
        let (read, write) = (ParamAccess::ReadOnly, ParamAccess::ReadWrite);
        let model = |objects: Vec<(&str, ModelObject)>| Model {
            objects: objects
                .into_iter()
                .map(|(path, object)| (path.to_owned(), object))
                .collect(),
            gaps: Vec::new(),
        };
        let mut one = model(vec![
            ("A.{i}.", object(ObjectAccess::AddOnly, &[("P", read)])),
            ("B.", object(ObjectAccess::ReadOnly, &[])),
        ]);
        let rows = object(ObjectAccess::DeleteOnly, &[("P", write), ("Q", read)]);
        one.unite(model(vec![
            ("A.{i}.", rows),
            ("C.", object(ObjectAccess::ReadOnly, &[])),
        ]));
        let both = &one.objects["A.{i}."];
        assert_eq!(both.access, ObjectAccess::AddDelete);
        assert_eq!((both.params[0].access, both.params.len()), (write, 2));
        assert_eq!((one.objects.len(), one.names()), (3, 5));
    }

    #[test]
    fn a_row_is_counted_beside_its_table() {
        assert_eq!(
            counted_by("Device.NAT.PortMapping.3.").as_deref(),
            Some("Device.NAT.PortMappingNumberOfEntries")
        );
        assert_eq!(
            counted_by("Device.Hosts.Host.7.IPv4Address.1.").as_deref(),
            Some("Device.Hosts.Host.7.IPv4AddressNumberOfEntries")
        );
        for no_row in [
            "",
            ".",
            "1.",
            "Device.NAT.",
            "Device.NAT.PortMapping.*.",
            "Device.X.3",
        ] {
            assert_eq!(counted_by(no_row), None, "{no_row}");
        }
    }
}
