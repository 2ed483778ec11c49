//! CWMP (TR-069) without IO: SOAP, every method of both sides, the state machines of an ACS and of a
//! CPE, and the pure parts of what surrounds them in HTTP.
//!
//! Deliberately not here: sockets, HTTP servers and clients, compression, clocks, random numbers
//! and threads (moments and seeds come in as arguments), a data model, and what an ACS does with an
//! answer.

pub mod acs;
pub mod auth;
pub mod cpe;
pub mod error;
pub mod event;
pub mod fault;
pub mod limits;
pub mod reach;
pub mod retry;
pub mod rpc;
pub mod soap;
pub mod transcript;
pub mod value;
pub mod version;

pub use error::Error;
pub use fault::{Fault, FaultCode};
pub use soap::Envelope;
pub use version::Version;
