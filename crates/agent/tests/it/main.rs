//! Whole agents over real sockets, against the controller's side of the library.

#![allow(clippy::unwrap_used)]

mod byhand;
mod conversation;
mod desk;
mod found;
mod kill;
#[path = "../../examples/service.rs"]
#[expect(dead_code, reason = "the example is a program, too")]
mod meter;
mod mqtt;
#[path = "../../../mtp/tests/servers/rabbitmq.rs"]
#[allow(dead_code, reason = "each test uses what it needs of it")]
mod rabbitmq;
mod services;
mod slow;
mod stomp;
mod told;
