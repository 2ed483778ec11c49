//! The sockets USP speaks over: WebSocket (TR-369 "WebSocket Binding"), both ends, MQTT ("MQTT
//! Binding"), an Agent's end and what a broker has in common with it, STOMP ("STOMP Binding"), of
//! which both ends are clients, and UNIX domain sockets, both ends; with TLS and the standard's retry
//! arithmetic. How the two ends find one another is in [`discovery`].
//!
//! A transport carries Records as opaque bytes. It never decodes one: what a Record says is the
//! `usp` crate's business, who may connect is decided by the consumer's [`ws::Admission`], and which
//! of two sessions of one endpoint survives is decided by whoever owns the table of sessions.

mod broken;
pub mod discovery;
pub mod e2e;
pub mod identity;
pub mod limits;
pub mod listen;
pub mod mqtt;
mod outgoing;
pub mod retry;
pub mod stomp;
pub mod stream;
mod tcp;
pub mod tls;
pub mod uds;
mod whole;
mod words;
pub mod ws;
