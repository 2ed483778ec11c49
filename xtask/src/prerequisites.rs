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
    ("prosody", &["prosody"]),
    (
        "rabbitmq-server",
        &["/usr/lib/rabbitmq/bin/rabbitmq-server"],
    ),
    ("mosquitto", &["mosquitto", "/usr/sbin/mosquitto"]),
    // Discovery by DHCP: a server, clients, and namespaces for them.
    ("dnsmasq-base", &["dnsmasq", "/usr/sbin/dnsmasq"]),
    ("isc-dhcp-client", &["dhclient", "/usr/sbin/dhclient"]),
    ("busybox", &["busybox"]),
    ("iproute2", &["ip", "/usr/sbin/ip"]),
];

/// The oldest Node that builds the console, as in console/package.json.
const NODE: (u32, u32) = (20, 19);

/// Node and npm are there and new enough, or how to get them.
pub fn node() -> Result<()> {
    let how = "get it from https://nodejs.org/en/download, or with a version manager \
               (`nvm install 22`); Debian 13 and Ubuntu 25.10 have it as `apt-get install nodejs npm`";
    let (major, minor) = NODE;
    let Ok(output) = Command::new("node").arg("--version").output() else {
        bail!("Node {major}.{minor} or newer is needed and `node` is not on the PATH: {how}");
    };
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if version_of(&version).is_none_or(|found| found < NODE) {
        bail!("Node {major}.{minor} or newer is needed, and `node` is {version}: {how}");
    }
    if !exists("npm") {
        bail!("`npm`, which comes with Node, is not on the PATH: {how}");
    }
    Ok(())
}

/// Some libraries are written in C.
pub fn c_compiler() -> Result<()> {
    if ["cc", "gcc", "clang"].iter().any(|name| exists(name)) {
        return Ok(());
    }
    bail!(
        "a C compiler is needed and neither cc, gcc nor clang is on the PATH \
         (Debian: apt-get install build-essential; Fedora: dnf install gcc)"
    );
}

/// Major and minor of `v22.1.0`.
fn version_of(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_node_are_read_and_compared() {
        assert_eq!(version_of("v22.1.0"), Some((22, 1)));
        assert!(version_of("v20.18.3") < Some(NODE) && version_of("v20.19.0") >= Some(NODE));
        assert_eq!(version_of("nonsense"), None);
    }

    #[test]
    fn the_oldest_node_is_the_one_of_the_console() {
        let package = std::fs::read_to_string(cmd::root().join("console/package.json")).unwrap();
        assert!(package.contains(&format!("\"node\": \">={}.{}\"", NODE.0, NODE.1)));
    }
}
