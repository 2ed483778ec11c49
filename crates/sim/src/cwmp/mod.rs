//! Simulated CPEs that speak CWMP (TR-069), with a tree of TR-181 or of TR-098: thousands of them in
//! one process, on real sockets, behind NATs and with faults when that is wanted.
//!
//! | part | what it is |
//! |---|---|
//! | [`blueprint`], [`provision`] | what all devices of a kind share, and how they leave the factory |
//! | `tree`, `watch` | what differs on one device |
//! | `device`, `answer`, `management`, `probe`, `transfer`, `files`, `modules`, `trouble` | one device, without sockets |
//! | `http`, `knock`, `nat`, `driver`, `flash` | its sockets, its clock and its flash |
//! | [`fleet`] | many of them |
//!
//! Deliberately no test double of an ACS: nothing here knows how the server works.

mod answer;
pub mod blueprint;
mod device;
mod driver;
mod files;
mod flash;
pub mod fleet;
mod http;
mod knock;
mod management;
mod modules;
mod nat;
mod probe;
pub mod provision;
mod transfer;
mod tree;
pub mod trouble;
mod watch;

pub use blueprint::Kind;
pub use driver::Counts;
pub(crate) use fleet::tls;
pub use fleet::{Fleet, FleetConfig, FleetError, run};
pub(crate) use http::carry_out;
pub use provision::Provision;
pub(crate) use transfer::{File, Job, version_of};
pub use trouble::Troubles;
