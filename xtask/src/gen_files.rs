//! Generated files that are committed, and the check that they are fresh.
//! The generators that need heavy crates live in `xtask/gen`, so that nothing else waits for them.

use crate::{cmd, conformance, demo};
use anyhow::{Context, Result, bail};

/// What an example of a crate prints, and where it is committed.
const PRINTED: &[(&str, &str, &str)] = &[
    ("api", "openapi", "crates/api/generated/openapi.json"),
    ("dm", "mapping_doc", "docs/mapping.md"),
];

pub fn run(check: bool) -> Result<()> {
    let mut args = vec!["run", "--quiet", "-p", "gen", "--"];
    if check {
        args.push("--check");
    }
    conformance::run(check)?;
    cmd::cargo(&args)?;
    for (package, example, path) in PRINTED {
        printed(check, package, example, path)?;
    }
    demo::install_console()?;
    cmd::npm(&["run", if check { "gen:check" } else { "gen" }])
}

fn printed(check: bool, package: &str, example: &str, path: &str) -> Result<()> {
    let output = cmd::command(cmd::cargo_program(), "")
        .args(["run", "--quiet", "-p", package, "--example", example])
        .output()?;
    if !output.status.success() {
        bail!(
            "{path} was not generated: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let target = cmd::root().join(path);
    let committed = std::fs::read(&target).unwrap_or_default();
    if committed == output.stdout {
        return Ok(());
    }
    if check {
        bail!("{path} is stale: run `cargo xtask gen`");
    }
    std::fs::write(&target, output.stdout).context(path.to_owned())
}
