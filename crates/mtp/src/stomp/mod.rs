//! USP over STOMP 1.2 (TR-369 "STOMP Binding"): the frames, and an end of a connection to a server.
//! Agent and Controller are both clients of it, so that one end serves for both.
//!
//! * [`Frame`] and [`Decoder`] read and write bytes and do no IO.
//! * [`dial`] connects, subscribes and ends in a [`Link`], which has no task of its own.

mod decoder;
mod dial;
mod frame;
mod link;
mod pipe;
mod skip;
#[cfg(test)]
mod tests;

pub use crate::broken::{LinkError, Malformed};
pub use crate::mqtt::Refused;
pub use decoder::{BODY_SIZE, Decoder};
pub use dial::{DialConfig, DialError, dial};
pub use frame::{Command, Frame};
pub use link::{Incoming, Link};
pub use pipe::Pipe;

/// What the body of a SEND or MESSAGE is (R-STOMP.20).
pub const CONTENT_TYPE: &str = "application/vnd.bbf.usp.msg";

/// Where answers to a record go (R-STOMP.21).
pub const REPLY_TO: &str = "reply-to-dest";

/// The header of a STOMP frame with the endpoint id of its sender (R-STOMP.4).
pub const ENDPOINT_ID: &str = "endpoint-id";

/// The header of a CONNECTED frame that says where to listen (R-STOMP.6).
pub const SUBSCRIBE_DEST: &str = "subscribe-dest";

/// What an older endpoint says of a record that it did not understand; deprecated, and only shown.
pub const ERROR_ID: &str = "usp-err-id";
