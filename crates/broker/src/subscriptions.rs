//! What one client has subscribed to. Pure.

use mtp::{limits::MQTT_FILTERS_MAX, mqtt::topic};

/// The filters of one client, each with the quality of service it was granted.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions(Vec<(Box<str>, u8)>);

impl Subscriptions {
    /// Adds or replaces one; false when there are too many.
    pub(crate) fn add(&mut self, filter: String, qos: u8) -> bool {
        if let Some(known) = self.0.iter_mut().find(|(known, _)| **known == *filter) {
            known.1 = qos;
            return true;
        }
        if self.0.len() >= MQTT_FILTERS_MAX {
            return false;
        }
        self.0.push((filter.into(), qos));
        true
    }

    /// Removes one; false when there was none.
    pub(crate) fn remove(&mut self, filter: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(known, _)| **known != *filter);
        self.0.len() < before
    }

    /// The best quality of service with which a topic is wanted; `None` when it is not.
    pub(crate) fn wanted(&self, name: &str) -> Option<u8> {
        let taken = self.0.iter().filter(|(f, _)| topic::matches(f, name));
        taken.map(|(_, qos)| *qos).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_the_subscriptions_that_take_a_topic_counts_and_their_number_is_limited() {
        let mut all = Subscriptions::default();
        assert!(all.add("a/#".into(), 0) && all.add("a/b".into(), 1));
        assert_eq!((all.wanted("a/b"), all.wanted("a/c")), (Some(1), Some(0)));
        assert!(all.remove("a/b") && !all.remove("a/b"));
        assert_eq!((all.wanted("a/b"), all.wanted("b")), (Some(0), None));
        for n in 1..MQTT_FILTERS_MAX {
            assert!(all.add(format!("x/{n}"), 0));
        }
        assert!(!all.add("one/more".into(), 0));
        assert!(all.add("a/#".into(), 1));
    }
}
