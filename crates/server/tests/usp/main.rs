//! The side of the devices over real sockets, with real agents and with puppets that misbehave.
#![allow(clippy::unwrap_used)]

mod admission;
#[allow(dead_code, reason = "the tests of the API use the rest of it")]
#[path = "../it/world.rs"]
mod api_world;
mod asked;
mod behind;
mod both;
mod broken;
mod certificates;
mod certified;
mod contexts;
mod doctor;
mod door;
mod endless;
mod external;
mod fairness;
mod hostile;
mod leaving;
mod links;
mod mosquitto;
mod mqtt;
mod notifications;
mod onboarding;
mod paths;
mod puppet;
#[allow(dead_code, reason = "other crates use the rest of it")]
#[path = "../../../mtp/tests/servers/rabbitmq.rs"]
mod rabbitmq;
mod refused;
mod rig;
mod rivals;
mod rotation;
mod secure;
mod services;
mod shared;
mod stomp;
mod swaps;
mod tenants;
#[allow(dead_code, reason = "other crates use the rest of it")]
#[path = "../../../headend/tests/it/wire.rs"]
mod wire;
