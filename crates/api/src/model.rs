//! The data model of a device as a tree: the supported children of a path with what they accept,
//! the instances that exist, and the last-known value of each parameter.

use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
// The derive takes every type called `Value` for any JSON; under another name it looks closer.
use crate::value::Value as KnownValue;
use crate::{Page, Permission, Time};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct ModelQuery {
    /// An object path ending in a dot, with or without instance numbers; absent is `Device.`.
    #[param(example = "Device.WiFi.SSID.1.")]
    pub path: Option<String>,
}

/// Search in the tree.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct ModelSearchQuery {
    /// Words; each has to be found in the path or in the last-known value.
    #[param(required = true, min_length = 1, max_length = 200)]
    pub q: String,
    /// Hits at most (default 50, at most 500).
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

/// Where the knowledge about the model comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelSource {
    /// The device said what it supports.
    Discovered,
    /// The device has not been asked yet; this is what the standard says.
    Standard,
    /// Only values are known.
    Values,
}

/// One object with its children.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelNode {
    /// The object, ending in a dot.
    pub path: String,
    /// The same with `{i}` for instance numbers.
    pub supported_path: String,
    /// The object above; null for `Device.`.
    pub parent: Option<String>,
    /// What may be done with the object itself.
    pub access: ObjectAccess,
    /// True when this is a table without an instance number: only `instances` are below it.
    pub table: bool,
    /// The instances of the table that are known to exist.
    pub instances: Vec<Instance>,
    /// Objects below.
    pub objects: Vec<ModelObject>,
    /// Parameters.
    pub parameters: Vec<ModelParameter>,
    /// Commands.
    pub commands: Vec<ModelCommand>,
    /// Events.
    pub events: Vec<ModelEvent>,
    /// The names of the parameters that together tell rows apart.
    pub unique_keys: Vec<Vec<String>>,
    /// Where this knowledge comes from.
    pub source: ModelSource,
    /// When the device was asked.
    pub discovered_at: Option<Time>,
}

/// What may be done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObjectAccess {
    /// Rows come and go by themselves.
    ReadOnly,
    /// Rows may be added and deleted.
    AddDelete,
    /// Rows may be added.
    AddOnly,
    /// Rows may be deleted.
    DeleteOnly,
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Instance {
    /// The row, ending in a dot.
    pub path: String,
    /// Its number.
    pub number: u32,
    /// What tells it apart for a person: its alias, name or first key, where known.
    pub hint: Option<String>,
}

/// An object below another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelObject {
    /// The last part of its name, without the dot.
    pub name: String,
    /// Its path, ending in a dot.
    pub path: String,
    /// What may be done with it.
    pub access: ObjectAccess,
    /// Whether it is a table.
    pub table: bool,
    /// How many rows are known, when it is one.
    pub instances: Option<u32>,
}

/// What may be done with a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParameterAccess {
    /// Read only.
    ReadOnly,
    /// May be set.
    ReadWrite,
    /// May be set, reads empty.
    WriteOnly,
    /// May be set while adding the row.
    WriteOnce,
}

/// A parameter with what it accepts and its last-known value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelParameter {
    /// Its name.
    pub name: String,
    /// Its full path.
    pub path: String,
    /// What may be done with it.
    pub access: ParameterAccess,
    /// What it accepts.
    #[serde(rename = "type")]
    pub ty: ValueType,
    /// Whether its value is secret and therefore reads empty.
    pub secret: bool,
    /// What it is when nobody set it.
    pub default: Option<String>,
    /// The last-known value.
    pub value: Option<KnownValue>,
}

/// What a value has to look like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ValueType {
    /// `string`, `boolean`, `int`, `unsignedInt`, `long`, `unsignedLong`, `decimal`, `dateTime`,
    /// `base64`, `hexBinary`, or `unknown`.
    pub base: String,
    /// Whether it is a comma-separated list of such values.
    pub list: bool,
    /// The allowed values; empty is any.
    pub enumeration: Vec<String>,
    /// The allowed ranges; empty is any.
    pub ranges: Vec<ValueRange>,
    /// Fewest characters or bytes.
    pub length_min: Option<u32>,
    /// Most characters or bytes.
    pub length_max: Option<u32>,
    /// The unit, like `dBm`.
    pub unit: Option<String>,
    /// The type in words, for a tool tip.
    pub words: String,
}

/// A range of numbers; an absent end is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ValueRange {
    /// The smallest.
    pub min: Option<String>,
    /// The largest.
    pub max: Option<String>,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelCommand {
    /// Its name, with the brackets: `Reboot()`.
    pub name: String,
    /// Its full path.
    pub path: String,
    /// Whether it answers later, with OperationComplete.
    pub asynchronous: bool,
    /// What goes in.
    pub inputs: Vec<Argument>,
    /// What comes out.
    pub outputs: Vec<Argument>,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelEvent {
    /// Its name, with the mark: `Boot!`.
    pub name: String,
    /// Its full path.
    pub path: String,
    /// What it says.
    pub arguments: Vec<Argument>,
}

/// An argument of a command or event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// Whether it must be given, where that is known.
    pub mandatory: bool,
    /// What it accepts, where that is known.
    #[serde(rename = "type")]
    pub ty: Option<ValueType>,
}

/// What a hit of a search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// An object.
    Object,
    /// A parameter.
    Parameter,
    /// A command.
    Command,
    /// An event.
    Event,
}

/// A hit of a search in the tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelHit {
    /// Its path; with instance numbers where a row is known, else with `{i}`. A table ends in its
    /// name and a dot.
    pub path: String,
    /// What it is.
    pub kind: NodeKind,
    /// Whether the object it belongs to is there, as far as is known: false when a table on the way
    /// has no row, or when its part of the model reports nothing but empty tables.
    pub present: bool,
    /// The last-known value of a parameter.
    pub value: Option<KnownValue>,
}

const TAG: &str = "devices";
const READ: Access = Access::Needs(Permission::DeviceRead);

/// The operations on the data model.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(
        "device_model",
        Method::Get,
        "/api/v1/devices/{device_id}/model",
        READ,
        TAG,
        "One object of the data model with its children",
        Answer::Json(Body::of::<ModelNode>()),
    )
    .query::<ModelQuery>(),
    Endpoint::new(
        "device_model_search",
        Method::Get,
        "/api/v1/devices/{device_id}/model/search",
        READ,
        TAG,
        "Search the data model and its values",
        Answer::Json(Body::of::<Page<ModelHit>>()),
    )
    .query::<ModelSearchQuery>(),
];
