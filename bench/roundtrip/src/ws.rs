//! Gateways that dial a WebSocket listener which lets everybody in.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use mtp::ws::{
    Admission, Admitted, Hello, Incoming, Link, Listener, ListenerConfig, Refusal, Refused,
};
use sim::model::Kind;
use sim::swarm::{RETRY_MIN_WAIT, SwarmConfig, run as run_swarm};
use tokio_util::sync::CancellationToken;
use usp::EndpointId;
use usp::controller::Config;

use crate::{Agent, CONTROLLER, Fault, Wire};

impl Wire for Link {
    async fn put(&mut self, record: Bytes) -> Result<(), Fault> {
        Ok(self.send(record).await?)
    }

    async fn take(&mut self) -> Result<Bytes, Fault> {
        match self.recv().await? {
            Incoming::Record(record) => Ok(record),
            Incoming::Closed(_) => Err("the peer closed".into()),
        }
    }
}

/// Lets everybody in.
pub struct Everybody;

impl Admission for Everybody {
    type Ticket = ();

    async fn admit(&self, _: &Hello) -> Result<Admitted<()>, Refusal> {
        let own = EndpointId::parse(CONTROLLER).map_err(|error| {
            Refusal::new(mtp::ws::RefusalReason::Unavailable, error.to_string())
        })?;
        Ok(Admitted { own, ticket: () })
    }
}

/// A listener on a free port.
pub async fn listen() -> Result<Listener<Everybody>, Fault> {
    let config = ListenerConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)));
    let refused = |one: Refused| println!("refused: {}", one.refusal);
    Ok(Listener::bind(config, Arc::new(Everybody), Arc::new(refused)).await?)
}

/// That many connected gateways.
pub async fn agents(count: usize) -> Result<Vec<Agent>, Fault> {
    agents_with(count, usp::context::Config::default()).await
}

/// That many connected gateways, spoken with like this.
pub async fn agents_with(
    count: usize,
    contexts: usp::context::Config,
) -> Result<Vec<Agent>, Fault> {
    let mut listener = listen().await?;
    let swarm = SwarmConfig {
        count: u32::try_from(count)?,
        kinds: vec![Kind::Gateway],
        first_number: 1,
        seed: 1,
        controller: CONTROLLER.to_owned(),
        url: format!("ws://{}/usp/key", listener.local_addr()),
        mqtt: None,
        stomp: None,
        ca_file: None,
        data: None,
        ramp_per_second: 1_000,
        retry_min_wait: RETRY_MIN_WAIT,
    };
    tokio::spawn(run_swarm(swarm, CancellationToken::new()));
    let config = Arc::new(Config {
        contexts: Arc::new(contexts),
        ..Config::default()
    });
    let mut agents = Vec::new();
    for number in 0..count {
        let accepted = listener.accept().await;
        let peer = accepted.hello.eid.ok_or("an agent without endpoint id")?;
        let (link, own) = (accepted.link, accepted.own);
        agents.push(Agent::announced(link, config.clone(), own, peer, number as u64).await?);
    }
    Ok(agents)
}
