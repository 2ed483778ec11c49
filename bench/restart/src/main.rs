//! The server is killed under load and started again: simulated gateways over MQTT, through the broker
//! inside, on real sockets in this process, and callers that change one device after the other
//! without a break. All devices come back, and by the standard's waits not all at once; and each operation that
//! the API has taken is there afterwards and comes to an end.
//! `cargo run --release -p bench-restart [AGENTS]` in `bench/`, or `cargo xtask bench restart`; needs as many
//! open files as agents (`ulimit -n`).

mod load;

use std::time::{Duration, Instant};

use load::Load;
use rig::{Api, Fault, Server};
use sim::model::Kind;
use sim::swarm::{MqttConfig, SwarmConfig, run as run_swarm};
use tokio_util::sync::CancellationToken;

const AGENTS: u32 = 1_000;
/// `ConnectRetryTime` of the standard: a device waits between this and twice as long before it dials again.
const RETRY_SECONDS: u32 = 5;
/// Devices switched on in a second.
const RAMP: u32 = 50;
/// All are there, and nobody comes or goes, for this long.
const SETTLED: Duration = Duration::from_secs(15);
/// Under load before the server is killed, and after all are back.
const LOADED: Duration = Duration::from_secs(10);
/// The aim: the last device is back this long after the server listens again.
const BACK: Duration = Duration::from_secs(30);
/// The aim: no more devices in the worst second than this share of them, where evenly spread over the wait
/// of [`RETRY_SECONDS`] would be a fifth.
const PEAK: f64 = 0.4;
/// When it is given up.
const LATE: Duration = Duration::from_secs(900);
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let agents = std::env::args().nth(1).map_or(Ok(AGENTS), |n| n.parse())?;
    let mut server = Server::start()?;
    let swarm = SwarmConfig {
        count: agents,
        kinds: vec![Kind::Gateway],
        first_number: 1,
        seed: 1,
        controller: server.endpoint.clone(),
        url: format!("mqtt://{}", server.mqtt),
        stomp: None,
        mqtt: Some(MqttConfig {
            username: "default/setup".to_owned(),
            password: server.setup_key.clone(),
            ..MqttConfig::default()
        }),
        ca_file: None,
        data: None,
        ramp_per_second: RAMP,
        retry_min_wait: RETRY_SECONDS,
    };
    tokio::spawn(run_swarm(swarm, CancellationToken::new()));
    // Blocking: the API's client is.
    tokio::task::spawn_blocking(move || measure(&mut server, u64::from(agents))).await?
}

fn measure(server: &mut Server, agents: u64) -> Result<(), Fault> {
    let mut api = server.api()?;
    let arrived = settled(&mut api, agents)?;
    println!(
        "{agents} devices over MQTT are there and at rest after {:.0} s",
        arrived.as_secs_f64()
    );
    let load = Load::start(server)?;
    std::thread::sleep(LOADED);
    let taken_before = load.taken();
    let killed = Instant::now();
    server.cut_and_restart()?;
    let listening = Instant::now();
    let came = back(&mut api, agents, listening)?;
    let peak = peak(&came);
    std::thread::sleep(LOADED);
    let taken = load.stop()?;
    let verdict = |good: bool| if good { "met" } else { "MISSED" };
    let all = came.last().map_or(0, |(_, there)| *there);
    let last = came
        .iter()
        .find(|(_, there)| *there == all)
        .map_or(Duration::ZERO, |(at, _)| *at);
    println!(
        "killed under load ({taken_before} operations taken in {LOADED:?}) and listening again after {:.1} s",
        (listening - killed).as_secs_f64()
    );
    println!(
        "  {all} of {agents} devices are back (aim all: {}), the last {:.1} s after that (aim {BACK:?}: {})",
        verdict(all == agents),
        last.as_secs_f64(),
        verdict(last <= BACK)
    );
    println!(
        "  the most in one second: {peak}, {:.0} % (aim {:.0} %: {})",
        100.0 * peak as f64 / agents as f64,
        100.0 * PEAK,
        verdict(peak as f64 <= PEAK * agents as f64)
    );
    let ends = load::ends(&mut api, &taken, LATE)?;
    let lost = ends.lost.len();
    println!(
        "  {} operations were taken in all: {}; {lost} lost (aim 0: {}), {} without an end (aim 0: {})",
        taken.len(),
        ends.words(),
        verdict(lost == 0),
        ends.open,
        verdict(ends.open == 0)
    );
    Ok(())
}

/// How many devices have a link; 0 while the server cannot be asked.
fn there(api: &mut Api) -> u64 {
    match api.call("GET", "/system", None) {
        Ok(system) => system["connections"].as_u64().unwrap_or_default(),
        Err(_) => {
            let _ = api.reconnect();
            0
        }
    }
}

/// Waits until all are there and stay.
fn settled(api: &mut Api, agents: u64) -> Result<Duration, Fault> {
    let began = Instant::now();
    let mut since = Instant::now();
    while since.elapsed() < SETTLED {
        if there(api) != agents {
            since = Instant::now();
        }
        if began.elapsed() > LATE {
            return Err("the devices do not come to rest".into());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(began.elapsed() - SETTLED)
}

/// How many were there when, until all are.
fn back(api: &mut Api, agents: u64, since: Instant) -> Result<Vec<(Duration, u64)>, Fault> {
    let mut came = vec![(Duration::ZERO, 0)];
    while since.elapsed() < LATE {
        let now = there(api);
        came.push((since.elapsed(), now));
        if now >= agents {
            break;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(came)
}

/// The most that came within one second.
fn peak(came: &[(Duration, u64)]) -> u64 {
    let second = Duration::from_secs(1);
    let within = came.iter().enumerate().map(|(from, (begin, before))| {
        let after = came[from..]
            .iter()
            .take_while(|(at, _)| *at <= *begin + second);
        after
            .map(|(_, now)| now.saturating_sub(*before))
            .max()
            .unwrap_or_default()
    });
    within.max().unwrap_or_default()
}
