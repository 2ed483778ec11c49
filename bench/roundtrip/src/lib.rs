//! The controller's end of links to simulated gateways, without a server: what `bench-roundtrip`
//! measures and what `bench-wholeway` measures the whole way against.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mtp::ws::{
    Admission, Admitted, Hello, Incoming, Link, Listener, ListenerConfig, Refusal, Refused,
};
use sim::model::Kind;
use sim::swarm::{SwarmConfig, run as run_swarm};
use tokio_util::sync::CancellationToken;
use usp::EndpointId;
use usp::controller::{Config, Event, Session};
use usp::msg::{Request, Response};

/// Any failure ends a benchmark.
pub type Fault = Box<dyn Error + Send + Sync>;

/// How long an agent may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);
const CONTROLLER: &str = "self::bench";

/// The controller's end of one link.
pub struct Agent {
    link: Link,
    session: Session,
    /// Bytes of the newest record to it.
    pub sent: usize,
    /// Bytes of the newest record from it.
    pub received: usize,
}

impl Agent {
    /// Asks and waits for the answer.
    pub async fn round_trip(&mut self, request: impl Into<Request>) -> Result<Response, Fault> {
        let asked = self.session.request(Instant::now(), request, ANSWER_TIME)?;
        loop {
            match self.next().await? {
                Event::Answered { id, result } if id == asked => return Ok(result?),
                _ => {}
            }
        }
    }

    async fn next(&mut self) -> Result<Event, Fault> {
        loop {
            if let Some(event) = self.session.poll_event() {
                return Ok(event);
            }
            while let Some(record) = self.session.poll_transmit() {
                self.sent = record.len();
                self.link.send(record).await?;
            }
            let Incoming::Record(record) = self.link.recv().await? else {
                return Err("the agent closed".into());
            };
            self.received = record.len();
            self.session.handle_input(Instant::now(), &record)?;
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
        ca_file: None,
        data: None,
        ramp_per_second: 1_000,
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
        let session = Session::new(config.clone(), accepted.own, peer, number as u64);
        let mut agent = Agent {
            link: accepted.link,
            session,
            sent: 0,
            received: 0,
        };
        while !matches!(agent.next().await?, Event::Connected { .. }) {}
        agents.push(agent);
    }
    Ok(agents)
}
