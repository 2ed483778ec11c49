//! `demo`: a server, an agent of this machine and simulated CPEs, with their data in one folder.
//! The server runs in this process; agent and simulator are programs of their own, as in real life.

use anyhow::{Context, Result, bail};
use fleet::device::OnboardingState;
use fleet::{SetupKeyId, TenantId, Timestamp};
use server::config::Config;
use server::secret;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use store::{NewSetupKey, Search};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

#[derive(clap::Args)]
pub struct Args {
    /// How many simulated CPEs
    #[arg(long, default_value_t = 25)]
    devices: u32,
    /// Folder for everything; kept between runs
    #[arg(long, default_value = ".demo")]
    data: PathBuf,
    /// Address of console and API
    #[arg(long, default_value = "127.0.0.1:8080")]
    http: std::net::SocketAddr,
    /// Address for agents
    #[arg(long, default_value = "127.0.0.1:8081")]
    usp: std::net::SocketAddr,
    /// Without the agent of this machine
    #[arg(long)]
    no_agent: bool,
    /// Write addresses and credentials here as JSON once all devices are there
    #[arg(long)]
    ready_file: Option<PathBuf>,
}

/// How often the demo looks whether all devices are there.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// When it says what is missing instead of waiting on in silence.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// How long agent and simulator may take to say goodbye.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// The tenant in which the demo lives.
const TENANT: &str = "default";

pub async fn run(args: Args) -> Result<()> {
    crate::serve::log("warn");
    std::fs::create_dir_all(&args.data).with_context(|| args.data.display().to_string())?;
    let shutdown = crate::serve::until_stopped();
    // The server outlives the devices, so that it sees them say goodbye.
    let server_shutdown = CancellationToken::new();
    let config = Config {
        data_dir: args.data.join("server"),
        http: server::config::Http {
            listen: args.http,
            ..Default::default()
        },
        usp: server::config::Usp {
            listen: Some(args.usp),
            ..Default::default()
        },
        ..Config::default()
    };
    let running = server::start(config, server_shutdown.clone()).await?;
    let url = crate::serve::http_url(&running);
    let usp = running
        .usp
        .context("the demo needs the listener for agents")?;
    let usp_url = format!("ws://{usp}/usp");
    let setup_key = setup_key(&running.store, &args.data).await?;

    println!("console   {url}");
    match &running.first_administrator {
        Some(first) => println!(
            "sign in   {} with the one-time password {}",
            first.login, first.one_time_password
        ),
        None => println!(
            "sign in   as you did before (delete {} to begin anew)",
            args.data.display()
        ),
    }
    let mut children = vec![simulator(
        &args,
        &usp_url,
        &setup_key,
        &running.endpoint_id,
    )?];
    if !args.no_agent {
        children.push(agent(&args, &usp_url, &setup_key, &running.endpoint_id)?);
    }
    let expected = args.devices as usize + usize::from(!args.no_agent);
    let watch = async {
        wait_for_devices(&running.store, expected).await?;
        println!("{expected} devices are there. Ctrl C ends the demo.");
        if let Some(path) = &args.ready_file {
            let password = running
                .first_administrator
                .as_ref()
                .map(|first| first.one_time_password.as_str());
            let ready = serde_json::json!({
                "url": url,
                "password": password.unwrap_or_default(),
                "usp_url": usp_url,
                "setup_key": setup_key,
                "endpoint_id": running.endpoint_id,
            });
            write_whole(path, &ready.to_string())?;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        ready = watch => {
            ready?;
            shutdown.cancelled().await;
        }
    }
    for child in &mut children {
        stop(child).await;
    }
    server_shutdown.cancel();
    running.wait().await?;
    Ok(())
}

/// The demo's setup key; made at the first run and kept for the next.
async fn setup_key(store: &store::Store, data: &Path) -> Result<String> {
    let path = data.join("setup-key");
    if let Ok(kept) = std::fs::read_to_string(&path) {
        return Ok(kept.trim().to_owned());
    }
    let made = secret::new(secret::SETUP_KEY);
    let tenant = TenantId::parse(TENANT).map_err(|error| anyhow::anyhow!("{error}"))?;
    let now = now();
    let key = NewSetupKey {
        id: SetupKeyId::new(now, secret::id_bits()),
        name: "Demo".to_owned(),
        hash: secret::hash(&made),
        prefix: secret::hint(&made),
        created_at: now,
        created_by: None,
        expires_at: None,
        uses_max: None,
    };
    store.setup_key_insert(&tenant, key, Vec::new()).await?;
    write_whole(&path, &made)?;
    Ok(made)
}

async fn wait_for_devices(store: &store::Store, expected: usize) -> Result<()> {
    let tenant = TenantId::parse(TENANT).map_err(|error| anyhow::anyhow!("{error}"))?;
    let began = Instant::now();
    let mut said = false;
    loop {
        let mut complete = 0;
        let mut cursor: Option<String> = None;
        loop {
            let search = Search::new(Default::default(), now());
            let page = store
                .device_list(&tenant, &search, Default::default(), cursor.as_deref(), 500)
                .await?;
            complete += page
                .devices
                .iter()
                .filter(|record| record.device.onboarding == OnboardingState::Complete)
                .count();
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        if complete >= expected {
            return Ok(());
        }
        if began.elapsed() > READY_WITHIN && !said {
            said = true;
            println!(
                "{complete} of {expected} devices are there; Doctor in the console says what is missing"
            );
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn simulator(args: &Args, usp_url: &str, setup_key: &str, controller: &str) -> Result<Child> {
    let program = std::env::current_exe()?;
    spawn(
        Command::new(program)
            .args(["sim", "--count", &args.devices.to_string()])
            .args(["--url", usp_url, "--controller", controller])
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
    spawn(
        Command::new(program).arg("--config").arg(&file),
        &args.data.join("agent.log"),
    )
}

/// Starts a program whose output goes to a file and which ends with us.
fn spawn(command: &mut Command, log: &Path) -> Result<Child> {
    let log = std::fs::File::create(log).with_context(|| log.display().to_string())?;
    let errors = log.try_clone()?;
    command
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| {
            format!(
                "could not start {}",
                command.as_std().get_program().to_string_lossy()
            )
        })
}

/// Asks a program to end, then ends it.
async fn stop(child: &mut Child) {
    if let Some(pid) = child.id() {
        let _ = Command::new("kill")
            .args(["-TERM", &pid.to_string()])
            .status()
            .await;
        if tokio::time::timeout(STOP_WITHIN, child.wait())
            .await
            .is_ok()
        {
            return;
        }
    }
    let _ = child.kill().await;
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
