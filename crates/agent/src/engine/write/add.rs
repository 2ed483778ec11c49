//! Add (R-ADD.*): rows with their settings, and keys that nobody gave.

use std::collections::HashSet;

use usp::UspError;
use usp::proto::msg;

use super::super::access::{Actor, Field, Right};
use super::super::paths::row;
use super::super::{Engine, Filter, Target};
use super::{Applied, Failure, Forced, Touched, refuse, to_error, too_many};
use crate::limits::{CONTROLLERS_MAX, SUBSCRIPTIONS_MAX, TABLE_ROWS_MAX};
use crate::{Fault, Now};

impl Engine {
    pub(crate) fn add(
        &mut self,
        now: Now,
        actor: &Actor,
        request: msg::Add,
    ) -> Result<msg::AddResp, UspError> {
        too_many(request.create_objs.len())?;
        let start = self.state.mark();
        let mut forced = Forced::new();
        let mut results = loop {
            let mut touched = Vec::new();
            let mut results = Vec::new();
            for (item, create) in request.create_objs.iter().enumerate() {
                match self.create(
                    now,
                    actor,
                    item,
                    create,
                    request.allow_partial,
                    &forced,
                    &mut touched,
                ) {
                    Ok(statuses) => results.extend(statuses.into_iter().map(|oper_status| {
                        msg::CreatedObjectResult {
                            requested_path: create.obj_path.clone(),
                            oper_status,
                        }
                    })),
                    Err(error) => {
                        self.state.rollback(start);
                        return Err(error);
                    }
                }
            }
            if !self.recheck(
                now,
                start,
                &touched,
                |n| &request.create_objs[n].param_settings,
                &mut forced,
            ) {
                break results;
            }
        };
        self.commit(now, actor.controller).map_err(to_error)?;
        for result in &mut results {
            if let msg::CreateStatus::OperSuccess(success) = &mut result.oper_status {
                success.unique_keys = self.keys_for(now, actor, &success.instantiated_path);
            }
        }
        Ok(msg::AddResp {
            created_obj_results: results,
        })
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
            msg::CreateStatus::OperFailure(msg::OperationFailure {
                err_code: fault.code,
                err_msg: fault.message,
            })
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
                    touched.push(Touched {
                        item,
                        object: object.clone(),
                        created: true,
                    });
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
                        let params = params
                            .into_iter()
                            .map(|(name, fault)| (format!("{table}{name}"), fault));
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
            return Err(
                Fault::permission_denied(format!("your role may not add rows to {table}")).into(),
            );
        }
        let most = match table {
            "Device.LocalAgent.Subscription." => SUBSCRIPTIONS_MAX,
            "Device.LocalAgent.Controller." => CONTROLLERS_MAX,
            _ => TABLE_ROWS_MAX,
        };
        let entries_max = self
            .table_def(table)
            .and_then(|def| def.entries.1)
            .map_or(most, |n| most.min(n as usize));
        if self.state.count(table) >= entries_max {
            return Err(Fault::resources_exceeded(format!(
                "{table} has its {entries_max} rows already"
            ))
            .into());
        }
        self.has_room(table.len())?;
        let number = self.state.insert(table, None);
        let object = format!("{table}{number}.");
        if let Some(fault) = forced.get(&(item, object.clone(), None)) {
            return Err(fault.clone().into());
        }
        self.local_created(now, actor, table, &object);
        let applied = self.assign_all(
            now,
            actor,
            item,
            &object,
            &create.param_settings,
            true,
            forced,
        )?;
        self.invent_keys(&object, number);
        Ok((object, applied))
    }

    /// R-ADD.5: keys nobody gave are made up. Not those that the standard has a default for, nor functional ones of a row
    /// that is not switched on: a port mapping for a made-up host or port would be another rule than anybody wanted.
    fn invent_keys(&mut self, object: &str, number: u32) {
        let Some((table, _)) = row(object) else {
            return;
        };
        let Some(def) = self.object_def(object) else {
            return;
        };
        let switch = def.enable_param.as_ref();
        let off = switch.is_some_and(|name| !self.held_true(&format!("{object}{name}")));
        let keys: Vec<(String, std::sync::Arc<dm::Type>)> = def
            .unique_keys
            .iter()
            .filter(|key| !(key.functional && off))
            .flat_map(|key| &key.params)
            .filter_map(|name| def.param(name))
            .filter(|param| param.ty.reference.is_none() && param.ty.enumeration.is_empty())
            .filter(|param| param.default.is_none())
            .map(|param| (param.name.to_string(), param.ty.clone()))
            .collect();
        for (name, ty) in keys {
            let full = format!("{object}{name}");
            if self.state.value(&full).is_some() {
                continue;
            }
            // Rows that controllers can add are held, so the others' keys are as well.
            let others: HashSet<&str> = self
                .state
                .instances(table)
                .filter(|n| *n != number)
                .filter_map(|n| self.state.value(&format!("{table}{n}.{name}")))
                .collect();
            let invented = if ty.base.is_number() {
                let largest = others
                    .iter()
                    .filter_map(|value| value.parse::<u64>().ok())
                    .max();
                largest.map_or(0, |n| n.saturating_add(1)).to_string()
            } else if ty.base == dm::BaseType::String {
                let prefix = if name == "Alias" { "cpe" } else { "auto" };
                let mut candidates = (0..).map(|n| {
                    if n == 0 {
                        format!("{prefix}-{number}")
                    } else {
                        format!("{prefix}-{number}-{n}")
                    }
                });
                candidates
                    .find(|candidate| !others.contains(candidate.as_str()))
                    .unwrap_or_default()
            } else {
                continue;
            };
            self.state.set(&full, &invented);
        }
    }

    fn creatable_tables(
        &self,
        now: Now,
        actor: &Actor,
        requested: &str,
    ) -> Result<Vec<String>, Fault> {
        let path = self.object_path(requested)?;
        let Target::Tables(tables) = self.target(now, actor, Filter::None, &path)? else {
            return Err(Fault::not_a_table(format!("{path} is not a table")));
        };
        let access = self
            .table_def(&path.supported())
            .map(|def| def.access)
            .unwrap_or_default();
        if !access.can_add() || self.is_backend_table(&tables) {
            return Err(Fault::not_creatable(format!(
                "rows of {path} come and go by the device itself"
            )));
        }
        if tables.is_empty() && !path.is_search() {
            return Err(Fault::object_does_not_exist(format!(
                "{path} does not exist"
            )));
        }
        Ok(tables)
    }

    fn is_backend_table(&self, tables: &[String]) -> bool {
        tables.iter().any(|table| {
            !table.starts_with("Device.LocalAgent.") && self.backend.instances(table).is_some()
        })
    }
}
