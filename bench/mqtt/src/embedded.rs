//! The broker inside, which lets everybody in, and its ends of gateways and of peers that echo.

use std::net::SocketAddr;
use std::sync::Arc;

use bench_roundtrip::{Agent, CONTROLLER, Fault, echo_peer};
use broker::{Admission, Admitted, Hello, Listener, ListenerConfig, Topics};
use mtp::mqtt::dial;
use mtp::ws::{Refusal, RefusalReason, Refused};
use sim::model::Kind;
use sim::swarm::{MqttConfig, RETRY_MIN_WAIT, SwarmConfig, run as run_swarm};
use tokio_util::sync::CancellationToken;
use usp::EndpointId;
use usp::controller::Config;
use usp::session::Transport;

use crate::Settings;
use crate::wire::Inside;

/// The level of topics.
pub const TENANT: &str = "bench";

struct Everybody;

impl Admission for Everybody {
    type Ticket = EndpointId;

    async fn admit(&self, hello: &Hello) -> Result<Admitted<EndpointId>, Refusal> {
        let nobody = || Refusal::new(RefusalReason::EndpointIdMissing, "who?");
        let endpoint = hello.eid.clone().ok_or_else(nobody)?;
        Ok(Admitted {
            tenant: TENANT.to_owned(),
            ticket: endpoint.clone(),
            endpoint,
        })
    }
}

async fn listen() -> Result<Listener<Everybody>, Fault> {
    let addr = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = ListenerConfig::new(addr, Topics::default());
    let refused = |one: Refused| println!("refused: {}", one.refusal);
    Ok(Listener::bind(config, Arc::new(Everybody), Arc::new(refused)).await?)
}

/// How the controller's end speaks.
pub fn speaking() -> Arc<Config> {
    Arc::new(Config {
        transport: Transport::Mqtt,
        ..Config::default()
    })
}

/// Gateways that dial this.
pub fn gateways(count: usize, broker: String) -> Result<SwarmConfig, Fault> {
    Ok(SwarmConfig {
        count: u32::try_from(count)?,
        kinds: vec![Kind::Gateway],
        first_number: 1,
        seed: 1,
        controller: CONTROLLER.to_owned(),
        url: format!("mqtt://{broker}"),
        mqtt: Some(MqttConfig {
            username: format!("{TENANT}/setup"),
            password: "key".to_owned(),
            ..MqttConfig::default()
        }),
        stomp: None,
        ca_file: None,
        data: None,
        ramp_per_second: 1_000,
        retry_min_wait: RETRY_MIN_WAIT,
    })
}

/// That many connected gateways.
pub async fn agents(count: usize) -> Result<Vec<Agent<Inside>>, Fault> {
    let mut listener = listen().await?;
    let swarm = gateways(count, listener.local_addr().to_string())?;
    tokio::spawn(run_swarm(swarm, CancellationToken::new()));
    let (config, own) = (speaking(), EndpointId::parse(CONTROLLER)?);
    let mut agents = Vec::new();
    for number in 0..count {
        let accepted = listener.accept().await;
        let (link, peer) = (Inside(accepted.link), accepted.ticket);
        let agent = Agent::announced(link, config.clone(), own.clone(), peer, number as u64);
        agents.push(agent.await?);
    }
    Ok(agents)
}

/// That many peers that echo.
pub async fn echoes(count: usize) -> Result<Vec<Inside>, Fault> {
    let mut listener = listen().await?;
    let broker = Settings::of(&listener.local_addr().to_string())?;
    let mut links = Vec::new();
    for number in 0..count {
        let own = EndpointId::parse(&format!("os::00256D-{number}"))?;
        let mut config = broker.towards(TENANT, own);
        config.username = Some(format!("{TENANT}/setup"));
        tokio::spawn(async move { echo_peer(dial(&config).await?).await });
        links.push(Inside(listener.accept().await.link).heard().await?);
    }
    Ok(links)
}
