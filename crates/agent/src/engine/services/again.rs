//! What a service has not answered, for no reason that lasts, it is asked again: a path that it has registered is its own
//! until it gives it back, and a subscription is wanted as long as controllers have theirs.

use std::time::Instant;

use super::super::Engine;
use super::{Known, Row, Service};
use crate::Now;
use crate::limits::SERVICE_AGAIN_MAX;

impl Engine {
    /// Asks again where it is time. Says when the next one is due.
    pub(crate) fn ask_services_again(&mut self, now: Now) -> Option<Instant> {
        let services = self.services.by_number.iter_mut();
        let due = services.filter(|(_, known)| known.again.is_some_and(|at| at <= now.at));
        let mut again = Vec::new();
        for (number, known) in due {
            known.again = None;
            for there in known.subscriptions.values_mut() {
                if there.row == Row::Later {
                    there.row = Row::Wanted;
                }
            }
            let mut paths = Vec::new();
            for (path, state) in &mut known.paths {
                if *state == Known::Silent {
                    *state = Known::Asked;
                    paths.push(path.clone());
                }
            }
            again.push((*number, paths));
        }
        if !again.is_empty() {
            self.sync_subscriptions();
        }
        for (service, paths) in again {
            for path in paths {
                self.describe_path(service, path);
            }
        }
        let look = self.look_at_runs(now);
        let services = self.services.by_number.values();
        services.filter_map(|known| known.again).chain(look).min()
    }
}

impl Service {
    /// It has not answered.
    pub(super) fn ask_again(&mut self, now: Now) {
        if self.again.is_none() {
            self.again = Some(now.at + self.wait);
            self.wait = SERVICE_AGAIN_MAX.min(2 * self.wait);
        }
    }

    /// How many subscriptions it is being asked for.
    pub(super) fn subscribing(&self) -> usize {
        let all = self.subscriptions.values();
        all.filter(|there| there.row == Row::Asked).count()
    }
}

/// Whether a service that says so would say it again: the subscription itself is what it does not like.
pub(super) fn lasts(code: u32) -> bool {
    matches!(code, 7004 | 7006..=7021 | 7025 | 7026)
}
