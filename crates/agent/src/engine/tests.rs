//! The engine against the cases of TP-469 (cited by id) with a small back end: no sockets, no clock.

mod rig;

mod certificates;
mod deletes;
mod discovery;
mod found;
mod functions;
mod mqtt;
mod operations;
mod reads;
mod roles;
mod services;
mod sockets;
mod stomp;
mod transactions;
mod writes;
