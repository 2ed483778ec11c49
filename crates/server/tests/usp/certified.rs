//! Brokers of others that know their clients by certificates, real ones: who has the certificate of one tenant's device
//! reaches nothing of another tenant's.

use std::sync::Arc;
use std::time::Duration;

use agent::{ControllerConfig, MemoryStorage, MqttConfig};
use bytes::Bytes;
use mtp::mqtt::{DialConfig, DialError, Link, Version, dial};
use mtp::tls::{ClientTls, ClientTlsConfig, Roots};
use store::testing::sqlite;
use usp::EndpointId;

use crate::external::{ACL, M1, M2};
use crate::mosquitto::Mosquitto;
use crate::rabbitmq::{RabbitMq, Tls, User};
use crate::rig::{PATIENCE, Real, World};
use crate::secure::{Authority, Pair};

const THEIRS: &str = "os::00256D-M2";

/// The certificates of a broker and its users.
struct Site {
    ca: Authority,
    broker: Pair,
    us: Pair,
    device: Pair,
    other: Pair,
    /// For the device's name, by somebody else.
    forged: Pair,
    _dir: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let ca = Authority::new(dir.path(), "ca");
        let somebody = Authority::new(dir.path(), "somebody");
        Self {
            broker: ca.issue("broker", None, false),
            us: ca.user("us", "headend"),
            device: ca.user("device", M1.0),
            other: ca.user("other", M2.0),
            forged: somebody.user("forged", M1.0),
            ca,
            _dir: dir,
        }
    }

    /// A server that comes to the broker at this port by its certificate, and an agent that does.
    async fn open(&self, port: u16, version: &str) -> (World, Real) {
        let text = format!(
            "[[usp.brokers]]\nname = \"north\"\nurl = \"mqtts://localhost:{port}\"\nversion = {version:?}\n\
             ca = {:?}\ncertificate = {:?}\nkey = {:?}\nregisters = true\ntenants = [\"acme\", \"other\"]\n",
            self.ca.file, self.us.certificate, self.us.key
        );
        let brokers = server::Config::parse(&text).unwrap().usp.brokers;
        let world = World::with(sqlite().await.unwrap(), |config, limits| {
            config.usp.brokers = brokers;
            limits.broker_retry_min = Duration::from_millis(100);
        })
        .await;
        let controller = ControllerConfig {
            endpoint_id: world.own.clone(),
            url: format!("mqtts://localhost:{port}"),
            retry_min_wait: 1,
            mqtt: Some(MqttConfig {
                version: version.into(),
                topic: "usp/acme/controller/os::00256D-M1".into(),
                response_topic: "usp/acme/agent/os::00256D-M1".into(),
                ..MqttConfig::default()
            }),
            ..ControllerConfig::default()
        };
        let configure = |config: &mut agent::AgentConfig| {
            config.controllers = vec![controller];
            config.tls.ca_file = Some(self.ca.file.clone());
            config.tls.certificate = Some(self.device.certificate.clone());
            config.tls.key = Some(self.device.key.clone());
        };
        let agent = Real::run("M1", MemoryStorage::new(), configure).0;
        (world, agent)
    }

    /// A client by hand with this certificate, which listens there.
    async fn come(
        &self,
        (port, version): (u16, Version),
        own: Option<&Pair>,
        login: Option<(&str, &str)>,
        filter: &str,
    ) -> Result<Link, DialError> {
        let tls = ClientTls::load(&ClientTlsConfig {
            roots: Roots::Only(self.ca.file.clone()),
            own: own.map(|own| (own.certificate.clone(), own.key.clone())),
            ..ClientTlsConfig::default()
        });
        let id = EndpointId::parse(THEIRS).unwrap();
        let mut config = DialConfig::controller("localhost", port, id, vec![filter.to_owned()]);
        (config.version, config.tls) = (version, Some(Arc::new(tls.unwrap())));
        config.client_id = format!("by-hand-{filter}").replace(['/', '+', '#'], "-");
        if let Some((user, password)) = login {
            (config.username, config.password) = (Some(user.into()), Some(password.into()));
        }
        dial(&config).await
    }

    async fn reaches_nothing(&self, port: u16, version: Version) {
        let (mut world, agent) = self.open(port, &version.to_string()).await;
        let at = (port, version);
        let tenant = world.other_tenant().await;
        let device = world.onboarded(&agent.endpoint).await.device.id;
        let path = world.store.path(&world.tenant, device, "mqtt").await;
        let path = path.unwrap().unwrap();
        assert_eq!(
            (path.authenticated_by.as_str(), &path.info["tls"]),
            ("broker", &true.into())
        );
        let victims = "usp/acme/agent/os::00256D-M1";
        // Without the certificate nobody is the device, whatever name they say.
        for (own, login) in [
            (None, None),
            (None, Some((M1.0, "guessed"))),
            (Some(&self.forged), None),
        ] {
            let refused = self.come(at, own, login, victims).await;
            assert!(refused.is_err(), "{login:?}");
        }
        // With its own it listens to nothing but its own, whatever name it says.
        for (login, filter) in [
            (None, "#"),
            (None, "usp/acme/#"),
            (None, "usp/+/agent/os::00256D-M1"),
            (None, victims),
            (None, "usp/acme/controller/os::00256D-M1"),
            (None, "usp/other/agent/os::00256D-M1"),
            (Some((M1.0, "guessed")), victims),
        ] {
            // Mosquitto grants some filters and delivers nothing by them.
            if let Ok(mut open) = self.come(at, Some(&self.other), login, filter).await {
                world.reads(device, "M1").await;
                let heard = tokio::time::timeout(Duration::from_millis(300), open.recv()).await;
                assert!(!matches!(heard, Ok(Ok(_))), "{login:?} {filter}: {heard:?}");
            }
        }
        let us = EndpointId::parse(&world.own).unwrap();
        let victim = EndpointId::parse(&agent.endpoint).unwrap();
        let leave = usp::record::DisconnectRecord::new(usp::ErrorCode(0), "forged");
        let forged = usp::Record::new(usp::Version::V1_0, &victim, &us, leave);
        let forged = Bytes::from(usp::codec::encode_record(&forged));
        // It speaks nowhere but at its own, where it is not believed to be another.
        let listens = format!("usp/other/agent/{THEIRS}");
        for topic in [
            "usp/acme/controller/os::00256D-M1",
            "usp/other/controller/os::00256D-M1",
            victims,
            "usp/other/controller/os::00256D-M2",
        ] {
            let link = self.come(at, Some(&self.other), None, &listens).await;
            let mut link = link.unwrap();
            // RabbitMQ ends the connection of who may not.
            let _ = link.send_to(forged.clone(), topic, victims, version).await;
            let served = async {
                loop {
                    if link.recv_some().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            };
            if topic.ends_with("M2") {
                tokio::select! {
                    () = served => {}
                    () = world.refused("record-of-another-endpoint") => {}
                }
            } else {
                tokio::select! {
                    () = served => {}
                    () = world.reads(device, "M1") => {}
                }
            }
        }
        world.reads(device, "M1").await;
        let path = world.store.path(&world.tenant, device, "mqtt").await;
        assert!(path.unwrap().unwrap().connected_at.is_some());
        let identity = fleet::Identity::endpoint(&agent.endpoint);
        let theirs = world.store.device_by_identity(&tenant, &identity).await;
        assert_eq!(theirs.unwrap(), None);
        agent.stop().await;
    }
}

#[tokio::test]
async fn behind_a_mosquitto_that_wants_certificates_one_tenant_reaches_nothing_of_another() {
    for version in [Version::V5, Version::V311] {
        let site = Site::new();
        let more = format!(
            "cafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\nuse_identity_as_username true\n",
            site.ca.file.display(),
            site.broker.certificate.display(),
            site.broker.key.display()
        );
        let broker = Mosquitto::start_with(&[], ACL, &more).await;
        let reached = site.reaches_nothing(broker.addr.port(), version);
        tokio::time::timeout(4 * PATIENCE, reached).await.unwrap();
    }
}

#[tokio::test]
async fn behind_a_rabbitmq_that_wants_certificates_one_tenant_reaches_nothing_of_another() {
    let site = Site::new();
    let users = [
        User::all("headend", "ours"),
        User::topics(
            M1.0,
            M1.1,
            "^usp\\.acme\\.controller\\.os::00256D-M1(\\..*)?$",
            "^usp\\.acme\\.agent\\.os::00256D-M1(\\..*)?$",
        ),
        User::topics(
            M2.0,
            M2.1,
            "^usp\\.other\\.controller\\.os::00256D-M2(\\..*)?$",
            "^usp\\.other\\.agent\\.os::00256D-M2(\\..*)?$",
        ),
    ];
    let tls = Tls {
        authority: &site.ca.file,
        certificate: &site.broker.certificate,
        key: &site.broker.key,
    };
    let broker = RabbitMq::start(&users, Some(&tls), "mqtt.ssl_cert_login = true\n").unwrap();
    let reached = site.reaches_nothing(broker.mqtt_tls, Version::V311);
    tokio::time::timeout(4 * PATIENCE, reached).await.unwrap();
}
