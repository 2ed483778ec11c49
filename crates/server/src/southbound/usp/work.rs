//! When onboarding runs on a link: at its start where something is missing, after the device says
//! that it started or introduces itself, and again after a failure, later each time.

use std::time::{Duration, Instant};

use super::ask::Asker;
use super::limits::{ONBOARD_RETRY_MAX, ONBOARD_RETRY_MIN};
use super::link::Running;
use super::onboarding::swap::Swapped;
use super::onboarding::{self, Ended, Job};

/// What is to be done on a link, and how it goes. A link without it is content.
#[derive(Default)]
pub struct Work {
    /// The device was never onboarded to the end.
    unfinished: bool,
    /// The device came with a setup key, which is to be replaced by its own token: the path it came with,
    /// empty over MQTT.
    swap: Option<String>,
    /// Another node was about to replace it.
    elsewhere: bool,
    /// OUI, product class and serial number, as the device introduced itself.
    pub introduced: Option<(String, String, String)>,
    /// Something came up while it ran.
    pub again: bool,
    /// Operations wait until it is done: they would be cut off by the new credential, or come
    /// before their subscriptions.
    pub holds: bool,
    /// When it is tried again.
    pub retry_at: Option<Instant>,
    running: bool,
    failures: u32,
}

impl Work {
    /// What a new link begins with.
    pub fn at_start(unfinished: bool, swap: Option<String>) -> Option<Box<Self>> {
        (unfinished || swap.is_some()).then(|| {
            Box::new(Self {
                unfinished,
                swap,
                again: true,
                holds: true,
                ..Self::default()
            })
        })
    }

    fn wait(&self) -> Duration {
        (ONBOARD_RETRY_MIN * 2u32.saturating_pow(self.failures.min(16))).min(ONBOARD_RETRY_MAX)
    }
}

/// Begins what is to be done, unless it runs already.
pub(super) fn begin(link: &mut Running) {
    let asker = Asker::new(&link.entry, &link.core.limits);
    let Some(work) = &mut link.work else { return };
    let due = work.again || work.retry_at.is_some_and(|at| at <= Instant::now());
    if work.running || !due {
        return;
    }
    // Two at once would do everything twice; this one is told when it is its turn.
    if !link.core.links.begin_work(&link.entry) {
        return;
    }
    let again = std::mem::take(&mut work.again);
    (work.running, work.retry_at) = (true, None);
    let job = Job {
        core: link.core.clone(),
        _ends: link.ends.clone(),
        tenant: link.entry.tenant.clone(),
        transport: link.link.transport(),
        asker,
        unfinished: work.unfinished,
        swap: work.swap.clone(),
        brokered: link.link.is_brokered(),
        // What came up meanwhile is looked at all the same.
        elsewhere: work.elsewhere && !again,
        introduced: work.introduced.clone(),
        stamped: link.session.version(),
    };
    tokio::spawn(onboarding::run(Box::new(job)));
}

impl Running {
    /// Onboarding came to its end.
    pub(super) async fn worked(&mut self, ended: Ended) {
        self.core.links.end_work(&self.entry);
        self.core.next_turn(self.entry.device);
        if ended.swap == Some(Swapped::Given) {
            // It had its time to come back with its own credential, and stayed.
            self.entry.expect(None);
        }
        if let Some(work) = &mut self.work {
            work.running = false;
            work.holds = false;
            if ended.complete {
                (work.unfinished, work.introduced) = (false, None);
            }
            if ended.complete && (work.swap.is_none() || ended.swap.is_some()) {
                work.failures = 0;
            }
            let elsewhere = match ended.swap {
                Some(Swapped::Elsewhere(wait)) => Some(wait),
                Some(Swapped::Given | Swapped::Has | Swapped::Refused) => {
                    (work.swap, work.elsewhere) = (None, false);
                    None
                }
                None => None,
            };
            if let Some(wait) = elsewhere {
                (work.elsewhere, work.retry_at) = (true, Some(Instant::now() + wait));
            } else if !ended.complete || work.swap.is_some() {
                work.retry_at = Some(Instant::now() + work.wait());
                work.failures += 1;
            } else if !work.again {
                self.work = None;
            }
        }
        self.announce().await;
        if self.is_open() {
            begin(self);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_after_failures_grows_to_an_hour() {
        let mut work = Work::default();
        assert_eq!(work.wait(), ONBOARD_RETRY_MIN);
        work.failures = 3;
        assert_eq!(work.wait(), 8 * ONBOARD_RETRY_MIN);
        work.failures = u32::MAX;
        assert_eq!(work.wait(), ONBOARD_RETRY_MAX);
    }

    #[test]
    fn a_content_link_has_no_work() {
        assert!(Work::at_start(false, None).is_none());
        assert!(Work::at_start(false, Some("/usp/hes_x".into())).is_some());
    }
}
