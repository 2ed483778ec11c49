//! Round trips of a controller to simulated gateways over loopback, against a bare echo over the
//! same WebSocket library with messages of the same sizes, in the same run. Both ends of both are
//! in this process, so the ratio counts the work of the controller and of the agent. And the same
//! round trips in session contexts, in plain text, against those without.
//! Deliberately without a server: no store, no dispatcher; `bench-wholeway` has those.
//! `cargo run --release -p bench-roundtrip` in `bench/`, or `cargo xtask bench roundtrip`.

use std::time::{Duration, Instant};

use bench_roundtrip::{Agent, Fault, agents, agents_with, listen};
use mtp::ws::{DialConfig, Incoming, Link, dial};
use tokio::task::JoinSet;
use usp::EndpointId;
use usp::context::{Config, Mode};
use usp::msg::{self, Get, Response};

/// Links at work at the same time, each with one request under way.
const LINKS: [usize; 2] = [1, 16];
/// Pairs of measurements, one after the other; the median of their ratios counts.
const ROUNDS: usize = 7;
/// How long each takes.
const WINDOW: Duration = Duration::from_millis(500);
/// The aim of the project.
const AIM: f64 = 0.5;
/// The same for round trips in session contexts against those without.
const AIM_IN_CONTEXTS: f64 = 0.8;

/// Reads the monitoring of a fleet would make.
const FEW: [&str; 4] = [
    "Device.DeviceInfo.UpTime",
    "Device.DeviceInfo.SoftwareVersion",
    "Device.DeviceInfo.MemoryStatus.Free",
    "Device.WiFi.Radio.1.Channel",
];
/// Whole objects with about a hundred parameters together.
const HUNDRED: [&str; 6] = [
    "Device.WiFi.Radio.1.",
    "Device.WiFi.Radio.2.",
    "Device.WiFi.SSID.*.",
    "Device.WiFi.AccessPoint.*.",
    "Device.Ethernet.Interface.1.",
    "Device.IP.Interface.1.",
];

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let most = LINKS[LINKS.len() - 1];
    let mut agents = agents(most).await?;
    let mut echoes = echoes(most).await?;
    let contexts = Config {
        mode: Mode::Require,
        ..Config::default()
    };
    let mut in_contexts = agents_with(most, contexts).await?;
    for (name, get) in [("few", msg::get(FEW)), ("many", msg::get_depth(HUNDRED, 1))] {
        let shape = shape(&mut agents[0], &get).await?;
        println!(
            "Get of {} parameters ({name}): {} bytes out, {} bytes back",
            shape.parameters, shape.request, shape.response
        );
        for links in LINKS {
            let (mut ratios, mut context_ratios) = (Vec::new(), Vec::new());
            let mut best = [0.0_f64; 3];
            for _ in 0..ROUNDS {
                let bare = all(&mut echoes, links, |link, until| {
                    echo(link, shape.request, shape.response, until)
                });
                let bare = bare.await?;
                let ours = all(&mut agents, links, |agent, until| {
                    ask(agent, get.clone(), until)
                });
                let ours = ours.await?;
                let inside = all(&mut in_contexts, links, |agent, until| {
                    ask(agent, get.clone(), until)
                });
                let inside = inside.await?;
                ratios.push(ours / bare);
                context_ratios.push(inside / ours);
                best = [best[0].max(ours), best[1].max(bare), best[2].max(inside)];
            }
            let (ratio, word) = verdict(&mut ratios, AIM);
            println!(
                "  {links:>2} links: usp {:>6.0} a second, echo {:>6.0} a second, ratio {ratio:.2} (aim {AIM}: {word})",
                best[0], best[1]
            );
            let (ratio, word) = verdict(&mut context_ratios, AIM_IN_CONTEXTS);
            println!(
                "            in session contexts {:>6.0} a second, ratio to usp without {ratio:.2} (aim {AIM_IN_CONTEXTS}: {word})",
                best[2]
            );
        }
    }
    Ok(())
}

/// The median, and whether it is good enough.
fn verdict(ratios: &mut [f64], aim: f64) -> (f64, &'static str) {
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[ratios.len() / 2];
    (ratio, if ratio >= aim { "met" } else { "MISSED" })
}

/// Runs `work` on the first `links` of them for a window; the sum of what they did, a second.
async fn all<T: Send + 'static, F>(
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

struct Shape {
    parameters: usize,
    request: usize,
    response: usize,
}

/// What one round trip carries.
async fn shape(agent: &mut Agent, get: &Get) -> Result<Shape, Fault> {
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

async fn ask(mut agent: Agent, get: Get, until: Instant) -> Result<(Agent, u64), Fault> {
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

async fn echo(
    mut link: Link,
    request: usize,
    response: usize,
    until: Instant,
) -> Result<(Link, u64), Fault> {
    let mut record = vec![7; request];
    record[..4].copy_from_slice(&u32::try_from(response)?.to_be_bytes());
    let mut count = 0;
    while Instant::now() < until {
        link.send(record.clone()).await?;
        match link.recv().await? {
            Incoming::Record(back) if back.len() == response => count += 1,
            other => return Err(format!("not an echo: {other:?}").into()),
        }
    }
    Ok((link, count))
}

/// Sends back as many bytes as the first four ask for.
async fn echo_peer(url: String, eid: EndpointId) -> Result<(), Fault> {
    let mut link = dial(&DialConfig::new(url, eid)).await?;
    while let Incoming::Record(record) = link.recv().await? {
        let wanted = u32::from_be_bytes(record[..4].try_into()?);
        link.send(vec![7; wanted as usize]).await?;
    }
    Ok(())
}

async fn echoes(count: usize) -> Result<Vec<Link>, Fault> {
    let mut listener = listen().await?;
    let mut links = Vec::new();
    for number in 0..count {
        let eid = EndpointId::parse(&format!("os::00256D-{number}"))?;
        tokio::spawn(echo_peer(format!("ws://{}/", listener.local_addr()), eid));
        links.push(listener.accept().await.link);
    }
    Ok(links)
}
