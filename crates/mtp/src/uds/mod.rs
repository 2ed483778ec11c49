//! USP over UNIX domain sockets (TR-369 "UNIX Domain Socket Binding"), both ends: what processes of
//! one device speak with each other.
//!
//! * [`Listener`] owns a socket file; [`dial`] connects to one. Both shake hands with endpoint ids
//!   and end in a [`Link`], which has no task of its own.
//! * [`Frames`] and [`write()`] are the bytes.
//!
//! Not here: TLS, which is optional in the binding and protects nothing that the permissions of a
//! socket file do not; passwords of later drafts, which are passed over like all that is unknown.

mod dial;
mod error;
mod frame;
mod link;
mod listener;

pub use dial::{DialConfig, dial, retry_wait};
pub use error::{BindError, DialError, LinkError};
pub use frame::{Frames, MAGIC, Malformed, Tlv, write};
pub use link::{Credentials, Link};
pub use listener::{Accepted, Admission, Hello, Listener, ListenerConfig};

/// Where a USP Broker's controller listens by convention: USP Services connect their agents here.
pub const BROKER_CONTROLLER_PATH: &str = "/var/run/usp/broker_controller_path";

/// Where a USP Broker's agent listens by convention: USP Services connect their controllers here.
pub const BROKER_AGENT_PATH: &str = "/var/run/usp/broker_agent_path";
