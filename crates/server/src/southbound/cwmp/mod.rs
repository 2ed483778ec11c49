//! The adapter to CPEs that speak CWMP (TR-069) over HTTP. The listener finds the session of each
//! POST, each session is one small task around [`cwmp::acs::Session`], and what is said in it is
//! straight-line code over a [`Cpe`].
//!
//! Not here: what an operation needs (crate `fleet`), and the protocol itself (crate `cwmp`).

mod cpe;

pub use cpe::{Ask, AskError, Cpe, Guest, Opening, Said};
