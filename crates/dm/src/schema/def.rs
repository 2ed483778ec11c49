//! Definitions of objects and parameters; commands and events are next door.

use std::borrow::Cow;
use std::sync::Arc;

use super::operation::{CommandDef, EventDef};
use crate::types::Type;

/// A name or text: borrowed from the built-in tables, or owned where somebody declares objects of their own.
pub type Text = Cow<'static, str>;

/// Which rows of a table a controller may make and take away. Singles and tables that are read only: `ReadOnly`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ObjectAccess {
    /// Neither.
    #[default]
    ReadOnly,
    /// Both.
    AddDelete,
    /// Only add.
    AddOnly,
    /// Only delete.
    DeleteOnly,
}

impl ObjectAccess {
    /// Rows can be added.
    pub fn can_add(self) -> bool {
        matches!(self, ObjectAccess::AddDelete | ObjectAccess::AddOnly)
    }

    /// Rows can be deleted.
    pub fn can_delete(self) -> bool {
        matches!(self, ObjectAccess::AddDelete | ObjectAccess::DeleteOnly)
    }
}

/// Who may write a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ParamAccess {
    /// Only the device.
    #[default]
    ReadOnly,
    /// A controller, too.
    ReadWrite,
    /// A controller, but only while adding the object (writeOnceReadOnly). GetSupportedDM reports it as ReadWrite.
    WriteOnce,
}

/// Whether value changes of a parameter are notified (`activeNotify`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NotifyRule {
    /// When somebody subscribes.
    #[default]
    Normal,
    /// The device may refuse to (GetSupportedDM: VALUE_CHANGE_WILL_IGNORE is allowed).
    CanDeny,
    /// Always in CWMP's Inform.
    ForceEnabled,
    /// On by default in CWMP.
    ForceDefaultEnabled,
}

/// How current a definition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Status {
    /// In force.
    #[default]
    Current,
    /// Still there, to go.
    Deprecated,
    /// Out of use.
    Obsoleted,
    /// Gone; devices of older versions may still have it.
    Deleted,
}

/// When a default applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DefaultKind {
    /// When the object is created.
    Object,
    /// After a factory reset.
    Factory,
    /// The implementation's usual value.
    Implementation,
    /// For a command's argument that is not given (R-OPR.7).
    Parameter,
}

/// A default value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Default {
    /// When it applies.
    pub kind: DefaultKind,
    /// The value in lexical form.
    pub value: Text,
}

/// A set of parameters that together tell the rows of a table apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UniqueKey {
    /// Their names, relative to the row.
    pub params: Vec<Text>,
    /// A functional key has a meaning of its own and may change; a non-functional one (Alias, Name) never does
    /// (R-KEY.1, R-KEY.2).
    pub functional: bool,
}

/// An object or a table's row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ObjectDef {
    /// Supported path, `Device.WiFi.SSID.{i}.`.
    pub path: Text,
    /// Whether rows come and go by controllers.
    pub access: ObjectAccess,
    /// Has instances: the path ends in `{i}.`.
    pub multi: bool,
    /// Fewest and most rows; most is `None` when not limited.
    pub entries: (u32, Option<u32>),
    /// In the standard's order.
    pub params: Vec<ParamDef>,
    /// In the standard's order.
    pub commands: Vec<CommandDef>,
    /// In the standard's order.
    pub events: Vec<EventDef>,
    /// What tells rows apart; every one of them does.
    pub unique_keys: Vec<UniqueKey>,
    /// The parameter of the parent object that counts the rows.
    pub entries_param: Option<Text>,
    /// The parameter that switches a row on; unique keys hold among enabled rows only.
    pub enable_param: Option<Text>,
    /// Other data models may be mounted below.
    pub mount_point: bool,
    /// How current it is.
    pub status: Status,
    /// Version of the model that brought it, if the table says.
    pub since: Option<Text>,
}

impl ObjectDef {
    /// A read-only object; a table if `path` ends in `{i}.`.
    pub fn new(path: impl Into<Text>) -> ObjectDef {
        let path = path.into();
        let multi = path.ends_with(".{i}.");
        let entries = if multi { (0, None) } else { (1, Some(1)) };
        ObjectDef {
            path,
            multi,
            entries,
            ..ObjectDef::default()
        }
    }

    /// The same object with this access.
    #[must_use]
    pub fn access(mut self, access: ObjectAccess) -> ObjectDef {
        self.access = access;
        self
    }

    /// The same object with one more parameter.
    #[must_use]
    pub fn with_param(mut self, param: ParamDef) -> ObjectDef {
        self.params.push(param);
        self
    }

    /// The same object with one more command.
    #[must_use]
    pub fn with_command(mut self, command: CommandDef) -> ObjectDef {
        self.commands.push(command);
        self
    }

    /// The same object with one more event.
    #[must_use]
    pub fn with_event(mut self, event: EventDef) -> ObjectDef {
        self.events.push(event);
        self
    }

    /// The same table with one more unique key; `functional` as in [`UniqueKey`].
    #[must_use]
    pub fn with_key(mut self, params: &[&str], functional: bool) -> ObjectDef {
        let params = params
            .iter()
            .map(|name| Text::Owned((*name).to_owned()))
            .collect();
        self.unique_keys.push(UniqueKey { params, functional });
        self
    }

    /// The same table, its rows counted by this parameter of the parent object.
    #[must_use]
    pub fn counted_by(mut self, param: impl Into<Text>) -> ObjectDef {
        self.entries_param = Some(param.into());
        self
    }

    /// The parameter of this name.
    pub fn param(&self, name: &str) -> Option<&ParamDef> {
        self.params.iter().find(|param| param.name == name)
    }

    /// The command of this name, with or without `()`.
    pub fn command(&self, name: &str) -> Option<&CommandDef> {
        let bare = name.strip_suffix("()").unwrap_or(name);
        self.commands
            .iter()
            .find(|command| command.bare_name() == bare)
    }

    /// The event of this name, with or without `!`.
    pub fn event(&self, name: &str) -> Option<&EventDef> {
        let bare = name.strip_suffix('!').unwrap_or(name);
        self.events.iter().find(|event| event.bare_name() == bare)
    }

    /// The path of the table: `Device.WiFi.SSID.` for `Device.WiFi.SSID.{i}.`; the path itself for single objects.
    pub fn table_path(&self) -> &str {
        self.path.strip_suffix("{i}.").unwrap_or(&self.path)
    }

    /// The last name in the path.
    pub fn name(&self) -> &str {
        self.table_path()
            .trim_end_matches('.')
            .rsplit('.')
            .next()
            .unwrap_or_default()
    }

    /// The supported path of the object around; `None` for the root.
    pub fn parent_path(&self) -> Option<&str> {
        let own = self.table_path();
        own[..own.len().saturating_sub(1)]
            .rfind('.')
            .map(|dot| &own[..=dot])
    }

    /// `name` is part of a unique key.
    pub fn is_key(&self, name: &str) -> bool {
        self.unique_keys
            .iter()
            .any(|key| key.params.iter().any(|param| param == name))
    }
}

/// A parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamDef {
    /// Its name within the object.
    pub name: Text,
    /// Who may write it.
    pub access: ParamAccess,
    /// What it allows.
    pub ty: Arc<Type>,
    /// Its default.
    pub default: Option<Default>,
    /// Read as empty by those without the SecuredRole (passwords).
    pub secured: bool,
    /// Always read as empty (CWMP's passwords).
    pub hidden: bool,
    /// Writing it triggers something in CWMP and reading it says nothing.
    pub command: bool,
    /// Whether changes are notified.
    pub notify: NotifyRule,
    /// How current it is.
    pub status: Status,
    /// Version of the model that brought it, if the table says.
    pub since: Option<Text>,
}

impl ParamDef {
    /// A read-only parameter.
    pub fn new(name: impl Into<Text>, ty: impl Into<Type>) -> ParamDef {
        ParamDef {
            name: name.into(),
            access: ParamAccess::ReadOnly,
            ty: Arc::new(ty.into()),
            default: None,
            secured: false,
            hidden: false,
            command: false,
            notify: NotifyRule::Normal,
            status: Status::Current,
            since: None,
        }
    }

    /// The same parameter, writable.
    #[must_use]
    pub fn read_write(mut self) -> ParamDef {
        self.access = ParamAccess::ReadWrite;
        self
    }

    /// The same parameter, writable while the object is added.
    #[must_use]
    pub fn write_once(mut self) -> ParamDef {
        self.access = ParamAccess::WriteOnce;
        self
    }

    /// The same parameter as a secret.
    #[must_use]
    pub fn secured(mut self) -> ParamDef {
        self.secured = true;
        self
    }

    /// The same parameter, which the device may refuse to notify (counters).
    #[must_use]
    pub fn can_deny(mut self) -> ParamDef {
        self.notify = NotifyRule::CanDeny;
        self
    }

    /// The same parameter with this value when its object is created.
    #[must_use]
    pub fn default_value(mut self, value: impl Into<Text>) -> ParamDef {
        self.default = Some(Default {
            kind: DefaultKind::Object,
            value: value.into(),
        });
        self
    }

    /// The value when its object is created: the declared one, else the empty value of the type.
    pub fn initial_value(&self) -> &str {
        match &self.default {
            Some(Default {
                kind: DefaultKind::Object,
                value,
            }) => value,
            _ => {
                if self.ty.is_list() {
                    return "";
                }
                match self.ty.enumeration.first() {
                    Some(first) => first,
                    None => self.ty.base.empty_value(),
                }
            }
        }
    }
}
