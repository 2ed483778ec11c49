//! Subscriptions over the paths of services: what controllers have subscribed to here is subscribed to there, once for
//! all of them, and what the service reports is reported to each whose role may hear it.

use std::collections::{BTreeMap, BTreeSet};

use dm::Path;
use usp::msg::required;
use usp::proto::msg::{self, CmdType, Notification, Notify, Response, SupportedObjectResult};
use usp::{ErrorCode, UspError};

use super::super::Engine;
use super::super::access::{Actor, Field, Right};
use super::super::notify::{Kind, Subscription};
use super::super::paths::{Pattern, is_search, row};
use super::again::lasts;
use super::answer::readable;
use super::{Ask, Leftovers, Row, Service, Subscribed};
use crate::Now;
use crate::limits::{SERVICE_AGAIN_MIN, SERVICE_SUBSCRIBING_MAX, SERVICE_SUBSCRIPTIONS_MAX};

/// How the ids of our subscriptions at services begin.
const PREFIX: &str = "headend-broker-";

const TABLE: &str = "Device.LocalAgent.Subscription.";

impl Engine {
    /// A service that registers for the first time may remember us: an earlier connection of ours.
    pub(super) fn look_for_leftovers(&mut self, service: u32) {
        let known = self.services.by_number.get_mut(&service);
        if let Some(known) = known.filter(|known| known.leftovers == Leftovers::Unknown) {
            known.leftovers = Leftovers::Asked;
            let request = usp::msg::get([TABLE]);
            self.ask_service(Ask::Leftover(service), request.into());
        }
    }

    pub(super) fn clear_leftovers(&mut self, service: u32, result: Result<Response, UspError>) {
        let Some(known) = self.services.by_number.get_mut(&service) else {
            return;
        };
        known.leftovers = Leftovers::Gone;
        let mut gone = Vec::new();
        if let Ok(Response::GetResp(response)) = result {
            let results = response.req_path_results.into_iter();
            for one in results.flat_map(|one| one.resolved_path_results) {
                let id = one.result_params.get("ID").unwrap_or_default();
                if id.starts_with(PREFIX) {
                    gone.push(one.resolved_path);
                }
            }
        }
        if !gone.is_empty() {
            let request = usp::msg::delete(true, gone);
            self.ask_service(Ask::Forget(service), request.into());
        }
        self.sync_subscriptions();
    }

    /// Makes what is subscribed to at services what controllers have subscribed to here.
    pub(crate) fn sync_subscriptions(&mut self) {
        let services = self.services.by_number.iter();
        let ready = services.filter(|(_, known)| known.leftovers == Leftovers::Gone);
        let ready: Vec<u32> = ready.map(|(number, _)| *number).collect();
        for service in ready {
            self.sync_service(service);
        }
    }

    fn sync_service(&mut self, service: u32) {
        let Some(known) = self.services.by_number.get(&service) else {
            return;
        };
        let mut wanted = self.wanted(known);
        let Some(known) = self.services.by_number.get_mut(&service) else {
            return;
        };
        let mut gone = Vec::new();
        known.subscriptions.retain(|_, there| {
            let standing = wanted.remove(&(there.kind, there.reference.clone()));
            let keep = standing.is_some();
            there.stands_for = standing.unwrap_or_default();
            match &there.row {
                Row::Is(row) if !keep => {
                    gone.push(row.clone());
                    false
                }
                // What is being asked for is looked at again when it is there.
                Row::Asked => true,
                _ => keep,
            }
        });
        for ((kind, reference), stands_for) in wanted {
            if known.subscriptions.len() >= SERVICE_SUBSCRIPTIONS_MAX {
                tracing::warn!(service = %known.endpoint_id, "limit SERVICE_SUBSCRIPTIONS_MAX: {reference} is not watched");
                break;
            }
            known.next_subscription += 1;
            let id = format!("{PREFIX}{}", known.next_subscription);
            let row = Row::Wanted;
            let there = Subscribed {
                kind,
                reference,
                stands_for,
                row,
            };
            known.subscriptions.insert(id, there);
        }
        if !gone.is_empty() {
            let request = usp::msg::delete(true, gone);
            self.ask_service(Ask::Forget(service), request.into());
        }
        self.subscribe_next(service);
    }

    /// Asks for what is wanted, some at a time.
    fn subscribe_next(&mut self, service: u32) {
        let Some(known) = self.services.by_number.get_mut(&service) else {
            return;
        };
        let mut room = SERVICE_SUBSCRIBING_MAX.saturating_sub(known.subscribing());
        let mut next = Vec::new();
        for (id, there) in &mut known.subscriptions {
            if room > 0 && there.row == Row::Wanted {
                room -= 1;
                there.row = Row::Asked;
                next.push((id.clone(), there.kind, there.reference.clone()));
            }
        }
        for (id, kind, reference) in next {
            let settings = vec![
                required("ID", id.clone()),
                required("NotifType", kind.name()),
                required("ReferenceList", reference),
                required("Enable", "true"),
            ];
            let request = usp::msg::add(false, [(TABLE.to_owned(), settings)]);
            self.ask_service(Ask::Subscribe(service, id), request.into());
        }
    }

    /// What is to be subscribed to at a service, and the references here that each of it stands for.
    fn wanted(&self, service: &Service) -> Wanted {
        let mut wanted = Wanted::new();
        for subscription in &self.subscriptions {
            let kind = subscription.kind;
            // Those are watched anyway.
            if kind == Kind::OperationComplete {
                continue;
            }
            for reference in &subscription.references {
                if is_search(reference)
                    && (!service.owns(reference)
                        || self.searches(subscription.controller, reference).is_err())
                {
                    continue;
                }
                for there in references(service, kind, reference) {
                    let standing = wanted.entry((kind, there)).or_default();
                    standing.insert(reference.clone());
                }
            }
        }
        // What is searched for, only the service knows: the name of such a subscription says that something matched.
        let all = wanted.keys().filter(|(_, there)| !is_search(there));
        let all: Vec<(Kind, String)> = all.cloned().collect();
        for (kind, reference) in all {
            let mut above = objects_above(&reference).map(|object| (kind, object.to_owned()));
            if let Some(above) = above.find(|above| wanted.contains_key(above))
                && let Some(standing) = wanted.remove(&(kind, reference.clone()))
            {
                wanted.entry(above).or_default().extend(standing);
            }
        }
        // For commands that take a while, whoever runs them.
        let kind = Kind::OperationComplete;
        for path in service.ready() {
            for there in references(service, kind, path) {
                wanted.entry((kind, there)).or_default();
            }
        }
        wanted
    }

    pub(super) fn subscribed(
        &mut self,
        now: Now,
        service: u32,
        id: &str,
        result: Result<Response, UspError>,
    ) {
        let Some(known) = self.services.by_number.get_mut(&service) else {
            return;
        };
        let Some(there) = known.subscriptions.get_mut(id) else {
            return;
        };
        let made = match &result {
            Ok(Response::AddResp(response)) => response.created_obj_results.first(),
            _ => None,
        };
        let refused = match (made.map(|one| &one.oper_status), &result) {
            (Some(msg::CreateStatus::OperSuccess(made)), _) => {
                there.row = Row::Is(made.instantiated_path.clone());
                None
            }
            (Some(msg::CreateStatus::OperFailure(failure)), _) => Some(failure.err_code),
            (None, Err(error)) => Some(error.code.0),
            (None, Ok(_)) => Some(ErrorCode::INTERNAL_ERROR.0),
        };
        match refused {
            None => known.wait = SERVICE_AGAIN_MIN,
            Some(code) if lasts(code) => {
                there.row = Row::Refused;
                tracing::warn!(agent = %self.own, service, reference = there.reference, ?result, "a service takes no subscription");
            }
            Some(_) => {
                there.row = Row::Later;
                // Once for all of them.
                if known.again.is_none() {
                    tracing::warn!(agent = %self.own, service, reference = there.reference, ?result, "a service takes no subscription now");
                }
                known.ask_again(now);
            }
        }
        self.subscribe_next(service);
        // Once for all that are under way: one of them may not be wanted any more.
        let known = self.services.by_number.get(&service);
        if known.is_some_and(|known| known.subscribing() == 0) {
            self.sync_service(service);
        }
    }

    /// A service reports something.
    pub fn service_notified(&mut self, now: Now, service: u32, notify: Notify) {
        let Some(known) = self.services.by_number.get(&service) else {
            return;
        };
        let Some(there) = known.subscriptions.get(&notify.subscription_id) else {
            return;
        };
        let (kind, path) = subject(&notify.notification);
        if kind != Some(there.kind) || !known.owns(&path) {
            tracing::debug!(service = %known.endpoint_id, path, "a service reports what is not its own");
            return;
        }
        let (reference, stands_for) = (there.reference.clone(), there.stands_for.clone());
        if let Notification::OperComplete(complete) = &notify.notification
            && self.service_completed(now, service, complete)
        {
            return;
        }
        let Some(notify) = self.keep_early(service, notify) else {
            return;
        };
        let Some(kind) = kind else { return };
        let concerned = |engine: &Engine, subscription: &Subscription| {
            let whose = subscription.controller;
            let names = |one: &String| !is_search(one) && Pattern::simple(one).covers(&path);
            let mut all = subscription.references.iter();
            if kind == Kind::OperationComplete {
                return all.any(names);
            }
            if !is_search(&reference) {
                // Each of these was subscribed to under one name, so that nothing is told twice.
                return all.any(|one| stands_for.contains(one) && names(one));
            }
            all.any(|one| stands_for.contains(one) && engine.searches(whose, one).is_ok())
                // It hears of it by that name.
                && !subscription.references.iter().any(names)
        };
        self.notify_where(now, kind, None, concerned, |_, actor| {
            told(actor, &path, &notify.notification)
        });
    }
}

/// Kinds and references at a service, with the references here that they stand for.
type Wanted = BTreeMap<(Kind, String), BTreeSet<String>>;

/// What a reference here is at a service. Events and commands are named one by one: not every service takes an object
/// for all that happens in it.
fn references(service: &Service, kind: Kind, reference: &str) -> Vec<String> {
    let tops: Vec<&str> = if service.owns(reference) {
        vec![reference]
    } else if is_search(reference) {
        Vec::new()
    } else {
        let above = Pattern::simple(reference);
        service.ready().filter(|path| above.covers(path)).collect()
    };
    let elements = |object: &SupportedObjectResult| -> Vec<String> {
        let events = object.supported_events.iter().map(|one| &one.event_name);
        let commands = object.supported_commands.iter();
        let commands = commands.filter(|one| one.command_type != CmdType::SYNC);
        let commands = commands.map(|one| &one.command_name);
        match kind {
            Kind::Event => events.cloned().collect(),
            Kind::OperationComplete => commands.cloned().collect(),
            _ => Vec::new(),
        }
    };
    let mut out = Vec::new();
    for top in tops {
        let object = top.ends_with('.') || top.ends_with(']') || top.ends_with('*');
        match (kind, object) {
            (Kind::Event, true) | (Kind::OperationComplete, true) => {
                let Ok(path) = Path::parse(top) else { continue };
                let supported = path.supported();
                for object in &service.objects {
                    let Some(rest) = object.supported_obj_path.strip_prefix(&supported) else {
                        continue;
                    };
                    let rest = rest.replace("{i}", "*");
                    let names = elements(object).into_iter();
                    out.extend(names.map(|name| format!("{}{rest}{name}", path.as_str())));
                }
            }
            (_, true) => out.push(top.to_owned()),
            (_, false) if fits(kind, top) => out.push(top.to_owned()),
            _ => {}
        }
    }
    out
}

/// The objects around what a reference names, the outermost first.
fn objects_above(reference: &str) -> impl Iterator<Item = &str> {
    let inner = reference.strip_suffix('.').unwrap_or(reference);
    inner.match_indices('.').map(|(at, _)| &inner[..=at])
}

/// What a notification is about.
fn subject(notification: &Notification) -> (Option<Kind>, String) {
    match notification {
        Notification::ValueChange(one) => (Some(Kind::ValueChange), one.param_path.clone()),
        Notification::ObjCreation(one) => (Some(Kind::ObjectCreation), one.obj_path.clone()),
        Notification::ObjDeletion(one) => (Some(Kind::ObjectDeletion), one.obj_path.clone()),
        Notification::Event(one) => {
            let path = format!("{}{}", one.obj_path, one.event_name);
            (Some(Kind::Event), path)
        }
        Notification::OperComplete(one) => {
            let path = format!("{}{}", one.obj_path, one.command_name);
            (Some(Kind::OperationComplete), path)
        }
        _ => (None, String::new()),
    }
}

/// The notification as a role may hear it.
fn told(actor: &Actor, path: &str, notification: &Notification) -> Option<Notification> {
    let field = match notification {
        Notification::ValueChange(_) => Field::Param,
        Notification::ObjCreation(_) => Field::Obj,
        Notification::ObjDeletion(_) => Field::InstantiatedObj,
        _ => Field::CommandEvent,
    };
    let of = match field {
        Field::Obj => row(path).map_or(path, |(table, _)| table),
        _ => path,
    };
    if !actor.allows(field, Right::Notify, of) {
        return None;
    }
    let mut notification = notification.clone();
    if let Notification::ObjCreation(one) = &mut notification {
        one.unique_keys = readable(actor, path, &one.unique_keys);
    }
    Some(notification)
}

/// Whether an element can be the subject of such a subscription.
fn fits(kind: Kind, path: &str) -> bool {
    match path.as_bytes().last() {
        Some(b')') => kind == Kind::OperationComplete,
        Some(b'!') => kind == Kind::Event,
        _ => kind == Kind::ValueChange,
    }
}
