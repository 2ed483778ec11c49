//! The events that a CPE owes to its ACS, and the reports that go with some of them, until they are
//! delivered. Deliberately no session.

use std::collections::VecDeque;

use crate::error::Error;
use crate::event::{Cause, Delivery, EventCode, Keep};
use crate::limits;
use crate::rpc::{EventStruct, Request};

/// A request of the CPE that waits for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) id: u64,
    pub(super) request: Request,
    /// The events that are delivered with it.
    pub(super) events: Vec<EventStruct>,
    /// The session in which it was tried last, so that it is tried once in each.
    pub(super) tried: u64,
}

/// An event that is not delivered.
#[derive(Clone, Debug)]
struct Pending {
    event: EventStruct,
    /// Whether it is reason enough for a session; a value change by passive notification is not.
    active: bool,
    /// It happened again after the Inform that tells it was written; whether that is reason enough.
    again: Option<bool>,
}

impl Pending {
    fn is(&self, event: &EventStruct) -> bool {
        self.event.code == event.code
            && (!event.code.is_multiple() || self.event.command_key == event.command_key)
    }
}

/// Events and reports, oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    events: Vec<Pending>,
    reports: VecDeque<Report>,
}

impl Queue {
    /// Adds an event; those that come once are there once.
    pub(super) fn raise(&mut self, event: EventStruct, active: bool) -> Result<(), Error> {
        self.room_for(std::slice::from_ref(&event))?;
        self.push(event, active);
        Ok(())
    }

    fn push(&mut self, event: EventStruct, active: bool) {
        match self.events.iter_mut().find(|known| known.is(&event)) {
            Some(known) => {
                known.active |= active;
                known.again = Some(known.again.unwrap_or_default() | active);
            }
            None => self.events.push(Pending {
                event,
                active,
                again: None,
            }),
        }
    }

    /// Whether these fit. The numbered codes always do, since there is one of each and their places
    /// are kept free: no backlog of finished transfers silences a boot.
    fn room_for(&self, events: &[EventStruct]) -> Result<(), Error> {
        let new = |event: &&EventStruct| !self.events.iter().any(|known| known.is(event));
        let counts = |event: &&EventStruct| !event.code.is_numbered();
        let more = events.iter().filter(counts).filter(new).count();
        let full = self.events().filter(counts).count();
        let max = limits::INFORM_EVENTS_MAX - EventCode::NUMBERED;
        match more == 0 || full + more <= max {
            true => Ok(()),
            false => Err(Error::LimitExceeded {
                limit: "INFORM_EVENTS_MAX",
                max: limits::INFORM_EVENTS_MAX,
            }),
        }
    }

    /// Adds a report and its events.
    pub(super) fn report(
        &mut self,
        id: u64,
        request: Request,
        events: Vec<EventStruct>,
    ) -> Result<(), Error> {
        if self.reports.len() >= limits::REPORTS_MAX {
            return Err(Error::LimitExceeded {
                limit: "REPORTS_MAX",
                max: limits::REPORTS_MAX,
            });
        }
        self.room_for(&events)?;
        for event in &events {
            self.push(event.clone(), true);
        }
        self.reports.push_back(Report {
            id,
            request,
            events,
            tried: 0,
        });
        Ok(())
    }

    /// Whether a session is called for.
    pub(super) fn is_wanted(&self) -> bool {
        !self.reports.is_empty() || self.events.iter().any(|pending| pending.active)
    }

    pub(super) fn events(&self) -> impl Iterator<Item = &EventStruct> {
        self.events.iter().map(|pending| &pending.event)
    }

    pub(super) fn reports(&self) -> usize {
        self.reports.len()
    }

    /// What the Inform says that is written now. A heartbeat goes alone; the others wait for a
    /// session after it.
    pub(super) fn for_inform(&mut self) -> Vec<EventStruct> {
        for pending in &mut self.events {
            pending.again = None;
        }
        match self
            .events()
            .find(|event| event.code == EventCode::Heartbeat)
        {
            Some(event) => vec![event.clone()],
            None => self.events().cloned().collect(),
        }
    }

    /// The ACS has the Inform with these events. What happened again since it was written is still
    /// to be told.
    pub(super) fn informed(&mut self, told: &[EventStruct]) {
        self.events.retain_mut(|pending| {
            let event = &pending.event;
            if event.code.delivery() != Delivery::Inform || !told.contains(event) {
                return true;
            }
            pending.active = pending.again.unwrap_or_default();
            pending.again.is_some()
        });
    }

    /// Whether another session would only tell again what a good one with these events has told:
    /// events that go with a report, without a report.
    pub(super) fn is_stuck(&self, told: &[EventStruct]) -> bool {
        let mut active = self.events.iter().filter(|pending| pending.active);
        self.is_wanted()
            && self.reports.is_empty()
            && active.all(|Pending { event, .. }| {
                event.code.delivery() == Delivery::Report && told.contains(event)
            })
    }

    /// The next report to try in a session.
    pub(super) fn next_report(&mut self, session: u64) -> Option<&Report> {
        let mut reports = self.reports.iter_mut();
        let report = reports.find(|report| report.tried != session)?;
        report.tried = session;
        Some(report)
    }

    /// A report is delivered, or given up: so are its events, unless another one has them too.
    pub(super) fn remove_report(&mut self, id: u64) {
        let Some(at) = self.reports.iter().position(|report| report.id == id) else {
            return;
        };
        let Some(report) = self.reports.remove(at) else {
            return;
        };
        for event in report.events {
            let shared = self
                .reports
                .iter()
                .any(|other| other.events.contains(&event));
            self.events.retain(|known| shared || known.event != event);
        }
    }

    /// A session in which the ACS took the Inform with these events is over. What is left came
    /// during it, or goes with a report that is left.
    pub(super) fn session_ended(&mut self) {
        self.forget(|event| {
            event.code.keep() == Keep::Session && event.code.delivery() == Delivery::Report
        });
    }

    /// A session that told these events has failed, so they are still to be told.
    pub(super) fn session_failed(&mut self, told: &[EventStruct]) {
        let again = self.events.iter().filter(|known| known.again.is_some());
        let again: Vec<_> = again.map(|known| known.event.clone()).collect();
        self.forget(|event| {
            event.code.keep() == Keep::Session && told.contains(event) && !again.contains(event)
        });
        for pending in &mut self.events {
            pending.active |= told.contains(&pending.event);
        }
    }

    /// Forgets events, the reports that are announced by nothing else, and those that nothing
    /// announces.
    fn forget(&mut self, gone: impl Fn(&EventStruct) -> bool) {
        self.events.retain(|pending| !gone(&pending.event));
        self.reports
            .retain(|report| !report.events.iter().all(&gone));
    }

    /// The CPE restarts; with `factory`, as if it were new.
    pub(super) fn rebooted(&mut self, factory: bool) {
        if factory {
            *self = Self::default();
        }
        self.forget(|event| event.code.keep() != Keep::Delivered);
    }
}

/// The events that announce a report.
pub(super) fn events_of(request: &Request, cause: Option<Cause>) -> Option<Vec<EventStruct>> {
    let method = |cause, key: &String| EventStruct::with_key(EventCode::Method(cause), key);
    Some(match request {
        Request::TransferComplete(report) => vec![
            EventStruct::new(EventCode::TransferComplete),
            method(cause.unwrap_or(Cause::Download), &report.command_key),
        ],
        Request::DuStateChangeComplete(report) => vec![
            EventStruct::new(EventCode::DuStateChangeComplete),
            method(Cause::ChangeDuState, &report.command_key),
        ],
        Request::AutonomousTransferComplete(_) => {
            vec![EventStruct::new(EventCode::AutonomousTransferComplete)]
        }
        Request::AutonomousDuStateChangeComplete(_) => {
            vec![EventStruct::new(EventCode::AutonomousDuStateChangeComplete)]
        }
        Request::RequestDownload(_) => vec![EventStruct::new(EventCode::RequestDownload)],
        Request::Kicked(_) => vec![EventStruct::new(EventCode::Kicked)],
        Request::GetRpcMethods(_) => vec![],
        _ => return None,
    })
}
