//! kill -9 in the middle of everything: what was acknowledged is still there.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::desk::{CONTROLLER, Desk, Talk};

const NAME: &str = "Device.DeviceInfo.FriendlyName";
/// How often the agent is killed.
const ROUNDS: u32 = 12;
/// How long saying goodbye may take.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// The agent's process; killed also when a test fails before it gets to it.
struct Victim(Child);

impl Victim {
    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.kill();
    }
}

fn command(state: &Path, url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headend-agent"));
    command
        .args([
            "--endpoint-id",
            "os::00256D-KILL",
            "--controller-id",
            CONTROLLER,
            "--controller-url",
            url,
            "--state",
        ])
        .arg(state)
        .stderr(Stdio::null())
        .stdout(Stdio::null());
    command
}

fn spawn(state: &Path, url: &str) -> Victim {
    Victim(command(state, url).spawn().unwrap())
}

/// Sets ever larger numbers until `stop` answers have come and one more is under way; returns the last acknowledged.
async fn hammer(talk: &mut Talk, from: u32, stop: u32) -> u32 {
    for n in from + 1..=from + stop {
        talk.ask(usp::msg::set_values([(NAME, n.to_string())]))
            .await;
    }
    from + stop
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_sets_survive_kill_9() {
    let state = tempfile::tempdir().unwrap();
    let mut desk = Desk::open().await;
    let url = desk.url("/usp/key");
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        let mut child = spawn(state.path(), &url);
        let mut talk = desk.accept().await;
        talk.connected().await;
        let mut value: u32 = talk.value(NAME).await.parse().unwrap_or(0);
        assert!(
            value >= acknowledged,
            "round {round}: {value} after {acknowledged} was acknowledged"
        );
        assert!(
            value <= acknowledged + 1,
            "round {round}: {value} was never asked for"
        );
        value = hammer(&mut talk, value, 5 + round * 7 % 11).await;
        // One more is on its way when the blow falls: it may count or not.
        let request = usp::msg::set_values([(NAME, (value + 1).to_string())]);
        tokio::select! {
            biased;
            _ = talk.try_ask(request) => value += 1,
            () = async {
                for _ in 0..round * 40 {
                    tokio::task::yield_now().await;
                }
            } => {}
        }
        acknowledged = value;
        child.kill();
    }
    assert!(acknowledged > ROUNDS * 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_ends_with_the_program_that_started_it_where_that_is_wanted() {
    let state = tempfile::tempdir().unwrap();
    let desk = Desk::open().await;
    let child = command(state.path(), &desk.url("/usp/key"))
        .arg("--until-stdin-ends")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut agent = Victim(child);
    let input = agent.0.stdin.take();
    let until = Instant::now() + ENDS_WITHIN;
    assert!(agent.0.try_wait().unwrap().is_none(), "it runs");
    // As it closes with the process that holds it.
    drop(input);
    while agent.0.try_wait().unwrap().is_none() {
        assert!(Instant::now() < until, "the agent still runs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
