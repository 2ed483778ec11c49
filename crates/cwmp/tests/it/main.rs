//! SOAP as the field writes it, the sessions of both ends against scripted peers and against each
//! other, and what the fuzz targets check. Deliberately one binary: links are slower than tests.
#![allow(clippy::unwrap_used, missing_docs)]

mod acs;
mod backlog;
mod corpus;
mod cpe;
mod envelopes;
mod oddities;
mod pair;
mod refusals;
mod repeats;
mod secrets;
mod support;
mod transcripts;
