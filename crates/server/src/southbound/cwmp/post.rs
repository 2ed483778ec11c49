//! One HTTP request: it is authenticated, or belongs to a session that was; its body is read and
//! goes to the session; the session's answer goes back. Nothing of CWMP is understood here.

mod away;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use ::cwmp::acs::Reply;
use ::cwmp::soap::CONTENT_TYPE as SOAP;
use axum::body::Body;
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ALLOW, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, COOKIE, SET_COOKIE,
    USER_AGENT, VARY, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use tokio::sync::oneshot;

use super::answers::{Reaction, closing, later, plain, status};
use super::body::{self, Bounds, Rooms, Unread, Whole};
use super::conversation::quirks::Cookies;
use super::core::{Core, Culprit, Owner};
use super::door::{self, Denied, Proof, Shown};
use super::limits::COMPRESS_BYTES_MIN;
use super::line::Line;
use super::session::{self, Answer, Input, New, Posted};
use super::sessions::{self, Cookie, Handle};
use super::whose::Whose;
use crate::http::peer::Peer;

/// Answers a request.
pub async fn answer(line: Arc<Line>, request: Request<Incoming>) -> Result<Reaction, Infallible> {
    let _busy = line.busy();
    metrics::counter!("headend_cwmp_requests_total").increment(1);
    let (parts, body) = request.into_parts();
    let asking = Asking::new(line, parts);
    Ok(asking.answer(Body::new(body)).await)
}

/// A request without its body.
struct Asking {
    line: Arc<Line>,
    parts: Parts,
    peer: SocketAddr,
    secure: bool,
}

impl Asking {
    fn new(line: Arc<Line>, parts: Parts) -> Self {
        let proxies = &line.core.config.cwmp.proxies;
        let peer = Peer::of(line.peer, line.tls, &parts.headers, proxies);
        let at = match line.proxied {
            true => SocketAddr::new(peer.ip, peer.port.unwrap_or(0)),
            false => line.peer,
        };
        Self {
            secure: peer.secure,
            peer: at,
            line,
            parts,
        }
    }

    fn core(&self) -> &Arc<Core> {
        &self.line.core
    }

    fn header(&self, name: http::HeaderName) -> Option<&str> {
        text(&self.parts.headers, name)
    }

    fn bounds(&self, bytes_max: usize) -> Bounds {
        let limits = &self.core().limits;
        Bounds {
            bytes_max,
            silence_max: limits.body_silence_max,
            time_max: limits.body_time_max,
        }
    }

    fn complain(&self, reason: &str, detail: impl Into<String>) {
        self.core()
            .complain(&Culprit::at(self.peer), reason, detail);
    }

    /// The same of somebody who has proved something.
    fn complain_of(&self, shown: Option<&Shown>, reason: &str, detail: impl Into<String>) {
        let mut culprit = Culprit::at(self.peer);
        if let Some(shown) = shown {
            culprit.tenant = shown.proof.tenant().cloned();
            culprit.name = shown.user_name();
        }
        self.core().complain(&culprit, reason, detail);
    }

    async fn answer(self, body: Body) -> Reaction {
        match self.parts.method {
            Method::POST => {}
            // Load balancers look whether somebody is there, and so do people.
            Method::GET | Method::HEAD => {
                return plain(StatusCode::OK, "This is a TR-069 ACS: devices POST here.\n");
            }
            _ => {
                let mut answer = status(StatusCode::METHOD_NOT_ALLOWED);
                answer
                    .headers_mut()
                    .insert(ALLOW, HeaderValue::from_static("POST"));
                return closing(answer);
            }
        }
        let (cookie, found) = self.find();
        if let Cookie::Open(session) = &cookie {
            if let Some(stranger) = self.stranger(session).await {
                return self.send_away(session, &stranger, body).await;
            }
            self.core().sessions.shown(session);
        }
        // Where a proxy says that it comes from is no proof.
        let proved = matches!(cookie, Cookie::Open(_)) || !self.line.proxied;
        let (found, shown, owner) = match found {
            Some(session) if proved => {
                let owner = session.owner.clone();
                (Some(session), None, owner)
            }
            found => match self.authenticate().await {
                Ok(shown) => {
                    let owner = shown.proof.tenant().cloned();
                    let is_its = |(_, first): &(_, Arc<Proof>)| shown.proof.is_again(first);
                    let found = found.filter(|session| session.from.as_ref().is_some_and(is_its));
                    (found, Some(shown), owner)
                }
                Err(denied) => return self.denied(denied, body).await,
            },
        };
        let _coming = found.as_ref().map(Handle::coming);
        let whole = match self.whole(body, owner).await {
            Ok(whole) => whole,
            Err(unread) => return self.unread(unread, found, shown).await,
        };
        self.converse(cookie, found, shown, whole).await
    }

    /// The session that this request belongs to, and whether its cookie says so.
    fn find(&self) -> (Cookie, Option<Handle>) {
        let core = self.core();
        let values = self.parts.headers.get_all(COOKIE).iter();
        let values = values.filter_map(|value| value.to_str().ok());
        let secret = core.door.cookie_secret();
        let cookie = core
            .sessions
            .find(secret, &core.node, values, door::seconds());
        let by_cookie = match &cookie {
            Cookie::Open(handle) => Some(handle.clone()),
            _ => None,
        };
        let found = by_cookie.or_else(|| {
            let session = match self.line.proxied {
                // A proxy carries many devices over one connection, and one over many.
                true => core.sessions.from(self.peer)?,
                false => self.line.session()?,
            };
            // Whoever says that he is somebody else does not mean this session.
            let user = self.header(AUTHORIZATION).and_then(door::user);
            let other = user.is_some_and(|user| !user.is_empty() && *user != *session.user);
            (!other).then_some(session)
        });
        (cookie, found)
    }

    /// What it shows of itself.
    fn shows(&self) -> door::Request<'_> {
        door::Request {
            authorization: self.header(AUTHORIZATION),
            path: self.parts.uri.path(),
            certificate: self.line.certificate.as_ref(),
            from: self.peer.ip(),
        }
    }

    async fn authenticate(&self) -> Result<Shown, Denied> {
        let request = self.shows();
        let proved = door::authenticate(self.core(), &request).await;
        if proved.as_ref().is_ok_and(|shown| shown.authorized) {
            self.core().door.offers.answered(self.peer.ip());
        }
        proved
    }

    async fn denied(&self, denied: Denied, body: Body) -> Reaction {
        let stale = matches!(denied, Denied::Stale);
        match denied {
            Denied::Ask | Denied::Stale => {}
            Denied::Wrong { user, tenant, why } => {
                let culprit = Culprit {
                    tenant,
                    device: None,
                    peer: self.peer,
                    name: user,
                };
                self.core().complain(&culprit, "unknown_credential", why);
            }
            Denied::TooMany => {
                let detail = "too much from its network was wrong lately";
                self.complain("too-many-failures", detail);
                return closing(later());
            }
            Denied::Later(why) => {
                self.complain("unavailable", why);
                return closing(later());
            }
        }
        let challenge = self.challenge(stale);
        self.dismiss(challenge, body).await
    }

    fn challenge(&self, stale: bool) -> Reaction {
        let mut answer = status(StatusCode::UNAUTHORIZED);
        let door = &self.core().door;
        let (ip, shows) = (self.peer.ip(), self.header(AUTHORIZATION).is_some());
        let only = door.offers.challenge(ip, shows, Instant::now());
        for challenge in door.challenges(self.secure, stale, only) {
            if let Ok(value) = HeaderValue::from_str(&challenge) {
                answer.headers_mut().append(WWW_AUTHENTICATE, value);
            }
        }
        answer
    }

    async fn whole(&self, body: Body, owner: Owner) -> Result<Whole, Unread> {
        let packed = body::packed(&self.parts.headers)?;
        let bytes_max = ::cwmp::limits::BODY_BYTES_MAX;
        let all = self.core().bodies.clone();
        let rooms = Rooms { all, owner };
        let whole = body::read(body, self.bounds(bytes_max), &rooms).await?;
        match packed {
            Some(how) if !whole.bytes.is_empty() => {
                body::unpack(how, whole, bytes_max, &rooms).await
            }
            _ => Ok(whole),
        }
    }

    /// Why there is no body is told to the session that it would have belonged to.
    async fn unread(&self, why: Unread, session: Option<Handle>, shown: Option<Shown>) -> Reaction {
        let limits = &self.core().limits;
        let (code, reason, detail) = match why {
            Unread::TooLarge => {
                let max = ::cwmp::limits::BODY_BYTES_MAX;
                let detail = ::cwmp::limits::beyond("BODY_BYTES_MAX", max);
                (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail)
            }
            Unread::Slow => {
                let (silence, time) = (limits.body_silence_max, limits.body_time_max);
                let detail = format!(
                    "a message of which nothing came for {silence:?}, or that was not complete in {time:?}"
                );
                (StatusCode::REQUEST_TIMEOUT, "body-slow", detail)
            }
            Unread::Broken => {
                let detail = "the connection broke in the middle of a request".to_owned();
                (StatusCode::BAD_REQUEST, "body-broken", detail)
            }
            Unread::Full => {
                let room = limits.bodies_bytes_max / (1024 * 1024);
                let detail = format!("no room for it now in the {room} MiB for messages");
                (StatusCode::SERVICE_UNAVAILABLE, "too-many-bodies", detail)
            }
            Unread::Encoding => {
                let named = self.header(CONTENT_ENCODING).unwrap_or_default();
                let detail = format!("Content-Encoding: {named:.100}");
                let code = StatusCode::UNSUPPORTED_MEDIA_TYPE;
                (code, "body-encoding", detail)
            }
            Unread::Garbled => {
                let detail = "it is not packed as its Content-Encoding says".to_owned();
                (StatusCode::BAD_REQUEST, "body-garbled", detail)
            }
        };
        let unread = Input::Unread {
            reason,
            detail: detail.clone(),
            status: code.as_u16(),
        };
        let told = match session {
            Some(session) => session.inbox.send(unread).await.is_ok(),
            None => false,
        };
        if !told {
            self.complain_of(shown.as_ref(), reason, detail);
        }
        let mut answer = status(code);
        match why {
            Unread::Full => answer = later(),
            Unread::Encoding => {
                let known = HeaderValue::from_static("gzip, deflate");
                answer.headers_mut().insert(ACCEPT_ENCODING, known);
            }
            _ => {}
        }
        closing(answer)
    }

    async fn converse(
        &self,
        cookie: Cookie,
        found: Option<Handle>,
        shown: Option<Shown>,
        whole: Whole,
    ) -> Reaction {
        let (reply, answered) = oneshot::channel();
        let mut posted = Posted {
            body: whole.bytes,
            content_type: self.header(CONTENT_TYPE).map(str::to_owned),
            line: self.line.number,
            peer: self.peer,
            reply,
            room: whole.room,
        };
        if let Some(handle) = found {
            let by_cookie = matches!(cookie, Cookie::Open(_));
            // What a proxy does with its connections says nothing of the device's.
            let goes_on = by_cookie || self.line.proxied;
            self.line.carries(&handle, Some(goes_on));
            match handle.inbox.send(Input::Post(posted)).await {
                Ok(()) => return self.answered(&handle, by_cookie, answered).await,
                // It has ended just now: this begins anew, and has to prove who it is.
                Err(error) => match error.0 {
                    Input::Post(back) => posted = back,
                    _ => return later(),
                },
            }
        }
        let shown = match shown {
            Some(shown) => shown,
            None => match self.authenticate().await {
                Ok(shown) => shown,
                Err(denied) => return self.denied(denied, Body::empty()).await,
            },
        };
        let (elsewhere, over) = match cookie {
            Cookie::Elsewhere(node) => (Some(node), false),
            Cookie::Over => (None, true),
            _ => (None, false),
        };
        if posted.body.iter().all(u8::is_ascii_whitespace) {
            if let Some(node) = elsewhere {
                // The other node waits for this. Were it taken for the end, the device would not
                // come again before its next interval.
                let reason = session::ELSEWHERE;
                self.complain_of(Some(&shown), reason, session::elsewhere(&node));
                return status(StatusCode::BAD_REQUEST);
            }
            if over {
                let words = "it goes on with a session that is over";
                self.complain_of(Some(&shown), "no-session", words);
            }
            // Else a probe, or of a device that was not told from others.
            if self.line.proxied && !over {
                let now = Instant::now();
                self.core().strays.came(self.peer.ip(), now);
            }
            return status(StatusCode::NO_CONTENT);
        }
        let tenant = shown.proof.tenant().cloned();
        let handle = match self.begin(shown, elsewhere) {
            Ok(handle) => handle,
            Err((reason, detail)) => return self.shed(tenant, reason, detail),
        };
        self.line.carries(&handle, None);
        match handle.inbox.send(Input::Post(posted)).await {
            Ok(()) => self.answered(&handle, false, answered).await,
            Err(_) => later(),
        }
    }

    /// A new session, if there is room.
    fn begin(
        &self,
        shown: Shown,
        elsewhere: Option<String>,
    ) -> Result<Handle, (&'static str, String)> {
        let core = self.core();
        let seat = core.addresses.take(self.peer.ip()).map_err(|_| {
            let (max, from) = (core.limits.sessions_per_address_max, self.peer.ip());
            let detail = format!("there are {max} sessions from {from}");
            ("too-many-from-address", detail)
        })?;
        let owner = shown.proof.tenant().cloned();
        let told = self.line.proxied && self.peer.port() != 0;
        let from = told.then(|| (self.peer, Arc::new(shown.proof.bare())));
        let certificate = shown.certificate.as_ref().map(|one| one.fingerprint);
        let whose = Whose::new(owner.clone(), certificate, self.shows().mark());
        let slot = core.budget.try_take(&owner).ok_or_else(|| {
            let (max, (held, free)) = (core.limits.sessions_max, core.budget.room(&owner));
            let detail = match free {
                0 => format!("no room now: all {max} sessions that there may be are open"),
                _ => format!(
                    "no room now: its tenant has {held} of the {max} sessions that there may be, and {free} are left \
                     for all others; it may have half of what those leave"
                ),
            };
            ("too-many-sessions", detail)
        })?;
        let user_agent = self.header(USER_AGENT).unwrap_or_default();
        let new = New {
            number: rand::random(),
            info: serde_json::json!({
                "tls": self.secure,
                "certificate": shown.certificate.is_some(),
                "user_agent": user_agent.chars().take(200).collect::<String>(),
                "listener": self.line.local.to_string(),
            }),
            shown,
            peer: self.peer,
            whose: Arc::new(whose),
            from,
            elsewhere,
            slot,
            seat,
        };
        Ok(session::begin(core, new))
    }

    fn shed(&self, tenant: Option<fleet::TenantId>, reason: &str, detail: String) -> Reaction {
        metrics::counter!("headend_cwmp_shed_total").increment(1);
        let mut culprit = Culprit::at(self.peer);
        culprit.tenant = tenant;
        self.core().complain(&culprit, reason, detail);
        later()
    }

    async fn answered(
        &self,
        handle: &Handle,
        by_cookie: bool,
        answered: oneshot::Receiver<Answer>,
    ) -> Reaction {
        let time = self.core().limits.answer_time_max;
        let mut reaction = match tokio::time::timeout(time, answered).await {
            Ok(Ok(Answer::Reply(reply))) => self.reply(reply),
            Ok(Ok(Answer::Challenge)) => return self.challenge(false),
            Ok(Ok(Answer::Refused(code))) => {
                return status(StatusCode::from_u16(code).unwrap_or(StatusCode::FORBIDDEN));
            }
            // It took another request's place, or a defect of ours.
            Ok(Ok(Answer::Later) | Err(_)) | Err(_) => return later(),
        };
        let cookies = handle.cookies.get().copied();
        let is_wanted = match cookies {
            Some(Cookies::None) => false,
            Some(Cookies::Each) => true,
            // One that it has sent back need not be set again.
            Some(Cookies::Usual | Cookies::Plain) | None => !by_cookie,
        };
        if is_wanted {
            let core = self.core();
            let secret = core.door.cookie_secret();
            let at = door::seconds();
            let cookie = sessions::set_cookie(secret, &core.node, handle.number, at, cookies);
            if let Ok(value) = HeaderValue::from_str(&cookie) {
                reaction.headers_mut().insert(SET_COOKIE, value);
            }
        }
        reaction
    }

    fn reply(&self, reply: Reply) -> Reaction {
        let code = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_REQUEST);
        if code == StatusCode::SERVICE_UNAVAILABLE {
            return later();
        }
        let mut answer = status(code);
        if reply.body.is_empty() {
            return answer;
        }
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(SOAP));
        let mut bytes: Bytes = reply.body;
        if bytes.len() >= COMPRESS_BYTES_MIN
            && body::takes_gzip(&self.parts.headers)
            && let Some(packed) = body::pack(&bytes)
        {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
            bytes = packed;
        }
        *answer.body_mut() = Body::from(bytes);
        answer
    }
}

fn text(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
