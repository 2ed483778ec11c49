//! The supported data model of a mapped device: what it has, seen as TR-181.

use std::collections::{BTreeMap, HashSet};

use super::rules::{How, ObjectRule};
use super::{GATEWAY_ROOT, Mapping};
use crate::path::supported_text;
use crate::schema::{ObjectAccess, ObjectDef, ParamAccess, ParamDef, Schema, SchemaError};
use crate::types::Type;
use crate::value::BaseType;

impl Mapping {
    /// The model: TR-181's definitions of the objects and parameters that this device has a counterpart of, writable
    /// where that is; and under `InternetGatewayDevice.` what has none, vendor's parameters included. The rows of a
    /// table that is empty now are as the standards have them.
    pub fn schema(&self) -> Result<Schema, SchemaError> {
        let mut objects: BTreeMap<String, ObjectDef> = BTreeMap::new();
        for (path, param) in &self.params {
            declare(&mut objects, Schema::tr181_cwmp(), path, param.writable);
        }
        for path in self.unmapped() {
            declare(&mut objects, Schema::tr098(), path, self.is_writable(path));
        }
        self.declare_empty_tables(&mut objects);
        for rule in &self.rules.objects {
            let object = objects.get_mut(&rule.device.supported);
            let Some(object) = object.filter(|_| rule.rows) else {
                continue;
            };
            object.access = ObjectAccess::AddDelete;
            // What tells the tables apart that could take a new row.
            for link in rule
                .params
                .iter()
                .filter(|param| matches!(param.how, How::Link(_)))
            {
                let known = object
                    .params
                    .iter_mut()
                    .find(|param| param.name == link.name);
                let can_write = link
                    .device
                    .is_some_and(|def| def.access != ParamAccess::ReadOnly);
                if let Some(param) = known.filter(|_| can_write) {
                    param.access = ParamAccess::WriteOnce;
                }
            }
        }
        let mut builder = Schema::builder().named(Schema::tr181_cwmp().name().to_owned());
        for mut object in objects.into_values() {
            let params: Vec<_> = object
                .params
                .iter()
                .map(|param| param.name.clone())
                .collect();
            object
                .unique_keys
                .retain(|key| key.params.iter().all(|name| params.contains(name)));
            builder = builder.object(object);
        }
        builder.build()
    }

    fn declare_empty_tables(&self, objects: &mut BTreeMap<String, ObjectDef>) {
        let tables = self.tree.keys().filter(|path| path.ends_with('.'));
        let tables: HashSet<String> = tables.map(|path| supported_text(path)).collect();
        let is_empty = |rule: &&ObjectRule| {
            let table = rule.gateway.strip_suffix("{i}.");
            table.is_some_and(|table| tables.contains(table)) && !tables.contains(rule.gateway)
        };
        for rule in self.rules.objects.iter().filter(is_empty) {
            for param in &rule.params {
                let both = [param.device, param.gateway];
                let can_write = |def: Option<&ParamDef>| {
                    def.is_some_and(|def| def.access != ParamAccess::ReadOnly)
                };
                let writable = !param.how.is_fixed() && both.into_iter().all(can_write);
                let path = format!("{}{}", rule.device.supported, param.name);
                declare(objects, Schema::tr181_cwmp(), &path, writable);
            }
        }
    }
}

/// Adds a parameter of a device, and the objects around it.
fn declare(objects: &mut BTreeMap<String, ObjectDef>, of: &Schema, path: &str, writable: bool) {
    let supported = supported_text(path);
    let Some(dot) = supported.rfind('.') else {
        return;
    };
    let (object, name) = supported.split_at(dot + 1);
    around(objects, of, object);
    let known = of.param(&supported).cloned();
    let mut param =
        known.unwrap_or_else(|| ParamDef::new(name.to_owned(), Type::new(BaseType::String)));
    param.access = match (writable, param.access) {
        (false, _) => ParamAccess::ReadOnly,
        (true, ParamAccess::WriteOnce) => ParamAccess::WriteOnce,
        (true, _) => ParamAccess::ReadWrite,
    };
    if let Some(object) = objects.get_mut(object) {
        match object
            .params
            .iter_mut()
            .find(|there| there.name == param.name)
        {
            // Rows may differ; what one of them can, the model can.
            Some(there) if param.access != ParamAccess::ReadOnly => *there = param,
            Some(_) => {}
            None => object.params.push(param),
        }
    }
}

fn around(objects: &mut BTreeMap<String, ObjectDef>, of: &Schema, object: &str) {
    if objects.contains_key(object) {
        return;
    }
    let mut def = match of.object(object) {
        Some(def) => ObjectDef {
            params: Vec::new(),
            commands: Vec::new(),
            events: Vec::new(),
            ..def.clone()
        },
        None => ObjectDef::new(object.to_owned()),
    };
    // Under the gateway's own root the device decides; through TR-181 only rows that a rule maps can be added.
    if !object.starts_with(GATEWAY_ROOT) {
        def.access = ObjectAccess::ReadOnly;
    }
    if let Some(parent) = def.parent_path().map(str::to_owned) {
        around(objects, of, &parent);
    }
    objects.insert(object.to_owned(), def);
}
