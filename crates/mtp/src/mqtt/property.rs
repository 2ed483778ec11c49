//! The properties of MQTT 5 packets: all are understood, so that those nobody asks for are skipped
//! correctly; which may stand in which packet is not checked, as nothing hangs on it.

use bytes::Bytes;

use super::error::Malformed;
use super::wire::{Reader, put_binary, put_text, put_variable};
use crate::limits::MQTT_PROPERTIES_MAX;

/// Identifiers that are used here (MQTT 5, 2.2.2.2).
pub mod id {
    /// MIME type of a payload.
    pub const CONTENT_TYPE: u8 = 3;
    /// Where answers go.
    pub const RESPONSE_TOPIC: u8 = 8;
    /// How long a session outlives its connection.
    pub const SESSION_EXPIRY: u8 = 17;
    /// The client identifier the server chose.
    pub const ASSIGNED_CLIENT_ID: u8 = 18;
    /// The keep-alive the server wants.
    pub const SERVER_KEEP_ALIVE: u8 = 19;
    /// Enhanced authentication.
    pub const AUTHENTICATION_METHOD: u8 = 21;
    /// The client wants [`RESPONSE_INFORMATION`].
    pub const REQUEST_RESPONSE_INFORMATION: u8 = 25;
    /// What a client builds its response topic from; with USP it is the topic.
    pub const RESPONSE_INFORMATION: u8 = 26;
    /// A reason, for people.
    pub const REASON_STRING: u8 = 31;
    /// Publishes of QoS 1 in flight towards the sender of this.
    pub const RECEIVE_MAXIMUM: u8 = 33;
    /// A number in the place of a topic.
    pub const TOPIC_ALIAS: u8 = 35;
    /// The best quality of service the server has.
    pub const MAXIMUM_QOS: u8 = 36;
    /// Whether the server keeps messages for later.
    pub const RETAIN_AVAILABLE: u8 = 37;
    /// A name and a value.
    pub const USER_PROPERTY: u8 = 38;
    /// The largest packet the sender of this takes.
    pub const MAXIMUM_PACKET_SIZE: u8 = 39;
    /// Whether subscriptions may have numbers.
    pub const SUBSCRIPTION_ID_AVAILABLE: u8 = 41;
    /// Whether subscriptions may be shared.
    pub const SHARED_SUBSCRIPTION: u8 = 42;
}

/// A property's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// One byte.
    Byte(u8),
    /// Two bytes.
    U16(u16),
    /// Four bytes.
    U32(u32),
    /// One to four bytes.
    Variable(u32),
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
    /// A user property.
    Pair(String, String),
}

enum Kind {
    Byte,
    U16,
    U32,
    Variable,
    Text,
    Binary,
    Pair,
}

fn kind(id: u8) -> Option<Kind> {
    Some(match id {
        1 | 23 | 25 | 36 | 37 | 40 | 41 | 42 => Kind::Byte,
        19 | 33 | 34 | 35 => Kind::U16,
        2 | 17 | 24 | 39 => Kind::U32,
        11 => Kind::Variable,
        3 | 8 | 18 | 21 | 26 | 28 | 31 => Kind::Text,
        9 | 22 => Kind::Binary,
        38 => Kind::Pair,
        _ => return None,
    })
}

/// The properties of one packet. Empty in MQTT 3.1.1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties(Vec<(u8, Value)>);

impl Properties {
    /// Adds one.
    pub fn with(mut self, id: u8, value: Value) -> Self {
        self.0.push((id, value));
        self
    }

    /// Adds a text.
    pub fn text(self, id: u8, text: impl Into<String>) -> Self {
        self.with(id, Value::Text(text.into()))
    }

    /// Adds a user property.
    pub fn user(self, name: &str, value: impl Into<String>) -> Self {
        self.with(
            id::USER_PROPERTY,
            Value::Pair(name.to_owned(), value.into()),
        )
    }

    /// A text.
    pub fn get_text(&self, id: u8) -> Option<&str> {
        self.0.iter().find_map(|(known, value)| match value {
            Value::Text(text) if *known == id => Some(text.as_str()),
            _ => None,
        })
    }

    /// A number, however many bytes it has.
    pub fn number(&self, id: u8) -> Option<u32> {
        self.0.iter().find_map(|(known, value)| match value {
            _ if *known != id => None,
            Value::Byte(number) => Some(u32::from(*number)),
            Value::U16(number) => Some(u32::from(*number)),
            Value::U32(number) | Value::Variable(number) => Some(*number),
            _ => None,
        })
    }

    /// The values of a user property, in their order.
    pub fn users<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter_map(move |(_, value)| match value {
            Value::Pair(known, value) if known == name => Some(value.as_str()),
            _ => None,
        })
    }

    pub(super) fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let length = reader.variable()? as usize;
        let mut inner = Reader::new(reader.take(length)?);
        let mut found = Self::default();
        while !inner.is_empty() {
            let id = inner.variable()?;
            let (id, kind) = u8::try_from(id)
                .ok()
                .and_then(|id| Some((id, kind(id)?)))
                .ok_or(Malformed("an unknown property"))?;
            let repeated = matches!(id, id::USER_PROPERTY | 11);
            if !repeated && found.0.iter().any(|(known, _)| *known == id) {
                return Err(Malformed("a property that stands there twice"));
            }
            let value = match kind {
                Kind::Byte => Value::Byte(inner.byte()?),
                Kind::U16 => Value::U16(inner.u16()?),
                Kind::U32 => Value::U32(inner.u32()?),
                Kind::Variable => Value::Variable(inner.variable()?),
                Kind::Text => Value::Text(inner.text()?),
                Kind::Binary => Value::Binary(inner.binary()?),
                Kind::Pair => Value::Pair(inner.text()?, inner.text()?),
            };
            if found.0.len() >= MQTT_PROPERTIES_MAX {
                return Err(Malformed("more than MQTT_PROPERTIES_MAX properties"));
            }
            found.0.push((id, value));
        }
        Ok(found)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut inner = Vec::new();
        for (id, value) in &self.0 {
            inner.push(*id);
            match value {
                Value::Byte(number) => inner.push(*number),
                Value::U16(number) => inner.extend(number.to_be_bytes()),
                Value::U32(number) => inner.extend(number.to_be_bytes()),
                Value::Variable(number) => put_variable(&mut inner, *number as usize),
                Value::Text(text) => put_text(&mut inner, text),
                Value::Binary(bytes) => put_binary(&mut inner, bytes),
                Value::Pair(name, value) => {
                    put_text(&mut inner, name);
                    put_text(&mut inner, value);
                }
            }
        }
        put_variable(out, inner.len());
        out.extend(inner);
    }
}
