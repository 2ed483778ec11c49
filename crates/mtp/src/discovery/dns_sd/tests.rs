//! Two ends and a clock: what one tells the other finds, and what neither believes nor keeps.

use std::collections::BTreeSet;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::{A, AAAA, PTR, SRV, TXT};
use hickory_proto::rr::{RData, Record, RecordType};

use super::*;
use crate::limits::{
    MDNS_ADDRESSES_MAX, MDNS_ANSWER_EVERY, MDNS_ASK_EVERY_MAX, MDNS_FOUND_MAX, MDNS_GRACE,
    MDNS_HALF_KNOWN_MAX, MDNS_PACKETS_MAX, MDNS_TTL_HOST,
};
use std::time::Instant;

const AGENT: &str = "os::00256D-A.b";
const CONTROLLER: &str = "self::controller";

fn id(text: &str) -> EndpointId {
    text.parse().unwrap()
}

fn service(kind: Kind) -> Service {
    Service {
        kind,
        port: 8443,
        path: "/usp".into(),
        name: Some("Küche".into()),
        encrypt: true,
    }
}

fn agent(now: Instant) -> Node {
    let services = vec![service(Kind::AgentWebSocket)];
    let mut node = Node::new(id(AGENT), services, Vec::new(), [].into(), now).unwrap();
    node.set_addresses(now, vec!["192.0.2.7".parse().unwrap()]);
    node
}

fn looking(now: Instant) -> Node {
    Node::new(
        id(CONTROLLER),
        Vec::new(),
        Kind::AGENTS.to_vec(),
        [].into(),
        now,
    )
    .unwrap()
}

fn said(node: &mut Node, now: Instant) -> Vec<Vec<u8>> {
    node.handle_timeout(now);
    std::iter::from_fn(|| node.poll_transmit()).collect()
}

/// What is there now, which is news.
fn news(node: &mut Node) -> Vec<Found> {
    node.poll_found().expect("news")
}

fn addresses(found: &[Found]) -> Vec<String> {
    let all = found.iter().flat_map(|one| &one.addresses);
    all.map(ToString::to_string).collect()
}

/// Lets both speak and hear until `until`; how many packets the first one said.
fn talk(one: &mut Node, other: &mut Node, mut now: Instant, until: Instant) -> usize {
    let mut count = 0;
    while now <= until {
        for packet in said(one, now) {
            count += 1;
            other.handle_input(now, &packet);
        }
        for packet in said(other, now) {
            one.handle_input(now, &packet);
        }
        now += Duration::from_millis(50);
    }
    count
}

fn message(records: Vec<Record>) -> Vec<u8> {
    let mut message = Message::new(0, MessageType::Response, OpCode::Query);
    message.add_answers(records);
    message.to_vec().unwrap()
}

fn instance(id: &str) -> Name {
    name(&[id.as_bytes(), b"_usp-agt-ws", b"_tcp", b"local"])
}

/// All that makes a service known.
fn whole(id: &str, ttl: u32, texts: &[&str]) -> Vec<Record> {
    let host = name(&[b"host", b"local"]);
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    let srv = SRV::new(0, 0, 80, host.clone());
    vec![
        Record::from_rdata(
            Kind::AgentWebSocket.name(),
            ttl,
            RData::PTR(PTR(instance(id))),
        ),
        Record::from_rdata(instance(id), ttl, RData::SRV(srv)),
        Record::from_rdata(instance(id), ttl, RData::TXT(TXT::new(texts))),
        Record::from_rdata(host, ttl, RData::A(A("192.0.2.9".parse().unwrap()))),
    ]
}

/// R-DIS.3, R-DIS.8 to R-DIS.11a, TP-469 8.5, 8.6
#[test]
fn an_agent_announces_itself_unasked_and_is_found_with_all_it_says() {
    let now = Instant::now();
    let (mut agent, mut looking) = (agent(now), looking(now));
    let announced = said(&mut agent, now);
    assert_eq!(announced.len(), 1);
    looking.handle_input(now, &announced[0]);
    let found = Found {
        kind: Kind::AgentWebSocket,
        endpoint_id: id(AGENT),
        addresses: vec!["192.0.2.7".parse().unwrap()],
        port: 8443,
        path: "/usp".into(),
        name: Some("Küche".into()),
        encrypt: true,
    };
    assert_eq!(found.url().unwrap(), "wss://192.0.2.7:8443/usp");
    assert_eq!(news(&mut looking), [found]);
    // Once more after a second, which is no news.
    assert!(said(&mut agent, now + Duration::from_millis(900)).is_empty());
    let again = said(&mut agent, now + Duration::from_secs(1));
    assert_eq!(again.len(), 1);
    looking.handle_input(now, &again[0]);
    assert_eq!(looking.poll_found(), None);
    assert!(said(&mut agent, now + Duration::from_secs(9)).is_empty());
}

/// R-DIS.3, TP-469 8.7
#[test]
fn an_agent_that_is_asked_answers_and_not_more_than_once_a_second() {
    let now = Instant::now();
    let mut agent = agent(now);
    said(&mut agent, now);
    said(&mut agent, now + Duration::from_secs(1));
    let later = now + Duration::from_secs(10);
    let mut looking = looking(later);
    let count = talk(
        &mut agent,
        &mut looking,
        later,
        later + Duration::from_millis(500),
    );
    assert_eq!(count, 1);
    assert_eq!(news(&mut looking).len(), 1);
    // A flood of questions.
    let question = {
        let mut fresh = super::tests::looking(later);
        said(&mut fresh, later).remove(0)
    };
    let mut answers = 0;
    for n in 0..300 {
        let at = later + Duration::from_secs(2) + Duration::from_millis(10) * n;
        agent.handle_input(at, &question);
        answers += said(&mut agent, at).len();
    }
    assert!((2..=4).contains(&answers), "{answers}");
}

/// RFC 6762, 10.1
#[test]
fn a_goodbye_and_silence_take_a_service_back() {
    let now = Instant::now();
    let mut one = agent(now);
    let announced = said(&mut one, now).remove(0);
    let mut first = looking(now);
    first.handle_input(now, &announced);
    assert_eq!(news(&mut first).len(), 1);
    first.handle_input(now, &one.goodbye().unwrap());
    first.handle_timeout(now + MDNS_GRACE - Duration::from_millis(1));
    assert_eq!(first.poll_found(), None);
    first.handle_timeout(now + MDNS_GRACE);
    assert_eq!(news(&mut first), []);
    let mut second = looking(now);
    second.handle_input(now, &announced);
    assert_eq!(news(&mut second).len(), 1);
    let life = Duration::from_secs(MDNS_TTL_HOST.into());
    second.handle_timeout(now + life - Duration::from_secs(1));
    assert_eq!(second.poll_found(), None);
    second.handle_timeout(now + life);
    assert_eq!(news(&mut second), []);
}

fn ours(mut record: Record) -> Record {
    record.mdns_cache_flush = true;
    record
}

fn at(address: &str, ttl: u32) -> Record {
    let data = match address.parse().unwrap() {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    };
    Record::from_rdata(name(&[b"host", b"local"]), ttl, data)
}

/// RFC 6762, 10: an address holds as long as it says.
#[test]
fn an_address_ends_with_its_own_time_and_the_service_with_its_last_one() {
    let now = Instant::now();
    let mut looking = looking(now);
    let mut records = whole("os::00256D-P", 4500, &["path=/usp"]);
    records[3].ttl = 100;
    records.push(at("2001:db8::9", 50));
    looking.handle_input(now, &message(records));
    assert_eq!(addresses(&news(&mut looking)), ["192.0.2.9", "2001:db8::9"]);
    looking.handle_timeout(now + Duration::from_secs(50));
    assert_eq!(addresses(&news(&mut looking)), ["192.0.2.9"]);
    looking.handle_timeout(now + Duration::from_secs(99));
    assert_eq!(looking.poll_found(), None);
    looking.handle_timeout(now + Duration::from_secs(100));
    assert_eq!(news(&mut looking), []);
    // It is known otherwise, and comes back with an address.
    looking.handle_input(
        now + Duration::from_secs(200),
        &message(vec![at("192.0.2.10", 100)]),
    );
    assert_eq!(addresses(&news(&mut looking)), ["192.0.2.10"]);
}

/// RFC 6762, 10.2
#[test]
fn an_address_that_is_one_hosts_alone_replaces_the_older_ones_of_its_kind_after_a_second() {
    let start = Instant::now();
    let second = Duration::from_secs(1);
    let mut looking = looking(start);
    let mut records = whole("os::00256D-P", 4500, &["path=/usp"]);
    records.push(at("2001:db8::9", 4500));
    looking.handle_input(start, &message(records));
    news(&mut looking);
    // Two packets that belong together, less than a second apart: none replaces the other.
    let now = start + second * 10;
    looking.handle_input(now, &message(vec![ours(at("192.0.2.10", 4500))]));
    looking.handle_input(
        now + second / 2,
        &message(vec![ours(at("192.0.2.11", 4500))]),
    );
    let all = ["192.0.2.9", "192.0.2.10", "192.0.2.11", "2001:db8::9"];
    assert_eq!(addresses(&news(&mut looking)), all);
    looking.handle_timeout(now + second * 2);
    assert_eq!(addresses(&news(&mut looking)), all[1..]);
    // Whose the name is says the old one again within the second: it stays.
    let now = now + second * 10;
    looking.handle_input(now, &message(vec![ours(at("192.0.2.10", 4500))]));
    looking.handle_input(
        now + second / 2,
        &message(vec![ours(at("192.0.2.11", 4500))]),
    );
    looking.handle_timeout(now + second * 2);
    assert_eq!(looking.poll_found(), None);
    // One that is not theirs alone replaces nothing.
    let now = now + second * 10;
    looking.handle_input(now, &message(vec![at("192.0.2.12", 4500)]));
    looking.handle_timeout(now + second * 2);
    assert_eq!(news(&mut looking)[0].addresses.len(), 4);
}

/// RFC 6762, 5.2
#[test]
fn what_is_not_said_again_unasked_is_asked_for_before_it_ends() {
    let now = Instant::now();
    let mut looking = looking(now);
    let records = whole("os::00256D-P", 20, &["path=/usp"]);
    looking.handle_input(now, &message(records));
    news(&mut looking);
    let host = name(&[b"host", b"local"]);
    let mut asked = Vec::new();
    for n in 0..200 {
        let then = now + Duration::from_millis(100) * n;
        for packet in said(&mut looking, then) {
            let queries = Message::from_vec(&packet).unwrap().queries;
            let about = |one: &&Query| one.name == host || one.name == instance("os::00256D-P");
            asked.extend(queries.iter().filter(about).map(|_| n));
        }
    }
    // Not before most of the time is over, and then several times.
    assert!(asked[0] >= 160 && asked.len() >= 2, "{asked:?}");
}

#[test]
fn who_is_there_stays_known_since_it_is_asked_again_in_time() {
    let now = Instant::now();
    let (mut agent, mut looking) = (agent(now), looking(now));
    talk(
        &mut agent,
        &mut looking,
        now,
        now + Duration::from_secs(600),
    );
    assert_eq!(news(&mut looking).len(), 1);
    assert!(MDNS_ASK_EVERY_MAX.as_secs() * 2 < MDNS_TTL_HOST.into());
}

#[test]
fn what_comes_in_pieces_is_asked_for() {
    let now = Instant::now();
    let mut looking = looking(now);
    said(&mut looking, now);
    let records = whole("os::00256D-P", 120, &["path=/usp"]);
    looking.handle_input(now, &message(records[..1].to_vec()));
    let asked = said(&mut looking, now + Duration::from_secs(1)).remove(0);
    let asked = Message::from_vec(&asked).unwrap();
    let about = |name: &Name| asked.queries.iter().any(|query| query.name == *name);
    assert!(about(&instance("os::00256D-P")));
    looking.handle_input(now, &message(records[1..3].to_vec()));
    assert_eq!(looking.poll_found(), None);
    let asked = said(&mut looking, now + Duration::from_secs(2)).remove(0);
    let asked = Message::from_vec(&asked).unwrap();
    assert!(
        asked
            .queries
            .iter()
            .any(|query| query.name == name(&[b"host", b"local"]))
    );
    looking.handle_input(now, &message(records[3..].to_vec()));
    assert_eq!(news(&mut looking).len(), 1);
}

#[test]
fn who_never_says_where_it_is_is_asked_ever_more_seldom_and_forgotten() {
    let now = Instant::now();
    let mut looking = looking(now);
    looking.handle_input(
        now,
        &message(whole("os::00256D-P", 4500, &[])[..1].to_vec()),
    );
    let mut asked = 0;
    for n in 0..MDNS_HALF_KNOWN_MAX.as_secs() * 10 {
        for packet in said(&mut looking, now + Duration::from_millis(100 * n)) {
            let queries = Message::from_vec(&packet).unwrap().queries;
            asked += usize::from(
                queries
                    .iter()
                    .any(|one| one.name == instance("os::00256D-P")),
            );
        }
    }
    assert!((4..=7).contains(&asked), "{asked}");
    let late = now + MDNS_HALF_KNOWN_MAX + MDNS_ASK_EVERY_MAX;
    let packet = said(&mut looking, late).remove(0);
    let queries = Message::from_vec(&packet).unwrap().queries;
    assert!(queries.iter().all(|one| one.query_type == RecordType::PTR));
}

#[test]
fn what_is_no_endpoint_or_breaks_a_url_is_not_believed() {
    let now = Instant::now();
    let mut looking = looking(now);
    for id in ["nonsense", "", "self::controller"] {
        if !id.is_empty() {
            looking.handle_input(now, &message(whole(id, 120, &["path=/usp"])));
        }
    }
    looking.handle_input(now, b"\x00\x00\x84\x00\xff\xff\xff\xff");
    looking.handle_input(now, &[0; 9001]);
    assert_eq!(looking.poll_found(), None);
    let passed = looking.passed();
    // Three records name it.
    assert_eq!((passed.broken, passed.nameless), (2, 3), "{passed:?}");
    let texts = ["path=/a b", "name=x\u{7}", "Encrypt", "unknown=1"];
    looking.handle_input(now, &message(whole("os::00256D-P", 120, &texts)));
    let found = news(&mut looking).remove(0);
    assert_eq!(
        (found.path.as_str(), &found.name, found.encrypt),
        ("", &None, true)
    );
    // No path leads to another place.
    looking.handle_input(
        now,
        &message(whole("os::00256D-P", 120, &["path=@a.example"])),
    );
    let found = news(&mut looking).remove(0);
    assert_eq!(found.url().unwrap(), "ws://192.0.2.9:80/@a.example");
}

#[test]
fn nobody_is_found_at_an_address_that_is_nobodys_or_our_own() {
    let now = Instant::now();
    let mut looking = looking(now);
    let nobodys = [
        "127.0.0.1",
        "0.0.0.0",
        "224.0.0.251",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "ff02::fb",
        "::ffff:127.0.0.1",
    ];
    let mut records = whole("os::00256D-P", 4500, &["path=/usp"]);
    records.truncate(3);
    records.extend(nobodys.map(|address| at(address, 120)));
    looking.handle_input(now, &message(records));
    assert_eq!(looking.poll_found(), None);
    looking.handle_input(now, &message(vec![at("192.0.2.9", 120)]));
    assert_eq!(addresses(&news(&mut looking)), ["192.0.2.9"]);
}

#[test]
fn a_flood_of_services_addresses_and_packets_has_an_end() {
    let now = Instant::now();
    let awaited = BTreeSet::from([id("os::00256D-awaited")]);
    let kinds = Kind::AGENTS.to_vec();
    let mut looking = Node::new(id(CONTROLLER), Vec::new(), kinds, awaited, now).unwrap();
    // Those without a place make room for those with one.
    for n in 0..MDNS_FOUND_MAX {
        let records = whole(&format!("os::00256D-half{n}"), 4500, &[]);
        looking.handle_input(
            now + Duration::from_millis(4 * n as u64),
            &message(records[..1].to_vec()),
        );
    }
    let now = now + Duration::from_secs(2);
    for n in 0..MDNS_FOUND_MAX + 50 {
        // Few enough packets in a second, so that only the table is full.
        let at = now + Duration::from_millis(4 * n as u64);
        let records = whole(&format!("os::00256D-{n}"), 4500, &["path=/usp"]);
        looking.handle_input(at, &message(records));
    }
    assert_eq!(news(&mut looking).len(), MDNS_FOUND_MAX);
    // By its PTR, its SRV and its TXT record.
    assert_eq!(looking.passed().no_room, 3 * 50);
    let now = now + Duration::from_secs(5);
    let awaited = whole("os::00256D-awaited", 4500, &["path=/usp"]);
    looking.handle_input(now, &message(awaited));
    let found = news(&mut looking);
    assert_eq!(found.len(), MDNS_FOUND_MAX + 1);
    assert!(
        found
            .iter()
            .any(|one| one.endpoint_id == id("os::00256D-awaited"))
    );

    let mut looking = super::tests::looking(now);
    let mut records = whole("os::00256D-P", 4500, &["path=/usp"]);
    records.extend((10..60).map(|n| at(&format!("192.0.2.{n}"), 120)));
    looking.handle_input(now, &message(records));
    let found = news(&mut looking).remove(0);
    assert_eq!(found.addresses.len(), MDNS_ADDRESSES_MAX);
    // The newest has a place among them nevertheless.
    let now = now + MDNS_ANSWER_EVERY;
    looking.handle_input(now, &message(vec![at("192.0.2.99", 120)]));
    let found = news(&mut looking).remove(0);
    assert_eq!(found.addresses.len(), MDNS_ADDRESSES_MAX);
    assert!(found.addresses.contains(&"192.0.2.99".parse().unwrap()));

    let mut looking = super::tests::looking(now);
    let junk = message(Vec::new());
    for _ in 0..MDNS_PACKETS_MAX {
        looking.handle_input(now, &junk);
    }
    let good = message(whole("os::00256D-P", 4500, &["path=/usp"]));
    looking.handle_input(now, &good);
    assert_eq!(looking.poll_found(), None);
    assert_eq!(looking.passed().too_many, 1);
    looking.handle_input(now + Duration::from_secs(1), &good);
    assert_eq!(news(&mut looking).len(), 1);
}

#[test]
fn an_endpoint_that_fits_no_name_cannot_be_told_of() {
    let now = Instant::now();
    let long = id(&format!("pen:1234567890:{}", "x".repeat(50)));
    let made = |id: EndpointId, path: &str| {
        let service = Service {
            path: path.into(),
            ..service(Kind::ControllerWebSocket)
        };
        Node::new(id, vec![service], Vec::new(), [].into(), now).err()
    };
    assert_eq!(made(long.clone(), "/usp"), Some(Unnamable::LongId(65)));
    assert_eq!(
        made(id(AGENT), &"x".repeat(251)),
        Some(Unnamable::LongPath(251))
    );
    assert!(Node::new(long, Vec::new(), Kind::AGENTS.to_vec(), [].into(), now).is_ok());
}

#[test]
fn where_we_are_not_nobody_is_told_of_us() {
    let now = Instant::now();
    let services = vec![service(Kind::AgentWebSocket)];
    let mut node = Node::new(id(AGENT), services, Vec::new(), [].into(), now).unwrap();
    assert!(said(&mut node, now).is_empty());
    assert!(node.goodbye().is_none());
    node.set_addresses(now, vec!["192.0.2.7".parse().unwrap()]);
    assert_eq!(said(&mut node, now).len(), 1);
}
