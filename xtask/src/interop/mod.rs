//! `cargo xtask interop`: agents and clients that nobody here wrote, driven through a scenario with nothing but
//! the command line and the API of the product; writes the tables in `docs/interop.md`.
//!
//! The programs themselves are built elsewhere and are no part of this repository.

mod brokers;
mod cwmp;
mod obuspa;
mod report;
mod server;
mod services;
mod way;

use anyhow::Result;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    whose: Whose,
}

#[derive(clap::Subcommand)]
enum Whose {
    /// The reference agent of USP, which dials us and which we dial
    Obuspa(obuspa::Args),
    /// USP Services at the reference agent, and it as one at ours
    Services(services::Args),
    /// Clients of CWMP, each in its own environment
    Cwmp(cwmp::Args),
}

pub fn run(args: &Args) -> Result<()> {
    match &args.whose {
        Whose::Obuspa(args) => obuspa::run(args),
        Whose::Services(args) => services::run(args),
        Whose::Cwmp(args) => cwmp::run(args),
    }
}
