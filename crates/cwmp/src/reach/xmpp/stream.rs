//! The stream of an XMPP client (RFC 6120) as far as connection requests need it: STARTTLS, SASL,
//! the binding of a resource, then IQs. Deliberately no presence, no roster, no messages, and no
//! password without TLS.

use std::collections::VecDeque;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::attribute;
use super::frames::{Frame, Frames};
use super::scram::{Hash, Scram};
use crate::error::excerpt;
use crate::soap::Booleans;
use crate::soap::reader::Reader;
use crate::soap::writer::Writer;
use crate::value::Secret;

const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
const PING: &str = "urn:xmpp:ping";
/// The id of the request that binds the resource; those of connection requests are others.
const BIND_ID: &str = "bind";
/// What the ids of our own pings begin with.
const PING_ID: &str = "ping-";

/// An address: `local@domain/resource`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jid {
    /// The account.
    pub local: String,
    /// The domain, for which the server's certificate is.
    pub domain: String,
    /// The connection; the server makes one up when it is empty.
    pub resource: String,
}

impl Jid {
    /// Reads an address that has an account.
    pub fn parse(text: &str) -> Option<Self> {
        let (bare, resource) = text.trim().split_once('/').unwrap_or((text.trim(), ""));
        let (local, domain) = bare.split_once('@')?;
        let bad = |c: char| c.is_whitespace() || c.is_control() || "\"&'/:<>@".contains(c);
        if local.is_empty() || domain.is_empty() || local.contains(bad) || domain.contains(bad) {
            return None;
        }
        Some(Self {
            local: local.to_owned(),
            domain: domain.to_ascii_lowercase(),
            resource: resource.to_owned(),
        })
    }

    /// The address without its resource.
    pub fn bare(&self) -> String {
        format!("{}@{}", self.local, self.domain)
    }
}

/// What the caller has to do or to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Begin TLS on the connection for the JID's domain, then call [`Stream::secured`].
    StartTls,
    /// Stanzas may be sent; ours is this address.
    Ready(String),
    /// An `iq` that answers something; see [`super::Stanza::parse`].
    Answer(String),
    /// Somebody sent a connection request, which is to be answered.
    Asked(String),
    /// It is over: why, in words. Whether waiting and trying again may help.
    Failed {
        /// Why.
        reason: String,
        /// The account, its password or the configuration is wrong: trying again is useless until
        /// somebody changes something.
        account: bool,
    },
}

#[derive(Debug)]
enum Phase {
    /// The stream is open in clear; features are awaited.
    Plain,
    /// TLS was asked for.
    Asked,
    /// It is up; features with mechanisms are awaited.
    Mechanisms,
    /// Authentication is under way; PLAIN has nothing to verify.
    Authenticating(Option<Scram>),
    /// Authenticated; the second features are awaited.
    Features,
    /// The resource was asked for.
    Binding,
    Ready,
    Over,
}

/// One stream. Sans-IO: write what [`Stream::poll_transmit`] has, give it what comes back.
pub struct Stream {
    jid: Jid,
    password: Secret,
    nonce: String,
    phase: Phase,
    frames: Frames,
    out: VecDeque<String>,
    events: VecDeque<Event>,
    pings: u64,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream of {} {:?}", self.jid.bare(), self.phase)
    }
}

impl Stream {
    /// A stream over a fresh connection; `secure` when TLS is up already. `nonce` is a random text
    /// without commas.
    pub fn new(jid: Jid, password: Secret, nonce: impl Into<String>, secure: bool) -> Self {
        let mut stream = Self {
            jid,
            password,
            nonce: nonce.into(),
            phase: if secure {
                Phase::Mechanisms
            } else {
                Phase::Plain
            },
            frames: Frames::default(),
            out: VecDeque::new(),
            events: VecDeque::new(),
            pings: 0,
        };
        stream.open();
        stream
    }

    fn open(&mut self) {
        self.frames = Frames::default();
        let mut writer = Writer::new(Booleans::Words);
        writer.raw("<?xml version='1.0'?><stream:stream");
        writer.attribute("to", &self.jid.domain);
        if !matches!(self.phase, Phase::Plain) {
            writer.attribute("from", &self.jid.bare());
        }
        writer.raw(" version=\"1.0\" xmlns=\"jabber:client\" xmlns:stream=\"http://etherx.jabber.org/streams\">");
        self.out.push_back(writer.finish());
    }

    /// TLS is up.
    pub fn secured(&mut self) {
        if matches!(self.phase, Phase::Asked) {
            self.phase = Phase::Mechanisms;
            self.open();
        }
    }

    /// Takes what came over the connection.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        self.frames.push(bytes);
        while !matches!(self.phase, Phase::Over) {
            match self.frames.next() {
                Ok(None) => return,
                Ok(Some(Frame::Opened)) => {}
                Ok(Some(Frame::Closed)) => self.fail("the server ended the stream", false),
                Ok(Some(Frame::Element(element))) => self.element(&element),
                Err(why) => self.fail(&format!("this is no XMPP stream: {why}"), false),
            }
        }
    }

    fn fail(&mut self, reason: &str, account: bool) {
        if !matches!(self.phase, Phase::Over) {
            self.phase = Phase::Over;
            let reason = reason.to_owned();
            self.events.push_back(Event::Failed { reason, account });
        }
    }

    fn element(&mut self, text: &str) {
        let mut reader = Reader::new(text);
        let Ok(Some(element)) = reader.child() else {
            return self.fail("this is no XMPP stream: an element cannot be read", false);
        };
        match (element.local(), &mut self.phase) {
            ("error", _) => {
                let condition = first_child(&mut reader);
                self.fail(&format!("the server ended the stream: {condition}"), false);
            }
            ("features", Phase::Plain) => match names(&mut reader, "starttls").is_empty() {
                true => self.fail("the server offers no TLS", true),
                false => {
                    self.phase = Phase::Asked;
                    self.out.push_back(format!("<starttls xmlns='{TLS}'/>"));
                }
            },
            ("proceed", Phase::Asked) => {
                // What came in clear after that is not from the server.
                if self.frames.is_empty() {
                    self.events.push_back(Event::StartTls);
                } else {
                    self.fail("somebody wrote into the stream before TLS", false);
                }
            }
            ("failure", Phase::Asked) => self.fail("the server does not begin TLS", true),
            ("features", Phase::Mechanisms) => {
                let offered = names(&mut reader, "mechanisms");
                self.authenticate(&offered);
            }
            ("challenge", Phase::Authenticating(Some(scram))) => {
                let challenge = decoded(&mut reader);
                let answer = match scram.answer(&challenge) {
                    Some(answer) => Some(STANDARD.encode(answer)),
                    // The server's last message; success follows without one.
                    None if scram.verified(&challenge) => {
                        self.phase = Phase::Authenticating(None);
                        Some(String::new())
                    }
                    None => None,
                };
                match answer {
                    Some(answer) => {
                        let response = format!("<response xmlns='{SASL}'>{answer}</response>");
                        self.out.push_back(response);
                    }
                    None => self.fail("the server's authentication makes no sense", true),
                }
            }
            ("success", Phase::Authenticating(scram)) => {
                let last = decoded(&mut reader);
                match scram.as_ref().is_none_or(|scram| scram.verified(&last)) {
                    true => {
                        self.phase = Phase::Features;
                        self.open();
                    }
                    false => self.fail("the server does not know the account's password", true),
                }
            }
            ("failure", Phase::Authenticating(_)) => {
                let condition = first_child(&mut reader);
                // The server, not the account, has a problem.
                let temporary = condition == "temporary-auth-failure";
                let reason = format!(
                    "the server does not let {} in: {condition}",
                    self.jid.bare()
                );
                self.fail(&reason, !temporary);
            }
            ("features", Phase::Features) => {
                self.phase = Phase::Binding;
                let mut writer = Writer::new(Booleans::Words);
                writer.raw(&format!(
                    "<iq type='set' id='{BIND_ID}'><bind xmlns='{BIND}'>"
                ));
                if !self.jid.resource.is_empty() {
                    writer.element("resource", "", &self.jid.resource);
                }
                writer.raw("</bind></iq>");
                self.out.push_back(writer.finish());
            }
            ("iq", Phase::Binding) => {
                let id = attribute(&element, "id").unwrap_or_default();
                let kind = attribute(&element, "type").unwrap_or_default();
                match (&*id, &*kind) {
                    (BIND_ID, "result") => {
                        let own = bound(&mut reader).unwrap_or_else(|| self.jid.bare());
                        self.phase = Phase::Ready;
                        self.events.push_back(Event::Ready(own));
                    }
                    (BIND_ID, "error") => {
                        let reason = format!(
                            "the server does not give the resource {}",
                            excerpt(&self.jid.resource)
                        );
                        self.fail(&reason, true);
                    }
                    _ => {}
                }
            }
            ("iq", Phase::Ready) => {
                let get = |name| attribute(&element, name).unwrap_or_default();
                let (kind, id, from) = (get("type"), get("id"), get("from"));
                match &*kind {
                    "get" | "set" => {
                        let asked = reader.child().ok().flatten();
                        let asked = asked.as_ref().map(|asked| asked.local());
                        match asked {
                            Some("connectionRequest") => {
                                self.events.push_back(Event::Asked(text.to_owned()));
                            }
                            _ => self.out.push_back(reply(&id, &from, asked == Some("ping"))),
                        }
                    }
                    // Its coming is the sign of life.
                    _ if id.starts_with(PING_ID) => {}
                    _ => self.events.push_back(Event::Answer(text.to_owned())),
                }
            }
            // Presence, messages, and what comes out of turn.
            _ => {}
        }
    }

    fn authenticate(&mut self, offered: &[String]) {
        let offers = |mechanism: &str| offered.iter().any(|offered| offered == mechanism);
        for hash in [Hash::Sha256, Hash::Sha1] {
            if offers(hash.mechanism()) {
                let scram = Scram::new(
                    hash,
                    &self.jid.local,
                    self.password.clone(),
                    self.nonce.clone(),
                );
                self.auth(hash.mechanism(), &scram.first());
                self.phase = Phase::Authenticating(Some(scram));
                return;
            }
        }
        if offers("PLAIN") {
            let message = format!("\0{}\0{}", self.jid.local, self.password.0);
            self.auth("PLAIN", &message);
            self.phase = Phase::Authenticating(None);
            return;
        }
        let offered = excerpt(&offered.join(", "));
        self.fail(
            &format!("the server offers no way to authenticate that we know ({offered})"),
            true,
        );
    }

    fn auth(&mut self, mechanism: &str, message: &str) {
        let message = STANDARD.encode(message);
        self.out.push_back(format!(
            "<auth xmlns='{SASL}' mechanism='{mechanism}'>{message}</auth>"
        ));
    }

    /// Sends a stanza; false before the stream is ready and after its end.
    pub fn send(&mut self, stanza: String) -> bool {
        let ready = matches!(self.phase, Phase::Ready);
        if ready {
            self.out.push_back(stanza);
        }
        ready
    }

    /// Asks the server for a sign of life.
    pub fn ping(&mut self) -> bool {
        self.pings += 1;
        let ping = format!(
            "<iq type='get' id='{PING_ID}{}'><ping xmlns='{PING}'/></iq>",
            self.pings
        );
        self.send(ping)
    }

    /// Says goodbye.
    pub fn close(&mut self) {
        if !matches!(self.phase, Phase::Over | Phase::Asked) {
            self.out.push_back("</stream:stream>".to_owned());
        }
        self.phase = Phase::Over;
    }

    /// The next text to write.
    pub fn poll_transmit(&mut self) -> Option<String> {
        self.out.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

/// The answer to what others ask of us.
fn reply(id: &str, from: &str, is_ping: bool) -> String {
    let mut writer = Writer::new(Booleans::Words);
    writer.raw("<iq");
    writer.attribute("type", if is_ping { "result" } else { "error" });
    writer.attribute("id", id);
    if !from.is_empty() {
        writer.attribute("to", from);
    }
    writer.raw(">");
    if !is_ping {
        writer.raw(
            "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
        );
    }
    writer.raw("</iq>");
    writer.finish()
}

/// What the features have of this name: the text of each child, or one empty text for itself.
fn names(reader: &mut Reader<'_>, wanted: &str) -> Vec<String> {
    let mut found = Vec::new();
    while let Ok(Some(feature)) = reader.child() {
        if feature.local() != wanted || wanted == "starttls" {
            if feature.local() == wanted {
                found.push(String::new());
            }
            if reader.skip().is_err() {
                break;
            }
            continue;
        }
        while let Ok(Some(_)) = reader.child() {
            match reader.text() {
                Ok(text) => found.push(text.trim().to_owned()),
                Err(_) => return found,
            }
        }
    }
    found
}

fn first_child(reader: &mut Reader<'_>) -> String {
    match reader.child() {
        Ok(Some(condition)) => excerpt(condition.local()),
        _ => "it does not say why".to_owned(),
    }
}

fn decoded(reader: &mut Reader<'_>) -> String {
    let text = reader.text().unwrap_or_default();
    let bytes = STANDARD.decode(text.trim()).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

fn bound(reader: &mut Reader<'_>) -> Option<String> {
    reader
        .child()
        .ok()
        .flatten()
        .filter(|bind| bind.local() == "bind")?;
    reader
        .child()
        .ok()
        .flatten()
        .filter(|jid| jid.local() == "jid")?;
    let jid = reader.text().ok()?.trim().to_owned();
    (!jid.is_empty()).then_some(jid)
}

#[cfg(test)]
mod tests;
