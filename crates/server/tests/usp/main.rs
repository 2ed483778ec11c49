//! The side of the devices over real sockets, with real agents and with puppets that misbehave.
#![allow(clippy::unwrap_used)]

mod admission;
mod fairness;
mod leaving;
mod links;
mod notifications;
mod onboarding;
mod puppet;
mod rig;
mod rivals;
mod tenants;
