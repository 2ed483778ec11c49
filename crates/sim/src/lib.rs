//! Simulated fleets: CPEs with moving counters, hosts that come and go and reboots that really disconnect.
//!
//! [`world`] is deterministic and in memory: a seed, a fake clock, the real dispatcher, devices and bad luck.
//! [`swarm`] runs many of them on real sockets in one process, through the same agent library as a real device.
//! It is deliberately no test double of the server: nothing here knows how the server works.

pub mod cpe;
mod diagnostics;
mod hosts;
pub mod model;
pub mod motion;
pub mod swarm;
pub mod world;
