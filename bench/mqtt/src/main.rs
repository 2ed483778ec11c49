//! USP over MQTT 5 through the broker inside, beside the same through a Mosquitto of Debian, in the
//! same run.
//!
//! * Round trips of a Get to simulated gateways with QoS 1. Towards the broker inside the
//!   controller is its other end, as in the server; towards Mosquitto it is a client with a
//!   connection for each agent. And a bare echo with records of the same sizes between the same
//!   ends. All but Mosquitto is in this process, deliberately without a server.
//! * Memory: what `headend serve` needs for each idle agent, with all that it knows of it, beside what
//!   Mosquitto needs for each connected and subscribed client.
//!
//! `cargo run --release -p bench-mqtt [AGENTS]` in `bench/`, or `cargo xtask bench mqtt`; needs
//! `mosquitto` and as many open files as agents (`ulimit -n`).

mod embedded;
mod mosquitto;
mod wire;

use bench_idle::{AGENTS, measure};
use bench_roundtrip::{Agent, FEW, Fault, Wire, all, ask, echo, shape, verdict};
use mosquitto::Mosquitto;
use mtp::mqtt::{DialConfig, dial};
use rig::Server;
use usp::EndpointId;
use usp::msg::{self, Get};
use usp::record::{MqttConnectRecord, MqttVersion};

/// Links at work at the same time, each with one request under way.
const LINKS: [usize; 2] = [1, 16];
/// Measurements of everything, one after the other; the median of their ratios counts.
const ROUNDS: usize = 7;
/// The aim of the project: round trips against those through Mosquitto.
const AIM: f64 = 1.0;
/// The same, against a bare echo through the same broker.
const AIM_OF_ECHO: f64 = 0.5;
/// The same, KiB for each idle agent.
const AIM_IDLE: f64 = 32.0;

/// What goes through one broker.
struct Way<L> {
    agents: Vec<Agent<L>>,
    echoes: Vec<L>,
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let wanted = std::env::args().nth(1).map_or(Ok(AGENTS), |n| n.parse())?;
    round_trips().await?;
    idle(wanted).await
}

async fn round_trips() -> Result<(), Fault> {
    let most = LINKS[LINKS.len() - 1];
    let mosquitto = Mosquitto::start().await?;
    let mut inside = Way {
        agents: embedded::agents(most).await?,
        echoes: embedded::echoes(most).await?,
    };
    let mut outside = Way {
        agents: mosquitto.agents(most).await?,
        echoes: mosquitto.echoes(most).await?,
    };
    let get = msg::get(FEW);
    let shape = shape(&mut inside.agents[0], &get).await?;
    let (out, back) = (shape.request, shape.response);
    println!(
        "Get of {} parameters over MQTT: {out} bytes out, {back} bytes back",
        shape.parameters
    );
    for links in LINKS {
        let (mut against, mut of_echo, mut its_own) = (Vec::new(), Vec::new(), Vec::new());
        let mut best = [0.0_f64; 4];
        for _ in 0..ROUNDS {
            let [ours, bare] = inside.round(links, &get, out, back).await?;
            let [theirs, theirs_bare] = outside.round(links, &get, out, back).await?;
            against.push(ours / theirs);
            of_echo.push(ours / bare);
            its_own.push(theirs / theirs_bare);
            for (best, now) in best.iter_mut().zip([ours, bare, theirs, theirs_bare]) {
                *best = best.max(now);
            }
        }
        let [ours, bare, theirs, theirs_bare] = best;
        let (ratio, word) = verdict(&mut against, AIM);
        println!(
            "  {links:>2} links: broker inside {ours:>6.0} a second, Mosquitto {theirs:>6.0} a second, ratio {ratio:.2} (aim {AIM}: {word})"
        );
        let (ratio, word) = verdict(&mut of_echo, AIM_OF_ECHO);
        let (its_own, _) = verdict(&mut its_own, AIM_OF_ECHO);
        println!(
            "            echo {bare:>6.0} a second, ratio of USP to it {ratio:.2} (aim {AIM_OF_ECHO}: {word}); through Mosquitto {theirs_bare:>6.0} a second, {its_own:.2}"
        );
    }
    Ok(())
}

impl<L: Wire> Way<L> {
    /// USP and echo, a second.
    async fn round(
        &mut self,
        links: usize,
        get: &Get,
        out: usize,
        back: usize,
    ) -> Result<[f64; 2], Fault> {
        let bare = all(&mut self.echoes, links, |link, until| {
            echo(link, out, back, until)
        });
        let bare = bare.await?;
        let usp = all(&mut self.agents, links, |agent, until| {
            ask(agent, get.clone(), until)
        });
        Ok([usp.await?, bare])
    }
}

async fn idle(wanted: usize) -> Result<(), Fault> {
    let each = {
        let server = Server::start()?;
        let config = Settings::of(&server.mqtt)?;
        let key = server.setup_key.clone();
        measure(&server, wanted, AIM_IDLE, move |own| {
            let mut config = config.towards("default", own);
            config.username = Some("default/setup".to_owned());
            config.password = Some(key.clone());
            async move {
                let link = dial(&config).await?;
                let announcement = MqttConnectRecord {
                    version: MqttVersion::V5,
                    subscribed_topic: link.reply_topic().to_owned(),
                };
                Ok((link, announcement.into()))
            }
        })
        .await?
    };
    let mosquitto = Mosquitto::start().await?;
    let theirs = mosquitto.idle(wanted).await?;
    println!(
        "  Mosquitto, {wanted} clients with one subscription, of which it knows nothing else: {theirs:.1} KiB each, ratio {:.2}",
        each / theirs
    );
    Ok(())
}

/// Where a broker listens.
#[derive(Clone)]
struct Settings {
    host: String,
    port: u16,
}

impl Settings {
    fn of(address: &str) -> Result<Self, Fault> {
        let (host, port) = address.rsplit_once(':').ok_or("no port")?;
        let (host, port) = (host.to_owned(), port.parse()?);
        Ok(Self { host, port })
    }

    /// An agent's end.
    fn towards(&self, tenant: &str, own: EndpointId) -> DialConfig {
        let topic = format!("usp/{tenant}/controller/{own}");
        let response = format!("usp/{tenant}/agent/{own}");
        DialConfig {
            response_topic: Some(response),
            ..DialConfig::new(self.host.clone(), self.port, own, topic)
        }
    }
}
