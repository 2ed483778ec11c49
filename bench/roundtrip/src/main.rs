//! Round trips of a controller to simulated gateways over loopback, against a bare echo over the
//! same WebSocket library with messages of the same sizes, in the same run. Both ends of both are
//! in this process, so the ratio counts the work of the controller and of the agent. And the same
//! round trips in session contexts, in plain text, against those without.
//! Deliberately without a server: no store, no dispatcher; `bench-wholeway` has those.
//! `cargo run --release -p bench-roundtrip` in `bench/`, or `cargo xtask bench roundtrip`.

use bench_roundtrip::{
    FEW, Fault, agents, agents_with, all, ask, echo, echo_peer, listen, shape, verdict,
};
use mtp::ws::{DialConfig, Link, dial};
use usp::EndpointId;
use usp::context::{Config, Mode};
use usp::msg;

/// Links at work at the same time, each with one request under way.
const LINKS: [usize; 2] = [1, 16];
/// Pairs of measurements, one after the other; the median of their ratios counts.
const ROUNDS: usize = 7;
/// The aim of the project.
const AIM: f64 = 0.5;
/// The same for round trips in session contexts against those without.
const AIM_IN_CONTEXTS: f64 = 0.8;

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

async fn echoes(count: usize) -> Result<Vec<Link>, Fault> {
    let mut listener = listen().await?;
    let mut links = Vec::new();
    for number in 0..count {
        let eid = EndpointId::parse(&format!("os::00256D-{number}"))?;
        let url = format!("ws://{}/", listener.local_addr());
        tokio::spawn(async move { echo_peer(dial(&DialConfig::new(url, eid)).await?).await });
        links.push(listener.accept().await.link);
    }
    Ok(links)
}
