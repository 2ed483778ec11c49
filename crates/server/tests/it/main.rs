//! The API against the real server, each test with a database of its own.

#![allow(clippy::unwrap_used, missing_docs)]

mod body;
mod events;
mod files;
mod handing;
mod idempotency;
mod input;
mod listener;
mod one_device;
mod over_cwmp;
mod paging;
mod permission;
mod session;
mod throttle;
mod walk;
#[allow(dead_code, reason = "the tests of devices use the rest of it")]
mod world;
