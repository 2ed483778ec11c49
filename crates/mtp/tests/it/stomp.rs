//! STOMP through a RabbitMQ that runs: an agent and a controller, both clients of it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use mtp::{
    stomp::{DialConfig, DialError, Link, LinkError, dial},
    tls::{ClientTls, ClientTlsConfig, Roots, development::DevelopmentCa},
};

use crate::rabbitmq::{RabbitMq, Tls, User};
use crate::support::{eid, within};

const AGENT: &str = "os::012345-A%2DB";
const TO_AGENT: &str = "/topic/usp.acme.agent.os::012345-A%2DB";
const TO_CONTROLLER: &str = "/topic/usp.acme.controller.os::012345-A%2DB";

/// A password that would end a header early.
const PASSWORD: &str = "a:b\\c";

fn users() -> [User<'static>; 3] {
    let write = "^usp\\.acme\\.controller\\.os::012345-A%2DB$";
    let read = "^usp\\.acme\\.agent\\.os::012345-A%2DB$";
    [
        User::all("headend", "secret"),
        User::topics("acme/1", PASSWORD, write, read),
        // By its certificate.
        User::topics("os::012345-C", "", ".*", ".*"),
    ]
}

fn agent(rabbit: &RabbitMq) -> DialConfig {
    let mut config = DialConfig::new("127.0.0.1", rabbit.stomp, eid(AGENT), TO_CONTROLLER);
    config.login = Some("acme/1".into());
    config.passcode = Some(PASSWORD.into());
    config.virtual_host = Some("/".into());
    config.own_destination = Some(TO_AGENT.into());
    config.heart_beat = Some((Duration::from_secs(1), Duration::from_secs(1)));
    config
}

fn controller(rabbit: &RabbitMq) -> DialConfig {
    let mut config = DialConfig::new("127.0.0.1", rabbit.stomp, eid("self::c"), "");
    config.login = Some("headend".into());
    config.passcode = Some("secret".into());
    config.own_destination = Some("/topic/usp.*.controller.#".into());
    config
}

async fn refused(config: &DialConfig) -> String {
    dial(config).await.unwrap_err().to_string()
}

/// Looks after a link until something comes of it.
async fn served(link: &mut Link) -> Result<mtp::stomp::Incoming, LinkError> {
    loop {
        let due = link.next_ping().map(tokio::time::Instant::from_std);
        let due = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            came = link.recv() => return came,
            () = due => link.keep_alive(std::time::Instant::now())?,
        }
    }
}

#[tokio::test]
async fn records_cross_a_rabbitmq_and_nothing_crosses_that_may_not() {
    let mut rabbit = RabbitMq::start(&users(), None, "").unwrap();
    let mut here = within(dial(&agent(&rabbit))).await.unwrap();
    let mut there = within(dial(&controller(&rabbit))).await.unwrap();

    // R-STOMP.19, R-STOMP.20, R-STOMP.21
    let record = Bytes::from_static(b"\0\n\0record\0");
    here.send(record.clone(), None).await.unwrap();
    let came = within(there.recv()).await.unwrap();
    assert_eq!(came.record, record);
    assert_eq!(came.reply.as_deref(), Some(TO_AGENT));
    let escaped = TO_CONTROLLER.replace('%', "%25");
    assert_eq!(came.destination, escaped, "as RabbitMQ writes it");
    // R-STOMP.23
    there
        .send(record.clone(), came.reply.as_deref())
        .await
        .unwrap();
    assert_eq!(within(here.recv()).await.unwrap().record, record);

    // R-STOMP.10: for as long as both ends beat, the link stays; the server drops who does not.
    assert!(here.next_ping().is_some());
    let quiet = tokio::time::timeout(Duration::from_millis(3500), served(&mut here)).await;
    assert!(quiet.is_err(), "{quiet:?}");

    // Nobody else's password, virtual host, or destination.
    let mut config = agent(&rabbit);
    config.passcode = Some("wrong".into());
    assert!(refused(&config).await.contains("Access refused"));
    config = agent(&rabbit);
    config.virtual_host = Some("other".into());
    assert!(refused(&config).await.contains("access denied"));
    for destination in [
        "/topic/usp.acme.agent.*",
        "/queue/x",
        "/topic/usp.acme.agent.os::2",
    ] {
        config = agent(&rabbit);
        config.own_destination = Some(destination.into());
        let error = dial(&config).await.unwrap_err();
        let refused = matches!(error, DialError::SubscriptionRefused { .. });
        assert!(refused, "{destination}: {error}");
    }
    // R-STOMP.25
    here.send(record.clone(), Some("/topic/usp.acme.controller.os::2"))
        .await
        .unwrap();
    let error = within(served(&mut here)).await.unwrap_err();
    assert!(
        matches!(&error, LinkError::Closed(why) if why.contains("refused")),
        "{error}"
    );

    let here = within(dial(&agent(&rabbit))).await.unwrap();
    within(here.close()).await;
    rabbit.kill();
    let error = within(there.recv()).await.unwrap_err();
    assert!(
        matches!(error, LinkError::Gone | LinkError::Io(_)),
        "{error}"
    );
}

/// TP-469 6.11
#[tokio::test]
async fn a_client_certificate_is_enough_for_a_rabbitmq() {
    // R-STOMP.3, R-STOMP.36
    let dir = tempfile::tempdir().unwrap();
    let ca = DevelopmentCa::open_or_create(&dir.path().join("tls")).unwrap();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let server = ca.server(&names, &eid("self::c")).unwrap();
    let client = ca.client("client", &eid("os::012345-C")).unwrap();
    let tls = Tls {
        authority: &ca.certificate(),
        certificate: &server.certificate,
        key: &server.key,
    };
    let rabbit = RabbitMq::start(&users(), Some(&tls), "").unwrap();
    let mut settings = ClientTlsConfig {
        roots: Roots::Only(ca.certificate()),
        own: Some((client.certificate, client.key)),
        ..Default::default()
    };
    let mut config = agent(&rabbit);
    (config.login, config.passcode) = (None, None);
    config.port = rabbit.stomp_tls;
    config.tls = Some(Arc::new(ClientTls::load(&settings).unwrap()));
    let mut link = within(dial(&config)).await.unwrap();
    let record = Bytes::from(vec![0; 300_000]);
    link.send(record.clone(), Some(TO_AGENT)).await.unwrap();
    assert_eq!(within(link.recv()).await.unwrap().record, record);

    settings.own = None;
    config.tls = Some(Arc::new(ClientTls::load(&settings).unwrap()));
    assert!(within(dial(&config)).await.is_err());
    settings.roots = Roots::Public;
    config.tls = Some(Arc::new(ClientTls::load(&settings).unwrap()));
    assert!(matches!(
        within(dial(&config)).await,
        Err(DialError::Connect(_))
    ));
}
