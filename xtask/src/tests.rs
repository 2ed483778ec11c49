//! `cargo xtask test`: everything CI checks, cheapest first.

use crate::{cmd, demo, gen_files, postgres, prerequisites, steadiness, tidy};
use anyhow::{Context, Result, bail};
use std::time::Instant;

/// One named step.
type Step = (&'static str, fn() -> Result<()>);

const STEPS: &[Step] = &[
    ("prerequisites", prerequisites::install),
    ("format", format),
    ("tidy", tidy::run),
    ("licences", licences),
    ("console", console),
    ("clippy", clippy),
    ("workspaces", workspaces),
    ("docs", docs),
    ("generated", || gen_files::run(true)),
    ("rust", rust),
    ("browser", crate::browser::run),
];

#[derive(clap::Args)]
pub struct Args {
    /// Only these steps (prerequisites, format, tidy, licences, console, clippy, workspaces, docs, generated, rust, browser)
    steps: Vec<String>,
}

pub fn run(args: &Args) -> Result<()> {
    if let Some(unknown) = args
        .steps
        .iter()
        .find(|step| !STEPS.iter().any(|(name, _)| name == step))
    {
        let known: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
        bail!(
            "no step is called `{unknown}`; there are {}",
            known.join(", ")
        );
    }
    let started = Instant::now();
    let mut times = Vec::new();
    for (name, step) in STEPS {
        if !args.steps.is_empty() && !args.steps.iter().any(|wanted| wanted == name) {
            continue;
        }
        println!("\n== {name}");
        let began = Instant::now();
        step().with_context(|| format!("step `{name}`"))?;
        times.push(format!("{name} {} s", began.elapsed().as_secs()));
    }
    println!(
        "\nall passed in {} s: {}",
        started.elapsed().as_secs(),
        times.join(", ")
    );
    Ok(())
}

fn format() -> Result<()> {
    cmd::cargo(&["fmt", "--all", "--check"])?;
    for workspace in ["bench", "fuzz"] {
        cmd::run(cmd::command(cmd::cargo_program(), workspace).args(["fmt", "--all", "--check"]))?;
    }
    Ok(())
}

fn licences() -> Result<()> {
    let program = prerequisites::cargo_deny()?;
    // Advisories need a database from outside; they are a release step (docs/operating.md).
    cmd::run(cmd::command(program, "").args([
        "--all-features",
        "--locked",
        "check",
        "licenses",
        "bans",
        "sources",
    ]))
}

fn console() -> Result<()> {
    demo::install_console()?;
    cmd::npm(&["run", "check"])?;
    cmd::npm(&["run", "unit"])?;
    cmd::npm(&["run", "build"])
}

fn clippy() -> Result<()> {
    cmd::cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ])
}

/// Benchmarks and fuzz targets are not run here, and have to be ready to be.
fn workspaces() -> Result<()> {
    for workspace in ["bench", "fuzz"] {
        let check = ["check", "--workspace", "--locked"];
        cmd::run(cmd::command(cmd::cargo_program(), workspace).args(check))?;
    }
    Ok(())
}

/// The documentation of our crates: links that lead nowhere are warnings.
fn docs() -> Result<()> {
    cmd::run(
        cmd::command(cmd::cargo_program(), "")
            .args(["doc", "--workspace", "--no-deps", "--locked", "--quiet"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

fn rust() -> Result<()> {
    // The tests start our own programs, so those are built first.
    cmd::cargo(&[
        "build", "--locked", "-p", "headend", "-p", "agent", "--bins",
    ])?;
    postgres::with_postgres(|url| {
        let args = ["test", "--workspace", "--locked", "--no-fail-fast"];
        steadiness::test(&args, |command| {
            command.env("HEADEND_TEST_POSTGRES", url);
        })
    })
}
