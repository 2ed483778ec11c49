//! The sockets USP speaks over, both ends: today WebSocket (TR-369 "WebSocket Binding"), with TLS
//! and the standard's retry arithmetic.
//!
//! A transport carries Records as opaque bytes. It never decodes one: what a Record says is the
//! `usp` crate's business, who may connect is decided by the consumer's [`ws::Admission`], and which
//! of two sessions of one endpoint survives is decided by whoever owns the table of sessions.

pub mod e2e;
pub mod identity;
pub mod limits;
pub mod retry;
pub mod tls;
pub mod ws;
