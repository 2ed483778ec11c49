//! Clients that do what they should: both versions on one port, records both ways.

use broker::Incoming;
use bytes::Bytes;
use mtp::mqtt::property::id;
use mtp::mqtt::{DialConfig, Packet, Properties, Value, Version, dial};
use usp::EndpointId;

use crate::support::*;

#[tokio::test]
async fn a_client_of_mqtt_5_is_told_its_topics_and_what_the_broker_does_not_do() {
    // R-MQTT.12, R-MQTT.15, R-MQTT.44
    let broker = Broker::start().await;
    let mut pipe = broker.pipe(Version::V5).await;
    let Packet::Connect(mut connect) = connect(Version::V5) else {
        unreachable!()
    };
    connect.client_id.clear();
    connect.keep_alive = 0;
    connect.properties = Properties::default()
        .with(id::REQUEST_RESPONSE_INFORMATION, Value::Byte(1))
        .user(mtp::mqtt::ENDPOINT_ID, EID);
    write(&mut pipe, Packet::Connect(connect)).await;
    let Packet::ConnAck(ack) = read(&mut pipe).await else {
        panic!("no CONNACK");
    };
    assert_eq!((ack.code, ack.session_present), (0, false));
    let told = &ack.properties;
    assert_eq!(told.get_text(id::RESPONSE_INFORMATION), Some(AGENT));
    let topics: Vec<_> = told.users(mtp::mqtt::SUBSCRIBE_TOPIC).collect();
    assert_eq!(topics, [AGENT]);
    assert_eq!(told.get_text(id::ASSIGNED_CLIENT_ID), Some(EID));
    let keep_alive = u32::from(broker::limits::KEEP_ALIVE_MAX);
    assert_eq!(told.number(id::SERVER_KEEP_ALIVE), Some(keep_alive));
    for id in [
        id::RETAIN_AVAILABLE,
        id::SHARED_SUBSCRIPTION,
        id::SESSION_EXPIRY,
    ] {
        assert_eq!(told.number(id), Some(0));
    }
}

async fn both_ways(version: Version) {
    let mut broker = Broker::start().await;
    let eid = EndpointId::parse(EID).unwrap();
    let config = DialConfig {
        version,
        username: Some("acme/setup".into()),
        password: Some("good".into()),
        response_topic: Some(AGENT.into()),
        ..DialConfig::new("127.0.0.1", broker.addr.port(), eid, CONTROLLER)
    };
    let client = tokio::spawn(async move { dial(&config).await.unwrap() });
    let mut link = broker.link().await;
    // The subscription is answered by whoever owns the link.
    let mut client = {
        let serving = async { panic!("heard {:?}", heard(&mut link).await) };
        tokio::select! { client = client => client.unwrap(), () = serving => unreachable!() }
    };
    assert_eq!(client.reply_topic(), AGENT);
    for n in 0..50_u8 {
        // More than are in flight at one time.
        link.send(Bytes::copy_from_slice(&[n])).await.unwrap();
    }
    let mut seen = 0;
    while seen < 50 {
        tokio::select! {
            incoming = client.recv() => {
                let incoming = incoming.unwrap();
                assert_eq!(incoming.record, Bytes::copy_from_slice(&[seen]));
                assert_eq!(incoming.reply.as_deref(), Some(CONTROLLER));
                seen += 1;
            }
            heard = heard(&mut link) => panic!("heard {heard:?}"),
        }
    }
    let large = Bytes::from(vec![7; 300_000]);
    let sending = client.send(large.clone(), None);
    let (sent, heard_of) = tokio::join!(sending, async {
        // What the socket does not take at once goes out with the next call.
        tokio::time::timeout(PATIENCE, link.recv()).await
    });
    sent.unwrap();
    let heard_of = match heard_of {
        Ok(heard) => heard.unwrap(),
        Err(_) => panic!("nothing was heard"),
    };
    assert_eq!(heard_of, Incoming::Record(large));
    // An idle link owns no buffer.
    tokio::select! {
        heard = link.recv() => panic!("heard {heard:?}"),
        () = tokio::task::yield_now() => {}
    }
    client.close().await;
    assert!(matches!(
        heard(&mut link).await.unwrap(),
        Incoming::Closed(_)
    ));
    assert_eq!(link.heap_bytes(), 0);
}

#[tokio::test]
async fn records_go_both_ways_over_mqtt_5() {
    both_ways(Version::V5).await;
}

#[tokio::test]
async fn records_go_both_ways_over_mqtt_3_1_1() {
    // R-MQTT.24, R-MQTT.25
    both_ways(Version::V311).await;
}

#[tokio::test]
async fn pings_are_answered_and_a_silent_client_is_noticed() {
    let mut broker = Broker::start().await;
    let (mut pipe, mut link) = broker.client(Version::V311).await;
    pipe.enqueue(&Packet::PingReq);
    pipe.flush().await.unwrap();
    assert_eq!(answered(&mut pipe, &mut link).await, Packet::PingResp);
    let look = link.next_look().unwrap();
    assert!(
        link.keep_alive(look - std::time::Duration::from_millis(1))
            .is_ok()
    );
    assert!(link.keep_alive(look).is_err());
}

#[tokio::test]
async fn a_client_whose_ping_nobody_has_read_yet_is_not_silent() {
    let mut broker = Broker::start().await;
    let (mut pipe, mut link) = broker.client(Version::V5).await;
    let look = link.next_look().unwrap();
    write(&mut pipe, Packet::PingReq).await;
    // Whatever is to be read is known to be there once others have come and gone.
    drop(broker.client(Version::V5).await);
    link.keep_alive(look).unwrap();
    assert!(link.next_look().unwrap() > look);
    assert_eq!(answered(&mut pipe, &mut link).await, Packet::PingResp);
}

#[tokio::test]
async fn a_publish_of_qos_2_is_taken_once() {
    let mut broker = Broker::start().await;
    let (mut pipe, mut link) = broker.client(Version::V311).await;
    write(&mut pipe, publish(CONTROLLER, 2, Properties::default())).await;
    let record = Incoming::Record(Bytes::from_static(b"record"));
    assert_eq!(heard(&mut link).await.unwrap(), record);
    assert_eq!(answered(&mut pipe, &mut link).await, Packet::PubRec(7, 0));
    // Sent again, because the answer was lost: not told again.
    write(&mut pipe, publish(CONTROLLER, 2, Properties::default())).await;
    assert_eq!(answered(&mut pipe, &mut link).await, Packet::PubRec(7, 0));
    write(&mut pipe, Packet::PubRel(7, 0)).await;
    assert_eq!(answered(&mut pipe, &mut link).await, Packet::PubComp(7, 0));
}
