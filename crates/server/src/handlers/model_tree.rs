//! One object of the tree, put together from what the device said it supports, what the published
//! model says about types, and the values that are known. Pure.

use super::model_types::{access, actions, keys, parameter_access, parameter_type};
use super::{time, value};
use api::model::{
    Instance, ModelNode, ModelObject, ModelParameter, ModelSource, NodeKind, ObjectAccess,
};
use fleet::Timestamp;
use fleet::model::{Model, supported};
use std::collections::{BTreeMap, BTreeSet};
use store::KnownValue;

/// What is known about the model of a device.
#[derive(Debug)]
pub struct Known {
    /// What it said it supports.
    pub model: Option<Model>,
    /// When it said so.
    pub discovered_at: Option<Timestamp>,
}

/// The last-known values below the object, by path.
pub type Values = BTreeMap<String, KnownValue>;

/// The object at a path; `None` when neither model nor values know it.
pub fn node(known: &Known, path: &str, values: &Values) -> Option<ModelNode> {
    let shape = supported(path);
    let table_shape = format!("{shape}{{i}}.");
    let objects = shapes(known, values);
    let table = !objects.contains_key(&shape) && objects.contains_key(&table_shape);
    if !table && !objects.contains_key(&shape) {
        return None;
    }
    let own = if table { &table_shape } else { &shape };
    let published = dm::Schema::publishing(own)
        .object(own)
        .filter(|object| object.path == own.as_str());
    let told = known
        .model
        .as_ref()
        .and_then(|model| model.objects.get(own));
    let access = access(told, published);
    let instances = if table {
        rows(path, values, published)
    } else {
        Vec::new()
    };
    let mut node = ModelNode {
        path: path.to_owned(),
        supported_path: own.clone(),
        parent: parent(path),
        access,
        table,
        instances,
        objects: Vec::new(),
        parameters: Vec::new(),
        commands: Vec::new(),
        events: Vec::new(),
        unique_keys: keys(told, published),
        source: match (&known.model, published) {
            (Some(_), _) => ModelSource::Discovered,
            (None, Some(_)) => ModelSource::Standard,
            (None, None) => ModelSource::Values,
        },
        discovered_at: known.discovered_at.map(time),
    };
    if !table {
        node.objects = children(&shape, path, &objects, values);
        node.parameters = parameters(known, path, &shape, values);
        (node.commands, node.events) = actions(told, published, path, known.model.is_none());
    }
    Some(node)
}

/// Every path the model supports, with `{i}` for rows, in their order.
pub fn paths(known: &Known) -> Vec<(String, NodeKind)> {
    let mut all = Vec::new();
    let mut add = |object: &str,
                   params: &mut dyn Iterator<Item = &str>,
                   commands: &mut dyn Iterator<Item = &str>,
                   events: &mut dyn Iterator<Item = &str>| {
        all.push((object.to_owned(), NodeKind::Object));
        all.extend(params.map(|name| (format!("{object}{name}"), NodeKind::Parameter)));
        all.extend(commands.map(|name| (format!("{object}{name}"), NodeKind::Command)));
        all.extend(events.map(|name| (format!("{object}{name}"), NodeKind::Event)));
    };
    match &known.model {
        Some(model) => {
            for (path, object) in &model.objects {
                add(
                    path,
                    &mut object.params.iter().map(|one| one.name.as_str()),
                    &mut object.commands.iter().map(|one| one.name.as_str()),
                    &mut object.events.iter().map(|one| one.name.as_str()),
                );
            }
        }
        None => {
            for object in dm::Schema::tr181().objects() {
                add(
                    &object.path,
                    &mut object.params.iter().map(|one| one.name.as_ref()),
                    &mut object.commands.iter().map(|one| one.name.as_ref()),
                    &mut object.events.iter().map(|one| one.name.as_ref()),
                );
            }
        }
    }
    all
}

/// Supported object paths and what may be done with them: of the device, else of the standard;
/// and those that only values show.
fn shapes(known: &Known, values: &Values) -> BTreeMap<String, ObjectAccess> {
    let mut all: BTreeMap<String, ObjectAccess> = match &known.model {
        Some(model) => model
            .objects
            .iter()
            .map(|(path, one)| (path.clone(), access(Some(one), None)))
            .collect(),
        None => dm::Schema::tr181()
            .objects()
            .map(|one| (one.path.to_string(), access(None, Some(one))))
            .collect(),
    };
    for path in values.keys() {
        let mut shape = supported(path);
        while let Some(dot) = shape.trim_end_matches('.').rfind('.') {
            shape.truncate(dot + 1);
            if all.contains_key(&shape) {
                break;
            }
            if !shape.ends_with("{i}.") && all.contains_key(&format!("{shape}{{i}}.")) {
                continue;
            }
            all.insert(shape.clone(), ObjectAccess::ReadOnly);
        }
    }
    // Parents that a device does not list by themselves.
    let listed: Vec<String> = all.keys().cloned().collect();
    for path in listed {
        let mut shape = path;
        while let Some(dot) = shape.trim_end_matches('.').rfind('.') {
            shape.truncate(dot + 1);
            let is_table = all.contains_key(&format!("{shape}{{i}}."));
            if !is_table && !all.contains_key(&shape) {
                all.insert(shape.clone(), ObjectAccess::ReadOnly);
            }
        }
    }
    all
}

fn children(
    shape: &str,
    path: &str,
    objects: &BTreeMap<String, ObjectAccess>,
    values: &Values,
) -> Vec<ModelObject> {
    let mut found: BTreeMap<String, ModelObject> = BTreeMap::new();
    for (candidate, access) in objects.range(shape.to_owned()..) {
        let Some(rest) = candidate.strip_prefix(shape) else {
            break;
        };
        let (name, tail) = match rest.split_once('.') {
            Some(parts) if !parts.0.is_empty() && parts.0 != "{i}" => parts,
            _ => continue,
        };
        let table = tail == "{i}.";
        if !tail.is_empty() && !table {
            continue;
        }
        let path = format!("{path}{name}.");
        let instances =
            table.then(|| u32::try_from(numbers(&path, values).len()).unwrap_or(u32::MAX));
        let object = ModelObject {
            name: name.to_owned(),
            path,
            access: *access,
            table,
            instances,
        };
        found.insert(name.to_owned(), object);
    }
    found.into_values().collect()
}

fn parameters(known: &Known, path: &str, shape: &str, values: &Values) -> Vec<ModelParameter> {
    let published = dm::Schema::publishing(shape)
        .object(shape)
        .filter(|object| object.path == shape);
    let mut names: BTreeSet<String> = values
        .range(path.to_owned()..)
        .map_while(|(full, _)| full.strip_prefix(path))
        .filter(|rest| !rest.is_empty() && !rest.contains('.'))
        .map(str::to_owned)
        .collect();
    let told = known
        .model
        .as_ref()
        .and_then(|model| model.objects.get(shape));
    match (told, &known.model) {
        (Some(object), _) => names.extend(object.params.iter().map(|one| one.name.clone())),
        (None, None) => {
            let current = published.into_iter().flat_map(|object| &object.params);
            let current = current.filter(|one| one.status < dm::Status::Obsoleted);
            names.extend(current.map(|one| one.name.to_string()));
        }
        (None, Some(_)) => {}
    }
    names
        .into_iter()
        .map(|name| {
            let full = format!("{path}{name}");
            let told = told.and_then(|object| object.params.iter().find(|one| one.name == name));
            let published = published.and_then(|object| object.param(&name));
            ModelParameter {
                access: parameter_access(told, published),
                ty: parameter_type(told, published),
                secret: published.is_some_and(|one| one.secured || one.hidden),
                default: published
                    .and_then(|one| one.default.as_ref())
                    .map(|default| default.value.to_string()),
                value: values
                    .get(&full)
                    .map(|one| value::view(one.clone(), known.model.as_ref())),
                path: full,
                name,
            }
        })
        .collect()
}

fn rows(path: &str, values: &Values, published: Option<&dm::ObjectDef>) -> Vec<Instance> {
    let mut telling = vec![
        "Name",
        "SSID",
        "HostName",
        "Alias",
        "ID",
        "MACAddress",
        "IPAddress",
    ];
    let keys = published.into_iter().flat_map(|object| &object.unique_keys);
    telling.extend(keys.flat_map(|key| &key.params).map(AsRef::as_ref));
    numbers(path, values)
        .into_iter()
        .map(|number| {
            let row = format!("{path}{number}.");
            let hint = telling
                .iter()
                .filter_map(|name| values.get(&format!("{row}{name}")))
                .map(|value| value.value.clone())
                .find(|text| !text.is_empty());
            Instance {
                path: row,
                number,
                hint,
            }
        })
        .collect()
}

/// The numbers of the rows of a table that values show.
fn numbers(table: &str, values: &Values) -> BTreeSet<u32> {
    values
        .range(table.to_owned()..)
        .map_while(|(path, _)| path.strip_prefix(table))
        .filter_map(|rest| rest.split('.').next()?.parse().ok())
        .collect()
}

fn parent(path: &str) -> Option<String> {
    let inner = path.strip_suffix('.')?;
    Some(inner[..inner.rfind('.')? + 1].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::model::ParameterAccess;
    use fleet::model::{ModelObject as Told, ModelParam, ParamAccess};
    use store::ValueSource;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs
            .iter()
            .map(|(path, value)| {
                let one = KnownValue {
                    path: (*path).to_owned(),
                    value: (*value).to_owned(),
                    source: ValueSource::Read,
                    at: Timestamp::from_millis(1),
                };
                ((*path).to_owned(), one)
            })
            .collect()
    }

    fn ssid_device() -> Known {
        let told = Told {
            access: fleet::model::ObjectAccess::AddDelete,
            multi: true,
            params: vec![ModelParam {
                name: "SSID".into(),
                access: ParamAccess::ReadWrite,
                ty: Some("string".into()),
                value_change: None,
            }],
            commands: Vec::new(),
            events: Vec::new(),
            keys: Vec::new(),
            named_only: false,
        };
        let mut model = Model::default();
        model.objects.insert("Device.WiFi.SSID.{i}.".into(), told);
        Known {
            model: Some(model),
            discovered_at: Some(Timestamp::from_millis(1)),
        }
    }

    #[test]
    fn a_table_shows_its_rows_with_what_tells_them_apart() {
        let values = values(&[
            ("Device.WiFi.SSID.1.SSID", "home"),
            ("Device.WiFi.SSID.10.SSID", "guests"),
            ("Device.WiFi.SSID.2.SSID", ""),
        ]);
        let node = node(&ssid_device(), "Device.WiFi.SSID.", &values).unwrap();
        assert!(node.table && node.parameters.is_empty());
        assert_eq!(node.access, ObjectAccess::AddDelete);
        let rows: Vec<_> = node
            .instances
            .iter()
            .map(|row| (row.number, row.hint.as_deref()))
            .collect();
        assert_eq!(rows, [(1, Some("home")), (2, None), (10, Some("guests"))]);
    }

    #[test]
    fn a_row_shows_parameters_with_type_access_and_value() {
        let values = values(&[
            ("Device.WiFi.SSID.1.SSID", "home"),
            ("Device.WiFi.SSID.1.X_New", "7"),
        ]);
        let node = node(&ssid_device(), "Device.WiFi.SSID.1.", &values).unwrap();
        assert_eq!(node.parent.as_deref(), Some("Device.WiFi.SSID."));
        let ssid = &node.parameters[0];
        assert_eq!(
            (ssid.name.as_str(), ssid.access),
            ("SSID", ParameterAccess::ReadWrite)
        );
        assert_eq!(ssid.ty.length_max, Some(32));
        assert_eq!(ssid.value.as_ref().unwrap().value, "home");
        assert_eq!(node.parameters[1].ty.base, "unknown");
    }

    #[test]
    fn parents_of_what_a_device_lists_are_there() {
        let known = ssid_device();
        let root = node(&known, "Device.", &Values::new()).unwrap();
        assert_eq!(root.objects[0].name, "WiFi");
        let wifi = node(&known, "Device.WiFi.", &Values::new()).unwrap();
        assert!(wifi.objects[0].table && wifi.objects[0].instances == Some(0));
        assert!(node(&known, "Device.Nothing.", &Values::new()).is_none());
    }

    #[test]
    fn a_device_that_was_never_asked_shows_the_standard() {
        let known = Known {
            model: None,
            discovered_at: None,
        };
        let node = node(&known, "Device.", &Values::new()).unwrap();
        assert_eq!(node.source, ModelSource::Standard);
        assert!(node.commands.iter().any(|one| one.name == "Reboot()"));
        assert!(
            node.objects
                .iter()
                .any(|one| one.name == "WiFi" && !one.table)
        );
    }
}
