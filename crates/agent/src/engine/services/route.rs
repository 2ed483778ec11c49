//! Who is asked what: a request of a controller is taken apart by the owners of its paths. What a role does not allow is
//! refused here, because a service knows nobody but this agent.

use std::collections::BTreeMap;

use dm::path::Segment;
use dm::{Path, PathKind};
use usp::UspError;
use usp::proto::msg::{self, Request};

use super::super::Engine;
use super::super::access::{Actor, Field, Right};
use super::super::notify::Kind;
use super::super::paths::is_search;
use super::shape::Answer;
use super::to_error;
use crate::Fault;
use crate::limits::{MESSAGE_OBJECTS_MAX, MESSAGE_PATHS_MAX};

const NOT_FOLLOWED: &str = "references of services are not followed";

/// What becomes of a request.
pub(super) struct Plan {
    /// Its paths.
    pub requested: Vec<String>,
    pub answer: Answer,
    /// What is left for this agent itself.
    pub local: Option<(Asked, Request)>,
    /// What each service is asked.
    pub parts: Vec<(u32, Asked, Request)>,
    /// One service has all of it and says how all of it ends.
    pub whole: bool,
    pub command_key: String,
}

/// The paths that one of the owners is asked for, each with its place in the answer.
pub(super) type Asked = Vec<(usize, String)>;

/// What one of them has of a request.
struct Share<T>(Asked, Vec<T>);

impl<T> Default for Share<T> {
    fn default() -> Self {
        Self(Vec::new(), Vec::new())
    }
}

impl<T> Share<T> {
    fn put(&mut self, place: usize, path: &str, item: T) {
        self.0.push((place, path.to_owned()));
        self.1.push(item);
    }
}

/// The shares of services.
type Shares<T> = BTreeMap<u32, Share<T>>;

impl Plan {
    fn new(requested: Vec<String>, answer: Answer) -> Self {
        Self {
            requested,
            answer,
            local: None,
            parts: Vec::new(),
            whole: false,
            command_key: String::new(),
        }
    }

    /// Hands out to each what is its own.
    fn share<T>(&mut self, own: Share<T>, shares: Shares<T>, make: impl Fn(Vec<T>) -> Request) {
        let Share(asked, items) = own;
        self.local = (!items.is_empty()).then(|| (asked, make(items)));
        let parts = shares.into_iter();
        let parts = parts.map(|(service, Share(asked, items))| (service, asked, make(items)));
        self.parts.extend(parts);
    }
}

impl Engine {
    /// Takes a request apart; `None` when no service has a part in it.
    pub(super) fn split(&self, actor: &Actor, request: &Request) -> Option<Result<Plan, UspError>> {
        match request {
            Request::Get(get) => self.split_get(actor, get).map(Ok),
            Request::GetInstances(get) => self.split_instances(actor, get).map(Ok),
            Request::Set(set) => self.split_set(actor, set),
            Request::Add(add) => self.split_add(actor, add),
            Request::Delete(delete) => self.split_delete(actor, delete),
            Request::Operate(operate) => self.split_operate(actor, operate).map(Ok),
            _ => None,
        }
    }

    fn split_get(&self, actor: &Actor, get: &msg::Get) -> Option<Plan> {
        let paths = &get.param_paths;
        let concerned = |path: &String| {
            self.services.owner(path).is_some() || self.services.below(path).next().is_some()
        };
        if paths.len() > MESSAGE_PATHS_MAX || !paths.iter().any(concerned) {
            return None;
        }
        let mut plan = Plan::new(paths.clone(), Answer::Get(vec![None; paths.len()]));
        let mut own = Share::default();
        // By depth, too: what lies below an object is asked for less deep.
        let mut shares: BTreeMap<(u32, u32), Share<String>> = BTreeMap::new();
        let mut ask = |service, depth, place, path: &str| {
            let share = shares.entry((service, depth)).or_default();
            share.put(place, path, path.to_owned());
        };
        for (place, path) in paths.iter().enumerate() {
            let Some(service) = self.services.owner(path) else {
                own.put(place, path, path.clone());
                for (service, below) in self.services.below(path) {
                    let levels = below.matches('.').count() - path.matches('.').count();
                    let levels = levels as u32;
                    match get.max_depth {
                        0 => ask(service, 0, place, below),
                        depth if depth > levels => ask(service, depth - levels, place, below),
                        _ => {}
                    }
                }
                continue;
            };
            match self.may_search(actor, path) {
                Ok(()) => ask(service, get.max_depth, place, path),
                Err(fault) => plan.answer.fail(place, path, &fault),
            }
        }
        let make = |max_depth| {
            move |param_paths| -> Request {
                let request = msg::Get {
                    param_paths,
                    max_depth,
                };
                request.into()
            }
        };
        plan.share(own, Shares::new(), make(get.max_depth));
        for ((service, depth), Share(asked, items)) in shares {
            plan.parts.push((service, asked, make(depth)(items)));
        }
        Some(plan)
    }

    fn split_instances(&self, actor: &Actor, get: &msg::GetInstances) -> Option<Plan> {
        let paths = &get.obj_paths;
        let concerned = |path: &String| self.services.owner(path).is_some();
        if paths.len() > MESSAGE_PATHS_MAX || !paths.iter().any(concerned) {
            return None;
        }
        let mut plan = Plan::new(paths.clone(), Answer::Instances(vec![None; paths.len()]));
        let (mut own, mut shares) = (Share::default(), Shares::new());
        for (place, path) in paths.iter().enumerate() {
            match (self.services.owner(path), self.may_search(actor, path)) {
                (None, _) => own.put(place, path, path.clone()),
                (Some(service), Ok(())) => {
                    let share = shares.entry(service).or_default();
                    share.put(place, path, path.clone());
                }
                (Some(_), Err(fault)) => plan.answer.fail(place, path, &fault),
            }
        }
        let make = |obj_paths| {
            let request = msg::GetInstances {
                obj_paths,
                first_level_only: get.first_level_only,
            };
            request.into()
        };
        plan.share(own, shares, make);
        Some(plan)
    }

    fn split_set(&self, actor: &Actor, set: &msg::Set) -> Option<Result<Plan, UspError>> {
        let owner = |update: &msg::UpdateObject, name: &str| {
            let object = &update.obj_path;
            let whole = self.services.owner(object);
            whole.or_else(|| self.services.owner(&format!("{object}{name}")))
        };
        let concerned = |update: &msg::UpdateObject| {
            self.services.owner(&update.obj_path).is_some()
                || update
                    .param_settings
                    .iter()
                    .any(|setting| owner(update, &setting.param).is_some())
        };
        if set.update_objs.len() > MESSAGE_OBJECTS_MAX || !set.update_objs.iter().any(concerned) {
            return None;
        }
        let requested = set.update_objs.iter().map(|one| one.obj_path.clone());
        let mut plan = Plan::new(requested.collect(), Answer::Set(Vec::new()));
        let (mut own, mut shares) = (Share::default(), Shares::new());
        for (place, update) in set.update_objs.iter().enumerate() {
            // The settings of an object may have several owners, where one of its parameters was registered alone.
            let mut by_owner: BTreeMap<Option<u32>, Vec<msg::ParamSetting>> = BTreeMap::new();
            if update.param_settings.is_empty() {
                let owner = self.services.owner(&update.obj_path);
                by_owner.insert(owner, Vec::new());
            }
            for setting in &update.param_settings {
                let owner = owner(update, &setting.param);
                by_owner.entry(owner).or_default().push(setting.clone());
            }
            for (owner, param_settings) in by_owner {
                let share = msg::UpdateObject {
                    obj_path: update.obj_path.clone(),
                    param_settings,
                };
                let path = &update.obj_path;
                let Some(service) = owner else {
                    own.put(place, path, share);
                    continue;
                };
                let names = share.param_settings.iter().map(|one| one.param.as_str());
                match self.may_write(actor, path, names) {
                    Ok(()) => shares.entry(service).or_default().put(place, path, share),
                    Err(fault) if set.allow_partial => plan.answer.fail(place, path, &fault),
                    Err(fault) => return Some(Err(refuse(path, fault))),
                }
            }
        }
        let allow_partial = set.allow_partial;
        let make = |update_objs| {
            let request = msg::Set {
                allow_partial,
                update_objs,
            };
            request.into()
        };
        Some(plan.complete(allow_partial, own, shares, make))
    }

    fn split_add(&self, actor: &Actor, add: &msg::Add) -> Option<Result<Plan, UspError>> {
        let owner = |create: &msg::CreateObject| self.services.owner(&create.obj_path);
        let objects = &add.create_objs;
        if objects.len() > MESSAGE_OBJECTS_MAX || !objects.iter().any(|one| owner(one).is_some()) {
            return None;
        }
        let requested = objects.iter().map(|one| one.obj_path.clone()).collect();
        let mut plan = Plan::new(requested, Answer::Add(Vec::new()));
        let (mut own, mut shares) = (Share::default(), Shares::new());
        for (place, create) in objects.iter().enumerate() {
            let table = &create.obj_path;
            let Some(service) = owner(create) else {
                own.put(place, table, create.clone());
                continue;
            };
            let row = format!("{table}{{i}}.");
            let names = create.param_settings.iter().map(|one| one.param.as_str());
            let allowed = self.may(actor, Field::Obj, Right::Write, table);
            match allowed.and_then(|()| self.may_write(actor, &row, names)) {
                Ok(()) => {
                    let share = shares.entry(service).or_default();
                    share.put(place, table, create.clone());
                }
                Err(fault) if add.allow_partial => plan.answer.fail(place, table, &fault),
                Err(fault) => return Some(Err(refuse(table, fault))),
            }
        }
        let allow_partial = add.allow_partial;
        let make = |create_objs| {
            let request = msg::Add {
                allow_partial,
                create_objs,
            };
            request.into()
        };
        Some(plan.complete(allow_partial, own, shares, make))
    }

    fn split_delete(&self, actor: &Actor, delete: &msg::Delete) -> Option<Result<Plan, UspError>> {
        let paths = &delete.obj_paths;
        let concerned = |path: &String| self.services.owner(path).is_some();
        if paths.len() > MESSAGE_OBJECTS_MAX || !paths.iter().any(concerned) {
            return None;
        }
        let mut plan = Plan::new(paths.clone(), Answer::Delete(Vec::new()));
        let (mut own, mut shares) = (Share::default(), Shares::new());
        for (place, path) in paths.iter().enumerate() {
            let Some(service) = self.services.owner(path) else {
                own.put(place, path, path.clone());
                continue;
            };
            match self.may(actor, Field::InstantiatedObj, Right::Write, path) {
                Ok(()) => {
                    let share = shares.entry(service).or_default();
                    share.put(place, path, path.clone());
                }
                Err(fault) if delete.allow_partial => plan.answer.fail(place, path, &fault),
                Err(fault) => return Some(Err(refuse(path, fault))),
            }
        }
        let allow_partial = delete.allow_partial;
        let make = |obj_paths| {
            let request = msg::Delete {
                allow_partial,
                obj_paths,
            };
            request.into()
        };
        Some(plan.complete(allow_partial, own, shares, make))
    }

    fn split_operate(&self, actor: &Actor, operate: &msg::Operate) -> Option<Plan> {
        let command = &operate.command;
        let service = self.services.owner(command)?;
        let mut plan = Plan::new(vec![command.clone()], Answer::Operate(Vec::new()));
        plan.command_key = operate.command_key.clone();
        let allowed = self.may(actor, Field::CommandEvent, Right::Execute, command);
        match allowed.and_then(|()| self.may_begin(command, &operate.command_key)) {
            Ok(()) => {
                plan.whole = true;
                let mut request = operate.clone();
                // Whether the controller is told is its session's business (R-OPR.4).
                request.send_resp = true;
                let asked = vec![(0, command.clone())];
                plan.parts.push((service, asked, request.into()));
            }
            Err(fault) => plan.answer.fail(0, command, &fault),
        }
        Some(plan)
    }

    /// May every setting of these objects be written?
    fn may_write<'a>(
        &self,
        actor: &Actor,
        object: &str,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<(), Fault> {
        self.may_search(actor, &object.replace("{i}.", "*."))?;
        for name in names {
            let path = format!("{object}{name}");
            self.may(actor, Field::Param, Right::Write, &path)?;
        }
        Ok(())
    }

    /// Has this controller the right to everything that a path may name?
    fn may(&self, actor: &Actor, field: Field, right: Right, path: &str) -> Result<(), Fault> {
        let concrete = path.replace("{i}.", "*.");
        self.may_search(actor, &concrete)?;
        let parsed = self.parse(&concrete)?;
        if actor.allows_every(field, right, &pattern(&parsed)) {
            return Ok(());
        }
        let text = format!("your role does not allow this for all that {path} may name");
        Err(Fault::permission_denied(text))
    }

    /// R-GIN.0: what may not be read cannot be searched by. Where a reference leads, only its service knows, so none is
    /// followed, in a path or in what it searches by.
    fn may_search(&self, actor: &Actor, path: &str) -> Result<(), Fault> {
        let path = self.parse(path)?;
        if path.is_template() {
            let text = format!("{path} is of the supported model and names nothing that is there");
            return Err(Fault::invalid_path(text));
        }
        let mut object = String::new();
        for segment in path.segments() {
            match segment {
                Segment::Name(name) => object.push_str(name),
                Segment::Instance(number) => object.push_str(&number.to_string()),
                Segment::Follow(_) => return Err(Fault::invalid_path(NOT_FOLLOWED)),
                Segment::Any | Segment::Template => object.push_str("{i}"),
                Segment::Keys(keys) => {
                    object.push_str("{i}");
                    for key in keys {
                        if key.path.follows() {
                            return Err(Fault::invalid_path(NOT_FOLLOWED));
                        }
                        let by = format!("{object}.{}", key.path.as_str());
                        if !actor.allows_every(Field::Param, Right::Read, &by) {
                            let text = format!("your role may not search by {by}");
                            return Err(Fault::permission_denied(text));
                        }
                    }
                }
            }
            object.push('.');
        }
        Ok(())
    }
}

impl Engine {
    /// Whether a controller may search by this, which belongs to a service.
    pub(super) fn searches(&self, controller: u32, reference: &str) -> Result<(), Fault> {
        self.may_search(&self.compile_actor(controller), reference)
    }

    /// What is wrong with a reference of a subscription: services are asked to watch it, with this agent's rights.
    pub(crate) fn check_reference(
        &self,
        controller: u32,
        kind: Kind,
        reference: &str,
    ) -> Result<(), Fault> {
        if !is_search(reference) || self.services.owner(reference).is_none() {
            return Ok(());
        }
        if kind == Kind::OperationComplete {
            let text = "commands of a service are named by their rows, or by all with *: a command that ends is not searched for";
            return Err(Fault::invalid_path(text));
        }
        self.searches(controller, reference)
    }
}

impl Plan {
    /// Hands out what several have to change. All or nothing is what one of them alone can promise.
    fn complete<T>(
        mut self,
        allow_partial: bool,
        own: Share<T>,
        shares: Shares<T>,
        make: impl Fn(Vec<T>) -> Request,
    ) -> Result<Self, UspError> {
        let owners = shares.len() + usize::from(!own.1.is_empty());
        if !allow_partial && owners > 1 {
            let text = "parts of this message belong to different services, which cannot change all or nothing: allow_partial, or one message each";
            return Err(to_error(Fault::request_denied(text)));
        }
        self.whole = !allow_partial;
        self.share(own, shares, make);
        Ok(self)
    }
}

fn refuse(path: &str, fault: Fault) -> UspError {
    let at = fault.clone();
    to_error(fault).at(path, usp::ErrorCode(at.code), at.message)
}

/// A path with `{i}` for all that it searches for; instance numbers stay.
fn pattern(path: &Path) -> String {
    let mut out = String::new();
    for segment in path.segments() {
        match segment {
            Segment::Name(name) => out.push_str(name),
            Segment::Instance(number) => out.push_str(&number.to_string()),
            _ => out.push_str("{i}"),
        }
        out.push('.');
    }
    if path.kind() != PathKind::Object {
        out.pop();
    }
    match path.kind() {
        PathKind::Command => out.push_str("()"),
        PathKind::Event => out.push('!'),
        _ => {}
    }
    out
}
