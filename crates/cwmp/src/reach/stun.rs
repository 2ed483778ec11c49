//! STUN as Annex G has it (RFC 3489 with its own attributes), for the binding that a UDP connection
//! request comes through. Deliberately IPv4 only, as the annex is.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::hmac_sha1;
use crate::auth::same;
use crate::limits;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Which address do I have?
    BindingRequest,
    /// This one.
    BindingResponse,
    /// I do not say.
    BindingError,
    /// Shared secrets and what else there is, by its number.
    Other(u16),
}

impl Kind {
    const ALL: [(Self, u16); 3] = [
        (Self::BindingRequest, 0x0001),
        (Self::BindingResponse, 0x0101),
        (Self::BindingError, 0x0111),
    ];

    fn number(self) -> u16 {
        match self {
            Self::Other(number) => number,
            kind => Self::ALL
                .iter()
                .find(|(known, _)| *known == kind)
                .map_or(0, |(_, number)| *number),
        }
    }

    fn of(number: u16) -> Self {
        let known = Self::ALL.iter().find(|(_, known)| *known == number);
        known.map_or(Self::Other(number), |(kind, _)| *kind)
    }
}

/// Part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// The sender's address outside of its NAT.
    MappedAddress(SocketAddrV4),
    /// Where to send the answer, to find out how long a binding lives.
    ResponseAddress(SocketAddrV4),
    /// Where the answer comes from.
    SourceAddress(SocketAddrV4),
    /// ManagementServer.STUNUsername.
    Username(String),
    /// HMAC-SHA-1 with ManagementServer.STUNPassword; see [`is_signed`] and [`Message::encode`].
    MessageIntegrity([u8; 20]),
    /// Code and words.
    ErrorCode(u16, String),
    /// This binding is for connection requests.
    ConnectionRequestBinding,
    /// The binding has changed.
    BindingChange,
    /// Another, by its number, with its content.
    Other(u16, Vec<u8>),
}

/// The text in CONNECTION-REQUEST-BINDING.
const BINDING: &[u8] = b"dslforum.org/TR-111 ";

/// A STUN message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// The transaction, repeated in the answer. Newer clients begin it with a magic cookie.
    pub id: [u8; 16],
    /// What it says.
    pub attributes: Vec<Attribute>,
}

/// Why bytes are no STUN message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no STUN message: {0}")]
pub struct StunError(&'static str);

impl Message {
    /// A request, from a CPE.
    pub fn request(id: [u8; 16], attributes: Vec<Attribute>) -> Self {
        let kind = Kind::BindingRequest;
        Self {
            kind,
            id,
            attributes,
        }
    }

    /// The name of the CPE, if it gives one.
    pub fn username(&self) -> Option<&str> {
        self.attributes
            .iter()
            .find_map(|attribute| match attribute {
                Attribute::Username(name) => Some(name.as_str()),
                _ => None,
            })
    }

    /// Whether an attribute is there.
    pub fn has(&self, attribute: &Attribute) -> bool {
        self.attributes.contains(attribute)
    }

    /// The address in an answer.
    pub fn mapped(&self) -> Option<SocketAddrV4> {
        self.attributes
            .iter()
            .find_map(|attribute| match attribute {
                Attribute::MappedAddress(address) => Some(*address),
                _ => None,
            })
    }

    /// Writes a message, signed when there is a password.
    pub fn encode(&self, password: Option<&str>) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.extend(self.kind.number().to_be_bytes());
        out.extend([0, 0]);
        out.extend(self.id);
        for attribute in &self.attributes {
            write(attribute, &mut out);
        }
        let signature = if password.is_some() { 24 } else { 0 };
        let length = u16::try_from(out.len() - 20 + signature).unwrap_or(u16::MAX);
        out[2..4].copy_from_slice(&length.to_be_bytes());
        if let Some(password) = password {
            let signature = sign(&out, password, true);
            write(&Attribute::MessageIntegrity(signature), &mut out);
        }
        out
    }

    /// Reads a message.
    pub fn decode(bytes: &[u8]) -> Result<Self, StunError> {
        if bytes.len() > limits::STUN_BYTES_MAX {
            return Err(StunError("it is too long"));
        }
        let Some((head, mut rest)) = bytes.split_at_checked(20) else {
            return Err(StunError("it is too short"));
        };
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if head[0] & 0xc0 != 0 || length != rest.len() {
            return Err(StunError("the head is wrong"));
        }
        let mut attributes = Vec::new();
        while !rest.is_empty() {
            if attributes.len() >= limits::STUN_ATTRIBUTES_MAX {
                return Err(StunError("there are too many attributes"));
            }
            let (attribute, tail) = read(rest).ok_or(StunError("an attribute is cut"))?;
            attributes.push(attribute);
            rest = tail;
        }
        Ok(Self {
            kind: Kind::of(u16::from_be_bytes([head[0], head[1]])),
            id: std::array::from_fn(|at| head[at + 4]),
            attributes,
        })
    }
}

/// The signature over a message up to its signature: padded to 64 bytes in RFC 3489, and not in the
/// newer one.
fn sign(before: &[u8], password: &str, padded: bool) -> [u8; 20] {
    let mut text = before.to_vec();
    if padded {
        text.resize(text.len().next_multiple_of(64), 0);
    }
    hmac_sha1(password.as_bytes(), &text)
}

/// Whether a message is signed with this password, in either manner. What follows the signature is
/// not covered by it, so nothing may.
pub fn is_signed(bytes: &[u8], password: &str) -> bool {
    let Some((before, signature)) = bytes.len().checked_sub(24).map(|at| bytes.split_at(at)) else {
        return false;
    };
    let [0x00, 0x08, 0x00, 0x14, signature @ ..] = signature else {
        return false;
    };
    before.len() >= 20
        && [true, false]
            .into_iter()
            .any(|padded| same(&sign(before, password, padded), signature))
}

/// Answers a CPE's binding request. The answer says where the request came from; it goes there, or
/// to the RESPONSE-ADDRESS when that is the same host, so that nobody is made to talk to others.
pub fn answer(
    request: &Message,
    from: SocketAddrV4,
    own: SocketAddrV4,
) -> Option<(Message, SocketAddrV4)> {
    if request.kind != Kind::BindingRequest {
        return None;
    }
    let asked = request
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            Attribute::ResponseAddress(address) => Some(*address),
            _ => None,
        });
    let to = asked
        .filter(|asked| asked.ip() == from.ip())
        .unwrap_or(from);
    let attributes = vec![
        Attribute::MappedAddress(from),
        Attribute::SourceAddress(own),
    ];
    let answer = Message {
        kind: Kind::BindingResponse,
        id: request.id,
        attributes,
    };
    Some((answer, to))
}

/// Asks a CPE to sign its binding request: it does so from now on.
pub fn unauthorized(request: &Message) -> Message {
    Message {
        kind: Kind::BindingError,
        id: request.id,
        attributes: vec![Attribute::ErrorCode(401, "Unauthorized".into())],
    }
}

fn write(attribute: &Attribute, out: &mut Vec<u8>) {
    let address = |address: &SocketAddrV4| {
        let mut content = vec![0, 1];
        content.extend(address.port().to_be_bytes());
        content.extend(address.ip().octets());
        content
    };
    let (number, mut content) = match attribute {
        Attribute::MappedAddress(mapped) => (0x0001, address(mapped)),
        Attribute::ResponseAddress(response) => (0x0002, address(response)),
        Attribute::SourceAddress(source) => (0x0004, address(source)),
        Attribute::Username(name) => (0x0006, padded(name)),
        Attribute::MessageIntegrity(signature) => (0x0008, signature.to_vec()),
        Attribute::ErrorCode(code, words) => {
            let mut content = vec![0, 0, (code / 100) as u8, (code % 100) as u8];
            content.extend(padded(words));
            (0x0009, content)
        }
        Attribute::ConnectionRequestBinding => (0xc001, BINDING.to_vec()),
        Attribute::BindingChange => (0xc002, vec![]),
        Attribute::Other(number, content) => (*number, content.clone()),
    };
    out.extend(number.to_be_bytes());
    out.extend(
        u16::try_from(content.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes(),
    );
    content.resize(content.len().next_multiple_of(4), 0);
    out.append(&mut content);
}

/// Old receivers want lengths that are multiples of four; what is added is cut again.
fn padded(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(bytes.len().next_multiple_of(4), b' ');
    bytes
}

fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim_end_matches([' ', '\0']).to_owned()
}

fn read(bytes: &[u8]) -> Option<(Attribute, &[u8])> {
    let (head, rest) = bytes.split_at_checked(4)?;
    let number = u16::from_be_bytes([head[0], head[1]]);
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let (content, after) = rest.split_at_checked(length)?;
    // The padding of the last one is left out by some.
    let after = after
        .get(length.next_multiple_of(4) - length..)
        .unwrap_or_default();
    let address = || match *content {
        [_, 1, p, q, a, b, c, d] => Some(SocketAddrV4::new(
            Ipv4Addr::new(a, b, c, d),
            u16::from_be_bytes([p, q]),
        )),
        _ => None,
    };
    let attribute = match number {
        0x0001 => Attribute::MappedAddress(address()?),
        0x0002 => Attribute::ResponseAddress(address()?),
        0x0004 => Attribute::SourceAddress(address()?),
        0x0006 => Attribute::Username(text(content)),
        0x0008 => Attribute::MessageIntegrity(content.try_into().ok()?),
        0x0009 => {
            let (code, words) = content.split_at_checked(4)?;
            Attribute::ErrorCode(
                u16::from(code[2] & 7) * 100 + u16::from(code[3] % 100),
                text(words),
            )
        }
        0xc001 if text(content).as_bytes() == BINDING.trim_ascii_end() => {
            Attribute::ConnectionRequestBinding
        }
        0xc002 if content.is_empty() => Attribute::BindingChange,
        _ => Attribute::Other(number, content.to_vec()),
    };
    Some((attribute, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 7), 40_000);
    const ACS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 3478);

    fn request() -> Message {
        let attributes = vec![
            Attribute::ConnectionRequestBinding,
            Attribute::BindingChange,
            Attribute::Username("cpe-1".into()),
            Attribute::ResponseAddress(SocketAddrV4::new(*CPE.ip(), 41_000)),
            Attribute::ErrorCode(401, "Unauthorized".into()),
            Attribute::Other(0x7fff, vec![1, 2, 3, 4]),
        ];
        Message::request(*b"0123456789abcdef", attributes)
    }

    #[test]
    fn messages_survive_and_are_signed() {
        let plain = request().encode(None);
        assert_eq!(Message::decode(&plain), Ok(request()));
        assert!(!is_signed(&plain, "p"));
        let signed = request().encode(Some("p"));
        let read = Message::decode(&signed).unwrap();
        assert_eq!(
            (read.kind, read.username()),
            (Kind::BindingRequest, Some("cpe-1"))
        );
        assert!(read.has(&Attribute::ConnectionRequestBinding));
        assert!(matches!(
            read.attributes.last(),
            Some(Attribute::MessageIntegrity(_))
        ));
        assert!(is_signed(&signed, "p") && !is_signed(&signed, "q"));
        for at in 0..signed.len() {
            let mut other = signed.clone();
            other[at] ^= 1;
            assert!(!is_signed(&other, "p"), "{at}");
        }
        // The newer manner, without padding.
        let before = &signed[..signed.len() - 24];
        let newer = [before, &[0, 8, 0, 20], &sign(before, "p", false)].concat();
        assert!(is_signed(&newer, "p"));
    }

    #[test]
    fn a_binding_request_is_answered_where_it_came_from() {
        let (reply, to) = answer(&request(), CPE, ACS).unwrap();
        assert_eq!(
            (reply.mapped(), reply.id, to.port()),
            (Some(CPE), request().id, 41_000)
        );
        let mut evil = request();
        evil.attributes = vec![Attribute::ResponseAddress(ACS)];
        assert_eq!(answer(&evil, CPE, ACS).unwrap().1, CPE);
        assert_eq!(answer(&reply, CPE, ACS), None);
        assert_eq!(unauthorized(&request()).kind, Kind::BindingError);
        assert_eq!(Message::decode(&reply.encode(None)), Ok(reply));
    }

    #[test]
    fn bytes_that_are_no_message_are_refused() {
        let good = request().encode(Some("p"));
        for length in 0..good.len() {
            assert!(Message::decode(&good[..length]).is_err(), "{length}");
        }
        let http = b"GET http://10.1.1.1:8080?ts=1 HTTP/1.1\r\n\r\n";
        assert!(Message::decode(http).is_err());
    }

    /// `STUN_BYTES_MAX`, `STUN_ATTRIBUTES_MAX`
    #[test]
    fn endless_messages_are_refused() {
        let many = |count| Message::request([0; 16], vec![Attribute::BindingChange; count]);
        assert!(Message::decode(&many(limits::STUN_ATTRIBUTES_MAX).encode(None)).is_ok());
        assert!(Message::decode(&many(limits::STUN_ATTRIBUTES_MAX + 1).encode(None)).is_err());
        let long = Message::request(
            [0; 16],
            vec![Attribute::Other(0x7fff, vec![0; limits::STUN_BYTES_MAX])],
        );
        assert!(Message::decode(&long.encode(None)).is_err());
    }
}
