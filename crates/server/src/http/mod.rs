//! The HTTP side: listener, router, extractors, headers, console assets. What the operations do is
//! in `handlers`, who may call them in `auth`.

mod activity;
pub mod console;
pub mod docs;
pub mod extract;
pub mod headers;
pub mod idempotency;
pub mod listener;
pub mod metrics;
pub mod page;
pub mod peer;
pub mod router;
mod shape;
mod stall;
