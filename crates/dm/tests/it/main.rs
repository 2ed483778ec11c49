//! Properties of the crate over random inputs, its models against the tables they are made of, and the seeds of the
//! fuzz targets. One binary, because linking is what takes time.

#![allow(clippy::unwrap_used)]

mod data;
#[path = "../../../../fuzz/checks/dm.rs"]
mod fuzz_checks;
#[path = "../../../../fuzz/checks/mapping.rs"]
mod fuzz_mapping;
mod mapping;
mod paths;
mod replay;
mod resolving;
mod values;
