//! USP over WebSocket (RFC 6455 with the subprotocol `v1.usp`), listening and dialling.
//!
//! * [`Listener`] accepts: TCP, TLS where configured, the HTTP upgrade, the consumer's
//!   [`Admission`]. Every refusal reaches the [`Refusals`] sink.
//! * [`dial`] connects.
//! * Both end in a [`Link`], which has no task of its own.

mod admission;
mod assemble;
mod close;
mod dial;
mod error;
mod frame;
mod http;
mod keepalive;
mod link;
mod listener;
mod seats;
mod tunnel;
mod upgrade;

pub use admission::{Admission, Admitted, Hello, Refusal, RefusalReason, Refusals, Refused};
pub use close::{CloseCode, reason};
pub use dial::{DialConfig, dial};
pub(crate) use dial::{connect, secure, tunnelled};
pub use error::{DialError, LinkError};
pub use http::no_room;
pub use keepalive::KeepAlive;
pub use link::{Closed, Incoming, Link, LinkLimits, Role};
pub use listener::{Accepted, Listener, ListenerConfig};
pub use seats::{Seat, Seats};
pub use tunnel::Tunnel;
pub(crate) use tunnel::Violation;
pub use upgrade::tunnel;

/// The WebSocket subprotocol of USP (R-WS.10).
pub const SUBPROTOCOL: &str = "v1.usp";
