//! Simulated fleets: CPEs with moving counters, hosts that come and go and reboots that really disconnect.
//!
//! [`world`] is deterministic and in memory: a seed, a fake clock, the real dispatcher, devices and bad luck.
//! [`swarm`] runs many of them on real sockets in one process, through the same agent library as a real device;
//! [`cwmp`] does the same with devices that speak TR-069.
//! It is deliberately no test double of the server: nothing here knows how the server works.

pub mod cpe;
pub mod cwmp;
mod diagnostics;
mod firmware;
mod hosts;
mod identity;
pub mod model;
pub mod motion;
pub mod swarm;
pub mod world;
