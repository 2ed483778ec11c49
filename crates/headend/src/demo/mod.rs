//! `demo`: a server, an agent of this machine and simulated CPEs, with their data in one folder.
//! The server runs in this process; agent and simulator are programs of their own, as in real life.

mod child;
mod ready;

use crate::{exit, lifetime, serve, start};
use anyhow::{Context, Result, bail};
use child::Child;
use fleet::{SetupKeyId, TenantId, Timestamp};
use server::auth::first_run::TENANT;
use server::config::Config;
use server::{StartError, secret};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use store::NewSetupKey;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

#[derive(clap::Args)]
pub struct Args {
    /// How many simulated CPEs
    #[arg(long, default_value_t = 25, value_name = "COUNT")]
    devices: u32,
    /// How many besides that speak TR-069, every other one an old gateway (TR-098)
    #[arg(long, default_value_t = 10, value_name = "COUNT")]
    cwmp_devices: u32,
    /// Folder for everything; kept between runs
    #[arg(long, default_value = ".demo", value_name = "FOLDER")]
    data: PathBuf,
    /// Address of console and API
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    http: SocketAddr,
    /// Address for agents
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    usp: SocketAddr,
    /// Address for CPEs that speak TR-069
    #[arg(long, default_value = "127.0.0.1:7547", value_name = "ADDRESS")]
    cwmp: SocketAddr,
    /// Without the agent of this machine
    #[arg(long)]
    no_agent: bool,
    /// Write addresses and credentials here as JSON once all devices are there
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

pub async fn run(args: Args) -> Result<()> {
    serve::log("warn");
    std::fs::create_dir_all(&args.data).with_context(|| args.data.display().to_string())?;
    let shutdown = lifetime::until_stopped();
    // The server outlives the devices, so that it sees them say goodbye.
    let server_shutdown = CancellationToken::new();
    let usp = usp_address(args.usp, &args.data)?;
    let config = Config {
        data_dir: args.data.join("server"),
        http: server::config::Http {
            listen: args.http,
            ..Default::default()
        },
        usp: server::config::Usp {
            listen: Some(usp),
            ..Default::default()
        },
        // Links to files are made anew for each transfer: any port does.
        files: server::config::Files {
            listen: Some(SocketAddr::new(usp.ip(), 0)),
            ..Default::default()
        },
        cwmp: server::config::Cwmp {
            listen: Some(args.cwmp),
            // The simulated devices are on this machine.
            wake_networks: Some(vec![server::southbound::cwmp::wake::Network::LOOPBACK]),
            ..Default::default()
        },
        ..Config::default()
    };
    let running = server::start(config, server_shutdown.clone())
        .await
        .map_err(|error| refused(error, &args.data))?;
    let url = running.url();
    let usp = running
        .usp
        .context("the demo needs the listener for agents")?;
    write_whole(&args.data.join(USP_ADDRESS), &usp.to_string())?;
    let usp_url = format!("ws://{usp}/usp");
    let tenant = TenantId::parse(TENANT).map_err(|error| anyhow::anyhow!("{error}"))?;
    let setup_key = setup_key(&running, &tenant, &args.data).await?;
    let endpoint_id = &running.endpoint_id;
    let cwmp = running
        .cwmp
        .context("the demo needs the listener for TR-069")?;
    let cwmp_url = format!("http://{cwmp}/");
    let urls = [usp_url.as_str(), cwmp_url.as_str()];
    let mut simulator = simulator(&args, urls, &setup_key, endpoint_id)?;
    let mut agent = match args.no_agent {
        true => None,
        false => Some(agent(&args, &usp_url, &setup_key, endpoint_id)?),
    };

    let mut lines = vec![format!("Console   {url}")];
    match &running.first_administrator {
        Some(first) => {
            lines.push(format!("Sign in   {}", first.login));
            let password = &first.one_time_password;
            lines.push(format!(
                "Password  {password}   (one-time: you choose your own)"
            ));
        }
        None => {
            lines.push("Sign in   as you did before".to_owned());
            lines.push(format!(
                "          (to begin anew: rm -r {})",
                args.data.display()
            ));
        }
    }
    exit::tell(&format!("\n{}\n", boxed(&lines)));
    let simulated = args.devices as usize + args.cwmp_devices as usize;
    let expected = simulated + usize::from(!args.no_agent);
    let watch = async {
        ready::all_online(&running.store, &tenant, expected).await?;
        exit::tell(&format!(
            "{expected} devices are online. Ctrl C ends the demo."
        ));
        if let Some(path) = &args.ready_file {
            let first = running.first_administrator.as_ref();
            let password = first.map(|first| first.one_time_password.as_str());
            let ready = serde_json::json!({
                "url": url,
                "password": password.unwrap_or_default(),
                "usp_url": usp_url,
                "cwmp_url": cwmp_url,
                "setup_key": setup_key,
                "endpoint_id": endpoint_id,
            });
            write_whole(path, &ready.to_string())?;
        }
        std::future::pending::<Result<()>>().await
    };
    let agent_ended = async {
        match &mut agent {
            Some(agent) => agent.ended().await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        failed = watch => failed,
        error = simulator.ended() => Err(error),
        error = agent_ended => Err(error),
    };
    // Ctrl C reaches our children at the same time as us: they may have ended because of it.
    let ended = match tokio::time::timeout(SIGNAL_WITHIN, shutdown.cancelled()).await {
        Ok(()) => Ok(()),
        Err(_) => ended,
    };
    exit::tell("Stopping.");
    simulator.stop().await;
    if let Some(agent) = agent {
        agent.stop().await;
    }
    server_shutdown.cancel();
    running.wait().await?;
    ended
}

/// How much later than our children we may hear of a signal.
const SIGNAL_WITHIN: Duration = Duration::from_millis(500);

/// Where the address of the first run is kept.
const USP_ADDRESS: &str = "usp-address";

/// The address for agents: devices of an earlier run know it, and no other.
fn usp_address(wanted: SocketAddr, data: &Path) -> Result<SocketAddr> {
    let kept = std::fs::read_to_string(data.join(USP_ADDRESS)).unwrap_or_default();
    match kept.trim().parse::<SocketAddr>() {
        Ok(kept) if wanted.port() == 0 || wanted == kept => Ok(kept),
        Ok(kept) => bail!(
            "the devices in {} know their server at {kept} and would not find it at {wanted}: \
             leave --usp at {kept}, or begin in another folder (--data)",
            data.display()
        ),
        Err(_) => Ok(wanted),
    }
}

/// The demo's setup key; made at the first run and kept for the next.
async fn setup_key(running: &server::Running, tenant: &TenantId, data: &Path) -> Result<String> {
    let store = &running.store;
    let path = data.join("setup-key");
    if let Ok(kept) = std::fs::read_to_string(&path) {
        let kept = kept.trim().to_owned();
        let known = store.setup_key_by_hash(&secret::hash(&kept)).await?;
        if known.is_some_and(|key| key.revoked_at.is_none()) {
            return Ok(kept);
        }
    }
    let made = secret::new(secret::SETUP_KEY);
    let now = now();
    let id = SetupKeyId::new(now, secret::id_bits());
    let key = NewSetupKey {
        id,
        sealed: Some(running.vault.seal_setup_key(tenant, id, &made)?),
        name: "Demo".to_owned(),
        hash: secret::hash(&made),
        prefix: secret::hint(&made),
        created_at: now,
        created_by: None,
        expires_at: None,
        uses_max: None,
    };
    store.setup_key_insert(tenant, key, Vec::new()).await?;
    write_whole(&path, &made)?;
    Ok(made)
}

fn simulator(
    args: &Args,
    [usp_url, cwmp_url]: [&str; 2],
    setup_key: &str,
    controller: &str,
) -> Result<Child> {
    let program = std::env::current_exe()?;
    let old = args.cwmp_devices / 2;
    let new = args.cwmp_devices - old;
    Child::start(
        "the simulator",
        Command::new(program)
            .args(["sim", "--count", &args.devices.to_string()])
            .args(["--url", usp_url, "--controller", controller])
            .args(["--cwmp-devices", &new.to_string()])
            .args(["--tr098", &old.to_string(), "--cwmp-url", cwmp_url])
            .arg("--data")
            .arg(args.data.join("devices"))
            .env("HEADEND_SETUP_KEY", setup_key)
            .env("HEADEND_LOG", "warn"),
        &args.data.join("sim.log"),
    )
}

fn agent(args: &Args, usp_url: &str, setup_key: &str, controller: &str) -> Result<Child> {
    let program = std::env::current_exe()?.with_file_name("headend-agent");
    if !program.exists() {
        bail!(
            "{} is not there; build it with `cargo build -p agent`, or pass --no-agent",
            program.display()
        );
    }
    let folder = args.data.join("agent");
    std::fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    let state = folder.join("state");
    let config = format!(
        "state_dir = {state:?}\n\n[[controller]]\nendpoint_id = {controller:?}\nurl = {:?}\nretry_min_wait = 1\n",
        format!("{usp_url}/{setup_key}")
    );
    let file = folder.join("agent.toml");
    write_whole(&file, &config)?;
    Child::start(
        "the agent of this machine",
        Command::new(program).arg("--config").arg(&file),
        &args.data.join("agent.log"),
    )
}

/// Why the server of the demo does not start, with the demo's own flags.
fn refused(error: StartError, data: &Path) -> anyhow::Error {
    if let StartError::DataDirInUse { .. } = error {
        return anyhow::anyhow!(
            "a demo is running in {} already: stop it (Ctrl C where it runs), or give this one \
             another folder and other ports (--data, --http, --usp, --cwmp)",
            data.display()
        );
    }
    start::refused(error, |key| match key {
        "http.listen" => "--http".to_owned(),
        "usp.listen" => "--usp".to_owned(),
        "cwmp.listen" => "--cwmp".to_owned(),
        other => other.to_owned(),
    })
}

/// Lines with a frame around them.
fn boxed(lines: &[String]) -> String {
    let width = lines.iter().map(|line| line.chars().count()).max();
    let width = width.unwrap_or_default();
    let bar = "─".repeat(width + 4);
    let mut text = format!("  ╭{bar}╮\n");
    for line in lines {
        text.push_str(&format!("  │  {line:<width$}  │\n"));
    }
    text.push_str(&format!("  ╰{bar}╯"));
    text
}

/// Writes a file that only we can read, whole or not at all.
fn write_whole(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let temporary = path.with_extension("new");
    let _ = std::fs::remove_file(&temporary);
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| temporary.display().to_string())?;
    std::fs::rename(&temporary, path).with_context(|| path.display().to_string())
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_is_straight_around_lines_of_any_length() {
        let text = boxed(&["short".to_owned(), "a longer línea".to_owned()]);
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert_eq!(widths, [22; 4], "{text}");
    }

    #[test]
    fn devices_of_an_earlier_run_keep_the_address_they_know() {
        let folder = tempfile::tempdir().unwrap();
        let first: SocketAddr = "127.0.0.1:8081".parse().unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        assert_eq!(usp_address(any, folder.path()).unwrap(), any);
        write_whole(&folder.path().join(USP_ADDRESS), "127.0.0.1:8081").unwrap();
        assert_eq!(usp_address(any, folder.path()).unwrap(), first);
        let other = "127.0.0.1:9".parse().unwrap();
        let words = usp_address(other, folder.path()).unwrap_err().to_string();
        assert!(words.contains("--usp at 127.0.0.1:8081"), "{words}");
    }

    #[test]
    fn a_folder_in_use_is_a_demo_that_runs_already() {
        let path = "x/server".to_owned();
        let words = refused(StartError::DataDirInUse { path }, Path::new("x")).to_string();
        assert!(
            words.contains("running in x already") && words.contains("--data"),
            "{words}"
        );
    }
}
