//! Session contexts, end to end: a real agent that insists on them, and devices that break them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use agent::{AgentConfig, ControllerConfig, MemoryStorage};
use fleet::southbound::{Answer, Failure, Op};
use mtp::tls::authority::{Authority, KeyOf};
use mtp::tls::development::DevelopmentCa;
use server::Config;
use server::config::{ContextIdentity, PayloadSecurity, SessionMode};
use server::south::Links;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use usp::context::Mode;
use usp::record::SessionContextRecord;
use usp::{Record, Version};

use crate::admission::give_token;
use crate::api_world;
use crate::puppet::{Puppet, Seen, eid, plain};
use crate::rig::{PATIENCE, Real, World, each, until};
use crate::secure::{Pair, shown};

const EID: &str = "os::00256D-P1";
const SESSION: &str = "Device.LocalAgent.Controller.1.E2ESession.";

/// A device with this mode, cutting messages at 600 bytes, when it has been onboarded.
async fn agent(world: &World, mode: &str) -> Real {
    agent_with(world, &world.url(&world.key), mode, |_| {})
}

fn agent_with(world: &World, url: &str, mode: &str, change: impl FnOnce(&mut AgentConfig)) -> Real {
    let controller = ControllerConfig {
        endpoint_id: world.own.clone(),
        url: url.to_owned(),
        retry_min_wait: 1,
        session_mode: mode.into(),
        record_bytes_max: 600,
        ..ControllerConfig::default()
    };
    let configure = |config: &mut AgentConfig| {
        config.controllers = vec![controller];
        change(config);
    };
    Real::run("CTX1", MemoryStorage::new(), configure).0
}

async fn read(world: &mut World, endpoint: &str, name: &str) -> String {
    let found = values(world, endpoint, &format!("{SESSION}{name}")).await;
    found[0].value.clone()
}

/// What a device has at a path, asked until it answers.
async fn values(world: &mut World, endpoint: &str, path: &str) -> Vec<fleet::PathValue> {
    let device = world.device(endpoint).await;
    let get = || Op::Get {
        paths: vec![path.to_owned()],
        max_depth: 0,
    };
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match world.ask(device, get()).await {
            Ok(Answer::Values(values)) => return values[0].result.clone().unwrap(),
            // It is about to come back with its own credential.
            Err(Failure::Unsent { .. } | Failure::Lost { .. }) => {
                assert!(tokio::time::Instant::now() < deadline, "it stays away");
                tokio::task::yield_now().await;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// R-MSG.0a, R-E2E.4: everything of a device's life goes through the context that it opens, in pieces.
#[tokio::test]
async fn an_agent_that_requires_session_contexts_is_managed_through_one() {
    each(|mut world| async move {
        let real = agent(&world, "Require").await;
        let endpoint = real.endpoint.clone();
        world.onboarded(&endpoint).await;
        assert_eq!(read(&mut world, &endpoint, "Status").await, "Up");
        assert_eq!(read(&mut world, &endpoint, "SessionMode").await, "Require");
        assert_eq!(read(&mut world, &endpoint, "MaxUSPRecordSize").await, "600");
        assert!(world.reasons().await.is_empty());
        real.stop().await;
    })
    .await;
}

/// A server that requires them opens one with an agent that allows them.
#[tokio::test]
async fn a_server_that_requires_session_contexts_opens_them() {
    for db in store::testing::databases().await.unwrap() {
        let mut world = World::with(db, |config, _| {
            config.usp.session_context.mode = SessionMode::Require;
            config.usp.session_context.record_bytes_max = 512;
        })
        .await;
        let real = agent(&world, "Allow").await;
        let endpoint = real.endpoint.clone();
        world.onboarded(&endpoint).await;
        assert_eq!(read(&mut world, &endpoint, "Status").await, "Up");
        real.stop().await;
    }
}

/// R-E2E.6a
#[tokio::test]
async fn an_agent_that_forbids_what_the_server_requires_is_named() {
    for db in store::testing::databases().await.unwrap() {
        let world = World::with(db, |config, _| {
            config.usp.session_context.mode = SessionMode::Require;
        })
        .await;
        let real = agent(&world, "Forbid").await;
        world.refused("session-context-refused").await;
        real.stop().await;
    }
}

/// R-E2E.24: what breaks a context is named, and the device can still be asked.
#[tokio::test]
async fn a_device_that_breaks_its_session_context_is_named() {
    each(|world| async move {
        let token = give_token(&world, EID).await;
        let mut puppet = Puppet::dial(&world.url(&token), EID, &world.own)
            .await
            .unwrap();
        let broken = SessionContextRecord {
            session_id: 1,
            sequence_id: 1,
            expected_id: 1,
            ..SessionContextRecord::default()
        };
        let record = Record::new(Version::V1_4, &eid(EID), &eid(&world.own), broken);
        let contexts = usp::context::Config {
            mode: Mode::Allow,
            ..usp::context::Config::default()
        };
        puppet.session.set_contexts(contexts.into());
        puppet.send_raw(usp::codec::encode_record(&record)).await;
        let busy = tokio::spawn(async move {
            let seen = puppet.serve(plain).await;
            assert!(!matches!(seen, Seen::Closed(_)), "{seen:?}");
        });
        world.refused("session-context-failed").await;
        busy.abort();
    })
    .await;
}

/// A way to a server that counts what passes: WebSocket messages, and the bytes of the largest.
#[derive(Clone, Default)]
struct Tap {
    messages: Arc<AtomicUsize>,
    largest: Arc<AtomicUsize>,
}

impl Tap {
    async fn open(&self, to: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let tap = self.clone();
        tokio::spawn(async move {
            while let Ok((here, _)) = listener.accept().await {
                let there = TcpStream::connect(to).await.unwrap();
                let (a, b) = (here.into_split(), there.into_split());
                tokio::spawn(tap.clone().pass(a.0, b.1));
                tokio::spawn(tap.clone().pass(b.0, a.1));
            }
        });
        at
    }

    async fn pass(self, mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin) {
        let (mut seen, mut upgraded) = (Vec::new(), false);
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            seen.extend_from_slice(&bytes[..count]);
            if !upgraded && let Some(end) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
                seen.drain(..end + 4);
                upgraded = true;
            }
            while upgraded && let Some((binary, payload, whole)) = frame(&seen) {
                if binary {
                    self.messages.fetch_add(1, Ordering::Relaxed);
                    self.largest.fetch_max(payload, Ordering::Relaxed);
                }
                seen.drain(..whole);
            }
            if to.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    }
}

/// The first frame, if it is there: whether it is a binary message, and how many bytes it has without and with its head.
fn frame(bytes: &[u8]) -> Option<(bool, usize, usize)> {
    let [first, second, rest @ ..] = bytes else {
        return None;
    };
    let (head, payload) = match second & 0x7f {
        126 => (4, u16::from_be_bytes(*rest.first_chunk()?) as usize),
        127 => (10, u64::from_be_bytes(*rest.first_chunk()?) as usize),
        short => (2, usize::from(short)),
    };
    let whole = head + if second & 0x80 == 0 { 0 } else { 4 } + payload;
    (bytes.len() >= whole).then_some((first & 0x0f == 2, payload, whole))
}

/// `MaxUSPRecordSize` on the wire, both ways: a large answer comes in many records, and whole.
#[tokio::test]
async fn a_large_answer_comes_in_records_of_a_kilobyte_and_whole() {
    for db in store::testing::databases().await.unwrap() {
        let mut world = World::with(db, |config, _| {
            config.usp.session_context.record_bytes_max = 1024;
        })
        .await;
        let tap = Tap::default();
        let at = tap.open(world.usp).await;
        let url = format!("ws://{at}/usp/{}", world.key);
        let real = agent_with(&world, &url, "Require", |config| {
            config.controllers[0].record_bytes_max = 1024;
        });
        let endpoint = real.endpoint.clone();
        world.onboarded(&endpoint).await;
        assert_eq!(read(&mut world, &endpoint, "Status").await, "Up");
        let before = tap.messages.load(Ordering::Relaxed);
        let values = values(&mut world, &endpoint, "Device.").await;
        let bytes = values
            .iter()
            .map(|value| value.path.len() + value.value.len());
        let bytes: usize = bytes.sum();
        let records = tap.messages.load(Ordering::Relaxed) - before;
        assert!(bytes > 10 * 1024 && records > 8, "{bytes} in {records}");
        let largest = tap.largest.load(Ordering::Relaxed);
        assert!((960..=1024).contains(&largest), "{largest}");
        real.stop().await;
    }
}

/// Certificates of one authority for a server and its agents.
struct Site {
    ca: DevelopmentCa,
}

const OWN: &str = "self::contexts";

impl Site {
    fn new(dir: &Path) -> Self {
        let ca = DevelopmentCa::open_or_create(dir).unwrap();
        Self { ca }
    }

    fn serve(&self, config: &mut Config) {
        let issued = self.ca.server(&["acs.example".into()], &eid(OWN)).unwrap();
        config.usp.endpoint_id = Some(OWN.into());
        config.usp.session_context.identity = Some(ContextIdentity {
            certificate: issued.certificate,
            key: issued.key,
            authorities: self.ca.certificate(),
        });
    }

    fn equip(&self, config: &mut AgentConfig) {
        let issued = self.ca.client("agent", &eid(&config.endpoint_id)).unwrap();
        config.tls.certificate = Some(issued.certificate);
        config.tls.key = Some(issued.key);
        config.tls.ca_file = Some(self.ca.certificate());
    }
}

/// R-E2E.40 to .43 over a WebSocket without TLS of its own, whoever opens the context.
#[tokio::test]
async fn what_a_context_carries_is_encrypted_where_both_ends_want_it() {
    for (server_mode, agent_mode) in [
        (SessionMode::Allow, "Require"),
        (SessionMode::Require, "Allow"),
    ] {
        for db in store::testing::databases().await.unwrap() {
            let dir = tempfile::tempdir().unwrap();
            let site = Site::new(dir.path());
            let mut world = World::with(db, |config, _| {
                site.serve(config);
                config.usp.session_context.mode = server_mode;
                config.usp.session_context.payload_security = PayloadSecurity::Tls;
            })
            .await;
            let url = world.url(&world.key);
            let real = agent_with(&world, &url, agent_mode, |config| {
                site.equip(config);
                config.controllers[0].payload_security = "TLS".into();
            });
            let endpoint = real.endpoint.clone();
            world.onboarded(&endpoint).await;
            assert_eq!(read(&mut world, &endpoint, "Status").await, "Up");
            let security = read(&mut world, &endpoint, "PayloadSecurity").await;
            assert_eq!(security, "TLS");
            assert_eq!(world.reasons().await, [""; 0]);
            real.stop().await;
        }
    }
}

/// R-E2E.29, .30: without TLS below, records prove themselves; what does not is dropped and named.
#[tokio::test]
async fn where_signatures_are_demanded_only_signed_records_count() {
    for db in store::testing::databases().await.unwrap() {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::new(dir.path());
        let mut world = World::with(db, |config, _| {
            site.serve(config);
            config.usp.session_context.signed_records = true;
        })
        .await;
        let url = world.url(&world.key);
        let unsigned = agent_with(&world, &url, "Allow", |config| site.equip(config));
        world.refused("unproven-record").await;
        unsigned.stop().await;
        let signed = agent_with(&world, &url, "Allow", |config| {
            site.equip(config);
            config.tls.signed_records = true;
        });
        let endpoint = signed.endpoint.clone();
        world.onboarded(&endpoint).await;
        assert_eq!(read(&mut world, &endpoint, "Status").await, "Down");
        signed.stop().await;
    }
}

/// A device that is connected and proves nothing is not alive for that: neither by what is not signed nor by what is made up.
#[tokio::test]
async fn what_does_not_prove_itself_is_no_sign_of_life() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path());
    let db = store::testing::sqlite().await.unwrap();
    let world = World::with(db, |config, _| {
        site.serve(config);
        config.usp.session_context.signed_records = true;
        // No pings in between.
        config.presence.silent_after_seconds = 3600;
    })
    .await;
    let token = give_token(&world, EID).await;
    let device = world.device(EID).await;
    let mut puppet = Puppet::dial(&world.url(&token), EID, &world.own)
        .await
        .unwrap();
    world.refused("unproven-record").await;
    let before = world.adapter.live(device)[0].heard;
    let made_up = SessionContextRecord {
        session_id: 77,
        sequence_id: 1,
        expected_id: 1,
        ..SessionContextRecord::default()
    };
    let mut made_up = Record::new(Version::V1_4, &eid(EID), &eid(&world.own), made_up);
    made_up.payload_security = usp::record::PayloadSecurity::TLS12;
    made_up.mac_signature = vec![7; 32];
    let made_up = usp::codec::encode_record(&made_up);
    let count = async || {
        let all = world
            .store
            .refusal_list(Some(&world.tenant), Default::default(), 100);
        let all = all.await.unwrap();
        all.iter().map(|one| one.times).sum::<u64>()
    };
    let complaints = count().await;
    puppet.send_raw(made_up).await;
    let ask = usp::msg::Msg::request("x", usp::msg::get(["Device."]));
    let payload = usp::codec::encode_msg(&ask);
    puppet.send_as(EID, &world.own, payload).await;
    until("both were looked at", async || {
        (count().await > complaints).then_some(())
    })
    .await;
    assert!(server::state::now() > before);
    assert_eq!(world.adapter.live(device)[0].heard, before);
}

/// A configuration that cannot work is named when the server starts, with its key.
#[tokio::test]
async fn an_identity_that_does_not_fit_is_named_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path());
    let mut context = server::config::SessionContext {
        payload_security: PayloadSecurity::Either,
        ..Default::default()
    };
    let pki = || dir.path().join("none.pem");
    let failed = |context: &server::config::SessionContext| {
        let failed = context
            .credential(&eid(OWN), pki())
            .err()
            .unwrap()
            .to_string();
        assert!(
            failed.starts_with("usp.session_context.identity: "),
            "{failed}"
        );
        failed
    };
    assert!(failed(&context).contains("need it"));
    let mut config = Config::default();
    site.serve(&mut config);
    context.identity = config.usp.session_context.identity;
    assert!(context.credential(&eid(OWN), pki()).is_ok());
    let other = context
        .credential(&eid("self::another"), pki())
        .err()
        .unwrap();
    assert!(other.to_string().contains("self::another"), "{other}");
}

/// Who looks at a device sees that it is spoken with in a session context, and whether that is encrypted.
#[tokio::test]
async fn the_page_of_a_device_tells_of_its_session_context() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path());
    let database = store::testing::sqlite().await.unwrap();
    let mut world = api_world::World::with(database, |config| {
        config.usp.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        site.serve(config);
        config.usp.session_context.payload_security = PayloadSecurity::Either;
    })
    .await;
    world.populate().await;
    let made = world
        .post(
            "/api/v1/setup-keys",
            serde_json::json!({"name": "contexts"}),
        )
        .await;
    let made: serde_json::Value = made.json().await.unwrap();
    let url = made["urls"][0].as_str().unwrap().to_owned();
    for (serial, mode, payload, wanted) in [
        ("V1", "Allow", "Plaintext", serde_json::json!(null)),
        (
            "V2",
            "Require",
            "Plaintext",
            serde_json::json!({"up": true, "encrypted": false}),
        ),
        (
            "V3",
            "Require",
            "TLS",
            serde_json::json!({"up": true, "encrypted": true}),
        ),
    ] {
        let controller = ControllerConfig {
            endpoint_id: OWN.into(),
            url: url.clone(),
            retry_min_wait: 1,
            session_mode: mode.into(),
            payload_security: payload.into(),
            ..ControllerConfig::default()
        };
        let (agent, _) = Real::run(serial, MemoryStorage::new(), |config| {
            site.equip(config);
            config.controllers = vec![controller];
        });
        until("it is onboarded, and its page tells", || async {
            let found = world.read(&format!("/api/v1/devices?q={serial}")).await;
            let id = found["items"][0]["id"].as_str()?.to_owned();
            let device = world.read(&format!("/api/v1/devices/{id}")).await;
            let reach = world.read(&format!("/api/v1/devices/{id}/reach")).await;
            let done = device["onboarding"] == "complete";
            (done && reach["paths"][0]["session_context"] == wanted).then_some(())
        })
        .await;
        agent.stop().await;
    }
}

/// A server whose session contexts rest on its authority for devices.
struct Issuing {
    world: api_world::World,
    dir: tempfile::TempDir,
    url: String,
    signed: bool,
}

impl Issuing {
    async fn start(signed: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("pki");
        let authority = Authority::create(&folder, "ours", 3650).unwrap();
        let own = authority.issue(&eid(OWN), 30, KeyOf::Fresh).unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("server.pem"), &own.pem).unwrap();
        std::fs::write(at("server.key"), own.key.unwrap()).unwrap();
        let identity = ContextIdentity {
            certificate: at("server.pem"),
            key: at("server.key"),
            authorities: Authority::certificate_file(&folder),
        };
        let database = store::testing::sqlite().await.unwrap();
        let mut world = api_world::World::with(database, |config| {
            config.usp.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
            config.usp.endpoint_id = Some(OWN.into());
            config.pki.folder = Some(folder);
            let context = &mut config.usp.session_context;
            context.identity = Some(identity);
            context.signed_records = signed;
            if !signed {
                context.payload_security = PayloadSecurity::Tls;
            }
        })
        .await;
        world.populate().await;
        let made = world.post("/api/v1/setup-keys", serde_json::json!({"name": "k"}));
        let made: serde_json::Value = made.await.json().await.unwrap();
        let url = made["urls"][0].as_str().unwrap().to_owned();
        Self {
            world,
            dir,
            url,
            signed,
        }
    }

    /// A certificate for an endpoint of the tenant that this token acts in: its id, and its files.
    async fn issue(&self, token: &str, endpoint: &str) -> (String, Pair) {
        let (world, body) = (&self.world, serde_json::json!({"endpoint_id": endpoint}));
        let ask = world
            .http
            .post(format!("{}/api/v1/certificates", world.url));
        let made = ask.bearer_auth(token).json(&body).send().await.unwrap();
        let made: serde_json::Value = made.json().await.unwrap();
        let id = made["certificate"]["id"].as_str().unwrap().to_owned();
        let at = |ends| self.dir.path().join(format!("{id}.{ends}"));
        std::fs::write(at("pem"), made["pem"].as_str().unwrap()).unwrap();
        std::fs::write(at("key"), made["key"].as_str().unwrap()).unwrap();
        // It may come by other means as well.
        let device = made["certificate"]["device_id"].as_str().unwrap();
        let patched = world
            .http
            .patch(format!("{}/api/v1/devices/{device}", world.url))
            .bearer_auth(token)
            .json(&serde_json::json!({"certificate_required": false}));
        assert_eq!(patched.send().await.unwrap().status(), 200);
        let pair = Pair {
            certificate: at("pem"),
            key: at("key"),
        };
        (id, pair)
    }

    /// An agent without TLS below, that comes with a setup key.
    fn agent(&self, serial: &str, own: &Pair) -> Real {
        let (mode, payload) = match self.signed {
            true => ("Allow", "Plaintext"),
            false => ("Require", "TLS"),
        };
        let controller = ControllerConfig {
            endpoint_id: OWN.into(),
            url: self.url.clone(),
            retry_min_wait: 1,
            session_mode: mode.into(),
            payload_security: payload.into(),
            ..ControllerConfig::default()
        };
        let configure = |config: &mut AgentConfig| {
            let ca = self.dir.path().join("pki");
            config.tls.ca_file = Some(Authority::certificate_file(&ca));
            config.tls.certificate = Some(own.certificate.clone());
            config.tls.key = Some(own.key.clone());
            config.tls.signed_records = self.signed;
            config.controllers = vec![controller];
        };
        Real::run(serial, MemoryStorage::new(), configure).0
    }
}

#[tokio::test]
async fn a_certificate_that_was_revoked_proves_nothing_between_the_endpoints_themselves() {
    for signed in [false, true] {
        let site = Issuing::start(signed).await;
        let world = &site.world;
        let (id, own) = site.issue(&world.owner, "os::00256D-E1").await;
        let agent = site.agent("E1", &own);
        until("it is known to be in use", || async {
            let shown = world.read(&format!("/api/v1/certificates/{id}")).await;
            let used = shown["certificate"]["first_used_at"].is_string();
            used.then_some(())
        })
        .await;
        let path = format!("/api/v1/certificates/{id}/revoke");
        let revoked = world.post(&path, serde_json::json!({"reason": "stolen"}));
        assert_eq!(revoked.await.status(), 200);
        until("its link has ended", || async {
            let path = "/api/v1/events?kind=device.disconnected";
            let events = world.read(path).await.to_string();
            events.contains("its certificate was revoked").then_some(())
        })
        .await;
        let refused = shown(world, "certificate_revoked").await;
        assert_eq!(refused["endpoint_id"], agent.endpoint, "{refused:#}");
        agent.stop().await;
    }
}

#[tokio::test]
async fn a_certificate_of_another_tenant_proves_nothing_between_the_endpoints_themselves() {
    for signed in [false, true] {
        let site = Issuing::start(signed).await;
        let world = &site.world;
        // Both tenants have a device of this name, and one has the certificate of the other.
        let endpoint = "os::00256D-E2";
        let (_, _ours) = site.issue(&world.owner, endpoint).await;
        let (id, theirs) = site.issue(&world.other, endpoint).await;
        let agent = site.agent("E2", &theirs);
        let refused = shown(world, "certificate_of_another_tenant").await;
        assert_eq!(refused["endpoint_id"], endpoint, "{refused:#}");
        until("its link has ended", || async {
            let path = "/api/v1/events?kind=device.disconnected";
            let events = world.read(path).await.to_string();
            events.contains("does not count").then_some(())
        })
        .await;
        agent.stop().await;
        let page = world
            .http
            .get(format!("{}/api/v1/certificates/{id}", world.url))
            .bearer_auth(&world.other);
        let page: serde_json::Value = page.send().await.unwrap().json().await.unwrap();
        assert!(page["certificate"]["first_used_at"].is_null(), "{page:#}");
    }
}
