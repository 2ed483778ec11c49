//! Whose the queues are that RabbitMQ makes for subscriptions over STOMP. Their names do not say it, and a client that
//! subscribes durably may know or choose the name: the device that was first asked about with a name has it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use super::lock;
use crate::southbound::usp::limits::{BROKER_QUEUE_CHARS_MAX, BROKER_QUEUES_MAX};

/// See the module's words.
#[derive(Default)]
pub(super) struct Queues(Mutex<Known>);

#[derive(Default)]
struct Known {
    owners: HashMap<Arc<str>, Box<str>>,
    /// The same names, the oldest first.
    order: VecDeque<Arc<str>>,
}

impl Queues {
    /// Whether the queue is of one of these; one that is nobody's is the first one's from now on.
    pub fn belongs(&self, queue: &str, owners: &[String]) -> bool {
        let Some(first) = owners.first() else {
            return false;
        };
        if queue.len() > BROKER_QUEUE_CHARS_MAX {
            return false;
        }
        let mut known = lock(&self.0);
        if let Some(owner) = known.owners.get(queue) {
            return owners.iter().any(|one| **one == **owner);
        }
        if known.order.len() >= BROKER_QUEUES_MAX
            && let Some(oldest) = known.order.pop_front()
        {
            known.owners.remove(&oldest);
        }
        let queue: Arc<str> = queue.into();
        known.order.push_back(queue.clone());
        known.owners.insert(queue, first.as_str().into());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_stays_with_who_had_it_first_and_only_so_many_are_known() {
        let queues = Queues::default();
        let (one, two) = (["acme/A".to_owned()], ["acme/B".to_owned()]);
        assert!(queues.belongs("q", &one) && queues.belongs("q", &one));
        assert!(!queues.belongs("q", &two) && !queues.belongs("r", &[]));
        let both = [two.clone(), one.clone()].concat();
        assert!(queues.belongs("q", &both));
        let longest = "q".repeat(BROKER_QUEUE_CHARS_MAX);
        assert!(queues.belongs(&longest, &two) && !queues.belongs(&format!("{longest}q"), &two));
        for n in 0..BROKER_QUEUES_MAX {
            assert!(queues.belongs(&n.to_string(), &two));
        }
        let known = lock(&queues.0);
        let counts = (known.owners.len(), known.order.len());
        assert_eq!(counts, (BROKER_QUEUES_MAX, BROKER_QUEUES_MAX));
        drop(known);
        assert!(!queues.belongs("0", &one) && queues.belongs("q", &two));
    }
}
