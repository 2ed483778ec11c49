//! `cargo xtask demo`: build the console and the programs, then hand over to `headend demo`.

use crate::cmd;
use anyhow::{Context, Result};

#[derive(clap::Args)]
pub struct Args {
    /// How many simulated CPEs to start
    #[arg(long, default_value_t = 25)]
    devices: u32,
    /// Folder for the demo's data; kept between runs
    #[arg(long, default_value = ".demo")]
    data: String,
    /// Only build
    #[arg(long)]
    build_only: bool,
    /// Passed on to `headend demo`
    #[arg(last = true)]
    rest: Vec<String>,
}

/// The profile that is optimised enough to feel real and quick to build.
const PROFILE: &str = "demo";

pub fn run(args: &Args) -> Result<()> {
    build_console()?;
    cmd::cargo(&[
        "build",
        "--profile",
        PROFILE,
        "-p",
        "headend",
        "-p",
        "agent",
        "--bins",
    ])?;
    if args.build_only {
        return Ok(());
    }
    let program = cmd::target_dir().join(PROFILE).join("headend");
    let mut command = cmd::command(&program, "");
    command
        .args([
            "demo",
            "--devices",
            &args.devices.to_string(),
            "--data",
            &args.data,
        ])
        .args(&args.rest);
    // The demo replaces us, so that Ctrl C and signals reach it and nobody else.
    let error = std::os::unix::process::CommandExt::exec(&mut command);
    Err(error).with_context(|| format!("could not start {}", program.display()))
}

/// Installs what the console needs (once) and builds it.
pub fn build_console() -> Result<()> {
    install_console()?;
    cmd::npm(&["run", "build"])
}

/// `npm ci` when the lock file is newer than what is installed.
pub fn install_console() -> Result<()> {
    let lock = modified("console/package-lock.json")?;
    match modified("console/node_modules/.package-lock.json") {
        Ok(installed) if installed >= lock => Ok(()),
        _ => cmd::npm(&["ci", "--no-audit", "--no-fund"]),
    }
}

fn modified(path: &str) -> Result<std::time::SystemTime> {
    Ok(std::fs::metadata(cmd::root().join(path))
        .with_context(|| path.to_owned())?
        .modified()?)
}
