//! The ACS over real sockets, with a client that can send anything.
#![allow(clippy::unwrap_used)]
#![allow(dead_code, reason = "the rig is wider than its first tests")]

mod basics;
mod raw;
mod rig;
