//! Running other programs: echo the command line, fail with its name when it fails.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The repository's root, wherever the command was started.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
        .to_path_buf()
}

/// A command that runs in `dir` below the root.
pub fn command(program: impl AsRef<OsStr>, dir: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root().join(dir));
    command
}

/// Runs `command`, showing its output; an exit status other than 0 is an error that names it.
pub fn run(command: &mut Command) -> Result<()> {
    let line = shown(command);
    println!("$ {line}");
    let started = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("could not start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed: {status}");
    }
    println!("  ({:.0} s)", started.elapsed().as_secs_f32());
    Ok(())
}

/// `cargo ARGS` at the root.
pub fn cargo(args: &[&str]) -> Result<()> {
    run(command(cargo_program(), "").args(args))
}

/// The cargo that started us.
pub fn cargo_program() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".into())
}

/// `npm ARGS` in the console's folder.
pub fn npm(args: &[&str]) -> Result<()> {
    run(command("npm", "console").args(args))
}

/// Where cargo puts what it builds.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Whether `program` answers on the PATH.
pub fn exists(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// Every benchmark of `bench/`, or those whose name contains `filter`.
pub fn bench(filter: Option<&str>) -> Result<()> {
    let mut found = false;
    let mut folders: Vec<_> = std::fs::read_dir(root().join("bench"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("Cargo.toml").is_file())
        .collect();
    folders.sort();
    for folder in folders {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if filter.is_some_and(|wanted| !name.contains(wanted)) {
            continue;
        }
        found = true;
        let package = format!("bench-{name}");
        run(command(cargo_program(), "bench").args(["run", "--release", "-p", &package]))?;
    }
    if !found {
        bail!(
            "no benchmark below bench/ has '{}' in its name",
            filter.unwrap_or("")
        );
    }
    Ok(())
}

fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
