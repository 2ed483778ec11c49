//! What happens by itself: hints of the back end, expiring subscriptions, Periodic!, ScheduleTimer(), onboarding again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::access::Actor;
use super::operate::Running;
use super::state::Delta;
use super::{CONTROLLERS, Effect, Engine, Held, SUBSCRIPTIONS, clock};
use crate::{Call, Hint, Now, Watch};

/// What is due for one controller, in unix milliseconds.
#[derive(Debug, Default, Clone)]
pub(crate) struct Due {
    periodic: Option<i64>,
    on_board: Option<i64>,
    on_boarding: bool,
}

impl Engine {
    /// Does what is due, takes hints, and says when it wants to be called again at the latest.
    pub fn tick(&mut self, now: Now) -> Option<Instant> {
        self.last = now;
        let mut hints = self.notifier.take();
        if !hints.is_empty() || self.backend_due.is_some_and(|due| due <= now.at) {
            let Engine {
                backend,
                state,
                schema,
                ..
            } = self;
            let again = backend.tick(now, &Held { schema, state }, &mut hints);
            self.backend_due = again.map(|wait| now.at + wait);
        }
        for hint in hints {
            self.hint(now, hint);
        }
        for (id, result) in std::mem::take(&mut self.finished) {
            self.complete(now, id, result);
        }
        self.expire_subscriptions(now);
        self.periodic(now);
        self.run_timers(now);
        self.on_board_again(now);
        let services = self.ask_services_again(now);
        let poll = match self.backend.watch() {
            Watch::Poll(every) if !self.watched.is_empty() => {
                if now.at >= self.compare_at {
                    self.compare_watched(now);
                    self.compare_at = now.at + every;
                }
                Some(self.compare_at)
            }
            _ => None,
        };
        let due = |unix_ms: i64| {
            now.at + Duration::from_millis(unix_ms.saturating_sub(now.unix_ms).max(0) as u64)
        };
        let subscriptions = self
            .subscriptions
            .iter()
            .filter_map(|subscription| subscription.expires);
        let controllers = self
            .due
            .values()
            .flat_map(|due| [due.periodic, due.on_board])
            .flatten();
        let timers = self.timers.values().copied();
        let wall = subscriptions
            .chain(controllers)
            .chain(timers)
            .min()
            .map(due);
        let all = [self.backend_due, poll, wall, services];
        all.into_iter().flatten().min()
    }

    fn hint(&mut self, now: Now, hint: Hint) {
        match hint {
            Hint::Changed(path) => self.value_changed(now, &path),
            Hint::Added(object) => {
                let table = object.trim_end_matches('.').rsplit_once('.');
                if let Some((table, Ok(number))) =
                    table.map(|(table, n)| (format!("{table}."), n.parse()))
                {
                    self.after_commit(now, &[Delta::Inserted(table, number)], None);
                }
            }
            Hint::Removed(object) => {
                let table = object.trim_end_matches('.').rsplit_once('.');
                if let Some((table, Ok(number))) =
                    table.map(|(table, n)| (format!("{table}."), n.parse()))
                {
                    self.after_commit(now, &[Delta::Removed(table, number)], None);
                }
            }
            Hint::Event(path, args) => self.event(now, &path, args, None),
            Hint::Completed(id, result) => self.complete(now, id, result),
            Hint::Store(path, value) => {
                self.state.set(&path, &value);
                let deltas = self.state.deltas();
                self.persist_quietly();
                self.after_commit(now, &deltas, None);
            }
            Hint::Restart(restart) => self.note_restart(restart),
            Hint::LookAgain => {
                self.compare_watched(now);
            }
        }
    }

    fn expire_subscriptions(&mut self, now: Now) {
        let expired: Vec<u32> = self
            .subscriptions
            .iter()
            .filter(|subscription| subscription.expires.is_some_and(|at| at <= now.unix_ms))
            .map(|subscription| subscription.instance)
            .collect();
        if expired.is_empty() {
            return;
        }
        for n in expired {
            self.state.remove(SUBSCRIPTIONS, n);
        }
        if let Err(fault) = self.commit(now, None) {
            tracing::error!(agent = %self.own, %fault, "expired subscriptions cannot be removed");
            self.subscriptions
                .retain(|subscription| subscription.expires.is_none_or(|at| at > now.unix_ms));
        }
    }

    /// Recomputes what is due for controllers after their rows changed.
    pub(crate) fn reschedule_controllers(&mut self, now: Now, deltas: &[Delta]) {
        let mut before = std::mem::take(&mut self.due);
        let rows: Vec<u32> = self.state.instances(CONTROLLERS).collect();
        for n in rows {
            let row = format!("{CONTROLLERS}{n}.");
            if !self.held_true(&format!("{row}Enable")) {
                continue;
            }
            let changed = |name: &str| {
                deltas.iter().any(|delta| matches!(delta, Delta::Value(path, _) if path == &format!("{row}{name}")))
            };
            let mut due = before.remove(&n).unwrap_or_default();
            if due.periodic.is_none()
                || changed("PeriodicNotifInterval")
                || changed("PeriodicNotifTime")
            {
                due.periodic = self.next_periodic(now, n);
            }
            let complete = self.held_true(&format!("{row}OnBoardingComplete"));
            if complete {
                if due.on_boarding {
                    self.effects.push_back(Effect::OnBoardingDone(n));
                }
                due.on_boarding = false;
                due.on_board = None;
            } else if !due.on_boarding {
                due.on_boarding = true;
                self.effects.push_back(Effect::OnBoard(n));
            }
            self.due.insert(n, due);
        }
    }

    /// The next `PeriodicNotifTime + n * PeriodicNotifInterval`; without a time, one interval from now.
    fn next_periodic(&self, now: Now, controller: u32) -> Option<i64> {
        let row = format!("{CONTROLLERS}{controller}.");
        let interval =
            (self.held_number(&format!("{row}PeriodicNotifInterval")) as i64).checked_mul(1000)?;
        if interval <= 0 {
            return None;
        }
        let phase = match clock::parse_ms(&self.held(&format!("{row}PeriodicNotifTime"))) {
            0 => now.unix_ms,
            phase => phase,
        };
        let passed = now.unix_ms.saturating_sub(phase).rem_euclid(interval);
        Some(now.unix_ms + interval - passed)
    }

    fn periodic(&mut self, now: Now) {
        let due: Vec<u32> = self
            .due
            .iter()
            .filter(|(_, due)| due.periodic.is_some_and(|at| at <= now.unix_ms))
            .map(|(n, _)| *n)
            .collect();
        for n in due {
            self.event(now, "Device.LocalAgent.Periodic!", Vec::new(), Some(n));
            let interval =
                self.held_number(&format!("{CONTROLLERS}{n}.PeriodicNotifInterval")) as i64 * 1000;
            let next = self.next_periodic(now, n);
            if let Some(due) = self.due.get_mut(&n) {
                // Steps of the interval, so that lateness does not add up (TP-469 1.59); a gap in time starts anew.
                let step = due
                    .periodic
                    .map(|at| at + interval)
                    .filter(|at| *at > now.unix_ms);
                due.periodic = step.or(next);
            }
        }
    }

    /// The OnBoardRequest was answered: again after OnBoardingRestartTime unless it is complete (TP-469 1.102, 1.103).
    pub fn on_board_answered(&mut self, now: Now, controller: u32) {
        let row = format!("{CONTROLLERS}{controller}.");
        let restart = self.held_number(&format!("{row}OnBoardingRestartTime"));
        if let Some(due) = self
            .due
            .get_mut(&controller)
            .filter(|due| due.on_boarding && restart > 0)
        {
            due.on_board = Some(
                now.unix_ms
                    .saturating_add((restart as i64).saturating_mul(1000)),
            );
        }
    }

    fn on_board_again(&mut self, now: Now) {
        for (n, due) in &mut self.due {
            if due.on_board.is_some_and(|at| at <= now.unix_ms) {
                due.on_board = None;
                self.effects.push_back(Effect::OnBoard(*n));
            }
        }
    }

    /// `SendOnBoardRequest()`.
    pub(crate) fn on_board(&mut self, controller: u32) {
        let due = self.due.entry(controller).or_default();
        due.on_board = None;
        due.on_boarding = true;
        // One that is queued already (the change of OnBoardingComplete queues one) is enough.
        if !self.effects.contains(&Effect::OnBoard(controller)) {
            self.effects.push_back(Effect::OnBoard(controller));
        }
    }

    /// A timer survives restarts, so it is noted in the state.
    pub(crate) fn note_timer(&mut self, call: &Call, actor: &Actor, due: i64) {
        let originator = actor.controller.map_or(String::new(), |n| {
            self.held(&format!("{CONTROLLERS}{n}.EndpointID"))
        });
        self.timers.insert(call.id, due);
        self.state.set(
            &format!("~timer.{}", call.id),
            &format!("{due}\t{originator}\t{}", call.command_key),
        );
        self.persist_quietly();
    }

    pub(crate) fn forget_timer(&mut self, id: u32) {
        if self.timers.remove(&id).is_some() {
            self.state.unset(&format!("~timer.{id}"));
            self.persist_quietly();
        }
    }

    fn run_timers(&mut self, now: Now) {
        let due: Vec<u32> = self
            .timers
            .iter()
            .filter(|(_, at)| **at <= now.unix_ms)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.complete(now, id, Ok(Vec::new()));
        }
    }

    /// Timers that were running before the restart run on.
    pub(crate) fn restore_timers(&mut self) {
        let mut timers = BTreeMap::new();
        for (_, id, note) in self.state.values_below("~timer.") {
            let mut fields = note.splitn(3, '\t');
            let id = id.parse::<u32>();
            let (Ok(id), Some(Ok(due)), Some(originator), Some(key)) = (
                id,
                fields.next().map(str::parse),
                fields.next(),
                fields.next(),
            ) else {
                continue;
            };
            let command = "Device.ScheduleTimer()".to_owned();
            let (originator, command_key) = (originator.to_owned(), key.to_owned());
            timers.insert(
                id,
                (
                    due,
                    Running {
                        originator,
                        command,
                        command_key,
                        status: "Active",
                    },
                ),
            );
        }
        for (id, (due, running)) in timers {
            self.next_request = self.next_request.max(id);
            self.timers.insert(id, due);
            self.requests.insert(id, running);
        }
    }
}
