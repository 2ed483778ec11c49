//! TLS: the ACS by HTTPS, client certificates, and what is shown of a handshake that fails.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleet::{CertificateId, DeviceId, Identity};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use server::Config;
use server::config::DeviceTls;
use server::southbound::cwmp::limits::Limits;
use server::{secret, state::now};
use store::{NewCertificate, NewDevice, PathSetup};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::raw::Wire;
use crate::rig::{World, until, world};

/// An authority that issues what a test wants.
struct Authority {
    dir: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

struct Issued {
    certificate: PathBuf,
    key: PathBuf,
}

impl Authority {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let made = params.self_signed(&pair).unwrap();
        std::fs::write(dir.path().join("ca.pem"), made.pem()).unwrap();
        let issuer = Issuer::new(params, pair);
        Self { dir, issuer }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    fn issue(&self, common_name: &str) -> Issued {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        let pair = KeyPair::generate().unwrap();
        let made = params.signed_by(&pair, &self.issuer).unwrap();
        let at = |end: &str| self.dir.path().join(format!("{common_name}.{end}"));
        std::fs::write(at("pem"), made.pem()).unwrap();
        std::fs::write(at("key"), pair.serialize_pem()).unwrap();
        Issued {
            certificate: at("pem"),
            key: at("key"),
        }
    }
}

async fn secured(authority: &Authority) -> World {
    secured_with(authority, |_| {}).await
}

async fn secured_with(authority: &Authority, change: impl FnOnce(&mut Limits)) -> World {
    secured_as(authority, |_, limits| change(limits)).await
}

async fn secured_as(authority: &Authority, change: impl FnOnce(&mut Config, &mut Limits)) -> World {
    let own = authority.issue("server");
    world(|config, limits| {
        change(config, limits);
        config.cwmp.tls_listen = Some("127.0.0.1:0".parse().unwrap());
        config.cwmp.tls = Some(DeviceTls {
            certificate: own.certificate,
            key: own.key,
            client_ca: Some(authority.file()),
        });
    })
    .await
}

/// `CONNECTIONS_MAX`
#[tokio::test]
async fn both_listeners_together_have_only_so_many_connections() {
    let authority = Authority::new();
    let world = secured_with(&authority, |limits| limits.connections_max = 2).await;
    let _secure = connect(&world, &authority.file(), None).await.unwrap();
    let _plain = Wire::connect(world.http).await;
    let mut third = Wire::connect(world.http).await;
    assert_eq!(third.answer().await.status, 503);
    world.refused("too-many-connections").await;
}

async fn connect(
    world: &World,
    ca: &Path,
    own: Option<&Issued>,
) -> std::io::Result<Wire<TlsStream<TcpStream>>> {
    let versions = rustls::DEFAULT_VERSIONS;
    connect_with(world, client(ca, own, versions)).await
}

/// A client with a memory of the sessions that it may resume.
fn client(
    ca: &Path,
    own: Option<&Issued>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(ca).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let chain = vec![CertificateDer::from_pem_file(&own.certificate).unwrap()];
            let key = PrivateKeyDer::from_pem_file(&own.key).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    Arc::new(config)
}

async fn connect_with(
    world: &World,
    config: Arc<ClientConfig>,
) -> std::io::Result<Wire<TlsStream<TcpStream>>> {
    let tcp = TcpStream::connect(world.https.unwrap()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(config).connect(name, tcp).await?;
    Ok(Wire::over(stream))
}

#[tokio::test]
async fn over_tls_basic_is_offered_and_a_session_goes_on() {
    let authority = Authority::new();
    let world = secured(&authority).await;
    let cpe = world.cpe("S1").await;
    let mut wire = connect(&world, &authority.file(), None).await.unwrap();
    let asked = wire.post("/", &[], "").await;
    assert_eq!(asked.status, 401);
    assert!(asked.challenges().iter().any(|one| one.scheme == "basic"));
    let basic = cpe.basic();
    let headers = [("Authorization", basic.as_str())];
    let informed = wire.post("/", &headers, &cpe.inform()).await;
    assert_eq!(informed.status, 200);
    let device = world.device("Box", "S1").await;
    assert_eq!(world.path(device).await.info["tls"], true);
}

#[tokio::test]
async fn a_certificate_with_its_name_opens_a_registered_device_and_no_other() {
    let authority = Authority::new();
    let world = secured(&authority).await;
    world.cpe("S1").await.session().await;
    let own = authority.issue("00256D-Box-S1");
    let mut wire = connect(&world, &authority.file(), Some(&own))
        .await
        .unwrap();
    let inform = |serial| crate::raw::inform("00256D", "Box", serial, "2 PERIODIC");
    let informed = wire.post("/cwmp/acme", &[], &inform("S1")).await;
    assert_eq!(informed.status, 200, "{}", informed.text());
    let device = world.device("Box", "S1").await;
    assert_eq!(world.path(device).await.authenticated_by, "certificate");
    // Nobody has registered this one; another device's certificate is worth nothing.
    for (name, serial, why) in [
        ("00256D-Box-S2", "S2", "not_registered"),
        ("00256D-Box-S3", "S1", "endpoint_mismatch"),
        ("00256D-Box-S4", "S5", "endpoint_mismatch"),
    ] {
        let other = authority.issue(name);
        let mut wire = connect(&world, &authority.file(), Some(&other))
            .await
            .unwrap();
        let asked = wire.post("/cwmp/acme", &[], &inform(serial)).await;
        assert_eq!(asked.status, 401, "{name}");
        world.refused_of(why, &format!("00256D-Box-{serial}")).await;
    }
}

/// A device that an operator has registered by its name in USP, and that nobody has come as yet.
async fn expected(world: &World, endpoint: &str, certificate_required: bool) -> DeviceId {
    let id = DeviceId::new(now(), secret::id_bits());
    let new = NewDevice::expected(id, vec![Identity::endpoint(endpoint)], now());
    let setup = PathSetup {
        transport: "websocket".to_owned(),
        endpoint_id: endpoint.to_owned(),
        dial_url: None,
        certificate_required,
    };
    let credential = (!certificate_required).then(|| secret::hash(endpoint));
    let made = world
        .store
        .device_expect(&world.tenant, new, setup, credential, vec![]);
    made.await.unwrap();
    id
}

#[tokio::test]
async fn a_device_registered_by_its_name_in_usp_comes_with_a_certificate_that_names_it() {
    let authority = Authority::new();
    let world = secured(&authority).await;
    for (endpoint, certificate, class, serial, required) in [
        ("os::00256D-S1", "00256D-S1", "", "S1", false),
        ("os::00256D-S2", "00256D-Box-S2", "Box", "S2", true),
        (
            "ops::00256D-Box%2D1-S%203",
            "00256D-Box-1-S 3",
            "Box-1",
            "S 3",
            true,
        ),
    ] {
        let device = expected(&world, endpoint, required).await;
        let own = authority.issue(certificate);
        let wire = connect(&world, &authority.file(), Some(&own)).await;
        let inform = crate::raw::inform("00256D", class, serial, "1 BOOT");
        let mut wire = wire.unwrap();
        let informed = wire.post("/cwmp/acme", &[], &inform).await;
        assert_eq!(informed.status, 200, "{endpoint}: {}", informed.text());
        let path = world.path(device).await;
        assert_eq!(path.authenticated_by, "certificate", "{endpoint}");
        assert_eq!(path.certificate_required, required, "{endpoint}");
    }
    // With nothing but the setup key it is none of them.
    let mut cpe = world.cpe("S2").await;
    assert_eq!(cpe.come().await.status, 403);
    world.refused("certificate_required").await;
}

/// What it was registered with before does not open it any more.
#[tokio::test]
async fn where_a_certificate_is_required_later_who_tells_the_serial_number_is_refused() {
    let authority = Authority::new();
    let world = secured(&authority).await;
    let device = expected(&world, "os::00256D-S6", false).await;
    let reach = store::PathPatch {
        transport: "websocket".to_owned(),
        certificate_required: Some(true),
        ..Default::default()
    };
    let (store, tenant) = (&world.store, &world.tenant);
    let revised = store.device_revise(tenant, device, Default::default(), reach, now(), vec![]);
    revised.await.unwrap();
    let serial = Identity::of_endpoint("os::00256D-S6");
    let by = "operator".to_owned();
    let attached = store.identity_attach(tenant, device, serial, by, now(), vec![]);
    assert!(attached.await.unwrap().is_empty());
    assert_eq!(world.cpe("S6").await.come().await.status, 403);
    world.refused("certificate_required").await;
}

/// A certificate names one box, and one of another product class may have the same serial number.
#[tokio::test]
async fn a_certificate_opens_no_device_of_another_product_class_with_the_same_serial_number() {
    let authority = Authority::new();
    let world = secured(&authority).await;
    let other = expected(&world, "os::00256D-S1", false).await;
    let told = Identity::of_serial("00256D", "A", "S1");
    let (store, tenant) = (&world.store, &world.tenant);
    let attached = store.identity_attach(tenant, other, told, "device".to_owned(), now(), vec![]);
    assert!(attached.await.unwrap().is_empty());
    let own = authority.issue("00256D-B-S1");
    let wire = connect(&world, &authority.file(), Some(&own)).await;
    let inform = crate::raw::inform("00256D", "B", "S1", "1 BOOT");
    let asked = wire.unwrap().post("/cwmp/acme", &[], &inform).await;
    assert_eq!(asked.status, 401, "nobody has registered it");
    world.refused("not_registered").await;
    let path = store.path(tenant, other, "cwmp").await.unwrap();
    assert!(path.is_none());
}

#[tokio::test]
async fn a_certificate_that_was_issued_here_for_a_device_opens_that_one_whoever_has_taken_its_name()
{
    let authority = Authority::new();
    let world = secured(&authority).await;
    let other = expected(&world, "os::00256D-S1", false).await;
    world.cpe("S1").await.session().await;
    let device = world.device("Box", "S1").await;
    assert_ne!(device, other);
    let own = authority.issue("00256D-S1");
    let der = CertificateDer::from_pem_file(&own.certificate).unwrap();
    let new = NewCertificate {
        id: CertificateId::new(now(), secret::id_bits()),
        endpoint_id: "os::00256D-S1".to_owned(),
        fingerprint: mtp::tls::fingerprint(&der),
        serial: "1".to_owned(),
        issuer: "ours".to_owned(),
        pem: std::fs::read_to_string(&own.certificate).unwrap(),
        not_before: now(),
        not_after: now().plus(std::time::Duration::from_secs(3600)),
        replaces: None,
        created_at: now(),
        created_by: String::new(),
    };
    let certificate = new.id;
    let issued = world.store.certificate_insert(&world.tenant, new, vec![]);
    issued.await.unwrap();
    let found = world
        .store
        .certificate_by_fingerprint(&mtp::tls::fingerprint(&der))
        .await;
    assert_eq!(found.unwrap().unwrap().device, Some(other));
    let inform = crate::raw::inform("00256D", "Box", "S1", "2 PERIODIC");
    // It becomes known over TR-069, and then comes again.
    for _ in 0..2 {
        let wire = connect(&world, &authority.file(), Some(&own)).await;
        let mut wire = wire.unwrap();
        let informed = wire.post("/cwmp/acme", &[], &inform).await;
        assert_eq!(informed.status, 200, "{}", informed.text());
        assert_eq!(world.path(other).await.authenticated_by, "certificate");
    }
    assert_eq!(world.path(device).await.authenticated_by, "setup_key");
    // A person is told of the two; once the other one is gone it has its names.
    let (store, tenant) = (&world.store, &world.tenant);
    let waiting = store.match_list(tenant, false, None, 10).await.unwrap();
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    let removed = store.device_delete(tenant, device, Default::default(), vec![]);
    removed.await.unwrap();
    let wire = connect(&world, &authority.file(), Some(&own)).await;
    let informed = wire.unwrap().post("/cwmp/acme", &[], &inform).await;
    assert_eq!(informed.status, 200, "{}", informed.text());
    assert_eq!(world.device("Box", "S1").await, other);
    // With one that was revoked nobody gives it names.
    let names = store.identity_list(tenant, other).await.unwrap();
    let revoked = store.certificate_revoke(tenant, certificate, Default::default(), vec![]);
    assert!(revoked.await.unwrap());
    let inform = crate::raw::inform("00256D", "Another", "S1", "2 PERIODIC");
    let wire = connect(&world, &authority.file(), Some(&own)).await;
    assert_eq!(
        wire.unwrap().post("/cwmp/acme", &[], &inform).await.status,
        403
    );
    let after = store.identity_list(tenant, other).await.unwrap();
    assert_eq!(after.len(), names.len(), "{after:?}");
}

#[tokio::test]
async fn of_two_devices_that_a_certificate_may_name_it_is_the_one_of_its_product_class() {
    let authority = Authority::new();
    let world = secured(&authority).await;
    let short = expected(&world, "os::00256D-S1", false).await;
    let long = expected(&world, "ops::00256D-Box-S1", false).await;
    let own = authority.issue("00256D-Box-S1");
    let wire = connect(&world, &authority.file(), Some(&own)).await;
    let inform = crate::raw::inform("00256D", "Box", "S1", "1 BOOT");
    let informed = wire.unwrap().post("/cwmp/acme", &[], &inform).await;
    assert_eq!(informed.status, 200, "{}", informed.text());
    assert_eq!(world.path(long).await.authenticated_by, "certificate");
    let path = world.store.path(&world.tenant, short, "cwmp").await;
    assert!(path.unwrap().is_none());
}

#[tokio::test]
async fn a_certificate_of_another_device_gets_nothing_of_the_session_whose_cookie_is_shown() {
    let authority = Authority::new();
    let world = secured(&authority).await;
    let mut own = world.cpe("S1").await;
    assert_eq!(own.come().await.status, 200);
    let cookie = own.cookie.clone().unwrap();
    let shown = async |name: &str| {
        let issued = authority.issue(name);
        let wire = connect(&world, &authority.file(), Some(&issued)).await;
        let unknown = crate::raw::envelope("8", "<cwmp:X_Dance/>");
        let cookie = [("Cookie", cookie.as_str())];
        let mut wire = wire.unwrap();
        wire.post("/cwmp/acme", &cookie, &unknown).await.status
    };
    assert_eq!(shown("00256D-Box-S2").await, 403);
    world.refused_of("foreign-cookie", "00256D-Box-S2").await;
    // Its own, and the session is as it was.
    assert_eq!(shown("00256D-Box-S1").await, 200);
    own.finish().await;
}

#[tokio::test]
async fn a_session_goes_on_over_another_proxy_that_shows_a_certificate_of_its_own() {
    let authority = Authority::new();
    let proxies = |config: &mut Config, _: &mut Limits| {
        config.cwmp.proxies = vec!["127.0.0.1".parse().unwrap()];
    };
    let world = secured_as(&authority, proxies).await;
    let cpe = world.cpe("S1").await;
    let (basic, inform) = (cpe.basic(), cpe.inform());
    let over = async |name: &str, more: (&str, &str), body: &str| {
        let issued = authority.issue(name);
        let wire = connect(&world, &authority.file(), Some(&issued)).await;
        let from = ("X-Forwarded-For", "203.0.113.1");
        wire.unwrap().post("/cwmp/acme", &[from, more], body).await
    };
    let informed = over("north", ("Authorization", basic.as_str()), &inform).await;
    assert_eq!(informed.status, 200);
    let cookie = informed.cookie().unwrap();
    let unknown = crate::raw::envelope("8", "<cwmp:X_Dance/>");
    let next = over("south", ("Cookie", cookie.as_str()), &unknown).await;
    assert_eq!(next.status, 200);
}

#[tokio::test]
async fn a_name_that_a_certificate_has_twice_is_told_once() {
    let authority = Authority::new();
    let world = secured(&authority).await;
    let twice = authority.issue("localhost");
    let wire = connect(&world, &authority.file(), Some(&twice)).await;
    let inform = crate::raw::inform("00256D", "Box", "S1", "2 PERIODIC");
    let refused = wire.unwrap().post("/cwmp/acme", &[], &inform).await;
    assert_eq!(refused.status, 401);
    let words = until("it is told", || async {
        let since = fleet::Timestamp::default();
        let found = world.store.refusal_list(Some(&world.tenant), since, 100);
        let first = found.await.unwrap().into_iter().next();
        first.map(|record| record.last.detail)
    })
    .await;
    assert_eq!(words, "its certificate is for localhost");
}

#[tokio::test]
async fn handshakes_that_fail_are_named_and_those_that_are_let_go_are_not() {
    let authority = Authority::new();
    let world = secured(&authority).await;
    drop(TcpStream::connect(world.https.unwrap()).await.unwrap());
    let elsewhere = Authority::new();
    let stranger = elsewhere.issue("00256D-Box-S1");
    // TLS 1.3 tells the client of it only after its own part is done.
    if let Ok(mut wire) = connect(&world, &authority.file(), Some(&stranger)).await {
        assert!(wire.closes_within(crate::rig::PATIENCE).await);
    }
    world.refused("certificate-rejected").await;
    let mut plain = Wire::connect(world.https.unwrap()).await;
    plain.send("POST / HTTP/1.1\r\n\r\n").await;
    world.refused("plaintext-on-tls-listener").await;
    let reasons = world.reasons().await;
    assert!(
        !reasons.contains(&"handshake-abandoned".to_owned()),
        "{reasons:?}"
    );
}

/// `TLS_HANDSHAKE_TIME_MAX`
#[tokio::test]
async fn who_begins_no_handshake_is_cut_off() {
    let authority = Authority::new();
    let time = std::time::Duration::from_millis(200);
    let world = secured_with(&authority, |limits| limits.tls_handshake_time_max = time).await;
    let mut silent = Wire::connect(world.https.unwrap()).await;
    assert!(silent.closes_within(crate::rig::PATIENCE).await);
    world.refused("handshake-timeout").await;
}

#[tokio::test]
async fn a_device_that_comes_again_resumes_tls_and_is_still_who_its_certificate_says() {
    let authority = Authority::new();
    let world = secured(&authority).await;
    world.cpe("S1").await.session().await;
    let own = authority.issue("00256D-Box-S1");
    // TLS 1.2 by ticket, and by session id for clients that know no tickets.
    let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
    for (version, tickets) in [
        (versions[0], true),
        (versions[1], true),
        (versions[1], false),
    ] {
        let mut config = client(&authority.file(), Some(&own), &[version]);
        if !tickets {
            let ids = rustls::client::Tls12Resumption::SessionIdOnly;
            let config = Arc::get_mut(&mut config).unwrap();
            config.resumption =
                rustls::client::Resumption::in_memory_sessions(4).tls12_resumption(ids);
        }
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut wire = connect_with(&world, config.clone()).await.unwrap();
            let inform = crate::raw::inform("00256D", "Box", "S1", "2 PERIODIC");
            let informed = wire.post("/cwmp/acme", &[], &inform).await;
            assert_eq!(informed.status, 200, "{version:?}");
            let (_, tls) = wire.stream.get_ref();
            kinds.push(tls.handshake_kind().unwrap());
        }
        use rustls::HandshakeKind::{Full, Resumed};
        assert_eq!(kinds, [Full, Resumed], "{version:?}, tickets {tickets}");
    }
    let device = world.device("Box", "S1").await;
    assert_eq!(world.path(device).await.authenticated_by, "certificate");
}

/// `HANDSHAKES_PER_ADDRESS_MAX`
#[tokio::test]
async fn so_many_handshakes_of_one_address_are_under_way() {
    let authority = Authority::new();
    let world = secured_with(&authority, |limits| limits.handshakes_per_address_max = 3).await;
    let silent = || async { Wire::connect(world.https.unwrap()).await };
    let held = [silent().await, silent().await, silent().await];
    let mut more = silent().await;
    assert!(more.closes_within(crate::rig::PATIENCE).await);
    world.refused("too-many-handshakes").await;
    drop(held);
    crate::rig::until("there is room again", || async {
        let wire = connect(&world, &authority.file(), None).await.ok()?;
        drop(wire);
        Some(())
    })
    .await;
}
