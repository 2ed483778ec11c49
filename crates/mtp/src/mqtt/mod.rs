//! USP over MQTT 5.0 and 3.1.1 (TR-369 "MQTT Binding"): the packets, both ends' common parts, and
//! the end of an Agent.
//!
//! * [`dial`] connects, subscribes and ends in a [`Link`], which has no task of its own.
//! * [`Pipe`] and [`Outbox`] are what the broker's end has in common with it; the broker itself is
//!   the crate `broker`.

mod decoder;
mod dial;
mod error;
mod link;
mod outbox;
mod packet;
mod pipe;
pub mod property;
#[cfg(test)]
mod tests;
pub mod topic;
mod wire;

pub use decoder::{Decoder, PACKET_SIZE};
pub use dial::{DialConfig, DialError, dial};
pub use error::{LinkError, Malformed, code_words};
pub use link::{Incoming, Link, Refused, Undelivered};
pub use outbox::Outbox;
pub use packet::{ConnAck, Connect, Packet, Publish, Version, code};
pub use pipe::Pipe;
pub use property::{Properties, Value};

/// The WebSocket subprotocol of MQTT (MQTT 5.0, 6; the same for 3.1.1).
pub const SUBPROTOCOL: &str = "mqtt";

/// What the payload of a PUBLISH is (R-MQTT.27).
pub const CONTENT_TYPE: &str = "usp.msg";

/// The older name of the same, which is understood, too (R-MQTT.27a).
pub const CONTENT_TYPE_OLD: &str = "application/vnd.bbf.usp.msg";

/// The user property of a CONNECT that holds the endpoint id (R-MQTT.13).
pub const ENDPOINT_ID: &str = "usp-endpoint-id";

/// The user property of a CONNACK that holds a topic to subscribe to (R-MQTT.15, R-MQTT.44).
pub const SUBSCRIBE_TOPIC: &str = "subscribe-topic";

/// Whether a PUBLISH may hold a Record, as far as its content type says.
pub fn is_record(properties: &Properties) -> bool {
    properties
        .get_text(property::id::CONTENT_TYPE)
        .is_none_or(|kind| kind == CONTENT_TYPE || kind == CONTENT_TYPE_OLD)
}

/// The properties and the topic of a PUBLISH that carries a Record and says where answers go
/// (R-MQTT.22 to .24, .26, .27).
pub fn addressed(version: Version, topic: &str, reply: &str) -> (String, Properties) {
    match version {
        Version::V5 => {
            let properties = Properties::default()
                .text(property::id::CONTENT_TYPE, CONTENT_TYPE)
                .text(property::id::RESPONSE_TOPIC, reply);
            (topic.to_owned(), properties)
        }
        Version::V311 => (topic::with_reply(topic, reply), Properties::default()),
    }
}

/// The topic of a PUBLISH that came, and where answers to it go (R-MQTT.23, R-MQTT.25).
pub fn address(version: Version, publish: &Publish) -> (&str, Option<String>) {
    match version {
        Version::V5 => {
            let reply = publish.properties.get_text(property::id::RESPONSE_TOPIC);
            (&publish.topic, reply.map(str::to_owned))
        }
        Version::V311 => topic::split_reply(&publish.topic),
    }
}
