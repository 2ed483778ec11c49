//! The side of the devices: one adapter a protocol, and [`Both`] in front of them, so that the
//! dispatcher and the API do not ask which protocol a device speaks.
//!
//! Not here: what an operation needs (crate `fleet`), and how it is dispatched ([`crate::dispatch`]).

mod both;
pub mod cwmp;
pub mod usp;

pub use both::Both;
