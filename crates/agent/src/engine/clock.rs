//! TR-106 dateTime of a wall clock that comes in as an argument.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since the epoch as `2026-11-21T04:00:00Z`.
pub(crate) fn format_ms(unix_ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp(unix_ms.div_euclid(1000))
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| UNKNOWN.to_owned())
}

/// TR-106 "Unknown Time".
pub(crate) const UNKNOWN: &str = "0001-01-01T00:00:00Z";

/// The reverse; 0 for Unknown Time and for what is no time.
pub(crate) fn parse_ms(text: &str) -> i64 {
    if text == UNKNOWN {
        return 0;
    }
    OffsetDateTime::parse(text, &Rfc3339)
        .map_or(0, |at| (at.unix_timestamp_nanos() / 1_000_000) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_text_form() {
        assert_eq!(format_ms(0), "1970-01-01T00:00:00Z");
        assert_eq!(parse_ms(&format_ms(1_795_233_600_000)), 1_795_233_600_000);
        assert_eq!(parse_ms(UNKNOWN), 0);
    }
}
