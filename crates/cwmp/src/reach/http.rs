//! An HTTP connection request from the ACS's end: a GET, the challenge, a GET with credentials.
//! Each exchange has a connection of its own, which every known server bears.
//! Deliberately no TLS and no name resolution: the caller connects as told.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::head::{self, Answer};
use crate::auth::basic;
use crate::auth::challenge::{Challenge, challenges};
use crate::auth::digest::{self, Client};
use crate::error::Error;
use crate::limits;
use crate::value::Secret;

/// Where a connection request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `https`.
    pub tls: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path with its query; `/` when the URL has none.
    pub path: String,
}

impl Target {
    /// Reads a ConnectionRequestURL; the error says in words what is wrong with it.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        const SCHEME: &str = "it does not begin with http:// or https://";
        const HOST: &str = "it names no host";
        const PORT: &str = "its port is no number from 1 to 65535";
        const CHARACTERS: &str = "there are spaces or control characters in it";
        let (scheme, rest) = url.trim().split_once("://").ok_or(SCHEME)?;
        let tls = match &*scheme.to_ascii_lowercase() {
            "http" => false,
            "https" => true,
            _ => return Err(SCHEME),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        // Credentials in a URL are nobody's business.
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or(HOST)?;
                (host, rest.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or(PORT)?,
            None if tls => 443,
            None => 80,
        };
        // What would end the line of the request.
        let bad = |c: char| c.is_ascii_whitespace() || c.is_control();
        if host.contains(bad) || path.contains(bad) {
            return Err(CHARACTERS);
        }
        if host.is_empty() {
            return Err(HOST);
        }
        let path = match path.strip_prefix('?') {
            Some(query) => format!("/?{query}"),
            None if path.is_empty() => "/".to_owned(),
            None => path.to_owned(),
        };
        let host = host.to_owned();
        Ok(Self {
            tls,
            host,
            port,
            path,
        })
    }

    fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Who asks, and how.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// ManagementServer.ConnectionRequestUsername.
    pub username: String,
    /// ManagementServer.ConnectionRequestPassword.
    pub password: Secret,
    /// Whether the password may be shown to a device that knows nothing but Basic.
    pub basic: bool,
}

/// What the caller has to do. Its `Debug` does not show the bytes, which may hold a Basic password.
#[derive(Clone, PartialEq, Eq)]
pub enum Action {
    /// Connect to the [`Target`], and then take the next action.
    Connect,
    /// Write this.
    Send(Bytes),
    /// Close the connection.
    Close,
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("Connect"),
            Self::Send(bytes) => write!(f, "Send {} bytes", bytes.len()),
            Self::Close => f.write_str("Close"),
        }
    }
}

/// How a connection request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The CPE will open a session: wait for its Inform.
    Accepted,
    /// The CPE cannot now (503).
    Busy,
    /// The CPE does not take our credentials.
    Unauthorized,
    /// The CPE asks for something that we do not know or may not use: the schemes.
    NoUsableChallenge(Vec<String>),
    /// The CPE answers with another status.
    Status(u16),
    /// No connection could be made.
    Unreachable,
    /// The connection closed before there was an answer.
    Dropped,
    /// What answers is no HTTP server.
    NotHttp,
    /// No answer came in time.
    TimedOut,
}

/// One connection request. Sans-IO: do its actions, give it what comes back.
pub struct ConnectionRequest {
    target: Target,
    credentials: Credentials,
    cnonce: String,
    deadline: Instant,
    exchanges: u32,
    /// The `Authorization` of the exchange.
    authorization: Option<String>,
    input: Vec<u8>,
    actions: std::collections::VecDeque<Action>,
    outcome: Option<Outcome>,
}

impl ConnectionRequest {
    /// A request to a URL, which takes at most `timeout`. `cnonce` is a random text.
    pub fn new(
        now: Instant,
        url: &str,
        credentials: Credentials,
        timeout: Duration,
        cnonce: impl Into<String>,
    ) -> Result<Self, Error> {
        let target = Target::parse(url).map_err(Error::PeerMisbehaved)?;
        let deadline = now
            .checked_add(timeout)
            .ok_or(Error::ApiMisuse("a timeout without end"))?;
        let mut request = Self {
            target,
            credentials,
            cnonce: cnonce.into(),
            deadline,
            exchanges: 0,
            authorization: None,
            input: Vec::new(),
            actions: Default::default(),
            outcome: None,
        };
        request.exchange();
        Ok(request)
    }

    /// Where to connect to.
    pub fn target(&self) -> &Target {
        &self.target
    }

    fn exchange(&mut self) {
        self.exchanges += 1;
        self.input.clear();
        let mut head = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\n",
            self.target.path,
            self.target.authority()
        );
        if let Some(authorization) = &self.authorization {
            head.push_str(&format!("Authorization: {authorization}\r\n"));
        }
        head.push_str("Connection: close\r\n\r\n");
        self.actions.push_back(Action::Connect);
        self.actions.push_back(Action::Send(head.into()));
    }

    fn end(&mut self, outcome: Outcome) {
        if self.outcome.is_none() {
            self.outcome = Some(outcome);
            self.actions.clear();
            self.actions.push_back(Action::Close);
        }
    }

    /// Takes what came over the connection.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        if self.outcome.is_some() {
            return;
        }
        // One more than the limit, so that it is noticed.
        let room = (limits::HEAD_BYTES_MAX + 1).saturating_sub(self.input.len());
        self.input
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        loop {
            match head::answer(&self.input) {
                Ok(None) => return,
                // No answer yet: that follows.
                Ok(Some(answer)) if (100..200).contains(&answer.status) => {
                    self.input = head::rest(&self.input).to_vec();
                }
                Ok(Some(answer)) => return self.answered(&answer),
                Err(_) => return self.end(Outcome::NotHttp),
            }
        }
    }

    fn answered(&mut self, answer: &Answer) {
        match answer.status {
            200..=299 => self.end(Outcome::Accepted),
            401 => self.challenged(challenges(answer.headers.all("www-authenticate"))),
            503 => self.end(Outcome::Busy),
            status => self.end(Outcome::Status(status)),
        }
    }

    fn challenged(&mut self, offered: Vec<Challenge>) {
        let chosen = digest::choose(&offered, self.credentials.basic);
        let stale = chosen.and_then(|chosen| chosen.params.get("stale"));
        let stale = stale.is_some_and(|stale| stale.eq_ignore_ascii_case("true"));
        let more = self.exchanges < limits::CONNECTION_REQUEST_EXCHANGES_MAX;
        if self.authorization.is_some() && !(stale && more) {
            return self.end(Outcome::Unauthorized);
        }
        let Credentials {
            username, password, ..
        } = &self.credentials;
        let client = Client {
            username,
            password: &password.0,
            method: "GET",
            uri: &self.target.path,
            cnonce: &self.cnonce,
            count: 1,
            body: b"",
        };
        let authorization = chosen.and_then(|chosen| match &*chosen.scheme {
            "basic" => Some(basic::authorization(username, &password.0)),
            _ => client.answer(chosen),
        });
        match authorization {
            None => {
                let schemes = offered.into_iter().map(|challenge| challenge.scheme);
                let schemes = schemes.collect();
                self.end(Outcome::NoUsableChallenge(schemes));
            }
            Some(_) => {
                self.authorization = authorization;
                self.actions.push_back(Action::Close);
                self.exchange();
            }
        }
    }

    /// The connection could not be made.
    pub fn connect_failed(&mut self) {
        self.end(Outcome::Unreachable);
    }

    /// The peer closed the connection. Some do that once instead of looking at our credentials.
    pub fn connection_closed(&mut self) {
        if self.outcome.is_some() || self.actions.contains(&Action::Connect) {
            return;
        }
        let more = self.exchanges < limits::CONNECTION_REQUEST_EXCHANGES_MAX;
        match self.authorization.is_some() && self.input.is_empty() && more {
            true => self.exchange(),
            false => self.end(Outcome::Dropped),
        }
    }

    /// Gives up when the time is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        if now >= self.deadline {
            self.end(Outcome::TimedOut);
        }
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.outcome.is_none().then_some(self.deadline)
    }

    /// The next thing to do.
    pub fn poll_transmit(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// How it ended, once it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }
}

#[cfg(test)]
mod tests;
