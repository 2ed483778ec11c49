//! The promises under violence: real `headend serve` and `headend sim` processes that are killed,
//! frozen, flooded and started again. Everything is looked at through the API.
//! Deliberately not here: what a device may answer (`fleet`, `usp`) and how fast it all is (`bench/`).
#![allow(clippy::unwrap_used)]

mod bad_input;
mod kill;
mod presence;
mod raw;
mod restart;
mod rig;
mod rivals;
mod stream;
