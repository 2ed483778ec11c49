//! `serve`: the server with its configuration, until it is told to stop.

use crate::exit::{self, Exit, Failure};
use crate::{lifetime, start};
use anyhow::Result;
use server::config::{Config, ConfigError, Override};
use std::io::IsTerminal;
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(
    after_help = "Without any of these: files in headend-data/, console on http://127.0.0.1:8080, \
                  agents on port 8081, CPEs that speak TR-069 on port 7547, files for devices on port \
                  7549.\nThe environment HEADEND__HTTP__LISTEN is the key http.listen; \
                  it beats the file, and flags beat both.\nHEADEND_LOG=info,server=debug chooses \
                  what is logged to standard error. Ctrl C or SIGTERM stops the server."
)]
pub struct Args {
    /// Configuration file (TOML); every key is in docs/operating.md
    #[arg(
        long,
        env = "HEADEND_CONFIG",
        hide_env_values = true,
        value_name = "FILE"
    )]
    config: Option<PathBuf>,
    /// Folder for the embedded database, keys and certificates
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Address of console and API, like 0.0.0.0:8080
    #[arg(long, value_name = "ADDRESS")]
    http: Option<String>,
    /// Address for agents without TLS, like 0.0.0.0:8081
    #[arg(long, value_name = "ADDRESS")]
    usp: Option<String>,
    /// Address for agents with TLS, like 0.0.0.0:8443
    #[arg(long, value_name = "ADDRESS")]
    usp_tls: Option<String>,
    /// Address of the MQTT broker for agents without TLS, like 0.0.0.0:1883
    #[arg(long, value_name = "ADDRESS")]
    mqtt: Option<String>,
    /// Address of the MQTT broker for agents with TLS, like 0.0.0.0:8883
    #[arg(long, value_name = "ADDRESS")]
    mqtt_tls: Option<String>,
    /// Address for CPEs that speak TR-069, by HTTP, like 0.0.0.0:7547
    #[arg(long, value_name = "ADDRESS")]
    cwmp: Option<String>,
    /// Address for CPEs that speak TR-069, by HTTPS, like 0.0.0.0:7548
    #[arg(long, value_name = "ADDRESS")]
    cwmp_tls: Option<String>,
    /// Address where devices fetch and send files, like 0.0.0.0:7549
    #[arg(long, value_name = "ADDRESS")]
    files: Option<String>,
    /// `sqlite://path` or `postgres://user@host/database`
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Any other key of the configuration
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Args {
    fn overrides(&self) -> Result<Vec<Override>> {
        let mut all = Override::from_env(environment()?.into_iter());
        let data = match self.data.as_deref().map(|path| (path, path.to_str())) {
            Some((path, None)) => {
                let words = format!("--data {}: the path is not UTF-8", path.display());
                return Err(Exit::error(Failure::Usage, words));
            }
            Some((_, text)) => text.map(str::to_owned),
            None => None,
        };
        let flags = [
            ("data", "data_dir", &data),
            ("http", "http.listen", &self.http),
            ("usp", "usp.listen", &self.usp),
            ("usp-tls", "usp.tls_listen", &self.usp_tls),
            ("mqtt", "mqtt.listen", &self.mqtt),
            ("mqtt-tls", "mqtt.tls_listen", &self.mqtt_tls),
            ("cwmp", "cwmp.listen", &self.cwmp),
            ("cwmp-tls", "cwmp.tls_listen", &self.cwmp_tls),
            ("files", "files.listen", &self.files),
            ("database", "database", &self.database),
        ];
        for (flag, key, value) in flags {
            if let Some(value) = value {
                all.push(given(key, value, format!("--{flag}")));
            }
        }
        for text in &self.set {
            all.push(set(text)?);
        }
        Ok(all)
    }
}

/// What `--set` says.
pub fn set(text: &str) -> Result<Override> {
    let (key, value) = text.split_once('=').ok_or_else(|| {
        let words = format!("--set {text}: write it as KEY=VALUE, like http.metrics_open=true");
        Exit::error(Failure::Usage, words)
    })?;
    Ok(given(key, value, format!("--set {key}")))
}

/// The variables of the environment. Those that are no text are nobody's business, unless they are ours.
pub fn environment() -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for (name, value) in std::env::vars_os() {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => all.push((name, value)),
            (Ok(name), Err(_)) if name.starts_with("HEADEND__") => {
                let words = format!("{name}: its value is not UTF-8");
                return Err(Exit::error(Failure::Usage, words));
            }
            _ => {}
        }
    }
    Ok(all)
}

pub async fn run(args: Args) -> Result<()> {
    log("info");
    let config = Config::load(args.config.as_deref(), &args.overrides()?).map_err(misread)?;
    let data_dir = config.data_dir.clone();
    let running = server::start(config, lifetime::until_stopped())
        .await
        .map_err(|error| start::refused(error, flag))?;
    let mut lines = vec![format!("console and API  {}", running.url())];
    if let Some(address) = running.usp {
        lines.push(format!("agents           ws://{address}/usp/<setup key>"));
    }
    if let Some(address) = running.usp_tls {
        lines.push(format!("agents           wss://{address}/usp/<setup key>"));
    }
    for one in &running.mqtt {
        lines.push(format!(
            "agents           {}://{} as <tenant>/setup",
            one.scheme, one.addr
        ));
    }
    if let Some(address) = running.cwmp {
        lines.push(format!("CPEs (TR-069)    http://{address}/"));
    }
    if let Some(address) = running.cwmp_tls {
        lines.push(format!("CPEs (TR-069)    https://{address}/"));
    }
    for (scheme, address) in [("http", running.files.plain), ("https", running.files.tls)] {
        if let Some(address) = address {
            lines.push(format!("files            {scheme}://{address}"));
        }
    }
    lines.push(format!("endpoint id      {}", running.endpoint_id));
    lines.push(format!("data             {}", data_dir.display()));
    if let Some(first) = &running.first_administrator {
        lines.push(format!(
            "\nNobody has signed in yet: sign in as `{}` with the one-time password",
            first.login
        ));
        lines.push(format!("\n    {}\n", first.one_time_password));
        let once = "It has to be changed at the first sign-in and is not shown after that.";
        lines.push(once.to_owned());
    }
    exit::tell(&lines.join("\n"));
    if let Some(most) = server::open_files::too_few() {
        tracing::warn!(
            "only {most} files may be open, and each connection is one: raise LimitNOFILE (ulimit -n) to more than the devices there are, at least {}",
            server::limits::OPEN_FILES_MIN
        );
    }
    running.wait().await?;
    Ok(())
}

/// What a flag says wrong is wrong usage; a file or variable is not.
pub fn misread(error: ConfigError) -> anyhow::Error {
    match &error {
        ConfigError::Override { origin, .. } if origin.starts_with("--") => {
            Exit::error(Failure::Usage, error.to_string())
        }
        _ => error.into(),
    }
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
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .try_init();
}

/// The flag for a key of the configuration that says where to listen.
pub fn flag(key: &str) -> String {
    let flag = match key {
        "http.listen" => "--http",
        "usp.listen" => "--usp",
        "usp.tls_listen" => "--usp-tls",
        "mqtt.listen" => "--mqtt",
        "mqtt.tls_listen" => "--mqtt-tls",
        "cwmp.listen" => "--cwmp",
        "cwmp.tls_listen" => "--cwmp-tls",
        "files.listen" => "--files",
        other => return other.to_owned(),
    };
    format!("{flag} (or {key} in the configuration)")
}
