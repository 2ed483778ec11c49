//! The cases of TP-469 by section, and why some of them do not apply to an agent of this kind.
//! Deliberately no words of the test plan: its numbers are enough to look a case up.

use std::ops::RangeInclusive;

/// One section of the test plan.
pub struct Area {
    /// Its number.
    pub section: u32,
    /// The number of its last case.
    pub last: u32,
    /// Cases that do not apply, and why.
    pub apart: &'static [(RangeInclusive<u32>, &'static str)],
}

const GONE: &str = "withdrawn from the test plan";
const CLOCK: &str = "certificates in session contexts take a host that knows the time";

/// The whole plan.
pub const AREAS: &[Area] = &[
    Area {
        section: 1,
        last: 107,
        apart: &[(63..=63, GONE), (69..=69, GONE), (85..=85, GONE)],
    },
    Area {
        section: 2,
        last: 27,
        apart: &[(3..=5, GONE), (6..=6, CLOCK)],
    },
    Area {
        section: 3,
        last: 15,
        apart: &[],
    },
    Area {
        section: 4,
        last: 1,
        apart: &[],
    },
    Area {
        section: 5,
        last: 8,
        apart: &[(1..=8, GONE)],
    },
    Area {
        section: 6,
        last: 12,
        apart: &[],
    },
    Area {
        section: 7,
        last: 12,
        apart: &[(3..=3, GONE), (5..=5, GONE)],
    },
    Area {
        section: 8,
        last: 7,
        apart: &[(4..=4, "names below .local are left to the host's resolver")],
    },
    Area {
        section: 9,
        last: 11,
        apart: &[
            (1..=1, GONE),
            (2..=2, "no certificates in the data model"),
            (3..=8, "no firmware download"),
        ],
    },
    Area {
        section: 10,
        last: 13,
        apart: &[(1..=13, "no bulk data collection")],
    },
    Area {
        section: 11,
        last: 17,
        apart: &[(1..=17, "no MQTT")],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_has_230_cases() {
        assert_eq!(AREAS.iter().map(|area| area.last).sum::<u32>(), 230);
    }
}
