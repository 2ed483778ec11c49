//! `cargo xtask interop obuspa --bin PATH`: somebody else's agent through our scenario.
//! The scenario itself is a test program of the product (`headend interop`); this builds and calls it.
