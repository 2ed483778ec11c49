//! The XMPP connection request of Annex K: an `iq` from the ACS and what the CPE answers, and the
//! stream that carries it ([`stream`]). Deliberately without sockets and TLS.

mod frames;
mod scram;
pub mod stream;

use crate::limits;
use crate::soap::Booleans;
use crate::soap::reader::{Element, Reader};
use crate::soap::wire::Wire;
use crate::soap::writer::Writer;
use crate::value::Secret;

const NAMESPACE: &str = "urn:broadband-forum-org:cwmp:xmppConnReq-1-0";
const ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";

/// Why a CPE refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The credentials are wrong, or the sender may not ask.
    NotAuthorized,
    /// The CPE is busy, or not there.
    ServiceUnavailable,
    /// Another condition, by its name.
    Other(String),
}

/// What a stanza says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Open a session.
    Request {
        /// ManagementServer.ConnectionRequestUsername.
        username: String,
        /// ManagementServer.ConnectionRequestPassword.
        password: Secret,
    },
    /// It will.
    Accepted,
    /// It will not.
    Refused(Refusal),
}

/// An `iq` about a connection request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stanza {
    /// The sender's address; may be absent in an answer.
    pub from: String,
    /// The receiver's address.
    pub to: String,
    /// Repeated in the answer.
    pub id: String,
    /// What it says.
    pub content: Content,
}

impl Stanza {
    /// The answer to this request.
    pub fn answer(&self, content: Content) -> Self {
        Self {
            from: self.to.clone(),
            to: self.from.clone(),
            id: self.id.clone(),
            content,
        }
    }

    /// The text of the stanza.
    pub fn write(&self) -> String {
        let mut writer = Writer::new(Booleans::Words);
        let kind = match self.content {
            Content::Request { .. } => "get",
            Content::Accepted => "result",
            Content::Refused(_) => "error",
        };
        writer.raw("<iq");
        for (name, value) in [
            ("type", kind),
            ("from", &self.from),
            ("to", &self.to),
            ("id", &self.id),
        ] {
            writer.attribute(name, value);
        }
        writer.raw(">");
        match &self.content {
            Content::Accepted => {}
            Content::Request { username, password } => {
                writer.raw(&format!("<connectionRequest xmlns=\"{NAMESPACE}\">"));
                writer.element("username", "", username);
                writer.element("password", "", &password.0);
                writer.raw("</connectionRequest>");
            }
            Content::Refused(refusal) => {
                let name = match refusal {
                    Refusal::NotAuthorized => "not-authorized",
                    Refusal::ServiceUnavailable => "service-unavailable",
                    Refusal::Other(_) => "undefined-condition",
                };
                writer.raw(&format!(
                    "<error type=\"cancel\"><{name} xmlns=\"{ERRORS}\"/></error>"
                ));
            }
        }
        writer.raw("</iq>");
        writer.finish()
    }

    /// Reads a stanza; `None` when it is none about a connection request. Whether an answer is to a
    /// request of ours tells its id.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > limits::STANZA_BYTES_MAX {
            return None;
        }
        let mut reader = Reader::new(text);
        let iq = reader.child().ok()?.filter(|iq| iq.local() == "iq")?;
        let attribute = |name: &str| attribute(&iq, name).unwrap_or_default();
        let content = match &*attribute("type") {
            "get" | "set" => request(&mut reader)?,
            "result" => Content::Accepted,
            "error" => Content::Refused(refusal(&mut reader)),
            _ => return None,
        };
        Some(Self {
            from: attribute("from"),
            to: attribute("to"),
            id: attribute("id"),
            content,
        })
    }
}

fn attribute(element: &Element<'_>, name: &str) -> Option<String> {
    let (_, value) = element.attributes().find(|(known, _)| *known == name)?;
    // Addresses may have quotes in them.
    Some(
        quick_xml::escape::unescape(&value)
            .map_or_else(|_| value.to_string(), |text| text.into_owned()),
    )
}

fn request(reader: &mut Reader<'_>) -> Option<Content> {
    let request = reader.child().ok()??;
    let declared = attribute(&request, "xmlns").unwrap_or_default();
    if request.local() != "connectionRequest" || declared != NAMESPACE {
        return None;
    }
    let (mut username, mut password) = (String::new(), Secret::default());
    while let Some(element) = reader.child().ok()? {
        match element.local() {
            "username" => username = Wire::read(reader, &element).ok()?,
            "password" => password = Wire::read(reader, &element).ok()?,
            _ => reader.skip().ok()?,
        }
    }
    Some(Content::Request { username, password })
}

/// The condition in the error element; the request may be echoed before it.
fn refusal(reader: &mut Reader<'_>) -> Refusal {
    let unnamed = || Refusal::Other("error".into());
    while let Ok(Some(element)) = reader.child() {
        if element.local() != "error" {
            if reader.skip().is_err() {
                return unnamed();
            }
            continue;
        }
        return match reader.child() {
            Ok(Some(condition)) => match condition.local() {
                "not-authorized" => Refusal::NotAuthorized,
                "service-unavailable" => Refusal::ServiceUnavailable,
                other => Refusal::Other(crate::error::excerpt(other)),
            },
            _ => unnamed(),
        };
    }
    unnamed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stanza() -> Stanza {
        Stanza {
            from: "acs@example.net/\"node\" & 1".into(),
            to: "cpe@example.net/home".into(),
            id: "r-1".into(),
            content: Content::Request {
                username: "user".into(),
                password: "p<&>".into(),
            },
        }
    }

    #[test]
    fn requests_and_answers_survive() {
        let request = stanza();
        let all = [
            request.clone(),
            request.answer(Content::Accepted),
            request.answer(Content::Refused(Refusal::NotAuthorized)),
            request.answer(Content::Refused(Refusal::ServiceUnavailable)),
        ];
        for stanza in all {
            assert_eq!(Stanza::parse(&stanza.write()), Some(stanza));
        }
        assert_eq!(request.answer(Content::Accepted).to, request.from);
    }

    #[test]
    fn the_answers_of_the_field_are_read() {
        let echoed = "<iq xmlns='jabber:client' type='error' id='r-1' to='a'><connectionRequest xmlns='urn:x'><username>u</username></connectionRequest>\
                      <error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>";
        let read = Stanza::parse(echoed).unwrap();
        assert_eq!(
            (&*read.id, read.content),
            (
                "r-1",
                Content::Refused(Refusal::Other("bad-request".into()))
            )
        );
        assert!(matches!(
            Stanza::parse("<iq type='error'/>").unwrap().content,
            Content::Refused(Refusal::Other(_))
        ));
        for other in [
            "",
            "<message/>",
            "<iq type='get'><ping/></iq>",
            "<iq type='get'><connectionRequest xmlns='urn:x'/></iq>",
            "<iq type='get'>",
            "<iq/>",
        ] {
            assert_eq!(Stanza::parse(other), None, "{other}");
        }
    }

    /// `STANZA_BYTES_MAX`
    #[test]
    fn an_endless_stanza_is_refused() {
        let mut long = stanza();
        long.id = "x".repeat(limits::STANZA_BYTES_MAX);
        assert_eq!(Stanza::parse(&long.write()), None);
    }
}
