//! Putting a model together: parts of other models plus objects of one's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::def::{ObjectDef, Text};
use super::find::Element;
use super::{Schema, def};
use crate::limits;

/// Why a model cannot be put together. All of these are mistakes of the program that declares it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// A path that the other model does not have.
    #[error("{path:?} is not in the model it is to be taken from")]
    NotThere {
        /// The path.
        path: String,
    },
    /// An object path that is not one.
    #[error("{path:?} is not a supported object path (names and {{i}}, ending in '.')")]
    BadPath {
        /// The path.
        path: String,
    },
    /// An object without the object around it.
    #[error("{path:?} is declared, but not the object around it")]
    NoParent {
        /// The path.
        path: String,
    },
    /// A member whose name is not one, or which is declared twice with different definitions.
    #[error("{name:?} of {path:?} {problem}")]
    Member {
        /// The object.
        path: String,
        /// The parameter, command, event or key.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// More objects than [`limits::SCHEMA_OBJECTS_MAX`].
    #[error(
        "models of more than {} objects are not accepted",
        limits::SCHEMA_OBJECTS_MAX
    )]
    TooMany,
}

/// Collects a model. See [`Schema::builder`].
#[derive(Debug, Clone, Default)]
pub struct SchemaBuilder {
    name: Text,
    objects: BTreeMap<Text, Arc<ObjectDef>>,
}

impl SchemaBuilder {
    pub(super) fn new() -> SchemaBuilder {
        SchemaBuilder::default()
    }

    /// What this is a model of.
    #[must_use]
    pub fn named(mut self, name: impl Into<Text>) -> SchemaBuilder {
        self.name = name.into();
        self
    }

    /// Takes `path` over from another model, as [`Schema::subset`] describes, or with a `-` before it takes it out
    /// of what there is.
    pub fn include(mut self, from: &Schema, path: &str) -> Result<SchemaBuilder, SchemaError> {
        if let Some(path) = path.strip_prefix('-') {
            self.exclude(path)?;
            return Ok(self);
        }
        if let Some(path) = path.strip_suffix("!only") {
            let object = from.object_arc(path).ok_or_else(|| not_there(path))?;
            self.around(from, &object);
            self.merge_whole(object);
            return Ok(self);
        }
        if path.ends_with('.') {
            let start = from.index(path).ok_or_else(|| not_there(path))?;
            self.around(from, &from.objects[start]);
            for object in &from.objects[start..from.subtree_end(start)] {
                self.merge_whole(Arc::clone(object));
            }
            return Ok(self);
        }
        let element = from.element(path).ok_or_else(|| not_there(path))?;
        let part = ObjectDef {
            path: element.object().path.clone(),
            ..ObjectDef::default()
        };
        let part = match element {
            Element::Object(_) => return Err(not_there(path)),
            Element::Param(_, param) => part.with_param(param.clone()),
            Element::Command(_, command) => part.with_command(command.clone()),
            Element::Event(_, event) => part.with_event(event.clone()),
        };
        self.around(from, element.object());
        self.bare(element.object());
        self.merge(part);
        Ok(self)
    }

    /// Declares an object, or adds to the one of the same path: what has the name of something there replaces it.
    #[must_use]
    pub fn object(mut self, object: ObjectDef) -> SchemaBuilder {
        self.merge(object);
        self
    }

    /// The finished model.
    pub fn build(self) -> Result<Schema, SchemaError> {
        if self.objects.len() > limits::SCHEMA_OBJECTS_MAX {
            return Err(SchemaError::TooMany);
        }
        for object in self.objects.values() {
            check(object)?;
            match object.parent_path() {
                Some(parent) if !self.objects.contains_key(parent) => {
                    return Err(SchemaError::NoParent {
                        path: object.path.to_string(),
                    });
                }
                _ => {}
            }
        }
        Ok(Schema {
            name: self.name,
            objects: self.objects.into_values().collect(),
        })
    }

    fn exclude(&mut self, path: &str) -> Result<(), SchemaError> {
        if path.ends_with('.') {
            let before = self.objects.len();
            self.objects.retain(|object, _| !object.starts_with(path));
            return if self.objects.len() == before {
                Err(not_there(path))
            } else {
                Ok(())
            };
        }
        let dot = path.rfind('.').ok_or_else(|| not_there(path))?;
        let (object, name) = path.split_at(dot + 1);
        let object = Arc::make_mut(
            self.objects
                .get_mut(object)
                .ok_or_else(|| not_there(path))?,
        );
        let before = (
            object.params.len(),
            object.commands.len(),
            object.events.len(),
        );
        object.params.retain(|param| param.name != name);
        object.commands.retain(|command| command.name != name);
        object.events.retain(|event| event.name != name);
        if before
            == (
                object.params.len(),
                object.commands.len(),
                object.events.len(),
            )
        {
            return Err(not_there(path));
        }
        Ok(())
    }

    /// Brings the objects around `object`, and where it is a table the parameter that counts it.
    fn around(&mut self, from: &Schema, object: &ObjectDef) {
        let Some(parent) = object.parent_path().and_then(|path| from.object(path)) else {
            return;
        };
        self.around(from, parent);
        self.bare(parent);
        let counter = object
            .entries_param
            .as_deref()
            .and_then(|name| parent.param(name));
        if let Some(counter) = counter {
            let part = ObjectDef {
                path: parent.path.clone(),
                ..ObjectDef::default()
            };
            self.merge(part.with_param(counter.clone()));
        }
    }

    /// Brings an object with nothing but what tells its rows apart.
    fn bare(&mut self, object: &ObjectDef) {
        if self.objects.contains_key(&object.path) {
            return;
        }
        let mut bare = ObjectDef {
            params: Vec::new(),
            commands: Vec::new(),
            events: Vec::new(),
            ..object.clone()
        };
        let keys = object
            .params
            .iter()
            .filter(|param| object.is_key(&param.name));
        bare.params.extend(keys.cloned());
        self.objects.insert(bare.path.clone(), Arc::new(bare));
    }

    /// Takes a whole object over, shared if there is nothing of it yet.
    fn merge_whole(&mut self, object: Arc<ObjectDef>) {
        match self.objects.get(&object.path) {
            None => {
                self.objects.insert(object.path.clone(), object);
            }
            Some(_) => self.merge(ObjectDef::clone(&object)),
        }
    }

    fn merge(&mut self, part: ObjectDef) {
        let Some(there) = self.objects.get_mut(&part.path) else {
            self.objects.insert(part.path.clone(), Arc::new(part));
            return;
        };
        let there = Arc::make_mut(there);
        put_all(&mut there.params, part.params, |a, b| a.name == b.name);
        put_all(&mut there.commands, part.commands, |a, b| a.name == b.name);
        put_all(&mut there.events, part.events, |a, b| a.name == b.name);
        put_all(&mut there.unique_keys, part.unique_keys, |a, b| {
            a.params == b.params
        });
        if part.access != def::ObjectAccess::ReadOnly {
            there.access = part.access;
        }
        there.entries_param = part.entries_param.or(there.entries_param.take());
        there.enable_param = part.enable_param.or(there.enable_param.take());
        there.mount_point |= part.mount_point;
    }
}

fn put_all<T>(to: &mut Vec<T>, from: Vec<T>, same: impl Fn(&T, &T) -> bool) {
    for item in from {
        match to.iter_mut().find(|there| same(there, &item)) {
            Some(there) => *there = item,
            None => to.push(item),
        }
    }
}

fn not_there(path: &str) -> SchemaError {
    SchemaError::NotThere {
        path: path.to_owned(),
    }
}

fn check(object: &ObjectDef) -> Result<(), SchemaError> {
    let parsed = crate::Path::parse(&object.path);
    let is_supported = parsed.is_ok_and(|path| {
        let plain = !path.is_search()
            && !path.follows()
            && !path
                .segments()
                .any(|s| matches!(s, crate::Segment::Instance(_)));
        plain && path.as_str() == object.path
    });
    if !is_supported
        || !object.path.ends_with('.')
        || object.multi != object.path.ends_with(".{i}.")
    {
        return Err(SchemaError::BadPath {
            path: object.path.to_string(),
        });
    }
    let wrong = |name: &str, problem| SchemaError::Member {
        path: object.path.to_string(),
        name: name.to_owned(),
        problem,
    };
    let params = object
        .params
        .iter()
        .map(|param| (param.name.as_ref(), param.name.as_ref()));
    let commands = object
        .commands
        .iter()
        .map(|command| (command.name.as_ref(), command.bare_name()));
    let events = object
        .events
        .iter()
        .map(|event| (event.name.as_ref(), event.bare_name()));
    for (name, bare) in params.chain(commands).chain(events) {
        if !is_name(bare) {
            return Err(wrong(name, "is not a name"));
        }
    }
    for command in &object.commands {
        if !command.name.ends_with("()") {
            return Err(wrong(&command.name, "is a command and must end in ()"));
        }
    }
    for event in &object.events {
        if !event.name.ends_with('!') {
            return Err(wrong(&event.name, "is an event and must end in !"));
        }
    }
    let all = |key: &super::UniqueKey| {
        key.params
            .iter()
            .find(|name| object.param(name).is_none())
            .cloned()
    };
    if let Some(name) = object.unique_keys.iter().find_map(all) {
        // A subset may have left the parameter out; then nobody can address by it, which is worth an error.
        return Err(wrong(&name, "is part of a unique key, but not a parameter"));
    }
    Ok(())
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
#[path = "builder_tests.rs"]
mod tests;
