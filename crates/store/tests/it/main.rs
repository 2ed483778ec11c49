//! The store as its callers see it, on every database there is.
#![allow(clippy::unwrap_used)]

mod bounds;
mod certificate;
mod crash;
mod damage;
mod device;
mod event;
mod file;
mod foreign;
mod isolation;
mod limit;
mod management_session;
mod merge;
mod operation;
mod path;
mod people;
mod raw;
mod schema;
mod setup_key;
mod state;
mod swap;
mod tried;
mod value;
mod visit;
mod world;
