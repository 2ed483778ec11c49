//! Fleets of simulated devices for the measurements.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rig::{Fault, Server};
use sim::cwmp::{Fleet, FleetConfig, Kind, Provision};

/// How long the onboarding of a fleet may take, for each of its devices and at least.
const EACH: Duration = Duration::from_millis(250);
const AT_LEAST: Duration = Duration::from_secs(120);
/// Nothing happens any more when no session was begun for this long.
const QUIET: Duration = Duration::from_secs(3);
/// Devices that are onboarded at the same time take their turns.
const RAMP: u32 = 100;

pub fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// A fleet with this ACS that informs only when it is told to.
pub async fn of(url: &str, password: &str, devices: u32, first: u32) -> Result<Fleet, Fault> {
    let config = FleetConfig {
        counts: vec![(Kind::Tr181, devices)],
        first_number: first,
        provision: Provision {
            url: url.to_owned(),
            username: "default".to_owned(),
            password: password.to_owned(),
            inform_interval: 86_400,
            ..Provision::default()
        },
        ramp_per_second: RAMP,
        ..FleetConfig::default()
    };
    Ok(Fleet::start(config).await?)
}

/// A fleet that the server knows and has nothing more to ask of.
pub async fn onboarded(server: &Server, devices: u32, first: u32) -> Result<Fleet, Fault> {
    let fleet = of(&server.cwmp(), &server.setup_key, devices, first).await?;
    settled(&fleet, devices).await?;
    quiet(&fleet).await?;
    Ok(fleet)
}

/// Waits until all have had a good session.
pub async fn settled(fleet: &Fleet, devices: u32) -> Result<(), Fault> {
    let end = Instant::now() + AT_LEAST.max(EACH * devices);
    while count(&fleet.counts().settled) < u64::from(devices) {
        if Instant::now() > end {
            let counts = fleet.counts();
            return Err(format!("of {devices} devices not all were onboarded: {counts:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Waits until no session is begun any more.
pub async fn quiet(fleet: &Fleet) -> Result<(), Fault> {
    let (mut known, mut since) = (u64::MAX, Instant::now());
    let end = Instant::now() + AT_LEAST;
    while since.elapsed() < QUIET {
        let counts = fleet.counts();
        let now = count(&counts.sessions);
        if now != known || count(&counts.ended) < now {
            (known, since) = (now, Instant::now());
        }
        if Instant::now() > end {
            return Err(format!("the devices do not come to rest: {counts:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// The ids of the devices that the server knows.
pub fn ids(server: &Server) -> Result<Vec<String>, Fault> {
    let (mut api, mut ids) = (server.api()?, Vec::new());
    let mut page = "/devices?limit=500".to_owned();
    loop {
        let list = api.call("GET", &page, None)?;
        let items = list["items"].as_array().ok_or("no list of devices")?.iter();
        ids.extend(items.filter_map(|device| device["id"].as_str().map(str::to_owned)));
        let Some(next) = list["next"].as_str() else {
            return Ok(ids);
        };
        page = format!("/devices?limit=500&cursor={next}");
    }
}
