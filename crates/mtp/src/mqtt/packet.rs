//! The packets of MQTT 5.0 and 3.1.1, as values and as bytes.
//!
//! Not here: what follows from a packet, and the bytes of a stream ([`super::pipe`]).

use bytes::Bytes;

use super::error::Malformed;
use super::property::Properties;
use super::wire::{Reader, put_binary, put_text, put_variable};
use crate::limits::{MQTT_FILTERS_MAX, MQTT_REFUSED_TOPIC_BYTES};

/// The version a connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// 3.1.1.
    V311,
    /// 5.0.
    #[default]
    V5,
}

/// Reason codes of MQTT 5 that are used here.
pub mod code {
    /// Well done, or quality of service 0.
    pub const SUCCESS: u8 = 0x00;
    /// Something else.
    pub const UNSPECIFIED: u8 = 0x80;
    /// The packet must not come now.
    pub const PROTOCOL_ERROR: u8 = 0x82;
    /// User name or password are wrong.
    pub const BAD_CREDENTIAL: u8 = 0x86;
    /// Not allowed.
    pub const NOT_AUTHORIZED: u8 = 0x87;
    /// Not now.
    pub const UNAVAILABLE: u8 = 0x88;
    /// Too much to do.
    pub const SERVER_BUSY: u8 = 0x89;
    /// The server stops.
    pub const SHUTTING_DOWN: u8 = 0x8b;
    /// Nothing was heard for too long.
    pub const KEEP_ALIVE_TIMEOUT: u8 = 0x8d;
    /// Another connection of the same client.
    pub const TAKEN_OVER: u8 = 0x8e;
    /// More in flight than was said.
    pub const RECEIVE_MAXIMUM_EXCEEDED: u8 = 0x93;
    /// The packet is too large.
    pub const PACKET_TOO_LARGE: u8 = 0x95;
    /// Too many.
    pub const QUOTA_EXCEEDED: u8 = 0x97;
    /// An operator's doing.
    pub const ADMINISTRATIVE: u8 = 0x98;
    /// The payload is not what it should be.
    pub const PAYLOAD_FORMAT: u8 = 0x99;

    /// What a peer is told that hit this limit.
    pub fn of_limit(limit: &str) -> u8 {
        match limit {
            crate::mqtt::PACKET_SIZE => PACKET_TOO_LARGE,
            "RECEIVE_MAXIMUM" => RECEIVE_MAXIMUM_EXCEEDED,
            _ => QUOTA_EXCEEDED,
        }
    }
}

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// A client begins.
    Connect(Box<Connect>),
    /// The server's answer.
    ConnAck(Box<ConnAck>),
    /// A message.
    Publish(Publish),
    /// It was taken (QoS 1).
    PubAck(u16, u8),
    /// Received (QoS 2).
    PubRec(u16, u8),
    /// Released (QoS 2).
    PubRel(u16, u8),
    /// Complete (QoS 2).
    PubComp(u16, u8),
    /// Filters wanted, each with its quality of service, and towards a server of 5.0 its other options.
    Subscribe(u16, Vec<(String, u8)>),
    /// A code for each of them.
    SubAck(u16, Vec<u8>),
    /// Filters no longer wanted.
    Unsubscribe(u16, Vec<String>),
    /// A code for each of them; none in 3.1.1.
    UnsubAck(u16, Vec<u8>),
    /// Are you there?
    PingReq,
    /// I am.
    PingResp,
    /// The end, with a code (5.0).
    Disconnect(u8, Properties),
    /// Enhanced authentication (5.0).
    Auth(u8),
}

/// CONNECT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connect {
    /// The version.
    pub version: Version,
    /// Clean Session, Clean Start.
    pub clean: bool,
    /// Seconds; 0 is none.
    pub keep_alive: u16,
    /// Its properties.
    pub properties: Properties,
    /// May be empty.
    pub client_id: String,
    /// The user.
    pub username: Option<String>,
    /// The password. Do not log it.
    pub password: Option<Bytes>,
}

/// CONNACK.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnAck {
    /// The server knows a session of this client.
    pub session_present: bool,
    /// A reason code of 5.0, a return code of 3.1.1.
    pub code: u8,
    /// Its properties.
    pub properties: Properties,
}

/// PUBLISH.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publish {
    /// Sent before.
    pub dup: bool,
    /// 0, 1 or 2.
    pub qos: u8,
    /// To be kept.
    pub retain: bool,
    /// Where to.
    pub topic: String,
    /// Its number; 0 with quality of service 0.
    pub id: u16,
    /// Its properties.
    pub properties: Properties,
    /// What it says.
    pub payload: Bytes,
    /// Why it cannot be taken, where a decoder went on behind it: then it has neither payload nor properties, and
    /// only the beginning of a long topic.
    pub refused: Option<&'static str>,
}

impl Packet {
    /// Appends the packet's bytes.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let five = version == Version::V5;
        let mut body = Vec::new();
        let first = match self {
            Self::Connect(connect) => {
                connect.encode(&mut body);
                0x10
            }
            Self::ConnAck(ack) => {
                body.extend([u8::from(ack.session_present), ack.code]);
                if five {
                    ack.properties.encode(&mut body);
                }
                0x20
            }
            Self::Publish(publish) => {
                // The payload is not copied twice: it goes behind the head.
                put_text(&mut body, &publish.topic);
                if publish.qos > 0 {
                    body.extend(publish.id.to_be_bytes());
                }
                if five {
                    publish.properties.encode(&mut body);
                }
                out.push(
                    0x30 | u8::from(publish.dup) << 3
                        | (publish.qos & 3) << 1
                        | u8::from(publish.retain),
                );
                put_variable(out, body.len() + publish.payload.len());
                out.extend(body);
                out.extend(&publish.payload);
                return;
            }
            Self::PubAck(id, code) => acknowledgement(&mut body, 0x40, *id, *code, five),
            Self::PubRec(id, code) => acknowledgement(&mut body, 0x50, *id, *code, five),
            Self::PubRel(id, code) => acknowledgement(&mut body, 0x62, *id, *code, five),
            Self::PubComp(id, code) => acknowledgement(&mut body, 0x70, *id, *code, five),
            Self::Subscribe(id, filters) => {
                body.extend(id.to_be_bytes());
                if five {
                    body.push(0);
                }
                for (filter, qos) in filters {
                    put_text(&mut body, filter);
                    body.push(*qos);
                }
                0x82
            }
            Self::SubAck(id, codes) => {
                body.extend(id.to_be_bytes());
                if five {
                    body.push(0);
                }
                body.extend(codes);
                0x90
            }
            Self::Unsubscribe(id, filters) => {
                body.extend(id.to_be_bytes());
                if five {
                    body.push(0);
                }
                filters
                    .iter()
                    .for_each(|filter| put_text(&mut body, filter));
                0xa2
            }
            Self::UnsubAck(id, codes) => {
                body.extend(id.to_be_bytes());
                if five {
                    body.push(0);
                    body.extend(codes);
                }
                0xb0
            }
            Self::PingReq => 0xc0,
            Self::PingResp => 0xd0,
            Self::Disconnect(code, properties) => {
                if five {
                    body.push(*code);
                    properties.encode(&mut body);
                }
                0xe0
            }
            Self::Auth(code) => {
                body.extend([*code, 0]);
                0xf0
            }
        };
        out.push(first);
        put_variable(out, body.len());
        out.extend(body);
    }

    /// Reads a packet: the first byte of its head and what follows the length. `version` is what
    /// the connection speaks; a CONNECT says it itself.
    pub fn decode(first: u8, body: Bytes, version: Version) -> Result<Self, Malformed> {
        let five = version == Version::V5;
        let (kind, flags) = (first >> 4, first & 0x0f);
        let wanted = match kind {
            3 => flags,
            6 | 8 | 10 => 2,
            _ => 0,
        };
        if flags != wanted {
            return Err(Malformed("a packet with reserved flags"));
        }
        let mut r = Reader::new(body);
        let packet = match kind {
            1 => return Connect::decode(r).map(|connect| Self::Connect(Box::new(connect))),
            2 => {
                let flags = r.byte()?;
                let code = r.byte()?;
                let properties = properties(&mut r, five)?;
                Self::ConnAck(Box::new(ConnAck {
                    session_present: flags & 1 == 1,
                    code,
                    properties,
                }))
            }
            3 => return Publish::decode(flags, r, five).map(Self::Publish),
            4 => number(&mut r, five).map(|(id, code)| Self::PubAck(id, code))?,
            5 => number(&mut r, five).map(|(id, code)| Self::PubRec(id, code))?,
            6 => number(&mut r, five).map(|(id, code)| Self::PubRel(id, code))?,
            7 => number(&mut r, five).map(|(id, code)| Self::PubComp(id, code))?,
            8 | 10 => {
                let id = packet_id(&mut r)?;
                properties(&mut r, five)?;
                let mut filters = Vec::new();
                while !r.is_empty() {
                    let filter = r.text()?;
                    let options = if kind == 8 { r.byte()? } else { 0 };
                    if options & 3 == 3 || filters.len() >= MQTT_FILTERS_MAX {
                        return Err(Malformed("filters that cannot be, or too many"));
                    }
                    filters.push((filter, options & 3));
                }
                match (kind, filters.is_empty()) {
                    (_, true) => return Err(Malformed("a list of filters without any")),
                    (8, _) => Self::Subscribe(id, filters),
                    _ => Self::Unsubscribe(id, filters.into_iter().map(|(f, _)| f).collect()),
                }
            }
            9 | 11 => {
                let id = packet_id(&mut r)?;
                properties(&mut r, five)?;
                let codes = r.rest().to_vec();
                if kind == 11 && !five && !codes.is_empty() {
                    return Err(Malformed("a packet with something behind its end"));
                }
                return Ok(match kind {
                    9 => Self::SubAck(id, codes),
                    _ => Self::UnsubAck(id, codes),
                });
            }
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 | 15 => {
                let code = if r.is_empty() || !five { 0 } else { r.byte()? };
                let given = match r.is_empty() {
                    true => Properties::default(),
                    false => properties(&mut r, five)?,
                };
                match kind {
                    14 => Self::Disconnect(code, given),
                    _ if five => Self::Auth(code),
                    _ => return Err(Malformed("AUTH in MQTT 3.1.1")),
                }
            }
            _ => return Err(Malformed("a packet of no known type")),
        };
        if !r.is_empty() {
            return Err(Malformed("a packet with something behind its end"));
        }
        Ok(packet)
    }
}

fn properties(r: &mut Reader, five: bool) -> Result<Properties, Malformed> {
    match five {
        true => Properties::decode(r),
        false => Ok(Properties::default()),
    }
}

fn packet_id(r: &mut Reader) -> Result<u16, Malformed> {
    match r.u16()? {
        0 => Err(Malformed("a packet with the number 0")),
        id => Ok(id),
    }
}

fn number(r: &mut Reader, five: bool) -> Result<(u16, u8), Malformed> {
    let id = packet_id(r)?;
    let code = if five && !r.is_empty() { r.byte()? } else { 0 };
    if five && !r.is_empty() {
        Properties::decode(r)?;
    }
    Ok((id, code))
}

fn acknowledgement(body: &mut Vec<u8>, first: u8, id: u16, code: u8, five: bool) -> u8 {
    body.extend(id.to_be_bytes());
    if five && code != 0 {
        body.push(code);
    }
    first
}

impl Connect {
    fn encode(&self, body: &mut Vec<u8>) {
        let five = self.version == Version::V5;
        put_text(body, "MQTT");
        body.push(if five { 5 } else { 4 });
        body.push(
            u8::from(self.clean) << 1
                | u8::from(self.password.is_some()) << 6
                | u8::from(self.username.is_some()) << 7,
        );
        body.extend(self.keep_alive.to_be_bytes());
        if five {
            self.properties.encode(body);
        }
        put_text(body, &self.client_id);
        if let Some(username) = &self.username {
            put_text(body, username);
        }
        if let Some(password) = &self.password {
            put_binary(body, password);
        }
    }

    fn decode(mut r: Reader) -> Result<Self, Malformed> {
        let name = r.text()?;
        let level = r.byte()?;
        let version = match (name.as_str(), level) {
            ("MQTT", 4) => Version::V311,
            ("MQTT", 5) => Version::V5,
            ("MQTT" | "MQIsdp", _) => return Err(Malformed::VERSION),
            _ => return Err(Malformed("a CONNECT that is not of MQTT")),
        };
        let five = version == Version::V5;
        let flags = r.byte()?;
        let has = |bit: u8| flags >> bit & 1 == 1;
        let (will, will_qos) = (has(2), flags >> 3 & 3);
        if has(0) || will_qos == 3 || (!will && (will_qos > 0 || has(5))) {
            return Err(Malformed("a CONNECT with flags that cannot be"));
        }
        let keep_alive = r.u16()?;
        let properties = properties(&mut r, five)?;
        let client_id = r.text()?;
        if will {
            if five {
                Properties::decode(&mut r)?;
            }
            r.text()?;
            r.binary()?;
        }
        let username = has(7).then(|| r.text()).transpose()?;
        let password = has(6).then(|| r.binary()).transpose()?;
        if !r.is_empty() {
            return Err(Malformed("a packet with something behind its end"));
        }
        Ok(Self {
            version,
            clean: has(1),
            keep_alive,
            properties,
            client_id,
            username,
            password,
        })
    }
}

impl Publish {
    /// Bytes of the whole packet.
    pub fn packet_bytes(&self, version: Version) -> usize {
        let mut properties = Vec::new();
        if version == Version::V5 {
            self.properties.encode(&mut properties);
        }
        let id = if self.qos > 0 { 2 } else { 0 };
        let rest = 2 + self.topic.len() + id + properties.len() + self.payload.len();
        let mut length = Vec::new();
        put_variable(&mut length, rest);
        1 + length.len() + rest
    }

    fn decode(flags: u8, mut r: Reader, five: bool) -> Result<Self, Malformed> {
        let qos = flags >> 1 & 3;
        if qos == 3 {
            return Err(Malformed("a PUBLISH with quality of service 3"));
        }
        let topic = r.text()?;
        let id = if qos > 0 { packet_id(&mut r)? } else { 0 };
        let properties = properties(&mut r, five)?;
        Ok(Self {
            dup: flags & 8 != 0,
            qos,
            retain: flags & 1 != 0,
            topic,
            id,
            properties,
            payload: r.rest(),
            refused: None,
        })
    }

    /// The topic and the number of a PUBLISH by the beginning of its body; `None` while that is too short for them.
    pub(super) fn head(first: u8, body: &[u8]) -> Result<Option<Self>, Malformed> {
        let qos = first >> 1 & 3;
        if qos == 3 {
            return Err(Malformed("a PUBLISH with quality of service 3"));
        }
        let Some((length, rest)) = body.split_first_chunk::<2>() else {
            return Ok(None);
        };
        let Some((topic, rest)) = rest.split_at_checked(u16::from_be_bytes(*length).into()) else {
            return Ok(None);
        };
        let id = match (qos, rest.first_chunk::<2>()) {
            (0, _) => 0,
            (_, None) => return Ok(None),
            (_, Some([0, 0])) => return Err(Malformed("a packet with the number 0")),
            (_, Some(id)) => u16::from_be_bytes(*id),
        };
        let shown = &topic[..topic.len().min(MQTT_REFUSED_TOPIC_BYTES)];
        Ok(Some(Self {
            dup: first & 8 != 0,
            qos,
            retain: first & 1 != 0,
            topic: String::from_utf8_lossy(shown).into_owned(),
            id,
            ..Self::default()
        }))
    }

    /// The same, refused.
    pub(super) fn because(self, why: &'static str) -> Self {
        Self {
            refused: Some(why),
            ..self
        }
    }
}
