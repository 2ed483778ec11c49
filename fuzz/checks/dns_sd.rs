//! Packets of multicast DNS are looked into or left: what is found has an address, and what is said is read again.

use std::time::{Duration, Instant};

use mtp::discovery::dns_sd::{Kind, Node, Service};

/// How many services were found in it, and whether it was answered.
pub fn packet(data: &[u8]) -> (usize, bool) {
    let now = Instant::now();
    let service = Service {
        kind: Kind::ControllerWebSocket,
        port: 1,
        path: "/usp".into(),
        name: None,
        encrypt: false,
    };
    let own = "self::fuzz".parse().expect("an endpoint id");
    let node = Node::new(own, vec![service], Kind::AGENTS.to_vec(), [].into(), now);
    let mut node = node.expect("it has a name");
    node.set_addresses(now, vec!["192.0.2.1".parse().expect("an address")]);
    // What is said unasked is over by then.
    for seconds in 0..3 {
        node.handle_timeout(now + Duration::from_secs(seconds));
        while node.poll_transmit().is_some() {}
    }
    let then = now + Duration::from_secs(10);
    node.handle_timeout(then);
    while node.poll_transmit().is_some() {}
    node.handle_input(then, data);
    let found = node.poll_found().unwrap_or_default();
    assert!(found.iter().all(|one| !one.addresses.is_empty()));
    node.handle_timeout(then + Duration::from_millis(500));
    let mut answered = false;
    while let Some(packet) = node.poll_transmit() {
        // Questions have no such bit.
        answered |= packet.get(2).is_some_and(|flags| flags & 0x80 != 0);
    }
    (found.len(), answered)
}
