//! dateTime of TR-106: ISO 8601 in UTC, with the Unknown Time and the times relative to boot before year 1000.
//! Only a point in time that can be compared and printed; no calendar arithmetic, no clock.

use std::fmt;

/// A point in time: seconds from 1970-01-01T00:00:00Z and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DateTime {
    seconds: i64,
    nanos: u32,
}

impl DateTime {
    /// The Unknown Time in its canonical text.
    pub const UNKNOWN_TEXT: &'static str = "0001-01-01T00:00:00Z";
    /// The Unknown Time (TR-106 3.2.1).
    pub const UNKNOWN: DateTime = DateTime {
        seconds: -62_135_596_800,
        nanos: 0,
    };
    /// The Infinite Time, `9999-12-31T23:59:59Z`.
    pub const INFINITE: DateTime = DateTime {
        seconds: 253_402_300_799,
        nanos: 0,
    };

    /// A time of `seconds` since the Unix epoch.
    pub fn from_unix(seconds: i64) -> DateTime {
        DateTime { seconds, nanos: 0 }
    }

    /// Seconds since the Unix epoch.
    pub fn unix(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds within the second.
    pub fn subsec_nanos(self) -> u32 {
        self.nanos
    }

    /// Is the Unknown Time.
    pub fn is_unknown(self) -> bool {
        self == DateTime::UNKNOWN
    }

    /// Reads `2026-03-01T12:00:00Z`, with a fraction, with `+01:00` instead of `Z`, or without a zone (taken as UTC,
    /// which is what devices that forget the `Z` mean). `None` for anything else or a day that does not exist.
    pub fn parse(text: &str) -> Option<DateTime> {
        // Everything below slices at fixed places, which is only safe in ASCII.
        if !text.is_ascii() || text.len() < 19 {
            return None;
        }
        let (fixed, mut rest) = text.split_at(19);
        let number = |from: usize, to: usize| digits(&fixed[from..to]);
        let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
        if separators
            .iter()
            .any(|(at, wanted)| fixed.as_bytes()[*at] != *wanted)
        {
            return None;
        }
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
            return None;
        }
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let mut nanos = 0;
        if let Some(fraction) = rest.strip_prefix('.') {
            let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if length == 0 {
                return None;
            }
            // Digits beyond nanoseconds are cut.
            nanos = u32::try_from(digits(&format!("{:0<9}", &fraction[..length.min(9)]))?).ok()?;
            rest = &fraction[length..];
        }
        let seconds =
            days_from_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        Some(DateTime {
            seconds: seconds - zone(rest)?,
            nanos,
        })
    }
}

/// Seconds east of UTC.
fn zone(text: &str) -> Option<i64> {
    if matches!(text, "" | "Z" | "z") {
        return Some(0);
    }
    if text.len() != 6 || text.as_bytes()[3] != b':' {
        return None;
    }
    let (hours, minutes) = (digits(&text[1..3])?, digits(&text[4..6])?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    let offset = hours * 3600 + minutes * 60;
    match text.as_bytes()[0] {
        b'+' => Some(offset),
        b'-' => Some(-offset),
        _ => None,
    }
}

fn digits(text: &str) -> Option<i64> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar; years start in March so that leap days come last.
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + leap_days + day_of_year - 719_468
}

/// Year, month and day of a number of days from 1970-01-01: the inverse of [`days_from_epoch`].
fn date_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_from_days(self.seconds.div_euclid(86_400));
        let in_day = self.seconds.rem_euclid(86_400);
        let (hour, minute, second) = (in_day / 3600, in_day / 60 % 60, in_day % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        if self.nanos > 0 {
            let fraction = format!("{:09}", self.nanos);
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}
