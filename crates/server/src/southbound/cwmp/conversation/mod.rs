//! What is said with a CPE: the domain's operations as methods of CWMP, and what the CPE says as
//! facts. Straight-line code over a [`Line`](line::Line).
//!
//! Not here: sessions and turns (the task of the session), what an operation means (crate `fleet`).

mod ahead;
#[cfg(test)]
#[path = "tests/begin.rs"]
mod begin;
pub mod desk;
mod discover;
#[cfg(test)]
#[path = "tests/fake.rs"]
mod fake;
mod forms;
mod get;
mod habits;
pub mod inform;
mod instances;
#[cfg(test)]
#[path = "tests/interval.rs"]
mod interval_tests;
pub mod jobs;
mod known;
#[cfg(test)]
#[path = "tests/later.rs"]
mod later;
#[cfg(test)]
#[path = "tests/lessons.rs"]
mod lessons;
pub mod limits;
pub mod line;
mod management;
mod meaning;
pub mod memory;
mod model;
pub mod onboard;
mod operate;
#[cfg(test)]
#[path = "tests/operate.rs"]
mod operate_tests;
pub mod packs;
mod question;
pub mod quirks;
#[cfg(test)]
#[path = "tests/quirks.rs"]
mod quirks_tests;
mod read;
mod requests;
#[cfg(test)]
#[path = "tests/restart.rs"]
mod restart_tests;
mod rows;
pub mod said;
#[cfg(test)]
#[path = "tests/said.rs"]
mod said_tests;
#[cfg(test)]
#[path = "tests/sessions.rs"]
mod sessions;
mod subscribe;
#[cfg(test)]
#[path = "tests/takeover.rs"]
mod takeover_tests;
pub mod talk;
mod tree;
pub mod twins;
#[cfg(test)]
#[path = "tests/walk.rs"]
mod walk;
mod watch;
mod windows;
#[cfg(test)]
#[path = "tests/world.rs"]
mod world;
mod write;

pub use ahead::{begins_within, objection};
