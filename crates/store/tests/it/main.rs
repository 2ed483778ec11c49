//! The store as its callers see it, on every database there is.
#![allow(clippy::unwrap_used)]

mod bounds;
mod crash;
mod damage;
mod device;
mod event;
mod isolation;
mod limit;
mod operation;
mod path;
mod people;
mod raw;
mod schema;
mod value;
mod world;
