//! The diagnostics that a simulated CPE can run, with made-up but plausible results.

use crate::motion::unit;
use std::time::Duration;

/// The most hops of a simulated route.
const HOPS_MAX: u32 = 12;

/// Names and values, by TR-181.
pub type Outputs = Vec<(String, String)>;

/// What to test.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// A ping, or else a route.
    pub is_ping: bool,
    /// To where.
    pub host: &'a str,
    /// How often.
    pub repetitions: Option<u32>,
}

/// How long the test takes, and what comes out.
pub fn run(wanted: &Wanted<'_>, seed: u64) -> (Duration, Outputs) {
    if wanted.host.ends_with(".invalid") {
        let status = ("Status", "Error_CannotResolveHostName".to_owned());
        return (Duration::from_secs(1), named([status]));
    }
    if wanted.is_ping {
        ping(wanted, seed)
    } else {
        route(seed)
    }
}

fn ping(wanted: &Wanted<'_>, seed: u64) -> (Duration, Outputs) {
    let asked = wanted.repetitions.unwrap_or(4).clamp(1, 100);
    let times: Vec<f64> = (0..asked)
        .filter(|turn| unit(seed, u64::from(*turn) * 2) > 0.02)
        .map(|turn| 6.0 + 22.0 * unit(seed, u64::from(turn) * 2 + 1))
        .collect();
    let lost = asked - times.len() as u32;
    let average = times.iter().sum::<f64>() / (times.len().max(1)) as f64;
    let least = times
        .iter()
        .copied()
        .fold(f64::INFINITY, f64::min)
        .min(average);
    let most = times.iter().copied().fold(0.0, f64::max);
    let outputs = [
        ("Status", "Complete".to_owned()),
        ("IPAddressUsed", "198.51.100.7".to_owned()),
        ("SuccessCount", times.len().to_string()),
        ("FailureCount", lost.to_string()),
        ("AverageResponseTime", format!("{average:.0}")),
        ("MinimumResponseTime", format!("{least:.0}")),
        ("MaximumResponseTime", format!("{most:.0}")),
        (
            "AverageResponseTimeDetailed",
            format!("{:.0}", average * 1000.0),
        ),
        (
            "MinimumResponseTimeDetailed",
            format!("{:.0}", least * 1000.0),
        ),
        (
            "MaximumResponseTimeDetailed",
            format!("{:.0}", most * 1000.0),
        ),
    ];
    let takes = Duration::from_millis(200 * u64::from(asked));
    (takes, named(outputs))
}

fn route(seed: u64) -> (Duration, Outputs) {
    let hops = 3 + (unit(seed, 1) * f64::from(HOPS_MAX - 3)) as u32;
    let mut outputs = vec![
        ("Status".to_owned(), "Complete".to_owned()),
        ("IPAddressUsed".to_owned(), "198.51.100.7".to_owned()),
        ("ResponseTime".to_owned(), (8 + hops * 2).to_string()),
    ];
    for hop in 1..=hops {
        let near = unit(seed, u64::from(hop) + 9);
        outputs.push((
            format!("RouteHops.{hop}.Host"),
            format!("hop{hop}.example.net"),
        ));
        outputs.push((
            format!("RouteHops.{hop}.HostAddress"),
            format!("203.0.113.{hop}"),
        ));
        outputs.push((format!("RouteHops.{hop}.ErrorCode"), "0".to_owned()));
        let time = format!("{:.0}", f64::from(hop) * (1.0 + 2.0 * near));
        outputs.push((format!("RouteHops.{hop}.RTTimes"), time));
    }
    (Duration::from_secs(2), outputs)
}

fn named<const N: usize>(outputs: [(&str, String); N]) -> Outputs {
    outputs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Milliseconds since the Unix epoch as a dateTime of TR-106, in UTC.
pub fn date_time(unix_ms: i64) -> String {
    time::OffsetDateTime::from_unix_timestamp(unix_ms.div_euclid(1000))
        .ok()
        .and_then(|at| {
            at.format(&time::format_description::well_known::Rfc3339)
                .ok()
        })
        .unwrap_or_else(|| "0001-01-01T00:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_tr106_wants_them() {
        assert_eq!(date_time(0), "1970-01-01T00:00:00Z");
        assert_eq!(date_time(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(date_time(1_795_234_506_789), "2026-11-21T04:15:06Z");
    }

    #[test]
    fn a_ping_counts_every_packet() {
        let wanted = Wanted {
            is_ping: true,
            host: "example.net",
            repetitions: Some(50),
        };
        let (_, outputs) = run(&wanted, 3);
        let number = |name: &str| -> u32 {
            let found = outputs.iter().find(|(key, _)| key == name).unwrap();
            found.1.parse().unwrap()
        };
        assert_eq!(number("SuccessCount") + number("FailureCount"), 50);
    }
}
