//! For benchmarks of the whole program: `headend serve` in its release build as a process of its
//! own on a folder of its own, and a plain client of its API. Blocking and without dependencies,
//! so that the client costs little beside what is measured.

use serde_json::{Value, json};
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Any failure ends a benchmark.
pub type Fault = Box<dyn Error + Send + Sync>;

const START_TIME: Duration = Duration::from_secs(30);
const PASSWORD: &str = "measured and found good";

/// A server that ends with the benchmark.
pub struct Server {
    child: Child,
    program: PathBuf,
    /// Its data; removed with it.
    pub folder: PathBuf,
    /// The API's address.
    pub http: String,
    /// The agents' address.
    pub usp: String,
    /// The address of the broker inside.
    pub mqtt: String,
    /// The address for devices that speak CWMP.
    pub cwmp: String,
    /// Its endpoint id.
    pub endpoint: String,
    /// A token of the administrator.
    pub token: String,
    /// For agents.
    pub setup_key: String,
}

impl Server {
    /// Builds the program and starts it.
    pub fn start() -> Result<Server, Fault> {
        let folder = std::env::temp_dir().join(format!("headend-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let free = "127.0.0.1:0";
        let program = program()?;
        let (child, said) = serve(&program, &folder, [free; 4], "not shown after that")?;
        let mut server = Server {
            child,
            program,
            folder,
            http: String::new(),
            usp: String::new(),
            mqtt: String::new(),
            cwmp: String::new(),
            endpoint: String::new(),
            token: String::new(),
            setup_key: String::new(),
        };
        let word = |before: &str| -> Result<String, Fault> {
            let after = said.split(before).nth(1).ok_or("the server said less")?;
            let word = after.split(['/', ' ', '\n']).find(|word| !word.is_empty());
            Ok(word.ok_or("the server said less")?.to_owned())
        };
        server.http = word("http://")?;
        server.usp = word("ws://")?;
        server.mqtt = word("mqtt://")?;
        server.cwmp = word("CPEs (TR-069)    http://")?;
        server.endpoint = word("endpoint id")?;
        let password = word("one-time password")?;
        let mut api = server.api()?;
        let login = json!({"login": "admin", "password": password});
        api.call("POST", "/session", Some(&login))?;
        let change = json!({"current": password, "new": PASSWORD});
        api.call("PUT", "/session/password", Some(&change))?;
        server.token = new_token(&mut api)?;
        let key = server
            .api()?
            .call("POST", "/setup-keys", Some(&json!({"name": "bench"})))?;
        server.setup_key = key["secret"].as_str().ok_or("no setup key")?.to_owned();
        Ok(server)
    }

    /// Kills it, as a power cut would, and starts it again on what it has left and where it was. Returns
    /// when it listens again.
    pub fn cut_and_restart(&mut self) -> Result<(), Fault> {
        self.child.kill()?;
        self.child.wait()?;
        let addresses = [&self.http, &self.usp, &self.mqtt, &self.cwmp].map(String::as_str);
        (self.child, _) = serve(&self.program, &self.folder, addresses, "endpoint id")?;
        Ok(())
    }

    /// Where devices that speak CWMP inform.
    pub fn cwmp(&self) -> String {
        format!("http://{}/", self.cwmp)
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// The seconds of processor time that its process has used.
    pub fn cpu_seconds(&self) -> Result<f64, Fault> {
        cpu_seconds(self.child.id())
    }

    /// A connection to its API as a caller of its own: how fast one may ask is limited for each.
    pub fn caller(&self) -> Result<Api, Fault> {
        let token = new_token(&mut self.api()?)?;
        let mut api = self.api()?;
        api.credential = bearer(&token);
        Ok(api)
    }

    /// A connection to its API.
    pub fn api(&self) -> Result<Api, Fault> {
        let stream = TcpStream::connect(&self.http)?;
        stream.set_nodelay(true)?;
        let name = std::time::UNIX_EPOCH.elapsed()?.as_nanos();
        let credential = match self.token.as_str() {
            "" => String::new(),
            token => bearer(token),
        };
        Ok(Api {
            stream: BufReader::new(stream),
            host: self.http.clone(),
            credential,
            name,
            keys: 0,
        })
    }

    /// The resident memory of its process in KiB.
    pub fn resident_kib(&self) -> Result<u64, Fault> {
        resident_kib(self.child.id())
    }
}

/// Starts the program, whose listeners are HTTP, USP, MQTT and CWMP, and waits until it has said this;
/// with all that it has said.
fn serve(
    program: &Path,
    folder: &Path,
    addresses: [&str; 4],
    until: &str,
) -> Result<(Child, String), Fault> {
    let [http, usp, mqtt, cwmp] = addresses;
    let log = folder.join("serve.log");
    let out = std::fs::File::create(&log)?;
    let mut child = Command::new(program)
        .arg("serve")
        .arg("--data")
        .arg(folder.join("data"))
        .args(["--http", http, "--usp", usp, "--mqtt", mqtt, "--cwmp", cwmp])
        // A day: no session but those that are measured.
        .args(["--set", "cwmp.periodic_inform_seconds=86400"])
        .args(["--files", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .spawn()?;
    let end = Instant::now() + START_TIME;
    loop {
        let said = std::fs::read_to_string(&log)?;
        if said.contains(until) {
            return Ok((child, said));
        }
        if Instant::now() > end {
            let _ = child.kill();
            return Err(format!("the server does not start: {said}").into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A token that may do all that the caller may.
fn new_token(api: &mut Api) -> Result<String, Fault> {
    let session = api.call("GET", "/session", None)?;
    let token = json!({"name": "bench", "scopes": session["permissions"]});
    let token = api.call("POST", "/tokens", Some(&token))?;
    Ok(token["secret"].as_str().ok_or("no token")?.to_owned())
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The program to measure: the one that the environment names, or the one of this source.
fn program() -> Result<PathBuf, Fault> {
    if let Some(program) = std::env::var_os("HEADEND_PROGRAM") {
        return Ok(program.into());
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = workspace.join("target");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(target, PathBuf::from);
    let built = Command::new(cargo)
        .args(["build", "--release", "--quiet", "-p", "headend"])
        .current_dir(&workspace)
        .env("CARGO_TARGET_DIR", &target)
        .status()?;
    if !built.success() {
        return Err("headend cannot be built".into());
    }
    Ok(target.join("release/headend"))
}

/// The resident memory of a process in KiB.
pub fn resident_kib(process: u32) -> Result<u64, Fault> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.ok_or("no VmRSS")?.trim().trim_end_matches("kB");
    Ok(number.trim().parse()?)
}

/// The seconds of processor time that a process has used, its own and the system's for it.
pub fn cpu_seconds(process: u32) -> Result<f64, Fault> {
    /// What `/proc` counts in, on every Linux.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program may have anything in it.
    let after = stat.rsplit_once(") ").ok_or("no such process")?.1;
    let mut fields = after.split(' ').skip(11);
    let mut ticks = || -> Result<f64, Fault> { Ok(fields.next().ok_or("no times")?.parse()?) };
    Ok((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

/// One kept-alive connection.
pub struct Api {
    stream: BufReader<TcpStream>,
    host: String,
    credential: String,
    /// Makes its idempotency keys its own.
    name: u128,
    keys: u64,
}

impl Api {
    /// Connects anew, as the same caller.
    pub fn reconnect(&mut self) -> Result<(), Fault> {
        let stream = TcpStream::connect(&self.host)?;
        stream.set_nodelay(true)?;
        self.stream = BufReader::new(stream);
        Ok(())
    }

    /// Calls the API and expects success.
    pub fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Fault> {
        let body = body.map(Value::to_string).unwrap_or_default();
        self.keys += 1;
        let head = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: {}\r\n{}Content-Type: application/json\r\n\
             Idempotency-Key: {}-{}\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            self.credential,
            self.name,
            self.keys,
            body.len()
        );
        self.stream.get_mut().write_all(head.as_bytes())?;
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err("the server hung up".into());
        }
        let status = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err("the server hung up".into());
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse()?,
                "set-cookie" => {
                    let cookie = value.split(';').next().unwrap_or_default();
                    self.credential = format!("Cookie: {cookie}\r\n");
                }
                "transfer-encoding" => return Err("an answer in chunks".into()),
                _ => {}
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        if !status.starts_with('2') {
            let answer = String::from_utf8_lossy(&answer);
            return Err(format!("{method} {path}: {status} {answer}").into());
        }
        Ok(serde_json::from_slice(&answer).unwrap_or(Value::Null))
    }
}
