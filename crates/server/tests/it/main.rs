//! The API against the real server, each test with a database of its own.

#![allow(clippy::unwrap_used, missing_docs)]

mod at_once;
mod body;
mod cut_sessions;
mod events;
mod files;
mod handing;
mod idempotency;
mod input;
mod links;
mod listener;
mod one_device;
mod over_cwmp;
mod paging;
mod permission;
#[allow(dead_code, reason = "the tests of links use the rest of it")]
#[path = "../usp/puppet.rs"]
mod puppet;
#[allow(dead_code, reason = "the tests of sessions use the rest of it")]
#[path = "../cwmp/raw.rs"]
mod raw;
mod reach;
mod rig;
mod sends;
mod session;
mod throttle;
mod two_links;
mod wake_credential;
mod walk;
#[allow(dead_code, reason = "the tests of devices use the rest of it")]
mod world;
