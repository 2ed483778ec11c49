//! What dialling a broker comes to.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn said(
    version: Version,
    configured: Option<&str>,
    ack: Properties,
) -> Option<(Vec<String>, String)> {
    let own = EndpointId::parse("os::012345-A").unwrap();
    let mut config = DialConfig::new("h", 1883, own, "usp/c");
    config.version = version;
    config.response_topic = configured.map(str::to_owned);
    let ack = ConnAck {
        properties: ack,
        ..ConnAck::default()
    };
    let said = Said::new(&config, &ack).ok()?;
    Some((said.filters, said.reply))
}

/// Why a broker that answers a CONNECT with this and then ends the connection is not come by.
async fn refused_by(version: Version, answer: &'static [u8]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let broker = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 2];
        stream.read_exact(&mut head).await.unwrap();
        assert!(head[1] < 0x80, "its length has one byte");
        let mut connect = vec![0; head[1].into()];
        stream.read_exact(&mut connect).await.unwrap();
        stream.write_all(answer).await.unwrap();
    });
    let own = EndpointId::parse("os::012345-A").unwrap();
    let mut config = DialConfig::new("127.0.0.1", port, own, "usp/c");
    config.version = version;
    let why = dial(&config).await.unwrap_err().to_string();
    broker.await.unwrap();
    why
}

#[tokio::test]
async fn a_broker_that_does_not_speak_our_version_is_told_as_that() {
    for answer in [b"".as_slice(), &[0x20, 2, 0, 1]] {
        let why = refused_by(Version::V5, answer).await;
        assert!(why.ends_with(": it may speak 3.1.1 alone"), "{why}");
    }
    let why = refused_by(Version::V311, &[0x20, 2, 0, 1]).await;
    assert!(why.ends_with("unsupported protocol version"), "{why}");
    let why = refused_by(Version::V311, b"").await;
    assert!(why.contains("does not accept MQTT 3.1.1"), "{why}");
}

#[tokio::test]
async fn a_broker_that_loses_the_connection_before_it_answers_is_not_told_as_one_of_another_version()
 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let broker = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // With the rest unread its end is a reset.
        stream.read_exact(&mut [0; 2]).await.unwrap();
    });
    let own = EndpointId::parse("os::012345-A").unwrap();
    let config = DialConfig::new("127.0.0.1", port, own, "usp/c");
    let why = dial(&config).await.unwrap_err().to_string();
    broker.await.unwrap();
    assert!(why.contains("connection lost"), "{why}");
    assert!(!why.contains("does not accept"), "{why}");
}

#[test]
fn the_subscriptions_are_the_set_of_the_standard() {
    // R-MQTT.15, R-MQTT.16, R-MQTT.21
    let none = Properties::default;
    let informed = |topic: &str| none().text(id::RESPONSE_INFORMATION, topic);
    let v = |filters: &[&str], reply: &str| {
        let filters: Vec<String> = filters.iter().map(|f| (*f).to_owned()).collect();
        Some((filters, reply.to_owned()))
    };
    assert_eq!(said(Version::V5, None, none()), None);
    assert_eq!(said(Version::V5, Some("a"), none()), v(&["a"], "a"));
    assert_eq!(said(Version::V311, Some("a"), none()), v(&["a/#"], "a"));
    assert_eq!(said(Version::V5, Some("a"), informed("b")), v(&["b"], "b"));
    let both = informed("b/c").user(SUBSCRIBE_TOPIC, "b/#");
    assert_eq!(said(Version::V5, None, both), v(&["b/#"], "b/c"));
    let only = none()
        .user(SUBSCRIBE_TOPIC, "b/+")
        .user(SUBSCRIBE_TOPIC, "b");
    assert_eq!(said(Version::V5, None, only), v(&["b/+", "b"], "b"));
}

/// Dials a broker that sends so many messages before it confirms the subscription.
async fn before_the_subscription(messages: usize) -> (Result<Link, DialError>, Pipe) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let own = EndpointId::parse("os::012345-A").unwrap();
    let mut config = DialConfig::new("127.0.0.1", port, own, "usp/c");
    config.response_topic = Some("usp/a".into());
    let broker = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut pipe = Pipe::new(Stream::Plain(tcp), Version::V5, 4096);
        let Ok(Packet::Connect(connect)) = pipe.packet().await else {
            panic!("no CONNECT")
        };
        let most = connect.properties.number(id::MAXIMUM_PACKET_SIZE);
        assert_eq!(most, Some(PACKET_BYTES_MAX as u32));
        pipe.enqueue(&Packet::ConnAck(Box::default()));
        pipe.flush().await.unwrap();
        assert!(matches!(pipe.packet().await, Ok(Packet::Subscribe(..))));
        for n in 1..=messages as u16 {
            pipe.enqueue(&Packet::Publish(crate::mqtt::Publish {
                qos: 1,
                id: n,
                topic: "usp/a".into(),
                payload: n.to_be_bytes().to_vec().into(),
                ..Default::default()
            }));
        }
        pipe.enqueue(&Packet::SubAck(1, vec![1]));
        pipe.flush().await.unwrap();
        pipe
    };
    tokio::join!(dial(&config), broker)
}

#[tokio::test]
async fn what_was_kept_for_us_comes_before_the_subscription_is_confirmed_and_is_taken() {
    let (link, mut broker) = before_the_subscription(MQTT_EARLY_MAX).await;
    let mut link = link.unwrap();
    for n in 1..=MQTT_EARLY_MAX as u16 {
        assert_eq!(link.recv().await.unwrap().record, n.to_be_bytes()[..]);
    }
    tokio::select! {
        first = broker.packet() => assert_eq!(first.unwrap(), Packet::PubAck(1, 0)),
        incoming = link.recv() => panic!("{incoming:?}"),
    }
    let (link, _) = before_the_subscription(MQTT_EARLY_MAX + 1).await;
    let limit = link.unwrap_err().to_string();
    assert!(limit.contains("MQTT_EARLY_MAX"), "{limit}");
}

#[tokio::test]
async fn a_message_that_cannot_be_taken_is_acknowledged_and_named_and_the_link_stays() {
    let (link, mut broker) = before_the_subscription(0).await;
    let mut link = link.unwrap();
    for (n, topic) in [(1, "usp/a/".repeat(1000)), (2, "usp/a".to_owned())] {
        broker.enqueue(&Packet::Publish(crate::mqtt::Publish {
            qos: 1,
            id: n,
            topic,
            payload: Bytes::from_static(b"record"),
            ..Default::default()
        }));
    }
    broker.flush().await.unwrap();
    assert_eq!(link.recv_some().await.unwrap(), None);
    let refused = link.refused().unwrap();
    assert!(refused.topic.starts_with("usp/a/usp"), "{refused:?}");
    assert!(refused.why.contains("MQTT_TEXT_BYTES_MAX"), "{refused:?}");
    assert_eq!(link.refused(), None);
    assert_eq!(link.recv().await.unwrap().topic, "usp/a");
    let acknowledged = async {
        for n in [1, 2] {
            assert_eq!(broker.packet().await.unwrap(), Packet::PubAck(n, 0));
        }
    };
    tokio::select! {
        () = acknowledged => {}
        incoming = link.recv() => panic!("{incoming:?}"),
    }
}
