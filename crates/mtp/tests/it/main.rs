//! The WebSocket transport over real sockets on port 0 and UNIX domain sockets: our two ends against
//! each other, and each of them against peers that speak frames and HTTP by hand.
#![allow(clippy::unwrap_used)]

mod corpus;
mod dialling;
mod dns_sd;
mod frames;
mod handshakes;
mod links;
#[path = "../servers/rabbitmq.rs"]
mod rabbitmq;
mod stomp;
mod support;
mod tls;
mod uds;
