//! The supported data model of a mapped device: what it has, seen as TR-181.

use std::collections::BTreeMap;

use super::{GATEWAY_ROOT, Mapping};
use crate::path::supported_text;
use crate::schema::{ObjectAccess, ObjectDef, ParamAccess, ParamDef, Schema, SchemaError};
use crate::types::Type;
use crate::value::BaseType;

impl Mapping {
    /// The model: TR-181's definitions of the objects and parameters that this device has a counterpart of, writable
    /// where that is; and under `InternetGatewayDevice.` what has none, vendor's parameters included.
    pub fn schema(&self) -> Result<Schema, SchemaError> {
        let mut objects: BTreeMap<String, ObjectDef> = BTreeMap::new();
        for (path, param) in &self.params {
            declare(&mut objects, Schema::tr181_cwmp(), path, param.writable);
        }
        for path in self.unmapped() {
            declare(&mut objects, Schema::tr098(), path, self.is_writable(path));
        }
        for rule in &self.rules.objects {
            let object = objects.get_mut(&rule.device.supported);
            if let Some(object) = object.filter(|_| rule.rows) {
                object.access = ObjectAccess::AddDelete;
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
