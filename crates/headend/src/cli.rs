//! The command line as one readable contract. No behaviour here.

use crate::{demo, remote, serve, simulate};
use clap::{Parser, Subcommand};

/// Open device management for internet service providers.
#[derive(Parser)]
#[command(
    name = "headend",
    version,
    about,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 server not reachable, 4 not found, \
                  5 not allowed, 6 the operation did not succeed, 7 the operation is still open, \
                  8 the request was refused for what it says"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run the server: USP controller, API and console
    Serve(serve::Args),
    /// Run a server, an agent of this machine and simulated CPEs, to look around
    Demo(demo::Args),
    /// Run simulated CPEs against a controller
    Sim(simulate::Args),
    /// Print a completion script for your shell
    Completion {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
    #[command(flatten)]
    Remote(remote::Command),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }
}
