//! Moments on the command line: a time, a day, or how long ago.

use api::Time;

/// Reads `2026-11-21T04:05:06Z`, `2026-11-21`, or an age like `30m`, `2h`, `7d`.
pub fn parse(text: &str) -> Result<Time, String> {
    let day = format!("{text}T00:00:00Z");
    if let Some(at) = Time::parse(text).or_else(|| Time::parse(&day)) {
        return Ok(at);
    }
    let seconds = age(text).ok_or(
        "write a time (2026-11-21T04:05:06Z), a day (2026-11-21) or an age (90s, 30m, 2h, 7d)",
    )?;
    Ok(Time::from_unix_ms(now_ms().saturating_sub(seconds * 1000)))
}

/// The moment this many days from now.
pub fn in_days(days: u32) -> Time {
    Time::from_unix_ms(now_ms() + i64::from(days) * 86_400_000)
}

fn age(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    Some(i64::from(number) * seconds)
}

fn now_ms() -> i64 {
    let nanos = time::OffsetDateTime::now_utc().unix_timestamp_nanos();
    i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_days_and_ages_are_understood_and_nothing_else() {
        assert_eq!(
            parse("2026-11-21").unwrap().to_string(),
            "2026-11-21T00:00:00.000Z"
        );
        assert_eq!(
            parse("2026-11-21T04:05:06+01:00"),
            parse("2026-11-21T03:05:06Z")
        );
        assert_eq!(age("90s"), Some(90));
        assert_eq!(age("7d"), Some(7 * 86_400));
        let hour = parse("1h").unwrap();
        assert!((now_ms() - hour.unix_ms() - 3_600_000).abs() < 60_000);
        for bad in ["", "yesterday", "5", "5w", "-5m", "é"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
