//! `headend-agent`: this Linux host as a USP agent. One configuration file; everything else is in the data model.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent::linux::Linux;
use agent::{AgentConfig, ControllerConfig, FileStorage, RunOptions, run};
use anyhow::Context;
use clap::Parser;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// This Linux host as a USP (TR-369) agent.
#[derive(Debug, Parser)]
#[command(name = "headend-agent", version)]
struct Args {
    /// The configuration file.
    #[arg(long, short, env = "HEADEND_AGENT_CONFIG")]
    config: Option<PathBuf>,
    /// Where the state is kept [default: state_dir of the file, else ./headend-agent-state].
    #[arg(long, env = "HEADEND_AGENT_STATE")]
    state: Option<PathBuf>,
    /// A controller to dial, instead of those in the file: its WebSocket address ...
    #[arg(long, env = "HEADEND_AGENT_CONTROLLER_URL", requires = "controller_id")]
    controller_url: Option<String>,
    /// ... and its endpoint id.
    #[arg(long, env = "HEADEND_AGENT_CONTROLLER_ID")]
    controller_id: Option<String>,
    /// The agent's endpoint id, instead of the file's or the one made of OUI and serial number.
    #[arg(long, env = "HEADEND_AGENT_ENDPOINT_ID")]
    endpoint_id: Option<String>,
    /// Check the configuration and stop.
    #[arg(long)]
    check: bool,
    /// End when standard input ends, for a program that starts this one.
    #[arg(long, hide = true)]
    until_stdin_ends: bool,
}

fn configuration(args: &Args) -> anyhow::Result<AgentConfig> {
    let mut config = match &args.config {
        Some(path) => AgentConfig::load(path)?,
        None => AgentConfig::default(),
    };
    if let Some(endpoint_id) = &args.endpoint_id {
        config.endpoint_id.clone_from(endpoint_id);
    }
    if let Some(endpoint_id) = args.controller_id.clone() {
        let url = args.controller_url.clone().unwrap_or_default();
        config.controllers = vec![ControllerConfig {
            endpoint_id,
            url,
            ..ControllerConfig::default()
        }];
    }
    config.check("the command line")?;
    if config.controllers.is_empty() && !config.discovery.is_on() {
        anyhow::bail!(
            "no controller: give [[controller]] or [discovery] in the configuration file, or --controller-id and \
             --controller-url"
        );
    }
    Ok(config)
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("headend-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> anyhow::Result<()> {
    let mut config = configuration(&args)?;
    let filter = match &config.log {
        Some(filter) => EnvFilter::try_new(filter).context("`log` in the configuration")?,
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let backend = Linux::new(&config)?;
    if config.endpoint_id.is_empty() {
        config.endpoint_id = backend.endpoint_id();
    }
    if args.check {
        tracing::info!(
            endpoint_id = config.endpoint_id,
            controllers = config.controllers.len(),
            "the configuration is fine"
        );
        return Ok(());
    }
    let state = args.state.or_else(|| config.state_dir.clone());
    let storage = FileStorage::open(state.as_deref().unwrap_or(Path::new("headend-agent-state")))?;
    let shutdown = CancellationToken::new();
    let signalled = shutdown.clone();
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        signalled.cancel();
    });
    if args.until_stdin_ends {
        let ended = shutdown.clone();
        // A thread of its own, since reading standard input cannot be interrupted.
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            ended.cancel();
        });
    }
    let options = RunOptions {
        storage: Box::new(storage),
        ..RunOptions::default()
    };
    run(config, Box::new(backend), options, shutdown).await?;
    Ok(())
}
