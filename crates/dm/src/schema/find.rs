//! Finding what a path names, in the supported model.

use super::Schema;
use super::def::{ObjectDef, ParamDef};
use super::operation::{CommandDef, EventDef};
use crate::path::{Path, PathKind, Segment, supported_text};

/// Something of a model, with the object it belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Element<'a> {
    /// An object, a table or a row: a table and its rows are one definition.
    Object(&'a ObjectDef),
    /// A parameter.
    Param(&'a ObjectDef, &'a ParamDef),
    /// A command.
    Command(&'a ObjectDef, &'a CommandDef),
    /// An event.
    Event(&'a ObjectDef, &'a EventDef),
}

impl<'a> Element<'a> {
    /// The object it is or belongs to.
    pub fn object(self) -> &'a ObjectDef {
        match self {
            Element::Object(object)
            | Element::Param(object, _)
            | Element::Command(object, _)
            | Element::Event(object, _) => object,
        }
    }

    /// The parameter, if it is one.
    pub fn param(self) -> Option<&'a ParamDef> {
        match self {
            Element::Param(_, param) => Some(param),
            _ => None,
        }
    }

    /// The command, if it is one.
    pub fn command(self) -> Option<&'a CommandDef> {
        match self {
            Element::Command(_, command) => Some(command),
            _ => None,
        }
    }

    /// The supported path.
    pub fn path(self) -> String {
        let name = match self {
            Element::Object(_) => "",
            Element::Param(_, param) => &param.name,
            Element::Command(_, command) => &command.name,
            Element::Event(_, event) => &event.name,
        };
        format!("{}{name}", self.object().path)
    }
}

/// A path (or a part of an expression in it) that the model does not have (error 7026).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} is not in the supported data model")]
pub struct NotSupported {
    /// The supported path that is missing.
    pub path: String,
}

impl Schema {
    /// What a path text names, supported (`Device.WiFi.SSID.{i}.SSID`) or instantiated (`Device.WiFi.SSID.3.SSID`).
    /// Does not parse, so it is quick, and search paths find nothing.
    pub fn element(&self, path: &str) -> Option<Element<'_>> {
        if let Some(found) = self.supported_element(path) {
            return Some(found);
        }
        let supported = supported_text(path);
        if supported == path {
            None
        } else {
            self.supported_element(&supported)
        }
    }

    fn supported_element(&self, path: &str) -> Option<Element<'_>> {
        if path.ends_with('.') {
            return self.object(path).map(Element::Object);
        }
        let (object, name) = path.split_at(path.rfind('.')? + 1);
        let at = self
            .objects
            .binary_search_by(|candidate| candidate.path.as_ref().cmp(object))
            .ok()?;
        let object = &*self.objects[at];
        if name.ends_with("()") {
            return object
                .command(name)
                .map(|command| Element::Command(object, command));
        }
        if name.ends_with('!') {
            return object
                .event(name)
                .map(|event| Element::Event(object, event));
        }
        object
            .param(name)
            .map(|param| Element::Param(object, param))
    }

    /// The parameter of a supported or instantiated path.
    pub fn param(&self, path: &str) -> Option<&ParamDef> {
        self.element(path).and_then(Element::param)
    }

    /// Is all of `path` in the model, search expressions included? `Ok(None)` where the answer lies behind a reference,
    /// whose target only a device knows.
    pub fn check_path(&self, path: &Path) -> Result<Option<Element<'_>>, NotSupported> {
        let missing = |path: &str| NotSupported {
            path: path.to_owned(),
        };
        let mut at = String::with_capacity(path.as_str().len());
        let mut segments = path.segments().peekable();
        while let Some(segment) = segments.next() {
            match segment {
                Segment::Name(name) => {
                    at.push_str(name);
                    if let Some(Segment::Follow(_)) = segments.peek() {
                        return self.param(&at).map(|_| None).ok_or_else(|| missing(&at));
                    }
                    at.push('.');
                }
                Segment::Follow(_) => return Ok(None),
                Segment::Instance(_) | Segment::Any | Segment::Template | Segment::Keys(_) => {
                    at.push_str("{i}.");
                    let row = self
                        .object(&at)
                        .filter(|row| row.path == at)
                        .ok_or_else(|| missing(&at))?;
                    if let Segment::Keys(keys) = segment {
                        keys.iter()
                            .try_for_each(|key| self.check_relative(row, key.path.as_str()))?;
                    }
                }
            }
        }
        if path.kind() != PathKind::Object {
            at.truncate(at.rfind('.').unwrap_or_default());
            at.push_str(match path.kind() {
                PathKind::Command => "()",
                PathKind::Event => "!",
                PathKind::Object | PathKind::Parameter => "",
            });
        }
        self.supported_element(&at)
            .map(Some)
            .ok_or_else(|| missing(&at))
    }

    /// The part of an expression's path up to the first reference.
    fn check_relative(&self, row: &ObjectDef, relative: &str) -> Result<(), NotSupported> {
        let known = relative.split(['+', '#']).next().unwrap_or_default();
        let path = format!("{}{known}", row.path);
        match self.supported_element(&path) {
            Some(Element::Param(..)) => Ok(()),
            _ => Err(NotSupported { path }),
        }
    }
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
