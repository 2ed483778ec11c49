//! Clients that do what they should not: refused with a name, bounded, and of no consequence to others.

use std::time::Duration;

use broker::Incoming;
use broker::limits::{RECEIVE_MAXIMUM, WRONG_TOPICS_MAX};
use bytes::Bytes;
use mtp::limits::{MQTT_CONNECT_BYTES_MAX, MQTT_FILTERS_MAX};
use mtp::mqtt::property::id;
use mtp::mqtt::{LinkError, Packet, Properties, Value, Version, code};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::*;

async fn refused(change: impl FnOnce(&mut mtp::mqtt::Connect), version: Version) -> (u8, String) {
    let broker = Broker::start().await;
    let mut pipe = broker.pipe(version).await;
    let Packet::Connect(mut packet) = connect(version) else {
        unreachable!()
    };
    change(&mut packet);
    write(&mut pipe, Packet::Connect(packet)).await;
    let Packet::ConnAck(ack) = read(&mut pipe).await else {
        panic!("no CONNACK");
    };
    let refusals = broker.refused.lock().unwrap();
    let reason = refusals
        .last()
        .map(|one| one.refusal.reason.name().to_owned());
    drop(refusals);
    let reason = match reason {
        Some(reason) => reason,
        None => ack
            .properties
            .get_text(id::REASON_STRING)
            .unwrap_or_default()
            .to_owned(),
    };
    (ack.code, reason)
}

#[tokio::test]
async fn wrong_credentials_get_the_codes_of_their_version() {
    // R-MQTT.42, R-MQTT.43
    let bad = |connect: &mut mtp::mqtt::Connect| connect.password = Some(Bytes::from_static(b"x"));
    assert_eq!(
        refused(bad, Version::V5).await,
        (code::BAD_CREDENTIAL, "unknown-credential".into())
    );
    assert_eq!(refused(bad, Version::V311).await.0, 4);
    for bare in [None, Some("setup"), Some("a/b/c"), Some("acme/")] {
        let change = |connect: &mut mtp::mqtt::Connect| connect.username = bare.map(str::to_owned);
        assert_eq!(
            refused(change, Version::V5).await,
            (code::BAD_CREDENTIAL, "bare-username".into())
        );
    }
    let other = |connect: &mut mtp::mqtt::Connect| connect.username = Some("other/setup".into());
    assert_eq!(refused(other, Version::V5).await.0, code::BAD_CREDENTIAL);
    let method = |connect: &mut mtp::mqtt::Connect| {
        let properties = std::mem::take(&mut connect.properties);
        connect.properties = properties.text(id::AUTHENTICATION_METHOD, "SCRAM-SHA-1");
    };
    assert_eq!(refused(method, Version::V5).await.1, "malformed-connect");
    let nobody = |connect: &mut mtp::mqtt::Connect| connect.client_id = "tv".into();
    assert_eq!(refused(nobody, Version::V5).await.1, "endpoint-id-missing");
}

#[tokio::test]
async fn what_is_no_connect_ends_the_connection_with_a_name() {
    let long = [
        &[0x10, 0xff, 0xff, 0x7f][..],
        &vec![0; MQTT_CONNECT_BYTES_MAX][..],
    ]
    .concat();
    let nonsense: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xc0, 0x00],
        &[0x10, 0xff, 0xff, 0xff, 0xff, 0x01],
        // MQTT 3.1.
        b"\x10\x11\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x03abc",
        &long,
    ];
    for bytes in nonsense {
        let broker = Broker::start().await;
        let mut tcp = TcpStream::connect(broker.addr).await.unwrap();
        let _ = tcp.write_all(bytes).await;
        broker.turned_away("malformed-connect").await;
    }
    let broker = Broker::start().await;
    let mut tcp = TcpStream::connect(broker.addr).await.unwrap();
    tcp.write_all(b"\x16\x03\x01\x02\x00").await.unwrap();
    broker.turned_away("tls-on-plaintext-listener").await;
}

#[tokio::test]
async fn who_says_nothing_is_turned_away_in_time_and_so_is_a_flood_from_one_address() {
    // Nothing at all, and half of a CONNECT.
    for half in [&b""[..], b"\x10\x40\x00\x04MQTT\x05"] {
        let brief = Duration::from_millis(50);
        let broker = Broker::with(|config| config.socket.handshake_time_max = brief).await;
        let mut silent = TcpStream::connect(broker.addr).await.unwrap();
        silent.write_all(half).await.unwrap();
        broker.turned_away("handshake-timeout").await;
    }
    let mut broker = Broker::with(|config| {
        config.socket.uncounted_addresses.clear();
        config.socket.connections_per_address_max = 1;
    })
    .await;
    let (_first, _link) = broker.client(Version::V5).await;
    let _second = TcpStream::connect(broker.addr).await.unwrap();
    broker.turned_away("too-many-from-address").await;
    let broker = Broker::with(|config| config.socket.connections_max = 0).await;
    let _one = TcpStream::connect(broker.addr).await.unwrap();
    broker.turned_away("too-many-connections").await;
}

async fn ended(version: Version, packets: Vec<Packet>) -> (LinkError, Option<u8>) {
    let mut broker = Broker::start().await;
    let (mut pipe, mut link) = broker.client(version).await;
    packets.iter().for_each(|packet| pipe.enqueue(packet));
    pipe.flush().await.unwrap();
    let error = loop {
        match heard(&mut link).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    drop(link);
    let told = loop {
        match tried(&mut pipe).await {
            Ok(Packet::Disconnect(code, _)) => break Some(code),
            Ok(_) => {}
            Err(_) => break None,
        }
    };
    (error, told)
}

#[tokio::test]
async fn packets_that_must_not_come_end_the_connection() {
    let alias = Properties::default().with(id::TOPIC_ALIAS, Value::U16(1));
    for packet in [
        connect(Version::V5),
        Packet::SubAck(1, vec![0]),
        Packet::PingResp,
        publish("", 0, alias),
    ] {
        let (error, told) = ended(Version::V5, vec![packet.clone()]).await;
        assert!(
            matches!(error, LinkError::PeerMisbehaved(_)),
            "{packet:?}: {error}"
        );
        assert_eq!(told, Some(code::PROTOCOL_ERROR), "{packet:?}");
    }
    let (error, told) = ended(Version::V311, vec![Packet::PingResp]).await;
    assert!(matches!(error, LinkError::PeerMisbehaved(_)) && told.is_none());
}

#[tokio::test]
async fn a_client_in_a_loop_of_wrong_topics_is_disconnected() {
    let wrong = publish("x", 0, Properties::default());
    let all = vec![wrong; WRONG_TOPICS_MAX as usize + 1];
    let (error, told) = ended(Version::V5, all).await;
    assert!(error.to_string().contains("WRONG_TOPICS_MAX"), "{error}");
    assert_eq!(told, Some(code::QUOTA_EXCEEDED));
}

#[tokio::test]
async fn more_unreleased_publishes_of_qos_2_than_were_offered_end_the_connection() {
    let all = (1..=RECEIVE_MAXIMUM + 1).map(|id| {
        let Packet::Publish(mut one) = publish(CONTROLLER, 2, Properties::default()) else {
            unreachable!()
        };
        one.id = id;
        Packet::Publish(one)
    });
    let (error, told) = ended(Version::V5, all.collect()).await;
    assert!(error.to_string().contains("RECEIVE_MAXIMUM"), "{error}");
    assert_eq!(told, Some(code::RECEIVE_MAXIMUM_EXCEEDED));
}

#[tokio::test]
async fn only_so_many_subscriptions_are_kept() {
    let mut broker = Broker::start().await;
    let (mut pipe, mut link) = broker.client(Version::V5).await;
    let filters = |from: usize, to: usize| {
        let all = (from..to).map(|n| (format!("{AGENT}/{n}"), 0));
        Packet::Subscribe(9, all.collect())
    };
    write(&mut pipe, filters(0, MQTT_FILTERS_MAX)).await;
    let answer = answered(&mut pipe, &mut link).await;
    assert_eq!(answer, Packet::SubAck(9, vec![0; MQTT_FILTERS_MAX]));
    write(&mut pipe, filters(100, 101)).await;
    let answer = answered(&mut pipe, &mut link).await;
    assert_eq!(answer, Packet::SubAck(9, vec![code::QUOTA_EXCEEDED]));
}

#[tokio::test]
async fn a_packet_larger_than_a_record_may_be_ends_the_connection_before_it_is_read() {
    let mut broker = Broker::with(|config| config.record_bytes_max = 1_000).await;
    let (mut pipe, mut link) = broker.client(Version::V5).await;
    let Packet::Publish(mut large) = publish(CONTROLLER, 0, Properties::default()) else {
        unreachable!()
    };
    large.payload = Bytes::from(vec![0; 100_000]);
    pipe.enqueue(&Packet::Publish(large));
    let writing = tokio::spawn(async move { pipe.flush().await });
    let error = heard(&mut link).await.unwrap_err();
    assert!(matches!(error, LinkError::LimitExceeded { .. }), "{error}");
    drop(link);
    let _ = writing.await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_sent_only_so_much() {
    let mut broker = Broker::start().await;
    let (mut pipe, mut link) = broker.client(Version::V5).await;
    write(&mut pipe, Packet::Subscribe(1, vec![(AGENT.into(), 1)])).await;
    assert!(matches!(
        answered(&mut pipe, &mut link).await,
        Packet::SubAck(..)
    ));
    // It acknowledges nothing, so all but the window waits here.
    let record = Bytes::from(vec![0; 16 * 1024]);
    let mut sent = 0;
    let error = loop {
        tokio::select! {
            result = link.send(record.clone()) => match result {
                Ok(_) => sent += 1,
                Err(error) => break error,
            },
            _ = read(&mut pipe) => {}
        }
        assert!(sent < 1_000);
    };
    assert!(error.to_string().contains("SEND_QUEUE_BYTES"), "{error}");
}

#[tokio::test]
async fn a_link_that_has_ended_sends_nothing_more() {
    let mut broker = Broker::start().await;
    let (mut pipe, mut link) = broker.client(Version::V5).await;
    write(&mut pipe, Packet::Subscribe(1, vec![(AGENT.into(), 1)])).await;
    answered(&mut pipe, &mut link).await;
    write(&mut pipe, Packet::PingResp).await;
    assert!(heard(&mut link).await.is_err());
    let late = link.send(Bytes::from_static(b"late")).await;
    assert!(matches!(late, Err(LinkError::ApiMisuse)), "{late:?}");
    drop(link);
    let told = read(&mut pipe).await;
    assert!(matches!(told, Packet::Disconnect(..)), "{told:?}");
    let after = tried(&mut pipe).await;
    assert!(after.is_err(), "{after:?}");
}

#[tokio::test]
async fn a_client_that_was_silent_for_too_long_is_told_so() {
    let mut broker = Broker::start().await;
    let (mut pipe, mut link) = broker.client(Version::V5).await;
    let late = link.next_look().unwrap();
    let error = link.keep_alive(late).unwrap_err();
    assert!(matches!(error, LinkError::PeerSilent(_)), "{error}");
    let told = read(&mut pipe).await;
    assert!(
        matches!(told, Packet::Disconnect(code::KEEP_ALIVE_TIMEOUT, _)),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_record_larger_than_the_client_takes_is_not_sent_and_the_link_stays() {
    const MAX: u32 = 200;
    let mut broker = Broker::start().await;
    let mut pipe = broker.pipe(Version::V5).await;
    let Packet::Connect(mut packet) = connect(Version::V5) else {
        unreachable!()
    };
    let properties = std::mem::take(&mut packet.properties);
    packet.properties = properties.with(id::MAXIMUM_PACKET_SIZE, Value::U32(MAX));
    write(&mut pipe, Packet::Connect(packet)).await;
    assert!(matches!(read(&mut pipe).await, Packet::ConnAck(_)));
    let mut link = broker.link().await;
    write(&mut pipe, Packet::Subscribe(1, vec![(AGENT.into(), 1)])).await;
    answered(&mut pipe, &mut link).await;
    link.send(Bytes::new()).await.unwrap();
    let Packet::Publish(empty) = answered(&mut pipe, &mut link).await else {
        panic!("no record");
    };
    // One for its length, which takes two bytes by then.
    let room = MAX as usize - empty.packet_bytes(Version::V5) - 1;
    let refused = link.send(vec![7; room + 1].into()).await.unwrap();
    let max = MAX as usize;
    assert_eq!(
        refused.map(|one| (one.bytes, one.max)),
        Some((max + 1, max))
    );
    let Incoming::Wrong(wrong) = heard(&mut link).await.unwrap() else {
        panic!("not told");
    };
    assert_eq!(wrong.reason, "record-too-large-for-device");
    assert_eq!(link.send(vec![7; room].into()).await.unwrap(), None);
    let Packet::Publish(full) = answered(&mut pipe, &mut link).await else {
        panic!("no record");
    };
    assert_eq!(full.packet_bytes(Version::V5), MAX as usize);
}
