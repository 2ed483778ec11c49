//! Exit codes, so that scripts can tell what went wrong without reading words.

use std::fmt;
use std::process::ExitCode;

/// Why a command failed, as far as a script cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Anything else: 1. (2 is clap's, for a command line that makes no sense.)
    Other = 1,
    /// The server cannot be reached: 3.
    Unreachable = 3,
    /// There is no such thing: 4.
    NotFound = 4,
    /// Not signed in, or not allowed: 5.
    NotAllowed = 5,
    /// The operation ended and did not succeed: 6.
    NotSucceeded = 6,
    /// The operation had not ended in time; it is stored and goes on: 7.
    StillOpen = 7,
    /// The request was refused because of what it says: 8.
    Refused = 8,
}

/// Words for a person with a code for a script.
#[derive(Debug)]
pub struct Exit {
    pub failure: Failure,
    pub words: String,
}

impl Exit {
    /// As an error to be returned.
    pub fn error(failure: Failure, words: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Exit {
            failure,
            words: words.into(),
        })
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Exit {}

/// Prints the error to standard error and gives its code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("headend: {error:#}");
    let failure = error
        .downcast_ref::<Exit>()
        .map_or(Failure::Other, |exit| exit.failure);
    ExitCode::from(failure as u8)
}
