//! Set, Add and Delete as transactions: a message is evaluated as a whole on the held state, checked, and taken back
//! entirely or per object (TR-369 R-SET.*, R-ADD.*, R-DEL.*, `allow_partial` and `required`).

use std::collections::BTreeMap;

use dm::{ParamAccess, ParamDef, Path, PathKind, ValueError};
use usp::proto::msg;
use usp::{ErrorCode, UspError};

use super::access::{Actor, Field, Right};
use super::paths::{list_items, row, split};
use super::state::Mark;
use super::{Engine, Filter, Held, Target};
use crate::limits::{CONTROLLERS_MAX, MESSAGE_OBJECTS_MAX, SUBSCRIPTIONS_MAX, TABLE_ROWS_MAX};
use crate::{Fault, Now};

/// Faults that only the check of the whole message found: (item, object, setting) must fail in the next round.
type Forced = BTreeMap<(usize, String, Option<usize>), Fault>;

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
        Failure { fault, params: Vec::new() }
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
    pub(crate) fn set(&mut self, now: Now, actor: &Actor, request: msg::Set) -> Result<msg::SetResp, UspError> {
        too_many(request.update_objs.len())?;
        let start = self.state.mark();
        let mut forced = Forced::new();
        let results = loop {
            let mut touched = Vec::new();
            let mut results = Vec::new();
            for (item, update) in request.update_objs.iter().enumerate() {
                let status = self.update(now, actor, item, update, request.allow_partial, &forced, &mut touched);
                match status {
                    Ok(oper_status) => results
                        .push(msg::UpdatedObjectResult { requested_path: update.obj_path.clone(), oper_status }),
                    Err(error) => {
                        self.state.rollback(start);
                        return Err(error);
                    }
                }
            }
            if !self.recheck(now, start, &touched, |n| &request.update_objs[n].param_settings, &mut forced) {
                break results;
            }
        };
        self.commit(now, actor.controller).map_err(to_error)?;
        let mut response = msg::SetResp { updated_obj_results: results };
        self.fill_updated_values(now, actor, &mut response);
        Ok(response)
    }

    #[expect(clippy::too_many_arguments, reason = "one step of the loop above")]
    fn update(
        &mut self,
        now: Now,
        actor: &Actor,
        item: usize,
        update: &msg::UpdateObject,
        allow_partial: bool,
        forced: &Forced,
        touched: &mut Vec<Touched>,
    ) -> Result<msg::UpdateStatus, UspError> {
        let failed = |fault: Fault| {
            if allow_partial {
                let (err_code, err_msg) = (fault.code, fault.message);
                Ok(msg::UpdateStatus::OperFailure(msg::UpdateFailure { err_code, err_msg, ..Default::default() }))
            } else {
                Err(refuse(&fault, [(update.obj_path.clone(), fault.clone())]))
            }
        };
        let objects = match self.writable_objects(now, actor, &update.obj_path) {
            Ok(objects) => objects,
            Err(fault) => return failed(fault),
        };
        let mark = self.state.mark();
        let mut done = Vec::new();
        let mut failures: Vec<(String, Failure)> = Vec::new();
        for object in objects {
            match self.assign_all(now, actor, item, &object, &update.param_settings, false, forced) {
                Ok(applied) => {
                    touched.push(Touched { item, object: object.clone(), created: false });
                    done.push((object, applied));
                }
                Err(failure) => failures.push((object, failure)),
            }
        }
        if failures.is_empty() {
            let updated_inst_results = done
                .into_iter()
                .map(|(affected_path, applied)| msg::UpdatedInstanceResult {
                    affected_path,
                    param_errs: applied.errors,
                    updated_params: applied.names.into_iter().map(|name| (name, "")).collect(),
                })
                .collect();
            return Ok(msg::UpdateStatus::OperSuccess(msg::UpdateSuccess { updated_inst_results }));
        }
        // R-SET.2a: one path is all or nothing, however many objects it matches.
        self.state.rollback(mark);
        touched.retain(|touched| touched.item != item);
        let fault = failures[0].1.fault.clone();
        if !allow_partial {
            let errors = failures.into_iter().flat_map(|(object, failure)| {
                let whole = failure.params.is_empty().then(|| (object.clone(), failure.fault));
                whole.into_iter().chain(failure.params.into_iter().map(move |(name, f)| (format!("{object}{name}"), f)))
            });
            return Err(refuse(&fault, errors));
        }
        let updated_inst_failures = failures
            .into_iter()
            .map(|(affected_path, failure)| msg::UpdatedInstanceFailure {
                affected_path,
                param_errs: failure.params.into_iter().map(|(name, fault)| parameter_error(name, fault)).collect(),
            })
            .collect();
        Ok(msg::UpdateStatus::OperFailure(msg::UpdateFailure {
            err_code: fault.code,
            err_msg: fault.message,
            updated_inst_failures,
        }))
    }

    /// R-SET.3: the values after the update, unreadable ones withheld.
    fn fill_updated_values(&self, now: Now, actor: &Actor, response: &mut msg::SetResp) {
        for result in &mut response.updated_obj_results {
            let msg::UpdateStatus::OperSuccess(success) = &mut result.oper_status else { continue };
            for instance in &mut success.updated_inst_results {
                let names: Vec<String> = instance.updated_params.iter().map(|(name, _)| name.to_owned()).collect();
                instance.updated_params = names
                    .into_iter()
                    .map(|name| {
                        let full = format!("{}{name}", instance.affected_path);
                        let readable = actor.allows(Field::Param, Right::Read, &full);
                        let value = if readable { self.value_for(now, actor, &full) } else { None };
                        (name, value.unwrap_or_default())
                    })
                    .collect();
            }
        }
    }

    pub(crate) fn add(&mut self, now: Now, actor: &Actor, request: msg::Add) -> Result<msg::AddResp, UspError> {
        too_many(request.create_objs.len())?;
        let start = self.state.mark();
        let mut forced = Forced::new();
        let mut results = loop {
            let mut touched = Vec::new();
            let mut results = Vec::new();
            for (item, create) in request.create_objs.iter().enumerate() {
                match self.create(now, actor, item, create, request.allow_partial, &forced, &mut touched) {
                    Ok(statuses) => results.extend(statuses.into_iter().map(|oper_status| msg::CreatedObjectResult {
                        requested_path: create.obj_path.clone(),
                        oper_status,
                    })),
                    Err(error) => {
                        self.state.rollback(start);
                        return Err(error);
                    }
                }
            }
            if !self.recheck(now, start, &touched, |n| &request.create_objs[n].param_settings, &mut forced) {
                break results;
            }
        };
        self.commit(now, actor.controller).map_err(to_error)?;
        for result in &mut results {
            if let msg::CreateStatus::OperSuccess(success) = &mut result.oper_status {
                success.unique_keys = self.keys_for(now, actor, &success.instantiated_path);
            }
        }
        Ok(msg::AddResp { created_obj_results: results })
    }

    #[expect(clippy::too_many_arguments, reason = "one step of the loop above")]
    fn create(
        &mut self,
        now: Now,
        actor: &Actor,
        item: usize,
        create: &msg::CreateObject,
        allow_partial: bool,
        forced: &Forced,
        touched: &mut Vec<Touched>,
    ) -> Result<Vec<msg::CreateStatus>, UspError> {
        let failure = |fault: Fault| {
            msg::CreateStatus::OperFailure(msg::OperationFailure { err_code: fault.code, err_msg: fault.message })
        };
        let tables = match self.creatable_tables(now, actor, &create.obj_path) {
            Ok(tables) => tables,
            Err(fault) if allow_partial => return Ok(vec![failure(fault)]),
            Err(fault) => return Err(refuse(&fault, [(create.obj_path.clone(), fault.clone())])),
        };
        let mut out = Vec::new();
        for table in tables {
            let mark = self.state.mark();
            match self.create_row(now, actor, item, &table, create, forced) {
                Ok((object, applied)) => {
                    touched.push(Touched { item, object: object.clone(), created: true });
                    out.push(msg::CreateStatus::OperSuccess(msg::CreateSuccess {
                        instantiated_path: object,
                        param_errs: applied.errors,
                        ..Default::default()
                    }));
                }
                Err(Failure { fault, params }) => {
                    self.state.rollback(mark);
                    if !allow_partial {
                        let whole = params.is_empty().then(|| (table.clone(), fault.clone()));
                        let params = params.into_iter().map(|(name, fault)| (format!("{table}{name}"), fault));
                        return Err(refuse(&fault, whole.into_iter().chain(params))); // R-ADD.2a
                    }
                    out.push(failure(fault));
                }
            }
        }
        Ok(out)
    }

    fn create_row(
        &mut self,
        now: Now,
        actor: &Actor,
        item: usize,
        table: &str,
        create: &msg::CreateObject,
        forced: &Forced,
    ) -> Result<(String, Applied), Failure> {
        if !actor.allows(Field::Obj, Right::Write, table) {
            return Err(Fault::permission_denied(format!("your role may not add rows to {table}")).into());
        }
        let most = match table {
            "Device.LocalAgent.Subscription." => SUBSCRIPTIONS_MAX,
            "Device.LocalAgent.Controller." => CONTROLLERS_MAX,
            _ => TABLE_ROWS_MAX,
        };
        let entries_max = self.table_def(table).and_then(|def| def.entries.1).map_or(most, |n| most.min(n as usize));
        if self.state.count(table) >= entries_max {
            return Err(Fault::resources_exceeded(format!("{table} has its {entries_max} rows already")).into());
        }
        let number = self.state.insert(table, None);
        let object = format!("{table}{number}.");
        if let Some(fault) = forced.get(&(item, object.clone(), None)) {
            return Err(fault.clone().into());
        }
        self.local_created(now, actor, table, &object);
        let applied = self.assign_all(now, actor, item, &object, &create.param_settings, true, forced)?;
        self.invent_keys(now, &object, number);
        Ok((object, applied))
    }

    /// R-ADD.5: keys nobody gave are made up.
    fn invent_keys(&mut self, now: Now, object: &str, number: u32) {
        let Some((table, _)) = row(object) else { return };
        let Some(def) = self.object_def(object) else { return };
        let keys: Vec<(String, std::sync::Arc<dm::Type>)> = def
            .unique_keys
            .iter()
            .flat_map(|key| &key.params)
            .filter_map(|name| def.param(name))
            .filter(|param| param.ty.reference.is_none() && param.ty.enumeration.is_empty())
            .map(|param| (param.name.to_string(), param.ty.clone()))
            .collect();
        for (name, ty) in keys {
            let full = format!("{object}{name}");
            if self.state.value(&full).is_some() {
                continue;
            }
            let others: Vec<String> =
                self.rows(now, table).iter().filter(|row| *row != object).map(|row| self.held(&format!("{row}{name}"))).collect();
            let invented = if ty.base.is_number() {
                let largest = others.iter().filter_map(|value| value.parse::<u64>().ok()).max();
                largest.map_or(0, |n| n.saturating_add(1)).to_string()
            } else if name == "EndpointID" {
                format!("self::controller-{number}")
            } else if ty.base == dm::BaseType::String {
                let prefix = if name == "Alias" { "cpe" } else { "auto" };
                let mut candidates = (0..).map(|n| if n == 0 { format!("{prefix}-{number}") } else { format!("{prefix}-{number}-{n}") });
                candidates.find(|candidate| !others.contains(candidate)).unwrap_or_default()
            } else {
                continue;
            };
            self.state.set(&full, &invented);
        }
    }

    /// The existing objects a Set means.
    fn writable_objects(&self, now: Now, actor: &Actor, requested: &str) -> Result<Vec<String>, Fault> {
        let path = self.object_path(requested)?;
        match self.target(now, actor, Filter::None, &path)? {
            Target::Tables(_) => Err(Fault::object_does_not_exist(format!("{path} is a table: name a row of it, or all with *"))),
            Target::Objects(objects) if objects.is_empty() && !path.is_search() => {
                Err(Fault::object_does_not_exist(format!("{path} does not exist")))
            }
            Target::Objects(objects) => Ok(objects),
        }
    }

    fn creatable_tables(&self, now: Now, actor: &Actor, requested: &str) -> Result<Vec<String>, Fault> {
        let path = self.object_path(requested)?;
        let Target::Tables(tables) = self.target(now, actor, Filter::None, &path)? else {
            return Err(Fault::not_a_table(format!("{path} is not a table")));
        };
        let access = self.table_def(&path.supported()).map(|def| def.access).unwrap_or_default();
        if !access.can_add() || self.is_backend_table(&tables) {
            return Err(Fault::not_creatable(format!("rows of {path} come and go by the device itself")));
        }
        if tables.is_empty() && !path.is_search() {
            return Err(Fault::object_does_not_exist(format!("{path} does not exist")));
        }
        Ok(tables)
    }

    fn is_backend_table(&self, tables: &[String]) -> bool {
        tables.iter().any(|table| !table.starts_with("Device.LocalAgent.") && self.backend.instances(table).is_some())
    }

    fn object_path(&self, requested: &str) -> Result<Path, Fault> {
        let path = self.parse(requested)?;
        if path.kind() != PathKind::Object || path.is_template() {
            return Err(Fault::invalid_path(format!("{path} does not name an object of this device")));
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
            let is_key = || creating && self.object_def(object).is_some_and(|def| def.is_key(&setting.param));
            match result {
                Ok(()) => applied.names.push(setting.param.clone()),
                Err(fault) if setting.required || is_key() => failed.push((setting.param.clone(), fault)),
                Err(fault) => applied.errors.push(parameter_error(setting.param.clone(), fault)),
            }
        }
        match failed.first() {
            None => Ok(applied),
            Some((name, fault)) => {
                let fault = Fault { code: fault.code, message: format!("{name}: {}", fault.message) };
                Err(Failure { fault, params: failed })
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
        let unsupported = || Fault::unsupported_parameter(format!("{full} is not in the supported data model"));
        let (owner, last) = split(&full);
        let def = self.object_def(owner).ok_or_else(unsupported)?;
        let param = def.param(last).ok_or_else(unsupported)?;
        if !self.exists(now, owner) {
            return Err(Fault::object_does_not_exist(format!("{owner} does not exist")));
        }
        if !actor.allows(Field::Param, Right::Write, &full) {
            return Err(Fault::permission_denied(format!("your role may not write {full}")));
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
            && def.unique_keys.iter().any(|key| !key.functional && key.params.iter().any(|param| param == last));
        if fixed {
            return Err(Fault::not_writable(format!("{full} is a unique key and cannot change; delete and add the row")));
        }
        let normal = check_value(param, value)?;
        let normal = match param.ty.reference {
            Some(dm::Reference::Strong) => self.references(now, param, &normal)?,
            _ => normal,
        };
        self.local_value_check(&full, &normal)?;
        self.state.set(&full, &normal);
        Ok(())
    }

    /// Strong references name existing things, by instance number (R-ARC.11, R-ARC.12).
    fn references(&self, now: Now, param: &ParamDef, value: &str) -> Result<String, Fault> {
        let actor = Actor::agent();
        let mut out = Vec::new();
        for item in list_items(value) {
            let dotted = if item.ends_with('.') { item.to_owned() } else { format!("{item}.") };
            let missing = || Fault::invalid_value(format!("{item} does not exist, so nothing can refer to it"));
            let path = Path::parse(&dotted).map_err(|_| missing())?;
            match self.target(now, &actor, Filter::None, &path) {
                Ok(Target::Objects(found)) if found.len() == 1 => out.push(found[0].trim_end_matches('.').to_owned()),
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
        for Touched { item, object, created } in touched {
            let Err((name, fault)) = self.check_object(now, object, *created) else { continue };
            let setting = name.and_then(|name| settings(*item).iter().rposition(|setting| setting.param == name));
            let key = (*item, object.clone(), setting);
            // The same fault again although the setting was left out: the object as a whole is at fault.
            let key = if forced.contains_key(&key) { (*item, object.clone(), None) } else { key };
            forced.insert(key, fault);
            found = true;
        }
        if found {
            self.state.rollback(start);
        }
        found
    }

    fn check_object(&self, now: Now, object: &str, created: bool) -> Result<(), (Option<String>, Fault)> {
        if let Some((table, _)) = row(object)
            && let Some(def) = self.object_def(object)
        {
            for key in &def.unique_keys {
                if !created && !key.functional {
                    continue;
                }
                let read = |row: &str| -> Vec<String> {
                    key.params.iter().map(|name| self.value(now, &format!("{row}{name}")).unwrap_or_default()).collect()
                };
                let own = read(object);
                if own.iter().all(String::is_empty) {
                    continue;
                }
                let twin = self.rows(now, table).into_iter().find(|row| row != object && read(row) == own);
                if let Some(twin) = twin {
                    let text = format!("{} of {twin} is the same, but must be unique", key.params.join(" and "));
                    let name = key.params.last().map(ToString::to_string);
                    return Err((name, Fault::duplicate_key(text)));
                }
            }
        }
        match object.starts_with("Device.LocalAgent.") {
            true => self.local_check(object),
            false => self.backend.check(object, &Held { schema: &self.schema, state: &self.state }),
        }
    }

    pub(crate) fn delete(&mut self, now: Now, actor: &Actor, request: msg::Delete) -> Result<msg::DeleteResp, UspError> {
        too_many(request.obj_paths.len())?;
        let start = self.state.mark();
        let mut results = Vec::new();
        for requested_path in request.obj_paths {
            match self.delete_path(now, actor, &requested_path, request.allow_partial) {
                Ok(success) => results.push(msg::DeletedObjectResult {
                    requested_path,
                    oper_status: msg::DeleteStatus::OperSuccess(success),
                }),
                Err((_, fault)) if request.allow_partial => results.push(msg::DeletedObjectResult {
                    requested_path,
                    oper_status: msg::DeleteStatus::OperFailure(msg::OperationFailure {
                        err_code: fault.code,
                        err_msg: fault.message,
                    }),
                }),
                Err((path, fault)) => {
                    self.state.rollback(start);
                    return Err(refuse(&fault.clone(), [(path, fault)]));
                }
            }
        }
        self.commit(now, actor.controller).map_err(to_error)?;
        Ok(msg::DeleteResp { deleted_obj_results: results })
    }

    fn delete_path(
        &mut self,
        now: Now,
        actor: &Actor,
        requested: &str,
        allow_partial: bool,
    ) -> Result<msg::DeleteSuccess, (String, Fault)> {
        let here = |fault| (requested.to_owned(), fault);
        let path = self.object_path(requested).map_err(here)?;
        let objects = match self.target(now, actor, Filter::None, &path).map_err(here)? {
            Target::Objects(objects) => objects,
            Target::Tables(_) => {
                return Err(here(Fault::delete_failure(format!("{path} is a table: name a row of it, or all with *"))));
            }
        };
        let searching = path.is_search();
        let supported = path.supported();
        let mut success = msg::DeleteSuccess::default();
        if objects.is_empty() && !supported.ends_with("{i}.") && !path.follows() {
            return Err(here(Fault::not_a_table(format!("{path} is not a row of a table"))));
        }
        for object in objects {
            let result = self.deletable(actor, &object);
            match result {
                Ok((table, number)) => {
                    self.state.remove(&table, number);
                    success.affected_paths.push(object);
                }
                Err(fault) if searching && allow_partial => success.unaffected_path_errs.push(msg::UnaffectedPathError {
                    unaffected_path: object,
                    err_code: fault.code,
                    err_msg: fault.message,
                }),
                Err(fault) => return Err((object, fault)),
            }
        }
        Ok(success)
    }

    fn deletable(&self, actor: &Actor, object: &str) -> Result<(String, u32), Fault> {
        let Some((table, number)) = row(object) else {
            return Err(Fault::not_a_table(format!("{object} is not a row of a table")));
        };
        if !actor.allows(Field::InstantiatedObj, Right::Write, object) {
            return Err(Fault::permission_denied(format!("your role may not delete {object}")));
        }
        let access = self.table_def(table).map(|def| def.access).unwrap_or_default();
        if !access.can_delete() || !self.state.exists(table, number) {
            return Err(Fault::delete_failure(format!("{object} belongs to the device itself")));
        }
        Ok((table.to_owned(), number))
    }
}

fn parameter_error(param: String, fault: Fault) -> msg::ParameterError {
    msg::ParameterError { param, err_code: fault.code, err_msg: fault.message }
}

/// Type, range, list and pattern; returns the normal form.
pub(crate) fn check_value(param: &ParamDef, value: &str) -> Result<String, Fault> {
    param.ty.check(value).map_err(|error| match error {
        ValueError::Lexical { .. } => Fault::invalid_type(error),
        _ => Fault::invalid_value(error),
    })?;
    // An alias starts with a letter (TR-106 Alias; TP-469 1.88).
    if param.name == "Alias" && !value.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(Fault::invalid_value(format!("{value:?} is not an alias: it must start with a letter")));
    }
    param.ty.normalise(value).map_err(Fault::invalid_value)
}
