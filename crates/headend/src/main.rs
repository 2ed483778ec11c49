//! The one binary. Local commands (`serve`, `demo`, `sim`) run here; remote ones speak to a server
//! through its API and nothing else.
#![allow(clippy::print_stdout)]

mod cli;
mod demo;
mod exit;
mod lifetime;
mod remote;
mod serve;
mod simulate;
mod start;

use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use exit::{Exit, Failure};

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    if matches!(cli.command, Command::Remote(_) | Command::Completion { .. }) {
        end_with_a_closed_pipe();
    }
    let json = cli.command.json();
    // Every TLS end in this process uses the same provider; a second installation is harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return exit::report(&anyhow::Error::new(error), json),
    };
    let result = match cli.command {
        Command::Serve(args) => runtime.block_on(serve::run(args)),
        Command::Demo(args) => runtime.block_on(demo::run(args)),
        Command::Sim(args) => runtime.block_on(simulate::run(args)),
        Command::Completion { shell } => completion(shell),
        Command::Remote(command) => runtime.block_on(remote::run(*command)),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => exit::report(&error, json),
    }
}

fn completion(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "headend", &mut script);
    let script = String::from_utf8(script)
        .map_err(|_| Exit::error(Failure::Other, "the completion script is not text"))?;
    print!("{script}");
    Ok(())
}

/// As a shell tells that a program was ended by SIGPIPE: not a success, since what it printed was not read.
const CLOSED_PIPE: i32 = 141;

/// `headend device list | head -1` ends quietly: printing to a pipe that nobody reads panics otherwise.
fn end_with_a_closed_pipe() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let message = info.payload_as_str().unwrap_or_default();
        if message.starts_with("failed printing to stdout") && message.contains("Broken pipe") {
            std::process::exit(CLOSED_PIPE);
        }
        usual(info);
    }));
}
