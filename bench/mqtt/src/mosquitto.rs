//! A Mosquitto of its own on a free port, which lets everybody in, keeps nothing and logs nothing, and
//! a controller that is a client of it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bench_idle::AT_ONCE;
use bench_roundtrip::{Agent, CONTROLLER, Fault, echo_peer};
use mtp::mqtt::{DialConfig, Link, dial};
use sim::cpe::{Blueprint, Cpe};
use sim::model::Kind;
use sim::swarm::run as run_swarm;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use usp::EndpointId;

use crate::Settings;
use crate::embedded::{TENANT, gateways, speaking};

const START_TIME: Duration = Duration::from_secs(10);
/// Connected before the first measurement.
const WARM_UP: usize = 50;

/// A broker that ends with the benchmark.
pub struct Mosquitto {
    child: Child,
    config: PathBuf,
    address: String,
}

impl Mosquitto {
    /// Starts it and waits until it listens.
    pub async fn start() -> Result<Self, Fault> {
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0")?;
            free.local_addr()?.port()
        };
        let name = format!("headend-bench-mosquitto-{}-{port}.conf", std::process::id());
        let config = std::env::temp_dir().join(name);
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest none\n\
             max_connections -1\nset_tcp_nodelay true\n"
        );
        std::fs::write(&config, text)?;
        // Debian puts it where an ordinary user's PATH does not look.
        let paths = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        let child = Command::new("mosquitto")
            .env("PATH", &paths)
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("mosquitto (Debian: apt-get install mosquitto): {error}"))?;
        let address = format!("127.0.0.1:{port}");
        let started = Self {
            child,
            config,
            address,
        };
        let end = Instant::now() + START_TIME;
        while TcpStream::connect(&started.address).await.is_err() {
            if Instant::now() > end {
                return Err("mosquitto does not listen".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(started)
    }

    /// The controller's connection for one agent.
    async fn controller(&self, agent: &str) -> Result<Link, Fault> {
        let broker = Settings::of(&self.address)?;
        let own = EndpointId::parse(CONTROLLER)?;
        let topic = format!("usp/{TENANT}/agent/{agent}");
        let response = format!("usp/{TENANT}/controller/{agent}");
        let config = DialConfig {
            response_topic: Some(response),
            ..DialConfig::new(broker.host, broker.port, own, topic)
        };
        Ok(dial(&config).await?)
    }

    /// That many connected gateways.
    pub async fn agents(&self, count: usize) -> Result<Vec<Agent<Link>>, Fault> {
        let swarm = gateways(count, self.address.clone())?;
        let blueprint = Blueprint::new(Kind::Gateway.model()?)?;
        let mut links = Vec::new();
        for number in 0..swarm.count {
            let cpe = Cpe::new(blueprint.clone(), swarm.first_number + number, swarm.seed);
            let endpoint = cpe.endpoint_id();
            links.push((self.controller(&endpoint).await?, endpoint));
        }
        tokio::spawn(run_swarm(swarm, CancellationToken::new()));
        let (config, own) = (speaking(), EndpointId::parse(CONTROLLER)?);
        let mut agents = Vec::new();
        for (number, (link, endpoint)) in links.into_iter().enumerate() {
            let peer = EndpointId::parse(&endpoint)?;
            let agent = Agent::announced(link, config.clone(), own.clone(), peer, number as u64);
            agents.push(agent.await?);
        }
        Ok(agents)
    }

    /// That many peers that echo.
    pub async fn echoes(&self, count: usize) -> Result<Vec<Link>, Fault> {
        let mut links = Vec::new();
        for number in 0..count {
            let own = EndpointId::parse(&format!("os::00256D-{number}"))?;
            links.push(self.controller(own.as_str()).await?);
            let peer = dial(&Settings::of(&self.address)?.towards(TENANT, own)).await?;
            tokio::spawn(echo_peer(peer));
        }
        Ok(links)
    }

    /// The KiB of each of so many clients that are connected, subscribed, and quiet.
    pub async fn idle(&self, wanted: usize) -> Result<f64, Fault> {
        let mut clients = self.clients(0..WARM_UP).await?;
        let before = rig::resident_kib(self.child.id())?;
        clients.extend(self.clients(WARM_UP..WARM_UP + wanted).await?);
        let after = rig::resident_kib(self.child.id())?;
        Ok((after as f64 - before as f64) / wanted as f64)
    }

    async fn clients(&self, numbers: std::ops::Range<usize>) -> Result<Vec<Link>, Fault> {
        let broker = Settings::of(&self.address)?;
        let (mut dialling, mut clients) = (JoinSet::new(), Vec::new());
        for number in numbers {
            let own = EndpointId::parse(&format!("os::00256D-IDLE{number}"))?;
            let mut config = broker.towards(TENANT, own);
            // Nobody looks after these.
            config.keep_alive = 0;
            dialling.spawn(async move { dial(&config).await });
            if dialling.len() >= AT_ONCE
                && let Some(client) = dialling.join_next().await
            {
                clients.push(client??);
            }
        }
        while let Some(client) = dialling.join_next().await {
            clients.push(client??);
        }
        Ok(clients)
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.config);
    }
}
