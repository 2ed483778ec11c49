//! Values that move, as pure functions of a seed and the time: no state, no task, no clock,
//! so that ten thousand devices cost nothing until somebody reads them.

use std::f64::consts::TAU;
use std::time::Duration;

/// How a number moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Motion {
    /// Grows at a rate between `low` and `high` per second that swells and ebbs; never falls.
    Counter {
        /// Slowest growth per second.
        low: f64,
        /// Fastest growth per second.
        high: f64,
    },
    /// Wanders between `low` and `high`.
    Walk {
        /// Lowest value.
        low: f64,
        /// Highest value.
        high: f64,
    },
}

/// The longest swell of a counter and of a walk, in seconds.
const SWELL_SECONDS: f64 = 900.0;
/// How much a counter's rate swells around its mean; below 1, so that it never falls.
const SWELL: f64 = 0.8;

impl Motion {
    /// The value `elapsed` after the start, for a parameter whose path and device give `seed`.
    pub fn at(self, seed: u64, elapsed: Duration) -> i64 {
        let t = elapsed.as_secs_f64();
        let period = SWELL_SECONDS * (0.2 + 0.8 * unit(seed, 1));
        let phase = TAU * unit(seed, 2);
        let value = match self {
            Motion::Counter { low, high } => {
                // Quiet homes are far more common than busy ones: the rate leans to the low end.
                let rate = low + (high - low) * unit(seed, 3).powi(3);
                let swell = period / TAU * SWELL * (phase.cos() - (TAU * t / period + phase).cos());
                rate * (t + swell)
            }
            Motion::Walk { low, high } => {
                let slow = (TAU * t / period + phase).sin();
                let fast = (TAU * t / (period / 7.3) + phase * 3.1).sin();
                low + (high - low) * (0.5 + 0.35 * slow + 0.15 * fast)
            }
        };
        value.floor() as i64
    }
}

/// A number in 0..1 from a seed and a salt (SplitMix64).
pub fn unit(seed: u64, salt: u64) -> f64 {
    (mix(seed.wrapping_add(salt.wrapping_mul(0x9E37_79B9_7F4A_7C15))) >> 11) as f64
        / (1u64 << 53) as f64
}

/// A seed for one text (a path) of one device.
pub fn seed_of(device: u64, text: &str) -> u64 {
    text.bytes()
        .fold(mix(device), |hash, byte| mix(hash ^ u64::from(byte)))
}

/// SplitMix64's finaliser: every input bit reaches every output bit.
pub fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_never_falls() {
        for seed in 0..200 {
            let counter = Motion::Counter {
                low: 10.0,
                high: 5000.0,
            };
            let mut last = 0;
            for second in 0..2000 {
                let now = counter.at(seed, Duration::from_secs(second));
                assert!(now >= last, "seed {seed} fell at {second}");
                last = now;
            }
            assert!(last > 10 * 1000, "seed {seed} hardly moved: {last}");
        }
    }

    #[test]
    fn a_walk_stays_between_its_bounds_and_moves() {
        for seed in 0..200 {
            let walk = Motion::Walk {
                low: -90.0,
                high: -40.0,
            };
            let values: Vec<i64> = (0..3600)
                .map(|s| walk.at(seed, Duration::from_secs(s)))
                .collect();
            assert!(values.iter().all(|v| (-90..=-40).contains(v)));
            assert!(values.iter().max() != values.iter().min());
        }
    }

    #[test]
    fn two_devices_do_not_move_alike() {
        let path = "Device.IP.Interface.1.Stats.BytesSent";
        assert_ne!(seed_of(1, path), seed_of(2, path));
    }
}
