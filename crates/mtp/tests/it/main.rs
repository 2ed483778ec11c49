//! The WebSocket transport over real sockets on port 0 and UNIX domain sockets: our two ends against
//! each other, and each of them against peers that speak frames and HTTP by hand.
#![allow(clippy::unwrap_used)]

mod corpus;
mod dialling;
mod frames;
mod handshakes;
mod links;
mod support;
mod tls;
mod uds;
