//! Reading the built-in tables. `cargo xtask gen` writes them from `data/*.tsv` as deflated text in this form, one thing
//! a line, fields separated by tabs, the first field one letter:
//!
//! ```text
//! m  name                          the model, first line
//! t  base  facets                  a type; the n-th has number n, counted from 0
//! o  path  access  since  facets   an object; what follows belongs to it
//! p  name  access  type  since  facets
//! c  name  sync|async  since  facets   a command; what follows belongs to it
//! i  name  type  since  facets     its input
//! u  name  type  since  facets     its output
//! e  name  since  facets           an event; what follows belongs to it
//! a  name  type  since  facets     its argument
//! ```
//!
//! Facets are those of the tables in `data/`, joined by `;`. Texts are borrowed from the inflated table, so a model
//! costs its definitions and one copy of the text.

use std::io::Read;
use std::sync::{Arc, LazyLock};

use flate2::read::DeflateDecoder;

use super::Schema;
use super::def::*;
use super::operation::{ArgDef, CommandDef, CommandKind, EventDef};
use crate::limits;
use crate::types::{ListFacet, Range, Reference, Size, Type};
use crate::value::{BaseType, Decimal};

/// A table that cannot be read; says which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the model's table: {problem}")]
pub struct TableError {
    /// From 1; 0 when it is about the whole table.
    pub line: usize,
    /// What is wrong.
    pub problem: &'static str,
}

/// A built-in table: its text stays for as long as the program runs, and the model borrows from it.
struct Table {
    text: LazyLock<String>,
    schema: LazyLock<Schema>,
}

static TR181: Table = Table {
    text: LazyLock::new(|| inflate(include_bytes!("../generated/tr181-usp.bin"))),
    schema: LazyLock::new(|| builtin(&TR181)),
};
static TR181_CWMP: Table = Table {
    text: LazyLock::new(|| inflate(include_bytes!("../generated/tr181-cwmp.bin"))),
    schema: LazyLock::new(|| builtin(&TR181_CWMP)),
};
static TR098: Table = Table {
    text: LazyLock::new(|| inflate(include_bytes!("../generated/tr098.bin"))),
    schema: LazyLock::new(|| builtin(&TR098)),
};

pub(super) fn tr181() -> &'static Schema {
    &TR181.schema
}

pub(super) fn tr181_cwmp() -> &'static Schema {
    &TR181_CWMP.schema
}

pub(super) fn tr098() -> &'static Schema {
    &TR098.schema
}

/// The tables are part of the program and a test reads each, so a damaged one cannot reach anybody; it would be an
/// empty model, not a panic.
fn builtin(table: &'static Table) -> Schema {
    parse(&table.text).unwrap_or_else(|_| Schema {
        name: Text::Borrowed(""),
        objects: Vec::new(),
    })
}

fn inflate(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8);
    let limit = limits::TABLE_BYTES_MAX as u64;
    match DeflateDecoder::new(bytes)
        .take(limit)
        .read_to_string(&mut text)
    {
        Ok(_) => text.shrink_to_fit(),
        Err(_) => text.clear(),
    }
    text
}

/// Reads a whole table.
pub(super) fn parse(text: &'static str) -> Result<Schema, TableError> {
    let mut reader = Reader::default();
    for (n, line) in text.lines().enumerate() {
        reader.line(line).map_err(|problem| TableError {
            line: n + 1,
            problem,
        })?;
    }
    reader.finish_object();
    let mut objects = reader.objects;
    if objects.is_empty() || objects.len() > limits::SCHEMA_OBJECTS_MAX {
        return Err(TableError {
            line: 0,
            problem: "no objects or too many",
        });
    }
    objects.sort_by(|a, b| a.path.cmp(&b.path));
    objects.shrink_to_fit();
    Ok(Schema {
        name: reader.name,
        objects,
    })
}

type Problem = &'static str;

#[derive(Default)]
struct Reader {
    name: Text,
    types: Vec<Arc<Type>>,
    objects: Vec<Arc<ObjectDef>>,
    object: Option<ObjectDef>,
}

impl Reader {
    fn line(&mut self, line: &'static str) -> Result<(), Problem> {
        let mut fields = Fields(line.split('\t'));
        match fields.next()? {
            "m" => self.name = Text::Borrowed(fields.next()?),
            "t" => self.types.push(Arc::new(read_type(&mut fields)?)),
            "o" => {
                self.finish_object();
                self.object = Some(read_object(&mut fields)?);
            }
            kind => self.member(kind, &mut fields)?,
        }
        Ok(())
    }

    fn member(&mut self, kind: &str, fields: &mut Fields) -> Result<(), Problem> {
        let types = &self.types;
        let object = self
            .object
            .as_mut()
            .ok_or("nothing before belongs to an object")?;
        match kind {
            "p" => object.params.push(read_param(fields, types)?),
            "c" => object.commands.push(read_command(fields)?),
            "e" => {
                let name = Text::Borrowed(fields.next()?);
                let since = since(fields)?;
                let status = facets(fields)?.status;
                object.events.push(EventDef {
                    name,
                    args: Vec::new(),
                    status,
                    since,
                });
            }
            "i" => object
                .commands
                .last_mut()
                .ok_or("no command before")?
                .inputs
                .push(read_arg(fields, types)?),
            "u" => object
                .commands
                .last_mut()
                .ok_or("no command before")?
                .outputs
                .push(read_arg(fields, types)?),
            "a" => object
                .events
                .last_mut()
                .ok_or("no event before")?
                .args
                .push(read_arg(fields, types)?),
            _ => return Err("unknown kind of line"),
        }
        Ok(())
    }

    fn finish_object(&mut self) {
        if let Some(mut object) = self.object.take() {
            object.params.shrink_to_fit();
            self.objects.push(Arc::new(object));
        }
    }
}

struct Fields(std::str::Split<'static, char>);

impl Fields {
    fn next(&mut self) -> Result<&'static str, Problem> {
        self.0.next().ok_or("too few fields")
    }
}

fn since(fields: &mut Fields) -> Result<Option<Text>, Problem> {
    let text = fields.next()?;
    Ok(if text.is_empty() {
        None
    } else {
        Some(Text::Borrowed(text))
    })
}

fn type_of(fields: &mut Fields, types: &[Arc<Type>]) -> Result<Arc<Type>, Problem> {
    let number: usize = fields
        .next()?
        .parse()
        .map_err(|_| "not the number of a type")?;
    types.get(number).cloned().ok_or("no such type")
}

fn read_object(fields: &mut Fields) -> Result<ObjectDef, Problem> {
    let mut object = ObjectDef::new(fields.next()?);
    object.access = match fields.next()? {
        "" | "readOnly" => ObjectAccess::ReadOnly,
        "readWrite" => ObjectAccess::AddDelete,
        "addOnly" => ObjectAccess::AddOnly,
        "deleteOnly" => ObjectAccess::DeleteOnly,
        _ => return Err("unknown access"),
    };
    object.since = since(fields)?;
    for (key, value) in split_facets(fields.next()?) {
        match key {
            "key" | "key(alias)" => {
                let params = value.split('+').map(Text::Borrowed).collect();
                object.unique_keys.push(UniqueKey {
                    params,
                    functional: key == "key",
                });
            }
            "entries" => {
                let (min, max) = value.split_once("..").ok_or("entries without ..")?;
                let min = if min == "None" { "0" } else { min };
                let max = if max == "unbounded" {
                    None
                } else {
                    Some(max.parse().map_err(|_| "bad entries")?)
                };
                object.entries = (min.parse().map_err(|_| "bad entries")?, max);
            }
            "numEntriesParameter" => object.entries_param = Some(Text::Borrowed(value)),
            "enableParameter" => object.enable_param = Some(Text::Borrowed(value)),
            "mountType" => object.mount_point = value == "mountPoint",
            "status" => object.status = status(value)?,
            _ => return Err("unknown facet of an object"),
        }
    }
    Ok(object)
}

fn read_param(fields: &mut Fields, types: &[Arc<Type>]) -> Result<ParamDef, Problem> {
    let name = Text::Borrowed(fields.next()?);
    let access = match fields.next()? {
        "" | "readOnly" => ParamAccess::ReadOnly,
        "readWrite" => ParamAccess::ReadWrite,
        "writeOnceReadOnly" => ParamAccess::WriteOnce,
        _ => return Err("unknown access"),
    };
    let ty = type_of(fields, types)?;
    let since = since(fields)?;
    let Facets {
        default,
        secured,
        hidden,
        command,
        notify,
        status,
        ..
    } = facets(fields)?;
    Ok(ParamDef {
        name,
        access,
        ty,
        default,
        secured,
        hidden,
        command,
        notify,
        status,
        since,
    })
}

fn read_command(fields: &mut Fields) -> Result<CommandDef, Problem> {
    let name = fields.next()?;
    let kind = match fields.next()? {
        "sync" => CommandKind::Sync,
        "async" => CommandKind::Async,
        _ => return Err("neither sync nor async"),
    };
    let since = since(fields)?;
    Ok(CommandDef {
        since,
        status: facets(fields)?.status,
        ..CommandDef::new(name, kind)
    })
}

fn read_arg(fields: &mut Fields, types: &[Arc<Type>]) -> Result<ArgDef, Problem> {
    let name = Text::Borrowed(fields.next()?);
    let ty = type_of(fields, types)?;
    let since = since(fields)?;
    let Facets {
        mandatory,
        default,
        status,
        ..
    } = facets(fields)?;
    Ok(ArgDef {
        name,
        ty,
        mandatory,
        default,
        status,
        since,
    })
}

/// Facets of parameters, arguments, commands and events that are not their type's.
#[derive(Default)]
struct Facets {
    default: Option<super::Default>,
    secured: bool,
    hidden: bool,
    command: bool,
    mandatory: bool,
    notify: NotifyRule,
    status: Status,
}

fn facets(fields: &mut Fields) -> Result<Facets, Problem> {
    let mut facets = Facets::default();
    for (key, value) in split_facets(fields.next()?) {
        match key {
            "secured" => facets.secured = true,
            "hidden" => facets.hidden = true,
            "command" => facets.command = true,
            "mandatory" => facets.mandatory = true,
            "status" => facets.status = status(value)?,
            "activeNotify" => {
                facets.notify = match value {
                    "canDeny" => NotifyRule::CanDeny,
                    "forceEnabled" => NotifyRule::ForceEnabled,
                    "forceDefaultEnabled" => NotifyRule::ForceDefaultEnabled,
                    _ => return Err("unknown activeNotify"),
                };
            }
            _ => {
                let kind = match key {
                    "default(object)" => DefaultKind::Object,
                    "default(factory)" => DefaultKind::Factory,
                    "default(implementation)" => DefaultKind::Implementation,
                    "default(parameter)" => DefaultKind::Parameter,
                    _ => return Err("unknown facet"),
                };
                facets.default = Some(super::Default {
                    kind,
                    value: Text::Borrowed(value),
                });
            }
        }
    }
    Ok(facets)
}

fn status(text: &str) -> Result<Status, Problem> {
    Ok(match text {
        "deprecated" => Status::Deprecated,
        "obsoleted" => Status::Obsoleted,
        "deleted" => Status::Deleted,
        _ => return Err("unknown status"),
    })
}

fn read_type(fields: &mut Fields) -> Result<Type, Problem> {
    let mut ty = Type::new(
        fields
            .next()?
            .parse::<BaseType>()
            .map_err(|_| "unknown base type")?,
    );
    for (key, value) in split_facets(fields.next()?) {
        match key {
            "list" => ty.list = Some(ListFacet::default()),
            "listsize" => ty
                .list
                .get_or_insert_default()
                .sizes
                .push(read_size(value)?),
            "size" => ty.sizes.push(read_size(value)?),
            "enum" => ty.enumeration.push(Text::Borrowed(value)),
            "range" => ty.ranges.push(read_range(value)?),
            "units" => ty.units = Some(Text::Borrowed(value)),
            "datatype" => ty.datatype = Some(Text::Borrowed(value)),
            "ref" => {
                ty.reference = Some(if value == "strong" {
                    Reference::Strong
                } else {
                    Reference::Weak
                })
            }
            _ => return Err("unknown facet of a type"),
        }
    }
    ty.enumeration.shrink_to_fit();
    Ok(ty)
}

fn read_size(text: &str) -> Result<Size, Problem> {
    let (min, max) = text.split_once("..").ok_or("a size without ..")?;
    let end = |text: &str| match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| "not a size"),
    };
    Ok(Size {
        min: end(min)?,
        max: end(max)?,
    })
}

fn read_range(text: &str) -> Result<Range, Problem> {
    let (min, max) = text.split_once("..").ok_or("a range without ..")?;
    let end = |text: &str| match text {
        "" => Ok(None),
        text => Decimal::parse(text).map(Some).ok_or("not a number"),
    };
    Ok(Range {
        min: end(min)?,
        max: end(max)?,
    })
}

fn split_facets(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let facets = text.split(';').filter(|facet| !facet.is_empty());
    facets.map(|facet| facet.split_once('=').unwrap_or((facet, "")))
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
