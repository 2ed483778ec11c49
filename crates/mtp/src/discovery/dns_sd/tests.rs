//! Two ends and a clock: what one tells the other finds, and what neither believes nor keeps.

use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode};
use hickory_proto::rr::rdata::{A, PTR, SRV, TXT};
use hickory_proto::rr::{RData, Record};

use super::*;
use crate::limits::{
    MDNS_ADDRESSES_MAX, MDNS_ASK_EVERY_MAX, MDNS_FOUND_MAX, MDNS_PACKETS_MAX, MDNS_TTL_HOST,
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
    let mut node = Node::new(id(AGENT), services, Vec::new(), now).unwrap();
    node.set_addresses(now, vec!["192.0.2.7".parse().unwrap()]);
    node
}

fn looking(now: Instant) -> Node {
    Node::new(id(CONTROLLER), Vec::new(), Kind::AGENTS.to_vec(), now).unwrap()
}

fn said(node: &mut Node, now: Instant) -> Vec<Vec<u8>> {
    node.handle_timeout(now);
    std::iter::from_fn(|| node.poll_transmit()).collect()
}

fn events(node: &mut Node) -> Vec<Event> {
    std::iter::from_fn(|| node.poll_event()).collect()
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
    assert_eq!(events(&mut looking), [Event::Found(found)]);
    // Once more after a second, which is no news.
    assert!(said(&mut agent, now + Duration::from_millis(900)).is_empty());
    let again = said(&mut agent, now + Duration::from_secs(1));
    assert_eq!(again.len(), 1);
    looking.handle_input(now, &again[0]);
    assert_eq!(events(&mut looking), []);
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
    assert!(matches!(&events(&mut looking)[..], [Event::Found(_)]));
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

#[test]
fn a_goodbye_and_silence_take_a_service_back() {
    let now = Instant::now();
    let gone = Event::Gone(Kind::AgentWebSocket, id(AGENT));
    let mut one = agent(now);
    let announced = said(&mut one, now).remove(0);
    let mut first = looking(now);
    first.handle_input(now, &announced);
    events(&mut first);
    first.handle_input(now, &one.goodbye().unwrap());
    assert_eq!(events(&mut first), std::slice::from_ref(&gone));
    let mut second = looking(now);
    second.handle_input(now, &announced);
    events(&mut second);
    let life = Duration::from_secs(MDNS_TTL_HOST.into());
    second.handle_timeout(now + life - Duration::from_secs(1));
    assert_eq!(events(&mut second), []);
    second.handle_timeout(now + life);
    assert_eq!(events(&mut second), [gone]);
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
    assert!(matches!(&events(&mut looking)[..], [Event::Found(_)]));
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
    assert_eq!(events(&mut looking), []);
    let asked = said(&mut looking, now + Duration::from_secs(2)).remove(0);
    let asked = Message::from_vec(&asked).unwrap();
    assert!(
        asked
            .queries
            .iter()
            .any(|query| query.name == name(&[b"host", b"local"]))
    );
    looking.handle_input(now, &message(records[3..].to_vec()));
    assert!(matches!(&events(&mut looking)[..], [Event::Found(_)]));
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
    assert_eq!(events(&mut looking), []);
    let texts = ["path=/a b", "name=x\u{7}", "Encrypt", "unknown=1"];
    looking.handle_input(now, &message(whole("os::00256D-P", 120, &texts)));
    let [Event::Found(found)] = &events(&mut looking)[..] else {
        panic!("not found");
    };
    assert_eq!(
        (found.path.as_str(), &found.name, found.encrypt),
        ("", &None, true)
    );
}

#[test]
fn a_flood_of_services_addresses_and_packets_has_an_end() {
    let now = Instant::now();
    let mut looking = looking(now);
    for n in 0..MDNS_FOUND_MAX + 50 {
        // A packet a second, so that only the table is full.
        let at = now + Duration::from_millis(4 * n as u64);
        let records = whole(&format!("os::00256D-{n}"), 4500, &["path=/usp"]);
        looking.handle_input(at, &message(records));
    }
    assert_eq!(events(&mut looking).len(), MDNS_FOUND_MAX);

    let mut looking = super::tests::looking(now);
    let mut records = whole("os::00256D-P", 4500, &["path=/usp"]);
    let address = |n: u8| RData::A(A(std::net::Ipv4Addr::new(192, 0, 2, n)));
    records
        .extend((10..60).map(|n| Record::from_rdata(name(&[b"host", b"local"]), 120, address(n))));
    looking.handle_input(now, &message(records));
    let [Event::Found(found)] = &events(&mut looking)[..] else {
        panic!("not found");
    };
    assert_eq!(found.addresses.len(), MDNS_ADDRESSES_MAX);

    let mut looking = super::tests::looking(now);
    let junk = message(Vec::new());
    for _ in 0..MDNS_PACKETS_MAX {
        looking.handle_input(now, &junk);
    }
    let good = message(whole("os::00256D-P", 4500, &["path=/usp"]));
    looking.handle_input(now, &good);
    assert_eq!(events(&mut looking), []);
    looking.handle_input(now + Duration::from_secs(1), &good);
    assert!(matches!(&events(&mut looking)[..], [Event::Found(_)]));
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
        Node::new(id, vec![service], Vec::new(), now).err()
    };
    assert_eq!(made(long.clone(), "/usp"), Some(Unnamable::LongId(65)));
    assert_eq!(
        made(id(AGENT), &"x".repeat(251)),
        Some(Unnamable::LongPath(251))
    );
    assert!(Node::new(long, Vec::new(), Kind::AGENTS.to_vec(), now).is_ok());
}

#[test]
fn where_we_are_not_nobody_is_told_of_us() {
    let now = Instant::now();
    let services = vec![service(Kind::AgentWebSocket)];
    let mut node = Node::new(id(AGENT), services, Vec::new(), now).unwrap();
    assert!(said(&mut node, now).is_empty());
    assert!(node.goodbye().is_none());
    node.set_addresses(now, vec!["192.0.2.7".parse().unwrap()]);
    assert_eq!(said(&mut node, now).len(), 1);
}
