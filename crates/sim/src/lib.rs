//! Simulated fleets. `model` and `motion` say what a CPE looks like and how its values move.

pub mod model;
pub mod motion;
