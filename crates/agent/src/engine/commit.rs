//! The end of a message: apply to the device, persist, then tell subscribers and the driver. In this order, so that
//! nothing is acknowledged that a crash could forget.

use std::collections::HashSet;

use super::access::{Field, Right};
use super::paths::{list_items, row, split};
use super::state::Delta;
use super::{Effect, Engine, Held};
use crate::storage::Entry;
use crate::{Change, Fault, Now};

impl Engine {
    /// Makes the changes in the undo log final, or takes all of them back.
    pub(crate) fn commit(&mut self, now: Now, by: Option<u32>) -> Result<(), Fault> {
        self.prune_references();
        let deltas = self.state.deltas();
        if deltas.is_empty() {
            self.state.forget_undo();
            return Ok(());
        }
        let (changes, inverse) = self.device_changes(&deltas);
        if !changes.is_empty() {
            self.backend_due = Some(now.at);
            let Engine {
                backend,
                state,
                schema,
                ..
            } = self;
            if let Err(fault) = backend.apply(now, &changes, &Held { schema, state }) {
                self.state.rollback(super::state::Mark::START);
                return Err(fault);
            }
        }
        if let Err(error) = self.persist() {
            tracing::error!(%error, agent = %self.own, "the state cannot be saved; the change is taken back");
            self.state.rollback(super::state::Mark::START);
            let Engine {
                backend,
                state,
                schema,
                ..
            } = self;
            if !inverse.is_empty()
                && let Err(fault) = backend.apply(now, &inverse, &Held { schema, state })
            {
                tracing::error!(%fault, "the device did not take the change back");
            }
            return Err(Fault::internal("the device cannot save its state"));
        }
        self.after_commit(now, &deltas, by);
        Ok(())
    }

    /// Saves what the undo log says and forgets it.
    pub(crate) fn persist(&mut self) -> Result<(), crate::StorageError> {
        let entries = self.state.entries();
        let full = if entries.is_empty() {
            false
        } else {
            self.storage.commit(&entries)?
        };
        self.state.forget_undo();
        if full && let Err(error) = self.storage.compact(&self.state.snapshot()) {
            // The journal is still whole: it is merely longer than it should be.
            tracing::warn!(%error, "the state journal cannot be compacted");
        }
        Ok(())
    }

    /// Saves without telling anybody; a failure costs a note, not the agent.
    pub(crate) fn persist_quietly(&mut self) {
        if let Err(error) = self.persist() {
            tracing::error!(%error, agent = %self.own, "the state cannot be saved");
            self.state.forget_undo();
        }
    }

    /// The changes as the device gets them, and how to take them back.
    fn device_changes(&self, deltas: &[Delta]) -> (Vec<Change>, Vec<Change>) {
        let ours = |path: &str| super::is_own(path) || path.starts_with('~');
        let mut changes = Vec::new();
        let mut inverse = Vec::new();
        for delta in deltas {
            match delta {
                Delta::Value(path, before) if !ours(path) => {
                    // Values of a deleted row: the row's deletion says it all.
                    if let Some(value) = self.state.value(path) {
                        changes.push(Change::Value {
                            path: path.clone(),
                            value: value.to_owned(),
                        });
                    }
                    let before = before.clone().unwrap_or_else(|| self.initial_value(path));
                    inverse.push(Change::Value {
                        path: path.clone(),
                        value: before,
                    });
                }
                Delta::Inserted(table, n) if !ours(table) => {
                    changes.push(Change::Added {
                        path: format!("{table}{n}."),
                    });
                    inverse.push(Change::Deleted {
                        path: format!("{table}{n}."),
                    });
                }
                Delta::Removed(table, n) if !ours(table) => {
                    changes.push(Change::Deleted {
                        path: format!("{table}{n}."),
                    });
                    inverse.push(Change::Added {
                        path: format!("{table}{n}."),
                    });
                }
                _ => {}
            }
        }
        inverse.reverse();
        (changes, inverse)
    }

    fn initial_value(&self, path: &str) -> String {
        self.param_def(path)
            .map(super::values::initial)
            .unwrap_or_default()
            .to_owned()
    }

    /// Strong references to what is gone go as well (R-ARC.12); subscriptions of a deleted controller, too
    /// (TP-469 1.78).
    fn prune_references(&mut self) {
        let gone: Vec<String> = self.removed_objects();
        if gone.is_empty() {
            return;
        }
        let orphans: Vec<u32> = self
            .state
            .instances(super::SUBSCRIPTIONS)
            .filter(|n| {
                let recipient = self.held(&format!("{}{n}.Recipient", super::SUBSCRIPTIONS));
                gone.iter()
                    .any(|object| format!("{recipient}.").starts_with(object.as_str()))
            })
            .collect();
        for n in orphans {
            self.state.remove(super::SUBSCRIPTIONS, n);
        }
        let is_gone = |item: &str| {
            let dotted = format!("{}.", item.trim_end_matches('.'));
            gone.iter()
                .any(|object| dotted.starts_with(object.as_str()))
        };
        let updates: Vec<(String, String)> = self
            .state
            .values_below("Device.")
            .filter(|(_, _, value)| value.starts_with("Device.") && list_items(value).any(is_gone))
            .filter(|(object, name, _)| {
                let def = self.object_def(object).and_then(|def| def.param(name));
                def.is_some_and(|def| def.ty.reference == Some(dm::Reference::Strong))
            })
            .map(|(object, name, value)| {
                let left: Vec<&str> = list_items(value).filter(|item| !is_gone(item)).collect();
                ([object, name].concat(), left.join(","))
            })
            .collect();
        for (path, value) in updates {
            self.state.set(&path, &value);
        }
    }

    fn removed_objects(&self) -> Vec<String> {
        self.state
            .entries()
            .into_iter()
            .filter_map(|entry| match entry {
                Entry::Remove(table, n) => Some(format!("{table}{n}.")),
                _ => None,
            })
            .collect()
    }

    /// Subscribers hear of it; the driver hears of changed controllers.
    pub(crate) fn after_commit(&mut self, now: Now, deltas: &[Delta], by: Option<u32>) {
        let touches = |prefix: &str| {
            deltas.iter().any(|delta| match delta {
                Delta::Value(path, _) => path.starts_with(prefix),
                Delta::Inserted(table, _) | Delta::Removed(table, _) => table.starts_with(prefix),
            })
        };
        let controllers = touches("Device.LocalAgent.Controller.");
        if controllers || touches("Device.LocalAgent.ControllerTrust.") {
            self.actors.clear();
        }
        // With the subscriptions as they were, so that a deleted controller hears of its own end (R-NOT).
        let new_rows: HashSet<String> = deltas
            .iter()
            .filter_map(|delta| match delta {
                Delta::Inserted(table, n) => Some(format!("{table}{n}.")),
                _ => None,
            })
            .collect();
        for delta in deltas {
            match delta {
                Delta::Value(path, _) => {
                    let (object, name) = split(path);
                    if !in_one_of(&new_rows, object)
                        && !path.starts_with('~')
                        && self.state.value(path).is_some()
                        && !name.is_empty()
                    {
                        self.value_changed(now, path);
                    }
                }
                Delta::Inserted(table, n) => {
                    self.row_created(now, &format!("{table}{n}."));
                    self.count_changed(now, table);
                }
                Delta::Removed(table, n) => {
                    self.row_deleted(now, &format!("{table}{n}."));
                    self.count_changed(now, table);
                }
            }
        }
        if controllers || touches("Device.LocalAgent.Subscription.") {
            self.rebuild_subscriptions(now);
        } else if touches("Device.LocalAgent.ControllerTrust.") {
            // Some may search by what they could not search by, or no longer.
            self.sync_subscriptions();
        }
        if controllers || touches("Device.LocalAgent.ControllerTrust.") {
            self.reschedule_controllers(now, deltas);
            self.effects.push_back(Effect::ControllersChanged);
        } else if [
            super::mqtt::MQTT,
            super::stomp::STOMP,
            "Device.LocalAgent.MTP.",
        ]
        .into_iter()
        .any(touches)
        {
            self.effects.push_back(Effect::ControllersChanged);
        }
        if touches("Device.LocalAgent.MTP.") {
            self.effects.push_back(Effect::ListenersChanged);
        }
        tracing::debug!(agent = %self.own, ?by, changes = deltas.len(), "data model changed");
    }

    /// The `...NumberOfEntries` of a table is a value like others.
    fn count_changed(&mut self, now: Now, table: &str) {
        let Some(def) = self.table_def(table) else {
            return;
        };
        let name = match &def.entries_param {
            Some(name) => name.to_string(),
            None => format!("{}NumberOfEntries", def.name()),
        };
        let (parent, _) = split(table.trim_end_matches('.'));
        let path = format!("{parent}{name}");
        self.value_changed(now, &path);
    }

    /// A row is known to subscribers with the `n` right on its table.
    fn row_created(&mut self, now: Now, object: &str) {
        let keys = self.keys_for(now, &super::access::Actor::agent(), object);
        self.notify_subscribers(
            now,
            super::notify::Kind::ObjectCreation,
            object,
            |engine, actor| {
                let table = row(object).map_or(object, |(table, _)| table);
                if !actor.allows(Field::Obj, Right::Notify, table) {
                    return None;
                }
                let mut unique_keys = keys.clone();
                if actor.controller.is_some() {
                    unique_keys = engine.keys_for(now, actor, object);
                }
                let creation = usp::proto::msg::ObjectCreation {
                    obj_path: object.to_owned(),
                    unique_keys,
                };
                Some(usp::proto::msg::Notification::ObjCreation(creation))
            },
        );
    }

    fn row_deleted(&mut self, now: Now, object: &str) {
        self.notify_subscribers(
            now,
            super::notify::Kind::ObjectDeletion,
            object,
            |_, actor| {
                actor
                    .allows(Field::InstantiatedObj, Right::Notify, object)
                    .then(|| {
                        usp::proto::msg::Notification::ObjDeletion(
                            usp::proto::msg::ObjectDeletion {
                                obj_path: object.to_owned(),
                            },
                        )
                    })
            },
        );
    }
}

/// `object` is one of the rows or below one.
fn in_one_of(rows: &HashSet<String>, object: &str) -> bool {
    !rows.is_empty()
        && object
            .match_indices('.')
            .any(|(at, _)| rows.contains(&object[..=at]))
}
