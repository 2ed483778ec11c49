//! The mapping of TR-098 to TR-181: its rules against the tables, and whole gateways through it.

mod adapter;
mod data;
mod instances;
mod linear;
mod random;
mod reading;
mod rows;
mod trees;
mod writing;
