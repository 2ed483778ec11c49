//! Looking things up: definitions by instantiated path, current values, rows, unique keys, and the evaluation of
//! paths with the eyes of a controller.

use std::borrow::Cow;

use dm::resolve::{Limits, ResolveError, Tree, resolve};
use dm::{ObjectDef, ParamDef, Path, PathKind, ValueKind};
use usp::Map;

use super::access::{Actor, Field, Right};
use super::paths::{Pattern, is_search, row, split};
use super::state::{Values, named};
use super::{Engine, Held};
use crate::{Fault, Now, View};

/// The objects that are the engine's own.
const LOCAL: &str = "Device.LocalAgent.";

/// What an object path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Existing objects and rows, each ends in `.`.
    Objects(Vec<String>),
    /// Tables as such (`Device.WiFi.SSID.`).
    Tables(Vec<String>),
}

/// An object whose parameters are read: looking these things up for each of them is most of a large Get.
pub(crate) struct At<'a> {
    /// Its path, ends in `.`.
    pub object: &'a str,
    pub def: &'a ObjectDef,
    /// What the engine holds of it.
    held: &'a Values,
    /// Some of its parameters may be live.
    live: bool,
}

/// Which right hides objects from a controller (R-GET.1, R-GIN.0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filter {
    /// None: refusals are explicit.
    None,
    /// Unreadable objects do not exist.
    Obj,
    /// Rows whose instantiation is unreadable do not exist.
    InstantiatedObj,
}

impl View for Held<'_> {
    fn value(&self, path: &str) -> Option<String> {
        let (object, name) = split(path);
        let def = self
            .schema
            .object(&dm::path::supported_text(object))?
            .param(name)?;
        Some(
            self.state
                .value(path)
                .unwrap_or_else(|| initial(def))
                .to_owned(),
        )
    }

    fn instances(&self, table: &str) -> Vec<u32> {
        self.state.instances(table).collect()
    }
}

/// The value of a parameter nobody has set.
pub(crate) fn initial(def: &ParamDef) -> &str {
    match def.default.as_ref() {
        Some(dm::Default {
            kind: dm::DefaultKind::Object | dm::DefaultKind::Factory,
            value,
        }) if value != "[]" => value,
        Some(_) | None if def.ty.is_list() => "",
        _ => match def.initial_value() {
            "[]" => "",
            value => value,
        },
    }
}

impl Engine {
    /// The definition of an existing or imaginable object.
    pub(crate) fn object_def(&self, object: &str) -> Option<&ObjectDef> {
        self.schema.object(&dm::path::supported_text(object))
    }

    /// The definition of the rows of a table path.
    pub(crate) fn table_def(&self, table: &str) -> Option<&ObjectDef> {
        let mut supported = dm::path::supported_text(table);
        supported.push_str("{i}.");
        self.schema.object(&supported).filter(|def| def.multi)
    }

    pub(crate) fn param_def(&self, path: &str) -> Option<&ParamDef> {
        let (object, name) = split(path);
        self.object_def(object)?.param(name)
    }

    /// The engine-held value; empty when there is no such parameter.
    pub(crate) fn held(&self, path: &str) -> String {
        match self.state.value(path) {
            Some(value) => value.to_owned(),
            None => self
                .param_def(path)
                .map(initial)
                .unwrap_or_default()
                .to_owned(),
        }
    }

    pub(crate) fn held_true(&self, path: &str) -> bool {
        self.held(path) == "true"
    }

    pub(crate) fn held_number(&self, path: &str) -> u64 {
        self.held(path).parse().unwrap_or(0)
    }

    /// The current value of a parameter, live, counted or held; `None` when the model has no such parameter.
    pub(crate) fn value(&self, now: Now, path: &str) -> Option<String> {
        let (object, name) = split(path);
        let def = self.object_def(object)?;
        let value = self.value_of(now, &self.at(object, def), def.param(name)?, path);
        Some(value.into_owned())
    }

    /// What there is to know of an object before its parameters are read.
    pub(crate) fn at<'a>(&'a self, object: &'a str, def: &'a ObjectDef) -> At<'a> {
        At {
            object,
            def,
            held: self.state.object(object),
            live: object.starts_with(LOCAL)
                || object.starts_with(super::mqtt::CLIENTS)
                || object.starts_with(super::services::SERVICE_ROWS)
                || object.starts_with(super::stomp::CONNECTIONS)
                || self.backend.is_live(object),
        }
    }

    /// The value of a parameter of an object that is at hand; `path` is its full path.
    fn value_of<'a>(
        &'a self,
        now: Now,
        at: &At<'a>,
        param: &'a ParamDef,
        path: &str,
    ) -> Cow<'a, str> {
        if let Some(base) = param.name.strip_suffix("NumberOfEntries")
            && let Some(table) = self.counted(at.def, &param.name, base)
        {
            let table = format!("{}{table}.", at.object);
            return self.instances(now, &table).len().to_string().into();
        }
        let live = match path.strip_prefix(LOCAL) {
            _ if !at.live => None,
            Some(rest) => self.local_value(now, rest),
            None if path.starts_with(super::mqtt::CLIENTS) => self.mqtt_value(path),
            None if path.starts_with(super::services::SERVICE_ROWS) => self.service_value(path),
            None if path.starts_with(super::stomp::CONNECTIONS) => self.stomp_value(path),
            None => self.backend.read(now, path),
        };
        match live {
            Some(live) => live.into(),
            None => named(at.held, &param.name)
                .unwrap_or_else(|| initial(param))
                .into(),
        }
    }

    /// The name of the table that `param` of `def` counts.
    fn counted<'a>(&'a self, def: &ObjectDef, param: &str, base: &str) -> Option<&'a str> {
        let mut children = self.schema.children(&def.path).filter(|child| child.multi);
        children
            .find(|child| child.entries_param.as_deref() == Some(param) || child.name() == base)
            .map(ObjectDef::name)
    }

    /// The value as this controller sees it: secured parameters are empty without a secured role.
    pub(crate) fn value_for(&self, now: Now, actor: &Actor, path: &str) -> Option<String> {
        let (object, name) = split(path);
        let def = self.object_def(object)?;
        let at = self.at(object, def);
        let value = self.value_of_for(now, actor, &at, def.param(name)?, path);
        Some(value.into_owned())
    }

    /// The same, of an object that is at hand.
    pub(crate) fn value_of_for<'a>(
        &'a self,
        now: Now,
        actor: &Actor,
        at: &At<'a>,
        param: &'a ParamDef,
        path: &str,
    ) -> Cow<'a, str> {
        if (param.secured && !actor.secured) || param.hidden {
            return Cow::Borrowed("");
        }
        self.value_of(now, at, param, path)
    }

    /// Instance numbers of a table.
    pub(crate) fn instances(&self, now: Now, table: &str) -> Vec<u32> {
        let _ = now;
        if table == super::REQUESTS {
            return self.requests.keys().copied().collect();
        }
        if table == super::services::SERVICE_ROWS {
            return self.services.rows();
        }
        match super::is_own(table) {
            true => self.state.instances(table).collect(),
            false => self
                .backend
                .instances(table)
                .unwrap_or_else(|| self.state.instances(table).collect()),
        }
    }

    /// Paths of the rows of a table.
    pub(crate) fn rows(&self, now: Now, table: &str) -> Vec<String> {
        self.instances(now, table)
            .into_iter()
            .map(|n| format!("{table}{n}."))
            .collect()
    }

    /// Does this object (with every row on the way to it) exist?
    pub(crate) fn exists(&self, now: Now, object: &str) -> bool {
        self.object_def(object).is_some() && self.has_rows(now, object)
    }

    /// Does every row on the way to this object of the model exist?
    pub(crate) fn has_rows(&self, now: Now, object: &str) -> bool {
        let mut end = 0;
        for segment in object.split_inclusive('.') {
            let start = end;
            end += segment.len();
            // No name starts with a digit.
            if segment.starts_with(|c: char| c.is_ascii_digit()) {
                let number = segment.trim_end_matches('.').parse();
                if !number.is_ok_and(|n| self.instances(now, &object[..start]).contains(&n)) {
                    return false;
                }
            }
        }
        true
    }

    /// The unique keys of a row that this controller may read (R-ADD.6, R-GIN.1).
    pub(crate) fn keys_for(&self, now: Now, actor: &Actor, object: &str) -> Map {
        let mut out = Map::default();
        let Some(def) = self.object_def(object) else {
            return out;
        };
        for name in def.unique_keys.iter().flat_map(|key| &key.params) {
            let full = format!("{object}{name}");
            if actor.allows(Field::Param, Right::Read, &full)
                && let Some(value) = self.value_for(now, actor, &full)
            {
                out.insert(&**name, value);
            }
        }
        out
    }

    pub(crate) fn parse(&self, text: &str) -> Result<Path, Fault> {
        Path::parse(text).map_err(|error| Fault::invalid_path_syntax(format!("{text}: {error}")))
    }

    /// Is this in the supported model? References cannot be followed without values, so such paths pass.
    pub(crate) fn supported(&self, path: &Path) -> Result<(), Fault> {
        if path.follows() {
            return Ok(());
        }
        let text = path.supported();
        let known = match path.kind() {
            _ if let Some(known) = self.service_supports(path) => known,
            PathKind::Object => self.schema.object(&text).is_some(),
            kind => {
                let (object, name) = split(&text);
                self.schema.object(object).is_some_and(|def| match kind {
                    PathKind::Parameter => def.param(name).is_some(),
                    PathKind::Command => def.command(name).is_some(),
                    _ => def.event(name).is_some(),
                })
            }
        };
        if known {
            Ok(())
        } else {
            Err(Fault::invalid_path(format!(
                "{path} is not in the supported data model"
            )))
        }
    }

    /// Evaluates an object path.
    pub(crate) fn target(
        &self,
        now: Now,
        actor: &Actor,
        filter: Filter,
        path: &Path,
    ) -> Result<Target, Fault> {
        let scope = Scope {
            engine: self,
            now,
            actor,
            filter,
        };
        // A table as such ends in a name; its rows are the caller's business.
        let text = path.as_str();
        let is_table = self.table_def(&path.supported()).is_some();
        if is_table && let Some(parent) = path.parent() {
            let name = &text[parent.as_str().len()..];
            // What a role may see of a table says nothing of the object around it.
            let tables = scope.find(&parent)?.into_iter();
            let tables = tables.map(|parent| format!("{parent}{name}"));
            return Ok(Target::Tables(
                tables.filter(|table| scope.visible(table)).collect(),
            ));
        }
        scope.resolve(path).map(Target::Objects)
    }

    /// Patterns for a path that may have search expressions, as they match now with the eyes of `actor`.
    pub(crate) fn patterns(&self, actor: &Actor, text: &str) -> Vec<Pattern> {
        if !is_search(text) {
            return vec![Pattern::simple(text)];
        }
        let Ok(path) = Path::parse(text) else {
            return Vec::new();
        };
        let (object, rest) = match path.kind() {
            PathKind::Object => (Some(path.clone()), String::new()),
            _ => {
                let parent = path.parent();
                let length = parent.as_ref().map_or(0, |parent| parent.as_str().len());
                (parent, path.as_str()[length..].to_owned())
            }
        };
        let Some(object) = object else {
            return Vec::new();
        };
        match self.target(self.last, actor, Filter::None, &object) {
            Ok(Target::Objects(found) | Target::Tables(found)) => found
                .iter()
                .map(|found| Pattern::simple(&format!("{found}{rest}")))
                .collect(),
            Err(_) => Vec::new(),
        }
    }
}

/// The tree as one controller may see it.
struct Scope<'a> {
    engine: &'a Engine,
    now: Now,
    actor: &'a Actor,
    filter: Filter,
}

impl Scope<'_> {
    /// What exists and may be seen.
    fn resolve(&self, path: &Path) -> Result<Vec<String>, Fault> {
        let mut found = self.find(path)?;
        found.retain(|found| self.visible(found));
        Ok(found)
    }

    /// What exists, on ways that may be seen.
    fn find(&self, path: &Path) -> Result<Vec<String>, Fault> {
        if path.is_plain() {
            let text = path.as_str();
            let exists = self.engine.exists(self.now, text);
            return Ok(exists.then(|| text.to_owned()).into_iter().collect());
        }
        resolve(path, self, Limits::default()).map_err(|error| match error {
            ResolveError::NotSupported { .. } => Fault::invalid_path(error),
            ResolveError::TooManyResults { .. } | ResolveError::TooManySteps { .. } => {
                Fault::resources_exceeded(error)
            }
            _ => Fault::invalid_path_syntax(error),
        })
    }

    fn visible(&self, object: &str) -> bool {
        match self.filter {
            Filter::None => true,
            Filter::Obj => self.actor.allows(Field::Obj, Right::Read, object),
            Filter::InstantiatedObj => {
                row(object).is_none()
                    || self
                        .actor
                        .allows(Field::InstantiatedObj, Right::Read, object)
            }
        }
    }
}

impl Tree for Scope<'_> {
    fn instances(&self, table: &str) -> Vec<u32> {
        let mut rows = self.engine.instances(self.now, table);
        rows.retain(|n| self.filter == Filter::None || self.visible(&format!("{table}{n}.")));
        rows
    }

    fn value(&self, param: &str) -> Option<String> {
        // R-GIN.0: what may not be read cannot be searched by.
        if !self.actor.allows(Field::Param, Right::Read, param) {
            return None;
        }
        self.engine.value_for(self.now, self.actor, param)
    }

    fn param_type(&self, param: &str) -> Option<ValueKind> {
        self.engine
            .param_def(param)
            .map(|def| ValueKind::from(&*def.ty))
    }

    fn object_exists(&self, object: &str) -> bool {
        self.engine.exists(self.now, object)
    }
}
