//! Simulated CWMP devices against a scripted ACS, over real sockets.

#![allow(clippy::unwrap_used)]

mod acs;
mod life;
mod model;
mod transfers;
mod trouble;
mod wake;
