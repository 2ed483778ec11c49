//! The console in a real Chromium against the real server with simulated CPEs:
//! starts `headend demo` on free ports, waits until it says that it is ready, runs `npm test`.

use crate::cmd;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How long the demo may take until every device has onboarded.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// Enough devices for every model, few enough for two cores.
const DEVICES: &str = "25";

/// What `headend demo --ready-file` writes.
#[derive(Deserialize)]
pub struct Ready {
    /// The console's address.
    pub url: String,
    /// The administrator's one-time password.
    pub password: String,
    /// Where agents dial.
    pub usp_url: String,
    /// Where CPEs that speak TR-069 come to.
    pub cwmp_url: String,
    /// The setup key that agents may use.
    pub setup_key: String,
}

pub fn run() -> Result<()> {
    crate::demo::install_console()?;
    let bin = cmd::target_dir().join("debug/headend");
    let data = tempfile::tempdir()?;
    let (_demo, ready) = start_demo(&bin, data.path(), DEVICES)?;
    cmd::run(
        cmd::command("npm", "console")
            .args(["test"])
            .env("HEADEND_URL", &ready.url)
            .env("HEADEND_PASSWORD", &ready.password)
            .env("HEADEND_USP_URL", &ready.usp_url)
            .env("HEADEND_CWMP_URL", &ready.cwmp_url)
            .env("HEADEND_SETUP_KEY", &ready.setup_key)
            .env("HEADEND_BIN", &bin),
    )
}

/// A running program, stopped when dropped.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // SIGTERM first, so that the demo can stop its own children.
        let pid = self.0.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until && matches!(self.0.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `headend demo` on free ports and waits for its ready file.
pub fn start_demo(bin: &Path, data: &Path, devices: &str) -> Result<(Running, Ready)> {
    let ready_file = data.join("ready.json");
    let child = Command::new(bin)
        .args([
            "demo",
            "--devices",
            devices,
            // The tests start their own.
            "--cwmp-devices",
            "0",
            "--http",
            "127.0.0.1:0",
            "--usp",
            "127.0.0.1:0",
            "--cwmp",
            "127.0.0.1:0",
            "--data",
        ])
        .arg(data.join("demo"))
        .arg("--ready-file")
        .arg(&ready_file)
        .spawn()
        .with_context(|| format!("could not start {}", bin.display()))?;
    let mut running = Running(child);
    let until = Instant::now() + READY_WITHIN;
    loop {
        if let Ok(text) = std::fs::read(&ready_file)
            && let Ok(ready) = serde_json::from_slice(&text)
        {
            return Ok((running, ready));
        }
        if let Some(status) = running.0.try_wait()? {
            bail!("headend demo ended before it was ready: {status}");
        }
        if Instant::now() > until {
            bail!(
                "headend demo was not ready within {} s",
                READY_WITHIN.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
