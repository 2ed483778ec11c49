//! TLS on both ends: versions, client certificates, and the certificates of the development CA.

use std::{os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use mtp::{
    tls::{
        ClientCertificates, ClientTls, ClientTlsConfig, Roots, ServerTls, ServerTlsConfig,
        development::{DevelopmentCa, Issued},
    },
    ws::{DialConfig, DialError, Incoming, Link, RefusalReason, SUBPROTOCOL, dial},
};
use rcgen::{CertificateParams, KeyPair};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::{Raw, Running, config, eid, listen_with, within};

struct Site {
    dir: tempfile::TempDir,
    ca: DevelopmentCa,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = DevelopmentCa::open_or_create(&dir.path().join("tls")).unwrap();
        Self { dir, ca }
    }

    fn server(&self, clients: ClientCertificates) -> ServerTlsConfig {
        let named = self.named(&["localhost", "127.0.0.1"], "self::controller");
        ServerTlsConfig { clients, ..named }
    }

    /// A server of these host names and this endpoint id.
    fn named(&self, names: &[&str], id: &str) -> ServerTlsConfig {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let Issued { certificate, key } = self.ca.server(&names, &eid(id)).unwrap();
        ServerTlsConfig {
            certificate,
            key,
            clients: ClientCertificates::Ignored,
        }
    }

    async fn listen(&self, clients: ClientCertificates) -> Running {
        listen_as(self.server(clients)).await
    }

    fn believing(&self) -> ClientTlsConfig {
        ClientTlsConfig {
            roots: Roots::Only(self.ca.certificate()),
            ..Default::default()
        }
    }

    fn client(&self, name: &str, id: &str) -> ClientTlsConfig {
        let Issued { certificate, key } = self.ca.client(name, &eid(id)).unwrap();
        ClientTlsConfig {
            own: Some((certificate, key)),
            ..self.believing()
        }
    }
}

async fn listen_as(server: ServerTlsConfig) -> Running {
    let tls = ServerTls::load(server).unwrap();
    listen_with(config().with_tls(Arc::new(tls)), |_| Ok(())).await
}

async fn dialled(running: &Running, tls: &ClientTlsConfig) -> Result<Link, DialError> {
    let url = format!("wss://localhost:{}/usp", running.addr.port());
    let mut config = DialConfig::new(url, eid("self::agent"));
    config.tls = Some(Arc::new(ClientTls::load(tls).unwrap()));
    within(dial(&config)).await
}

/// A certificate from nobody: self-signed, with the given names, expired or not.
fn self_signed(dir: &Path, names: &[&str], expired: bool) -> Issued {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    if expired {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    }
    let pair = KeyPair::generate().unwrap();
    let made = params.self_signed(&pair).unwrap();
    let issued = Issued {
        certificate: dir.join("own.pem"),
        key: dir.join("own.key"),
    };
    std::fs::write(&issued.certificate, made.pem()).unwrap();
    std::fs::write(&issued.key, pair.serialize_pem()).unwrap();
    issued
}

/// TP-469 4.1, 7.9
#[tokio::test]
async fn records_travel_over_tls_and_the_server_shows_its_endpoint_id() {
    // R-MTP.0, R-WS.22
    let site = Site::new();
    let mut running = site.listen(ClientCertificates::Ignored).await;
    let mut link = dialled(&running, &site.believing()).await.unwrap();
    assert!(link.is_tls());
    assert_eq!(link.peer_ids(), [eid("self::controller")]);
    let mut accepted = running.next().await;
    assert!(accepted.hello.tls && !accepted.hello.certified);
    let record = bytes::Bytes::from(vec![6; 1 << 20]);
    let answering = tokio::spawn(async move {
        let Ok(Incoming::Record(record)) = accepted.link.recv().await else {
            panic!()
        };
        accepted.link.send(record).await.unwrap();
        accepted.link.recv().await
    });
    link.send(record.clone()).await.unwrap();
    assert_eq!(within(link.recv()).await.unwrap(), Incoming::Record(record));
    link.close(mtp::ws::CloseCode::Normal, "").await;
    assert!(matches!(
        within(answering).await.unwrap(),
        Ok(Incoming::Closed(_))
    ));
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_both_spoken() {
    let site = Site::new();
    let mut running = site.listen(ClientCertificates::Ignored).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut roots = rustls::RootCertStore::empty();
        let pem = std::fs::read(site.ca.certificate()).unwrap();
        roots
            .add(rustls_pki_types::pem::PemObject::from_pem_slice(&pem).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tcp = TcpStream::connect(running.addr).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
        let name = "localhost".try_into().unwrap();
        let stream = within(connector.connect(name, tcp)).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        let mut request = "ws://localhost/usp?eid=self::a"
            .into_client_request()
            .unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", SUBPROTOCOL.parse().unwrap());
        within(tokio_tungstenite::client_async(request, stream))
            .await
            .unwrap();
        assert_eq!(running.next().await.hello.eid, Some(eid("self::a")));
    }
}

#[tokio::test]
async fn older_tls_is_refused_and_named() {
    let site = Site::new();
    let mut running = site.listen(ClientCertificates::Ignored).await;
    // A ClientHello of TLS 1.1: version, 32 random bytes, no session, one cipher, no compression.
    let mut hello = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 0x2F, 1, 0]);
    let mut raw = Raw::connect(running.addr).await;
    raw.send(hello).await;
    raw.rest().await;
    let refused = running.next_refused().await.refusal;
    assert_eq!(refused.reason, RefusalReason::TlsFailed);
    assert!(refused.detail.contains("1.2 and 1.3"), "{}", refused.detail);
}

#[tokio::test]
async fn a_demanded_client_certificate_has_to_name_the_endpoint_that_dials() {
    // R-SEC.0a, R-SEC.9
    let site = Site::new();
    let ca = site.ca.certificate();
    let mut running = site.listen(ClientCertificates::Demanded { ca }).await;
    let link = dialled(&running, &site.client("agent", "self::agent"))
        .await
        .unwrap();
    let hello = running.next().await.hello;
    assert!(hello.certified);
    assert_eq!(hello.certificate_ids, [eid("self::agent")]);
    drop(link);

    let error = dialled(&running, &site.client("other", "self::other"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, DialError::Refused { status: 403, .. }),
        "{error}"
    );
    let refused = running.next_refused().await;
    assert_eq!(refused.refusal.reason, RefusalReason::EndpointIdConflict);
    assert!(
        refused.refusal.detail.contains("self::other"),
        "{}",
        refused.refusal.detail
    );

    dialled(&running, &site.believing()).await.unwrap_err();
    assert_eq!(
        running.next_refused().await.refusal.reason,
        RefusalReason::CertificateMissing
    );

    let Issued { certificate, key } = self_signed(site.dir.path(), &["agent.example"], false);
    let stranger = ClientTlsConfig {
        own: Some((certificate, key)),
        ..site.believing()
    };
    dialled(&running, &stranger).await.unwrap_err();
    let refused = running.next_refused().await;
    assert_eq!(refused.refusal.reason, RefusalReason::CertificateRejected);
    assert_eq!(refused.endpoint_id, Some(eid("fqdn::agent.example")));
    let detail = refused.refusal.detail;
    assert!(
        detail.contains("fqdn::agent.example") && detail.contains("none of the authorities"),
        "{detail}"
    );
}

#[tokio::test]
async fn a_demanded_certificate_without_an_endpoint_id_is_refused_by_name() {
    let site = Site::new();
    let Issued { certificate, key } = self_signed(site.dir.path(), &[], false);
    // Its own authority, so that the chain is good and only the id is missing.
    let clients = ClientCertificates::Demanded {
        ca: certificate.clone(),
    };
    let mut running = site.listen(clients).await;
    let nameless = ClientTlsConfig {
        own: Some((certificate, key)),
        ..site.believing()
    };
    let error = dialled(&running, &nameless).await.unwrap_err();
    assert!(
        matches!(error, DialError::Refused { status: 403, .. }),
        "{error}"
    );
    let reason = running.next_refused().await.refusal.reason;
    assert_eq!(reason, RefusalReason::CertificateWithoutEndpointId);
}

#[tokio::test]
async fn a_welcome_client_certificate_may_be_missing() {
    let site = Site::new();
    let ca = site.ca.certificate();
    let mut running = site.listen(ClientCertificates::Welcome { ca }).await;
    let _one = dialled(&running, &site.believing()).await.unwrap();
    assert!(!running.next().await.hello.certified);
    let _two = dialled(&running, &site.client("agent", "self::agent"))
        .await
        .unwrap();
    assert!(running.next().await.hello.certified);
}

#[tokio::test]
async fn plaintext_on_a_tls_listener_and_a_distrusting_device_are_named() {
    let site = Site::new();
    let mut running = site.listen(ClientCertificates::Ignored).await;
    let mut raw = Raw::connect(running.addr).await;
    raw.send("GET /usp HTTP/1.1\r\nHost: x\r\n\r\n").await;
    raw.rest().await;
    let refused = running.next_refused().await;
    assert_eq!(
        refused.refusal.reason,
        RefusalReason::PlaintextOnTlsListener
    );
    assert!(refused.tls);

    let error = dialled(&running, &ClientTlsConfig::default())
        .await
        .unwrap_err();
    assert!(matches!(error, DialError::Tls(_)), "{error}");
    let refused = running.next_refused().await;
    assert_eq!(refused.refusal.reason, RefusalReason::TlsFailed);
    let detail = refused.refusal.detail;
    assert!(detail.contains("does not know the authority"), "{detail}");
}

#[tokio::test]
async fn a_wrong_name_is_forgiven_to_the_right_endpoint_id_only() {
    // R-MTP.4
    let site = Site::new();
    let running = listen_as(site.named(&["acs.example"], "self::controller")).await;
    let knowing = |id: &str| ClientTlsConfig {
        peer_eid: Some(eid(id)),
        ..site.believing()
    };
    assert!(matches!(
        dialled(&running, &site.believing()).await,
        Err(DialError::Tls(_))
    ));
    assert!(matches!(
        dialled(&running, &knowing("self::other")).await,
        Err(DialError::Tls(_))
    ));
    dialled(&running, &knowing("self::controller"))
        .await
        .unwrap();
    let insecure = ClientTlsConfig {
        insecure: true,
        ..Default::default()
    };
    dialled(&running, &insecure).await.unwrap();
}

#[tokio::test]
async fn where_the_endpoint_id_is_required_a_good_host_name_is_not_enough() {
    let site = Site::new();
    let running = listen_as(site.named(&["localhost", "127.0.0.1"], "self::printer")).await;
    let wanting = |id: &str, eid_required| ClientTlsConfig {
        peer_eid: Some(eid(id)),
        eid_required,
        ..site.believing()
    };
    let other = wanting("self::controller", false);
    dialled(&running, &other).await.unwrap();
    let other = wanting("self::controller", true);
    let refused = dialled(&running, &other).await;
    assert!(matches!(refused, Err(DialError::Tls(_))));
    let own = wanting("self::printer", true);
    dialled(&running, &own).await.unwrap();
}

#[tokio::test]
async fn dates_do_not_count_for_a_machine_without_a_clock() {
    // R-MTP.2, R-MTP.3, R-WS.23
    let dir = tempfile::tempdir().unwrap();
    let Issued { certificate, key } = self_signed(dir.path(), &["localhost"], true);
    let files = ServerTlsConfig {
        certificate: certificate.clone(),
        key,
        clients: ClientCertificates::Ignored,
    };
    let tls = ServerTls::load(files).unwrap();
    let running = listen_with(config().with_tls(Arc::new(tls)), |_| Ok(())).await;
    let roots = Roots::Only(certificate);
    let with_clock = ClientTlsConfig {
        roots,
        ..Default::default()
    };
    assert!(matches!(
        dialled(&running, &with_clock).await,
        Err(DialError::Tls(_))
    ));
    let without = ClientTlsConfig {
        clock_unset: true,
        ..with_clock
    };
    dialled(&running, &without).await.unwrap();
}

#[tokio::test]
async fn a_new_certificate_is_used_after_a_reload_and_a_broken_one_is_not() {
    let site = Site::new();
    let files = site.server(ClientCertificates::Ignored);
    let tls = Arc::new(ServerTls::load(files.clone()).unwrap());
    let running = listen_with(config().with_tls(tls.clone()), |_| Ok(())).await;
    assert_eq!(tls.info().endpoint_ids, [eid("self::controller")]);
    site.ca
        .server(&["localhost".into()], &eid("self::second"))
        .unwrap();
    assert!(tls.refresh().unwrap());
    assert!(!tls.refresh().unwrap(), "nothing has changed since");
    assert_eq!(tls.info().endpoint_ids, [eid("self::second")]);
    let link = dialled(&running, &site.believing()).await.unwrap();
    assert_eq!(link.peer_ids(), [eid("self::second")]);

    std::fs::write(&files.certificate, "nothing").unwrap();
    let error = tls.refresh().unwrap_err().to_string();
    assert!(error.contains("server.pem holds no certificate"), "{error}");
    assert!(!tls.refresh().unwrap(), "it is told once");
    dialled(&running, &site.believing()).await.unwrap();
}

#[test]
fn the_development_ca_is_made_once_and_its_keys_are_private() {
    let dir = tempfile::tempdir().unwrap();
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let names = ["acs.local".to_owned(), "192.0.2.1".to_owned()];
    let first = DevelopmentCa::open_or_create(dir.path()).unwrap();
    let ca = read(&first.certificate());
    let server = first.server(&names, &eid("self::a")).unwrap();
    let certificate = read(&server.certificate);
    let again = DevelopmentCa::open_or_create(dir.path()).unwrap();
    assert_eq!(again.server(&names, &eid("self::a")).unwrap(), server);
    assert_eq!(
        (read(&again.certificate()), read(&server.certificate)),
        (ca, certificate.clone())
    );
    again.server(&names[..1], &eid("self::a")).unwrap();
    assert_ne!(read(&server.certificate), certificate);
    for key in [dir.path().join("ca.key"), server.key] {
        assert_eq!(
            std::fs::metadata(key).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let Issued { certificate, key } = self_signed(dir.path(), &["x"], false);
    let load = |certificate: &Path, key: &Path| {
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        let clients = ClientCertificates::Ignored;
        ServerTls::load(ServerTlsConfig {
            certificate,
            key,
            clients,
        })
        .unwrap_err()
        .to_string()
    };
    assert!(load(&dir.path().join("absent.pem"), &key).contains("absent.pem"));
    assert!(load(&key, &key).contains("own.key holds no certificate"));
    assert!(load(&certificate, &certificate).contains("own.pem holds no private key"));
    let other = dir.path().join("other.key");
    std::fs::write(&other, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let mismatch = load(&certificate, &other);
    assert!(
        mismatch.contains("other.key: it is not the key") && mismatch.contains("own.pem"),
        "{mismatch}"
    );
    let huge = dir.path().join("huge.pem");
    std::fs::File::create(&huge)
        .unwrap()
        .set_len(mtp::limits::PEM_FILE_BYTES_MAX + 1)
        .unwrap();
    assert!(load(&huge, &key).contains("PEM_FILE_BYTES_MAX"));
}
