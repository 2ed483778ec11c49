//! CWMP sessions of simulated devices with `headend serve` as a process of its own: how many a
//! second, what each costs beside a bare HTTP server that has the same exchanges with the same
//! devices in the same run, what an open session weighs, and how a fleet comes back after a power cut.
//!
//! `cargo run --release -p bench-sessions [DEVICES]` in `bench/`, or `cargo xtask bench sessions`.
//! The recovery is that of DEVICES, the 20,000 of the aims when it is not said.
//! HEADEND_PROGRAM measures that program instead of building one.

mod echo;
mod fleet;
mod recovery;

use std::time::{Duration, Instant};

use echo::Echo;
use rig::{Fault, Server, cpu_seconds};
use serde_json::{Value, json};
use sim::cwmp::Fleet;

/// Devices that have sessions without a break: enough that the server is never idle.
const AT_ONCE: u32 = 16;
/// How long each measurement takes.
const WINDOW: Duration = Duration::from_secs(10);
/// Pairs of measurements, one after the other; the median counts.
const ROUNDS: usize = 3;
/// The aims of the project: the cost of a session beside that of the bare exchanges, and in
/// milliseconds of a processor.
const RATIO_AIM: f64 = 0.35;
const CPU_AIM_MS: f64 = 0.3;
/// Devices that are read.
const MANY: u32 = 1000;
/// Devices whose sessions are open at the same time for their weight: so many that it stands out from
/// what the database and the allocator take and give back meanwhile, and not more than one tenant may have.
const OPEN: u32 = 4500;
/// How long the allocator has to give back what is free.
const SETTLE: Duration = Duration::from_secs(12);
/// Devices of the recovery when it is not said.
const DEVICES: u32 = 20_000;
/// People or programs that ask for reads at the same time.
const CALLERS: usize = 16;
/// When reads are given up.
const LATE: Duration = Duration::from_secs(120);
/// What is read of each device.
const READ: usize = 40;

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("echo") {
        return echo::serve().await;
    }
    let devices = argument.map_or(Ok(DEVICES), |text| text.parse())?;
    let server = Server::start()?;
    let fleet = fleet::onboarded(&server, AT_ONCE, 1).await?;
    let plain = measured_beside(&server, &fleet, false).await?;
    tell("Inform, empty POST, 204", &plain, CPU_AIM_MS);
    fleet.stop().await;
    let known = fleet::ids(&server)?;
    let fleet = fleet::onboarded(&server, MANY, 100_001).await?;
    let mut asked = fleet::ids(&server)?;
    asked.retain(|device| !known.contains(device));
    let (asked_ms, reading) = reading(&server, &fleet, asked).await?;
    println!("asking for a read of 40 parameters: {asked_ms:.3} ms of processor each");
    tell(
        "Inform and a read of 40 parameters, the values, the end and what was said stored",
        &reading,
        0.0,
    );
    fleet.stop().await;
    let fleet = fleet::onboarded(&server, OPEN, 150_001).await?;
    weight(&server, &fleet).await?;
    fleet.stop().await;
    recovery::measure(&server, devices).await
}

/// What sessions cost: those of the server, and those of the bare one.
struct Measured {
    per_second: f64,
    ours_ms: f64,
    bare_ms: f64,
}

fn tell(what: &str, measured: &Measured, aim_ms: f64) {
    let Measured {
        per_second,
        ours_ms,
        bare_ms,
    } = measured;
    let ratio = bare_ms / ours_ms;
    let verdict = if ratio >= RATIO_AIM { "met" } else { "MISSED" };
    println!("{what}: {per_second:.0} sessions a second");
    println!(
        "  {ours_ms:.3} ms of processor each, bare exchanges {bare_ms:.3} ms: ratio {ratio:.2} (aim {RATIO_AIM}: {verdict})"
    );
    if aim_ms > 0.0 {
        let verdict = if *ours_ms <= aim_ms { "met" } else { "MISSED" };
        println!("  aim {aim_ms} ms: {verdict}");
    }
}

/// Lets the devices have sessions without a break for a while; sessions a second, and milliseconds of
/// the process each.
async fn restless(fleet: &Fleet, process: u32) -> Result<(f64, f64), Fault> {
    let ended = || fleet::count(&fleet.counts().ended);
    fleet.restless(true);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (first, cpu, begun) = (ended(), cpu_seconds(process)?, Instant::now());
    tokio::time::sleep(WINDOW).await;
    let (sessions, cpu) = (ended() - first, cpu_seconds(process)? - cpu);
    let seconds = begun.elapsed().as_secs_f64();
    fleet.restless(false);
    fleet::quiet(fleet).await?;
    if sessions == 0 {
        return Err("no session came to its end".into());
    }
    Ok((sessions as f64 / seconds, cpu * 1000.0 / sessions as f64))
}

/// Rounds of the server and of the bare one in turn; those of the median ratio.
async fn measured_beside(server: &Server, fleet: &Fleet, read: bool) -> Result<Measured, Fault> {
    let echo = Echo::start(read)?;
    let bare_fleet = fleet::of(&echo.url(), "bench", AT_ONCE, 1).await?;
    fleet::settled(&bare_fleet, AT_ONCE).await?;
    let failed = fleet::count(&fleet.counts().failed);
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let (_, bare_ms) = restless(&bare_fleet, echo.process()).await?;
        let (per_second, ours_ms) = restless(fleet, server.process()).await?;
        rounds.push(Measured {
            per_second,
            ours_ms,
            bare_ms,
        });
    }
    bare_fleet.stop().await;
    let failed = fleet::count(&fleet.counts().failed) - failed;
    if failed > 0 {
        println!("({failed} sessions failed)");
    }
    let ratio = |round: &Measured| round.bare_ms / round.ours_ms;
    rounds.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    Ok(rounds.swap_remove(ROUNDS / 2))
}

/// An operation that reads is asked for of each of the devices, which cannot be woken; then all of them inform. What
/// asking costs, and what the sessions cost in which it is done.
async fn reading(
    server: &Server,
    fleet: &Fleet,
    devices: Vec<String>,
) -> Result<(f64, Measured), Fault> {
    let echo = Echo::start(true)?;
    let bare_fleet = fleet::of(&echo.url(), "bench", AT_ONCE, 1).await?;
    fleet::settled(&bare_fleet, AT_ONCE).await?;
    let (_, bare_ms) = restless(&bare_fleet, echo.process()).await?;
    bare_fleet.stop().await;
    let count = devices.len();
    let cpu = server.cpu_seconds()?;
    let callers = devices.chunks(count.div_ceil(CALLERS)).map(|devices| {
        let (mut api, devices) = (server.caller()?, devices.to_vec());
        Ok(std::thread::spawn(move || ask(&mut api, &devices)))
    });
    let callers = callers.collect::<Result<Vec<_>, Fault>>()?;
    for caller in callers {
        tokio::task::block_in_place(|| caller.join()).map_err(|_| "a caller failed")??;
    }
    let asked_ms = (server.cpu_seconds()? - cpu) * 1000.0 / count as f64;
    let (began_with, cpu) = (fleet::count(&fleet.counts().ended), server.cpu_seconds()?);
    let begun = Instant::now();
    fleet.inform();
    let open = "/operations?limit=1&state=queued&state=running&state=verifying";
    let mut api = server.caller()?;
    loop {
        let left = api.call("GET", open, None)?;
        if left["items"] == json!([]) {
            break;
        }
        if begun.elapsed() > LATE {
            let ended = fleet::count(&fleet.counts().ended) - began_with;
            return Err(format!(
                "the reads do not come to their end after {ended} sessions: {left:#}"
            )
            .into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), server.cpu_seconds()? - cpu);
    let sorry = "/operations?limit=1&state=failed&state=partly&state=expired&state=unconfirmed";
    let failed = &api.call("GET", sorry, None)?["items"][0];
    if !failed.is_null() {
        return Err(format!("a read failed: {failed:#}").into());
    }
    let sessions = fleet::count(&fleet.counts().ended) - began_with;
    println!("({count} reads in {sessions} sessions)");
    let measured = Measured {
        per_second: count as f64 / seconds,
        ours_ms: cpu * 1000.0 / count as f64,
        bare_ms,
    };
    Ok((asked_ms, measured))
}

fn ask(api: &mut rig::Api, devices: &[String]) -> Result<(), Fault> {
    let body = json!({"ops": [{"kind": "get", "paths": paths()}]});
    for device in devices {
        api.call(
            "POST",
            &format!("/devices/{device}/operations"),
            Some(&body),
        )?;
    }
    Ok(())
}

/// Forty parameters of a gateway.
fn paths() -> Vec<Value> {
    let radio = [
        "Channel",
        "Status",
        "Enable",
        "TransmitPower",
        "OperatingFrequencyBand",
    ];
    let ssid = ["SSID", "Status", "Enable", "BSSID", "Name"];
    let stats = [
        "BytesSent",
        "BytesReceived",
        "PacketsSent",
        "PacketsReceived",
        "ErrorsSent",
    ];
    let mut paths = Vec::new();
    for row in 1..=2 {
        paths.extend(radio.map(|name| format!("Device.WiFi.Radio.{row}.{name}")));
        paths.extend(ssid.map(|name| format!("Device.WiFi.SSID.{row}.{name}")));
        paths.extend(stats.map(|name| format!("Device.Ethernet.Interface.{row}.Stats.{name}")));
    }
    let info = [
        "Manufacturer",
        "ModelName",
        "ProductClass",
        "SerialNumber",
        "HardwareVersion",
        "SoftwareVersion",
        "UpTime",
        "ProvisioningCode",
        "MemoryStatus.Free",
        "ProcessStatus.CPUUsage",
    ];
    paths.extend(info.map(|name| format!("Device.DeviceInfo.{name}")));
    assert_eq!(paths.len(), READ);
    paths.into_iter().map(Value::from).collect()
}

/// The memory of sessions that are open and silent: how much more is resident while they are than before or after,
/// whichever is less. The allocator gives back late and takes in large pieces, so the rounds differ, and the
/// most that was seen counts: it has in it what their coming at once takes.
async fn weight(server: &Server, fleet: &Fleet) -> Result<(), Fault> {
    let mut most: f64 = 0.0;
    for _ in 0..=ROUNDS {
        let before = server.resident_kib()?;
        fleet.hold(true);
        fleet.inform();
        let end = Instant::now() + Duration::from_secs(20);
        while fleet.held() < u64::from(OPEN) && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let held = fleet.held();
        tokio::time::sleep(SETTLE).await;
        let during = server.resident_kib()?;
        fleet.hold(false);
        fleet::quiet(fleet).await?;
        tokio::time::sleep(SETTLE).await;
        let after = server.resident_kib()?;
        let each = (during as f64 - before.min(after) as f64) / held.max(1) as f64;
        println!(
            "{held} open sessions: resident {before} KiB before, {during} KiB while they were open, {after} KiB after: {each:.1} KiB each"
        );
        most = most.max(each);
    }
    println!("  at most {most:.1} KiB each");
    Ok(())
}
