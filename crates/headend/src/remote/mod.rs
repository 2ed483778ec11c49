//! Commands that speak to a server through its API. They know nothing that the API does not say.

mod client;
mod device;
mod doctor;
mod events;
mod operation;
mod output;
mod sign_in;
mod token;
mod wait;

use anyhow::Result;
use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub enum Command {
    /// Find, read and change devices
    #[command(subcommand)]
    Device(device::Command),
    /// Follow and cancel operations
    #[command(subcommand)]
    Operation(operation::Command),
    /// Follow what happens
    #[command(subcommand)]
    Events(events::Command),
    /// Make and revoke API tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Say why a device is not seen
    Doctor(doctor::Args),
    /// Sign in to a server and keep a token for the next commands
    SignIn(sign_in::Args),
    /// Forget the kept token and revoke it
    SignOut(Connection),
}

/// Which server, as whom, and how to print.
#[derive(Args, Clone)]
pub struct Connection {
    /// The server's address [default: of the last `sign-in`, else http://127.0.0.1:8080]
    #[arg(long, env = "HEADEND_URL", global = true)]
    pub url: Option<String>,
    /// An API token [default: of the last `sign-in`]
    #[arg(long, env = "HEADEND_TOKEN", hide_env_values = true, global = true)]
    pub token: Option<String>,
    /// PEM file of a certificate authority to trust, like the server's development one
    #[arg(long, env = "HEADEND_CA", global = true)]
    pub ca: Option<std::path::PathBuf>,
    /// The tenant to act in, for platform administrators
    #[arg(long, env = "HEADEND_TENANT", global = true)]
    pub tenant: Option<String>,
    /// Print JSON, as the API gives it
    #[arg(long, global = true)]
    pub json: bool,
}

pub async fn run(command: Command) -> Result<()> {
    match command {
        Command::Device(command) => device::run(command).await,
        Command::Operation(command) => operation::run(command).await,
        Command::Events(command) => events::run(command).await,
        Command::Token(command) => token::run(command).await,
        Command::Doctor(args) => doctor::run(args).await,
        Command::SignIn(args) => sign_in::run(args).await,
        Command::SignOut(connection) => sign_in::out(connection).await,
    }
}
