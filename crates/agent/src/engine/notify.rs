//! Subscriptions: who hears of what, and how often it is tried. Deliberately no sending and no retry clock: an
//! [`Outgoing`] carries the policy, and `usp::agent::Session` keeps to it.

use std::time::Duration;

use usp::RetryPolicy;
use usp::proto::msg::{self, Notification};

use super::access::{Actor, Field, Right};
use super::paths::{Pattern, is_search, list_items, split};
use super::{CONTROLLERS, Effect, Engine, SUBSCRIPTIONS};
use crate::limits::{TRIGGER_SETTINGS_MAX, WATCHED_VALUES_MAX};
use crate::{Now, Watch};

/// `NotifType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    ValueChange,
    ObjectCreation,
    ObjectDeletion,
    OperationComplete,
    Event,
}

impl Kind {
    pub fn parse(text: &str) -> Option<Kind> {
        Some(match text {
            "ValueChange" => Kind::ValueChange,
            "ObjectCreation" => Kind::ObjectCreation,
            "ObjectDeletion" => Kind::ObjectDeletion,
            "OperationComplete" => Kind::OperationComplete,
            "Event" => Kind::Event,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Kind::ValueChange => "ValueChange",
            Kind::ObjectCreation => "ObjectCreation",
            Kind::ObjectDeletion => "ObjectDeletion",
            Kind::OperationComplete => "OperationComplete",
            Kind::Event => "Event",
        }
    }
}

/// A notification to be sent to one controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Instance of `Device.LocalAgent.Controller.{i}.`.
    pub controller: u32,
    /// Instance of `Device.LocalAgent.Subscription.{i}.`; 0 for an OnBoardRequest.
    pub subscription: u32,
    /// What is sent.
    pub notify: msg::Notify,
    /// How it is repeated until answered; `None`: sent once.
    pub retry: Option<RetryPolicy>,
}

/// An enabled subscription, ready to match.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub instance: u32,
    pub controller: u32,
    id: String,
    pub kind: Kind,
    pub references: Vec<String>,
    retry: bool,
    expiration: u64,
    /// Unix milliseconds at which it goes away.
    pub expires: Option<i64>,
    notifies: bool,
    config: Vec<String>,
}

impl Engine {
    /// Reads the Subscription table again.
    pub(crate) fn rebuild_subscriptions(&mut self, now: Now) {
        let before: Vec<u32> = self.subscriptions.iter().map(|s| s.instance).collect();
        let rows: Vec<u32> = self.state.instances(SUBSCRIPTIONS).collect();
        self.subscriptions = rows
            .into_iter()
            .filter_map(|n| self.read_subscription(n))
            .collect();
        for gone in before
            .into_iter()
            .filter(|n| !self.subscriptions.iter().any(|s| s.instance == *n))
        {
            self.effects.push_back(Effect::SubscriptionGone(gone));
        }
        self.rewatch(now);
        self.sync_subscriptions();
    }

    /// Instance of the controller that a subscription is for.
    pub(crate) fn recipient(&self, row: &str) -> Option<u32> {
        let recipient = self.held(&format!("{row}Recipient"));
        recipient.rsplit('.').next()?.parse().ok()
    }

    fn read_subscription(&self, instance: u32) -> Option<Subscription> {
        let row = format!("{SUBSCRIPTIONS}{instance}.");
        if !self.held_true(&format!("{row}Enable")) {
            return None;
        }
        let controller = self.recipient(&row)?;
        if !self.held_true(&format!("{CONTROLLERS}{controller}.Enable")) {
            return None;
        }
        let ttl = self.held_number(&format!("{row}TimeToLive"));
        let created = super::clock::parse_ms(&self.held(&format!("{row}CreationDate")));
        let action = self.held(&format!("{row}TriggerAction"));
        let config = self.held(&format!("{row}TriggerConfigSettings"));
        Some(Subscription {
            instance,
            controller,
            id: self.held(&format!("{row}ID")),
            kind: Kind::parse(&self.held(&format!("{row}NotifType")))?,
            references: list_items(&self.held(&format!("{row}ReferenceList")))
                .map(str::to_owned)
                .collect(),
            retry: self.held_true(&format!("{row}NotifRetry")),
            expiration: self.held_number(&format!("{row}NotifExpiration")),
            expires: (ttl > 0).then(|| created.saturating_add((ttl as i64).saturating_mul(1000))),
            notifies: action != "Config",
            config: match action.as_str() {
                "Config" | "NotifyAndConfig" => list_items(&config)
                    .take(TRIGGER_SETTINGS_MAX)
                    .map(str::to_owned)
                    .collect(),
                _ => Vec::new(),
            },
        })
    }

    /// Queues a notification for every subscription of `kind` whose references cover `path`; `make` builds it or
    /// returns `None` when the controller's role does not allow it to hear (TP-469 2.20: silently).
    pub(crate) fn notify_subscribers(
        &mut self,
        now: Now,
        kind: Kind,
        path: &str,
        make: impl Fn(&Engine, &Actor) -> Option<Notification>,
    ) {
        self.notify_some(now, kind, path, None, make);
    }

    /// As above, to one controller only when `only` says so (Periodic! is each controller's own).
    pub(crate) fn notify_some(
        &mut self,
        now: Now,
        kind: Kind,
        path: &str,
        only: Option<u32>,
        make: impl Fn(&Engine, &Actor) -> Option<Notification>,
    ) {
        let concerned = |engine: &Engine, subscription: &Subscription| {
            let mut references = subscription.references.iter();
            references.any(|reference| engine.covers(subscription.controller, reference, path))
        };
        self.notify_where(now, kind, only, concerned, make);
    }

    /// As above, where `wanted` says which subscriptions it concerns.
    pub(crate) fn notify_where(
        &mut self,
        now: Now,
        kind: Kind,
        only: Option<u32>,
        wanted: impl Fn(&Engine, &Subscription) -> bool,
        make: impl Fn(&Engine, &Actor) -> Option<Notification>,
    ) {
        let mut triggered = Vec::new();
        for n in 0..self.subscriptions.len() {
            let subscription = &self.subscriptions[n];
            let concerned = subscription.kind == kind
                && only.is_none_or(|only| only == subscription.controller)
                && subscription
                    .expires
                    .is_none_or(|expires| now.unix_ms < expires)
                && wanted(self, subscription);
            if !concerned
                || !self.state.exists(CONTROLLERS, subscription.controller)
                    && kind != Kind::ObjectDeletion
            {
                continue;
            }
            let controller = subscription.controller;
            // Its row may be gone by now (last ObjectDeletion): then it had its rights until now.
            let actor = match self.state.exists(CONTROLLERS, controller) {
                true => self.actor(controller),
                false => Actor::agent().into(),
            };
            let subscription = &self.subscriptions[n];
            let Some(notification) = make(self, &actor) else {
                continue;
            };
            if subscription.notifies {
                let notify = msg::Notify {
                    subscription_id: subscription.id.clone(),
                    send_resp: subscription.retry,
                    notification,
                };
                let retry = subscription.retry.then(|| {
                    let expires = (subscription.expiration > 0)
                        .then(|| Duration::from_secs(subscription.expiration));
                    RetryPolicy {
                        expires,
                        ..self.notify_policy(subscription.controller)
                    }
                });
                let subscription = subscription.instance;
                self.effects.push_back(Effect::Notify(Outgoing {
                    controller,
                    subscription,
                    notify,
                    retry,
                }));
            }
            let subscription = &self.subscriptions[n];
            if !subscription.config.is_empty() {
                triggered.push((controller, subscription.config.clone()));
            }
        }
        for (controller, settings) in triggered {
            self.trigger(now, controller, &settings);
        }
    }

    /// Whether a reference of a controller covers a path. What may not be read is not searched by here, either: what
    /// comes, and what does not, would tell it (R-GIN.0).
    pub(crate) fn covers(&self, controller: u32, reference: &str, path: &str) -> bool {
        match is_search(reference) {
            false => Pattern::simple(reference).covers(path),
            true => self
                .patterns(&self.compile_actor(controller), reference)
                .iter()
                .any(|pattern| pattern.covers(path)),
        }
    }

    /// How often a controller's notifications are repeated.
    pub(crate) fn notify_policy(&self, controller: u32) -> RetryPolicy {
        let row = format!("{CONTROLLERS}{controller}.");
        RetryPolicy {
            min_wait: Duration::from_secs(
                self.held_number(&format!("{row}USPNotifRetryMinimumWaitInterval"))
                    .max(1),
            ),
            multiplier: self
                .held_number(&format!("{row}USPNotifRetryIntervalMultiplier"))
                .max(1000) as u32,
            expires: None,
        }
    }

    /// `TriggerConfigSettings`: `Path=Value`, with the rights of the subscriber (TP-469 1.93, 1.94). Runs after the
    /// message that triggered it is final; what it changes may trigger others, but not itself again.
    fn trigger(&mut self, now: Now, controller: u32, settings: &[String]) {
        if self.triggering {
            return;
        }
        self.triggering = true;
        let actor = self.actor(controller);
        let update = settings
            .iter()
            .filter_map(|setting| setting.split_once('='))
            .map(|(path, value)| {
                let (object, param) = split(path.trim());
                let value = value
                    .trim()
                    .trim_matches('"')
                    .replace("%22", "\"")
                    .replace("%25", "%");
                msg::UpdateObject {
                    obj_path: object.to_owned(),
                    param_settings: vec![msg::ParamSetting {
                        param: param.to_owned(),
                        value,
                        required: true,
                    }],
                }
            });
        let request = msg::Set {
            allow_partial: true,
            update_objs: update.collect(),
        };
        if let Err(error) = self.set(now, &actor, request) {
            tracing::info!(agent = %self.own, %error, "a triggered configuration was refused");
        }
        self.triggering = false;
    }

    /// A value changed; those who may know are told.
    pub(crate) fn value_changed(&mut self, now: Now, path: &str) {
        if !self
            .subscriptions
            .iter()
            .any(|subscription| subscription.kind == Kind::ValueChange)
        {
            return;
        }
        let Some(value) = self.value(now, path) else {
            return;
        };
        if let Some(known) = self.watched.get_mut(path) {
            *known = value.clone();
        }
        self.notify_subscribers(now, Kind::ValueChange, path, |engine, actor| {
            let right = actor.allows(Field::Param, Right::Notify, path);
            let secret = engine.param_def(path).is_some_and(|def| def.secured) && !actor.secured;
            let param_value = if secret { String::new() } else { value.clone() };
            right.then(|| {
                Notification::ValueChange(msg::ValueChange {
                    param_path: path.to_owned(),
                    param_value,
                })
            })
        });
    }

    /// An event happened at `path` (`Device.LocalAgent.Periodic!`).
    pub(crate) fn event(
        &mut self,
        now: Now,
        path: &str,
        args: Vec<(String, String)>,
        only: Option<u32>,
    ) {
        let (object, name) = split(path);
        self.notify_some(now, Kind::Event, path, only, |_, actor| {
            actor
                .allows(Field::CommandEvent, Right::Notify, path)
                .then(|| {
                    Notification::Event(msg::Event {
                        obj_path: object.to_owned(),
                        event_name: name.to_owned(),
                        params: args.iter().cloned().collect(),
                    })
                })
        });
    }

    /// For back ends that do not tell: which values are compared from now on.
    pub(crate) fn rewatch(&mut self, now: Now) {
        if self.backend.watch() == Watch::Hints {
            return;
        }
        let references: Vec<String> = self
            .subscriptions
            .iter()
            .filter(|subscription| subscription.kind == Kind::ValueChange)
            .flat_map(|subscription| subscription.references.iter().cloned())
            .collect();
        let mut watched = std::collections::BTreeMap::new();
        let agent = Actor::agent();
        for reference in references {
            let request = msg::Get {
                param_paths: vec![reference],
                max_depth: 0,
            };
            let Ok(response) = self.get(now, &agent, request) else {
                continue;
            };
            for object in response
                .req_path_results
                .into_iter()
                .flat_map(|result| result.resolved_path_results)
            {
                for (name, value) in object.result_params.iter() {
                    let path = format!("{}{name}", object.resolved_path);
                    // Counters change all the time; the model says that they need not be notified.
                    let silent = self
                        .param_def(&path)
                        .is_none_or(|def| def.notify == dm::NotifyRule::CanDeny);
                    if !silent && watched.len() < WATCHED_VALUES_MAX {
                        watched.insert(path, value.to_owned());
                    }
                }
            }
        }
        self.watched = watched;
    }

    /// Compares watched values and tells subscribers. Those of rows that have gone have not changed.
    pub(crate) fn compare_watched(&mut self, now: Now) {
        let changed: Vec<String> = self
            .watched
            .iter()
            .filter(|(path, known)| self.value(now, path).is_some_and(|value| value != **known))
            .filter(|(path, _)| self.has_rows(now, split(path).0))
            .map(|(path, _)| path.clone())
            .collect();
        for path in changed {
            self.value_changed(now, &path);
        }
    }
}
