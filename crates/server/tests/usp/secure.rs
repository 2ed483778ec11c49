//! TLS and certificates through the whole server: its own authority, files of an operator, client
//! certificates, and what the doctor says when they are not good.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mtp::tls::{ClientTls, ClientTlsConfig, Roots};
use mtp::ws::{DialConfig, DialError};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use serde_json::{Value, json};
use server::{
    Config,
    config::{DeviceTls, Tenants},
};
use tokio_util::sync::CancellationToken;

use crate::api_world::World;
use crate::puppet::{Puppet, Seen, eid, plain};
use crate::rig::{Real, soon, until};

const EID: &str = "os::00256D-C1";
const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// An authority that issues what a test wants.
pub struct Authority {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    pub file: PathBuf,
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new(dir: &Path, name: &str) -> Self {
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let file = dir.join(format!("{name}.pem"));
        let made = params.self_signed(&pair).unwrap();
        std::fs::write(&file, made.pem()).unwrap();
        let issuer = Issuer::new(params, pair);
        let dir = dir.to_owned();
        Self { dir, issuer, file }
    }

    /// An authority below this one: the files of its certificate with this one's behind it, and of its key.
    pub fn below(&self, name: &str) -> (PathBuf, PathBuf) {
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let common = rcgen::DnType::CommonName;
        params.distinguished_name.push(common, name);
        let made = params.signed_by(&pair, &self.issuer).unwrap().pem();
        let at = |ends| self.dir.join(format!("{name}.{ends}"));
        let above = std::fs::read_to_string(&self.file).unwrap();
        std::fs::write(at("pem"), made + &above).unwrap();
        std::fs::write(at("key"), pair.serialize_pem()).unwrap();
        (at("pem"), at("key"))
    }

    /// For a listener on this machine, or for an endpoint; of last century if it is to be expired.
    pub fn issue(&self, name: &str, endpoint: Option<&str>, expired: bool) -> Pair {
        let mut params = CertificateParams::new(match endpoint {
            None => vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            Some(_) => vec![],
        })
        .unwrap();
        params.extended_key_usages = vec![match endpoint {
            None => ExtendedKeyUsagePurpose::ServerAuth,
            Some(_) => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        if let Some(endpoint) = endpoint {
            let urn = eid(endpoint).to_urn();
            let name = SanType::URI(urn.try_into().unwrap());
            params.subject_alt_names.push(name);
        }
        if expired {
            params.not_before = rcgen::date_time_ymd(1998, 1, 1);
            params.not_after = rcgen::date_time_ymd(1999, 1, 1);
        }
        self.sign(name, params)
    }

    /// For a client of a broker that knows its users by the common name.
    pub fn user(&self, name: &str, common: &str) -> Pair {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let kind = rcgen::DnType::CommonName;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(kind, common);
        self.sign(name, params)
    }

    fn sign(&self, name: &str, params: CertificateParams) -> Pair {
        let pair = KeyPair::generate().unwrap();
        let made = params.signed_by(&pair, &self.issuer).unwrap();
        let files = Pair {
            certificate: self.dir.join(format!("{name}.pem")),
            key: self.dir.join(format!("{name}.key")),
        };
        std::fs::write(&files.certificate, made.pem()).unwrap();
        std::fs::write(&files.key, pair.serialize_pem()).unwrap();
        files
    }
}

/// A server with files of an operator, that asks devices for certificates.
pub struct Site {
    pub world: World,
    pub ca: Authority,
    _dir: tempfile::TempDir,
}

impl Site {
    /// Where the path says whose device it is that shows a certificate.
    pub async fn start() -> Self {
        Self::believing(Some(Tenants::All)).await
    }

    /// Where certificates of that authority count for these tenants' devices.
    async fn believing(tenants: Option<Tenants>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = Authority::new(dir.path(), "our-ca");
        let own = ca.issue("server", None, false);
        let client_ca = Some(ca.file.clone());
        let mut world = World::with(store::testing::sqlite().await.unwrap(), |config| {
            config.usp.tls_listen = Some(LOCAL);
            config.usp.tls = Some(DeviceTls {
                certificate: own.certificate,
                key: own.key,
                client_ca,
            });
            config.pki.tenants = tenants;
        })
        .await;
        world.populate().await;
        Self {
            world,
            ca,
            _dir: dir,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("wss://{}/usp/{path}", self.world.usp_tls.unwrap())
    }

    /// Dials with a certificate, or without.
    pub async fn dial(
        &self,
        path: &str,
        own: &str,
        shown: Option<&Pair>,
    ) -> Result<Puppet, DialError> {
        let tls = ClientTlsConfig {
            roots: Roots::Only(self.ca.file.clone()),
            own: shown.map(|pair| (pair.certificate.clone(), pair.key.clone())),
            ..ClientTlsConfig::default()
        };
        let mut config = DialConfig::new(self.url(path), eid(own));
        config.tls = Some(Arc::new(ClientTls::load(&tls).unwrap()));
        Puppet::dial_with(config, own, &self.world.endpoint).await
    }

    /// The HTTP status of a refusal.
    /// Whether the doctor warns whoever has this token that certificates of elsewhere open nothing.
    async fn warns(&self, token: &str) -> bool {
        let (http, url) = (&self.world.http, &self.world.url);
        let asked = http.get(format!("{url}/api/v1/doctor")).bearer_auth(token);
        let found: Value = asked.send().await.unwrap().json().await.unwrap();
        let mut all = found["findings"].as_array().unwrap().iter();
        all.any(|one| one["code"] == "certificates-elsewhere")
    }

    async fn refused(&self, path: &str, own: &str, shown: Option<&Pair>) -> u16 {
        match self.dial(path, own, shown).await {
            Err(DialError::Refused { status, .. }) => status,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("it was let in"),
        }
    }

    async fn register(&self, endpoint: &str, certificate_required: bool) -> Value {
        let body = json!({
            "endpoint_id": endpoint, "certificate_required": certificate_required,
        });
        let made = self.world.post("/api/v1/devices", body).await;
        let status = made.status();
        let made: Value = made.json().await.unwrap();
        assert_eq!(status, 201, "{made}");
        made
    }
}

/// The refusal with this reason, once the doctor shows it.
pub async fn shown(world: &World, reason: &str) -> Value {
    until(reason, || async {
        let page = world.read("/api/v1/doctor/refusals?limit=500").await;
        let mut items = page["items"].as_array().unwrap().iter();
        items.find(|one| one["reason"] == reason).cloned()
    })
    .await
}

/// All refusals with this reason.
async fn all_shown(world: &World, reason: &str) -> Vec<Value> {
    shown(world, reason).await;
    let page = world.read("/api/v1/doctor/refusals?limit=500").await;
    let mut all = page["items"].as_array().unwrap().clone();
    all.retain(|one| one["reason"] == reason);
    all
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_first_start_makes_an_authority_and_an_agent_that_trusts_it_is_onboarded_over_tls() {
    let database = store::testing::sqlite().await.unwrap();
    let mut world = World::with(database, |config| {
        (config.usp.listen, config.usp.tls_listen) = (None, Some(LOCAL));
    })
    .await;
    world.populate().await;
    let dir = world.data.join("development-ca");
    for key in ["ca.key", "server.key"] {
        assert_eq!(mode(&dir.join(key)), 0o600, "{key}");
    }
    let made = world
        .post("/api/v1/setup-keys", json!({"name": "tls"}))
        .await;
    let made: Value = made.json().await.unwrap();
    let url = made["urls"][0].as_str().unwrap().to_owned();
    assert!(url.starts_with("wss://"), "{url}");
    let (controller, ca) = (world.endpoint.clone(), dir.join("ca.pem"));
    let (agent, _) = Real::run("T1", agent::MemoryStorage::new(), |config| {
        config.tls.ca_file = Some(ca);
        config.controllers = vec![agent::ControllerConfig {
            endpoint_id: controller,
            url,
            retry_min_wait: 1,
            ..agent::ControllerConfig::default()
        }];
    });
    let id = until("it has its own credential", || async {
        let page = world.read("/api/v1/devices").await;
        let id = page["items"][0]["id"].as_str()?.to_owned();
        let device = world.read(&format!("/api/v1/devices/{id}")).await;
        (device["admission"]["state"] == "own" && device["onboarding"] == "complete").then_some(id)
    })
    .await;
    let reach = world.read(&format!("/api/v1/devices/{id}/reach")).await;
    assert_eq!(reach["paths"][0]["tls"], true, "{reach:#}");
    agent.stop().await;
}

#[tokio::test]
async fn the_development_certificate_is_the_same_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let start = async || {
        let mut config = Config {
            data_dir: dir.path().join("data"),
            ..Config::default()
        };
        config.http.listen = LOCAL;
        (config.cwmp.listen, config.files.listen) = (None, None);
        (config.usp.listen, config.usp.tls_listen) = (None, Some(LOCAL));
        let stop = CancellationToken::new();
        let running = server::start(config, stop.clone()).await.unwrap();
        stop.cancel();
        running.wait().await.unwrap();
        let files = ["ca.pem", "ca.key", "server.pem", "server.key"];
        files.map(|name| std::fs::read(dir.path().join("data/development-ca").join(name)).unwrap())
    };
    assert_eq!(start().await, start().await);
}

#[tokio::test]
async fn files_that_cannot_be_used_stop_the_start_and_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Authority::new(dir.path(), "ca");
    let good = ca.issue("good", None, false);
    let other = ca.issue("other", None, false);
    let broken = dir.path().join("broken.pem");
    std::fs::write(&broken, "no certificate\n").unwrap();
    let absent = dir.path().join("absent.pem");
    let start = async |certificate: &Path, key: &Path, client_ca: Option<&Path>| {
        let mut config = Config {
            data_dir: dir.path().join("data"),
            ..Config::default()
        };
        config.http.listen = LOCAL;
        (config.cwmp.listen, config.files.listen) = (None, None);
        (config.usp.listen, config.usp.tls_listen) = (None, Some(LOCAL));
        config.usp.tls = Some(DeviceTls {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            client_ca: client_ca.map(Path::to_owned),
        });
        match server::start(config, CancellationToken::new()).await {
            Ok(_) => panic!("it started"),
            Err(error) => error.to_string(),
        }
    };
    let (certificate, key) = (&good.certificate, &good.key);
    for (error, named) in [
        (start(&absent, key, None).await, "absent.pem"),
        (
            start(&broken, key, None).await,
            "broken.pem holds no certificate",
        ),
        (start(certificate, &absent, None).await, "absent.pem"),
        (
            start(certificate, &broken, None).await,
            "broken.pem holds no private key",
        ),
        (
            start(certificate, &other.key, None).await,
            "other.key: it is not the key of",
        ),
        (
            start(certificate, key, Some(&broken)).await,
            "broken.pem holds no certificate",
        ),
    ] {
        assert!(
            error.starts_with("usp.tls: ") && error.contains(named),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_up_without_a_restart() {
    let db = store::testing::sqlite().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let ca = Authority::new(dir.path(), "ca");
    let own = ca.issue("server", None, true);
    let files = DeviceTls {
        certificate: own.certificate,
        key: own.key,
        client_ca: None,
    };
    let world = crate::rig::World::with(db, |config, limits| {
        config.usp.tls_listen = Some(LOCAL);
        config.usp.tls = Some(files);
        limits.certificate_look_every = std::time::Duration::from_millis(50);
    })
    .await;
    let tls = ClientTlsConfig {
        roots: Roots::Only(ca.file.clone()),
        ..ClientTlsConfig::default()
    };
    let url = format!("wss://{}/usp/{}", world.usp_tls.unwrap(), world.key);
    let mut config = DialConfig::new(url, eid(EID));
    config.tls = Some(Arc::new(ClientTls::load(&tls).unwrap()));
    let first = mtp::ws::dial(&config).await;
    assert!(matches!(first, Err(DialError::Tls(_))), "{first:?}");
    ca.issue("server", None, false);
    until("the new one is used", || async {
        mtp::ws::dial(&config).await.ok()
    })
    .await;
}

#[tokio::test]
async fn a_client_certificate_that_names_the_endpoint_id_needs_no_key() {
    let site = Site::start().await;
    let made = site.register(EID, true).await;
    assert!(made["secret"].is_null(), "{made:#}");
    let url = made["urls"][0].as_str().unwrap();
    assert_eq!(url, site.url("default"), "the path says whose it is");
    let id = made["device"]["id"].as_str().unwrap().to_owned();
    let own = site.ca.issue("device", Some(EID), false);
    let _puppet = site.dial("default", EID, Some(&own)).await.unwrap();
    until("it is connected by its certificate", || async {
        let reach = site
            .world
            .read(&format!("/api/v1/devices/{id}/reach"))
            .await;
        (reach["paths"][0]["credential"] == "client certificate").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_certificate_opens_no_device_of_a_tenant_that_registered_its_endpoint_id_first() {
    let site = Site::start().await;
    // Another tenant was here first.
    let world = &site.world;
    let squatted = world
        .http
        .post(format!("{}/api/v1/devices", world.url))
        .bearer_auth(&world.other)
        .json(&json!({"endpoint_id": EID}))
        .send()
        .await
        .unwrap();
    assert_eq!(squatted.status(), 201);
    let own = site.ca.issue("device", Some(EID), false);
    // Without a tenant in the path nobody gets it, and the reason is told.
    assert_eq!(site.refused("", EID, Some(&own)).await, 404);
    shown(world, "tenant_missing").await;
    // The rightful one has not registered it yet, and then it has.
    assert_eq!(site.refused("default", EID, Some(&own)).await, 403);
    let refused = shown(world, "not_registered").await;
    assert_eq!(refused["endpoint_id"], EID, "{refused:#}");
    site.register(EID, true).await;
    assert!(site.dial("default", EID, Some(&own)).await.is_ok());
}

/// There are two tenants, and nothing in a certificate of elsewhere says whose device it is.
#[tokio::test]
async fn a_certificate_of_elsewhere_counts_for_the_tenants_that_are_named_and_no_other() {
    let these = |id: &str| Some(Tenants::These(vec![fleet::TenantId::parse(id).unwrap()]));
    for tenants in [None, these("other")] {
        let unnamed = tenants.is_none();
        let site = Site::believing(tenants).await;
        site.register(EID, true).await;
        let own = site.ca.issue("device", Some(EID), false);
        assert_eq!(site.refused("default", EID, Some(&own)).await, 404);
        let refused = shown(&site.world, "tenant_missing").await;
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains("pki.tenants"), "{refused:#}");
        // Nor is it worth more beside something else.
        let key = site.world.post("/api/v1/setup-keys", json!({"name": "k"}));
        let key: Value = key.await.json().await.unwrap();
        let key = key["secret"].as_str().unwrap();
        assert_eq!(site.refused(key, EID, Some(&own)).await, 403);
        let refused = shown(&site.world, "certificate_required").await;
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains("pki.tenants"), "{refused:#}");
        // Before anybody comes, too, where nobody is named; how many tenants there are is no tenant's business.
        assert_eq!(site.warns(&site.world.owner).await, unnamed);
        assert!(!site.warns(&site.world.other).await);
    }
    let site = Site::believing(these("default")).await;
    assert!(!site.warns(&site.world.owner).await);
    // Where it is the path that names no tenant, pki.tenants is not to blame.
    let own = site.ca.issue("device", Some(EID), false);
    for path in ["", "defualt"] {
        assert_eq!(site.refused(path, EID, Some(&own)).await, 404);
    }
    for refused in all_shown(&site.world, "tenant_missing").await {
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains("no tenant is called"), "{refused:#}");
        assert!(!detail.contains("pki.tenants"), "{refused:#}");
    }
    site.register(EID, true).await;
    let own = site.ca.issue("device", Some(EID), false);
    assert!(site.dial("default", EID, Some(&own)).await.is_ok());
}

/// One that was issued elsewhere cannot be revoked here: it opens what is registered, and nothing else.
#[tokio::test]
async fn a_certificate_of_elsewhere_opens_no_device_that_was_removed() {
    let site = Site::start().await;
    let made = site.register(EID, true).await;
    let own = site.ca.issue("device", Some(EID), false);
    let mut puppet = site.dial("default", EID, Some(&own)).await.unwrap();
    let seen = tokio::spawn(async move { puppet.serve(plain).await });
    let path = format!("/api/v1/devices/{}", made["device"]["id"].as_str().unwrap());
    let removed = site.world.request(reqwest::Method::DELETE, &path).send();
    assert_eq!(removed.await.unwrap().status(), 204);
    assert!(matches!(soon(seen).await.unwrap(), Seen::Closed(_)));
    assert_eq!(site.refused("default", EID, Some(&own)).await, 403);
    let refused = shown(&site.world, "not_registered").await;
    assert_eq!(refused["endpoint_id"], EID, "{refused:#}");
    let devices = site.world.read("/api/v1/devices").await;
    assert!(devices["items"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_certificate_for_another_endpoint_id_is_refused_and_both_are_named() {
    let site = Site::start().await;
    site.register(EID, true).await;
    let other = site.ca.issue("other", Some("os::00256D-OTHER"), false);
    assert_eq!(site.refused("default", EID, Some(&other)).await, 403);
    let refused = shown(&site.world, "endpoint-id-conflict").await;
    let detail = refused["detail"].as_str().unwrap();
    assert!(
        detail.contains(EID) && detail.contains("os::00256D-OTHER"),
        "{detail}"
    );
    assert_eq!(refused["endpoint_id"], EID, "{refused:#}");
}

#[tokio::test]
async fn where_a_certificate_is_required_neither_token_nor_setup_key_opens() {
    let site = Site::start().await;
    let world = &site.world;
    let made = site.register(EID, false).await;
    let token = made["secret"].as_str().unwrap().to_owned();
    let id = made["device"]["id"].as_str().unwrap();
    let device = format!("/api/v1/devices/{id}");
    let patched = world
        .request(reqwest::Method::PATCH, &device)
        .json(&json!({"certificate_required": true}))
        .send()
        .await
        .unwrap();
    assert_eq!(patched.status(), 200);
    let patched: Value = patched.json().await.unwrap();
    assert_eq!(patched["admission"]["certificate_required"], true);
    let key = world.post("/api/v1/setup-keys", json!({"name": "k"})).await;
    let key: Value = key.json().await.unwrap();
    assert_eq!(site.refused(&token, EID, None).await, 403);
    let key = key["secret"].as_str().unwrap();
    assert_eq!(site.refused(key, EID, None).await, 403);
    let refused = shown(world, "certificate_required").await;
    assert!(refused["words"].as_str().unwrap().contains("certificate"));
    // The device page says the same.
    until("the page shows it", || async {
        let device = world.read(&device).await;
        let words = device["admission"]["words"].as_str().unwrap().to_owned();
        words.contains("was refused at").then_some(())
    })
    .await;
    let own = site.ca.issue("device", Some(EID), false);
    assert!(site.dial(&token, EID, Some(&own)).await.is_ok());
}

#[tokio::test]
async fn a_certificate_cannot_be_required_where_none_is_asked_for_or_the_device_is_dialled() {
    let world = crate::api_world::world().await;
    let body = json!({"endpoint_id": EID, "certificate_required": true});
    let made = world.post("/api/v1/devices", body).await;
    assert_eq!(made.status(), 422);
    let text = made.text().await.unwrap();
    assert!(text.contains("usp.tls.client_ca"), "{text}");
    let site = Site::start().await;
    let body = json!({
        "endpoint_id": EID, "certificate_required": true, "dial_url": "wss://192.0.2.1/usp",
    });
    let made = site.world.post("/api/v1/devices", body).await;
    assert_eq!(made.status(), 422);
}

#[tokio::test]
async fn an_expired_certificate_and_one_of_another_authority_are_refused_and_named() {
    let site = Site::start().await;
    let made = site.register(EID, true).await;
    let id = made["device"]["id"].as_str().unwrap();
    let expired = site.ca.issue("expired", Some(EID), true);
    assert!(site.dial("default", EID, Some(&expired)).await.is_err());
    let refused = shown(&site.world, "certificate-rejected").await;
    let detail = refused["detail"].as_str().unwrap();
    assert!(
        detail.contains(EID) && detail.contains("has expired") && detail.contains("1999-01-01"),
        "{detail}"
    );
    assert_eq!(refused["endpoint_id"], EID, "{refused:#}");
    assert_eq!(refused["device_id"], id, "{refused:#}");
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = Authority::new(elsewhere.path(), "their-ca");
    let foreign = foreign.issue("foreign", Some(EID), false);
    assert!(site.dial("default", EID, Some(&foreign)).await.is_err());
    until("the doctor names the authority", || async {
        let path = format!("/api/v1/doctor?device={EID}");
        let text = site.world.read(&path).await.to_string();
        (text.contains("their-ca") && text.contains("none of the authorities")).then_some(())
    })
    .await;
}
