//! `discovery`: how devices find a server. `dhcp` reads the server's configuration and runs beside it, whether it runs or
//! not; everything else asks a server.

use crate::exit::{Exit, Failure, tell};
use crate::place::Place;
use crate::{remote, serve};
use anyhow::Result;
use mtp::discovery::dhcp::{Offer, OfferError, Version};
use mtp::discovery::dnsmasq;
use server::discovery::{self, Over};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Print what a DHCP server has to be told so that it leads devices here
    Dhcp(Box<Dhcp>),
    #[command(flatten)]
    Remote(remote::discovery::Command),
}

/// The DHCP servers that there are lines for.
#[derive(Clone, Copy, clap::ValueEnum)]
enum For {
    /// Lines of its configuration, with comments
    Dnsmasq,
    /// The contents of the options in hexadecimal, for any other
    Hex,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Transport {
    /// The WebSocket listeners
    Websocket,
    /// The MQTT broker inside
    Mqtt,
}

#[derive(clap::Args)]
#[command(
    after_help = "The URL and the endpoint id are those of the configuration that `headend serve` reads \
                  (give the same file, environment and --set). Devices that say in DHCP that they are agents \
                  get them; whoever is on that network can ask, and reads a setup key too. How `headend-agent` \
                  takes it up is in docs/agent.md."
)]
pub struct Dhcp {
    #[command(flatten)]
    place: Place,
    /// Any key of the configuration, as with `serve`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The DHCP server
    #[arg(long = "for", value_enum, default_value = "dnsmasq")]
    target: For,
    /// Only for IPv4
    #[arg(long, conflicts_with = "v6")]
    v4: bool,
    /// Only for IPv6
    #[arg(long)]
    v6: bool,
    /// The transport that devices are led to
    #[arg(long, value_enum, default_value = "websocket")]
    over: Transport,
    /// Name or address of this server, where it listens on all addresses and no public_url is set
    #[arg(long)]
    host: Option<String>,
    /// A setup key, for the end of the WebSocket's path; without it devices show a certificate
    #[arg(long, value_name = "KEY", conflicts_with = "tenant_path")]
    setup_key: Option<String>,
    /// The tenant that devices with a certificate belong to, for the end of the WebSocket's path
    #[arg(long, value_name = "TENANT")]
    tenant_path: Option<String>,
    /// Provisioning code for the devices, at most 64 characters
    #[arg(long, value_name = "CODE")]
    provisioning_code: Option<String>,
    /// Seconds before a device sends a notification again, at least
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=65_535))]
    retry_min_wait: Option<u32>,
    /// By how much that grows each time, in thousandths
    #[arg(long, value_name = "THOUSANDTHS", value_parser = clap::value_parser!(u32).range(1000..=65_535))]
    retry_multiplier: Option<u32>,
}

pub async fn run(command: Command) -> Result<()> {
    match command {
        Command::Dhcp(dhcp) => tell(&dhcp.text()?),
        Command::Remote(command) => remote::discovery::run(command).await?,
    }
    Ok(())
}

impl Dhcp {
    fn text(&self) -> Result<String> {
        let offer = self.offer()?;
        let versions: &[Version] = match (self.v4, self.v6) {
            (true, _) => &[Version::V4],
            (_, true) => &[Version::V6],
            _ => &[Version::V4, Version::V6],
        };
        let mut lines = Vec::new();
        for version in versions {
            let option = version.offer_option();
            let refused = |error: OfferError| {
                let words = format!("option {option}: {error}; a shorter URL or code may do");
                Exit::error(Failure::Refused, words)
            };
            match self.target {
                For::Dnsmasq => lines.extend(dnsmasq::lines(&offer, *version).map_err(refused)?),
                For::Hex => {
                    let content = offer.encode(*version).map_err(refused)?;
                    let digits: String = content.iter().map(|b| format!("{b:02x}")).collect();
                    lines.push(format!("{option} {digits}"));
                }
            }
        }
        Ok(lines.join("\n"))
    }

    fn offer(&self) -> Result<Offer> {
        let set: Result<Vec<_>> = self.set.iter().map(|text| serve::set(text)).collect();
        let config = self.place.configuration(set?)?;
        let over = match self.over {
            Transport::Websocket => Over::WebSocket,
            Transport::Mqtt => Over::Mqtt,
        };
        let end = self.setup_key.as_ref().or(self.tenant_path.as_ref());
        if let (Over::Mqtt, Some(_)) = (over, end) {
            let words = "--setup-key and --tenant-path are for WebSocket: DHCP has no place for the user name of a broker";
            return Err(Exit::error(Failure::Usage, words));
        }
        let mut url = discovery::url(&config, over, self.host.as_deref())
            .map_err(|error| Exit::error(Failure::Refused, error.to_string()))?;
        if let Some(end) = end {
            let good = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
            if end.is_empty() || !end.bytes().all(good) {
                let words = format!("{end:?} is neither a setup key nor the name of a tenant");
                return Err(Exit::error(Failure::Usage, words));
            }
            url = format!("{url}/{end}");
        }
        let Some(endpoint_id) = discovery::endpoint_id(&config)? else {
            let words = format!(
                "{} has no endpoint id yet: start the server once, or set usp.endpoint_id",
                config.data_dir.display()
            );
            return Err(Exit::error(Failure::Refused, words));
        };
        Ok(Offer {
            url: Some(url),
            provisioning_code: self.provisioning_code.clone(),
            retry_min_wait: self.retry_min_wait,
            retry_multiplier: self.retry_multiplier,
            endpoint_id: Some(endpoint_id),
        })
    }
}
