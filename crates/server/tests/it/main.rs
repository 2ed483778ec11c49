//! The API against the real server, each test with a database of its own.

#![allow(clippy::unwrap_used, missing_docs)]

mod events;
mod idempotency;
mod input;
mod listener;
mod paging;
mod session;
mod walk;
mod world;
