//! What of brokers needs none.

use fleet::onboarding::Refusal;
use mtp::limits::RECORD_BYTES_MAX;
use tokio_util::sync::CancellationToken;
use usp::EndpointId;

use super::inbox::{Delivered, Unopened, Untaken};
use super::link::Between;
use super::*;
use crate::southbound::register;
use crate::southbound::usp::adapter::Ends;
use crate::southbound::usp::admission::Turned;
use crate::southbound::usp::limits::{
    BROKER_AGENT_INBOX, BROKER_INBOX_BYTES_MAX, BROKER_INBOX_KEPT_BYTES, BROKER_UNHEARD_MAX,
};
use crate::southbound::usp::recorder::Recorder;

/// How long a device may be silent before it is asked.
const EVERY: Duration = Duration::from_secs(60);

fn broker() -> Arc<Broker> {
    let text = "[[usp.brokers]]\nname = \"north\"\nurl = \"mqtt://h\"\n";
    let settings = Config::parse(text).unwrap().usp.brokers.remove(0);
    Arc::new(Broker::new(settings, "n1", EVERY, &Limits::default()).unwrap())
}

fn name(n: usize) -> Name {
    ("acme".into(), format!("os::0-{n}").into())
}

fn of(bytes: usize) -> Delivered {
    Delivered::new(vec![0; bytes].into(), false, None)
}

fn open(broker: &Arc<Broker>, n: usize, first: usize) -> Result<Link, Unopened> {
    open_of(broker, &name(n), first)
}

fn open_of(broker: &Arc<Broker>, name: &Name, first: usize) -> Result<Link, Unopened> {
    open_over(broker, name, first, mpsc::channel(1).0)
}

fn open_over(
    broker: &Arc<Broker>,
    name: &Name,
    first: usize,
    outgoing: mpsc::Sender<Outgoing>,
) -> Result<Link, Unopened> {
    let connection = Connection {
        outgoing,
        peer: SocketAddr::from(([127, 0, 0, 1], 1)),
        tenants: Arc::new(Tenants::All),
    };
    let between = Between {
        own: EndpointId::parse("self::us").unwrap(),
        endpoint: EndpointId::parse("os::0-A").unwrap(),
    };
    broker.open(name, of(first), &connection, between)
}

fn is_full(handed: Result<(), Untaken>) -> bool {
    matches!(handed, Err(Untaken::Flooding))
}

#[tokio::test]
async fn what_a_device_sends_faster_than_it_is_worked_off_is_not_kept() {
    let broker = broker();
    let mut link = open(&broker, 1, 1).unwrap();
    for _ in 1..BROKER_AGENT_INBOX {
        assert!(broker.hand(&name(1), of(1)).is_ok());
    }
    assert!(is_full(broker.hand(&name(1), of(1))));
    link.recv().await;
    assert!(broker.hand(&name(1), of(1)).is_ok());
    drop(link);
    assert!(lock(&broker.queued).is_empty());
    let unknown = broker.hand(&name(1), of(1));
    assert!(matches!(unknown, Err(Untaken::Unknown(_))));
}

#[test]
fn large_records_of_one_device_and_of_all_are_bounded_in_bytes() {
    let broker = broker();
    let _first = open(&broker, 0, RECORD_BYTES_MAX).unwrap();
    assert!(broker.hand(&name(0), of(RECORD_BYTES_MAX)).is_ok());
    assert!(is_full(broker.hand(&name(0), of(1))));
    // As much as is left for others; then each new device is left out, and not blamed.
    let mut links = Vec::new();
    for n in 1.. {
        match open(&broker, n, RECORD_BYTES_MAX) {
            Ok(link) => links.push(link),
            Err(Unopened::NoRoom) => break,
            Err(error) => panic!("{error:?}"),
        }
    }
    let most = (BROKER_INBOX_BYTES_MAX - BROKER_INBOX_KEPT_BYTES) / 2 / RECORD_BYTES_MAX;
    assert!((most - 3..=most).contains(&links.len()), "{}", links.len());
    assert!(!broker.is_open(&name(links.len() + 1)));
    let more = broker.hand(&name(1), of(RECORD_BYTES_MAX));
    assert!(matches!(more, Err(Untaken::NoRoom)));
    // Another tenant is heard.
    let other: Name = ("other".into(), "os::0-1".into());
    let heard = open_of(&broker, &other, RECORD_BYTES_MAX);
    assert!(heard.is_ok());
    drop((links, heard));
    assert!(broker.hand(&name(0), of(1)).is_err());
    assert!(open(&broker, 1, RECORD_BYTES_MAX).is_ok());
}

#[test]
fn a_dozen_tenants_that_flood_leave_room_for_the_largest_record_of_another() {
    let broker = broker();
    let mut links = Vec::new();
    for tenant in 0..BROKER_INBOX_KEPT_BYTES / RECORD_BYTES_MAX {
        for n in 1.. {
            let name: Name = (format!("t{tenant}").into(), format!("os::0-{n}").into());
            match open_of(&broker, &name, RECORD_BYTES_MAX) {
                Ok(link) => links.push(link),
                Err(Unopened::NoRoom) if n > 1 => break,
                Err(error) => panic!("tenant {tenant}, device {n}: {error:?}"),
            }
        }
    }
    // It is bounded all the same.
    let waits = links.len() * RECORD_BYTES_MAX;
    assert!(waits <= BROKER_INBOX_BYTES_MAX, "{waits}");
}

/// What all links share, over this database.
fn core(db: &store::testing::TestDatabase, shutdown: CancellationToken) -> Arc<Core> {
    let ends = Ends {
        facts: mpsc::channel(10).0,
        recorder: Recorder::new().0,
        alive: mpsc::channel(1).0,
    };
    let core = Core::new(
        db.store.clone(),
        EndpointId::parse("self::us").unwrap(),
        fleet::NodeId::parse("n1").unwrap(),
        &Config::default(),
        Limits::default(),
        ends,
        shutdown,
    );
    Arc::new(core.ok().unwrap())
}

#[tokio::test]
async fn who_is_not_known_yet_is_not_looked_up_once_the_server_stops() {
    let db = store::testing::sqlite().await.unwrap();
    let shutdown = CancellationToken::new();
    let (core, broker) = (core(&db, shutdown.clone()), broker());
    let connection = Connection {
        outgoing: mpsc::channel(1).0,
        peer: SocketAddr::from(([127, 0, 0, 1], 1)),
        tenants: Arc::new(Tenants::All),
    };
    let says = async |endpoint: &str| {
        let from = EndpointId::parse(endpoint).unwrap();
        let leave = usp::record::DisconnectRecord::new(usp::ErrorCode(0), "");
        let record = usp::Record::new(usp::Version::V1_0, &from, &core.own, leave);
        let incoming = mtp::mqtt::Incoming {
            topic: format!("usp/acme/controller/{endpoint}"),
            record: usp::codec::encode_record(&record).into(),
            reply: None,
            in_topic: false,
        };
        broker.take(&core, &connection, incoming).await;
        broker.is_open(&("acme".into(), endpoint.into()))
    };
    assert!(says("os::0-1").await);
    shutdown.cancel();
    assert!(!says("os::0-2").await);
}

/// A tenant, a setup key of it, and a device that has come with that.
async fn registered(
    db: &store::testing::TestDatabase,
    endpoint: &str,
) -> (TenantId, fleet::SetupKeyId, fleet::DeviceId) {
    let tenant = TenantId::parse("acme").unwrap();
    let record = store::TenantRecord {
        id: tenant.clone(),
        name: "Acme".into(),
        created_at: now(),
        disabled_at: None,
    };
    db.store.tenant_insert(record, vec![]).await.unwrap();
    let key = fleet::SetupKeyId::new(now(), crate::secret::id_bits());
    let new = store::NewSetupKey {
        id: key,
        name: "key".into(),
        hash: crate::secret::hash("key"),
        sealed: None,
        prefix: "k".into(),
        created_at: now(),
        created_by: None,
        expires_at: None,
        uses_max: None,
    };
    let made = db.store.setup_key_insert(&tenant, new, vec![]);
    made.await.unwrap();
    let eid = EndpointId::parse(endpoint).unwrap();
    let device = register::register_agent(&db.store, &tenant, Some(key), MQTT, &eid, false).await;
    (tenant, key, device.ok().unwrap())
}

#[tokio::test]
async fn who_came_with_a_setup_key_that_was_revoked_since_the_broker_asked_is_not_let_in() {
    let db = store::testing::sqlite().await.unwrap();
    let core = core(&db, CancellationToken::new());
    let mut broker = broker();
    Arc::get_mut(&mut broker).unwrap().settings.asks = true;
    let endpoint = "os::0-1";
    let (tenant, key, device) = registered(&db, endpoint).await;
    let came = db.store.path_came(&tenant, device, MQTT, endpoint, key);
    came.await.unwrap();
    let swaps = async || {
        let (name, endpoint) = (
            ("acme".into(), endpoint.into()),
            EndpointId::parse(endpoint).unwrap(),
        );
        let ticket = broker.admit(&core, &name, endpoint, false).await;
        match ticket {
            Ok(ticket) => Ok(ticket.path.is_some()),
            Err(Turned::No { refusal, .. }) => Err(refusal),
            Err(Turned::Later(why)) => panic!("{why}"),
        }
    };
    assert_eq!(swaps().await, Ok(true));
    let revoked = db.store.setup_key_revoke(&tenant, key, now(), vec![]);
    revoked.await.unwrap();
    assert_eq!(swaps().await, Err(Refusal::SetupKeyUnusable));
}

#[tokio::test]
async fn what_is_wrong_with_a_device_behind_a_broker_is_told_to_its_tenant_as_the_devices() {
    let db = store::testing::sqlite().await.unwrap();
    let core = core(&db, CancellationToken::new());
    let mut broker = broker();
    Arc::get_mut(&mut broker).unwrap().settings.version = Version::V311;
    let endpoint = "os::00256D-1";
    let (tenant, _, device) = registered(&db, endpoint).await;
    let connection = Connection {
        outgoing: mpsc::channel(1).0,
        peer: SocketAddr::from(([127, 0, 0, 1], 1)),
        tenants: Arc::new(Tenants::All),
    };
    // A tenant that there is not is nobody's.
    for tenant in ["acme", "invented"] {
        let incoming = mtp::mqtt::Incoming {
            topic: format!("usp/{tenant}/controller/{endpoint}"),
            record: Bytes::from_static(b"x"),
            reply: None,
            in_topic: false,
        };
        broker.take(&core, &connection, incoming).await;
    }
    // What is nobody's and claims the name of the device is shown to its tenant, too.
    let refused = async |tenant, source: &str| {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let all = db.store.refusal_list(tenant, Timestamp::default(), 10);
            let mut all = all.await.unwrap().into_iter().map(|one| one.last);
            if let Some(one) = all.find(|one| one.source == source) {
                return one;
            }
            assert!(Instant::now() < deadline, "it is not told");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let of_device = format!("device {device}");
    let from = "the broker north (address not known)";
    for (tenant, source) in [(Some(&tenant), of_device.as_str()), (None, from)] {
        let one = refused(tenant, source).await;
        // What is no record has no version that could be another.
        assert_eq!(one.reason, "unparsable-record");
        assert_eq!(
            (one.endpoint_id.as_str(), one.peer.as_str()),
            (endpoint, from)
        );
    }
}

#[test]
fn there_are_only_so_many_devices_behind_a_broker() {
    let mut broker = broker();
    Arc::get_mut(&mut broker).unwrap().agents_max = 2;
    let links = [open(&broker, 1, 1), open(&broker, 2, 1)];
    assert!(links.iter().all(Result::is_ok) && open(&broker, 3, 1).is_err());
    assert_eq!(broker.health().devices, 2);
    drop(links);
    assert!(open(&broker, 3, 1).is_ok());
}

#[test]
fn refused_names_are_remembered_for_a_while_and_never_too_many() {
    let broker = broker();
    broker.refuse(name(0));
    assert!(broker.is_refused(&name(0)) && !broker.is_refused(&name(1)));
    (0..2 * BROKER_REFUSED_MAX).for_each(|n| broker.refuse(name(n)));
    assert!(lock(&broker.refused).len() <= BROKER_REFUSED_MAX);
}

#[test]
fn a_device_that_publishes_and_never_listens_is_not_met_again_and_again() {
    let mut broker = broker();
    for _ in 0..BROKER_UNHEARD_MAX {
        let _link = open(&broker, 1, 1).unwrap();
        assert!(!broker.unheard(&name(1)) && !broker.is_refused(&name(1)));
        // What is said of a link that is over counts nothing.
        assert!(!broker.unheard(&name(1)));
    }
    let link = open(&broker, 1, 1).unwrap();
    assert!(broker.unheard(&name(1)) && broker.is_refused(&name(1)));
    assert!(!broker.is_refused(&name(2)));
    drop(link);
    for n in 0..2 * BROKER_REFUSED_MAX {
        let _link = open(&broker, n, 1).unwrap();
        broker.unheard(&name(n));
    }
    assert!(lock(&broker.unheard).len() <= BROKER_REFUSED_MAX);
    // Long ago is forgotten.
    Arc::get_mut(&mut broker).unwrap().refused_for = Duration::ZERO;
    for _ in 0..2 * BROKER_UNHEARD_MAX {
        let _link = open(&broker, 1, 1).unwrap();
        assert!(!broker.unheard(&name(1)));
    }
}

#[tokio::test]
async fn a_link_whose_broker_is_lost_ends_with_the_reason() {
    let broker = broker();
    let mut link = open(&broker, 1, 1).unwrap();
    link.recv().await;
    broker.lost("it was unplugged");
    let crate::southbound::usp::wire::Heard::Closed(words) = link.recv().await else {
        panic!("it stays");
    };
    assert!(words.contains("it was unplugged"), "{words}");
}

#[tokio::test]
async fn a_device_counts_as_asked_only_when_the_question_had_room() {
    let broker = broker();
    let (outgoing, mut outbox) = mpsc::channel(1);
    let mut link = open_over(&broker, &name(1), 1, outgoing.clone()).unwrap();
    link.recv().await;
    let begun = link.last_heard();
    let mut at = begun + EVERY;
    link.keep_alive(at).unwrap();
    let asked = outbox.try_recv().unwrap();
    assert!(outbox.try_recv().is_err());
    // It answers; the next question finds no room for long, which is not its fault.
    assert!(broker.hand(&name(1), of(1)).is_ok());
    link.recv().await;
    assert!(outgoing.try_send(asked).is_ok());
    at = link.next_look();
    let long = at + 10 * EVERY;
    while at < long {
        link.keep_alive(at).unwrap();
        assert!(link.next_look() > at);
        at = link.next_look();
    }
    outbox.try_recv().unwrap();
    link.keep_alive(at).unwrap();
    assert!(outbox.try_recv().is_ok());
    // What it says and nobody has read yet keeps it, and silence does not.
    assert!(broker.hand(&name(1), of(1)).is_ok());
    link.keep_alive(link.next_look()).unwrap();
    link.recv().await;
    link.keep_alive(link.next_look()).unwrap();
    assert!(link.keep_alive(link.next_look()).is_err());
}

#[tokio::test]
async fn a_server_that_was_held_up_blames_no_device_for_it() {
    let broker = broker();
    let (outgoing, _outbox) = mpsc::channel(1);
    let mut link = open_over(&broker, &name(1), 1, outgoing).unwrap();
    link.recv().await;
    link.keep_alive(link.next_look()).unwrap();
    // The whole process stood still for long: its answer may wait in the socket.
    let late = link.next_look() + 10 * EVERY;
    link.keep_alive(late).unwrap();
    let look = link.next_look();
    assert!(look > late && look < late + EVERY);
    assert!(link.keep_alive(look).is_err());
}

#[test]
fn brokers_that_ask_speak_for_the_tenants_that_are_named() {
    let of = |text: &str| asked_for(&Config::parse(text).unwrap());
    let entry = |name: &str, more: &str| {
        format!("[[usp.brokers]]\nname = {name:?}\nurl = \"mqtt://h\"\nasks = true\n{more}\n")
    };
    let these = |names: &[&str]| {
        let ids = names.iter().map(|name| TenantId::parse(name).unwrap());
        Some(Tenants::These(ids.collect()))
    };
    assert_eq!(of(""), None);
    assert_eq!(of(&entry("a", "")), None);
    let (a, b) = (
        entry("a", "tenants = [\"acme\"]"),
        entry("b", "tenants = [\"other\"]"),
    );
    assert_eq!(of(&format!("{a}{b}")), these(&["acme", "other"]));
    let all = entry("b", "tenants = \"all\"");
    assert_eq!(of(&format!("{a}{all}")), Some(Tenants::All));
    assert_eq!(of(&format!("{a}{}", entry("b", ""))), None);
    let named = "[broker_auth]\ntenants = [\"third\"]\n";
    assert_eq!(of(&format!("{named}{a}")), these(&["third"]));
}
