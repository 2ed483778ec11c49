//! Definitions of commands and events and their arguments.

use std::sync::Arc;

use super::def::{Default, Status, Text};
use crate::types::Type;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommandKind {
    /// Its result comes in the response.
    Sync,
    /// It runs on, with a row in the Request table.
    Async,
}

/// A command.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandDef {
    /// With its `()`.
    pub name: Text,
    /// How it ends.
    pub kind: CommandKind,
    /// What it takes.
    pub inputs: Vec<ArgDef>,
    /// What it gives.
    pub outputs: Vec<ArgDef>,
    /// How current it is.
    pub status: Status,
    /// Version of the model that brought it, if the table says.
    pub since: Option<Text>,
}

impl CommandDef {
    /// A command without arguments; `name` with its `()`.
    pub fn new(name: impl Into<Text>, kind: CommandKind) -> CommandDef {
        CommandDef {
            name: name.into(),
            kind,
            inputs: Vec::new(),
            outputs: Vec::new(),
            status: Status::Current,
            since: None,
        }
    }

    /// The same command with one more input.
    #[must_use]
    pub fn with_input(mut self, arg: ArgDef) -> CommandDef {
        self.inputs.push(arg);
        self
    }

    /// The same command with one more output.
    #[must_use]
    pub fn with_output(mut self, arg: ArgDef) -> CommandDef {
        self.outputs.push(arg);
        self
    }

    /// Without the `()`.
    pub fn bare_name(&self) -> &str {
        self.name.strip_suffix("()").unwrap_or(&self.name)
    }

    /// The input `name`, which may have instance numbers: `TimeWindow.1.Start` finds `TimeWindow.{i}.Start`.
    pub fn input(&self, name: &str) -> Option<&ArgDef> {
        find_arg(&self.inputs, name)
    }

    /// As [`CommandDef::input`], of the outputs.
    pub fn output(&self, name: &str) -> Option<&ArgDef> {
        find_arg(&self.outputs, name)
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub struct EventDef {
    /// With its `!`.
    pub name: Text,
    /// What it carries.
    pub args: Vec<ArgDef>,
    /// How current it is.
    pub status: Status,
    /// Version of the model that brought it, if the table says.
    pub since: Option<Text>,
}

impl EventDef {
    /// An event without arguments; `name` with its `!`.
    pub fn new(name: impl Into<Text>) -> EventDef {
        EventDef {
            name: name.into(),
            args: Vec::new(),
            status: Status::Current,
            since: None,
        }
    }

    /// The same event with one more argument.
    #[must_use]
    pub fn with_arg(mut self, arg: ArgDef) -> EventDef {
        self.args.push(arg);
        self
    }

    /// Without the `!`.
    pub fn bare_name(&self) -> &str {
        self.name.strip_suffix('!').unwrap_or(&self.name)
    }

    /// The argument `name`, which may have instance numbers.
    pub fn arg(&self, name: &str) -> Option<&ArgDef> {
        find_arg(&self.args, name)
    }
}

/// An argument of a command or event.
#[derive(Debug, Clone, PartialEq)]
pub struct ArgDef {
    /// Its name; those in argument objects as a path, `TimeWindow.{i}.Start`.
    pub name: Text,
    /// What it allows.
    pub ty: Arc<Type>,
    /// Must be given (R-OPR.5).
    pub mandatory: bool,
    /// Its default (R-OPR.7).
    pub default: Option<Default>,
    /// How current it is.
    pub status: Status,
    /// Version of the model that brought it, if the table says.
    pub since: Option<Text>,
}

impl ArgDef {
    /// An optional argument.
    pub fn new(name: impl Into<Text>, ty: impl Into<Type>) -> ArgDef {
        ArgDef {
            name: name.into(),
            ty: Arc::new(ty.into()),
            mandatory: false,
            default: None,
            status: Status::Current,
            since: None,
        }
    }

    /// The same argument, mandatory.
    #[must_use]
    pub fn mandatory(mut self) -> ArgDef {
        self.mandatory = true;
        self
    }
}

fn find_arg<'a>(args: &'a [ArgDef], name: &str) -> Option<&'a ArgDef> {
    let exact = args.iter().find(|arg| arg.name == name);
    exact.or_else(|| {
        let supported = crate::path::supported_text(name);
        args.iter().find(|arg| arg.name == supported)
    })
}
