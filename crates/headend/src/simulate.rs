//! `sim`: simulated CPEs against any controller.

use crate::{exit, lifetime};
use anyhow::Result;
use sim::model::Kind;
use sim::swarm::{SwarmConfig, run as run_swarm};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// How many devices
    #[arg(long, default_value_t = 25)]
    count: u32,
    /// The controller's WebSocket URL without the credential
    #[arg(long, default_value = "ws://127.0.0.1:8081/usp", value_parser = websocket)]
    url: String,
    /// The tenant's setup key, the last part of the URL's path
    #[arg(long, env = "HEADEND_SETUP_KEY", hide_env_values = true)]
    setup_key: String,
    /// The controller's endpoint id
    #[arg(long)]
    controller: String,
    /// Which devices: gateway, extender, cellular, or mixed
    #[arg(long, default_value = "mixed", value_parser = kinds)]
    model: Kinds,
    /// Makes the fleet repeatable
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The serial number of the first device of each model
    #[arg(long, default_value_t = 1)]
    first_serial: u32,
    /// Folder in which each device keeps its flash [default: in memory]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Devices started per second
    #[arg(long, default_value_t = 50)]
    ramp: u32,
    /// PEM file of an authority to trust for wss
    #[arg(long)]
    ca: Option<PathBuf>,
    /// End when standard input ends, for a program that starts this one
    #[arg(long, hide = true)]
    until_stdin_ends: bool,
}

#[derive(Clone)]
struct Kinds(Vec<Kind>);

pub async fn run(args: Args) -> Result<()> {
    crate::serve::log("info");
    let config = SwarmConfig {
        count: args.count,
        kinds: args.model.0,
        first_number: args.first_serial,
        seed: args.seed,
        controller: args.controller,
        url: format!("{}/{}", args.url.trim_end_matches('/'), args.setup_key),
        ca_file: args.ca,
        data: args.data,
        ramp_per_second: args.ramp,
    };
    exit::tell(&format!(
        "{} simulated devices dial {}",
        config.count, args.url
    ));
    let shutdown = lifetime::until_stopped();
    if args.until_stdin_ends {
        lifetime::with_stdin(&shutdown);
    }
    run_swarm(config, shutdown).await?;
    Ok(())
}

fn kinds(text: &str) -> Result<Kinds, String> {
    Ok(Kinds(match text {
        "gateway" => vec![Kind::Gateway],
        "extender" => vec![Kind::Extender],
        "cellular" => vec![Kind::Cellular],
        "mixed" => Kind::ALL.to_vec(),
        _ => return Err("there are gateway, extender, cellular and mixed".to_owned()),
    }))
}

fn websocket(text: &str) -> Result<String, String> {
    let rest = text
        .strip_prefix("ws://")
        .or_else(|| text.strip_prefix("wss://"))
        .ok_or("agents speak WebSocket: it begins with ws:// or wss://")?;
    match rest.split('/').next() {
        Some(host) if !host.is_empty() => Ok(text.to_owned()),
        _ => Err("there is no host in it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_websocket_url_is_dialled() {
        for good in ["ws://127.0.0.1:8081/usp", "wss://usp.example.net"] {
            assert_eq!(websocket(good).as_deref(), Ok(good));
        }
        for bad in ["http://127.0.0.1:8081/usp", "127.0.0.1:8081", "ws:///usp"] {
            assert!(websocket(bad).is_err(), "{bad}");
        }
    }
}
