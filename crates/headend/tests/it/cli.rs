//! `headend` as a person or script runs it against a server: what it said, where, and its code.

use crate::rig::Server;
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What a command said and how it ended.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }

    /// Standard error as a problem document.
    pub fn problem(&self) -> Value {
        let problem: Value =
            serde_json::from_str(&self.err).unwrap_or_else(|error| panic!("{error}: {}", self.err));
        for member in ["type", "title", "detail"] {
            assert!(problem[member].is_string(), "{problem:#}");
        }
        problem
    }
}

/// A machine with its own configuration folder, and perhaps a token in its environment.
pub struct Cli {
    folder: PathBuf,
    url: String,
    token: Option<String>,
}

impl Cli {
    /// As the administrator of this server.
    pub fn administrator(server: &Server) -> Cli {
        Cli {
            token: Some(server.api.token().to_owned()),
            ..Cli::fresh(server, "administrator")
        }
    }

    /// A machine on which nobody has signed in.
    pub fn fresh(server: &Server, name: &str) -> Cli {
        Cli {
            folder: server.folder.path().join(name),
            url: server.api.base.clone(),
            token: None,
        }
    }

    /// The command, to be run by hand.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headend"));
        command
            .args(arguments)
            .env("XDG_CONFIG_HOME", &self.folder)
            .env("HEADEND_URL", &self.url)
            .env_remove("HEADEND_TOKEN")
            .env_remove("HEADEND_TENANT")
            .stdin(Stdio::null());
        if let Some(token) = &self.token {
            command.env("HEADEND_TOKEN", token);
        }
        command
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments), "")
    }

    /// Runs it with something on standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Said {
        said(self.command(arguments), input)
    }

    /// Runs it and expects it to be done; what it printed.
    pub fn done(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments);
        assert_eq!(said.code, 0, "{arguments:?}: {}{}", said.out, said.err);
        said.out
    }

    /// The same with `--json`; what it printed.
    pub fn done_json(&self, arguments: &[&str]) -> Value {
        let said = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(said.code, 0, "{arguments:?}: {}{}", said.out, said.err);
        said.json()
    }

    /// Runs it and expects it to end with this code; what it said on standard error.
    pub fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let said = self.run(arguments);
        assert_eq!(said.code, code, "{arguments:?}: {}{}", said.out, said.err);
        said.err
    }
}

fn said(mut command: Command, input: &str) -> Said {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Whoever does not read it has ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
