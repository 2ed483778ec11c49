//! What a session makes of each event of the protocol and of the conversation.

use std::time::Instant;

use ::cwmp::acs::{End, Event, Ignored, PeerError, Token};
use ::cwmp::error::{DecodeError, DecodeErrorKind};
use ::cwmp::event::EventCode;
use ::cwmp::rpc::{DeviceId, Inform};
use ::cwmp::soap::Oddities;
use ::cwmp::{Error, Fault, FaultCode, Request, Version};

use api::reach::QuirkPack;
use http::StatusCode;
use serde_json::json;

use super::VERSION;
use super::admission::{self, Turned};
use super::conversation::quirks::{Challenge, Cookies, Quirks};
use super::core::{Core, Stop};
use super::cpe::{Ask, AskError, Guest};
use super::name;
use super::reach::{self, Reach};
use super::record::Record;
use super::seen::Seen;
use super::session::{self, Answer, Running};
use super::talk::{Begin, Heard, Talk};

/// The reason of those that only their cookie would let go on, and who send none back.
const NO_COOKIE_BEHIND_PROXY: &str = "no-cookie-behind-proxy";

/// What keeps them from it.
const LOST: &str = "it sends no cookie back, and the proxy in cwmp.proxies before it does not tell the port of its connection";

impl Running {
    /// Something happened in the protocol.
    pub(super) async fn event(&mut self, event: Event) {
        match event {
            Event::Informed {
                token,
                inform,
                header,
                version,
                oddities,
            } => {
                self.body = None;
                let rooms = self.core.keeper.rooms();
                let record = Record::new(rooms, &inform, header, oddities);
                self.informed(token, *inform, version, record).await;
                self.undone(oddities);
            }
            Event::Requested {
                token,
                request,
                oddities,
            } => {
                self.requested(&request, oddities);
                let heard = self
                    .talk
                    .as_mut()
                    .is_some_and(|talk| talk.say(token, request));
                if !heard {
                    // Too late for this session: the device says it again in the next one.
                    let fault = Fault::plain(FaultCode::ACS_INTERNAL_ERROR);
                    self.too_late(|session, at| session.respond(at, token, Err(fault)));
                }
            }
            Event::Served { request, oddities } => self.requested(&request, oddities),
            Event::Turn => {
                if let Some(talk) = &mut self.talk {
                    talk.turn = true;
                }
                self.finish_if_silent();
            }
            Event::Answered {
                id,
                result,
                oddities,
            } => {
                let why = self.why();
                self.record_answer(id, &result, oddities, &why);
                self.undone(oddities);
                if let Err(error) = &result {
                    self.wrong(error);
                }
                if let Some(talk) = &mut self.talk {
                    talk.answered(id, result, &why);
                }
            }
            Event::Incompatible { theirs } => {
                self.complain("incompatible-cwmp", format!("it speaks CWMP {theirs}"));
            }
            Event::Ended(end) => self.ended(end).await,
            Event::Ignored(why) => self.ignored(why),
        }
    }

    /// The device asks for something.
    fn requested(&mut self, request: &Request, oddities: Oddities) {
        self.body = None;
        if let Some(record) = &mut self.record {
            record.requested(request, oddities);
        }
        self.undone(oddities);
    }

    /// What came with a message was not looked at: somebody has to know.
    fn undone(&self, oddities: Oddities) {
        for (odd, reason) in [
            (Oddities::UNKNOWN_HEADER, UNKNOWN_HEADER),
            (Oddities::SECOND_MESSAGE, SECOND_MESSAGE),
        ] {
            if oddities.has(odd) {
                let words: Vec<&str> = odd.texts().collect();
                self.complain(reason, format!("it {}", words.join(", ")));
            }
        }
    }

    /// The device says who it is.
    async fn informed(
        &mut self,
        token: Token,
        inform: Inform,
        version: Version,
        record: Box<Record>,
    ) {
        let name = name::of(&inform.device_id);
        let another = self
            .who
            .as_ref()
            .is_some_and(|who| !same(who, &inform.device_id));
        if another {
            // What was proved was proved of the other one.
            let words = format!("it goes on as {name}");
            self.complain("another-device", words.as_str());
            return self.turn_away(Answer::Challenge, words);
        }
        self.who = Some(inform.device_id.clone());
        let (quirks, packs) = self.quirks(&inform);
        self.info[VERSION] = json!(version.as_str());
        if !packs.is_empty() {
            self.info["quirk_packs"] = json!(packs);
        }
        if quirks.cookies == Some(Cookies::None) && self.peer.port() == 0 {
            let words = format!("{LOST}: its next message would be nobody's");
            self.complain(NO_COOKIE_BEHIND_PROXY, words.as_str());
            let refused = Answer::Refused(StatusCode::FORBIDDEN.as_u16());
            return self.turn_away(refused, words);
        }
        let (core, shown) = (&self.core, &self.shown);
        let who = &inform.device_id;
        let admitted = admission::admit(core, shown, who, self.peer, &self.info).await;
        let seen = self.shown.proof.take_seen();
        let core = &self.core;
        match admitted {
            Ok(admitted) => {
                metrics::counter!("headend_cwmp_admissions_total", "result" => "admitted")
                    .increment(1);
                let device = admitted.guest.device;
                self.whose.is(device, who);
                let seen = seen.filter(|seen| seen.known().path.device == device);
                reachable(core, &admitted.guest, &inform, seen.as_ref()).await;
                self.known(&quirks);
                self.record = Some(record);
                let begin = Begin {
                    guest: admitted.guest,
                    entry: admitted.entry,
                    commands: admitted.commands,
                    inform,
                    version,
                    token,
                    seen,
                };
                self.talk = Some(Talk::begin(&self.core, begin));
            }
            Err(turned) => {
                metrics::counter!("headend_cwmp_admissions_total", "result" => "refused")
                    .increment(1);
                self.turned(turned);
            }
        }
    }

    /// What is known of how devices of its kind want to be talked with, and the packs that say so.
    fn quirks(&self, inform: &Inform) -> (Quirks, Vec<QuirkPack>) {
        let id = &inform.device_id;
        let software = inform.ending("DeviceInfo.SoftwareVersion");
        let software = software.unwrap_or_default().trim();
        let (packs, class) = (&self.core.quirks, id.product_class.trim());
        let quirks = packs.of(&id.oui, class, software);
        (quirks, packs.shown(&id.oui, class, software))
    }

    /// How it takes cookies and challenges is so from now on.
    fn known(&self, quirks: &Quirks) {
        if let Some(cookies) = quirks.cookies {
            let _ = self.cookies.set(cookies);
        }
        if let Some(only) = quirks.digest.filter(|only| *only != Challenge::Usual) {
            let offers = &self.core.door.offers;
            offers.learned(self.peer.ip(), only, Instant::now());
        }
    }

    fn turned(&mut self, turned: Turned) {
        match turned {
            Turned::No {
                refusal,
                tenant,
                detail,
            } => {
                let mut culprit = self.culprit();
                culprit.tenant = tenant;
                let words = refusal.as_str();
                self.core.complain(&culprit, words, detail);
                // It may have a better credential, which it shows only when it is asked.
                let answer = match refusal.http_status() {
                    401 => Answer::Challenge,
                    // Devices know how to come again later by no other status.
                    429 => Answer::Later,
                    // No other credential would help.
                    status if admission::is_beyond_help(refusal) => Answer::Refused(status),
                    _ if !self.shown.authorized => Answer::Challenge,
                    status => Answer::Refused(status),
                };
                self.turn_away(answer, words.to_owned());
            }
            Turned::Replaced => {
                let words = "another session of the device has come since";
                self.turn_away(Answer::Later, words.to_owned());
            }
            Turned::Later(why) => {
                tracing::warn!(%why, peer = %self.peer, "a device cannot be let in now");
                self.complain("unavailable", why.as_str());
                self.turn_away(Answer::Later, why);
            }
        }
    }

    /// Answers the open POST in HTTP's own words, and ends.
    fn turn_away(&mut self, answer: Answer, why: String) {
        if let Some(record) = &mut self.record {
            record.turned_away(answer.status());
        }
        self.turned = Some(why);
        if let Some(pending) = self.pending.take() {
            let _ = pending.send(answer);
        }
        self.session.abandon(Instant::now());
    }

    /// Something happened in the conversation.
    pub(super) async fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Stored(token, Some(left_out)) => {
                if let Some(words) = left_out {
                    if let Some(record) = &mut self.record {
                        record.note(&words);
                    }
                    self.complain("values-limit", words);
                }
                self.too_late(|session, at| session.acknowledge(at, token));
            }
            Heard::Stored(_, None) => {
                let words = "what it says could not be stored";
                self.complain("unavailable", words);
                self.turn_away(Answer::Later, words.to_owned());
            }
            Heard::Replied(token, result) => {
                self.too_late(|session, at| session.respond(at, token, result));
            }
            Heard::Asked(ask) => self.asked(ask),
            Heard::Stop(why) => self.stop(why),
            Heard::Silent | Heard::Over => self.finish_if_silent(),
        }
    }

    /// What is answered too late is told again by the device.
    fn too_late(
        &mut self,
        answer: impl FnOnce(&mut ::cwmp::acs::Session, Instant) -> Result<(), Error>,
    ) {
        if let Err(error) = answer(&mut self.session, Instant::now()) {
            tracing::debug!(peer = %self.peer, %error, "an answer came too late");
        }
    }

    fn asked(&mut self, ask: Ask) {
        let Some(talk) = &mut self.talk else { return };
        if let Some(record) = &mut self.record {
            record.asks(&ask.request);
        }
        match self.session.request(Instant::now(), *ask.request) {
            Ok(id) => {
                talk.turn = false;
                talk.asking(id, ask.reply);
            }
            Err(error) => {
                if let Some(record) = &mut self.record {
                    record.unanswered(&error.to_string());
                }
                let _ = ask.reply.send(Err(AskError::Unsent(error.to_string())));
            }
        }
    }

    fn finish_if_silent(&mut self) {
        let Some(talk) = &mut self.talk else { return };
        if talk.turn && talk.is_silent() {
            talk.turn = false;
            talk.leave();
            self.too_late(|session, at| session.finish(at));
        }
    }

    /// Why the session ends, for people.
    fn why(&self) -> String {
        self.stopped
            .map_or_else(|| "the session ended".to_owned(), Stop::words)
    }

    async fn ended(&mut self, end: End) {
        let label = match end {
            End::Complete => "complete",
            End::Silence => "silence",
            End::Superseded => "superseded",
            End::Refused | End::Incompatible => "refused",
            End::Unanswered => "unanswered",
            End::Abandoned => "abandoned",
            End::Limit { .. } => "limit",
        };
        metrics::counter!("headend_cwmp_session_ends_total", "end" => label).increment(1);
        let replaced = matches!(self.stopped, Some(Stop::Replaced(_)));
        let lost = self.is_lost_behind_proxy() && (matches!(end, End::Silence) || replaced);
        let words = match end {
            _ if lost => format!("{LOST}, or makes another one for each message"),
            End::Complete => "the session came to its end".to_owned(),
            End::Silence => "the device fell silent in the middle of its session".to_owned(),
            End::Superseded => "the device began its session anew".to_owned(),
            End::Refused => "its Inform was refused".to_owned(),
            End::Incompatible => "it speaks no version of CWMP that this server does".to_owned(),
            End::Unanswered => "the server did not come to answer it in time".to_owned(),
            End::Abandoned => match (self.stopped, self.turned.take()) {
                (Some(_), _) => self.why(),
                (None, Some(why)) => format!("the device was turned away: {why}"),
                (None, None) => "the connection broke, and the device cannot continue".to_owned(),
            },
            End::Limit { limit, max } => format!(
                "it said too much in one session: {}",
                ::cwmp::limits::beyond(limit, max)
            ),
        };
        let record = self.record.take();
        let Some(mut talk) = self.talk.take() else {
            return;
        };
        if let Some(record) = record {
            let kept = record.end(&talk.guest, self.peer, &words);
            self.core.keeper.keep(kept);
        }
        match end {
            _ if lost => self.complain_of(&talk, NO_COOKIE_BEHIND_PROXY, &words),
            End::Silence => self.complain_of(&talk, "session-silence", &words),
            End::Limit { .. } => self.complain_of(&talk, "session-limit", &words),
            End::Abandoned if replaced => {
                self.complain_of(&talk, "session-replaced", &words);
            }
            End::Unanswered => {
                tracing::warn!(device = %talk.guest.device, "an Inform was not answered in time");
            }
            _ => {}
        }
        talk.finish().await;
        tracing::debug!(device = %talk.guest.device, words, "session ended");
    }

    /// Whether the device went on after its Inform, and that could not be told to be its: only the cookie tells whose a
    /// message is where a proxy of ours does not tell the connection.
    fn is_lost_behind_proxy(&self) -> bool {
        self.posts == 1 && self.core.strays.since(self.peer.ip(), self.begun)
    }

    fn complain_of(&self, talk: &Talk, reason: &str, detail: &str) {
        let mut culprit = self.culprit();
        culprit.tenant = Some(talk.guest.tenant.clone());
        culprit.device = Some(talk.guest.device);
        self.core.complain(&culprit, reason, detail);
    }

    fn ignored(&mut self, why: Ignored) {
        self.record_ignored(&why);
        match why {
            Ignored::Probe | Ignored::Duplicate { .. } => {}
            Ignored::Unmatched { name, id, oddities } => {
                self.complain("unasked-answer", format!("{name} with the id `{id}`"));
                self.undone(oddities);
            }
            Ignored::Malformed(error) => self.complain(broken(&error), error.to_string()),
            Ignored::Unserved { name, oddities } => {
                self.complain(
                    "unknown-method",
                    format!("{name:.100} was answered with 8000"),
                );
                self.undone(oddities);
            }
            Ignored::Unanswered => {
                tracing::warn!(peer = %self.peer, "the server did not come to answer in time");
            }
        }
    }

    /// What it was asked is not what it has answered.
    fn wrong(&self, error: &PeerError) {
        let reason = match error {
            PeerError::WrongId(_) | PeerError::WrongResponse(_) => "unasked-answer",
            PeerError::Malformed(_) => "broken-message",
            _ => return,
        };
        self.complain(reason, error.to_string());
    }

    /// A POST was refused.
    pub(super) fn refused(&self, error: &Error) {
        let reason = match (error, &self.elsewhere) {
            (Error::PeerMisbehaved(_), Some(node)) if self.who.is_none() => {
                return self.complain(session::ELSEWHERE, session::elsewhere(node));
            }
            (Error::PeerMisbehaved(_), _) if self.who.is_none() => "no-session",
            (Error::PeerMisbehaved(_), _) => "out-of-turn",
            (Error::LimitExceeded { .. }, _) => "message-limit",
            _ => "broken-message",
        };
        self.complain(reason, error.to_string());
    }
}

/// What the doctor calls a header that must be understood, and is not known.
const UNKNOWN_HEADER: &str = "unknown-header";

/// What it calls a message that came with another one.
const SECOND_MESSAGE: &str = "second-message";

/// What it calls a message that is broken like this.
fn broken(error: &DecodeError) -> &'static str {
    match error.kind {
        DecodeErrorKind::NotUnderstood { .. } => UNKNOWN_HEADER,
        DecodeErrorKind::SecondMethod { .. } => SECOND_MESSAGE,
        _ => "broken-message",
    }
}

/// The device is here: nobody asks it to come any more, and how it can be asked the next time is
/// remembered. Every Inform says it again, so that one that is not stored is no loss.
async fn reachable(core: &Core, guest: &Guest, inform: &Inform, seen: Option<&Seen>) {
    let asked = inform
        .events
        .iter()
        .any(|event| event.code == EventCode::ConnectionRequest);
    core.waker.came(guest.device, asked);
    let said = inform
        .parameters
        .iter()
        .map(|parameter| (&*parameter.name, &*parameter.value.text));
    // Mostly it says what it said the last time.
    let same = seen.is_some_and(|seen| {
        let known = seen.known().document(reach::STATE);
        !Reach::read(known, guest.device).learn(said.clone())
    });
    if same {
        return;
    }
    if let Err(error) = Reach::note(&core.store, &guest.tenant, guest.device, said).await {
        tracing::warn!(device = %guest.device, %error, "how to reach a device cannot be stored");
    }
}

/// Whether it is the same device that says this; what it calls its maker does not matter.
fn same(a: &DeviceId, b: &DeviceId) -> bool {
    let parts = |id: &DeviceId| {
        (
            id.oui.to_ascii_uppercase(),
            id.product_class.clone(),
            id.serial_number.clone(),
        )
    };
    parts(a) == parts(b)
}
