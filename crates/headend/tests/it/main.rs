//! The promises under violence: real `headend serve` and `headend sim` processes that are killed,
//! frozen, flooded and started again, looked at through the API. And the command line as people and
//! scripts meet it: what it prints, where, and how it ends.
//! Deliberately not here: what a device may answer (`fleet`, `usp`) and how fast it all is (`bench/`).
#![allow(clippy::unwrap_used)]

mod bad_input;
mod cli;
mod commands;
mod contract;
mod cwmp_restart;
mod demo;
mod dhcp;
mod discovery;
mod files;
mod files_secure;
mod hermit;
mod kill;
mod lines_that_break;
mod lost_answers;
mod mdns;
mod modules;
mod netns;
mod people;
mod pki;
#[path = "../../../mtp/tests/servers/ports.rs"]
mod ports;
mod presence;
mod proxy;
mod raw;
mod refusals;
mod restart;
mod rig;
mod rivals;
mod secrets;
mod serve;
mod stream;
mod troubles;
mod two_links;
mod wake;
mod wire;
