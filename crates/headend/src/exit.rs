//! How a command ends: exit codes for scripts, words for people, problem details under `--json`.

use crate::remote::output::{escaped, plain};
use anyhow::Result;
use api::Problem;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU8, Ordering};

/// As a shell tells that a program was ended by SIGPIPE: not a success, since what it printed was not read.
const CLOSED_PIPE: u8 = 141;
/// How the command ends when nobody reads what it prints now.
static UNREAD: AtomicU8 = AtomicU8::new(CLOSED_PIPE);

/// Why a command failed, as far as a script cares; the number is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Anything else.
    Other = 1,
    /// The command line makes no sense; clap ends with the same code.
    Usage = 2,
    /// The server cannot be reached.
    Unreachable = 3,
    /// There is no such thing.
    NotFound = 4,
    /// Not signed in, or not allowed.
    NotAllowed = 5,
    /// The operation ended and did not succeed.
    NotSucceeded = 6,
    /// The operation had not ended in time; it is stored and goes on.
    StillOpen = 7,
    /// The request was refused because of what it says.
    Refused = 8,
    /// `doctor` found a problem.
    Found = 9,
}

impl Failure {
    /// All of them, in the order of their codes.
    pub const ALL: [Failure; 9] = [
        Failure::Other,
        Failure::Usage,
        Failure::Unreachable,
        Failure::NotFound,
        Failure::NotAllowed,
        Failure::NotSucceeded,
        Failure::StillOpen,
        Failure::Refused,
        Failure::Found,
    ];

    /// What the code means; the same words stand in docs/operating.md.
    pub fn words(self) -> &'static str {
        match self {
            Failure::Other => "something else went wrong",
            Failure::Usage => "the command line makes no sense",
            Failure::Unreachable => "the server cannot be reached",
            Failure::NotFound => "there is no such thing",
            Failure::NotAllowed => "not signed in, or not allowed",
            Failure::NotSucceeded => "the operation ended and did not succeed",
            Failure::StillOpen => "the operation is still open and goes on",
            Failure::Refused => "the request was refused for what it says",
            Failure::Found => "doctor found a problem",
        }
    }
}

/// The table of exit codes, for the end of the help.
pub fn table() -> String {
    let mut text = "Exit codes:\n  0  done".to_owned();
    for failure in Failure::ALL {
        text.push_str(&format!("\n  {}  {}", failure as u8, failure.words()));
    }
    text
}

/// Words for a person with a code for a script.
#[derive(Debug)]
pub struct Exit {
    pub failure: Failure,
    pub words: String,
    /// What the server said, when it was the server.
    pub problem: Option<Box<Problem>>,
}

impl Exit {
    /// As an error to be returned.
    pub fn error(failure: Failure, words: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Exit {
            failure,
            words: words.into(),
            problem: None,
        })
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Exit {}

/// Whether it is the way to the server that failed, so that the same may work later.
pub fn is_unreachable(error: &anyhow::Error) -> bool {
    failure(error) == Failure::Unreachable
}

fn failure(error: &anyhow::Error) -> Failure {
    let exit = error.downcast_ref::<Exit>();
    exit.map_or(Failure::Other, |exit| exit.failure)
}

/// Prints what belongs to an ending that is known by then: a failure stays the ending of the command
/// also when nobody reads what is printed.
pub fn ending(ending: Result<()>, print: impl FnOnce() -> Result<()>) -> Result<()> {
    if let Err(error) = &ending {
        UNREAD.store(failure(error) as u8, Ordering::Relaxed);
    }
    print()?;
    ending
}

/// `headend device list | head -1` ends quietly: printing to a pipe that nobody reads panics
/// otherwise. For commands that answer once; see [`tell`] for those that go on.
pub fn end_with_a_closed_pipe() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let message = info.payload_as_str().unwrap_or_default();
        if message.starts_with("failed printing to stdout") && message.contains("Broken pipe") {
            std::process::exit(UNREAD.load(Ordering::Relaxed).into());
        }
        usual(info);
    }));
}

/// Prints lines of a command that serves others, and goes on whether or not anybody reads them.
pub fn tell(lines: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{lines}");
}

/// Prints the error to standard error and gives its code. As JSON it is always a problem
/// document (RFC 9457): the server's own, or one of ours around the same words.
pub fn report(error: &anyhow::Error, json: bool) -> ExitCode {
    let exit = error.downcast_ref::<Exit>();
    let failure = failure(error);
    match exit.and_then(|exit| exit.problem.as_deref()) {
        // What is wrong in a file is shown with its lines.
        _ if !json => eprintln!("headend: {}", plain(&chain(error))),
        Some(problem) => {
            let problem = serde_json::json!(in_context(problem, error));
            eprintln!("{}", escaped(&problem.to_string()));
        }
        None => {
            let problem = serde_json::json!({
                "type": "about:blank",
                "title": failure.words(),
                "detail": chain(error),
            });
            eprintln!("{}", escaped(&problem.to_string()));
        }
    }
    ExitCode::from(failure as u8)
}

/// The server's problem with what was said around it in front of its detail.
fn in_context(problem: &Problem, error: &anyhow::Error) -> Problem {
    let around = error.chain().take_while(|cause| !cause.is::<Exit>());
    let mut words: Vec<String> = around.map(ToString::to_string).collect();
    words.push(problem.detail.clone());
    words.retain(|part| !part.is_empty());
    Problem {
        detail: words.join(": "),
        ..problem.clone()
    }
}

/// The error and its causes; a cause that its error already repeats is not said twice.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(cause.trim_end()) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_cause_that_its_error_repeats_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("headend.toml: {source}")]
        struct Read {
            source: std::io::Error,
        }
        let source = std::io::Error::from_raw_os_error(2);
        let error = anyhow::Error::new(Read { source }).context("the configuration");
        assert_eq!(
            chain(&error),
            "the configuration: headend.toml: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn a_code_survives_what_is_said_around_it() {
        let failed: anyhow::Result<()> = Err(Exit::error(Failure::NotFound, "no device"));
        let error = failed.context("looking").unwrap_err();
        assert_eq!(chain(&error), "looking: no device");
        assert_eq!(
            error.downcast_ref::<Exit>().unwrap().failure,
            Failure::NotFound
        );
    }

    #[test]
    fn what_is_said_around_a_problem_of_the_server_stands_in_front_of_its_detail() {
        let problem = Problem {
            detail: "the token is not valid".to_owned(),
            ..Problem::new(api::ProblemKind::Unauthenticated, "")
        };
        let failed: anyhow::Result<()> = Err(anyhow::Error::new(Exit {
            failure: Failure::NotAllowed,
            words: "not signed in".to_owned(),
            problem: Some(Box::new(problem.clone())),
        }));
        let error = failed.context("operation 7 goes on").unwrap_err();
        let told = in_context(&problem, &error);
        assert_eq!(told.detail, "operation 7 goes on: the token is not valid");
    }

    #[test]
    fn every_exit_code_stands_in_the_operators_guide() {
        let guide = include_str!("../../../docs/operating.md");
        assert!(guide.contains("| 0 | done |"));
        for failure in Failure::ALL {
            let row = format!(
                "| {} | {} |",
                failure as u8,
                failure.words().replace("doctor", "`doctor`")
            );
            assert!(guide.contains(&row), "docs/operating.md has no row {row}");
        }
    }
}
