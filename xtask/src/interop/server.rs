//! `headend serve` in a folder of its own, and asking it through the command line and the API.

use crate::cmd;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long one step of a scenario may take.
pub const STEP_WITHIN: Duration = Duration::from_secs(60);

/// `headend serve` with a token for the command line.
pub struct Server {
    child: Child,
    pub program: PathBuf,
    pub url: String,
    pub usp_port: u16,
    pub mqtt_port: u16,
    pub cwmp_port: u16,
    pub token: String,
}

impl Server {
    pub fn start(folder: &Path) -> Result<Server> {
        Self::with(folder, &[])
    }

    /// The same with more settings, each `KEY=VALUE`.
    pub fn with(folder: &Path, more: &[String]) -> Result<Server> {
        let program = cmd::target_dir().join("debug/headend");
        let (http, usp_port, cwmp_port) = (free_port()?, free_port()?, free_port()?);
        let mqtt_port = free_port()?;
        let log = folder.join("serve.log");
        let out = std::fs::File::create(&log)?;
        let child = Command::new(&program)
            .arg("serve")
            .arg("--data")
            .arg(folder.join("data"))
            .args([
                "--http",
                &format!("127.0.0.1:{http}"),
                "--usp",
                &format!("127.0.0.1:{usp_port}"),
                "--mqtt",
                &format!("127.0.0.1:{mqtt_port}"),
                "--files",
                "127.0.0.1:0",
                "--cwmp",
                &format!("127.0.0.1:{cwmp_port}"),
                "--set",
                "cwmp.wake_networks=[\"127.0.0.0/8\"]",
                "--set",
                "usp.session_context.record_bytes_max=1024",
            ])
            .args(more.iter().flat_map(|one| ["--set", one]))
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| program.display().to_string())?;
        let mut server = Server {
            child,
            program,
            url: format!("http://127.0.0.1:{http}"),
            usp_port,
            mqtt_port,
            cwmp_port,
            token: String::new(),
        };
        let password = until("the one-time password", || {
            let text = std::fs::read_to_string(&log).ok()?;
            let line = text
                .lines()
                .skip_while(|line| !line.contains("one-time password"));
            line.map(str::trim)
                .skip(1)
                .find(|line| !line.is_empty())
                .map(str::to_owned)
        })?;
        let made = Command::new(&server.program)
            .args([
                "token",
                "create",
                "interop",
                "--login",
                "admin",
                "--password-stdin",
                "--json",
            ])
            .args(["--url", &server.url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .and_then(|mut child| {
                use std::io::Write as _;
                if let Some(mut stdin) = child.stdin.take() {
                    writeln!(stdin, "{password}\ninterop-{password}")?;
                }
                child.wait_with_output()
            })?;
        let made: Value = serde_json::from_slice(&made.stdout).context("no token was made")?;
        server.token = made["secret"].as_str().context("no secret")?.to_owned();
        Ok(server)
    }

    /// Runs a remote command with `--json` and reads what it prints.
    pub fn ask(&self, args: &[&str]) -> Result<Value> {
        let output = Command::new(&self.program)
            .args(args)
            .args(["--json", "--url", &self.url, "--token", &self.token])
            .output()?;
        if !output.status.success() {
            bail!(
                "{}: {}",
                args.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{}: no JSON", args.join(" ")))
    }

    /// How high a counter of the server stands.
    pub fn counter(&self, name: &str) -> Result<u64> {
        let output = Command::new("curl")
            .args(["-sS", &format!("{}/metrics", self.url)])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .with_context(|| format!("no {name}"))?;
        Ok(value.parse()?)
    }

    /// Calls the API by its path, for what the command line has no word for.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let output = Command::new("curl")
            .args(["-sS", "-X", "POST", "-H", "content-type: application/json"])
            .args(["-H", &format!("authorization: Bearer {}", self.token)])
            .args(["-d", &body.to_string(), &format!("{}{path}", self.url)])
            .output()?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

impl Server {
    /// Waits until the log has an event of this kind about the device that mentions `words`.
    pub fn event(&self, device: &str, kind: &str, words: &str) -> Result<String> {
        let output = Command::new("timeout")
            .arg(STEP_WITHIN.as_secs().to_string())
            .arg(&self.program)
            .args(["events", "tail", "--after", "0", "--kind", kind])
            .args(["--device", device, "--count", "1", "--json"])
            .args(["--url", &self.url, "--token", &self.token])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        if text.contains(words) {
            return Ok(String::new());
        }
        bail!("no {kind} about {words} within {} s", STEP_WITHIN.as_secs())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Where CPEs are told to come.
    pub fn acs_url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.cwmp_port)
    }

    /// The controller's endpoint id.
    pub fn endpoint_id(&self) -> Result<String> {
        let output = Command::new("curl")
            .args([
                "-sS",
                "-H",
                &format!("authorization: Bearer {}", self.token),
            ])
            .arg(format!("{}/api/v1/system", self.url))
            .output()?;
        let system: Value = serde_json::from_slice(&output.stdout)?;
        Ok(system["endpoint_id"]
            .as_str()
            .context("no endpoint id")?
            .to_owned())
    }
}

pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port())
}

pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let end = Instant::now() + STEP_WITHIN;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if Instant::now() > end {
            bail!("{what} did not come within {} s", STEP_WITHIN.as_secs());
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// The value that `path` has after an operation, as the operation tells it.
pub fn after(operation: &Value, path: &str) -> Option<String> {
    operation["steps"]
        .as_array()?
        .iter()
        .flat_map(|step| step["results"].as_array().into_iter().flatten())
        .find(|result| result["path"] == path)
        .and_then(|result| result["after"].as_str().map(str::to_owned))
}
