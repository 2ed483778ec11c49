//! USP over STOMP through a RabbitMQ of Debian: round trips of a Get to simulated gateways, beside a bare echo with
//! records of the same sizes between the same ends through the same RabbitMQ, in the same run. All but RabbitMQ is in
//! this process, deliberately without a server.
//! `cargo run --release -p bench-stomp` in `bench/`, or `cargo xtask bench stomp`; needs `rabbitmq-server`.

#[allow(dead_code, reason = "the tests use the rest of it")]
#[path = "../../../crates/mtp/tests/servers/rabbitmq.rs"]
mod rabbitmq;

use std::sync::Arc;

use bench_roundtrip::{
    Agent, CONTROLLER, FEW, Fault, Wire, all, ask, echo, echo_peer, shape, verdict,
};
use bytes::Bytes;
use mtp::stomp::{DialConfig, Link, dial};
use rabbitmq::{RabbitMq, User};
use sim::cpe::{Blueprint, Cpe};
use sim::model::Kind;
use sim::swarm::{StompConfig, SwarmConfig, run as run_swarm};
use tokio_util::sync::CancellationToken;
use usp::EndpointId;
use usp::controller::Config;
use usp::msg;
use usp::session::Transport;

/// Links at work at the same time, each with one request under way.
const LINKS: [usize; 2] = [1, 16];
/// Pairs of measurements, one after the other; the median of their ratios counts.
const ROUNDS: usize = 7;
/// The aim of the project, against a bare echo through the same server.
const AIM: f64 = 0.5;
/// The word in destinations.
const TENANT: &str = "bench";
/// Who everybody is there.
const USER: (&str, &str) = ("bench/setup", "key");

/// One end, which sends to one destination.
struct End {
    link: Link,
    to: String,
}

impl Wire for End {
    async fn put(&mut self, record: Bytes) -> Result<(), Fault> {
        Ok(self.link.send(record, Some(&self.to)).await?)
    }

    async fn take(&mut self) -> Result<Bytes, Fault> {
        Ok(self.link.recv().await?.record)
    }
}

fn destination(whose: &str, agent: &str) -> String {
    format!("/topic/usp.{TENANT}.{whose}.{agent}")
}

/// Where an end listens, and where the other does.
async fn end(rabbit: &RabbitMq, own: &str, at: String, to: String) -> Result<End, Fault> {
    let own = EndpointId::parse(own)?;
    let mut config = DialConfig::new("127.0.0.1", rabbit.stomp, own, "");
    (config.login, config.passcode) = (Some(USER.0.into()), Some(USER.1.into()));
    config.own_destination = Some(at);
    let link = dial(&config).await?;
    Ok(End { link, to })
}

async fn controller(rabbit: &RabbitMq, agent: &str) -> Result<End, Fault> {
    let (at, to) = (
        destination("controller", agent),
        destination("agent", agent),
    );
    end(rabbit, CONTROLLER, at, to).await
}

/// That many connected gateways.
async fn agents(rabbit: &RabbitMq, count: usize) -> Result<Vec<Agent<End>>, Fault> {
    let swarm = SwarmConfig {
        count: u32::try_from(count)?,
        kinds: vec![Kind::Gateway],
        first_number: 1,
        seed: 1,
        controller: CONTROLLER.to_owned(),
        url: format!("stomp://127.0.0.1:{}", rabbit.stomp),
        mqtt: None,
        stomp: Some(StompConfig {
            username: USER.0.to_owned(),
            password: USER.1.to_owned(),
            ..StompConfig::default()
        }),
        ca_file: None,
        data: None,
        ramp_per_second: 1_000,
        retry_min_wait: 1,
    };
    let blueprint = Blueprint::new(Kind::Gateway.model()?)?;
    let mut links = Vec::new();
    for number in 0..swarm.count {
        let cpe = Cpe::new(blueprint.clone(), swarm.first_number + number, swarm.seed);
        let endpoint = cpe.endpoint_id();
        links.push((controller(rabbit, &endpoint).await?, endpoint));
    }
    tokio::spawn(run_swarm(swarm, CancellationToken::new()));
    let speaking = Arc::new(Config {
        transport: Transport::Stomp,
        ..Config::default()
    });
    let own = EndpointId::parse(CONTROLLER)?;
    let mut agents = Vec::new();
    for (number, (link, endpoint)) in links.into_iter().enumerate() {
        let peer = EndpointId::parse(&endpoint)?;
        let agent = Agent::announced(link, speaking.clone(), own.clone(), peer, number as u64);
        agents.push(agent.await?);
    }
    Ok(agents)
}

/// That many peers that echo.
async fn echoes(rabbit: &RabbitMq, count: usize) -> Result<Vec<End>, Fault> {
    let mut links = Vec::new();
    for number in 0..count {
        let name = format!("os::00256D-{number}");
        links.push(controller(rabbit, &name).await?);
        let (at, to) = (
            destination("agent", &name),
            destination("controller", &name),
        );
        tokio::spawn(echo_peer(end(rabbit, &name, at, to).await?));
    }
    Ok(links)
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let rabbit = RabbitMq::start(&[User::all(USER.0, USER.1)], None, "")?;
    let most = LINKS[LINKS.len() - 1];
    let mut agents = agents(&rabbit, most).await?;
    let mut echoes = echoes(&rabbit, most).await?;
    let get = msg::get(FEW);
    let shape = shape(&mut agents[0], &get).await?;
    println!(
        "Get of {} parameters over STOMP through RabbitMQ: {} bytes out, {} bytes back",
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
            "  {links:>2} links: {:>6.0} a second, echo {:>6.0} a second, ratio {ratio:.2} (aim {AIM}: {word})",
            best[0], best[1]
        );
    }
    Ok(())
}
