//! The ACS over real sockets, with a client that can send anything.
#![allow(clippy::unwrap_used)]

mod auth;
mod basics;
mod budget;
mod hostile;
mod matching;
mod raw;
mod rig;
mod secure;

use server::southbound::cwmp::limits::DRAINED_BYTES_MAX;
