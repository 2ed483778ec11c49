//! Supported data models: which objects, parameters, commands and events there can be, and of which types.
//! Says nothing about instances and values. The tables of TR-181 and TR-098 are built in ([`Schema::tr181`]); agents
//! take a subset and add their own objects ([`Schema::builder`]).

mod builder;
mod def;
mod find;
mod operation;
mod search;
mod table;

use std::sync::Arc;

pub use builder::{SchemaBuilder, SchemaError};
pub use def::{
    Default, DefaultKind, NotifyRule, ObjectAccess, ObjectDef, ParamAccess, ParamDef, Status, Text,
    UniqueKey,
};
pub use find::{Element, NotSupported};
pub use operation::{ArgDef, CommandDef, CommandKind, EventDef};
pub use search::Hit;
pub use table::TableError;

/// A supported data model. Immutable; objects are shared between a model and its subsets, so a clone or a subset
/// costs a pointer an object. Share it between devices in an [`Arc`].
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    name: Text,
    /// By path, so that what is below an object follows it.
    objects: Vec<Arc<ObjectDef>>,
}

impl Schema {
    /// Device:2.19 as USP has it. Read at the first call, a few milliseconds.
    pub fn tr181() -> &'static Schema {
        table::tr181()
    }

    /// Device:2.19 as CWMP has it: no commands and events, and the objects TR-069 needs.
    pub fn tr181_cwmp() -> &'static Schema {
        table::tr181_cwmp()
    }

    /// InternetGatewayDevice:1.8 (TR-098).
    pub fn tr098() -> &'static Schema {
        table::tr098()
    }

    /// The published model that a path is of: TR-098 for a gateway's own, else TR-181 as USP has it.
    pub fn publishing(path: &str) -> &'static Schema {
        match path.starts_with(crate::mapping::GATEWAY_ROOT) {
            true => Schema::tr098(),
            false => Schema::tr181(),
        }
    }

    /// An empty model to fill.
    pub fn builder() -> SchemaBuilder {
        SchemaBuilder::new()
    }

    /// A model from the text that `cargo xtask gen` makes out of `data/*.tsv`, before compression.
    /// Its strings are borrowed from `text`.
    pub fn from_table(text: &'static str) -> Result<Schema, TableError> {
        table::parse(text)
    }

    /// What this is a model of, `Device:2.19` for example; empty if nobody said.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Has no objects.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// All objects by path; whatever is below an object follows it directly.
    pub fn objects(&self) -> impl ExactSizeIterator<Item = &ObjectDef> {
        self.objects.iter().map(AsRef::as_ref)
    }

    /// The object of a supported path, `Device.WiFi.SSID.{i}.`. The `{i}.` at the end may be left out (R-GSP).
    pub fn object(&self, path: &str) -> Option<&ObjectDef> {
        self.index(path).map(|at| &*self.objects[at])
    }

    /// As [`Schema::object`], to keep it apart from the model.
    pub fn object_arc(&self, path: &str) -> Option<Arc<ObjectDef>> {
        self.index(path).map(|at| Arc::clone(&self.objects[at]))
    }

    fn index(&self, path: &str) -> Option<usize> {
        let by_path = |object: &Arc<ObjectDef>| object.path.as_ref().cmp(path);
        match self.objects.binary_search_by(by_path) {
            Ok(at) => Some(at),
            // Where a table would be, its `{i}.` object is.
            Err(at) => {
                let rest = self.objects.get(at)?.path.strip_prefix(path)?;
                (rest == "{i}." && path.ends_with('.')).then_some(at)
            }
        }
    }

    /// The object and everything below it, by path. Empty if there is no such object.
    pub fn subtree(&self, path: &str) -> impl ExactSizeIterator<Item = &ObjectDef> {
        let range = self
            .index(path)
            .map_or(0..0, |start| start..self.subtree_end(start));
        self.objects[range].iter().map(AsRef::as_ref)
    }

    /// First index behind the subtree that starts at `start`.
    fn subtree_end(&self, start: usize) -> usize {
        let root = &self.objects[start].path;
        start
            + self.objects[start..].partition_point(|object| object.path.starts_with(root.as_ref()))
    }

    /// The objects directly below, by path. A table's child is its `{i}.` object's child: the parent of
    /// `Device.WiFi.SSID.{i}.` is `Device.WiFi.`.
    pub fn children<'a>(&'a self, path: &str) -> impl Iterator<Item = &'a ObjectDef> + use<'a> {
        let start = self.index(path);
        let end = start.map_or(0, |start| self.subtree_end(start));
        let mut next = start.map_or(0, |start| start + 1);
        std::iter::from_fn(move || {
            let child = self.objects.get(next).filter(|_| next < end)?;
            next = self.subtree_end(next);
            Some(child.as_ref())
        })
    }

    /// The objects nothing contains, `Device.` usually.
    pub fn roots(&self) -> impl Iterator<Item = &ObjectDef> {
        self.objects()
            .filter(|object| object.parent_path().is_none())
    }

    /// Only what `paths` name, in this order:
    /// - an object (`Device.Ethernet.`) with all below it,
    /// - an object without its objects below when a `!only` follows: `Device.Ethernet.!only`,
    /// - a parameter, command or event of its full path,
    /// - with a `-` before it, any of these is taken out again.
    ///
    /// Objects around what is named come along, empty except for their unique keys and counts of instances.
    pub fn subset<P: AsRef<str>>(&self, paths: &[P]) -> Result<Schema, SchemaError> {
        let mut builder = Schema::builder().named(self.name.clone());
        for path in paths {
            builder = builder.include(self, path.as_ref())?;
        }
        builder.build()
    }
}
