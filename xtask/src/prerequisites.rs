//! What the tests need beyond Rust and Node: installed when we are root on Debian, named otherwise.

use crate::cmd::{self, exists, run};
use anyhow::{Result, bail};
use std::process::Command;

/// Debian package, and a file or program that shows that it is there.
const PACKAGES: &[(&str, &[&str])] = &[
    ("chromium", &["chromium"]),
    (
        "postgresql",
        &["/usr/lib/postgresql/15/bin/initdb", "initdb"],
    ),
];

/// The licence checker, pinned so that every machine judges alike.
const CARGO_DENY: &str = "0.20.2";

/// Installs what is missing.
pub fn install() -> Result<()> {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(_, signs)| !signs.iter().any(|sign| present(sign)))
        .map(|(package, _)| *package)
        .collect();
    if !missing.is_empty() {
        if !is_root() || !exists("apt-get") {
            bail!(
                "the tests need {}; install them (Debian: apt-get install {0})",
                missing.join(" ")
            );
        }
        let noninteractive = ("DEBIAN_FRONTEND", "noninteractive");
        run(Command::new("apt-get").args(["update", "-qq"]))?;
        run(Command::new("apt-get")
            .env(noninteractive.0, noninteractive.1)
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(&missing))?;
    }
    Ok(())
}

/// The path of `cargo-deny`, built once and kept beside the target directory.
pub fn cargo_deny() -> Result<std::path::PathBuf> {
    let root = cmd::target_dir().join("tools");
    let program = root.join("bin/cargo-deny");
    let right_version = Command::new(&program)
        .arg("--version")
        .output()
        .is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains(CARGO_DENY));
    if !right_version {
        run(Command::new(cmd::cargo_program())
            .args([
                "install",
                "cargo-deny",
                "--locked",
                "--version",
                CARGO_DENY,
                "--force",
                "--root",
            ])
            .arg(&root)
            .arg("--target-dir")
            .arg(cmd::target_dir().join("tools-build")))?;
    }
    Ok(program)
}

fn present(sign: &str) -> bool {
    if sign.starts_with('/') {
        std::path::Path::new(sign).exists()
    } else {
        exists(sign)
    }
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|out| out.stdout.trim_ascii() == b"0")
}
