//! The broker over real sockets, against clients that speak packets by hand.
#![allow(clippy::unwrap_used)]

mod clients;
mod hostile;
mod support;
mod topics;
mod websocket;
