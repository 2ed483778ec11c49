//! The one binary. Local commands (`serve`, `demo`, `sim`) run here; remote ones speak to a server
//! through its API and nothing else.

mod cli;
mod demo;
mod discovery;
mod exit;
mod lifetime;
mod pki;
mod place;
#[allow(clippy::print_stdout)] // Commands that answer once; the others use `exit::tell`.
mod remote;
mod serve;
mod simulate;
mod start;

use clap::CommandFactory;
use cli::{Cli, Command};
use exit::{Exit, Failure};

/// Sessions come and go on all threads, and what they leave is used again by others: with it they cost less, and the
/// server holds about half the memory (`docs/performance.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    let cli = Cli::read();
    if matches!(
        cli.command,
        Command::Remote(_) | Command::Pki(_) | Command::Discovery(_) | Command::Completion { .. }
    ) {
        exit::end_with_a_closed_pipe();
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
        Command::Pki(command) => runtime.block_on(pki::run(command)),
        Command::Discovery(command) => runtime.block_on(discovery::run(command)),
        Command::Completion { shell } => completion(shell),
        Command::Remote(command) => runtime.block_on(remote::run(*command)),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => exit::report(&error, json),
    }
}

#[allow(clippy::print_stdout)]
fn completion(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "headend", &mut script);
    let script = String::from_utf8(script)
        .map_err(|_| Exit::error(Failure::Other, "the completion script is not text"))?;
    print!("{script}");
    Ok(())
}
