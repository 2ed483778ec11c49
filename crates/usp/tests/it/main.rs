//! The sessions of both ends against scripted peers and against each other, and the codec against
//! random and hostile bytes. Deliberately one binary: links are slower than tests.
#![allow(clippy::unwrap_used, missing_docs)]

mod agent;
mod alone;
mod contexts;
mod controller;
mod corpus;
mod pair;
mod random;
mod registrations;
mod roundtrip;
mod support;
mod toy;
mod transcripts;
