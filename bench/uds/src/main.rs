//! Round trips of a controller to simulated gateways over UNIX domain sockets, against a bare echo over the same kind of
//! socket with frames of the same sizes, in the same run. Both ends of both are in this process.
//! `cargo run --release -p bench-uds` in `bench/`, or `cargo xtask bench uds`.

use std::path::Path;
use std::sync::Arc;

use bench_roundtrip::{Agent, CONTROLLER, FEW, Fault, all, ask, echo, echo_peer, shape, verdict};
use mtp::uds::{Admission, DialConfig, Hello, Link, Listener, ListenerConfig, dial};
use sim::model::Kind;
use sim::swarm::{RETRY_MIN_WAIT, SwarmConfig, run as run_swarm};
use tokio_util::sync::CancellationToken;
use usp::EndpointId;
use usp::controller::Config;
use usp::msg;
use usp::session::Transport;

/// Links at work at the same time, each with one request under way.
const LINKS: [usize; 2] = [1, 16];
/// Pairs of measurements, one after the other; the median of their ratios counts.
const ROUNDS: usize = 7;
/// The aim of the project.
const AIM: f64 = 0.5;

/// Lets everybody in.
struct Everybody;

impl Admission for Everybody {
    fn admit(&self, _: &Hello) -> Result<EndpointId, String> {
        CONTROLLER.parse().map_err(|error| format!("{error}"))
    }
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let folder = tempfile::tempdir()?;
    let most = LINKS[LINKS.len() - 1];
    let mut agents = agents(&folder.path().join("agents"), most).await?;
    let mut echoes = echoes(&folder.path().join("echoes"), most).await?;
    let many = ["Device.WiFi.", "Device.Ethernet.", "Device.DeviceInfo."];
    for (name, get) in [("few", msg::get(FEW)), ("many", msg::get(many))] {
        let shape = shape(&mut agents[0], &get).await?;
        println!(
            "Get of {} parameters ({name}): {} bytes out, {} bytes back",
            shape.parameters, shape.request, shape.response
        );
        for links in LINKS {
            let mut ratios = Vec::new();
            let mut best = [0.0_f64; 2];
            for _ in 0..ROUNDS {
                let bare = all(&mut echoes, links, |link, until| {
                    echo(link, shape.request, shape.response, until)
                });
                let bare = bare.await?;
                let ours = all(&mut agents, links, |agent, until| {
                    ask(agent, get.clone(), until)
                });
                let ours = ours.await?;
                ratios.push(ours / bare);
                best = [best[0].max(ours), best[1].max(bare)];
            }
            let (ratio, word) = verdict(&mut ratios, AIM);
            println!(
                "  {links:>2} links: usp {:>6.0} a second, echo {:>6.0} a second, ratio {ratio:.2} (aim {AIM}: {word})",
                best[0], best[1]
            );
        }
    }
    Ok(())
}

async fn listen(path: &Path) -> Result<Listener<Everybody>, Fault> {
    Ok(Listener::bind(ListenerConfig::new(path), Arc::new(Everybody)).await?)
}

async fn agents(path: &Path, count: usize) -> Result<Vec<Agent<Link>>, Fault> {
    let mut listener = listen(path).await?;
    let swarm = SwarmConfig {
        count: u32::try_from(count)?,
        kinds: vec![Kind::Gateway],
        first_number: 1,
        seed: 1,
        controller: CONTROLLER.to_owned(),
        url: format!("unix://{}", path.display()),
        stomp: None,
        mqtt: None,
        ca_file: None,
        data: None,
        ramp_per_second: 1_000,
        retry_min_wait: RETRY_MIN_WAIT,
    };
    tokio::spawn(run_swarm(swarm, CancellationToken::new()));
    let config = Arc::new(Config {
        transport: Transport::Uds,
        ..Config::default()
    });
    let own: EndpointId = CONTROLLER.parse()?;
    let mut agents = Vec::new();
    for number in 0..count {
        let accepted = listener.accept().await;
        let peer = accepted.hello.endpoint_id;
        let announced = Agent::announced(
            accepted.link,
            config.clone(),
            own.clone(),
            peer,
            number as u64,
        );
        agents.push(announced.await?);
    }
    Ok(agents)
}

async fn echoes(path: &Path, count: usize) -> Result<Vec<Link>, Fault> {
    let mut listener = listen(path).await?;
    let mut links = Vec::new();
    for number in 0..count {
        let config = DialConfig::new(path, EndpointId::parse(&format!("os::00256D-{number}"))?);
        tokio::spawn(async move { echo_peer(dial(&config).await?).await });
        links.push(listener.accept().await.link);
    }
    Ok(links)
}
