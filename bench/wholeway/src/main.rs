//! The whole way of a Set: POST to `succeeded` with the value read back, at the store's real
//! durability (SQLite, synchronous=FULL), one after the other. Against the least it can cost, in
//! the same run: the Set and the Get to the same kind of agent, and as many durable writes of a
//! page to a file beside the database as the operation has steps that must survive a kill.
//! `cargo run --release -p bench-wholeway` in `bench/`, or `cargo xtask bench wholeway`.

use std::io::Write;
use std::time::{Duration, Instant};

use bench_roundtrip::Agent;
use rig::{Api, Fault, Server};
use serde_json::{Value, json};
use sim::model::Kind;
use sim::swarm::{RETRY_MIN_WAIT, SwarmConfig, run as run_swarm};
use tokio_util::sync::CancellationToken;
use usp::msg;

const ROUNDS: usize = 9;
/// Few enough that looking for their ends stays within what a caller may ask at once.
const OPERATIONS: usize = 15;
/// Queued, sent, answered, finished: each stored before the next.
const COMMITS: usize = 4;
const PAGE: [u8; 4096] = [7; 4096];
const PATH: &str = "Device.WiFi.SSID.1.SSID";
/// How often a client may look whether it is done.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const ONBOARD_TIME: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let server = Server::start()?;
    let swarm = SwarmConfig {
        count: 1,
        kinds: vec![Kind::Gateway],
        first_number: 100,
        seed: 1,
        controller: server.endpoint.clone(),
        url: format!("ws://{}/usp/{}", server.usp, server.setup_key),
        mqtt: None,
        stomp: None,
        ca_file: None,
        data: None,
        ramp_per_second: 1_000,
        retry_min_wait: RETRY_MIN_WAIT,
    };
    tokio::spawn(run_swarm(swarm, CancellationToken::new()));
    let mut api = server.api()?;
    let device = onboarded(&mut api).await?;
    let mut agents = bench_roundtrip::agents(1).await?;
    let mut file = std::fs::File::create(server.folder.join("pages"))?;
    let mut ratios = Vec::new();
    let mut best = [f64::INFINITY; 4];
    for _ in 0..ROUNDS {
        let trips = trips(&mut agents[0]).await?;
        let began = Instant::now();
        for _ in 0..OPERATIONS {
            for _ in 0..COMMITS {
                file.write_all(&PAGE)?;
                file.sync_data()?;
            }
        }
        let commits = each(began);
        let (mut api, device) = (server.caller()?, device.clone());
        let whole = tokio::task::spawn_blocking(move || operations(&mut api, &device));
        let whole = whole.await??;
        ratios.push((trips + commits) / whole);
        for (best, now) in best
            .iter_mut()
            .zip([whole, trips, commits, trips + commits])
        {
            *best = best.min(now);
        }
    }
    ratios.sort_by(f64::total_cmp);
    let [whole, trips, commits, least] = best;
    println!(
        "POST to succeeded with read-back: {whole:.0} us; the least it can cost {least:.0} us \
         (Set and Get {trips:.0} us, {COMMITS} durable pages {commits:.0} us); ratio {:.2}",
        ratios[ROUNDS / 2]
    );
    Ok(())
}

/// Microseconds for each of the operations since then.
fn each(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e6 / OPERATIONS as f64
}

async fn trips(agent: &mut Agent) -> Result<f64, Fault> {
    let began = Instant::now();
    for number in 0..OPERATIONS {
        let value = format!("value {number}");
        agent.round_trip(msg::set_values([(PATH, value)])).await?;
        agent.round_trip(msg::get([PATH])).await?;
    }
    Ok(each(began))
}

fn operations(api: &mut Api, device: &str) -> Result<f64, Fault> {
    let began = Instant::now();
    for number in 0..OPERATIONS {
        let value = format!("value {number} of {}", began.elapsed().as_nanos());
        let value = value.chars().take(30).collect::<String>();
        let set = json!({"kind": "set", "parameters": [{"path": PATH, "value": value}]});
        let path = format!("/devices/{device}/operations");
        let made = api.call("POST", &path, Some(&json!({"ops": [set]})))?;
        let id = made["operation"]["id"]
            .as_str()
            .ok_or("no operation")?
            .to_owned();
        loop {
            let operation = api.call("GET", &format!("/operations/{id}"), None)?;
            match operation["state"].as_str() {
                Some("succeeded") => break,
                Some("queued" | "running" | "verifying") => std::thread::sleep(LOOK_EVERY),
                _ => return Err(format!("{operation:#}").into()),
            }
        }
    }
    Ok(each(began))
}

async fn onboarded(api: &mut Api) -> Result<String, Fault> {
    let end = Instant::now() + ONBOARD_TIME;
    while Instant::now() < end {
        let page = api.call("GET", "/devices", None)?;
        if let Some(id) = page["items"][0]["id"].as_str() {
            let device: Value = api.call("GET", &format!("/devices/{id}"), None)?;
            if device["onboarding"] == "complete" && device["admission"]["state"] == "own" {
                return Ok(id.to_owned());
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("the device does not come".into())
}
