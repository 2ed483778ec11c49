//! `sim`: simulated CPEs against any controller.

use crate::exit::{self, Exit, Failure};
use crate::lifetime;
use anyhow::Result;
use sim::cwmp::{self, FleetConfig, Provision, Troubles};
use sim::model::Kind;
use sim::swarm::{self, MqttAddress, MqttConfig, StompAddress, StompConfig, SwarmConfig};
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// How many devices that speak USP [default: 25, or none when there are others]
    #[arg(long)]
    count: Option<u32>,
    /// The controller's WebSocket URL without the credential, or its broker's, like
    /// mqtt://127.0.0.1:1883 or stomp://127.0.0.1:61613
    #[arg(long, default_value = "ws://127.0.0.1:8081/usp", value_parser = controller_url)]
    url: String,
    /// Their username where the URL is one of MQTT or STOMP; {endpoint} is each device's own endpoint id [default:
    /// default/setup, and default/setup/{endpoint} over STOMP, which has no client identifier]
    #[arg(long, value_name = "NAME")]
    mqtt_username: Option<String>,
    /// Their version of MQTT, 5.0 or 3.1.1: older brokers, RabbitMQ before 3.13 among them, speak 3.1.1 alone
    #[arg(long, default_value = "5.0", value_name = "VERSION", value_parser = ["5.0", "3.1.1"])]
    mqtt_version: String,
    /// The tenant's setup key: the last part of a WebSocket URL's path, and the password over MQTT, over
    /// STOMP and of devices that speak CWMP
    #[arg(long, env = "HEADEND_SETUP_KEY", hide_env_values = true)]
    setup_key: String,
    /// The controller's endpoint id; only devices that speak USP need it
    #[arg(long)]
    controller: Option<String>,
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
    /// PEM file of an authority to trust for wss and https
    #[arg(long)]
    ca: Option<PathBuf>,
    /// How many devices that speak CWMP, with the data model of today (TR-181)
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    cwmp_devices: u32,
    /// How many devices that speak CWMP, with that of old gateways (TR-098)
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    tr098: u32,
    /// Where devices that speak CWMP find their ACS
    #[arg(long, default_value = "http://127.0.0.1:7547/", value_parser = http, value_name = "URL")]
    cwmp_url: String,
    /// Their username; {serial} and {oui} are each device's own
    #[arg(long, default_value = "default", value_name = "NAME")]
    cwmp_username: String,
    /// Where their connection requests come in
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    cwmp_listen: SocketAddr,
    /// Seconds between their periodic informs, until the ACS sets another interval
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    cwmp_interval: u32,
    /// They are behind NATs: woken over UDP when STUN is set up
    #[arg(long)]
    cwmp_nat: bool,
    /// What goes wrong with them, like drops=50,loses=20,reboots=10,batch=16,batch-fault=9002,
    /// silent-transfers,no-empty-path,own-password: of a thousand sessions, and names in one message
    #[arg(long, default_value = "", value_name = "TROUBLES")]
    cwmp_trouble: Troubles,
    /// End when standard input ends, for a program that starts this one
    #[arg(long, hide = true)]
    until_stdin_ends: bool,
}

#[derive(Clone)]
struct Kinds(Vec<Kind>);

pub async fn run(args: Args) -> Result<()> {
    crate::serve::log("info");
    let shutdown = lifetime::until_stopped();
    if args.until_stdin_ends {
        lifetime::with_stdin(&shutdown);
    }
    let usp = usp(&args)?;
    let cwmp = cwmp(&args);
    if let Some(config) = &usp {
        exit::tell(&format!(
            "{} simulated devices dial {}",
            config.count, args.url
        ));
    }
    if let Some(config) = &cwmp {
        let count: u32 = config.counts.iter().map(|(_, count)| count).sum();
        exit::tell(&format!(
            "{count} simulated devices inform {}",
            config.provision.url
        ));
    }
    let usp = async {
        match usp {
            Some(config) => Ok(swarm::run(config, shutdown.clone()).await?),
            None => anyhow::Ok(()),
        }
    };
    let cwmp = async {
        match cwmp {
            Some(config) => Ok(cwmp::run(config, shutdown.clone()).await?),
            None => anyhow::Ok(()),
        }
    };
    // When one cannot begin, the other need not go on.
    tokio::try_join!(usp, cwmp)?;
    Ok(())
}

/// The devices that speak USP, if there are any.
fn usp(args: &Args) -> Result<Option<SwarmConfig>> {
    let others = args.cwmp_devices > 0 || args.tr098 > 0;
    let count = args.count.unwrap_or(if others { 0 } else { 25 });
    if count == 0 {
        return Ok(None);
    }
    let controller = args.controller.clone().ok_or_else(|| {
        let words = "--controller is missing: devices that speak USP have to know its endpoint id";
        Exit::error(Failure::Usage, words.to_owned())
    })?;
    let username = |usual: &str| {
        args.mqtt_username
            .clone()
            .unwrap_or_else(|| usual.to_owned())
    };
    let (mut mqtt, mut stomp) = (None, None);
    let url = if MqttAddress::is_one(&args.url) {
        mqtt = Some(MqttConfig {
            version: args.mqtt_version.clone(),
            username: username("default/setup"),
            password: args.setup_key.clone(),
            ..MqttConfig::default()
        });
        args.url.clone()
    } else if StompAddress::is_one(&args.url) {
        stomp = Some(StompConfig {
            username: username("default/setup/{endpoint}"),
            password: args.setup_key.clone(),
            ..StompConfig::default()
        });
        args.url.clone()
    } else {
        let url = args.url.trim_end_matches('/');
        format!("{url}/{}", args.setup_key)
    };
    Ok(Some(SwarmConfig {
        count,
        kinds: args.model.0.clone(),
        first_number: args.first_serial,
        seed: args.seed,
        controller,
        url,
        mqtt,
        stomp,
        ca_file: args.ca.clone(),
        data: args.data.clone(),
        ramp_per_second: args.ramp,
        retry_min_wait: swarm::RETRY_MIN_WAIT,
    }))
}

/// The devices that speak CWMP, if there are any.
fn cwmp(args: &Args) -> Option<FleetConfig> {
    let counts = [
        (cwmp::Kind::Tr181, args.cwmp_devices),
        (cwmp::Kind::Tr098, args.tr098),
    ];
    let counts: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
    (!counts.is_empty()).then(|| FleetConfig {
        counts,
        first_number: args.first_serial,
        seed: args.seed,
        provision: Provision {
            url: args.cwmp_url.clone(),
            username: args.cwmp_username.clone(),
            password: args.setup_key.clone(),
            behind_nat: args.cwmp_nat,
            inform_interval: args.cwmp_interval,
            ..Provision::default()
        },
        listen: args.cwmp_listen,
        troubles: args.cwmp_trouble,
        ca_file: args.ca.clone(),
        data: args.data.clone(),
        ramp_per_second: args.ramp,
    })
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

fn controller_url(text: &str) -> Result<String, String> {
    if MqttAddress::is_one(text) {
        return MqttAddress::parse(text).map(|_| text.to_owned());
    }
    if StompAddress::is_one(text) {
        return StompAddress::parse(text).map(|_| text.to_owned());
    }
    let rest = text
        .strip_prefix("ws://")
        .or_else(|| text.strip_prefix("wss://"))
        .ok_or(
            "agents speak WebSocket, MQTT or STOMP: it begins with ws://, wss://, mqtt://, mqtts://, mqtt+ws://, mqtt+wss://, stomp:// or stomps://",
        )?;
    with_host(text, rest)
}

fn http(text: &str) -> Result<String, String> {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))
        .ok_or("CWMP is spoken over HTTP: it begins with http:// or https://")?;
    with_host(text, rest)
}

fn with_host(text: &str, rest: &str) -> Result<String, String> {
    match rest.split('/').next() {
        Some(host) if !host.is_empty() => Ok(text.to_owned()),
        _ => Err("there is no host in it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_speak_the_version_of_mqtt_that_is_asked_for() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        let parse = |more: &[&str]| {
            let line = "sim --url mqtt://127.0.0.1:1883 --controller self::us --setup-key hes_k";
            let words = line.split(' ').chain(more.iter().copied());
            <Line as clap::Parser>::try_parse_from(words)
        };
        let version = |more: &[&str]| {
            let line = parse(more).ok().unwrap();
            let mqtt = usp(&line.args).unwrap().unwrap().mqtt.unwrap();
            mqtt.version
        };
        assert_eq!(version(&[]), "5.0");
        assert_eq!(version(&["--mqtt-version", "3.1.1"]), "3.1.1");
        assert!(parse(&["--mqtt-version", "3.1"]).is_err());
    }

    #[test]
    fn over_stomp_the_user_name_says_which_device_it_is() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        let username = |more: &[&str]| {
            let line = "sim --url stomp://127.0.0.1:61613 --controller self::us --setup-key hes_k";
            let words = line.split(' ').chain(more.iter().copied());
            let line = <Line as clap::Parser>::try_parse_from(words).ok().unwrap();
            let stomp = usp(&line.args).unwrap().unwrap().stomp.unwrap();
            stomp.username
        };
        assert_eq!(username(&[]), "default/setup/{endpoint}");
        assert_eq!(username(&["--mqtt-username", "acme/0123"]), "acme/0123");
    }

    #[test]
    fn usp_dials_websockets_and_brokers_and_cwmp_http() {
        for good in [
            "ws://127.0.0.1:8081/usp",
            "wss://usp.example.net",
            "mqtt://127.0.0.1:1883",
            "mqtts://mqtt.example.net",
            "stomp://127.0.0.1:61613",
        ] {
            assert_eq!(controller_url(good).as_deref(), Ok(good));
        }
        for bad in [
            "http://127.0.0.1:8081/usp",
            "127.0.0.1:8081",
            "ws:///usp",
            "mqtt://",
        ] {
            assert!(controller_url(bad).is_err(), "{bad}");
        }
        for good in ["http://127.0.0.1:7547/", "https://acs.example.net/cwmp"] {
            assert_eq!(http(good).as_deref(), Ok(good));
        }
        for bad in ["ws://127.0.0.1:7547/", "127.0.0.1:7547", "http:///acs"] {
            assert!(http(bad).is_err(), "{bad}");
        }
    }
}
