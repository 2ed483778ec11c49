//! The controller's end of links to simulated gateways, without a server, over whatever carries
//! records: what `bench-roundtrip` and `bench-mqtt` measure and what `bench-wholeway` measures the
//! whole way against.

mod mqtt;
mod uds;
mod ws;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinSet;
use usp::EndpointId;
use usp::controller::{Config, Event, Session};
use usp::msg::{Get, Request, Response};

pub use ws::{agents, agents_with, listen};

/// Any failure ends a benchmark.
pub type Fault = Box<dyn Error + Send + Sync>;

/// Who asks.
pub const CONTROLLER: &str = "self::bench";

/// Reads the monitoring of a fleet would make.
pub const FEW: [&str; 4] = [
    "Device.DeviceInfo.UpTime",
    "Device.DeviceInfo.SoftwareVersion",
    "Device.DeviceInfo.MemoryStatus.Free",
    "Device.WiFi.Radio.1.Channel",
];

/// How long an agent may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// How long each measurement takes.
const WINDOW: Duration = Duration::from_millis(500);

/// Either end of a link that carries records.
pub trait Wire: Send + 'static {
    /// Sends one.
    fn put(&mut self, record: Bytes) -> impl Future<Output = Result<(), Fault>> + Send;

    /// The next one.
    fn take(&mut self) -> impl Future<Output = Result<Bytes, Fault>> + Send;
}

/// The controller's end of one link.
pub struct Agent<L = mtp::ws::Link> {
    link: L,
    session: Session,
    /// Bytes of the newest record to it.
    pub sent: usize,
    /// Bytes of the newest record from it.
    pub received: usize,
}

impl<L: Wire> Agent<L> {
    /// Waits until the agent has announced itself.
    pub async fn announced(
        link: L,
        config: Arc<Config>,
        own: EndpointId,
        peer: EndpointId,
        number: u64,
    ) -> Result<Self, Fault> {
        let session = Session::new(config, own, peer, number);
        let mut agent = Agent {
            link,
            session,
            sent: 0,
            received: 0,
        };
        while !matches!(agent.next().await?, Event::Connected { .. }) {}
        Ok(agent)
    }

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
                self.link.put(record).await?;
            }
            let record = self.link.take().await?;
            self.received = record.len();
            self.session.handle_input(Instant::now(), &record)?;
        }
    }
}

/// The median, and whether it is good enough.
pub fn verdict(ratios: &mut [f64], aim: f64) -> (f64, &'static str) {
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[ratios.len() / 2];
    (ratio, if ratio >= aim { "met" } else { "MISSED" })
}

/// Runs `work` on the first `links` of them for a window; the sum of what they did, a second.
pub async fn all<T: Send + 'static, F>(
    them: &mut Vec<T>,
    links: usize,
    work: impl Fn(T, Instant) -> F,
) -> Result<f64, Fault>
where
    F: Future<Output = Result<(T, u64), Fault>> + Send + 'static,
{
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for one in them.drain(..links) {
        tasks.spawn(work(one, started + WINDOW));
    }
    let mut count = 0;
    while let Some(done) = tasks.join_next().await {
        let (one, did) = done??;
        them.push(one);
        count += did;
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

/// What one round trip carries.
pub struct Shape {
    /// How many values.
    pub parameters: usize,
    /// Bytes out.
    pub request: usize,
    /// Bytes back.
    pub response: usize,
}

/// Makes one round trip to see what it carries.
pub async fn shape<L: Wire>(agent: &mut Agent<L>, get: &Get) -> Result<Shape, Fault> {
    let Response::GetResp(response) = agent.round_trip(get.clone()).await? else {
        return Err("the agent answers something else".into());
    };
    let values = usp::outcome::values(&response);
    if !values.failures.is_empty() {
        return Err(format!("the agent refuses paths: {:?}", values.failures).into());
    }
    Ok(Shape {
        parameters: values.values.len(),
        request: agent.sent,
        response: agent.received,
    })
}

/// Asks one after the other; how often.
pub async fn ask<L: Wire>(
    mut agent: Agent<L>,
    get: Get,
    until: Instant,
) -> Result<(Agent<L>, u64), Fault> {
    let mut count = 0;
    while Instant::now() < until {
        let Response::GetResp(response) = agent.round_trip(get.clone()).await? else {
            return Err("the agent answers something else".into());
        };
        // What a server does with it at least.
        std::hint::black_box(usp::outcome::values(&response));
        count += 1;
    }
    Ok((agent, count))
}

/// Sends so many bytes to an [`echo_peer`] and gets so many back, one after the other; how often.
pub async fn echo<L: Wire>(
    mut link: L,
    request: usize,
    response: usize,
    until: Instant,
) -> Result<(L, u64), Fault> {
    let mut record = vec![7; request];
    record[..4].copy_from_slice(&u32::try_from(response)?.to_be_bytes());
    let mut count = 0;
    while Instant::now() < until {
        link.put(record.clone().into()).await?;
        let back = link.take().await?.len();
        if back != response {
            return Err(format!("not an echo: {back} bytes").into());
        }
        count += 1;
    }
    Ok((link, count))
}

/// Sends back as many bytes as the first four ask for.
pub async fn echo_peer<L: Wire>(mut link: L) -> Result<(), Fault> {
    loop {
        let record = link.take().await?;
        let wanted = u32::from_be_bytes(record[..4].try_into()?);
        link.put(vec![7; wanted as usize].into()).await?;
    }
}
