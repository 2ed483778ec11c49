//! A program that the demo starts: its output goes to a file, and it ends with us, however we end.
//! We hold the other end of its standard input, which closes with our process; it watches that.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{ChildStdin, Command};

/// How long a program may take to say goodbye.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// A running program.
pub struct Child {
    name: &'static str,
    log: PathBuf,
    process: tokio::process::Child,
    /// Open as long as we live; `Child::wait` would close it.
    alive: Option<ChildStdin>,
}

impl Child {
    /// Starts it. It has to understand `--until-stdin-ends`.
    pub fn start(name: &'static str, command: &mut Command, log: &Path) -> Result<Child> {
        let file = std::fs::File::create(log).with_context(|| log.display().to_string())?;
        let errors = file.try_clone()?;
        let mut process = command
            .arg("--until-stdin-ends")
            .stdin(Stdio::piped())
            .stdout(file)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| {
                let program = command.as_std().get_program().to_string_lossy();
                format!("could not start {program}")
            })?;
        Ok(Child {
            name,
            log: log.to_owned(),
            alive: process.stdin.take(),
            process,
        })
    }

    /// Returns when it has ended by itself: why, as an error.
    pub async fn ended(&mut self) -> anyhow::Error {
        let how = match self.process.wait().await {
            Ok(status) => in_words(status),
            Err(error) => error.to_string(),
        };
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = said.lines().last().unwrap_or("it said nothing");
        anyhow::anyhow!(
            "{} ended ({how}): {last}\n  everything it said is in {}",
            self.name,
            self.log.display()
        )
    }

    /// Asks it to end, then ends it.
    pub async fn stop(mut self) {
        drop(self.alive.take());
        if tokio::time::timeout(STOP_WITHIN, self.process.wait())
            .await
            .is_err()
        {
            let _ = self.process.kill().await;
        }
    }
}

fn in_words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}
