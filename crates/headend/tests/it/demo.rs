//! The demo: ready when its devices are online, and nothing of it is left when it ends, however it ends.

use crate::rig::{SOON, until};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const DEVICES: usize = 3;
/// One of today and one old gateway.
const CWMP_DEVICES: usize = 2;
/// Devices say goodbye, the server writes what is open.
const STOPS_WITHIN: Duration = Duration::from_secs(15);

struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn demo(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headend"));
    command
        .args(["demo", "--no-agent", "--devices", &DEVICES.to_string()])
        .args(["--cwmp-devices", &CWMP_DEVICES.to_string()])
        .args(["--http", "127.0.0.1:0", "--usp", "127.0.0.1:0"])
        .args(["--cwmp", "127.0.0.1:0"])
        .arg("--data")
        .arg(folder.join("demo"))
        .arg("--ready-file")
        .arg(folder.join("ready.json"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Starts it and waits until it says that it is ready.
async fn ready(folder: &Path) -> (Demo, Value) {
    let file = folder.join("ready.json");
    let _ = std::fs::remove_file(&file);
    let mut demo = Demo(demo(folder).spawn().unwrap());
    let ready = until("the demo to be ready", SOON, async || {
        assert!(demo.0.try_wait().unwrap().is_none(), "the demo has ended");
        serde_json::from_str(&std::fs::read_to_string(&file).ok()?).ok()
    })
    .await;
    (demo, ready)
}

/// The processes that a process started.
fn children(of: u32) -> Vec<u32> {
    let output = Command::new("ps")
        .args(["-o", "pid=", "--ppid", &of.to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

fn runs(pid: u32) -> bool {
    // One that has ended and was not waited for yet counts as ended.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_on_kept_data_is_ready_when_its_devices_are_online_again() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let (mut first, _) = ready(folder.path()).await;
    let devices = children(first.0.id());
    assert_eq!(devices.len(), 1, "the simulator");

    // Nobody says goodbye: the simulator hears of it by the end of its input.
    first.0.kill().unwrap();
    first.0.wait().unwrap();
    until(
        "the simulator to end with the demo",
        STOPS_WITHIN,
        async || (!runs(devices[0])).then_some(()),
    )
    .await;

    let restarted = time::OffsetDateTime::now_utc();
    let (second, ready) = ready(folder.path()).await;
    let url = ready["url"].as_str().unwrap();
    let http = reqwest::Client::builder()
        .cookie_store(true)
        .build()
        .unwrap();
    let sign_in = serde_json::json!({"login": "admin", "password": ready["password"]});
    let own = serde_json::json!({"current": ready["password"], "new": "correct horse battery"});
    let session = http.post(format!("{url}/api/v1/session")).json(&sign_in);
    assert!(session.send().await.unwrap().status().is_success());
    let changed = http
        .put(format!("{url}/api/v1/session/password"))
        .json(&own);
    assert!(changed.send().await.unwrap().status().is_success());
    let list = http
        .get(format!("{url}/api/v1/devices"))
        .send()
        .await
        .unwrap();
    let list: Value = list.json().await.unwrap();
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), DEVICES + CWMP_DEVICES);
    for device in items {
        assert_eq!(device["presence"]["word"], "online", "{device:#}");
        let seen = device["presence"]["evidence_at"].as_str().unwrap();
        let format = &time::format_description::well_known::Rfc3339;
        let seen = time::OffsetDateTime::parse(seen, format).unwrap();
        assert!(seen >= restarted, "seen {seen}, restarted {restarted}");
    }
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_demo_ends_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let (mut demo, _) = ready(folder.path()).await;
    let simulator = children(demo.0.id());
    let interrupted = Command::new("kill")
        .args(["-INT", &demo.0.id().to_string()])
        .status();
    assert!(interrupted.unwrap().success());
    let status = until("the demo to end", STOPS_WITHIN, async || {
        demo.0.try_wait().unwrap()
    })
    .await;
    assert_eq!(status.code(), Some(0));
    assert!(
        simulator.iter().all(|pid| !runs(*pid)),
        "the simulator is left"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_demo_on_the_same_folder_says_that_one_is_running() {
    let folder = tempfile::tempdir().unwrap();
    let (_first, ready) = ready(folder.path()).await;
    let second = demo(folder.path()).output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(
        said.contains("a demo is running in") && said.contains("--data"),
        "{said}"
    );

    let taken = ready["url"].as_str().unwrap().trim_start_matches("http://");
    let third = Command::new(env!("CARGO_BIN_EXE_headend"))
        .args(["demo", "--http", taken, "--usp", "127.0.0.1:0"])
        .args(["--cwmp", "127.0.0.1:0", "--data"])
        .arg(folder.path().join("another"))
        .output()
        .unwrap();
    let said = String::from_utf8(third.stderr).unwrap();
    assert_eq!(third.status.code(), Some(1), "{said}");
    assert!(
        said.contains(taken) && said.contains("with --http"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_whose_simulator_dies_says_where_to_look_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (mut demo, _) = ready(folder.path()).await;
    for pid in children(demo.0.id()) {
        let killed = Command::new("kill")
            .args(["-KILL", &pid.to_string()])
            .status();
        assert!(killed.unwrap().success());
    }
    let status = until("the demo to end", STOPS_WITHIN, async || {
        demo.0.try_wait().unwrap()
    })
    .await;
    assert_eq!(status.code(), Some(1));
    let mut said = String::new();
    std::io::Read::read_to_string(demo.0.stderr.as_mut().unwrap(), &mut said).unwrap();
    assert!(
        said.contains("the simulator ended (signal 9)") && said.contains("sim.log"),
        "{said}"
    );
}
