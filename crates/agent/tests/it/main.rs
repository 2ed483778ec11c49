//! Whole agents over real sockets, against the controller's side of the library.

#![allow(clippy::unwrap_used)]

mod conversation;
mod desk;
mod kill;
