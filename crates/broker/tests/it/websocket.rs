//! MQTT inside of WebSockets, with the client of a library.

use broker::Incoming;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use mtp::mqtt::{DialConfig, Packet, Properties, Version, dial};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use usp::EndpointId;

use crate::support::{AGENT, Broker, CONTROLLER, EID, PATIENCE, connect, heard, publish};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn start() -> Broker {
    Broker::with(|config| config.websocket = true).await
}

async fn asked(broker: &Broker, subprotocol: Option<&str>) -> Result<Client, Error> {
    let url = format!("ws://{}/mqtt", broker.addr);
    let mut request = url.into_client_request().unwrap();
    if let Some(name) = subprotocol {
        let value = name.parse().unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", value);
    }
    connect_async(request).await.map(|(client, _)| client)
}

fn bytes(packet: Packet) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.encode(Version::V5, &mut bytes);
    bytes
}

async fn next(client: &mut Client) -> Message {
    let next = tokio::time::timeout(PATIENCE, client.next()).await;
    next.expect("nothing came").unwrap().unwrap()
}

/// A client that is let in and subscribed, and the broker's end.
async fn subscribed(broker: &mut Broker) -> (Client, broker::Link) {
    let mut client = asked(broker, Some("mqtt")).await.unwrap();
    // Two packets in three frames, cut anywhere, with a ping in between.
    let subscribe = Packet::Subscribe(1, vec![(AGENT.into(), 1)]);
    let all = [bytes(connect(Version::V5)), bytes(subscribe)].concat();
    for piece in all.chunks(all.len() / 3 + 1) {
        client.send(Message::binary(piece.to_vec())).await.unwrap();
        client.send(Message::Ping("there?".into())).await.unwrap();
    }
    let mut link = broker.link().await;
    let mut came = Vec::new();
    // CONNACK and SUBACK, as the broker sees fit to frame them.
    while came.iter().filter(|first| **first != 0).count() < 2 {
        tokio::select! {
            message = next(&mut client) => match message {
                Message::Binary(data) => came.push(data[0]),
                Message::Pong(data) => { assert_eq!(&data[..], b"there?"); }
                other => panic!("{other:?}"),
            },
            heard = link.recv() => { assert_eq!(heard.unwrap(), Incoming::Subscribed); }
        }
    }
    assert_eq!(came, [0x20, 0x90]);
    (client, link)
}

#[tokio::test]
async fn packets_need_not_be_frames_and_records_go_both_ways() {
    let mut broker = start().await;
    let (mut client, mut link) = subscribed(&mut broker).await;
    // Larger than a frame of ours, and than the sockets take at once.
    let large = Bytes::from(vec![7; 300_000]);
    let record = publish(CONTROLLER, 0, Properties::default());
    client.send(Message::binary(bytes(record))).await.unwrap();
    let Incoming::Record(record) = heard(&mut link).await.unwrap() else {
        panic!("no record")
    };
    assert_eq!(&record[..], b"record");
    link.send(large.clone()).await.unwrap();
    let mut came = Vec::new();
    while came.len() < large.len() {
        tokio::select! {
            message = next(&mut client) => if let Message::Binary(data) = message {
                came.extend_from_slice(&data);
            },
            heard = link.recv() => panic!("{heard:?}"),
        }
    }
    assert!(came.ends_with(&large));
    client.close(None).await.unwrap();
    // A WebSocket that is closed without a DISCONNECT is a connection that is gone.
    assert!(matches!(
        heard(&mut link).await,
        Err(mtp::mqtt::LinkError::Gone)
    ));
}

#[tokio::test]
async fn a_text_message_ends_it_and_is_the_clients_fault() {
    let mut broker = start().await;
    let (mut client, mut link) = subscribed(&mut broker).await;
    client.send(Message::text("hello")).await.unwrap();
    let error = heard(&mut link).await.unwrap_err();
    assert!(
        matches!(
            error,
            mtp::mqtt::LinkError::PeerMisbehaved("a text message")
        ),
        "{error}"
    );
    loop {
        match next(&mut client).await {
            Message::Close(Some(CloseFrame { code, .. })) => {
                break assert_eq!(code, CloseCode::Protocol);
            }
            Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn who_does_not_ask_for_mqtt_is_refused_and_named() {
    let broker = start().await;
    for subprotocol in [None, Some("v1.usp")] {
        let refused = asked(&broker, subprotocol).await;
        let Err(Error::Http(answer)) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(answer.status(), 400);
        broker.turned_away("no-subprotocol").await;
        broker.refused.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_inside_of_the_websocket() {
    let broker = start().await;
    let mut client = asked(&broker, Some("mqtt")).await.unwrap();
    let Packet::Connect(mut stranger) = connect(Version::V5) else {
        panic!()
    };
    stranger.password = Some(Bytes::from_static(b"guess"));
    let stranger = bytes(Packet::Connect(stranger));
    client.send(Message::binary(stranger)).await.unwrap();
    let Message::Binary(ack) = next(&mut client).await else {
        panic!("no CONNACK")
    };
    assert_eq!((ack[0], ack[3]), (0x20, 0x86));
    assert!(matches!(next(&mut client).await, Message::Close(_)));
    broker.turned_away("unknown-credential").await;
}

#[tokio::test]
async fn an_agent_dials_a_broker_behind_a_websocket() {
    let mut broker = start().await;
    for version in [Version::V5, Version::V311] {
        let own = EndpointId::parse(EID).unwrap();
        let mut config = DialConfig::new("127.0.0.1", broker.addr.port(), own, CONTROLLER);
        config.websocket = Some("/mqtt".into());
        config.version = version;
        config.username = Some("acme/setup".into());
        config.password = Some("good".into());
        config.response_topic = Some(AGENT.into());
        let dialling = tokio::spawn(async move { dial(&config).await });
        let mut link = broker.link().await;
        assert_eq!(link.recv().await.unwrap(), Incoming::Subscribed);
        let record = Bytes::from(vec![9; 200_000]);
        link.send(record.clone()).await.unwrap();
        let agent = tokio::spawn(async move {
            let mut agent = dialling.await.unwrap().unwrap();
            let incoming = agent.recv().await.unwrap();
            agent.send(incoming.record, None).await.unwrap();
            agent.close().await;
        });
        let Incoming::Record(back) = heard(&mut link).await.unwrap() else {
            panic!("no record")
        };
        assert_eq!(back, record);
        let last = heard(&mut link).await.unwrap();
        assert_eq!(last, Incoming::Closed(String::new()));
        agent.await.unwrap();
    }
}
