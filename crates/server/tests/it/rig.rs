//! What the puppets of both protocols expect of the tests they are in.

use std::time::Duration;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(30);
