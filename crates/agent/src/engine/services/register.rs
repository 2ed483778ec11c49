//! Register and Deregister (R-REG.0 to R-DEREG.4): which paths may be had by whom, and how they become part of this
//! agent once the service has described them.

use dm::{Path, PathKind};
use usp::UspError;
use usp::proto::msg::{
    self, Deregister, DeregisterResp, DeregisterStatus, DeregisterSuccess, DeregisteredPathResult,
    OperationFailure, Register, RegisterResp, RegisterStatus, RegisterSuccess,
    RegisteredPathResult, Response,
};

use super::super::paths::{Pattern, list_items, split};
use super::super::state::Delta;
use super::super::{Engine, supported};
use super::{Ask, Known, SERVICE_ROWS, TRUST, to_error, within};
use crate::limits::{
    SERVICE_AGAIN_MIN, SERVICE_MODEL_BYTES_MAX, SERVICE_MODEL_ELEMENTS_MAX, SERVICE_PATHS_MAX,
    SERVICE_REQUEST_PATHS_MAX,
};
use crate::{Fault, Now};

impl Engine {
    /// Answers a Register of a service. What it gets is seen by controllers once it has described it.
    pub fn register(
        &mut self,
        service: u32,
        register: &Register,
    ) -> Result<RegisterResp, UspError> {
        if register.reg_paths.len() > SERVICE_REQUEST_PATHS_MAX {
            return Err(to_error(too_many_paths()));
        }
        let mut taken = Vec::new();
        let mut refused = Vec::new();
        let mut results = Vec::new();
        for asked in &register.reg_paths {
            let result = self.may_register(service, &asked.path);
            let oper_status = match result {
                Ok(new) => {
                    let known = self.services.by_number.get_mut(&service);
                    if let Some(known) = known.filter(|_| new) {
                        known.paths.insert(asked.path.clone(), Known::Asked);
                        taken.push(asked.path.clone());
                    }
                    RegisterStatus::OperSuccess(RegisterSuccess {
                        registered_path: asked.path.clone(),
                    })
                }
                Err(fault) if register.allow_partial => {
                    refused.push((&asked.path, fault.message.clone()));
                    RegisterStatus::OperFailure(failure(fault))
                }
                Err(fault) => {
                    // R-REG.1: all or nothing.
                    if let Some(known) = self.services.by_number.get_mut(&service) {
                        known.paths.retain(|path, _| !taken.contains(path));
                    }
                    let text = format!("{}: {}", asked.path, fault.message);
                    return Err(to_error(Fault {
                        message: text,
                        ..fault
                    }));
                }
            };
            results.push(RegisteredPathResult {
                requested_path: asked.path.clone(),
                oper_status,
            });
        }
        if let Some((first, why)) = refused.first() {
            let known = self.services.by_number.get(&service);
            let id = known.map(|known| known.endpoint_id.as_str());
            tracing::info!(agent = %self.own, service = id, paths = refused.len(), first = first.as_str(), why, "a service does not get all that it registers");
        }
        for path in taken {
            self.describe_path(service, path);
        }
        Ok(RegisterResp {
            registered_path_results: results,
        })
    }

    /// Whether this service may have this path; `false` where it has it already.
    fn may_register(&self, service: u32, text: &str) -> Result<bool, Fault> {
        let path = Path::parse(text)
            .map_err(|error| Fault::invalid_path_syntax(format!("{text}: {error}")))?;
        // R-REG.2
        let numbered = |segment: &str| segment.starts_with(|c: char| c.is_ascii_digit());
        let simple = path.is_plain() && path.as_str() == text && !text.split('.').any(numbered);
        if !simple || !text.starts_with("Device.") || text == "Device." {
            return Err(Fault::register_failure(
                "a path below Device. without instances is registered",
            ));
        }
        let known = self.services.by_number.get(&service);
        let known = known.ok_or_else(|| Fault::internal("who asks?"))?;
        if known.paths.contains_key(text) {
            return Ok(false);
        }
        for (number, other) in &self.services.by_number {
            let clash = other
                .paths
                .keys()
                .find(|path| within(text, path) || within(path, text));
            match clash {
                None => {}
                Some(clash) if *number == service => {
                    let text = format!("you have registered {clash}, which overlaps");
                    return Err(Fault::register_failure(text));
                }
                Some(clash) => {
                    let text = format!("{} has registered {clash}", other.endpoint_id);
                    return Err(Fault::already_in_use(text));
                }
            }
        }
        if known.paths.len() >= SERVICE_PATHS_MAX {
            return Err(Fault::resources_exceeded("limit SERVICE_PATHS_MAX"));
        }
        self.is_free(&path)?;
        self.is_trusted(known.endpoint_id.as_str(), text)?;
        Ok(true)
    }

    /// What this agent has itself is not to be had, and neither is a part of its rows.
    fn is_free(&self, path: &Path) -> Result<(), Fault> {
        let text = path.as_str();
        let own = match path.kind() {
            _ if super::super::is_own(text) => true,
            PathKind::Object => {
                self.schema.object(text).is_some() || self.table_def(text).is_some()
            }
            _ => self.supported(path).is_ok(),
        };
        if own {
            let text = format!("{text} is this agent's own");
            return Err(Fault::already_in_use(text));
        }
        let (object, _) = split(text.trim_end_matches('.'));
        let mut above = object.match_indices('.').map(|(at, _)| &object[..=at]);
        if above.any(|object| self.table_def(object).is_some()) {
            return Err(Fault::register_failure(
                "what is in the rows of a table cannot be registered",
            ));
        }
        Ok(())
    }

    /// `Device.USPServices.Trust.`: as soon as it has rows, only what they list may be registered.
    fn is_trusted(&self, endpoint_id: &str, path: &str) -> Result<(), Fault> {
        let rows: Vec<u32> = self.state.instances(TRUST).collect();
        let trusted = |n: &u32| {
            self.held(&format!("{TRUST}{n}.EndpointID")) == endpoint_id
                && list_items(&self.held(&format!("{TRUST}{n}.TargetPaths")))
                    .any(|target| Pattern::simple(target).covers(path))
        };
        if rows.is_empty() || rows.iter().any(trusted) {
            return Ok(());
        }
        let text = format!("{TRUST} does not let {endpoint_id} register {path}");
        Err(Fault::permission_denied(text))
    }

    pub(super) fn describe_path(&mut self, service: u32, path: String) {
        self.look_for_leftovers(service);
        // An element is described by its object: by itself only since 1.4.
        let (object, alone) = match path.ends_with('.') {
            true => (path.as_str(), false),
            false => (split(&path).0, true),
        };
        let request = usp::msg::get_supported_dm([object], alone);
        self.ask_service(Ask::Describe(service, path), request.into());
    }

    /// The description of a path has come, or does not come: then it is asked for again, for the service was told that
    /// it has the path.
    pub(super) fn described(
        &mut self,
        now: Now,
        service: u32,
        path: &str,
        result: Result<Response, UspError>,
    ) {
        let (mut objects, failed) = match result {
            Ok(Response::GetSupportedDmResp(response)) => {
                let results = response.req_obj_results.into_iter();
                let objects = results.flat_map(|one| one.supported_objs);
                (objects.collect(), None)
            }
            other => (Vec::new(), other.err()),
        };
        narrow(&mut objects, path);
        let Some(known) = self.services.by_number.get_mut(&service) else {
            return;
        };
        let all = known.objects.iter().chain(&objects);
        let elements: usize = all.clone().map(supported::elements).sum();
        let bytes: usize = all.map(supported::bytes).sum();
        let Some(state) = known.paths.get_mut(path) else {
            return; // Given back meanwhile.
        };
        if *state == Known::Described {
            return; // Given back, registered and described meanwhile.
        }
        let too_much = elements > SERVICE_MODEL_ELEMENTS_MAX || bytes > SERVICE_MODEL_BYTES_MAX;
        if objects.is_empty() || too_much {
            // Nobody could know what is there.
            *state = Known::Silent;
            known.ask_again(now);
            tracing::warn!(agent = %self.own, service = %known.endpoint_id, path, elements, bytes, ?failed, "a service does not describe what it has registered");
            return;
        }
        *state = Known::Described;
        known.wait = SERVICE_AGAIN_MIN;
        let first = known.ready().count() == 1;
        known.objects.extend(objects);
        known
            .objects
            .sort_by(|a, b| a.supported_obj_path.cmp(&b.supported_obj_path));
        tracing::info!(agent = %self.own, service = %known.endpoint_id, path, "a service has registered");
        if first {
            self.service_row(now, service, true);
        } else {
            self.value_changed(now, &format!("{SERVICE_ROWS}{service}.DataModelPaths"));
        }
        self.sync_subscriptions();
    }

    /// Answers a Deregister, which never fails as a whole (R-DEREG.4).
    pub fn deregister(&mut self, now: Now, service: u32, request: &Deregister) -> DeregisterResp {
        let mut paths = request.paths.clone();
        if paths.is_empty() {
            paths.push(String::new());
        }
        let shown = self.shown_paths(service);
        let mut results = Vec::new();
        for (n, requested_path) in paths.into_iter().enumerate() {
            let result = match n < SERVICE_REQUEST_PATHS_MAX {
                true => self.give_back(now, service, &requested_path),
                false => Err(too_many_paths()),
            };
            let oper_status = match result {
                Ok(deregistered_path) => {
                    DeregisterStatus::OperSuccess(DeregisterSuccess { deregistered_path })
                }
                Err(fault) => DeregisterStatus::OperFailure(failure(fault)),
            };
            results.push(DeregisteredPathResult {
                requested_path,
                oper_status,
            });
        }
        // Once for all of them, and only where controllers have seen something of it.
        let still = self.shown_paths(service);
        if still.is_empty() && !shown.is_empty() {
            self.service_row(now, service, false);
        } else if still != shown {
            self.value_changed(now, &format!("{SERVICE_ROWS}{service}.DataModelPaths"));
        }
        self.sync_subscriptions();
        DeregisterResp {
            deregistered_path_results: results,
        }
    }

    fn shown_paths(&self, service: u32) -> Vec<String> {
        let known = self.services.by_number.get(&service);
        let shown = known.iter().flat_map(|known| known.ready());
        shown.map(str::to_owned).collect()
    }

    /// Takes from a service what it gives back: one path, or all of them (R-DEREG.2).
    fn give_back(&mut self, now: Now, service: u32, path: &str) -> Result<Vec<String>, Fault> {
        let known = self.services.by_number.get(&service);
        let registered = known.iter().flat_map(|known| known.paths.keys());
        let gone = registered.filter(|known| path.is_empty() || *known == path);
        let gone: Vec<String> = gone.cloned().collect();
        if gone.is_empty() && !path.is_empty() {
            let mut others = self.services.by_number.values();
            return Err(match others.any(|other| other.paths.contains_key(path)) {
                true => Fault::registered_by_another("another service has registered it"),
                false => Fault::deregister_failure("you have not registered it"),
            });
        }
        if let Some(known) = self.services.by_number.get_mut(&service) {
            known.paths.retain(|path, _| !gone.contains(path));
            let objects = std::mem::take(&mut known.objects);
            known.objects = kept(objects, &gone);
        }
        let is_gone = |command: &str| gone.iter().any(|path| within(command, path));
        self.end_runs(now, service, "its service has given it back", is_gone);
        Ok(gone)
    }

    /// Subscribers hear of a row of the table of services.
    pub(super) fn service_row(&mut self, now: Now, service: u32, appears: bool) {
        let table = SERVICE_ROWS.to_owned();
        let delta = match appears {
            true => Delta::Inserted(table, service),
            false => Delta::Removed(table, service),
        };
        self.after_commit(now, &[delta], None);
    }
}

fn too_many_paths() -> Fault {
    Fault::resources_exceeded("limit SERVICE_REQUEST_PATHS_MAX: too many paths at once")
}

fn failure(fault: Fault) -> OperationFailure {
    OperationFailure {
        err_code: fault.code,
        err_msg: fault.message,
    }
}

/// Leaves of a description what belongs to a registered path and has names that are some.
fn narrow(objects: &mut Vec<msg::SupportedObjectResult>, path: &str) {
    let (object, name) = split(path);
    let is_one = |path: &str, kind| {
        let parsed = Path::parse(path).ok();
        parsed.is_some_and(|parsed| {
            parsed.kind() == kind && parsed.as_str() == path && parsed.supported() == path
        })
    };
    objects.retain_mut(|found| {
        let base = &found.supported_obj_path;
        let named =
            |name: &str, kind| !name.contains('.') && is_one(&format!("{base}{name}"), kind);
        let params = &mut found.supported_params;
        params.retain(|one| named(&one.param_name, PathKind::Parameter));
        let commands = &mut found.supported_commands;
        commands.retain(|one| named(&one.command_name, PathKind::Command));
        let events = &mut found.supported_events;
        events.retain(|one| named(&one.event_name, PathKind::Event));
        let sets = &mut found.unique_key_sets;
        sets.retain(|set| {
            let mut names = set.key_names.iter();
            names.all(|name| is_one(&format!("{base}{name}"), PathKind::Parameter))
        });
        is_one(base, PathKind::Object)
    });
    objects.retain_mut(|found| {
        if name.is_empty() {
            return found.supported_obj_path.starts_with(path);
        }
        found
            .supported_params
            .retain(|param| param.param_name == name);
        let commands = &mut found.supported_commands;
        commands.retain(|command| command.command_name == name);
        found
            .supported_events
            .retain(|event| event.event_name == name);
        found.supported_obj_path == object
            && found.supported_params.len()
                + found.supported_commands.len()
                + found.supported_events.len()
                == 1
    });
}

/// What is left of a description without these paths.
fn kept(
    objects: Vec<msg::SupportedObjectResult>,
    gone: &[String],
) -> Vec<msg::SupportedObjectResult> {
    let is_gone = |path: &str| gone.iter().any(|registered| within(path, registered));
    let mut out = Vec::new();
    for mut object in objects {
        let base = object.supported_obj_path.clone();
        let gone = |name: &str| is_gone(&format!("{base}{name}"));
        if is_gone(&base) {
            continue;
        }
        let before = supported::elements(&object);
        object.supported_params.retain(|one| !gone(&one.param_name));
        object
            .supported_commands
            .retain(|one| !gone(&one.command_name));
        object.supported_events.retain(|one| !gone(&one.event_name));
        let after = supported::elements(&object);
        if after == before || after > 1 {
            out.push(object);
        }
    }
    out
}
