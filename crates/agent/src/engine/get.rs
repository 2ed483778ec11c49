//! Get (R-GET.0 to R-GET.4) and GetInstances (R-GIN.0, R-GIN.1).

use dm::{ObjectDef, ParamDef, Path, PathKind};
use usp::Map;
use usp::proto::msg;

use super::access::{Actor, Field, Right};
use super::paths::{row, split};
use super::values::At;
use super::{Engine, Filter, Target};
use crate::limits::{ANSWER_VALUES_MAX, MESSAGE_PATHS_MAX};
use crate::{Fault, Now};

/// Room for the name and value of an ordinary parameter.
const PARAM_BYTES: usize = 32;

impl Engine {
    pub(crate) fn get(
        &self,
        now: Now,
        actor: &Actor,
        request: msg::Get,
    ) -> Result<msg::GetResp, Fault> {
        too_many_paths(request.param_paths.len())?;
        let depth = if request.max_depth == 0 {
            u32::MAX
        } else {
            request.max_depth
        };
        let mut budget = ANSWER_VALUES_MAX;
        let results = request.param_paths.into_iter().map(|requested_path| {
            match self.get_path(now, actor, &requested_path, depth, &mut budget) {
                Ok(resolved_path_results) => msg::RequestedPathResult {
                    requested_path,
                    resolved_path_results,
                    ..Default::default()
                },
                Err(fault) => msg::RequestedPathResult {
                    requested_path,
                    err_code: fault.code,
                    err_msg: fault.message,
                    ..Default::default()
                },
            }
        });
        Ok(msg::GetResp {
            req_path_results: results.collect(),
        })
    }

    fn get_path(
        &self,
        now: Now,
        actor: &Actor,
        requested: &str,
        depth: u32,
        budget: &mut usize,
    ) -> Result<Vec<msg::ResolvedPathResult>, Fault> {
        let mut out = Vec::new();
        let (object, name) = split(requested);
        if let Some(def) = self.plain_object(now, actor, object) {
            if name.is_empty() {
                self.walk(now, actor, object, def, depth, budget, &mut out)?;
                return Ok(out);
            }
            if let Some(param) = def.param(name) {
                spend(budget, 1)?;
                let one = self.get_one(now, actor, &self.at(object, def), param, requested);
                return Ok(vec![one]);
            }
        }
        let path = self.parse(requested)?;
        match path.kind() {
            PathKind::Command | PathKind::Event => {
                return Err(Fault::invalid_path(format!(
                    "{path} has no value: only objects and parameters can be read"
                )));
            }
            PathKind::Parameter => {
                self.supported(&path)?;
                let name = path.name();
                let Some(parent) = path.parent() else {
                    return Err(no_such(&path));
                };
                let Target::Objects(objects) = self.target(now, actor, Filter::Obj, &parent)?
                else {
                    return Err(no_such(&path));
                };
                if objects.is_empty() && !path.is_search() {
                    return Err(no_such(&path)); // R-GET.0
                }
                for object in objects {
                    let full = format!("{object}{name}");
                    let mut result = msg::ResolvedPathResult {
                        resolved_path: object,
                        ..Default::default()
                    };
                    // R-GET.4: a parameter that may not be read is left out.
                    if actor.allows(Field::Param, Right::Read, &full) {
                        if let Some(value) = self.value_for(now, actor, &full) {
                            spend(budget, 1)?;
                            result.result_params.insert(name, value);
                        } else if path.follows() {
                            continue;
                        }
                    }
                    out.push(result);
                }
            }
            PathKind::Object => {
                self.supported(&path)?;
                match self.target(now, actor, Filter::Obj, &path)? {
                    Target::Objects(objects) => {
                        if objects.is_empty() && !path.is_search() {
                            return Err(no_such(&path)); // R-GET.0
                        }
                        for object in objects {
                            let Some(def) = self.object_def(&object) else {
                                continue;
                            };
                            self.walk(now, actor, &object, def, depth, budget, &mut out)?;
                        }
                    }
                    // R-GET.1b: an empty table is an empty list.
                    Target::Tables(tables) => {
                        if tables.is_empty() && !path.is_search() {
                            return Err(no_such(&path));
                        }
                        for table in tables {
                            let Some(def) = self.table_def(&table) else {
                                continue;
                            };
                            for row in self.rows(now, &table) {
                                self.walk(now, actor, &row, def, depth, budget, &mut out)?;
                            }
                        }
                    }
                }
            }
        }
        Ok(out)
    }

    /// An existing object by its numbers, which most of what is ever asked for is: no parsing, no search. `None`: it takes
    /// a closer look, if only to say what is wrong.
    fn plain_object(&self, now: Now, actor: &Actor, object: &str) -> Option<&ObjectDef> {
        // Not a path of the supported model, and no number in a form that is not ours.
        if object.contains('{') || object.contains(".0") {
            return None;
        }
        let def = self.object_def(object)?;
        let is_table = def.multi && row(object).is_none();
        let exists = !is_table && self.has_rows(now, object);
        (exists && actor.allows(Field::Obj, Right::Read, object)).then_some(def)
    }

    fn get_one(
        &self,
        now: Now,
        actor: &Actor,
        at: &At<'_>,
        param: &ParamDef,
        full: &str,
    ) -> msg::ResolvedPathResult {
        let mut result_params = Map::new();
        // R-GET.4: a parameter that may not be read is left out.
        if actor.allows(Field::Param, Right::Read, full) {
            result_params.push(&param.name, &self.value_of_for(now, actor, at, param, full));
        }
        msg::ResolvedPathResult {
            resolved_path: at.object.to_owned(),
            result_params,
        }
    }

    /// The object and, while `depth` allows, everything below it.
    #[expect(clippy::too_many_arguments, reason = "one step of a recursion")]
    fn walk(
        &self,
        now: Now,
        actor: &Actor,
        object: &str,
        def: &ObjectDef,
        depth: u32,
        budget: &mut usize,
        out: &mut Vec<msg::ResolvedPathResult>,
    ) -> Result<(), Fault> {
        if !actor.allows(Field::Obj, Right::Read, object) {
            return Ok(()); // R-GET.1
        }
        if !def.params.is_empty() {
            let at = self.at(object, def);
            let mut full = object.to_owned();
            let room = def.params.len();
            let mut params = Map::with_capacity(room, room * PARAM_BYTES);
            for param in &def.params {
                full.truncate(object.len());
                full.push_str(&param.name);
                if actor.allows(Field::Param, Right::Read, &full) {
                    let value = self.value_of_for(now, actor, &at, param, &full);
                    params.push(&param.name, &value);
                }
            }
            // An object costs something, too, when all of it is unreadable.
            spend(budget, params.len().max(1))?;
            out.push(msg::ResolvedPathResult {
                resolved_path: object.to_owned(),
                result_params: params,
            });
        }
        if depth > 1 {
            for (child, def) in self.child_objects(now, object, def) {
                self.walk(now, actor, &child, def, depth - 1, budget, out)?;
            }
        }
        Ok(())
    }

    /// Existing objects directly below, rows of tables one by one.
    fn child_objects(&self, now: Now, object: &str, def: &ObjectDef) -> Vec<(String, &ObjectDef)> {
        let mut out = Vec::new();
        for child in self.schema.children(&def.path) {
            let path = format!("{object}{}.", child.name());
            if child.multi {
                out.extend(self.rows(now, &path).into_iter().map(|row| (row, child)));
            } else {
                out.push((path, child));
            }
        }
        out
    }

    pub(crate) fn get_instances(
        &self,
        now: Now,
        actor: &Actor,
        request: msg::GetInstances,
    ) -> Result<msg::GetInstancesResp, Fault> {
        too_many_paths(request.obj_paths.len())?;
        let mut budget = ANSWER_VALUES_MAX;
        let results = request.obj_paths.into_iter().map(|requested_path| {
            match self.instances_of(
                now,
                actor,
                &requested_path,
                request.first_level_only,
                &mut budget,
            ) {
                Ok(curr_insts) => msg::InstancesPathResult {
                    requested_path,
                    curr_insts,
                    ..Default::default()
                },
                Err(fault) => msg::InstancesPathResult {
                    requested_path,
                    err_code: fault.code,
                    err_msg: fault.message,
                    ..Default::default()
                },
            }
        });
        Ok(msg::GetInstancesResp {
            req_path_results: results.collect(),
        })
    }

    fn instances_of(
        &self,
        now: Now,
        actor: &Actor,
        requested: &str,
        first_level_only: bool,
        budget: &mut usize,
    ) -> Result<Vec<msg::CurrInstance>, Fault> {
        let path = self.parse(requested)?;
        if path.kind() != PathKind::Object {
            return Err(Fault::not_a_table(format!("{path} is not a table")));
        }
        self.supported(&path)?;
        let Target::Tables(tables) = self.target(now, actor, Filter::InstantiatedObj, &path)?
        else {
            return Err(Fault::not_a_table(format!("{path} is not a table")));
        };
        if tables.is_empty() && !path.is_search() {
            return Err(Fault::object_does_not_exist(format!("{path} is not there")));
        }
        let mut out = Vec::new();
        for table in tables {
            let Some(def) = self.table_def(&table) else {
                continue;
            };
            for row in self.rows(now, &table) {
                self.list_row(now, actor, &row, def, first_level_only, budget, &mut out)?;
            }
        }
        Ok(out)
    }

    #[expect(clippy::too_many_arguments, reason = "one step of a recursion")]
    fn list_row(
        &self,
        now: Now,
        actor: &Actor,
        object: &str,
        def: &ObjectDef,
        first_level_only: bool,
        budget: &mut usize,
        out: &mut Vec<msg::CurrInstance>,
    ) -> Result<(), Fault> {
        if def.multi {
            if !actor.allows(Field::InstantiatedObj, Right::Read, object) {
                return Ok(()); // R-GIN.0
            }
            spend(budget, 1)?;
            out.push(msg::CurrInstance {
                instantiated_obj_path: object.to_owned(),
                unique_keys: self.keys_for(now, actor, object),
            });
        }
        if !first_level_only {
            for (child, def) in self.child_objects(now, object, def) {
                self.list_row(now, actor, &child, def, false, budget, out)?;
            }
        }
        Ok(())
    }
}

fn too_many_paths(count: usize) -> Result<(), Fault> {
    if count > MESSAGE_PATHS_MAX {
        return Err(Fault::resources_exceeded(format!(
            "{count} paths in one message; at most {MESSAGE_PATHS_MAX}"
        )));
    }
    Ok(())
}

/// Takes from what one answer may hold.
pub(crate) fn spend(budget: &mut usize, what: usize) -> Result<(), Fault> {
    *budget = budget.checked_sub(what).ok_or_else(|| {
        Fault::resources_exceeded(format!(
            "more than {ANSWER_VALUES_MAX} values in one answer: ask for less at once"
        ))
    })?;
    Ok(())
}

fn no_such(path: &Path) -> Fault {
    Fault::invalid_path(format!("{path} does not exist"))
}
