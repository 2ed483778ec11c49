//! Token buckets by key, bounded in memory: an address, a login or a caller has a burst, then a
//! steady rate.

use crate::limits;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How much is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// At once.
    pub burst: u32,
    /// In the long run.
    pub per_second: f64,
}

/// Buckets of one rate.
#[derive(Debug)]
pub struct Limiter {
    rate: Rate,
    buckets: Mutex<HashMap<String, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Limiter {
    /// All buckets full.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            buckets: Mutex::default(),
        }
    }

    /// Takes one; the error says how long to wait.
    pub fn take(&self, key: &str, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        self.make_room(&mut buckets, key, now);
        let bucket = buckets.entry(key.to_owned()).or_insert(Bucket {
            left: f64::from(self.rate.burst),
            at: now,
        });
        bucket.left = self.filled(bucket, now);
        bucket.at = now;
        if bucket.left < 1.0 {
            return Err(self.wait(1.0 - bucket.left));
        }
        bucket.left -= 1.0;
        Ok(())
    }

    /// Whether one could be taken, without taking it.
    pub fn check(&self, key: &str, now: Instant) -> Result<(), Duration> {
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        match buckets.get(key).map(|bucket| self.filled(bucket, now)) {
            Some(left) if left < 1.0 => Err(self.wait(1.0 - left)),
            _ => Ok(()),
        }
    }

    /// Gives one back that was taken. What others took under the same key stays taken.
    pub fn give_back(&self, key: &str) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(key) {
            bucket.left = (bucket.left + 1.0).min(f64::from(self.rate.burst));
        }
    }

    fn filled(&self, bucket: &Bucket, now: Instant) -> f64 {
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.left + since * self.rate.per_second).min(f64::from(self.rate.burst))
    }

    fn wait(&self, missing: f64) -> Duration {
        Duration::from_secs_f64(missing / self.rate.per_second)
    }

    fn make_room(&self, buckets: &mut HashMap<String, Bucket>, key: &str, now: Instant) {
        if buckets.len() < limits::LIMITER_KEYS_MAX || buckets.contains_key(key) {
            return;
        }
        let full = f64::from(self.rate.burst);
        buckets.retain(|_, bucket| self.filled(bucket, now) < full);
        // All of them in use: the one that has most left loses least.
        while buckets.len() >= limits::LIMITER_KEYS_MAX {
            let fullest = buckets
                .iter()
                .max_by(|a, b| self.filled(a.1, now).total_cmp(&self.filled(b.1, now)))
                .map(|(key, _)| key.clone());
            match fullest {
                Some(key) => buckets.remove(&key),
                None => break,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate_each_key_for_itself() {
        let limiter = Limiter::new(Rate {
            burst: 2,
            per_second: 0.5,
        });
        let start = Instant::now();
        assert!(limiter.take("a", start).is_ok() && limiter.take("a", start).is_ok());
        let wait = limiter.take("a", start).unwrap_err();
        assert_eq!(wait, Duration::from_secs(2));
        assert!(limiter.check("a", start).is_err() && limiter.check("b", start).is_ok());
        assert!(limiter.take("b", start).is_ok());
        assert!(limiter.take("a", start + wait).is_ok());
        limiter.give_back("a");
        assert!(limiter.take("a", start + wait).is_ok());
        assert!(limiter.take("a", start + wait).is_err());
        limiter.give_back("nobody");
    }

    #[test]
    fn memory_is_bounded_and_those_that_wait_are_not_freed() {
        let limiter = Limiter::new(Rate {
            burst: 2,
            per_second: 0.001,
        });
        let now = Instant::now();
        let _ = limiter.take("guesser", now);
        let _ = limiter.take("guesser", now);
        for number in 0..limits::LIMITER_KEYS_MAX + 10 {
            let _ = limiter.take(&number.to_string(), now);
        }
        assert!(limiter.buckets.lock().unwrap().len() <= limits::LIMITER_KEYS_MAX);
        assert!(limiter.take("guesser", now).is_err());
    }
}
