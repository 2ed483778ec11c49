//! A tree over a map of parameter values, such as the last-known values of a device: what has a value exists.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Tree, ValueKind};
use crate::schema::Schema;
use crate::value::BaseType;

/// Parameter values by instantiated path, with the model that types them.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'a> {
    schema: &'a Schema,
    values: &'a BTreeMap<String, String>,
}

impl<'a> Snapshot<'a> {
    /// A tree of `values`. Parameters that `schema` does not have (vendor's) count as text.
    pub fn new(schema: &'a Schema, values: &'a BTreeMap<String, String>) -> Snapshot<'a> {
        Snapshot { schema, values }
    }

    /// The first parameter at or behind `from` that lies below `prefix`.
    fn first_below(&self, prefix: &str, from: &str) -> Option<&'a str> {
        let (path, _) = self
            .values
            .range::<str, _>((Bound::Included(from), Bound::Unbounded))
            .next()?;
        path.starts_with(prefix).then_some(path.as_str())
    }
}

impl Tree for Snapshot<'_> {
    fn instances(&self, table: &str) -> Vec<u32> {
        let mut numbers: Vec<u32> = Vec::new();
        let mut from = table.to_owned();
        while let Some(path) = self.first_below(table, &from) {
            let number = path[table.len()..].split('.').next().unwrap_or_default();
            numbers.extend(number.parse::<u32>().ok());
            // '/' is the character behind '.': skips the rest of the instance.
            from = format!("{table}{number}/");
        }
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    fn value(&self, param: &str) -> Option<String> {
        self.values.get(param).cloned()
    }

    fn param_type(&self, param: &str) -> Option<ValueKind> {
        Some(
            self.schema
                .param(param)
                .map_or(BaseType::String.into(), |param| ValueKind::from(&*param.ty)),
        )
    }

    fn object_exists(&self, object: &str) -> bool {
        self.first_below(object, object).is_some()
    }
}
