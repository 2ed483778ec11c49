//! `cargo xtask demo`: build the console and the programs, then hand over to `headend demo`.

use crate::{cmd, prerequisites};
use anyhow::{Context, Result};
use std::path::Path;
use std::time::SystemTime;

#[derive(clap::Args)]
#[command(
    after_help = "What comes after `--` goes to `headend demo`, like `-- --http 127.0.0.1:9080 --no-agent`.\n\
                  Ctrl C ends everything; delete the data folder to begin anew."
)]
pub struct Args {
    /// How many simulated CPEs to start
    #[arg(long, default_value_t = 25)]
    devices: u32,
    /// How many besides that speak TR-069, every other one an old gateway (TR-098)
    #[arg(long, default_value_t = 10)]
    cwmp_devices: u32,
    /// Folder for the demo's data; kept between runs
    #[arg(long, default_value = ".demo")]
    data: String,
    /// Only build
    #[arg(long)]
    build_only: bool,
    /// Do not build the console: for a machine without Node, with API and command line alone
    #[arg(long)]
    without_console: bool,
    /// Passed on to `headend demo`
    #[arg(last = true)]
    rest: Vec<String>,
}

/// The profile that is optimised enough to feel real and quick to build.
const PROFILE: &str = "demo";
/// What the built console is known by.
const BUILT: &str = "console/dist/index.html";

pub fn run(args: &Args) -> Result<()> {
    prerequisites::c_compiler()?;
    if !args.without_console {
        prerequisites::node()
            .context("the console is built with Node; --without-console leaves it out")?;
    }
    let program = cmd::target_dir().join(PROFILE).join("headend");
    if !program.exists() {
        println!(
            "This is the first build here; it takes some minutes (about six on two cores) and \
             fetches packages from npm and crates.io."
        );
    }
    if args.without_console {
        println!("[1/2] The console: left out");
    } else {
        println!("[1/2] The console");
        build_console()?;
    }
    println!("[2/2] The programs");
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
    let mut command = cmd::command(&program, "");
    command
        .args([
            "demo",
            "--devices",
            &args.devices.to_string(),
            "--cwmp-devices",
            &args.cwmp_devices.to_string(),
            "--data",
            &args.data,
        ])
        .args(&args.rest);
    // The demo replaces us, so that Ctrl C and signals reach it and nobody else.
    let error = std::os::unix::process::CommandExt::exec(&mut command);
    Err(error).with_context(|| format!("could not start {}", program.display()))
}

/// Installs what the console needs and builds it, unless it is built from what is there now.
fn build_console() -> Result<()> {
    install_console()?;
    let built = modified(BUILT).ok();
    let sources = newest(&cmd::root().join("console"))?;
    if built.is_some_and(|built| built >= sources) {
        println!("  built already");
        return Ok(());
    }
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

/// When the newest of the files was changed; what is installed, built or only tests does not count.
fn newest(folder: &Path) -> Result<SystemTime> {
    let mut last = SystemTime::UNIX_EPOCH;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if ["node_modules", "dist", "tests"]
            .iter()
            .any(|other| name == *other)
        {
            continue;
        }
        let changed = match entry.file_type()?.is_dir() {
            true => newest(&entry.path())?,
            false => entry.metadata()?.modified()?,
        };
        last = last.max(changed);
    }
    Ok(last)
}

fn modified(path: &str) -> Result<SystemTime> {
    Ok(std::fs::metadata(cmd::root().join(path))
        .with_context(|| path.to_owned())?
        .modified()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_sources_make_the_built_console_old() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str, seconds: u64| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let file = std::fs::File::create(path).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            file.set_modified(time).unwrap();
            time
        };
        at("package.json", 10);
        let newest_source = at("src/pages/device.tsx", 20);
        for other in ["dist/index.html", "node_modules/x/y.js", "tests/a.ts"] {
            at(other, 30);
        }
        assert_eq!(newest(folder.path()).unwrap(), newest_source);
    }
}
