//! Whoever tries what is another's is refused by MQTT's own codes, and named.

use broker::Incoming;
use bytes::Bytes;
use mtp::mqtt::property::id;
use mtp::mqtt::{Packet, Properties, Version, code};

use crate::support::*;

fn wrong(heard: Incoming, reason: &str, topic: &str) {
    match heard {
        Incoming::Wrong(wrong) => {
            assert_eq!(wrong.reason, reason);
            assert!(wrong.detail.contains(topic), "{}", wrong.detail);
        }
        other => panic!("{other:?}"),
    }
}

const OTHERS: [&str; 6] = [
    "#",
    "usp/+/agent/#",
    "usp/acme/agent/os::012345-B",
    "usp/other/agent/os::012345-A",
    "$share/x/usp/acme/agent/os::012345-A",
    CONTROLLER,
];

#[tokio::test]
async fn subscriptions_to_what_is_anothers_are_refused() {
    // R-MQTT.42
    for (version, refused) in [(Version::V5, code::NOT_AUTHORIZED), (Version::V311, 0x80)] {
        let mut broker = Broker::start().await;
        let (mut pipe, mut link) = broker.client(version).await;
        for filter in OTHERS {
            let wanted = vec![(filter.to_owned(), 1), (format!("{AGENT}/#"), 2)];
            write(&mut pipe, Packet::Subscribe(3, wanted)).await;
            wrong(heard(&mut link).await.unwrap(), "wrong-topic", filter);
            let answer = answered(&mut pipe, &mut link).await;
            assert_eq!(answer, Packet::SubAck(3, vec![refused, 1]), "{filter}");
        }
    }
}

#[tokio::test]
async fn publishes_to_what_is_anothers_are_refused() {
    // R-MQTT.42
    for version in [Version::V5, Version::V311] {
        let mut broker = Broker::start().await;
        let (mut pipe, mut link) = broker.client(version).await;
        let told = if version == Version::V5 {
            code::NOT_AUTHORIZED
        } else {
            0
        };
        for topic in [
            "usp/other/controller/os::012345-A",
            "usp/acme/controller/os::012345-B",
            AGENT,
            "$SYS/x",
            "x",
        ] {
            write(&mut pipe, publish(topic, 1, Properties::default())).await;
            wrong(heard(&mut link).await.unwrap(), "wrong-topic", topic);
            assert_eq!(
                answered(&mut pipe, &mut link).await,
                Packet::PubAck(7, told)
            );
        }
    }
}

#[tokio::test]
async fn the_controller_answers_nowhere_but_in_the_senders_own_topics() {
    for version in [Version::V5, Version::V311] {
        let mut broker = Broker::start().await;
        let (mut pipe, mut link) = broker.client(version).await;
        write(
            &mut pipe,
            Packet::Subscribe(1, vec![(format!("{AGENT}/#"), 1)]),
        )
        .await;
        let answer = answered(&mut pipe, &mut link).await;
        assert_eq!(answer, Packet::SubAck(1, vec![1]));
        let said = |reply: &str| match version {
            Version::V5 => {
                let properties = Properties::default().text(id::RESPONSE_TOPIC, reply);
                publish(CONTROLLER, 0, properties)
            }
            Version::V311 => {
                let topic = mtp::mqtt::topic::with_reply(CONTROLLER, reply);
                publish(&topic, 0, Properties::default())
            }
        };
        for reply in [
            "usp/acme/agent/os::012345-B",
            "usp/acme/agent/os::012345-A/#",
            CONTROLLER,
        ] {
            write(&mut pipe, said(reply)).await;
            wrong(heard(&mut link).await.unwrap(), "wrong-reply-topic", reply);
        }
        let own = format!("{AGENT}/answers");
        write(&mut pipe, said(&own)).await;
        assert!(matches!(
            heard(&mut link).await.unwrap(),
            Incoming::Record(_)
        ));
        link.send(Bytes::from_static(b"answer")).await.unwrap();
        let Packet::Publish(answer) = answered(&mut pipe, &mut link).await else {
            panic!("no answer");
        };
        let (topic, reply) = mtp::mqtt::address(version, &answer);
        assert_eq!((topic, reply.as_deref()), (own.as_str(), Some(CONTROLLER)));
        if version == Version::V5 {
            // R-MQTT.27
            assert_eq!(
                answer.properties.get_text(id::CONTENT_TYPE),
                Some("usp.msg")
            );
        }
    }
}

#[tokio::test]
async fn who_is_not_subscribed_is_sent_nothing_and_named() {
    let mut broker = Broker::start().await;
    let (_pipe, mut link) = broker.client(Version::V5).await;
    link.send(Bytes::from_static(b"x")).await.unwrap();
    wrong(heard(&mut link).await.unwrap(), "not-subscribed", AGENT);
}

#[tokio::test]
async fn whether_a_client_is_heard_follows_its_subscriptions() {
    for (version, filter) in [
        (Version::V5, AGENT.to_owned()),
        // Ours say at the end of their topic where answers go.
        (Version::V311, format!("{AGENT}/#")),
    ] {
        let mut broker = Broker::start().await;
        let (mut pipe, mut link) = broker.client(version).await;
        assert!(!link.is_heard());
        for (packet, after) in [
            (Packet::Subscribe(1, vec![(filter.clone(), 1)]), true),
            (Packet::Unsubscribe(2, vec![filter]), false),
        ] {
            write(&mut pipe, packet).await;
            let told = tokio::time::timeout(PATIENCE, link.recv()).await;
            assert_eq!(told.unwrap().unwrap(), Incoming::Subscribed);
            assert_eq!(link.is_heard(), after);
        }
    }
    let mut broker = Broker::start().await;
    let (mut pipe, mut link) = broker.client(Version::V311).await;
    write(&mut pipe, Packet::Subscribe(1, vec![(AGENT.into(), 1)])).await;
    answered(&mut pipe, &mut link).await;
    assert!(!link.is_heard(), "what is below is where records go");
}

#[tokio::test]
async fn what_says_that_it_is_no_record_is_refused() {
    let mut broker = Broker::start().await;
    let (mut pipe, mut link) = broker.client(Version::V5).await;
    let properties = |kind: &str| Properties::default().text(id::CONTENT_TYPE, kind);
    write(&mut pipe, publish(CONTROLLER, 0, properties("text/plain"))).await;
    wrong(
        heard(&mut link).await.unwrap(),
        "not-a-record",
        "text/plain",
    );
    // R-MQTT.27, R-MQTT.27a
    for kind in ["usp.msg", "application/vnd.bbf.usp.msg"] {
        write(&mut pipe, publish(CONTROLLER, 0, properties(kind))).await;
        assert!(matches!(
            heard(&mut link).await.unwrap(),
            Incoming::Record(_)
        ));
    }
}
