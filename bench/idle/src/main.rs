//! The server's memory for each idle agent: `headend serve` as a process of its own, its resident
//! memory before and after so many plaintext agents have been onboarded over WebSockets and have
//! nothing to say. The agents are in this process.
//! `cargo run --release -p bench-idle [AGENTS]` in `bench/`, or `cargo xtask bench idle`; needs as
//! many open files as agents (`ulimit -n`).

use bench_idle::{AGENTS, measure};
use mtp::ws::{DialConfig, dial};
use rig::{Fault, Server};
use usp::record::WebSocketConnectRecord;

/// The aim of the project, KiB.
const AIM: f64 = 12.0;

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let wanted = std::env::args().nth(1).map_or(Ok(AGENTS), |n| n.parse())?;
    let server = Server::start()?;
    let url = format!("ws://{}/usp/{}", server.usp, server.setup_key);
    measure(&server, wanted, AIM, move |own| {
        let config = DialConfig::new(url.clone(), own);
        async move { Ok((dial(&config).await?, WebSocketConnectRecord {}.into())) }
    })
    .await?;
    Ok(())
}
