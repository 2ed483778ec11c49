//! `serve`: the server with its configuration, until it is told to stop.

use anyhow::{Context, Result};
use server::config::{Config, Override};
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

#[derive(clap::Args)]
pub struct Args {
    /// Configuration file (TOML); every key is in docs/operating.md
    #[arg(long, env = "HEADEND_CONFIG")]
    config: Option<PathBuf>,
    /// Folder for the embedded database, keys and certificates
    #[arg(long)]
    data: Option<PathBuf>,
    /// Address of console and API, like 0.0.0.0:8080
    #[arg(long)]
    http: Option<String>,
    /// Address for agents without TLS, like 0.0.0.0:8081
    #[arg(long)]
    usp: Option<String>,
    /// Address for agents with TLS, like 0.0.0.0:8443
    #[arg(long)]
    usp_tls: Option<String>,
    /// `sqlite://path` or `postgres://user@host/database`
    #[arg(long)]
    database: Option<String>,
    /// Any other key of the configuration
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Args {
    fn overrides(&self) -> Result<Vec<Override>> {
        let mut all = Override::from_env(std::env::vars());
        let data = self
            .data
            .as_deref()
            .and_then(Path::to_str)
            .map(str::to_owned);
        let flags = [
            ("data", "data_dir", &data),
            ("http", "http.listen", &self.http),
            ("usp", "usp.listen", &self.usp),
            ("usp-tls", "usp.tls_listen", &self.usp_tls),
            ("database", "database", &self.database),
        ];
        for (flag, key, value) in flags {
            if let Some(value) = value {
                all.push(given(key, value, format!("--{flag}")));
            }
        }
        for text in &self.set {
            let (key, value) = text
                .split_once('=')
                .with_context(|| format!("--set {text}: write it as KEY=VALUE"))?;
            all.push(given(key, value, format!("--set {key}")));
        }
        Ok(all)
    }
}

pub async fn run(args: Args) -> Result<()> {
    log("info");
    let config = Config::load(args.config.as_deref(), &args.overrides()?)?;
    let running = server::start(config, until_stopped()).await?;
    println!("console and API  {}", http_url(&running));
    if let Some(address) = running.usp {
        println!("agents           ws://{address}/usp/<setup key>");
    }
    if let Some(address) = running.usp_tls {
        println!("agents           wss://{address}/usp/<setup key>");
    }
    println!("endpoint id      {}", running.endpoint_id);
    if let Some(first) = &running.first_administrator {
        println!(
            "\nFirst start: sign in as `{}` with the one-time password",
            first.login
        );
        println!("\n    {}\n", first.one_time_password);
        println!("It is shown only now and has to be changed at the first sign-in.");
    }
    running.wait().await?;
    Ok(())
}

/// The console's address.
pub fn http_url(running: &server::Running) -> String {
    let scheme = if running.https { "https" } else { "http" };
    format!("{scheme}://{}", running.http)
}

fn given(key: &str, value: &str, origin: String) -> Override {
    Override {
        key: key.to_owned(),
        value: value.to_owned(),
        origin,
    }
}

/// Logs to standard error; `HEADEND_LOG` beats the default.
pub fn log(default: &str) {
    let filter = std::env::var("HEADEND_LOG").unwrap_or_else(|_| default.to_owned());
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .try_init();
}

/// Cancelled by SIGTERM or Ctrl C.
pub fn until_stopped() -> CancellationToken {
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        match terminate {
            Ok(mut terminate) => tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            },
            Err(_) => {
                let _ = tokio::signal::ctrl_c().await;
            }
        }
        tracing::info!("stopping");
        stop.cancel();
    });
    token
}
