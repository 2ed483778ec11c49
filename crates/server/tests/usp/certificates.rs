//! Certificates that were issued here, through the whole server: they open the door of their device in their tenant over
//! every transport, and no other; revoked ones open none, and links that came in with one end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use mtp::mqtt::{Connect, Packet, Pipe, Publish, Version, code};
use mtp::stream::Stream;
use mtp::tls::authority::Authority;
use mtp::tls::{ClientTls, ClientTlsConfig, Roots};
use mtp::ws::{CloseCode, DialConfig, DialError};
use reqwest::Method;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use server::Config;
use store::testing::{TestDatabase, databases, sqlite};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use crate::api_world::World;
use crate::puppet::{Puppet, Seen, eid, plain};
use crate::rig::{PATIENCE, until};
use crate::secure::{Pair, shown};

const EID: &str = "os::00256D-C1";
const OTHER: &str = "os::00256D-C2";
const RSA_1024: &str = include_str!("../../../mtp/tests/requests/rsa1024.pem");
const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A server with an authority for devices and every listener that speaks TLS.
pub struct Site {
    pub world: World,
    pub mqtt: SocketAddr,
    cwmp: SocketAddr,
    pub roots: PathBuf,
    pub dir: tempfile::TempDir,
}

fn every_door(config: &mut Config) {
    config.usp.tls_listen = Some(LOCAL);
    config.mqtt.tls_listen = Some(LOCAL);
    config.cwmp.tls_listen = Some(LOCAL);
}

impl Site {
    pub async fn start() -> Self {
        Self::over(sqlite().await.unwrap()).await
    }

    pub async fn over(database: TestDatabase) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("pki");
        Authority::create(&folder, "ours", 3650).unwrap();
        Self::with(database, folder, dir).await
    }

    /// With the authority in this folder.
    async fn with(database: TestDatabase, folder: PathBuf, dir: tempfile::TempDir) -> Self {
        let mut world = World::with(database, |config| {
            every_door(config);
            config.pki.folder = Some(folder);
        })
        .await;
        world.populate().await;
        let system = world.read("/api/v1/system").await.to_string();
        let bound = |scheme: &str| -> SocketAddr {
            let (_, rest) = system.split_once(&format!("\"{scheme}://")).unwrap();
            let end = rest.find(['"', '/']).unwrap();
            rest[..end].parse().unwrap()
        };
        Self {
            mqtt: bound("mqtts"),
            cwmp: bound("https"),
            roots: world.data.join("development-ca/ca.pem"),
            world,
            dir,
        }
    }

    /// A certificate for an endpoint of the tenant that this token acts in; its id, and its files.
    pub async fn issue(&self, token: &str, endpoint: &str) -> (String, Pair) {
        let made = self
            .world
            .http
            .post(format!("{}/api/v1/certificates", self.world.url))
            .bearer_auth(token)
            .json(&json!({"endpoint_id": endpoint}))
            .send()
            .await
            .unwrap();
        let status = made.status();
        let made: Value = made.json().await.unwrap();
        assert_eq!(status, 201, "{made}");
        let id = made["certificate"]["id"].as_str().unwrap().to_owned();
        let pair = Pair {
            certificate: self.dir.path().join(format!("{id}.pem")),
            key: self.dir.path().join(format!("{id}.key")),
        };
        std::fs::write(&pair.certificate, made["pem"].as_str().unwrap()).unwrap();
        std::fs::write(&pair.key, made["key"].as_str().unwrap()).unwrap();
        (id, pair)
    }

    pub async fn ours(&self, endpoint: &str) -> (String, Pair) {
        self.issue(&self.world.owner, endpoint).await
    }

    /// A setup key of the first tenant.
    pub async fn key(&self) -> String {
        let made = self.world.post("/api/v1/setup-keys", json!({"name": "k"}));
        let made: Value = made.await.json().await.unwrap();
        made["secret"].as_str().unwrap().to_owned()
    }

    pub async fn revoke(&self, id: &str) -> Value {
        let path = format!("/api/v1/certificates/{id}/revoke");
        let revoked = self.world.post(&path, json!({"reason": "stolen"})).await;
        assert_eq!(revoked.status(), 200);
        revoked.json().await.unwrap()
    }

    pub fn tls<'a>(&self, shown: impl Into<Option<&'a Pair>>) -> ClientTls {
        let own = shown.into();
        ClientTls::load(&ClientTlsConfig {
            roots: Roots::Only(self.roots.clone()),
            own: own.map(|own| (own.certificate.clone(), own.key.clone())),
            ..ClientTlsConfig::default()
        })
        .unwrap()
    }

    /// Comes over WebSocket.
    pub async fn dial<'a>(
        &self,
        path: &str,
        own: &str,
        shown: impl Into<Option<&'a Pair>>,
    ) -> Result<Puppet, DialError> {
        let url = format!("wss://{}/usp/{path}", self.world.usp_tls.unwrap());
        let mut config = DialConfig::new(url, eid(own));
        config.tls = Some(Arc::new(self.tls(shown)));
        Puppet::dial_with(config, own, &self.world.endpoint).await
    }

    pub async fn refused<'a>(
        &self,
        path: &str,
        own: &str,
        shown: impl Into<Option<&'a Pair>>,
    ) -> u16 {
        match self.dial(path, own, shown).await {
            Err(DialError::Refused { status, .. }) => status,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("it was let in"),
        }
    }

    /// Comes over MQTT; the pipe, or the code of the refusal.
    pub async fn connect(&self, user: &str, own: &str, shown: &Pair) -> Result<Pipe, u8> {
        let tcp = tokio::net::TcpStream::connect(self.mqtt).await.unwrap();
        let connector = TlsConnector::from(self.tls(shown).config());
        let name = ServerName::try_from("localhost").unwrap();
        let stream = connector.connect(name, tcp).await.unwrap();
        let mut pipe = Pipe::new(Stream::Tls(Box::new(stream.into())), Version::V5, 65_536);
        pipe.enqueue(&Packet::Connect(Box::new(Connect {
            version: Version::V5,
            clean: true,
            client_id: own.into(),
            username: Some(user.into()),
            password: Some(Bytes::new()),
            ..Connect::default()
        })));
        match answer(&mut pipe).await {
            Some(Packet::ConnAck(ack)) if ack.code == 0 => Ok(pipe),
            Some(Packet::ConnAck(ack)) => Err(ack.code),
            other => panic!("{other:?}"),
        }
    }

    /// An Inform over HTTPS; the status of the answer, and the connection.
    pub async fn inform<'a>(
        &self,
        path: &str,
        serial: &str,
        shown: impl Into<Option<&'a Pair>>,
    ) -> (u16, tokio_rustls::client::TlsStream<tokio::net::TcpStream>) {
        let tcp = tokio::net::TcpStream::connect(self.cwmp).await.unwrap();
        let connector = TlsConnector::from(self.tls(shown).config());
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = connector.connect(name, tcp).await.unwrap();
        let body = inform(serial);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: acs\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        let mut first = [0; 12];
        let read = stream.read_exact(&mut first);
        tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
        let status = std::str::from_utf8(&first[9..]).unwrap().parse().unwrap();
        (status, stream)
    }

    /// How a device came, once it has over this transport.
    pub async fn came(&self, endpoint: &str, transport: &str, credential: &str) {
        until("it is connected by its certificate", || async {
            let path = format!("/api/v1/certificates?endpoint_id={endpoint}");
            let all = self.world.read(&path).await;
            let id = all["items"][0]["device_id"].as_str()?.to_owned();
            let reach = self
                .world
                .read(&format!("/api/v1/devices/{id}/reach"))
                .await;
            let mut paths = reach["paths"].as_array()?.iter();
            let path = paths.find(|path| path["transport"] == transport)?;
            (path["credential"] == credential).then_some(())
        })
        .await;
    }
}

async fn answer(pipe: &mut Pipe) -> Option<Packet> {
    let talk = async {
        pipe.flush().await.ok()?;
        pipe.packet().await.ok()
    };
    let packet = tokio::time::timeout(PATIENCE, talk).await;
    packet.expect("no answer")
}

fn inform(serial: &str) -> String {
    format!(
        r#"<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/" xmlns:cwmp="urn:dslforum-org:cwmp-1-0"><soap:Header>
<cwmp:ID soap:mustUnderstand="1">1</cwmp:ID></soap:Header><soap:Body><cwmp:Inform><DeviceId><Manufacturer>M</Manufacturer>
<OUI>00256D</OUI><ProductClass></ProductClass><SerialNumber>{serial}</SerialNumber></DeviceId>
<Event soapenc:arrayType="cwmp:EventStruct[1]"><EventStruct><EventCode>2 PERIODIC</EventCode><CommandKey></CommandKey>
</EventStruct></Event><MaxEnvelopes>1</MaxEnvelopes><CurrentTime>2026-01-01T00:00:00Z</CurrentTime>
<RetryCount>0</RetryCount><ParameterList soapenc:arrayType="cwmp:ParameterValueStruct[0]"></ParameterList></cwmp:Inform>
</soap:Body></soap:Envelope>"#
    )
}

pub const CERTIFICATE: &str = "client certificate";

#[tokio::test]
async fn a_certificate_issued_here_opens_the_door_of_its_device_over_every_transport() {
    let site = Site::start().await;
    let (id, own) = site.ours(EID).await;
    // It is registered, to come with a certificate only.
    let shown = site.world.read(&format!("/api/v1/certificates/{id}")).await;
    let certificate = &shown["certificate"];
    assert_eq!(certificate["state"], "valid", "{shown:#}");
    assert!(shown.get("key").is_none(), "{shown:#}");
    let device = certificate["device_id"].as_str().unwrap();
    let device = site.world.read(&format!("/api/v1/devices/{device}")).await;
    assert_eq!(device["admission"]["certificate_required"], true);
    // The tenant of the certificate is known: the path need not say it.
    for path in ["default", ""] {
        let puppet = site.dial(path, EID, &own).await.unwrap();
        site.came(EID, "websocket", CERTIFICATE).await;
        drop(puppet);
    }
    let _pipe = site.connect("default/x", EID, &own).await.unwrap();
    site.came(EID, "mqtt", CERTIFICATE).await;
    let (status, _wire) = site.inform("/cwmp/default", "C1", &own).await;
    assert_eq!(status, 200);
    let used = until("it is known to be in use", || async {
        let page = site.world.read("/api/v1/certificates").await;
        let used = page["items"][0]["first_used_at"].is_string();
        used.then_some(page)
    })
    .await;
    assert_eq!(used["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_certificate_of_one_tenant_opens_nothing_of_another_over_any_transport() {
    let site = Site::start().await;
    // Both tenants have registered the same endpoint.
    let (_, theirs) = site.issue(&site.world.other, EID).await;
    let (_, _ours) = site.ours(EID).await;
    assert_eq!(site.refused("default", EID, &theirs).await, 403);
    let refused = shown(&site.world, "certificate_of_another_tenant").await;
    assert_eq!(refused["endpoint_id"], EID, "{refused:#}");
    assert!(refused["peer"].as_str().unwrap().starts_with("127.0.0.1"));
    let refused = site.connect("default/x", EID, &theirs).await;
    assert_eq!(refused.err(), Some(code::NOT_AUTHORIZED));
    let (status, _) = site.inform("/cwmp/default", "C1", &theirs).await;
    assert_eq!(status, 403);
    let list = "/api/v1/doctor/refusals?limit=500";
    until("each is remembered with its transport", || async {
        let page = site.world.read(list).await;
        let all = page["items"].as_array().unwrap().iter();
        let all = all.filter(|one| one["reason"] == "certificate_of_another_tenant");
        let mut over: Vec<&str> = all.filter_map(|one| one["transport"].as_str()).collect();
        over.sort_unstable();
        (over == ["cwmp", "mqtt", "websocket"]).then_some(())
    })
    .await;
    // Whatever it shows beside it.
    let key = site.key().await;
    assert_eq!(site.refused(&key, EID, &theirs).await, 403);
    // In its own tenant it is welcome.
    assert!(site.dial("other", EID, &theirs).await.is_ok());
}

/// In its own tenant it may have the endpoint id of the other's device: that is another device.
#[tokio::test]
async fn who_came_with_a_certificate_of_one_tenant_reaches_nothing_of_another_over_mqtt() {
    let site = Site::start().await;
    let (_, ours) = site.ours(EID).await;
    let (_, theirs) = site.issue(&site.world.other, EID).await;
    let mut victim = site.dial("default", EID, &ours).await.unwrap();
    let seen = tokio::spawn(async move { victim.serve(plain).await });
    site.came(EID, "websocket", CERTIFICATE).await;
    let mut pipe = site.connect("other/x", EID, &theirs).await.unwrap();
    let filters = [
        "#".to_owned(),
        "usp/#".to_owned(),
        format!("usp/+/agent/{EID}"),
        format!("usp/default/agent/{EID}"),
        format!("usp/default/controller/{EID}"),
    ];
    let no = vec![code::NOT_AUTHORIZED; filters.len()];
    let wanted = filters.map(|filter| (filter, 1)).to_vec();
    pipe.enqueue(&Packet::Subscribe(1, wanted));
    assert_eq!(answer(&mut pipe).await, Some(Packet::SubAck(1, no)));
    let leave = usp::record::DisconnectRecord::new(usp::ErrorCode(0), "forged");
    let own = eid(&site.world.endpoint);
    let forged = usp::Record::new(usp::Version::V1_0, &eid(EID), &own, leave);
    let forged = Bytes::from(usp::codec::encode_record(&forged));
    for to in ["controller", "agent"] {
        pipe.enqueue(&Packet::Publish(Publish {
            qos: 1,
            id: 2,
            topic: format!("usp/default/{to}/{EID}"),
            payload: forged.clone(),
            ..Publish::default()
        }));
        let refused = Packet::PubAck(2, code::NOT_AUTHORIZED);
        assert_eq!(answer(&mut pipe).await, Some(refused));
    }
    assert!(!seen.is_finished(), "the other one stays");
    let mine = site.world.read("/api/v1/devices").await;
    assert_eq!(mine["items"].as_array().unwrap().len(), 1, "{mine:#}");
}

#[tokio::test]
async fn a_certificate_opens_no_other_device_over_any_transport() {
    let site = Site::start().await;
    let (_, own) = site.ours(EID).await;
    let (_, _other) = site.ours(OTHER).await;
    assert_eq!(site.refused("default", OTHER, &own).await, 403);
    shown(&site.world, "endpoint-id-conflict").await;
    let refused = site.connect("default/x", OTHER, &own).await;
    assert!(refused.is_err());
    let (status, _) = site.inform("/cwmp/default", "C2", &own).await;
    assert_ne!(status, 200);
    until("each is remembered with its transport", || async {
        let page = site.world.read("/api/v1/doctor/refusals?limit=500").await;
        let all = page["items"].as_array().unwrap().iter();
        let mut over: Vec<&str> = all.filter_map(|one| one["transport"].as_str()).collect();
        over.sort_unstable();
        over.dedup();
        (over == ["cwmp", "mqtt", "websocket"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_setup_key_opens_no_device_that_has_come_with_a_certificate() {
    let site = Site::start().await;
    let key = site.key().await;
    // It was there before it had a certificate, and takes no token.
    drop(site.dial(&key, EID, None).await.unwrap());
    until("it is registered", || async {
        let devices = site.world.read("/api/v1/devices").await;
        (!devices["items"].as_array()?.is_empty()).then_some(())
    })
    .await;
    let (_, own) = site.ours(EID).await;
    drop(site.dial(&key, EID, None).await.unwrap());
    drop(site.dial("default", EID, &own).await.unwrap());
    site.came(EID, "websocket", CERTIFICATE).await;
    until("it is closed to the key", || async {
        assert_eq!(site.refused(&key, EID, None).await, 403);
        let page = site.world.read("/api/v1/doctor/refusals").await;
        page.to_string().contains("readmit_needed").then_some(())
    })
    .await;
    assert!(site.dial("default", EID, &own).await.is_ok());
}

#[tokio::test]
async fn a_setup_key_opens_no_device_of_another_protocol_that_was_issued_a_certificate() {
    let site = Site::start().await;
    let key = site.key().await;
    let (status, _wire) = site.inform(&format!("/cwmp/{key}"), "C1", None).await;
    assert_eq!(status, 200);
    let (id, own) = site.ours(EID).await;
    let issued = site.world.read(&format!("/api/v1/certificates/{id}")).await;
    let devices = site.world.read("/api/v1/devices").await;
    assert_eq!(devices["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        issued["certificate"]["device_id"],
        devices["items"][0]["id"]
    );
    assert_eq!(site.refused(&key, EID, None).await, 403);
    shown(&site.world, "certificate_required").await;
    assert!(site.dial("default", EID, &own).await.is_ok());
    // Over its own protocol nothing has changed.
    let (status, _) = site.inform(&format!("/cwmp/{key}"), "C1", None).await;
    assert_eq!(status, 200);
}

/// An authority of an operator comes with those above it, which issue for others than devices.
#[tokio::test]
async fn those_above_the_authority_for_devices_open_no_door() {
    let dir = tempfile::tempdir().unwrap();
    let above = crate::secure::Authority::new(dir.path(), "above");
    let (chain, key) = above.below("ours");
    let folder = dir.path().join("pki");
    Authority::import(&folder, &chain, Some(&key)).unwrap();
    let site = Site::with(sqlite().await.unwrap(), folder, dir).await;
    let (_, own) = site.ours(EID).await;
    let theirs = above.issue("theirs", Some(EID), false);
    assert!(site.dial("default", EID, &theirs).await.is_err());
    let refused = shown(&site.world, "certificate-rejected").await;
    assert_eq!(refused["endpoint_id"], EID, "{refused:#}");
    assert!(site.dial("default", EID, &own).await.is_ok());
}

#[tokio::test]
async fn a_revoked_certificate_ends_the_links_it_opened_and_opens_none() {
    for database in databases().await.unwrap() {
        let site = Site::over(database).await;
        let (id, own) = site.ours(EID).await;
        let (other, bystander) = site.ours(OTHER).await;
        let mut puppet = site.dial("default", EID, &own).await.unwrap();
        let mut spared = site.dial("default", OTHER, &bystander).await.unwrap();
        let seen = tokio::spawn(async move { puppet.serve(plain).await });
        let still = tokio::spawn(async move { spared.serve(plain).await });
        site.came(EID, "websocket", CERTIFICATE).await;
        site.came(OTHER, "websocket", CERTIFICATE).await;
        let revoked = site.revoke(&id).await;
        assert_eq!(revoked["state"], "revoked", "{revoked:#}");
        assert_eq!(revoked["reason"], "stolen");
        let seen = tokio::time::timeout(PATIENCE, seen).await.unwrap().unwrap();
        assert!(
            matches!(seen, Seen::Closed(Some(CloseCode::Policy))),
            "{seen:?}"
        );
        assert!(!still.is_finished(), "the other one stays");
        // A second time changes nothing.
        let again = site.revoke(&id).await;
        assert_eq!(again["revoked_at"], revoked["revoked_at"]);
        assert_eq!(site.refused("default", EID, &own).await, 403);
        let refused = shown(&site.world, "certificate_revoked").await;
        assert_eq!(refused["endpoint_id"], EID, "{refused:#}");
        let refused = site.connect("default/x", EID, &own).await;
        assert_eq!(refused.err(), Some(code::NOT_AUTHORIZED));
        let (status, _) = site.inform("/cwmp/default", "C1", &own).await;
        assert_eq!(status, 403);
        // A link over MQTT ends as well.
        let mut pipe = site.connect("default/x", OTHER, &bystander).await.unwrap();
        site.came(OTHER, "mqtt", CERTIFICATE).await;
        site.revoke(&other).await;
        let end = async { while answer(&mut pipe).await.is_some() {} };
        tokio::time::timeout(PATIENCE, end).await.unwrap();
        let events = site
            .world
            .read("/api/v1/events?kind=certificate.revoked")
            .await;
        assert_eq!(events["items"].as_array().unwrap().len(), 2, "{events:#}");
    }
}

#[tokio::test]
async fn the_certificates_of_a_device_that_is_removed_are_revoked_and_what_came_in_with_them_is_closed()
 {
    let site = Site::start().await;
    let (id, own) = site.ours(EID).await;
    let mut puppet = site.dial("default", EID, &own).await.unwrap();
    let seen = tokio::spawn(async move { puppet.serve(plain).await });
    let mut pipe = site.connect("default/x", EID, &own).await.unwrap();
    site.came(EID, "websocket", CERTIFICATE).await;
    site.came(EID, "mqtt", CERTIFICATE).await;
    let shown_as = format!("/api/v1/certificates/{id}");
    let device = site.world.read(&shown_as).await["certificate"]["device_id"].clone();
    let path = format!("/api/v1/devices/{}", device.as_str().unwrap());
    let removed = site.world.request(Method::DELETE, &path).send().await;
    assert_eq!(removed.unwrap().status(), 204);
    let seen = tokio::time::timeout(PATIENCE, seen).await.unwrap().unwrap();
    assert!(matches!(seen, Seen::Closed(_)), "{seen:?}");
    let end = async { while answer(&mut pipe).await.is_some() {} };
    tokio::time::timeout(PATIENCE, end).await.unwrap();
    let revoked = site.world.read(&shown_as).await["certificate"].clone();
    assert_eq!(revoked["state"], "revoked", "{revoked:#}");
    assert_eq!(revoked["reason"], "its device was removed");
    let path = "/api/v1/events?kind=certificate.revoked";
    let events = site.world.read(path).await;
    assert_eq!(events["items"][0]["device_id"], device, "{events:#}");
    // It opens nothing, also where the device is registered once more, and whatever is shown beside it.
    let key = site.key().await;
    for path in ["default", &key] {
        assert_eq!(site.refused(path, EID, &own).await, 403);
    }
    let body = json!({"endpoint_id": EID, "certificate_required": true});
    let again = site.world.post("/api/v1/devices", body).await;
    assert_eq!(again.status(), 201);
    // By its serial number, too: whoever tells that over TR-069 with a setup key is no device beside it.
    let made: serde_json::Value = again.json().await.unwrap();
    let names = made["device"]["identities"].to_string();
    assert!(
        names.contains("00256D-C1") && names.contains("oui_serial"),
        "{names}"
    );
    assert_eq!(site.refused("default", EID, &own).await, 403);
    shown(&site.world, "certificate_revoked").await;
    let refused = site.connect("default/x", EID, &own).await;
    assert_eq!(refused.err(), Some(code::NOT_AUTHORIZED));
    let (status, _) = site.inform("/cwmp/default", "C1", &own).await;
    assert_eq!(status, 403);
    // Another one does.
    let (_, new) = site.ours(EID).await;
    assert!(site.dial("default", EID, &new).await.is_ok());
}

#[tokio::test]
async fn an_authority_that_is_made_while_the_server_runs_is_believed_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("pki");
    let at = folder.clone();
    let world = crate::rig::World::with(sqlite().await.unwrap(), |config, limits| {
        config.usp.tls_listen = Some(LOCAL);
        config.pki.folder = Some(at);
        limits.certificate_look_every = std::time::Duration::from_millis(50);
    })
    .await;
    crate::rig::registered(&world, EID).await;
    let made = Authority::create(&folder, "ours", 3650).unwrap();
    let leaf = made.issue(&eid(EID), 30, mtp::tls::authority::KeyOf::Fresh);
    let leaf = leaf.unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("device.pem"), &leaf.pem).unwrap();
    std::fs::write(at("device.key"), leaf.key.unwrap()).unwrap();
    let roots = world.config.data_dir.join("development-ca/ca.pem");
    let dial = async |roots: &Path| {
        let tls = ClientTlsConfig {
            roots: Roots::Only(roots.to_owned()),
            own: Some((at("device.pem"), at("device.key"))),
            ..ClientTlsConfig::default()
        };
        let url = format!("wss://{}/usp/acme", world.usp_tls.unwrap());
        let mut config = DialConfig::new(url, eid(EID));
        config.tls = Some(Arc::new(ClientTls::load(&tls).unwrap()));
        mtp::ws::dial(&config).await.ok()
    };
    until("devices are asked for their certificates", || dial(&roots)).await;
}

#[tokio::test]
async fn the_doctor_shows_the_authority_and_that_certificates_of_devices_end_soon() {
    let site = Site::start().await;
    let codes = async || -> Vec<String> {
        let page = site.world.read("/api/v1/doctor").await;
        let all = page["findings"].as_array().unwrap().iter();
        all.filter_map(|one| one["code"].as_str().map(str::to_owned))
            .collect()
    };
    let before = codes().await;
    assert!(before.contains(&"authority-certificate".to_owned()));
    let ends = "device-certificates-end".to_owned();
    assert!(!before.contains(&ends), "{before:?}");
    let (id, _) = site.ours(EID).await;
    assert!(!codes().await.contains(&ends));
    let body = json!({"endpoint_id": OTHER, "days": 10});
    let made = site.world.post("/api/v1/certificates", body).await;
    let made: Value = made.json().await.unwrap();
    assert!(codes().await.contains(&ends));
    // What is revoked may end.
    site.revoke(made["certificate"]["id"].as_str().unwrap())
        .await;
    site.revoke(&id).await;
    assert!(!codes().await.contains(&ends));
}

/// What another node writes is all that this one hears.
#[tokio::test]
async fn a_certificate_that_another_node_revoked_ends_its_link_without_this_one_being_told() {
    for database in databases().await.unwrap() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("pki");
        let authority = Authority::create(&folder, "ours", 3650).unwrap();
        let mut world = crate::rig::World::with(database, |config, _| {
            config.usp.tls_listen = Some(LOCAL);
            config.pki.folder = Some(folder);
        })
        .await;
        crate::rig::registered(&world, EID).await;
        let leaf = authority.issue(&eid(EID), 30, mtp::tls::authority::KeyOf::Fresh);
        let leaf = leaf.unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("device.pem"), &leaf.pem).unwrap();
        std::fs::write(at("device.key"), leaf.key.unwrap()).unwrap();
        let id = fleet::CertificateId::new(server::state::now(), server::secret::id_bits());
        let seconds = |at: i64| fleet::Timestamp::from_millis(at * 1000);
        let new = store::NewCertificate {
            id,
            endpoint_id: EID.to_owned(),
            fingerprint: leaf.fingerprint,
            serial: leaf.info.serial,
            issuer: leaf.info.issuer,
            pem: leaf.pem,
            not_before: seconds(leaf.info.not_before),
            not_after: seconds(leaf.info.not_after),
            replaces: None,
            created_at: server::state::now(),
            created_by: "user:ada".to_owned(),
        };
        let (store, tenant) = (world.store.clone(), world.tenant.clone());
        store
            .certificate_insert(&tenant, new, vec![])
            .await
            .unwrap();
        let tls = ClientTlsConfig {
            roots: Roots::Only(world.config.data_dir.join("development-ca/ca.pem")),
            own: Some((at("device.pem"), at("device.key"))),
            ..ClientTlsConfig::default()
        };
        let url = format!("wss://{}/usp/acme", world.usp_tls.unwrap());
        let mut config = DialConfig::new(url, eid(EID));
        config.tls = Some(Arc::new(ClientTls::load(&tls).unwrap()));
        let mut puppet = Puppet::dial_with(config, EID, &world.own).await.unwrap();
        let seen = tokio::spawn(async move { puppet.serve(plain).await });
        world.connected().await;
        let revocation = store::Revocation {
            at: server::state::now(),
            by: "user:ada".to_owned(),
            reason: String::new(),
        };
        let revoked = store.certificate_revoke(&tenant, id, revocation, vec![]);
        assert!(revoked.await.unwrap());
        let seen = tokio::time::timeout(PATIENCE, seen).await.unwrap().unwrap();
        assert!(matches!(seen, Seen::Closed(Some(CloseCode::Policy))));
    }
}

#[tokio::test]
async fn what_cannot_be_issued_is_named() {
    let site = Site::start().await;
    let issue = async |body: Value| {
        let refused = site.world.post("/api/v1/certificates", body).await;
        let status = refused.status().as_u16();
        (status, refused.text().await.unwrap())
    };
    for (body, field) in [
        (json!({"endpoint_id": "nonsense"}), "endpoint_id"),
        (json!({"endpoint_id": EID, "days": 0}), "days"),
        (json!({"endpoint_id": EID, "days": 4000}), "days"),
        (json!({"endpoint_id": EID, "request": "x"}), "request"),
        (
            json!({"endpoint_id": EID, "request": RSA_1024}),
            "RSA key has 1024 bits",
        ),
    ] {
        let (status, text) = issue(body).await;
        assert_eq!(status, 422, "{text}");
        assert!(text.contains(field), "{text}");
    }
    // Nothing of it was remembered, nor was the device registered.
    let page = site.world.read("/api/v1/devices").await;
    assert!(page["items"].as_array().unwrap().is_empty(), "{page:#}");
    let without = crate::api_world::world().await;
    let body = json!({"endpoint_id": EID});
    let refused = without.post("/api/v1/certificates", body).await;
    assert_eq!(refused.status(), 409);
    assert!(refused.text().await.unwrap().contains("headend pki init"));
    let authority = site.world.read("/api/v1/certificate-authority").await;
    assert_eq!(authority["issues"], true, "{authority:#}");
    // A tenant sees nothing of another's.
    let (id, _) = site.ours(EID).await;
    let path = format!("{}/api/v1/certificates/{id}", site.world.url);
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::POST, format!("{path}/revoke")),
    ] {
        let request = site.world.http.request(method, path);
        let request = request.bearer_auth(&site.world.other).json(&json!({}));
        assert_eq!(request.send().await.unwrap().status(), 404);
    }
}
