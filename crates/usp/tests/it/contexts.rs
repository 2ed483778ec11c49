//! Session contexts at both ends of a link that loses, repeats, reorders and corrupts, with a clock that only tests
//! move: every message arrives once and in order, or its sender is told that nobody knows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use usp::codec::decode_record;
use usp::context::{Config, Context, Event, Failure, Identity, MessageId, Mode, Payload, Status};
use usp::record::RecordType;
use usp::{EndpointId, Version, context, transcript};

use crate::random::Random;
use crate::support::*;
use crate::toy::Toy;

/// One end.
pub struct End {
    pub context: Context,
    own: EndpointId,
    peer: EndpointId,
    config: Arc<Config>,
    /// What is to be sent.
    queue: Vec<Vec<u8>>,
    pub sent: BTreeMap<MessageId, Vec<u8>>,
    pub received: Vec<Vec<u8>>,
    pub events: Vec<Event>,
}

/// What the link does, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    loss: u64,
    repeat: u64,
    delay: u64,
    corrupt: u64,
}

/// Both ends and what is under way.
pub struct World {
    pub now: Instant,
    start: Instant,
    pub ends: [End; 2],
    /// By arrival: to whom, and what.
    air: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    number: u64,
    random: Random,
    pub weather: Weather,
    /// Whether anything was changed on the way.
    forged: bool,
    pub log: String,
}

pub fn config(record_bytes_max: usize) -> Config {
    Config {
        mode: Mode::Allow,
        record_bytes_max,
        retransmits_max: Some(5),
        lossy: true,
        ..Config::default()
    }
}

impl World {
    /// The agent and the controller, talking alike.
    pub fn new(seed: u64, config: Config) -> Self {
        let now = Instant::now();
        let end = |own: EndpointId, peer: EndpointId, seed: u64| {
            let mut config = config.clone();
            if config.identity.is_none() {
                config.identity = Some(Arc::new(Toy::new(&own)));
            }
            let config = Arc::new(config);
            End {
                context: Context::new(config.clone(), own.clone(), peer.clone(), seed, now),
                own,
                peer,
                config,
                queue: Vec::new(),
                sent: BTreeMap::new(),
                received: Vec::new(),
                events: Vec::new(),
            }
        };
        Self {
            now,
            start: now,
            ends: [end(cpe(), acs(), seed), end(acs(), cpe(), !seed)],
            air: BTreeMap::new(),
            number: 0,
            random: Random::new(seed),
            weather: Weather::default(),
            forged: false,
            log: String::new(),
        }
    }

    pub fn say(&mut self, end: usize, message: impl Into<Vec<u8>>) {
        self.ends[end].queue.push(message.into());
    }

    /// Lets both ends send and hear until nothing is due at this moment.
    pub fn settle(&mut self) {
        loop {
            let mut busy = false;
            for from in 0..2 {
                let end = &mut self.ends[from];
                if !end.queue.is_empty() && end.context.is_ready() {
                    let message = end.queue.remove(0);
                    let id = end.context.send(self.now, message.clone());
                    end.sent.insert(id, message);
                }
                while let Some(bytes) = self.ends[from].context.poll_transmit(Version::V1_4) {
                    busy = true;
                    self.fly(from, bytes.to_vec());
                }
            }
            while let Some((key, _)) = self.air.first_key_value().filter(|(k, _)| k.0 <= self.now) {
                let key = *key;
                let Some((to, bytes)) = self.air.remove(&key) else {
                    break;
                };
                busy = true;
                self.ends[to].hear(self.now, &bytes);
            }
            for end in &mut self.ends {
                busy |= end.take_events();
            }
            if !busy {
                break;
            }
        }
    }

    fn fly(&mut self, from: usize, mut bytes: Vec<u8>) {
        let Weather {
            loss,
            repeat,
            delay,
            corrupt,
        } = self.weather;
        let text = transcript::record(&decode_record(&bytes).unwrap());
        let lost = self.random.percent(loss);
        let who = ["agent", "controller"][from];
        let after = (self.now - self.start).as_millis();
        let note = if lost { " (lost)" } else { "" };
        let mut lines = text.lines();
        self.log += &format!(
            "{after:>5}ms {who}{note}: {}\n",
            lines.next().unwrap_or_default()
        );
        lines.for_each(|line| self.log += &format!("       {line}\n"));
        if lost {
            return;
        }
        if self.random.percent(corrupt) {
            self.forged = true;
            let at = self.random.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << self.random.below(8);
        }
        for _ in 0..1 + u32::from(self.random.percent(repeat)) {
            let late = match self.random.percent(delay) {
                true => Duration::from_millis(self.random.below(4000)),
                false => Duration::ZERO,
            };
            self.number += 1;
            self.air
                .insert((self.now + late, self.number), (1 - from, bytes.clone()));
        }
    }

    /// Lets time pass, stopping wherever something is due.
    pub fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.settle();
            let air = self.air.first_key_value().map(|(key, _)| key.0);
            let due = self
                .ends
                .iter()
                .filter_map(|end| end.context.poll_timeout());
            let next = due.chain(air).min().unwrap_or(end).min(end).max(self.now);
            if next >= end {
                self.now = end;
                break;
            }
            self.now = next;
            for end in &mut self.ends {
                end.context.handle_timeout(next);
            }
        }
        self.settle();
    }

    pub fn failures(&self, end: usize) -> Vec<&Failure> {
        fn failure(event: &Event) -> Option<&Failure> {
            match event {
                Event::Failed(failure) => Some(failure),
                _ => None,
            }
        }
        self.ends[end].events.iter().filter_map(failure).collect()
    }
}

impl End {
    /// What the record layer does before a context hears of a record.
    fn hear(&mut self, now: Instant, bytes: &[u8]) {
        let Ok(record) = decode_record(bytes) else {
            return;
        };
        if record.to_id != self.own.as_str() || record.from_id != self.peer.as_str() {
            return;
        }
        if self.config.sign {
            let signed = !record.sender_cert.is_empty();
            let covered = context::integrity::covered(&record);
            let toy = Toy::new(&self.own);
            let good = toy.verify(
                &self.peer,
                &record.sender_cert,
                &covered,
                &record.mac_signature,
            );
            if signed && good.is_err() || record.mac_signature.is_empty() {
                return self.context.distrust(now);
            }
        }
        self.context.receive(now, record);
    }

    pub fn take_events(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.context.poll_event() {
            any = true;
            if let Event::Message(message) = &event {
                self.received.push(message.clone());
            }
            self.events.push(event);
        }
        any
    }

    pub fn told(&self, id: MessageId) -> (usize, usize) {
        let count = |wanted: &Event| self.events.iter().filter(|event| *event == wanted).count();
        (
            count(&Event::Acknowledged(id)),
            count(&Event::Unconfirmed(id)),
        )
    }
}

/// A message that says who, which and how much.
fn message(from: usize, number: usize, size: usize) -> Vec<u8> {
    let mut message = format!("{from}:{number}:").into_bytes();
    message.extend((0..size).map(|at| (at * 7 + number) as u8));
    message
}

/// What the standard promises of a session context, over whatever link.
fn promises(world: &World, seed: u64) {
    for (from, to) in [(0, 1), (1, 0)] {
        let (sender, receiver) = (&world.ends[from], &world.ends[to]);
        let mut position = 0;
        for got in &receiver.received {
            // In order and once: each is found after the one before.
            let mut later = sender.sent.values().enumerate().skip(position);
            let found = later.find(|(_, sent)| *sent == got);
            let Some((at, _)) = found else {
                panic!("seed {seed}: out of order or twice\n{}", world.log);
            };
            position = at + 1;
        }
        for (id, sent) in &sender.sent {
            let (acknowledged, unknown) = sender.told(*id);
            assert_eq!(
                acknowledged + unknown,
                1,
                "seed {seed}: {id:?}\n{}",
                world.log
            );
            let arrived = receiver.received.iter().filter(|got| *got == sent).count();
            // A MAC does not cover the payload: who can take it out makes a record look like an acknowledgement, which
            // TLS notices with the next one only.
            let honest = world.forged || acknowledged <= arrived;
            assert!(honest, "seed {seed}: {id:?}\n{}", world.log);
        }
    }
}

/// Talks through a storm, then waits until it is over.
fn history(seed: u64, config: Config, weather: Weather) -> World {
    let mut world = World::new(seed, config);
    world.weather = weather;
    for round in 0..30 {
        for end in 0..2 {
            if world.random.percent(60) {
                let size = world.random.below(3000) as usize;
                world.say(end, message(end, round, size));
            }
        }
        let wait = world.random.below(3000);
        world.advance(Duration::from_millis(wait));
    }
    world.weather = Weather::default();
    world.advance(seconds(20_000));
    for end in 0..2 {
        assert!(
            world.ends[end].queue.is_empty(),
            "seed {seed}\n{}",
            world.log
        );
    }
    promises(&world, seed);
    world
}

/// R-E2E.14 to .17, .20, .25
#[test]
fn over_a_bad_link_every_message_arrives_once_and_in_order_or_its_sender_is_told() {
    let mut arrived = 0;
    for seed in 1..=300 {
        let mut pick = Random::new(seed);
        let weather = Weather {
            loss: pick.below(25),
            repeat: pick.below(30),
            delay: pick.below(40),
            corrupt: 0,
        };
        let retransmits_max = [Some(0), Some(3), Some(10), None][pick.below(4) as usize];
        let record_bytes_max = [0, 512, 700, 1500][pick.below(4) as usize];
        let config = Config {
            retransmits_max,
            payload: [Payload::Plaintext, Payload::Tls][pick.below(2) as usize],
            ..config(record_bytes_max)
        };
        let world = history(seed, config, weather);
        // Nobody changes anything on the way, whatever comes late or twice.
        for end in 0..2 {
            assert!(
                !world.failures(end).contains(&&Failure::Integrity),
                "{}",
                world.log
            );
        }
        arrived += world
            .ends
            .iter()
            .map(|end| end.received.len())
            .sum::<usize>();
    }
    // Most do: this is no test of silence.
    assert!(arrived > 5_000, "{arrived}");
}

/// R-E2E.23, .29, .32: whatever is changed on the way is noticed, by signature, MAC or TLS.
#[test]
fn over_a_forging_link_nothing_wrong_arrives() {
    let mut arrived = 0;
    for seed in 1..=200 {
        let mut pick = Random::new(seed);
        let weather = Weather {
            loss: pick.below(10),
            repeat: pick.below(20),
            delay: pick.below(20),
            corrupt: pick.below(20),
        };
        let config = Config {
            payload: Payload::Tls,
            sign: true,
            ..config([0, 700][pick.below(2) as usize])
        };
        let world = history(seed, config, weather);
        arrived += world
            .ends
            .iter()
            .map(|end| end.received.len())
            .sum::<usize>();
    }
    assert!(arrived > 2_000, "{arrived}");
}

/// R-E2E.32: once both have keys, a record whose MAC somebody took away is not the peer's.
#[test]
fn a_record_without_its_mac_ends_a_context_that_has_keys() {
    let payload = Payload::Tls;
    let mut world = World::new(
        3,
        Config {
            payload,
            ..config(0)
        },
    );
    world.say(0, message(0, 0, 40));
    world.advance(seconds(2));
    assert_eq!(world.ends[1].context.status(), Status::Up);
    assert_eq!(world.failures(1), [] as [&Failure; 0]);
    world.weather.delay = 100;
    world.say(0, message(0, 1, 40));
    world.settle();
    let (to, bytes) = world.air.values_mut().next().unwrap();
    assert_eq!(*to, 1);
    let mut record = decode_record(bytes).unwrap();
    assert!(!record.mac_signature.is_empty());
    record.mac_signature.clear();
    *bytes = usp::codec::encode_record(&record);
    world.forged = true;
    world.advance(seconds(4));
    assert_eq!(world.failures(1), [&Failure::Integrity]);
}

/// A link without faults costs no context: everything is acknowledged in the first one.
#[test]
fn over_a_good_link_one_context_carries_everything() {
    for payload in [Payload::Plaintext, Payload::Tls] {
        let config = Config {
            payload,
            retransmits_max: Some(0),
            ..config(600)
        };
        let mut world = World::new(3, config);
        for number in 0..20 {
            world.say(0, message(0, number, number * 400));
        }
        world.advance(seconds(2));
        for number in 0..20 {
            world.say(1, message(1, number, number * 400));
        }
        world.advance(seconds(60));
        promises(&world, 3);
        let opened = |event: &&Event| matches!(event, Event::Opened { .. });
        for end in &world.ends {
            assert_eq!(end.received.len(), 20);
            assert_eq!(end.events.iter().filter(opened).count(), 1);
            assert_eq!(end.context.status(), Status::Up);
        }
        assert!(
            world.ends[0].context.poll_timeout().is_none(),
            "{}",
            world.log
        );
    }
}

/// R-E2E.5, .6: when both open one at once, both go on in the same.
#[test]
fn two_contexts_opened_at_once_become_one() {
    for seed in 1..=20 {
        let mut world = World::new(seed, config(0));
        for end in 0..2 {
            world.ends[end].context.open(world.now);
        }
        world.advance(seconds(1));
        let [a, b] = &world.ends;
        assert_eq!(
            a.context.session_id(),
            b.context.session_id(),
            "{}",
            world.log
        );
        world.say(0, "up");
        world.say(1, "down");
        world.advance(seconds(5));
        promises(&world, seed);
        assert_eq!(world.ends[1].received, [b"up"]);
        assert_eq!(world.ends[0].received, [b"down"]);
    }
}

/// R-E2E.7; TP-469 3.10
#[test]
fn a_context_that_lay_still_is_followed_by_another() {
    let mut world = World::new(
        1,
        Config {
            expires: Some(seconds(60)),
            ..config(0)
        },
    );
    world.say(0, "one");
    world.advance(seconds(50));
    let first = world.ends[0].context.session_id();
    world.say(0, "two");
    world.advance(seconds(59));
    assert_eq!(world.ends[0].context.session_id(), first);
    world.advance(seconds(10));
    world.say(0, "three");
    world.advance(seconds(1));
    assert_ne!(world.ends[0].context.session_id(), first);
    assert_eq!(
        world.ends[0].context.session_id(),
        world.ends[1].context.session_id()
    );
    assert_eq!(
        world.ends[1].received,
        [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]
    );
}

/// R-E2E.10, .11, .12: persistent failure is retried by the table, success begins it anew.
#[test]
fn contexts_that_fail_again_and_again_are_opened_less_and_less_often() {
    let mut world = World::new(
        7,
        Config {
            payload: Payload::Tls,
            ..config(0)
        },
    );
    world.weather.loss = 100;
    world.say(0, "never");
    world.advance(seconds(600));
    let opened = |event: &&Event| matches!(event, Event::Opened { by_us: true, .. });
    let tries = world.ends[0].events.iter().filter(opened).count();
    assert!((3..=8).contains(&tries), "{tries}\n{}", world.log);
    assert!(world.ends[0].context.failures() > 2);
    assert_eq!(world.ends[0].context.status(), Status::Negotiating);
    world.weather.loss = 0;
    world.advance(seconds(2000));
    assert_eq!(world.ends[1].received, [b"never"]);
    assert_eq!(world.ends[0].context.failures(), 0);
    assert_eq!(world.ends[0].context.status(), Status::Up);
}

/// R-E2E.33 to .39: from the end of the handshake records have a MAC; a wrong one restarts the context (R-E2E.23).
#[test]
fn a_wrong_mac_restarts_the_context() {
    let mut world = World::new(
        4,
        Config {
            payload: Payload::Tls,
            ..config(0)
        },
    );
    world.say(0, "hello");
    world.advance(seconds(5));
    assert_eq!(world.ends[1].received, [b"hello"]);
    let before = world.ends[1].context.session_id();
    let now = world.now;
    world.ends[0].context.send(now, b"more".to_vec());
    let bytes = world.ends[0].context.poll_transmit(Version::V1_4).unwrap();
    let mut forged = decode_record(&bytes).unwrap();
    let RecordType::SessionContext(content) = &mut forged.record_type else {
        panic!("no session context");
    };
    content.expected_id -= 1;
    world.ends[1].context.receive(now, forged);
    world.ends[1].take_events();
    assert_eq!(world.failures(1), [&Failure::Integrity]);
    world.advance(seconds(60));
    assert_ne!(world.ends[1].context.session_id(), before);
    assert_eq!(
        world.ends[0].context.session_id(),
        world.ends[1].context.session_id()
    );
    promises(&world, 4);
}

/// The golden transcripts of TR-369's cases of segmentation. R-E2E.15
#[test]
fn the_seven_cases_of_segmentation() {
    let tls =
        |bytes| -> Option<Arc<dyn Identity>> { Some(Arc::new(Toy::with_records(&cpe(), bytes))) };
    for (case, payload, identity, record_bytes, size) in [
        (1, Payload::Plaintext, None, 1000, 600),
        (2, Payload::Plaintext, None, 700, 1600),
        (3, Payload::Tls, tls(5000), 1000, 600),
        (4, Payload::Tls, tls(200), 1000, 600),
        (5, Payload::Tls, tls(5000), 700, 1600),
        (6, Payload::Tls, tls(400), 700, 1000),
        (7, Payload::Tls, tls(800), 700, 1700),
    ] {
        let config = Config {
            payload,
            identity,
            ..config(record_bytes)
        };
        let mut world = World::new(11, config);
        world.ends[0].context.open(world.now);
        world.advance(seconds(5));
        world.log.clear();
        world.say(0, message(0, 1, size - 4));
        world.advance(seconds(5));
        assert_eq!(world.ends[1].received, [message(0, 1, size - 4)]);
        crate::transcripts::check(&format!("segmentation-{case}"), &world.log);
    }
}

/// `CONTEXT_ENVELOPE_BYTES`, `CONTEXT_SEGMENT_BYTES_MIN`: MaxUSPRecordSize counts the whole record.
#[test]
fn no_record_is_larger_than_it_may_be() {
    for sign in [false, true] {
        for payload in [Payload::Plaintext, Payload::Tls] {
            let config = Config {
                payload,
                sign,
                ..config(512)
            };
            let mut world = World::new(2, config);
            let now = world.now;
            world.ends[0].context.open(now);
            world.advance(seconds(5));
            world.ends[0].context.send(now, vec![7; 5000]);
            let mut count = 0;
            while let Some(bytes) = world.ends[0].context.poll_transmit(Version::V1_4) {
                assert!(bytes.len() <= 512, "{}", bytes.len());
                count += 1;
            }
            assert!((10..=30).contains(&count), "{count}");
        }
    }
    // A minimum that leaves room for nothing is exceeded, and still arrives.
    let mut world = World::new(
        2,
        Config {
            record_bytes_max: 1,
            ..config(0)
        },
    );
    world.say(0, vec![7; 1000]);
    world.advance(seconds(5));
    assert_eq!(world.ends[1].received, [vec![7; 1000]]);
}
