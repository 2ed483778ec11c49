//! Every script of this repository, as `cargo xtask <name>`. What CI runs is what you run.
//! Deliberately not part of the product: nothing here is linked into a program we ship.
#![allow(clippy::print_stdout)]

mod browser;
mod cmd;
mod conformance;
mod demo;
mod gen_files;
mod interop;
mod layers;
mod postgres;
mod prerequisites;
mod steadiness;
mod tests;
mod tidy;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "xtask",
    bin_name = "cargo xtask",
    about = "Builds, runs, tests and checks Headend"
)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build everything and start a server, one real agent and 25 simulated CPEs
    Demo(demo::Args),
    /// Install what the tests need and run every check and test
    Test(tests::Args),
    /// Regenerate committed files (data model, protobuf, OpenAPI, console types, conformance table)
    Gen {
        /// Fail when a committed file is not what would be generated
        #[arg(long)]
        check: bool,
    },
    /// Check what keeps the repository legible: layers, paths in ARCHITECTURE.md, file headers, names
    Tidy,
    /// Run the benchmarks; each prints a ratio against something measured beside it
    Bench {
        /// Only the benchmarks whose name contains this
        filter: Option<String>,
    },
    /// Drive somebody else's agent through a scenario and write the table in docs/interop.md
    Interop(interop::Args),
}

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    match Args::parse().task {
        Task::Demo(args) => demo::run(&args),
        Task::Test(args) => tests::run(&args),
        Task::Gen { check } => gen_files::run(check),
        Task::Tidy => tidy::run(),
        Task::Bench { filter } => cmd::bench(filter.as_deref()),
        Task::Interop(args) => interop::run(&args),
    }
}
