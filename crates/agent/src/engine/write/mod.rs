//! What Set, Add and Delete share: settings of one object, checks of the whole message, and the rounds of evaluation
//! until what must fail has failed (TR-369 `allow_partial` and `required`).

mod add;
mod delete;
mod set;

use std::collections::{BTreeMap, HashMap};

use dm::{ParamAccess, ParamDef, Path, PathKind, ValueError};
use usp::proto::msg;
use usp::{ErrorCode, UspError};

use super::access::{Actor, Field, Right};
use super::paths::{list_items, row, split};
use super::state::Mark;
use super::{Engine, Filter, Held, Target};
use crate::limits::{MESSAGE_OBJECTS_MAX, STATE_BYTES_MAX};
use crate::{Fault, Now};

/// Faults that only the check of the whole message found: (item, object, setting) must fail in the next round.
type Forced = BTreeMap<(usize, String, Option<usize>), Fault>;

/// The rows of a table by the values of one of its unique keys, by (table, number of the key).
type Keys = HashMap<(String, usize), HashMap<Vec<String>, Vec<String>>>;

/// What is wrong with an object, and the parameter at fault when there is one.
type Wrong = (Option<String>, Fault);

/// An object a message changes.
struct Touched {
    item: usize,
    object: String,
    created: bool,
}

/// What became of the settings of one object.
#[derive(Default)]
struct Applied {
    names: Vec<String>,
    errors: Vec<msg::ParameterError>,
}

/// Why an object of a message failed.
struct Failure {
    fault: Fault,
    /// Relative name and fault of each required parameter that failed.
    params: Vec<(String, Fault)>,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        Failure {
            fault,
            params: Vec::new(),
        }
    }
}

/// The Error message of a Set, Add or Delete without `allow_partial`.
fn refuse(fault: &Fault, at: impl IntoIterator<Item = (String, Fault)>) -> UspError {
    let mut error = UspError::new(ErrorCode(fault.code), fault.message.clone());
    for (path, fault) in at {
        error = error.at(path, ErrorCode(fault.code), fault.message);
    }
    error
}

fn to_error(fault: Fault) -> UspError {
    UspError::new(ErrorCode(fault.code), fault.message)
}

fn too_many(count: usize) -> Result<(), UspError> {
    if count > MESSAGE_OBJECTS_MAX {
        let text = format!("{count} objects in one message; at most {MESSAGE_OBJECTS_MAX}");
        return Err(to_error(Fault::resources_exceeded(text)));
    }
    Ok(())
}

impl Engine {
    fn object_path(&self, requested: &str) -> Result<Path, Fault> {
        let path = self.parse(requested)?;
        if path.kind() != PathKind::Object || path.is_template() {
            return Err(Fault::invalid_path(format!(
                "{path} does not name an object of this device"
            )));
        }
        self.supported(&path)?;
        Ok(path)
    }

    /// Applies the settings of one object. A failing setting fails the object only when it is required, or part of a
    /// unique key of a new row (TP-469 1.88).
    #[expect(clippy::too_many_arguments, reason = "shared by Set and Add")]
    fn assign_all(
        &mut self,
        now: Now,
        actor: &Actor,
        item: usize,
        object: &str,
        settings: &[msg::ParamSetting],
        creating: bool,
        forced: &Forced,
    ) -> Result<Applied, Failure> {
        if let Some(fault) = forced.get(&(item, object.to_owned(), None)) {
            return Err(fault.clone().into());
        }
        let mut applied = Applied::default();
        let mut failed = Vec::new();
        for (n, setting) in settings.iter().enumerate() {
            let result = match forced.get(&(item, object.to_owned(), Some(n))) {
                Some(fault) => Err(fault.clone()),
                None => self.assign(now, actor, object, &setting.param, &setting.value, creating),
            };
            let is_key = || {
                creating
                    && self
                        .object_def(object)
                        .is_some_and(|def| def.is_key(&setting.param))
            };
            match result {
                Ok(()) => applied.names.push(setting.param.clone()),
                Err(fault) if setting.required || is_key() => {
                    failed.push((setting.param.clone(), fault))
                }
                Err(fault) => applied
                    .errors
                    .push(parameter_error(setting.param.clone(), fault)),
            }
        }
        match failed.first() {
            None => Ok(applied),
            Some((name, fault)) => {
                let fault = Fault {
                    code: fault.code,
                    message: format!("{name}: {}", fault.message),
                };
                Err(Failure {
                    fault,
                    params: failed,
                })
            }
        }
    }

    /// Sets one parameter of an object after all the checks that need nothing but itself.
    pub(crate) fn assign(
        &mut self,
        now: Now,
        actor: &Actor,
        object: &str,
        name: &str,
        value: &str,
        creating: bool,
    ) -> Result<(), Fault> {
        let full = format!("{object}{name}");
        let unsupported =
            || Fault::unsupported_parameter(format!("{full} is not in the supported data model"));
        let (owner, last) = split(&full);
        let def = self.object_def(owner).ok_or_else(unsupported)?;
        let param = def.param(last).ok_or_else(unsupported)?;
        if !self.exists(now, owner) {
            return Err(Fault::object_does_not_exist(format!(
                "{owner} does not exist"
            )));
        }
        if !actor.allows(Field::Param, Right::Write, &full) {
            return Err(Fault::permission_denied(format!(
                "your role may not write {full}"
            )));
        }
        let writable = match param.access {
            ParamAccess::ReadOnly => false,
            ParamAccess::ReadWrite => true,
            ParamAccess::WriteOnce => creating && owner == object,
        };
        if !writable {
            return Err(Fault::not_writable(format!("{full} cannot be written")));
        }
        // R-KEY.1: non-functional keys never change.
        let fixed = !creating
            && def
                .unique_keys
                .iter()
                .any(|key| !key.functional && key.params.iter().any(|param| param == last));
        if fixed {
            return Err(Fault::not_writable(format!(
                "{full} is a unique key and cannot change; delete and add the row"
            )));
        }
        let normal = check_value(param, value)?;
        let normal = match param.ty.reference {
            Some(dm::Reference::Strong) => self.references(now, param, &normal)?,
            _ => normal,
        };
        self.local_value_check(&full, &normal)?;
        let before = self.state.value(&full);
        let freed = before.map_or(0, |value| full.len() + value.len());
        self.has_room((full.len() + normal.len()).saturating_sub(freed))?;
        self.state.set(&full, &normal);
        Ok(())
    }

    /// Is there room for that many more bytes of state?
    fn has_room(&self, bytes: usize) -> Result<(), Fault> {
        if bytes == 0 || self.state.bytes() + bytes <= STATE_BYTES_MAX {
            return Ok(());
        }
        Err(Fault::resources_exceeded(format!(
            "the device keeps at most STATE_BYTES_MAX ({STATE_BYTES_MAX}) bytes of configuration"
        )))
    }

    /// Strong references name existing things, by instance number (R-ARC.11, R-ARC.12).
    fn references(&self, now: Now, param: &ParamDef, value: &str) -> Result<String, Fault> {
        let actor = Actor::agent();
        let mut out = Vec::new();
        for item in list_items(value) {
            let dotted = if item.ends_with('.') {
                item.to_owned()
            } else {
                format!("{item}.")
            };
            let missing = || {
                Fault::invalid_value(format!("{item} does not exist, so nothing can refer to it"))
            };
            let path = Path::parse(&dotted).map_err(|_| missing())?;
            match self.target(now, &actor, Filter::None, &path) {
                Ok(Target::Objects(found)) if found.len() == 1 => {
                    out.push(found[0].trim_end_matches('.').to_owned())
                }
                _ if self.value(now, item).is_some() => out.push(item.to_owned()),
                _ => return Err(missing()),
            }
        }
        if !param.ty.is_list() && out.len() > 1 {
            return Err(Fault::invalid_value("refers to more than one thing"));
        }
        Ok(out.join(","))
    }

    /// Checks what only the whole message shows: unique keys, and the back end's opinion. When something is found, takes
    /// everything back, notes what must fail and returns `true`: evaluate again.
    fn recheck<'a>(
        &mut self,
        now: Now,
        start: Mark,
        touched: &[Touched],
        settings: impl Fn(usize) -> &'a Vec<msg::ParamSetting>,
        forced: &mut Forced,
    ) -> bool {
        let mut found = false;
        let mut keys = Keys::default();
        let order: HashMap<&str, usize> = touched
            .iter()
            .enumerate()
            .map(|(n, touched)| (touched.object.as_str(), n))
            .collect();
        for (
            n,
            Touched {
                item,
                object,
                created,
            },
        ) in touched.iter().enumerate()
        {
            // Of two rows of this message that are alike, the later is the one too many.
            let before = |twin: &str| order.get(twin).is_none_or(|at| *at < n);
            let unique = self.check_keys(now, object, *created, &mut keys, before);
            let Err((name, fault)) = unique.and_then(|()| self.check_object(object)) else {
                continue;
            };
            let setting = name.and_then(|name| {
                settings(*item)
                    .iter()
                    .rposition(|setting| setting.param == name)
            });
            let key = (*item, object.clone(), setting);
            // The same fault again although the setting was left out: the object as a whole is at fault.
            let key = if forced.contains_key(&key) {
                (*item, object.clone(), None)
            } else {
                key
            };
            forced.insert(key, fault);
            found = true;
        }
        if found {
            self.state.rollback(start);
        }
        found
    }

    /// Is every unique key of the row its own? `before` tells which of its twins count.
    fn check_keys(
        &self,
        now: Now,
        object: &str,
        created: bool,
        keys: &mut Keys,
        before: impl Fn(&str) -> bool,
    ) -> Result<(), Wrong> {
        let Some((table, _)) = row(object) else {
            return Ok(());
        };
        let Some(def) = self.object_def(object) else {
            return Ok(());
        };
        // A functional key holds among the rows that are switched on (TR-106, enableParameter).
        let enabled = |row: &str| {
            let switch = def.enable_param.as_ref();
            let value = switch.and_then(|name| self.value(now, &format!("{row}{name}")));
            value.is_none_or(|value| value == "true")
        };
        for (n, key) in def.unique_keys.iter().enumerate() {
            if !created && !key.functional || key.functional && !enabled(object) {
                continue;
            }
            let read = |row: &str| -> Vec<String> {
                let value = |name| self.value(now, &format!("{row}{name}")).unwrap_or_default();
                key.params.iter().map(value).collect()
            };
            let own = read(object);
            if own.iter().all(String::is_empty) {
                continue;
            }
            let rows = keys.entry((table.to_owned(), n)).or_insert_with(|| {
                let mut rows: HashMap<Vec<String>, Vec<String>> = HashMap::new();
                for row in self.rows(now, table) {
                    if !key.functional || enabled(&row) {
                        rows.entry(read(&row)).or_default().push(row);
                    }
                }
                rows
            });
            let twins = rows.get(&own).into_iter().flatten();
            if let Some(twin) = twins
                .into_iter()
                .find(|twin| *twin != object && before(twin))
            {
                let names = key.params.join(" and ");
                let text = format!("{names} of {twin} is the same, but must be unique");
                return Err((
                    key.params.last().map(ToString::to_string),
                    Fault::duplicate_key(text),
                ));
            }
        }
        Ok(())
    }

    fn check_object(&self, object: &str) -> Result<(), Wrong> {
        match object.starts_with("Device.LocalAgent.") {
            true => self.local_check(object),
            false => self.backend.check(
                object,
                &Held {
                    schema: &self.schema,
                    state: &self.state,
                },
            ),
        }
    }
}

fn parameter_error(param: String, fault: Fault) -> msg::ParameterError {
    msg::ParameterError {
        param,
        err_code: fault.code,
        err_msg: fault.message,
    }
}

/// Type, range, list and pattern; returns the normal form.
pub(crate) fn check_value(param: &ParamDef, value: &str) -> Result<String, Fault> {
    param.ty.check(value).map_err(|error| match error {
        ValueError::Lexical { .. } => Fault::invalid_type(error),
        _ => Fault::invalid_value(error),
    })?;
    // An alias starts with a letter (TR-106 Alias; TP-469 1.88).
    if param.name == "Alias" && !value.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(Fault::invalid_value(format!(
            "{value:?} is not an alias: it must start with a letter"
        )));
    }
    param.ty.normalise(value).map_err(Fault::invalid_value)
}
