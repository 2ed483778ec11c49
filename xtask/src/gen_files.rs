//! Generated files that are committed, and the check that they are fresh.
//! The generators that need heavy crates live in `xtask/gen`, so that nothing else waits for them.

use crate::{cmd, demo};
use anyhow::{Context, Result, bail};

const OPENAPI: &str = "crates/api/generated/openapi.json";

pub fn run(check: bool) -> Result<()> {
    let mut args = vec!["run", "--quiet", "-p", "gen", "--"];
    if check {
        args.push("--check");
    }
    cmd::cargo(&args)?;
    openapi(check)?;
    demo::install_console()?;
    cmd::npm(&["run", if check { "gen:check" } else { "gen" }])
}

fn openapi(check: bool) -> Result<()> {
    let output = cmd::command(cmd::cargo_program(), "")
        .args(["run", "--quiet", "-p", "api", "--example", "openapi"])
        .output()?;
    if !output.status.success() {
        bail!(
            "the OpenAPI document was not generated: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let path = cmd::root().join(OPENAPI);
    let committed = std::fs::read(&path).unwrap_or_default();
    if committed == output.stdout {
        return Ok(());
    }
    if check {
        bail!("{OPENAPI} is stale: run `cargo xtask gen`");
    }
    std::fs::write(&path, output.stdout).context(OPENAPI)
}
