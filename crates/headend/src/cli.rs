//! The command line as one readable contract. No behaviour here.

use crate::{demo, exit, remote, serve, simulate};
use clap::{Parser, Subcommand};

/// Open device management for internet service providers.
#[derive(Parser)]
#[command(
    name = "headend",
    version,
    about,
    after_help = exit::table(),
    max_term_width = 100
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
    #[command(
        after_help = "bash: source <(headend completion bash)\nzsh:  headend completion zsh > \"${fpath[1]}/_headend\"\nfish: headend completion fish | source"
    )]
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
    #[command(flatten)]
    Remote(Box<remote::Command>),
}

impl Command {
    /// Whether everything printed has to be JSON.
    pub fn json(&self) -> bool {
        match self {
            Command::Remote(command) => command.connection().json,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_argument_says_what_it_is() {
        fn walk(command: &clap::Command, path: &str) {
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some() || argument.get_id() == "help",
                    "{path} {} has no help",
                    argument.get_id()
                );
            }
            for below in command.get_subcommands() {
                let path = format!("{path} {}", below.get_name());
                assert!(below.get_about().is_some(), "{path} has no help");
                walk(below, &path);
            }
        }
        walk(&Cli::command(), "headend");
    }

    #[test]
    fn options_of_the_connection_may_stand_anywhere() {
        let words = ["headend", "device", "--json", "list", "--url", "http://a"];
        let Command::Remote(command) = Cli::parse_from(words).command else {
            panic!("not a remote command");
        };
        assert!(command.connection().json);
        assert_eq!(command.connection().url.as_deref(), Some("http://a"));
    }
}
