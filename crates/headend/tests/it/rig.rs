//! Processes of the product, its API, and waiting on conditions with a deadline.

use crate::ports;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take that is not measured.
pub const SOON: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const PASSWORD: &str = "correct horse battery";

/// Waits until `look` finds something; panics with what was waited for after `within`.
pub async fn until<T>(what: &str, within: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + within;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "waited {within:?} for {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Addresses that nobody has now, nor a client of somebody's later: a server may be away from its own for a while.
pub fn free<const N: usize>() -> [String; N] {
    let ports = ports::free_ports().unwrap();
    ports.map(|port| format!("127.0.0.1:{port}"))
}

/// A process that ends with the test, with its output in a file.
pub struct Process {
    pub child: Child,
    pub log: PathBuf,
}

impl Process {
    pub fn start(mut command: Command, log: PathBuf) -> Process {
        let out = File::create(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        Process { child, log }
    }

    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `-KILL`, `-STOP`, `-CONT`, `-TERM`.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(status.success());
    }

    /// As a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let said = self.said();
            let tail: Vec<&str> = said.lines().rev().take(25).collect();
            eprintln!("--- {} ---", self.log.display());
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// A server and a token of its administrator.
pub struct Server {
    pub process: Process,
    pub folder: tempfile::TempDir,
    pub api: Api,
    pub usp: String,
    pub cwmp: String,
    /// Where agents come by MQTT, after `--mqtt`.
    pub mqtt: Option<String>,
    pub endpoint: String,
    pub setup_key: String,
    arguments: Vec<String>,
    starts: usize,
}

impl Server {
    /// A fresh one on SQLite, with more arguments for `serve`.
    pub async fn start(more: &[&str]) -> Server {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let arguments = more.iter().map(|text| (*text).to_owned()).collect();
        let addresses: [String; 3] = free();
        let process = serve(folder.path(), addresses.each_ref(), &arguments, 0);
        let api = Api::new(String::new());
        let mut server = Server {
            process,
            folder,
            api,
            usp: String::new(),
            cwmp: String::new(),
            mqtt: None,
            endpoint: String::new(),
            setup_key: String::new(),
            arguments,
            starts: 1,
        };
        server.up().await;
        let password = until("the one-time password", SOON, async || {
            let said = server.process.said();
            let after = said.split("one-time password").nth(1)?;
            after.split_whitespace().next().map(str::to_owned)
        })
        .await;
        server.api.sign_in(&password).await;
        let made = server
            .api
            .post("/setup-keys", json!({"name": "test"}))
            .await;
        server.setup_key = made["secret"].as_str().unwrap().to_owned();
        server
    }

    /// After it was killed: the same data, the same addresses.
    pub async fn restart(&mut self) {
        let http = self.api.base.trim_start_matches("http://").to_owned();
        let addresses = [&http, &self.usp, &self.cwmp];
        self.process = serve(self.folder.path(), addresses, &self.arguments, self.starts);
        self.starts += 1;
        self.up().await;
    }

    async fn up(&mut self) {
        let find = |said: &str, before: &str| {
            let after = said.split(before).nth(1)?;
            let word = after.split_whitespace().next()?;
            after.contains('\n').then(|| word.to_owned())
        };
        let process = &self.process;
        let (base, usp, cwmp, mqtt, endpoint) = until("the server's addresses", SOON, async || {
            let said = process.said();
            let base = find(&said, "console and API  ")?;
            let usp = find(&said, "ws://")?;
            let usp = usp.split('/').next()?.to_owned();
            let cwmp = find(&said, "CPEs (TR-069)    http://")?;
            let cwmp = cwmp.trim_end_matches('/').to_owned();
            let endpoint = find(&said, "endpoint id      ")?;
            Some((base, usp, cwmp, find(&said, "mqtt://"), endpoint))
        })
        .await;
        self.api.base = base;
        self.usp = usp;
        self.cwmp = cwmp;
        self.mqtt = mqtt;
        self.endpoint = endpoint;
        let api = &self.api;
        until("the server to be ready", SOON, async || {
            let answer = api.http.get(format!("{}/readyz", api.base)).send().await;
            answer.ok().filter(|answer| answer.status().is_success())
        })
        .await;
    }

    /// Simulated devices; with a folder they keep their flash in it.
    pub fn sim(&self, count: usize, flash: Option<&Path>) -> Process {
        self.sim_named("sim", count, flash)
    }

    pub fn sim_named(&self, name: &str, count: usize, flash: Option<&Path>) -> Process {
        self.sim_with(name, &["--count", &count.to_string()], flash)
    }

    /// Simulated devices of any protocol, as the flags say.
    pub fn sim_with(&self, name: &str, flags: &[&str], flash: Option<&Path>) -> Process {
        self.sim_over(name, flags, flash, &self.cwmp)
    }

    /// The same, where devices that speak CWMP come another way.
    pub fn sim_over(
        &self,
        name: &str,
        flags: &[&str],
        flash: Option<&Path>,
        cwmp: &str,
    ) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headend"));
        command
            .arg("sim")
            .args(flags)
            .args(["--url", &format!("ws://{}/usp", self.usp)])
            .args(["--cwmp-url", &format!("http://{cwmp}/")])
            .args(["--controller", &self.endpoint, "--ramp", "100"])
            .env("HEADEND_SETUP_KEY", &self.setup_key)
            .env("HEADEND_LOG", "info");
        if let Some(flash) = flash {
            command.arg("--data").arg(flash);
        }
        Process::start(command, self.folder.path().join(format!("{name}.log")))
    }

    /// Waits until this many devices are completely there; their ids.
    pub async fn devices(&self, count: usize) -> Vec<String> {
        let what = format!("{count} devices to be there");
        until(&what, SOON, async || {
            let page = self.api.get("/devices?limit=500").await;
            let items = page["items"].as_array().unwrap();
            let online = items
                .iter()
                .filter(|device| device["presence"]["word"] == "online");
            if online.count() < count {
                return None;
            }
            let mut ids = Vec::new();
            for device in items {
                let id = device["id"].as_str().unwrap();
                let detail = self.api.get(&format!("/devices/{id}")).await;
                // One that speaks CWMP shows its credential at its next session.
                let cwmp = detail["protocols"] == json!(["cwmp"]);
                let admission = detail["admission"]["state"].as_str();
                let is_let_in = admission == Some("own") || cwmp && admission == Some("swapping");
                if detail["onboarding"] != "complete" || !is_let_in {
                    return None;
                }
                ids.push(id.to_owned());
            }
            Some(ids)
        })
        .await
    }
}

fn serve(folder: &Path, at: [&String; 3], more: &Vec<String>, start: usize) -> Process {
    let [http, usp, cwmp] = at;
    let mut command = Command::new(env!("CARGO_BIN_EXE_headend"));
    command
        .arg("serve")
        .arg("--data")
        .arg(folder.join("data"))
        .args(["--http", http, "--usp", usp, "--cwmp", cwmp])
        .args(["--files", "127.0.0.1:0"])
        .args(more)
        .env("HEADEND_LOG", "info");
    Process::start(command, folder.join(format!("serve-{start}.log")))
}

/// The API, as its administrator.
#[derive(Clone)]
pub struct Api {
    pub http: reqwest::Client,
    pub base: String,
    token: String,
}

/// Sends, and sends again when the server asks for patience (429), as a well-behaved client does.
async fn patiently(request: reqwest::RequestBuilder) -> Option<reqwest::Response> {
    loop {
        let answer = request.try_clone()?.send().await.ok()?;
        if answer.status() != StatusCode::TOO_MANY_REQUESTS {
            return Some(answer);
        }
        let wait = answer.headers().get("retry-after")?.to_str().ok()?;
        tokio::time::sleep(Duration::from_secs(wait.parse().ok()?)).await;
    }
}

impl Api {
    fn new(base: String) -> Api {
        let http = reqwest::Client::builder()
            .cookie_store(true)
            .build()
            .unwrap();
        Api {
            http,
            base,
            token: String::new(),
        }
    }

    async fn sign_in(&mut self, password: &str) {
        let body = json!({"login": "admin", "password": password});
        self.post("/session", body).await;
        let body = json!({"current": password, "new": PASSWORD});
        let request = self.http.put(self.url("/session/password")).json(&body);
        assert!(request.send().await.unwrap().status().is_success());
        let session = self.get("/session").await;
        let body = json!({"name": "test", "scopes": session["permissions"]});
        let made = self.post("/tokens", body).await;
        self.token = made["secret"].as_str().unwrap().to_owned();
        self.http = reqwest::Client::new();
    }

    /// The administrator's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.base)
    }

    pub fn with_token(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match self.token.as_str() {
            "" => request,
            token => request.bearer_auth(token),
        }
    }

    /// The answer, when there is a server.
    pub async fn try_get(&self, path: &str) -> Option<Value> {
        let request = self.with_token(self.http.get(self.url(path)));
        let answer = patiently(request).await?;
        assert!(
            answer.status().is_success(),
            "GET {path}: {}",
            answer.status()
        );
        answer.json().await.ok()
    }

    pub async fn get(&self, path: &str) -> Value {
        self.try_get(path)
            .await
            .unwrap_or_else(|| panic!("GET {path}: no answer"))
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.try_post(path, &body, None).await.unwrap();
        assert!(status.is_success(), "POST {path}: {status} {answer}");
        answer
    }

    /// Status and answer, when there is a server.
    pub async fn try_post(
        &self,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Option<(StatusCode, Value)> {
        let mut request = self.with_token(self.http.post(self.url(path))).json(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let answer = patiently(request).await?;
        let status = answer.status();
        let text = answer.text().await.ok()?;
        Some((
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        ))
    }

    /// Asks for one operation on a device; its id.
    pub async fn operate(&self, device: &str, op: Value) -> String {
        let answer = self
            .post(
                &format!("/devices/{device}/operations"),
                json!({"ops": [op]}),
            )
            .await;
        id_of(&answer)
    }

    pub async fn operation(&self, id: &str) -> Value {
        self.get(&format!("/operations/{id}")).await
    }

    /// Waits for the end of an operation and expects it to be good.
    /// The operation once it has come to its end, whichever.
    pub async fn ended(&self, id: &str) -> Value {
        let what = format!("operation {id} to end");
        until(&what, SOON, async || {
            let operation = self.operation(id).await;
            operation["finished_at"].is_string().then_some(operation)
        })
        .await
    }

    pub async fn succeeded(&self, id: &str) -> Value {
        let operation = self.ended(id).await;
        assert_eq!(operation["state"], "succeeded", "{operation:#}");
        operation
    }

    /// How often this went to the device because of an operation, as its transcript has it.
    pub async fn sent(&self, id: &str, kind: &str) -> usize {
        let path = format!("/operations/{id}/transcript?limit=500");
        let transcript = self.get(&path).await;
        let entries = transcript["items"].as_array().unwrap().iter();
        let sent = entries.filter(|one| one["direction"] == "sent" && one["kind"] == kind);
        sent.count()
    }

    pub async fn presence(&self, device: &str) -> String {
        let device = self.get(&format!("/devices/{device}")).await;
        device["presence"]["word"].as_str().unwrap().to_owned()
    }

    /// The whole log, in order.
    pub async fn log(&self, query: &str) -> Vec<Value> {
        let mut events = Vec::new();
        let mut after = "0".to_owned();
        loop {
            let page = self
                .get(&format!("/events?limit=500&after={after}{query}"))
                .await;
            let items = page["items"].as_array().unwrap();
            events.extend(items.iter().cloned());
            if items.is_empty() {
                return events;
            }
            after = page["next"].as_str().unwrap().to_owned();
        }
    }

    /// Waits for a refused or complained-about connection with this reason.
    pub async fn refusal(&self, reason: &str) -> Value {
        until(&format!("the doctor to show {reason}"), SOON, async || {
            let page = self.get("/doctor/refusals?limit=500").await;
            let mut items = page["items"].as_array().unwrap().iter();
            items.find(|refusal| refusal["reason"] == reason).cloned()
        })
        .await
    }
}

/// The operation's id in the answer to its creation.
pub fn id_of(submitted: &Value) -> String {
    let id = submitted["operation"]["id"].as_str();
    id.unwrap_or_else(|| panic!("no operation: {submitted:#}"))
        .to_owned()
}
