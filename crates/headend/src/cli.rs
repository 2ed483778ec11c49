//! The command line as one readable contract. No behaviour here.

use crate::{demo, discovery, exit, pki, remote, serve, simulate};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

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
    #[command(flatten)]
    first: First,
    #[command(subcommand)]
    pub command: Command,
}

/// The options of [`remote::Connection`], where they stand before the command: by their equal names they reach it.
/// They are not shown, since each command that has them says so, and they take nothing from the environment.
#[derive(clap::Args)]
struct First {
    /// The server's address
    #[arg(long, global = true, hide = true, value_parser = remote::address)]
    url: Option<String>,
    /// An API token
    #[arg(long, global = true, hide = true)]
    token: Option<String>,
    /// PEM file of a certificate authority to trust
    #[arg(long, global = true, hide = true)]
    ca: Option<std::path::PathBuf>,
    /// The tenant to act in
    #[arg(long, global = true, hide = true)]
    tenant: Option<String>,
    /// Print JSON
    #[arg(long, global = true, hide = true)]
    json: bool,
}

impl Cli {
    /// Says what is wrong and ends the process where an option of the connection is given to a command that asks no
    /// server.
    pub fn read() -> Cli {
        let cli = Cli::parse();
        if let Some(option) = cli.misplaced() {
            let words = format!("{option} belongs to the commands that ask a server");
            Cli::command()
                .error(ErrorKind::UnknownArgument, words)
                .exit();
        }
        cli
    }

    fn misplaced(&self) -> Option<&'static str> {
        let first = &self.first;
        // `sim` has a URL and an authority of its own.
        let own = match self.command {
            Command::Remote(_)
            | Command::Pki(pki::Command::Remote(_))
            | Command::Discovery(discovery::Command::Remote(_)) => return None,
            Command::Sim(_) => true,
            _ => false,
        };
        [
            ("--url", first.url.is_some() && !own),
            ("--token", first.token.is_some()),
            ("--ca", first.ca.is_some() && !own),
            ("--tenant", first.tenant.is_some()),
            ("--json", first.json),
        ]
        .into_iter()
        .find_map(|(option, given)| given.then_some(option))
    }
}

#[derive(Subcommand)]
pub enum Command {
    /// Run the server: USP controller, API and console
    Serve(serve::Args),
    /// Run a server, an agent of this machine and simulated CPEs, to look around
    Demo(demo::Args),
    /// Run simulated CPEs against a controller
    Sim(simulate::Args),
    /// The certificate authority for devices, and the certificates that it issues
    #[command(subcommand)]
    Pki(pki::Command),
    /// How devices find a server by themselves
    #[command(subcommand)]
    Discovery(discovery::Command),
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
            Command::Pki(pki::Command::Remote(command)) => command.connection().json,
            Command::Discovery(discovery::Command::Remote(command)) => command.connection().json,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for words in [
            ["headend", "device", "--json", "list", "--url", "http://a"],
            ["headend", "--url", "http://a", "--json", "device", "list"],
            ["headend", "--json", "--url", "http://a", "doctor", "x"],
            ["headend", "--url", "http://a", "device", "list", "--json"],
        ] {
            let cli = Cli::parse_from(words);
            assert_eq!(cli.misplaced(), None);
            let Command::Remote(command) = cli.command else {
                panic!("not a remote command");
            };
            assert!(command.connection().json, "{words:?}");
            let url = command.connection().url.as_deref();
            assert_eq!(url, Some("http://a"), "{words:?}");
        }
        let words = [
            "headend", "--url", "http://a", "whoami", "--url", "http://b",
        ];
        let Command::Remote(command) = Cli::parse_from(words).command else {
            panic!("not a remote command");
        };
        assert_eq!(command.connection().url.as_deref(), Some("http://b"));
    }

    #[test]
    fn a_command_that_asks_no_server_takes_no_option_of_the_connection() {
        let misplaced = |words: &[&str]| Cli::parse_from(words).misplaced();
        assert_eq!(
            misplaced(&["headend", "--url", "http://a", "serve"]),
            Some("--url")
        );
        assert_eq!(misplaced(&["headend", "demo", "--json"]), Some("--json"));
        let words = "headend sim --setup-key k --controller c --url ws://127.0.0.1:1/usp --ca f";
        let words: Vec<_> = words.split(' ').collect();
        assert_eq!(misplaced(&words), None);
        let Command::Sim(_) = Cli::parse_from(words).command else {
            panic!("not a simulation");
        };
    }
}
