//! The generated types of the wire, as they are. [`crate::record`] and [`crate::msg`] re-export
//! them with builders. Deliberately no code of our own.

#[path = "generated/msg.rs"]
pub mod msg;
#[path = "generated/record.rs"]
pub mod record;
