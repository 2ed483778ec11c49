//! The task of one session: the protocol's state machine, the POSTs that come for it, and the
//! conversation that asks. It owns the order of things: nothing is answered before the conversation
//! has stored it, and the conversation comes to its end before the session does.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use ::cwmp::acs::{Post, Reply, Session};
use bytes::Bytes;
use mtp::ws::Seat;
use tokio::sync::{mpsc, oneshot};

use super::aside::at_length;
use super::body::Room;
use super::conversation::quirks::Cookies;
use super::core::{Core, Culprit, Owner, Stop};
use super::door::{Proof, Shown};
use super::limits::{COMING_LOOK_EVERY, DECODE_BYTES_MAX, SESSION_POSTS};
use super::record::Record;
use super::sessions::Handle;
use super::talk::{Heard, Talk};
use super::whose::Whose;
use crate::southbound::slots::Slot;

/// What the doctor calls a device whose session is on another node.
pub const ELSEWHERE: &str = "session-elsewhere";

/// The same in words.
pub fn elsewhere(node: &str) -> String {
    format!("its session is on {node}: it begins anew; the load balancer has to keep it there")
}

/// What comes for a session.
#[derive(Debug)]
pub enum Input {
    /// A POST of the device.
    Post(Posted),
    /// A connection that carried some of its POSTs is gone.
    Closed {
        /// Its number.
        line: u64,
        /// The device has never shown the session's cookie: without the connection it cannot come
        /// back.
        lost: bool,
    },
    /// A request of the device came to nothing on the way; it was told so by HTTP.
    Unread {
        /// What the doctor calls that.
        reason: &'static str,
        /// In words.
        detail: String,
        /// The status it was answered with.
        status: u16,
    },
    /// It ends now.
    Stop(Stop),
}

/// A POST.
#[derive(Debug)]
pub struct Posted {
    /// Its body, decompressed.
    pub body: Bytes,
    /// Its `Content-Type`.
    pub content_type: Option<String>,
    /// The number of the connection it came over.
    pub line: u64,
    /// Where that comes from.
    pub peer: SocketAddr,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Answer>,
    /// Room for the body; given back when it is answered, since until then what it says is held.
    pub room: Option<Room>,
}

/// What a POST is answered with.
#[derive(Debug)]
pub enum Answer {
    /// What the protocol says.
    Reply(Reply),
    /// Who it is has to be proved anew.
    Challenge,
    /// It is not let in.
    Refused(u16),
    /// Not now.
    Later,
}

impl Answer {
    /// Its HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Reply(reply) => reply.status,
            Self::Challenge => 401,
            Self::Refused(status) => *status,
            Self::Later => 503,
        }
    }
}

/// A session that begins.
pub struct New {
    /// Its number.
    pub number: u64,
    /// What its first request has proved.
    pub shown: Shown,
    /// Where it comes from; without a port where a proxy of ours does not tell it.
    pub peer: SocketAddr,
    /// See [`Handle::whose`].
    pub whose: Arc<Whose>,
    /// See [`Handle::from`].
    pub from: Option<(SocketAddr, Arc<Proof>)>,
    /// What the connection and the request tell, for people.
    pub info: serde_json::Value,
    /// The other node that has the session its cookie names.
    pub elsewhere: Option<String>,
    /// Its room.
    pub slot: Slot<Owner>,
    /// Its place among those of its address.
    pub seat: Seat,
}

/// Begins a session; it ends by itself.
pub fn begin(core: &Arc<Core>, new: New) -> Handle {
    let (inbox, inputs) = mpsc::channel(SESSION_POSTS);
    let handle = Handle {
        number: new.number,
        user: new.shown.user.clone(),
        owner: new.shown.proof.tenant().cloned(),
        inbox,
        coming: Arc::default(),
        cookies: Arc::default(),
        whose: new.whose.clone(),
        from: new.from.clone(),
    };
    core.sessions.enter(handle.clone());
    metrics::counter!("headend_cwmp_sessions_total").increment(1);
    let (coming, cookies) = (handle.coming.clone(), handle.cookies.clone());
    tokio::spawn(run(core.clone(), new, inputs, coming, cookies));
    handle
}

/// Gives the place back, whatever happens.
struct Place {
    core: Arc<Core>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.core.sessions.leave(self.number);
    }
}

async fn run(
    core: Arc<Core>,
    new: New,
    inputs: mpsc::Receiver<Input>,
    coming: Arc<AtomicUsize>,
    cookies: Arc<OnceLock<Cookies>>,
) {
    let New {
        number,
        shown,
        peer,
        whose,
        from: _,
        info,
        elsewhere,
        slot,
        seat,
    } = new;
    let place = Place {
        core: core.clone(),
        number,
    };
    let now = Instant::now();
    let mut running = Running {
        session: Session::new(core.protocol.clone(), now, number),
        core,
        inputs,
        cookies,
        whose,
        shown,
        peer,
        info,
        elsewhere,
        posts: 0,
        pending: None,
        line: 0,
        begun: now,
        noted: now,
        who: None,
        talk: None,
        stopped: None,
        turned: None,
        record: None,
        coming,
        body: None,
        room: None,
    };
    running.serve().await;
    // A POST that comes from now on begins a new session: see `post`. For those that came before,
    // the device has to come again.
    running.inputs.close();
    while let Ok(input) = running.inputs.try_recv() {
        if let Input::Post(posted) = input {
            let _ = posted.reply.send(Answer::Later);
        }
    }
    drop((place, slot, seat));
}

/// A session at work.
pub(super) struct Running {
    pub(super) core: Arc<Core>,
    pub(super) session: Session,
    inputs: mpsc::Receiver<Input>,
    /// See [`Handle::cookies`].
    pub(super) cookies: Arc<OnceLock<Cookies>>,
    /// See [`Handle::whose`].
    pub(super) whose: Arc<Whose>,
    pub(super) shown: Shown,
    pub(super) peer: SocketAddr,
    pub(super) info: serde_json::Value,
    /// See [`New::elsewhere`].
    pub(super) elsewhere: Option<String>,
    /// How many POSTs were taken.
    pub(super) posts: u64,
    /// The POST that is not answered yet.
    pub(super) pending: Option<oneshot::Sender<Answer>>,
    /// The connection that it, or the last one, came over.
    line: u64,
    pub(super) begun: Instant,
    /// When it was last written down that the device is there.
    noted: Instant,
    /// The device that the session is of, as it calls itself.
    pub(super) who: Option<::cwmp::rpc::DeviceId>,
    pub(super) talk: Option<Box<Talk>>,
    /// Why it was told to end.
    pub(super) stopped: Option<Stop>,
    /// Why the device was turned away.
    pub(super) turned: Option<String>,
    /// What was said, once it is known who says it.
    pub(super) record: Option<Box<Record>>,
    /// Messages that are on their way.
    coming: Arc<AtomicUsize>,
    /// What came last, until it is known what it means.
    pub(super) body: Option<Bytes>,
    /// The room of what is not answered yet.
    room: Option<Room>,
}

/// What happens next.
enum Next {
    Input(Option<Input>),
    Heard(Heard),
    Time,
}

impl Running {
    async fn serve(&mut self) {
        loop {
            self.pump().await;
            let nothing = self.who.is_none() && self.line != 0;
            if self.talk.is_none() && (nothing || self.session.is_ended()) {
                // What came first was no Inform, or it is over. Whatever comes next begins anew.
                return;
            }
            let until = tokio::time::Instant::from_std(self.wake_at());
            let next = tokio::select! {
                input = self.inputs.recv() => Next::Input(input),
                heard = heard(&mut self.talk) => Next::Heard(heard),
                () = tokio::time::sleep_until(until) => Next::Time,
            };
            match next {
                Next::Input(Some(Input::Post(posted))) => self.posted(posted),
                Next::Input(Some(Input::Closed { line, lost })) => self.closed(line, lost),
                Next::Input(Some(Input::Unread {
                    reason,
                    detail,
                    status,
                })) => self.unread(reason, detail, status),
                Next::Input(Some(Input::Stop(why))) => self.stop(why),
                // Held by the table, so this is the end of everything.
                Next::Input(None) => self.stop(Stop::Shutdown),
                Next::Heard(heard) => self.heard(heard).await,
                Next::Time => self.time(),
            }
        }
    }

    fn wake_at(&self) -> Instant {
        let end = self.begun + self.core.limits.session_time_max;
        let due = match self.is_coming() {
            true => Some(Instant::now() + COMING_LOOK_EVERY),
            false => self.session.poll_timeout(),
        };
        due.map_or(end, |due| due.min(end))
    }

    /// Whether it is the device's turn, and its message is on its way: that is no silence, however
    /// slow its line is.
    fn is_coming(&self) -> bool {
        self.pending.is_none() && self.coming.load(Ordering::Relaxed) > 0
    }

    fn time(&mut self) {
        let now = Instant::now();
        if now >= self.begun + self.core.limits.session_time_max {
            self.complain("session-too-long", Stop::TooLong.words());
            self.stop(Stop::TooLong);
        }
        match self.is_coming() {
            true => self.hear(),
            false => self.session.handle_timeout(now),
        }
    }

    /// The device has said something. Where its session lasts, that is written down now and then: it
    /// is not gone.
    fn hear(&mut self) {
        let Some(talk) = &self.talk else { return };
        let at = crate::state::now();
        talk.entry.hear(at);
        if self.noted.elapsed() >= self.core.limits.stays_every {
            self.noted = Instant::now();
            let (visits, guest) = (&self.core.visits, &talk.guest);
            visits.stays(&guest.tenant, guest.device, at);
        }
    }

    fn posted(&mut self, posted: Posted) {
        let Posted {
            body,
            content_type,
            line,
            peer,
            reply,
            room,
        } = posted;
        let post = Post {
            body: &body,
            content_type: content_type.as_deref(),
        };
        (self.line, self.peer) = (line, peer);
        self.posts += 1;
        self.hear();
        let session = &mut self.session;
        let taken = at_length(body.len(), DECODE_BYTES_MAX, || {
            session.handle_input(Instant::now(), post)
        });
        match taken {
            // The same again gets the answer; who came with it before is gone.
            Ok(()) => {
                self.pending = Some(reply);
                self.room = room;
                if !body.iter().all(u8::is_ascii_whitespace) {
                    self.body = Some(body);
                } else if let Some(record) = &mut self.record {
                    record.nothing();
                }
            }
            Err(error) => {
                self.refused(&error);
                let refused = Reply::refused();
                if let Some(record) = &mut self.record {
                    record.raw("refused", &body);
                    record.note(&error.to_string());
                    record.turned_away(refused.status);
                }
                let _ = reply.send(Answer::Reply(refused));
            }
        }
    }

    fn unread(&mut self, reason: &'static str, detail: String, status: u16) {
        if let Some(record) = &mut self.record {
            record.note(&format!("a request could not be taken: {detail}"));
            record.turned_away(status);
        }
        self.complain(reason, detail);
    }

    fn closed(&mut self, line: u64, lost: bool) {
        // One that was left for another says nothing.
        if line != self.line {
            return;
        }
        let waited = self.pending.take().is_some();
        if let Some(record) = &mut self.record
            && waited
        {
            record.note("its connection broke while it waited for an answer");
        }
        if lost {
            self.session.abandon(Instant::now());
        } else {
            self.session.connection_closed();
        }
    }

    /// Ends the session; the conversation comes to its end with it.
    pub(super) fn stop(&mut self, why: Stop) {
        self.stopped.get_or_insert(why);
        self.session.abandon(Instant::now());
    }

    /// Sends what is to be sent and takes what happened, until there is nothing of either.
    async fn pump(&mut self) {
        loop {
            while let Some(reply) = self.session.poll_transmit() {
                if let Some(record) = &mut self.record {
                    record.sent(reply.clone());
                }
                if let Some(pending) = self.pending.take() {
                    // It may be gone; the session has the answer still.
                    let _ = pending.send(Answer::Reply(reply));
                }
                self.room = None;
            }
            match self.session.poll_event() {
                Some(event) => Box::pin(self.event(event)).await,
                None => break,
            }
        }
        let body = self.body.take();
        if let Some(record) = &mut self.record {
            if let Some(body) = body.filter(|_| record.is_owing()) {
                // It was answered without a word to us.
                record.raw("request", &body);
            }
            record.settle();
        }
    }

    /// Who this is, for complaints.
    pub(super) fn culprit(&self) -> Culprit {
        let guest = self.talk.as_ref().map(|talk| &talk.guest);
        Culprit {
            tenant: guest
                .map(|guest| guest.tenant.clone())
                .or_else(|| self.shown.proof.tenant().cloned()),
            device: guest.map(|guest| guest.device),
            peer: self.peer,
            // Until it says who it is: the user as whom it comes.
            name: self
                .who
                .as_ref()
                .map_or_else(|| self.shown.user_name(), super::name::of),
        }
    }

    pub(super) fn complain(&self, reason: &str, detail: impl Into<String>) {
        self.core.complain(&self.culprit(), reason, detail);
    }
}

/// What happens in the conversation; nothing where there is none.
async fn heard(talk: &mut Option<Box<Talk>>) -> Heard {
    match talk {
        Some(talk) => talk.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// `DECODE_BYTES_MAX`
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_takes_long_to_read_does_not_hold_up_other_sessions() {
        let reads = tokio::spawn(async {
            let (done, other) = std::sync::mpsc::channel();
            tokio::spawn(async move { done.send(()) });
            at_length(DECODE_BYTES_MAX + 1, DECODE_BYTES_MAX, || {
                other.recv_timeout(Duration::from_secs(10))
            })
        });
        assert_eq!(reads.await.unwrap(), Ok(()));
    }
}
