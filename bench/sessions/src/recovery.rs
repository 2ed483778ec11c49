//! The power comes back: all devices of a fleet inform within a minute.

use std::time::{Duration, Instant};

use rig::{Fault, Server};

use crate::fleet::{self, count};

/// All come back within this time.
const WITHIN: Duration = Duration::from_secs(60);
/// The aim of the project: no session takes longer from its first try.
const STARVED: Duration = Duration::from_secs(30);
/// When it is given up.
const LATE: Duration = Duration::from_secs(900);

/// Cuts the power of so many onboarded devices, and watches them come back.
pub async fn measure(server: &Server, devices: u32) -> Result<(), Fault> {
    let fleet = fleet::onboarded(server, devices, 200_001).await?;
    let counts = fleet.counts();
    let known = [&counts.failed, &counts.sent_away, &counts.sessions].map(count);
    counts
        .longest_start_ms
        .store(0, std::sync::atomic::Ordering::Relaxed);
    counts
        .longest_answer_ms
        .store(0, std::sync::atomic::Ordering::Relaxed);
    let (resident, cpu) = (server.resident_kib()?, server.cpu_seconds()?);
    let begun = Instant::now();
    for device in 0..fleet.len() {
        fleet.power_cut(device, WITHIN.mul_f64(device as f64 / fleet.len() as f64));
    }
    // Those that come first may be back before the last have gone.
    let gone = begun + Duration::from_secs(1);
    tokio::time::sleep_until(gone.into()).await;
    let mut peak = resident;
    while count(&counts.settled) < u64::from(devices) {
        peak = peak.max(server.resident_kib()?);
        if begun.elapsed() > LATE {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = begun.elapsed();
    let back = count(&counts.settled);
    let [failed, sent_away, sessions] =
        [&counts.failed, &counts.sent_away, &counts.sessions].map(count);
    let longest = Duration::from_millis(count(&counts.longest_start_ms));
    let answer = Duration::from_millis(count(&counts.longest_answer_ms));
    let verdict = |good: bool| if good { "met" } else { "MISSED" };
    println!("{devices} devices come back within {WITHIN:?}:");
    println!(
        "  {back} are back after {:.1} s (aim: all: {}), in {} sessions with {:.1} s of processor",
        took.as_secs_f64(),
        verdict(back == u64::from(devices)),
        sessions - known[2],
        server.cpu_seconds()? - cpu
    );
    println!(
        "  longest from switched on to done {:.1} s (aim {STARVED:?}: {}), longest answer {:.2} s",
        longest.as_secs_f64(),
        verdict(longest <= STARVED),
        answer.as_secs_f64()
    );
    println!(
        "  {} sessions failed, {} of them sent away; resident {resident} KiB before, {peak} KiB at most",
        failed - known[0],
        sent_away - known[1]
    );
    fleet.stop().await;
    Ok(())
}
