//! The packets against themselves and against random bytes.

use bytes::Bytes;
use proptest::prelude::*;

use super::property::id;
use super::*;
use crate::stream::Stream;

fn again(packet: &Packet, version: Version) -> Packet {
    let mut bytes = Vec::new();
    packet.encode(version, &mut bytes);
    let mut head = 1;
    while bytes[head] & 0x80 != 0 {
        head += 1;
    }
    let body = Bytes::copy_from_slice(&bytes[head + 1..]);
    Packet::decode(bytes[0], body, version).unwrap()
}

#[test]
fn every_packet_survives_its_encoding_in_both_versions() {
    for version in [Version::V5, Version::V311] {
        let five = version == Version::V5;
        let properties = match five {
            true => Properties::default()
                .text(id::CONTENT_TYPE, CONTENT_TYPE)
                .with(9, Value::Binary(Bytes::from_static(b"\x00x")))
                .with(11, Value::Variable(268_435_455))
                .with(id::SESSION_EXPIRY, Value::U32(7))
                .with(id::RECEIVE_MAXIMUM, Value::U16(7))
                .with(id::MAXIMUM_QOS, Value::Byte(1))
                .user("a", "b")
                .user("a", "c"),
            false => Properties::default(),
        };
        let code = if five { 0x87 } else { 0 };
        let packets = [
            Packet::Connect(Box::new(Connect {
                version,
                clean: true,
                keep_alive: 60,
                properties: properties.clone(),
                client_id: "os::012345-A%2DB".into(),
                username: Some("acme/setup".into()),
                password: Some(Bytes::from_static(b"\xff\x00")),
            })),
            Packet::ConnAck(Box::new(ConnAck {
                session_present: true,
                code: 5,
                properties: properties.clone(),
            })),
            Packet::Publish(Publish {
                dup: true,
                qos: 1,
                retain: true,
                topic: "a/b".into(),
                id: 65_535,
                properties: properties.clone(),
                payload: Bytes::from(vec![1; 200]),
                refused: None,
            }),
            Packet::PubAck(1, code),
            Packet::PubRec(1, code),
            Packet::PubRel(1, 0),
            Packet::PubComp(1, 0),
            Packet::Subscribe(1, vec![("a/#".into(), 1), ("b".into(), 0)]),
            Packet::SubAck(1, vec![0, 0x80]),
            Packet::Unsubscribe(1, vec!["a".into()]),
            Packet::UnsubAck(1, if five { vec![0] } else { vec![] }),
            Packet::PingReq,
            Packet::PingResp,
            Packet::Disconnect(code, properties),
        ];
        for packet in packets {
            assert_eq!(again(&packet, version), packet);
        }
    }
}

#[test]
fn packets_that_cannot_be_are_refused() {
    let refused = |first: u8, body: &[u8], version| {
        Packet::decode(first, Bytes::copy_from_slice(body), version).is_err()
    };
    for (first, body) in [
        (0x00, &b""[..]),
        (0x36, b"\x00\x01a\x00\x01"),
        (0x32, b"\x00\x01a\x00\x00"),
        (0x30, b"\x00\x05a"),
        (0x30, b"\x00\x01\xff"),
        (0x30, b"\x00\x01\x00"),
        (0x80, b"\x00\x01\x00\x01a\x00"),
        (0x82, b"\x00\x01"),
        (0x82, b"\x00\x01\x00\x01a\x03"),
        (0xc1, b""),
        (0xc0, b"x"),
        (0x10, b"\x00\x04MQTT\x04\x01\x00\x00\x00\x00"),
        (0x10, b"\x00\x04MQTT\x04\x08\x00\x00\x00\x00"),
        (0x10, b"\x00\x04MQTT\x06\x02\x00\x00\x00\x00"),
        (0xf0, b""),
    ] {
        assert!(refused(first, body, Version::V311), "{first:x} {body:?}");
    }
    // A property twice, an unknown one, and more of them than are taken.
    assert!(refused(0xe0, b"\x00\x04\x24\x00\x24\x00", Version::V5));
    assert!(refused(0xe0, b"\x00\x02\x7f\x00", Version::V5));
    let pair = b"\x26\x00\x00\x00\x00";
    let many = pair.repeat(crate::limits::MQTT_PROPERTIES_MAX + 1);
    let mut body = vec![0];
    super::wire::put_variable(&mut body, many.len());
    body.extend(&many);
    assert!(refused(0xe0, &body, Version::V5));
    let long = vec![b'a'; crate::limits::MQTT_TEXT_BYTES_MAX + 1];
    let mut body = Vec::new();
    super::wire::put_binary(&mut body, &long);
    assert!(refused(0x30, &body, Version::V311));
    let filters = b"\x00\x01a\x00".repeat(crate::limits::MQTT_FILTERS_MAX + 1);
    assert!(refused(
        0x82,
        &[&b"\x00\x01"[..], &filters].concat(),
        Version::V311
    ));
}

#[test]
fn a_publish_says_where_its_answer_goes_in_the_way_of_its_version() {
    // R-MQTT.22, R-MQTT.23, R-MQTT.24, R-MQTT.25, R-MQTT.26
    let of = |version| {
        let (topic, properties) = super::addressed(version, "usp/c", "usp/a");
        Publish {
            topic,
            properties,
            ..Publish::default()
        }
    };
    let five = of(Version::V5);
    assert_eq!(five.topic, "usp/c");
    let told = |publish: &Publish, id| publish.properties.get_text(id).map(str::to_owned);
    let (response, kind) = (
        super::property::id::RESPONSE_TOPIC,
        super::property::id::CONTENT_TYPE,
    );
    assert_eq!(told(&five, response).as_deref(), Some("usp/a"));
    assert_eq!(told(&five, kind).as_deref(), Some(super::CONTENT_TYPE));
    let old = of(Version::V311);
    assert_eq!(old.topic, "usp/c/reply-to=usp%2Fa");
    assert_eq!(old.properties, Properties::default());
    for (version, publish) in [(Version::V5, five), (Version::V311, old)] {
        let (topic, reply) = super::address(version, &publish);
        assert_eq!((topic, reply.as_deref()), ("usp/c", Some("usp/a")));
    }
}

#[test]
fn a_message_that_cannot_be_taken_is_named_and_what_follows_it_is_read() {
    use crate::limits::{MQTT_PROPERTIES_MAX, MQTT_REFUSED_TOPIC_BYTES, MQTT_TEXT_BYTES_MAX};
    const MAX: usize = 100_000;
    let of = |topic: &str, id, payload| Publish {
        qos: 1,
        id,
        topic: topic.into(),
        payload: vec![7; payload].into(),
        ..Publish::default()
    };
    let user = |all: Properties, n: usize| all.user("n", n.to_string());
    let many = (0..=MQTT_PROPERTIES_MAX).fold(Properties::default(), user);
    let long = "a/".repeat(MQTT_TEXT_BYTES_MAX);
    let with = |properties, publish| Publish {
        properties,
        ..publish
    };
    let sent = [
        (of("first", 1, 3), false),
        (of("large", 2, MAX), true),
        (of("second", 3, MAX - 100), false),
        (with(many, of("many", 4, 3)), true),
        (
            with(Properties::default().user("n", &*long), of("text", 5, 3)),
            true,
        ),
        (of(&long, 6, 3), true),
        (of(&long, 7, 3 * MAX), true),
        (of("last", 8, 0), false),
    ];
    let mut stream = Vec::new();
    for (publish, _) in &sent {
        Packet::Publish(publish.clone()).encode(Version::V5, &mut stream);
    }
    for piece in [1, 1000, 70_000, stream.len()] {
        let mut decoder = Decoder::new(Version::V5, MAX);
        decoder.skip_publishes();
        let mut came = Vec::new();
        for piece in stream.chunks(piece) {
            decoder.feed(piece);
            while let Some(packet) = decoder.packet().unwrap() {
                let Packet::Publish(publish) = packet else {
                    panic!("{packet:?}")
                };
                came.push(publish);
            }
        }
        assert_eq!((came.len(), decoder.heap_bytes()), (sent.len(), 0));
        for (came, (sent, refused)) in came.iter().zip(&sent) {
            let shown = sent.topic.len().min(MQTT_REFUSED_TOPIC_BYTES);
            assert_eq!((came.id, came.qos), (sent.id, 1));
            assert_eq!(came.refused.is_some(), *refused, "{}", sent.id);
            assert_eq!(came.topic, sent.topic[..shown]);
            assert_eq!(
                came.payload.len(),
                [sent.payload.len(), 0][usize::from(*refused)]
            );
        }
    }
}

#[test]
fn a_message_that_is_too_large_is_not_kept_while_it_comes() {
    let mut decoder = Decoder::new(Version::V311, 1000);
    decoder.skip_publishes();
    let (piece, pieces) = (vec![0; 1024 * 1024], 64);
    let mut head = vec![0x30];
    super::wire::put_variable(&mut head, 3 + pieces * piece.len());
    head.extend(b"\x00\x01a");
    decoder.feed(&head);
    for _ in 0..pieces {
        assert_eq!(decoder.packet().unwrap(), None);
        assert_eq!(decoder.heap_bytes(), 0);
        decoder.feed(&piece);
    }
    let Some(Packet::Publish(refused)) = decoder.packet().unwrap() else {
        panic!("it is not named")
    };
    assert!(refused.topic == "a" && refused.refused.is_some());
    // What breaks the stream itself ends it, as does every other packet that is too large.
    for broken in [
        &b"\x36\xff\x7f"[..],
        b"\x30\xff\xff\xff\xff",
        b"\xe0\xff\x7f",
    ] {
        let mut decoder = Decoder::new(Version::V311, 1000);
        decoder.skip_publishes();
        decoder.feed(broken);
        assert!(decoder.packet().is_err(), "{broken:x?}");
    }
    let mut server = Decoder::new(Version::V311, 1000);
    server.feed(&head);
    assert!(server.packet().is_err());
}

proptest! {
    #[test]
    fn random_bytes_are_a_packet_that_survives_or_an_error(
        first in any::<u8>(),
        body in prop::collection::vec(any::<u8>(), 0..64),
        five in any::<bool>(),
    ) {
        let version = if five { Version::V5 } else { Version::V311 };
        if let Ok(packet) = Packet::decode(first, Bytes::from(body), version) {
            let version = match &packet {
                Packet::Connect(connect) => connect.version,
                _ => version,
            };
            let mut bytes = Vec::new();
            packet.encode(version, &mut bytes);
        }
    }
}

/// An agent's dial with user name and password, and the broker's end of it after the CONNECT.
async fn dialled(
    version: Version,
    broker: impl AsyncFnOnce(Connect, Pipe),
) -> Result<Link, DialError> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let own = usp::EndpointId::parse("os::012345-A").unwrap();
    let config = DialConfig {
        version,
        username: Some("acme/setup".into()),
        password: Some("secret".into()),
        response_topic: Some("usp/a".into()),
        ..DialConfig::new("127.0.0.1", port, own, "usp/c")
    };
    let serve = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut pipe = Pipe::opening(Stream::Plain(tcp), 4096);
        let Packet::Connect(connect) = pipe.packet().await.unwrap() else {
            panic!("no CONNECT")
        };
        pipe.admit(connect.version, 4096);
        pipe.enqueue(&Packet::ConnAck(Box::default()));
        pipe.flush().await.unwrap();
        broker(*connect, pipe).await;
    };
    tokio::join!(dial(&config), serve).0
}

/// `DIAL_TIME_MAX`
#[tokio::test]
async fn a_broker_that_says_nothing_or_half_of_it_is_given_up() {
    use tokio::io::AsyncWriteExt;
    for half in [&b""[..], &[0x20, 5, 0]] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = usp::EndpointId::parse("os::012345-A").unwrap();
        let mut config = DialConfig::new("127.0.0.1", port, own, "usp/c");
        config.time_max = std::time::Duration::from_millis(100);
        let serve = async {
            let mut tcp = listener.accept().await.unwrap().0;
            tcp.write_all(half).await.unwrap();
            tcp
        };
        let (dialled, _tcp) = tokio::join!(dial(&config), serve);
        assert!(matches!(dialled, Err(DialError::Timeout(_))));
    }
}

#[tokio::test]
async fn an_agent_says_who_it_is_pings_and_takes_its_leave_as_the_standard_wants() {
    // R-MQTT.7, R-MQTT.8, R-MQTT.13, R-MQTT.14, R-MQTT.20, R-MQTT.35
    for version in [Version::V5, Version::V311] {
        let mut end = None;
        let link = dialled(version, async |connect, mut pipe| {
            let five = version == Version::V5;
            assert_eq!(connect.username.as_deref(), Some("acme/setup"));
            assert_eq!(connect.password, Some(Bytes::from_static(b"secret")));
            let id = if five { "" } else { "os::012345-A" };
            assert_eq!(connect.client_id, id);
            let told: Vec<_> = connect.properties.users(ENDPOINT_ID).collect();
            assert_eq!(told, if five { vec!["os::012345-A"] } else { vec![] });
            let filter = if five { "usp/a" } else { "usp/a/#" };
            let subscribe = Packet::Subscribe(1, vec![(filter.into(), 1)]);
            assert_eq!(pipe.packet().await.unwrap(), subscribe);
            pipe.enqueue(&Packet::SubAck(1, vec![1]));
            pipe.flush().await.unwrap();
            end = Some(pipe);
        });
        let (mut link, mut broker) = (link.await.unwrap(), end.unwrap());
        link.send(Bytes::from_static(b"r"), None).await.unwrap();
        let Packet::Publish(publish) = broker.packet().await.unwrap() else {
            panic!("no PUBLISH")
        };
        assert_eq!(publish.qos, 1);
        let ping = link.next_ping().unwrap();
        link.keep_alive(ping).unwrap();
        let leave = async {
            assert_eq!(broker.packet().await.unwrap(), Packet::PingReq);
            let goodbye = Packet::Disconnect(0, Properties::default());
            assert_eq!(broker.packet().await.unwrap(), goodbye);
            drop(broker);
        };
        tokio::join!(link.close(), leave);
    }
}

#[tokio::test]
async fn an_agent_whose_every_subscription_is_refused_publishes_nothing_and_goes() {
    // R-MQTT.17
    for (version, code) in [(Version::V5, 0x87), (Version::V311, 0x80)] {
        let dialled = dialled(version, async |_, mut pipe| {
            assert!(matches!(pipe.packet().await, Ok(Packet::Subscribe(..))));
            pipe.enqueue(&Packet::SubAck(1, vec![code]));
            pipe.flush().await.unwrap();
            let last = pipe.packet().await.unwrap();
            assert_eq!(last, Packet::Disconnect(0, Properties::default()));
            assert!(pipe.packet().await.is_err());
        });
        let refused = dialled.await.unwrap_err();
        assert!(
            matches!(refused, DialError::SubscriptionsRefused(_)),
            "{refused}"
        );
    }
}
