//! The side of the devices: one adapter a protocol, and [`Both`] in front of them, so that the
//! dispatcher and the API do not ask which protocol a device speaks. Beside them is what adapters
//! share: who may come in, who is here, who was turned away.
//!
//! Not here: what an operation needs (crate `fleet`), and how it is dispatched ([`crate::dispatch`]).

mod admission;
mod both;
pub mod certificate;
pub mod cwmp;
pub(crate) mod issued;
pub mod limits;
mod log_room;
pub(crate) mod refusal;
mod register;
mod registry;
mod slots;
pub mod usp;

pub use both::Both;
