//! The ACS over real sockets, with a client that can send anything.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "the tests of the API use the rest of it")]
#[path = "../it/world.rs"]
mod api_world;
mod auth;
mod basics;
mod budget;
mod conduct;
mod cookies;
mod failing;
mod hostile;
mod limits;
mod matching;
mod proxied;
mod quirks;
mod raw;
mod rig;
mod secure;
mod takeover;
mod transcripts;
mod wake;

use server::southbound::cwmp::limits::DRAINED_BYTES_MAX;
