//! The side of the devices over real sockets, with real agents and with puppets that misbehave.
#![allow(clippy::unwrap_used)]

mod onboarding;
mod rig;
