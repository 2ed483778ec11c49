//! Notifications of an agent until they are delivered, with the waits between their retries.
//! Deliberately in memory: an agent's Triggered and retry state does not survive a reboot
//! (R-NOT.4), and events that must are the data model's concern.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Event;
use crate::codec;
use crate::error::{Error, UspError};
use crate::limits;
use crate::link::Via;
use crate::msg::{Msg, Notify};
use crate::retry::{Random, RetryPolicy};
use crate::session::earlier;

/// A notification of this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NotifyId(u64);

/// Why a notification will not be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// Its retries lasted as long as they may (`NotifExpiration`).
    Expired,
    /// It was sent once, and not answered.
    Unanswered,
    /// It was sent once, and answered with an Error.
    Refused(UspError),
    /// It was sent once, and the channel closed before the answer.
    ChannelClosed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be sent as soon as there is a channel.
    Due,
    /// Sent; what to do at that moment when it is not answered depends on the policy.
    Sent(Instant),
}

struct Pending {
    id: NotifyId,
    state: State,
    what: Undelivered,
}

/// A notification that is not delivered yet, on its way from one session with a controller to another one with the same.
/// It keeps its message id, by which the controller knows it again (R-NOT.3).
#[derive(Debug)]
pub struct Undelivered {
    msg_id: Box<str>,
    payload: Vec<u8>,
    attempts: u32,
    /// How it was sent last.
    via: Via,
    wants_answer: bool,
    retry: Option<RetryPolicy>,
    expires: Option<Instant>,
}

pub(super) struct Notifies {
    prefix: u64,
    next: u64,
    random: Random,
    /// The last moment we were told, for the waits of what is sent now.
    now: Option<Instant>,
    pending: VecDeque<Pending>,
}

impl Notifies {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        Self {
            prefix: random.next(),
            next: 1,
            random,
            now: None,
            pending: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn push(
        &mut self,
        now: Instant,
        mut notify: Notify,
        retry: Option<RetryPolicy>,
    ) -> Result<NotifyId, Error> {
        self.now = Some(now);
        if self.pending.len() >= limits::NOTIFIES_PENDING_MAX {
            return Err(Error::LimitExceeded {
                limit: "NOTIFIES_PENDING_MAX",
                max: limits::NOTIFIES_PENDING_MAX,
            });
        }
        // R-NOT.1: NotifRetry means send_resp
        notify.send_resp |= retry.is_some();
        let wants_answer = notify.send_resp;
        let id = NotifyId(self.next);
        let msg_id = format!("{:x}-{}", self.prefix, id.0);
        let payload = codec::encode_msg(&Msg::request(msg_id.clone(), notify));
        codec::check_size(payload.len() + 1024)?;
        if !self.has_room(payload.len()) {
            return Err(Error::LimitExceeded {
                limit: "NOTIFIES_PENDING_BYTES_MAX",
                max: limits::NOTIFIES_PENDING_BYTES_MAX,
            });
        }
        let expires = retry
            .and_then(|policy| policy.expires)
            .and_then(|after| now.checked_add(after));
        Ok(self.hold(Undelivered {
            msg_id: msg_id.into(),
            payload,
            attempts: 0,
            via: Via::Plain,
            wants_answer,
            retry,
            expires,
        }))
    }

    /// One alone may be as large as a record.
    fn has_room(&self, more: usize) -> bool {
        let held: usize = self.pending.iter().map(|one| one.what.payload.len()).sum();
        held == 0 || held + more <= limits::NOTIFIES_PENDING_BYTES_MAX
    }

    fn hold(&mut self, what: Undelivered) -> NotifyId {
        let id = NotifyId(self.next);
        self.next += 1;
        let state = State::Due;
        self.pending.push_back(Pending { id, state, what });
        id
    }

    /// Takes a notification away, to be sent by another session.
    pub(super) fn take(&mut self, id: NotifyId) -> Option<Undelivered> {
        let at = self.pending.iter().position(|pending| pending.id == id)?;
        self.remove(at).map(|pending| pending.what)
    }

    /// Takes a notification over; gives it back where there is no room.
    pub(super) fn adopt(
        &mut self,
        now: Instant,
        what: Undelivered,
    ) -> Result<NotifyId, Undelivered> {
        self.now = Some(now);
        let full = self.pending.len() >= limits::NOTIFIES_PENDING_MAX;
        if full || !self.has_room(what.payload.len()) {
            return Err(what);
        }
        Ok(self.hold(what))
    }

    pub(super) fn cancel(&mut self, id: NotifyId) -> bool {
        self.take(id).is_some()
    }

    fn remove(&mut self, at: usize) -> Option<Pending> {
        let removed = self.pending.remove(at);
        if self.pending.is_empty() {
            self.pending = VecDeque::new();
        }
        removed
    }

    /// What waits for an answer will not get it on the old channel: it is sent on the new one.
    pub(super) fn channel_opened(&mut self, now: Instant) {
        self.now = Some(now);
        for pending in self
            .pending
            .iter_mut()
            .filter(|pending| pending.what.retry.is_some())
        {
            pending.state = State::Due;
        }
    }

    pub(super) fn channel_closed(&mut self, now: Instant, events: &mut VecDeque<Event>) {
        self.now = Some(now);
        self.pending.retain(|pending| {
            let lost = pending.what.retry.is_none() && pending.state != State::Due;
            if lost {
                events.push_back(Event::GaveUp {
                    id: pending.id,
                    why: GaveUp::ChannelClosed,
                });
            }
            !lost
        });
    }

    /// Whether an answer comes in plain text to what was sent in a session context: it could be anybody's. R-MSG.0a
    pub(super) fn is_beside(&self, msg_id: &str, via: Via) -> bool {
        let mut sent = self.pending.iter().map(|pending| &pending.what);
        via == Via::Plain && sent.any(|what| what.via == Via::Context && *what.msg_id == *msg_id)
    }

    /// Ends a notification by its answer; false when nobody waits for it. R-NOT.9: by message id,
    /// not by subscription id.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        msg_id: &str,
        result: Result<(), UspError>,
        events: &mut VecDeque<Event>,
    ) -> bool {
        self.now = Some(now);
        let known =
            |pending: &Pending| pending.what.attempts > 0 && *pending.what.msg_id == *msg_id;
        let Some(at) = self.pending.iter().position(known) else {
            return false;
        };
        let id = self.pending[at].id;
        match result {
            Ok(()) => events.push_back(Event::Delivered { id }),
            // It is not delivered, so the retries go on.
            Err(_) if self.pending[at].what.retry.is_some() => return true,
            Err(error) => events.push_back(Event::GaveUp {
                id,
                why: GaveUp::Refused(error),
            }),
        }
        self.remove(at);
        true
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, events: &mut VecDeque<Event>) {
        self.now = Some(now);
        self.pending.retain_mut(|pending| {
            let mut give_up = |why| {
                events.push_back(Event::GaveUp {
                    id: pending.id,
                    why,
                });
                false
            };
            if pending.what.expires.is_some_and(|expires| expires <= now) {
                return give_up(GaveUp::Expired);
            }
            match pending.state {
                State::Sent(until) if until <= now && pending.what.retry.is_none() => {
                    give_up(GaveUp::Unanswered)
                }
                State::Sent(until) if until <= now => {
                    pending.state = State::Due;
                    true
                }
                _ => true,
            }
        });
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let moment = |pending: &Pending| match pending.state {
            State::Due => pending.what.expires,
            State::Sent(until) => earlier(Some(until), pending.what.expires),
        };
        self.pending.iter().filter_map(moment).min()
    }

    /// The next message that is due, which is sent in this way. What asks for no answer is over with it.
    pub(super) fn poll_transmit(
        &mut self,
        via: Via,
        events: &mut VecDeque<Event>,
    ) -> Option<Vec<u8>> {
        let now = self.now?;
        let at = self
            .pending
            .iter()
            .position(|pending| pending.state == State::Due)?;
        let pending = &mut self.pending[at];
        if !pending.what.wants_answer {
            events.push_back(Event::Delivered { id: pending.id });
            return self.remove(at).map(|pending| pending.what.payload);
        }
        pending.what.attempts += 1;
        pending.what.via = via;
        // R-NOT.2
        let wait: Duration = match &pending.what.retry {
            Some(policy) => policy.wait(pending.what.attempts, self.random.next()),
            None => limits::NOTIFY_ANSWER_WAIT,
        };
        pending.state = State::Sent(now + wait);
        Some(pending.what.payload.clone())
    }
}
