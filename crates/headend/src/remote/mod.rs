//! Commands that speak to a server through its API. They know nothing that the API does not say.
//! One file a resource, named as in the API; each operation of the API has a command (tested).

mod broker;
pub mod certificate;
mod client;
mod confirm;
mod device;
pub mod discovery;
mod doctor;
mod events;
mod file;
mod operation;
pub mod output;
mod part;
mod session;
mod setup_key;
mod sign_in;
mod system;
mod tenant;
mod token;
mod typed;
mod user;
mod wait;
mod when;

use anyhow::Result;
use clap::{Args, Subcommand};
pub use client::address;

#[derive(Subcommand)]
pub enum Command {
    /// Find, read and change devices; register, re-admit and forget them
    Device(On<device::Command>),
    /// Follow and cancel operations
    Operation(On<operation::Command>),
    /// Files for devices (firmware, configurations), and what devices have sent
    File(On<file::Command>),
    /// Follow what happens, and read what happened
    Events(On<events::Command>),
    /// Say why a device is not seen
    Doctor(Alone<doctor::Args>),
    /// Keys with which new devices come in
    SetupKey(On<setup_key::Command>),
    /// People who may sign in, and their roles
    User(On<user::Command>),
    /// API tokens for scripts
    Token(On<token::Command>),
    /// Tenants: the walls between customers of one installation
    Tenant(On<tenant::Command>),
    /// What a broker of somebody else is told of the devices here
    Broker(On<broker::Command>),
    /// The installation: version, listeners, limits, API description
    System(On<system::Command>),
    /// Sign in to a server and keep a token for the next commands
    SignIn(Alone<sign_in::Args>),
    /// Forget the kept token and revoke it
    SignOut(Connection),
    /// Say who is signed in, where, and what they may do
    Whoami(Connection),
    /// Change your own password
    ChangePassword(Alone<session::ChangePassword>),
}

impl Command {
    /// Which server, as whom, and how to print.
    pub fn connection(&self) -> &Connection {
        match self {
            Command::Device(on) => &on.connection,
            Command::Operation(on) => &on.connection,
            Command::File(on) => &on.connection,
            Command::Events(on) => &on.connection,
            Command::Doctor(alone) => &alone.connection,
            Command::SetupKey(on) => &on.connection,
            Command::User(on) => &on.connection,
            Command::Token(on) => &on.connection,
            Command::Tenant(on) => &on.connection,
            Command::Broker(on) => &on.connection,
            Command::System(on) => &on.connection,
            Command::SignIn(alone) => &alone.connection,
            Command::SignOut(connection) | Command::Whoami(connection) => connection,
            Command::ChangePassword(alone) => &alone.connection,
        }
    }
}

/// A resource with its commands.
#[derive(Args)]
pub struct On<C: Subcommand> {
    #[command(flatten)]
    pub connection: Connection,
    #[command(subcommand)]
    pub command: C,
}

/// A command without others below it.
#[derive(Args)]
pub struct Alone<A: Args> {
    #[command(flatten)]
    pub args: A,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Clone)]
#[command(next_help_heading = "Server")]
pub struct Connection {
    /// The server's address [default: of the last `sign-in`, else http://127.0.0.1:8080]
    #[arg(
        long,
        env = "HEADEND_URL",
        hide_env_values = true,
        global = true,
        value_parser = client::address
    )]
    pub url: Option<String>,
    /// An API token [default: of the last `sign-in`]
    #[arg(long, env = "HEADEND_TOKEN", hide_env_values = true, global = true)]
    pub token: Option<String>,
    /// PEM file of a certificate authority to trust, like the server's development one
    #[arg(
        long,
        env = "HEADEND_CA",
        hide_env_values = true,
        global = true,
        value_name = "FILE"
    )]
    pub ca: Option<std::path::PathBuf>,
    /// The tenant to act in, for platform administrators
    #[arg(
        long,
        env = "HEADEND_TENANT",
        hide_env_values = true,
        global = true,
        value_name = "ID"
    )]
    pub tenant: Option<String>,
    /// Print what the API answers, as JSON; errors are problem details on standard error
    #[arg(long, global = true)]
    pub json: bool,
}

pub async fn run(command: Command) -> Result<()> {
    match command {
        Command::Device(on) => device::run(on.command, &on.connection).await,
        Command::Operation(on) => operation::run(on.command, &on.connection).await,
        Command::File(on) => file::run(on.command, &on.connection).await,
        Command::Events(on) => events::run(on.command, &on.connection).await,
        Command::Doctor(alone) => doctor::run(alone.args, &alone.connection).await,
        Command::SetupKey(on) => setup_key::run(on.command, &on.connection).await,
        Command::User(on) => user::run(on.command, &on.connection).await,
        Command::Token(on) => token::run(on.command, &on.connection).await,
        Command::Tenant(on) => tenant::run(on.command, &on.connection).await,
        Command::Broker(on) => broker::run(on.command, &on.connection).await,
        Command::System(on) => system::run(on.command, &on.connection).await,
        Command::SignIn(alone) => sign_in::run(alone.args, &alone.connection).await,
        Command::SignOut(connection) => sign_in::out(&connection).await,
        Command::Whoami(connection) => session::whoami(&connection).await,
        Command::ChangePassword(alone) => {
            session::change_password(alone.args, &alone.connection).await
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn sources(folder: &Path, into: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, into);
            } else {
                into.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }

    #[test]
    fn every_operation_of_the_api_has_a_command() {
        let mut text = String::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/remote");
        sources(&folder, &mut text);
        let missing: Vec<_> = api::OPERATIONS
            .iter()
            .map(|endpoint| endpoint.id)
            .filter(|id| !text.contains(&format!("\"{id}\"")))
            .collect();
        assert!(missing.is_empty(), "no command for {missing:?}");
    }
}
