//! USP (TR-369) without IO: the codec of records and messages, endpoint ids, error codes, and the
//! state machines of a controller and of an agent towards one peer.
//!
//! Deliberately not here: sockets, clocks, random numbers and threads (time and seeds come in as
//! arguments), the agent's data model (crate `agent`), and what a controller does with an answer.
//!
//! Start at [`controller::Session`] or [`agent::Session`]; [`msg`] builds requests and [`outcome`]
//! reads responses without the traps of the standard.

pub mod agent;
pub mod codec;
pub mod context;
pub mod controller;
pub mod endpoint;
pub mod error;
pub mod limits;
mod link;
pub mod msg;
pub mod outcome;
pub mod proto;
pub mod record;
pub mod retry;
pub mod session;
pub mod transcript;
pub mod version;
mod wire;

pub use endpoint::{EndpointId, EndpointIdError, Scheme};
pub use error::{Error, ErrorCode, UspError};
pub use msg::Msg;
pub use record::Record;
pub use retry::RetryPolicy;
pub use version::{Version, Versions};
pub use wire::{DecodeError, DecodeErrorKind, Map};
